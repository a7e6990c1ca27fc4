"""Patterns of SKUs: read, filled in, checked, carried out and taken back, to the byte."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection as database
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.models import Listing
from inventory.identifiers import sku_key
from inventory.models import Product, Variant, VariantAlias
from onboarding import journal
from onboarding.models import ChangeSet, SkuPattern
from onboarding.skus import checks, designing, inferring, patterns, renaming
from onboarding.skus.checks import ChannelRule, Kind, Known
from onboarding.skus.codes import Way, candidates
from onboarding.skus.patterns import BadPattern, Thing, fill, parse
from storestudio.accounts.models import AuditEntry
from tests import factories

NAMES = ["color", "size"]
FULL = "{vendor:3}-{style:4}-{color:3}-{size}"


def code(text, length=4, way=Way.SHORT):
    return next(candidates(text, length=length, way=way), "")


def thing(pk, title="Linen Overshirt", sku="", product=None, **values):
    return Thing(id=pk, product=product or pk, values={"title": title, "vendor": "Acme", **values}, sku=sku)


def skus(pattern, things):
    return [one.sku for one in fill(parse(pattern, names=NAMES), things)]


@pytest.mark.parametrize(
    ("text", "length", "short"),
    [
        ("Linen Overshirt", 4, "LNOV"),
        ("Air Max 90", 4, "AM90"),
        ("Black", 3, "BLK"),
        ("Éclair", 3, "ECL"),
        ("The Big Mug", 2, "BM"),
        ("x-large", 0, "XL"),
        ("5,5", 4, "5.5"),
        ("Straße", 4, "STRS"),
        ("蓝色", 3, ""),
    ],
)
def test_codes_can_be_read(text, length, short):
    assert code(text, length) == short


def test_ways_of_shortening_are_what_they_say():
    assert code("Merino Crew Neck", 3, Way.INITIALS) == "MCN"
    assert code("Merino Crew", 4, Way.START) == "MERI"
    assert code("Merino Crew", 0, Way.WHOLE) == "MERINOCREW"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 0, "Type a pattern"),
        ("ABC", 0, "same SKU"),
        ("{vendor:3}-{style", 11, "not closed"),
        ("{vendor:3}}-", 10, "closes nothing"),
        ("{style:4}-{flavour}", 11, "flavour"),
        ("{style:0}", 7, "length"),
        ("{style:4:loud}", 9, "loud"),
        ("{}", 1, "Name a field"),
        ("{number}{number}", 8, "One number"),
        ("{style:{size}}", 0, "not closed"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_where_and_why(text, position, words):
    with pytest.raises(BadPattern, match=words) as refused:
        parse(text, names=NAMES)
    assert refused.value.position == position


def test_doubled_brackets_are_brackets_and_colour_is_color():
    assert skus("{{{colour:3}}}", [thing(1, color="Black")]) == ["{BLK}"]


def test_a_value_that_is_missing_takes_its_separator_along():
    bare = thing(1, "Ceramic Mug")
    assert skus(FULL, [bare]) == ["ACM-CRMG"]
    assert skus("{color:3}-{style:4}", [bare]) == ["CRMG"]
    assert skus("X-{color:3}", [bare]) == ["X"]


def test_two_values_never_share_a_code_and_the_older_one_chooses():
    things = [thing(1, "Linen Overshirt"), thing(2, "Linnen Over"), thing(3, "Linen Overshirts")]
    first = skus("{style:4}", things)
    assert first[0] == "LNOV"
    assert len(set(first)) == 3
    assert skus("{style:4}", things[:2]) == first[:2]


def test_codes_that_the_shop_uses_are_kept():
    things = [thing(1, color="Black", sku="ACM-LINO-BLA-M", size="M"), thing(2, color="Black", size="S", product=1)]
    assert skus(FULL, things) == ["ACM-LINO-BLA-M", "ACM-LINO-BLA-S"]


def test_numbers_count_products_where_options_follow_and_keep_what_was_given():
    things = [thing(1, color="Red"), thing(2, color="Blue", product=1), thing(3, "Mug", color="Red", sku="0001-RED")]
    assert skus("{number:4}-{color:3}", things) == ["0002-RED", "0002-BLU", "0001-RED"]
    assert skus("{number:2}", things[:2]) == ["01", "02"]


def check(wanted, *, old=None, owners=None, numbers=True, rules=()):
    filled = [patterns.Filled(id=pk, sku=sku) for pk, sku in wanted.items()]
    owned = {key: frozenset(ids) for key, ids in (owners or {}).items()}
    known = Known(owners=owned, listings={}, titles={}, rules=rules)
    was = {pk: (old or {}).get(pk, "") for pk in wanted}
    return checks.check(filled, old=was, known=known, numbers=numbers)


def kinds(row):
    return {problem.kind for problem in row.problems}


def test_clashes_are_numbered_or_left_out():
    first, second = check({1: "A-1", 2: "a-1"})
    assert (first.new, second.new) == ("A-1", "a-1-2")
    assert kinds(second) == {Kind.SAME}
    assert not second.is_blocked
    assert check({1: "A-1", 2: "a-1"}, numbers=False)[1].is_blocked


def test_a_sku_that_another_variant_had_is_not_given_again():
    (row,) = check({1: "A-1"}, owners={"A-1": {9}}, numbers=False)
    assert row.is_blocked
    assert kinds(row) == {Kind.TAKEN}
    (mine,) = check({1: "A-1"}, owners={"A-1": {1}}, numbers=False)
    assert not mine.problems


def test_who_has_a_sku_already_keeps_it():
    first, second = check({1: "A-1", 2: "A-1"}, old={2: "A-1"}, owners={"A-1": {2}})
    assert (first.new, second.new) == ("A-1-2", "A-1")
    assert not second.is_changed


@pytest.mark.parametrize(
    ("sku", "kind", "blocks"),
    [
        ("A" * 51, Kind.LONG, True),
        ("A/1", Kind.CHARACTERS, True),
        ("00123", Kind.SPREADSHEET, False),
        ("12E5", Kind.SPREADSHEET, False),
        ("3-DEC", Kind.SPREADSHEET, False),
        ("", Kind.EMPTY, True),
    ],
)
def test_what_channels_and_spreadsheets_do_not_bear_is_said(sku, kind, blocks):
    (row,) = check({1: sku}, old={1: "OLD"}, rules=[ChannelRule("Google", 50, "[^A-Za-z0-9_-]")])
    assert kinds(row) == {kind}
    assert row.is_blocked is blocks


def test_skus_that_read_alike_are_marked():
    rows = check({1: "ACM-0L", 2: "ACM-O1", 3: "ACM-2"})
    assert [kinds(row) for row in rows] == [{Kind.ALIKE}, {Kind.ALIKE}, set()]


@pytest.mark.parametrize(
    ("vendors", "sized", "pattern"),
    [(4, 4, "{vendor:3}-{style:4}-{size}"), (2, 4, "{style:4}-{size}"), (4, 0, "{vendor:3}-{style:4}")],
)
def test_a_pattern_is_proposed_of_what_the_goods_have(vendors, sized, pattern):
    things = [
        thing(n, vendor="Acme" if n < vendors else "", size="M" if n < sized else "", lid="oak" if n == 0 else "")
        for n in range(5)
    ]
    goods = designing.Goods(things=things, titles={}, options=["size", "lid"] if sized else ["lid"])
    assert designing.proposal(goods) == pattern


def test_the_pattern_in_use_is_found_with_its_share():
    colors, sizes = ["Black", "Blue", "White"], ["S", "M", "L"]
    things = [
        thing(n, "Linen Overshirt", color=c, size=s, sku=f"ACM-LNOV-{code(c, 3)}-{s}", product=1)
        for n, (c, s) in enumerate((c, s) for c in colors for s in sizes)
    ]
    other = thing(99, "Mug", sku="whatever")
    found = inferring.infer([*things, other], names=NAMES)
    assert found is not None
    assert found.pattern.endswith("-{color:3}-{size}")
    assert (found.count, found.total) == (9, 10)
    random = [thing(n, sku=f"{n * 7919 % 97}Q{n}") for n in range(10)]
    assert inferring.infer(random, names=NAMES) is None


words = st.sampled_from(["Linen", "Over", "Ovre", "Mug", "90", "9.5", "Bleu", "Blue", "蓝", "O", "0", "l1", "-", "É"])
values = st.lists(words, max_size=3).map(" ".join)
things = st.lists(
    st.tuples(values, values, values, values, st.sampled_from(["", "A-1", "a-1", "LNN-BLU"])), max_size=12
)
written = st.sampled_from(
    [FULL, "{style:2}", "{color:1}{size:1}", "{title}", "{style:3}_{number:2}", "{vendor:2:start}"]
)


@settings(max_examples=200, deadline=None)
@given(things=things, pattern=written, numbers=st.booleans())
def test_new_skus_are_unique_or_flagged_and_a_second_time_changes_nothing(things, pattern, numbers):
    made = [
        Thing(id=n, product=n // 2, values={"title": t, "vendor": v, "color": c, "size": s}, sku=sku)
        for n, (t, v, c, s, sku) in enumerate(things, 1)
    ]
    parsed = parse(pattern, names=NAMES)

    def run(now):
        owners = {}
        for one in now:
            owners.setdefault(sku_key(one.sku), set()).add(one.id)
        owners = {key: frozenset(ids) for key, ids in owners.items() if key}
        known = Known(owners=owners, listings={}, titles={})
        return checks.check(fill(parsed, now), old={t.id: t.sku for t in now}, known=known, numbers=numbers)

    rows = run(made)
    given_ = [sku_key(row.new) for row in rows if row.is_changed and not row.is_blocked]
    assert len(set(given_)) == len(given_)
    assert "" not in given_
    kept = {sku_key(row.old): row.variant_id for row in rows if row.is_blocked or not row.is_changed}
    assert not {key for key in given_ if key in kept}
    after = [
        Thing(t.id, t.product, t.values, row.old if row.is_blocked else row.new)
        for t, row in zip(made, rows, strict=True)
    ]
    assert [row.variant_id for row in run(after) if row.is_changed and not row.is_blocked] == []


@pytest.fixture
def shop():
    merchant = factories.MerchantFactory()
    product = factories.ProductFactory(merchant=merchant, title="Linen Overshirt", vendor="Acme")
    for color, size, sku in [("Black", "S", "x1"), ("Black", "M", "x2"), ("Blue", "M", "")]:
        factories.VariantFactory(
            merchant=merchant, product=product, sku=sku, options={"Colour": color, "Size": size}, title=f"{size}"
        )
    return merchant


def frozen():
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in (Product, Variant, VariantAlias)}


def new(merchant, pattern=FULL, **options):
    return {row.variant_id: row for row in designing.preview(merchant, pattern, **options).rows}


@pytest.mark.django_db
def test_a_renaming_keeps_the_old_skus_and_is_taken_back_to_the_byte(shop):
    before = frozen()
    changeset = renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=3)
    assert set(Variant.objects.values_list("sku", flat=True)) == {"ACM-LNOV-BLK-S", "ACM-LNOV-BLK-M", "ACM-LNOV-BLU-M"}
    assert set(VariantAlias.objects.values_list("value", flat=True)) == {"x1", "x2"}
    assert SkuPattern.objects.get().pattern == FULL
    assert AuditEntry.objects.filter(action="catalog.rename").count() == 1
    assert not designing.preview(shop, FULL).to_do()
    with pytest.raises(renaming.CannotRename, match="No SKU"):
        renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=0)
    assert renaming.last(shop) == changeset
    undone = renaming.undo(merchant=shop, changeset_id=changeset.pk, actor=None)
    assert (undone.kept, undone.could_not) == (0, 0)
    assert frozen() == before
    assert renaming.last(shop) is None
    with pytest.raises(renaming.CannotRename, match="before"):
        renaming.undo(merchant=shop, changeset_id=changeset.pk, actor=None)


@pytest.mark.django_db
def test_rows_left_out_stay_and_a_catalog_that_moved_is_looked_at_again(shop):
    first = Variant.objects.order_by("pk").first()
    with pytest.raises(renaming.Moved) as moved:
        renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=3, left_out=frozenset({first.pk}))
    assert moved.value.count == 2
    assert not ChangeSet.objects.exists()
    renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=2, left_out=frozenset({first.pk}))
    first.refresh_from_db()
    assert first.sku == "x1"


@pytest.mark.django_db
def test_another_shops_renaming_cannot_be_taken_back(shop):
    changeset = renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=3)
    with pytest.raises(renaming.CannotRename, match="no such"):
        renaming.undo(merchant=factories.MerchantFactory(), changeset_id=changeset.pk, actor=None)


@pytest.mark.django_db
def test_aliases_archived_variants_and_listings_of_others_are_seen(shop):
    ours = list(Variant.objects.order_by("pk"))
    archived = factories.VariantFactory(merchant=shop, sku="acm-lnov-blk-s", archived_at=datetime.now(UTC))
    factories.VariantAliasFactory(variant=archived, value="ACM-LNOV-BLK-M", key="ACM-LNOV-BLK-M")
    listing = factories.ListingFactory(connection__merchant=shop, sku="ACM-LNOV-BLU-M", sku_key="ACM-LNOV-BLU-M")
    rows = new(shop)
    assert [rows[one.pk].new for one in ours] == ["ACM-LNOV-BLK-S-2", "ACM-LNOV-BLK-M-2", "ACM-LNOV-BLU-M-2"]
    assert [kinds(rows[one.pk]) for one in ours] == [{Kind.TAKEN}, {Kind.TAKEN}, {Kind.LISTED}]
    Listing.objects.filter(pk=listing.pk).update(variant=None, link="unlinked")
    assert kinds(new(shop)[ours[2].pk]) == {Kind.WAITING}
    Listing.objects.filter(pk=listing.pk).update(variant=ours[2], link="linked")
    assert not new(shop)[ours[2].pk].problems  # control: its own listing


@pytest.mark.django_db
def test_a_sku_taken_from_a_merged_duplicate_is_the_survivors_own(shop):
    survivor = Variant.objects.order_by("pk").first()
    duplicate = factories.VariantFactory(merchant=shop, product=survivor.product, sku="ACM-LNOV-BLK-S", options={})
    with journal.recording(merchant=shop, kind="edit", title="merged", actor=None) as recorder:
        recorder.merge(survivor=survivor, duplicate=duplicate, actor=None)
    row = new(shop)[survivor.pk]
    assert row.new == "ACM-LNOV-BLK-S"
    assert not row.problems


@pytest.mark.django_db
def test_the_channels_limit_is_the_connectors(shop):
    factories.ConnectionFactory(merchant=shop, channel="shopify")
    (rule,) = designing.rules_of(shop)
    assert (rule.label, rule.length_max) == ("Shopify", 255)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_people_rename_at_once_and_one_is_told(shop):
    start, said = threading.Barrier(2), []

    def go():
        try:
            start.wait()
            renaming.apply(merchant=shop, pattern=FULL, actor=None, expected=3)
            said.append("done")
        except renaming.CannotRename:
            said.append("told")
        finally:
            database.close()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(said) == ["done", "told"]
    assert VariantAlias.objects.count() == 2


@pytest.mark.django_db
@settings(max_examples=15, deadline=None)
@given(things=things, pattern=written)
def test_any_renaming_is_taken_back_to_the_byte(things, pattern):
    merchant = factories.MerchantFactory()
    for title, vendor, color, size, sku in things:
        product = factories.ProductFactory(merchant=merchant, title=title or "Thing", vendor=vendor)
        options = {"Colour": color, "Size": size}
        factories.VariantFactory(merchant=merchant, product=product, sku=sku, options=options)
    before = frozen()
    try:
        to_do = designing.preview(merchant, pattern).to_do()
    except BadPattern:
        return  # a shop without that option
    if not to_do:
        return
    changeset = renaming.apply(merchant=merchant, pattern=pattern, actor=None, expected=len(to_do))
    assert not designing.preview(merchant, pattern).to_do()
    living = [sku for sku in Variant.objects.filter(merchant=merchant).values_list("sku_key", flat=True) if sku]
    mine = {row.variant_id for row in designing.preview(merchant, pattern).rows if row.is_blocked}
    assert mine or len(set(living)) == len(living)
    renaming.undo(merchant=merchant, changeset_id=changeset.pk, actor=None)
    assert frozen() == before
