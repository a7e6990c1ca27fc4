"""Every change of the catalog, written down as it is made, so that it can be undone: the only way onboarding writes.

Recording reads the rows under lock, writes only what differs, and keeps the touched fields before and after. Undoing
compares each row with what was written: untouched since, it goes back to the byte; edited since, it is kept as it is;
where something hangs on it now, it stays and says why. Rows that a person never touched come back equal.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import models, transaction
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now as utc_now

from channels import linking
from channels.models import Connection, Listing
from inventory import identifiers, ledger, merging
from inventory.models import Product, StockLevel, StockMovement, Variant, VariantAlias, VariantMerge
from onboarding.models import Change, ChangeSet, ListingWish
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

# Rows written field by field; what else is recorded (merges, links, stock) is undone by the room that did it.
TABLES: dict[str, type[models.Model]] = {
    "product": Product,
    "variant": Variant,
    "alias": VariantAlias,
    "wish": ListingWish,
}
NAMES = {model: name for name, model in TABLES.items()}
MERGE, LINK, STOCK = "merge", "link", "stock"
SOURCE = "onboarding"
STOCK_HISTORY = {str(StockLevel._meta.verbose_name), str(StockMovement._meta.verbose_name)}
Values = Mapping[str, Any]
UNDONE_AT_ONCE = 1000


class AlreadyUndone(Exception):
    """This change set was undone before."""


@dataclass(frozen=True)
class Undone:
    """How many rows each bucket holds; every row is in exactly one."""

    reversed: int
    kept: int
    could_not: int


class Recorder:
    """Makes and changes rows within one change set. Every method runs in the caller's transaction."""

    def __init__(self, changeset: ChangeSet) -> None:
        self.changeset = changeset
        self.written = 0  # changes so far

    def make(self, rows: Sequence[models.Model], *, lines: Sequence[int] | None = None) -> None:
        """Insert rows of one model, all of this merchant; `lines` are the file's rows that asked for them."""
        if not rows:
            return
        model = type(rows[0])
        for row in rows:
            if isinstance(row, Variant):
                row.sku_key = identifiers.sku_key(row.sku)  # bulk_create calls no save()
        model._default_manager.bulk_create(rows)
        self._write(
            Change(
                changeset=self.changeset,
                table=NAMES[model],
                row_id=row.pk,
                line=lines[n] if lines else None,
                before=None,
                after=_snapshot(row),
            )
            for n, row in enumerate(rows)
        )

    def update(
        self, model: type[models.Model], changes: Mapping[int, Values], *, lines: Mapping[int, int] | None = None
    ) -> int:
        """Set fields of rows by primary key; returns how many rows differed. Locks them in primary-key order."""
        rows = _lock(model, changes, merchant_id=self.changeset.merchant_id)
        fields: set[str] = set()
        touched, written = [], []
        for row in rows:
            values = _complete(model, changes[row.pk])
            wanted = {name: value for name, value in values.items() if getattr(row, name) != value}
            if not wanted:
                continue
            before = {name: _plain(getattr(row, name)) for name in wanted}
            for name, value in wanted.items():
                setattr(row, name, value)
            fields |= set(wanted)
            touched.append(row)
            written.append(
                Change(
                    changeset=self.changeset,
                    table=NAMES[model],
                    row_id=row.pk,
                    line=lines.get(row.pk) if lines else None,
                    before=before,
                    after={name: _plain(value) for name, value in wanted.items()},
                )
            )
        if touched:
            _store(model, touched, sorted(fields))
            self._write(written)
        return len(touched)

    def merge(self, *, survivor: Variant, duplicate: Variant, actor: User | None) -> VariantMerge:
        """Two variants become one, stock and orders and all. Raises merging.CannotMerge."""
        merged = merging.merge(survivor=survivor, duplicate=duplicate, actor=actor)
        self._write([Change(changeset=self.changeset, table=MERGE, row_id=merged.pk, before=None, after={})])
        return merged

    def link(self, *, listing: Listing, variant: Variant | None, actor: User | None, reason: str = "") -> None:
        """Link a listing to a variant, or exclude it (None) on purpose. Raises linking.CannotLink."""
        before = {"variant_id": listing.variant_id, "link": listing.link, "link_reason": listing.link_reason}
        if variant is None:
            linking.exclude(listing=listing, actor=actor, reason=reason)
        else:
            linking.link(listing=listing, variant=variant, actor=actor)
        listing.refresh_from_db()
        after = {"variant_id": listing.variant_id, "link": listing.link}
        self._write([Change(changeset=self.changeset, table=LINK, row_id=listing.pk, before=before, after=after)])

    def link_many(
        self, *, connection: Connection, pairs: Mapping[int, int], actor: User | None, reason: str
    ) -> list[int]:
        """Link waiting listings (listing → variant, by key); returns those that were linked."""
        before = dict(Listing.objects.filter(pk__in=pairs).values_list("pk", "link"))
        linked = linking.link_many(connection=connection, pairs=pairs, actor=actor, reason=reason)
        self._write(
            Change(
                changeset=self.changeset,
                table=LINK,
                row_id=pk,
                before={"variant_id": None, "link": before[pk]},
                after={"variant_id": pairs[pk], "link": Listing.Link.LINKED},
            )
            for pk in linked
        )
        return linked

    def post(self, entries: Sequence[ledger.Entry], *, source: str, lines: Sequence[int] | None = None) -> None:
        """Post stock (counts of a file, say) so that it can be taken back; a repeated posting records nothing."""
        posted = ledger.post(merchant_id=self.changeset.merchant_id, source=source, entries=entries)
        self._write(
            Change(
                changeset=self.changeset,
                table=STOCK,
                row_id=one.movement_id,
                line=lines[n] if lines else None,
                before=None,
                after={"variant_id": one.variant_id, "location_id": one.location_id, "on_hand": str(one.on_hand)},
            )
            for n, one in enumerate(posted)
            if not one.is_replay
        )

    def _write(self, rows: Iterable[Change]) -> None:
        self.written += len(Change.objects.bulk_create(rows, batch_size=5000))


def start(*, merchant: Merchant, kind: str, title: str, actor: User | None) -> ChangeSet:
    """A new, empty change set."""
    return ChangeSet.objects.create(merchant=merchant, kind=kind, title=title[:300], actor=actor)


@contextmanager
def recording(*, merchant: Merchant, kind: str, title: str, actor: User | None) -> Iterator[Recorder]:
    """One change set in one transaction, with its line in the audit trail."""
    with transaction.atomic():
        changeset = start(merchant=merchant, kind=kind, title=title, actor=actor)
        yield Recorder(changeset)
        audit.record(actor=actor, merchant=merchant, action=f"catalog.{kind}", target=changeset, summary=title)


def undo(*, changeset_id: int, actor: User | None, on_progress: Callable[[int], None] | None = None) -> Undone:
    """Undo a change set, newest change first, a thousand rows a transaction; safe to call again after a crash.

    Each change ends in exactly one bucket. Raises AlreadyUndone. Locks the rows in primary-key order.
    """
    while True:
        with transaction.atomic():
            changeset = ChangeSet.objects.select_for_update().get(pk=changeset_id)
            if changeset.undone_at is not None:
                raise AlreadyUndone(changeset.title)
            waiting = changeset.changes.filter(undo=Change.Undo.NOT_YET).order_by("-pk")[:UNDONE_AT_ONCE]
            changes = _one_table(list(waiting))
            if not changes:
                return _close(changeset, actor)
            for change in changes:
                change.undo, change.undo_reason = Change.Undo.KEPT, ""
            UNDO[changes[0].table](changes, actor)
            _store(Change, changes, ["undo", "undo_reason"])
        if on_progress is not None:
            on_progress(len(changes))


def _one_table(changes: list[Change]) -> list[Change]:
    """The newest run of changes of one table, each row once: what one statement can put back."""
    run: list[Change] = []
    seen: set[int] = set()
    for change in changes:
        if run and (change.table != run[0].table or change.row_id in seen or _is_made(change) != _is_made(run[0])):
            break
        run.append(change)
        seen.add(change.row_id)
    return run


def _is_made(change: Change) -> bool:
    return change.before is None


def _close(changeset: ChangeSet, actor: User | None) -> Undone:
    changeset.undone_at, changeset.undone_by = utc_now(), actor
    changeset.save(update_fields=["undone_at", "undone_by"])
    counts = dict(changeset.changes.values_list("undo").annotate(rows=models.Count("pk")).order_by("undo"))
    undone = Undone(*(counts.get(bucket, 0) for bucket in ("reversed", "kept", "could_not")))
    audit.record(
        actor=actor, merchant=changeset.merchant, action="catalog.undone", target=changeset,
        summary=f"Undone: {changeset.title} ({undone.reversed} reversed, {undone.kept} kept, "
        f"{undone.could_not} could not be)",
    )  # fmt: skip
    return undone


def _undo_rows(changes: list[Change], actor: User | None) -> None:
    model = TABLES[changes[0].table]
    ids = [change.row_id for change in changes]
    rows = {row.pk: row for row in _lock(model, ids, merchant_id=changes[0].changeset.merchant_id)}
    if _is_made(changes[0]):
        _undo_made(model, changes, rows)
        return
    back, fields = [], set()
    for change in changes:
        row = rows.get(change.row_id)
        if row is None:
            _settle(change, Change.Undo.COULD_NOT, "it is not there any more")
            continue
        now = {name: _plain(getattr(row, name)) for name in change.after or {}}
        if now != change.after:
            edited = ", ".join(name for name, value in now.items() if value != (change.after or {})[name])
            _settle(change, Change.Undo.KEPT, f"edited since: {edited}")
            continue
        for name, value in (change.before or {}).items():
            setattr(row, name, _rich(model, name, value))
            fields.add(name)
        back.append(row)
        _settle(change, Change.Undo.REVERSED, "")
    if back:
        _store(model, back, sorted(fields))


def _undo_made(model: type[models.Model], changes: list[Change], rows: Mapping[int, models.Model]) -> None:
    """Rows that were made go, unless somebody edited them or something hangs on them by now."""
    untouched: dict[int, Change] = {}
    for change in changes:
        row = rows.get(change.row_id)
        if row is None:
            _settle(change, Change.Undo.REVERSED, "it had gone already")
            continue
        now = _snapshot(row)
        if now == change.after:
            untouched[change.row_id] = change
        else:
            edited = ", ".join(name for name, value in now.items() if value != (change.after or {}).get(name))
            _settle(change, Change.Undo.KEPT, f"edited since: {edited}")
    held = _held(model, untouched)
    model._default_manager.filter(pk__in=set(untouched) - set(held)).delete()
    for row_id, change in untouched.items():
        if row_id not in held:
            _settle(change, Change.Undo.REVERSED, "")
        elif model is Variant and held[row_id] <= STOCK_HISTORY and not _is_stocked(row_id):
            Variant.objects.filter(pk=row_id).update(archived_at=utc_now())
            _settle(change, Change.Undo.REVERSED, "archived: the history of its stock stays")
        else:
            _settle(change, Change.Undo.COULD_NOT, f"in use by now: {', '.join(sorted(held[row_id]))}")


def _held(model: type[models.Model], ids: Iterable[int]) -> dict[int, set[str]]:
    """Which rows something else hangs on that would not go with them, and what that is."""
    held: dict[int, set[str]] = defaultdict(set)
    wanted = list(ids)
    for relation in model._meta.related_objects:
        if relation.on_delete is not models.PROTECT:
            continue
        name, other = relation.field.attname, relation.related_model
        for row_id in other._base_manager.filter(**{f"{name}__in": wanted}).values_list(name, flat=True).distinct():
            held[row_id].add(str(other._meta.verbose_name))
    return held


def _is_stocked(variant_id: int) -> bool:
    empty = models.Q(on_hand=0, committed=0, reserved=0, unavailable=0, incoming=0)
    return StockLevel.objects.filter(variant=variant_id).exclude(empty).exists()


def _undo_merges(changes: list[Change], actor: User | None) -> None:
    for change in changes:
        try:
            with transaction.atomic():
                merging.part(merge_id=change.row_id, actor=actor)
        except merging.CannotMerge as error:
            _settle(change, Change.Undo.COULD_NOT, str(error))
        else:
            _settle(change, Change.Undo.REVERSED, "")


def _undo_links(changes: list[Change], actor: User | None) -> None:
    """Listings go back to what they were linked to, unless somebody linked them elsewhere since."""
    for change in changes:
        listing = Listing.objects.get(pk=change.row_id)
        before, after = change.before or {}, change.after or {}
        if (listing.variant_id, listing.link) != (after["variant_id"], after["link"]):
            _settle(change, Change.Undo.KEPT, "linked elsewhere since")
            continue
        try:
            with transaction.atomic():
                linking.put_back(listing=listing, variant_id=before["variant_id"], state=before["link"], actor=actor)
        except linking.CannotLink as error:
            _settle(change, Change.Undo.COULD_NOT, str(error))
        else:
            _settle(change, Change.Undo.REVERSED, "")


def _undo_stock(changes: list[Change], actor: User | None) -> None:
    """What was posted is posted back; what happened since stays. Movements are never edited."""
    now = utc_now()
    changeset = changes[0].changeset
    ledger.post(
        merchant_id=changeset.merchant_id,
        source=SOURCE,
        entries=[
            ledger.Entry(
                variant_id=(change.after or {})["variant_id"],
                location_id=(change.after or {})["location_id"],
                kind=ledger.Kind.ADJUST,
                key=f"undo:{change.row_id}",
                occurred_at=now,
                on_hand=-Decimal((change.after or {})["on_hand"]),
                actor_id=actor.pk if actor else None,
                reason=f"undone: {changeset.title}",
            )
            for change in changes
        ],
    )
    for change in changes:
        _settle(change, Change.Undo.REVERSED, "")


UNDO: dict[str, Callable[[list[Change], User | None], None]] = {
    **dict.fromkeys(TABLES, _undo_rows),
    MERGE: _undo_merges,
    LINK: _undo_links,
    STOCK: _undo_stock,
}


def _settle(change: Change, bucket: str, reason: str) -> None:
    change.undo, change.undo_reason = bucket, reason[:300]


def _lock(model: type[models.Model], ids: Iterable[int], *, merchant_id: int) -> list[Any]:
    rows = model._default_manager.filter(pk__in=list(ids), merchant=merchant_id)
    return list(rows.order_by("pk").select_for_update(of=("self",)))


def _store(model: type[models.Model], rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write these fields of these rows in one statement; a CASE a row, as bulk_update has it, takes seconds."""
    fields = [model._meta.get_field(name) for name in names]
    columns = [(field.column, field.db_type(database)) for field in fields]  # type: ignore[union-attr]
    values = [{"id": row.pk} | {field.column: _plain(getattr(row, field.attname)) for field in fields} for row in rows]  # type: ignore[union-attr]
    statement = (
        f'UPDATE "{model._meta.db_table}" t SET {", ".join(f"{name} = v.{name}" for name, _ in columns)} '  # noqa: S608
        f"FROM jsonb_to_recordset(%s) AS v(id bigint, {', '.join(f'{name} {kind}' for name, kind in columns)}) "
        "WHERE t.id = v.id"
    )
    with database.cursor() as cursor:
        cursor.execute(statement, [json.dumps(values)])


def _snapshot(row: models.Model) -> dict[str, Any]:
    """All stored fields but the key, JSON-ready."""
    return {
        field.attname: _plain(getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if not field.primary_key
    }


def _complete(model: type[models.Model], values: Values) -> dict[str, Any]:
    """Values as the database will hand them back, with those that follow from them."""
    complete = dict(values)
    for name, value in values.items():
        field = model._meta.get_field(name)
        if isinstance(field, models.DecimalField) and value is not None:
            complete[name] = Decimal(value).quantize(Decimal(1).scaleb(-field.decimal_places))
    if model is Variant and "sku" in values:
        complete["sku_key"] = identifiers.sku_key(values["sku"])
    return complete


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.pk if isinstance(value, models.Model) else value


def _rich(model: type[models.Model], name: str, value: Any) -> Any:
    field = model._meta.get_field(name)
    if isinstance(field, models.DateTimeField) and isinstance(value, str):
        return parse_datetime(value)
    return field.to_python(value) if isinstance(field, models.DecimalField) and value is not None else value
