"""Large files in bounded memory; the same with 200 MB: python tests/onboarding/big_files.py."""

import io

import pytest

from onboarding import reading
from tests.onboarding import big_files


def test_twenty_megabytes_of_csv_are_read_in_memory_that_does_not_grow(tmp_path):
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    big_files.write_csv(small, size=1024 * 1024)
    variants = big_files.write_csv(large, size=20 * 1024 * 1024)
    _, _, peak_small = big_files.measure(small)
    rows, _, peak_large = big_files.measure(large)
    assert rows == variants
    assert peak_large < 150
    assert peak_large - peak_small < 15


def test_rows_are_passed_over_much_faster_than_they_are_read(tmp_path):
    path = tmp_path / "table.csv"
    variants = big_files.write_csv(path, size=4 * 1024 * 1024)
    _, whole, _ = big_files.measure(path)
    rest, skipped, _ = big_files.measure(path, after=variants - 9)
    assert rest == 10
    assert skipped < whole / 2


def test_a_workbook_of_some_thousand_variants_stays_small(tmp_path):
    path = tmp_path / "book.xlsx"
    big_files.write_xlsx(path, variants=8_000)
    rows, _, peak = big_files.measure(path)
    assert rows == 8_000
    assert peak < 150


def test_rows_come_while_the_file_is_still_being_read(tmp_path):
    path = tmp_path / "table.csv"
    big_files.write_csv(path, size=2 * 1024 * 1024)
    with path.open("rb") as stream:
        rows = reading.read(stream, name="t").rows()
        next(rows)
        assert stream.tell() < 1024 * 1024


def test_very_many_stray_bytes_do_not_make_the_encoding_slow():
    body = b"SKU,Title\n" + b"A,\xe9\xe8\xe0 caf\xe9\n" * 200_000
    read = reading.read(io.BytesIO(body), name="f")
    assert read.encoding == "cp1252"
    assert next(read.rows()).product_title == "éèà café"


@pytest.mark.parametrize("count", [20_000, 20_001])
def test_very_many_lone_quotes_cost_time_in_proportion(count):
    body = "SKU,Title,Price\n" + 'A,"5 inch pipe,2\n' * count
    rows = list(reading.read(io.BytesIO(body.encode()), name="f").rows())
    assert len(rows) == count
    assert all(row.problems for row in rows)
