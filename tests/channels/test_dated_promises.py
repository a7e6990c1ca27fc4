"""What may be sold beyond the shelf rests on what is on its way: how many, by which day, and when it is late."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import TestCase
from django.urls import reverse
from django.utils.timezone import now as utc_now
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from channels import availability, incidents, publisher
from channels.models import ChannelStock, Incident
from inventory import arrivals, bundles, incoming
from inventory.models import Arrival, StockLevel
from tests.channels.rules_shop import a_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return a_shop(channels=("Web", "Market"))


def day(shop, days):
    return incoming.today(shop.merchant) + timedelta(days=days)


def expect(shop, *lines, days=7):
    """A delivery on its way, there in so many days; None: nobody knows when."""
    plan = arrivals.Plan(
        None, "Acme", shop.places[0], None if days is None else day(shop, days), "",
        [(variant, Decimal(units)) for variant, units in lines],
    )  # fmt: skip
    made = arrivals.draft(merchant=shop.merchant, actor=shop.owner, key=uuid.uuid4(), plan=plan)
    arrivals.send(merchant=shop.merchant, actor=shop.owner, arrival_id=made.pk, key=uuid.uuid4(), now=utc_now())
    return made


def receive(shop, arrival, units, rest="wait"):
    (line,) = arrival.lines.all()
    arrivals.receive(
        merchant=shop.merchant, actor=shop.owner, arrival_id=arrival.pk, key=uuid.uuid4(), rest=rest, reason="counted",
        arrived={line.pk: Decimal(units)}, now=utc_now(),
    )  # fmt: skip


def promise(shop, variant, name="Web"):
    (found,) = availability.of_cells(cell_ids=[shop.cell(variant, name).pk])
    assert sum(step.amount for step in found.steps) == found.quantity
    return found.promise


def dated(shop, variant):
    """(units, days from now) of what can be sold beyond the shelf."""
    found = promise(shop, variant)
    return [(int(one.units), (one.day - day(shop, 0)).days) for one in found.dates]


def test_what_has_a_day_is_sold_and_what_has_none_or_is_a_draft_is_not(shop):
    variant = shop.variant(units=1)
    shop.rule(oversell="backorder", message="Back soon")
    assert shop.shown(variant) == [1, 1]
    expect(shop, (variant, 6), days=9)
    expect(shop, (variant, 4), days=None)
    assert shop.shown(variant) == [7, 7]
    found = promise(shop, variant)
    assert (found.kind, found.units, found.left, found.promised_date, found.message) == (
        "backorder", 6, 6, day(shop, 9), "Back soon",
    )  # fmt: skip


def test_earlier_sales_have_the_soonest_units_and_the_rest_says_its_days(shop):
    variant = shop.variant(units=1)
    shop.rule(oversell="backorder")
    expect(shop, (variant, 3), days=20)
    expect(shop, (variant, 4), days=5)
    shop.post(variant, -3)
    assert shop.shown(variant) == [5, 5]
    assert dated(shop, variant) == [(2, 5), (3, 20)]
    assert promise(shop, variant).promised_date == day(shop, 20)
    shop.post(variant, -5)
    found = promise(shop, variant)
    assert (found.left, list(found.dates), found.promised_date) == (0, [], day(shop, 20))


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ({}, 7),
        ({"days": 10}, 4),
        ({"oversell_max": 2}, 2),
        ({"oversell_max": 20}, 7),
        ({"oversell_max": 20, "days": 10}, 20),  # the shop vouches for both itself
        ({"days": -1}, 0),
    ],
)
def test_the_rule_bounds_what_is_promised_by_number_and_by_day(shop, says, shown):
    variant = shop.variant(units=0)
    expect(shop, (variant, 4), days=5)
    expect(shop, (variant, 3), days=20)
    days = says.pop("days", None)
    shop.rule(oversell="preorder", promised_date=None if days is None else day(shop, days), **says)
    assert shop.shown(variant) == [shown] * 2


def passed(arrival, days=1):
    """The clock of the database cannot be turned: the day of the delivery was yesterday."""
    Arrival.objects.filter(pk=arrival.pk).update(expected_date=incoming.today(arrival.merchant) - timedelta(days=days))


def test_what_is_late_is_promised_no_more_and_who_bought_it_is_somebodys_concern(shop):
    variant = shop.variant(units=0)
    shop.rule(oversell="backorder")
    arrival = expect(shop, (variant, 6))
    shop.post(variant, -2)
    assert (shop.shown(variant), incidents.sweep_oversold()) == ([4, 4], 0)
    passed(arrival)
    assert arrivals.lapse(now=utc_now()) == 1
    assert arrivals.lapse(now=utc_now()) == 0
    assert shop.shown(variant) == [0, 0]
    assert promise(shop, variant) is None
    assert incidents.sweep_oversold() == 1
    assert Incident.objects.get().kind == "oversold"
    arrivals.reschedule(merchant=shop.merchant, actor=shop.owner, arrival_id=arrival.pk, expected_date=day(shop, 3))
    assert (shop.shown(variant), dated(shop, variant)) == ([4, 4], [(4, 3)])
    assert incidents.sweep_oversold() == 0
    assert Arrival.objects.get(pk=arrival.pk).lapsed_at is None


def test_control_without_noticing_the_day_the_number_would_stay(shop, monkeypatch):
    variant = shop.variant(units=0)
    shop.rule(oversell="backorder")
    arrival = expect(shop, (variant, 6))
    passed(arrival)
    monkeypatch.setattr(incoming, "announce", lambda **_: None)
    arrivals.lapse(now=utc_now())
    assert shop.shown(variant) == [6, 6]


def test_what_comes_short_is_promised_no_more(shop):
    variant = shop.variant(units=0)
    shop.rule(oversell="backorder")
    arrival = expect(shop, (variant, 6))
    shop.post(variant, -5)
    receive(shop, arrival, 2)
    assert shop.shown(variant) == [1, 1]  # five sold, two came, four are still to come
    receive(shop, arrival, 0, rest="missing")
    assert (shop.shown(variant), promise(shop, variant)) == ([0, 0], None)
    assert incidents.sweep_oversold() == 1


def test_a_number_that_is_not_told_stays_untold(shop):
    variant = shop.variant(units=0)
    shop.rule(oversell="backorder")
    shop.rule(is_tracked=False, connection=shop.channels["Market"])
    expect(shop, (variant, 6))
    assert shop.shown(variant) == [6, None]


def test_a_bundle_is_promised_when_the_last_of_its_parts_comes(shop):
    cup, saucer, both = (shop.variant(units=units) for units in (1, 4, 0))
    parts = [bundles.Part(cup.pk, Decimal(1)), bundles.Part(saucer.pk, Decimal(2))]
    bundles.define(variant=both, parts=parts, is_stocked=False, actor=None)
    shop.rule(variant=both, oversell="backorder")
    expect(shop, (cup, 5), days=4)
    expect(shop, (saucer, 5), days=9)
    assert shop.shown(both) == [4, 4]
    assert shop.shown(cup) == [1, 1]
    assert dated(shop, both) == [(1, 4), (2, 9)]
    shop.post(saucer, -5)  # as bundles would: a part below zero is agreed, as far as the promise goes
    assert incidents.sweep_oversold() == 0


def test_the_item_says_how_many_more_by_when_and_why_none(shop, client):
    client.force_login(shop.owner)
    variant = shop.variant(units=1)
    there = reverse("variant", args=[shop.merchant.slug, variant.pk])
    shop.rule(oversell="backorder")
    assert "what comes is late, or has no day" in client.get(there).content.decode()
    arrival = expect(shop, (variant, 4))
    when = f"{day(shop, 7):%a} {day(shop, 7).day} {day(shop, 7):%b %Y}"
    assert f"Sells 4 more than there is, promised {when}." in client.get(there).content.decode()
    passed(arrival)
    arrivals.lapse(now=utc_now())
    page = client.get(there).content.decode()
    assert "what comes is late, or has no day" in page
    assert "Sells 4 more" not in page


class BeyondTheShelf(RuleBasedStateMachine):
    """Units are set aside, and one channel of three may sell what is on its way. Deliveries are written down and come,
    channels sell what they show and hear late: whoever sells from the shelf is never shown what is not on it."""

    CHANNELS = ("Web", "Market", "Till")

    def __init__(self):
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    @initialize(units=st.integers(0, 6), kept=st.sampled_from((0, 0, 2)))
    def open(self, units, kept):
        self.shop = a_shop(channels=self.CHANNELS)
        self.variant = self.shop.variant(units=units)
        self.open_ones = []
        self.shop.rule(mode="escrow", safety_stock=kept or None)
        self.shop.rule(connection=self.shop.channels["Web"], oversell="backorder")
        for name in self.CHANNELS:
            self.confirm(name)

    @rule(units=st.integers(1, 6), days=st.sampled_from((3, 8, None)))
    def write_down(self, units, days):
        self.open_ones.append(expect(self.shop, (self.variant, units), days=days))

    @rule()
    def comes(self):
        if self.open_ones:
            arrival = self.open_ones.pop(0)
            receive(self.shop, arrival, arrival.lines.get().quantity)

    @rule(name=st.sampled_from(CHANNELS), units=st.integers(1, 4))
    def sell(self, name, units):
        shown = self.shop.cell(self.variant, name).expected
        if sold := min(units, int(max(shown, 0))):
            self.shop.post(self.variant, -sold, channel=name)

    @rule(name=st.sampled_from(CHANNELS))
    def confirm(self, name):
        """The channel took the number: what it may show is what it should."""
        cell = self.shop.cell(self.variant, name)
        ChannelStock.objects.filter(pk=cell.pk).update(expected=cell.desired)
        publisher.refresh_desired(cell_ids=[cell.pk])

    def shows(self, *names):
        cells = [self.shop.cell(self.variant, name) for name in names]
        return sum(max(cell.desired, cell.expected, Decimal(0)) for cell in cells)

    @invariant()
    def nobody_is_shown_what_is_not_there(self):
        level = StockLevel.objects.get(variant=self.variant)
        shelf = max(level.available, Decimal(0))
        assert self.shows("Market", "Till") <= shelf, "shown from the shelf, and not on it"
        soon = [one for one in incoming.schedule(variant_ids=[self.variant.pk]) if one.expected_date is not None]
        backed = sum((one.units for one in soon), Decimal(0))
        assert self.shows(*self.CHANNELS) <= max(level.available + backed, shelf), "more than is there or on its way"


STEPS = settings(
    max_examples=4, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class TestBeyondTheShelf(TestCase):
    """Each example leaves the database as it was."""

    def test_whoever_sells_from_the_shelf_is_never_shown_what_is_on_its_way(self):
        run_state_machine_as_test(BeyondTheShelf, settings=STEPS)

    def test_control_one_pool_of_both_would_show_them(self):
        played()
        with transaction.atomic():
            with database.cursor() as cursor:
                cursor.execute("SELECT pg_get_functiondef('channels_publishable(bigint[])'::regprocedure)")
                text = cursor.fetchone()[0]
                for real, planted in (
                    ("CASE WHEN h.shelf >= 1 THEN h.shelf ELSE h.shelf + h.extra END", "h.shelf + h.extra"),
                    ("CASE WHEN h.shelf >= 1 THEN h.weights ELSE h.weights_beyond END", "h.weights"),
                ):
                    assert real in text
                    text = text.replace(real, planted)
                cursor.execute(text)
            with pytest.raises(AssertionError, match="not on it"):
                played()
            transaction.set_rollback(True)


def played():
    """Two on the shelf, five to come: all three channels take the numbers they are given."""
    machine = BeyondTheShelf()
    try:
        machine.open(units=2, kept=0)
        machine.write_down(units=5, days=3)
        for name in machine.CHANNELS:
            machine.confirm(name)
            machine.nobody_is_shown_what_is_not_there()
    finally:
        machine.teardown()
