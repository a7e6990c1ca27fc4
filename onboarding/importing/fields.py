"""What a row says, as it is kept while it is staged: plain JSON, and nothing for what the source leaves unsaid."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from inventory import identifiers
from onboarding.models import ImportBatch, StagedRow
from onboarding.reading.fields import CHARS_MAX
from onboarding.reading.rows import CatalogRow, Severity

Fields = dict[str, Any]
Problem = dict[str, Any]

# Field of a row → column of the product it belongs to.
OF_PRODUCT = {"product_title": "title", "vendor": "vendor", "category": "category", "image_url": "image_url"}
STOCK = "stock:"  # followed by the location's id, in a row's diff
LABELS = {
    "product_title": "Product",
    "vendor": "Vendor",
    "category": "Category",
    "image_url": "Picture",
    "title": "Variant",
    "options": "Options",
    "sku": "SKU",
    "alias": "Other SKU",
    "gtin": "Barcode",
    "price": "Price",
    "archived": "Archived",
    "quantities": "Stock",
    "link": "Linked",
}
PRICE_MAX = Decimal(10) ** 10
QUANTITY_MAX = Decimal(10) ** 10
NUMBER_MAX = 2_147_483_647


def staged(row: CatalogRow, *, batch: ImportBatch, listing_id: int | None = None) -> StagedRow:
    """A row to stage, not yet compared with anything."""
    fields = _fields(row)
    if listing_id is not None:
        fields["listing"] = listing_id
    problems = [
        problem(one.field, one.message, is_error=one.severity == Severity.ERROR, suggestion=one.suggestion)
        for one in row.problems
    ]
    problems += _limits(row)
    return StagedRow(
        batch=batch,
        number=row.number,
        raw=dict(row.raw),
        fields=fields,
        problems=problems,
        key=_key(fields, row, is_stock_only=is_stock_only(batch)),
        product_key=_short(row.product_key or f"row:{row.number}", 200),
        action=StagedRow.Action.UNCHANGED,
    )


def is_stock_only(batch: ImportBatch) -> bool:
    """Whether the file only tells how many there are: a row a variant and place, which makes no products."""
    return bool(batch.settings.get("is_stock"))


def problem(field: str, words: str, *, is_error: bool = True, suggestion: str = "") -> Problem:
    """What is wrong with a row; one error keeps the row from being applied."""
    return {"field": field, "words": words, "is_error": is_error} | ({"suggestion": suggestion} if suggestion else {})


def has_error(row: StagedRow) -> bool:
    """Whether the row must not be applied."""
    return any(one["is_error"] for one in row.problems)


def in_words(row: StagedRow) -> list[str]:
    """The row's problems as people are told of them: "Row 7, SKU: …"."""
    return [
        f"Row {row.number}{', ' + LABELS.get(one['field'], one['field']) if one['field'] else ''}: {one['words']}"
        for one in row.problems
    ]


def _fields(row: CatalogRow) -> Fields:
    said: Fields = {
        "product_title": row.product_title,
        "vendor": row.vendor,
        "category": row.category,
        "image_url": row.image_url,
        "title": row.variant_title,
        # Pairs: the order of the options is the order in the variant's title, and JSON objects keep none.
        "options": None if row.options is None else [list(pair) for pair in row.options],
        "sku": row.sku,
        "price": None if row.price is None else str(row.price.quantize(Decimal("0.01"))),
        "archived": None if row.status is None else row.status == "archived",
        "quantities": {place: str(amount) for place, amount in row.quantities.items()} or None,
        "gtin": identifiers.gtin(row.gtin) or None if row.gtin else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _limits(row: CatalogRow) -> list[Problem]:
    found = []
    for name, limit in CHARS_MAX.items():
        field = "title" if name == "variant_title" else name
        if len(getattr(row, name) or "") > limit:
            found.append(problem(field, f"Longer than {limit} characters."))
    if row.price is not None and not 0 <= row.price < PRICE_MAX:
        found.append(problem("price", f"{row.price} is no price."))
    for place, amount in row.quantities.items():
        if abs(amount) >= QUANTITY_MAX:
            found.append(problem("quantities", f"{amount} at {place or 'the shop'} is no number of goods."))
    if not (row.sku or row.gtin or row.product_title or row.has_errors):
        found.append(problem("", "It has no SKU, no barcode and no title: nothing tells what it is."))
    return found


def _key(fields: Fields, row: CatalogRow, *, is_stock_only: bool) -> str:
    """What the row is known by within the file. Two rows with the same key tell of the same thing."""
    if sku := identifiers.sku_key(fields.get("sku", "")):
        name = f"sku:{sku}"
    elif gtin := fields.get("gtin"):
        name = f"gtin:{gtin}"
    else:
        name = f"title:{_digest(title_key(fields.get('product_title', ''), fields))}"
    if is_stock_only and row.quantities:
        places = "|".join(sorted(row.quantities))
        return f"place:{_digest(places)[:16]}:{_short(name, 100)}"
    return _short(name, 130)


def title_key(product_title: str, fields: Mapping[str, Any]) -> str:
    """Title and options (in any order) folded for comparison."""
    values = sorted(folded(value) for value in options_of(fields).values()) or [folded(fields.get("title", ""))]
    return "|".join([folded(product_title), *filter(None, values)])


def options_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Option name → value; empty where there are none, and where the source does not say."""
    return dict(fields.get("options") or ())


def folded(text: str) -> str:
    """Text without case, width and runs of spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def variant_title(fields: Mapping[str, Any]) -> str | None:
    """What the variant is called within its product; None where the source does not say."""
    if fields.get("title"):
        return str(fields["title"])
    return " / ".join(options_of(fields).values())[:300] if "options" in fields else None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 33]}#{_digest(text)}"
