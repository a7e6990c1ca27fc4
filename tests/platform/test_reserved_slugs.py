"""No shop may have the product's own addresses for a name; a new address of ours fails here until it is reserved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import URLPattern, get_resolver

from storestudio.accounts.models import RESERVED_SLUGS, Merchant
from tests import factories

pytestmark = pytest.mark.django_db


def first_words(resolver: Any, prefix: str = "") -> Iterator[str]:
    """What each address of ours begins with, where that is no argument."""
    for one in resolver.url_patterns:
        route = (prefix + str(one.pattern)).lstrip("^")
        if isinstance(one, URLPattern) or "/" in route:
            yield route.split("/")[0]
        else:
            yield from first_words(one, route)


def test_every_address_of_ours_is_reserved_and_nothing_else():
    ours = {word for word in first_words(get_resolver()) if re.fullmatch(r"[-\w]+", word)}
    assert {"admin", "api", "theme"} <= ours, "control: the walk finds addresses"
    assert set(RESERVED_SLUGS) == ours | {settings.STATIC_URL.strip("/")}


@pytest.mark.parametrize("slug", RESERVED_SLUGS)
def test_a_shop_may_not_be_named_like_an_address_of_ours(slug):
    with pytest.raises(ValidationError, match="StoreStudio itself lives"):
        Merchant(name="Shop", slug=slug).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.MerchantFactory(slug=slug)
    Merchant(name="Shop", slug=f"{slug}-shop").full_clean()


def test_the_admins_form_says_so(client):
    admin = factories.UserFactory(is_staff=True, is_superuser=True)
    client.force_login(admin)
    lines = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    given = {"name": "Api", "slug": "api", "currency": "GBP", "timezone": "Europe/London", **lines}
    answer = client.post("/admin/accounts/merchant/add/", given)
    assert "StoreStudio itself lives at this address" in answer.content.decode()
    assert client.post("/admin/accounts/merchant/add/", given | {"slug": "api-shop"}).status_code == 302
    assert list(Merchant.objects.values_list("slug", flat=True)) == ["api-shop"]
