"""Four processes want the set, four its cup alone: the cups of both are promised once (antiwork/gumroad PR 6938)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now as utc_now

from inventory import bundles, ledger, reservations, verify
from inventory.bundles import Part
from inventory.models import BundleComponent, StockLevel
from tests import factories
from tests.races.test_holds_race import Cell, at_once

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
CUPS, CUPS_A_SET, TRIES = 20, 2, 4  # 4 processes × 4 sets × 2 cups, and 4 × 4 cups: 48 wanted


@pytest.fixture
def cup() -> Cell:
    """Twenty cups at one place, and a set that is two of them."""
    variant = factories.VariantFactory()
    place = factories.LocationFactory(merchant=variant.merchant)
    opening = ledger.Entry(variant.pk, place.pk, "opening", "o", utc_now(), counted=Decimal(CUPS))
    ledger.record(merchant_id=variant.merchant_id, source="opening", entries=[opening])
    a_set = factories.VariantFactory(merchant=variant.merchant)
    bundles.define(variant=a_set, parts=[Part(variant.pk, Decimal(CUPS_A_SET))], is_stocked=False, actor=None)
    return variant.merchant_id, variant.pk, place.pk


def _wanted(variant_id: int, number: int) -> tuple[int, int]:
    """What a process buys, and how many cups that is."""
    if number % 2:
        return variant_id, 1
    return BundleComponent.objects.get(variant=variant_id).bundle.variant_id, CUPS_A_SET


def _hold(cell: Cell, number: int, gate: Any) -> int:
    """Cups granted to one process."""
    merchant_id, cup_id, location_id = cell
    variant_id, cups = _wanted(cup_id, number)
    gate.wait()
    granted = 0
    for n in range(TRIES):
        now = utc_now()
        try:
            reservations.grant(
                merchant_id=merchant_id, key=f"{number}:{n}", now=now, expires_at=now + timedelta(minutes=5),
                wants=[reservations.Want(variant_id, location_id, Decimal(1))],
            )  # fmt: skip
        except ledger.InsufficientStock:
            continue
        granted += cups
    return granted


def _look_then_take(cell: Cell, number: int, gate: Any) -> int:
    """The control: each judges by the number that its own listing shows, and nobody locks the cups."""
    merchant_id, cup_id, location_id = cell
    variant_id, cups = _wanted(cup_id, number)
    granted = 0
    for n in range(TRIES):
        left = bundles.available(merchant_id=merchant_id, variant_ids=[variant_id])[variant_id, location_id]
        gate.wait()  # everybody has looked
        if left >= 1:
            entry = ledger.Entry(cup_id, location_id, "reserve", f"{number}:{n}", utc_now(), reserved=Decimal(cups))
            ledger.record(merchant_id=merchant_id, source="control", entries=[entry])
            granted += cups
        gate.wait()  # everybody has taken
    return granted


def test_18_a_bundle_and_its_part_sold_at_once_promise_no_part_twice(cup: Cell) -> None:
    granted = at_once(_hold, cup)

    level = StockLevel.objects.get()
    assert granted == level.reserved
    assert level.reserved <= CUPS
    assert level.available in (0, 1)  # one cup may be left that is no set
    assert verify.verify().breaches == []


def test_18_control_without_the_lock_both_are_promised_the_same_parts(cup: Cell) -> None:
    assert at_once(_look_then_take, cup) > CUPS
    assert StockLevel.objects.get().available < 0
