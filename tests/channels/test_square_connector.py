"""Square's side of the connector: meaning of its payloads, shape of what we send, what each failure says.

Over real HTTP against the stand-in it is tested by tests/contract; here a scripted server answers what the
stand-in cannot be made to say.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from channels.connectors.square import SquareConnector, webhooks
from channels.connectors.square.mapping import orders, stock, values
from channels.ports import Account, ConnectorError, CountWrite, HintKind, MalformedPayload, WriteOutcome

ROOT = Path(__file__).resolve().parents[2]
PAYLOADS = ROOT / "tests/payloads/square"
CONTRACT = ROOT.parent / "shared/contracts/square"
needs_contract = pytest.mark.skipif(
    not CONTRACT.exists(), reason="the vendor contracts are not there (../shared/contracts/square)"
)
NOW = datetime(2026, 10, 3, 12, 0, 0, 987654, tzinfo=UTC)
SINCE = datetime(2026, 10, 1, tzinfo=UTC)
HOOK = "https://studio.example.com/webhooks/square/a-token"
CREDENTIALS = {
    "access_token": "the-access-token",
    "refresh_token": "the-refresh-token",
    "client_id": "sq0idp-ours",
    "client_secret": "the-secret",
    "application_id": "sq0idp-ours",
    "signature_key": "the-signature-key",
}


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def body_of(name: str) -> bytes:
    return (PAYLOADS / f"event_{name}.json").read_bytes()


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request as the scripted server saw it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


class Script:
    """A server that gives prepared answers in order, and keeps what it was asked."""

    def __init__(self, *, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []

    def answer(self, body: Any = None, *, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.answers.append((status, {name.replace("_", "-"): text for name, text in headers.items()}, raw))

    def refuse(self, code: str, *, status: int = 400, field: str = "", **headers: str) -> None:
        error = {"category": "INVALID_REQUEST_ERROR", "code": code, "detail": "no"}
        self.answer({"errors": [error | ({"field": field} if field else {})]}, status=status, **headers)

    def hang_up(self) -> None:
        """Read the request, then close the connection without a word."""
        self.answers.append(None)


@pytest.fixture
def script() -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            state.asked.append(
                Asked(
                    method=self.command,
                    path=parts.path,
                    query=parse_qs(parts.query),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=json.loads(raw) if raw else None,
                )
            )
            prepared = state.answers.pop(0)
            if prepared is None:
                self.close_connection = True
                return
            status, headers, answer = prepared
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Script(url=f"http://127.0.0.1:{server.server_port}/some/prefix")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


def connect(script: Script, **credentials: str) -> SquareConnector:
    account = Account(
        account_id="MLSHOP",
        base_url=script.url,
        credentials={**CREDENTIALS, **credentials},
        webhook_url=HOOK,
    )
    return SquareConnector(account=account)


@pytest.fixture
def square(script: Script) -> SquareConnector:
    return connect(script)


def a_write(**changes: Any) -> CountWrite:
    write = CountWrite(
        inventory_id="VMUGLARGE",
        location_id="LFRONT",
        from_quantity=Decimal(10),
        to_quantity=Decimal(7),
    )
    return dataclasses.replace(write, **changes)


# --- webhooks -----------------------------------------------------------------------------------------------


def signed(body: bytes, *, url: str = HOOK, key: str = "the-signature-key") -> dict[str, str]:
    digest = hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()
    return {"x-square-hmacsha256-signature": base64.b64encode(digest).decode()}


def test_a_body_signed_for_our_address_is_verified(square: SquareConnector) -> None:
    body = body_of("order_updated")

    assert square.verify(headers=signed(body), body=body)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(signed(body_of("order_updated"), key="another"), id="another key"),
        pytest.param(signed(body_of("order_updated"), url=HOOK + "/"), id="another address"),
        pytest.param(signed(body_of("order_created")), id="another body"),
        pytest.param({}, id="no signature"),
        pytest.param({"x-square-hmacsha256-signature": "ñandú"}, id="not ASCII"),
    ],
)
def test_any_other_signature_is_refused(square: SquareConnector, headers: dict[str, str]) -> None:
    assert not square.verify(headers=headers, body=body_of("order_updated"))


def test_nothing_is_verified_without_a_key_or_a_body(script: Script) -> None:
    body = body_of("order_updated")

    assert not connect(script, signature_key="").verify(headers=signed(body, key=""), body=body)
    assert not connect(script).verify(headers=signed(b""), body=b"")


@needs_contract
def test_the_published_signature_vectors_hold() -> None:
    vectors = json.loads((CONTRACT / "webhook-signature-vectors.json").read_text())["vectors"]

    assert vectors
    for vector in vectors:
        given = {
            "headers": {"x-square-hmacsha256-signature": vector["signature"]},
            "url": vector["notification_url"],
            "key": vector["signature_key"],
        }
        assert webhooks.is_signed(body=vector["body"].encode(), **given)
        assert not webhooks.is_signed(body=vector["body"].encode() + b"\n", **given)


def test_a_delivery_is_named_by_its_event_and_the_time_of_the_event(square: SquareConnector) -> None:
    envelope = square.identify(headers={}, body=body_of("order_updated"))

    assert envelope.topic == "order.updated"
    assert envelope.dedupe_key == payload("event_order_updated")["event_id"]
    assert envelope.occurred_at == datetime(2026, 10, 3, 9, 12, 46, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kind", "ids"),
    [
        ("order_created", HintKind.ORDERS, ("ORDSOLD",)),
        ("order_updated", HintKind.ORDERS, ("ORDSOLD",)),
        ("order_fulfillment_updated", HintKind.ORDERS, ("ORDPICK",)),
        ("payment_updated", HintKind.ORDERS, ("ORDSOLD",)),
        ("payment_without_order", HintKind.NOTHING, ()),
        ("refund_created", HintKind.ORDERS, ("ORDBACK",)),
        ("inventory_count_updated", HintKind.STOCK, ("VMUGLARGE", "VPEN")),
        ("catalog_version_updated", HintKind.CATALOG, ()),
        ("location_updated", HintKind.LOCATIONS, ()),
        ("oauth_authorization_revoked", HintKind.REVOKED, ()),
        ("test_notification", HintKind.NOTHING, ()),
        ("unheard_of", HintKind.UNKNOWN, ()),
    ],
)
def test_each_topic_says_what_to_read_again(
    square: SquareConnector, name: str, kind: HintKind, ids: tuple[str, ...]
) -> None:
    topic = square.identify(headers={}, body=body_of(name)).topic

    hint = square.parse(topic=topic, body=body_of(name))

    assert (hint.kind, hint.ids) == (kind, ids)


def test_another_merchants_revocation_is_no_concern_of_ours(script: Script) -> None:
    """A subscription belongs to the application: Square sends it the events of every merchant."""
    stranger = connect(script, merchant_id="MLANOTHER")
    body = body_of("oauth_authorization_revoked")

    assert stranger.parse(topic="oauth.authorization.revoked", body=body).kind is HintKind.NOTHING
    ours = connect(script, merchant_id="MLSHOP")
    assert ours.parse(topic="oauth.authorization.revoked", body=body).kind is HintKind.REVOKED


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"type": 1, "event_id": "x"}', b'{"type": "order.updated"}'],
)
def test_a_body_that_cannot_be_named_is_malformed(square: SquareConnector, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        square.identify(headers={}, body=body)


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("order.updated", {}),
        ("order.updated", {"object": {"order_updated": {}}}),
        ("order.updated", {"object": {"order_updated": {"order_id": None}}}),
        ("payment.updated", {"object": []}),
        ("inventory.count.updated", {"object": {"inventory_counts": "many"}}),
    ],
)
def test_a_body_that_lacks_its_subject_is_malformed(square: SquareConnector, topic: str, data: Any) -> None:
    with pytest.raises(MalformedPayload):
        square.parse(topic=topic, body=json.dumps({"data": data}).encode())


@needs_contract
def test_the_vendors_own_event_examples_are_understood(script: Script) -> None:
    events = json.loads((CONTRACT / "webhook-events.json").read_text())["events"]

    for event in events:
        example = event["example"]
        ours = connect(script, merchant_id=example["merchant_id"])
        body = json.dumps(example).encode()
        envelope = ours.identify(headers={}, body=body)
        hint = ours.parse(topic=envelope.topic, body=body)
        assert envelope.occurred_at is not None
        assert hint.kind not in (HintKind.UNKNOWN, HintKind.NOTHING), event["type"]
    assert {event["type"] for event in events} == set(webhooks.TOPICS)


# --- orders -------------------------------------------------------------------------------------------------


def order_holds(document: dict[str, Any]) -> dict[str, tuple[str, Decimal, Decimal]]:
    (order,) = orders.orders(document)
    return {
        line.external_id: (hold.location_id, hold.committed, hold.fulfilled)
        for line in order.lines
        for hold in line.holds
    }


def test_a_completed_order_has_left_and_a_custom_amount_names_no_listing() -> None:
    (order,) = orders.orders(payload("order_sold"))

    assert order_holds(payload("order_sold")) == {"u1": ("LFRONT", 0, 2), "u2": ("LFRONT", 0, 1)}
    assert [line.listing_external_id for line in order.lines] == ["VMUGLARGE", ""]
    assert order.lines[0].title == "Mug, Large"
    assert (order.number, order.version, order.total, order.currency) == ("Table 4", 4, 25, "USD")
    assert order.updated_at == datetime(2026, 10, 3, 9, 12, 46, 4000, tzinfo=UTC)


def test_goods_left_when_a_fulfillment_was_handed_over_or_else_when_the_order_was_closed() -> None:
    document = payload("order_pickup")
    assert orders.orders(document)[0].left_at is None

    document |= {"state": "COMPLETED", "closed_at": "2026-10-03T18:00:00Z"}
    document["fulfillments"][0]["state"] = "COMPLETED"
    assert orders.orders(document)[0].left_at == datetime(2026, 10, 3, 18, tzinfo=UTC)

    document["fulfillments"][0].setdefault("pickup_details", {})["picked_up_at"] = "2026-10-03T17:30:00Z"
    assert orders.orders(document)[0].left_at == datetime(2026, 10, 3, 17, 30, tzinfo=UTC)

    del document["fulfillments"]  # the till: an offline one tells when it sold by when the order was placed
    assert orders.orders(document)[0].left_at is None


def test_a_paid_pickup_is_promised_until_it_is_handed_over() -> None:
    document = payload("order_pickup")
    assert order_holds(document) == {"u1": ("LFRONT", 2, 0), "u2": ("LFRONT", 1, 0)}

    document["fulfillments"][0]["state"] = "COMPLETED"
    assert order_holds(document) == {"u1": ("LFRONT", 0, 2), "u2": ("LFRONT", 0, 1)}

    document["fulfillments"][0]["state"] = "CANCELED"
    assert order_holds(document) == {}


def test_a_split_fulfillment_holds_each_part_by_its_own_state() -> None:
    """Of five: two handed over, one reserved, one cancelled, one paid for and in no fulfillment."""
    assert order_holds(payload("order_split")) == {"u1": ("LFRONT", 2, 2)}


def test_a_cart_nobody_paid_promises_nothing_and_paying_makes_it_a_promise() -> None:
    document = payload("order_cart")
    assert order_holds(document) == {}

    document["tenders"] = [{"type": "CASH", "amount_money": {"amount": 1000, "currency": "USD"}}]
    document["net_amount_due_money"]["amount"] = 2750
    assert order_holds(document) == {}

    document["net_amount_due_money"]["amount"] = 0
    assert order_holds(document) == {"u1": ("LFRONT", 3, 0)}


def test_an_unpaid_request_is_a_promise_once_the_shop_takes_it_on() -> None:
    document = payload("order_cart") | {"fulfillments": [{"type": "PICKUP", "state": "PROPOSED"}]}
    assert order_holds(document) == {}

    document["fulfillments"][0]["state"] = "RESERVED"
    assert order_holds(document) == {"u1": ("LFRONT", 3, 0)}


@pytest.mark.parametrize("state", ["CANCELED", "DRAFT"])
def test_cancelled_orders_and_drafts_hold_nothing(state: str) -> None:
    document = payload("order_pickup") | {"state": state}

    (order,) = orders.orders(document)

    assert order_holds(document) == {}
    assert order.is_cancelled == (state == "CANCELED")
    assert [line.quantity for line in order.lines] == [2, 1]


def test_an_order_in_a_state_without_a_name_is_left_out_and_not_released() -> None:
    assert orders.orders(payload("order_pickup") | {"state": "LEVITATING"}) == []


def test_a_return_that_takes_from_two_sales_is_two_documents() -> None:
    first, second = orders.orders(payload("order_return_of_two"))

    assert (first.external_id, first.return_of) == ("ORDBACK", "ORDSOLD")
    assert (second.external_id, second.return_of) == ("ORDBACK:ORDOTHER", "ORDOTHER")
    assert [(line.line_external_id, line.quantity) for line in second.returns] == [
        ("u9", 2),
        ("u8", Decimal("0.5")),
    ]
    assert not any(line.restocked for line in [*first.returns, *second.returns])
    assert list(first.lines) == []


def test_an_exchange_is_a_sale_and_a_return() -> None:
    sale, document = orders.orders(payload("order_exchange"))

    assert (sale.external_id, sale.return_of, len(sale.lines), list(sale.returns)) == ("ORDSWAP", "", 1, [])
    assert (document.external_id, document.return_of) == ("ORDSWAP:ORDSOLD", "ORDSOLD")
    assert [(line.line_external_id, line.quantity) for line in document.returns] == [("u1", 1)]


def test_a_return_that_was_called_off_gives_nothing_back() -> None:
    (order,) = orders.orders(payload("order_return_of_two") | {"state": "CANCELED"})

    assert list(order.returns) == []


@pytest.mark.parametrize("quantity", ["many", "NaN", "Infinity", None])
def test_a_quantity_that_is_no_number_stops_the_reading(quantity: str | None) -> None:
    document = payload("order_sold")
    document["line_items"][0]["quantity"] = quantity

    with pytest.raises(ConnectorError) as unreadable:
        orders.orders(document)

    assert unreadable.value.code == "UNREADABLE"


def test_orders_are_fetched_a_hundred_at_a_time(script: Script, square: SquareConnector) -> None:
    script.answer({"orders": [payload("order_sold")]})
    script.answer({"orders": [payload("order_cart")]})

    found = square.fetch_orders(order_ids=[f"O{n}" for n in range(150)] + ["O1"])

    assert [len(asked.body["order_ids"]) for asked in script.asked] == [100, 50]
    assert [order.external_id for order in found] == ["ORDSOLD", "ORDCART"]


def test_more_than_ten_locations_are_asked_ten_by_ten(script: Script, square: SquareConnector) -> None:
    places = [f"L{n:02}" for n in range(23)]
    script.answer({"order_entries": [{"order_id": "A", "version": 3}], "cursor": "more"})
    script.answer({"order_entries": [{"order_id": "B"}]})
    script.answer({})
    script.answer({"order_entries": [{"order_id": "C"}]})
    found, marks, cursor = [], [], ""
    while True:
        page = square.fetch_orders_since(since=SINCE, cursor=cursor, location_ids=places)
        found += [(ref.external_id, ref.version) for ref in page.orders]
        marks.append(page.read_until)
        cursor = page.next_cursor
        if not cursor:
            break

    assert found == [("A", 3), ("B", 0), ("C", 0)]
    assert [asked.body["location_ids"] for asked in script.asked] == [
        places[:10],
        places[:10],
        places[10:20],
        places[20:],
    ]
    assert [asked.body.get("cursor") for asked in script.asked] == [None, "more", None, None]
    assert marks[:-1] == [None, None, None]
    assert marks[-1] is not None
    assert abs(datetime.now(UTC) - marks[-1]) < timedelta(minutes=1)


def test_a_feed_without_a_clock_moves_no_watermark(square: SquareConnector) -> None:
    page = square.fetch_orders_since(since=SINCE, cursor="", location_ids=[])

    assert (page.orders, page.next_cursor, page.read_until) == ([], "", None)


# --- catalog ------------------------------------------------------------------------------------------------


def test_changed_variations_are_read_with_their_items_wherever_those_are(
    script: Script, square: SquareConnector
) -> None:
    script.answer(payload("catalog_changed"))
    script.answer({"objects": [{"type": "ITEM", "id": "IPEN", "item_data": {"name": "Pen"}}]})

    page = square.page_catalog(cursor="", since=SINCE)

    by_id = {listing.external_id: listing for listing in page.listings}
    assert sorted(by_id) == ["VMUGLARGE", "VMUGSMALL", "VOLD", "VPEN"]
    mug = by_id["VMUGLARGE"]
    assert (mug.product_title, mug.title, mug.sku, mug.barcode) == ("Mug", "Large", "MUG-L", "04006381333931")
    assert (mug.price, mug.options) == (Decimal("12.50"), {"Variation": "Large"})
    assert (mug.category, mug.image_url) == ("Kitchen", "https://images.example.com/mug.png")
    assert mug.is_tracked
    assert by_id["VMUGSMALL"].is_tracked  # by its override for one location
    pen = by_id["VPEN"]
    assert (pen.product_title, pen.price, pen.options, pen.is_tracked) == ("Pen", 300, {}, False)
    assert by_id["VOLD"].is_deleted
    assert [asked.path.rpartition("/")[2] for asked in script.asked] == ["search", "batch-retrieve"]
    assert script.asked[1].body["object_ids"] == ["IPEN"]
    assert page.read_until == datetime(2026, 10, 3, 10, 0, 0, 250000, tzinfo=UTC)


def test_a_whole_reading_keeps_the_catalogs_time_of_its_first_page(script: Script, square: SquareConnector) -> None:
    script.answer({"latest_time": "2026-10-03T10:00:00Z"})
    script.answer({"objects": payload("catalog_changed")["objects"][:1], "cursor": "next"})
    script.answer({"objects": payload("catalog_changed")["related_objects"]})
    script.answer({})

    first = square.page_catalog(cursor="", since=None)
    last = square.page_catalog(cursor=first.next_cursor, since=None)

    assert first.read_until is None
    assert last.read_until == datetime(2026, 10, 3, 10, tzinfo=UTC)
    assert [listing.category for listing in first.listings] == ["Kitchen", "Kitchen"]
    assert script.asked[-1].query == {"types": ["ITEM"], "cursor": ["next"]}


def test_a_deleted_item_takes_its_variations_along(script: Script, square: SquareConnector) -> None:
    gone = payload("catalog_changed")["objects"][0] | {"is_deleted": True}
    script.answer({"objects": [gone], "related_objects": payload("catalog_changed")["related_objects"]})

    page = square.page_catalog(cursor="", since=SINCE)

    assert [listing.is_deleted for listing in page.listings] == [True, True]


def test_a_cursor_that_points_at_itself_is_not_followed(script: Script, square: SquareConnector) -> None:
    script.answer({"cursor": "round", "latest_time": "2026-10-03T10:00:00Z"})
    script.answer({"cursor": "round"})
    first = square.page_catalog(cursor="", since=SINCE)

    with pytest.raises(ConnectorError) as loop:
        square.page_catalog(cursor=first.next_cursor, since=SINCE)

    assert loop.value.code == "CURSOR_LOOP"


def test_a_cursor_of_somebody_else_is_refused(square: SquareConnector) -> None:
    with pytest.raises(ConnectorError) as refused:
        square.page_catalog(cursor="page-7", since=None)

    assert refused.value.code == "INVALID_CURSOR"


# --- counts -------------------------------------------------------------------------------------------------


def test_only_counted_variations_in_stock_are_read_the_newest_of_each(script: Script, square: SquareConnector) -> None:
    script.answer(payload("inventory_counts") | {"cursor": "more"})
    script.answer({})

    counts = square.read_counts(inventory_ids=["VMUGLARGE"], location_ids=["LFRONT", "LBACK"])

    assert {(count.location_id, count.quantity) for count in counts} == {
        ("LFRONT", Decimal(-2)),
        ("LBACK", Decimal("2.5")),
    }
    assert script.asked[0].body["states"] == ["IN_STOCK"]
    assert script.asked[1].body == script.asked[0].body | {"cursor": "more"}


def test_counts_whose_pages_come_round_again_are_not_read_for_ever(script: Script, square: SquareConnector) -> None:
    for cursor in ("a", "b", "a"):
        script.answer({"cursor": cursor})

    with pytest.raises(ConnectorError) as loop:
        square.read_counts(inventory_ids=["VMUGLARGE"], location_ids=["LFRONT"])

    assert loop.value.code == "CURSOR_LOOP"


def test_a_fall_is_sold_elsewhere_and_a_rise_comes_from_outside(script: Script, square: SquareConnector) -> None:
    script.answer({"counts": payload("inventory_counts")["counts"][:1]})
    writes = [
        a_write(),
        a_write(location_id="LBACK", to_quantity=Decimal("10.00000")),
        a_write(location_id="LBACK", from_quantity=Decimal("1.50000"), to_quantity=Decimal("2.75000")),
    ]

    results = square.write_counts(writes=writes, idempotency_key="w-7", now=NOW)

    body = script.asked[0].body
    fall, rise = (change["adjustment"] for change in body["changes"])
    assert body["idempotency_key"] == "w-7"
    assert (fall["from_state"], fall["to_state"], fall["quantity"]) == ("IN_STOCK", "SOLD", "3")
    assert (rise["from_state"], rise["to_state"], rise["quantity"]) == ("NONE", "IN_STOCK", "1.25")
    assert fall["from_location_id"] == fall["to_location_id"] == "LFRONT"
    assert fall["occurred_at"] == "2026-10-03T12:00:00.987Z"  # cut, never rounded into the future
    assert [fall["reference_id"], rise["reference_id"]] == ["storestudio:w-7:0", "storestudio:w-7:2"]
    assert [result.outcome for result in results] == [WriteOutcome.APPLIED] * 3
    assert [result.quantity_after for result in results] == [-2, None, None]


def test_nothing_to_change_asks_nothing(script: Script, square: SquareConnector) -> None:
    (result,) = square.write_counts(writes=[a_write(to_quantity=Decimal(10))], idempotency_key="w-8", now=NOW)

    assert result.outcome is WriteOutcome.APPLIED
    assert script.asked == []


def test_a_refused_batch_names_the_writes_to_blame_by_our_count(script: Script, square: SquareConnector) -> None:
    """The second write changes nothing and is not sent, so Square's entry 1 is our write 2."""
    script.refuse("INVALID_VALUE", field="changes[1].adjustment.catalog_object_id")
    writes = [a_write(), a_write(to_quantity=Decimal(10)), a_write(inventory_id="VSTRANGE")]

    with pytest.raises(ConnectorError) as refused:
        square.write_counts(writes=writes, idempotency_key="w-9", now=NOW)

    assert refused.value.permanent
    assert (refused.value.code, refused.value.lines) == ("INVALID_VALUE", (2,))


@pytest.mark.parametrize(("reference", "is_done"), [("storestudio:w-7:0", True), ("storestudio:w-6:0", False)])
def test_a_key_used_before_counts_as_done_only_if_the_history_shows_it(
    script: Script, square: SquareConnector, reference: str, is_done: bool
) -> None:
    script.refuse("IDEMPOTENCY_KEY_REUSED")
    script.answer({"changes": [{"type": "ADJUSTMENT", "adjustment": {"reference_id": reference}}]})

    if is_done:
        (result,) = square.write_counts(writes=[a_write()], idempotency_key="w-7", now=NOW)
        assert result.outcome is WriteOutcome.APPLIED
    else:
        with pytest.raises(ConnectorError) as refused:
            square.write_counts(writes=[a_write()], idempotency_key="w-7", now=NOW)
        assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"


# --- changes of stock ---------------------------------------------------------------------------------------


def test_the_history_tells_what_others_did_and_leaves_out_sales_and_ours(
    script: Script, square: SquareConnector
) -> None:
    script.answer(payload("inventory_changes"))
    script.answer(payload("inventory_adjustment"))

    page = square.fetch_stock_changes_since(since=SINCE, cursor="", location_ids=["LFRONT", "LBACK"])

    assert [(c.external_id, c.location_id, c.delta, c.cause) for c in page.changes] == [
        ("A1", "LFRONT", Decimal(5), "received in the dashboard"),
        ("A2", "LFRONT", Decimal("-1.5"), "damaged in the dashboard"),
        ("A3:out", "LFRONT", Decimal(-2), "moved between locations in the dashboard"),
        ("A3:in", "LBACK", Decimal(2), "moved between locations in the dashboard"),
        ("A5", "LFRONT", Decimal(1), "restocked after a return at the till"),
        ("A8", "LFRONT", Decimal(4), "edited by another app"),
        ("A11", "LFRONT", Decimal(6), "recounted in the dashboard"),
        ("A12", "LFRONT", Decimal(-2), "recounted in the dashboard"),
    ]
    assert script.asked[1].path == "/some/prefix/v2/inventory/adjustments/A12"
    assert page.read_until is not None


def test_a_move_from_a_place_that_is_not_ours_tells_only_our_end(script: Script, square: SquareConnector) -> None:
    script.answer({"changes": payload("inventory_changes")["changes"][2:3]})

    page = square.fetch_stock_changes_since(since=SINCE, cursor="", location_ids=["LBACK"])

    assert [change.external_id for change in page.changes] == ["A3:in"]


def test_what_we_write_is_known_again_as_ours() -> None:
    written = stock.adjustment(
        write=a_write(to_quantity=Decimal(11)),
        reference_id=stock.reference(idempotency_key="w-1", index=0),
        now=NOW,
    )["adjustment"]
    seen = written | {"id": "A1", "source": {"application_id": "sq0idp-ours"}}

    assert stock.changes_told(seen, application_id="sq0idp-ours", location_ids=["LFRONT"]) == []
    stranger = seen | {"reference_id": "delivery-77"}  # control: another program on the same application
    assert len(stock.changes_told(stranger, application_id="sq0idp-ours", location_ids=["LFRONT"])) == 1


# --- tokens and subscriptions -------------------------------------------------------------------------------


def test_fresh_tokens_are_laid_over_the_whole_mapping(script: Script, square: SquareConnector) -> None:
    script.answer(
        {
            "access_token": "new",
            "token_type": "bearer",
            "expires_at": "2026-11-02T12:00:00Z",
            "merchant_id": "MLSHOP",
        }
    )

    fresh = square.refresh_auth()

    assert fresh.expires_at == datetime(2026, 11, 2, 12, tzinfo=UTC)
    assert fresh.credentials == {
        **CREDENTIALS,
        "access_token": "new",
        "expires_at": "2026-11-02T12:00:00Z",
        "merchant_id": "MLSHOP",
    }
    assert "authorization" not in script.asked[0].headers
    assert script.asked[0].body == {
        "grant_type": "refresh_token",
        "client_id": "sq0idp-ours",
        "client_secret": "the-secret",
        "refresh_token": "the-refresh-token",
    }


def test_with_pkce_the_new_refresh_token_replaces_the_used_one(script: Script) -> None:
    script.answer({"access_token": "new", "refresh_token": "newer"})

    fresh = connect(script, client_secret="").refresh_auth()

    assert fresh.credentials["refresh_token"] == "newer"
    assert "client_secret" not in script.asked[0].body


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_refresh_needs_a_person(script: Script, square: SquareConnector, status: int) -> None:
    script.refuse("UNAUTHORIZED", status=status)

    with pytest.raises(ConnectorError) as refused:
        square.refresh_auth()

    assert refused.value.needs_reconnect
    assert refused.value.permanent


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refresh_that_met_a_passing_failure_needs_nobody(
    script: Script, square: SquareConnector, status: int
) -> None:
    script.refuse("SERVICE_UNAVAILABLE", status=status)

    with pytest.raises(ConnectorError) as failed:
        square.refresh_auth()

    assert not failed.value.needs_reconnect
    assert not failed.value.permanent


def subscription(**changes: Any) -> dict[str, Any]:
    return {
        "id": "wbhk_1",
        "enabled": True,
        "event_types": list(reversed(webhooks.TOPICS)),
        "notification_url": HOOK,
        "api_version": "2026-09-16",
        "signature_key": "from-square",
        "created_at": "2026-10-01T00:00:00Z",
    } | changes


def test_a_right_subscription_is_left_alone(script: Script) -> None:
    other = subscription(id="other", notification_url="https://else.example.com")
    script.answer({"subscriptions": [other], "cursor": "c"})
    script.answer({"subscriptions": [subscription()]})

    (made,) = connect(script, application_token="app-token").subscribe()

    assert (made.external_id, made.url, made.secrets) == ("wbhk_1", HOOK, {"signature_key": "from-square"})
    assert [asked.method for asked in script.asked] == ["GET", "GET"]
    assert {asked.headers["authorization"] for asked in script.asked} == {"Bearer app-token"}


@pytest.mark.parametrize(
    "wrong", [{"enabled": False}, {"event_types": ["order.created"]}, {"api_version": "2025-01-23"}]
)
def test_a_subscription_that_drifted_is_set_right(
    script: Script, square: SquareConnector, wrong: dict[str, Any]
) -> None:
    script.answer({"subscriptions": [subscription(**wrong), subscription(id="wbhk_2", created_at="2026-10-02")]})
    script.answer({"subscription": subscription()})
    script.answer({})

    (made,) = square.subscribe()

    assert [(asked.method, asked.path.rpartition("/")[2]) for asked in script.asked] == [
        ("GET", "subscriptions"),
        ("PUT", "wbhk_1"),
        ("DELETE", "wbhk_2"),
    ]
    assert script.asked[1].body["subscription"]["enabled"] is True
    assert sorted(made.topics) == sorted(webhooks.TOPICS)


def test_looking_for_subscriptions_changes_none(script: Script, square: SquareConnector) -> None:
    script.answer({"subscriptions": [subscription(enabled=False, signature_key=None)]})

    assert not square.subscribe(existing_only=True), "a disabled one tells us nothing, so it is missing"
    assert {asked.method for asked in script.asked} == {"GET"}


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "INVALID_VALUE", {"permanent": True}),
        (404, "NOT_FOUND", {"permanent": True}),
        (409, "CONFLICT", {}),
        (401, "UNAUTHORIZED", {"code": "ACCESS_TOKEN_EXPIRED"}),
        (401, "ACCESS_TOKEN_EXPIRED", {"code": "ACCESS_TOKEN_EXPIRED"}),
        (401, "ACCESS_TOKEN_REVOKED", {"permanent": True, "needs_reconnect": True}),
        (403, "INSUFFICIENT_SCOPES", {"permanent": True, "needs_reconnect": True}),
        (403, "FORBIDDEN", {"permanent": True}),
        (429, "RATE_LIMITED", {"retry_after_s": 1.0}),
        (500, "INTERNAL_SERVER_ERROR", {"is_outcome_unknown": True}),
        (503, "SERVICE_UNAVAILABLE", {"is_outcome_unknown": True}),
        (504, "GATEWAY_TIMEOUT", {"is_outcome_unknown": True}),
    ],
)
def test_each_refusal_of_a_write_says_what_it_means(
    script: Script, square: SquareConnector, status: int, code: str, expected: dict[str, Any]
) -> None:
    script.refuse(code, status=status)

    with pytest.raises(ConnectorError) as refused:
        square.write_counts(writes=[a_write()], idempotency_key="w-1", now=NOW)

    error = refused.value
    told = {
        "permanent": error.permanent,
        "needs_reconnect": error.needs_reconnect,
        "is_outcome_unknown": error.is_outcome_unknown,
        "retry_after_s": error.retry_after_s,
        "code": error.code,
    }
    usual = {
        "permanent": False,
        "needs_reconnect": False,
        "is_outcome_unknown": False,
        "retry_after_s": None,
        "code": code,
    }
    assert told == usual | expected


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("soon", 1.0), ("-3", 0.0)])
def test_the_vendors_wish_for_a_pause_is_passed_on(
    script: Script, square: SquareConnector, header: str, seconds: float
) -> None:
    script.refuse("RATE_LIMITED", status=429, Retry_After=header)

    with pytest.raises(ConnectorError) as refused:
        square.list_locations()

    assert refused.value.retry_after_s == seconds


def test_a_lost_answer_leaves_a_write_unknown_and_a_reading_not(script: Script, square: SquareConnector) -> None:
    script.hang_up()
    with pytest.raises(ConnectorError) as write:
        square.write_counts(writes=[a_write()], idempotency_key="w-1", now=NOW)
    script.hang_up()
    with pytest.raises(ConnectorError) as reading:
        square.list_locations()

    assert write.value.is_outcome_unknown
    assert not reading.value.is_outcome_unknown
    assert not write.value.permanent
    assert len(script.asked) == 2  # neither was repeated


def test_a_server_that_is_too_slow_leaves_a_write_unknown(
    script: Script, square: SquareConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.connectors.square.client.TIMEOUT_S", (1.0, 0.05))
    script.answer({}, Content_Length="10")  # promises more than it sends

    with pytest.raises(ConnectorError) as lost:
        square.write_counts(writes=[a_write()], idempotency_key="w-1", now=NOW)

    assert lost.value.is_outcome_unknown


def test_a_redirect_is_not_followed_with_our_token(script: Script, square: SquareConnector) -> None:
    script.answer(b"", status=302, Location=f"{script.url}/v2/locations")

    with pytest.raises(ConnectorError) as refused:
        square.list_locations()

    assert refused.value.permanent
    assert len(script.asked) == 1


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[]", b'"ok"'])
def test_an_answer_that_is_no_object_leaves_a_write_unknown(
    script: Script, square: SquareConnector, answer: bytes
) -> None:
    script.answer(answer)

    with pytest.raises(ConnectorError) as unreadable:
        square.write_counts(writes=[a_write()], idempotency_key="w-1", now=NOW)

    assert unreadable.value.is_outcome_unknown
    assert not unreadable.value.permanent


def test_every_call_is_pinned_to_the_version_and_keeps_the_address_prefix(
    script: Script, square: SquareConnector
) -> None:
    script.answer({"locations": [{"id": "L1", "name": "Front", "status": "INACTIVE"}]})

    (place,) = square.list_locations()

    assert (place.external_id, place.is_active) == ("L1", False)
    assert script.asked[0].path == "/some/prefix/v2/locations"
    assert script.asked[0].headers["square-version"] == "2026-09-16"
    assert script.asked[0].headers["authorization"] == "Bearer the-access-token"


def test_a_netrc_entry_does_not_replace_our_token(
    script: Script, square: SquareConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    script.answer({})

    square.list_locations()

    assert script.asked[0].headers["authorization"] == "Bearer the-access-token"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"), [(1250, "USD", "12.50"), (300, "JPY", "300"), (1250, "KWD", "1.250")]
)
def test_money_is_read_in_its_currencys_minor_units(amount: int, currency: str, expected: str) -> None:
    assert values.money({"amount": amount, "currency": currency}) == Decimal(expected)


# --- against the vendor's schemas ---------------------------------------------------------------------------


@cache
def schemas() -> dict[str, Any]:
    with gzip.open(CONTRACT / "sdk46-2026-09-16.schemas.json.gz") as file:
        return dict(json.load(file))


@cache
def endpoints() -> list[dict[str, Any]]:
    return list(json.loads((CONTRACT / "endpoints-sdk46.json").read_text())["endpoints"])


def check(name: str, value: Any) -> None:
    """Valid against the schema of that name, without a field it does not know."""
    jsonschema.validate(value, {**schemas(), "$ref": f"#/$defs/{name}"})
    assert strangers(value, {"$ref": f"#/$defs/{name}"}) == []


def strangers(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Fields no branch of the schema names; its objects allow more, so validation alone would not tell."""
    if "$ref" in schema:
        schema = schemas()["$defs"][schema["$ref"].rpartition("/")[2]]
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    if branches:
        return min((strangers(value, branch, path) for branch in branches), key=len)
    if isinstance(value, list):
        inner = schema.get("items") or {}
        return [name for n, entry in enumerate(value) for name in strangers(entry, inner, f"{path}[{n}]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = []
    for name, entry in value.items():
        known = schema["properties"].get(name)
        found += [f"{path}.{name}"] if known is None else strangers(entry, known, f"{path}.{name}")
    return found


def endpoint_of(asked: Asked) -> dict[str, Any]:
    """The vendor's endpoint a request went to. Raises StopIteration where there is none."""
    parts = asked.path.removeprefix("/some/prefix").split("/")

    def fits(template: str) -> bool:
        names = template.split("/")
        return len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        )

    candidates = [entry for entry in endpoints() if entry["method"] == asked.method and fits(entry["path"])]
    return min(candidates, key=lambda entry: entry["path"].count("{"))


@needs_contract
def test_every_request_is_one_the_vendor_knows(script: Script, square: SquareConnector) -> None:
    """Everything the connector can ask, in one go: paths, query, body fields, and bodies by schema."""
    for answer in (
        {"locations": []},
        {"latest_time": "2026-10-03T10:00:00Z"},
        {"cursor": "c"},
        {},
        payload("catalog_changed"),
        {},
        {"counts": [], "cursor": "c"},
        {},
        {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": "IDEMPOTENCY_KEY_REUSED"}]},
        {"changes": [{"adjustment": {"reference_id": f"storestudio:w-1:{n}"}} for n in (0, 1)]},
        {"cursor": "c"},
        {},
        {"orders": []},
        payload("inventory_changes"),
        payload("inventory_adjustment"),
        {},
        {"subscription": subscription(signature_key=None)},
        {"subscription": subscription()},
        {"subscriptions": [subscription(enabled=False)]},
        {"subscription": subscription()},
        {"subscriptions": [subscription()]},
        {},
        {"access_token": "new"},
    ):
        script.answer(answer)
    square.list_locations()
    first = square.page_catalog(cursor="", since=None)
    square.page_catalog(cursor=first.next_cursor, since=None)
    square.page_catalog(cursor="", since=SINCE)
    square.read_counts(inventory_ids=["VMUGLARGE"], location_ids=["LFRONT"])
    square.write_counts(writes=[a_write(), a_write(to_quantity=Decimal("10.25"))], idempotency_key="w-1", now=NOW)
    page = square.fetch_orders_since(since=SINCE, cursor="", location_ids=["LFRONT"])
    square.fetch_orders_since(since=SINCE, cursor=page.next_cursor, location_ids=["LFRONT"])
    square.fetch_orders(order_ids=["ORDSOLD"])
    square.fetch_stock_changes_since(since=SINCE, cursor="", location_ids=["LFRONT"])
    square.subscribe()
    square.subscribe()
    square.unsubscribe()
    square.refresh_auth()

    assert script.answers == []
    for asked in script.asked:
        endpoint = endpoint_of(asked)
        assert set(asked.query) <= set(endpoint["query"]), asked
        assert set(asked.body or {}) <= set(endpoint["body"]), asked
    bodies = [(endpoint_of(asked)["path"], asked.body) for asked in script.asked if asked.body]
    named = {
        "/v2/inventory/changes/batch-create": "BatchChangeInventoryRequest",
        "/v2/inventory/changes/batch-retrieve": "BatchRetrieveInventoryChangesRequest",
        "/v2/inventory/counts/batch-retrieve": "BatchGetInventoryCountsRequest",
    }
    checked = set()
    for path, body in bodies:
        if path in named:
            check(named[path], body)
            checked.add(path)
        if path == "/v2/orders/search":
            check("SearchOrdersQuery", body["query"])
            checked.add(path)
        if path.startswith("/v2/webhooks/subscriptions"):
            check("WebhookSubscription", body["subscription"])
            checked.add("webhooks")
    assert checked == {*named, "/v2/orders/search", "webhooks"}


@needs_contract
def test_a_request_in_the_form_of_before_2026_would_be_noticed() -> None:
    """Control for the check above."""
    body = {
        "idempotency_key": "w-1",
        "changes": [{"type": "ADJUSTMENT", "adjustment": {"location_id": "LFRONT", "quantity": "1"}}],
    }

    with pytest.raises(AssertionError, match="location_id"):
        check("BatchChangeInventoryRequest", body)


@needs_contract
def test_every_transition_we_write_is_one_the_vendor_takes() -> None:
    allowed = json.loads((CONTRACT / "inventory-transitions.json").read_text())["allowed"]
    for after in (Decimal(7), Decimal(12)):
        written = stock.adjustment(write=a_write(to_quantity=after), reference_id="x", now=NOW)["adjustment"]
        assert [written["from_state"], written["to_state"]] in allowed


@needs_contract
@pytest.mark.parametrize(
    ("names", "schema"),
    [
        ("order_*", "Order"),
        ("catalog_changed", "SearchCatalogObjectsResponse"),
        ("inventory_changes", "BatchGetInventoryChangesResponse"),
        ("inventory_counts", "BatchGetInventoryCountsResponse"),
    ],
)
def test_our_own_payloads_have_the_vendors_shape(names: str, schema: str) -> None:
    files = sorted(PAYLOADS.glob(f"{names}.json"))

    assert files
    for file in files:
        check(schema, json.loads(file.read_text()))
