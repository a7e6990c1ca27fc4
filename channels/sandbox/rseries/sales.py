"""Tickets, refunds, and units set aside for customers."""

from datetime import datetime

from django.db.models import Q

from channels.sandbox import faults
from channels.sandbox.rseries import documents, stock
from channels.sandbox.rseries.errors import RSeriesError
from channels.sandbox.rseries.http import Call, Json, endpoint, is_true, rows_of, whole
from channels.sandbox.rseries.listing import one, page
from channels.sandbox.rseries.models import Sale, SaleLine, Shop
from channels.sandbox.rseries.shop import find


@endpoint(operation="sales.list")
def sales(*, call: Call) -> Json:
    """Tickets."""
    return page(call, documents.SALE, Sale.objects.all())


@endpoint(operation="sale_lines.list")
def lines(*, call: Call) -> Json:
    """Lines, of tickets and set aside."""
    return page(call, documents.LINE, SaleLine.objects.all())


def _sale(call: Call, number: str) -> Sale:
    sale = Sale.objects.filter(account=call.account, pk=whole(number, field="saleID")).select_related("shop").first()
    if sale is None:
        raise RSeriesError(404, f"No Sale with ID {number}.")
    return sale


def _line_row(call: Call, number: object, **where: object) -> SaleLine:
    pk = whole(number, field="saleLineID")
    rows = SaleLine.objects.filter(account=call.account, pk=pk, **where).select_related("item", "shop", "sale")
    line = rows.first()
    if line is None:
        raise RSeriesError(404, f"No SaleLine with ID {number}.")
    return line


def _shop(call: Call, body: Json) -> Shop:
    shop = Shop.objects.filter(account=call.account, pk=whole(body.get("shopID"), field="shopID")).first()
    if shop is None:
        raise RSeriesError(400, "shopID names no shop.")
    return shop


@endpoint(operation="sales.get")
def sale(*, call: Call, number: str) -> Json:
    """One."""
    return one(documents.SALE, _sale(call, number), call.relations)


@endpoint(operation="sales.create", cost=5)
def create(*, call: Call) -> Json:
    """With its lines; what was set aside is named by its line. Completed, it takes its units off the count."""
    stock.locked(call.account)
    shop = _shop(call, call.body)
    row = Sale.objects.create(
        account=call.account, shop=shop, employee=call.employee, create_time=call.now, time_stamp=call.now,
        update_time=call.now, reference_number=str(call.body.get("referenceNumber") or ""),
    )  # fmt: skip
    for given in rows_of(call.body.get("SaleLines") or {}):
        _add_line(call, row, given)
    if is_true(call.body.get("completed")):
        complete(row, now=call.now)
    return one(documents.SALE, row, ["SaleLines"])


def _add_line(call: Call, sale: Sale, given: Json) -> None:
    if given.get("saleLineID"):
        line = _line_row(call, given["saleLineID"], sale=None)
        line.sale, line.time_stamp = sale, call.now
        line.save()
        return
    item = find(call, str(given.get("itemID")))
    parent = (
        _line_row(call, given["parentSaleLineID"])
        if whole(given.get("parentSaleLineID") or 0, field="parent")
        else None
    )
    SaleLine.objects.create(
        account=call.account, sale=sale, item=item, shop=sale.shop, parent=parent, unit_price=item.price,
        unit_quantity=whole(given.get("unitQuantity", 1), field="unitQuantity"), create_time=call.now,
        time_stamp=call.now,
    )  # fmt: skip


def complete(sale: Sale, *, now: datetime) -> None:
    """Paid: its units leave the count, but for those that were taken off it when they were set aside."""
    sale.completed, sale.complete_time, sale.time_stamp, sale.update_time = True, now, now, now
    sale.save()
    for line in sale.lines.select_related("item", "shop").order_by("pk"):
        back = line.unit_quantity < 0
        stock.move(
            item=line.item, shop=line.shop, by=line.reserved - line.unit_quantity, on_layaway=-line.reserved,
            reason="RefundAddInventory" if back else "RemoveForTransaction", employee=sale.employee, sale=sale, now=now,
        )  # fmt: skip
        line.reserved, line.time_stamp = 0, now
        line.save()


@endpoint(operation="sales.update", cost=2)
def update(*, call: Call, number: str) -> Json:
    """Completes an open ticket, or voids one: then all its units are back."""
    stock.locked(call.account)
    row = _sale(call, number)
    if is_true(call.body.get("completed")) and not row.completed:
        complete(row, now=call.now)
    if is_true(call.body.get("voided")) and not row.voided:
        row.voided, row.update_time = True, call.now
        if faults.switch("rseries.void_moves_time_stamp", False):
            row.time_stamp = call.now
        row.save()
        for line in row.lines.select_related("item", "shop").order_by("pk") if row.completed else ():
            is_back = line.unit_quantity < 0
            stock.move(
                item=line.item, shop=line.shop, by=line.unit_quantity, employee=call.employee, sale=row, now=call.now,
                reason="VoidRefund" if is_back else "PutBackForTransaction",
            )  # fmt: skip
    return one(documents.SALE, row, ["SaleLines"])


@endpoint(operation="sales.refund", cost=10)
def refund(*, call: Call, number: str) -> Json:
    """A completed ticket with negative lines, each with the line it gives back. Raises RSeriesError (400)."""
    stock.locked(call.account)
    source = _sale(call, number)
    back = Sale.objects.create(
        account=call.account, shop=_shop(call, call.body), employee=call.employee, create_time=call.now,
        time_stamp=call.now, update_time=call.now,
    )  # fmt: skip
    for given in rows_of(call.body.get("SaleLines") or {}):
        parent = _line_row(call, given.get("parentSaleLineID"), sale=source)
        units = whole(given.get("unitQuantity"), field="unitQuantity")
        gone = sum(row.unit_quantity for row in parent.refunds.filter(~Q(sale__voided=True)))
        if units >= 0 or parent.unit_quantity + gone + units < 0:
            raise RSeriesError(400, "The refund exceeds the quantity of the original line.")
        _add_line(call, back, {**given, "itemID": parent.item_id})
    complete(back, now=call.now)
    return one(documents.SALE, back, ["SaleLines"])


@endpoint(operation="sale_lines.create", cost=2)
def set_aside(*, call: Call) -> Json:
    """A layaway: as many of the units as there are leave the quantity on hand at once."""
    stock.locked(call.account)
    shop, item = _shop(call, call.body), find(call, str(call.body.get("itemID")))
    if not is_true(call.body.get("isLayaway")):
        raise RSeriesError(400, "Only layaways can be made here.")
    units = whole(call.body.get("unitQuantity", 1), field="unitQuantity")
    level = item.item_shops.filter(shop=shop).first()
    reserved = min(units, max(level.qoh if level else 0, 0))
    row = SaleLine.objects.create(
        account=call.account, item=item, shop=shop, unit_quantity=units, unit_price=item.price, is_layaway=True,
        reserved=reserved, create_time=call.now, time_stamp=call.now,
    )  # fmt: skip
    _reserve(call, row, by=reserved)
    return one(documents.LINE, row, ["InventorySales"])


def _reserve(call: Call, line: SaleLine, *, by: int) -> None:
    reason = "RemoveForLayaway" if by > 0 else "PutBackForLayaway"
    stock.move(
        item=line.item, shop=line.shop, by=-by, on_layaway=by, reason=reason, employee=call.employee, now=call.now
    )


@endpoint(operation="sale_lines.delete", cost=2)
def let_go(*, call: Call, number: str) -> Json:
    """Not wanted any more: the units are back, and the line is gone."""
    stock.locked(call.account)
    line = _line_row(call, number, sale=None)
    _reserve(call, line, by=-line.reserved)
    printed = one(documents.LINE, line, [])
    line.delete()
    return printed
