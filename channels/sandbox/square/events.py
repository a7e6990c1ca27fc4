"""Webhooks: Square's envelopes, signed, owed in the transaction that causes them."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import datetime

from channels.sandbox import deliveries
from channels.sandbox.square.models import AccessToken, Account, Order, Subscription
from channels.sandbox.square.values import Json, now_ms, stamp

# Event type -> the scope the seller must have granted for it to be sent (None: always).
EVENT_SCOPES: dict[str, str | None] = {
    "inventory.count.updated": "INVENTORY_READ",
    "catalog.version.updated": "ITEMS_READ",
    "order.created": "ORDERS_READ",
    "order.updated": "ORDERS_READ",
    "order.fulfillment.updated": "ORDERS_READ",
    "payment.created": "PAYMENTS_READ",
    "payment.updated": "PAYMENTS_READ",
    "refund.created": "PAYMENTS_READ",
    "refund.updated": "PAYMENTS_READ",
    "location.created": "MERCHANT_PROFILE_READ",
    "location.updated": "MERCHANT_PROFILE_READ",
    "oauth.authorization.revoked": None,
}


def sign(*, key: str, url: str, body: bytes) -> str:
    """`x-square-hmacsha256-signature`: base64 of HMAC-SHA256 over the registered address and the raw body."""
    digest = hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def emit(*, account: Account, type_: str, data: Json, location_id: str = "") -> None:
    """Owe this event to every enabled subscription that asked for it, if the seller granted its scope."""
    takers = [
        row
        for row in Subscription.objects.filter(account=account, enabled=True).order_by("pk")
        if type_ in row.event_types
    ]
    if not takers or not is_granted(account=account, scope=EVENT_SCOPES[type_]):
        return
    now = now_ms()
    event: Json = {
        "merchant_id": account.merchant_id,
        "type": type_,
        "event_id": str(uuid.uuid4()),
        "created_at": stamp(now),
        "data": data,
    }
    if location_id:
        event["location_id"] = location_id
    body = json.dumps(event, separators=(",", ":")).encode()
    for row in takers:
        send(subscription=row, type_=type_, body=body, now=now)


def send(*, subscription: Subscription, type_: str, body: bytes, now: datetime) -> None:
    """Owe one signed body to one subscription."""
    url = subscription.notification_url
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Square Connect v2",
        "square-environment": "Sandbox",
        "square-initial-delivery-timestamp": stamp(now),
        "x-square-hmacsha256-signature": sign(key=subscription.signature_key, url=url, body=body),
    }
    deliveries.enqueue(
        vendor="square",
        account=subscription.account_id,
        topic=type_,
        url=url,
        headers=headers,
        body=body,
    )


def is_granted(*, account: Account, scope: str | None) -> bool:
    if scope is None:
        return True
    tokens = AccessToken.objects.filter(account=account, kind=AccessToken.Kind.OAUTH, revoked_at=None)
    return any(scope in scopes for scopes in tokens.values_list("scopes", flat=True))


def counts_updated(*, account: Account, counts: list[Json]) -> None:
    data = {"type": "inventory_counts", "id": str(uuid.uuid4()), "object": {"inventory_counts": counts}}
    emit(account=account, type_="inventory.count.updated", data=data)


def catalog_updated(*, account: Account, updated_at: datetime) -> None:
    version = {"catalog_version": {"updated_at": stamp(updated_at)}}
    data = {"type": "catalog_version", "id": str(uuid.uuid4()), "object": version}
    emit(account=account, type_="catalog.version.updated", data=data)


def order_changed(*, order: Order, is_new: bool) -> None:
    """order.created or order.updated: id, version and state only."""
    kind = "order_created" if is_new else "order_updated"
    detail = order_head(order)
    if is_new:
        del detail["updated_at"]
    data = {"type": kind, "id": order.order_id, "object": {kind: detail}}
    emit(account=order.account, type_=kind.replace("_", "."), data=data)


def fulfillment_changed(*, order: Order, changes: list[Json]) -> None:
    kind = "order_fulfillment_updated"
    detail = order_head(order) | {"fulfillment_update": changes}
    data = {"type": kind, "id": order.order_id, "object": {kind: detail}}
    emit(account=order.account, type_="order.fulfillment.updated", data=data)


def order_head(order: Order) -> Json:
    return {
        "order_id": order.order_id,
        "location_id": order.location_id,
        "state": order.state,
        "version": order.version,
        "created_at": stamp(order.created_at),
        "updated_at": stamp(order.updated_at),
    }


def money_moved(*, account: Account, type_: str, body: Json) -> None:
    """payment.created, payment.updated, refund.created, refund.updated: the whole object."""
    kind = type_.split(".")[0]
    emit(account=account, type_=type_, data={"type": kind, "id": body["id"], "object": {kind: body}})


def authorization_revoked(*, account: Account, revoker: str) -> None:
    revocation = {"revocation": {"revoked_at": stamp(now_ms()), "revoker_type": revoker}}
    data = {"type": "revocation", "id": str(uuid.uuid4()), "object": revocation}
    emit(account=account, type_="oauth.authorization.revoked", data=data)
