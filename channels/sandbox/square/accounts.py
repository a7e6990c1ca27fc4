"""Open, revoke and trade from a sandbox account: what the demo and the tests start from."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from channels.sandbox.square import events
from channels.sandbox.square.models import AccessToken, Account, Location, RefreshToken
from channels.sandbox.square.values import upper_id

SCOPES = (
    "MERCHANT_PROFILE_READ",
    "MERCHANT_PROFILE_WRITE",
    "ITEMS_READ",
    "ITEMS_WRITE",
    "INVENTORY_READ",
    "INVENTORY_WRITE",
    "ORDERS_READ",
    "ORDERS_WRITE",
    "PAYMENTS_READ",
    "PAYMENTS_WRITE",
)
ACCESS_TOKEN_LIFE = timedelta(days=30)
SHORT_LIFE = timedelta(hours=24)
PKCE_REFRESH_LIFE = timedelta(days=90)


@transaction.atomic
def create_account(
    *,
    name: str,
    locations: Sequence[str],
    currency: str = "USD",
    country: str = "US",
    timezone_name: str = "America/New_York",
    scopes: Iterable[str] = SCOPES,
    redirect_url: str = "",
) -> Account:
    """A seller with its application, its locations (the first is the main one) and working tokens.

    Read them from the account: `access_token`, `refresh_token`, `personal_token`, `application_id`,
    `client_secret`.
    """
    account = Account.objects.create(
        merchant_id="ML" + upper_id(length=11),
        name=name,
        currency=currency,
        country=country,
        application_id="sandbox-sq0idb-" + secrets.token_urlsafe(16),
        client_secret="sandbox-sq0csb-" + secrets.token_urlsafe(32),
        signature_key=secrets.token_urlsafe(16),
        redirect_url=redirect_url,
    )
    for position, location in enumerate(locations):
        add_location(account=account, name=location, timezone_name=timezone_name, is_main=position == 0)
    AccessToken.objects.create(
        account=account, token=secret_token(), kind=AccessToken.Kind.PERSONAL, scopes=list(scopes)
    )
    issue_tokens(account=account, scopes=list(scopes), now=timezone.now())
    return account


def add_location(
    *, account: Account, name: str, timezone_name: str = "America/New_York", is_main: bool = False
) -> Location:
    location = Location.objects.create(
        location_id="L" + upper_id(length=12),
        account=account,
        name=name,
        timezone=timezone_name,
        is_main=is_main,
    )
    events.emit(
        account=account,
        type_="location.created",
        data={"type": "Location", "id": location.location_id},
        location_id=location.location_id,
    )
    return location


def issue_tokens(
    *, account: Account, scopes: list[str], now: datetime, is_short_lived: bool = False, is_pkce: bool = False
) -> tuple[AccessToken, RefreshToken]:
    """A new access token and a new refresh token of the code flow or of PKCE."""
    refresh = RefreshToken.objects.create(
        account=account,
        token=secret_token(),
        scopes=scopes,
        is_single_use=is_pkce,
        expires_at=now + PKCE_REFRESH_LIFE if is_pkce else None,
    )
    return issue_access(account=account, scopes=scopes, now=now, is_short_lived=is_short_lived), refresh


def issue_access(*, account: Account, scopes: list[str], now: datetime, is_short_lived: bool) -> AccessToken:
    return AccessToken.objects.create(
        account=account,
        token=secret_token(),
        kind=AccessToken.Kind.OAUTH,
        scopes=scopes,
        created_at=now,
        expires_at=now + (SHORT_LIFE if is_short_lived else ACCESS_TOKEN_LIFE),
    )


@transaction.atomic
def revoke(*, account: Account, revoker: str = "MERCHANT", only_access: bool = False) -> None:
    """End every OAuth token of the application, as when the seller disconnects it in the dashboard."""
    now = timezone.now()
    AccessToken.objects.filter(account=account, kind=AccessToken.Kind.OAUTH, revoked_at=None).update(revoked_at=now)
    if not only_access:
        RefreshToken.objects.filter(account=account, revoked_at=None).update(revoked_at=now)
        events.authorization_revoked(account=account, revoker=revoker)


def other_hand(*, account: Account, product: str, application_id: str, name: str) -> str:
    """A token whose writes are somebody else's: the dashboard, the till, another application. Returns it."""
    made = AccessToken.objects.create(
        account=account,
        token=secret_token(),
        kind=AccessToken.Kind.PERSONAL,
        scopes=list(SCOPES),
        product=product,
        application_id=application_id,
        application_name=name,
    )
    return made.token


def secret_token() -> str:
    return "EAAA" + secrets.token_urlsafe(45)
