"""Orders are applied by state: work out what the whole order should now hold, post only the difference.

Whatever order its events arrive in, and however often, the same description of an order leads to the same holds:
committed (promised, still here), fulfilled (left), restocked (came back to the shelf), per line and location. The
difference to what the order held before becomes movements, posted in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import models, transaction

from inventory import bundles, ledger
from inventory.models import Order, OrderHold, OrderLine, OrderReturn

ZERO = Decimal(0)
# To which a channel's clock is known: it tells whole seconds, and answers take a while.
CLOCKS_APART = timedelta(seconds=2)
Kind = ledger.Kind


@dataclass(frozen=True)
class Hold:
    """What a line holds at one location, in units of the line, be it a bundle.

    `fulfilled` is all that ever left, returned since or not.
    """

    location_id: int
    committed: Decimal = ZERO
    fulfilled: Decimal = ZERO


@dataclass(frozen=True)
class LineState:
    """A line as it stands now. `variant_id` None: linked to nothing yet, so it holds no stock."""

    external_id: str
    listing_external_id: str
    variant_id: int | None
    sku: str
    title: str
    quantity: Decimal
    holds: Sequence[Hold]


@dataclass(frozen=True)
class ReturnState:
    """Units of a line given back: restocked at a location, or written off where `location_id` is None."""

    line_external_id: str
    quantity: Decimal
    location_id: int | None


@dataclass(frozen=True)
class Reading:
    """When an order was asked for and had, by our clock, and how far the channel's was behind it: negative where it was
    ahead, None where the channel does not tell."""

    asked_at: datetime
    had_at: datetime
    clock_behind: timedelta | None = None


@dataclass(frozen=True)
class OrderState:
    """A whole order as its channel describes it now; all its lines, and all returns it tells of itself.

    `left_at`: when the last of what left did so; None where the channel does not tell. `clock_behind`: how far the
    clock that all these times are of is behind ours. `reading`: None where the channel told us unasked.
    """

    external_id: str
    number: str
    placed_at: datetime
    updated_at: datetime
    version: int
    is_cancelled: bool
    lines: Sequence[LineState]
    returns: Sequence[ReturnState] = ()
    total: Decimal | None = None
    currency: str = ""
    is_before_opening: bool = False
    event_id: int | None = None
    left_at: datetime | None = None
    clock_behind: timedelta = timedelta(0)
    reading: Reading | None = None


@dataclass(frozen=True)
class Applied:
    """What applying one order did. `is_stale`: an older description than the one we have, ignored."""

    external_id: str
    order_id: int
    is_stale: bool
    movements: int
    unlinked_lines: int


class ImpossibleOrder(Exception):
    """A description that cannot be true, such as more returned than sold. Nothing of the batch was applied."""


class UnknownOrder(Exception):
    """A return document that belongs to an order we have not seen; read that order first."""


@dataclass
class _Known:
    """An order's row, locked, with all that hangs on it; lines are known by their external id."""

    order: Order
    is_new: bool
    lines: dict[str, OrderLine] = field(default_factory=dict)
    holds: dict[tuple[str, int], OrderHold] = field(default_factory=dict)
    returns: dict[tuple[str, str, int | None], OrderReturn] = field(default_factory=dict)
    compositions: Mapping[int, bundles.Composition] = field(default_factory=dict)

    @property
    def is_baseline(self) -> bool:
        """First sight of an order that the opening count knew already: what left or came back is not news."""
        return self.is_new and self.order.is_before_opening


def apply(
    *, merchant_id: int, channel_id: int, states: Sequence[OrderState], moves_channel: bool = True
) -> list[Applied]:
    """Bring orders to the state described, in one transaction with one posting; results in the order given.

    `moves_channel` False: the channel's own number does not move by its sales, it shows only what it is told.
    Each order may come once. Locks the orders in primary-key order, then the levels (by the ledger). Raises
    ImpossibleOrder; the caller then applies the orders one at a time, so that one bad order stops no other.
    """
    with transaction.atomic():
        known = _locked(merchant_id=merchant_id, channel_id=channel_id, states=states)
        _read_compositions(known.values(), states)
        results: list[Applied] = []
        entries: list[ledger.Entry] = []
        for state in states:
            one = known[state.external_id]
            stale = not one.is_new and _is_older(state, than=one.order)
            difference = [] if stale else _bring(one, state)
            entries += difference
            unlinked = sum(line.variant_id is None for line in state.lines)
            results.append(Applied(state.external_id, one.order.pk, stale, len(difference), unlinked))
        _store(known.values())
        _post(merchant_id, channel_id, entries, moves_channel=moves_channel)
        return results


def apply_return(
    *,
    merchant_id: int,
    channel_id: int,
    order_external_id: str,
    document: str,
    returned_at: datetime,
    returns: Sequence[ReturnState],
    event_id: int | None = None,
    moves_channel: bool = True,
) -> Applied:
    """Apply a return document of its own: from now on it gives back exactly `returns`.

    Locks the order, then the levels. Raises UnknownOrder, or ImpossibleOrder when more came back than was sold.
    """
    with transaction.atomic():
        rows = Order.objects.filter(merchant_id=merchant_id, channel_id=channel_id, external_id=order_external_id)
        one = next(iter(_load(list(rows.select_for_update(of=("self",))), new=set()).values()), None)
        if one is None:
            raise UnknownOrder(order_external_id)
        _read_compositions([one], [])
        one.order.revision += 1
        _set_returns(one, document=document, returns=returns)
        entries = _post_restocked(one, occurred_at=returned_at, event_id=event_id)
        _sum_lines(one)
        _store([one])
        _post(merchant_id, channel_id, entries, moves_channel=moves_channel)
        return Applied(order_external_id, one.order.pk, False, len(entries), 0)


def _post(merchant_id: int, channel_id: int, entries: Sequence[ledger.Entry], *, moves_channel: bool) -> None:
    if not moves_channel:
        entries = [replace(entry, moved_channel=False) for entry in entries]
    ledger.post(merchant_id=merchant_id, source=f"channel:{channel_id}", entries=entries, channel_id=channel_id)


def _is_older(state: OrderState, *, than: Order) -> bool:
    if state.version != than.external_version:
        return state.version < than.external_version
    older_by = than.external_updated_at - state.updated_at
    if not older_by:  # to the second, perhaps, and changed again within it
        return state.reading is not None and than.read_at is not None and state.reading.had_at < than.read_at
    return older_by > max(timedelta(0), _set_back(than, state.reading))


def _set_back(before: Order, reading: Reading | None) -> timedelta:
    """By how much at the most the channel's clock was set back since it gave what we have its time, up to this reading.

    Only that makes what was asked for later bear the older time; a copy that lags is older, however late it is asked.
    """
    if before.read_at is None or before.clock_behind is None or reading is None or reading.clock_behind is None:
        return timedelta(0)
    if reading.asked_at <= before.read_at:
        return timedelta(0)
    until_read = before.external_updated_at - (before.read_at - before.clock_behind)  # a time its clock had yet to show
    since = reading.clock_behind - before.clock_behind
    set_back = max(timedelta(0), until_read) + max(timedelta(0), since)
    return set_back + CLOCKS_APART if set_back > CLOCKS_APART else timedelta(0)


def _locked(*, merchant_id: int, channel_id: int, states: Sequence[OrderState]) -> dict[str, _Known]:
    ids = [state.external_id for state in states]
    rows = Order.objects.filter(merchant_id=merchant_id, channel_id=channel_id, external_id__in=ids)
    seen = set(rows.values_list("external_id", flat=True))
    # Two workers may see the same new order at once: one inserts, the other waits for its commit and then locks it.
    Order.objects.bulk_create(
        [
            Order(
                merchant_id=merchant_id,
                channel_id=channel_id,
                external_id=state.external_id,
                placed_at=state.placed_at,
                external_updated_at=state.updated_at,
                external_version=-1,
                is_before_opening=state.is_before_opening,
            )
            for state in sorted(states, key=lambda state: state.external_id)
            if state.external_id not in seen
        ],
        ignore_conflicts=True,
    )
    # In primary-key order: two batches with the same orders must lock in the same order.
    locked = list(rows.order_by("pk").select_for_update(of=("self",)))
    return _load(locked, new={order.external_id for order in locked if order.external_version < 0})


def _load(orders: Sequence[Order], *, new: set[str]) -> dict[str, _Known]:
    known = {order.pk: _Known(order, order.external_id in new) for order in orders}
    lines: dict[int, tuple[_Known, str]] = {}
    for line in OrderLine.objects.filter(order__in=orders).order_by("pk"):
        lines[line.pk] = known[line.order_id], line.external_id
        known[line.order_id].lines[line.external_id] = line
    for hold in OrderHold.objects.filter(line__in=lines).order_by("pk"):
        one, name = lines[hold.line_id]
        one.holds[name, hold.location_id] = hold
    for back in OrderReturn.objects.filter(line__in=lines).order_by("pk"):
        one, name = lines[back.line_id]
        one.returns[name, back.document, back.location_id] = back
    return {one.order.external_id: one for one in known.values()}


def _read_compositions(known: Iterable[_Known], states: Sequence[OrderState]) -> None:
    """What bundles among the lines are made of: as they were first held by, as they are now where not held yet."""
    known = list(known)
    lines = [line for one in known for line in one.lines.values()]
    found = bundles.compositions(
        variant_ids=[line.variant_id for line in lines if line.variant_id]
        + [line.variant_id for state in states for line in state.lines if line.variant_id],
        bundle_ids=[line.bundle_id for line in lines if line.bundle_id],
    )
    for one in known:
        one.compositions = found
        for line in one.lines.values():
            _remember_composition(one, line)


def _remember_composition(one: _Known, line: OrderLine) -> None:
    if line.bundle_id is None:
        line.bundle_id = bundles.made_when_sold(one.compositions, variant_id=line.variant_id)


def _store(known: Iterable[_Known]) -> None:
    """Write all rows of all orders, a few statements in all."""
    known = list(known)
    Order.objects.bulk_update(
        [one.order for one in known],
        [
            "number",
            "placed_at",
            "external_updated_at",
            "external_version",
            "read_at",
            "clock_behind",
            "total",
            "currency",
            "revision",
            "state",
        ],
    )
    _store_rows(
        OrderLine,
        [line for one in known for line in one.lines.values()],
        [
            "listing_external_id",
            "variant",
            "bundle",
            "sku",
            "title",
            "quantity",
            "fulfilled",
            "restocked",
            "written_off",
        ],
    )
    _store_rows(
        OrderHold, [hold for one in known for hold in one.holds.values()], ["committed", "fulfilled", "restocked"]
    )
    _store_rows(OrderReturn, [back for one in known for back in one.returns.values()], ["restocked", "written_off"])


def _store_rows(model: type[models.Model], rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    for row in rows:
        if isinstance(row, OrderHold | OrderReturn):
            row.line_id = row.line.pk  # the line may have got its key just now
    known, new = [row for row in rows if row.pk], [row for row in rows if not row.pk]
    model._default_manager.bulk_create(new)
    model._default_manager.bulk_update(known, fields, batch_size=500)


def _bring(one: _Known, state: OrderState) -> list[ledger.Entry]:
    """Make the order's rows as described, and return the movements that make the ledger follow."""
    order = one.order
    order.number = state.number[:60]
    order.placed_at, order.external_updated_at = state.placed_at, state.updated_at
    order.external_version = state.version
    order.read_at, order.clock_behind = (
        (state.reading.had_at, state.reading.clock_behind) if state.reading else (None, None)
    )
    order.total, order.currency = state.total, state.currency
    order.revision += 1
    for described in state.lines:
        _set_line(one, described)
    entries = _post_holds(one, state)
    _set_returns(one, document="", returns=state.returns)
    entries += _post_restocked(one, occurred_at=state.updated_at + state.clock_behind, event_id=state.event_id)
    _sum_lines(one)
    order.state = _state_of(one, state)
    return entries


def _state_of(one: _Known, state: OrderState) -> str:
    if state.is_cancelled:
        return Order.State.CANCELLED
    has_left = any(line.fulfilled for line in one.lines.values())
    waits = any(hold.committed for hold in one.holds.values())
    return Order.State.FULFILLED if has_left and not waits else Order.State.OPEN


def _set_line(one: _Known, described: LineState) -> None:
    line = one.lines.setdefault(described.external_id, OrderLine(order=one.order, external_id=described.external_id))
    # A line that holds stock keeps its variant: its units lie there, whatever the listing is linked to now.
    if line.variant_id is None:
        line.variant_id = described.variant_id
    _remember_composition(one, line)
    line.listing_external_id = described.listing_external_id[:120]
    line.sku, line.title = described.sku[:120], described.title[:300]
    line.quantity = described.quantity


def _post_holds(one: _Known, state: OrderState) -> list[ledger.Entry]:
    wanted = {
        (described.external_id, hold.location_id): hold
        for described in state.lines
        if one.lines[described.external_id].variant_id is not None
        for hold in described.holds
    }
    mentioned = {described.external_id for described in state.lines}
    entries = []
    for name, location_id in sorted(wanted.keys() | one.holds.keys()):
        line = one.lines[name]
        held = one.holds.setdefault((name, location_id), OrderHold(line=line, location_id=location_id))
        hold = wanted.get((name, location_id), Hold(location_id))
        # A line that is gone from the order promises nothing any more, but what left has left.
        fulfilled = hold.fulfilled if name in mentioned else held.fulfilled
        committed_by, left = hold.committed - held.committed, fulfilled - held.fulfilled
        held.committed, held.fulfilled = hold.committed, fulfilled
        if one.is_baseline:
            left = ZERO
        if committed_by or left:
            entry = ledger.Entry(
                variant_id=_variant_of(line),
                location_id=location_id,
                kind=_kind(committed_by=committed_by, left=left),
                key=f"order:{one.order.pk}:{one.order.revision}:{name}:{location_id}",
                occurred_at=_happened_at(one, state, left=left),
                on_hand=-left,
                committed=committed_by,
                order_id=one.order.pk,
                event_id=state.event_id,
                moved_channel=not one.is_baseline,
            )
            entries += bundles.expand(entry, _composition_of(one, line))
    return entries


def _happened_at(one: _Known, state: OrderState, *, left: Decimal) -> datetime:
    """What a count of the shelf has seen is told by this time, which is ours: goods of a waiting order still lay there.

    A clock that is ahead is believed: what is dated too late comes off the shelf once more, too early not at all.
    """
    there = state.placed_at if one.is_new else state.updated_at
    if left > 0 and state.left_at is not None:
        there = state.left_at
    return there + state.clock_behind


def _kind(*, committed_by: Decimal, left: Decimal) -> str:
    if left > 0:
        return Kind.FULFILL if committed_by < 0 else Kind.SALE
    return Kind.COMMIT if committed_by > 0 else Kind.RELEASE


def _variant_of(line: OrderLine) -> int:
    if line.variant_id is None:
        raise AssertionError(f"line {line.external_id} of order {line.order_id} holds stock of no variant")
    return line.variant_id


def _composition_of(one: _Known, line: OrderLine) -> bundles.Composition | None:
    return None if line.bundle_id is None else one.compositions[line.bundle_id]


def _set_returns(one: _Known, *, document: str, returns: Sequence[ReturnState]) -> None:
    """From now on `document` gives back exactly `returns`."""
    given: defaultdict[tuple[str, int | None], Decimal] = defaultdict(lambda: ZERO)
    for back in returns:
        if back.line_external_id not in one.lines:
            raise ImpossibleOrder(f"order {one.order.external_id} returns line {back.line_external_id} it never had")
        given[back.line_external_id, back.location_id] += back.quantity
    before = {(name, where) for name, of, where in one.returns if of == document}
    for name, where in given.keys() | before:
        row = one.returns.setdefault(
            (name, document, where), OrderReturn(line=one.lines[name], document=document, location_id=where)
        )
        quantity = given[name, where]
        row.restocked, row.written_off = (ZERO, quantity) if where is None else (quantity, ZERO)


def _post_restocked(one: _Known, *, occurred_at: datetime, event_id: int | None) -> list[ledger.Entry]:
    restocked: defaultdict[tuple[str, int], Decimal] = defaultdict(lambda: ZERO)
    for (name, _, where), back in one.returns.items():
        if where is not None and one.lines[name].variant_id is not None:
            restocked[name, where] += back.restocked
    entries = []
    for name, where in sorted(restocked.keys() | one.holds.keys()):
        held = one.holds.setdefault((name, where), OrderHold(line=one.lines[name], location_id=where))
        by = restocked[name, where] - held.restocked
        held.restocked += by
        if by and not one.is_baseline:
            entry = ledger.Entry(
                variant_id=_variant_of(one.lines[name]),
                location_id=where,
                kind=Kind.RETURN,
                key=f"return:{one.order.pk}:{one.order.revision}:{name}:{where}",
                occurred_at=occurred_at,
                on_hand=by,
                order_id=one.order.pk,
                event_id=event_id,
            )
            entries += bundles.expand(entry, _composition_of(one, one.lines[name]))
    return entries


def _sum_lines(one: _Known) -> None:
    """Sum what each line fulfilled and got back. Raises ImpossibleOrder where more came back than was sold."""
    for name, line in one.lines.items():
        if line.variant_id is None:
            continue  # it holds no stock of ours until its listing is linked
        line.fulfilled = sum((hold.fulfilled for (of, _), hold in one.holds.items() if of == name), ZERO)
        backs = [back for (of, _, _), back in one.returns.items() if of == name]
        line.restocked = sum((back.restocked for back in backs), ZERO)
        line.written_off = sum((back.written_off for back in backs), ZERO)
        if line.restocked + line.written_off > line.fulfilled:
            raise ImpossibleOrder(
                f"order {one.order.external_id}: line {name} sold {line.fulfilled} "
                f"and got back {line.restocked + line.written_off}"
            )
