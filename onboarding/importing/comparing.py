"""What a row would change: field by field, against the shop as it is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from inventory import identifiers
from inventory.models import StockLevel, Variant, VariantAlias
from onboarding.importing import resolving
from onboarding.importing.fields import STOCK, has_error, is_stock_only, options_of, problem, variant_title
from onboarding.models import ImportBatch, StagedRow

Action = StagedRow.Action
By = StagedRow.MatchedBy
Diff = dict[str, list[Any]]


@dataclass(frozen=True)
class Shelf:
    """The part of the shop that the rows at hand are about."""

    variants: Mapping[int, Variant]
    levels: Mapping[tuple[int, int], Decimal]  # (variant, location) → on hand
    aliases: Mapping[int, set[str]]  # variant → keys of its old SKUs


def shelf_of(variant_ids: Iterable[int], *, location_ids: Iterable[int]) -> Shelf:
    """Read what is there, a query a table; rows of one merchant, as resolving found them."""
    variants = Variant.objects.in_bulk(list(variant_ids))
    levels = StockLevel.objects.filter(variant__in=variants, location__in=list(location_ids)).order_by("pk")
    aliases: dict[int, set[str]] = defaultdict(set)
    names = VariantAlias.objects.filter(variant__in=variants, kind=VariantAlias.Kind.SKU).order_by("pk")
    for variant_id, key in names.values_list("variant_id", "key"):
        aliases[variant_id].add(key)
    return Shelf(
        variants=variants,
        levels={(one.variant_id, one.location_id): one.on_hand for one in levels},
        aliases=aliases,
    )


def places_of(batch: ImportBatch) -> dict[str, int]:
    """The file's names of places → our locations, where a person said so; none where counts are not to be set."""
    if not batch.settings.get("sets_counts"):
        return {}
    return {name: int(location) for name, location in (batch.settings.get("locations") or {}).items() if location}


def compare(batch: ImportBatch, rows: Sequence[StagedRow]) -> None:
    """Set each row's match, diff and action. Reads only; what the file contradicts in itself comes in settling."""
    places = places_of(batch)
    sound = []
    for row in rows:
        row.problems = [one for one in row.problems if not one.get("by_comparing")]
        row.variant, row.product, row.matched_by, row.diff, row.outcome = None, None, By.NOTHING, {}, ""
        if not has_error(row):
            sound.append(row)
    for row, match in zip(sound, resolving.resolve(merchant_id=batch.merchant_id, rows=sound), strict=True):
        row.variant_id, row.matched_by = match.variant_id, match.by
        if match.problem is not None:
            _fault(row, match.problem)
    shelf = shelf_of({row.variant_id for row in sound if row.variant_id}, location_ids=places.values())
    for row in rows:
        _judge(row, batch=batch, shelf=shelf, places=places)


def _judge(row: StagedRow, *, batch: ImportBatch, shelf: Shelf, places: Mapping[str, int]) -> None:
    variant = shelf.variants.get(row.variant_id) if row.variant_id else None
    if not has_error(row):
        if variant is None:
            _check_new(row, batch=batch)
        row.diff = diff_of(row, variant, shelf=shelf, places=places, is_stock_only=is_stock_only(batch))
        _check_quantities(row, variant)
    if variant is not None:
        row.product_id = variant.product_id
    if has_error(row):
        row.action, row.diff = Action.ERROR, {}
    elif variant is None:
        row.action = Action.NEW
    else:
        row.action = Action.CHANGED if row.diff else Action.UNCHANGED


def _check_new(row: StagedRow, *, batch: ImportBatch) -> None:
    name = row.fields.get("sku") or row.fields.get("gtin") or row.fields.get("product_title")
    if is_stock_only(batch):
        _fault(row, problem("sku", f"No item of yours is “{name}”. Import the products first, then their stock."))
    elif not row.fields.get("product_title"):
        _fault(row, problem("product_title", f"No item of yours is “{name}”, and a new one needs a title."))


def _check_quantities(row: StagedRow, variant: Variant | None) -> None:
    counts = [Decimal(after) for name, (_, after) in row.diff.items() if name.startswith(STOCK)]
    if variant is not None and variant.is_whole_unit and any(count % 1 for count in counts):
        _fault(row, problem("quantities", "A part of a unit, of what is sold in whole units."))


def _fault(row: StagedRow, found: dict[str, Any]) -> None:
    row.problems = [*row.problems, found | {"by_comparing": True}]


def diff_of(
    row: StagedRow, variant: Variant | None, *, shelf: Shelf, places: Mapping[str, int], is_stock_only: bool
) -> Diff:
    """Field → [before, after], JSON-ready, where the row says otherwise; of a new row its stock alone.

    What is said of the product comes in settling, for it takes all of the product's rows.
    """
    diff: Diff = {}
    if variant is not None and not is_stock_only:
        _compare_variant(diff, row, variant, shelf)
    if variant is not None and "listing" in row.fields and row.matched_by != By.LISTING:
        diff["link"] = [False, True]
    for place, amount in (row.fields.get("quantities") or {}).items():
        location_id = places.get(place)
        if location_id is None:
            continue
        before = shelf.levels.get((variant.pk, location_id)) if variant is not None else None
        if before is None or before != Decimal(amount):
            diff[f"{STOCK}{location_id}"] = [None if before is None else str(before), amount]
    return diff


def _compare_variant(diff: Diff, row: StagedRow, variant: Variant, shelf: Shelf) -> None:
    fields = row.fields
    if sku := fields.get("sku"):
        key = identifiers.sku_key(sku)
        if key and not variant.sku_key:
            diff["sku"] = [variant.sku, sku]
        elif key and key != variant.sku_key and key not in shelf.aliases.get(variant.pk, ()):
            # Known by its barcode or title: the SKU we have stays, and this one finds the item from now on.
            diff["alias"] = ["", sku]
    if "options" in fields and options_of(fields) != variant.options:
        diff["options"] = [variant.options, options_of(fields)]
    title = variant_title(fields)
    if title is not None and title != variant.title and ("title" in fields or "options" in diff):
        diff["title"] = [variant.title, title]
    if fields.get("gtin") and fields["gtin"] != variant.gtin:
        diff["gtin"] = [variant.gtin, fields["gtin"]]
    price = Decimal(fields["price"]) if "price" in fields else None
    if price is not None and price != variant.price:
        diff["price"] = [None if variant.price is None else str(variant.price), fields["price"]]
    if "archived" in fields and fields["archived"] != (variant.archived_at is not None):
        diff["archived"] = [variant.archived_at is not None, fields["archived"]]
