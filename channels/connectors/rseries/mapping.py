"""Shops, items, quantities, tickets and the log as values of ours: pure translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from channels.connectors.rseries.values import ZERO, Json, happened, is_true, moment, quantity, ref, row, rows, text
from channels.ports import (
    ChannelOrder,
    ChannelOrderLine,
    Count,
    LineHold,
    MadeBy,
    RemoteListing,
    RemoteLocation,
    ReturnLine,
    StockChange,
)

RELATIONS = ("Category", "ItemAttributes", "ItemAttributes.ItemAttributeSet")
SET_ASIDE = "set-aside-"  # and an item's number: all that is kept for customers of it, as one order
# What the log says of tickets and of what is set aside: orders tell of these. Of archived and merged items it says that
# their quantity went, and that is no proof that the goods did.
OF_ORDERS = ("sale", "transaction", "refund", "layaway", "specialorder", "workorder")
OF_BOOKKEEPING = ("archiveitem", "merge", "costadjustment")
BY_HAND = {"manualquantityadjustment", "manualadjustqoh"}
CAUSES = (
    ("inventoryCountID", "counted at Lightspeed"),
    ("transferID", "moved between locations"),
    ("vendorReturnID", "sent back to the supplier"),
    ("orderID", "received from a supplier"),
    ("itemImportID", "imported at Lightspeed"),
)


def location(shop: Json) -> RemoteLocation:
    """A shop; an archived one is inactive."""
    return RemoteLocation(
        external_id=str(shop["shopID"]), name=text(shop.get("name")), is_active=not is_true(shop.get("archived")),
        timezone=text(shop.get("timeZone")),
    )  # fmt: skip


def sku(item: Json) -> str:
    """The shop's own, else the one that Lightspeed made and prints on labels."""
    return text(item.get("customSku")) or text(item.get("systemSku"))


def barcode(item: Json) -> str:
    """The item's UPC, else its EAN."""
    return text(item.get("upc")) or text(item.get("ean"))


def options(item: Json) -> dict[str, str]:
    """The attributes of a matrix's item, by the names that their set gives them."""
    chosen = item.get("ItemAttributes") or {}
    names = chosen.get("ItemAttributeSet") or {}
    found = {}
    for n in (1, 2, 3):
        value, name = text(chosen.get(f"attribute{n}")), text(names.get(f"attributeName{n}"))
        if value and name:
            found[name] = value
    return found


def is_tracked(item: Json) -> bool:
    """Boxes and assemblies have quantities of their own; services have none."""
    return text(item.get("itemType")) != "non_inventory"


def price(item: Json) -> Decimal | None:
    """Of the ordinary price level."""
    amounts = {text(one.get("useType")): one.get("amount") for one in rows(item.get("Prices"), "ItemPrice")}
    found = amounts.get("Default", next(iter(amounts.values()), None))
    return None if found is None else quantity(found).quantize(Decimal("0.01"))


def listing(item: Json, *, matrices: Mapping[str, str]) -> RemoteListing:
    """An item; `matrices` are the names of those that items belong to. The till sells past zero whatever is set."""
    chosen, matrix = options(item), ref(item.get("itemMatrixID"))
    return RemoteListing(
        external_id=str(item["itemID"]),
        inventory_id=str(item["itemID"]),
        product_external_id=f"matrix-{matrix}" if matrix else str(item["itemID"]),
        product_title=matrices.get(matrix) or text(item.get("description")),
        title=" / ".join(chosen.values()),
        sku=sku(item),
        barcode=barcode(item),
        options=chosen,
        price=price(item),
        is_tracked=is_tracked(item),
        sells_past_zero=False,
        updated_at=moment(item.get("timeStamp")),
        is_deleted=is_true(item.get("archived")),
        category=text((item.get("Category") or {}).get("name")),
    )


def counts(item_shops: Iterable[Json]) -> list[Count]:
    """Quantities of shops; shop 0 is the sum of all, and no place."""
    return [
        Count(str(one["itemID"]), str(one["shopID"]), quantity(one.get("qoh")), moment(one.get("timeStamp")))
        for one in item_shops
        if ref(one.get("shopID"))
    ]


# --- tickets --------------------------------------------------------------------------------------


def orders(sale: Json, *, currency: str, sold_on: Mapping[str, str]) -> list[ChannelOrder]:
    """A ticket as the orders it speaks of: what it sells, and what it gives back of earlier ones.

    `sold_on`: the ticket of each line that a refund's lines name. A line given back without one moves no order
    (`without_receipt`). Nothing has left while a ticket is open; a voided one has put everything back.
    """
    number = str(sale["saleID"])
    entries = rows(sale.get("SaleLines"), "SaleLine")
    lines = [_line(sale, one) for one in entries if ref(one.get("itemID")) and quantity(one.get("unitQuantity")) > 0]
    sources: dict[str, list[ReturnLine]] = {}
    for one in entries:
        source = sold_on.get(ref(one.get("parentSaleLineID")), "")
        if source and quantity(one.get("unitQuantity")) < 0:
            sources.setdefault(source, []).extend(_given_back(sale, one))
    if not sources:
        return [_order(sale, name=number, lines=lines, currency=currency)]
    is_plain = not lines and len(sources) == 1
    backs = [
        _order(sale, name=number if is_plain else f"{number}:return:{source}", returns=returns, return_of=source)
        for source, returns in sources.items()
    ]
    return backs if is_plain else [_order(sale, name=number, lines=lines, currency=currency), *backs]


def _order(
    sale: Json,
    *,
    name: str,
    lines: Sequence[ChannelOrderLine] = (),
    returns: Sequence[ReturnLine] = (),
    return_of: str = "",
    currency: str = "",
) -> ChannelOrder:
    placed_at = moment(sale.get("completeTime")) or happened(sale, "createTime")
    is_open = not is_true(sale.get("completed"))
    return ChannelOrder(
        external_id=name,
        number=text(sale.get("ticketNumber")) or name,
        placed_at=placed_at,
        updated_at=changed_at(sale) or placed_at,
        version=0,
        is_cancelled=is_true(sale.get("voided")) or (is_open and is_true(sale.get("archived"))),
        lines=lines,
        returns=returns,
        return_of=return_of,
        total=None if return_of else quantity(sale.get("total") or 0),
        currency=currency,
    )


def changed_at(sale: Json) -> datetime | None:
    """`timeStamp` stays at the completion of a ticket; `updatetime` also tells that it was voided later."""
    known = [at for at in (moment(sale.get("updatetime")), moment(sale.get("timeStamp"))) if at is not None]
    return max(known, default=None)


def has_left(sale: Json) -> bool:
    """Whether a ticket's units are off the shelf, or back on it."""
    return is_true(sale.get("completed")) and not is_true(sale.get("voided"))


def _line(sale: Json, line: Json) -> ChannelOrderLine:
    units, place = quantity(line["unitQuantity"]), _place(sale, line)
    return ChannelOrderLine(
        external_id=str(line["saleLineID"]), listing_external_id=str(line["itemID"]), sku="", title="", quantity=units,
        holds=[LineHold(place, fulfilled=units)] if has_left(sale) else [],
    )  # fmt: skip


def _place(sale: Json, line: Json) -> str:
    return ref(line.get("shopID")) or ref(sale.get("shopID"))


def _given_back(sale: Json, line: Json) -> list[ReturnLine]:
    if not has_left(sale):
        return []
    units = -quantity(line["unitQuantity"])
    return [ReturnLine(text(line["parentSaleLineID"]), units, restocked=True, location_id=_place(sale, line))]


def set_aside(item_id: str, lines: Sequence[Json], *, at: datetime) -> ChannelOrder:
    """All that is kept for customers of an item, as one order: such lines belong to no ticket, and vanish when they
    are let go. `at`: when they were read. The quantity on hand is without them already."""
    held: dict[str, Decimal] = {}
    for line in lines:
        kept = sum((quantity(one.get("quantity")) for one in rows(line.get("InventorySales"), "InventorySale")), ZERO)
        place = ref(line.get("shopID"))
        held[place] = held.get(place, ZERO) + kept
    holds = [LineHold(place, committed=units) for place, units in sorted(held.items()) if units > 0]
    made = [one for line in lines if (one := moment(line.get("createTime"))) is not None]
    return ChannelOrder(
        external_id=f"{SET_ASIDE}{item_id}",
        number=f"Set aside, item {item_id}",
        placed_at=min(made, default=at),
        updated_at=at,
        version=0,
        is_cancelled=False,
        lines=[
            ChannelOrderLine(
                external_id=item_id, listing_external_id=item_id, sku="", title="",
                quantity=sum((hold.committed for hold in holds), ZERO), holds=holds,
            )
        ],
    )  # fmt: skip


# --- the log --------------------------------------------------------------------------------------


def reason(entry: Json) -> str:
    """Reasons are written in several ways."""
    return text(entry.get("reason")).lower()


def is_of_an_order(entry: Json) -> bool:
    """Whether orders tell of it."""
    return bool(ref(entry.get("saleID"))) or any(word in reason(entry) for word in OF_ORDERS)


def is_change(entry: Json) -> bool:
    """Whether somebody changed a quantity there, apart from orders."""
    is_counted = ref(entry.get("shopID")) and ref(entry.get("itemID")) and quantity(entry.get("qohChange") or 0)
    return bool(is_counted) and not is_of_an_order(entry) and not any(one in reason(entry) for one in OF_BOOKKEEPING)


def is_by(entry: Json, employee_id: str) -> bool:
    """Whether a number was typed over in that employee's name."""
    return reason(entry) in BY_HAND and text(entry.get("employeeID")) == employee_id


def changed(entry: Json) -> StockChange:
    """A change of the log, with its cause."""
    cause = next((words for field, words in CAUSES if ref(entry.get(field))), "edited at Lightspeed")
    is_import = bool(ref(entry.get("itemImportID")))
    return StockChange(
        external_id=f"log:{entry['inventoryLogID']}",
        inventory_id=str(entry["itemID"]),
        location_id=str(entry["shopID"]),
        delta=quantity(entry["qohChange"]),
        occurred_at=happened(entry, "createTime"),
        cause=cause,
        made_by=MadeBy.FILE if is_import else MadeBy.PERSON if reason(entry) in BY_HAND else MadeBy.UNKNOWN,
        by=f"employee {entry['employeeID']}" if ref(entry.get("employeeID")) else "",
    )


def without_receipt(entries: Iterable[Json], lines: Iterable[Json]) -> list[StockChange]:
    """What refunds that name no ticket brought back, or took away again when they were voided: no order tells of it.

    `lines`: those of the refunds that the entries name.
    """
    loose = {
        (text(line.get("saleID")), text(line.get("itemID")))
        for line in lines
        if not ref(line.get("parentSaleLineID")) and quantity(line.get("unitQuantity")) < 0
    }
    found = []
    for entry in entries:
        if (text(entry.get("saleID")), text(entry.get("itemID"))) in loose and quantity(entry.get("qohChange") or 0):
            is_back = quantity(entry["qohChange"]) > 0
            words = "returned at the till without a receipt" if is_back else "a refund at the till was voided"
            found.append(replace(changed(entry), cause=words, made_by=MadeBy.TILL, is_return=is_back))
    return found


def is_refund(entry: Json) -> bool:
    """Whether the log tells of a refund, or of one that was voided."""
    return bool(ref(entry.get("saleID"))) and "refund" in reason(entry)


def matrix_names(found: Iterable[Json]) -> dict[str, str]:
    """Names by number."""
    return {str(one["itemMatrixID"]): text(one.get("description")) for one in found}


def employee(session: Json) -> str:
    """In whose name we write. Raises ConnectorError."""
    return (
        str(session["employeeID"]) if ref(session.get("employeeID")) else text(row(session, "Employee")["employeeID"])
    )
