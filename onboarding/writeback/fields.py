"""What a listing should be like on its channel, from the variant it is linked to and what was wished for it. Pure.

Where a channel knows options (Shopify) they are written one by one; an option's name is changed only where the names
on both sides pair up without a doubt. Where it knows one name a variation (Square), that name is the option values in
the variant's own order: “Red, XL”. A name that says the same values with other signs between them is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.models import Listing
from channels.ports import Capabilities, ListingFields
from inventory import identifiers
from inventory.models import Variant

VARIATION = "Variation"  # the one option of a channel that joins them
LABELS = {
    "sku": "SKU", "gtin": "Barcode", "options": "Options", "is_tracked": "Stock counted",
    "sells_past_zero": "Sells on at zero",
}  # fmt: skip
SHARED, REPLACED, STARTS = "sku_shared", "barcode_replaced", "starts_counting"
_SIGNS = re.compile(r"\s*[,/|·;]\s*")
Json = dict[str, Any]


@dataclass
class Difference:
    """One listing's fields that should be written: as they are, as they should be, and what to look at first."""

    listing: Listing
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def set(self, name: str, before: Any, after: Any) -> None:
        """This field differs."""
        self.before[name], self.after[name] = before, after


def difference(listing: Listing, *, wishes: Mapping[str, Any], capabilities: Capabilities) -> Difference:
    """What differs and can be written there; a wish for a field goes before what follows from the variant."""
    found = Difference(listing)
    variant = listing.variant if listing.variant is not None and listing.variant.archived_at is None else None
    writable = capabilities.listing_fields
    if "sku" in writable:
        _sku(found, str(wishes.get("sku", variant.sku if variant else "")).strip(), capabilities, "sku" in wishes)
    if "gtin" in writable:
        _gtin(found, str(wishes.get("gtin", variant.gtin if variant else "")), capabilities, "gtin" in wishes)
    if "options" in writable and variant is not None:
        (_joined if capabilities.joins_options else _separate)(found, variant)
    # Kept in step only what is counted; what sells on at zero oversells.
    if "is_tracked" in writable and listing.is_tracked != wishes.get("is_tracked", True):
        found.set("is_tracked", listing.is_tracked, not listing.is_tracked)
        if not listing.is_tracked:
            found.flags.append(STARTS)
    if "sells_past_zero" in writable and listing.sells_past_zero != wishes.get("sells_past_zero", False):
        found.set("sells_past_zero", listing.sells_past_zero, not listing.sells_past_zero)
    return found


def _sku(found: Difference, wanted: str, capabilities: Capabilities, is_wished: bool) -> None:
    listing = found.listing
    if wanted == listing.sku or (not is_wished and not identifiers.sku_key(wanted)):
        return
    if len(wanted) > capabilities.sku_length_max:
        found.notes.append(f"The SKU {wanted} is longer than {capabilities.sku_length_max} characters.")
        return
    found.set("sku", listing.sku, wanted)


def _gtin(found: Difference, wanted: str, capabilities: Capabilities, is_wished: bool) -> None:
    there = found.listing.barcode or found.listing.gtin
    code = identifiers.gtin(wanted)
    if not code:
        if is_wished and not wanted and there:
            found.set("gtin", there, "")
        return
    if code == identifiers.gtin(there):
        return
    found.set("gtin", there, barcode(code, digits_min=capabilities.barcode_digits_min))
    if found.listing.gtin:
        found.flags.append(REPLACED)


def barcode(gtin: str, *, digits_min: int) -> str:
    """A 14-digit GTIN as it is printed: the shortest of 8, 12, 13 or 14 digits that loses nothing."""
    sizes = (size for size in (8, 12, 13, 14) if size >= digits_min and not gtin[: 14 - size].strip("0"))
    return gtin[-next(sizes, 14) :]


def in_order(variant: Variant) -> list[str]:
    """The option values as the variant's title has them; the stored options have no order of their own."""
    places = {value: place for place, value in enumerate(variant.title.split(" / "))}
    values = [str(value) for value in variant.options.values() if str(value).strip()]
    return sorted(values, key=lambda value: places.get(value, len(places)))


def _joined(found: Difference, variant: Variant) -> None:
    values, there = in_order(variant), str(found.listing.options.get(VARIATION, ""))
    if values and sorted(_SIGNS.split(there.strip())) != sorted(values):
        found.set("options", dict(found.listing.options), {VARIATION: ", ".join(values)})


def _separate(found: Difference, variant: Variant) -> None:
    there, wanted = found.listing.options, variant.options
    if not there or not wanted:
        return
    if list(wanted) == [VARIATION]:
        wanted = _named_as_there(there, str(wanted[VARIATION]))
    names = paired(there, wanted)
    if names is None:
        found.notes.append(f"Its options are {', '.join(there)} there and {', '.join(wanted)} here.")
        return
    after = {new: str(wanted[new]) for new in names.values()}
    if after != there:
        found.set("options", dict(there), after)
        renamed = {old: new for old, new in names.items() if old != new}
        if renamed:
            found.after["option_names"] = renamed


def _named_as_there(there: Mapping[str, Any], joined: str) -> Mapping[str, Any]:
    """What came from a till has values and no option names: those of the channel stay, and only a value may differ."""
    if len(there) == 1:
        return dict.fromkeys(there, joined)
    if _words(joined) == sorted(word for value in there.values() for word in _words(value)):
        return there
    return {VARIATION: joined}


def paired(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """Which option there is which of ours: same name, then same name in other letters, then same value, then the only
    ones left. None where that leaves a doubt."""
    if len(there) != len(wanted):
        return None
    names: dict[str, str] = {}
    for is_same in (
        lambda old, new: old == new,
        lambda old, new: _folded(old) == _folded(new),
        lambda old, new: _folded(there[old]) == _folded(wanted[new]),
        lambda old, new: True,
    ):
        for old in [name for name in there if name not in names]:
            fits = [new for new in wanted if new not in names.values() and is_same(old, new)]
            if len(fits) == 1:
                names[old] = fits[0]
    return names if len(names) == len(there) else None


def _words(joined: Any) -> list[str]:
    """What stands between the signs, a value with a sign of its own (“S/M”) included."""
    return sorted(map(_folded, _SIGNS.split(str(joined).strip())))


def _folded(text: Any) -> str:
    return " ".join(str(text).split()).casefold()


def to_fields(stored: Json) -> ListingFields:
    """The stored fields as a connector takes them."""
    return ListingFields(**stored)


def is_as(stored: Json, now: ListingFields) -> bool:
    """Whether a listing is as these stored fields say. A barcode may be written with or without leading zeros, and an
    option may have its new name already."""
    names = stored.get("option_names") or {}
    for name, value in stored.items():
        there = getattr(now, name, None)
        if name == "gtin":
            same = there == value or (identifiers.gtin(value) != "" and identifiers.gtin(value) == _gtin_of(there))
        elif name == "options":
            same = _renamed(value, names) == _renamed(there or {}, names)
        else:
            same = name == "option_names" or there == value
        if not same:
            return False
    return True


def _gtin_of(text: Any) -> str:
    return identifiers.gtin(str(text or ""))


def _renamed(options: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(name, name): value for name, value in options.items()}


def swapped(before: Json, after: Json) -> tuple[Json, Json]:
    """Before and after of the way back."""
    was, will = dict(after), dict(before)
    names = was.pop("option_names", None)
    if names:
        will["option_names"] = {new: old for old, new in names.items()}
    return was, will


def told(fields: ListingFields, names: Mapping[str, Any]) -> Json:
    """These fields of what is there, JSON-ready."""
    return {
        name: dict(value) if isinstance(value := getattr(fields, name), Mapping) else value
        for name in names
        if name in LABELS
    }
