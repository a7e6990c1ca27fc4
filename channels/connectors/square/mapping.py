"""Square's JSON and our values, either way: pure functions, no HTTP.

Quantities are decimal strings of up to five places, money is in the currency's minor units, times are RFC
3339. Every enum of Square is open: a value without a name here must never read as zero or as released stock.
https://developer.squareup.com/reference/square/objects/Order, …/CatalogItemVariation, …/InventoryChange
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.ports import (
    ChannelOrder,
    ChannelOrderLine,
    ConnectorError,
    Count,
    CountWrite,
    LineHold,
    RemoteListing,
    RemoteLocation,
    ReturnLine,
    StockChange,
)

Json = Mapping[str, Any]
ZERO = Decimal(0)
OURS = "storestudio:"  # how the reference_id of everything we write begins
DEFAULT_VARIATION = "regular"  # the name Square gives the variation of an item that has only one

# https://www.iso.org/iso-4217-currency-codes.html; all others have two decimals.
MINOR_DIGITS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    0,
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)

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


def unreadable(what: str) -> ConnectorError:
    """An answer that does not say what it must; nothing may be concluded from it."""
    return ConnectorError(f"Square's answer cannot be read: {what}", permanent=True, code="UNREADABLE")


def moment(value: Any) -> datetime | None:
    """An RFC 3339 time as aware UTC; None where there is none."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else None


def timestamp(value: datetime) -> str:
    """RFC 3339 with milliseconds. Cut, not rounded: Square refuses times in its future."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quantity(value: Any) -> Decimal:
    """A decimal string. Raises ConnectorError for what is no number."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise unreadable(f"quantity {value!r}") from None
    if not parsed.is_finite():
        raise unreadable(f"quantity {value!r}")
    return parsed


def decimal_text(value: Decimal) -> str:
    """Plain digits without needless zeros: "2", "0.5"; an item sold in whole units takes no "2.00000"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Any) -> Decimal | None:
    """An amount in the currency's major unit."""
    if not isinstance(value, Mapping) or value.get("amount") is None:
        return None
    return Decimal(int(value["amount"])).scaleb(-MINOR_DIGITS.get(str(value.get("currency")), 2))


# --- places, catalog, counts --------------------------------------------------------------------------------


def location(place: Json) -> RemoteLocation:
    """A location, inactive ones too."""
    return RemoteLocation(
        external_id=str(place["id"]),
        name=str(place.get("name") or ""),
        is_active=place.get("status") == "ACTIVE",
        timezone=str(place.get("timezone") or ""),
    )


def variations(item: Json) -> list[Json]:
    """The variations nested in an ITEM; those of a deleted item are deleted."""
    nested = (item.get("item_data") or {}).get("variations") or []
    return [{**entry, "is_deleted": True} for entry in nested] if item.get("is_deleted") else list(nested)


def item_id(variation: Json) -> str:
    """The item a variation belongs to."""
    return str((variation.get("item_variation_data") or {}).get("item_id") or "")


def category_id(item: Json) -> str:
    """The category the merchant reports by, else the first one; `category_id` is how older items say it."""
    data = item.get("item_data") or {}
    named = [data.get("reporting_category") or {}, *(data.get("categories") or [])]
    return next((str(entry["id"]) for entry in named if entry.get("id")), str(data.get("category_id") or ""))


def image_id(*, variation: Json, item: Json) -> str:
    """The variation's own picture, else the item's first."""
    own = (variation.get("item_variation_data") or {}).get("image_ids") or []
    return str(next(iter([*own, *((item.get("item_data") or {}).get("image_ids") or [])]), ""))


def listing(*, variation: Json, item: Json, related: Mapping[str, Json]) -> RemoteListing:
    """A variation as a listing. `related`: categories and pictures by id, as far as they are known.

    `is_tracked` needs a `true`, at the variation or for a location: absent means that Square does not count
    it, and a number of such a variation says nothing. Square has no setting to sell past zero: it marks a
    variation sold out by itself and the till may go on, which shows as a negative count.
    """
    data = variation.get("item_variation_data") or {}
    item_data = item.get("item_data") or {}
    name = str(data.get("name") or "")
    category = related.get(category_id(item)) or {}
    image = related.get(image_id(variation=variation, item=item)) or {}
    pictures = item_data.get("ecom_image_uris") or []
    overrides = data.get("location_overrides") or []
    return RemoteListing(
        external_id=str(variation["id"]),
        inventory_id=str(variation["id"]),
        product_external_id=item_id(variation) or str(item.get("id") or ""),
        product_title=str(item_data.get("name") or ""),
        title=name,
        sku=str(data.get("sku") or ""),
        barcode=str(data.get("upc") or ""),
        options={} if name.strip().casefold() in ("", DEFAULT_VARIATION) else {"Variation": name},
        price=money(data.get("price_money")),
        is_tracked=bool(data.get("track_inventory")) or any(o.get("track_inventory") for o in overrides),
        sells_past_zero=False,
        updated_at=moment(variation.get("updated_at")),
        is_deleted=bool(variation.get("is_deleted")),
        category=str((category.get("category_data") or {}).get("name") or ""),
        image_url=str((image.get("image_data") or {}).get("url") or next(iter(pictures), "")),
    )


def counts(rows: Iterable[Json]) -> list[Count]:
    """IN_STOCK counts of variations, the newest per pair.

    Left out, so unknown: other states, counts of whole items (Square for Restaurants) and estimates of
    composed items, which nobody has counted.
    """
    newest: dict[tuple[str, str], Count] = {}
    for row in rows:
        is_variation = row.get("catalog_object_type", "ITEM_VARIATION") == "ITEM_VARIATION"
        if row.get("state") != "IN_STOCK" or not is_variation or row.get("is_estimated"):
            continue
        if row.get("quantity") is None or not row.get("catalog_object_id") or not row.get("location_id"):
            continue
        count = Count(
            inventory_id=str(row["catalog_object_id"]),
            location_id=str(row["location_id"]),
            quantity=quantity(row["quantity"]),
            as_of=moment(row.get("calculated_at")),
        )
        known = newest.get((count.inventory_id, count.location_id))
        if known is None or (count.as_of and (known.as_of is None or count.as_of > known.as_of)):
            newest[count.inventory_id, count.location_id] = count
    return list(newest.values())


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


# --- orders -------------------------------------------------------------------------------------------------


def orders(document: Json) -> list[ChannelOrder]:
    """One Square order as the orders it speaks of: a sale, and one return document for each sale it takes
    back from.

    A return is an order of its own at Square; an exchange has both lines and returns; one visit may bring
    back goods of several sales. The first document of a pure return has Square's id, any other "<id>:<id of
    the sale>", the same on every reading. Returned units come back as `restocked=False`: Square tells a
    restock as a change of stock of its own (`stock_changes`), also when it is one without a sale. A return
    without a source order moves nothing here. An order in a state we have no name for is left out: unknown,
    not released.
    """
    state = document.get("state")
    if state not in ("OPEN", "COMPLETED", "CANCELED", "DRAFT"):
        return []
    external_id = str(document.get("id") or "")
    lines = _lines(document)
    given_back = _returns(document) if state in ("OPEN", "COMPLETED") else {}
    result = []
    if lines or not given_back:
        own = given_back.pop(external_id, [])
        result.append(_order(document, external_id=external_id, lines=lines, returns=own))
    for source_id, returns in given_back.items():
        identity = f"{external_id}:{source_id}" if result else external_id
        result.append(_order(document, external_id=identity, lines=[], returns=returns, return_of=source_id))
    return result


def _order(
    document: Json,
    *,
    external_id: str,
    lines: Sequence[ChannelOrderLine],
    returns: Sequence[ReturnLine],
    return_of: str = "",
) -> ChannelOrder:
    placed_at = moment(document.get("created_at"))
    if not external_id or placed_at is None:
        raise unreadable("an order without id or created_at")
    total = None if return_of else document.get("total_money")
    number = document.get("ticket_name") or document.get("reference_id") or document.get("id")
    return ChannelOrder(
        external_id=external_id,
        number=str(number),
        placed_at=placed_at,
        updated_at=moment(document.get("updated_at")) or placed_at,
        version=int(document.get("version") or 0),  # orders of the till may have none
        is_cancelled=document.get("state") == "CANCELED",
        lines=lines,
        returns=returns,
        return_of=return_of,
        total=money(total),
        currency=str((document.get("total_money") or {}).get("currency") or ""),
    )


def _lines(document: Json) -> list[ChannelOrderLine]:
    """Lines without a variation (custom amounts, gift cards) are listed, and name no listing."""
    lines = []
    for index, line in enumerate(document.get("line_items") or []):
        names = [str(line[key]) for key in ("name", "variation_name") if line.get(key)]
        units = quantity(line.get("quantity"))
        uid = str(line.get("uid") or f"#{index}")
        lines.append(
            ChannelOrderLine(
                external_id=uid,
                listing_external_id=str(line.get("catalog_object_id") or ""),
                sku="",
                title=", ".join(names),
                quantity=units,
                holds=_holds(document, uid=uid, units=units),
            )
        )
    return lines


def _holds(document: Json, *, uid: str, units: Decimal) -> list[LineHold]:
    """What a line holds, by the order's state.

    COMPLETED: all of it has left. CANCELED, DRAFT: nothing. OPEN: what a fulfillment handed over has left,
    what one is still to hand over is promised, and the rest is promised once the order is paid; an unpaid
    open order without a fulfillment is a cart at the till and promises nothing. Goods whose fulfillment was
    cancelled or failed are free.
    """
    state = document.get("state")
    fulfilled = committed = ZERO
    if state == "COMPLETED":
        fulfilled = units
    elif state == "OPEN":
        freed = ZERO
        for fulfillment in document.get("fulfillments") or []:
            share = _share(fulfillment, uid=uid, units=units)
            if fulfillment.get("state") == "COMPLETED":
                fulfilled += share
            elif fulfillment.get("state") in ("CANCELED", "FAILED"):
                freed += share
            else:
                committed += share
        if _is_paid(document):
            committed += max(ZERO, units - fulfilled - committed - freed)
        fulfilled = min(fulfilled, units)
        committed = min(committed, units - fulfilled)
    if not fulfilled and not committed:
        return []
    place = str(document.get("location_id") or "")
    return [LineHold(location_id=place, committed=committed, fulfilled=fulfilled)]


def _share(fulfillment: Json, *, uid: str, units: Decimal) -> Decimal:
    """How much of a line a fulfillment is about: all, unless it lists entries."""
    entries = fulfillment.get("entries") or []
    if not entries and fulfillment.get("line_item_application") != "ENTRY_LIST":
        return units
    mine = (quantity(entry.get("quantity")) for entry in entries if entry.get("line_item_uid") == uid)
    return sum(mine, ZERO)


def _is_paid(document: Json) -> bool:
    """Whether nothing is due on an order that has been paid towards; one that costs nothing needs a tender
    too."""
    due = money(document.get("net_amount_due_money"))
    tenders = document.get("tenders") or []
    if due is None:
        paid = sum((money(tender.get("amount_money")) or ZERO for tender in tenders), ZERO)
        due = (money(document.get("total_money")) or ZERO) - paid
    return bool(tenders) and due <= 0


def _returns(document: Json) -> dict[str, list[ReturnLine]]:
    """What came back, by the sale it came from."""
    place = str(document.get("location_id") or "")
    given_back: dict[str, list[ReturnLine]] = {}
    for entry in document.get("returns") or []:
        source_id = str(entry.get("source_order_id") or "")
        if not source_id:
            continue
        given_back.setdefault(source_id, []).extend(
            ReturnLine(
                line_external_id=str(line["source_line_item_uid"]),
                quantity=quantity(line.get("quantity")),
                restocked=False,
                location_id=place,
            )
            for line in entry.get("return_line_items") or []
            if line.get("source_line_item_uid")
        )
    return given_back


# --- changes of stock ---------------------------------------------------------------------------------------


def is_ours(adjusted: Json, *, application_id: str) -> bool:
    """Whether we wrote it: our mark in `reference_id`, and not by an application that is surely another one.

    The application alone does not say so: a merchant's other tool may run on the same application's token.
    """
    writer = str((adjusted.get("source") or {}).get("application_id") or "")
    is_stranger = bool(writer and application_id) and writer != application_id
    return str(adjusted.get("reference_id") or "").startswith(OURS) and not is_stranger


def stock_changes(adjusted: Json, *, application_id: str, location_ids: Sequence[str]) -> list[StockChange]:
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
        )
        for identity, place, delta in legs
        if delta and place in location_ids
    ]


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
