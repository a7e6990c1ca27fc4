"""Finds due work in PostgreSQL and wakes workers for it: the queue is rows, the messages only say "look".

Every tick one statement takes the lease of each connection and kind that has due work, and a Celery message is sent
for each. A message that is lost, or a worker that dies, lets the lease run out and the work is found again. Leases are
taken by conditional UPDATE, so that any number of dispatchers may run.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.db import connection as database
from django.utils import timezone

from channels import registry

QUEUED = timedelta(seconds=10)  # how long a message may wait for a free worker before the work is offered again
RUNNING = timedelta(seconds=15)  # a worker works at most 5 s in one go; a dead one is missed this long at most


@dataclass(frozen=True)
class Work:
    """One kind of work of one connection, leased."""

    connection_id: int
    kind: str
    lease: uuid.UUID


@cache
def _poll_every_s() -> str:
    """How often each channel is polled, in seconds, as JSON."""
    return json.dumps({name: registry.capabilities(name).poll_every_s for name in registry.EVERY})


def take_due() -> list[Work]:
    """Lease all due work that nobody holds (channels/sql/dispatch.sql); call outside a transaction."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM channels_take_due(make_interval(secs => %s), %s)", [QUEUED.total_seconds(), _poll_every_s()]
        )
        return [Work(*row) for row in cursor.fetchall()]


_BEGIN = """
UPDATE channels_connectionwork SET leased_until = %s WHERE connection_id = %s AND kind = %s AND lease = %s
"""
_END = """
UPDATE channels_connectionwork SET leased_until = %s, lease = NULL WHERE connection_id = %s AND kind = %s AND lease = %s
"""


def begin(*, connection_id: int, kind: str, lease: uuid.UUID) -> bool:
    """A worker takes up leased work; False when the lease has passed to another: then there is nothing to do."""
    with database.cursor() as cursor:
        cursor.execute(_BEGIN, [timezone.now() + RUNNING, connection_id, str(kind), lease])
        return bool(cursor.rowcount)


def end(*, connection_id: int, kind: str, lease: uuid.UUID) -> None:
    """Hand the lease back: what is still due is found at the next tick."""
    with database.cursor() as cursor:
        cursor.execute(_END, [timezone.now(), connection_id, str(kind), lease])
