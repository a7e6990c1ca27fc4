"""No request, however malformed, makes the stand-in fail: it refuses in the vendor's words."""

import copy
import random

import pytest
from square_shop import SquareShop, item_body

WRONG = [None, 1, "x", [], {}, [1], ["x"], [None], {"a": 1}, True, -1.5, [{}], [[]]]
NOT_SERVED = 501
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def shop(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return SquareShop(server_url=live_server.url)


def good_requests(shop):
    """A right request for each address that takes a body."""
    (mug,) = shop.item("MUG")
    order_id = shop.order((mug, "1")).id
    order = {
        "location_id": shop.street,
        "version": 1,
        "line_items": [{"catalog_object_id": mug, "quantity": "1"}],
        "taxes": [{"name": "VAT", "percentage": "8"}],
        "discounts": [{"name": "One", "amount_money": {"amount": 1, "currency": "USD"}}],
        "fulfillments": [{"type": "PICKUP", "pickup_details": {"note": "x"}}],
    }
    span = {"created_at": {"start_at": LONG_AGO}}
    query = {"filter": {"state_filter": {"states": ["OPEN"]}, "date_time_filter": span}}
    money = {"amount": 1, "currency": "USD"}
    exact = {"exact_query": {"attribute_name": "sku", "attribute_value": "x"}}
    item = item_body("Pot", ["POT"], location_overrides=[{"location_id": shop.street}])
    hook = {"name": "x", "event_types": ["order.created"], "notification_url": "http://shop.example/"}
    cell = {"catalog_object_ids": [mug], "location_ids": [shop.street], "states": ["IN_STOCK"], "limit": 5}
    return {
        ("POST", "/v2/catalog/search"): {"object_types": ["ITEM"], "query": exact, "begin_time": LONG_AGO},
        ("POST", "/v2/catalog/search-catalog-items"): {"text_filter": "x", "category_ids": ["x"]},
        ("POST", "/v2/catalog/batch-retrieve"): {"object_ids": [mug]},
        ("POST", "/v2/catalog/batch-upsert"): {"idempotency_key": "k", "batches": [{"objects": [item]}]},
        ("POST", "/v2/catalog/object"): {"idempotency_key": "k", "object": item},
        ("POST", "/v2/inventory/changes/batch-create"): {
            "idempotency_key": "k",
            "changes": [shop.adjustment(mug, "1")],
        },
        ("POST", "/v2/inventory/changes/batch-retrieve"): cell | {"types": ["ADJUSTMENT"], "sort": {}},
        ("POST", "/v2/inventory/counts/batch-retrieve"): cell | {"updated_after": LONG_AGO},
        ("POST", "/v2/orders"): {"idempotency_key": "k", "order": order},
        ("PUT", f"/v2/orders/{order_id}"): {"order": order, "fields_to_clear": ["discounts"]},
        ("POST", f"/v2/orders/{order_id}/pay"): {"idempotency_key": "k", "payment_ids": ["x"]},
        ("POST", "/v2/orders/search"): {"location_ids": [shop.street], "query": query, "limit": 5},
        ("POST", "/v2/payments"): {
            "idempotency_key": "k",
            "source_id": "CASH",
            "amount_money": money,
            "cash_details": {"buyer_supplied_money": money},
        },
        ("POST", "/v2/refunds"): {"idempotency_key": "k", "payment_id": "x", "amount_money": money},
        ("POST", "/v2/webhooks/subscriptions"): {"subscription": hook},
        ("PUT", f"/v2/locations/{shop.street}"): {"location": {"name": "x"}},
        ("POST", "/oauth2/token"): {"client_id": "x", "grant_type": "refresh_token", "refresh_token": "x"},
    }


def spoiled(value, *, dice):
    """A copy with one thing in it replaced by something wrong."""
    if not isinstance(value, dict | list) or not value or dice.random() < 0.2:
        return dice.choice(WRONG)
    value = copy.copy(value)
    place = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
    value[place] = spoiled(value[place], dice=dice)
    return value


def test_spoiled_requests_are_refused_or_served_never_a_failure(shop):
    dice = random.Random(20261123)
    for (method, path), body in good_requests(shop).items():
        for n in range(15):
            name = dice.choice(list(body))
            bad = body | {name: spoiled(body[name], dice=dice)}
            if bad.get("idempotency_key") == "k":
                bad["idempotency_key"] = f"k{n}"
            status, reply = shop.call(method, path, bad)
            assert status < 500 or status == NOT_SERVED, (method, path, bad, reply)
            assert status == 200 or reply["errors"][0]["code"]
