"""What people ask channels to do with orders: asked once, done once, whoever dies; stock follows exactly once."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from channels import commands, dispatcher, inbox, polling
from channels.models import Connection, Incident
from channels.ports import AddedLine, CancelOrder, EditOrder, LineChange, MoveUnits
from channels.sandbox import bringup
from channels.sandbox.models import Fault
from channels.sandbox.shopify.models import Order as ShopifyOrder
from channels.sandbox.shopify.models import Refund
from channels.sandbox.woocommerce.models import Site
from inventory import verify
from inventory.models import Order, StockMovement
from tests import forking
from tests.channels.two_channels import TwoChannels, state
from tests.sandbox.square_shop import moment
from tests.sandbox.woocommerce_shop import WooShop

pytestmark = pytest.mark.django_db(transaction=True)


def test_units_move_at_the_channel_and_in_the_ledger_once_whoever_tells_first(shop: TwoChannels) -> None:
    order = shop.order_of(shop.web.place((shop.variant("MUG"), 3)))
    assert shop.levels("MUG") == [(20, 3), (20, 0)]
    command = shop.move(order, 2)
    assert shop.levels("MUG") == [(20, 3), (20, 0)]
    assert [work.kind for work in dispatcher.take_due() if work.kind == "commands"] == ["commands"]
    assert shop.work() == 1
    assert (state(command), shop.levels("MUG")) == ("done", [(20, 1), (20, 2)])
    posted = StockMovement.objects.count()
    shop.hear()  # the webhook of the same move
    assert (shop.levels("MUG"), StockMovement.objects.count()) == ([(20, 1), (20, 2)], posted)
    assert shop.work() == 0

    order = shop.order_of(shop.web.place((shop.variant("BOWL"), 3)))
    command = shop.move(order, 3)
    Fault.objects.create(vendor="shopify", operation="fulfillmentOrderMove", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work()
    assert state(command) == "waiting"  # the answer was lost
    shop.hear()  # the webhook is faster than the second try
    assert shop.levels("BOWL") == [(20, 0), (20, 3)]
    posted = StockMovement.objects.count()
    shop.lease_runs_out()
    Connection.objects.update(resting_until=None)
    shop.work()
    assert (state(command), command.attempts) == ("done", 2)
    assert (shop.levels("BOWL"), StockMovement.objects.count()) == ([(20, 0), (20, 3)], posted)
    assert verify.verify().breaches == []


def die_before_it_is_settled(connection_id: int) -> None:
    """In a process of its own: carry out what waits, and be killed between the channel's answer and our own note."""
    forking.let_go_of_inherited_connections()
    commands._settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    commands.carry_out(connection_id=connection_id, until=timezone.now() + timedelta(seconds=20))


def killed_while_asking(shop: TwoChannels) -> None:
    worker = forking.context().Process(target=die_before_it_is_settled, args=(shop.pair.web.pk,))
    worker.start()
    worker.join(timeout=60)
    assert worker.exitcode == -signal.SIGKILL


@pytest.mark.race
def test_a_worker_killed_between_the_answer_and_the_note_repeats_nothing(shop: TwoChannels) -> None:
    first = shop.web.place((shop.variant("MUG"), 3))
    order = shop.order_of(first)
    line = order.lines.get()
    change = LineChange(line.external_id, Decimal(3), Decimal(2), shop.web.street.gid)
    bowl = AddedLine(shop.variant("BOWL").gid, Decimal(1), shop.web.street.gid)
    edit = shop.ask(order, EditOrder(order.external_id, [change], [bowl], note="one was broken"))
    killed_while_asking(shop)
    assert state(edit) == "waiting"
    assert shop.work() == 0  # its lease still runs
    shop.lease_runs_out()
    assert (shop.work(), state(edit), edit.error) == (1, "done", "")
    nodes = shop.web.order(first)["lineItems"]["nodes"]
    assert sorted((node["sku"], node["currentQuantity"]) for node in nodes) == [("BOWL", 1), ("MUG", 2)]
    assert (shop.levels("MUG")[0], shop.levels("BOWL")[0]) == ((20, 2), (20, 1))

    cancel = shop.ask(order, CancelOrder(order.external_id, pays_back=True, note="sold out"))
    killed_while_asking(shop)
    shop.lease_runs_out()
    assert (shop.work(), state(cancel)) == (1, "done")
    there = ShopifyOrder.objects.get()
    assert (there.cancel_reason, there.financial_status) == ("INVENTORY", "REFUNDED")
    assert Refund.objects.count() == 1
    assert (shop.levels("MUG")[0], shop.levels("BOWL")[0]) == ((20, 0), (20, 0))
    assert not Incident.objects.filter(resolved_at=None).exists()


def test_control_without_a_look_before_the_repeat_units_move_twice(shop: TwoChannels, monkeypatch: Any) -> None:
    """The guard taken away: a repeat that believes nothing was there moves two more."""
    from channels.connectors.shopify import acting

    order = shop.order_of(shop.web.place((shop.variant("MUG"), 4)))
    shop.move(order, 2)
    Fault.objects.create(vendor="shopify", operation="fulfillmentOrderMove", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work()
    shop.lease_runs_out()
    Connection.objects.update(resting_until=None)
    units = acting._units
    monkeypatch.setattr(
        acting, "_units", lambda parts, at: {} if at == shop.web.market.gid else units(parts, at=at)
    )  # fmt: skip
    shop.work()
    assert shop.levels("MUG") == [(20, 0), (20, 4)]


@pytest.mark.race
def test_a_form_sent_twice_asks_once_one_thing_at_a_time_by_one_worker_of_many(shop: TwoChannels) -> None:
    order = shop.order_of(shop.web.place((shop.variant("MUG"), 3)))
    key = uuid.uuid4()
    first = shop.move(order, 1, key=key)
    assert shop.move(order, 1, key=key).pk == first.pk
    with pytest.raises(commands.CannotAsk, match="under way"):
        shop.move(order, 2)
    commands.call_back(command=first, actor=shop.owner)
    assert state(first) == "called_back"
    with pytest.raises(commands.NotWaiting):
        commands.call_back(command=first, actor=shop.owner)
    assert shop.work() == 0
    second = shop.move(order, 2)
    Connection.objects.filter(pk=shop.pair.web.pk).update(state="paused")
    assert shop.work() == 0
    assert not [work for work in dispatcher.take_due() if work.kind == "commands"]
    Connection.objects.filter(pk=shop.pair.web.pk).update(state="live")
    gate, tried = threading.Barrier(4), []

    def work() -> None:
        gate.wait()
        tried.append(shop.work())
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(tried) == [0, 0, 0, 1]
    assert (state(second), shop.levels("MUG")) == ("done", [(20, 1), (20, 2)])


def test_what_has_moved_on_is_said_and_a_channel_that_fails_is_asked_until_it_is_given_up(shop: TwoChannels) -> None:
    placed = shop.web.place((shop.variant("MUG"), 3))
    order = shop.order_of(placed)
    shop.web.fulfil(placed, units=2)
    command = shop.move(order, 3)  # from what we knew before
    shop.work()
    assert state(command) == "failed"
    assert "waits there no more" in command.error
    assert shop.levels("MUG") == [(18, 1), (20, 0)]  # the order was read again on the way
    incident = Incident.objects.get(kind=Incident.Kind.COMMAND, resolved_at=None)
    assert "did not do it" in incident.title
    again = shop.move(order, 1)
    shop.work()
    assert (state(again), shop.levels("MUG")) == ("done", [(18, 0), (20, 1)])
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    with pytest.raises(commands.NotWaiting):
        commands.retry(command=again, actor=shop.owner)
    commands.retry(command=command, actor=shop.owner)
    shop.work()
    assert state(command) == "failed"

    order = shop.order_of(shop.web.place((shop.variant("BOWL"), 3)))
    command = shop.move(order, 1)
    Fault.objects.create(vendor="shopify", operation="", kind=Fault.Kind.SERVER_ERROR)
    for _ in range(commands.ATTEMPTS_MAX):
        assert state(command) == "waiting"
        shop.lease_runs_out()
        Connection.objects.update(resting_until=None, failures=0)
        assert shop.work() == 1
    assert state(command) == "failed"
    assert "Given up after 10 tries" in command.error
    Fault.objects.all().delete()
    Connection.objects.update(resting_until=None, failures=0)
    commands.retry(command=command, actor=shop.owner)
    assert (shop.work(), state(command), shop.levels("BOWL")) == (1, "done", [(20, 2), (20, 1)])


def test_others_cancel_what_they_can_and_say_what_a_person_does_with_the_rest(
    shop: TwoChannels,
) -> None:
    mug = shop.pair.till.listings.get(sku="MUG").external_id
    details = {"recipient": {"display_name": "Ann"}, "pickup_at": moment()}
    pickup = {"type": "PICKUP", "state": "RESERVED", "pickup_details": details}
    unpaid = shop.order_of(shop.till.order((mug, "2"), fulfillments=[pickup]))
    assert shop.levels("MUG")[0] == (20, 2)
    command = shop.ask(unpaid, CancelOrder(unpaid.external_id))
    shop.work(shop.pair.till)
    assert (state(command), shop.levels("MUG")[0]) == ("done", (20, 0))
    shop.hear()
    assert shop.levels("MUG")[0] == (20, 0)

    waiting = {**pickup, "state": "PROPOSED"}
    paid = shop.order_of(shop.till.sell((mug, "1"), fulfillments=[waiting]))
    command = shop.ask(paid, CancelOrder(paid.external_id))
    shop.work(shop.pair.till)
    assert state(command) == "failed"
    assert "Give the money back" in command.error
    with pytest.raises(commands.CannotAsk, match="belongs to its place"):
        shop.ask(paid, MoveUnits(paid.external_id, "A", "B", []))

    third = bringup.add_channel(merchant=shop.merchant, channel="woocommerce", actor=shop.owner, say=lambda words: None)
    site = WooShop(Site.objects.get(pk=third.account_id), third.base_url)
    sold = [site.order(BOWL=2), site.order(BOWL=1)]
    site.call("PUT", f"/orders/{sold[1]['id']}", {"status": "completed"})
    polling.poll(connection_id=third.pk)
    inbox.process(connection_id=third.pk, until=timezone.now() + timedelta(seconds=5))
    waiting, left = (Order.objects.get(channel_id=third.pk, external_id=str(one["id"])) for one in sold)
    before = site.stock("BOWL")
    command = shop.ask(waiting, CancelOrder(waiting.external_id))
    Fault.objects.create(vendor="woocommerce", operation="orders.update", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work(third)
    shop.lease_runs_out()
    assert (shop.work(third), state(command), command.attempts) == (1, "done", 2)
    assert site.stock("BOWL") == before + 2
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    with pytest.raises(commands.CannotAsk, match="Nothing of this order waits"):
        shop.ask(left, CancelOrder(left.external_id))
