"""Celery: messages only wake workers; what must happen is a row in PostgreSQL (see docs/architecture.md)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "storestudio.settings")

app = Celery("storestudio")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
