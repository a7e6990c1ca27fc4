"""GraphQL over the shop itself, its app, its webhook subscriptions and its exports."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from channels.sandbox.shopify import webhooks
from channels.sandbox.shopify.models import FulfillmentOrder, Location, Shop, WebhookSubscription
from channels.sandbox.shopify.resolving import connection, parse_gid, resolver, user_error

Json = dict[str, Any]
# Name, what it belongs to, what it is made of.
QUANTITIES: tuple[tuple[str, list[str], list[str]], ...] = (
    ("incoming", [], []),
    ("on_hand", [], ["available", "committed", "damaged", "quality_control", "reserved", "safety_stock"]),
    ("available", ["on_hand"], []),
    ("committed", ["on_hand"], []),
    ("reserved", ["on_hand"], []),
    ("damaged", ["on_hand"], []),
    ("safety_stock", ["on_hand"], []),
    ("quality_control", ["on_hand"], []),
)


@resolver("QueryRoot", "shop")
def shop(source: Any, info: Any) -> Shop:
    return info.context.shop  # type: ignore[no-any-return]


@resolver("Shop", "currencyCode")
def currency(source: Shop, info: Any) -> str:
    return source.currency


@resolver("Shop", "ianaTimezone")
def zone(source: Shop, info: Any) -> str:
    return source.timezone


@resolver("Shop", "myshopifyDomain")
def domain(source: Shop, info: Any) -> str:
    return source.domain


@resolver("Shop", "plan")
def plan(source: Shop, info: Any) -> Json:
    return {"public_display_name": "Basic", "shopify_plus": False}


@resolver("QueryRoot", "currentAppInstallation")
def installation(source: Any, info: Any) -> Json:
    scopes = [{"handle": scope} for scope in info.context.app.scopes]
    return {"id": f"gid://shopify/AppInstallation/{info.context.app.pk}", "access_scopes": scopes}


@resolver("QueryRoot", "inventoryProperties")
def properties(source: Any, info: Any) -> Json:
    names = [
        {"name": name, "display_name": name.replace("_", " ").title(), "is_in_use": True, "belongs_to": within,
         "comprises": parts}
        for name, within, parts in QUANTITIES
    ]  # fmt: skip
    return {"quantity_names": names}


@resolver("QueryRoot", "webhookSubscriptions")
def subscriptions(
    source: Any, info: Any, topics: list[str] | None = None, uri: str | None = None, callbackUrl: str | None = None,  # noqa: N803
    first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None,
    reverse: bool = False, **_: Any,
) -> Json:  # fmt: skip
    rows = info.context.shop.subscriptions.order_by("pk")
    if topics:
        rows = rows.filter(topic__in=topics)
    if uri or callbackUrl:
        rows = rows.filter(uri=uri or callbackUrl)
    return connection(rows, first, after, last, before, reverse)


@resolver("QueryRoot", "webhookSubscriptionsCount")
def subscriptions_count(source: Any, info: Any, **_: Any) -> Json:
    return {"count": info.context.shop.subscriptions.count(), "precision": "EXACT"}


@resolver("WebhookSubscription", "apiVersion")
def api_version(source: Any, info: Any) -> Json:
    return {"handle": webhooks.VERSION, "supported": True}


@resolver("WebhookSubscription", "format")
def format_(source: Any, info: Any) -> str:
    return "JSON"


@resolver("WebhookSubscription", "filter")
@resolver("WebhookSubscription", "name")
def or_null(source: Any, info: Any) -> str | None:
    return getattr(source, info.field_name) or None


@resolver("Mutation", "webhookSubscriptionCreate")
def subscribe(source: Any, info: Any, topic: str, webhookSubscription: Json) -> Json:  # noqa: N803
    uri = webhookSubscription.get("uri") or webhookSubscription.get("callbackUrl")
    if not uri or not uri.startswith(("http://", "https://", "arn:", "pubsub://")):
        return _refused(["webhookSubscription", "uri"], "Address is invalid")
    name = webhookSubscription.get("name") or ""
    same = info.context.shop.subscriptions.filter(topic=topic, uri=uri, name=name)
    if same.exists():
        return _refused(["webhookSubscription", "callbackUrl"], "Address for this topic has already been taken")
    row = WebhookSubscription.objects.create(
        shop=info.context.shop, topic=topic, uri=uri, name=name, filter=webhookSubscription.get("filter") or "",
        include_fields=webhookSubscription.get("includeFields") or [],
    )  # fmt: skip
    return {"webhook_subscription": row, "user_errors": []}


def _refused(field: list[str], message: str) -> Json:
    return {"webhook_subscription": None, "user_errors": [user_error(None, field, message)]}


@resolver("Mutation", "webhookSubscriptionDelete")
def unsubscribe(source: Any, info: Any, id: str) -> Json:  # noqa: A002
    rows = info.context.shop.subscriptions.filter(pk=parse_gid(id, "WebhookSubscription"))
    if not rows.delete()[0]:
        error = user_error(None, ["id"], "Webhook subscription does not exist")
        return {"deleted_webhook_subscription_id": None, "user_errors": [error]}
    return {"deleted_webhook_subscription_id": id, "user_errors": []}


@resolver("Mutation", "locationAdd")
def location_add(source: Any, info: Any, input: Json) -> Json:  # noqa: A002
    rows = Location.objects.filter(shop=info.context.shop)
    if rows.filter(name=input["name"]).exists():
        return {
            "location": None,
            "user_errors": [user_error("TAKEN", ["input", "name"], "Name has already been taken")],
        }
    place = Location.objects.create(
        shop=info.context.shop, name=input["name"], rank=rows.count(),
        fulfills_online_orders=input.get("fulfillsOnlineOrders") is not False,
    )  # fmt: skip
    _emit_location(place, "LOCATIONS_CREATE")
    return {"location": place, "user_errors": []}


@resolver("Mutation", "locationDeactivate")
def location_deactivate(source: Any, info: Any, locationId: str, **_: Any) -> Json:  # noqa: N803
    place = Location.objects.filter(shop=info.context.shop, pk=parse_gid(locationId, "Location")).first()
    if place is None:
        return _not_deactivated("LOCATION_NOT_FOUND", "Location not found.")
    if FulfillmentOrder.objects.filter(location=place, status__in=("OPEN", "IN_PROGRESS", "ON_HOLD")).exists():
        return _not_deactivated("HAS_FULFILLMENT_ORDERS_ERROR", "The location has orders to fulfil.")
    if not Location.objects.filter(shop=info.context.shop, is_active=True).exclude(pk=place.pk).exists():
        message = "The location is the only one that is active."
        return _not_deactivated("PERMANENTLY_BLOCKED_FROM_DEACTIVATION_ERROR", message)
    place.is_active, place.deactivated_at, place.updated_at = False, timezone.now(), timezone.now()
    place.save()
    _emit_location(place, "LOCATIONS_DEACTIVATE")
    return {"location": place, "location_deactivate_user_errors": []}


def _not_deactivated(code: str, message: str) -> Json:
    errors = [user_error(code, ["locationId"], message)]
    return {"location": None, "location_deactivate_user_errors": errors}


@resolver("Mutation", "locationLocalPickupEnable")
def pickup_enable(source: Any, info: Any, localPickupSettings: Json) -> Json:  # noqa: N803
    number = parse_gid(localPickupSettings["locationId"], "Location")
    place = Location.objects.filter(shop=info.context.shop, pk=number, is_active=True).first()
    if place is None:
        path = ["localPickupSettings", "locationId"]
        error = user_error("ACTIVE_LOCATION_NOT_FOUND", path, "The active location was not found.")
        return {"local_pickup_settings": None, "user_errors": [error]}
    place.local_pickup = {
        "pickup_time": localPickupSettings["pickupTime"], "instructions": localPickupSettings.get("instructions") or "",
    }  # fmt: skip
    place.save()
    return {"local_pickup_settings": place.local_pickup, "user_errors": []}


def _emit_location(place: Location, topic: str) -> None:
    payload = {
        "id": place.pk, "name": place.name, "address1": None, "city": place.name, "zip": None, "country": "GB",
        "phone": None, "province": None, "created_at": place.created_at.isoformat(),
        "updated_at": place.updated_at.isoformat(), "country_code": "GB", "country_name": "United Kingdom",
        "province_code": None, "legacy": False, "active": place.is_active, "admin_graphql_api_id": place.gid,
    }  # fmt: skip
    webhooks.emit(shop=place.shop, topic=topic, payload=payload)
