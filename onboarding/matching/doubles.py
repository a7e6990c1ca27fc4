"""Left listings that exist twice: both belong to the same right listing, so one to one must not tear them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onboarding.matching import codes, features
from onboarding.matching.profiles import Profile

RIVAL_WITHIN = 1.0  # log-odds: with another right listing as good as this, both copies find a place of their own
PRICE_APART_MAX = 0.15  # copies drift: one of them missed the last price change


def find(
    *,
    left: Sequence[Profile],
    pairs: NDArray[np.int64],
    alone: NDArray[np.float64],
    shared: features.Context,
) -> dict[int, int]:
    """Pair index of a copy -> pair index of its original; both name the same right listing, the best of each."""
    best, second = _two_best(pairs=pairs, alone=alone)
    by_right: dict[int, list[int]] = {}
    for n in best.values():
        by_right.setdefault(int(pairs[n, 1]), []).append(n)
    copies: dict[int, int] = {}
    for rivals in by_right.values():
        rivals.sort(key=lambda n: (-alone[n], n))
        original = rivals[0]
        for n in rivals[1:]:
            i, k = int(pairs[n, 0]), int(pairs[original, 0])
            if alone[n] - second.get(i, -np.inf) >= RIVAL_WITHIN and is_double(left[i], left[k], shared=shared):
                copies[n] = original
    return copies


def _two_best(*, pairs: NDArray[np.int64], alone: NDArray[np.float64]) -> tuple[dict[int, int], dict[int, float]]:
    best: dict[int, int] = {}
    second: dict[int, float] = {}
    for n in np.argsort(-alone, kind="stable").tolist():
        i = int(pairs[n, 0])
        if i not in best:
            best[i] = n
        elif i not in second:
            second[i] = float(alone[n])
    return best, second


def is_double(one: Profile, other: Profile, *, shared: features.Context) -> bool:
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
    features.soften(mine=mine, other=theirs, left=one, right=other, shared=shared)
    return not mine and not theirs
