"""Which column of an unknown table is which of our fields: guessed from its header and from what stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from onboarding.matching import gtin as gtins
from onboarding.matching import options as meanings
from onboarding.reading import values
from onboarding.reading.fields import IGNORED, LABELS, QUANTITY_AT, is_field
from onboarding.reading.headers import folded, signature
from onboarding.reading.rows import UnreadableFile
from onboarding.reading.words import HEADER_WORDS, OPTION_WORDS, QUANTITY_PLACE, WEAK_WORDS

__all__ = ["ColumnGuess", "guess", "is_known_header", "signature", "validated"]

SAMPLED = 200  # rows whose values are weighed
_LEAST = 0.5  # a guess below this is not made
_FUZZY = 88  # of 100: "Descripton" for description, not "Code" for colour
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_MONEY = re.compile(r"[£€$¥]?\s?-?\d{1,7}(?:[.,]\d{3})*[.,]\d{2}\s?[£€$¥]?")
_CODE = re.compile(r"(?=.*\d)[\w./#-]{3,40}")


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """`field`: one of fields.LABELS, "quantity:<place>", or "" when the column is best left out.

    `confidence` 0 to 1; `reason` in words a person understands; `samples` the first different values.
    """

    header: str
    field: str
    confidence: float
    reason: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Profile:
    """What stands in a column: shares of the filled cells, 0 to 1."""

    filled: int
    distinct: float
    gtin: float
    money: float
    number: float
    whole: float
    flag: float
    url: float
    size: float
    colour: float
    code: float
    words: float  # mean number of words


@dataclass(frozen=True, slots=True)
class _Bid:
    place: int
    field: str
    confidence: float
    reason: str


_LOOKUP = {folded(word): field for field, words in HEADER_WORDS.items() for word in words}
_OPTION_LOOKUP = {folded(word): name for name, words in OPTION_WORDS.items() for word in words}
_WEAK = {folded(word) for word in WEAK_WORDS}
_STRONG = {"sku", "barcode", "gtin", "title", "name", "price"}
# Words that make a header something else than the word beside them: "Price type", "Reorder point", "Tax rate".
_OF_ANOTHER_KIND = re.compile(r"\b(?:type|typ|date|datum|currency|notes?|reorder|alert|tax|rates?|visible|alternate)\b")
_NO_STOCK = re.compile(
    r"\b(?:reorder|alert|low|min|max|minimum|maximum|incoming|committed|reserved|unavailable|sold|track)\b"
)
_NO_PLACE = re.compile(
    r"(?:total|gesamt|all|in stock|stock|current|level|count|on hand|available|quantity|totaal|totale)"
)


def is_known_header(cell: str) -> bool:
    """Whether the cell is a header in one of the languages; tells a header row from a row of values."""
    name = folded(cell)
    return bool(name) and (name in _LOOKUP or name in _OPTION_LOOKUP)


def guess(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[ColumnGuess, ...]:
    """One guess per column, best ones first served: a field goes to one column (quantities at places excepted)."""
    columns = [
        [values.line(row[place]) for row in rows[:SAMPLED] if place < len(row) and row[place].strip()]
        for place in range(len(headers))
    ]
    profiles = [_profile(cells) for cells in columns]
    bids = [bid for place, header in enumerate(headers) for bid in _bids(place, header, profiles[place])]
    chosen = _assigned(bids)
    _options_in_order(chosen)
    return tuple(
        ColumnGuess(
            header=header,
            field=chosen[place].field if place in chosen else IGNORED,
            confidence=round(chosen[place].confidence, 2) if place in chosen else 0.0,
            reason=chosen[place].reason if place in chosen else _why_not(profiles[place]),
            samples=tuple(dict.fromkeys(columns[place]))[:3],
        )
        for place, header in enumerate(headers)
    )


def _why_not(profile: _Profile) -> str:
    return "No header or values that we know." if profile.filled else "The column is empty."


def _assigned(bids: Sequence[_Bid]) -> dict[int, _Bid]:
    chosen: dict[int, _Bid] = {}
    taken: set[str] = set()
    for bid in sorted(bids, key=lambda bid: (-bid.confidence, bid.place)):
        if bid.confidence < _LEAST or bid.place in chosen or bid.field in taken:
            continue
        if bid.field == "option" and sum(1 for other in chosen.values() if other.field == "option") >= 3:
            continue
        chosen[bid.place] = bid
        if bid.field != "option":
            taken.add(bid.field)
    return chosen


def _options_in_order(chosen: dict[int, _Bid]) -> None:
    """Columns such as Size and Colour become option values, in the order of the file, in slots nobody named."""
    used = {bid.field for bid in chosen.values()}
    free = [slot for slot in (1, 2, 3) if f"option{slot}_value" not in used]
    for place in sorted(place for place, bid in chosen.items() if bid.field == "option"):
        bid = chosen.pop(place)
        if free:
            chosen[place] = _Bid(place, f"option{free.pop(0)}_value", bid.confidence, bid.reason)


def _bids(place: int, header: str, profile: _Profile) -> list[_Bid]:
    """What the column may be, header first; what stands in it confirms, weakens or, alone, suggests."""
    bids = []
    for field, strength, reason in _from_header(header):
        fit = _fit(field, profile)
        told = {1: " and its values fit", 0: "", -1: ", though its values do not look like it"}[fit]
        confidence = max(0.0, min(0.99, strength + 0.05 * fit - (0.3 if fit < 0 else 0)))
        bids.append(_Bid(place, field, confidence, f"{reason}{told}."))
    bids.extend(_Bid(place, field, strength, reason) for field, strength, reason in _from_values(profile))
    return bids


def _from_header(header: str) -> list[tuple[str, float, str]]:
    name = re.sub(r" \d+$", "", folded(header)) if header.endswith(")") else folded(header)
    name = next((way for way in _ways(name) if way in _LOOKUP or way in _OPTION_LOOKUP), name)
    if name in _LOOKUP:
        strength = 0.75 if name in _WEAK else 0.94 if name in LABELS or name in _STRONG else 0.93
        return [(_LOOKUP[name], strength, f"“{header}” means {LABELS[_LOOKUP[name]]}")]
    if name in _OPTION_LOOKUP:
        return [("option", 0.9, f"“{header}” is an option")]
    for pattern in QUANTITY_PLACE:
        if match := pattern.fullmatch(" ".join(header.replace("_", " ").split())):
            spot = match[1].strip(" -:()")
            if _NO_STOCK.search(folded(spot)):
                return []
            if _NO_PLACE.fullmatch(folded(spot)):
                return [("quantity", 0.85, f"“{header}” is a quantity")]
            return [(f"{QUANTITY_AT}{spot}", 0.85, f"“{header}” is the quantity at {spot}")]
    return _fuzzy(header, name)


def _ways(name: str) -> list[str]:
    """The header, and without what exports put before it or glue to it: "product option name1" is "option name 1"."""
    spaced = re.sub(r"(?<=[^\W\d])(?=\d)", " ", name)
    short = re.sub(r"^(?:product|item|variant) ", "", spaced)
    return [name, spaced, short, re.sub(r"^variation (?=\d)", "option ", short).replace("values", "value")]


def _fuzzy(header: str, name: str) -> list[tuple[str, float, str]]:
    """Misspelt headers, and headers of several words one of which we know ("Retail price incl. VAT")."""
    if len(name) < 4:
        return []
    close = process.extractOne(name, _LOOKUP.keys(), scorer=fuzz.ratio, score_cutoff=_FUZZY)
    if close is not None:
        field = _LOOKUP[close[0]]
        return [(field, 0.8 * close[1] / 100, f"“{header}” is nearly “{close[0]}”, {LABELS[field]}")]
    if _OF_ANOTHER_KIND.search(name):
        return []
    inside = [known for known in _LOOKUP if len(known) >= 3 and f" {known} " in f" {name} "]
    inside.sort(key=lambda known: (known in _WEAK, -len(known)))
    if inside:
        field = _LOOKUP[inside[0]]
        share = len(inside[0]) / len(name)
        weak = 0.15 if inside[0] in _WEAK else 0
        return [(field, 0.53 + 0.3 * share - weak, f"“{header}” contains “{inside[0]}”, {LABELS[field]}")]
    optional = [known for known in _OPTION_LOOKUP if f" {known} " in f" {name} "]
    return [("option", 0.65, f"“{header}” contains “{optional[0]}”, an option")] if optional else []


def _fit(field: str, profile: _Profile) -> int:
    """1: the values look like it; -1: they cannot be; 0: they say nothing."""
    if not profile.filled:
        return 0
    if field == "gtin":
        return 1 if profile.gtin > 0.6 else -1 if profile.whole < 0.2 and profile.code < 0.5 else 0
    if field in ("price", "cost", "compare_at_price", "weight"):
        return 1 if profile.number > 0.8 else -1 if profile.number < 0.3 else 0
    if field == "quantity" or field.startswith(QUANTITY_AT):
        return 1 if profile.number > 0.8 else -1 if profile.number < 0.3 else 0
    if field in ("is_tracked", "sells_past_zero"):
        return 1 if profile.flag > 0.8 else -1 if profile.flag < 0.3 else 0
    if field == "image_url":
        return 1 if profile.url > 0.6 else -1
    if field == "product_title":
        return 1 if profile.words >= 1.5 and profile.number < 0.5 else -1 if profile.number > 0.9 else 0
    if field == "sku":
        return 1 if profile.distinct > 0.9 and profile.code > 0.5 else 0
    if field == "option":
        return (
            1
            if profile.size > 0.5 or profile.colour > 0.5
            else -1
            if profile.distinct > 0.98 and profile.words > 3
            else 0
        )
    return 0


def _from_values(profile: _Profile) -> list[tuple[str, float, str]]:
    """What a column under an unknown header must be. Only with enough rows, and never very sure."""
    if profile.filled < 3:
        return []
    found = []
    if profile.gtin > 0.7:
        found.append(("gtin", 0.75, f"{_percent(profile.gtin)} of its values are barcodes with a right check digit."))
    if profile.url > 0.8:
        found.append(("image_url", 0.55, "Its values are web addresses."))
    if profile.size > 0.7 and profile.number < 0.5:  # numbers may be anything
        found.append(("option", 0.6, "Its values are sizes."))
    if profile.colour > 0.7:
        found.append(("option", 0.6, "Its values are colours."))
    if profile.money > 0.8:
        found.append(("price", 0.55, "Its values are amounts of money."))
    if profile.code > 0.8 and profile.distinct > 0.95 and profile.number < 0.5 and profile.words < 1.2:
        found.append(("sku", 0.6, "Its values are codes, each different."))
    if (
        profile.words > 2
        and profile.distinct > 0.5
        and profile.number < 0.2
        and profile.url < 0.2
        and profile.words < 15
    ):
        found.append(("product_title", 0.52, "Its values read like product names."))
    return found


def _percent(share: float) -> str:
    return f"{round(share * 100)} %"


def _profile(cells: Sequence[str]) -> _Profile:
    total = max(1, len(cells))

    def share(test: Callable[[str], bool]) -> float:
        return sum(1 for cell in cells if test(cell)) / total

    return _Profile(
        filled=len(cells),
        distinct=len(set(cells)) / total,
        gtin=share(lambda cell: cell[:1].isdigit() and len(cell) >= 8 and gtins.check(cell).valid),
        money=share(lambda cell: bool(_MONEY.fullmatch(cell))),
        number=share(_is_number),
        whole=share(lambda cell: cell.lstrip("-").isdigit()),
        flag=share(lambda cell: values.flag("", cell)[1] is None),
        url=share(lambda cell: bool(_URL.match(cell))),
        size=share(lambda cell: _means(cell, "size")),
        colour=share(lambda cell: _means(cell, "color")),
        code=share(lambda cell: bool(_CODE.fullmatch(cell))),
        words=sum(len(cell.split()) for cell in cells) / total,
    )


def _is_number(cell: str) -> bool:
    """A number in money's or counts' length; what says "nothing" counts as one."""
    value, problem = values.number("", cell)
    return problem is None or value is not None


def _means(cell: str, option: str) -> bool:
    return len(cell) <= 24 and any(
        meaning.name == option for meaning in meanings.meanings(tuple(cell.casefold().split()))
    )


def validated(mapping: Mapping[str, str], *, headers: Sequence[str]) -> dict[str, str]:
    """A mapping header -> field as a person chose it, checked; headers it leaves out are not read.

    Raises UnreadableFile (mapping): unknown column or field, a field twice, neither title nor SKU.
    """
    known = set(headers)
    seen: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for header, field in mapping.items():
        if header not in known:
            raise UnreadableFile("mapping", f"The file has no column “{header}”.")
        if field == IGNORED:
            continue
        if not is_field(field):
            raise UnreadableFile("mapping", f"“{field}”, chosen for “{header}”, is no field.")
        if field in seen:
            label = LABELS.get(field, field)
            raise UnreadableFile("mapping", f"{label} is chosen for both “{seen[field]}” and “{header}”.")
        seen[field] = header
        chosen[header] = field
    if "product_title" not in seen and "sku" not in seen:
        raise UnreadableFile("mapping", "Choose a column for the product title or the SKU: rows are told by them.")
    return chosen


def is_option_name(header: str) -> bool:
    """Whether a header says what an option is ("Size"), not where it stands ("Option 1 value")."""
    return _LOOKUP.get(folded(header), "")[:6] != "option" and folded(header) not in ("value", "values")
