"""WooCommerce's orders as states: what is promised, what left, what came back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from channels.connectors.woocommerce import orders
from channels.ports import ChannelOrder, ConnectorError

AT = "2026-02-01T10:00:00"


def order(
    status: str, *, units: int = 3, refunds: tuple[tuple[int, bool], ...] = (), completed_at: str = "", **meta: int
) -> ChannelOrder:
    """One line of a variation; `refunds`: units and whether they went back to the shelf."""
    restocked = sum(count for count, is_shelf in refunds if is_shelf)
    told = {f"_{name}": str(value) for name, value in meta.items()}
    if restocked:
        told["_restock_refunded_items"] = str(restocked)
    entry = {
        "id": 5, "name": "Mug - Large", "product_id": 22, "variation_id": 23, "quantity": units, "sku": "MUG",
        "meta_data": [{"id": n, "key": key, "value": value} for n, (key, value) in enumerate(told.items())],
    }  # fmt: skip
    document = {
        "id": 7, "number": "1007", "status": status, "currency": "GBP", "total": "27.00", "line_items": [entry],
        "date_created": "2026-02-01T11:00:00", "date_created_gmt": AT, "date_modified_gmt": "2026-02-01T10:05:00",
        "date_completed_gmt": completed_at or None,
    }  # fmt: skip
    backs = [
        {"id": n, "line_items": [{"id": 90 + n, "quantity": -count, "meta_data": [
            {"id": 1, "key": "_refunded_item_id", "value": "5"}]}]}
        for n, (count, _) in enumerate(refunds)
    ]  # fmt: skip
    return orders.order(document, refunds=backs)


def held(one: ChannelOrder) -> tuple[Decimal, Decimal]:
    holds = [hold for line in one.lines for hold in line.holds]
    return sum((h.committed for h in holds), Decimal(0)), sum((h.fulfilled for h in holds), Decimal(0))


def back(one: ChannelOrder) -> list[tuple[Decimal, bool]]:
    return [(line.quantity, line.restocked) for line in one.returns]


@pytest.mark.parametrize(
    ("status", "meta", "committed", "fulfilled"),
    [
        ("pending", {}, 0, 0),
        ("checkout-draft", {}, 0, 0),
        ("failed", {}, 0, 0),
        ("failed", {"reduced_stock": 3}, 3, 0),  # failing gives nothing back
        ("trash", {"reduced_stock": 3}, 3, 0),  # nor does the bin
        ("a-plugins-own", {"reduced_stock": 3}, 3, 0),
        ("a-plugins-own", {}, 0, 0),
        ("on-hold", {"reduced_stock": 3}, 3, 0),
        ("processing", {"reduced_stock": 3}, 3, 0),
        ("processing", {}, 3, 0),  # what the shop does not count is sold all the same
        ("completed", {"reduced_stock": 3}, 0, 3),
        ("completed", {}, 0, 3),
        ("cancelled", {}, 0, 0),
    ],
)
def test_the_status_and_the_line_say_what_is_held(status, meta, committed, fulfilled):
    one = order(status, **meta)
    assert held(one) == (committed, fulfilled)
    assert one.is_cancelled is (status == "cancelled")
    assert back(one) == []


def test_goods_left_when_the_order_was_completed():
    completed = order("completed", reduced_stock=3, completed_at="2026-02-01T10:04:00")
    assert completed.left_at == datetime(2026, 2, 1, 10, 4, tzinfo=UTC)
    assert order("processing", reduced_stock=3).left_at is None


def test_units_let_go_before_they_were_sent_are_no_return():
    one = order("processing", reduced_stock=2, refunds=((1, True),))
    assert held(one) == (2, 0)
    assert back(one) == []


def test_units_that_came_back_are_restocked_or_written_off_once():
    one = order("completed", reduced_stock=1, refunds=((2, True), (1, False)))
    assert held(one) == (0, 3)
    assert back(one) == [(2, True), (1, False)]


def test_all_that_is_refunded_and_not_put_back_is_gone():
    assert back(order("refunded", reduced_stock=3)) == [(3, False)]
    assert back(order("refunded", reduced_stock=0, refunds=((3, True),))) == [(3, True)]
    one = order("refunded", reduced_stock=1, refunds=((2, True),))
    assert (held(one), back(one)) == ((0, 3), [(2, True), (1, False)])


def test_what_is_cancelled_after_it_was_sent_is_back_as_a_whole():
    one = order("cancelled", refunds=((1, True),))
    assert (held(one), back(one)) == ((0, 0), [])


def test_more_never_comes_back_than_was_sold():
    for status in ("completed", "refunded"):
        for reduced in range(4):
            for restocked in range(5):
                for lost in range(5):
                    one = order(status, reduced_stock=reduced, refunds=((restocked, True), (lost, False)))
                    assert sum(units for units, _ in back(one)) <= held(one)[1]


def test_times_are_utc_and_whole_seconds():
    one = order("processing")
    assert one.placed_at.isoformat() == "2026-02-01T10:00:00+00:00"
    assert one.number == "1007"
    ref = orders.ref({"id": 7, "date_modified_gmt": AT})
    assert ref.updated_at is not None
    assert ref.updated_at.microsecond == 0  # so that an equal one is read again


def test_a_document_that_is_no_order_is_refused():
    with pytest.raises(ConnectorError):
        orders.order({"id": 7}, refunds=[])
