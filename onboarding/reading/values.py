"""One cell's text as a value: money, quantities, yes and no, codes. Text in, nothing guessed without saying so.

Every parser returns (value, problem): the value None when the cell is empty or cannot be used.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from onboarding.matching import gtin as gtins
from onboarding.reading.rows import Problem, Severity

# Invisible: zero-width space, joiners, word joiner, byte order mark, soft hyphen, direction marks.
_INVISIBLE = dict.fromkeys(
    [0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E]
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACES = re.compile(r"\s+")
_FORMULA_TEXT = re.compile(r'="([^"]*)"')  # ="00123", how programs keep zeros in a CSV for Excel
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d{1,3}")
_MONTH_NUMBERS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "janv", "ene"),
            ("feb", "févr"),
            ("mar", "mär", "mrt"),
            ("apr", "avr", "abr"),
            ("may", "mai", "mei"),
            ("jun", "juin"),
            ("jul", "juil"),
            ("aug", "août", "ago"),
            ("sep", "sept"),
            ("oct", "okt"),
            ("nov",),
            ("dec", "dez", "dic"),
        ),
        start=1,
    )
    for name in names
}
_MONTH = "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True))
_DATE_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?")
_DATE_DAY_MONTH = re.compile(rf"(\d{{1,2}})[-. /]({_MONTH})\.?(?:[-. /](\d{{2,4}}))?", re.IGNORECASE)
_DATE_MONTH_DAY = re.compile(rf"({_MONTH})\.?[-. /](\d{{1,2}})", re.IGNORECASE)
_DATE_SLASHED = re.compile(r"(\d{1,2})([/.])(\d{1,2})\2(?:19|20)\d{2}(?: 0?0:00(?::00)?)?")
_CURRENCY = re.compile(
    r"^(?:[A-Z]{3}|[A-Za-z]{0,3}\$|kr\.?|Kr\.?|zł|Fr\.?|R)?[\s]*|[\s]*(?:[A-Z]{3}|kr\.?|Kr\.?|zł|Fr\.?|,-)?$"
)
_SIGNS = re.compile(r"[£€¥₹₽₺₩₪₫฿₴₱₦]")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")


def _words(joined: str) -> frozenset[str]:
    return frozenset(joined.split())


_YES = _words("y yes true t 1 on x ✓ ✔ ja j wahr oui o vrai sí si verdadero s waar sim enabled active aktiv tracked")
_NO = _words("n no false f 0 off - ✗ ✘ nein falsch non faux falso nee onwaar não nao disabled inactive")
DIGITS_MAX = 15  # before the point: larger is a code in the wrong column

Parsed = tuple[Decimal | None, Problem | None]


def text(cell: str) -> str:
    """Outer blanks, invisible and control characters off, no-break spaces plain, letters composed (NFC).

    The apostrophe that an export put before = + - @ against formulas is taken off, as is ="…" around a number.
    """
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell.translate(_INVISIBLE).replace("\u00a0", " ").replace("\u202f", " "))
    if not cell.isprintable():
        cell = _CONTROL.sub("", cell)
    cell = cell.strip()
    if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@"):
        return cell[1:]
    if cell[:2] == '="' and (match := _FORMULA_TEXT.fullmatch(cell)):
        return match[1].strip()
    return cell


def line(cell: str) -> str:
    """`text` on one line, with single blanks."""
    cleaned = text(cell)
    return _SPACES.sub(" ", cleaned) if "  " in cleaned or not cleaned.isprintable() else cleaned


def code(cell: str) -> str:
    """`line` in ASCII width (full-width digits and letters folded); Shopify's apostrophe before a number is off."""
    cleaned = line(cell)
    if not cleaned.isascii():
        cleaned = unicodedata.normalize("NFKC", cleaned)
    return cleaned[1:] if cleaned[:1] == "'" and cleaned[1:2].isdigit() else cleaned


def sku(cell: str) -> tuple[str | None, Problem | None]:
    """A SKU as typed. 4.56E+12 is what a spreadsheet left of a long one: an error, for its digits are gone."""
    value = code(cell)
    if not value:
        return None, None
    if _is_scientific(value):
        return None, Problem(
            "sku",
            Severity.ERROR,
            f"“{value}” was a long number; a spreadsheet dropped its last digits. Export the file again and do not "
            "open it in a spreadsheet, or format the column as text.",
        )
    if (problem := date_made("sku", value)) is not None:
        return value, problem
    return value, None


def gtin(cell: str) -> tuple[str | None, Problem | None]:
    """A barcode as typed, with what is wrong with it. Scientific notation is an error; the raw cell is in the row."""
    value = code(cell)
    if not value:
        return None, None
    verdict = gtins.check(value)
    if verdict.problem == "scientific":
        return None, Problem("gtin", Severity.ERROR, f"“{value}”: {verdict.words}", verdict.suggestion)
    if verdict.problem in ("formatting", "case", ""):
        return (verdict.suggestion or value) if verdict.valid else value, None
    return value, Problem("gtin", Severity.WARNING, f"“{value}”: {verdict.words}", verdict.suggestion)


def _is_scientific(value: str) -> bool:
    """With "E+" only: 1E5 and 12E3 are good article numbers, and no spreadsheet writes them so."""
    return ("E+" in value or "e+" in value) and bool(_SCIENTIFIC.fullmatch(value))


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a file writes numbers: its decimal mark, as far as its values prove it, or ""."""

    decimal: str = ""


def style_of(cells: Iterable[str]) -> NumberStyle:
    """From sample cells of number columns: "1.234,50" and "12,5" prove a comma, "1,234.50" and "12.50" a point."""
    commas = points = 0
    for cell in cells:
        bare = _bare(cell)
        comma, point = bare.rfind(","), bare.rfind(".")
        if comma > point >= 0 or (point < 0 <= comma and (len(bare) - comma - 1) not in (0, 3)):
            commas += 1
        elif point > comma >= 0 or (comma < 0 <= point and (len(bare) - point - 1) not in (0, 3)):
            points += 1
    return NumberStyle("," if commas > points else "." if points else "")


def _bare(cell: str) -> str:
    """Without currency, blanks and grouping apostrophes."""
    bare = _SIGNS.sub("", text(cell))
    bare = _CURRENCY.sub("", bare.strip())
    for mark in (" ", "'", "’", "\u2009"):
        bare = bare.replace(mark, "")
    return bare


def number(field: str, cell: str, style: NumberStyle = NumberStyle()) -> Parsed:
    """A number in any common spelling. "1,234" is 1234 unless the file writes decimal commas, and says so."""
    plain = cell.strip()
    if not plain:
        return None, None
    if _PLAIN.fullmatch(plain) and not (style.decimal == "," and _is_grouped(plain.lstrip("-"), ".")):
        return _checked(field, plain, plain, None)
    bare = _bare(plain)
    if not bare:
        return None, None
    is_negative = bare[:1] in "-−–(" or bare.endswith("-")
    bare = bare.strip("-−–()+")
    amount, problem = _unmarked(field, bare, plain, style)
    return _checked(field, f"-{amount}" if is_negative else amount, plain, problem)


def _unmarked(field: str, bare: str, typed: str, style: NumberStyle) -> tuple[str, Problem | None]:
    """Digits with one decimal point at most; "" for what is no number."""
    comma, point = bare.rfind(","), bare.rfind(".")
    if comma >= 0 and point >= 0:
        decimal = "," if comma > point else "."
    elif comma >= 0 or point >= 0:
        mark = "," if comma >= 0 else "."
        if not _is_grouped(bare, mark):
            decimal = mark
        elif bare.count(mark) > 1 or (style.decimal and style.decimal != mark):
            decimal = "." if mark == "," else ","
        elif style.decimal == mark:
            decimal = mark
        else:
            # Nothing in the file proves which. Groups of three after a comma are thousands; after a point, decimals.
            amount = bare.replace(",", "")
            message = f"“{typed}” can be read in two ways; it was read as {amount}."
            return amount, Problem(field, Severity.WARNING, message)
    else:
        decimal = "."
    group = "." if decimal == "," else ","
    return bare.replace(group, "").replace(",", "."), None


def _is_grouped(bare: str, mark: str) -> bool:
    """Whether the marks stand before groups of three digits, as thousands do: "1,234" but not "0,234" or "12,5"."""
    head, *groups = bare.split(mark)
    if not groups or any(len(group) != 3 or not group.isdigit() for group in groups):
        return False
    return 1 <= len(head) <= 3 and head.isdigit() and head[0] != "0"


def _checked(field: str, amount: str, typed: str, problem: Problem | None) -> Parsed:
    try:
        value = Decimal(amount)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        return None, Problem(field, Severity.ERROR, f"“{_short(typed)}” is no number.")
    if value.adjusted() >= DIGITS_MAX or value.adjusted() < -10:
        return None, Problem(field, Severity.ERROR, f"“{_short(typed)}” is too large; perhaps it is a code.")
    return (value if value.as_tuple().exponent == 0 or "E" not in str(value) else Decimal(f"{value:f}")), problem


def money(field: str, cell: str, style: NumberStyle = NumberStyle()) -> Parsed:
    """An amount of money, not negative. Square's word "variable" means the till asks: no price, no problem."""
    if cell[:1].isalpha() and text(cell).casefold() in ("variable", "n/a", "na", "-"):
        return None, None
    value, problem = number(field, cell, style)
    if value is not None and value < 0:
        return None, Problem(field, Severity.ERROR, f"“{_short(cell)}” is negative.")
    return value, problem


def quantity(field: str, cell: str, style: NumberStyle = NumberStyle()) -> Parsed:
    """Units on hand; negative is a fact. "not stocked" and words for none say nothing, which is not zero."""
    if text(cell).casefold() in (
        "",
        "not stocked",
        "n/a",
        "na",
        "-",
        "–",
        "∞",
        "unlimited",
        "parent",
        "nan",
        "none",
        "null",
    ):
        return None, None
    value, problem = number(field, cell, style)
    if value is not None and value != round(value, 5):
        return None, Problem(field, Severity.ERROR, f"“{_short(cell)}” has more than 5 decimal places.")
    return value, problem


def flag(field: str, cell: str) -> tuple[bool | None, Problem | None]:
    """Yes or no in English, German, French, Spanish, Dutch, Portuguese."""
    word = text(cell).casefold()
    if not word:
        return None, None
    if word in _YES:
        return True, None
    if word in _NO:
        return False, None
    return None, Problem(field, Severity.ERROR, f"“{_short(cell)}” is neither yes nor no.")


@lru_cache(maxsize=20_000)
def date_made(field: str, value: str) -> Problem | None:
    """A warning when the value looks like "10-12" after a spreadsheet made a date of it, with what it probably was."""
    suggestion = _undated(value)
    if not suggestion:
        return None
    message = f"“{value}” looks like a date made by a spreadsheet; perhaps it was “{suggestion}”."
    return Problem(field, Severity.WARNING, message, suggestion)


def _undated(value: str) -> str:
    if not value[:1].isalnum() or len(value) > 24:
        return ""
    if match := _DATE_ISO.fullmatch(value):
        month, day = int(match[2]), int(match[3])
    elif match := _DATE_DAY_MONTH.fullmatch(value):
        # Typed 10-12, shown as 12-Oct where months come first; typed 4-6, shown as 06-Apr. The month was typed first.
        month, day = _MONTH_NUMBERS[match[2].casefold()], int(match[1])
    elif match := _DATE_MONTH_DAY.fullmatch(value):
        month, day = _MONTH_NUMBERS[match[1].casefold()], int(match[2])
    elif match := _DATE_SLASHED.fullmatch(value):
        month, day = int(match[1]), int(match[3])
        return f"{month}-{day}" if 1 <= month <= 31 and 1 <= day <= 31 else ""
    else:
        return ""
    return f"{month}-{day}" if 1 <= month <= 12 and 0 <= day <= 99 else ""


def _short(cell: str) -> str:
    cleaned = line(cell)
    return cleaned if len(cleaned) <= 40 else f"{cleaned[:39]}…"
