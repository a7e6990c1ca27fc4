"""The modes where they work: in the posting's own transaction, with channels that answer late or not at all."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now as utc_now

from channels import measuring, publisher
from channels.models import CellPolicy, ChannelStock, Connection
from channels.own import site
from inventory import bundles, ledger, reservations
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


def make(variant, *parts):
    bundles.define(
        variant=variant, parts=[bundles.Part(one.pk, Decimal(n)) for one, n in parts], is_stocked=False, actor=None
    )


def test_a_bundle_and_its_part_are_never_offered_the_same_unit(shop):
    shop.rule(mode="escrow")
    cup, saucer = shop.variant(units=20), shop.variant(units=30)
    place_set = shop.variant(units=0)
    make(place_set, (cup, 1), (saucer, 2))
    shop.believe()
    cups, saucers, sets = (sum(shop.shown(one)) for one in (cup, saucer, place_set))
    assert sets > 0
    assert cups + sets == 20
    assert saucers + 2 * sets <= 30  # some wait for a cup that another channel has
    shop.post(cup, -19)  # the last cup is offered once, alone or in a set
    shop.believe()
    assert sum(shop.shown(cup)) + sum(shop.shown(place_set)) <= 1
    shop.post(saucer, -30)  # without saucers there is no set, and the cup is free
    shop.believe()
    assert (sum(shop.shown(cup)), sum(shop.shown(place_set))) == (1, 0)


def test_control_two_ways_of_offering_a_unit_that_share_no_pool_offer_it_twice(shop):
    """Without escrow a set and its cup both show all there is."""
    cup, place_set = shop.variant(units=20), shop.variant(units=0)
    make(place_set, (cup, 1))
    shop.believe()
    assert (shop.shown(cup), shop.shown(place_set)) == ([20] * 4, [20] * 4)


def test_bundles_set_aside_leave_the_rest_to_those_who_share(shop):
    cup, place_set = shop.variant(units=20), shop.variant(units=0)
    make(place_set, (cup, 1))
    shop.rule(variant=place_set, connection=shop.channels["Market"], mode="escrow")
    shop.believe()
    till, web, market, delivery = shop.shown(cup)
    assert till == web == market == delivery
    assert till + shop.cell(place_set, "Market").desired == 20
    assert shop.cell(place_set, "Market").desired > 0


def test_our_own_site_is_granted_no_unit_that_others_may_still_show(shop):
    own = site.open_site(merchant=shop.merchant, label="Own site", actor=shop.owner)
    variant = shop.variant(units=20)
    site.follow_catalog(own)
    shop.rule(mode="escrow")
    shop.believe()
    assert sum(shop.shown(variant)) == 16

    def hold(key, units):
        now = utc_now()
        wants = [reservations.Want(variant.pk, shop.places[0].pk, Decimal(units))]
        reservations.grant(
            merchant_id=shop.merchant.pk, channel_id=own.pk, key=key, wants=wants, now=now, expires_at=now
            + timedelta(minutes=5),
        )  # fmt: skip

    hold("all of its part", 4)
    with pytest.raises(ledger.InsufficientStock):  # the other channels still show the sixteen that are left
        hold("one more", 1)
    shop.believe()
    hold("after they were told less", 1)
