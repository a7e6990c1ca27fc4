"""The modes where they work: in the posting's own transaction, with channels that answer late or not at all."""

from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils.timezone import now as utc_now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from channels import measuring, publisher
from channels.models import CellPolicy, ChannelStock, Connection
from channels.ports import CountResult, WriteOutcome
from inventory.models import StockLevel
from tests.channels.rules_shop import CHANNELS, a_shop

pytestmark = pytest.mark.django_db


def sold(shop, variant, channel, count, *, units=1):
    for _ in range(count):
        shop.post(variant, -units, channel=channel, kind="sale")


@pytest.fixture
def shop():
    return a_shop()


def test_a_buffer_is_what_sales_and_delay_ask_for_and_its_cost_is_shown(shop):
    variant, quiet = shop.variant(units=5000), shop.variant(units=9)
    sold(shop, variant, "Till", 8, units=300)
    sold(shop, variant, "Market", 5, units=100)
    market = shop.channels["Market"]
    Connection.objects.filter(pk=market.pk).update(updates_every_s=86400)
    shop.rule(connection=market, mode="buffered")
    policy = CellPolicy.objects.get(cell=shop.cell(variant, "Market"))
    (measure,) = measuring.measures(cell_ids=[policy.cell_id], now=utc_now())
    assert (measure.orders_here, measure.orders_others, measure.latency_s) == (5, 8, 86400)
    assert policy.hidden == measure.hidden > 0
    assert shop.shown(variant) == [2100, 2100, 2100 - policy.hidden, 2100]
    assert shop.shown(quiet)[2] == 9
    cost = {one.mode: one for one in measuring.costs(connection_id=market.pk, now=utc_now())}
    assert (cost["buffered"].units, cost["buffered"].skus) == (policy.hidden, 1)
    assert cost["buffered"].risk <= 0.01 < cost["shared"].risk
    assert (cost["shared"].units, cost["escrow"].risk) == (0, 0)


def test_buffers_follow_when_sales_and_delay_change(shop):
    variant = shop.variant(units=5000)
    market = shop.channels["Market"]
    Connection.objects.filter(pk=market.pk).update(updates_every_s=86400)
    shop.rule(connection=market, mode="buffered")
    before = CellPolicy.objects.get(cell=shop.cell(variant, "Market")).hidden
    sold(shop, variant, "Till", 20, units=50)
    sold(shop, variant, "Market", 5)
    assert measuring.measure_due(now=utc_now()) == 0  # measured a moment ago
    CellPolicy.objects.update(measured_at=utc_now() - timedelta(hours=1))
    assert measuring.measure_due(now=utc_now()) == 1
    after = CellPolicy.objects.get(cell=shop.cell(variant, "Market")).hidden
    assert after > before
    assert shop.shown(variant)[2] == 3995 - after


def test_escrow_hands_out_the_pool_and_the_last_unit_is_shown_once(shop):
    shop.rule(mode="escrow")
    variant = shop.variant(units=10)
    shop.believe()
    assert sum(shop.shown(variant)) == 10
    shop.post(variant, -9)
    shop.believe()
    assert sorted(shop.shown(variant)) == [0, 0, 0, 1]


def test_who_is_not_in_escrow_shares_what_is_not_set_aside(shop):
    shop.rule(connection=shop.channels["Market"], mode="escrow")
    variant = shop.variant(units=12)
    shop.believe()
    till, web, market, delivery = shop.shown(variant)
    assert till == web == delivery
    assert till + market == 12
    assert market > 0


def test_units_that_a_late_channel_still_shows_are_offered_nowhere_else(shop):
    variant = shop.variant(units=12)
    shop.believe()  # everyone shows 12
    shop.rule(mode="escrow")
    assert shop.shown(variant) == [3, 3, 3, 3]
    ChannelStock.objects.exclude(pk=shop.cell(variant, "Market").pk).update(expected=0)
    publisher.refresh_desired(cell_ids=shop.cell_ids(variant))
    assert shop.shown(variant) == [0, 0, 3, 0]  # Market is told 3, and may show 12 until it says so


def test_a_channel_that_answers_with_less_has_sold_it_and_nobody_is_offered_those(shop):
    shop.rule(mode="escrow")
    variant = shop.variant(units=12)
    shop.believe()
    cell = shop.cell(variant, "Market")
    ChannelStock.objects.filter(pk=cell.pk).update(observed=0, observed_at=utc_now(), told_at=utc_now())
    ChannelStock.objects.filter(pk=shop.cell(variant, "Web").pk).update(expected=0)
    publisher.refresh_desired(cell_ids=shop.cell_ids(variant))
    others = sum(units for name, units in zip(CHANNELS, shop.shown(variant), strict=True) if name != "Market")
    assert others <= 12 - 3


_SHOWN = """
SELECT coalesce(sum(greatest(0, c.desired, c.expected, c.expected + w.to_quantity - w.from_quantity)), 0)
FROM channels_channelstock c
LEFT JOIN channels_channelwriteline w ON w.write_id = c.write_id AND w.cell_id = c.id
WHERE c.id = ANY(%s)
"""


class Demarcation(RuleBasedStateMachine):
    """Channels sell what they show, hear late, fall silent and come back; the ledger knows only what it was told."""

    is_constrained = True

    @initialize(units=st.integers(0, 14), weights=st.lists(st.integers(1, 9), min_size=4, max_size=4))
    def open(self, units, weights):
        self.shop = a_shop()
        self.shop.rule(mode="escrow")
        self.variant = self.shop.variant(units=units)
        self.shelf = units
        self.shows = dict.fromkeys(CHANNELS, 0)
        self.unheard = {name: [] for name in CHANNELS}
        self.offline = set()
        self.sent = {}
        for name, weight in zip(CHANNELS, weights, strict=True):
            CellPolicy.objects.filter(cell=self.shop.cell(self.variant, name)).update(weight=weight)
        publisher.refresh_desired(cell_ids=self.shop.cell_ids(self.variant))

    @rule(name=st.sampled_from(CHANNELS), units=st.integers(1, 4))
    def sell(self, name, units):
        """Its own checkout grants what it shows, in or out of contact."""
        if self.shows[name] >= units:
            self.shows[name] -= units
            self.shelf -= units
            self.unheard[name].append(units)

    @rule(name=st.sampled_from(CHANNELS))
    def hear(self, name):
        if name not in self.offline and self.unheard[name]:
            self.shop.post(self.variant, -self.unheard[name].pop(0), channel=name, kind="sale")

    @rule(name=st.sampled_from(CHANNELS))
    def claim(self, name):
        if name not in self.sent:
            write = publisher._claim(self.shop.channels[name])
            if write is not None:
                self.sent[name] = write

    @rule(name=st.sampled_from(CHANNELS), is_heard=st.booleans())
    def deliver(self, name, is_heard):
        """Compare-and-set: what does not show what we believe changes nothing. An unheard answer is asked for again."""
        if name in self.offline or name not in self.sent:
            return
        write = self.sent[name]
        (line,) = write.lines.select_related("cell__listing", "cell__channel_location")
        if getattr(write, "was_applied", False):
            outcome = WriteOutcome.APPLIED
        elif self.shows[name] == line.from_quantity:
            self.shows[name] = int(line.to_quantity)
            outcome = WriteOutcome.APPLIED
        else:
            outcome = WriteOutcome.STALE
        write.was_applied = outcome == WriteOutcome.APPLIED
        if is_heard:
            publisher._settle(
                self.shop.channels[name], write, [line], [CountResult(outcome=outcome)], sent_at=utc_now()
            )
            ChannelStock.objects.update(next_attempt_at=None)
            del self.sent[name]

    @rule(name=st.sampled_from(CHANNELS))
    def go(self, name):
        self.offline ^= {name}

    @rule(units=st.integers(1, 6))
    def receive(self, units):
        self.shelf += units
        self.shop.post(self.variant, units)

    @invariant()
    def no_unit_is_offered_twice(self):
        if hasattr(self, "shop"):
            assert sum(self.shows.values()) <= self.shelf

    @invariant()
    def what_is_wanted_believed_or_on_its_way_fits_the_pool(self):
        if not hasattr(self, "shop"):
            return
        with database.cursor() as cursor:
            cursor.execute(_SHOWN, [self.shop.cell_ids(self.variant)])
            shown = cursor.fetchone()[0]
        assert shown <= StockLevel.objects.get(variant=self.variant).available


class TestDemarcation(TestCase):
    options = settings(
        max_examples=8,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )

    def test_no_unit_is_offered_twice_whoever_is_out_of_contact(self):
        run_state_machine_as_test(Demarcation, settings=self.options)

    def test_control_without_the_constraint_one_is(self):
        """Everyone is told their part at once, whatever the others still show."""
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_get_functiondef('channels_escrow(numeric, numeric[], numeric[])'::regprocedure)")
            cursor.execute(cursor.fetchone()[0].replace("units - sum(exposed) OVER ()", "units"))
        with pytest.raises(AssertionError):
            run_state_machine_as_test(Demarcation, settings=settings(self.options, max_examples=100, derandomize=True))
