"""Lightspeed's connector against its stand-in over real HTTP: repeats that look first, feeds by version."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from channels import registry
from channels.connectors.lightspeed import feeds, mapping, webhooks, writing
from channels.ports import ConnectorError, CountWrite, HintKind, MalformedPayload, WriteOutcome
from channels.sandbox.lightspeed.models import Adjustment, Level, Retailer, Token
from channels.sandbox.models import Delivery, Fault, Switch
from tests.channels.answers_with_holes import leave_out
from tests.contract.adapters.lightspeed import ADAPTER
from tests.contract.test_listings import change, outcomes, send

pytestmark = pytest.mark.django_db(transaction=True)
APPLIED, SKIPPED = WriteOutcome.APPLIED, WriteOutcome.SKIPPED
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ADAPTER.open_shop(server_url=live_server.url, webhook_url="https://studio.example.com/webhooks/x/y")


@pytest.fixture
def connector(shop):
    return registry.connect("lightspeed", account=shop.account)


def tell(shop, connector, index, before, after, *, made_at=None, **fields):
    write = CountWrite(
        shop.variants[index].inventory_id, shop.location_ids[0], Decimal(before), Decimal(after), **fields
    )
    (result,) = connector.write_counts(writes=[write], idempotency_key="k", now=made_at or datetime.now(UTC))
    return result


def level(shop, index):
    return ADAPTER.shown(shop=shop, variant=shop.variants[index], location_id=shop.location_ids[0])


# --- telling numbers ------------------------------------------------------------------------------


def test_a_burst_of_equal_writes_is_told_apart_by_the_mark_also_when_a_sale_comes_between(shop, connector):
    """Same size, same second, and the level already where the write would lead: only the mark tells."""
    first = tell(shop, connector, 0, 10, 9, is_first=True)
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))

    repeat = tell(shop, connector, 0, 9, 8, mark=first.mark)

    assert (first.outcome, repeat.outcome) == (APPLIED, APPLIED)
    assert repeat.mark > first.mark > 0
    assert level(shop, 0) == 10 - 1 - 1 - 1


def test_control_without_a_mark_the_earlier_write_passes_for_this_one(shop, connector):
    tell(shop, connector, 0, 10, 9, is_first=True)
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))

    tell(shop, connector, 0, 9, 8)

    assert level(shop, 0) == 8, "one too many is shown"


def test_a_repeat_finds_its_earlier_attempt_whatever_was_sold_meanwhile(shop, connector):
    mark = tell(shop, connector, 1, 10, 9, is_first=True).mark
    Fault.objects.create(vendor="lightspeed", operation="stock_adjustments.create", kind="timeout_after", remaining=1)
    with pytest.raises(ConnectorError) as lost:
        tell(shop, connector, 0, 10, 7, is_first=True, mark=mark)
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(2))

    again = tell(shop, connector, 0, 10, 7, mark=mark)

    assert lost.value.is_outcome_unknown
    assert again.outcome is APPLIED
    assert level(shop, 0) == 10 - 3 - 2
    assert Adjustment.objects.count() == 2


def test_the_very_first_write_is_not_told_twice_either_where_a_sale_brought_the_level_back(shop, connector):
    made_at = datetime.now(UTC)
    Fault.objects.create(vendor="lightspeed", operation="stock_adjustments.create", kind="timeout_after", remaining=1)
    with pytest.raises(ConnectorError):
        tell(shop, connector, 0, 10, 11, made_at=made_at, is_first=True)
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))

    again = tell(shop, connector, 0, 10, 11, made_at=made_at)

    assert again.outcome is APPLIED
    assert level(shop, 0) == 10 + 1 - 1
    assert Adjustment.objects.count() == 1


def test_control_what_an_earlier_connection_told_is_not_taken_for_the_very_first_write(shop, connector):
    tell(shop, connector, 0, 10, 11, is_first=True)
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))

    tell(shop, connector, 0, 10, 11, made_at=datetime.now(UTC) + timedelta(minutes=5))

    assert level(shop, 0) == 10 + 1 - 1 + 1


def test_control_a_repeat_that_does_not_look_counts_twice(shop, connector):
    Fault.objects.create(vendor="lightspeed", operation="stock_adjustments.create", kind="timeout_after", remaining=1)
    with pytest.raises(ConnectorError):
        tell(shop, connector, 0, 10, 7, is_first=True)

    tell(shop, connector, 0, 10, 7, is_first=True)

    assert level(shop, 0) == 4


def test_of_a_half_written_batch_the_missing_half_is_told_again_and_nothing_twice(shop, connector):
    writes = [
        CountWrite(variant.inventory_id, shop.location_ids[0], Decimal(10), Decimal(8)) for variant in shop.variants
    ]
    Fault.objects.create(vendor="lightspeed", operation="stock_adjustments.create", kind="half_batch", remaining=1)
    now = datetime.now(UTC)

    half = connector.write_counts(writes=writes, idempotency_key="k", now=now)
    whole = connector.write_counts(writes=writes, idempotency_key="k", now=now)

    assert [result.outcome for result in half] == [APPLIED, APPLIED, SKIPPED]
    assert [result.outcome for result in whole] == [APPLIED] * 3
    assert [level(shop, index) for index in range(3)] == [8, 8, 8]


@pytest.mark.parametrize("mark", [0, 1])
def test_what_the_answer_to_a_write_leaves_out_is_found_in_the_history_and_not_told_again(shop, connector, mark):
    names = [variant.inventory_id for variant in shop.variants]
    writes = [CountWrite(name, shop.location_ids[0], Decimal(10), Decimal(8), True, mark) for name in names]
    leave_out(connector._client._session, call="POST /stock_adjustments", ids=names[:1])

    results = connector.write_counts(writes=writes, idempotency_key="k", now=datetime.now(UTC))

    assert [result.outcome for result in results] == [APPLIED] * 3
    assert all(result.mark for result in results)


def test_control_what_is_left_out_taken_for_not_done_counts_twice(shop, connector, monkeypatch):
    monkeypatch.setattr(writing, "_done_before", lambda *_, **__: {})
    leave_out(connector._client._session, call="POST /stock_adjustments", ids=[shop.variants[0].inventory_id])

    outcomes = [tell(shop, connector, 0, 10, 8, is_first=True).outcome for _ in range(2)]

    assert outcomes == [SKIPPED, APPLIED]
    assert level(shop, 0) == 6


def test_fractions_are_told_to_five_places(shop, connector):
    assert tell(shop, connector, 0, 10, "9.87655").outcome is APPLIED
    assert level(shop, 0) == Decimal("9.87655")


def test_our_two_reasons_are_made_once_and_their_ids_are_kept_with_the_credentials(shop, connector):
    secrets = [entry.secrets for entry in connector.subscribe()]
    again = [entry.secrets for entry in connector.subscribe()]

    assert secrets == again
    assert set(secrets[0]) == {"reason_rise", "reason_fall", "currency"}
    assert Retailer.objects.get().adjustmentreason_set.count() == 2


# --- feeds ----------------------------------------------------------------------------------------


def sales_since(shop, connector, *, cursor="", since=None):
    ids, pages = [], 0
    while True:
        page = connector.fetch_orders_since(since=since or NOW, cursor=cursor, location_ids=shop.location_ids)
        ids += [ref.external_id for ref in page.orders]
        pages, cursor = pages + 1, page.next_cursor
        if not cursor:
            return ids, page.resume, pages


def test_the_sales_feed_goes_on_where_it_stopped_and_an_idle_look_is_one_call(shop, connector):
    first = ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))
    ids, resume, _ = sales_since(shop, connector)
    assert ids == [first]

    assert sales_since(shop, connector, cursor=resume) == ([], resume, 1)
    second = ADAPTER.sell(shop=shop, variant=shop.variants[1], location_id=shop.location_ids[1], quantity=Decimal(1))

    assert sales_since(shop, connector, cursor=resume)[0] == [second]


def test_a_late_sale_of_an_offline_till_is_found_by_its_version_though_its_time_is_old(shop, connector):
    _, resume, _ = sales_since(shop, connector)
    late = ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))
    Retailer.objects.get().sale_set.update(updated_at=timezone.now() - timedelta(days=3))

    assert sales_since(shop, connector, cursor=resume, since=timezone.now())[0] == [late]
    assert sales_since(shop, connector, since=timezone.now())[0] == []  # control: by time it would be missed


def test_a_cursor_of_somebody_else_is_refused(shop, connector):
    with pytest.raises(ConnectorError) as refused:
        sales_since(shop, connector, cursor="abc")
    assert refused.value.code == "INVALID_CURSOR"


@pytest.mark.parametrize("newer", [0, 1, 199, 200, 201, 5000])
@pytest.mark.parametrize("gap", [1, 7, 40_000_000])
def test_the_first_reading_begins_near_its_time_in_few_calls(newer, gap):
    """A long history, of which the last rows are new: found without reading all of it, and nothing new is skipped."""
    count = 20_000
    times = [NOW - timedelta(minutes=count - index) for index in range(count)]
    listed = [{"version": 5_000 + index * gap, "updated_at": at.isoformat()} for index, at in enumerate(times)]
    since = times[count - newer] if newer else NOW
    calls = []

    def fetch(after):
        calls.append(after)
        first = 0 if after < 5_000 else (after - 5_000) // gap + 1
        return {"data": listed[first : first + feeds.SIZE]}

    after = feeds.start(fetch, since=since)
    between = [row for row in listed if row["version"] > after and not feeds.is_since(row, since)]
    skipped = [row for row in listed if row["version"] <= after and feeds.is_since(row, since)]

    assert skipped == []
    assert len(between) <= feeds.SIZE
    assert len(calls) < 80


def test_a_feed_that_does_not_advance_is_an_error_and_no_endless_loop():
    with pytest.raises(ConnectorError) as looped:
        feeds.page(lambda after: {"data": [{"version": after}]}, after=7)
    assert looped.value.code == "CURSOR_LOOP"


def changes(shop, connector, cursor="", since=NOW):
    return connector.fetch_stock_changes_since(since=since, cursor=cursor, location_ids=shop.location_ids)


def test_a_delivery_a_transfer_and_a_stocktake_are_told_with_their_cause_once(shop, connector):
    till, (front, back) = ADAPTER.till(shop), shop.location_ids
    start = changes(shop, connector).resume
    product = shop.variants[0].inventory_id
    for kind, steps, line, more in (
        ("SUPPLIER", ["SENT", "RECEIVED"], {"count": "6.00000", "received": "5.00000"}, {}),
        ("OUTLET", ["SENT", "RECEIVED"], {"count": "2.00000"}, {"source_outlet_id": back}),
        ("STOCKTAKE", ["STOCKTAKE_IN_PROGRESS", "STOCKTAKE_COMPLETE"], {"received": "14.00000"}, {}),
    ):
        body = {"type": kind, "outlet_id": front, "name": kind, **more}
        made = till.send("POST", "consignments", body)["data"]["id"]
        till.send("POST", f"consignments/{made}/products", {"product_id": product, **line})
        for status in steps:
            till.send("PUT", f"consignments/{made}", body | {"status": status})

    page = changes(shop, connector, start)

    assert [(change.location_id, change.delta, change.cause) for change in page.changes] == [
        (front, 5, "received from a supplier"),
        (back, -2, "moved between locations"),
        (front, 2, "moved between locations"),
        (front, 14 - 17, "counted at Lightspeed"),
    ]
    assert {count.location_id: count.quantity for count in connector.read_counts(
        inventory_ids=[product], location_ids=shop.location_ids)} == {front: 14, back: 8}  # fmt: skip
    assert changes(shop, connector, page.resume).changes == []


def test_a_return_without_a_receipt_is_a_change_of_stock_and_no_order(shop, connector):
    start = changes(shop, connector).resume
    till = ADAPTER.till(shop)
    returned = till.sell(outlet_id=shop.location_ids[0], units={shop.variants[0].listing_id: -2})

    (change,) = changes(shop, connector, start).changes
    (order,) = connector.fetch_orders(order_ids=[returned])

    assert (change.delta, change.cause) == (2, "returned at the till without a receipt")
    assert (list(order.lines), list(order.returns)) == ([], [])
    assert level(shop, 0) == 12


# --- sales ----------------------------------------------------------------------------------------


def a_sale(state="closed", attributes=(), lines=((3.0, "p"),), **more):
    return {
        "id": "s1", "state": state, "attributes": list(attributes), "date": "2026-11-01T12:00:00+00:00",
        "updated_at": "2026-11-01T12:00:05+00:00", "invoice_number": "7", "_metadata": {"version": 9},
        "source": {"outlet_id": "o1"}, "totals": {"price_incl_tax": 12.5},
        "line_items": [
            {"id": f"l{n}", "product": {"id": product}, "quantity": units}
            for n, (units, product) in enumerate(lines)
        ],
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("state", "attributes", "committed", "fulfilled"),
    [
        ("closed", (), 0, 3), ("closed", ("pickup",), 0, 3), ("parked", (), 0, 0), ("voided", ("pickup",), 0, 0),
        ("pending", ("pickup",), 3, 0), ("pending", ("delivery",), 3, 0), ("pending", ("layby",), 0, 3),
        ("pending", ("onaccount",), 0, 3), ("pending", ("onaccount", "delivery"), 3, 0), ("pending", (), 3, 0),
        ("something new", (), 0, 0),
    ],
)  # fmt: skip
def test_what_a_sale_holds_follows_from_its_state_and_attributes(state, attributes, committed, fulfilled):
    (order,) = mapping.orders(a_sale(state, attributes), currency="GBP")

    holds = order.lines[0].holds
    assert sum(hold.committed for hold in holds) == committed
    assert sum(hold.fulfilled for hold in holds) == fulfilled
    assert order.is_cancelled is (state == "voided")


def test_the_stand_in_takes_off_its_count_what_the_mapping_says_has_left(shop, connector):
    """The two readings of the vendor's statuses agree, step by step."""
    till, product, place = ADAPTER.till(shop), shop.variants[0].listing_id, shop.location_ids[0]
    for attributes, after in ((("pickup",), 10), (("layby",), 8), (("onaccount",), 6)):
        sale_id = till.sell(outlet_id=place, units={product: 2}, attributes=attributes)
        (order,) = connector.fetch_orders(order_ids=[sale_id])
        fulfilled = sum(hold.fulfilled for line in order.lines for hold in line.holds)
        assert level(shop, 0) == after
        assert fulfilled == (0 if attributes == ("pickup",) else 2)
    till.finish(sale_id=sale_id, state="voided")
    assert level(shop, 0) == 8


def test_an_exchange_sells_one_thing_and_gives_another_back():
    sale = a_sale(lines=((1.0, "new"), (-2.0, "old")), **{"return": {"is_return": True, "original_sale_id": "s0"}})

    sold, back = mapping.orders(sale, currency="GBP")

    assert (sold.external_id, [line.external_id for line in sold.lines]) == ("s1", ["new"])
    assert (back.external_id, back.return_of) == ("s1:return", "s0")
    assert [(line.line_external_id, line.quantity, line.restocked) for line in back.returns] == [("old", 2, True)]


def test_lines_of_one_product_are_one_line_since_a_return_names_no_line():
    (order,) = mapping.orders(a_sale(lines=((1.0, "p"), (2.5, "p"), (1.0, "q"))), currency="GBP")

    assert [(line.external_id, line.quantity) for line in order.lines] == [("p", Decimal("3.5")), ("q", 1)]


# --- webhooks -------------------------------------------------------------------------------------

LEVEL = {"id": "i", "product_id": "p", "outlet_id": "o", "count": 4, "version": 12}


def form(payload, **more):
    return urlencode({"payload": json.dumps(payload), **more}).encode()


def signed(body, *, encoding="hex", secret="secret"):
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    text = digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()
    return {"x-signature": f"signature={text},algorithm=HMAC-SHA256"}


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_signature_is_right_in_either_encoding_and_over_the_raw_form_alone(encoding):
    body = form(LEVEL)

    assert webhooks.is_signed(headers=signed(body, encoding=encoding), body=body, secret="secret")
    assert not webhooks.is_signed(headers=signed(body, encoding=encoding), body=body + b"&a=b", secret="secret")
    assert not webhooks.is_signed(headers=signed(body, encoding=encoding), body=body, secret="another")
    assert not webhooks.is_signed(headers={}, body=body, secret="secret")


def test_an_account_without_an_app_is_told_unsigned_and_its_address_is_the_secret():
    assert webhooks.is_signed(headers={}, body=form(LEVEL), secret="")
    assert not webhooks.is_signed(headers={}, body=b"", secret="")


def test_the_stand_in_signs_in_base64_where_the_switch_says_so(shop, connector):
    connector.subscribe()
    Switch.objects.create(name="lightspeed.signature_encoding", value="base64")
    ADAPTER.edit_stock(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], delta=Decimal(1))
    row = Delivery.objects.get()
    headers = {name.lower(): value for name, value in row.headers.items()}

    assert "=,algorithm" in headers["x-signature"]
    assert connector.verify(headers=headers, body=bytes(row.body))


def test_the_same_state_told_twice_is_one_delivery_and_the_next_version_another():
    keys = [
        webhooks.identify(body=form(LEVEL | {"version": version}, environment="prod")).dedupe_key
        for version in (12, 12, 13)
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("payload", "topic", "kind"),
    [
        (LEVEL, "inventory.update", HintKind.STOCK),
        ({"id": "p", "handle": "h", "sku": "s", "version": 1}, "product.update", HintKind.CATALOG),
        ({"id": "s", "register_sale_products": [], "version": 1}, "sale.update", HintKind.ORDERS),
        ({"id": "c", "consignment_id": "k", "product_id": "p", "received": None}, "consignment.send", HintKind.STOCK),
        ({"id": "c", "consignment_id": "k", "product_id": "p", "received": "1"}, "consignment.receive",
         HintKind.STOCK),
        ({"id": "c", "customer_code": "x"}, "customer.update", HintKind.NOTHING),
        ({"id": "r", "register_id": "x"}, "register_closure.create", HintKind.NOTHING),
        ({"id": "?"}, "unknown", HintKind.UNKNOWN),
    ],
)  # fmt: skip
def test_a_webhook_says_by_its_shape_what_it_is(payload, topic, kind):
    body = form(payload)

    assert webhooks.identify(body=body).topic == topic
    assert webhooks.parse(topic=topic, body=body).kind is kind


@pytest.mark.parametrize(
    "body", [b"\xff", b"{}", b"payload=", b"payload=[1]", b"payload=%7B", b"other=1", b"payload=1"]
)
def test_what_is_no_form_with_a_json_object_cannot_be_read(body):
    with pytest.raises(MalformedPayload):
        webhooks.identify(body=body)


# --- tokens, limits, catalog ----------------------------------------------------------------------


def test_a_refresh_ends_the_old_pair_so_that_a_second_one_with_it_needs_a_person(shop, connector):
    fresh = connector.refresh_auth()

    assert fresh.credentials["refresh_token"] != shop.account.credentials["refresh_token"]
    assert fresh.expires_at is not None
    with pytest.raises(ConnectorError) as spent:
        connector.refresh_auth()
    assert spent.value.needs_reconnect
    with pytest.raises(ConnectorError) as ended:
        connector.list_locations()
    assert ended.value.code == "ACCESS_TOKEN_EXPIRED"


def test_a_personal_token_that_is_refused_cannot_be_renewed(shop):
    account = dataclasses.replace(shop.account, credentials={"access_token": "gone"})
    with pytest.raises(ConnectorError) as refused:
        registry.connect("lightspeed", account=account).refresh_auth()
    assert refused.value.needs_reconnect


def test_a_full_window_is_told_with_the_seconds_until_it_ends(shop, connector):
    Switch.objects.create(name="lightspeed.limit", value=[1, 0])
    connector.list_locations()  # two calls: the last page of a feed is an empty one
    with pytest.raises(ConnectorError) as refused:
        connector.list_locations()

    assert refused.value.code == "RATE_LIMITED"
    assert 200 < refused.value.retry_after_s <= 301
    assert not refused.value.permanent


def test_a_missing_scope_needs_a_person(shop, connector):
    Token.objects.filter(kind="access").update(scopes=["products:read"])
    with pytest.raises(ConnectorError) as refused:
        connector.list_locations()
    assert refused.value.needs_reconnect


def test_composites_and_uncounted_products_are_not_tracked(shop, connector):
    till = ADAPTER.till(shop)
    part, bundle = shop.variants[0].listing_id, shop.variants[1].listing_id
    components = [{"product_id": part, "quantity": 2}]
    till.send("PUT", f"products/{bundle}", {"details": {"composite_components": components}})
    till.send("PUT", f"products/{shop.variants[2].listing_id}", {"common": {"track_inventory": False}})

    tracked = {one.external_id: one.is_tracked for one in connector.page_catalog(cursor="", since=None).listings}
    till.sell(outlet_id=shop.location_ids[0], units={bundle: 1})

    assert tracked == {part: True, bundle: False, shop.variants[2].listing_id: False}
    assert level(shop, 0) == 8


def test_a_number_that_nobody_knows_is_unknown_and_a_negative_one_is_told(shop, connector):
    Level.objects.filter(product=shop.variants[1].inventory_id).delete()
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(13))

    counts = connector.read_counts(
        inventory_ids=[variant.inventory_id for variant in shop.variants[:2]], location_ids=shop.location_ids[:1]
    )

    assert [(count.inventory_id, count.quantity) for count in counts] == [(shop.variants[0].inventory_id, -3)]


def test_an_options_name_is_not_changed_for_all_products_of_the_shop(shop, connector):
    results = send(connector, change(connector, shop, 0, options={"Grösse": "XL"}, option_names={"Size": "Grösse"}))

    assert outcomes(results) == [WriteOutcome.REFUSED]
    assert "all products" in results[0].message


def test_where_the_sku_is_no_code_after_all_it_is_refused_in_words(shop, connector):
    Switch.objects.create(name="lightspeed.sku_is_custom_code", value=False)

    results = send(connector, change(connector, shop, 0, sku="CLEAN-1"))

    assert outcomes(results) == [WriteOutcome.REFUSED]
    assert "shows something else" in results[0].message
    assert results[0].now.fields.sku == "CONTRACT-1"


def test_a_second_barcode_survives_a_new_first_one(shop, connector):
    codes = [("CUSTOM", "CONTRACT-1"), ("UPC", "036000291452"), ("EAN", "4006381333931"), ("CUSTOM", "OLD-1")]
    body = {"details": {"product_codes": [{"type": kind, "code": code} for kind, code in codes]}}
    ADAPTER.till(shop).send("PUT", f"products/{shop.variants[0].listing_id}", body)

    send(connector, change(connector, shop, 0, gtin="9780306406157", sku="NEW-1"))

    described = ADAPTER.described(shop=shop, variant=shop.variants[0])
    assert described["product_codes"] == [
        ("custom", "NEW-1"), ("custom", "OLD-1"), ("upc", "036000291452"), ("ean", "9780306406157"),
    ]  # fmt: skip


def test_goods_handed_over_later_left_at_the_last_change_and_those_of_the_till_when_they_were_sold():
    sale = {"id": "S1", "date": "2026-02-01T10:00:00Z", "updated_at": "2026-02-01T16:00:00Z", "state": "closed"}
    sale["_metadata"] = {"version": 7}
    (at_the_till,) = mapping.orders(sale, currency="GBP")
    (picked_up,) = mapping.orders(sale | {"attributes": ["pickup"]}, currency="GBP")
    assert at_the_till.left_at is None
    assert picked_up.left_at == datetime(2026, 2, 1, 16, tzinfo=UTC)
