"""What is wrong with a barcode as typed, and what it probably was.

Rules: GS1 General Specifications 25, 1.4 (prefixes) and 7.9 (check digit); UPC-E expansion as in 5.2.2.4.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

PROBLEMS = {
    "": "",
    "empty": "No barcode.",
    "formatting": "Valid, but written with spaces, dashes, quotes or a decimal point.",
    "case": "A valid 14-digit number, but of a case or a pallet, not of one piece.",
    "scientific": "A spreadsheet turned the number into scientific notation; digits are lost.",
    "sku": "Letters in the barcode field: probably a SKU.",
    "isbn10": "An old 10-digit ISBN; barcodes carry the 13-digit form.",
    "placeholder": "A placeholder, not a number anybody was given.",
    "length": "Not 8, 12, 13 or 14 digits.",
    "zeros_lost": "Leading zeros are missing, as after a spreadsheet.",
    "check_digit_missing": "The last digit (check digit) seems cut off.",
    "check_digit": "The check digit does not fit: a digit is mistyped.",
    "in_store": "A number for use inside one store (prefix 02, 04 or 20-29), not a GTIN.",
    "coupon": "A coupon or refund number (prefix 05, 98 or 99), not a GTIN.",
    "variable": "A variable-measure number (14 digits beginning with 9), not a fixed product.",
}
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_NOISE = re.compile(r"[\s\-‐‑–.'\"`’=]")
_PLACEHOLDERS = {"123456789012", "1234567890128", "12345678", "1234567890", "123456789", "12345678901", "0123456789012"}


@dataclass(frozen=True, slots=True)
class GtinVerdict:
    """`gtin14` is filled only when valid; `suggestion` is what to write instead, or ""."""

    valid: bool
    gtin14: str
    problem: str  # a key of PROBLEMS
    suggestion: str

    @property
    def words(self) -> str:
        return PROBLEMS[self.problem]


def check_digit(digits: str) -> str:
    """The GS1 check digit that belongs after these digits (weights 3 and 1 from the right)."""
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def check(text: str) -> GtinVerdict:
    """Judge a barcode as typed. Never raises."""
    typed = unicodedata.normalize("NFKC", text).strip()
    if not typed:
        return _wrong("empty")
    if match := _SCIENTIFIC.fullmatch(typed.replace(" ", "")):
        return _from_scientific(match)
    plain = re.sub(r"[.,]0*$", "", typed)  # 9521234567897.0, from a spreadsheet
    digits = _NOISE.sub("", plain)
    if _is_isbn10(digits):
        return _wrong("isbn10", "978" + digits[:9] + check_digit("978" + digits[:9]))
    if not (digits.isascii() and digits.isdigit()):
        return _wrong("sku" if any(letter.isalpha() for letter in digits) else "length")
    return _of_digits(digits, changed=digits != text.strip())


def key(text: str) -> str:
    """14 digits to compare by: of the valid number, or of the one damage suggests; "" when it cannot be known."""
    verdict = check(text)
    if verdict.valid:
        return verdict.gtin14
    return verdict.suggestion.zfill(14) if verdict.suggestion else ""


def _wrong(problem: str, suggestion: str = "") -> GtinVerdict:
    return GtinVerdict(valid=False, gtin14="", problem=problem, suggestion=suggestion)


def _of_digits(digits: str, *, changed: bool) -> GtinVerdict:
    if len(set(digits)) == 1 or digits in _PLACEHOLDERS:
        return _wrong("placeholder")
    if len(digits) == 8 and digits[0] in "01" and (wide := _expand_upce(digits)):
        return GtinVerdict(
            valid=True,
            gtin14=wide.zfill(14),
            problem="formatting" if changed else "",
            suggestion=wide if changed else "",
        )
    if len(digits) > 14 or len(digits) < 7:
        return _wrong("length")
    fits = check_digit(digits[:-1]) == digits[-1]
    if fits and len(digits) in (8, 12, 13, 14):
        return _of_number(digits, changed=changed)
    if fits and len(digits) in (9, 10, 11):
        return _wrong("zeros_lost", digits.zfill(12))
    if len(digits) in (7, 11, 12):
        return _wrong("check_digit_missing", digits + check_digit(digits))
    return _wrong("check_digit" if len(digits) in (8, 13, 14) else "length")


def _of_number(digits: str, *, changed: bool) -> GtinVerdict:
    """The number is sound; is it a GTIN of a product?"""
    wide = digits.zfill(14)
    if len(digits) == 8:
        return _wrong("in_store") if digits[0] in "02" else _right(wide, digits, changed=changed)
    if wide[0] == "9":
        return _wrong("variable")
    prefix = wide[1:3]
    if prefix in ("02", "04") or prefix[0] == "2":
        return _wrong("in_store")
    if prefix in ("05", "98", "99"):
        return _wrong("coupon")
    if wide[0] != "0":
        return GtinVerdict(valid=True, gtin14=wide, problem="case", suggestion="")
    return _right(wide, digits, changed=changed)


def _right(wide: str, digits: str, *, changed: bool) -> GtinVerdict:
    return GtinVerdict(
        valid=True, gtin14=wide, problem="formatting" if changed else "", suggestion=digits if changed else ""
    )


def _from_scientific(match: re.Match[str]) -> GtinVerdict:
    """Only with every digit still in the mantissa can the number be written out again."""
    whole, fraction, exponent = match[1], match[2] or "", int(match[3])
    if len(fraction) == exponent:
        verdict = _of_digits(whole + fraction, changed=True)
        return _wrong("scientific", verdict.suggestion or whole + fraction) if verdict.valid else _wrong("scientific")
    return _wrong("scientific")


def _is_isbn10(text: str) -> bool:
    """Ten characters with a sound modulo-11 check, which do not read better as a shortened UPC."""
    if not re.fullmatch(r"\d{9}[\dXx]", text) or len(set(text)) == 1:
        return False
    values = [10 if letter in "Xx" else int(letter) for letter in text]
    sound = sum(value * (10 - place) for place, value in enumerate(values)) % 11 == 0
    return sound and not (text.isdigit() and check_digit(text[:-1]) == text[-1])


def _expand_upce(digits: str) -> str:
    """The 12-digit UPC of an 8-digit UPC-E (number system 0 or 1), "" when its check digit does not fit."""
    system, body, check_ = digits[0], digits[1:7], digits[7]
    last = body[5]
    if last in "012":
        item = body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        item = body[:3] + "00000" + body[3:5]
    elif last == "4":
        item = body[:4] + "00000" + body[4]
    else:
        item = body[:5] + "0000" + last
    return system + item + check_ if check_digit(system + item) == check_ else ""
