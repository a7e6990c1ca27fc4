"""Tokens of the API: made once, shown once, kept as a digest; found again within a process for a few seconds."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from channels.models import Connection
from channels.own.models import ApiToken, Scope
from storestudio.accounts import audit
from storestudio.accounts.models import User

MARK = "sst_"  # so that scanners for leaked secrets, and people, know it for what it is
SHOWN = 10  # characters of it that are shown for ever
KNOWN_S = 5.0  # how long a process goes on trusting a token that was revoked elsewhere
USED_EVERY = timedelta(minutes=1)
REMEMBERED_MAX = 10_000


@dataclass(frozen=True)
class Caller:
    """Who calls: one site of one shop, and what it may do."""

    token_id: int
    merchant_id: int
    connection_id: int
    scopes: frozenset[str]
    requests_per_minute: int
    is_paused: bool
    expires_at: datetime | None


@dataclass(frozen=True)
class _Known:
    caller: Caller
    until: float


_known: dict[str, _Known] = {}
_used: dict[int, float] = {}


def issue(
    *,
    connection: Connection,
    name: str,
    scopes: Collection[str],
    actor: User | None,
    expires_at: datetime | None = None,
    requests_per_minute: int = 600,
) -> tuple[ApiToken, str]:
    """Make a token; the text is returned once and never again. Raises ValueError for a scope that does not exist."""
    unknown = set(scopes) - set(Scope.values)
    if unknown or not scopes:
        raise ValueError(f"no such scope: {', '.join(sorted(unknown)) or 'none given'}")
    text = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            merchant_id=connection.merchant_id, connection=connection, name=name, prefix=text[:SHOWN],
            digest=_digest(text), scopes=sorted(scopes), created_by=actor, expires_at=expires_at,
            requests_per_minute=requests_per_minute,
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=connection.merchant, action="api.token_made", target=token,
            summary=f"{name} may: {', '.join(sorted(scopes))}",
        )  # fmt: skip
    return token, text


def revoke(*, token: ApiToken, actor: User | None) -> bool:
    """End a token for ever; False where it had ended. Other processes know within 5 s."""
    with transaction.atomic():
        ended = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=timezone.now(), revoked_by=actor
        )
        if ended:
            audit.record(
                actor=actor, merchant=token.merchant, action="api.token_revoked", target=token,
                summary=f"{token.name} ({token.prefix}…) revoked",
            )  # fmt: skip
    _known.clear()
    return bool(ended)


def who(text: str) -> Caller | None:
    """Who holds this token; None for one that is unknown, revoked or over, or whose site was disconnected."""
    digest, now = _digest(text), timezone.now()
    known = _known.get(digest)
    if known is None or known.until <= time.monotonic():
        known = _look_up(digest)
        if known is None:
            _known.pop(digest, None)
            return None
        if len(_known) >= REMEMBERED_MAX:
            _known.clear()
        _known[digest] = known
    caller = known.caller
    if caller.expires_at is not None and caller.expires_at <= now:
        return None
    _note_use(caller.token_id, now)
    return caller


def _look_up(digest: str) -> _Known | None:
    rows = ApiToken.objects.filter(digest=digest, revoked_at=None).exclude(connection__state=Connection.State.CLOSED)
    token: ApiToken | None = rows.select_related("connection").defer("connection__credentials").first()
    if token is None:
        return None
    caller = Caller(
        token_id=token.pk,
        merchant_id=token.merchant_id,
        connection_id=token.connection_id,
        scopes=frozenset(token.scopes),
        requests_per_minute=token.requests_per_minute,
        is_paused=token.connection.state != Connection.State.LIVE,
        expires_at=token.expires_at,
    )
    return _Known(caller, time.monotonic() + KNOWN_S)


def _note_use(token_id: int, now: datetime) -> None:
    """Once a minute and process: a busy token's row is not written with every call."""
    if _used.get(token_id, 0.0) > time.monotonic() - USED_EVERY.total_seconds():
        return
    _used[token_id] = time.monotonic()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
    ApiToken.objects.filter(stale, pk=token_id).update(last_used_at=now)


def _digest(text: str) -> str:
    # 256 random bits need no slow hash: nobody guesses them, however fast the digest is.
    return hashlib.sha256(text.encode()).hexdigest()
