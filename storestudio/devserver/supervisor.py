"""Watches the instance's processes: starts them in order, starts again what dies, and ends all in the reverse order."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from storestudio.devserver.console import Failure, Interrupted, say, step, tail
from storestudio.devserver.process import Child, stop_together

RESTART_FIRST_S, RESTART_MAX_S = 0.5, 30.0
STEADY_S = 30.0  # who has run this long begins again with the shortest pause
EARLY_DEATHS_MAX = 4  # before everything was ready once: then something is wrong that waiting does not mend


@dataclass
class _Watched:
    child: Child
    started_at: float
    pause_s: float
    due_at: float | None = None
    deaths: int = 0


@dataclass
class Supervisor:
    """All children of one `up`. Groups are stopped together, the last started first."""

    groups: list[list[Child]] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    watched: dict[str, _Watched] = field(default_factory=dict)
    steady: bool = False
    restart_first_s: float = RESTART_FIRST_S

    def listen(self) -> None:
        """From here on SIGINT, SIGTERM and SIGHUP are requests to stop; a second one ends everything at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda got, _: self._on_signal(got))

    def _on_signal(self, number: int) -> None:
        self.received.append(number)
        if len(self.received) > 2:
            for group in self.groups:
                for child in group:
                    child.kill()

    def check(self) -> None:
        """Raise Interrupted when asked to stop; called wherever we wait."""
        if self.received:
            raise Interrupted

    def start(self, group: Sequence[Child]) -> None:
        """Start a group and watch it from now on."""
        self.groups.append(list(group))
        for child in group:
            child.start()
            self.watched[child.name] = _Watched(child=child, started_at=time.monotonic(), pause_s=self.restart_first_s)

    def look(self) -> None:
        """One look at every child: note who died, start again whose pause is over. Raises Failure while starting."""
        now = time.monotonic()
        for watched in self.watched.values():
            if watched.due_at is not None:
                if now >= watched.due_at:
                    watched.child.start()
                    watched.started_at, watched.due_at = now, None
                    say(f"{watched.child.name} started again (pid {watched.child.pid})")
            elif not watched.child.alive():
                self._died(watched, now)

    def _died(self, watched: _Watched, now: float) -> None:
        child = watched.child
        watched.deaths += 1
        if now - watched.started_at >= STEADY_S:
            watched.pause_s = self.restart_first_s
        if not self.steady and watched.deaths >= EARLY_DEATHS_MAX:
            raise Failure(f"{child.name} does not stay up, {child.ending()} ({child.log}):\n{tail(child.log)}")
        watched.due_at = now + watched.pause_s
        say(f"{child.name} ended: {child.ending()}; starting it again in {watched.pause_s:g} s ({child.log})")
        watched.pause_s = min(watched.pause_s * 2, RESTART_MAX_S)

    def serve(self) -> None:
        """Watch until asked to stop."""
        self.steady = True
        while not self.received:
            self.look()
            time.sleep(0.1)

    def stop(self) -> None:
        """End every child, the last started group first, so that nobody loses what it still needs."""
        for group in reversed(self.groups):
            with step(f"stopping {', '.join(child.name for child in group)}"):
                late = stop_together(group)
            for child in late:
                say(f"{child.name} did not end in {child.stop_s:g} s and was killed")
        self.groups.clear()
