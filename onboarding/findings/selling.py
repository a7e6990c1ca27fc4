"""Findings about how things are sold: not counted, sold on at zero, at an odd price, archived with stock."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from decimal import Decimal

from channels.models import Listing
from inventory.models import Variant
from onboarding.findings.catalog import Catalog
from onboarding.findings.found import Found, Json, Kind
from storestudio.accounts.numbers import plain

SIBLINGS_MIN = 3
APART = 4.0  # times the median of its siblings: beyond any honest size or colour
SLIPS = (Decimal(10), Decimal(100), Decimal("0.1"), Decimal("0.01"))


def untracked(catalog: Catalog) -> Iterable[Found]:
    """Listings whose channel does not count them: it sells them for ever."""
    for listing in catalog.listings.values():
        if listing.is_tracked or listing.link == Listing.Link.EXCLUDED:
            continue
        yield _wish(
            catalog,
            listing,
            kind=Kind.UNTRACKED,
            title=f"{listing.connection.label} does not count {_named(listing)}",
            field="is_tracked",
            value=True,
            evidence="stock tracking is off there: it never runs out",
        )


def overselling(catalog: Catalog) -> Iterable[Found]:
    """Listings that sell on at zero."""
    for listing in catalog.listings.values():
        if not listing.sells_past_zero or not listing.is_tracked or listing.link == Listing.Link.EXCLUDED:
            continue
        yield _wish(
            catalog,
            listing,
            kind=Kind.OVERSELLING,
            title=f"{listing.connection.label} sells {_named(listing)} even when there is none",
            field="sells_past_zero",
            value=False,
            evidence="“continue selling when out of stock” is on there",
        )


def _wish(
    catalog: Catalog, listing: Listing, *, kind: str, title: str, field: str, value: bool, evidence: str
) -> Found:
    variant = catalog.variants.get(listing.variant_id or 0)
    members: list[Json] = [catalog.listing_member(listing)]
    if variant is not None:
        members.append(catalog.variant_member(variant))
    return Found(
        kind=kind,
        key=f"listing:{listing.pk}",
        title=title,
        members=members,
        proposal={"op": "wish", "listing_ids": [listing.pk], "field": field, "value": value},
        confidence=0.9,
        evidence=[(evidence, 5.0)],
        variant_ids=[variant.pk] if variant else [],
    )


def _named(listing: Listing) -> str:
    return " · ".join(part for part in (listing.product_title, listing.title) if part) or listing.sku


def prices(catalog: Catalog) -> Iterable[Found]:
    """A price ten times that of its siblings, or a slipped point between us and a channel."""
    for variant in catalog.variants.values():
        right, words = _slipped(catalog, variant) or _among_siblings(catalog, variant) or (None, "")
        if right is None:
            continue
        yield Found(
            kind=Kind.PRICE,
            key=f"variant:{variant.pk}:{variant.price}",
            title=f"{variant.full_title} costs {variant.price}",
            members=[catalog.variant_member(variant)],
            proposal={
                "op": "set_price",
                "variant_id": variant.pk,
                "price": str(right),
                "editable": [{"name": "price", "label": "Price", "value": str(right)}],
            },
            confidence=0.7,
            evidence=[(words, 4.0)],
            variant_ids=[variant.pk],
        )


def _slipped(catalog: Catalog, variant: Variant) -> tuple[Decimal, str] | None:
    """A tenth, ten or a hundred times what a channel says, where our own siblings do not say that we are right."""
    if not variant.price:
        return None
    siblings = [one.price for one in catalog.by_product[variant.product_id] if one.pk != variant.pk and one.price]
    if siblings and Decimal("0.5") < variant.price / Decimal(statistics.median(siblings)) < 2:
        return None
    listed = [(one.price, one.connection.label) for one in catalog.listings_of.get(variant.pk, ()) if one.price]
    slipped = [(price, label) for price, label in listed if variant.price / price in SLIPS]
    if not slipped or len(slipped) * 2 < len(listed):
        return None
    price, label = slipped[0]
    return price, f"{label} says {price}: the point slipped"


def _among_siblings(catalog: Catalog, variant: Variant) -> tuple[Decimal, str] | None:
    siblings: Sequence[Variant] = catalog.by_product[variant.product_id]
    others = [one.price for one in siblings if one.pk != variant.pk and one.price]
    if not variant.price or len(others) < SIBLINGS_MIN:
        return None
    middle = Decimal(statistics.median(others))
    if variant.price < middle * Decimal(APART) and variant.price * Decimal(APART) > middle:
        return None
    return middle.quantize(Decimal("0.01")), f"its {len(others)} siblings cost around {middle:.2f}"


def archived(catalog: Catalog) -> Iterable[Found]:
    """Archived variants that still have units: they are on the shelf, or the number is wrong."""
    for variant in catalog.archived.values():
        units = plain(catalog.units_of(variant.pk))
        yield Found(
            kind=Kind.ARCHIVED,
            key=f"variant:{variant.pk}",
            title=f"{variant.full_title} is archived, and {units} are on the shelf",
            members=[catalog.variant_member(variant)],
            proposal={"op": "unarchive", "variant_id": variant.pk},
            confidence=0.6,
            evidence=[("archived", 2.0), ("stock is not zero", 3.0)],
            variant_ids=[variant.pk],
        )
