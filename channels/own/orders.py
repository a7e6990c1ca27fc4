"""Orders of the shop's own site, told by state: the whole order as it stands now, or one step of it as a total.

Whatever is sent twice changes nothing: an order is known by the site's own id, what has left by its total so far, a
return by its own id. What the site sold is a fact and is recorded even where the shelf is empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from django.db import connection as database
from django.db import transaction

from channels import collisions
from channels.own import placing, promising, site
from channels.own.placing import Cell, More, Shares
from channels.own.site import Address, Asked, Offer
from inventory import orders as ledger_orders
from inventory import reservations
from inventory.models import Order, OrderHold, OrderLine, Reservation
from inventory.orders import Hold, LineState, OrderState, ReturnState
from inventory.routing import deciding

ZERO = Decimal(0)


@dataclass(frozen=True)
class OrderHead:
    """What an order is beside its lines."""

    order_id: str
    number: str = ""
    placed_at: datetime | None = None
    updated_at: datetime | None = None
    total: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True)
class LineWish:
    """A line as it stands now: so many ordered, so many of them gone. `location_id` None: chosen, or as before."""

    line_id: str
    goods: Asked
    fulfilled: Decimal = ZERO
    location_id: int | None = None
    title: str = ""


@dataclass(frozen=True)
class OrderWish:
    """A whole order as the site describes it now."""

    head: OrderHead
    lines: Sequence[LineWish]
    is_cancelled: bool = False
    address: Address | None = None


@dataclass(frozen=True)
class Back:
    """Units of a line that came back: to the shelf of `location_id` (None: where they left from), or written off."""

    line_id: str
    quantity: Decimal
    is_restocked: bool
    location_id: int | None = None


@dataclass(frozen=True)
class Left:
    """How many of a line have left so far, in all."""

    line_id: str
    fulfilled: Decimal


class NoSuchOrder(Exception):
    """The site has sent no order of that id."""


class OrderExists(Exception):
    """An order of that id is there and looks otherwise."""


class StaleOrder(Exception):
    """The description is older than what we have; nothing was changed."""


class Impossible(Exception):
    """What is described cannot be: says why, for the person who reads the site's log."""


class UnknownPlace(Exception):
    """The site sells from no such location."""


def lock(*, site_id: int, order_id: str) -> None:
    """From now to the end of the transaction nobody else changes this order, whether it exists yet or not."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [f"own.order:{order_id}", site_id])


def find(*, site_id: int, order_id: str) -> Order:
    """One of the site's own orders. Raises NoSuchOrder."""
    order: Order | None = Order.objects.filter(channel_id=site_id, external_id=order_id).first()
    if order is None:
        raise NoSuchOrder(order_id)
    return order


def refuse_known(*, site_id: int, order_id: str) -> None:
    """Raises OrderExists for an id that is taken."""
    if Order.objects.filter(channel_id=site_id, external_id=order_id).exists():
        raise OrderExists(order_id)


def create(*, site_id: int, merchant_id: int, wish: OrderWish, now: datetime) -> tuple[Order, bool]:
    """Record a new order; the same again returns it. Whether it is new.

    Raises OrderExists where the id is another order's, and as `put`.
    """
    with transaction.atomic():
        lock(site_id=site_id, order_id=wish.head.order_id)
        known = Order.objects.filter(channel_id=site_id, external_id=wish.head.order_id).first()
        if known is None:
            return _put(site_id, merchant_id, wish, known=None, now=now), True
        offers, _ = site.find(site_id=site_id, merchant_id=merchant_id, asked=[line.goods for line in wish.lines])
        asked = {
            line.line_id: (offer.variant_id, line.goods.quantity)
            for line, offer in zip(wish.lines, offers, strict=True)
        }
        there = {
            name: (variant_id, quantity)
            for name, variant_id, quantity in known.lines.values_list("external_id", "variant_id", "quantity")
        }
        if asked != there:
            raise OrderExists(wish.head.order_id)
        return known, False


def put(*, site_id: int, merchant_id: int, wish: OrderWish, now: datetime) -> tuple[Order, bool]:
    """Bring the order to the state described, new or known; whether it is new.

    Raises site.UnknownGoods, UnknownPlace, Impossible, StaleOrder.
    """
    with transaction.atomic():
        lock(site_id=site_id, order_id=wish.head.order_id)
        known = Order.objects.filter(channel_id=site_id, external_id=wish.head.order_id).first()
        return _put(site_id, merchant_id, wish, known=known, now=now), known is None


def _put(site_id: int, merchant_id: int, wish: OrderWish, *, known: Order | None, now: datetime) -> Order:
    # Each state that more was wanted in has a decision of its own, so that the page says why of each.
    routed_as = f"order:{site_id}:{wish.head.order_id}" + (f":{known.external_version + 1}" if known else "")
    lines, was_routed = _describe(site_id, merchant_id, wish, known, routed_as=routed_as, now=now)
    order = _apply(site_id, merchant_id, wish.head, lines, is_cancelled=wish.is_cancelled, known=known, now=now)
    if was_routed:
        deciding.belongs_to_order(merchant_id=merchant_id, reference=routed_as, order_id=order.pk)
    return order


def _describe(
    site_id: int, merchant_id: int, wish: OrderWish, known: Order | None, *, routed_as: str, now: datetime
) -> tuple[list[LineState], bool]:
    """Each line with what it holds where: what has left stays where it left from, the rest waits at its place.

    And whether a decision was kept on where from.
    """
    offers, by_variant = site.find(site_id=site_id, merchant_id=merchant_id, asked=[one.goods for one in wish.lines])
    places = [place.pk for place in sorted(site.places(site_id=site_id), key=lambda place: (place.rank, place.pk))]
    strange = [line.location_id for line in wish.lines if line.location_id and line.location_id not in places]
    if strange or not places:
        raise UnknownPlace(*strange)
    before = {state.external_id: state for state in _as_it_stands(known)} if known else {}
    more = [
        found
        for line, offer in zip(wish.lines, offers, strict=True)
        if (found := _more(line, offer, before.get(line.line_id), is_cancelled=wish.is_cancelled)) is not None
    ]
    grows = {one.line_id for one in more}
    variants = {line.line_id: offer.variant_id for line, offer in zip(wish.lines, offers, strict=True)}

    def held(line: LineWish, shares: Shares | None = None) -> list[Hold]:
        return _holds(line, before.get(line.line_id), shares, is_cancelled=wish.is_cancelled)

    holds = {line.line_id: held(line) for line in wish.lines if line.line_id not in grows}
    placed = placing.place(
        merchant_id=merchant_id, reference=routed_as, more=more, offered=by_variant, places=places,
        used=_used(wish, before), taken=_taken(before, holds, variants), address=wish.address, now=now,
    )  # fmt: skip
    holds |= {line.line_id: held(line, placed.by_line[line.line_id]) for line in wish.lines if line.line_id in grows}
    lines = [
        LineState(
            external_id=line.line_id,
            listing_external_id=str(offer.variant_id),
            variant_id=offer.variant_id,
            sku=offer.sku,
            title=line.title,
            quantity=line.goods.quantity,
            holds=holds[line.line_id],
        )
        for line, offer in zip(wish.lines, offers, strict=True)
    ]
    return lines, placed.was_routed


def _more(line: LineWish, offer: Offer, was: LineState | None, *, is_cancelled: bool) -> More | None:
    """What of a line waits nowhere yet and may leave from anywhere."""
    if line.location_id is not None:
        return None
    home = placing.place_of(was) if was else None
    if was is None or home is None:
        return More(line.line_id, offer.variant_id, line.goods.quantity)
    quantity = line.goods.quantity - placing.units_of(was)
    return More(line.line_id, offer.variant_id, quantity, home) if quantity > 0 and not is_cancelled else None


def _used(wish: OrderWish, before: Mapping[str, LineState]) -> set[int]:
    """Where units of the order wait, or are told to."""
    told = {line.line_id for line in wish.lines}
    waits = {one.location_id for name, was in before.items() if name in told for one in was.holds if one.committed}
    named = {line.location_id for line in wish.lines if line.location_id and line.fulfilled < line.goods.quantity}
    return waits | named


def _taken(
    before: Mapping[str, LineState], holds: Mapping[str, Sequence[Hold]], variants: Mapping[str, int]
) -> dict[Cell, Decimal]:
    """Units that lines take whose place is certain, by variant and place, and, below zero, those that are given back.

    `holds`: what those lines hold now. `variants`: of all lines there are; the units of others are given back.
    """
    taken: defaultdict[Cell, Decimal] = defaultdict(lambda: ZERO)
    for name, was in before.items():
        if was.variant_id is not None and (name in holds or name not in variants):
            for hold in was.holds:
                taken[was.variant_id, hold.location_id] -= hold.committed + (hold.fulfilled if name in holds else ZERO)
    for name, now in holds.items():
        for hold in now:
            taken[variants[name], hold.location_id] += hold.committed + hold.fulfilled
    return dict(taken)


def _holds(line: LineWish, was: LineState | None, shares: Shares | None, *, is_cancelled: bool) -> list[Hold]:
    """What the line holds where. Raises Impossible."""
    if line.fulfilled > line.goods.quantity and not is_cancelled:
        raise Impossible(f"line {line.line_id}: {line.fulfilled} have left of {line.goods.quantity}")
    gone = sum((hold.fulfilled for hold in was.holds), ZERO) if was else ZERO
    if line.fulfilled < gone:
        raise Impossible(f"{gone} have left already, which cannot be undone: send a return")
    home = line.location_id or (placing.place_of(was) if was else None)
    if home is None:
        return placing.first_holds(shares or {}, fulfilled=line.fulfilled, is_cancelled=is_cancelled)
    if was is not None and shares is not None:
        return placing.grown(was, shares, home=home, fulfilled=line.fulfilled)
    return placing.holds_at(
        was, home=home, is_named=line.location_id is not None, quantity=line.goods.quantity, fulfilled=line.fulfilled,
        is_cancelled=is_cancelled,
    )  # fmt: skip


def _as_it_stands(order: Order) -> list[LineState]:
    """The order's lines as we have them."""
    held: dict[int, list[OrderHold]] = {}
    for hold in OrderHold.objects.filter(line__order=order).order_by("pk"):
        held.setdefault(hold.line_id, []).append(hold)
    return [
        LineState(
            external_id=line.external_id,
            listing_external_id=line.listing_external_id,
            variant_id=line.variant_id,
            sku=line.sku,
            title=line.title,
            quantity=line.quantity,
            holds=[Hold(one.location_id, one.committed, one.fulfilled) for one in held.get(line.pk, ())],
        )
        for line in OrderLine.objects.filter(order=order).order_by("pk")
    ]


def _apply(
    site_id: int,
    merchant_id: int,
    head: OrderHead,
    lines: Sequence[LineState],
    *,
    is_cancelled: bool,
    known: Order | None,
    now: datetime,
    was_held: bool = False,
) -> Order:
    """Apply the state, and give what waits since its days; `was_held`: it has those of the hold that becomes it."""
    before = promising.waiting(known)
    updated_at = head.updated_at or now
    if known is not None and head.updated_at is not None and head.updated_at < known.external_updated_at:
        raise StaleOrder(known.external_updated_at)
    state = OrderState(
        external_id=head.order_id,
        number=head.number,
        placed_at=head.placed_at or (known.placed_at if known else now),
        updated_at=updated_at,
        version=known.external_version + 1 if known else 1,
        is_cancelled=is_cancelled,
        lines=lines,
        total=head.total,
        currency=head.currency,
    )
    try:
        # The site shows what we tell it: its own sale moves no number there until it is told.
        ledger_orders.apply(merchant_id=merchant_id, channel_id=site_id, states=[state], moves_channel=False)
    except ledger_orders.ImpossibleOrder as error:
        raise Impossible(str(error)) from error
    collisions.sweep(merchant_id=merchant_id)
    order = find(site_id=site_id, order_id=head.order_id)
    if not was_held:
        promising.keep(site_id=site_id, order=order, before=before)
    return order


def from_hold(*, site_id: int, hold: Reservation, order: OrderHead, now: datetime) -> Order:
    """The order that a hold became, its lines numbered 1, 2, 3 … as the hold's are. Call in the transaction that
    ends the hold."""
    lines = [
        LineState(
            external_id=str(number),
            listing_external_id=str(one.variant_id),
            variant_id=one.variant_id,
            sku=one.variant.sku,
            title="",
            quantity=one.quantity,
            holds=[Hold(one.location_id, committed=one.quantity)],
        )
        for number, one in enumerate(reservations.lines_of(hold), start=1)
    ]
    return _apply(site_id, hold.merchant_id, order, lines, is_cancelled=False, known=None, now=now, was_held=True)


def cancel(*, site_id: int, order_id: str, now: datetime) -> Order:
    """What has not left is free again; what has left comes back by a return. Raises NoSuchOrder."""
    with transaction.atomic():
        lock(site_id=site_id, order_id=order_id)
        order = find(site_id=site_id, order_id=order_id)
        lines = [
            replace(line, holds=[Hold(one.location_id, fulfilled=one.fulfilled) for one in line.holds])
            for line in _as_it_stands(order)
        ]
        return _again(order, lines, is_cancelled=True, now=now)


def move(
    *,
    site_id: int,
    order_id: str,
    from_location_id: int,
    to_location_id: int,
    units: Mapping[str, Decimal],
    now: datetime,
) -> Order:
    """Units of these lines that wait at one place wait at another from now on.

    Raises NoSuchOrder, UnknownPlace, and Impossible where fewer wait there.
    """
    with transaction.atomic():
        lock(site_id=site_id, order_id=order_id)
        order = find(site_id=site_id, order_id=order_id)
        if to_location_id not in {place.pk for place in site.places(site_id=site_id)}:
            raise UnknownPlace(to_location_id)
        lines = {line.external_id: line for line in _as_it_stands(order)}
        for name, quantity in units.items():
            waiting = {hold.location_id: hold for hold in lines[name].holds} if name in lines else {}
            here = waiting.get(from_location_id, Hold(from_location_id))
            if here.committed < quantity:
                raise Impossible("what was to move waits there no more")
            there = waiting.get(to_location_id, Hold(to_location_id))
            waiting[from_location_id] = replace(here, committed=here.committed - quantity)
            waiting[to_location_id] = replace(there, committed=there.committed + quantity)
            lines[name] = replace(lines[name], holds=list(waiting.values()))
        return _again(order, list(lines.values()), is_cancelled=False, now=now)


@dataclass(frozen=True)
class Swap:
    """Units of a line from what they were to others; taken off where they wait at `location_id` first, or put there."""

    line_id: str
    before: Decimal
    after: Decimal
    location_id: int | None = None


def edit(
    *, site_id: int, order_id: str, swaps: Sequence[Swap], added: Sequence[tuple[str, Asked, int]], now: datetime
) -> Order:
    """Change how many of lines wait, add lines (id, goods, place). Raises NoSuchOrder, Impossible, UnknownGoods."""
    with transaction.atomic():
        lock(site_id=site_id, order_id=order_id)
        order = find(site_id=site_id, order_id=order_id)
        lines = {line.external_id: line for line in _as_it_stands(order)}
        for swap in swaps:
            line = lines.get(swap.line_id)
            if line is None or line.quantity != swap.before:
                raise Impossible("the order has changed meanwhile")
            lines[swap.line_id] = replace(line, quantity=swap.after, holds=_swapped(line, swap))
        goods = [asked for _, asked, _ in added]
        offers, _ = site.find(site_id=site_id, merchant_id=order.merchant_id, asked=goods) if goods else ([], {})
        for (name, asked, place), offer in zip(added, offers, strict=True):
            lines[name] = LineState(
                external_id=name, listing_external_id=str(offer.variant_id), variant_id=offer.variant_id,
                sku=offer.sku, title="", quantity=asked.quantity, holds=[Hold(place, committed=asked.quantity)],
            )  # fmt: skip
        return _again(order, list(lines.values()), is_cancelled=False, now=now)


def _swapped(line: LineState, swap: Swap) -> list[Hold]:
    """The line's holds with so many units less, or more, waiting. Raises Impossible where more have left."""
    if swap.after > swap.before:
        place = swap.location_id or placing.place_of(line)
        if place is None:
            raise Impossible(f"line {line.external_id} waits nowhere")
        held = {hold.location_id: hold for hold in line.holds}
        here = held.get(place, Hold(place))
        held[place] = replace(here, committed=here.committed + swap.after - swap.before)
        return list(held.values())
    less = swap.before - swap.after
    holds = []
    for hold in sorted(line.holds, key=lambda hold: hold.location_id != swap.location_id):
        units = min(less, hold.committed)
        less -= units
        holds.append(replace(hold, committed=hold.committed - units))
    if less:
        raise Impossible(f"line {line.external_id}: more than {swap.after} have left already")
    return holds


def fulfil(*, site_id: int, order_id: str, left: Sequence[Left], now: datetime) -> Order:
    """So many of each line have left so far; none named: all of it. Raises NoSuchOrder, Impossible."""
    with transaction.atomic():
        lock(site_id=site_id, order_id=order_id)
        order = find(site_id=site_id, order_id=order_id)
        lines = {line.external_id: line for line in _as_it_stands(order)}
        totals = {one.line_id: one.fulfilled for one in left}
        if not left:
            totals = {name: sum((h.committed + h.fulfilled for h in line.holds), ZERO) for name, line in lines.items()}
        for name, total in totals.items():
            if name not in lines:
                raise Impossible(f"there is no line {name}")
            lines[name] = replace(lines[name], holds=_left(lines[name], total))
        is_cancelled = order.state == Order.State.CANCELLED
        return _again(order, list(lines.values()), is_cancelled=is_cancelled, now=now)


def _left(line: LineState, total: Decimal) -> list[Hold]:
    """The line's holds once `total` have left: from where they wait, place by place. Raises Impossible."""
    more = total - sum((hold.fulfilled for hold in line.holds), ZERO)
    if more < 0:
        raise Impossible(f"line {line.external_id}: more than {total} have left already; send a return")
    holds = []
    for hold in line.holds:
        units = min(more, hold.committed)
        more -= units
        holds.append(Hold(hold.location_id, hold.committed - units, hold.fulfilled + units))
    if more:
        raise Impossible(f"line {line.external_id}: {total} cannot have left, {more} of them were never waiting")
    return holds


def _again(order: Order, lines: Sequence[LineState], *, is_cancelled: bool, now: datetime) -> Order:
    head = OrderHead(order.external_id, order.number, order.placed_at, None, order.total, order.currency)
    later = max(now, order.external_updated_at)
    return _apply(
        order.channel_id, order.merchant_id, head, lines, is_cancelled=is_cancelled, known=order, now=later
    )  # fmt: skip


def give_back(*, site_id: int, order_id: str, return_id: str, backs: Sequence[Back], now: datetime) -> Order:
    """What one return gives back, in all: sent again it changes nothing, sent otherwise it is put right.

    Raises NoSuchOrder, UnknownPlace, and Impossible where more came back than had left.
    """
    with transaction.atomic():
        lock(site_id=site_id, order_id=order_id)
        order = find(site_id=site_id, order_id=order_id)
        lines = {line.external_id: line for line in _as_it_stands(order)}
        places = {place.pk for place in site.places(site_id=site_id)}
        returns = []
        for back in backs:
            if back.line_id not in lines:
                raise Impossible(f"there is no line {back.line_id}")
            place = back.location_id or placing.place_of(lines[back.line_id])
            if back.is_restocked and place not in places:
                raise UnknownPlace(place)
            returns.append(ReturnState(back.line_id, back.quantity, place if back.is_restocked else None))
        try:
            ledger_orders.apply_return(
                merchant_id=order.merchant_id, channel_id=site_id, order_external_id=order_id, document=return_id,
                returned_at=now, returns=returns, moves_channel=False,
            )  # fmt: skip
        except ledger_orders.ImpossibleOrder as error:
            raise Impossible(str(error)) from error
    return find(site_id=site_id, order_id=order_id)


@dataclass(frozen=True)
class LineNow:
    """A line as we have it, with where its units are."""

    line: OrderLine
    holds: list[OrderHold] = field(default_factory=list)


def lines_of(order: Order) -> list[LineNow]:
    """The order's lines, two queries."""
    rows = {line.pk: LineNow(line) for line in OrderLine.objects.filter(order=order).order_by("pk")}
    for hold in OrderHold.objects.filter(line__in=rows).order_by("location_id"):
        rows[hold.line_id].holds.append(hold)
    return list(rows.values())
