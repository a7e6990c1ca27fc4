import csv
import io
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.utils.timezone import now as utc_now

from inventory.models import Variant
from onboarding.importing import deciding, uploads, working
from onboarding.models import Change, ImportBatch, StagedRow
from storestudio.accounts.models import Merchant

ROWS = 50_000
SIZES = ("XS", "S", "M", "L", "XL")
HEADERS = [
    "Handle", "Title", "Vendor", "Type", "Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value",
    "Variant SKU", "Variant Grams", "Variant Inventory Policy", "Variant Price", "Variant Barcode", "Status",
    "Body (HTML)",
]  # fmt: skip
State = ImportBatch.State


class Command(BaseCommand):
    help = "Import a made-up catalog: stage, apply, the same again, undo; seconds, memory, and a bare COPY beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        """How many."""
        parser.add_argument("--rows", type=int, default=ROWS)
        parser.add_argument("--megabytes", type=int, default=0, help="fill the descriptions up to a file of this size")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line a step: seconds, rows a second, the most memory this process ever held."""
        count, size = options["rows"], options["megabytes"] << 20
        shop = Merchant.objects.create(name="Import bench", slug=f"import-bench-{int(time.time())}")
        self.stdout.write(f"{'before the first step':34} {'':9}  {'':9}         peak {_peak_mb():5.0f} MB")
        batch = _upload(shop, count, size)
        self.stdout.write(f"{'the file':34} {batch.file_size / (1 << 20):6.0f} MB")
        self._step("read, compare, rehearse", count, lambda: _work(batch))
        deciding.approve(batch_id=batch.pk, actor=None)
        applied_s = self._step("apply", count, lambda: _work(batch))
        again = _upload(shop, count, size)
        self._step("the same again, up to its preview", count, lambda: _work(again))
        rows = StagedRow.objects.filter(batch=again)
        unchanged = rows.filter(action=StagedRow.Action.UNCHANGED).count()
        self.stdout.write(f"of {rows.count()} rows {unchanged} are unchanged")
        self._cancelled(shop, count)
        copied_s = _copy(shop)
        deciding.undo(batch_id=batch.pk, actor=None)
        self._step("undo", count, lambda: _work(batch))
        left = Variant.objects.filter(merchant=shop).count()
        reversed_ = StagedRow.objects.filter(batch=batch, undo=Change.Undo.REVERSED).count()
        self.stdout.write(f"{reversed_} rows reversed, {left} variants left")
        self.stdout.write(f"bare COPY of the variants {copied_s:.2f} s; apply is {applied_s / copied_s:.1f} times that")

    def _cancelled(self, shop: Merchant, count: int) -> None:
        """How soon a word stops the work: asked while reading, answered after the chunk under way."""
        batch = _upload(shop, count)
        working.work(batch_id=batch.pk, slice_s=0)
        deciding.cancel(batch_id=batch.pk, actor=None)
        begun = time.monotonic()
        _work(batch)
        batch.refresh_from_db()
        took_s = time.monotonic() - begun
        self.stdout.write(f"{'cancel':34} {took_s:6.2f} s   after {batch.rows_read} rows: {batch.get_state_display()}")

    def _step(self, label: str, count: int, rule: Callable[[], Any]) -> float:
        begun = time.monotonic()
        rule()
        took_s = time.monotonic() - begun
        self._line(label, count, took_s)
        return took_s

    def _line(self, label: str, count: int, took_s: float) -> None:
        self.stdout.write(f"{label:34} {took_s:6.2f} s {count / took_s:9.0f} rows/s   peak {_peak_mb():5.0f} MB")


def _peak_mb() -> float:
    """The most this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _work(batch: ImportBatch) -> None:
    while working.work(batch_id=batch.pk):
        pass


def _upload(shop: Merchant, count: int, size: int = 0) -> ImportBatch:
    return uploads.take(merchant=shop, actor=None, file_name="bench.csv", pieces=_pieces(count, size))


def _pieces(count: int, size: int) -> Iterator[bytes]:
    """A Shopify product CSV, some hundred lines a piece, with descriptions that make it `size` bytes or more."""
    described = "<p>A shirt of washed linen.</p>\n" * (size // (count * 32))
    for start in range(-1, count, 500):
        text = io.StringIO()
        writer = csv.writer(text)
        for number in range(start, min(start + 500, count)):
            writer.writerow(HEADERS if number < 0 else [*_cells(number), described])
        yield text.getvalue().encode()


def _cells(number: int) -> list[Any]:
    """The line of one variant; five sizes a product."""
    product, size = divmod(number, len(SIZES))
    is_first = size == 0
    code = f"{2_000_000_000_00 + number:012d}"
    check = (10 - sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(code)) % 10) % 10
    own = [f"Linen Shirt No {product}", "Acme", "Shirts"] if is_first else ["", "", ""]
    return [
        f"linen-shirt-{product}", *own, "Size" if is_first else "", SIZES[size], "Colour" if is_first else "", "Sand",
        f"LIN-{product:05d}-{SIZES[size]}", 400, "deny", f"{19 + product % 80}.00", f"{code}{check}",
        "active" if is_first else "",
    ]  # fmt: skip


def _copy(shop: Merchant) -> float:
    """The same variants by COPY into a table with the same indexes: what the database alone needs."""
    columns = ("title", "sku", "sku_key", "gtin", "price", "merchant_id", "product_id")
    rows = list(Variant.objects.filter(merchant=shop).order_by("pk").values_list(*columns))
    begun = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE bench_variant (LIKE inventory_variant INCLUDING ALL)")
        now = utc_now()
        statement = f"COPY bench_variant (id, options, is_whole_unit, created_at, {', '.join(columns)}) FROM STDIN"
        with cursor.copy(statement) as copy:
            for number, row in enumerate(rows, start=1):
                copy.write_row([number, '{"Size": "M", "Colour": "Sand"}', True, now, *row])
        cursor.execute("DROP TABLE bench_variant")
    return time.monotonic() - begun
