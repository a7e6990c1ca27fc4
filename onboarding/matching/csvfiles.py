"""Listings from CSV, plain or gzipped, as records."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from onboarding.matching.records import Record

# Our own word first; the others are what exports of tills and web shops call the same thing.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "listing_id", "web_id"),
    "title": ("title", "name", "product_title"),
    "brand": ("brand", "vendor", "manufacturer"),
    "model": ("model", "mpn"),
    "description": ("description",),
    "price": ("price",),
    "sku": ("sku",),
    "gtin": ("gtin", "barcode", "ean", "upc"),
    "shop": ("shop",),
}
OPTION_SLOTS = (1, 2, 3)


class UnreadableListings(Exception):
    """The file cannot be read as listings; the message says what a person should change."""


@dataclass(frozen=True, slots=True)
class Listings:
    """One file: its records in order, and the shop of each where the file names shops."""

    records: list[Record]
    shops: list[str] | None


def open_text(path: Path, *, write: bool = False) -> TextIO:
    """UTF-8 with or without a byte order mark; a name ending in .gz is compressed."""
    encoding = "utf-8" if write else "utf-8-sig"
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "wt" if write else "rt", encoding=encoding, newline=""))
    return open(path, "w" if write else "r", encoding=encoding, newline="")


def read(path: Path) -> Listings:
    """All listings of a file. Raises UnreadableListings, naming the row, for anything a matcher must not guess."""
    try:
        with open_text(path) as stream:
            reader = csv.DictReader(stream)
            columns = _columns(path=path, header=reader.fieldnames)
            rows = list(_rows(path=path, reader=reader, columns=columns))
    except (OSError, EOFError) as error:
        raise UnreadableListings(f"{path.name}: cannot be opened: {error}") from error
    except UnicodeDecodeError as error:
        raise UnreadableListings(f"{path.name}: is not UTF-8 text (byte {error.start})") from error
    except csv.Error as error:
        raise UnreadableListings(f"{path.name}: is not CSV: {error}") from error
    if not rows:
        raise UnreadableListings(f"{path.name}: has a header and no listings")
    return Listings(
        records=[record for record, _ in rows], shops=[shop for _, shop in rows] if "shop" in columns else None
    )


def _columns(*, path: Path, header: object) -> dict[str, str]:
    if not isinstance(header, (list, tuple)) or not header:
        raise UnreadableListings(f"{path.name}: is empty")
    by_name = {str(name).strip().casefold(): str(name) for name in reversed(header) if name is not None}
    columns = {ours: next((by_name[a] for a in names if a in by_name), "") for ours, names in ALIASES.items()}
    missing = [ours for ours in ("id", "title") if not columns[ours]]
    if missing:
        wanted = " and ".join(f"{ours} (or {', '.join(ALIASES[ours][1:])})" for ours in missing)
        raise UnreadableListings(f"{path.name}: lacks the column {wanted}; it has {', '.join(by_name)}")
    for slot in OPTION_SLOTS:
        for part in ("name", "value"):
            columns[f"option{slot}_{part}"] = by_name.get(f"option{slot}_{part}", "")
    return {ours: name for ours, name in columns.items() if name}


def _rows(*, path: Path, reader: csv.DictReader[str], columns: dict[str, str]) -> Iterator[tuple[Record, str]]:
    seen: set[str] = set()
    for number, row in enumerate(reader, start=2):
        cells = {ours: (row.get(name) or "").strip() for ours, name in columns.items()}
        if not any(cells.values()):
            continue
        if not cells["id"]:
            raise UnreadableListings(f"{path.name}: row {number} has no id")
        if cells["id"] in seen:
            raise UnreadableListings(f"{path.name}: row {number} repeats the id {cells['id']}")
        seen.add(cells["id"])
        yield _record(cells=cells), cells.get("shop", "")


def _record(*, cells: dict[str, str]) -> Record:
    options = tuple(
        (cells.get(f"option{slot}_name", ""), cells[f"option{slot}_value"])
        for slot in OPTION_SLOTS
        if cells.get(f"option{slot}_value")
    )
    plain = {field: cells.get(field, "") for field in ("title", "brand", "model", "description", "sku", "gtin")}
    return Record(id=cells["id"], price=read_price(cells.get("price", "")), options=options, **plain)


def read_price(typed: str) -> float | None:
    """A price in the file's currency; None when it is empty, zero or no number: absence is evidence of nothing."""
    digits = "".join(c for c in typed if c.isdigit() or c in ".,")
    if digits.rfind(",") > digits.rfind(".") and len(digits.rsplit(",", 1)[1]) in (1, 2):
        digits = digits.replace(".", "").replace(",", ".")  # 1.234,50
    try:
        price = float(digits.replace(",", ""))
    except ValueError:
        return None
    return price if price > 0 else None
