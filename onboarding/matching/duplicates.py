"""Listings that exist twice: one product, the same options, nothing that says they are two things."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from inventory.identifiers import sku_key
from onboarding.matching import gtin
from onboarding.matching.grouping import Group, Member, group
from onboarding.matching.records import Record

CELL_MAX = 30  # more listings than this in one cell are a placeholder name, not duplicates
SAME_BARCODE_TITLE_MIN = 60  # of 100, token-set likeness, for pairs only a barcode joins
FOUND_MIN = 0.5


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """`id_a` < `id_b`. `score`: 0 to 1, higher is surer. `evidence`: words and weights, log odds that sum to it."""

    id_a: str
    id_b: str
    score: float
    evidence: tuple[tuple[str, float], ...]


def find(records: Sequence[Record], *, groups: Sequence[Group] | None = None) -> list[DuplicatePair]:
    """Pairs of listings of one shop that are the same thing, surest first. `groups`: of these records, if at hand."""
    by_id = {record.id: record for record in records}
    found: dict[tuple[str, str], DuplicatePair] = {}
    for members in _cells(groups if groups is not None else group(records)):
        for one, other in itertools.combinations(members, 2):
            pair = _judge(left=by_id[one.record_id], right=by_id[other.record_id], one=one, other=other)
            if pair.score >= FOUND_MIN:
                found[pair.id_a, pair.id_b] = pair
    for left, right in _same_barcode(records):
        joined = _by_barcode(left, right)
        if joined:
            found.setdefault((joined.id_a, joined.id_b), joined)
    return sorted(found.values(), key=lambda pair: (-pair.score, pair.id_a, pair.id_b))


def _cells(groups: Iterable[Group]) -> Iterable[list[Member]]:
    """Members of one product with the same options."""
    for one in groups:
        cells: Mapping[frozenset[tuple[str, str]], list[Member]] = defaultdict(list)
        for member in one.members:
            cells[frozenset(member.options)].append(member)
        yield from (cell for cell in cells.values() if 1 < len(cell) <= CELL_MAX)


def _judge(*, left: Record, right: Record, one: Member, other: Member) -> DuplicatePair:
    said = "the same options: " + ", ".join(f"{n} {v}" for n, v in one.options) if one.options else "the same name"
    evidence = [(said, 1.0)]
    if left.title.casefold().split() == right.title.casefold().split():
        evidence.append(("titles equal", 1.5))
    evidence += [found for found in (_codes(left, right), _skus(left, right), _prices(left, right)) if found[0]]
    sureness = min(one.confidence, other.confidence)
    evidence.append((f"read as one product, {sureness:.0%} sure", 2.0 * (sureness - 0.5)))
    return _pair(left, right, evidence)


def _codes(left: Record, right: Record) -> tuple[str, float]:
    mine, yours = gtin.key(left.gtin), gtin.key(right.gtin)
    if not mine or not yours:
        return ("", 0.0)
    return ("barcodes equal", 5.0) if mine == yours else ("barcodes differ", -6.0)


def _skus(left: Record, right: Record) -> tuple[str, float]:
    mine, yours = sku_key(left.sku), sku_key(right.sku)
    if not mine or not yours:
        return ("only one has a SKU", 1.0) if mine or yours else ("", 0.0)
    return ("SKUs equal", 3.0) if mine == yours else ("SKUs differ", -1.5)


def _prices(left: Record, right: Record) -> tuple[str, float]:
    if not left.price or not right.price:
        return ("", 0.0)
    ratio = max(left.price, right.price) / min(left.price, right.price)
    if ratio < 1.001:
        return ("prices equal", 1.0)
    return (f"prices differ {ratio - 1:.0%}", -0.5 if ratio < 1.3 else -2.0)


def _same_barcode(records: Sequence[Record]) -> Iterable[tuple[Record, Record]]:
    by_code: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        verdict = gtin.check(record.gtin)
        if verdict.valid:
            by_code[verdict.gtin14].append(record)
    for same in by_code.values():
        if 1 < len(same) <= CELL_MAX:
            yield from itertools.combinations(same, 2)


def _by_barcode(left: Record, right: Record) -> DuplicatePair | None:
    likeness = fuzz.token_set_ratio(left.title.casefold(), right.title.casefold())
    if likeness < SAME_BARCODE_TITLE_MIN:
        return None
    # Beside an equal barcode, titles that are hardly alike speak against: one of the two may be mistyped.
    against = (likeness - 100) / 20
    return _pair(left, right, [("barcodes equal", 2.0), (f"titles alike {likeness:.0f} %", against)])


def _pair(left: Record, right: Record, evidence: Sequence[tuple[str, float]]) -> DuplicatePair:
    first, second = sorted((left.id, right.id))
    odds = sum(weight for _, weight in evidence)
    score = round(1 / (1 + math.exp(-odds)), 4)
    return DuplicatePair(id_a=first, id_b=second, score=score, evidence=tuple(evidence))
