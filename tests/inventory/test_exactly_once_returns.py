"""Whatever cancels, refunds, edits and exchanges arrive, however often: nothing comes back that was not sold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from inventory import bundles, ledger, orders, verify
from inventory.bundles import Part
from inventory.models import OrderLine, StockLevel
from tests import factories

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHANNEL = 7
STEPS = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate], database=None,
)  # fmt: skip


class Line:
    """What the channel knows of one line: `waits` and `left` by place, what the order itself says came back."""

    def __init__(self, variant, name):
        self.variant, self.name = variant, name
        self.waits, self.left, self.backs = [0, 0], [0, 0], []


class ReturnsMachine(RuleBasedStateMachine):
    """One order with the same cup on two lines and a set that holds cups; the channel's messages come in any order.

    The channel contradicts itself on purpose: a refund may restock what a cancel or a return document gave back before.
    """

    def __init__(self):
        super().__init__()
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.merchant = factories.MerchantFactory()
        self.places = [factories.LocationFactory(merchant=self.merchant) for _ in range(2)]
        self.cup, self.saucer, self.set = (factories.VariantFactory(merchant=self.merchant) for _ in range(3))
        parts = [Part(self.cup.pk, Decimal(1)), Part(self.saucer.pk, Decimal(2))]
        bundles.define(variant=self.set, parts=parts, is_stocked=False, actor=None)
        entries = [
            ledger.Entry(one.pk, place.pk, "opening", f"{one.pk}:{place.pk}", NOON, counted=Decimal(50))
            for one in (self.cup, self.saucer)
            for place in self.places
        ]
        ledger.post(merchant_id=self.merchant.pk, source="opening", entries=entries)
        self.lines = [Line(self.cup, "L1"), Line(self.cup, "L2"), Line(self.set, "L3")]
        self.version, self.refused = 0, 0
        self.said, self.documents = [], []
        for line in self.lines:
            line.waits[0] = 2
        self._say()
        self._apply(self.said[0])

    def _say(self):
        self.version += 1
        lines = [
            orders.LineState(
                line.name, "V", line.variant.pk, line.variant.sku, "", Decimal(sum(line.waits) + sum(line.left)),
                [
                    orders.Hold(place.pk, Decimal(waits), Decimal(left))
                    for place, waits, left in zip(self.places, line.waits, line.left, strict=True)
                ],
            )
            for line in self.lines
        ]  # fmt: skip
        at = NOON + timedelta(minutes=self.version)
        backs = [back for line in self.lines for back in line.backs]
        self.said.append(orders.OrderState("O1", "1", NOON, at, self.version, False, lines, backs))

    def _apply(self, state):
        try:
            with transaction.atomic():
                orders.apply(merchant_id=self.merchant.pk, channel_id=CHANNEL, states=[state])
        except orders.ImpossibleOrder:
            self.refused += 1

    def _place(self, place):
        return None if place is None else self.places[place].pk

    @rule(index=st.integers(0, 10), place=st.integers(0, 1))
    def fulfil(self, index, place):
        line = self.lines[index % len(self.lines)]
        if line.waits[place]:
            line.waits[place] -= 1
            line.left[place] += 1
            self._say()

    @rule(index=st.integers(0, 10), place=st.integers(0, 1), by=st.sampled_from([-1, 1, 2]))
    def edit(self, index, place, by):
        line = self.lines[index % len(self.lines)]
        line.waits[place] = max(0, line.waits[place] + by)
        self._say()

    @rule(place=st.sampled_from([0, 1, None]), restocks_what_left=st.booleans())
    def cancel(self, place, restocks_what_left):
        for line in self.lines:
            line.waits = [0, 0]
            if restocks_what_left and sum(line.left):
                line.backs.append(orders.ReturnState(line.name, Decimal(sum(line.left)), self._place(place)))
        self._say()

    @rule(index=st.integers(0, 10), quantity=st.integers(1, 2), place=st.sampled_from([0, 1, None]))
    def refund(self, index, quantity, place):
        line = self.lines[index % len(self.lines)]
        line.backs.append(orders.ReturnState(line.name, Decimal(quantity), self._place(place)))
        self._say()

    @rule()
    def take_refunds_back(self):
        for line in self.lines:
            line.backs = []
        self._say()

    @precondition(lambda self: len(self.lines) < 5)
    @rule(index=st.integers(0, 10), place=st.integers(0, 1))
    def exchange(self, index, place):
        line = self.lines[index % len(self.lines)]
        line.backs.append(orders.ReturnState(line.name, Decimal(1), self._place(place)))
        new = Line(self.cup if line.variant == self.set else self.set, f"L{len(self.lines) + 1}")
        new.waits[place] = 1
        self.lines.append(new)
        self._say()

    @rule(index=st.integers(0, 10), quantity=st.integers(1, 2), place=st.sampled_from([0, 1, None]))
    def return_document(self, index, quantity, place):
        line = self.lines[index % len(self.lines)]
        self.documents.append(
            (f"R{len(self.documents)}", orders.ReturnState(line.name, Decimal(quantity), self._place(place)))
        )
        self.deliver_document(len(self.documents) - 1)

    @rule(index=st.integers(0, 10), place=st.integers(0, 1), back_to=st.sampled_from([0, 1, None]))
    def give_money_back(self, index, place, back_to):
        """As asked on an order's page: a unit that waits is off, one that left comes back by our own document."""
        line = self.lines[index % len(self.lines)]
        line.waits[place] = max(0, line.waits[place] - 1)
        self._say()
        self._apply(self.said[-1])
        back = orders.ReturnState(line.name, Decimal(1), self._place(back_to))
        self.documents.append((f"studio-{len(self.documents)}", back))
        self.deliver_document(len(self.documents) - 1)

    @precondition(lambda self: self.documents)
    @rule(index=st.integers(0, 10))
    def deliver_document(self, index):
        name, back = self.documents[index % len(self.documents)]
        try:
            with transaction.atomic():
                orders.apply_return(
                    merchant_id=self.merchant.pk, channel_id=CHANNEL, order_external_id="O1", document=name,
                    returned_at=NOON, returns=[back],
                )  # fmt: skip
        except orders.ImpossibleOrder:
            self.refused += 1

    @rule(data=st.data())
    def deliver_a_description(self, data):
        self._apply(data.draw(st.sampled_from(self.said[-4:])))

    def teardown(self):
        transaction.set_rollback(True)
        self.sandbox.__exit__(None, None, None)

    @invariant()
    def nothing_comes_back_that_was_not_sold(self):
        for line in OrderLine.objects.all():
            assert line.restocked + line.written_off <= line.fulfilled, "more came back than was sold"
        cups = sum(level.on_hand for level in StockLevel.objects.filter(variant=self.cup))
        assert cups <= 100

    @invariant()
    def the_ledger_holds_exactly_what_the_lines_say(self):
        out = {self.cup.pk: Decimal(0), self.saucer.pk: Decimal(0)}
        for line in OrderLine.objects.all():
            gone = line.fulfilled - line.restocked
            out[self.cup.pk] += gone
            out[self.saucer.pk] += gone * 2 if line.variant_id == self.set.pk else 0
        for variant_id, units in out.items():
            there = sum(level.on_hand for level in StockLevel.objects.filter(variant=variant_id))
            assert there == 100 - units
        assert verify.verify().breaches == []


@pytest.mark.django_db
def test_restocked_and_written_off_never_exceed_what_was_sold():
    run_state_machine_as_test(ReturnsMachine, settings=STEPS)


@pytest.mark.django_db
def test_control_without_the_guard_more_comes_back_than_was_sold(monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE inventory_orderline DROP CONSTRAINT orderline_returns_at_most_what_was_sold")

    def summed(one):
        for name, line in one.lines.items():
            line.fulfilled = sum((hold.fulfilled for (of, _), hold in one.holds.items() if of == name), Decimal(0))
            backs = [back for (of, _, _), back in one.returns.items() if of == name]
            line.restocked = sum((back.restocked for back in backs), Decimal(0))
            line.written_off = sum((back.written_off for back in backs), Decimal(0))

    monkeypatch.setattr(orders, "_sum_lines", summed)
    with pytest.raises(AssertionError, match="more came back than was sold"):
        run_state_machine_as_test(ReturnsMachine, settings=STEPS)
