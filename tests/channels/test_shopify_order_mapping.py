"""Shopify's orders as states: what is promised where, what left from where, what came back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from channels.connectors.shopify import mapping
from channels.ports import ChannelOrder, LineHold, ReturnLine

FRONT, BACK = "gid://shopify/Location/21", "gid://shopify/Location/22"
LINE = "gid://shopify/LineItem/81"


def a_line(quantity: int, *, current: int | None = None, unfulfilled: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": LINE, "sku": "MUG-LARGE", "title": "Mug", "variantTitle": "Large", "quantity": quantity,
        "currentQuantity": quantity if current is None else current, "unfulfilledQuantity": unfulfilled,
        "variant": {"id": "gid://shopify/ProductVariant/41"},
    } | more  # fmt: skip


def promised(units: int, place: str | None = FRONT, *, status: str = "OPEN") -> dict[str, Any]:
    return {
        "id": f"gid://shopify/FulfillmentOrder/{status}{place}", "status": status,
        "assignedLocation": {"location": {"id": place} if place else None},
        "lineItems": {"nodes": [{"remainingQuantity": units, "lineItem": {"id": LINE}}]},
    }  # fmt: skip


def sent(units: int, place: str | None = FRONT, *, status: str = "SUCCESS") -> dict[str, Any]:
    return {
        "id": "gid://shopify/Fulfillment/71", "status": status, "location": {"id": place} if place else None,
        "createdAt": "2026-10-03T11:30:00Z",
        "fulfillmentLineItems": {"nodes": [{"quantity": units, "lineItem": {"id": LINE}}]},
    }  # fmt: skip


def back(units: int, kind: str, place: str | None = FRONT) -> dict[str, Any]:
    return {
        "quantity": units, "restockType": kind, "restocked": kind in ("RETURN", "CANCEL"),
        "location": {"id": place} if place else None, "lineItem": {"id": LINE},
    }  # fmt: skip


def an_order(line: dict[str, Any], *, is_cancelled: bool = False, **parts: Any) -> ChannelOrder:
    head = {
        "id": "gid://shopify/Order/7001", "name": "#2001", "createdAt": "2026-10-03T11:00:00Z",
        "processedAt": "2026-10-03T10:59:00Z", "updatedAt": "2026-10-03T12:00:00Z",
        "cancelledAt": "2026-10-03T12:00:00Z" if is_cancelled else None,
        "currentTotalPriceSet": {"shopMoney": {"amount": "25.00", "currencyCode": "GBP"}},
    }  # fmt: skip
    empty: dict[str, Any] = {"fulfillment_orders": [], "fulfillments": [], "refund_lines": []}
    return mapping.order(mapping.OrderParts(head=head, lines=[line], **(empty | parts)))


def holds(order: ChannelOrder) -> list[LineHold]:
    return list(order.lines[0].holds)


def hold(place: str, committed: int = 0, fulfilled: int = 0) -> LineHold:
    return LineHold(place, Decimal(committed), Decimal(fulfilled))


def test_an_order_says_who_it_is_and_what_it_came_to() -> None:
    order = an_order(a_line(2, unfulfilled=2), fulfillment_orders=[promised(2)])

    assert (order.external_id, order.number, order.total, order.currency) == (
        "gid://shopify/Order/7001", "#2001", Decimal("25.00"), "GBP",
    )  # fmt: skip
    assert order.placed_at.isoformat() == "2026-10-03T10:59:00+00:00"
    assert order.lines[0].listing_external_id == "gid://shopify/ProductVariant/41"


def test_a_placed_order_is_committed_where_it_is_routed() -> None:
    assert holds(an_order(a_line(2, unfulfilled=2), fulfillment_orders=[promised(2, BACK)])) == [hold(BACK, 2)]


def test_a_pos_sale_is_fulfilled_where_the_till_stands() -> None:
    order = an_order(a_line(1), fulfillment_orders=[promised(0, FRONT, status="CLOSED")], fulfillments=[sent(1)])

    assert holds(order) == [hold(FRONT, 0, 1)]


def test_an_order_that_is_not_routed_yet_is_promised_from_nowhere() -> None:
    assert holds(an_order(a_line(2, unfulfilled=2))) == [hold("", 2)]


def test_a_fulfillment_order_without_a_place_is_promised_from_nowhere() -> None:
    assert holds(an_order(a_line(2, unfulfilled=2), fulfillment_orders=[promised(2, None)])) == [hold("", 2)]


def test_a_cancelled_order_that_was_never_routed_holds_nothing() -> None:
    order = an_order(a_line(2, current=0), is_cancelled=True, refund_lines=[back(2, "CANCEL")])

    assert holds(order) == []


def test_a_partial_fulfillment_splits_between_sent_and_promised() -> None:
    order = an_order(a_line(3, unfulfilled=2), fulfillment_orders=[promised(2)], fulfillments=[sent(1)])

    assert holds(order) == [hold(FRONT, 2, 1)]


def test_a_fulfillment_without_a_place_left_from_where_it_was_promised() -> None:
    order = an_order(a_line(1), fulfillment_orders=[promised(0, BACK, status="CLOSED")], fulfillments=[sent(1, None)])

    assert holds(order) == [hold(BACK, 0, 1)]


def test_goods_left_when_the_last_fulfillment_was_made_but_with_the_order_when_that_was_placed() -> None:
    earlier, later = sent(1), sent(1) | {"createdAt": "2026-10-03T15:00:00Z"}
    called_off = sent(1, status="CANCELLED") | {"createdAt": "2026-10-03T16:00:00Z"}
    assert an_order(a_line(2), fulfillments=[earlier, later, called_off]).left_at == mapping.moment(later["createdAt"])

    at_the_till = sent(1) | {"createdAt": "2026-10-03T11:00:01Z"}  # sold at 10:59, told at 11:00
    assert an_order(a_line(1), fulfillments=[at_the_till]).left_at is None
    assert an_order(a_line(2, unfulfilled=2), fulfillment_orders=[promised(2)]).left_at is None


def test_a_cancelled_fulfillment_sent_nothing() -> None:
    order = an_order(
        a_line(1, unfulfilled=1), fulfillment_orders=[promised(1)], fulfillments=[sent(1, status="CANCELLED")]
    )

    assert holds(order) == [hold(FRONT, 1)]


def test_a_move_takes_the_promise_to_the_other_place() -> None:
    moved = [promised(0, FRONT, status="CLOSED"), promised(2, BACK)]

    assert holds(an_order(a_line(2, unfulfilled=2), fulfillment_orders=moved)) == [hold(BACK, 2)]


def test_a_part_that_moved_is_promised_from_both_places() -> None:
    moved = [promised(1, FRONT), promised(2, BACK)]

    assert holds(an_order(a_line(3, unfulfilled=3), fulfillment_orders=moved)) == [hold(FRONT, 1), hold(BACK, 2)]


def test_a_cancellation_that_restocks_gives_everything_back_and_returns_nothing() -> None:
    order = an_order(
        a_line(2, current=0), is_cancelled=True, fulfillment_orders=[promised(0, status="CANCELLED")],
        refund_lines=[back(2, "CANCEL")],
    )  # fmt: skip

    assert order.is_cancelled
    assert (holds(order), list(order.returns)) == ([], [])


def test_a_cancellation_without_restock_is_gone_from_where_it_was_promised() -> None:
    order = an_order(
        a_line(2, current=0), is_cancelled=True, fulfillment_orders=[promised(0, BACK, status="CANCELLED")],
        refund_lines=[back(2, "NO_RESTOCK", None)],
    )  # fmt: skip

    assert holds(order) == [hold(BACK, 0, 2)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(2), False, "")]


def test_control_an_order_that_holds_no_lost_units_would_give_them_back_to_the_shelf() -> None:
    """Read without the refund, the same order holds nothing: two units that are gone would be sold again."""
    order = an_order(
        a_line(2, current=0), is_cancelled=True, fulfillment_orders=[promised(0, BACK, status="CANCELLED")]
    )

    assert holds(order) == []


def test_a_return_of_sent_units_goes_back_to_the_shelf_it_names() -> None:
    order = an_order(a_line(2, current=1), fulfillments=[sent(2)], refund_lines=[back(1, "RETURN", BACK)])

    assert holds(order) == [hold(FRONT, 0, 2)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), True, BACK)]


def test_a_refund_of_sent_units_that_are_kept_is_written_off_and_sends_nothing_more() -> None:
    order = an_order(a_line(2, current=1), fulfillments=[sent(2)], refund_lines=[back(1, "NO_RESTOCK", None)])

    assert holds(order) == [hold(FRONT, 0, 2)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), False, "")]


def test_a_refund_of_unsent_units_to_the_shelf_leaves_the_rest_promised() -> None:
    order = an_order(
        a_line(3, current=2, unfulfilled=2), fulfillment_orders=[promised(2)], refund_lines=[back(1, "CANCEL")]
    )

    assert (holds(order), list(order.returns)) == ([hold(FRONT, 2)], [])


def test_a_refund_of_unsent_units_not_to_the_shelf_is_gone() -> None:
    order = an_order(
        a_line(3, current=2, unfulfilled=2), fulfillment_orders=[promised(2)],
        refund_lines=[back(1, "NO_RESTOCK", None)],
    )  # fmt: skip

    assert holds(order) == [hold(FRONT, 2, 1)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), False, "")]


def test_one_sent_one_cancelled_one_lost_add_up_to_what_was_ordered() -> None:
    order = an_order(
        a_line(3, current=1), fulfillment_orders=[promised(0, status="CLOSED")], fulfillments=[sent(1)],
        refund_lines=[back(1, "CANCEL"), back(1, "NO_RESTOCK", None)],
    )  # fmt: skip

    assert holds(order) == [hold(FRONT, 0, 2)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), False, "")]


def test_units_an_edit_removed_are_not_promised_and_not_lost() -> None:
    order = an_order(a_line(3, current=2, unfulfilled=2), fulfillment_orders=[promised(2)])

    assert (holds(order), list(order.returns)) == ([hold(FRONT, 2)], [])
    assert order.lines[0].quantity == 2


def test_an_edit_beside_a_refund_that_is_kept_counts_each_once() -> None:
    order = an_order(
        a_line(4, current=2), fulfillment_orders=[promised(0, status="CLOSED")], fulfillments=[sent(3)],
        refund_lines=[back(1, "NO_RESTOCK", None)],
    )  # fmt: skip

    assert holds(order) == [hold(FRONT, 0, 3)]


def test_what_an_edit_added_is_promised_before_it_is_routed() -> None:
    order = an_order(a_line(3, unfulfilled=3), fulfillment_orders=[promised(2)])

    assert holds(order) == [hold("", 1), hold(FRONT, 2)]


def test_what_is_fulfilled_by_others_and_not_shown_to_us_is_promised_all_the_same() -> None:
    """An app sees only fulfillment orders it has the scope for; the units are promised nonetheless."""
    order = an_order(
        a_line(3, unfulfilled=1), fulfillments=[sent(2)], fulfillment_orders=[promised(0, status="CLOSED")]
    )

    assert holds(order) == [hold("", 1), hold(FRONT, 0, 2)]


@pytest.mark.parametrize("told_as_unfulfilled", [0, 1, 2])
def test_control_units_that_were_given_back_are_not_promised_again(told_as_unfulfilled: int) -> None:
    """Whether the vendor counts refunded units as unfulfilled does not matter."""
    order = an_order(
        a_line(2, current=0, unfulfilled=told_as_unfulfilled),
        fulfillment_orders=[promised(0, status="CLOSED")], refund_lines=[back(2, "CANCEL")],
    )  # fmt: skip

    assert holds(order) == []


def test_units_that_never_left_cannot_come_back() -> None:
    """A restock of units that were not sent ends their promise and is no return."""
    order = an_order(
        a_line(2, current=0), fulfillment_orders=[promised(0, status="CLOSED")], fulfillments=[sent(1)],
        refund_lines=[back(2, "RETURN", BACK)],
    )  # fmt: skip

    assert holds(order) == [hold(FRONT, 0, 1)]
    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), True, BACK)]


def test_no_more_is_written_off_than_is_gone() -> None:
    """A refund may be told before its fulfillment order shows it: the unit is still promised then, and not yet gone."""
    order = an_order(
        a_line(1, current=0, unfulfilled=0),
        fulfillment_orders=[promised(1)],
        refund_lines=[back(1, "NO_RESTOCK", None)],
    )

    assert (holds(order), list(order.returns)) == ([hold(FRONT, 1)], [])


def test_a_return_that_names_no_place_goes_back_to_where_it_left() -> None:
    order = an_order(a_line(1, current=0), fulfillments=[sent(1, BACK)], refund_lines=[back(1, "RETURN", None)])

    assert list(order.returns) == [ReturnLine(LINE, Decimal(1), True, BACK)]


def test_what_is_lost_after_a_move_is_lost_at_the_new_place() -> None:
    order = an_order(
        a_line(1, current=0),
        fulfillment_orders=[promised(0, FRONT, status="CLOSED"), promised(0, BACK, status="CANCELLED")],
        refund_lines=[back(1, "NO_RESTOCK", None)],
    )  # fmt: skip

    assert holds(order) == [hold(BACK, 0, 1)]


def test_a_line_whose_variant_was_deleted_names_no_listing() -> None:
    order = an_order(a_line(1, unfulfilled=1, variant=None), fulfillment_orders=[promised(1)])

    assert order.lines[0].listing_external_id == ""
