"""The inventory behind the API: a history of changes, and the count each cell comes to.

A cell is a variation in a state at a location. Its count is its last physical count and the later
adjustments, ordered by `occurred_at`, not by arrival. The count is kept; a change dated before the cell's
latest makes that cell be worked out again from the history.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, Sum

from channels.sandbox import faults
from channels.sandbox.square import events
from channels.sandbox.square.models import Account, CatalogObject, InventoryChange, InventoryCount
from channels.sandbox.square.values import Json, later_than, print_quantity, stamp

# Only these states are counted; NONE, SOLD and UNLINKED_RETURN are ends of moves and have no count to read.
COUNTED = ("IN_STOCK", "WASTE")
POINT_OF_SALE_ID = "sq0idp-SquarePointOfSale"
NOTHING = Decimal(0)


@dataclass(frozen=True, order=True)
class Cell:
    catalog_object_id: str
    location_id: str
    state: str


@dataclass(frozen=True)
class Effect:
    """What one change does to one cell: sets it (a physical count) or adds to it."""

    amount: Decimal
    is_count: bool
    occurred_at: datetime


@dataclass(frozen=True)
class Posted:
    """The changes kept (an unchanged recount is dropped) and the counts of all cells named."""

    changes: list[InventoryChange]
    counts: list[InventoryCount]


def effects_of(change: InventoryChange) -> dict[Cell, Effect]:
    """The counted cells a change touches."""
    if change.type == InventoryChange.Type.PHYSICAL_COUNT:
        cell = Cell(change.catalog_object_id, change.to_location_id, change.to_state)
        return {cell: Effect(change.quantity, True, change.occurred_at)}
    ends = (
        (change.from_location_id, change.from_state, -change.quantity),
        (change.to_location_id, change.to_state, change.quantity),
    )
    return {
        Cell(change.catalog_object_id, location, state): Effect(amount, False, change.occurred_at)
        for location, state, amount in ends
        if state in COUNTED
    }


def post(*, account: Account, changes: list[InventoryChange], now: datetime, drops_unchanged: bool = False) -> Posted:
    """Write changes and bring their cells' counts up to date; one event for the counts that moved.

    Locks the cells in key order. Counts may go below zero: a till sells what is in the customer's hand.
    """
    counts = lock_cells(account=account, cells={cell for row in changes for cell in effects_of(row)}, now=now)
    if drops_unchanged:
        changes = [row for row in changes if not is_unchanged_recount(row, counts=counts)]
    InventoryChange.objects.bulk_create(changes)
    effects: dict[Cell, list[Effect]] = defaultdict(list)
    for row in sorted(changes, key=lambda change: change.occurred_at):
        for cell, effect in effects_of(row).items():
            effects[cell].append(effect)
    is_clamped = bool(faults.switch("square.clamps_at_zero", False))
    moved = [
        counts[cell]
        for cell in sorted(effects)
        if apply(counts[cell], cell=cell, effects=effects[cell], now=now, is_clamped=is_clamped)
    ]
    InventoryCount.objects.bulk_update(
        [counts[cell] for cell in effects],
        ["quantity", "calculated_at", "last_occurred_at", "counted_quantity"],
    )
    if moved:
        events.counts_updated(account=account, counts=[print_count(row) for row in moved])
    return Posted(changes=changes, counts=[counts[cell] for cell in sorted(counts)])


def lock_cells(*, account: Account, cells: set[Cell], now: datetime) -> dict[Cell, InventoryCount]:
    """The count rows of these cells, made where missing, locked in one order: two batches cannot deadlock."""
    InventoryCount.objects.bulk_create(
        [
            InventoryCount(
                account=account,
                catalog_object_id=cell.catalog_object_id,
                location_id=cell.location_id,
                state=cell.state,
                calculated_at=now,
            )
            for cell in sorted(cells)
        ],
        ignore_conflicts=True,
    )
    rows = InventoryCount.objects.filter(
        account=account,
        catalog_object_id__in={cell.catalog_object_id for cell in cells},
        location_id__in={cell.location_id for cell in cells},
    )
    locked = rows.order_by("catalog_object_id", "location_id", "state").select_for_update()
    found = {Cell(row.catalog_object_id, row.location_id, row.state): row for row in locked}
    return {cell: found[cell] for cell in cells}


def apply(row: InventoryCount, *, cell: Cell, effects: list[Effect], now: datetime, is_clamped: bool = False) -> bool:
    """Bring one count up to date; True where its number moved or came to be. `is_clamped`: never below zero."""
    before, is_new = row.quantity, row.last_occurred_at is None
    if row.last_occurred_at is None or effects[0].occurred_at >= row.last_occurred_at:
        for effect in effects:
            row.quantity = effect.amount if effect.is_count else row.quantity + effect.amount
            row.counted_quantity = effect.amount if effect.is_count else row.counted_quantity
    else:
        row.counted_quantity, row.quantity = recount(account_id=row.account_id, cell=cell)
    if is_clamped:
        row.quantity = max(row.quantity, NOTHING)
    latest = effects[-1].occurred_at
    row.last_occurred_at = latest if row.last_occurred_at is None else max(latest, row.last_occurred_at)
    has_moved = is_new or row.quantity != before
    if has_moved:
        row.calculated_at = now if is_new else later_than(row.calculated_at, now=now)
    return has_moved


def recount(*, account_id: str, cell: Cell) -> tuple[Decimal | None, Decimal]:
    """The last physical count of a cell and what it comes to now, from the history."""
    history = InventoryChange.objects.filter(account_id=account_id, catalog_object_id=cell.catalog_object_id)
    arrives = Q(to_location_id=cell.location_id, to_state=cell.state)
    leaves = Q(from_location_id=cell.location_id, from_state=cell.state)
    counted = history.filter(arrives, type=InventoryChange.Type.PHYSICAL_COUNT).order_by("-occurred_at", "-pk").first()
    moves = history.filter(type=InventoryChange.Type.ADJUSTMENT)
    if counted is not None:
        # Of two changes at the same instant the one that arrived later counts as later.
        at_once = Q(occurred_at=counted.occurred_at, pk__gt=counted.pk)
        moves = moves.filter(Q(occurred_at__gt=counted.occurred_at) | at_once)
    sums = moves.aggregate(came=Sum("quantity", filter=arrives), went=Sum("quantity", filter=leaves))
    base = counted.quantity if counted else NOTHING
    total = base + (sums["came"] or NOTHING) - (sums["went"] or NOTHING)
    return (counted.quantity if counted else None), total


def is_unchanged_recount(change: InventoryChange, *, counts: Mapping[Cell, InventoryCount]) -> bool:
    """A physical count that says again what the last one said, with nothing moved since."""
    if change.type != InventoryChange.Type.PHYSICAL_COUNT:
        return False
    row = counts[Cell(change.catalog_object_id, change.to_location_id, change.to_state)]
    return row.counted_quantity == change.quantity == row.quantity


def print_count(row: InventoryCount) -> Json:
    return {
        "catalog_object_id": row.catalog_object_id,
        "catalog_object_type": "ITEM_VARIATION",
        "state": row.state,
        "location_id": row.location_id,
        "quantity": print_quantity(row.quantity),
        "calculated_at": stamp(row.calculated_at),
    }


def print_change(row: InventoryChange) -> Json:
    body: Json = {
        "id": row.change_id,
        "catalog_object_id": row.catalog_object_id,
        "catalog_object_type": "ITEM_VARIATION",
        "quantity": print_quantity(row.quantity),
        "source": row.source,
        "occurred_at": stamp(row.occurred_at),
        "created_at": stamp(row.created_at),
    } | row.extra
    if row.reference_id:
        body["reference_id"] = row.reference_id
    if row.type == InventoryChange.Type.PHYSICAL_COUNT:
        body |= {"state": row.to_state, "location_id": row.to_location_id}
        return {"type": row.type, "physical_count": body}
    body |= {
        "from_state": row.from_state,
        "to_state": row.to_state,
        "from_location_id": row.from_location_id,
        "to_location_id": row.to_location_id,
    }
    return {"type": row.type, "adjustment": body}


def tracked_at(*, account: Account, variation_ids: Iterable[str], location_id: str) -> set[str]:
    """Which of these variations are tracked at this location (an override may differ from the variation)."""
    rows = CatalogObject.objects.filter(account=account, object_id__in=set(variation_ids), type="ITEM_VARIATION")
    tracked = set()
    for row in rows:
        variation = row.data.get("item_variation_data", {})
        is_tracked = variation.get("track_inventory", False)
        for override in variation.get("location_overrides") or []:
            if override.get("location_id") == location_id:
                is_tracked = override.get("track_inventory", is_tracked)
        if is_tracked:
            tracked.add(row.object_id)
    return tracked
