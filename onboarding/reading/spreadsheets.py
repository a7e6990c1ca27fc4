"""Rows of an XLSX workbook, read a row at a time, after its ZIP container was found to be harmless."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

import openpyxl

from onboarding.reading.rows import COLUMNS_MAX, Problem, Severity, UnreadableFile

ENTRIES_MAX = 2_000
TOTAL_BYTES_MAX = 1_000_000_000  # of all parts, unpacked
SHARED_BYTES_MAX = 150_000_000  # of any part that is held in memory whole (texts, styles)
RATIO_MAX = 200  # real workbooks pack 5 to 30 times; only above RATIO_FREE_BYTES
RATIO_FREE_BYTES = 20_000_000
_CHUNK = 256 * 1024
_ENTITIES = (b"<!DOCTYPE", b"<!ENTITY")
_UNCALCULATED = re.compile(rb"</f>(?:<v\s*/>|<v></v>)?</c>")
_ZEROS = re.compile(r"0+")
_ERRORS = {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#GETTING_DATA"}


@dataclass(frozen=True, slots=True)
class Package:
    """What the check of the container found: cells with a formula and no stored value."""

    uncalculated: int


def check_package(stream: IO[bytes]) -> Package:
    """Unpack every part once, counting, before anything parses it; sizes a ZIP declares are not believed.

    Raises UnreadableFile: archive (no workbook), damaged, unsafe.
    """
    try:
        with zipfile.ZipFile(stream) as package:
            entries = package.infolist()
            names = [entry.filename for entry in entries]
            _check_names(names)
            if any(entry.flag_bits & 0x1 for entry in entries):
                raise UnreadableFile("damaged", "The workbook is locked with a password. Save it without one.")
            return _unpacked(package, entries)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        ValueError,
        RuntimeError,
    ) as failure:
        raise UnreadableFile(
            "damaged", "The workbook is damaged or cut off. Save it again and upload that."
        ) from failure


def _check_names(names: list[str]) -> None:
    if len(names) > ENTRIES_MAX:
        raise UnreadableFile("unsafe", f"The workbook has more than {ENTRIES_MAX:,} parts; it was not opened.")
    if len(set(names)) != len(names):
        raise UnreadableFile("unsafe", "The workbook holds two parts of one name; it was not opened.")
    if "xl/workbook.xml" not in names and not any(name.endswith("workbook.xml") for name in names):
        if "mimetype" in names and "content.xml" in names:
            raise UnreadableFile("not_a_table", "This is an OpenDocument file. Save it as XLSX or CSV and upload that.")
        if any(name.endswith("workbook.bin") for name in names):
            raise UnreadableFile("old_excel", "This is a binary workbook (.xlsb). Save it as .xlsx and upload that.")
        raise UnreadableFile("archive", "This is a ZIP archive, not a workbook. Unpack it and upload the table inside.")


def _unpacked(package: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> Package:
    packed = total = uncalculated = 0
    for entry in entries:
        packed += entry.compress_size
        size, tail = 0, b""
        is_sheet = "worksheets/" in entry.filename
        is_markup = entry.filename.endswith((".xml", ".rels", ".vml"))
        with package.open(entry) as part:
            while chunk := part.read(_CHUNK):
                size += len(chunk)
                total += len(chunk)
                if total > TOTAL_BYTES_MAX or (total > RATIO_FREE_BYTES and total > RATIO_MAX * packed):
                    raise UnreadableFile(
                        "unsafe", "The workbook unpacks to far more than it should; it was not opened."
                    )
                if not is_sheet and size > SHARED_BYTES_MAX:
                    raise UnreadableFile("too_large", "The workbook's texts are too large. Save the sheet as CSV.")
                if is_markup:
                    window = tail + chunk
                    if any(mark in window for mark in _ENTITIES):
                        raise UnreadableFile("unsafe", "The workbook defines entities; it was not opened.")
                    if is_sheet:
                        uncalculated += len(_UNCALCULATED.findall(window)) - len(_UNCALCULATED.findall(tail))
                    tail = window[-40:]
    return Package(uncalculated=uncalculated)


class Workbook:
    """An XLSX file that was checked. `sheets` are the visible ones in order; close it when done.

    Cached values only: no formula is computed, no link followed. Raises UnreadableFile.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        package = check_package(stream)
        stream.seek(0)
        try:
            self._book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        except UnreadableFile:
            raise
        except Exception as failure:
            # Hostile and broken parts fail in many ways inside the parser; all of them mean the same to a person.
            raise UnreadableFile("damaged", "The workbook cannot be read. Save it again and upload that.") from failure
        self.notes: tuple[str, ...] = ()
        if package.uncalculated:
            self.notes = (
                f"{package.uncalculated} cells hold a formula whose result was not saved; they count as empty. "
                "Open the file in a spreadsheet and save it to fill them.",
            )
        self.sheets = [sheet.title for sheet in self._book.worksheets if sheet.sheet_state == "visible"] or [
            sheet.title for sheet in self._book.worksheets
        ]

    def close(self) -> None:
        self._book.close()

    def choose(self, name: str | None) -> str:
        """The sheet of that name, or the first that holds anything. Raises UnreadableFile: no_sheet, empty."""
        if name is not None:
            if name not in self._book.sheetnames:
                listed = ", ".join(f"“{sheet}”" for sheet in self.sheets)
                raise UnreadableFile("no_sheet", f"There is no sheet “{name}”. There are: {listed}.")
            return name
        for sheet in self.sheets:
            if any(any(cell.strip() for cell in cells) for _, cells, _ in self.rows(sheet)):
                return sheet
        raise UnreadableFile("empty", "The workbook is empty: none of its sheets holds a row.")

    def rows(self, sheet: str) -> Iterator[tuple[int, list[str], tuple[Problem, ...]]]:
        """(number, cells, problems) of each row, blank ones too. Memory: one row."""
        table: Any = self._book[sheet]
        table.reset_dimensions()  # what the file says of its own size is often wrong
        try:
            for number, row in enumerate(table.iter_rows(), start=1):
                cells: list[str] = []
                problems: list[Problem] = []
                for cell in row[: COLUMNS_MAX + 1]:
                    value = cell.value
                    # Most cells are text: they skip the call.
                    cells.append(value if type(value) is str and value[:1] != "#" else _text(cell, problems))
                yield number, cells, tuple(problems)
        except UnreadableFile:
            raise
        except Exception as failure:
            raise UnreadableFile(
                "damaged", f"The sheet “{sheet}” is damaged; it could not be read to its end. Save it again."
            ) from failure


def _text(cell: Any, problems: list[Problem]) -> str:
    """A cell's value as a person reads it: whole numbers whole, no exponent, dates as ISO."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "", problems)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else f"{value.isoformat()} 00:00:00"
    if isinstance(value, str) and value in _ERRORS:
        problems.append(Problem("", Severity.WARNING, f"A formula failed with {value}; the cell counts as empty."))
        return ""
    return str(value)


def _number(value: int | float, number_format: str, problems: list[Problem]) -> str:
    """A spreadsheet keeps 15 digits; a format such as 0000000000000 shows zeros that the number itself has not."""
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return ""
        text = f"{Decimal(f'{value:.15g}'):f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    else:
        text = str(value)
    if len(text.lstrip("-")) > 15 and "." not in text:
        problems.append(
            Problem("", Severity.WARNING, f"{text} has more than 15 digits; a spreadsheet keeps 15, the rest is lost.")
        )
    if _ZEROS.fullmatch(number_format) and text.isdigit():
        return text.zfill(len(number_format))
    return text
