"""Order editing: changes are staged on a calculated order and take effect when it is committed."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from channels.sandbox.shopify import order_changes, order_payloads, order_state, orders, refunds, routing, stock
from channels.sandbox.shopify.models import (
    CalculatedOrder,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    LineItem,
    Location,
    Order,
    ProductVariant,
    Shop,
)
from channels.sandbox.shopify.order_state import Rejected


@dataclass(frozen=True)
class EditedLine:
    """A line as it will be. Ids of added lines are small numbers, which no line has."""

    pk: int
    line: LineItem | None
    variant: ProductVariant | None
    quantity: int
    editable_quantity: int
    editable_quantity_before_changes: int
    restocking: bool

    @property
    def restockable(self) -> bool:
        return self.variant is not None

    @property
    def sku(self) -> str | None:
        return (self.line.sku if self.line else self.variant.item.sku if self.variant else "") or None

    @property
    def title(self) -> str:
        return self.line.title if self.line else self.variant.product.title if self.variant else ""

    @property
    def variant_title(self) -> str | None:
        return (self.line.variant_title if self.line else self.variant.title if self.variant else "") or None

    @property
    def gid(self) -> str:
        return f"gid://shopify/CalculatedLineItem/{self.pk}"


def begin(*, shop: Shop, order_id: int, now: datetime) -> CalculatedOrder:
    """Open an edit. Raises Rejected for an unknown or a cancelled order."""
    order = Order.objects.filter(shop=shop, pk=order_id).first()
    if order is None:
        raise Rejected("The order does not exist.", field=["id"])
    if order.cancelled_at is not None:
        raise Rejected("The order cannot be edited.", field=["id"])
    return CalculatedOrder.objects.create(order=order, changes={"set": {}, "add": []}, created_at=now)


def open_edit(*, shop: Shop, edit_id: int) -> CalculatedOrder:
    """An edit that is not committed, locked. Raises Rejected."""
    rows = CalculatedOrder.objects.select_for_update(of=("self",)).filter(order__shop=shop, committed_at=None)
    row = rows.filter(pk=edit_id).first()
    if row is None:
        raise Rejected("The calculated order does not exist.", field=["id"])
    return row


def lines_of(edit: CalculatedOrder) -> list[EditedLine]:
    """All lines as the edit will leave them: those of the order, then those added."""
    shown = []
    for line in order_state.read(order_id=edit.order_id).lines.all():
        change = edit.changes["set"].get(str(line.pk), {"quantity": line.current_quantity, "restock": False})
        left = order_state.kept(line)
        shown.append(
            EditedLine(
                pk=line.pk,
                line=line,
                variant=line.variant,
                quantity=change["quantity"],
                editable_quantity=change["quantity"] - left,
                editable_quantity_before_changes=line.current_quantity - left,
                restocking=change["restock"],
            )
        )
    variants = ProductVariant.objects.select_related("item", "product").in_bulk(
        [entry["variant"] for entry in edit.changes["add"]]
    )
    for index, entry in enumerate(edit.changes["add"], start=1):
        units = entry["quantity"]
        shown.append(EditedLine(index, None, variants[entry["variant"]], units, units, 0, False))
    return shown


def line_of(edit: CalculatedOrder, *, line_id: int) -> EditedLine:
    """One line of an edit. Raises Rejected."""
    for row in lines_of(edit):
        if row.pk == line_id:
            return row
    raise Rejected("The line item does not exist.", field=["lineItemId"])


def set_quantity(
    *, shop: Shop, edit_id: int, line_id: int, quantity: int, restocks: bool, location_id: int | None
) -> tuple[CalculatedOrder, EditedLine]:
    """Stage a line's new quantity, counted with the units that have left. Raises Rejected."""
    with transaction.atomic():
        edit = open_edit(shop=shop, edit_id=edit_id)
        row = line_of(edit, line_id=line_id)
        if quantity < row.quantity - row.editable_quantity:
            raise Rejected("The quantity is below what is fulfilled.", field=["quantity"])
        if row.line is None:
            edit.changes["add"][row.pk - 1]["quantity"] = quantity
        else:
            edit.changes["set"][str(row.pk)] = {"quantity": quantity, "restock": restocks, "location": location_id}
        edit.save(update_fields=["changes"])
    return edit, line_of(edit, line_id=line_id)


def add_variant(
    *, shop: Shop, edit_id: int, variant_id: int, quantity: int, allows_duplicates: bool, location_id: int | None
) -> tuple[CalculatedOrder, EditedLine]:
    """Stage a new line. Raises Rejected."""
    with transaction.atomic():
        edit = open_edit(shop=shop, edit_id=edit_id)
        if quantity < 1:
            raise Rejected("Quantity must be greater than 0", field=["quantity"])
        if not ProductVariant.objects.filter(shop=shop, pk=variant_id).exists():
            raise Rejected("The variant does not exist.", field=["variantId"])
        known = {row.variant.pk for row in lines_of(edit) if row.variant is not None and row.quantity}
        if variant_id in known and not allows_duplicates:
            raise Rejected("The variant is on the order already.", field=["variantId"])
        edit.changes["add"].append({"variant": variant_id, "quantity": quantity, "location": location_id})
        edit.save(update_fields=["changes"])
    return edit, lines_of(edit)[-1]


def commit(*, shop: Shop, edit_id: int, now: datetime) -> Order:
    """Let an edit take effect: lines, fulfillment orders and stock. Raises Rejected.

    Locks the order first and the levels after, like every change of an order.
    """
    with transaction.atomic():
        edit = open_edit(shop=shop, edit_id=edit_id)
        order = order_state.lock(shop=shop, order_id=edit.order_id, field=["id"])
        if order.cancelled_at is not None:
            raise Rejected("The order cannot be edited.", field=["id"])
        added = ProductVariant.objects.filter(pk__in=[entry["variant"] for entry in edit.changes["add"]])
        items = {line.item_id for line in order.lines.all() if line.item_id is not None}
        order_state.lock_levels(item_ids=items | set(added.values_list("item_id", flat=True)))
        moves, deltas = apply_sets(order=order, edit=edit, now=now)
        more, fresh = apply_adds(order=order, edit=edit, now=now)
        order_changes.shift(shop=shop, order=order, moves=moves + more, reason="order_edited")
        refunds.close_emptied(order_id=order.pk, now=now)
        edit.committed_at = now
        edit.save(update_fields=["committed_at"])
        order.edited = True
        order_state.touch(order, now=now, fields=["edited"])
        full = order_changes.emit_updated(order_id=order.pk)
        body = order_payloads.edited_body(
            order=full, edit_id=edit.pk, began_at=edit.created_at, now=now, deltas=deltas | fresh
        )
        order_changes.emit(order=full, topic="ORDERS_EDITED", payload=body)
    return full


def apply_sets(*, order: Order, edit: CalculatedOrder, now: datetime) -> tuple[list[stock.Move], dict[int, int]]:
    """Change the quantities of lines; the stock moves, and line id -> units added or removed."""
    moves: list[stock.Move] = []
    deltas: dict[int, int] = {}
    for line in order.lines.all():
        change = edit.changes["set"].get(str(line.pk))
        delta = change["quantity"] - line.current_quantity if change else 0
        if not delta or not change:
            continue
        if delta < -order_state.unfulfilled(line):
            raise Rejected("The quantity is below what is fulfilled.", field=["id"])
        deltas[line.pk] = delta
        line.current_quantity += delta
        if delta < 0:
            place = Location.objects.filter(pk=change["location"], shop=order.shop).first()
            moves += refunds.withdraw(line=line, quantity=-delta, restocks=change["restock"], at=place)
        else:
            # What was removed stays counted in `quantity`, what is added is counted on top.
            line.quantity += delta
            moves += assign(order=order, line=line, quantity=delta, location_id=change["location"], now=now)
        line.save(update_fields=["quantity", "current_quantity"])
    return moves, deltas


def apply_adds(*, order: Order, edit: CalculatedOrder, now: datetime) -> tuple[list[stock.Move], dict[int, int]]:
    """Make the added lines; the stock moves, and line id -> units."""
    moves: list[stock.Move] = []
    deltas: dict[int, int] = {}
    ids = [entry["variant"] for entry in edit.changes["add"]]
    variants = ProductVariant.objects.select_related("item", "product").in_bulk(ids)
    for entry in edit.changes["add"]:
        variant = variants[entry["variant"]]
        if not entry["quantity"]:
            continue
        line = orders.write_line(order=order, line=orders.variant_line(variant=variant, quantity=entry["quantity"]))
        deltas[line.pk] = line.quantity
        moves += assign(order=order, line=line, quantity=line.quantity, location_id=entry["location"], now=now)
    return moves, deltas


def assign(*, order: Order, line: LineItem, quantity: int, location_id: int | None, now: datetime) -> list[stock.Move]:
    """Route added units: onto the location's open fulfillment order, else onto a new one; gives the stock moves."""
    chosen = order.shop.locations.filter(pk=location_id, is_active=True) if location_id else []
    places = list(chosen) or orders.candidates(shop=order.shop, new=orders.NewOrder(lines=[]))
    shares = routing.route(locations=places, demands=[routing.Demand(key=0, item=line.item, quantity=quantity)])
    moves = []
    for share in shares:
        put_on_fulfillment_order(order=order, line=line, share=share, now=now)
        if line.item_id is not None and order.claims_stock:
            moves.append(stock.Move(line.item_id, share.location.pk, "available", -share.quantity))
            moves.append(stock.Move(line.item_id, share.location.pk, "committed", share.quantity))
    return moves


def put_on_fulfillment_order(*, order: Order, line: LineItem, share: routing.Share, now: datetime) -> None:
    rows = order.fulfillment_orders.filter(location=share.location, status="OPEN")
    row = rows.order_by("pk").first() or FulfillmentOrder.objects.create(
        order=order, location=share.location, created_at=now, updated_at=now
    )
    on_it, _ = FulfillmentOrderLineItem.objects.get_or_create(
        fulfillment_order=row, line=line, defaults={"total": 0, "remaining": 0}
    )
    on_it.total += share.quantity
    on_it.remaining += share.quantity
    on_it.save(update_fields=["total", "remaining"])
    row.updated_at = now
    row.save(update_fields=["updated_at"])
