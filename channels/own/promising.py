"""The day by which units of an order are there that were not when it came: kept with where they wait, told with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from channels.own import site
from inventory.models import Order, OrderHold

ZERO = Decimal(0)
Waiting = dict[tuple[str, int], Decimal]  # units by line and place


def waiting(order: Order | None) -> Waiting:
    """What waits where, before the order is brought to another state."""
    rows = OrderHold.objects.filter(line__order=order, committed__gt=0) if order else OrderHold.objects.none()
    return {
        (line, place): units for line, place, units in rows.values_list("line__external_id", "location", "committed")
    }


def keep(*, site_id: int, order: Order, before: Mapping[tuple[str, int], Decimal]) -> None:
    """Give the units that wait since `before` their days, as a hold's get them.

    Call in the transaction that posted them: under the levels' locks nobody is promised any meanwhile.
    """
    holds = list(
        OrderHold.objects.filter(line__order=order, committed__gt=0).select_related("line").order_by("line", "pk")
    )
    had = {hold.pk: before.get((hold.line.external_id, hold.location_id), ZERO) for hold in holds}
    grown = [hold for hold in holds if hold.committed > had[hold.pk]]
    units: defaultdict[tuple[int, int], Decimal] = defaultdict(lambda: ZERO)
    for hold in grown:
        units[hold.line.variant_id or 0, hold.location_id] += hold.committed - had[hold.pk]
    later = site.later(site_id=site_id, units=units) if units else {}
    left = {cell: dated.units for cell, dated in later.items()}
    # What is there goes to the first lines of an order, so that it is the last ones' units that come later.
    for hold in reversed(grown):
        cell = (hold.line.variant_id or 0, hold.location_id)
        more = min(hold.committed - had[hold.pk], left.get(cell, ZERO))
        still = min(hold.later or ZERO, had[hold.pk])
        hold.later = still + more or None
        days = [hold.promised_date if still else None, later[cell].day if more else None]
        hold.promised_date = max((day for day in days if day is not None), default=None)
        left[cell] = left.get(cell, ZERO) - more
    OrderHold.objects.bulk_update(grown, ["later", "promised_date"])
