"""What kind of file this is, in which encoding, with which delimiter: found from its bytes, never from its name."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, cast

from onboarding.reading.rows import RECORD_CHARS_MAX, UnreadableFile

SAMPLE_BYTES = 256 * 1024
SPOOLED_BYTES = 4 * 1024 * 1024  # a chunked upload larger than this waits on disk, not in memory
DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1024 * 1024
_PIECE = 16 * 1024
_RECORDS = 60  # looked at for the delimiter
_SEP_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?\r?\n?", re.IGNORECASE)
# No text has these; tab, line ends, form feed, NUL and Ctrl-Z (an old end-of-file mark) do turn up.
_CONTROL = bytes(set(range(0x20)) - {0x00, 0x09, 0x0A, 0x0C, 0x0D, 0x1A})
_UNDEFINED_1252 = b"\x81\x8d\x8f\x90\x9d"
WINDOWS_ERRORS = "storestudio.windows1252"

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "pdf", "This is a PDF, not a table. Export the list as CSV or XLSX and upload that."),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "old_excel",
        "This is an old Excel file (.xls) or one locked with a password. "
        "Open it, save it as .xlsx or CSV, and upload that.",
    ),
    (b"\x1f\x8b", "archive", "This file is compressed (gzip). Unpack it and upload the table inside."),
    (b"7z\xbc\xaf\x27\x1c", "archive", "This is a 7z archive. Unpack it and upload the table inside."),
    (b"Rar!", "archive", "This is a RAR archive. Unpack it and upload the table inside."),
    (b"\x89PNG", "binary", "This is a picture, not a table."),
    (b"\xff\xd8\xff", "binary", "This is a picture, not a table."),
    (b"GIF8", "binary", "This is a picture, not a table."),
)
_HTML = re.compile(rb"\s*(?:<!doctype html|<html|<head|<table|<body|<script|<div|<meta)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml")
_JSON = re.compile(rb"\s*(?:\{\s*\"|\[\s*\{)")


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` and `errors` as `open` takes them; `notes` say what had to be assumed."""

    name: str
    errors: str = "strict"
    notes: tuple[str, ...] = ()


def seekable(source: IO[bytes] | Iterable[bytes]) -> IO[bytes]:
    """The bytes as a file one can go back in. Chunks of an upload are spooled, to disk when they are many."""
    if hasattr(source, "read"):
        stream = cast(IO[bytes], source)
        if stream.seekable():
            stream.seek(0)
            return stream
        chunks: Iterable[bytes] = iter(lambda: stream.read(_CHUNK), b"")
    else:
        chunks = source
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115 -- closed with the reading
    shutil.copyfileobj(_Chunks(chunks), spool)
    spool.seek(0)
    return cast(IO[bytes], spool)


class _Chunks(io.RawIOBase):
    """Chunks behind `read`, whatever size is asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._left = iter(chunks)

    def read(self, size: int = -1, /) -> bytes:
        for chunk in self._left:
            if chunk:
                return bytes(chunk)
        return b""


def refuse_what_is_no_text(head: bytes) -> None:
    """Raise UnreadableFile for an empty file, and for what is plainly something else than text."""
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"):
        raise UnreadableFile("empty", "The file is empty.")
    for magic, code, message in _MAGIC:
        if head.startswith(magic):
            raise UnreadableFile(code, message)
    body = head.removeprefix(codecs.BOM_UTF8)
    if _HTML.match(body):
        raise UnreadableFile(
            "html",
            "This is a web page, not a table: perhaps the login page was saved instead of the export, "
            "or a program calls an HTML table .xls. Open it in a spreadsheet and save it as CSV or XLSX.",
        )
    if _XML.match(body) or _JSON.match(body):
        raise UnreadableFile("not_a_table", "This is XML or JSON, not a table. Export the list as CSV or XLSX.")


def encoding_of(stream: IO[bytes]) -> Encoding:
    """Read the whole stream once, a chunk at a time, so that a stray byte on the last row counts too."""
    stream.seek(0)
    head = stream.read(SAMPLE_BYTES)
    if wide := _wide(head):
        return wide
    if _controls(head) > max(4, len(head) // 100) or head.count(0) > max(8, len(head) // 20):
        raise UnreadableFile("binary", "This is not a text file. Export the list as CSV or XLSX and upload that.")
    marked = head.startswith(codecs.BOM_UTF8)
    stream.seek(0)
    tally = _Tally()
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        tally.add(chunk)
        if tally.is_hopeless:
            break
    tally.finish()
    return _judged(tally, marked=marked)


def _wide(head: bytes) -> Encoding | None:
    """UTF-16 and UTF-32, by their mark or by where the NULs stand."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return Encoding("utf-32", "strict", ("Read as UTF-32.",))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", "strict", ("Read as UTF-16.",))
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(1, len(head) // 2)
    for name, here, there in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if here > 0.4 * half and there < 0.02 * half:
            return Encoding(name, "strict", ("Read as UTF-16, though it carries no mark.",))
    return None


def _controls(head: bytes) -> int:
    return len(head) - len(head.translate(None, _CONTROL))


class _Tally:
    """How the bytes fare as UTF-8: letters beyond ASCII that fit, bytes that do not."""

    def __init__(self) -> None:
        self.fitting = 0
        self.stray = 0
        self.undefined = 0
        self._rest = b""

    def add(self, chunk: bytes, *, final: bool = False) -> None:
        data = self._rest + chunk
        self._rest = b""
        if data.isascii():
            return
        # In pieces: what follows a stray byte is copied, so that a long piece with many of them would take for ever.
        for start in range(0, len(data), _PIECE):
            self._weigh(self._rest + data[start : start + _PIECE], final=final)
            if self.is_hopeless:
                self._rest = b""
                return

    @property
    def is_hopeless(self) -> bool:
        """Plainly not UTF-8: no need to weigh every byte."""
        return self.stray > 20_000 and self.fitting < self.stray

    def _weigh(self, data: bytes, *, final: bool) -> None:
        self._rest = b""
        while data:
            try:
                text, used = codecs.utf_8_decode(data, "strict", final)
            except UnicodeDecodeError as failure:
                good = data[: failure.start].decode("utf-8")
                self.fitting += len(good) - _ascii_letters(good)
                bad = data[failure.start : failure.end]
                self.stray += len(bad)
                self.undefined += sum(bad.count(byte) for byte in _UNDEFINED_1252)
                data = data[failure.end :]
                continue
            self.fitting += len(text) - _ascii_letters(text)
            self._rest = data[used:]
            return

    def finish(self) -> None:
        self._weigh(self._rest, final=True)


def _ascii_letters(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("ascii", "ignore"))


def _judged(tally: _Tally, *, marked: bool) -> Encoding:
    if not tally.stray:
        return Encoding("utf-8-sig" if marked else "utf-8")
    if marked or tally.fitting > tally.stray:
        return Encoding(
            "utf-8-sig" if marked else "utf-8",
            WINDOWS_ERRORS,
            (f"Read as UTF-8, but {tally.stray} bytes are not: those were read as Windows-1252.",),
        )
    notes = ["Read as Windows-1252 (the file is not UTF-8). Look at letters with accents and at currency signs."]
    if tally.undefined:
        notes.append(
            f"{tally.undefined} bytes mean nothing in Windows-1252: the file may be in another encoding. "
            "Save it as CSV UTF-8 if names look wrong."
        )
    return Encoding("cp1252", WINDOWS_ERRORS, tuple(notes))


def _as_windows(failure: UnicodeError) -> tuple[str, int]:
    """Bytes that do not fit, one for one: as Windows-1252, else as the code point of the same number. None is lost."""
    if not isinstance(failure, UnicodeDecodeError):
        raise failure
    letters = []
    for byte in failure.object[failure.start : failure.end]:
        one = bytes([byte])
        letters.append(one.decode("latin-1" if one in _UNDEFINED_1252 else "cp1252"))
    return "".join(letters), failure.end


codecs.register_error(WINDOWS_ERRORS, _as_windows)


def text_of(stream: IO[bytes], *, encoding: Encoding) -> io.TextIOWrapper:
    """The stream as text from its beginning, line ends kept as they are. Detach it, or the stream is closed with it."""
    stream.seek(0)
    return io.TextIOWrapper(
        cast(io.BytesIO, _Unclosed(stream)), encoding=encoding.name, errors=encoding.errors, newline=""
    )


class _Unclosed(io.BufferedIOBase):
    """A stream that stays open when the text around it is collected."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._stream.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)


def separator_line(line: str) -> str:
    """The delimiter that a first line "sep=;" names (Excel writes and obeys it), or ""."""
    match = _SEP_LINE.fullmatch(line)
    return match[1] if match else ""


def delimiter_of(sample: str) -> str:
    """The delimiter under which the sample is most of a table; a comma when there is one column only."""
    if named := separator_line(sample[:12].split("\n")[0]):
        return named
    lines = sample.splitlines(keepends=True)
    if len(sample) >= 64 * 1024 and len(lines) > 2:
        lines.pop()  # cut off in the middle
    scores = {delimiter: _tableness(lines, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > 0 else ","


def _tableness(lines: list[str], delimiter: str) -> float:
    """How many rows have as many cells as most have, worth more with more cells. 0: one column."""
    csv.field_size_limit(max(csv.field_size_limit(), RECORD_CHARS_MAX))
    widths: list[int] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if any(cell.strip() for cell in row):
                widths.append(len(row))
            if len(widths) >= _RECORDS:
                break
    except csv.Error:
        return 0.0
    counted = Counter(width for width in widths if width > 1)
    if not counted:
        return 0.0
    width, often = max(counted.items(), key=lambda pair: (pair[1], pair[0]))
    return often / len(widths) * (1 + math.log(width) / 4)
