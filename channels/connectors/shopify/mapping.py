"""Shopify's payloads and our values: pure translation, no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from channels.ports import (
    ChannelOrder,
    ChannelOrderLine,
    Count,
    CountResult,
    CountWrite,
    LineHold,
    RemoteListing,
    RemoteLocation,
    ReturnLine,
    WriteOutcome,
)

Json = Mapping[str, Any]
ZERO = Decimal(0)

OPEN_STATUSES = {"OPEN", "IN_PROGRESS", "SCHEDULED", "ON_HOLD", "INCOMPLETE"}
DEFAULT_OPTION = {"Title": "Default Title"}  # what a product of one variant has for options
STALE_CODES = {"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"}
# The whole call failed, no line of it; the publisher decides by the code.
CALL_CODES = {
    "IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED",
}  # fmt: skip


def moment(text: str) -> datetime:
    """An aware time out of the vendor's ISO 8601."""
    return datetime.fromisoformat(text)


def location(node: Json) -> RemoteLocation:
    return RemoteLocation(external_id=node["id"], name=node["name"], is_active=node["isActive"])


def listing(node: Json) -> RemoteListing:
    """A product variant. Its SKU may be missing, and then is no SKU at all."""
    product, item = node["product"], node["inventoryItem"]
    options = {option["name"]: option["value"] for option in node["selectedOptions"]}
    if options == DEFAULT_OPTION:
        options = {}
    return RemoteListing(
        external_id=node["id"],
        inventory_id=item["id"],
        product_external_id=product["id"],
        product_title=product["title"],
        title=" / ".join(options.values()),
        sku=node["sku"] or "",
        barcode=node["barcode"] or "",
        options=options,
        price=Decimal(node["price"]),
        is_tracked=item["tracked"],
        sells_past_zero=node["inventoryPolicy"] == "CONTINUE",
        updated_at=moment(node["updatedAt"]),
        vendor=product["vendor"] or "",
        category=product["productType"] or "",
    )


def counts(item_id: str, levels: Sequence[Json], *, location_ids: Sequence[str]) -> list[Count]:
    """`available` at the places asked for. An inactive level is left out: a number there sells nothing."""
    wanted, found = set(location_ids), []
    for level in levels:
        place = level["location"]["id"]
        numbers = {quantity["name"]: quantity["quantity"] for quantity in level["quantities"]}
        if place in wanted and level["isActive"] and numbers.get("available") is not None:
            found.append(Count(item_id, place, Decimal(numbers["available"]), moment(level["updatedAt"])))
    return found


def set_input(writes: Sequence[CountWrite], *, key: str) -> Json:
    """`changeFromQuantity` is always there: left out, Shopify refuses the call, and null would be a blind write."""
    return {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": f"gid://storestudio/ChannelWrite/{key}",
        "quantities": [
            {
                "inventoryItemId": write.inventory_id,
                "locationId": write.location_id,
                "quantity": int(write.to_quantity),
                "changeFromQuantity": int(write.from_quantity),
            }
            for write in writes
        ],
    }


def set_results(payload: Json, writes: Sequence[CountWrite]) -> list[CountResult]:
    """Line by line. Where one line is stale or refused the batch as a whole was not written: the others are skipped."""
    errors = payload["userErrors"]
    if not errors:
        group = payload["inventoryAdjustmentGroup"] or {}  # null where nothing had to change
        after = {
            (change["item"]["id"], change["location"]["id"]): Decimal(change["quantityAfterChange"])
            for change in group.get("changes") or []
            if change["name"] == "available" and change["quantityAfterChange"] is not None and change["location"]
        }
        return [
            CountResult(WriteOutcome.APPLIED, after.get((write.inventory_id, write.location_id))) for write in writes
        ]
    blamed: dict[int, CountResult] = {}
    for error in errors:
        outcome = WriteOutcome.STALE if error["code"] in STALE_CODES else WriteOutcome.REFUSED
        for index in _lines_of(error, writes):
            blamed[index] = CountResult(outcome, message=f"{error['code']}: {error['message']}")
    return [blamed.get(index, CountResult(WriteOutcome.SKIPPED)) for index in range(len(writes))]


def _lines_of(error: Json, writes: Sequence[CountWrite]) -> list[int]:
    """The field is a path such as ["input", "quantities", "3", "locationId"]; without an index all are meant."""
    indexes = [int(part) for part in error.get("field") or [] if str(part).isdigit()]
    return [index for index in indexes if index < len(writes)] or list(range(len(writes)))


@dataclass(frozen=True)
class OrderParts:
    """A whole order, all its connections read to the end."""

    head: Json
    lines: Sequence[Json]
    fulfillment_orders: Sequence[Json]
    fulfillments: Sequence[Json]
    refund_lines: Sequence[Json]


def order(parts: OrderParts) -> ChannelOrder:
    """An order by state: what its fulfillment orders still promise, what its fulfillments sent, what came back.

    Committed is what open fulfillment orders still have to send, at their assigned place. Fulfilled is what
    fulfillments say left, at the place they left from. Units that were refunded unsent and not restocked are gone all
    the same: fulfilled and written off.
    """
    head = parts.head
    committed, assigned = _promised(parts.fulfillment_orders)
    fulfilled = _sent(parts.fulfillments, assigned)
    returns: list[ReturnLine] = []
    lines = []
    for line in parts.lines:
        name = line["id"]
        backs = [back for back in parts.refund_lines if back["lineItem"]["id"] == name]
        lost = _lost_unsent(line, backs, sent=sum(fulfilled[name].values()), open_=sum(committed[name].values()))
        if lost:
            fulfilled[name][assigned.get(name, "")] += lost
        returns += _returns(name, backs, lost=lost, assigned=assigned.get(name, ""))
        unrouted = not parts.fulfillment_orders and not head["cancelledAt"]
        if unrouted and line["unfulfilledQuantity"]:
            committed[name][""] += line["unfulfilledQuantity"]
        lines.append(_line(line, committed[name], fulfilled[name]))
    money = head["currentTotalPriceSet"]["shopMoney"]
    return ChannelOrder(
        external_id=head["id"],
        number=head["name"],
        placed_at=moment(head["processedAt"] or head["createdAt"]),
        updated_at=moment(head["updatedAt"]),
        version=0,
        is_cancelled=head["cancelledAt"] is not None,
        lines=lines,
        returns=returns,
        total=Decimal(money["amount"]),
        currency=money["currencyCode"],
    )


Places = defaultdict[str, defaultdict[str, int]]


def _places() -> Places:
    return defaultdict(lambda: defaultdict(int))


def _promised(fulfillment_orders: Sequence[Json]) -> tuple[Places, dict[str, str]]:
    """Open units by line and place, and the place each line was last assigned to."""
    committed = _places()
    assigned: dict[str, str] = {}
    for one in fulfillment_orders:
        place = (one["assignedLocation"]["location"] or {}).get("id", "")
        for entry in one["lineItems"]["nodes"]:
            name = entry["lineItem"]["id"]
            assigned.setdefault(name, place)
            if one["status"] in OPEN_STATUSES:
                committed[name][place] += entry["remainingQuantity"]
                assigned[name] = place
    return committed, assigned


def _sent(fulfillments: Sequence[Json], assigned: Mapping[str, str]) -> Places:
    sent = _places()
    for one in fulfillments:
        if one["status"] in ("CANCELLED", "ERROR", "FAILURE"):
            continue
        place = (one["location"] or {}).get("id", "")
        for entry in one["fulfillmentLineItems"]["nodes"]:
            name = entry["lineItem"]["id"]
            sent[name][place or assigned.get(name, "")] += entry["quantity"] or 0
    return sent


def _lost_unsent(line: Json, backs: Sequence[Json], *, sent: int, open_: int) -> int:
    """Units refunded before they were sent, and not put back on the shelf (NO_RESTOCK of an unsent line).

    Ordered units that are neither sent nor still promised were given back to the shelf (CANCEL), taken off by an edit,
    or are these.
    """
    by_kind: defaultdict[str, int] = defaultdict(int)
    for back in backs:
        by_kind[back["restockType"]] += back["quantity"]
    edited_off = int(line["quantity"]) - int(line["currentQuantity"]) - sum(by_kind.values())
    gone = int(line["quantity"]) - sent - open_ - by_kind["CANCEL"] - max(0, edited_off)
    return max(0, min(gone, by_kind["NO_RESTOCK"]))


def _returns(name: str, backs: Sequence[Json], *, lost: int, assigned: str) -> list[ReturnLine]:
    """What came back. CANCEL is no return: those units never left."""
    returns = []
    for back in backs:
        kind, quantity = back["restockType"], Decimal(back["quantity"])
        if kind == "CANCEL":
            continue
        restocked = kind in ("RETURN", "LEGACY_RESTOCK") and back["restocked"]
        place = (back["location"] or {}).get("id", "") or assigned
        returns.append(ReturnLine(name, quantity, restocked, place if restocked else ""))
    return returns


def _line(line: Json, committed: Mapping[str, int], fulfilled: Mapping[str, int]) -> ChannelOrderLine:
    held = {place for places in (committed, fulfilled) for place, units in places.items() if units}
    variant = line["variant"] or {}  # null where the variant was deleted since
    title = f"{line['title']} · {line['variantTitle']}" if line["variantTitle"] else line["title"]
    return ChannelOrderLine(
        external_id=line["id"],
        listing_external_id=variant.get("id", ""),
        sku=line["sku"] or "",
        title=title,
        quantity=Decimal(line["currentQuantity"]),
        holds=[
            LineHold(place, Decimal(committed.get(place, 0)), Decimal(fulfilled.get(place, 0)))
            for place in sorted(held)
        ],
    )
