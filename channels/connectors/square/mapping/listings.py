"""A variation's writable fields: read from its document, and put into a copy of it that keeps all the rest.

Square-Version 2026-09-16. An upsert replaces the whole object, so what is sent is what was read with only the wanted
fields changed. https://developer.squareup.com/docs/catalog-api/update-catalog-objects
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from channels.connectors.square.mapping import catalog
from channels.connectors.square.mapping.values import Json
from channels.ports import ListingFields, ListingNow, ListingWrite

# SKU, barcode and name of a variation; counting is at the variation and, by exception, at a location.
KEYS = {"sku": "sku", "gtin": "upc", "options": "name"}
TRACKED, OVERRIDES = "track_inventory", "location_overrides"
WRITABLE = frozenset({"sku", "gtin", "options", "is_tracked"})
# Square's to say; sent back they are ignored at best.
READ_ONLY_OVERRIDES = ("sold_out", "sold_out_valid_until")


def now(variation: Json) -> ListingNow:
    """A variation as it is now. "Regular", the name of an only variation, is no option."""
    told = catalog.listing(variation=variation, item={}, related={})
    fields = ListingFields(
        sku=told.sku,
        gtin=told.barcode,
        options=told.options,
        is_tracked=told.is_tracked,
        sells_past_zero=told.sells_past_zero,
    )
    return ListingNow(external_id=told.external_id, title=told.title, fields=fields, own=variation)


def refusal(write: ListingWrite) -> str:
    """Why this variation cannot be written as wanted; "" where it can.

    The name of a variation that is made of item options follows from them.
    https://developer.squareup.com/docs/catalog-api/item-options-migration
    """
    if write.after.options is not None and _data(write.before).get("item_option_values"):
        return "Square makes this variation's name from its option sets: change the option there."
    return ""


def changed(write: ListingWrite) -> dict[str, Any]:
    """The whole ITEM_VARIATION as read, `version` included, with only the wanted fields changed."""
    entry = copy.deepcopy(dict(write.before))
    data = entry["item_variation_data"]
    _without_read_only(data)
    earlier = _data(write.put_back) if write.put_back is not None else None
    for name, key in KEYS.items():
        wanted = getattr(write.after, name)
        if wanted is None:
            continue
        value = earlier.get(key) if earlier is not None else _text(name, wanted)
        if value is None or (earlier is None and value == ""):
            data.pop(key, None)
        else:
            data[key] = value
    if write.after.is_tracked is not None:
        _track(data, earlier=earlier, is_tracked=write.after.is_tracked)
    return entry


def _text(name: str, wanted: Any) -> str:
    return str(next(iter(wanted.values()), "")) if name == "options" else str(wanted)


def _track(data: dict[str, Any], *, earlier: Json | None, is_tracked: bool) -> None:
    """Counting on or off everywhere, or as an earlier document had it at each place."""
    before = {} if earlier is None else {entry["location_id"]: entry for entry in earlier.get(OVERRIDES) or []}
    _set(data, earlier, is_tracked)
    for override in data.get(OVERRIDES) or []:
        if TRACKED in override or TRACKED in before.get(override["location_id"], {}):
            _set(override, None if earlier is None else before.get(override["location_id"], {}), is_tracked)


def _set(part: dict[str, Any], earlier: Json | None, is_tracked: bool) -> None:
    if earlier is None:
        part[TRACKED] = is_tracked
    elif TRACKED in earlier:
        part[TRACKED] = earlier[TRACKED]
    else:
        part.pop(TRACKED, None)


def _without_read_only(data: dict[str, Any]) -> None:
    """Overrides that only say "sold out" are Square's own printing, not the merchant's setting."""
    if not data.get(OVERRIDES):
        return
    kept = []
    for override in data[OVERRIDES]:
        own = {name: value for name, value in override.items() if name not in READ_ONLY_OVERRIDES}
        if len(own) > 1 or len(own) == len(override):
            kept.append(own)
    if kept:
        data[OVERRIDES] = kept
    else:
        del data[OVERRIDES]


def is_as_wanted(write: ListingWrite, variation: Json) -> bool:
    """Whether the fields of this write are there already: an earlier attempt got through."""
    return _part(changed(write), write.after) == _part(variation, write.after)


def _part(entry: Json, after: ListingFields) -> Mapping[str, Any]:
    data = _data(entry)
    part = {key: data.get(key) or "" for name, key in KEYS.items() if getattr(after, name) is not None}
    if after.is_tracked is not None:
        part[TRACKED] = bool(data.get(TRACKED))
        part[OVERRIDES] = {
            override["location_id"]: override[TRACKED] for override in data.get(OVERRIDES) or [] if TRACKED in override
        }
    return part


def _data(entry: Json) -> Json:
    data: Json = entry.get("item_variation_data") or {}
    return data
