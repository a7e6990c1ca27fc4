"""SKUs and GTINs: compared after normalisation, kept as typed."""

import re
import unicodedata

# What people type for "none"; such a SKU never identifies anything (docs/faults.md, "an empty SKU linked").
NOT_A_SKU = {"", "0", "N/A", "NA", "NONE", "NULL", "-", "–", "TBC", "TBD"}
_SPACES = re.compile(r"\s+")


def sku_key(sku: str) -> str:
    """The SKU folded for comparison (case, width, spaces); "" for what is no SKU at all."""
    folded = _SPACES.sub(" ", unicodedata.normalize("NFKC", sku)).strip().upper()
    return "" if folded in NOT_A_SKU else folded


def gtin(code: str) -> str:
    """A GTIN-8, -12, -13 or -14 as 14 digits, or "" when the length or the GS1 check digit is wrong."""
    digits = code.strip().replace(" ", "").replace("-", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (8, 12, 13, 14) or int(digits) == 0:
        return ""
    padded = digits.zfill(14)
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(padded))
    return padded if total % 10 == 0 else ""
