"""Measure pair matching on public data: the table of targets, or cost at a size."""

from __future__ import annotations

import csv
import resource
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from onboarding.management.commands.match import pair_files, report
from onboarding.matching import csvfiles, fitting, pairs, prior, synthetic, training

DATA = Path("..") / "shared" / "data" / "matching"


@dataclass(frozen=True, slots=True)
class Measured:
    """One set: how good, how much of it could be accepted unseen at 99.5 % precision, how long."""

    f1: float
    precision: float
    recall: float
    unseen: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    left: str
    right: str
    truth: str
    columns: tuple[str, str]


TASKS = {
    "abt": Task("Abt-Buy, whole catalogs", "abt_buy/a", "abt_buy/b", "abt_buy/truth", ("id_a", "id_b")),
    "amazon": Task(
        "Amazon-Google, whole catalogs",
        "amazon_google/a",
        "amazon_google/b",
        "amazon_google/truth",
        ("id_a", "id_b"),
    ),
    "pr6": Task(
        "PriceRunner 3-6",
        "pricerunner_3_6/a",
        "pricerunner_3_6/b",
        "pricerunner_3_6/truth",
        ("id_a", "id_b"),
    ),
    "pr17": Task(
        "PriceRunner 3-17",
        "pricerunner_3_17/a",
        "pricerunner_3_17/b",
        "pricerunner_3_17/truth",
        ("id_a", "id_b"),
    ),
    "variants": Task(
        "till listing → web variant", "variants/pos", "variants/web", "variants/truth_map", ("listing_id", "web_id")
    ),
}


class Command(BaseCommand):
    help = "Print how well and how fast listings are paired on the public sets; with --scale, cost at that size."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data", type=Path, default=Path(settings.BASE_DIR) / DATA, help="folder of the public sets"
        )
        parser.add_argument(
            "--scale", type=int, default=0, help="instead: pair this many made-up listings with as many"
        )

        parser.add_argument(
            "--held-out",
            action="store_true",
            help="for each set, find the starting weights from the sets of other sources first",
        )
        parser.add_argument("--weights", action="store_true", help="find the starting weights anew and print them")

    def handle(
        self,
        *args: Any,
        data: Path,
        scale: int,
        held_out: bool = False,
        weights: bool = False,
        **options: Any,
    ) -> None:
        if scale:
            self._scale(count=scale)
            return
        if not data.is_dir():
            raise CommandError(f"No folder {data.name} with the public sets; pass --data.")
        if weights:
            for name, weight in training.dump(learn(data=data, without="")).items():
                self.stdout.write(f'    "{name}": {weight},')
            return
        found = {}
        for key, task in TASKS.items():
            if (data / f"{task.truth}.csv.gz").exists():
                found[key] = measure(task=task, data=data, held_out=held_out)
            else:
                self.stdout.write(f"{task.name}: skipped, {task.truth}.csv.gz is not there")
        self._table(found=found)

    def _table(self, *, found: dict[str, Measured]) -> None:
        self.stdout.write(f"{'task':40}{'at least':>10}{'aim':>8}{'ours':>9}{'seconds':>9}")
        for name, least, aim, keys in (
            ("Abt-Buy, whole catalogs", 0.95, 0.97, ["abt"]),
            ("Amazon-Google, whole catalogs", 0.74, 0.76, ["amazon"]),
            ("PriceRunner 3-6 and 3-17, mean", 0.86, 0.90, ["pr6", "pr17"]),
            ("till listing → web variant", 0.99, 0.995, ["variants"]),
        ):
            if all(key in found for key in keys):
                f1 = sum(found[key].f1 for key in keys) / len(keys)
                seconds = max(found[key].seconds for key in keys)
                self.stdout.write(f"{name:40}{least:>10}{aim:>8}{f1:>9.4f}{seconds:>9.1f}")
        if "abt" in found:
            row = f"{'Abt-Buy accepted unseen at 99.5 %':40}{'85%':>10}{'93%':>8}{found['abt'].unseen:>9.1%}"
            self.stdout.write(f"{row}{found['abt'].seconds:>9.1f}")
        for key, m in found.items():
            task = TASKS[key].name
            self.stdout.write(
                f"  {task}: precision {m.precision:.4f}, recall {m.recall:.4f}, F1 {m.f1:.4f}, {m.seconds:.1f} s"
            )

    def _scale(self, *, count: int) -> None:
        started = time.monotonic()
        left, right, truth = synthetic.catalogs(count=count)
        made = time.monotonic()
        self.stdout.write(f"{count:,} × {count:,} listings made in {made - started:.0f} s")
        found = pairs.match(left, right, on_progress=report)
        seconds = time.monotonic() - made
        right_ones = sum(truth.get(pair.left_id) == pair.right_id for pair in found)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
        self.stdout.write(
            f"{len(found):,} pairs in {seconds:.0f} s, {peak:,.0f} MB at most; "
            f"precision {right_ones / max(len(found), 1):.4f} recall {right_ones / len(truth):.4f}"
        )


def measure(*, task: Task, data: Path, held_out: bool = False) -> Measured:
    """Pairs first, truth afterwards: nothing of it can reach the engine."""
    weights = prior.weights(training.dump(learn(data=data, without=task.left[:6]))) if held_out else None
    started = time.monotonic()
    left, right = (csvfiles.read(data / f"{name}.csv.gz") for name in (task.left, task.right))
    found = pair_files(left=left, right=right, weights=weights)
    seconds = time.monotonic() - started
    truth = read_truth(task=task, data=data)
    hits = sum((pair.left_id, pair.right_id) in truth for pair in found)
    precision, recall = hits / max(len(found), 1), hits / len(truth)
    f1 = 2 * hits / (len(found) + len(truth))
    return Measured(f1, precision, recall, accepted_unseen(found=found, truth=truth), seconds)


def read_truth(*, task: Task, data: Path) -> set[tuple[str, str]]:
    with csvfiles.open_text(data / f"{task.truth}.csv.gz") as stream:
        return {(row[task.columns[0]], row[task.columns[1]]) for row in csv.DictReader(stream)}


@lru_cache
def learn(*, data: Path, without: str) -> training.Weights:
    """Starting weights from the catalogs there are, leaving out the source whose name begins so."""
    examples = []
    for task in TASKS.values():
        if task is TASKS["variants"] or (without and task.left.startswith(without)):
            continue
        if (data / f"{task.truth}.csv.gz").exists():
            left, right = (csvfiles.read(data / f"{name}.csv.gz") for name in (task.left, task.right))
            examples.append(pairs.fit(left.records, right.records).example(read_truth(task=task, data=data)))
    if not examples:
        raise CommandError("No set to learn from.")
    return fitting.fit(examples)


def accepted_unseen(*, found: Sequence[pairs.Pair], truth: set[tuple[str, str]], precision: float = 0.995) -> float:
    """The largest share of the truth above a cut between different scores at that precision."""
    best = hits = 0
    for n, pair in enumerate(found, start=1):
        hits += (pair.left_id, pair.right_id) in truth
        if n < len(found) and found[n].score == pair.score:
            continue
        if hits / n >= precision:
            best = n
    return best / len(truth)
