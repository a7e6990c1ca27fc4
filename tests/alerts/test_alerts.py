"""Who is told of what, where and when: by mail and by a real HTTP endpoint, at least once, and never in a flood."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.core import mail
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from channels import credentials, incidents
from channels.alerts import outbox, routes
from channels.alerts.models import AlertDelivery, AlertRoute
from channels.incidents import outages
from channels.models import Connection, Incident, IncidentEvent
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.listening import listening

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday; in Berlin 13:00
Kind = Incident.Kind
State = AlertDelivery.State


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def mails(to: str = "") -> list[str]:
    """Subjects, of one person's or of all."""
    return [one.subject for one in mail.outbox if not to or one.to == [to]]


def tell(when: datetime = NOON) -> None:
    """What the workers do every few seconds."""
    outbox.decide(now=when)
    outbox.make_digests(now=when)
    outbox.send_due(now=when)


def reconnect(connection: Connection, *, when: datetime = NOON) -> Incident:
    pk = incidents.open_or_count(
        merchant_id=connection.merchant_id, connection_id=connection.pk, kind=Kind.RECONNECT, key="lost",
        title=f"{connection.label} no longer lets us in.", now=when,
    )  # fmt: skip
    return Incident.objects.get(pk=pk)


def drift(connection: Connection, key: str = "one", *, when: datetime = NOON) -> Incident:
    pk = incidents.open_or_count(
        merchant_id=connection.merchant_id, connection_id=connection.pk, kind=Kind.DRIFT, key=key,
        title=f"{connection.label} shows another number: {key}", now=when,
    )  # fmt: skip
    return Incident.objects.get(pk=pk)


def close(incident: Incident, *, when: datetime, actor: object = None) -> None:
    incidents.resolve(
        merchant_id=incident.merchant_id, kind=incident.kind, key=incident.key, how="done", now=when, actor=actor
    )


@pytest.fixture
def owner():
    return factories.MembershipFactory(merchant__name="Harbour", merchant__timezone="Europe/Berlin")


@pytest.fixture
def till(owner):
    return factories.ConnectionFactory(merchant=owner.merchant, label="Till", is_live=True)


def route_of(membership, **settings) -> AlertRoute:
    route = routes.of_member(membership)
    AlertRoute.objects.filter(pk=route.pk).update(**settings)
    return AlertRoute.objects.get(pk=route.pk)


def test_who_decides_is_told_and_associates_and_staff_only_if_they_wish(owner, till):
    others = [
        factories.MembershipFactory(merchant=owner.merchant, role=role)
        for role in ("manager", "associate", "onboarding")
    ]
    stranger = factories.MembershipFactory()
    reconnect(till)
    tell()
    assert {one.to[0] for one in mail.outbox} == {owner.user.email, others[0].user.email}
    assert stranger.user.email not in str([one.to for one in mail.outbox])


def test_a_mail_says_what_it_is_what_to_do_and_leads_to_the_page(owner, till, settings):
    incident = reconnect(till)
    tell()
    (sent,) = mail.outbox
    assert sent.subject == "[Harbour] Urgent: Till no longer lets us in."
    there = f"{settings.PUBLIC_URL}/{owner.merchant.slug}/incidents/{incident.pk}/"
    assert there + "#acknowledge" in sent.body
    assert "Connect it again" in sent.body
    html, kind = sent.alternatives[0]
    assert kind == "text/html"
    assert f'href="{there}#acknowledge"' in html
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"


def test_titles_from_outside_are_escaped_in_html_and_plain_in_text(owner):
    till = factories.ConnectionFactory(merchant=owner.merchant, label="<b>Till</b> & co\nBcc: x", is_live=True)
    reconnect(till)
    tell()
    (sent,) = mail.outbox
    assert "<b>Till</b> & co" in sent.body
    assert "&lt;b&gt;Till&lt;/b&gt; &amp; co" in sent.alternatives[0][0]
    assert "\n" not in sent.subject


def test_it_is_told_once_however_often_it_is_decided_and_sent(owner, till):
    reconnect(till)
    for seconds in range(0, 600, 60):
        reconnect(till, when=at(seconds))
        tell(at(seconds))
    assert len(mail.outbox) == 1
    IncidentEvent.objects.update(alerted_at=None)  # as if the marking had been lost
    tell(at(700))
    assert len(mail.outbox) == 1


def test_control_without_the_key_the_same_would_be_told_again(owner, till):
    reconnect(till)
    tell()
    IncidentEvent.objects.update(alerted_at=None)
    AlertDelivery.objects.all().delete()
    tell(at(60))
    assert len(mail.outbox) == 2


def test_many_at_once_are_one_mail(owner, till):
    for number in range(25):
        drift(till, f"item {number}")
    reconnect(till)
    tell()
    (sent,) = mail.outbox
    assert sent.subject == "[Harbour] 26 incidents need you, 1 urgent"
    assert sent.body.index("Urgent: Till") < sent.body.index("Needs you: Till shows")
    assert "And 6 more." in sent.body
    assert set(AlertDelivery.objects.values_list("state", flat=True)) == {State.SENT}


def test_a_flapping_cause_is_one_mail_and_one_word_that_it_is_over(owner, till):
    for minute in range(0, 60, 5):
        drift(till, when=at(minute * 60))
        tell(at(minute * 60 + 5))
        incident = Incident.objects.get()
        close(incident, when=at(minute * 60 + 120))
        incidents.settle(now=at(minute * 60 + 130))
        tell(at(minute * 60 + 130))
    incidents.settle(now=at(2 * 3600))
    tell(at(2 * 3600))
    assert mails() == [
        "[Harbour] Needs you: Till shows another number: one",
        "[Harbour] Over: Till shows another number: one",
    ]


def test_what_is_over_is_not_told_to_who_was_not_told_that_it_opened(owner, till):
    route_of(owner, thresholds={"drift": AlertRoute.NEVER})
    incident = drift(till)
    tell()
    AlertRoute.objects.update(thresholds={})
    close(incident, when=at(60), actor=owner.user)
    tell(at(60))
    assert not mail.outbox
    assert AlertDelivery.objects.get().error == "nobody here was told that it had opened"


def test_being_told_that_it_is_over_can_be_switched_off(owner, till):
    route_of(owner, tells_closing=False)
    incident = drift(till)
    tell()
    close(incident, when=at(60), actor=owner.user)
    tell(at(60))
    assert len(mail.outbox) == 1


def test_thresholds_are_by_kind(owner, till):
    route_of(owner, thresholds={"drift": Incident.Severity.CRITICAL, "reconnect": AlertRoute.NEVER})
    drift(till)
    reconnect(till)
    incidents.open_or_count(
        merchant_id=owner.merchant_id,
        connection_id=till.pk,
        kind=Kind.QUARANTINE,
        key="q",
        title="Not applied.",
        now=NOON,
    )
    tell()
    assert mails() == ["[Harbour] Needs you: Not applied."]


def test_what_turns_urgent_is_told_to_who_wants_only_that(owner, till):
    route_of(owner, thresholds={"unreachable": Incident.Severity.CRITICAL})
    incidents.open_or_count(
        merchant_id=owner.merchant_id, connection_id=till.pk, kind=Kind.UNREACHABLE, key="away", title="Away.", now=NOON
    )
    incidents.settle(now=at(120))
    tell(at(180))
    assert not mail.outbox
    incidents.settle(now=at(120 + 3600))
    tell(at(120 + 3700))
    assert mails() == ["[Harbour] Urgent: Away."]


def test_quiet_hours_are_the_shops_and_what_is_urgent_breaks_through_if_wished(owner, till):
    route = route_of(owner, quiet_from=time(22), quiet_until=time(7))
    night = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    drift(till, when=night)
    tell(night)
    assert not mail.outbox
    morning = datetime(2026, 11, 29, 6, tzinfo=UTC)
    assert AlertDelivery.objects.get().next_attempt_at == morning
    reconnect(till, when=night)
    tell(night)
    assert mails() == ["[Harbour] Urgent: Till no longer lets us in."]
    tell(morning)
    assert len(mail.outbox) == 2
    AlertRoute.objects.filter(pk=route.pk).update(breaks_through=False)
    oversold = drift(till, "two", when=night)
    Incident.objects.filter(pk=oversold.pk).update(severity=Incident.Severity.CRITICAL)
    tell(night)
    assert len(mail.outbox) == 2


TIMES = st.times().map(lambda moment: moment.replace(microsecond=0, tzinfo=None))


@given(begins=TIMES, ends=TIMES, minutes=st.integers(min_value=0, max_value=525_600))
def test_the_end_of_quiet_hours_is_told_time_and_less_than_a_day_away(begins, ends, minutes):
    membership = factories.MembershipFactory.build(merchant__timezone="Europe/Berlin")
    route = AlertRoute(merchant=membership.merchant, quiet_from=begins, quiet_until=ends)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = routes.may_be_told_at(route, is_urgent=False, now=now)
    assert timedelta(0) <= due - now <= timedelta(hours=25), "a day may have 25 hours"
    if due != now and begins != ends:
        # The moment it ends is not quiet itself, but for an hour that a change of clocks skips.
        later = routes.may_be_told_at(route, is_urgent=False, now=due + timedelta(hours=1, seconds=1))
        assert later >= due


def test_what_is_taken_on_put_off_or_over_meanwhile_is_not_told(owner, till):
    route_of(owner, quiet_from=time(0), quiet_until=time(23, 59), breaks_through=False)
    taken, put_off, over = (drift(till, name) for name in ("taken", "put off", "over"))
    outbox.decide(now=NOON)
    incidents.acknowledge(incident_id=taken.pk, actor=owner.user, now=NOON)
    incidents.snooze(incident_id=put_off.pk, until=at(86_400 * 2), actor=owner.user, now=NOON)
    close(over, when=NOON, actor=owner.user)
    for seconds in (86_400, 86_400 + 11 * 3600):
        tell(at(seconds))
    assert not mail.outbox
    reasons = set(AlertDelivery.objects.values_list("state", "error"))
    assert reasons == {
        (State.DROPPED, "someone is on it"),
        (State.DROPPED, "put off"),
        (State.DROPPED, "over before it was told"),
        (State.DROPPED, "nobody here was told that it had opened"),
    }


def test_what_is_well_for_the_moment_waits_until_that_is_known(owner, till):
    incident = drift(till)
    outbox.decide(now=NOON)
    close(incident, when=at(1))
    outbox.send_due(now=at(2))
    assert not mail.outbox
    drift(till, when=at(30))
    tell(at(70))
    assert len(mail.outbox) == 1


def test_when_its_time_is_up_what_was_put_off_is_told_again(owner, till):
    incident = reconnect(till)
    tell()
    incidents.snooze(incident_id=incident.pk, until=at(3600), actor=owner.user, now=at(10))
    incidents.settle(now=at(3600))
    tell(at(3600))
    assert mails() == ["[Harbour] Urgent: Till no longer lets us in."] * 2


def test_a_daily_digest_comes_once_at_eight_of_the_shops_clock(owner, till):
    route_of(owner, pace=AlertRoute.Pace.DAILY)
    drift(till, when=datetime(2026, 11, 27, 10, tzinfo=UTC))
    over = drift(till, "two", when=datetime(2026, 11, 27, 10, tzinfo=UTC))
    close(over, when=datetime(2026, 11, 27, 12, tzinfo=UTC), actor=owner.user)
    tell(datetime(2026, 11, 28, 6, 59, tzinfo=UTC))
    assert not mail.outbox
    for minute in (0, 1, 300):
        tell(datetime(2026, 11, 28, 7, tzinfo=UTC) + timedelta(minutes=minute))
    assert mails() == ["[Harbour] Your day: 1 open, 1 over"]
    tell(datetime(2026, 11, 29, 7, tzinfo=UTC))
    assert mails()[1:] == ["[Harbour] Your day: 1 open, 0 over"]


def test_urgent_things_do_not_wait_for_the_digest(owner, till):
    route_of(owner, pace=AlertRoute.Pace.WEEKLY, digested_on=NOON.date())
    drift(till)
    reconnect(till)
    tell()
    assert mails() == ["[Harbour] Urgent: Till no longer lets us in."]


def test_a_weekly_digest_comes_on_mondays_and_says_nothing_where_nothing_is(owner, till):
    route_of(owner, pace=AlertRoute.Pace.WEEKLY)
    monday = datetime(2026, 11, 30, 9, tzinfo=UTC)
    tell(monday - timedelta(days=1))
    assert not AlertDelivery.objects.exists()
    tell(monday)
    assert (AlertDelivery.objects.get().state, mails()) == (State.DROPPED, [])
    drift(till, when=monday)
    tell(monday + timedelta(days=7))
    assert mails() == ["[Harbour] Your week: 1 open, 0 over"]


def test_a_mail_server_that_is_away_is_tried_again_then_given_up_and_that_shows(owner, till, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    reconnect(till)
    now = NOON
    tell(now)
    route, delivery = AlertRoute.objects.get(), AlertDelivery.objects.get()
    assert (route.failing_since, delivery.state, delivery.attempts) == (NOON, State.PENDING, 1)
    assert "mail server" in delivery.error
    for pause in outbox.PAUSES_S:
        now += timedelta(seconds=pause * 1.2)
        tell(now)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.FAILED, len(outbox.PAUSES_S) + 1)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    drift(till, when=now)
    tell(now)
    assert AlertRoute.objects.get().failing_since is None


def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(owner, till, monkeypatch):
    reconnect(till)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_end", lambda *_, **__: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            tell()
    outbox.send_due(now=at(1))
    assert len(mail.outbox) == 1, "its lease has not run out"
    outbox.send_due(now=at(61))
    first, second = mail.outbox
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert AlertDelivery.objects.get().state == State.SENT


def test_an_outage_is_told_to_staff_once_and_to_each_owner_for_their_shop():
    staff = factories.UserFactory()
    owners, tills = [], []
    for _ in range(3):
        owner = factories.MembershipFactory()
        route_of(factories.MembershipFactory(user=staff, merchant=owner.merchant, role="onboarding"), is_on=True)
        owners.append(owner)
        tills.append(factories.ConnectionFactory(merchant=owner.merchant, is_live=True))
    for till in tills:
        incidents.open_or_count(
            merchant_id=till.merchant_id, connection_id=till.pk, kind=Kind.UNREACHABLE, key="channel:square",
            title="Away.", now=NOON,
        )  # fmt: skip
    incidents.settle(now=at(120))
    tell(at(121))
    outages.sweep_outages(now=at(130))
    tell(at(151))
    assert len(mails(staff.email)) == 1
    assert "Square does not answer in several shops" in mails(staff.email)[0]
    assert [len(mails(owner.user.email)) for owner in owners] == [1, 1, 1]


def test_what_only_staff_can_act_on_goes_to_staff(owner, till):
    staff = factories.MembershipFactory(merchant=owner.merchant, role="onboarding")
    everything = {"version": Incident.Severity.INFO.value}
    for membership in (owner, staff):
        route_of(membership, is_on=True, thresholds=everything)
    incidents.open_or_count(
        merchant_id=owner.merchant_id, connection_id=till.pk, kind=Kind.VERSION, key="v", title="Old version.", now=NOON
    )
    incidents.settle(now=NOON)
    tell()
    assert [one.to for one in mail.outbox] == [[staff.user.email]]


def test_a_person_who_no_longer_signs_in_is_told_nothing(owner, till):
    owner.user.is_active = False
    owner.user.save()
    reconnect(till)
    tell()
    assert not mail.outbox


# --- webhooks ---------------------------------------------------------------------------------------------------


def webhook(owner, url: str, label: str = "#shop") -> AlertRoute:
    return routes.add_webhook(merchant=owner.merchant, label=label, url=url, actor=owner.user)


def test_a_webhook_is_told_in_slacks_json(owner):
    till = factories.ConnectionFactory(merchant=owner.merchant, label="Till <&>", is_live=True)
    with listening() as listener:
        webhook(owner, listener.url)
        incident = reconnect(till)
        tell()
    ((headers, _),) = listener.came
    (document,) = listener.documents()
    assert headers["content-type"] == "application/json"
    assert document["text"] == "[Harbour] Urgent: Till &lt;&amp;&gt; no longer lets us in."
    block = document["blocks"][0]
    assert (block["type"], block["text"]["type"]) == ("section", "mrkdwn")
    assert f"/incidents/{incident.pk}/|Till &lt;&amp;&gt; no longer" in block["text"]["text"]


def test_a_webhook_that_fails_holds_up_no_mail_and_is_tried_again(owner, till):
    with listening() as listener:
        listener.status = 503
        webhook(owner, listener.url)
        reconnect(till)
        tell()
        assert len(mail.outbox) == 1
        delivery = AlertDelivery.objects.get(route__channel="webhook")
        assert (delivery.state, delivery.error) == (State.PENDING, "answered 503")
        listener.status = 200
        tell(at(40))
    delivery.refresh_from_db()
    assert (delivery.state, len(listener.came)) == (State.SENT, 2)


def test_in_production_a_webhook_never_reaches_an_address_inside_the_network(owner, till, settings):
    with listening() as listener:
        route = webhook(owner, listener.url)
        settings.SANDBOX = False
        error = outbox.send_test(route=route, actor=owner.user, now=NOON)
        assert error == "its name leads to a private address"
        assert not listener.came
        settings.SANDBOX = True  # the control: the very same address is reached where that is allowed
        assert outbox.send_test(route=route, actor=owner.user, now=at(1)) == ""
        assert len(listener.came) == 1


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/x", "ftp://hooks.example.com/x", "https://", "https://a:b@c/"]
)
def test_in_production_an_address_is_https_and_plain(owner, settings, url):
    settings.SANDBOX = False
    with pytest.raises(routes.CannotKeep):
        webhook(owner, url)
    assert not AlertRoute.objects.filter(channel="webhook").exists()


def test_a_webhooks_address_lies_encrypted_and_moves_to_a_new_key(owner, settings):
    route = webhook(owner, "https://hooks.example.com/services/T0/secret")
    with database.cursor() as cursor:
        cursor.execute("SELECT row_to_json(r)::text FROM alerts_alertroute r WHERE id = %s", [route.pk])
        assert "secret" not in cursor.fetchone()[0]
    settings.CREDENTIAL_KEYS = [f"k9:{'B' * 43}=", *settings.CREDENTIAL_KEYS]
    assert routes.rotate() == 1
    assert routes.rotate() == 0
    route.refresh_from_db()
    assert route.address_kid == "k9"
    assert routes.url_of(route).endswith("/secret")
    assert "secret" not in str(list(AuditEntry.objects.values()))
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[1:]
    with pytest.raises(credentials.UnknownKey):
        routes.url_of(route)


def test_deciding_costs_the_same_for_many_members_and_incidents(owner, till):
    def cost(when: datetime) -> int:
        with CaptureQueriesContext(database) as captured:
            outbox.decide(now=when)
        return len(captured)

    tell()
    drift(till)
    before = cost(NOON)
    for number in range(5):
        factories.MembershipFactory(merchant=owner.merchant, role="manager")
        drift(till, str(number))
    routes.make_up()
    assert cost(at(1)) == before


def test_what_went_wrong_never_tells_the_secret_address(owner):
    route = webhook(owner, "http://127.0.0.1:1/services/T0/secret")
    assert outbox.send_test(route=route, actor=owner.user, now=NOON) == "nobody answers there"
    assert "secret" not in str(list(AlertDelivery.objects.values("error")))
