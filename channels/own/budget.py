"""How often a token may call: so many requests a minute over all web processes.

Counting every call in one row would make the callers of one token queue behind each other. So a process takes calls out
of the minute's budget by the handful, in one statement, and hands them out by itself. Never more than the budget is
handed out; what a process took and did not need is lost at the end of the minute, a fiftieth of the budget at most.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from django.db import connection as database

WINDOW_S = 60
HANDFULS = 50

_TAKE = """
INSERT INTO own_ratewindow AS w (token_id, started_at, used)
VALUES (%(token)s, date_trunc('minute', clock_timestamp()), %(wanted)s)
ON CONFLICT (token_id) DO UPDATE
SET used = CASE WHEN w.started_at = excluded.started_at THEN least(w.used, %(limit)s) + excluded.used
                ELSE excluded.used END,
    started_at = excluded.started_at
RETURNING used, extract(epoch FROM w.started_at + interval '1 minute' - clock_timestamp())
"""


@dataclass
class _Handful:
    """Calls that this process may still let through, until the minute is over."""

    left: int
    left_elsewhere: int
    until: float


@dataclass(frozen=True)
class Allowance:
    """Whether this call may pass, how many more may, and in how many seconds the count begins anew."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int


_handfuls: dict[int, _Handful] = {}
_lock = threading.Lock()


def take(*, token_id: int, limit: int) -> Allowance:
    """One call out of the budget of this minute; a statement for each fiftieth of the budget, or none."""
    with _lock:
        hand = _handfuls.get(token_id)
        if hand is None or hand.until <= time.monotonic() or (hand.left == 0 and hand.left_elsewhere > 0):
            hand = _handfuls[token_id] = _fetch(token_id, limit)
        is_allowed = hand.left > 0
        hand.left -= is_allowed
        reset_s = max(1, round(hand.until - time.monotonic()))
        return Allowance(is_allowed, limit, hand.left + hand.left_elsewhere, reset_s)


def _fetch(token_id: int, limit: int) -> _Handful:
    wanted = max(1, limit // HANDFULS)
    with database.cursor() as cursor:
        cursor.execute(_TAKE, {"token": token_id, "wanted": wanted, "limit": limit})
        used, seconds = cursor.fetchone()
    given = max(0, min(wanted, limit - (used - wanted)))
    return _Handful(left=given, left_elsewhere=max(0, limit - used), until=time.monotonic() + float(seconds))
