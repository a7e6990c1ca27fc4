import uuid

import pytest
from square.core.api_error import ApiError
from square_shop import SquareShop, ago, item_body, moment

from channels.sandbox.models import Delivery, Fault, Switch
from channels.sandbox.square import accounts
from channels.sandbox.square.models import Account


@pytest.fixture
def shop(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return SquareShop(server_url=live_server.url)


def code_of(error):
    return error.value.errors[0].code


# Who may ask


def test_the_sdk_keeps_the_path_prefix_and_lists_locations_by_name(shop):
    names = [row.name for row in shop.sdk.locations.list().locations]
    assert names == ["High Street", "Market"]
    assert shop.sdk.locations.get(location_id="main").location.id == shop.street


def test_the_version_header_is_echoed_and_a_bad_one_refused(shop):
    raw = shop.sdk.locations.with_raw_response.list()
    assert raw.headers["square-version"] == "2026-09-16"
    for version, code in (
        ("yesterday", "INVALID_SQUARE_VERSION_FORMAT"),
        ("2025-08-20", "API_VERSION_INCOMPATIBLE"),
    ):
        status, body = shop.call("GET", "/v2/locations", headers={"Square-Version": version})
        assert (status, body["errors"][0]["code"]) == (400, code)


def test_tokens_that_are_wrong_expired_or_revoked_are_told_apart(shop):
    def ask(token):
        with pytest.raises(ApiError) as error:
            shop.client(token).locations.list()
        assert error.value.status_code == 401
        return code_of(error)

    assert ask("EAAAnonsense") == "UNAUTHORIZED"
    first = shop.account.access_token
    shop.expire_token()
    assert ask(first) == "ACCESS_TOKEN_EXPIRED"
    accounts.revoke(account=shop.account)
    assert ask(first) == "ACCESS_TOKEN_REVOKED"


def test_a_token_without_the_scope_is_refused_with_403(shop):
    poor = accounts.create_account(name="Poor", locations=["A"], scopes=["MERCHANT_PROFILE_READ"])
    client = shop.client(poor.access_token)
    assert client.locations.list().locations  # control: the scope it has is enough
    with pytest.raises(ApiError) as error:
        list(client.catalog.list())
    assert (error.value.status_code, code_of(error)) == (403, "INSUFFICIENT_SCOPES")


def test_one_seller_does_not_see_anothers_catalog(shop):
    (mug,) = shop.item("MUG")
    other = accounts.create_account(name="Other", locations=["A"])
    with pytest.raises(ApiError) as error:
        shop.client(other.access_token).catalog.object.get(object_id=mug)
    assert error.value.status_code == 404


def test_unknown_paths_wrong_methods_and_broken_json_get_square_errors(shop):
    status, body = shop.call("GET", "/v2/teapots")
    assert (status, body["errors"][0]["code"]) == (404, "NOT_FOUND")
    status, body = shop.call("DELETE", "/v2/locations")
    assert (status, body["errors"][0]["code"]) == (405, "METHOD_NOT_ALLOWED")
    status, body = shop.call("POST", "/v2/orders", data=b"{not json")
    assert (status, body["errors"][0]["code"]) == (400, "EXPECTED_JSON_BODY")


def test_a_code_becomes_tokens_which_refresh_and_report_their_status(shop):
    account = shop.account
    status_code = shop.sdk.o_auth.retrieve_token_status()
    assert status_code.merchant_id == account.merchant_id
    import requests

    answer = requests.get(
        f"{shop.base_url}/oauth2/authorize",
        params={
            "client_id": account.application_id,
            "scope": "ITEMS_READ INVENTORY_READ",
            "state": "s3",
            "redirect_uri": "http://shop.example/back",
        },
        allow_redirects=False,
        timeout=10,
    )
    place = answer.headers["Location"]
    assert place.startswith("http://shop.example/back?")
    assert "state=s3" in place
    code = place.split("code=")[1].split("&")[0]
    app = {"client_id": account.application_id, "client_secret": account.client_secret}
    asked = {"code": code, "grant_type": "authorization_code", "redirect_uri": "http://shop.example/back"}
    tokens = shop.sdk.o_auth.obtain_token(**app, **asked)
    assert shop.client(tokens.access_token).o_auth.retrieve_token_status().scopes == [
        "ITEMS_READ",
        "INVENTORY_READ",
    ]
    with pytest.raises(ApiError):  # a code is spent by its use
        shop.sdk.o_auth.obtain_token(**app, **asked)
    again = shop.sdk.o_auth.obtain_token(**app, grant_type="refresh_token", refresh_token=tokens.refresh_token)
    assert again.refresh_token == tokens.refresh_token
    assert again.access_token != tokens.access_token
    with pytest.raises(ApiError) as error:
        shop.sdk.o_auth.obtain_token(
            client_id=account.application_id,
            client_secret="wrong",
            grant_type="refresh_token",
            refresh_token=tokens.refresh_token,
        )
    assert error.value.status_code == 401


def test_revoking_needs_the_application_secret_and_tells_the_subscriber(shop):
    subscription = shop.subscribe("oauth.authorization.revoked")
    body = {"client_id": shop.account.application_id, "merchant_id": shop.account.merchant_id}
    status, _ = shop.call("POST", "/oauth2/revoke", body, headers={"Authorization": "Client wrong"})
    assert status == 401
    secret = {"Authorization": f"Client {shop.account.client_secret}"}
    assert shop.call("POST", "/oauth2/revoke", body, headers=secret) == (200, {"success": True})
    (event,) = shop.events("oauth.authorization.revoked", subscription=subscription)
    assert event["data"]["object"]["revocation"]["revoker_type"] == "APPLICATION"
    assert shop.account.access_token == shop.account.refresh_token == ""


# Catalog


def test_temporary_ids_are_mapped_and_variations_print_both_nested_and_alone(shop):
    small, large = shop.item("MUG-S", "MUG-L")
    found = {entry.id: entry for entry in shop.sdk.catalog.list(types="ITEM,ITEM_VARIATION")}
    item = next(entry for entry in found.values() if entry.type == "ITEM")
    assert [inner.id for inner in item.item_data.variations] == [small, large]
    assert found[small].item_variation_data.item_id == item.id
    assert found[small].item_variation_data.sku == "MUG-S"


def test_a_stale_version_is_refused_and_the_current_one_taken(shop):
    (mug,) = shop.item("MUG")
    body = shop.call("GET", f"/v2/catalog/object/{mug}")[1]["object"]
    body["item_variation_data"]["sku"] = "MUG-2"
    request = {"idempotency_key": str(uuid.uuid4()), "object": body}
    status, reply = shop.call("POST", "/v2/catalog/object", request)
    assert (status, reply["catalog_object"]["item_variation_data"]["sku"]) == (200, "MUG-2")
    request["idempotency_key"] = str(uuid.uuid4())
    status, reply = shop.call("POST", "/v2/catalog/object", request)
    assert (status, reply["errors"][0]["code"]) == (400, "VERSION_MISMATCH")


def test_search_since_a_time_finds_only_what_changed_and_deleted_objects_on_request(shop):
    (mug,) = shop.item("MUG")
    (cup,) = shop.item("CUP", name="Cup")
    since = shop.sdk.catalog.search(object_types=["ITEM_VARIATION"]).latest_time
    assert shop.sdk.catalog.search(object_types=["ITEM_VARIATION"], begin_time=since).objects is None
    shop.sdk.catalog.object.delete(object_id=cup)
    assert shop.sdk.catalog.search(object_types=["ITEM_VARIATION"], begin_time=since).objects is None
    (gone,) = shop.sdk.catalog.search(
        object_types=["ITEM_VARIATION"], begin_time=since, include_deleted_objects=True
    ).objects
    assert (gone.id, gone.is_deleted) == (cup, True)
    query = {"exact_query": {"attribute_name": "sku", "attribute_value": "mug"}}
    assert [o.id for o in shop.sdk.catalog.search(object_types=["ITEM_VARIATION"], query=query).objects] == [mug]


def test_an_item_written_without_one_of_its_variations_loses_it(shop):
    small, large = shop.item("MUG-S", "MUG-L")
    item_id = shop.sdk.catalog.object.get(object_id=small).object.item_variation_data.item_id
    body = shop.call("GET", f"/v2/catalog/object/{item_id}")[1]["object"]
    body["item_data"]["variations"] = body["item_data"]["variations"][:1]
    shop.call("POST", "/v2/catalog/object", {"idempotency_key": "k", "object": body})
    alive = shop.sdk.catalog.batch_get(object_ids=[small, large]).objects
    assert [entry.id for entry in alive] == [small]


def test_a_batch_with_an_error_is_dropped_whole_and_the_others_are_kept(shop):
    bad = item_body("Bad", ["BAD"], upc="12AB")
    good = item_body("Good", ["GOOD"])
    half = item_body("Half", ["HALF"])
    reply = shop.sdk.catalog.batch_upsert(idempotency_key="k", batches=[{"objects": [half, bad]}, {"objects": [good]}])
    assert [entry.item_data.name for entry in reply.objects] == ["Good"]
    assert reply.errors[0].field.startswith("batches[0].")
    assert [entry.item_data.name for entry in shop.sdk.catalog.list(types="ITEM")] == ["Good"]


def test_a_catalog_pages_through_its_cursor(shop):
    objects = [item_body(f"Thing {n}", [f"T{n}"]) for n in range(120)]
    shop.sdk.catalog.batch_upsert(idempotency_key="k", batches=[{"objects": objects}])
    assert len(list(shop.sdk.catalog.list(types="ITEM_VARIATION"))) == 120
    status, body = shop.call("GET", "/v2/catalog/list?types=ITEM")
    assert (len(body["objects"]), "cursor" in body) == (100, True)
    status, body = shop.call("GET", f"/v2/catalog/list?types=IMAGE&cursor={body['cursor']}")
    assert (status, body["errors"][0]["code"]) == (400, "INVALID_CURSOR")


def test_search_catalog_items_matches_a_variations_sku(shop):
    (mug,) = shop.item("MUG-77")
    shop.item("CUP", name="Cup")
    reply = shop.sdk.catalog.search_items(text_filter="mug-77")
    assert ([i.item_data.name for i in reply.items], reply.matched_variation_ids) == (["Mug"], [mug])


# Inventory


def test_an_adjustment_moves_the_count_and_is_found_in_the_history_as_ours(shop):
    (mug,) = shop.item("MUG")
    change = shop.adjustment(mug, "10")
    change["adjustment"]["reference_id"] = "ledger-7"
    reply = shop.change(change)
    assert [(row.state, row.quantity) for row in reply.counts] == [("IN_STOCK", "10")]
    (entry,) = shop.sdk.inventory.batch_get_changes(catalog_object_ids=[mug])
    assert entry.adjustment.source.product == "EXTERNAL_API"
    assert entry.adjustment.source.application_id == shop.account.application_id
    assert entry.adjustment.reference_id == "ledger-7"
    same = shop.sdk.inventory.get_adjustment(adjustment_id=entry.adjustment.id)
    assert same.adjustment.quantity == "10"


def test_a_key_again_gives_the_same_answer_and_with_another_body_is_refused(shop):
    (mug,) = shop.item("MUG")
    change = shop.adjustment(mug, "10")
    first = shop.change(change, key="k1")
    assert shop.change(change, key="k1") == first
    assert shop.stock(mug) == "10"
    with pytest.raises(ApiError) as error:
        shop.change(shop.adjustment(mug, "11"), key="k1")
    assert (error.value.status_code, code_of(error)) == (400, "IDEMPOTENCY_KEY_REUSED")


def test_a_batch_of_changes_is_all_or_nothing(shop):
    (mug,) = shop.item("MUG")
    with pytest.raises(ApiError) as error:
        shop.change(shop.adjustment(mug, "1"), shop.adjustment(mug, "1", move=("SOLD", "IN_STOCK")))
    assert (code_of(error), error.value.errors[0].field) == ("INVALID_VALUE", "changes[1].adjustment")
    assert shop.stock(mug) is None  # absent, not zero


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"location_id": "L1"}, "UNKNOWN_BODY_PARAMETER"),
        ({"to_location_id": None}, "MISSING_REQUIRED_PARAMETER"),
        ({"quantity": "1.5"}, "INVALID_VALUE"),
        ({"quantity": 1}, "EXPECTED_STRING"),
        ({"quantity": "-1"}, "VALUE_TOO_LOW"),
        ({"quantity": "1.123456"}, "INVALID_VALUE"),
        ({"to_state": "CUSTOM"}, "INVALID_VALUE"),
        ({"from_state": "SOLD", "to_state": "NONE"}, "INVALID_VALUE"),
        ({"occurred_at": None}, "MISSING_REQUIRED_PARAMETER"),
        ({"occurred_at": "2020-01-01T00:00:00Z"}, "INVALID_TIME"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "INVALID_TIME"),
        ({"catalog_object_id": "NOBODY"}, "NOT_FOUND"),
        ({"to_location_id": "NOWHERE"}, "NOT_FOUND"),
    ],
)
def test_what_square_refuses_is_refused(shop, spoil, code):
    (mug,) = shop.item("MUG")
    change = shop.adjustment(mug, "1")
    change["adjustment"] |= spoil
    status, body = shop.call(
        "POST", "/v2/inventory/changes/batch-create", {"idempotency_key": "k", "changes": [change]}
    )
    assert body["errors"][0]["code"] == code
    assert status == (404 if code == "NOT_FOUND" else 400)


def test_fractions_need_a_measurement_unit(shop):
    (flour,) = shop.item("FLOUR", measurement_unit_id="KG")
    shop.change(shop.adjustment(flour, "2.5"))
    assert shop.stock(flour) == "2.5"


def test_a_late_sale_dated_before_a_recount_does_not_move_the_count(shop):
    (mug,) = shop.item("MUG")
    shop.count(mug, "20", at=ago(hours=3))
    shop.count(mug, "12", at=ago(hours=1))
    shop.change(shop.adjustment(mug, "2", move=("IN_STOCK", "SOLD"), at=ago(hours=2)))
    assert shop.stock(mug) == "12"
    shop.change(shop.adjustment(mug, "2", move=("IN_STOCK", "SOLD"), at=ago(minutes=30)))
    assert shop.stock(mug) == "10"
    shop.count(mug, "50", at=ago(hours=2))  # an older count arriving late changes nothing
    assert shop.stock(mug) == "10"


def test_goods_move_between_locations_and_to_waste(shop):
    (mug,) = shop.item("MUG")
    shop.change(shop.adjustment(mug, "10"))
    shop.change(shop.adjustment(mug, "4", move=("IN_STOCK", "IN_STOCK"), to=shop.market))
    shop.change(shop.adjustment(mug, "1", move=("IN_STOCK", "WASTE")))
    assert (shop.stock(mug), shop.stock(mug, place=shop.market)) == ("5", "4")
    assert shop.stock(mug, state="WASTE") == "1"


def test_an_unchanged_recount_is_dropped_from_the_history(shop):
    (mug,) = shop.item("MUG")
    assert len(shop.count(mug, "5").changes) == 1
    assert shop.count(mug, "5").changes == []
    assert len(shop.count(mug, "6").changes) == 1


def test_counts_page_newest_first_and_filter_by_time(shop):
    variations = shop.item(*[f"M{n}" for n in range(7)])
    for variation in variations:
        last = shop.count(variation, "3").counts[0]
    ids = [row.catalog_object_id for row in shop.sdk.inventory.batch_get_counts(limit=2)]
    assert ids == variations[::-1]
    newest = shop.sdk.inventory.batch_get_counts(updated_after=last.calculated_at)
    assert list(newest) == []


def test_a_sold_out_variation_says_so_and_cannot_be_told_so(shop):
    (mug,) = shop.item("MUG", location_overrides=[{"location_id": shop.market, "sold_out": True}])
    shop.count(mug, "0")
    data = shop.sdk.catalog.object.get(object_id=mug).object.item_variation_data
    assert {o.location_id: o.sold_out for o in data.location_overrides} == {
        shop.street: True,
        shop.market: None,
    }


# Orders and money


def test_a_paid_order_completes_takes_stock_and_sends_signed_events(shop):
    subscription = shop.subscribe(
        "order.created", "order.updated", "payment.created", "payment.updated", "inventory.count.updated"
    )
    (mug,) = shop.item("MUG")
    shop.count(mug, "10")
    order = shop.order((mug, "3"))
    assert (order.total_money.amount, order.version, order.state) == (1500, 1, "OPEN")
    assert shop.stock(mug) == "10"  # an open order promises nothing
    shop.pay(order)
    order = shop.sdk.orders.get(order_id=order.id).order
    assert (order.state, order.version, order.net_amount_due_money.amount) == ("COMPLETED", 2, 0)
    assert [tender.type for tender in order.tenders] == ["CASH"]
    assert shop.stock(mug) == "7"
    change = list(shop.sdk.inventory.batch_get_changes(catalog_object_ids=[mug], types=["ADJUSTMENT"]))[-1]
    assert change.adjustment.source.product == "SQUARE_POS"
    assert change.adjustment.source.application_id != shop.account.application_id
    counts = [
        event["data"]["object"]["inventory_counts"][0]["quantity"]
        for event in shop.events("inventory.count.updated", subscription=subscription)
    ]
    assert counts == ["10", "7"]
    (created,) = shop.events("order.created", subscription=subscription)
    assert created["data"]["object"]["order_created"]["version"] == 1
    (updated,) = shop.events("order.updated", subscription=subscription)
    assert updated["data"]["object"]["order_updated"]["state"] == "COMPLETED"
    assert len(shop.events("payment.created", subscription=subscription)) == 1


def test_a_till_may_sell_below_zero_and_an_untracked_variation_is_left_alone(shop):
    (mug,) = shop.item("MUG")
    (bag,) = shop.item("BAG", name="Bag", track_inventory=False)
    shop.sell((mug, "2"), (bag, "1"))
    assert (shop.stock(mug), shop.stock(bag)) == ("-2", None)


def test_tracking_may_be_switched_off_for_one_location(shop):
    (mug,) = shop.item("MUG")
    body = shop.call("GET", f"/v2/catalog/object/{mug}")[1]["object"]
    body["item_variation_data"]["location_overrides"] = [{"location_id": shop.market, "track_inventory": False}]
    shop.call("POST", "/v2/catalog/object", {"idempotency_key": "k", "object": body})
    shop.sell((mug, "1"), place=shop.market)
    shop.sell((mug, "1"))
    assert (shop.stock(mug, place=shop.market), shop.stock(mug)) == (None, "-1")


def test_approved_payments_are_collected_by_pay_order(shop):
    (mug,) = shop.item("MUG")
    order = shop.order((mug, "1"))
    payment = shop.pay(order, autocomplete=False)
    assert (payment.status, shop.stock(mug)) == ("APPROVED", None)
    with pytest.raises(ApiError) as error:
        shop.sdk.orders.pay(order_id=order.id, idempotency_key="short", payment_ids=[])
    assert code_of(error) == "PAYMENT_AMOUNT_MISMATCH"
    paid = shop.sdk.orders.pay(order_id=order.id, idempotency_key="whole", payment_ids=[payment.id]).order
    assert (paid.state, shop.stock(mug)) == ("COMPLETED", "-1")
    again = shop.sdk.orders.pay(order_id=order.id, idempotency_key="whole", payment_ids=[payment.id]).order
    assert (again.version, shop.stock(mug)) == (paid.version, "-1")


def test_two_part_payments_settle_one_order_and_more_than_is_due_is_refused(shop):
    (mug,) = shop.item("MUG")
    order = shop.order((mug, "1"))
    shop.pay(order, amount=200)
    assert shop.stock(mug) is None
    with pytest.raises(ApiError) as error:
        shop.pay(order, amount=400)
    assert code_of(error) == "PAYMENT_AMOUNT_MISMATCH"
    shop.pay(order, amount=300)
    assert (shop.sdk.orders.get(order_id=order.id).order.state, shop.stock(mug)) == ("COMPLETED", "-1")


def test_a_paid_pickup_leaves_stock_at_once_and_completes_when_picked_up(shop):
    subscription = shop.subscribe("order.fulfillment.updated")
    (mug,) = shop.item("MUG")
    pickup = {
        "type": "PICKUP",
        "pickup_details": {"recipient": {"display_name": "Ann"}, "pickup_at": moment()},
    }
    order = shop.sell((mug, "1"), fulfillments=[pickup])
    assert (order.state, shop.stock(mug)) == ("OPEN", "-1")
    done = shop.sdk.orders.update(
        order_id=order.id,
        order={
            "location_id": shop.street,
            "version": order.version,
            "fulfillments": [{"uid": order.fulfillments[0].uid, "state": "COMPLETED"}],
        },
    ).order
    assert (done.state, shop.stock(mug)) == ("COMPLETED", "-1")
    (event,) = shop.events("order.fulfillment.updated", subscription=subscription)
    assert event["data"]["object"]["order_fulfillment_updated"]["fulfillment_update"][0]["new_state"] == "COMPLETED"


def test_an_update_is_sparse_needs_the_version_and_a_used_key_drops_the_change(shop):
    (mug,) = shop.item("MUG")
    order = shop.order((mug, "1"))
    line = order.line_items[0].uid

    def change(quantity, version, key):
        return shop.sdk.orders.update(
            order_id=order.id,
            idempotency_key=key,
            order={
                "location_id": shop.street,
                "version": version,
                "line_items": [{"uid": line, "quantity": quantity}],
            },
        ).order

    bigger = change("2", 1, "a")
    assert (bigger.version, bigger.total_money.amount) == (2, 1000)
    assert change("9", 2, "a").total_money.amount == 1000
    with pytest.raises(ApiError) as error:
        change("3", 1, "b")
    assert code_of(error) == "VERSION_MISMATCH"
    closed = shop.sdk.orders.update(
        order_id=order.id, order={"location_id": shop.street, "version": 2, "state": "CANCELED"}
    ).order
    assert (closed.state, closed.closed_at is not None) == ("CANCELED", True)
    with pytest.raises(ApiError) as error:
        change("3", 3, "c")
    assert code_of(error) == "BAD_REQUEST"


def test_discounts_and_taxes_are_summed_to_the_cent(shop):
    (mug,) = shop.item("MUG", price=333)
    order = shop.order(
        (mug, "3"),
        discounts=[{"name": "Ten", "percentage": "10"}],
        taxes=[{"name": "VAT", "percentage": "8.5", "type": "ADDITIVE"}],
    )
    # 999 − 99.9 → 899; 8.5 % of 899 = 76.415 → 76
    assert order.total_discount_money.amount == 100
    assert order.total_tax_money.amount == 76
    assert order.total_money.amount == 975
    calculated = shop.sdk.orders.calculate(
        order={"location_id": shop.street, "line_items": [{"catalog_object_id": mug, "quantity": "3"}]}
    ).order
    assert calculated.total_money.amount == 999


def test_search_finds_orders_by_time_of_update_and_by_state(shop):
    (mug,) = shop.item("MUG")
    first, second = shop.order((mug, "1")), shop.order((mug, "1"))
    shop.pay(first)
    since = shop.sdk.orders.get(order_id=first.id).order.updated_at
    span = {"date_time_filter": {"updated_at": {"start_at": since}}}
    sort = {"sort_field": "UPDATED_AT", "sort_order": "ASC"}

    def ids(query, **rest):
        found = shop.sdk.orders.search(location_ids=[shop.street], query=query, **rest).orders
        return [order.id for order in found]

    assert ids({"filter": span, "sort": sort}) == [first.id]
    assert ids({"filter": {"state_filter": {"states": ["OPEN"]}}}) == [second.id]
    assert ids({}) == [second.id, first.id]
    page = shop.sdk.orders.search(location_ids=[shop.street], query={"sort": sort}, limit=1, return_entries=True)
    rest = shop.sdk.orders.search(
        location_ids=[shop.street], query={"sort": sort}, limit=1, return_entries=True, cursor=page.cursor
    )
    assert [page.order_entries[0].order_id, rest.order_entries[0].order_id] == [second.id, first.id]
    with pytest.raises(ApiError) as error:
        ids({"filter": span})
    assert code_of(error) == "CONFLICTING_PARAMETERS"


def test_a_refund_gives_money_back_and_never_more_than_was_paid(shop):
    subscription = shop.subscribe("refund.created", "refund.updated", "payment.updated")
    (mug,) = shop.item("MUG")
    order = shop.sell((mug, "2"))
    payment_id = order.tenders[0].payment_id

    def refund(amount):
        return shop.sdk.refunds.refund_payment(
            idempotency_key=str(uuid.uuid4()),
            payment_id=payment_id,
            amount_money={"amount": amount, "currency": "USD"},
            reason="Chipped",
        ).refund

    assert refund(600).status == "COMPLETED"
    with pytest.raises(ApiError) as error:
        refund(600)
    assert code_of(error) == "REFUND_AMOUNT_INVALID"
    assert shop.sdk.payments.get(payment_id=payment_id).payment.refunded_money.amount == 600
    assert [r.amount_money.amount for r in shop.sdk.orders.get(order_id=order.id).order.refunds] == [600]
    assert shop.stock(mug) == "-2"  # money back is not goods back
    statuses = [
        event["data"]["object"]["refund"]["status"]
        for type_ in ("refund.created", "refund.updated")
        for event in shop.events(type_, subscription=subscription)
    ]
    assert statuses == ["PENDING", "COMPLETED"]


def test_a_return_is_an_order_of_its_own_with_its_refund_and_restocks_only_if_switched(shop):
    (mug,) = shop.item("MUG")
    shop.count(mug, "10")
    order = shop.sell((mug, "3"))
    status, body = shop.take_back((0, "1"), of=order)
    back = body["order"]
    assert (status, back["state"], back["net_amounts"]["total_money"]["amount"]) == (200, "COMPLETED", -500)
    assert back["refunds"][0]["amount_money"]["amount"] == 500
    assert shop.stock(mug) == "7"
    shop.change(shop.adjustment(mug, "1", move=("UNLINKED_RETURN", "IN_STOCK")))
    assert shop.stock(mug) == "8"
    Switch.objects.create(name="square.return_restocks", value=True)
    shop.take_back((0, "1"), of=order)
    assert shop.stock(mug) == "9"
    status, body = shop.take_back((0, "2"), of=order)
    assert (status, body["errors"][0]["code"]) == (400, "INVALID_VALUE")  # 1 of 3 is left to return


def test_money_without_an_order_makes_one(shop):
    amount = {"amount": 700, "currency": "USD"}
    payment = shop.sdk.payments.create(
        source_id="EXTERNAL",
        idempotency_key="k",
        amount_money=amount,
        external_details={"type": "OTHER", "source": "voucher"},
        location_id=shop.market,
    ).payment
    order = shop.sdk.orders.get(order_id=payment.order_id).order
    assert (order.state, order.location_id, order.tenders[0].type) == ("COMPLETED", shop.market, "OTHER")


# Webhooks and misbehaviour


def test_an_event_goes_only_to_those_who_asked_and_only_where_the_scope_was_granted(shop):
    subscription = shop.subscribe("catalog.version.updated")
    (mug,) = shop.item("MUG")
    shop.count(mug, "1")
    assert list(Delivery.objects.values_list("topic", flat=True)) == ["catalog.version.updated"]
    client = shop.client(shop.account.personal_token)
    client.webhooks.subscriptions.update(subscription_id=subscription.id, subscription={"enabled": False})
    shop.item("CUP", name="Cup")
    assert Delivery.objects.count() == 1
    client.webhooks.subscriptions.update(subscription_id=subscription.id, subscription={"enabled": True})
    accounts.revoke(account=shop.account)
    poor = Account.objects.get(pk=shop.account.pk)
    accounts.issue_tokens(account=poor, scopes=["ITEMS_WRITE"], now=ago(seconds=0))
    body = {"idempotency_key": "k", "object": item_body("Pot", ["POT"])}
    assert shop.call("POST", "/v2/catalog/object", body, token=poor.access_token)[0] == 200
    assert Delivery.objects.count() == 1


def test_a_refused_call_owes_no_event(shop):
    shop.subscribe("inventory.count.updated")
    (mug,) = shop.item("MUG")
    with pytest.raises(ApiError):
        shop.change(shop.adjustment(mug, "1"), shop.adjustment("NOBODY", "1"))
    assert not Delivery.objects.exists()


def test_a_subscription_can_be_listed_tested_rekeyed_and_deleted(shop):
    subscription = shop.subscribe("order.created")
    hooks = shop.client(shop.account.personal_token).webhooks.subscriptions
    assert [row.id for row in hooks.list()] == [subscription.id]
    hooks.test(subscription_id=subscription.id, event_type="order.created")
    assert len(shop.events("order.created", subscription=subscription)) == 1
    key = hooks.update_signature_key(subscription_id=subscription.id).signature_key
    assert hooks.get(subscription_id=subscription.id).subscription.signature_key == key
    hooks.delete(subscription_id=subscription.id)
    assert list(hooks.list()) == []


def test_planned_faults_answer_in_squares_words(shop):
    (mug,) = shop.item("MUG")
    options = {"max_retries": 0}
    Fault.objects.create(vendor="square", operation="inventory.", kind="rate_limited", remaining=1)
    with pytest.raises(ApiError) as error:
        shop.sdk.inventory.get(catalog_object_id=mug, request_options=options)
    assert (error.value.status_code, code_of(error)) == (429, "RATE_LIMITED")
    Fault.objects.create(vendor="square", operation="inventory.batch_create_changes", kind="timeout_after", remaining=1)
    change = {"idempotency_key": "k", "changes": [shop.adjustment(mug, "4")]}
    with pytest.raises(ApiError) as error:
        shop.sdk.inventory.batch_create_changes(**change, request_options=options)
    assert error.value.status_code == 504
    shop.sdk.inventory.batch_create_changes(**change)  # the same key again: told what happened, not done twice
    assert shop.stock(mug) == "4"
