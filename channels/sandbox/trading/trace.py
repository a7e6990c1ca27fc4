"""A trading trace as customers: invoices to play, in order, and a count of what cannot be played and why."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby, islice
from pathlib import Path
from typing import TextIO

from channels.sandbox.goods import is_goods
from inventory import identifiers


@dataclass(frozen=True)
class Invoice:
    """One customer's purchase, or with `is_return` what one brings back. `units` by SKU key, all positive.

    `at` is the trace's own clock, without a zone: only the gaps matter.
    """

    number: str
    at: datetime
    customer: str
    units: Mapping[str, int]
    is_return: bool = False
    lines: int = 0


@dataclass(frozen=True)
class Row:
    """One line as it stands in the file."""

    invoice: str
    sku: str
    quantity: str
    at: str
    customer: str


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A CSV file, gzipped or plain."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file


def rows(path: Path, *, lines_max: int | None = None) -> Iterator[Row]:
    """The first lines of a trace. Raises KeyError where a column is missing."""
    with opened(path) as file:
        for line in islice(csv.DictReader(file), lines_max):
            yield Row(
                invoice=line["invoice"].strip(), sku=line["sku"], quantity=line["quantity"].strip(),
                at=line["invoiced_at"].strip(), customer=(line["customer"] or "").strip(),
            )  # fmt: skip


def invoices(lines: Iterable[Row], *, known: frozenset[str], left_out: Counter[str]) -> Iterator[Invoice]:
    """Invoices with at least one playable line, one after another. Counts in `left_out` what is not played.

    Lines of one SKU on one invoice become one line of the order. `known`: SKU keys that both channels sell.
    """
    for number, group in groupby(lines, key=lambda row: row.invoice):
        is_return = number.upper().startswith("C")
        units: Counter[str] = Counter()
        count, first = 0, None
        for row in group:
            first = first or row
            count += 1
            key, quantity, why = _read(row, known=known, is_return=is_return)
            if why:
                left_out[why] += 1
            else:
                units[key] += quantity
        if not units or first is None:
            continue
        try:
            at = datetime.fromisoformat(first.at)
        except ValueError:
            left_out["no readable time"] += count
            continue
        yield Invoice(number, at, first.customer, dict(units), is_return, count)


def _read(row: Row, *, known: frozenset[str], is_return: bool) -> tuple[str, int, str]:
    """SKU key, positive units, and why the line is left out, if it is."""
    key = identifiers.sku_key(row.sku)
    if not is_goods(key) and key not in known:
        return key, 0, "not goods (postage, fees, samples)"
    if key not in known:
        return key, 0, "goods that are not on both channels"
    try:
        quantity = Decimal(row.quantity)
    except InvalidOperation:
        return key, 0, "no readable quantity"
    if not quantity.is_finite() or quantity != quantity.to_integral_value():
        return key, 0, "no whole quantity"
    if quantity == 0:
        return key, 0, "quantity 0"
    if is_return:
        return (key, -int(quantity), "") if quantity < 0 else (key, 0, "units sold on a return")
    return (key, int(quantity), "") if quantity > 0 else (key, 0, "written off, not sold")
