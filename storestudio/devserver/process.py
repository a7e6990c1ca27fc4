"""Children that end with us: each leads a process group, and the kernel signals it when its parent dies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storestudio.devserver.console import Failure, tail

PR_SET_PDEATHSIG = 1
LOG_BYTES_MAX = 10_000_000
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(*, number: int, parent: int) -> Callable[[], None]:
    """What a child runs before exec: ask the kernel for signal `number` when the thread that started it dies."""

    def ask() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and the call above
            os._exit(1)

    return ask


@dataclass
class Child:
    """One process (and all it forks) that we start, watch, restart and stop."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    stop_signal: int = signal.SIGTERM
    stop_s: float = 10.0
    user: pwd.struct_passwd | None = None
    folder: Path | None = None
    keep_open: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C in the terminal reaches us alone."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        as_user = (
            {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": ()} if self.user is not None else {}
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603
                list(self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=dict(self.environment), cwd=self.folder, start_new_session=True, pass_fds=tuple(self.keep_open),
                preexec_fn=end_with_parent(number=self.stop_signal, parent=os.getpid()), **as_user,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self.process.pid if self.process else 0

    def alive(self) -> bool:
        """Whether it runs. Once it has ended, all that it forked is killed before its id can be given to another."""
        if self.process is None or self.process.returncode is not None:
            return False
        if os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return True
        self._signal_group(signal.SIGKILL)
        self.process.wait()
        return False

    def ask_to_stop(self) -> None:
        """Send its stop signal to the leader, which ends what it forked in its own order."""
        if self.alive() and self.process:
            self.process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """End it and all that it forked, at once."""
        if self.alive() and self.process:
            self._signal_group(signal.SIGKILL)
            self.process.wait()

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode if self.process else None
        if code is None:
            return "still running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def stop_together(children: Sequence[Child]) -> list[Child]:
    """Ask all to stop, wait for each as long as it may take, then kill. Returns those that had to be killed."""
    for child in children:
        child.ask_to_stop()
    started, late = time.monotonic(), []
    for child in children:
        while child.alive() and time.monotonic() - started < child.stop_s:
            time.sleep(0.02)
        if child.alive():
            child.kill()
            late.append(child)
    return late


def run_to_end(child: Child, *, tick: Callable[[], None]) -> None:
    """Run a child that ends by itself; `tick` is called often and may raise to break off. Raises Failure."""
    child.log.unlink(missing_ok=True)
    child.start()
    try:
        while child.alive():
            tick()
            time.sleep(0.03)
    except BaseException:
        stop_together([child])
        raise
    if child.process and child.process.returncode != 0:
        raise Failure(f"{child.name} failed, {child.ending()} ({child.log}):\n{tail(child.log, 25)}")


def run_in_foreground(command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> int:
    """Run a command on this terminal; it gets Ctrl-C itself, and SIGTERM through us. Returns a shell's exit code."""
    process = subprocess.Popen(  # noqa: S603
        list(command), env=dict(environment), cwd=folder,
        preexec_fn=end_with_parent(number=signal.SIGTERM, parent=os.getpid()),
    )  # fmt: skip
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM)),
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
