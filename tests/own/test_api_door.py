"""The door of the API: who gets in, how often, with what; every error is a problem document, whatever was sent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels.own import budget, tokens
from channels.own import site as sites
from channels.own.api.operations import OPERATIONS
from channels.own.models import ApiToken, RateWindow, Scope
from tests.own.shops import Api, a_site, api_of

pytestmark = pytest.mark.django_db
HOLD = {"lines": [{"sku": "MUG", "quantity": 1}]}


def problem(answer: Any) -> tuple[int, str]:
    """Status and kind; it must be a problem document."""
    document = json.loads(answer.content)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail"} <= document.keys()
    return answer.status_code, document["type"].rpartition("#")[2]


def send(api: Api, body: Any) -> Any:
    return api.post("/holds", body, **{"Idempotency-Key": uuid4().hex})


def test_addresses_and_methods_that_there_are_not() -> None:
    api = a_site().api
    for path in ("", "/", "/nothing", "/holds/1/2/3", "/../admin/", "/holds/%00", "/orders/"):
        assert problem(api.get(path))[0] == 404
    answer = api.call("DELETE", "/holds")
    assert (problem(answer), answer["Allow"]) == ((405, "method-not-allowed"), "POST")
    assert api.call("TRACE", "/availability")["Allow"] == "GET, HEAD"
    assert api.call("HEAD", "/availability").status_code == 200
    assert problem(api.call("PATCH", "/openapi.json"))[0] == 405


BODIES: list[tuple[Any, int]] = [
    (b" ", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"\xff\xfe{}", 400), (b'{"lines": NaN}', 400),
    (b'{"ttl_s": 60, "ttl_s": 90, "lines": [{"sku": "MUG", "quantity": 1}]}', 400),
    (b'{"lines": [{"sku": "MUG", "quantity": 1, "quantity": 100}]}', 400),
    (b"[" * 100_000, 400), (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
    ({}, 422), ({"lines": []}, 422), ({**HOLD, "surprise": 1}, 422), ({**HOLD, "ttl_s": "60"}, 422),
    ({**HOLD, "ttl_s": 9}, 422), ({**HOLD, "ttl_s": 10**30}, 422), ({**HOLD, "reference": "\x00"}, 422),
    ({**HOLD, "location_id": 2**63}, 422), ({**HOLD, "address": {}}, 422),
    ({"lines": HOLD["lines"] * 101}, 422),
    *(({"lines": [{"sku": sku, "quantity": 1}]}, 422) for sku in ("", " ", "\x00", "A" * 121, 7, None)),
    *(({"lines": [{"sku": "MUG", "quantity": n}]}, 422)
      for n in (0, -1, 0.5, 10**6 + 1, 10**40, "0", "-1", "1e3", "0.000001", "１", "", None, True, [])),
    ({"lines": [{"quantity": 1}]}, 422), ({"lines": [{"sku": "MUG", "variant_id": 1, "quantity": 1}]}, 422),
    (b'{"lines": [{"sku": "\\ud800", "quantity": 1}]}', 422),
    ({"lines": [{"sku": "ＭＵＧ", "quantity": 1}]}, 201), ({"lines": [{"sku": "🫖", "quantity": 1}]}, 409),
]  # fmt: skip


def test_bodies_that_are_not_as_described_change_nothing() -> None:
    shop = a_site(skus=("MUG",))
    for body, status in BODIES:
        answer = send(shop.api, body)
        assert answer.status_code == status, body
        if status != 201:
            problem(answer)
    assert shop.level("MUG").reserved == sum(status == 201 for _, status in BODIES)


def test_an_error_names_the_place() -> None:
    body = {"lines": [{"sku": "MUG", "quantity": 1}, {"sku": "MUG", "quantity": -1}], "ttl_s": 1}
    errors = send(a_site().api, body).json()["errors"]
    assert {error["at"] for error in errors} == {"/lines/1/quantity", "/ttl_s"}


def test_only_json_and_not_too_much_of_it() -> None:
    api = a_site().api
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = api.post("/holds", HOLD, **{"Idempotency-Key": "a", "Content-Type": content_type})
        assert problem(answer) == (415, "unsupported-media-type")
    assert problem(send(api, b" " * (256 * 1024 + 1))) == (413, "too-large")


def test_headers_and_queries_are_checked_too() -> None:
    api = a_site().api
    for key in ({}, {"Idempotency-Key": "x" * 121}, {"Idempotency-Key": "a b"}):
        assert problem(api.post("/holds", HOLD, **key)) == (422, "invalid")
    for query in (
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=x",
        "location_id=0",
        "page=2",
        "limit=1&limit=2",
        "sku=%00",
    ):
        assert problem(api.get(f"/availability?{query}")) == (422, "invalid")
    assert problem(api.get("/availability?location_id=999999")) == (409, "unknown-location")
    assert problem(api.get(f"/holds/{'9' * 400}")) == (404, "not-found")


def test_tokens_that_open_nothing() -> None:
    shop = a_site()
    token, text = tokens.issue(connection=shop.site, name="Old", scopes=Scope.values, actor=shop.owner)
    api = Api(text, shop.api.client)
    assert api.get("/locations").status_code == 200
    assert not ApiToken.objects.filter(digest__contains=text).exists()
    tokens.revoke(token=token, actor=shop.owner)
    late = api_of(shop.site, expires_at=utc_now() - timedelta(seconds=1))
    for one in (
        api,
        late,
        Api("", shop.api.client),
        Api("sst_" + "x" * 43, shop.api.client),
        Api("x", shop.api.client),
    ):
        answer = one.get("/locations")
        assert problem(answer) == (401, "unauthorized")
        assert answer["WWW-Authenticate"].startswith("Bearer")
    type(shop.site).objects.filter(pk=shop.site.pk).update(state="closed")
    tokens._known.clear()
    assert problem(shop.api.get("/locations"))[0] == 401


def test_a_signed_in_person_without_a_token_is_nobody_here(client: Any) -> None:
    shop = a_site()
    client.force_login(shop.owner)
    assert problem(client.get("/api/v1/locations"))[0] == 401


def addresses() -> list[tuple[Any, str]]:
    return [(one, one.path.format(hold_id=uuid4(), order_id="1042")) for one in OPERATIONS]


def test_every_operation_needs_its_scope() -> None:
    shop = a_site()
    for operation, path in addresses():
        others = [scope for scope in Scope.values if scope != operation.scope]
        answer = api_of(shop.site, *others).call(operation.method, path, {})
        assert problem(answer) == (403, "forbidden"), operation.name


def test_a_token_reaches_its_own_shop_only() -> None:
    """Over all operations, with the ids of another shop's rows: nothing is found, and nothing there changes."""
    mine, theirs = a_site(), a_site(skus=("CUP",))
    held = theirs.api.hold("a", ("CUP", 1)).json()
    theirs.api.post("/orders", {"order_id": "T-1", "lines": [{"line_id": "1", "sku": "CUP", "quantity": 1}]})
    there, place = theirs.variants["CUP"].pk, theirs.places[0].pk
    bodies = {
        "createHold": {"lines": [{"variant_id": there, "quantity": 1}]},
        "extendHold": {"ttl_s": 60},
        "convertHold": {"order_id": "T-2"},
        "createOrder": {"order_id": "T-1", "lines": [{"line_id": "1", "variant_id": there, "quantity": 1}]},
        "putOrder": {"lines": [{"line_id": "1", "variant_id": there, "quantity": 1, "location_id": place}]},
        "fulfilOrder": {},
        "returnOrder": {"return_id": "r", "lines": [{"line_id": "1", "quantity": 1, "is_restocked": True}]},
    }
    for operation in OPERATIONS:
        path = operation.path.format(hold_id=held["id"], order_id="T-1")
        answer = mine.api.call(operation.method, path, bodies.get(operation.name), **{"Idempotency-Key": "a"})
        if operation.name in ("getAvailability", "getLocations"):
            text = answer.content.decode()
            assert theirs.places[0].name not in text
            assert "CUP" not in text
        else:
            named = operation.name in ("createHold", "createOrder", "putOrder")  # in the body, not in the address
            assert problem(answer) == ((409, "unknown-goods") if named else (404, "not-found")), operation.name
    level = theirs.level("CUP")
    assert (level.on_hand, level.reserved, level.committed) == (5, 1, 1)
    assert problem(mine.api.get(f"/availability?location_id={place}"))[0] == 409


def test_so_many_requests_a_minute_over_all_processes_and_no_more() -> None:
    shop = a_site()
    budget._handfuls.clear()
    api = api_of(shop.site, requests_per_minute=120)
    answers = []
    for n in range(130):
        if n % 7 == 6:
            budget._handfuls.clear()  # as if another process answered: what the last one took is lost to it
        answers.append(api.get("/locations"))
    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len({answer["RateLimit-Policy"] for answer in answers}) == 1
    assert answers[0]["RateLimit-Policy"] == '"default";q=120;w=60'
    if RateWindow.objects.filter(used__gte=120).exists():  # else the minute turned meanwhile
        assert 0 < len(passed) <= 120
        assert problem(refused[-1]) == (429, "rate-limited")
        assert 1 <= int(refused[-1]["Retry-After"]) <= 60


def test_availability_comes_page_by_page_and_nothing_is_left_out() -> None:
    shop = a_site(skus=tuple(f"SKU-{n}" for n in range(7)))
    seen, cursor = [], ""
    while True:
        page = shop.api.get(f"/availability?limit=3{cursor}").json()
        seen += [item["sku"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == list(shop.variants)
    one = shop.api.get(f"/availability?sku=sku-1&sku=NOTHING&location_id={shop.places[0].pk}").json()
    assert one["unknown"] == ["NOTHING"]
    assert one["items"][0]["locations"] == [
        {"location_id": shop.places[0].pk, "available": 5, "in_stock": 5, "promise": None}
    ]


def test_what_is_archived_or_excluded_is_not_offered_and_new_goods_are(django_assert_max_num_queries: Any) -> None:
    shop = a_site(skus=("MUG", "BOWL", "CUP"))
    type(shop.variants["MUG"]).objects.filter(pk=shop.variants["MUG"].pk).update(archived_at=utc_now())
    shop.site.listings.filter(sku="BOWL").update(link="excluded", variant=None)
    sites.follow_catalogs()
    assert [item["sku"] for item in shop.api.get("/availability").json()["items"]] == ["CUP"]
    type(shop.variants["MUG"]).objects.filter(pk=shop.variants["MUG"].pk).update(archived_at=None)
    sites.follow_catalogs()
    assert [item["sku"] for item in shop.api.get("/availability").json()["items"]] == ["MUG", "CUP"]
    with django_assert_max_num_queries(5):
        shop.api.get("/availability")


def test_the_address_of_the_api_takes_no_shop(client: Any) -> None:
    assert reverse("api", kwargs={"path": "/holds"}) == "/api/v1/holds"
