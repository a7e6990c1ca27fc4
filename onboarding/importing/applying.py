"""The staged rows into the catalog: 500 a transaction, all through the journal, so that the batch can be undone.

A chunk is committed whole with its rows' marks or not at all: whoever takes a batch up goes on with the rows that are
not marked. What a person saw in the preview is what is done: a field that somebody changed since is left alone, and
the row says so. The rehearsal is this very code, each chunk rolled back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import DatabaseError, OperationalError, transaction
from django.db import connection as database
from django.db.models import F, QuerySet
from django.utils.timezone import now as utc_now

from inventory import bundles, identifiers, ledger
from inventory.models import Product, Variant, VariantAlias, VariantMerge
from onboarding import journal
from onboarding.importing import catalogs, comparing, resolving
from onboarding.importing.comparing import Shelf
from onboarding.importing.fields import LABELS, OF_PRODUCT, STOCK, options_of, variant_title
from onboarding.models import ChangeSet, ImportBatch, StagedRow

ROWS_AT_ONCE = 500
Action = StagedRow.Action

_MARK = """
UPDATE onboarding_stagedrow s
SET is_applied = true, variant_id = v.variant_id, product_id = v.product_id, outcome = v.outcome
FROM jsonb_to_recordset(%s) AS v(id bigint, variant_id bigint, product_id bigint, outcome text) WHERE s.id = v.id
"""
_JOIN_GROUPS = """
UPDATE onboarding_stagedrow s SET product_id = v.product_id
FROM unnest(%s::text[], %s::bigint[]) AS v(product_key, product_id)
WHERE s.batch_id = %s AND s.product_key = v.product_key AND s.action = 'new' AND s.product_id IS NULL
"""


@dataclass
class Chunk:
    """Rows on their way, and what of them was left alone because the shop moved since the preview."""

    batch: ImportBatch
    recorder: journal.Recorder
    rows: Sequence[StagedRow]
    now: datetime
    shelf: Shelf
    products: Mapping[int, Product]
    left: dict[int, list[str]] = field(default_factory=dict)

    def leave(self, row: StagedRow, words: str) -> None:
        """Note why a part of the row, or all of it, was not done."""
        self.left.setdefault(row.number, []).append(words)


def pending(batch: ImportBatch) -> QuerySet[StagedRow]:
    """The rows that are still to be applied, in the file's order."""
    rows = StagedRow.objects.filter(batch=batch, is_applied=False, action__in=[Action.NEW, Action.CHANGED])
    return rows.order_by("number")


def apply_next(batch: ImportBatch) -> int:
    """Apply the next chunk in a transaction of its own; returns how many rows are done with it, 0 when none is left.

    Locks the chunk's rows, then its products, variants and levels, each in primary-key order. A row that the database
    refuses is set aside with its reason; the others of its chunk go in.
    """
    numbers = list(pending(batch).values_list("number", flat=True)[:ROWS_AT_ONCE])
    return _apply_or_halve(batch, numbers) if numbers else 0


def _apply_or_halve(batch: ImportBatch, numbers: Sequence[int]) -> int:
    try:
        with transaction.atomic():
            done = _apply(batch, numbers)
            ImportBatch.objects.filter(pk=batch.pk).update(rows_done=F("rows_done") + done, changed_at=utc_now())
            return done
    except OperationalError:
        raise  # a lock that was not to be had, a connection lost: the whole chunk again, later
    except DatabaseError as error:
        if len(numbers) == 1:
            return _set_aside(batch, numbers[0], error)
        middle = len(numbers) // 2
        return sum(_apply_or_halve(batch, half) for half in (numbers[:middle], numbers[middle:]))


def _set_aside(batch: ImportBatch, number: int, error: DatabaseError) -> int:
    words = str(error).splitlines()[0][:250]
    row = StagedRow.objects.get(batch=batch, number=number)
    row.problems = [*row.problems, {"field": "", "words": f"The database refused it: {words}", "is_error": True}]
    row.action, row.diff = Action.ERROR, {}
    row.save(update_fields=["problems", "action", "diff"])
    ImportBatch.objects.filter(pk=batch.pk).update(rows_done=F("rows_done") + 1)
    return 1


def _apply(batch: ImportBatch, numbers: Sequence[int]) -> int:
    if batch.changeset is None:
        raise RuntimeError("A batch is applied only after a yes, which makes its change set.")
    # Whoever else has taken this batch up waits here, and then finds the rows marked.
    rows = list(pending(batch).filter(number__in=numbers).select_for_update(of=("self",)))
    if rows:
        apply_rows(batch=batch, recorder=journal.Recorder(batch.changeset), rows=rows)
    return len(rows)


def apply_rows(*, batch: ImportBatch, recorder: journal.Recorder, rows: Sequence[StagedRow]) -> Mapping[int, str]:
    """Do what the rows ask, in the caller's transaction; returns row number → what was left alone and why."""
    chunk = _chunk(batch, recorder, rows)
    new = _still_new(chunk)
    changed = [row for row in rows if row.action == Action.CHANGED and _is_here(chunk, row)]
    variant_of = _make(chunk, new)
    _change_products(chunk, [*new, *changed])
    _change_variants(chunk, changed)
    _name(chunk, changed)
    _count(chunk, [*new, *changed], variant_of)
    for row in new:
        row.variant_id = variant_of[row.number]
    numbers = {row.number: row for row in rows}
    for number, words in catalogs.link(batch=batch, recorder=recorder, rows=[*new, *changed]).items():
        chunk.leave(numbers[number], words)
    left = {number: " ".join(words)[:300] for number, words in chunk.left.items()}
    _mark(rows, left)
    return left


def _chunk(batch: ImportBatch, recorder: journal.Recorder, rows: Sequence[StagedRow]) -> Chunk:
    """The rows with what they are about, locked: nobody edits between our look and our write."""
    ids = sorted({row.variant_id for row in rows if row.variant_id})
    told = {row.product_id for row in rows if row.product_id and OF_PRODUCT.keys() & row.diff.keys()}
    products = Product.objects.filter(pk__in=told).order_by("pk").select_for_update(no_key=True)
    held = {product.pk: product for product in products}
    list(Variant.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    shelf = comparing.shelf_of(ids, location_ids=comparing.places_of(batch).values())
    return Chunk(batch=batch, recorder=recorder, rows=rows, now=utc_now(), shelf=shelf, products=held)


def _still_new(chunk: Chunk) -> list[StagedRow]:
    """New rows that nobody has made meanwhile."""
    new = [row for row in chunk.rows if row.action == Action.NEW]
    still = []
    for row, match in zip(new, resolving.resolve(merchant_id=chunk.batch.merchant_id, rows=new), strict=True):
        if match.variant_id is None and match.problem is None:
            still.append(row)
        else:
            chunk.leave(row, "Left alone: since the preview there is an item like it.")
    return still


def _is_here(chunk: Chunk, row: StagedRow) -> bool:
    variant = chunk.shelf.variants.get(row.variant_id or 0)
    if variant is None:
        chunk.leave(row, "Left alone: the item is not there any more.")
        return False
    if variant.archived_at and VariantMerge.objects.filter(duplicate=variant, parted_at=None).exists():
        chunk.leave(row, "Left alone: since the preview it became part of another item.")
        return False
    return True


def _make(chunk: Chunk, rows: Sequence[StagedRow]) -> dict[int, int]:
    """Products and variants of new rows; returns row number → variant."""
    groups: dict[str, StagedRow] = {}
    for row in rows:
        if row.product_id is None:
            groups.setdefault(row.product_key, row)
    made = _products(chunk, list(groups))
    chunk.recorder.make(list(made.values()))
    for row in rows:
        row.product_id = row.product_id or made[row.product_key].pk
    if made:
        with database.cursor() as cursor:
            cursor.execute(_JOIN_GROUPS, [list(made), [one.pk for one in made.values()], chunk.batch.pk])
    variants = [_variant(chunk, row) for row in rows]
    chunk.recorder.make(variants, lines=[row.number for row in rows])
    return {row.number: variant.pk for row, variant in zip(rows, variants, strict=True)}


def _products(chunk: Chunk, keys: Sequence[str]) -> dict[str, Product]:
    """A product for each group: of each field what its first row says that says anything, in whatever chunk it is."""
    values: dict[str, dict[str, Any]] = {key: {} for key in keys}
    rows = StagedRow.objects.filter(batch=chunk.batch, product_key__in=keys, action=Action.NEW).order_by("number")
    for key, fields in rows.values_list("product_key", "fields"):
        for name, column in OF_PRODUCT.items():
            if fields.get(name):
                values[key].setdefault(column, fields[name])
    merchant_id = chunk.batch.merchant_id
    return {key: Product(merchant_id=merchant_id, created_at=chunk.now, **values[key]) for key in keys}


def _variant(chunk: Chunk, row: StagedRow) -> Variant:
    fields = row.fields
    return Variant(
        merchant_id=chunk.batch.merchant_id,
        product_id=row.product_id or 0,
        title=variant_title(fields) or "",
        sku=fields.get("sku", ""),
        gtin=fields.get("gtin", ""),
        options=options_of(fields),
        price=Decimal(fields["price"]) if "price" in fields else None,
        is_whole_unit=all(Decimal(amount) % 1 == 0 for amount in (fields.get("quantities") or {}).values()),
        created_at=chunk.now,
        archived_at=chunk.now if fields.get("archived") else None,
    )


def _change_products(chunk: Chunk, rows: Sequence[StagedRow]) -> None:
    changes: dict[int, dict[str, Any]] = {}
    lines: dict[int, int] = {}
    for row in rows:
        product = chunk.products.get(row.product_id or 0)
        if product is None:
            continue
        for name, column in OF_PRODUCT.items():
            if name in row.diff and _is_as_seen(chunk, row, name, getattr(product, column)):
                changes.setdefault(product.pk, {})[column] = row.diff[name][1]
                lines[product.pk] = row.number
    if changes:
        chunk.recorder.update(Product, changes, lines=lines)


def _change_variants(chunk: Chunk, rows: Sequence[StagedRow]) -> None:
    changes: dict[int, dict[str, Any]] = {}
    lines: dict[int, int] = {}
    for row in rows:
        variant = chunk.shelf.variants[row.variant_id or 0]
        values = {
            name: row.diff[name][1]
            for name in ("title", "sku", "gtin", "options")
            if name in row.diff and _is_as_seen(chunk, row, name, getattr(variant, name))
        }
        price = None if variant.price is None else str(variant.price)
        if "price" in row.diff and _is_as_seen(chunk, row, "price", price):
            values["price"] = Decimal(row.diff["price"][1])
        if "archived" in row.diff and _is_as_seen(chunk, row, "archived", variant.archived_at is not None):
            values["archived_at"] = chunk.now if row.diff["archived"][1] else None
        if values:
            changes[variant.pk], lines[variant.pk] = values, row.number
    if changes:
        chunk.recorder.update(Variant, changes, lines=lines)


def _is_as_seen(chunk: Chunk, row: StagedRow, name: str, now: Any) -> bool:
    """Whether a field is still what the preview showed; it is not written over where somebody changed it since."""
    before, after = row.diff[name]
    if now in (before, after):
        return True
    chunk.leave(row, f"{LABELS[name]} left alone: it was changed since the preview.")
    return False


def _name(chunk: Chunk, rows: Sequence[StagedRow]) -> None:
    """Old barcodes, and SKUs that only this source uses, find the item for ever."""
    wanted: dict[tuple[int, str, str], tuple[str, int]] = {}
    for row in rows:
        variant_id = row.variant_id or 0
        if "alias" in row.diff:
            sku = row.diff["alias"][1]
            wanted[variant_id, VariantAlias.Kind.SKU, identifiers.sku_key(sku)] = (sku, row.number)
        if row.diff.get("gtin", [""])[0] and chunk.shelf.variants[variant_id].gtin == row.diff["gtin"][0]:
            old = row.diff["gtin"][0]
            wanted[variant_id, VariantAlias.Kind.GTIN, identifiers.gtin(old) or old] = (old, row.number)
    there = VariantAlias.objects.filter(variant__in={one for one, _, _ in wanted})
    for known in there.values_list("variant_id", "kind", "key"):
        wanted.pop(known, None)
    aliases = [
        VariantAlias(
            merchant_id=chunk.batch.merchant_id, variant_id=variant_id, kind=kind, key=key, value=value,
            created_at=chunk.now,
        )
        for (variant_id, kind, key), (value, _) in wanted.items()
    ]  # fmt: skip
    chunk.recorder.make(aliases, lines=[number for _, number in wanted.values()])


def _count(chunk: Chunk, rows: Sequence[StagedRow], variant_of: Mapping[int, int]) -> None:
    """Counts that a person said are to be set; one that moved since the preview is older than the shelf, and left."""
    entries, lines = [], []
    made_of = bundles.compositions(variant_ids=[variant_of.get(row.number) or row.variant_id or 0 for row in rows])
    made_up = {one.variant_id for one in made_of.values()}
    for row in rows:
        variant_id = variant_of.get(row.number) or row.variant_id or 0
        for name, (before, after) in row.diff.items():
            if not name.startswith(STOCK):
                continue
            if variant_id in made_up:
                chunk.leave(row, "Stock left alone: a bundle has none of its own, its parts have.")
                continue
            location_id = int(name.removeprefix(STOCK))
            now = chunk.shelf.levels.get((variant_id, location_id))
            if now != (None if before is None else Decimal(before)):
                chunk.leave(row, "Stock left alone: it moved since the preview.")
                continue
            entries.append(_entry(chunk, row, variant_id, location_id, Decimal(after), is_first=now is None))
            lines.append(row.number)
    if entries:
        chunk.recorder.post(entries, source=journal.SOURCE, lines=lines)


def _entry(
    chunk: Chunk, row: StagedRow, variant_id: int, location_id: int, counted: Decimal, *, is_first: bool
) -> ledger.Entry:
    return ledger.Entry(
        variant_id=variant_id,
        location_id=location_id,
        kind=ledger.Kind.OPENING if is_first else ledger.Kind.COUNT,
        key=f"import:{chunk.batch.pk}:{row.number}:{location_id}",
        occurred_at=chunk.now,
        counted=counted,
        actor_id=chunk.recorder.changeset.actor_id,
        reason=f"{chunk.batch.name}, row {row.number}",
    )


def _mark(rows: Sequence[StagedRow], left: Mapping[int, str]) -> None:
    values = [
        {"id": row.pk, "variant_id": row.variant_id, "product_id": row.product_id, "outcome": left.get(row.number, "")}
        for row in rows
    ]
    with database.cursor() as cursor:
        cursor.execute(_MARK, [json.dumps(values)])


class _TakeBack(Exception):
    """Rolls a rehearsed chunk back."""


@dataclass(frozen=True)
class Rehearsed:
    """What the dry run of one chunk came to."""

    last: int
    rows: int
    tally: Counter[str]
    refused: dict[int, str]


def rehearse(batch: ImportBatch, *, after: int, actor: Any) -> Rehearsed | None:
    """Apply the next chunk for real and roll it back; None when there is none after this row number.

    Chunk by chunk and not as one: a transaction over the whole file would keep every sale of its items waiting.
    """
    rows = list(pending(batch).filter(number__gt=after)[:ROWS_AT_ONCE])
    if not rows:
        return None
    tally, refused = _rehearse_or_halve(batch, rows, actor)
    return Rehearsed(last=rows[-1].number, rows=len(rows), tally=tally, refused=refused)


def _rehearse_or_halve(batch: ImportBatch, rows: list[StagedRow], actor: Any) -> tuple[Counter[str], dict[int, str]]:
    tally: Counter[str] = Counter()
    as_staged = [(row, row.variant_id, row.product_id) for row in rows]
    try:
        with transaction.atomic():
            changeset = journal.start(
                merchant=batch.merchant, kind=ChangeSet.Kind.IMPORT, title=batch.name, actor=actor
            )
            apply_rows(batch=batch, recorder=journal.Recorder(changeset), rows=rows)
            tally.update(_tally(changeset))
            raise _TakeBack
    except _TakeBack:
        return tally, {}
    except OperationalError:
        raise
    except DatabaseError as error:
        if len(rows) == 1:
            return tally, {rows[0].number: str(error).splitlines()[0][:250]}
    finally:
        for row, variant_id, product_id in as_staged:
            row.variant_id, row.product_id = variant_id, product_id
    middle = len(rows) // 2
    first, refused = _rehearse_or_halve(batch, rows[:middle], actor)
    second, more = _rehearse_or_halve(batch, rows[middle:], actor)
    return first + second, refused | more


def _tally(changeset: ChangeSet) -> Counter[str]:
    """What a change set made and changed, by table, with the stock it moved."""
    found: Counter[str] = Counter()
    for table, is_made, on_hand in changeset.changes.values_list("table", "before", "after__on_hand"):
        if table == journal.STOCK:
            amount = Decimal(on_hand)
            found["cells"] += 1
            found["units_added" if amount > 0 else "units_cut"] += abs(amount)  # type: ignore[assignment]
        else:
            found[f"{table}_made" if is_made is None else f"{table}_changed"] += 1
    return found
