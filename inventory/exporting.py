"""Stock as CSV, a chunk at a time, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from inventory import queries
from inventory.models import StockLevel, Variant
from storestudio.accounts.models import Merchant

CHUNK = 500
COLUMNS = (
    "SKU",
    "GTIN",
    "Product",
    "Variant",
    "Location",
    "On hand",
    "Committed",
    "Reserved",
    "Unavailable",
    "Incoming",
    "Available",
    "Updated at (UTC)",
)


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP, CSV injection): a quote before a leading = + - @ tab, CR."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def stock_csv(*, merchant: Merchant, narrowed: queries.StockFilter) -> Iterator[str]:
    """Lines of CSV: every variant the filter lets through, at every place where it ever was.

    Read in chunks by key rather than through one long cursor, so that no transaction stays open for a slow reader.
    """
    writer: Any = csv.writer(_Echo())
    yield "\ufeff"  # spreadsheets take UTF-8 for what it is only with the mark
    yield writer.writerow(COLUMNS)
    places = {place.pk: place.name for place in queries.locations(merchant=merchant)}
    if narrowed.location_id:
        places = {key: name for key, name in places.items() if key == narrowed.location_id}
    rows = queries.variants(merchant=merchant, narrowed=narrowed).select_related("product").order_by("pk")
    last = 0
    while chunk := list(rows.filter(pk__gt=last)[:CHUNK]):
        last = chunk[-1].pk
        levels = StockLevel.objects.of(merchant).filter(
            variant__in=[variant.pk for variant in chunk], location__in=places
        )
        by_variant: dict[int, list[StockLevel]] = {}
        for level in levels.order_by("variant_id", "location_id"):
            by_variant.setdefault(level.variant_id, []).append(level)
        for variant in chunk:
            for level in by_variant.get(variant.pk, [None]):
                yield writer.writerow(_line(variant, level, places))


def _line(variant: Variant, level: StockLevel | None, places: dict[int, str]) -> list[str]:
    text = [variant.sku, variant.gtin, variant.product.title, variant.title]
    text.append(places[level.location_id] if level else "")
    if level is None:
        return [*map(guarded, text), *[""] * 7]
    amounts = (level.on_hand, level.committed, level.reserved, level.unavailable, level.incoming, level.available)
    updated_at = level.updated_at.strftime("%Y-%m-%d %H:%M:%S")
    return [*map(guarded, text), *map(_number, amounts), updated_at]


def _number(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
