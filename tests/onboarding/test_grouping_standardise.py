"""Spellings of one value are found, and different values are left apart."""

from __future__ import annotations

from onboarding.matching import standardise


def clusters(*rows: tuple[str, str, int]) -> dict[str, set[str]]:
    return {one.canonical: {value for value, _ in one.members} for one in standardise.values(rows)}


def test_ways_to_write_a_size_become_the_size() -> None:
    (one,) = standardise.values([("Size", "XL", 1), ("size ", "X-Large", 9), ("SIZE", "xl ", 2), ("Size", "L", 4)])
    assert (one.option, one.canonical) == ("size", "XL")
    assert one.members == (("X-Large", 9), ("xl ", 2), ("XL", 1))
    assert one.evidence == ("ways to write size XL",)


def test_colours_keep_the_spelling_the_shop_uses_most() -> None:
    found = clusters(("Colour", "Grey", 9), ("color", "gray", 2), ("Color", "Navy", 3), ("Color", "Nvy", 1),
                     ("Color", "Navy Blue", 5))  # fmt: skip
    assert found == {"Grey": {"Grey", "gray"}, "Navy": {"Navy", "Nvy"}}


def test_a_rare_slip_joins_the_value_and_says_so() -> None:
    (one,) = standardise.values([("Color", "Glacier", 12), ("Color", "Glaceir", 1)])
    assert one.canonical == "Glacier"
    assert one.evidence == ("one letter apart, 1 against 12 uses",)
    assert one.confidence < 0.9


def test_two_well_used_or_known_values_are_no_slip_of_each_other() -> None:
    assert clusters(("Color", "Glacier", 12), ("Color", "Glaceir", 9)) == {}
    assert clusters(("ruling", "lined", 12), ("ruling", "linen", 12)) == {}
    assert clusters(("size", "32", 40), ("size", "33", 1)) == {}


def test_the_same_amount_in_two_units_is_one_value() -> None:
    assert clusters(("Weight", "1 kg", 4), ("weight", "1000 g", 1), ("Weight", "2 kg", 2), ("Weight", "1 kilo", 1)) == {
        "1 kg": {"1 kg", "1000 g", "1 kilo"}
    }


def test_option_names_are_gathered_too() -> None:
    (one,) = standardise.names([("Colour", 3), ("color ", 5), ("Size", 2)])
    assert (one.canonical, one.members) == ("color", (("color ", 5), ("Colour", 3)))
