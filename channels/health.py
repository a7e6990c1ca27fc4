"""Read models for pages: is everything in lockstep, how long does news take, what waits.

Each function costs a fixed number of queries, whatever the number of connections, cells or events. Spans are
seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    Count,
    DateTimeField,
    DurationField,
    F,
    FloatField,
    Func,
    Min,
    Value,
)
from django.db.models.functions import Coalesce, Extract

from channels.models import ChannelStock, ChannelWriteLine, Connection, InboundEvent, Incident
from storestudio.accounts.models import Merchant

HOUR = timedelta(hours=1)
# Below these waits a queue is simply at work; above them a page says that we are catching up.
INBOX_WAIT_S_MAX = 10.0
PUBLISH_WAIT_S_MAX = 10.0
State = Connection.State


class Percentiles(Aggregate):
    """p50, p95 and p99 in one pass: a list of three floats, or None over no rows."""

    name = "percentiles"
    template = "percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


class Bin(Func):
    """The start of the span of `width` a moment lies in."""

    function = "date_bin"
    output_field = DateTimeField()

    def __init__(self, moment: str, *, width: timedelta, origin: datetime) -> None:
        super().__init__(Value(width, output_field=DurationField()), F(moment), Value(origin))


@dataclass(frozen=True)
class Spread:
    """How long something takes: seconds at the median, at 95 and 99 of 100, over `count` cases."""

    p50: float
    p95: float
    p99: float
    count: int


@dataclass(frozen=True)
class Pulse:
    """One line about the whole shop. `kind` colours it, `shape` draws it, `detail` is its hover text."""

    kind: str  # ok, busy, warn, bad, idle
    words: str
    detail: str
    connection_id: int | None = None  # the one it is about, where it is about one
    incidents: int = 0

    @property
    def digest(self) -> str:
        """Names what is shown, so that an unchanged pulse need not be sent again."""
        return digest_of(self.kind, self.words, self.detail, self.incidents)


def digest_of(*parts: object) -> str:
    """A short name for a state of affairs."""
    return hashlib.blake2s("\x1f".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def _seconds(later: str, earlier: str) -> Any:
    """Seconds between two columns, never below zero: two machines' clocks may disagree by a little."""
    return Func(
        Extract(F(later) - F(earlier), "epoch"), Value(0.0), function="GREATEST", output_field=FloatField()
    )


def pulse(*, merchant: Merchant, now: datetime) -> Pulse:
    """The state of the whole shop in one line: the worst thing first; how fast news travels when all is well."""
    connections = list(Connection.objects.of(merchant).exclude(state=State.CLOSED).order_by("pk"))
    incidents = Incident.objects.of(merchant).filter(resolved_at=None)
    by_kind = dict(incidents.order_by().values_list("kind").annotate(Count("pk")))
    found = _pulse_of(merchant=merchant, connections=connections, by_kind=by_kind, now=now)
    return replace(found, incidents=sum(by_kind.values()))


def _pulse_of(
    *, merchant: Merchant, connections: Sequence[Connection], by_kind: dict[str, int], now: datetime
) -> Pulse:
    if not connections:
        return Pulse("idle", "No channels yet", "Connect a channel and its numbers will show here.")
    for connection in connections:
        if connection.state == State.RECONNECT:
            return Pulse(
                "bad",
                f"{connection.label}: reconnect",
                f"{connection.label} no longer accepts our key. Nothing is lost; connect it again.",
                connection.pk,
            )
    if oversold := by_kind.get(Incident.Kind.OVERSOLD, 0):
        return Pulse("bad", f"{oversold} oversold", "More is promised than there is. Today shows which.")
    live = [connection for connection in connections if connection.state == State.LIVE]
    if not live:
        return Pulse("idle", "Paused", "No channel is told numbers. What they tell us is still recorded.")
    return _flow(merchant=merchant, live=live, by_kind=by_kind, now=now)


def _flow(*, merchant: Merchant, live: Sequence[Connection], by_kind: dict[str, int], now: datetime) -> Pulse:
    """What the queues say when every channel can be reached."""
    inbox = InboundEvent.objects.of(merchant).filter(state=InboundEvent.State.PENDING, connection__in=live)
    waiting = inbox.aggregate(count=Count("pk"), since=Min("received_at"))
    cells = ChannelStock.objects.of(merchant).filter(connection__in=live)
    due = cells.filter(dirty_at__isnull=False, blocked_reason="").aggregate(
        count=Count("pk"), since=Min("dirty_at")
    )
    behind_s = max(
        _age_s(waiting["since"], now=now) - INBOX_WAIT_S_MAX,
        _age_s(due["since"], now=now) - PUBLISH_WAIT_S_MAX,
    )
    if behind_s > 0:
        return Pulse(
            "warn",
            f"Catching up: {waiting['count'] + due['count']}",
            f"{waiting['count']} messages to apply, {due['count']} numbers to send.",
        )
    if count := sum(by_kind.values()):
        words = "1 needs you" if count == 1 else f"{count} need you"
        return Pulse("warn", words, "Today shows what, each with what to do.")
    lag = lag_of(merchant=merchant, since=now - HOUR)
    if lag is None:
        return Pulse("ok", "In lockstep", "Every channel shows what it should.")
    return Pulse(
        "ok",
        f"In lockstep · {span_words(lag.p50)}",
        f"From a sale to every other channel knowing it, last hour: half within {span_words(lag.p50)}, "
        f"99 of 100 within {span_words(lag.p99)}, {lag.count} times.",
    )


def _age_s(since: datetime | None, *, now: datetime) -> float:
    return (now - since).total_seconds() if since else 0.0


def span_words(seconds: float) -> str:
    """Seconds as the pulse says them."""
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 0.95
        else f"{seconds:.1f} s"
        if seconds < 60
        else f"{seconds / 60:.0f} min"
    )


def lag_of(*, merchant: Merchant, since: datetime) -> Spread | None:
    """From the cause (a sale at some channel) to another channel's acknowledgement of the new number."""
    lines = ChannelWriteLine.objects.filter(
        write__merchant=merchant, outcome=ChannelWriteLine.Outcome.APPLIED, answered_at__gte=since
    )
    return spread(lines.aggregate(found=Percentiles(_lag()), count=Count("pk")))


def _lag() -> Any:
    """Seconds from the oldest unpublished cause; a number changed by hand counts from when it was due."""
    return Func(
        Extract(F("answered_at") - Coalesce("cause_occurred_at", "dirty_at"), "epoch"),
        Value(0.0),
        function="GREATEST",
        output_field=FloatField(),
    )


def spread(row: dict[str, Any]) -> Spread | None:
    """A Spread from an aggregate with `found` and `count`; None over no cases."""
    if not row["count"] or row["found"] is None:
        return None
    p50, p95, p99 = row["found"]
    return Spread(p50=p50, p95=p95, p99=p99, count=row["count"])
