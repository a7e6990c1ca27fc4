"""What every change of an order ends with: its stock moved in one call, its new state announced."""

from typing import Any

from channels.sandbox.shopify import order_payloads, order_state, stock, webhooks
from channels.sandbox.shopify.models import FulfillmentOrder, Order, Shop
from channels.sandbox.shopify.order_state import Rejected


def shift(*, shop: Shop, order: Order, moves: list[stock.Move], reason: str) -> None:
    """Move stock for an order, in one call so that levels are locked in one order."""
    if moves:
        stock.move(shop=shop, changes=moves, reason=reason, reference=order.gid, app_change=False)


def lock_stock_of(order: Order) -> None:
    """Lock the levels of all an order's items, before anything about them is decided."""
    order_state.lock_levels(item_ids=[line.item_id for line in order.lines.all() if line.item_id is not None])


def emit(*, order: Order, topic: str, payload: dict[str, Any]) -> None:
    webhooks.emit(shop=order.shop, topic=topic, payload=payload)


def emit_created(*, order: Order) -> None:
    """Announce a placed order and where it was routed."""
    full = order_state.read(order_id=order.pk)
    body = order_payloads.order_body(full)
    emit(order=full, topic="ORDERS_CREATE", payload=body)
    if full.financial_status == "PAID":
        emit(order=full, topic="ORDERS_PAID", payload=body)
    for row in full.fulfillment_orders.all():
        emit_fulfillment_order(row=row, order=full, topic="FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE")


def emit_updated(*, order_id: int) -> Order:
    """Announce a changed order; returns the order in full."""
    full = order_state.read(order_id=order_id)
    emit(order=full, topic="ORDERS_UPDATED", payload=order_payloads.order_body(full))
    return full


def emit_fulfillment_order(*, row: FulfillmentOrder, order: Order, topic: str) -> None:
    emit(order=order, topic=topic, payload=order_payloads.fulfillment_order_body(row))


def own_fulfillment_order(*, shop: Shop, row_id: int, field: list[str], code: str | None = None) -> FulfillmentOrder:
    """A shop's fulfillment order by id, not locked: lock its order first. Raises Rejected."""
    row = FulfillmentOrder.objects.filter(order__shop=shop, pk=row_id).first()
    if row is None:
        raise Rejected("Fulfillment order does not exist", field=field, code=code)
    return row
