"""What holds for any listings, however they are written."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboarding.matching import duplicates, grouping, gtin, options, standardise, titles
from onboarding.matching.records import Record
from tests.onboarding import grouping_shops

SOME = (
    "Red blu Navy XL sml x-large 32 sz 34 10.5 28/32 1 kg 6mm Tee Harbor Tank Zip-Up (V-neck) - / , Size: Colour: é &"
)
WORDS = st.sampled_from([*SOME.split(), "pack of 3", "Glacier", "iPhone 15", "(", ")"])
TITLES = st.one_of(st.lists(WORDS, max_size=8).map(" ".join), st.text(max_size=40))
RECORDS = st.lists(
    st.tuples(
        TITLES,
        st.sampled_from(["", "AB12-XL-RED", "ab12_32_blu", "AB1232RED", "77812", "N/A", "ÄÖ-1"]),
        st.sampled_from(["", "9529358286511", "9.52E+12", "952938", "MH-12"]),
        st.one_of(st.none(), st.floats(0, 500), st.just(20.0)),
    ),
    max_size=25,
).map(lambda rows: [Record(id=f"r{n}", title=t, sku=s, gtin=g, price=p) for n, (t, s, g, p) in enumerate(rows)])
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(records=RECORDS)
def test_every_listing_is_in_exactly_one_product(records: list[Record]) -> None:
    members = [member.record_id for group in grouping.group(records) for member in group.members]
    assert sorted(members) == sorted(record.id for record in records)


@QUICK
@given(records=RECORDS, rng=st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(records: list[Record], rng: object) -> None:
    shuffled = list(records)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grouping.group(shuffled) == grouping.group(records)
    assert duplicates.find(shuffled) == duplicates.find(records)


@QUICK
@given(records=RECORDS)
def test_confidence_is_a_share_and_every_value_has_a_name(records: list[Record]) -> None:
    for group in grouping.group(records):
        assert 0 <= group.confidence <= 1
        assert group.evidence
        for member in group.members:
            assert all(name and value for name, value in member.options)
            assert len({name for name, _ in member.options}) == len(member.options)
            assert {name for name, _ in member.options} <= set(group.option_names)


@QUICK
@given(seed=st.integers(0, 40), style=st.sampled_from(["space", "comma", "dash_slash", "lead", "labelled"]))
def test_capitals_and_blanks_change_no_option(seed: int, style: str) -> None:
    shop = grouping_shops.make(seed=seed, style=style, products=6)
    loud = [
        Record(id=r.id, title=f"  {r.title.upper().replace(' ', '  ')} ", sku=r.sku, gtin=r.gtin, price=r.price)
        for r in shop.records
    ]
    assert _options(grouping.group(loud)) == _options(grouping.group(shop.records))


def _options(groups: list[grouping.Group]) -> dict[str, dict[str, str]]:
    return {m.record_id: {n: v.casefold() for n, v in m.options} for group in groups for m in group.members}


@QUICK
@given(text=st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    title = titles.split(text)
    assert len(title.tokens) == len(title.spans)
    verdict = gtin.check(text)
    assert verdict.valid == bool(verdict.gtin14)
    assert verdict.problem in gtin.PROBLEMS
    options.canonical(text, text)
    standardise.values([(text, text, 1), ("size", text, 2)])


@QUICK
@given(body=st.text("0123456789", min_size=11, max_size=11), first=st.sampled_from("13456789"))
def test_one_digit_wrong_is_always_seen(body: str, first: str) -> None:
    digits = first + body
    right = digits + gtin.check_digit(digits)
    for place in range(len(right)):
        wrong = right[:place] + str((int(right[place]) + 1) % 10) + right[place + 1 :]
        assert not gtin.check(wrong).valid


@QUICK
@given(name=st.sampled_from(["size", "Colour", "material"]), value=st.text(max_size=12))
def test_a_canonical_value_is_canonical(name: str, value: str) -> None:
    once = options.canonical(name, value)
    assert options.canonical(*once) == once
