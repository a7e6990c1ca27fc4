"""`./dev simulate`: plays many schedules on all processors, or one again. Exit code 1 where something was wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import django

django.setup()

from tests.simulation import clock, theatres  # noqa: E402 - Django first
from tests.simulation.many import described, figures, play_many  # noqa: E402
from tests.simulation.playing import Planned  # noqa: E402

PROCESSES_MAX = 4


def replay(seed: int, steps: str) -> int:
    """Play one schedule and print its trace."""
    schedule = None
    if steps:
        named = (word.split(":") for word in steps.split(","))
        schedule = [Planned(name, int(number, 16)) for name, number in named]
    with theatres.opened(f"simulation_{os.getpid()}_replay") as theatre:
        outcome = theatre.play(seed, schedule)
    if outcome.wrong:
        print(described(outcome))
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
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep the figures so far in this file")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one and print what happened")
    parser.add_argument("--steps", default="", help="with --replay: these steps of it only")
    asked = parser.parse_args(words)
    if asked.replay is not None:
        return replay(asked.replay, asked.steps)
    started = clock.real_monotonic()
    processes = max(1, min(asked.processes, asked.schedules))
    total = play_many(seed=asked.seed, schedules=asked.schedules, processes=processes, report=asked.report)
    took_s = clock.real_monotonic() - started
    lines = figures(total, seed=asked.seed, schedules=asked.schedules, took_s=took_s)
    print("\n".join(lines))
    if asked.report is not None:
        asked.report.write_text("\n".join(lines))
    return 1 if total.failures or total.played < asked.schedules else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
