"""Which listing is which variant: only what is certain is linked; all else waits and is never written to."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as utc_now

from channels import incidents, linking
from channels.models import ChannelStock, InboundEvent, Incident, Listing
from inventory import identifiers
from inventory.models import Product, Variant
from storestudio.accounts.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db

WHITE, SEA = "04006381333931", "05901234123457"  # valid GTINs


@pytest.fixture
def merchant():
    return factories.MerchantFactory()


@pytest.fixture
def connection(merchant):
    return factories.ConnectionFactory(merchant=merchant)


@pytest.fixture
def actor(merchant):
    return factories.MembershipFactory(merchant=merchant).user


def variant(merchant, sku="", gtin="", **fields):
    return factories.VariantFactory(merchant=merchant, sku=sku, gtin=gtin, **fields)


def listing(connection, sku="", gtin="", **fields):
    return factories.ListingFactory(
        connection=connection, is_unlinked=True, sku=sku, sku_key=identifiers.sku_key(sku), gtin=gtin, **fields
    )


def linked(connection):
    """What is linked to what, by SKU as typed."""
    rows = Listing.objects.filter(connection=connection, link=Listing.Link.LINKED).order_by("pk")
    return [(row.sku, row.variant.sku) for row in rows.select_related("variant")]


def naive_pairs(connection):
    """The obvious way, as in fault 6: whatever is equal belongs together."""
    return {
        (one.pk, other.pk)
        for one in Listing.objects.filter(connection=connection)
        for other in Variant.objects.filter(merchant=connection.merchant)
        if one.sku.strip() == other.sku.strip()
    }


def test_the_same_sku_links_whatever_its_case_width_and_spaces(merchant, connection):
    variant(merchant, "LNO-M-SAND")
    listing(connection, " lno-m-ｓand ")
    assert linking.link_by_identifier(connection) == 1
    assert linked(connection) == [(" lno-m-ｓand ", "LNO-M-SAND")]


@pytest.mark.parametrize("nothing", ["", "   ", "N/A", "n/a", "0", "-", "none", "\u00a0"])
def test_what_is_no_sku_never_links(merchant, connection, nothing):
    variant(merchant, nothing)
    listing(connection, nothing)
    assert naive_pairs(connection), "control: equality alone links them"
    assert linking.link_by_identifier(connection) == 0


def test_a_sku_that_two_listings_share_waits(merchant, connection):
    variant(merchant, "VCH-25")
    listing(connection, "VCH-25")
    listing(connection, "vch-25")
    assert linking.link_by_identifier(connection) == 0


def test_a_sku_that_two_variants_share_waits(merchant, connection):
    variant(merchant, "VCH-25")
    variant(merchant, "vch-25")
    listing(connection, "VCH-25")
    assert linking.link_by_identifier(connection) == 0


def test_the_twin_that_was_deleted_or_archived_does_not_count(merchant, connection):
    variant(merchant, "MUG")
    variant(merchant, "MUG", archived_at=utc_now())
    listing(connection, "MUG", deleted_at=utc_now())
    listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 1
    assert Listing.objects.get(link=Listing.Link.LINKED).deleted_at is None


def test_a_twin_that_is_excluded_on_purpose_still_makes_it_a_question(merchant, connection):
    variant(merchant, "MUG")
    listing(connection, "MUG", link=Listing.Link.EXCLUDED)
    listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 0


def test_a_gtin_links_where_the_sku_says_nothing(merchant, connection):
    variant(merchant, "MUG-W", WHITE)
    listing(connection, "", WHITE)
    assert linking.link_by_identifier(connection) == 1
    assert Listing.objects.get().link_reason == "same GTIN, unique on both sides"


def test_conflicting_gtins_veto_the_same_sku(merchant, connection):
    variant(merchant, "MUG", WHITE)
    listing(connection, "MUG", SEA)
    assert linking.link_by_identifier(connection) == 0


@pytest.mark.parametrize(("ours", "theirs"), [(WHITE, ""), ("", WHITE), (WHITE, WHITE), ("", "")])
def test_a_gtin_on_one_side_only_is_no_veto(merchant, connection, ours, theirs):
    variant(merchant, "MUG", ours)
    listing(connection, "MUG", theirs)
    assert linking.link_by_identifier(connection) == 1


def test_a_gtin_that_points_elsewhere_than_the_sku_waits_for_a_person(merchant, connection):
    variant(merchant, "MUG", SEA)
    variant(merchant, "BOWL", WHITE)
    listing(connection, "MUG", WHITE)
    assert linking.link_by_identifier(connection) == 0


def test_a_gtin_does_not_take_a_variant_from_the_listing_that_has_its_sku(merchant, connection):
    variant(merchant, "MUG", WHITE)
    listing(connection, "MUG-OLD", WHITE)
    listing(connection, "MUG", SEA)
    assert linking.link_by_identifier(connection) == 0


def test_nothing_links_to_another_shops_variant(connection):
    variant(factories.MerchantFactory(), "MUG", WHITE)
    listing(connection, "MUG", WHITE)
    assert linking.link_by_identifier(connection) == 0


def test_a_variant_that_a_listing_of_the_channel_is_already_is_not_given_twice(merchant, connection):
    mug = variant(merchant, "MUG")
    factories.ListingFactory(connection=connection, variant=mug, sku="MUG-1", sku_key="MUG-1")
    listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 0


def test_a_product_deleted_and_listed_anew_finds_its_variant_again(merchant, connection):
    mug = variant(merchant, "MUG")
    dead = factories.ListingFactory(connection=connection, variant=mug, sku="MUG", sku_key="MUG", deleted_at=utc_now())
    factories.ChannelStockFactory(connection=connection, listing=dead)
    fresh = listing(connection, "MUG")
    assert linking.link_by_identifier(connection) == 1
    fresh.refresh_from_db()
    dead.refresh_from_db()
    assert (fresh.variant, dead.variant) == (mug, None)
    believed = ChannelStock.objects.filter(listing__variant=mug).values_list("expected", flat=True)
    assert list(believed) == [None], "what the dead listing showed says nothing of the new one"


def test_linking_again_changes_nothing(merchant, connection):
    variant(merchant, "MUG")
    listing(connection, "MUG")
    linking.link_by_identifier(connection)
    before = list(Listing.objects.values())
    assert linking.link_by_identifier(connection) == 0
    assert list(Listing.objects.values()) == before


def test_linking_makes_cells_that_are_not_written_before_they_are_approved(merchant, connection):
    variant(merchant, "MUG")
    factories.ChannelLocationFactory(connection=connection)
    factories.ChannelLocationFactory(connection=connection, location=None)
    listing(connection, "MUG")
    listing(connection, "")
    linking.link_by_identifier(connection)
    cell = ChannelStock.objects.get()
    assert (cell.desired, cell.expected, cell.dirty_at) == (Decimal(0), None, None)


def test_linking_costs_the_same_for_ten_listings_and_for_two_thousand(merchant, connection):
    def stock_up(start, end):
        product = factories.ProductFactory(merchant=merchant)
        names = [f"SKU-{number}" for number in range(start, end)]
        Variant.objects.bulk_create(
            Variant(merchant=merchant, product=product, sku=name, sku_key=name) for name in names
        )
        Listing.objects.bulk_create(
            Listing(
                merchant=merchant, connection=connection, external_id=name, inventory_id=name, sku=name, sku_key=name
            )
            for name in names
        )

    stock_up(0, 10)
    with CaptureQueriesContext(database) as few:
        assert linking.link_by_identifier(connection) == 10
    stock_up(10, 2010)
    with CaptureQueriesContext(database) as many:
        assert linking.link_by_identifier(connection) == 2000
    assert len(many) <= len(few) + 1  # the tables are analysed once when they have grown


# --- by a person ----------------------------------------------------------------------------------------------


def test_a_person_links_and_the_sale_that_waited_is_read_again(merchant, connection, actor):
    mug = variant(merchant, "MUG")
    found = listing(connection, "")
    order = factories.OrderFactory(merchant=merchant, channel_id=connection.pk, external_id="ORDER-1")
    factories.OrderLineFactory(order=order, variant=None, sku="", title="Mug", listing_external_id=found.external_id)
    incidents.open_or_count(
        merchant_id=merchant.pk, kind=Incident.Kind.UNLINKED_SALE, connection_id=connection.pk,
        key=f"{connection.pk}:listing:{found.external_id}", title="sold something",
    )  # fmt: skip
    linking.link(listing=found, variant=mug, actor=actor)
    found.refresh_from_db()
    assert (found.variant, found.link_reason) == (mug, f"by {actor}")
    hint = InboundEvent.objects.get()
    assert json.loads(bytes(hint.body))["ids"] == ["ORDER-1"]
    assert Incident.objects.get().resolved_by == actor
    assert AuditEntry.objects.get().action == "listing.linked"


@pytest.mark.parametrize("why", ["another shop", "archived", "taken", "gone"])
def test_a_person_is_told_why_a_link_cannot_be(merchant, connection, actor, why):
    mug = variant(factories.MerchantFactory() if why == "another shop" else merchant, "MUG")
    found = listing(connection, "MUG")
    if why == "archived":
        mug.archived_at = utc_now()
        mug.save()
    if why == "taken":
        factories.ListingFactory(connection=connection, variant=mug)
    if why == "gone":
        Listing.objects.filter(pk=found.pk).update(deleted_at=utc_now())
    with pytest.raises(linking.CannotLink):
        linking.link(listing=found, variant=mug, actor=actor)
    found.refresh_from_db()
    assert found.link == Listing.Link.UNLINKED
    assert not AuditEntry.objects.exists()


def test_a_listing_given_to_another_variant_starts_anew(merchant, connection, actor):
    cell = factories.ChannelStockFactory(connection=connection)
    linking.link(listing=cell.listing, variant=variant(merchant, "BOWL"), actor=actor)
    fresh = ChannelStock.objects.get()
    assert fresh.pk != cell.pk
    assert fresh.expected is None


def test_parting_and_excluding_leave_nothing_to_write(merchant, connection, actor):
    one, two = (factories.ChannelStockFactory(connection=connection) for _ in range(2))
    linking.unlink(listing=one.listing, actor=actor)
    linking.exclude(listing=two.listing, actor=actor, reason="a gift card")
    assert not ChannelStock.objects.exists()
    states = dict(Listing.objects.values_list("pk", "link"))
    assert states == {one.listing_id: Listing.Link.UNLINKED, two.listing_id: Listing.Link.EXCLUDED}
    assert Listing.objects.get(pk=two.listing_id).link_reason == "a gift card"
    assert linking.link_by_identifier(connection) == 0, "an excluded listing is not linked behind a person's back"


# --- a first catalog ------------------------------------------------------------------------------------------


def test_adopting_makes_products_as_the_channel_groups_them(merchant, connection, actor):
    for size in ("S", "M"):
        listing(connection, f"TEE-{size}", product_external_id="P1", product_title="Harbour tee", title=size, price=28)
    listing(connection, "MUG", WHITE, product_external_id="P2", product_title="Ceramic mug", title="White")
    assert linking.adopt_catalog(connection, actor=actor) == 3
    tee = Product.objects.get(title="Harbour tee")
    assert sorted(tee.variants.values_list("sku", "title", "price")) == [
        ("TEE-M", "M", Decimal("28.00")), ("TEE-S", "S", Decimal("28.00")),
    ]  # fmt: skip
    assert Variant.objects.get(sku="MUG").gtin == WHITE
    assert not Listing.objects.exclude(link=Listing.Link.LINKED).exists()
    assert linking.adopt_catalog(connection, actor=actor) == 0
    assert AuditEntry.objects.filter(action="catalog.adopted").count() == 1


def test_adopting_leaves_questions_to_a_person(merchant, connection, actor):
    variant(merchant, "MUG", SEA)
    variant(merchant, "OLD", archived_at=utc_now())
    waiting = [
        listing(connection, ""),  # no SKU
        listing(connection, "VCH-25"),  # one SKU twice
        listing(connection, "VCH-25"),
        listing(connection, "MUG", WHITE),  # our SKU, another GTIN
        listing(connection, "BOWL", SEA),  # our GTIN, another SKU: linked, never made twice
        listing(connection, "OLD"),  # archived here
        listing(connection, "GONE", deleted_at=utc_now()),
    ]
    assert linking.adopt_catalog(connection, actor=actor) == 0
    assert Listing.objects.filter(pk__in=[row.pk for row in waiting], link=Listing.Link.UNLINKED).count() == 7


def test_a_later_variant_of_an_adopted_product_joins_it(merchant, connection, actor):
    listing(connection, "TEE-S", product_external_id="P1", product_title="Harbour tee", title="S")
    linking.adopt_catalog(connection, actor=actor)
    listing(connection, "TEE-M", product_external_id="P1", product_title="Harbour tee", title="M")
    assert linking.adopt_catalog(connection, actor=actor) == 1
    assert Product.objects.get().variants.count() == 2


def test_adopting_more_than_a_batch_keeps_a_product_whole(merchant, connection, actor):
    Listing.objects.bulk_create(
        Listing(
            merchant=merchant, connection=connection, external_id=f"V{number}", inventory_id=f"V{number}",
            sku=f"SKU-{number}", sku_key=f"SKU-{number}", product_external_id=f"P{number // 7:05d}",
            product_title="Tee",
        )
        for number in range(2103)
    )  # fmt: skip
    assert linking.adopt_catalog(connection, actor=actor) == 2103
    assert Product.objects.count() == 301
