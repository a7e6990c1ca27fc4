"""One instance: its data folder, what it keeps secret, the environment its processes run in, and who holds it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from storestudio.devserver.console import Failure

ROOT = Path(__file__).resolve().parent.parent.parent
SOCKET_FOLDER_LENGTH_MAX = 80  # the kernel's limit of 107 bytes covers the folder and the socket's own name
LEFTOVERS_S = 30.0


def settings_names(example: Path = ROOT / ".env.example") -> list[str]:
    """Every setting there is, from the file that documents them."""
    lines = (line.lstrip("# ") for line in example.read_text().splitlines() if "=" in line)
    names = (line.split("=", 1)[0] for line in lines)
    return [name for name in names if name.isidentifier() and name.isupper()]


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=value lines, values quoted as a shell would; {} where there is no file."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            found[name] = "".join(shlex.split(value, comments=True)[:1])
    return found


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)


@dataclass(frozen=True)
class Instance:
    """The instance under one data folder, as the environment given at `up` describes it."""

    data: Path
    given: Mapping[str, str]
    held: list[int] = field(default_factory=list, compare=False)

    @property
    def host(self) -> str:
        """The address that web and sandbox listen on."""
        return self.given.get("HOST") or "127.0.0.1"

    @property
    def port(self) -> int:
        """The web port."""
        return _port(self.given, "PORT", 8000)

    @property
    def sandbox_port(self) -> int:
        """The sandbox's port."""
        return _port(self.given, "SANDBOX_PORT", self.port + 1)

    @property
    def sandbox(self) -> bool:
        """Whether the vendors' stand-ins and the demo shop are wanted."""
        return (self.given.get("SANDBOX") or "true").lower() in ("1", "true", "yes", "on")

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.data / "log"

    @property
    def env_file(self) -> Path:
        """The environment that `up` gave its processes; other commands read it."""
        return self.data / "env"

    def make_folders(self) -> None:
        """Make the data folder. Others may pass through it (as root we run PostgreSQL as nobody), not list it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o711)
        self.logs.chmod(0o700)
        (self.data / "valkey").mkdir(mode=0o700, exist_ok=True)

    def secret(self, name: str) -> str:
        """A secret of this instance, made at its first use and kept in a file of mode 0600."""
        path = self.data / "secrets.json"
        kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in kept:
            key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            kept[name] = f"k1:{key}" if name == "CREDENTIAL_KEYS" else secrets.token_urlsafe(40)
            write_private(path, json.dumps(kept, indent=1))
        return kept[name]

    def environment(self, *, database_url: str, broker_url: str) -> dict[str, str]:
        """What every process of the instance gets: what was given, then the rest of what the product needs."""
        chosen = {name: self.given[name] for name in settings_names() if self.given.get(name)}
        local = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        defaults = {
            "SECRET_KEY": chosen.get("SECRET_KEY") or self.secret("SECRET_KEY"),
            "CREDENTIAL_KEYS": chosen.get("CREDENTIAL_KEYS") or self.secret("CREDENTIAL_KEYS"),
            "PUBLIC_URL": f"http://{local}:{self.port}",
            "SANDBOX_URL": f"http://{local}:{self.sandbox_port}",
            "STATIC_ROOT": str(self.data / "static"),
            # Mail becomes files to look at: nobody is written to by a demo.
            "EMAIL_URL": f"filemail:///{quote(str(self.data / 'mail'))}",
        }
        fixed = {
            "DATABASE_URL": database_url, "CELERY_BROKER_URL": broker_url, "SANDBOX": str(self.sandbox).lower(),
            "DJANGO_SETTINGS_MODULE": "storestudio.settings",
        }  # fmt: skip
        return defaults | chosen | fixed

    def write_environment(self, environment: Mapping[str, str]) -> None:
        """Keep it for `./dev manage`, and for a shell: `set -a; . .storestudio/env`."""
        write_private(self.env_file, "".join(f"{k}={shlex.quote(v)}\n" for k, v in sorted(environment.items())))

    def hold(self, *, command: str) -> None:
        """Take the data folder for this process alone, until it ends in whatever way. Raises Held."""
        self.data.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
            os.close(lock)
            raise Held(holder) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{command} {os.getpid()}\n".encode(), 0)
        self.held.append(lock)

    def release(self) -> None:
        """Let another process have the data folder."""
        while self.held:
            os.close(self.held.pop())

    def children_lock(self, *, tell: Callable[[str], None]) -> int:
        """A descriptor for children to inherit: while any of them lives, nobody starts others beside it.

        However we ended. Raises Failure when processes of an earlier run do not end."""
        path = self.data / "children.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline, told = time.monotonic() + LEFTOVERS_S, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pids = ", ".join(map(str, _holders(path)))
                    raise Failure(f"Processes of an earlier run do not end: {pids or 'of another user'}.") from None
                if not told:
                    tell("Waiting for the processes of an earlier run to end")
                told = True
                time.sleep(0.1)
            else:
                self.held.append(lock)
                return lock


class Held(Exception):
    """Another command holds the data folder; the text says "<command> <pid>"."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.command, _, pid = holder.rpartition(" ")
        self.pid = pid or "?"


def make_runtime_folder() -> Path:
    """A short folder of our own for sockets. As root others may pass through it, for PostgreSQL is run as nobody."""
    root = os.geteuid() == 0
    candidates = [None if root else os.environ.get("XDG_RUNTIME_DIR"), None if root else tempfile.gettempdir(), "/tmp"]  # noqa: S108
    for parent in filter(None, candidates):
        if len(os.fsencode(parent)) <= SOCKET_FOLDER_LENGTH_MAX - 25 and os.access(parent, os.W_OK | os.X_OK):
            folder = Path(tempfile.mkdtemp(prefix="storestudio-", dir=parent))
            folder.chmod(0o711 if root else 0o700)
            (folder / "pg").mkdir(mode=0o711 if root else 0o700)
            return folder
    raise Failure("There is no short folder for sockets that we may write to (/tmp).")


def remove_runtime_folder(path: Path | None) -> None:
    """Remove what make_runtime_folder made; also that of a run that was killed."""
    if path and path.name.startswith("storestudio-") and path.is_dir() and path.stat().st_uid == os.geteuid():
        shutil.rmtree(path, ignore_errors=True)


def require_free_port(*, host: str, port: int, name: str) -> None:
    """Raise Failure where something else listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or str(error)
            raise Failure(f"Port {port} on {host} cannot be used ({why}). Set {name} to another one.") from None


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Failure(f"{name} is not a port number: {text}")
    return int(text)


def _holders(path: Path) -> list[int]:
    """Processes that have the file open, as far as we may look."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if entry.samefile(path):
                found.append(int(entry.parts[2]))
        except OSError:
            continue
    return sorted(set(found) - {os.getpid()})
