"""Shopify's webhooks, and what each of its failures means, from a server that answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from channels.connectors.shopify import client
from channels.connectors.shopify.connector import ShopifyConnector
from channels.ports import Account, ConnectorError, CountWrite, HintKind, MalformedPayload, WriteOutcome

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads/shopify"
SHOP = "invented.myshopify.com"
NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
ITEM, FRONT = "gid://shopify/InventoryItem/41", "gid://shopify/Location/21"
WRITE = CountWrite(ITEM, FRONT, Decimal(10), Decimal(7))
VERSION = {"X-Shopify-API-Version": client.VERSION}
LOCATIONS = {
    "data": {
        "locations": {
            "nodes": [{"id": FRONT, "name": "Front", "isActive": True}],
            "pageInfo": {"hasNextPage": False, "endCursor": None},
        }
    }
}
SET = {
    "data": {
        "inventorySetQuantities": {
            "inventoryAdjustmentGroup": {
                "id": "gid://shopify/InventoryAdjustmentGroup/1",
                "changes": [
                    {"name": "available", "quantityAfterChange": 7, "item": {"id": ITEM}, "location": {"id": FRONT}}
                ],
            },
            "userErrors": [],
        }
    }
}


class Script:
    """A server that gives prepared answers in order, and keeps what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes] | float] = []

    def answer(self, body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, VERSION | (headers or {}), raw))

    def hang(self, seconds: float) -> None:
        """Take the request and stay silent; 0 hangs up at once."""
        self.answers.append(seconds)


@pytest.fixture
def script() -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append((self.path, dict(self.headers.items()), raw))
            prepared = state.answers.pop(0)
            if isinstance(prepared, float):
                time.sleep(prepared)
                self.close_connection = True
                return
            status, headers, answer = prepared
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Script(f"http://127.0.0.1:{server.server_port}/some/prefix")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def connect(url: str, **secrets: str) -> ShopifyConnector:
    given = {"access_token": "the-token", "client_id": "ours", "client_secret": "the-secret"} | secrets
    return ShopifyConnector(
        account=Account(account_id=SHOP, base_url=url, credentials=given, webhook_url="https://studio.example.com/hook")
    )


@pytest.fixture
def shopify(script: Script) -> ShopifyConnector:
    return connect(script.url)


def failure_of(shopify: ShopifyConnector, *, is_write: bool = False) -> ConnectorError:
    write = partial(shopify.write_counts, writes=[WRITE], idempotency_key="K1", now=NOW)
    with pytest.raises(ConnectorError) as caught:
        (write if is_write else shopify.list_locations)()
    return caught.value


# --- webhooks -----------------------------------------------------------------------------------------------


def body_of(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def signed(body: bytes, *, secret: str = "the-secret", shop: str = SHOP) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "x-shopify-hmac-sha256": signature, "x-shopify-shop-domain": shop, "x-shopify-topic": "orders/create",
        "x-shopify-webhook-id": "W1", "x-shopify-event-id": "E1", "x-shopify-triggered-at": "2026-10-03T12:00:00.5Z",
    }  # fmt: skip


def test_a_body_signed_with_either_secret_is_verified_while_it_is_rotated() -> None:
    body = body_of("orders_create")
    both = connect("http://127.0.0.1:9", client_secret="new", previous_client_secret="old")

    assert both.verify(headers=signed(body, secret="new"), body=body)
    assert both.verify(headers=signed(body, secret="old", shop=SHOP.upper()), body=body)
    assert not both.verify(headers=signed(body, secret="older"), body=body)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(signed(body_of("orders_create"), secret="another"), id="another secret"),
        pytest.param(signed(body_of("orders_create"), secret=""), id="an empty secret"),
        pytest.param(signed(body_of("orders_create"), shop="other.myshopify.com"), id="another shop"),
        pytest.param(signed(body_of("orders_edited")), id="another body"),
        pytest.param(signed(body_of("orders_create")) | {"x-shopify-hmac-sha256": "ñ"}, id="not ASCII"),
        pytest.param({}, id="no headers"),
    ],
)
def test_any_other_signature_is_refused(headers: dict[str, str]) -> None:
    assert not connect("http://127.0.0.1:9").verify(headers=headers, body=body_of("orders_create"))


def test_one_changed_byte_is_told() -> None:
    body = body_of("orders_create")
    assert not connect("http://127.0.0.1:9").verify(headers=signed(body), body=body.replace(b"2001", b"2002"))


def test_a_delivery_is_named_by_topic_and_webhook_not_by_the_event_deliveries_share() -> None:
    body = body_of("orders_create")
    headers = signed(body)
    connector = connect("http://127.0.0.1:9")

    first = connector.identify(headers=headers, body=body)
    other = connector.identify(headers=headers | {"x-shopify-topic": "orders/updated"}, body=body)

    assert (first.topic, first.occurred_at) == ("orders/create", datetime(2026, 10, 3, 12, 0, 0, 500_000, tzinfo=UTC))
    assert first.dedupe_key != other.dedupe_key
    assert first == connector.identify(headers=headers | {"x-shopify-event-id": "E2"}, body=body)


@pytest.mark.parametrize("missing", ["x-shopify-topic", "x-shopify-webhook-id"])
def test_a_delivery_without_a_name_is_malformed(missing: str) -> None:
    body = body_of("orders_create")
    headers = {name: text for name, text in signed(body).items() if name != missing}

    with pytest.raises(MalformedPayload):
        connect("http://127.0.0.1:9").identify(headers=headers, body=body)


@pytest.mark.parametrize(
    ("topic", "payload", "kind", "ids"),
    [
        ("orders/create", "orders_create", HintKind.ORDERS, ("gid://shopify/Order/7001",)),
        ("orders/cancelled", "orders_create", HintKind.ORDERS, ("gid://shopify/Order/7001",)),
        ("orders/edited", "orders_edited", HintKind.ORDERS, ("gid://shopify/Order/7001",)),
        ("refunds/create", "refunds_create", HintKind.ORDERS, ("gid://shopify/Order/7001",)),
        ("fulfillments/create", "fulfillments_create", HintKind.ORDERS, ("gid://shopify/Order/7001",)),
        (
            "fulfillment_orders/moved", "fulfillment_orders_moved", HintKind.ORDERS,
            ("gid://shopify/FulfillmentOrder/91", "gid://shopify/FulfillmentOrder/92"),
        ),
        ("inventory_levels/update", "inventory_levels_update", HintKind.STOCK, (ITEM,)),
        ("inventory_levels/connect", "inventory_levels_update", HintKind.STOCK, (ITEM,)),
        ("inventory_items/update", "inventory_items_update", HintKind.CATALOG, ()),
        ("products/update", "products_update", HintKind.CATALOG, ()),
        ("products/delete", "products_delete", HintKind.CATALOG, ("all",)),
        ("locations/deactivate", "locations_deactivate", HintKind.LOCATIONS, ()),
        ("app/uninstalled", "app_uninstalled", HintKind.REVOKED, ()),
        ("shop/update", "shop_update", HintKind.NOTHING, ()),
        ("unheard/of", "shop_update", HintKind.UNKNOWN, ()),
    ],
)  # fmt: skip
def test_a_topic_says_what_to_read_again(topic: str, payload: str, kind: HintKind, ids: tuple[str, ...]) -> None:
    hint = connect("http://127.0.0.1:9").parse(topic=topic, body=body_of(payload))

    assert (hint.kind, hint.ids) == (kind, ids)


def test_fulfillment_orders_are_found_however_a_topic_wraps_them() -> None:
    one, two = (f"gid://shopify/FulfillmentOrder/{n}" for n in (91, 92))
    line = {"id": "gid://shopify/FulfillmentOrderLineItem/95", "quantity": 1}
    merged = {"fulfillment_order_merges": [{"result": {"id": one}, "merge_intents": [{"id": two, "lines": [line]}]}]}

    hint = connect("http://127.0.0.1:9").parse(topic="fulfillment_orders/merged", body=json.dumps(merged).encode())

    assert (hint.kind, sorted(hint.ids)) == (HintKind.ORDERS, [one, two])


def test_a_return_is_its_orders_news() -> None:
    connector = connect("http://127.0.0.1:9")
    body = json.dumps({"id": 5, "order": {"id": 7001}}).encode()

    assert connector.parse(topic="returns/process", body=body).ids == ("gid://shopify/Order/7001",)
    with pytest.raises(MalformedPayload):
        connector.parse(topic="returns/process", body=b'{"id": 5}')


def test_brackets_without_end_are_malformed_and_harm_nobody() -> None:
    body = b'{"id": ' + b"[" * 200_000

    with pytest.raises(MalformedPayload):
        connect("http://127.0.0.1:9").identify(headers=signed(body), body=body)


@pytest.mark.parametrize("topic", ["orders/create", "refunds/create", "inventory_levels/update", "orders/edited"])
@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b"\xff", b'{"id": "7"}', b'{"id": true}', b'{"id": -1}'])
def test_a_body_that_names_nothing_is_malformed(topic: str, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        connect("http://127.0.0.1:9").parse(topic=topic, body=body)


# --- failures -----------------------------------------------------------------------------------------------


def test_a_call_goes_to_the_version_with_the_token_below_the_prefix(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(LOCATIONS)

    assert [place.name for place in shopify.list_locations()] == ["Front"]
    path, headers, _ = script.asked[0]
    assert path == f"/some/prefix/admin/api/{client.VERSION}/graphql.json"
    assert headers["X-Shopify-Access-Token"] == "the-token"


def test_401_asks_for_a_new_token_and_is_no_reason_to_reconnect_yet(script: Script, shopify: ShopifyConnector) -> None:
    script.answer({"errors": "[API] Invalid API key or access token"}, status=401)

    error = failure_of(shopify)
    assert (error.code, error.needs_reconnect, error.permanent) == (client.TOKEN_EXPIRED, False, False)


@pytest.mark.parametrize("status", [402, 403, 404, 423])
def test_a_shop_that_is_closed_to_us_needs_a_person(script: Script, shopify: ShopifyConnector, status: int) -> None:
    script.answer({}, status=status)

    assert failure_of(shopify).needs_reconnect


@pytest.mark.parametrize(
    ("given", "wait_s"),
    [("7.5", 7.5), ("0", 0.0), ("soon", 2.0), ("-3", 2.0), ("nan", 2.0), ("1e9", 2.0),
     ("Mon, 23 Nov 2026 12:00:00 GMT", 2.0)],
)  # fmt: skip
def test_429_rests_as_long_as_it_asks(script: Script, shopify: ShopifyConnector, given: str, wait_s: float) -> None:
    script.answer({}, status=429, headers={"Retry-After": given})

    error = failure_of(shopify, is_write=True)
    assert (error.retry_after_s, error.is_outcome_unknown, error.permanent) == (wait_s, False, False)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_write_that_met_a_server_error_may_have_happened(
    script: Script, shopify: ShopifyConnector, status: int
) -> None:
    script.answer({}, status=status)
    script.answer({}, status=status)

    assert failure_of(shopify, is_write=True).is_outcome_unknown
    assert not failure_of(shopify).is_outcome_unknown


def test_a_write_that_is_never_answered_may_have_happened(
    script: Script, shopify: ShopifyConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", (1.0, 0.2))
    script.hang(0.6)
    script.hang(0.0)

    assert failure_of(shopify, is_write=True).is_outcome_unknown
    assert failure_of(shopify, is_write=True).is_outcome_unknown


def test_a_write_that_never_reached_anyone_did_not_happen() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        error = failure_of(connect(f"http://127.0.0.1:{nobody.getsockname()[1]}"), is_write=True)

    assert (error.is_outcome_unknown, error.permanent) == (False, False)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"data": null}', b"{}"])
def test_a_write_whose_answer_cannot_be_read_may_have_happened(
    script: Script, shopify: ShopifyConnector, answer: bytes
) -> None:
    script.answer(answer)
    script.answer(answer)

    assert failure_of(shopify, is_write=True).is_outcome_unknown
    assert not failure_of(shopify).is_outcome_unknown


def test_a_redirect_is_not_followed_with_the_token(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(b"", status=302, headers={"Location": script.url + "/elsewhere"})

    assert failure_of(shopify).permanent
    assert len(script.asked) == 1


def test_another_version_than_we_asked_for_is_told(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(LOCATIONS, headers={"X-Shopify-API-Version": "2027-10"})
    script.answer(SET, headers={"X-Shopify-API-Version": "2027-10"})

    assert (failure_of(shopify).code, failure_of(shopify, is_write=True).is_outcome_unknown) == ("VERSION", True)


def throttled(*, requested: int, available: int) -> dict[str, Any]:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {"cost": {"requestedQueryCost": requested, "throttleStatus": status}},
    }


def test_a_throttled_call_waits_for_its_points_and_goes_on(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(throttled(requested=52, available=32))
    script.answer(LOCATIONS)

    began = time.monotonic()
    assert len(shopify.list_locations()) == 1
    assert time.monotonic() - began >= 0.2


def test_a_call_that_would_wait_too_long_gives_the_turn_back(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(throttled(requested=900, available=0))

    began = time.monotonic()
    error = failure_of(shopify, is_write=True)
    assert time.monotonic() - began < 2
    assert (error.code, error.permanent, error.is_outcome_unknown) == ("THROTTLED", False, False)
    assert 9 <= (error.retry_after_s or 0) <= 11


@pytest.mark.parametrize(
    ("code", "flag"),
    [("ACCESS_DENIED", "needs_reconnect"), ("INTERNAL_SERVER_ERROR", "is_outcome_unknown"),
     ("MAX_COST_EXCEEDED", "permanent"), ("BAD_REQUEST", "permanent")],
)  # fmt: skip
def test_an_error_of_the_whole_call_means_what_its_code_says(
    script: Script, shopify: ShopifyConnector, code: str, flag: str
) -> None:
    script.answer({"errors": [{"message": "no", "extensions": {"code": code}}]})

    error = failure_of(shopify, is_write=True)
    assert error.code == code
    assert getattr(error, flag)


@pytest.mark.parametrize("errors", [{"query": "Required parameter missing"}, "Not Found", ["no"]])
def test_errors_of_an_odd_shape_are_still_errors(script: Script, shopify: ShopifyConnector, errors: Any) -> None:
    script.answer({"errors": errors})

    assert failure_of(shopify).permanent


def test_a_write_that_was_carried_out_and_answered_in_part_is_not_given_up(
    script: Script, shopify: ShopifyConnector
) -> None:
    """Null is a mutation that failed; one that is there took effect, and giving it up would send it again."""
    error = {"message": "no", "extensions": {"code": "UNEXPECTED"}}
    script.answer({"errors": [error], "data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None}}})
    script.answer({"errors": [error], "data": {"inventorySetQuantities": None}})

    done, failed = failure_of(shopify, is_write=True), failure_of(shopify, is_write=True)

    assert (done.is_outcome_unknown, done.permanent) == (True, False)
    assert (failed.is_outcome_unknown, failed.permanent) == (False, True)


# --- writes -------------------------------------------------------------------------------------------------


def refused(*errors: tuple[str, int | None]) -> dict[str, Any]:
    told = [
        {"code": code, "message": "no",
         "field": ["input"] if index is None else ["input", "quantities", str(index), "quantity"]}
        for code, index in errors
    ]  # fmt: skip
    return {"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None, "userErrors": told}}}


def test_the_body_carries_what_we_believe_and_the_key(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(SET)

    (result,) = shopify.write_counts(writes=[WRITE], idempotency_key="K1", now=NOW)

    variables = json.loads(script.asked[0][2])["variables"]
    assert (result.outcome, result.quantity_after) == (WriteOutcome.APPLIED, Decimal(7))
    assert (variables["key"], variables["input"]["quantities"][0]["changeFromQuantity"]) == ("K1", 10)


def test_one_stale_line_leaves_its_neighbours_to_be_sent_again(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(refused(("CHANGE_FROM_QUANTITY_STALE", 1), ("INVALID_LOCATION", 2)))

    results = shopify.write_counts(writes=[WRITE, WRITE, WRITE], idempotency_key="K1", now=NOW)

    assert [result.outcome for result in results] == [WriteOutcome.SKIPPED, WriteOutcome.STALE, WriteOutcome.REFUSED]


def test_an_error_without_a_line_is_every_lines(script: Script, shopify: ShopifyConnector) -> None:
    script.answer(refused(("INVALID_REASON", None)))

    results = shopify.write_counts(writes=[WRITE, WRITE], idempotency_key="K1", now=NOW)

    assert {result.outcome for result in results} == {WriteOutcome.REFUSED}


@pytest.mark.parametrize(
    ("code", "permanent", "unknown"),
    [("IDEMPOTENCY_CONCURRENT_REQUEST", False, True), ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", True, False),
     ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", False, False)],
)  # fmt: skip
def test_a_word_about_the_key_is_about_the_whole_call(
    script: Script, shopify: ShopifyConnector, code: str, permanent: bool, unknown: bool
) -> None:
    script.answer(refused((code, None)))

    error = failure_of(shopify, is_write=True)
    assert (error.code, error.permanent, error.is_outcome_unknown) == (code, permanent, unknown)


# --- tokens and long orders ---------------------------------------------------------------------------------


def test_a_client_gets_a_new_token_with_its_end(script: Script) -> None:
    script.answer({"access_token": "fresh", "expires_in": 86399, "scope": "read_products"})

    fresh = connect(script.url, grant="client_credentials").refresh_auth()

    assert (fresh.credentials["access_token"], fresh.credentials["client_secret"]) == ("fresh", "the-secret")
    assert fresh.expires_at
    assert 86000 < (fresh.expires_at - datetime.now(UTC)).total_seconds() < 86400
    assert b"grant_type=client_credentials" in script.asked[0][2]


def test_a_refresh_token_is_replaced_with_each_use(script: Script) -> None:
    script.answer({"access_token": "fresh", "expires_in": 3600, "refresh_token": "second"})

    fresh = connect(script.url, refresh_token="first").refresh_auth()

    assert fresh.credentials["refresh_token"] == "second"
    assert b"refresh_token=first" in script.asked[0][2]


def test_refused_tokens_need_a_person_and_unreadable_ones_another_try(script: Script) -> None:
    connector = connect(script.url, grant="client_credentials")
    script.answer({"error": "invalid_client"}, status=400)
    script.answer({"access_token": "fresh"})

    for needs_reconnect in (True, False):
        with pytest.raises(ConnectorError) as caught:
            connector.refresh_auth()
        assert caught.value.needs_reconnect is needs_reconnect


def test_an_order_that_vanishes_while_it_is_read_does_not_pass_for_a_short_one(
    script: Script, shopify: ShopifyConnector
) -> None:
    more = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "C1"}}
    none = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    order = {"id": "gid://shopify/Order/7001", "lineItems": more, "fulfillmentOrders": none, "fulfillments": [],
             "refunds": []}  # fmt: skip
    script.answer({"data": {"order": order}})
    script.answer({"data": {"order": None}})

    with pytest.raises(ConnectorError, match="vanished"):
        shopify.fetch_orders(order_ids=["gid://shopify/Order/7001"])
