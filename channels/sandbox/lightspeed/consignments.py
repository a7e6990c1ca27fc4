"""Consignments: deliveries, transfers, returns to suppliers, stocktakes. Counts are texts with five decimals."""

from decimal import Decimal
from typing import Any

from channels.sandbox.lightspeed import events, stock
from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, fields, find, items, page
from channels.sandbox.lightspeed.models import Consignment, ConsignmentProduct, Level, Outlet, Product, Retailer
from channels.sandbox.lightspeed.values import Json, locked, next_version, read_number, stamp

TYPES = ("SUPPLIER", "OUTLET", "STOCKTAKE", "RETURN")
STATUSES = (
    "OPEN", "SENT", "DISPATCHED", "RECEIVED", "STOCKTAKE_SCHEDULED", "STOCKTAKE_IN_PROGRESS",
    "STOCKTAKE_IN_PROGRESS_PROCESSED", "STOCKTAKE_COMPLETE", "CLOSED", "CANCELLED",
)  # fmt: skip
ENDED = ("RECEIVED", "STOCKTAKE_COMPLETE", "CLOSED", "CANCELLED")


def print_consignment(row: Consignment) -> Json:
    """A consignment without its lines."""
    return {
        "id": str(row.pk),
        "outlet_id": str(row.outlet_id),
        "source_outlet_id": str(row.source_outlet_id) if row.source_outlet_id else None,
        "name": row.name,
        "type": row.type,
        "status": row.status,
        "reference": row.reference or None,
        "received_at": stamp(row.received_at),
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "deleted_at": stamp(row.deleted_at),
        "version": row.version,
    }


def print_line(row: ConsignmentProduct) -> Json:
    """A line."""
    return {
        "product_id": str(row.product_id),
        "product_sku": row.product.sku,
        "count": None if row.count is None else f"{row.count:.5f}",
        "received": None if row.received is None else f"{row.received:.5f}",
        "cost": f"{row.product.supply_price:.5f}",
        "is_included": True,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "deleted_at": stamp(row.deleted_at),
        "version": row.version,
    }


@endpoint(operation="consignments.list", scope="consignments:read")
def list_consignments(*, call: Call) -> Json:
    """A feed, of one type or state where asked."""
    rows = Consignment.objects.all()
    for name in ("type", "status"):
        if call.query.get(name):
            rows = rows.filter(**{name: call.query[name]})
    return page(call, rows, print_consignment)


@endpoint(operation="consignments.create", scope="consignments:write:inventory_count", status=201)
def create(*, call: Call) -> Json:
    """Open, or a stocktake under way."""
    retailer = locked(call.retailer)
    row = Consignment(retailer=retailer, version=0, created_at=call.now, updated_at=call.now)
    _fill(call, row, fields(call.body, what="the body"))
    _save(retailer, row, call)
    return {"data": print_consignment(row)}


@endpoint(operation="consignments.update", scope="consignments:write:inventory_count")
def update(*, call: Call, consignment_id: str) -> Json:
    """Change its status: sending and receiving move the levels."""
    retailer = locked(call.retailer)
    row: Consignment = find(call, Consignment, consignment_id)
    before = row.status
    if before in ENDED:
        raise LightspeedError(422, f"It is {before} already.")
    _fill(call, row, fields(call.body, what="the body"))
    _move(retailer, row, before=before, call=call)
    _save(retailer, row, call)
    return {"data": print_consignment(row)}


def _fill(call: Call, row: Consignment, body: Json) -> None:
    if body.get("type") not in TYPES or not body.get("name"):
        raise LightspeedError(422, "name, type and outlet_id are needed.")
    if body.get("status", "OPEN") not in STATUSES:
        raise LightspeedError(422, f"{body['status']} is not a status.")
    row.type, row.name, row.status = body["type"], str(body["name"]), body.get("status", row.status)
    row.outlet = find(call, Outlet, body.get("outlet_id"), status=422)
    row.reference = str(body.get("reference") or row.reference)
    if body.get("source_outlet_id"):
        row.source_outlet = find(call, Outlet, body["source_outlet_id"], status=422)
    if row.type == "OUTLET" and row.source_outlet is None:
        raise LightspeedError(422, "A transfer needs a source_outlet_id.")


def _move(retailer: Retailer, row: Consignment, *, before: str, call: Call) -> None:
    if row.status == before:
        return
    lines = list(row.products.select_related("product").order_by("created_at", "pk"))
    if row.status == "SENT":
        source = {"OUTLET": row.source_outlet_id, "RETURN": row.outlet_id}.get(row.type)
        if source is not None:
            by = {(line.product_id, source): -(line.count or Decimal(0)) for line in lines}
            stock.move(retailer=retailer, by=by, now=call.now)
        _tell(retailer, "consignment.send", lines)
    elif row.status == "RECEIVED" and row.type in ("SUPPLIER", "OUTLET"):
        for line in lines:
            line.received = line.count if line.received is None else line.received
            line.save(update_fields=["received"])
        by = {(line.product_id, row.outlet_id): line.received or Decimal(0) for line in lines}
        stock.move(retailer=retailer, by=by, now=call.now)
        row.received_at = call.now
        _tell(retailer, "consignment.receive", lines)
    elif row.status == "STOCKTAKE_COMPLETE":
        for line in lines:
            stock.set_to(
                retailer=retailer, product=line.product, outlet=row.outlet, quantity=line.received or Decimal(0),
                now=call.now,
            )  # fmt: skip


def _tell(retailer: Retailer, type_: str, lines: list[ConsignmentProduct]) -> None:
    for number, line in enumerate(lines, start=1):
        events.consignment_moved(retailer=retailer, type_=type_, line=line, number=number)


def _save(retailer: Retailer, row: Consignment, call: Call) -> None:
    row.version, row.updated_at = next_version(retailer), call.now
    row.save()


@endpoint(operation="consignments.products.list", scope="consignments:read")
def list_lines(*, call: Call, consignment_id: str) -> Json:
    """All of them."""
    row = find(call, Consignment, consignment_id)
    lines = ConsignmentProduct.objects.filter(consignment=row).select_related("product")
    return page(call, lines, print_line)


@endpoint(operation="consignments.products.create", scope="consignments:write:inventory_count", status=201)
def add_line(*, call: Call, consignment_id: str) -> Json:
    """One more line, or another count on one that is there."""
    retailer = locked(call.retailer)
    row = find(call, Consignment, consignment_id)
    return {"data": print_line(_put_line(call, retailer, row, fields(call.body, what="the body")))}


@endpoint(operation="consignments.products.update", scope="consignments:write:inventory_count")
def change_line(*, call: Call, consignment_id: str, product_id: str) -> Json:
    """Another count."""
    retailer = locked(call.retailer)
    row = find(call, Consignment, consignment_id)
    body = {**fields(call.body, what="the body"), "product_id": product_id}
    return {"data": print_line(_put_line(call, retailer, row, body))}


@endpoint(operation="consignments.bulk", scope="consignments:write:inventory_count")
def bulk(*, call: Call, consignment_id: str) -> Any:
    """Many lines; counts of a SUPPLIER consignment add up with those of earlier calls."""
    retailer = locked(call.retailer)
    row: Consignment = find(call, Consignment, consignment_id)
    lines = items(call.body, what="the body")
    adds = row.type == "SUPPLIER"
    return {"data": [print_line(_put_line(call, retailer, row, line, adds=adds)) for line in lines]}


def _put_line(
    call: Call, retailer: Retailer, row: Consignment, body: Json, *, adds: bool = False
) -> ConsignmentProduct:
    product: Product = find(call, Product, body.get("product_id"), status=422)
    line = ConsignmentProduct.objects.filter(consignment=row, product=product).first() or ConsignmentProduct(
        retailer=retailer, consignment=row, product=product, created_at=call.now
    )
    if row.type == "STOCKTAKE" and line.count is None:
        level = Level.objects.filter(product=product, outlet=row.outlet).first()
        line.count = level.quantity if level else Decimal(0)  # what is expected to be there
    elif body.get("count") is not None:
        before = line.count or Decimal(0) if adds else Decimal(0)
        line.count = before + read_number(body["count"], field="count")
    if body.get("received") is not None:
        line.received = read_number(body["received"], field="received")
    line.version, line.updated_at = next_version(retailer), call.now
    line.save()
    return line
