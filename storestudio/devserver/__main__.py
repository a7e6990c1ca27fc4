"""The commands of `./dev`, run by the environment's Python."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from storestudio.devserver import instance as instances
from storestudio.devserver import postgres
from storestudio.devserver.console import Failure
from storestudio.devserver.instance import ROOT, Held, Instance
from storestudio.devserver.process import run_in_foreground, stop_together
from storestudio.devserver.up import up

HOLDER_WAIT_S = 60.0
PROCESSES_MAX = 4  # a database and up to 40 connections each
CLEAN = {
    "SECRET_KEY": "for-tests-only",
    "CREDENTIAL_KEYS": "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "SANDBOX": "true",
    "STATIC_MANIFEST": "false",
    "DATABASE_POOL_MAX": "40",  # a test process is server and clients at once
    "CELERY_BROKER_URL": "memory://",
    "DJANGO_SETTINGS_MODULE": "storestudio.settings",
}


def main(words: Sequence[str]) -> int:
    """Run one command; its exit code."""
    command, rest = words[0], list(words[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` runs; `up` has its own
    given = instances.read_env_file(ROOT / ".env") | dict(os.environ)
    data = Path(given.get("STORESTUDIO_DATA") or ROOT / ".storestudio").expanduser().absolute()
    try:
        if command == "up":
            return up(Instance(data=data, given=given))
        if command == "manage":
            return manage(Instance(data=data, given=given), rest)
        if command == "test":
            return test(rest)
        if command == "simulate":
            return simulate(rest)
        return bench(data, rest)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def manage(instance: Instance, words: Sequence[str]) -> int:
    """manage.py beside a running `up`, or with the instance's PostgreSQL started for the duration."""
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    deadline = time.monotonic() + HOLDER_WAIT_S
    while True:
        try:
            instance.hold(command="manage")
            break
        except Held as held:
            environment = _running_environment(instance) if held.command == "up" else None
            if environment:
                os.chdir(ROOT)
                os.execve(sys.executable, command, os.environ | environment)  # noqa: S606
            if time.monotonic() > deadline:
                raise Failure(f"`./dev {held.command}` (pid {held.pid}) keeps {instance.data} to itself.") from None
            time.sleep(0.2)
    try:
        instance.make_folders()
        with _database_for(instance) as environment:
            return run_in_foreground(command, environment=os.environ | environment, folder=ROOT)
    finally:
        instance.release()


def _running_environment(instance: Instance) -> dict[str, str] | None:
    """The environment of the `up` that runs now; None while its database does not yet accept connections."""
    environment, note = instances.read_env_file(instance.env_file), instance.data / "runtime"
    if not environment or not note.exists():
        return None
    if not _embedded(environment):
        return environment
    sockets = Path(note.read_text().strip()) / "pg"  # noted before the environment is, and new with each `up`
    return environment if str(sockets) in environment["DATABASE_URL"] and any(sockets.glob(".s.PGSQL.*")) else None


def _embedded(environment: Mapping[str, str]) -> bool:
    return environment.get("DATABASE_URL", "").startswith(f"postgres://{postgres.ROLE}:") and (
        "@//" in environment["DATABASE_URL"]
    )


@contextmanager
def _database_for(instance: Instance) -> Iterator[dict[str, str]]:
    """The environment of an instance that is not up; its own PostgreSQL runs while the block does."""
    kept = instances.read_env_file(instance.env_file)
    named: dict[str, str] = {}
    for source in (instance.given, {} if _embedded(kept) else kept):
        for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
            if source.get(name):
                named.setdefault(name, source[name])
    # No worker is there to be woken; what is due lies in the database until the next `up`.
    broker = named.get("CELERY_BROKER_URL") or "memory://"
    if "DATABASE_URL" in named:
        yield _environment_of(instance, kept, named["DATABASE_URL"], broker)
        return
    with _cluster(
        data=instance.data / "postgres", password=instance.secret("DATABASE_PASSWORD"), durable=True,
        log=instance.logs / "postgresql.log", keep_open=[instance.children_lock(tell=_tell)],
    ) as cluster:  # fmt: skip
        yield _environment_of(instance, kept, cluster.url, broker)


def _environment_of(instance: Instance, kept: Mapping[str, str], url: str, broker: str) -> dict[str, str]:
    """As the last `up` had it, on this database and broker."""
    return {
        **instance.environment(database_url=url, broker_url=broker), **kept,
        "DATABASE_URL": url, "CELERY_BROKER_URL": broker,
    }  # fmt: skip


def _tell(text: str) -> None:
    """Beside what manage.py prints, which another program may read."""
    print(text, file=sys.stderr)


@contextmanager
def _cluster(
    *, data: Path, password: str, durable: bool, log: Path, keep_open: Sequence[int] = ()
) -> Iterator[postgres.Cluster]:
    """A running cluster for the length of the block."""
    runtime = instances.make_runtime_folder()
    server = None
    try:
        cluster = postgres.open_cluster(data=data, sockets=runtime / "pg", password=password, durable=durable)
        server = cluster.child(log=log, environment=os.environ, keep_open=keep_open)
        server.start()
        cluster.wait(server, tick=lambda: None)
        cluster.make_database()
        yield cluster
    finally:
        stop_together([server] if server else [])
        instances.remove_runtime_folder(runtime)


@contextmanager
def _throw_away_cluster(*, parent: Path, durable: bool) -> Iterator[postgres.Cluster]:
    """A new cluster in a new folder under `parent`, removed with it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=parent))
    folder.chmod(0o711)
    label = "PostgreSQL, durable" if durable else "PostgreSQL for tests"
    try:
        with _cluster(data=folder / "postgres", password="test", durable=durable, log=folder / "log") as cluster:  # noqa: S106
            print(f"  {label}: {postgres.version(cluster.binaries)[1]} of {cluster.binaries}", flush=True)
            yield cluster
    finally:
        postgres.discard(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def _clean_environment() -> dict[str, str]:
    """Ours without any setting of the product: a test must not depend on whose shell it runs in."""
    kept = {name: value for name, value in os.environ.items() if name not in instances.settings_names()}
    return kept | CLEAN


def test(words: Sequence[str]) -> int:
    """pytest on DATABASE_URL, or on a cluster that trades durability for speed; all tests on all processors."""
    processes = str(min(os.cpu_count() or 1, PROCESSES_MAX))
    spread = [] if words else ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-rs", *spread, *words]
    url, environment = os.environ.get("DATABASE_URL"), _clean_environment()
    if url:
        return run_in_foreground(command, environment=environment | {"DATABASE_URL": url}, folder=ROOT)
    with _throw_away_cluster(parent=Path(tempfile.gettempdir()), durable=False) as cluster:
        environment |= {"DATABASE_URL": cluster.url, **cluster.client_environment}
        return run_in_foreground(command, environment=environment, folder=ROOT)


def simulate(words: Sequence[str]) -> int:
    """Seeded schedules of faults against the product's code, on a cluster of their own (docs/simulation.md)."""
    with _throw_away_cluster(parent=Path(tempfile.gettempdir()), durable=False) as cluster:
        environment = _clean_environment() | {"DATABASE_URL": cluster.url, **cluster.client_environment}
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v", "0"]
        code = run_in_foreground(migrate, environment=environment, folder=ROOT)
        command = [sys.executable, "-m", "tests.simulation", *words]
        return code or run_in_foreground(command, environment=environment, folder=ROOT)


def bench(data: Path, words: Sequence[str]) -> int:
    """manage.py bench_<name> on a durable cluster of its own, which lies on the disk that the data folder is on."""
    found = sorted(path.stem.removeprefix("bench_") for path in ROOT.glob("*/management/commands/bench_*.py"))
    if not words or words[0] not in found:
        raise Failure(f"./dev bench <name> [options], where <name> is one of: {', '.join(found)}")
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o711)
    with _throw_away_cluster(parent=data, durable=True) as cluster:
        environment = _clean_environment() | {"DATABASE_URL": cluster.url, **cluster.client_environment}
        manage_py = [sys.executable, str(ROOT / "manage.py")]
        code = run_in_foreground([*manage_py, "migrate", "-v", "0"], environment=environment, folder=ROOT)
        # What is posted came in first: the ledger's figures are shown with the inlet's.
        for name in ("ledger", "ingest") if words[0] == "ledger" else (words[0],):
            if code == 0:
                command = [*manage_py, f"bench_{name}", *words[1:]]
                code = run_in_foreground(command, environment=environment, folder=ROOT)
        return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
