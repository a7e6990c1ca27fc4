"""The fleet page: whose shops it shows, what it says of each connection, what it costs; and the error budget."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import health
from channels.health import fleet
from channels.models import ChannelStock, Connection, SubscriptionRepair
from storestudio.accounts.models import Membership
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    user = factories.UserFactory()
    client.force_login(user)
    return user


def shop(user, name, *, role=Membership.Role.ONBOARDING):
    membership = factories.MembershipFactory(user=user, role=role, merchant__name=name)
    return factories.ConnectionFactory(merchant=membership.merchant, label=f"Till of {name}", is_live=True)


def answered(connection, *, seconds, at=None):
    at = at or utc_now() - timedelta(minutes=5)
    write = factories.ChannelWriteFactory(connection=connection, sent_at=at, answered_at=at)
    cell = factories.ChannelStockFactory(connection=connection)
    return factories.ChannelWriteLineFactory(write=write, cell=cell, cause_occurred_at=at - timedelta(seconds=seconds))


def line_of(connection, now=None):
    (line,) = health.fleet_lines(merchants=[connection.merchant], now=now or utc_now())
    return line


def labels(answer):
    """Connections in the order in which the page shows them."""
    page = answer.content.decode()
    found = [(page.index(f">{one.label}<"), one.label) for one in Connection.objects.all() if f">{one.label}<" in page]
    return [label for _, label in sorted(found)]


def test_staff_see_the_shops_they_look_after_and_no_others(client, staff):
    shop(staff, "Ash")
    shop(staff, "Birch")
    shop(staff, "Owned", role=Membership.Role.OWNER)
    shop(factories.UserFactory(), "Cedar")
    gone = shop(staff, "Dogwood")
    Connection.objects.filter(pk=gone.pk).update(state="closed")
    assert labels(client.get(reverse("fleet"))) == ["Till of Ash", "Till of Birch"]


def test_an_admin_sees_all_and_an_owner_is_refused(client):
    shop(factories.UserFactory(), "Cedar")
    owner = factories.MembershipFactory().user
    client.force_login(owner)
    assert client.get(reverse("fleet")).status_code == 403
    assert reverse("fleet") not in client.get("/", follow=True).content.decode()
    client.force_login(factories.UserFactory(is_superuser=True, is_staff=True))
    assert labels(client.get(reverse("fleet"))) == ["Till of Cedar"]
    assert reverse("fleet") in client.get("/?all=1").content.decode()


def test_nobody_is_sent_to_the_login_page(client):
    assert client.get(reverse("fleet"))["Location"].startswith(reverse("account_login"))


def test_it_costs_as_many_queries_with_more_shops_and_connections(client, staff):
    def cost():
        with CaptureQueriesContext(database) as captured:
            assert client.get(reverse("fleet")).status_code == 200
        return len(captured)

    answered(shop(staff, "Ash"), seconds=1)
    client.get(reverse("fleet"))
    before = cost()
    for name in ("Birch", "Cedar", "Dogwood"):
        connection = shop(staff, name)
        answered(connection, seconds=9)
        factories.InboundEventFactory(connection=connection, is_done=True)
        factories.InboundEventFactory(connection=connection, is_quarantined=True)
        factories.IncidentFactory(connection=connection)
        factories.ConnectionFactory(merchant=connection.merchant, channel="shopify", is_live=True)
    assert cost() == before


def test_filter_and_sorting_put_trouble_in_sight(client, staff):
    calm, slow, lost = (shop(staff, name) for name in ("Ash", "Birch", "Cedar"))
    answered(calm, seconds=1)
    answered(slow, seconds=60)
    ChannelStock.objects.update(drift_at=None, dirty_at=None)
    Connection.objects.filter(pk=lost.pk).update(state="reconnect")
    every = ["Till of Ash", "Till of Birch", "Till of Cedar"]
    assert labels(client.get(reverse("fleet"))) == every
    assert labels(client.get(reverse("fleet") + "?sort=nonsense")) == every
    assert labels(client.get(reverse("fleet") + "?show=attention")) == every[1:]
    assert labels(client.get(reverse("fleet") + "?sort=state"))[0] == "Till of Cedar"
    assert labels(client.get(reverse("fleet") + "?sort=budget"))[0] == "Till of Birch"
    for key in fleet.SORTS:
        assert len(labels(client.get(reverse("fleet") + f"?sort={key}"))) == 3
    part = client.get(reverse("fleet") + "?show=attention", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part


def test_a_shop_is_found_by_its_name_and_the_search_stays_while_sorting(client, staff):
    shop(staff, "Ash")
    shop(staff, "Birch")
    page = client.get(reverse("fleet"), {"q": "birch", "sort": "state"})
    assert labels(page) == ["Till of Birch"]
    assert "?q=birch&amp;sort=drift" in page.content.decode()
    assert "called so" in client.get(reverse("fleet"), {"q": "cedar"}).content.decode()


def test_lag_is_told_for_both_ways_apart(staff):
    connection = shop(staff, "Ash")
    line = answered(connection, seconds=20)
    factories.InboundEventFactory(connection=connection, is_done=True)
    one = line_of(connection)
    assert one.applied.p50 == pytest.approx(0.7, abs=0.001)  # 300 ms to us, 400 ms to the ledger
    assert one.told.p50 == pytest.approx((line.answered_at - line.dirty_at).total_seconds())
    assert line_of(shop(staff, "Birch")).applied is None


@pytest.mark.parametrize(
    ("count", "late", "kind", "left", "word"),
    [
        (200, 0, "ok", 100, "100 % left"),
        (200, 1, "ok", 50, "50 % left"),
        (500, 4, "warn", 20, "20 % left"),
        (100, 2, "bad", -100, "Spent"),
        (0, 0, "idle", None, "Nothing spent"),
    ],
)
def test_the_budget_is_what_is_left_of_one_change_in_a_hundred(count, late, kind, left, word):
    budget = health.Budget(count=count, late=late)
    assert budget.left == pytest.approx(left)
    assert (budget.kind, budget.word) == (kind, word)


def test_a_change_is_late_after_five_seconds_from_its_cause(staff):
    connection = shop(staff, "Ash")
    for seconds in (1, 4.9, 5.1, 60):
        answered(connection, seconds=seconds)
    answered(shop(staff, "Birch"), seconds=60)
    assert health.budgets(connections=[connection], now=utc_now())[connection.pk] == health.Budget(count=4, late=2)


def test_changes_of_yesterday_and_none_at_all_leave_the_budget_open(staff):
    connection = shop(staff, "Ash")
    answered(connection, seconds=60, at=utc_now() - timedelta(hours=25))
    found = health.budgets(connections=[connection], now=utc_now())[connection.pk]
    assert (found.count, found.left, found.kind) == (0, None, "idle")


def test_what_needs_attention_is_named(staff):
    connection = shop(staff, "Ash")
    assert line_of(connection).concerns == []
    assert "webhooks not checked" in line_of(connection, now=utc_now() + timedelta(hours=3)).concerns
    SubscriptionRepair.objects.create(merchant=connection.merchant, connection=connection, topics=["order.updated"])
    factories.IncidentFactory(connection=connection)
    factories.InboundEventFactory(connection=connection, is_quarantined=True)
    Connection.objects.update(token_expires_at=utc_now() - timedelta(minutes=1), api_version="1999-01")
    named = {"webhooks missing", "1 open incident", "1 in quarantine", "key has ended", "speaks 1999-01"}
    assert set(line_of(connection).concerns) == named


def test_the_connection_page_shows_budget_webhooks_and_version(client, staff):
    connection = shop(staff, "Ash")
    answered(connection, seconds=60)
    SubscriptionRepair.objects.create(
        merchant=connection.merchant, connection=connection, topics=["order.updated"], repaired_at=utc_now()
    )
    page = client.get(reverse("channel", args=[connection.merchant.slug, connection.pk])).content.decode()
    assert "Error budget" in page
    assert "1 of 1 change took longer than 5 s" in page
    assert "Webhooks seen" in page
    assert "order.updated" in page
