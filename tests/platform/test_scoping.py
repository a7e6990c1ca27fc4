"""One merchant never sees another's row: every address of a shop is walked as nobody, as a stranger, and with rows of
another shop. An address with an argument that this walk does not know fails until it is taught."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse
from django.utils.timezone import now as utc_now

from channels.models import ChannelCommand, Collision, GuardStop
from channels.own import models as own
from channels.own import tokens
from inventory import ledger
from inventory.models import Arrival, Reservation, Variant
from storestudio import urls as product_urls
from storestudio.accounts.access import MAY_MANAGE, MAY_OWN, ShopRequest, shop_view
from storestudio.accounts.models import Membership
from tests import factories
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

# Which row of the other shop an argument names.
ROWS = {
    "connection_id": lambda rows: rows["connection"].pk,
    "event_id": lambda rows: rows["event"].pk,
    "cell_id": lambda rows: rows["cell"].pk,
    "listing_id": lambda rows: rows["cell"].listing_id,
    "variant_id": lambda rows: rows["variant"].pk,
    "order_id": lambda rows: rows["order"].pk,
    "location_id": lambda rows: rows["location"].pk,
    "movement_id": lambda rows: rows["movement_id"],
    "batch_id": lambda rows: rows["batch"].pk,
    "write_id": lambda rows: rows["write"].pk,
    "gap_id": lambda rows: rows["gap"].pk,
    "stop_id": lambda rows: rows["stop"].pk,
    "finding_id": lambda rows: rows["finding"].pk,
    "token_id": lambda rows: rows["token"].pk,
    "endpoint_id": lambda rows: rows["endpoint"].pk,
    "delivery_id": lambda rows: rows["delivery"].pk,
    "hold_id": lambda rows: rows["hold"].pk,
    "route_id": lambda rows: rows["route"].pk,
    "incident_id": lambda rows: rows["incident"].pk,
    "command_id": lambda rows: rows["command"].pk,
    "collision_id": lambda rows: rows["collision"].pk,
    "decision_id": lambda rows: rows["decision"].pk,
    "rule_id": lambda rows: rows["rule"].pk,
    "change_id": lambda rows: rows["rule_change"].pk,
    "arrival_id": lambda rows: rows["arrival"].pk,
    "step_id": lambda rows: rows["arrival_step"].pk,
}


def shop_patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address with a <shop> in it, however deep it is included."""
    for one in (resolver or get_resolver()).url_patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from shop_patterns(one, route)
        elif "<slug:shop>" in route or "<shop>" in route:
            yield route, one


def address(pattern: URLPattern, *, shop: str, rows: dict[str, Any]) -> str:
    arguments = {name: ROWS[name](rows) for name in pattern.pattern.converters if name != "shop"}
    return reverse(pattern.name, kwargs={"shop": shop, **arguments})


def rows_of(merchant: Any) -> dict[str, Any]:
    """One row of each kind that an address may name, all of this merchant."""
    cell = factories.ChannelStockFactory(connection__merchant=merchant, connection__is_live=True)
    order = factories.OrderFactory(merchant=merchant, channel_id=cell.connection_id)
    entry = ledger.Entry(
        variant_id=cell.listing.variant_id,
        location_id=cell.channel_location.location_id,
        kind=ledger.Kind.RECEIVE,
        key="walk",
        occurred_at=utc_now(),
        on_hand=Decimal(5),
    )
    rule = factories.AvailabilityRuleFactory(merchant=merchant)
    with transaction.atomic():
        (posted,) = ledger.post(merchant_id=merchant.pk, source="user", entries=[entry])
    site = factories.ConnectionFactory(merchant=merchant, channel="own")
    token, _ = tokens.issue(connection=site, name="Web", scopes=["holds:read"], actor=None)
    endpoint = own.WebhookEndpoint.objects.create(
        merchant=merchant, connection=site, url="https://shop.example/hooks", topics=["hold.expired"]
    )
    hold = Reservation.objects.create(merchant=merchant, idempotency_key="walk", expires_at=utc_now())
    message = own.WebhookMessage.objects.create(
        merchant=merchant, connection=site, message_id=f"msg_{merchant.pk}", topic="hold.expired", body="{}"
    )
    arrival = Arrival.objects.create(
        merchant=merchant, key=uuid.uuid4(), supplier="Acme", destination=cell.channel_location.location
    )
    line = factories.OrderLineFactory(order=order, variant=cell.listing.variant)
    collision = Collision.objects.create(
        merchant=merchant, variant=cell.listing.variant, location=cell.channel_location.location, missing=1
    )
    return {
        "command": ChannelCommand.objects.create(
            merchant=merchant,
            connection=cell.connection,
            order=order,
            kind="cancel",
            payload={},
            words="Cancel it",
            idempotency_key=uuid.uuid4(),
        ),
        "collision": collision,
        "decision": collision.decisions.create(
            merchant=merchant, order=order, line=line, key=uuid.uuid4(), kind="cancel", units=1, words="Cancel it"
        ),
        "arrival": arrival,
        "arrival_step": arrival.steps.create(key=uuid.uuid4(), kind="send", was="draft"),
        "token": token,
        "endpoint": endpoint,
        "delivery": own.WebhookDelivery.objects.create(merchant=merchant, message=message, endpoint=endpoint),
        "hold": hold,
        "movement_id": posted.movement_id,
        "cell": cell,
        "connection": cell.connection,
        "variant": cell.listing.variant,
        "location": cell.channel_location.location,
        "event": factories.InboundEventFactory(connection=cell.connection),
        "order": order,
        "batch": factories.ImportBatchFactory(merchant=merchant),
        "write": factories.CatalogWriteFactory(connection=cell.connection),
        "gap": factories.StockGapFactory(cell=cell),
        "stop": GuardStop.objects.create(merchant=merchant, connection=cell.connection, kind="publish"),
        "finding": factories.FindingFactory(merchant=merchant),
        "route": factories.AlertRouteFactory(merchant=merchant),
        "incident": factories.IncidentFactory(connection=cell.connection),
        "rule": rule,
        "rule_change": rule.changes.create(merchant=merchant, after={"safety_stock": "2"}),
    }


def leaks(client: Any, *, shop: str, rows: dict[str, Any]) -> list[str]:
    """Addresses under `shop` that answer for rows of somebody else with anything but 404 (or 405 for the method)."""
    found = []
    for route, pattern in shop_patterns():
        if not set(pattern.pattern.converters) - {"shop"}:
            continue
        there = address(pattern, shop=shop, rows=rows)
        answers = {method: getattr(client, method)(there).status_code for method in ("get", "post")}
        if 404 not in answers.values() or set(answers.values()) - {404, 405}:
            found.append(f"{route}: {answers}")
    return found


@pytest.fixture
def member(client):
    """An owner, signed in, of a shop with rows of its own."""
    membership = factories.MembershipFactory()
    client.force_login(membership.user)
    return membership


def test_there_is_something_to_walk_and_every_argument_is_known():
    patterns = list(shop_patterns())
    unknown = {name for _, one in patterns for name in one.pattern.converters} - {"shop", *ROWS}
    assert len(patterns) > 10
    assert not unknown, f"Teach ROWS what {unknown} names."
    assert all(one.name for _, one in patterns)


def test_every_address_of_a_shop_goes_through_the_membership_check():
    unchecked = [route for route, one in shop_patterns() if not getattr(one.callback, "is_shop_view", False)]
    assert not unchecked


def test_nobody_is_sent_to_the_login_page(client):
    merchant = factories.MerchantFactory()
    rows = rows_of(merchant)
    for route, pattern in shop_patterns():
        there = address(pattern, shop=merchant.slug, rows=rows)
        for method in ("get", "post"):
            answer = getattr(client, method)(there)
            assert answer.status_code == 302, route
            assert answer["Location"].startswith(reverse("account_login")), route


def test_a_part_of_a_page_sends_the_whole_page_to_login(client):
    merchant = factories.MerchantFactory()
    answer = client.get(reverse("pulse", args=[merchant.slug]), headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith(reverse("account_login"))


def test_who_was_signed_out_over_a_form_comes_back_to_the_page_it_was_on(client):
    merchant = factories.MerchantFactory()
    there = reverse("use_routing", args=[merchant.slug])
    page = f"http://testserver{reverse('routing', args=[merchant.slug])}"
    for referer, back in ((page, quote(page)), ("https://evil.example/", "/"), ("", "/")):
        answer = client.post(there, headers={"Referer": referer})
        assert answer["Location"] == f"{reverse('account_login')}?next={back}"


def test_an_address_that_only_takes_forms_shows_a_way_out(client, member):
    there = reverse("use_routing", args=[member.merchant.slug])
    page = client.get(there)
    assert (page.status_code, page["Allow"]) == (405, "POST")
    assert reverse("today", args=[member.merchant.slug]) in page.content.decode()


def test_a_stranger_learns_nothing_not_even_that_the_shop_exists(client, member):
    other = factories.MerchantFactory()
    rows = rows_of(other)
    for route, pattern in shop_patterns():
        there = address(pattern, shop=other.slug, rows=rows)
        for method in ("get", "post"):
            assert getattr(client, method)(there).status_code == 404, f"{method} {route}"
    assert client.get("/no-such-shop/").status_code == 404


def test_staff_of_the_admin_site_without_a_membership_are_strangers(client):
    other = factories.MerchantFactory()
    client.force_login(factories.UserFactory(is_staff=True))
    assert client.get(reverse("today", args=[other.slug])).status_code == 404


def test_an_admin_opens_every_shop(client):
    other = factories.MerchantFactory()
    client.force_login(factories.UserFactory(is_staff=True, is_superuser=True))
    assert client.get(reverse("today", args=[other.slug])).status_code == 200


def test_rows_of_another_shop_are_not_found_under_ones_own(client, member):
    assert not leaks(client, shop=member.merchant.slug, rows=rows_of(factories.MerchantFactory()))


@shop_view()
def _leaky(request: ShopRequest, variant_id: int) -> HttpResponse:
    """A view that forgot whose row it shows."""
    return HttpResponse(get_object_or_404(Variant, pk=variant_id).sku)


class LeakyUrls:
    """The product's addresses and one more, which leaks."""

    urlpatterns = [path("<slug:shop>/leaky/<int:variant_id>/", _leaky, name="leaky"), *product_urls.urlpatterns]


def test_control_the_walk_catches_a_view_that_leaks(client, member, settings):
    settings.ROOT_URLCONF = LeakyUrls
    found = leaks(client, shop=member.merchant.slug, rows=rows_of(factories.MerchantFactory()))
    assert len(found) == 1
    assert "leaky" in found[0]


def test_control_ones_own_rows_are_found(client, member):
    rows = rows_of(member.merchant)
    for name in ("channel", "variant"):
        (pattern,) = [one for _, one in shop_patterns() if one.name == name]
        assert client.get(address(pattern, shop=member.merchant.slug, rows=rows)).status_code == 200


@pytest.mark.parametrize(
    ("role", "status"),
    [("owner", 302), ("manager", 302), ("onboarding", 302), ("associate", 403)],
)
def test_only_who_may_manage_may_decide(client, role, status):
    membership = factories.MembershipFactory(role=role)
    client.force_login(membership.user)
    cell = factories.ChannelStockFactory(connection__merchant=membership.merchant)
    there = reverse("retry_cell", args=[membership.merchant.slug, cell.connection_id, cell.pk])
    assert client.post(there).status_code == status


def test_roles_are_nested_sets():
    assert MAY_OWN < MAY_MANAGE < set(Membership.Role.values)


def test_a_person_with_one_shop_is_sent_there_and_one_with_two_may_choose(client, member):
    assert client.get("/")["Location"] == reverse("today", args=[member.merchant.slug])
    second = factories.MembershipFactory(user=member.user)
    page = client.get("/").content.decode()
    assert member.merchant.name in page
    assert second.merchant.name in page


def test_a_person_signs_in_with_email_and_password(client):
    user = factories.UserFactory(email="Ada@Example.com")
    factories.MembershipFactory(user=user)
    assert client.post(reverse("account_login"), {"login": "ada@example.com", "password": "wrong"}).status_code == 200
    answer = client.post(reverse("account_login"), {"login": "ada@example.com", "password": PASSWORD})
    assert answer["Location"] == "/"


def test_nobody_opens_an_account_by_themselves(client):
    answer = client.post(
        reverse("account_signup"), {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_the_theme_is_remembered_and_never_leads_elsewhere(client):
    answer = client.post("/theme/", {"theme": "dark", "next": "https://evil.example/"})
    assert answer["Location"] == "/"
    assert answer.cookies["theme"].value == "dark"
    assert client.post("/theme/", {"theme": "pink", "next": "/here/"})["Location"] == "/here/"
