"""GraphQL over orders and fulfillment orders: finding them, by id or by the vendor's search language."""

# Arguments bear the names of the vendor's schema.
# ruff: noqa: A002, N803

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from channels.sandbox.shopify import drafts, order_state
from channels.sandbox.shopify.models import (
    DraftOrder,
    Fulfillment,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    LineItem,
    Order,
    Refund,
)
from channels.sandbox.shopify.resolving import by_id, by_time, connection, parse_gid, resolver, search

ORDER_SORTS = {
    "CREATED_AT": "created_at",
    "UPDATED_AT": "updated_at",
    "PROCESSED_AT": "processed_at",
    "ORDER_NUMBER": "number",
    "ID": "pk",
}
FULFILLMENT_ORDER_SORTS = {"ID": "pk", "UPDATED_AT": "updated_at"}


def by_status(operator: str, value: str) -> Q:
    """open, closed, cancelled, not_closed; `any` is no condition."""
    conditions = {
        "open": Q(closed_at=None, cancelled_at=None),
        "closed": Q(closed_at__isnull=False, cancelled_at=None),
        "cancelled": Q(cancelled_at__isnull=False),
        "not_closed": Q(closed_at=None),
        "any": Q(),
    }
    return conditions.get(value.lower(), Q(pk__in=[]))


def by_fulfillment_status(operator: str, value: str) -> Q:
    """unfulfilled or unshipped, partial, fulfilled or shipped."""
    rest = FulfillmentOrderLineItem.objects.filter(fulfillment_order__order=OuterRef("pk"), remaining__gt=0)
    has_rest = Exists(rest.exclude(fulfillment_order__status__in=order_state.ENDED))
    has_left = Exists(Fulfillment.objects.filter(order=OuterRef("pk"), status="SUCCESS"))
    conditions = {
        "unfulfilled": ~Q(has_left),
        "unshipped": ~Q(has_left),
        "partial": Q(has_rest) & Q(has_left),
        "fulfilled": Q(has_left) & ~Q(has_rest),
        "shipped": Q(has_left) & ~Q(has_rest),
    }
    return conditions.get(value.lower(), Q() if value.lower() == "any" else Q(pk__in=[]))


def by_name(operator: str, value: str) -> Q:
    number = value.removeprefix("#")
    return Q(number=int(number)) if number.isdigit() else Q(pk__in=[])


def by_sku(operator: str, value: str) -> Q:
    return Q(Exists(LineItem.objects.filter(order=OuterRef("pk"), sku=value)))


ORDER_FIELDS = {
    "id": by_id(),
    "name": by_name,
    "default": by_name,
    "created_at": by_time("created_at"),
    "updated_at": by_time("updated_at"),
    "processed_at": by_time("processed_at"),
    "status": by_status,
    "fulfillment_status": by_fulfillment_status,
    "financial_status": "financial_status",
    "source_name": "source_name",
    "source_identifier": "source_identifier",
    "location_id": by_id("retail_location_id"),
    "sku": by_sku,
}
FULFILLMENT_ORDER_FIELDS = {
    "id": by_id(),
    "status": "status",
    "assigned_location_id": by_id("location_id"),
    "updated_at": by_time("updated_at"),
}


def fulfillment_orders_in_full() -> QuerySet[FulfillmentOrder]:
    """Fulfillment orders with what is printed of them."""
    lines = Prefetch("lines", order_state.fulfillment_order_lines())
    return FulfillmentOrder.objects.select_related("location", "order__shop").prefetch_related(lines)


@resolver("QueryRoot", "order")
def order(source: Any, info: Any, id: str) -> Order | None:
    rows = Order.objects.filter(shop=info.context.shop, pk=parse_gid(id, "Order"))
    return order_state.in_full(rows).first()


def orders_found(info: Any, *, query: str | None) -> QuerySet[Order]:
    return search(Order.objects.filter(shop=info.context.shop), query, fields=ORDER_FIELDS)


@resolver("QueryRoot", "orders")
def orders(
    source: Any,
    info: Any,
    query: str | None = None,
    sortKey: str | None = "PROCESSED_AT",
    savedSearchId: str | None = None,
    **page: Any,
) -> Any:
    rows = order_state.in_full(orders_found(info, query=query))
    return connection(rows.order_by(ORDER_SORTS.get(sortKey or "", "processed_at"), "pk"), **page)


@resolver("QueryRoot", "ordersCount")
def orders_count(
    source: Any, info: Any, query: str | None = None, limit: int | None = 10_000, savedSearchId: str | None = None
) -> dict[str, Any]:
    found = orders_found(info, query=query).count()
    most = found if limit is None else min(found, limit)
    return {"count": most, "precision": "EXACT" if most == found else "AT_LEAST"}


@resolver("QueryRoot", "fulfillmentOrder")
def fulfillment_order(source: Any, info: Any, id: str) -> FulfillmentOrder | None:
    rows = fulfillment_orders_in_full().filter(order__shop=info.context.shop)
    return rows.filter(pk=parse_gid(id, "FulfillmentOrder")).first()


@resolver("QueryRoot", "fulfillmentOrders")
def fulfillment_orders(
    source: Any,
    info: Any,
    query: str | None = None,
    includeClosed: bool | None = False,
    sortKey: str | None = "ID",
    **page: Any,
) -> Any:
    rows = fulfillment_orders_in_full().filter(order__shop=info.context.shop)
    if not includeClosed:
        rows = rows.exclude(status__in=order_state.ENDED)
    rows = search(rows, query, fields=FULFILLMENT_ORDER_FIELDS)
    return connection(rows.order_by(FULFILLMENT_ORDER_SORTS[sortKey or "ID"], "pk"), **page)


@resolver("QueryRoot", "fulfillment")
def fulfillment(source: Any, info: Any, id: str) -> Fulfillment | None:
    rows = Fulfillment.objects.filter(order__shop=info.context.shop).select_related("location", "order")
    return rows.filter(pk=parse_gid(id, "Fulfillment")).first()


@resolver("QueryRoot", "refund")
def refund(source: Any, info: Any, id: str) -> Refund | None:
    rows = Refund.objects.filter(order__shop=info.context.shop).select_related("order")
    return rows.filter(pk=parse_gid(id, "Refund")).first()


@resolver("QueryRoot", "draftOrder")
def draft_order(source: Any, info: Any, id: str) -> DraftOrder | None:
    drafts.release_expired(shop=info.context.shop, now=info.context.now)
    return DraftOrder.objects.filter(shop=info.context.shop, pk=parse_gid(id, "DraftOrder")).first()
