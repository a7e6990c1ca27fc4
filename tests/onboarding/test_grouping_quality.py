"""How well grouping does, measured: on made-up shops of every habit, and on the public data where it is at hand."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

import pytest
from django.core.management import call_command

from onboarding.matching import duplicates, grouping
from tests.onboarding import grouping_shops
from tests.onboarding.grouping_shops import Shop

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "matching" / "variants"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the public matching data is not beside this checkout")


def f1(found: set[Hashable], true: set[Hashable]) -> float:
    return 2 * len(found & true) / (len(found) + len(true)) if found or true else 1.0


def pairs(product_of: dict[str, str]) -> set[Hashable]:
    members = defaultdict(list)
    for listing, product in product_of.items():
        members[product].append(listing)
    return {pair for own in members.values() for pair in itertools.combinations(sorted(own), 2)}


def measure(shops: Iterable[Shop]) -> tuple[float, float, float]:
    """F1 of grouping pairs, of options, of duplicates, over all shops together."""
    sums = [(set[Hashable](), set[Hashable]()) for _ in range(3)]
    for number, shop in enumerate(shops):
        groups = grouping.group(shop.records)
        product_of = {m.record_id: g.members[0].record_id for g in groups for m in g.members}
        values = {(m.record_id, n, v.casefold()) for g in groups for m in g.members for n, v in m.options}
        true = {(own, n, v.casefold()) for own, row in shop.options_of.items() for n, v in row.items()}
        twice = {(pair.id_a, pair.id_b) for pair in duplicates.find(shop.records, groups=groups)}
        for (found, wanted), mine, right in zip(
            sums,
            (pairs(product_of), values, twice),
            (pairs(shop.product_of), true, shop.duplicates),
            strict=True,
        ):
            found.update((number, item) for item in mine)
            wanted.update((number, item) for item in right)
    first, second, third = (f1(found, wanted) for found, wanted in sums)
    return first, second, third


@pytest.mark.parametrize("style", grouping_shops.STYLES)
def test_shops_of_every_habit_are_grouped(style: str) -> None:
    shops = [
        shop for seed in (11, 12) for shop in grouping_shops.many_shops(seed=seed, products=14) if shop.style == style
    ]
    found, options, twice = measure(shops)
    assert (found >= 0.97, options >= 0.93, twice >= 0.85) == (True, True, True), (found, options, twice)


def test_all_habits_together_are_well_above_the_mark() -> None:
    found, options, twice = measure(grouping_shops.many_shops(seed=13, products=14))
    assert (found >= 0.985, options >= 0.97, twice >= 0.93) == (True, True, True), (found, options, twice)


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@needs_data
@pytest.mark.parametrize("with_shops", [True, False])
def test_the_public_shops_are_grouped_with_and_without_their_names(tmp_path: Path, *, with_shops: bool) -> None:
    source = tmp_path / "listings.csv"
    rows = read(DATA / "pos.csv.gz")
    columns = [column for column in rows[0] if with_shops or column != "shop"]
    with source.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    groups, values, twice = (tmp_path / name for name in ("groups.csv", "options.csv", "twice.csv"))
    call_command("group", "--in", source, "--groups", groups, "--options", values, "--duplicates", twice)

    shop_of = {row["listing_id"]: row["shop"] for row in rows}
    found = pairs({r["listing_id"]: f"{shop_of[r['listing_id']]} {r['product_id']}" for r in read(groups)})
    true = pairs({r["listing_id"]: r["product_id"] for r in read(DATA / "truth_groups.csv.gz")})
    assert f1(found, true) >= 0.985
    mine, right = (
        {(r["listing_id"], r["option"].casefold(), r["value"].casefold()) for r in read(path)}
        for path in (values, DATA / "truth_options.csv.gz")
    )
    assert f1(set(mine), set(right)) >= 0.97
    if with_shops:
        copies = {(r["listing_a"], r["listing_b"]) for r in read(twice)}
        assert (
            f1(set(copies), {(r["listing_a"], r["listing_b"]) for r in read(DATA / "truth_duplicates.csv.gz")}) >= 0.95
        )
