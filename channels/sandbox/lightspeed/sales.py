"""Sales and returns: what a sale holds out of the levels follows from its state, and only the difference moves."""

import uuid
from decimal import Decimal
from typing import Any

from channels.sandbox import faults
from channels.sandbox.lightspeed import events, stock
from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, fields, find, items, page
from channels.sandbox.lightspeed.models import Outlet, Product, Register, Retailer, Sale
from channels.sandbox.lightspeed.values import Json, locked, next_version, read_number, read_uuid, stamp

STATES = ("parked", "pending", "voided", "closed")
ATTRIBUTES = ("onaccount", "layby", "pickup", "delivery", "service")
EXCLUSIVE = ({"onaccount", "layby"}, {"pickup", "delivery"})


def print_sale(sale: Sale) -> Json:
    """A sale as 2026-07 tells it."""
    total = sum((Decimal(str(line["pricing"]["total"])) for line in sale.line_items), Decimal(0))
    returns = [str(pk) for pk in sale.return_sales.order_by("created_at", "pk").values_list("pk", flat=True)]
    printed = {
        "id": str(sale.pk),
        "state": sale.state,
        "date": stamp(sale.date),
        "invoice_number": sale.invoice_number,
        "receipt_number": sale.invoice_number,
        "note": sale.note,
        "attributes": sale.attributes,
        "source": {
            "id": sale.source_id, "type": "USER", "outlet_id": str(sale.register.outlet_id),
            "register_id": str(sale.register_id), "author": {"id": str(sale.retailer.user_id)},
        },
        "line_items": sale.line_items,
        "payments": sale.payments,
        "totals": {"price": float(total), "price_incl_tax": float(total), "tax": 0.0, "surcharge": 0.0, "loyalty": 0.0},
        "adjustments": [],
        "external_applications": [],
        "return": {"is_return": sale.original_sale_id is not None, "return_sale_ids": returns},
        "_metadata": {"version": sale.version},
        "created_at": stamp(sale.created_at),
        "updated_at": stamp(sale.updated_at),
    }  # fmt: skip
    if sale.original_sale_id:
        printed["return"]["original_sale_id"] = str(sale.original_sale_id)
    if sale.fulfillment_outlet_id:
        printed["fulfillment_outlet_id"] = str(sale.fulfillment_outlet_id)
    return printed


@endpoint(operation="sales.list", scope="sales:read")
def list_sales(*, call: Call) -> Json:
    """A feed."""
    return page(call, Sale.objects.select_related("register", "retailer"), print_sale)


@endpoint(operation="sales.get", scope="sales:read")
def get(*, call: Call, sale_id: str) -> Json:
    """One."""
    return {"data": print_sale(find(call, Sale, sale_id))}


@endpoint(operation="sales.create", scope="sales:write", status=201)
def create(*, call: Call) -> Json:
    """A sale; the id may be chosen by who sells, and the same id again is the same sale."""
    body = fields(call.body, what="the body")
    retailer = locked(call.retailer)
    pk = read_uuid(body["id"], field="id") if body.get("id") else uuid.uuid4()
    sale = Sale.objects.filter(retailer=retailer, pk=pk).first()
    if sale is None:
        retailer.invoices += 1
        Retailer.objects.filter(pk=retailer.pk).update(invoices=retailer.invoices)
        sale = Sale(
            id=pk, retailer=retailer, invoice_number=str(body.get("invoice_number") or retailer.invoices),
            date=call.now, created_at=call.now, updated_at=call.now, version=0, register=_register(call, body),
        )  # fmt: skip
    _fill(call, sale, body)
    save(retailer=retailer, sale=sale, now=call.now)
    return {"data": print_sale(sale)}


@endpoint(operation="sales.update", scope="sales:write")
def update(*, call: Call, sale_id: str) -> Json:
    """The sale as it is now; lines are replaced whole where they are given."""
    retailer = locked(call.retailer)
    sale: Sale = find(call, Sale, sale_id)
    body = fields(call.body, what="the body")
    if sale.state in ("closed", "voided") and body.get("state") not in (sale.state, "voided"):
        raise LightspeedError(422, f"A {sale.state} sale stays {sale.state}.")
    _fill(call, sale, body)
    save(retailer=retailer, sale=sale, now=call.now)
    return {"data": print_sale(sale)}


@endpoint(operation="sales.return", scope="sales:write", status=201)
def give_back(*, call: Call, sale_id: str) -> Json:
    """A parked sale with what is left of this one, negative; closing it gives the units back."""
    retailer = locked(call.retailer)
    sale: Sale = find(call, Sale, sale_id)
    if sale.state != "closed":
        raise LightspeedError(422, "Only a closed sale can be returned.")
    retailer.invoices += 1
    Retailer.objects.filter(pk=retailer.pk).update(invoices=retailer.invoices)
    back = Sale(
        retailer=retailer, register=sale.register, original_sale=sale, state="parked", date=call.now,
        invoice_number=str(retailer.invoices), created_at=call.now, updated_at=call.now, version=0,
    )  # fmt: skip
    left = _left(sale)
    back.line_items = [
        {**line, "id": str(uuid.uuid4()), "quantity": -left[line["id"]], "return": {"is_return": True},
         "pricing": {**line["pricing"], "total": -left[line["id"]] * line["pricing"]["price"]}}
        for line in sale.line_items if left[line["id"]] > 0
    ]  # fmt: skip
    save(retailer=retailer, sale=back, now=call.now)
    save(retailer=retailer, sale=sale, now=call.now)
    return {"data": print_sale(back)}


def _left(sale: Sale) -> dict[str, float]:
    """Units of each line that were not given back yet."""
    gone: dict[str, float] = {}
    for back in sale.return_sales.exclude(state="voided"):
        for line in back.line_items:
            gone[line["product"]["id"]] = gone.get(line["product"]["id"], 0) - line["quantity"]
    left = {}
    for line in sale.line_items:
        taken = min(line["quantity"], gone.get(line["product"]["id"], 0))
        gone[line["product"]["id"]] = gone.get(line["product"]["id"], 0) - taken
        left[line["id"]] = line["quantity"] - taken
    return left


def _register(call: Call, body: Json) -> Register:
    source = fields(body.get("source"), what="source")
    if source.get("register_id"):
        found: Register = find(call, Register, source["register_id"], status=422)
        return found
    first = Register.objects.filter(retailer=call.retailer, deleted_at=None).order_by("created_at", "pk").first()
    if first is None:
        raise LightspeedError(422, "There is no register.")
    return first


def _fill(call: Call, sale: Sale, body: Json) -> None:
    """Lay the given fields over a sale. Raises LightspeedError (422)."""
    source = fields(body.get("source"), what="source")
    if not source.get("author_id") or body.get("state") not in STATES:
        raise LightspeedError(422, "source.author_id and state are needed.")
    attributes = body.get("attributes", sale.attributes)
    if not set(attributes) <= set(ATTRIBUTES) or any(pair <= set(attributes) for pair in EXCLUSIVE):
        raise LightspeedError(422, f"These attributes do not go together: {attributes}")
    sale.state, sale.attributes = body["state"], list(attributes)
    sale.source_id = str(source.get("id") or sale.source_id)
    sale.note = str(body.get("note") or sale.note)
    if body.get("fulfillment_outlet_id"):
        sale.fulfillment_outlet = find(call, Outlet, body["fulfillment_outlet_id"], status=422)
    if "line_items" in body:
        sale.line_items = [_line(call, line) for line in items(body["line_items"], what="line_items")]
    if "payments" in body:
        sale.payments = [_payment(one) for one in items(body["payments"], what="payments")]


def _line(call: Call, line: Json) -> Json:
    product: Product = find(call, Product, fields(line.get("product"), what="product").get("id"), status=422)
    quantity = read_number(line.get("quantity"), field="quantity")
    price = read_number(fields(line.get("pricing"), what="pricing").get("price"), field="pricing.price")
    if "id" not in fields(line.get("tax"), what="tax") or not quantity:
        raise LightspeedError(422, "A line needs a quantity and a tax.")
    printed: Json = {
        "id": str(read_uuid(line["id"], field="id") if line.get("id") else uuid.uuid4()),
        "product": {"id": str(product.pk)},
        "quantity": float(quantity),
        "status": str(line.get("status") or "CONFIRMED"),
        "pricing": {"price": float(price), "discount": 0.0, "total": float(price * quantity), "cost": 0.0},
        "tax": {"id": line["tax"]["id"], "amount": 0.0, "total": 0.0},
        "return": {"is_return": quantity < 0},
    }
    if line.get("fulfilment_outlet_id"):
        printed["fulfillment_outlet_id"] = str(find(call, Outlet, line["fulfilment_outlet_id"], status=422).pk)
    method = (line.get("_metadata") or {}).get("fulfillment_method")
    return printed | ({"_metadata": {"fulfillment_method": method}} if method else {})


def _payment(one: Json) -> Json:
    config = fields(one.get("type"), what="payments.type").get("config_id")
    amount = read_number(one.get("amount"), field="amount")
    return {
        "id": str(one.get("id") or uuid.uuid4()), "amount": float(amount),
        "type": {"config_id": str(read_uuid(config, field="config_id"))},
    }  # fmt: skip


def save(*, retailer: Retailer, sale: Sale, now: Any) -> None:
    """Keep a sale under a new version, and move the levels by what changed."""
    before = {name: Decimal(units) for name, units in sale.taken.items()}
    wanted = taken(sale)
    moves = {
        _cell(name): before.get(name, Decimal(0)) - wanted.get(name, Decimal(0)) for name in before.keys() | wanted
    }
    sale.taken = {name: str(units) for name, units in wanted.items()}
    sale.version, sale.updated_at = next_version(retailer), now
    sale.save()
    stock.move(retailer=retailer, by=moves, now=now)
    events.sale_changed(retailer=retailer, sale=sale)


def taken(sale: Sale) -> dict[str, Decimal]:
    """What a sale holds out of the levels. A layby and a sale on account take their goods off at once; what is to be
    picked up or delivered leaves when it is handed over. https://x-series-api.lightspeedhq.com/docs/sales_statuses"""
    if sale.state == "voided" and not faults.switch("lightspeed.void_restocks", True):
        return {name: Decimal(units) for name, units in sale.taken.items()}
    is_waiting = {"pickup", "delivery"} & set(sale.attributes) or not {"layby", "onaccount"} & set(sale.attributes)
    if sale.state in ("parked", "voided") or (sale.state == "pending" and is_waiting):
        return {}
    units: dict[str, Decimal] = {}
    for line in sale.line_items:
        outlet = line.get("fulfillment_outlet_id") or sale.fulfillment_outlet_id or sale.register.outlet_id
        name = f"{line['product']['id']} {outlet}"
        units[name] = units.get(name, Decimal(0)) + Decimal(str(line["quantity"]))
    return units


def _cell(name: str) -> stock.Cell:
    product, outlet = name.split()
    return uuid.UUID(product), uuid.UUID(outlet)
