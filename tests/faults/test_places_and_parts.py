"""Public disasters with places, parts and marketplaces (docs/faults.md): each on the naive path first, then here."""

import uuid
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from channels import inbox, polling, publisher
from channels.sandbox import standins
from channels.sandbox.shopify.models import InventoryLevel
from channels.sandbox.trading.web import CANCEL, Web
from inventory.models import Order, OrderHold, StockLevel, StockMovement
from inventory.routing import deciding
from inventory.routing.deciding import Policy
from tests.own.shops import a_site

SLICE = timedelta(seconds=10)


def naive_spread(wanted, offered):
    """Each place gives as much of the whole order as it has; what other places gave already is ignored."""
    return [min(wanted, units) for units in offered]


@pytest.mark.django_db
def test_3_an_order_larger_than_any_one_place_is_spread_once():
    """vendurehq/vendure#4030: 10 + 13 were allocated instead of 10 + 3."""
    assert naive_spread(13, [10, 12]) == [10, 12], "control: the second place gives for the first one's units too"
    shop = a_site()
    first, second = (place.pk for place in shop.places)
    shop.put_on_shelf("MUG", 5)  # ten with the five there are
    shop.put_on_shelf("MUG", 12, place=1)
    policy = Policy(("ranking",), places_max=2)
    deciding.set_policy(merchant=shop.site.merchant, actor=shop.owner, policy=policy)

    held = shop.api.hold("cart-1", ("MUG", 13)).json()
    shop.api.call("POST", f"/holds/{held['id']}/convert", {"order_id": "1"})
    left = {place: shop.level("MUG", place=n).available for n, place in enumerate((first, second))}

    spread = OrderHold.objects.filter(line__order__external_id="1").values_list("location_id", "committed")
    assert sorted(units for _, units in spread) in ([1, 12], [3, 10])
    assert sum(left.values()) == 22 - 13
    assert min(left.values()) == 0
    # What is allocated already is no one else's.
    assert shop.api.hold("cart-2", ("MUG", 10)).status_code == 409
    assert shop.api.hold("cart-3", ("MUG", 9)).status_code == 201


def buy(pair, invoice, units):
    """Two mugs, paid, in the web shop; the order's id and the shop's client."""
    own = standins.of("shopify").describe(pair.web)
    goods = {"MUG-0": f"{pair.web.listings.get(sku='MUG-0').external_id}"}
    web = Web(graphql_url=own["graphql_url"], token=own["access_token"], goods=goods, name=invoice)
    return web, web.buy(invoice=invoice, units={"MUG-0": units}).sale


def cancel(web, sale, *, restocks):
    """As a marketplace's connector does it, which leaves the goods out, or as a person who puts them back."""
    document = CANCEL.replace("restock: true", f"restock: {'true' if restocks else 'false'}")
    body = {"query": document, "variables": {"id": sale.order_id, "key": str(uuid.uuid4())}}
    answer = requests.post(web.url, json=body, headers=dict(web.caller.session.headers), timeout=10).json()
    assert not answer.get("errors"), answer


def take_in(pair):
    """The web shop's orders as its feed tells them, then everybody's numbers."""
    polling.poll(connection_id=pair.web.pk)
    inbox.process(connection_id=pair.web.pk, until=timezone.now() + SLICE)
    for connection in (pair.web, pair.till):
        publisher.publish(connection_id=connection.pk, until=timezone.now() + SLICE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("restocks", "left"), [(True, 10), (False, 8)])
def test_16_a_cancelled_order_puts_back_what_its_channel_put_back_and_no_unit_is_lost_from_sight(pair, restocks, left):
    """Shopify Marketplace Connect's help: orders cancelled by a marketplace are not restocked, by choice.

    There is no rule a channel to get wrong: of each order we do what its channel did with the units, so that both
    numbers stay one. What was not put back is written off, with the order as its reason.
    """
    web, sale = buy(pair, "1", 2)
    take_in(pair)
    level = StockLevel.objects.get(variant__sku="MUG-0")
    assert (level.available, level.committed) == (8, 2)

    cancel(web, sale, restocks=restocks)
    shown = InventoryLevel.objects.get(item__sku="MUG-0").available
    assert (shown == 8 + 2) is restocks, "control: who restocks all that is cancelled offers units that are not there"
    take_in(pair)

    level.refresh_from_db()
    assert (level.available, level.committed) == (left, 0)
    assert shown == left
    assert standins.of("square").shown(pair.till)[key_at(pair.till)] == left
    order = Order.objects.get(channel_id=pair.web.pk)
    moved = StockMovement.objects.filter(order=order).order_by("pk")
    assert sum(one.on_hand for one in moved) == left - 10
    assert sum(one.committed for one in moved) == 0


def key_at(connection, sku="MUG-0"):
    """As the stand-in names the till's cell."""
    return connection.listings.get(sku=sku).inventory_id, connection.locations.get().external_id
