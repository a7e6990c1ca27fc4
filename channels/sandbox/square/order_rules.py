"""What happens to an order: drafts, versions, when it is paid and complete, the stock that moves with it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from channels.sandbox import faults
from channels.sandbox.square import errors, events, locations, pricing, shapes, stock
from channels.sandbox.square.errors import SquareError, invalid, missing, not_found
from channels.sandbox.square.models import Account, CatalogObject, InventoryChange, Order
from channels.sandbox.square.values import (
    Json,
    later_than,
    mixed_id,
    money,
    print_quantity,
    read_money,
    read_quantity,
    stamp,
    uid,
    upper_id,
)

STATES = ("DRAFT", "OPEN", "COMPLETED", "CANCELED")
FULFILLMENT_TYPES = ("PICKUP", "SHIPMENT", "DELIVERY", "IN_STORE")
FULFILLMENT_ENDS = ("COMPLETED", "CANCELED", "FAILED")
# Fields of an order a caller may set; the rest is Square's to fill in.
WRITABLE = (
    "reference_id", "source", "customer_id", "line_items", "taxes", "discounts", "service_charges",
    "fulfillments", "metadata", "ticket_name", "pricing_options", "returns",
)  # fmt: skip
LISTS = ("line_items", "taxes", "discounts", "service_charges", "fulfillments", "returns")
ORDER_KINDS = dict.fromkeys(LISTS, "objects") | {"source": "object", "metadata": "object"}
LINE_KINDS = {
    "uid": "text",
    "name": "text",
    "catalog_object_id": "text",
    "modifiers": "objects",
    "applied_taxes": "objects",
    "applied_discounts": "objects",
    "quantity_unit": "object",
}
LINE_ITEMS_MAX = 500
PRODUCTS = {"Square Online": "ONLINE_STORE", "Invoices": "INVOICES", "Appointments": "APPOINTMENTS"}


def find(*, account: Account, order_id: object, is_for_change: bool = False) -> Order:
    """Raises SquareError (404). For a change the row is locked."""
    rows = Order.objects.select_related("account").filter(account=account, pk=str(order_id or ""))
    row = (rows.select_for_update(of=("self",)) if is_for_change else rows).first()
    if row is None:
        raise not_found(f"Order not found for id {order_id}", "order_id")
    return row


def draft(*, account: Account, given: Any, field: str = "order") -> tuple[str, Json]:
    """The location and the checked, priced body of a new order. Raises SquareError."""
    if not isinstance(given, dict):
        raise missing(field)
    place = locations.find(account=account, location_id=given.get("location_id"), field=f"{field}.location_id")
    body = {name: given[name] for name in WRITABLE if given.get(name) is not None}
    check_kinds(body, account=account, field=field)
    body.setdefault("source", {"name": account.name})
    if len(body.get("fulfillments") or []) > 1:
        raise invalid(f"{field}.fulfillments", "An order can be created with at most one fulfillment.")
    complete(body, account=account, location_id=place.location_id, field=field)
    return place.location_id, body


def check_kinds(body: Json, *, account: Account, field: str) -> None:
    """Raise SquareError where a part of an order is of the wrong kind, or a rate or amount is no number."""
    shapes.check(body, ORDER_KINDS, field=field)
    for n, line in enumerate(body.get("line_items") or []):
        shapes.check(line, LINE_KINDS, field=f"{field}.line_items[{n}]")
    for n, entry in enumerate(body.get("returns") or []):
        shapes.check(entry, {"return_line_items": "objects"}, field=f"{field}.returns[{n}]")
    for name in ("taxes", "discounts", "service_charges"):
        for n, entry in enumerate(body.get(name) or []):
            place = f"{field}.{name}[{n}]"
            shapes.check(entry, {"uid": "text", "type": "text", "scope": "text"}, field=place)
            if entry.get("percentage") is not None:
                read_quantity(entry["percentage"], field=f"{place}.percentage")
            elif entry.get("amount_money") is not None:
                read_money(entry.get("amount_money"), field=f"{place}.amount_money", currency=account.currency)


def complete(body: Json, *, account: Account, location_id: str, field: str = "order") -> None:
    """Fill in what the catalog, the source orders and arithmetic say, in place."""
    lines = body.get("line_items") or []
    if len(lines) > LINE_ITEMS_MAX:
        detail = f"An order takes at most {LINE_ITEMS_MAX} line items."
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=detail, field=f"{field}.line_items")
    known = catalog_of(account=account, ids=[line.get("catalog_object_id") for line in lines])
    for n, line in enumerate(lines):
        fill_line(line, known=known, account=account, location_id=location_id, field=f"{field}.line_items[{n}]")
    for n, entry in enumerate(body.get("returns") or []):
        fill_return(entry, account=account, field=f"{field}.returns[{n}]")
    for n, entry in enumerate(body.get("fulfillments") or []):
        fill_fulfillment(entry, field=f"{field}.fulfillments[{n}]")
    pricing.price(body, currency=account.currency)


def catalog_of(*, account: Account, ids: Iterable[Any]) -> dict[str, CatalogObject]:
    """These variations and their items."""
    wanted = {str(object_id) for object_id in ids if object_id}
    variations = list(
        CatalogObject.objects.filter(account=account, object_id__in=wanted, type="ITEM_VARIATION", is_deleted=False)
    )
    items = CatalogObject.objects.filter(account=account, object_id__in={row.item_id for row in variations})
    return {row.object_id: row for row in [*variations, *items]}


def fill_line(line: Json, *, known: dict[str, CatalogObject], account: Account, location_id: str, field: str) -> None:
    object_id = line.get("catalog_object_id")
    variation = known.get(str(object_id))
    if object_id and variation is None:
        raise not_found(f"Item variation `{object_id}` not found.", f"{field}.catalog_object_id")
    takes_fractions = bool(line.get("quantity_unit"))
    if variation is not None:
        data = variation.data["item_variation_data"]
        takes_fractions = takes_fractions or bool(data.get("measurement_unit_id"))
        item = known.get(variation.item_id)
        line["name"] = item.name if item else ""
        line["variation_name"] = data.get("name") or ""
        line.setdefault("catalog_version", variation.version)
        if not line.get("base_price_money"):
            line["base_price_money"] = price_at(data, location_id=location_id)
    elif not line.get("name"):
        raise missing(f"{field}.name")
    quantity = read_quantity(line.get("quantity"), field=f"{field}.quantity", takes_fractions=takes_fractions)
    if quantity <= 0:
        raise SquareError(code="VALUE_TOO_LOW", detail="Must be positive.", field=f"{field}.quantity")
    if not line.get("base_price_money"):
        raise missing(f"{field}.base_price_money")
    read_money(line["base_price_money"], field=f"{field}.base_price_money", currency=account.currency)
    for n, modifier in enumerate(line.get("modifiers") or []):
        if modifier.get("base_price_money") is not None:
            place = f"{field}.modifiers[{n}].base_price_money"
            read_money(modifier["base_price_money"], field=place, currency=account.currency)
    line.setdefault("uid", uid())
    line.setdefault("item_type", "ITEM")


def price_at(variation: Json, *, location_id: str) -> Any:
    for override in variation.get("location_overrides") or []:
        if override.get("location_id") == location_id and override.get("price_money"):
            return override["price_money"]
    return variation.get("price_money")


def fill_return(entry: Json, *, account: Account, field: str) -> None:
    """Check returned lines against their source order, and give back the same part of each line's sums.

    The vendor makes these orders at its own till; taking them at CreateOrder lets a test play
    the till.
    """
    # Locked, so that two returns at once cannot take back the same unit.
    source = find(account=account, order_id=entry.get("source_order_id"), is_for_change=True)
    if source.state != "COMPLETED" and not source.has_moved_stock:
        raise SquareError(code="ORDER_UNPAID_NOT_RETURNABLE", detail="The order is not paid.", field=field)
    entry.setdefault("uid", uid())
    sold = {line["uid"]: line for line in source.data.get("line_items") or []}
    back = returned_before(account=account, source_order_id=source.order_id)
    for n, line in enumerate(entry.get("return_line_items") or []):
        place = f"{field}.return_line_items[{n}]"
        of = sold.get(line.get("source_line_item_uid"))
        if of is None:
            raise invalid(f"{place}.source_line_item_uid", "The source order has no such line item.")
        quantity = read_quantity(line.get("quantity"), field=f"{place}.quantity")
        already = back.get(of["uid"], Decimal(0))
        if quantity <= 0 or quantity + already > Decimal(of["quantity"]):
            detail = f"{of['quantity']} sold, {print_quantity(already)} returned already."
            raise invalid(f"{place}.quantity", detail)
        back[of["uid"]] = already + quantity
        part = quantity / Decimal(of["quantity"])
        for name in (
            "name",
            "variation_name",
            "catalog_object_id",
            "catalog_version",
            "item_type",
            "base_price_money",
        ):
            if name in of:
                line[name] = of[name]
        line.setdefault("uid", uid())
        for name in ("total_money", "total_tax_money", "total_discount_money"):
            line[name] = money(pricing.rounded(pricing.cents(of[name]) * part), account.currency)
        line["gross_return_money"] = money(
            pricing.rounded(pricing.cents(of["gross_sales_money"]) * part), account.currency
        )


def returned_before(*, account: Account, source_order_id: str) -> dict[str, Decimal]:
    """What other orders took back of this one, by the source's line."""
    rows = Order.objects.filter(account=account, data__returns__contains=[{"source_order_id": source_order_id}])
    back: dict[str, Decimal] = {}
    for row in rows.exclude(state="CANCELED"):
        for entry in row.data["returns"]:
            for line in entry.get("return_line_items") or []:
                if entry["source_order_id"] == source_order_id:
                    name = line["source_line_item_uid"]
                    back[name] = back.get(name, Decimal(0)) + Decimal(line["quantity"])
    return back


def fill_fulfillment(entry: Json, *, field: str) -> None:
    if entry.get("type") not in FULFILLMENT_TYPES:
        raise SquareError(code="INVALID_ENUM_VALUE", detail="Not a fulfillment type.", field=f"{field}.type")
    details = f"{entry['type'].lower()}_details"
    if not isinstance(entry.get(details), dict):
        raise missing(f"{field}.{details}")
    entry.setdefault("uid", uid())
    entry.setdefault("state", "PROPOSED")
    entry.setdefault("line_item_application", "ALL")


def create(*, account: Account, location_id: str, body: Json, state: str, now: datetime) -> Order:
    """Write a new order and tell of it; one that only takes goods back is complete at once."""
    order = Order.objects.create(
        order_id=mixed_id(),
        account=account,
        location_id=location_id,
        state=state,
        created_at=now,
        updated_at=now,
        data=body,
    )
    events.order_changed(order=order, is_new=True)
    return order


def save(*, order: Order, now: datetime) -> None:
    """Write a changed order: one version up, its sums and stamps renewed, order.updated owed."""
    pricing.price(order.data, currency=order.account.currency)
    order.version += 1
    order.updated_at = later_than(order.updated_at, now=now)
    if order.state in ("COMPLETED", "CANCELED") and order.closed_at is None:
        order.closed_at = order.updated_at
    order.save()
    events.order_changed(order=order, is_new=False)


def check_version(order: Order, *, given: object, field: str) -> None:
    if given != order.version:
        raise errors.version_mismatch(field, given=given, current=order.version)


def settle(*, order: Order, now: datetime) -> None:
    """After money came in: move the stock once nothing is due, and complete the order when fulfilled too.

    Square decreases counts "when an order is fully paid for" (App Marketplace, Inventory API requirements),
    so a paid order waiting for its pickup has already left the count.
    """
    pricing.price(order.data, currency=order.account.currency)
    if pricing.cents(order.data["net_amount_due_money"]) > 0:
        save(order=order, now=now)
        return
    is_fulfilled = all(entry["state"] in FULFILLMENT_ENDS for entry in order.data.get("fulfillments") or [])
    if is_fulfilled:
        order.state = "COMPLETED"
    needs_stock = not order.has_moved_stock
    order.has_moved_stock = True
    save(order=order, now=now)
    if needs_stock:
        move_stock(order=order, now=now)


def move_stock(*, order: Order, now: datetime) -> None:
    """Take sold, tracked variations out of stock, below zero if need be; put returns back if so switched."""
    lines = [line for line in order.data.get("line_items") or [] if line.get("catalog_object_id")]
    tracked = stock.tracked_at(
        account=order.account,
        variation_ids=[line["catalog_object_id"] for line in lines],
        location_id=order.location_id,
    )
    changes = [
        stock_change(order=order, line=line, move=("IN_STOCK", "SOLD"), now=now)
        for line in lines
        if line["catalog_object_id"] in tracked
    ]
    if order.data.get("returns") and faults.switch("square.return_restocks", False):
        changes += restocks(order=order, now=now)
    if changes:
        stock.post(account=order.account, changes=changes, now=now)


def restocks(*, order: Order, now: datetime) -> list[InventoryChange]:
    lines = [
        line
        for entry in order.data["returns"]
        for line in entry.get("return_line_items") or []
        if line.get("catalog_object_id")
    ]
    tracked = stock.tracked_at(
        account=order.account,
        variation_ids=[line["catalog_object_id"] for line in lines],
        location_id=order.location_id,
    )
    return [
        stock_change(order=order, line=line, move=("UNLINKED_RETURN", "IN_STOCK"), now=now)
        for line in lines
        if line["catalog_object_id"] in tracked
    ]


def stock_change(*, order: Order, line: Json, move: tuple[str, str], now: datetime) -> InventoryChange:
    """One line's move, in the name of the Square product that sold it, never of the calling application."""
    source_name = (order.data.get("source") or {}).get("name") or ""
    extra: Json = {"transaction_id": order.order_id}
    if move[1] == "SOLD":
        extra["total_price_money"] = line["total_money"]
    return InventoryChange(
        change_id=upper_id(),
        account=order.account,
        type=InventoryChange.Type.ADJUSTMENT,
        catalog_object_id=line["catalog_object_id"],
        from_state=move[0],
        to_state=move[1],
        from_location_id=order.location_id,
        to_location_id=order.location_id,
        quantity=Decimal(line["quantity"]),
        occurred_at=now,
        created_at=now,
        source={
            "product": PRODUCTS.get(source_name, "SQUARE_POS"),
            "application_id": stock.POINT_OF_SALE_ID,
            "name": source_name or "Point of Sale",
        },
        extra=extra,
    )


def print_order(order: Order) -> Json:
    body: Json = {
        "id": order.order_id,
        "location_id": order.location_id,
        "state": order.state,
        "version": order.version,
        "created_at": stamp(order.created_at),
        "updated_at": stamp(order.updated_at),
    } | order.data
    if order.closed_at is not None:
        body["closed_at"] = stamp(order.closed_at)
    return body
