"""From a change of stock to both channels' numbers, over real HTTP, with what goes wrong on the way."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from channels import connections, inbox, linking, polling, publisher, reconcile
from channels.connectors.shopify import ShopifyConnector
from channels.models import ChannelStock, ChannelWrite, ChannelWriteLine, Connection, InboundEvent, Incident
from channels.reconcile import reading
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Fault
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify import orders as shopify_orders
from channels.sandbox.shopify.models import InventoryLevel, ProductVariant, Shop
from channels.sandbox.square import stock as square_stock
from channels.sandbox.square.models import Account, InventoryChange, InventoryCount
from channels.sandbox.trading import settling
from inventory import ledger, verify
from inventory.models import Location, StockLevel, Variant
from storestudio.accounts.models import Merchant, User

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "High Street"


@pytest.fixture
def pair(live_server, settings):
    """A live shop with three variants, ten of each, at both channels."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url
    merchant = Merchant.objects.create(name="Shop", slug="shop")
    owner = User.objects.create_user("owner@example.com")
    goods = [
        Goods(f"mug-{n}", f"Mug {n}", [GoodsVariant(f"MUG-{n}", Decimal(9), counts={PLACE: 10})]) for n in range(3)
    ]
    return bringup.bring_up(
        merchant=merchant, actor=owner, goods=goods, places=[PLACE], domain="shop.myshopify.com", say=lambda words: None
    )


def adjust(pair, *deltas, key="a"):
    """Change the stock of the first variants by these deltas."""
    location = Location.objects.get(merchant=pair.merchant)
    with transaction.atomic():
        ledger.post(
            merchant_id=pair.merchant.pk,
            source="test",
            entries=[
                ledger.Entry(variant.pk, location.pk, "adjust", f"{key}{n}", timezone.now(), on_hand=Decimal(delta))
                for n, (variant, delta) in enumerate(zip(Variant.objects.order_by("sku"), deltas, strict=False))
                if delta
            ],
        )


def publish(connection):
    return publisher.publish(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=10))


def web_numbers():
    levels = InventoryLevel.objects.order_by("item__sku").values_list("available", flat=True)
    return list(levels)


def till_numbers(pair):
    by_id = dict(InventoryCount.objects.filter(state="IN_STOCK").values_list("catalog_object_id", "quantity"))
    return [int(by_id[listing.external_id]) for listing in pair.till.listings.order_by("sku")]


def writes_of(connection):
    return list(ChannelWriteLine.objects.filter(write__connection=connection).values_list("outcome", flat=True))


def overdue():
    """Time passes: leases run out, backoffs end."""
    past = timezone.now() - timedelta(seconds=1)
    ChannelWrite.objects.update(next_attempt_at=past)
    InboundEvent.objects.update(next_attempt_at=past)
    Connection.objects.update(resting_until=None)
    ChannelStock.objects.exclude(recheck_at=None).update(recheck_at=past)
    ChannelStock.objects.exclude(next_attempt_at=None).update(next_attempt_at=past)


def test_a_change_reaches_both_channels_once_and_nothing_is_left_to_do(pair):
    adjust(pair, -3, 4)
    assert (publish(pair.till), publish(pair.web)) == (2, 2)
    assert till_numbers(pair) == web_numbers() == [7, 14, 10]
    assert (publish(pair.till), publish(pair.web)) == (0, 0)
    assert not ChannelStock.objects.filter(dirty_at__isnull=False).exists()


def test_decreases_are_claimed_before_increases(pair):
    adjust(pair, 4, -3, 2)
    publish(pair.web)
    lines = ChannelWriteLine.objects.filter(write__connection=pair.web).order_by("pk")
    steps = [line.to_quantity - line.from_quantity for line in lines]
    assert (steps[0], sorted(steps)) == (-3, [-3, 2, 4])


def test_only_the_newest_number_is_sent(pair):
    for n in range(5):
        adjust(pair, -1, key=f"k{n}")
    assert publish(pair.web) == 1
    line = ChannelWriteLine.objects.get(write__connection=pair.web)
    assert (line.from_quantity, line.to_quantity) == (10, 5)


@pytest.mark.parametrize(("name", "vendor"), [("till", "square"), ("web", "shopify")])
def test_a_lost_answer_is_repeated_with_the_same_key_and_takes_effect_once(pair, name, vendor):
    connection = getattr(pair, name)
    Fault.objects.create(vendor=vendor, operation="inventory", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    adjust(pair, -3)
    assert publish(connection) == 0
    write = ChannelWrite.objects.get(connection=connection)
    assert write.state == ChannelWrite.State.SENDING
    overdue()
    assert publish(connection) == 1
    assert ChannelWrite.objects.get(connection=connection).state == ChannelWrite.State.DONE
    assert (till_numbers(pair) if name == "till" else web_numbers()) == [7, 10, 10]
    assert ChannelStock.objects.get(connection=connection, listing__sku="MUG-0").expected == 7


@pytest.mark.parametrize("name", ["till", "web"])
def test_a_worker_that_dies_after_claiming_leaves_its_write_to_the_next(pair, name):
    connection = getattr(pair, name)
    adjust(pair, -3)
    publisher._claim(connection)
    assert publish(connection) == 0  # the lease holds
    overdue()
    assert publish(connection) == 1
    assert writes_of(connection) == ["applied"]


@pytest.mark.parametrize("name", ["till", "web"])
def test_units_that_come_back_while_the_number_without_them_is_under_way_are_told_next(pair, name):
    """Wanted is 10 again, as before the write: clean at that moment, and due once the write has landed."""
    connection = getattr(pair, name)
    adjust(pair, -3)
    write = publisher._claim(connection)
    adjust(pair, 3, key="back")
    assert publisher._send(connection, write) == 1
    cell = ChannelStock.objects.get(connection=connection, listing__sku="MUG-0")
    assert (cell.expected, cell.desired, cell.dirty_at is not None) == (7, 10, True)
    assert settling.waiting(pair.merchant).due > 0
    assert publish(connection) == 1
    assert (till_numbers(pair) if name == "till" else web_numbers()) == [10, 10, 10]


def sell_on_web(sku="MUG-0", quantity=1):
    """A customer buys; no webhook arrives."""
    shop = Shop.objects.get()
    variant = ProductVariant.objects.select_related("product", "item").get(item__sku=sku)
    line = shopify_orders.variant_line(variant=variant, quantity=quantity)
    new = shopify_orders.NewOrder(lines=[line], behaviour=shopify_orders.OBEYING)
    return shopify_orders.place(shop=shop, new=new, now=timezone.now())


def test_a_sale_we_have_not_heard_of_is_never_overwritten_and_is_found_and_folded_in(pair):
    sell_on_web(quantity=2)
    adjust(pair, -3)
    assert publish(pair.web) == 0
    assert writes_of(pair.web) == ["stale"]
    assert web_numbers()[0] == 8
    polling.poll(connection_id=pair.web.pk)
    inbox.process(connection_id=pair.web.pk, until=timezone.now() + timedelta(seconds=10))
    overdue()
    assert publish(pair.web) == 1
    assert publish(pair.till) == 1
    assert till_numbers(pair)[0] == web_numbers()[0] == 5
    assert StockLevel.objects.get(variant__sku="MUG-0").available == 5
    assert not Incident.objects.standing().filter(kind="drift").exists()


def test_one_poisoned_cell_is_set_aside_and_the_others_land(pair):
    """Fault 17: one bad entry failed the whole batch."""
    listing = pair.web.listings.get(sku="MUG-1")
    listing.inventory_id = listing.inventory_id[:-4] + "9999"
    listing.save()
    adjust(pair, -1, -1, -1)
    for _ in range(3):
        publish(pair.web)
        overdue()
    assert web_numbers() == [9, 10, 9]
    bad = ChannelStock.objects.get(listing=listing)
    assert bad.blocked_reason
    assert Incident.objects.standing().get(kind="refused").cell_id == bad.pk
    assert not ChannelStock.objects.filter(connection=pair.web, dirty_at__isnull=False, blocked_reason="").exists()


def test_a_paused_connection_is_told_nothing_and_catches_up_when_it_goes_on(pair):
    connections.pause(connection=pair.web, actor=None, reason="a test")
    adjust(pair, -3)
    assert publish(pair.web) == 0
    assert web_numbers()[0] == 10
    connections.resume(connection=pair.web, actor=None)
    assert publish(pair.web) == 1
    assert web_numbers()[0] == 7


def test_a_revoked_token_turns_to_reconnect_needed_and_loses_nothing(pair):
    shop = Shop.objects.get()
    shopify_accounts.uninstall(shop)
    adjust(pair, -3)
    publish(pair.web)
    pair.web.refresh_from_db()
    assert pair.web.state == Connection.State.RECONNECT
    assert Incident.objects.standing().get(kind="reconnect").connection_id == pair.web.pk
    Shop.objects.update(uninstalled_at=None)
    token = shop.tokens.create()
    connections.reconnect(connection=pair.web, secrets={"access_token": token.value}, actor=None)
    assert publish(pair.web) == 1
    assert web_numbers()[0] == 7
    assert not Incident.objects.standing().filter(kind="reconnect").exists()


def test_an_unexplained_drop_is_drift_and_lowers_what_the_other_channel_may_sell(pair):
    InventoryLevel.objects.filter(item__sku="MUG-0").update(available=6)
    cell = ChannelStock.objects.get(connection=pair.web, listing__sku="MUG-0")
    reconcile.check(connection_id=pair.web.pk, inventory_ids=[cell.listing.inventory_id])
    cell.refresh_from_db()
    assert cell.drift_at is None  # its order's own event may still be on its way
    overdue()
    reconcile.recheck_due(connection_id=pair.web.pk)
    cell.refresh_from_db()
    assert (cell.drift_at is not None, cell.doubt) == (True, 4)
    assert Incident.objects.get(kind="drift").cell_id == cell.pk
    publish(pair.till)
    assert till_numbers(pair)[0] == 6
    adjust(pair, -1)
    assert publish(pair.web) == 0  # nothing is written over what nobody understands
    owner = User.objects.get()
    reconcile.resolve_drift(cell_id=cell.pk, choice="theirs", actor=owner)
    publish(pair.web)
    publish(pair.till)
    assert till_numbers(pair)[0] == web_numbers()[0] == 5
    assert verify.verify().breaches == []


def test_an_unexplained_rise_changes_nothing_elsewhere_and_our_number_can_be_sent(pair):
    InventoryLevel.objects.filter(item__sku="MUG-0").update(available=15)
    cell = ChannelStock.objects.get(connection=pair.web, listing__sku="MUG-0")
    for _ in range(2):
        reconcile.check(connection_id=pair.web.pk, inventory_ids=[cell.listing.inventory_id])
        overdue()
        reconcile.recheck_due(connection_id=pair.web.pk)
    cell.refresh_from_db()
    assert (cell.drift_at is not None, cell.doubt) == (True, 0)
    assert publish(pair.till) == 0
    reconcile.resolve_drift(cell_id=cell.pk, choice="ours", actor=User.objects.get())
    assert publish(pair.web) == 1
    assert web_numbers()[0] == 10


def test_a_change_made_at_the_till_is_booked_once_though_its_listing_was_linked_anew_between_two_readings(pair):
    listing = pair.till.listings.get(sku="MUG-0")
    account, place, now = Account.objects.get(), pair.till.locations.get().external_id, timezone.now()
    received = InventoryChange(
        change_id="RECEIVED", account=account, type="ADJUSTMENT", catalog_object_id=listing.external_id,
        from_state="NONE", to_state="IN_STOCK", from_location_id=place, to_location_id=place, quantity=Decimal(5),
        occurred_at=now, created_at=now, source={"product": "SQUARE_POS"},
    )  # fmt: skip
    with transaction.atomic():
        square_stock.post(account=account, changes=[received], now=now)
    assert reconcile.read_stock_changes(connection_id=pair.till.pk) == 1
    linking.unlink(listing=listing, actor=None)
    web = pair.web.listings.get(sku="MUG-0")
    other = Variant.objects.create(merchant=pair.merchant, product=web.variant.product, sku="MUG-0-NEW")
    linking.link(listing=listing, variant=other, actor=None)
    assert reconcile.read_stock_changes(connection_id=pair.till.pk) == 0
    assert StockLevel.objects.get(variant=web.variant).on_hand == 15
    assert not StockLevel.objects.filter(variant=other).exists()


def test_our_own_write_comes_back_as_known(pair):
    adjust(pair, -3)
    publish(pair.web)
    cell = ChannelStock.objects.get(connection=pair.web, listing__sku="MUG-0")
    words = reconcile.check(connection_id=pair.web.pk, inventory_ids=[cell.listing.inventory_id])
    assert "this was us" in words


def test_a_poll_reads_what_moved_most_beside_a_slice_of_all_and_nothing_twice(pair, monkeypatch):
    monkeypatch.setattr(reading, "SWEEP_LISTINGS_MIN", 1)
    adjust(pair, 0, -3)
    publish(pair.web)
    asked, read = [], ShopifyConnector.read_counts

    def noting(connector, *, inventory_ids, location_ids):
        asked.extend(inventory_ids)
        return read(connector, inventory_ids=inventory_ids, location_ids=location_ids)

    monkeypatch.setattr(ShopifyConnector, "read_counts", noting)
    skus = dict(pair.web.listings.values_list("inventory_id", "sku"))
    polls = []
    for _ in range(3):
        asked.clear()
        Connection.objects.update(swept_at=None)
        polling.poll(connection_id=pair.web.pk)
        polls.append(sorted(skus[item] for item in asked))
    assert sorted(polls) == [["MUG-0", "MUG-1"], ["MUG-1"], ["MUG-1", "MUG-2"]]
