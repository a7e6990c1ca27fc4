"""The platform: settings, URLs, Celery, and the account room."""

from storestudio.celery import app as celery_app

__all__ = ["celery_app"]
