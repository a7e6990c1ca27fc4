"""The site's orders, told by state: the same again changes nothing, a fact is a fact, no unit comes back twice."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from channels.models import Collision, Incident
from inventory import verify
from inventory.models import Order, StockMovement
from tests.own.shops import Shop, a_site

pytestmark = pytest.mark.django_db


def line(quantity: Any, sku: str = "MUG", line_id: str = "1", **more: Any) -> dict[str, Any]:
    return {"line_id": line_id, "sku": sku, "quantity": quantity, **more}


def order(*lines: dict[str, Any], order_id: str = "1042", **more: Any) -> dict[str, Any]:
    return {"order_id": order_id, "lines": list(lines), **more}


def shelf(shop: Shop, sku: str = "MUG") -> tuple[Decimal, Decimal, Decimal]:
    level = shop.level(sku)
    return level.on_hand, level.committed, level.available


def test_an_order_is_recorded_once() -> None:
    shop = a_site()
    first = shop.api.post("/orders", order(line(2), number="#1042", total="98.00", currency="GBP"))
    assert (first.status_code, first.json()["total"], first.json()["state"]) == (201, "98.00", "open")
    again = shop.api.post("/orders", order(line(2), number="#1042", total="98.00", currency="GBP"))
    assert (again.status_code, again.json()) == (200, first.json())
    other = shop.api.post("/orders", order(line(3)))
    assert (other.status_code, other.json()["type"]) == (409, "/api/docs#order-exists")
    assert shelf(shop) == (5, 2, 3)
    assert Order.objects.get().channel_id == shop.site.pk


def test_a_sale_of_what_is_not_there_is_recorded_and_somebody_is_told() -> None:
    shop = a_site(units=1)
    assert shop.api.post("/orders", order(line(3))).status_code == 201
    assert shelf(shop) == (1, 3, -2)
    assert Incident.objects.standing().filter(kind="oversold").count() == 1
    assert Collision.objects.get().cause_words.endswith("more than there was. We heard at once.")


def test_an_order_is_brought_to_the_state_described_whatever_it_was_before() -> None:
    shop = a_site()
    states = [
        (order(line(4), line(1, "BOWL", "2")), (5, 4, 1)),
        (order(line(4, fulfilled=3), line(1, "BOWL", "2")), (2, 1, 1)),
        (order(line(3, fulfilled=3)), (2, 0, 2)),
    ]
    for body, expected in states:
        del body["order_id"]
        for _ in range(2):
            assert shop.api.call("PUT", "/orders/1042", body).status_code in (200, 201)
            assert shelf(shop) == expected
    assert shelf(shop, "BOWL") == (5, 0, 5)
    assert shop.api.get("/orders/1042").json()["state"] == "fulfilled"
    back = shop.api.call("PUT", "/orders/1042", {"lines": [line(3, fulfilled=1)]})
    assert (back.status_code, back.json()["type"]) == (409, "/api/docs#order-impossible")
    assert verify.verify().breaches == []


def test_fulfilment_is_a_total_so_that_telling_it_twice_is_harmless() -> None:
    shop = a_site()
    shop.api.post("/orders", order(line(3)))
    for _ in range(2):
        left = shop.api.post("/orders/1042/fulfil", {"lines": [{"line_id": "1", "fulfilled": 2}]})
        assert (left.json()["lines"][0]["fulfilled"], shelf(shop)) == (2, (3, 1, 2))
    assert shop.api.post("/orders/1042/fulfil", {}).json()["state"] == "fulfilled"
    assert shelf(shop) == (2, 0, 2)
    for lines in ([{"line_id": "1", "fulfilled": 4}], [{"line_id": "9", "fulfilled": 1}]):
        refused = shop.api.post("/orders/1042/fulfil", {"lines": lines})
        assert (refused.status_code, refused.json()["type"]) == (409, "/api/docs#order-impossible")


def test_cancel_frees_what_has_not_left() -> None:
    shop = a_site()
    shop.api.post("/orders", order(line(3, fulfilled=1)))
    for _ in range(2):
        assert shop.api.post("/orders/1042/cancel").json()["state"] == "cancelled"
        assert shelf(shop) == (4, 0, 4)


RETURNS = {
    "r-1": {"line_id": "1", "quantity": 1, "is_restocked": True},
    "r-2": {"line_id": "1", "quantity": 1, "is_restocked": False},
}


@pytest.mark.parametrize("steps", list(itertools.permutations(["r-1", "r-2", "cancel"])))
def test_returns_and_cancel_in_any_order_and_repeated_give_back_once(steps: tuple[str, ...]) -> None:
    shop = a_site()
    shop.api.post("/orders", order(line(3, fulfilled=2)))
    for step in (*steps, *steps):
        if step == "cancel":
            answer = shop.api.post("/orders/1042/cancel")
        else:
            answer = shop.api.post("/orders/1042/returns", {"return_id": step, "lines": [RETURNS[step]]})
        assert answer.status_code == 200
    (one,) = answer.json()["lines"]
    assert (one["fulfilled"], one["restocked"], one["written_off"]) == (2, 1, 1)
    assert shelf(shop) == (4, 0, 4)
    more = {"return_id": "r-3", "lines": [{"line_id": "1", "quantity": 1, "is_restocked": True}]}
    refused = shop.api.post("/orders/1042/returns", more)
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/docs#order-impossible")
    assert shelf(shop) == (4, 0, 4)
    assert verify.verify().breaches == []


def test_a_return_goes_to_the_shelf_that_is_named() -> None:
    shop = a_site()
    shop.api.post("/orders", order(line(2, fulfilled=2)))
    back = {"line_id": "1", "quantity": 2, "is_restocked": True, "location_id": shop.places[1].pk}
    assert shop.api.post("/orders/1042/returns", {"return_id": "r", "lines": [back]}).status_code == 200
    assert shop.level("MUG", 1).available == 2
    elsewhere = {**back, "location_id": 999_999}
    assert shop.api.post("/orders/1042/returns", {"return_id": "r", "lines": [elsewhere]}).status_code == 409


def test_an_older_description_is_refused() -> None:
    shop = a_site()
    newer, older = "2026-11-28T10:00:00Z", "2026-11-28T09:00:00Z"
    shop.api.post("/orders", order(line(2), updated_at=newer, placed_at=older))
    stale = shop.api.call("PUT", "/orders/1042", {"lines": [line(1)], "updated_at": older})
    assert (stale.status_code, stale.json()["type"]) == (409, "/api/docs#order-stale")
    assert shelf(shop) == (5, 2, 3)


def test_the_site_is_told_the_effect_of_its_own_sale_like_any_other() -> None:
    shop = a_site()
    cell = shop.site.cells.get(listing__variant=shop.variants["MUG"], channel_location__location=shop.places[0])
    type(cell).objects.filter(pk=cell.pk).update(expected=5, dirty_at=None)
    shop.api.post("/orders", order(line(2)))
    cell.refresh_from_db()
    assert (cell.desired, cell.expected, cell.dirty_at is None) == (3, 5, False)
    assert StockMovement.objects.get(order__external_id="1042").channel_id == shop.site.pk
