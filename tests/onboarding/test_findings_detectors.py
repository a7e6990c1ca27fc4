"""Each fault is found, and what only resembles it is left alone: barcodes, listings, families, spellings, prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from onboarding.findings import catalog, goods, names, selling
from onboarding.findings.found import Kind, risk
from onboarding.models import SkuPattern
from tests import factories
from tests.onboarding.findings_shop import BARCODE, found, stock, variant

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return factories.MerchantFactory()


def tee(shop, *, sku, product=None, **options):
    return variant(shop, "Harbour tee", product=product, sku=sku, options=options, title=" / ".join(options.values()))


def test_one_barcode_on_two_things_is_found_and_on_the_same_thing_twice_it_is_another_finding(shop):
    first, second = variant(shop, "Rain gauge", sku="A", gtin=BARCODE), variant(shop, "Kettle", sku="B", gtin=BARCODE)
    (one,) = found(shop, names.shared_barcodes)
    assert (one.key, one.proposal["gtin"]) == (f"variant:{second.pk}:repeated", "")
    assert set(one.variant_ids) == {first.pk, second.pk}
    second.product.title = "Rain gauge"
    second.product.save()
    assert found(shop, names.shared_barcodes) == []


def test_a_few_numbers_for_inside_one_store_are_a_question_each_and_many_are_one(shop):
    for n in range(4):
        variant(shop, f"Thing {n}", sku=f"T{n}", gtin="2000010000012")
    assert [one.proposal["op"] for one in found(shop, names.barcodes)] == ["set_gtin"] * 4
    variant(shop, "Thing 4", sku="T4", gtin="2000010000012")
    (one,) = found(shop, names.barcodes)
    assert (one.proposal["op"], len(one.proposal["variant_ids"])) == ("clear_gtins", 5)


@pytest.mark.parametrize("sku", ["MAR-20", "DEC-03", "12-MAR", "1E12", "REF-100"])
def test_control_a_shops_own_codes_are_no_spreadsheet_dates(shop, sku):
    variant(shop, "Mug", sku=sku)
    assert found(shop, names.damaged) == []


def test_a_separator_that_some_of_the_shop_uses_is_a_habit(shop):
    for n in range(30):
        variant(shop, f"Thing {n}", sku=f"THG-{n:03d}")
    for n in range(3):
        variant(shop, f"Cap {n}", sku=f"CAP-S/M-{n}")
    odd = variant(shop, "Pan", sku="PAN*20")
    assert [(one.variant_ids, one.proposal["sku"]) for one in found(shop, names.off_pattern)] == [([odd.pk], "PAN-20")]


def test_a_tidied_sku_that_another_variant_has_is_not_proposed(shop):
    for n in range(12):
        variant(shop, f"Thing {n}", sku=f"THG-{n:03d}")
    variant(shop, "Pan", sku="PAN-20"), variant(shop, "Other pan", sku="pan_20")
    assert found(shop, names.off_pattern) == []


def test_a_pattern_that_the_shop_has_chosen_and_mostly_follows_is_what_counts(shop):
    product = factories.ProductFactory(merchant=shop, title="Harbour tee", vendor="Acme")
    for colour in ("Red", "Blue", "Green"):
        for size in ("S", "M", "L", "XL"):
            tee(shop, product=product, sku=f"ACM-{colour[:3].upper()}-{size}", Colour=colour, Size=size)
    odd = tee(shop, product=product, sku="WEIRD-99-7", Colour="White", Size="S")
    bare = tee(shop, product=product, sku="", Colour="White", Size="M")
    assert found(shop, names.off_pattern) == [], "control: no pattern was chosen, and it is written like the others"
    chosen = SkuPattern.objects.create(merchant=shop, pattern="{vendor:3}-{color:3}-{size}")
    (one,) = found(shop, names.off_pattern)
    assert (one.variant_ids, one.proposal["sku"]) == ([odd.pk], "ACM-WHT-S")
    (none,) = found(shop, names.missing)
    assert (none.variant_ids, none.proposal["sku"]) == ([bare.pk], "ACM-WHT-M")
    chosen.pattern = "{vendor:3}-{style:4}-{size}"
    chosen.save()
    assert found(shop, names.off_pattern) == [], "hardly any follows it: the designer renames them together"


def test_two_listings_of_one_channel_with_one_sku_are_found_and_of_two_channels_not(shop):
    web, till = factories.ConnectionFactory.create_batch(2, merchant=shop, label="Web shop")
    first = factories.ListingFactory(connection=web, is_unlinked=True, sku="VCH", sku_key="VCH", title="25")
    second = factories.ListingFactory(connection=web, is_unlinked=True, sku="VCH", sku_key="VCH", title="50")
    factories.ListingFactory(connection=till, is_unlinked=True, sku="VCH", sku_key="VCH")
    (
        factories.ListingFactory(connection=web, is_unlinked=True, sku="", sku_key=""),
        factories.ListingFactory(connection=web, is_unlinked=True, sku="", sku_key=""),
    )
    (one,) = found(shop, names.listed_with_one_sku)
    assert (one.proposal["listing_ids"], one.proposal["value"]) == ([second.pk], "VCH-50")
    assert {member["id"] for member in one.members} == {first.pk, second.pk}


def test_a_channel_that_lists_one_thing_twice_is_found_and_other_colours_are_not(shop):
    web = factories.ConnectionFactory(merchant=shop)
    linked = factories.ListingFactory(
        connection=web, variant=variant(shop, "Ceramic mug", sku="MUG"), product_title="Ceramic mug", title="",
        price=Decimal(9),
    )  # fmt: skip
    again = factories.ListingFactory(
        connection=web, is_unlinked=True, sku="", product_title="Ceramic mug", title="", price=Decimal(9)
    )
    for colour in ("Red", "Blue"):
        factories.ListingFactory(
            connection=web, is_unlinked=True, sku=colour, product_title="Wool throw", title=colour, price=Decimal(9)
        )
    (one,) = found(shop, goods.listed_twice)
    assert (one.proposal["kept_id"], one.proposal["listing_ids"]) == (linked.pk, [again.pk])


def test_a_flat_product_joins_the_product_whose_variant_it_is(shop):
    home = factories.ProductFactory(merchant=shop, title="Harbour tee")
    for colour in ("Red", "Blue"):
        for size in ("S", "M", "L"):
            tee(shop, product=home, sku=f"TEE-{colour}-{size}".upper(), Colour=colour, Size=size)
    flat = variant(shop, "Harbour tee - Green / M", sku="TEE-GREEN-M")
    variant(shop, "Enamel kettle", sku="KTL")
    (one,) = found(shop, goods.families)
    assert one.proposal["product_id"] == home.pk
    assert one.proposal["rows"] == [{"variant_id": flat.pk, "options": {"Colour": "Green", "Size": "M"}}]


def test_control_products_that_share_a_word_are_no_family(shop):
    for title in ("Linen spray", "Linen tea towel", "Linen napkins", "Wool throw", "Bread knife"):
        variant(shop, title, sku=title.upper())
    assert found(shop, goods.families) == []


def test_the_same_thing_twice_is_found_and_its_other_options_are_not(shop):
    first, second = variant(shop, "Bread knife", sku="KNF"), variant(shop, "Bread  knife", sku="")
    product = factories.ProductFactory(merchant=shop, title="Tide table poster")
    for coast in ("North", "South", "East", "West"):
        variant(shop, "", product=product, sku=f"TTP-{coast}", options={"Coast": coast}, title=coast)
    (one,) = found(shop, goods.twice)
    assert set(one.variant_ids) == {first.pk, second.pk}
    assert one.proposal["survivor_id"] == first.pk, "it has a SKU"


def test_values_side_by_side_in_one_product_are_no_slips_of_each_other(shop):
    product = factories.ProductFactory(merchant=shop, title="Mug")
    for n, glaze in enumerate(["Charcoal"] * 5 + ["Charcoals"]):
        variant(shop, f"Thing {n}", sku=f"T{n}", options={"Glaze": glaze})
    assert [one.proposal["to"] for one in found(shop, goods.spellings)] == ["Charcoal"]
    for glaze in ("Charcoal", "Charcoals"):
        variant(shop, "", product=product, sku=glaze, options={"Glaze": glaze})
    assert found(shop, goods.spellings) == []


def test_a_combined_value_is_not_a_slip_of_a_plain_one(shop):
    for n, value in enumerate(["White"] * 8 + ["L / White"]):
        variant(shop, f"Thing {n}", sku=f"T{n}", options={"Variation": value})
    assert found(shop, goods.spellings) == []


def test_where_our_own_siblings_agree_the_channels_price_is_the_slipped_one(shop):
    product = factories.ProductFactory(merchant=shop)
    one, _ = (variant(shop, "", product=product, sku=sku, price=Decimal(16)) for sku in ("A", "B"))
    factories.ListingFactory(connection__merchant=shop, variant=one, price=Decimal("1.60"))
    assert found(shop, selling.prices) == []


def test_risk_grows_with_units_price_and_channels(shop):
    small, large = variant(shop, "Pen", sku="P", price=Decimal(2)), variant(shop, "Clock", sku="C", price=Decimal(50))
    place = stock(small, 3)
    stock(large, 3, place=place)
    listings = [
        factories.ListingFactory(
            connection__merchant=shop, connection__is_live=True, variant=large, sells_past_zero=True
        )
        for _ in range(2)
    ]
    goods_of = catalog.read(shop)
    overselling = list(selling.overselling(goods_of))
    assert [one.kind for one in overselling] == [Kind.OVERSELLING] * 2
    assert risk(overselling[0], goods_of) == 3 * 50 * 1.5
    listings[1].connection.state = "paused"
    listings[1].connection.save()
    assert risk(overselling[0], catalog.read(shop)) == 3 * 50
