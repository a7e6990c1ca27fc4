"""Shops for looking at: one that runs well, one with nothing in it yet, one where much is wrong."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils.timezone import now as utc_now

from channels.models import (
    ChannelLocation,
    ChannelStock,
    ChannelWrite,
    ChannelWriteLine,
    Connection,
    InboundEvent,
    Incident,
    Listing,
)
from inventory import ledger
from inventory.models import Location, Order, Variant
from storestudio.accounts.models import Membership, Merchant, User
from tests import factories

GOODS = [
    ("Linen Overshirt", ["S / Sand", "M / Sand", "L / Sand"], "LNO"),
    ("Merino Crew", ["S / Navy", "M / Navy"], "MER"),
    ("Canvas Tote", ["One size"], "TOT"),
    ("Selvedge Denim", ["30 / Indigo", "32 / Indigo"], "DNM"),
    ("Wool Beanie with a rather long name that has to wrap somewhere", ["Grey", "Moss"], "BNE"),
    ("Ceramic Mug", ["White"], "MUG"),
]


@dataclass
class Scene:
    """A shop and the person who looks at it."""

    merchant: Merchant
    user: User
    connections: list[Connection]
    variants: list[Variant]
    locations: list[Location]

    @property
    def home(self) -> str:
        return f"/{self.merchant.slug}/"

    def paths(self) -> dict[str, str]:
        """The pages of this scene that are worth a picture, by name."""
        found = {"today": self.home, "channels": f"{self.home}channels/", "shops": "/?all=1"}
        for connection in self.connections[:1]:
            page = f"{self.home}channels/{connection.pk}/"
            found |= {
                "connection": page,
                "messages": f"{page}messages/",
                "quarantine": f"{page}messages/?state=quarantined",
                "writes": f"{page}writes/",
                "listings": f"{page}listings/",
                "places": f"{page}places/",
                "preview": f"{page}preview/",
            }
        return found


def _shop(slug: str, *, name: str) -> tuple[Merchant, User]:
    merchant = factories.MerchantFactory(name=name, slug=slug)
    user = factories.UserFactory(name="Ada Okafor", email=f"ada@{slug}.example")
    factories.MembershipFactory(user=user, merchant=merchant, role=Membership.Role.OWNER)
    return merchant, user


def empty() -> Scene:
    """The first minute: a shop, its owner, nothing else."""
    merchant, user = _shop("new", name="Fern & Thread")
    return Scene(merchant, user, [], [], [])


def full() -> Scene:
    """A good day: two channels in lockstep, one that waits for its first yes."""
    dice = random.Random(7)
    merchant, user = _shop("meadow", name="Meadow & Co")
    now = utc_now()
    locations = [factories.LocationFactory(merchant=merchant, name=name) for name in ("High Street", "Stock room")]
    variants = _goods(merchant)
    till = factories.ConnectionFactory(merchant=merchant, label="Square till", is_live=True, approved_by=user)
    web = factories.ConnectionFactory(
        merchant=merchant, label="Web shop", channel="shopify", account_id="meadow.myshopify.com",
        is_live=True, approved_by=user, token_expires_at=now + timedelta(hours=20),
    )  # fmt: skip
    _stock(variants, locations, dice=dice)
    _sell(variants, locations[0], [till, web], dice=dice, now=now)
    for connection in (till, web):
        _listings(connection, variants, locations)
        _traffic(connection, dice=dice, now=now)
    return Scene(merchant, user, [web, till], variants, locations)


def fresh() -> Scene:
    """A channel connected an hour ago, whose first numbers wait for a yes; many would drop to zero."""
    dice = random.Random(3)
    merchant, user = _shop("fresh", name="Fresh Start")
    locations = [factories.LocationFactory(merchant=merchant, name="High Street")]
    variants = _goods(merchant)
    web = factories.ConnectionFactory(merchant=merchant, label="Web shop", channel="shopify", polled_at=utc_now())
    _stock(variants, locations, dice=dice)
    _sell_out(variants[:6], locations[0])
    _listings(web, variants, locations)
    for cell in ChannelStock.objects.filter(connection=web).select_related("listing__variant"):
        (level,) = cell.listing.variant.levels.all()
        observed = dice.choice([level.available, level.available + 4, Decimal(30), Decimal(0)])
        ChannelStock.objects.filter(pk=cell.pk).update(
            desired=max(level.available, Decimal(0)), observed=observed, expected=None
        )
    return Scene(merchant, user, [web], variants, locations)


def _sell_out(variants: list[Variant], location: Location) -> None:
    entries = [
        ledger.Entry(
            variant_id=level.variant_id,
            location_id=location.pk,
            kind=ledger.Kind.ADJUST,
            key=f"gone:{level.pk}",
            occurred_at=utc_now(),
            on_hand=-level.on_hand,
        )
        for variant in variants
        for level in variant.levels.all()
    ]
    with transaction.atomic():
        ledger.post(merchant_id=location.merchant_id, source="user", entries=entries)


def broken() -> Scene:
    """A bad day: contact lost, drift, a refused number, messages in quarantine, goods oversold."""
    dice = random.Random(11)
    merchant, user = _shop("stormy", name="Stormy & Daughters")
    other = factories.MerchantFactory(name="Second shop", slug="second")
    factories.MembershipFactory(user=user, merchant=other, role=Membership.Role.MANAGER)
    now = utc_now()
    locations = [factories.LocationFactory(merchant=merchant, name=name) for name in ("Harbour", "Stock room")]
    variants = _goods(merchant)
    till = factories.ConnectionFactory(
        merchant=merchant, label="Square till", is_live=True, approved_by=user,
        last_error="429 Too many requests",
    )  # fmt: skip
    web = factories.ConnectionFactory(
        merchant=merchant, label="Web shop", channel="shopify", account_id="stormy.myshopify.com",
        state=Connection.State.RECONNECT, state_reason="Access token was revoked",
        approved_at=now - timedelta(days=30), approved_by=user, failures=7,
        last_heard_at=now - timedelta(hours=5), last_error="401 Invalid API key or access token",
    )  # fmt: skip
    stall = factories.ConnectionFactory(merchant=merchant, label="Market stall")
    _stock(variants, locations, dice=dice)
    _sell(variants, locations[0], [till], dice=dice, now=now)
    for connection in (till, web, stall):
        _listings(connection, variants, locations)
    _traffic(till, dice=dice, now=now)
    _trouble(till, web, now=now)
    factories.ChannelLocationFactory(connection=stall, name="Saturday market", location=None)
    return Scene(merchant, user, [till, web, stall], variants, locations)


def _goods(merchant: Merchant) -> list[Variant]:
    variants = []
    for title, options, sku in GOODS:
        product = factories.ProductFactory(merchant=merchant, title=title)
        variants += [
            factories.VariantFactory(product=product, merchant=merchant, title=option, sku=f"{sku}-{index:02d}")
            for index, option in enumerate(options, start=1)
        ]
    return variants


def _stock(variants: list[Variant], locations: list[Location], *, dice: random.Random) -> None:
    entries = [
        ledger.Entry(
            variant_id=variant.pk,
            location_id=location.pk,
            kind=ledger.Kind.OPENING,
            key=f"opening:{variant.pk}:{location.pk}",
            occurred_at=utc_now() - timedelta(days=3),
            on_hand=Decimal(dice.choice([6, 8, 14, 40, 120])),
        )
        for variant in variants
        for location in locations
    ]
    with transaction.atomic():
        ledger.post(merchant_id=variants[0].merchant_id, source="opening", entries=entries)


def _sell(
    variants: list[Variant],
    location: Location,
    connections: list[Connection],
    *,
    dice: random.Random,
    now: datetime,
) -> None:
    for number in range(24):
        connection = dice.choice(connections)
        at = now - timedelta(minutes=dice.randint(1, 600))
        order = factories.OrderFactory(
            merchant=location.merchant, channel_id=connection.pk, placed_at=at, state=Order.State.FULFILLED,
            total=Decimal(dice.randint(900, 24_000)) / 100,
        )  # fmt: skip
        entry = ledger.Entry(
            variant_id=dice.choice(variants).pk,
            location_id=location.pk,
            kind=ledger.Kind.SALE,
            key=f"sale:{number}",
            occurred_at=at,
            on_hand=Decimal(-dice.randint(1, 3)),
            order_id=order.pk,
        )
        with transaction.atomic():
            ledger.post(
                merchant_id=location.merchant_id,
                source=f"channel:{connection.pk}",
                channel_id=connection.pk,
                entries=[entry],
            )


def _listings(connection: Connection, variants: list[Variant], locations: list[Location]) -> None:
    places = [
        factories.ChannelLocationFactory(connection=connection, location=location, name=location.name)
        for location in locations
    ]
    for variant in variants:
        listing = factories.ListingFactory(connection=connection, variant=variant)
        for place in places:
            factories.ChannelStockFactory(connection=connection, listing=listing, channel_location=place)


def _traffic(connection: Connection, *, dice: random.Random, now: datetime) -> None:
    """An hour of messages and writes, with the lags a good day has."""
    cells = list(ChannelStock.objects.filter(connection=connection)[:6])
    for minute in range(58, 0, -2):
        at = now - timedelta(minutes=minute, seconds=dice.randint(0, 40))
        event = factories.InboundEventFactory(
            connection=connection, received_at=at, occurred_at=at - timedelta(milliseconds=dice.randint(80, 500)),
            state=InboundEvent.State.DONE, applied_at=at + timedelta(milliseconds=dice.randint(60, 700)),
            topic=dice.choice(["order.updated", "inventory.count.updated", "payment.updated"]),
            outcome=dice.choice(["1 movement", "nothing new", "as expected: this was us, or known already"]),
        )  # fmt: skip
        took = timedelta(milliseconds=int(dice.lognormvariate(6.6, 0.6)))
        sent = at + timedelta(milliseconds=300)
        write = factories.ChannelWriteFactory(connection=connection, sent_at=sent, answered_at=sent + took)
        was = Decimal(dice.randint(3, 30))
        factories.ChannelWriteLineFactory(
            write=write, cell=dice.choice(cells), from_quantity=was, to_quantity=was - 1,
            dirty_at=sent - timedelta(milliseconds=150), cause_event_id=event.pk,
            cause_occurred_at=event.occurred_at,
        )  # fmt: skip


def _trouble(till: Connection, web: Connection, *, now: datetime) -> None:
    cells = list(ChannelStock.objects.filter(connection=till).select_related("listing").order_by("pk")[:4])
    drifting, refused, late, more = cells
    ChannelStock.objects.filter(pk=drifting.pk).update(
        observed=Decimal(9), expected=Decimal(11), desired=Decimal(11), drift_at=now - timedelta(minutes=4)
    )
    ChannelStock.objects.filter(pk=refused.pk).update(
        blocked_reason="INVALID_VALUE: quantity must be a whole number", dirty_at=now, desired=Decimal("2.5")
    )
    ChannelStock.objects.filter(pk__in=[late.pk, more.pk]).update(
        dirty_at=now - timedelta(seconds=95), desired=Decimal(1)
    )
    factories.IncidentFactory(
        connection=till, kind=Incident.Kind.DRIFT, cell=drifting, variant=drifting.listing.variant,
        title="Square till shows 9 for LNO-01, it should show 11", opened_at=now - timedelta(minutes=4), times=3,
    )  # fmt: skip
    factories.IncidentFactory(
        connection=till, kind=Incident.Kind.REFUSED, cell=refused, variant=refused.listing.variant,
        title="Square till refused 2.5 for LNO-01.", opened_at=now - timedelta(minutes=30),
    )  # fmt: skip
    factories.IncidentFactory(
        connection=web, kind=Incident.Kind.RECONNECT, opened_at=now - timedelta(hours=5),
        title="Web shop no longer lets us in. Reconnect it: nothing is lost meanwhile.",
    )  # fmt: skip
    factories.IncidentFactory(
        merchant=till.merchant, connection=None, kind=Incident.Kind.OVERSOLD, variant=late.listing.variant,
        title="2 more Merino Crew · S / Navy promised than there are", opened_at=now - timedelta(minutes=11),
    )  # fmt: skip
    factories.IncidentFactory(
        connection=till, kind=Incident.Kind.QUARANTINE, opened_at=now - timedelta(minutes=50),
        title="2 messages from Square till could not be applied. Nothing is lost: look at them and replay.",
    )  # fmt: skip
    factories.IncidentFactory(
        connection=till, kind=Incident.Kind.DRIFT, opened_at=now - timedelta(days=2),
        resolved_at=now - timedelta(days=2) + timedelta(minutes=3), resolution="our number was sent",
        title="Square till shows 4 for TOT-01, it should show 3", resolved_by=till.approved_by,
    )  # fmt: skip
    payload = {"type": "order.updated", "data": {"id": "CAISEN82", "object": {"order_updated": {"version": 4}}}}
    factories.InboundEventFactory(
        connection=till, is_quarantined=True, received_at=now - timedelta(minutes=50),
        body=json.dumps(payload).encode(), error="KeyError: 'location_id'",
    )  # fmt: skip
    factories.InboundEventFactory(
        connection=till, is_quarantined=True, topic="", received_at=now - timedelta(minutes=51),
        body=b"\x89PNG\r\n{not json at all", error="MalformedPayload: not JSON at byte 0",
    )  # fmt: skip
    factories.InboundEventFactory(connection=till, received_at=now - timedelta(seconds=70))
    for sku in ("GIFT-50", ""):
        factories.ListingFactory(
            connection=till, is_unlinked=True, product_title="Gift card", title="50", sku=sku,
            link_reason="no item of yours has this SKU or barcode" if sku else "it has no SKU and no barcode",
        )  # fmt: skip
    write = factories.ChannelWriteFactory(connection=till, state=ChannelWrite.State.FAILED)
    factories.ChannelWriteLineFactory(
        write=write, cell=refused, to_quantity=Decimal("2.5"), cause_occurred_at=None,
        outcome=ChannelWriteLine.Outcome.REFUSED, message="INVALID_VALUE: quantity must be a whole number",
    )  # fmt: skip
    ChannelLocation.objects.filter(connection=web).update(is_active=False)
    Listing.objects.filter(connection=web).update(seen_at=now - timedelta(hours=5))
