"""Webhooks: what a request changed, each resource once, signed and owed when the request ends."""

import base64
import hashlib
import hmac
import html
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils import timezone

from channels.sandbox import deliveries, faults
from channels.sandbox.models import Delivery
from channels.sandbox.woocommerce.models import Order, Product, Site, Webhook, now_s
from channels.sandbox.woocommerce.values import Json

TOPICS = tuple(
    f"{resource}.{event}"
    for resource in ("coupon", "customer", "order", "product")
    for event in ("created", "updated", "deleted", "restored")
    if (resource, event) != ("customer", "restored")
)
USER_AGENT = "WooCommerce/9.8.1 Hookshot (WordPress/6.7.1)"
FAILURES_MAX = 5
PARENT = "parent"

Note = tuple[str, int]  # topic and id
_noted: ContextVar[dict[Note, None] | None] = ContextVar("woocommerce_noted", default=None)


@contextmanager
def gathered(site: Site) -> Iterator[None]:
    """Owe the webhooks of all that is noted inside, at its end: bodies are made when they are sent, not before."""
    notes: dict[Note, None] = {}
    before = _noted.set(notes)
    try:
        yield
    finally:
        _noted.reset(before)
    parents = sorted(number for topic, number in notes if topic == PARENT)
    for number in parents:  # last and in one order: parents are locked after all that hangs on them
        Product.objects.filter(pk=number).update(modified_at=now_s())
        notes["product.updated", number] = None
    for topic, number in notes:
        if topic != PARENT:
            _owe(site, topic, number)


def note(topic: str, number: int) -> None:
    """A resource changed; noted twice in one request it is told once. Must be called within `gathered`."""
    notes = _noted.get()
    if notes is None:
        raise RuntimeError("a change of the shop outside events.gathered")
    notes[topic, number] = None


def note_parent(number: int) -> None:
    """A variable product is to be saved when the request ends, because a variation of it was."""
    note(PARENT, number)


def _owe(site: Site, topic: str, number: int) -> None:
    takers = list(Webhook.objects.filter(site=site, topic=topic, status=Webhook.Status.ACTIVE).order_by("pk"))
    if not takers:
        return
    payload = _payload(topic, number)
    if payload is None:
        return
    body = json.dumps(payload, separators=(",", ":")).encode()
    for webhook in takers:
        _send(webhook, topic=topic, headers=_headers(webhook, body), body=body)


def _payload(topic: str, number: int) -> Json | None:
    """The resource as the API shows it now; only the id where it is gone."""
    from channels.sandbox.woocommerce import printing

    resource, _, event = topic.partition(".")
    if event == "deleted":
        return {"id": number}
    if resource == "order":
        order = Order.objects.filter(pk=number).first()
        return None if order is None else printing.order(order)
    product = Product.objects.filter(pk=number).select_related("parent").first()
    return None if product is None else printing.product(product)


def _headers(webhook: Webhook, body: bytes) -> dict[str, str]:
    resource, _, event = webhook.topic.partition(".")
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-WC-Webhook-Source": f"https://{webhook.site_id}/",
        "X-WC-Webhook-Topic": webhook.topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": sign(webhook.secret, body),
        "X-WC-Webhook-ID": str(webhook.pk),
        "X-WC-Webhook-Delivery-ID": delivery_id(webhook),
    }


def sign(secret: str, body: bytes) -> str:
    """base64 of HMAC-SHA256 over the raw body; entities in the secret are decoded first."""
    return base64.b64encode(hmac.new(html.unescape(secret).encode(), body, hashlib.sha256).digest()).decode()


def delivery_id(webhook: Webhook) -> str:
    """A hash of the webhook's number and the second: two deliveries of one second have the same."""
    return hashlib.md5(f"{webhook.pk}{int(timezone.now().timestamp())}".encode(), usedforsecurity=False).hexdigest()


def ping(webhook: Webhook) -> None:
    """The first delivery: a form with the webhook's number, unsigned."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": USER_AGENT}
    _send(webhook, topic="ping", headers=headers, body=f"webhook_id={webhook.pk}".encode())


def _send(webhook: Webhook, *, topic: str, headers: dict[str, str], body: bytes) -> None:
    deliveries.enqueue(
        vendor="woocommerce", account=webhook.site_id, topic=topic, url=webhook.delivery_url, headers=headers,
        body=body, attempts_max=1,
    )  # fmt: skip


def count_failures(*, delivery: Delivery, **_: Any) -> None:
    """A delivery that failed when more than FAILURES_MAX in a row had failed before it disables its webhook."""
    number = delivery.headers.get("X-WC-Webhook-ID")
    if delivery.vendor != "woocommerce" or number is None:
        return  # another vendor's, or a ping, which is not counted
    webhook = Webhook.objects.filter(pk=number).first()
    if webhook is None:
        return
    if delivery.state == Delivery.State.DELIVERED or delivery.last_status in ("301", "302"):
        webhook.failure_count = 0
    elif webhook.failure_count > faults.switch("woocommerce.failures_before_disabled", FAILURES_MAX):
        webhook.status = Webhook.Status.DISABLED
    else:
        webhook.failure_count += 1
    webhook.save(update_fields=["failure_count", "status"])
