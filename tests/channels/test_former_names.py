"""Old SKUs and barcodes keep finding their variants: listings by linking, late orders by their lines."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils.timezone import now as utc_now

from channels import applying, linking
from channels.models import Incident, Listing
from channels.ports import ChannelOrder, ChannelOrderLine, LineHold
from inventory import identifiers, names
from inventory.models import OrderLine, StockLevel, Variant, VariantAlias
from tests import factories

pytestmark = pytest.mark.django_db
WHITE, SEA = "04006381333931", "05901234123457"  # valid GTINs


@pytest.fixture
def connection():
    return factories.ConnectionFactory(is_live=True)


def variant(connection, sku, *, gtin="", was="", had=""):
    made = factories.VariantFactory(merchant=connection.merchant, sku=sku, gtin=gtin)
    if was:
        factories.VariantAliasFactory(variant=made, value=was, key=identifiers.sku_key(was))
    if had:
        factories.VariantAliasFactory(variant=made, kind=VariantAlias.Kind.GTIN, value=had, key=had)
    return made


def listing(connection, sku="", gtin="", **fields):
    key = identifiers.sku_key(sku)
    return factories.ListingFactory(connection=connection, is_unlinked=True, sku=sku, sku_key=key, gtin=gtin, **fields)


def linked():
    return dict(Listing.objects.filter(variant__isnull=False).values_list("sku", "variant__sku"))


def test_a_listing_with_an_old_sku_finds_its_variant(connection):
    variant(connection, "ACM-MUG", was="mug 1")
    listing(connection, "MUG 1")
    assert linking.link_by_identifier(connection) == 1
    assert linked() == {"MUG 1": "ACM-MUG"}
    assert Listing.objects.get().link_reason == "an old SKU of one variant only"


def test_a_listing_with_an_old_barcode_finds_its_variant(connection):
    variant(connection, "ACM-MUG", gtin=SEA, had=WHITE)
    listing(connection, "", WHITE)
    assert linking.link_by_identifier(connection) == 1


def test_what_is_called_so_now_wins_over_what_was(connection):
    variant(connection, "ACM-MUG", was="MUG")
    variant(connection, "MUG")
    listing(connection, "MUG")
    linking.link_by_identifier(connection)
    assert linked() == {"MUG": "MUG"}


def test_an_old_sku_of_two_variants_waits(connection):
    variant(connection, "A", was="MUG")
    variant(connection, "B", was="MUG")
    listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 0


def test_two_listings_with_two_old_skus_of_one_variant_wait(connection):
    mug = variant(connection, "ACM-MUG", was="MUG")
    factories.VariantAliasFactory(variant=mug, value="CUP", key="CUP")
    listing(connection, "MUG")
    listing(connection, "CUP")
    assert linking.link_by_identifier(connection) == 0
    Listing.objects.filter(sku="CUP").delete()
    assert linking.link_by_identifier(connection) == 1, "control: one of them alone is linked"


@pytest.mark.parametrize("empty", ["", " ", "N/A", "0"])
def test_an_empty_sku_never_matches_an_alias(connection, empty):
    variant(connection, "MUG", was="CUP")
    listing(connection, empty)
    assert linking.link_by_identifier(connection) == 0
    assert names.variants_by_sku(merchant_id=connection.merchant_id, skus=[empty]) == {}


def test_another_valid_gtin_vetoes_an_old_sku_but_an_old_gtin_of_its_own_does_not(connection):
    variant(connection, "ACM-MUG", gtin=SEA, was="MUG")
    one = listing(connection, "MUG", WHITE)
    assert linking.link_by_identifier(connection) == 0
    factories.VariantAliasFactory(variant=Variant.objects.get(), kind=VariantAlias.Kind.GTIN, value=WHITE, key=WHITE)
    assert linking.link_by_identifier(connection) == 1
    assert one.pk == Listing.objects.get(variant__isnull=False).pk


def test_a_barcode_that_is_another_variants_now_vetoes_an_old_sku(connection):
    variant(connection, "ACM-MUG", was="MUG", had=WHITE)
    variant(connection, "BOWL", gtin=WHITE)
    listing(connection, "MUG", WHITE)
    linking.link_by_identifier(connection)
    assert linked().get("MUG") != "ACM-MUG"


def test_an_alias_of_another_shop_links_nothing(connection):
    other = factories.ConnectionFactory()
    variant(other, "ACM-MUG", was="MUG")
    listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 0


def test_adopting_makes_no_second_variant_of_what_we_had_under_that_name(connection):
    variant(connection, "A", was="MUG")
    variant(connection, "B", was="MUG")
    listing(connection, "MUG")
    listing(connection, "PLATE")
    assert linking.adopt_catalog(connection, actor=None) == 1
    assert linked() == {"PLATE": "PLATE"}


def sold(connection, place, *, sku, listing_id="", name="O1"):
    line = ChannelOrderLine(
        external_id="L1",
        listing_external_id=listing_id,
        sku=sku,
        title="Mug",
        quantity=Decimal(2),
        holds=[LineHold(location_id=place.external_id, committed=Decimal(0), fulfilled=Decimal(2))],
    )
    now = utc_now()
    order = ChannelOrder(
        external_id=name, number="1", placed_at=now, updated_at=now, version=0, is_cancelled=False, lines=[line]
    )
    applying.apply_orders(connection=connection, found=applying.Found([order]))
    return OrderLine.objects.get(order__external_id=name).variant


def on_hand(one):
    return sum(StockLevel.objects.filter(variant=one).values_list("on_hand", flat=True))


@pytest.fixture
def place(connection):
    return factories.ChannelLocationFactory(connection=connection)


def test_a_late_order_with_an_old_sku_takes_the_variants_stock(connection, place):
    mug = variant(connection, "ACM-MUG", was="MUG-1")
    assert sold(connection, place, sku="mug-1") == mug
    assert on_hand(mug) == -2
    assert not Incident.objects.filter(kind=Incident.Kind.UNLINKED_SALE).exists()


def test_a_line_of_a_listing_that_is_gone_is_found_by_its_sku(connection, place):
    mug = variant(connection, "ACM-MUG", was="MUG-1")
    gone = listing(connection, "MUG-1", deleted_at=utc_now())
    assert sold(connection, place, sku="MUG-1", listing_id=gone.external_id) == mug


@pytest.mark.parametrize("link", ["unlinked", "excluded"])
def test_a_listing_that_a_person_has_to_decide_about_is_not_answered_by_its_sku(connection, place, link):
    mug = variant(connection, "ACM-MUG", was="MUG-1")
    waiting = listing(connection, "MUG-1", link=link)
    assert sold(connection, place, sku="MUG-1", listing_id=waiting.external_id) is None
    assert on_hand(mug) == 0
    assert Incident.objects.filter(kind=Incident.Kind.UNLINKED_SALE).exists()


def test_an_unknown_listing_waits_for_the_catalog(connection, place):
    variant(connection, "ACM-MUG", was="MUG-1")
    assert sold(connection, place, sku="MUG-1", listing_id="NEVER-SEEN") is None


@pytest.mark.parametrize("sku", ["", "N/A", "MUG-9"])
def test_a_line_without_a_known_sku_is_nobodys(connection, place, sku):
    variant(connection, "", was="MUG-1")
    assert sold(connection, place, sku=sku) is None


def test_two_variants_of_that_name_mean_nothing_and_the_present_name_wins(connection, place):
    variant(connection, "A", was="MUG")
    variant(connection, "B", was="MUG")
    assert sold(connection, place, sku="MUG") is None
    now = variant(connection, "MUG")
    assert sold(connection, place, sku="MUG", name="O2") == now


def test_a_line_that_was_found_stays_what_it_is_when_the_name_is_given_to_another(connection, place):
    mug = variant(connection, "ACM-MUG", was="MUG-1")
    sold(connection, place, sku="MUG-1")
    variant(connection, "MUG-1")
    assert sold(connection, place, sku="MUG-1") == mug
    assert on_hand(mug) == -2
