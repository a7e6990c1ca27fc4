import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from channels.sandbox import standins
from channels.sandbox.management.commands.sandbox import describe
from channels.sandbox.trading import made_up, trace
from channels.sandbox.trading.player import TILL, WEB, Channel, Planner, Tally, TillChannel, WebChannel, play
from channels.sandbox.trading.till import Till
from channels.sandbox.trading.trace import Invoice
from channels.sandbox.trading.web import Web
from inventory import identifiers
from storestudio.accounts.models import Merchant

PROGRESS_S = 3.0


class Command(BaseCommand):
    help = "Customers for the sandbox: they buy at till and web shop through the vendors' own APIs, until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        """How fast, what, where."""
        parser.add_argument("--speed", type=float, default=10.0, help="times their own pace; 0: as fast as it can")
        parser.add_argument("--trace", type=Path, help="CSV of invoice lines, plain or gzipped; else made-up customers")
        parser.add_argument("--shop", default="harbour-and-pine", help="slug of the shop")
        parser.add_argument("--lines", type=int, help="stop after this many invoice lines")
        parser.add_argument("--seed", type=int, help="the same seed makes the same customers do the same")

    def handle(self, *args: Any, **options: Any) -> None:
        """Trade, with a line of progress now and then and a summary at the end."""
        if options["speed"] < 0:
            raise CommandError("--speed is how many times as fast as in life: 0 for no pauses, else above 0.")
        if options["trace"] and not options["trace"].is_file():
            raise CommandError(f"There is no file {options['trace']}.")
        merchant = Merchant.objects.filter(slug=options["shop"]).first()
        if merchant is None:
            raise CommandError(f"There is no shop {options['shop']}.")
        where = describe(merchant)
        connections.close_all()  # from here on only the vendors' APIs are used
        if not where["variants"] or not where["locations"]:
            raise CommandError("No goods are linked, or no place mapped, on both channels: there is nothing to trade.")
        seed = random.randrange(10**6) if options["seed"] is None else options["seed"]
        self.stdout.write(f"{len(where['variants'])} goods at {len(where['locations'])} places, seed {seed}")
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        self._trade(where, options, seed=seed, stopping=stopping)

    def _trade(self, where: dict[str, Any], options: dict[str, Any], *, seed: int, stopping: threading.Event) -> None:
        tally, left_out = Tally(), Counter[str]()
        channels = open_channels(where, seed=seed, tally=tally, run=f"{seed}-{time.time_ns()}")
        known = frozenset(identifiers.sku_key(row["sku"]) for row in where["variants"])
        customers: Iterable[Invoice]
        if options["trace"]:
            rows = trace.rows(options["trace"], lines_max=options["lines"])
            customers = trace.invoices(counted(rows, tally), known=known, left_out=left_out)
        else:
            customers = first_lines(made_up.customers(skus=sorted(known), seed=seed), lines_max=options["lines"])
        started = time.monotonic()
        done = threading.Event()
        reporter = threading.Thread(target=self._report, args=(tally, started, done), daemon=True)
        reporter.start()
        planner = Planner(seed=seed, tally=tally, names=list(channels))
        play(invoices=customers, channels=channels, planner=planner, speed=options["speed"], is_stopped=stopping.is_set)
        done.set()
        reporter.join()
        self._summary(tally, channels, left_out, seconds=time.monotonic() - started)

    def _report(self, tally: Tally, started: float, done: threading.Event) -> None:
        before, at = tally.read(), started
        while not done.wait(PROGRESS_S):
            now, moment = tally.read(), time.monotonic()
            rate = (now["lines sold"] - before["lines sold"]) / (moment - at)
            before, at = now, moment
            self.stdout.write(
                f"{moment - started:6.0f} s  {now['till orders'] + now['web orders']} orders  "
                f"{now['lines sold']} lines  "
                f"{now['lines refused: not enough there']} refusals  {now['returns']} returns  {rate:.1f} lines/s"
            )

    def _summary(self, tally: Tally, channels: dict[str, Channel], left_out: Counter[str], *, seconds: float) -> None:
        counts = tally.read()
        self.stdout.write(f"\nTraded for {seconds:.1f} s, {counts['lines sold'] / max(seconds, 0.001):.1f} lines/s")
        for what, count in sorted(counts.items()):
            self.stdout.write(f"  {count:8}  {what}")
        for name, channel in channels.items():
            caller = channel.till.caller if isinstance(channel, TillChannel) else None
            caller = channel.web.caller if isinstance(channel, WebChannel) else caller
            if caller is not None and caller.repeats:
                self.stdout.write(f"  {caller.repeats:8}  calls repeated at the {name}: busy, or no answer")
        if left_out:
            self.stdout.write(f"Lines left out: {sum(left_out.values())}")
            for why, count in left_out.most_common():
                self.stdout.write(f"  {count:8}  {why}")
        if any("steps" in what for what in counts):
            raise CommandError("Some steps did not go through; see above.")


def counted(rows: Iterable[trace.Row], tally: Tally) -> Iterator[trace.Row]:
    """The same rows, each counted as it is read."""
    for row in rows:
        tally.add("lines read")
        yield row


def first_lines(customers: Iterator[Invoice], *, lines_max: int | None) -> Iterator[Invoice]:
    """Customers until so many lines are played."""
    lines = 0
    for invoice in customers:
        if lines_max is not None and lines >= lines_max:
            return
        lines += invoice.lines
        yield invoice


def open_channels(where: dict[str, Any], *, seed: int, tally: Tally, run: str) -> dict[str, Channel]:
    """The channels of a shop as `sandbox info` describes it. `run` sets this run's idempotency keys apart."""
    variants = {identifiers.sku_key(row["sku"]): row for row in where["variants"]}
    till = Till(
        base_url=where["square"]["base_url"], token=where["square"]["access_token"], name=run,
        goods={sku: row["square_id"] for sku, row in variants.items()},
    )  # fmt: skip
    web = Web(
        graphql_url=where["shopify"]["graphql_url"], token=where["shopify"]["access_token"], name=run,
        goods={sku: row["shopify_variant_id"] for sku, row in variants.items()},
    )  # fmt: skip
    places = where["locations"]
    others = {
        name: WebChannel(
            web=hands.storefront(where=where, run=run), location_ids=("",), seed=seed, tally=tally, name=name
        )
        for name in where.keys() - {"square", "shopify", "locations", "variants"}
        if isinstance(hands := standins.of(name), standins.Sells)
    }
    return {
        TILL: TillChannel(till=till, location_ids=tuple(row["square_id"] for row in places), seed=seed, tally=tally),
        WEB: WebChannel(web=web, location_ids=tuple(row["shopify_id"] for row in places), seed=seed, tally=tally),
        **dict(sorted(others.items())),
    }
