"""Which pattern a shop's SKUs follow already, and how many of them do. No database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onboarding.skus.codes import Way, could_be, is_whole
from onboarding.skus.patterns import NUMBER, BadPattern, Pattern, Thing, parse, read

SHAPE_SHARE_MIN = 0.25  # of the SKUs have the most frequent number of parts
FIELD_SHARE_MIN = 0.6  # of a part's codes may stand for the field's value
SAME_SHARE_MIN = 0.95  # of a part's codes are one and the same
SHARE_MIN = 0.3  # of the shop's SKUs; fewer is no pattern
THINGS_MIN = 5
SEPARATORS = "-_/ ."


@dataclass(frozen=True)
class Inferred:
    """A pattern, and the share of the shop's SKUs that follow it, 0 to 1."""

    pattern: str
    share: float
    count: int
    total: int


def infer(things: Sequence[Thing], *, names: Sequence[str]) -> Inferred | None:
    """The pattern that most SKUs seem to follow; None where there is none, or too few SKUs to tell."""
    named = [thing for thing in things if thing.sku.strip()]
    if len(named) < THINGS_MIN:
        return None
    marks = Counter(mark for thing in named for mark in set(thing.sku) if mark in SEPARATORS)
    separator = marks.most_common(1)[0][0] if marks else ""
    if not separator:
        return None
    split = [(thing, thing.sku.strip().split(separator)) for thing in named]
    text = ""
    sizes = Counter(len(parts) for _, parts in split)
    for size, count in sorted(sizes.items(), key=lambda item: (-item[1], -item[0])):
        if count < SHAPE_SHARE_MIN * len(named):
            break
        text = _pattern([one for one in split if len(one[1]) == size], names=names, separator=separator)
        if text:
            break
    try:
        pattern = parse(text, names=names)
    except BadPattern:
        return None
    count = sum(follows(pattern, thing) for thing in named)
    share = count / len(named)
    return Inferred(pattern=text, share=share, count=count, total=len(named)) if share >= SHARE_MIN else None


def follows(pattern: Pattern, thing: Thing) -> bool:
    """Whether a thing's SKU is written by the pattern: each part may stand for its value."""
    codes = read(pattern, thing)
    if codes is None:
        return False
    return all(
        not code
        or one.name == NUMBER
        or could_be(
            code, thing.values.get("title" if one.name == "style" else one.name, ""), length=one.length, way=one.way
        )
        for one, code in zip(pattern.fields, codes, strict=True)
    )


def _pattern(split: Sequence[tuple[Thing, list[str]]], *, names: Sequence[str], separator: str) -> str:
    """The pattern of SKUs with the same number of parts; "" where a part says nothing that we know."""
    written: list[str] = []
    used: set[str] = set()
    for place in range(len(split[0][1])):
        codes = [(thing, parts[place].strip()) for thing, parts in split]
        part = _part(codes, names=[name for name in [*names, "vendor", "category", "title"] if name not in used])
        if not part:
            return ""
        used.add(part.strip("{}").split(":")[0].replace("style", "title"))
        written.append(part)
    return separator.join(written)


def _part(codes: Sequence[tuple[Thing, str]], *, names: Iterable[str]) -> str:
    texts = Counter(code.upper() for _, code in codes)
    shares = {name: _share(codes, name) for name in names}
    best = max(shares, key=lambda name: shares[name], default="")
    if best and shares[best] >= FIELD_SHARE_MIN and (len(texts) > 1 or shares[best] == 1):
        return _written(codes, best)
    most, count = texts.most_common(1)[0]
    if count >= SAME_SHARE_MIN * len(codes) and most:
        return re.sub(r"([{}])", r"\1\1", most)
    widths = Counter(len(code) for _, code in codes if code.isascii() and code.isdigit())
    if widths.total() >= SAME_SHARE_MIN * len(codes):
        return f"{{{NUMBER}:{min(min(widths), 9)}}}"
    return ""


def _share(codes: Sequence[tuple[Thing, str]], name: str) -> float:
    """How many of the codes may stand for the value of this field."""
    explained = sum(
        bool(code) and could_be(code, thing.values.get(name, ""), length=max(len(code), 1), way=Way.SHORT)
        for thing, code in codes
    )
    return explained / len(codes)


def _written(codes: Sequence[tuple[Thing, str]], name: str) -> str:
    fitting = [
        (thing.values[name], code)
        for thing, code in codes
        if thing.values.get(name) and could_be(code, thing.values[name], length=len(code), way=Way.SHORT)
    ]
    if all(is_whole(code, value) for value, code in fitting):
        return f"{{{name}}}"
    return f"{{{'style' if name == 'title' else name}:{max(len(code) for _, code in fitting)}}}"
