"""Changing what is on an order: units of its lines, other goods put on it; from our rows to its channel's own ids.

What is added is promised, so no more is asked for than is free; the channel has the last word.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from channels import asking, commands
from channels.commands import CannotAsk
from channels.models import ChannelCommand, ChannelLocation, ChannelStock, Listing
from channels.ports import AddedLine, EditOrder, LineChange, OrderActionKind, OrderOption
from inventory import bundles
from inventory.models import Location, Order, OrderHold, OrderLine, Variant
from storestudio.accounts import numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)
ENDLESS = Decimal("Infinity")


def exchange(
    *,
    line: OrderLine,
    units: Decimal,
    place: Location,
    instead: Sequence[tuple[int, Decimal]],
    note: str,
    key: uuid.UUID,
    actor: User,
    restocks: bool = True,
) -> ChannelCommand:
    """Take units of a line that wait off the order, and put others on it (variant, units). Raises CannotAsk."""
    held = OrderHold.objects.filter(line=line, location=place).first()
    if held is None or not ZERO < units <= held.committed:
        raise CannotAsk(f"So many of {asking.name_of(line)} do not wait at {place.name}.")
    words = f"take {numbers.plain(units)} × {asking.name_of(line)} off"
    action, added = _edit(
        order=line.order, wanted={line: line.quantity - units}, added=instead, place=place, note=note,
        restocks=restocks, at={line.pk: place},
    )  # fmt: skip
    words += f", send {added} instead" if added else ""
    return commands.ask(order=line.order, action=action, words=words, key=key, actor=actor)


@dataclass(frozen=True)
class EditableLine:
    """A line as its channel shows it now; fewer than `least` it cannot have, for the rest has left."""

    line: OrderLine
    least: Decimal
    places: Sequence[Location]

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return asking.name_of(self.line)


def editable(order: Order) -> list[EditableLine]:
    """Lines whose units may be changed, and down to how many. Units of a line that is not linked are its channel's
    to judge: we do not know what of it has left."""
    held: dict[int, list[OrderHold]] = {}
    for hold in asking.waiting(order=order):
        held.setdefault(hold.line_id, []).append(hold)
    rows = OrderLine.objects.filter(order=order, quantity__gt=0).select_related("variant__product").order_by("pk")
    found = []
    for line in rows:
        holds = held.get(line.pk, [])
        waits = sum((hold.committed for hold in holds), ZERO)
        least = max(line.quantity - waits, ZERO) if line.variant_id is not None else ZERO
        places = [hold.location for hold in sorted(holds, key=lambda hold: -hold.committed)]
        found.append(EditableLine(line, least, places))
    return found


@dataclass(frozen=True)
class Items:
    """The units each line (by key) should have, and other goods to put on the order (variant, units) from `place`."""

    wanted: Mapping[int, Decimal]
    added: Sequence[tuple[int, Decimal]] = ()
    place: Location | None = None


@dataclass(frozen=True)
class Step:
    """What an edit does to one item: from how many units to how many; `short`: so many more than are free for it."""

    name: str
    title: str
    before: Decimal
    after: Decimal
    place: str = ""
    short: Decimal = ZERO


def steps(*, order: Order, items: Items) -> list[Step]:
    """What changes if this is asked, line by line. Raises CannotAsk as `change` does."""
    lines = {one.line.pk: one for one in editable(order)}
    raised, added = _merged(lines, items)
    free = _free(order, {*(line.variant_id for line in raised if line.variant_id), *(variant for variant, _ in added)})
    found = []
    for line, after in raised.items():
        one = lines[line.pk]
        if after < one.least:
            raise CannotAsk(f"{numbers.plain(one.least)} of {one.name} have left already: no fewer can stay on it.")
        more = after - line.quantity
        short = max(more - free.of(line.variant_id, None), ZERO) if more > 0 else ZERO
        place = one.places[0].name if one.places else ""
        found.append(Step(one.name, line.title, line.quantity, after, place, short))
    for variant_id, units in added:
        listing = _listings(order, [variant_id])[variant_id]
        short = max(units - free.of(variant_id, items.place), ZERO)
        place = items.place.name if items.place else ""
        title = f"{listing.product_title} {listing.title}".strip()
        found.append(Step(listing.sku or title, title, ZERO, units, place, short))
    if not found:
        raise CannotAsk("Nothing is changed yet: change the units of a line, or add an item.")
    left = sum((one.line.quantity for one in lines.values()), ZERO) + sum((s.after - s.before for s in found), ZERO)
    if left <= 0:
        raise CannotAsk("Nothing would be left on it: cancel the order instead.")
    return found


def change(*, order: Order, items: Items, restocks: bool, note: str, key: uuid.UUID, actor: User) -> ChannelCommand:
    """Change the units of lines and put other goods on an order. Raises CannotAsk, also where fewer are free."""
    known: ChannelCommand | None = ChannelCommand.objects.filter(idempotency_key=key, order=order).first()
    if known is not None:
        return known
    planned = steps(order=order, items=items)
    if short := next((one for one in planned if one.short > 0), None):
        raise CannotAsk(f"{numbers.plain(short.short)} of {short.name} more than are free: nothing was promised.")
    lines = {one.line.pk: one for one in editable(order)}
    wanted, added = _merged(lines, items)
    action, _ = _edit(
        order=order, wanted=wanted, added=added, place=items.place, note=note,
        restocks=restocks or OrderOption.WRITE_OFF not in asking.choices(order).options,
        at={pk: one.places[0] for pk, one in lines.items() if one.places},
    )  # fmt: skip
    return commands.ask(order=order, action=action, words=_edit_words(planned), key=key, actor=actor)


def _edit_words(planned: Sequence[Step]) -> str:
    off = [f"{numbers.plain(one.before - one.after)} × {one.name}" for one in planned if one.after < one.before]
    on = [f"{numbers.plain(one.after - one.before)} × {one.name}" for one in planned if one.after > one.before]
    parts = [f"take {', '.join(off)} off"] if off else []
    return ", ".join(parts + ([f"put {', '.join(on)} on"] if on else []))


def _merged(
    lines: Mapping[int, EditableLine], items: Items
) -> tuple[dict[OrderLine, Decimal], list[tuple[int, Decimal]]]:
    """The lines that change, and what is added beside them: more of what a line holds already is more of that line."""
    if strange := items.wanted.keys() - lines.keys():
        raise CannotAsk(f"The order has changed meanwhile: look at it again ({len(strange)} of its lines are gone).")
    wanted = dict(items.wanted)
    by_variant = {one.line.variant_id: pk for pk, one in reversed(list(lines.items())) if one.line.variant_id}
    added: dict[int, Decimal] = {}
    for variant_id, units in items.added:
        if (pk := by_variant.get(variant_id)) is not None:
            wanted[pk] = wanted.get(pk, lines[pk].line.quantity) + units
        else:
            added[variant_id] = added.get(variant_id, ZERO) + units
    changed = {lines[pk].line: units for pk, units in wanted.items() if units != lines[pk].line.quantity}
    return changed, list(added.items())


@dataclass(frozen=True)
class _Free:
    """Units nobody is promised, by variant and place; `endless`: variants whose channel sells them past zero."""

    units: Mapping[tuple[int, int], Decimal]
    endless: frozenset[int]

    def of(self, variant_id: int | None, place: Location | None) -> Decimal:
        """At one place, or at all of them."""
        if variant_id is None or variant_id in self.endless:
            return ENDLESS
        found = (
            max(units, ZERO)
            for (of, where), units in self.units.items()
            if of == variant_id and (place is None or place.pk == where)
        )
        return sum(found, ZERO)


def _free(order: Order, variants: set[int]) -> _Free:
    """What may still be promised at the places of the order's channel: what is free, or what that channel may sell."""
    if not variants:
        return _Free({}, frozenset())
    places = set(
        ChannelLocation.objects.filter(connection=order.channel_id, is_active=True, location__isnull=False)
        .values_list("location", flat=True)
    )  # fmt: skip
    there = bundles.available(merchant_id=order.merchant_id, variant_ids=variants)
    units = {cell: quantity for cell, quantity in there.items() if cell[1] in places}
    cells = ChannelStock.objects.filter(
        connection=order.channel_id, listing__variant__in=variants, channel_location__location__in=places,
        desired__isnull=False,
    ).values_list("listing__variant", "channel_location__location", "desired")  # fmt: skip
    for variant_id, place, desired in cells:
        if variant_id is not None and place is not None and desired is not None:
            units[variant_id, place] = max(units.get((variant_id, place), ZERO), desired)
    listed = Listing.objects.filter(connection=order.channel_id, variant__in=variants, deleted_at=None)
    endless = listed.filter(Q(sells_past_zero=True) | Q(is_tracked=False)).values_list("variant", flat=True)
    return _Free(units, frozenset(variant for variant in endless if variant is not None))


def _listings(order: Order, variants: Sequence[int]) -> dict[int, Listing]:
    """What the order's channel calls these goods. Raises CannotAsk for what it does not list, or takes no more of."""
    allowed = asking.choices(order)
    if variants and OrderOption.ADD not in allowed.options:
        raise CannotAsk(
            allowed.by_hand.get(OrderActionKind.EDIT, f"{allowed.label} takes no other item onto an order.")
        )
    rows = Listing.objects.filter(connection=order.channel_id, variant__in=variants, deleted_at=None)
    listed = {row.variant_id: row for row in rows.order_by("-pk") if row.variant_id is not None}
    missing = [variant for variant in variants if variant not in listed]
    if missing:
        skus = Variant.objects.filter(pk__in=missing, merchant=order.merchant_id).values_list("sku", flat=True)
        raise CannotAsk(f"{allowed.label} does not list {', '.join(sku or 'one of the items' for sku in skus)}.")
    return listed


def _edit(
    *,
    order: Order,
    wanted: Mapping[OrderLine, Decimal],
    added: Sequence[tuple[int, Decimal]],
    place: Location | None,
    note: str,
    restocks: bool,
    at: Mapping[int, Location],
) -> tuple[EditOrder, str]:
    """The edit in the channel's own ids, and what is added in words. Raises CannotAsk."""
    listed = _listings(order, [variant for variant, _ in added])
    if added and place is None:
        raise CannotAsk("Choose the place that the added items leave from.")
    there = {
        name: sum((line.quantity for line in lines), ZERO)
        for name, lines in _by_listing(order).items()
    }  # fmt: skip
    places = {line.pk: asking.place_of(order, at[line.pk]) for line in wanted if line.pk in at}
    action = EditOrder(
        order.external_id,
        [
            LineChange(line.external_id, line.quantity, units, places.get(line.pk, ""))
            for line, units in wanted.items()
        ],
        [
            AddedLine(
                listed[variant].external_id, units, asking.place_of(order, place) if place else "",
                there.get(listed[variant].external_id, ZERO),
            )
            for variant, units in added
        ],
        restocks=restocks,
        note=note,
    )  # fmt: skip
    words = [f"{numbers.plain(units)} × {listed[variant].sku or listed[variant].title}" for variant, units in added]
    return action, ", ".join(words)


def _by_listing(order: Order) -> dict[str, list[OrderLine]]:
    found: dict[str, list[OrderLine]] = {}
    for line in OrderLine.objects.filter(order=order):
        found.setdefault(line.listing_external_id, []).append(line)
    return found
