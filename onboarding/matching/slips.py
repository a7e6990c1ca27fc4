"""Slips inside one word, mended before titles are compared: "Powerr" where the shop, or the vocabulary, has "Power"."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rapidfuzz.distance import OSA

from onboarding.matching import vocabulary
from onboarding.matching.options import meanings
from onboarding.matching.titles import Title, Token

WORD_MIN = 5  # letters; shorter words have too many true neighbours


def mend(titles: Sequence[Title]) -> list[Title]:
    """Each word seen once that is one slip from exactly one other word is read as that word. Linear in the words."""
    seen: Counter[str] = Counter()
    for title in titles:
        seen.update({token.key for token in title.tokens})
    instead = _corrections(seen)
    if not instead:
        return list(titles)
    return [_with(title, instead) for title in titles]


def _with(title: Title, instead: Mapping[str, str]) -> Title:
    if not any(token.key in instead for token in title.tokens):
        return title
    return replace(title, tokens=tuple(_mended(token, instead) for token in title.tokens))


def _mended(token: Token, instead: Mapping[str, str]) -> Token:
    word = instead.get(token.key)
    return replace(token, key=word, text=word) if word else token


def _corrections(seen: Mapping[str, int]) -> dict[str, str]:
    words = {word for word in seen if _is_word(word)}
    known = words | KNOWN_WORDS
    index: dict[str, set[str]] = defaultdict(set)
    for word in known:
        for shape in shapes(word):
            index[shape].add(word)
    instead: dict[str, str] = {}
    for word in sorted(words):
        if seen[word] > 1 or word in KNOWN_WORDS or meanings((word,)):
            continue  # "shirt" is no slip of "short", nor "xlarge" of "large"
        near = {other for shape in shapes(word) for other in index[shape] if other != word}
        near = {other for other in near if OSA.distance(word, other, score_cutoff=1) == 1}
        # Of two words seen once the one in the alphabet's order gives way, so that they meet in one spelling.
        better = {other for other in near if seen.get(other, 0) > 1 or other in KNOWN_WORDS or other < word}
        if len(better) == 1:
            instead[word] = better.pop()
    return {word: instead.get(better, better) for word, better in instead.items()}


def shapes(word: str) -> Iterable[str]:
    """The word, and the word without each of its letters: words one slip apart share a shape."""
    yield word
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def _is_word(word: str) -> bool:
    return len(word) >= WORD_MIN and word.isalpha()


KNOWN_WORDS = frozenset(
    vocabulary.fold(word)
    for phrase in (
        *vocabulary.COLOURS,
        *vocabulary.PRODUCT_NOUNS,
        *(value for values in vocabulary.KINDS.values() for value in values),
        *(way for ways in vocabulary.LETTER_SIZES.values() for way in ways),
    )
    for word in phrase.split()
    if _is_word(vocabulary.fold(word))
)
