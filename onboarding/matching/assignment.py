"""One to one: which of the candidate pairs may stand together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALINGS = 30
ALONE_ODDS = 2.0  # log-odds added to every pair against staying alone


def greedy(*, pairs: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indexes of the chosen pairs, best first, each record at most once; of equal scores the earlier pair wins.

    With scores that carry the margin over rivals this was as good as the optimal assignment on every set measured,
    and its cost is that of a sort.
    """
    used_left: set[int] = set()
    used_right: set[int] = set()
    chosen = []
    order = np.argsort(-scores, kind="stable")
    for n, (i, j) in zip(order.tolist(), pairs[order].tolist(), strict=True):
        if i not in used_left and j not in used_right:
            used_left.add(i)
            used_right.add(j)
            chosen.append(n)
    return np.array(chosen, dtype=np.int64)


def margins(*, pairs: NDArray[np.int64], scores: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """How much better each pair is than the best other pair of its left and of its right record, within ±limit."""
    made = []
    for side in (0, 1):
        ids = pairs[:, side]
        size = int(ids.max()) + 1 if len(ids) else 0
        best = np.full(size, -np.inf)
        np.maximum.at(best, ids, scores)
        leads = scores >= best[ids]
        count = np.zeros(size)
        np.add.at(count, ids[leads], 1)
        second = np.full(size, -np.inf)
        np.maximum.at(second, ids[~leads], scores[~leads])
        second = np.where(count > 1, best, second)
        made.append(np.clip(scores - np.where(leads, second[ids], best[ids]), -limit, limit))
    return np.stack(made, axis=1)


def rivals(*, pairs: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """What competition takes from each pair, as log-odds at most 0: one column for its left's other ways, one for its
    right's.

    Sinkhorn scaling of exp(score) to rows and columns that sum to one, with room for a record to stay alone: a rival
    that is better off elsewhere counts little, two equal ones halve the odds.
    """
    if not len(pairs):
        return np.zeros((0, 2))
    i, j = pairs[:, 0], pairs[:, 1]
    rows, cols = int(i.max()) + 1, int(j.max()) + 1
    weight = np.exp(np.clip(scores + ALONE_ODDS, -30.0, 30.0))
    right = np.ones(cols)
    left = np.ones(rows)
    for _ in range(SCALINGS):
        left = 1 / (1 + np.bincount(i, weights=weight * right[j], minlength=rows))
        right = 1 / (1 + np.bincount(j, weights=weight * left[i], minlength=cols))
    others = np.column_stack([1 / left[i] - weight * right[j], 1 / right[j] - weight * left[i]])
    taken: NDArray[np.float64] = -np.log(np.maximum(others, 1.0))
    return taken
