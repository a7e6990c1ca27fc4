"""A hold, its expiry and its conversion, as the till and the web shop show them: over real HTTP to both stand-ins."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from channels import credentials, linking, publisher
from channels.own import site as sites
from channels.sandbox import bringup
from inventory import reservations
from inventory.models import Reservation
from storestudio.accounts.models import Merchant
from tests.channels.shops import owner_of, some_goods
from tests.own.shops import Api, api_of

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "High Street"


@pytest.fixture
def pair(live_server: Any, settings: Any) -> bringup.Pair:
    """A shop whose till and web shop are live and show ten mugs each."""
    settings.ROOT_URLCONF = "tests.simulation.urls"
    settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
    merchant = Merchant.objects.create(name="Corner", slug="corner")
    stock = [one for one in some_goods("MUG") if not one.variants[0].counts.clear()]
    stock[0].variants[0].counts[PLACE] = 10
    return bringup.bring_up(
        merchant=merchant, actor=owner_of(merchant), goods=stock, places=[PLACE], domain="corner.myshopify.com",
        say=lambda words: None,
    )  # fmt: skip


@pytest.fixture
def api(pair: bringup.Pair) -> Api:
    site = sites.open_site(merchant=pair.merchant, label="Own site", actor=owner_of(pair.merchant))
    return api_of(site)


def shown(pair: bringup.Pair) -> list[Decimal]:
    """What the vendors themselves show, once what is due was sent."""
    numbers = []
    for connection in (pair.till, pair.web):
        linking.ensure_cells(connection)
        publisher.publish(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=20))
        place = connection.locations.get().external_id
        listing = connection.listings.get().inventory_id
        (count,) = credentials.connector(connection).read_counts(inventory_ids=[listing], location_ids=[place])
        numbers.append(count.quantity)
    return numbers


def test_every_channel_shows_the_hold_its_end_and_its_order(pair: bringup.Pair, api: Api) -> None:
    assert shown(pair) == [10, 10]
    first = api.hold("a", ("MUG", 4)).json()
    assert shown(pair) == [6, 6]
    second = api.hold("b", ("MUG", 6))
    assert (second.status_code, shown(pair)) == (201, [0, 0])
    assert api.hold("c", ("MUG", 1)).status_code == 409

    Reservation.objects.filter(public_id=first["id"]).update(expires_at=timezone.now())
    assert reservations.expire_due(now=timezone.now()) == 1
    assert shown(pair) == [4, 4]

    order = api.post(f"/holds/{second.json()['id']}/convert", {"order_id": "1042"})
    assert (order.status_code, shown(pair)) == (200, [4, 4])
    api.post("/orders/1042/fulfil", {})
    assert shown(pair) == [4, 4]
    api.post(
        "/orders/1042/returns", {"return_id": "r", "lines": [{"line_id": "1", "quantity": 2, "is_restocked": True}]}
    )
    assert shown(pair) == [6, 6]
