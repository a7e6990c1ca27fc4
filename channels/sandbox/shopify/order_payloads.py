"""Webhook bodies about orders, shaped like the vendor's REST resources; customer fields are null or absent."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from channels.sandbox.shopify import order_state as state
from channels.sandbox.shopify.models import Fulfillment, FulfillmentOrder, LineItem, Order, Refund, RefundLineItem

Json = dict[str, Any]
ZERO = Decimal(0)
REST_FULFILLMENT = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def moment(value: datetime | None, *, order: Order) -> str | None:
    """An instant in the shop's own time, as the vendor prints it."""
    return None if value is None else value.astimezone(ZoneInfo(order.shop.timezone)).isoformat(timespec="seconds")


def money(value: Decimal) -> str:
    return f"{value:.2f}"


def money_set(value: Decimal, *, currency: str) -> Json:
    amount = {"amount": money(value), "currency_code": currency}
    return {"shop_money": amount, "presentment_money": dict(amount)}


def order_body(order: Order) -> Json:
    """The order resource of orders/create, /updated and /cancelled. `order` must come from order_state.read."""
    lines = list(order.lines.all())
    total = sum((line.price * line.quantity for line in lines), ZERO)
    current = sum((line.price * line.current_quantity for line in lines), ZERO)
    is_due = order.financial_status in ("PENDING", "AUTHORIZED", "EXPIRED")
    body: Json = {
        "id": order.pk,
        "admin_graphql_api_id": order.gid,
        "app_id": state.sales_app(order)["id"],
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": order.cancel_reason.lower() or None,
        "cancelled_at": moment(order.cancelled_at, order=order),
        "cart_token": None,
        "checkout_id": None,
        "client_details": None,
        "closed_at": moment(order.closed_at, order=order),
        "confirmed": True,
        "contact_email": None,
        "created_at": moment(order.created_at, order=order),
        "currency": order.currency,
        "email": None,
        "financial_status": order.financial_status.lower(),
        "fulfillment_status": REST_FULFILLMENT.get(state.fulfillment_status(order)),
        "location_id": order.retail_location_id,
        "name": f"#{order.number}",
        "number": order.number - 1000,
        "order_number": order.number,
        "phone": None,
        "presentment_currency": order.currency,
        "processed_at": moment(order.processed_at, order=order),
        "source_identifier": order.source_identifier or None,
        "source_name": order.source_name,
        "tags": "",
        "tax_lines": [],
        "taxes_included": True,
        "test": order.test,
        "total_discounts": "0.00",
        "total_outstanding": money(current if is_due else ZERO),
        "total_tax": "0.00",
        "updated_at": moment(order.updated_at, order=order),
        "billing_address": None,
        "customer": None,
        "discount_codes": [],
        "shipping_address": None,
        "shipping_lines": [],
        "returns": [],
    }
    for name, value in (
        ("subtotal_price", total),
        ("total_price", total),
        ("current_subtotal_price", current),
        ("current_total_price", current),
    ):
        body[name] = money(value)
        if name.startswith("current_"):
            body[f"{name}_set"] = money_set(value, currency=order.currency)
    body["total_line_items_price"] = money(total)
    body["line_items"] = [line_body(line, order=order) for line in lines]
    body["fulfillments"] = [fulfillment_body(row, order=order) for row in order.fulfillments.all()]
    body["refunds"] = [refund_body(row, order=order) for row in order.refunds.all()]
    return body


def line_body(line: LineItem, *, order: Order) -> Json:
    rest, left = state.unfulfilled(line), state.left_by_line(order)[line.pk]
    status = None if not left else "partial" if rest else "fulfilled"
    return {
        "id": line.pk,
        "admin_graphql_api_id": line.gid,
        "current_quantity": line.current_quantity,
        "fulfillable_quantity": rest,
        "fulfillment_service": "manual",
        "fulfillment_status": status,
        "gift_card": False,
        "grams": 0,
        "name": f"{line.title} - {line.variant_title}" if line.variant_title else line.title,
        "price": money(line.price),
        "price_set": money_set(line.price, currency=order.currency),
        "product_exists": line.variant_id is not None,
        "product_id": line.variant.product_id if line.variant else None,
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": line.requires_shipping,
        "sku": line.sku,
        "taxable": True,
        "title": line.title,
        "total_discount": "0.00",
        "total_discount_set": money_set(ZERO, currency=order.currency),
        "variant_id": line.variant_id,
        "variant_inventory_management": "shopify" if line.item and line.item.tracked else None,
        "variant_title": line.variant_title or None,
        "vendor": (line.variant.product.vendor or None) if line.variant else None,
        "tax_lines": [],
        "duties": [],
        "discount_allocations": [],
    }


def fulfillment_body(row: Fulfillment, *, order: Order) -> Json:
    """The fulfillment resource of fulfillments/create."""
    quantities = {entry["line"]: entry["quantity"] for entry in row.lines}
    lines = [line for line in order.lines.all() if line.pk in quantities]
    return {
        "id": row.pk,
        "admin_graphql_api_id": row.gid,
        "order_id": order.pk,
        "name": f"#{order.number}.1",
        "status": row.status.lower(),
        "service": "manual",
        "location_id": row.location_id,
        "created_at": moment(row.created_at, order=order),
        "updated_at": moment(row.updated_at, order=order),
        "shipment_status": None,
        "tracking_company": None,
        "tracking_number": None,
        "tracking_numbers": [],
        "line_items": [line_body(line, order=order) | {"quantity": quantities[line.pk]} for line in lines],
    }


def refund_body(row: Refund, *, order: Order) -> Json:
    """The refund resource of refunds/create."""
    lines = list(row.lines.all())
    amount = row.total
    return {
        "id": row.pk,
        "admin_graphql_api_id": row.gid,
        "order_id": order.pk,
        "created_at": moment(row.created_at, order=order),
        "processed_at": moment(row.created_at, order=order),
        "note": row.note or None,
        "user_id": None,
        "restock": any(line.restocked for line in lines),
        "duties": [],
        "total_duties_set": money_set(ZERO, currency=order.currency),
        "return": None,
        "refund_shipping_lines": [],
        "order_adjustments": [],
        "refund_line_items": [refund_line_body(line, order=order) for line in lines],
        "transactions": [refund_transaction(row, amount=amount, order=order)] if amount else [],
    }


def refund_line_body(row: RefundLineItem, *, order: Order) -> Json:
    line = next(line for line in order.lines.all() if line.pk == row.line_id)
    subtotal = line.price * row.quantity
    return {
        "id": row.pk,
        "line_item_id": row.line_id,
        "quantity": row.quantity,
        "restock_type": row.restock_type.lower(),
        "location_id": row.location_id if row.restocked else None,
        "subtotal": float(subtotal),
        "subtotal_set": money_set(subtotal, currency=order.currency),
        "total_tax": 0.0,
        "total_tax_set": money_set(ZERO, currency=order.currency),
        "line_item": line_body(line, order=order),
    }


def refund_transaction(row: Refund, *, amount: Decimal, order: Order) -> Json:
    return {
        "id": row.pk,
        "admin_graphql_api_id": f"gid://shopify/OrderTransaction/{row.pk}",
        "order_id": order.pk,
        "kind": "refund",
        "gateway": "manual",
        "status": "success",
        "amount": money(amount),
        "currency": order.currency,
        "created_at": moment(row.created_at, order=order),
        "processed_at": moment(row.created_at, order=order),
        "test": order.test,
        "parent_id": None,
        "receipt": {},
    }


def fulfillment_order_body(row: FulfillmentOrder) -> Json:
    """The body of the fulfillment_orders topics that speak of one."""
    return {"fulfillment_order": {"id": row.gid, "status": row.status.lower()}}


def moved_body(
    *, original: FulfillmentOrder, moved: FulfillmentOrder, source_gid: str, requested: list[tuple[str, int]]
) -> Json:
    """fulfillment_orders/moved; what was asked for is empty when the whole was moved."""
    return {
        "original_fulfillment_order": {"id": original.gid, "status": original.status.lower()},
        "moved_fulfillment_order": {"id": moved.gid, "status": moved.status.lower()},
        "destination_location_id": moved.location.gid,
        "fulfillment_order_line_items_requested": [{"id": gid, "quantity": quantity} for gid, quantity in requested],
        "source_location": {"id": source_gid},
    }


def edited_body(*, order: Order, edit_id: int, began_at: datetime, now: datetime, deltas: dict[int, int]) -> Json:
    """orders/edited: line id -> units added or removed."""
    return {
        "order_edit": {
            "id": edit_id,
            "app_id": state.sales_app(order)["id"],
            "created_at": moment(began_at, order=order),
            "committed_at": moment(now, order=order),
            "notify_customer": False,
            "order_id": order.pk,
            "staff_note": "",
            "user_id": None,
            "line_items": {
                "additions": [{"id": line, "delta": delta} for line, delta in deltas.items() if delta > 0],
                "removals": [{"id": line, "delta": -delta} for line, delta in deltas.items() if delta < 0],
            },
            "discounts": {"line_item": {"additions": [], "removals": []}},
            "shipping_lines": {"additions": [], "removals": []},
        }
    }
