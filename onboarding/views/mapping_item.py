"""One listing as the mapping page shows it: beside the variant it most likely is, with why, and what else it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum
from django.urls import reverse

from channels.models import Listing
from inventory.models import StockLevel, Variant
from onboarding import mapping
from onboarding.mapping.looking import named
from onboarding.models import Suggestion
from onboarding.views import desk
from storestudio.accounts.numbers import plain

REASONS = ("Gift card", "Fee or deposit", "Not sold any more", "A test", "Sold nowhere else, not counted")


@dataclass(frozen=True)
class Candidate:
    """A variant the listing may be: the key that picks it, and how likely it is."""

    number: int
    suggestion: Suggestion
    percent: str
    is_shown: bool


@dataclass(frozen=True)
class Item:
    """All that the page shows of one listing."""

    listing: Listing
    url: str
    choose_url: str
    name: str
    suggestion: Suggestion | None
    touches: str
    deed: str
    compared: desk.Compared
    why: desk.Waterfall | None
    candidates: Sequence[Candidate]
    reasons: Sequence[str] = REASONS

    @property
    def pk(self) -> int:
        """The listing's number."""
        return self.listing.pk


def best_of(listing: Listing) -> Suggestion | None:
    """The suggestion that is asked about now."""
    rows = Suggestion.objects.filter(listing=listing, state=Suggestion.State.OPEN, is_best=True)
    found: Suggestion | None = rows.select_related("variant__product").first()
    return found


def item_of(listing: Listing, *, shop: str) -> Item:
    """Build it: four queries at most."""
    best = best_of(listing)
    others = mapping.alternatives(best) if best is not None else []
    all_of_them = ([best] if best is not None else []) + others
    units = _units([one.variant_id for one in all_of_them[:1]])
    return Item(
        listing=listing,
        url=reverse("map_listing", args=[shop, listing.pk]),
        choose_url=reverse("choose_variant", args=[shop, listing.pk]),
        name=named(listing),
        suggestion=best,
        touches=" ".join([f"listing:{listing.pk}", *(f"variant:{one.variant_id}" for one in all_of_them)]),
        deed=_deed(listing, best),
        compared=_compared(listing, best, units=units, shop=shop),
        why=desk.waterfall(best.evidence, confidence=best.score) if best is not None else None,
        candidates=[
            Candidate(number, one, desk.percent(one.score), one is best)
            for number, one in enumerate(all_of_them, start=1)
        ],
    )


def _units(variant_ids: Sequence[int]) -> Mapping[int, Decimal]:
    rows = StockLevel.objects.filter(variant__in=variant_ids).order_by().values_list("variant")
    return dict(rows.annotate(units=Sum("available")).values_list("variant", "units"))


def _deed(listing: Listing, best: Suggestion | None) -> str:
    where = listing.connection.label
    if best is None:
        return "Nothing in the catalog resembles it. Choose a variant, make it a new one, or leave it out."
    return f"Link it. What {where} sells of it comes off {best.variant.full_title}, and {where} shows its number."


def _compared(listing: Listing, best: Suggestion | None, *, units: Mapping[int, Decimal], shop: str) -> desk.Compared:
    name = named(listing)
    things = [
        desk.Thing(number=1, key=f"listing:{listing.pk}", kind=f"Listing at {listing.connection.label}", name=name)
    ]
    sides: list[Listing | Variant] = [listing]
    titles, counted = [name], [""]
    if best is not None:
        variant = best.variant
        sides.append(variant)
        titles.append(variant.full_title)
        counted.append(plain(units[variant.pk]) if variant.pk in units else "")
        things.append(
            desk.Thing(
                number=2,
                key=f"variant:{variant.pk}",
                kind="Catalog",
                name=variant.full_title,
                url=reverse("variant", args=[shop, variant.pk]),
            )
        )
    facts = [
        ("title", "Title", titles),
        ("sku", "SKU", [one.sku for one in sides]),
        ("gtin", "Barcode", [one.gtin for one in sides]),
        ("options", "Options", [_options(one.options) for one in sides]),
        ("price", "Price", ["" if one.price is None else str(one.price) for one in sides]),
        ("vendor", "Vendor", [listing.vendor, *([best.variant.product.vendor] if best else [])]),
        ("units", "Units", counted),
    ]
    return desk.compare(things, facts)


def _options(options: Mapping[str, object]) -> str:
    return " · ".join(f"{name}: {value}" for name, value in options.items())
