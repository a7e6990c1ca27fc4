"""The Shopify stand-in's doors over real HTTP: tokens, scopes, cost, errors, webhooks, and its schema."""

import base64
import gzip
import hashlib
import hmac
import json
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import requests
from django.utils import timezone
from shopify_sales import CONTRACT, ShopifySales

from channels.sandbox.models import Delivery, Fault, Switch
from channels.sandbox.shopify import accounts, executor
from channels.sandbox.shopify.models import App, Shop, Token

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "{ shop { id } }"
SET = """
mutation($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes { name delta quantityAfterChange } } userErrors { code field message }
  }
}
"""


@pytest.fixture
def sales(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ShopifySales(server_url=live_server.url)


def post(sales, query, variables=None, *, token=None, **more):
    body = {"query": query, "variables": variables or {}} | more
    headers = {"X-Shopify-Access-Token": sales.token if token is None else token}
    return requests.post(sales.url, json=body, headers=headers, timeout=20)


def token_url(sales):
    return f"{sales.url.split('/admin/')[0]}/admin/oauth/access_token"


def ask_token(sales, **fields):
    app = sales.shop.app
    given = {"client_id": app.client_id, "client_secret": app.client_secret} | fields
    return requests.post(token_url(sales), data=given, timeout=20)


def set_input(sales, variant, *entries):
    rows = [{"inventoryItemId": variant.item.gid, "locationId": place.gid} | more for place, more in entries]
    return {"name": "available", "reason": "correction", "quantities": rows}


# Tokens


def test_a_token_opens_its_own_shop_and_no_other(sales, live_server):
    other = ShopifySales(server_url=live_server.url, domain="other.myshopify.com")

    assert post(sales, SHOP).json()["data"]["shop"]["id"] == sales.shop.gid
    refused = post(sales, SHOP, token=other.token)

    assert refused.status_code == 401
    assert isinstance(refused.json()["errors"], str)


def test_an_answer_names_the_version_it_is_of(sales):
    assert post(sales, SHOP).headers["X-Shopify-API-Version"] == "2026-10"


def test_every_call_is_refused_once_the_app_is_uninstalled(sales):
    hook = "https://studio.example.test/gone"
    sales.shop.subscriptions.create(topic="APP_UNINSTALLED", uri=hook)

    accounts.uninstall(sales.shop)

    assert post(sales, SHOP).status_code == 401
    assert ask_token(sales, grant_type="client_credentials").status_code == 400
    assert Delivery.objects.get(url=hook).headers["X-Shopify-Topic"] == "app/uninstalled"


def test_client_credentials_give_a_token_for_a_day(sales):
    body = ask_token(sales, grant_type="client_credentials").json()

    assert body["expires_in"] == 86399
    assert "refresh_token" not in body
    assert post(sales, SHOP, token=body["access_token"]).status_code == 200
    Token.objects.filter(value=body["access_token"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert post(sales, SHOP, token=body["access_token"]).status_code == 401


def test_a_wrong_secret_gives_no_token(sales):
    assert ask_token(sales, grant_type="client_credentials", client_secret="wrong").status_code == 401


def code_of(sales):
    app = App.objects.get(shop=sales.shop)
    query = {"client_id": app.client_id, "redirect_uri": "https://studio.example.test/back", "state": "s1"}
    address = token_url(sales).replace("access_token", "authorize")
    answer = requests.get(address, params=query, allow_redirects=False, timeout=20)
    given = {name: values[0] for name, values in parse_qs(urlparse(answer.headers["Location"]).query).items()}
    signature = given.pop("hmac")
    text = "&".join(f"{name}={given[name]}" for name in sorted(given))
    assert hmac.new(app.client_secret.encode(), text.encode(), hashlib.sha256).hexdigest() == signature
    assert given["state"] == "s1"
    return given["code"]


def test_a_code_is_signed_and_good_for_one_pair_of_tokens(sales):
    code = code_of(sales)
    body = ask_token(sales, code=code, expiring="1").json()

    assert (body["expires_in"], body["refresh_token_expires_in"]) == (3600, 90 * 86400)
    assert post(sales, SHOP, token=body["access_token"]).status_code == 200
    assert ask_token(sales, code=code, expiring="1").status_code == 400


def test_an_old_refresh_token_ends_when_the_new_pair_is_used(sales):
    first = ask_token(sales, code=code_of(sales), expiring="1").json()
    ask = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    lost = ask_token(sales, **ask).json()
    second = ask_token(sales, **ask)
    assert second.status_code == 200, "the first answer was lost: the old token must still be good"
    assert lost["refresh_token"] != second.json()["refresh_token"]

    assert post(sales, SHOP, token=second.json()["access_token"]).status_code == 200
    assert ask_token(sales, **ask).status_code == 400


def test_a_field_whose_scope_was_not_granted_is_denied(sales):
    App.objects.filter(shop=sales.shop).update(scopes=["read_products"])

    denied = post(sales, "{ inventoryProperties { quantityNames { name } } }").json()

    assert denied["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert denied["data"] == {"inventoryProperties": None}
    assert "errors" not in post(sales, "{ productsCount { count } }").json()


# Cost


def test_every_answer_says_what_it_cost(sales):
    cost = post(sales, SHOP).json()["extensions"]["cost"]

    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (1, 1)
    assert cost["throttleStatus"]["maximumAvailable"] == 2000
    assert cost["throttleStatus"]["restoreRate"] == 100


def test_what_was_asked_for_and_not_used_is_given_back(sales):
    sales.stock(street=1)
    query = "{ products(first: 100) { nodes { id variants(first: 5) { nodes { id } } } } }"

    cost = post(sales, query).json()["extensions"]["cost"]

    assert cost["requestedQueryCost"] > 500 > cost["actualQueryCost"]
    assert cost["throttleStatus"]["currentlyAvailable"] > 1900


def test_an_empty_bucket_throttles_and_fills_again(sales):
    Switch.objects.create(name="shopify.bucket", value=[30, 1])
    query = "{ products(first: 10) { nodes { id title } } }"
    Shop.objects.update(bucket_available=5, bucket_at=timezone.now())

    throttled = post(sales, query)

    assert throttled.status_code == 200
    body = throttled.json()
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert "data" not in body
    assert body["extensions"]["cost"]["actualQueryCost"] is None
    Shop.objects.update(bucket_at=timezone.now() - timedelta(seconds=60))
    assert "errors" not in post(sales, query).json()
    Shop.objects.update(bucket_available=30, bucket_at=timezone.now() + timedelta(seconds=60))
    assert "errors" not in post(sales, query).json(), "a clock that is set back empties nothing"


def test_a_query_that_may_cost_over_a_thousand_is_refused(sales):
    query = """query($n: Int = 100) { products(first: $n) { nodes { id variants(first: 50) { nodes {
      id product { id } } } } } }"""

    assert post(sales, query).json()["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert "errors" not in post(sales, query, {"n": 2}).json()


def test_calls_at_once_take_from_one_bucket(sales):
    Switch.objects.create(name="shopify.bucket", value=[1000, 0])
    Shop.objects.update(bucket_available=1000)
    query = "{ products(first: 200) { nodes { id vendor options { id } } } }"
    barrier, seen = threading.Barrier(6), []

    def call():
        barrier.wait()
        seen.append("errors" in post(sales, query).json())

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    left = post(sales, SHOP).json()["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"]
    assert len(seen) == 6
    assert 0 <= left <= 1000
    spent = 2 * (6 - sum(seen)) + 1
    assert left == pytest.approx(1000 - spent, abs=15)


# Errors


def test_a_body_that_is_no_request_is_refused(sales):
    headers = {"X-Shopify-Access-Token": sales.token}
    for body in ("", "[]", "{}", '{"query": "{ shop { id } }", "variables": [1]}'):
        assert requests.post(sales.url, data=body, headers=headers, timeout=20).status_code == 400
    assert "errors" in post(sales, "{ shop { nothing } }").json()
    assert "errors" in post(sales, "{ shop {").json()


def test_a_variable_of_the_wrong_kind_is_refused_before_anything_is_paid(sales):
    answer = post(sales, "query($n: Int!) { products(first: $n) { nodes { id } } }", {"n": "many"}).json()

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"


def test_an_id_of_another_kind_is_refused(sales):
    answer = post(sales, 'mutation { productUpdate(product: {id: "gid://shopify/Order/1"}) { product { id } } }').json()

    assert answer["errors"][0]["message"] == "Invalid global id 'gid://shopify/Order/1'"


def test_planned_faults_hit_by_the_name_of_the_first_field(sales):
    Fault.objects.create(vendor="shopify", operation="shop", kind=Fault.Kind.RATE_LIMITED, remaining=1)

    assert (
        "data" in post(sales, "query A { productsCount { count } } query B { shop { id } }", operationName="A").json()
    )
    limited = post(sales, "query A { productsCount { count } } query B { shop { id } }", operationName="B")

    assert limited.status_code == 429
    assert limited.headers["Retry-After"]
    assert post(sales, SHOP).status_code == 200


def test_a_lost_answer_is_lost_after_the_change(sales):
    mug = sales.stock(street=3)
    Fault.objects.create(vendor="shopify", operation="inventorySet", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    key = str(uuid.uuid4())
    given = {"input": set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": 3})), "key": key}

    assert post(sales, SET, given).status_code == 504
    assert sales.units(mug, sales.street)[0] == 9
    again = post(sales, SET, given).json()["data"]["inventorySetQuantities"]
    assert again["userErrors"] == []
    assert {"name": "available", "delta": 6, "quantityAfterChange": 9} in again["inventoryAdjustmentGroup"]["changes"]


# Idempotency


def test_a_mutation_of_stock_without_a_key_is_refused_as_at_the_vendor(sales):
    mug = sales.stock(street=3)
    query = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    given = {"input": set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": None}))}

    answer = post(sales, query, given).json()

    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert answer["errors"][0]["path"] == ["inventorySetQuantities"]
    assert answer["data"] == {"inventorySetQuantities": None}
    assert sales.units(mug, sales.street)[0] == 3


def test_a_key_used_again_gives_the_first_answer_and_changes_nothing(sales):
    mug = sales.stock(street=3)
    entry = (sales.street, {"quantity": 9, "changeFromQuantity": 3})
    given = {"input": set_input(sales, mug, entry), "key": "k1"}
    first = post(sales, SET, given).json()["data"]
    post(
        sales,
        SET,
        {"input": set_input(sales, mug, (sales.street, {"quantity": 4, "changeFromQuantity": 9})), "key": "k2"},
    )

    assert post(sales, SET, given).json()["data"] == first
    assert sales.units(mug, sales.street)[0] == 4


def test_a_key_used_for_something_else_is_refused(sales):
    mug = sales.stock(street=3)
    key = "k1"
    post(
        sales,
        SET,
        {"input": set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": 3})), "key": key},
    )

    other = {"input": set_input(sales, mug, (sales.street, {"quantity": 8, "changeFromQuantity": 9})), "key": key}
    payload = post(sales, SET, other).json()["data"]["inventorySetQuantities"]

    assert [error["code"] for error in payload["userErrors"]] == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert payload["inventoryAdjustmentGroup"] is None
    assert sales.units(mug, sales.street)[0] == 9


def test_a_key_whose_first_call_failed_is_burnt(sales):
    mug = sales.stock(street=3)
    bad = set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": 3}))
    bad["quantities"][0]["locationId"] = "gid://shopify/Product/1"

    assert "errors" in post(sales, SET, {"input": bad, "key": "k1"}).json()
    payload = post(sales, SET, {"input": bad, "key": "k1"}).json()["data"]["inventorySetQuantities"]

    assert payload["userErrors"][0]["code"] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"


def test_one_key_by_many_at_once_changes_once(sales):
    mug = sales.stock(street=3)
    query = SET.replace("inventorySetQuantities", "inventoryAdjustQuantities").replace(
        "SetQuantitiesInput", "AdjustQuantitiesInput"
    )
    change = {"inventoryItemId": mug.item.gid, "locationId": sales.street.gid, "delta": 5, "changeFromQuantity": None}
    given = {"input": {"name": "available", "reason": "received", "changes": [change]}, "key": "k1"}
    barrier, codes = threading.Barrier(6), []

    def call():
        barrier.wait()
        errors = post(sales, query, given).json()["data"]["inventoryAdjustQuantities"]["userErrors"]
        codes.extend(error["code"] for error in errors)

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(codes) <= {"IDEMPOTENCY_CONCURRENT_REQUEST"}
    assert sales.units(mug, sales.street)[0] == 8


# Webhooks


def test_a_subscription_is_made_listed_once_and_ended(sales):
    create = """mutation($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
      webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
        webhookSubscription { id topic uri name } userErrors { field message } } }"""
    given = {"topic": "INVENTORY_LEVELS_UPDATE", "sub": {"uri": "https://studio.example.test/h", "name": "levels"}}

    made = sales.ask(create, **given)["webhookSubscriptionCreate"]["webhookSubscription"]
    assert sales.ask(create, **given)["webhookSubscriptionCreate"]["userErrors"], "the same twice is refused"

    listed = sales.ask("{ webhookSubscriptions(first: 10) { nodes { id topic uri } } }")["webhookSubscriptions"][
        "nodes"
    ]
    assert [row["id"] for row in listed] == [made["id"]]
    ended = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
      deletedWebhookSubscriptionId userErrors { message } } }"""
    assert sales.ask(ended, id=made["id"])["webhookSubscriptionDelete"]["deletedWebhookSubscriptionId"] == made["id"]
    assert sales.ask("{ webhookSubscriptionsCount { count } }")["webhookSubscriptionsCount"]["count"] == 0


def test_a_webhook_is_signed_over_its_bytes_and_has_the_vendors_headers(sales):
    mug = sales.stock(street=3)
    sales.listen("INVENTORY_LEVELS_UPDATE")
    post(
        sales,
        SET,
        {"input": set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": 3})), "key": "k"},
    )

    [owed] = sales.told("inventory_levels/update")
    digest = hmac.new(sales.shop.app.client_secret.encode(), bytes(owed.body), hashlib.sha256).digest()
    assert owed.headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()
    names = ("Topic", "Shop-Domain", "API-Version", "Webhook-Id", "Event-Id", "Triggered-At")
    assert all(owed.headers[f"X-Shopify-{name}"] for name in names)
    body = json.loads(bytes(owed.body))
    assert (body["inventory_item_id"], body["location_id"], body["available"]) == (mug.item.pk, sales.street.pk, 9)


def test_a_change_undone_owes_no_webhook(sales):
    mug = sales.stock(street=3)
    sales.listen("INVENTORY_LEVELS_UPDATE")
    stale = set_input(sales, mug, (sales.street, {"quantity": 9, "changeFromQuantity": 1}))

    post(sales, SET, {"input": stale, "key": "k"})

    assert sales.told("inventory_levels/update") == []


# Schema

SCHEMA = Path(CONTRACT) / "admin_schema.json.gz"


@pytest.mark.skipif(not SCHEMA.exists(), reason="the vendor's schema is not beside this repository")
def test_what_is_served_is_the_vendors_own_schema_in_part():
    from graphql import build_client_schema, is_enum_type, is_input_object_type

    with gzip.open(SCHEMA) as file:
        vendor = build_client_schema(json.load(file)["data"], assume_valid=True).type_map
    for name, kind in executor.schema().type_map.items():
        theirs = vendor[name]
        assert type(theirs) is type(kind), name
        if is_enum_type(kind):
            assert set(kind.values) == set(theirs.values), name
        for field_name, field in getattr(kind, "fields", {}).items():
            assert str(field.type) == str(theirs.fields[field_name].type), f"{name}.{field_name}"
            if is_input_object_type(kind):
                assert field.default_value == theirs.fields[field_name].default_value, f"{name}.{field_name}"
                continue
            for argument_name, argument in field.args.items():
                same = theirs.fields[field_name].args[argument_name]
                assert str(argument.type) == str(same.type), f"{name}.{field_name}({argument_name})"
                assert argument.default_value == same.default_value, f"{name}.{field_name}({argument_name})"


def test_every_query_and_mutation_has_a_function_of_its_own():
    from channels.sandbox.shopify.resolving import RESOLVERS

    schema = executor.schema()
    for kind in (schema.query_type, schema.mutation_type):
        assert [name for name in kind.fields if (kind.name, name) not in RESOLVERS] == []
