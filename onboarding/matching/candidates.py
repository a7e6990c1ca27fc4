"""Which pairs are worth a close look: an inverted index over rare tokens, both ways, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onboarding.matching.profiles import Profile, Rarity

CHUNK = 2_000
POSTINGS_MAX = 2_000  # a token on more listings than this finds nothing that its rarer neighbours would not
Pairs = NDArray[np.int64]
Progress = Callable[[str, int, int], None]


def find(
    *,
    left: Sequence[Profile],
    right: Sequence[Profile],
    rarity: Rarity,
    limit: int,
    on_progress: Progress | None = None,
) -> Pairs:
    """Index pairs (left, right), sorted, no doubles: for every record of either side its ``limit`` nearest."""
    width = len(right)
    found: list[NDArray[np.int64]] = []
    for described in (False, True):
        if described and not any(p.described for p in (*left, *right)):
            continue
        mine, other = _matrices(left=left, right=right, rarity=rarity, described=described)
        rows, cols = _nearest(mine=mine, other=other, limit=limit, on_progress=on_progress)
        found.append(rows * width + cols)
        rows, cols = _nearest(mine=other, other=mine, limit=limit, on_progress=on_progress)
        found.append(cols * width + rows)
    found.append(np.array(sorted(_same_identifiers(left=left, right=right)), dtype=np.int64))
    keys = np.unique(np.concatenate(found))
    return np.stack([keys // max(width, 1), keys % max(width, 1)], axis=1)


def _same_identifiers(*, left: Sequence[Profile], right: Sequence[Profile]) -> set[int]:
    postings: dict[str, list[int]] = {}
    for j, profile in enumerate(right):
        for key in identifiers(profile):
            postings.setdefault(key, []).append(j)
    width = len(right)
    return {
        i * width + j
        for i, profile in enumerate(left)
        for key in identifiers(profile)
        for j in postings.get(key, [])[:20]
    }


def identifiers(profile: Profile) -> set[str]:
    """Keys under which an identifier is looked up; an empty SKU has none."""
    keys = {f"g{g}" for g in (profile.gtin.valid, profile.gtin.repaired) if g}
    return keys | {f"s{form}" for form in profile.sku[1:] if form}


def _matrices(
    *, left: Sequence[Profile], right: Sequence[Profile], rarity: Rarity, described: bool
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    columns: dict[str, int] = {}
    made = []
    for side in (left, right):
        rows: list[int] = []
        cols: list[int] = []
        values: list[float] = []
        for i, profile in enumerate(side):
            for token, share in _terms(profile=profile, described=described):
                if rarity.counts[token] > POSTINGS_MAX:
                    continue
                rows.append(i)
                cols.append(columns.setdefault(token, len(columns)))
                values.append(share * rarity.weight(token))
        made.append((rows, cols, values, len(side)))
    matrices = []
    for rows, cols, values, height in made:
        matrix = sparse.csr_matrix((np.array(values, dtype=np.float32), (rows, cols)), shape=(height, len(columns)))
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrices.append(sparse.diags(1.0 / np.maximum(norms, 1e-6)).astype(np.float32) @ matrix)
    return matrices[0].tocsr(), matrices[1].tocsr()


def _terms(*, profile: Profile, described: bool) -> list[tuple[str, float]]:
    terms = (
        [(t, 1.0) for t in profile.names] + [(t, 0.7) for t in profile.stems] + [(f"={s}", 1.0) for s in profile.sizes]
    )
    if described:
        terms += [(t, 0.4) for t in profile.described - profile.names]
    return terms


def _nearest(
    *, mine: sparse.csr_matrix, other: sparse.csr_matrix, limit: int, on_progress: Progress | None
) -> tuple[Pairs, Pairs]:
    turned = other.T.tocsr()
    rows: list[Pairs] = []
    cols: list[Pairs] = []
    for start in range(0, mine.shape[0], CHUNK):
        product = (mine[start : start + CHUNK] @ turned).tocsr()
        for row in range(product.shape[0]):
            lo, hi = product.indptr[row], product.indptr[row + 1]
            best = product.indices[lo:hi]
            if hi - lo > limit:
                best = best[np.argpartition(-product.data[lo:hi], limit)[:limit]]
            rows.append(np.full(len(best), start + row, dtype=np.int64))
            cols.append(best.astype(np.int64))
        if on_progress:
            on_progress("looking for candidates", min(start + CHUNK, mine.shape[0]), mine.shape[0])
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *rows]), np.concatenate([none, *cols])
