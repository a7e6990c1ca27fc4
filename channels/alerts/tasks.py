"""Entry point of the workers for alerts."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from channels.alerts import outbox


@shared_task
def send_alerts(**_: Any) -> None:
    """Decide who is told of what has happened, and tell what is due."""
    now = timezone.now()
    outbox.decide(now=now)
    outbox.make_digests(now=now)
    outbox.send_due(now=now)
