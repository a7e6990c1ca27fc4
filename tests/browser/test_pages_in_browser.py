"""Every page in a real browser: nothing axe can find wrong, nothing the content policy stops, keys that work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.utils.timezone import now as utc_now
from playwright.sync_api import expect

from channels import incidents
from channels.alerts import outbox, routes
from channels.models import Incident
from storestudio.accounts.models import Membership
from tests import factories
from tests.browser import scenes, steering, travelling
from tests.browser.travelling import Answer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VARIANTS = [(width, theme) for width in (1440, 390) for theme in ("light", "dark")]
# Colours pass over into those of the other theme, if in no time: axe would see some of each.
SETTLED = """async () => {
    await new Promise(requestAnimationFrame);
    await Promise.allSettled(document.getAnimations().map(one => one.finished));
}"""
# Where to keep a picture of every page that is looked at; nowhere unless asked.
PICTURES = os.environ.get("PICTURES_DIR", "")


def sign_in(context: Any, client: Any, live_server: Any, user: Any) -> None:
    """Put the session of a signed-in test client into the browser."""
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie.value, "url": live_server.url}])


def open_context(browser: Any, *, width: int, theme: str) -> Any:
    return browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")


def problems_of(page: Any, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds, each with its place and what it saw there; by all its rules, or by these."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']} at {node['target']}: {node.get('failureSummary', '')[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scene_name", ["full", "fresh", "empty", "broken"])
def test_pages_of_a_shop_have_no_accessibility_violation(browser, client, live_server, scene_name):
    scene = getattr(scenes, scene_name)()
    found = look_at(browser, client, live_server, scene_name, scene.paths(), scene.user)
    assert not found, "\n".join(found)


# Each width and each theme once, for pages made of parts that others are looked at in all four ways.
CROSSWISE = [(1440, "light"), (390, "dark")]


@pytest.mark.parametrize("scene_name", ["full", "empty"])
def test_pages_that_steer_a_shop_have_no_accessibility_violation(browser, client, live_server, scene_name):
    scene = getattr(scenes, scene_name)()
    paths = steering.steer(scene) if scene.variants else steering.empty_paths(scene)
    ways = VARIANTS if PICTURES else CROSSWISE
    found = look_at(browser, client, live_server, f"steer-{scene_name}", paths, scene.user, ways=ways)
    assert not found, "\n".join(found)


def look_at(
    browser: Any,
    client: Any,
    live_server: Any,
    name: str,
    paths: Mapping[str, str | Answer],
    user: Any,
    status: int = 200,
    ways: Sequence[tuple[int, str]] = VARIANTS,
) -> list[str]:
    """What is wrong with these pages, in these widths and themes; a picture of each where asked.

    Each is opened once, then looked at in every way: by all rules at each width, in its other theme by its colours.
    """
    found: list[str] = []
    context = open_context(browser, width=ways[0][0], theme=ways[0][1])
    if user is not None:
        sign_in(context, client, live_server, user)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for page_name, path in paths.items():
        wanted = path.status if isinstance(path, Answer) else status
        answer = arrive(page, live_server.url, path)
        if answer.status != wanted:
            found.append(f"{name}-{page_name}: answered {answer.status}")
        widths = set()
        for width, theme in ways:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.evaluate(SETTLED)
            where = f"{name}-{page_name}-{width}-{theme}"
            rules = ["color-contrast"] if width in widths else []
            widths.add(width)
            found += [f"{where}: {problem}" for problem in problems_of(page, rules)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found.append(f"{where}: scrolls sideways")
            if PICTURES:
                page.screenshot(path=Path(PICTURES) / f"{where}.png", full_page=True)
        found += [f"{name}-{page_name}: {line}" for line in said if f"status of {wanted} " not in line]
        said.clear()
    context.close()
    return found


def arrive(page: Any, base: str, path: str | Answer) -> Any:
    """Open a page, or press what leads to it; the server's answer."""
    if isinstance(path, str):
        return page.goto(base + path)
    page.goto(base + path.path)
    for label, value in path.fields.items():
        page.get_by_label(label).and_(page.locator("input")).first.fill(value)
    with page.expect_navigation() as moved:
        page.get_by_role("button", name=path.button, exact=True).click()
    return moved.value


@pytest.mark.parametrize("scene_name", ["full", "empty"])
def test_pages_of_what_travels_have_no_accessibility_violation(browser, client, live_server, scene_name):
    scene = getattr(scenes, scene_name)()
    paths = travelling.travel(scene) if scene.variants else travelling.empty_paths(scene)
    ways = VARIANTS if PICTURES else CROSSWISE
    found = look_at(browser, client, live_server, f"travel-{scene_name}", paths, scene.user, ways=ways)
    assert not found, "\n".join(found)


def test_pages_that_ask_before_they_act_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.full()
    paths = steering.before_a_yes(scene)
    ways = VARIANTS if PICTURES else CROSSWISE[1:]
    found = look_at(browser, client, live_server, "asks", paths, scene.user, ways=ways)
    assert not found, "\n".join(found)


def test_pages_before_signing_in_have_no_accessibility_violation(browser, client, live_server):
    paths = {"login": "/account/login/", "forgotten": "/account/password/reset/", "logout": "/account/logout/"}
    found = look_at(browser, client, live_server, "account", paths, None)
    assert not found, "\n".join(found)


def test_pages_of_ones_account_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.empty()
    paths = {"password": "/account/password/change/", "two-step": "/account/2fa/"}
    found = look_at(browser, client, live_server, "account", paths, scene.user)
    assert not found, "\n".join(found)


def test_error_pages_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.empty()
    found = look_at(browser, client, live_server, "error", {"404": "/no-such-shop/"}, scene.user, status=404)
    Membership.objects.filter(user=scene.user).update(role=Membership.Role.ASSOCIATE)
    web = factories.ConnectionFactory(merchant=scene.merchant)
    refused = {"403": f"{scene.home}channels/{web.pk}/places/"}
    found += look_at(browser, client, live_server, "error", refused, scene.user, status=403)
    assert not found, "\n".join(found)


@pytest.fixture
def page(browser):
    """A page on a desk, nobody signed in."""
    context = open_context(browser, width=1440, theme="light")
    yield context.new_page()
    context.close()


def test_a_person_signs_in_by_keyboard_alone(page, live_server):
    scene = scenes.full()
    page.goto(live_server.url + scene.home)
    page.keyboard.type(scene.user.email)
    page.keyboard.press("Tab")
    page.keyboard.type(factories.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(live_server.url + scene.home)
    expect(page.locator("h1")).to_contain_text("agree")


def test_a_person_sets_up_two_step_sign_in(page, live_server):
    scene = scenes.empty()
    page.goto(f"{live_server.url}/account/login/?next=/account/2fa/totp/activate/")
    page.fill("[name=login]", scene.user.email)
    page.fill("[name=password]", factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/reauthenticate/**")
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    assert not problems_of(page)
    page.fill("[name=password]", factories.PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.locator("img.qr").wait_for()
    assert not problems_of(page)
    secret = page.locator("#authenticator_secret").input_value()
    page.fill("[name=code]", f"{hotp_value(secret, next(iter(yield_hotp_counters_from_time()))):06}")
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "account-totp.png", full_page=True)
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url("**/account/2fa/**codes/**")
    expect(page.locator("h1")).to_be_visible()
    assert not problems_of(page)
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "account-codes.png", full_page=True)


def test_the_first_tab_stop_skips_to_the_page(page, client, live_server):
    scene = scenes.full()
    sign_in(page.context, client, live_server, scene.user)
    page.goto(live_server.url + scene.home)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_slash_goes_to_the_search_and_enter_searches_stock(page, client, live_server):
    scene = scenes.full()
    sign_in(page.context, client, live_server, scene.user)
    page.goto(live_server.url + scene.home)
    page.keyboard.press("/")
    page.keyboard.type("LNO")
    page.keyboard.press("Enter")
    page.wait_for_url("**/stock/?q=LNO")


def test_every_control_shows_where_the_focus_is(page, client, live_server):
    scene = scenes.broken()
    sign_in(page.context, client, live_server, scene.user)
    page.goto(live_server.url + scene.home)
    unseen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        is_on_page = page.evaluate("document.activeElement !== document.body")
        if is_on_page and outline in ("none", ""):
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
    assert not unseen


def test_today_moves_by_itself_when_something_happens(page, client, live_server):
    scene = scenes.full()
    sign_in(page.context, client, live_server, scene.user)
    page.goto(live_server.url + scene.home)
    expect(page.locator("h1")).to_contain_text("Nothing needs you")
    factories.IncidentFactory(connection=scene.connections[0], title="Web shop shows 7, the shelf has 5")
    expect(page.get_by_text("Web shop shows 7, the shelf has 5", exact=True)).to_be_visible()
    expect(page.locator("h1")).to_contain_text("One thing needs you")
    expect(page.locator("#pulse.pulse-warn")).to_be_visible()


def test_the_pulse_says_so_when_the_server_is_silent(page, client, live_server):
    scene = scenes.full()
    sign_in(page.context, client, live_server, scene.user)
    page.goto(live_server.url + scene.home)
    page.route("**/pulse/**", lambda route: route.abort())
    expect(page.get_by_text("No answer from StoreStudio")).to_be_visible()
    page.unroute("**/pulse/**")
    expect(page.get_by_text("In lockstep").first).to_be_visible()


def test_all_works_without_javascript(browser, client, live_server):
    scene = scenes.broken()
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, client, live_server, scene.user)
    page = context.new_page()
    page.goto(f"{live_server.url}{scene.home}channels/{scene.connections[0].pk}/messages/?state=quarantined")
    page.get_by_role("button", name="Replay").first.click()
    expect(page.locator(".messages")).to_contain_text("Back in the queue")
    context.close()


def test_targets_on_a_phone_are_large_enough_for_a_finger(browser, client, live_server):
    scene = scenes.broken()
    context = open_context(browser, width=390, theme="light")
    sign_in(context, client, live_server, scene.user)
    page = context.new_page()
    page.goto(live_server.url + scene.home)
    small = page.evaluate(
        """() => [...document.querySelectorAll('nav.rail a, .nav a, .btn-primary, .pulse-link, .search input')]
        .filter((e) => e.getClientRects().length)
        .map((e) => [e.textContent.trim(), e.getBoundingClientRect().height]).filter(([, h]) => h < 44)"""
    )
    assert not small
    context.close()


def test_the_fleet_and_a_decision_about_many_have_no_accessibility_violation(browser, client, live_server):
    staff = factories.UserFactory(name="Noor Haddad")
    shops = [scenes.full(), scenes.broken(), scenes.fresh()]
    for scene in shops:
        factories.MembershipFactory(user=staff, merchant=scene.merchant, role=Membership.Role.ONBOARDING)
    many = f"{shops[1].home}channels/{shops[1].connections[0].pk}/messages/quarantine/?deed=discard"
    paths = {"fleet": "/fleet/?sort=state", "attention": "/fleet/?show=attention", "discard": many}
    found = look_at(browser, client, live_server, "fleet", paths, staff)
    assert not found, "\n".join(found)


def test_incidents_and_alerts_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.broken()
    home, merchant = scene.home, scene.merchant
    first = Incident.objects.unresolved().order_by("pk")[0]
    routes.add_webhook(merchant=merchant, label="#shop", url="https://hooks.example.com/x", actor=scene.user)
    incidents.note(incident_id=first.pk, text="The router was off.", actor=scene.user, now=utc_now())
    member = Membership.objects.get(user=scene.user, merchant=merchant)
    outbox.send_test(route=routes.of_member(member), actor=scene.user, now=utc_now())
    paths = {
        "incidents": f"{home}incidents/",
        "closed": f"{home}incidents/?state=closed",
        "none": f"{home}incidents/?q=nothing-like-that",
        "incident": f"{home}incidents/{first.pk}/",
        "alerts": f"{home}alerts/",
        "lost": f"{home}channels/{scene.connections[1].pk}/",
        "new": f"{home}channels/{scene.connections[2].pk}/",
    }
    ways = VARIANTS if PICTURES else CROSSWISE
    found = look_at(browser, client, live_server, "incidents", paths, scene.user, ways=ways)
    empty = scenes.empty()
    nothing = {"incidents": f"{empty.home}incidents/", "alerts": f"{empty.home}alerts/"}
    found += look_at(browser, client, live_server, "incidents-empty", nothing, empty.user, ways=ways)
    assert not found, "\n".join(found)


def test_an_incident_is_taken_on_without_javascript(browser, client, live_server):
    scene = scenes.broken()
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, client, live_server, scene.user)
    page = context.new_page()
    page.goto(f"{live_server.url}{scene.home}")
    page.locator(".bell").click()
    page.get_by_role("button", name="I am on it").first.click()
    expect(page.locator(".messages")).to_contain_text("You are on it")
    expect(page.locator(".tag-ours").first).to_contain_text("is on it")
    context.close()
