"""Which parts of a SKU say an option's value ("MH12-XL-FORE": XL, FOREst green), and what is left: the style."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from inventory.identifiers import sku_key
from onboarding.matching.options import meanings
from onboarding.matching.vocabulary import fold

_SEPARATORS = re.compile(r"[^0-9A-Za-z.]+")
RUN, RUN_LENGTH_MIN = "#", 6
FAMILY_SIZE_MIN = 6  # first parts followed by this many different second parts are a till's prefix ("POS-")


@dataclass(frozen=True, slots=True)
class Sku:
    parts: tuple[str, ...]  # folded; () for no SKU
    number: int | None = None  # a SKU of digits only


@lru_cache(maxsize=200_000)
def read(text: str) -> Sku:
    parts = tuple(part for raw in _SEPARATORS.split(sku_key(text)) if (part := fold(raw)))
    number = int(parts[0]) if len(parts) == 1 and parts[0].isdigit() and len(parts[0]) < 19 else None
    return Sku(parts=parts, number=number)


def prefixes(skus: Iterable[Sku]) -> frozenset[str]:
    """First parts that say nothing: many different styles follow each of them."""
    after: dict[str, set[str]] = defaultdict(set)
    for sku in skus:
        if len(sku.parts) > 2:
            after[sku.parts[0]].add(sku.parts[1])
    return frozenset(
        first
        for first, seconds in after.items()
        if len(seconds) >= FAMILY_SIZE_MIN and sum(not meanings((second,)) for second in seconds) > 0.8 * len(seconds)
    )


def without_prefix(sku: Sku, *, known: frozenset[str]) -> Sku:
    return Sku(parts=sku.parts[1:], number=sku.number) if len(sku.parts) > 1 and sku.parts[0] in known else sku


def explain(sku: Sku, *, values: Sequence[Sequence[str]]) -> tuple[tuple[bool, ...], str]:
    """For each value (given as its folded spellings) whether a part of the SKU says it; and the rest, the style."""
    if not sku.parts or sku.number is not None:
        return tuple(False for _ in values), _run(sku)
    if len(sku.parts) == 1:
        return _explain_joined(sku.parts[0], values=values)
    taken: set[int] = set()
    confirmed = []
    for spellings in values:
        places = _places(sku.parts, spellings=spellings, taken=taken)
        taken.update(places)
        confirmed.append(bool(places))
    return tuple(confirmed), ".".join(part for place, part in enumerate(sku.parts) if place not in taken)


def _run(sku: Sku) -> str:
    """Numbers given in a row share all but the last two digits; short ones are a till's own counter."""
    return RUN + sku.parts[0][:-2] if sku.parts and len(sku.parts[0]) >= RUN_LENGTH_MIN else ""


def _places(parts: tuple[str, ...], *, spellings: Sequence[str], taken: set[int]) -> range:
    """The parts, from the back and never the first, that spell one of the spellings out or shorten it."""
    for width in (3, 2, 1):
        for start in range(len(parts) - width, 0, -1):
            places = range(start, start + width)
            if taken.isdisjoint(places) and any(_says("".join(parts[start : start + width]), s) for s in spellings):
                return places
    return range(0)


def _says(part: str, spelling: str) -> bool:
    if part == spelling:
        return True
    if part.isdigit() or spelling.isdigit() or len(part) < 3 or len(spelling) < 3:
        return False
    if spelling.startswith(part):
        return True
    meant = {fold(meaning.value) for meaning in meanings((part,))}
    return spelling in meant


def _explain_joined(whole: str, *, values: Sequence[Sequence[str]]) -> tuple[tuple[bool, ...], str]:
    """A SKU without separators: values are taken off its end, in whatever order they stand."""
    confirmed = [False] * len(values)
    rest, moved = whole, True
    while moved:
        moved = False
        for place, spellings in enumerate(values):
            tail = "" if confirmed[place] else _tail(rest, spellings)
            if tail:
                rest, confirmed[place], moved = rest[: -len(tail)], True, True
    return tuple(confirmed), rest


def _tail(whole: str, spellings: Sequence[str]) -> str:
    for spelling in spellings:
        lengths = [len(spelling)] if len(spelling) < 3 else range(len(spelling), 2, -1)
        for length in lengths:
            piece = spelling[:length]
            if len(whole) > length + 1 and whole.endswith(piece) and (length == len(spelling) or not piece.isdigit()):
                return piece
    return ""
