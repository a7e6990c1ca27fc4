"""Changes of stock, ours to Square and others' from it.

https://developer.squareup.com/reference/square/objects/InventoryAdjustment
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from channels.connectors.square.mapping.values import (
    Json,
    decimal_text,
    moment,
    quantity,
    timestamp,
    unreadable,
)
from channels.ports import CountWrite, MadeBy, StockChange

OURS = "storestudio:"  # how the reference_id of everything we write begins

# A sale, or stock set aside for one: the order tells it, and telling it twice would take the units twice.
STATES_OF_ORDERS = {"SOLD", "SOLD_ONLINE", "RESERVED_FOR_SALE"}
RETURNED_STATES = {"RETURNED_BY_CUSTOMER", "UNLINKED_RETURN", "SOLD"}
WORDS_OF_REASON = {
    "RECEIVED": "received",
    "DAMAGED": "damaged",
    "THEFT": "stolen",
    "LOST": "lost",
    "RETURNED": "restocked after a return",
    "SPOILAGE_WASTE": "spoiled",
    "SAMPLES_PROMOTIONAL": "given away as samples",
    "INTERNAL_USE": "used in the shop",
    "VENDOR_RETURN": "sent back to the supplier",
    "PRODUCTION_WASTE": "wasted in production",
    "RECOUNT": "recounted",
    "TRANSFER": "moved between locations",
    "IN_TRANSIT": "moved between locations",
    "CANCELED_SALE": "restocked after a cancelled sale",
}
WORDS_OF_PRODUCT = {
    "SQUARE_POS": "at the till",
    "DASHBOARD": "in the dashboard",
    "ITEM_LIBRARY_IMPORT": "by an item file",
    "ONLINE_STORE": "by Square Online",
    "EXTERNAL_API": "by another app",
}
HAND_OF_PRODUCT = {"SQUARE_POS": MadeBy.TILL, "DASHBOARD": MadeBy.PERSON, "ITEM_LIBRARY_IMPORT": MadeBy.FILE}


def reference(*, idempotency_key: str, index: int) -> str:
    """The reference_id of one line of a write, by which we know it again (at most 255 characters at
    Square)."""
    return f"{OURS}{idempotency_key}:{index}"


def adjustment(*, write: CountWrite, reference_id: str, now: datetime) -> dict[str, Any]:
    """The change of one number as an ADJUSTMENT, which adds up with sales in flight; a PHYSICAL_COUNT would
    undo them.

    A rise is stock from outside (NONE), a fall was sold elsewhere (SOLD): WASTE would show as loss in the
    merchant's reports, and no other way out of IN_STOCK is open to the API. Since 2026-07-15 both location
    fields are needed, equal for a change in place. `now` must be at most 24 hours old and not in the future.
    """
    delta = write.to_quantity - write.from_quantity
    return {
        "type": "ADJUSTMENT",
        "adjustment": {
            "catalog_object_id": write.inventory_id,
            "from_state": "NONE" if delta > 0 else "IN_STOCK",
            "to_state": "IN_STOCK" if delta > 0 else "SOLD",
            "from_location_id": write.location_id,
            "to_location_id": write.location_id,
            "quantity": decimal_text(abs(delta)),
            "occurred_at": timestamp(now),
            "reference_id": reference_id,
        },
    }


def is_ours(adjusted: Json, *, application_id: str) -> bool:
    """Whether we wrote it: our mark in `reference_id`, and not by an application that is surely another one.

    The application alone does not say so: a merchant's other tool may run on the same application's token.
    """
    writer = str((adjusted.get("source") or {}).get("application_id") or "")
    is_stranger = bool(writer and application_id) and writer != application_id
    return str(adjusted.get("reference_id") or "").startswith(OURS) and not is_stranger


def changes_told(adjusted: Json, *, application_id: str, location_ids: Sequence[str]) -> list[StockChange]:
    """An adjustment as changes of IN_STOCK at the places asked for: none for ours, sales and moves between
    other states, one for most, two (leaving, arriving) for a move between locations."""
    source, target = str(adjusted.get("from_state") or ""), str(adjusted.get("to_state") or "")
    told_by_order = target in STATES_OF_ORDERS or source in STATES_OF_ORDERS - RETURNED_STATES
    if told_by_order or is_ours(adjusted, application_id=application_id):
        return []
    external_id, happened_at = str(adjusted.get("id") or ""), moment(adjusted.get("occurred_at"))
    if not external_id or happened_at is None:
        raise unreadable("an adjustment without id or occurred_at")
    units = quantity(adjusted.get("quantity"))
    # `location_id` is how adjustments from before 2026-07-15 may still read.
    here = str(adjusted.get("from_location_id") or adjusted.get("location_id") or "")
    there = str(adjusted.get("to_location_id") or adjusted.get("location_id") or here)
    legs = []
    if source == "IN_STOCK":
        legs.append((f"{external_id}:out" if target == "IN_STOCK" else external_id, here, -units))
    if target == "IN_STOCK":
        legs.append((f"{external_id}:in" if source == "IN_STOCK" else external_id, there, units))
    return [
        StockChange(
            external_id=identity,
            inventory_id=str(adjusted.get("catalog_object_id") or ""),
            location_id=place,
            delta=delta,
            occurred_at=happened_at,
            cause=_cause(adjusted),
            made_by=_made_by(adjusted, application_id=application_id),
            by=str(adjusted.get("team_member_id") or adjusted.get("employee_id") or ""),
            app=str((adjusted.get("source") or {}).get("name") or ""),
            app_id=str((adjusted.get("source") or {}).get("application_id") or ""),
            is_return=bool(adjusted.get("refund_id")) or (source in RETURNED_STATES and target == "IN_STOCK"),
        )
        for identity, place, delta in legs
        if delta and place in location_ids
    ]


def _made_by(adjusted: Json, *, application_id: str) -> MadeBy:
    """Whose hand it was. Our own application is no stranger: a merchant's other tool may run on its token."""
    made_by = adjusted.get("source") or {}
    product, writer = str(made_by.get("product") or ""), str(made_by.get("application_id") or "")
    if product == "EXTERNAL_API":
        return MadeBy.APP if writer and application_id and writer != application_id else MadeBy.UNKNOWN
    return HAND_OF_PRODUCT.get(product, MadeBy.UNKNOWN)


def _cause(adjusted: Json) -> str:
    """Plain words: what happened, and where it was done."""
    source, target = str(adjusted.get("from_state") or ""), str(adjusted.get("to_state") or "")
    what = WORDS_OF_REASON.get(str((adjusted.get("reason_id") or {}).get("type") or ""), "")
    if not what:
        if adjusted.get("refund_id") or (source in RETURNED_STATES and target == "IN_STOCK"):
            what = "restocked after a return"
        elif adjusted.get("physical_count_id"):
            what = "recounted"
        elif source == target:
            what = "moved between locations"
        elif target == "WASTE":
            what = "written off"
        elif adjusted.get("purchase_order_id") or adjusted.get("goods_receipt_id"):
            what = "received"
        else:
            what = "edited"
    made_by = adjusted.get("source") or {}
    where = WORDS_OF_PRODUCT.get(str(made_by.get("product") or ""), "at Square")
    name = str(made_by.get("name") or "") if made_by.get("product") == "EXTERNAL_API" else ""
    return f"{what} {where}" + (f" ({name})" if name else "")
