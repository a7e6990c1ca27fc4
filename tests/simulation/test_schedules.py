"""Seeded schedules of sales and faults against the product's own code (docs/simulation.md).

`./dev simulate` plays more. A seed that fails is printed with its schedule and plays again with
`./dev simulate --replay SEED`.
"""

from __future__ import annotations

import sys
from datetime import UTC

import pytest
from django.db import connections

from channels.models import Connection
from channels.sandbox.trading import settling
from tests.simulation import clock, planted, theatres
from tests.simulation.playing import Planned, plan, shrink

pytestmark = pytest.mark.django_db  # for the database that the theatre's is made from
FIXED = range(6)
OF_THE_DAY = 2
SCHEDULES_MAX = 60  # by which a planted bug must be found


@pytest.fixture(scope="module")
def theatre(django_db_setup, django_db_blocker, worker_id):
    """One shop for all schedules, in a database of its own made from the tests'."""
    with django_db_blocker.unblock():
        name = str(connections["default"].settings_dict["NAME"])
        with theatres.opened(f"simulation_{worker_id}", template=name) as opened:
            yield opened


def told(theatre, outcome):
    """What a person needs to see it again."""
    shrunk = shrink(theatre, outcome)
    steps = ",".join(map(str, shrunk.schedule))
    again = [f"shrunk: ./dev simulate --replay {outcome.seed} --steps {steps}", *shrunk.lines, *shrunk.wrong]
    return "\n".join([f"./dev simulate --replay {outcome.seed}", *outcome.lines, *outcome.wrong, *again])


@pytest.mark.parametrize("seed", FIXED)
def test_whatever_goes_wrong_all_numbers_agree_in_the_end(theatre, seed):
    outcome = theatre.play(seed)
    assert not outcome.wrong, told(theatre, outcome)


def test_seeds_that_nobody_has_seen_hold_too(theatre):
    first = clock.real_datetime.now(UTC).date().toordinal() * 1000
    sys.stdout.write(f"seeds from {first}\n")
    for seed in range(first, first + OF_THE_DAY):
        outcome = theatre.play(seed)
        assert not outcome.wrong, told(theatre, outcome)


def test_the_same_seed_plays_the_same_to_the_byte(theatre):
    first, other = theatre.play(5), theatre.play(6)
    again = theatre.play(5)
    assert again.lines == first.lines
    assert again.digest == first.digest
    assert other.digest != first.digest


def test_a_schedule_is_its_seeds_own():
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


# What simulation has found in the product, by the shop and the steps that show it; each is mended, and planted again as
# a control.
FOUND = {
    "withdrawal_told_late": (0, "revoke:04da5eee"),
    "clock_ahead_of_the_vendors": (0, "skew:721912e4,adjust:cd809cb2"),
    "clock_behind_ours_believed": (0, "skew:70192ffd,sell:752973cb"),
    "left_when_it_was_placed": (0, "order_ahead:bb4e95fa,count:99df540c,cancel:cd9b5fcd"),
    "clock_set_back_between_changes": (
        1,
        "hold:bf613eeb,work:34013686,sell:38a7c19b,skew:6b9e0172,hold:3ec3cd59,work:d06c44ac,give_back:880ee385",
    ),
    "place_opened_while_locked_out": (3, "close_place:41e60b63,sell:05ddf93b,work:daf88735,revoke:8a9bf87f"),
}


def schedule_of(steps):
    """Steps as they are printed."""
    return [Planned(name, int(number, 16)) for name, number in (word.split(":") for word in steps.split(","))]


def test_a_count_that_saw_goods_gone_before_we_heard_of_their_sale_is_told_to_who_sold_them(theatre):
    """Square had them off its number, and was told to take them off again: the second number is right, not an echo."""
    assert not theatre.play(0, schedule_of("sell:752973cb,count:21b5ad99,work:0c89b64e")).wrong
    with theatre.parties.working("judge"):
        judged = settling.told_after_own(list(Connection.objects.order_by("pk")))
    assert judged.counted == 1


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_mended(theatre, name):
    seed, steps = FOUND[name]
    outcome = theatre.play(seed, schedule_of(steps))
    assert not outcome.wrong, told(theatre, outcome)


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_found_again_where_it_comes_back(theatre, name):
    seed, steps = FOUND[name]
    with planted.FOUND[name]():
        assert theatre.play(seed, schedule_of(steps)).wrong


@pytest.mark.parametrize("name", planted.PLANTED)
def test_a_planted_bug_is_found(theatre, name):
    """By what is known to show it, else by the first seeds."""
    known = planted.SEEN[name]
    first = (0, schedule_of(known)) if isinstance(known, str) else (known, None)
    with planted.PLANTED[name]():
        tries = [first, *((seed, None) for seed in range(SCHEDULES_MAX))]
        took = next((n for n, (seed, steps) in enumerate(tries, start=1) if theatre.play(seed, steps).wrong), None)
    assert took, f"{name} was planted, and nothing was wrong in {len(tries)} schedules"
    sys.stdout.write(f"{name}: found by {took} schedules\n")
    assert not theatre.play(*first).wrong  # without it the same steps are right
