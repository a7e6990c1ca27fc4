"""Entry points of the workers for the stock room."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from inventory import arrivals, ledger, reservations


@shared_task
def expire_reservations(**_: Any) -> None:
    """Let go of holds past their time."""
    reservations.expire_due(now=timezone.now())


@shared_task
def add_ledger_months(**_: Any) -> None:
    """Keep the ledger's monthly partitions ahead of the calendar."""
    ledger.add_months()


@shared_task
def lapse_arrivals(**_: Any) -> None:
    """Notice what is late: nothing more may be promised on it."""
    arrivals.lapse(now=timezone.now())
