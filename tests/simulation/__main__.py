"""`./dev simulate`: plays many schedules on all processors, or one again. Exit code 1 where something was wrong."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import django

django.setup()

from tests.simulation import clock, theatres  # noqa: E402 - Django first
from tests.simulation.playing import Outcome, Planned, shrink  # noqa: E402

FAILURES_MAX = 3  # of one process: then it stops, for they are likely one
PROCESSES_MAX = 4


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
                _tell(outcome)
                _tell(shrink(theatre, outcome), shrunk=True)
            if len(report.failures) >= FAILURES_MAX:
                break
            if report.played % 100 == 0:
                print(f"  process {number}: {report.played} of {len(seeds)}", flush=True)
    return report


def _tell(outcome: Outcome, *, shrunk: bool = False) -> None:
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
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        shares = list(_shares(range(seed, seed + schedules), processes))
        for report in pool.map(play_some, range(processes), shares):
            total += report
    return total


def replay(seed: int, steps: str) -> int:
    """Play one schedule and print its trace."""
    schedule = None
    if steps:
        named = (word.split(":") for word in steps.split(","))
        schedule = [Planned(name, int(number, 16)) for name, number in named]
    with theatres.opened(f"simulation_{os.getpid()}_replay") as theatre:
        outcome = theatre.play(seed, schedule)
    if outcome.wrong:
        _tell(outcome)
        return 1
    print("\n".join(outcome.lines))
    print(f"seed {seed}: nothing wrong; trace {outcome.digest}")
    return 0


def main(words: Sequence[str]) -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--schedules", type=int, default=100, help="how many seeds (100)")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, PROCESSES_MAX))
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one and print what happened")
    parser.add_argument("--steps", default="", help="with --replay: these steps of it only")
    asked = parser.parse_args(words)
    if asked.replay is not None:
        return replay(asked.replay, asked.steps)
    started = clock.real_monotonic()
    processes = max(1, min(asked.processes, asked.schedules))
    total = play_many(seed=asked.seed, schedules=asked.schedules, processes=processes)
    took_s = clock.real_monotonic() - started
    each = max(total.played, 1)
    print(
        f"{total.played} schedules from seed {asked.seed}, {sum(total.steps.values())} steps, in {took_s:.0f} s "
        f"({total.played / took_s:.1f} a second, {processes} processes); a schedule on average: "
        f"{total.statements / each:.0f} statements and {total.calls / each:.0f} calls; "
        f"all at rest at most {total.rest_s_max:.0f} s (of the schedule's time) after the last fault"
    )
    print("steps: " + ", ".join(f"{name} {count}" for name, count in total.steps.most_common()))
    if total.failures:
        print(f"FAILED: seeds {', '.join(map(str, sorted(total.failures)))}")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
