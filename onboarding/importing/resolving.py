"""Which variant of the shop each row is: by its listing, its SKU, an old SKU, its barcode, or title and options.

Never by what is empty, never where two would fit, never another shop's. A handful of queries for a thousand rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from channels.models import Listing
from inventory import identifiers
from inventory.models import Variant, VariantAlias
from onboarding.importing.fields import Problem, problem, title_key
from onboarding.models import StagedRow

By = StagedRow.MatchedBy


@dataclass(frozen=True)
class Known:
    """A variant, as far as telling it from others goes."""

    id: int
    sku: str
    sku_key: str
    gtin: str
    archived_at: datetime | None


@dataclass(frozen=True)
class Match:
    """The variant a row is (None: none yet), how that is known, and why it could not be told."""

    variant_id: int | None = None
    by: str = By.NOTHING
    problem: Problem | None = None


@dataclass(frozen=True)
class Names:
    """Everything of the shop that the rows at hand may name."""

    by_listing: dict[int, int]
    by_sku: dict[str, list[Known]]
    by_old_sku: dict[str, list[Known]]
    by_gtin: dict[str, list[Known]]
    by_title: dict[str, list[int]]


def resolve(*, merchant_id: int, rows: Sequence[StagedRow]) -> list[Match]:
    """The match of each row, in their order. Reads only."""
    names = _names(merchant_id, rows)
    return [_match(row, names) for row in rows]


def _match(row: StagedRow, names: Names) -> Match:
    fields = row.fields
    linked = names.by_listing.get(fields.get("listing", 0))
    if linked is not None:
        return Match(linked, By.LISTING)
    key, gtin = identifiers.sku_key(fields.get("sku", "")), fields.get("gtin", "")
    found = _by_sku(key, gtin, names) if key else None
    if found is None and gtin:
        found = _by_gtin(gtin, names)
    if found is None and not key and not gtin and fields.get("product_title"):
        alike = names.by_title.get(title_key(fields["product_title"], fields), [])
        if len(alike) > 1:
            return Match(problem=problem("", f"{len(alike)} items of yours have this title, and it has no SKU."))
        found = Match(alike[0], By.TITLE) if alike else None
    return found or Match()


def _by_sku(key: str, gtin: str, names: Names) -> Match | None:
    holders = names.by_sku.get(key, [])
    living = [one for one in holders if one.archived_at is None]
    if len(living) > 1:
        living = [one for one in living if gtin and one.gtin == gtin]
        if len(living) != 1:
            return Match(problem=problem("sku", f"{len(holders)} items of yours have this SKU."))
    if living:
        return _unless_contradicted(living[0], gtin, names, By.SKU)
    olds = names.by_old_sku.get(key, [])
    if len(olds) > 1:
        return Match(problem=problem("sku", f"{len(olds)} items of yours had this SKU before."))
    if olds:
        return _unless_contradicted(olds[0], gtin, names, By.ALIAS)
    return Match(max(one.id for one in holders), By.SKU) if holders else None


def _unless_contradicted(variant: Known, gtin: str, names: Names, by: str) -> Match:
    """A barcode that is another item's says that the SKU or the barcode is wrong: a person has to look."""
    others = [one for one in names.by_gtin.get(gtin, []) if one.id != variant.id] if gtin != variant.gtin else []
    if others:
        name = others[0].sku or f"item {others[0].id}"
        return Match(problem=problem("gtin", f"This barcode is {name}’s, and the SKU is {variant.sku}’s."))
    return Match(variant.id, by)


def _by_gtin(gtin: str, names: Names) -> Match | None:
    holders = names.by_gtin.get(gtin, [])
    if len(holders) > 1:
        return Match(problem=problem("gtin", f"{len(holders)} items of yours have this barcode."))
    return Match(holders[0].id, By.GTIN) if holders else None


def _names(merchant_id: int, rows: Sequence[StagedRow]) -> Names:
    keys = {identifiers.sku_key(row.fields.get("sku", "")) for row in rows} - {""}
    gtins = {row.fields.get("gtin", "") for row in rows} - {""}
    bare = {
        row.fields["product_title"]
        for row in rows
        if row.fields.get("product_title")
        and not row.fields.get("gtin")
        and not identifiers.sku_key(row.fields.get("sku", ""))
    }
    listings = {row.fields["listing"] for row in rows if "listing" in row.fields}
    by_sku, by_gtin = _variants(merchant_id, keys, gtins)
    old_skus, old_gtins = _aliases(merchant_id, keys, gtins)
    for gtin, olds in old_gtins.items():
        by_gtin.setdefault(gtin, olds)  # an old barcode counts where nobody has it now
    return Names(
        by_listing=_linked(merchant_id, listings),
        by_sku=by_sku,
        by_old_sku=old_skus,
        by_gtin=by_gtin,
        by_title=_titled(merchant_id, bare),
    )


def _variants(
    merchant_id: int, keys: set[str], gtins: set[str]
) -> tuple[dict[str, list[Known]], dict[str, list[Known]]]:
    columns = ("pk", "sku", "sku_key", "gtin", "archived_at")
    ours = Variant.objects.filter(merchant=merchant_id).order_by("pk").values_list(*columns)
    by_sku: dict[str, list[Known]] = defaultdict(list)
    by_gtin: dict[str, list[Known]] = defaultdict(list)
    for known in (Known(*one) for one in ours.filter(sku_key__in=keys)):
        by_sku[known.sku_key].append(known)
    for known in (Known(*one) for one in ours.filter(gtin__in=gtins, archived_at=None)):
        by_gtin[known.gtin].append(known)
    return by_sku, by_gtin


def _aliases(
    merchant_id: int, keys: set[str], gtins: set[str]
) -> tuple[dict[str, list[Known]], dict[str, list[Known]]]:
    asked = Q(kind=VariantAlias.Kind.SKU, key__in=keys) | Q(kind=VariantAlias.Kind.GTIN, key__in=gtins)
    columns = ("variant_id", "variant__sku", "variant__sku_key", "variant__gtin", "variant__archived_at")
    aliases = VariantAlias.objects.filter(asked, merchant=merchant_id, variant__archived_at=None).order_by("variant_id")
    skus: dict[str, list[Known]] = defaultdict(list)
    codes: dict[str, list[Known]] = defaultdict(list)
    for kind, key, *one in aliases.values_list("kind", "key", *columns):
        (skus if kind == VariantAlias.Kind.SKU else codes)[key].append(Known(*one))
    return skus, codes


def _linked(merchant_id: int, listings: Iterable[int]) -> dict[int, int]:
    if not listings:
        return {}
    rows = Listing.objects.filter(merchant=merchant_id, pk__in=listings, variant__isnull=False)
    return dict(rows.order_by("pk").values_list("pk", "variant_id"))


def _titled(merchant_id: int, titles: set[str]) -> dict[str, list[int]]:
    """Living variants by folded title and options, of products with one of these titles."""
    found: dict[str, list[int]] = defaultdict(list)
    if not titles:
        return found
    alike = Variant.objects.filter(merchant=merchant_id, archived_at=None, product__title__in=titles).order_by("pk")
    for variant_id, title, options, product_title in alike.values_list("pk", "title", "options", "product__title"):
        for key in {title_key(product_title, {"options": options.items()}), title_key(product_title, {"title": title})}:
            found[key].append(variant_id)
    return found
