"""Orders by state: what each line took from the stock and still holds, and what came back. Pure translation.

WooCommerce takes stock when an order is paid, processing, on hold or completed, and gives it back when it is cancelled
or pending again. Each line says in hidden meta what it holds (`_reduced_stock`) and what refunds put back on the shelf
(`_restock_refunded_items`): seen in orders of many shops, in no list of the documentation (docs/vendor-checks.md).
Where a line says nothing, because the shop counts no stock of it, the order's status does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from channels.connectors.woocommerce.catalog import meta
from channels.connectors.woocommerce.client import unreadable
from channels.connectors.woocommerce.values import PLACE, Json, decimal, listing_id, moment
from channels.ports import ChannelOrder, ChannelOrderLine, LineHold, OrderRef, ReturnLine

ZERO = Decimal(0)
HOLDING = {"processing", "on-hold", "completed", "refunded"}  # whose lines took their units, unless they say otherwise
LEFT = {"completed", "refunded"}  # whose units left the shop, or are given up


def ref(document: Json) -> OrderRef:
    """How new it is: to the second, so equal ones are read again."""
    return OrderRef(str(document["id"]), updated_at=moment(document.get("date_modified_gmt")))


def order(document: Json, *, refunds: Sequence[Json]) -> ChannelOrder:
    """A whole order. Raises ConnectorError for a document that is none.

    Not yet sent: committed is what its lines hold. Completed: all that was ever taken has left; what refunds put back
    came back to the shelf, what they did not is written off. Refunded in full without having been sent: the units that
    were not put back are gone for WooCommerce, so they are for us.
    """
    placed_at = moment(document.get("date_created_gmt"))
    if placed_at is None or not document.get("id"):
        raise unreadable("an order without id or date")
    status = str(document.get("status") or "")
    is_cancelled = status == "cancelled"
    given_back = _refunded(refunds)
    lines, returns = [], list[ReturnLine]()
    for entry in document.get("line_items") or []:
        name, units = str(entry["id"]), decimal(entry.get("quantity")) or ZERO
        holds, restocked = _taken(entry, status=status, units=units)
        committed = holds if status not in LEFT and not is_cancelled else ZERO
        fulfilled = holds + restocked if status in LEFT else ZERO
        lines.append(_line(entry, units=units, hold=LineHold(PLACE, committed, fulfilled)))
        if fulfilled:
            refunded = fulfilled if status == "refunded" else given_back.get(name, ZERO)
            returns += _returns(name, restocked=restocked, refunded=refunded, fulfilled=fulfilled)
    return ChannelOrder(
        external_id=str(document["id"]),
        number=str(document.get("number") or document["id"]),
        placed_at=placed_at,
        updated_at=moment(document.get("date_modified_gmt")) or placed_at,
        version=0,
        is_cancelled=is_cancelled,
        lines=lines,
        returns=returns,
        total=decimal(document.get("total")),
        left_at=moment(document.get("date_completed_gmt")),
        currency=str(document.get("currency") or ""),
    )


def _taken(entry: Json, *, status: str, units: Decimal) -> tuple[Decimal, Decimal]:
    """What a line holds of the stock now, and what refunds of it put back."""
    told = meta(entry)
    restocked = max(ZERO, decimal(told.get("_restock_refunded_items")) or ZERO)
    reduced = decimal(told.get("_reduced_stock"))
    if reduced is None:
        # Never counted there, or given back since: then its status is one that holds nothing.
        return (max(ZERO, units - restocked) if status in HOLDING else ZERO), restocked
    return max(ZERO, reduced), restocked


def _refunded(refunds: Sequence[Json]) -> Mapping[str, Decimal]:
    """Units refunded by line of the order; a refund's lines count downwards and name theirs in hidden meta."""
    found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for refund in refunds:
        for entry in refund.get("line_items") or []:
            name = meta(entry).get("_refunded_item_id")
            if name:
                found[str(name)] += abs(decimal(entry.get("quantity")) or ZERO)
    return found


def _returns(name: str, *, restocked: Decimal, refunded: Decimal, fulfilled: Decimal) -> list[ReturnLine]:
    lost = max(ZERO, min(refunded, fulfilled) - restocked)
    pairs = ((min(restocked, fulfilled), True), (lost, False))
    return [ReturnLine(name, units, is_shelf, PLACE if is_shelf else "") for units, is_shelf in pairs if units]


def _line(entry: Json, *, units: Decimal, hold: LineHold) -> ChannelOrderLine:
    return ChannelOrderLine(
        external_id=str(entry["id"]),
        listing_external_id=listing_id(
            product_id=entry.get("product_id") or "", variation_id=entry.get("variation_id") or 0
        ),
        sku=str(entry.get("sku") or ""),
        title=str(entry.get("name") or ""),
        quantity=units,
        holds=[hold] if hold.committed or hold.fulfilled else [],
    )
