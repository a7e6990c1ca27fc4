"""What may be wrong with new SKUs: taken, alike to the eye, too long, damaged by a spreadsheet. No database.

No variant may get a SKU that another one has or had: late orders and old labels would find the wrong one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from inventory.identifiers import sku_key
from onboarding.skus.patterns import Filled

OUR_LENGTH_MAX = 120  # characters a variant's SKU may have in this product
NUMBERS_TRIED = 10_000
LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})
_NUMBERED = re.compile(r"-\d{1,4}\Z")
_DATE = re.compile(r"(?:\d{1,2}-)?(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(?:-?\d{1,4})?")
_DATE_OF_NUMBERS = re.compile(r"\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?")
_SCIENTIFIC = re.compile(r"\d+E\d+")


class Kind(StrEnum):
    """What is wrong, the worst first."""

    EMPTY = "empty"
    SAME = "same"
    TAKEN = "taken"
    LISTED = "listed"
    LONG = "long"
    CHARACTERS = "characters"
    WAITING = "waiting"
    ALIKE = "alike"
    SPREADSHEET = "spreadsheet"
    MISSING = "missing"


LABELS = {
    Kind.EMPTY: "No SKU comes out",
    Kind.SAME: "Same as another new one",
    Kind.TAKEN: "Another variant's, now or before",
    Kind.LISTED: "Means another thing on a channel",
    Kind.LONG: "Too long",
    Kind.CHARACTERS: "Characters a channel refuses",
    Kind.WAITING: "A waiting listing has it",
    Kind.ALIKE: "Reads like another one",
    Kind.SPREADSHEET: "A spreadsheet would change it",
    Kind.MISSING: "A value is missing",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `blocks`: the row is left out until it is mended; `is_mended`: a number was added."""

    kind: Kind
    words: str
    blocks: bool = False
    is_mended: bool = False


@dataclass(frozen=True)
class ChannelRule:
    """What SKUs a channel takes: how many characters, and which it refuses; `source` says who says so."""

    label: str
    length_max: int
    refused: str = ""  # a regular expression of one refused character
    source: str = ""


@dataclass(frozen=True)
class Listed:
    """A channel's living listing that has a SKU."""

    channel: str
    variant_id: int | None
    title: str


@dataclass(frozen=True)
class Known:
    """What SKUs mean now. Keys are normalised SKUs.

    `owners`: variants that have a SKU, or had it (archived ones and aliases included). `listings`: by SKU.
    """

    owners: Mapping[str, frozenset[int]]
    listings: Mapping[str, Sequence[Listed]]
    titles: Mapping[int, str]
    rules: Sequence[ChannelRule] = ()


@dataclass(frozen=True)
class Row:
    """A variant's SKU now and then."""

    variant_id: int
    title: str
    old: str
    new: str
    problems: tuple[Problem, ...] = field(default=())

    @property
    def is_changed(self) -> bool:
        """Whether anything differs, be it only the case."""
        return self.old != self.new

    @property
    def is_blocked(self) -> bool:
        """Whether it is left out until somebody mends it."""
        return any(problem.blocks for problem in self.problems)


def check(filled: Sequence[Filled], *, old: Mapping[int, str], known: Known, numbers: bool) -> list[Row]:
    """Rows in the order given. `numbers`: what clashes gets -2, -3 … instead of being left out."""
    given = _Given(known=known, old=old, numbers=numbers)
    # Who has that SKU already keeps it; the others come after, in order.
    keeps = [one for one in filled if (key := sku_key(one.sku)) and key == sku_key(old[one.id])]
    rows: dict[int, Row] = {}
    for one in keeps:
        if sku_key(one.sku) not in given.taken:
            rows[one.id] = given.keep(one)
    for one in filled:
        if one.id not in rows:
            rows[one.id] = given.give(one)
    return _alike([_checked(rows[one.id], one, known) for one in filled])


@dataclass
class _Given:
    """The SKUs given so far."""

    known: Known
    old: Mapping[int, str]
    numbers: bool
    taken: dict[str, int] = field(default_factory=dict)

    def keep(self, one: Filled) -> Row:
        self.taken[sku_key(one.sku)] = one.id
        return self._row(one, one.sku)

    def give(self, one: Filled) -> Row:
        key = sku_key(one.sku)
        if not key:
            words = "None of the fields has a value that letters can be made of."
            return self._row(one, self.old[one.id], Problem(Kind.EMPTY, words, blocks=True))
        clash = self._clash(one.id, key)
        if clash is None:
            self.taken[key] = one.id
            return self._row(one, one.sku)
        free = self._free(one) if self.numbers else ""
        if not free:
            return self._row(one, one.sku, replace(clash, blocks=True))
        self.taken[sku_key(free)] = one.id
        return self._row(one, free, replace(clash, is_mended=True))

    def _row(self, one: Filled, new: str, *problems: Problem) -> Row:
        title = self.known.titles.get(one.id, "")
        return Row(variant_id=one.id, title=title, old=self.old[one.id], new=new, problems=problems)

    def _free(self, one: Filled) -> str:
        present = self.old[one.id]
        base = _NUMBERED.sub("", present)
        if base != present and sku_key(base) == sku_key(one.sku) and sku_key(present) not in self.taken:
            return present  # it was numbered before
        for number in range(2, NUMBERS_TRIED):
            sku = f"{one.sku}-{number}"
            if self._clash(one.id, sku_key(sku)) is None:
                return sku
        return ""

    def _clash(self, variant_id: int, key: str) -> Problem | None:
        if key in self.taken:
            return Problem(Kind.SAME, f"{self._name(self.taken[key])} gets it too.")
        others = self.known.owners.get(key, frozenset()) - {variant_id}
        if others:
            return Problem(Kind.TAKEN, f"{self._name(min(others))} has it, or had it before.")
        for listing in self.known.listings.get(key, ()):
            if listing.variant_id is not None and listing.variant_id != variant_id:
                return Problem(Kind.LISTED, f"At {listing.channel} it means {listing.title}.")
        return None

    def _name(self, variant_id: int) -> str:
        return self.known.titles.get(variant_id) or "Another variant"


def _checked(row: Row, one: Filled, known: Known) -> Row:
    if not row.is_changed:
        return row
    found = [*row.problems, *_limits(row.new, known.rules)]
    for listing in known.listings.get(sku_key(row.new), ()):
        if listing.variant_id is None:
            words = f"{listing.title} at {listing.channel} has it and waits: it would be linked to this."
            found.append(Problem(Kind.WAITING, words))
    if damage := spreadsheet_damage(row.new):
        found.append(Problem(Kind.SPREADSHEET, damage))
    if one.missing:
        # An option that a product does not have is no fault; a vendor or category that nobody typed is.
        absent = [name for name in one.missing if name in ("vendor", "category", "style", "title")]
        if absent:
            found.append(Problem(Kind.MISSING, f"It has no {' and no '.join(absent)}."))
    return replace(row, problems=tuple(found))


def _limits(sku: str, rules: Sequence[ChannelRule]) -> Iterable[Problem]:
    limits = [ChannelRule(label="StoreStudio", length_max=OUR_LENGTH_MAX), *rules]
    tight = min(limits, key=lambda rule: rule.length_max)
    if len(sku) > tight.length_max:
        yield Problem(Kind.LONG, f"{len(sku)} characters; {tight.label} takes {tight.length_max}.", blocks=True)
    if not sku.isprintable():
        yield Problem(Kind.CHARACTERS, "It has characters that cannot be printed.", blocks=True)
    for rule in rules:
        refused = sorted(set(re.findall(rule.refused, sku))) if rule.refused else []
        if refused:
            marks = " ".join("blank" if mark.isspace() else mark for mark in refused)
            yield Problem(Kind.CHARACTERS, f"{rule.label} does not take {marks}", blocks=True)


def spreadsheet_damage(sku: str) -> str:
    """What a spreadsheet would make of it when it opens an export; "" for nothing."""
    text = sku.strip().upper()
    if text[:1] in "=+-@":
        return "A spreadsheet would take it for a formula."
    if text.isdigit() and text[0] == "0":
        return "A spreadsheet would drop the zeros in front."
    if text.isdigit() and len(text) > 15:
        return "A spreadsheet keeps 15 digits only."
    if _SCIENTIFIC.fullmatch(text):
        return "A spreadsheet would take it for a power of ten."
    if _DATE.fullmatch(text) or _DATE_OF_NUMBERS.fullmatch(text):
        return "A spreadsheet would take it for a date."
    return ""


def _alike(rows: Sequence[Row]) -> list[Row]:
    """Mark those that differ from another one only in O and 0, or I, L and 1."""
    by_look: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_look[sku_key(row.new).translate(LOOK_ALIKES)].setdefault(sku_key(row.new), row)
    marked = []
    for row in rows:
        alike = by_look[sku_key(row.new).translate(LOOK_ALIKES)]
        if len(alike) > 1 and row.is_changed and row.new:
            other = next(one for key, one in alike.items() if key != sku_key(row.new))
            problem = Problem(Kind.ALIKE, f"Reads like {other.new} of {other.title}.")
            row = replace(row, problems=(*row.problems, problem))
        marked.append(row)
    return marked


def counted(rows: Iterable[Row]) -> dict[Kind, int]:
    """How many rows have each kind of problem, the worst first."""
    counts = Counter(kind for row in rows for kind in {problem.kind for problem in row.problems})
    return {kind: counts[kind] for kind in Kind if counts[kind]}
