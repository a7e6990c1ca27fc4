"""Where the table begins in a sheet: its header row, and headers that tell columns apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onboarding.reading.rows import COLUMNS_MAX, UnreadableFile

PEEKED_ROWS = 40
_NUMBER = re.compile(r"[-+]?[\d.,\s'%€$£]*\d[\d.,\s'%€$£]*")


@dataclass(frozen=True, slots=True)
class Header:
    """`number`: the row of the headers, 0 when the file has none and `names` are made up ("Column A")."""

    number: int
    names: tuple[str, ...]
    notes: tuple[str, ...]
    cells: tuple[str, ...] = ()  # the header row as it stands

    @property
    def width(self) -> int:
        return len(self.names)


def header_of(rows: Sequence[tuple[int, list[str]]], *, is_known: Callable[[str], bool]) -> Header:
    """Find the header among the first rows. `is_known`: whether a cell is a header some format or language uses.

    A title, a date, blank rows above it are passed over. Raises UnreadableFile: empty, too_wide.
    """
    filled = [(number, _trimmed(cells)) for number, cells in rows if any(cell.strip() for cell in cells)]
    if not filled:
        raise UnreadableFile("empty", "The file holds no rows.")
    number, cells = _best(filled, is_known)
    if len(cells) > COLUMNS_MAX:
        raise UnreadableFile("too_wide", f"The table has more than {COLUMNS_MAX:,} columns.")
    notes = []
    if _looks_like_data(cells, is_known):
        width = max(len(cells) for _, cells in filled)
        notes.append("The file has no header row; columns are named by their letters.")
        return Header(0, tuple(f"Column {letters(place)}" for place in range(width)), tuple(notes))
    above = sum(1 for before, _ in filled if before < number)
    if above:
        notes.append(
            f"{above} row{'s' if above > 1 else ''} above the header {'were' if above > 1 else 'was'} skipped."
        )
    # A nameless last column counts where the header row has a cell for it and a row below fills it.
    whole = next(whole for at, whole in rows if at == number)
    widest = max(len(below) for _, below in filled)
    typed = (*cells, *whole[len(cells) : widest])
    names, more = distinct(typed)
    return Header(number, names, (*notes, *more), typed)


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells at the end, which spreadsheets add."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _best(filled: list[tuple[int, list[str]]], is_known: Callable[[str], bool]) -> tuple[int, list[str]]:
    """The first row that knows at least half as many header words as the best row does; else the first wide one."""
    knowing = []
    for number, cells in filled:
        known = sum(1 for cell in cells if is_known(cell))
        # A row of values may hold a word such as Size; of a header, a good part is words we know.
        knowing.append((known if known * 4 >= _count(cells) else 0, number, cells))
    most = max(known for known, _, _ in knowing)
    if most >= 2 or (most == 1 and max(len(cells) for _, cells in filled) <= 2):
        return next((number, cells) for known, number, cells in knowing if known * 2 >= most and known)
    widest = max(_count(cells) for _, cells in filled)
    return next((number, cells) for number, cells in filled if _count(cells) * 2 >= widest)


def _count(cells: list[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _looks_like_data(cells: list[str], is_known: Callable[[str], bool]) -> bool:
    if any(is_known(cell) for cell in cells):
        return False
    texts = [cell for cell in cells if cell.strip()]
    numbers = sum(1 for cell in texts if _NUMBER.fullmatch(cell.strip()))
    return numbers * 4 >= len(texts)


def distinct(cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Headers made different from each other ("Color", "Color (2)"), nameless ones named by letter; and notes."""
    names: list[str] = []
    notes: list[str] = []
    seen = {cell.strip().casefold() for cell in cells}
    used: set[str] = set()
    for place, cell in enumerate(cells):
        base = " ".join(cell.replace("\0", "").replace("\ufeff", "").split()) or f"Column {letters(place)}"
        name, copy = base, 1
        while name.casefold() in used or (copy > 1 and name.casefold() in seen):
            copy += 1
            name = f"{base} ({copy})"
        if name != base:
            notes.append(f"Two columns are called “{base}”; the one at {letters(place)} is “{name}” here.")
        used.add(name.casefold())
        names.append(name)
    return tuple(names), tuple(notes)


def letters(place: int) -> str:
    """A column's letters as a spreadsheet shows them: 0 is A, 26 is AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text
