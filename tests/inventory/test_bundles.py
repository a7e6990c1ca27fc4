"""Variants made of others: derived stock, movements of parts, and nothing lost or made on the way."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.utils import DatabaseError

from inventory import bundles, ledger, merging, orders, reservations, verify
from inventory.bundles import Part
from inventory.models import Bundle, BundleComponent, OrderHold, OrderLine, StockLevel, StockMovement
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHANNEL = 7


class Shop:
    """Ten cups and twelve saucers here, two cups there; a breakfast set is one cup and two saucers."""

    def __init__(self):
        self.merchant = factories.MerchantFactory()
        self.here, self.there = (factories.LocationFactory(merchant=self.merchant) for _ in range(2))
        self.cup, self.saucer, self.set = (
            factories.VariantFactory(merchant=self.merchant, sku=sku) for sku in ("CUP", "SAUCER", "SET")
        )
        self.put(self.cup, self.here, 10)
        self.put(self.saucer, self.here, 12)
        self.put(self.cup, self.there, 2)

    def put(self, variant, where, quantity):
        entry = ledger.Entry(
            variant.pk, where.pk, "opening", f"{variant.pk}:{where.pk}", NOON - timedelta(days=1),
            counted=Decimal(quantity),
        )  # fmt: skip
        with transaction.atomic():
            ledger.post(merchant_id=self.merchant.pk, source="opening", entries=[entry])

    def make(self, variant=None, parts=None, *, is_stocked=False):
        parts = parts or [(self.cup, 1), (self.saucer, 2)]
        return bundles.define(
            variant=variant or self.set,
            parts=[Part(one.pk, Decimal(quantity)) for one, quantity in parts],
            is_stocked=is_stocked,
            actor=None,
        )

    def line(self, variant, name, *, committed=0, fulfilled=0, quantity=1, where=None):
        return orders.LineState(
            external_id=name, listing_external_id=f"V{variant.pk}", variant_id=variant.pk, sku=variant.sku, title="",
            quantity=Decimal(quantity),
            holds=[orders.Hold((where or self.here).pk, Decimal(committed), Decimal(fulfilled))],
        )  # fmt: skip

    def apply(self, *lines, version=1, **extra):
        state = orders.OrderState(
            external_id="O1", number="1", placed_at=NOON, updated_at=NOON + timedelta(minutes=version), version=version,
            is_cancelled=False, lines=lines, **extra,
        )  # fmt: skip
        return orders.apply(merchant_id=self.merchant.pk, channel_id=CHANNEL, states=[state])

    def level(self, variant, where=None):
        level = StockLevel.objects.get(variant=variant, location=where or self.here)
        return level.on_hand, level.committed, level.reserved

    def available(self, variant):
        found = bundles.available(merchant_id=self.merchant.pk, variant_ids=[variant.pk])
        return found.get((variant.pk, self.here.pk))


@pytest.fixture
def shop():
    return Shop()


def assert_whole():
    assert verify.verify().breaches == []


def test_a_bundle_can_sell_what_its_scarcest_part_makes_up_at_each_place(shop):
    shop.make()
    found = bundles.available(merchant_id=shop.merchant.pk, variant_ids=[shop.set.pk, shop.cup.pk])
    assert found == {
        (shop.cup.pk, shop.here.pk): 10, (shop.cup.pk, shop.there.pk): 2,
        (shop.set.pk, shop.here.pk): 6, (shop.set.pk, shop.there.pk): 0,
    }  # fmt: skip


def test_the_preview_shows_what_the_composition_will_make_up(shop):
    parts = [Part(shop.cup.pk, Decimal(1)), Part(shop.saucer.pk, Decimal(5))]
    made = bundles.makes_up(parts, merchant_id=shop.merchant.pk)
    assert {place: one.units for place, one in made.items()} == {shop.here.pk: 2, shop.there.pk: 0}
    assert not Bundle.objects.exists()


def test_an_order_of_a_bundle_commits_and_ships_its_parts(shop):
    bundle = shop.make()
    shop.apply(shop.line(shop.set, "L1", committed=2, quantity=2))
    assert shop.level(shop.cup) == (10, 2, 0)
    assert shop.level(shop.saucer) == (12, 4, 0)
    assert shop.available(shop.set) == 4
    assert_whole()
    shop.apply(shop.line(shop.set, "L1", fulfilled=2, quantity=2), version=2)
    assert shop.level(shop.cup) == (8, 0, 0)
    assert shop.level(shop.saucer) == (8, 0, 0)
    assert not StockLevel.objects.filter(variant=shop.set).exists()
    assert set(StockMovement.objects.exclude(kind="opening").values_list("bundle", flat=True)) == {bundle.pk}
    assert_whole()


def test_a_bundle_and_its_part_and_the_bundle_again_in_one_order_add_up(shop):
    shop.make()
    shop.apply(
        shop.line(shop.set, "L1", committed=1),
        shop.line(shop.saucer, "L2", committed=3, quantity=3),
        shop.line(shop.set, "L3", committed=2, quantity=2),
    )
    assert shop.level(shop.cup) == (10, 3, 0)
    assert shop.level(shop.saucer) == (12, 9, 0)
    assert list(OrderHold.objects.order_by("line__external_id").values_list("committed", flat=True)) == [1, 3, 2]
    assert_whole()


def test_what_comes_back_of_a_bundle_is_its_parts(shop):
    shop.make()
    shop.apply(shop.line(shop.set, "L1", fulfilled=3, quantity=3))
    shop.apply(
        shop.line(shop.set, "L1", fulfilled=3, quantity=3),
        version=2,
        returns=[
            orders.ReturnState("L1", Decimal(1), shop.there.pk),
            orders.ReturnState("L1", Decimal(1), None),
        ],
    )
    assert shop.level(shop.cup) == (7, 0, 0)
    assert shop.level(shop.cup, shop.there) == (3, 0, 0)
    assert shop.level(shop.saucer, shop.there) == (2, 0, 0)
    line = OrderLine.objects.get()
    assert (line.fulfilled, line.restocked, line.written_off) == (3, 1, 1)
    assert_whole()


def test_an_order_lets_go_of_what_it_held_although_the_bundle_is_made_of_something_else_now(shop):
    shop.make()
    shop.apply(shop.line(shop.set, "L1", committed=2, quantity=2))
    shop.make(parts=[(shop.saucer, 1)])
    assert shop.available(shop.set) == 8
    shop.apply(shop.line(shop.set, "L1", committed=1, quantity=1), version=2)
    assert shop.level(shop.cup) == (10, 1, 0)
    assert shop.level(shop.saucer) == (12, 2, 0)
    bundles.end(variant=shop.set, actor=None)
    shop.apply(shop.line(shop.set, "L1", fulfilled=1, quantity=1), version=3)
    assert shop.level(shop.cup) == (9, 0, 0)
    assert shop.level(shop.saucer) == (10, 0, 0)
    assert_whole()


def test_what_was_sold_before_it_was_a_bundle_comes_back_as_parts(shop):
    shop.put(shop.set, shop.here, 1)
    shop.apply(shop.line(shop.set, "L1", fulfilled=1))
    shop.make()
    back = [orders.ReturnState("L1", Decimal(1), shop.here.pk)]
    shop.apply(shop.line(shop.set, "L1", fulfilled=1), version=2, returns=back)
    assert shop.level(shop.cup) == (11, 0, 0)
    assert shop.level(shop.set) == (0, 0, 0)
    assert_whole()


def test_a_hold_holds_the_parts_and_counts_them_together_with_the_part_itself(shop):
    shop.make()
    wants = [
        reservations.Want(shop.set.pk, shop.here.pk, Decimal(2)),
        reservations.Want(shop.saucer.pk, shop.here.pk, Decimal(3)),
        reservations.Want(shop.set.pk, shop.here.pk, Decimal(1)),
    ]
    held = reservations.reserve(
        merchant_id=shop.merchant.pk, key="cart", wants=wants, now=NOON, expires_at=NOON + timedelta(minutes=10)
    )
    assert shop.level(shop.cup) == (10, 0, 3)
    assert shop.level(shop.saucer) == (12, 0, 9)
    assert_whole()
    shop.make(parts=[(shop.cup, 1)])
    reservations.release(reservation_id=held.pk, now=NOON)
    assert shop.level(shop.cup) == (10, 0, 0)
    assert shop.level(shop.saucer) == (12, 0, 0)
    assert_whole()


def test_a_hold_is_refused_when_a_part_does_not_reach_for_all_its_lines(shop):
    shop.make()
    wants = [
        reservations.Want(shop.set.pk, shop.here.pk, Decimal(5)),
        reservations.Want(shop.saucer.pk, shop.here.pk, Decimal(3)),
    ]
    with pytest.raises(ledger.InsufficientStock) as caught:
        reservations.reserve(merchant_id=shop.merchant.pk, key="cart", wants=wants, now=NOON, expires_at=NOON)
    assert [(one["variant_id"], one["available"]) for one in caught.value.shortages] == [(shop.saucer.pk, 12)]


def test_the_ledger_refuses_to_move_a_bundle(shop):
    shop.make()
    entry = ledger.Entry(shop.set.pk, shop.here.pk, "adjust", "a", NOON, on_hand=Decimal(1))
    with pytest.raises(ledger.NoStockOfItsOwn) as caught, transaction.atomic():
        ledger.post(merchant_id=shop.merchant.pk, source="user", entries=[entry])
    assert caught.value.variant_ids == [shop.set.pk]


def test_what_has_stock_of_its_own_becomes_no_bundle(shop):
    shop.put(shop.set, shop.here, 1)
    with pytest.raises(bundles.CannotBundle, match="Book its units out first"):
        shop.make()
    shop.make(is_stocked=True)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([("cup", 1), ("cup", 2)], "twice"),
        ([("set", 1)], "part of itself"),
        ([("cup", 0)], "above zero"),
        ([("cup", "0.5")], "whole units"),
    ],
)
def test_an_impossible_composition_is_refused_with_its_reason(shop, parts, why):
    with pytest.raises(bundles.CannotBundle, match=why):
        shop.make(parts=[(getattr(shop, name), quantity) for name, quantity in parts])
    assert not Bundle.objects.exists()


def test_another_shops_variant_is_no_part(shop):
    with pytest.raises(bundles.CannotBundle, match="not in this shop"):
        shop.make(parts=[(factories.VariantFactory(), 1)])


def test_a_bundle_is_neither_made_of_a_bundle_nor_a_part_of_one(shop):
    shop.make()
    box = factories.VariantFactory(merchant=shop.merchant, sku="BOX")
    with pytest.raises(bundles.CannotBundle, match="cannot contain a bundle"):
        shop.make(box, [(shop.set, 1)])
    part = factories.VariantFactory(merchant=shop.merchant)
    shop.make(box, [(part, 1)])
    with pytest.raises(bundles.CannotBundle, match="nor be a part of one"):
        shop.make(part, [(shop.cup, 1)])


def test_packs_hold_packs_but_never_in_a_ring(shop):
    case, sixpack, can = (factories.VariantFactory(merchant=shop.merchant) for _ in range(3))
    shop.make(case, [(sixpack, 4)], is_stocked=True)
    shop.make(sixpack, [(can, 6)], is_stocked=True)
    with pytest.raises(bundles.CannotBundle, match="made of itself"):
        shop.make(can, [(case, 1)], is_stocked=True)


def test_the_database_refuses_a_ring_and_a_nest_whoever_writes_them(shop):
    first, second = (factories.VariantFactory(merchant=shop.merchant) for _ in range(2))
    shop.make(first, [(second, 1)], is_stocked=True)
    ring = Bundle.objects.create(merchant=shop.merchant, variant=second, is_stocked=True)
    with pytest.raises(DatabaseError, match="made of itself"), transaction.atomic():
        BundleComponent.objects.create(bundle=ring, variant=first, quantity=1)
    with pytest.raises(DatabaseError, match="is a bundle itself"), transaction.atomic():
        Bundle.objects.filter(pk=ring.pk).update(is_stocked=False)
    with pytest.raises(DatabaseError, match="another shop"), transaction.atomic():
        BundleComponent.objects.create(bundle=ring, variant=factories.VariantFactory(), quantity=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        BundleComponent.objects.create(bundle=ring, variant=shop.cup, quantity=0)


def test_packs_are_made_of_units_and_opened_again_and_nothing_is_lost(shop):
    pack = factories.VariantFactory(merchant=shop.merchant, sku="SIX")
    shop.make(pack, [(shop.saucer, 6)], is_stocked=True)
    shop.put(pack, shop.here, 1)

    def turn(quantity, key):
        return bundles.pack(variant=pack, location=shop.here, quantity=Decimal(quantity), key=key, actor=None, now=NOON)

    turn(2, "a")
    assert (shop.level(pack)[0], shop.level(shop.saucer)[0]) == (3, 0)
    turn(-3, "b")
    turn(-3, "b")
    assert (shop.level(pack)[0], shop.level(shop.saucer)[0]) == (0, 18)
    assert_whole()


def test_a_pack_that_lost_a_unit_on_the_way_is_found(shop):
    pack = factories.VariantFactory(merchant=shop.merchant)
    bundle = shop.make(pack, [(shop.saucer, 6)], is_stocked=True)
    entries = [
        ledger.Entry(pack.pk, shop.here.pk, "pack", "a", NOON, on_hand=Decimal(1), bundle_id=bundle.pk),
        ledger.Entry(shop.saucer.pk, shop.here.pk, "pack", "b", NOON, on_hand=Decimal(-5), bundle_id=bundle.pk),
    ]
    with transaction.atomic():
        ledger.post(merchant_id=shop.merchant.pk, source="user", entries=entries)
    assert [breach.wrong for breach in verify.verify().breaches] == ["5 packed into 1, of which each takes 6"]


def test_a_promise_that_the_level_does_not_know_is_found(shop):
    bundle = shop.make()
    line = factories.OrderLineFactory(order__merchant=shop.merchant, variant=shop.set, bundle=bundle)
    OrderHold.objects.create(line=line, location=shop.here, committed=Decimal(2))
    found = {(breach.variant_id, breach.wrong) for breach in verify.verify().breaches}
    assert found == {
        (shop.cup.pk, "committed 0, open orders hold 2"), (shop.saucer.pk, "committed 0, open orders hold 4"),
    }  # fmt: skip


def test_a_part_that_turns_out_to_be_another_variant_takes_its_place_in_every_bundle(shop):
    twin = factories.VariantFactory(merchant=shop.merchant, sku="CUP-OLD")
    shop.put(twin, shop.here, 5)
    shop.make(parts=[(shop.cup, 1), (twin, 1), (shop.saucer, 2)])
    shop.apply(shop.line(shop.set, "L1", committed=2, quantity=2))
    merged = merging.merge(survivor=shop.cup, duplicate=twin, actor=None)
    assert shop.level(shop.cup) == (15, 4, 0)
    assert shop.available(shop.set) == 4  # four saucers of twelve are promised, eight left, two in a set
    shop.apply(shop.line(shop.set, "L1", fulfilled=2, quantity=2), version=2)
    assert shop.level(shop.cup) == (11, 0, 0)
    assert_whole()
    merging.part(merge_id=merged.pk, actor=None)
    assert_whole()


def test_a_bundle_is_not_merged_away(shop):
    shop.make()
    with pytest.raises(merging.CannotMerge, match="bundle or pack"):
        merging.merge(survivor=shop.cup, duplicate=shop.set, actor=None)
    with pytest.raises(merging.CannotMerge, match="part of the other"):
        merging.merge(survivor=shop.set, duplicate=shop.cup, actor=None)
