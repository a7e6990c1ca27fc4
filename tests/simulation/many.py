"""Many schedules, on several processes, each with a database of its own.

A module of its own: a spawned process imports what it is to run by name, and cannot from `__main__`. It is the first
that such a process imports, so it sets Django up.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path

import django

django.setup()

from tests.simulation import clock, theatres  # noqa: E402 - Django first
from tests.simulation.playing import Outcome, shrink  # noqa: E402

FAILURES_MAX = 3  # of one process: then it stops, for they are likely one; more of a long run
TRIES_MAX = 40  # to find a shorter schedule, for others wait meanwhile
TELL_EVERY_S = 10.0


@dataclass
class Report:
    """What was played: by one process one schedule, or all in all."""

    played: int = 0
    statements: int = 0
    calls: int = 0
    cpu_s: float = 0.0
    rest_s_max: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)

    @staticmethod
    def of(outcome: Outcome, *, cpu_s: float) -> Report:
        """One schedule."""
        return Report(
            played=1, statements=outcome.statements, calls=outcome.calls, cpu_s=cpu_s, rest_s_max=outcome.rest_s,
            steps=Counter(one.name for one in outcome.schedule),
            struck=outcome.struck, failures=[outcome.seed] if outcome.wrong else [],
        )  # fmt: skip

    def __iadd__(self, other: Report) -> Report:
        self.played, self.statements = self.played + other.played, self.statements + other.statements
        self.calls, self.rest_s_max = self.calls + other.calls, max(self.rest_s_max, other.rest_s_max)
        self.cpu_s += other.cpu_s
        self.steps.update(other.steps)
        self.struck.update(other.struck)
        self.failures += other.failures
        return self


def play_some(number: int, seeds: Sequence[int], told: Queue[Report | str]) -> None:
    """One process: its own database, its share of the seeds. Tells each schedule, and what broke it."""
    failures, failures_max = 0, max(FAILURES_MAX, len(seeds) // 100)
    try:
        with theatres.opened(f"simulation_{os.getpid()}_{number}") as theatre:
            for seed in seeds:
                began_s = time.process_time()
                outcome = theatre.play(seed)
                told.put(Report.of(outcome, cpu_s=time.process_time() - began_s))
                if outcome.wrong:
                    failures += 1
                    told.put(described(outcome))
                    told.put(described(shrink(theatre, outcome, tries_max=TRIES_MAX), shrunk=True))
                if failures >= failures_max:
                    told.put(f"process {number} stops after {failures} failures")
                    break
    except Exception:
        told.put(f"process {number} broke:\n{traceback.format_exc()}")


def described(outcome: Outcome, *, shrunk: bool = False) -> str:
    """A failure and the command that plays it again."""
    steps = ",".join(map(str, outcome.schedule))
    lines = [f"seed {outcome.seed} shrinks to:" if shrunk else f"seed {outcome.seed} FAILS:", *outcome.lines]
    lines += [f"  wrong: {words}" for words in outcome.wrong]
    lines.append(f"  again: ./dev simulate --replay {outcome.seed}" + (f" --steps {steps}" if shrunk else ""))
    return "\n".join(lines)


def play_many(*, seed: int, schedules: int, processes: int, report: Path | None = None) -> Report:
    """Play `schedules` seeds from `seed` on; says how far it is, and what fails as soon as it has.

    `report` is rewritten with the figures so far each time. `played` falls short of `schedules` where a process stopped
    or died.
    """
    context = multiprocessing.get_context("spawn")
    told: Queue[Report | str] = context.Queue()
    total, began_s = Report(), clock.real_monotonic()
    with ExitStack() as stack:
        running = []
        for number in range(processes):
            seeds = range(seed, seed + schedules)[number::processes]
            running.append(context.Process(target=play_some, args=(number, seeds, told), daemon=True))
            running[-1].start()
            stack.callback(running[-1].terminate)
        said_s = began_s
        while news := _next(told, running):
            if isinstance(news, Report):
                total += news
            else:
                print(news, flush=True)
            now_s = clock.real_monotonic()
            if now_s - said_s >= TELL_EVERY_S:
                said_s = now_s
                print(_progress(total, schedules, now_s - began_s), flush=True)
                if report is not None:
                    report.write_text("\n".join(figures(total, seed=seed, schedules=schedules, took_s=now_s - began_s)))
    return total


def figures(total: Report, *, seed: int, schedules: int, took_s: float) -> list[str]:
    """What was played, in lines."""
    each = max(total.played, 1)
    lines = [
        f"{total.played} schedules from seed {seed}, {sum(total.steps.values())} steps, in {took_s:.0f} s "
        f"({total.played / took_s:.1f} a second); a schedule on average: {total.cpu_s / each:.2f} s of processor "
        f"beside PostgreSQL's, {total.statements / each:.0f} statements and {total.calls / each:.0f} calls; "
        f"all at rest at most {total.rest_s_max:.0f} s (of the schedule's time) after the last fault",
        "steps: " + ", ".join(f"{name} {count}" for name, count in total.steps.most_common()),
        f"{sum(total.struck.values())} faults: " + ", ".join(f"{kind} {n}" for kind, n in total.struck.most_common()),
    ]
    if total.failures:
        lines.append(f"FAILED: seeds {', '.join(map(str, sorted(total.failures)))}")
    if total.played < schedules:
        lines.append(f"NOT PLAYED: {schedules - total.played} of {schedules}")
    return lines


def _next(told: Queue[Report | str], running: Sequence[BaseProcess]) -> Report | str | None:
    """What a process tells next; None once all have ended and been heard."""
    while True:
        is_over = not any(one.is_alive() for one in running)
        try:
            return told.get(timeout=0.5)
        except queue.Empty:
            if is_over:
                return None


def _progress(total: Report, schedules: int, passed_s: float) -> str:
    pace = total.played / passed_s
    left = f"{(schedules - total.played) / pace:.0f} s left" if pace else "bringing up the shops"
    failed = f", FAILED: {', '.join(map(str, total.failures))}" if total.failures else ""
    return f"  {passed_s:5.0f} s  {total.played} of {schedules} schedules, {pace:.1f} a second, {left}{failed}"
