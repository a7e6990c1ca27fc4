"""Pages of the shop's own site: tokens shown once, endpoints and their log, live holds; each action asks first."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels.own import endpoints
from channels.own.models import ApiToken, WebhookDelivery, WebhookEndpoint
from inventory.models import Reservation
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.own.shops import Api, Shop, a_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client: Any) -> Shop:
    one = a_site()
    client.force_login(one.owner)
    return one


def at(shop: Shop, name: str, *arguments: Any) -> str:
    return reverse(name, args=[shop.site.merchant.slug, *arguments])


def said(answer: Any) -> str:
    return " ".join(str(one) for one in get_messages(answer.wsgi_request))


def test_a_token_is_made_shown_once_used_and_revoked(client: Any, shop: Shop) -> None:
    answer = client.post(at(shop, "make_token", shop.site.pk), {"name": "Server", "scopes": ["availability:read"]})
    (text,) = set(re.findall(r"sst_[\w-]{20,}", answer.content.decode()))
    token = ApiToken.objects.get(name="Server")
    assert (token.scopes, token.created_by) == (["availability:read"], shop.owner)
    assert Api(text, client).get("/locations").status_code == 200
    page = client.get(at(shop, "api_access")).content.decode()
    assert text not in page
    assert f"{text[:10]}…" in page
    assert "opens nothing any more" in said(client.post(at(shop, "revoke_token", token.pk)))
    assert Api(text, client).get("/locations").status_code == 401
    assert AuditEntry.objects.filter(action="api.token_revoked", actor=shop.owner).exists()


def test_a_site_that_tells_no_numbers_is_not_said_to_agree(client: Any, shop: Shop) -> None:
    page = client.get(at(shop, "channel_drift", shop.site.pk)).content.decode()
    assert ("It tells no numbers" in page, "Nothing to compare" in page, "disagreed</h3>" in page) == (
        True,
        True,
        False,
    )


def test_the_list_of_channels_names_a_site_by_its_label_alone(client: Any, shop: Shop) -> None:
    page = client.get(at(shop, "channels")).content.decode()
    assert ("It calls our API" in page, shop.site.account_id in page) == (True, False)


def test_a_token_without_a_scope_is_refused_where_it_was_typed(client: Any, shop: Shop) -> None:
    answer = client.post(at(shop, "make_token", shop.site.pk), {"name": "Server"})
    assert answer.status_code == 422
    assert b"This field is required" in answer.content
    assert not ApiToken.objects.filter(name="Server").exists()


def test_a_first_site_is_opened_from_the_empty_page(client: Any) -> None:
    member = factories.MembershipFactory()
    client.force_login(member.user)
    there = reverse("api_access", args=[member.merchant.slug])
    assert b"No site of your own yet" in client.get(there).content
    client.post(reverse("open_site", args=[member.merchant.slug]), {"label": "Web"})
    assert b'id="tokens-' in client.get(there).content


def test_an_endpoint_is_added_changed_and_removed(client: Any, shop: Shop) -> None:
    given = {"url": "http://127.0.0.1:9/hooks", "topics": ["hold.expired"], "description": "cart"}
    answer = client.post(at(shop, "add_endpoint", shop.site.pk), given)
    assert re.search(r"whsec_[\w+/=]{20,}", answer.content.decode())
    endpoint = WebhookEndpoint.objects.get()
    page = at(shop, "api_endpoint", endpoint.pk)
    assert b"whsec_" not in client.get(page).content
    bad = client.post(at(shop, "change_endpoint", endpoint.pk), {**given, "url": "ftp://x"})
    assert (bad.status_code, b"https://" in bad.content) == (422, True)
    client.post(at(shop, "change_endpoint", endpoint.pk), {**given, "topics": ["availability.changed"]})
    endpoint.refresh_from_db()
    assert endpoint.topics == ["availability.changed"]
    assert b"whsec_" in client.post(at(shop, "new_secret", endpoint.pk)).content
    client.post(at(shop, "switch_endpoint", endpoint.pk), {"to": "off"})
    assert b"Switched off" in client.get(page).content
    client.post(at(shop, "remove_endpoint", endpoint.pk))
    assert client.get(page).status_code == 404
    for n in range(3):
        client.post(at(shop, "add_endpoint", shop.site.pk), {**given, "url": f"http://127.0.0.1:9/{n}"})
    full = client.post(at(shop, "add_endpoint", shop.site.pk), given)
    assert (full.status_code, b"3 endpoints at most" in full.content) == (422, True)


def test_a_test_message_and_its_log_and_sending_it_again(client: Any, shop: Shop) -> None:
    endpoint, _ = endpoints.add(site=shop.site, url="http://127.0.0.1:9/x", topics=["hold.expired"], actor=None)
    assert "did not take" in said(client.post(at(shop, "ping_endpoint", endpoint.pk)))
    delivery = WebhookDelivery.objects.get()
    assert b"Given up" in client.get(at(shop, "api_endpoint", endpoint.pk) + "?state=failed").content
    page = client.get(at(shop, "api_delivery", delivery.pk)).content.decode()
    assert delivery.message.message_id in page
    assert "&quot;type&quot;:&quot;ping&quot;" in page
    assert "on its way again" in said(client.post(at(shop, "replay_delivery", delivery.pk)))
    assert WebhookDelivery.objects.get().state == "pending"


def test_live_holds_with_what_is_left_and_releasing_one(client: Any, shop: Shop) -> None:
    held = shop.api.hold("a", ("MUG", 2), reference="cart <81>").json()
    over = shop.api.hold("b", ("MUG", 1), reference="gone").json()
    Reservation.objects.filter(public_id=over["id"]).update(expires_at=utc_now() - timedelta(seconds=1))
    page = client.get(at(shop, "holds")).content.decode()
    assert "cart &lt;81&gt;" in page
    assert "gone" not in page
    assert "Expired" in client.get(at(shop, "holds") + "?show=ended").content.decode()
    row = Reservation.objects.get(public_id=held["id"])
    assert "free at every channel" in said(client.post(at(shop, "release_hold", row.pk)))
    row.refresh_from_db()
    assert (row.state, row.ended_by) == ("released", shop.owner)
    variant = client.get(at(shop, "variant", shop.variants["MUG"].pk)).content.decode()
    assert f"released by {shop.owner.get_full_name()}" in variant.replace("&#x27;", "'")
    assert "ended already" in said(client.post(at(shop, "release_hold", row.pk)))


def test_associates_see_holds_and_change_nothing(client: Any, shop: Shop) -> None:
    held = shop.api.hold("a", ("MUG", 2)).json()
    row = Reservation.objects.get(public_id=held["id"])
    associate = factories.MembershipFactory(merchant=shop.site.merchant, role="associate")
    client.force_login(associate.user)
    page = client.get(at(shop, "holds"))
    assert (page.status_code, b"Give the units back" in page.content) == (200, False)
    assert client.post(at(shop, "release_hold", row.pk)).status_code == 403
    assert client.get(at(shop, "api_access")).status_code == 403


def test_the_page_about_the_api_names_every_operation_and_every_error(client: Any) -> None:
    page = client.get("/api/docs").content.decode()
    for words in ("POST /api/v1/holds", "GET /api/v1/availability", 'id="insufficient-stock"', "webhook-signature"):
        assert words in page


def test_lists_cost_the_same_however_long(client: Any, shop: Shop) -> None:
    costs = []
    for n in range(4):
        shop.api.hold(str(n), ("MUG", 1), ("BOWL", 1))
        with CaptureQueriesContext(connection) as asked:
            client.get(at(shop, "holds"))
        costs.append(len(asked))
    assert len(set(costs[1:])) == 1


def test_the_apis_page_is_set_as_a_document(client):
    client.force_login(factories.UserFactory())
    page = client.get(reverse("api_docs")).content.decode()
    assert "<code>Idempotency-Key</code>" in page
    assert "`" not in page
