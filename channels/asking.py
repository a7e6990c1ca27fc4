"""What a person may ask of one order, and the asking: from our rows to the channel's own ids (channels.commands)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings

from channels import commands, registry
from channels.commands import CannotAsk
from channels.models import ChannelCommand, ChannelLocation, Connection
from channels.ports import CancelOrder, LineMove, MoveUnits, OrderActionKind, OrderOption
from inventory import bundles
from inventory.models import Location, Order, OrderHold, OrderLine
from storestudio.accounts import numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)


@dataclass(frozen=True)
class Choices:
    """What may be asked of an order now; `by_hand`: what a person does at the channel instead, by kind, at `page`."""

    connection: Connection | None
    can: frozenset[OrderActionKind] = frozenset()
    options: frozenset[OrderOption] = frozenset()
    by_hand: Mapping[OrderActionKind, str] = field(default_factory=dict)
    page: str = ""

    @property
    def label(self) -> str:
        """The channel's name."""
        return self.connection.label if self.connection else "Its channel"


def choices(order: Order) -> Choices:
    """What may be asked: money back only of an order that waits for nothing, nothing where its channel is gone."""
    connection = Connection.objects.filter(pk=order.channel_id, merchant=order.merchant_id).first()
    if connection is None or connection.channel not in registry.EVERY:
        return Choices(connection)
    can = registry.capabilities(connection.channel)
    allowed = can.order_actions if connection.state != Connection.State.CLOSED else frozenset()
    by_hand = can.by_hand
    if order.state != Order.State.OPEN:  # nothing of it waits; its money may still go back
        allowed &= {OrderActionKind.REFUND}
        by_hand = {kind: words for kind, words in by_hand.items() if kind == OrderActionKind.REFUND}
    return Choices(connection, allowed, can.order_options, by_hand, _order_page(connection, order, can.order_page))


def _order_page(connection: Connection, order: Order, page: str) -> str:
    """Where a person works on the order at its channel; "" at a stand-in, which has no such pages."""
    is_stand_in = "{base}" in page and connection.base_url.startswith(settings.SANDBOX_URL)
    return "" if is_stand_in else page.format(base=connection.base_url.rstrip("/"), order=order.external_id)


@dataclass(frozen=True)
class Destination:
    """Another place that could send what waits: what it has of each line, and whether it has all."""

    location: Location
    has: Sequence[Decimal]
    has_all: bool


def waiting(*, order: Order, origin_id: int | None = None) -> list[OrderHold]:
    """What of the order waits where (or at one place only)."""
    rows = OrderHold.objects.filter(line__order=order, committed__gt=0).select_related(
        "line__variant__product", "location", "line__bundle"
    )
    return list((rows.filter(location=origin_id) if origin_id else rows).order_by("location__name", "line_id"))


def destinations(*, order: Order, holds: Sequence[OrderHold]) -> list[Destination]:
    """Places of the order's channel that these units could leave from instead; those that have all come first."""
    here = {hold.location_id for hold in holds}
    places = Location.objects.filter(
        channel_locations__connection=order.channel_id, channel_locations__is_active=True, is_active=True
    ).exclude(pk__in=here)
    variants = [hold.line.variant_id for hold in holds if hold.line.variant_id is not None]
    there = bundles.available(merchant_id=order.merchant_id, variant_ids=variants)
    found = []
    for place in places.order_by("rank", "pk").distinct():
        has = [there.get((hold.line.variant_id or 0, place.pk), ZERO) for hold in holds]
        enough = all(units >= hold.committed for units, hold in zip(has, holds, strict=True))
        found.append(Destination(place, has, enough))
    return sorted(found, key=lambda one: not one.has_all)


def move(
    *, order: Order, units: Mapping[int, Decimal], origin: Location, destination: Location, key: uuid.UUID, actor: User
) -> ChannelCommand:
    """Ship these units (by hold) from another place. Raises CannotAsk."""
    holds = [hold for hold in waiting(order=order, origin_id=origin.pk) if units.get(hold.pk, ZERO) > 0]
    if not holds:
        raise CannotAsk(f"Nothing was chosen that waits at {origin.name}.")
    for hold in holds:
        if units[hold.pk] > hold.committed:
            raise CannotAsk(f"Only {numbers.plain(hold.committed)} of {name_of(hold.line)} wait at {origin.name}.")
    there = dict(OrderHold.objects.filter(line__order=order, location=destination).values_list("line_id", "committed"))
    action = MoveUnits(
        order.external_id,
        place_of(order, origin),
        place_of(order, destination),
        [LineMove(hold.line.external_id, units[hold.pk], there.get(hold.line_id, ZERO)) for hold in holds],
    )
    what = ", ".join(f"{numbers.plain(units[hold.pk])} × {name_of(hold.line)}" for hold in holds)
    words = f"ship {what} from {destination.name} instead of {origin.name}"
    return commands.ask(order=order, action=action, words=words, key=key, actor=actor)


def cancel(*, order: Order, restocks: bool, pays_back: bool, note: str, key: uuid.UUID, actor: User) -> ChannelCommand:
    """Cancel the whole order. Raises CannotAsk where some of it has left, or the channel takes no such wish."""
    options = choices(order).options
    if OrderLine.objects.filter(order=order, fulfilled__gt=0).exists():
        raise CannotAsk("Some of it has left: take the rest off the order instead.")
    action = CancelOrder(
        order.external_id,
        restocks=restocks or OrderOption.WRITE_OFF not in options,
        pays_back=pays_back and OrderOption.PAY_BACK in options,
        note=note,
    )
    words = "cancel it" + (" and give the money back" if action.pays_back else "")
    words += "" if action.restocks else ", its units written off"
    return commands.ask(order=order, action=action, words=words, key=key, actor=actor)


def places(order: Order) -> dict[int, Location]:
    """Where the order's channel sells from, by key, the best rank first."""
    mapped = ChannelLocation.objects.filter(connection=order.channel_id, is_active=True, location__isnull=False)
    rows = Location.objects.filter(pk__in=mapped.values("location"), is_active=True)
    return {place.pk: place for place in rows.order_by("rank", "name", "pk")}


def name_of(line: OrderLine) -> str:
    """What a line is called in messages."""
    return line.sku or line.title or "an item"


def place_of(order: Order, location: Location) -> str:
    """The place as the order's channel names it. Raises CannotAsk."""
    found = ChannelLocation.objects.filter(connection=order.channel_id, location=location, is_active=True).first()
    if found is None:
        raise CannotAsk(f"Its channel knows no place that is {location.name}.")
    return str(found.external_id)
