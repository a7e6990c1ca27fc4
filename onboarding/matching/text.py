"""Titles as people type them, turned into tokens two shops would agree on."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

# Spellings of one unit; the first word is the one kept. Lengths stay apart (in, cm, mm, ft): shops quote either, and
# a converted number would rarely be equal to the other shop's rounding.
_UNITS: dict[str, str] = {
    alias: names.split()[0]
    for names in (
        "in inch inches",
        "cm centimeter centimeters centimetre centimetres",
        "m metre metres meter meters",
        "mm millimeter millimeters millimetre millimetres",
        "ft foot feet",
        "kg kilo kilos kilogram kilograms kgs",
        "g gram grams gr gm",
        "lb lbs pound pounds",
        "oz ounce ounces",
        "l litre litres liter liters ltr ltrs",
        "ml millilitre millilitres milliliter milliliters",
        "cl centilitre centilitres",
        "gb gig gigabyte gigabytes",
        "mb megabyte megabytes",
        "tb terabyte terabytes",
        "w watt watts",
        "v volt volts",
        "mah",
        "mp megapixel megapixels",
        "hz hertz",
        "khz",
        "mhz",
        "ghz",
        "rpm",
        "btu btus",
        "mbps",
        "gbps",
        "cuft",
        "pk pack packs pcs pieces pc piece ct count",
        "user users u",
        "bit",
        "k",
        "x",
        "core cores",
        "place",
    )
    for alias in names.split()
}
_SPELLED_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_QUANTITY = re.compile(rf"(?<![a-z0-9.])(\d+(?:\.\d+)?)[ -]?({_SPELLED_UNIT})(?![a-z0-9])")
_GLUED_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")
_PACK = re.compile(r"\b(?:pack|set|box|case) of (\d+)\b")
_INCH_MARK = re.compile(r"(\d)\s?(?:''|[\"'”″′])(?![a-z0-9])")
_CUBIC_FEET = re.compile(r"(?<=[\d ])cu\.? ?(?:ft|feet|foot)\b\.?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_VERSION = re.compile(r"\b(?:version|ver|v)\.? ?(?=\d)")
_TRAILING_ZERO = re.compile(r"(?<=\d)\.0+(?=[^0-9.]|$)")
_MARK = re.compile(r"\((?:tm|r|c)\)|[™®©]")
_SIZE_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])"), size)
    for pattern, size in (
        (r"(?:extra[ -]extra|xx|2x|double[ -]extra)[ -]?(?:large|lrg|lge|l)|double[ -]xl", "xxl"),
        (r"(?:xxx|3x|triple[ -]extra)[ -]?(?:large|lrg|lge|l)|triple[ -]xl", "xxxl"),
        (r"(?:extra|x)[ -]?(?:large|lrg|lge)", "xl"),
        (r"(?:extra[ -]extra|xx|2x)[ -]?(?:small|sml)", "xxs"),
        (r"(?:extra|x)[ -]?(?:small|sml)", "xs"),
    )
)
SIZES: dict[str, str] = {
    alias: names.split()[0]
    for names in ("xxs", "xs", "s sm sml small", "m md med medium", "l lg lge lrg large", "xl", "xxl", "xxxl")
    for alias in names.split()
}
_LABELS = frozenset({"size", "sz", "color", "colour"})
# Letters of any alphabet: a shop in Athens has titles too.
_WORD = re.compile(r"[^\W_]+(?:[.'&+-][^\W_]+)*\+?")
_PIECE = re.compile(r"[^\W_]+(?:\.[0-9]+)*")
_SEPARATORS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def fold(text: str) -> str:
    """Lower case without accents, marks and entities; numbers and units written one way."""
    text = html.unescape(text) if "&" in text else text
    text = unicodedata.normalize("NFKD", _MARK.sub(" ", text)).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("’", "'")
    text = _THOUSANDS.sub("", text)
    text = _DECIMAL_COMMA.sub(" ", text)
    text = _CUBIC_FEET.sub("cuft", text)
    text = _INCH_MARK.sub(r"\1 in ", text)
    text = _PACK.sub(r"\1pk", text)
    text = _VERSION.sub(" ", text)
    text = _TRAILING_ZERO.sub("", text)
    if "x" in text:
        for phrase, size in _SIZE_PHRASES:
            text = phrase.sub(size, text)
    return _QUANTITY.sub(lambda m: f"{m[1]}{_UNITS[m[2]]}", text)


@lru_cache(maxsize=20_000)
def words(text: str) -> tuple[str, ...]:
    """The words of a text in order, without labels such as "Size:"; a hyphenated or dotted word stays whole here."""
    found = _WORD.findall(fold(text))
    return tuple(w for w in found if w not in _LABELS) or tuple(found)


def pieces(word: str) -> list[str]:
    """A word cut at its dashes: ``kx-tg6700`` is ``kx`` and ``tg6700``; decimals stay whole."""
    return _PIECE.findall(word)


def compact(text: str) -> str:
    """Letters and digits only: what is left when two shops disagree about dashes and spaces."""
    return _SEPARATORS.sub("", text)


@lru_cache(maxsize=200_000)
def is_code(token: str) -> bool:
    """Letters and digits mixed, and no quantity: likely to be a model number."""
    has_digit = any(c.isdigit() for c in token)
    return has_digit and any(c.isalpha() for c in token) and quantity(token) is None


@lru_cache(maxsize=200_000)
def is_number(token: str) -> bool:
    return bool(_NUMBER.fullmatch(token))


@lru_cache(maxsize=200_000)
def quantity(token: str) -> tuple[float, str] | None:
    """``500gb`` as (500, "gb"); None for anything that is not a number with a known unit."""
    found = _GLUED_QUANTITY.fullmatch(token)
    if not found or found[2] not in _UNITS:
        return None
    return float(found[1]), _UNITS[found[2]]
