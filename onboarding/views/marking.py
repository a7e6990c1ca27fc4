"""Differences marked inside the words: what two titles, SKUs or barcodes share, and what they do not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
LETTERS_ALIKE_MIN = 0.5  # words less alike than this are marked whole: single letters would only flicker


@dataclass(frozen=True)
class Piece:
    """A stretch of a text, and whether the other text lacks it."""

    text: str
    differs: bool = False


def against(text: str, other: str) -> list[Piece]:
    """`text` in pieces, marked where `other` differs: whole words first, letters inside words that are alike.

    Capitals count only where nothing else differs.
    """
    if text == other:
        return [Piece(text)] if text else []
    if text.casefold() == other.casefold():
        return _joined(_letters(text, other))
    mine, theirs = _TOKENS.findall(text), _TOKENS.findall(other)
    matcher = SequenceMatcher(None, [one.lower() for one in mine], [one.lower() for one in theirs], autojunk=False)
    pieces: list[Piece] = []
    for kind, start, end, from_, to in matcher.get_opcodes():
        here = "".join(mine[start:end])
        if kind == "equal":
            pieces.append(Piece(here))
        elif kind == "replace":
            pieces += _letters(here, "".join(theirs[from_:to]), folded=True)
        elif here:
            pieces.append(Piece(here, differs=True))
    return _joined(pieces)


def are_alike(text: str, other: str) -> bool:
    """Whether marking what differs says more than the two texts themselves."""
    return SequenceMatcher(None, text, other, autojunk=False).quick_ratio() >= LETTERS_ALIKE_MIN


def _letters(text: str, other: str, *, folded: bool = False) -> list[Piece]:
    one, two = (text.lower(), other.lower()) if folded else (text, other)
    if len(one) != len(text):  # a capital whose small letter is two
        one, two = text, other
    matcher = SequenceMatcher(None, one, two, autojunk=False)
    if matcher.ratio() < LETTERS_ALIKE_MIN:
        return [Piece(text, differs=True)]
    return [
        Piece(text[start:end], differs=kind != "equal")
        for kind, start, end, _, _ in matcher.get_opcodes()
        if text[start:end]
    ]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one kind as one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].differs == piece.differs:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.differs)
        else:
            joined.append(piece)
    return joined


def html(pieces: list[Piece]) -> SafeString:
    """The pieces as markup; blanks that matter (a space at the end, two in a row) become visible."""
    last = len(pieces) - 1
    return format_html_join(
        "",
        "{}",
        [
            (
                format_html(
                    "<mark>{}</mark>" if piece.differs else "{}",
                    _seen(piece.text, is_first=place == 0, is_last=place == last, differs=piece.differs),
                ),
            )
            for place, piece in enumerate(pieces)
        ],
    )


def shown(text: str) -> SafeString:
    """A text by itself, its needless blanks visible."""
    return html([Piece(text)]) if text else mark_safe("")


def _seen(text: str, *, is_first: bool, is_last: bool, differs: bool) -> SafeString:
    """Blanks at the ends of the whole text are never meant; one that is all the difference must be seen."""
    body = text.strip()
    if not body:
        return _blanks(len(text)) if differs or is_first or is_last else format_html("{}", text)
    before, after = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    front = _blanks(before) if is_first else text[:before]
    back = _blanks(after) if is_last else text[len(text) - after :]
    return format_html("{}{}{}", front, body, back)


def _blanks(count: int) -> SafeString:
    return mark_safe('<span class="blank" title="a space">␣</span>' * count)  # noqa: S308  our own markup
