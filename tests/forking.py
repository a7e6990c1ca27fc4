"""A process forked from a test's, with connections of its own."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkContext

from django.db import connection, connections


def context() -> ForkContext:
    """Processes forked from it share no connection with this one, whose own is closed first."""
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]
    return multiprocessing.get_context("fork")


def let_go_of_inherited_connections() -> None:
    """In the forked process: begin with one plain connection of its own, without a pool and its threads.

    A thread of the parent may have opened the pool again before the fork. And where an event loop runs in the parent (a
    browser's driver), its connection from before the loop is not the one that was closed, but is the one found here.
    """
    connections.settings["default"]["OPTIONS"].pop("pool", None)
    del connections["default"]
    connection.ensure_connection()
