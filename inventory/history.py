"""Why a number is what it is: from the opening count to now, and every movement in plain words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum

from inventory import explain, paging
from inventory.models import ArrivalStep, StockLevel, StockMovement, StockMovementKey, Variant
from inventory.queries import Cell
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
Kind = StockMovement.Kind
PAGE = 30
USER = "user"
LATE = timedelta(minutes=1)
_AMOUNTS = ("on_hand", "committed", "reserved", "unavailable", "incoming")

# The order and the words of the waterfall: label of the bar, words in the sentence (added, taken).
_STEPS: tuple[tuple[str, str, str, str], ...] = (
    (Kind.OPENING, "Opening count", "opening", "opening"),
    (Kind.RECEIVE, "Received", "received", "sent back"),
    (Kind.COUNT, "Put right by counts", "found by counts", "missing in counts"),
    (Kind.ADJUST, "Adjusted", "adjusted", "adjusted"),
    (Kind.SALE, "Sold", "unsold", "sold"),
    (Kind.FULFILL, "Sent out for orders", "called back", "sent out"),
    (Kind.RETURN, "Returned", "returned", "returns undone"),
    (Kind.TRANSFER, "Between places", "came from other places", "went to other places"),
)


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall, in units: it moves the number from `start` to `end`. Totals start at zero."""

    name: str
    label: str
    amount: Decimal
    start: Decimal
    end: Decimal
    is_total: bool = False

    @property
    def low(self) -> Decimal:
        """The bar's left end."""
        return min(self.start, self.end)

    @property
    def high(self) -> Decimal:
        """The bar's right end."""
        return max(self.start, self.end)


@dataclass(frozen=True)
class Place:
    """One location's totals, its age, and what its movements leave unexplained."""

    location_id: int
    name: str
    cell: Cell
    incoming: Decimal
    moved_at: datetime | None
    movements: int
    unexplained: Decimal


@dataclass(frozen=True)
class Explanation:
    """A variant's number and every unit behind it; `at` None is now.

    `learnt_later`: units on hand of facts that had happened by `at` but were recorded afterwards.
    """

    at: datetime | None
    cell: Cell
    places: Sequence[Place]
    steps: Sequence[Step]
    sentence: str
    movements: int
    unexplained: Decimal
    learnt_later: Decimal

    @property
    def is_explained(self) -> bool:
        """Whether the movements sum to the number shown, unit for unit, in every place."""
        return all(place.unexplained == 0 for place in self.places)

    @property
    def span(self) -> tuple[Decimal, Decimal]:
        """From where to where the bars reach, zero included."""
        return min([ZERO, *(step.low for step in self.steps)]), max([ZERO, *(step.high for step in self.steps)])


def explanation(
    *, merchant: Merchant, variant: Variant, location_id: int | None = None, at: datetime | None = None
) -> Explanation:
    """Explain the variant's number now, or as the ledger had it at a past instant. One query, so one snapshot."""
    known = Q() if at is None else Q(movements__recorded_at__lte=at)
    levels = StockLevel.objects.of(merchant).filter(variant=variant)
    if location_id:
        levels = levels.filter(location=location_id)
    sums: dict[str, Any] = {f"{name}_sum": Sum(f"movements__{name}", filter=known) for name in _AMOUNTS}
    late = Sum("movements__on_hand", filter=Q(movements__occurred_at__lte=at, movements__recorded_at__gt=at))
    rows = levels.values("location_id", "location__name", *_AMOUNTS, "movements__kind").annotate(
        **sums,
        lines=Count("movements__id", filter=known),
        moved_at=Max("movements__recorded_at", filter=known),
        **({} if at is None else {"late": late}),
    )
    by_place: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    by_kind: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in rows.order_by("location__name", "location_id"):
        by_place[row["location_id"]].append(row)
        by_kind[row["movements__kind"]] += row["on_hand_sum"] or ZERO
    places = [_place(group, is_now=at is None) for group in by_place.values()]
    cell = sum((place.cell for place in places), Cell())
    return Explanation(
        at=at,
        cell=cell,
        places=places,
        steps=_steps(by_kind, cell),
        sentence=_sentence(by_kind, cell),
        movements=sum(place.movements for place in places),
        unexplained=sum((place.unexplained for place in places), ZERO),
        learnt_later=sum((row.get("late") or ZERO for group in by_place.values() for row in group), ZERO),
    )


def _place(rows: Sequence[Mapping[str, Any]], *, is_now: bool) -> Place:
    first = rows[0]
    summed = {name: sum((row[f"{name}_sum"] or ZERO for row in rows), ZERO) for name in _AMOUNTS}
    shown = {name: first[name] for name in _AMOUNTS} if is_now else summed
    held = shown["committed"] + shown["reserved"] + shown["unavailable"]
    moved = [row["moved_at"] for row in rows if row["moved_at"]]
    return Place(
        location_id=first["location_id"],
        name=first["location__name"],
        cell=Cell(
            shown["on_hand"],
            shown["committed"],
            shown["reserved"],
            shown["unavailable"],
            shown["on_hand"] - held,
            location_id=first["location_id"],
        ),
        incoming=shown["incoming"],
        moved_at=max(moved, default=None),
        movements=sum(row["lines"] for row in rows),
        # Each total on its own: an excess on hand must not hide behind a lack of committed units.
        unexplained=sum((abs(shown[name] - summed[name]) for name in _AMOUNTS), ZERO),
    )


def _steps(by_kind: Mapping[str, Decimal], cell: Cell) -> list[Step]:
    steps: list[Step] = []
    running = ZERO
    for kind, label, _, _ in _STEPS:
        amount = by_kind.get(kind, ZERO)
        if amount or kind == Kind.OPENING:
            steps.append(Step(str(kind), label, amount, running, running + amount))
            running += amount
    rest = cell.on_hand - running
    if rest:
        steps.append(Step("other", "Everything else", rest, running, running + rest))
    steps.append(Step("on_hand", "On hand", cell.on_hand, ZERO, cell.on_hand, is_total=True))
    running = cell.on_hand
    for name, label in (
        ("committed", "Committed to orders"),
        ("reserved", "Held for a while"),
        ("unavailable", "Set aside"),
    ):
        amount = getattr(cell, name)
        if amount:
            steps.append(Step(name, label, -amount, running, running - amount))
            running -= amount
    steps.append(Step("available", "Available", cell.available, ZERO, cell.available, is_total=True))
    return steps


def units(amount: Decimal) -> str:
    """Units as people write them, without needless zeros."""
    return f"{abs(amount).normalize():,f}".replace(",", "\u202f")


def signed_units(amount: Decimal) -> str:
    """Units with a true minus."""
    return f"−{units(amount)}" if amount < 0 else units(amount)


def _sentence(by_kind: Mapping[str, Decimal], cell: Cell) -> str:
    """“47 = 50 opening − 3 sold”."""
    parts = [
        (by_kind.get(kind, ZERO), added, taken)
        for kind, _, added, taken in _STEPS
        if by_kind.get(kind, ZERO) or kind == Kind.OPENING
    ]
    parts += [
        (-amount, word, word)
        for amount, word in (
            (cell.committed, "committed"),
            (cell.reserved, "held"),
            (cell.unavailable, "set aside"),
        )
        if amount
    ]
    text = ("−" if cell.available < 0 else "") + units(cell.available) + " ="
    for place, (amount, added, taken) in enumerate(parts):
        sign = "−" if amount < 0 else "+" if place else ""
        gap = " " if place else ""
        text += f" {sign}{gap}{units(amount)} {taken if amount < 0 else added}"
    return text


@dataclass(frozen=True)
class Line:
    """A movement in plain words. `amount` is what a person would call its size; `details` name every total it moved."""

    movement: StockMovement
    words: str
    icon: str
    amount: Decimal
    amount_of: str
    details: Sequence[tuple[str, Decimal]]
    who: str
    note: str
    place: str
    payload_url: str
    late_by: timedelta | None
    can_undo: bool
    is_undone: bool
    arrival_id: int | None = None


@dataclass(frozen=True)
class Filter:
    """What the address of a variant's page asks for."""

    location_id: int | None = None
    channel_id: int | None = None
    at: datetime | None = None


def movements(*, merchant: Merchant, variant: Variant, narrowed: Filter) -> QuerySet[StockMovement]:
    """The variant's movements that the filter lets through, with what their words need."""
    rows = StockMovement.objects.of(merchant).filter(variant=variant).select_related("order", "actor", "location")
    if narrowed.location_id:
        rows = rows.filter(location=narrowed.location_id)
    if narrowed.channel_id:
        rows = rows.filter(channel_id=narrowed.channel_id)
    if narrowed.at:
        rows = rows.filter(recorded_at__lte=narrowed.at)
    return rows


def timeline(
    *, merchant: Merchant, variant: Variant, narrowed: Filter, cursor: paging.Cursor, size: int = PAGE
) -> paging.Page[Line]:
    """One page of movements in plain words, newest first. Four queries."""
    page = paging.page(
        rows=movements(merchant=merchant, variant=variant, narrowed=narrowed),
        scope=StockMovement.objects.of(merchant).filter(variant=variant),
        field="recorded_at",
        descending=True,
        size=size,
        cursor=cursor,
    )
    return paging.Page(rows=lines(merchant=merchant, movements=page.rows), before=page.before, after=page.after)


def lines(*, merchant: Merchant, movements: Sequence[StockMovement]) -> list[Line]:
    """These movements in plain words. Two queries, one more where goods travelled."""
    labels = explain.channels().labels(merchant_id=merchant.pk)
    manual = [f"undo:{movement.pk}" for movement in movements if movement.source == USER]
    keys = StockMovementKey.objects.filter(merchant_id=merchant.pk, source=USER, idempotency_key__in=manual)
    undone = set(keys.values_list("idempotency_key", flat=True))
    steps = {step for movement in movements if (step := _arrival_step(movement))}
    of_step = dict(ArrivalStep.objects.filter(pk__in=steps).values_list("pk", "arrival")) if steps else {}
    return [
        replace(_line(movement, merchant, labels, undone), arrival_id=of_step.get(_arrival_step(movement) or 0))
        for movement in movements
    ]


def _arrival_step(movement: StockMovement) -> int | None:
    """The step of a transfer or delivery that a movement belongs to: its key begins with it (inventory.arrivals)."""
    if movement.source != "arrival":
        return None
    return paging.number(movement.idempotency_key.removeprefix("undo:").partition(":")[0])


def _line(movement: StockMovement, merchant: Merchant, labels: Mapping[int, str], undone: set[str]) -> Line:
    details = [(name.replace("_", " "), getattr(movement, name)) for name in _AMOUNTS if getattr(movement, name)]
    amount_of, amount = next(iter(details), ("on hand", movement.absorbed))
    is_undone = f"undo:{movement.pk}" in undone
    late_by = movement.recorded_at - movement.occurred_at
    event_url = (
        explain.channels().event_url(shop=merchant.slug, event_id=movement.event_id) if movement.event_id else ""
    )
    return Line(
        movement=movement,
        words=_words(movement, labels.get(movement.channel_id or 0, "")),
        icon=_ICONS.get(movement.kind, "box"),
        amount=amount,
        amount_of=amount_of,
        details=details,
        who=movement.actor.get_full_name() if movement.actor else "",
        note=movement.reason,
        place=movement.location.name,
        payload_url=event_url,
        late_by=late_by if movement.order_id and late_by > LATE else None,
        can_undo=movement.source == USER and bool(movement.on_hand) and not is_undone,
        is_undone=is_undone,
    )


_ICONS: dict[str, str] = {
    Kind.OPENING: "stock",
    Kind.RECEIVE: "in",
    Kind.ADJUST: "pencil",
    Kind.COUNT: "count",
    Kind.SALE: "sale",
    Kind.COMMIT: "orders",
    Kind.RELEASE: "out",
    Kind.FULFILL: "truck",
    Kind.RETURN: "return",
    Kind.RESERVE: "hold",
    Kind.UNRESERVE: "out",
    Kind.QUARANTINE: "warning",
    Kind.TRANSFER: "truck",
    Kind.EXPECT: "clock",
}


def _words(movement: StockMovement, channel: str) -> str:
    """The cause, such as “Sold on Shopify”; the order's number is added by the page, as a link."""
    on = f" on {channel}" if channel else ""
    match movement.kind:
        case Kind.SALE:
            return f"Sold{on}" if movement.on_hand <= 0 else f"Sale taken back{on}"
        case Kind.COMMIT:
            return f"Ordered{on}"
        case Kind.RELEASE:
            return f"No longer promised{on}"
        case Kind.FULFILL:
            return f"Sent out{on}"
        case Kind.RETURN:
            return f"Returned{on}" if movement.on_hand >= 0 else f"Return undone{on}"
        case Kind.OPENING:
            return f"Opening count, as {channel} had it" if channel else "Opening count"
        case Kind.ADJUST:
            return f"Changed{on}" if channel else "Adjusted by hand"
        case Kind.RECEIVE:
            return f"Received{on}" if movement.on_hand >= 0 else "Receipt taken back"
        case Kind.TRANSFER | Kind.EXPECT:
            return _travel_words(movement)
        case Kind.COUNT:
            return f"Counted{on}: {units(movement.on_hand_after)} on the shelf"
    return f"{movement.get_kind_display()}{on}"


def _travel_words(movement: StockMovement) -> str:
    """What became of goods on their way, seen from this place."""
    if movement.on_hand:
        return "Came from another place" if movement.on_hand > 0 else "Sent to another place"
    return "On its way here" if movement.incoming > 0 else "No longer on its way here"


def order_movements(*, merchant: Merchant, order_id: int, limit: int = 200) -> list[StockMovement]:
    """All movements an order caused, oldest first."""
    rows = StockMovement.objects.of(merchant).filter(order=order_id)
    return list(
        rows.select_related("variant__product", "location", "actor", "order").order_by("recorded_at", "pk")[:limit]
    )
