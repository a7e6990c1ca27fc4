"""A database that an older release left halfway, which Django itself would not notice (docs/adr/0038)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections
from django.db.migrations.loader import MigrationLoader

HINT = (
    "Nothing was changed. Migrate with the last release that has the earlier ones, then with this one; "
    "`SELECT app, name FROM django_migrations` says what is applied."
)


def halfway(loader: MigrationLoader) -> list[str]:
    """One sentence for each migration that stands for others of which only some are applied: none can be run any more.

    `loader` has read a database. Django leaves such an app out of its plan in silence.
    """
    found = []
    for (app, name), migration in sorted(loader.replacements.items()):
        missing = [old for old in migration.replaces if old not in loader.applied_migrations]
        if 0 < len(missing) < len(migration.replaces):
            total = len(migration.replaces)
            found.append(
                f"{app}.{name} stands for {total} earlier migrations: {total - len(missing)} of {total} applied, "
                f"not {'.'.join(missing[0])}"
            )
    return found


def check_not_halfway(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Part of `migrate` and of `check --database default`: refused before anything is changed."""
    found = [line for alias in databases or () for line in halfway(MigrationLoader(connections[alias]))]
    return [Error(f"{line}.", hint=HINT, id="storestudio.E001") for line in found]
