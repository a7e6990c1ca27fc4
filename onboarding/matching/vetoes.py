"""Pairs that must not be, however much else agrees."""

from __future__ import annotations

from onboarding.matching import codes, spelling, text
from onboarding.matching.profiles import Profile


def vetoed(*, left: Profile, right: Profile) -> bool:
    """Whatever else agrees, these are two things: other valid GTINs; or, where no identifier says that a title is
    mistyped, another size among the options, another option, another pack."""
    verdict = codes.compare_gtins(left.gtin, right.gtin)
    if verdict != "unknown":
        return verdict == "different"
    if left.sku[1] and left.sku[1] == right.sku[1]:
        return False
    packs = left.quantities.get("pk"), right.quantities.get("pk")
    if packs[0] and packs[1] and packs[0].isdisjoint(packs[1]):
        return True
    stated = bool((left.options | right.options) & text.SIZES.keys())
    if stated and left.sizes and right.sizes and left.sizes.isdisjoint(right.sizes):
        return True
    return bool(left.record.options and right.record.options) and _options_clash(left=left, right=right)


def _options_clash(*, left: Profile, right: Profile) -> bool:
    """Both name an option, and no value of the one could be spelled as the other's."""
    theirs = {_option_name(name): value for name, value in right.record.options}
    for name, value in left.record.options:
        other = theirs.get(_option_name(name), "")
        mine, yours = set(text.words(value)), set(text.words(other))
        if mine and yours and mine.isdisjoint(yours) and not any(spelling.alike(a, b) for a in mine for b in yours):
            return True
    return False


def _option_name(name: str) -> str:
    folded = name.strip().casefold()
    return "color" if folded == "colour" else folded
