"""Each fault is found, its near miss is not; decisions do what they show, are kept as rules, and can be taken back."""

import threading
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from inventory import ledger, verify
from inventory.models import Product, StockLevel, Variant, VariantAlias
from onboarding.findings import bulk, catalog, decisions, detecting, goods, names, selling
from onboarding.models import Change, CleanupRule, Finding, ListingWish
from tests import factories

pytestmark = pytest.mark.django_db
Kind, State = Finding.Kind, Finding.State
GOOD_GTIN = "00012345678905"


@pytest.fixture
def shop():
    return factories.MerchantFactory()


def variant(shop, title, /, *, product=None, **fields):
    """One variant; of a product of its own unless one is given. No options, no SKU, unless said."""
    product = product or factories.ProductFactory(merchant=shop, title=title)
    fields = {"title": "", "sku": "", "price": Decimal("10.00"), **fields}
    return factories.VariantFactory(merchant=shop, product=product, **fields)


def stock(one, units, *, place=None):
    place = place or factories.LocationFactory(merchant=one.merchant)
    entry = ledger.Entry(one.pk, place.pk, "opening", f"o{one.pk}:{place.pk}", utc_now(), Decimal(units))
    with transaction.atomic():
        ledger.post(merchant_id=one.merchant_id, source="opening", entries=[entry])
    return place


def found(shop, detector):
    return list(detector(catalog.read(shop)))


def only(shop, kind):
    detecting.detect(merchant=shop)
    return Finding.objects.get(merchant=shop, kind=kind, state=State.OPEN)


def frozen():
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in (Product, Variant, VariantAlias)}


def plain_skus(shop, count=12):
    """Enough well-written SKUs for a pattern."""
    for n in range(count):
        variant(shop, f"{chr(65 + n)}{'zyxwvutsrqponm'[n]} plain thing {n * 37}", sku=f"PLN-{n:03d}")


def test_a_variant_without_a_sku_gets_its_listings_or_one_of_its_title(shop):
    bare = variant(shop, "Bread knife")
    listed = variant(shop, "Wool throw")
    factories.ListingFactory(connection__merchant=shop, variant=listed, sku="THR-1", sku_key="THR-1")
    variant(shop, "Has one", sku="ONE")
    proposals = {one.variant_ids[0]: one.proposal["sku"] for one in found(shop, names.missing)}
    assert proposals == {bare.pk: "BREA-KNIF", listed.pk: "THR-1"}


def test_one_sku_on_two_things_is_found_and_on_the_same_thing_twice_it_is_another_finding(shop):
    first, second = variant(shop, "Mug", sku="A-1"), variant(shop, "Kettle", sku="a-1 ")
    variant(shop, "Mug", sku="B-1"), variant(shop, "Mug", sku="B-1")
    (one,) = found(shop, names.repeated)
    assert (set(one.variant_ids), one.proposal["sku"].strip()) == ({first.pk, second.pk}, "a-1 -2".strip())


def test_a_listing_with_another_variants_sku_is_found(shop):
    mine, other = variant(shop, "Mug", sku="MUG"), variant(shop, "Kettle", sku="KTL")
    factories.ListingFactory(connection__merchant=shop, variant=mine, sku="ktl", sku_key="KTL")
    factories.ListingFactory(connection__merchant=shop, variant=other, sku="ktl ", sku_key="KTL")
    (one,) = found(shop, names.collides)
    assert (one.variant_ids, one.proposal["value"]) == ([mine.pk, other.pk], "MUG")


@pytest.mark.parametrize("sku", ["1.23E+12", "3-Dec", "2026-10-12 00:00", "#REF!", "12-Mar-24"])
def test_what_a_spreadsheet_did_to_a_sku_is_found(shop, sku):
    variant(shop, "Mug", sku=sku)
    assert [one.kind for one in found(shop, names.damaged)] == [Kind.SKU_DAMAGED]


@pytest.mark.parametrize("sku", ["DEC-3X", "E-12", "1E", "A3-DEC-01", "12345"])
def test_control_honest_skus_that_resemble_damage_are_left_alone(shop, sku):
    variant(shop, "Mug", sku=sku)
    assert found(shop, names.damaged) == []


def test_zeros_lost_in_front_are_found_where_the_others_have_them(shop):
    for n in range(12):
        variant(shop, f"Thing {n}", sku=f"0004{n:02d}")
    lost = variant(shop, "Kettle", sku="499")
    (one,) = found(shop, names.damaged)
    assert (one.variant_ids, one.proposal["sku"]) == ([lost.pk], "000499")


def test_skus_off_the_pattern_are_tidied_and_a_shop_without_a_pattern_is_left_alone(shop):
    odd = variant(shop, "Kettle", sku="ktl_001")
    assert found(shop, names.off_pattern) == []
    plain_skus(shop)
    (one,) = found(shop, names.off_pattern)
    assert (one.variant_ids, one.proposal["sku"]) == ([odd.pk], "KTL-001")


@pytest.mark.parametrize(("typed", "proposed"), [("9.52E+12", ""), ("12345678905", "012345678905"), ("MUG-1", "")])
def test_wrong_barcodes_are_found_with_what_they_were(shop, typed, proposed):
    variant(shop, "Right", sku="R", gtin=GOOD_GTIN)
    wrong = variant(shop, "Mug", sku="M", gtin=typed)
    (one,) = found(shop, names.barcodes)
    assert (one.variant_ids, one.proposal["gtin"]) == ([wrong.pk], proposed)


def test_listings_that_never_run_out_are_found(shop):
    connection = factories.ConnectionFactory(merchant=shop)
    loose = factories.ListingFactory(connection=connection, is_tracked=False)
    past = factories.ListingFactory(connection=connection, sells_past_zero=True)
    factories.ListingFactory(connection=connection)
    factories.ListingFactory(connection=connection, is_tracked=False, is_unlinked=True, link="excluded")
    assert [one.proposal["listing_ids"] for one in found(shop, selling.untracked)] == [[loose.pk]]
    assert [one.proposal["listing_ids"] for one in found(shop, selling.overselling)] == [[past.pk]]


def test_a_slipped_point_and_a_price_far_from_its_siblings_are_found(shop):
    product = factories.ProductFactory(merchant=shop)
    for n in range(4):
        variant(shop, "", product=product, sku=f"S{n}", price=Decimal("20.00"))
    odd = variant(shop, "", product=product, sku="S9", price=Decimal("200.00"))
    slipped = variant(shop, "Mug", sku="MUG", price=Decimal("16.00"))
    factories.ListingFactory(connection__merchant=shop, variant=slipped, price=Decimal("1.60"))
    dear = variant(shop, "Kettle", sku="KTL", price=Decimal("58.00"))
    factories.ListingFactory(connection__merchant=shop, variant=dear, price=Decimal("64.00"))
    assert {one.variant_ids[0]: one.proposal["price"] for one in found(shop, selling.prices)} == {
        odd.pk: "20.00",
        slipped.pk: "1.60",
    }


def test_archived_goods_with_units_are_found(shop):
    stocked, empty = variant(shop, "Mug", sku="M"), variant(shop, "Bowl", sku="B")
    stock(stocked, 3)
    Variant.objects.filter(pk__in=[stocked.pk, empty.pk]).update(archived_at=utc_now())
    (one,) = found(shop, selling.archived)
    assert (one.variant_ids, one.title.endswith("3 are on the shelf")) == ([stocked.pk], True)


def test_values_written_many_ways_become_one_everywhere_but_where_left_out(shop):
    for n, size in enumerate(["XL", "XL", "X-Large", "xl ", "Medium", "M"]):
        variant(shop, f"Tee {n}", sku=f"T{n}", title=size, options={"Size": size})
    kinds = {one.proposal["to"]: one.proposal["values"] for one in found(shop, goods.spellings)}
    assert set(kinds) == {"XL", "M"}
    detecting.detect(merchant=shop)
    finding = Finding.objects.get(key="value:size:xl")
    assert "XL" in [line.after for line in decisions.preview(finding) if line.field == "Title"]
    assert not Change.objects.exists()
    decisions.accept(finding_id=finding.pk, actor=None, excluded=["value:X-Large"])
    sizes = sorted(one.options["Size"] for one in Variant.objects.all())
    assert sizes == ["M", "Medium", "X-Large", "XL", "XL", "XL"]


def test_flat_products_become_variants_of_one_and_come_back(shop):
    for size in ("S", "M", "L"):
        for colour in ("Red", "Blue"):
            variant(shop, f"Harbour tee - {colour} / {size}", sku=f"TEE-{colour}-{size}".upper())
    before = frozen()
    finding = only(shop, Kind.FAMILY)
    decisions.accept(finding_id=finding.pk, actor=None, proposal={"title": "Harbour T-shirt"})
    product = Product.objects.get(archived_at=None)
    assert product.title == "Harbour T-shirt"
    assert product.variants.count() == 6
    assert {tuple(sorted(one.options.items())) for one in product.variants.all()} == {
        (("Color", colour), ("Size", size)) for size in "SML" for colour in ("Red", "Blue")
    }
    assert decisions.undo_last(merchant=shop, actor=None) == finding
    assert frozen() == before
    assert Finding.objects.get(pk=finding.pk).state == State.OPEN


def family(shop, *rows):
    made = [variant(shop, f"Tee {n}", sku=f"T{n}") for n in range(len(rows))]
    for one in made:
        stock(one, 2)
    finding = Finding.objects.create(
        merchant=shop, kind=Kind.FAMILY, key="k", title="tees",
        members=[{"type": "variant", "id": one.pk} for one in made],
        proposal={
            "op": "family", "product_id": made[0].product_id, "title": "Tee",
            "rows": [{"variant_id": one.pk, "options": row} for one, row in zip(made, rows, strict=True)],
        },
    )  # fmt: skip
    return finding, made


def test_two_products_for_one_cell_are_asked_about(shop):
    finding, (first, second, third) = family(shop, {"Size": "S"}, {"Size": "s"}, {"Size": "M"})
    with pytest.raises(decisions.Question) as asked:
        decisions.accept(finding_id=finding.pk, actor=None)
    assert [value for value, _ in asked.value.choices] == ["merge", "another", "leave"]
    assert Finding.objects.get(pk=finding.pk).state == State.OPEN
    assert not Change.objects.exists()
    decisions.accept(finding_id=finding.pk, actor=None, choice="leave")
    assert set(Product.objects.get(title="Tee").variants.all()) == {first, third}
    decisions.undo_last(merchant=shop, actor=None)
    decisions.accept(finding_id=finding.pk, actor=None, choice="merge")
    assert set(Product.objects.get(title="Tee").variants.filter(archived_at=None)) == {first, third}
    assert sum(StockLevel.objects.filter(variant=first).values_list("on_hand", flat=True)) == 4
    second.refresh_from_db()
    assert second.archived_at is not None
    assert verify.verify().breaches == []


def test_a_member_left_out_of_a_family_stays_as_it_is(shop):
    finding, (first, second, third) = family(shop, {"Size": "S"}, {"Size": "M"}, {"Size": "L"})
    decisions.accept(finding_id=finding.pk, actor=None, excluded=[f"variant:{second.pk}"])
    assert set(Product.objects.get(title="Tee").variants.all()) == {first, third}


def test_duplicates_become_one_with_stock_listing_and_names_and_come_back(shop):
    connection = factories.ConnectionFactory(merchant=shop)
    survivor, duplicate = (
        variant(shop, title, sku=sku, gtin=GOOD_GTIN)
        for title, sku in (("Ceramic mug", "MUG"), ("ceramic  mug", "MUG-OLD"))
    )
    for one in (survivor, duplicate):
        place = stock(one, 5)
    listing = factories.ListingFactory(connection=connection, variant=duplicate)
    finding = only(shop, Kind.DUPLICATE)
    assert finding.proposal["survivor_id"] == duplicate.pk, "the listed one has more behind it"
    decisions.accept(finding_id=finding.pk, actor=None)
    listing.refresh_from_db()
    assert (listing.variant, listing.link) == (duplicate, "linked")
    assert sum(StockLevel.objects.filter(variant=duplicate).values_list("on_hand", flat=True)) == 10
    assert VariantAlias.objects.get(variant=duplicate).key == "MUG"
    stock_since = ledger.Entry(duplicate.pk, place.pk, "sale", "sold since", utc_now(), Decimal(-1))
    with transaction.atomic():
        ledger.post(merchant_id=shop.pk, source="test", entries=[stock_since])
    decisions.undo_last(merchant=shop, actor=None)
    left = {one.pk: sum(one.levels.values_list("on_hand", flat=True)) for one in (survivor, duplicate)}
    assert left == {survivor.pk: 5, duplicate.pk: 4}
    assert verify.verify().breaches == []


def test_two_listings_of_one_channel_are_asked_about_and_the_other_is_excluded_on_purpose(shop):
    connection = factories.ConnectionFactory(merchant=shop)
    twins = [variant(shop, "Ceramic mug", sku=f"MUG{n}", gtin=GOOD_GTIN) for n in range(2)]
    listings = [factories.ListingFactory(connection=connection, variant=one) for one in twins]
    finding = only(shop, Kind.DUPLICATE)
    with pytest.raises(decisions.Question) as asked:
        decisions.preview(finding)
    choice = next(value for value, _ in asked.value.choices if value.endswith(str(listings[1].pk)))
    decisions.accept(finding_id=finding.pk, actor=None, choice=choice)
    for listing in listings:
        listing.refresh_from_db()
    assert [(one.link, one.variant_id) for one in listings] == [
        ("excluded", None), ("linked", finding.proposal["survivor_id"]),
    ]  # fmt: skip
    decisions.undo_last(merchant=shop, actor=None)
    for listing, one in zip(listings, twins, strict=True):
        listing.refresh_from_db()
        assert listing.variant == one


def test_accepting_a_new_sku_keeps_the_old_one_as_an_alias_and_answers_the_other_questions_about_it(shop):
    plain_skus(shop)
    one = variant(shop, "Kettle", sku="ktl_001")
    finding = only(shop, Kind.SKU_PATTERN)
    other = Finding.objects.create(
        merchant=shop, kind=Kind.SKU_REPEATED, key="x", title="x", members=[{"type": "variant", "id": one.pk}],
        proposal={"op": "set_sku", "variant_id": one.pk, "sku": "KTL-9"},
    )  # fmt: skip
    decisions.accept(finding_id=finding.pk, actor=None, proposal={"sku": "KTL-1", "variant_id": 999})
    one.refresh_from_db()
    assert (one.sku, one.sku_key) == ("KTL-1", "KTL-1")
    assert VariantAlias.objects.get().value == "ktl_001"
    other.refresh_from_db()
    assert (other.state, other.overtaken_by) == (State.GONE, finding)
    decisions.undo_last(merchant=shop, actor=None)
    other.refresh_from_db()
    one.refresh_from_db()
    assert (other.state, one.sku) == (State.OPEN, "ktl_001")
    assert not VariantAlias.objects.exists()


def test_a_sku_that_is_taken_or_empty_is_refused_in_words_and_nothing_changes(shop):
    variant(shop, "Mug", sku="MUG")
    variant(shop, "Kettle")
    finding = only(shop, Kind.SKU_MISSING)
    for typed, words in (("mug ", "is the SKU of Mug"), ("", "no SKU"), ("x" * 121, "no SKU")):
        with pytest.raises(decisions.BadProposal, match=words):
            decisions.accept(finding_id=finding.pk, actor=None, proposal={"sku": typed})
    assert not Change.objects.exists()


def test_what_a_listing_should_be_is_only_wished_until_it_is_written_back(shop):
    listing = factories.ListingFactory(connection__merchant=shop, sells_past_zero=True)
    finding = only(shop, Kind.OVERSELLING)
    decisions.accept(finding_id=finding.pk, actor=None)
    assert ListingWish.objects.values_list("listing", "field", "value").get() == (listing.pk, "sells_past_zero", False)
    listing.refresh_from_db()
    assert listing.sells_past_zero
    decisions.undo_last(merchant=shop, actor=None)
    assert not ListingWish.objects.exists()


def test_the_queue_is_ranked_by_what_is_at_stake_and_skipping_goes_to_its_end(shop):
    cheap, dear = (variant(shop, title, price=Decimal(price)) for title, price in (("Pen", "2"), ("Clock", "90")))
    for one in (cheap, dear):
        stock(one, 3)
    detecting.detect(merchant=shop)
    first, second = decisions.queue(shop)
    assert [first.members[0]["id"], second.members[0]["id"]] == [dear.pk, cheap.pk]
    decisions.skip(finding_id=first.pk, actor=None)
    assert [one.pk for one in decisions.queue(shop, Kind.SKU_MISSING)] == [second.pk, first.pk]
    assert not decisions.queue(shop, Kind.GTIN).exists()


def test_what_was_rejected_is_never_asked_again_and_what_is_mended_is_gone(shop):
    kept, mended = variant(shop, "Mug"), variant(shop, "Kettle")
    detecting.detect(merchant=shop)
    by_variant = {finding.members[0]["id"]: finding for finding in decisions.queue(shop)}
    decisions.reject(finding_id=by_variant[kept.pk].pk, actor=None)
    Variant.objects.filter(pk=mended.pk).update(sku="KTL", sku_key="KTL")
    assert detecting.detect(merchant=shop) == {"new": 0, "still so": 0, "gone": 1, "by rule": 0}
    assert not decisions.queue(shop).exists()
    decisions.undo_last(merchant=shop, actor=None)
    assert decisions.queue(shop).count() == 1


def test_a_decision_is_a_rule_that_answers_the_next_import_and_a_bigger_question_is_asked_anew(shop):
    for n, size in enumerate(["XL", "XL", "X-Large"]):
        variant(shop, f"Tee {n}", sku=f"T{n}", options={"Size": size})
    decisions.accept(finding_id=only(shop, Kind.OPTION).pk, actor=None)
    again = variant(shop, "Shirt", sku="SH", options={"Size": "X-Large"})
    assert detecting.detect(merchant=shop)["by rule"] == 1
    again.refresh_from_db()
    assert again.options == {"Size": "XL"}
    assert CleanupRule.objects.get().times_used == 1
    variant(shop, "Coat", sku="CO", options={"Size": "Extra Large"})
    assert detecting.detect(merchant=shop)["by rule"] == 0
    assert decisions.queue(shop).get().proposal["values"][-1] == "Extra Large"


def test_all_above_a_confidence_are_accepted_and_what_asks_a_question_stays(shop):
    finding, _ = family(shop, {"Size": "S"}, {"Size": "s"}, {"Size": "M"})
    Finding.objects.filter(pk=finding.pk).update(confidence=0.99)
    listing = factories.ListingFactory(connection__merchant=shop, sells_past_zero=True)
    wished = Finding.objects.create(
        merchant=shop, kind=Kind.OVERSELLING, key="l", title="l", confidence=0.9,
        proposal={"op": "wish", "listing_ids": [listing.pk], "field": "sells_past_zero", "value": False},
    )  # fmt: skip
    assert bulk.accept_above(merchant=shop, actor=None, confidence=0.95) == 0
    assert bulk.accept_above(merchant=shop, actor=None, confidence=0.9) == 1
    assert list(decisions.queue(shop)) == [finding]
    assert Finding.objects.get(pk=wished.pk).state == State.ACCEPTED


def test_another_shops_rows_are_neither_seen_nor_touched(shop):
    other = factories.MerchantFactory()
    theirs = variant(other, "Kettle")
    assert detecting.detect(merchant=shop)["new"] == 0
    crafted = Finding.objects.create(
        merchant=shop, kind=Kind.SKU_MISSING, key="x", title="x",
        proposal={"op": "set_sku", "variant_id": theirs.pk, "sku": "MINE"},
    )  # fmt: skip
    with pytest.raises(decisions.BadProposal, match="not there"):
        decisions.accept(finding_id=crafted.pk, actor=None)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_once_one_decides_and_the_other_is_told(shop):
    variant(shop, "Kettle")
    finding = only(shop, Kind.SKU_MISSING)
    begin, results = threading.Barrier(2), []

    def decide(act):
        begin.wait()
        try:
            act(finding_id=finding.pk, actor=None)
            results.append("done")
        except decisions.AlreadyDecided:
            results.append("told")
        finally:
            database.close()

    people = [threading.Thread(target=decide, args=(act,)) for act in (decisions.accept, decisions.reject)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(results) == ["done", "told"]
