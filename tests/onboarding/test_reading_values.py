"""Cells as values: money, counts, codes, flags, and what spreadsheets do to them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import exporting
from onboarding.reading import values
from onboarding.reading.rows import Severity
from onboarding.reading.values import NumberStyle


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("12", "12"),
        ("12.50", "12.50"),
        ("£1,234.50", "1234.50"),
        ("1.234,50 €", "1234.50"),
        ("12,5", "12.5"),
        ("1'234.50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u00a0234,50\u00a0€", "1234.50"),
        ("1,234,567", "1234567"),
        ("1.234.567,89", "1234567.89"),
        ("USD 12", "12"),
        ("kr 12,50", "12.50"),
        ("12,-", "12"),
        ("0,234", "0.234"),
        ("A$5.00", "5.00"),
        ("0", "0"),
    ],
)
def test_money_is_read_in_any_common_spelling_without_a_word(typed, amount):
    assert values.money("price", typed) == (Decimal(amount), None)


def test_an_empty_price_says_nothing_and_a_zero_says_zero():
    assert values.money("price", "  ") == (None, None)
    assert values.money("price", "variable") == (None, None)
    assert values.money("price", "0.00")[0] == 0


def test_a_comma_before_three_digits_is_read_by_the_files_own_habit_and_else_with_a_warning():
    assert values.number("price", "1,234", NumberStyle(","))[0] == Decimal("1.234")
    assert values.number("price", "1.234", NumberStyle(","))[0] == Decimal("1234")
    assert values.number("price", "1,234", NumberStyle(".")) == (Decimal("1234"), None)
    amount, problem = values.number("price", "1,234")
    assert amount == 1234
    assert problem is not None
    assert problem.severity == Severity.WARNING


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [(["12,5", "1.234"], ","), (["1.234,50"], ","), (["12.50", "1,234"], "."), (["12", "1,234"], ""), ([], "")],
)
def test_a_files_decimal_mark_is_proved_by_its_values(cells, decimal):
    assert values.style_of(cells).decimal == decimal


@pytest.mark.parametrize("typed", ["dear", "NaN", "Infinity", "1,2,3", "12.5.1", "--", "5012345678900123456", "-3"])
def test_what_is_no_price_is_an_error_and_no_value(typed):
    amount, problem = values.money("price", typed)
    assert amount is None
    assert problem is not None
    assert problem.severity == Severity.ERROR


@pytest.mark.parametrize(
    ("typed", "amount"), [("-3", "-3"), ("(3)", "-3"), ("3-", "-3"), ("2.5", "2.5"), ("1,200", "1200"), ("007", "7")]
)
def test_counts_may_be_negative_and_fractional(typed, amount):
    assert values.quantity("quantity", typed, NumberStyle("."))[0] == Decimal(amount)


@pytest.mark.parametrize("typed", ["", " ", "not stocked", "N/A", "-", "unlimited"])
def test_a_count_that_says_nothing_is_not_zero(typed):
    assert values.quantity("quantity", typed) == (None, None)


@pytest.mark.parametrize("typed", ["Y", "yes", "TRUE", "1", "ja", "Oui", "sí", "x", "✓"])
def test_yes_in_several_spellings(typed):
    assert values.flag("is_tracked", typed) == (True, None)


@pytest.mark.parametrize("typed", ["N", "no", "False", "0", "nein", "Non", "nee"])
def test_no_in_several_spellings(typed):
    assert values.flag("is_tracked", typed) == (False, None)


def test_neither_yes_nor_no_is_an_error_and_empty_is_not():
    assert values.flag("is_tracked", "perhaps")[1] is not None
    assert values.flag("is_tracked", "") == (None, None)


@pytest.mark.parametrize("typed", ["1.23E+12", "5.01235E+12", "5,01E+12", "5e+12"])
def test_digits_lost_to_scientific_notation_are_an_error_in_barcode_and_sku(typed):
    for parse in (values.gtin, values.sku):
        value, problem = parse(typed)
        assert value is None
        assert problem is not None
        assert problem.severity == Severity.ERROR


@pytest.mark.parametrize("typed", ["1E5", "12E3", "E-12", "2E"])
def test_a_sku_with_an_e_in_it_is_a_sku(typed):
    assert values.sku(typed) == (typed, None)


def test_leading_zeros_are_kept():
    assert values.sku("000123")[0] == "000123"
    assert values.gtin("00012345678905")[0] == "00012345678905"


def test_zeros_a_spreadsheet_took_are_suggested_by_the_check_digit():
    value, problem = values.gtin("36000291452")
    assert (value, problem.suggestion, problem.severity) == ("36000291452", "036000291452", Severity.WARNING)
    assert values.gtin("036000291452") == ("036000291452", None)


def test_a_wrong_check_digit_is_a_warning_and_a_right_one_is_none():
    assert values.gtin("4006381333932")[1].severity == Severity.WARNING
    assert values.gtin("4006381333931") == ("4006381333931", None)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-10-12 00:00", "10-12"),
        ("2026-10-12 00:00:00", "10-12"),
        ("2026-10-12", "10-12"),
        ("12-Oct", "10-12"),
        ("Oct-12", "10-12"),
        ("10/12/2026", "10-12"),
        ("06. Apr", "4-6"),
        ("1-Mai", "5-1"),
    ],
)
def test_sizes_a_spreadsheet_took_for_dates_are_told_with_what_they_were(typed, meant):
    problem = values.date_made("option1_value", " ".join(typed.replace(". ", ".").split()))
    assert problem is not None
    assert problem.suggestion == meant


@pytest.mark.parametrize(
    "typed", ["10-12", "M", "XL", "6.5", "10/12", "12 oz", "March", "May", "1/2", "3-6 months", "38-40"]
)
def test_sizes_that_are_sizes_are_left_alone(typed):
    assert values.date_made("option1_value", typed) is None


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("A-1 ", "A-1"),
        ("\u00a0A-1\u200b", "A-1"),
        ("\ufeffA-1", "A-1"),
        ("A\u00a01", "A 1"),
        ("Ａ－１", "A-1"),
        ("'0123", "0123"),
        ('="00123"', "00123"),
        ("A \t 1", "A 1"),
    ],
)
def test_codes_lose_what_cannot_be_seen(typed, clean):
    assert values.code(typed) == clean


def test_letters_are_composed_but_titles_keep_their_width():
    assert values.line("Cafe\u0301") == "Café"
    assert values.line("½ ™") == "½ ™"


@given(st.sampled_from("=+-@\t\r") | st.just(""), st.text("abc=+-@'1", max_size=6))
def test_what_an_export_guards_against_formulas_comes_back_as_it_was(first, rest):
    typed = first + rest
    guarded = exporting.guarded(typed)
    assert guarded[:1] not in ("=", "+", "-", "@", "\t", "\r")
    if typed[:1] in ("=", "+", "-", "@"):
        assert values.text(guarded) == typed.strip()


def test_the_export_leaves_plain_text_unguarded():
    assert exporting.guarded("A-1") == "A-1"
    assert exporting.guarded("12.50") == "12.50"


@given(st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False, allow_infinity=False))
def test_any_amount_written_in_english_or_german_comes_back(amount):
    english = f"{amount:,.2f}"
    german = english.replace(",", "_").replace(".", ",").replace("_", ".")
    assert values.money("price", english)[0] == amount
    assert values.money("price", f"{german} €")[0] == amount


@given(st.text(max_size=30))
def test_no_text_breaks_a_parser(typed):
    values.money("price", typed)
    values.quantity("quantity", typed)
    values.flag("is_tracked", typed)
    values.sku(typed)
    values.gtin(typed)
    values.date_made("option1_value", values.line(typed))
