"""In every mode: eight processes hold and order twenty units, in duplicate lines and in pairs, on the shop's own site.

What is granted is what the mode lets the site sell, to the unit; together with what other channels may still show it is
never more than there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.utils.timezone import now as utc_now

from channels.models import CellPolicy, ChannelStock, Connection
from channels.own import holds, orders, site
from channels.own.holds import HoldWish
from channels.own.site import Asked
from inventory import bundles, verify
from inventory.models import Bundle, StockLevel
from tests.channels.rules_shop import a_shop
from tests.races.test_holds_race import TRIES, UNITS, Cell, at_once

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
HIDDEN = 6


@dataclass(frozen=True)
class Scene:
    """Twenty cups, and pairs of them, that three channels and the shop's own site list in one mode."""

    mode: str
    cell: Cell
    site_id: int

    def granted_at_most(self) -> int:
        """Units that the site may grant before the others are told anew."""
        hidden = HIDDEN if self.mode == "buffered" else 0
        return UNITS - hidden - self.shown_elsewhere()

    def shown_elsewhere(self) -> int:
        """Units that channels with a checkout of their own may sell without asking."""
        if self.mode != "escrow":
            return 0
        return sum(
            _units(cell) * int(max(cell.desired or 0, cell.expected or 0))
            for cell in _cells().exclude(connection=self.site_id)
        )


def _cells() -> Any:
    return ChannelStock.objects.select_related("listing")


def _units(cell: ChannelStock) -> int:
    return 2 if Bundle.objects.filter(variant=cell.listing.variant_id).exists() else 1


@pytest.fixture(params=("shared", "buffered", "escrow"))
def scene(request: Any) -> Scene:
    shop = a_shop(channels=("Till", "Web", "Market"))
    own = site.open_site(merchant=shop.merchant, label="Own site", actor=shop.owner)
    cup, pair = shop.variant(units=UNITS), shop.variant(units=0)
    bundles.define(variant=pair, parts=[bundles.Part(cup.pk, Decimal(2))], is_stocked=False, actor=None)
    site.follow_catalog(own)
    shop.rule(mode=request.param)
    if request.param == "buffered":
        CellPolicy.objects.filter(cell__listing__variant=cup).update(hidden=HIDDEN)
        CellPolicy.objects.filter(cell__listing__variant=pair).update(hidden=HIDDEN // 2)
    shop.believe()
    return Scene(request.param, (shop.merchant.pk, cup.pk, shop.places[0].pk), own.pk)


@pytest.fixture
def no_lock() -> Iterator[None]:
    """Holds are judged by what was read, and taken later, as if nobody else were there."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'inventory_reserve'")
        real = cursor.fetchone()[0]
        bare = real.replace("FOR v_round IN 1..2 LOOP", "FOR v_round IN 1..1 LOOP")
        bare = bare.replace("IF v_round = 1 THEN", "IF v_round = 2 THEN")
        insert = "INSERT INTO inventory_reservation ("
        bare = bare.replace(insert, f"PERFORM pg_sleep(1.5); {insert}")  # everybody has looked
        # The posting's own guard is one more.
        bare = bare.replace("'reservation', p_channel, v_beyond IS NULL,", "'reservation', p_channel, false,")
        cursor.execute(bare)
    yield
    with database.cursor() as cursor:
        cursor.execute(real)


def _customers(cell: Cell, number: int, gate: Any) -> int:
    """Two lines of a cup each, or a pair, by turns; every other hold becomes an order. Units granted to one process."""
    merchant_id, cup, _ = cell
    pair = Bundle.objects.values_list("variant_id", flat=True).get()
    site_id = Connection.objects.values_list("pk", flat=True).get(channel="own")
    granted = 0
    for n in range(TRIES):
        gate.wait()  # everybody asks at once, every time
        wanted = [pair] if (number + n) % 2 else [cup, cup]
        lines = [Asked(Decimal(1), variant_id=variant_id) for variant_id in wanted]
        wish = HoldWish(f"{number}:{n}", lines, timedelta(minutes=5))
        try:
            held = holds.grant(site_id=site_id, merchant_id=merchant_id, wish=wish, now=utc_now())
        except holds.NotEnough:
            continue
        granted += 2
        if n % 2:
            head = orders.OrderHead(order_id=f"{number}:{n}")
            holds.convert(site_id=site_id, hold_id=held.reservation.public_id, order=head, now=utc_now())
    return granted


def test_what_the_mode_lets_the_site_sell_is_promised_and_never_one_more(scene: Scene) -> None:
    at_most = scene.granted_at_most()
    granted = at_once(_customers, scene.cell)
    if scene.mode == "escrow":  # the site's part shrinks with the pool until the others were told
        assert 0 < granted <= at_most
    else:
        assert granted == at_most
    assert granted + scene.shown_elsewhere() <= UNITS
    level = StockLevel.objects.get(variant=scene.cell[1])
    assert level.reserved + level.committed == granted
    assert verify.verify().breaches == []


def test_control_without_the_lock_more_is_promised(scene: Scene, no_lock: None) -> None:
    at_most = scene.granted_at_most()
    assert at_once(_customers, scene.cell) > at_most
