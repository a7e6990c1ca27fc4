"""The two linear models: one weighs a pair by itself, one weighs it against its rivals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboarding.matching import assignment, features

MARGIN_LIMIT = 6.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds: ``pair`` per feature and ``pair_start`` for a pair alone; the rest for it among its rivals."""

    pair: Floats
    pair_start: float
    scale: float
    rivals: float
    rivals_worst: float
    start: float

    def alone(self, rows: NDArray[np.floating[Any]]) -> Floats:
        return np.asarray(rows @ self.pair + self.pair_start, dtype=np.float64)

    def among(self, *, alone: Floats, rivals: Floats) -> Floats:
        """Log-odds of the pair being right, were half of the chosen pairs right."""
        return np.asarray(self.scale * alone + self.lead(rivals) + self.start, dtype=np.float64)

    def lead(self, rivals: Floats) -> Floats:
        """What the rivals of both sides take away."""
        taken = self.rivals * rivals.sum(axis=-1) + self.rivals_worst * rivals.min(axis=-1)
        return np.asarray(taken, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Example:
    """Candidate pairs of two catalogs whose truth is known; only for finding starting weights, never for matching."""

    pairs: NDArray[np.int64]
    rows: features.Matrix
    right: NDArray[np.bool_]


def choose(*, pairs: NDArray[np.int64], alone: Floats) -> NDArray[np.int64]:
    """The one-to-one choice, before anything is said about how many of it are right."""
    margins = assignment.margins(pairs=pairs, scores=alone, limit=MARGIN_LIMIT)
    return assignment.greedy(pairs=pairs, scores=alone + 0.5 * margins.sum(axis=1))


_REST = ("pair_start", "scale", "rivals", "rivals_worst", "start")


def dump(weights: Weights) -> dict[str, float]:
    named = dict(zip(features.NAMES, weights.pair.tolist(), strict=True))
    rest = {name: getattr(weights, name) for name in _REST}
    return {name: round(float(value), 2) for name, value in (named | rest).items()}


def load(named: dict[str, float], *, final: dict[str, float]) -> Weights:
    """``named`` as dumped; ``final``: weights set by hand, in log-odds as a person will read them."""
    scaled = {name: weight / named["scale"] for name, weight in final.items()}
    pair = np.array([scaled.get(name, named.get(name, 0.0)) for name in features.NAMES])
    return Weights(pair, *(named[name] for name in _REST))
