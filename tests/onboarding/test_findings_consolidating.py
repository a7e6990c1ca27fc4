"""Things become one and two again: stock, orders, holds, names and listings go along, and what happened since stays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils.timezone import now as utc_now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory import orders, reservations, verify
from inventory.models import OrderLine, Product, ReservationLine, StockLevel, Variant, VariantAlias
from onboarding.findings import bulk, decisions, detecting
from onboarding.models import Finding
from tests import factories
from tests.onboarding.findings_shop import BARCODE, frozen, only, stock, units, variant

pytestmark = pytest.mark.django_db
Kind, State = Finding.Kind, Finding.State


@pytest.fixture
def shop():
    return factories.MerchantFactory()


def order(one, place, quantity, *, number="O1", version=1, fulfilled=0):
    hold = orders.Hold(place.pk, Decimal(quantity - fulfilled), Decimal(fulfilled))
    line = orders.LineState("L1", "listing", one.pk, one.sku, "Mug", Decimal(quantity), [hold])
    now = utc_now()
    state = orders.OrderState(number, number, now, now, version, False, [line])
    orders.apply(merchant_id=one.merchant_id, channel_id=7, states=[state])


def twins(shop):
    """The same mug twice, the second with an open order, a hold, a barcode and a listing."""
    first, second = variant(shop, "Ceramic mug", sku="MUG"), variant(shop, "Ceramic mug", sku="MUG-B", gtin=BARCODE)
    place = stock(first, 8)
    stock(second, 5, place=place)
    order(second, place, 2)
    now = utc_now()
    reservations.reserve(
        merchant_id=shop.pk, key="h", wants=[reservations.Want(second.pk, place.pk, Decimal(1))], now=now,
        expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    factories.ListingFactory(connection__merchant=shop, variant=first, connection__label="Till")
    listing = factories.ListingFactory(connection__merchant=shop, variant=second, connection__label="Web")
    return first, second, place, listing


def test_duplicates_bring_everything_along_and_take_it_back_while_sales_since_stay(shop):
    first, second, place, listing = twins(shop)
    before = frozen()
    finding = only(shop, Kind.DUPLICATE)
    keep, gone = (first, second) if finding.proposal["survivor_id"] == first.pk else (second, first)
    shown = {(line.field, line.after) for line in decisions.preview(finding)}
    assert ("Becomes part of", f"Ceramic mug ({keep.sku})") in shown
    decisions.accept(finding_id=finding.pk, actor=None)
    level = StockLevel.objects.get(variant=keep)
    assert (level.on_hand, level.committed, level.reserved) == (13, 2, 1)
    assert OrderLine.objects.get().variant == keep
    assert ReservationLine.objects.get().variant == keep
    listing.refresh_from_db()
    assert listing.variant == keep
    keep.refresh_from_db()
    assert keep.gtin == BARCODE
    assert VariantAlias.objects.filter(variant=keep, key=gone.sku).exists()
    assert Variant.objects.get(pk=gone.pk).archived_at is not None

    order(keep, place, 3, number="O2", fulfilled=3)
    order(gone, place, 2, version=2, fulfilled=2)
    decisions.undo_last(merchant=shop, actor=None)
    assert (units(first), units(second)) == (8 - 3 * (keep == first), 5 - 2 - 3 * (keep == second))
    assert frozen() == before
    listing.refresh_from_db()
    assert listing.variant == second
    assert Finding.objects.get(pk=finding.pk).state == State.OPEN
    assert verify.verify().breaches == []


def family(shop, *rows, **more):
    made = [variant(shop, f"Tee {n}", sku=f"T{n}") for n in range(len(rows))]
    for one in made:
        stock(one, 2)
    return factories.FindingFactory(
        merchant=shop, kind=Kind.FAMILY, variant=made[0],
        members=[{"type": "variant", "id": one.pk} for one in made],
        proposal={
            "op": "family", "product_id": made[0].product_id, "title": "Tee",
            "names": list(rows[0]),
            "rows": [{"variant_id": one.pk, "options": row} for one, row in zip(made, rows, strict=True)],
            "editable": [
                {"name": "title", "label": "Product", "value": "Tee"},
                *({"name": f"row:{one.pk}", "label": "Size", "value": " / ".join(row.values())}
                  for one, row in zip(made, rows, strict=True)),
            ],
        }, **more,
    ), made  # fmt: skip


def test_two_products_for_one_cell_may_be_kept_apart_by_another_value(shop):
    finding, (first, second, third) = family(shop, {"Size": "S"}, {"Size": "s "}, {"Size": "M"})
    with pytest.raises(decisions.Question) as asked:
        decisions.accept(finding_id=finding.pk, actor=None, proposal={f"row:{second.pk}": "S"})
    assert "Tee (T0) and Tee 1 (T1)" in asked.value.words
    decisions.accept(
        finding_id=finding.pk, actor=None, proposal={f"row:{second.pk}": "S"}, choice=asked.value.choices[1][0]
    )
    values = {one.pk: (one.options["Size"], one.title) for one in Product.objects.get(title="Tee").variants.all()}
    assert values == {first.pk: ("S", "S"), second.pk: ("S (2)", "S (2)"), third.pk: ("M", "M")}


def test_values_typed_by_a_person_are_taken_and_a_missing_one_is_refused(shop):
    finding, made = family(shop, {"Colour": "Red", "Size": "S"}, {"Colour": "Red", "Size": "M"})
    with pytest.raises(decisions.BadProposal, match="2 values are needed: Colour / Size"):
        decisions.accept(finding_id=finding.pk, actor=None, proposal={f"row:{made[1].pk}": "Rust"})
    decisions.accept(finding_id=finding.pk, actor=None, proposal={f"row:{made[1].pk}": "Rust / L"})
    made[1].refresh_from_db()
    assert (made[1].options, made[1].title) == ({"Colour": "Rust", "Size": "L"}, "Rust / L")
    assert Finding.objects.get(pk=finding.pk).proposal["editable"][2]["value"] == "Rust / L"


def test_a_family_keeps_what_hangs_on_its_variants_and_old_products_go_out_of_sight(shop):
    finding, made = family(shop, {"Size": "S"}, {"Size": "M"})
    listing = factories.ListingFactory(connection__merchant=shop, variant=made[1])
    before = frozen()
    decisions.accept(finding_id=finding.pk, actor=None)
    listing.refresh_from_db()
    assert (listing.variant, units(made[1])) == (made[1], 2)
    assert Product.objects.filter(archived_at=None).count() == 1
    decisions.undo_last(merchant=shop, actor=None)
    assert frozen() == before


def test_a_clash_that_is_merged_may_ask_about_its_listings_too_and_both_answers_count(shop):
    finding, (first, second, _) = family(shop, {"Size": "S"}, {"Size": "S"}, {"Size": "M"})
    till = factories.ConnectionFactory(merchant=shop, label="Till")
    for one in (first, second):
        factories.ListingFactory(connection=till, variant=one)
    with pytest.raises(decisions.Question) as asked:
        decisions.accept(finding_id=finding.pk, actor=None, choice="merge")
    assert "Till lists it 2 times" in asked.value.words
    choice = asked.value.choices[1][0]
    assert choice.startswith("merge,keep:")
    decisions.accept(finding_id=finding.pk, actor=None, choice=choice)
    assert till.listings.get(link="linked").variant == first
    assert till.listings.filter(link="excluded").count() == 1
    assert units(first) == 4


def test_one_spelling_that_makes_two_variants_of_one_cell_asks_and_a_clash_that_was_there_does_not(shop):
    product = factories.ProductFactory(merchant=shop, title="Tee")
    for n, size in enumerate(("XL", "X-Large", "M", "M")):
        variant(shop, "", product=product, sku=f"T{n}", title=size, options={"Size": size})
    variant(shop, "Coat", sku="C", title="X-Large", options={"Size": "X-Large"})
    finding = factories.FindingFactory(
        merchant=shop, kind=Kind.OPTION, variant=product.variants.first(), members=[],
        proposal={"op": "write_value", "option": "size", "values": ["XL", "X-Large"], "to": "XL"},
    )  # fmt: skip
    with pytest.raises(decisions.Question) as asked:
        decisions.accept(finding_id=finding.pk, actor=None)
    assert "Tee · M" not in asked.value.words
    decisions.accept(finding_id=finding.pk, actor=None, choice="leave")
    assert sorted(Variant.objects.values_list("title", flat=True)) == ["M", "M", "X-Large", "XL", "XL"]


def test_a_title_that_is_not_its_option_values_is_left_alone(shop):
    named = variant(shop, "Tee", sku="T", title="The big one", options={"Size": "X-Large"})
    plain = variant(shop, "Coat", sku="C", title="X-Large", options={"Size": "X-Large"})
    finding = factories.FindingFactory(
        merchant=shop, kind=Kind.OPTION, variant=named, members=[],
        proposal={"op": "write_value", "option": "size", "values": ["X-Large"], "to": "XL"},
    )  # fmt: skip
    decisions.accept(finding_id=finding.pk, actor=None)
    named.refresh_from_db()
    plain.refresh_from_db()
    assert (named.title, plain.title) == ("The big one", "XL")
    assert named.options == plain.options == {"Size": "XL"}


def test_of_two_listings_of_one_thing_the_other_is_left_alone_on_purpose(shop):
    web = factories.ConnectionFactory(merchant=shop)
    mug = variant(shop, "Ceramic mug", sku="MUG")
    linked = factories.ListingFactory(connection=web, variant=mug, product_title="Ceramic mug", title="")
    again = factories.ListingFactory(connection=web, is_unlinked=True, sku="", product_title="Ceramic mug", title="")
    finding = only(shop, Kind.DUPLICATE)
    decisions.accept(finding_id=finding.pk, actor=None)
    again.refresh_from_db()
    linked.refresh_from_db()
    assert (again.link, linked.variant) == ("excluded", mug)
    assert detecting.detect(merchant=shop)["new"] == 0
    decisions.undo_last(merchant=shop, actor=None)
    again.refresh_from_db()
    assert again.link == "unlinked"


def messy(shop):
    """A few faults that touch each other."""
    place = factories.LocationFactory(merchant=shop)
    web = factories.ConnectionFactory(merchant=shop)
    rows = [
        ("Bread knife", "KNF", ""), ("Bread knife", "", ""), ("Bread knife", "knf_2", BARCODE),
        ("Lambswool scarf - Red", "LSC-R", ""), ("Lambswool scarf - Navy", "LSC-N", ""), ("Kettle", "LSC-N", ""),
        ("Pan", "3-Dec", "123"),
    ]  # fmt: skip
    for n, (title, sku, gtin) in enumerate(rows):
        one = variant(shop, title, sku=sku, gtin=gtin)
        stock(one, n + 1, place=place)
        if n % 3 == 0:
            factories.ListingFactory(connection=web, variant=one, sells_past_zero=True)
    for size in ("XL", "XL", "X-Large"):
        variant(shop, f"Coat {size}", sku="", title=size, options={"Size": size})


STEPS = st.lists(st.tuples(st.sampled_from(["accept", "reject", "skip", "undo", "look", "bulk"]), st.integers(0, 9)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_was_decided_in_whatever_order_undoing_it_all_gives_the_same_catalog(shop, steps):
    with transaction.atomic():
        messy(shop)
        before = frozen()
        total = {place: sum(row) for place, row in [("all", StockLevel.objects.values_list("on_hand", flat=True))]}
        detecting.detect(merchant=shop)
        for act, which in steps:
            step(shop, act, which)
            assert sum(StockLevel.objects.values_list("on_hand", flat=True)) == total["all"]
        while decisions.undo_last(merchant=shop, actor=None) is not None:
            pass
        assert verify.verify().breaches == []
        after = frozen()
        if not any(act == "look" for act, _ in steps):  # rules that answered by themselves are change sets of their own
            assert after == before
        transaction.set_rollback(True)


def step(shop, act, which):
    if act == "undo":
        decisions.undo_last(merchant=shop, actor=None)
    elif act == "look":
        detecting.detect(merchant=shop)
    elif act == "bulk":
        bulk.accept_above(merchant=shop, actor=None, confidence=0.9)
    else:
        waiting = list(decisions.queue(shop))
        if not waiting:
            return
        finding = waiting[which % len(waiting)]
        try:
            getattr(decisions, act)(finding_id=finding.pk, actor=None)
        except decisions.Question as asked:
            choice = asked.choices[which % len(asked.choices)][0]
            try:
                decisions.accept(finding_id=finding.pk, actor=None, choice=choice)
            except (decisions.Question, decisions.BadProposal):
                return
        except decisions.BadProposal:
            return
