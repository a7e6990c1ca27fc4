"""Eight processes want twenty units, two lines of the same thing at a time: twenty are promised, never twenty-one."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils.timezone import now as utc_now

from inventory import ledger, reservations, verify
from inventory.models import Reservation, StockLevel, StockMovement
from tests import factories, forking

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
PROCESSES = 8
UNITS = 20
TRIES = 4  # of 2 units each, by each process: 64 units wanted
Cell = tuple[int, int, int]


@pytest.fixture
def cell() -> Cell:
    """Twenty units of one thing at one place."""
    variant = factories.VariantFactory()
    place = factories.LocationFactory(merchant=variant.merchant)
    opening = ledger.Entry(variant.pk, place.pk, "opening", "o", utc_now(), counted=Decimal(UNITS))
    ledger.record(merchant_id=variant.merchant_id, source="opening", entries=[opening])
    return variant.merchant_id, variant.pk, place.pk


def at_once(work: Callable[..., int], cell: Cell) -> int:
    """Let the processes begin together; the sum of what each says it got."""
    context = forking.context()
    gate, said = context.Barrier(PROCESSES), context.Queue()
    workers = [context.Process(target=_run, args=(work, cell, n, gate, said)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    got = [said.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert None not in got, "a process failed; its traceback is above"
    return sum(got)


def _run(work: Callable[..., int], cell: Cell, number: int, gate: Any, said: Any) -> None:
    try:
        forking.let_go_of_inherited_connections()
        said.put(work(cell, number, gate))
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        gate.abort()
        said.put(None)
    finally:
        connections.close_all()


def _hold(cell: Cell, number: int, gate: Any) -> int:
    """Units granted to one process."""
    merchant_id, variant_id, location_id = cell
    gate.wait()
    granted = 0
    for n in range(TRIES):
        twice = [reservations.Want(variant_id, location_id, Decimal(1))] * 2
        now = utc_now()
        try:
            reservations.grant(
                merchant_id=merchant_id, key=f"{number}:{n}", wants=twice, now=now,
                expires_at=now + timedelta(minutes=5),
            )  # fmt: skip
        except ledger.InsufficientStock:
            continue
        granted += 2
    return granted


def _same_key(cell: Cell, number: int, gate: Any) -> int:
    """Every process sends the same request."""
    merchant_id, variant_id, location_id = cell
    gate.wait()
    now = utc_now()
    granted = reservations.grant(
        merchant_id=merchant_id, key="one cart", wants=[reservations.Want(variant_id, location_id, Decimal(3))],
        now=now, expires_at=now + timedelta(minutes=5),
    )  # fmt: skip
    return int(granted.is_new)


def _look_then_take(cell: Cell, number: int, gate: Any) -> int:
    """The control: judge by what was read, then take, as if nobody else were there."""
    merchant_id, variant_id, location_id = cell
    granted = 0
    for n in range(TRIES):
        left = StockLevel.objects.get(variant=variant_id, location=location_id).available
        gate.wait()  # everybody has looked
        if left >= 2:
            entry = ledger.Entry(variant_id, location_id, "reserve", f"{number}:{n}", utc_now(), reserved=Decimal(2))
            ledger.record(merchant_id=merchant_id, source="control", entries=[entry])
            granted += 2
        gate.wait()  # everybody has taken
    return granted


def test_no_unit_is_promised_twice_and_none_is_left_over(cell: Cell) -> None:
    assert at_once(_hold, cell) == UNITS
    level = StockLevel.objects.get()
    assert (level.reserved, level.available) == (UNITS, 0)
    assert Reservation.objects.count() == UNITS // 2
    assert verify.verify().breaches == []


def test_the_same_request_sent_eight_times_at_once_is_one_hold(cell: Cell) -> None:
    assert at_once(_same_key, cell) == 1
    assert StockLevel.objects.get().reserved == 3
    assert StockMovement.objects.filter(kind="reserve").count() == 1


def test_control_without_the_lock_the_same_customers_are_promised_more_than_there_is(cell: Cell) -> None:
    assert at_once(_look_then_take, cell) > UNITS
    assert StockLevel.objects.get().available < 0
