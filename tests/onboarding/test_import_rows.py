"""Files become staged rows that say what they would change; a yes applies them, a word takes them back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from inventory.models import Product, Variant
from onboarding.models import Change, ImportBatch, StagedRow
from tests import factories
from tests.onboarding.imports_shop import actions, applied, frozen, staged, table, undone

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
