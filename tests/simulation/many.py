"""Many schedules, on several processes, each with a database of its own.

A module of its own: a spawned process imports what it is to run by name, and cannot from `__main__`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import django

from tests.simulation import theatres
from tests.simulation.playing import Outcome, shrink

FAILURES_MAX = 3  # of one process: then it stops, for they are likely one


@dataclass
class Report:
    """What one process played."""

    played: int = 0
    statements: int = 0
    calls: int = 0
    rest_s_max: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one schedule in."""
        self.played += 1
        self.statements, self.calls = self.statements + outcome.statements, self.calls + outcome.calls
        self.rest_s_max = max(self.rest_s_max, outcome.rest_s)
        self.steps.update(one.name for one in outcome.schedule)
        if outcome.wrong:
            self.failures.append(outcome.seed)

    def __iadd__(self, other: Report) -> Report:
        self.played, self.statements = self.played + other.played, self.statements + other.statements
        self.calls, self.rest_s_max = self.calls + other.calls, max(self.rest_s_max, other.rest_s_max)
        self.steps.update(other.steps)
        self.failures += other.failures
        return self


def play_some(number: int, seeds: Sequence[int]) -> Report:
    """One process: its own database, its share of the seeds."""
    report = Report()
    with theatres.opened(f"simulation_{os.getpid()}_{number}") as theatre:
        for seed in seeds:
            outcome = theatre.play(seed)
            report.add(outcome)
            if outcome.wrong:
                tell(outcome)
                tell(shrink(theatre, outcome), shrunk=True)
            if len(report.failures) >= FAILURES_MAX:
                break
            if report.played % 100 == 0:
                print(f"  process {number}: {report.played} of {len(seeds)}", flush=True)
    return report


def tell(outcome: Outcome, *, shrunk: bool = False) -> None:
    """Print a failure and the command that plays it again."""
    steps = ",".join(map(str, outcome.schedule))
    lines = [f"seed {outcome.seed} shrinks to:" if shrunk else f"seed {outcome.seed} FAILS:", *outcome.lines]
    lines += [f"  wrong: {words}" for words in outcome.wrong]
    lines.append(f"  again: ./dev simulate --replay {outcome.seed}" + (f" --steps {steps}" if shrunk else ""))
    print("\n".join(lines), flush=True)


def _shares(seeds: range, processes: int) -> Iterator[range]:
    return (seeds[number::processes] for number in range(processes))


def play_many(*, seed: int, schedules: int, processes: int) -> Report:
    """Play `schedules` seeds from `seed` on."""
    total = Report()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=django.setup) as pool:
        shares = list(_shares(range(seed, seed + schedules), processes))
        for report in pool.map(play_some, range(processes), shares):
            total += report
    return total
