"""Credentials: encrypted at rest under rotating keys, refreshed under a lock, handed to connectors and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from channels import contact, registry
from channels.models import Connection
from channels.ports import Account, Connector, ConnectorError

Result = TypeVar("Result")

# Codes of connectors for "this token has ended": refreshed and tried once more, no reason to lose contact.
EXPIRED_CODES = {"ACCESS_TOKEN_EXPIRED", "expired"}
REFRESH_BEFORE = timedelta(minutes=10)


class UnknownKey(Exception):
    """The row was encrypted under a key that is not in CREDENTIAL_KEYS any more."""


def _keys() -> dict[str, Fernet]:
    """The keys by id, newest first."""
    entries = (entry.partition(":") for entry in settings.CREDENTIAL_KEYS)
    return {kid: Fernet(key) for kid, _, key in entries}


def store(connection: Connection, mapping: Mapping[str, Any]) -> None:
    """Put secrets on the row, encrypted under the newest key; the caller saves it."""
    kid, key = next(iter(_keys().items()))
    connection.credentials = key.encrypt(json.dumps(dict(mapping)).encode())
    connection.credentials_kid = kid
    ends = mapping.get("expires_at")
    connection.token_expires_at = datetime.fromisoformat(str(ends)) if ends else None


def load(connection: Connection) -> dict[str, Any]:
    """The secrets of a connection. Raises UnknownKey when no configured key opens them."""
    key = _keys().get(connection.credentials_kid)
    try:
        if key is not None:
            opened: dict[str, Any] = json.loads(key.decrypt(bytes(connection.credentials)))
            return opened
    except InvalidToken:
        pass
    raise UnknownKey(connection.credentials_kid)


def webhook_url(connection: Connection) -> str:
    """Where the channel sends its webhooks; part of what Square signs."""
    return f"{settings.PUBLIC_URL}/webhooks/{connection.channel}/{connection.webhook_token}"


def account(connection: Connection) -> Account:
    """All a connector needs to speak for this connection."""
    return Account(
        account_id=connection.account_id,
        base_url=connection.base_url,
        credentials=load(connection),
        webhook_url=webhook_url(connection),
    )


def connector(connection: Connection) -> Connector:
    """A connector that speaks for this connection, with its secrets as they are now."""
    return registry.connect(connection.channel, account=account(connection))


def with_fresh_token(connection_id: int, call: Callable[[Connector], Result]) -> Result:
    """Call with a token that lives: refreshed ahead of its end, and once more when the channel says it has ended.

    Raises what the call raises. Call outside any transaction: it may wait for the channel.
    """
    connection = Connection.objects.get(pk=connection_id)
    ends = connection.token_expires_at
    if ends is not None and ends - timezone.now() < REFRESH_BEFORE:
        connection = refresh(connection_id=connection_id, seen_expiry=ends)
    try:
        return call(connector(connection))
    except ConnectorError as error:
        if error.code not in EXPIRED_CODES:
            raise
    connection = refresh(connection_id=connection_id, seen_expiry=connection.token_expires_at)
    return call(connector(connection))


def refresh(*, connection_id: int, seen_expiry: datetime | None) -> Connection:
    """Get new tokens, one refresh at a time: whoever comes second finds the first one's tokens.

    Holds the connection's row for the length of the call, so that a rotated refresh token is never used twice, and
    stores the new pair before anyone uses it. Raises ConnectorError; a refusal turns the connection to “reconnect
    needed”.
    """
    try:
        with transaction.atomic():
            connection = Connection.objects.select_for_update().get(pk=connection_id)
            if connection.token_expires_at != seen_expiry:
                return connection
            fresh = connector(connection).refresh_auth()
            secrets = dict(fresh.credentials)
            if fresh.expires_at is not None:
                secrets["expires_at"] = fresh.expires_at.astimezone(UTC).isoformat()
            store(connection, secrets)
            connection.save(update_fields=["credentials", "credentials_kid", "token_expires_at"])
            return connection
    except ConnectorError as error:
        if error.needs_reconnect:
            contact.lost(connection_id=connection_id, reason=str(error))
        raise


def merge(connection: Connection, extra: Mapping[str, Any]) -> None:
    """Add secrets (a webhook signature key, say) and save."""
    if not extra:
        return
    with transaction.atomic():
        locked = Connection.objects.select_for_update().get(pk=connection.pk)
        store(locked, load(locked) | dict(extra))
        locked.save(update_fields=["credentials", "credentials_kid", "token_expires_at"])
    connection.refresh_from_db()


def rotate() -> int:
    """Encrypt every row anew that is not under the newest key; returns how many. Running it twice changes nothing."""
    newest = next(iter(_keys()))
    rotated = 0
    for pk in Connection.objects.exclude(credentials_kid=newest).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            connection = Connection.objects.select_for_update().get(pk=pk)
            store(connection, load(connection))
            connection.save(update_fields=["credentials", "credentials_kid", "token_expires_at"])
            rotated += 1
    return rotated
