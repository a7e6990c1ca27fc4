"""What holds for every test: no network but this machine's own, and passwords that cost nothing to hash."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations

LONG = ("browser", "platform", "simulation", "onboarding", "contract")  # folders with files that take a minute or two


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


# TRUNCATE makes a new file for each of 160 tables and their indexes, a second's work after every test that commits;
# deleting what is there takes a twentieth. It locks no table either: a page that still asks is waited for, not met.
EMPTY = """
DO $$
DECLARE name text;
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        TRUNCATE {tables};
        RETURN;
    END IF;
    FOR tried IN 1..500 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
              AND xact_start IS NOT NULL);
        PERFORM pg_sleep(0.02);
    END LOOP;
    SET LOCAL session_replication_role = replica;  -- neither foreign keys nor the ledger's own guards are asked
    FOREACH name IN ARRAY string_to_array('{tables}', ', ') LOOP
        EXECUTE 'DELETE FROM ' || name;
    END LOOP;
    SET LOCAL session_replication_role = origin;
END $$
"""
OF_MIGRATIONS = {"django_content_type", "auth_permission"}  # the same for every test, and slow to make again


@pytest.fixture(autouse=True, scope="session")
def a_test_that_commits_is_cleared_away_quickly() -> Iterator[None]:
    """Do what Django does after such a test (`flush`) without new files, and keep OF_MIGRATIONS as they are."""

    def emptied(_self: Any, _style: Any, tables: Iterable[str], **_options: Any) -> list[str]:
        return [EMPTY.format(tables=", ".join(f'"{table}"' for table in tables if table not in OF_MIGRATIONS))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", emptied)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_args, **_options: None)
        yield


def pytest_configure() -> None:
    """A hash that is slow on purpose is most of what making a user costs; nobody breaks into a test's database."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, so that no process is left alone with one while the others are done."""
    items.sort(key=lambda item: LONG.index(name) if (name := item.path.parent.name) in LONG else len(LONG))


def pytest_report_header() -> list[str]:
    """Say at the top what this machine lacks, for such tests skip."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    required = " (required)" if os.environ.get("STORESTUDIO_REQUIRE_BROWSER") == "1" else ""
    return [f"browser: {browser or 'none, tests in a browser skip'}{required}"]
