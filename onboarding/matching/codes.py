"""Identifiers as they arrive: model numbers inside titles, SKUs in many spellings, barcodes a spreadsheet damaged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from onboarding.matching import text

_STEM = re.compile(r"^([a-z]*\d+(?:[a-z]+\d+)*)[a-z]{1,5}$")
_SCIENTIFIC = re.compile(r"^(\d(?:[.,]\d+)?)e\+?(\d{1,2})$")
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")

GtinVerdict = Literal["equal", "repaired", "rounded", "different", "unknown"]


def check_digit(digits: str) -> str:
    """GS1's modulo 10 over all digits before the check digit, weight 3 on the rightmost."""
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return str(-total % 10)


@dataclass(frozen=True, slots=True)
class Gtin:
    """A barcode as typed: ``valid`` is its 14 digits when the check digit agrees, ``damaged`` what else it may be."""

    valid: str = ""
    repaired: str = ""  # 14 digits, had the check digit been cut off
    rounded: tuple[str, int] | None = None  # leading digits and the count of digits, from 9.52E+12


def read_gtin(raw: str) -> Gtin:
    """Leading zeros lost, padding to 14, blanks and dashes are all one number; anything else is no evidence."""
    typed = re.sub(r"[\s-]+", "", raw).casefold()
    scientific = _SCIENTIFIC.match(typed)
    if scientific:
        return Gtin(rounded=(scientific[1].replace(",", "").replace(".", ""), int(scientific[2]) + 1))
    if typed.endswith(".0"):
        typed = typed[:-2]
    if not typed.isascii() or not typed.isdigit() or not typed.strip("0"):
        return Gtin()
    digits = typed.lstrip("0")
    if not 7 <= len(digits) <= 14:
        return Gtin()
    full = digits.zfill(14)
    valid = full if full[-1] == check_digit(full[:-1]) else ""
    repaired = (digits + check_digit(digits)).zfill(14) if len(digits) <= 13 else ""
    return Gtin(valid=valid, repaired=repaired)


def compare_gtins(left: Gtin, right: Gtin) -> GtinVerdict:
    """``different`` only for two valid numbers, neither of which is the other with its check digit cut off."""
    if left.valid and left.valid == right.valid:
        return "equal"
    if (left.repaired and left.repaired == right.valid) or (right.repaired and right.repaired == left.valid):
        return "repaired"
    for one, other in ((left, right), (right, left)):
        if one.rounded and other.valid:
            head, length = one.rounded
            digits = other.valid.lstrip("0")
            return "rounded" if len(digits) == length and _rounds_to(digits, head) else "unknown"
    return "different" if left.valid and right.valid else "unknown"


def _rounds_to(digits: str, head: str) -> bool:
    kept = len(head)
    return abs(int(digits[: kept + 1].ljust(kept + 1, "0")) - int(head) * 10) <= 5


def sku_forms(raw: str) -> tuple[str, str, str]:
    """A SKU as typed (outer blanks off), without case and separators, and without padding zeros as well."""
    typed = raw.strip()
    bare = text.compact(typed.casefold())
    return typed, bare, text.compact(_ZEROS.sub("", re.sub(r"[^a-z0-9]+|(?<=[a-z])(?=\d)", "-", typed.casefold())))


def codes_of(*, words: tuple[str, ...]) -> dict[str, bool]:
    """Model numbers in a text, compact; True for one written as one word, False for one joined over a blank."""
    found: dict[str, bool] = {}
    for word in words:
        bare = text.compact(word)
        spoken = bare != word and any(part.isalpha() and len(part) >= 4 for part in text.pieces(word))
        if len(bare) >= 4 and not spoken and (text.is_code(bare) or (bare.isdigit() and len(bare) >= 5)):
            found[bare] = True
    for size in (2, 3):
        for i in range(len(words) - size + 1):
            run = words[i : i + size]
            if any(len(w) > 8 or text.quantity(w) for w in run):
                continue
            joined = text.compact("".join(run))
            if 4 <= len(joined) <= 14 and text.is_code(joined):
                found.setdefault(joined, False)
    return found


def stem(code: str) -> str:
    """A code without its last letters, which often name colour or region: ``kxtg6700b`` is ``kxtg6700``."""
    found = _STEM.match(code)
    return found[1] if found and len(found[1]) >= 4 else code


def shared_prefix(left: str, right: str) -> int:
    limit = min(len(left), len(right))
    for i in range(limit):
        if left[i] != right[i]:
            return i
    return limit
