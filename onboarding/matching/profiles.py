"""What a comparison needs to know of each record, read once: its words and their rarity, codes, quantities."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from onboarding.matching import codes, text, vocabulary
from onboarding.matching.records import Record

METALS = frozenset({"titanium", "platinum", "graphite", "gunmetal", "anthracite", "chrome", "champagne"})
# Single words that are a colour in nearly any title; "apple" and "ginger" are not among them.
COLOURS: dict[str, str] = {
    word: full
    for word, full in vocabulary.COLOUR_BY_KEY.items()
    if len(word) >= 3 and (full in vocabulary.BASE_COLOURS or full in METALS) and full.isalpha()
}
COLOUR_SHARE = 1.0  # of a colour's rarity that counts for the title: colours have features of their own
EARLY = 6  # brand and model stand at the beginning of most titles
_FIRST_SEGMENT = re.compile(r"^[A-Za-z]{1,6}[-_ /.]")
DESCRIPTION_WORDS_MAX = 60  # what comes later in a description is boilerplate about shipping and warranty


@dataclass(slots=True)
class Profile:
    """One record, read. Kept small: a hundred thousand of them on each side must fit into memory."""

    record: Record
    tokens: tuple[str, ...]
    names: frozenset[str]
    stems: frozenset[str]
    quantities: dict[str, frozenset[float]]
    sizes: frozenset[str]
    colours: frozenset[str]
    options: frozenset[str]
    described: frozenset[str]
    squeezed: str
    gtin: codes.Gtin
    sku: tuple[str, str, str]
    weight: float = 0.0


@dataclass(slots=True)
class Rarity:
    """Weights of tokens over both catalogs: a word on one listing of a thousand says more than one on every second."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)

    def weight(self, token: str) -> float:
        full = math.log((self.total + 1.0) / (self.counts[token] + 0.5))
        return full * COLOUR_SHARE if token in COLOURS else full


def read_all(*, sides: Sequence[Sequence[Record]]) -> tuple[list[list[Profile]], Rarity]:
    """Profiles of both catalogs. Compounds are settled over both: ``east west`` is ``eastwest`` if either says so."""
    titles = [[_spoken(record) for record in side] for side in sides]
    spellings = Counter(way for side in titles for words in side for word in words for way in _written(word))
    profiles = [
        [_profile(record=record, words=words, spellings=spellings) for record, words in zip(side, said, strict=True)]
        for side, said in zip(sides, titles, strict=True)
    ]
    _strip_house_prefixes(sides=profiles)
    if not any(profile.options & text.SIZES.keys() for side in profiles for profile in side):
        # Where no option is a size, "LG" at the beginning is a maker.
        for profile in (p for side in profiles for p in side if p.tokens and p.tokens[0] in text.SIZES):
            profile.sizes = frozenset(text.SIZES[t] for t in profile.tokens[1:] if t in text.SIZES)
    rarity = Rarity(total=sum(len(side) for side in profiles))
    for side in profiles:
        for profile in side:
            rarity.counts.update(profile.names)
            rarity.counts.update(profile.stems)
            rarity.counts.update(f"={size}" for size in profile.sizes)
            rarity.counts.update(profile.described - profile.names)
    for side in profiles:
        for profile in side:
            profile.weight = sum(rarity.weight(t) for t in profile.names)
    return profiles, rarity


def _written(word: str) -> set[str]:
    """The ways a word says itself: its pieces, and all of it where it is one word or a model number."""
    pieces = text.pieces(word)
    return {*pieces, *codes.codes_of(words=(word,))} if len(pieces) > 1 else {text.compact(word)}


def _strip_house_prefixes(*, sides: Sequence[Sequence[Profile]]) -> None:
    """``POS-MS01`` is ``MS01`` where the other catalog knows the second and not the first: a habit of the house."""
    known = [{profile.sku[1] for profile in side} for side in sides]
    for side, theirs in zip(sides, reversed(known), strict=True):
        for profile in side:
            found = _FIRST_SEGMENT.match(profile.record.sku.strip())
            if found and profile.sku[1] not in theirs:
                rest = codes.sku_forms(profile.record.sku.strip()[found.end() :])
                if len(rest[1]) >= 4 and rest[1] in theirs:
                    profile.sku = rest


def _spoken(record: Record) -> tuple[str, ...]:
    said = text.words(record.title)
    for extra in (record.model, *(value for _, value in record.options)):
        said += text.words(extra) if extra else ()
    return said


def _unglue(*, word: str, spellings: Counter[str]) -> tuple[str, str] | None:
    """``cvb20lne1freestanding``: a word seen once that ends in a word seen often was two."""
    if len(word) < 9 or spellings[word] > 1:
        return None
    for cut in range(4, len(word) - 4):
        tail = word[cut:]
        if tail.isalpha() and spellings[tail] >= 3:
            return word[:cut], tail
    return None


def _join_compounds(*, words: list[str], spellings: Counter[str]) -> list[str]:
    """``ncd 191 i`` is ``ncd191i`` and ``east west`` is ``eastwest`` where any listing writes it so."""
    joined: list[str] = []
    i = 0
    while i < len(words):
        size = next((n for n in (3, 2) if i + n <= len(words) and _is_compound(words[i : i + n], spellings)), 1)
        joined.append("".join(words[i : i + size]))
        i += size
    return joined


def _is_compound(parts: list[str], spellings: Counter[str]) -> bool:
    whole = "".join(parts)
    if len(whole) < 4 or "." in whole or whole not in spellings or text.quantity(whole):
        return False
    return text.is_code(whole) or all(part.isalpha() for part in parts)


def _profile(*, record: Record, words: tuple[str, ...], spellings: Counter[str]) -> Profile:
    found = codes.codes_of(words=words)
    flat: list[str] = []
    for word in words:
        bare = text.compact(word)
        glued = _unglue(word=bare, spellings=spellings) if bare == word else None
        if glued:
            flat.extend(glued)
            if found.pop(bare, False) and text.is_code(glued[0]):
                found[glued[0]] = True
        elif found.get(bare):
            flat.append(bare)
        else:
            flat.extend(COLOURS.get(piece, piece) for piece in text.pieces(word))
    tokens = tuple(map(sys.intern, _join_compounds(words=flat, spellings=spellings)))
    own = [t for t, whole in found.items() if whole]
    quantities: dict[str, set[float]] = {}
    for token in tokens:
        amount = text.quantity(token)
        if amount:
            quantities.setdefault(amount[1], set()).add(amount[0])
    described = text.words(record.description)[:DESCRIPTION_WORDS_MAX] if record.description else ()
    brand = text.words(record.brand) if record.brand else ()
    names = frozenset(tokens)
    return Profile(
        record=record,
        tokens=tokens,
        names=names,
        stems=frozenset("~" + s for c in own if (s := codes.stem(c)) != c or text.is_code(c)),
        quantities={unit: frozenset(values) for unit, values in quantities.items()},
        sizes=frozenset(text.SIZES[t] for t in tokens if t in text.SIZES),
        colours=frozenset(COLOURS[t] for t in tokens if t in COLOURS),
        options=frozenset(COLOURS.get(p, p) for _, v in record.options for w in text.words(v) for p in text.pieces(w)),
        described=frozenset(p for w in (*described, *brand) for p in (*text.pieces(w), text.compact(w))),
        squeezed="".join(map(text.compact, tokens)),
        gtin=codes.read_gtin(record.gtin),
        sku=codes.sku_forms(record.sku),
    )
