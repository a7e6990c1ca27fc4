"""A cap that names no place is one for all places of a channel; one that does is that place's."""

from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from channels import availability, beliefs, publisher, rules
from channels.models import ChannelStock
from inventory import bundles
from inventory.models import Location
from tests.channels.rules_shop import a_shop

PLACES = ("High Street", "Station", "Warehouse")


@pytest.fixture
def shop(db):
    return a_shop(channels=("Web", "Market"), places=PLACES)


def everywhere(shop, variant):
    """What each channel should show at each place: {channel: [a number a place]}."""
    return {name: [int(shop.cell(variant, name, at=place).desired) for place in shop.places] for name in shop.channels}


def test_a_channel_lists_its_cap_over_all_places_and_the_first_that_ships_shows_it(shop):
    variant = shop.variant(units=9)
    for place in shop.places[1:]:
        shop.post(variant, 9, at=place)
    shop.rule(connection=shop.channels["Market"], cap=3)
    assert everywhere(shop, variant) == {"Web": [9, 9, 9], "Market": [3, 0, 0]}
    shop.post(variant, -7)
    assert everywhere(shop, variant) == {"Web": [2, 9, 9], "Market": [2, 1, 0]}
    shop.post(variant, -3)
    assert everywhere(shop, variant) == {"Web": [0, 9, 9], "Market": [0, 3, 0]}
    Location.objects.filter(pk=shop.places[2].pk).update(rank=1)
    shop.post(variant, -1, at=shop.places[1])
    assert everywhere(shop, variant)["Market"] == [0, 0, 3]


def test_a_place_with_a_cap_of_its_own_is_out_of_it(shop):
    variant = shop.variant(units=9)
    for place in shop.places[1:]:
        shop.post(variant, 9, at=place)
    shop.rule(cap=4)
    own = shop.rule(cap=2, location=shop.places[0])
    assert everywhere(shop, variant)["Web"] == [2, 4, 0]
    rules.delete(rule=own, actor=shop.owner)
    assert everywhere(shop, variant)["Web"] == [4, 0, 0]


def test_what_is_kept_back_is_kept_at_each_place(shop):
    variant = shop.variant(units=5)
    shop.post(variant, 5, at=shop.places[1])
    shop.rule(safety_stock=2, channel_buffer=1, cap=3)
    assert everywhere(shop, variant)["Web"] == [2, 1, 0]


def test_the_page_says_why_a_place_shows_less(shop):
    variant = shop.variant(units=5)
    shop.post(variant, 5, at=shop.places[1])
    capped = shop.rule(cap=6)
    cells = [shop.cell(variant, "Web", at=place).pk for place in shop.places[:2]]
    first, second = availability.of_cells(cell_ids=cells)
    assert [(step.kind, step.amount) for step in first.steps] == [("available", 5)]
    assert [(step.kind, step.amount, step.rule_id) for step in second.steps] == [
        ("available", 5, None),
        ("cap", -4, capped.pk),
    ]
    (_, view) = sorted(
        (one for one in beliefs.views(merchant_id=shop.merchant.pk, variant_ids=[variant.pk], with_told=True)
         if one.channel_label == "Web" and one.location_id in {place.pk for place in shop.places[:2]}),
        key=lambda one: one.location_id,
    )  # fmt: skip
    assert [reason.words for reason in view.reasons] == ["available", "above its limit of 6 over all its places"]
    assert rules.says(capped) == ["list at most 6 over all places of a channel"]


def test_bundles_and_units_set_aside_have_one_cap_too(shop):
    cup, pair = shop.variant(units=20), shop.variant(units=0)
    shop.post(cup, 20, at=shop.places[1])
    bundles.define(variant=pair, parts=[bundles.Part(cup.pk, Decimal(2))], is_stocked=False, actor=None)
    shop.rule(cap=3)
    assert everywhere(shop, pair)["Web"] == [3, 0, 0]
    shop.post(cup, -18)
    assert everywhere(shop, pair)["Web"] == [1, 2, 0]
    shop.rule(mode="escrow")
    shop.believe()
    shown = everywhere(shop, pair)["Web"]
    assert 0 < sum(shown) <= 3


class Capped(RuleBasedStateMachine):
    """Stock moves anywhere, rules come and go: a channel never lists more than its cap, and never less than it may."""

    def __init__(self):
        super().__init__()
        self.shop = a_shop(channels=("Web", "Market"), places=PLACES)
        self.goods = [self.shop.variant(units=4), self.shop.variant(units=0)]
        self.rules = []

    @rule(of=st.integers(0, 1), place=st.integers(0, 2), units=st.integers(-6, 6).filter(bool))
    def move(self, of, place, units):
        self.shop.post(self.goods[of], units, at=self.shop.places[place])

    @precondition(lambda self: len(self.rules) < 3)
    @rule(cap=st.integers(0, 6), place=st.sampled_from((None, 0, 1)), kept=st.sampled_from((None, 1)))
    def say(self, cap, place, kept):
        at = None if place is None else self.shop.places[place]
        self.rules.append(self.shop.rule(cap=cap, location=at, safety_stock=kept))

    @precondition(lambda self: self.rules)
    @rule()
    def take_back(self):
        rules.delete(rule=self.rules.pop(), actor=self.shop.owner)

    @rule(cell=st.integers(0, 11))
    def one_cell_is_worked_out_alone(self, cell):
        ids = list(ChannelStock.objects.order_by("pk").values_list("pk", flat=True))
        publisher.refresh_desired(cell_ids=[ids[cell]])

    @invariant()
    def a_channel_lists_its_cap_or_all_there_is(self):
        for listing in {cell.listing_id for cell in ChannelStock.objects.all()}:
            cells = ChannelStock.objects.filter(listing=listing).order_by("pk")
            says = {one.cell_id: one for one in availability.of_cells(cell_ids=[cell.pk for cell in cells])}
            together, cap, could = Decimal(0), None, Decimal(0)
            for cell in cells:
                told = says[cell.pk]
                assert cell.desired == told.quantity
                named = rules.named(rule_ids=[told.decided["cap"]]) if "cap" in told.decided else {}
                for one in named.values():
                    if one.location_id is not None:
                        assert cell.desired <= one.cap
                    else:
                        cap = one.cap
                        together += max(cell.desired, 0)
                        could += max(sum(step.amount for step in told.steps if step.kind != "cap"), Decimal(0))
            if cap is not None:
                assert together == min(cap, could)


STEPS = settings(
    max_examples=5, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class TestCapped(TestCase):
    """Each example leaves the database as it was."""

    def test_a_channel_never_lists_more_than_its_cap(self):
        run_state_machine_as_test(Capped, settings=STEPS)

    def test_control_places_that_do_not_hear_of_one_another_list_more(self):
        shop = a_shop(channels=("Web",), places=PLACES)
        variant = shop.variant(units=0)
        shop.post(variant, 9, at=shop.places[1])
        shop.rule(cap=3)
        with transaction.atomic():
            with database.cursor() as cursor:
                cursor.execute("SELECT pg_get_functiondef('channels_with_peers(bigint[])'::regprocedure)")
                real = cursor.fetchone()[0]
                deaf = real.replace("EXISTS (SELECT FROM channels_capped(c.listing_id))", "false")
                assert deaf != real
                cursor.execute(deaf)
            shop.post(variant, 9)
            assert sum(everywhere(shop, variant)["Web"]) == 6
            transaction.set_rollback(True)
        shop.post(variant, 9)
        assert everywhere(shop, variant)["Web"] == [3, 0, 0]
