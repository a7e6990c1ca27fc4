"""An uploaded file opened: what it is, what its columns mean, and its rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO

from onboarding.reading import columns, formats, sniffing, tables
from onboarding.reading.building import Builder
from onboarding.reading.columns import ColumnGuess
from onboarding.reading.delimited import DelimitedRows
from onboarding.reading.fields import MONEY, OPTION_SLOTS
from onboarding.reading.folding import FOLDINGS, Texts
from onboarding.reading.formats import Format
from onboarding.reading.headers import folded, signature
from onboarding.reading.rows import ROWS_MAX, CatalogRow, Problem, Severity, UnreadableFile
from onboarding.reading.spreadsheets import Workbook
from onboarding.reading.values import NumberStyle, style_of

SAMPLED_ROWS = 200
_SAMPLE_CHARS = 128 * 1024
_NUMBERS = (*MONEY, "quantity", "weight", "_regular", "_sale", "_current", "_new")

Row = tuple[int, list[str], tuple[Problem, ...]]


class Reading:
    """One file, open. Not to be shared between threads; `rows` may be called again, it starts anew.

    `format`: what was recognised. `suggested`: a guess per column, for a table of an unknown kind to be confirmed.
    `mapping`: header -> field as rows are read with. `folded`: after reading, rows that are no variant, by kind.
    """

    def __init__(
        self,
        stream: IO[bytes] | Iterable[bytes],
        *,
        name: str,
        mapping: Mapping[str, str] | None = None,
        sheet: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self.name = name
        self.encoding = self.delimiter = ""
        self.sheet: str | None = None
        self.sheets: tuple[str, ...] = ()
        self.folded: dict[str, int] = {}
        self._notes: list[str] = []
        self._book: Workbook | None = None
        self._text = sniffing.Encoding("utf-8")
        self._stream = sniffing.seekable(stream)
        self._is_spooled = self._stream is not stream
        self._open(sheet=sheet, encoding=encoding)
        head = self._peeked(tables.PEEKED_ROWS)
        self.header = tables.header_of(
            [(number, cells) for number, cells, _ in head],
            is_known=lambda cell: columns.is_known_header(cell) or folded(cell) in formats.KNOWN_HEADERS,
        )
        self._notes.extend(self.header.notes)
        self._sample = [cells for number, cells, _ in self._peeked(SAMPLED_ROWS) if number > self.header.number]
        if not any(any(cell.strip() for cell in cells) for cells in self._sample):
            raise UnreadableFile("no_rows", "The file has a header and no rows below it.")
        self._first_header = self.header.cells[0] if self.header.cells else None
        self._decide(mapping)

    @property
    def headers(self) -> tuple[str, ...]:
        return self.header.names

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, in sentences."""
        return tuple(self._notes)

    @property
    def signature(self) -> str:
        return signature(self.headers)

    @property
    def needs_mapping(self) -> bool:
        """Whether a person should confirm the columns before rows are believed."""
        return self.format is formats.OTHER and not self._is_mapped

    def close(self) -> None:
        """Free the workbook and what was spooled; a stream that was handed in stays open."""
        if self._book is not None:
            self._book.close()
        if self._is_spooled:
            self._stream.close()

    def rows(self, *, after: int = 0) -> Iterator[CatalogRow]:
        """Variants in the file's order, lazily. `after`: pass over rows up to this number, parsing none of them.

        Raises UnreadableFile where the file turns out broken further down; the rows before it were good.
        """
        folding = FOLDINGS[self.format.folding]()
        if folding.needs_preparing:
            folding.prepare(self._texts(cells) for _, cells, _ in self._data())
        builder = Builder(style=self._style, names=self._option_names(), implied=self._implied)
        self.folded = folding.folded
        for number, cells, found in self._data():
            problems: list[Problem] = list(found)
            if cells[0] == self._first_header and self._repeats_header(cells):
                folding.folded["headers repeated"] += 1
                continue
            texts = folding.fold(self._texts(cells), problems)
            if texts is None or number <= after:
                continue
            if found or len(cells) != self.header.width:
                self._check_width(cells, problems)
            yield builder.build(number=number, raw=self._raw(cells), texts=texts, problems=problems)

    def _open(self, *, sheet: str | None, encoding: str | None) -> None:
        head = self._stream.read(sniffing.SAMPLE_BYTES)
        if head.startswith(b"PK\x03\x04"):
            self._book = Workbook(self._stream)
            self.encoding, self.sheets = "xlsx", tuple(self._book.sheets)
            self._notes.extend(self._book.notes)
            self.sheet = self._book.choose(sheet)
            if len(self.sheets) > 1 and sheet is None:
                self._notes.append(f"Sheet “{self.sheet}” was read, of {len(self.sheets)}.")
            return
        sniffing.refuse_what_is_no_text(head)
        if encoding is None:
            self._text = sniffing.encoding_of(self._stream)
        else:
            self._text = sniffing.Encoding(
                encoding, "strict" if encoding.startswith("utf") else sniffing.WINDOWS_ERRORS
            )
        self.encoding = self._text.name
        self._notes.extend(self._text.notes)
        self.delimiter = sniffing.delimiter_of(self._decoded())

    def _decoded(self) -> str:
        try:
            return sniffing.text_of(self._stream, encoding=self._text).read(_SAMPLE_CHARS)
        except (UnicodeError, LookupError) as failure:
            message = f"The file cannot be read as {self._text.name}. Save it as CSV UTF-8 and upload that."
            raise UnreadableFile("encoding", message) from failure

    def _all(self, *, width: int = 0) -> Iterator[Row]:
        if self._book is not None and self.sheet is not None:
            yield from self._book.rows(self.sheet)
            return
        text = sniffing.text_of(self._stream, encoding=self._text)
        try:
            yield from DelimitedRows(text, delimiter=self.delimiter, width=width)
        except UnicodeError as failure:
            message = f"The file is not {self._text.name} throughout. Save it as CSV UTF-8 and upload that."
            raise UnreadableFile("encoding", message) from failure

    def _peeked(self, count: int) -> list[Row]:
        width = self.header.width if hasattr(self, "header") else 0
        try:
            return list(islice(self._all(width=width), count))
        except UnreadableFile as failure:
            # A quotation mark that never closes: with the width known from the rows above it, it can be read past.
            if failure.code != "too_long" or width:
                raise
            first = next(iter(self._all()), None)
            return list(islice(self._all(width=len(first[1])), count)) if first else []

    def _data(self) -> Iterator[Row]:
        """Rows below the header that hold anything."""
        for count, row in enumerate(self._all(width=self.header.width)):
            if count > ROWS_MAX:
                raise UnreadableFile("too_large", f"The file has more than {ROWS_MAX:,} rows. Split it.")
            if row[0] > self.header.number and any(row[1]) and any(map(str.strip, row[1])):
                yield row

    def _decide(self, mapping: Mapping[str, str] | None) -> None:
        """Format, mapping, and how numbers are written."""
        self.format: Format = formats.recognise(self.headers)
        self._is_mapped = mapping is not None
        own = formats.columns_of(self.format, self.headers)
        if self.format is formats.SHOPIFY_INVENTORY:
            own |= formats.stock_places(self.headers, own, self._sample)
        self.suggested: tuple[ColumnGuess, ...] = (
            columns.guess(self.headers, self._sample) if self.format is formats.OTHER else self._known_columns(own)
        )
        if mapping is not None:
            chosen = columns.validated(mapping, headers=self.headers)
            # A person renames a known export's columns; what only the format understands stays.
            inner = {header: name for header, name in own.items() if name.startswith("_") and header not in mapping}
            self.mapping = chosen | inner
        elif self.format is formats.OTHER:
            self.mapping = {guess.header: guess.field for guess in self.suggested if guess.field}
        else:
            self.mapping = own
        self._fields = [
            (place, self.mapping[header]) for place, header in enumerate(self.headers) if header in self.mapping
        ]
        self._implied = formats.implied(self.format, self.headers, self.mapping)
        self._style = self._number_style()

    def _known_columns(self, own: Mapping[str, str]) -> tuple[ColumnGuess, ...]:
        reason = f"A column of {self.format.label}."
        return tuple(
            ColumnGuess(
                header=header,
                field=own.get(header, "") if not own.get(header, "").startswith("_") else "",
                confidence=1.0 if header in own else 0.0,
                reason=reason if header in own else "Not needed.",
                samples=tuple(dict.fromkeys(row[place] for row in self._sample if place < len(row) and row[place]))[:3],
            )
            for place, header in enumerate(self.headers)
        )

    def _number_style(self) -> NumberStyle:
        places = [place for place, name in self._fields if name.split(":")[0] in _NUMBERS]
        style = style_of(row[place] for row in self._sample for place in places if place < len(row) and row[place])
        if style.decimal == ",":
            self._notes.append("Numbers are read with a decimal comma.")
        return style

    def _option_names(self) -> dict[int, str]:
        """A column "Size" mapped to an option's value names the option, where no column does."""
        named = {field: header for header, field in self.mapping.items()}
        names = {}
        for slot in OPTION_SLOTS:
            header = named.get(f"option{slot}_value")
            if header and f"option{slot}_name" not in named and columns.is_option_name(header):
                names[slot] = header
        return names

    def _texts(self, cells: Sequence[str]) -> Texts:
        width = len(cells)
        return {name: cells[place] for place, name in self._fields if place < width}

    def _raw(self, cells: Sequence[str]) -> dict[str, str]:
        """Header -> cell as it stands, empty ones left out; cells beyond the header by their letters."""
        raw = {header: cell for header, cell in zip(self.headers, cells, strict=False) if cell}
        for place in range(self.header.width, len(cells)):
            if cells[place]:
                raw[f"Column {tables.letters(place)}"] = cells[place]
        return raw

    def _repeats_header(self, cells: Sequence[str]) -> bool:
        """Exports pasted below each other carry their header along."""
        return tuple(cell.strip() for cell in cells[: self.header.width]) == tuple(
            cell.strip() for cell in self.header.cells
        )

    def _check_width(self, cells: Sequence[str], problems: list[Problem]) -> None:
        width = self.header.width
        if any(cell.strip() for cell in cells[width:]):
            message = (
                f"{len(cells)} cells under {width} headers: perhaps a {self._mark()} inside a value is not quoted."
            )
            problems.append(Problem("", Severity.ERROR, message))
        elif len(cells) < width and self._book is None:
            message = f"Only {len(cells)} cells under {width} headers; the missing ones say nothing."
            problems.append(Problem("", Severity.WARNING, message))

    def _mark(self) -> str:
        return {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(self.delimiter, "delimiter")


def read(
    stream: IO[bytes] | Iterable[bytes],
    *,
    name: str,
    mapping: Mapping[str, str] | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
) -> Reading:
    """Open an uploaded file: a seekable binary file, or its bytes in chunks (they are spooled to disk).

    `name` is only shown: what the file is, its bytes tell. `mapping`: header -> field, for tables of unknown kind.
    Memory: some rows, for XLSX also its texts. Raises UnreadableFile.
    """
    return Reading(stream, name=name, mapping=mapping, sheet=sheet, encoding=encoding)
