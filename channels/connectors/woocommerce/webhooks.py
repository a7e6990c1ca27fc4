"""WooCommerce's webhooks: is it theirs, what names it, what should be read again.

https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from channels.connectors.woocommerce import catalog, orders
from channels.connectors.woocommerce.catalog import UNSTOCKED
from channels.connectors.woocommerce.values import id_of, moment
from channels.ports import Envelope, Hint, HintKind, MalformedPayload

TOPICS = (
    "order.created",
    "order.deleted",
    "order.restored",
    "order.updated",
    "product.created",
    "product.deleted",
    "product.restored",
    "product.updated",
)
NO_CONCERN = ("action.", "coupon.", "customer.")
PING = "ping"
PING_BODY = re.compile(rb"webhook_id=(\d{1,18})")
PING_AGENT = re.compile(r"WooCommerce/\S+ Hookshot \(WordPress/\S+\)")


def is_signed(*, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether the shop signed this body: base64 of HMAC-SHA256 over the raw body. Constant time.

    The ping a new webhook begins with is not signed. It is let in as what it is, for a refusal would be shown to the
    shop's owner as a broken webhook; it names nothing and asks for nothing.
    """
    if is_ping(headers=headers, body=body):
        return True
    given = headers.get("x-wc-webhook-signature", "")
    if not (given and secret and body):
        return False
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), given.encode())


def is_ping(*, headers: Mapping[str, str], body: bytes) -> bool:
    """A form with a webhook's number, from WooCommerce by its own word, and no topic."""
    return (
        PING_BODY.fullmatch(body) is not None
        and PING_AGENT.fullmatch(headers.get("user-agent", "")) is not None
        and not any(name.startswith("x-wc-webhook-") for name in headers)
    )


def identify(*, headers: Mapping[str, str], body: bytes) -> Envelope:
    """Two deliveries of one webhook in one second have the same delivery id: what they say sets them apart."""
    ping = PING_BODY.fullmatch(body)
    if ping is not None:
        return Envelope(topic=PING, dedupe_key=f"ping:{ping[1].decode()}", occurred_at=None)
    payload = _payload(body)
    topic, delivery = headers.get("x-wc-webhook-topic", ""), headers.get("x-wc-webhook-delivery-id", "")
    if not topic or not delivery:
        raise MalformedPayload("the topic or the delivery's id is missing from the headers")
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Envelope(topic, f"{topic}:{delivery}:{digest}", moment(payload.get("date_modified_gmt")))


def parse(*, topic: str, body: bytes) -> Hint:
    """What to read again. Bodies are made when they are sent, twice or thrice for one change: hints all the same."""
    if topic == PING:
        return Hint(HintKind.NOTHING)
    payload = _payload(body)
    resource, _, event = topic.partition(".")
    if resource == "order":
        number = _number(payload)
        known = (orders.ref(payload),) if payload.get("date_modified_gmt") and event != "deleted" else ()
        return Hint(HintKind.ORDERS, (number,), orders=known)
    if resource == "product":
        return _product(payload, event=event)
    return Hint(HintKind.NOTHING if topic.startswith(NO_CONCERN) else HintKind.UNKNOWN)


def _product(payload: Mapping[str, Any], *, event: str) -> Hint:
    """One topic for any change of a product: a number, a name, a price. A variation comes shaped as a product."""
    _number(payload)
    if event == "deleted":
        return Hint(HintKind.CATALOG, ("all",))  # no list tells what is gone
    kind = payload.get("type")
    if event == "updated" and kind == "variable":
        # Sent for each of its variations that is saved: it tells their product's name and which there are.
        return Hint(HintKind.CATALOG, listings=tuple(catalog.told_of_product(payload)))
    if event != "updated" or kind in UNSTOCKED or "manage_stock" not in payload:
        return Hint(HintKind.CATALOG)
    return Hint(
        HintKind.STOCK,
        (id_of(payload),),
        counts=tuple(catalog.counts([payload])),
        listings=(catalog.told(payload),),
    )


def _number(payload: Mapping[str, Any]) -> str:
    number = payload.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise MalformedPayload("no id is named")
    return str(number)


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload("not JSON") from error
    if not isinstance(payload, dict):
        raise MalformedPayload("not a JSON object")
    return payload
