"""`match` and `match_bench` from the outside: files in, pairs out, and errors a person can act on."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from onboarding.management.commands import match_bench
from onboarding.matching import csvfiles

DATA = Path(settings.BASE_DIR) / match_bench.DATA
LEFT = "id,title,price,sku,gtin\n1,Acme Kettle 500 ml red,20,AK-5-R,\n2,Acme Kettle 1 l red,25,AK-1-R,\n"
RIGHT = "id,title,price,sku,gtin\nx,red kettle by Acme 500ml,20,ak5r,\ny,red kettle by Acme 1 litre,25,ak1r,\n"


def run(tmp_path: Path, *, left: str = LEFT, right: str = RIGHT, out: str = "pairs.csv") -> list[dict[str, str]]:
    (tmp_path / "a.csv").write_text(left, encoding="utf-8")
    with gzip.open(tmp_path / "b.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write(right)
    target = tmp_path / out
    call_command("match", left=tmp_path / "a.csv", right=tmp_path / "b.csv.gz", out=target, stderr=io.StringIO())
    with gzip.open(target, "rt", encoding="utf-8") if out.endswith(".gz") else target.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("out", ["pairs.csv", "pairs.csv.gz"])
def test_pairs_are_written_with_score_verdict_and_evidence(tmp_path: Path, out: str) -> None:
    rows = run(tmp_path, out=out)
    assert list(rows[0]) == ["id_a", "id_b", "score", "verdict", "evidence"]
    assert {(row["id_a"], row["id_b"]) for row in rows} == {("1", "x"), ("2", "y")}
    assert all(0 <= float(row["score"]) <= 1 and row["verdict"] in ("accept", "review") for row in rows)
    assert all("SKU equal without dashes" in row["evidence"] and " → " in row["evidence"] for row in rows)


def test_columns_may_carry_the_names_tills_and_web_shops_use(tmp_path: Path) -> None:
    left = "﻿Listing_ID,Name,Barcode\n1,Hero Hoodie - Red / XL,9529018487111\n"
    right = "web_id,product_title,option1_name,option1_value,barcode\nw,Hero Hoodie,Color,Red,9529018487111\n"
    assert [(row["id_a"], row["id_b"]) for row in run(tmp_path, left=left, right=right)] == [("1", "w")]


def test_with_shops_in_both_files_a_pair_never_crosses_them(tmp_path: Path) -> None:
    left = "shop,id,title\na,1,Copper Light 40 cm\nb,2,Glass Light 30 cm\n"
    right = "shop,id,title\nb,x,Copper Light 40 cm\na,y,Copper Lamp 40 cm\n"
    assert ("1", "x") not in {(row["id_a"], row["id_b"]) for row in run(tmp_path, left=left, right=right)}


@pytest.mark.parametrize(
    ("left", "says"),
    [
        ("", "is empty"),
        ("id,title\n", "no listings"),
        ("id,price\n1,2\n", "lacks the column title"),
        ("title\nx\n", "lacks the column id"),
        ("id,title\n1,x\n1,y\n", "row 3 repeats the id 1"),
        ("id,title\n,x\n", "row 2 has no id"),
    ],
)
def test_a_file_that_is_no_catalog_is_refused_in_words(tmp_path: Path, left: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run(tmp_path, left=left)


def test_a_missing_file_and_one_that_is_not_text_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"id,title\n1,\xff\xfe\xfa\n")
    with pytest.raises(CommandError, match="cannot be opened"):
        call_command("match", left=tmp_path / "none.csv", right=tmp_path / "b.csv", out=tmp_path / "o.csv")
    with pytest.raises(CommandError, match="not UTF-8"):
        call_command("match", left=tmp_path / "b.csv", right=tmp_path / "b.csv", out=tmp_path / "o.csv")


def test_the_bench_says_what_is_not_there(tmp_path: Path) -> None:
    said = io.StringIO()
    call_command("match_bench", data=tmp_path, stdout=said)
    assert "skipped" in said.getvalue()
    with pytest.raises(CommandError, match="--data"):
        call_command("match_bench", data=tmp_path / "nowhere")


SHOPS = {
    "pos": "shop,listing_id,name,sku,barcode,price\na,1,Linen Shirt - Red / S,,,20\na,2,Linen Shirt - Red / M,,,20\n"
    "a,3,Linen Shirt - Blue / S,,,20\nb,4,Linen Shirt - Blue / M,,,20\nb,5,Oak Stool,,,80\n",
    "truth_groups": "shop,listing_id,product_id\na,1,x\na,2,x\na,3,x\nb,4,x\nb,5,y\n",
    "truth_options": "shop,listing_id,option,value\na,1,Color,RED\na,1,size,s\na,2,color,red\na,2,size,m\n"
    "a,3,color,blue\na,3,size,s\nb,4,color,blue\nb,4,size,m\n",
}


def write_shops(folder: Path, **other: str) -> None:
    (folder / "variants").mkdir()
    for name, text in (SHOPS | other).items():
        with gzip.open(folder / "variants" / f"{name}.csv.gz", "wt", encoding="utf-8") as stream:
            stream.write(text)


def test_the_bench_scores_products_within_a_shop_and_options_without_case(tmp_path: Path) -> None:
    write_shops(tmp_path)
    groups, options = match_bench.measure_grouping(data=tmp_path)
    assert (groups.precision, groups.recall) == (1, 1)
    assert options.f1 == 1


def test_control_the_bench_counts_what_is_missed(tmp_path: Path) -> None:
    write_shops(tmp_path, truth_groups=SHOPS["truth_groups"].replace("b,5,y", "b,5,x"))
    groups, _ = match_bench.measure_grouping(data=tmp_path)
    assert (groups.precision, groups.recall) == (1, 0.75)


def test_the_benchs_table_has_a_line_for_each_mark_that_was_set(tmp_path: Path) -> None:
    write_shops(tmp_path)
    said = io.StringIO()
    call_command("match_bench", data=tmp_path, stdout=said)
    lines = [line.split() for line in said.getvalue().splitlines() if "skipped" not in line]
    assert [line[-4:-1] for line in lines[1:3]] == [["0.97", "0.985", "1.0000"], ["0.85", "0.92", "1.0000"]]
    assert len(match_bench.LINES) == 7


def test_the_bench_measures_cost_at_a_size() -> None:
    said = io.StringIO()
    call_command("match_bench", scale=500, stdout=said)
    assert "MB at most" in said.getvalue()


@pytest.mark.parametrize(
    ("key", "least"), [("abt", 0.95), ("amazon", 0.74), ("pr6", 0.86), ("pr17", 0.86), ("variants", 0.99)]
)
def test_on_the_public_sets_the_figures_hold(key: str, least: float) -> None:
    if not DATA.is_dir():
        pytest.skip(f"the public matching data is not at {match_bench.DATA}")
    measured = match_bench.measure(task=match_bench.TASKS[key], data=DATA)
    assert measured.f1 >= least
    if key == "abt":
        assert measured.unseen >= 0.85


@pytest.mark.parametrize(
    ("typed", "price"),
    [("1,234.50", 1234.5), ("1.234,50", 1234.5), ("$20", 20.0), ("12,5", 12.5), ("", None), ("0", None)],
)
def test_prices_are_read_as_shops_write_them_and_nothing_is_no_price(typed: str, price: float | None) -> None:
    assert csvfiles.read_price(typed) == price
