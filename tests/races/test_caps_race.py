"""Two places of one channel sell at once under one cap: each posting works the other's number out too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now as utc_now

from channels import availability
from channels.models import ChannelStock
from inventory import ledger, verify
from inventory.models import Location
from tests.channels.rules_shop import a_shop
from tests.races.test_holds_race import Cell, at_once

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
CAP, POSTINGS = 3, 12


def _postings(cell: Cell, number: int, gate: Any) -> int:
    """Two units off and on again, half of the processes at one place and half at the other."""
    merchant_id, variant_id, _ = cell
    place_id = Location.objects.order_by("pk").values_list("pk", flat=True)[number % 2]
    gate.wait()
    for n in range(POSTINGS):
        units = Decimal(2 if n % 2 else -2)
        entry = ledger.Entry(variant_id, place_id, ledger.Kind.ADJUST, f"{number}:{n}", utc_now(), on_hand=units)
        ledger.record(merchant_id=merchant_id, source="race", entries=[entry])
    return POSTINGS


def test_places_that_sell_at_once_never_list_more_than_the_cap_together() -> None:
    shop = a_shop(channels=("Web", "Market"), places=("High Street", "Station"))
    variant = shop.variant(units=2)
    shop.post(variant, 2, at=shop.places[1])
    shop.rule(cap=CAP)
    assert at_once(_postings, (shop.merchant.pk, variant.pk, shop.places[0].pk)) == 8 * POSTINGS
    cells = list(ChannelStock.objects.order_by("pk"))
    says = {one.cell_id: one.quantity for one in availability.of_cells(cell_ids=[cell.pk for cell in cells])}
    assert {cell.pk: cell.desired for cell in cells} == says
    for name in shop.channels:
        assert [shop.cell(variant, name, at=place).desired for place in shop.places] == [2, 1]
    assert verify.verify().breaches == []
