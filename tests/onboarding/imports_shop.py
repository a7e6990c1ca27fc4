"""What the tests of imports share: files in, workers run to the end, the catalog frozen to compare."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from channels.models import Listing
from inventory.models import Product, StockLevel, Variant, VariantAlias
from onboarding.importing import deciding, uploads, working
from onboarding.models import ImportBatch, StagedRow

HEADERS = ["Title", "SKU", "Barcode", "Price", "Vendor", "Option 1 name", "Option 1 value", "Product group"]
COLUMNS = {
    "Title": "product_title",
    "SKU": "sku",
    "Barcode": "gtin",
    "Price": "price",
    "Vendor": "vendor",
    "Option 1 name": "option1_name",
    "Option 1 value": "option1_value",
    "Product group": "product_key",
}
STATE = ImportBatch.State


def table(rows: Iterable[Mapping[str, Any]], *, headers: Sequence[str] = HEADERS) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, headers)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def upload(shop: Any, body: bytes, *, name: str = "goods.csv", actor: Any = None) -> ImportBatch:
    return uploads.take(merchant=shop, actor=actor, file_name=name, pieces=[body])


def run(batch: ImportBatch, *, times: int = 100) -> ImportBatch:
    """Work on it until nothing is left to do."""
    for _ in range(times):
        if not working.work(batch_id=batch.pk):
            break
    batch.refresh_from_db()
    return batch


def staged(shop: Any, body: bytes, *, columns: Mapping[str, str] | None = None, **said: Any) -> ImportBatch:
    """Uploaded, its columns named, and read up to the preview."""
    batch = run(upload(shop, body, **said))
    if batch.state == STATE.MAPPING:
        deciding.name_columns(batch_id=batch.pk, columns=columns or COLUMNS, actor=said.get("actor"))
        batch = run(batch)
    return batch


def applied(shop: Any, body: bytes, *, word: str = "", **said: Any) -> ImportBatch:
    """Staged, approved, and applied to the end."""
    batch = staged(shop, body, **said)
    deciding.approve(batch_id=batch.pk, actor=said.get("actor"), word=word)
    return run(batch)


def undone(batch: ImportBatch) -> ImportBatch:
    deciding.undo(batch_id=batch.pk, actor=None)
    return run(batch)


def rows_of(batch: ImportBatch) -> dict[int, StagedRow]:
    return {row.number: row for row in StagedRow.objects.filter(batch=batch).order_by("number")}


def actions(batch: ImportBatch) -> dict[int, str]:
    return {number: row.action for number, row in rows_of(batch).items()}


def frozen(shop: Any) -> dict[str, list[dict[str, Any]]]:
    """All rows of the shop's catalog, to the byte."""
    models = (Product, Variant, VariantAlias, StockLevel, Listing)
    return {model.__name__: list(model.objects.filter(merchant=shop).order_by("pk").values()) for model in models}
