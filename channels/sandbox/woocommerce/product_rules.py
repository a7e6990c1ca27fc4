"""What a product takes, and how its stock follows."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import F

from channels.sandbox import faults
from channels.sandbox.woocommerce import errors, events
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.models import Product, now_s
from channels.sandbox.woocommerce.values import Json

NAME_MAX, SKU_MAX = 300, 100
StockStatus = Product.StockStatus


def fill(row: Product, given: Json) -> None:
    """Lay the given fields over a product or variation; unknown fields are passed over. Raises WooError."""
    for name, take in _TAKES.items():
        if name in given:
            take(row, given[name])
    if "inventory_delta" in given and "stock_quantity" not in given:
        # Read, then written: not atomic, and so it is there.
        row.stock_quantity = (row.stock_quantity or 0) + _integer("inventory_delta", given["inventory_delta"])


def save(row: Product, *, is_new: bool = False) -> None:
    """Align the stock fields, store, note the webhooks. A save without a change counts as one."""
    align(row)
    row.modified_at = now_s()
    row.save()
    events.note("product.created" if is_new else "product.updated", row.pk)
    if row.parent_id is not None:
        touch_parent(row.parent_id)


def align(row: Product) -> None:
    """Who counts no stock keeps no number and takes no backorders; who counts has the status its number gives."""
    if not row.manage_stock:
        row.stock_quantity, row.backorders = None, Product.Backorders.NO
        return
    row.stock_quantity = row.stock_quantity or 0
    if row.stock_quantity > 0:
        row.stock_status = StockStatus.IN_STOCK
    elif row.backorders != Product.Backorders.NO:
        row.stock_status = StockStatus.ON_BACKORDER
    else:
        row.stock_status = StockStatus.OUT_OF_STOCK


def touch_parent(parent_id: int) -> None:
    """A variation that was saved has its parent synchronised, which saves it: at the end of the request."""
    if faults.switch("woocommerce.variation_touches_parent", True):
        events.note_parent(parent_id)


def move_stock(product: Product, by: int) -> None:
    """Add to the number that counts for it, in one UPDATE as WooCommerce does; nothing where nobody counts."""
    keeper = product.keeper
    if keeper is None or not by:
        return
    Product.objects.filter(pk=keeper.pk).update(stock_quantity=F("stock_quantity") + by)
    fresh = Product.objects.select_related("parent").get(pk=keeper.pk)
    save(fresh)


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).lstrip("-").isdigit():
        raise errors.invalid_param(name, f"{name} is not of type integer.")
    return int(value)


def _text(name: str, value: Any, *, most: int) -> str:
    if not isinstance(value, str):
        raise errors.invalid_param(name, f"{name} is not of type string.")
    return value.strip()[:most]


def _take_name(row: Product, value: Any) -> None:
    row.name = _text("name", value, most=NAME_MAX)


def _take_status(row: Product, value: Any) -> None:
    if value not in ("draft", "pending", "private", "publish", "future"):
        raise errors.invalid_param("status", "status is not one of draft, pending, private, publish, and future.")
    row.status = value


def _take_sku(row: Product, value: Any) -> None:
    """A SKU is one product's; one that does not fit the lookup table is refused (not established)."""
    if not isinstance(value, str):
        raise errors.invalid_param("sku", "sku is not of type string.")
    sku = value.strip()
    if len(sku) > SKU_MAX:
        raise WooError("product_invalid_sku", f"A SKU has at most {SKU_MAX} characters.", resource_id=row.pk or 0)
    taken = Product.objects.filter(site=row.site_id, sku=sku).exclude(pk=row.pk).exclude(status="trash").first()
    if sku and taken is not None:
        raise WooError("product_invalid_sku", "Invalid or duplicated SKU.", resource_id=taken.pk, unique_sku=f"{sku}-1")
    row.sku = sku


def _take_gtin(row: Product, value: Any) -> None:
    code = _text("global_unique_id", value, most=100)
    if code and not code.replace("-", "").isdigit():
        raise WooError("product_invalid_global_unique_id", "Invalid GTIN, UPC, EAN or ISBN.", resource_id=row.pk or 0)
    others = Product.objects.filter(site=row.site_id, global_unique_id=code).exclude(pk=row.pk).exclude(status="trash")
    if code and others.exists():
        raise WooError("product_invalid_global_unique_id", "Invalid or duplicated GTIN, UPC, EAN or ISBN.")
    row.global_unique_id = code


def _take_price(row: Product, value: Any) -> None:
    try:
        row.regular_price = Decimal(str(value)) if value not in ("", None) else None
    except InvalidOperation as error:
        raise errors.invalid_param("regular_price", "regular_price is not of type string.") from error


def _take_manage_stock(row: Product, value: Any) -> None:
    if not isinstance(value, bool) and value not in ("true", "false", "parent"):
        raise errors.invalid_param("manage_stock", "manage_stock is not of type boolean,string.")
    row.manage_stock = value in (True, "true")


def _take_quantity(row: Product, value: Any) -> None:
    row.stock_quantity = None if value is None else _integer("stock_quantity", value)


def _take_stock_status(row: Product, value: Any) -> None:
    if value not in StockStatus.values:
        raise errors.invalid_param("stock_status", f"stock_status is not one of {', '.join(StockStatus.values)}.")
    row.stock_status = value


def _take_backorders(row: Product, value: Any) -> None:
    if value not in Product.Backorders.values:
        raise errors.invalid_param("backorders", f"backorders is not one of {', '.join(Product.Backorders.values)}.")
    row.backorders = value


def _take_attributes(row: Product, value: Any) -> None:
    """A variation has one option of each attribute its parent varies by; names the parent lacks are passed over."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise errors.invalid_param("attributes", "attributes is not of type array.")
    if row.type == Product.Type.VARIATION:
        known = {one["name"].lower() for one in row.parent.attributes if one["variation"]} if row.parent else set()
        row.attributes = [
            {"id": one.get("id", 0), "name": one["name"], "option": str(one.get("option", ""))}
            for one in value
            if str(one.get("name", "")).lower() in known
        ]
        return
    row.attributes = [
        {
            "id": one.get("id", 0), "name": str(one.get("name", "")), "position": one.get("position", place),
            "visible": bool(one.get("visible", False)), "variation": bool(one.get("variation", False)),
            "options": [str(option) for option in one.get("options") or []],
        }
        for place, one in enumerate(value)
    ]  # fmt: skip


def _take_meta(row: Product, value: Any) -> None:
    """Laid over what is there, by id or by key; a null value takes an entry away."""
    kept = {entry["key"]: entry for entry in row.meta_data}
    numbers = {entry["id"]: entry["key"] for entry in row.meta_data}
    for entry in value or []:
        key = str(entry.get("key") or numbers.get(entry.get("id"), ""))
        if entry.get("value") is None:
            kept.pop(key, None)
        elif key:
            number = kept.get(key, {}).get("id") or max([*numbers, 0], default=0) + 1
            numbers[number] = key
            kept[key] = {"id": number, "key": key, "value": entry["value"]}
    row.meta_data = list(kept.values())


def _take_categories(row: Product, value: Any) -> None:
    row.categories = [
        {"id": one.get("id", 0), "name": str(one.get("name", "")), "slug": str(one.get("name", "")).lower()}
        for one in value or []
    ]


_TAKES: dict[str, Callable[[Product, Any], None]] = {
    "name": _take_name,
    "status": _take_status,
    "sku": _take_sku,
    "global_unique_id": _take_gtin,
    "regular_price": _take_price,
    "manage_stock": _take_manage_stock,
    "stock_quantity": _take_quantity,
    "stock_status": _take_stock_status,
    "backorders": _take_backorders,
    "attributes": _take_attributes,
    "meta_data": _take_meta,
    "categories": _take_categories,
}
