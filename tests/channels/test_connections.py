"""Bringing a channel in: read everything, show what would change, write nothing before a person's yes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import approvals, connections, credentials, inbox, linking, polling, publisher
from channels.models import (
    ApprovalLine,
    ChannelLocation,
    ChannelStock,
    ChannelWrite,
    Connection,
    ConnectionWork,
    Listing,
)
from channels.sandbox import goods
from channels.sandbox.shopify.models import Shop as WebShop
from channels.sandbox.square.models import InventoryCount, Subscription
from channels.sandbox.square.models import Location as SquareLocation
from inventory import ledger
from inventory.models import StockLevel, StockMovement, Variant
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.channels import shops
from tests.contract.adapters import Shop, ShopVariant
from tests.contract.adapters.square import ADAPTER as SQUARE

TEN, ZERO = Decimal(10), Decimal(0)
State = Connection.State


@pytest.fixture
def sandbox(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


@pytest.fixture
def merchant(sandbox):
    return factories.MerchantFactory()


@pytest.fixture
def owner(merchant):
    return shops.owner_of(merchant)


@pytest.fixture
def till(merchant, owner):
    """A till whose catalog is ours, mapped, its counts not yet."""
    return ready(shops.till(merchant), owner)


def ready(connection, owner):
    shops.mapped(connection, actor=owner)
    connections.import_catalog(connection)
    linking.adopt_catalog(connection, actor=owner)
    return connection


def approve(connection, owner):
    lines = approvals.preview(connection=connection)
    return approvals.approve(connection=connection, actor=owner, digest=approvals.preview_digest(lines))


def publish(connection):
    return publisher.publish(connection_id=connection.pk, until=utc_now() + timedelta(seconds=10))


def work_off(connection):
    inbox.process(connection_id=connection.pk, until=utc_now() + timedelta(seconds=20))


def on_hand(merchant):
    """SKU and place to what the ledger has; cells without a movement are absent."""
    levels = StockLevel.objects.filter(merchant=merchant, last_seq__gt=0).select_related("variant", "location")
    return {(level.variant.sku, level.location.name): level.on_hand for level in levels}


def shown(connection):
    """SKU and place to what the channel shows, read past our own rows."""
    names = dict(connection.locations.values_list("external_id", "name"))
    skus = dict(connection.listings.values_list("inventory_id", "sku"))
    counts = credentials.connector(connection).read_counts(inventory_ids=list(skus), location_ids=list(names))
    return {(skus[count.inventory_id], names[count.location_id]): count.quantity for count in counts}


def as_customer(connection, sku):
    """The shop and the variant as the suite's Square customers know them."""
    listing = connection.listings.get(sku=sku)
    secrets = credentials.account(connection)
    places = connection.locations.order_by("name").values_list("external_id", flat=True)  # Back, Front
    return (
        Shop(account=secrets, location_ids=tuple(places), variants=[]),
        ShopVariant(listing.external_id, listing.inventory_id, listing.product_external_id, sku),
        places[1],
    )


def sell(connection, sku, quantity):
    """A customer at the front buys; returns the order's id."""
    shop, variant, place = as_customer(connection, sku)
    return SQUARE.sell(shop=shop, variant=variant, location_id=place, quantity=Decimal(quantity))


# --- nothing before a yes -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_connection_starts_paused_with_its_work_and_what_the_channel_can_do(merchant):
    web = shops.web(merchant, stock=[])
    assert (web.state, web.approved_at, web.opened_at) == (State.PAUSED, None, None)
    assert web.number == "available"
    assert web.work.count() == len(ConnectionWork.Kind)
    assert AuditEntry.objects.get().action == "connection.opened"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_written_to_a_channel_before_its_table_was_approved_and_then_exactly_the_table(
    merchant, owner, till
):
    connections.adopt_counts(till, actor=owner)
    web = ready(shops.web(merchant, stock=shops.some_goods(*shops.SKUS, units=7)), owner)
    connections.read_all_counts(web)
    for connection in (till, web):
        assert publish(connection) == 0
    assert not ChannelWrite.objects.exists()
    lines = approvals.preview(connection=web)
    assert {(line.before, line.after) for line in lines} == {(Decimal(7), TEN)}
    assert len(lines) == 6
    approvals.approve(connection=web, actor=owner, digest=approvals.preview_digest(lines))
    assert publish(web) == 6
    assert set(shown(web).values()) == {TEN}
    assert (web.state, web.approved_by) == (State.LIVE, owner)
    snapshot = ApprovalLine.objects.filter(approval__connection=web).values_list("before", "after").distinct()
    assert list(snapshot) == [(Decimal(7), TEN)]


@pytest.mark.django_db(transaction=True)
def test_put_back_writes_the_numbers_of_before_and_pauses(merchant, owner, till):
    connections.adopt_counts(till, actor=owner)
    web = ready(shops.web(merchant, stock=shops.some_goods(*shops.SKUS, units=7)), owner)
    connections.read_all_counts(web)
    approve(web, owner)
    publish(web)
    assert approvals.put_back(connection=web, actor=owner) == 6
    web.refresh_from_db()
    assert web.state == State.PAUSED
    assert set(shown(web).values()) == {Decimal(7)}
    assert publish(web) == 0, "paused: our numbers do not go out again by themselves"


@pytest.mark.django_db(transaction=True)
def test_a_yes_to_a_table_that_has_changed_since_is_no_yes(merchant, owner, till):
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    digest = approvals.preview_digest(approvals.preview(connection=till))
    level = StockLevel.objects.filter(merchant=merchant).order_by("pk").first()
    entry = ledger.Entry(
        variant_id=level.variant_id, location_id=level.location_id, kind=ledger.Kind.ADJUST, key="1",
        occurred_at=utc_now(), on_hand=Decimal(-3),
    )  # fmt: skip
    ledger.record(merchant_id=merchant.pk, source="user", entries=[entry])
    with pytest.raises(approvals.PreviewChanged):
        approvals.approve(connection=till, actor=owner, digest=digest)
    till.refresh_from_db()
    assert till.state == State.PAUSED
    assert not ApprovalLine.objects.exists()
    approve(till, owner)  # the new table may be approved


@pytest.mark.django_db(transaction=True)
def test_a_number_read_before_the_channels_own_sale_is_read_again_before_it_is_believed(merchant, owner, till):
    """Believing it would take the sale off twice: 10 there, 9 by the rules, so “−1” more than the customer took."""
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    sell(till, "MUG-WHITE", 1)
    polling.poll(connection_id=till.pk)
    work_off(till)
    assert on_hand(merchant)["MUG-WHITE", "Front"] == 9
    with pytest.raises(approvals.PreviewChanged):
        approve(till, owner)
    assert ChannelStock.objects.filter(recheck_at__lte=utc_now()).count() == 1
    polling.poll(connection_id=till.pk)
    approve(till, owner)
    assert publish(till) == 0
    assert shown(till)["MUG-WHITE", "Front"] == 9


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "after", "flag"),
    [
        (5, 0, "drop_to_zero"),
        (0, 3, "newly_sellable"),
        (5, 20, "big_rise"),
        (5, 9, None),
        (30, 45, None),
        (5, 4, None),
        (None, 4, "unknown_there"),
    ],
)
def test_the_table_flags_what_deserves_a_look(before, after, flag):
    connection = factories.ConnectionFactory()
    cell = factories.ChannelStockFactory(connection=connection, observed=before, expected=None, desired=after)
    place, variant = cell.channel_location.location, cell.listing.variant
    entry = ledger.Entry(
        variant_id=variant.pk, location_id=place.pk, kind=ledger.Kind.OPENING, key="1", occurred_at=utc_now(),
        counted=Decimal(after),
    )  # fmt: skip
    ledger.post(merchant_id=connection.merchant_id, source="opening", entries=[entry])
    (line,) = approvals.preview(connection=connection)
    assert line.flags == ((flag,) if flag else ())
    assert (line.before, line.after) == (before, after)


@pytest.mark.django_db
def test_the_table_costs_as_many_queries_with_more_cells():
    connection = factories.ConnectionFactory()
    factories.ChannelStockFactory(connection=connection)
    with CaptureQueriesContext(database) as few:
        approvals.preview(connection=connection)
    factories.ChannelStockFactory.create_batch(20, connection=connection)
    with CaptureQueriesContext(database) as many:
        assert len(approvals.preview(connection=connection)) == 21
    assert len(many) == len(few)


@pytest.mark.django_db(transaction=True)
def test_what_is_linked_after_the_yes_waits_for_a_yes_of_its_own(merchant, owner, till):
    connections.adopt_counts(till, actor=owner)
    web = ready(shops.web(merchant, stock=shops.some_goods(*shops.SKUS)), owner)
    connections.read_all_counts(web)
    approve(web, owner)
    connections.read_all_counts(till)
    approve(till, owner)
    lamp = shops.some_goods("LAMP", units=6)
    goods.load_till(shops.square_account(till), base_url=till.base_url, goods=lamp)
    ready(till, owner)
    connections.adopt_counts(till, actor=owner)
    goods.load_web(WebShop.objects.get(domain=web.account_id), goods=shops.some_goods("LAMP", units=2))
    connections.import_catalog(web)  # links by SKU
    work_off(web)  # reads what the new cells show
    assert publish(web) == 0
    lines = approvals.preview(connection=web)
    assert {(line.listing.sku, line.before, line.after) for line in lines} == {("LAMP", 2, 6)}
    approvals.approve(connection=web, actor=owner, digest=approvals.preview_digest(lines))
    assert publish(web) == 2
    assert shown(web)["LAMP", "Front"] == 6
    with pytest.raises(connections.NotAllowed, match="live"):
        approve(web, owner)
    assert approvals.put_back(connection=web, actor=owner) == 2
    assert shown(web)["LAMP", "Front"] == 2


@pytest.mark.django_db(transaction=True)
def test_a_later_yes_does_not_let_uncounted_cells_slip_in(merchant, owner):
    """Their number by the rules is 0, for want of a count: believing them would take 4 lamps off sale."""
    till = ready(shops.till(merchant, stock=uneven()), owner)
    connections.adopt_counts(till, actor=owner)
    web = ready(shops.web(merchant, stock=shops.some_goods(*shops.SKUS, "LAMP", units=4)), owner)
    connections.read_all_counts(web)
    approve(web, owner)
    publish(web)
    connections.pause(connection=web, actor=owner, reason="a look")
    approve(web, owner)
    publish(web)
    assert shown(web)["LAMP", "Back"] == 4


@pytest.mark.django_db
def test_the_pages_ask_for_the_yes_that_new_cells_wait_for(client):
    connection = factories.ConnectionFactory(is_live=True)
    owner = shops.owner_of(connection.merchant)
    client.force_login(owner)
    known = factories.ChannelStockFactory(connection=connection)
    new = factories.ChannelStockFactory(
        connection=connection, expected=None, observed=2, channel_location=known.channel_location
    )
    variant_id, location_id = new.listing.variant_id, new.channel_location.location_id
    entry = ledger.Entry(variant_id, location_id, ledger.Kind.OPENING, "1", utc_now(), counted=Decimal(6))
    ledger.post(merchant_id=connection.merchant_id, source="opening", entries=[entry])
    shop = connection.merchant.slug
    assert "1 new number on" in client.get(reverse("today", args=[shop])).content.decode()
    page = client.get(reverse("channel_preview", args=[shop, connection.pk]))
    assert "Yes, keep these too" in page.content.decode()
    digest = page.context["table"].digest
    client.post(reverse("approve_channel", args=[shop, connection.pk]), {"digest": digest})
    new.refresh_from_db()
    assert (new.expected, new.desired, new.dirty_at is not None) == (2, 6, True)
    assert "new number" not in client.get(reverse("today", args=[shop])).content.decode()
    page = client.get(reverse("channel_preview", args=[shop, connection.pk])).content.decode()
    assert "Yes, " not in page
    assert "Put back what was there" in page


# --- absence is not zero --------------------------------------------------------------------------------------


def uneven():
    """Goods of which one was never counted at the back."""
    front = [goods.GoodsVariant("LAMP", Decimal(30), counts={"Front": 10})]
    return [*shops.some_goods(*shops.SKUS), goods.Goods("lamp", "Lamp", front)]


@pytest.mark.django_db(transaction=True)
def test_what_was_never_counted_is_not_zero_and_is_not_written(merchant, owner):
    till = ready(shops.till(merchant, stock=uneven()), owner)
    opened = connections.adopt_counts(till, actor=owner)
    assert opened == 7
    assert ("LAMP", "Back") not in on_hand(merchant)
    web = ready(shops.web(merchant, stock=shops.some_goods(*shops.SKUS, "LAMP", units=4)), owner)
    connections.read_all_counts(web)
    lines = {(line.listing.sku, line.location_name): line for line in approvals.preview(connection=web)}
    assert lines["LAMP", "Back"].flags == ("not_counted",)
    approve(web, owner)
    publish(web)
    assert shown(web)["LAMP", "Back"] == 4, "left as it was"
    assert shown(web)["LAMP", "Front"] == 10


@pytest.mark.django_db(transaction=True)
def test_control_absence_read_as_zero_takes_four_lamps_off_sale(merchant, owner):
    till = ready(shops.till(merchant, stock=uneven()), owner)
    naive = {(sku, place): shown(till).get((sku, place), ZERO) for sku in ("LAMP",) for place in shops.PLACES}
    for (sku, place), quantity in naive.items():
        entry = ledger.Entry(
            variant_id=Variant.objects.get(sku=sku).pk,
            location_id=till.locations.get(name=place).location_id,
            kind=ledger.Kind.OPENING, key=f"naive:{place}", occurred_at=utc_now(), counted=quantity,
        )  # fmt: skip
        ledger.record(merchant_id=merchant.pk, source="naive", entries=[entry])
    web = ready(shops.web(merchant, stock=shops.some_goods("LAMP", units=4)), owner)
    connections.read_all_counts(web)
    approve(web, owner)
    publish(web)
    assert shown(web)["LAMP", "Back"] == 0


@pytest.mark.django_db(transaction=True)
def test_an_answer_without_the_in_stock_row_leaves_what_was_seen_before(merchant, owner, till):
    """Fault 4: a page that holds only another state was read as “none in stock”."""
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    lamp = till.listings.get(sku="BOWL")
    rows = InventoryCount.objects.filter(catalog_object_id=lamp.inventory_id)
    assert rows.filter(state="IN_STOCK").delete()[0] == 2
    connections.read_all_counts(till)
    assert set(till.cells.filter(listing=lamp).values_list("observed", flat=True)) == {TEN}
    assert connections.adopt_counts(till, actor=owner) == 0
    assert on_hand(merchant)["BOWL", "Front"] == 10


@pytest.mark.django_db(transaction=True)
def test_an_empty_answer_says_nothing(merchant, owner, till):
    InventoryCount.objects.all().delete()
    assert connections.adopt_counts(till, actor=owner) == 0
    assert connections.read_all_counts(till) == 0
    assert on_hand(merchant) == {}
    assert not StockMovement.objects.exists()
    assert {line.flags for line in approvals.preview(connection=till)} == {("not_counted",)}


@pytest.mark.django_db(transaction=True)
def test_a_catalog_that_comes_back_half_marks_what_is_missing_and_zeroes_nothing(merchant, owner, till):
    """Fault 5: rows an import did not match were set to 0, and could not be brought back."""
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    approve(till, owner)
    shop, variant, _ = as_customer(till, "BOWL")
    SQUARE.remove(shop=shop, variant=variant)
    connections.import_catalog(till)
    gone = till.listings.get(sku="BOWL")
    assert gone.deleted_at
    assert gone.variant, "its link stays: it may come back, and its orders may"
    assert publish(till) == 0
    assert on_hand(merchant)["BOWL", "Front"] == 10
    assert set(ChannelStock.objects.values_list("desired", flat=True)) == {TEN}


@pytest.mark.django_db(transaction=True)
def test_a_catalog_that_comes_back_empty_deletes_nothing(merchant, owner, till):
    stranger = shops.till(merchant, stock=[])
    Connection.objects.filter(pk=till.pk).update(credentials=stranger.credentials)
    till.refresh_from_db()
    assert connections.import_catalog(till) == 0
    assert till.listings.filter(deleted_at=None).count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_empty_answer_to_where_are_you_closes_no_place(merchant, owner, till):
    SquareLocation.objects.filter(account=till.account_id).delete()
    assert connections.refresh_locations(till) == 0
    assert till.locations.filter(is_active=True).count() == 2


# --- history is not news --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_orders_from_before_the_opening_count_take_nothing_off_it(merchant, owner, till):
    """Fault 9: the first sync applied old orders on top of a count that knew them already."""
    for _ in range(3):
        sell(till, "MUG-WHITE", 2)
    connections.adopt_counts(till, actor=owner)
    polling.poll(connection_id=till.pk)
    work_off(till)
    assert shown(till)["MUG-WHITE", "Front"] == 4
    assert on_hand(merchant)["MUG-WHITE", "Front"] == 4
    sell(till, "MUG-WHITE", 1)
    polling.poll(connection_id=till.pk)
    work_off(till)
    assert on_hand(merchant)["MUG-WHITE", "Front"] == 3, "what is sold from now on counts"


@pytest.mark.django_db(transaction=True)
def test_control_orders_applied_on_top_of_the_count_take_it_below_the_shelf(merchant, owner, till):
    for _ in range(3):
        sell(till, "MUG-WHITE", 2)
    connections.adopt_counts(till, actor=owner)
    # Naive: the shop is taken to have been open for ever, and the count to be a mere movement among others.
    Connection.objects.filter(pk=till.pk).update(opened_at=utc_now() - timedelta(days=90))
    StockLevel.objects.filter(merchant=merchant).update(counted_at=None)
    polling.poll(connection_id=till.pk)
    work_off(till)
    assert on_hand(merchant)["MUG-WHITE", "Front"] == -2


@pytest.mark.django_db(transaction=True)
def test_a_sale_between_the_start_of_the_opening_and_its_reading_is_in_the_count_once(
    merchant, owner, till, monkeypatch
):
    read = connections._counts

    def slow(connection):
        sell(till, "MUG-WHITE", 1)  # after adopt_counts took the time, before it read
        yield from read(connection)

    monkeypatch.setattr(connections, "_counts", slow)
    connections.adopt_counts(till, actor=owner)
    polling.poll(connection_id=till.pk)
    work_off(till)
    assert on_hand(merchant)["MUG-WHITE", "Front"] == shown(till)["MUG-WHITE", "Front"] == 9


@pytest.mark.django_db(transaction=True)
def test_opening_twice_opens_only_what_is_new(merchant, owner, till):
    assert connections.adopt_counts(till, actor=owner) == 6
    opened_at = till.opened_at
    goods.load_till(shops.square_account(till), base_url=till.base_url, goods=shops.some_goods("LAMP", units=3))
    ready(till, owner)
    assert connections.adopt_counts(till, actor=owner) == 2
    assert till.opened_at == opened_at
    assert StockMovement.objects.filter(merchant=merchant, kind="opening").count() == 8


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_joins_an_open_shop_counts_from_its_first_day(merchant, owner, till):
    before = utc_now()
    connections.adopt_counts(till, actor=owner)
    assert shops.web(merchant, stock=[]).opened_at > before


# --- catalog --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_reading_the_catalog_again_changes_no_row_but_when_it_was_seen(owner, till):
    def rows():
        return [{**row, "seen_at": None} for row in Listing.objects.order_by("pk").values()]

    before = rows()
    assert connections.import_catalog(till) == 3
    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_reading_since_the_watermark_sees_what_changed_and_deletes_nothing_else(owner, till):
    shop, variant, _ = as_customer(till, "BOWL")
    SQUARE.rename(shop=shop, variant=variant, sku="BOWL-2")
    till.refresh_from_db()
    assert connections.import_catalog(till, since=till.catalog_read_until) == 1
    assert till.listings.filter(deleted_at=None).count() == 3
    renamed = till.listings.get(sku="BOWL-2")
    assert renamed.sku_key == "BOWL-2"
    assert renamed.variant.sku == "BOWL", "a new SKU does not part what is linked"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make", [shops.till, shops.web])
def test_a_catalog_is_stored_in_statements_by_the_page_not_by_the_row(merchant, owner, make):
    def statements(count):
        connection = make(merchant, stock=shops.some_goods(*(f"SKU-{count}-{n}" for n in range(count))))
        with CaptureQueriesContext(database) as queries:
            assert connections.import_catalog(connection) == count
        ours = [query["sql"] for query in queries if 'INTO "channels_listing"' in query["sql"]]
        return len(ours)

    assert statements(60) == statements(5) == 1


# --- places ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_location_stands_for_one_place_of_a_channel():
    place = factories.ChannelLocationFactory()
    other = factories.ChannelLocationFactory(connection=place.connection, location=None)
    actor = shops.owner_of(place.merchant)
    with pytest.raises(connections.NotAllowed, match="already"):
        connections.map_location(channel_location=other, location=place.location, actor=actor)
    with pytest.raises(connections.NotAllowed, match="another shop"):
        connections.map_location(channel_location=other, location=factories.LocationFactory(), actor=actor)
    other.refresh_from_db()
    assert other.location is None


@pytest.mark.django_db
def test_a_place_that_means_another_location_now_forgets_what_was_believed():
    cell = factories.ChannelStockFactory()
    actor = shops.owner_of(cell.merchant)
    elsewhere = factories.LocationFactory(merchant=cell.merchant)
    connections.map_location(channel_location=cell.channel_location, location=elsewhere, actor=actor)
    fresh = ChannelStock.objects.get()
    assert (fresh.expected, fresh.observed, fresh.dirty_at) == (None, None, None)
    assert AuditEntry.objects.get().action == "location.mapped"


@pytest.mark.django_db(transaction=True)
def test_a_place_that_closed_is_kept_and_not_written(merchant, owner, till):
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    approve(till, owner)
    SquareLocation.objects.filter(account=till.account_id, name="Back").delete()
    assert connections.refresh_locations(till) == 1
    back = ChannelLocation.objects.get(connection=till, name="Back")
    assert (back.is_active, back.location.name) == (False, "Back")
    ChannelStock.objects.filter(channel_location=back).update(expected=1, dirty_at=utc_now())
    assert publish(till) == 0


# --- pause, leave ---------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_pausing_stops_what_is_due_and_resuming_sends_it(merchant, owner, till):
    connections.adopt_counts(till, actor=owner)
    connections.read_all_counts(till)
    approve(till, owner)
    connections.pause(connection=till, actor=owner, reason="stock take")
    level = StockLevel.objects.get(variant__sku="BOWL", location__name="Front")
    entry = ledger.Entry(
        variant_id=level.variant_id, location_id=level.location_id, kind=ledger.Kind.ADJUST, key="1",
        occurred_at=utc_now(), on_hand=Decimal(-3),
    )  # fmt: skip
    ledger.record(merchant_id=merchant.pk, source="user", entries=[entry])
    assert publish(till) == 0
    connections.resume(connection=till, actor=owner)
    assert publish(till) == 1
    assert shown(till)["BOWL", "Front"] == 7


@pytest.mark.django_db
def test_what_was_never_approved_cannot_be_resumed_nor_paused_nor_put_back():
    connection = factories.ConnectionFactory()
    actor = shops.owner_of(connection.merchant)
    for step in (
        lambda: connections.resume(connection=connection, actor=actor),
        lambda: connections.pause(connection=connection, actor=actor, reason=""),
        lambda: approvals.put_back(connection=connection, actor=actor),
    ):
        with pytest.raises(connections.NotAllowed):
            step()
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_what_is_live_is_not_approved_again():
    connection = factories.ConnectionFactory(is_live=True)
    with pytest.raises(connections.NotAllowed, match="live"):
        approve(connection, shops.owner_of(connection.merchant))


@pytest.mark.django_db(transaction=True)
def test_leaving_takes_our_webhooks_away_and_leaves_the_numbers(owner, till):
    connections.subscribe(till)
    assert credentials.load(till)["signature_key"] == Subscription.objects.get().signature_key
    connections.subscribe(till)
    assert Subscription.objects.count() == 1
    connections.close(connection=till, actor=owner)
    till.refresh_from_db()
    assert till.state == State.CLOSED
    assert not Subscription.objects.exists()
    assert set(shown(till).values()) == {TEN}
    with pytest.raises(connections.NotAllowed):
        connections.reconnect(connection=till, secrets={"access_token": "x"}, actor=owner)


@pytest.mark.django_db(transaction=True)
def test_leaving_a_channel_that_lets_nobody_in_closes_it_all_the_same(owner, till):
    shop, _, _ = as_customer(till, "BOWL")
    SQUARE.revoke(shop=shop)
    connections.close(connection=till, actor=owner)
    till.refresh_from_db()
    assert till.state == State.CLOSED


@pytest.mark.django_db(transaction=True)
def test_an_account_may_be_connected_anew_after_it_was_left(merchant, owner, till):
    connections.close(connection=till, actor=owner)
    again = connections.open_connection(
        merchant=merchant, channel="square", label="Till", account_id=till.account_id, base_url=till.base_url,
        secrets=credentials.load(till), actor=owner,
    )  # fmt: skip
    assert again.state == State.PAUSED
    assert connections.refresh_locations(again) == 2
