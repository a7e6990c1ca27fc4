"""Files become staged rows that say what they would change; a yes applies them, a word takes them back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils.timezone import now as utc_now

from inventory import ledger, merging, verify
from inventory.models import Product, Variant, VariantAlias
from onboarding.importing import deciding, undoing
from onboarding.importing.fields import in_words
from onboarding.models import Change, ChangeSet, ImportBatch, StagedRow
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.onboarding.imports_shop import actions, applied, frozen, rows_of, run, staged, table, undone

pytestmark = pytest.mark.django_db

GTIN = "04006381333931"
SHIRT = {
    "Title": "Linen Shirt", "SKU": "LIN-S", "Price": "49.00", "Vendor": "Acme", "Option 1 name": "Size",
    "Option 1 value": "S", "Product group": "linen-shirt",
}  # fmt: skip
SHIRT_M = SHIRT | {"SKU": "LIN-M", "Option 1 value": "M"}
MUG = {"Title": "Mug", "SKU": "MUG-1", "Barcode": "4006381333931", "Price": "12.50", "Product group": "mug"}


@pytest.fixture
def shop():
    return factories.MerchantFactory()


def test_rows_of_one_group_become_one_product_and_come_back_equal(shop):
    before = frozen(shop)
    batch = applied(shop, table([SHIRT, SHIRT_M, MUG]))
    assert batch.state == ImportBatch.State.APPLIED, batch.error
    assert [product.title for product in Product.objects.order_by("pk")] == ["Linen Shirt", "Mug"]
    shirt = Variant.objects.get(sku_key="LIN-M")
    assert (shirt.title, shirt.options, shirt.price, shirt.product.vendor) == (
        "M", {"Size": "M"}, Decimal("49.00"), "Acme",
    )  # fmt: skip
    assert Variant.objects.get(sku="MUG-1").gtin == GTIN
    undone(batch)
    assert frozen(shop) == before
    assert set(StagedRow.objects.values_list("undo", flat=True)) == {Change.Undo.REVERSED}


def test_the_same_file_again_changes_nothing(shop):
    body = table([SHIRT, SHIRT_M, MUG, {"Title": "No code at all", "Price": "3"}])
    applied(shop, body)
    before, changes = frozen(shop), Change.objects.count()
    again = staged(shop, body)
    assert set(actions(again).values()) == {StagedRow.Action.UNCHANGED}
    assert frozen(shop) == before
    assert Change.objects.count() == changes


def words(batch, number):
    return " ".join(in_words(rows_of(batch)[number]))


def test_what_the_file_leaves_unsaid_is_never_cleared(shop):
    variant = factories.VariantFactory(
        merchant=shop, sku="MUG-1", gtin=GTIN, price=Decimal(9), product__vendor="Acme", product__title="Mug", title="",
    )  # fmt: skip
    before = frozen(shop)
    batch = applied(shop, table([{"SKU": "mug-1", "Title": "Mug"}]))
    assert actions(batch) == {2: "unchanged"}
    assert frozen(shop) == before
    batch = applied(shop, table([{"SKU": "mug-1", "Title": "Mug", "Price": "9.50"}]))
    assert rows_of(batch)[2].diff == {"price": ["9.00", "9.50"]}
    variant.refresh_from_db()
    assert (variant.price, variant.gtin, variant.sku) == (Decimal("9.50"), GTIN, "MUG-1")


def test_changes_are_shown_field_by_field_and_an_old_barcode_still_finds_the_item(shop):
    product = factories.ProductFactory(merchant=shop, title="Shirt", vendor="")
    variant = factories.VariantFactory(
        merchant=shop, product=product, sku="LIN-S", gtin="00000012345670", options={"Size": "Small"}, title="Small",
        price=None,
    )  # fmt: skip
    before = frozen(shop)
    batch = applied(shop, table([SHIRT | {"Barcode": "4006381333931"}]))
    assert rows_of(batch)[2].diff == {
        "product_title": ["Shirt", "Linen Shirt"],
        "vendor": ["", "Acme"],
        "options": [{"Size": "Small"}, {"Size": "S"}],
        "title": ["Small", "S"],
        "gtin": ["00000012345670", GTIN],
        "price": [None, "49.00"],
    }
    variant.refresh_from_db()
    assert (variant.title, variant.product.title, variant.gtin) == ("S", "Linen Shirt", GTIN)
    assert VariantAlias.objects.get(variant=variant).key == "00000012345670"
    undone(batch)
    assert frozen(shop) == before


def test_rows_are_known_by_sku_then_old_sku_then_barcode_then_title(shop):
    by_sku = factories.VariantFactory(merchant=shop, sku="A 1")
    renamed = factories.VariantAliasFactory(variant=factories.VariantFactory(merchant=shop), value="OLD", key="OLD")
    by_gtin = factories.VariantFactory(merchant=shop, sku="OURS", gtin=GTIN)
    plain = factories.ProductFactory(merchant=shop, title="Plain Tray")
    by_title = factories.VariantFactory(merchant=shop, sku="TRAY", product=plain, title="", options={})
    batch = staged(shop, table([
        {"SKU": " a  1"}, {"SKU": "old"}, {"SKU": "THEIRS", "Barcode": "4006381333931"}, {"Title": "Plain Tray"},
        {"SKU": "N/A", "Title": "Something else"},
    ]))  # fmt: skip
    rows = rows_of(batch)
    assert [(row.variant_id, row.matched_by) for row in rows.values()] == [
        (by_sku.pk, "sku"), (renamed.variant_id, "alias"), (by_gtin.pk, "gtin"), (by_title.pk, "title"), (None, ""),
    ]  # fmt: skip
    assert rows[4].diff == {"alias": ["", "THEIRS"]}
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    by_gtin.refresh_from_db()
    assert by_gtin.sku == "OURS"
    assert VariantAlias.objects.filter(variant=by_gtin, key="THEIRS").exists()
    assert actions(staged(shop, table([{"SKU": "THEIRS"}]))) == {2: "unchanged"}


def test_where_two_would_fit_a_person_has_to_say(shop):
    factories.VariantFactory.create_batch(2, merchant=shop, sku="TWICE")
    factories.VariantFactory.create_batch(2, merchant=shop, gtin=GTIN)
    one = factories.VariantFactory(merchant=shop, sku="ONE", gtin="")
    other = factories.VariantFactory(merchant=shop, sku="OTHER", gtin="00000012345670")
    batch = staged(shop, table([
        {"SKU": "twice", "Title": "a"}, {"Barcode": "4006381333931", "Title": "b"},
        {"SKU": "ONE", "Barcode": "12345670", "Title": "c"}, {"SKU": "OTHER", "Barcode": "12345670"},
    ]))  # fmt: skip
    assert words(batch, 2) == "Row 2, SKU: 2 items of yours have this SKU."
    assert words(batch, 3) == "Row 3, Barcode: 2 items of yours have this barcode."
    assert words(batch, 4) == "Row 4, Barcode: This barcode is OTHER’s, and the SKU is ONE’s."
    assert rows_of(batch)[5].variant_id == other.pk  # control
    assert one.pk not in [row.variant_id for row in rows_of(batch).values()]


def test_rows_that_tell_of_the_same_thing_name_each_other(shop):
    known = factories.VariantFactory(merchant=shop, sku="KNOWN", gtin=GTIN)
    factories.VariantAliasFactory(variant=known, value="MERGED", key="MERGED")
    batch = staged(shop, table([
        {"SKU": "NEW-1", "Title": "a"}, {"SKU": "new-1", "Title": "b"}, {"Title": "Bare"}, {"Title": "bare "},
        {"SKU": "MERGED"}, {"SKU": "KNOWN"}, {"Title": "By its code", "Barcode": "4006381333931"},
    ]))  # fmt: skip
    assert list(actions(batch).values()) == ["new", "error", "new", "error", "unchanged", "unchanged", "error"]
    assert words(batch, 3) == "Row 3, SKU: Row 2 has the same SKU already."
    assert words(batch, 5) == "Row 5, Product: Row 4 has the same title and options, and no SKU already."
    assert rows_of(batch)[6].outcome == "An old SKU of the item in row 7."
    assert words(batch, 8) == "Row 8, Barcode: It is the same item as row 7."


def test_another_shops_goods_are_never_matched(shop):
    theirs = factories.VariantFactory(sku="MUG-1", gtin=GTIN, product__title="Mug", title="")
    factories.VariantAliasFactory(variant=theirs, value="OLD-MUG", key="OLD-MUG")
    before = frozen(theirs.merchant)
    batch = applied(shop, table([MUG, {"SKU": "OLD-MUG", "Title": "x"}, {"Title": "Mug"}]))
    assert set(actions(batch).values()) == {"new"}
    assert Variant.objects.filter(merchant=shop).count() == 3
    undone(batch)
    assert frozen(theirs.merchant) == before
    assert not Variant.objects.filter(merchant=shop).exists()


def test_a_new_variant_joins_the_product_of_its_siblings(shop):
    applied(shop, table([SHIRT]))
    batch = applied(shop, table([SHIRT_M, SHIRT]))
    assert actions(batch) == {2: "new", 3: "unchanged"}
    assert Product.objects.filter(merchant=shop).count() == 1
    assert Variant.objects.get(sku="LIN-M").product_id == Variant.objects.get(sku="LIN-S").product_id


def test_a_file_that_knows_a_part_of_a_product_or_splits_it_renames_nothing(shop):
    product = factories.ProductFactory(merchant=shop, title="Linen Shirt", vendor="")
    for size in "SML":
        factories.VariantFactory(
            merchant=shop, product=product, sku=f"LIN-{size}", options={"Size": size}, title=size, price=Decimal(49)
        )
    part = staged(shop, table([SHIRT | {"Title": "Linen Shirt S"}]))
    assert rows_of(part)[2].diff == {"vendor": ["", "Acme"]}  # what is empty may be filled
    split = [
        SHIRT | {"Title": f"Shirt {size}", "SKU": f"LIN-{size}", "Product group": size, "Option 1 value": size}
        for size in "SML"
    ]
    assert [row.diff for row in rows_of(staged(shop, table(split))).values()] == [{"vendor": ["", "Acme"]}, {}, {}]
    whole = [one | {"Title": "Shirt", "Product group": "shirt"} for one in split]  # control
    assert rows_of(staged(shop, table(whole)))[2].diff["product_title"] == ["Linen Shirt", "Shirt"]


def test_the_rehearsal_leaves_nothing_and_counts_what_applying_makes(shop):
    before, sets = frozen(shop), ChangeSet.objects.count()
    batch = staged(shop, table([SHIRT, SHIRT_M, MUG]))
    assert frozen(shop) == before
    assert ChangeSet.objects.count() == sets
    assert not AuditEntry.objects.filter(action="catalog.import").exists()
    told = {name: int(Decimal(amount)) for name, amount in batch.rehearsal["tally"].items()}
    assert told == {"product_made": 2, "variant_made": 3}
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    made = batch.changeset.changes.values_list("table", flat=True)
    assert sorted(made) == ["product", "product", "variant", "variant", "variant"]


def test_what_changed_since_the_preview_is_left_alone_and_says_so(shop):
    edited = factories.VariantFactory(merchant=shop, sku="A", price=Decimal(1))
    merged = factories.VariantFactory(merchant=shop, sku="B", price=Decimal(1))
    calm = factories.VariantFactory(merchant=shop, sku="C", price=Decimal(1))
    batch = staged(shop, table([{"SKU": sku, "Price": "2", "Title": sku} for sku in "ABCD"]))
    Variant.objects.filter(pk=edited.pk).update(price=Decimal(3))
    merging.merge(survivor=calm, duplicate=merged, actor=None)
    factories.VariantFactory(merchant=shop, sku="D")
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    rows = rows_of(batch)
    assert rows[2].outcome == "Price left alone: it was changed since the preview."
    assert "became part of another item" in rows[3].outcome
    assert rows[4].outcome == ""
    assert "there is an item like it" in rows[5].outcome
    prices = dict(Variant.objects.filter(merchant=shop).values_list("sku", "price"))
    assert (prices["A"], prices["B"], prices["C"]) == (Decimal(3), Decimal(1), Decimal(2))
    assert Variant.objects.filter(merchant=shop, sku="D").count() == 1


def test_undo_puts_each_row_in_exactly_one_bucket(shop):
    kept_before = factories.VariantFactory(merchant=shop, sku="OURS", price=Decimal(1))
    place = factories.LocationFactory(merchant=shop)
    batch = applied(shop, table([
        SHIRT, SHIRT_M, MUG, {"SKU": "OURS", "Price": "2"}, {"SKU": "SAME", "Title": "x", "Price": "nonsense"},
        {"SKU": "SOLD", "Title": "sold", "Price": "3"},
    ]))  # fmt: skip
    Variant.objects.filter(sku="LIN-M").update(price=Decimal(1))
    sold = Variant.objects.get(sku="SOLD")
    entry = ledger.Entry(
        variant_id=sold.pk, location_id=place.pk, kind=ledger.Kind.SALE, key="s", occurred_at=utc_now(),
        on_hand=Decimal(-1),
    )  # fmt: skip
    ledger.post(merchant_id=shop.pk, source="test", entries=[entry])
    undone(batch)
    buckets = {number: (row.undo, row.undo_reason) for number, row in rows_of(batch).items()}
    assert buckets == {
        2: ("reversed", ""),
        3: ("kept", "edited since: price"),
        4: ("reversed", ""),
        5: ("reversed", ""),
        6: ("reversed", "it had changed nothing"),
        7: ("could_not", buckets[7][1]),
    }
    assert buckets[7][1].startswith("in use by now:")
    found = undoing.buckets(batch)
    assert found["reversed"] + found["kept"] + found["could_not"] == batch.rows_total
    kept_before.refresh_from_db()
    assert kept_before.price == Decimal(1)
    assert [change.table for change in undoing.loose_ends(batch)] == ["product", "product"]
    assert not verify.verify().breaches


def test_a_row_that_says_archived_archives_and_one_that_says_active_takes_it_back(shop):
    headers = ["Title", "SKU", "Status"]
    columns = {"Title": "product_title", "SKU": "sku", "Status": "status"}
    living = factories.VariantFactory(merchant=shop, sku="A", product__title="A")
    gone = factories.VariantFactory(merchant=shop, sku="B", product__title="B", archived_at=utc_now())
    rows = [{"Title": "A", "SKU": "A", "Status": "archived"}, {"Title": "B", "SKU": "B", "Status": "active"}]
    before = frozen(shop)
    batch = applied(shop, table(rows, headers=headers), columns=columns)
    living.refresh_from_db()
    gone.refresh_from_db()
    assert living.archived_at is not None
    assert gone.archived_at is None
    assert set(actions(staged(shop, table(rows, headers=headers), columns=columns)).values()) == {"unchanged"}
    undone(batch)
    assert frozen(shop) == before
    silent = staged(shop, table([{"Title": "B", "SKU": "B"}], headers=headers[:2]), columns={"SKU": "sku"})
    assert actions(silent) == {2: "unchanged"}


def test_problems_are_told_row_by_row_in_words(shop):
    batch = staged(shop, table([
        MUG | {"Price": "many"}, {"SKU": "X", "Price": "1"}, {"Price": "3"}, MUG | {"SKU": "L" * 121},
    ]))  # fmt: skip
    assert set(actions(batch).values()) == {"error"}
    assert words(batch, 2).startswith("Row 2, Price:")
    assert "a new one needs a title" in words(batch, 3)
    assert "nothing tells what this row is" in words(batch, 4)
    assert words(batch, 5).startswith("Row 5, SKU:")
