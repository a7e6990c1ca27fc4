"""Levels as they are read, and adjustments: changes with a reason. There is no idempotency key."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from channels.sandbox import faults
from channels.sandbox.lightspeed import stock
from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, fields, find, items, number_of, page
from channels.sandbox.lightspeed.models import Adjustment, AdjustmentReason, Level, Outlet, Product, Retailer
from channels.sandbox.lightspeed.values import Json, locked, next_version, read_number, read_uuid, stamp
from channels.sandbox.models import Fault

NEGATIVE = ("DAMAGE", "EXPIRY", "INTERNAL_USE", "THEFT", "DONATION")
POSITIVE = ("STOCK_FOUND", "SAMPLE_FOR_SALE")
ADJUSTMENTS_MAX = 1000
IDS_MAX = 1000
SIZE_MAX, LEVELS_SIZE_MAX = 5000, 10_000


def print_level(level: Level) -> Json:
    """A record of the feed."""
    return {
        "id": str(level.pk),
        "product_id": str(level.product_id),
        "outlet_id": str(level.outlet_id),
        "current_inventory_level": float(level.quantity),
        "average_cost": None,
        "quantity_to_procure": 0,
        "reorder_method": None,
        "reorder_point": None if level.reorder_point is None else float(level.reorder_point),
        "reorder_amount": None if level.reorder_amount is None else float(level.reorder_amount),
        "reorder_target": None,
        "deleted_at": stamp(level.product.deleted_at),
        "version": level.version,
    }


@endpoint(operation="inventory.list", scope="inventory:read")
def list_inventory(*, call: Call) -> Json:
    """The feed of levels; newest first unless `sort_direction` says otherwise."""
    body = fields(call.body, what="the body")
    rows = Level.objects.filter(retailer=call.retailer).select_related("product")
    if not body.get("include_deleted"):
        rows = rows.filter(product__deleted_at=None)
    for name, lookup in (("after", "version__gt"), ("before", "version__lt"), ("product_id", "product")):
        if body.get(name) is not None:
            rows = rows.filter(**{lookup: body[name]})
    size = min(int(body.get("size") or 1000), SIZE_MAX)
    order = "version" if body.get("sort_direction") == "asc" else "-version"
    return {"data": [print_level(row) for row in rows.order_by(order)[:size]]}


@endpoint(operation="inventory.get", scope="inventory:read")
def get_inventory(*, call: Call, product_id: str) -> Json:
    """The levels of one product."""
    product = find(call, Product, product_id)
    rows = Level.objects.filter(product=product).select_related("product").order_by("version")
    return {"data": [print_level(row) for row in rows[: number_of(call, "page_size", 1000)]]}


@endpoint(operation="inventory_levels.list", scope="inventory:read")
def list_levels(*, call: Call) -> Json:
    """Levels of the products and outlets asked for, by offset. Composites have none."""
    body = fields(call.body, what="the body")
    rows = Level.objects.filter(retailer=call.retailer, product__deleted_at=None, product__has_inventory=True)
    for name, lookup in (("product_ids", "product__in"), ("location_ids", "outlet__in")):
        ids = body.get(name)
        if ids is not None:
            if not isinstance(ids, list) or len(ids) > IDS_MAX:
                raise LightspeedError(422, f"{name} is not a list of at most {IDS_MAX} ids.")
            rows = rows.filter(**{lookup: [read_uuid(one, field=name) for one in ids]})
    if not body.get("include_inactive"):
        rows = rows.filter(product__is_active=True)
    start = int(body.get("offset") or 0)
    size = min(int(body.get("size") or 100), LEVELS_SIZE_MAX)
    found = rows.select_related("product").order_by("product__name", "pk")[start : start + size]
    return {"data": [_print_found(row) for row in found]}


def _print_found(level: Level) -> Json:
    return {
        "product_id": str(level.product_id),
        "root_product_id": str(level.product.variant_parent_id or level.product_id),
        "location_id": str(level.outlet_id),
        "name": level.product.name,
        "current_inventory_level": float(level.quantity),
        "average_cost": 0.0,
        "total_cost": 0.0,
        "quantity_to_procure": 0.0,
        "reorder_method": None,
    }


def print_adjustment(row: Adjustment) -> Json:
    """An adjustment; the quantity is text."""
    printed = {
        "id": str(row.pk),
        "user_id": str(row.user_id),
        "product_id": str(row.product_id),
        "outlet_id": str(row.outlet_id),
        "quantity": f"{row.quantity:f}",
        "reason": row.reason,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "version": row.version,
    }
    return printed | ({"custom_inventory_adjustment_reason_id": str(row.custom_reason_id)} if row.custom_reason else {})


@endpoint(operation="stock_adjustments.list", scope="inventory:write")
def list_adjustments(*, call: Call) -> Json:
    """A feed."""
    return page(call, Adjustment.objects.select_related("custom_reason"), print_adjustment)


@endpoint(operation="stock_adjustments.create", scope="inventory:write", status=201)
def create_adjustments(*, call: Call) -> Json:
    """All or none, in the order given, unless the switch says that they are taken one by one."""
    given = items(fields(call.body, what="the body").get("stock_adjustments"), what="stock_adjustments")
    if not 1 <= len(given) <= ADJUSTMENTS_MAX:
        raise LightspeedError(422, f"stock_adjustments holds 1 to {ADJUSTMENTS_MAX} entries.")
    retailer = locked(call.retailer)
    made = [_adjust(call, retailer, entry) for entry in _taken(given)]
    return {"data": [print_adjustment(row) for row in made]}


def _taken(given: Sequence[Json]) -> Sequence[Json]:
    """A planned fault drops the second half of the batch without a word."""
    half = faults.strikes(vendor="lightspeed", operation="stock_adjustments.create", kind=Fault.Kind.HALF_BATCH)
    return given[: (len(given) + 1) // 2] if half else given


def _adjust(call: Call, retailer: Retailer, entry: Json) -> Adjustment:
    product: Product = find(call, Product, entry.get("product_id"), status=422)
    outlet: Outlet = find(call, Outlet, entry.get("outlet_id"), status=422)
    if not isinstance(entry.get("quantity"), str):
        raise LightspeedError(422, "quantity is not a text.")
    quantity = read_number(entry["quantity"], field="quantity")
    custom = _check_sign(call, entry, quantity)
    if product.deleted_at is not None or product.composite_bom or not product.has_inventory:
        raise LightspeedError(422, f"Product {product.pk} has no inventory.")
    row = Adjustment.objects.create(
        retailer=retailer, product=product, outlet=outlet, quantity=quantity, reason=entry["reason"],
        custom_reason=custom, user_id=retailer.user_id, version=next_version(retailer), created_at=call.now,
        updated_at=call.now,
    )  # fmt: skip
    stock.move(retailer=retailer, by={(product.pk, outlet.pk): quantity}, now=call.now)
    return row


def _check_sign(call: Call, entry: Json, quantity: Decimal) -> AdjustmentReason | None:
    reason, custom = entry.get("reason"), None
    if reason == "CUSTOM":
        custom = find(call, AdjustmentReason, entry.get("custom_inventory_adjustment_reason_id"), status=422)
        is_negative = custom.type == "NEGATIVE"
    elif reason in NEGATIVE + POSITIVE:
        is_negative = reason in NEGATIVE
    else:
        raise LightspeedError(422, f"{reason} is not a reason.")
    if quantity == 0 or (quantity < 0) != is_negative:
        raise LightspeedError(422, f"The sign of {quantity} does not fit the reason.")
    return custom


def print_reason(row: AdjustmentReason) -> Json:
    """A reason of the retailer's own."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "enabled": row.is_enabled,
        "type": row.type,
        "is_from_external_source": True,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "version": row.version,
    }


@endpoint(operation="custom_inventory_adjustment_reasons.list", scope="inventory:write")
def list_reasons(*, call: Call) -> Json:
    """A feed."""
    return page(call, AdjustmentReason.objects.all(), print_reason)


@endpoint(operation="custom_inventory_adjustment_reasons.create", scope="inventory:write", status=201)
def create_reason(*, call: Call) -> Any:
    """Names are unique and at most 30 characters long."""
    body = fields(call.body, what="the body")
    name, type_ = str(body.get("name") or ""), body.get("type")
    if not 1 <= len(name) <= 30 or type_ not in ("POSITIVE", "NEGATIVE"):
        raise LightspeedError(422, "name (1 to 30 characters) and type (POSITIVE or NEGATIVE) are needed.")
    retailer = locked(call.retailer)
    if AdjustmentReason.objects.filter(retailer=retailer, name=name).exists():
        raise LightspeedError(409, f"There is a reason {name} already.")
    row = AdjustmentReason.objects.create(
        retailer=retailer, name=name, type=type_, version=next_version(retailer), created_at=call.now,
        updated_at=call.now,
    )  # fmt: skip
    return {"data": print_reason(row)}
