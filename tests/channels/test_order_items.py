"""Items changed from the order's own page: looked at first, asked once, refused in words where it cannot be."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from channels import order_items
from channels.commands import CannotAsk
from channels.connectors.shopify import acting
from channels.models import ChannelCommand, Connection, Listing
from channels.order_items import Items
from channels.sandbox.models import Fault
from inventory import verify
from inventory.models import Location, Order, StockMovement, Variant
from storestudio.accounts.models import Membership
from tests import factories
from tests.channels.two_channels import TwoChannels, state
from tests.sandbox.square_shop import moment

pytestmark = pytest.mark.django_db(transaction=True)


def items_url(order: Order) -> str:
    return reverse("order_items", args=[order.merchant.slug, order.pk])


def manage(client: Any, shop: TwoChannels) -> None:
    factories.MembershipFactory(merchant=shop.merchant, user=shop.owner)
    client.force_login(shop.owner)


def change(shop: TwoChannels, order: Order, items: Items, *, key: uuid.UUID | None = None) -> ChannelCommand:
    return order_items.change(
        order=order, items=items, restocks=True, note="", key=key or uuid.uuid4(), actor=shop.owner
    )  # fmt: skip


def on_it(shop: TwoChannels, placed: Any) -> list[tuple[str, int]]:
    nodes = shop.web.order(placed)["lineItems"]["nodes"]
    return sorted((node["sku"], node["currentQuantity"]) for node in nodes)


def test_a_person_takes_units_off_and_puts_others_on_and_it_is_done_once(shop: TwoChannels, client: Any) -> None:
    manage(client, shop)
    placed = shop.web.place((shop.variant("MUG"), 3))
    order = shop.order_of(placed)
    line, bowl, market = order.lines.get(), Variant.objects.get(sku="BOWL"), Location.objects.get(name="Market")
    page = reverse("order", args=[shop.merchant.slug, order.pk])
    assert f'href="{items_url(order)}"' in client.get(page).text
    assert "Waits at" in client.get(items_url(order)).text
    typed: dict[str, Any] = {"key": uuid.uuid4(), f"units_{line.pk}": "2", "place": market.pk, "restocks": "on"}
    found = client.post(items_url(order), typed | {"code": "bowl", "step": "preview"})  # Enter in the search field
    assert 'name="variant"' in found.text
    assert found.context["form"]["note"].value() is None
    assert client.post(items_url(order), typed | {"code": "nothing", "step": "add"}).status_code == 422
    typed |= {"variant": bowl.pk, f"v{bowl.pk}-quantity": "1", "note": "one was broken"}
    seen = client.post(items_url(order), typed | {"step": "preview"})
    assert [(one.name, one.before, one.after, one.place) for one in seen.context["steps"]] == [
        ("MUG", 3, 2, "High Street"), ("BOWL", 0, 1, "Market"),
    ]  # fmt: skip
    assert not ChannelCommand.objects.exists()
    assert client.post(items_url(order), typed | {"step": "edit"}).status_code == 200
    for _ in range(2):  # the button pressed twice
        assert client.post(items_url(order), typed | {"step": "ask"}).status_code == 302
    command = ChannelCommand.objects.get()
    assert command.words == "take 1 × MUG off, put 1 × BOWL on"
    assert "Call it back" in client.get(page).text
    assert (shop.work(), state(command)) == (1, "done")
    assert on_it(shop, placed) == [("BOWL", 1), ("MUG", 2)]
    assert (shop.levels("MUG"), shop.levels("BOWL")) == ([(20, 2), (20, 0)], [(20, 0), (20, 1)])
    posted = StockMovement.objects.count()
    shop.hear()
    assert StockMovement.objects.count() == posted

    more = {line.pk: Decimal(4)}
    change(shop, order, Items(more, [(bowl.pk, Decimal(2))], market))  # more of what is on it is more of its line
    shop.work()
    assert on_it(shop, placed) == [("BOWL", 3), ("MUG", 4)]
    assert sum(committed for _, committed in shop.levels("MUG")) == 4
    assert verify.verify().breaches == []


def goods_alone(shop: TwoChannels) -> tuple[Any, ChannelCommand]:
    """A command that only adds, whose answer was lost after it was done."""
    placed = shop.web.place((shop.variant("MUG"), 3))
    order = shop.order_of(placed)
    street = Location.objects.get(name="High Street")
    command = change(shop, order, Items({}, [(Variant.objects.get(sku="BOWL").pk, Decimal(2))], street))
    Fault.objects.create(vendor="shopify", operation="orderEditCommit", kind=Fault.Kind.TIMEOUT_AFTER, remaining=1)
    shop.work()
    assert state(command) == "waiting"
    shop.lease_runs_out()
    Connection.objects.update(resting_until=None)
    return placed, command


def test_goods_put_on_without_a_line_that_tells_are_put_on_once_whatever_answer_is_lost(shop: TwoChannels) -> None:
    placed, command = goods_alone(shop)
    assert (shop.work(), state(command), command.attempts) == (1, "done", 2)
    assert on_it(shop, placed) == [("BOWL", 2), ("MUG", 3)]
    assert shop.levels("BOWL") == [(20, 2), (20, 0)]


def test_control_a_repeat_that_does_not_look_puts_them_on_twice(shop: TwoChannels, monkeypatch: Any) -> None:
    placed, _ = goods_alone(shop)
    monkeypatch.setattr(acting, "_goods_tell", lambda client, action: (True, False))
    shop.work()
    assert sum(units for sku, units in on_it(shop, placed) if sku == "BOWL") == 4


def test_what_cannot_be_is_refused_in_words_and_nothing_is_asked(shop: TwoChannels, client: Any) -> None:
    manage(client, shop)
    placed = shop.web.place((shop.variant("MUG"), 3))
    order = shop.order_of(placed)
    shop.web.fulfil(placed, units=1)
    shop.hear()
    line, bowl = order.lines.get(), Variant.objects.get(sku="BOWL")
    street = Location.objects.get(name="High Street")
    typed: dict[str, Any] = {"key": uuid.uuid4(), "place": street.pk, "step": "preview"}
    for units, words in (("0", "1 have left already"), ("2.5", "Whole units only"), ("", "Type how many units")):
        refused = client.post(items_url(order), typed | {f"units_{line.pk}": units})
        assert (refused.status_code, words in refused.text) == (422, True), words
    for items, words in (
        (Items({line.pk: Decimal(3)}), "Nothing is changed yet"),
        (Items({line.pk: Decimal(42)}), "^2 of MUG more than are free"),  # 39 more, 37 are
        (Items({}, [(bowl.pk, Decimal(21))], street), "^1 of BOWL more than are free"),
        (Items({}, [(bowl.pk, Decimal(1))]), "Choose the place"),
        (Items({line.pk + 999: Decimal(1)}), "changed meanwhile"),
        (Items({line.pk: Decimal(0)}), "have left already"),
    ):
        with pytest.raises(CannotAsk, match=words):
            change(shop, order, items)
    whole = shop.order_of(shop.web.place((shop.variant("BOWL"), 1)))
    with pytest.raises(CannotAsk, match="cancel the order instead"):
        change(shop, whole, Items({whole.lines.get().pk: Decimal(0)}))
    short = client.post(
        items_url(order), typed | {f"units_{line.pk}": "3", "variant": bowl.pk, f"v{bowl.pk}-quantity": "30"}
    )  # fmt: skip
    assert "more than are free" in short.text
    assert 'value="ask"' not in short.text
    Listing.objects.filter(connection=shop.pair.web, sku="BOWL").update(deleted_at=moment())
    with pytest.raises(CannotAsk, match=r"does not list BOWL"):
        change(shop, order, Items({}, [(bowl.pk, Decimal(1))], street))
    assert not ChannelCommand.objects.exists()

    shop.web.fulfil(placed, units=1)  # we have not heard of it yet
    command = change(shop, order, Items({line.pk: Decimal(1)}))
    shop.work()
    assert state(command) == "failed"
    page = client.get(reverse("order", args=[shop.merchant.slug, order.pk])).text
    assert command.error in page.replace("&#x27;", "'")
    assert "Ask again" in page

    mug = shop.pair.till.listings.get(sku="MUG").external_id
    pickup = {
        "type": "PICKUP", "state": "PROPOSED",
        "pickup_details": {"recipient": {"display_name": "Ann"}, "pickup_at": moment()},
    }  # fmt: skip
    paid = shop.order_of(shop.till.sell((mug, "1"), fulfillments=[pickup]))
    said = client.get(items_url(paid)).text
    assert "Refund the item at the till" in said
    assert 'name="key"' not in said
    Membership.objects.update(role=Membership.Role.ASSOCIATE)
    assert client.get(items_url(order)).status_code == 403
