"""Which listings of one shop are variants of one product, and what each variant's options are.

`group` is the engine's door: it reads all titles together (contrast.py), mends slips (repair.py), names the options
(naming.py) and hands back products with the evidence in words.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onboarding.matching import skuparts
from onboarding.matching.contrast import Chosen, choose, is_service
from onboarding.matching.naming import name_options
from onboarding.matching.records import Record
from onboarding.matching.repair import repair

SAME_NAME_PRICE_RATIO_MAX = 2.0  # two listings of one name, without options, further apart are two products
Progress = Callable[[str, int, int], None]  # stage, done, total
ALONE_CONFIDENCE = 0.9  # nothing resembles it
ALONE_WITH_OPTION_CONFIDENCE = 0.5  # an option without another variant: half of these are right


@dataclass(frozen=True, slots=True)
class Member:
    record_id: str
    options: tuple[tuple[str, str], ...]  # (option, value), canonical
    confidence: float  # 0 to 1: that the listing belongs here with these options


@dataclass(frozen=True, slots=True)
class Group:
    """A product and its variants. A product alone in the shop is a group of one."""

    title: str
    members: tuple[Member, ...]
    option_names: tuple[str, ...]
    confidence: float  # 0 to 1, of its least sure member
    evidence: tuple[str, ...]  # in words, strongest first


def group(records: Sequence[Record], *, on_progress: Progress | None = None) -> list[Group]:
    """Every record in exactly one group; the result does not depend on the records' order.

    Records are of one shop: what differs inside it is the evidence. Memory and time grow linearly with their number.
    """
    ordered = sorted(records, key=lambda record: (record.title, record.sku, record.gtin, record.id))
    chosen = choose(ordered, on_progress=on_progress)
    repair(chosen, on_progress=on_progress)
    products = _products(chosen)
    named = name_options(products)
    groups = [_group(members, options) for members, options in zip(products, named, strict=True)]
    return sorted(groups, key=lambda found: (found.title.casefold(), found.members[0].record_id))


def _products(chosen: Sequence[Chosen]) -> list[list[Chosen]]:
    by_stem: dict[str, list[Chosen]] = defaultdict(list)
    for one in chosen:
        by_stem[one.best.split.stem or f"\0{one.record.id}"].append(one)
    return [part for stem in sorted(by_stem) for part in _apart(by_stem[stem])]


def _apart(members: list[Chosen]) -> list[list[Chosen]]:
    """The same name without any option, at quite another price, is another thing ("Alteration" at 5 and at 50)."""
    if any(one.best.split.values for one in members):
        return [members]
    service = is_service(members[0].title)
    parts: list[list[Chosen]] = []
    for one in sorted(members, key=lambda member: (member.record.price or 0.0, member.record.id)):
        last = parts[-1][-1].record.price if parts else None
        price = one.record.price
        limit = 1.0 if service else SAME_NAME_PRICE_RATIO_MAX
        if parts and not (last and price and price / last > limit + 1e-9):
            parts[-1].append(one)
        else:
            parts.append([one])
    return parts


def _group(members: Sequence[Chosen], options: Sequence[tuple[tuple[str, str], ...]]) -> Group:
    pairs = sorted(zip(members, options, strict=True), key=lambda pair: pair[0].record.id)
    alone = len(pairs) == 1
    found = tuple(
        Member(record_id=one.record.id, options=mine, confidence=_confidence(one, alone=alone)) for one, mine in pairs
    )
    names = Counter(name for member in found for name, _ in member.options)
    order = {name: place for member in found for place, (name, _) in reversed(list(enumerate(member.options)))}
    option_names = tuple(sorted(names, key=lambda name: (order[name], -names[name], name)))
    return Group(
        title=_title(members),
        members=found,
        option_names=option_names,
        confidence=min(member.confidence for member in found),
        evidence=_evidence(members, found, option_names),
    )


def _confidence(one: Chosen, *, alone: bool) -> float:
    if not one.best.split.values:
        return ALONE_CONFIDENCE
    sure = 1 / (1 + math.exp(-(one.score - 2.0) / 2.0))
    return round(min(sure, ALONE_WITH_OPTION_CONFIDENCE) if alone else sure, 3)


def _title(members: Sequence[Chosen]) -> str:
    """The stem as most members type it."""
    typed = Counter(one.title.text_of(one.best.split.start, one.best.split.end) or one.title.text for one in members)
    return max(typed, key=lambda text: (typed[text], text))


def _evidence(members: Sequence[Chosen], found: Sequence[Member], names: Sequence[str]) -> tuple[str, ...]:
    if len(members) == 1:
        return ("no other title shares its name",) if not names else (f"{' and '.join(names)} named in the title",)
    words = [f"{len(members)} titles share “{_title(members)}”"]
    if names:
        words.append(_grid(found, names))
    styles = Counter(one.best.style for one in members if one.best.style)
    if styles:
        style, count = max(styles.items(), key=lambda item: (item[1], item[0]))
        if count > 1 and style.startswith(skuparts.RUN):
            words.append(f"{count} SKUs are numbers in a row")
        elif count > 1:
            words.append(f"{count} SKUs agree on {style.replace('.', '-').upper()}")
    words.extend(_prices(members))
    mended = sum(one.best.split.stem != "".join(_stem_keys(one)) for one in members)
    if mended:
        words.append(f"{mended} spelt with a slip")
    own = sorted({value.typed for one in members for value in one.best.split.values if value.unknown})
    if own:
        words.append(f"words of this shop: {', '.join(own[:5])}")
    return tuple(words)


def _stem_keys(one: Chosen) -> list[str]:
    return [token.key for token in one.title.tokens[one.best.split.start : one.best.split.end]]


def _grid(found: Sequence[Member], names: Sequence[str]) -> str:
    values = {name: {value for member in found for own, value in member.options if own == name} for name in names}
    cells = len({member.options for member in found})
    size = math.prod(len(values[name]) for name in names)
    said = " × ".join(f"{len(values[name])} {name}" for name in names)
    return f"they differ in {said}: {cells} of {size} combinations" if len(names) > 1 else f"they differ in {said}"


def _prices(members: Sequence[Chosen]) -> list[str]:
    prices = [one.record.price for one in members if one.record.price]
    if len(prices) < 2:
        return []
    middle = statistics.median(prices)
    same = sum(abs(price - middle) < 0.005 for price in prices)
    return (
        [f"{same} of {len(prices)} cost {middle:.2f}"]
        if same > 1
        else [f"prices {min(prices):.2f} to {max(prices):.2f}"]
    )
