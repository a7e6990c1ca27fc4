"""What the pages of bundles and packs read: what they are made of, and what that makes up at each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from inventory import bundles, queries
from inventory.bundles import Part
from inventory.models import Location, Variant
from storestudio.accounts.models import Merchant


@dataclass(frozen=True)
class PartRow:
    """One part of a bundle: units in one piece, and what is available by place (in the order of the page's places)."""

    variant: Variant
    quantity: Decimal
    there: Sequence[Decimal]


@dataclass(frozen=True)
class PlaceRow:
    """How many pieces one place has the parts for, and the parts of which there is not enough for one more."""

    location: Location
    units: Decimal
    limited_by: Sequence[Variant]


@dataclass(frozen=True)
class Makeup:
    """What a variant is made of and what that makes up, place by place."""

    is_stocked: bool
    parts: Sequence[PartRow]
    places: Sequence[PlaceRow]

    @property
    def total(self) -> Decimal:
        """Pieces over all places; each place makes up its own."""
        return sum((max(place.units, Decimal(0)) for place in self.places), Decimal(0))


def makeup(*, merchant: Merchant, parts: Sequence[Part], is_stocked: bool) -> Makeup:
    """A composition as pages show it. Four queries."""
    ids = [part.variant_id for part in parts]
    known = Variant.objects.of(merchant).select_related("product").in_bulk(ids)
    made = bundles.makes_up(parts, merchant_id=merchant.pk)
    there = bundles.available(merchant_id=merchant.pk, variant_ids=ids)
    places = [place for place in queries.locations(merchant=merchant) if place.is_active or place.pk in made]
    nothing = bundles.Made(Decimal(0), tuple(ids))
    return Makeup(
        is_stocked=is_stocked,
        parts=[
            PartRow(
                known[part.variant_id],
                part.quantity,
                [there.get((part.variant_id, place.pk), Decimal(0)) for place in places],
            )
            for part in parts
        ],
        places=[
            PlaceRow(place, one.units, [known[variant_id] for variant_id in one.limited_by])
            for place in places
            for one in [made.get(place.pk, nothing)]
        ],
    )


def makeup_of(*, merchant: Merchant, variant: Variant) -> Makeup | None:
    """What the variant is made of now; None where it is nothing but itself."""
    found = bundles.current(variant=variant)
    return None if found is None else makeup(merchant=merchant, parts=found.parts, is_stocked=found.is_stocked)


def part_of(*, merchant: Merchant, variant: Variant) -> list[tuple[Variant, Decimal, bool]]:
    """The bundles and packs that it is in: which, units in one piece, whether that one has stock of its own."""
    found = bundles.containing(variant=variant)
    known = Variant.objects.of(merchant).select_related("product").in_bulk([one.variant_id for one in found])
    return [
        (known[one.variant_id], part.quantity, one.is_stocked)
        for one in found
        for part in one.parts
        if part.variant_id == variant.pk and one.variant_id in known
    ]
