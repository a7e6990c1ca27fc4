"""A list of items that a person scans or types: each code adds a line, the same code again one more unit.

The lines live in the form itself (`variant` and `v<id>-quantity`), so that nothing is stored before it is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from inventory import paging, queries
from inventory.forms import LINES_MAX, LineForm, one_more
from inventory.models import Variant
from storestudio.accounts.access import ShopRequest


@dataclass(frozen=True)
class Scanned:
    """The items chosen so far, and what the last code came to: an item `added`, or an `error` with suggestions."""

    chosen: Sequence[Variant]
    added: Variant | None = None
    said: str = ""
    code: str = ""
    error: str = ""
    suggestions: Sequence[Variant] = field(default_factory=list)

    def context(self) -> dict[str, Any]:
        """As inventory/_scan.html wants it."""
        return {
            "added": self.added,
            "said": self.said,
            "code": self.code,
            "code_error": self.error,
            "suggestions": self.suggestions,
        }


def is_scan(step: str) -> bool:
    """Whether the button pressed (or Enter in the scan field) only changes the lines."""
    return step == "add" or step.startswith(("take:", "drop:"))


def variants_of(request: ShopRequest, ids: Sequence[str]) -> list[Variant]:
    """The shop's variants of these keys, in the order given; a stranger's is not there."""
    keys = list(dict.fromkeys(key for key in map(paging.number, ids) if key is not None))[:LINES_MAX]
    known = Variant.objects.of(request.merchant).select_related("product").in_bulk(keys)
    return [known[key] for key in keys if key in known]


def scan(request: ShopRequest, data: QueryDict, step: str, *, lines_max: int = LINES_MAX) -> Scanned:
    """Add the scanned code or the chosen suggestion, or drop a line; `data` gets the new quantity."""
    chosen = variants_of(request, data.getlist("variant"))
    if step.startswith("drop:"):
        return Scanned([variant for variant in chosen if str(variant.pk) != step[5:]])
    code = data.get("code", "").strip()
    if step.startswith("take:"):
        found = variants_of(request, [step[5:]])
    elif code:
        found = queries.by_code(merchant=request.merchant, code=code)
        if len(found) != 1:
            suggestions = found or queries.resembling(merchant=request.merchant, code=code)
            error = _not_one(code, len(found), bool(suggestions))
            return Scanned(chosen, code=code, error=error, suggestions=suggestions)
    else:
        return Scanned(chosen, error="Scan or type a SKU or barcode first.")
    if not found:
        return Scanned(chosen)
    added = found[0]
    if added not in chosen and len(chosen) >= lines_max:
        return Scanned(chosen, code=code, error=f"{lines_max} items are the most. Finish these first.")
    name = f"v{added.pk}-quantity"
    data[name] = one_more(data.get(name, ""))
    said = f"{added.full_title}: {data[name]}"
    return Scanned([added, *(one for one in chosen if one.pk != added.pk)], added=added, said=said)


def _not_one(code: str, exact: int, has_suggestions: bool) -> str:
    if exact:
        return f"{exact} items share “{code}”. Choose the one you have."
    return f"No item has the SKU or barcode “{code}”." + (" Did you mean one of these?" if has_suggestions else "")


def unchecked(data: QueryDict, chosen: Sequence[Variant]) -> list[LineForm]:
    """The lines as typed so far, not yet judged."""
    return [
        LineForm(prefix=f"v{one.pk}", variant=one, initial={"quantity": data.get(f"v{one.pk}-quantity", "")})
        for one in chosen
    ]
