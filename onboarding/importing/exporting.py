"""Rows in error as CSV, a chunk at a time, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from inventory.exporting import guarded
from onboarding.importing.fields import in_words
from onboarding.models import ImportBatch, StagedRow

CHUNK = 1000


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def errors_csv(batch: ImportBatch) -> Iterator[str]:
    """The rows as they came, in the file's columns, with the row's number and what is wrong in front.

    Read in chunks by key, so that no transaction stays open for a slow reader. Formulas are guarded.
    """
    writer: Any = csv.writer(_Echo())
    rows = StagedRow.objects.filter(batch=batch, action=StagedRow.Action.ERROR).order_by("number")
    headers = list(batch.settings.get("headers") or [])
    if not headers:
        first = rows.first()
        headers = list(first.raw) if first else []
    yield "\ufeff"  # spreadsheets take UTF-8 for what it is only with the mark
    yield writer.writerow(["Row", "What is wrong", *map(guarded, headers)])
    last = -1
    while chunk := list(rows.filter(number__gt=last)[:CHUNK]):
        last = chunk[-1].number
        for row in chunk:
            cells = [str(row.raw.get(header, "")) for header in headers]
            yield writer.writerow([row.number, *map(guarded, [" ".join(in_words(row)), *cells])])
