"""The channel pages: what they say, what they cost, what their buttons do."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import credentials, registry
from channels.models import ChannelStock, Connection, InboundEvent, Incident, Listing
from storestudio.accounts.models import AuditEntry, Membership
from tests import factories
from tests.browser import scenes

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def member(client):
    """An owner, signed in."""
    membership = factories.MembershipFactory()
    client.force_login(membership.user)
    return membership


@pytest.fixture
def live(member):
    """A live connection of the member's shop."""
    return factories.ConnectionFactory(merchant=member.merchant, label="Square till", is_live=True)


def to(name, connection, *more):
    return reverse(name, args=[connection.merchant.slug, connection.pk, *more])


def said(answer):
    """The last message a POST left for the next page."""
    return [str(message) for message in answer.wsgi_request._messages][-1]


@pytest.mark.parametrize("scene_name", ["full", "fresh", "empty", "broken"])
def test_every_page_answers(client, scene_name):
    scene = getattr(scenes, scene_name)()
    client.force_login(scene.user)
    for name, path in scene.paths().items():
        assert client.get(path).status_code == 200, f"{name}: {path}"


def test_pages_carry_no_inline_script_or_style(client):
    scene = scenes.broken()
    client.force_login(scene.user)
    for path in scene.paths().values():
        answer = client.get(path)
        page = answer.content.decode()
        assert " style=" not in page, path
        assert "<script>" not in page, path
        assert "default-src 'self'" in answer["Content-Security-Policy"]


PAGES = ["today", "channels", "connection", "messages", "quarantine", "writes", "listings", "places", "preview"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_as_many_queries_with_more_rows(client, name, django_assert_max_num_queries):
    scene = scenes.broken()
    client.force_login(scene.user)
    path = scene.paths()[name]
    client.get(path)
    before = _queries(client, path)
    more = factories.ConnectionFactory(merchant=scene.merchant, is_live=True)
    for connection in (scene.connections[0], more):
        for _ in range(6):
            line = factories.ChannelWriteLineFactory(cell__connection=connection)
            event = factories.InboundEventFactory(connection=connection, is_quarantined=True)
            line.cause_event_id = event.pk
            line.save()
            factories.InboundEventFactory(connection=connection, is_done=True)
            factories.ListingFactory(connection=connection, is_unlinked=True)
            factories.ChannelLocationFactory(connection=connection, location=None)
            factories.IncidentFactory(connection=connection, cell=line.cell, variant=line.cell.listing.variant)
    with django_assert_max_num_queries(before):
        client.get(path)


def _queries(client, path):
    with CaptureQueriesContext(database) as captured:
        client.get(path)
    return len(captured)


@pytest.mark.parametrize(
    ("headers", "is_part"),
    [
        ({}, False),
        (HTMX, True),
        (HTMX | {"HX-Boosted": "true"}, False),
        (HTMX | {"HX-History-Restore-Request": "true"}, False),
    ],
)
def test_only_htmx_itself_gets_the_part(client, member, headers, is_part):
    answer = client.get(reverse("today", args=[member.merchant.slug]), headers=headers)
    assert ("<html" not in answer.content.decode()) is is_part
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize("part", ["lockstep", "sales", "low_stock"])
def test_a_part_that_shows_the_truth_already_is_not_sent_again(client, member, live, part):
    url = reverse("today", args=[member.merchant.slug])
    first = client.get(f"{url}?part={part}", headers=HTMX).content.decode()
    seen = first.split("seen=")[1].split('"')[0]
    assert client.get(f"{url}?part={part}&seen={seen}", headers=HTMX).status_code == 204


def test_a_part_is_sent_again_when_its_facts_change(client, member, live):
    url = reverse("today", args=[member.merchant.slug])
    first = client.get(f"{url}?part=lockstep", headers=HTMX).content.decode()
    seen = first.split("seen=")[1].split('"')[0]
    factories.IncidentFactory(connection=live)
    assert client.get(f"{url}?part=lockstep&seen={seen}", headers=HTMX).status_code == 200


def test_the_pulse_is_204_while_nothing_changed(client, member, live):
    url = reverse("pulse", args=[member.merchant.slug])
    seen = client.get(url).content.decode().split("seen=")[1].split('"')[0]
    assert client.get(f"{url}?seen={seen}").status_code == 204
    Connection.objects.filter(pk=live.pk).update(state=Connection.State.RECONNECT)
    assert client.get(f"{url}?seen={seen}").status_code == 200


def test_today_leads_from_each_need_to_a_page_that_exists(client):
    scene = scenes.broken()
    client.force_login(scene.user)
    page = client.get(scene.home).content.decode()
    links = [piece.split('"')[0] for piece in page.split('-do" href="')[1:]]
    assert len(links) == 7
    for link in links:
        assert client.get(link.split("#")[0]).status_code == 200, link


def test_replaying_puts_a_message_back_into_the_queue(client, live):
    event = factories.InboundEventFactory(connection=live, is_quarantined=True)
    client.post(to("replay_message", live, event.pk))
    event.refresh_from_db()
    assert (event.state, event.attempts) == (InboundEvent.State.PENDING, 0)


def test_a_message_decided_about_twice_is_no_error(client, live):
    event = factories.InboundEventFactory(connection=live, is_done=True)
    assert "already" in said(client.post(to("replay_message", live, event.pk)))
    assert "already" in said(client.post(to("discard_message", live, event.pk), {"reason": "old"}))


def test_discarding_wants_a_reason_and_keeps_the_bytes(client, live):
    event = factories.InboundEventFactory(connection=live, is_quarantined=True)
    client.post(to("discard_message", live, event.pk), {"reason": "  "})
    event.refresh_from_db()
    assert event.state == InboundEvent.State.QUARANTINED
    client.post(to("discard_message", live, event.pk), {"reason": "a test of theirs"})
    event.refresh_from_db()
    assert event.state == InboundEvent.State.DISCARDED
    assert bytes(event.body).startswith(b"{")


def test_unreadable_bytes_are_shown_as_hex(client, live):
    factories.InboundEventFactory(connection=live, is_quarantined=True, body=b"\x89PNG\r\n<script>")
    page = client.get(to("channel_messages", live) + "?state=quarantined").content.decode()
    assert "89 50 4e 47 0d 0a" in page
    assert "<script>" not in page.split("<main")[1]


def test_an_echo_is_marked_as_ours(client, live):
    factories.InboundEventFactory(connection=live, is_done=True, outcome="as expected: this was us, or known already")
    assert "tag-ours" in client.get(to("channel_messages", live)).content.decode()
    InboundEvent.objects.update(outcome="1 movement")
    assert "tag-ours" not in client.get(to("channel_messages", live)).content.decode()


def test_pausing_wants_a_reason_and_resuming_undoes_it(client, live):
    client.post(to("pause_channel", live), {"reason": ""})
    live.refresh_from_db()
    assert live.state == Connection.State.LIVE
    client.post(to("pause_channel", live), {"reason": "stock take"})
    live.refresh_from_db()
    assert (live.state, live.state_reason) == (Connection.State.PAUSED, "stock take")
    assert "stock take" in client.get(to("channel", live)).content.decode()
    client.post(to("resume_channel", live))
    live.refresh_from_db()
    assert live.state == Connection.State.LIVE
    assert AuditEntry.objects.filter(object_id=str(live.pk), action__startswith="connection.").count() == 2


def test_a_connection_that_was_never_approved_cannot_be_resumed(client, member):
    waiting = factories.ConnectionFactory(merchant=member.merchant)
    assert "approve" in said(client.post(to("resume_channel", waiting)))
    waiting.refresh_from_db()
    assert waiting.state == Connection.State.PAUSED


def test_a_yes_is_a_yes_to_the_table_that_was_shown(client):
    scene = scenes.fresh()
    client.force_login(scene.user)
    (web,) = scene.connections
    page = client.get(to("channel_preview", web)).content.decode()
    digest = page.split('name="digest" value="')[1].split('"')[0]
    # Three items would drop to zero: a click alone is refused, and says why.
    answer = client.post(to("approve_channel", web), {"digest": digest})
    assert answer.status_code == 422
    assert "Type “approve”" in answer.content.decode()
    # The stock moved since: shown again.
    cell = ChannelStock.objects.filter(connection=web).exclude(observed=0).first()
    was = cell.observed
    ChannelStock.objects.filter(pk=cell.pk).update(observed=was + 1)
    answer = client.post(to("approve_channel", web), {"digest": digest, "confirm": "approve"})
    assert answer["Location"] == to("channel_preview", web)
    web.refresh_from_db()
    assert web.state == Connection.State.PAUSED
    ChannelStock.objects.filter(pk=cell.pk).update(observed=was)
    client.post(to("approve_channel", web), {"digest": digest, "confirm": "Approve "})
    web.refresh_from_db()
    assert (web.state, web.approved_by) == (Connection.State.LIVE, scene.user)


def test_places_are_mapped_and_swapped_in_one_go(client, live):
    ours = [factories.LocationFactory(merchant=live.merchant) for _ in range(2)]
    theirs = [factories.ChannelLocationFactory(connection=live, location=None) for _ in range(2)]
    page = to("channel_places", live)

    def choose(first, second):
        data = {f"place-{theirs[0].pk}": first, f"place-{theirs[1].pk}": second}
        answer = client.post(page, data)
        for place in theirs:
            place.refresh_from_db()
        return answer.status_code, [place.location for place in theirs]

    assert choose(ours[0].pk, ours[1].pk) == (302, ours)
    assert choose(ours[1].pk, ours[0].pk) == (302, ours[::-1])
    assert choose(ours[0].pk, ours[0].pk) == (422, ours[::-1])
    assert choose(ours[0].pk, "") == (302, [ours[0], None])


def test_a_place_cannot_be_mapped_to_a_location_of_another_shop(client, live):
    place = factories.ChannelLocationFactory(connection=live, location=None)
    foreign = factories.LocationFactory()
    assert client.post(to("channel_places", live), {f"place-{place.pk}": foreign.pk}).status_code == 422


def test_a_listing_is_linked_by_sku_or_left_alone(client, live):
    variant = factories.VariantFactory(merchant=live.merchant, sku="GIFT-50")
    listing, other = (factories.ListingFactory(connection=live, is_unlinked=True) for _ in range(2))
    assert "No item" in said(client.post(to("link_listing", live, listing.pk), {"sku": "nope"}))
    assert "No item" in said(client.post(to("link_listing", live, listing.pk), {"sku": ""}))
    client.post(to("link_listing", live, listing.pk), {"sku": "gift-50"})
    client.post(to("exclude_listing", live, other.pk))
    listing.refresh_from_db()
    other.refresh_from_db()
    assert (listing.variant, listing.link) == (variant, Listing.Link.LINKED)
    assert other.link == Listing.Link.EXCLUDED


def test_a_drift_is_decided_for_ours_or_theirs(client, live):
    cell = factories.ChannelStockFactory(connection=live, observed=Decimal(3), drift_at=utc_now())
    factories.IncidentFactory(
        connection=live, kind=Incident.Kind.DRIFT, key=f"cell:{cell.pk}", cell=cell, variant=cell.listing.variant
    )
    page = client.get(to("channel", live)).content.decode()
    assert "Ours is right: send 5" in page
    assert "Theirs is right: book −2" in page
    assert client.post(to("resolve_drift", live, cell.pk), {"choice": "both"}).status_code == 422
    client.post(to("resolve_drift", live, cell.pk), {"choice": "ours"})
    cell.refresh_from_db()
    assert cell.drift_at is None
    assert not Incident.objects.standing().exists()
    assert "by themselves" in said(client.post(to("resolve_drift", live, cell.pk), {"choice": "ours"}))


def test_a_refused_number_can_be_sent_again(client, live):
    cell = factories.ChannelStockFactory(connection=live, blocked_reason="must be whole")
    client.post(to("retry_cell", live, cell.pk))
    cell.refresh_from_db()
    assert cell.blocked_reason == ""


def test_an_associate_sees_all_and_decides_nothing(client, live):
    associate = factories.MembershipFactory(merchant=live.merchant, role=Membership.Role.ASSOCIATE)
    client.force_login(associate.user)
    event = factories.InboundEventFactory(connection=live, is_quarantined=True)
    page = client.get(to("channel", live)).content.decode()
    assert "Pause" not in page
    assert "Replay" not in client.get(to("channel_messages", live) + "?state=quarantined").content.decode()
    for name, more in (("pause_channel", ()), ("replay_message", (event.pk,)), ("put_back_channel", ())):
        assert client.post(to(name, live, *more), {"reason": "x"}).status_code == 403


def test_today_asks_nobody_for_what_their_role_does_not_reach(client):
    scene = scenes.fresh()
    associate = factories.MembershipFactory(merchant=scene.merchant, role=Membership.Role.ASSOCIATE)
    client.force_login(scene.user)
    assert "See what would change" in client.get(scene.home).content.decode()
    client.force_login(associate.user)
    page = client.get(scene.home).content.decode()
    assert "See what would change" not in page
    assert "Nothing needs you" in page


def test_old_messages_lie_on_later_pages_and_none_is_shown_twice(client, live):
    now = utc_now()
    for index in range(120):
        # Many at the very same moment: the id must decide.
        factories.InboundEventFactory(connection=live, is_done=True, received_at=now - timedelta(seconds=index // 40))
    url, seen = to("channel_messages", live), []
    while url:
        answer = client.get(url)
        seen += [row["event"].pk for row in answer.context["rows"]]
        url = answer.context["page"].next_url
    assert len(seen) == len(set(seen)) == 120


def test_a_new_key_connects_again_and_is_stored_encrypted(client, live):
    credentials.store(live, {"access_token": "old", "application_token": "kept"})
    live.state = Connection.State.RECONNECT
    live.save()
    factories.IncidentFactory(connection=live, kind=Incident.Kind.RECONNECT, key=f"connection:{live.pk}")
    assert "Paste" in said(client.post(to("reconnect_channel", live), {"access_token": " "}))
    client.post(to("reconnect_channel", live), {"access_token": "fresh-key"})
    live.refresh_from_db()
    assert live.state == Connection.State.LIVE
    assert credentials.load(live) == {"access_token": "fresh-key", "application_token": "kept"}
    assert b"fresh-key" not in bytes(live.credentials)
    assert "fresh-key" not in client.get(to("channel", live)).content.decode()
    assert not Incident.objects.standing().exists()
    assert "already" in said(client.post(to("reconnect_channel", live), {"access_token": "other"}))


def test_reconnecting_asks_for_the_keys_of_that_channel(client, live):
    live.state = Connection.State.RECONNECT
    live.save()
    page = client.get(to("channel", live)).content.decode()
    wanted = registry.capabilities(live.channel).secrets
    assert all(f'name="{secret.name}"' in page for secret in wanted)
    assert "Make a new access token at" in page
