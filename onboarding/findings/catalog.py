"""A shop's catalog as the detectors see it: read once, in a few queries, whatever its size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from django.db import connection as database
from django.db.models import Sum

from channels import registry
from channels.models import Connection, Listing
from inventory.models import Product, StockLevel, Variant, VariantMerge
from onboarding.matching.grouping import Group, group
from onboarding.matching.records import Record
from onboarding.matching.vocabulary import OPTION_NAMES
from storestudio.accounts.models import Merchant
from storestudio.accounts.numbers import plain

ZERO = Decimal(0)
Json = dict[str, Any]


@dataclass(frozen=True)
class Catalog:
    """Living variants with their products, units and living listings; archived variants that still have stock.

    `apart`: by kind of finding, pairs of variants of which a person said that they are two things.
    """

    merchant: Merchant
    variants: Mapping[int, Variant]
    archived: Mapping[int, Variant]
    units: Mapping[int, Decimal]
    listings: Mapping[int, Listing]
    apart: Mapping[str, frozenset[tuple[int, int]]] = field(default_factory=dict)

    @cached_property
    def by_product(self) -> Mapping[int, Sequence[Variant]]:
        """Living variants of each product."""
        found: dict[int, list[Variant]] = defaultdict(list)
        for variant in self.variants.values():
            found[variant.product_id].append(variant)
        return found

    @cached_property
    def listings_of(self) -> Mapping[int, Sequence[Listing]]:
        """Listings linked to each variant."""
        found: dict[int, list[Listing]] = defaultdict(list)
        for listing in self.listings.values():
            if listing.variant_id is not None:
                found[listing.variant_id].append(listing)
        return found

    @cached_property
    def option_names(self) -> Mapping[str, str]:
        """How this shop writes an option's name: "color" → "Colour"; the most used spelling."""
        uses: Counter[tuple[str, str]] = Counter()
        for variant in self.variants.values():
            for name in variant.options:
                uses[canonical_name(name), name] += 1
        best: dict[str, str] = {}
        for (canonical, name), _ in sorted(uses.items(), key=lambda item: item[1]):
            best[canonical] = name
        return best

    @cached_property
    def groups(self) -> Sequence[Group]:
        """The living variants as the engine groups them into products, by their flattened titles."""
        return group([record(variant) for variant in self.variants.values()])

    def units_of(self, *variant_ids: int) -> Decimal:
        """Units available of these variants, at all places."""
        return sum((self.units.get(variant_id, ZERO) for variant_id in variant_ids), ZERO)

    def variant_member(self, variant: Variant) -> Json:
        """A variant as a finding names it."""
        return {
            "type": "variant",
            "id": variant.pk,
            "label": variant.full_title,
            "sku": variant.sku,
            "gtin": variant.gtin,
            "price": None if variant.price is None else str(variant.price),
            "options": variant.options,
            "units": plain(self.units.get(variant.pk, ZERO)),
            "image_url": variant.product.image_url,
            "channels": [listing.connection.label for listing in self.listings_of.get(variant.pk, ())],
        }

    def listing_member(self, listing: Listing) -> Json:
        """A listing as a finding names it."""
        return {
            "type": "listing",
            "id": listing.pk,
            "label": " · ".join(part for part in (listing.product_title, listing.title) if part),
            "sku": listing.sku,
            "gtin": listing.gtin,
            "price": None if listing.price is None else str(listing.price),
            "options": listing.options,
            "channel": listing.connection.label,
            "units": plain(self.units_of(listing.variant_id)) if listing.variant_id else "",
            "image_url": listing.image_url,
        }


def read(merchant: Merchant, *, apart: Mapping[str, frozenset[tuple[int, int]]] | None = None) -> Catalog:
    """Read it: five queries."""
    variants = {
        row.pk: row
        for row in Variant.objects.of(merchant)
        .filter(archived_at=None, product__archived_at=None)
        .select_related("product")
        .order_by("pk")
    }
    units = dict(
        StockLevel.objects.of(merchant)
        .order_by()
        .values_list("variant")
        .annotate(units=Sum("available"))
        .values_list("variant", "units")
    )
    merged = set(VariantMerge.objects.of(merchant).filter(parted_at=None).values_list("duplicate", flat=True))
    stocked = [pk for pk, left in units.items() if left and pk not in variants and pk not in merged]
    archived = Variant.objects.of(merchant).filter(pk__in=stocked).select_related("product").in_bulk()
    listings = (
        Listing.objects.of(merchant)
        .filter(deleted_at=None)
        .exclude(connection__state=Connection.State.CLOSED)
        .exclude(connection__channel=registry.OWN)  # it lists the catalog itself: nothing of its own to clean
        .select_related("connection")
        .in_bulk()
    )
    return Catalog(merchant, variants, archived, units, listings, apart or {})


_SPELLINGS = """
SELECT DISTINCT o.key, o.value
FROM inventory_variant v JOIN inventory_product p ON p.id = v.product_id, jsonb_each_text(v.options) o
WHERE v.merchant_id = %s AND v.archived_at IS NULL AND p.archived_at IS NULL
"""
_WRITTEN_SO = """
SELECT v.id FROM inventory_variant v
WHERE v.merchant_id = %s AND v.archived_at IS NULL
  AND EXISTS (SELECT FROM jsonb_each_text(v.options) o WHERE o.{part} = ANY(%s))
ORDER BY v.id
"""


def spellings(merchant_id: int) -> list[tuple[str, str]]:
    """(option's name, value) as written on living variants, each once."""
    with database.cursor() as cursor:
        cursor.execute(_SPELLINGS, [merchant_id])
        return [(name, value) for name, value in cursor.fetchall()]


def written_so(merchant_id: int, *, part: Literal["key", "value"], spellings: Collection[str]) -> list[Variant]:
    """Living variants with one of these as an option's name (key) or value."""
    with database.cursor() as cursor:
        cursor.execute(_WRITTEN_SO.format(part=part), [merchant_id, list(spellings)])  # one of two literals
        ids = [row[0] for row in cursor.fetchall()]
    return list(Variant.objects.filter(pk__in=ids).order_by("pk"))


def record(variant: Variant) -> Record:
    """A variant for the matching engine, its title flattened as a till would type it."""
    return Record(
        id=str(variant.pk),
        title=" ".join(part for part in (variant.product.title, variant.title) if part),
        brand=variant.product.vendor,
        price=None if variant.price is None else float(variant.price),
        sku=variant.sku,
        gtin=variant.gtin,
    )


def listing_record(listing: Listing) -> Record:
    """A channel's listing for the matching engine."""
    return Record(
        id=str(listing.pk),
        title=" ".join(part for part in (listing.product_title, listing.title) if part),
        brand=listing.vendor,
        price=None if listing.price is None else float(listing.price),
        sku=listing.sku,
        gtin=listing.gtin,
    )


def canonical_name(name: str) -> str:
    """An option's name folded: "Colour " and "color" are one."""
    plain_name = " ".join(name.casefold().split())
    return OPTION_NAMES.get(plain_name, plain_name)


def is_flat(catalog: Catalog, product: Product) -> bool:
    """Whether a product has one living variant without options: perhaps a variant that was listed as a product."""
    members = catalog.by_product.get(product.pk, ())
    return len(members) == 1 and not members[0].options
