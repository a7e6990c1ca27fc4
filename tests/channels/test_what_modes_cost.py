"""Ten weeks of trading over four channels, in each way of keeping them in step."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from channels.sandbox.trading import four_channels
from channels.sandbox.trading.four_channels import WAYS, Customer, Way

WEEKS = 10


def goods(seed: int) -> dict[str, list[Customer]]:
    """Customers come in bursts, and want more than there is at a week's end."""
    chance = random.Random(seed)
    found: dict[str, list[Customer]] = {}
    for thing in range(4):
        at, wanted = 0.0, []
        while at < WEEKS * four_channels.WEEK_S:
            at += chance.choice([2.0, 40.0, 3600.0, 14_400.0])
            units, order = chance.randint(1, 6), thing * 100_000 + len(wanted)
            wanted.append(Customer(at, chance.randrange(4), units, order))
        found[f"thing {thing}"] = wanted
    return found


@pytest.mark.parametrize("seed", range(3))
def test_in_escrow_nobody_is_sold_what_is_not_there(seed):
    score = four_channels.play(goods(seed), way=Way("escrow", "escrow"), weeks_of_cover=0.8)
    assert score.units_sold > 100
    assert [len(orders) for orders in score.oversold] == [0, 0, 0, 0]


def test_control_a_shared_number_is_sold_twice_the_later_the_more_often():
    ways = ("shared", "15-minute polling", "nightly batch")
    named = {way.name: way for way in WAYS}
    oversold = [four_channels.play(goods(0), way=named[name], weeks_of_cover=0.8).oversells_per_10_000 for name in ways]
    assert 0 < oversold[0] < oversold[2]
    assert oversold[1] < oversold[2]


def test_a_smaller_risk_oversells_less_and_loses_more():
    shared, careful = (
        four_channels.play(goods(1), way=Way(mode, mode, risk_max=0.000_1), weeks_of_cover=0.8)
        for mode in ("shared", "buffered")
    )
    assert careful.oversells_per_10_000 < shared.oversells_per_10_000
    assert careful.lost_percent > shared.lost_percent
    assert careful.risk_percent <= shared.risk_percent


def test_what_is_lost_and_what_fails_is_counted_by_the_worst_channel():
    score = four_channels.Score()
    score.orders[3], score.oversold[3] = {1, 2, 3, 4}, {4}
    score.lines[3], score.shortages[3], score.windows[3] = 40, 2, 1000.0
    score.orders[0], score.lines[0], score.windows[0] = {5}, 1, 10.0
    score.units_sold, score.units_lost = 30, 10
    assert (score.worst_orders_percent, score.worst_lines_percent, score.risk_percent) == (25.0, 5.0, 0.2)
    assert (score.oversells_per_10_000, score.lost_percent) == (2000.0, 25.0)


def test_the_command_prints_a_row_for_each_way(tmp_path):
    path, out = tmp_path / "trace.csv", StringIO()
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["invoice", "sku", "quantity", "invoiced_at", "customer"])
        for day in range(60):
            at = f"{date(2024, 1, 1) + timedelta(days=day)} 10:00:00"
            lines.writerow([f"{536_000 + day}", "85123A", "3", at, "17850"])
    call_command("simulate_modes", path, stdout=out)
    told = out.getvalue().splitlines()
    assert told[0].startswith("60 order lines of 1 things")
    assert [row.split(" | ")[0] for row in told[3:]] == [f"| {way.name}" for way in WAYS]
    assert {row.count(" | ") for row in told[1:]} == {5}


def test_a_trace_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match="There is no"):
        call_command("simulate_modes", tmp_path / "none.csv")
