"""Two variants become one and two again: units, orders, holds and names, with the ledger adding up all the while."""

import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils.timezone import now as utc_now

from inventory import ledger, merging, orders, reservations, verify
from inventory.models import OrderLine, StockLevel, Variant, VariantAlias
from tests import factories, locks

pytestmark = pytest.mark.django_db
GTIN = "00012345678905"


@pytest.fixture
def twins():
    """The same mug twice: 8 and 5 on the shelf."""
    survivor = factories.VariantFactory(sku="MUG-1", gtin="")
    merchant = survivor.merchant
    duplicate = factories.VariantFactory(merchant=merchant, sku="mug 1", gtin=GTIN)
    place = factories.LocationFactory(merchant=merchant)
    for variant, units in ((survivor, 8), (duplicate, 5)):
        stock(variant, place, units, key="opening")
    return survivor, duplicate, place


def stock(variant, place, units, *, key, **amounts):
    entry = ledger.Entry(variant.pk, place.pk, "adjust", f"{key}:{variant.pk}", utc_now(), Decimal(units), **amounts)
    with transaction.atomic():
        ledger.post(merchant_id=variant.merchant_id, source="test", entries=[entry])


def order(variant, place, *, committed=0, fulfilled=0, version=1):
    line = orders.LineState(
        "L1", "listing", variant.pk, variant.sku, "Mug", Decimal(committed + fulfilled),
        [orders.Hold(place.pk, Decimal(committed), Decimal(fulfilled))],
    )  # fmt: skip
    now = utc_now()
    state = orders.OrderState("O1", "1", now, now, version, False, [line])
    orders.apply(merchant_id=variant.merchant_id, channel_id=7, states=[state])


def level(variant):
    row = StockLevel.objects.get(variant=variant)
    return (row.on_hand, row.committed, row.reserved, row.unavailable)


def test_all_that_the_duplicate_holds_goes_to_the_survivor_and_the_ledger_adds_up(twins):
    survivor, duplicate, place = twins
    order(duplicate, place, committed=2)
    now = utc_now()
    want = [reservations.Want(duplicate.pk, place.pk, Decimal(1))]
    hold = reservations.reserve(
        merchant_id=survivor.merchant_id, key="h", wants=want, now=now, expires_at=now + timedelta(hours=1)
    )
    stock(duplicate, place, 0, key="damaged", unavailable=Decimal(1))
    merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    assert level(survivor) == (13, 2, 1, 1)
    assert level(duplicate) == (0, 0, 0, 0)
    assert OrderLine.objects.get().variant == survivor
    duplicate.refresh_from_db()
    assert duplicate.archived_at is not None
    found = VariantAlias.objects.order_by("kind").values_list("variant", "kind", "key")
    assert list(found) == [(survivor.pk, "gtin", GTIN), (survivor.pk, "sku", "MUG 1")]
    reservations.release(reservation_id=hold.pk, now=now)
    order(survivor, place, fulfilled=2, version=2)
    assert level(survivor) == (11, 0, 0, 1)
    assert verify.verify().breaches == []


def test_parting_gives_back_what_was_brought_less_what_its_own_orders_took(twins):
    survivor, duplicate, place = twins
    order(duplicate, place, committed=2)
    merged = merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    stock(survivor, place, -3, key="sold by the survivor since")
    order(survivor, place, fulfilled=2, version=2)
    assert level(survivor) == (8, 0, 0, 0)
    merging.part(merge_id=merged.pk, actor=None)
    assert level(survivor) == (5, 0, 0, 0)
    assert level(duplicate) == (3, 0, 0, 0)
    assert OrderLine.objects.get().variant == duplicate
    assert Variant.objects.get(pk=duplicate.pk).archived_at is None
    assert not VariantAlias.objects.exists()
    assert verify.verify().breaches == []


def test_open_orders_go_back_with_what_they_hold(twins):
    survivor, duplicate, place = twins
    order(duplicate, place, committed=2)
    merged = merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    merging.part(merge_id=merged.pk, actor=None)
    assert (level(survivor), level(duplicate)) == ((8, 0, 0, 0), (5, 2, 0, 0))
    order(duplicate, place, fulfilled=2, version=2)
    assert level(duplicate) == (3, 0, 0, 0)
    assert verify.verify().breaches == []


def test_what_cannot_be_merged_says_why_and_nothing_moves(twins):
    survivor, duplicate, place = twins
    stranger = factories.VariantFactory()
    with pytest.raises(merging.CannotMerge, match="two shops"):
        merging.merge(survivor=survivor, duplicate=stranger, actor=None)
    with pytest.raises(merging.CannotMerge, match="Two variants"):
        merging.merge(survivor=survivor, duplicate=survivor, actor=None)
    now = utc_now()
    wants = [reservations.Want(variant.pk, place.pk, Decimal(1)) for variant in (survivor, duplicate)]
    reservations.reserve(
        merchant_id=survivor.merchant_id, key="h", wants=wants, now=now, expires_at=now + timedelta(hours=1)
    )
    with pytest.raises(merging.CannotMerge, match="hold is running"):
        merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    assert (level(survivor), level(duplicate)) == ((8, 0, 1, 0), (5, 0, 1, 0))


def test_a_chain_is_undone_from_its_end(twins):
    survivor, duplicate, _ = twins
    third = factories.VariantFactory(merchant=survivor.merchant)
    first = merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    second = merging.merge(survivor=third, duplicate=survivor, actor=None)
    with pytest.raises(merging.CannotMerge, match="undo that first"):
        merging.part(merge_id=first.pk, actor=None)
    merging.part(merge_id=second.pk, actor=None)
    merging.part(merge_id=first.pk, actor=None)
    assert (level(survivor)[0], level(duplicate)[0], level(third)[0]) == (8, 5, 0)
    with pytest.raises(merging.CannotMerge, match="before"):
        merging.part(merge_id=first.pk, actor=None)
    assert verify.verify().breaches == []


def test_a_fact_that_still_names_the_duplicate_is_the_survivors_and_a_retry_of_it_changes_nothing(twins):
    survivor, duplicate, place = twins
    early = ledger.Entry(duplicate.pk, place.pk, "sale", "till:1", utc_now(), Decimal(-1))
    late = ledger.Entry(duplicate.pk, place.pk, "sale", "till:2", utc_now(), Decimal(-2))

    def post(*entries):
        with transaction.atomic():
            return ledger.post(merchant_id=survivor.merchant_id, source="test", entries=entries)

    post(early)
    merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    posted = post(early, late)
    assert [(one.variant_id, one.is_replay) for one in posted] == [(duplicate.pk, True), (survivor.pk, False)]
    assert all(one.is_replay for one in post(early, late))
    assert (level(survivor), level(duplicate)) == ((10, 0, 0, 0), (0, 0, 0, 0))
    third = factories.VariantFactory(merchant=survivor.merchant)
    merging.merge(survivor=third, duplicate=survivor, actor=None)
    post(ledger.Entry(duplicate.pk, place.pk, "sale", "till:3", utc_now(), Decimal(-1)))
    assert (level(third), level(survivor), level(duplicate)) == ((9, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))
    assert verify.verify().breaches == []


def test_an_order_of_the_duplicate_that_came_while_they_were_one_goes_back_with_it(twins):
    survivor, duplicate, place = twins
    merged = merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    order(duplicate, place, committed=2)
    assert level(survivor) == (13, 2, 0, 0)
    merging.part(merge_id=merged.pk, actor=None)
    assert (level(survivor), level(duplicate)) == ((8, 0, 0, 0), (5, 2, 0, 0))
    assert verify.verify().breaches == []


def sell_while_they_become_one(survivor, duplicate, place):
    """Four tills sell the duplicate at two places, one of them new to it, while it is merged."""
    new_place = factories.LocationFactory(merchant=survivor.merchant)
    begin = threading.Barrier(5)

    def sell(till):
        begin.wait()
        for n in range(15):
            where = new_place if n % 3 == 0 else place
            entry = ledger.Entry(duplicate.pk, where.pk, "sale", f"{till}:{n}", utc_now(), Decimal(-1))
            ledger.record(merchant_id=survivor.merchant_id, source="test", entries=[entry])
        connection.close()

    tills = [threading.Thread(target=sell, args=(n,)) for n in range(4)]
    for till in tills:
        till.start()
    begin.wait()
    merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
    for till in tills:
        till.join()
    return dict(StockLevel.objects.values_list("variant").annotate(units=Sum("on_hand")).order_by())


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_no_unit_stays_behind_when_facts_arrive_while_the_two_become_one(twins):
    survivor, duplicate, place = twins
    left = sell_while_they_become_one(survivor, duplicate, place)
    assert left == {survivor.pk: Decimal(13 - 60), duplicate.pk: Decimal(0)}
    assert not StockLevel.objects.filter(variant=duplicate).exclude(on_hand=0).exists()
    assert verify.verify().breaches == []


def sell_before_they_are_one(survivor, duplicate, place):
    """One sale of the duplicate begins while the merge is done and not committed; the units of each afterwards."""

    def sell():
        entry = ledger.Entry(duplicate.pk, place.pk, "sale", "late", utc_now(), Decimal(-1))
        ledger.record(merchant_id=survivor.merchant_id, source="test", entries=[entry])
        connection.close()

    till = threading.Thread(target=sell)
    with transaction.atomic():
        merging.merge(survivor=survivor, duplicate=duplicate, actor=None)
        till.start()
        locks.wait_until_one_is_waited_for()
    till.join()
    return dict(StockLevel.objects.values_list("variant").annotate(units=Sum("on_hand")).order_by())


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_sale_that_waited_for_the_merge_is_the_survivors(twins):
    survivor, duplicate, place = twins
    assert sell_before_they_are_one(survivor, duplicate, place) == {survivor.pk: Decimal(12), duplicate.pk: Decimal(0)}
    assert verify.verify().breaches == []


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_control_without_the_look_at_merges_the_unit_stays_behind(twins):
    post = (Path(ledger.__file__).parent / "sql" / "post.sql").read_text()
    try:
        with connection.cursor() as cursor:
            cursor.execute(post.replace("EXIT WHEN v_merged IS NULL;", "EXIT;"))
        survivor, duplicate, place = twins
        assert sell_before_they_are_one(survivor, duplicate, place)[duplicate.pk] == -1
    finally:
        with connection.cursor() as cursor:
            cursor.execute(post)
