"""Finding the starting weights from catalogs whose truth is known; no process that serves or matches needs it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from onboarding.matching import assignment
from onboarding.matching.training import Example, Floats, Weights, choose


def fit(examples: Sequence[Example], *, pair_c: float = 1.0, rank_c: float = 0.1) -> Weights:
    """Starting weights from examples; every example counts the same, and in each right and wrong weigh the same."""
    rows = np.concatenate([e.rows for e in examples])
    truth = np.concatenate([e.right for e in examples])
    balance = np.concatenate([_balance(e.right) for e in examples])
    first = LogisticRegression(C=pair_c, max_iter=3000).fit(rows, truth, sample_weight=balance)
    pair, pair_start = first.coef_[0], float(first.intercept_[0])
    ranked, labels = [], []
    for example in examples:
        alone = example.rows @ pair + pair_start
        rivals = assignment.rivals(pairs=example.pairs, scores=alone)
        chosen = choose(pairs=example.pairs, alone=alone)
        ranked.append(np.column_stack([alone, rivals.sum(axis=1), rivals.min(axis=1)])[chosen])
        labels.append(example.right[chosen])
    second = LogisticRegression(C=rank_c, max_iter=3000).fit(
        np.concatenate(ranked), np.concatenate(labels), sample_weight=np.concatenate([_balance(x) for x in labels])
    )
    scale, both, worst = second.coef_[0].tolist()
    return Weights(pair, pair_start, scale, both, worst, float(second.intercept_[0]))


def _balance(right: NDArray[np.bool_]) -> Floats:
    return np.where(right, 500.0 / max(int(right.sum()), 1), 500.0 / max(int((~right).sum()), 1))
