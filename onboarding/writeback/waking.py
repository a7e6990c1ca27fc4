"""A message that wakes a worker after the commit; the row is the truth, and the sweep finds it without one."""

from __future__ import annotations

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError

TASK = "onboarding.tasks.send_catalog_write"
log = logging.getLogger(__name__)


def wake(write_id: int) -> None:
    """Tell a worker that this write waits, once the caller's transaction is committed."""
    transaction.on_commit(lambda: send(write_id))


def send(write_id: int) -> None:
    """Tell a worker now. A broker that is away costs seconds until the sweep, never work."""
    try:
        current_app.send_task(TASK, kwargs={"write_id": write_id}, retry=False)
    except (KombuError, OSError) as error:
        log.warning("no worker was woken for catalog write %s: %s", write_id, error)
