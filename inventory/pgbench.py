"""The limit beside our own figures: pgbench running a bare statement on the database that Django is set to."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.core.management.base import CommandError
from django.db import connection


def program() -> str:
    """Where pgbench is: PGBENCH, or on PATH. Raises CommandError."""
    found = os.environ.get("PGBENCH") or shutil.which("pgbench")
    if found is None:
        raise CommandError("pgbench is not on PATH; set PGBENCH to it.")
    return found


def transactions_a_second(script: str, *, clients: int, seconds: float) -> float:
    """Run `script` over and over from so many clients; whole seconds, at least one. Raises CommandError."""
    settings = connection.settings_dict
    environment = os.environ | {
        "PGHOST": settings["HOST"], "PGPORT": str(settings["PORT"] or 5432), "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"], "PGDATABASE": settings["NAME"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        command = [program(), "-n", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))), "-f", str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    said: str = done.stdout
    for line in said.splitlines():
        if line.startswith("tps"):
            return float(line.split()[2])
    raise CommandError(f"pgbench said: {done.stdout}{done.stderr}")
