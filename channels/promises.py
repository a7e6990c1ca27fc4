"""When units that are not there yet will be: what is sold beyond the shelf takes what comes, the soonest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from inventory import bundles, incoming
from inventory.models import Variant

ZERO = Decimal(0)
Cell = tuple[int, int]


@dataclass(frozen=True)
class Dated:
    """Units that are there by the end of a day."""

    units: Decimal
    day: date


@dataclass(frozen=True)
class Owed:
    """What is promised at one cell: `taken` units that earlier sales have of what comes, `left` that can be sold now.

    `day`: the rule's own day; `is_vouched`: the shop says so itself, whatever is on its way.
    """

    variant_id: int
    location_id: int
    taken: Decimal
    left: Decimal
    day: date | None
    is_vouched: bool


def dates(owed: Sequence[Owed], *, instead: Mapping[int, date | None] | None = None) -> dict[Owed, Sequence[Dated]]:
    """The day of what is left of each, the soonest first, never empty; with nothing left, when the last of it is there.

    `instead`: other days of some arrivals, as they were or might be. No query where the shop vouches for all of it;
    five otherwise, whatever their number.
    """
    coming = _arriving([one for one in owed if not one.is_vouched], instead or {})
    return {one: _dates(one, coming.get((one.variant_id, one.location_id), ())) for one in owed}


def _dates(owed: Owed, coming: Sequence[Dated]) -> Sequence[Dated]:
    if owed.is_vouched or not coming:
        return [Dated(owed.left, owed.day or date.max)]
    in_time = [one for one in coming if owed.day is None or one.day <= owed.day] or coming[:1]
    taken, left, found = owed.taken, owed.left, []
    for one in in_time:
        units = min(max(one.units - taken, ZERO), left)
        taken, left = max(taken - one.units, ZERO), left - units
        if units:
            found.append(Dated(units, one.day))
    return found or [Dated(ZERO, in_time[-1].day)]


def _arriving(owed: Sequence[Owed], instead: Mapping[int, date | None]) -> Mapping[Cell, Sequence[Dated]]:
    """What each day brings to each cell, from today on; of a bundle, how many more its parts make up by then."""
    if not owed:
        return {}
    ids = {one.variant_id for one in owed}
    made_of = {one.variant_id: one.parts for one in bundles.compositions(variant_ids=ids).values()}
    parts = {part.variant_id for found in made_of.values() for part in found}
    merchant = Variant.objects.select_related("merchant").get(pk=next(iter(ids))).merchant
    today = incoming.today(merchant)
    by_cell: defaultdict[Cell, defaultdict[date, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    for line in incoming.schedule(variant_ids=ids | parts):
        day = instead.get(line.arrival_id, line.expected_date)
        if day is not None and day >= today:
            by_cell[line.variant_id, line.location_id][day] += line.units
    there = bundles.available(merchant_id=merchant.pk, variant_ids=parts) if parts else {}
    return {
        cell: _made_by_day(made_of[cell[0]], cell[1], by_cell, there)
        if cell[0] in made_of
        else [Dated(units, day) for day, units in sorted(by_cell[cell].items())]
        for cell in {(one.variant_id, one.location_id) for one in owed}
    }


def _made_by_day(
    parts: Sequence[bundles.Part],
    place: int,
    by_cell: Mapping[Cell, Mapping[date, Decimal]],
    there: Mapping[Cell, Decimal],
) -> list[Dated]:
    days = sorted({day for part in parts for day in by_cell.get((part.variant_id, place), {})})
    found, before = [], _makes(parts, place, by_cell, there, until=None)
    for day in days:
        made = _makes(parts, place, by_cell, there, until=day)
        if made > before:
            found.append(Dated(made - before, day))
        before = made
    return found


def _makes(
    parts: Sequence[bundles.Part],
    place: int,
    by_cell: Mapping[Cell, Mapping[date, Decimal]],
    there: Mapping[Cell, Decimal],
    *,
    until: date | None,
) -> Decimal:
    return min(
        (
            (
                there.get((part.variant_id, place), ZERO)
                + sum(
                    units
                    for day, units in by_cell.get((part.variant_id, place), {}).items()
                    if until is not None and day <= until
                )
            )
            / part.quantity
        ).to_integral_value(ROUND_FLOOR)
        for part in parts
    )
