"""Timed holds, two-phase: reserve, then commit, release or expire. A hold is a promise: granted whole or refused.

Each step is one call of a function in the database (inventory/sql/reserve.sql), so that a hold on one hot cell keeps it
locked only while the server works. Whether a hold is past its time is judged by `now` wherever that matters, swept or
not: `reserve` ends overdue holds that stand in its way before it refuses, and readers call `expire_due` for their
merchant first.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.utils import DatabaseError

from inventory import ledger
from inventory.models import Reservation, ReservationLine
from storestudio.accounts.models import User

State = Reservation.State
SWEPT_AT_ONCE = 200
_RESERVE = "SELECT * FROM inventory_reserve(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_END = "SELECT * FROM inventory_end_reservations(%s, %s::bigint[], %s, %s, %s, %s, %s)"


@dataclass(frozen=True)
class Want:
    """Units of one variant wanted at one location."""

    variant_id: int
    location_id: int
    quantity: Decimal


@dataclass(frozen=True)
class Granted:
    """A hold, and whether it is new: False where the same key had been granted before."""

    reservation: Reservation
    is_new: bool


class ReservationEnded(Exception):
    """The hold was released, committed or has expired; `state` says which."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The hold is no longer held: {state}")
        self.state = state


def reserve(*, merchant_id: int, key: str, wants: Sequence[Want], now: datetime, expires_at: datetime) -> Reservation:
    """Hold all the wanted units until `expires_at`, or none: raises ledger.InsufficientStock. As `grant` otherwise."""
    return grant(merchant_id=merchant_id, key=key, wants=wants, now=now, expires_at=expires_at).reservation


def grant(
    *,
    merchant_id: int,
    key: str,
    wants: Sequence[Want],
    now: datetime,
    expires_at: datetime,
    channel_id: int | None = None,
    reference: str = "",
    content: str = "",
) -> Granted:
    """Hold all the wanted units until `expires_at`, or none; one statement where it is granted or plainly refused.

    The same key and wants again return the first hold, whatever became of it. Lines for the same cell are added up
    before they are judged; of a bundle its parts are held, together with what other lines want of them.
    `channel_id`: the channel that promises; what its rules hide from it, it may not promise.
    `content`: digest of what was asked where that is more than the wants; the same key with another is a conflict.
    Raises ledger.InsufficientStock (`shortages`: variant_id, location_id, available), ledger.IdempotencyConflict for a
    key used for something else, ledger.UnknownCell. Locks the levels in primary-key order.
    """
    cells = _added_up(wants)
    new = Reservation(
        merchant_id=merchant_id, channel_id=channel_id, idempotency_key=key,
        content=content or _digest(channel_id, cells), public_id=uuid.uuid4(),
        reference=reference[:120], created_at=now, expires_at=expires_at,
    )  # fmt: skip
    outcome, pk, shortages = _reserve(new, cells)
    if outcome == "overdue":
        expire_due(now=now, merchant_id=merchant_id)
        outcome, pk, shortages = _reserve(new, cells)
    if outcome == "clash":
        raise ledger.IdempotencyConflict(key)
    if pk is None:
        raise ledger.InsufficientStock(shortages or [])
    if outcome == "known":
        return Granted(Reservation.objects.select_related("order").get(pk=pk), is_new=False)
    new.pk, new._state.adding = pk, False
    return Granted(new, is_new=True)


def _added_up(wants: Iterable[Want]) -> list[Want]:
    totals: dict[tuple[int, int], Decimal] = {}
    for want in wants:
        cell = (want.variant_id, want.location_id)
        totals[cell] = totals.get(cell, Decimal(0)) + want.quantity
    return [Want(variant, location, quantity) for (variant, location), quantity in sorted(totals.items())]


def _digest(channel_id: int | None, cells: Sequence[Want]) -> str:
    text = "|".join(f"{cell.variant_id}:{cell.location_id}:{cell.quantity.normalize():f}" for cell in cells)
    return hashlib.blake2s(f"{channel_id}|{text}".encode(), digest_size=16).hexdigest()


def _reserve(new: Reservation, cells: Sequence[Want]) -> tuple[str, int | None, list[dict[str, Any]] | None]:
    wanted = json.dumps(
        [
            {"variant_id": cell.variant_id, "location_id": cell.location_id, "quantity": str(cell.quantity)}
            for cell in cells
        ]
    )
    values = [
        new.merchant_id, new.channel_id, new.idempotency_key, new.content, new.public_id, new.reference,
        new.created_at, new.expires_at, wanted,
    ]  # fmt: skip
    try:
        with connection.cursor() as cursor:
            cursor.execute(_RESERVE, values)
            outcome, pk, shortages = cursor.fetchone()
    except DatabaseError as error:
        raise ledger.translated(error) from error
    return outcome, pk, json.loads(shortages) if isinstance(shortages, str) else shortages


def extend(*, reservation_id: int, expires_at: datetime, now: datetime) -> None:
    """Hold on until `expires_at`, later or earlier. Raises ReservationEnded, for one past its time too."""
    held = Reservation.objects.filter(pk=reservation_id, state=State.HELD, expires_at__gt=now)
    if not held.update(expires_at=expires_at):
        raise ReservationEnded(state_at(Reservation.objects.get(pk=reservation_id), now=now))


def state_at(reservation: Reservation, *, now: datetime) -> str:
    """Its state as it is at `now`: one past its time has expired, swept or not."""
    is_overdue = reservation.state == State.HELD and reservation.expires_at <= now
    return str(State.EXPIRED if is_overdue else reservation.state)


def release(*, reservation_id: int, now: datetime, actor: User | None = None, reason: str = "") -> bool:
    """Let go of a hold; releasing an ended one changes nothing. Whether it was released now.

    Locks the reservation, then its levels.
    """
    return _end(reservation_id=reservation_id, state=State.RELEASED, now=now, actor=actor, reason=reason)


def commit(*, reservation_id: int, now: datetime) -> None:
    """The hold became an order, whose own lines hold the units from now on: call in the order's transaction.

    Raises ReservationEnded when it had expired (judged by `now`, swept or not) or was released.
    """
    if not _end(reservation_id=reservation_id, state=State.COMMITTED, now=now):
        raise ReservationEnded(Reservation.objects.get(pk=reservation_id).state)


def expire_due(*, now: datetime, merchant_id: int | None = None) -> int:
    """Let go of holds past their time and return how many; safe to run twice and at once.

    Of one merchant, or of all. A few hundred a transaction, each of one merchant; those that another worker is
    ending are left to it.
    """
    due = Reservation.objects.filter(state=State.HELD, expires_at__lte=now)
    if merchant_id is not None:
        due = due.filter(merchant=merchant_id)
    ended = 0
    for owner, ids in _by_merchant(due.order_by("merchant", "expires_at", "pk").values_list("merchant", "pk")):
        for start in range(0, len(ids), SWEPT_AT_ONCE):
            some = ids[start : start + SWEPT_AT_ONCE]
            ended += len(_end_all(owner, some, State.EXPIRED, now=now, waits=merchant_id is not None))
    return ended


def _by_merchant(rows: Iterable[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    found: dict[int, list[int]] = {}
    for merchant_id, pk in rows:
        found.setdefault(merchant_id, []).append(pk)
    return list(found.items())


def _end(*, reservation_id: int, state: str, now: datetime, actor: User | None = None, reason: str = "") -> bool:
    """End a hold that is still held; an overdue one always ends as expired. Whether it ended as asked."""
    merchant_id = Reservation.objects.values_list("merchant", flat=True).get(pk=reservation_id)
    ended = _end_all(merchant_id, [reservation_id], state, now=now, actor=actor, reason=reason)
    return ended.get(reservation_id) == state


def _end_all(
    merchant_id: int,
    ids: Sequence[int],
    state: str,
    *,
    now: datetime,
    actor: User | None = None,
    reason: str = "",
    waits: bool = True,
) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(_END, [merchant_id, list(ids), str(state), now, actor.pk if actor else None, reason, waits])
        return dict(cursor.fetchall())


def lines_of(reservation: Reservation) -> list[ReservationLine]:
    """What it holds, with the variants and places it names."""
    rows = ReservationLine.objects.filter(reservation=reservation).select_related("variant__product", "location")
    return list(rows.order_by("pk"))
