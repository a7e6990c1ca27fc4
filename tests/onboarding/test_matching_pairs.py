"""What any pairing must keep, whatever the catalogs: one to one, vetoes, order, evidence that adds up."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboarding.matching import codes, pairs, synthetic, thresholds
from onboarding.matching.records import Record

WORDS = [
    "red",
    "blue",
    "kettle",
    "lamp",
    "steel",
    "mini",
    "pro",
    "acme",
    "zeta",
    "x100",
    "x200",
    "500gb",
    "1tb",
    "large",
    "small",
]
titles = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)


def barcode(number: int) -> str:
    body = f"952{number:09d}"
    return body + codes.check_digit(body)


@st.composite
def catalog(draw: st.DrawFn, *, side: str) -> list[Record]:
    return [
        Record(
            id=f"{side}{n}",
            title=draw(titles),
            price=draw(st.sampled_from([None, 10.0, 12.0, 50.0])),
            sku=draw(st.sampled_from(["", "", "A-1", "a1", "B-2"])),
            gtin=draw(st.sampled_from(["", "", barcode(1), barcode(2)])),
        )
        for n in range(draw(st.integers(1, 8)))
    ]


both = st.tuples(catalog(side="l"), catalog(side="r"))


@given(both)
@settings(max_examples=60, deadline=None)
def test_a_right_listing_is_shared_only_by_copies_and_a_left_one_never(
    catalogs: tuple[list[Record], list[Record]],
) -> None:
    found = pairs.match(*catalogs)
    assert max(Counter(p.left_id for p in found).values(), default=1) == 1
    for right_id, count in Counter(p.right_id for p in found).items():
        copies = sum(
            any(words.startswith("the same as") for words, _ in p.evidence) for p in found if p.right_id == right_id
        )
        assert count - copies == 1


@given(both)
@settings(max_examples=60, deadline=None)
def test_two_different_valid_barcodes_are_never_paired_nor_offered(catalogs: tuple[list[Record], list[Record]]) -> None:
    left, right = catalogs
    model = pairs.fit(left, right)
    by_id = {record.id: record for record in (*left, *right)}
    offered = [c for record in left for c in model.candidates(record.id, 20)]
    for pair in (*model.pairs(), *offered):
        a, b = by_id[pair.left_id].gtin, by_id[pair.right_id].gtin
        assert not a or not b or a == b


@given(both)
@settings(max_examples=40, deadline=None)
def test_an_unrelated_listing_more_breaks_nothing(catalogs: tuple[list[Record], list[Record]]) -> None:
    left, right = catalogs
    stranger = Record(id="stranger", title="qqq wholly unrelated thing")
    found = pairs.match(left, [*right, stranger])
    assert all(0 <= p.score <= 1 for p in found)
    assert not any(p.right_id == "stranger" and p.verdict == "accept" for p in found)


def test_the_order_of_the_files_changes_nothing() -> None:
    left, right, _ = synthetic.catalogs(count=300)
    whole = {(p.left_id, p.right_id): round(p.score, 6) for p in pairs.match(left, right)}
    random.Random(3).shuffle(left)
    random.Random(4).shuffle(right)
    again = {(p.left_id, p.right_id): round(p.score, 6) for p in pairs.match(left, right)}
    assert again == whole


def test_left_and_right_may_change_places() -> None:
    left, right, _ = synthetic.catalogs(count=300)
    there = {(p.left_id, p.right_id) for p in pairs.match(left, right)}
    back = {(p.right_id, p.left_id) for p in pairs.match(right, left)}
    assert len(there & back) >= 0.98 * max(len(there), len(back))


def test_an_empty_sku_pairs_nothing_and_an_equal_one_does() -> None:
    left = [Record(id="l1", title="first thing", sku=""), Record(id="l2", title="altogether other", sku="AB-77")]
    right = [Record(id="r1", title="zebra rug", sku="  "), Record(id="r2", title="plain bowl", sku="ab77")]
    found = pairs.match(left, right)
    assert [(p.left_id, p.right_id) for p in found] == [("l2", "r2")]


def test_nothing_in_common_gives_no_pairs_and_an_empty_side_gives_none() -> None:
    left = [Record(id="l1", title="alpha beta")]
    assert pairs.match(left, [Record(id="r1", title="gamma delta")]) == []
    assert pairs.match(left, []) == []
    assert pairs.match([], left) == []


def shop() -> tuple[list[Record], list[Record]]:
    colours = ("Midnight", "Forest Green", "Rust")
    web, till = [], []
    for p, product in enumerate(("Zeppelin Yoga Pant", "Hero Hoodie", "Gobi Tee", "Soy Candle", "Apollo Short")):
        for c, colour in enumerate(colours):
            for size in ("S", "XL"):
                n = f"{p}{c}{size}"
                options = (("Color", colour), ("Size", size))
                web.append(Record(id=f"w{n}", title=product, options=options, price=20.0 + p, sku=f"P{p}-{size}-{c}"))
                long = {"S": "Small", "XL": "X-Large"}[size]
                till.append(Record(id=f"t{n}", title=f"{product} {colour} {long}", price=20.0 + p))
    return till, web


def test_variants_are_told_apart_by_colours_no_list_knows_and_sizes_written_two_ways() -> None:
    till, web = shop()
    found = {p.left_id: p.right_id for p in pairs.match(till, web)}
    assert found == {record.id: f"w{record.id[1:]}" for record in till}


def test_a_listing_that_exists_twice_goes_where_its_double_goes() -> None:
    till, web = shop()
    copy = Record(id="copy", title="Hero Hoodie, Midnight, XLarge", price=21.0)
    found = {p.left_id: p for p in pairs.match([*till, copy], web)}
    assert found["copy"].right_id == found["t10XL"].right_id == "w10XL"
    assert any(words == "the same as t10XL" for words, _ in found["copy"].evidence) or any(
        words == "the same as copy" for words, _ in found["t10XL"].evidence
    )


def test_a_listing_of_another_size_is_not_paired_though_all_else_agrees() -> None:
    till, web = shop()
    lone = [record for record in till if record.id != "t10XL"]
    without_small = [record for record in web if record.id != "w10S"]
    found = {p.left_id: p.right_id for p in pairs.match(lone, without_small)}
    assert "t10S" not in found


def test_shops_are_never_mixed() -> None:
    till, web = shop()
    left = [*till, *(Record(id=f"b{r.id}", title=r.title, price=r.price) for r in till)]
    right = [*web, *(Record(id=f"b{r.id}", title=r.title, price=r.price, sku=r.sku, options=r.options) for r in web)]
    shops = ["a"] * len(till) + ["b"] * len(till), ["a"] * len(web) + ["b"] * len(web)
    found = pairs.match_shops(left, right, left_shops=shops[0], right_shops=shops[1])
    assert len(found) == len(left)
    assert all(p.left_id.startswith("b") == p.right_id.startswith("b") for p in found)


def test_candidates_are_ranked_carry_evidence_and_lead_with_the_pair_that_was_chosen() -> None:
    till, web = shop()
    model = pairs.fit(till, web)
    chosen = {p.left_id: p.right_id for p in model.pairs()}
    offered = model.candidates("t00S", 3)
    assert [c.score for c in offered] == sorted((c.score for c in offered), reverse=True)
    assert offered[0].right_id == chosen["t00S"]
    assert all(c.evidence for c in offered)
    with pytest.raises(KeyError):
        model.candidates("nobody", 3)


def test_evidence_adds_up_to_the_probability_shown() -> None:
    left = [*shop()[0], Record(id="t", title="Copper Light 40 cm", price=59.0, sku="CL-40", gtin=barcode(7))]
    right = [*shop()[1], Record(id="w", title="Copper Light 40cm", price=60.0, sku="CL40", gtin=barcode(7))]
    pair = next(p for p in pairs.match(left, right) if p.left_id == "t")
    words = [w for w, _ in pair.evidence]
    assert "GTIN equal" in words
    assert "SKU equal without dashes" in words
    total = sum(weight for _, weight in pair.evidence)
    shown = math.log(pair.score / (1 - pair.score)) if pair.score < 1 else 60.0
    assert abs(total - shown) < 1.5 or (total > 10 and shown > 10)  # items below a quarter are not shown
    assert "GTIN equal +12" in pair.in_words
    assert pair.in_words.endswith("→ almost certain")


def test_the_bands_say_what_error_to_expect_and_the_cuts_are_in_order() -> None:
    left, right, truth = synthetic.catalogs(count=400)
    model = pairs.fit(left, right)
    bands, found = model.bands, model.pairs()
    assert bands.accept.expected_error <= thresholds.ACCEPT_ERROR
    assert bands.accept.probability >= bands.review.probability
    accepted = [p for p in found if p.verdict == "accept"]
    assert accepted
    wrong = sum(truth.get(p.left_id) != p.right_id for p in accepted)
    assert wrong / len(accepted) <= 0.01
    assert {p.verdict for p in found} <= {"accept", "review"}


@given(st.lists(st.floats(-8, 8), max_size=60))
def test_the_share_of_matches_is_the_mean_of_the_probabilities_and_keeps_their_order(log_odds: list[float]) -> None:
    import numpy as np

    odds = np.array(sorted(log_odds))
    likely, share = thresholds.posterior(odds)
    assert 0 < share < 1
    assert (np.diff(likely) >= -1e-12).all()
    if len(odds) and share < thresholds.SHARE_MAX:
        assert abs((likely.sum() + 0.5) / (len(likely) + 1) - share) < 0.01


def test_only_a_chosen_pair_can_be_accepted_unseen() -> None:
    till, web = shop()
    model = pairs.fit(till, web)
    chosen = {(p.left_id, p.right_id) for p in model.pairs()}
    for record in till:
        for offer in model.candidates(record.id, 20):
            assert offer.verdict != "accept" or (offer.left_id, offer.right_id) in chosen


def test_titles_in_any_alphabet_are_paired() -> None:
    left = [Record(id="l1", title="Καφετιέρα κόκκινη"), Record(id="l2", title="Лампа синяя")]
    right = [Record(id="r1", title="Лампа (синяя)"), Record(id="r2", title="ΚΑΦΕΤΙΕΡΑ ΚΟΚΚΙΝΗ")]
    assert {(p.left_id, p.right_id) for p in pairs.match(left, right)} == {("l1", "r2"), ("l2", "r1")}
