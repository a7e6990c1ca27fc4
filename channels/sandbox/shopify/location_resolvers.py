"""GraphQL over locations: which there are, what lies there, what they do."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from channels.sandbox.shopify.catalog_resolvers import in_order
from channels.sandbox.shopify.models import FulfillmentOrder, InventoryLevel, Location
from channels.sandbox.shopify.resolving import by_id, by_time, connection, parse_gid, resolver, search

Json = dict[str, Any]


@resolver("QueryRoot", "location")
def location(source: Any, info: Any, id: str | None = None) -> Location | None:  # noqa: A002
    rows = Location.objects.filter(shop=info.context.shop)
    return rows.filter(pk=parse_gid(id, "Location")).first() if id else rows.order_by("rank", "pk").first()


@resolver("QueryRoot", "locations")
def locations(
    source: Any,
    info: Any,
    includeInactive: bool = False,  # noqa: N803
    query: str | None = None,
    sortKey: str | None = None,  # noqa: N803
    **page: Any,
) -> Json:
    page.pop("includeLegacy", None)
    rows = Location.objects.filter(shop=info.context.shop)
    if not includeInactive:
        rows = rows.filter(is_active=True)
    return connection(in_order(search(rows, query, fields={"name": "name", "default": "name"}), sortKey), **page)


@resolver("Location", "inventoryLevels")
def location_levels(
    source: Location,
    info: Any,
    includeInactive: bool = False,  # noqa: N803
    query: str | None = None,
    **page: Any,
) -> Json:
    rows = InventoryLevel.objects.filter(location=source).select_related("location", "item__variant__product")
    if not includeInactive:
        rows = rows.filter(is_active=True)
    fields = {"updated_at": by_time("updated_at"), "inventory_item_id": by_id("item"), "item_id": by_id("item")}
    return connection(search(rows, query, fields=fields).order_by("pk"), **page)


@resolver("Location", "deactivatedAt")
def deactivated_at(source: Location, info: Any) -> str | None:
    return source.deactivated_at.isoformat() if source.deactivated_at else None


@resolver("Location", "address")
def address(source: Location, info: Any) -> Json:
    return {"country_code": "GB", "city": source.name}


@resolver("Location", "isFulfillmentService")
def is_service(source: Location, info: Any) -> bool:
    return False


@resolver("Location", "shipsInventory")
def ships(source: Location, info: Any) -> bool:
    return source.fulfills_online_orders


@resolver("Location", "hasActiveInventory")
def has_active(source: Location, info: Any) -> bool:
    return source.pk in _once(info.context, "stocked", InventoryLevel.objects.filter(~Q(available=0)))


@resolver("Location", "hasUnfulfilledOrders")
def has_unfulfilled(source: Location, info: Any) -> bool:
    return source.pk in _once(info.context, "owing", FulfillmentOrder.objects.filter(status="OPEN"))


def _once(context: Any, name: str, rows: QuerySet[Any]) -> set[int]:
    """The shop's places that such rows lie at, asked for once a request."""
    if name not in context.places:
        found = rows.filter(location__shop=context.shop).values_list("location", flat=True).distinct()
        context.places[name] = set(found)
    places: set[int] = context.places[name]
    return places


@resolver("Location", "localPickupSettingsV2")
def local_pickup(source: Location, info: Any) -> Json | None:
    return source.local_pickup
