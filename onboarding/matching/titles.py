"""A listing's title as tokens that remember what stood between them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from onboarding.matching.vocabulary import OPTION_NAMES, fold

TITLE_LENGTH_MAX = 300  # characters; beyond it a "title" is a description
START, SPACE, HYPHEN, CUT, CAMEL = "", " ", "-", "|", "c"

_PIECE = re.compile(
    r"(?P<pair>\d+(?:\.\d+)?[/x×]\d+(?:\.\d+)?(?:[a-z]{1,4}\b|\")?)"  # 28/32, 30x40cm
    r"|(?P<word>[^\W_]+(?:[.'’][^\W_]+)*[+\"]?|\$\d+(?:\.\d+)?)"
    r"|(?P<gap>[^\w$]+|_+|\$)",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z]{2})(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_SIZE_GLUED = re.compile(r"(size|sz)(\d{1,3}(?:\.5)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    text: str  # lower case
    key: str  # folded: letters and digits
    gap: str  # what stood before it: START, SPACE, HYPHEN (inside a word), CUT (a real separator), CAMEL
    label: bool = False  # the name of an option, followed by a colon


@dataclass(frozen=True, slots=True)
class Title:
    """`bracketed`: places of tokens in a bracket that closes before the end ("Tee (V-neck) Red"): never an option.
    `tail_glued`: the last word is joined by hyphens, as in "Tee-Red-XL". `spans`: where in `text` each token stands."""

    text: str
    tokens: tuple[Token, ...]
    spans: tuple[tuple[int, int], ...]
    bracketed: frozenset[int]
    tail_glued: bool

    def text_of(self, start: int, end: int) -> str:
        """Tokens start to end as typed, brackets closed."""
        if start >= end:
            return ""
        typed = " ".join(self.text[self.spans[start][0] : self.spans[end - 1][1]].split())
        return typed + ")" if typed.count("(") > typed.count(")") else typed


@lru_cache(maxsize=65_536)
def split(text: str) -> Title:
    """Never raises, whatever the text is."""
    clean = unicodedata.normalize("NFKC", text)[:TITLE_LENGTH_MAX].strip()
    tokens: list[Token] = []
    spans: list[tuple[int, int]] = []
    bracketed: set[int] = set()
    opened: list[int] = []
    gap = START
    for piece in _PIECE.finditer(clean):
        between = piece["gap"]
        if between is None:
            parts = _parts(piece[0], gap)
            tokens.extend(parts)
            spans.extend([piece.span()] * len(parts))
            gap = START
            continue
        gap = _gap(between, first=not tokens, gap_before=gap)
        for sign in between:
            if sign in "([{":
                opened.append(len(tokens))
            elif sign in ")]}" and opened:
                start = opened.pop()
                if piece.end() < len(clean.rstrip(" .")):
                    bracketed.update(range(start, len(tokens)))
        if between.lstrip()[:1] in (":", "=") and tokens:
            tokens = _as_label(tokens)
            spans = spans[: len(tokens)]
    return Title(
        text=clean,
        tokens=tuple(tokens),
        spans=tuple(spans),
        bracketed=frozenset(bracketed),
        tail_glued=_is_glued(tokens),
    )


def phrase(tokens: tuple[Token, ...], *, glued: bool = False) -> str:
    """The tokens as one value reads, lower case: "off-white" keeps its hyphen unless hyphens are the separators."""
    words = ""
    for place, token in enumerate(tokens):
        if place:
            words += "-" if token.gap == HYPHEN and not glued else "/" if token.gap == CUT else " "
        words += token.text
    return words


def _parts(word: str, gap: str) -> list[Token]:
    if match := _SIZE_GLUED.fullmatch(word):
        pieces = [match[1], match[2]]
    elif gap == HYPHEN:
        # Only behind a hyphen: "Tee-ForestGreen", but "EverCool" stays one word.
        pieces = [piece for piece in _CAMEL.split(word) if piece]
    else:
        pieces = [word]
    found = []
    for place, piece in enumerate(pieces):
        if key := fold(piece):
            found.append(Token(text=piece.lower(), key=key, gap=gap if place == 0 else CAMEL))
    return found


def _gap(between: str, *, first: bool, gap_before: str) -> str:
    if first:
        return START
    if between in "-‐‑" and len(between) == 1:
        return HYPHEN
    plain = between.strip()
    if not plain or plain in ("&", "'", "’", ".", "+", '"', "!", "#", "%", "*", "®", "™"):
        return SPACE if gap_before != CUT else CUT
    return CUT


def _as_label(tokens: list[Token]) -> list[Token]:
    """Mark the last token (or join the last two) as an option's name when it is one."""
    for size in (2, 1):
        name = " ".join(token.text for token in tokens[-size:])
        if len(tokens) >= size and name in OPTION_NAMES:
            first = tokens[-size]
            return [*tokens[:-size], Token(text=name, key=fold(name), gap=first.gap, label=True)]
    return tokens


def _is_glued(tokens: list[Token]) -> bool:
    for token in reversed(tokens):
        if token.gap != CAMEL:
            return token.gap == HYPHEN
    return False
