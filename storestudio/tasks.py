"""Signs of life of worker and scheduler, which /readyz reads."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.signals import beat_init, worker_ready
from django.utils import timezone
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


@shared_task(expires=30)
def heartbeat(*, scheduled: bool, **_: Any) -> None:
    """A worker runs this, so the worker lives; when the scheduler sent it, the scheduler lives too."""
    from storestudio.accounts.models import Heartbeat

    for name in ("worker", "beat") if scheduled else ("worker",):
        Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": timezone.now()})


@worker_ready.connect
def _worker_is_ready(**_: Any) -> None:
    _send(scheduled=False)


@beat_init.connect
def _beat_has_begun(**_: Any) -> None:
    """Do not let the first sign wait for the first interval to pass."""
    _send(scheduled=True)


def _send(*, scheduled: bool) -> None:
    try:
        heartbeat.delay(scheduled=scheduled)
    except OperationalError as error:  # the schedule sends the next one
        log.warning("broker away: %s", error)
