"""Takes the pictures in this folder from a running demo, in a real browser: six pages, two widths, light and dark.

    .venv/bin/python docs/screens/make.py --base-url http://127.0.0.1:8000 --email … --password …

Needs Chromium and the development requirements; reads no database and no settings. The variant shown is the first one
of Stock, or `--sku`; the connection is the first one of Channels.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none"]
SIZES = {1440: 1000, 390: 844}
THEMES = ("light", "dark")
# A picture taller than this shows no more, only more of it.
HEIGHT_MAX = {1440: 1500, 390: 1700}
SETTLE_MS = 700


@dataclass(frozen=True)
class Shot:
    """One page to picture."""

    name: str
    path: str


def main() -> int:
    """Write the pictures; 1 with a sentence where the demo or a browser is missing."""
    options = _options()
    chromium = options.chromium or next(filter(None, map(shutil.which, CANDIDATES)), None)
    if chromium is None:
        print("No Chromium found; name one with --chromium.", file=sys.stderr)  # noqa: T201
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        cookies, shots = _sign_in(browser, options)
        for width, theme in ((width, theme) for width in SIZES for theme in THEMES):
            for path in _picture(browser, options, cookies=cookies, shots=shots, width=width, theme=theme):
                print(f"{path} {path.stat().st_size // 1024} KB")  # noqa: T201
        browser.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", type=lambda url: url.rstrip("/"))
    parser.add_argument("--out", default=Path(__file__).parent, type=Path)
    parser.add_argument(
        "--email", default="owner@demo.storestudio.example", help="a demo login, as `./dev up` prints it"
    )
    parser.add_argument("--password", default="lockstep-demo")
    parser.add_argument("--sku", default="", help="show this variant, not the first one")
    parser.add_argument("--chromium", default="", help="the browser's path")
    return parser.parse_args()


def _sign_in(browser: Any, options: argparse.Namespace) -> tuple[Any, list[Shot]]:
    """Sign in once; find the shop's address, a variant and a connection by looking at the pages."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{options.base_url}/account/login/")
    page.fill("[name=login]", options.email)
    page.fill("[name=password]", options.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()
    if "/account/" in page.url:
        raise SystemExit(f"Could not sign in as {options.email}.")
    if page.url.rstrip("/") == options.base_url:  # several shops: the first
        page.locator(".shop-list a").first.click()
        page.wait_for_load_state()
    today = page.url.removeprefix(options.base_url)
    page.goto(f"{options.base_url}{today}stock/" + (f"?q={options.sku}" if options.sku else ""))
    variant = page.locator("main tbody a[href*='/stock/']").first.get_attribute("href")
    page.goto(f"{options.base_url}{today}channels/")
    connection = page.locator("main a[href*='/channels/']").first.get_attribute("href")
    cookies = context.cookies()
    context.close()
    return cookies, [
        Shot("today", today),
        Shot("stock", f"{today}stock/"),
        Shot("variant", variant),
        Shot("connection", connection),
        Shot("findings", f"{today}findings/"),
        Shot("mapping", f"{today}mapping/"),
    ]


def _picture(
    browser: Any, options: argparse.Namespace, *, cookies: Any, shots: list[Shot], width: int, theme: str
) -> Iterator[Path]:
    """Each page at one width in one theme."""
    context = browser.new_context(
        viewport={"width": width, "height": SIZES[width]}, color_scheme=theme, reduced_motion="reduce"
    )
    context.add_cookies(cookies)
    page = context.new_page()
    for shot in shots:
        page.goto(options.base_url + shot.path)
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(SETTLE_MS)
        # As tall as the page, so that the phone's bottom bar stands at its foot and not across its middle.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(SIZES[width], min(height, HEIGHT_MAX[width]))})
        path = options.out / f"{shot.name}-{width}-{theme}.png"
        page.screenshot(path=path)
        page.set_viewport_size({"width": width, "height": SIZES[width]})
        yield path
    context.close()


if __name__ == "__main__":
    sys.exit(main())
