import json
import signal
import time
from argparse import ArgumentTypeError
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections
from django.db.utils import DatabaseError
from django.utils import timezone
from django.utils.text import slugify

from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox import bringup, deliveries, goods, standins
from channels.sandbox.models import Delivery, Fault, Switch
from storestudio.accounts.models import Membership, Merchant, User

IDLE_S = 0.05
SENDERS = 8


class Command(BaseCommand):
    help = "The vendors' stand-ins: deliver their webhooks, say how to trade there, load shops, misbehave on request."

    def add_arguments(self, parser: CommandParser) -> None:
        """One subcommand each."""
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("deliver", help="send the webhooks that are due, until told to stop")
        info = steps.add_parser("info", help="what an outside client needs to trade there")
        info.add_argument("--json", action="store_true")
        info.add_argument("--shop", default="harbour-and-pine", help="slug of the shop")
        load = steps.add_parser("load", help="open a shop with a catalog at both vendors, connected and live")
        load.add_argument("--shop", required=True, help="name of the new shop")
        load.add_argument(
            "--products", type=Path, nargs="*", default=[], help="product CSV files, Shopify's classic format"
        )
        load.add_argument("--trace", type=Path, help="trading trace whose stock codes become the catalog")
        load.add_argument("--units", type=int, default=100, help="opening count of each variant at each place")
        opening = steps.add_parser("open", help="one more channel for a shop, with its goods, connected and live")
        opening.add_argument("channel", choices=standins.names())
        opening.add_argument("--shop", default="harbour-and-pine", help="slug of the shop")
        fault = steps.add_parser("fault", help="misbehave on request").add_subparsers(dest="action", required=True)
        add = fault.add_parser("add", help="plan a misbehaviour")
        add.add_argument("vendor", choices=standins.names())
        add.add_argument(
            "kind", choices=Fault.Kind.values, help="; ".join(f"{k}: {words}" for k, words in Fault.Kind.choices)
        )
        add.add_argument("--operation", default="", help="what it hits, a prefix; “webhook” for deliveries")
        add.add_argument("--probability", type=_share, default=1.0, help="how often of all times, 0 to 1")
        add.add_argument("--times", type=int, help="how often in all; for ever where left out")
        add.add_argument("--delay-s-max", type=float, help="seconds, for late, reordered and repeated webhooks")
        fault.add_parser("list", help="what is planned")
        clear = fault.add_parser("clear", help="plan these no more, or none at all")
        clear.add_argument("ids", type=int, nargs="*", help="numbers as `fault list` shows them; all where left out")
        steps.add_parser("reset", help="behave again: no faults, usual switches, and send what was dropped or given up")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the subcommand."""
        getattr(self, options["step"])(options)

    def deliver(self, options: dict[str, Any]) -> None:
        """Send what is due; wait a little when nothing is."""
        stopping: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: stopping.append(received))
        with ThreadPoolExecutor(SENDERS) as pool:
            while not stopping:
                try:
                    sent = deliveries.send_due(pool=pool)
                except DatabaseError as error:
                    self.stderr.write(f"database away: {error}")
                    close_old_connections()
                    time.sleep(1)
                    continue
                if not sent:
                    time.sleep(IDLE_S)

    def info(self, options: dict[str, Any]) -> None:
        """Addresses, tokens, and the ids of linked variants and mapped places, as each vendor names them."""
        merchant = Merchant.objects.filter(slug=options["shop"]).first()
        if merchant is None:
            raise CommandError(f"There is no shop {options['shop']}. Load the demo first: manage.py demo")
        self.stdout.write(json.dumps(describe(merchant), indent=None if options["json"] else 2))

    def load(self, options: dict[str, Any]) -> None:
        """Open a shop with the catalog given."""
        counts = {"High Street": options["units"], "Stock room": options["units"]}
        catalog = goods.from_product_csv(options["products"], counts=counts)
        if options["trace"]:
            catalog += goods.from_trace(options["trace"], counts=counts)
        if not catalog:
            raise CommandError("Nothing to load: give --products or --trace.")
        slug = slugify(options["shop"])
        if Merchant.objects.filter(slug=slug).exists():
            raise CommandError(f"There is a shop {slug} already.")
        merchant = Merchant.objects.create(name=options["shop"], slug=slug)
        owner = User.objects.filter(email="owner@demo.storestudio.example").first() or User.objects.create_user(
            f"owner@{slug}.example"
        )
        Membership.objects.create(user=owner, merchant=merchant, role=Membership.Role.OWNER)
        bringup.bring_up(
            merchant=merchant, actor=owner, goods=catalog, places=list(counts), domain=f"{slug}.myshopify.com",
            say=self.stdout.write,
        )  # fmt: skip

    def open(self, options: dict[str, Any]) -> None:
        """The shop's own goods and numbers, as a shop that has sold there for years would list them."""
        merchant = Merchant.objects.filter(slug=options["shop"]).first()
        if merchant is None:
            raise CommandError(f"There is no shop {options['shop']}. Load the demo first: manage.py demo")
        owner = Membership.objects.filter(merchant=merchant, role=Membership.Role.OWNER).order_by("pk").first()
        if owner is None:
            raise CommandError(f"{merchant.name} has no owner to say yes.")
        bringup.add_channel(merchant=merchant, channel=options["channel"], actor=owner.user, say=self.stdout.write)

    def fault(self, options: dict[str, Any]) -> None:
        """Plan, list or clear misbehaviour; ends with what is planned."""
        if options["action"] == "add":
            delay = options["delay_s_max"]
            Fault.objects.create(
                vendor=options["vendor"], kind=options["kind"], operation=options["operation"],
                probability=options["probability"], remaining=options["times"],
                params={} if delay is None else {"delay_s_max": delay},
            )  # fmt: skip
        if options["action"] == "clear":
            faults = Fault.objects.filter(pk__in=options["ids"]) if options["ids"] else Fault.objects.all()
            faults.delete()
        planned = list(Fault.objects.order_by("pk"))
        for fault in planned:
            left = "for ever" if fault.remaining is None else f"{fault.remaining} more times"
            self.stdout.write(f"{fault.pk}  {fault}, in {fault.probability:.0%} of cases, {left}")
        if not planned:
            self.stdout.write("No misbehaviour is planned.")

    def reset(self, options: dict[str, Any]) -> None:
        """The stand-ins behave again, and owe nobody a webhook."""
        Fault.objects.all().delete()
        Switch.objects.all().delete()
        lost = Delivery.objects.filter(state__in=[Delivery.State.DROPPED, Delivery.State.GAVE_UP])
        sent = lost.update(state=Delivery.State.PENDING, attempts=0, due_at=timezone.now())
        self.stdout.write(f"No faults are planned, switches are as usual, {sent} webhooks that were lost are due.")


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ArgumentTypeError("a share is above 0 and at most 1")
    return share


def describe(merchant: Merchant) -> dict[str, Any]:
    """What a client of the vendors' own needs to trade in a shop's accounts: goods and places all of them know.

    Only variants that all of them count: what a vendor does not track is never told a number, so nothing would follow.
    """
    ours = Connection.objects.of(merchant).filter(channel__in=standins.names()).exclude(state="closed").order_by("pk")
    hands = {connection.pk: standins.of(connection.channel) for connection in ours}
    by_variant: dict[int, dict[int, Listing]] = {}
    linked = Listing.objects.of(merchant).filter(link="linked", is_tracked=True, deleted_at=None)
    for listing in linked.select_related("variant__product").order_by("variant_id"):
        if listing.variant_id is not None:
            by_variant.setdefault(listing.variant_id, {})[listing.connection_id] = listing
    by_place: dict[int, dict[int, ChannelLocation]] = {}
    for place in ChannelLocation.objects.of(merchant).filter(location__isnull=False).order_by("location_id"):
        if place.location_id is not None:
            by_place.setdefault(place.location_id, {})[place.connection_id] = place
    return {
        **{connection.channel: dict(hands[connection.pk].describe(connection)) for connection in ours},
        "locations": [
            {"name": places[min(hands)].name, **standins.ids_of(hands[pk].name_place(places[pk]) for pk in hands)}
            for places in by_place.values()
            if hands.keys() <= places.keys()
        ],
        "variants": [
            {
                "sku": listings[min(hands)].sku,
                "title": _title(listings[min(hands)]),
                **standins.ids_of(hands[pk].name_listing(listings[pk]) for pk in hands),
            }
            for listings in by_variant.values()
            if hands.keys() <= listings.keys()
        ],
    }


def _title(listing: Listing) -> str:
    return listing.variant.full_title if listing.variant else listing.product_title
