"""Whether one number is another one counted in packs: 24 pieces, 2 cases of 12."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

FACTOR_MAX = 500
USUAL = (6, 12, 24)  # told apart without a word only where several places agree on it
_DOZEN = re.compile(r"\bdozen\b|\bdutzend\b", re.IGNORECASE)
_PACK = re.compile(
    r"\b(?:case|box|pack|carton|crate|tray|bundle|sleeve|karton|kiste|pallet)s?\s*(?:of|à|a|x|×)?\s*(\d{1,3})\b"
    r"|\b(\d{1,3})\s*-?\s*(?:pack|pk|pcs|pieces|count|ct|er)\b"
    r"|(?:^|[\s(])[x×]\s?(\d{1,3})\b|\b(\d{1,3})\s?[x×](?=\s|$|\))",
    re.IGNORECASE,
)


def factors_named(texts: Iterable[str]) -> set[int]:
    """Pack sizes that titles and option values speak of: “case of 12”, “6-pack”, “x24”, “dozen”."""
    found: set[int] = set()
    for text in texts:
        found |= {int(next(filter(None, match.groups()))) for match in _PACK.finditer(text)}
        if _DOZEN.search(text):
            found.add(12)
    return {factor for factor in found if 1 < factor <= FACTOR_MAX}


def factor_between(before: Decimal, after: Decimal, *, factors: Iterable[int]) -> int | None:
    """The pack size by which one number is the other (packs are counted whole), or None. Zero tells nothing."""
    if before <= 0 or after <= 0 or before == after:
        return None
    small, large = sorted((before, after))
    fitting = [factor for factor in factors if large // factor == small]
    return max(fitting, default=None)
