"""Left listings that exist twice: both belong to the same right listing, so one to one must not tear them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onboarding.matching import codes, spelling
from onboarding.matching.profiles import Profile, Rarity

RIVAL_WITHIN = 1.0  # log-odds: a place as good as this for the copy too means that there is nothing to share
PRICE_APART_MAX = 0.15  # copies drift: one of them missed the last price change


def find(
    *,
    left: Sequence[Profile],
    pairs: NDArray[np.int64],
    alone: NDArray[np.float64],
    chosen: NDArray[np.int64],
    rarity: Rarity,
) -> dict[int, int]:
    """Pair index of a copy -> pair index of its original, after a first one-to-one choice.

    A copy is a listing that got nothing, or something much worse than its best, because its double had been there.
    """
    order = np.argsort(-alone, kind="stable")
    best: dict[int, float] = {}
    for n in order.tolist():
        best.setdefault(int(pairs[n, 0]), float(alone[n]))
    got = {int(pairs[n, 0]): float(alone[n]) for n in chosen.tolist()}
    owner = {int(pairs[n, 1]): n for n in chosen.tolist()}
    copies: dict[int, int] = {}
    for n in order.tolist():
        i, j = pairs[n].tolist()
        wronged = got.get(i, -np.inf) <= best[i] - RIVAL_WITHIN
        original = owner.get(j)
        if not wronged or original is None or alone[n] < best[i] - RIVAL_WITHIN or i in copies:
            continue
        if is_double(left[i], left[int(pairs[original, 0])], rarity=rarity):
            copies[i] = n
    return {n: owner[int(pairs[n, 1])] for n in copies.values()}


def is_double(one: Profile, other: Profile, *, rarity: Rarity) -> bool:
    """The same product and options under the same identifiers, or under no more than one, at about the same price."""
    a, b = one.record, other.record
    if a.price and b.price:
        if abs(a.price - b.price) > PRICE_APART_MAX * max(a.price, b.price):
            return False
    elif not (one.gtin.valid and one.gtin.valid == other.gtin.valid):
        return False
    if one.sku[1] and other.sku[1] and one.sku[2] != other.sku[2]:
        return False
    if codes.compare_gtins(one.gtin, other.gtin) == "different":
        return False
    mine, theirs = set(one.names - other.names), set(other.names - one.names)
    if any(c.isdigit() for token in mine | theirs for c in token):
        return False  # ``20wlbk`` and ``20wlw`` are two colours, however alike
    spelling.soften(mine=mine, other=theirs, left=one, right=other, rarity=rarity)
    return not mine and not theirs
