"""What Shopify announces, taken through the inbox to the ledger, over real HTTP against its stand-in."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import credentials, inbox, intake, registry
from channels.models import InboundEvent, Incident
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Delivery
from channels.sandbox.shopify import moving, order_state, orders
from channels.sandbox.shopify.models import InventoryLevel, ProductVariant, Shop
from inventory import verify
from inventory.models import StockLevel
from storestudio.accounts.models import Merchant, User

pytestmark = pytest.mark.django_db(transaction=True)
FRONT, BACK = "Front", "Back"


@pytest.fixture
def web(live_server, settings):
    """A live web shop of one variant, ten at each of two places."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    goods = [Goods("mug", "Mug", [GoodsVariant("MUG", Decimal(9), counts={FRONT: 10, BACK: 10})])]
    pair = bringup.bring_up(
        merchant=Merchant.objects.create(name="Shop", slug="shop"),
        actor=User.objects.create_user("owner@example.com"),
        goods=goods, places=[FRONT, BACK], domain="shop.myshopify.com", say=lambda words: None,
    )  # fmt: skip
    Delivery.objects.all().delete()
    return pair.web


def order_ahead(quantity):
    variant = ProductVariant.objects.select_related("product", "item").get()
    line = orders.variant_line(variant=variant, quantity=quantity)
    new = orders.NewOrder(lines=[line], behaviour=orders.OBEYING)
    return orders.place(shop=Shop.objects.get(), new=new, now=timezone.now())


def move_to(order, name):
    shop = Shop.objects.get()
    (row,) = order_state.read(order_id=order.pk).fulfillment_orders.all()
    moving.move(shop=shop, row_id=row.pk, to=shop.locations.get(name=name), units=None, now=timezone.now())


def hear(web, *topics):
    """Take what the vendor owes us (of these topics) into the inbox and work it off."""
    connector = registry.connect(web.channel, account=credentials.account(web))
    for owed in Delivery.objects.filter(account=web.account_id, topic__in=topics).order_by("pk"):
        headers = {name.lower(): text for name, text in owed.headers.items()}
        assert connector.verify(headers=headers, body=bytes(owed.body))
        delivery = intake.deliver(
            connector=connector, connection_id=web.pk, merchant_id=web.merchant_id, headers=headers,
            body=bytes(owed.body),
        )  # fmt: skip
        assert intake.store(delivery)
    inbox.process(connection_id=web.pk, until=timezone.now() + timedelta(seconds=10))


def held():
    return {
        level.location.name: (level.committed, level.available)
        for level in StockLevel.objects.select_related("location")
    }


def test_a_fulfillment_order_that_moved_is_its_orders_news_and_is_done_with(web):
    order = order_ahead(3)
    hear(web, "orders/create")
    assert held() == {FRONT: (3, 7), BACK: (0, 10)}

    move_to(order, BACK)
    hear(web, "fulfillment_orders/moved")

    assert held() == {FRONT: (0, 10), BACK: (3, 7)}
    moved = InboundEvent.objects.get(topic="fulfillment_orders/moved")
    assert (moved.state, moved.attempts, moved.error) == (InboundEvent.State.DONE, 0, "")
    assert {level.location.name: level.available for level in InventoryLevel.objects.select_related("location")} == {
        FRONT: 10, BACK: 7,
    }  # fmt: skip
    assert not Incident.objects.standing().exists()
    assert verify.verify().breaches == []


def test_an_order_and_its_fulfillment_order_named_at_once_are_one_order_read_once(web):
    order = order_ahead(1)
    move_to(order, BACK)

    hear(web, "orders/create", "orders/updated", "fulfillment_orders/moved")

    assert held() == {FRONT: (0, 10), BACK: (1, 9)}
    assert set(InboundEvent.objects.values_list("state", flat=True)) == {InboundEvent.State.DONE}


def test_control_a_fulfillment_order_nobody_knows_is_not_done_with(web):
    """It is the order that was found that makes its news done with."""
    order = order_ahead(1)
    move_to(order, BACK)
    owed = Delivery.objects.get(topic="fulfillment_orders/moved")
    (row,) = order_state.read(order_id=order.pk).fulfillment_orders.all()
    row.delete()

    hear(web, owed.topic)

    event = InboundEvent.objects.get(topic="fulfillment_orders/moved")
    assert event.state == InboundEvent.State.PENDING
    assert "does not know" in event.error
