"""Our webhooks at the shop: one a topic, active, at our address, signed with our secret."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from channels.connectors.woocommerce import reading
from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.values import Json
from channels.connectors.woocommerce.webhooks import TOPICS
from channels.ports import Subscription


def existing(client: Client, *, url: str) -> list[Subscription]:
    """What works now. One that WooCommerce disabled after failed deliveries is not among them."""
    return [_subscription(row) for row in ours(client, url=url) if _works(row, url=url)]


def ensure(client: Client, *, url: str, secret: str) -> list[Subscription]:
    """Make what is missing, wake what was disabled or paused, remove doubles and stale addresses.

    WooCommerce never shows a webhook's secret: where we keep none, a new one is given to all.
    """
    kept: dict[str, Json] = {}
    surplus = []
    # Working ones first, so that of two the better is kept.
    for row in sorted(ours(client, url=url), key=lambda row: not _works(row, url=url)):
        is_right = row.get("topic") in TOPICS and row.get("delivery_url") == url
        if is_right and row["topic"] not in kept:
            kept[str(row["topic"])] = row
        else:
            surplus.append(row)
    is_new, secret = not secret, secret or secrets.token_hex(24)
    for topic in TOPICS:
        if topic not in kept:
            kept[topic] = client.create_webhook(webhook(topic, url=url, secret=secret)).row
        elif is_new or not _works(kept[topic], url=url):
            kept[topic] = client.update_webhook(str(kept[topic]["id"]), {"status": "active", "secret": secret}).row
    for row in surplus:
        client.delete_webhook(str(row["id"]))
    return [_subscription(kept[topic], secret=secret) for topic in TOPICS]


def webhook(topic: str, *, url: str, secret: str) -> Json:
    """One to be made."""
    return {
        "name": f"StoreStudio: {topic}",
        "status": "active",
        "topic": topic,
        "delivery_url": url,
        "secret": secret,
    }


def ours(client: Client, *, url: str) -> Sequence[Json]:
    """The path holds a token that nobody else has, whatever host we were reached at when it was made. Oldest first."""
    path = urlsplit(url).path
    rows = reading.all_rows(client.list_webhooks, {"orderby": "id", "order": "asc"})
    return [row for row in rows if path and urlsplit(str(row.get("delivery_url") or "")).path == path]


def _works(row: Json, *, url: str) -> bool:
    return row.get("status") == "active" and row.get("delivery_url") == url and row.get("topic") in TOPICS


def _subscription(row: Json, *, secret: str = "") -> Subscription:
    return Subscription(
        external_id=str(row["id"]),
        topics=[str(row.get("topic") or "")],
        url=str(row.get("delivery_url") or ""),
        secrets={"webhook_secret": secret} if secret else {},
    )
