"""What the pages of transfers and deliveries read; each function costs a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from django.http import QueryDict

from inventory import arrivals, identifiers, incoming, paging
from inventory.models import Arrival, ArrivalLine, ArrivalStep
from storestudio.accounts import numbers
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
PAGE = 50
State = Arrival.State
TO_COME, LATE, DRAFTS, DONE, ALL = "", "late", "drafts", "done", "all"
SHOWS = (TO_COME, LATE, DRAFTS, DONE, ALL)
TRANSFERS, DELIVERIES = "transfers", "deliveries"


@dataclass(frozen=True)
class ArrivalFilter:
    """What the address of the list asks for."""

    q: str = ""
    show: str = TO_COME
    kind: str = ""
    location_id: int | None = None

    @classmethod
    def of(cls, query: QueryDict) -> ArrivalFilter:
        """Read an address; what it does not know is left out."""
        show, kind = query.get("show", ""), query.get("kind", "")
        return cls(
            q=query.get("q", "").strip().replace("\x00", "")[:120],
            show=show if show in SHOWS else TO_COME,
            kind=kind if kind in (TRANSFERS, DELIVERIES) else "",
            location_id=paging.number(query.get("location")),
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but what is still to come is asked for."""
        return bool(self.q or self.show or self.kind or self.location_id)


@dataclass(frozen=True)
class ArrivalRow:
    """One line of the list. Units: `sent` (or ordered), `came` fit to be sold, `odd` damaged, missing, back, too many;
    `to_come`. `is_late`: its day is over."""

    arrival: Arrival
    items: int
    sent: Decimal
    came: Decimal
    odd: Decimal
    to_come: Decimal
    is_late: bool


def arrivals_of(*, merchant: Merchant, narrowed: ArrivalFilter) -> QuerySet[Arrival]:
    """What the filter lets through, not yet ordered; `due` is its day, the last of all where there is none."""
    rows = _all(merchant)
    match narrowed.show:
        case "":
            rows = rows.filter(state=State.OPEN)
        case "late":
            rows = rows.filter(state=State.OPEN, expected_date__lt=incoming.today(merchant))
        case "drafts":
            rows = rows.filter(state=State.DRAFT)
        case "done":
            rows = rows.filter(state__in=[State.RECEIVED, State.CANCELLED])
    if narrowed.kind:
        rows = rows.filter(origin__isnull=narrowed.kind == DELIVERIES)
    if narrowed.location_id:
        rows = rows.filter(Q(origin=narrowed.location_id) | Q(destination=narrowed.location_id))
    return rows.filter(_matching(narrowed.q)) if narrowed.q else rows


def _all(merchant: Merchant) -> QuerySet[Arrival]:
    rows: QuerySet[Arrival] = Arrival.objects.of(merchant)
    return rows.annotate(due=Coalesce("expected_date", Value(date.max)))


def _matching(q: str) -> Q:
    """By number, supplier, note, place, or an item's SKU or barcode."""
    found = Q(supplier__icontains=q) | Q(note__icontains=q) | Q(origin__name__icontains=q)
    number = paging.number(q.removeprefix("#"))
    if number is not None:
        found |= Q(pk=number)
    items = Q()
    if key := identifiers.sku_key(q):
        items |= Q(variant__sku_key=key)
    if gtin := identifiers.gtin(q):
        items |= Q(variant__gtin=gtin)
    return found | Q(Exists(ArrivalLine.objects.filter(items, arrival=OuterRef("pk")))) if items else found


def arrival_page(
    *, merchant: Merchant, narrowed: ArrivalFilter, cursor: paging.Cursor, size: int = PAGE
) -> paging.Page[ArrivalRow]:
    """One page: what is to come by its day, the soonest first; all else the newest first. Three queries at most."""
    is_schedule = narrowed.show in (TO_COME, LATE)
    page = paging.page(
        rows=arrivals_of(merchant=merchant, narrowed=narrowed).select_related("origin", "destination"),
        scope=_all(merchant),
        field="due" if is_schedule else "created_at",
        descending=not is_schedule,
        size=size,
        cursor=cursor,
    )
    return paging.Page(rows=rows_of(merchant=merchant, found=page.rows), before=page.before, after=page.after)


def rows_of(*, merchant: Merchant, found: Sequence[Arrival]) -> list[ArrivalRow]:
    """These arrivals with their units. One query."""
    over = Greatest(F("received") + F("damaged") + F("missing") + F("returned") - F("quantity"), Value(ZERO))
    sums: dict[int, dict[str, Any]] = {
        row["arrival"]: dict(row)
        for row in ArrivalLine.objects.filter(arrival__in=[one.pk for one in found])
        .order_by()
        .values("arrival")
        .annotate(
            items=Count("pk"), sent=Sum("quantity"), came=Sum("received"), to_come=Sum("remaining"),
            odd=Sum(F("damaged") + F("missing") + F("returned") + over),
        )
    }  # fmt: skip
    today = incoming.today(merchant)
    return [_row(one, sums.get(one.pk, {}), today) for one in found]


def _row(arrival: Arrival, sums: Mapping[str, Any], today: date) -> ArrivalRow:
    units = {name: sums.get(name) or ZERO for name in ("sent", "came", "odd", "to_come")}
    return ArrivalRow(arrival=arrival, items=sums.get("items", 0), **units, is_late=is_late(arrival, today=today))


def is_late(arrival: Arrival, *, today: date) -> bool:
    """Whether it is on its way still although its day is over."""
    return arrival.state == State.OPEN and arrival.expected_date is not None and arrival.expected_date < today


@dataclass(frozen=True)
class StepLine:
    """What one step did to one item, in words."""

    title: str
    words: str


@dataclass(frozen=True)
class StepRow:
    """One thing done with an arrival, in words, the newest first. `is_newest`: of those that hold, the last one."""

    step: ArrivalStep
    words: str
    icon: str
    lines: Sequence[StepLine]
    is_newest: bool


_ICONS = {ArrivalStep.Kind.SEND: "truck", ArrivalStep.Kind.RECEIVE: "in", ArrivalStep.Kind.CANCEL: "cross"}


def steps_of(*, arrival: Arrival, lines: Iterable[ArrivalLine]) -> list[StepRow]:
    """What was done with it, the newest first. One query."""
    titles = {line.pk: line.variant.full_title for line in lines}
    steps = list(arrival.steps.select_related("done_by", "undone_by").order_by("-pk"))
    newest = next((step for step in steps if step.undone_at is None), None)
    return [
        StepRow(
            step=step,
            words=_step_words(arrival, step),
            icon=_ICONS[ArrivalStep.Kind(step.kind)],
            lines=[
                StepLine(titles.get(change["line"], "?"), words)
                for change in step.changes
                if (words := arrivals.difference_words(change))
            ],
            is_newest=step == newest,
        )
        for step in steps
    ]


def _step_words(arrival: Arrival, step: ArrivalStep) -> str:
    """“Received 4 units at High Street”."""
    if step.kind == ArrivalStep.Kind.SEND:
        return f"Left {arrival.sender}" if arrival.is_transfer else f"Ordered from {arrival.sender}"
    if step.kind == ArrivalStep.Kind.CANCEL:
        return "Called back" if arrival.is_transfer else "Cancelled"
    units = sum((Decimal(change.get("received", 0)) for change in step.changes), ZERO)
    if not units:
        return "Closed: nothing more comes"
    return f"Received {numbers.plain(units)} unit{'' if units == 1 else 's'} at {arrival.destination.name}"


def expected_of(*, variant_id: int) -> list[tuple[incoming.Expected, Arrival]]:
    """What is on its way of one variant, the soonest first, each with its arrival. Two queries."""
    found = incoming.schedule(variant_ids=[variant_id])
    known = Arrival.objects.select_related("origin").in_bulk({one.arrival_id for one in found})
    return [(one, known[one.arrival_id]) for one in found if one.arrival_id in known]
