"""Shopify's webhooks: is it theirs, what names it, what should be read again.

https://shopify.dev/docs/apps/build/webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from channels.ports import Count, Envelope, Hint, HintKind, MalformedPayload, OrderRef

# What we subscribe to, as the GraphQL enum names it.
TOPICS = (
    "APP_SCOPES_UPDATE",
    "APP_UNINSTALLED",
    "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE",
    "FULFILLMENT_ORDERS_MOVED",
    "INVENTORY_ITEMS_UPDATE",
    "INVENTORY_LEVELS_CONNECT",
    "INVENTORY_LEVELS_DISCONNECT",
    "INVENTORY_LEVELS_UPDATE",
    "LOCATIONS_ACTIVATE",
    "LOCATIONS_CREATE",
    "LOCATIONS_DEACTIVATE",
    "LOCATIONS_DELETE",
    "LOCATIONS_UPDATE",
    "ORDERS_CANCELLED",
    "ORDERS_CREATE",
    "ORDERS_EDITED",
    "ORDERS_UPDATED",
    "PRODUCTS_CREATE",
    "PRODUCTS_DELETE",
    "PRODUCTS_UPDATE",
    "REFUNDS_CREATE",
)
# As deliveries name them: of levels, and of items whose levels came or went.
COUNT_TOPICS = frozenset(
    f"{family}/{event}"
    for family, events in (
        ("inventory_levels", ("connect", "disconnect", "update")),
        ("inventory_items", ("create", "delete", "update")),
    )
    for event in events
)
NO_CONCERN = (
    "app/", "bulk_operations/", "carts/", "checkouts/", "collections/", "customers/", "domains/", "draft_orders/",
    "shop/", "themes/",
)  # fmt: skip


def is_signed(*, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], shop_domain: str) -> bool:
    """Whether Shopify signed this body with one of the app's secrets, and says it is this shop's.

    While a secret is rotated both are good. Headers are not signed: the shop is known by the address's token, and the
    domain only has to agree.
    """
    given = headers.get("x-shopify-hmac-sha256", "").encode()
    if not given or not body or headers.get("x-shopify-shop-domain", "").lower() != shop_domain.lower():
        return False
    return any(hmac.compare_digest(_signature(secret, body), given) for secret in secrets if secret)


def _signature(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())


def identify(*, headers: Mapping[str, str], body: bytes) -> Envelope:
    """A delivery is one topic's webhook id; the event id alone is shared by all deliveries one action caused."""
    _payload(body)
    topic, webhook_id = headers.get("x-shopify-topic", ""), headers.get("x-shopify-webhook-id", "")
    if not topic or not webhook_id:
        raise MalformedPayload("the topic or the webhook's id is missing from the headers")
    return Envelope(
        topic=topic, dedupe_key=f"{topic}:{webhook_id}", occurred_at=_time(headers.get("x-shopify-triggered-at"))
    )


def parse(*, topic: str, body: bytes) -> Hint:
    """What to read again. Bodies are made when they are sent, not when it happened: no value in them is believed."""
    payload = _payload(body)
    family, _, event = topic.partition("/")
    if topic == "app/uninstalled":
        return Hint(HintKind.REVOKED)
    if family == "orders":
        order_id, updated_at = _order_of(payload), _time(payload.get("updated_at"))
        known = (OrderRef(order_id, updated_at=updated_at),) if updated_at and "order_edit" not in payload else ()
        return Hint(HintKind.ORDERS, (order_id,), orders=known)
    if family in ("refunds", "fulfillments"):
        return Hint(HintKind.ORDERS, (_gid("Order", payload.get("order_id")),))
    if family == "fulfillment_orders":
        return Hint(HintKind.ORDERS, _fulfillment_orders(payload))
    if family == "returns":
        order = payload.get("order")
        return Hint(HintKind.ORDERS, (_gid("Order", order.get("id") if isinstance(order, dict) else order),))
    if family == "inventory_levels":
        return _level(payload)
    if family in ("products", "inventory_items"):
        # Search finds nothing that is gone: only reading the whole catalog shows what is not in it.
        return Hint(HintKind.CATALOG, ("all",) if event == "delete" else ())
    if family == "locations":
        return Hint(HintKind.LOCATIONS)
    return Hint(HintKind.NOTHING if topic.startswith(NO_CONCERN) else HintKind.UNKNOWN)


def _level(payload: Mapping[str, Any]) -> Hint:
    """A level to read again; `available` may be null, and says nothing then."""
    item, place = _gid("InventoryItem", payload.get("inventory_item_id")), payload.get("location_id")
    available = payload.get("available")
    if not isinstance(available, int) or not isinstance(place, int):
        return Hint(HintKind.STOCK, (item,))
    told = Count(item, f"gid://shopify/Location/{place}", Decimal(available), _time(payload.get("updated_at")))
    return Hint(HintKind.STOCK, (item,), counts=(told,))


def _order_of(payload: Mapping[str, Any]) -> str:
    edit = payload.get("order_edit")
    return _gid("Order", edit.get("order_id") if isinstance(edit, dict) else payload.get("id"))


def _fulfillment_orders(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Fulfillment orders name no order: their own ids stand for it, and reading resolves them.

    Each topic wraps them in its own way (moved, split, merged), so they are found wherever they are.
    """
    found: dict[str, None] = {}
    waiting: list[Any] = [payload]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and value.startswith("gid://shopify/FulfillmentOrder/"):
            found[value] = None
    if not found:
        raise MalformedPayload("no fulfillment order is named")
    return tuple(found)


def _gid(kind: str, number: Any) -> str:
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise MalformedPayload(f"no {kind} is named")
    return f"gid://shopify/{kind}/{number}"


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter: brackets within brackets without end
        raise MalformedPayload(str(error)) from error
    if not isinstance(payload, dict):
        raise MalformedPayload("the body is no JSON object")
    return payload


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
