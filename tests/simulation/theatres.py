"""A theatre for a while: a database made from the product's own, empty one, and dropped afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

from tests.simulation.databases import parameters, settings_of
from tests.simulation.playing import Theatre


@contextmanager
def opened(name: str, *, template: str = "") -> Iterator[Theatre]:
    """A theatre on a new database of this name; `template` (the one of DATABASE_URL) loses its other users."""
    template = template or str(connections.settings["default"]["NAME"])
    connections["default"].close()
    connections["default"].close_pool()
    with psycopg.connect(**parameters(settings_of(name), "postgres"), autocommit=True) as link:
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        # PostgreSQL copies only what nobody has open, and the thread of a server that was may still have it.
        link.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template])
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        link.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            with Theatre(name).open() as theatre:
                yield theatre
        finally:
            link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
