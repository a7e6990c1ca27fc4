"""A shop with a till, a Shopify shop and a WooCommerce shop: what one sells, all know; over real HTTP."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from channels import connections, contact, credentials, inbox, intake, polling, reconcile, registry
from channels.connectors.woocommerce import stock
from channels.models import ChannelStock, Connection, InboundEvent, Incident, Listing, StockGap
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Delivery
from channels.sandbox.woocommerce.models import Product, Site, Webhook
from inventory import ledger, verify
from inventory.models import Order, StockLevel
from storestudio.accounts.models import Merchant, User
from tests import factories
from tests.channels.vendors_show import publish_all, shown
from tests.sandbox.woocommerce_shop import WooShop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def woo(live_server, settings):
    """Ten of two variants of one product, and ten of a simple one, at three channels, all live."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    counts = {"Front": 10}
    sizes = [GoodsVariant(f"SHIRT-{size}", Decimal(28), (size,), counts=counts) for size in ("S", "M")]
    goods = [
        Goods("mug", "Mug", [GoodsVariant("MUG", Decimal("9.50"), counts=counts)]),
        Goods("shirt", "Shirt", sizes, options=("Size",)),
    ]
    merchant = Merchant.objects.create(name="Shop", slug="shop")
    actor = User.objects.create_user("owner@example.com")
    bringup.bring_up(
        merchant=merchant, actor=actor, goods=goods, places=["Front"], domain="shop.myshopify.com",
        say=lambda words: None,
    )  # fmt: skip
    connection = bringup.add_channel(merchant=merchant, channel="woocommerce", actor=actor, say=lambda words: None)
    Delivery.objects.filter(account=connection.account_id).delete()
    return connection


def shop_of(connection):
    return WooShop(Site.objects.get(pk=connection.account_id), connection.base_url)


def hear(connection):
    """Take what the vendor owes us into the inbox and work it off."""
    connection = Connection.objects.get(pk=connection.pk)
    connector = registry.connect(connection.channel, account=credentials.account(connection))
    owed = Delivery.objects.filter(account=connection.account_id, state=Delivery.State.PENDING)
    for row in owed.order_by("pk"):
        headers = {name.lower(): text for name, text in row.headers.items()}
        assert connector.verify(headers=headers, body=bytes(row.body))
        intake.store(
            intake.deliver(
                connector=connector, connection_id=connection.pk, merchant_id=connection.merchant_id, headers=headers,
                body=bytes(row.body),
            )
        )  # fmt: skip
    owed.update(state=Delivery.State.DELIVERED)
    inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=20))


def everywhere(units):
    return {"square": units, "shopify": units, "woocommerce": units}


def available(sku):
    return StockLevel.objects.get(variant__sku=sku).available


def take_off(sku, units):
    """Units broke on our own shelf."""
    level = StockLevel.objects.get(variant__sku=sku)
    entry = ledger.Entry(
        variant_id=level.variant_id, location_id=level.location_id, kind=ledger.Kind.ADJUST, key="broken",
        occurred_at=timezone.now(), on_hand=Decimal(-units),
    )  # fmt: skip
    ledger.record(merchant_id=level.merchant_id, source="test", entries=[entry])


def test_a_sale_is_told_to_the_others_and_not_back(woo):
    shop = shop_of(woo)
    shop.order(SHIRT_S=2, MUG=1)
    hear(woo)
    publish_all()
    assert shown("SHIRT-S") == everywhere(8)
    assert shown("MUG") == everywhere(9)
    assert not woo.writes.exists()
    assert not InboundEvent.objects.exclude(state=InboundEvent.State.DONE).filter(connection=woo).exists()
    assert verify.verify().breaches == []


def test_a_sale_within_the_second_of_the_opening_is_not_taken_for_history(woo):
    """WooCommerce tells times in whole seconds: that of this sale is before the moment it was really made."""
    shop = shop_of(woo)
    order = shop.order(MUG=1)
    placed = datetime.fromisoformat(order["date_created_gmt"]).replace(tzinfo=UTC)
    Connection.objects.filter(pk=woo.pk).update(opened_at=placed + timedelta(milliseconds=600))
    hear(woo)
    publish_all()
    assert shown("MUG") == everywhere(9)
    assert not woo.writes.exists()


def test_control_a_sale_of_the_second_before_the_opening_is_history(woo):
    shop = shop_of(woo)
    order = shop.order(MUG=1)
    placed = datetime.fromisoformat(order["date_created_gmt"]).replace(tzinfo=UTC)
    Connection.objects.filter(pk=woo.pk).update(opened_at=placed + timedelta(seconds=1))
    hear(woo)
    assert Order.objects.get(channel_id=woo.pk).is_before_opening


def test_an_orders_whole_life_leaves_every_number_right(woo):
    shop = shop_of(woo)
    order = shop.order(status="pending", MUG=4)
    hear(woo)
    assert available("MUG") == 10  # nobody paid: nothing is promised
    for status, units in (("processing", 6), ("completed", 6)):
        shop.call("PUT", f"/orders/{order['id']}", {"status": status})
        hear(woo)
        assert available("MUG") == units
    back = {"id": order["line_items"][0]["id"], "quantity": 2, "refund_total": 19.0}
    shop.call("POST", f"/orders/{order['id']}/refunds", {"api_refund": False, "line_items": [back]})
    lost = back | {"quantity": 1, "refund_total": 9.5}
    shop.call(
        "POST", f"/orders/{order['id']}/refunds", {"api_refund": False, "api_restock": False, "line_items": [lost]}
    )
    hear(woo)
    publish_all()
    assert available("MUG") == 8
    assert shown("MUG") == everywhere(8)
    assert not Incident.objects.standing().exists()
    cancelled = shop.order(MUG=3)
    hear(woo)
    shop.call("PUT", f"/orders/{cancelled['id']}", {"status": "cancelled"})
    hear(woo)
    publish_all()
    assert shown("MUG") == everywhere(8)
    assert verify.verify().breaches == []


def test_what_webhooks_missed_is_found_by_polling(woo):
    shop_of(woo).order(SHIRT_M=3)
    Delivery.objects.filter(account=woo.account_id).delete()
    polling.poll(connection_id=woo.pk)
    inbox.process(connection_id=woo.pk, until=timezone.now() + timedelta(seconds=20))
    publish_all()
    assert shown("SHIRT-M") == everywhere(7)


def test_our_own_write_comes_back_as_an_echo(woo):
    connections.subscribe(woo)
    take_off("MUG", 3)
    publish_all()
    assert shown("MUG") == everywhere(7)
    hear(woo)
    events = InboundEvent.objects.filter(connection=woo, topic="product.updated")
    assert events.exists()
    assert {event.outcome for event in events} == {"as expected: this was us, or known already"}
    assert not InboundEvent.objects.filter(connection=woo, topic="storestudio/catalog").exists()


def test_a_sale_between_reading_and_writing_is_found_stale_and_told_anew(woo):
    """The sale is in WooCommerce and not yet with us when our number goes out."""
    shop = shop_of(woo)
    shop.order(MUG=1)
    take_off("MUG", 3)
    publish_all()
    assert shown("MUG")["woocommerce"] == 9  # not overwritten
    hear(woo)
    reconcile.recheck_due(connection_id=woo.pk)
    publish_all()
    assert shown("MUG") == everywhere(6)
    assert verify.verify().breaches == []


def test_a_product_renamed_there_is_read_again_though_its_message_is_about_its_count(woo):
    shop = shop_of(woo)
    shop.call("PUT", f"/products/{shop.mug.pk}", {"name": "Tall mug", "regular_price": "11.00"})
    hear(woo)
    inbox.process(connection_id=woo.pk, until=timezone.now() + timedelta(seconds=20))
    listing = Listing.objects.get(connection=woo, sku="MUG")
    assert (listing.product_title, listing.price) == ("Tall mug", 11)


def test_a_webhook_that_was_disabled_is_woken(woo):
    Webhook.objects.filter(site=woo.account_id, topic="order.updated").update(status="disabled")
    looked = credentials.with_fresh_token(woo.pk, lambda connector: connector.subscribe(existing_only=True))
    assert len(looked) == 7
    connections.subscribe(woo)
    assert set(Webhook.objects.filter(site=woo.account_id).values_list("status", flat=True)) == {"active"}
    shop_of(woo).order(MUG=1)
    hear(woo)
    assert available("MUG") == 9


def test_a_count_edited_by_hand_there_is_drift_and_asks(woo):
    product = Product.objects.get(site=woo.account_id, sku="MUG")
    shop_of(woo).call("PUT", f"/products/{product.pk}", {"stock_quantity": 4})
    hear(woo)
    cell = ChannelStock.objects.get(connection=woo, listing__sku="MUG")
    assert (cell.observed, cell.expected) == (4, 10)
    assert cell.recheck_at is not None


def test_a_shop_is_connected_from_the_command_line_with_the_keys_it_made(woo, monkeypatch):
    """The secrets are tried before they are kept; the only place is the shop itself."""
    member = factories.MembershipFactory()
    key = shop_of(woo).site.keys.get()

    def connect(secret):
        secrets = {"consumer_key": key.consumer_key, "consumer_secret": secret}
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(secrets)))
        out = io.StringIO()
        call_command(
            "connect", "open", "--shop", member.merchant.slug, "--channel", "woocommerce", "--account-id",
            woo.account_id, "--base-url", woo.base_url, "--as", member.user.email, stdout=out,
        )  # fmt: skip
        return out.getvalue()

    with pytest.raises(CommandError, match="Consumer secret is invalid"):
        connect("cs_typed_wrong")
    assert "1 places, 3 listings, 0 linked" in connect(key.consumer_secret)
    connection = Connection.objects.of(member.merchant).get()
    assert credentials.load(connection)["webhook_secret"]
    assert connection.locations.get().external_id == "shop"


def test_a_deleted_key_asks_for_both_keys_anew(woo, client, settings):
    settings.ROOT_URLCONF = "storestudio.urls"
    owner = factories.MembershipFactory(merchant=woo.merchant, user=User.objects.get(email="owner@example.com"))
    client.force_login(owner.user)
    contact.lost(connection_id=woo.pk, reason="Consumer key is invalid.")
    page = client.get(f"/{woo.merchant.slug}/channels/{woo.pk}/").content.decode()
    assert "Make a new consumer key and consumer secret at" in page
    assert 'name="consumer_key"' in page
    assert 'name="consumer_secret"' in page


def test_a_sale_that_our_number_went_over_is_found_by_its_order_and_told_again(woo, monkeypatch):
    """WooCommerce knows only absolute numbers: between our reading and our writing a customer buys."""
    shop, entry = shop_of(woo), stock.entry

    def buys_first(write, *, key):
        shop.order(MUG=2)
        return entry(write, key=key)

    with monkeypatch.context() as between:
        between.setattr(stock, "entry", buys_first)
        take_off("MUG", 3)
        publish_all()
    assert shown("MUG")["woocommerce"] == 7  # the customer's two are for sale again: control
    hear(woo)
    assert available("MUG") == 5
    cell = ChannelStock.objects.get(connection=woo, listing__sku="MUG")
    assert (cell.observed, cell.expected) == (7, 5)
    cell.recheck_at = timezone.now() - timedelta(seconds=10)  # the grace is over
    cell.save()
    reconcile.recheck_due(connection_id=woo.pk)
    publish_all()
    assert shown("MUG") == everywhere(5)
    gap = StockGap.objects.get(connection=woo)
    assert (gap.cause, gap.state) == (StockGap.Cause.LATE, StockGap.State.HEALED)
    assert gap.evidence["orders"]
    assert verify.verify().breaches == []
