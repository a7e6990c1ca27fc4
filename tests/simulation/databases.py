"""Each party's own connection to the database, and what can befall it: killed, severed, interrupted, at any statement.

Worker, web process and vendor share one thread and take turns: whoever works has its connection in Django's place.
`clock_timestamp()` is answered by a function of ours that lies before PostgreSQL's own in the search path, so that
time in SQL is the schedule's too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import psycopg
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.pq import ExecStatus, TransactionStatus

from tests.simulation.clock import Clock

OPTIONS = "-c lock_timeout=200ms -c timezone=UTC -c search_path=simulation,public,pg_catalog -c plan_cache_mode=auto"
# Functions of SQL that ask the time are plain ones: this one is found first.
CLOCK = """
CREATE SCHEMA IF NOT EXISTS simulation;
CREATE OR REPLACE FUNCTION simulation.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT current_setting('simulation.now')::timestamptz $$;
"""
STUDIO = ("studio", "web", "second", "staff")  # ours; the vendors and their customers keep their data elsewhere


class Killed(BaseException):
    """SIGKILL: nothing of this process happens any more; no handler may hold it, nothing is told to the database."""


class Link(DatabaseWrapper):
    """One party's connection."""

    def __init__(
        self,
        settings: dict,
        *,
        party: str,
        clock: Clock,
        on_statement: Callable[[Link, str], None],
        sessions: list[psycopg.Connection],
    ) -> None:
        super().__init__(settings, "default")
        self.sessions = sessions
        self.party, self.clock, self.on_statement = party, clock, on_statement
        self.told: float | None = None
        self.is_dead = False
        self.moved_stock = False  # in the transaction under way
        self.execute_wrappers.append(self._execute)

    def _execute(self, execute, sql, params, many, context):
        if self.is_dead:
            raise Killed
        self.on_statement(self, sql)
        now = self.clock.elapsed_s + self.clock.off_s.get(self.party, 0.0)
        if self.told != now and self.connection is not None and not self.connection.closed:
            self.told = now if self._tell_time() else None
        return execute(sql, params, many, context)

    def _tell_time(self) -> bool:
        """Past psycopg's cursors, for it is done before every tenth statement. In a transaction, part of it."""
        link = self.connection.pgconn
        if link.transaction_status == TransactionStatus.IDLE and not self.connection.autocommit:
            link.exec_(b"BEGIN")
        done = link.exec_(f"SET simulation.now = '{self.clock.now().isoformat()}'".encode())
        return done.status == ExecStatus.COMMAND_OK

    def connect(self) -> None:
        if self.is_dead:
            raise Killed
        self.told = None
        super().connect()

    def get_new_connection(self, conn_params: dict) -> psycopg.Connection:
        """A session that a dead process left, if there is one."""
        return self.sessions.pop() if self.sessions else super().get_new_connection(conn_params)

    def _rollback(self) -> None:
        self.told = None  # a setting made in a transaction goes with it
        super()._rollback()

    def _savepoint_rollback(self, sid: str) -> None:
        self.told = None
        super()._savepoint_rollback(sid)

    def _commit(self) -> None:
        self.on_statement(self, "COMMIT")
        super()._commit()
        self.on_statement(self, "COMMITTED")

    def die(self) -> psycopg.Connection | None:
        """The process is gone; the server undoes what was not committed. Gives the session, for another process.

        A real server ends it. But to it the next process's session is no other than this one rolled back, and a new one
        has every plan to make, for a third of what a schedule costs.
        """
        link, self.connection, self.is_dead = self.connection, None, True
        if link is None or link.closed or self.errors_occurred:
            return None
        link.rollback()
        return link


def settings_of(name: str) -> dict:
    """Django's settings of a database of this cluster, for one lasting connection."""
    settings = deepcopy(connections.settings["default"])
    settings.update(NAME=name, CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False)
    settings["OPTIONS"] = {key: value for key, value in settings["OPTIONS"].items() if key != "pool"}
    settings["OPTIONS"]["options"] = OPTIONS
    return settings


class Parties:
    """The connections of all who take part, one database."""

    def __init__(self, database: str, clock: Clock) -> None:
        self.settings, self.clock = settings_of(database), clock
        self.links: dict[str, Link] = {}
        self.sessions: list[psycopg.Connection] = []  # of processes that died
        self.on_statement: Callable[[Link, str], None] = lambda link, sql: None

    def link(self, party: str) -> Link:
        """A party's connection; a new process has a new one."""
        found = self.links.get(party)
        if found is None or found.is_dead:
            found = self.links[party] = Link(
                self.settings,
                party=party,
                clock=self.clock,
                on_statement=lambda link, sql: self.on_statement(link, sql),
                sessions=self.sessions,
            )
        return found

    def kill(self, link: Link) -> None:
        """The process at work there dies."""
        session = link.die()
        if session is not None:
            self.sessions.append(session)

    @contextmanager
    def working(self, party: str) -> Iterator[Link]:
        """This party is at work; whoever was before goes on after it."""
        before, link = connections["default"], self.link(party)
        was, self.clock.party = self.clock.party, party
        connections["default"] = link
        try:
            yield link
        finally:
            connections["default"] = before
            self.clock.party = was
            if not link.is_dead and not link.in_atomic_block:
                link.close_if_unusable_or_obsolete()  # as after each task and each request

    def sever(self, link: Link | None = None) -> None:
        """The database restarts: our connections are gone, idle or not. The vendors keep theirs elsewhere."""
        ours = [
            one
            for one in self.links.values()
            if one.party in STUDIO and one.connection is not None and not one.connection.closed
        ]
        while self.sessions:
            self.sessions.pop().close()
        with self.administrator() as cursor:
            for one in ours:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [one.connection.info.backend_pid])
        for one in ours:
            one.errors_occurred = True  # so that each is looked at before it is used again, as a pool does
            if one is not link and not one.in_atomic_block:
                one.close_if_unusable_or_obsolete()

    @contextmanager
    def administrator(self) -> Iterator[psycopg.Cursor]:
        """A connection that belongs to nobody of the schedule, on the cluster's own database."""
        with psycopg.connect(**parameters(self.settings, "postgres"), autocommit=True) as link, link.cursor() as cursor:
            yield cursor

    def close(self) -> None:
        """Let go of all."""
        for link in self.links.values():
            link.execute_wrappers.clear()
            if not link.is_dead:
                link.close()
        self.links.clear()
        for session in self.sessions:
            session.close()
        self.sessions.clear()


def parameters(settings: dict, database: str) -> dict:
    """What psycopg wants to connect."""
    named = {"host": settings["HOST"], "port": settings["PORT"], "user": settings["USER"]}
    named |= {"password": settings["PASSWORD"], "dbname": database}
    return {name: value for name, value in named.items() if value}
