"""Writing catalog fields to WooCommerce: product by product, each right after a fresh read.

WooCommerce has neither versions nor keys for this. Every write follows a read in the same call; a field that is neither
as it was seen nor as it should be keeps the listing from being written, and what an earlier attempt wrote is recognised
by its values. What remains is the moment between the two calls (docs/vendor-checks.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels.connectors.woocommerce import attributes, catalog, reading
from channels.connectors.woocommerce.catalog import GTIN
from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.values import Json, by_product, id_of
from channels.ports import ListingFields, ListingNow, ListingResult, ListingWrite, WriteOutcome

WRITABLE = frozenset({"sku", "gtin", "options", "is_tracked", "sells_past_zero"})
KEPT = ("id", "sku", GTIN, "attributes", "manage_stock", "stock_quantity", "stock_status", "backorders")
# Put back together: WooCommerce forgets number and backorders of what it no longer counts.
STOCK_KEYS = ("manage_stock", "stock_quantity", "backorders")
GONE = "It is not there any more."
CHANGED = "It was changed at WooCommerce meanwhile."
UNCOUNTED = "WooCommerce sells what it does not count: it has no zero to stop at."


def read(client: Client, *, external_ids: Sequence[str]) -> list[ListingNow]:
    """Listings as they are now; what is gone is missing."""
    return [now(document) for document in reading.surely(client, external_ids).values()]


def now(document: Json) -> ListingNow:
    """A listing as it is now."""
    is_variation = document.get("type") == "variation"
    chosen = catalog.options(document) if is_variation else {}
    fields = ListingFields(
        sku=str(document.get("sku") or ""),
        gtin=str(document.get(GTIN) or ""),
        options=chosen,
        is_tracked=catalog.is_tracked(document),
        sells_past_zero=catalog.sells_past_zero(document),
    )
    own = {name: document[name] for name in KEPT if name in document}
    return ListingNow(id_of(document), " / ".join(chosen.values()), fields, own)


def write(client: Client, *, writes: Sequence[ListingWrite]) -> list[ListingResult]:
    """One batch for all products, and for each product with variations one, after its attributes where they change."""
    there = reading.surely(client, [one.external_id for one in writes])
    results: dict[str, ListingResult] = {}
    open_ones: dict[str, ListingWrite] = {}
    for one in writes:
        settled = _settled(one, there.get(one.external_id))
        if settled is None:
            open_ones[one.external_id] = one
        else:
            results[one.external_id] = settled
    for product_id, numbers in by_product(open_ones).items():
        ours = [open_ones[f"{product_id}/{number}" if product_id else number] for number in numbers]
        refused = attributes.prepare(client, product_id, ours, all_of_it=writes) if product_id else ""
        if refused:
            results |= {one.external_id: ListingResult(WriteOutcome.REFUSED, refused) for one in ours}
        else:
            results |= _batch(client, product_id, ours)
    return [results[one.external_id] for one in writes]


def _settled(write: ListingWrite, document: Json | None) -> ListingResult | None:
    """What needs no writing: gone, changed by somebody, as wanted already, impossible. None: it is to be written."""
    if document is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    shown, wanted = now(document), _wanted(write)
    before = now({**write.before, "type": document.get("type"), "parent_id": document.get("parent_id")}).fields
    there = _parts(shown.fields, write.after)
    if there == wanted:
        return ListingResult(WriteOutcome.APPLIED, now=shown)
    # An attempt that died between two calls leaves some fields as wanted and the rest as they were.
    seen = _parts(before, write.after)
    if any(value not in (seen.get(name), wanted.get(name)) for name, value in there.items()):
        return ListingResult(WriteOutcome.STALE, CHANGED, now=shown)
    is_counted = wanted.get("is_tracked", shown.fields.is_tracked)
    if not is_counted and wanted.get("sells_past_zero") is False and write.put_back is None:
        return ListingResult(WriteOutcome.REFUSED, UNCOUNTED, now=shown)
    return None


def _parts(fields: ListingFields, after: ListingFields) -> dict[str, Any]:
    """The fields a write is about; options by place, for their names may change."""
    parts = {
        name: getattr(fields, name)
        for name in ("sku", "gtin", "is_tracked", "sells_past_zero")
        if getattr(after, name) is not None
    }
    if after.options is not None:
        for place, pair in enumerate((fields.options or {}).items()):
            parts[f"option {place}"] = pair
    return parts


def _wanted(write: ListingWrite) -> dict[str, Any]:
    wanted = {
        name: getattr(write.after, name)
        for name in ("sku", "gtin", "is_tracked", "sells_past_zero")
        if getattr(write.after, name) is not None
    }
    if write.after.options is not None:
        for place, one in enumerate(attributes.wanted(write)):
            wanted[f"option {place}"] = (one["name"], one["option"])
    return wanted


def entry(write: ListingWrite) -> dict[str, Any]:
    """One object of a batch: the wanted fields and no other."""
    after, body = write.after, dict[str, Any](id=int(write.external_id.rpartition("/")[2]))
    if after.sku is not None:
        body["sku"] = _own(write, "sku", after.sku)
    if after.gtin is not None:
        body[GTIN] = _own(write, GTIN, after.gtin)
    if after.options is not None:
        body["attributes"] = attributes.wanted(write)
    if after.is_tracked is not None:
        body["manage_stock"] = _own(write, "manage_stock", after.is_tracked)
    is_counted = body.get("manage_stock", write.before.get("manage_stock")) is True
    if after.sells_past_zero is not None and is_counted:
        body["backorders"] = _own(write, "backorders", "yes" if after.sells_past_zero else "no")
    if write.put_back is not None and after.is_tracked:
        body |= {name: write.put_back[name] for name in STOCK_KEYS if write.put_back.get(name) is not None}
    if write.put_back is not None and after.is_tracked is False:
        body["stock_status"] = write.put_back.get("stock_status", "instock")
    return body


def _own(write: ListingWrite, name: str, value: Any) -> Any:
    return write.put_back.get(name, value) if write.put_back is not None else value


def _batch(client: Client, product_id: str, ours: Sequence[ListingWrite]) -> dict[str, ListingResult]:
    body = {"update": [entry(one) for one in ours]}
    reply = client.update_variations(product_id, body) if product_id else client.update_products(body)
    told = {str(row.get("id")): row for row in reply.row.get("update") or []}
    return {one.external_id: _told(one, told.get(one.external_id.rpartition("/")[2])) for one in ours}


def _told(write: ListingWrite, row: Mapping[str, Any] | None) -> ListingResult:
    """An answer that does not show what was asked for is no success."""
    if row is None:
        return ListingResult(WriteOutcome.SKIPPED)
    error = row.get("error")
    if isinstance(error, dict):
        if error.get("code") in reading.GONE_CODES:
            return ListingResult(WriteOutcome.STALE, GONE)
        return ListingResult(WriteOutcome.REFUSED, f"{error.get('code')}: {error.get('message')}")
    product_id, _, variation_id = write.external_id.partition("/")
    shown = now({**row, "type": "variation", "parent_id": int(product_id)} if variation_id else row)
    if _parts(shown.fields, write.after) != _wanted(write):
        return ListingResult(WriteOutcome.REFUSED, "WooCommerce took it and shows something else.", now=shown)
    return ListingResult(WriteOutcome.APPLIED, now=shown)
