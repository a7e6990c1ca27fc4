"""Orders and returns. https://developer.squareup.com/reference/square/objects/Order

Square's enums are open: a state without a name here must never read as released stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from channels.connectors.square.mapping.values import ZERO, Json, moment, money, quantity, unreadable
from channels.ports import ChannelOrder, ChannelOrderLine, LineHold, ReturnLine


def orders(document: Json) -> list[ChannelOrder]:
    """One Square order as the orders it speaks of: a sale, and one return document for each sale it takes
    back from.

    A return is an order of its own at Square; an exchange has both lines and returns; one visit may bring
    back goods of several sales. The first document of a pure return has Square's id, any other
    "<id>:<id of the sale>", the same on every reading. Returned units come back as `restocked=False`: Square
    tells a restock as a change of stock of its own (`stock.changes_told`), also when there was no sale. A
    return without a source order moves nothing here. An order in a state we have no name for is left out:
    unknown, not released.
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
    # Square numbers no orders; people tell them apart by a name, or by the end of the id as on a receipt.
    number = document.get("ticket_name") or document.get("reference_id") or external_id[-6:]
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
        left_at=_left_at(document),
    )


# When a fulfillment was handed over, by its details.
HANDED_OVER = (
    ("pickup_details", "picked_up_at"),
    ("shipment_details", "shipped_at"),
    ("delivery_details", "completed_at"),
    ("delivery_details", "delivered_at"),
)


def _left_at(document: Json) -> datetime | None:
    """When the last goods were handed over, or else the order was closed.

    Without a fulfillment they left when it was placed: an offline till tells that time, up to 72 hours late.
    """
    fulfillments = document.get("fulfillments") or []
    done = [one for one in fulfillments if one.get("state") == "COMPLETED"]
    told = [moment((one.get(details) or {}).get(name)) for one in done for details, name in HANDED_OVER]
    is_over = bool(fulfillments) and document.get("state") == "COMPLETED"
    closed_at = moment(document.get("closed_at")) if is_over else None
    return max((at for at in told if at is not None), default=closed_at)


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

    COMPLETED: all of it has left. CANCELED, DRAFT: nothing. OPEN: what a fulfillment handed over has left;
    what one is still to hand over is promised once the order is paid or the shop took it on, and the rest
    once it is paid. An open order nobody paid is a cart, or a request the shop has not seen: Square shows it
    no unpaid order with a fulfillment. Goods whose fulfillment was cancelled or failed are free.
    https://developer.squareup.com/docs/app-marketplace/requirements/orders-api
    """
    state = document.get("state")
    fulfilled = committed = ZERO
    if state == "COMPLETED":
        fulfilled = units
    elif state == "OPEN":
        freed, paid = ZERO, is_paid(document)
        for fulfillment in document.get("fulfillments") or []:
            share = _share(fulfillment, uid=uid, units=units)
            if fulfillment.get("state") == "COMPLETED":
                fulfilled += share
            elif fulfillment.get("state") in ("CANCELED", "FAILED"):
                freed += share
            elif paid or fulfillment.get("state") != "PROPOSED":
                committed += share
        if paid:
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


def is_paid(document: Json) -> bool:
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
