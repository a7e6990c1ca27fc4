"""How long news takes, from the timestamps that the inbox and the writes carry. All spans in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Coalesce, Extract

from channels.models import ChannelWriteLine, Connection, InboundEvent

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TREND_POINTS = 60
CHART_POINTS = 40


class Percentiles(Aggregate):
    """p50, p95 and p99 in one pass: a list of three floats, or None over no rows."""

    name = "percentiles"
    template = "percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


@dataclass(frozen=True)
class Spread:
    """How long something takes: at the median, at 95 and at 99 of 100, over `count` cases."""

    p50: float
    p95: float
    p99: float
    count: int


@dataclass(frozen=True)
class Lag:
    """A channel's lag of the last hour: from a cause anywhere to this channel's acknowledgement."""

    spread: Spread | None
    trend: Sequence[float | None]  # p95 of each minute, oldest first


@dataclass(frozen=True)
class Charted:
    """One measure over time: its spread over all of the span, and the spread of each bin, oldest first."""

    name: str
    words: str
    spread: Spread | None
    bins: Sequence[Spread | None]
    since: datetime
    width: timedelta


def _span(later: Any, earlier: Any) -> Func:
    """Seconds between, never below zero: the clocks of two machines may disagree by a little."""
    return Func(Extract(later - earlier, "epoch"), Value(0.0), function="GREATEST", output_field=FloatField())


def _bin(moment: str, *, width: timedelta, origin: datetime) -> Func:
    """The start of the span of `width` that a moment lies in."""
    wide = Value(width, output_field=DurationField())
    return Func(wide, F(moment), Value(origin), function="date_bin", output_field=DateTimeField())


def _spread(row: Mapping[str, Any] | None) -> Spread | None:
    if row is None or not row["count"] or row["found"] is None:
        return None
    p50, p95, p99 = row["found"]
    return Spread(p50=p50, p95=p95, p99=p99, count=row["count"])


def confirmed(*, connections: Iterable[Connection], since: datetime) -> QuerySet[ChannelWriteLine]:
    """Numbers that were confirmed since; by the write's time, which is indexed."""
    return ChannelWriteLine.objects.filter(
        write__connection__in=list(connections),
        write__answered_at__gte=since,
        outcome=ChannelWriteLine.Outcome.APPLIED,
        answered_at__gte=since,
    ).order_by()


# A number changed by hand, or by a rule, has no event behind it: it counts from when it was due.
WHOLE_WAY = _span(F("answered_at"), Coalesce("cause_occurred_at", "dirty_at"))
SENDING = _span(F("answered_at"), F("dirty_at"))
APPLYING = _span(F("applied_at"), Coalesce("occurred_at", "received_at"))


def overall(*, connections: Iterable[Connection], now: datetime) -> Spread | None:
    """The whole way, for all these channels together, over the last hour."""
    rows = confirmed(connections=connections, since=now - HOUR)
    return _spread(rows.aggregate(found=Percentiles(WHOLE_WAY), count=Count("pk")))


def applying(*, connections: Sequence[Connection], now: datetime) -> dict[int, Spread]:
    """From what happened at each channel to our ledger, by connection id, over the last hour; none: not there."""
    events = InboundEvent.objects.filter(
        connection__in=connections,
        state=InboundEvent.State.DONE,
        received_at__gte=now - HOUR,
        applied_at__gte=now - HOUR,
    )
    return _by_connection(events.order_by().values("connection"), "connection", APPLYING)


def sending(*, connections: Sequence[Connection], now: datetime) -> dict[int, Spread]:
    """From our ledger to each channel's yes, by connection id, over the last hour; none: not there."""
    rows = confirmed(connections=connections, since=now - HOUR)
    return _by_connection(rows.values("write__connection"), "write__connection", SENDING)


def _by_connection(rows: QuerySet[Any, Any], name: str, span: Func) -> dict[int, Spread]:
    spreads = {row[name]: _spread(row) for row in rows.annotate(found=Percentiles(span), count=Count("pk"))}
    return {pk: spread for pk, spread in spreads.items() if spread is not None}


def lags(*, connections: Sequence[Connection], now: datetime) -> dict[int, Lag]:
    """The whole way, for each channel by connection id, over the last hour."""
    since = _floor(now, width=MINUTE) - HOUR + MINUTE
    rows = confirmed(connections=connections, since=since)
    whole = {
        row["write__connection"]: _spread(row)
        for row in rows.values("write__connection").annotate(found=Percentiles(WHOLE_WAY), count=Count("pk"))
    }
    trends: dict[int, list[float | None]] = defaultdict(lambda: [None] * TREND_POINTS)
    minutes = rows.annotate(bin=_bin("answered_at", width=MINUTE, origin=since))
    for row in minutes.values("write__connection", "bin").annotate(found=Percentiles(WHOLE_WAY), count=Count("pk")):
        place = int((row["bin"] - since) / MINUTE)
        if place < TREND_POINTS:
            trends[row["write__connection"]][place] = row["found"][1]
    return {
        connection.pk: Lag(spread=whole.get(connection.pk), trend=trends[connection.pk]) for connection in connections
    }


def charts(*, connection: Connection, now: datetime, hours: int) -> list[Charted]:
    """Both directions of one channel over the last hours: its news to our ledger, our numbers to the channel."""
    width = timedelta(hours=hours) / CHART_POINTS
    since = _floor(now, width=width) - (CHART_POINTS - 1) * width
    events = InboundEvent.objects.filter(
        Q(applied_at__gte=since), connection=connection, state=InboundEvent.State.DONE, received_at__gte=since
    ).order_by()
    lines = confirmed(connections=[connection], since=since)
    measures: list[tuple[str, str, QuerySet[Any], str, Func]] = [
        ("in", f"From {connection.label} into our ledger", events, "applied_at", APPLYING),
        ("out", f"From our ledger to {connection.label}’s yes", lines, "answered_at", SENDING),
        ("whole", f"From a sale elsewhere to {connection.label}’s yes", lines, "answered_at", WHOLE_WAY),
    ]
    return [
        Charted(
            name=name,
            words=words,
            spread=_spread(rows.aggregate(found=Percentiles(span), count=Count("pk"))),
            bins=_bins(rows=rows, moment=moment, span=span, since=since, width=width),
            since=since,
            width=width,
        )
        for name, words, rows, moment, span in measures
    ]


def _bins(*, rows: QuerySet[Any], moment: str, span: Func, since: datetime, width: timedelta) -> list[Spread | None]:
    found: list[Spread | None] = [None] * CHART_POINTS
    binned = rows.annotate(bin=_bin(moment, width=width, origin=since)).values("bin")
    for row in binned.annotate(found=Percentiles(span), count=Count("pk")):
        place = int((row["bin"] - since) / width)
        if 0 <= place < CHART_POINTS:
            found[place] = _spread(row)
    return found


def _floor(moment: datetime, *, width: timedelta) -> datetime:
    """The start of the span a moment lies in, so that bins do not move between two looks."""
    seconds = width.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, tz=moment.tzinfo)
