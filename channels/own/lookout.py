"""Looks, with each tick of the dispatcher, whether a hold's time is over or a message waits, and wakes a worker.

The schedule does the same every few seconds: this makes it a second at most, and nothing depends on it.
"""

from __future__ import annotations

import time

from django.db import connection as database

from channels.own import tasks
from inventory.tasks import expire_reservations

WAKE_EVERY_S = 0.5  # while work is left, a worker is at it: no need to call it with every tick

_DUE = """
SELECT EXISTS (SELECT FROM inventory_reservation WHERE state = 'held' AND expires_at <= clock_timestamp()),
       EXISTS (SELECT FROM own_webhookmessage WHERE body = '')
       OR EXISTS (SELECT FROM own_webhookdelivery WHERE state = 'pending' AND next_attempt_at <= clock_timestamp())
"""
_woken = {"holds": 0.0, "messages": 0.0}


def look() -> None:
    """One statement, over partial indexes that are empty while nothing is due."""
    with database.cursor() as cursor:
        cursor.execute(_DUE)
        are_holds_over, are_messages_due = cursor.fetchone()
    if are_holds_over and _may_wake("holds"):
        expire_reservations.delay()
    if are_messages_due and _may_wake("messages"):
        tasks.deliver_webhooks.delay()


def _may_wake(what: str) -> bool:
    if time.monotonic() - _woken[what] < WAKE_EVERY_S:
        return False
    _woken[what] = time.monotonic()
    return True
