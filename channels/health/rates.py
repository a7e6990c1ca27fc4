"""How much of each channel's rate limit is left, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.models import Connection, ConnectionRate

FRESH = timedelta(minutes=5)  # every limit we know refills within this time
LITTLE = 0.2


@dataclass(frozen=True)
class Rate:
    """`words` say what is left, or how many calls we make where nobody tells; `kind` is ok, warn or idle.

    `share`: what is left, 0 to 1; None where it is not told. `slowed`: how often the channel asked us to slow down
    in the last hour; `slowed_at` when it last did.
    """

    words: str = "Not called yet"
    kind: str = "idle"
    share: float | None = None
    calls: int = 0  # in the last whole minute
    slowed: int = 0
    slowed_at: datetime | None = None

    @property
    def percent(self) -> float | None:
        """What is left, in percent; None where it is not told."""
        return None if self.share is None else 100 * self.share


def rates(*, connections: Sequence[Connection], now: datetime) -> dict[int, Rate]:
    """By connection id; one query, whatever their number."""
    rows = ConnectionRate.objects.filter(connection__in=connections)
    found = {row.connection_id: _rate(row, now=now) for row in rows}
    return {connection.pk: found.get(connection.pk, Rate()) for connection in connections}


def _rate(row: ConnectionRate, *, now: datetime) -> Rate:
    slowed = row.throttled if row.throttled_at and now - row.throttled_at < timedelta(hours=1) else 0
    was_slowed_now = bool(slowed and row.throttled_at and now - row.throttled_at < FRESH)
    share, calls = None, _calls(row, now=now)
    if row.left is not None and row.most and row.told_at:
        is_fresh = now - row.told_at < FRESH
        share = row.left / row.most if is_fresh else 1.0
        words = f"{row.left if is_fresh else row.most:,.0f} of {row.most:,.0f} {row.unit} left".replace(",", "\u202f")
    else:
        words = f"{calls} call{'' if calls == 1 else 's'} in the last minute; it tells no limit"
    is_tight = was_slowed_now or (share is not None and share < LITTLE)
    return Rate(
        words=words, kind="warn" if is_tight else "ok", share=share, calls=calls, slowed=slowed,
        slowed_at=row.throttled_at if slowed else None,
    )  # fmt: skip


def _calls(row: ConnectionRate, *, now: datetime) -> int:
    """Calls of the last whole minute."""
    minutes = int((now - row.minute_at) / timedelta(minutes=1))
    return row.calls_before if minutes == 0 else row.calls if minutes == 1 else 0
