"""The SKU designer's pages: preview, what is wrong with a pattern, ticking off, a yes with a number, the way back."""

from __future__ import annotations

import pytest
from django.urls import reverse

from inventory.models import Variant, VariantAlias
from onboarding.models import ChangeSet
from tests import factories

pytestmark = pytest.mark.django_db
FULL = "{vendor:3}-{style:4}-{color:3}-{size}"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def member(client):
    membership = factories.MembershipFactory(role="onboarding")
    client.force_login(membership.user)
    product = factories.ProductFactory(merchant=membership.merchant, title="Linen Overshirt", vendor="Acme")
    for color, size, sku in [("Black", "S", "x1"), ("Black", "M", "x2"), ("Blue", "M", "")]:
        options = {"Colour": color, "Size": size}
        factories.VariantFactory(merchant=membership.merchant, product=product, sku=sku, options=options, title=size)
    return membership


def at(member, name="skus", **query):
    return reverse(name, args=[member.merchant.slug], query=query or None)


def page(client, member, **query):
    return client.get(at(member, **query)).content.decode()


def skus():
    return list(Variant.objects.order_by("pk").values_list("sku", flat=True))


def test_the_first_look_proposes_a_pattern_of_the_shops_own_options(client, member):
    text = page(client, member)
    assert "ACM-LNOV-BLK-S" in text or "ACM-LNOV-S-BLK" in text
    assert "Rename 3 SKUs?" in text
    assert "{size}" in text


def test_a_shop_without_products_is_sent_to_the_import(client):
    membership = factories.MembershipFactory()
    client.force_login(membership.user)
    assert "No products yet" in page(client, membership)


def test_typing_brings_the_preview_alone_and_an_error_says_where(client, member):
    part = client.get(at(member, pattern="{style:4}-{size}"), headers=HTMX)
    assert b"<html" not in part.content
    assert b"LNOV-M" in part.content
    assert "pattern=" in part["HX-Replace-Url"]
    wrong = client.get(at(member, pattern="{style:4}-{smell}"), headers=HTMX)
    assert wrong.status_code == 422
    assert wrong["HX-Retarget"] == "#pattern-said"
    assert b"at character 12" in wrong.content
    assert client.get(at(member, pattern="{smell}")).status_code == 422  # without script: the whole page


def test_all_is_renamed_after_the_number_is_typed_and_taken_back(client, member):
    for typed in ("", "2", "yes"):
        client.post(at(member, "apply_skus"), {"pattern": FULL, "numbers": "1", "confirm": typed})
        assert skus() == ["x1", "x2", ""]
    client.post(at(member, "apply_skus"), {"pattern": FULL, "numbers": "1", "confirm": "3"})
    assert skus() == ["ACM-LNOV-BLK-S", "ACM-LNOV-BLK-M", "ACM-LNOV-BLU-M"]
    assert VariantAlias.objects.count() == 2
    text = page(client, member)
    assert "Take it back" in text
    assert "Every SKU follows this pattern" in text
    client.post(at(member, "undo_skus"), {"changeset": ChangeSet.objects.get().pk})
    assert skus() == ["x1", "x2", ""]


def test_rows_ticked_off_stay_off_over_pages_and_are_not_renamed(client, member):
    first, second, third = Variant.objects.order_by("pk").values_list("pk", flat=True)
    shown = {"pattern": FULL, "numbers": "1", "shown": [first, second, third], "take": [second, third]}
    text = page(client, member, **shown)
    assert "Rename 2 SKUs?" in text
    assert f'name="out" value="{first}"' in text
    text = page(client, member, pattern=FULL, numbers="1", out=str(first), show="out")
    assert "Left out by you" in text
    back = {"pattern": FULL, "numbers": "1", "shown": [first], "take": [first], "out": str(first)}
    assert "Rename 3 SKUs?" in page(client, member, **back)
    client.post(at(member, "apply_skus"), {"pattern": FULL, "numbers": "1", "out": str(first), "confirm": "2"})
    assert skus()[0] == "x1"


def test_problems_are_counted_and_filtered(client, member):
    mug = factories.VariantFactory(merchant=member.merchant)
    factories.VariantAliasFactory(variant=mug, value="LNOV-S", key="LNOV-S")
    text = page(client, member, pattern="{style:4}-{size}", show="taken")
    assert "has it, or had it before" in text
    assert "Left out." in text
    assert "LNOV-M" not in text
    assert "LNOV-S-2" in page(client, member, pattern="{style:4}-{size}", numbers="1", show="taken")


def test_fifty_rows_a_page(client, member):
    product = factories.ProductFactory(merchant=member.merchant, title="Mug", vendor="Acme")
    for number in range(60):
        factories.VariantFactory(merchant=member.merchant, product=product, options={"Size": str(number)}, title="")
    text = page(client, member, pattern="{style:4}-{size}", numbers="1")
    assert text.count('name="take"') == 50
    assert "1 to 50 of 63" in text
    assert "51 to 63 of 63" in page(client, member, pattern="{style:4}-{size}", numbers="1", page="2", was="change")
    assert "1 to 50 of 63" in page(client, member, pattern="{style:4}-{size}", numbers="1", page="2", was="same")


def test_an_associate_may_not_rename(client, member):
    other = factories.MembershipFactory(merchant=member.merchant, role="associate")
    client.force_login(other.user)
    assert client.get(at(member)).status_code == 403
    assert client.post(at(member, "apply_skus"), {"pattern": FULL, "confirm": "3"}).status_code == 403


def test_the_page_asks_the_same_few_questions_however_many_products(client, member, django_assert_max_num_queries):
    product = factories.ProductFactory(merchant=member.merchant)
    factories.VariantFactory.create_batch(20, merchant=member.merchant, product=product)
    with django_assert_max_num_queries(22):
        page(client, member)
