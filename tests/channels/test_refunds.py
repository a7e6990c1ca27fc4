"""Money given back from the order's page and the collision desk: once, what the channel reckons, goods back once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from channels import asking, commands, inbox, polling, refunding, remedies
from channels.commands import CannotAsk
from channels.connectors.shopify import refunding as at_shopify
from channels.connectors.woocommerce import refunding as at_woocommerce
from channels.models import ChannelCommand, Collision, Connection
from channels.ports import OrderOption
from channels.refunding import Wish
from channels.sandbox import bringup
from channels.sandbox.models import Fault
from channels.sandbox.shopify.models import Order as ShopifyOrder
from channels.sandbox.shopify.models import Refund
from channels.sandbox.woocommerce.models import Refund as WooRefund
from channels.sandbox.woocommerce.models import Site
from inventory import verify
from inventory.models import Location, Order, OrderLine, StockMovement
from storestudio.accounts.models import Membership
from tests import factories
from tests.channels.test_collisions import claims_of, take
from tests.channels.two_channels import TwoChannels, state
from tests.sandbox.woocommerce_shop import WooShop

pytestmark = pytest.mark.django_db(transaction=True)


def refund_url(order: Order) -> str:
    return reverse("refund_order", args=[order.merchant.slug, order.pk])


def names(order: Order) -> dict[str, str]:
    """The form's fields by what they are about."""
    return {("left" if one.has_left else "waits"): one.name for one in refunding.returnable(order)}


def give(shop: TwoChannels, order: Order, wish: Wish, amount: Any = None, *, key: Any = None) -> ChannelCommand:
    return refunding.give_back(
        order=order, wish=wish, amount=None if amount is None else Decimal(amount), key=key or uuid.uuid4(),
        actor=shop.owner,
    )  # fmt: skip


def work_again(shop: TwoChannels, connection: Connection | None = None) -> None:
    shop.lease_runs_out()
    Connection.objects.update(resting_until=None)
    assert shop.work(connection) == 1


def test_a_person_gives_back_units_and_money_once_and_the_webhook_brings_nothing_back_twice(
    shop: TwoChannels, client: Any
) -> None:
    factories.MembershipFactory(merchant=shop.merchant, user=shop.owner)
    client.force_login(shop.owner)
    placed = shop.web.place((shop.variant("MUG"), 4))
    order = shop.order_of(placed)
    shop.web.fulfil(placed, units=2)
    shop.hear()
    market, fields = Location.objects.get(name="Market"), names(order)
    assert refund_url(order) in client.get(reverse("order", args=[shop.merchant.slug, order.pk])).text
    assert "with the customer" in client.get(refund_url(order)).text
    assert client.get(refund_url(order) + "?all=1").context["form"][fields["left"]].value() == 2
    typed: dict[str, Any] = {
        "key": uuid.uuid4(), fields["waits"]: "1", fields["left"]: "1", "restocks": "on", "place": market.pk,
    }  # fmt: skip
    too_many = client.post(refund_url(order), typed | {fields["left"]: "3", "step": "preview"})
    assert (too_many.status_code, "At most 2" in too_many.text) == (422, True)
    seen = client.post(refund_url(order), typed | {"step": "preview"})
    assert (seen.context["quote"].amount, seen.context["quote"].most) == (18, 36)
    assert seen.context["form"]["amount"].value() == "18.00"
    assert "back on the shelf at Market" in seen.text
    over = client.post(refund_url(order), typed | {"step": "pay", "amount": "36.01"})
    assert (over.status_code, "At most 36.00" in over.text) == (422, True)
    assert client.post(refund_url(order), typed | {"step": "pay", "amount": ""}).status_code == 422
    assert not ChannelCommand.objects.exists()
    for _ in range(2):  # the button pressed twice
        assert client.post(refund_url(order), typed | {"step": "pay", "amount": "18.00"}).status_code == 302
    command = ChannelCommand.objects.get()
    assert command.words == "give 18.00 GBP back for 2 × MUG"
    assert (shop.work(), state(command)) == (1, "done")
    assert Refund.objects.get().total == 18
    assert shop.levels("MUG") == [(18, 1), (21, 0)]
    posted = StockMovement.objects.count()
    shop.hear()
    assert (shop.levels("MUG"), StockMovement.objects.count()) == ([(18, 1), (21, 0)], posted)
    again = client.get(refund_url(order)).text
    assert "Given back from here before" in again

    lost = give(shop, order, Wish({names(order)["left"]: Decimal(1)}, restocks=False), "4.00")
    shop.work()
    line = OrderLine.objects.get()
    assert (state(lost), line.restocked, line.written_off, shop.levels("MUG")) == ("done", 1, 1, [(18, 1), (21, 0)])
    alone = give(shop, order, Wish({}), "5.00")
    shop.work()
    assert (state(alone), shop.levels("MUG")) == ("done", [(18, 1), (21, 0)])
    for wish, amount, words in (
        (Wish({}), "9.01", "At most 9.00 GBP"),
        (Wish({}), "0", "Nothing was chosen"),
        (Wish({names(order)["waits"]: Decimal(2)}), None, "of MUG 1 can be given back"),
        (Wish({"left_0": Decimal(1)}), None, "none can be given back"),
    ):
        with pytest.raises(CannotAsk, match=words):
            give(shop, order, wish, amount)
    give(shop, order, Wish({names(order)["waits"]: Decimal(1)}))
    shop.work()
    there = ShopifyOrder.objects.get()
    assert (there.financial_status, sum(one.total for one in Refund.objects.all())) == ("REFUNDED", 36)
    assert shop.levels("MUG") == [(18, 0), (21, 0)]
    assert verify.verify().breaches == []
    Membership.objects.update(role=Membership.Role.ASSOCIATE)
    assert client.get(refund_url(order)).status_code == 403


def a_lost_answer(shop: TwoChannels) -> ChannelCommand:
    """A refund of one of three that was made, and whose answer was lost."""
    order = shop.order_of(shop.web.place((shop.variant("MUG"), 3)))
    command = give(shop, order, Wish({names(order)["waits"]: Decimal(1)}))
    Fault.objects.create(vendor="shopify", operation="refundCreate", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work()
    assert state(command) == "waiting"
    return command


def test_a_refund_whose_answer_was_lost_is_paid_once(shop: TwoChannels) -> None:
    command = a_lost_answer(shop)
    work_again(shop)
    assert (state(command), command.attempts, Refund.objects.count()) == ("done", 2, 1)
    assert shop.levels("MUG") == [(20, 2), (20, 0)]


def test_control_without_the_same_key_it_is_paid_twice(shop: TwoChannels, monkeypatch: Any) -> None:
    a_lost_answer(shop)
    once = at_shopify.give_back
    monkeypatch.setattr(
        at_shopify, "give_back", lambda client, action, key: once(client, action=action, key=str(uuid.uuid4()))
    )
    work_again(shop)
    assert Refund.objects.count() == 2


@pytest.fixture
def woo(shop: TwoChannels) -> tuple[Connection, WooShop]:
    third = bringup.add_channel(merchant=shop.merchant, channel="woocommerce", actor=shop.owner, say=lambda words: None)
    return third, WooShop(Site.objects.get(pk=third.account_id), third.base_url)


def woo_order(
    woo: tuple[Connection, WooShop], *, paid_by: str = "stripe", units: int = 3, is_sent: bool = False
) -> Order:
    connection, site = woo
    body: dict[str, Any] = {"line_items": site.lines(MUG=units), "payment_method": paid_by}
    body |= {"set_paid": True} if paid_by else {"status": "on-hold"}
    made = site.call("POST", "/orders", body)
    if is_sent:
        site.call("PUT", f"/orders/{made['id']}", {"status": "completed"})
    polling.poll(connection_id=connection.pk)
    inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=5))
    return Order.objects.get(channel_id=connection.pk, external_id=str(made["id"]))


def woo_lost_answer(shop: TwoChannels, woo: tuple[Connection, WooShop]) -> ChannelCommand:
    order = woo_order(woo)
    command = give(shop, order, Wish({names(order)["waits"]: Decimal(1)}))
    Fault.objects.create(vendor="woocommerce", operation="refunds.create", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work(woo[0])
    assert state(command) == "waiting"
    return command


def test_woocommerce_pays_by_its_gateway_once_though_it_knows_no_key(
    shop: TwoChannels, woo: tuple[Connection, WooShop]
) -> None:
    command = woo_lost_answer(shop, woo)
    work_again(shop, woo[0])
    made = WooRefund.objects.get()
    assert (state(command), made.amount, made.refunded_payment) == ("done", 9, True)
    assert sum(committed for _, committed in shop.levels("MUG")) == 2
    posted = StockMovement.objects.count()
    polling.poll(connection_id=woo[0].pk)
    shop.hear()
    inbox.process(connection_id=woo[0].pk, until=timezone.now() + timedelta(seconds=5))
    assert StockMovement.objects.count() == posted
    rest = give(shop, command.order, Wish({names(command.order)["waits"]: Decimal(2)}))
    shop.work(woo[0])
    assert state(rest) == "done"
    assert woo[1].call("GET", f"/orders/{command.order.external_id}")["status"] == "refunded"
    assert sum(committed for _, committed in shop.levels("MUG")) == 0
    with pytest.raises(CannotAsk, match=r"At most 0\.00"):
        give(shop, command.order, Wish({}), "1.00")
    assert verify.verify().breaches == []


def test_control_woocommerce_pays_twice_where_no_mark_is_looked_for(
    shop: TwoChannels, woo: tuple[Connection, WooShop], monkeypatch: Any
) -> None:
    woo_lost_answer(shop, woo)
    monkeypatch.setattr(at_woocommerce, "meta", lambda document: {})
    work_again(shop, woo[0])
    assert WooRefund.objects.count() == 2


def test_a_gateway_that_cannot_is_quoted_and_money_given_by_hand_is_noted(
    shop: TwoChannels, woo: tuple[Connection, WooShop]
) -> None:
    sent = woo_order(woo, paid_by="cod", is_sent=True)
    wish = Wish({names(sent)["left"]: Decimal(1)}, restocks=False)
    refused = give(shop, sent, wish)
    shop.work(woo[0])
    assert (state(refused), WooRefund.objects.count()) == ("failed", 0)
    assert "payment gateway for this order does not exist" in refused.error
    assert "only notes it" in refused.error
    noted = give(shop, sent, Wish(wish.units, restocks=False, is_noted_only=True, note="cash"), "8.00")
    assert noted.words == "note that 8.00 GBP were given back for 1 × MUG, its units written off"
    shop.work(woo[0])
    made, line = WooRefund.objects.get(), OrderLine.objects.get(order=sent)
    assert (state(noted), made.amount, made.refunded_payment, made.reason) == ("done", 8, False, "cash")
    assert (line.fulfilled, line.restocked, line.written_off) == (3, 0, 1)
    back = give(shop, sent, Wish({names(sent)["left"]: Decimal(1)}, is_noted_only=True))
    shop.work(woo[0])
    line.refresh_from_db()
    assert (state(back), line.restocked, line.written_off) == ("done", 1, 1)
    unpaid = woo_order(woo, paid_by="")
    told = refunding.quote(order=unpaid, wish=Wish({names(unpaid)["waits"]: Decimal(1)}))
    assert (told.amount, told.most, told.words) == (0, 0, "Nobody has paid it: there is no money to give back.")


def test_units_are_taken_off_at_the_desk_with_their_money(
    shop: TwoChannels, woo: tuple[Connection, WooShop], client: Any
) -> None:
    first = shop.order_of(shop.web.place((shop.variant("MUG"), 12), (shop.variant("BOWL"), 1)))
    Order.objects.filter(pk=first.pk).update(placed_at=timezone.now() - timedelta(hours=1))  # so it keeps its units
    second = woo_order(woo, units=6)
    place = second.lines.get().holds.get().location
    assert place.name == "High Street"
    take(shop, "MUG", 6)  # 14 left for 12 + 6
    collision = Collision.objects.get()
    loser = claims_of(collision)[-1]
    assert (loser.order, loser.short) == (second, 4)
    offer = next(one for one in remedies.offers(collision=collision, claim=loser) if one.name == "cancel")
    assert (offer.by_hand, offer.words, "is paid back" in offer.detail) == ("", "Take 4 off the order", True)
    wish = remedies.Wish(loser.line.pk, "cancel", uuid.uuid4())
    made = [remedies.decide(collision=collision, wish=wish, actor=shop.owner) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].command.words == "give 36.00 GBP back for 4 × MUG"
    shop.work(woo[0])
    assert (WooRefund.objects.get().amount, WooRefund.objects.get().reason) == (36, "sold out")
    collision.refresh_from_db()
    assert collision.closed_at is not None
    take(shop, "MUG", 4)  # ten for 12 + 2
    again = Collision.objects.get(closed_at=None)
    for claim in [one for one in claims_of(again) if one.short > 0]:
        remedies.decide(
            collision=again, wish=remedies.Wish(claim.line.pk, "cancel", uuid.uuid4()), actor=shop.owner
        )  # fmt: skip
    shop.work(woo[0])
    shop.work()
    assert woo[1].call("GET", f"/orders/{second.external_id}")["status"] == "refunded"
    assert (Refund.objects.get().total, shop.levels("MUG")[0]) == (18, (10, 10))
    assert Order.objects.get(pk=first.pk).state == "open"
    assert verify.verify().breaches == []


def test_where_we_have_no_leave_to_pay_it_says_so_and_where_to_do_it(shop: TwoChannels, client: Any) -> None:
    factories.MembershipFactory(merchant=shop.merchant, user=shop.owner)
    client.force_login(shop.owner)
    sold = shop.order_of(shop.till.sell((shop.pair.till.listings.get(sku="MUG").external_id, "1")))
    assert OrderOption.RECKONS not in asking.choices(sold).options
    page, form = (
        client.get(reverse("order", args=[shop.merchant.slug, sold.pk])).text,
        client.get(refund_url(sold)).text,
    )
    for shown in (page, form):
        assert "PAYMENTS_WRITE" in shown
        assert "https://app.squareup.com/dashboard/" in shown
    assert "Cancel the order" not in page
    with pytest.raises(CannotAsk, match="PAYMENTS_WRITE"):
        give(shop, sold, Wish({}), "1.00")
    web = shop.order_of(shop.web.place((shop.variant("MUG"), 1)))
    Fault.objects.create(vendor="shopify", operation="", kind=Fault.Kind.SERVER_ERROR)
    typed = {"key": uuid.uuid4(), names(web)["waits"]: "1", "step": "preview"}
    failed = client.post(refund_url(web), typed)
    assert (failed.status_code, "nothing was given back. Try again" in failed.text) == (422, True)
    assert not commands.ChannelCommand.objects.exists()
