"""The error budget: of the changes of the last day, how many reached a channel late, against how many may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from channels.health import lag
from channels.models import Connection

SPAN = timedelta(hours=24)
PROMISED_S = 5.0  # from the cause to the channel's yes
SHARE = 0.99  # of changes that keep it


@dataclass(frozen=True)
class Budget:
    """Changes of the last day that a channel confirmed (`count`), and those that took longer than promised (`late`)."""

    count: int = 0
    late: int = 0

    @property
    def kept(self) -> float | None:
        """The share that came in time, in percent; None where nothing changed."""
        return 100 * (self.count - self.late) / self.count if self.count else None

    @property
    def left(self) -> float | None:
        """The share of the allowed lateness that is left, in percent; below zero: the objective is missed."""
        return 100 - 100 * self.late / (self.count * (1 - SHARE)) if self.count else None

    @property
    def kind(self) -> str:
        """ok, warn (more than half is spent) or bad (missed); idle where nothing changed."""
        if self.left is None:
            return "idle"
        return "bad" if self.left < 0 else "warn" if self.left < 50 else "ok"

    @property
    def word(self) -> str:
        """The same in words."""
        return "Nothing spent" if self.left is None else "Spent" if self.left < 0 else f"{self.left:.0f} % left"


def budgets(*, connections: Sequence[Connection], now: datetime) -> dict[int, Budget]:
    """By connection id; one query, whatever their number."""
    late = Q(way_s__gt=PROMISED_S)
    rows = lag.confirmed(connections=connections, since=now - SPAN).annotate(way_s=lag.WHOLE_WAY)
    found = rows.values("write__connection").annotate(count=Count("pk"), late=Count("pk", filter=late))
    by_connection = {row["write__connection"]: Budget(count=row["count"], late=row["late"]) for row in found}
    return {connection.pk: by_connection.get(connection.pk, Budget()) for connection in connections}
