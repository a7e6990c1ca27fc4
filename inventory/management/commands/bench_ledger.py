import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.synchronize import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections, transaction
from django.utils import timezone

from inventory import ledger, pgbench
from inventory.models import Location, Product, StockLevel, StockMovement, StockMovementKey, Variant
from storestudio.accounts.models import Merchant

SKUS = 1000
PROCESSES = 8
BATCH = 100

# The bare function, as any client would call it; a random key each time, as our own posts have.
PGBENCH_SCRIPT = """\\set v {variant}
\\set k random(1, 9000000000000000000)
SELECT * FROM inventory_post({merchant}, 'pgbench', NULL, false, '[{{"variant_id": :v, "location_id": {location},\
 "kind": "adjust", "key": ":k", "occurred_at": "2026-01-01T12:00:00+00:00", "on_hand": "1", "committed": "0",\
 "reserved": "0", "unavailable": "0", "incoming": "0", "counted": null, "order_id": null, "event_id": null,\
 "actor_id": null, "reason": "", "moved_channel": true}}]');
"""


@dataclass(frozen=True)
class Shelf:
    """What the rounds post to."""

    merchant_id: int
    location_id: int
    variant_ids: list[int]


class Command(BaseCommand):
    help = "Post to the ledger from 8 processes beside pgbench calling the bare function, in alternating rounds."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long and how often."""
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--seconds", type=float, default=4.0, help="of each round")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, for each way of posting, movements a second, the limit beside it, and their ratio (medians)."""
        pgbench.program()
        self.stdout.write(durability())
        shelf, seconds = _shelf(), options["seconds"]
        hot = [shelf.variant_ids[0]]
        self.stdout.write(
            f"{options['rounds']} rounds of {seconds:g} s a side, {PROCESSES} processes; movements a second, medians"
        )
        for label, variants, batch, floor in (
            (f"single posts, {SKUS} SKUs", shelf.variant_ids, 1, "at least 0.50"),
            ("single posts, one hot SKU", hot, 1, "at least 0.80"),
            (f"batches of {BATCH}, one hot SKU", hot, BATCH, "at least 10"),
        ):
            ours, limit = [], []
            for _ in range(options["rounds"]):
                limit.append(_bare(shelf, variants, seconds))
                ours.append(_ours(shelf, variants, batch, seconds))
            ratio = statistics.median(a / b for a, b in zip(ours, limit, strict=True))
            self.stdout.write(
                f"{label:28} ours {statistics.median(ours):8.0f}   bare function {statistics.median(limit):7.0f}"
                f"   ratio {ratio:5.2f} ({floor})"
            )
        self._row_by_row(shelf, seconds)

    def _row_by_row(self, shelf: Shelf, seconds: float) -> None:
        """The way the ORM would do it, for comparison with one batched call; one process each."""
        counted = {"row by row": 0.0, "batch": 0.0}
        for name, step in (("row by row", _post_with_orm), ("batch", _post_batch)):
            end, done = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                done += step(shelf)
            counted[name] = done / seconds
        self.stdout.write(
            f"one process, {BATCH} cells: row by row through the ORM {counted['row by row']:.0f}, "
            f"one call {counted['batch']:.0f}, ratio {counted['batch'] / counted['row by row']:.1f}"
        )


def durability() -> str:
    """Which server it is, and that it keeps what it says. Raises CommandError where it does not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        version, fsync, synchronous = cursor.fetchone()
    if fsync != "on" or synchronous != "on":
        raise CommandError("This database is not durable (fsync or synchronous_commit is off): no figure would count.")
    return f"{version.split(' on ')[0]}, fsync {fsync}, synchronous_commit {synchronous}"


def _shelf() -> Shelf:
    merchant, _ = Merchant.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    location, _ = Location.objects.get_or_create(merchant=merchant, name="Bench")
    product, _ = Product.objects.get_or_create(merchant=merchant, title="Bench")
    missing = SKUS - Variant.objects.filter(merchant=merchant).count()
    Variant.objects.bulk_create(Variant(merchant=merchant, product=product) for _ in range(missing))
    variants = list(Variant.objects.filter(merchant=merchant).order_by("pk").values_list("pk", flat=True))
    return Shelf(merchant_id=merchant.pk, location_id=location.pk, variant_ids=variants)


def _bare(shelf: Shelf, variants: list[int], seconds: float) -> float:
    variant = str(variants[0]) if len(variants) == 1 else f"random({variants[0]}, {variants[-1]})"
    script = PGBENCH_SCRIPT.format(variant=variant, merchant=shelf.merchant_id, location=shelf.location_id)
    return pgbench.transactions_a_second(script, clients=PROCESSES, seconds=seconds)


def _ours(shelf: Shelf, variants: list[int], batch: int, seconds: float) -> float:
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]
    context = multiprocessing.get_context("fork")
    start, counts = context.Event(), context.Queue()
    workers = [
        context.Process(target=_work, args=(shelf, variants, batch, seconds, start, counts.put))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    ready = [counts.get() for _ in workers]
    start.set()
    posted: int = sum(counts.get() for _ in ready)
    for worker in workers:
        worker.join()
    return posted / seconds


def _work(
    shelf: Shelf, variants: list[int], batch: int, seconds: float, start: Event, tell: Callable[[int], None]
) -> None:
    connection.ensure_connection()
    tell(0)
    start.wait()
    end, posted = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        posted += _post(shelf, [random.choice(variants) for _ in range(batch)])
    tell(posted)


def _post(shelf: Shelf, variant_ids: list[int]) -> int:
    now = timezone.now()
    stamp = f"{os.getpid()}:{time.monotonic_ns()}"
    ledger.record(
        merchant_id=shelf.merchant_id,
        source="bench",
        entries=[
            ledger.Entry(
                variant_id=variant_id,
                location_id=shelf.location_id,
                kind=ledger.Kind.ADJUST,
                key=f"{stamp}:{number}",
                occurred_at=now,
                on_hand=Decimal(1),
            )
            for number, variant_id in enumerate(variant_ids)
        ],
    )
    return len(variant_ids)


def _post_batch(shelf: Shelf) -> int:
    return _post(shelf, shelf.variant_ids[:BATCH])


def _post_with_orm(shelf: Shelf) -> int:
    """Row by row, for comparison only: lock, read, add, write, insert; always rolled back."""
    with transaction.atomic():
        for variant_id in shelf.variant_ids[:BATCH]:
            level = StockLevel.objects.select_for_update().get(variant=variant_id, location=shelf.location_id)
            level.on_hand += 1
            level.last_seq += 1
            level.save()
            movement = StockMovement.objects.create(
                merchant_id=shelf.merchant_id, level=level, variant_id=variant_id, location_id=shelf.location_id,
                seq=level.last_seq, kind="adjust", on_hand=1, on_hand_after=level.on_hand,
                available_after=level.on_hand, occurred_at=timezone.now(), recorded_at=timezone.now(),
                source="orm", idempotency_key=f"{variant_id}",
            )  # fmt: skip
            StockMovementKey.objects.get_or_create(
                merchant_id=shelf.merchant_id, source="orm", idempotency_key=f"{variant_id}",
                defaults={"movement_id": movement.pk, "recorded_at": movement.recorded_at, "content": ""},
            )  # fmt: skip
        transaction.set_rollback(True)
    return BATCH
