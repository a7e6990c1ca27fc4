"""Pair the listings of two CSV files."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.matching import csvfiles, pairs, training


class Command(BaseCommand):
    help = "Pair the listings of two CSV files (.csv or .csv.gz) and write id_a, id_b, score, verdict, evidence."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--left", required=True, type=Path, help="listings: id, title and more columns where known")
        parser.add_argument("--right", required=True, type=Path, help="the listings to find them in")
        parser.add_argument("--out", required=True, type=Path, help="where the pairs go; .gz compresses")

    def handle(self, *args: Any, left: Path, right: Path, out: Path, **options: Any) -> None:
        try:
            mine, theirs = csvfiles.read(left), csvfiles.read(right)
        except csvfiles.UnreadableListings as error:
            raise CommandError(str(error)) from error
        found = pair_files(left=mine, right=theirs)
        with csvfiles.open_text(out, write=True) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["id_a", "id_b", "score", "verdict", "evidence"])
            writer.writerows([p.left_id, p.right_id, f"{p.score:.6f}", p.verdict, p.in_words] for p in found)
        accepted = sum(p.verdict == "accept" for p in found)
        self.stderr.write(f"{len(found)} pairs: {accepted} to accept, {len(found) - accepted} to review")


def pair_files(
    *, left: csvfiles.Listings, right: csvfiles.Listings, weights: training.Weights | None = None
) -> list[pairs.Pair]:
    """Shop by shop where both files name shops."""
    if left.shops is not None and right.shops is not None:
        return pairs.match_shops(
            left.records,
            right.records,
            left_shops=left.shops,
            right_shops=right.shops,
            on_progress=report,
            weights=weights,
        )
    return pairs.match(left.records, right.records, on_progress=report, weights=weights)


def report(stage: str, done: int, total: int) -> None:
    """Only for long work; a line a stage would bury the result of a small one."""
    if total >= 50_000:
        print(f"\r{stage} {done:,} of {total:,}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
