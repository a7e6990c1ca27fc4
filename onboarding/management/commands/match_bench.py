"""Measure pairing and grouping on public data: the table of targets, or cost at a size."""

from __future__ import annotations

import csv
import itertools
import resource
import sys
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from onboarding.management.commands.group import group_rows, option_rows, products_by_shop
from onboarding.management.commands.match import pair_files, report
from onboarding.matching import csvfiles, fitting, pairs, prior, synthetic, training

DATA = Path("..") / "shared" / "data" / "matching"


@dataclass(frozen=True, slots=True)
class Measured:
    """One set: how good, how long, and for pairs how much of it could be accepted unseen at 99.5 % precision."""

    f1: float
    precision: float
    recall: float
    seconds: float
    unseen: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: the mean F1 of its sets beside what it should be."""

    name: str
    least: float
    aim: float
    keys: tuple[str, ...]


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
UNSEEN = Line("Abt-Buy accepted unseen at 99.5 %", 0.85, 0.93, ("abt",))
PRODUCTS = Line("flattened listings → products", 0.97, 0.985, ("groups",))
VALUES = Line("option name and value", 0.85, 0.92, ("options",))
LINES = (
    Line("Abt-Buy, whole catalogs", 0.95, 0.97, ("abt",)),
    Line("Amazon-Google, whole catalogs", 0.74, 0.76, ("amazon",)),
    Line("PriceRunner 3-6 and 3-17, mean", 0.86, 0.90, ("pr6", "pr17")),
    UNSEEN,
    Line("till listing → web variant", 0.99, 0.995, ("variants",)),
    PRODUCTS,
    VALUES,
)
LISTINGS, GROUPS, OPTIONS = "variants/pos", "variants/truth_groups", "variants/truth_options"


class Command(BaseCommand):
    help = "Print how well and how fast listings are paired and grouped on the public sets; --scale: cost at a size."

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
        names = {key: task.name for key, task in TASKS.items()} | {"groups": PRODUCTS.name, "options": VALUES.name}
        found = {}
        for key, task in TASKS.items():
            if self._is_there(task.name, data / f"{task.truth}.csv.gz"):
                found[key] = measure(task=task, data=data, held_out=held_out)
        if self._is_there(PRODUCTS.name, data / f"{GROUPS}.csv.gz"):
            found["groups"], found["options"] = measure_grouping(data=data)
        self._table(found=found, names=names)

    def _is_there(self, name: str, truth: Path) -> bool:
        if not truth.exists():
            self.stdout.write(f"{name}: skipped, {truth.name} is not there")
        return truth.exists()

    def _table(self, *, found: dict[str, Measured], names: dict[str, str]) -> None:
        self.stdout.write(f"{'task':40}{'at least':>10}{'aim':>8}{'ours':>9}{'seconds':>9}")
        for line in LINES:
            sets = [found[key] for key in line.keys if key in found]
            if len(sets) == len(line.keys):
                ours = sum(one.unseen if line is UNSEEN else one.f1 for one in sets) / len(sets)
                seconds = max(one.seconds for one in sets)
                self.stdout.write(f"{line.name:40}{line.least:>10}{line.aim:>8}{ours:>9.4f}{seconds:>9.1f}")
        for key, m in found.items():
            self.stdout.write(
                f"  {names[key]}: precision {m.precision:.4f}, recall {m.recall:.4f}, F1 {m.f1:.4f}, {m.seconds:.1f} s"
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
    unseen = accepted_unseen(found=found, truth=truth)
    return scored({(pair.left_id, pair.right_id) for pair in found}, truth, seconds=seconds, unseen=unseen)


def measure_grouping(*, data: Path) -> tuple[Measured, Measured]:
    """Flattened listings into products, and their options: each scored over all shops together, truth read last."""
    started = time.monotonic()
    listings = csvfiles.read(data / f"{LISTINGS}.csv.gz")
    products = products_by_shop(listings)
    seconds = time.monotonic() - started
    groups = together(((shop, product), listing) for shop, listing, product in group_rows(products))
    truth = together(((row["shop"], row["product_id"]), row["listing_id"]) for row in _rows(data / f"{GROUPS}.csv.gz"))
    wanted = {
        (row["listing_id"], _said(row["option"]), _said(row["value"])) for row in _rows(data / f"{OPTIONS}.csv.gz")
    }
    options = {(listing, _said(name), _said(value)) for _, listing, name, value in option_rows(products)}
    return scored(groups, truth, seconds=seconds), scored(options, wanted, seconds=seconds)


def scored(
    found: AbstractSet[Hashable], truth: AbstractSet[Hashable], *, seconds: float, unseen: float = 0.0
) -> Measured:
    """Precision, recall and F1 of a set of statements."""
    hits = len(found & truth)
    f1 = 2 * hits / (len(found) + len(truth)) if found or truth else 1.0
    return Measured(f1, hits / max(len(found), 1), hits / max(len(truth), 1), seconds, unseen)


def together(members: Iterable[tuple[Hashable, str]]) -> set[tuple[str, str]]:
    """Every two listings that share a product: groups are scored by them, whatever the products are called."""
    by_product: dict[Hashable, set[str]] = defaultdict(set)
    for product, listing in members:
        by_product[product].add(listing)
    return {pair for own in by_product.values() for pair in itertools.combinations(sorted(own), 2)}


def _rows(path: Path) -> list[dict[str, str]]:
    with csvfiles.open_text(path) as stream:
        return list(csv.DictReader(stream))


def _said(cell: str) -> str:
    return cell.strip().lower()


def read_truth(*, task: Task, data: Path) -> set[tuple[str, str]]:
    return {(row[task.columns[0]], row[task.columns[1]]) for row in _rows(data / f"{task.truth}.csv.gz")}


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
