"""The inbox: read again what each event hints at, and apply that by state.

`process` runs in a worker under the connection's lease:
claim a batch, coalesce its hints (ten updates of one order are one reading), read from the channel outside any
transaction, apply everything in one posting. What cannot be applied is retried apart from the rest and ends, after
bounded attempts, in quarantine with its bytes and a replay button; never in silence.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Max, Min, QuerySet
from django.utils import timezone

from channels import applying, connections, contact, credentials, incidents, intake, ports, reconcile, registry
from channels.models import Connection, InboundEvent, Listing
from channels.ports import (
    ChannelOrder,
    Connector,
    ConnectorError,
    Hint,
    HintKind,
    MalformedPayload,
    OrderRef,
    ToldListing,
)
from inventory.models import Order
from storestudio.accounts import audit
from storestudio.accounts.models import User

log = logging.getLogger(__name__)

BATCH = 200
ORDERS_AT_ONCE = 5  # read, then posted, before the next are read
LEASE = timedelta(seconds=30)
ATTEMPTS_MAX = 6
MANY_MAX = 500  # decided about at once, in one short transaction
CAUSES_MAX = 50
State = InboundEvent.State


@dataclass
class _Batch:
    """Claimed events by what they hint at."""

    events: list[InboundEvent]
    by_order: dict[str, list[InboundEvent]] = field(default_factory=lambda: defaultdict(list))
    by_stock: dict[str, list[InboundEvent]] = field(default_factory=lambda: defaultdict(list))
    by_kind: dict[HintKind, list[InboundEvent]] = field(default_factory=lambda: defaultdict(list))
    orders_told: dict[int, OrderRef] = field(default_factory=dict)
    counts_told: dict[int, tuple[ports.Count, ...]] = field(default_factory=dict)
    listings_told: dict[int, tuple[ToldListing, ...]] = field(default_factory=dict)
    is_whole_catalog: bool = False


def process(*, connection_id: int, until: datetime) -> int:
    """Apply what waits in the inbox until nothing does, or the time is up; returns how many events were claimed.

    A channel's failure leaves the events waiting: nothing is lost, contact.failed decides when to call again.
    """
    claimed = 0
    while timezone.now() < until:
        connection = Connection.objects.get(pk=connection_id)
        if not may_read(connection, now=timezone.now()):
            break
        events = _claim(connection)
        if not events:
            break
        claimed += len(events)
        _work_off(connection, _sort(connection, events))
    return claimed


def may_read(connection: Connection, *, now: datetime) -> bool:
    """Whether the channel may be called now: connected and not resting (contact.may_call)."""
    is_connected = connection.state in (Connection.State.LIVE, Connection.State.PAUSED)
    return is_connected and contact.may_call(connection, now=now)


def _claim(connection: Connection) -> list[InboundEvent]:
    """Lease a batch, oldest first; a worker that dies lets the lease run out."""
    now = timezone.now()
    with transaction.atomic():
        due = InboundEvent.objects.filter(connection=connection, state=State.PENDING, next_attempt_at__lte=now)
        events = list(due.order_by("next_attempt_at", "pk").select_for_update(skip_locked=True)[:BATCH])
        InboundEvent.objects.filter(pk__in=[event.pk for event in events]).update(next_attempt_at=now + LEASE)
    return events


def _sort(connection: Connection, events: Sequence[InboundEvent]) -> _Batch:
    connector = registry.connect(connection.channel, account=credentials.account(connection))
    batch = _Batch(list(events))
    for event in events:
        try:
            hint = _hint_of(connector, event)
        except MalformedPayload as error:
            _quarantine(event, error=str(error))
            continue
        if hint.listings:
            batch.listings_told[event.pk] = hint.listings
        if hint.kind == HintKind.ORDERS:
            for order_id in hint.ids:
                batch.by_order[order_id].append(event)
            if len(hint.orders) == 1:
                batch.orders_told[event.pk] = hint.orders[0]
        elif hint.kind == HintKind.STOCK:
            for inventory_id in hint.ids:
                batch.by_stock[inventory_id].append(event)
            if hint.counts:
                batch.counts_told[event.pk] = hint.counts
        else:
            batch.by_kind[hint.kind].append(event)
            batch.is_whole_catalog |= hint.kind == HintKind.CATALOG and bool(hint.ids)
    return batch


def _hint_of(connector: Connector, event: InboundEvent) -> Hint:
    body = bytes(event.body)
    if event.topic.startswith(intake.OWN_TOPIC):
        return Hint(HintKind(event.topic.removeprefix(intake.OWN_TOPIC)), tuple(json.loads(body)["ids"]))
    return connector.parse(topic=event.topic, body=body)


def is_behind(*, connection_id: int) -> bool:
    """Whether anything waits to be applied."""
    return InboundEvent.objects.filter(connection=connection_id, state=State.PENDING).exists()


def _drop_known_orders(connection: Connection, batch: _Batch) -> None:
    """Finish events of changes that we applied already: channels ration reading, and one order causes a burst."""
    ours = Order.objects.filter(
        merchant=connection.merchant_id, channel_id=connection.pk, external_id__in=list(batch.by_order)
    )
    applied = {order.external_id: order for order in ours}
    known = [
        event
        for event in _distinct(batch.by_order)
        if (ref := batch.orders_told.get(event.pk)) is not None
        and ref.external_id in applied
        and applying.is_known(ref, applied[ref.external_id], heard_at=event.received_at)
    ]
    if known:
        # A message that comes after its order was found in the feed: late, not missed.
        told = [batch.orders_told[event.pk].external_id for event in known]
        reconcile.news_came(connection_id=connection.pk, order_ids=told)
    _finish(known, outcome="known already")
    _drop(batch.by_order, known)


def _drop_known_counts(connection: Connection, batch: _Batch) -> None:
    """Finish events that tell the very number we expect there, or have just sent: our own writes coming back."""
    shown = reconcile.expected_numbers(connection=connection, inventory_ids=list(batch.by_stock))
    known = [
        event
        for event in _distinct(batch.by_stock)
        if event.pk in batch.counts_told
        and all(
            count.quantity in shown.get((count.inventory_id, count.location_id), ())
            for count in batch.counts_told[event.pk]
        )
    ]
    _finish(known, outcome="as expected: this was us, or known already")
    _drop(batch.by_stock, known)


def _told_anew(connection: Connection, batch: _Batch) -> set[int]:
    """Events that tell a listing as we do not know it."""
    told = {one.external_id for listings in batch.listings_told.values() for one in listings}
    rows = Listing.objects.filter(connection=connection, external_id__in=told) if told else []
    known = {row.external_id: row for row in rows}
    return {
        event_id
        for event_id, listings in batch.listings_told.items()
        if any(not connections.is_as_told(known.get(one.external_id), one) for one in listings)
    }


def _drop_known_catalog(
    batch: _Batch, catalog: Sequence[InboundEvent], anew: Collection[int]
) -> Sequence[InboundEvent]:
    """Finish events that tell all they are about, and nothing new; the others have the catalog read."""
    known = [event for event in catalog if event.pk in batch.listings_told and event.pk not in anew]
    _finish(known, outcome="known already")
    return [event for event in catalog if event not in known]


def _ask_for_catalog(connection: Connection, batch: _Batch, anew: Collection[int]) -> None:
    """Some channels have one message for any change of a product: where it tells a listing anew, a hint of our own has
    the catalog read again, apart from the count that the event is about."""
    for event in _distinct(batch.by_stock):
        if event.pk in anew:
            intake.hint(connection=connection, kind=HintKind.CATALOG, ids=[], key=f"listing:{event.pk}")


def _drop(by_id: dict[str, list[InboundEvent]], events: Sequence[InboundEvent]) -> None:
    gone = {event.pk for event in events}
    for name in list(by_id):
        by_id[name] = [event for event in by_id[name] if event.pk not in gone]
        if not by_id[name]:
            del by_id[name]


def _work_off(connection: Connection, batch: _Batch) -> None:
    for event in batch.by_kind.pop(HintKind.UNKNOWN, []):
        _finish([event], state=State.IGNORED, outcome=f"no such topic known: {event.topic}")
    for event in batch.by_kind.pop(HintKind.NOTHING, []):
        _finish([event], state=State.IGNORED, outcome=f"of no concern to stock: {event.topic}")
    revoked = batch.by_kind.pop(HintKind.REVOKED, [])
    if revoked:
        _guarded(connection, revoked, lambda: _look_whether_let_in(connection))
        if not may_read(Connection.objects.get(pk=connection.pk), now=timezone.now()):
            others = [event for events in batch.by_kind.values() for event in events]
            _release([*_distinct(batch.by_order), *_distinct(batch.by_stock), *others])
            return
    anew = _told_anew(connection, batch)
    catalog = _drop_known_catalog(batch, batch.by_kind.pop(HintKind.CATALOG, []), anew)
    if catalog:
        since = None if batch.is_whole_catalog else connection.catalog_read_until
        _guarded(connection, catalog, lambda: _read_catalog(connection, since=since))
    locations = batch.by_kind.pop(HintKind.LOCATIONS, [])
    if locations:
        _guarded(connection, locations, lambda: _read_locations(connection))
    # Orders before counts: a count is judged against what the orders say.
    _drop_known_orders(connection, batch)
    if batch.by_order:
        _guarded(connection, _distinct(batch.by_order), lambda: _apply_orders(connection, batch.by_order))
    _ask_for_catalog(connection, batch, anew)
    _drop_known_counts(connection, batch)
    if batch.by_stock:
        _guarded(connection, _distinct(batch.by_stock), lambda: _check_counts(connection, list(batch.by_stock)))


def _guarded(connection: Connection, events: Sequence[InboundEvent], step: Callable[[], str | None]) -> None:
    """Run one step; a channel's failure leaves its events waiting, a failure of ours counts an attempt."""
    try:
        outcome = step()
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
        _put_off(events, error=str(error), counts=error.permanent and not error.needs_reconnect)
    except Exception as error:  # the boundary: whatever went wrong, these events are kept and shown
        log.exception("connection %s: %s events could not be applied", connection.pk, len(events))
        _put_off(events, error=f"{type(error).__name__}: {error}", counts=True)
    else:
        if outcome is not None:
            _finish(events, outcome=outcome)


def _apply_orders(connection: Connection, by_order: Mapping[str, list[InboundEvent]]) -> None:
    """A few orders at a time: what was read is posted, also where the channel then asks for a rest.

    Read all first, and a shop that sells faster than its channel lets us read would never get anything posted.
    """
    ids = list(by_order)
    unread = Counter(event.pk for events in by_order.values() for event in events)
    settled: dict[int, tuple[InboundEvent, list[str], bool]] = {}
    for start in range(0, len(ids), ORDERS_AT_ONCE):
        chunk = ids[start : start + ORDERS_AT_ONCE]
        found = applying.fetch(connection=connection, order_ids=chunk)
        contact.heard(connection_id=connection.pk)
        event_ids = {order.external_id: _cause(by_order, order) for order in found.orders}
        outcomes = applying.apply_orders(connection=connection, found=found, event_ids=event_ids)
        outcomes |= {part: outcomes[order.external_id] for order in found.orders for part in order.asked_as}
        for name in chunk:
            outcome = outcomes.get(name, applying.Outcome(error=f"the channel does not know order {name} yet"))
            for event in by_order[name]:
                unread[event.pk] -= 1
                _, words, failed = settled.get(event.pk, (event, [], False))
                settled[event.pk] = event, [*words, outcome.error or outcome.words], failed or bool(outcome.error)
        _settle([settled.pop(pk) for pk in list(settled) if not unread[pk]])


def _cause(by_order: Mapping[str, list[InboundEvent]], order: ChannelOrder) -> int | None:
    """The event that named the order, or else a part of it."""
    names = [name for name in (order.external_id, *order.asked_as) if name in by_order]
    return by_order[names[0]][-1].pk if names else None


def _settle(settled: Sequence[tuple[InboundEvent, list[str], bool]]) -> None:
    """Finish events all of whose orders are applied; those of which one failed come again."""
    for event, words, has_failed in settled:
        if has_failed:
            _put_off([event], error="; ".join(dict.fromkeys(words)), counts=True)
    _finish_each([(event, "; ".join(dict.fromkeys(words))) for event, words, bad in settled if not bad])


def _check_counts(connection: Connection, inventory_ids: Sequence[str]) -> str:
    return reconcile.check(connection_id=connection.pk, inventory_ids=inventory_ids)


def _look_whether_let_in(connection: Connection) -> str:
    """A withdrawal may be told late, when the owner has let us in again: the channel's door says how it is now."""
    try:
        credentials.with_fresh_token(connection.pk, lambda connector: connector.list_locations())
    except ConnectorError as error:
        if not (error.permanent or error.needs_reconnect or error.code in credentials.EXPIRED_CODES):
            raise
        contact.lost(connection_id=connection.pk, reason="The channel withdrew our access.")
        return "access withdrawn"
    return "told late: it lets us in again"


def _read_catalog(connection: Connection, *, since: datetime | None) -> str:
    return f"catalog read again: {connections.import_catalog(connection, since=since)} listings"


def _read_locations(connection: Connection) -> str:
    return f"locations read again: {connections.refresh_locations(connection)}"


def _distinct(by_id: Mapping[str, Sequence[InboundEvent]]) -> list[InboundEvent]:
    return list({event.pk: event for events in by_id.values() for event in events}.values())


def _finish(events: Sequence[InboundEvent], *, outcome: str, state: str = State.DONE) -> None:
    InboundEvent.objects.filter(pk__in=[event.pk for event in events], state=State.PENDING).update(
        state=state, outcome=outcome[:300], applied_at=timezone.now(), error=""
    )


def _finish_each(outcomes: Sequence[tuple[InboundEvent, str]]) -> None:
    by_words: defaultdict[str, list[InboundEvent]] = defaultdict(list)
    for event, words in outcomes:
        by_words[words].append(event)
    for words, events in by_words.items():
        _finish(events, outcome=words)


def _release(events: Sequence[InboundEvent]) -> None:
    InboundEvent.objects.filter(pk__in=[event.pk for event in events]).update(next_attempt_at=timezone.now())


def _put_off(events: Sequence[InboundEvent], *, error: str, counts: bool) -> None:
    """Try again later; attempts that count are bounded and end in quarantine."""
    now = timezone.now()
    for event in events:
        attempts = event.attempts + counts
        if attempts >= ATTEMPTS_MAX:
            _quarantine(event, error=error)
            continue
        InboundEvent.objects.filter(pk=event.pk, state=State.PENDING).update(
            attempts=attempts,
            error=error,
            next_attempt_at=now + timedelta(seconds=contact.backoff_s(attempts)),
        )


def _quarantine(event: InboundEvent, *, error: str) -> None:
    InboundEvent.objects.filter(pk=event.pk).update(
        state=State.QUARANTINED, error=error, attempts=F("attempts") + 1, outcome="could not be applied"
    )
    intake.report_quarantine(merchant_id=event.merchant_id, connection_id=event.connection_id)


class NotInQuarantine(Exception):
    """The event is not waiting for a decision any more."""


def replay(*, event_id: int, actor: User | None) -> None:
    """Put an event back into the queue, as new: one in quarantine, or one given up on by mistake.

    Raises NotInQuarantine.
    """
    fields = {"state": State.PENDING, "attempts": 0, "next_attempt_at": timezone.now(), "applied_at": None}
    _decide(event_id, actor, "replayed", may_be=(State.QUARANTINED, State.DISCARDED), outcome="", **fields)


def discard(*, event_id: int, actor: User | None, reason: str) -> None:
    """Give up on a quarantined event, saying why; its bytes stay. Raises NotInQuarantine."""
    _decide(event_id, actor, "discarded", state=State.DISCARDED, outcome=reason[:300], applied_at=timezone.now())


@dataclass(frozen=True)
class Cause:
    """Quarantined events of one topic that failed in the same way. `like`: the newest of them, which names them all."""

    topic: str
    error: str
    count: int
    since: datetime
    like: int


def causes(*, connection: Connection, like: int | None = None) -> list[Cause]:
    """What lies in quarantine, by topic and error, most first; or only what failed as the event `like` did."""
    grouped = _quarantined(connection, like=like).order_by().values("topic", "error")
    rows = grouped.annotate(count=Count("pk"), since=Min("received_at"), like=Max("pk")).order_by("-count", "topic")
    return [Cause(**row) for row in rows[:CAUSES_MAX]]


def replay_many(*, connection: Connection, actor: User | None, up_to: int, like: int | None = None) -> int:
    """Put quarantined events back into the queue, at most MANY_MAX at once, oldest first; returns how many.

    `up_to`: no event after this one, which the person has not seen. `like`: only what failed as that event did.
    """
    fields = {"state": State.PENDING, "attempts": 0, "next_attempt_at": timezone.now(), "outcome": ""}
    return _decide_many(connection, actor, "replayed", up_to=up_to, like=like, **fields)


def discard_many(
    *, connection: Connection, actor: User | None, reason: str, up_to: int, like: int | None = None
) -> int:
    """Give up on quarantined events for one reason, as `replay_many` chooses them; their bytes stay."""
    fields = {"state": State.DISCARDED, "outcome": reason[:300], "applied_at": timezone.now()}
    return _decide_many(connection, actor, "discarded", up_to=up_to, like=like, **fields)


def _quarantined(connection: Connection, *, like: int | None) -> QuerySet[InboundEvent]:
    rows = InboundEvent.objects.filter(connection=connection, state=State.QUARANTINED)
    if like is None:
        return rows
    one = InboundEvent.objects.filter(connection=connection, pk=like).values("topic", "error").first()
    return rows.filter(**one) if one else rows.none()


def _decide_many(
    connection: Connection, actor: User | None, word: str, *, up_to: int, like: int | None, **fields: Any
) -> int:
    with transaction.atomic():
        # One who decides about a single event meanwhile has it; the others are ours.
        rows = _quarantined(connection, like=like).filter(pk__lte=up_to).select_for_update(skip_locked=True)
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:MANY_MAX])
        if not ids:
            return 0
        InboundEvent.objects.filter(pk__in=ids).update(**fields)
        audit.record(
            actor=actor, merchant=connection.merchant, action=f"inbox.{word}", target=connection,
            summary=f"{word} {len(ids)} messages of {connection.label}", outcome=fields["outcome"], events=ids,
        )  # fmt: skip
        _settle_incident(connection.merchant_id, connection.pk, actor)
    return len(ids)


def _settle_incident(merchant_id: int, connection_id: int, actor: User | None) -> None:
    """Nothing left in quarantine: nobody need be told any more."""
    if not InboundEvent.objects.filter(connection=connection_id, state=State.QUARANTINED).exists():
        incidents.resolve(
            merchant_id=merchant_id, kind=incidents.Kind.QUARANTINE, key=f"connection:{connection_id}",
            how="all messages replayed or discarded", actor=actor,
        )  # fmt: skip


def _decide(
    event_id: int, actor: User | None, word: str, *, may_be: Collection[str] = (State.QUARANTINED,), **fields: Any
) -> None:
    with transaction.atomic():
        event = InboundEvent.objects.select_for_update().select_related("merchant").get(pk=event_id)
        if event.state not in may_be:
            raise NotInQuarantine(event.get_state_display())
        InboundEvent.objects.filter(pk=event_id).update(**fields)
        audit.record(
            actor=actor, merchant=event.merchant, action=f"inbox.{word}", target=event,
            summary=f"{word} {event.topic or 'an unreadable message'}", outcome=fields["outcome"],
        )  # fmt: skip
        _settle_incident(event.merchant_id, event.connection_id, actor)
