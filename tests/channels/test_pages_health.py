"""The numbers on the pages: lag, states, what was sold, what runs out; and how numbers are written."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.template import Context, Template
from django.utils.timezone import now as utc_now

from channels import health
from channels.models import ChannelWriteLine, Connection, Incident
from inventory import ledger
from storestudio.accounts.templatetags import studio
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(db):
    return factories.ConnectionFactory(label="Square till", is_live=True)


@pytest.fixture
def shelf(live):
    """A cell of ours with 20 on hand, at a shop that the live connection sells for."""
    variant = factories.VariantFactory(merchant=live.merchant)
    location = factories.LocationFactory(merchant=live.merchant)
    post(live, variant, location, "opening", kind=ledger.Kind.OPENING, on_hand=20, channel_id=None)
    return variant, location


def post(live, variant, location, key, *, kind, at=None, channel_id=0, **amounts):
    entry = ledger.Entry(
        variant_id=variant.pk,
        location_id=location.pk,
        kind=kind,
        key=key,
        occurred_at=at or utc_now(),
        **{name: Decimal(amount) for name, amount in amounts.items()},
    )
    with transaction.atomic():
        ledger.post(
            merchant_id=live.merchant_id,
            source="test",
            channel_id=live.pk if channel_id == 0 else channel_id,
            entries=[entry],
        )


def state_of(connection, now=None):
    connection.refresh_from_db()
    (line,) = health.lines(merchant=connection.merchant, now=now or utc_now(), connections=[connection])
    return line.kind, line.word


def pulse_of(connection):
    return health.pulse(merchant=connection.merchant, now=utc_now())


def answered(connection, *, seconds, at=None, **fields):
    """A number confirmed `seconds` after its cause."""
    at = at or utc_now() - timedelta(minutes=5)
    write = factories.ChannelWriteFactory(connection=connection, sent_at=at, answered_at=at)
    return factories.ChannelWriteLineFactory(
        write=write,
        cell=factories.ChannelStockFactory(connection=connection),
        cause_occurred_at=at - timedelta(seconds=seconds),
        **fields,
    )


def test_lag_is_the_spread_from_the_cause_to_the_channels_yes(live):
    spans = [0.5, 1, 1.5, 2, 4, 8, 9, 20, 30, 31]
    for span in spans:
        answered(live, seconds=span)
    answered(live, seconds=500, outcome=ChannelWriteLine.Outcome.REFUSED)
    answered(factories.ConnectionFactory(is_live=True), seconds=900)
    answered(live, seconds=700, at=utc_now() - timedelta(hours=2))
    spread = health.lags(connections=[live], now=utc_now())[live.pk].spread
    assert spread.count == len(spans)
    assert spread.p50 == pytest.approx(statistics.median(spans))
    assert spread.p95 == pytest.approx(statistics.quantiles(spans, n=20, method="inclusive")[-1])
    assert spread.p99 == pytest.approx(statistics.quantiles(spans, n=100, method="inclusive")[-1])


def test_a_number_changed_by_hand_counts_from_when_it_was_due(live):
    answered(live, seconds=1)
    ChannelWriteLine.objects.update(cause_occurred_at=None)
    (line,) = ChannelWriteLine.objects.all()
    spread = health.lags(connections=[live], now=utc_now())[live.pk].spread
    assert spread.p50 == pytest.approx((line.answered_at - line.dirty_at).total_seconds())


def test_clocks_that_disagree_never_make_a_negative_lag(live):
    answered(live, seconds=-3)
    assert health.lags(connections=[live], now=utc_now())[live.pk].spread.p50 == 0


def test_the_trend_has_a_place_for_each_minute_of_the_hour(live):
    now = utc_now()
    answered(live, seconds=2, at=now - timedelta(minutes=30))
    answered(live, seconds=7, at=now - timedelta(seconds=1))
    trend = health.lags(connections=[live], now=now)[live.pk].trend
    assert len(trend) == 60
    assert [round(value) for value in trend if value is not None] == [2, 7]
    assert trend.index(next(value for value in trend if value)) in (28, 29, 30)


@pytest.mark.parametrize("hours", [1, 6, 24])
def test_charts_bin_both_directions(live, hours):
    now = utc_now()
    answered(live, seconds=2, at=now - timedelta(minutes=3))
    factories.InboundEventFactory(connection=live, is_done=True, received_at=now - timedelta(minutes=3))
    into, out, whole = health.charts(connection=live, now=now, hours=hours)
    assert into.spread.p50 == pytest.approx(0.7, abs=0.001)  # 300 ms to us, 400 ms to the ledger
    assert out.spread.p50 == pytest.approx(0.1, abs=0.001)
    assert whole.spread.p50 == pytest.approx(2, abs=0.001)
    for charted in (into, out, whole):
        assert sum(one.count for one in charted.bins if one) == charted.spread.count == 1


def test_each_state_of_a_channel_has_its_word(live):
    now = utc_now()
    assert state_of(live) == ("ok", "Agrees")
    cell = factories.ChannelStockFactory(connection=live, dirty_at=now)
    assert state_of(live) == ("busy", "Sending 1")
    cell.dirty_at = now - timedelta(seconds=30)
    cell.save()
    assert state_of(live) == ("warn", "Catching up")
    cell.dirty_at, cell.blocked_reason = now, "must be whole"
    cell.save()
    assert state_of(live) == ("warn", "1 held")
    cell.drift_at = now
    cell.save()
    assert state_of(live) == ("warn", "Drift in 1")
    assert state_of(live, now=now + timedelta(minutes=20)) == ("warn", "Silent")
    Connection.objects.update(resting_until=now + timedelta(minutes=1))
    assert state_of(live) == ("warn", "Resting")
    Connection.objects.update(state=Connection.State.PAUSED)
    assert state_of(live) == ("idle", "Paused")
    Connection.objects.update(approved_at=None)
    assert state_of(live) == ("idle", "Waits for your yes")
    Connection.objects.update(state=Connection.State.RECONNECT)
    assert state_of(live) == ("bad", "Reconnect")


def test_the_pulse_tells_the_worst_first(live):
    assert pulse_of(live).words == "In lockstep"
    answered(live, seconds=1.84)
    assert pulse_of(live).words == "In lockstep · 1.8 s"
    stall = factories.ConnectionFactory(merchant=live.merchant, label="Stall")
    assert pulse_of(live).words == "1 of 2 in lockstep"
    factories.IncidentFactory(connection=live)
    assert (pulse_of(live).kind, pulse_of(live).words) == ("warn", "1 needs you")
    factories.ChannelStockFactory(connection=live, drift_at=utc_now())
    assert pulse_of(live).words == "Square till: drift in 1"
    factories.IncidentFactory(connection=live, kind=Incident.Kind.OVERSOLD)
    assert (pulse_of(live).kind, pulse_of(live).words) == ("bad", "1 oversold")
    Connection.objects.filter(pk=stall.pk).update(state=Connection.State.RECONNECT)
    assert pulse_of(live).words == "Stall: reconnect"


def test_a_shop_without_channels_says_so():
    assert health.pulse(merchant=factories.MerchantFactory(), now=utc_now()).words == "No channels yet"


def test_another_shops_trouble_is_not_ours(live):
    factories.IncidentFactory()
    factories.ConnectionFactory(state=Connection.State.RECONNECT)
    assert pulse_of(live).words == "In lockstep"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Till"], "Till agrees with your shelf. Nothing needs you."),
        (["Till", "Web"], "Till and Web agree. Nothing needs you."),
        (["Till", "Web", "Market"], "All 3 channels agree. Nothing needs you."),
    ],
)
def test_the_first_sentence_counts_the_channels(names, words):
    merchant = factories.MerchantFactory()
    for name in names:
        factories.ConnectionFactory(merchant=merchant, label=name, is_live=True)
    assert health.sentence(lines=health.lines(merchant=merchant, now=utc_now()), needs=0) == words


def test_a_unit_sold_is_counted_once_however_it_was_sold(live, shelf):
    variant, location = shelf
    post(live, variant, location, "till", kind=ledger.Kind.SALE, on_hand=-2)
    post(live, variant, location, "ordered", kind=ledger.Kind.COMMIT, committed=3)
    post(live, variant, location, "sent", kind=ledger.Kind.FULFILL, on_hand=-3, committed=-3)
    post(live, variant, location, "cancelled order", kind=ledger.Kind.COMMIT, committed=4)
    post(live, variant, location, "cancelled", kind=ledger.Kind.RELEASE, committed=-4)
    post(live, variant, location, "broken", kind=ledger.Kind.ADJUST, on_hand=-1)
    post(live, variant, location, "back", kind=ledger.Kind.RETURN, on_hand=1)
    sales = health.sales_today(merchant=live.merchant, now=utc_now())
    assert sales.units == 5
    assert sales.returned == 1
    assert [(row.name, row.units) for row in sales.channels] == [("Square till", 5)]


def test_a_sale_that_a_later_count_had_seen_was_still_a_sale(live, shelf):
    variant, location = shelf
    post(live, variant, location, "count", kind=ledger.Kind.COUNT, counted=18, channel_id=None)
    post(live, variant, location, "late", kind=ledger.Kind.SALE, on_hand=-2, at=utc_now() - timedelta(seconds=30))
    assert health.sales_today(merchant=live.merchant, now=utc_now()).units == 2


def test_the_day_begins_at_the_shops_midnight(live, shelf):
    variant, location = shelf
    live.merchant.timezone = "Pacific/Auckland"
    live.merchant.save()
    now = utc_now()
    midnight = datetime.fromisoformat(
        Template("{% load tz %}{{ now|timezone:'Pacific/Auckland'|date:'c' }}").render(Context({"now": now}))
    ).replace(hour=0, minute=0, second=0, microsecond=0)
    post(live, variant, location, "before", kind=ledger.Kind.SALE, on_hand=-1, at=midnight - timedelta(minutes=1))
    post(live, variant, location, "after", kind=ledger.Kind.SALE, on_hand=-2, at=midnight + timedelta(seconds=1))
    assert health.sales_today(merchant=live.merchant, now=now).units == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("48219.00000"), "48\u202f219"),
        (Decimal("-2"), "−2"),
        (Decimal("1.50000"), "1.5"),
        (Decimal("100"), "100"),
        (0, "0"),
        (None, "–"),
    ],
)
def test_quantities_are_written_as_people_write_them(value, words):
    assert studio.quantity(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.34, "340 ms"), (1.84, "1.8 s"), (42, "42 s"), (200, "3 min"), (7300, "2 h"), (200_000, "2 days"), ("", "–")],
)
def test_spans_are_written_in_two_digits_or_so(seconds, words):
    assert studio.duration(seconds).replace("\u00a0", " ") == words


def test_ages_say_how_long_ago_and_when_exactly():
    merchant = factories.MerchantFactory(timezone="America/New_York")
    when = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    html = Template("{% load studio %}{% ago when %}").render(Context({"when": when, "merchant": merchant}))
    assert 'title="Wed 01 Jul 2026, 08:00:00 EDT"' in html
    assert studio.age_words(then=when, now=when + timedelta(seconds=7)) == "7\u00a0s ago"
    assert studio.age_words(then=when, now=when - timedelta(hours=3)) == "in 3\u00a0h"


def test_a_sparkline_bridges_short_gaps_and_no_long_ones():
    short = studio.sparkline([1, None, None, 2])
    long = studio.sparkline([1, *[None] * 8, 2])
    assert short.split('class="spark-line" d="')[1].split('"')[0].count("M") == 1
    assert long.split('class="spark-line" d="')[1].split('"')[0].count("M") == 2
    assert "no data yet" in studio.sparkline([None, None])


def test_every_drawing_a_template_names_exists(settings):
    import re

    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (settings.BASE_DIR / "static/img/icons.svg").read_text()))
    used = set()
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        used |= set(re.findall(r'{% icon "([a-z]+)"|drawing="([a-z]+)"', path.read_text()))
    assert {name for pair in used for name in pair if name} <= drawn
