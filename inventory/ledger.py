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

from django.db import connection
from django.db.utils import DatabaseError

from inventory.models import StockMovement

Kind = StockMovement.Kind
ZERO = Decimal(0)
_POST = "SELECT * FROM inventory_post(%s, %s, %s, %s, %s) ORDER BY line"


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


class NoStockOfItsOwn(Exception):
    """A bundle was to be moved: its parts move. `variant_ids` names it. Nothing was posted."""

    def __init__(self, variant_ids: Sequence[int]) -> None:
        super().__init__(f"A bundle has no stock of its own: {list(variant_ids)}")
        self.variant_ids = variant_ids


@dataclass(frozen=True)
class Entry:
    """One line to post: changes of one cell, in units; `counted` sets on hand to what a physical count found.

    `key` identifies the line among all of its source's, for ever. Times are aware UTC. `moved_channel` False: the
    reporting channel's own number had moved before we began to believe it (an order older than the opening count).
    `bundle_id`: the cell is a part of that bundle, which is what moved, and so did its own number at the channel.
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
    bundle_id: int | None = None


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
    """Post entries as one batch inside the caller's transaction; whoever follows the stock follows in it too.

    `channel_id` names the channel whose own number moved by itself with these facts. `is_promise`: all or nothing,
    only if every touched cell stays at available >= 0; facts are always recorded.
    Locks the levels (primary-key order), then what follows them, until the transaction ends. Raises
    IdempotencyConflict, InsufficientStock, UnknownCell, NoStockOfItsOwn, or `django.db.OperationalError` after the lock
    timeout; then the transaction must be rolled back.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("The ledger posts only inside a transaction; a batch that stands alone is recorded.")
    return _execute(merchant_id, source, entries, channel_id, is_promise)


def record(
    *,
    merchant_id: int,
    source: str,
    entries: Sequence[Entry],
    channel_id: int | None = None,
    is_promise: bool = False,
) -> list[Posted]:
    """Post a batch that stands alone: one statement, durable when this returns. Otherwise as `post`.

    Refuses to run inside a transaction. The levels are locked only while the server works, never while this process
    thinks: on one hot cell that is worth a third of the throughput (docs/benchmarks.md).
    """
    if connection.in_atomic_block:
        raise RuntimeError("Inside a transaction the ledger posts; it records only a batch that stands alone.")
    return _execute(merchant_id, source, entries, channel_id, is_promise)


def _execute(
    merchant_id: int, source: str, entries: Sequence[Entry], channel_id: int | None, is_promise: bool
) -> list[Posted]:
    if not entries:
        return []
    lines = json.dumps([_line(entry) for entry in entries])
    try:
        with connection.cursor() as cursor:
            cursor.execute(_POST, [merchant_id, source, channel_id, is_promise, lines])
            rows = cursor.fetchall()
    except DatabaseError as error:
        raise translated(error) from error
    return [Posted(*row[1:2], *row[3:14]) for row in rows]


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
        "moved_channel": entry.moved_channel,
        "bundle_id": entry.bundle_id,
    }


def translated(error: DatabaseError) -> Exception:
    """The ledger's own exception for what its functions in the database raise; any other error as it is."""
    cause = error.__cause__
    state, detail = getattr(cause, "sqlstate", None), getattr(getattr(cause, "diag", None), "message_detail", None)
    if state == "SS001":
        return IdempotencyConflict(detail or "")
    if state == "SS002":
        return InsufficientStock(json.loads(detail or "[]"))
    if state == "SS004":
        return UnknownCell(str(cause).splitlines()[0])
    if state == "SS005":
        return NoStockOfItsOwn([int(one) for one in (detail or "").split(", ") if one])
    return error


def add_months(*, ahead: int = 3) -> int:
    """Make the movements' partitions of this month and the next ones; returns how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inventory_add_movement_months(current_date, %s)", [ahead + 1])
        return int(cursor.fetchone()[0])
