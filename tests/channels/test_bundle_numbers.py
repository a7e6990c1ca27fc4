"""What channels show of bundles and their parts: whose number moved by itself, and whose has to be told."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from channels import inbox, polling, publisher
from channels.models import ChannelStock, Connection, Incident
from channels.reconcile import deciding, judging
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.shopify import orders as shopify_orders
from channels.sandbox.shopify.models import InventoryLevel, ProductVariant, Shop
from channels.sandbox.square.models import InventoryCount
from inventory import bundles, ledger, orders, verify
from inventory.bundles import Part
from inventory.models import Location, StockLevel, Variant
from storestudio.accounts.models import Merchant, User
from tests.channels.rules_shop import a_shop

PLACE = "High Street"


def make(variant, *parts):
    return bundles.define(
        variant=variant, parts=[Part(one.pk, Decimal(n)) for one, n in parts], is_stocked=False, actor=None
    )


@pytest.fixture
def shop(db):
    """Ten cups, twelve saucers, sets of a cup and two saucers: four channels list them and show what they should."""
    shop = a_shop()
    shop.cup, shop.saucer, shop.set = (shop.variant(units=units) for units in (10, 12, 0))
    make(shop.set, (shop.cup, 1), (shop.saucer, 2))
    shop.believe()
    return shop


def sell(shop, channel, variant, quantity, *, name="O1", fulfilled=0, version=1):
    hold = orders.Hold(shop.places[0].pk, committed=Decimal(quantity - fulfilled), fulfilled=Decimal(fulfilled))
    line = orders.LineState("L1", "V1", variant.pk, variant.sku, "", Decimal(quantity), [hold])
    at = timezone.now()
    state = orders.OrderState(name, name, at, at, version, False, [line])
    orders.apply(merchant_id=shop.merchant.pk, channel_id=shop.channels[channel].pk, states=[state])


def numbers(shop, variant, channel):
    """What the channel is believed to show, and what it should show."""
    cell = shop.cell(variant, channel)
    return int(cell.expected), int(cell.desired)


def test_a_variant_that_becomes_a_bundle_is_published_by_its_parts_at_once(shop):
    assert shop.shown(shop.set) == [6, 6, 6, 6]
    bundles.end(variant=shop.set, actor=None)
    assert shop.shown(shop.set) == [0, 0, 0, 0]


def test_the_channel_that_sold_a_bundle_moved_the_bundles_number_and_not_its_parts(shop):
    sell(shop, "Web", shop.set, 2)
    assert numbers(shop, shop.set, "Web") == (4, 4)
    assert numbers(shop, shop.cup, "Web") == (10, 8)
    assert numbers(shop, shop.saucer, "Web") == (12, 8)
    assert numbers(shop, shop.set, "Till") == (6, 4)
    assert shop.cell(shop.set, "Web").dirty_at is None
    assert shop.cell(shop.cup, "Web").dirty_at is not None


def test_the_channel_that_sold_a_part_did_not_move_the_bundles_number(shop):
    sell(shop, "Web", shop.saucer, 3)
    assert numbers(shop, shop.saucer, "Web") == (9, 9)
    assert numbers(shop, shop.set, "Web") == (6, 4)
    assert numbers(shop, shop.cup, "Web") == (10, 10)
    assert numbers(shop, shop.set, "Till") == (6, 4)


@pytest.mark.parametrize(
    ("sold", "while_open", "once_left"),
    [
        # It still shows its own open units of what it sold; the other number there it never touched.
        ("set", {"set": (6, 6), "cup": (10, 8)}, {"set": (4, 4), "cup": (10, 8)}),
        ("cup", {"set": (6, 6), "cup": (10, 10)}, {"set": (6, 6), "cup": (8, 8)}),
    ],
)
def test_a_channel_that_takes_open_orders_off_later_shows_them_of_what_it_sold(shop, sold, while_open, once_left):
    Connection.objects.filter(pk=shop.channels["Web"].pk).update(number="in_stock")
    sell(shop, "Web", getattr(shop, sold), 2)
    assert {name: numbers(shop, getattr(shop, name), "Web") for name in while_open} == while_open
    sell(shop, "Web", getattr(shop, sold), 2, fulfilled=2, version=2)
    assert {name: numbers(shop, getattr(shop, name), "Web") for name in once_left} == once_left


def test_a_doubt_about_a_part_holds_back_bundles_elsewhere_and_the_other_way_round(shop):
    ChannelStock.objects.filter(pk=shop.cell(shop.saucer, "Till").pk).update(doubt=3)
    judging.refresh_neighbours([shop.cell(shop.saucer, "Till").pk])
    assert shop.shown(shop.set) == [4, 4, 4, 4]
    assert shop.shown(shop.saucer) == [12, 9, 9, 9]
    ChannelStock.objects.filter(pk=shop.cell(shop.saucer, "Till").pk).update(doubt=0)
    ChannelStock.objects.filter(pk=shop.cell(shop.set, "Till").pk).update(doubt=2)
    judging.refresh_neighbours([shop.cell(shop.set, "Till").pk])
    assert shop.shown(shop.set) == [6, 4, 4, 4]
    assert shop.shown(shop.cup) == [8, 8, 8, 8]


def test_their_number_of_a_bundle_is_booked_on_its_parts(shop):
    cell = shop.cell(shop.set, "Till")
    ChannelStock.objects.filter(pk=cell.pk).update(observed=5, drift_at=timezone.now(), doubt=1)
    deciding.resolve_drift(cell_id=cell.pk, choice="theirs", actor=shop.owner)
    assert list(StockLevel.objects.order_by("variant").values_list("on_hand", flat=True))[:2] == [9, 10]
    assert numbers(shop, shop.set, "Till") == (5, 5)
    assert numbers(shop, shop.cup, "Till") == (10, 9)


# Over real HTTP, at both channels.


@pytest.fixture
def pair(live_server, settings):
    """Ten cups and ten saucers at both channels; a set is one cup and two saucers."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    goods = [
        Goods(sku.lower(), sku, [GoodsVariant(sku, Decimal(9), counts={PLACE: units})])
        for sku, units in (("CUP", 10), ("SAUCER", 10), ("SET", 1))
    ]
    pair = bringup.bring_up(
        merchant=Merchant.objects.create(name="Shop", slug="shop"), actor=User.objects.create_user("o@example.com"),
        goods=goods, places=[PLACE], domain="shop.myshopify.com", say=lambda words: None,
    )  # fmt: skip
    cup, saucer, made = Variant.objects.order_by("sku")
    location = Location.objects.get(merchant=pair.merchant)
    with transaction.atomic():
        entry = ledger.Entry(made.pk, location.pk, "adjust", "out", timezone.now(), on_hand=Decimal(-1))
        ledger.post(merchant_id=pair.merchant.pk, source="test", entries=[entry])
    make(made, (cup, 1), (saucer, 2))
    publish(pair)
    return pair


def publish(pair):
    for connection in (pair.till, pair.web):
        publisher.publish(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=10))


def read_web(pair):
    polling.poll(connection_id=pair.web.pk)
    inbox.process(connection_id=pair.web.pk, until=timezone.now() + timedelta(seconds=10))


def web_numbers():
    return list(InventoryLevel.objects.order_by("item__sku").values_list("available", flat=True))


def till_numbers(pair):
    by_id = dict(InventoryCount.objects.filter(state="IN_STOCK").values_list("catalog_object_id", "quantity"))
    return [int(by_id[listing.external_id]) for listing in pair.till.listings.order_by("sku")]


@pytest.mark.django_db(transaction=True)
def test_bundles_and_parts_agree_at_both_channels_after_each_was_sold(pair):
    assert web_numbers() == till_numbers(pair) == [10, 10, 5]
    web = Shop.objects.get()
    for sku, quantity, shown in (("SET", 2, [8, 6, 3]), ("SAUCER", 3, [8, 3, 1]), ("CUP", 8, [0, 3, 0])):
        line = shopify_orders.variant_line(variant=ProductVariant.objects.get(item__sku=sku), quantity=quantity)
        new = shopify_orders.NewOrder(lines=[line], behaviour=shopify_orders.OBEYING)
        shopify_orders.place(shop=web, new=new, now=timezone.now())
        read_web(pair)
        publish(pair)
        assert web_numbers() == till_numbers(pair) == shown
    assert not Incident.objects.exists()
    assert verify.verify().breaches == []
