"""A shop with a till, a web shop and a Lightspeed R-Series till that tells nothing by itself; over real HTTP."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import connections, dispatcher, inbox, polling, reconcile
from channels.models import ChannelStock, Connection, InboundEvent, RemoteChange
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.rseries import accounts, models
from channels.sandbox.rseries.till import RSeriesTill
from channels.sandbox.trading import settling
from inventory import ledger
from inventory.models import Order, StockLevel, StockMovement
from storestudio.accounts.models import Merchant, User
from tests.channels.vendors_show import publish_all, shown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def till(live_server, settings):
    """Ten mugs and ten bowls, at three channels, all live."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    goods = [
        Goods(sku.lower(), sku.title(), [GoodsVariant(sku, Decimal("9.50"), counts={"Front": 10})])
        for sku in ("MUG", "BOWL")
    ]
    merchant = Merchant.objects.create(name="Shop", slug="shop")
    actor = User.objects.create_user("owner@example.com")
    quiet = {"actor": actor, "say": lambda words: None}
    bringup.bring_up(merchant=merchant, goods=goods, places=["Front"], domain="shop.myshopify.com", **quiet)
    opened = bringup.add_channel(merchant=merchant, channel="rseries", **quiet)
    # Its log is to the second: what changes within the second of the opening counts as having been there.
    time.sleep(1.0 - timezone.now().microsecond / 1_000_000)
    return opened


def owner(till):
    account = models.Account.objects.get(pk=till.account_id)
    base_url = f"{till.base_url}/API/V3/Account/{account.pk}"
    return RSeriesTill(base_url=base_url, token=accounts.value_of(account, "owner"))


def place():
    return str(models.Shop.objects.get().pk)


def item(sku):
    return str(models.Item.objects.get(custom_sku=sku).pk)


def look(till):
    """One poll, and what it put into the inbox."""
    polling.poll(connection_id=till.pk)
    inbox.process(connection_id=till.pk, until=timezone.now() + timedelta(seconds=20))


def everywhere(units):
    return {"square": units, "shopify": units, "rseries": units}


def test_what_the_till_sells_sets_aside_and_lets_go_is_known_everywhere_and_told_back_to_nobody(till):
    look(till)
    own = owner(till)
    own.sell(shop_id=place(), units={item("MUG"): 2})
    line_ids = own.set_aside(shop_id=place(), units={item("MUG"): 3})
    look(till)
    publish_all()

    assert shown("MUG") == everywhere(5)
    level = StockLevel.objects.get(variant__sku="MUG")
    assert (level.on_hand, level.committed) == (8, 3)

    own.let_go(line_ids=line_ids)
    look(till)
    publish_all()

    assert shown("MUG") == everywhere(8)
    assert not till.writes.exists()
    assert settling.breaches(till.merchant) == []


def test_fetched_is_sold_once(till):
    look(till)
    own = owner(till)
    line_ids = own.set_aside(shop_id=place(), units={item("MUG"): 3})
    look(till)
    own.hand_over(shop_id=place(), line_ids=line_ids)
    look(till)
    publish_all()

    level = StockLevel.objects.get(variant__sku="MUG")
    assert (level.on_hand, level.committed) == (7, 0)
    assert shown("MUG") == everywhere(7)


def test_an_item_of_which_nothing_was_ever_set_aside_has_no_order_for_that(till):
    look(till)
    owner(till).sell(shop_id=place(), units={item("BOWL"): 1})
    look(till)

    assert not Order.objects.filter(channel_id=till.pk, external_id__startswith="set-aside").exists()
    assert Order.objects.filter(channel_id=till.pk).count() == 1


def test_an_edit_at_the_till_is_booked_with_the_next_poll_though_no_webhook_tells_of_it(till):
    look(till)
    owner(till).send("PUT", f"Item/{item('MUG')}", {"ItemShops": {"ItemShop": [{"shopID": place(), "qoh": "14"}]}})
    look(till)
    publish_all()

    assert shown("MUG") == everywhere(14)
    assert RemoteChange.objects.get(connection=till).cause == "edited at Lightspeed"
    assert StockMovement.objects.filter(reason="edited at Lightspeed", on_hand=4).count() == 1


def test_another_channels_sale_is_told_to_it_and_its_own_writes_are_no_news(till):
    look(till)
    web = Connection.objects.get(channel="shopify")
    cells = ChannelStock.objects.filter(connection=web, listing__sku="MUG")
    assert cells.exists()
    connections.subscribe(till)  # nothing to subscribe to
    level = StockLevel.objects.get(variant__sku="MUG")
    entry = ledger.Entry(
        variant_id=level.variant_id, location_id=level.location_id, kind=ledger.Kind.ADJUST, key="broken",
        occurred_at=timezone.now(), on_hand=Decimal(-4),
    )  # fmt: skip
    ledger.record(merchant_id=level.merchant_id, source="test", entries=[entry])
    publish_all()
    look(till)
    look(till)

    assert shown("MUG") == everywhere(6)
    assert not RemoteChange.objects.filter(connection=till).exists()
    assert settling.breaches(till.merchant) == []
    till.refresh_from_db()
    assert till.write_mark > 0


def test_a_channel_with_webhooks_has_its_changes_read_only_when_word_of_one_comes(till, monkeypatch):
    """Control: reading them at every poll is for those that cannot send word."""
    read = []
    monkeypatch.setattr(reconcile, "read_stock_changes", lambda *, connection_id: read.append(connection_id) or 0)
    for connection in Connection.objects.order_by("pk"):
        polling.poll(connection_id=connection.pk)

    assert read == [till.pk]


def test_it_is_polled_as_often_as_it_says(till):
    assert dispatcher.json.loads(dispatcher._poll_every_s())["rseries"] == 10.0
    assert not InboundEvent.objects.filter(connection=till).exclude(topic__startswith="storestudio/").exists()
