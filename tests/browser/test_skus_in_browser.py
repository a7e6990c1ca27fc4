"""The SKU designer in a real browser: typed, previewed, ticked, confirmed, taken back; and without script."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from inventory.models import Variant
from tests import factories
from tests.browser.test_pages_in_browser import look_at, open_context, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FULL = "{vendor:3}-{style:4}-{color:3}-{size}"


@pytest.fixture
def membership():
    found = factories.MembershipFactory(role="onboarding", merchant__name="Fern & Thread")
    shop = found.merchant
    factories.ConnectionFactory(merchant=shop, channel="square")
    web = factories.ConnectionFactory(merchant=shop, channel="shopify")
    goods = [("Linen Overshirt", "Acme"), ("Linen Over-Shirt", "Acme"), ("Merino Crew with a rather long name", "Folk")]
    for place, (title, vendor) in enumerate(goods):
        product = factories.ProductFactory(merchant=shop, title=title, vendor=vendor)
        for color in ("Black", "Blue", "Ecru"):
            for size in ("S", "M", "X-Large"):
                sku = f"{title[:3].upper()}-{color[:2]}{size}" if place < 2 else ""
                options = {"Colour": color, "Size": size}
                factories.VariantFactory(
                    merchant=shop, product=product, sku=sku, options=options, title=f"{size} / {color}"
                )
    mug = factories.ProductFactory(merchant=shop, title="O Mug")
    first = factories.VariantFactory(merchant=shop, product=mug, sku="mug", title="")
    factories.VariantAliasFactory(variant=first, value="ACM-LNOV-BLK-M", key="ACM-LNOV-BLK-M")
    waiting = "FLK-MCRL-BLK-S"
    factories.ListingFactory(connection=web, is_unlinked=True, sku=waiting, sku_key=waiting)
    return found


def test_a_pattern_is_typed_looked_at_confirmed_and_taken_back(browser, client, live_server, membership):
    context = open_context(browser, width=1440, theme="light")
    sign_in(context, client, live_server, membership.user)
    page = context.new_page()
    page.goto(f"{live_server.url}/{membership.merchant.slug}/skus/")
    field = page.locator("#id_pattern")
    field.fill("{style:4}-{smell}")
    expect(page.locator("#pattern-said mark")).to_have_text("smell")
    field.fill("")
    page.locator("[data-insert='{vendor:3}']").click()
    page.locator("[data-insert='{style:4}']").click()
    page.locator("[data-insert='{color:3}']").click()
    page.locator("[data-insert='{size}']").click()
    expect(field).to_have_value(FULL)
    expect(page.locator("#apply-title")).to_have_text(re.compile("Rename 28 SKUs"))
    expect(field).to_be_focused()
    page.locator(".sku-tick input[type=checkbox]").first.uncheck()
    expect(page.locator("#apply-title")).to_have_text(re.compile("Rename 27 SKUs"))
    page.get_by_role("button", name=re.compile("Another variant")).click()
    expect(page.locator(".sku-rows tbody tr")).to_have_count(1)
    expect(page.locator("#apply-title")).to_have_text(re.compile("Rename 27 SKUs"))
    expect(page).to_have_url(re.compile("show=taken"))
    button = page.locator("#apply")
    expect(button).to_be_disabled()
    page.fill("#id_confirm", "27")
    expect(button).to_be_enabled()
    button.click()
    expect(page.locator(".notice-success")).to_contain_text("27 SKUs by")
    assert Variant.objects.filter(sku__startswith="ACM-LNOV").exists()
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator(".notice-success")).to_contain_text("Taken back")
    assert not Variant.objects.filter(sku__startswith="ACM-LNOV").exists()
    context.close()


def test_it_works_without_script(browser, client, live_server, membership):
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, client, live_server, membership.user)
    page = context.new_page()
    page.goto(f"{live_server.url}/{membership.merchant.slug}/skus/")
    page.fill("#id_pattern", FULL)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#apply-title")).to_have_text(re.compile("Rename 28 SKUs"))
    page.fill("#id_confirm", "28")
    page.locator("#apply").click()
    expect(page.locator(".notice-success")).to_contain_text("28 SKUs by")
    context.close()


def test_its_pages_have_no_accessibility_violation(browser, client, live_server, membership):
    at = f"/{membership.merchant.slug}/skus/"
    paths = {
        "skus": f"{at}?numbers=1&pattern={quote(FULL)}",
        "skus-left": f"{at}?pattern={quote(FULL)}&show=problems",
    }
    found = look_at(browser, client, live_server, "skus", paths, membership.user)
    found += look_at(
        browser,
        client,
        live_server,
        "skus",
        {"wrong": f"{at}?pattern={quote('{style:4}-{smell}')}"},
        membership.user,
        422,
    )
    assert not found, "\n".join(found)
