"""A connected channel's catalog is a source as good as a file; its listings are linked to what came of them."""

from __future__ import annotations

import pytest

from channels.models import ChannelStock, Listing
from inventory.models import Product, Variant
from onboarding.importing import deciding, uploads
from onboarding.models import ImportBatch
from tests import factories
from tests.onboarding.imports_shop import actions, frozen, rows_of, run, undone

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection():
    return factories.ConnectionFactory(label="Till")


def listed(connection, sku, **values):
    values = {"product_title": f"Item {sku}", "title": "", "product_external_id": f"P-{sku}"} | values
    return factories.ListingFactory(connection=connection, is_unlinked=True, sku=sku, sku_key=sku.upper(), **values)


def staged(connection):
    batch = deciding.from_channel(merchant=connection.merchant, connection=connection, actor=None)
    return run(batch)


def applied(connection):
    batch = staged(connection)
    deciding.approve(batch_id=batch.pk, actor=None)
    return run(batch)


def test_listings_become_variants_are_linked_and_come_back_equal(connection):
    listed(connection, "SH-S", product_external_id="P1", product_title="Shirt", title="S", options={"Size": "S"})
    listed(connection, "SH-M", product_external_id="P1", product_title="Shirt", title="M", options={"Size": "M"})
    listed(connection, "", product_title="No code")
    known = factories.VariantFactory(merchant=connection.merchant, sku="MUG", product__title="Item MUG", title="")
    listed(connection, "mug")
    before = frozen(connection.merchant)
    batch = applied(connection)
    assert batch.state == ImportBatch.State.APPLIED, batch.error
    assert Product.objects.filter(merchant=connection.merchant).count() == 3
    assert set(Listing.objects.values_list("link", flat=True)) == {Listing.Link.LINKED}
    assert Listing.objects.get(sku="mug").variant == known
    assert Variant.objects.get(sku="SH-M").options == {"Size": "M"}
    undone(batch)
    after = frozen(connection.merchant)
    told = ("link_reason", "linked_at")  # who parted them is said on the listing
    for rows in (before, after):
        for listing in rows["Listing"]:
            for name in told:
                listing.pop(name)
    assert after == before


def test_the_same_catalog_again_changes_nothing(connection):
    listed(connection, "A")
    listed(connection, "", product_title="No code")
    applied(connection)
    again = staged(connection)
    assert set(actions(again).values()) == {"unchanged"}
    assert {row.matched_by for row in rows_of(again).values()} == {"listing"}


def test_excluded_deleted_and_other_shops_listings_stay_out(connection):
    listed(connection, "GOOD")
    listed(connection, "LEFT", link=Listing.Link.EXCLUDED)
    listed(connection, "GONE", deleted_at=factories.utc_now())
    listed(factories.ConnectionFactory(), "THEIRS")
    batch = applied(connection)
    assert [row.fields["sku"] for row in rows_of(batch).values()] == ["GOOD"]
    with pytest.raises(deciding.NotAllowed):
        deciding.from_channel(merchant=factories.MerchantFactory(), connection=connection, actor=None)


def test_an_empty_channel_says_so(connection):
    with pytest.raises(uploads.CannotTake, match="lists nothing"):
        deciding.from_channel(merchant=connection.merchant, connection=connection, actor=None)


def test_two_listings_of_one_sku_are_a_question_for_a_person(connection):
    listed(connection, "TWIN")
    listed(connection, "twin")
    batch = applied(connection)
    assert sorted(actions(batch).values()) == ["error", "new"]
    assert Variant.objects.filter(merchant=connection.merchant).count() == 1


def test_the_rehearsal_links_nothing(connection):
    listed(connection, "A")
    before = frozen(connection.merchant)
    staged(connection)
    assert frozen(connection.merchant) == before
    assert not ChannelStock.objects.exists()
