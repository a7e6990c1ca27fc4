"""Headers compared, and what is remembered about a set of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_NOT_WORD = re.compile(r"[\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(maxsize=5_000)
def folded(header: str) -> str:
    """Lower case words without accents and marks: "Variant SKU", "variant_sku" and "variantSku" are one."""
    plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", header).replace("ß", "ss"))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _NOT_WORD.sub(" ", letters.casefold()).strip()


def signature(headers: Iterable[str]) -> str:
    """32 hex digits that are equal for the same headers in any order: a mapping is remembered under it."""
    joined = "\n".join(sorted(folded(header) for header in headers))
    return hashlib.sha256(joined.encode()).hexdigest()[:32]
