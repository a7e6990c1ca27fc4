"""What a channel's rate limit leaves us, kept from call to call: told by its answers, or counted by us."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database

from channels.ports import Meter

TOGETHER = timedelta(hours=1)

# One row a connection; a connection that is gone meanwhile is no error.
_NOTE = """
INSERT INTO channels_connectionrate AS r
    (connection_id, "left", "most", unit, told_at, minute_at, calls, calls_before, throttled)
SELECT id, %(left)s, %(most)s, %(unit)s, %(told_at)s, date_trunc('minute', %(now)s::timestamptz), %(calls)s, 0, 0
FROM channels_connection WHERE id = %(connection)s
ON CONFLICT (connection_id) DO UPDATE SET
    "left" = COALESCE(excluded."left", r."left"), "most" = COALESCE(excluded."most", r."most"),
    unit = COALESCE(NULLIF(excluded.unit, ''), r.unit), told_at = COALESCE(excluded.told_at, r.told_at),
    calls = excluded.calls + CASE WHEN r.minute_at = excluded.minute_at THEN r.calls ELSE 0 END,
    calls_before = CASE WHEN r.minute_at = excluded.minute_at THEN r.calls_before
                        WHEN r.minute_at = excluded.minute_at - interval '1 minute' THEN r.calls ELSE 0 END,
    minute_at = excluded.minute_at
"""
_THROTTLED = """
INSERT INTO channels_connectionrate AS r (connection_id, unit, minute_at, calls, calls_before, throttled_at, throttled)
SELECT id, '', date_trunc('minute', %(now)s::timestamptz), 0, 0, %(now)s, 1
FROM channels_connection WHERE id = %(connection)s
ON CONFLICT (connection_id) DO UPDATE SET
    throttled = 1 + CASE WHEN r.throttled_at > %(since)s THEN r.throttled ELSE 0 END,
    throttled_at = excluded.throttled_at
"""


def note(*, connection_id: int, meter: Meter, now: datetime) -> None:
    """Add the calls that a connector made, and what the last of them told."""
    if not meter.calls:
        return
    room = meter.headroom
    values: dict[str, Any] = {
        "connection": connection_id, "now": now, "calls": meter.calls, "left": room.left if room else None,
        "most": room.most if room else None, "unit": room.unit if room else "", "told_at": now if room else None,
    }  # fmt: skip
    with database.cursor() as cursor:
        cursor.execute(_NOTE, values)


def throttled(*, connection_id: int, now: datetime) -> None:
    """The channel asked us to slow down."""
    with database.cursor() as cursor:
        cursor.execute(_THROTTLED, {"connection": connection_id, "now": now, "since": now - TOGETHER})
