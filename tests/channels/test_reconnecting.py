"""Tokens that end in mid-work, access that is withdrawn, and what was waiting when we are let in again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import connections, contact, credentials, inbox, polling
from channels.models import Connection, InboundEvent, Incident
from channels.ports import ConnectorError
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify import orders as shopify_orders
from channels.sandbox.shopify.models import ProductVariant, Shop, Token
from channels.sandbox.square.models import AccessToken
from inventory.models import StockLevel
from storestudio.accounts.models import Merchant, User

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "High Street"


@pytest.fixture
def pair(live_server, settings):
    """A live shop with ten mugs at both channels."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    return bringup.bring_up(
        merchant=Merchant.objects.create(name="Shop", slug="shop"),
        actor=User.objects.create_user("owner@example.com"),
        goods=[Goods("mug", "Mug", [GoodsVariant("MUG", Decimal(9), counts={PLACE: 10})])],
        places=[PLACE], domain="shop.myshopify.com", say=lambda words: None,
    )  # fmt: skip


def locations_of(connection):
    return credentials.with_fresh_token(connection.pk, lambda connector: len(connector.list_locations()))


def token_of(connection):
    return credentials.load(Connection.objects.get(pk=connection.pk))["access_token"]


def test_a_token_that_ended_unannounced_is_renewed_and_the_call_repeated_once(pair):
    old = {pair.till.pk: token_of(pair.till), pair.web.pk: token_of(pair.web)}
    past = timezone.now() - timedelta(seconds=1)
    AccessToken.objects.update(expires_at=past)
    Token.objects.update(expires_at=past)

    for connection in (pair.till, pair.web):
        assert locations_of(connection) == 1
        assert token_of(connection) != old[connection.pk]
    assert not Incident.objects.exists()


def test_a_new_token_that_is_refused_too_is_tried_later_and_in_the_end_a_person_is_asked(pair):
    calls = []

    def refused(connector):
        calls.append(connector)
        raise ConnectorError("no", code="ACCESS_TOKEN_EXPIRED")

    for attempt in range(contact.FAILURES_BEFORE_REST + 1):
        with pytest.raises(ConnectorError) as caught:
            credentials.with_fresh_token(pair.web.pk, refused)
        assert caught.value.needs_reconnect == (attempt == contact.FAILURES_BEFORE_REST)
        contact.failed(connection_id=pair.web.pk, error=caught.value)
    pair.web.refresh_from_db()
    assert pair.web.state == Connection.State.RECONNECT
    assert len(calls) == 2 * (contact.FAILURES_BEFORE_REST + 1)


def let_in_again(pair, actor):
    shop = Shop.objects.get()
    Shop.objects.update(uninstalled_at=None)
    connections.reconnect(connection=pair.web, secrets={"access_token": shop.tokens.create().value}, actor=actor)


def process(connection):
    return inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=10))


def test_what_was_sold_while_we_were_shut_out_waits_and_is_counted_once_we_are_let_in_again(pair):
    shop = Shop.objects.get()
    variant = ProductVariant.objects.select_related("product", "item").get()
    line = shopify_orders.variant_line(variant=variant, quantity=3)
    order = shopify_orders.NewOrder(lines=[line], behaviour=shopify_orders.OBEYING)
    shopify_orders.place(shop=shop, new=order, now=timezone.now())
    polling.poll(connection_id=pair.web.pk)
    assert InboundEvent.objects.filter(connection=pair.web, state="pending").count() == 1
    shopify_accounts.uninstall(shop)

    process(pair.web)
    pair.web.refresh_from_db()
    assert pair.web.state == Connection.State.RECONNECT
    assert process(pair.web) == 0  # shut out: nobody calls
    event = InboundEvent.objects.get(connection=pair.web, topic="storestudio/orders")
    assert (event.state, event.attempts) == ("pending", 0)
    assert StockLevel.objects.get().available == 10

    let_in_again(pair, actor=None)
    InboundEvent.objects.update(next_attempt_at=timezone.now())  # its backoff ends
    assert process(pair.web) == 3  # the order, and which places and goods changed meanwhile
    event.refresh_from_db()
    assert event.state == "done"
    assert StockLevel.objects.get().available == 7
    assert not Incident.objects.standing().exists()


def test_webhooks_that_went_with_our_access_are_subscribed_anew(pair):
    shop = Shop.objects.get()
    before = shop.subscriptions.count()
    shopify_accounts.uninstall(shop)
    assert (before > 0, shop.subscriptions.count()) == (True, 0)
    with pytest.raises(ConnectorError) as caught:
        locations_of(pair.web)
    assert caught.value.needs_reconnect

    let_in_again(pair, actor=None)

    assert shop.subscriptions.count() == before
    assert pair.web.state == Connection.State.LIVE


def test_control_new_credentials_that_are_refused_ask_for_others_at_once(pair):
    shopify_accounts.uninstall(Shop.objects.get())

    connections.reconnect(connection=pair.web, secrets={"access_token": "wrong"}, actor=None)

    assert pair.web.state == Connection.State.RECONNECT
    assert Incident.objects.standing().get().kind == "reconnect"
