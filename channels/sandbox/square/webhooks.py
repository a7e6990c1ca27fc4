"""Webhook subscriptions, with the application's own token or (unless switched off) a seller's."""

import json
import secrets
import uuid

from channels.sandbox import faults
from channels.sandbox.square import errors, events
from channels.sandbox.square.errors import SquareError, missing, not_found
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.idempotency import once
from channels.sandbox.square.models import AccessToken, Subscription
from channels.sandbox.square.values import Json, now_ms, stamp

SUBSCRIPTIONS_MAX = 100
TAKES = {
    "subscription": "object",
    "subscription.name": "text",
    "subscription.enabled": "flag",
    "subscription.event_types": "texts",
    "subscription.notification_url": "text",
    "subscription.api_version": "text",
}


def print_subscription(row: Subscription) -> Json:
    return {
        "id": row.subscription_id,
        "name": row.name,
        "enabled": row.enabled,
        "event_types": row.event_types,
        "notification_url": row.notification_url,
        "api_version": row.api_version,
        "signature_key": row.signature_key,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
    }


def check_token(call: Call) -> None:
    """Told by users: only the application's personal token may do this. Insisted on only if switched on."""
    is_personal = call.token.kind == AccessToken.Kind.PERSONAL
    if not is_personal and faults.switch("square.subscriptions_need_personal_token", False):
        raise errors.unauthorized()


def find(*, call: Call, subscription_id: str) -> Subscription:
    check_token(call)
    row = Subscription.objects.filter(account=call.account, pk=subscription_id).first()
    if row is None:
        raise not_found(f"Subscription `{subscription_id}` not found.")
    return row


def fill(row: Subscription, *, given: Json) -> None:
    """Lay the given fields over a subscription. Raises SquareError."""
    types = given.get("event_types", row.event_types)
    if not isinstance(types, list) or not types:
        raise missing("subscription.event_types")
    for name in types:
        if name not in events.EVENT_SCOPES:
            detail = f"`{name}` is not an event type the sandbox sends."
            raise SquareError(code="INVALID_VALUE", detail=detail, field="subscription.event_types")
    url = given.get("notification_url", row.notification_url)
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise missing("subscription.notification_url")
    row.event_types, row.notification_url = types, url
    row.name = given.get("name") or row.name
    row.enabled = given.get("enabled") is not False if "enabled" in given else row.enabled


@endpoint(operation="webhooks.subscriptions.create", takes=TAKES)
def create(*, call: Call) -> Json:
    def work() -> Json:
        check_token(call)
        given = call.body.get("subscription")
        if not isinstance(given, dict):
            raise missing("subscription")
        if Subscription.objects.filter(account=call.account).count() >= SUBSCRIPTIONS_MAX:
            detail = f"At most {SUBSCRIPTIONS_MAX} subscriptions."
            raise SquareError(code="BAD_REQUEST", detail=detail)
        row = Subscription(
            subscription_id="wbhk_" + uuid.uuid4().hex,
            account=call.account,
            name="Default",
            notification_url="",
            api_version=given.get("api_version") or call.version,
            signature_key=call.account.signature_key,
            created_at=call.now,
            updated_at=call.now,
        )
        fill(row, given=given)
        row.save(force_insert=True)
        return {"subscription": print_subscription(row)}

    return once(call=call, operation="webhooks.subscriptions.create", chars_max=45, work=work, required=False)


@endpoint(operation="webhooks.subscriptions.list")
def list_subscriptions(*, call: Call) -> Json:
    check_token(call)
    rows = Subscription.objects.filter(account=call.account).order_by("created_at", "pk")
    if call.query.get("include_disabled") != "true":
        rows = rows.filter(enabled=True)
    return {"subscriptions": [print_subscription(row) for row in rows]}


@endpoint(operation="webhooks.subscriptions.get")
def retrieve(*, call: Call, subscription_id: str) -> Json:
    return {"subscription": print_subscription(find(call=call, subscription_id=subscription_id))}


@endpoint(operation="webhooks.subscriptions.update", takes=TAKES)
def update(*, call: Call, subscription_id: str) -> Json:
    row = find(call=call, subscription_id=subscription_id)
    fill(row, given=call.body.get("subscription") or {})
    row.updated_at = call.now
    row.save()
    reply = print_subscription(row)
    del reply["signature_key"]  # shown when made and read, not when changed
    return {"subscription": reply}


@endpoint(operation="webhooks.subscriptions.delete")
def delete(*, call: Call, subscription_id: str) -> Json:
    find(call=call, subscription_id=subscription_id).delete()
    return {}


@endpoint(operation="webhooks.subscriptions.update_signature_key")
def renew_signature_key(*, call: Call, subscription_id: str) -> Json:
    row = find(call=call, subscription_id=subscription_id)
    row.signature_key = secrets.token_urlsafe(16)
    row.save(update_fields=["signature_key"])
    return {"signature_key": row.signature_key}


@endpoint(operation="webhooks.subscriptions.test")
def test(*, call: Call, subscription_id: str) -> Json:
    """Owe a test notification; the answer tells what will be sent, before it is."""
    row = find(call=call, subscription_id=subscription_id)
    now = now_ms()
    type_ = call.body.get("event_type") or row.event_types[0]
    payload = {
        "merchant_id": call.account.merchant_id,
        "type": type_,
        "event_id": str(uuid.uuid4()),
        "created_at": stamp(now),
        "data": {"type": "webhooks", "id": str(uuid.uuid4())},
    }
    events.send(subscription=row, type_=type_, body=json.dumps(payload).encode(), now=now)
    result = {
        "id": str(uuid.uuid4()),
        "status_code": 200,
        "payload": payload,
        "created_at": stamp(now),
        "updated_at": stamp(now),
        "notification_url": row.notification_url,
        "passes_filter": type_ in row.event_types,
    }
    return {"subscription_test_result": result}


@endpoint(operation="webhooks.event_types.list")
def list_event_types(*, call: Call) -> Json:
    return {"event_types": list(events.EVENT_SCOPES)}
