"""What speaks for and against a pair, as numbers: one row of features per candidate pair."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from onboarding.matching import codes, text
from onboarding.matching.profiles import Profile, Rarity

Matrix = NDArray[np.float64]

NAMES: tuple[str, ...] = (
    "cosine",
    "covered_left",
    "covered_right",
    "jaccard",
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
    "alternative",
    "described_left",
    "described_right",
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
        by_rest: dict[tuple[str, frozenset[str]], set[str]] = defaultdict(set)
        for profile in side:
            if 3 <= len(profile.names) <= 25:
                for token in profile.names:
                    by_rest[profile.shop, profile.names - {token}].add(token)
        for group in by_rest.values():
            if 2 <= len(group) <= 60:
                for token in group:
                    swapped[token] |= group - {token}
    return {token: frozenset(others) for token, others in swapped.items()}


def rows(*, left: Sequence[Profile], right: Sequence[Profile], pairs: NDArray[np.int64], shared: Context) -> Matrix:
    made = np.zeros((len(pairs), len(NAMES)), dtype=np.float64)
    for n, (i, j) in enumerate(pairs.tolist()):
        made[n] = row(left=left[i], right=right[j], shared=shared)
    return made


def row(*, left: Profile, right: Profile, shared: Context) -> list[float]:
    weight = shared.rarity.weight
    both = left.names & right.names
    mine, other = set(left.names - both), set(right.names - both)
    square = sum(weight(t) ** 2 for t in both)
    norm = math.sqrt(sum(weight(t) ** 2 for t in left.names) * sum(weight(t) ** 2 for t in right.names))
    common = sum(weight(t) for t in both)
    got_left, got_right, stems = _soften(mine=mine, other=other, left=left, right=right, shared=shared)
    covered_left = (common + got_left) / max(left.weight, 1e-6)
    covered_right = (common + got_right) / max(right.weight, 1e-6)
    union = left.weight + right.weight - common - (got_left + got_right) / 2
    equal_code = max((weight(t) for t in both if any(c.isdigit() for c in t) and len(t) >= 4 and not text.quantity(t)), default=0.0)
    equal_code = max(equal_code, stems[1])
    code_conflict = _code_conflict(mine=mine, other=other) if not equal_code and not stems[0] else 0.0
    return [
        square / max(norm, 1e-6),
        min(covered_left, 1.0),
        min(covered_right, 1.0),
        (common + (got_left + got_right) / 2) / max(union, 1e-6),
        fuzz.token_sort_ratio(" ".join(left.tokens), " ".join(right.tokens)) / 100,
        equal_code / shared.heaviest,
        stems[0] / shared.heaviest,
        code_conflict,
        *_numbers(mine=mine, other=other, both=both),
        *_quantities(left=left, right=right),
        float(bool(left.sizes & right.sizes)),
        float(bool(left.sizes and right.sizes) and left.sizes.isdisjoint(right.sizes)),
        _alternative(mine=mine, other=other, shared=shared),
        sum(weight(t) for t in mine & right.described) / max(left.weight, 1e-6),
        sum(weight(t) for t in other & left.described) / max(right.weight, 1e-6),
        max((weight(t) for t in (mine & right.described) | (other & left.described) if text.is_code(t) and len(t) > 3), default=0.0)
        / shared.heaviest,
        *_price(left=left, right=right),
        *_brand(left=left, right=right),
        *_identifiers(left=left, right=right, shared=shared),
        float(bool(left.tokens and right.tokens) and (left.tokens[0] in right.names or right.tokens[0] in left.names)),
    ]


def _soften(
    *, mine: set[str], other: set[str], left: Profile, right: Profile, shared: Context
) -> tuple[float, float, tuple[float, float]]:
    """Weight of words that are equal but for a typing error, an abbreviation or a glued neighbour; takes them away."""
    weight = shared.rarity.weight
    got_left = got_right = 0.0
    partly = inside = 0.0
    for near, far, squeezed, first in ((mine, other, right.squeezed, True), (other, mine, left.squeezed, False)):
        for token in [t for t in near if len(t) >= 5 and t in squeezed]:
            near.discard(token)
            gain = weight(token) * 0.9
            if first:
                got_left += gain
            else:
                got_right += gain
            if any(c.isdigit() for c in token):
                inside = max(inside, gain)
    for token in sorted(mine):
        best, mate = 0.0, ""
        for candidate in other:
            near_by = alike(token, candidate)
            if near_by > best:
                best, mate = near_by, candidate
        if best > 0:
            mine.discard(token)
            other.discard(mate)
            got_left += weight(token) * best
            got_right += weight(mate) * best
            if any(c.isdigit() for c in token):
                partly = max(partly, best * min(weight(token), weight(mate)))
    return got_left, got_right, (partly, inside)


def alike(one: str, other: str) -> float:
    """How surely two different words mean the same, 0 to 1: codes by their beginning, words by spelling."""
    if one in text.SIZES and other in text.SIZES:
        return 0.95 if text.SIZES[one] == text.SIZES[other] else 0.0
    digits = any(c.isdigit() for c in one) or any(c.isdigit() for c in other)
    if digits:
        if not (text.is_code(one) and text.is_code(other)) or min(len(one), len(other)) < 4:
            return 0.0
        prefix = codes.shared_prefix(one, other)
        head = one[:prefix]
        if prefix < 4 or not any(c.isdigit() for c in head):
            return 0.0
        rest = one[prefix:] + other[prefix:]
        if any(c.isdigit() for c in one[prefix:]) and any(c.isdigit() for c in other[prefix:]):
            return 0.0
        return 0.8 * prefix / max(len(one), len(other)) if not rest.isdigit() else 0.0
    short, long = sorted((one, other), key=len)
    if len(short) >= 3 and long.startswith(short) and len(long) - len(short) <= 6:
        return 0.8
    if len(short) >= 4 and OSA.distance(one, other) <= (1 if len(long) < 8 else 2):
        return 0.85
    if 2 <= len(short) <= 5 < 2 * len(short) + 2 and abbreviates(short, long):
        return 0.6
    return 0.0


def abbreviates(short: str, long: str) -> bool:
    """``prpl`` for ``purple``: the same first letter, then consonants in order, the last one last or nearly so."""
    if short[0] != long[0] or any(c in "aeiou" for c in short[1:]) or len(long) < len(short) + 1:
        return False
    at = 0
    for letter in short:
        at = long.find(letter, at) + 1
        if at == 0:
            return False
    return all(c in "aeiou" for c in long[at:])


def _code_conflict(*, mine: set[str], other: set[str]) -> float:
    a = any(text.is_code(t) and len(t) >= 4 for t in mine)
    b = any(text.is_code(t) and len(t) >= 4 for t in other)
    return 1.0 if a and b else 0.0


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


def vetoed(*, left: Profile, right: Profile) -> bool:
    """Two valid GTINs that differ: whatever else agrees, these are two things."""
    return codes.compare_gtins(left.gtin, right.gtin) == "different"
