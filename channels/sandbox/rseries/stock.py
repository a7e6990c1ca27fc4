"""Quantities on hand, and every way they move. The account's row is locked by the caller."""

from datetime import datetime

from django.db.models import F

from channels.sandbox.rseries.models import Account, Employee, InventoryLog, Item, ItemShop, Sale, Shop


def locked(account: Account) -> Account:
    """The account's row, locked: changes of one account come one after another, so that log numbers commit in order."""
    return Account.objects.select_for_update().get(pk=account.pk)


def move(
    *,
    item: Item,
    shop: Shop,
    by: int,
    reason: str,
    employee: Employee,
    now: datetime,
    sale: Sale | None = None,
    order_number: int = 0,
    on_layaway: int = 0,
) -> None:
    """Move one quantity, below zero if need be; the sum over all shops follows, and the log tells it."""
    if item.item_type == "non_inventory":
        return
    for place in (shop, None):
        ItemShop.objects.get_or_create(item=item, shop=place, defaults={"account": item.account, "time_stamp": now})
        ItemShop.objects.filter(item=item, shop=place).update(
            qoh=F("qoh") + by, on_layaway=F("on_layaway") + on_layaway, time_stamp=now
        )
    if by:
        InventoryLog.objects.create(
            account=item.account, item=item, shop=shop, employee=employee, qoh_change=by, reason=reason, sale=sale,
            order_number=order_number, create_time=now,
        )  # fmt: skip


def set_to(*, row: ItemShop, qoh: int, employee: Employee, now: datetime) -> None:
    """Type a number over the one that is there. The number there before is nobody's concern."""
    if row.shop is None:
        return
    move(item=row.item, shop=row.shop, by=qoh - row.qoh, reason="ManualQuantityAdjustment", employee=employee, now=now)
