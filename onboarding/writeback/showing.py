"""What the write-back pages show: a write's lines field by field, its counts, how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict
from django.utils.timezone import now as utc_now

from inventory import paging
from onboarding.models import CatalogWrite, CatalogWriteLine
from onboarding.writeback import deciding, fields

State, Outcome = CatalogWrite.State, CatalogWriteLine.Outcome
ROWS_A_PAGE = 100
KINDS: Mapping[str, str] = {State.DRAFT: "warn", State.SENDING: "busy", State.DONE: "ok", State.CANCELLED: "idle"}
OUTCOME_KINDS: Mapping[str, str] = {Outcome.APPLIED: "ok", Outcome.STALE: "warn", Outcome.REFUSED: "bad"}
# What to look at first, and how loudly it is said.
FLAGS: Mapping[str, tuple[str, str]] = {
    fields.SHARED: ("bad", "Same SKU twice"),
    fields.REPLACED: ("warn", "Valid barcode replaced"),
    fields.STARTS: ("warn", "May show sold out"),
}
FLAGGED = ~Q(flags=[])
WAITING = Q(outcome=Outcome.WAITING, is_excluded=False)
FILTERS: Mapping[str, Q] = {
    "all": Q(is_excluded=False),
    "look": FLAGGED & Q(is_excluded=False),
    "out": Q(is_excluded=True),
    "applied": Q(outcome=Outcome.APPLIED),
    "stale": Q(outcome=Outcome.STALE),
    "refused": Q(outcome=Outcome.REFUSED),
}
LABELS = {
    "all": "All", "look": "Worth a look", "out": "Left out", "applied": "Written", "stale": "Had changed there",
    "refused": "Refused",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """One field of a line. `there`: what was there instead, "" where that is not known or of no concern."""

    name: str
    label: str
    before: str
    after: str
    there: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a write, for the table."""

    line: CatalogWriteLine
    fields: list[Shown]
    flags: list[tuple[str, str]]
    status: str
    outcome: str


@dataclass(frozen=True)
class Page:
    """A page of lines; `tabs` are name, label, count."""

    rows: list[Row]
    tabs: list[tuple[str, str, int]]
    show: str
    words: str
    back_url: str
    next_url: str


@dataclass(frozen=True)
class Progress:
    """How far sending is; `share` 0 to 100, `left_s` None where it cannot be told. `held`: why it waits, in words."""

    done: int
    total: int
    share: int
    rate: Decimal | None
    left_s: float | None
    held: str
    is_stopping: bool


def counts_of(write: CatalogWrite) -> dict[str, int]:
    """How many lines each filter holds."""
    found: dict[str, int] = write.lines.aggregate(**{name: Count("pk", filter=rule) for name, rule in FILTERS.items()})
    return found


def fields_of(write: CatalogWrite) -> list[tuple[str, int]]:
    """How many of the lines change which field."""
    times: Counter[str] = Counter()
    for after in deciding.included(write).values_list("after", flat=True):
        times.update(name for name in after if name in fields.LABELS)
    return [(label, times[name]) for name, label in fields.LABELS.items() if times[name]]


def page_of(write: CatalogWrite, *, query: QueryDict, counts: Mapping[str, int]) -> Page:
    """The lines asked for: the flagged ones first in a draft, the unsettled first in what was sent."""
    is_draft = write.state == State.DRAFT
    names = ("all", "look", "out") if is_draft else ("all", "applied", "stale", "refused", "out")
    show = query.get("show", "")
    show = show if show in names else "all"
    start = paging.number(query.get("start")) or 0
    lines = _ordered(write).filter(FILTERS[show])
    found = list(lines[start : start + ROWS_A_PAGE])
    return Page(
        rows=[row_of(line) for line in found],
        tabs=[(name, LABELS[name], counts[name]) for name in names if counts[name] or name == "all"],
        show=show,
        words=f"{start + 1} to {start + len(found)} of {counts[show]}" if found else "",
        back_url=f"?show={show}&start={max(0, start - ROWS_A_PAGE)}" if start else "",
        next_url=f"?show={show}&start={start + ROWS_A_PAGE}" if start + ROWS_A_PAGE < counts[show] else "",
    )


def _ordered(write: CatalogWrite) -> QuerySet[CatalogWriteLine]:
    lines: QuerySet[CatalogWriteLine] = write.lines.select_related("listing")
    if write.state == State.DRAFT:
        return lines.annotate(is_plain=Q(flags=[])).order_by("is_plain", "listing__product_title", "pk")
    return lines.annotate(is_right=Q(outcome=Outcome.APPLIED)).order_by("is_right", "listing__product_title", "pk")


def row_of(line: CatalogWriteLine) -> Row:
    """A line in words."""
    return Row(
        line=line,
        fields=[shown for name in fields.LABELS if name in line.after for shown in _shown(line, name)],
        flags=[FLAGS[flag] for flag in line.flags if flag in FLAGS],
        status=OUTCOME_KINDS.get(line.outcome, "idle"),
        outcome=LABELS.get(line.outcome, "Waiting"),
    )


def _shown(line: CatalogWriteLine, name: str) -> list[Shown]:
    """A field of a line. Options are one entry each, under the name they have now; what stays is left out."""
    before, after = line.before.get(name), line.after[name]
    there = (line.there or {}).get(name) if line.outcome == Outcome.STALE else None
    if name != "options" or set(after) == {fields.VARIATION}:
        told = "" if there is None else words(name, there) or "nothing"
        return [Shown(name, fields.LABELS[name], words(name, before), words(name, after), told)]
    renamed = line.after.get("option_names") or {}
    found = [Shown(name, "Option name", old, new) for old, new in sorted(renamed.items())]
    for old, value in sorted((before or {}).items()):
        new = renamed.get(old, old)
        now = str((there or {}).get(old, (there or {}).get(new, "")))
        if after.get(new) != value or (there is not None and now != value):
            found.append(Shown(name, old, str(value), str(after.get(new, "")), now))
    return found


def words(name: str, value: Any) -> str:
    """A field's value for people."""
    if name == "is_tracked":
        return "Counted" if value else "Not counted"
    if name == "sells_past_zero":
        return "Sells on" if value else "Stops at zero"
    if isinstance(value, Mapping):
        if set(value) == {fields.VARIATION}:
            return str(value[fields.VARIATION])
        return ", ".join(f"{option}: {chosen}" for option, chosen in sorted(value.items()))
    return str(value or "")


def progress_of(write: CatalogWrite) -> Progress:
    """How far sending is, with its rate a second since the yes."""
    lines = deciding.included(write)
    total, waiting = lines.count(), lines.filter(WAITING).count()
    done = total - waiting
    spent_s = max((utc_now() - (write.approved_at or write.created_at)).total_seconds(), 0.001)
    rate = done / spent_s
    return Progress(
        done=done,
        total=total,
        share=100 * done // total if total else 100,
        rate=Decimal(rate).quantize(Decimal("0.1")) if done else None,
        left_s=waiting / rate if done else None,
        held=_held(write),
        is_stopping=write.lines.filter(outcome=Outcome.WAITING, is_excluded=True).exclude(message="").exists(),
    )


def _held(write: CatalogWrite) -> str:
    if reason := deciding.blocked_reason(write.connection):
        return f"{reason} It goes on by itself then."
    resting = write.connection.resting_until
    if resting is not None and resting > utc_now():
        return f"{write.connection.label} asked for a rest. It goes on by itself."
    if write.error:
        return f"The last call did not get through and is repeated by itself: {write.error}"
    return ""
