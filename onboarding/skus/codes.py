"""Short codes for words: "Linen Overshirt" in four characters is LNOV. Deterministic, readable, no database.

The first letter of each word, then consonants, then vowels, all in the order of the word; numbers stay whole where
they fit. Where a code is taken the next best way of shortening follows, and numbers at last.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import combinations, islice

from onboarding.matching.vocabulary import LETTER_SIZES, fold

LESS_WORDS = {"a", "an", "and", "the", "of", "for", "with", "in", "de", "la", "le", "und", "et", "by", "to", "x"}
# What people write for colours; the rest follows from the letters.
USUAL = {
    "black": "BLK", "white": "WHT", "navy": "NVY", "navyblue": "NVY", "blue": "BLU", "red": "RED", "green": "GRN",
    "grey": "GRY", "gray": "GRY", "brown": "BRN", "yellow": "YLW", "orange": "ORG", "purple": "PRP", "pink": "PNK",
    "beige": "BGE", "cream": "CRM", "silver": "SLV", "gold": "GLD", "onesize": "OS", "freesize": "OS",
}  # fmt: skip
SIZES = {fold(spelling): size for size, spellings in LETTER_SIZES.items() for spelling in spellings}
LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "đ": "d", "ł": "l", "þ": "th", "ð": "d", "ı": "i"})
TRIED_MAX = 400  # ways to shorten one value before it is numbered
NUMBERED_MAX = 100_000
_WORD = re.compile(r"\d+(?:\.\d+)*|[a-z]+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[,/](?=\d)")
_VOWELS = frozenset("aeiou")


class Way(StrEnum):
    """How a value becomes a code."""

    SHORT = "short"  # first letters and consonants
    START = "start"  # its first letters
    INITIALS = "initials"  # the first letter of each word
    WHOLE = "whole"  # all its letters and digits


def plain(text: str) -> str:
    """Lower case, without accents: what codes are made of."""
    parted = unicodedata.normalize("NFKD", text.casefold().translate(LETTERS))
    return "".join(mark for mark in parted if not unicodedata.combining(mark))


@lru_cache(maxsize=50_000)
def words_of(text: str) -> tuple[str, ...]:
    """Words and numbers; little words count only where there is nothing else."""
    words = tuple(_WORD.findall(_BETWEEN_DIGITS.sub(".", plain(text))))
    return tuple(word for word in words if word not in LESS_WORDS) or words


def candidates(text: str, *, length: int, way: Way) -> Iterator[str]:
    """Codes for a value, the best first, in capitals; `length` 0: as long as it is. Nothing for what has no letters."""
    seen: set[str] = set()
    first = ""
    for code in _ways(text, length=length, way=way):
        if code and code not in seen:
            seen.add(code)
            first = first or code
            yield code.upper()
    if not first:
        return
    mark = "x" if first[-1].isdigit() else ""  # 5.5 numbered is not 5.52
    for number in range(2, NUMBERED_MAX):
        digits = f"{mark}{number}"
        if length and len(digits) >= length:
            return
        code = (first[: length - len(digits)] if length else first) + digits
        if code not in seen:
            seen.add(code)
            yield code.upper()


def _ways(text: str, *, length: int, way: Way) -> Iterator[str]:
    words = words_of(text)
    whole = "".join(words)
    usual = SIZES.get(fold(text)) or USUAL.get(fold(text), "")
    if way == Way.INITIALS:
        yield "".join(word[0] for word in words)[: length or None]
    elif way == Way.WHOLE or (not length and not usual):
        yield whole[: length or None]
    elif way == Way.START:
        yield whole[:length]
    elif usual and (not length or len(usual) <= length):
        yield usual.lower()
    if not length or not words:
        return
    if way == Way.SHORT:
        yield shortened(words, length)
    yield from _others(words, length)


def shortened(words: Sequence[str], length: int) -> str:
    """At most `length` characters, shared out over the words; numbers whole where they fit."""
    if len(words) >= length:
        return "".join(word[0] for word in words[:length])
    shares = [1] * len(words)
    left = length - len(words)
    for place, word in enumerate(words):  # a number cut short is another number
        if word[0].isdigit() and len(word) - 1 <= left:
            shares[place], left = len(word), left - (len(word) - 1)
    place, stuck = 0, 0
    while left and stuck < len(words):
        if shares[place] < len(words[place]) and not words[place][0].isdigit():
            shares[place], left, stuck = shares[place] + 1, left - 1, 0
        else:
            stuck += 1
        place = (place + 1) % len(words)
    return "".join(_letters(word, share) for word, share in zip(words, shares, strict=True))


def _letters(word: str, count: int) -> str:
    """The first letter, then consonants, then vowels, in the order of the word."""
    if word[0].isdigit():
        return word[:count]
    consonants = [place for place, letter in enumerate(word) if place == 0 or letter not in _VOWELS]
    vowels = [place for place, letter in enumerate(word) if place > 0 and letter in _VOWELS]
    return "".join(word[place] for place in sorted((consonants + vowels)[:count]))


def _others(words: Sequence[str], length: int) -> Iterator[str]:
    """Other ways to shorten: fewer letters of the first words, the start, other letters in order."""
    whole = "".join(words)
    if len(words) > 1 and len(words[-1]) > 1:
        yield (_letters(words[0], max(1, length - 2)) + _letters(words[-1], 2))[:length]
    yield whole[:length]
    if len(whole) <= length:
        return
    for places in islice(combinations(range(1, min(len(whole), 14)), length - 1), TRIED_MAX):
        yield whole[0] + "".join(whole[place] for place in places)


def could_be(code: str, text: str, *, length: int, way: Way) -> bool:
    """Whether a code may have been made of a value by people: its letters in order, from the first one on."""
    if length and len(code) > length:
        return False
    short, whole = plain(code), "".join(words_of(text))
    if not short or not whole:
        return False
    if code.upper() in (SIZES.get(fold(text)), USUAL.get(fold(text))):
        return True
    if way == Way.WHOLE or not length:
        return re.sub(r"\d+\Z", "", short) == re.sub(r"\d+\Z", "", whole) and short.startswith(whole)
    if short[0] != whole[0]:
        return False
    rest = iter(whole)
    if all(letter in rest for letter in short):
        return True
    stem = short.rstrip("0123456789")  # numbered, where its code was taken
    rest = iter(whole)
    return bool(stem) and stem != short and all(letter in rest for letter in stem)


def is_whole(code: str, text: str) -> bool:
    """Whether a code is the value itself, or the letters of a size."""
    return plain(code) == "".join(words_of(text)) or code.upper() == SIZES.get(fold(text))
