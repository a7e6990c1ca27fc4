"""GraphQL over orders, fulfillment orders, refunds and drafts: reading. The mutations are in order_mutations."""

# Arguments bear the names of the vendor's schema.
# ruff: noqa: N803

from decimal import Decimal
from typing import Any

from channels.sandbox.shopify import drafts, editing, fulfilling, moving, order_mutations, order_queries, order_state
from channels.sandbox.shopify.models import (
    CalculatedOrder,
    DraftOrder,
    Fulfillment,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    LineItem,
    Order,
    Refund,
    RefundLineItem,
)
from channels.sandbox.shopify.resolving import connection, parse_gid, resolver

Json = dict[str, Any]
ATTACHED = (order_mutations, order_queries)  # importing them attaches their resolvers too


def money_bag(value: Decimal, *, currency: str) -> Json:
    amount = {"amount": f"{value:.2f}", "currency_code": currency}
    return {"shop_money": amount, "presentment_money": amount}


# Order


@resolver("Order", "legacyResourceId")
def legacy_id(source: Order, info: Any) -> str:
    return str(source.pk)


@resolver("Order", "name")
def order_name(source: Order, info: Any) -> str:
    return f"#{source.number}"


@resolver("Order", "app")
def order_app(source: Order, info: Any) -> Json:
    app = order_state.sales_app(source)
    return {"id": f"gid://shopify/App/{app['id']}", "name": app["name"]}


@resolver("Order", "cancelReason")
def cancel_reason(source: Order, info: Any) -> str | None:
    return source.cancel_reason or None


@resolver("Order", "sourceIdentifier")
def source_identifier(source: Order, info: Any) -> str | None:
    return source.source_identifier or None


@resolver("Order", "confirmed")
def confirmed(source: Order, info: Any) -> bool:
    return True


@resolver("Order", "displayFinancialStatus")
def display_financial_status(source: Order, info: Any) -> str:
    return source.financial_status


@resolver("Order", "displayFulfillmentStatus")
def display_fulfillment_status(source: Order, info: Any) -> str:
    return order_state.fulfillment_status(source)


@resolver("Order", "returnStatus")
def return_status(source: Order, info: Any) -> str:
    back = any(line.restock_type == "RETURN" for refund in source.refunds.all() for line in refund.lines.all())
    return "RETURNED" if back else "NO_RETURN"


@resolver("Order", "totalPriceSet")
def total_price_set(source: Order, info: Any) -> Json:
    total = sum((line.price * line.quantity for line in source.lines.all()), Decimal(0))
    return money_bag(total, currency=source.currency)


@resolver("Order", "currentTotalPriceSet")
def current_total_price_set(source: Order, info: Any) -> Json:
    total = sum((line.price * line.current_quantity for line in source.lines.all()), Decimal(0))
    return money_bag(total, currency=source.currency)


@resolver("Order", "lineItems")
def order_lines(source: Order, info: Any, **page: Any) -> Any:
    return connection(list(source.lines.all()), **page)


@resolver("Order", "fulfillmentOrders")
def order_fulfillment_orders(
    source: Order, info: Any, displayable: bool = False, query: str | None = None, **page: Any
) -> Any:
    rows = list(source.fulfillment_orders.all())
    return connection([row for row in rows if row.status != "CANCELLED"] if displayable else rows, **page)


@resolver("Order", "fulfillments")
def order_fulfillments(
    source: Order, info: Any, first: int | None = None, query: str | None = None
) -> list[Fulfillment]:
    return list(source.fulfillments.all())[:first]


@resolver("Order", "refunds")
def order_refunds(source: Order, info: Any, first: int | None = None) -> list[Refund]:
    return list(source.refunds.all())[:first]


@resolver("Order", "fulfillable")
def fulfillable(source: Order, info: Any) -> bool:
    return source.cancelled_at is None and any(order_state.unfulfilled(line) for line in source.lines.all())


@resolver("Order", "note")
def order_note(source: Order, info: Any) -> None:
    """Notes are words about people: not kept."""
    return None


@resolver("Order", "tags")
def order_tags(source: Order, info: Any) -> list[str]:
    return []


# LineItem


@resolver("LineItem", "variantTitle")
def variant_title(source: LineItem, info: Any) -> str | None:
    return source.variant_title or None


@resolver("LineItem", "sku")
def line_sku(source: LineItem, info: Any) -> str | None:
    return source.sku or None


@resolver("LineItem", "unfulfilledQuantity")
def unfulfilled_quantity(source: LineItem, info: Any) -> int:
    return order_state.unfulfilled(source)


@resolver("LineItem", "refundableQuantity")
def refundable_quantity(source: LineItem, info: Any) -> int:
    return source.current_quantity


@resolver("LineItem", "nonFulfillableQuantity")
def non_fulfillable_quantity(source: LineItem, info: Any) -> int:
    return order_state.unfulfillable(source)


# FulfillmentOrder


@resolver("FulfillmentOrder", "orderId")
def fulfillment_order_order_id(source: FulfillmentOrder, info: Any) -> str:
    return f"gid://shopify/Order/{source.order_id}"


@resolver("FulfillmentOrder", "orderName")
def fulfillment_order_order_name(source: FulfillmentOrder, info: Any) -> str:
    return f"#{source.order.number}"


@resolver("FulfillmentOrder", "fulfillAt")
def fulfill_at(source: FulfillmentOrder, info: Any) -> str:
    return source.created_at.isoformat()


@resolver("FulfillmentOrder", "fulfillBy")
def fulfill_by(source: FulfillmentOrder, info: Any) -> None:
    return None


@resolver("FulfillmentOrder", "assignedLocation")
def assigned_location(source: FulfillmentOrder, info: Any) -> Json:
    return {"name": source.location.name, "location": source.location, "country_code": "GB"}


@resolver("FulfillmentOrder", "deliveryMethod")
def delivery_method(source: FulfillmentOrder, info: Any) -> Json:
    return {"id": f"gid://shopify/DeliveryMethod/{source.pk}", "method_type": source.method_type}


@resolver("FulfillmentOrder", "supportedActions")
def supported_actions(source: FulfillmentOrder, info: Any) -> list[Json]:
    names = {
        "OPEN": ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "MOVE", "HOLD"],
        "IN_PROGRESS": ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "MARK_AS_OPEN"],
        "ON_HOLD": ["RELEASE_HOLD"],
        "SCHEDULED": ["MARK_AS_OPEN", "MOVE"],
    }
    return [{"action": name} for name in names.get(source.status, [])]


@resolver("FulfillmentOrder", "fulfillmentHolds")
def fulfillment_holds(source: FulfillmentOrder, info: Any) -> list[Json]:
    return []


@resolver("FulfillmentOrder", "lineItems")
def fulfillment_order_lines(source: FulfillmentOrder, info: Any, **page: Any) -> Any:
    return connection(list(source.lines.all()), **page)


@resolver("FulfillmentOrderLineItem", "totalQuantity")
def total_quantity(source: FulfillmentOrderLineItem, info: Any) -> int:
    return source.total


@resolver("FulfillmentOrderLineItem", "remainingQuantity")
def remaining_quantity(source: FulfillmentOrderLineItem, info: Any) -> int:
    return source.remaining


@resolver("FulfillmentOrderLineItem", "inventoryItemId")
def inventory_item_id(source: FulfillmentOrderLineItem, info: Any) -> str | None:
    return source.line.item.gid if source.line.item else None


@resolver("FulfillmentOrderLineItem", "sku")
def fulfillment_order_line_sku(source: FulfillmentOrderLineItem, info: Any) -> str | None:
    return source.line.sku or None


@resolver("FulfillmentOrderLineItem", "lineItem")
def fulfillment_order_line_item(source: FulfillmentOrderLineItem, info: Any) -> LineItem:
    return source.line


@resolver("FulfillmentOrder", "locationsForMove")
def locations_for_move(
    source: FulfillmentOrder,
    info: Any,
    query: str | None = None,
    locationIds: list[str] | None = None,
    lineItemIds: list[str] | None = None,
    **page: Any,
) -> Any:
    """Every other active location, and whether the lines that remain can go there."""
    wanted = {parse_gid(gid, "Location") for gid in locationIds or []}
    rows = [line for line in source.lines.all() if line.remaining]
    items = {line.line.item_id for line in rows if line.line.item_id is not None}
    found = []
    for place in source.order.shop.locations.filter(is_active=True).order_by("rank", "pk"):
        if place.pk == source.location_id or (wanted and place.pk not in wanted):
            continue
        stocked = moving.stocked_at(item_ids=items, location=place)
        have = [line for line in rows if line.line.item_id is None or line.line.item_id in stocked]
        parts = [fulfilling.Part(line, line.remaining) for line in rows]
        refusal = moving.refusal_to_move(source, to=place, parts=parts)
        found.append(
            {
                "location": place,
                "movable": refusal is None,
                "message": refusal.message if refusal else None,
                "available_line_items_count": {"count": len(have), "precision": "EXACT"},
                "unavailable_line_items_count": {"count": len(rows) - len(have), "precision": "EXACT"},
            }
        )
    return connection(found, **page)


# Fulfillment, refund


@resolver("Fulfillment", "fulfillmentLineItems")
def fulfillment_line_items(source: Fulfillment, info: Any, **page: Any) -> Any:
    lines = LineItem.objects.select_related("variant", "item").in_bulk([entry["line"] for entry in source.lines])
    shown = [
        {
            "id": f"gid://shopify/FulfillmentLineItem/{source.pk}{index:03}",
            "line_item": lines[entry["line"]],
            "quantity": entry["quantity"],
        }
        for index, entry in enumerate(source.lines)
    ]
    return connection(shown, **page)


@resolver("Refund", "processedAt")
def refund_processed_at(source: Refund, info: Any) -> str:
    return source.created_at.isoformat()


@resolver("Refund", "note")
def refund_note(source: Refund, info: Any) -> str | None:
    return source.note or None


@resolver("Refund", "refundLineItems")
def refund_lines(source: Refund, info: Any, **page: Any) -> Any:
    return connection(list(source.lines.all()), **page)


@resolver("RefundLineItem", "lineItem")
def refund_line_item(source: RefundLineItem, info: Any) -> LineItem:
    return source.line


@resolver("Refund", "totalRefundedSet")
def total_refunded_set(source: Refund, info: Any) -> Json:
    return money_bag(source.total, currency=source.order.currency)


@resolver("Order", "totalRefundedSet")
def order_refunded_set(source: Order, info: Any) -> Json:
    return money_bag(order_state.refunded(source), currency=source.currency)


@resolver("Order", "suggestedRefund")
def suggested_refund(source: Order, info: Any, refundLineItems: list[Json] | None = None) -> Json:
    """What these units cost, as far as there is money of the order left; all of it by its one payment."""
    lines = {line.pk: line for line in source.lines.all()}
    asked = [(parse_gid(one["lineItemId"], "LineItem"), one["quantity"]) for one in refundLineItems or []]
    cost = sum((lines[pk].price * units for pk, units in asked if pk in lines), Decimal(0))
    left = order_state.refundable(source)
    bags = {
        name: money_bag(value, currency=source.currency) for name, value in (("of", min(cost, left)), ("most", left))
    }
    payment = {
        "gateway": "shopify_payments", "kind": "SUGGESTED_REFUND", "amount_set": bags["of"],
        "maximum_refundable_set": bags["most"], "parent_transaction": {"id": order_state.payment_gid(source)},
    }  # fmt: skip
    return {
        "amount_set": bags["of"], "maximum_refundable_set": bags["most"],
        "suggested_transactions": [payment] if left else [],
    }  # fmt: skip


# Edits and drafts


@resolver("CalculatedOrder", "originalOrder")
def original_order(source: CalculatedOrder, info: Any) -> Order:
    return order_state.read(order_id=source.order_id)


@resolver("CalculatedOrder", "lineItems")
def calculated_lines(source: CalculatedOrder, info: Any, query: str | None = None, **page: Any) -> Any:
    return connection(editing.lines_of(source), **page)


@resolver("DraftOrder", "name")
def draft_name(source: DraftOrder, info: Any) -> str:
    return f"#D{source.pk}"


@resolver("DraftOrder", "lineItems")
def draft_lines(source: DraftOrder, info: Any, **page: Any) -> Any:
    return connection(drafts.lines_of(source), **page)


@resolver("DraftOrder", "reserveInventoryUntil")
def reserve_inventory_until(source: DraftOrder, info: Any) -> str | None:
    return source.reserve_until.isoformat() if source.reserve_until else None


@resolver("DraftOrder", "order")
def draft_order_order(source: DraftOrder, info: Any) -> Order | None:
    return order_state.read(order_id=source.order_id) if source.order_id else None
