"""Bring a shop up against the sandbox, the way a real one is: connect, import, link, count, preview, approve."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from channels import approvals, connections, linking
from channels.models import ChannelLocation, Connection
from channels.sandbox import goods as goods_room
from channels.sandbox import standins
from channels.sandbox.goods import Goods
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify.models import Shop
from channels.sandbox.square import accounts as square_accounts
from channels.sandbox.square.models import Account
from inventory.models import Location
from storestudio.accounts.models import Merchant, User

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """A shop's till and web shop, and what connects us to them."""

    merchant: Merchant
    till: Connection
    web: Connection


@contextmanager
def stage(say: Say, words: str) -> Iterator[None]:
    """Say how long a stage took, and how much memory this process ever held."""
    started = time.monotonic()
    yield
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{words}: {time.monotonic() - started:.1f} s (peak {peak_mb:.0f} MB)")


def till_url() -> str:
    """Where Square's stand-in is served."""
    return f"{settings.SANDBOX_URL}/square"


def web_url(shop: Shop) -> str:
    """Where a shop of Shopify's stand-in is served."""
    return f"{settings.SANDBOX_URL}/shopify/{shop.domain}"


def bring_up(
    *, merchant: Merchant, actor: User, goods: Sequence[Goods], places: Sequence[str], domain: str, say: Say
) -> Pair:
    """Two accounts with these goods, connected, imported, linked, counted from the till, approved, live."""
    with stage(say, f"{sum(len(product.variants) for product in goods)} variants loaded into both sandbox accounts"):
        account = square_accounts.create_account(
            name=merchant.name, locations=list(places), currency=merchant.currency, country="GB",
            timezone_name=merchant.timezone,
        )  # fmt: skip
        goods_room.load_till(account, base_url=till_url(), goods=goods)
        shop = shopify_accounts.create_shop(domain=domain, name=merchant.name, locations=list(places))
        goods_room.load_web(shop, goods=goods)
    for name in places:
        Location.objects.get_or_create(merchant=merchant, name=name, defaults={"timezone": merchant.timezone})
    till, web = connect_till(merchant, account, actor), connect_web(merchant, shop, actor)
    for connection in (till, web):
        with stage(say, f"{connection.label}: catalog imported"):
            connections.refresh_locations(connection)
            map_by_name(connection, actor)
            seen = connections.import_catalog(connection)
            adopted = linking.adopt_catalog(connection, actor=actor)
        linked = connection.listings.filter(link="linked").count()
        say(f"{connection.label}: {seen} listings, {adopted} made ours, {linked} linked, {seen - linked} waiting")
    with stage(say, "opening counts taken from the till"):
        connections.adopt_counts(till, actor=actor)
    for connection in (till, web):
        with stage(say, f"{connection.label}: subscribed, counts read, approved"):
            go_live(connection, actor)
    return Pair(merchant, till, web)


def add_channel(*, merchant: Merchant, channel: str, actor: User, say: Say) -> Connection:
    """One more account for a shop that trades already, with its goods and numbers: connected, linked, live."""
    hands = standins.of(channel)
    places = list(Location.objects.of(merchant).filter(is_active=True).order_by("pk").values_list("name", flat=True))
    stock = goods_room.from_shop(merchant)
    with stage(say, f"{sum(len(product.variants) for product in stock)} variants loaded into a {channel} account"):
        account = hands.open_account(merchant=merchant, places=places, goods=stock)
    connection = hands.connect(merchant, account, actor)
    with stage(say, f"{connection.label}: catalog imported"):
        connections.refresh_locations(connection)
        map_by_name(connection, actor)
        seen = connections.import_catalog(connection)
    linked = connection.listings.filter(link="linked").count()
    say(f"{connection.label}: {seen} listings, {linked} linked, {seen - linked} waiting")
    with stage(say, f"{connection.label}: subscribed, counts read, approved"):
        go_live(connection, actor)
    return connection


def connect_till(merchant: Merchant, account: Account, actor: User) -> Connection:
    """A paused connection to a Square account of the sandbox."""
    return connections.open_connection(
        merchant=merchant, channel="square", label="Square till", account_id=account.merchant_id, base_url=till_url(),
        secrets={
            "access_token": account.access_token, "refresh_token": account.refresh_token,
            "application_token": account.personal_token, "application_id": account.application_id,
            "client_id": account.application_id, "client_secret": account.client_secret,
        },
        actor=actor,
    )  # fmt: skip


def connect_web(merchant: Merchant, shop: Shop, actor: User) -> Connection:
    """A paused connection to a Shopify shop of the sandbox, with a token of its own app."""
    return connections.open_connection(
        merchant=merchant, channel="shopify", label="Web shop", account_id=shop.domain, base_url=web_url(shop),
        secrets={
            "grant": "client_credentials", "client_id": shop.app.client_id, "client_secret": shop.app.client_secret,
            "access_token": shop.tokens.filter(kind="access").latest("pk").value,
        },
        actor=actor,
    )  # fmt: skip


def map_by_name(connection: Connection, actor: User) -> None:
    """In the sandbox the places are named alike: a person would map them so. A channel's only place, which may have no
    name of its own, is our first location."""
    own = {location.name: location for location in Location.objects.of(connection.merchant).order_by("-pk")}
    places = list(ChannelLocation.objects.filter(connection=connection).order_by("pk"))
    for place in places:
        location = own.get(place.name) or (list(own.values())[-1] if own and len(places) == 1 else None)
        if location is not None:
            connections.map_location(channel_location=place, location=location, actor=actor)


def go_live(connection: Connection, actor: User) -> None:
    """Subscribe, read what the channel shows, and say yes to the table of what would change."""
    connections.subscribe(connection)
    linking.ensure_cells(connection)
    connections.read_all_counts(connection)
    lines = approvals.preview(connection=connection)
    approvals.approve(connection=connection, actor=actor, digest=approvals.preview_digest(lines))
