"""What is wrong with a barcode, and what it was."""

from __future__ import annotations

import pytest

from onboarding.matching import gtin


@pytest.mark.parametrize(
    ("typed", "gtin14"),
    [
        ("4006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("09529358286511", "09529358286511"),
        ("96385074", "00000096385074"),
        ("04252614", "00042100005264"),  # UPC-E, stored as the UPC it stands for
    ],
)
def test_sound_numbers_of_every_length_are_valid(typed: str, gtin14: str) -> None:
    assert gtin.check(typed) == gtin.GtinVerdict(valid=True, gtin14=gtin14, problem="", suggestion="")


@pytest.mark.parametrize(
    ("typed", "problem", "suggestion"),
    [
        ("", "empty", ""),
        ("  ", "empty", ""),
        ("MH12-XL-GREEN", "sku", ""),
        ("9.52E+12", "scientific", ""),
        ("9,52359E+12", "scientific", ""),
        ("4.006381333931E+12", "scientific", "4006381333931"),  # all digits are still there
        ("36000291452", "zeros_lost", "036000291452"),
        ("400638133393", "check_digit_missing", "4006381333931"),
        ("03600029145", "check_digit_missing", "036000291452"),
        ("4006381333932", "check_digit", ""),
        ("0306406152", "isbn10", "9780306406157"),
        ("0000000000000", "placeholder", ""),
        ("1234567890128", "placeholder", ""),
        ("12345", "length", ""),
        ("400638133393112", "length", ""),
        ("0201234567899", "in_store", ""),
        ("2012345678903", "in_store", ""),
        ("0401234567893", "in_store", ""),
        ("0512345678900", "coupon", ""),
        ("9912345678909", "coupon", ""),
        ("99521234567892", "variable", ""),
    ],
)
def test_each_damage_has_its_name_and_where_possible_its_repair(typed: str, problem: str, suggestion: str) -> None:
    verdict = gtin.check(typed)
    assert (verdict.valid, verdict.gtin14) == (False, "")
    assert (verdict.problem, verdict.suggestion) == (problem, suggestion)
    assert verdict.words
    assert not suggestion or gtin.check(suggestion).valid


def test_formatting_and_cases_are_valid_but_named() -> None:
    spaced = gtin.check(" 400638 1333931")
    assert (spaced.valid, spaced.problem, spaced.suggestion) == (True, "formatting", "4006381333931")
    assert gtin.check("4006381333931.0").suggestion == "4006381333931"
    assert (gtin.check("14006381333938").valid, gtin.check("14006381333938").problem) == (True, "case")


def test_the_key_sees_through_damage() -> None:
    whole = gtin.key("036000291452")
    assert {gtin.key(t) for t in ("36000291452", "00036000291452", "03600029145", "0 36000 29145 2")} == {whole}
    assert gtin.key("9.52E+12") == ""
