"""What an address asks for may be anything: no page falls over it."""

from __future__ import annotations

import pytest

from tests import factories
from tests.platform.test_scoping import address, rows_of, shop_patterns

pytestmark = pytest.mark.django_db

NAMES = (
    "after", "at", "before", "category", "cause", "channel", "connection", "deed", "from", "kind", "like", "listing",
    "location", "origin", "page", "places", "q", "rules", "show", "sort", "start", "state", "to", "variant",
)  # fmt: skip


@pytest.mark.parametrize("nonsense", ["²", "9" * 40])
def test_no_page_falls_over_what_an_address_asks_for(client, nonsense):
    member = factories.MembershipFactory()
    client.force_login(member.user)
    client.raise_request_exception = False
    rows, asked = rows_of(member.merchant), dict.fromkeys(NAMES, nonsense)
    answers = {
        route: client.get(address(pattern, shop=member.merchant.slug, rows=rows), asked)
        for route, pattern in shop_patterns()
    }
    assert not {route: answer for route, answer in answers.items() if answer.status_code >= 500}
    assert sum(answer.status_code == 200 for answer in answers.values()) > 40


def test_text_that_no_database_takes_is_refused(client):
    member = factories.MembershipFactory()
    client.force_login(member.user)
    assert client.get(f"/{member.merchant.slug}/rules/", {"q": "a\x00b"}).status_code == 400
    assert client.get(f"/{member.merchant.slug}/rules/", {"q": "100%0"}).status_code == 200
