"""The addresses of the shop's own that are told what changes: added, changed, given a new secret, removed.

Secrets and addresses lie in the connection's credentials, encrypted, where the connector finds them; the row of an
endpoint is what people see and the log hangs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from channels import credentials, incidents
from channels.connectors.own import signing
from channels.connectors.own.client import ENDPOINTS_MAX, Endpoint
from channels.models import Connection
from channels.own.models import Topic, WebhookEndpoint
from storestudio.accounts import audit
from storestudio.accounts.models import User

OLD_SECRET_FOR = timedelta(hours=24)
TOPICS = [topic.value for topic in Topic if topic != Topic.PING]
Json = dict[str, Any]


class CannotKeep(Exception):
    """Why this endpoint cannot be kept so, in words for the person who tried."""


def checked_url(url: str) -> str:
    """The address, where we may send to it. Raises CannotKeep."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where it is no number
    except ValueError as error:
        raise CannotKeep("This address cannot be read.") from error
    if parts.scheme not in (("https", "http") if settings.SANDBOX else ("https",)):
        raise CannotKeep("The address must begin with https://, for what we send is your stock.")
    if not parts.hostname or port == 0 or parts.username or parts.password:
        raise CannotKeep("Give a plain address: https://, a host, a path.")
    return url


def add(
    *, site: Connection, url: str, topics: Sequence[str], actor: User | None, description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint; its secret is returned once. Raises CannotKeep."""
    checked_url(url)
    secret = signing.new_secret()
    with credentials.held(site.pk) as locked:
        if WebhookEndpoint.objects.filter(connection=site, removed_at=None).count() >= ENDPOINTS_MAX:
            raise CannotKeep(
                f"A site has {ENDPOINTS_MAX} endpoints at most: each is told before a number counts as told."
            )
        endpoint = WebhookEndpoint.objects.create(
            merchant_id=site.merchant_id, connection=site, url=url, topics=list(topics), description=description
        )
        _store(locked, [*_stored(locked), _entry(endpoint, keys=[secret])])
        _note(endpoint, actor, "webhook.endpoint_added", f"{url} is told: {', '.join(topics)}")
    return endpoint, secret


def change(*, endpoint: WebhookEndpoint, url: str, topics: Sequence[str], description: str, actor: User | None) -> None:
    """Another address, other topics. Raises CannotKeep."""
    checked_url(url)
    with credentials.held(endpoint.connection_id) as locked:
        endpoint.url, endpoint.topics, endpoint.description = url, list(topics), description
        endpoint.save(update_fields=["url", "topics", "description"])
        _restore(locked, endpoint)
        _note(endpoint, actor, "webhook.endpoint_changed", f"{url} is told: {', '.join(topics)}")


def switch(*, endpoint: WebhookEndpoint, is_on: bool, reason: str, actor: User | None) -> None:
    """Tell it no more for now, or tell it again: from then on, what it missed is not told twice."""
    with credentials.held(endpoint.connection_id) as locked:
        endpoint.is_on, endpoint.off_reason, endpoint.failing_since = is_on, "" if is_on else reason[:200], None
        endpoint.save(update_fields=["is_on", "off_reason", "failing_since"])
        _restore(locked, endpoint)
        word = "on" if is_on else f"off: {reason}"
        _note(endpoint, actor, "webhook.endpoint_switched", f"{endpoint.url} switched {word}")
    if is_on:
        incidents.resolve(
            merchant_id=endpoint.merchant_id, kind=incidents.Kind.REFUSED, key=f"endpoint:{endpoint.pk}",
            how="switched on again", actor=actor,
        )  # fmt: skip


def new_secret(*, endpoint: WebhookEndpoint, actor: User | None) -> str:
    """Another secret, returned once; for a day messages are signed with both, so that nothing is refused meanwhile."""
    secret = signing.new_secret()
    now = timezone.now()
    with credentials.held(endpoint.connection_id) as locked:
        current = next((one for one in _stored(locked) if one["id"] == endpoint.pk), None)
        keys = [secret, *(current["keys"][:1] if current else [])]
        endpoint.secret_made_at, endpoint.old_secret_until = now, now + OLD_SECRET_FOR
        endpoint.save(update_fields=["secret_made_at", "old_secret_until"])
        _restore(locked, endpoint, keys=keys)
        _note(endpoint, actor, "webhook.secret_replaced", f"{endpoint.url} has a new secret")
    return secret


def remove(*, endpoint: WebhookEndpoint, actor: User | None) -> None:
    """Tell it nothing more; its log stays."""
    with credentials.held(endpoint.connection_id) as locked:
        endpoint.is_on, endpoint.removed_at = False, timezone.now()
        endpoint.save(update_fields=["is_on", "removed_at"])
        _store(locked, [one for one in _stored(locked) if one["id"] != endpoint.pk])
        _note(endpoint, actor, "webhook.endpoint_removed", f"{endpoint.url} removed")
    incidents.resolve(
        merchant_id=endpoint.merchant_id, kind=incidents.Kind.REFUSED, key=f"endpoint:{endpoint.pk}",
        how="removed", actor=actor,
    )  # fmt: skip


def forget_old_secrets(*, now: datetime) -> int:
    """Stop signing with secrets whose day is over; returns how many."""
    due = list(WebhookEndpoint.objects.filter(old_secret_until__lte=now, removed_at=None).order_by("pk"))
    for endpoint in due:
        with credentials.held(endpoint.connection_id) as locked:
            current = next((one for one in _stored(locked) if one["id"] == endpoint.pk), None)
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(old_secret_until=None)
            if current:
                _restore(locked, endpoint, keys=current["keys"][:1])
    return len(due)


def reach(endpoint: WebhookEndpoint) -> Endpoint:
    """The endpoint as the client takes it, switched on or not."""
    stored = _stored(Connection.objects.get(pk=endpoint.connection_id))
    current = next(one for one in stored if one["id"] == endpoint.pk)
    return Endpoint(endpoint.pk, endpoint.url, current["keys"], current["may_be_private"])


def _entry(endpoint: WebhookEndpoint, *, keys: Sequence[str]) -> Json:
    return {
        "id": endpoint.pk,
        "url": endpoint.url,
        "topics": endpoint.topics if endpoint.is_on else [],
        "keys": list(keys),
        "may_be_private": settings.SANDBOX,
    }


def _stored(locked: Connection) -> list[Json]:
    return list(credentials.load(locked).get("endpoints", []))


def _restore(locked: Connection, endpoint: WebhookEndpoint, *, keys: Sequence[str] | None = None) -> None:
    """Put the endpoint's entry as its row says, with these keys or those it has."""
    _store(
        locked,
        [
            _entry(endpoint, keys=one["keys"] if keys is None else keys) if one["id"] == endpoint.pk else one
            for one in _stored(locked)
        ],
    )


def _store(locked: Connection, entries: Sequence[Json]) -> None:
    credentials.store(locked, credentials.load(locked) | {"endpoints": list(entries)})
    locked.save(update_fields=credentials.SECRET_FIELDS)


def _note(endpoint: WebhookEndpoint, actor: User | None, action: str, summary: str) -> None:
    audit.record(actor=actor, merchant=endpoint.merchant, action=action, target=endpoint, summary=summary)
