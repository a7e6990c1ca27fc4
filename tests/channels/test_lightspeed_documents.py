"""What we send to Lightspeed, and what its stand-in answers, held against the vendor's own schemas where they are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import requests

from channels import registry
from channels.connectors.lightspeed.client import VERSION
from channels.ports import CountWrite
from channels.sandbox.models import Delivery
from tests.contract.adapters.lightspeed import ADAPTER
from tests.contract.test_listings import change, send

CONTRACT = Path(__file__).resolve().parents[3] / "shared/contracts/lightspeed"
pytestmark = [
    pytest.mark.skipif(
        not CONTRACT.exists(), reason="the vendor contracts are not there (../shared/contracts/lightspeed)"
    ),
    pytest.mark.django_db(transaction=True),
]
BODIES = {
    ("POST", "/stock_adjustments"): "CreateStockAdjustmentsRequest",
    ("POST", "/inventory_levels"): "InventoryLevelsRequest",
    ("PUT", "/products/{id}"): "ProductUpdateRequest",
    ("POST", "/products"): "ProductCreateBody",
    ("POST", "/webhooks"): "WebhookRequest",
    ("PUT", "/webhooks/{id}"): "WebhookRequest",
    ("POST", "/sales"): "SaleRequest",
    ("PUT", "/sales/{id}"): "SaleRequest",
    ("POST", "/consignments"): "Consignment",
    ("PUT", "/consignments/{id}"): "Consignment",
    ("POST", "/consignments/{id}/products"): "ConsignmentProduct",
}
ANSWERS = {
    "/outlets": "Outlet",
    "/products": "Product",
    "/products/{id}": "Product",
    "/inventory/{product_id}": "Inventory",
    "/inventory_levels": "InventoryLevel",
    "/stock_adjustments": "StockAdjustment",
    "/custom_inventory_adjustment_reasons": "CustomInventoryAdjustmentReason",
    "/sales": "Sale",
    "/sales/{id}": "Sale",
    "/sales/{id}/actions/return": "Sale",
    "/webhooks": "Webhook",
    "/webhooks/{id}": "Webhook",
    "/consignments": "Consignment",
    "/consignments/{id}": "Consignment",
    "/consignments/{id}/products": "ConsignmentProduct",
}
# Of API 2.0 (a date version serves all of it): what the till's client reads beside the transcribed part.
BESIDE = {"/registers", "/user", "/taxes", "/payment_types", "/variant_attributes"}


@cache
def vendor() -> dict[str, Any]:
    return dict(json.loads((CONTRACT / "x-series-2026-07.schemas.json").read_text()))


def check(value: Any, name: str) -> None:
    schema = {"$defs": vendor()["$defs"], **vendor()["$defs"][name]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def pattern_of(path: str) -> str:
    """The vendor's own spelling of a path. Raises LookupError for one it does not have."""
    for known in sorted({entry["path"] for entry in vendor()["x-endpoints"]} | BESIDE, key=len):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path):
            return known
    raise LookupError(path)


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, str, Any, Any, Any]]:
    """Every request of this process below the stand-in's API, with its answer."""
    seen: list[tuple[str, str, Any, Any, Any]] = []
    original = requests.Session.send

    def send_and_keep(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        answer = original(session, request, **options)
        _, found, path = urlsplit(request.url or "").path.partition(f"/api/{VERSION}")
        if found:
            body = json.loads(request.body) if request.body else None
            query = parse_qs(urlsplit(request.url or "").query)
            seen.append((request.method or "", path, body, answer.json(), query))
        return answer

    monkeypatch.setattr(requests.Session, "send", send_and_keep)
    return seen


def test_every_request_and_every_answer_is_as_the_vendors_schemas_have_it(live_server, settings, sent):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    shop = ADAPTER.open_shop(server_url=live_server.url, webhook_url="https://studio.example.com/webhooks/x/y")
    connector = registry.connect("lightspeed", account=shop.account)
    first, place = shop.variants[0], shop.location_ids[0]

    connector.subscribe()
    connector.list_locations()
    connector.page_catalog(cursor="", since=None)
    connector.page_catalog(cursor="", since=datetime(2026, 1, 1, tzinfo=UTC))
    connector.read_counts(inventory_ids=[first.inventory_id], location_ids=shop.location_ids)
    writes = [CountWrite(first.inventory_id, place, Decimal(10), Decimal(after)) for after in (7, 12)]
    connector.write_counts(writes=writes, idempotency_key="k", now=datetime.now(UTC))
    sold = ADAPTER.sell(shop=shop, variant=first, location_id=place, quantity=Decimal(3))
    ahead = ADAPTER.order_ahead(shop=shop, variant=first, location_id=place, quantity=Decimal(1))
    ADAPTER.cancel(shop=shop, order_id=ahead)
    back = ADAPTER.give_back(shop=shop, order_id=sold, variant=first, location_id=place, quantity=Decimal(1))
    ADAPTER.edit_stock(shop=shop, variant=first, location_id=place, delta=Decimal(-1))
    connector.fetch_orders_since(since=datetime(2026, 1, 1, tzinfo=UTC), cursor="", location_ids=[place])
    connector.fetch_orders(order_ids=[sold, ahead, back])
    connector.fetch_stock_changes_since(since=datetime(2026, 1, 1, tzinfo=UTC), cursor="", location_ids=[place])
    send(connector, change(connector, shop, 0, sku="NEW", gtin="4006381333931", options={"Size": "XL"}))
    till = ADAPTER.till(shop)
    delivery = {"type": "SUPPLIER", "outlet_id": place, "name": "A delivery"}
    made = till.send("POST", "consignments", delivery)["data"]["id"]
    till.send("POST", f"consignments/{made}/products", {"product_id": first.inventory_id, "count": "2.00000"})
    till.send("PUT", f"consignments/{made}", delivery | {"status": "RECEIVED"})
    ADAPTER.shown(shop=shop, variant=first, location_id=place)
    connector.unsubscribe()

    patterns = {(method, pattern_of(path)) for method, path, *_ in sent}
    documented = {(entry["method"], entry["path"]) for entry in vendor()["x-endpoints"]}
    assert {one for one in patterns if one[1] not in BESIDE} <= documented
    assert len(patterns) >= 25
    for method, path, body, answer, query in sent:
        pattern = pattern_of(path)
        if body is not None and (method, pattern) in BODIES:
            check(body, BODIES[method, pattern])
            assert_nothing_unknown(body, BODIES[method, pattern])
        if pattern in ANSWERS and method != "DELETE":
            data = answer["data"]
            is_ids = (method, pattern) == ("POST", "/products")
            for entry in [] if is_ids else data if isinstance(data, list) else [data]:
                check(as_specified(entry), ANSWERS[pattern])
        if method == "GET" and "after" in query:
            check(answer["version"], "Version")


def as_specified(entry: dict[str, Any]) -> dict[str, Any]:
    """Types of codes are written small in the vendor's examples and large in its schema."""
    codes = [{**code, "type": code["type"].upper()} for code in entry.get("product_codes") or []]
    return {**entry, "product_codes": codes} if codes else entry


def assert_nothing_unknown(body: dict[str, Any], name: str) -> None:
    """The transcribed schemas forbid little: a field of ours that the vendor does not know would pass them."""
    known = vendor()["$defs"][name].get("properties", {})
    assert set(body) <= set(known), name
    for field, value in body.items():
        inner = known[field].get("properties")
        if inner and isinstance(value, dict):
            assert set(value) <= set(inner), (name, field)


def test_control_a_wrong_body_does_not_pass():
    with pytest.raises(jsonschema.ValidationError):
        check({"stock_adjustments": [{"product_id": "p", "outlet_id": "o", "quantity": 3, "reason": "CUSTOM"}]},
              "CreateStockAdjustmentsRequest")  # fmt: skip
    with pytest.raises(LookupError):
        pattern_of("/no/such/path")


def test_webhooks_have_the_fields_of_the_vendors_examples(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    examples = json.loads((CONTRACT / "webhook-payloads.json").read_text())["examples"]
    shop = ADAPTER.open_shop(server_url=live_server.url, webhook_url="https://studio.example.com/webhooks/x/y")
    connector = registry.connect("lightspeed", account=shop.account)
    connector.subscribe()
    ADAPTER.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=Decimal(1))
    ADAPTER.rename(shop=shop, variant=shop.variants[0], sku="NEW")

    payloads = {row.topic: json.loads(parse_qs(bytes(row.body).decode())["payload"][0]) for row in
                Delivery.objects.order_by("pk")}  # fmt: skip

    assert set(payloads) == {"sale.update", "inventory.update", "product.update"}
    for topic, payload in payloads.items():
        assert set(examples[topic]) - set(payload) <= {"totals"}
        assert connector.identify(headers={}, body=f"payload={json.dumps(examples[topic])}".encode()).topic == topic
