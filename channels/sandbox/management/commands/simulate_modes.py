from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.sandbox.goods import is_goods
from channels.sandbox.trading import four_channels, trace
from channels.sandbox.trading.four_channels import LATENCIES_S, WAYS, Customer, Score, Way
from inventory import identifiers

HEAD = """\
| way | oversells per 10,000 orders | at the worst channel | lines oversold there | realised risk | sales lost |
| --- | --- | --- | --- | --- | --- |"""


class Command(BaseCommand):
    help = "Sell a trading trace over four channels of different latency, in each way of keeping them in step."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which trace, and how scarce goods are."""
        parser.add_argument("path", type=Path, help="CSV, gzipped or plain: invoice, sku, quantity, invoiced_at, …")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--lines", type=int, default=None, help="only the first lines of the trace")
        parser.add_argument("--cover", type=float, default=1.0, help="weeks of sales on the shelf after each delivery")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one table, as Markdown."""
        if not options["path"].exists():
            raise CommandError(f"There is no {options['path']}.")
        goods = _customers(options["path"], lines_max=options["lines"], seed=options["seed"])
        lines = sum(map(len, goods.values()))
        latencies = ", ".join(map(four_channels.duration, LATENCIES_S))
        self.stdout.write(
            f"{lines:,} order lines of {len(goods):,} things; channels at {latencies}; "
            f"{options['cover']:g} weeks of cover; seed {options['seed']}\n"
        )
        self.stdout.write(HEAD)
        for way in WAYS:
            score = four_channels.play(goods, way=way, weeks_of_cover=options["cover"])
            self.stdout.write(_row(way, score))
            self.stdout.flush()


def _customers(path: Path, *, lines_max: int | None, seed: int) -> Mapping[str, Sequence[Customer]]:
    keys = {identifiers.sku_key(row.sku) for row in trace.rows(path, lines_max=lines_max)}
    known = frozenset(key for key in keys if is_goods(key))
    left_out: Counter[str] = Counter()
    invoices = trace.invoices(trace.rows(path, lines_max=lines_max), known=known, left_out=left_out)
    return four_channels.customers(invoices, seed=seed)


def _row(way: Way, score: Score) -> str:
    return (
        f"| {way.name} | {score.oversells_per_10_000:.1f} | {100 * score.worst_orders_percent:.1f} "
        f"| {score.worst_lines_percent:.3f} % | {score.risk_percent:.4f} % | {score.lost_percent:.2f} % |"
    )
