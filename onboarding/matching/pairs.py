"""Which listing of one catalog is which of the other: candidates, weights, one to one, verdicts with evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onboarding.matching import (
    assignment,
    candidates,
    doubles,
    evidence,
    features,
    prior,
    profiles,
    thresholds,
    training,
    vetoes,
)
from onboarding.matching.profiles import Profile
from onboarding.matching.records import Record
from onboarding.matching.thresholds import Bands

Verdict = Literal["accept", "review", "ignore"]
Progress = candidates.Progress

NEAREST = 8
NEARBY = 1e-6  # breaks ties and nothing else: the order of a file is no evidence against a better title
COPY_LIKELY = 0.985  # a person sees that a listing exists twice before anything is written


@dataclass(frozen=True, slots=True)
class Pair:
    """A proposal. ``score`` is the probability of being right, estimated without labels."""

    left_id: str
    right_id: str
    score: float
    verdict: Verdict
    evidence: evidence.Evidence

    @property
    def in_words(self) -> str:
        return evidence.in_one_line(evidence=self.evidence, probability=self.score)


class Model:
    """Two catalogs compared. Everything is computed once; pairs and candidates are read off."""

    def __init__(
        self,
        *,
        left: Sequence[Record],
        right: Sequence[Record],
        weights: training.Weights | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        (self._left, self._right), self._rarity = profiles.read_all(sides=[_by_id(left), _by_id(right)])
        self._places = _places(left), _places(right)
        self._weights = weights or prior.weights()
        shared = features.context(sides=[self._left, self._right], rarity=self._rarity)
        found = candidates.find(
            left=self._left, right=self._right, rarity=self._rarity, limit=NEAREST, on_progress=on_progress
        )
        self._pairs = _without_vetoed(pairs=found, left=self._left, right=self._right)
        self._rows = features.rows(
            left=self._left, right=self._right, pairs=self._pairs, shared=shared, on_progress=on_progress
        )
        self._score()

    def _score(self) -> None:
        alone = self._weights.alone(self._rows)
        placed = alone - NEARBY * self._displacement()
        self._rivals = assignment.rivals(pairs=self._pairs, scores=alone)
        self._chosen = training.choose(pairs=self._pairs, alone=placed)
        self._copies = doubles.find(
            left=self._left, pairs=self._pairs, alone=placed, chosen=self._chosen, rarity=self._rarity
        )
        if self._copies:
            copied = np.isin(self._pairs[:, 0], self._pairs[list(self._copies), 0])
            free = np.flatnonzero(~copied)
            self._rivals[free] = assignment.rivals(pairs=self._pairs[free], scores=alone[free])
            self._chosen = free[training.choose(pairs=self._pairs[free], alone=placed[free])]
        among = self._weights.among(alone=alone, rivals=self._rivals)
        likely, self._share = thresholds.posterior(among[self._chosen])
        self._common = evidence.strength(self._share)
        self._likely = thresholds.sigmoid(among + self._common)
        self._copies = self._settled_copies()
        for copy, original in self._copies.items():
            self._likely[copy] = min(self._likely[original], COPY_LIKELY)
        self._bands = thresholds.bands(likely, share=self._share)
        self._best = frozenset(self._chosen.tolist())
        self._row_of = {p.record.id: i for i, p in enumerate(self._left)}
        self._by_left: dict[int, list[int]] = defaultdict(list)
        for n, (i, _) in enumerate(self._pairs.tolist()):
            self._by_left[i].append(n)

    def example(self, truth: Collection[tuple[str, str]]) -> training.Example:
        """The candidates with their truth, for finding starting weights; nothing else in this class sees a truth."""
        ids = [(self._left[i].record.id, self._right[j].record.id) for i, j in self._pairs.tolist()]
        return training.Example(self._pairs, self._rows, np.array([pair in truth for pair in ids]))

    def _settled_copies(self) -> dict[int, int]:
        """The second choice may have given the right listing to another original."""
        owner = {int(self._pairs[n, 1]): n for n in self._chosen.tolist()}
        found = {copy: owner.get(int(self._pairs[copy, 1]), -1) for copy in self._copies}
        return {copy: original for copy, original in found.items() if original >= 0}

    def _displacement(self) -> NDArray[np.float64]:
        """How far apart two listings stand in their files, 0 to 1: exports of one shop tend to keep one order."""
        left, right = self._places
        return np.abs(left[self._pairs[:, 0]] - right[self._pairs[:, 1]])

    @property
    def bands(self) -> Bands:
        return self._bands

    def pairs(self) -> list[Pair]:
        """The one-to-one proposals worth a person's look, surest first."""
        kept = [n for n in self._chosen.tolist() if self._likely[n] >= self._bands.review.probability]
        originals = set(kept)
        kept += [copy for copy, original in self._copies.items() if original in originals]
        made = [self._pair(n) for n in kept]
        return sorted(made, key=lambda pair: (-pair.score, pair.left_id, pair.right_id))

    def candidates(self, left_id: str, limit: int) -> list[Pair]:
        """The best right listings for one left listing, whether or not another has a better claim to them."""
        numbers = sorted(self._by_left[self._row_of[left_id]], key=lambda n: -self._likely[n])
        return [self._pair(n) for n in numbers[:limit]]

    def _pair(self, n: int) -> Pair:
        i, j = self._pairs[n].tolist()
        left, right = self._left[i], self._right[j]
        why = evidence.explain(
            left=left,
            right=right,
            row=self._rows[n],
            rivals=self._rivals[n],
            weights=self._weights,
            common=self._common,
        )
        if n in self._copies:
            original = self._left[int(self._pairs[self._copies[n], 0])].record.id
            why = ((f"the same as {original}", round(evidence.strength(float(self._likely[n])), 1)), *why)
        score = float(self._likely[n])
        return Pair(left.record.id, right.record.id, score, self._verdict(n), why)

    def _verdict(self, n: int) -> Verdict:
        """Only what was chosen one to one can be accepted unseen; a copy is shown to a person whatever its score."""
        score = float(self._likely[n])
        if n in self._best and score >= self._bands.accept.probability:
            return "accept"
        return "review" if n in self._copies or score >= self._bands.review.probability else "ignore"


def fit(
    left: Sequence[Record],
    right: Sequence[Record],
    *,
    weights: training.Weights | None = None,
    on_progress: Progress | None = None,
) -> Model:
    """Compare two catalogs; ``weights`` other than the ones in prior.py only for measuring."""
    return Model(left=left, right=right, weights=weights, on_progress=on_progress)


def match(
    left: Sequence[Record],
    right: Sequence[Record],
    *,
    weights: training.Weights | None = None,
    on_progress: Progress | None = None,
) -> list[Pair]:
    """The pairs to accept or review, surest first; what is to be ignored is left out."""
    return fit(left, right, weights=weights, on_progress=on_progress).pairs()


def match_shops(
    left: Sequence[Record],
    right: Sequence[Record],
    *,
    left_shops: Sequence[str],
    right_shops: Sequence[str],
    weights: training.Weights | None = None,
    on_progress: Progress | None = None,
) -> list[Pair]:
    """As ``match``, shop by shop: a pair never crosses shops."""
    theirs: dict[str, tuple[list[Record], list[Record]]] = defaultdict(lambda: ([], []))
    for side, (records, shops) in enumerate(((left, left_shops), (right, right_shops))):
        for record, shop in zip(records, shops, strict=True):
            theirs[shop][side].append(record)
    made: list[Pair] = []
    for shop in sorted(theirs):
        mine, other = theirs[shop]
        if mine and other:
            made.extend(match(mine, other, weights=weights, on_progress=on_progress))
    return sorted(made, key=lambda pair: (-pair.score, pair.left_id, pair.right_id))


def _by_id(records: Sequence[Record]) -> list[Record]:
    """So that the order of a file decides nothing but ties."""
    return sorted(records, key=lambda record: record.id)


def _places(records: Sequence[Record]) -> NDArray[np.float64]:
    """Where each record, in the order of ids, stands in its file: 0 at the beginning, 1 at the end."""
    order = np.array(sorted(range(len(records)), key=lambda n: records[n].id), dtype=np.float64)
    return order / max(len(records), 1)


def _without_vetoed(
    *, pairs: NDArray[np.int64], left: Sequence[Profile], right: Sequence[Profile]
) -> NDArray[np.int64]:
    kept = [n for n, (i, j) in enumerate(pairs.tolist()) if not vetoes.vetoed(left=left[i], right=right[j])]
    return pairs[kept]
