"""Writing catalog fields: item by item, each right after a fresh read.

https://developers.lightspeedhq.com/retail/endpoints/Item/#put-update-an-item: no version can be given with a write;
only the fields given change. The SKU is the shop's own, `customSku`. Names of attributes belong to a set that many
items share, and whether an item is counted is its type, which its quantities hang on: neither is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.connectors.rseries.client import LIMIT, Client
from channels.connectors.rseries.mapping import RELATIONS, barcode, is_tracked, options, sku
from channels.connectors.rseries.values import Json, any_of, chunks, is_true, numbers, text
from channels.ports import ConnectorError, ListingFields, ListingNow, ListingResult, ListingWrite, WriteOutcome

WRITABLE = frozenset({"sku", "gtin", "options"})
GONE = "It is not there any more."
CHANGED = "It was changed at Lightspeed meanwhile."
KEPT = ("itemID", "systemSku", "customSku", "upc", "ean", "itemType", "ItemAttributes")
UPC_DIGITS = 12


def read(client: Client, *, external_ids: Sequence[str]) -> list[ListingNow]:
    """Items as they are now; what was archived is missing."""
    return [_now(one) for one in items(client, external_ids)]


def items(client: Client, ids: Sequence[str]) -> list[Json]:
    """Items that are not archived, a hundred a call."""
    return [
        one
        for chunk in chunks(numbers(ids), LIMIT)
        for one in client.everything("Item", {"itemID": any_of(chunk), "archived": "false"}, relations=RELATIONS)
        if not is_true(one.get("archived"))
    ]


def _now(found: Json) -> ListingNow:
    chosen = options(found)
    return ListingNow(
        external_id=str(found["itemID"]),
        title=" / ".join(chosen.values()),
        fields=ListingFields(
            sku=sku(found), gtin=barcode(found), options=chosen, is_tracked=is_tracked(found), sells_past_zero=False
        ),
        own={name: found.get(name) for name in KEPT},
    )


def write(client: Client, *, writes: Sequence[ListingWrite]) -> list[ListingResult]:
    """Each by itself: one that cannot be written stops no other."""
    return [_write(client, one) for one in writes]


def _write(client: Client, one: ListingWrite) -> ListingResult:
    if any(old != new for old, new in (one.after.option_names or {}).items()):
        return ListingResult(WriteOutcome.REFUSED, "An attribute's name belongs to all items of a Lightspeed set.")
    there = next(iter(items(client, [one.external_id])), None)
    if there is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    seen, wanted, now = parts(one.before, one.after), _wanted(one, there), parts(there, one.after)
    if now == wanted:
        return ListingResult(WriteOutcome.APPLIED, now=_now(there))
    if any(value not in (seen.get(name), wanted.get(name)) for name, value in now.items()):
        return ListingResult(WriteOutcome.STALE, CHANGED, now=_now(there))
    try:
        client.update_item(one.external_id, _body(now, wanted))
    except ConnectorError as error:
        if not error.permanent or error.needs_reconnect:
            raise
        return ListingResult(WriteOutcome.REFUSED, str(error), now=_now(there))
    after = next(iter(items(client, [one.external_id])), None)
    if after is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    if parts(after, one.after) != wanted:
        return ListingResult(WriteOutcome.REFUSED, "Lightspeed took it and shows something else.", now=_now(after))
    return ListingResult(WriteOutcome.APPLIED, now=_now(after))


def parts(found: Json, after: ListingFields) -> dict[str, str]:
    """The vendor's values of the fields a write is about, by the vendor's names."""
    named: dict[str, str] = {}
    if after.sku is not None:
        named["customSku"] = text(found.get("customSku"))
    if after.gtin is not None:
        named |= {name: text(found.get(name)) for name in ("upc", "ean")}
    if after.options is not None:
        chosen = found.get("ItemAttributes") or {}
        named |= {f"attribute{n}": text(chosen.get(f"attribute{n}")) for n in (1, 2, 3) if chosen}
    return named


def _wanted(one: ListingWrite, there: Json) -> dict[str, str]:
    if one.put_back is not None:
        return parts(one.put_back, one.after)
    wanted = parts(there, one.after)
    if one.after.sku is not None and one.after.sku != sku(there):
        wanted["customSku"] = one.after.sku
    if one.after.gtin is not None and one.after.gtin != barcode(there):
        is_upc = len(one.after.gtin) == UPC_DIGITS
        wanted |= {"upc": one.after.gtin if is_upc else "", "ean": "" if is_upc else one.after.gtin}
    names = (there.get("ItemAttributes") or {}).get("ItemAttributeSet") or {}
    for n in (1, 2, 3):
        value = (one.after.options or {}).get(text(names.get(f"attributeName{n}")))
        if value is not None and f"attribute{n}" in wanted:
            wanted[f"attribute{n}"] = value
    return wanted


def _body(now: dict[str, str], wanted: dict[str, str]) -> dict[str, Any]:
    """Only what changes; attributes are an object of their own."""
    changed = {name: value for name, value in wanted.items() if now.get(name) != value}
    chosen = {name: value for name, value in changed.items() if name.startswith("attribute")}
    plain = {name: value for name, value in changed.items() if name not in chosen}
    return plain | ({"ItemAttributes": chosen} if chosen else {})
