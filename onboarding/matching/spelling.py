"""Words that two titles spell differently and mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

from onboarding.matching import codes, text
from onboarding.matching.profiles import Profile, Rarity


@dataclass(slots=True)
class Softened:
    """Weight won by words that are equal but for spelling; ``code`` of model numbers found whole, ``stem`` in part."""

    left: float = 0.0
    right: float = 0.0
    code: float = 0.0
    stem: float = 0.0


def soften(*, mine: set[str], other: set[str], left: Profile, right: Profile, rarity: Rarity) -> Softened:
    """Takes away from both sets what is equal but for a typing error, an abbreviation, a unit or a glued neighbour."""
    won = Softened()
    won.left, won.right = _numbers_of_quantities(mine=mine, other=other, rarity=rarity)
    for near, far, theirs, first in ((mine, other, right, True), (other, mine, left, False)):
        for token in sorted(near):
            said, share = _said_in(token, theirs.squeezed) if token in near else ("", 0.0)
            if not said:
                continue
            near.discard(token)
            gain = rarity.weight(token) * share
            back = _covered(token=said, far=far, theirs=theirs, rarity=rarity)
            won.left += gain if first else back
            won.right += back if first else gain
            if any(c.isdigit() for c in said):
                won.code = max(won.code, gain)
    for token in sorted(mine):
        best, mate = max(((alike(token, candidate), candidate) for candidate in other), default=(0.0, ""))
        if best > 0:
            mine.discard(token)
            other.discard(mate)
            won.left += rarity.weight(token) * best
            won.right += rarity.weight(mate) * best
            if any(c.isdigit() for c in token):
                won.stem = max(won.stem, best * min(rarity.weight(token), rarity.weight(mate)))
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


def _covered(*, token: str, far: set[str], theirs: Profile, rarity: Rarity) -> float:
    """Weight of the words of the other title that lie under ``token``, or hold it; they are settled with it."""
    begin = theirs.squeezed.find(token)
    end = begin + len(token)
    weight = 0.0
    first = 0
    for word in theirs.tokens:
        last = first + len(text.compact(word))
        if word in far and ((begin <= first and last <= end) or (first <= begin and end <= last)):
            far.discard(word)
            weight += rarity.weight(word) * 0.9
        first = last
    return weight


def _numbers_of_quantities(*, mine: set[str], other: set[str], rarity: Rarity) -> tuple[float, float]:
    """``5.5`` here is ``5.5in`` there: many shops leave the unit out."""
    won = [0.0, 0.0]
    for near, far, side in ((mine, other, 0), (other, mine, 1)):
        for token in sorted(t for t in near if text.is_number(t)):
            mate = next((t for t in sorted(far) if (q := text.quantity(t)) and q[0] == float_of(token)), "")
            if mate:
                near.discard(token)
                far.discard(mate)
                won[side] += rarity.weight(token)
                won[1 - side] += rarity.weight(mate)
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
