"""The life of an incident: one a cause, opened once that has held, closed once it stayed well, never flapping."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels import incidents, publisher, watching
from channels.incidents import policies
from channels.models import ChannelStock, Connection, Incident, IncidentEvent, Outage
from inventory import ledger
from inventory.models import StockLevel
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
Kind = Incident.Kind
Step = IncidentEvent.Kind
BEHIND = incidents.policy_of(Kind.BEHIND)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def see(merchant, *, kind=Kind.BEHIND, when=0.0, **more):
    return incidents.open_or_count(
        merchant_id=merchant.pk, kind=kind, key="cause", title="It is behind.", is_a_look=True, now=at(when), **more
    )


def gone(merchant, *, kind=Kind.BEHIND, when=0.0, **more):
    return incidents.resolve(merchant_id=merchant.pk, kind=kind, key="cause", how="well again", now=at(when), **more)


def steps(incident) -> list[str]:
    return list(IncidentEvent.objects.filter(incident=incident).order_by("pk").values_list("kind", flat=True))


@pytest.fixture
def merchant():
    return factories.MerchantFactory()


def test_it_opens_once_its_cause_has_held_and_closes_once_it_stayed_well(merchant):
    see(merchant, when=0)
    incidents.settle(now=at(119))
    incident = Incident.objects.get()
    assert incident.confirmed_at is None
    assert not Incident.objects.unresolved().exists()
    see(merchant, when=120)
    incidents.settle(now=at(120))
    assert Incident.objects.pressing().get().confirmed_at == at(120)
    gone(merchant, when=200)
    incidents.settle(now=at(200 + 299))
    assert Incident.objects.unresolved().get().quiet_at == at(200)
    assert not Incident.objects.standing().exists()
    incidents.settle(now=at(200 + 300))
    incident.refresh_from_db()
    assert (incident.resolved_at, incident.resolution) == (at(500), "well again")
    assert steps(incident) == [Step.WATCHED, Step.OPENED, Step.DID, Step.QUIET, Step.CLOSED]


def test_what_was_only_watched_never_was_an_incident(merchant):
    see(merchant, when=0)
    gone(merchant, when=60)
    incidents.settle(now=at(60 + 300))
    assert not Incident.objects.exists()


def test_a_cause_that_comes_and_goes_opens_by_its_number_of_times(merchant):
    for round_ in range(BEHIND.opens_at_times):
        see(merchant, when=round_ * 60)
        incidents.settle(now=at(round_ * 60))
        assert Incident.objects.unresolved().exists() == (round_ == BEHIND.opens_at_times - 1)
        gone(merchant, when=round_ * 60 + 10)
    assert Incident.objects.get().times == BEHIND.opens_at_times


def test_what_is_watched_must_hold_in_one_go(merchant):
    see(merchant, when=0)
    gone(merchant, when=100)
    see(merchant, when=110)
    incidents.settle(now=at(150))
    assert Incident.objects.get().confirmed_at is None
    incidents.settle(now=at(230))
    assert Incident.objects.get().confirmed_at == at(230)


def test_a_person_closes_at_once_and_a_kind_that_cannot_flap_too(merchant):
    see(merchant, kind=Kind.DRIFT)
    gone(merchant, kind=Kind.DRIFT, actor=factories.UserFactory())
    see(merchant, kind=Kind.QUARANTINE)
    gone(merchant, kind=Kind.QUARANTINE)
    assert not Incident.objects.filter(resolved_at=None).exists()


def test_what_nobody_takes_on_turns_urgent_and_what_somebody_does_stays(merchant):
    see(merchant, when=0)
    incidents.settle(now=at(120))
    incident = Incident.objects.get()
    taken = Incident.objects.get(pk=see(factories.MerchantFactory(), when=0))
    incidents.settle(now=at(121))
    incidents.acknowledge(incident_id=taken.pk, actor=factories.UserFactory(), now=at(130))
    late = at(121) + BEHIND.worse_after
    incidents.settle(now=late)
    incidents.settle(now=late)
    for one in (incident, taken):
        one.refresh_from_db()
    assert (incident.severity, taken.severity) == (Incident.Severity.CRITICAL, Incident.Severity.WARNING)
    assert steps(incident).count(Step.WORSE) == 1


MOVES = st.lists(
    st.tuples(st.integers(min_value=1, max_value=400), st.booleans()), min_size=1, max_size=20
)  # seconds since the move before, whether the cause is there


def play(merchant, moves) -> list[tuple[str, datetime]]:
    """A sweep at each move, as `watching` makes it; the openings and closings that came of it."""
    now, is_bad, told = NOON, False, set()
    for seconds, is_bad in moves:
        # The sweeps in between see what the last one saw.
        now += timedelta(seconds=seconds)
        if is_bad:
            incidents.open_or_count(
                merchant_id=merchant.pk, kind=Kind.BEHIND, key="cause", title="Late", is_a_look=True, now=now
            )
        else:
            incidents.resolve(merchant_id=merchant.pk, kind=Kind.BEHIND, key="cause", how="well", now=now)
        incidents.settle(now=now)
        lines = IncidentEvent.objects.filter(kind__in=[Step.OPENED, Step.CLOSED]).order_by("pk")
        told |= set(lines.values_list("pk", "kind", "at"))
    return [(kind, when) for _, kind, when in sorted(told)]


def flaps(told, *, closes_after: timedelta) -> bool:
    """Whether anything closed that opened less than the good time before, which a reader would call flapping."""
    pairs = list(itertools.pairwise(told))
    alternate = all(one[0] != other[0] for one, other in pairs)
    return not alternate or any(
        kind == Step.OPENED and later - when < closes_after for (kind, when), (_, later) in pairs
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_it_never_flaps_whatever_its_cause_does(merchant, moves):
    with transaction.atomic():
        told = play(merchant, moves)
        assert not flaps(told, closes_after=BEHIND.closes_after)
        bad_stretch = longest_stretch(moves)
        seen = [False, *(is_bad for _, is_bad in moves)]
        returns = sum(now and not before for before, now in itertools.pairwise(seen))
        if bad_stretch < BEHIND.opens_after and returns < BEHIND.opens_at_times:
            assert not told, "it held neither long nor often enough"
        transaction.set_rollback(True)


def longest_stretch(moves) -> timedelta:
    """The longest time from a sweep that saw the cause to a later one, all in between having seen it."""
    longest, since, now = timedelta(0), None, NOON
    for seconds, is_bad in moves:
        now += timedelta(seconds=seconds)
        since = (since or now) if is_bad else None
        longest = max(longest, now - since) if since else longest
    return longest


def test_control_without_the_two_times_it_would_flap(merchant, monkeypatch):
    eager = policies.Policy(severity=Incident.Severity.WARNING, means="", to_do="")
    monkeypatch.setitem(policies.POLICIES, Kind.BEHIND, eager)
    told = play(merchant, [(30, True), (30, False)] * 5)
    assert len(told) == 10
    assert flaps(told, closes_after=BEHIND.closes_after)


def test_an_item_that_dances_round_zero_for_an_hour_is_one_incident(merchant):
    level = factories.StockLevelFactory(merchant=merchant)
    for minute in range(0, 60, 3):
        move(level, -3 if minute % 6 == 0 else 3)
        incidents.sweep_oversold(now=at(minute * 60))
        incidents.settle(now=at(minute * 60))
    incident = Incident.objects.get()
    assert steps(incident).count(Step.OPENED) == 1
    assert incident.times == 10
    incidents.settle(now=at(57 * 60) + incidents.policy_of(Kind.OVERSOLD).closes_after)
    assert not Incident.objects.unresolved().exists()


def move(level: StockLevel, units: int) -> None:
    """So many units come, or are found missing."""
    entry = ledger.Entry(
        level.variant_id, level.location_id, ledger.Kind.ADJUST, uuid.uuid4().hex, NOON, on_hand=Decimal(units)
    )
    with transaction.atomic():
        ledger.post(merchant_id=level.merchant_id, source="test", entries=[entry])


def test_one_item_oversold_at_two_places_is_one_incident_about_two(merchant):
    variant = factories.VariantFactory(merchant=merchant)
    levels = [factories.StockLevelFactory(merchant=merchant, variant=variant) for _ in range(2)]
    for level in levels:
        move(level, -2)
    assert incidents.sweep_oversold(now=NOON) == 2
    incident = Incident.objects.get()
    assert "at 2 places" in incident.title
    move(levels[0], 2)
    assert incidents.sweep_oversold(now=at(15)) == 1
    incident.refresh_from_db()
    assert levels[1].location.name in incident.title
    assert incident.quiet_at is None
    move(levels[1], 5)
    incidents.sweep_oversold(now=at(30))
    incident.refresh_from_db()
    assert incident.quiet_at == at(30)


def test_cells_refused_for_one_reason_are_one_incident_and_other_reasons_another():
    cells = factories.ChannelStockFactory.create_batch(
        3, connection=factories.ConnectionFactory(is_live=True, label="Web {shop}")
    )
    reasons = ["Quantity 2.5 must be whole", "Quantity 7.5 must be whole", "Item is archived"]
    for cell, reason in zip(cells, reasons, strict=True):
        line = factories.ChannelWriteLineFactory(cell=cell)
        publisher._block(cell.connection, line, reason)
    titles = set(Incident.objects.values_list("title", flat=True))
    assert "Web (shop) refused 2 numbers for the same reason." in titles
    assert len(titles) == 2
    grouped = Incident.objects.get(title__contains="2 numbers")
    assert steps(grouped) == [Step.OPENED, Step.DID, Step.JOINED]
    assert (grouped.variant, grouped.cell) == (None, None), "it is about no one item"
    actor = factories.UserFactory()
    publisher.unblock(cell_id=cells[0].pk, actor=actor)
    grouped.refresh_from_db()
    assert (grouped.resolved_at, cells[1].listing.sku in grouped.title) == (None, True)
    assert grouped.cell == cells[1]
    publisher.unblock(cell_id=cells[1].pk, actor=actor)
    grouped.refresh_from_db()
    assert (grouped.resolved_by, bool(grouped.resolved_at)) == (actor, True)


def away(*connections, failures=5):
    pks = [one.pk for one in connections]
    Connection.objects.filter(pk__in=pks).update(failures=failures, last_error="502 Bad gateway")


def test_two_connections_of_a_shop_to_one_vendor_are_one_incident(merchant):
    tills = [factories.ConnectionFactory(merchant=merchant, is_live=True) for _ in range(2)]
    web = factories.ConnectionFactory(merchant=merchant, channel="shopify", is_live=True)
    away(*tills, web)
    watching.sweep(now=NOON)
    watching.sweep(now=at(120))
    titles = set(Incident.objects.pressing().filter(kind=Kind.UNREACHABLE).values_list("title", flat=True))
    assert titles == {
        "Square does not answer at 2 connections.",
        "Shopify does not answer. We keep trying; nothing is lost.",
    }
    away(*tills, web, failures=0)
    watching.sweep(now=at(150))
    assert not Incident.objects.standing().filter(kind=Kind.UNREACHABLE).exists()


def test_a_vendor_away_for_several_shops_is_one_outage_until_it_is_back():
    tills = [factories.ConnectionFactory(is_live=True) for _ in range(3)]
    alone = factories.ConnectionFactory(channel="shopify", is_live=True)
    away(*tills, alone)
    for when in (0, 120):
        watching.sweep(now=at(when))
    outage = Outage.objects.get()
    assert (outage.channel, outage.incidents.count()) == ("square", 3)
    away(*tills, failures=0)
    watching.sweep(now=at(150))
    assert Outage.objects.get().resolved_at is None, "it may come back"
    watching.sweep(now=at(150 + 300))
    assert Outage.objects.get().resolved_at == at(450)


def test_news_that_waits_is_told_but_not_where_the_channel_is_away():
    late, gone_ = (factories.ConnectionFactory(is_live=True) for _ in range(2))
    for connection in (late, gone_):
        factories.InboundEventFactory(connection=connection, received_at=at(-61))
        cell = factories.ChannelStockFactory(connection=connection)
        ChannelStock.objects.filter(pk=cell.pk).update(dirty_at=at(-90))
    away(gone_)
    watching.sweep(now=NOON)
    incident = Incident.objects.get(kind=Kind.BEHIND)
    assert incident.connection == late
    assert "a message waits" in incident.detail["evidence"]
    assert "a number waits" in incident.detail["evidence"]


def test_another_version_than_ours_is_for_staff():
    connection = factories.ConnectionFactory(is_live=True, api_version="1999-01-01")
    watching.sweep(now=NOON)
    incident = Incident.objects.get(kind=Kind.VERSION)
    assert incident.severity == Incident.Severity.INFO
    assert "1999-01-01" in incident.title
    Connection.objects.filter(pk=connection.pk).update(api_version="")
    watching.sweep(now=at(60))
    assert Incident.objects.get(kind=Kind.VERSION).quiet_at == at(60)


def test_sweeping_costs_the_same_however_many_connections_are_well(django_assert_max_num_queries):
    factories.ConnectionFactory(is_live=True)
    with django_assert_max_num_queries(80) as few:
        watching.sweep(now=NOON)
    for _ in range(5):
        factories.ConnectionFactory(is_live=True)
    with django_assert_max_num_queries(len(few)):
        watching.sweep(now=NOON)


def test_every_kind_has_a_policy_with_words():
    assert set(policies.POLICIES) == set(Kind)
    for policy in policies.POLICIES.values():
        assert policy.means
        assert policy.to_do
        assert (policy.opens_at_times > 1) == (not policy.opens_at_once)
