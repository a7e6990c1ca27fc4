"""Quarantine by the hundred: replayed after a fix, or given up on with one reason; bounded, confirmed, on record."""

from __future__ import annotations

import pytest
from django.urls import reverse

from channels import inbox, incidents, intake
from channels.models import InboundEvent, Incident
from storestudio.accounts.models import AuditEntry, Membership
from tests import factories

pytestmark = pytest.mark.django_db
State = InboundEvent.State


@pytest.fixture
def live(db):
    return factories.ConnectionFactory(is_live=True)


@pytest.fixture
def owner(client, live):
    membership = factories.MembershipFactory(merchant=live.merchant)
    client.force_login(membership.user)
    return membership.user


def quarantined(connection, count, **fields):
    events = [factories.InboundEventFactory(connection=connection, is_quarantined=True, **fields) for _ in range(count)]
    intake.report_quarantine(merchant_id=connection.merchant_id, connection_id=connection.pk)
    return events


def there(connection, query=""):
    return reverse("decide_quarantine", args=[connection.merchant.slug, connection.pk]) + query


def states():
    return sorted(InboundEvent.objects.values_list("state", flat=True))


def test_causes_are_told_apart_by_topic_and_error_the_most_frequent_first(live):
    quarantined(live, 1, topic="order.updated", error="no such place")
    newest = quarantined(live, 3, topic="order.updated", error="KeyError: 'sku'")[-1]
    quarantined(factories.ConnectionFactory(), 2, topic="order.updated", error="KeyError: 'sku'")
    first, second = inbox.causes(connection=live)
    assert (first.topic, first.error, first.count, first.like) == ("order.updated", "KeyError: 'sku'", 3, newest.pk)
    assert second.count == 1


def test_asking_changes_nothing_and_says_what_it_is_about(client, owner, live):
    (event, *_) = quarantined(live, 2, topic="order.updated", error="KeyError: 'sku'")
    quarantined(live, 1, topic="order.created", error="no such place")
    page = client.get(there(live, "?deed=replay")).content.decode()
    assert "Replay 3 messages" in page
    page = client.get(there(live, f"?deed=discard&like={event.pk}")).content.decode()
    assert "Discard 2 messages" in page
    assert "no such place" not in page
    assert states() == [State.QUARANTINED] * 3


def test_all_are_replayed_once_they_were_seen_and_the_incident_closes(client, owner, live):
    seen = quarantined(live, 3)
    other = quarantined(factories.ConnectionFactory(), 1)[0]
    late = factories.InboundEventFactory(connection=live, is_quarantined=True)
    client.post(there(live), {"deed": "replay", "up_to": seen[-1].pk})
    late.refresh_from_db()
    other.refresh_from_db()
    assert (late.state, other.state) == (State.QUARANTINED, State.QUARANTINED)
    replayed = InboundEvent.objects.filter(pk__in=[event.pk for event in seen])
    assert {(event.state, event.attempts) for event in replayed} == {(State.PENDING, 0)}
    assert Incident.objects.get(connection=live).resolved_at is None
    client.post(there(live), {"deed": "replay", "up_to": late.pk})
    assert Incident.objects.get(connection=live).resolved_at is not None
    first, second = AuditEntry.objects.filter(action="inbox.replayed").order_by("pk")
    assert (first.actor, first.detail["events"]) == (owner, [event.pk for event in seen])
    assert second.detail["events"] == [late.pk]


def test_those_that_failed_alike_are_discarded_for_one_reason_and_their_bytes_stay(client, owner, live):
    alike = quarantined(live, 2, topic="order.updated", error="KeyError: 'sku'")
    another = quarantined(live, 1, topic="order.updated", error="no such place")[0]
    form = {"deed": "discard", "up_to": another.pk, "like": alike[0].pk}
    assert client.post(there(live), form | {"reason": " "}).status_code == 422
    assert states() == [State.QUARANTINED] * 3
    client.post(there(live), form | {"reason": "a test of theirs"})
    for event in alike:
        event.refresh_from_db()
        assert (event.state, event.outcome, event.applied_at is None) == (State.DISCARDED, "a test of theirs", False)
        assert bytes(event.body).startswith(b"{")
    another.refresh_from_db()
    assert another.state == State.QUARANTINED
    assert AuditEntry.objects.get(action="inbox.discarded").detail["outcome"] == "a test of theirs"


def test_no_more_than_the_limit_at_once_the_oldest_first(client, owner, live, monkeypatch):
    monkeypatch.setattr(inbox, "MANY_MAX", 2)
    events = quarantined(live, 3)
    page = client.get(there(live, "?deed=replay")).content.decode()
    assert "Replay 2 messages" in page
    assert inbox.replay_many(connection=live, actor=None, up_to=events[-1].pk) == 2
    events[-1].refresh_from_db()
    assert events[-1].state == State.QUARANTINED
    assert inbox.replay_many(connection=live, actor=None, up_to=events[-1].pk) == 1
    assert inbox.replay_many(connection=live, actor=None, up_to=events[-1].pk) == 0


def test_decided_twice_is_no_error_and_one_like_nothing_names_nothing(client, owner, live):
    (event,) = quarantined(live, 1)
    elsewhere = quarantined(factories.ConnectionFactory(), 1)[0]
    assert inbox.replay_many(connection=live, actor=owner, up_to=elsewhere.pk, like=elsewhere.pk) == 0
    for _ in range(2):
        answer = client.post(there(live), {"deed": "replay", "up_to": event.pk}, follow=True)
    assert "already" in answer.content.decode()
    assert AuditEntry.objects.filter(action="inbox.replayed").count() == 1
    assert client.get(there(live, "?deed=replay")).status_code == 302


def test_what_was_given_up_on_by_mistake_is_replayed_after_all(client, owner, live):
    (event,) = quarantined(live, 1, body=b"\x89PNG\r\n\x00")
    inbox.discard(event_id=event.pk, actor=owner, reason="a slip")
    page = client.get(reverse("event", args=[live.merchant.slug, event.pk])).content.decode()
    assert "Replay it after all" in page
    assert "89 50 4e 47 0d 0a 00" in page, "what is no text is shown as bytes"
    replay = reverse("replay_message", args=[live.merchant.slug, live.pk, event.pk])
    assert "Back in the queue" in client.post(replay, follow=True).content.decode()
    event.refresh_from_db()
    assert (event.state, event.applied_at, event.attempts) == (State.PENDING, None, 0)
    assert "already" in client.post(replay, follow=True).content.decode()
    assert "Replay" not in client.get(reverse("event", args=[live.merchant.slug, event.pk])).content.decode()


def test_associates_read_and_do_not_decide(client, live):
    associate = factories.MembershipFactory(merchant=live.merchant, role=Membership.Role.ASSOCIATE)
    client.force_login(associate.user)
    quarantined(live, 2)
    page = client.get(reverse("channel_messages", args=[live.merchant.slug, live.pk]) + "?state=quarantined")
    assert "Why they wait" in page.content.decode()
    assert "Replay all" not in page.content.decode()
    assert client.post(there(live), {"deed": "replay", "up_to": 10**9}).status_code == 403
    assert states() == [State.QUARANTINED] * 2
    assert Incident.objects.get(kind=incidents.Kind.QUARANTINE).resolved_at is None
