"""Lightspeed R-Series' connector against its stand-in over real HTTP: absolute numbers, a log, and no webhooks."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import registry
from channels.connectors.rseries import client, feeds, mapping, writing
from channels.ports import ConnectorError, CountWrite, MadeBy, OrderRef, WriteOutcome
from channels.sandbox.models import Fault, Switch
from channels.sandbox.rseries import accounts, models
from tests.contract.adapters.rseries import ADAPTER
from tests.contract.test_listings import change, outcomes, send

pytestmark = pytest.mark.django_db(transaction=True)
APPLIED, SKIPPED, STALE = WriteOutcome.APPLIED, WriteOutcome.SKIPPED, WriteOutcome.STALE
AGO = timedelta(minutes=5)


@pytest.fixture
def shop(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ADAPTER.open_shop(server_url=live_server.url, webhook_url="https://studio.example.com/webhooks/x/y")


@pytest.fixture
def connector(shop):
    return registry.connect("rseries", account=shop.account)


def account_of(shop):
    return models.Account.objects.get(pk=shop.account.account_id)


def tell(shop, connector, before, after, *, index=0, made_at=None, **fields):
    write = CountWrite(
        shop.variants[index].inventory_id, shop.location_ids[0], Decimal(before), Decimal(after), **fields
    )
    (result,) = connector.write_counts(writes=[write], idempotency_key="k", now=made_at or datetime.now(UTC))
    return result


def qoh(shop, index=0):
    return ADAPTER.shown(shop=shop, variant=shop.variants[index], location_id=shop.location_ids[0])


def sell(shop, units=1, index=0):
    return ADAPTER.sell(
        shop=shop, variant=shop.variants[index], location_id=shop.location_ids[0], quantity=Decimal(units)
    )


def since(connector, shop, cursor=""):
    """All the orders a reading names, and the resume of the next."""
    found = []
    while True:
        page = connector.fetch_orders_since(since=timezone.now() - AGO, cursor=cursor, location_ids=shop.location_ids)
        found += page.orders
        cursor = page.next_cursor
        if not cursor:
            return found, page


# --- telling numbers ------------------------------------------------------------------------------


def sells_first(monkeypatch, shop, *, times=1):
    """A customer is quicker than our write, though we have looked already."""
    left = [times]
    update = client.Client.update_item

    def slow(self, item_id, body):
        if "ItemShops" in body and left[0]:
            left[0] -= 1
            sell(shop)
        return update(self, item_id, body)

    monkeypatch.setattr(client.Client, "update_item", slow)


@pytest.mark.parametrize("customers", [1, 2])
def test_a_sale_that_our_number_went_over_is_seen_in_the_log_and_set_right_at_once(
    shop, connector, monkeypatch, customers
):
    sells_first(monkeypatch, shop, times=customers)

    result = tell(shop, connector, 10, 7, is_first=True)

    assert result.outcome is APPLIED
    assert qoh(shop) == 7 - customers  # both happened: three units taken off, and what was sold


def test_control_without_a_look_into_the_log_the_sold_unit_is_offered_again(shop, connector, monkeypatch):
    sells_first(monkeypatch, shop)
    monkeypatch.setattr(writing, "_correct", lambda *_, **__: 0)

    tell(shop, connector, 10, 7, is_first=True)

    assert qoh(shop) == 7


def test_a_burst_of_equal_writes_is_told_apart_by_the_mark_also_when_a_sale_comes_between(shop, connector):
    """Same size, same second, and the quantity already where the write would lead: only the mark tells."""
    first = tell(shop, connector, 10, 9, is_first=True)
    sell(shop)

    again = tell(shop, connector, 8, 7, mark=first.mark)

    assert first.mark > 0
    assert again.outcome is APPLIED
    assert qoh(shop) == 7


def test_a_repeat_finds_its_earlier_attempt_whatever_was_sold_meanwhile(shop, connector):
    mark = tell(shop, connector, 10, 9, is_first=True).mark
    Fault.objects.create(vendor="rseries", kind=Fault.Kind.TIMEOUT_AFTER, operation="items.update", remaining=1)
    with pytest.raises(ConnectorError) as lost:
        tell(shop, connector, 9, 6, is_first=True, mark=mark)
    sell(shop)

    again = tell(shop, connector, 9, 6, mark=mark)

    assert lost.value.is_outcome_unknown
    assert again.outcome is APPLIED
    assert again.mark > mark
    assert qoh(shop) == 5


def test_the_very_first_write_is_not_told_twice_either_where_a_sale_brought_the_quantity_back(shop, connector):
    made_at = datetime.now(UTC)
    Fault.objects.create(vendor="rseries", kind=Fault.Kind.TIMEOUT_AFTER, operation="items.update", remaining=1)
    with pytest.raises(ConnectorError):
        tell(shop, connector, 10, 11, made_at=made_at, is_first=True)
    sell(shop)

    assert tell(shop, connector, 10, 11, made_at=made_at).outcome is APPLIED
    assert qoh(shop) == 10


def test_control_what_an_earlier_connection_told_is_not_taken_for_the_very_first_write(shop, connector):
    tell(shop, connector, 10, 11, is_first=True)
    sell(shop)

    tell(shop, connector, 10, 11, made_at=datetime.now(UTC) + timedelta(minutes=5))

    assert qoh(shop) == 11


def test_an_owner_who_types_the_same_change_is_not_taken_for_us(shop, connector):
    mark = tell(shop, connector, 10, 9, is_first=True).mark
    ADAPTER.edit_stock(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], delta=Decimal(-3))

    assert tell(shop, connector, 9, 6, mark=mark).outcome is STALE  # control: in our name it would pass for ours


def test_all_shops_of_an_item_are_told_in_one_call_and_a_full_bucket_leaves_the_rest_for_later(shop, connector):
    Switch.objects.create(name="rseries.bucket", value=[10, 0, 0.001, 0])
    writes = [
        CountWrite(variant.inventory_id, place, Decimal(10), Decimal(4), is_first=True)
        for variant in shop.variants
        for place in shop.location_ids
    ]

    results = connector.write_counts(writes=writes, idempotency_key="k", now=datetime.now(UTC))

    assert [one.outcome for one in results] == [APPLIED] * 2 + [SKIPPED] * 4
    assert (qoh(shop, 0), qoh(shop, 1)) == (4, 10)


def test_where_there_is_no_room_for_a_single_number_nothing_is_told(shop, connector):
    Switch.objects.create(name="rseries.bucket", value=[7, 0, 2, 0])

    with pytest.raises(ConnectorError) as full:
        tell(shop, connector, 10, 7, is_first=True)

    assert (full.value.retry_after_s, full.value.is_outcome_unknown) == (10, False)
    assert qoh(shop) == 10


def test_a_full_bucket_asks_for_rest_until_a_reading_fits_in(shop, connector):
    Switch.objects.create(name="rseries.bucket", value=[2, 0, 0.5, 0])
    for _ in range(3):  # the first over the edge is let in
        connector.list_locations()

    with pytest.raises(ConnectorError) as refused:
        connector.list_locations()

    assert refused.value.retry_after_s == 40


# --- orders ---------------------------------------------------------------------------------------


def test_a_ticket_voided_later_is_found_though_its_own_time_stands_still(shop, connector):
    sale_id = sell(shop, 2)
    models.Sale.objects.filter(pk=sale_id).update(
        time_stamp=timezone.now() - timedelta(days=2), update_time=timezone.now() - timedelta(days=2)
    )
    models.SaleLine.objects.update(time_stamp=timezone.now() - timedelta(days=2))
    models.ItemShop.objects.update(time_stamp=timezone.now() - timedelta(days=2))
    assert since(connector, shop, cursor="seen")[0] == []  # control: it is history

    ADAPTER.till(shop).void(sale_id=sale_id)
    found, page = since(connector, shop, cursor="seen")
    (order,) = connector.fetch_orders(order_ids=[sale_id])

    assert sale_id in {ref.external_id for ref in found}
    assert (page.resume, page.read_until is not None) == ("seen", True)
    assert order.is_cancelled
    assert [list(line.holds) for line in order.lines] == [[]]
    assert qoh(shop) == 10


def test_what_was_set_aside_long_ago_is_found_by_the_first_reading_and_what_is_let_go_by_the_next(shop, connector):
    (line,) = ADAPTER.till(shop).set_aside(shop_id=shop.location_ids[0], units={shop.variants[0].listing_id: 3})
    old = timezone.now() - timedelta(days=60)
    models.SaleLine.objects.update(time_stamp=old)
    models.ItemShop.objects.update(time_stamp=old)
    name = f"set-aside-{shop.variants[0].listing_id}"

    first, page = since(connector, shop)
    later, _ = since(connector, shop, cursor=page.resume)
    ADAPTER.till(shop).let_go(line_ids=[line])
    last, _ = since(connector, shop, cursor=page.resume)

    assert {ref.external_id for ref in first} == {name}
    assert later == []
    assert [(ref.external_id, ref.is_over) for ref in last] == [(name, True)]


def test_of_an_item_with_goods_set_aside_anywhere_the_feed_does_not_say_that_all_is_over():
    rows = [
        {"itemID": "7", "shopID": shop_id, "onLayaway": kept, "timeStamp": "2026-11-01T10:00:00+00:00"}
        for shop_id, kept in (("1", "0"), ("2", "4"), ("0", "4"))
    ]

    (both,) = feeds.refs("ItemShop", rows)
    (one,) = feeds.refs("ItemShop", rows[:1])

    at = datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert (both, one) == (OrderRef("set-aside-7", updated_at=at), OrderRef("set-aside-7", updated_at=at, is_over=True))


def test_goods_that_were_set_aside_and_fetched_leave_the_shelf_once(shop, connector):
    till, place, variant = ADAPTER.till(shop), shop.location_ids[0], shop.variants[0]
    lines = till.set_aside(shop_id=place, units={variant.listing_id: 4})
    sale_id = till.hand_over(shop_id=place, line_ids=lines)

    found, _ = since(connector, shop)
    names = [ref.external_id for ref in found]
    sale, kept = connector.fetch_orders(order_ids=[sale_id, f"set-aside-{variant.listing_id}"])

    assert names.index(sale_id) < names.index(f"set-aside-{variant.listing_id}")  # gone before it is let go
    assert [(hold.committed, hold.fulfilled) for line in sale.lines for hold in line.holds] == [(0, 4)]
    assert [list(line.holds) for line in kept.lines] == [[]]
    assert qoh(shop) == 6


def test_a_refund_gives_back_to_the_very_line_and_one_of_two_tickets_is_two_documents(shop, connector):
    place, item = shop.location_ids[0], shop.variants[0].listing_id
    first, second = sell(shop, 2), sell(shop, 2)
    till = ADAPTER.till(shop)
    lines = [till.lines_of(sale)[0]["saleLineID"] for sale in (first, second)]
    body = {
        "shopID": place, "completed": "true",
        "SaleLines": {"SaleLine": [{"itemID": item, "parentSaleLineID": line, "unitQuantity": -1} for line in lines]},
    }  # fmt: skip
    back = till.send("POST", "Sale", body)["Sale"]["saleID"]

    documents = connector.fetch_orders(order_ids=[back])

    returns = {one.return_of: [(line.line_external_id, line.quantity) for line in one.returns] for one in documents}
    assert returns == {"": [], first: [(lines[0], 1)], second: [(lines[1], 1)]}


# --- the log --------------------------------------------------------------------------------------


def changes(shop, connector, cursor=""):
    return connector.fetch_stock_changes_since(
        since=timezone.now() - AGO, cursor=cursor, location_ids=shop.location_ids
    )


def test_the_log_names_the_cause_and_goes_on_where_it_stopped(shop, connector):
    item = models.Item.objects.get(pk=shop.variants[0].listing_id)
    place, owner = models.Shop.objects.get(pk=shop.location_ids[0]), account_of(shop).employees.first()
    entry = models.InventoryLog(
        account=account_of(shop), item=item, shop=place, employee=owner, qoh_change=24, reason="GenericReason",
        order_number=14, create_time=timezone.now(),
    )  # fmt: skip
    entry.save()
    first = changes(shop, connector)
    ADAPTER.edit_stock(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], delta=Decimal(-2))

    second = changes(shop, connector, cursor=first.resume)

    assert [(one.delta, one.cause) for one in first.changes] == [(24, "received from a supplier")]
    # Read a little twice: two tills may commit out of order. Known ones are known by their name.
    assert [(one.delta, one.cause, one.made_by) for one in second.changes][-1] == (
        -2, "edited at Lightspeed", MadeBy.PERSON,
    )  # fmt: skip
    assert int(second.resume) > int(first.resume)


def test_a_return_without_a_ticket_is_a_change_of_stock_and_one_with_its_ticket_is_not(shop, connector):
    place, item = shop.location_ids[0], shop.variants[0].listing_id
    till = ADAPTER.till(shop)
    sale = sell(shop, 2)
    till.take_back(shop_id=place, sale_id=sale, units={item: 1})
    assert changes(shop, connector).changes == []
    loose = till.send(
        "POST", "Sale",
        {"shopID": place, "completed": "true", "SaleLines": {"SaleLine": {"itemID": item, "unitQuantity": -3}}},
    )["Sale"]["saleID"]  # fmt: skip

    (change,) = changes(shop, connector).changes
    (order,) = connector.fetch_orders(order_ids=[loose])
    till.void(sale_id=loose)
    both = changes(shop, connector).changes

    assert (change.delta, change.is_return) == (3, True)
    assert "return" in change.cause
    assert (list(order.lines), list(order.returns)) == ([], [])
    assert [one.delta for one in both] == [3, -3]


def test_archiving_an_item_takes_nothing_off_the_shelf(shop, connector):
    """Its quantity goes to zero there, which says nothing of the goods."""
    ADAPTER.remove(shop=shop, variant=shop.variants[0])

    assert qoh(shop) == 0
    assert changes(shop, connector).changes == []


# --- catalog --------------------------------------------------------------------------------------


def test_the_sum_over_all_shops_is_no_place(shop, connector):
    ids = [variant.inventory_id for variant in shop.variants]

    counts = connector.read_counts(inventory_ids=ids, location_ids=[*shop.location_ids, "0"])

    assert len(counts) == 6  # control: the stand-in has the sums
    assert models.ItemShop.objects.filter(shop=None, item__in=ids).count() == 3


def test_services_are_not_counted_and_an_item_without_a_sku_has_the_label_of_the_till(shop, connector):
    account = account_of(shop)
    (service,) = accounts.load(account, [accounts.Family("Sharpening", [accounts.ItemRow("", Decimal(5))])])
    models.Item.objects.filter(pk=service.pk).update(item_type="non_inventory")

    (found,) = [
        one for one in connector.page_catalog(cursor="", since=None).listings if one.external_id == str(service.pk)
    ]

    assert not found.is_tracked
    assert found.sku == f"21{service.pk:010}"
    assert found.product_external_id == str(service.pk)
    assert found.product_title == "Sharpening"


def test_a_long_list_is_read_to_its_end_and_a_list_of_one_is_a_list(shop, connector):
    account = account_of(shop)
    rows = [accounts.ItemRow(f"SOCK-{n}", Decimal(5)) for n in range(230)]
    accounts.load(account, [accounts.Family(f"Sock {row.sku}", [row]) for row in rows])
    found, cursor, pages = [], "", 0
    while not pages or cursor:
        page = connector.page_catalog(cursor=cursor, since=None)
        found, cursor, pages = [*found, *page.listings], page.next_cursor, pages + 1

    assert pages == 3
    assert len({one.external_id for one in found}) == 233
    (one,) = connector.read_listings(external_ids=[found[0].external_id])  # comes as an object there
    assert one.external_id == found[0].external_id


def test_a_barcode_is_kept_as_upc_or_ean_by_its_length(shop, connector):
    assert outcomes(send(connector, change(connector, shop, 0, gtin="4006381333931"))) == [APPLIED]
    assert outcomes(send(connector, change(connector, shop, 1, gtin="036000291452"))) == [APPLIED]

    first, second = (models.Item.objects.get(pk=shop.variants[n].listing_id) for n in (0, 1))
    assert (first.upc, first.ean) == ("", "4006381333931")
    assert (second.upc, second.ean) == ("036000291452", "")


def test_an_attributes_name_is_not_changed_for_all_items_of_the_set(shop, connector):
    (result,) = send(connector, change(connector, shop, 0, option_names={"Size": "Grösse"}, options={"Grösse": "L"}))

    assert result.outcome is WriteOutcome.REFUSED


# --- tokens and answers ---------------------------------------------------------------------------


def test_the_old_refresh_token_lives_until_the_new_pair_is_used(shop, connector):
    """A worker that died before it stored the new pair has lost nothing."""
    connector.refresh_auth()  # its answer was lost
    fresh = connector.refresh_auth()
    renewed = registry.connect("rseries", account=dataclasses.replace(shop.account, credentials=fresh.credentials))
    renewed.list_locations()

    with pytest.raises(ConnectorError) as spent:
        connector.refresh_auth()

    assert spent.value.needs_reconnect
    assert renewed.refresh_auth().credentials["refresh_token"] != fresh.credentials["refresh_token"]


def test_tokens_are_asked_for_at_the_vendors_other_host():
    assert client.token_base("https://api.lightspeedapp.com") == "https://cloud.lightspeedapp.com"
    assert client.token_base("http://127.0.0.1:9/rseries") == "http://127.0.0.1:9/rseries"


def test_another_accounts_number_needs_a_person(shop, connector):
    other = dataclasses.replace(shop.account, account_id="999999999")

    with pytest.raises(ConnectorError) as refused:
        registry.connect("rseries", account=other).list_locations()

    assert refused.value.needs_reconnect


@pytest.mark.parametrize("broken", [{"Sale": {}}, {"@attributes": [], "Sale": []}])
def test_a_list_without_its_head_is_no_empty_list(broken, shop, monkeypatch):
    monkeypatch.setattr(client, "_body", lambda *_, **__: broken)
    one = client.Client(base_url=shop.account.base_url, account_id="1", access_token="x")

    with pytest.raises(ConnectorError) as refused:
        one.page("Sale")

    assert refused.value.code == "UNREADABLE"


@pytest.mark.parametrize(
    ("entry", "is_change"),
    [
        ({"reason": "manualAdjustQOH"}, True),
        ({"reason": "ManualQuantityAdjustment"}, True),
        ({"reason": "AddInventoryForCount", "inventoryCountID": "3"}, True),
        ({"reason": "RestoreFromTransfer", "transferID": "9"}, True),
        ({"reason": "RemoveForTransactionLine"}, False),
        ({"reason": "RemoveForLayaway"}, False),
        ({"reason": "CancelSpecialOrder"}, False),
        ({"reason": "GenericReason", "saleID": "4"}, False),
        ({"reason": "RemoveForArchiveItem"}, False),
        ({"reason": "DeletedByMerge"}, False),
        ({"reason": "ManualCostAdjustment"}, False),
        ({"reason": "ManualQuantityAdjustment", "qohChange": "0"}, False),
        ({"reason": "ManualQuantityAdjustment", "shopID": "0"}, False),
    ],
)
def test_what_of_the_log_is_somebodys_change(entry, is_change):
    assert mapping.is_change({"qohChange": "2", "shopID": "1", "itemID": "7", **entry}) is is_change
