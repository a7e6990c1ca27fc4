"""Credentials: encrypted at rest under rotating keys, refreshed under a lock, handed to connectors and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.utils import OperationalError
from django.utils import timezone

from channels import contact, rates, registry
from channels.models import Connection
from channels.ports import Account, Connector, ConnectorError

Result = TypeVar("Result")

# Codes of connectors for "this token has ended": refreshed and tried once more, no reason to lose contact.
EXPIRED_CODES = {"ACCESS_TOKEN_EXPIRED", "expired"}
# A token is renewed this long before its end, or a fifth of its life before, whichever is earlier.
REFRESH_BEFORE = timedelta(minutes=10)
REFRESH_BEFORE_SHARE = 0.2
SECRET_FIELDS = ["credentials", "credentials_kid", "token_expires_at"]
_LOCK = "SELECT {function}(hashtextextended('channels.credentials', %s))"


class UnknownKey(Exception):
    """The row was encrypted under a key that is not in CREDENTIAL_KEYS any more."""


def _keys() -> dict[str, Fernet]:
    """The keys by id, newest first."""
    entries = (entry.partition(":") for entry in settings.CREDENTIAL_KEYS)
    return {kid: Fernet(key) for kid, _, key in entries}


def newest_kid() -> str:
    """The id of the key that secrets are encrypted under now."""
    return next(iter(_keys()))


def seal(mapping: Mapping[str, Any]) -> tuple[str, bytes]:
    """Secrets encrypted under the newest key, with its id."""
    kid, key = next(iter(_keys().items()))
    return kid, key.encrypt(json.dumps(dict(mapping)).encode())


def unseal(kid: str, sealed: bytes) -> dict[str, Any]:
    """Secrets that were sealed under this key. Raises UnknownKey when no configured key opens them."""
    key = _keys().get(kid)
    try:
        if key is not None:
            opened: dict[str, Any] = json.loads(key.decrypt(sealed))
            return opened
    except InvalidToken:
        pass
    raise UnknownKey(kid)


def store(connection: Connection, mapping: Mapping[str, Any]) -> None:
    """Put secrets on the row, encrypted under the newest key; the caller saves it."""
    connection.credentials_kid, connection.credentials = seal(mapping)
    ends = mapping.get("expires_at")
    connection.token_expires_at = datetime.fromisoformat(str(ends)) if ends else None


def load(connection: Connection) -> dict[str, Any]:
    """The secrets of a connection. Raises UnknownKey when no configured key opens them."""
    return unseal(connection.credentials_kid, bytes(connection.credentials))


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
    """Call with a token that lives: renewed ahead of its end, and once more when the channel says it has ended.

    Raises what the call raises. Call outside any transaction: it may wait for the channel.
    """
    connection = Connection.objects.get(pk=connection_id)
    if _ends_soon(connection):
        connection = _renew_ahead(connection)
    try:
        return _metered(connection, call)
    except ConnectorError as error:
        if error.code not in EXPIRED_CODES:
            raise
    connection = refresh(connection_id=connection_id, seen_expiry=connection.token_expires_at)
    try:
        return _metered(connection, call)
    except ConnectorError as error:
        # A new token refused once may be a vendor's bad minute; refused again and again, nothing of ours will help.
        if error.code in EXPIRED_CODES and connection.failures >= contact.FAILURES_BEFORE_REST:
            raise ConnectorError(str(error), permanent=True, needs_reconnect=True, code=error.code) from error
        raise


def _metered(connection: Connection, call: Callable[[Connector], Result]) -> Result:
    """Call, and keep what the answers told of the rate limit, whatever came of it."""
    made = connector(connection)
    try:
        return call(made)
    finally:
        rates.note(connection_id=connection.pk, meter=made.meter, now=timezone.now())


def _ends_soon(connection: Connection) -> bool:
    ends, margin = connection.token_expires_at, REFRESH_BEFORE
    if ends is None:
        return False
    if since := load(connection).get("refreshed_at"):
        margin = max(margin, (ends - datetime.fromisoformat(since)) * REFRESH_BEFORE_SHARE)
    return ends - timezone.now() < margin


def _renew_ahead(connection: Connection) -> Connection:
    """New tokens while the old one lives: a busy neighbour or a vendor's bad minute is no reason to stop working."""
    ends = connection.token_expires_at
    if ends is None or ends <= timezone.now():
        return refresh(connection_id=connection.pk, seen_expiry=ends)
    try:
        return refresh(connection_id=connection.pk, seen_expiry=ends, waits=False)
    except ConnectorError as error:
        if error.needs_reconnect:
            raise
        return connection


def refresh(*, connection_id: int, seen_expiry: datetime | None, waits: bool = True) -> Connection:
    """Get new tokens, one refresh at a time: whoever comes second finds the first one's tokens.

    Holds the connection's secrets for the length of the call, so that a single-use refresh token is never used twice,
    and stores the new pair before anyone uses it. `waits` False: where another worker is at it, return the row as it
    is. Raises ConnectorError; a refusal turns the connection to “reconnect needed”.
    """
    try:
        with held(connection_id, waits=waits) as connection:
            if connection.token_expires_at != seen_expiry:
                return connection
            fresh = connector(connection).refresh_auth()
            told = {"refreshed_at": timezone.now().isoformat()}
            if fresh.expires_at is not None:
                told["expires_at"] = fresh.expires_at.astimezone(UTC).isoformat()
            store(connection, dict(fresh.credentials) | told)
            connection.save(update_fields=SECRET_FIELDS)
            return connection
    except Busy:
        return Connection.objects.get(pk=connection_id)
    except ConnectorError as error:
        if error.needs_reconnect:
            contact.lost(connection_id=connection_id, reason=str(error))
        raise


class Busy(Exception):
    """Another worker is changing this connection's secrets."""


@contextmanager
def held(connection_id: int, *, waits: bool = True) -> Iterator[Connection]:
    """A transaction in which nobody else changes this connection's secrets; gives the row as it is now.

    An advisory lock, not the row's: a webhook being stored refers to the row, and must not wait for a vendor's token
    server. Raises ConnectorError after the lock timeout; Busy at once where `waits` is False.
    """
    with transaction.atomic():
        try:
            with database.cursor() as cursor:
                function = "pg_advisory_xact_lock" if waits else "pg_try_advisory_xact_lock"
                cursor.execute(_LOCK.format(function=function), [connection_id])
                if cursor.fetchone() == (False,):
                    raise Busy
        except OperationalError as error:
            raise ConnectorError("Another worker is getting a new token", retry_after_s=1.0) from error
        yield Connection.objects.get(pk=connection_id)


def merge(connection: Connection, extra: Mapping[str, Any]) -> None:
    """Add secrets (a webhook signature key, a new token) and save."""
    if not extra:
        return
    with held(connection.pk) as locked:
        store(locked, load(locked) | dict(extra))
        locked.save(update_fields=SECRET_FIELDS)
    connection.refresh_from_db(fields=SECRET_FIELDS)


def rotate() -> int:
    """Encrypt every row anew that is not under the newest key; returns how many.

    Row by row, each durable by itself: one cut short is run again and goes on. Raises UnknownKey at a row that no
    configured key opens; the rows before it are done.
    """
    newest = newest_kid()
    rotated = 0
    for pk in Connection.objects.exclude(credentials_kid=newest).order_by("pk").values_list("pk", flat=True):
        with held(pk) as connection:
            store(connection, load(connection))
            connection.save(update_fields=SECRET_FIELDS)
            rotated += 1
    return rotated
