"""Fulfillment orders: units leaving, coming back into the order, being made ready for pickup."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from channels.sandbox.shopify import order_changes, order_payloads, order_state, stock
from channels.sandbox.shopify.models import (
    Fulfillment,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    Order,
    Shop,
)
from channels.sandbox.shopify.order_state import ENDED, Rejected

FIELD = ["fulfillment"]


@dataclass(frozen=True)
class Part:
    """Units of one fulfillment order line."""

    row: FulfillmentOrderLineItem
    quantity: int


@dataclass(frozen=True)
class Asked:
    """A fulfillment order, and units by line id; None means all that remains."""

    fulfillment_order_id: int
    units: dict[int, int] | None = None


def open_row(order: Order, *, row_id: int, field: list[str]) -> FulfillmentOrder:
    """A fulfillment order of a locked order that can still be worked on. Raises Rejected."""
    row = next(row for row in order.fulfillment_orders.all() if row.pk == row_id)
    if row.status in ENDED:
        raise Rejected(f"Fulfillment order {row.pk} has an unfulfillable status= {row.status.lower()}.", field=field)
    return row


def parts_of(row: FulfillmentOrder, *, units: dict[int, int] | None, field: list[str]) -> list[Part]:
    """The units asked for, checked against what remains. Raises Rejected."""
    remaining = {line.pk: line for line in row.lines.all()}
    if units is None:
        return [Part(line, line.remaining) for line in remaining.values() if line.remaining]
    parts = []
    for line_id, quantity in units.items():
        if line_id not in remaining:
            raise Rejected("Fulfillment order line item does not exist", field=field)
        if not 0 < quantity <= remaining[line_id].remaining:
            raise Rejected("Invalid fulfillment order line item quantity requested.", field=field)
        parts.append(Part(remaining[line_id], quantity))
    return parts


def fulfil(*, shop: Shop, asked: list[Asked], now: datetime) -> Fulfillment:
    """Let units leave: committed and on hand fall at the assigned location. Raises Rejected.

    Fulfillment orders named together must be of one order and one location, as with the vendor.
    """
    if not asked:
        raise Rejected("At least one fulfillment order is required", field=FIELD)
    with transaction.atomic():
        first = order_changes.own_fulfillment_order(shop=shop, row_id=asked[0].fulfillment_order_id, field=FIELD)
        order = order_state.lock(shop=shop, order_id=first.order_id, field=FIELD)
        own = {row.pk for row in order.fulfillment_orders.all()}
        if any(entry.fulfillment_order_id not in own for entry in asked):
            raise Rejected("All fulfillment orders must be of the same order", field=FIELD)
        rows = [open_row(order, row_id=entry.fulfillment_order_id, field=FIELD) for entry in asked]
        if len({row.location_id for row in rows}) > 1:
            raise Rejected("All fulfillment orders must have the same assigned location", field=FIELD)
        order_changes.lock_stock_of(order)
        parts = [
            part
            for row, entry in zip(rows, asked, strict=True)
            for part in parts_of(row, units=entry.units, field=FIELD)
        ]
        if not parts:
            raise Rejected("Nothing remains to be fulfilled", field=FIELD)
        return leave(order=order, rows=rows, parts=parts, now=now)


def leave(*, order: Order, rows: list[FulfillmentOrder], parts: list[Part], now: datetime) -> Fulfillment:
    """Write the fulfillment, take its units off the rows and the stock, announce it."""
    place_id = rows[0].location_id
    made = Fulfillment.objects.create(
        order=order,
        fulfillment_order=rows[0],
        location_id=place_id,
        lines=[
            {"line": part.row.line_id, "quantity": part.quantity, "fulfillment_order_line": part.row.pk}
            for part in parts
        ],
        created_at=now,
        updated_at=now,
    )
    moves = []
    for part in parts:
        part.row.remaining -= part.quantity
        part.row.save(update_fields=["remaining"])
        if part.row.line.item_id is not None and order.claims_stock:
            moves.append(stock.Move(part.row.line.item_id, place_id, "committed", -part.quantity))
    order_changes.shift(shop=order.shop, order=order, moves=moves, reason="order_fulfilled")
    for row in rows:
        if any(line.remaining for line in row.lines.all()):
            row.status = "IN_PROGRESS"
        row.save(update_fields=["status"])
        order_state.settle(row, now=now)
    order_state.touch(order, now=now)
    full = order_changes.emit_updated(order_id=order.pk)
    body = order_payloads.fulfillment_body(made, order=full)
    order_changes.emit(order=full, topic="FULFILLMENTS_CREATE", payload=body)
    is_done = order_state.fulfillment_status(full) == "FULFILLED"
    topic = "ORDERS_FULFILLED" if is_done else "ORDERS_PARTIALLY_FULFILLED"
    order_changes.emit(order=full, topic=topic, payload=order_payloads.order_body(full))
    return made


def fulfil_rest(*, shop: Shop, row: FulfillmentOrder, now: datetime) -> Fulfillment:
    """Let all that remains on a fulfillment order leave."""
    return fulfil(shop=shop, asked=[Asked(row.pk)], now=now)


def cancel(*, shop: Shop, fulfillment_id: int, now: datetime) -> Fulfillment:
    """Take a fulfillment back: its units are committed again and its fulfillment orders open. Raises Rejected.

    Units refunded since have come back already, so a fulfillment with such units is not taken back.
    """
    with transaction.atomic():
        found = Fulfillment.objects.filter(order__shop=shop, pk=fulfillment_id).first()
        if found is None:
            raise Rejected("Fulfillment not found.", field=["id"])
        order = order_state.lock(shop=shop, order_id=found.order_id, field=["id"])
        row = next(row for row in order.fulfillments.all() if row.pk == fulfillment_id)
        kept = {line.pk: order_state.kept(line) for line in order.lines.all()}
        if row.status != "SUCCESS" or any(kept[entry["line"]] < entry["quantity"] for entry in row.lines):
            raise Rejected("The fulfillment can't be cancelled.", field=["id"])
        order_changes.lock_stock_of(order)
        put_back(order=order, row=row, now=now)
        row.status, row.updated_at = "CANCELLED", now
        row.save(update_fields=["status", "updated_at"])
        order_state.touch(order, now=now)
        full = order_changes.emit_updated(order_id=order.pk)
        body = order_payloads.fulfillment_body(row, order=full)
        order_changes.emit(order=full, topic="FULFILLMENTS_UPDATE", payload=body)
    return row


def put_back(*, order: Order, row: Fulfillment, now: datetime) -> None:
    """Units of a fulfillment remain again where they left from; committed and on hand rise."""
    units = {entry["fulfillment_order_line"]: entry["quantity"] for entry in row.lines}
    moves = []
    for fulfillment_order in order.fulfillment_orders.all():
        lines = [line for line in fulfillment_order.lines.all() if line.pk in units]
        for line in lines:
            line.remaining += units[line.pk]
            line.save(update_fields=["remaining"])
            if line.line.item_id is not None and order.claims_stock:
                moves.append(stock.Move(line.line.item_id, row.location_id, "committed", units[line.pk]))
        if lines:
            is_untouched = all(line.remaining == line.total for line in fulfillment_order.lines.all())
            fulfillment_order.status = "OPEN" if is_untouched else "IN_PROGRESS"
            fulfillment_order.updated_at = now
            fulfillment_order.save(update_fields=["status", "updated_at"])
    order_changes.shift(shop=order.shop, order=order, moves=moves, reason="fulfillment_cancelled")


def prepare_for_pickup(*, shop: Shop, row_ids: list[int], now: datetime) -> None:
    """Report that pickup units lie ready: the fulfillment order is in progress. Raises Rejected."""
    field, code = ["input", "lineItemsByFulfillmentOrder"], "FULFILLMENT_ORDER_INVALID"
    with transaction.atomic():
        for row_id in sorted(row_ids):
            found = order_changes.own_fulfillment_order(shop=shop, row_id=row_id, field=field, code=code)
            order = order_state.lock(shop=shop, order_id=found.order_id, field=field, code=code)
            row = next(row for row in order.fulfillment_orders.all() if row.pk == row_id)
            if row.method_type != "PICK_UP" or row.status in ENDED:
                raise Rejected("Not a pickup that is open", code=code, field=field)
            if not any(line.remaining for line in row.lines.all()):
                raise Rejected("Nothing to prepare", code="NO_LINE_ITEMS_TO_PREPARE_FOR_FULFILLMENT_ORDER", field=field)
            row.status, row.updated_at = "IN_PROGRESS", now
            row.save(update_fields=["status", "updated_at"])
            order_state.touch(order, now=now)
            topic = "FULFILLMENT_ORDERS_LINE_ITEMS_PREPARED_FOR_PICKUP"
            order_changes.emit_fulfillment_order(row=row, order=order, topic=topic)
            order_changes.emit_updated(order_id=order.pk)
