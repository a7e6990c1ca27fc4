"""Readings reach the database as arrays or by COPY, and are compared alike; what waits meanwhile may explain them."""

from decimal import Decimal

import pytest
from django.utils import timezone

from channels import reconcile
from channels.models import ChannelStock, InboundEvent, Listing
from channels.ports import Count
from channels.reconcile import reading
from tests import factories

pytestmark = pytest.mark.django_db
ODD = "%s' back\\slash\ttab\nline\rreturn"


@pytest.fixture
def cells():
    """Ten expected of each of two listings: one of an ordinary id, one whose id holds all that SQL takes for marks."""
    first = factories.ChannelStockFactory(
        connection__is_live=True, listing__inventory_id="plain", desired=10, expected=10
    )
    same = {"connection": first.connection, "channel_location": first.channel_location}
    second = factories.ChannelStockFactory(**same, listing__inventory_id=ODD, desired=10, expected=10)
    return first, second


def shown(cells, numbers):
    place = cells[0].channel_location.external_id
    return [
        Count(cell.listing.inventory_id, place, Decimal(units), None)
        for cell, units in zip(cells, numbers, strict=True)
    ]


@pytest.mark.parametrize("copied_from", [0, 10_000])
def test_what_differs_is_found_whatever_the_ids_look_like(cells, monkeypatch, copied_from):
    monkeypatch.setattr(reading, "COPIED_FROM", copied_from)
    connection = cells[0].connection
    elsewhere = Count("plain", "a place we know nothing of", Decimal(1), None)

    seen = reconcile.observe(
        connection=connection, counts=[*shown(cells, (10, 7)), elsewhere], read_at=timezone.now(),
        asked=reading.slice_of(connection, after=0, size=2),
    )  # fmt: skip

    assert (seen.cells, seen.differing, seen.missing) == (2, 1, 0)
    assert ChannelStock.objects.get(pk=cells[1].pk).observed == 7
    assert connection.gaps.get().cell_id == cells[1].pk


@pytest.mark.parametrize("copied_from", [0, 10_000])
def test_a_number_is_of_every_listing_that_shares_its_id_but_of_none_that_is_not_counted(
    cells, monkeypatch, copied_from
):
    monkeypatch.setattr(reading, "COPIED_FROM", copied_from)
    Listing.objects.filter(pk=cells[1].listing_id).update(inventory_id="plain")
    uncounted = factories.ChannelStockFactory(
        connection=cells[0].connection, channel_location=cells[0].channel_location, desired=10, expected=10,
        listing__inventory_id="plain", listing__is_tracked=False,
    )  # fmt: skip
    connection = cells[0].connection
    asked = reading.slice_of(connection, after=0, size=3)

    seen = reconcile.observe(
        connection=connection, counts=shown(cells[:1], (7,)), read_at=timezone.now(), asked=asked, moves_age=False
    )

    assert asked.keys == [cell.listing_id for cell in cells]
    assert (seen.differing, seen.missing) == (2, 0)
    assert set(connection.gaps.values_list("cell_id", "observed")) == {(cell.pk, Decimal(7)) for cell in cells}
    uncounted.refresh_from_db()
    assert (uncounted.observed, uncounted.missing_at) == (5, None)


def test_behind_the_last_listing_nothing_is_left_to_read(cells):
    asked = reading.slice_of(cells[0].connection, after=cells[1].listing_id, size=3)
    assert (asked.inventory_ids, asked.keys) == ([], [])


@pytest.mark.parametrize("copied_from", [0, 10_000])
def test_what_an_answer_leaves_out_is_missing_and_not_zero(cells, monkeypatch, copied_from):
    monkeypatch.setattr(reading, "COPIED_FROM", copied_from)

    seen = reconcile.observe(
        connection=cells[0].connection, counts=shown(cells[:1], (10,)), read_at=timezone.now(),
        asked=["plain", ODD],
    )  # fmt: skip

    assert (seen.cells, seen.missing) == (1, 1)
    assert ChannelStock.objects.get(pk=cells[1].pk).observed == 5  # as it was seen before


@pytest.mark.parametrize(
    ("channel", "topic", "may_explain"),
    [
        ("woocommerce", "product.updated", False),
        ("woocommerce", "product.created", True),
        ("woocommerce", "order.updated", True),
        ("shopify", "inventory_levels/update", False),
        ("shopify", "orders/create", True),
        ("square", "inventory.count.updated", False),
        ("lightspeed", "inventory.update", False),
        ("rseries", "storestudio/stock", False),
        ("rseries", "storestudio/orders", True),
    ],
)
def test_a_message_that_tells_only_numbers_is_no_reason_to_wait(cells, monkeypatch, channel, topic, may_explain):
    """A shop whose every change of a product sends the same message would never have its numbers judged."""
    judged = []
    monkeypatch.setattr(reading.judging, "judge", lambda connection, *, differing, **_: judged.extend(differing) or 0)
    connection = cells[0].connection
    type(connection).objects.filter(pk=connection.pk).update(channel=channel)
    connection.refresh_from_db()
    factories.InboundEventFactory(connection=connection, topic=topic, state=InboundEvent.State.PENDING)
    counts, first = shown(cells, (10, 7)), timezone.now()
    reconcile.observe(connection=connection, counts=counts, read_at=first)

    reconcile.observe(connection=connection, counts=counts, read_at=first + reading.GRACE, is_recheck=True)

    assert judged == ([] if may_explain else [cells[1].pk])
