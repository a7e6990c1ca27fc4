"""Identifiers and titles, read the way two shops would agree on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.matching import codes, spelling, text

digits = st.text(alphabet="0123456789", min_size=7, max_size=13).filter(lambda d: bool(d.strip("0")))


@given(digits)
def test_a_barcode_reads_the_same_with_leading_zeros_blanks_and_padding(body: str) -> None:
    full = body + codes.check_digit(body)
    read = codes.read_gtin(full)
    if len(full.lstrip("0")) < 7:
        return
    assert read.valid == full.lstrip("0").zfill(14)
    assert codes.read_gtin(full.zfill(14)) == read
    assert codes.read_gtin(f" {full[:6]} {full[6:]}") == read


@given(digits)
def test_a_barcode_without_its_check_digit_is_repaired_and_never_called_different(body: str) -> None:
    full = body + codes.check_digit(body)
    verdict = codes.compare_gtins(codes.read_gtin(body), codes.read_gtin(full))
    assert verdict in ("repaired", "equal", "unknown")


def test_a_barcode_a_spreadsheet_rounded_still_speaks_and_a_foreign_one_does_not() -> None:
    damaged = codes.read_gtin("9.52902E+12")
    assert codes.compare_gtins(damaged, codes.read_gtin("9529018487111")) == "rounded"
    assert codes.compare_gtins(damaged, codes.read_gtin("9520089016846")) != "rounded"


@given(digits, digits)
def test_two_valid_barcodes_are_equal_or_different_whichever_comes_first(one: str, other: str) -> None:
    a, b = (codes.read_gtin(body + codes.check_digit(body)) for body in (one, other))
    assert codes.compare_gtins(a, b) == codes.compare_gtins(b, a)


@pytest.mark.parametrize("raw", ["", "n/a", "MH07-XS", "0000000000000", "12", "123456789012345678"])
def test_what_is_no_barcode_is_no_evidence(raw: str) -> None:
    assert codes.read_gtin(raw).valid == ""
    assert codes.compare_gtins(codes.read_gtin(raw), codes.read_gtin("9529018487111")) == "unknown"


def test_a_sku_is_one_thing_however_it_is_cased_separated_or_padded() -> None:
    typed = codes.sku_forms("MS04-XS-Black")
    assert codes.sku_forms("ms04 xs black")[1] == typed[1] == codes.sku_forms("MS04_XS_Black ")[1]
    assert codes.sku_forms("MS00004-XS-Black")[2] == typed[2]
    assert codes.sku_forms("  ") == ("", "", "")


@pytest.mark.parametrize(
    ("typed", "token"),
    [
        ("Hard disk 500 GB", "500gb"),
        ("Hard disk 500gb", "500gb"),
        ("24'' television", "24in"),
        ("24-inch television", "24in"),
        ("Suite v. 9.0", "9"),
        ("Suite version 9", "9"),
        ("Hoodie, X-Large", "xl"),
        ("Hoodie Extra Large", "xl"),
        ("Socks, pack of 3", "3pk"),
        ("Café crème", "cafe"),
        ("0.8 Cu. Ft. oven", "0.8cuft"),
    ],
)
def test_numbers_units_and_sizes_are_written_one_way(typed: str, token: str) -> None:
    assert token in text.words(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("blk", "black"), ("prpl", "purple"), ("runing", "running"), ("lge", "large"), ("kxtg6700", "kxtg6700b")],
)
def test_abbreviations_typing_errors_and_endings_of_codes_are_alike(one: str, other: str) -> None:
    assert spelling.alike(one, other) > 0
    assert spelling.alike(other, one) > 0


@pytest.mark.parametrize(
    ("one", "other"), [("blue", "black"), ("small", "large"), ("32", "33"), ("kx100", "kx200"), ("5s", "6s")]
)
def test_other_colours_sizes_numbers_and_codes_are_not(one: str, other: str) -> None:
    assert spelling.alike(one, other) == 0
