"""What people do with orders of the shop's own site: done in our own books, told to the site by a signed message."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from channels.models import ChannelCommand
from channels.own import orders, site
from channels.own.models import Topic, WebhookMessage
from channels.ports import ActionResult, CancelOrder, EditOrder, GiveBack, MoveUnits, OrderAction, WriteOutcome
from inventory.models import Order, OrderLine


def carry_out(command: ChannelCommand, action: OrderAction) -> ActionResult:
    """Change the order, and leave the site a message of it, in the caller's transaction: both or neither.

    The site's lines and places are named by our own ids.
    """
    try:
        order = _change(command, action)
    except orders.NoSuchOrder:
        return ActionResult(WriteOutcome.REFUSED, "The site knows no such order.")
    except (orders.Impossible, orders.UnknownPlace, site.UnknownGoods) as error:
        return ActionResult(WriteOutcome.STALE, f"It cannot be done any more: {error}.")
    WebhookMessage.objects.create(
        merchant_id=command.merchant_id, connection_id=command.connection_id, message_id=f"msg_{uuid.uuid4().hex}",
        topic=Topic.ORDER_CHANGED, order=order,
        change={"kind": command.kind, "words": command.words, "note": getattr(action, "note", "")} | _money(action),
    )  # fmt: skip
    return ActionResult(WriteOutcome.APPLIED)


def _change(command: ChannelCommand, action: OrderAction) -> Order:
    site_id, now = command.connection_id, timezone.now()
    if isinstance(action, CancelOrder):
        return orders.cancel(site_id=site_id, order_id=action.order_id, now=now)
    if isinstance(action, MoveUnits):
        return orders.move(
            site_id=site_id, order_id=action.order_id, from_location_id=int(action.from_location_id),
            to_location_id=int(action.to_location_id), now=now,
            units={line.line_external_id: line.quantity for line in action.lines},
        )  # fmt: skip
    if isinstance(action, GiveBack):
        return _give_back(command, action, now=now)
    return orders.edit(
        site_id=site_id, order_id=action.order_id, swaps=_swaps(action), added=_added(command, action), now=now
    )


def _money(action: OrderAction) -> dict[str, str]:
    """What the site has to pay back to the customer: it took the money, so it gives it back."""
    return {"amount": str(action.amount), "currency": action.currency} if isinstance(action, GiveBack) else {}


def _give_back(command: ChannelCommand, action: GiveBack, *, now: datetime) -> Order:
    """Units that wait are off the order, units that left are returned in a document of this command's name."""
    site_id, order_id = command.connection_id, action.order_id
    order = orders.find(site_id=site_id, order_id=order_id)
    waiting = [line for line in action.lines if not line.has_left]
    units = {line.external_id: line.quantity for line in OrderLine.objects.filter(order=order)}
    if waiting and sum((line.quantity for line in waiting), Decimal(0)) == sum(units.values(), Decimal(0)):
        return orders.cancel(site_id=site_id, order_id=order_id, now=now)
    for line in waiting:
        before = units.get(line.line_external_id, Decimal(0))
        units[line.line_external_id] = after = before - line.quantity
        swap = orders.Swap(line.line_external_id, before, after, int(line.location_id))
        orders.edit(site_id=site_id, order_id=order_id, swaps=[swap], added=[], now=now)
    backs = [
        orders.Back(line.line_external_id, line.quantity, action.restocks, int(line.location_id or 0) or None)
        for line in action.lines
        if line.has_left
    ]
    if backs:
        name = f"studio-{command.pk}"
        orders.give_back(site_id=site_id, order_id=order_id, return_id=name, backs=backs, now=now)
    return orders.find(site_id=site_id, order_id=order_id)


def _swaps(action: EditOrder) -> Sequence[orders.Swap]:
    return [
        orders.Swap(one.line_external_id, one.from_quantity, one.to_quantity, int(one.location_id or 0) or None)
        for one in action.changes
    ]


def _added(command: ChannelCommand, action: EditOrder) -> Sequence[tuple[str, site.Asked, int]]:
    return [
        (f"studio-{command.pk}-{number}", _goods(one.listing_external_id, one.quantity), int(one.location_id))
        for number, one in enumerate(action.added, start=1)
    ]


def _goods(variant_id: str, quantity: Decimal) -> site.Asked:
    return site.Asked(quantity=quantity, variant_id=int(variant_id))
