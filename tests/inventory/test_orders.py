import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from inventory import ledger, orders, verify
from inventory.models import Location, Order, OrderLine, Product, StockLevel, StockMovement, Variant
from storestudio.accounts.models import Merchant

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHANNEL = 7


class Shop:
    """A merchant with ten of one variant at each of two locations."""

    def __init__(self):
        self.merchant = Merchant.objects.create(name="Shop", slug="shop")
        product = Product.objects.create(merchant=self.merchant, title="Mug")
        self.variant = Variant.objects.create(merchant=self.merchant, product=product, sku="MUG")
        self.here, self.there = (
            Location.objects.create(merchant=self.merchant, name=name) for name in ("Here", "There")
        )
        with transaction.atomic():
            ledger.post(
                merchant_id=self.merchant.pk,
                source="opening",
                entries=[
                    ledger.Entry(
                        variant_id=self.variant.pk,
                        location_id=where.pk,
                        kind=ledger.Kind.OPENING,
                        key=where.name,
                        occurred_at=NOON - timedelta(days=1),
                        counted=Decimal(10),
                    )
                    for where in (self.here, self.there)
                ],
            )

    def line(self, *holds, name="L1", quantity=2, linked=True):
        return orders.LineState(
            external_id=name,
            listing_external_id="V1",
            variant_id=self.variant.pk if linked else None,
            sku="MUG",
            title="Mug",
            quantity=Decimal(quantity),
            holds=holds,
        )

    def state(self, *lines, version=1, name="O1", **extra):
        return orders.OrderState(
            external_id=name,
            number=name,
            placed_at=NOON,
            updated_at=NOON + timedelta(minutes=version),
            version=version,
            is_cancelled=extra.pop("is_cancelled", False),
            lines=lines,
            **extra,
        )

    def hold(self, where, *, committed=0, fulfilled=0):
        return orders.Hold(where.pk, committed=Decimal(committed), fulfilled=Decimal(fulfilled))

    def apply(self, *states):
        return orders.apply(merchant_id=self.merchant.pk, channel_id=CHANNEL, states=states)

    def back(self, quantity, *, where=None, line="L1"):
        return orders.ReturnState(line, Decimal(quantity), where and where.pk)

    def level(self, where):
        level = StockLevel.objects.get(variant=self.variant, location=where)
        return level.on_hand, level.committed


@pytest.fixture
def shop(db):
    return Shop()


def test_an_order_is_committed_then_fulfilled_then_returned(shop):
    shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    assert shop.level(shop.here) == (10, 2)
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=2))
    assert shop.level(shop.here) == (8, 0)
    assert Order.objects.get().state == Order.State.FULFILLED
    shop.apply(
        shop.state(
            shop.line(shop.hold(shop.here, fulfilled=2)),
            version=3,
            returns=[shop.back(1, where=shop.there), shop.back(1)],
        )
    )
    assert shop.level(shop.here) == (8, 0)
    assert shop.level(shop.there) == (11, 0)
    line = OrderLine.objects.get()
    assert (line.fulfilled, line.restocked, line.written_off) == (2, 1, 1)
    kinds = StockMovement.objects.exclude(kind="opening").order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["commit", "fulfill", "return"]
    assert verify.verify().breaches == []


def test_every_permutation_of_an_orders_events_repeated_ends_the_same(shop):
    states = [
        shop.state(shop.line(shop.hold(shop.here, committed=2))),
        shop.state(shop.line(shop.hold(shop.here, committed=1, fulfilled=1)), version=2),
        shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=3, returns=[shop.back(1, where=shop.here)]),
    ]
    for number, permutation in enumerate(itertools.permutations(states)):
        before = shop.level(shop.here)[0]
        for state in (*permutation, *permutation):
            shop.apply(orders.OrderState(**{**vars(state), "external_id": f"P{number}"}))
        assert shop.level(shop.here) == (before - 1, 0)
    assert verify.verify().breaches == []


def test_an_older_description_is_ignored(shop):
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=5))
    assert shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2)), version=4))[0].is_stale
    assert shop.level(shop.here) == (8, 0)


def reading(*, asked, behind):
    """Asked for so long after five past noon, in seconds, had one later, of a channel whose clock was so far behind."""
    at = NOON + timedelta(minutes=5, seconds=asked)
    return orders.Reading(at, at + timedelta(seconds=1), None if behind is None else timedelta(seconds=behind))


@pytest.mark.parametrize(
    ("versions", "second", "is_older"),
    [
        ((0, 0), reading(asked=2, behind=5.5), False),
        ((0, 0), reading(asked=3600, behind=0.5), True),  # control: a copy that lags, however late it is asked
        ((0, 0), reading(asked=-60, behind=5.5), True),  # control: asked for before
        ((0, 0), reading(asked=2, behind=None), True),  # control: a channel that does not tell its time
        ((0, 0), None, True),  # control: nobody asked, it was told
        ((5, 4), reading(asked=2, behind=5.5), True),  # control: versions are no times
    ],
    ids=["its clock was set back", "a copy", "asked before", "without a clock", "told", "of an older version"],
)
def test_what_bears_an_older_time_is_older_but_where_the_channels_clock_was_set_back(shop, versions, second, is_older):
    left = shop.line(shop.hold(shop.here, fulfilled=2))
    first = shop.state(left, reading=reading(asked=0, behind=0.5))
    back = shop.state(left, returns=[shop.back(1, where=shop.here)], reading=second)
    shop.apply(replace(first, version=versions[0]))
    earlier = first.updated_at - timedelta(seconds=5)
    (result,) = shop.apply(replace(back, version=versions[1], updated_at=earlier))
    assert (result.is_stale, shop.level(shop.here)) == (is_older, (8 if is_older else 9, 0))


@pytest.mark.parametrize(("ahead", "is_older"), [(4, False), (-60, True)])
def test_a_time_that_the_channels_clock_had_yet_to_show_was_given_before_it_was_set_back(shop, ahead, is_older):
    """Read after that, both are: the clock is as far behind at the second reading as at the first."""
    left = shop.line(shop.hold(shop.here, fulfilled=2))
    at = reading(asked=0, behind=5)
    first = replace(shop.state(left, version=0, reading=at), updated_at=at.had_at - timedelta(seconds=5 - ahead))
    shop.apply(first)
    earlier = first.updated_at - timedelta(seconds=3)
    (result,) = shop.apply(replace(first, updated_at=earlier, reading=reading(asked=30, behind=5.5)))
    assert result.is_stale == is_older


def test_a_time_more_older_than_the_clock_was_set_back_is_older(shop):
    left = shop.line(shop.hold(shop.here, fulfilled=2))
    first = shop.state(left, version=0, reading=reading(asked=0, behind=0))
    shop.apply(first)
    earlier = first.updated_at - timedelta(seconds=60)
    (result,) = shop.apply(replace(first, updated_at=earlier, reading=reading(asked=2, behind=5)))
    assert result.is_stale


@pytest.mark.parametrize(("asked", "is_older"), [(-60, True), (60, False)])
def test_of_two_changes_within_a_second_what_was_had_first_is_the_older(shop, asked, is_older):
    left = shop.line(shop.hold(shop.here, fulfilled=2))
    first = shop.state(left, version=0, reading=reading(asked=0, behind=0))
    back = replace(first, returns=[shop.back(1, where=shop.here)], reading=reading(asked=asked, behind=0))
    shop.apply(first)
    (result,) = shop.apply(back)
    assert (result.is_stale, shop.level(shop.here)) == (is_older, (8 if is_older else 9, 0))


def test_a_promise_that_moves_to_another_location_and_is_cancelled_leaves_nothing_behind(shop):
    shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    shop.apply(shop.state(shop.line(shop.hold(shop.there, committed=2)), version=2))
    assert (shop.level(shop.here), shop.level(shop.there)) == ((10, 0), (10, 2))
    shop.apply(shop.state(shop.line(quantity=0), version=3, is_cancelled=True))
    assert (shop.level(shop.here), shop.level(shop.there)) == ((10, 0), (10, 0))


def test_the_same_sku_on_two_lines_and_an_edit_that_removes_one(shop):
    both = shop.line(shop.hold(shop.here, committed=2)), shop.line(shop.hold(shop.here, committed=1), name="L2")
    shop.apply(shop.state(*both))
    assert shop.level(shop.here) == (10, 3)
    shop.apply(shop.state(both[0], version=2))
    assert shop.level(shop.here) == (10, 2)


def test_more_returned_than_sold_is_impossible_and_changes_nothing(shop):
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2))))
    with pytest.raises(orders.ImpossibleOrder):
        shop.apply(
            shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=2, returns=[shop.back(3, where=shop.here)])
        )
    assert shop.level(shop.here) == (8, 0)


def test_return_documents_of_their_own_add_up_and_count_once(shop):
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2))))

    def document(name, *backs):
        return orders.apply_return(
            merchant_id=shop.merchant.pk,
            channel_id=CHANNEL,
            order_external_id="O1",
            document=name,
            returned_at=NOON + timedelta(hours=1),
            returns=backs,
        )

    document("R1", shop.back(1, where=shop.here))
    document("R1", shop.back(1, where=shop.here))
    assert shop.level(shop.here) == (9, 0)
    document("R2", shop.back(1, where=shop.here))
    assert shop.level(shop.here) == (10, 0)
    with pytest.raises(orders.ImpossibleOrder):
        document("R3", shop.back(1))
    # The order read again says nothing of those documents, and they stay.
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=9))
    assert shop.level(shop.here) == (10, 0)
    with pytest.raises(orders.UnknownOrder):
        orders.apply_return(
            merchant_id=shop.merchant.pk,
            channel_id=CHANNEL,
            order_external_id="?",
            document="R",
            returned_at=NOON,
            returns=[],
        )


def test_an_unlinked_line_holds_nothing_until_its_listing_is_linked(shop):
    applied = shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2), linked=False)))
    assert (applied[0].unlinked_lines, applied[0].movements) == (1, 0)
    assert shop.level(shop.here) == (10, 0)
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2))))
    assert shop.level(shop.here) == (8, 0)


def test_what_the_opening_count_knew_is_history_but_its_open_promises_count(shop):
    first = shop.state(shop.line(shop.hold(shop.here, committed=1, fulfilled=1)), is_before_opening=True)
    shop.apply(first)
    assert shop.level(shop.here) == (10, 1)
    shop.apply(shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=2))
    assert shop.level(shop.here) == (9, 0)


def counted(shop, units, *, minute):
    """Somebody counts the shelf here, so many minutes after noon."""
    entry = ledger.Entry(
        variant_id=shop.variant.pk,
        location_id=shop.here.pk,
        kind=ledger.Kind.COUNT,
        key=f"count {minute}",
        occurred_at=NOON + timedelta(minutes=minute),
        counted=Decimal(units),
    )
    with transaction.atomic():
        ledger.post(merchant_id=shop.merchant.pk, source="user", entries=[entry])


def gone(shop, *, minute, told, version=9):
    """Two units, placed at noon, that left so many minutes later."""
    left_at = NOON + timedelta(minutes=minute) if told else None
    return shop.state(shop.line(shop.hold(shop.here, fulfilled=2)), version=version, left_at=left_at)


@pytest.mark.parametrize("is_known", [False, True], ids=["first seen after it left", "seen while it waited"])
def test_a_count_has_seen_what_had_left_by_then_and_nothing_that_left_later(shop, is_known):
    if is_known:
        shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    counted(shop, 10, minute=5)  # the goods of the order still lie there
    shop.apply(gone(shop, minute=6, told=True))
    assert shop.level(shop.here) == (8, 0)
    assert StockMovement.objects.latest("id").occurred_at == NOON + timedelta(minutes=6)
    assert verify.verify().breaches == []


@pytest.mark.parametrize("is_known", [False, True], ids=["first seen after it left", "seen while it waited"])
def test_a_count_after_the_goods_left_has_seen_that_however_late_the_order_is_told(shop, is_known):
    if is_known:
        shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    counted(shop, 8, minute=5)
    shop.apply(gone(shop, minute=4, told=True))  # its description is of minute 9
    assert shop.level(shop.here) == (8, 0)
    assert StockMovement.objects.latest("id").absorbed == -2
    assert verify.verify().breaches == []


def test_control_where_the_channel_does_not_tell_a_new_order_left_when_it_was_placed(shop):
    counted(shop, 10, minute=5)
    shop.apply(gone(shop, minute=6, told=False))
    assert shop.level(shop.here) == (10, 0)  # the till's goods had left before the count; these had not


def test_one_bad_order_fails_its_batch_and_none_of_it_stays(shop):
    good = shop.state(shop.line(shop.hold(shop.here, fulfilled=1)), name="good")
    bad = shop.state(shop.line(shop.hold(shop.here, fulfilled=1)), name="bad", returns=[shop.back(2)])
    with pytest.raises(orders.ImpossibleOrder):
        shop.apply(good, bad)
    assert shop.level(shop.here) == (10, 0)
    assert not Order.objects.exists()


class OrderMachine(RuleBasedStateMachine):
    """A channel that sells, edits, fulfils, moves, returns and cancels; descriptions are applied late and repeated."""

    def __init__(self):
        super().__init__()
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.shop = Shop()
        self.places = [self.shop.here, self.shop.there]
        self.version = 0
        self.committed, self.fulfilled, self.returned = [0, 0], [0, 0], [0, 0]
        self.written_off = 0
        self.said: list[orders.OrderState] = []
        self.applied_version = 0
        self.truth: dict[int, tuple] = {}
        self._say()

    def _say(self):
        self.version += 1
        holds = [
            self.shop.hold(where, committed=c, fulfilled=f)
            for where, c, f in zip(self.places, self.committed, self.fulfilled, strict=True)
        ]
        backs = [self.shop.back(n, where=where) for where, n in zip(self.places, self.returned, strict=True) if n]
        backs += [self.shop.back(self.written_off)] if self.written_off else []
        self.said.append(self.shop.state(self.shop.line(*holds), version=self.version, returns=backs))
        self.truth[self.version] = tuple(
            (10 - f + r, c) for c, f, r in zip(self.committed, self.fulfilled, self.returned, strict=True)
        )

    @rule(place=st.integers(0, 1), quantity=st.integers(1, 3))
    def order_more(self, place, quantity):
        self.committed[place] += quantity
        self._say()

    @rule(place=st.integers(0, 1))
    def cancel_what_waits(self, place):
        self.committed[place] = 0
        self._say()

    @precondition(lambda self: sum(self.committed) > 0)
    @rule(data=st.data())
    def move_a_promise(self, data):
        source = data.draw(st.sampled_from([p for p in (0, 1) if self.committed[p]]))
        self.committed[source] -= 1
        self.committed[1 - source] += 1
        self._say()

    @precondition(lambda self: sum(self.committed) > 0)
    @rule(data=st.data())
    def fulfil(self, data):
        place = data.draw(st.sampled_from([p for p in (0, 1) if self.committed[p]]))
        self.committed[place] -= 1
        self.fulfilled[place] += 1
        self._say()

    @precondition(lambda self: sum(self.fulfilled) > sum(self.returned) + self.written_off)
    @rule(place=st.sampled_from([0, 1, None]))
    def take_back(self, place):
        if place is None:
            self.written_off += 1
        else:
            self.returned[place] += 1
        self._say()

    @rule(data=st.data())
    def apply_any_description(self, data):
        state = data.draw(st.sampled_from(self.said[-4:]))
        applied = self.shop.apply(state)[0]
        assert applied.is_stale == (state.version < self.applied_version)
        self.applied_version = max(self.applied_version, state.version)

    def teardown(self):
        transaction.set_rollback(True)
        self.sandbox.__exit__(None, None, None)

    @invariant()
    def the_ledger_holds_what_the_newest_applied_description_says(self):
        truth = self.truth.get(self.applied_version, ((10, 0), (10, 0)))
        assert tuple(self.shop.level(where) for where in self.places) == truth
        assert verify.verify().breaches == []


@pytest.mark.django_db
def test_any_life_of_an_order_in_any_arrival_order_ends_in_what_it_says():
    run_state_machine_as_test(OrderMachine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))
