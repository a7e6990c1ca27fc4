"""Shopify's payloads and our values: pure translation, no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    """Line by line. Where one line is stale or refused, its neighbours were not written either and are skipped.

    That a batch is all or nothing is likely but not established: a neighbour whose change is told was written.
    """
    errors, after = payload["userErrors"], _told(payload)
    blamed: dict[int, CountResult] = {}
    for error in errors:
        outcome = WriteOutcome.STALE if error["code"] in STALE_CODES else WriteOutcome.REFUSED
        for index in _lines_of(error, writes):
            blamed[index] = CountResult(outcome, message=f"{error['code']}: {error['message']}")
    results = []
    for index, write in enumerate(writes):
        shown = after.get((write.inventory_id, write.location_id))
        was_written = not errors or shown is not None
        other = CountResult(WriteOutcome.APPLIED, shown) if was_written else CountResult(WriteOutcome.SKIPPED)
        results.append(blamed.get(index, other))
    return results


def _told(payload: Json) -> dict[tuple[str, str], Decimal]:
    """What is shown after the change by item and place; nothing where nothing had to change."""
    group = payload["inventoryAdjustmentGroup"] or {}
    return {
        (change["item"]["id"], change["location"]["id"]): Decimal(change["quantityAfterChange"])
        for change in group.get("changes") or []
        if change["name"] == "available"
        and change["quantityAfterChange"] is not None
        and change["item"]
        and change["location"]
    }


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

    Committed is what open fulfillment orders still have to send, at their assigned place, and what no fulfillment
    order we are shown has yet, at no place. Fulfilled is what fulfillments say left, at the place they left from. Units
    that were refunded unsent and not restocked are gone all the same: fulfilled and written off, at the place the line
    is assigned to now, for where it was before nothing says. Whether units an edit
    took off went back to the shelf is told by the refund the edit made, if any; else they are taken to have gone back,
    and the count shows it where they did not.
    """
    head = parts.head
    committed, assigned = _promised(parts.fulfillment_orders)
    fulfilled = _sent(parts.fulfillments, assigned)
    returns: list[ReturnLine] = []
    lines = []
    for line in parts.lines:
        name = line["id"]
        backs = [back for back in parts.refund_lines if back["lineItem"]["id"] == name]
        sent, home = sum(fulfilled[name].values()), assigned.get(name) or next(iter(fulfilled[name]), "")
        if not head["cancelledAt"]:
            committed[name][""] += _unrouted(line, backs, sent=sent, open_=sum(committed[name].values()))
        lost = _lost_unsent(line, backs, sent=sent, open_=sum(committed[name].values()))
        if lost:
            fulfilled[name][home] += lost
        returns += _returns(name, backs, sent=sent, lost=lost, home=home)
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
        left_at=_left_at(head, parts.fulfillments),
    )


AT_ONCE = timedelta(minutes=1)


def _left_at(head: Json, fulfillments: Sequence[Json]) -> datetime | None:
    """When the last fulfillment was made. One made with the order itself left when that was placed.

    A till that was offline tells of its sales later: `createdAt` is then, `processedAt` is when it was.
    """
    last = max((moment(one["createdAt"]) for one in _went(fulfillments)), default=None)
    return last if last and last > moment(head["createdAt"]) + AT_ONCE else None


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
            if one["status"] in OPEN_STATUSES:
                committed[name][place] += entry["remainingQuantity"]
            # The oldest comes first; one that ended says least about where the units lie.
            if one["status"] in OPEN_STATUSES or not committed[name]:
                assigned[name] = place
    return committed, assigned


def _went(fulfillments: Sequence[Json]) -> list[Json]:
    return [one for one in fulfillments if one["status"] not in ("CANCELLED", "ERROR", "FAILURE")]


def _sent(fulfillments: Sequence[Json], assigned: Mapping[str, str]) -> Places:
    sent = _places()
    for one in _went(fulfillments):
        place = (one["location"] or {}).get("id", "")
        for entry in one["fulfillmentLineItems"]["nodes"]:
            name = entry["lineItem"]["id"]
            sent[name][place or assigned.get(name, "")] += entry["quantity"] or 0
    return sent


def _unrouted(line: Json, backs: Sequence[Json], *, sent: int, open_: int) -> int:
    """Units that still have to leave and that are on no fulfillment order we are shown.

    Routing comes seconds after the order or an edit of it; and of places run by others an app may not see the orders.
    """
    kept = sent - sum(int(back["quantity"]) for back in backs if back["restockType"] == "RETURN")
    waiting = min(int(line["unfulfilledQuantity"]), int(line["currentQuantity"]) - max(0, kept))
    return max(0, waiting - open_)


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


def _returns(name: str, backs: Sequence[Json], *, sent: int, lost: int, home: str) -> list[ReturnLine]:
    """What came back to the shelf of what was sent, and what was written off of that and of what was lost unsent.

    Units that never left cannot come back: CANCEL is no return, nor is a restock of more than was sent.
    """
    returns = []
    for back in backs:
        units = min(int(back["quantity"]), sent)
        if _is_restocked(back) and units:
            sent -= units
            place = (back["location"] or {}).get("id", "") or home
            returns.append(ReturnLine(name, Decimal(units), True, place))
    gone = sent + lost
    for back in backs:
        units = min(int(back["quantity"]), gone)
        if back["restockType"] != "CANCEL" and not _is_restocked(back) and units:
            gone -= units
            returns.append(ReturnLine(name, Decimal(units), False, ""))
    return returns


def _is_restocked(back: Json) -> bool:
    return back["restockType"] in ("RETURN", "LEGACY_RESTOCK") and bool(back["restocked"])


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
