"""WooCommerce's connector against its stand-in over real HTTP, and against what other shops answer."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import responses

from channels.connectors.woocommerce import WooCommerceConnector, listings, stock, webhooks
from channels.ports import (
    Account,
    ConnectorError,
    CountWrite,
    HintKind,
    ListingFields,
    ListingWrite,
    MalformedPayload,
    WriteOutcome,
)
from channels.sandbox.models import Fault, Switch
from channels.sandbox.woocommerce import accounts, batching
from channels.sandbox.woocommerce.models import Product, Webhook
from tests.channels.answers_with_holes import leave_out
from tests.sandbox import woocommerce_shop

URL = "https://studio.example.com/webhooks/woocommerce/a-token"
AGENT = "WooCommerce/9.8.1 Hookshot (WordPress/6.7.1)"
APPLIED, STALE, REFUSED = WriteOutcome.APPLIED, WriteOutcome.STALE, WriteOutcome.REFUSED
VARIATION = {"id": 23, "type": "variation", "parent_id": 22, "manage_stock": True}
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def shop(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return woocommerce_shop.open_shop(live_server.url)


def connector(shop, **secrets):
    key = shop.site.keys.get()
    own = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
    return WooCommerceConnector(account=Account(shop.site.pk, shop.url, own | secrets, URL))


def elsewhere(base_url="https://shop.example.com"):
    return WooCommerceConnector(account=Account("x", base_url, {"consumer_key": "ck", "consumer_secret": "cs"}, URL))


def name_of(row):
    return f"{row.parent_id}/{row.pk}" if row.parent_id else str(row.pk)


def write(row, before, after):
    return CountWrite(name_of(row), "shop", Decimal(before), Decimal(after))


def tell(shop, *writes, key="key-1", by=None):
    by = by or connector(shop)
    return [result.outcome for result in by.write_counts(writes=writes, idempotency_key=key, now=NOW)]


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_lost_answer_and_a_sale_after_it_the_repeat_leaves_the_number_alone(shop):
    Fault.objects.create(vendor="woocommerce", kind=Fault.Kind.TIMEOUT_AFTER, operation="products.batch", remaining=1)
    with pytest.raises(ConnectorError) as lost:
        tell(shop, write(shop.mug, 10, 7))
    shop.order(MUG=2)
    assert lost.value.is_outcome_unknown
    assert tell(shop, write(shop.mug, 10, 7)) == [APPLIED]
    assert shop.stock("MUG") == 5
    assert tell(shop, write(shop.mug, 5, 4), key="key-2") == [APPLIED]


@pytest.mark.django_db(transaction=True)
def test_sales_that_make_the_number_what_we_wanted_are_not_taken_for_our_write(shop):
    """Control: equality alone would call it done, and the units would be offered again."""
    shop.order(MUG=3)
    assert tell(shop, write(shop.mug, 10, 7)) == [STALE]
    assert shop.stock("MUG") == 7


@pytest.mark.django_db(transaction=True)
def test_a_half_written_batch_is_finished_by_its_repeat(shop):
    Fault.objects.create(vendor="woocommerce", kind=Fault.Kind.HALF_BATCH, operation="variations.batch", remaining=1)
    writes = [write(shop.shirt("S"), 10, 4), write(shop.mug, 10, 6), write(shop.shirt("M"), 10, 5)]
    with pytest.raises(ConnectorError) as failed:
        tell(shop, *writes)
    assert failed.value.is_outcome_unknown
    assert (shop.stock("SHIRT-S"), shop.stock("MUG"), shop.stock("SHIRT-M")) == (4, 6, 10)
    shop.order(SHIRT_S=1)
    assert tell(shop, *writes) == [APPLIED] * 3
    assert (shop.stock("SHIRT-S"), shop.stock("MUG"), shop.stock("SHIRT-M")) == (3, 6, 5)


@pytest.mark.django_db(transaction=True)
def test_a_shop_that_cannot_be_asked_before_is_not_written(shop):
    Fault.objects.create(vendor="woocommerce", kind=Fault.Kind.SERVER_ERROR, operation="products.list", remaining=1)
    with pytest.raises(ConnectorError) as failed:
        tell(shop, write(shop.mug, 10, 7))
    assert not failed.value.is_outcome_unknown
    assert shop.stock("MUG") == 10


@pytest.mark.django_db(transaction=True)
def test_what_is_counted_with_its_product_is_unknown_and_never_written(shop):
    shirt = shop.shirt("S")
    path = f"/products/{shirt.parent_id}"
    shop.call("PUT", f"{path}/variations/{shirt.pk}", {"manage_stock": False})
    shop.call("PUT", path, {"manage_stock": True, "stock_quantity": 7})
    counts = connector(shop).read_counts(
        inventory_ids=[name_of(shirt), name_of(shop.shirt("M"))], location_ids=["shop"]
    )
    assert [(count.inventory_id, count.quantity) for count in counts] == [(name_of(shop.shirt("M")), 10)]
    listings = {row.sku: row for row in connector(shop).page_catalog(cursor="", since=None).listings}
    assert not listings["SHIRT-S"].is_tracked
    (result,) = connector(shop).write_counts(writes=[write(shirt, 7, 5)], idempotency_key="k", now=NOW)
    assert result.outcome is REFUSED
    assert "Manage stock" in result.message
    assert Product.objects.get(pk=shirt.parent_id).stock_quantity == 7


@pytest.mark.django_db(transaction=True)
def test_a_number_below_zero_is_read_as_it_is(shop):
    shop.order(MUG=12)
    (count,) = connector(shop).read_counts(inventory_ids=[str(shop.mug.pk)], location_ids=["shop"])
    assert count.quantity == -2
    assert connector(shop).read_counts(inventory_ids=[str(shop.mug.pk)], location_ids=[]) == []


def test_a_fraction_a_plugin_allows_is_told_as_one():
    assert stock.entry(CountWrite("31", "shop", Decimal(2), Decimal("1.5")), key="k")["stock_quantity"] == 1.5
    assert stock.entry(CountWrite("31", "shop", Decimal(2), Decimal("1.000")), key="k")["stock_quantity"] == 1


# --- answers with holes ------------------------------------------------------------------------------------------


def three(shop):
    """A product by itself and two variations of one, each a write from ten to seven."""
    return [write(row, 10, 7) for row in (shop.mug, shop.shirt("S"), shop.shirt("M"))]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("sku", "calls"), [("MUG", "/products"), ("SHIRT-S", "/variations")])
def test_what_the_answer_to_a_write_leaves_out_is_found_by_its_mark(shop, sku, calls):
    by, row = connector(shop), Product.objects.get(sku=sku)
    leave_out(by._client._session, call=f"POST {calls}/batch", ids=[row.pk])
    assert tell(shop, *three(shop), by=by) == [APPLIED] * 3
    assert shop.stock(sku) == 7


@pytest.mark.django_db(transaction=True)
def test_control_told_anew_under_another_key_our_own_number_passes_for_somebodys_edit(shop):
    tell(shop, write(shop.mug, 10, 7))
    assert tell(shop, write(shop.mug, 10, 7), key="key-2") == [STALE]


@pytest.mark.django_db(transaction=True)
def test_a_sale_between_a_write_and_the_look_for_its_mark_stays(shop, monkeypatch):
    by = connector(shop)
    made = leave_out(by._client._session, call="POST /products/batch", ids=[shop.mug.pk])
    run = batching.run

    def sold_right_after(body, **steps):
        done = run(body, **steps)
        Product.objects.filter(sku="MUG").update(stock_quantity=5)
        return done

    monkeypatch.setattr(batching, "run", sold_right_after)
    (result,) = by.write_counts(writes=[write(shop.mug, 10, 7)], idempotency_key="k", now=NOW)
    assert (result.outcome, result.quantity_after) == (APPLIED, 5)
    assert [one.partition(" ")[0] for one in made] == ["GET", "POST", "GET"]


@pytest.mark.django_db(transaction=True)
def test_what_is_left_out_and_was_not_done_is_not_called_done_and_is_told_again(shop, monkeypatch):
    run, shirts = batching.run, [write(shop.shirt(size), 10, 7) for size in ("S", "M")]
    with monkeypatch.context() as patched:
        patched.setattr(batching, "run", lambda body, **steps: run({"update": body["update"][:1]}, **steps))
        assert tell(shop, *shirts) == [APPLIED, STALE]
    assert (shop.stock("SHIRT-S"), shop.stock("SHIRT-M")) == (7, 10)
    assert tell(shop, shirts[1], key="key-2") == [APPLIED]
    assert shop.stock("SHIRT-M") == 7


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("sku", "calls"), [("MUG", "/products"), ("SHIRT-S", "/variations")])
def test_what_the_reading_before_a_write_leaves_out_is_asked_for_by_itself(shop, sku, calls):
    by, row = connector(shop), Product.objects.get(sku=sku)
    made = leave_out(by._client._session, call=f"GET {calls}", ids=[row.pk])
    assert tell(shop, *three(shop), by=by) == [APPLIED] * 3
    assert (shop.stock("MUG"), shop.stock("SHIRT-S"), shop.stock("SHIRT-M")) == (7, 7, 7)
    assert [one.rpartition("/")[2] for one in made if one.startswith("GET")].count(str(row.pk)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_shop_that_leaves_a_product_out_of_every_list_is_told_its_number_all_the_same(shop):
    by = connector(shop)
    for call in ("GET /products", "POST /products/batch"):
        leave_out(by._client._session, call=call, ids=[shop.mug.pk], times=9)
    assert tell(shop, *three(shop), by=by) == [APPLIED] * 3
    assert tell(shop, *three(shop), by=by) == [APPLIED] * 3
    assert shop.stock("MUG") == 7


@pytest.mark.django_db(transaction=True)
def test_what_is_left_out_and_cannot_be_asked_for_by_itself_waits_and_is_not_called_gone(shop):
    by = connector(shop)
    leave_out(by._client._session, call="GET /products", ids=[shop.mug.pk])
    Fault.objects.create(vendor="woocommerce", kind=Fault.Kind.SERVER_ERROR, operation="products.retrieve", remaining=1)
    with pytest.raises(ConnectorError) as failed:
        tell(shop, write(shop.mug, 10, 7), by=by)
    assert not failed.value.permanent
    assert tell(shop, write(shop.mug, 10, 7), by=by) == [APPLIED]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("force", ["true", "false"])
def test_control_what_is_deleted_or_in_the_bin_is_gone(shop, force):
    writes, shirt = three(shop), shop.shirt("S")
    shop.call("DELETE", f"/products/{shop.mug.pk}", force=force)
    shop.call("DELETE", f"/products/{shirt.parent_id}", force=force)
    results = connector(shop).write_counts(writes=writes, idempotency_key="k", now=NOW)
    assert [(result.outcome, result.message) for result in results] == [(REFUSED, stock.GONE)] * 3


@pytest.mark.django_db(transaction=True)
def test_control_a_variation_that_is_deleted_is_gone_and_its_neighbour_told(shop):
    writes, shirt = three(shop)[1:], shop.shirt("S")
    shop.call("DELETE", f"/products/{shirt.parent_id}/variations/{shirt.pk}", force="true")
    assert tell(shop, *writes) == [REFUSED, APPLIED]


# --- catalog and orders in pages -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_catalog_of_many_pages_is_read_whole_also_when_something_goes_meanwhile(shop):
    rows = [accounts.ProductRow(f"P{n}", [accounts.VariantRow(f"P-{n}", Decimal(1), 1)]) for n in range(45)]
    accounts.load_products(shop.site, rows)
    shop.call("POST", "/products", {"name": "A set", "type": "grouped"})
    page = connector(shop).page_catalog(cursor="", since=None)
    seen = {row.sku for row in page.listings}
    Product.objects.get(sku="MUG").delete()  # the first row of all: the rest moves up, over the page's edge
    while page.next_cursor:
        page = connector(shop).page_catalog(cursor=page.next_cursor, since=None)
        seen |= {row.sku for row in page.listings}
    assert {f"P-{n}" for n in range(45)} | {"SHIRT-S", "SHIRT-M"} <= seen
    assert "" not in seen  # a group has no stock of its own
    with pytest.raises(ConnectorError, match="cursor"):
        connector(shop).page_catalog(cursor="nonsense", since=None)


@pytest.mark.django_db(transaction=True)
def test_an_order_in_the_bin_is_read_by_itself_and_one_that_is_gone_is_missing(shop):
    kept, binned, gone = (str(shop.order(MUG=1)["id"]) for _ in range(3))
    shop.call("DELETE", f"/orders/{binned}")
    shop.call("DELETE", f"/orders/{gone}", force="true")
    found = {order.external_id: order for order in connector(shop).fetch_orders(order_ids=[kept, binned, gone, "x"])}
    assert found.keys() == {kept, binned}
    assert found[binned].lines[0].holds[0].committed == 1


@pytest.mark.django_db(transaction=True)
def test_a_price_typed_by_hand_is_found_by_when_it_changed(shop):
    watermark = connector(shop).page_catalog(cursor="", since=None).read_until
    Product.objects.filter(site=shop.site).update(modified_at=watermark - timedelta(days=1))
    shirt = shop.shirt("S")
    shop.call("PUT", f"/products/{shirt.parent_id}/variations/{shirt.pk}", {"regular_price": "31.00"})
    changed = {row.sku: row.price for row in connector(shop).page_catalog(cursor="", since=watermark).listings}
    assert changed == {"SHIRT-S": 31, "SHIRT-M": 28}
    Product.objects.filter(site=shop.site).update(modified_at=watermark - timedelta(days=1))
    Switch.objects.create(name="woocommerce.variation_touches_parent", value=False)
    shop.call("PUT", f"/products/{shirt.parent_id}/variations/{shirt.pk}", {"regular_price": "32.00"})
    assert connector(shop).page_catalog(cursor="", since=watermark).listings == []


# --- listings ------------------------------------------------------------------------------------------------------


def send(shop, *changes, by=None):
    names = [name_of(row) for row, _ in changes]
    there = {now.external_id: now for now in connector(shop).read_listings(external_ids=names)}
    writes = [
        ListingWrite(name_of(row), name_of(row), str(row.parent_id or row.pk), there[name_of(row)].own, after)
        for row, after in changes
    ]
    return list((by or connector(shop)).write_listings(writes=writes, idempotency_key="k", now=NOW))


def options_of(shop):
    (product,) = [row for row in shop.call("GET", "/products") if row["type"] == "variable"]
    return [(one["name"], one["options"]) for one in product["attributes"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("sku", "calls"), [("MUG", "/products"), ("SHIRT-S", "/variations")])
def test_a_listing_that_a_reading_leaves_out_is_there_and_its_fields_are_written(shop, sku, calls):
    by, row = connector(shop), Product.objects.get(sku=sku)
    leave_out(by._client._session, call=f"GET {calls}", ids=[row.pk], times=2)
    assert [now.external_id for now in by.read_listings(external_ids=[name_of(row)])] == [name_of(row)]
    (result,) = send(shop, (row, ListingFields(sku="NEW-SKU")), by=by)
    assert result.outcome is APPLIED
    row.refresh_from_db()
    assert row.sku == "NEW-SKU"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("force", ["true", "false"])
def test_control_a_listing_that_is_deleted_or_in_the_bin_is_not_read_nor_written(shop, force):
    mug = shop.mug
    (was,) = connector(shop).read_listings(external_ids=[name_of(mug)])
    shop.call("DELETE", f"/products/{mug.pk}", force=force)
    assert connector(shop).read_listings(external_ids=[name_of(mug)]) == []
    change = ListingWrite(name_of(mug), name_of(mug), str(mug.pk), was.own, ListingFields(sku="NEW-SKU"))
    (result,) = connector(shop).write_listings(writes=[change], idempotency_key="k", now=NOW)
    assert (result.outcome, result.message) == (STALE, listings.GONE)


@pytest.mark.django_db(transaction=True)
def test_a_value_of_an_option_is_made_known_to_the_product_and_the_old_one_goes(shop):
    small, medium = shop.shirt("S"), shop.shirt("M")
    (result,) = send(shop, (small, ListingFields(options={"Size": "Small"})))
    assert result.outcome is APPLIED
    assert options_of(shop) == [("Size", ["Small", "M"])]
    (result,) = send(shop, (medium, ListingFields(options={"Size": "Small"})))
    assert options_of(shop) == [("Size", ["Small", "M"])]  # nothing new; what nobody has any more hurts nobody


@pytest.mark.django_db(transaction=True)
def test_an_options_name_changes_only_with_all_its_variations(shop):
    renamed = {"Size": "Fits"}

    def change(row, value):
        return row, ListingFields(options={"Fits": value}, option_names=renamed)

    (alone,) = send(shop, change(shop.shirt("S"), "S"))
    assert alone.outcome is REFUSED
    assert "all variations" in alone.message
    results = send(shop, change(shop.shirt("S"), "S"), change(shop.shirt("M"), "M"))
    assert [(result.outcome, result.message) for result in results] == [(APPLIED, ""), (APPLIED, "")]
    assert options_of(shop) == [("Fits", ["S", "M"])]
    Product.objects.filter(type="variable").update(
        attributes=[{"id": 4, "name": "Fits", "position": 0, "visible": True, "variation": True, "options": ["S"]}]
    )
    Product.objects.filter(type="variation").update(attributes=[{"id": 4, "name": "Fits", "option": "S"}])
    fields = ListingFields(options={"Size": "S"}, option_names={"Fits": "Size"})
    back = [(shop.shirt(size), fields) for size in ("S", "M")]
    assert [result.outcome for result in send(shop, *back)] == [REFUSED, REFUSED]  # the whole shop's attribute


@pytest.mark.django_db(transaction=True)
def test_what_is_not_counted_cannot_be_stopped_at_zero(shop):
    (result,) = send(shop, (shop.mug, ListingFields(is_tracked=False, sells_past_zero=False)))
    assert result.outcome is REFUSED
    assert shop.stock("MUG") == 10


@pytest.mark.django_db(transaction=True)
def test_a_duplicate_sku_is_refused_in_the_shops_own_words_and_its_neighbour_written(shop):
    results = send(shop, (shop.mug, ListingFields(sku="SHIRT-S")), (shop.shirt("M"), ListingFields(sku="NEW")))
    assert [result.outcome for result in results] == [REFUSED, APPLIED]
    assert "duplicated SKU" in results[0].message


@responses.activate
def test_a_shop_too_old_for_barcodes_refuses_one():
    document = {"id": 31, "type": "simple", "sku": "MUG", "manage_stock": True, "stock_quantity": 1, "attributes": []}
    api = "https://shop.example.com/wp-json/wc/v3/products"
    responses.get(api, json=[document], headers={"X-WP-Total": "1"})
    responses.post(f"{api}/batch", json={"update": [document]})
    fields = ListingFields(gtin="4006381333931")
    (result,) = elsewhere().write_listings(
        writes=[ListingWrite("31", "31", "31", document, fields)], idempotency_key="k", now=NOW
    )
    assert result.outcome is REFUSED


# --- webhooks ------------------------------------------------------------------------------------------------------


def signed(body, *, topic="order.updated", secret="s", delivery="d1"):
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": delivery, "x-wc-webhook-signature": digest,
        "user-agent": AGENT, "content-type": "application/json",
    }  # fmt: skip


def test_the_unsigned_ping_is_let_in_as_what_it_is_and_nothing_else_unsigned_is():
    headers = {"user-agent": AGENT, "content-type": "application/x-www-form-urlencoded"}
    verify = elsewhere().verify
    assert verify(headers=headers, body=b"webhook_id=42")
    envelope = elsewhere().identify(headers=headers, body=b"webhook_id=42")
    assert (envelope.topic, envelope.dedupe_key) == ("ping", "ping:42")
    assert elsewhere().parse(topic="ping", body=b"webhook_id=42").kind is HintKind.NOTHING
    for body in (b"webhook_id=42&topic=order.updated", b"webhook_id=", b"webhook_id=4x", b'{"id":42}', b""):
        assert not verify(headers=headers, body=body)
    assert not verify(headers={}, body=b"webhook_id=42")
    assert not verify(headers=headers | {"x-wc-webhook-topic": "order.updated"}, body=b"webhook_id=42")


def test_a_signature_needs_the_secret_and_every_byte():
    account = Account("x", "https://shop.example.com", {"webhook_secret": "s"}, URL)
    verify = WooCommerceConnector(account=account).verify
    body = b'{"id":7}'
    assert verify(headers=signed(body), body=body)
    assert not verify(headers=signed(body, secret="t"), body=body)
    assert not verify(headers=signed(body), body=body + b" ")
    assert not elsewhere().verify(headers=signed(body, secret=""), body=body)  # no secret kept: nothing is theirs


def test_two_deliveries_of_one_second_are_two_and_one_sent_twice_is_one():
    first, second = b'{"id":7,"status":"processing"}', b'{"id":7,"status":"completed"}'
    keys = [webhooks.identify(headers=signed(body), body=body).dedupe_key for body in (first, second, second)]
    assert keys[0] != keys[1] == keys[2]


@pytest.mark.parametrize(
    ("topic", "payload", "kind", "ids"),
    [
        ("order.created", {"id": 7}, HintKind.ORDERS, ("7",)),
        ("order.deleted", {"id": 7}, HintKind.ORDERS, ("7",)),
        ("product.deleted", {"id": 31}, HintKind.CATALOG, ("all",)),
        ("product.created", {"id": 31, "type": "simple", "manage_stock": True}, HintKind.CATALOG, ()),
        ("product.updated", {"id": 31, "type": "variable", "manage_stock": False}, HintKind.CATALOG, ()),
        ("product.updated", {"id": 31, "type": "simple", "manage_stock": True}, HintKind.STOCK, ("31",)),
        ("product.updated", VARIATION, HintKind.STOCK, ("22/23",)),
        ("customer.updated", {"id": 1}, HintKind.NOTHING, ()),
        ("action.woocommerce_add_to_cart", {"action": "x", "arg": 1}, HintKind.NOTHING, ()),
        ("subscription.renewed", {"id": 1}, HintKind.UNKNOWN, ()),
    ],
)  # fmt: skip
def test_a_webhook_names_what_to_read_again(topic, payload, kind, ids):
    hint = webhooks.parse(topic=topic, body=json.dumps(payload).encode())
    assert (hint.kind, hint.ids) == (kind, ids)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id":true}', b'{"id":"7"}', b'{"id":-1}', b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_malformed(body):
    with pytest.raises(MalformedPayload):
        webhooks.parse(topic="order.updated", body=body)


@pytest.mark.django_db(transaction=True)
def test_a_disabled_webhook_is_missing_when_looked_for_and_woken_when_subscribed(shop):
    subscriptions = connector(shop).subscribe()
    (secret,) = {one.secrets["webhook_secret"] for one in subscriptions}
    ours = connector(shop, webhook_secret=secret)
    assert len(ours.subscribe(existing_only=True)) == len(webhooks.TOPICS) == 8
    dead = Webhook.objects.get(topic="order.updated")
    dead.status = Webhook.Status.DISABLED
    dead.save()

    assert "order.updated" not in {one.topics[0] for one in ours.subscribe(existing_only=True)}
    ours.subscribe()

    dead.refresh_from_db()
    assert (dead.status, dead.secret) == ("active", secret)
    assert Webhook.objects.count() == 8
    assert len(ours.subscribe(existing_only=True)) == 8


@pytest.mark.django_db(transaction=True)
def test_doubles_and_stale_addresses_go_and_others_webhooks_stay(shop):
    connector(shop).subscribe()
    twin = shop.listen("order.updated", delivery_url=URL)
    stale = shop.listen("order.created", delivery_url=URL.replace("studio", "old"))
    others = shop.listen("order.created", delivery_url="https://else.example.com/hook")
    connector(shop, webhook_secret="s").subscribe()
    left = set(Webhook.objects.values_list("pk", flat=True))
    assert len(left) == 9
    assert others.pk in left
    assert not {twin.pk, stale.pk} & left
    connector(shop).unsubscribe()
    assert set(Webhook.objects.values_list("pk", flat=True)) == {others.pk}


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_was_lost_is_replaced_at_all_webhooks(shop):
    first = connector(shop).subscribe()[0].secrets["webhook_secret"]
    second = connector(shop).subscribe()[0].secrets["webhook_secret"]
    assert first != second
    assert set(Webhook.objects.values_list("secret", flat=True)) == {second}


# --- what shops answer ---------------------------------------------------------------------------------------------


def asked(**answer):
    with responses.RequestsMock() as web:
        web.get("https://shop.example.com/wp-json/wc/v3/products", **answer)
        with pytest.raises(ConnectorError) as failed:
            elsewhere().list_locations()
    return failed.value


def test_each_failure_means_what_it_is():
    gone = asked(status=401, json={"code": "woocommerce_rest_authentication_error", "message": "x"})
    assert (gone.permanent, gone.needs_reconnect) == (True, True)
    poor = asked(status=403, json={"code": "woocommerce_rest_cannot_view", "message": "x"})
    assert poor.needs_reconnect
    firewall = asked(status=403, body="<html>Forbidden</html>")
    assert (firewall.permanent, firewall.needs_reconnect) == (False, False)
    assert asked(status=503, body="maintenance", headers={"Retry-After": "30"}).retry_after_s == 30
    assert asked(status=429, body="slow down").retry_after_s is not None
    assert not asked(status=500, json={"code": "internal_server_error"}).permanent
    notice = asked(status=200, body="<b>Notice</b>: undefined index")
    assert (notice.code, notice.permanent) == ("NOT_JSON", False)
    moved = asked(status=301, headers={"Location": "https://www.shop.example.com/wp-json"})
    assert moved.permanent
    assert "www.shop.example.com" in str(moved)
    assert asked(status=404, json={"code": "rest_no_route", "message": "x"}).permanent


def test_a_secret_is_never_sent_in_the_clear():
    with responses.RequestsMock(), pytest.raises(ConnectorError) as refused:
        elsewhere("http://shop.example.com").list_locations()
    assert (refused.value.code, refused.value.permanent) == ("NOT_HTTPS", True)


@responses.activate
def test_an_answer_that_is_no_list_is_a_passing_failure():
    responses.get("https://shop.example.com/wp-json/wc/v3/orders", json={"odd": 1})
    with pytest.raises(ConnectorError) as failed:
        elsewhere().fetch_orders_since(since=NOW, cursor="", location_ids=["shop"])
    assert (failed.value.code, failed.value.permanent) == ("UNREADABLE", False)


def test_secrets_are_what_a_person_copies():
    assert [one.name for one in WooCommerceConnector.capabilities.secrets] == ["consumer_key", "consumer_secret"]
    assert dataclasses.is_dataclass(WooCommerceConnector.capabilities)
