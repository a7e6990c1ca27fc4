"""How SKUs are written: a pattern such as `{vendor:3}-{style:4}-{color:3}-{size}`, read and filled in. No database.

A field is a name in braces, with a length to shorten to and a way of doing so: `{title:6:start}`. Names are those of
the shop: vendor, category, style, title, number, and its options. A doubled brace is a brace.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from onboarding.skus.codes import Way, candidates, could_be, plain

NUMBER = "number"
FIXED = ("vendor", "category", "style", "title", NUMBER)
LENGTH_MAX = 40
PATTERN_LENGTH_MAX = 120
NUMBER_WIDTH = 4
SPELLINGS = {"colour": "color", "sizes": "size", "brand": "vendor", "type": "category", "product": "title"}
SUFFIX = re.compile(r"-\d{1,4}\Z")


class BadPattern(Exception):
    """What cannot be read in a pattern, and where: `position` counts characters from 0."""

    def __init__(self, words: str, *, position: int) -> None:
        super().__init__(words)
        self.words = words
        self.position = position


@dataclass(frozen=True)
class Field:
    """One part that differs from thing to thing. `length` 0: as long as it is."""

    name: str
    length: int = 0
    way: Way = Way.SHORT
    position: int = 0


@dataclass(frozen=True)
class Pattern:
    """What was typed, and its parts: text as it stands, and fields."""

    text: str
    parts: tuple[str | Field, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in order."""
        return tuple(part for part in self.parts if isinstance(part, Field))


@dataclass(frozen=True)
class Thing:
    """What gets a SKU: its values by field name, and how it is called now."""

    id: int
    product: int
    values: Mapping[str, str]
    sku: str = ""


@dataclass(frozen=True)
class Filled:
    """The SKU that a pattern makes of a thing; `missing` are the fields that it has no value for."""

    id: int
    sku: str
    missing: tuple[str, ...] = ()


def name_of(option: str) -> str:
    """An option's name as a pattern calls it: "Colour " is color."""
    folded = re.sub(r"[^\w]+", "_", plain(option)).strip("_")
    return SPELLINGS.get(folded, folded)


def _folded(value: str) -> str:
    return " ".join(plain(value).split())


def parse(text: str, *, names: Iterable[str] = ()) -> Pattern:
    """Read a pattern. `names` are the shop's options. Raises BadPattern, saying where."""
    if not text.strip():
        raise BadPattern("Type a pattern, such as {vendor:3}-{style:4}-{color:3}-{size}.", position=0)
    if len(text) > PATTERN_LENGTH_MAX:
        raise BadPattern(f"More than {PATTERN_LENGTH_MAX} characters.", position=PATTERN_LENGTH_MAX)
    known = [*FIXED, *(name for name in dict.fromkeys(names) if name not in FIXED)]
    parts: list[str | Field] = []
    literal, place = "", 0
    while place < len(text):
        mark = text[place]
        if text[place : place + 2] in ("{{", "}}"):
            literal, place = literal + mark, place + 2
        elif mark == "{":
            if literal:
                parts.append(literal)
            literal = ""
            one, place = _field(text, place, known)
            parts.append(one)
        elif mark == "}":
            raise BadPattern("This bracket closes nothing.", position=place)
        else:
            literal, place = literal + mark, place + 1
    if literal:
        parts.append(literal)
    _check(parts)
    return Pattern(text=text, parts=tuple(parts))


def _field(text: str, start: int, known: Sequence[str]) -> tuple[Field, int]:
    """The field that opens at `start`, and the place behind it."""
    end = text.find("}", start)
    nested = text.find("{", start + 1)
    if end == -1 or -1 < nested < end:
        raise BadPattern("This bracket is not closed.", position=start)
    name, *rest = (piece.strip() for piece in text[start + 1 : end].split(":"))
    if not name:
        raise BadPattern(f"Name a field: {', '.join(known)}.", position=start + 1)
    called = name_of(name)
    if called not in known:
        raise BadPattern(f"No product has “{name}”. There is {', '.join(known)}.", position=start + 1)
    length, way, place = 0, Way.SHORT, start + 1 + len(text[start + 1 : end].split(":")[0])
    for piece in rest:
        place += 1
        if piece.isascii() and piece.isdigit():
            length = int(piece)
            if not 1 <= length <= LENGTH_MAX:
                raise BadPattern(f"A length is from 1 to {LENGTH_MAX}.", position=place)
        elif piece in set(Way):
            way = Way(piece)
        else:
            raise BadPattern(f"“{piece}” is no length and none of {', '.join(Way)}.", position=place)
        place += len(piece)
    if called == NUMBER and length > 9:
        raise BadPattern("A number has at most 9 digits.", position=start)
    if called == NUMBER and way != Way.SHORT:
        raise BadPattern("A number has a length only.", position=start)
    return Field(
        name=called, length=length or (NUMBER_WIDTH if called == NUMBER else 0), way=way, position=start
    ), end + 1


def _check(parts: Sequence[str | Field]) -> None:
    fields = [part for part in parts if isinstance(part, Field)]
    if not fields:
        raise BadPattern("Every product would get the same SKU: name a field, such as {style:4}.", position=0)
    numbers = [one for one in fields if one.name == NUMBER]
    if len(numbers) > 1:
        raise BadPattern("One number is enough.", position=numbers[1].position)


def fill(pattern: Pattern, things: Sequence[Thing]) -> list[Filled]:
    """The SKU of each thing, in the order given: who comes first has the first choice of a code.

    Codes that the shop's SKUs show already are kept, and so are numbers: filling in twice changes nothing.
    """
    codes = {one: _codes(pattern, one, things) for one in set(pattern.fields) if one.name != NUMBER}
    numbers = _numbers(pattern, things)
    return [_filled(pattern, thing, codes, numbers.get(thing.id, "")) for thing in things]


def _filled(pattern: Pattern, thing: Thing, codes: Mapping[Field, Mapping[str, str]], number: str) -> Filled:
    found = {one: number if one.name == NUMBER else codes[one].get(_value(thing, one), "") for one in pattern.fields}
    kept = _kept(pattern, tuple(bool(found[one]) for one in pattern.fields))
    return Filled(
        id=thing.id,
        sku="".join(part if isinstance(part, str) else found[part] for part in kept).strip(),
        missing=tuple(one.name for one in pattern.fields if not found[one]),
    )


def _value(thing: Thing, one: Field) -> str:
    return thing.values.get("title" if one.name == "style" else one.name, "").strip()


def _codes(pattern: Pattern, one: Field, things: Sequence[Thing]) -> dict[str, str]:
    """Value → code, each code for one value only; values that are written alike count as one."""
    learned = _learned(pattern, one, things)
    values = dict.fromkeys(value for thing in things if (value := _value(thing, one)))
    groups: dict[str, list[str]] = defaultdict(list)
    for value in values:
        groups[_folded(value)].append(value)
    taken: set[str] = set()
    codes: dict[str, str] = {}
    waiting = []
    for folded, spelled in groups.items():
        known = [code for code in learned.get(folded, ()) if code.upper() not in taken]
        if known:
            taken.add(known[0].upper())
            codes |= dict.fromkeys(spelled, known[0])
        else:
            waiting.append(spelled)
    for spelled in waiting:
        code = next((c for c in candidates(spelled[0], length=one.length, way=one.way) if c.upper() not in taken), "")
        taken.add(code.upper())
        codes |= dict.fromkeys(spelled, code)
    return codes


def _learned(pattern: Pattern, one: Field, things: Sequence[Thing]) -> dict[str, list[str]]:
    """Folded value → the codes that SKUs of the shop use for it, the most frequent first."""
    place = pattern.fields.index(one)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for thing in things:
        value = _value(thing, one)
        if not value or not thing.sku:
            continue
        codes = read(pattern, thing)
        if codes and codes[place] and could_be(codes[place], value, length=one.length, way=one.way):
            seen[_folded(value)][codes[place]] += 1
    owners: dict[str, str] = {}  # a code stands for the value that uses it most
    for folded, counts in sorted(seen.items(), key=lambda item: -max(item[1].values())):
        for code in counts:
            owners.setdefault(code.upper(), folded)
    return {
        folded: [code for code, _ in counts.most_common() if owners[code.upper()] == folded]
        for folded, counts in seen.items()
    }


def read(pattern: Pattern, thing: Thing) -> list[str] | None:
    """The codes in a thing's present SKU, field by field ("" where it has no value); None: not of this pattern."""
    present = tuple(part.name == NUMBER or bool(_value(thing, part)) for part in pattern.fields)
    found = _shape(pattern, present).fullmatch(thing.sku.strip())
    if found is None and SUFFIX.search(thing.sku):
        found = _shape(pattern, present).fullmatch(SUFFIX.sub("", thing.sku.strip()))
    if found is None:
        return None
    codes = iter(found.groups())
    return [next(codes) if is_there else "" for is_there in present]


@lru_cache(maxsize=1000)
def _shape(pattern: Pattern, present: tuple[bool, ...]) -> re.Pattern[str]:
    """What a SKU of this pattern looks like where these fields have a value."""
    return re.compile("".join(_expression(part) for part in _kept(pattern, present)), re.IGNORECASE)


def _expression(part: str | Field) -> str:
    if isinstance(part, str):
        return re.escape(part)
    if part.name == NUMBER:
        return rf"(\d{{{part.length},9}})"
    return rf"([^\W_][\w.]{{0,{part.length - 1}}})" if part.length else r"([^\W_][\w.]*?)"


@lru_cache(maxsize=1000)
def _kept(pattern: Pattern, present: tuple[bool, ...]) -> tuple[str | Field, ...]:
    """The parts that stay where only some fields have a value: an empty one takes the separator before it along."""
    kept: list[str | Field] = []
    flags = iter(present)
    is_first_gone = False  # then the separator behind it goes
    for part in pattern.parts:
        if isinstance(part, str):
            text = part.lstrip(_separators(part)) if is_first_gone else part
            is_first_gone = is_first_gone and not text
            kept += [text] if text else []
        elif next(flags):
            kept.append(part)
            is_first_gone = False
        elif kept and isinstance(before := kept[-1], str):
            kept[-1:] = [text] if (text := before.rstrip(_separators(before))) else []
        else:
            is_first_gone = not kept
    return tuple(kept)


def _separators(text: str) -> str:
    """Marks that only keep fields apart."""
    return "".join(mark for mark in text if not mark.isalnum())


@dataclass
class _Counter:
    """Gives numbers, leaving out those in use."""

    used: set[int] = field(default_factory=set)
    last: int = 0

    def next(self) -> int:
        self.last += 1
        while self.last in self.used:
            self.last += 1
        return self.last


def _numbers(pattern: Pattern, things: Sequence[Thing]) -> dict[int, str]:
    """Each thing's number. With an option in the pattern a product has one number, else each of its variants."""
    one = next((part for part in pattern.fields if part.name == NUMBER), None)
    if one is None:
        return {}
    is_per_product = any(part.name not in FIXED for part in pattern.fields)
    owner_of = {thing.id: thing.product if is_per_product else thing.id for thing in things}
    place = pattern.fields.index(one)
    counter, numbers = _Counter(), dict[int, int]()
    for thing in things:
        codes = read(pattern, thing) if owner_of[thing.id] not in numbers else None
        number = int(codes[place]) if codes else 0
        if number and number not in counter.used:
            numbers[owner_of[thing.id]] = number
            counter.used.add(number)
    for owner in dict.fromkeys(owner_of.values()):
        if owner not in numbers:
            numbers[owner] = counter.next()
    return {thing_id: str(numbers[owner]).zfill(one.length) for thing_id, owner in owner_of.items()}
