"""`./dev up` as a person meets it: real servers, real signals, in a data folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storestudio.devserver import instance as instances
from storestudio.devserver import postgres
from storestudio.devserver.console import Failure
from storestudio.devserver.instance import ROOT, Instance
from storestudio.devserver.process import Child, stop_together
from storestudio.devserver.supervisor import Supervisor

START_S = 120.0


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def until(condition: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not come true in {timeout_s} s"
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """Every living process below `pid`."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            parents.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found, look = [], [pid]
    while look:
        children = parents.get(look.pop(), [])
        found += children
        look += children
    return found


def alive(pids: list[int]) -> list[int]:
    living = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            living.append(pid)
    return living


@dataclass
class Running:
    """One instance of the product, started by `up` as often as a test likes."""

    data: Path
    port: int
    sandbox_port: int
    output: Path
    process: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        ours = {*instances.settings_names(), *(name for name in os.environ if name.startswith("PG"))}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        # Without the sandbox there is no demo shop to load: what is tested here is how processes live and die.
        return kept | {
            "STORESTUDIO_DATA": str(self.data), "PORT": str(self.port), "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX": "false", "PYTHONPATH": str(ROOT), **self.more,
        }  # fmt: skip

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "storestudio.devserver", *words]
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
        )

    def up(self) -> int:
        """Start, wait until it says that it is ready; the supervisor's process id."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "storestudio.devserver", "up"],
                env=self.environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        until(lambda: self.process.poll() is not None or "is ready" in self.said(), timeout_s=START_S)
        assert self.process.poll() is None, self.said()
        return self.process.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def pid_of(self, words: str) -> int:
        """The one direct child whose command line holds `words`."""
        assert self.process is not None
        for pid in descendants(self.process.pid):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # gone since
            if int(stat[1]) == self.process.pid and words in line:
                return pid
        return 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("up")
    port, sandbox_port = free_ports()
    instance = Running(data=folder / "data", port=port, sandbox_port=sandbox_port, output=folder / "output")
    yield instance
    if instance.process and instance.process.poll() is None:
        instance.end(signal.SIGTERM)
    postgres.discard(instance.data / "postgres")


def test_up_serves_restarts_what_dies_and_leaves_nothing_behind(running: Running) -> None:
    """One story, for each start takes seconds: up, manage, deaths, an end by SIGKILL, up again, an end by SIGTERM."""
    supervisor = running.up()
    assert running.get("/healthz")[0] == 200
    assert running.get("/readyz") == (200, '{"ready": true, "missing": {}}')
    assert running.get("/account/login/")[0] == 200
    _secrets_are_private(running)
    _a_second_up_is_refused(running)
    _manage_works_beside_it(running)

    _a_killed_worker_is_started_again(running)
    _killed_servers_are_started_again(running)

    family = descendants(supervisor)
    assert len(family) > 10
    running.end(signal.SIGKILL)
    supervisor = running.up()  # at once: it waits for what the kernel has just told to end
    assert alive(family) == []
    kept = running.command("manage", "shell", "-v", "0", "-c", USERS)
    assert "kept@example.com" in kept.stdout, kept.stderr
    family = descendants(supervisor)
    assert running.end(signal.SIGTERM) == 0
    assert alive(family) == []
    _manage_works_without_it(running)


USERS = "from storestudio.accounts.models import User; print(list(User.objects.values_list('email', flat=True)))"
MAKE_USER = "from storestudio.accounts.models import User; User.objects.create_user('kept@example.com', 'x')"


def _secrets_are_private(running: Running) -> None:
    for name in ("env", "secrets.json"):
        assert (running.data / name).stat().st_mode & 0o077 == 0, name


def _a_second_up_is_refused(running: Running) -> None:
    second = running.command("up")
    assert second.returncode == 1
    assert f"already runs on {running.data}" in second.stderr


def _manage_works_beside_it(running: Running) -> None:
    made = running.command("manage", "shell", "-v", "0", "-c", MAKE_USER)
    assert made.returncode == 0, made.stderr
    assert running.command("manage", "no-such-command").returncode == 1


def _manage_works_without_it(running: Running) -> None:
    """The instance's PostgreSQL is started for the duration, and ends with it."""
    found = running.command("manage", "shell", "-v", "0", "-c", USERS)
    assert "kept@example.com" in found.stdout, found.stderr
    assert not list(running.data.glob("postgres/postmaster.pid"))


def _a_killed_worker_is_started_again(running: Running) -> None:
    worker = running.pid_of(" worker ")
    children = descendants(worker)
    assert children
    os.kill(worker, signal.SIGKILL)
    until(lambda: running.pid_of(" worker ") not in (0, worker))
    assert alive([worker, *children]) == []
    assert "worker ended: killed by SIGKILL" in running.said()


def _killed_servers_are_started_again(running: Running) -> None:
    """PostgreSQL and broker too, and the product finds them again by itself."""
    for words in ("bin/postgres", "valkey-server"):
        server = running.pid_of(words)
        os.kill(server, signal.SIGKILL)
        until(lambda words=words, server=server: running.pid_of(words) not in (0, server))
    time.sleep(1)
    until(lambda: running.get("/readyz")[0] == 200, timeout_s=60)


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        instance = Running(data=tmp_path / "d", port=port, sandbox_port=free_ports()[0], output=tmp_path / "output")
        refused = instance.command("up")
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in refused.stderr
    assert "PORT" in refused.stderr
    assert not (tmp_path / "d" / "postgres").exists()


def test_a_server_that_cannot_be_reached_fails_the_start_with_its_own_words(tmp_path: Path) -> None:
    port, sandbox_port = free_ports()
    more = {"DATABASE_URL": f"postgres://nobody@127.0.0.1:{port}/none", "CELERY_BROKER_URL": "memory://"}
    instance = Running(data=tmp_path / "d", port=port, sandbox_port=sandbox_port, output=tmp_path / "output", more=more)
    refused = instance.command("up")
    assert refused.returncode == 1
    assert "The server of DATABASE_URL cannot be used" in refused.stderr
    assert "refused" in refused.stderr


def test_without_words_and_with_wrong_ones_the_script_says_what_there_is() -> None:
    script = str(ROOT / "dev")
    helped = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert helped.returncode == 0
    assert all(f"./dev {word}" in helped.stdout for word in ("up", "manage", "test", "simulate", "bench", "lock"))
    wrong = subprocess.run([sys.executable, script, "frobnicate"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "frobnicate" in wrong.stderr


def test_a_bench_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    instance = Running(data=tmp_path, port=1, sandbox_port=2, output=tmp_path / "output")
    refused = instance.command("bench", "nothing")
    assert refused.returncode == 1
    assert "ledger" in refused.stderr


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text().splitlines()
        pins = [line for line in lines if "==" in line and not line.lstrip().startswith("#")]
        assert len(pins) > 30
        assert all(line.rstrip().endswith("\\") for line in pins), "each pin goes on to its hashes"
        assert not [line for line in lines if "://" in line or " @ " in line]


def test_production_and_development_agree_on_every_version() -> None:
    def pins(name: str) -> dict[str, str]:
        found = (line.split()[0].split("==") for line in (ROOT / name).read_text().splitlines() if "==" in line)
        return {parts[0]: parts[1] for parts in found if len(parts) == 2}

    production, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: development.get(name) for name in production} == production


def test_every_setting_is_in_the_example() -> None:
    source = (ROOT / "storestudio" / "settings.py").read_text()
    read = {line.split('("', 1)[1].split('"', 1)[0] for line in source.split("env.")[1:] if '("' in line.split("\n")[0]}
    read -= {"kid", ".env"}
    assert {name for name in read if name.isupper()} <= set(instances.settings_names())


def instance_at(data: Path, **given: str) -> Instance:
    instance = Instance(data=data, given=given)
    instance.make_folders()
    return instance


def test_secrets_are_made_once_and_given_ones_win(tmp_path: Path) -> None:
    first, again = instance_at(tmp_path / "d"), instance_at(tmp_path / "d")
    made = first.environment(database_url="d", broker_url="b")
    assert made == again.environment(database_url="d", broker_url="b")
    assert len(made["SECRET_KEY"]) >= 50
    assert made["CREDENTIAL_KEYS"].startswith("k1:")
    given = instance_at(tmp_path / "d", SECRET_KEY="mine", PUBLIC_URL="https://s.example.com")
    mine = given.environment(database_url="d", broker_url="b")
    assert (mine["SECRET_KEY"], mine["PUBLIC_URL"]) == ("mine", "https://s.example.com")


def test_the_environment_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    instance = instance_at(tmp_path / "d")
    values = {"A": "plain", "B": "with 'quotes' and $signs # and spaces", "C": ""}
    instance.write_environment(values)
    assert instances.read_env_file(instance.env_file) == values


def test_addresses_follow_the_ports(tmp_path: Path) -> None:
    instance = instance_at(tmp_path / "d", PORT="8123")
    found = instance.environment(database_url="d", broker_url="b")
    assert (found["PUBLIC_URL"], found["SANDBOX_URL"]) == ("http://127.0.0.1:8123", "http://127.0.0.1:8124")
    with pytest.raises(Failure, match="PORT is not a port number: eighty"):
        _ = instance_at(tmp_path / "e", PORT="eighty").port


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def make(*command: str, **more: object) -> Child:
        made.append(Child(name="it", command=command, log=tmp_path / "log", environment=dict(os.environ), **more))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_what_a_dead_child_forked_dies_with_it(child: Callable[..., Child]) -> None:
    parent = child("/bin/sh", "-c", "sleep 300 & sleep 300")
    parent.start()
    until(lambda: len(descendants(parent.pid)) == 2)
    forked = descendants(parent.pid)
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not parent.alive())
    until(lambda: not alive(forked), timeout_s=5)
    assert parent.ending() == "killed by SIGKILL"


def test_a_child_that_will_not_stop_is_killed_when_its_time_is_over(child: Callable[..., Child]) -> None:
    stubborn = child("/bin/sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done", stop_s=0.5)
    stubborn.start()
    until(lambda: "ready" in stubborn.log.read_text())
    assert stop_together([stubborn]) == [stubborn]
    assert not stubborn.alive()


def test_a_child_that_keeps_dying_ends_the_start_but_not_a_steady_run(child: Callable[..., Child]) -> None:
    failing = child("/bin/sh", "-c", "echo cannot; exit 3")
    supervisor = Supervisor(restart_first_s=0.01)
    supervisor.start([failing])

    def look_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            supervisor.look()
            time.sleep(0.01)

    with pytest.raises(Failure, match=r"(?s)it does not stay up, exit code 3.*cannot"):
        look_for(10)
    supervisor.steady = True
    look_for(0.5)  # waits longer and longer, and does not give up
    assert supervisor.watched["it"].pause_s > 0.1


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root may run PostgreSQL as another user.")
def test_root_in_a_closed_folder_gets_a_shelter_that_goes_with_the_cluster(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    runtime = instances.make_runtime_folder()
    try:
        cluster = postgres.open_cluster(data=closed / "pg", sockets=runtime / "pg", password="p", durable=False)
        shelter = cluster.data.parent
        assert (closed / "pg").is_symlink()
        assert cluster.data.stat().st_uid != 0
        server = cluster.child(log=closed / "log", environment=os.environ)
        server.start()
        cluster.wait(server, tick=lambda: None)
        cluster.make_database()
        assert cluster.query("SELECT current_database()") == "storestudio"
        stop_together([server])
        again = postgres.open_cluster(data=closed / "pg", sockets=runtime / "pg", password="p", durable=False)
        assert again.data == cluster.data
        postgres.discard(closed / "pg")
        assert not shelter.exists()
    finally:
        instances.remove_runtime_folder(runtime)


def test_a_cluster_of_another_major_version_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Failure, match="No PostgreSQL of major version 9"):
        postgres.choose(tmp_path / "pg")
