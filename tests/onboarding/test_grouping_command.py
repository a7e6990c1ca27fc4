"""`manage.py group`: from a CSV to products, options and duplicates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

LISTINGS = """listing_id,name,sku,barcode,price
a,Harbor Tee - Red / S,HT-S-RED,,20.00
b,Harbor Tee - Red / X-Large,HT-XL-RED,,20.00
c,Harbor Tee Red S,,,20.00
d,Tin Whistle,,,5.00
"""


def run(tmp_path: Path, text: str) -> dict[str, list[list[str]]]:
    source = tmp_path / "listings.csv"
    source.write_text(text, encoding="utf-8")
    out = {name: tmp_path / f"{name}.csv" for name in ("groups", "options", "duplicates")}
    call_command("group", "--in", source, *(part for name, path in out.items() for part in (f"--{name}", path)))
    return {name: list(csv.reader(path.open(encoding="utf-8"))) for name, path in out.items()}


def test_the_files_hold_products_options_and_duplicates(tmp_path: Path) -> None:
    found = run(tmp_path, LISTINGS)
    assert found["groups"] == [["listing_id", "product_id"], ["a", "a"], ["b", "a"], ["c", "a"], ["d", "d"]]
    assert found["options"][:3] == [["listing_id", "option", "value"], ["a", "color", "red"], ["a", "size", "S"]]
    assert [row[:2] for row in found["duplicates"][1:]] == [["a", "c"]]


def test_a_shop_column_is_kept_and_shops_are_read_apart(tmp_path: Path) -> None:
    rows = LISTINGS.splitlines()
    text = "\n".join(
        [f"shop,{rows[0]}", *(f"north,n{row}" for row in rows[1:]), *(f"south,s{row}" for row in rows[1:])]
    )
    found = run(tmp_path, text)
    assert found["groups"][0] == ["shop", "listing_id", "product_id"]
    products = {row[1]: (row[0], row[2]) for row in found["groups"][1:]}
    assert products["na"] == products["nb"] == ("north", "north/na")
    assert products["sa"] == products["sc"] == ("south", "south/sa")


def test_a_file_that_is_no_list_of_listings_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="lacks the column"):
        run(tmp_path, "id,price\n1,2\n")
