"""Rows as the vendor prints them: every value is text, and what points nowhere is "0"."""

from typing import Any

from channels.sandbox.rseries import models
from channels.sandbox.rseries.http import Json
from channels.sandbox.rseries.listing import Resource, stamp


def truth(value: bool) -> str:
    """`true` or `false`, as text."""
    return "true" if value else "false"


def ref(pk: int | None) -> str:
    """A foreign key."""
    return str(pk or 0)


def relation(name: str, rows: list[Json]) -> Any:
    """Related rows: a list of them, or an object where there is one, or an empty text."""
    return {name: rows if len(rows) > 1 else rows[0]} if rows else ""


def print_shop(row: models.Shop, relations: list[str]) -> Json:
    """A store."""
    return {
        "shopID": str(row.pk),
        "name": row.name,
        "timeZone": row.time_zone,
        "archived": truth(row.archived),
        "timeStamp": stamp(row.time_stamp),
    }


def print_item(row: models.Item, relations: list[str]) -> Json:
    """An item, with the relations asked for."""
    printed: Json = {
        "itemID": str(row.pk),
        "systemSku": f"21{row.pk:010}",
        "defaultCost": "0",
        "archived": truth(row.archived),
        "itemType": row.item_type,
        "serialized": "false",
        "description": row.description,
        "upc": row.upc,
        "ean": row.ean,
        "customSku": row.custom_sku,
        "manufacturerSku": "",
        "createTime": stamp(row.create_time),
        "timeStamp": stamp(row.time_stamp),
        "categoryID": "1" if row.category else "0",
        "itemMatrixID": ref(row.matrix_id),
        "Prices": {
            "ItemPrice": [
                {"amount": f"{row.price.normalize():f}", "useTypeID": "1", "useType": "Default"},
                {"amount": "0", "useTypeID": "2", "useType": "MSRP"},
            ]
        },
    }
    if "Category" in relations and row.category:
        printed["Category"] = {"categoryID": "1", "name": row.category}
    if "ItemShops" in relations:
        shops = row.item_shops.order_by("pk")
        printed["ItemShops"] = relation("ItemShop", [print_item_shop(one, []) for one in shops])
    if row.matrix is not None and any(one.startswith("ItemAttributes") for one in relations):
        values = (*row.attributes, "", "", "")[:3]
        printed["ItemAttributes"] = {
            **{f"attribute{n}": value for n, value in enumerate(values, start=1)}, "itemAttributeSetID": "1",
        }  # fmt: skip
        if "ItemAttributes.ItemAttributeSet" in relations:
            names = (*row.matrix.attribute_names, "", "", "")[:3]
            printed["ItemAttributes"]["ItemAttributeSet"] = {
                "itemAttributeSetID": "1",
                "name": "/".join(row.matrix.attribute_names),
                **{f"attributeName{n}": name for n, name in enumerate(names, start=1)},
            }
    return printed


def print_matrix(row: models.ItemMatrix, relations: list[str]) -> Json:
    """What variants have in common."""
    return {
        "itemMatrixID": str(row.pk),
        "description": row.description,
        "archived": "false",
        "timeStamp": stamp(row.time_stamp),
    }


def print_item_shop(row: models.ItemShop, relations: list[str]) -> Json:
    """A quantity; shop 0 is all of them."""
    return {
        "itemShopID": str(row.pk),
        "qoh": str(row.qoh),
        "sellable": str(max(row.qoh, 0)),
        "backorder": "0",
        "componentQoh": "0",
        "onLayaway": str(row.on_layaway),
        "onSpecialOrder": "0",
        "onWorkorder": "0",
        "reorderPoint": "0",
        "reorderLevel": "0",
        "timeStamp": stamp(row.time_stamp),
        "itemID": str(row.item_id),
        "shopID": ref(row.shop_id),
    }


def print_log(row: models.InventoryLog, relations: list[str]) -> Json:
    """A change of a quantity."""
    return {
        "inventoryLogID": str(row.pk),
        "shopID": str(row.shop_id),
        "employeeID": str(row.employee_id),
        "itemID": str(row.item_id),
        "qohChange": str(row.qoh_change),
        "costChange": "0",
        "createTime": stamp(row.create_time),
        "automated": "false",
        "causedNegative": "false",
        "reason": row.reason,
        "customerID": "0",
        "inventoryCountID": "0",
        "itemImportID": "0",
        "orderID": str(row.order_number),
        "saleID": ref(row.sale_id),
        "transferID": "0",
        "vendorReturnID": "0",
    }


def print_sale(row: models.Sale, relations: list[str]) -> Json:
    """A ticket. Its `timeStamp` stands still once it is complete; `updatetime` moves on."""
    lines = list(row.lines.order_by("pk"))
    total = sum(line.unit_quantity * line.unit_price for line in lines)
    printed: Json = {
        "saleID": str(row.pk),
        "timeStamp": stamp(row.time_stamp),
        "completed": truth(row.completed),
        "archived": truth(row.archived),
        "voided": truth(row.voided),
        "createTime": stamp(row.create_time),
        "updatetime": stamp(row.update_time),
        "referenceNumber": row.reference_number,
        "referenceNumberSource": "",
        "ticketNumber": f"22{row.pk:010}",
        "calcTotal": f"{total:f}",
        "total": f"{total:f}",
        "customerID": "0",
        "employeeID": str(row.employee_id),
        "registerID": str(row.shop_id),
        "shopID": str(row.shop_id),
    }
    if row.complete_time is not None:
        printed["completeTime"] = stamp(row.complete_time)
    if "SaleLines" in relations:
        printed["SaleLines"] = relation("SaleLine", [print_line(line, []) for line in lines])
    return printed


def print_line(row: models.SaleLine, relations: list[str]) -> Json:
    """A line of a ticket, or units set aside."""
    printed: Json = {
        "saleLineID": str(row.pk),
        "createTime": stamp(row.create_time),
        "timeStamp": stamp(row.time_stamp),
        "unitQuantity": str(row.unit_quantity),
        "unitPrice": f"{row.unit_price:f}",
        "isLayaway": truth(row.is_layaway),
        "isWorkorder": "false",
        "isSpecialOrder": "false",
        "customerID": "1" if row.is_layaway else "0",
        "employeeID": "1",
        "itemID": str(row.item_id),
        "parentSaleLineID": ref(row.parent_id),
        "shopID": str(row.shop_id),
        "saleID": ref(row.sale_id),
    }
    if "InventorySales" in relations:
        set_aside = [{"inventorySaleID": str(row.pk), "quantity": str(row.reserved), "inventoryID": "1"}]
        printed["InventorySales"] = relation("InventorySale", set_aside if row.reserved else [])
    return printed


SHOP = Resource("Shop", {"shopID": "pk"}, ("shopID",), print_shop, has_archived=True)
ITEM = Resource(
    "Item",
    {"itemID": "pk", "timeStamp": "time_stamp", "customSku": "custom_sku", "description": "description"},
    ("itemID", "timeStamp", "description"),
    print_item,
    has_archived=True,
)
MATRIX = Resource("ItemMatrix", {"itemMatrixID": "pk"}, ("itemMatrixID",), print_matrix)
ITEM_SHOP = Resource(
    "ItemShop",
    {"itemShopID": "pk", "timeStamp": "time_stamp", "itemID": "item_id", "shopID": "shop_id"},
    ("itemShopID", "timeStamp"),
    print_item_shop,
)
LOG = Resource(
    "InventoryLog",
    {"inventoryLogID": "pk", "itemID": "item_id", "createTime": "create_time", "saleID": "sale_id"},
    ("inventoryLogID", "itemID"),
    print_log,
)
SALE = Resource(
    "Sale",
    {"saleID": "pk", "timeStamp": "time_stamp", "updatetime": "update_time", "completeTime": "complete_time"},
    ("saleID", "timeStamp", "completeTime", "updatetime"),
    print_sale,
)
LINE = Resource(
    "SaleLine",
    {"saleLineID": "pk", "timeStamp": "time_stamp", "saleID": "sale_id", "itemID": "item_id"},
    ("saleLineID", "timeStamp", "saleID"),
    print_line,
)
