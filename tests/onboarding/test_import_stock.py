"""Counts are set only where a person said whose shelf it is; absence is not zero; much stock wants a typed word."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now as utc_now

from inventory import ledger, verify
from inventory.models import StockLevel, StockMovement, Variant
from onboarding.importing import deciding
from onboarding.models import ImportBatch
from tests import factories
from tests.onboarding.imports_shop import actions, applied, frozen, rows_of, run, staged, table, undone

pytestmark = pytest.mark.django_db
HEADERS = ["Title", "SKU", "Quantity at High Street", "Quantity at Barn"]
COLUMNS = {
    "Title": "product_title",
    "SKU": "sku",
    "Quantity at High Street": "quantity:High Street",
    "Quantity at Barn": "quantity:Barn",
}
STATE = ImportBatch.State


@pytest.fixture
def shop():
    return factories.MerchantFactory()


@pytest.fixture
def place(shop):
    return factories.LocationFactory(merchant=shop, name="High Street")


def counts(rows):
    return table([dict(zip(HEADERS, row, strict=True)) for row in rows], headers=HEADERS)


def stocked(shop, place, **units):
    made = {}
    with transaction.atomic():
        for sku, on_hand in units.items():
            made[sku] = factories.VariantFactory(merchant=shop, sku=sku, product__title=sku)
            entry = ledger.Entry(
                variant_id=made[sku].pk, location_id=place.pk, kind=ledger.Kind.OPENING, key=sku,
                occurred_at=utc_now(), counted=Decimal(on_hand),
            )  # fmt: skip
            ledger.post(merchant_id=shop.pk, source="test", entries=[entry])
    return made


def on_hand(shop, place):
    rows = StockLevel.objects.filter(merchant=shop, location=place).order_by("variant__sku")
    return {sku: int(units) for sku, units in rows.values_list("variant__sku", "on_hand")}


def saying(batch, **locations):
    """A person names our locations."""
    names = {"high_street": "High Street", "barn": "Barn"}
    deciding.set_counts(
        batch_id=batch.pk, locations={names[one]: place.pk for one, place in locations.items()},
        sets_counts=True, actor=None,
    )  # fmt: skip
    return run(batch)


def test_stock_is_left_alone_until_a_person_says_whose_shelf_it_is(shop, place):
    stocked(shop, place, A=5, B=5)
    batch = staged(shop, counts([["A", "A", "7", "3"], ["B", "B", "", ""], ["C", "C", "4", ""]]), columns=COLUMNS)
    assert actions(batch) == {2: "unchanged", 3: "unchanged", 4: "new"}
    batch = saying(batch, high_street=place)
    assert rows_of(batch)[2].diff == {f"stock:{place.pk}": ["5.00000", "7"]}
    assert actions(batch) == {2: "changed", 3: "unchanged", 4: "new"}
    deciding.approve(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.APPLIED
    assert on_hand(shop, place) == {"A": 7, "B": 5, "C": 4}
    keys = StockMovement.objects.filter(source="onboarding").values_list("idempotency_key", flat=True)
    assert sorted(keys) == [f"import:{batch.pk}:2:{place.pk}", f"import:{batch.pk}:4:{place.pk}"]
    assert not verify.verify().breaches


def test_the_same_counts_again_post_nothing(shop, place):
    stocked(shop, place, A=5)
    body = counts([["A", "A", "7", ""], ["C", "C", "0", ""]])
    batch = saying(staged(shop, body, columns=COLUMNS), high_street=place)
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    before = frozen(shop)
    again = saying(staged(shop, body, columns=COLUMNS), high_street=place)
    assert set(actions(again).values()) == {"unchanged"}
    assert frozen(shop) == before


def test_undoing_counts_posts_them_back_and_keeps_what_was_sold_since(shop, place):
    made = stocked(shop, place, A=5)
    batch = saying(staged(shop, counts([["A", "A", "7", ""], ["C", "C", "4", ""]]), columns=COLUMNS), high_street=place)
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    sale = ledger.Entry(
        variant_id=made["A"].pk, location_id=place.pk, kind=ledger.Kind.SALE, key="sale", occurred_at=utc_now(),
        on_hand=Decimal(-1),
    )  # fmt: skip
    ledger.post(merchant_id=shop.pk, source="test", entries=[sale])
    undone(batch)
    assert on_hand(shop, place) == {"A": 4, "C": 0}
    assert Variant.objects.get(merchant=shop, sku="C").archived_at is not None
    assert {row.undo for row in rows_of(batch).values()} == {"reversed"}
    assert not verify.verify().breaches


def test_stock_that_moved_since_the_preview_is_not_counted_over(shop, place):
    made = stocked(shop, place, A=5, B=5)
    batch = saying(staged(shop, counts([["A", "A", "7", ""], ["B", "B", "6", ""]]), columns=COLUMNS), high_street=place)
    sale = ledger.Entry(
        variant_id=made["A"].pk, location_id=place.pk, kind=ledger.Kind.SALE, key="sale", occurred_at=utc_now(),
        on_hand=Decimal(-1),
    )  # fmt: skip
    ledger.post(merchant_id=shop.pk, source="test", entries=[sale])
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    assert on_hand(shop, place) == {"A": 4, "B": 6}
    assert rows_of(batch)[2].outcome == "Stock left alone: it moved since the preview."


@pytest.mark.parametrize(
    ("file", "needs_word"),
    [
        ({"A": 10, "B": 10, "C": 9}, False),  # control: a little less
        ({"A": 10, "B": 10, "C": 3}, True),  # more than a fifth of what is there
        ({"A": 25, "B": 25, "C": 3}, True),  # whatever else is added
    ],
)
def test_a_batch_that_cuts_much_stock_asks_for_the_word(shop, place, file, needs_word):
    stocked(shop, place, A=10, B=10, C=10)
    rows = [[sku, sku, str(units), ""] for sku, units in file.items()]
    batch = saying(staged(shop, counts(rows), columns=COLUMNS), high_street=place)
    assert deciding.stock_guard(batch).needs_word is needs_word
    if needs_word:
        with pytest.raises(deciding.NotAllowed, match="cut stock"):
            deciding.approve(batch_id=batch.pk, actor=None)
        assert on_hand(shop, place) == {"A": 10, "B": 10, "C": 10}
        deciding.approve(batch_id=batch.pk, actor=None, word=" Cut stock")
    else:
        deciding.approve(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.APPLIED
    assert on_hand(shop, place)["C"] == file["C"]


def test_a_batch_that_empties_many_cells_asks_for_the_word(shop, place):
    few = {f"S{n}": 1 for n in range(6)}
    stocked(shop, place, BIG=1000, **few)
    zeros = [[sku, sku, "0", ""] for sku in few]
    batch = saying(staged(shop, counts(zeros), columns=COLUMNS), high_street=place)
    guard = deciding.stock_guard(batch)
    assert (guard.zeroed, guard.cut, guard.held, guard.needs_word) == (6, 6, 1006, True)
    batch = saying(staged(shop, counts(zeros[:5]), columns=COLUMNS), high_street=place)
    assert not deciding.stock_guard(batch).needs_word  # control


def test_a_part_of_a_unit_of_what_is_sold_whole_is_an_error(shop, place):
    stocked(shop, place, A=5)
    body = counts([["A", "A", "1.5", ""], ["Rope", "ROPE", "2.5", ""]])
    batch = saying(staged(shop, body, columns=COLUMNS), high_street=place)
    assert actions(batch) == {2: "error", 3: "new"}
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    assert not Variant.objects.get(sku="ROPE").is_whole_unit


def test_places_must_be_the_shops_own_and_each_once(shop, place):
    batch = staged(shop, counts([["A", "A", "1", "2"]]), columns=COLUMNS)
    with pytest.raises(deciding.NotAllowed, match="no location of this shop"):
        saying(batch, high_street=factories.LocationFactory())
    with pytest.raises(deciding.NotAllowed, match="Two places"):
        saying(batch, high_street=place, barn=place)
    assert saying(batch, high_street=place).settings["sets_counts"]  # control


SHOPIFY = """\
Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,SKU,HS Code,COO,Location,\
Bin name,Incoming (not editable),Unavailable (not editable),Committed (not editable),Available (not editable),\
On hand (current),On hand (new)
a,A,Title,Default Title,,,,,A,,,High Street,,0,0,0,5,5,8
a,A,Title,Default Title,,,,,A,,,Barn,,0,0,0,2,2,3
z,Z,Title,Default Title,,,,,Z,,,High Street,,0,0,0,2,2,3
"""


def test_a_stock_file_has_a_row_a_place_and_makes_no_products(shop, place):
    barn = factories.LocationFactory(merchant=shop, name="Barn")
    stocked(shop, place, A=5)
    batch = staged(shop, SHOPIFY.encode())
    assert batch.settings["is_stock"]
    assert actions(batch) == {2: "unchanged", 3: "unchanged", 4: "error"}
    assert "Import the products first" in rows_of(batch)[4].problems[0]["words"]
    batch = saying(batch, high_street=place, barn=barn)
    assert actions(batch) == {2: "changed", 3: "changed", 4: "error"}
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    assert (on_hand(shop, place), on_hand(shop, barn)) == ({"A": 8}, {"A": 3})


def test_the_page_asks_for_places_and_for_the_word(client):
    membership = factories.MembershipFactory(role="onboarding")
    client.force_login(membership.user)
    shop = membership.merchant
    place = factories.LocationFactory(merchant=shop, name="High Street")
    stocked(shop, place, A=10)
    batch = staged(shop, counts([["A", "A", "0", ""]]), columns=COLUMNS)
    there = reverse("import", args=[shop.slug, batch.pk])
    assert "Stock in this file" in client.get(there).content.decode()
    client.post(reverse("set_import_counts", args=[shop.slug, batch.pk]), {"place-0": place.pk})
    run(batch)
    page = client.get(there).content.decode()
    assert "It would take 10 of the 10 units there, 1 item down to nothing." in page
    approve = reverse("approve_import", args=[shop.slug, batch.pk])
    assert "a click is not enough" in client.post(approve, follow=True).content.decode()
    client.post(approve, {"confirm": "cut stock"})
    assert run(batch).state == STATE.APPLIED
    assert on_hand(shop, place) == {"A": 0}


def test_what_the_file_does_not_mention_is_never_set_to_zero(shop, place):
    stocked(shop, place, A=5, B=5, C=5)
    batch = saying(staged(shop, counts([["A", "A", "6", ""]]), columns=COLUMNS), high_street=place)
    deciding.approve(batch_id=batch.pk, actor=None)
    run(batch)
    assert on_hand(shop, place) == {"A": 6, "B": 5, "C": 5}
    assert applied(shop, counts([["B", "B", "", ""]]), columns=COLUMNS).state == STATE.APPLIED
    assert on_hand(shop, place)["B"] == 5
