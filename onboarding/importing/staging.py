"""Rows of a source, read once, compared with the shop and kept: a thousand a transaction, taken up after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Max
from django.utils.timezone import now as utc_now
from psycopg.types.json import Jsonb

from onboarding import reading
from onboarding.importing import catalogs, comparing, fields, uploads
from onboarding.models import ImportBatch, StagedRow

ROWS_AT_ONCE = 1000
Progress = Callable[[], bool]  # called after each chunk; False: stop for now

_COLUMNS = (
    "batch_id", "number", "raw", "fields", "problems", "action", "diff", "key", "product_key", "product_id",
    "variant_id", "matched_by", "is_applied", "outcome", "undo", "undo_reason",
)  # fmt: skip
_JSON = frozenset({"raw", "fields", "problems", "diff"})
_COPY = f"COPY onboarding_stagedrow ({', '.join(_COLUMNS)}) FROM STDIN"
_COMPARED = """
UPDATE onboarding_stagedrow s
SET action = v.action, diff = v.diff, problems = v.problems, outcome = v.outcome, variant_id = v.variant_id,
    product_id = v.product_id, matched_by = v.matched_by
FROM jsonb_to_recordset(%s) AS v(id bigint, action text, diff jsonb, problems jsonb, outcome text, variant_id bigint,
                                 product_id bigint, matched_by text)
WHERE s.id = v.id
"""


class NeedsMapping(Exception):
    """The columns of this file say nothing by themselves: a person has to name them first."""


def read(batch: ImportBatch, *, go_on: Progress) -> bool:
    """Stage what is not staged yet; whether all of it is. Raises reading.UnreadableFile, NeedsMapping."""
    done = StagedRow.objects.filter(batch=batch).aggregate(top=Max("number"))["top"] or 0
    for chunk in _chunks(_rows(batch, after=done), ROWS_AT_ONCE):
        stage(batch, [row for row, _ in chunk], bytes_read=chunk[-1][1])
        if not go_on():
            return False
    return True


def stage(batch: ImportBatch, rows: Sequence[StagedRow], *, bytes_read: int) -> None:
    """Keep one chunk, compared; a chunk that another worker has just kept adds nothing."""
    with transaction.atomic():
        # The batch is locked first, so that what another worker kept is seen and not copied twice.
        ImportBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        kept = StagedRow.objects.filter(batch=batch).aggregate(top=Max("number"))["top"] or 0
        rows = [row for row in rows if row.number > kept]
        comparing.compare(batch, rows)
        _copy(rows)
        batch.rows_read, batch.bytes_read, batch.changed_at = batch.rows_read + len(rows), bytes_read, utc_now()
        batch.save(update_fields=["rows_read", "bytes_read", "changed_at"])


def _copy(rows: Sequence[StagedRow]) -> None:
    with database.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            values = ((name, getattr(row, name)) for name in _COLUMNS)
            copy.write_row([Jsonb(value) if name in _JSON else value for name, value in values])


def compare_again(batch: ImportBatch, *, go_on: Progress) -> bool:
    """Compare the staged rows anew, from where the last worker stopped; whether all of them were."""
    while True:
        with transaction.atomic():
            at = batch.settings.get("compared_to", 0)
            rows = list(StagedRow.objects.filter(batch=batch, number__gt=at).order_by("number")[:ROWS_AT_ONCE])
            if not rows:
                return True
            comparing.compare(batch, rows)
            _keep(rows)
            batch.settings["compared_to"] = rows[-1].number
            batch.rows_done += len(rows)
            batch.changed_at = utc_now()
            batch.save(update_fields=["settings", "rows_done", "changed_at"])
        if not go_on():
            return False


def _keep(rows: Sequence[StagedRow]) -> None:
    columns = ("id", "action", "diff", "problems", "outcome", "variant_id", "product_id", "matched_by")
    with database.cursor() as cursor:
        cursor.execute(_COMPARED, [json.dumps([{name: getattr(row, name) for name in columns} for row in rows])])


def _rows(batch: ImportBatch, *, after: int) -> Iterator[tuple[StagedRow, int]]:
    """Each row to stage with how many bytes of the file were read by then."""
    if batch.connection_id is not None:
        for row in catalogs.rows(batch, after=after):
            yield row, 0
        return
    with (
        uploads.opened(batch) as stream,
        closing(
            reading.read(stream, name=batch.file_name, mapping=batch.columns or None, sheet=batch.settings.get("sheet"))
        ) as found,
    ):
        _note(batch, found)
        for told in found.rows(after=after):
            yield fields.staged(told, batch=batch), stream.tell()


def _note(batch: ImportBatch, found: reading.Reading) -> None:
    """Keep what was found out about the file. Raises NeedsMapping where nobody has named its columns."""
    batch.format, batch.notes = found.format.key, list(found.notes)
    batch.settings |= {
        "headers": list(found.headers),
        "encoding": found.encoding,
        "delimiter": found.delimiter,
        "sheet": found.sheet,
        "sheets": list(found.sheets),
        # A row a variant and place: such a file tells of stock, and makes no products.
        "is_stock": found.format.is_stock or "location" in found.mapping.values(),
        "columns": [asdict(guess) for guess in found.suggested],
    }
    batch.save(update_fields=["format", "notes", "settings"])
    if found.needs_mapping:
        raise NeedsMapping


def _chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk
