"""Which listings are variants of one product, case by case."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest

from onboarding.matching import duplicates, grouping
from onboarding.matching.grouping import Group
from onboarding.matching.records import Record

ROOT = Path(__file__).resolve().parents[2]
GRID = [("red", "S"), ("red", "XL"), ("blue", "S"), ("blue", "M"), ("blue", "XL")]


def listings(*titles: str, prices: tuple[float, ...] = (), skus: tuple[str, ...] = ()) -> list[Record]:
    return [
        Record(
            id=f"l{number}",
            title=title,
            price=prices[number] if prices else 20.0,
            sku=skus[number] if skus else "",
        )
        for number, title in enumerate(titles)
    ]


def products(groups: list[Group]) -> set[frozenset[str]]:
    return {frozenset(member.record_id for member in group.members) for group in groups}


def options_of(groups: list[Group], record_id: str) -> dict[str, str]:
    return next(dict(m.options) for group in groups for m in group.members if m.record_id == record_id)


@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("dash and slash", ["Harbor Tee - Red / S", "Harbor Tee - Red / XL", "Harbor Tee - Blue / S",
                            "Harbor Tee - Blue / M", "Harbor Tee - Blue / XL"]),
        ("dashes", ["Harbor Tee - Red - S", "Harbor Tee - Red - XL", "Harbor Tee - Blue - S", "Harbor Tee - Blue - M",
                    "Harbor Tee - Blue - XL"]),
        ("brackets", ["Harbor Tee (Red, S)", "Harbor Tee (Red, XL)", "Harbor Tee (Blue, S)", "Harbor Tee (Blue, M)",
                      "Harbor Tee (Blue, XL)"]),
        ("commas", ["Harbor Tee, Red, Small", "Harbor Tee, Red, X-Large", "Harbor Tee, Blue, Sml",
                    "Harbor Tee, Blue, Med", "Harbor Tee, Blue, XL"]),
        ("blanks", ["Harbor Tee Red S", "Harbor Tee RED XL", "Harbor  Tee Blu S", "Harbor Tee Blue MD",
                    "Harbor Tee Blue Extra Large"]),
        ("capitals", ["HARBOR TEE RED SMALL", "HARBOR TEE RED X-LARGE", "HARBOR TEE BLUE SM", "HARBOR TEE BLUE MEDIUM",
                      "HARBOR TEE BLUE XLARGE"]),
        ("lower case", ["harbor tee red sml", "harbor tee red x large", "harbor tee blue s", "harbor tee blue m",
                        "harbor tee blue xl"]),
        ("a slash", ["Harbor Tee Rd/S", "Harbor Tee Red/XL", "Harbor Tee Blu/Small", "Harbor Tee Blue/Med",
                     "Harbor Tee Blue/X-Large"]),
        ("size first", ["Harbor Tee S Red", "Harbor Tee XL Red", "Harbor Tee Small Blue", "Harbor Tee Med Blue",
                        "Harbor Tee XL Blu"]),
        ("labels", ["Harbor Tee Color: Red Size: S", "Harbor Tee Colour: Red Size: XL",
                    "Harbor Tee Color: Blue Size: Sml",
                    "Harbor Tee Color: Blu Size: M", "Harbor Tee Color: Blue Size: XLarge"]),
        ("colour in front", ["RED Harbor Tee S", "Red Harbor Tee XL", "BLU Harbor Tee S", "Blue Harbor Tee M",
                             "blue Harbor Tee Extra Large"]),
        ("size in front", ["S Harbor Tee Red", "XL Harbor Tee Red", "Small Harbor Tee Blue", "Med Harbor Tee Blue",
                           "X-Large Harbor Tee Blue"]),
        ("glued", ["Harbor Tee-Red-S", "Harbor Tee-Red-XLarge", "Harbor Tee-Blue-Sml", "Harbor Tee-BLU-MD",
                   "Harbor Tee-Blue-ExtraLarge"]),
    ],
)  # fmt: skip
def test_every_habit_of_naming_gives_one_product_with_colour_and_size(style: str, written: list[str]) -> None:
    groups = grouping.group(listings(*written, "Tin Whistle"))
    assert products(groups) == {frozenset(f"l{n}" for n in range(5)), frozenset({"l5"})}, style
    found = [options_of(groups, f"l{number}") for number in range(5)]
    assert found == [{"color": color, "size": size} for color, size in GRID], style
    assert options_of(groups, "l5") == {}


def test_a_bracket_inside_the_name_is_no_option() -> None:
    groups = grouping.group(
        listings(
            "Ridge Tee (Crew-neck) (Red, L)", "Ridge Tee (Crew-neck) (Blue, L)", "Ridge Tee (V-neck) (Red, L)",
            "Ridge Tee (V-neck) (Blue, M)",
        )
    )  # fmt: skip
    assert products(groups) == {frozenset({"l0", "l1"}), frozenset({"l2", "l3"})}


def test_names_that_only_look_like_options_stay_alone() -> None:
    names = ["Red Onion Chutney", "Large Zip Pouch", "Olive Green Jacket", "Black Tea 50g", "Orange Juice 1L",
             "Carrot Juice", "Brown Throw Pillows", "Knitted Throw Pillows", "Gift Card $50", "Gift Card $50 2",
             "Deposit", "Deposit 5", "Size Guide Booklet"]  # fmt: skip
    shop = listings(*names, *(f"Harbor Tee - {c} / {s}" for c, s in itertools.product(("Red", "Blue"), "SML")))
    groups = grouping.group(shop)
    alone = {frozenset({f"l{number}"}) for number in range(len(names))}
    assert alone <= products(groups)
    assert all(options_of(groups, f"l{number}") == {} for number in range(len(names)))


def test_words_no_list_knows_are_colours_where_the_shop_contrasts_them() -> None:
    goods = ["Alder Fleece", "Birch Anorak", "Quarry Parka"]
    titles = [
        f"{good} {word} {size}" for good in goods for word in ("Quillwork", "Zephyrine", "Umbrine") for size in "SML"
    ]
    groups = grouping.group(listings(*titles))
    assert [group.title for group in groups] == goods
    assert {group.option_names for group in groups} == {("color", "size")}
    assert options_of(groups, "l4") == {"color": "zephyrine", "size": "M"}


def test_without_contrast_the_same_words_stay_in_the_name() -> None:
    groups = grouping.group(listings("Alder Fleece Quillwork", "Birch Anorak Zephyrine", "Quarry Parka Umbrine"))
    assert {group.option_names for group in groups} == {()}


def test_the_sku_shows_where_the_name_ends() -> None:
    sizes = ("S", "M", "L", "XL")
    titles = [f"Alder Fleece Quillwork {size}" for size in sizes]
    skus = tuple(f"AF12-{size}-QUIL" for size in sizes)
    with_sku = grouping.group(listings(*titles, skus=skus))
    without = grouping.group(listings(*titles))
    assert (with_sku[0].title, with_sku[0].option_names) == ("Alder Fleece", ("color", "size"))
    assert (without[0].title, without[0].option_names) == ("Alder Fleece Quillwork", ("size",))


def test_a_line_of_goods_under_one_brand_is_not_one_product() -> None:
    titles = [f"Juneau {noun} {size}" for noun in ("Jacket", "Hoodie", "Tee", "Sock") for size in "SML"]
    assert len(grouping.group(listings(*titles))) == 4


def test_what_all_variants_share_belongs_to_the_name() -> None:
    groups = grouping.group(listings("Pedestal Fan 40cm White", "Pedestal Fan 40cm Black", "Cargo Short Red 32",
                                     "Cargo Short Red 34", "Cargo Short Blue 32"))  # fmt: skip
    assert [(group.title, group.option_names) for group in groups] == [
        ("Cargo Short", ("color", "size")),
        ("Pedestal Fan 40cm", ("color",)),
    ]


@pytest.mark.parametrize(
    ("titles", "name", "values"),
    [
        (["Memory Card 32GB", "Memory Card 64GB"], "capacity", ["32gb", "64gb"]),
        (["Yoga Strap 6 foot", "Yoga Strap 8 foot"], "length", ["6 foot", "8 foot"]),
        (["Balance Ball 55 cm", "Balance Ball 65 cm"], "size", ["55 cm", "65 cm"]),
        (["Pearl Necklace 40 cm", "Pearl Necklace 45 cm"], "length", ["40 cm", "45 cm"]),
        (["USB-C Cable 1 m", "USB-C Cable 3 m"], "length", ["1 m", "3 m"]),
        (["Yoga Mat 4 mm", "Yoga Mat 6 mm"], "thickness", ["4 mm", "6 mm"]),
        (["Soy Candle Vanilla", "Soy Candle Lavender"], "scent", ["vanilla", "lavender"]),
        (["Whey Powder Vanilla", "Whey Powder Strawberry"], "flavor", ["vanilla", "strawberry"]),
        (["Notebook A5 Lined", "Notebook A5 Dotted"], "ruling", ["lined", "dotted"]),
        (["Phone Case iPhone 15", "Phone Case iPhone 15 Pro"], "model", ["iphone 15", "iphone 15 pro"]),
        (["Granola Bar pack of 4", "Granola Bar pack of 12"], "pack", ["pack of 4", "pack of 12"]),
        (["Cutting Board Oak", "Cutting Board Walnut"], "material", ["oak", "walnut"]),
        (["Selvedge Jean 28/32", "Selvedge Jean 30/32"], "size", ["28/32", "30/32"]),
        (["Court Shoe UK 8", "Court Shoe UK 9.5"], "size", ["uk 8", "uk 9.5"]),
        (["Steam Iron Blue and White", "Steam Iron Grey and White"], "color", ["blue and white", "gray and white"]),
    ],
)
def test_the_kind_of_the_values_names_the_option(titles: list[str], name: str, values: list[str]) -> None:
    groups = grouping.group(listings(*titles))
    assert len(groups) == 1
    assert [options_of(groups, f"l{number}") for number in range(2)] == [{name: value} for value in values]


def test_a_slip_in_the_title_still_finds_its_product() -> None:
    clean = [f"Torque Power Short {c} {s}" for c, s in itertools.product(("Gray", "Black"), ("32", "33", "34"))]
    slips = ["Torque Powerr Short Gry 36", "tTorque Power Short Black 36", "Torque PowerS hort Gray 38"]
    groups = grouping.group(listings(*clean, *slips))
    assert len(groups) == 1
    assert options_of(groups, "l6") == {"color": "gray", "size": "36"}


def test_a_number_in_the_name_is_never_taken_for_a_slip() -> None:
    titles = [f"Court Runner 500 {colour}" for colour in ("Black", "White", "Gray")]
    groups = grouping.group(listings(*titles, "Court Runner 505 Black", "Cuort Runner 500 Red"))
    assert products(groups) == {frozenset({"l0", "l1", "l2", "l4"}), frozenset({"l3"})}


def test_options_the_source_names_are_taken_as_they_are() -> None:
    rows = [("Harbor Red Tee", (("Colour", "Grey"), ("Size", "X-Large"))), ("Harbor Red Tee", (("Colour", "Fjord"),)),
            ("Tin Whistle", (("Title", "Default Title"),))]  # fmt: skip
    groups = grouping.group([Record(id=f"l{n}", title=t, options=o) for n, (t, o) in enumerate(rows)])
    assert products(groups) == {frozenset({"l0", "l1"}), frozenset({"l2"})}
    assert options_of(groups, "l0") == {"color": "gray", "size": "XL"}
    assert options_of(groups, "l1") == {"color": "fjord"}
    assert options_of(groups, "l2") == {}


def test_the_evidence_is_in_words() -> None:
    titles = [f"Harbor Tee - {c} / {s}" for c, s in itertools.product(("Red", "Blue"), "SML")]
    skus = tuple(f"HT07-{s}-{c}" for c, s in itertools.product(("RED", "BLUE"), "SML"))
    (group,) = grouping.group(listings(*titles, skus=skus))
    assert group.evidence == (
        "6 titles share “Harbor Tee”",
        "they differ in 2 color × 3 size: 6 of 6 combinations",
        "6 SKUs agree on HT07",
        "6 of 6 cost 20.00",
    )
    assert 0.9 < group.confidence <= 1


def test_a_listing_entered_twice_in_another_style_is_found() -> None:
    shop = listings(
        "Harbor Tee, Red, L", "Harbor Tee, Red, M", "harbor tee rd large", skus=("HT-L-RED", "HT-M-RED", "")
    )
    (pair,) = duplicates.find(shop)
    assert (pair.id_a, pair.id_b) == ("l0", "l2")
    assert ("the same options: color red, size L", 1.0) in pair.evidence
    assert pair.score == pytest.approx(1 / (1 + math.exp(-sum(weight for _, weight in pair.evidence))), abs=1e-4)


def test_two_valid_barcodes_keep_two_listings_apart() -> None:
    one, other = listings("Harbor Tee, Red, L", "Harbor Tee Red L")
    coded = [
        Record(id="l0", title=one.title, price=20.0, gtin="9529358286511"),
        Record(id="l1", title=other.title, price=20.0, gtin="9529692415080"),
    ]
    assert [pair.id_b for pair in duplicates.find([one, other])] == ["l1"]
    assert duplicates.find(coded) == []


def test_the_engine_needs_no_django() -> None:
    code = (
        "import sys; from onboarding.matching import duplicates, grouping, gtin, standardise;"
        "sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
