"""What speaks for and against a pair, as numbers: one row of features per candidate pair."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from onboarding.matching import codes, text
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
    won = soften(mine=mine, other=other, left=left, right=right, shared=shared)
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


@dataclass(slots=True)
class Softened:
    """Weight won by words that are equal but for spelling; ``code`` of model numbers found whole, ``stem`` in part."""

    left: float = 0.0
    right: float = 0.0
    code: float = 0.0
    stem: float = 0.0


def soften(*, mine: set[str], other: set[str], left: Profile, right: Profile, shared: Context) -> Softened:
    """Takes away from both sets what is equal but for a typing error, an abbreviation, a unit or a glued neighbour."""
    won = Softened()
    won.left, won.right = _numbers_of_quantities(mine=mine, other=other, shared=shared)
    for near, far, theirs, first in ((mine, other, right, True), (other, mine, left, False)):
        for token in sorted(near):
            said, share = _said_in(token, theirs.squeezed) if token in near else ("", 0.0)
            if not said:
                continue
            near.discard(token)
            gain = shared.rarity.weight(token) * share
            back = _covered(token=said, far=far, theirs=theirs, shared=shared)
            won.left += gain if first else back
            won.right += back if first else gain
            if any(c.isdigit() for c in said):
                won.code = max(won.code, gain)
    for token in sorted(mine):
        best, mate = max(((alike(token, candidate), candidate) for candidate in other), default=(0.0, ""))
        if best > 0:
            mine.discard(token)
            other.discard(mate)
            won.left += shared.rarity.weight(token) * best
            won.right += shared.rarity.weight(mate) * best
            if any(c.isdigit() for c in token):
                won.stem = max(won.stem, best * min(shared.rarity.weight(token), shared.rarity.weight(mate)))
    return won


def _said_in(token: str, squeezed: str) -> tuple[str, float]:
    """As much of a long word as the other title says, blanks or not: all of it, or a code without its ending."""
    if len(token) < 5:
        return "", 0.0
    if _stands_in(token, squeezed):
        return token, 0.9
    stem = codes.stem(token) if text.is_code(token) else token
    if stem != token and len(stem) >= 5 and _stands_in(stem, squeezed):
        return stem, 0.75
    return "", 0.0


def _stands_in(token: str, squeezed: str) -> bool:
    """Found, and not as part of a longer number: ``harmony1`` does not stand in ``harmony1000``."""
    at = squeezed.find(token)
    if at < 0:
        return False
    end = at + len(token)
    return not (
        (token[-1].isdigit() and squeezed[end : end + 1].isdigit())
        or (token[0].isdigit() and at > 0 and squeezed[at - 1].isdigit())
    )


def _covered(*, token: str, far: set[str], theirs: Profile, shared: Context) -> float:
    """Weight of the words of the other title that lie under ``token``, or hold it; they are settled with it."""
    begin = theirs.squeezed.find(token)
    end = begin + len(token)
    weight = 0.0
    first = 0
    for word in theirs.tokens:
        last = first + len(text.compact(word))
        if word in far and ((begin <= first and last <= end) or (first <= begin and end <= last)):
            far.discard(word)
            weight += shared.rarity.weight(word) * 0.9
        first = last
    return weight


def _numbers_of_quantities(*, mine: set[str], other: set[str], shared: Context) -> tuple[float, float]:
    """``5.5`` here is ``5.5in`` there: many shops leave the unit out."""
    won = [0.0, 0.0]
    for near, far, side in ((mine, other, 0), (other, mine, 1)):
        for token in sorted(t for t in near if text.is_number(t)):
            mate = next((t for t in sorted(far) if (q := text.quantity(t)) and q[0] == float_of(token)), "")
            if mate:
                near.discard(token)
                far.discard(mate)
                won[side] += shared.rarity.weight(token)
                won[1 - side] += shared.rarity.weight(mate)
    return won[0], won[1]


def float_of(token: str) -> float:
    try:
        return float(token)
    except ValueError:
        return -1.0


@lru_cache(maxsize=300_000)
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


def vetoed(*, left: Profile, right: Profile) -> bool:
    """Whatever else agrees, these are two things: other valid GTINs; or, where no identifier says that a title is
    mistyped, another size among the options, another option, another pack."""
    verdict = codes.compare_gtins(left.gtin, right.gtin)
    if verdict != "unknown":
        return verdict == "different"
    if left.sku[1] and left.sku[1] == right.sku[1]:
        return False
    packs = left.quantities.get("pk"), right.quantities.get("pk")
    if packs[0] and packs[1] and packs[0].isdisjoint(packs[1]):
        return True
    stated = bool((left.options | right.options) & text.SIZES.keys())
    if stated and left.sizes and right.sizes and left.sizes.isdisjoint(right.sizes):
        return True
    return bool(left.record.options and right.record.options) and _options_clash(left=left, right=right)


def _options_clash(*, left: Profile, right: Profile) -> bool:
    """Both name an option, and no value of the one could be spelled as the other's."""
    theirs = {_option_name(name): value for name, value in right.record.options}
    for name, value in left.record.options:
        other = theirs.get(_option_name(name), "")
        mine, yours = set(text.words(value)), set(text.words(other))
        if mine and yours and mine.isdisjoint(yours) and not any(alike(a, b) for a in mine for b in yours):
            return True
    return False


def _option_name(name: str) -> str:
    folded = name.strip().casefold()
    return "color" if folded == "colour" else folded
