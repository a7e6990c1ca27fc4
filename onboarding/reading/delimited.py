"""Rows of delimited text, with the quotation marks that people and programs get wrong put right, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from onboarding.reading.rows import RECORD_CHARS_MAX, Problem, Severity, UnreadableFile
from onboarding.reading.sniffing import separator_line

# How many lines one row may be made of before its opening quote is taken for a lone one.
_LINES_MAX = 2_000


class _Lines:
    """Physical lines for csv.reader, remembering those of the row being read; some may be put back."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._again: list[str] = []  # the next one last
        self.taken: list[str] = []
        self._chars = 0
        self.is_cut = False

    def begin(self) -> None:
        self.taken = []
        self._chars = 0
        self.is_cut = False

    def put_back(self, lines: list[str]) -> None:
        self._again.extend(reversed(lines))

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._chars > RECORD_CHARS_MAX or len(self.taken) >= _LINES_MAX:
            self.is_cut = True  # the row ends here for csv.reader; DelimitedRows decides what it was
            raise StopIteration
        line = self._again.pop() if self._again else self._text.readline(RECORD_CHARS_MAX + 1)
        if not line:
            raise StopIteration
        if len(line) > RECORD_CHARS_MAX:
            raise _LineTooLong
        self.taken.append(line)
        self._chars += len(line)
        return line


class _LineTooLong(Exception):
    pass


class DelimitedRows:
    """Rows as (number, cells, problems); `number` counts as a spreadsheet shows: blank rows too, from 1.

    `width`, once set, is how many cells a row should have: it tells a lone quote from a cell of several lines.
    Raises UnreadableFile (too_long) for a row longer than RECORD_CHARS_MAX characters.
    """

    def __init__(self, text: io.TextIOBase, *, delimiter: str, width: int = 0) -> None:
        self.width = width
        self._delimiter = delimiter
        self._lines = _Lines(text)

    def __iter__(self) -> Iterator[tuple[int, list[str], tuple[Problem, ...]]]:
        csv.field_size_limit(max(csv.field_size_limit(), RECORD_CHARS_MAX * 2))
        lines = self._lines
        reader = csv.reader(lines, delimiter=self._delimiter)
        number = 0
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (_LineTooLong, csv.Error) as failure:
                raise _too_long(number + 1) from failure
            number += 1
            if number == 1 and separator_line(lines.taken[0]):
                number = 0  # "sep=;" is an order to the spreadsheet, which does not show it
                continue
            problems: tuple[Problem, ...] = ()
            if len(lines.taken) > 1 and (lines.is_cut or (self.width and self._is_suspect(cells))):
                cells, problems, is_changed = self._repaired(number, cells)
                if is_changed:
                    reader = csv.reader(lines, delimiter=self._delimiter)
            if any("\0" in line for line in lines.taken):
                cells = [cell.replace("\0", "") for cell in cells]
                problems += (Problem("", Severity.WARNING, "NUL bytes were left out."),)
            yield number, cells, problems

    def _is_suspect(self, cells: list[str]) -> bool:
        """Whether a row of several lines is no sound one: too many or few cells, or quotes that close inside a cell."""
        return len(cells) != self.width or not self._is_strict()

    def _is_strict(self) -> bool:
        try:
            next(csv.reader(self._lines.taken, delimiter=self._delimiter, strict=True), None)
        except csv.Error:
            return False
        return True

    def _repaired(self, number: int, cells: list[str]) -> tuple[list[str], tuple[Problem, ...], bool]:
        """The first line alone, read without quotes, when its quote is a lone one; the other lines are put back.

        `5" pipe` at the start of a cell opens a quotation that closes rows later, or never: rows would be lost in it.
        """
        first, *others = self._lines.taken
        plain = next(csv.reader([first], delimiter=self._delimiter, quoting=csv.QUOTE_NONE), [])
        fits = bool(self.width) and len(plain) == self.width
        if self._lines.is_cut and not fits and (not self.width or len(self._lines.taken) < _LINES_MAX):
            raise _too_long(number)
        if not fits and not self._lines.is_cut and (len(cells) == self.width or self._is_strict()):
            return cells, (), False
        self._lines.put_back(others)
        message = "A quotation mark is opened and not closed; the row was read without quotation marks."
        return plain, (Problem("", Severity.WARNING, message),), True


def _too_long(number: int) -> UnreadableFile:
    return UnreadableFile(
        "too_long",
        f"Row {number} is longer than {RECORD_CHARS_MAX:,} characters. Perhaps a quotation mark is opened there "
        "and never closed, or this is no table.",
    )
