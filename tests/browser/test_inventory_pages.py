"""Stock, a variant, orders, changes by hand in a real browser: axe, live numbers, scanners, pages without script."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import expect

from inventory import adjustments
from inventory.models import StockMovement
from tests import factories
from tests.browser import scenes
from tests.browser.test_pages_in_browser import look_at, open_context, problems_of, sign_in
from tests.inventory.pages_shop import Shop, ago

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def busy_shop() -> Shop:
    """All that the pages can show: sales, returns, drift, doubt, negative stock, unlinked lines, undone changes."""
    shop = Shop()
    shirt = shop.stock("Linen Overshirt", units=40, title="M / Sand", gtin="05012345678900")
    crew = shop.stock("Merino Crew", units=2, title="S / Navy")
    stool = shop.stock("Oak Stool with a very long name that has to wrap somewhere sensible", units=0, title="Natural")
    cloth = shop.stock("Cotton, per metre", units="38.25", is_whole_unit=False, title="Ecru")
    event = factories.InboundEventFactory(connection=shop.web, is_done=True)
    shop.order(shirt, None, number="#1041", committed=2, fulfilled=1, event_id=event.pk)
    shop.order(shirt, number="#1042", fulfilled=2, returned=1, placed_at=ago(hours=2))
    shop.order(crew, number="#1043", connection=shop.till, fulfilled=5)
    shop.cell(shirt, desired=36, expected=36, observed=38, drift_at=ago(minutes=3), doubt=2)
    shop.cell(crew, desired=0, expected=2, observed=2, dirty_at=ago(seconds=2))
    shop.cell(stool, connection=shop.till, blocked_reason="Would drop to zero; a person must say yes")
    cell = shop.cell(cloth, desired=38, expected=38, observed=38)
    factories.ChannelWriteLineFactory(cell=cell, to_quantity=38)
    posted = shop.post(shirt, units=-3, reason="Damaged: wet", actor_id=shop.user.pk)
    movement = StockMovement.objects.select_related("variant__product", "location").get(pk=posted.movement_id)
    adjustments.undo(merchant=shop.merchant, actor=shop.user, movement=movement)
    return shop


def paths_of(shop: Shop) -> dict[str, str]:
    shirt, crew = shop.variants[:2]
    order = shirt.order_lines.order_by("pk")[0].order_id
    event = StockMovement.objects.filter(event_id__isnull=False)[0].event_id
    return {
        "stock": shop.url("stock"),
        "stock-drift": shop.url("stock") + "?show=drift",
        "stock-nothing": shop.url("stock") + "?q=zeppelin",
        "variant": shop.url("variant", shirt.pk),
        "variant-oversold": shop.url("variant", crew.pk),
        "variant-past": shop.url("variant", shirt.pk) + "?at=2020-01-01T00:00",
        "orders": shop.url("orders"),
        "order": shop.url("order", order),
        "adjust": shop.url("adjust", shirt.pk),
        "receive": f"{shop.url('receive')}?variant={shirt.pk}",
        "event": shop.url("event", event),
    }


def test_the_stock_pages_have_no_accessibility_violation(browser, client, live_server):
    shop = busy_shop()
    found = look_at(browser, client, live_server, "inventory", paths_of(shop), shop.user)
    assert not found, "\n".join(found)


def test_the_stock_pages_of_a_new_shop_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.empty()
    paths = {"stock": f"{scene.home}stock/", "orders": f"{scene.home}orders/", "receive": f"{scene.home}stock/receive/"}
    found = look_at(browser, client, live_server, "inventory-new", paths, scene.user)
    assert not found, "\n".join(found)


@pytest.fixture
def page(browser: Any) -> Any:
    """A page on a desk, nobody signed in; motion as it comes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def opened(page: Any, client: Any, live_server: Any, shop: Shop, path: str) -> Any:
    sign_in(page.context, client, live_server, shop.user)
    page.goto(live_server.url + path)
    return page


# Notes on <body> what passes: each number that flashed, with what it was then, and how often a look for news was held
# back because somebody is at work in it.
WITNESS = """() => {
    const note = (name, what) => { document.body.dataset[name] = (document.body.dataset[name] || "") + what + " "; };
    new MutationObserver((all) => all.forEach(({ target: e }) => {
        if (e.matches("[data-moves].moved")) note("flashed", `${e.dataset.moves}=${e.textContent.trim()}`);
    })).observe(document.body, { subtree: true, attributeFilter: ["class"] });
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (event.defaultPrevented && event.target.matches("[data-live-gentle]")) note("held", "once");
    });
}"""


def test_a_sale_moves_the_number_on_the_stock_page_and_it_flashes_once(page, client, live_server):
    shop = Shop()
    mug = shop.stock("Mug", units=5)
    opened(page, client, live_server, shop, shop.url("stock"))
    page.evaluate(WITNESS)
    shop.order(mug, fulfilled=1)
    expect(page.locator("body")).to_have_attribute("data-flashed", re.compile(rf"\bv{mug.pk}=4 "))


def test_a_variants_page_moves_but_not_under_someone_who_types(page, client, live_server):
    shop = Shop()
    mug = shop.stock("Mug", units=5)
    opened(page, client, live_server, shop, shop.url("variant", mug.pk))
    page.evaluate(WITNESS)
    page.locator("#at").focus()
    shop.order(mug, fulfilled=1)
    expect(page.locator("body")).to_have_attribute("data-held", re.compile("once"))
    expect(page.locator('[data-moves="available"]')).to_have_text("5")
    page.locator("#at").blur()
    expect(page.locator("body")).to_have_attribute("data-flashed", re.compile(r"\bavailable=4 "))


def test_two_parts_that_are_swapped_at_once_both_flash(page, client, live_server):
    shop = Shop()
    mug = shop.stock("Mug", units=5)
    opened(page, client, live_server, shop, shop.url("variant", mug.pk))
    page.evaluate(WITNESS)
    page.evaluate(
        """() => {
            const tell = (name) => document.dispatchEvent(new CustomEvent(name));
            tell("htmx:beforeSwap");
            document.querySelector('[data-moves="available"]').textContent = "4";
            tell("htmx:beforeSwap");  // the pulse, before the first has settled
            tell("htmx:afterSettle");
            tell("htmx:afterSettle");
        }"""
    )
    expect(page.locator("body")).to_have_attribute("data-flashed", "available=4 ")


def test_a_filter_changes_the_address_and_the_way_back_works(page, client, live_server):
    shop = Shop()
    shop.stock("Apron", units=1)
    shop.stock("Bowl", units=9)
    opened(page, client, live_server, shop, shop.url("stock"))
    page.locator("#stock-sort").select_option("-available")
    page.wait_for_url("**sort=-available**")
    expect(page.locator("tbody th a")).to_have_text(["Bowl", "Apron"])
    page.go_back()
    page.wait_for_url(lambda url: "sort" not in url)
    expect(page.locator("tbody th a")).to_have_text(["Apron", "Bowl"])


def test_a_wedge_scanner_receives_a_delivery_without_the_mouse(page, client, live_server):
    shop = Shop()
    mug = shop.stock("Mug", units=5, gtin="05012345678900")
    bowl = shop.stock("Bowl", units=0, sku="BOWL-1")
    opened(page, client, live_server, shop, shop.url("receive"))
    scans = (
        ("5012345678900", "Mug · M / Sand: 1"),
        ("BOWL-1", "Bowl · M / Sand: 1"),
        ("5012345678900", "Mug · M / Sand: 2"),
    )
    for code, said in scans:
        page.locator("#code:focus").wait_for()
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        page.get_by_text(said, exact=True).wait_for()
    page.get_by_label("From").fill("Fern & Co, 881")
    page.get_by_role("button", name="See what changes").click()
    expect(page.get_by_role("button", name="Post it")).to_be_focused()
    assert not problems_of(page)
    page.keyboard.press("Enter")
    page.get_by_text("Received 3 units of 2 items at High Street.").wait_for()
    assert (shop.level(mug).on_hand, shop.level(bowl).on_hand) == (7, 1)


def test_adjusting_works_without_javascript_and_a_second_press_posts_nothing(browser, client, live_server):
    shop = Shop()
    mug = shop.stock("Mug", units=5)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    opened(page, client, live_server, shop, shop.url("variant", mug.pk))
    page.get_by_role("link", name="Adjust", exact=True).click()
    page.get_by_label("Units").fill("2")
    page.get_by_role("button", name="See what changes").click()
    expect(page.locator("[autofocus]")).to_have_attribute("name", "reason")
    page.get_by_label("Reason").select_option("lost")
    page.get_by_role("button", name="See what changes").click()
    page.get_by_role("button", name="Post it").click()
    expect(page.locator(".messages")).to_contain_text("High Street now has 3 on hand")
    page.go_back()
    page.get_by_role("button", name="Post it").click()
    expect(page.locator(".messages")).to_contain_text("posted already")
    assert shop.level(mug).on_hand == 3
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator(".messages")).to_contain_text("Undone.")
    assert shop.level(mug).on_hand == 5
    context.close()


def test_checking_pages_and_wrong_forms_have_no_accessibility_violation(browser, client, live_server):
    shop = busy_shop()
    shirt = shop.variants[0]
    found = []
    for theme in ("light", "dark"):
        context = open_context(browser, width=390, theme=theme)
        page = context.new_page()
        opened(page, client, live_server, shop, shop.url("adjust", shirt.pk))
        page.get_by_role("button", name="See what changes").click()
        expect(page.locator("[name=quantity]")).to_be_focused()
        found += problems_of(page)
        page.get_by_label("Units").fill("60")
        page.get_by_label("Reason").select_option("lost")
        page.get_by_role("button", name="See what changes").click()
        page.get_by_text("Is this right?").wait_for()
        found += problems_of(page)
        page.goto(live_server.url + shop.url("receive"))
        page.get_by_label("SKU, barcode or title").fill(f"no such {uuid.uuid4().hex[:6]}")
        page.keyboard.press("Enter")
        page.get_by_text("No item has the SKU").wait_for()
        found += problems_of(page)
        context.close()
    assert not found, "\n".join(found)


def test_targets_on_a_phone_are_large_enough_for_a_finger(browser, client, live_server):
    shop = busy_shop()
    context = open_context(browser, width=390, theme="light")
    page = context.new_page()
    small = []
    for path in paths_of(shop).values():
        opened(page, client, live_server, shop, path)
        small += page.evaluate(
            """() => [...document.querySelectorAll(
                '.main .btn:not(.btn-small), .main input:not([type=hidden], [type=radio]), .main select')]
            .filter((e) => e.getClientRects().length)
            .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect().height]).filter(([, h]) => h < 44)"""
        )
    assert not small
    context.close()


def test_on_a_phone_an_orders_card_says_nothing_of_what_is_nought(browser, client, live_server):
    shop = busy_shop()
    context = open_context(browser, width=390, theme="light")
    page = context.new_page()
    opened(page, client, live_server, shop, paths_of(shop)["order"])
    line = page.locator("#order tbody tr").first
    expect(line.locator("[data-label='To send']")).to_be_visible()
    expect(line.locator("[data-label='Restocked']")).to_be_hidden()
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(line.locator("[data-label='Restocked']")).to_be_visible()
    context.close()
