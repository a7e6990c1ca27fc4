"""Made-up catalogs of any size, to measure cost: two shops that list mostly the same things, each in its own words."""

from __future__ import annotations

import random
from collections.abc import Iterator

from onboarding.matching.records import Record

_SYLLABLES = [
    "ba",
    "be",
    "bo",
    "da",
    "de",
    "do",
    "fa",
    "fi",
    "ka",
    "ki",
    "ko",
    "la",
    "le",
    "lo",
    "ma",
    "me",
    "mo",
    "na",
    "ne",
    "no",
    "pa",
    "pe",
    "ra",
    "re",
    "ro",
    "sa",
    "se",
    "so",
    "ta",
    "te",
    "ti",
    "to",
    "va",
    "ve",
    "vo",
]
_KINDS = [
    "jacket",
    "lamp",
    "kettle",
    "speaker",
    "camera",
    "chair",
    "desk",
    "shirt",
    "boot",
    "bottle",
    "blender",
    "charger",
    "cable",
    "watch",
    "tent",
    "bag",
    "rug",
    "pan",
]
_TRAITS = [
    "portable",
    "compact",
    "classic",
    "wireless",
    "digital",
    "cotton",
    "steel",
    "wooden",
    "slim",
    "heavy",
    "light",
    "soft",
    "pro",
    "ultra",
    "mini",
    "dual",
]
_COLOURS = ["black", "white", "red", "blue", "green", "silver", "gold", "grey", "pink", "brown"]
_SIZES = ("S", "M", "L", "XL", "500 ml", "1 l", "2 kg", "16GB", "64GB", "128GB")
BRANDS = 800
SHARED = 0.8  # of the listings of each side


def catalogs(*, count: int, seed: int = 7) -> tuple[list[Record], list[Record], dict[str, str]]:
    """Left, right and which left id is which right id; the order of the right is shuffled."""
    chance = random.Random(seed)
    brands = ["".join(chance.choices(_SYLLABLES, k=3)).capitalize() for _ in range(BRANDS)]
    things = list(_things(chance=chance, brands=brands, count=int(count * (2 - SHARED))))
    both = int(count * SHARED)
    left = [_told(thing=things[n], name_id=f"l{n}", chance=chance, own=True) for n in range(count)]
    right = [
        _told(thing=things[n if n < both else n + count - both], name_id=f"r{n}", chance=chance, own=False)
        for n in range(count)
    ]
    chance.shuffle(right)
    return left, right, {f"l{n}": f"r{n}" for n in range(both)}


def _things(
    *, chance: random.Random, brands: list[str], count: int
) -> Iterator[tuple[str, str, str, str, str, str, float]]:
    while count > 0:
        brand, kind, trait = chance.choice(brands), chance.choice(_KINDS), chance.choice(_TRAITS)
        model = f"{''.join(chance.choices('ABCDEFGHKLMNPRSTX', k=2))}{chance.randrange(10, 9999)}"
        name, price = "".join(chance.choices(_SYLLABLES, k=3)), round(chance.lognormvariate(3.5, 0.9), 2)
        for colour in chance.sample(_COLOURS, chance.choice((1, 1, 2, 3))):
            size = chance.choice(_SIZES)
            yield brand, name, kind, trait, f"{model}{colour[0].upper()}", f"{colour} {size}", price
            count -= 1


def _told(
    *, thing: tuple[str, str, str, str, str, str, float], name_id: str, chance: random.Random, own: bool
) -> Record:
    brand, name, kind, trait, model, look, price = thing
    words = [brand, name, trait, kind, look, model] if own else [name, kind, f"by {brand}", look.upper()]
    if not own and chance.random() < 0.6:
        words.append(f"{model[:2]}-{model[2:]}")
    if chance.random() < 0.2:
        words.pop(chance.randrange(1, 4))
    asked = price if chance.random() < 0.7 else round(price * chance.uniform(0.8, 1.2), 2)
    return Record(id=name_id, title=" ".join(words), price=asked if chance.random() < 0.9 else None)
