"""What a channel's rate limit leaves us: told or counted, kept from call to call, shown where it gets tight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import contact, health, rates
from channels.models import Connection, ConnectionRate
from channels.ports import ConnectorError, Headroom, Meter
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def connection():
    return factories.ConnectionFactory(is_live=True, label="Web shop", channel="shopify")


def called(connection, *, times=1, room=None, seconds=0.0):
    meter = Meter()
    for _ in range(times):
        meter.answered({}, room)
    rates.note(connection_id=connection.pk, meter=meter, now=NOON + timedelta(seconds=seconds))


def rate(connection, seconds=0.0):
    return health.rates(connections=[connection], now=NOON + timedelta(seconds=seconds))[connection.pk]


def points(left):
    return Headroom(left=left, most=2000, unit="points")


def test_what_the_vendor_tells_is_kept_and_a_silent_answer_changes_nothing(connection):
    called(connection, room=points(1840))
    called(connection, seconds=1)
    found = rate(connection, 2)
    assert found.words == "1\u202f840 of 2\u202f000 points left"
    assert (found.percent, found.kind) == (92, "ok")


def test_little_left_is_a_warning_until_it_has_surely_refilled(connection):
    called(connection, room=points(100))
    assert rate(connection, 299).kind == "warn"
    found = rate(connection, 301)
    assert (found.kind, found.words) == ("ok", "2\u202f000 of 2\u202f000 points left")


def test_where_nobody_tells_we_count_the_calls_of_the_last_whole_minute(connection):
    called(connection, times=3, seconds=-60)
    called(connection, times=4, seconds=-31)
    called(connection, times=2)
    assert rate(connection).words == "7 calls in the last minute; it tells no limit"
    assert rate(connection, 60).calls == 2
    assert rate(connection, 120).calls == 0
    called(connection, seconds=300)
    assert rate(connection, 300).calls == 0
    assert rate(connection, 360).calls == 1


def test_being_asked_to_slow_down_is_counted_while_it_goes_on(connection):
    for _ in range(2):
        contact.failed(connection_id=connection.pk, error=ConnectorError("slow down", retry_after_s=1.0))
    contact.failed(connection_id=connection.pk, error=ConnectorError("broken"))
    row = ConnectionRate.objects.get()
    assert row.throttled == 2
    found = health.rates(connections=[connection], now=utc_now())[connection.pk]
    assert (found.kind, found.slowed) == ("warn", 2)
    later = health.rates(connections=[connection], now=utc_now() + timedelta(hours=1, minutes=1))[connection.pk]
    assert (later.kind, later.slowed) == ("ok", 0)
    ConnectionRate.objects.update(throttled_at=utc_now() - timedelta(hours=2))
    rates.throttled(connection_id=connection.pk, now=utc_now())
    assert ConnectionRate.objects.get().throttled == 1


def test_a_connection_that_is_gone_or_was_never_called_is_no_error(connection):
    rates.note(connection_id=0, meter=Meter(), now=NOON)
    called(Connection(pk=connection.pk + 1))
    rates.throttled(connection_id=connection.pk + 1, now=NOON)
    assert not ConnectionRate.objects.exists()
    assert rate(connection).words == "Not called yet"


def test_fleet_flags_what_gets_tight_and_the_connection_page_tells_limit_and_version(client, connection):
    user = factories.MembershipFactory(merchant=connection.merchant, role="onboarding").user
    client.force_login(user)
    now = utc_now()
    meter = Meter()
    meter.answered({}, points(100))
    rates.note(connection_id=connection.pk, meter=meter, now=now)
    (line,) = health.fleet_lines(merchants=[connection.merchant], now=now)
    assert "rate limit nearly used up" in line.concerns
    assert "5 %" in client.get(reverse("fleet") + "?sort=rate").content.decode()
    page = client.get(reverse("channel", args=[connection.merchant.slug, connection.pk])).content.decode()
    assert "100 of 2\u202f000 points left" in page
    assert "2026-10" in page
    assert "served until 16 October 2027 at least" in page
    (line,) = health.fleet_lines(merchants=[connection.merchant], now=datetime(2027, 9, 1, tzinfo=UTC))
    assert "API 2026-10 ends 16 Oct 2027" in line.concerns


@pytest.mark.parametrize(
    ("ahead_s", "behind_s"), [(-80, 80), (-1, 0), (0, 0), (80, 0)], ids=["behind", "a whole second", "right", "ahead"]
)
def test_a_clock_that_is_behind_ours_is_told_by_the_answers_of_its_channel(ahead_s, behind_s):
    meter = Meter()
    meter.answered({"Date": format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)})
    assert abs(meter.clock_behind.total_seconds() - behind_s) < 2
    meter.answered({"Date": "some day"})
    meter.answered({})
    assert bool(meter.clock_behind) == bool(behind_s)
