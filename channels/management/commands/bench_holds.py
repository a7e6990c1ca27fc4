import asyncio
import json
import multiprocessing
import statistics
import time
import uuid
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections
from django.utils import timezone

from channels.management.commands.bench_ingest import serve
from channels.models import Connection
from channels.own import site, tokens
from channels.own.models import Scope
from inventory import ledger, pgbench
from inventory.management.commands.bench_ledger import durability
from inventory.models import Location, Product, Reservation, StockLevel, Variant
from storestudio.accounts.models import Merchant, User

UNITS, REQUESTS = 100, 1000
PROCESSES, BARE_CLIENTS, CLIENTS = 8, 25, 8
PLENTY = 1_000_000

# The statement behind a hold, as the API sends it: one unit, a fresh key.
BARE_HOLD = """\\set k random(1, 9000000000000000000)
SELECT * FROM inventory_reserve({merchant}, {site}, 'pgbench-:k', 'x', gen_random_uuid(), '', now(),
    now() + interval '15 minutes', '[{{"variant_id": {variant}, "location_id": {location}, "quantity": "1"}}]');
"""


@dataclass(frozen=True)
class Shelf:
    """The bench's shop: its site, its place, and a token that may call as often as it likes."""

    site: Connection
    location_id: int
    token: str


@dataclass(frozen=True)
class Answers:
    """What became of a burst: answers by status, how long each took, how long all took."""

    statuses: dict[int, int]
    times_ms: list[float]
    seconds: float

    @property
    def p99_ms(self) -> float:
        """99 of 100 answers came within this."""
        return statistics.quantiles(self.times_ms, n=100)[98]


class Command(BaseCommand):
    help = (
        "1,000 concurrent holds of the last 100 units through the web server, beside pgbench with the same statement."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How long and how often."""
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--seconds", type=float, default=4.0, help="of each round of steady holding")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was granted, p99 and throughput, the limit beside them, and the ratios (medians)."""
        pgbench.program()
        self.stdout.write(durability())
        shelf = _shelf()
        with serve() as port:
            _burst(shelf, _variant(shelf, UNITS), port)  # the workers' first requests load their code
            self._last_units(shelf, port, rounds=options["rounds"])
            self._steady(shelf, port, rounds=options["rounds"], seconds=options["seconds"])

    def _last_units(self, shelf: Shelf, port: int, *, rounds: int) -> None:
        ours, limit = [], []
        for _ in range(rounds):
            variant = _variant(shelf, UNITS)
            limit.append(pgbench.run(_script(shelf, variant), clients=BARE_CLIENTS, times=REQUESTS // BARE_CLIENTS))
            _expect_sold_out(variant)
            variant = _variant(shelf, UNITS)
            answers = _burst(shelf, variant, port)
            if answers.statuses != {201: UNITS, 409: REQUESTS - UNITS}:
                raise CommandError(f"{UNITS} units, and the answers were {answers.statuses}")
            _expect_sold_out(variant)
            ours.append(answers)
        ratio = statistics.median(REQUESTS / a.seconds / b.a_second for a, b in zip(ours, limit, strict=True))
        self.stdout.write(
            f"{REQUESTS} at once for {UNITS} units, {rounds} times: always {UNITS} granted, the others refused"
        )
        self.stdout.write(
            f"  ours {statistics.median(REQUESTS / one.seconds for one in ours):6.0f} a second, p50 "
            f"{statistics.median(statistics.median(one.times_ms) for one in ours):5.0f} ms, p99 "
            f"{statistics.median(one.p99_ms for one in ours):5.0f} ms   bare statement, {BARE_CLIENTS} clients "
            f"{statistics.median(one.a_second for one in limit):6.0f} a second, p99 "
            f"{statistics.median(one.p99_ms for one in limit):5.1f} ms   ratio {ratio:4.2f}"
        )

    def _steady(self, shelf: Shelf, port: int, *, rounds: int, seconds: float) -> None:
        ours, limit, slowest = [], [], []
        for _ in range(rounds):
            variant = _variant(shelf, PLENTY)
            limit.append(pgbench.run(_script(shelf, variant), clients=CLIENTS, seconds=seconds))
            answers = _at_once(shelf, variant, port, processes=CLIENTS, each=1, seconds=seconds)
            if set(answers.statuses) != {201}:
                raise CommandError(f"{PLENTY} units, and the answers were {answers.statuses}")
            ours.append(answers.statuses[201] / answers.seconds)
            slowest.append(answers.p99_ms)
        ratio = statistics.median(a / b.a_second for a, b in zip(ours, limit, strict=True))
        self.stdout.write(
            f"holds of one hot SKU, {CLIENTS} clients: ours {statistics.median(ours):6.0f} a second, p99 "
            f"{statistics.median(slowest):5.1f} ms   bare statement {statistics.median(b.a_second for b in limit):6.0f}"
            f" a second, p99 {statistics.median(b.p99_ms for b in limit):5.1f} ms   ratio {ratio:4.2f}"
        )


def _shelf() -> Shelf:
    merchant, _ = Merchant.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    owner, _ = User.objects.get_or_create(email="bench@example.com")
    location, _ = Location.objects.get_or_create(merchant=merchant, name="Bench")
    own = Connection.objects.filter(merchant=merchant, channel="own").first()
    own = own or site.open_site(merchant=merchant, label="Bench site", actor=owner)
    _, token = tokens.issue(
        connection=own, name="bench", scopes=Scope.values, actor=owner, requests_per_minute=10_000_000
    )
    return Shelf(own, location.pk, token)


def _variant(shelf: Shelf, units: int) -> Variant:
    """A fresh thing with so many units on the shelf."""
    product, _ = Product.objects.get_or_create(merchant=shelf.site.merchant, title="Bench holds")
    variant = Variant.objects.create(merchant=shelf.site.merchant, product=product, sku=f"HOLD-{uuid.uuid4().hex[:12]}")
    site.follow_catalog(shelf.site)
    opening = ledger.Entry(
        variant.pk, shelf.location_id, ledger.Kind.OPENING, f"{variant.pk}", timezone.now(), counted=Decimal(units)
    )
    ledger.record(merchant_id=shelf.site.merchant_id, source="bench", entries=[opening])
    return variant


def _script(shelf: Shelf, variant: Variant) -> str:
    return BARE_HOLD.format(
        merchant=shelf.site.merchant_id, site=shelf.site.pk, variant=variant.pk, location=shelf.location_id
    )


def _expect_sold_out(variant: Variant) -> None:
    level = StockLevel.objects.get(variant=variant)
    held = Reservation.objects.filter(lines__variant=variant, state=Reservation.State.HELD).count()
    if (level.reserved, level.available, held) != (UNITS, 0, UNITS):
        raise CommandError(f"{UNITS} units: {held} holds, {level.reserved} reserved, {level.available} left")


def _burst(shelf: Shelf, variant: Variant, port: int) -> Answers:
    return _at_once(shelf, variant, port, processes=PROCESSES, each=REQUESTS // PROCESSES, seconds=0)


def _at_once(shelf: Shelf, variant: Variant, port: int, *, processes: int, each: int, seconds: float) -> Answers:
    """Open all connections first, then send on all of them at once; over and over for `seconds`, or once."""
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]
    context = multiprocessing.get_context("fork")
    gate, said = context.Barrier(processes), context.Queue()
    arguments = (shelf.token, variant.sku, port, each, seconds, gate, said)
    workers = [context.Process(target=_customers, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    told = [said.get() for _ in workers]
    for worker in workers:
        worker.join()
    statuses: dict[int, int] = {}
    for found, *_ in told:
        for status, count in found.items():
            statuses[status] = statuses.get(status, 0) + count
    began, ended = min(one[2] for one in told), max(one[3] for one in told)
    return Answers(statuses, [ms for one in told for ms in one[1]], ended - began)


def _customers(token: str, sku: str, port: int, each: int, seconds: float, gate: Barrier, said: Any) -> None:
    said.put(asyncio.run(_all(token, sku, port, each, seconds, gate)))


async def _all(token: str, sku: str, port: int, each: int, seconds: float, gate: Barrier) -> Any:
    wires = [await asyncio.open_connection("127.0.0.1", port) for _ in range(each)]
    await asyncio.get_running_loop().run_in_executor(None, gate.wait)
    began = time.monotonic()
    answers = await asyncio.gather(*(_customer(token, sku, *wire, until=began + seconds) for wire in wires))
    ended = time.monotonic()
    statuses: dict[int, int] = {}
    for status, _ in (one for some in answers for one in some):
        statuses[status] = statuses.get(status, 0) + 1
    return statuses, [ms for some in answers for _, ms in some], began, ended


async def _customer(
    token: str, sku: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: float
) -> list[tuple[int, float]]:
    answers: list[tuple[int, float]] = []
    while not answers or time.monotonic() < until:
        sent = time.monotonic()
        writer.write(_request(token, sku))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        answers.append((int(head.split(b" ", 2)[1]), (time.monotonic() - sent) * 1000))
    writer.close()
    return answers


def _request(token: str, sku: str) -> bytes:
    body = json.dumps({"lines": [{"sku": sku, "quantity": 1}]}).encode()
    return (
        f"POST /api/v1/holds HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {uuid.uuid4().hex}\r\n\r\n"
    ).encode() + body
