"""One migration stands for all of an app's earlier ones: a database has all of those or none, or is refused."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from storestudio.accounts.checks import halfway

pytestmark = pytest.mark.django_db
APP, NEW, NEWEST_OLD = "onboarding", "0001_imports_findings_mapping", "0008_mapping_seen_to_and_bulk"


def forget(*names: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = %s AND name = ANY(%s)", [APP, list(names)])


def applied() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = %s ORDER BY name", [APP])
        return [name for (name,) in cursor.fetchall()]


def planned() -> list[str]:
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def test_a_database_halfway_is_refused_and_left_as_it_is() -> None:
    forget(NEW, NEWEST_OLD)
    before = applied()
    with pytest.raises(SystemCheckError, match=f"7 of 8 applied, not {APP}.{NEWEST_OLD}"):
        call_command("migrate", skip_checks=False, verbosity=0)
    assert applied() == before


def test_control_django_alone_would_find_nothing_to_do() -> None:
    forget(NEW, NEWEST_OLD)
    assert planned() == []


def test_a_database_of_all_earlier_ones_has_nothing_left_to_run() -> None:
    forget(NEW)
    assert halfway(MigrationLoader(connection)) == []
    assert planned() == []
    call_command("migrate", APP, verbosity=0)
    assert NEW in applied()


def test_a_database_of_none_of_them_runs_the_one() -> None:
    forget(*applied())
    assert halfway(MigrationLoader(connection)) == []
    assert planned() == [f"{APP}.{NEW}"]
