"""Shops whose channels are the vendors' stand-ins, over real HTTP: `till(url)`, `web(url)`."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.utils.timezone import now as utc_now

from channels import connections, credentials
from channels.sandbox import bringup, goods
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.square import accounts as square_accounts
from channels.sandbox.square.models import AccessToken, Account
from inventory.models import Location
from tests import factories

PLACES = ("Front", "Back")
SKUS = ("MUG-WHITE", "MUG-SEA", "BOWL")


def some_goods(*skus, units=10):
    """One product a SKU, `units` at each place."""
    counts = dict.fromkeys(PLACES, units)
    return [
        goods.Goods(sku.lower(), f"Thing {sku}", [goods.GoodsVariant(sku, Decimal("9.50"), counts=counts)])
        for sku in skus
    ]


def till(merchant=None, *, stock=None, places=PLACES, actor=None):
    """A paused connection to a fresh Square account that holds `stock` (goods); reads and writes at SANDBOX_URL."""
    merchant = merchant or factories.MerchantFactory()
    account = square_accounts.create_account(name=merchant.name, locations=list(places), currency="GBP", country="GB")
    goods.load_till(account, base_url=bringup.till_url(), goods=some_goods(*SKUS) if stock is None else stock)
    return bringup.connect_till(merchant, account, actor)


def web(merchant=None, *, stock=None, places=PLACES, actor=None):
    """A paused connection to a fresh Shopify shop that holds `stock`."""
    merchant = merchant or factories.MerchantFactory()
    domain = f"shop-{uuid.uuid4().hex[:8]}.myshopify.com"
    shop = shopify_accounts.create_shop(domain=domain, name=merchant.name, locations=list(places))
    goods.load_web(shop, goods=some_goods(*SKUS) if stock is None else stock)
    return bringup.connect_web(merchant, shop, actor)


def mapped(connection, *, actor):
    """Read the places, and say that each is our location of the same name."""
    connections.refresh_locations(connection)
    for name in connection.locations.values_list("name", flat=True):
        Location.objects.get_or_create(merchant=connection.merchant, name=name)
    bringup.map_by_name(connection, actor)
    return connection


def owner_of(merchant):
    return factories.MembershipFactory(merchant=merchant).user


def square_account(connection):
    return Account.objects.get(pk=connection.account_id)


def with_single_use_token(connection):
    """Give the connection a token pair whose refresh token is good once, as Square's PKCE flow does; it has ended."""
    account = square_account(connection)
    access, refresh = square_accounts.issue_tokens(
        account=account, scopes=list(square_accounts.SCOPES), now=utc_now(), is_pkce=True
    )
    secrets = {name: value for name, value in credentials.load(connection).items() if name != "client_secret"}
    credentials.store(connection, secrets | {"access_token": access.token, "refresh_token": refresh.token})
    connection.save()
    AccessToken.objects.filter(pk=access.pk).update(expires_at=utc_now())
    return refresh
