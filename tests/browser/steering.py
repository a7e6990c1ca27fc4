"""What steers a shop besides its stock: rules, questions about drift, a guard's stop, its own site, holds, routing."""

from __future__ import annotations

import uuid
from datetime import time, timedelta
from decimal import Decimal

from django.utils.timezone import now as utc_now

from channels import collisions, guards, remedies, rules
from channels.models import (
    AvailabilityRule,
    ChannelCommand,
    ChannelStock,
    Collision,
    GuardStop,
    Listing,
    RuleChange,
    StockGap,
)
from channels.own import endpoints, tokens
from channels.own import site as sites
from channels.own.models import Scope, Topic, WebhookAttempt, WebhookDelivery, WebhookMessage
from inventory import ledger, orders, reservations
from inventory.models import Order, StockLevel
from inventory.reservations import Want
from inventory.routing import deciding
from inventory.routing.engine import Point
from onboarding.writeback import drafting
from tests import factories
from tests.browser.scenes import Scene
from tests.browser.travelling import Answer

State, Cause, Deed = StockGap.State, StockGap.Cause, StockGap.Deed


def empty_paths(scene: Scene) -> dict[str, str]:
    """The pages of a shop that steers nothing yet."""
    home = scene.home
    return {
        "rules": f"{home}rules/",
        "rule-new": f"{home}rules/new/",
        "api": f"{home}api/",
        "holds": f"{home}holds/",
        "holds-ended": f"{home}holds/?show=ended",
        "routing": f"{home}routing/",
        "collisions": f"{home}collisions/",
    }


def steer(scene: Scene) -> dict[str, str]:
    """Give a shop with goods all of it; the pages to look at."""
    web = scene.connections[0]
    here = f"{scene.home}channels/{web.pk}/"
    rule = _rules(scene)
    stop = _drift(scene)
    endpoint, delivery = _site(scene)
    order = _routing(scene)
    collision, loser = _promised_twice(scene)
    return empty_paths(scene) | {
        "rules-none": f"{scene.home}rules/?q=nothing",
        "rule": f"{scene.home}rules/{rule.pk}/",
        "rule-delete": f"{scene.home}rules/{rule.pk}/delete/",
        "selling": f"{here}selling/",
        "variant": f"{scene.home}stock/{scene.variants[0].pk}/",
        "drift": f"{here}drift/",
        "drift-asked": f"{here}drift/?state=asked",
        "stop": f"{here}stops/{stop.pk}/",
        "endpoint": f"{scene.home}api/endpoints/{endpoint.pk}/",
        "delivery": f"{scene.home}api/deliveries/{delivery.pk}/",
        "routing-draft": f"{scene.home}routing/?rules=ranking,warehouse&places=2",
        "place": f"{scene.home}routing/places/{scene.locations[0].pk}/",
        "order": f"{scene.home}orders/{order.pk}/",
        "collision": f"{scene.home}collisions/{collision.pk}/",
        "collisions-over": f"{scene.home}collisions/?state=closed",
        "order-asked": f"{scene.home}orders/{loser.pk}/",
        "order-move": f"{scene.home}orders/{loser.pk}/move/",
        "order-cancel": f"{scene.home}orders/{loser.pk}/cancel/",
        "order-items": f"{scene.home}orders/{loser.pk}/items/",
        "order-refund": f"{scene.home}orders/{loser.pk}/refund/",
    }


def before_a_yes(scene: Scene) -> dict[str, str | Answer]:
    """The pages that ask before they act, or say what is wrong; cleaned fields on their way to a channel."""
    home, web = scene.home, scene.connections[0]
    here = f"{home}channels/{web.pk}/"
    over = factories.CollisionFactory(variant=scene.variants[0], location=scene.locations[0])
    event = factories.InboundEventFactory(connection=web, state="discarded", outcome="junk", body=b"\x00\xff" * 900)
    Listing.objects.filter(connection=web, variant=scene.variants[0]).update(sku="written otherwise there")
    write = drafting.draft(connection_id=web.pk, actor=scene.user)
    return {
        "rule-check": Answer(f"{home}rules/new/?connection={web.pk}", "See what changes", {"Keep back": "3"}),
        "rule-wrong": Answer(f"{home}rules/new/", "See what changes", {"SKU or barcode": "LNO-01"}, 422),
        "selling-check": Answer(f"{here}selling/", "See what changes"),
        "place-wrong": Answer(f"{home}routing/places/{scene.locations[0].pk}/", "Save", {"Latitude": "51"}, 422),
        "collision-over": f"{home}collisions/{over.pk}/",
        "event-discarded": f"{home}events/{event.pk}/",
        "write-backs": f"{home}write-back/",
        "write-back": f"{home}write-back/{write.pk}/",
        "api-docs": "/api/docs",
    }


def _rules(scene: Scene) -> AvailabilityRule:
    shop, now = scene.merchant, utc_now()
    web, till = scene.connections[:2]
    said = [
        AvailabilityRule(merchant=shop, safety_stock=2, note="The window display"),
        AvailabilityRule(merchant=shop, connection=web, cap=3, share_percent=Decimal(50)),
        AvailabilityRule(merchant=shop, variant=scene.variants[0], connection=web, is_paused=True),
        AvailabilityRule(merchant=shop, location=scene.locations[1], channel_buffer=1, ends_at=now + timedelta(days=9)),
        AvailabilityRule(
            merchant=shop, variant=scene.variants[8], oversell="preorder", oversell_max=20, first_connection=web,
            first_until=now + timedelta(days=3), promised_date=(now + timedelta(days=30)).date(),
            message="Ships in the first week of next month, as soon as the container is in",
            note="A long note: the supplier has promised it twice already and was late both times",
        ),
        AvailabilityRule(merchant=shop, connection=till, mode="escrow", starts_at=now + timedelta(days=1)),
        AvailabilityRule(merchant=shop, variant=scene.variants[4], is_tracked=False, ends_at=now - timedelta(days=1)),
    ]  # fmt: skip
    for rule in said:
        rules.save(rule=rule, actor=scene.user)
    rules.undo(change=RuleChange.objects.order_by("-pk")[0], actor=scene.user)
    return said[0]


def _drift(scene: Scene) -> GuardStop:
    """Three questions, what was healed and decided, alone and at once, and a stop over all that is left."""
    web, now = scene.connections[0], utc_now()
    cells = list(ChannelStock.objects.filter(connection=web).select_related("listing").order_by("pk"))
    edited = {"change": "adjusted in the dashboard", "by": "Ida Holm"}
    written_over = {"overwritten": 3, "app": "Stocky", "app_id": "stocky"}
    told = [
        (Cause.UNKNOWN, {}, State.ASKED, Deed.NOTHING, Decimal(3)),
        (Cause.OTHER_APP, written_over, State.ASKED, Deed.NOTHING, Decimal(9)),
        (Cause.OTHER_APP, written_over, State.ASKED, Deed.NOTHING, Decimal(7)),
        (Cause.LINK_BROKEN, {"gone": True}, State.ASKED, Deed.NOTHING, None),
        (Cause.MISSED_WEBHOOK, {"order": "#1043"}, State.HEALED, Deed.APPLIED, Decimal(4)),
        (Cause.MANUAL_EDIT, edited, State.HEALED, Deed.BOOKED, Decimal(2)),
        (Cause.UNIT_MISMATCH, {"factor": 12}, State.DECIDED, Deed.OURS, Decimal(60)),
        (Cause.CLAMPED, {"below": -2}, State.OPEN, Deed.NOTHING, Decimal(0)),
        (Cause.UNKNOWN, {}, State.DECIDED, Deed.THEIRS, Decimal(5)),
        (Cause.UNKNOWN, {}, State.DECIDED, Deed.THEIRS, Decimal(6)),
    ]
    at_once = uuid.uuid4()
    for cell, (cause, evidence, state, deed, observed) in zip(cells, told, strict=False):
        is_over = state in (State.HEALED, State.DECIDED)
        factories.StockGapFactory(
            cell=cell, cause=cause, evidence=evidence, state=state, deed=deed, observed=observed,
            question=f"app:{web.pk}:stocky" if cause == Cause.OTHER_APP else f"cell:{cell.pk}",
            moved=Decimal(-1) if deed in (Deed.APPLIED, Deed.BOOKED, Deed.THEIRS) else Decimal(0),
            decision=at_once if deed == Deed.THEIRS else None,
            closed_at=now if is_over else None, closed_by=scene.user if state == State.DECIDED else None,
        )  # fmt: skip
    cuts = [guards.Cut(cell.pk, cell.expected or Decimal(5), Decimal(0)) for cell in cells]
    stop = guards.judge(web, kind=GuardStop.Kind.READING, cuts=cuts)
    assert stop is not None
    return stop


def _site(scene: Scene) -> tuple[object, WebhookDelivery]:
    """A site with tokens of every state, an endpoint that fails and one that does not, and holds of every end."""
    now, person = utc_now(), scene.user
    site = sites.open_site(merchant=scene.merchant, label="meadow.example", actor=person)
    tokens.issue(connection=site, name="Server", scopes=Scope.values, actor=person)
    tokens.issue(
        connection=site, name="Reporting", scopes=[Scope.values[0]], actor=person, expires_at=now + timedelta(days=30)
    )
    lost, _ = tokens.issue(connection=site, name="Laptop that was lost", scopes=[Scope.values[0]], actor=person)
    tokens.revoke(token=lost, actor=person)
    topics = [topic for topic in Topic.values if topic != Topic.PING]
    endpoint, _ = endpoints.add(
        site=site, url="https://shop.meadow.example/hooks/storestudio/availability-and-holds/v2", topics=topics,
        description="The shop's own server", actor=person,
    )  # fmt: skip
    till, _ = endpoints.add(site=site, url="https://pos.meadow.example/told", topics=topics[-1:], actor=person)
    type(endpoint).objects.filter(pk=endpoint.pk).update(failing_since=now - timedelta(hours=3))
    held = _holds(scene, site.pk)
    message = WebhookMessage.objects.create(
        merchant=scene.merchant, connection=site, message_id="msg_3fT9", topic=topics[-1], reservation=held,
        body='{"type":"hold.expired","timestamp":"2026-11-28T09:30:00.000Z","data":{"hold":{"reference":"cart-41"}}}',
    )  # fmt: skip
    delivery = WebhookDelivery.objects.create(
        merchant=scene.merchant, message=message, endpoint=endpoint, attempts=2, next_attempt_at=now
    )
    for minutes, status, error in ((9, 503, ""), (4, 0, "Connection refused by shop.meadow.example:443")):
        WebhookAttempt.objects.create(
            delivery=delivery, sent_at=now - timedelta(minutes=minutes), took_ms=812, status=status, error=error,
            answer="<html><body>Service unavailable</body></html>" if status else "",
        )  # fmt: skip
    WebhookDelivery.objects.create(
        merchant=scene.merchant, message=message, endpoint=till, attempts=8, state="failed", ended_at=now
    )
    return endpoint, delivery


def _holds(scene: Scene, site_id: int) -> object:
    now, place = utc_now(), scene.locations[0]
    most = place.levels.order_by("-on_hand", "pk")[:3]
    wants = [Want(level.variant_id, place.pk, Decimal(1)) for level in most]
    ends = {"cart-41": 40, "cart-42 with a long name that the site gave it": 890, "": 3600, "cart-44": 600}
    made = [
        reservations.grant(
            merchant_id=scene.merchant.pk, key=f"hold-{number}", wants=wants[: number + 1], now=now,
            expires_at=now + timedelta(seconds=seconds), channel_id=site_id, reference=reference,
        ).reservation
        for number, (reference, seconds) in enumerate(ends.items())
    ]  # fmt: skip
    reservations.release(reservation_id=made[-1].pk, now=now, actor=scene.user, reason="the cart was emptied")
    return made[0]


def _routing(scene: Scene) -> Order:
    """Two places with all there is to say of one, decisions with reasons, one of an order."""
    now, (street, room) = utc_now(), scene.locations[:2]
    type(street).objects.filter(pk=street.pk).update(
        latitude=Decimal("51.50720"), longitude=Decimal("-0.12760"), orders_a_day_max=12, ships_until=time(16, 30)
    )
    type(room).objects.filter(pk=room.pk).update(
        latitude=Decimal("53.80080"), longitude=Decimal("-1.54910"), is_warehouse=True, rank=1
    )
    order = Order.objects.filter(merchant=scene.merchant).latest("placed_at")
    one, two = scene.variants[:2]
    paris = Point(48.8566, 2.3522)
    for reference, wanted, to in (
        ("hold:1", {one.pk: Decimal(1)}, paris),
        ("hold:2", {one.pk: Decimal(2), two.pk: Decimal(1)}, None),
        ("hold:3", {one.pk: Decimal(90)}, None),
    ):
        offered = {place.pk: {one.pk: Decimal(5), two.pk: Decimal(2)} for place in (street, room)}
        deciding.choose(
            merchant_id=scene.merchant.pk, reference=reference, wanted=wanted, offered=offered, destination=to, now=now
        )
    deciding.belongs_to_order(merchant_id=scene.merchant.pk, reference="hold:1", order_id=order.pk)
    return order


def _promised_twice(scene: Scene) -> tuple[Collision, Order]:
    """Two orders over what a till has just sold, one of them asked for elsewhere and refused; and one that is over."""
    web, street, (one, *others) = scene.connections[0], scene.locations[0], scene.variants
    scene.connections[0].locations.filter(location=None).delete()
    left = StockLevel.objects.get(variant=one, location=street).available
    now = utc_now()
    for number, units in enumerate((left - 1, Decimal(3)), start=1):
        line = orders.LineState(
            "1", "", one.pk, one.sku, one.full_title, units, [orders.Hold(street.pk, committed=units)]
        )
        state = orders.OrderState(
            f"twice-{number}", f"#20{number}", now - timedelta(minutes=9 - number), now, 1, False, [line],
            total=Decimal("48.00"), currency="GBP",
        )  # fmt: skip
        orders.apply(merchant_id=scene.merchant.pk, channel_id=web.pk, states=[state])
    collisions.sweep(merchant_id=scene.merchant.pk)
    found = Collision.objects.get(variant=one, location=street)
    level = StockLevel.objects.select_related("location").get(variant=one, location=street)
    loser = collisions.claims(level)[-1]
    offer = remedies.offers(collision=found, claim=loser)[0]
    decision = remedies.decide(
        collision=found, wish=remedies.Wish(loser.line.pk, offer.name, uuid.uuid4(), "call her first"), actor=scene.user
    )
    ChannelCommand.objects.filter(pk=decision.command_id).update(
        state="failed", attempts=1, ended_at=now, error="Shopify: The location does not stock the items."
    )
    entry = ledger.Entry(others[0].pk, street.pk, "adjust", "twice", now, on_hand=Decimal(-500), reason="flood")
    ledger.record(merchant_id=scene.merchant.pk, source="user", entries=[entry])
    collisions.sweep(merchant_id=scene.merchant.pk)
    back = ledger.Entry(others[0].pk, street.pk, "receive", "back", now, on_hand=Decimal(600))
    ledger.record(merchant_id=scene.merchant.pk, source="user", entries=[back])
    collisions.sweep(merchant_id=scene.merchant.pk)
    return found, loser.order
