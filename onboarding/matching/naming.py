"""Which option a value belongs to: "Vanilla" is a colour, a scent or a flavour; neighbours and product say."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onboarding.matching.contrast import Chosen
from onboarding.matching.splits import WEAK_MEANING, Value
from onboarding.matching.vocabulary import CONTEXT_BY_WORD, fold

Slot = tuple[int, int, str]  # how many values the title has, which of them this is, on which side
CONTEXT_WEIGHT = 2.5  # a candle's vanilla is a scent
ELSEWHERE_WEIGHT = 1.5  # the same word has a name in another product of the shop
FOREIGN_COLOUR = 1.0
COLOUR_LIKE = frozenset({"color", "scent", "flavor", "material", "finish", "pattern"})
OWN_MEANING_MIN = 2.5  # a value that means another option this clearly leaves its slot ("XL" among colours)
FALLBACK, FALLBACK_BESIDE_SIZE = "style", "color"
_NUMBER_UNIT = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")


@dataclass(slots=True)
class _Product:
    members: list[Chosen]
    context: Counter[str] = field(default_factory=Counter)
    slots: dict[Slot, dict[str, Value]] = field(default_factory=lambda: defaultdict(dict))
    beside: dict[Slot, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )  # names of other values there
    names: dict[Slot, str] = field(default_factory=dict)
    names_of_unknown: dict[Slot, str] = field(default_factory=dict)  # a slot may mix: a duplicate in another order


def name_options(products: Sequence[Sequence[Chosen]]) -> list[list[tuple[tuple[str, str], ...]]]:
    """For each product and member its (option, value) pairs, in the title's order."""
    read = [_read(members) for members in products]
    elsewhere: dict[str, Counter[str]] = defaultdict(Counter)
    for product in read:
        _name_slots(product, {})
        for slot, values in product.slots.items():
            for key, value in values.items():
                if name := (product.names_of_unknown if value.unknown else product.names)[slot]:
                    elsewhere[key][name] += 1
    for product in read:
        _name_slots(product, elsewhere)
    usual = _usual_name(read)
    for product in read:
        _fill_unnamed(product, usual)
    return [_one_spelling([_options(product, one) for one in product.members]) for product in read]


def _one_spelling(rows: list[tuple[tuple[str, str], ...]]) -> list[tuple[tuple[str, str], ...]]:
    """Within a product "8oz" and "8 oz" are one value: as most listings have it, with the blank when they are even."""
    uses = Counter(pair for row in rows for pair in row)
    usual: dict[tuple[str, str], str] = {}
    for name, value in sorted(uses, key=lambda pair: (uses[pair], len(pair[1]), pair)):
        usual[name, fold(value)] = value
    return [tuple((name, usual[name, fold(value)]) for name, value in row) for row in rows]


def _name_slots(product: _Product, elsewhere: Mapping[str, Counter[str]]) -> None:
    for slot, values in product.slots.items():
        product.names[slot] = _best(_votes(product=product, slot=slot, values=values, elsewhere=elsewhere))
        # A size among them ("Medium", which can be a flavour) says nothing of the words nobody knows.
        others = {key: value for key, value in values.items() if not _is_size(value)}
        votes = _votes(product=product, slot=slot, values=others, elsewhere=elsewhere) if others else {}
        beside = product.beside[slot]
        product.names_of_unknown[slot] = _best({n: v for n, v in votes.items() if n != "size" and n not in beside})


def _is_size(value: Value) -> bool:
    return not value.weak and value.meanings[0].name == "size"


def _read(members: Sequence[Chosen]) -> _Product:
    product = _Product(members=list(members))
    for one in members:
        split = one.best.split
        for token in one.title.tokens[split.start : split.end]:
            for name in CONTEXT_BY_WORD.get(token.text, ()):
                product.context[name] += 1
        for slot, value in _slots(one):
            product.slots[slot].setdefault(value.key, value)
            if value.unknown:
                others = [other for other in split.values if other is not value]
                product.beside[slot].update({other.meanings[0].name for other in others if other.meanings})
    return product


def _slots(one: Chosen) -> list[tuple[Slot, Value]]:
    values = one.best.split.values
    return [((len(values), place, value.side), value) for place, value in enumerate(values)]


def _votes(
    *, product: _Product, slot: Slot, values: Mapping[str, Value], elsewhere: Mapping[str, Counter[str]]
) -> dict[str, float]:
    """How well each name would suit the slot's values together."""
    votes: dict[str, float] = defaultdict(float)
    for value in values.values():
        if value.label and value.label not in ("option", "variant"):
            votes[value.label] += 100
        foreign = _is_foreign(value, product, slot)
        for meaning in value.meanings:
            votes[meaning.name] += max(0.3, meaning.weight) * (0.3 if foreign else 1.0)
        votes["color"] += FOREIGN_COLOUR * foreign
        if value.compound:
            votes["color"] += 1
        for name, uses in elsewhere.get(value.key, {}).items():
            votes[name] += ELSEWHERE_WEIGHT * min(1.0, uses)
    for name in list(votes):
        able = sum(_can_be(value=value, name=name, product=product, slot=slot) for value in values.values()) / len(
            values
        )
        votes[name] *= able
        if product.context[name]:
            votes[name] += CONTEXT_WEIGHT * len(values) * able
    return votes


def _best(votes: Mapping[str, float]) -> str:
    """The name with most votes; "" when no value says anything."""
    best = max(votes, key=lambda name: (votes[name], name), default="")
    return best if best and votes[best] > 0 else ""


def _is_foreign(value: Value, product: _Product, slot: Slot) -> bool:
    """On a shirt "Driftwood" (a scent) is a colour; so is "Denim" (a material) beside words that are none."""
    names = {meaning.name for meaning in value.meanings}
    if not names or any(product.context[name] for name in names) or value.meanings[0].weight > WEAK_MEANING:
        return False
    if names <= {"scent", "flavor"}:
        return True
    return names <= COLOUR_LIKE and any(other.unknown for other in product.slots[slot].values())


def _can_be(*, value: Value, name: str, product: _Product, slot: Slot) -> bool:
    if name == "color" and _is_foreign(value, product, slot):
        return True
    if value.unknown:
        return name != "size" and name not in product.beside[slot]
    return value.label == name or any(meaning.name == name for meaning in value.meanings)


def _usual_name(products: Sequence[_Product]) -> str:
    """What the shop's own words mostly are; colours, as a rule, but only where some are known to be."""
    uses: Counter[str] = Counter()
    for product in products:
        for slot, values in product.slots.items():
            named = product.names_of_unknown[slot]
            name = FALLBACK_BESIDE_SIZE if not named and product.beside[slot]["size"] else named
            uses[name] += sum(value.unknown for value in values.values()) if name else 0
    return max(uses, key=lambda name: (uses[name], name)) if uses.total() > 2 else FALLBACK


def _fill_unnamed(product: _Product, usual: str) -> None:
    """Words nobody knows: beside a size they are colours, else what the product suggests or the shop's words are."""
    for slot, name in product.names_of_unknown.items():
        if not name:
            beside = product.beside[slot]
            context = next((n for n, _ in product.context.most_common() if n not in beside and n != "size"), "")
            colour = beside["size"] and not beside["color"]
            product.names_of_unknown[slot] = (
                FALLBACK_BESIDE_SIZE if colour else context or (usual if not beside[usual] else FALLBACK)
            )


def _options(product: _Product, one: Chosen) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for slot, value in _slots(one):
        foreign = product.names[slot] == "color" and _is_foreign(value, product, slot)
        slot_name = product.names_of_unknown[slot] if value.unknown else product.names[slot]
        name = "color" if foreign else _name_of(value, slot_name)
        text = _text(value, name)
        if name in found:
            other = next((m.name for m in value.meanings if m.name not in found), "")
            if other:
                found[other] = _text(value, other)
            else:
                found[name] = f"{found[name]}/{text}" if found[name] != text else text
        else:
            found[name] = text
    return tuple(found.items())


def _name_of(value: Value, slot_name: str) -> str:
    if value.label and value.label not in ("option", "variant"):
        return value.label
    if any(meaning.name == slot_name for meaning in value.meanings) or not value.meanings:
        return slot_name
    strongest = value.meanings[0]
    return strongest.name if strongest.weight >= OWN_MEANING_MIN or slot_name not in ("style", "") else slot_name


def _text(value: Value, name: str) -> str:
    """The canonical value: what the words mean under this name, else the words as typed."""
    for meaning in value.meanings:
        if meaning.name == name:
            return meaning.value
    return re.sub(r"\bgrey\b", "gray", value.typed)
