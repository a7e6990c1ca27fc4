from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from inventory import ledger, verify
from inventory.models import Location, Product, StockLevel, StockMovement, StockMovementKey, Variant
from storestudio.accounts.models import Merchant

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def shelf(db):
    return make_shelf()


class Shelf:
    """A merchant with two variants and two locations, and short words for posting to them."""

    def __init__(self, *, merchant, variants, locations):
        self.merchant, self.variants, self.locations = merchant, variants, locations

    def entry(self, key, *, variant=0, location=0, kind=ledger.Kind.ADJUST, occurred_at=NOON, **amounts):
        return ledger.Entry(
            variant_id=self.variants[variant].pk,
            location_id=self.locations[location].pk,
            kind=kind,
            key=key,
            occurred_at=occurred_at,
            **{name: Decimal(amount) for name, amount in amounts.items()},
        )

    def post(self, *entries, **options):
        with transaction.atomic():
            return ledger.post(merchant_id=self.merchant.pk, source="test", entries=entries, **options)

    def level(self, *, variant=0, location=0):
        return StockLevel.objects.get(variant=self.variants[variant], location=self.locations[location])


def make_shelf(slug="shop"):
    merchant = Merchant.objects.create(name=slug, slug=slug)
    product = Product.objects.create(merchant=merchant, title="Mug")
    variants = [Variant.objects.create(merchant=merchant, product=product, sku=f"MUG-{n}") for n in range(2)]
    locations = [Location.objects.create(merchant=merchant, name=f"Place {n}") for n in range(2)]
    return Shelf(merchant=merchant, variants=variants, locations=locations)


def test_a_posting_moves_the_level_and_leaves_a_numbered_balanced_movement(shelf):
    first, second = shelf.post(
        shelf.entry("a", on_hand=10, kind=ledger.Kind.RECEIVE), shelf.entry("b", on_hand=-3, committed=2)
    )
    assert (first.seq, second.seq) == (1, 2)
    assert (first.on_hand_after, first.available_after) == (10, 10)
    assert (second.on_hand_after, second.available_after) == (7, 5)
    level = shelf.level()
    assert (level.on_hand, level.committed, level.available, level.last_seq) == (7, 2, 5, 2)
    assert verify.verify().breaches[0].wrong.startswith("committed 2")  # no order holds these two


def test_the_same_key_and_content_returns_the_first_result_and_changes_nothing(shelf):
    first = shelf.post(shelf.entry("a", on_hand=4))
    again = shelf.post(shelf.entry("a", on_hand="4.00000"))
    assert again[0].is_replay
    assert again[0].movement_id == first[0].movement_id
    assert shelf.level().on_hand == 4


def test_a_replayed_line_among_new_ones_is_left_out(shelf):
    shelf.post(shelf.entry("a", on_hand=4))
    posted = shelf.post(
        shelf.entry("b", on_hand=1),
        shelf.entry("a", on_hand=4),
        shelf.entry("c", on_hand=1),
        shelf.entry("c", on_hand=1),
    )
    assert [row.is_replay for row in posted] == [False, True, False, True]
    assert [row.seq for row in posted] == [2, 1, 3, 3]
    assert shelf.level().on_hand == 6


def test_the_same_key_with_other_content_is_refused(shelf):
    shelf.post(shelf.entry("a", on_hand=4))
    with pytest.raises(ledger.IdempotencyConflict) as caught:
        shelf.post(shelf.entry("a", on_hand=5))
    assert caught.value.keys == "a"
    assert shelf.level().on_hand == 4


def test_a_fact_is_recorded_below_zero(shelf):
    shelf.post(shelf.entry("a", on_hand=-2, kind=ledger.Kind.SALE))
    assert shelf.level().on_hand == -2


def test_a_promise_is_granted_only_from_stock_that_exists(shelf):
    shelf.post(shelf.entry("a", on_hand=3))
    shelf.post(shelf.entry("h1", reserved=2), is_promise=True)
    with pytest.raises(ledger.InsufficientStock) as caught:
        shelf.post(shelf.entry("h2", reserved=1), shelf.entry("h3", reserved=1), is_promise=True)
    assert caught.value.shortages == [
        {"variant_id": shelf.variants[0].pk, "location_id": shelf.locations[0].pk, "available_after": -1}
    ]
    assert shelf.level().reserved == 2


def test_a_count_sets_on_hand_and_later_lines_add_to_it(shelf):
    posted = shelf.post(
        shelf.entry("a", on_hand=10),
        shelf.entry("b", counted=7, kind=ledger.Kind.COUNT),
        shelf.entry("c", on_hand=-1, occurred_at=NOON + timedelta(minutes=1)),
    )
    assert [row.on_hand for row in posted] == [10, -3, -1]
    level = shelf.level()
    assert (level.on_hand, level.counted_at) == (6, NOON)


def test_a_fact_older_than_the_count_is_recorded_without_effect_because_the_count_saw_it(shelf):
    shelf.post(shelf.entry("a", on_hand=10, occurred_at=NOON - timedelta(days=1)))
    shelf.post(shelf.entry("count", counted=7, kind=ledger.Kind.COUNT))
    late = shelf.post(shelf.entry("late", on_hand=-1, occurred_at=NOON - timedelta(hours=1)))[0]
    assert (late.on_hand, late.absorbed, late.on_hand_after) == (0, -1, 7)
    older_count = shelf.post(
        shelf.entry("old", counted=99, kind=ledger.Kind.COUNT, occurred_at=NOON - timedelta(hours=2))
    )
    assert older_count[0].on_hand == 0
    assert shelf.level().on_hand == 7
    assert verify.verify().breaches == []


def test_another_merchants_cell_is_unknown(shelf):
    stranger = make_shelf(slug="stranger")
    with pytest.raises(ledger.UnknownCell), transaction.atomic():
        ledger.post(merchant_id=shelf.merchant.pk, source="test", entries=[stranger.entry("a", on_hand=1)])
    mixed = ledger.Entry(
        variant_id=shelf.variants[0].pk, location_id=stranger.locations[0].pk, kind="adjust", key="b", occurred_at=NOON
    )
    with pytest.raises(ledger.UnknownCell):
        shelf.post(mixed)


@pytest.mark.django_db(transaction=True)
def test_the_ledger_refuses_to_post_outside_a_transaction():
    shelf = make_shelf()
    alone = {"merchant_id": shelf.merchant.pk, "source": "test", "entries": [shelf.entry("a", on_hand=1)]}
    with pytest.raises(RuntimeError):
        ledger.post(**alone)
    assert ledger.record(**alone)[0].on_hand_after == 1
    with pytest.raises(RuntimeError), transaction.atomic():
        ledger.record(**alone)


@pytest.mark.parametrize("change", ["update", "delete"])
@pytest.mark.parametrize("model", [StockMovement, StockMovementKey])
def test_the_database_refuses_to_edit_history(shelf, model, change):
    shelf.post(shelf.entry("a", on_hand=1))
    rows = model.objects.all()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(source="other") if change == "update" else rows._raw_delete(rows.db)


def test_the_database_refuses_a_level_that_changes_without_a_movement(shelf):
    shelf.post(shelf.entry("a", on_hand=1))
    with pytest.raises(DatabaseError, match="without a movement"), transaction.atomic():
        StockLevel.objects.update(on_hand=5)
    with pytest.raises(DatabaseError, match="without a movement"), transaction.atomic():
        StockLevel.objects.create(
            merchant=shelf.merchant, variant=shelf.variants[1], location=shelf.locations[0], on_hand=5
        )


def test_committed_never_falls_below_zero(shelf):
    with pytest.raises(IntegrityError, match="committed_not_negative"):
        shelf.post(shelf.entry("a", committed=-1))


def test_verify_finds_what_was_bent_behind_the_ledgers_back(shelf):
    shelf.post(shelf.entry("a", on_hand=5))
    assert verify.verify().breaches == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE inventory_stocklevel SET on_hand = 6, last_seq = 2")
    wrong = verify.verify().breaches[0].wrong
    assert "on hand 6, movements say 5" in wrong
    assert "last numbered 1, level says 2" in wrong


amounts = st.integers(-5, 5)


class TestAnyBatches(HypothesisTestCase):
    @given(
        batches=st.lists(
            st.lists(
                st.tuples(
                    st.integers(0, 1),
                    st.integers(0, 1),
                    amounts,
                    st.integers(0, 3),
                    st.none() | st.integers(0, 9),
                    st.integers(0, 12),
                    st.integers(0, 4),
                ),
                max_size=5,
            ),
            max_size=5,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_movements_always_sum_to_levels_and_late_facts_never_move_a_count(self, batches):
        shelf = make_shelf()
        for batch in batches:
            entries = []
            for variant, location, on_hand, unavailable, counted, minute, name in batch:
                content = (variant, location, on_hand, unavailable, counted, minute)
                key = f"{name}-{content}"
                extra = {} if counted is None else {"counted": Decimal(counted)}
                entries.append(
                    shelf.entry(
                        key,
                        variant=variant,
                        location=location,
                        unavailable=unavailable,
                        on_hand=0 if extra else on_hand,
                        occurred_at=NOON + timedelta(minutes=minute),
                        **extra,
                    )
                )
            shelf.post(*entries)
            assert verify.verify().breaches == []
        assert StockMovement.objects.count() == StockMovementKey.objects.count()
