"""Days that were moved: which of a site's promises to its buyers are other ones now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from channels import availability
from channels.availability import Promise
from channels.models import CellPolicy
from channels.own import site
from channels.own.site import Offer
from inventory.models import Arrival, BundleComponent


@dataclass(frozen=True)
class Moved:
    """What a site sells, or sold, at one place by another day than before; `promise` None: by no day any more."""

    offer: Offer
    location_id: int
    promise: Promise | None


def moved(*, site_id: int, merchant_id: int, arrival_id: int, before: date | None) -> list[Moved]:
    """Cells whose days are others since the arrival's was `before`: shown to buyers, or promised to some."""
    arrival = Arrival.objects.filter(pk=arrival_id, merchant=merchant_id).first()
    if arrival is None or arrival.expected_date == before:
        return []
    variants = _touched(arrival)
    cells = CellPolicy.objects.filter(
        cell__connection=site_id, cell__listing__variant__in=variants,
        cell__channel_location__location=arrival.destination_id, oversell__in=availability.PROMISING,
    ).values_list("cell", flat=True)  # fmt: skip
    ids = list(cells.order_by("cell"))
    then = {
        one.cell_id: _days(one.promise) for one in availability.of_cells(cell_ids=ids, instead={arrival_id: before})
    }
    offers = site.offers(site_id=site_id, merchant_id=merchant_id, variant_ids=variants)
    has_day_no_more = (before is None) != (arrival.expected_date is None)
    return [
        Moved(offers[one.variant_id], one.location_id, one.promise)
        for one in availability.of_cells(cell_ids=ids)
        if one.variant_id in offers and (has_day_no_more or _days(one.promise) != then[one.cell_id])
    ]


def _touched(arrival: Arrival) -> Collection[int]:
    """What it brings, and bundles that some of it is part of."""
    brought = set(arrival.lines.values_list("variant", flat=True))
    made = BundleComponent.objects.filter(variant__in=brought, bundle__ended_at=None)
    return brought | set(made.values_list("bundle__variant", flat=True))


def _days(promise: Promise | None) -> object:
    """What buyers see or were told; nothing where nothing is left to sell and nothing sold."""
    if promise is None or not (promise.left or promise.taken):
        return None
    return promise.promised_date, tuple(promise.dates)
