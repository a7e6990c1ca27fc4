"""Every answer and every event of the stand-in is one the vendor's published schemas allow."""

import json
import uuid

import pytest
from square_shop import CONTRACT, SCHEMAS, SquareShop, conforms, item_body, moment

from channels.sandbox.models import Delivery
from channels.sandbox.square import events

pytestmark = pytest.mark.skipif(
    not SCHEMAS.exists(), reason="the vendor's schemas (../shared/contracts/square) are not here"
)


@pytest.fixture
def shop(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return SquareShop(server_url=live_server.url)


def key():
    return str(uuid.uuid4())


def ask(shop, method, path, body=None, *, schema):
    """A call that must succeed and conform."""
    status, reply = shop.call(method, path, body)
    assert status == 200, reply
    conforms(reply, schema)
    return reply


def test_the_schemas_would_catch_a_wrong_answer():
    with pytest.raises(Exception, match="is not of type"):
        conforms({"counts": [{"quantity": 5}]}, "BatchGetInventoryCountsResponse")


def test_reading_and_writing_a_catalog_conforms(shop):
    batch = {"idempotency_key": key(), "batches": [{"objects": [item_body("Mug", ["MUG-S", "MUG-L"])]}]}
    made = ask(shop, "POST", "/v2/catalog/batch-upsert", batch, schema="BatchUpsertCatalogObjectsResponse")
    item = made["objects"][0]
    conforms(item, "CatalogObject_Item")
    variation = item["item_data"]["variations"][0]
    conforms(variation, "CatalogObject_ItemVariation")
    ask(shop, "GET", "/v2/catalog/info", schema="CatalogInfoResponse")
    ask(shop, "GET", "/v2/catalog/list?types=ITEM,ITEM_VARIATION", schema="ListCatalogResponse")
    ask(
        shop,
        "POST",
        "/v2/catalog/search",
        {"object_types": ["ITEM_VARIATION"], "include_related_objects": True},
        schema="SearchCatalogObjectsResponse",
    )
    ask(
        shop, "POST", "/v2/catalog/search-catalog-items", {"text_filter": "mug"},
        schema="SearchCatalogItemsResponse",
    )  # fmt: skip
    ids = {"object_ids": [item["id"], variation["id"]]}
    ask(shop, "POST", "/v2/catalog/batch-retrieve", ids, schema="BatchGetCatalogObjectsResponse")
    one = {"idempotency_key": key(), "object": item}
    ask(shop, "POST", "/v2/catalog/object", one, schema="UpsertCatalogObjectResponse")
    ask(shop, "DELETE", f"/v2/catalog/object/{item['id']}", schema="DeleteCatalogObjectResponse")


def test_inventory_locations_and_tokens_conform(shop):
    (mug,) = shop.item("MUG")
    body = {"idempotency_key": key(), "changes": [shop.adjustment(mug, "3")]}
    conforms(body, "BatchChangeInventoryRequest")
    path = "/v2/inventory/changes/batch-create"
    ask(shop, "POST", path, body, schema="BatchChangeInventoryResponse")
    ask(shop, "POST", "/v2/inventory/counts/batch-retrieve", {}, schema="BatchGetInventoryCountsResponse")
    ask(shop, "POST", "/v2/inventory/changes/batch-retrieve", {}, schema="BatchGetInventoryChangesResponse")
    ask(shop, "GET", "/v2/locations", schema="ListLocationsResponse")
    ask(shop, "GET", "/v2/merchants", schema="ListMerchantsResponse")
    ask(shop, "POST", "/oauth2/token/status", schema="RetrieveTokenStatusResponse")
    refresh = {
        "client_id": shop.account.application_id,
        "client_secret": shop.account.client_secret,
        "grant_type": "refresh_token",
        "refresh_token": shop.account.refresh_token,
    }
    ask(shop, "POST", "/oauth2/token", refresh, schema="ObtainTokenResponse")
    ask(shop, "GET", "/v2/webhooks/subscriptions", schema="ListWebhookSubscriptionsResponse")


def test_every_event_a_day_of_trade_sends_conforms(shop):
    subscription = shop.subscribe(*events.EVENT_SCOPES)
    conforms(json.loads(subscription.json()), "WebhookSubscription")
    (mug,) = shop.item("MUG")
    shop.count(mug, "10")
    pickup = {
        "type": "PICKUP",
        "pickup_details": {"recipient": {"display_name": "Ann"}, "pickup_at": moment()},
    }
    order = shop.sell((mug, "3"), fulfillments=[pickup])
    done = {"location_id": shop.street, "version": order.version}
    done["fulfillments"] = [{"uid": order.fulfillments[0].uid, "state": "COMPLETED"}]
    ask(shop, "PUT", f"/v2/orders/{order.id}", {"order": done}, schema="UpdateOrderResponse")
    line = {"source_line_item_uid": order.line_items[0].uid, "quantity": "1"}
    back = {"source_order_id": order.id, "return_line_items": [line]}
    returned = {"idempotency_key": key(), "order": {"location_id": shop.street, "returns": [back]}}
    reply = ask(shop, "POST", "/v2/orders", returned, schema="CreateOrderResponse")
    conforms(reply["order"], "Order")
    ask(shop, "GET", f"/v2/orders/{order.id}", schema="GetOrderResponse")
    search = {"location_ids": [shop.street]}
    ask(shop, "POST", "/v2/orders/search", search, schema="SearchOrdersResponse")
    _, money = shop.call("GET", f"/v2/payments/{order.tenders[0].payment_id}")
    conforms(money["payment"], "Payment")
    _, refunds = shop.call("GET", "/v2/refunds")
    conforms(refunds["refunds"][0], "PaymentRefund")
    shop.call("PUT", f"/v2/locations/{shop.market}", {"location": {"name": "Fair"}})
    shop.call(
        "POST",
        "/oauth2/revoke",
        {"client_id": shop.account.application_id, "merchant_id": shop.account.merchant_id},
        headers={"Authorization": f"Client {shop.account.client_secret}"},
    )
    seen = set()
    for row in Delivery.objects.order_by("pk"):
        event = json.loads(bytes(row.body))
        conforms(event, "".join(part.title() for part in event["type"].split(".")) + "Event")
        seen.add(event["type"])
    assert seen == set(events.EVENT_SCOPES) - {"location.created"}


def shape(value):
    """A body's names, lists by their first entry."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) else None


@pytest.mark.parametrize(
    "type_",
    [
        "inventory.count.updated",
        "catalog.version.updated",
        "order.created",
        "order.updated",
        "location.updated",
        "oauth.authorization.revoked",
    ],
)
def test_an_events_envelope_has_exactly_the_names_of_the_vendors_example(shop, type_):
    shop.subscribe(type_)
    (mug,) = shop.item("MUG")
    shop.count(mug, "1")
    order = shop.sell((mug, "1"))
    assert order.state == "COMPLETED"
    shop.call("PUT", f"/v2/locations/{shop.market}", {"location": {"name": "Fair"}})
    body = {"client_id": shop.account.application_id, "merchant_id": shop.account.merchant_id}
    secret = {"Authorization": f"Client {shop.account.client_secret}"}
    shop.call("POST", "/oauth2/revoke", body, headers=secret)
    with (CONTRACT / "webhook-events.json").open() as file:
        examples = {entry["type"]: entry["example"] for entry in json.load(file)["events"]}
    sent = json.loads(bytes(Delivery.objects.filter(topic=type_).first().body))
    assert shape(sent) == shape(examples[type_])


def test_signatures_equal_the_vendors_vectors():
    with (CONTRACT / "webhook-signature-vectors.json").open() as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        signed = events.sign(key=vector["signature_key"], url=vector["notification_url"], body=vector["body"].encode())
        assert signed == vector["signature"]
