"""The limit beside our own figures: pgbench running a bare statement on the database that Django is set to."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import CommandError
from django.db import connection


def program() -> str:
    """Where pgbench is: PGBENCH, or on PATH. Raises CommandError."""
    found = os.environ.get("PGBENCH") or shutil.which("pgbench")
    if found is None:
        raise CommandError("pgbench is not on PATH; set PGBENCH to it.")
    return found


@dataclass(frozen=True)
class Run:
    """Transactions a second, and within how many milliseconds 99 of 100 were done."""

    a_second: float
    p99_ms: float


def transactions_a_second(script: str, *, clients: int, seconds: float, options: str = "") -> float:
    """Run `script` over and over from so many clients; whole seconds, at least one. Raises CommandError."""
    return run(script, clients=clients, seconds=seconds, options=options).a_second


def run(script: str, *, clients: int, seconds: float = 0, times: int = 0, options: str = "") -> Run:
    """Run `script` from so many clients, for so long or so many times each, in sessions with these `options` (as
    PGOPTIONS has them). Raises CommandError."""
    settings = connection.settings_dict
    environment = os.environ | {
        "PGHOST": settings["HOST"], "PGPORT": str(settings["PORT"] or 5432), "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"], "PGDATABASE": settings["NAME"],
        "PGOPTIONS": options,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        long = ["-t", str(times)] if times else ["-T", str(max(1, round(seconds)))]
        command = [program(), "-n", "-l", "-c", str(clients), "-j", "2", *long, "-f", str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)  # noqa: S603
        logs = [line.split() for log in Path(folder).glob("pgbench_log.*") for line in log.read_text().splitlines()]
        times_ms = [int(line[2]) / 1000 for line in logs]
    said: str = done.stdout
    for line in said.splitlines():
        if line.startswith("tps"):
            return Run(float(line.split()[2]), statistics.quantiles(times_ms, n=100)[98])
    raise CommandError(f"pgbench said: {done.stdout}{done.stderr}")
