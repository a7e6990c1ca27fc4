"""The only place that changes stock: append-only movements, running totals in the same statement.

One call posts a whole batch through the database function `inventory_post` (inventory/sql/post.sql), which

- locks the touched levels in primary-key order, under the connection's lock timeout;
- keeps `(merchant, source, key)` unique: the same line again returns the first result and changes nothing;
- numbers the movements of each cell 1, 2, 3 … without gaps and writes the balance after each;
- treats a physical count as a checkpoint: a fact that occurred before it is recorded with no effect on hand
  (`absorbed`), because the count had already seen it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.utils import DatabaseError

from inventory import changes
from inventory.models import StockMovement

Kind = StockMovement.Kind
ZERO = Decimal(0)
_POST = "SELECT * FROM inventory_post(%s, %s, %s, %s, %s)"


class IdempotencyConflict(Exception):
    """A key was used before for something else; `keys` names them. Nothing was posted."""

    def __init__(self, keys: str) -> None:
        super().__init__(f"Idempotency key used before for something else: {keys}")
        self.keys = keys


class InsufficientStock(Exception):
    """A promise the stock does not cover. `shortages`: variant_id, location_id, available_after (below zero)."""

    def __init__(self, shortages: Sequence[dict[str, Any]]) -> None:
        super().__init__(f"Not enough stock: {shortages}")
        self.shortages = shortages


class UnknownCell(Exception):
    """A variant or location that is not this merchant's. Nothing was posted."""


@dataclass(frozen=True)
class Entry:
    """One line to post: changes of one cell, in units; `counted` sets on hand to what a physical count found.

    `key` identifies the line among all of its source's, for ever. Times are aware UTC. `moved_channel` False: the
    reporting channel's own number had moved before we began to believe it (an order older than the opening count).
    """

    variant_id: int
    location_id: int
    kind: str
    key: str
    occurred_at: datetime
    on_hand: Decimal = ZERO
    committed: Decimal = ZERO
    reserved: Decimal = ZERO
    unavailable: Decimal = ZERO
    incoming: Decimal = ZERO
    counted: Decimal | None = None
    order_id: int | None = None
    event_id: int | None = None
    actor_id: int | None = None
    reason: str = ""
    moved_channel: bool = True


@dataclass(frozen=True)
class Posted:
    """What became of one entry, in the order given. `is_replay`: it had been posted before; nothing changed now."""

    movement_id: int
    variant_id: int
    location_id: int
    seq: int
    on_hand: Decimal
    committed: Decimal
    reserved: Decimal
    unavailable: Decimal
    absorbed: Decimal
    on_hand_after: Decimal
    available_after: Decimal
    is_replay: bool


def post(
    *,
    merchant_id: int,
    source: str,
    entries: Sequence[Entry],
    channel_id: int | None = None,
    is_promise: bool = False,
) -> list[Posted]:
    """Post entries as one batch and announce the change, inside the caller's transaction.

    `channel_id` names the channel whose own number moved by itself with these facts. `is_promise`: all or nothing,
    only if every touched cell stays at available >= 0; facts are always recorded.
    Locks the levels (primary-key order) until the transaction ends. Raises IdempotencyConflict, InsufficientStock,
    UnknownCell, or `django.db.OperationalError` after the lock timeout; then the transaction must be rolled back.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("The ledger posts only inside a transaction.")
    if not entries:
        return []
    lines = json.dumps([_line(entry) for entry in entries])
    try:
        with connection.cursor() as cursor:
            cursor.execute(_POST, [merchant_id, source, channel_id, is_promise, lines])
            rows = cursor.fetchall()
    except DatabaseError as error:
        raise _translated(error) from error
    posted = [Posted(*row[1:2], *row[3:]) for row in sorted(rows)]
    fresh = [(entry, row) for entry, row in zip(entries, posted, strict=True) if not row.is_replay]
    if fresh:
        changes.announce(changes.Posting(merchant_id=merchant_id, cells=_net(fresh), channel_id=channel_id))
    return posted


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "variant_id": entry.variant_id,
        "location_id": entry.location_id,
        "kind": str(entry.kind),
        "key": entry.key,
        "occurred_at": entry.occurred_at.isoformat(),
        "on_hand": str(entry.on_hand),
        "committed": str(entry.committed),
        "reserved": str(entry.reserved),
        "unavailable": str(entry.unavailable),
        "incoming": str(entry.incoming),
        "counted": None if entry.counted is None else str(entry.counted),
        "order_id": entry.order_id,
        "event_id": entry.event_id,
        "actor_id": entry.actor_id,
        "reason": entry.reason[:300],
    }


def _net(fresh: Sequence[tuple[Entry, Posted]]) -> list[changes.CellChange]:
    cells: dict[tuple[int, int], changes.CellChange] = {}
    for entry, row in fresh:
        change = changes.CellChange(
            variant_id=row.variant_id,
            location_id=row.location_id,
            on_hand=row.on_hand,
            committed=row.committed,
            reserved=row.reserved,
            unavailable=row.unavailable,
            absorbed=row.absorbed,
            own_on_hand=(row.on_hand + row.absorbed) * entry.moved_channel,
            own_available=(row.on_hand + row.absorbed - row.committed - row.reserved - row.unavailable)
            * entry.moved_channel,
            available_after=row.available_after,
            occurred_at=entry.occurred_at,
            event_id=entry.event_id,
        )
        cell = (row.variant_id, row.location_id)
        cells[cell] = cells[cell] + change if cell in cells else change
    return list(cells.values())


def _translated(error: DatabaseError) -> Exception:
    cause = error.__cause__
    state, detail = getattr(cause, "sqlstate", None), getattr(getattr(cause, "diag", None), "message_detail", None)
    if state == "SS001":
        return IdempotencyConflict(detail or "")
    if state == "SS002":
        return InsufficientStock(json.loads(detail or "[]"))
    if state == "SS004":
        return UnknownCell(str(cause).splitlines()[0])
    return error


def add_months(*, ahead: int = 3) -> int:
    """Make the movements' partitions of this month and the next ones; returns how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inventory_add_movement_months(current_date, %s)", [ahead + 1])
        return int(cursor.fetchone()[0])
