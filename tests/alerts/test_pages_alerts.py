"""The page of alerts: what one is told, webhooks of the shop, tests, what was told; whose is whose."""

from __future__ import annotations

from datetime import time

import pytest
from django.core import mail
from django.urls import reverse

from channels.alerts import routes
from channels.alerts.models import AlertDelivery, AlertRoute
from channels.models import Incident
from tests import factories
from tests.listening import listening

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(client):
    membership = factories.MembershipFactory()
    client.force_login(membership.user)
    return membership


def there(name, *arguments, member):
    return reverse(name, args=[member.merchant.slug, *arguments])


def typed(**more):
    kinds = {f"kind_{kind.value}": "2" for kind in Incident.Kind}
    return kinds | {"is_on": "on", "pace": "at_once", "tells_closing": "on"} | more


def test_one_sets_what_one_is_told_and_when(client, member):
    route = routes.of_member(member)
    page = client.get(there("alerts", member=member)).content.decode()
    assert member.user.email in page
    assert "kind_version" not in page, "nothing an owner could act on"
    answer = client.post(
        there("change_alert_route", route.pk, member=member),
        typed(pace="daily", quiet_from="22:00", quiet_until="07:30", kind_drift="9", kind_reconnect="3"),
    )
    assert answer["Location"] == there("alerts", member=member)
    route.refresh_from_db()
    assert (route.pace, route.quiet_from, route.quiet_until) == ("daily", time(22), time(7, 30))
    assert (route.breaks_through, route.tells_closing) == (False, True)
    assert (route.least_of("drift"), route.least_of("reconnect"), route.least_of("guard")) == (9, 3, 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"quiet_from": "22:00"}, "leave both empty"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "They would never end"),
        ({"pace": "hourly"}, "Select a valid choice"),
        ({"kind_drift": "7"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(client, member, wrong, said):
    route = routes.of_member(member)
    answer = client.post(there("change_alert_route", route.pk, member=member), typed(**wrong))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    route.refresh_from_db()
    assert (route.quiet_from, route.thresholds, route.pace) == (None, {}, "at_once")


def test_one_may_set_all_ones_shops_alike_and_nobody_elses(client, member):
    second = factories.MembershipFactory(user=member.user, role="onboarding")
    colleague = factories.MembershipFactory(merchant=second.merchant)
    route = routes.of_member(member)
    assert "Save for all my shops" in client.get(there("alerts", member=member)).content.decode()
    client.post(there("change_alert_route", route.pk, member=member), typed(kind_drift="9", also="other_shops"))
    assert (routes.of_member(second).is_on, routes.of_member(second).least_of("drift")) == (True, 9)
    assert routes.of_member(colleague).least_of("drift") == 2


def test_nobody_sees_or_changes_another_members_route(client, member):
    other = routes.of_member(factories.MembershipFactory(merchant=member.merchant))
    for name in ("change_alert_route", "test_alert_route", "remove_alert_webhook"):
        assert client.post(there(name, other.pk, member=member), typed()).status_code == 404
    assert not mail.outbox


def test_a_test_is_sent_and_what_came_of_it_is_said(client, member, settings):
    route = routes.of_member(member)
    page = client.post(there("test_alert_route", route.pk, member=member), follow=True).content.decode()
    assert f"on its way to {member.user.email}" in page
    assert "A test" in mail.outbox[0].subject
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    page = client.post(there("test_alert_route", route.pk, member=member), follow=True).content.decode()
    assert "It did not arrive" in page
    assert "Could not be reached" in page
    assert AlertDelivery.objects.filter(state="failed").count() == 1


def test_a_webhook_is_added_tried_and_removed_and_its_address_never_shown(client, member):
    with listening() as listener:
        answer = client.post(there("add_alert_webhook", member=member), {"label": "#floor", "url": listener.url})
        assert answer.status_code == 302
        route = AlertRoute.objects.get(channel="webhook")
        client.post(there("test_alert_route", route.pk, member=member))
        assert "A test" in listener.documents()[0]["text"]
        page = client.get(there("alerts", member=member)).content.decode()
        assert "#floor" in page
        assert "Takes it" in page
        assert listener.url not in page
    client.post(there("remove_alert_webhook", route.pk, member=member))
    assert client.post(there("test_alert_route", route.pk, member=member)).status_code == 404
    assert "#floor" in client.get(there("alerts", member=member)).content.decode(), "its log stays"


def test_a_wrong_address_is_refused_in_words_and_there_is_a_most(client, member):
    answer = client.post(there("add_alert_webhook", member=member), {"label": "x", "url": "ftp://x"})
    assert answer.status_code == 422
    assert "must begin with https://" in answer.content.decode()
    for number in range(routes.WEBHOOKS_MAX):
        routes.add_webhook(
            merchant=member.merchant, label=str(number), url="https://hooks.example.com/x", actor=member.user
        )
    answer = client.post(
        there("add_alert_webhook", member=member), {"label": "x", "url": "https://hooks.example.com/x"}
    )
    assert answer.status_code == 422
    assert "10 webhooks" in answer.content.decode()


def test_associates_set_their_own_and_see_no_webhooks(client, member):
    routes.add_webhook(merchant=member.merchant, label="#floor", url="https://hooks.example.com/x", actor=member.user)
    associate = factories.MembershipFactory(merchant=member.merchant, role="associate")
    client.force_login(associate.user)
    page = client.get(there("alerts", member=member)).content.decode()
    assert associate.user.email in page
    assert "#floor" not in page
    webhook = AlertRoute.objects.get(channel="webhook")
    assert client.post(there("change_alert_route", webhook.pk, member=member), typed()).status_code == 404
    assert (
        client.post(there("add_alert_webhook", member=member), {"label": "x", "url": "https://x.example/"}).status_code
        == 403
    )


def test_an_admin_who_is_no_member_sees_the_shops_webhooks(client, member):
    client.force_login(factories.UserFactory(is_superuser=True, is_staff=True))
    page = client.get(there("alerts", member=member))
    assert page.status_code == 200
    assert "Your e-mail" not in page.content.decode()
