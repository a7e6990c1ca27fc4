"""The pages of incidents: found, read, taken on, put off, written on; what owners see and what staff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import health, incidents
from channels.models import Incident, IncidentEvent
from storestudio.accounts.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db
Kind = Incident.Kind


@pytest.fixture
def member(client):
    membership = factories.MembershipFactory(merchant__timezone="Europe/Berlin")
    client.force_login(membership.user)
    return membership


@pytest.fixture
def connection(member):
    return factories.ConnectionFactory(merchant=member.merchant, label="Square till", is_live=True)


def raised(connection, title="Square till no longer lets us in.", kind=Kind.RECONNECT, **fields):
    pk = incidents.open_or_count(
        merchant_id=connection.merchant_id, connection_id=connection.pk, kind=kind, key=title[:50], title=title,
        reason="TOKEN_REVOKED",
    )  # fmt: skip
    Incident.objects.filter(pk=pk).update(**fields)
    return Incident.objects.get(pk=pk)


def there(name, incident=None, member=None):
    if incident is None:
        return reverse(name, args=[member.merchant.slug])
    return reverse(name, args=[incident.merchant.slug, incident.pk])


def listed(client, member, query=""):
    page = client.get(there("incidents", member=member) + query).content.decode()
    return {one.title for one in Incident.objects.all() if f">{one.title}<" in page}


def test_the_list_filters_by_state_kind_and_words(client, member, connection):
    now = utc_now()
    open_one = raised(connection)
    put_off = raised(connection, "A number differs", Kind.DRIFT, snoozed_until=now + timedelta(hours=1))
    closed = raised(connection, "Could not be applied", Kind.QUARANTINE, resolved_at=now, resolution="replayed")
    watched = raised(connection, "Not yet", Kind.BEHIND)
    assert watched.confirmed_at is None
    assert listed(client, member) == {open_one.title}
    assert listed(client, member, "?state=snoozed") == {put_off.title}
    assert listed(client, member, "?state=closed") == {closed.title}
    assert listed(client, member, "?state=nonsense&kind=nonsense") == {open_one.title}
    assert listed(client, member, "?kind=drift") == set()
    assert listed(client, member, "?q=LETS") == {open_one.title}
    assert listed(client, member, "?q=nothing-like-that") == set()


def test_the_list_pages_and_costs_the_same_for_many(client, member, connection, django_assert_max_num_queries):
    for number in range(55):
        raised(connection, f"Incident {number:03d}", opened_at=utc_now() - timedelta(minutes=number))
    with django_assert_max_num_queries(25):
        first = listed(client, member)
    assert len(first) == 50
    page = client.get(there("incidents", member=member)).content.decode()
    query = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].partition("?")[2].replace("&amp;", "&")
    rest = listed(client, member, f"?{query}")
    assert len(rest) == 5
    assert not rest & first


def test_owners_read_plain_words_and_staff_the_evidence(client, member, connection):
    incident = raised(connection)
    page = client.get(there("incident", incident)).content.decode()
    assert "no longer accepts our key" in page
    assert "Connect it again" in page
    assert "Stopped calling it" in page, "what the product did"
    assert "TOKEN_REVOKED" not in page
    staff = factories.MembershipFactory(merchant=member.merchant, role="onboarding")
    client.force_login(staff.user)
    page = client.get(there("incident", incident)).content.decode()
    assert "TOKEN_REVOKED" in page
    assert "reconnect · Square till" in page


def test_what_only_staff_can_act_on_is_not_shown_to_owners(client, member, connection):
    incident = raised(connection, "It speaks another version", Kind.VERSION)
    assert client.get(there("incident", incident)).status_code == 404
    assert listed(client, member) == set()
    assert health.pulse(merchant=member.merchant, now=utc_now()).unseen == 0
    assert not health.needs(merchant=member.merchant, lines=[])
    client.force_login(factories.MembershipFactory(merchant=member.merchant, role="onboarding").user)
    assert client.get(there("incident", incident)).status_code == 200


def test_taking_it_on_is_said_once_counted_and_kept(client, member, connection):
    incident = raised(connection)
    assert health.pulse(merchant=member.merchant, now=utc_now()).unseen == 1
    for _ in range(2):
        answer = client.post(there("acknowledge_incident", incident))
        assert answer["Location"] == there("incident", incident)
    incident.refresh_from_db()
    assert incident.acknowledged_by == member.user
    assert IncidentEvent.objects.filter(kind="acknowledged").count() == 1
    assert AuditEntry.objects.filter(action="incident.acknowledged").count() == 1
    pulse = health.pulse(merchant=member.merchant, now=utc_now())
    assert (pulse.unseen, pulse.incidents) == (0, 1)
    (need,) = health.needs(merchant=member.merchant, lines=[])
    assert need.taken_by == member.user.get_short_name()
    assert client.post(there("acknowledge_incident", incident), {"to": "list"})["Location"].endswith("/incidents/")


def test_putting_off_takes_it_from_sight_until_its_time(client, member, connection):
    incident = raised(connection)
    assert client.post(there("snooze_incident", incident), {"choice": "hour"}).status_code == 302
    incident.refresh_from_db()
    until = incident.snoozed_until
    assert timedelta(minutes=59) < until - utc_now() <= timedelta(hours=1)
    assert not health.needs(merchant=member.merchant, lines=[])
    incidents.settle(now=until - timedelta(seconds=1))
    assert not Incident.objects.pressing().exists()
    incidents.settle(now=until)
    assert Incident.objects.pressing().exists()
    assert IncidentEvent.objects.order_by("-pk")[0].kind == "woken"


def test_it_can_be_put_off_until_a_moment_of_the_shops_clock_and_brought_back(client, member, connection):
    incident = raised(connection)
    day = (utc_now() + timedelta(days=3)).date()
    client.post(there("snooze_incident", incident), {"choice": "moment", "until": f"{day}T08:30"})
    incident.refresh_from_db()
    berlin = incident.snoozed_until.astimezone(incidents.people.ZoneInfo("Europe/Berlin"))
    assert (berlin.date(), berlin.hour, berlin.minute) == (day, 8, 30)
    client.post(there("snooze_incident", incident), {"choice": "wake"})
    incident.refresh_from_db()
    assert incident.snoozed_until is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"choice": "moment", "until": "2020-01-01T09:00"}, "That moment is over"),
        ({"choice": "moment", "until": "2099-01-01T09:00"}, "30 days at most"),
        ({"choice": "moment"}, "Choose a day and a time"),
        ({"choice": "moment", "until": "soon"}, "Enter a valid date/time"),
    ],
)
def test_a_moment_that_cannot_be_is_refused_in_words(client, member, connection, typed, said):
    incident = raised(connection)
    answer = client.post(there("snooze_incident", incident), typed)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    incident.refresh_from_db()
    assert incident.snoozed_until is None


def test_tomorrow_is_nine_where_the_shop_is_and_the_clock_may_change_overnight():
    evening = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)  # half past one on Sunday in Berlin, before clocks go back
    assert incidents.tomorrow_morning(now=evening, zone="Europe/Berlin") == datetime(2026, 10, 26, 8, tzinfo=UTC)
    assert incidents.tomorrow_morning(now=evening, zone="America/New_York") == datetime(2026, 10, 25, 13, tzinfo=UTC)


def test_a_note_is_kept_even_when_it_is_over_and_an_empty_one_is_refused(client, member, connection):
    incident = raised(connection, resolved_at=utc_now())
    assert client.post(there("note_on_incident", incident), {"text": " "}).status_code == 422
    client.post(there("note_on_incident", incident), {"text": "The <b>router</b> was off."})
    page = client.get(there("incident", incident)).content.decode()
    assert "The &lt;b&gt;router&lt;/b&gt; was off." in page
    assert member.user.get_full_name() in page


def test_what_is_over_can_no_longer_be_taken_on_or_put_off(client, member, connection):
    incident = raised(connection, resolved_at=utc_now())
    for name, data in (("acknowledge_incident", {}), ("snooze_incident", {"choice": "hour"})):
        page = client.post(there(name, incident), data, follow=True).content.decode()
        assert "closed meanwhile" in page
    incident.refresh_from_db()
    assert (incident.acknowledged_at, incident.snoozed_until) == (None, None)


def test_associates_look_and_write_but_do_not_decide(client, member, connection):
    incident = raised(connection)
    client.force_login(factories.MembershipFactory(merchant=member.merchant, role="associate").user)
    page = client.get(there("incident", incident)).content.decode()
    assert "I am on it" not in page
    assert client.post(there("acknowledge_incident", incident)).status_code == 403
    assert client.post(there("snooze_incident", incident), {"choice": "hour"}).status_code == 403
    assert client.post(there("note_on_incident", incident), {"text": "Seen."}).status_code == 302


def test_the_bell_counts_what_nobody_has_taken_on(client, member, connection):
    page = client.get(reverse("stock", args=[member.merchant.slug])).content.decode()
    assert 'class="bell-count"' not in page
    raised(connection)
    page = client.get(reverse("stock", args=[member.merchant.slug])).content.decode()
    assert '<span class="bell-count">1<' in page


def test_the_share_acted_on_counts_a_persons_deed_within_a_day(member, connection):
    now = utc_now()
    ago = now - timedelta(days=3)
    for title, hours in (("taken", 23), ("late", 25)):
        taken_at = ago + timedelta(hours=hours)
        raised(connection, title, confirmed_at=ago, acknowledged_at=taken_at, acknowledged_by=member.user)
    raised(connection, "solved", confirmed_at=ago, resolved_at=ago + timedelta(hours=1), resolved_by=member.user)
    raised(connection, "by itself", confirmed_at=ago, resolved_at=ago + timedelta(hours=1))
    raised(connection, "still has its time", confirmed_at=now - timedelta(hours=2))
    raised(connection, "long ago", confirmed_at=now - timedelta(days=40), resolved_at=now)
    found = incidents.acted_on(merchants=[member.merchant.pk], now=now)[member.merchant.pk]
    assert (found.told, found.acted, found.share) == (4, 2, 50)
    nobody = factories.MerchantFactory()
    assert incidents.acted_on(merchants=[nobody.pk], now=now)[nobody.pk].share is None
