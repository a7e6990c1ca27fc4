"""/healthz and /readyz, each part missing in turn."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from storestudio import health, tasks
from storestudio.accounts.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def ask_migrations_anew() -> Iterator[None]:
    health._migrated.clear()
    yield
    health._migrated.clear()


@pytest.fixture
def everything_works(live_server: Any, settings: Any) -> None:
    """Signs of life of all processes; the test's own server stands where the sandbox would."""
    settings.SANDBOX_URL = live_server.url
    for name in health.PROCESSES:
        Heartbeat.objects.create(name=name, beat_at=timezone.now())


def missing(client: Client) -> dict[str, str]:
    answer = client.get("/readyz")
    found: dict[str, str] = answer.json()["missing"]
    assert answer.status_code == (503 if found else 200)
    assert answer.json()["ready"] is not bool(found)
    assert "no-store" in answer["Cache-Control"]
    return found


def test_alive_answers_whatever_is_missing(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200
    assert client.post("/healthz").status_code == 405


def test_ready_when_every_part_is_there(client: Client, everything_works: None) -> None:
    assert missing(client) == {}


def test_a_process_that_never_beat_is_named(client: Client, everything_works: None) -> None:
    Heartbeat.objects.filter(name="dispatcher").delete()
    assert missing(client) == {"dispatcher": "has given no sign of life yet"}


@pytest.mark.parametrize("name", health.PROCESSES)
def test_a_process_that_fell_silent_is_named_with_how_long_ago(
    client: Client, everything_works: None, name: str
) -> None:
    Heartbeat.objects.filter(name=name).update(beat_at=timezone.now() - timedelta(seconds=100))
    assert missing(client) == {name: "last gave a sign of life 100 s ago"}


def test_a_sign_of_life_a_moment_ago_is_enough(client: Client, everything_works: None) -> None:
    Heartbeat.objects.update(beat_at=timezone.now() - health.STALE + timedelta(seconds=3))
    assert missing(client) == {}


@contextmanager
def not_applied(name: str) -> Iterator[None]:
    """The database forgets migrations of the account room: those named so (LIKE)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'accounts' AND name LIKE %s RETURNING app, name, applied", [name]
        )
        rows = cursor.fetchall()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", rows)


def test_migrations_that_are_not_applied_are_counted(client: Client, everything_works: None) -> None:
    with not_applied("%"):
        found = missing(client)
    assert set(found) == {"migrations"}
    assert found["migrations"].startswith("1 not applied, the first is accounts.0001_")


def test_a_database_that_an_older_release_left_halfway_is_not_ready(client: Client, everything_works: None) -> None:
    with not_applied("0003_reserved_slugs"):
        found = missing(client)
    assert set(found) == {"migrations"}
    assert "2 of 3 applied, not accounts.0003_reserved_slugs" in found["migrations"]


def test_a_broker_that_cannot_be_reached_is_named(
    client: Client, everything_works: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
    monkeypatch.setattr(health.celery_app.conf, "broker_write_url", url)
    assert set(missing(client)) == {"broker"}


def test_a_sandbox_that_does_not_answer_is_named_only_where_there_is_one(
    client: Client, everything_works: None, settings: Any
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.SANDBOX_URL = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert set(missing(client)) == {"sandbox"}
    settings.SANDBOX = False
    assert missing(client) == {}


def test_a_database_that_is_away_is_the_one_cause_told(
    client: Client, everything_works: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise health.DatabaseError("server closed the connection\nmore words")

    monkeypatch.setattr(health.connection, "cursor", away)
    assert missing(client) == {"database": "server closed the connection"}


def test_probes_are_not_sent_to_https(client: Client, everything_works: None, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/readyz").status_code == 200
    assert Client().get("/account/login/").status_code == 301


def test_the_scheduled_task_shows_worker_and_scheduler_and_the_other_only_the_worker() -> None:
    tasks.heartbeat(scheduled=False)
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker"}
    tasks.heartbeat(scheduled=True)
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker", "beat"}
