"""Why a pair was proposed, in words and weights: the model's own log-odds, grouped as a person would name them."""

from __future__ import annotations

import math

from onboarding.matching import features
from onboarding.matching.profiles import Profile
from onboarding.matching.training import Floats, Weights

Evidence = tuple[tuple[str, float], ...]

GROUPS: dict[str, tuple[str, ...]] = {
    "gtin": ("gtin_equal", "gtin_close"),
    "sku": ("sku_equal", "sku_loose"),
    "title": (
        "cosine",
        "covered_least",
        "covered_most",
        "early_conflict",
        "jaccard",
        "shared_weight",
        "rarest_shared",
        "early_least",
        "early_most",
        "spelling",
        "first_equal",
    ),
    "code": ("code_equal", "code_partly", "code_conflict", "described_code"),
    "number": ("number_shared", "number_conflict", "number_extra", "early_number_conflict"),
    "quantity": ("quantity_equal", "quantity_conflict"),
    "size": ("size_equal", "size_conflict"),
    "colour": ("colour_equal", "colour_conflict", "colour_least", "colour_most"),
    "option": ("option_missing", "option_conflict"),
    "alternative": ("alternative",),
    "described": ("described",),
    "price": ("price_near", "price_far"),
    "brand": ("brand_equal", "brand_conflict"),
}
ALWAYS = ("gtin", "sku", "title")
SHOWN_FROM = 0.25  # log-odds; less than this would be noise on the screen


def explain(
    *, left: Profile, right: Profile, row: features.Matrix, rivals: Floats, weights: Weights, common: float
) -> Evidence:
    """The items sum (but for those too small to show) to the log-odds. ``common``: how usual matches are here."""
    scaled = row * weights.pair * weights.scale
    parts = {group: float(sum(scaled[features.COLUMN[n]] for n in names)) for group, names in GROUPS.items()}
    parts["title"] += weights.pair_start * weights.scale + weights.start
    items = [
        (_words(group=group, left=left, right=right, row=row), weight)
        for group, weight in parts.items()
        if group == "title" or abs(weight) >= SHOWN_FROM
    ]
    lead = float(weights.lead(rivals))
    items.append(("others fit as well", lead))
    items.append(("matches are common here" if common > 0 else "matches are rare here", common))
    kept = [
        (words, round(weight, 1)) for words, weight in items if words.startswith("title") or abs(weight) >= SHOWN_FROM
    ]
    return tuple(sorted(kept, key=lambda item: -abs(item[1])))


# Group -> the feature that tells which way it goes, what is said if it is there, what if it is not.
_PHRASES: dict[str, tuple[str, str, str]] = {
    "gtin": ("gtin_equal", "GTIN equal", "GTIN equal but for damage"),
    "number": ("number_conflict", "numbers differ", "numbers"),
    "quantity": ("quantity_conflict", "quantity differs", "quantity equal"),
    "size": ("size_conflict", "size differs", "size equal"),
    "colour": ("colour_conflict", "colour differs", "colour equal"),
    "option": ("option_conflict", "option differs", "option missing"),
    "alternative": ("alternative", "a word that tells siblings apart differs", ""),
    "described": ("described", "named in the description", ""),
    "brand": ("brand_conflict", "brand differs", "brand equal"),
}


def _words(*, group: str, left: Profile, right: Profile, row: features.Matrix) -> str:
    value = {name: float(row[features.COLUMN[name]]) for name in GROUPS[group]}
    if group == "sku":
        return _sku_words(left=left, right=right)
    if group == "price":
        return _price_words(left=left, right=right)
    if group == "title":
        return f"title {(value['covered_least'] + value['covered_most']) / 2:.2f}"
    if group == "code":
        if value["code_equal"] or value["described_code"]:
            return "model number equal"
        return "model numbers differ" if value["code_conflict"] else "model number begins alike"
    name, there, absent = _PHRASES[group]
    return there if value[name] else absent


def _sku_words(*, left: Profile, right: Profile) -> str:
    if left.sku[0] == right.sku[0]:
        return "SKU equal"
    return "SKU equal without dashes" if left.sku[1] == right.sku[1] else "SKU equal but for prefix or zeros"


def _price_words(*, left: Profile, right: Profile) -> str:
    a, b = left.record.price, right.record.price
    if not a or not b:
        return "price"
    percent = round(abs(a - b) / max(a, b) * 100)
    return f"price differs {percent} %" if percent else "price equal"


def in_one_line(*, evidence: Evidence, probability: float) -> str:
    """``GTIN equal +12 · price differs 40 % −2 → very likely``."""
    parts = [f"{words} {'+' if weight >= 0 else '−'}{abs(weight):g}" for words, weight in evidence]
    return f"{' · '.join(parts)} → {likelihood(probability)}"


def likelihood(probability: float) -> str:
    for at_least, words in ((0.995, "almost certain"), (0.9, "very likely"), (0.6, "likely"), (0.3, "possible")):
        if probability >= at_least:
            return words
    return "unlikely"


def strength(probability: float) -> float:
    """Log-odds of a probability, bounded."""
    p = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(p / (1 - p))
