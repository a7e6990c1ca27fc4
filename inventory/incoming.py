"""What is on its way, with its day: how much of a variant arrives at a place until when."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.timezone import now as utc_now

from storestudio.accounts.models import Merchant

ZERO = Decimal(0)

_SCHEDULE = """
SELECT e.variant_id, e.location_id, e.arrival_id, e.expected_date, e.units FROM inventory_expected(%s) e
ORDER BY e.expected_date NULLS LAST, e.arrival_id, e.variant_id
"""
_UNTIL = """
SELECT e.variant_id, e.location_id, sum(e.units) FROM inventory_expected(%s) e
WHERE e.expected_date <= %s GROUP BY 1, 2
"""
_ANNOUNCE = """
SELECT inventory_stock_changed(NULL, jsonb_agg(jsonb_build_object(
    'variant_id', v.id, 'location_id', %s::bigint, 'own_on_hand', 0, 'own_available', 0)))
FROM unnest(%s) AS v(id)
"""


@dataclass(frozen=True)
class Expected:
    """Units of one variant that one arrival still brings to one place; `expected_date` None: nobody knows when."""

    variant_id: int
    location_id: int
    arrival_id: int
    expected_date: date | None
    units: Decimal


@dataclass(frozen=True)
class Coming:
    """What is on its way to one cell, in units: `late` of them should be there already; the others by `next_date`, the
    soonest, or nobody knows when."""

    units: Decimal = ZERO
    late: Decimal = ZERO
    next_date: date | None = None

    def __add__(self, other: Coming) -> Coming:
        days = [day for day in (self.next_date, other.next_date) if day is not None]
        return Coming(self.units + other.units, self.late + other.late, min(days, default=None))


def today(merchant: Merchant) -> date:
    """The day it is at the shop."""
    return utc_now().astimezone(ZoneInfo(merchant.timezone)).date()


def summed(expected: Iterable[Expected], *, day: date) -> dict[tuple[int, int], Coming]:
    """What comes, by (variant, location), seen from `day`."""
    found: dict[tuple[int, int], Coming] = {}
    for one in expected:
        is_late = one.expected_date is not None and one.expected_date < day
        coming = Coming(one.units, one.units if is_late else ZERO, None if is_late else one.expected_date)
        cell = (one.variant_id, one.location_id)
        found[cell] = found.get(cell, Coming()) + coming
    return found


def schedule(*, variant_ids: Collection[int]) -> list[Expected]:
    """All that is on its way of these variants, the soonest first. One query; locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_SCHEDULE, [list(variant_ids)])
        return [Expected(*row) for row in cursor.fetchall()]


def until(*, variant_ids: Collection[int], day: date) -> dict[tuple[int, int], Decimal]:
    """Units by (variant, location) that should be there by the end of `day`, late ones among them.

    What has no date is not counted: nothing can be promised on it. One query; locks nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNTIL, [list(variant_ids), day])
        return {(variant_id, location_id): units for variant_id, location_id, units in cursor.fetchall()}


def announce(*, location_id: int, variant_ids: Collection[int]) -> None:
    """Tell whoever follows the stock that another number may be promised there, though nothing moved."""
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCE, [location_id, list(variant_ids)])
