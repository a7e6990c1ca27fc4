"""Webhooks, one topic each."""

from typing import Any

from channels.sandbox import faults
from channels.sandbox.woocommerce import batching, errors, events, listing, printing
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.http import Answer, Call, endpoint
from channels.sandbox.woocommerce.models import Webhook, now_s
from channels.sandbox.woocommerce.values import Json


def _find(call: Call, number: Any) -> Webhook:
    row = Webhook.objects.filter(site=call.site, pk=errors.number_of(number)).select_for_update().first()
    if row is None:
        raise errors.unknown("shop_webhook", status=404)
    return row


@endpoint("webhooks.list")
def list_webhooks(*, call: Call) -> Answer:
    rows = listing.filtered(Webhook.objects.filter(site=call.site), call.query)
    if call.query.get("status", "all") != "all":
        rows = rows.filter(status=call.query["status"])
    return listing.page(call, listing.ordered(rows, call.query), printing.webhook)


@endpoint("webhooks.retrieve")
def retrieve(*, call: Call, webhook_id: int) -> Json:
    return printing.webhook(_find(call, webhook_id))


def _fill(row: Webhook, given: Json) -> None:
    if "topic" in given and given["topic"] not in events.TOPICS:
        raise WooError("woocommerce_rest_webhook_invalid_topic", "Webhook topic must be valid.")
    url = given.get("delivery_url", row.delivery_url)
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        words = "Webhook delivery URL must be a valid URL starting with http:// or https://."
        raise WooError("woocommerce_rest_webhook_invalid_delivery_url", words)
    if "status" in given and given["status"] not in Webhook.Status.values:
        raise WooError("woocommerce_rest_shop_webhook_invalid_status", "Webhook status must be valid.")
    is_woken = given.get("status") == Webhook.Status.ACTIVE and row.status != Webhook.Status.ACTIVE
    if is_woken and faults.switch("woocommerce.enabling_forgets_failures", False):
        row.failure_count = 0
    row.topic, row.delivery_url = given.get("topic", row.topic), url[:500]
    row.status = given.get("status", row.status)
    row.secret = str(given.get("secret", row.secret))[:200]
    row.name = str(given.get("name") or row.name or f"Webhook on {row.topic}")[:200]


def _create(call: Call, given: Json) -> Json:
    if given.get("topic") not in events.TOPICS:
        raise WooError("woocommerce_rest_webhook_invalid_topic", "Webhook topic is required and must be valid.")
    row = Webhook(site=call.site, delivery_url="")
    _fill(row, given)
    row.save()
    events.ping(row)
    return printing.webhook(row)


def _update(call: Call, given: Json) -> Json:
    row = _find(call, given.get("id"))
    _fill(row, given)
    row.modified_at = now_s()
    row.save()
    return printing.webhook(row)


def _delete(call: Call, given: Json) -> Json:
    row = _find(call, given.get("id"))
    shown = printing.webhook(row)
    row.delete()
    return shown


@endpoint("webhooks.create")
def create(*, call: Call) -> Answer:
    return Answer(_create(call, call.body), status=201)


@endpoint("webhooks.update")
def update(*, call: Call, webhook_id: int) -> Json:
    return _update(call, {**call.body, "id": webhook_id})


@endpoint("webhooks.delete")
def delete(*, call: Call, webhook_id: int) -> Json:
    if call.query.get("force") != "true":
        raise WooError("woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.", status=501)
    return _delete(call, {"id": webhook_id})


@endpoint("webhooks.batch")
def batch(*, call: Call) -> Any:
    return batching.run(
        call.body,
        operation="webhooks.batch",
        create=lambda given: _create(call, given),
        update=lambda given: _update(call, given),
        delete=lambda given: _delete(call, given),
    )
