"""Lightspeed's webhooks: is it theirs, what names it, what should be read again.

https://x-series-api.lightspeedhq.com/docs/webhooks: a form whose field `payload` is JSON in the shape of API 1.0.
Nothing else of it is promised: no event id, and not even the type, which is therefore known by the payload's shape.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from channels.connectors.lightspeed.values import moment
from channels.ports import Count, Envelope, Hint, HintKind, MalformedPayload, OrderRef

TYPES = ("consignment.receive", "consignment.send", "inventory.update", "product.update", "sale.update")
OF_NO_CONCERN = ("customer.update", "register_closure.create")


def is_signed(*, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether the app's secret signed this form. Constant time.

    The digest is written in hex or in base64: the vendor does not say. Webhooks of accounts without an app carry no
    signature; there the address is the secret, and what comes is never more than a hint.
    """
    if not body:
        return False
    if not secret:
        return True
    parts = dict(part.strip().partition("=")[::2] for part in headers.get("x-signature", "").split(","))
    given, digest = parts.get("signature", "").encode(), hmac.new(secret.encode(), body, hashlib.sha256)
    if not given or parts.get("algorithm", "").upper() != "HMAC-SHA256":
        return False
    in_hex = hmac.compare_digest(digest.hexdigest().encode(), given.lower())
    return in_hex | hmac.compare_digest(base64.b64encode(digest.digest()), given)


def identify(*, body: bytes) -> Envelope:
    """Named by what changed and to which version: the same state told twice is one delivery."""
    payload = _payload(body)
    topic, row_id, version = _topic(payload), str(payload.get("id") or ""), payload.get("version")
    told_as = str(version) if isinstance(version, int) else hashlib.sha256(_text(body).encode()).hexdigest()[:32]
    return Envelope(topic=topic, dedupe_key=f"{topic}:{row_id}:{told_as}", occurred_at=_time(payload.get("updated_at")))


def parse(*, topic: str, body: bytes) -> Hint:
    """What to read again. Versions tell sales that are known already; counts tell levels that are."""
    payload = _payload(body)
    if topic == "sale.update":
        sale_id, version = _named(payload, "id"), payload.get("version")
        known = (OrderRef(sale_id, version=version),) if isinstance(version, int) else ()
        return Hint(HintKind.ORDERS, (sale_id,), orders=known)
    if topic == "inventory.update":
        return _level(payload)
    if topic.startswith("consignment."):
        return Hint(HintKind.STOCK, (_named(payload, "product_id"),))
    if topic == "product.update":
        return Hint(HintKind.CATALOG)
    return Hint(HintKind.NOTHING if topic in OF_NO_CONCERN else HintKind.UNKNOWN)


def _level(payload: Mapping[str, Any]) -> Hint:
    product_id, outlet_id, count = _named(payload, "product_id"), payload.get("outlet_id"), payload.get("count")
    if not isinstance(outlet_id, str) or isinstance(count, bool) or not isinstance(count, int | float):
        return Hint(HintKind.STOCK, (product_id,))
    told = Count(product_id, outlet_id, Decimal(str(count)), None)
    return Hint(HintKind.STOCK, (product_id,), counts=(told,))


def _topic(payload: Mapping[str, Any]) -> str:
    """The type, by what only its payload has."""
    if "register_sale_products" in payload:
        return "sale.update"
    if "consignment_id" in payload:
        return "consignment.send" if payload.get("received") is None else "consignment.receive"
    if "product_id" in payload and "outlet_id" in payload:
        return "inventory.update"
    if "handle" in payload and "sku" in payload:
        return "product.update"
    if "customer_code" in payload:
        return "customer.update"
    if "register_id" in payload:
        return "register_closure.create"
    return "unknown"


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(_text(body))
    except (ValueError, RecursionError) as error:
        raise MalformedPayload("payload is not JSON") from error
    if not isinstance(payload, dict):
        raise MalformedPayload("payload is no JSON object")
    return payload


def _text(body: bytes) -> str:
    try:
        found = parse_qs(body.decode(), strict_parsing=True).get("payload")
    except ValueError as error:
        raise MalformedPayload("the body is no form") from error
    if not found:
        raise MalformedPayload("the form has no payload")
    return found[0]


def _named(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedPayload(f"{name} is missing")
    return value


def _time(value: Any) -> datetime | None:
    return moment(value)
