"""Eight processes want twenty units on pre-order of what was never there, so that no level stands to be locked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection, connections
from django.utils.timezone import now as utc_now

import inventory
from channels import rules
from channels.models import AvailabilityRule, Connection
from channels.own import holds
from channels.own.site import Asked
from inventory import incoming, verify
from inventory.models import ReservationLine, StockLevel
from tests.own.shops import Shop, a_site
from tests.races.test_holds_race import PROCESSES, Cell, at_once

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
COMING = 20
GATE = 4711
RESERVE = (Path(inventory.__file__).parent / "sql" / "reserve.sql").read_text()


@pytest.fixture
def shop() -> Shop:
    """Mugs at the first place, none ever at the second, which sells twenty on the shop's word that they come."""
    shop = a_site(units=1)
    day = incoming.today(shop.site.merchant) + timedelta(days=30)
    rule = AvailabilityRule(
        merchant=shop.site.merchant, variant=shop.variants["MUG"], location=shop.places[1], oversell="preorder",
        oversell_max=Decimal(COMING), promised_date=day,
    )  # fmt: skip
    rules.save(rule=rule, actor=shop.owner)
    assert not StockLevel.objects.filter(location=shop.places[1]).exists()
    return shop


def cell_of(shop: Shop) -> Cell:
    return shop.site.pk, shop.variants["MUG"].pk, shop.places[1].pk


def hold(cell: Cell, *, key: str, units: int) -> int:
    """Units granted."""
    site_id, variant_id, location_id = cell
    merchant_id = Connection.objects.values_list("merchant_id", flat=True).get(pk=site_id)
    asked = [Asked(Decimal(units), variant_id=variant_id)]
    wish = holds.HoldWish(key=key, lines=asked, ttl=timedelta(minutes=5), location_id=location_id)
    try:
        holds.grant(site_id=site_id, merchant_id=merchant_id, wish=wish, now=utc_now())
    except holds.NotEnough:
        return 0
    return units


def _threes_then_ones(cell: Cell, number: int, gate: Any) -> int:
    gate.wait()
    return sum(hold(cell, key=f"{number}:{n}", units=units) for n, units in enumerate((3, 3, 1, 1, 1)))


def _three(cell: Cell, number: int, gate: Any) -> int:
    return hold(cell, key=f"{number}", units=3)


def test_all_that_is_to_come_is_promised_and_not_one_more(shop: Shop) -> None:
    assert at_once(_threes_then_ones, cell_of(shop)) == COMING
    level = StockLevel.objects.get(location=shop.places[1])
    assert (level.on_hand, level.reserved, level.available) == (0, COMING, -COMING)
    lines = ReservationLine.objects.filter(location=shop.places[1])
    assert all(line.later == line.quantity and line.promised_date is not None for line in lines)
    assert verify.verify().breaches == []


@pytest.fixture
def without_a_level_to_lock() -> Iterator[None]:
    """The guard taken out of the function; whoever has judged waits at a gate until all have."""
    begin, end = RESERVE.index("INSERT INTO inventory_stocklevel"), RESERVE.index("ON CONFLICT DO NOTHING;")
    naive = RESERVE[:begin] + "NULL;" + RESERVE[end + len("ON CONFLICT DO NOTHING;") :]
    taking = "    INSERT INTO inventory_reservation (merchant_id"
    naive = naive.replace(taking, f"    PERFORM pg_advisory_xact_lock_shared({GATE});\n{taking}", 1)
    with connection.cursor() as cursor:
        cursor.execute(naive)
    yield
    with connection.cursor() as cursor:
        cursor.execute(RESERVE)


def _open_the_gate_when_all_have_judged() -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    with connection.cursor() as cursor:
        for _ in range(3000):
            cursor.execute(waiting, [GATE])
            if cursor.fetchone()[0] == PROCESSES:
                break
            time.sleep(0.01)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])


def test_control_without_a_level_to_wait_at_more_is_promised_than_comes(
    shop: Shop, without_a_level_to_lock: None
) -> None:
    def hold_the_gate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
        shut.append(True)
        _open_the_gate_when_all_have_judged()
        connections.close_all()

    shut: list[bool] = []
    keeper = Thread(target=hold_the_gate)
    keeper.start()
    while not shut:
        time.sleep(0.01)
    assert at_once(_three, cell_of(shop)) == 3 * PROCESSES > COMING
    keeper.join()
    assert StockLevel.objects.get(location=shop.places[1]).available == -3 * PROCESSES
