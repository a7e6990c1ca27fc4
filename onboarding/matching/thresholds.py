"""Probabilities from log-odds without labels, and the two cuts between accept, review and ignore."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ACCEPT_ERROR = 0.005
F1_SLACK = 0.01
SHARE_MAX = 0.98  # no catalog is so well kept that a lone pair needs no evidence


@dataclass(frozen=True, slots=True)
class Cut:
    """A probability from which on pairs fall in a band; the share of wrong ones to expect there, how many they are."""

    probability: float
    expected_error: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Bands:
    """Where accepting and reviewing begin; the rest is ignored. ``matched_share`` of the chosen pairs are right."""

    accept: Cut
    review: Cut
    matched_share: float
    expected_f1: float


def posterior(log_odds: Floats, *, rounds: int = 300) -> tuple[Floats, float]:
    """Probabilities when the share of right pairs is unknown: it is raised or lowered until it is its own mean.

    Expectation maximisation over the prior alone (Saerens, Latinne, Decaestecker 2002); ``log_odds`` suppose one half.
    A Beta(1.5, 1.5) prior keeps catalogs of a dozen listings off 0 and 1.
    """
    if not len(log_odds):
        return log_odds, 0.5
    share = 0.5
    found = log_odds
    for _ in range(rounds):
        found = sigmoid(log_odds + np.log(share / (1 - share)))
        moved = min(float((found.sum() + 0.5) / (len(found) + 1)), SHARE_MAX)
        if abs(moved - share) < 1e-7:
            break
        share = moved
    return found, share


def bands(probabilities: Floats, *, share: float) -> Bands:
    """Review begins at the lowest cut whose expected F1 is as good as the highest: a pair too many costs a person one
    key, a pair too few is never seen. Accept begins where the expected error of all above stays in bounds."""
    ranked = np.sort(probabilities)[::-1]
    count = np.arange(1, len(ranked) + 1)
    if not len(ranked):
        none = Cut(1.0, 0.0, 0)
        return Bands(none, none, share, 0.0)
    hits = np.cumsum(ranked)
    f1 = 2 * hits / (count + hits[-1])
    error = 1 - hits / count
    review = int(np.flatnonzero(f1 >= f1.max() * (1 - F1_SLACK))[-1])
    safe = np.flatnonzero(error <= ACCEPT_ERROR)
    accept = (
        Cut(float(ranked[safe[-1]]), float(error[safe[-1]]), int(count[safe[-1]])) if len(safe) else Cut(1.1, 0.0, 0)
    )
    return Bands(accept, Cut(float(ranked[review]), float(error[review]), review + 1), share, float(f1[review]))


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))
