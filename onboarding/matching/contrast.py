"""Choose the reading of every title of one shop together: what differs between titles that share a stem is an option.

A known word ("XL", "navy") speaks for itself. A word no list knows ("Glacier") must be shown by the shop: the stem goes
on in several ways, the word follows several stems, the SKU repeats it, a separator stands before it.
Weights are log-odds in spirit, set by hand; docs/grouping.md says what each is worth.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from onboarding.matching import skuparts, slips, splits
from onboarding.matching.records import Record
from onboarding.matching.skuparts import Sku
from onboarding.matching.splits import LEFT, RIGHT, WEAK_MEANING, Split, Value
from onboarding.matching.titles import Title
from onboarding.matching.titles import split as split_title
from onboarding.matching.vocabulary import SERVICE_WORDS, fold

ROUNDS = 4
UNKNOWN, UNKNOWN_FIRST = -6.5, -5.0  # a word no list knows; at first all are given a chance
COMPOUND = 3.0  # such a word before a plain colour, against any other
CUT_BONUS, CUT_BONUS_UNKNOWN = 2.0, 4.0
BROKEN_OFF = -3.0
CODED = 4.0  # the SKU is a code for the product and shortens the unknown word: "AL22-30-FJOR"
KIN = 1.5
LEFT_OVER = 1.5
BEYOND_SIZE = 2.0  # an unknown word with a size between it and the name
CROSSED = 2.5  # several unknown words with the same sizes each
SHORT_STEM = -2.0  # one word and unknown values: a brand and its products
SKU_BONUS = 2.5
LABEL = 8.0
SHORTENED = -2.0
PIECE_COST = 0.3  # each value more
CONSTANT_WEAK, CONSTANT_LEFT, CONSTANT_RIGHT = 3.5, 2.5, 1.0  # a value all titles of the stem have
LEFT_LOSS = 1.5  # a value before the stem, against the same behind it
SUPPORT, SUPPORT_MAX = 1.5, 5.5
PRODUCTIVE, PRODUCTIVE_MAX = 2.5, 8.0
SPREAD_MIN = 2  # an unknown word that varies in so many products is an option where it does not vary, too
ALONE_MIN = 4.5  # what a reading needs when no other title shares its stem
KEEP_MIN = 0.5
RARE_SIDE, RARE_SIDE_LOSS, RARE_SIDE_UNKNOWN = 0.12, 2.5, 3.0
PRICE_RATIO_MAX = 1.3
REPORT_EVERY = 2000


@dataclass(slots=True)
class Reading:
    """One candidate, with what does not depend on other titles already added up."""

    split: Split
    base: float
    confirmed: tuple[bool, ...]  # the SKU says the value, too
    style: str  # what the SKU says beside the values

    @property
    def unknown(self) -> bool:
        return any(value.unknown for value in self.split.values)


@dataclass(slots=True)
class Chosen:
    record: Record
    title: Title
    sku: Sku
    plain: Reading
    candidates: list[Reading]
    best: Reading
    score: float = 0.0


Slot = tuple[str, str, int]  # stem, side, depth: one option of one product


@dataclass(slots=True)
class Evidence:
    """What the present choices (at first: all candidates) say about stems and values."""

    first: bool = False
    remainders: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    slots: dict[Slot, set[str]] = field(default_factory=lambda: defaultdict(set))  # the values of an option
    names: dict[Slot, set[str]] = field(default_factory=lambda: defaultdict(set))  # what its sure values mean
    branches: dict[Slot, set[str]] = field(default_factory=lambda: defaultdict(set))  # their words next to the stem
    slots_of_value: dict[str, set[Slot]] = field(default_factory=lambda: defaultdict(set))
    stems_of_value: dict[tuple[str, bool], set[str]] = field(default_factory=dict)
    styles: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    prices: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    middle: dict[str, float] = field(default_factory=dict)  # the median price
    side_loss: dict[str, float] = field(default_factory=lambda: {LEFT: 0.0, RIGHT: 0.0})

    def add(self, reading: Reading, *, first: bool) -> None:
        split = reading.split
        self.remainders[split.stem].add(_remainder(split))
        for value in split.values:
            slot = (split.stem, value.side, value.depth)
            self.branches[slot].add(fold(value.words[0 if value.side == RIGHT else -1]))
            if not first or value.unknown or not reading.unknown:
                self.slots_of_value[value.key].add(slot)
            # Candidates of one title overlap ("glacier", "glacier blue"): no contrast by themselves.
            if not (first and reading.unknown):
                self.slots[slot].add(value.key)
                if not value.weak:
                    self.names[slot].add(value.meanings[0].name)
        if reading.style:
            self.styles[split.stem][reading.style] += 1

    def productive(self, value: Value, stem: str) -> int:
        """In how many other products the value is one of several. Read only once all is added."""
        key = (value.key, value.unknown)
        stems = self.stems_of_value.get(key)
        if stems is None:
            used = self.branches if value.unknown else self.slots
            stems = {slot[0] for slot in self.slots_of_value.get(value.key, ()) if len(used[slot]) > 1}
            self.stems_of_value[key] = stems
        return len(stems) - (stem in stems)


def choose(records: Sequence[Record], *, on_progress: Callable[[str, int, int], None] | None = None) -> list[Chosen]:
    """The likeliest reading of each title, in the order of `records`."""
    titles = slips.mend([split_title(record.title) for record in records])
    skus = _skus(records)
    shared = _shared_words(titles)
    chosen = [
        _candidates(record=record, title=title, sku=sku, shared=shared)
        for record, title, sku in zip(records, titles, skus, strict=True)
    ]
    _drop_lonely(chosen)
    evidence = _evidence(chosen, first=True)
    for number in range(ROUNDS):
        if on_progress:
            on_progress("weighing readings, round", number + 1, ROUNDS)
        changed = False
        for one in chosen:
            before = one.best
            _pick(one, evidence)
            changed |= one.best is not before
        if not changed:
            break
        evidence = _evidence(chosen, first=False)
    return chosen


def is_service(title: Title) -> bool:
    """A fee, a gift card, a repair: sold at the till, without variants."""
    keys = [token.key for token in title.tokens]
    pairs = {left + right for left, right in itertools.pairwise(keys)}
    return not SERVICE_WORDS.isdisjoint(keys) or not SERVICE_WORDS.isdisjoint(pairs)


def _skus(records: Sequence[Record]) -> list[Sku]:
    raw = [skuparts.read(record.sku) for record in records]
    known = skuparts.prefixes(raw)
    return [skuparts.without_prefix(sku, known=known) for sku in raw]


def _shared_words(titles: Sequence[Title]) -> set[str]:
    seen: Counter[str] = Counter()
    for title in titles:
        seen.update({token.key for token in title.tokens})
    return {word for word, count in seen.items() if count > 1}


def _candidates(*, record: Record, title: Title, sku: Sku, shared: set[str]) -> Chosen:
    plain = Reading(split=splits.plain(title), base=0.0, confirmed=(), style="")
    found: list[Reading] = []
    if given := splits.given(title, record.options):
        found = [_reading(given, sku)]
    elif not (is_service(title) and not sku.parts):
        found = [_reading(split, sku) for split in _of_title(title, shared)]
    plain.style = skuparts.explain(sku, values=())[1]
    return Chosen(record=record, title=title, sku=sku, plain=plain, candidates=found, best=plain)


def _of_title(title: Title, shared: set[str]) -> list[Split]:
    return [] if len(title.tokens) > 30 else splits.readings(title, shared=shared) or splits.readings(title)


def _reading(split: Split, sku: Sku) -> Reading:
    confirmed, style = skuparts.explain(sku, values=[value.spellings() for value in split.values])
    base = 0.0
    for value, said in zip(split.values, confirmed, strict=True):
        if value.label:
            base += LABEL
            continue
        base += value.meanings[0].weight if value.meanings else UNKNOWN + COMPOUND * value.compound
        base += (CUT_BONUS_UNKNOWN if value.unknown else CUT_BONUS) * value.cut
        base += SKU_BONUS * said + SHORTENED * value.shortened + BROKEN_OFF * value.broken_off
        base += CODED * (value.unknown and said and any(letter.isdigit() for letter in style))
        base -= PIECE_COST + LEFT_LOSS * (value.side == LEFT)
    return Reading(split=split, base=base - _left_over(style), confirmed=confirmed, style=style)


def _left_over(style: str) -> float:
    """The loss for parts of a coded SKU that no value explains: "FT10-XL-HARV" read as FT10, XL and HARV left over."""
    code, *rest = style.split(".")
    return LEFT_OVER * len(rest) if any(letter.isdigit() for letter in code) else 0.0


def _drop_lonely(chosen: Sequence[Chosen]) -> None:
    """Forget readings whose stem no other title could share, unless they can stand alone."""
    seen: Counter[str] = Counter()
    for one in chosen:
        seen.update({reading.split.stem for reading in one.candidates} | {one.plain.split.stem})
    for one in chosen:
        one.candidates = [r for r in one.candidates if seen[r.split.stem] > 1 or r.base >= ALONE_MIN - 1.0]


def _remainder(split: Split) -> str:
    return "/".join(value.key for value in split.values)


def _evidence(chosen: Sequence[Chosen], *, first: bool) -> Evidence:
    evidence = Evidence(first=first)
    sides = _strong_sides(chosen) if first else Counter[str]()
    for one in chosen:
        if first:
            for reading in one.candidates:
                evidence.add(reading, first=True)
                if one.record.price and reading.unknown:
                    evidence.prices[reading.split.stem].append(one.record.price)
            evidence.add(one.plain, first=True)
            continue
        evidence.add(one.best, first=False)
        sides.update({value.side for value in one.best.split.values})
        if one.record.price:
            evidence.prices[one.best.split.stem].append(one.record.price)
    evidence.middle = {stem: statistics.median(prices) for stem, prices in evidence.prices.items()}
    total = sum(sides.values())
    for side in (LEFT, RIGHT):
        if total >= 20 and sides[side] < RARE_SIDE * total:
            evidence.side_loss[side] = RARE_SIDE_LOSS
    return evidence


def _strong_sides(chosen: Sequence[Chosen]) -> Counter[str]:
    """On which side of titles options stand, each title once a side.

    Sizes and colours show it, words the SKU repeats, and words that alone tell apart titles of one price.
    """
    apart: dict[tuple[str, str, float | None], set[str]] = defaultdict(set)
    for one in chosen:
        for stem, value in _lone_unknowns(one):
            apart[stem, value.side, one.record.price].add(value.key)
    sides: Counter[str] = Counter()
    for one in chosen:
        values = [value for reading in one.candidates for value in reading.split.values]
        known = {v.side for v in values if v.label or (v.meanings and v.meanings[0].weight > WEAK_MEANING)}
        shown = {v.side for stem, v in _lone_unknowns(one) if len(apart[stem, v.side, one.record.price]) > 1}
        said = {
            value.side
            for reading in one.candidates
            for value, confirmed in zip(reading.split.values, reading.confirmed, strict=True)
            if confirmed and value.unknown and any(letter.isdigit() for letter in reading.style)
        }
        sides.update(known | shown | said)
    return sides


def _lone_unknowns(one: Chosen) -> list[tuple[str, Value]]:
    """The unknown words of readings whose other values, if any, are equal sizes (their stem says which)."""
    found = []
    for reading in one.candidates:
        unknown = [value for value in reading.split.values if value.unknown]
        if len(unknown) == 1 and len(unknown[0].words) == 1 and one.record.price:
            rest = ".".join(value.key for value in reading.split.values if not value.unknown)
            found.append((f"{reading.split.stem}.{rest}", unknown[0]))
    return found


def _pick(one: Chosen, evidence: Evidence) -> None:
    best, best_rank = one.plain, (KEEP_MIN, 0, "")
    for reading in one.candidates:
        score = _score(one, reading, evidence)
        rank = (round(score, 6), reading.split.end - reading.split.start, reading.split.stem)
        if rank > best_rank:
            best, best_rank = reading, rank
    one.best, one.score = best, best_rank[0]


def _score(one: Chosen, reading: Reading, evidence: Evidence) -> float:
    split = reading.split
    others = len(evidence.remainders[split.stem] - {_remainder(split)})
    score = reading.base + min(SUPPORT_MAX, SUPPORT * math.log2(1 + others))
    for place, value in enumerate(split.values):
        score -= evidence.side_loss[value.side] * (RARE_SIDE_UNKNOWN if value.unknown else 1.0)
        stems = math.log2(1 + evidence.productive(value, split.stem))
        if value.unknown:
            beyond = _beyond_size(value, split)
            shown = beyond or reading.confirmed[place] or value.cut or _varies(value, split, evidence.branches)
            if not shown and (evidence.first or stems < math.log2(1 + SPREAD_MIN)):
                return -math.inf
            score += BEYOND_SIZE * beyond
            score += min(PRODUCTIVE_MAX, PRODUCTIVE * stems) + _crossed(value, reading, evidence)
        elif others == 0 or _varies(value, split, evidence.slots):
            score += min(1.0, 0.3 * stems) + KIN * (value.weak and _has_kin(value, split, evidence))
        elif not value.label:
            score -= _constant(value, said=reading.confirmed[place], stems=stems)
    if others == 0 and score < ALONE_MIN:
        return -math.inf
    return score + _company(one, reading, evidence)


def _has_kin(value: Value, split: Split, evidence: Evidence) -> bool:
    """ "Regular" beside "Large": a doubtful word in a place where sure values of its kind stand."""
    names = evidence.names.get((split.stem, value.side, value.depth), set())
    return any(meaning.name in names for meaning in value.meanings)


def _beyond_size(value: Value, split: Split) -> bool:
    return any(
        other.side == value.side and other.depth < value.depth and other.meanings and other.meanings[0].name == "size"
        for other in split.values
    )


def _crossed(value: Value, reading: Reading, evidence: Evidence) -> float:
    """For an unknown word: whether its product also varies in another option, and has a name of more than one word."""
    split = reading.split
    extra = (UNKNOWN_FIRST - UNKNOWN) * evidence.first
    if split.end - split.start < 2:
        extra += SHORT_STEM
    others = (other for other in split.values if other is not value)
    among = evidence.branches if evidence.first else evidence.slots
    if _varies(value, split, evidence.branches) and any(_varies(other, split, among) for other in others):
        extra += CROSSED
    return extra


def _varies(value: Value, split: Split, among: Mapping[Slot, set[str]]) -> bool:
    """Whether the product has another value in this place (slots), or goes on with another word (branches)."""
    own = {value.key, fold(value.words[0 if value.side == RIGHT else -1])}
    return bool(among.get((split.stem, value.side, value.depth), set()) - own)


def _constant(value: Value, *, said: bool, stems: float) -> float:
    """The loss for a value that every title of the stem has: rather a part of the name ("Fan 40cm", "Yoga Short")."""
    meaning = value.meanings[0]
    if meaning.name == "size" and meaning.weight > WEAK_MEANING:
        return 0.0
    if meaning.weight > WEAK_MEANING:
        loss = CONSTANT_LEFT if value.side == LEFT else CONSTANT_RIGHT
    else:
        # Here the SKU says the name, as it always does.
        loss = CONSTANT_WEAK + SKU_BONUS * said
    return max(0.0, loss - CUT_BONUS * value.cut - stems * (meaning.name == "color"))


def _company(one: Chosen, reading: Reading, evidence: Evidence) -> float:
    """Whether SKU and price fit the others of the stem."""
    extra = 0.0
    styles = evidence.styles.get(reading.split.stem)
    alone = reading.style.startswith(skuparts.RUN) and styles is not None and styles[reading.style] < 2
    if reading.style and styles and not alone:
        doubtful = any(not value.label and value.weak for value in reading.split.values)
        share = (styles[reading.style] - 1) / max(1, styles.total() - 1)
        if doubtful:
            extra += 1.5 if share > 0.5 else -4.0 if styles.total() > 2 else 0.0
        else:
            extra += 1.5 if share > 0 else -1.0 if styles.total() > 2 else 0.0
    middle = evidence.middle.get(reading.split.stem)
    if middle and one.record.price:
        ratio = one.record.price / middle
        far = max(ratio, 1 / ratio) > PRICE_RATIO_MAX
        extra += (-2.0 if reading.unknown else -0.5) if far else 0.5 if abs(ratio - 1) < 0.011 else 0.0
    return extra
