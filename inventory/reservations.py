"""Timed holds, two-phase: reserve, then commit, release or expire. A hold is a promise: granted whole or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from inventory import ledger
from inventory.models import Reservation, ReservationLine

Kind = ledger.Kind
State = Reservation.State
SOURCE = "reservation"


@dataclass(frozen=True)
class Want:
    """Units of one variant wanted at one location."""

    variant_id: int
    location_id: int
    quantity: Decimal


class ReservationEnded(Exception):
    """The hold was released, committed or has expired; `state` says which."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The hold is no longer held: {state}")
        self.state = state


def reserve(*, merchant_id: int, key: str, wants: Sequence[Want], now: datetime, expires_at: datetime) -> Reservation:
    """Hold all the wanted units until `expires_at`, or none: raises ledger.InsufficientStock.

    The same key again returns the first hold. Lines for the same cell are added up before they are judged.
    """
    with transaction.atomic():
        reservation, is_new = Reservation.objects.get_or_create(
            merchant_id=merchant_id, idempotency_key=key, defaults={"expires_at": expires_at, "created_at": now}
        )
        if not is_new:
            return reservation
        totals: dict[tuple[int, int], Decimal] = {}
        for want in wants:
            cell = (want.variant_id, want.location_id)
            totals[cell] = totals.get(cell, Decimal(0)) + want.quantity
        lines = ReservationLine.objects.bulk_create(
            ReservationLine(reservation=reservation, variant_id=variant, location_id=location, quantity=quantity)
            for (variant, location), quantity in sorted(totals.items())
        )
        _post(reservation, lines, sign=1, now=now, is_promise=True)
        return reservation


def release(*, reservation_id: int, now: datetime) -> None:
    """Let go of a hold; releasing an ended one changes nothing. Locks the reservation, then its levels."""
    _end(reservation_id=reservation_id, state=State.RELEASED, now=now)


def commit(*, reservation_id: int, now: datetime) -> None:
    """The hold became an order, whose own lines hold the units from now on: call in the order's transaction.

    Raises ReservationEnded when it had expired (judged by `now`, swept or not) or was released.
    """
    if not _end(reservation_id=reservation_id, state=State.COMMITTED, now=now):
        raise ReservationEnded(Reservation.objects.get(pk=reservation_id).state)


def expire_due(*, now: datetime, limit: int = 500) -> int:
    """Let go of holds past their time and return how many; safe to run twice and at once."""
    due = Reservation.objects.filter(state=State.HELD, expires_at__lte=now).order_by("expires_at", "pk")
    return sum(_end(reservation_id=pk, state=State.EXPIRED, now=now) for pk in due.values_list("pk", flat=True)[:limit])


def _end(*, reservation_id: int, state: str, now: datetime) -> bool:
    """End a hold that is still held; an overdue one always ends as expired. Whether it ended as asked."""
    with transaction.atomic():
        reservation = Reservation.objects.select_for_update().get(pk=reservation_id)
        if reservation.state != State.HELD:
            return False
        reservation.state = State.EXPIRED if reservation.expires_at <= now else state
        reservation.ended_at = now
        reservation.save(update_fields=["state", "ended_at"])
        _post(reservation, list(reservation.lines.order_by("pk")), sign=-1, now=now, is_promise=False)
        return bool(reservation.state == state)


def _post(
    reservation: Reservation, lines: Sequence[ReservationLine], *, sign: int, now: datetime, is_promise: bool
) -> None:
    ledger.post(
        merchant_id=reservation.merchant_id,
        source=SOURCE,
        entries=[
            ledger.Entry(
                variant_id=line.variant_id,
                location_id=line.location_id,
                kind=Kind.RESERVE if sign > 0 else Kind.UNRESERVE,
                key=f"{reservation.pk}:{line.pk}:{'hold' if sign > 0 else 'end'}",
                occurred_at=now,
                reserved=sign * line.quantity,
                reason=f"hold {reservation.idempotency_key}",
            )
            for line in lines
        ],
        is_promise=is_promise,
    )
