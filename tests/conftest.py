"""What holds for every test: no network but this machine's own, and passwords that cost nothing to hash."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings


class OutsideWorldError(RuntimeError):
    """A test reached for another machine: the vendors' stand-ins are what it should talk to."""


def _is_this_machine(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def no_outside_world() -> Iterator[None]:
    """Refuse every connection of this process that leaves the machine."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, _real: Any = real) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_this_machine(address):
                raise OutsideWorldError(f"A test may not connect to {address}.")
            return _real(self, address)

        patch.setattr(socket.socket, name, guarded)
    yield
    patch.undo()


def pytest_configure() -> None:
    """A hash that is slow on purpose is most of what making a user costs; nobody breaks into a test's database."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_report_header() -> list[str]:
    """Say at the top what this machine lacks, for such tests skip."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    required = " (required)" if os.environ.get("STORESTUDIO_REQUIRE_BROWSER") == "1" else ""
    return [f"browser: {browser or 'none, tests in a browser skip'}{required}"]
