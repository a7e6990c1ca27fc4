"""Square's webhooks: is it theirs, what names it, what should be read again.

https://developer.squareup.com/docs/webhooks/step3validate
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from channels.ports import Envelope, Hint, HintKind, MalformedPayload, OrderRef

SIGNATURE_HEADER = "x-square-hmacsha256-signature"

# What we subscribe to. order.* need ORDERS_READ, payment.* and refund.* PAYMENTS_READ, inventory.*
# INVENTORY_READ, catalog.* ITEMS_READ, location.* MERCHANT_PROFILE_READ; a topic whose scope was not granted
# stays silent.
TOPICS = (
    "catalog.version.updated",
    "inventory.count.updated",
    "location.created",
    "location.updated",
    "oauth.authorization.revoked",
    "order.created",
    "order.fulfillment.updated",
    "order.updated",
    "payment.created",
    "payment.updated",
    "refund.created",
    "refund.updated",
)
ORDER_TOPICS = {
    "order.created": "order_created",
    "order.updated": "order_updated",
    "order.fulfillment.updated": "order_fulfillment_updated",
}
# Families that exist at Square and say nothing about stock, orders, catalog or places.
# https://developer.squareup.com/docs/webhooks/v2webhook-events-tech-ref
OTHER_FAMILIES = (
    "bank_account.", "booking.", "card.", "catalog.custom_attribute", "customer.", "device.", "dispute.",
    "gift_card.", "invoice.", "job.", "labor.", "location.custom_attribute", "location.settings.", "loyalty.",
    "merchant.", "online_checkout.", "order.custom_attribute", "payout.", "subscription.", "team_member.",
    "terminal.", "timecard.", "transfer_order.", "vendor.", "webhooks.",
)  # fmt: skip


def is_signed(*, headers: Mapping[str, str], body: bytes, url: str, key: str) -> bool:
    """Whether Square signed this body for this address: base64 of HMAC-SHA256 over the URL as registered +
    raw body.

    False without a key, a signature or a body. Constant time.
    """
    given = headers.get(SIGNATURE_HEADER, "")
    if not (given and key and url and body):
        return False
    digest = hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), given.encode())


def identify(*, body: bytes) -> Envelope:
    """Square repeats a delivery with the same `event_id`; `created_at` is when the event happened."""
    payload = _payload(body)
    return Envelope(
        topic=_text(payload, "type"),
        dedupe_key=_text(payload, "event_id"),
        occurred_at=_time(payload.get("created_at")),
    )


def parse(*, topic: str, body: bytes, merchant_id: str) -> Hint:
    """What to read again. A delivery about another merchant is nothing to us: a subscription belongs to the
    application, so Square sends every merchant's events to every one of its addresses."""
    payload = _payload(body)
    sent_for = str(payload.get("merchant_id") or "")
    if merchant_id and sent_for and sent_for != merchant_id:
        return Hint(kind=HintKind.NOTHING)
    if topic in ORDER_TOPICS:
        data = _mapping(payload, "data")
        told = _mapping(_mapping(data, "object"), ORDER_TOPICS[topic])
        order_id, version = _text(told, "order_id"), told.get("version")
        known = (OrderRef(order_id, version=version),) if isinstance(version, int) else ()
        return Hint(kind=HintKind.ORDERS, ids=(order_id,), orders=known)
    if topic.startswith(("payment.", "refund.")):
        return _order_of_money(payload, topic=topic)
    if topic == "inventory.count.updated":
        return _counts(payload)
    if topic == "catalog.version.updated":
        return Hint(kind=HintKind.CATALOG)
    if topic == "oauth.authorization.revoked":
        return Hint(kind=HintKind.REVOKED)
    if topic.startswith(OTHER_FAMILIES):
        return Hint(kind=HintKind.NOTHING)
    if topic.startswith("location."):
        return Hint(kind=HintKind.LOCATIONS)
    return Hint(kind=HintKind.UNKNOWN)


def _order_of_money(payload: Mapping[str, Any], *, topic: str) -> Hint:
    """Payments without an order (quick amounts, invoices' deposits) move no goods."""
    about = _mapping(_mapping(_mapping(payload, "data"), "object"), topic.partition(".")[0])
    order_id = about.get("order_id")
    return Hint(kind=HintKind.ORDERS, ids=(str(order_id),)) if order_id else Hint(kind=HintKind.NOTHING)


def _counts(payload: Mapping[str, Any]) -> Hint:
    counts = _mapping(_mapping(payload, "data"), "object").get("inventory_counts")
    if not isinstance(counts, list):
        raise MalformedPayload("inventory_counts is missing")
    # A dict keeps the order and drops repeats: one sale tells the same variation once per state.
    ids = {str(count["catalog_object_id"]): None for count in counts if _names_a_variation(count)}
    return Hint(kind=HintKind.STOCK, ids=tuple(ids)) if ids else Hint(kind=HintKind.NOTHING)


def _names_a_variation(count: Any) -> bool:
    return (
        isinstance(count, dict)
        and bool(count.get("catalog_object_id"))
        and count.get("catalog_object_type", "ITEM_VARIATION") == "ITEM_VARIATION"
    )


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload("not JSON") from error
    if not isinstance(payload, dict):
        raise MalformedPayload("not a JSON object")
    return payload


def _mapping(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if not isinstance(value, dict):
        raise MalformedPayload(f"{name} is missing")
    return value


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedPayload(f"{name} is missing")
    return value


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
