"""What speaks for and against a pair, as numbers: one row of features per candidate pair."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from onboarding.matching import codes, spelling, text
from onboarding.matching.profiles import COLOURS, EARLY, Profile, Rarity

Matrix = NDArray[np.float32]

NAMES: tuple[str, ...] = (
    "cosine",
    "covered_least",
    "covered_most",
    "jaccard",
    "shared_weight",
    "rarest_shared",
    "early_least",
    "early_most",
    "spelling",
    "code_equal",
    "code_partly",
    "code_conflict",
    "number_shared",
    "number_conflict",
    "number_extra",
    "quantity_equal",
    "quantity_conflict",
    "size_equal",
    "size_conflict",
    "colour_equal",
    "colour_conflict",
    "colour_least",
    "colour_most",
    "early_conflict",
    "early_number_conflict",
    "alternative",
    "described",
    "described_code",
    "price_near",
    "price_far",
    "brand_equal",
    "brand_conflict",
    "gtin_equal",
    "gtin_close",
    "sku_equal",
    "sku_loose",
    "first_equal",
    "option_missing",
    "option_conflict",
)
COLUMN = {name: i for i, name in enumerate(NAMES)}


@dataclass(slots=True)
class Context:
    """What all pairs of one job share."""

    rarity: Rarity
    alternatives: dict[str, frozenset[str]]
    heaviest: float
    sku_counts: tuple[dict[str, int], dict[str, int]]


def context(*, sides: Sequence[Sequence[Profile]], rarity: Rarity) -> Context:
    counts: tuple[dict[str, int], dict[str, int]] = (defaultdict(int), defaultdict(int))
    for side, count in zip(sides, counts, strict=True):
        for profile in side:
            for form in set(profile.sku[1:]):
                if form:
                    count[form] += 1
    return Context(
        rarity=rarity,
        alternatives=alternatives(sides=sides),
        heaviest=math.log(rarity.total + 1.0) + math.log(2),
        sku_counts=counts,
    )


def alternatives(*, sides: Sequence[Sequence[Profile]]) -> dict[str, frozenset[str]]:
    """Words that take each other's place in otherwise equal titles of one catalog: colours no list knows, editions."""
    swapped: dict[str, set[str]] = defaultdict(set)
    for side in sides:
        # Titles less one word, told apart by the sum of their words' hashes: the words themselves would fill memory.
        first: dict[int, str] = {}
        groups: dict[int, set[str]] = {}
        for profile in side:
            if 3 <= len(profile.names) <= 25:
                whole = sum(map(hash, profile.names))
                for token in profile.names:
                    rest = whole - hash(token)
                    if first.setdefault(rest, token) != token:
                        groups.setdefault(rest, {first[rest]}).add(token)
        for group in groups.values():
            if len(group) <= 60:
                for token in group:
                    swapped[token] |= group - {token}
    return {token: frozenset(others) for token, others in swapped.items()}


def rows(
    *,
    left: Sequence[Profile],
    right: Sequence[Profile],
    pairs: NDArray[np.int64],
    shared: Context,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Matrix:
    """One row a pair, in single precision: a million pairs are 150 MB."""
    made = np.zeros((len(pairs), len(NAMES)), dtype=np.float32)
    for n in range(len(pairs)):
        i, j = pairs[n]
        made[n] = row(left=left[i], right=right[j], shared=shared)
        if on_progress and (n % 10_000 == 9_999 or n + 1 == len(pairs)):
            on_progress("comparing candidates", n + 1, len(pairs))
    return made


def row(*, left: Profile, right: Profile, shared: Context) -> list[float]:
    weight = shared.rarity.weight
    both = left.names & right.names
    mine, other = set(left.names - both), set(right.names - both)
    square = sum(weight(t) ** 2 for t in both)
    norm = math.sqrt(sum(weight(t) ** 2 for t in left.names) * sum(weight(t) ** 2 for t in right.names))
    common = sum(weight(t) for t in both)
    won = spelling.soften(mine=mine, other=other, left=left, right=right, rarity=shared.rarity)
    covered_left = (common + won.left) / max(left.weight, 1e-6)
    covered_right = (common + won.right) / max(right.weight, 1e-6)
    union = left.weight + right.weight - common - (won.left + won.right) / 2
    equal_code = max(
        (weight(t) for t in both if any(c.isdigit() for c in t) and len(t) >= 4 and not text.quantity(t)), default=0.0
    )
    equal_code = max(equal_code, won.code)
    code_conflict = _code_conflict(mine=mine, other=other) if not equal_code and not won.stem else 0.0
    return [
        square / max(norm, 1e-6),
        min(covered_left, covered_right, 1.0),
        min(max(covered_left, covered_right), 1.0),
        (common + (won.left + won.right) / 2) / max(union, 1e-6),
        min((common + (won.left + won.right) / 2) / (6 * shared.heaviest), 1.0),
        max(map(weight, both), default=0.0) / shared.heaviest,
        *sorted((_early_share(left, mine, shared=shared), _early_share(right, other, shared=shared))),
        fuzz.token_sort_ratio(" ".join(left.tokens), " ".join(right.tokens)) / 100,
        equal_code / shared.heaviest,
        won.stem / shared.heaviest,
        code_conflict,
        *_numbers(mine=mine, other=other, both=both),
        *_quantities(left=left, right=right),
        float(bool(left.sizes & right.sizes)),
        float(bool(left.sizes and right.sizes) and left.sizes.isdisjoint(right.sizes)),
        float(bool(left.colours & right.colours)),
        float(bool(left.colours and right.colours) and left.colours.isdisjoint(right.colours)),
        *sorted(
            (
                sum(weight(t) for t in mine if t in COLOURS) / max(left.weight, 1e-6),
                sum(weight(t) for t in other if t in COLOURS) / max(right.weight, 1e-6),
            )
        ),
        *_early(mine=mine, other=other, left=left, right=right, shared=shared),
        _alternative(mine=mine, other=other, shared=shared),
        (
            sum(weight(t) for t in mine & right.described) / max(left.weight, 1e-6)
            + sum(weight(t) for t in other & left.described) / max(right.weight, 1e-6)
        ),
        max(
            (weight(t) for t in (mine & right.described) | (other & left.described) if text.is_code(t) and len(t) > 3),
            default=0.0,
        )
        / shared.heaviest,
        *_price(left=left, right=right),
        *_brand(left=left, right=right),
        *_identifiers(left=left, right=right, shared=shared),
        float(bool(left.tokens and right.tokens) and (left.tokens[0] in right.names or right.tokens[0] in left.names)),
        *_options(mine=mine, other=other, left=left, right=right, shared=shared),
    ]


def _code_conflict(*, mine: set[str], other: set[str]) -> float:
    a = any(text.is_code(t) and len(t) >= 4 for t in mine)
    b = any(text.is_code(t) and len(t) >= 4 for t in other)
    return 1.0 if a and b else 0.0


def _early_share(profile: Profile, lacking: set[str], *, shared: Context) -> float:
    """How much of the beginning of a title the other one has: boilerplate stands at the end."""
    begin = profile.tokens[:EARLY]
    whole = sum(map(shared.rarity.weight, begin))
    return 1 - sum(shared.rarity.weight(t) for t in begin if t in lacking) / max(whole, 1e-6)


def _early(*, mine: set[str], other: set[str], left: Profile, right: Profile, shared: Context) -> tuple[float, float]:
    """Both titles begin with a word the other has not: other model names; worse when both are numbers or codes."""
    a = [t for t in mine if t in left.tokens[:EARLY] and t not in COLOURS]
    b = [t for t in other if t in right.tokens[:EARLY] and t not in COLOURS]
    if not a or not b:
        return 0.0, 0.0
    least = min(max(map(shared.rarity.weight, a)), max(map(shared.rarity.weight, b))) / shared.heaviest
    numbered = all(any(text.is_number(t) or text.is_code(t) for t in words) for words in (a, b))
    return least, float(numbered)


def _numbers(*, mine: set[str], other: set[str], both: frozenset[str]) -> tuple[float, float, float]:
    a = {t for t in mine if text.is_number(t) and len(t) <= 4}
    b = {t for t in other if text.is_number(t) and len(t) <= 4}
    shared = sum(1 for t in both if text.is_number(t))
    return min(shared, 3) / 3, float(bool(a and b)), float(bool(a) != bool(b))


def _quantities(*, left: Profile, right: Profile) -> tuple[float, float]:
    equal = conflict = 0
    for unit, values in left.quantities.items():
        theirs = right.quantities.get(unit)
        if theirs:
            near = any(abs(x - y) <= 0.03 * max(x, y) for x in values for y in theirs)
            equal += near
            conflict += not near
    return min(equal, 3) / 3, min(conflict, 2) / 2


def _alternative(*, mine: set[str], other: set[str], shared: Context) -> float:
    return float(sum(1 for t in mine if not other.isdisjoint(shared.alternatives.get(t, ())))) > 0


def _options(*, mine: set[str], other: set[str], left: Profile, right: Profile, shared: Context) -> tuple[float, float]:
    """Words of an option's value that the other listing lacks, and whether it says something else in their place."""
    missing = conflict = 0
    for lacking, instead, options in ((mine, other, left.options), (other, mine, right.options)):
        for token in options & lacking:
            missing += 1
            swaps = shared.alternatives.get(token, frozenset())
            conflict += any(
                t in swaps or (t in text.SIZES and token in text.SIZES) or (t in COLOURS and token in COLOURS)
                for t in instead
            )
    return float(min(missing, 2)) / 2, float(min(conflict, 2)) / 2


def _price(*, left: Profile, right: Profile) -> tuple[float, float]:
    a, b = left.record.price, right.record.price
    if not a or not b:
        return 0.0, 0.0
    apart = abs(math.log(a / b))
    return max(0.0, 1 - apart / 0.2), min(max(0.0, apart - 0.4), 2.0)


def _brand(*, left: Profile, right: Profile) -> tuple[float, float]:
    a, b = left.record.brand, right.record.brand
    if not a and not b:
        return 0.0, 0.0
    said_left = set(text.words(a)) or left.names
    said_right = set(text.words(b)) or right.names
    equal = bool(said_left & said_right)
    return float(equal), float(not equal and bool(a) and bool(b))


def _identifiers(*, left: Profile, right: Profile, shared: Context) -> tuple[float, float, float, float]:
    verdict = codes.compare_gtins(left.gtin, right.gtin)
    exact = bool(left.sku[1]) and left.sku[1] == right.sku[1]
    loose = bool(left.sku[2]) and left.sku[2] == right.sku[2]
    often = max(shared.sku_counts[0][left.sku[2]], shared.sku_counts[1][right.sku[2]]) if loose or exact else 1
    return (
        float(verdict == "equal"),
        float(verdict in ("repaired", "rounded")),
        float(exact) / often,
        float(loose) / often,
    )
