"""Outlets, products, levels and sales as values of ours.

https://x-series-api.lightspeedhq.com/docs/sales_states_and_attributes and …/docs/sales_statuses
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from channels.connectors.lightspeed.feeds import version_of
from channels.connectors.lightspeed.values import ZERO, Json, moment, quantity, text, unreadable
from channels.ports import (
    ChannelOrder,
    ChannelOrderLine,
    Count,
    LineHold,
    RemoteListing,
    RemoteLocation,
    ReturnLine,
    StockChange,
)

BARCODE_TYPES = ("EAN", "UPC", "JAN", "ISBN", "ITF")  # the first of these that a product has is its barcode
HANDED_OVER_LATER = {"pickup", "delivery"}
TAKEN_AT_ONCE = {"layby", "onaccount"}
WORDS_OF_REASON = {
    "DAMAGE": "damaged",
    "EXPIRY": "expired",
    "INTERNAL_USE": "used in the shop",
    "THEFT": "stolen",
    "DONATION": "given away",
    "STOCK_FOUND": "found",
    "SAMPLE_FOR_SALE": "a sample put up for sale",
    "CUSTOM": "edited",
}


def location(outlet: Json) -> RemoteLocation:
    """An outlet; a deleted one is inactive."""
    return RemoteLocation(
        external_id=str(outlet["id"]),
        name=text(outlet.get("name")),
        is_active=outlet.get("deleted_at") is None,
        timezone=text(outlet.get("time_zone")),
    )


def code_type(code: Json) -> str:
    """Types of product codes come in either case."""
    return text(code.get("type")).upper() or "CUSTOM"


def barcode(product: Json) -> str:
    """The product's barcode: the SKU is a code, too, of type CUSTOM."""
    codes = {code_type(code): text(code.get("code")) for code in reversed(product.get("product_codes") or [])}
    return next((codes[kind] for kind in BARCODE_TYPES if codes.get(kind)), "")


def options(product: Json) -> dict[str, str]:
    """Option values by name."""
    return {text(one.get("name")): text(one.get("value")) for one in product.get("variant_options") or []}


def is_tracked(product: Json) -> bool:
    """Composites hold no stock of their own: their parts do."""
    return bool(product.get("has_inventory")) and not product.get("is_composite")


def listing(product: Json) -> RemoteListing:
    """A product; variants of a family are products of their own. The till sells past zero whatever is set."""
    price = product.get("price_including_tax")
    price = product.get("price_excluding_tax") if price is None else price
    chosen = options(product)
    images = product.get("images") or []
    return RemoteListing(
        external_id=str(product["id"]),
        inventory_id=str(product["id"]),
        product_external_id=text(product.get("family_id") or product.get("variant_parent_id") or product["id"]),
        product_title=text(product.get("name")),
        title=" / ".join(chosen.values()),
        sku=text(product.get("sku")),
        barcode=barcode(product),
        options=chosen,
        price=None if price is None else quantity(price).quantize(Decimal("0.01")),
        is_tracked=is_tracked(product),
        sells_past_zero=False,
        updated_at=moment(product.get("updated_at")),
        is_deleted=product.get("deleted_at") is not None,
        category=text((product.get("product_category") or {}).get("name")),
        image_url=text(images[0].get("url")) if images else "",
    )


def counts(rows: Iterable[Json]) -> list[Count]:
    """Levels; a pair without a number is unknown."""
    return [
        Count(str(row["product_id"]), str(row["location_id"]), quantity(row["current_inventory_level"]), None)
        for row in rows
        if row.get("product_id") and row.get("location_id") and row.get("current_inventory_level") is not None
    ]


def orders(sale: Json, *, currency: str) -> list[ChannelOrder]:
    """A sale as the orders it speaks of: what it sells, and what it gives back of an earlier one.

    A return is a sale of its own with negative quantities that names the sale, but not its lines. So lines of one
    product are one line here, named by the product. A return without a receipt moves no order (`unreferenced`).
    """
    external_id, own = str(sale["id"]), sale.get("return") or {}
    source = text(own.get("original_sale_id"))
    lines = _lines(sale)
    if not source:
        return [_order(sale, external_id=external_id, lines=lines, currency=currency)]
    back = _order(
        sale, external_id=f"{external_id}:return" if lines else external_id, lines=[], returns=_returns(sale),
        return_of=source,
    )  # fmt: skip
    return [_order(sale, external_id=external_id, lines=lines, currency=currency), back] if lines else [back]


def _order(
    sale: Json,
    *,
    external_id: str,
    lines: Sequence[ChannelOrderLine],
    returns: Sequence[ReturnLine] = (),
    return_of: str = "",
    currency: str = "",
) -> ChannelOrder:
    placed_at = moment(sale.get("date")) or moment(sale.get("created_at"))
    if placed_at is None:
        raise unreadable("a sale without a date")
    total = (sale.get("totals") or {}).get("price_incl_tax")
    return ChannelOrder(
        external_id=external_id,
        number=text(sale.get("invoice_number")) or external_id[-6:],
        placed_at=placed_at,
        updated_at=moment(sale.get("updated_at")) or placed_at,
        version=version_of(sale),
        is_cancelled=sale.get("state") == "voided",
        lines=lines,
        returns=returns,
        return_of=return_of,
        total=None if total is None or return_of else quantity(total),
        currency=currency,
        left_at=_left_at(sale),
    )


def _left_at(sale: Json) -> datetime | None:
    """What was handed over later left at the last change of the sale, or before: no time of its own is told."""
    return moment(sale.get("updated_at")) if set(sale.get("attributes") or []) & HANDED_OVER_LATER else None


def _place(sale: Json, line: Json) -> str:
    """Where the goods come from: the line's own outlet, the sale's for fulfillment, or the till's."""
    return text(
        line.get("fulfillment_outlet_id")
        or sale.get("fulfillment_outlet_id")
        or (sale.get("source") or {}).get("outlet_id")
    )


def _units(sale: Json, *, sign: int) -> dict[tuple[str, str], Decimal]:
    """Units sold (1) or given back (-1), by product and outlet."""
    units: dict[tuple[str, str], Decimal] = {}
    for line in sale.get("line_items") or []:
        product_id = text((line.get("product") or {}).get("id"))
        number = quantity(line.get("quantity")) * sign
        if product_id and number > 0:
            key = product_id, _place(sale, line)
            units[key] = units.get(key, ZERO) + number
    return units


def _lines(sale: Json) -> list[ChannelOrderLine]:
    by_product: dict[str, list[LineHold]] = {}
    sold: dict[str, Decimal] = {}
    for (product_id, place), units in _units(sale, sign=1).items():
        sold[product_id] = sold.get(product_id, ZERO) + units
        by_product.setdefault(product_id, []).extend(_hold(sale, place, units))
    return [
        ChannelOrderLine(
            external_id=product_id, listing_external_id=product_id, sku="", title="", quantity=units,
            holds=by_product[product_id],
        )
        for product_id, units in sold.items()
    ]  # fmt: skip


def _hold(sale: Json, place: str, units: Decimal) -> list[LineHold]:
    """What a line holds, by the sale's state.

    closed: it has left. pending: a layby and a sale on account take their goods off the count at once; what is to be
    picked up or delivered leaves when it is handed over, and is promised until then. parked, voided: nothing.
    """
    state, attributes = sale.get("state"), set(sale.get("attributes") or [])
    is_gone = state == "closed" or bool(
        state == "pending" and attributes & TAKEN_AT_ONCE and not attributes & HANDED_OVER_LATER
    )
    if is_gone:
        return [LineHold(location_id=place, fulfilled=units)]
    return [LineHold(location_id=place, committed=units)] if state == "pending" else []


def _returns(sale: Json) -> list[ReturnLine]:
    """Units back on the shelf; a return that is not closed yet gives nothing back."""
    if sale.get("state") != "closed":
        return []
    return [
        ReturnLine(line_external_id=product_id, quantity=units, restocked=True, location_id=place)
        for (product_id, place), units in _units(sale, sign=-1).items()
    ]


def unreferenced(sale: Json) -> list[StockChange]:
    """What came back without a receipt: no order tells of it, so it is a change of stock."""
    if sale.get("state") != "closed" or (sale.get("return") or {}).get("original_sale_id"):
        return []
    happened_at = moment(sale.get("date")) or moment(sale.get("updated_at"))
    if happened_at is None:
        raise unreadable("a sale without a date")
    return [
        StockChange(
            external_id=f"sale:{sale['id']}:{product_id}:{place}", inventory_id=product_id, location_id=place,
            delta=units, occurred_at=happened_at, cause="returned at the till without a receipt",
        )
        for (product_id, place), units in _units(sale, sign=-1).items()
    ]  # fmt: skip


def adjusted(row: Json) -> StockChange:
    """An adjustment somebody made and gave a reason for."""
    happened_at = moment(row.get("created_at"))
    if happened_at is None:
        raise unreadable("an adjustment without created_at")
    return StockChange(
        external_id=f"adjustment:{row['id']}",
        inventory_id=str(row["product_id"]),
        location_id=str(row["outlet_id"]),
        delta=quantity(row.get("quantity")),
        occurred_at=happened_at,
        cause=f"{WORDS_OF_REASON.get(text(row.get('reason')), 'edited')} at Lightspeed",
    )


def consigned(consignment: Json, lines: Iterable[Json]) -> list[StockChange]:
    """What a consignment that was sent, received or counted moved."""
    legs = list(_legs(consignment))
    happened_at = moment(consignment.get("received_at")) or moment(consignment.get("updated_at"))
    if happened_at is None:
        raise unreadable("a consignment without a time")
    return [
        StockChange(
            external_id=f"consignment:{consignment['id']}:{leg}:{line['product_id']}",
            inventory_id=str(line["product_id"]), location_id=place, delta=delta, occurred_at=happened_at, cause=cause,
        )
        for line in lines for leg, place, sign, field, cause in legs
        if (delta := _moved(line, sign=sign, field=field))
    ]  # fmt: skip


def _legs(consignment: Json) -> Iterable[tuple[str, str, int, str, str]]:
    """Leg, outlet, sign, which number of a line, cause."""
    kind, status = consignment.get("type"), consignment.get("status")
    here, from_here = text(consignment.get("outlet_id")), text(consignment.get("source_outlet_id"))
    if kind == "SUPPLIER" and status == "RECEIVED":
        yield "in", here, 1, "received", "received from a supplier"
    elif kind == "OUTLET" and status in ("SENT", "DISPATCHED", "RECEIVED"):
        yield "out", from_here, -1, "count", "moved between locations"
        if status == "RECEIVED":
            yield "in", here, 1, "received", "moved between locations"
    elif kind == "RETURN" and status in ("SENT", "DISPATCHED", "RECEIVED", "CLOSED"):
        yield "out", here, -1, "count", "sent back to the supplier"
    elif kind == "STOCKTAKE" and status == "STOCKTAKE_COMPLETE":
        yield "counted", here, 0, "received", "counted at Lightspeed"


def _moved(line: Json, *, sign: int, field: str) -> Decimal:
    counted, said = line.get(field), line.get("count")
    if sign == 0:  # a stocktake: what was counted against what was said to be there
        return quantity(counted) - quantity(said) if counted is not None and said is not None else ZERO
    number = said if counted is None else counted
    return ZERO if number is None else quantity(number) * sign
