"""Webhooks of the stand-in: one delivery a matching subscription, signed over its bytes, owed with the change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

from django.utils import timezone

from channels.sandbox import deliveries
from channels.sandbox.shopify.models import Shop

VERSION = "2026-10"


def emit(*, shop: Shop, topic: str, payload: dict[str, Any]) -> None:
    """Owe `topic` (ORDERS_CREATE) to whoever subscribed to it, in the caller's transaction."""
    subscriptions = list(shop.subscriptions.filter(topic=topic).order_by("pk"))
    if not subscriptions:
        return
    event_id = str(uuid.uuid4())
    for subscription in subscriptions:
        chosen = payload
        if subscription.include_fields:
            chosen = {name: value for name, value in payload.items() if name in subscription.include_fields}
        body = json.dumps(chosen, separators=(",", ":")).encode()
        deliveries.enqueue(
            vendor="shopify",
            account=shop.domain,
            topic=rest_name(topic),
            url=subscription.uri,
            headers=_headers(shop, topic, body, event_id=event_id, name=subscription.name),
            body=body,
        )


def _headers(shop: Shop, topic: str, body: bytes, *, event_id: str, name: str) -> dict[str, str]:
    digest = hmac.new(shop.app.client_secret.encode(), body, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": rest_name(topic),
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-API-Version": VERSION,
        "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        "X-Shopify-Event-Id": event_id,
        "X-Shopify-Triggered-At": timezone.now().isoformat().replace("+00:00", "Z"),
    }
    return headers | ({"X-Shopify-Name": name} if name else {})


# Families whose names have an underscore of their own; else the first one parts family from event.
_FAMILIES = (
    "BULK_OPERATIONS", "DRAFT_ORDERS", "FULFILLMENT_ORDERS", "INVENTORY_ITEMS", "INVENTORY_LEVELS",
    "FULFILLMENT_HOLDS", "FULFILLMENT_EVENTS",
)  # fmt: skip


def rest_name(topic: str) -> str:
    """ORDERS_CREATE → orders/create."""
    for family in _FAMILIES:
        if topic.startswith(f"{family}_"):
            return f"{family.lower()}/{topic.removeprefix(family + '_').lower()}"
    family, _, event = topic.partition("_")
    return f"{family.lower()}/{event.lower()}"
