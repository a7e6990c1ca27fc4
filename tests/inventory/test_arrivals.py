"""Goods on their way: sent, received in parts, called back; units are conserved, whatever happens in whatever order."""

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from inventory import arrivals, bundles, incoming, ledger, merging, verify
from inventory.bundles import Part
from inventory.models import Arrival, StockLevel, StockMovement
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.inventory.pages_shop import Shop

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FRIDAY = date(2026, 11, 27)


@pytest.fixture
def shop():
    return Shop()


def plan(shop, *lines, supplier="", to=1, on=FRIDAY):
    origin = None if supplier else shop.places[1 - to]
    return arrivals.Plan(origin, supplier, shop.places[to], on, "", [(one, Decimal(units)) for one, units in lines])


def drafted(shop, *lines, **more):
    return arrivals.draft(merchant=shop.merchant, actor=shop.user, key=uuid.uuid4(), plan=plan(shop, *lines, **more))


def sent(shop, *lines, **more):
    arrival = drafted(shop, *lines, **more)
    send(shop, arrival)
    return arrival


def send(shop, arrival, key=None, **more):
    return arrivals.send(
        merchant=shop.merchant, actor=shop.user, arrival_id=arrival.pk, key=key or uuid.uuid4(), now=NOON, **more
    )


def receive(shop, arrival, *counts, rest="wait", reason="", key=None, damaged=()):
    lines = list(arrival.lines.order_by("pk"))
    arrived, broken = (
        {line.pk: Decimal(count) for line, count in zip(lines, units, strict=False)} for units in (counts, damaged)
    )
    return arrivals.receive(
        merchant=shop.merchant, actor=shop.user, arrival_id=arrival.pk, key=key or uuid.uuid4(), arrived=arrived,
        damaged=broken, rest=rest, reason=reason, now=NOON,
    )  # fmt: skip


def cancel(shop, arrival, reason=""):
    return arrivals.cancel(
        merchant=shop.merchant, actor=shop.user, arrival_id=arrival.pk, key=uuid.uuid4(), reason=reason, now=NOON
    )


def undo(shop, arrival, step):
    return arrivals.undo(merchant=shop.merchant, actor=shop.user, arrival_id=arrival.pk, step_id=step.pk, now=NOON)


def numbers(shop, variant, place):
    found = StockLevel.objects.filter(variant=variant, location=shop.places[place]).first()
    return (found.on_hand, found.incoming) if found else (0, 0)


def state(arrival):
    return Arrival.objects.get(pk=arrival.pk).state


def test_a_transfer_leaves_is_incoming_and_arrives_in_parts(shop):
    mug = shop.stock("Mug", units=10)
    arrival = sent(shop, (mug, 6))
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1)) == ((4, 0), (0, 6))
    receive(shop, arrival, 4)
    assert (numbers(shop, mug, 1), state(arrival)) == ((4, 2), "open")
    receive(shop, arrival, 1, rest="missing", reason="one broken")
    assert (numbers(shop, mug, 1), state(arrival)) == ((5, 0), "received")
    line = arrival.lines.get()
    assert (line.received, line.missing, line.remaining) == (5, 1, 0)
    written = StockMovement.objects.filter(source="arrival").order_by("pk").last()
    assert (written.kind, written.on_hand, written.incoming, written.reason) == (
        "transfer",
        1,
        -2,
        "1 missing: one broken",
    )
    assert verify.verify().breaches == []
    assert AuditEntry.objects.filter(action__startswith="arrival.").count() == 4


def test_a_transfer_is_a_promise_of_what_is_there(shop):
    mug = shop.stock("Mug", units=3)
    shop.order(mug, committed=2)
    arrival = drafted(shop, (mug, 2))
    with pytest.raises(ledger.InsufficientStock) as refused, transaction.atomic():
        send(shop, arrival)
    assert Decimal(refused.value.shortages[0]["available_after"]) == -1
    assert (numbers(shop, mug, 0), state(arrival)) == ((3, 0), "draft")
    send(shop, arrival, is_fact=True)  # the van has left: a fact is recorded
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1)) == ((1, 0), (0, 2))
    assert verify.verify().breaches == []


def test_a_transfer_to_a_place_that_is_short_is_not_refused(shop):
    mug = shop.stock("Mug", units=3)
    shop.post(mug, units=-2, place=1)
    arrival = sent(shop, (mug, 3))
    assert (state(arrival), numbers(shop, mug, 1)) == ("open", (-2, 3))


def test_a_delivery_is_expected_received_with_more_than_ordered_and_the_rest_given_up(shop):
    mug, cup = shop.stock("Mug", units=1), shop.stock("Cup", units=1)
    arrival = sent(shop, (mug, 5), (cup, 5), supplier="Acme", to=0)
    assert (numbers(shop, mug, 0), numbers(shop, cup, 0)) == ((1, 5), (1, 5))
    with pytest.raises(arrivals.Refused, match="why"), transaction.atomic():
        receive(shop, arrival, 7)
    receive(shop, arrival, 7, 0, reason="two extra, not charged")
    assert (numbers(shop, mug, 0), arrival.lines.order_by("pk")[0].surplus) == ((8, 0), 2)
    receive(shop, arrival, 0, 3, rest="missing", reason="sold out there")
    assert (numbers(shop, cup, 0), state(arrival)) == ((4, 0), "received")
    kinds = list(StockMovement.objects.filter(source="arrival").order_by("pk").values_list("kind", flat=True))
    assert kinds == ["expect", "expect", "receive", "receive"]
    assert verify.verify().breaches == []


def test_what_comes_damaged_is_named_and_written_off(shop):
    mug, cup = shop.stock("Mug", units=10), shop.stock("Cup", units=10)
    arrival = sent(shop, (mug, 6), (cup, 2))
    with pytest.raises(arrivals.ReasonWanted, match="why"), transaction.atomic():
        receive(shop, arrival, 3, damaged=(2,))
    step = receive(shop, arrival, 3, 1, damaged=(2, 2), reason="box was crushed")
    assert (numbers(shop, mug, 1), numbers(shop, cup, 1)) == ((3, 1), (1, 0))
    first, second = arrival.lines.order_by("pk")
    assert (first.damaged, first.remaining, second.damaged, second.surplus) == (2, 1, 2, 1)
    reasons = StockMovement.objects.filter(source="arrival", location=shop.places[1], reason__contains="crushed")
    assert sorted(reasons.values_list("reason", flat=True)) == [
        "2 damaged, 1 too many: box was crushed", "2 damaged: box was crushed"
    ]  # fmt: skip
    assert verify.verify().breaches == []
    undo(shop, arrival, step)
    assert (numbers(shop, mug, 1), numbers(shop, cup, 1)) == ((0, 6), (0, 2))
    assert verify.verify().breaches == []


def test_cancelled_units_are_back_where_they_left(shop):
    mug = shop.stock("Mug", units=10)
    arrival = sent(shop, (mug, 6))
    receive(shop, arrival, 2)
    cancel(shop, arrival)
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1), state(arrival)) == ((8, 0), (2, 0), "received")
    other = sent(shop, (mug, 1))
    cancel(shop, other)
    assert (numbers(shop, mug, 0), state(other)) == ((8, 0), "cancelled")
    with pytest.raises(arrivals.Refused, match="closed"):
        cancel(shop, other)
    assert verify.verify().breaches == []


def test_the_same_form_again_changes_nothing(shop):
    mug = shop.stock("Mug", units=10)
    wanted, key = plan(shop, (mug, 6)), uuid.uuid4()
    arrival, again = (arrivals.draft(merchant=shop.merchant, actor=shop.user, key=key, plan=wanted) for _ in range(2))
    assert arrival == again
    assert send(shop, arrival, key) == send(shop, arrival, key)
    assert receive(shop, arrival, 2, key=uuid.UUID(int=1)) == receive(shop, arrival, 2, key=uuid.UUID(int=1))
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1)) == ((4, 0), (2, 4))


def test_control_another_form_receives_again(shop):
    mug = shop.stock("Mug", units=10)
    arrival = sent(shop, (mug, 6))
    receive(shop, arrival, 2)
    receive(shop, arrival, 2)
    assert numbers(shop, mug, 1) == (4, 2)


def test_the_newest_step_is_taken_back_first_all_the_way_to_a_draft(shop):
    mug = shop.stock("Mug", units=10)
    arrival = drafted(shop, (mug, 6))
    first = send(shop, arrival)
    second = receive(shop, arrival, 4, rest="returned", reason="did not fit")
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1)) == ((6, 0), (4, 0))
    with pytest.raises(arrivals.Refused, match="since"), transaction.atomic():
        undo(shop, arrival, first)
    undo(shop, arrival, second)
    undo(shop, arrival, second)
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1), state(arrival)) == ((4, 0), (0, 6), "open")
    undo(shop, arrival, first)
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1), state(arrival)) == ((10, 0), (0, 0), "draft")
    assert verify.verify().breaches == []


def test_a_bundle_is_refused_with_words(shop):
    mug, box = shop.stock("Mug", units=10), factories.VariantFactory(merchant=shop.merchant)
    early = drafted(shop, (box, 1), supplier="Acme")
    bundles.define(variant=box, parts=[Part(mug.pk, Decimal(2))], is_stocked=False, actor=None)
    with pytest.raises(arrivals.Refused, match="is a bundle"):
        drafted(shop, (box, 1))
    with pytest.raises(arrivals.Refused, match="is a bundle"), transaction.atomic():
        send(shop, early)
    assert state(early) == "draft"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"lines": []}, "Nothing in it"), ({"supplier": "Acme"}, "where it comes from"), ({"origin": None}, "where")],
)
def test_a_plan_must_make_sense(shop, change, words):
    wanted = plan(shop, (shop.stock("Mug"), 1))
    with pytest.raises(arrivals.Refused, match=words):
        arrivals.draft(
            merchant=shop.merchant, actor=shop.user, key=uuid.uuid4(), plan=wanted.__class__(**vars(wanted) | change)
        )


def test_how_much_arrives_until_when(shop):
    mug = shop.stock("Mug", units=10)
    here = shop.places[1].pk
    first = sent(shop, (mug, 2))
    sent(shop, (mug, 3), supplier="Acme", on=FRIDAY + timedelta(days=3))
    sent(shop, (mug, 4), supplier="Acme", on=None)
    drafted(shop, (mug, 5))
    ids = [mug.pk]
    assert incoming.until(variant_ids=ids, day=FRIDAY - timedelta(days=1)) == {}
    assert incoming.until(variant_ids=ids, day=FRIDAY) == {(mug.pk, here): 2}
    assert incoming.until(variant_ids=ids, day=FRIDAY + timedelta(days=3)) == {(mug.pk, here): 5}
    assert [one.units for one in incoming.schedule(variant_ids=ids)] == [2, 3, 4]
    arrivals.reschedule(merchant=shop.merchant, actor=shop.user, arrival_id=first.pk, expected_date=None)
    assert incoming.until(variant_ids=ids, day=FRIDAY) == {}
    receive(shop, first, 2)
    assert [one.units for one in incoming.schedule(variant_ids=ids)] == [3, 4]


def test_what_was_on_its_way_follows_a_merge_and_comes_back_with_it(shop):
    mug, twin = shop.stock("Mug", units=10), shop.stock("Mug again", units=10)
    arrival, other = sent(shop, (twin, 6)), sent(shop, (mug, 1))
    merged = merging.merge(survivor=mug, duplicate=twin, actor=shop.user)
    assert numbers(shop, mug, 1) == (0, 7)
    assert incoming.until(variant_ids=[mug.pk, twin.pk], day=FRIDAY) == {(mug.pk, shop.places[1].pk): 7}
    receive(shop, arrival, 4)
    assert numbers(shop, mug, 1) == (4, 3)
    assert verify.verify().breaches == []
    merging.part(merge_id=merged.pk, actor=shop.user)
    assert (numbers(shop, mug, 1)[1], numbers(shop, twin, 1)[1]) == (1, 2)
    receive(shop, arrival, 2)
    receive(shop, other, 1)
    assert verify.verify().breaches == []


def test_control_an_expectation_without_its_movement_is_found(shop):
    mug = shop.stock("Mug", units=10)
    arrival = sent(shop, (mug, 6))
    arrival.lines.update(received=1)
    (breach,) = verify.verify().breaches
    assert breach.wrong == "incoming 6, open arrivals expect 5"


class ArrivalMachine(RuleBasedStateMachine):
    """Transfers of two things between two places, in any order: what the places have, what is on its way and the
    differences that were written down always sum to what was there at first."""

    def __init__(self):
        super().__init__()
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.shop = Shop(slug=f"shop-{uuid.uuid4().hex[:8]}")
        self.variants = [self.shop.stock(name, units=20) for name in ("Mug", "Cup")]
        self.made = []

    @initialize(units=st.integers(1, 9))
    def first(self, units):
        self.made.append(sent(self.shop, (self.variants[0], units), (self.variants[1], units)))

    def _try(self, deed):
        try:
            with transaction.atomic():
                deed()
        except (arrivals.Refused, ledger.InsufficientStock):
            pass

    def _one(self, index):
        return self.made[index % len(self.made)]

    @rule(units=st.integers(1, 9), to=st.integers(0, 1), which=st.integers(0, 1), is_fact=st.booleans())
    def send_another(self, units, to, which, is_fact):
        arrival = drafted(self.shop, (self.variants[which], units), to=to)
        self.made.append(arrival)
        self._try(lambda: send(self.shop, arrival, is_fact=is_fact))

    @rule(
        index=st.integers(0, 9), counts=st.tuples(st.integers(0, 6), st.integers(0, 6)),
        rest=st.sampled_from(["wait", "wait", "missing", "returned"]), damaged=st.sampled_from([(), (), (1,), (0, 2)]),
    )  # fmt: skip
    def receive_some(self, index, counts, rest, damaged):
        self._try(lambda: receive(self.shop, self._one(index), *counts, rest=rest, reason="counted", damaged=damaged))

    @rule(index=st.integers(0, 9))
    def call_back(self, index):
        self._try(lambda: cancel(self.shop, self._one(index)))

    @rule(index=st.integers(0, 9), step=st.integers(0, 3))
    def take_back(self, index, step):
        steps = list(self._one(index).steps.order_by("-pk"))
        if steps:
            self._try(lambda: undo(self.shop, self._one(index), steps[step % len(steps)]))

    @rule(which=st.integers(0, 1), place=st.integers(0, 1), into=st.integers(0, 1))
    def merge_and_part(self, which, place, into):
        kept, gone = self.variants[into], self.variants[1 - into]
        merged = merging.merge(survivor=kept, duplicate=gone, actor=None)
        self._try(lambda: receive(self.shop, self._one(which), place, 1))
        self.take_back(which, 0)
        assert verify.verify().breaches == []
        merging.part(merge_id=merged.pk, actor=None)

    def total(self):
        lines = [line for one in self.made for line in one.lines.all() if Arrival.objects.get(pk=one.pk).sent_at]
        there = StockLevel.objects.filter(variant__in=self.variants)
        written = sum(line.missing + line.damaged - line.surplus for line in lines)
        return sum(level.on_hand + level.incoming for level in there) + written

    @invariant()
    def units_are_conserved(self):
        assert self.total() == 40, "units were lost"
        assert verify.verify().breaches == []

    def teardown(self):
        transaction.set_rollback(True)
        self.sandbox.__exit__(None, None, None)


STEPS = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def test_units_are_conserved_whatever_happens():
    run_state_machine_as_test(ArrivalMachine, settings=STEPS)


def test_control_the_machine_misses_units_that_never_get_back_to_where_they_left(monkeypatch):
    real = arrivals._standings

    def forgets(arrival, lines):
        found = real(arrival, lines)
        return {
            line.pk: replace(found[line.pk], gone=line.quantity) if arrival.sent_at else found[line.pk]
            for line in lines
        }

    monkeypatch.setattr(arrivals, "_standings", forgets)
    with pytest.raises(AssertionError, match="units were lost"):
        run_state_machine_as_test(ArrivalMachine, settings=STEPS)


def test_sending_costs_the_same_number_of_queries_for_many_lines(shop, django_assert_max_num_queries):
    goods = [(shop.stock(f"Thing {place}", units=5), 1) for place in range(30)]
    arrival = drafted(shop, *goods)
    with django_assert_max_num_queries(14):
        send(shop, arrival)
