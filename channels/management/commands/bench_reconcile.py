"""`./dev bench reconcile`: what comparing a channel's whole stock costs, beside the COPY of the same rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from channels.models import ChannelLocation, ChannelStock, Connection, Listing
from channels.ports import Count
from channels.reconcile import reading
from inventory.models import Location
from storestudio.accounts.models import Merchant

PLACES = 2
RATIO_MAX = 4
UNITS = Decimal(7)

_FILL = """
WITH product AS (
    INSERT INTO inventory_product (merchant_id, title, vendor, category, image_url, created_at)
    VALUES (%(merchant)s, 'Bench', '', '', '', now()) RETURNING id
), variant AS (
    INSERT INTO inventory_variant (merchant_id, product_id, title, sku, sku_key, gtin, options, is_whole_unit,
                                   created_at)
    SELECT %(merchant)s, product.id, 'Thing ' || n, 'B-' || n, 'B-' || n, '', '{}', true, now()
    FROM product, generate_series(1, %(listings)s) n RETURNING id, sku
)
INSERT INTO channels_listing (merchant_id, connection_id, external_id, inventory_id, product_external_id, product_title,
    title, sku, sku_key, gtin, barcode, options, vendor, category, image_url, is_tracked, sells_past_zero, variant_id,
    link, link_reason, seen_at)
SELECT %(merchant)s, %(connection)s, 'gid://bench/Variant/' || sku, 'gid://bench/InventoryItem/' || sku, '', '', '',
       sku, sku, '', '', '{}', '', '', '', true, false, id, 'linked', '', now()
FROM variant
"""
_CELLS = """
INSERT INTO channels_channelstock (merchant_id, connection_id, listing_id, channel_location_id, desired, expected,
                                   observed, observed_at, doubt, attempts, blocked_reason)
SELECT l.merchant_id, l.connection_id, l.id, cl.id, 7, 7, 7, now(), 0, 0, ''
FROM channels_listing l JOIN channels_channellocation cl ON cl.connection_id = l.connection_id
WHERE l.connection_id = %(connection)s
"""


class Command(BaseCommand):
    help = (
        "Compare a channel's whole stock with what we expect, beside the COPY of the same rows, in alternating rounds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How many cells, how often, and how many of them differ."""
        parser.add_argument("--cells", type=int, default=1_000_000)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--slice", type=int, default=100_000, help="cells compared at once")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print seconds of both, and their ratio, for nothing differing and for one in a hundred differing."""
        connection = _shop(options["cells"])
        self.stdout.write(f"{options['cells']:,} cells of one connection, slices of {options['slice']:,}; medians")
        counts = _counts(connection)
        for label, differing in (("nothing differs", 0), ("1 in 100 differs", 100)):
            shown = _changed(counts, every=differing)
            copied, compared = [], []
            for _ in range(options["rounds"]):
                copied.append(_timed(partial(_copy, shown)))
                compared.append(_timed(partial(_compare, connection, shown, options["slice"])))
                _reset(connection)
            ratio = statistics.median(ours / bare for ours, bare in zip(compared, copied, strict=True))
            self.stdout.write(
                f"{label:18} COPY {statistics.median(copied):6.2f} s   reconcile {statistics.median(compared):6.2f} s"
                f"   ratio {ratio:4.2f} (at most {RATIO_MAX})"
            )


def _shop(cells: int) -> Connection:
    merchant = Merchant.objects.create(name="Bench", slug=f"bench-{time.time_ns()}")
    connection = Connection.objects.create(
        merchant=merchant, channel="shopify", label="Bench", account_id="bench", base_url="http://127.0.0.1:9",
        number="available", credentials=b"", credentials_kid="",
    )  # fmt: skip
    for n in range(PLACES):
        place = Location.objects.create(merchant=merchant, name=f"Place {n}")
        ChannelLocation.objects.create(
            merchant=merchant, connection=connection, external_id=f"gid://bench/Location/{n}", name=place.name,
            location=place,
        )  # fmt: skip
    values: dict[str, Any] = {"merchant": merchant.pk, "connection": connection.pk, "listings": cells // PLACES}
    with database.cursor() as cursor:
        cursor.execute(_FILL, values)
        cursor.execute(_CELLS, values)
        cursor.execute("VACUUM ANALYZE channels_listing, channels_channelstock, channels_channellocation")
    return connection


def _counts(connection: Connection) -> list[Count]:
    """What the channel would answer, in the order of the listings."""
    places = list(
        ChannelLocation.objects.filter(connection=connection).order_by("pk").values_list("external_id", flat=True)
    )
    items = Listing.objects.filter(connection=connection).order_by("pk").values_list("inventory_id", flat=True)
    return [Count(item, place, UNITS, None) for item in items.iterator(chunk_size=20_000) for place in places]


def _changed(counts: Sequence[Count], *, every: int) -> Sequence[Count]:
    if not every:
        return counts
    return [
        Count(one.inventory_id, one.location_id, one.quantity - 1, None) if n % every == 0 else one
        for n, one in enumerate(counts)
    ]


def _timed(step: Callable[[], None]) -> float:
    started = time.monotonic()
    step()
    return time.monotonic() - started


def _copy(counts: Sequence[Count]) -> None:
    """The bare floor: the rows as the channel told them, into a plain table, committed."""
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_reading")
        cursor.execute("CREATE TABLE bench_reading (item text, place text, number numeric)")
        with cursor.copy("COPY bench_reading FROM STDIN") as copy:
            rows = [f"{one.inventory_id}\t{one.location_id}\t{one.quantity}\n" for one in counts]
            for start in range(0, len(rows), reading.COPIED_AT_ONCE):
                copy.write("".join(rows[start : start + reading.COPIED_AT_ONCE]))


def _compare(connection: Connection, counts: Sequence[Count], size: int) -> None:
    """As a sweep does it, but for the channel's own time: slice by slice, the ids to ask for read first."""
    per_slice, after, start = size // PLACES, 0, 0
    while True:
        asked = reading.slice_of(connection, after=after, size=per_slice)
        if not asked.keys:
            return
        shown = counts[start * PLACES : (start + len(asked.keys)) * PLACES]
        reading.observe(connection=connection, counts=shown, read_at=timezone.now(), asked=asked, moves_age=False)
        after, start = asked.keys[-1], start + len(asked.keys)


def _reset(connection: Connection) -> None:
    """Every round meets the same cells."""
    connection.gaps.all().delete()
    moved = ChannelStock.objects.filter(connection=connection).exclude(recheck_at=None, observed=UNITS)
    moved.update(recheck_at=None, observed=UNITS)
