"""What we send to WooCommerce, held against the vendor's documentation where that is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from channels.connectors.woocommerce import WooCommerceConnector, webhooks
from channels.ports import Account, CountWrite, ListingFields, ListingWrite

CONTRACT = Path(__file__).resolve().parents[3] / "shared/contracts/delivery/woocommerce-v3.json"
needs_contract = pytest.mark.skipif(
    not CONTRACT.exists(), reason="the vendor contracts are not there (../shared/contracts/delivery)"
)
BASE = "https://shop.example.com"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Younger than the documentation in the folder (2024-03): WooCommerce 9.2 shows and takes it.
YOUNGER = {"global_unique_id"}
VARIATION = {
    "id": 23, "type": "variation", "sku": "S", "global_unique_id": "", "manage_stock": True, "stock_quantity": 10,
    "stock_status": "instock", "backorders": "no", "attributes": [{"id": 0, "name": "Size", "option": "Large"}],
    "date_modified_gmt": "2026-02-01T10:00:00",
}  # fmt: skip
PRODUCT = {
    "id": 22, "type": "variable", "name": "Mug", "variations": [23], "attributes": [
        {"id": 0, "name": "Size", "position": 0, "visible": True, "variation": True, "options": ["Large"]}],
    "date_modified_gmt": "2026-02-01T10:00:00",
}  # fmt: skip
SIMPLE = {**VARIATION, "id": 31, "type": "simple", "name": "Bowl", "attributes": []}
ORDER = {
    "id": 7, "number": "7", "status": "completed", "currency": "GBP", "total": "9.00", "line_items": [],
    "refunds": [{"id": 8}], "date_created_gmt": "2026-02-01T10:00:00", "date_modified_gmt": "2026-02-01T10:00:00",
}  # fmt: skip


@cache
def contract() -> dict[str, Any]:
    return dict(json.loads(CONTRACT.read_text())["resources"])


def write(inventory_id: str) -> CountWrite:
    return CountWrite(inventory_id, "shop", Decimal(10), Decimal(7))


def change(external_id: str, document: dict[str, Any]) -> ListingWrite:
    fields = ListingFields(sku="NEW", gtin="4006381333931", is_tracked=True, sells_past_zero=True)
    if document is VARIATION:
        fields = ListingFields(sku="NEW", options={"Size": "XL"}, sells_past_zero=True)
    return ListingWrite(external_id, external_id, "22", before=document, after=fields)


CALLS: dict[str, Callable[[WooCommerceConnector], Any]] = {
    "places": lambda shop: shop.list_locations(),
    "catalog": lambda shop: shop.page_catalog(cursor="", since=None),
    "catalog since": lambda shop: shop.page_catalog(cursor="", since=NOW),
    "counts": lambda shop: shop.read_counts(inventory_ids=["22/23", "31"], location_ids=["shop"]),
    "writes": lambda shop: shop.write_counts(writes=[write("22/23"), write("31")], idempotency_key="k", now=NOW),
    "listings": lambda shop: shop.read_listings(external_ids=["22/23", "31"]),
    "listing writes": lambda shop: shop.write_listings(
        writes=[change("22/23", VARIATION), change("31", SIMPLE)], idempotency_key="k", now=NOW
    ),
    "orders since": lambda shop: shop.fetch_orders_since(since=NOW, cursor="", location_ids=["shop"]),
    "orders": lambda shop: shop.fetch_orders(order_ids=["7", "9"]),
    "subscribe": lambda shop: shop.subscribe(),
    "look": lambda shop: shop.subscribe(existing_only=True),
    "unsubscribe": lambda shop: shop.unsubscribe(),
    "key": lambda shop: shop.refresh_auth(),
}


def sent(name: str) -> list[Any]:
    """The requests of one call of ours, answered as a shop would."""
    account = Account("shop.example.com", BASE, {"consumer_key": "ck", "consumer_secret": "cs"}, "https://us/hooks/t")
    hooks = [
        {"id": 1, "topic": "order.created", "status": "disabled", "delivery_url": "https://us/hooks/t"},
        {"id": 2, "topic": "order.created", "status": "active", "delivery_url": "https://us/hooks/t"},
    ]
    api = f"{BASE}/wp-json/wc/v3"
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        for method, path, body in (
            ("GET", "/products", [PRODUCT, SIMPLE]),
            ("GET", "/products/22/variations", [VARIATION]),
            ("PUT", "/products/22", PRODUCT),
            ("POST", "/products/batch", {"update": [{**SIMPLE, "stock_quantity": 7}]}),
            ("POST", "/products/22/variations/batch", {"update": [{**VARIATION, "stock_quantity": 7}]}),
            ("GET", "/orders", [ORDER]),
            ("GET", "/orders/9", {**ORDER, "id": 9, "refunds": []}),
            ("GET", "/orders/7/refunds", []),
            ("GET", "/webhooks", hooks),
            ("POST", "/webhooks", {"id": 3, "topic": "x", "delivery_url": "https://us/hooks/t"}),
            ("PUT", "/webhooks/2", hooks[1]),
            ("DELETE", "/webhooks/1", hooks[0]),
            ("DELETE", "/webhooks/2", hooks[1]),
        ):
            web.add(method, api + path, json=body, headers={"X-WP-Total": str(len(body))})
        CALLS[name](WooCommerceConnector(account=account))
        return [call.request for call in web.calls]


def endpoint(request: Any) -> str:
    """As the documentation writes it."""
    path = urlsplit(request.url).path
    for pattern, words in (
        (r"/products/\d+/variations$", "/products/<product_id>/variations"),
        (r"/products/\d+/variations/batch$", "/products/<product_id>/variations/batch"),
        (r"/webhooks/\d+$", "/webhooks/<id>"),
        (r"/orders/\d+$", "/orders/<id>"),
        (r"/orders/\d+/refunds$", "/orders/<id>/refunds"),
        (r"/products/\d+$", "/products/<id>"),
    ):
        path = re.sub(pattern, words, path)
    return f"{request.method} {path}"


def resource(request: Any) -> str:
    path = urlsplit(request.url).path
    return next(name for name in ("variations", "refunds", "orders", "webhooks", "products") if f"/{name}" in path)


@needs_contract
@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_address_and_parameter_is_documented(name: str) -> None:
    # The documentation lists the parameters of orders with those of one order; its page has those of products.
    known = {entry["name"] for entry in contract()["products"]["list_parameters"]} | {"force"}
    # It writes one webhook's address once without its s.
    documented = {
        line.replace("/webhook/<id>", "/webhooks/<id>") for one in contract().values() for line in one["endpoints"]
    }
    requests = sent(name)
    assert requests
    for request in requests:
        assert endpoint(request) in documented
        assert {key for key, _ in parse_qsl(urlsplit(request.url).query)} <= known


@needs_contract
@pytest.mark.parametrize("name", ["writes", "listing writes", "subscribe"])
def test_every_field_of_a_body_is_documented_and_may_be_written(name: str) -> None:
    bodies = [(resource(request), json.loads(request.body)) for request in sent(name) if request.body]
    assert bodies
    for kind, body in bodies:
        groups = contract()[kind]["properties"]
        main = groups[next(title for title in groups if " - " not in title)]
        fields = {one["name"]: one for one in main}
        for entry in body.get("update", [body]):
            for field in entry.keys() - YOUNGER - {"id"}:
                assert field in fields, field
                # One line of it marks a webhook's address as read-only and mandatory at once.
                assert field == "delivery_url" or "[read-only]" not in fields[field]["doc"], field
            if "stock_quantity" in entry:
                assert isinstance(entry["stock_quantity"], int)


@needs_contract
def test_the_documentations_own_examples_are_read() -> None:
    from channels.connectors.woocommerce import catalog, orders

    product = contract()["products"]["example"]
    listing = catalog.listing(product, product=product)
    assert (listing.external_id, listing.price) == ("794", Decimal("21.99"))
    assert not listing.is_tracked
    assert catalog.counts([product]) == []  # a number that is not counted is none
    order = orders.order(contract()["orders"]["example"], refunds=[contract()["refunds"]["example"]])
    assert [line.listing_external_id for line in order.lines] == ["93", "22/23"]
    assert [hold.committed for line in order.lines for hold in line.holds] == [2, 1]
    assert order.total == Decimal("29.35")


def test_the_topics_are_those_of_orders_and_products() -> None:
    assert {topic.partition(".")[0] for topic in webhooks.TOPICS} == {"order", "product"}
