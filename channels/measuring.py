"""What buffers and shares rest on: how fast each thing sells on each channel, and how late each channel learns of it.

Measured anew every few minutes for cells whose mode needs it, and at once where a mode is chosen. The arithmetic is
`channels.modes`; the numbers lie with the cell's policy, where a posting finds them (channels/sql/rules.sql).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from channels import modes, publisher
from channels.models import AvailabilityRule, CellPolicy, ChannelStock

SPAN = timedelta(days=28)  # what sold before says little of today
LATENCY_SPAN = timedelta(hours=24)
LATENCY_UNKNOWN_S = 30.0  # as long as a poll takes to notice, until a channel has confirmed something
EVERY = timedelta(minutes=5)
AT_ONCE = 2000
Mode = AvailabilityRule.Mode


# A cell that shares a pool with escrow needs its weight too, whatever its own mode is.
_NEEDS = """(y.mode <> 'shared' OR EXISTS (
    SELECT FROM channels_availabilityrule r WHERE r.merchant_id = c.merchant_id AND r.mode = 'escrow'))"""

# Sold: a till's sale leaves the shelf, a web order is promised. Fulfilling it, or giving it back, is no new sale.
_MEASURE = """
WITH cell AS (
    SELECT c.id, c.connection_id, l.variant_id, cl.location_id, coalesce(y.mode, 'shared') AS mode,
           coalesce(y.hidden, 0) AS hidden, coalesce(y.weight, 1) AS weight
    FROM channels_channelstock c
    LEFT JOIN channels_cellpolicy y ON y.cell_id = c.id
    JOIN channels_listing l ON l.id = c.listing_id
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id
    WHERE c.id = ANY(%(cells)s) AND {which}
), spot AS (SELECT DISTINCT variant_id, location_id FROM cell
), sold AS (
    SELECT s.variant_id, s.location_id, coalesce(m.channel_id, 0) AS channel_id,
           count(DISTINCT coalesce(m.order_id, -m.id)) AS orders, sum(m.committed - m.on_hand - m.absorbed) AS units
    FROM spot s
    JOIN inventory_stockmovement m ON m.variant_id = s.variant_id AND m.location_id = s.location_id
    WHERE m.recorded_at >= %(since)s AND m.kind IN ('sale', 'commit')
      AND m.committed - m.on_hand - m.absorbed > 0
    GROUP BY 1, 2, 3
), total AS (
    SELECT variant_id, location_id, sum(orders) AS orders, sum(units) AS units FROM sold GROUP BY 1, 2
)
SELECT cell.id, cell.connection_id, cell.mode, cell.hidden, cell.weight,
       coalesce(h.orders, 0), coalesce(h.units, 0), coalesce(t.orders, 0) - coalesce(h.orders, 0),
       coalesce(t.units, 0) - coalesce(h.units, 0), coalesce(s.available, 0)
FROM cell
LEFT JOIN inventory_stocklevel s ON s.variant_id = cell.variant_id AND s.location_id = cell.location_id
LEFT JOIN sold h ON h.variant_id = cell.variant_id AND h.location_id = cell.location_id
                AND h.channel_id = cell.connection_id
LEFT JOIN total t ON t.variant_id = cell.variant_id AND t.location_id = cell.location_id
"""

# The whole way: from a cause anywhere to this channel's yes.
_LATENCIES = """
SELECT n.id, greatest(n.updates_every_s::float8, coalesce((
    SELECT percentile_cont(0.99) WITHIN GROUP (
        ORDER BY greatest(0, extract(epoch FROM l.answered_at - coalesce(l.cause_occurred_at, l.dirty_at)))::float8)
    FROM channels_channelwrite w JOIN channels_channelwriteline l ON l.write_id = w.id
    WHERE w.connection_id = n.id AND w.answered_at >= %(since)s AND l.outcome = 'applied'), %(unknown)s))
FROM channels_connection n WHERE n.id = ANY(%(connections)s)
"""

_STORE = """
UPDATE channels_cellpolicy y SET hidden = s.hidden, weight = s.weight, measured = s.measured, measured_at = %(now)s
FROM unnest(%(cells)s::bigint[], %(hidden)s::numeric[], %(weights)s::bigint[], %(measured)s::jsonb[])
    AS s(cell_id, hidden, weight, measured)
WHERE y.cell_id = s.cell_id
"""


@dataclass(frozen=True)
class Measure:
    """What was measured of one cell: orders and units of SPAN, here and elsewhere; the buffer its latency asks for."""

    cell_id: int
    connection_id: int
    mode: str
    orders_here: int
    units_here: float
    orders_others: int
    units_others: float
    latency_s: float
    available: float = 0.0

    @property
    def here(self) -> modes.Velocity:
        """How it sells here."""
        return modes.velocity(orders=self.orders_here, units=self.units_here, span_s=SPAN.total_seconds())

    @property
    def others(self) -> modes.Velocity:
        """How it sells everywhere else."""
        return modes.velocity(orders=self.orders_others, units=self.units_others, span_s=SPAN.total_seconds())

    @property
    def hidden(self) -> int:
        """Units to hide in the mode “buffered”."""
        return modes.buffer(here=self.here, others=self.others, latency_s=self.latency_s)

    @property
    def weight(self) -> int:
        """Its part in escrow: units sold, and one, so that everyone has a part."""
        return max(0, round(self.units_here)) + 1

    def risk(self, *, hidden: int) -> float:
        """Probability within one latency that a sale here finds nothing left, where it shows the last units."""
        return modes.risk(here=self.here, others=self.others, latency_s=self.latency_s, hidden=hidden)

    @property
    def facts(self) -> dict[str, Any]:
        """For the page that explains it."""
        return {
            "units_here": round(self.units_here, 2),
            "units_others": round(self.units_others, 2),
            "latency_s": round(self.latency_s, 1),
            "risk": round(self.risk(hidden=self.hidden), 6),
            "risk_shared": round(self.risk(hidden=0), 6),
        }


def latencies(*, connection_ids: Sequence[int], now: datetime) -> dict[int, float]:
    """How late each channel learns of a sale elsewhere, in seconds: the 99th of 100 of a day, or how often it updates.

    LATENCY_UNKNOWN_S where nothing was confirmed in that time.
    """
    values: dict[str, Any] = {
        "connections": list(connection_ids),
        "since": now - LATENCY_SPAN,
        "unknown": LATENCY_UNKNOWN_S,
    }
    with database.cursor() as cursor:
        cursor.execute(_LATENCIES, values)
        return {pk: float(seconds) for pk, seconds in cursor.fetchall()}


def measures(*, cell_ids: Sequence[int], now: datetime) -> list[Measure]:
    """What sold of these cells in SPAN, whatever their mode."""
    return [found.measure for found in _measured(cell_ids, now, which="true")]


@dataclass(frozen=True)
class _Found:
    """What was measured now, and what is stored of it."""

    measure: Measure
    hidden: int
    weight: int

    @property
    def hides(self) -> int:
        """What it is to hide from now on."""
        return self.measure.hidden if self.measure.mode == Mode.BUFFERED else 0

    @property
    def has_moved(self) -> bool:
        """Whether a number may be another for it."""
        return (self.hides, self.measure.weight) != (self.hidden, self.weight)


def _measured(cell_ids: Sequence[int], now: datetime, *, which: str) -> list[_Found]:
    with database.cursor() as cursor:
        values: dict[str, Any] = {"cells": list(cell_ids), "since": now - SPAN}
        cursor.execute(_MEASURE.format(which=which), values)
        rows = cursor.fetchall()
    late = latencies(connection_ids=sorted({row[1] for row in rows}), now=now) if rows else {}
    return [
        _Found(
            measure=Measure(
                cell_id=pk,
                connection_id=connection_id,
                mode=mode,
                orders_here=orders_here,
                units_here=float(units_here),
                orders_others=int(orders_others),
                units_others=float(units_others),
                latency_s=late[connection_id],
                available=float(available),
            ),
            hidden=int(hidden),
            weight=weight,
        )
        for (
            pk,
            connection_id,
            mode,
            hidden,
            weight,
            orders_here,
            units_here,
            orders_others,
            units_others,
            available,
        ) in rows
    ]


def _store(found: Sequence[_Found], now: datetime) -> None:
    values: dict[str, Any] = {
        "cells": [one.measure.cell_id for one in found],
        "hidden": [one.hides for one in found],
        "weights": [one.measure.weight for one in found],
        "measured": [Jsonb(one.measure.facts) for one in found],
        "now": now,
    }
    with database.cursor() as cursor:
        cursor.execute(_STORE, values)


def measure(*, cell_ids: Sequence[int]) -> list[int]:
    """Measure these cells anew where their mode needs it; returns the cells whose number may be another now.

    Writes what was found beside their rules, and recomputes nothing. Call with the cells locked, or roll back.
    """
    now = timezone.now()
    found = _measured(cell_ids, now, which=_NEEDS)
    if found:
        _store(found, now)
    return [one.measure.cell_id for one in found if one.has_moved]


_DUE = """
SELECT y.cell_id FROM channels_cellpolicy y JOIN channels_channelstock c ON c.id = y.cell_id
WHERE {needs} AND (y.measured_at IS NULL OR y.measured_at <= %s)
ORDER BY y.measured_at NULLS FIRST, y.cell_id LIMIT %s
"""


def measure_due(*, now: datetime) -> int:
    """Measure what was not measured for a while, a slice a transaction; returns how many numbers may have moved.

    Looks without locks, then locks the cells (primary-key order) for writing alone.
    """
    moved = 0
    while cells := _due(now):
        found = _measured(cells, now, which=_NEEDS)
        changed = [one.measure.cell_id for one in found if one.has_moved]
        with transaction.atomic():
            if changed:
                publisher.refresh_desired(cell_ids=changed)
            _store(found, now)
            if changed:
                publisher.refresh_desired(cell_ids=changed)
            # What has no place any more is not measured: not now, and not in the next slice.
            CellPolicy.objects.filter(pk__in=cells).exclude(measured_at=now).update(measured_at=now)
        moved += len(changed)
    return moved


def _due(now: datetime) -> list[int]:
    with database.cursor() as cursor:
        cursor.execute(_DUE.format(needs=_NEEDS), [now - EVERY, AT_ONCE])
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True)
class Cost:
    """What a mode hides of a channel's goods now, and the risk it leaves: for the riskiest thing, in one latency."""

    mode: str
    units: int
    skus: int
    risk: float

    @property
    def risk_percent(self) -> str:
        """As people read it; "" below a hundredth of a percent."""
        return f"{100 * self.risk:.2f}" if self.risk >= 0.0001 else ""


def costs(*, connection_id: int, now: datetime) -> list[Cost]:
    """The three modes side by side, from what this channel and the others sold in SPAN."""
    cells = ChannelStock.objects.filter(connection=connection_id, listing__deleted_at=None)
    found = measures(cell_ids=list(cells.values_list("pk", flat=True)), now=now)
    return [_cost(mode, found) for mode in Mode.values]


def _cost(mode: str, found: Sequence[Measure]) -> Cost:
    hides = [_hidden_now(mode, one) for one in found]
    risks = [
        0.0 if mode == Mode.ESCROW else one.risk(hidden=one.hidden if mode == Mode.BUFFERED else 0) for one in found
    ]
    return Cost(mode, units=sum(hides), skus=sum(units > 0 for units in hides), risk=max(risks, default=0.0))


def _hidden_now(mode: str, one: Measure) -> int:
    """Units there that this channel would not show."""
    there = max(0, int(one.available))
    if mode == Mode.BUFFERED:
        return min(there, one.hidden)
    if mode == Mode.ESCROW:
        others = max(0, round(one.units_others)) + 1
        return there - modes.escrow_shares(pool=there, weights=[one.weight, others])[0]
    return 0
