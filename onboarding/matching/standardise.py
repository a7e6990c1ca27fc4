"""Option names and values that mean the same, to be written one way: "XL", "X-Large" and "xl " are one value."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from onboarding.matching.options import canonical, meanings, plain_unit
from onboarding.matching.slips import shapes
from onboarding.matching.vocabulary import LETTER_SIZES, OPTION_NAMES, fold

SLIP_LENGTH_MIN = 5  # letters; "red" and "rod" are not a slip
SLIP_USES_RATIO = 4  # the right spelling is used this many times as often
_AMOUNT = re.compile(r"(\d+(?:[.,]\d+)?)\s*([a-z]+)")
_BASE_UNITS = {
    "kg": ("g", 1000.0),
    "g": ("g", 1.0),
    "mg": ("g", 0.001),
    "l": ("ml", 1000.0),
    "cl": ("ml", 10.0),
    "ml": ("ml", 1.0),
    "m": ("mm", 1000.0),
    "cm": ("mm", 10.0),
    "mm": ("mm", 1.0),
    "tb": ("gb", 1000.0),
    "gb": ("gb", 1.0),
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Spellings of one value (or, with an empty option, of one option's name)."""

    option: str  # canonical name
    canonical: str  # what to write instead
    members: tuple[tuple[str, int], ...]  # (as written, uses), most used first
    confidence: float  # 0 to 1
    evidence: tuple[str, ...]


def values(rows: Iterable[tuple[str, str, int]]) -> list[Cluster]:
    """Clusters of (name, value, uses) rows that should become one value; what is written one way only is left out."""
    by_option: dict[str, Counter[str]] = defaultdict(Counter)
    for name, value, uses in rows:
        by_option[canonical(name, value)[0]][value] += uses
    found = [cluster for option in sorted(by_option) for cluster in _of_option(option, by_option[option])]
    return sorted(found, key=lambda one: (-one.confidence, one.option, one.canonical))


def names(rows: Iterable[tuple[str, int]]) -> list[Cluster]:
    """The same for the options' names: "Colour", "COLOR" and "color "."""
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for name, uses in rows:
        plain = " ".join(name.casefold().split())
        together[OPTION_NAMES.get(plain, plain)][name] += uses
    return [
        Cluster("", _usual(spellings), _ranked(spellings), 0.95, ("names of one option",))
        for _, spellings in sorted(together.items())
        if len(spellings) > 1
    ]


def _of_option(option: str, uses: Counter[str]) -> list[Cluster]:
    keys: dict[str, list[str]] = defaultdict(list)
    for value in sorted(uses):
        keys[_key(option, value)].append(value)
    joined, reasons = _join(option, keys, uses)
    found = []
    for key, members in sorted(joined.items()):
        if len(members) > 1:
            spellings = Counter({value: uses[value] for value in members})
            found.append(_cluster(option, spellings, reasons.get(key, [])))
    return found


def _key(option: str, value: str) -> str:
    return fold(canonical(option, value)[1]) or value.strip()


def _join(
    option: str, keys: dict[str, list[str]], uses: Counter[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Join keys of one amount, and rare slips with what they are a slip of. Each key moves at most once."""
    counts = {key: sum(uses[value] for value in members) for key, members in keys.items()}
    target: dict[str, tuple[str, str]] = {}
    amounts: dict[tuple[str, float], str] = {}
    index: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        for shape in shapes(key):
            index[shape].add(key)
    for key in sorted(keys, key=lambda k: (-counts[k], k)):
        amount = _amount(keys[key][0])
        if amount and amounts.setdefault(amount, key) != key:
            target[key] = (amounts[amount], "the same amount written otherwise")
        elif slip := _slip_of(option=option, key=key, keys=keys, counts=counts, index=index):
            target[key] = (slip, f"one letter apart, {counts[key]} against {counts[slip]} uses")
    joined = {key: list(members) for key, members in keys.items() if key not in target}
    reasons: dict[str, list[str]] = defaultdict(list)
    for key, (other, reason) in target.items():
        home = target[other][0] if other in target else other
        joined.setdefault(home, []).extend(keys[key])
        reasons[home].append(reason)
    return joined, reasons


def _slip_of(
    *, option: str, key: str, keys: dict[str, list[str]], counts: dict[str, int], index: dict[str, set[str]]
) -> str:
    """The one well-used value this rare, unknown one is a slip of; "" for none."""
    if len(key) < SLIP_LENGTH_MIN or any(letter.isdigit() for letter in key) or _is_known(option, keys[key][0]):
        return ""
    near = {other for shape in shapes(key) for other in index[shape] if counts[other] >= SLIP_USES_RATIO * counts[key]}
    slips = [other for other in near if OSA.distance(other, key, score_cutoff=1) == 1]
    return slips[0] if len(slips) == 1 else ""


def _is_known(option: str, value: str) -> bool:
    words = tuple(value.casefold().replace("-", " ").split())
    return any(meaning.name == option for meaning in meanings(words))


def _amount(value: str) -> tuple[str, float] | None:
    match = _AMOUNT.fullmatch(value.casefold().strip())
    unit = plain_unit(match[2]) if match else ""
    if not match or not unit:
        return None
    base, factor = _BASE_UNITS.get(unit, (unit, 1.0))
    return base, round(float(match[1].replace(",", ".")) * factor, 6)


def _cluster(option: str, spellings: Counter[str], reasons: Sequence[str]) -> Cluster:
    plain = {" ".join(value.casefold().split()) for value in spellings}
    evidence = list(dict.fromkeys(reasons))
    known = canonical(option, _usual(spellings))[1]
    if len(plain) == 1:
        evidence.insert(0, "they differ only in capitals and blanks")
    elif len(plain) > len(reasons) + 1:
        evidence.insert(0, f"ways to write {option} {known}")
    return Cluster(
        option=option,
        canonical=known if known in LETTER_SIZES else _usual(spellings),
        members=_ranked(spellings),
        confidence=0.75 if reasons else 0.97,
        evidence=tuple(evidence),
    )


def _usual(spellings: Counter[str]) -> str:
    """The most used spelling, without stray blanks; of equals the one with a capital and without abbreviation."""
    best = max(spellings, key=lambda value: (spellings[value], len(value.strip()), value[:1].isupper(), value))
    return " ".join(best.split())


def _ranked(spellings: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(spellings.items(), key=lambda item: (-item[1], item[0])))
