"""Fulfillment orders going to another location: by the merchant's choice, or by the shop's own routing."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from channels.sandbox.shopify import fulfilling, order_changes, order_payloads, order_state, routing, stock
from channels.sandbox.shopify.models import (
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    InventoryLevel,
    Location,
    Order,
    Shop,
)
from channels.sandbox.shopify.order_state import ENDED, Rejected

PROGRESS = "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"


@dataclass(frozen=True)
class Moved:
    """Where a move left things; the same row twice when the whole was moved."""

    moved: FulfillmentOrder
    original: FulfillmentOrder


def stocked_at(*, item_ids: set[int], location: Location) -> set[int]:
    """Items that the location stocks."""
    rows = InventoryLevel.objects.filter(item_id__in=item_ids, location=location, is_active=True)
    return set(rows.values_list("item_id", flat=True))


def refusal_to_move(row: FulfillmentOrder, *, to: Location, parts: list[fulfilling.Part]) -> Rejected | None:
    """Why these units cannot go to that location; None when they can."""
    if row.status in ENDED:
        return Rejected("Cannot change the location of a closed fulfillment order.", field=["id"])
    if row.status == "IN_PROGRESS" and not any(line.total != line.remaining for line in row.lines.all()):
        return Rejected("Progress was reported on the fulfillment order.", code=PROGRESS, field=["id"])
    if row.request_status in ("SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED", "CANCELLATION_REJECTED"):
        return Rejected("The fulfillment order waits for a fulfillment service.", field=["id"])
    if not to.is_active:
        return Rejected("The location is not active.", field=["newLocationId"])
    if to.pk == row.location_id:
        return Rejected("The fulfillment order is at that location already.", field=["newLocationId"])
    items = {part.row.line.item_id for part in parts if part.row.line.item_id is not None}
    if items - stocked_at(item_ids=items, location=to):
        return Rejected("The location does not stock the items.", field=["newLocationId"])
    return None


def move(*, shop: Shop, row_id: int, to: Location, units: dict[int, int] | None, now: datetime) -> Moved:
    """Give units to another location: committed and available move with them. Raises Rejected.

    All units of an untouched fulfillment order move it; else they go to a new one.
    """
    with transaction.atomic():
        found = order_changes.own_fulfillment_order(shop=shop, row_id=row_id, field=["id"])
        order = order_state.lock(shop=shop, order_id=found.order_id, field=["id"])
        row = next(row for row in order.fulfillment_orders.all() if row.pk == row_id)
        parts = fulfilling.parts_of(row, units=units, field=["fulfillmentOrderLineItems"])
        refusal = refusal_to_move(row, to=to, parts=parts)
        if refusal is not None:
            raise refusal
        order_changes.lock_stock_of(order)
        source = row.location
        moved = carry(order=order, row=row, to=to, parts=parts, now=now)
        order_state.touch(order, now=now)
        body = order_payloads.moved_body(
            original=row,
            moved=moved,
            source_gid=source.gid,
            requested=[(part.row.gid, part.quantity) for part in parts] if units is not None else [],
        )
        order_changes.emit(order=order, topic="FULFILLMENT_ORDERS_MOVED", payload=body)
        order_changes.emit_updated(order_id=order.pk)
        return Moved(moved=moved, original=row)


def carry(
    *, order: Order, row: FulfillmentOrder, to: Location, parts: list[fulfilling.Part], now: datetime
) -> FulfillmentOrder:
    """Move the units and their stock; returns the fulfillment order that has them now."""
    moves = []
    for part in parts:
        item_id = part.row.line.item_id
        if item_id is not None and order.claims_stock:
            for place_id, sign in ((row.location_id, 1), (to.pk, -1)):
                moves.append(stock.Move(item_id, place_id, "available", sign * part.quantity))
                moves.append(stock.Move(item_id, place_id, "committed", -sign * part.quantity))
    order_changes.shift(shop=order.shop, order=order, moves=moves, reason="fulfillment_order_moved")
    is_whole = {part.row.pk: part.quantity for part in parts} == {line.pk: line.total for line in row.lines.all()}
    if is_whole:
        row.location, row.updated_at = to, now
        row.save(update_fields=["location", "updated_at"])
        return row
    fresh = FulfillmentOrder.objects.create(
        order=order, location=to, method_type=row.method_type, created_at=now, updated_at=now
    )
    for part in parts:
        part.row.total -= part.quantity
        part.row.remaining -= part.quantity
        part.row.save(update_fields=["total", "remaining"])
        FulfillmentOrderLineItem.objects.create(
            fulfillment_order=fresh, line=part.row.line, total=part.quantity, remaining=part.quantity
        )
    order_state.settle(row, now=now)
    return fresh


def reroute(
    *, shop: Shop, row_ids: list[int], excluded: set[int], included: set[int], now: datetime
) -> list[FulfillmentOrder]:
    """Let the shop's own routing choose another location for whole fulfillment orders. Raises Rejected."""
    if not row_ids:
        raise Rejected("No fulfillment orders given", code="NO_FULFILLMENT_ORDER_IDS", field=["fulfillmentOrderIds"])
    field = ["fulfillmentOrderIds"]
    with transaction.atomic():
        rows = [
            order_changes.own_fulfillment_order(shop=shop, row_id=one, field=field, code="FULFILLMENT_ORDER_NOT_FOUND")
            for one in row_ids
        ]
        if len({row.order_id for row in rows}) > 1:
            raise Rejected("Not of one order", code="FULFILLMENT_ORDERS_NOT_FROM_THE_SAME_ORDER", field=field)
        if len({row.location_id for row in rows}) > 1:
            raise Rejected("Not at one location", code="FULFILLMENT_ORDERS_MUST_BELONG_TO_SAME_LOCATION", field=field)
        if any(row.status not in ("OPEN", "SCHEDULED") for row in rows):
            raise Rejected("Not open", code="FULFILLMENT_ORDERS_STATE_NOT_SUPPORTED", field=field)
        order = order_state.lock(shop=shop, order_id=rows[0].order_id, field=field)
        order_changes.lock_stock_of(order)
        places = [
            place
            for place in routing.online_locations(shop=shop)
            if place.pk not in excluded | {rows[0].location_id} and (not included or place.pk in included)
        ]
        to = better_place(order=order, row_ids=row_ids, places=places)
        if to is None:
            raise Rejected(
                "No other location can fulfil",
                code="CANNOT_REASSIGN_LOCATION_FOR_FULFILLMENT_ORDERS",
                field=field,
            )
        return [move(shop=shop, row_id=row.pk, to=to, units=None, now=now).moved for row in rows]


def better_place(*, order: Order, row_ids: list[int], places: list[Location]) -> Location | None:
    """The first location that has all remaining units of these fulfillment orders."""
    demands = [
        routing.Demand(key=line.pk, item=line.line.item, quantity=line.remaining)
        for row in order.fulfillment_orders.all()
        if row.pk in row_ids
        for line in row.lines.all()
    ]
    wanted = routing.totals(demands)
    there = routing.stock_at(item_ids=wanted, locations=places)
    for place in places:
        if all(there.get((item, place.pk), 0) >= units for item, units in wanted.items()):
            return place
    return None
