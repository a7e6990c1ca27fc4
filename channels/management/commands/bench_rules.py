"""`./dev bench rules`: what a posting costs that four channels follow, by rules, modes, bundles, dated promises."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection as database
from django.utils import timezone

from channels import availability, publisher, rules
from channels.models import AvailabilityRule, ChannelLocation, ChannelStock, Connection, Listing
from inventory import arrivals, bundles, ledger, pgbench
from inventory.management.commands.bench_ledger import durability
from inventory.models import Location, Product, Variant
from storestudio.accounts.models import Merchant, User

PLAIN = (Path(__file__).resolve().parents[2] / "sql" / "plain.sql").read_text()
_HOOK = "ALTER FUNCTION plain.inventory_stock_changed(bigint, jsonb)"
# How sessions of each find the follower, and how its statements are planned: then as PostgreSQL liked, which was
# anew for every posting; today once a session (channels/sql/rules.sql), so the old way is measured so as well.
WAYS = {
    "before": ("plain,public", f"{_HOOK} SET plan_cache_mode = auto"),
    "before, planned once": ("plain,public", f"{_HOOK} RESET plan_cache_mode"),
    "today": ("public", "SELECT 1"),
}
CHANNELS = ("Till", "Web", "Market", "Delivery")
SKUS, UNITS, CLIENTS = 300, 40, 4
Mode, Oversell = AvailabilityRule.Mode, AvailabilityRule.Oversell

# One unit more or less, told by the till.
SCRIPT = """\\set v random({first}, {last})
\\set d 2 * random(0, 1) - 1
\\set k random(1, 9000000000000000000)
SELECT * FROM inventory_post({merchant}, 'pgbench', {channel}, false, '[{{"variant_id": :v, "location_id": {location},\
 "kind": "adjust", "key": ":k", "occurred_at": "2026-01-01T12:00:00+00:00", "on_hand": ":d", "committed": "0",\
 "reserved": "0", "unavailable": "0", "incoming": "0", "counted": null, "order_id": null, "event_id": null,\
 "actor_id": null, "reason": "", "moved_channel": true}}]');
"""


@dataclass
class Shop:
    """One place, four channels, SKUS variants that every channel lists."""

    merchant: Merchant
    owner: User
    location: Location
    channels: list[Connection]
    variants: list[Variant] = field(default_factory=list)

    @property
    def script(self) -> str:
        """A posting to one of its variants."""
        return SCRIPT.format(
            merchant=self.merchant.pk, channel=self.channels[0].pk, location=self.location.pk,
            first=self.variants[0].pk, last=self.variants[-1].pk,
        )  # fmt: skip

    def rule(self, **says: Any) -> None:
        """A rule of this shop."""
        rules.save(rule=AvailabilityRule(merchant=self.merchant, **says), actor=self.owner)


class Command(BaseCommand):
    help = "Post from 4 clients with channels following by today's rules, beside following as it was before any."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long and how often."""
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
        parser.add_argument("--only", default="", help="kinds of shops to measure, by their first words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, for each kind of shop, postings a second of each way, and how much longer today's takes (medians)."""
        pgbench.program()
        self.stdout.write(durability())
        with database.cursor() as cursor:
            cursor.execute(PLAIN)
        self.stdout.write(
            f"{options['rounds']} rounds of {options['seconds']:g} s a side, {CLIENTS} clients, {SKUS} SKUs on "
            f"{len(CHANNELS)} channels; postings a second, medians"
        )
        for label, prepare in KINDS.items():
            if label.startswith(options["only"]):
                self._measure(label, prepare, rounds=options["rounds"], seconds=options["seconds"])

    def _measure(self, label: str, prepare: Callable[[Shop], None], *, rounds: int, seconds: float) -> None:
        shop = _shop()
        prepare(shop)
        with database.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, (path, planning) in WAYS.items():
                with database.cursor() as cursor:
                    cursor.execute(planning)
                found[way].append(
                    pgbench.transactions_a_second(
                        shop.script, clients=CLIENTS, seconds=seconds, options=f"-c search_path={path}"
                    )
                )
        told = "   ".join(f"{way} {statistics.median(found[way]):6.0f}" for way in WAYS)
        ratios = " and ".join(
            f"{statistics.median(a / b for a, b in zip(found[way], found['today'], strict=True)):4.2f}"
            for way in WAYS
            if way != "today"
        )
        self.stdout.write(f"{label:30} {told}   today takes {ratios} times as long")
        _expect_followed(shop)


def _shop() -> Shop:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    merchant = Merchant.objects.create(slug=name, name=name)
    owner = User.objects.create(email=f"{name}@example.com")
    location = Location.objects.create(merchant=merchant, name="Bench")
    channels = [
        Connection.objects.create(
            merchant=merchant, channel="shopify", label=label, account_id=f"{name}-{label}", base_url="http://127.0.0.1:9",
            number=Connection.Number.AVAILABLE, credentials=b"", credentials_kid="none", state=Connection.State.LIVE,
            approved_at=timezone.now(), opened_at=timezone.now(),
        )
        for label in CHANNELS
    ]  # fmt: skip
    ChannelLocation.objects.bulk_create(
        ChannelLocation(merchant=merchant, connection=one, external_id="1", name="Bench", location=location)
        for one in channels
    )
    shop = Shop(merchant, owner, location, channels)
    shop.variants = _list(shop, "Bench", SKUS)
    now = timezone.now()
    ledger.record(
        merchant_id=merchant.pk,
        source="bench",
        entries=[
            ledger.Entry(one.pk, location.pk, ledger.Kind.OPENING, f"{one.pk}", now, counted=Decimal(UNITS))
            for one in shop.variants
        ],
    )
    return shop


def _list(shop: Shop, title: str, count: int) -> list[Variant]:
    """New variants, listed by every channel at the place."""
    product = Product.objects.create(merchant=shop.merchant, title=title)
    made = Variant.objects.bulk_create(Variant(merchant=shop.merchant, product=product) for _ in range(count))
    listings = Listing.objects.bulk_create(
        Listing(
            merchant=shop.merchant, connection=one, variant=variant, link=Listing.Link.LINKED,
            external_id=str(variant.pk), inventory_id=str(variant.pk),
        )
        for one in shop.channels
        for variant in made
    )  # fmt: skip
    places = dict(ChannelLocation.objects.filter(merchant=shop.merchant).values_list("connection_id", "pk"))
    cells = ChannelStock.objects.bulk_create(
        ChannelStock(
            merchant=shop.merchant, connection_id=row.connection_id, listing=row, expected=0,
            channel_location_id=places[row.connection_id],
        )
        for row in listings
    )  # fmt: skip
    publisher.refresh_desired(cell_ids=[cell.pk for cell in cells])
    return made


def _without(shop: Shop) -> None:
    """No rule at all."""


def _kept(shop: Shop) -> None:
    shop.rule(safety_stock=Decimal(2))
    shop.rule(channel_buffer=Decimal(1), connection=shop.channels[1])
    shop.rule(share_percent=Decimal(50), connection=shop.channels[2])
    shop.rule(cap=Decimal(3), connection=shop.channels[3])


def _in_mode(mode: str) -> Callable[[Shop], None]:
    return lambda shop: shop.rule(mode=mode)


def _promised(shop: Shop) -> None:
    """Backorders up to what is on its way: three deliveries of everything, each with its day."""
    shop.rule(oversell=Oversell.BACKORDER)
    now = timezone.now()
    for weeks in (1, 2, 3):
        plan = arrivals.Plan(
            origin=None, supplier="Bench", destination=shop.location, note="",
            expected_date=(now + timedelta(weeks=weeks)).date(),
            lines=[(variant, Decimal(5)) for variant in shop.variants],
        )  # fmt: skip
        arrival = arrivals.draft(merchant=shop.merchant, actor=shop.owner, key=uuid.uuid4(), plan=plan)
        arrivals.send(merchant=shop.merchant, actor=shop.owner, arrival_id=arrival.pk, key=uuid.uuid4(), now=now)


def _bundled(shop: Shop) -> None:
    """Everything is in one bundle with its neighbour: a posting moves the numbers of both on all channels."""
    for place, bundle in enumerate(_list(shop, "Bench sets", SKUS // 2)):
        parts = [bundles.Part(one.pk, Decimal(1)) for one in shop.variants[2 * place : 2 * place + 2]]
        bundles.define(variant=bundle, parts=parts, is_stocked=False, actor=shop.owner)


def _bundled_and_set_aside(shop: Shop) -> None:
    _bundled(shop)
    shop.rule(mode=Mode.ESCROW)


KINDS: dict[str, Callable[[Shop], None]] = {
    "no rule": _without,
    "kept back, shared out, capped": _kept,
    "buffered": _in_mode(Mode.BUFFERED),
    "set aside": _in_mode(Mode.ESCROW),
    "dated promises": _promised,
    "bundles (twice the cells)": _bundled,
    "bundles, set aside": _bundled_and_set_aside,
}


def _expect_followed(shop: Shop) -> None:
    """Today's way really followed: post once more, and every number of that variant is what the rules say. Raises
    CommandError."""
    variant = shop.variants[0]
    entry = ledger.Entry(
        variant.pk, shop.location.pk, ledger.Kind.ADJUST, uuid.uuid4().hex, timezone.now(), on_hand=Decimal(1)
    )
    ledger.record(merchant_id=shop.merchant.pk, source="bench", entries=[entry])
    cells = list(ChannelStock.objects.filter(listing__variant=variant).order_by("pk"))
    says = {one.cell_id: one.quantity for one in availability.of_cells(cell_ids=[cell.pk for cell in cells])}
    if len(cells) != len(CHANNELS) or any(cell.desired != says[cell.pk] for cell in cells):
        raise CommandError("The numbers are not what the rules say: nothing was measured.")
