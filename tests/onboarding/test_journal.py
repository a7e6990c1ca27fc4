"""What a change set did can be undone to the byte, row by row, and what was touched since is kept."""

from decimal import Decimal

import pytest
from django.utils.timezone import now as utc_now

from inventory import ledger, verify
from inventory.models import Product, StockLevel, Variant, VariantAlias
from onboarding import journal
from onboarding.models import Change, ChangeSet
from storestudio.accounts.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return factories.MerchantFactory()


def recording(shop, title="a change"):
    return journal.recording(merchant=shop, kind=ChangeSet.Kind.EDIT, title=title, actor=None)


def frozen():
    """All rows of the catalog, as they are."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in (Product, Variant, VariantAlias)}


def test_rows_made_and_changed_come_back_equal(shop):
    variant = factories.VariantFactory(merchant=shop, sku="OLD", price=Decimal("4.50"), options={"size": "XL"})
    before = frozen()
    with recording(shop) as recorder:
        changed = {"sku": "new-1", "price": Decimal(5), "options": {"size": "L"}, "archived_at": utc_now()}
        assert recorder.update(Variant, {variant.pk: changed}) == 1
        recorder.make([Product(merchant=shop, title="A new thing")])
        recorder.make([VariantAlias(merchant=shop, variant=variant, kind="sku", value="OLD", key="OLD")])
    variant.refresh_from_db()
    assert (variant.sku_key, variant.price) == ("NEW-1", Decimal("5.00"))
    undone = journal.undo(changeset_id=recorder.changeset.pk, actor=None)
    assert undone == journal.Undone(reversed=3, kept=0, could_not=0)
    assert frozen() == before
    assert AuditEntry.objects.filter(action="catalog.undone").count() == 1
    with pytest.raises(journal.AlreadyUndone):
        journal.undo(changeset_id=recorder.changeset.pk, actor=None)


def test_what_differs_in_nothing_is_not_written_down(shop):
    variant = factories.VariantFactory(merchant=shop, price=Decimal("4.50"))
    with recording(shop) as recorder:
        assert recorder.update(Variant, {variant.pk: {"price": Decimal("4.5"), "title": variant.title}}) == 0
    assert not Change.objects.exists()


def test_a_row_edited_since_is_kept_and_the_others_go_back(shop):
    edited, untouched = factories.VariantFactory.create_batch(2, merchant=shop, title="S")
    with recording(shop) as recorder:
        recorder.update(Variant, {row.pk: {"title": "M"} for row in (edited, untouched)})
        recorder.make([Product(merchant=shop, title="New")])
    Variant.objects.filter(pk=edited.pk).update(title="Medium")
    Product.objects.filter(title="New").update(vendor="Someone")
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None) == journal.Undone(1, 2, 0)
    assert set(Variant.objects.values_list("title", flat=True)) == {"Medium", "S"}
    assert set(Change.objects.filter(undo="kept").values_list("undo_reason", flat=True)) == {
        "edited since: title", "edited since: vendor",
    }  # fmt: skip


def test_a_field_edited_since_that_was_not_touched_then_does_not_stand_in_the_way(shop):
    variant = factories.VariantFactory(merchant=shop, title="S", gtin="")
    with recording(shop) as recorder:
        recorder.update(Variant, {variant.pk: {"title": "M"}})
    Variant.objects.filter(pk=variant.pk).update(gtin="00012345678905")
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None).reversed == 1
    variant.refresh_from_db()
    assert (variant.title, variant.gtin) == ("S", "00012345678905")


def test_a_variant_that_is_in_use_by_now_stays_and_says_why(shop):
    product = factories.ProductFactory(merchant=shop)
    with recording(shop) as recorder:
        recorder.make([Variant(merchant=shop, product=product, sku=sku) for sku in ("A", "B", "C")])
    sold = Variant.objects.get(sku="B")
    factories.ListingFactory(connection__merchant=shop, variant=sold)
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None) == journal.Undone(2, 0, 1)
    assert Change.objects.get(undo="could_not").undo_reason == "in use by now: listing"
    assert list(Variant.objects.values_list("sku", flat=True)) == ["B"]


def test_stock_that_was_posted_is_posted_back_and_the_variant_is_archived_with_its_history(shop):
    place = factories.LocationFactory(merchant=shop)
    product = factories.ProductFactory(merchant=shop)
    with recording(shop) as recorder:
        made = [Variant(merchant=shop, product=product, sku="A")]
        recorder.make(made)
        entry = ledger.Entry(made[0].pk, place.pk, "count", "row:1", utc_now(), counted=Decimal(7))
        recorder.post([entry], source="import:1")
        recorder.post([entry], source="import:1")
    assert StockLevel.objects.get().on_hand == 7
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None) == journal.Undone(2, 0, 0)
    assert StockLevel.objects.get().on_hand == 0
    assert Variant.objects.get().archived_at is not None
    assert verify.verify().breaches == []


def test_the_same_row_changed_twice_in_a_set_goes_back_to_the_first(shop):
    variant = factories.VariantFactory(merchant=shop, title="one")
    with recording(shop) as recorder:
        for title in ("two", "three"):
            recorder.update(Variant, {variant.pk: {"title": title}})
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None).reversed == 2
    assert Variant.objects.get().title == "one"


def test_merges_and_links_are_undone_too(shop):
    connection = factories.ConnectionFactory(merchant=shop)
    survivor, duplicate = factories.VariantFactory.create_batch(2, merchant=shop)
    listing = factories.ListingFactory(connection=connection, variant=duplicate)
    with recording(shop) as recorder:
        recorder.link(listing=listing, variant=survivor, actor=None)
        recorder.merge(survivor=survivor, duplicate=duplicate, actor=None)
    assert journal.undo(changeset_id=recorder.changeset.pk, actor=None).reversed == 2
    listing.refresh_from_db()
    assert (listing.variant, Variant.objects.filter(archived_at=None).count()) == (duplicate, 2)


def test_one_shop_cannot_write_into_anothers_rows(shop):
    stranger = factories.VariantFactory(title="theirs")
    with recording(shop) as recorder:
        recorder.update(Variant, {stranger.pk: {"title": "mine"}})
    stranger.refresh_from_db()
    assert stranger.title == "theirs"
