"""Tests of who waits for whom."""

from __future__ import annotations

import time

from django.db import connection

WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def wait_until_one_is_waited_for() -> None:
    """Return once another process waits for a lock of this one's transaction; fail where none does."""
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.rowcount:
                return
        time.sleep(0.01)
    raise AssertionError("Nobody waits for a lock.")
