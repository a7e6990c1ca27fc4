"""Entry points of the workers for the shop's own site."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from channels.own import deliveries, endpoints, site

SLICE = timedelta(seconds=5)


@shared_task
def deliver_webhooks(**_: Any) -> None:
    """Tell the shops' endpoints what is due."""
    deliveries.work_off(until=timezone.now() + SLICE)


@shared_task
def follow_catalogs(**_: Any) -> None:
    """List what is new on the shops' own sites; stop signing with secrets that were replaced a day ago."""
    site.follow_catalogs()
    endpoints.forget_old_secrets(now=timezone.now())
