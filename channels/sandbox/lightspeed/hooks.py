"""Webhook subscriptions: one type to one address each."""

from channels.sandbox.lightspeed import events
from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, fields, find
from channels.sandbox.lightspeed.models import Token, Webhook
from channels.sandbox.lightspeed.values import Json


def _print(hook: Webhook) -> Json:
    return {
        "id": str(hook.pk),
        "retailer_id": str(hook.retailer.id),
        "type": hook.type,
        "url": hook.url,
        "active": hook.is_active,
    }


def _fill(hook: Webhook, body: Json) -> None:
    """Raises LightspeedError: 422 for what is missing or wrong, 409 for a double."""
    missing = [name for name in ("active", "type", "url") if name not in body]
    if missing:
        raise LightspeedError(422, f"{missing[0]} is needed.")
    if body["type"] not in events.TYPES or not str(body["url"]).startswith(("http://", "https://")):
        raise LightspeedError(422, "The type or the url is not valid.")
    hook.type, hook.url, hook.is_active = body["type"], str(body["url"]), bool(body["active"])
    double = Webhook.objects.filter(retailer=hook.retailer, type=hook.type, url=hook.url).exclude(pk=hook.pk)
    if double.exists():
        raise LightspeedError(409, "There is a webhook of this type and url already.")
    hook.save()


@endpoint(operation="webhooks.list", scope="webhooks")
def list_hooks(*, call: Call) -> Json:
    """All of the app's."""
    rows = Webhook.objects.filter(retailer=call.retailer).select_related("retailer").order_by("pk")
    return {"data": [_print(row) for row in rows]}


@endpoint(operation="webhooks.create", scope="webhooks", status=201)
def create(*, call: Call) -> Json:
    """Signed where an app makes it, not where a person does."""
    hook = Webhook(retailer=call.retailer, is_signed=call.token.kind == Token.Kind.ACCESS)
    _fill(hook, fields(call.body, what="the body"))
    return {"data": _print(hook)}


@endpoint(operation="webhooks.get", scope="webhooks")
def get(*, call: Call, hook_id: str) -> Json:
    """One."""
    return {"data": _print(find(call, Webhook, hook_id))}


@endpoint(operation="webhooks.update", scope="webhooks")
def update(*, call: Call, hook_id: str) -> Json:
    """All three fields at once."""
    hook = find(call, Webhook, hook_id)
    _fill(hook, fields(call.body, what="the body"))
    return {"data": _print(hook)}


@endpoint(operation="webhooks.delete", scope="webhooks")
def delete(*, call: Call, hook_id: str) -> Json:
    """Gone at once."""
    find(call, Webhook, hook_id).delete()
    return {}
