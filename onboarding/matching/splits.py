"""All the ways a title could be read as a product's name (the stem) with option values before and behind it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from onboarding.matching.options import PHRASE_TOKENS_MAX, Meaning, canonical, meanings
from onboarding.matching.titles import CAMEL, CUT, HYPHEN, Title, Token, phrase
from onboarding.matching.vocabulary import BASE_BY_KEY, OPTION_NAMES, PRODUCT_NOUNS, fold

LEFT, RIGHT = "left", "right"
VALUES_RIGHT_MAX, VALUES_LEFT_MAX = 3, 2
WEAK_MEANING = 1.0  # measures, materials, styles
GUESSED_COMPOUND = 1.0  # the weight of "brass red": two colours side by side, not a colour of its own
_SMALL_WORDS = frozenset(("and", "of", "with", "for", "the", "in", "a", "an", "to", "by", "or", "on", "no", "your"))


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of a title read as an option's value. Without meanings it is a word no list knows."""

    words: tuple[str, ...]
    typed: str
    side: str
    meanings: tuple[Meaning, ...]
    cut: bool = False  # it begins at a real separator
    compound: bool = False  # unknown, but ends in a plain colour: "Kelp Green"
    broken_off: bool = False  # the rest of its segment ("Saffron" of ", Saffron Dust,") stays with the stem
    shortened: bool = False  # with the word beside it, it would be a longer known value
    depth: int = 0  # how many values stand between it and the stem
    label: str = ""  # the option's name as written out

    @property
    def key(self) -> str:
        """What equal values share: the canonical value, or the folded words."""
        return fold(self.meanings[0].value) if self.meanings else fold("".join(self.words))

    @property
    def unknown(self) -> bool:
        return not self.meanings and not self.label

    @property
    def weak(self) -> bool:
        """Unknown, or of a kind that is as often part of a name: a measure, a material, a style."""
        return not self.meanings or self.meanings[0].weight <= WEAK_MEANING

    def spellings(self) -> tuple[str, ...]:
        joined = fold("".join(self.words))
        return tuple(dict.fromkeys([joined, *(fold(meaning.value) for meaning in self.meanings)]))


@dataclass(frozen=True, slots=True)
class Split:
    stem: str  # the stem's folded letters, joined: the same however it is spaced
    start: int
    end: int  # tokens[start:end] are the stem
    values: tuple[Value, ...]  # in the title's order

    @property
    def tuple_key(self) -> tuple[str, ...]:
        return tuple(sorted(value.key for value in self.values))


def plain(title: Title) -> Split:
    """The title as it stands: no option in it."""
    size = len(title.tokens)
    return Split(stem=join(title.tokens), start=0, end=size, values=())


def join(tokens: tuple[Token, ...]) -> str:
    return "".join(token.key for token in tokens)


def labelled(title: Title) -> Split | None:
    """The reading of "Tee Color: Red Size: XL"; None where no option is named."""
    tokens = title.tokens
    places = [place for place, token in enumerate(tokens) if token.label and place > 0]
    if not places:
        return None
    values: list[Value] = []
    for place, after in zip(places, [*places[1:], len(tokens)], strict=True):
        part = tokens[place + 1 : after]
        if part:
            known = _meanings(part, glued=False)
            name = OPTION_NAMES[tokens[place].text]
            values.append(_value(part, side=RIGHT, known=known, label=name))
    if not values:
        return None
    return Split(stem=join(tokens[: places[0]]), start=0, end=places[0], values=tuple(values))


def given(title: Title, options: Sequence[tuple[str, str]]) -> Split | None:
    """The reading of a listing whose source names its options: all of the title is the product's name."""
    values: list[Value] = []
    for name, text in options:
        own_name, value = canonical(name, text)
        if not value or (own_name, value) == ("title", "default title"):
            continue  # what Shopify writes for a product without options
        words = tuple(value.casefold().replace("-", " ").split())
        known = tuple(meaning for meaning in meanings(words) if meaning.name == own_name)
        values.append(Value(words=words, typed=value, side=RIGHT, meanings=known, depth=len(values), label=own_name))
    whole = plain(title)
    return replace(whole, values=tuple(values)) if values else None


def readings(title: Title, *, shared: Container[str] | None = None) -> list[Split]:
    """Every plausible reading with a value. `shared`: words that other titles have too; a stem consists of such."""
    if named := labelled(title):
        return [named]
    tokens = title.tokens
    rights = list(_right(title=title, end=len(tokens), depth=VALUES_RIGHT_MAX, unknown_left=1))
    lefts = list(_left(title=title, start=0, depth=VALUES_LEFT_MAX, unknown_left=1))
    rights = [(end, _with_depth(values)) for end, values in rights]
    lefts = [(start, _with_depth(values[::-1])[::-1]) for start, values in lefts]
    alone = next((place for place, token in enumerate(tokens) if shared is None or token.key in shared), len(tokens))
    found: list[Split] = []
    for start, left in lefts:
        for end, right in rights:
            if end - start < 1 or not (left or right) or sum(value.unknown for value in (*left, *right)) > 1:
                continue
            core = tokens[start:end]
            if not any(len(token.key) > 1 and not token.key.isdigit() for token in core):
                continue
            if alone < len(tokens) and shared is not None and any(token.key not in shared for token in core):
                continue
            if _torn(left) or _torn(right) or _clash((*left, *right)):
                continue
            found.append(Split(stem=join(core), start=start, end=end, values=(*left, *right)))
    return found


def _with_depth(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(value if depth == 0 else replace(value, depth=depth) for depth, value in enumerate(values))


def _clash(values: tuple[Value, ...]) -> bool:
    """Two colours, or two sizes, on one listing: one of them belongs to the product's name."""
    sure = [value.meanings[0].name for value in values if len(value.meanings) == 1 and not value.label]
    return sure.count("color") > 1 or sure.count("size") > 1


def _torn(values: tuple[Value, ...]) -> bool:
    """Values side by side that belong together ("forest", "green") or of which one option cannot have two."""
    for one, other in pairwise(values):
        if (other if other.side == RIGHT else one).shortened:
            return True
        colours = [value for value in (one, other) if value.meanings and value.meanings[0].name == "color"]
        if len(colours) == 1 and (one.unknown or other.unknown) and not other.cut:
            return True  # "polar", "night": the two together are the shop's word
        if one.meanings and other.meanings and one.meanings[0].name == other.meanings[0].name:
            names = {meaning.name for value in (one, other) for meaning in value.meanings}
            if len(names) == 1 or names <= {"color", "material"}:
                return True
    return False


def _right(*, title: Title, end: int, depth: int, unknown_left: int) -> Iterator[tuple[int, tuple[Value, ...]]]:
    """(where the stem ends, values): values taken off the end one by one."""
    yield end, ()
    if depth == 0:
        return
    for size in range(1, min(PHRASE_TOKENS_MAX, end - 1) + 1):
        start = end - size
        part = title.tokens[start:end]
        value = _read(title=title, part=part, start=start, side=RIGHT)
        if value is None or (value.unknown and not unknown_left):
            continue
        for stem_end, more in _right(
            title=title, end=start, depth=depth - 1, unknown_left=unknown_left - value.unknown
        ):
            yield stem_end, (*more, value)


def _left(*, title: Title, start: int, depth: int, unknown_left: int) -> Iterator[tuple[int, tuple[Value, ...]]]:
    yield start, ()
    if depth == 0:
        return
    for size in range(1, min(PHRASE_TOKENS_MAX, len(title.tokens) - start - 1) + 1):
        end = start + size
        value = _read(title=title, part=title.tokens[start:end], start=start, side=LEFT)
        if value is None or (value.unknown and not unknown_left):
            continue
        for stem_start, more in _left(
            title=title, start=end, depth=depth - 1, unknown_left=unknown_left - value.unknown
        ):
            yield stem_start, (value, *more)


def _read(*, title: Title, part: tuple[Token, ...], start: int, side: str) -> Value | None:
    """These tokens as one value; None when they cannot be one."""
    if not title.bracketed.isdisjoint(range(start, start + len(part))):
        return None
    if side == RIGHT and part[0].gap == CAMEL:
        return None
    if side == LEFT and start + len(part) < len(title.tokens) and title.tokens[start + len(part)].gap == CAMEL:
        return None
    glued = title.tail_glued and side == RIGHT
    known = _meanings(part, glued=glued)
    broken = any(token.gap == CUT for token in part[1:])
    if broken and not (known and known[0].name == "color" and len(part) <= 3):
        return None
    if not known and not _may_be_unknown(part, glued=glued):
        return None
    beside = start - 1 if side == RIGHT else start + len(part)
    neighbour = title.tokens[beside] if 0 <= beside < len(title.tokens) else None
    value = _value(part, side=side, known=known, glued=glued, neighbour=neighbour)
    return replace(value, broken_off=True) if side == RIGHT and _breaks_segment(title, start) else value


def _breaks_segment(title: Title, start: int) -> bool:
    """Between the value and the separator before it, at which a first value would begin, stand other words."""
    if title.tokens[start].gap == CUT or (title.tail_glued and title.tokens[start].gap == HYPHEN):
        return False
    cuts = [place for place in range(1, start) if title.tokens[place].gap == CUT]
    return bool(cuts) and cuts[-1] not in title.bracketed and cuts[-1] - 1 not in title.bracketed


def _value(
    part: tuple[Token, ...],
    *,
    side: str,
    known: tuple[Meaning, ...],
    glued: bool = False,
    neighbour: Token | None = None,
    label: str = "",
) -> Value:
    words = tuple(token.text for token in part)
    cut = part[0].gap == CUT or (glued and part[0].gap == HYPHEN)
    longer = _is_longer(part, side=side, neighbour=neighbour, glued=glued)
    return Value(
        words=words,
        typed=phrase(part, glued=glued),
        side=side,
        meanings=known,
        cut=cut and side == RIGHT,
        compound=not known and len(part) > 1 and part[-1].key in BASE_BY_KEY,
        shortened=longer,
        label=label,
    )


def _is_longer(part: tuple[Token, ...], *, side: str, neighbour: Token | None, glued: bool) -> bool:
    """With the word on the stem's side it would be a known value, too."""
    if neighbour is None or (part[0] if side == RIGHT else neighbour).gap == CUT:
        return False
    longer = _meanings((neighbour, *part) if side == RIGHT else (*part, neighbour), glued=glued)
    return any(meaning.weight > GUESSED_COMPOUND for meaning in longer)


@lru_cache(maxsize=200_000)
def _meanings(part: tuple[Token, ...], *, glued: bool) -> tuple[Meaning, ...]:
    return meanings(tuple(token.text for token in part), glued=glued)


def _may_be_unknown(part: tuple[Token, ...], *, glued: bool) -> bool:
    """One or two plain words, three behind a separator."""
    most = 3 if part[0].gap == CUT or glued else 2
    if glued and any(token.gap == HYPHEN for token in part[1:]):
        return False
    if len(part) > most or part[0].text in _SMALL_WORDS or part[-1].text in _SMALL_WORDS:
        return False
    if any(token.text in PRODUCT_NOUNS for token in part):
        return False
    return all(sum(letter.isalpha() for letter in token.key) >= 2 for token in part)
