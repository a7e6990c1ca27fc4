"""The arithmetic of the modes: what must hold for every input, and that the database does the same."""

import math

import pytest
from django.db import connection as database
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import modes
from channels.modes import Velocity

rates = st.floats(min_value=0, max_value=0.05, allow_nan=False)
velocities = st.builds(Velocity, orders_per_s=rates, units_per_order=st.floats(min_value=1, max_value=12))
latencies = st.floats(min_value=0.1, max_value=3600)
risks = st.floats(min_value=1e-6, max_value=0.5)


def poisson_tail(mean, units):
    return 1 - math.fsum(math.exp(-mean) * mean**n / math.factorial(n) for n in range(units))


@given(mean=st.floats(min_value=0, max_value=30), units=st.integers(0, 60))
def test_with_one_unit_an_order_the_tail_is_poissons(mean, units):
    ours = modes.tail(others=Velocity(orders_per_s=mean), latency_s=1, units=units)
    assert ours == pytest.approx(poisson_tail(mean, units), abs=1e-9)


@given(others=velocities, latency_s=latencies, units=st.integers(0, 200))
def test_a_tail_is_a_probability_and_falls(others, latency_s, units):
    here, next_one = (modes.tail(others=others, latency_s=latency_s, units=n) for n in (units, units + 1))
    assert 0 <= next_one <= here + 1e-12 <= 1 + 2e-12


@given(here=velocities, others=velocities, latency_s=latencies, risk_max=risks)
def test_a_buffer_is_the_fewest_units_that_leave_the_risk(here, others, latency_s, risk_max):
    hidden = modes.buffer(here=here, others=others, latency_s=latency_s, risk_max=risk_max)
    if hidden < modes.BUFFER_MAX:
        left = modes.risk(here=here, others=others, latency_s=latency_s, hidden=hidden)
        assert left <= risk_max * (1 + 1e-9)
    if hidden:
        one_less = modes.risk(here=here, others=others, latency_s=latency_s, hidden=hidden - 1)
        assert one_less > risk_max * (1 - 1e-9)


@given(here=velocities, others=velocities, latency_s=latencies)
def test_a_slower_channel_hides_at_least_as_much(here, others, latency_s):
    quick = modes.buffer(here=here, others=others, latency_s=latency_s)
    assert quick <= modes.buffer(here=here, others=others, latency_s=latency_s * 2)


def test_a_quarter_hour_behind_a_brisk_seller_hides_what_a_table_of_poissons_says():
    """Others sell 4 an hour, this one 2: within 15 minutes 1 and 0.5 are expected."""
    here, others = Velocity(2 / 3600), Velocity(4 / 3600)
    assert modes.buffer(here=here, others=others, latency_s=900) == 3
    assert modes.risk(here=here, others=others, latency_s=900, hidden=3) == pytest.approx(0.018988 * 0.393469, abs=1e-5)
    assert modes.buffer(here=here, others=others, latency_s=1) == 0


weights = st.lists(st.integers(0, 50), min_size=1, max_size=6)


@given(pool=st.integers(-5, 200), weights=weights)
def test_shares_hand_out_the_whole_pool_each_within_a_unit_of_its_part(pool, weights):
    shares = modes.escrow_shares(pool=pool, weights=weights)
    assert sum(shares) == (max(pool, 0) if sum(weights) else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - max(pool, 0) * weight / max(sum(weights), 1)) < 1 or not sum(weights)


seats = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40)), min_size=1, max_size=6)


@given(pool=st.integers(-5, 200), seats=seats)
def test_what_is_wanted_or_exposed_never_sums_past_the_pool(pool, seats):
    weights, exposed = map(list, zip(*seats, strict=True))
    desired = modes.escrow_desired(pool=pool, weights=weights, exposed=exposed)
    shown = sum(max(one, other) for one, other in zip(desired, exposed, strict=True))
    assert shown <= max(pool, 0, sum(exposed))
    assert min(desired) >= 0


@given(pool=st.integers(0, 200), seats=seats)
def test_once_falls_are_acknowledged_everyone_has_their_share(pool, seats):
    weights, exposed = map(list, zip(*seats, strict=True))
    for _ in range(3):
        exposed = modes.escrow_desired(pool=pool, weights=weights, exposed=exposed)
    assert exposed == modes.escrow_shares(pool=pool, weights=weights)


@pytest.mark.django_db
@settings(max_examples=150)
@given(pool=st.integers(-5, 200), seats=seats)
def test_the_database_says_the_same(pool, seats):
    weights, exposed = map(list, zip(*seats, strict=True))
    with database.cursor() as cursor:
        cursor.execute("SELECT channels_escrow(%s, %s::numeric[], %s::numeric[])", [pool, weights, exposed])
        said = [int(units) for units in cursor.fetchone()[0]]
    assert said == modes.escrow_desired(pool=pool, weights=weights, exposed=exposed)
