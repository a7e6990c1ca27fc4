"""What the import pages show: progress, counts, rows with their differences. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.db.models import Count, Q
from django.utils.timezone import now as utc_now

from inventory import identifiers, paging
from onboarding.importing import deciding
from onboarding.importing.fields import LABELS, OF_PRODUCT, STOCK, in_words, options_of, variant_title
from onboarding.models import ImportBatch, StagedRow
from onboarding.reading import formats
from onboarding.reading.fields import LABELS as COLUMN_LABELS

Action, State, Phase = StagedRow.Action, ImportBatch.State, ImportBatch.Phase
ROWS_A_PAGE = 50
PLACES_LOOKED_AT = 2000
FORMATS = {one.key: one.label for one in vars(formats).values() if isinstance(one, formats.Format)}


@dataclass(frozen=True)
class Line:
    """A batch in the list."""

    batch: ImportBatch
    kind: str
    source: str
    rows: int | None
    progress: Progress | None


@dataclass(frozen=True)
class Progress:
    """How far the work is. `share` 0 to 100, None where the end is not known; `left_s` None likewise."""

    words: str
    done: int
    total: int | None
    share: int | None
    rate: Decimal | None
    left_s: float | None
    is_stopping: bool
    can_stop: bool


def format_label(batch: ImportBatch) -> str:
    """Which export it is, for people."""
    if batch.connection_id is not None:
        return "Channel catalog"
    return FORMATS.get(batch.format, "") if batch.format != formats.OTHER.key else ""


# What a state looks like: the kind of status and nothing more, the words are the state's own.
KINDS: Mapping[str, str] = {
    State.READING: "busy",
    State.MAPPING: "warn",
    State.STAGED: "warn",
    State.APPLYING: "busy",
    State.APPLIED: "ok",
    State.CANCELLED: "idle",
    State.FAILED: "bad",
    State.UNDOING: "busy",
    State.UNDONE: "idle",
}


def line_of(batch: ImportBatch) -> Line:
    """A batch as the list shows it."""
    at_work = batch.state in (State.READING, State.APPLYING, State.UNDOING)
    return Line(
        batch=batch,
        kind=KINDS[batch.state],
        source=format_label(batch) or batch.file_name,
        rows=batch.rows_total,
        progress=progress_of(batch) if at_work else None,
    )


def progress_of(batch: ImportBatch) -> Progress:
    """Count, rate and time left of the work under way."""
    words = {
        Phase.READ: "Reading the rows",
        Phase.COMPARE: "Comparing with what is there",
        Phase.REHEARSE: "Rehearsing: every row is tried and taken back",
        Phase.APPLY: "Applying",
        Phase.UNDO: "Undoing",
    }.get(Phase(batch.phase), "Waiting for its turn")
    is_reading = batch.phase == Phase.READ
    done = batch.rows_read if is_reading else batch.rows_done
    fraction = _fraction(batch, is_reading=is_reading)
    seconds = (utc_now() - batch.phase_at).total_seconds() if batch.phase_at and batch.phase else 0.0
    rate = Decimal(round(done / seconds)) if seconds >= 1 and done else None
    left_s = seconds / fraction - seconds if fraction and seconds >= 1 else None
    return Progress(
        words=words,
        done=done,
        total=None if is_reading else batch.work_total,
        share=None if fraction is None else min(100, int(fraction * 100)),
        rate=rate,
        left_s=left_s,
        is_stopping=batch.cancel_asked_at is not None,
        can_stop=batch.state in (State.READING, State.APPLYING),
    )


def _fraction(batch: ImportBatch, *, is_reading: bool) -> float | None:
    if is_reading:
        is_text = batch.file_size and batch.settings.get("encoding") not in (None, "xlsx")
        return min(batch.bytes_read / batch.file_size, 1.0) if is_text else None
    return batch.rows_done / batch.work_total if batch.work_total else None


def counts_of(batch: ImportBatch) -> dict[str, int]:
    """How many rows each action has."""
    found = StagedRow.objects.filter(batch=batch).values_list("action").annotate(rows=Count("pk")).order_by("action")
    return dict.fromkeys(Action.values, 0) | dict(found)


@dataclass(frozen=True)
class Field:
    """One field of a row: its name, what is there, what will be."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class RowLine:
    """A staged row as a person reads it."""

    row: StagedRow
    title: str
    variant: str
    sku: str
    fields: Sequence[Field]
    problems: Sequence[str]
    matched: str


@dataclass(frozen=True)
class Page:
    """Some rows of one tab, with the addresses of the first and the next page."""

    show: str
    q: str
    rows: Sequence[RowLine]
    tabs: Sequence[tuple[str, str, int]]
    next_url: str
    back_url: str
    words: str


BUCKETS = (("kept", "Kept"), ("could_not", "Could not"), ("reversed", "Reversed"))


def page_of(batch: ImportBatch, *, query: Mapping[str, str], places: Mapping[int, str]) -> Page:
    """The page that `?show=&q=&after=` asks for; the first tab that has rows where none is asked for."""
    tabs = _tabs(batch)
    names = [name for name, _, _ in tabs]
    asked = query.get("show", "")
    show = asked if asked in names else next((name for name, _, count in tabs if count), names[0])
    q = query.get("q", "").strip()[:100]
    rows = StagedRow.objects.filter(batch=batch).select_related("variant__product")
    by = {"action": show} if show in Action.values else {"undo": show} if show != "left" else {}
    rows = rows.filter(**by)
    if show == "left":
        rows = rows.filter(is_applied=True).exclude(outcome="")
    if q:
        rows = rows.filter(_matching(q))
    after = paging.number(query.get("after"))
    if after is not None:
        rows = rows.filter(number__gt=after)
    found = list(rows.order_by("number")[: ROWS_A_PAGE + 1])
    shown = found[:ROWS_A_PAGE]
    search = f"&q={quote(q)}" if q else ""
    return Page(
        show=show,
        q=q,
        rows=[_row_line(row, places) for row in shown],
        tabs=tabs,
        next_url=f"?show={show}{search}&after={shown[-1].number}" if len(found) > ROWS_A_PAGE else "",
        back_url=f"?show={show}{search}" if after is not None else "",
        words="In the order of the file" if batch.connection_id is None else "",
    )


def _tabs(batch: ImportBatch) -> list[tuple[str, str, int]]:
    rows = StagedRow.objects.filter(batch=batch)
    if batch.state == State.UNDONE:
        return [(name, label, rows.filter(undo=name).count()) for name, label in BUCKETS]
    counts = counts_of(batch)
    order = (Action.CHANGED, Action.NEW, Action.ERROR, Action.UNCHANGED)
    tabs = [(str(action.value), str(action.label), counts[action]) for action in order]
    left = rows.filter(is_applied=True).exclude(outcome="").count() if batch.changeset_id else 0
    return [("left", "Left alone", left), *tabs] if left else tabs


def _matching(q: str) -> Q:
    found = Q(fields__product_title__icontains=q) | Q(fields__sku__icontains=q) | Q(fields__gtin__contains=q)
    if key := identifiers.sku_key(q):
        found |= Q(key__contains=key)
    number = paging.number(q)
    return found if number is None else found | Q(number=number)


def _row_line(row: StagedRow, places: Mapping[int, str]) -> RowLine:
    variant = row.variant
    title = row.fields.get("product_title") or (variant.product.title if variant else "")
    return RowLine(
        row=row,
        title=title or row.fields.get("sku") or f"Row {row.number}",
        variant=variant_title(row.fields) or (variant.title if variant else ""),
        sku=row.fields.get("sku") or (variant.sku if variant else ""),
        fields=_new_fields(row, places) if row.action == Action.NEW else _changed_fields(row, places),
        problems=in_words(row),
        matched="" if row.matched_by in ("", "sku", "listing") else row.get_matched_by_display(),
    )


def _new_fields(row: StagedRow, places: Mapping[int, str]) -> list[Field]:
    fields = row.fields
    said = [(name, fields.get(name)) for name in ("gtin", "price", "vendor", "category")]
    found = [Field(LABELS[name], "", str(value)) for name, value in said if value]
    found[:0] = [Field(name, "", value) for name, value in options_of(fields).items()]
    found += [Field(f"{LABELS[name]} (of all)", *map(str, row.diff[name])) for name in OF_PRODUCT if name in row.diff]
    return found + [_stock_field(name, pair, places) for name, pair in row.diff.items() if name.startswith(STOCK)]


def _changed_fields(row: StagedRow, places: Mapping[int, str]) -> list[Field]:
    found = []
    order = list(LABELS)
    known = sorted(row.diff, key=lambda name: order.index(name) if name in order else len(order))
    for name in known:
        before, after = row.diff[name]
        if name.startswith(STOCK):
            found.append(_stock_field(name, (before, after), places))
        elif name == "options":
            names = dict.fromkeys([*before, *after])
            found += [
                Field(one, before.get(one, ""), after.get(one, ""))
                for one in names
                if before.get(one) != after.get(one)
            ]
        else:
            found.append(Field(LABELS.get(name, name), _words(before), _words(after)))
    return found


def _stock_field(name: str, pair: Sequence[Any], places: Mapping[int, str]) -> Field:
    place = places.get(int(name.removeprefix(STOCK)), "a place")
    before, after = (None if one is None else f"{Decimal(one).normalize():f}" for one in pair)
    return Field(f"On hand, {place}", before or "", after or "")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def has_stock(batch: ImportBatch) -> bool:
    """Whether the file says anything about stock."""
    return bool(places_in(batch))


def places_in(batch: ImportBatch) -> list[str]:
    """The file's own names of the places it has stock for; "" where it names none. In the order first met."""
    if "places" not in batch.settings:
        told = StagedRow.objects.filter(batch=batch, fields__has_key="quantities").order_by("number")
        quantities = told.values_list("fields__quantities", flat=True)
        names = dict.fromkeys(name for one in quantities[:PLACES_LOOKED_AT] for name in one)
        batch.settings["places"] = list(names)
    return list(batch.settings["places"])


def rehearsal_of(batch: ImportBatch) -> dict[str, Any]:
    """What the dry run came to, as numbers."""
    tally = {name: Decimal(amount) for name, amount in batch.rehearsal.get("tally", {}).items()}
    # Rehearsed chunk by chunk, a product whose rows lie in two chunks is made twice: count the groups.
    fresh = StagedRow.objects.filter(batch=batch, action=Action.NEW, product=None)
    return tally | {"product_made": Decimal(fresh.values("product_key").distinct().count())}


def changes_of(batch: ImportBatch) -> dict[str, int]:
    """How many rows of each kind of table the batch made or changed."""
    if batch.changeset is None:
        return {}
    found = batch.changeset.changes.values_list("table").annotate(rows=Count("pk")).order_by("table")
    return dict(found)


@dataclass(frozen=True)
class Column:
    """A column of a file with what it is guessed to be; `confidence` 0 to 1."""

    place: int
    header: str
    guess: str
    label: str
    confidence: float
    reason: str
    samples: Sequence[str]

    @property
    def kind(self) -> str:
        """How sure the guess is, as a status."""
        return "ok" if self.confidence >= 0.8 else "warn" if self.guess else "idle"


def columns_of(batch: ImportBatch) -> list[Column]:
    """The file's columns: as named before, in this shop or for this batch, else as guessed."""
    known = batch.columns or deciding.remembered(batch)
    return [_column(place, told, known) for place, told in enumerate(batch.settings.get("columns") or [])]


def _column(place: int, told: Mapping[str, Any], known: Mapping[str, str]) -> Column:
    header = told["header"]
    is_known = header in known
    guess = known[header] if is_known else told["field"]
    return Column(
        place=place,
        header=header,
        guess=guess,
        label=COLUMN_LABELS.get(guess, guess),
        confidence=1.0 if is_known else told["confidence"],
        reason="As you named it last time." if is_known else told["reason"],
        samples=told["samples"],
    )
