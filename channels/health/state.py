"""The state of each channel and of the whole shop, in a word and in a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from channels import registry
from channels.approvals import is_awaiting_yes
from channels.health import lag
from channels.incidents import STAFF_KINDS
from channels.models import ChannelLocation, ChannelStock, Connection, InboundEvent, Incident, Listing
from storestudio.accounts.models import Merchant

# Below these waits a queue is simply at work; above them a page says that we are catching up.
INBOX_WAIT_S_MAX = 10.0
PUBLISH_WAIT_S_MAX = 10.0
SILENT_AFTER = timedelta(minutes=15)
State = Connection.State
KINDS_BY_WEIGHT = ("ok", "busy", "idle", "warn", "bad")


@dataclass(frozen=True)
class Queues:
    """What waits at one channel. Counts of cells, events and listings; `…_since`: the oldest that waits."""

    cells: int = 0
    new: int = 0  # could be told, and wait for a yes
    unsent: int = 0
    sending: int = 0
    dirty_since: datetime | None = None
    drift: int = 0
    blocked: int = 0
    waiting: int = 0
    waiting_since: datetime | None = None
    quarantined: int = 0
    unlinked: int = 0
    unmapped: int = 0

    @property
    def dirty(self) -> int:
        """Numbers the channel does not have yet: still to be sent, or sent and not answered."""
        return self.unsent + self.sending


@dataclass(frozen=True)
class ChannelLine:
    """One channel as the strip shows it. `kind`: ok, busy, idle, warn or bad; `sentence` says the same in full."""

    connection: Connection
    kind: str
    word: str
    sentence: str
    queues: Queues
    lag: lag.Lag
    channel_label: str

    @property
    def name(self) -> str:
        """What people call it; with the kind of channel where the label does not say it."""
        return self.connection.label

    @property
    def heard_at(self) -> datetime | None:
        """When it last told or answered anything."""
        moments = [
            moment for moment in (self.connection.last_heard_at, self.connection.polled_at) if moment is not None
        ]
        return max(moments, default=None)


@dataclass(frozen=True)
class Pulse:
    """One line about the whole shop: `kind` gives shape and colour, `detail` is its hover text."""

    kind: str
    words: str
    detail: str
    connection_id: int | None = None  # the one it is about, where it is about one
    incidents: int = field(default=0, kw_only=True)
    unseen: int = field(default=0, kw_only=True)  # of them, those that nobody has taken on

    @property
    def digest(self) -> str:
        """Names what is shown, so that an unchanged pulse need not be sent again."""
        parts = "\x1f".join([self.kind, self.words, self.detail, str(self.incidents), str(self.unseen)])
        return hashlib.blake2s(parts.encode(), digest_size=8).hexdigest()


def open_connections(*, merchant: Merchant) -> list[Connection]:
    """All that are not disconnected, oldest first."""
    return list(Connection.objects.of(merchant).exclude(state=State.CLOSED).order_by("pk"))


def lines(*, merchant: Merchant, now: datetime, connections: Sequence[Connection] | None = None) -> list[ChannelLine]:
    """Every open channel (or those given), with its queues and its lag."""
    return lines_of(connections=open_connections(merchant=merchant) if connections is None else connections, now=now)


def lines_of(*, connections: Sequence[Connection], now: datetime) -> list[ChannelLine]:
    """These connections, of one shop or of many; eleven queries."""
    found = connections
    waiting = queues(connections=found)
    lags = lag.lags(connections=found, now=now)
    return [_line(one, queues=waiting[one.pk], lag=lags[one.pk], now=now) for one in found]


def queues(*, connections: Sequence[Connection]) -> dict[int, Queues]:
    """What waits, by connection id; nine queries."""
    return _queues(connections, _waiting(connections) + _kept(connections))


def _queues(connections: Sequence[Connection], counted: Sequence[QuerySet[Any, Any]]) -> dict[int, Queues]:
    """Put together what several queries counted for each connection."""
    facts: dict[int, dict[str, Any]] = {connection.pk: {} for connection in connections}
    for rows in counted:
        for row in rows:
            facts[row.pop("connection")].update(row)
    return {pk: Queues(**fact) for pk, fact in facts.items()}


def _waiting(connections: Sequence[Connection]) -> list[QuerySet[Any, Any]]:
    """What the pulse needs, asked often: each of these but one reads only the rows that wait, by a partial index."""
    cells = _by_connection(ChannelStock.objects.all(), connections)
    events = _by_connection(InboundEvent.objects.all(), connections)
    return [
        cells.filter(dirty_at__isnull=False, write=None, blocked_reason="").annotate(
            unsent=Count("pk"), dirty_since=Min("dirty_at")
        ),
        cells.filter(write__isnull=False).annotate(sending=Count("pk")),
        cells.filter(Q(drift_at__isnull=False) | ~Q(blocked_reason="")).annotate(
            drift=Count("pk", filter=Q(drift_at__isnull=False)), blocked=Count("pk", filter=~Q(blocked_reason=""))
        ),
        events.filter(state=InboundEvent.State.PENDING).annotate(waiting=Count("pk"), waiting_since=Min("received_at")),
    ]


def _kept(connections: Sequence[Connection]) -> list[QuerySet[Any, Any]]:
    """What a page about channels shows besides. Every cell is of a linked listing: parting deletes its cells."""
    merchants = {connection.merchant_id for connection in connections}
    quarantined = InboundEvent.objects.filter(state=InboundEvent.State.QUARANTINED, merchant__in=merchants)
    unlinked = Listing.objects.filter(link=Listing.Link.UNLINKED, deleted_at=None)
    unmapped = ChannelLocation.objects.filter(location=None, is_active=True)
    return [
        _by_connection(ChannelStock.objects.all(), connections).annotate(cells=Count("pk")),
        _by_connection(ChannelStock.objects.filter(is_awaiting_yes()), connections).annotate(new=Count("pk")),
        _by_connection(quarantined, connections).annotate(quarantined=Count("pk")),
        _by_connection(unlinked, connections).annotate(unlinked=Count("pk")),
        _by_connection(unmapped, connections).annotate(unmapped=Count("pk")),
    ]


def _by_connection(rows: QuerySet[Any], connections: Sequence[Connection]) -> QuerySet[Any, Any]:
    return rows.filter(connection__in=connections).order_by().values("connection")


def _line(connection: Connection, *, queues: Queues, lag: lag.Lag, now: datetime) -> ChannelLine:
    kind, word, words = _state(connection, queues=queues, now=now)
    channel = registry.EVERY.get(connection.channel)
    return ChannelLine(
        connection=connection,
        kind=kind,
        word=word,
        sentence=words,
        queues=queues,
        lag=lag,
        channel_label=channel.label if channel else connection.channel,
    )


def _state(connection: Connection, *, queues: Queues, now: datetime) -> tuple[str, str, str]:
    """Kind, word and sentence: the worst first."""
    name, reason = connection.label, connection.state_reason.rstrip(". ")
    if connection.state == State.CLOSED:
        return "idle", "Disconnected", f"{name} is disconnected. Its history stays."
    if connection.state == State.RECONNECT:
        said = f" It said: {reason}." if reason else ""
        return (
            "bad",
            "Reconnect",
            f"{name} no longer accepts our key.{said} What it tells us meanwhile is kept; connect it again.",
        )
    if connection.state == State.PAUSED and connection.approved_at is None:
        return (
            "idle",
            "Waits for your yes",
            f"We read what {name} sells and shows. It is told nothing until you approve the first numbers.",
        )
    if connection.state == State.PAUSED:
        because = f": {reason}" if reason else ""
        return "idle", "Paused", f"{name} is paused{because}. Its sales still count; it is told no numbers."
    return _live_state(connection, queues=queues, now=now)


def _live_state(connection: Connection, *, queues: Queues, now: datetime) -> tuple[str, str, str]:
    name = connection.label
    heard = max(filter(None, (connection.last_heard_at, connection.polled_at)), default=None)
    if connection.resting_until and connection.resting_until > now:
        why = "does not answer" if connection.failures else "asked us to slow down"
        return "warn", "Resting", f"{name} {why}. We try again by ourselves; {_things(queues.dirty, 'number')} waiting."
    if heard is not None and now - heard > SILENT_AFTER:
        return "warn", "Silent", f"{name} has told us nothing for {_minutes(now - heard)}. We keep asking."
    if _is_behind(queues, now=now):
        work = f"{_things(queues.waiting, 'message')} to apply, {_things(queues.dirty, 'number')} to send"
        return "warn", "Catching up", f"{name} is catching up: {work}."
    if queues.drift:
        places = "place" if queues.drift == 1 else "places"
        return (
            "warn",
            f"Drift in {queues.drift}",
            f"{name} shows another number than it should in {queues.drift} {places}.",
        )
    if queues.blocked:
        return (
            "warn",
            f"{queues.blocked} held",
            f"{_things(queues.blocked, 'number')} for {name} held until you decide.",
        )
    if queues.dirty:
        return "busy", f"Sending {queues.dirty}", f"{_things(queues.dirty, 'number')} on the way to {name}."
    return "ok", "Agrees", f"{name} agrees with your shelf in all {queues.cells} places it shows a number."


def _is_behind(queues: Queues, *, now: datetime) -> bool:
    return (
        _age_s(queues.waiting_since, now=now) > INBOX_WAIT_S_MAX
        or _age_s(queues.dirty_since, now=now) > PUBLISH_WAIT_S_MAX
    )


def _age_s(since: datetime | None, *, now: datetime) -> float:
    return (now - since).total_seconds() if since else 0.0


def _things(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _minutes(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def sentence(*, lines: Sequence[ChannelLine], needs: int) -> str:
    """Today's first sentence: do the channels agree, and does anything need this person?"""
    if not lines:
        return "No channel is connected yet."
    first = " ".join(line.sentence for line in lines if line.kind in ("bad", "warn", "idle"))
    calm = [line for line in lines if line.kind in ("ok", "busy")]
    if len(calm) == len(lines):
        first = _all_agree([line.name for line in lines])
    elif calm and len(lines) - len(calm) > 1:
        first = f"{len(calm)} of {len(lines)} channels agree."
    elif len(lines) - len(calm) > 1:
        first = "No channel is in lockstep right now."
    rest = {0: "Nothing needs you.", 1: "One thing needs you."}.get(needs, f"{needs} things need you.")
    return f"{first} {rest}"


def _all_agree(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} agrees with your shelf."
    if len(names) == 2:
        return f"{names[0]} and {names[1]} agree."
    return f"All {len(names)} channels agree."


def pulse(*, merchant: Merchant, now: datetime) -> Pulse:
    """The state of the whole shop in one line: the worst thing first; how fast news travels when all is well."""
    rows = Incident.objects.pressing().of(merchant).exclude(kind__in=STAFF_KINDS).order_by().values_list("kind")
    counted = list(rows.annotate(all=Count("pk"), unseen=Count("pk", filter=Q(acknowledged_at=None))))
    found = _pulse(merchant=merchant, by_kind={kind: all_ for kind, all_, _ in counted}, now=now)
    return replace(found, unseen=sum(unseen for _, _, unseen in counted))


def _pulse(*, merchant: Merchant, by_kind: Mapping[str, int], now: datetime) -> Pulse:
    connections, count = open_connections(merchant=merchant), sum(by_kind.values())
    if not connections:
        return Pulse("idle", "No channels yet", "Connect a channel and its state will show here.", incidents=count)
    waiting = _queues(connections, _waiting(connections))
    states = [(one, *_state(one, queues=waiting[one.pk], now=now)) for one in connections]
    worst, kind, word, words = max(states, key=lambda state: KINDS_BY_WEIGHT.index(state[1]))
    if kind == "bad":
        return Pulse("bad", f"{worst.label}: {word.lower()}", words, worst.pk, incidents=count)
    if oversold := by_kind.get(Incident.Kind.OVERSOLD, 0):
        return Pulse(
            "bad", f"{oversold} oversold", "More is promised than there is. Today shows which.", incidents=count
        )
    if kind == "warn":
        return Pulse("warn", f"{worst.label}: {word.lower()}", words, worst.pk, incidents=count)
    if count:
        need = "1 needs you" if count == 1 else f"{count} need you"
        return Pulse("warn", need, "Today shows what, each with what to do.", incidents=count)
    if kind == "idle":
        calm = sum(state[1] in ("ok", "busy") for state in states)
        said = f"{calm} of {len(states)} in lockstep" if calm else f"{worst.label}: {word.lower()}"
        return Pulse("idle", said, words, worst.pk, incidents=count)
    return _calm(connections=connections, now=now)


def _calm(*, connections: Sequence[Connection], now: datetime) -> Pulse:
    spread = lag.overall(connections=connections, now=now)
    if spread is None:
        return Pulse("ok", "In lockstep", "Every channel shows what it should. No number had to change this hour.")
    return Pulse(
        "ok",
        f"In lockstep · {span_words(spread.p50)}",
        "From a sale to every other channel’s yes, over the last hour: "
        f"half within {span_words(spread.p50)}, 99 of 100 within {span_words(spread.p99)}.",
    )


def span_words(seconds: float) -> str:
    """Seconds as the pulse says them, coarse enough to be calm."""
    if seconds < 0.95:
        return f"{max(round(seconds, 1), 0.1):.1f} s"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
