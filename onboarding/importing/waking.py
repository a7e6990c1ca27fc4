"""A message that wakes a worker after the commit; the batch's row is the truth, and the sweep finds it without one."""

from __future__ import annotations

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError

TASK = "onboarding.tasks.work_on_import"
log = logging.getLogger(__name__)


def wake(batch_id: int) -> None:
    """Tell a worker that this batch waits, once the caller's transaction is committed."""
    transaction.on_commit(lambda: send(batch_id))


def send(batch_id: int) -> None:
    """Tell a worker now. A broker that is away costs seconds until the sweep, never work."""
    try:
        current_app.send_task(TASK, kwargs={"batch_id": batch_id}, retry=False)
    except (KombuError, OSError) as error:
        log.warning("no worker was woken for batch %s: %s", batch_id, error)
