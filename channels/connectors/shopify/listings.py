"""Writing catalog fields to Shopify: product by product, each right after a fresh read. Admin GraphQL 2026-10.

Shopify has no compare-and-set for a variant and no idempotency key for these mutations. So every write is preceded by
a read in the same call, a field that is neither as it was seen nor as it should be keeps the variant from being
written, and what an earlier attempt wrote is recognised by its values. What remains is the moment between the two
calls; docs/vendor-checks.md says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from channels.connectors.shopify import documents
from channels.connectors.shopify.client import Client
from channels.connectors.shopify.mapping import DEFAULT_OPTION, Json
from channels.ports import ListingFields, ListingNow, ListingResult, ListingWrite, WriteOutcome

WRITABLE = frozenset({"sku", "gtin", "options", "is_tracked", "sells_past_zero"})
READS_MAX = 40  # ids of one call: the cost decides
GONE = "It is not there any more."
CHANGED = "It was changed at Shopify meanwhile."


def read(client: Client, *, external_ids: Sequence[str]) -> list[ListingNow]:
    """Variants as they are now; what was deleted is missing."""
    return [_now(node) for node in _nodes(client, external_ids).values()]


def _nodes(client: Client, ids: Sequence[str]) -> dict[str, Json]:
    names = list(dict.fromkeys(ids))
    found: dict[str, Json] = {}
    for start in range(0, len(names), READS_MAX):
        chunk = names[start : start + READS_MAX]
        data = client.run(documents.LISTINGS, {"ids": chunk}, operation="StudioListings")
        found |= {node["id"]: node for node in data["nodes"] if node and node.get("inventoryItem")}
    return found


def _now(node: Json) -> ListingNow:
    options = {one["name"]: one["value"] for one in node["selectedOptions"]}
    options = {} if options == DEFAULT_OPTION else options
    fields = ListingFields(
        sku=node["inventoryItem"]["sku"] or "",
        gtin=node["barcode"] or "",
        options=options,
        is_tracked=node["inventoryItem"]["tracked"],
        sells_past_zero=node["inventoryPolicy"] == "CONTINUE",
    )
    kept = ("id", "barcode", "inventoryPolicy", "selectedOptions", "inventoryItem")
    own = {name: node[name] for name in kept}
    return ListingNow(external_id=node["id"], title=" / ".join(options.values()), fields=fields, own=own)


def write(client: Client, *, writes: Sequence[ListingWrite]) -> list[ListingResult]:
    """One call a product, and one more for each of its options that gets another name."""
    there = _nodes(client, [write.external_id for write in writes])
    results: dict[str, ListingResult] = {}
    waiting: dict[str, list[ListingWrite]] = {}
    for one in writes:
        node = there.get(one.external_id)
        settled = _settled(one, node)
        if settled is not None:
            results[one.external_id] = settled
        elif node is not None:
            waiting.setdefault(node["product"]["id"], []).append(one)
    for product_id, ours in waiting.items():
        results |= _write_product(client, product_id, ours, there, all_of_it=writes)
    return [results[one.external_id] for one in writes]


def _settled(write: ListingWrite, node: Json | None) -> ListingResult | None:
    """What needs no writing: gone, changed by somebody, or as wanted already; None for what is to be written."""
    if node is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    seen, wanted, now = _parts(write.before, write.after), _wanted(write), _parts(node, write.after)
    if now == wanted:
        return ListingResult(WriteOutcome.APPLIED, now=_now(node))
    # An attempt that died between two calls leaves some fields as wanted and the rest as they were.
    if any(value not in (seen.get(name), wanted.get(name)) for name, value in now.items()):
        return ListingResult(WriteOutcome.STALE, CHANGED, now=_now(node))
    return None


def _parts(node: Json, after: ListingFields) -> dict[str, Any]:
    """The vendor's values of the fields a write is about; options by place, since their names may change."""
    parts: dict[str, Any] = {}
    if after.sku is not None:
        parts["sku"] = node["inventoryItem"]["sku"] or ""
    if after.gtin is not None:
        parts["barcode"] = node["barcode"] or ""
    if after.is_tracked is not None:
        parts["tracked"] = node["inventoryItem"]["tracked"]
    if after.sells_past_zero is not None:
        parts["inventoryPolicy"] = node["inventoryPolicy"]
    if after.options is not None:
        for place, one in enumerate(node["selectedOptions"]):
            parts[f"name {place}"], parts[f"value {place}"] = one["name"], one["value"]
    return parts


def _wanted(write: ListingWrite) -> dict[str, Any]:
    if write.put_back is not None:
        return _parts(write.put_back, write.after)
    after, wanted = write.after, dict[str, Any]()
    if after.sku is not None:
        wanted["sku"] = after.sku
    if after.gtin is not None:
        wanted["barcode"] = after.gtin
    if after.is_tracked is not None:
        wanted["tracked"] = after.is_tracked
    if after.sells_past_zero is not None:
        wanted["inventoryPolicy"] = "CONTINUE" if after.sells_past_zero else "DENY"
    if after.options is not None:
        for place, one in enumerate(write.before["selectedOptions"]):
            name = (after.option_names or {}).get(one["name"], one["name"])
            wanted[f"name {place}"], wanted[f"value {place}"] = name, after.options.get(name, one["value"])
    return wanted


def _write_product(
    client: Client,
    product_id: str,
    ours: Sequence[ListingWrite],
    there: Mapping[str, Json],
    *,
    all_of_it: Sequence[ListingWrite],
) -> dict[str, ListingResult]:
    refused = _rename_options(client, product_id, ours, there, all_of_it=all_of_it)
    if refused:
        return {one.external_id: ListingResult(WriteOutcome.REFUSED, refused) for one in ours}
    variables = {"product": product_id, "variants": [variant_input(one) for one in ours]}
    data = client.run(documents.UPDATE_VARIANTS, variables, operation="StudioUpdateVariants", is_write=True)
    payload = data["productVariantsBulkUpdate"]
    if payload["userErrors"]:
        return _refusals(payload["userErrors"], ours)
    nodes = {node["id"]: node for node in payload["productVariants"] or []}
    return {one.external_id: _told(one, nodes.get(one.external_id)) for one in ours}


def variant_input(write: ListingWrite) -> dict[str, Any]:
    """A variant's entry with the wanted fields and no other. An option's name is as it is after its renaming."""
    wanted = _wanted(write)
    entry: dict[str, Any] = {"id": write.external_id}
    if "barcode" in wanted:
        entry["barcode"] = _own(write, "barcode", wanted["barcode"])
    if "inventoryPolicy" in wanted:
        entry["inventoryPolicy"] = wanted["inventoryPolicy"]
    item = {name: wanted[name] for name in ("sku", "tracked") if name in wanted}
    if item:
        entry["inventoryItem"] = item
    places = [name.removeprefix("value ") for name in wanted if name.startswith("value ")]
    if places:
        entry["optionValues"] = [
            {"optionName": wanted[f"name {place}"], "name": wanted[f"value {place}"]} for place in places
        ]
    return entry


def _own(write: ListingWrite, name: str, value: Any) -> Any:
    """No barcode at all is null at Shopify, and goes back as null."""
    return write.put_back[name] if write.put_back is not None else value or None


def _rename_options(
    client: Client,
    product_id: str,
    ours: Sequence[ListingWrite],
    there: Mapping[str, Json],
    *,
    all_of_it: Sequence[ListingWrite],
) -> str:
    """Give the product's options their new names; why not, in words, where they are not all of one mind.

    An option's name belongs to the product: every variant of it must be among the writes and want the same name.
    """
    product = there[ours[0].external_id]["product"]
    renames = set(_renames(ours, there))
    if not renames:
        return ""
    mine = [one for one in all_of_it if there.get(one.external_id, {}).get("product", {}).get("id") == product_id]
    wanted = {tuple(sorted((one.after.option_names or {}).items())) for one in mine}
    if len(mine) < product["variantsCount"]["count"] or len(wanted) > 1:
        return "An option's name is shared by all variants of the product, and not all of them are in this batch."
    for old, new in sorted(renames):
        option = next((one["id"] for one in product["options"] if one["name"] == old), None)
        variables = {"product": product_id, "option": {"id": option, "name": new}}
        data = client.run(documents.RENAME_OPTION, variables, operation="StudioRenameOption", is_write=True)
        errors = data["productOptionUpdate"]["userErrors"]
        if errors:
            return _words(errors[0])
    return ""


def _renames(ours: Sequence[ListingWrite], there: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for one in ours:
        wanted = _wanted(one)
        for place, option in enumerate(there[one.external_id]["selectedOptions"]):
            name = wanted.get(f"name {place}", option["name"])
            if name != option["name"]:
                yield option["name"], name


def _refusals(errors: Sequence[Json], ours: Sequence[ListingWrite]) -> dict[str, ListingResult]:
    """Of a product of which nothing was written: who is to blame, and who only stood beside."""
    blamed: dict[str, str] = {}
    for error in errors:
        number = next((int(part) for part in error.get("field") or [] if str(part).isdigit()), None)
        for one in ours if number is None or number >= len(ours) else [ours[number]]:
            blamed.setdefault(one.external_id, _words(error))
    return {
        one.external_id: ListingResult(WriteOutcome.REFUSED, blamed[one.external_id])
        if one.external_id in blamed
        else ListingResult(WriteOutcome.SKIPPED)
        for one in ours
    }


def _told(write: ListingWrite, node: Json | None) -> ListingResult:
    """An answer that does not show what was asked for is no success, whatever it leaves out of its errors."""
    if node is None:
        return ListingResult(WriteOutcome.SKIPPED)
    if _parts(node, write.after) != _wanted(write):
        return ListingResult(WriteOutcome.REFUSED, "Shopify took it and shows something else.", now=_now(node))
    return ListingResult(WriteOutcome.APPLIED, now=_now(node))


def _words(error: Json) -> str:
    return f"{error.get('code') or 'refused'}: {error['message']}"
