"""What the rules let one channel sell now, and how that comes about; the arithmetic is channels/sql/rules.sql's."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from django.db import connection as database

from channels.models import AvailabilityRule
from channels.promises import Dated, Owed, dates

Mode = AvailabilityRule.Mode
PROMISING = (AvailabilityRule.Oversell.BACKORDER, AvailabilityRule.Oversell.PREORDER)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Promise:
    """Units that may be sold beyond what is there, at one place: `kind` is backorder or preorder; `units` in all, of
    which `taken` are sold and `left` can still be sold now. `dates`: when those left are there, the soonest first;
    `promised_date`: all."""

    kind: str
    units: Decimal
    taken: Decimal
    left: Decimal
    promised_date: date
    message: str
    dates: Sequence[Dated] = ()


@dataclass(frozen=True)
class Step:
    """One step from what is available to what is shown, in units; `rule_id` None where no rule decided it.

    `kind`: available, own (its own open orders, which its number still shows), safety_stock, channel_buffer, hidden
    (what the mode “buffered” keeps back), share_percent, oversell, oversell_none
    (a rule would, and nothing is on its way), cap, set_aside, is_paused, sells_from, whole (less than a unit is not
    shown), above_zero (a shortage is not shown), below_zero (the channel's own number for one is left alone).
    """

    kind: str
    amount: Decimal
    rule_id: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Publishable:
    """What one channel may sell of a variant at a location now, in units; `quantity` None: it is not counted there.

    `decided`: the rule behind each setting, by the setting's name. `steps` lead from what is available to `quantity`.
    """

    variant_id: int
    location_id: int
    quantity: Decimal | None
    mode: str
    steps: Sequence[Step]
    decided: Mapping[str, int] = field(default_factory=dict)
    promise: Promise | None = None
    sells_from: datetime | None = None
    cell_id: int | None = None


_OF_CELLS = """
SELECT l.variant_id, cl.location_id, p.*, y.decided, y.is_paused, y.sells_from, y.oversell, y.oversell_max,
       y.promised_date, y.message, y.cap AS cap_decided
FROM channels_publishable(channels_with_peers(%(cells)s)) p
JOIN channels_channelstock c ON c.id = p.cell_id AND c.id = ANY(%(cells)s)
JOIN channels_listing l ON l.id = c.listing_id
JOIN channels_channellocation cl ON cl.id = c.channel_location_id
LEFT JOIN channels_cellpolicy y ON y.cell_id = c.id
ORDER BY l.variant_id, cl.location_id
"""

_BEYOND = """
WITH cells AS (
    SELECT c.id, l.variant_id, cl.location_id
    FROM channels_cellpolicy y
    JOIN channels_channelstock c ON c.id = y.cell_id
    JOIN channels_listing l ON l.id = c.listing_id
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id
    WHERE y.oversell IN ('backorder', 'preorder') AND (l.variant_id = ANY(%(variants)s) OR l.variant_id IN (
        SELECT b.variant_id FROM inventory_bundlecomponent k JOIN inventory_bundle b ON b.id = k.bundle_id
        WHERE k.variant_id = ANY(%(variants)s) AND b.ended_at IS NULL AND NOT b.is_stocked))
)
SELECT coalesce(k.variant_id, cells.variant_id), cells.location_id, max(p.extra * coalesce(k.quantity, 1))
FROM cells
JOIN channels_publishable((SELECT array_agg(id) FROM cells)) p ON p.cell_id = cells.id AND p.extra > 0
LEFT JOIN (inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id)
    ON b.variant_id = cells.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
GROUP BY 1, 2
"""


def beyond(*, variant_ids: Collection[int]) -> dict[tuple[int, int], Decimal]:
    """Units by (variant, location) that some channel may sell beyond what is there; of a bundle, of its parts."""
    with database.cursor() as cursor:
        cursor.execute(_BEYOND, {"variants": list(variant_ids)})
        return {(variant_id, location_id): units for variant_id, location_id, units in cursor.fetchall()}


def of_cells(*, cell_ids: Sequence[int], instead: Mapping[int, date | None] | None = None) -> list[Publishable]:
    """What these cells should show now, and why; three queries, whatever their number.

    `instead`: promised by these days of some arrivals in place of their own (the numbers are those of now).
    """
    rows = _rows(cell_ids)
    owed = [_owed(row) for row in rows]
    when = dates([one for one in owed if one is not None], instead=instead)
    return [_publishable(row, one, when) for row, one in zip(rows, owed, strict=True)]


def of_the_last(*, units: Mapping[int, Decimal]) -> dict[int, Dated]:
    """Of the units that were promised last at each cell: how many are not there yet, and by when all of them are.

    A cell is missing where all of them are there, or nobody knows when. Units beyond what the rules let be promised,
    which an order may have taken all the same, are not among them. Call before anybody else is promised any.
    """
    owed: dict[int, Owed] = {}
    for row in _rows(list(units)):
        one = _owed(row)
        if one is None:
            continue
        before = one.taken - min(units[row["cell_id"]], one.taken)
        # An order takes more than may be promised where the customer has it already: no day is known for those.
        later = min(one.taken, row["extra"]) - before
        if later > 0:
            owed[row["cell_id"]] = replace(one, taken=before, left=later)
    when = dates(list(owed.values()))
    found = {cell: Dated(one.left, when[one][-1].day) for cell, one in owed.items()}
    return {cell: dated for cell, dated in found.items() if dated.day < date.max}


def _rows(cell_ids: Sequence[int]) -> list[dict[str, Any]]:
    if not cell_ids:
        return []
    with database.cursor() as cursor:
        cursor.execute(_OF_CELLS, {"cells": list(cell_ids)})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _owed(row: Mapping[str, Any]) -> Owed | None:
    """What the row promises beyond the shelf; None where nothing."""
    if row["extra"] <= 0:
        return None
    kept = row["safety_stock"] + row["channel_buffer"] + row["hidden"]
    shelf = row["pool"] - kept
    if shelf > 0 and row["share_percent"] is not None:
        shelf = shelf * row["share_percent"] / 100
    shown = max((row["desired"] or ZERO) - row["own"], ZERO)
    if shown == shown // 1:
        shelf = shelf // 1
    return Owed(
        variant_id=row["variant_id"],
        location_id=row["location_id"],
        taken=max(-shelf, ZERO),
        left=max(shown - max(shelf, ZERO), ZERO),
        day=row["promised_date"],
        is_vouched=row["oversell_max"] is not None and row["promised_date"] is not None,
    )


def _publishable(row: Mapping[str, Any], owed: Owed | None, when: Mapping[Owed, Sequence[Dated]]) -> Publishable:
    promise = None
    if owed is not None:
        found = when[owed]
        promise = Promise(
            kind=row["oversell"],
            units=row["extra"],
            taken=owed.taken,
            left=owed.left,
            promised_date=found[-1].day,
            message=row["message"],
            dates=found if owed.left else (),
        )
    decided = _decided(row["decided"])
    return Publishable(
        variant_id=row["variant_id"],
        location_id=row["location_id"],
        quantity=row["desired"],
        mode=row["mode"],
        steps=_whole(list(_steps(row, decided))),
        decided=decided,
        promise=promise,
        sells_from=row["sells_from"],
        cell_id=row["cell_id"],
    )


def _decided(value: Any) -> dict[str, int]:
    """JSON from a cursor of Django's comes as text."""
    return dict(json.loads(value)) if isinstance(value, str) else dict(value or {})


def _steps(row: Mapping[str, Any], decided: Mapping[str, int]) -> Iterable[Step]:
    """From what is available to what is shown; each step by how much it changes the number."""
    now = row["pool"]
    yield Step("available", now)
    for kind in ("safety_stock", "channel_buffer", "hidden"):
        kept = min(row[kind], max(now, ZERO))
        if row[kind] > 0:
            yield Step(kind, -kept, decided.get("mode" if kind == "hidden" else kind))
            now -= kept
    if row["share_percent"] is not None and now > 0:
        part = now * row["share_percent"] / 100
        yield Step("share_percent", part - now, decided.get("share_percent"), f"{row['share_percent'].normalize():f}")
        now = part
    if row["extra"] > 0:
        yield Step("oversell", row["extra"], decided.get("oversell"), row["message"])
        now += row["extra"]
    elif row["oversell"] in PROMISING:
        yield Step("oversell_none", ZERO, decided.get("oversell"))
    yield from _limits(row, decided, now)


def _whole(steps: list[Step]) -> tuple[Step, ...]:
    """What is counted in whole units has whole steps: the rest of a unit goes with the step that broke it."""
    broken = [place for place, step in enumerate(steps) if step.kind != "whole" and step.amount % 1]
    if steps[-1].kind != "whole" or not broken or abs(steps[-1].amount) >= 1:
        return tuple(steps)
    last = steps[broken[-1]]
    steps[broken[-1]] = replace(last, amount=last.amount + steps.pop().amount)
    return tuple(steps)


def _limits(row: Mapping[str, Any], decided: Mapping[str, int], now: Decimal) -> Iterable[Step]:
    """What the number may be at most, and its last form."""
    if not row["is_open"]:
        kind = "is_paused" if row["is_paused"] else "sells_from"
        yield Step(kind, min(ZERO, -now), decided.get(kind))
        now = min(now, ZERO)
    elif row["cap"] is not None and now > row["cap"]:
        over_all = "" if row["cap"] == row["cap_decided"] else " over all its places"
        yield Step("cap", row["cap"] - now, decided.get("cap"), f"{row['cap_decided'].normalize():f}{over_all}")
        now = row["cap"]
    if row["allotted"] is not None and now > row["allotted"] - row["hidden"]:
        aside = row["allotted"] - row["hidden"]
        yield Step("set_aside", aside - now, decided.get("mode"))
        now = aside
    if row["own"]:
        yield Step("own", row["own"])
        now += row["own"]
    if row["desired"] is not None and row["desired"] != now:
        yield Step(_last_step(row["desired"], now), row["desired"] - now)


def _last_step(desired: Decimal, now: Decimal) -> str:
    """A shortage is shown as 0, or left as the channel's own number below 0 where it went there by itself."""
    if desired == now.to_integral_value(ROUND_FLOOR):
        return "whole"
    return "above_zero" if desired == 0 else "below_zero"
