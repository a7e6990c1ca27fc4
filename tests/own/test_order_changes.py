"""What people do with the site's orders: done in our books and told to the site, both or neither."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from channels import commands, order_items, refunding
from channels.models import ChannelCommand
from channels.order_items import Items
from channels.own import acting, deliveries, endpoints
from channels.own.models import WebhookDelivery, WebhookMessage
from channels.ports import AddedLine, CancelOrder, EditOrder, LineChange, LineMove, MoveUnits, OrderAction
from inventory import verify
from inventory.models import Order
from tests.own.shops import Shop, a_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    """Five mugs and bowls at the first place, two at the second; an order of three mugs."""
    shop = a_site()
    for sku in ("MUG", "BOWL"):
        shop.put_on_shelf(sku, 2, place=1)
    endpoints.add(site=shop.site, url="http://127.0.0.1:9/hooks", topics=["order.changed"], actor=shop.owner)
    line = {"line_id": "1", "sku": "MUG", "quantity": 3}
    assert shop.api.post("/orders", {"order_id": "1042", "lines": [line]}).status_code == 201
    return shop


def ask(shop: Shop, action: OrderAction) -> ChannelCommand:
    command = commands.ask(
        order=Order.objects.get(), action=action, words="as asked", key=uuid.uuid4(), actor=shop.owner
    )  # fmt: skip
    commands.carry_out(connection_id=shop.site.pk, until=timezone.now() + timedelta(seconds=5))
    command.refresh_from_db()
    return command


def told(shop: Shop) -> list[dict[str, Any]]:
    deliveries.make_up()
    return [json.loads(row.body)["data"] for row in WebhookMessage.objects.order_by("pk")]


def committed(shop: Shop, sku: str) -> tuple[Decimal, Decimal]:
    return shop.level(sku, 0).committed, shop.level(sku, 1).committed


def test_units_ship_from_another_place_and_stay_there_whatever_the_site_sends_later(shop: Shop) -> None:
    here, there = (str(place.pk) for place in shop.places)
    command = ask(shop, MoveUnits("1042", here, there, [LineMove("1", Decimal(1))]))
    assert (command.state, committed(shop, "MUG")) == ("done", (2, 1))
    (message,) = told(shop)
    assert message["change"] == {"kind": "move", "words": "as asked", "note": ""}
    assert [place["waiting"] for place in message["order"]["lines"][0]["places"]] == [2, 1]
    assert WebhookDelivery.objects.count() == 1
    for units, expected in ((3, (2, 1)), (2, (1, 1))):
        shop.api.call("PUT", "/orders/1042", {"lines": [{"line_id": "1", "sku": "MUG", "quantity": units}]})
        assert committed(shop, "MUG") == expected
    stale = ask(shop, MoveUnits("1042", here, there, [LineMove("1", Decimal(2))]))
    assert (stale.state, committed(shop, "MUG")) == ("failed", (1, 1))
    assert "waits there no more" in stale.error
    assert WebhookMessage.objects.count() == 1
    assert verify.verify().breaches == []


def test_a_line_is_exchanged_for_another_and_the_order_cancelled(shop: Shop) -> None:
    bowl = AddedLine(str(shop.variants["BOWL"].pk), Decimal(1), str(shop.places[1].pk))
    swap = EditOrder("1042", [LineChange("1", Decimal(3), Decimal(2))], [bowl], note="one was broken")
    command = ask(shop, swap)
    assert (command.state, committed(shop, "MUG"), committed(shop, "BOWL")) == ("done", (2, 0), (0, 1))
    assert told(shop)[0]["change"]["note"] == "one was broken"
    assert ask(shop, swap).state == "failed"  # it is not three any more
    assert committed(shop, "BOWL") == (0, 1)
    done = ask(shop, CancelOrder("1042"))
    assert (done.state, committed(shop, "MUG"), committed(shop, "BOWL")) == ("done", (0, 0), (0, 0))
    assert [one["order"]["state"] for one in told(shop)] == ["open", "cancelled"]


def test_a_message_that_cannot_be_written_leaves_the_order_as_it_was(shop: Shop, monkeypatch: Any) -> None:
    monkeypatch.setattr(acting, "Topic", None)
    with pytest.raises(AttributeError):
        ask(shop, CancelOrder("1042"))
    command = ChannelCommand.objects.get()
    assert (command.state, command.attempts, committed(shop, "MUG")) == ("waiting", 1, (3, 0))
    monkeypatch.undo()
    ChannelCommand.objects.update(next_attempt_at=timezone.now())
    commands.carry_out(connection_id=shop.site.pk, until=timezone.now() + timedelta(seconds=5))
    assert committed(shop, "MUG") == (0, 0)
    assert [one["order"]["state"] for one in told(shop)] == ["cancelled"]


def test_a_person_puts_more_on_the_order_and_the_site_is_told(shop: Shop) -> None:
    order, bowl = Order.objects.get(), shop.variants["BOWL"].pk
    items = Items({order.lines.get().pk: Decimal(4)}, [(bowl, Decimal(2))], shop.places[1])
    command = order_items.change(
        order=order, items=items, restocks=True, note="by phone", key=uuid.uuid4(), actor=shop.owner
    )  # fmt: skip
    commands.carry_out(connection_id=shop.site.pk, until=timezone.now() + timedelta(seconds=5))
    command.refresh_from_db()
    assert (command.state, committed(shop, "MUG"), committed(shop, "BOWL")) == ("done", (4, 0), (0, 2))
    (message,) = told(shop)
    assert message["change"] == {"kind": "edit", "words": "put 1 × MUG, 2 × BOWL on", "note": "by phone"}
    assert [line["quantity"] for line in message["order"]["lines"]] == [4, 2]
    assert verify.verify().breaches == []


def test_money_is_given_back_for_what_waits_and_what_left_and_the_site_is_told_how_much(shop: Shop) -> None:
    order = Order.objects.get()
    shop.api.post("/orders/1042/fulfil", {"lines": [{"line_id": "1", "fulfilled": 1}]})
    waits, left = refunding.returnable(order)
    wish = refunding.Wish({waits.name: Decimal(1), left.name: Decimal(1)}, place=shop.places[1], note="late")
    with pytest.raises(commands.CannotAsk, match="Say how much"):
        refunding.give_back(order=order, wish=wish, amount=None, key=uuid.uuid4(), actor=shop.owner)
    command = refunding.give_back(
        order=order, wish=wish, amount=Decimal("7.5"), key=uuid.uuid4(), actor=shop.owner
    )  # fmt: skip
    commands.carry_out(connection_id=shop.site.pk, until=timezone.now() + timedelta(seconds=5))
    command.refresh_from_db()
    assert (command.state, command.error, committed(shop, "MUG")) == ("done", "", (1, 0))
    assert (shop.level("MUG", 0).on_hand, shop.level("MUG", 1).on_hand) == (4, 3)
    change = told(shop)[-1]["change"]
    assert (change["kind"], Decimal(change["amount"]), change["currency"]) == ("refund", Decimal("7.5"), "GBP")
    assert refunding.given_back(order) == Decimal("7.5")
    whole = refunding.Wish({one.name: one.most for one in refunding.returnable(order)})
    refunding.give_back(order=order, wish=whole, amount=Decimal(0), key=uuid.uuid4(), actor=shop.owner)
    commands.carry_out(connection_id=shop.site.pk, until=timezone.now() + timedelta(seconds=5))
    assert committed(shop, "MUG") == (0, 0)
    assert verify.verify().breaches == []
