"""Telling numbers: read again, compared, then written absolutely, with a mark that says which write it was.

WooCommerce sets a number and asks for no number before; it knows no idempotency key. So each product is read right
before it is written, and a number that is not the one we believed is STALE. With the number goes a hidden meta entry
that names the write: where an earlier attempt's answer was lost, its repeat finds the mark and leaves the number, which
may have moved since, alone. A sale between the reading and the writing is overwritten; docs/vendor-checks.md says so.

An answer may leave a product out, which says nothing about it: one missing from a reading is asked for by itself, one
missing from the answer to a write is looked for by its mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from channels.connectors.woocommerce import catalog, reading
from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.values import Json, by_product, number
from channels.ports import CountResult, CountWrite, WriteOutcome

MARK = "_storestudio_write"
GONE = "WooCommerce does not have it any more."
NOT_TOLD = "WooCommerce left it out of its answer, and has not taken the number."
NOT_COUNTED = "WooCommerce does not count it by itself: “Manage stock” is off there, or on for the whole product."


def write(client: Client, *, writes: Sequence[CountWrite], key: str) -> list[CountResult]:
    """One reading and at most one batch for all products, and as much for each product with variations; each reading
    right before its batch, so that the moment in which a sale would be overwritten is one call long.

    Raises ConnectorError; what was written before it carries the mark, so the same call again finishes the rest.
    """
    ours = {write.inventory_id: write for write in writes}
    results: dict[str, CountResult] = {}
    for product_id, numbers in by_product(ours).items():
        group = [ours[f"{product_id}/{one}" if product_id else one] for one in numbers]
        results |= _write_group(client, product_id, group, key=key)
    gone = CountResult(WriteOutcome.REFUSED, message=GONE)
    return [results.get(write.inventory_id, gone) for write in writes]


def _write_group(client: Client, product_id: str, group: Sequence[CountWrite], *, key: str) -> dict[str, CountResult]:
    """Products by themselves, or the variations of one product: read, then written in one batch."""
    results = _look(client, group, key=key)
    to_write = [write for write in group if write.inventory_id not in results]
    if not to_write:
        return results
    body = {"update": [entry(write, key=key) for write in to_write]}
    reply = client.update_variations(product_id, body) if product_id else client.update_products(body)
    told = {str(row.get("id")): row for row in reply.row.get("update") or []}
    results |= {
        write.inventory_id: outcome(write, told[_number(write)]) for write in to_write if _number(write) in told
    }
    return results | _left_out(client, [write for write in to_write if write.inventory_id not in results], key=key)


def _look(client: Client, group: Sequence[CountWrite], *, key: str) -> dict[str, CountResult]:
    """Read these; what needs no writing, or must not be written."""
    there = reading.surely(client, [write.inventory_id for write in group])
    results = {}
    for write in group:
        settled = _settled(write, there.get(write.inventory_id), key=key)
        if settled is not None:
            results[write.inventory_id] = settled
    return results


def _left_out(client: Client, group: Sequence[CountWrite], *, key: str) -> dict[str, CountResult]:
    """What became of writes that the answer does not name: done where their mark is found. What was not done is told
    later by itself, so that it keeps no other waiting."""
    not_told = {
        write.inventory_id: CountResult(WriteOutcome.STALE, write.from_quantity, message=NOT_TOLD) for write in group
    }
    return not_told | _look(client, group, key=key)


def _settled(write: CountWrite, document: Json | None, *, key: str) -> CountResult | None:
    """What needs no writing, or must not be written; None for what is to be written."""
    if document is None:
        return CountResult(WriteOutcome.REFUSED, message=GONE)
    shown = catalog.quantity(document)
    if shown is None:
        return CountResult(WriteOutcome.REFUSED, message=NOT_COUNTED)
    if catalog.meta(document).get(MARK) == key:
        return CountResult(WriteOutcome.APPLIED, shown)
    if shown != write.from_quantity:
        return CountResult(WriteOutcome.STALE, shown, message=f"It shows {shown}, not {write.from_quantity}.")
    return None


def _number(write: CountWrite) -> str:
    return write.inventory_id.rpartition("/")[2]


def entry(write: CountWrite, *, key: str) -> Json:
    """One object of a batch."""
    return {
        "id": int(_number(write)),
        "stock_quantity": number(write.to_quantity),
        "meta_data": [{"key": MARK, "value": key}],
    }


def outcome(write: CountWrite, row: Mapping[str, object]) -> CountResult:
    """What the answer shows."""
    error = row.get("error")
    if isinstance(error, dict):
        return CountResult(WriteOutcome.REFUSED, message=f"{error.get('code')}: {error.get('message')}")
    shown = catalog.quantity(row)
    if shown != write.to_quantity:
        return CountResult(WriteOutcome.REFUSED, message=f"WooCommerce took {write.to_quantity} and shows {shown}.")
    return CountResult(WriteOutcome.APPLIED, shown)
