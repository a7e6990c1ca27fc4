"""Find the products behind a CSV of flattened listings."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.matching import csvfiles, duplicates, grouping
from onboarding.matching.duplicates import DuplicatePair
from onboarding.matching.grouping import Group
from onboarding.matching.records import Record


class Command(BaseCommand):
    help = (
        "Group flattened listings (.csv or .csv.gz) into products with options. Writes listing_id, product_id and "
        "listing_id, option, value; a shop column is kept, and each shop is then read by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--in", dest="source", required=True, type=Path, help="id, title, sku, gtin, price[, shop]")
        parser.add_argument("--groups", required=True, type=Path, help="where products go; .gz compresses")
        parser.add_argument("--options", dest="values", required=True, type=Path, help="where option values go")
        parser.add_argument("--duplicates", type=Path, help="where listings that exist twice go")

    def handle(self, *args: Any, source: Path, groups: Path, values: Path, **options: Any) -> None:
        try:
            listings = csvfiles.read(source)
        except csvfiles.UnreadableListings as error:
            raise CommandError(str(error)) from error
        shops = by_shop(listings)
        keep_shop = listings.shops is not None
        found = products_by_shop(listings)
        _write(groups, ["listing_id", "product_id"], group_rows(found), keep_shop=keep_shop)
        _write(values, ["listing_id", "option", "value"], option_rows(found), keep_shop=keep_shop)
        twice = 0
        if options["duplicates"]:
            pairs = {shop: duplicates.find(shops[shop], groups=found[shop]) for shop in shops}
            header = ["listing_a", "listing_b", "score", "evidence"]
            _write(options["duplicates"], header, _pair_rows(pairs), keep_shop=keep_shop)
            twice = sum(len(of_shop) for of_shop in pairs.values())
        self._sum_up(found, twice)

    def _sum_up(self, found: dict[str, list[Group]], twice: int) -> None:
        products = [one for of_shop in found.values() for one in of_shop]
        total = sum(len(one.members) for one in products)
        many = sum(len(one.members) > 1 for one in products)
        self.stderr.write(f"{total} listings, {len(products)} products, {many} of them with several listings")
        if twice:
            self.stderr.write(f"{twice} pairs of duplicate listings")


def products_by_shop(listings: csvfiles.Listings) -> dict[str, list[Group]]:
    """The products of each shop; all listings are one shop's where the file names none."""
    return {shop: grouping.group(records, on_progress=_report) for shop, records in by_shop(listings).items()}


def by_shop(listings: csvfiles.Listings) -> dict[str, list[Record]]:
    shops: dict[str, list[Record]] = defaultdict(list)
    names: Sequence[str] = listings.shops if listings.shops is not None else [""] * len(listings.records)
    for shop, record in zip(names, listings.records, strict=True):
        shops[shop].append(record)
    return shops


def group_rows(found: dict[str, list[Group]]) -> Iterable[list[str]]:
    """A product is called by its first listing: a name that stays when other products come and go."""
    for shop, products in found.items():
        for one in products:
            for member in one.members:
                yield [
                    shop,
                    member.record_id,
                    f"{shop}/{one.members[0].record_id}" if shop else one.members[0].record_id,
                ]


def option_rows(found: dict[str, list[Group]]) -> Iterable[list[str]]:
    for shop, products in found.items():
        for one in products:
            for member in one.members:
                for name, value in member.options:
                    yield [shop, member.record_id, name, value]


def _pair_rows(pairs: dict[str, list[DuplicatePair]]) -> Iterable[list[str]]:
    for shop, of_shop in pairs.items():
        for pair in of_shop:
            yield [shop, pair.id_a, pair.id_b, f"{pair.score:.4f}", " · ".join(words for words, _ in pair.evidence)]


def _write(path: Path, header: list[str], rows: Iterable[list[str]], *, keep_shop: bool) -> None:
    with csvfiles.open_text(path, write=True) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["shop", *header] if keep_shop else header)
        writer.writerows(row if keep_shop else row[1:] for row in rows)


def _report(stage: str, done: int, total: int) -> None:
    """Only for long work."""
    if total >= 20_000:
        print(f"\r{stage} {done:,} of {total:,}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
