"""A real browser over a real server. Where there is no Chromium these tests skip, saying so, unless
STORESTUDIO_REQUIRE_BROWSER=1 demands it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
# How long a state is waited for: server, database and browser share the machine with other tests.
PATIENCE_MS = 20_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# The browser's driver runs an event loop in this thread; our ORM calls beside it are still synchronous.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all browser tests."""
    path = next(filter(None, map(shutil.which, CANDIDATES)), None)
    if path is None:
        if os.environ.get("STORESTUDIO_REQUIRE_BROWSER") == "1":
            pytest.fail("STORESTUDIO_REQUIRE_BROWSER=1, and there is no Chromium on this machine.")
        pytest.skip("There is no Chromium on this machine.")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def nothing_stays_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close what a test that failed left open: its pages go on asking, and what follows finds the database in use."""
    yield
    if "browser" in request.fixturenames:
        for context in request.getfixturevalue("browser").contexts:
            context.close()
