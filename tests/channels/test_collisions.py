"""The collision desk: found within the same posting, fair by a stated order, one click does it at the channel."""

from __future__ import annotations

import threading
import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as playing
from hypothesis import strategies as st

from channels import collisions, commands, remedies
from channels.models import ChannelCommand, Collision, CollisionDecision, Incident
from inventory import arrivals, bundles, ledger, orders, verify
from inventory.bundles import Part
from inventory.models import Location, Order, Product, StockLevel, Variant
from storestudio.accounts.models import Membership
from tests import factories
from tests.channels.two_channels import TwoChannels
from tests.own.shops import a_site

pytestmark = pytest.mark.django_db(transaction=True)


def take(shop: TwoChannels, sku: str, units: int, *, place: str = "High Street", kind: str = "adjust") -> None:
    """Units are gone from a shelf, as somebody found."""
    variant, where = Variant.objects.get(sku=sku), Location.objects.get(name=place)
    entry = ledger.Entry(
        variant.pk, where.pk, kind, uuid.uuid4().hex, timezone.now(), on_hand=Decimal(-units), actor_id=shop.owner.pk,
        reason="broken",
    )  # fmt: skip
    ledger.record(merchant_id=shop.merchant.pk, source="user", entries=[entry])
    collisions.sweep(merchant_id=shop.merchant.pk)


def claims_of(collision: Collision) -> list[collisions.Claim]:
    level = StockLevel.objects.select_related("location", "variant__product").get(
        variant=collision.variant_id, location=collision.location_id
    )
    return collisions.claims(level)


def decide(shop: TwoChannels, collision: Collision, claim: Any, offer: str, **more: Any) -> CollisionDecision:
    wish = remedies.Wish(claim.line.pk, offer, more.pop("key", None) or uuid.uuid4(), **more)
    return remedies.decide(collision=collision, wish=wish, actor=shop.owner)


def offered(collision: Collision, claim: Any) -> list[str]:
    return [one.name for one in remedies.offers(collision=collision, claim=claim) if not one.by_hand]


def test_the_later_order_loses_is_offered_a_way_and_ships_from_elsewhere_by_one_click(
    shop: TwoChannels,
    client: Any,
) -> None:
    market = Location.objects.get(name="Market")
    first = shop.order_of(shop.web.place((shop.variant("MUG"), 15)))
    second = shop.order_of(shop.web.place((shop.variant("MUG"), 4)))
    take(shop, "MUG", 3)
    collision = Collision.objects.get()
    assert (collision.missing, collision.cause, collision.closed_at) == (2, "adjusted", None)
    assert "broken" in collision.cause_words
    assert Incident.objects.filter(kind="oversold", resolved_at=None).count() == 1
    keeper, loser = claims_of(collision)
    assert (keeper.order, keeper.gets, keeper.short) == (first, 15, 0)
    assert (loser.order, loser.gets, loser.short) == (second, 2, 2)
    assert first.number in loser.why
    assert offered(collision, loser) == [f"reroute:{market.pk}", "cancel"]

    member = factories.MembershipFactory(merchant=shop.merchant, role=Membership.Role.ASSOCIATE)
    client.force_login(member.user)
    page = reverse("collision", args=[shop.merchant.slug, collision.pk])
    assert "Somebody who manages" in client.get(page).text
    sent = {"line": loser.line.pk, "offer": f"reroute:{market.pk}", "key": uuid.uuid4(), "extra_cost": "4.50"}
    form = reverse("decide_collision", args=[shop.merchant.slug, collision.pk])
    assert client.post(form, sent).status_code == 403
    client.force_login(factories.MembershipFactory(merchant=shop.merchant).user)
    assert "Ship 2 from Market" in client.get(page).text
    assert client.post(form, {**sent, "offer": "reroute:999999"}).status_code == 422
    assert client.post(form, {**sent, "offer": ""}).status_code == 422
    assert not CollisionDecision.objects.exists()
    for _ in range(2):  # a form sent twice decides once
        assert client.post(form, sent, follow=True).status_code == 200
    decision = CollisionDecision.objects.get()
    assert (decision.kind, decision.units, decision.cost, decision.currency) == (
        "reroute",
        2,
        Decimal("4.50"),
        second.currency,
    )
    shown = client.get(page).text
    assert "Being asked" in shown
    look = {"part": "collision", "seen": shown.partition("part=collision&amp;seen=")[2][:16]}
    assert client.get(page, look).status_code == 204
    order_page = reverse("order", args=[shop.merchant.slug, second.pk])
    assert "Call it back" in client.get(order_page).text
    assert shop.work() == 1
    assert shop.levels("MUG") == [(17, 17), (20, 2)]
    collision.refresh_from_db()
    assert collision.closed_at is not None
    assert "Order released" in collision.closing
    assert collision.closing in client.get(page, look).text, "the open page shows it by itself"
    assert Incident.objects.get(kind="oversold").quiet_at is not None
    shop.hear()
    assert shop.levels("MUG") == [(17, 17), (20, 2)]
    assert Collision.objects.count() == 1
    for name, words in (("collisions", "4.50"), ("collisions", "Nothing is promised twice")):
        assert words in client.get(reverse(name, args=[shop.merchant.slug])).text
    assert collision.closing in client.get(reverse("collisions", args=[shop.merchant.slug]) + "?state=closed").text
    assert "Ship 2 from Market" in client.get(page).text

    move = reverse("move_order", args=[shop.merchant.slug, first.pk])
    shown = client.get(move)
    assert "has all of it" in shown.text
    hold = first.lines.get().holds.get(committed__gt=0)
    wanted = {
        "key": uuid.uuid4(), "origin": hold.location_id, "place": market.pk, f"units_{hold.pk}": "16",
    }  # fmt: skip
    assert client.post(move, wanted).status_code == 422
    assert client.post(move, {**wanted, f"units_{hold.pk}": "1"}).status_code == 302
    command = ChannelCommand.objects.latest("pk")
    back = reverse("call_back_command", args=[shop.merchant.slug, first.pk, command.pk])
    assert "Nobody was asked" in client.post(back, follow=True).text
    cancel = reverse("cancel_order", args=[shop.merchant.slug, first.pk])
    assert "cannot be taken back" in client.get(cancel).text
    assert client.post(cancel, {"key": uuid.uuid4(), "restocks": "on", "note": "asked by phone"}).status_code == 302
    shop.work()
    assert shop.levels("MUG") == [(17, 2), (20, 2)]
    assert verify.verify().breaches == []


def test_a_sale_in_hand_takes_what_was_promised_and_the_others_wait_get_another_or_nothing(shop: TwoChannels) -> None:
    product = Product.objects.get(title="MUG")
    Variant.objects.filter(sku="BOWL").update(product=product)
    street = Location.objects.get(name="High Street")
    placed = [shop.order_of(shop.web.place((shop.variant("MUG"), units))) for units in (10, 6, 4)]
    shop.till.sell((shop.pair.till.listings.get(sku="MUG").external_id, "8"))
    shop.hear()
    collision = Collision.objects.get()
    assert (collision.missing, collision.cause) == (8, "till")
    assert "in hand" in collision.cause_words
    assert collision.connection == shop.pair.till
    assert collision.latency_s is not None
    keeps, some, none = claims_of(collision)
    assert [(one.order, one.gets) for one in (keeps, some, none)] == [(placed[0], 10), (placed[1], 2), (placed[2], 0)]

    arrival = arrivals_due(shop, "MUG", 12, on=timezone.localdate() + timedelta(days=3))
    assert "backorder" in offered(collision, none)
    waits = decide(shop, collision, none, "backorder")
    assert (waits.until_date, waits.command, waits.cost) == (arrival, None, 0)
    collision.refresh_from_db()
    assert (collision.closed_at, [one.why for one in claims_of(collision)][-1][:9]) == (None, "waits for")
    remedies.undo(decision=waits, actor=shop.owner)
    assert "backorder" in offered(collision, claims_of(collision)[-1])
    with pytest.raises(commands.NotWaiting):
        remedies.undo(decision=CollisionDecision.objects.get(pk=waits.pk), actor=shop.owner)
    decide(shop, collision, claims_of(collision)[-1], "backorder")

    bowl = Variant.objects.get(sku="BOWL")
    some = next(one for one in claims_of(collision) if one.order == placed[1])
    assert f"substitute:{bowl.pk}" in offered(collision, some)
    swap = decide(shop, collision, some, f"substitute:{bowl.pk}", note="she likes blue")
    assert (swap.units, swap.note) == (4, "she likes blue")
    with pytest.raises(commands.CannotAsk, match="under way"):
        decide(shop, collision, some, "cancel")
    assert shop.work() == 1
    assert (shop.levels("MUG")[0], shop.levels("BOWL")[0]) == ((12, 16), (20, 4))
    collision.refresh_from_db()
    assert collision.closed_at is not None  # the last four wait for the delivery, by a person's decision
    assert "waits for a delivery" in collision.closing

    CollisionDecision.objects.filter(kind="backorder").update(until_date=timezone.localdate() - timedelta(days=1))
    collisions.sweep(merchant_id=shop.merchant.pk)
    again = Collision.objects.get(closed_at=None)  # its day went by and nothing came
    last = claims_of(again)[-1]
    gone = decide(shop, again, last, "cancel")
    assert (gone.cost, gone.units) == (Decimal("36.00"), 4)
    shop.work()
    assert Order.objects.get(pk=placed[2].pk).state == "cancelled"
    assert (shop.levels("MUG")[0], shop.levels("BOWL")[0]) == ((12, 12), (20, 4))
    again.refresh_from_db()
    assert again.closed_at is not None
    assert street.name in str(again.location)
    assert collisions.sums(merchant_id=shop.merchant.pk, since=timezone.now() - timedelta(days=1)).count == 2
    assert verify.verify().breaches == []


def arrivals_due(shop: TwoChannels, sku: str, units: int, *, on: date) -> date:
    """A supplier's delivery to the first place, on its way."""
    variant, place = Variant.objects.get(sku=sku), Location.objects.get(name="High Street")
    plan = arrivals.Plan(None, "Potters", place, on, "", [(variant, Decimal(units))])
    made = arrivals.draft(merchant=shop.merchant, actor=shop.owner, key=uuid.uuid4(), plan=plan)
    arrivals.send(
        merchant=shop.merchant, actor=shop.owner, arrival_id=made.pk, key=uuid.uuid4(), now=timezone.now()
    )  # fmt: skip
    return on


def test_a_bundle_loses_with_its_part_and_what_comes_back_closes_it() -> None:
    site = a_site(units=5)
    made = factories.VariantFactory(merchant=site.site.merchant, product__merchant=site.site.merchant, sku="SET")
    parts = [Part(site.variants[sku].pk, Decimal(2)) for sku in ("MUG", "BOWL")]
    bundles.define(variant=made, parts=parts, is_stocked=False, actor=None)
    for number, (sku, units) in enumerate((("MUG", 2), ("SET", 2)), start=1):
        line = {"line_id": "1", "sku": sku, "quantity": units}
        assert site.api.post("/orders", {"order_id": str(number), "lines": [line]}).status_code == 201
    collision = Collision.objects.get()  # 2 + 2 × 2 mugs of five
    assert (collision.variant, collision.missing, collision.cause) == (site.variants["MUG"], 1, "late")
    mug, bundle = claims_of(collision)
    assert (mug.gets, bundle.units, bundle.gets, remedies.units_of(bundle)) == (2, 4, 3, 1)
    assert [one["gets"] for one in collision.claims] == ["2", "3"]
    site.put_on_shelf("MUG", 1, place=1)  # elsewhere: nothing to the point
    collisions.sweep(merchant_id=site.site.merchant_id)
    assert Collision.objects.filter(closed_at=None).count() == 1
    site.put_on_shelf("MUG", 1)
    collisions.sweep(merchant_id=site.site.merchant_id)
    collision.refresh_from_db()
    assert collision.closed_at is not None
    assert collision.closing == "Received: 0 available again."
    collisions.sweep()
    assert Collision.objects.count() == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["order", "take", "receive", "hold"]), st.integers(1, 4)),
        st.tuples(st.sampled_from(["cancel", "ship"]), st.integers(0, 5)),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


class Shelf:
    """One thing at one place, sold by one channel; every step is judged by the desk at once."""

    def __init__(self) -> None:
        cell = factories.ChannelStockFactory(connection__is_live=True)
        self.merchant, self.channel = cell.merchant, cell.connection
        self.variant, self.place = cell.listing.variant, cell.channel_location.location
        self.placed: list[dict[str, Decimal]] = []
        self.move("opening", counted=Decimal(6))

    def move(self, kind: str, **amounts: Decimal) -> None:
        entry = ledger.Entry(self.variant.pk, self.place.pk, kind, uuid.uuid4().hex, timezone.now(), **amounts)
        ledger.record(merchant_id=self.merchant.pk, source="test", entries=[entry])

    def tell(self, number: int, *, committed: Decimal, fulfilled: Decimal = Decimal(0)) -> None:
        hold = orders.Hold(self.place.pk, committed, fulfilled)
        line = orders.LineState("1", "", self.variant.pk, "", "", committed + fulfilled, [hold])
        state = orders.OrderState(
            str(number), "", timezone.now(), timezone.now(), 1, not (committed or fulfilled), [line]
        )  # fmt: skip
        orders.apply(merchant_id=self.merchant.pk, channel_id=self.channel.pk, states=[state])

    def step(self, what: str, units: int) -> None:
        if what == "order":
            self.placed.append({"units": Decimal(units)})
            self.tell(len(self.placed) - 1, committed=Decimal(units))
        elif what in ("cancel", "ship") and units < len(self.placed):
            left = self.placed[units].pop("units", Decimal(0))
            if left:
                self.tell(units, committed=Decimal(0), fulfilled=left if what == "ship" else Decimal(0))
        elif what == "hold":
            self.move("reserve", reserved=Decimal(units))
            self.move("unreserve", reserved=Decimal(-units))
        elif what in ("take", "receive"):
            sign = 1 if what == "receive" else -1
            self.move("adjust" if sign < 0 else "receive", on_hand=Decimal(sign * units))

    def check(self) -> None:
        level = StockLevel.objects.select_related("location", "variant__product").get(variant=self.variant)
        open_ones = Collision.objects.filter(variant=self.variant, closed_at=None)
        assert [one.missing for one in open_ones] == ([-level.available] if level.available < 0 else [])
        assert all(one.closing for one in Collision.objects.filter(variant=self.variant).exclude(closed_at=None))
        found = collisions.claims(level)
        assert sum(one.units for one in found) == level.committed
        assert sum(one.gets for one in found) == min(level.committed, max(level.on_hand, Decimal(0)))
        served = [one.short == 0 for one in found]
        assert served == sorted(served, reverse=True)  # nobody is served past somebody who goes without


@playing(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_whatever_happens_a_collision_is_open_just_while_somebody_goes_without(steps: list[tuple[str, int]]) -> None:
    shelf = Shelf()
    for what, units in steps:
        shelf.step(what, units)
        collisions.sweep(merchant_id=shelf.merchant.pk)
        shelf.check()


def test_two_sweeps_at_once_open_one_collision() -> None:
    shelf = Shelf()
    shelf.tell(0, committed=Decimal(9))
    gate = threading.Barrier(4)

    def sweep() -> None:
        gate.wait()
        collisions.sweep(merchant_id=shelf.merchant.pk)
        connections.close_all()

    workers = [threading.Thread(target=sweep) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Collision.objects.get().missing == 3
    with pytest.raises(IntegrityError):
        Collision.objects.create(merchant=shelf.merchant, variant=shelf.variant, location=shelf.place, missing=3)
