"""Titles with a slip of the finger ("Torque Powerr Short Gry 32") find the product whose name they meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from rapidfuzz.distance import OSA

from onboarding.matching import skuparts, vocabulary
from onboarding.matching.contrast import Chosen, Reading, is_service
from onboarding.matching.options import PHRASE_TOKENS_MAX, Meaning, meanings
from onboarding.matching.skuparts import Sku
from onboarding.matching.splits import LEFT, RIGHT, Split, Value, join
from onboarding.matching.titles import Token

LONELY_MAX = 2  # two titles may share one slip, against a product of three times as many
STEM_KEY_MIN = 7  # letters; a slip in a shorter name may well be another name
VALUE_KEY_MIN = 4
ERRORS_MAX = 2
TARGETS_MAX = 60  # products looked at for one title
POSTINGS_MAX = 2000  # a word of more products than this points nowhere


@dataclass(slots=True)
class _Shop:
    """Products by the words of their names, and the values in use."""

    members: Counter[str] = field(default_factory=Counter)
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    by_style: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    values_of: dict[str, dict[str, Value]] = field(default_factory=lambda: defaultdict(dict))
    uses: Counter[str] = field(default_factory=Counter)
    values: dict[str, Value] = field(default_factory=dict)
    has_options: set[str] = field(default_factory=set)


def repair(chosen: Sequence[Chosen], *, on_progress: Callable[[str, int, int], None] | None = None) -> None:
    """Rewrite the choices of lonely titles, and misspelt values, in place."""
    shop = _read(chosen)
    for done, one in enumerate(sorted(chosen, key=lambda c: (c.record.title, c.record.id))):
        if on_progress and done % 2000 == 0:
            on_progress("lonely titles", done, len(chosen))
        if shop.members[one.best.split.stem] <= LONELY_MAX and not (is_service(one.title) and not one.sku.parts):
            _repair_title(one, shop)
    shop = _read(chosen)
    for one in chosen:
        _repair_values(one, shop)


def _read(chosen: Sequence[Chosen]) -> _Shop:
    shop = _Shop()
    for one in sorted(chosen, key=lambda c: (c.record.title, c.record.id)):
        split = one.best.split
        shop.members[split.stem] += 1
        if split.values:
            shop.has_options.add(split.stem)
        for token in one.title.tokens[split.start : split.end]:
            shop.words[token.key].add(split.stem)
        if one.best.style and any(letter.isdigit() for letter in one.best.style):
            shop.by_style[one.best.style][split.stem] += 1
        for value in split.values:
            shop.uses[value.key] += 1
            for spelling in value.spellings():
                shop.values.setdefault(spelling, value)
                shop.values_of[split.stem].setdefault(spelling, value)
    return shop


def _repair_title(one: Chosen, shop: _Shop) -> None:
    own = one.best.split.stem
    best: tuple[float, int, str] | None = None
    best_split: Split | None = None
    for target in _targets(one, shop):
        if target == own or len(target) < STEM_KEY_MIN or shop.members[target] < 3 * (shop.members[own] - 1):
            continue
        for errors, split in (*_same_values(one.best.split, target), *_alignments(one, target, shop)):
            rank = (errors, -shop.members[target], target)
            if best is None or rank < best:
                best, best_split = rank, split
    if best_split is None or best is None:
        return
    confirmed, style = skuparts.explain(one.sku, values=[value.spellings() for value in best_split.values])
    one.best = Reading(split=best_split, base=one.best.base, confirmed=confirmed, style=style)
    one.score = 3.0 - best[0]
    shop.members[own] -= 1
    shop.members[best_split.stem] += 1


def _targets(one: Chosen, shop: _Shop) -> list[str]:
    """Products that share rare words with the title, or the SKU's style."""
    found: Counter[str] = Counter()
    for token in set(one.title.tokens):
        stems = shop.words.get(token.key, set())
        if len(stems) <= POSTINGS_MAX:
            weight = 1000 // max(1, len(stems))
            for stem in stems:
                found[stem] += weight
    for style in (one.best.style, one.plain.style):
        for stem in shop.by_style.get(style, ()):
            found[stem] += 2000
    ranked = sorted(found, key=lambda stem: (-found[stem], -shop.members[stem], stem))
    return ranked[:TARGETS_MAX]


def _same_values(split: Split, target: str) -> Iterable[tuple[float, Split]]:
    """The title as it is read, only with the target's name."""
    slips = 1 if len(target) < 16 else 2
    if split.values and _digits(split.stem) == _digits(target):
        errors = OSA.distance(split.stem, target, score_cutoff=slips)
        if errors <= slips:
            yield float(errors), replace(split, stem=target)


def _alignments(one: Chosen, target: str, shop: _Shop) -> Iterable[tuple[float, Split]]:
    """Places where the title nearly says the target's name and all around it are values."""
    tokens = one.title.tokens
    digits = _digits(target)
    slips = 1 if len(target) < 16 else 2
    for start in range(min(len(tokens), 5)):
        for end in range(len(tokens), max(start, len(tokens) - 7), -1):
            core = join(tokens[start:end])
            if abs(len(core) - len(target)) > slips or _digits(core) != digits:
                continue
            errors = OSA.distance(core, target, score_cutoff=slips)
            if errors > slips:
                continue
            left = _zone(one=one, tokens=tokens[:start], side=LEFT, target=target, shop=shop)
            right = _zone(one=one, tokens=tokens[end:], side=RIGHT, target=target, shop=shop)
            if left is None or right is None:
                continue
            if not (left[1] or right[1]) and target in shop.has_options and errors:
                continue
            total = errors + left[0] + right[0]
            if total <= ERRORS_MAX:
                yield total, Split(stem=target, start=start, end=end, values=(*left[1], *right[1]))


def _zone(
    *, one: Chosen, tokens: tuple[Token, ...], side: str, target: str, shop: _Shop
) -> tuple[float, tuple[Value, ...]] | None:
    """The tokens as a row of values with the fewest slips; None when something is left over."""
    best: list[tuple[float, tuple[Value, ...]] | None] = [(0.0, ())]
    for end in range(1, len(tokens) + 1):
        options = []
        for start in range(max(0, end - PHRASE_TOKENS_MAX), end):
            before = best[start]
            found = (
                _one_value(sku=one.sku, part=tokens[start:end], side=side, target=target, shop=shop) if before else None
            )
            if before and found:
                options.append((before[0] + found[0], (*before[1], found[1])))
        best.append(min(options, key=lambda row: (row[0], len(row[1]))) if options else None)
    return best[-1]


def _one_value(*, sku: Sku, part: tuple[Token, ...], side: str, target: str, shop: _Shop) -> tuple[float, Value] | None:
    key = join(part)
    words = tuple(token.text for token in part)
    known = shop.values_of[target].get(key) if target in shop.values_of else None
    known = known or shop.values.get(key)
    if known:
        return 0.0, replace(known, words=words, side=side)
    if meant := meanings(words):
        typed = " ".join(words)
        return 0.1, Value(words=words, typed=typed, side=side, meanings=meant)
    if told := _told_by_sku(sku, key):
        return 1.0, Value(words=words, typed=key, side=side, meanings=(told,))
    near = _nearest(key, shop.values_of.get(target, {})) or _nearest(key, shop.values)
    return (1.0, replace(near, side=side)) if near else None


def _told_by_sku(sku: Sku, key: str) -> Meaning | None:
    """ "gle" is too short to guess at, but with an L in the SKU it is a slip of "lge"."""
    for part in sku.parts[1:] if len(key) < VALUE_KEY_MIN else ():
        for meaning in meanings((part,)):
            ways = (*vocabulary.LETTER_SIZES.get(meaning.value, ()), meaning.value)
            if any(len(way) == len(key) and OSA.distance(way, key, score_cutoff=1) == 1 for way in ways):
                return meaning
    return None


def _nearest(key: str, among: dict[str, Value]) -> Value | None:
    """The value one slip away (two in a long one); None when it is too short or not the only one."""
    if len(key) < VALUE_KEY_MIN:
        return None
    slips = 1 if len(key) < 10 else 2
    found: dict[str, Value] = {}
    for spelling in among:
        alike = len(spelling) >= VALUE_KEY_MIN and abs(len(spelling) - len(key)) <= slips
        if alike and _digits(spelling) == _digits(key) and 0 < OSA.distance(spelling, key, score_cutoff=slips) <= slips:
            found.setdefault(among[spelling].key, among[spelling])
    return next(iter(found.values())) if len(found) == 1 else None


def _repair_values(one: Chosen, shop: _Shop) -> None:
    """A word used once that is nearly a value of the product, the shop or the vocabulary becomes that value."""
    split = one.best.split
    repaired = []
    for value in split.values:
        near = None
        if value.unknown and shop.uses[value.key] == 1:
            others = {s: v for s, v in shop.values_of[split.stem].items() if v.key != value.key}
            rest = {s: v for s, v in shop.values.items() if v.key != value.key}
            near = _nearest(value.key, others) or _nearest(value.key, rest) or _from_vocabulary(value)
        repaired.append(replace(near, side=value.side, cut=value.cut) if near else value)
    if tuple(repaired) != split.values:
        one.best = replace(one.best, split=replace(split, values=tuple(repaired)))


def _from_vocabulary(value: Value) -> Value | None:
    if len(value.key) < 6:
        return None
    near = {
        colour
        for key, colour in vocabulary.COLOUR_BY_KEY.items()
        if abs(len(key) - len(value.key)) <= 1 and OSA.distance(key, value.key, score_cutoff=1) == 1
    }
    if len(near) != 1:
        return None
    return replace(value, meanings=(Meaning("color", near.pop(), 1.0),), compound=False)


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())
