"""Who asks, and what there is: session, account, shops, items, quantities, the log."""

from channels.sandbox.rseries import documents, stock
from channels.sandbox.rseries.errors import RSeriesError
from channels.sandbox.rseries.http import Call, Json, endpoint, rows_of, whole
from channels.sandbox.rseries.listing import one, page
from channels.sandbox.rseries.models import InventoryLog, Item, ItemMatrix, ItemShop, Shop

TEXTS = {"customSku": ("custom_sku", 255), "description": ("description", 255), "itemType": ("item_type", 20)}
CODES = ("upc", "ean")
CODE_DIGITS = (11, 14)


@endpoint(operation="session")
def session(*, call: Call) -> Json:
    """Whose name this token bears."""
    return {"employeeID": str(call.employee.pk), "systemCustomerID": str(call.account.pk), "shopCount": "1"}


@endpoint(operation="account")
def account(*, call: Call) -> Json:
    """The account, with what it counts its money in."""
    mine = call.account
    return {
        "@attributes": {"systemCustomerID": str(mine.pk)},
        "status": "customer",
        "name": mine.name,
        "defaultCurrency": {"code": mine.currency, "symbol": ""},
    }


@endpoint(operation="shops.list")
def shops(*, call: Call) -> Json:
    """Stores."""
    return page(call, documents.SHOP, Shop.objects.all())


@endpoint(operation="items.list")
def items(*, call: Call) -> Json:
    """Items."""
    return page(call, documents.ITEM, Item.objects.select_related("matrix"))


@endpoint(operation="matrices.list")
def matrices(*, call: Call) -> Json:
    """What variants have in common."""
    return page(call, documents.MATRIX, ItemMatrix.objects.all())


@endpoint(operation="item_shops.list")
def item_shops(*, call: Call) -> Json:
    """Quantities; those of shop 0 are sums."""
    return page(call, documents.ITEM_SHOP, ItemShop.objects.all())


@endpoint(operation="inventory_logs.list")
def logs(*, call: Call) -> Json:
    """Every change of a quantity."""
    return page(call, documents.LOG, InventoryLog.objects.all())


def find(call: Call, number: str) -> Item:
    """An item of this account. Raises RSeriesError (404)."""
    item = Item.objects.filter(account=call.account, pk=whole(number, field="itemID")).first()
    if item is None:
        raise RSeriesError(404, f"No Item with ID {number}.")
    return item


@endpoint(operation="items.get")
def item(*, call: Call, number: str) -> Json:
    """One, archived or not."""
    return one(documents.ITEM, find(call, number), call.relations)


@endpoint(operation="items.update")
def update_item(*, call: Call, number: str) -> Json:
    """Only the fields given; quantities are typed over, whatever was there."""
    stock.locked(call.account)
    row = find(call, number)
    if _fill(row, call.body):
        row.time_stamp = call.now
        row.save()
    for level in rows_of(call.body.get("ItemShops") or {}):
        stock.set_to(
            row=_level(row, level), qoh=whole(level.get("qoh"), field="qoh"), employee=call.employee, now=call.now
        )
    return one(documents.ITEM, row, ["ItemShops", "ItemAttributes"])


def _fill(row: Item, body: Json) -> bool:
    """Lay the fields given over an item; whether there were any. Raises RSeriesError (400)."""
    for name, (field, length) in TEXTS.items():
        if name in body:
            if len(str(body[name])) > length:
                raise RSeriesError(400, f"{name} is longer than {length} characters.")
            setattr(row, field, str(body[name]))
    for name in CODES:
        code = str(body.get(name) or "")
        if code and not (code.isdecimal() and CODE_DIGITS[0] <= len(code) <= CODE_DIGITS[1]):
            raise RSeriesError(400, f"{name} must be {CODE_DIGITS[0]}-{CODE_DIGITS[1]} digits.")
        if name in body:
            setattr(row, name, code)
    chosen = body.get("ItemAttributes") or {}
    if chosen and row.matrix is None:
        raise RSeriesError(400, "This item belongs to no matrix.")
    values = [*row.attributes, "", "", ""][:3]
    row.attributes = [str(chosen.get(f"attribute{n}", value)) for n, value in enumerate(values, start=1)]
    return bool({*TEXTS, *CODES, "ItemAttributes"} & body.keys())


def _level(row: Item, level: Json) -> ItemShop:
    """By `itemShopID`, or by `shopID`, then made where it was missing. Raises RSeriesError (400)."""
    levels = ItemShop.objects.filter(item=row).select_related("item", "shop")
    if level.get("itemShopID"):
        found: ItemShop | None = levels.filter(pk=whole(level["itemShopID"], field="itemShopID")).first()
    else:
        places = Shop.objects.filter(account=row.account_id, pk=whole(level.get("shopID"), field="shopID"))
        place = places.first()
        found = levels.filter(shop=place).first() if place else None
        if found is None and place is not None:
            found = ItemShop(item=row, shop=place, account=row.account)
    if found is None or found.shop is None:
        raise RSeriesError(400, "ItemShops needs the itemShopID or the shopID of a shop.")
    return found


@endpoint(operation="items.delete")
def archive_item(*, call: Call, number: str) -> Json:
    """Archived, and its quantities taken to zero."""
    stock.locked(call.account)
    row = find(call, number)
    for level in row.item_shops.exclude(shop=None).select_related("item", "shop"):
        if level.shop is not None and level.qoh:
            stock.move(
                item=row, shop=level.shop, by=-level.qoh, reason="RemoveForArchiveItem", employee=call.employee,
                now=call.now,
            )  # fmt: skip
    row.archived, row.time_stamp = True, call.now
    row.save()
    return one(documents.ITEM, row, [])
