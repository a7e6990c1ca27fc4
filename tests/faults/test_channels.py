"""Public disasters between channels (docs/faults.md): each is shown on the naive path first, then here."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import inbox, intake, polling, publisher, reconcile
from channels.connectors.shopify import mapping
from channels.models import ChannelStock, ChannelWriteLine, Connection, GuardStop, InboundEvent, StockGap
from channels.ports import Count, CountWrite, HintKind
from channels.reconcile import judging
from channels.sandbox.models import Fault
from channels.sandbox.shopify.models import InventoryLevel
from channels.sandbox.square.models import Account
from channels.sandbox.trading.till import Till
from inventory import ledger
from inventory.models import StockLevel, Variant
from storestudio.accounts.models import User
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
SLICE = timedelta(seconds=10)


def work(connection):
    inbox.process(connection_id=connection.pk, until=timezone.now() + SLICE)
    publisher.publish(connection_id=connection.pk, until=timezone.now() + SLICE)


def cell_of(connection, sku="MUG-0"):
    return ChannelStock.objects.get(connection=connection, listing__sku=sku)


def set_on_web(number, sku="MUG-0"):
    """Another hand writes the web shop's number."""
    InventoryLevel.objects.filter(item__sku=sku).update(available=number)


def look(connection, later, sku="MUG-0"):
    """Read it, let the grace pass, read it again."""
    inventory_id = connection.listings.get(sku=sku).inventory_id
    reconcile.check(connection_id=connection.pk, inventory_ids=[inventory_id])
    later()
    reconcile.recheck_due(connection_id=connection.pk)


def test_8_a_number_changed_on_the_wrong_side_neither_comes_back_nor_is_lost(pair, later):
    """woocommerce/woocommerce-square#7: the shop is system of record, yet the till's number came back."""
    stock = StockLevel.objects.get(variant__sku="MUG-0")
    set_on_web(25)
    assert InventoryLevel.objects.get(item__sku="MUG-0").available > stock.available, "control: last write wins is 25"
    look(pair.web, later)
    stock.refresh_from_db()
    assert stock.available == 10
    assert StockGap.objects.get().state == StockGap.State.ASKED
    reconcile.decide(connection=pair.web, gap_ids=[StockGap.objects.get().pk], choice="ours", actor=User.objects.get())
    work(pair.web)
    assert InventoryLevel.objects.get(item__sku="MUG-0").available == 10


def till_of(pair):
    account = Account.objects.get(pk=pair.till.account_id)
    goods = dict(pair.till.listings.values_list("sku", "external_id"))
    return Till(base_url=pair.till.base_url, token=account.personal_token, goods=goods, name="fault")


@pytest.mark.parametrize("kind", [Fault.Kind.SERVER_ERROR, Fault.Kind.RATE_LIMITED])
def test_20_a_page_that_failed_is_read_again_and_the_watermark_did_not_pass_it(pair, later, kind):
    """frappe/ecommerce_integrations PR 436: a passing 404 was marked as synced."""
    lost = Fault.objects.create(vendor="square", kind="drop", operation="webhook")
    place = pair.till.locations.get().external_id
    till_of(pair).sell(invoice="1", location_id=place, units={"MUG-0": 3}, is_pickup=False)
    lost.delete()
    before = Connection.objects.get(pk=pair.till.pk).orders_read_until
    failing = Fault.objects.create(vendor="square", kind=kind, operation="orders.search", remaining=1)
    polling.poll(connection_id=pair.till.pk)
    failing.refresh_from_db()
    assert failing.remaining == 0
    assert Connection.objects.get(pk=pair.till.pk).orders_read_until == before
    later()
    polling.poll(connection_id=pair.till.pk)
    work(pair.till)
    assert StockLevel.objects.get(variant__sku="MUG-0").available == 7


def test_20_control_a_watermark_that_moves_on_over_a_failed_page_loses_the_sale(pair, later):
    lost = Fault.objects.create(vendor="square", kind="drop", operation="webhook")
    place = pair.till.locations.get().external_id
    till_of(pair).sell(invoice="1", location_id=place, units={"MUG-0": 3}, is_pickup=False)
    lost.delete()
    passed = timezone.now() + polling.OVERLAP * 2
    Connection.objects.filter(pk=pair.till.pk).update(orders_read_until=passed)
    polling.poll(connection_id=pair.till.pk)
    work(pair.till)
    assert StockLevel.objects.get(variant__sku="MUG-0").available == 10


def overwrite_again(pair, later, times):
    """Another app puts its number back whenever ours arrives, and each time a person sends ours again."""
    for n in range(times):
        set_on_web(6)
        look(pair.web, later)
        gap = StockGap.objects.order_by("pk").last()
        if n < times - 1:
            reconcile.decide(connection=pair.web, gap_ids=[gap.pk], choice="ours", actor=User.objects.get())
            work(pair.web)
    return gap


def test_25_two_systems_that_each_repair_the_other_stop_at_a_person(pair, later):
    """Eshopbox#333: a corrective flow without an end."""
    gap = overwrite_again(pair, later, 3)
    assert (gap.cause, gap.state) == (StockGap.Cause.OTHER_APP, StockGap.State.ASKED)
    told = ChannelWriteLine.objects.filter(cell=cell_of(pair.web)).count()
    for _ in range(5):
        later()
        polling.poll(connection_id=pair.web.pk)
        work(pair.web)
    assert told == 2, "only what a person asked for was sent"
    assert ChannelWriteLine.objects.filter(cell=cell_of(pair.web)).count() == told
    assert InventoryLevel.objects.get(item__sku="MUG-0").available == 6


def test_25_control_without_the_memory_of_earlier_rounds_nobody_names_the_loop(pair, later, monkeypatch):
    monkeypatch.setattr(judging, "OVERWRITTEN_MIN", 99)
    assert overwrite_again(pair, later, 3).cause == StockGap.Cause.UNKNOWN


def test_27_stock_below_zero_at_one_place_hides_nothing_at_another():
    """Shopify community, 2023: −2 here and +2 there were summed to nothing."""
    cell = factories.ChannelStockFactory(connection__is_live=True, expected=0, desired=None)
    connection, variant = cell.connection, cell.listing.variant
    there = factories.ChannelLocationFactory(connection=connection)
    other = factories.ChannelStockFactory(
        connection=connection, listing=cell.listing, channel_location=there, expected=0, desired=None
    )
    places = (cell.channel_location.location_id, there.location_id)
    assert sum((-2, 2)) == 0, "control: summed first, nothing is left to sell"
    entries = [
        ledger.Entry(variant.pk, place, "adjust", str(place), timezone.now(), on_hand=Decimal(units))
        for place, units in zip(places, (-2, 2), strict=True)
    ]
    ledger.record(merchant_id=connection.merchant_id, source="test", entries=entries)
    shown = dict(ChannelStock.objects.filter(connection=connection).values_list("pk", "desired"))
    assert shown == {cell.pk: 0, other.pk: 2}


def test_28_a_message_is_no_log_what_it_says_is_read_again(pair):
    """Shopify staff, 2026: bodies are built when sent, so that 0 → 10 → 0 tells two zeros."""
    listing, place = pair.web.listings.get(sku="MUG-0"), pair.web.locations.get()
    told = Count(listing.inventory_id, place.external_id, Decimal(0), None)
    assert told.quantity != InventoryLevel.objects.get(item__sku="MUG-0").available, "control: believed, it is 0"
    for n in range(2):
        intake.hint(connection=pair.web, kind=HintKind.STOCK, ids=[told.inventory_id], key=f"zero {n}")
    work(pair.web)
    assert cell_of(pair.web).observed == 10
    assert set(InboundEvent.objects.filter(topic__endswith="stock").values_list("outcome", flat=True)) == {
        "as expected: this was us, or known already"
    }


def test_10_a_number_older_than_the_channels_own_sale_is_not_written_over_it(pair, later):
    """Documented for Cin7, HotWax, WarehouseOS: an absolute push raises stock while an order is in flight."""
    entry = ledger.Entry(
        Variant.objects.get(sku="MUG-0").pk, StockLevel.objects.first().location_id, "adjust", "x", timezone.now(),
        on_hand=Decimal(1),
    )  # fmt: skip
    ledger.record(merchant_id=pair.merchant.pk, source="test", entries=[entry])
    set_on_web(7)  # three were sold there in this very moment
    wanted = cell_of(pair.web).desired
    assert wanted == 11, "control: pushed blindly, eleven would be on offer"
    work(pair.web)
    assert InventoryLevel.objects.get(item__sku="MUG-0").available == 7


def test_19_a_count_in_cases_is_asked_about_and_never_booked(pair, later):
    """Starktail/woocommerce_fusion PR 257: 52,900 pieces were offered as boxes."""
    pair.web.listings.filter(sku="MUG-0").update(product_title="Mug, box of 5")
    set_on_web(2)
    look(pair.web, later)
    gap = StockGap.objects.get()
    assert (gap.cause, gap.evidence["factor"], gap.state) == ("unit_mismatch", 5, "asked")
    assert StockLevel.objects.get(variant__sku="MUG-0").available == 10


def test_5_a_reading_that_shows_nearly_everything_gone_is_not_believed():
    """Absence, or a fault over there, is not zero: a mass of drops is held and shown to a person first."""
    connection, counts = a_full_shop(40)
    cells = ChannelStock.objects.filter(connection=connection)
    read_twice(connection, counts, to=0)
    stop = GuardStop.objects.get(kind=GuardStop.Kind.READING)
    assert stop.lines.count() == 40
    assert not cells.filter(doubt__gt=0).exists()
    assert not cells.filter(drift_at__isnull=False).exists()


def test_5_control_a_guard_that_allows_everything_takes_all_of_it_off_sale_elsewhere(monkeypatch):
    monkeypatch.setattr(judging, "_read_again", lambda connection, external_ids: None)
    connection, counts = a_full_shop(40)
    Connection.objects.update(guard_cells=10_000, guard_share=1)
    connection.refresh_from_db()
    read_twice(connection, counts, to=0)
    assert not GuardStop.objects.exists()
    assert ChannelStock.objects.filter(connection=connection, doubt=5).count() == 40


def a_full_shop(size):
    connection = factories.ConnectionFactory(is_live=True, channel="square")
    place = factories.ChannelLocationFactory(connection=connection)
    cells = [factories.ChannelStockFactory(connection=connection, channel_location=place) for _ in range(size)]
    return connection, [(cell.listing.inventory_id, place.external_id) for cell in cells]


def read_twice(connection, pairs, *, to):
    counts = [Count(item, place, Decimal(to), None) for item, place in pairs]
    for is_recheck in (False, True):
        reconcile.observe(connection=connection, counts=counts, read_at=timezone.now(), is_recheck=is_recheck)


@pytest.mark.parametrize("shown", [0, 7])
def test_26_every_write_carries_the_number_it_is_based_on(shown):
    """nozzlegear/ShopifySharp#1253: a serializer dropped what was empty, and with it the comparison."""
    write = CountWrite("gid://shopify/InventoryItem/1", "gid://shopify/Location/2", Decimal(shown), Decimal(3))
    (entry,) = json.loads(json.dumps(mapping.set_input([write], key="k")))["quantities"]
    dropped = {name: value for name, value in entry.items() if value}
    assert ("changeFromQuantity" in dropped) is (shown != 0), "control: a serializer that drops what is empty"
    assert entry["changeFromQuantity"] == shown
