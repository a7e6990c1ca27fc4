"""What an order's rows come to: reading, locking, and the quantities and states worked out from them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, QuerySet

from channels.sandbox.shopify.models import (
    Fulfillment,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    InventoryLevel,
    LineItem,
    Order,
    Refund,
    RefundLineItem,
    Shop,
)

ENDED = ("CLOSED", "CANCELLED")
POS_APP_ID = 129785
ONLINE_STORE_APP_ID = 580111
CLAIMED_BY_PAYMENT = ("PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED")


class Rejected(Exception):
    """A mutation the vendor answers with a user error: its code, the input's path, and the text."""

    def __init__(self, message: str, *, code: str | None = None, field: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = list(field)


@dataclass(frozen=True)
class Wanted:
    """Units of a line, looked at or moved together."""

    line: LineItem
    quantity: int


def fulfillment_order_lines() -> QuerySet[FulfillmentOrderLineItem]:
    """Lines with what the printed form shows of them."""
    return FulfillmentOrderLineItem.objects.select_related("line__item", "line__variant").order_by("pk")


def in_full(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Orders with all that is printed of them, in a number of queries that does not grow with the rows."""
    return orders.select_related("shop", "retail_location").prefetch_related(
        Prefetch("lines", LineItem.objects.select_related("variant__item", "variant__product", "item").order_by("pk")),
        Prefetch(
            "lines__fulfillment_order_lines",
            FulfillmentOrderLineItem.objects.select_related("fulfillment_order").order_by("pk"),
        ),
        Prefetch("fulfillment_orders", FulfillmentOrder.objects.select_related("location").order_by("pk")),
        Prefetch("fulfillment_orders__lines", fulfillment_order_lines()),
        Prefetch("fulfillments", Fulfillment.objects.select_related("location").order_by("pk")),
        Prefetch("refunds", Refund.objects.order_by("pk")),
        Prefetch(
            "refunds__lines",
            RefundLineItem.objects.select_related("location", "line__variant__item", "line__item").order_by("pk"),
        ),
    )


def read(*, order_id: int) -> Order:
    """One order in full, as it is now."""
    return in_full(Order.objects.filter(pk=order_id)).get()


def lock(*, shop: Shop, order_id: int, field: Iterable[str], code: str | None = None) -> Order:
    """An order in full for a change. Locks its row, so that two changes of one order go one after the other.

    Raises Rejected where the shop has no such order.
    """
    row = Order.objects.select_for_update(of=("self",)).filter(shop=shop, pk=order_id).first()
    if row is None:
        raise Rejected("Order does not exist", code=code, field=field)
    return read(order_id=row.pk)


def lock_levels(*, item_ids: Iterable[int]) -> None:
    """Lock all levels of these items, in key order: what is decided from them holds until the commit."""
    rows = InventoryLevel.objects.filter(item_id__in=set(item_ids)).order_by("pk")
    list(rows.select_for_update(of=("self",)).values_list("pk", flat=True))


def unfulfilled(line: LineItem) -> int:
    """Units of a line that still have to leave."""
    rows = line.fulfillment_order_lines.all()
    return sum(row.remaining for row in rows if row.fulfillment_order.status not in ENDED)


def fulfilled(line: LineItem) -> int:
    """Units of a line that have left, whether they came back or not."""
    return left_by_line(line.order)[line.pk]


def left_by_line(order: Order) -> Counter[int]:
    """Line id -> units fulfilled."""
    left: Counter[int] = Counter()
    for row in order.fulfillments.all():
        if row.status == "SUCCESS":
            for entry in row.lines:
                left[entry["line"]] += entry["quantity"]
    return left


def kept(line: LineItem) -> int:
    """Units that left and were not refunded: what can still come back."""
    return max(0, line.current_quantity - unfulfilled(line))


def unfulfillable(line: LineItem) -> int:
    """Units refunded or removed before they left."""
    return max(0, line.quantity - unfulfilled(line) - fulfilled(line))


def open_remaining(line: LineItem) -> list[FulfillmentOrderLineItem]:
    """Where a line's unfulfilled units lie, oldest first."""
    rows = line.fulfillment_order_lines.all()
    return [row for row in rows if row.remaining and row.fulfillment_order.status not in ENDED]


def fulfillment_status(order: Order) -> str:
    """OrderDisplayFulfillmentStatus."""
    left = sum(left_by_line(order).values())
    rest = sum(unfulfilled(line) for line in order.lines.all())
    if left:
        return "PARTIALLY_FULFILLED" if rest else "FULFILLED"
    states = {row.status for row in order.fulfillment_orders.all() if row.status not in ENDED}
    for state in ("ON_HOLD", "SCHEDULED"):
        if states == {state}:
            return state
    return "IN_PROGRESS" if "IN_PROGRESS" in states else "UNFULFILLED"


def financial_status_after_refund(order: Order) -> str:
    """What the status becomes when lines were given back; money that was never taken stays so."""
    if order.financial_status not in CLAIMED_BY_PAYMENT:
        return order.financial_status
    is_all_back = all(line.current_quantity == 0 for line in order.lines.all()) and not refundable(order)
    return "REFUNDED" if is_all_back else "PARTIALLY_REFUNDED"


def received(order: Order) -> Decimal:
    """What the customer paid; nothing while it is only promised."""
    if order.financial_status in ("PENDING", "AUTHORIZED", "EXPIRED", "VOIDED"):
        return Decimal(0)
    return sum((line.price * line.quantity for line in order.lines.all()), Decimal(0))


def refunded(order: Order) -> Decimal:
    """What was given back of it."""
    return sum((row.total for row in order.refunds.all()), Decimal(0))


def refundable(order: Order) -> Decimal:
    """What is left to give back."""
    return max(received(order) - refunded(order), Decimal(0))


def payment_gid(order: Order) -> str:
    """The one payment an order has here."""
    return f"gid://shopify/OrderTransaction/{order.pk}"


def sales_app(order: Order) -> dict[str, Any]:
    """The app an order came through: the till, or the online store."""
    if order.source_name == "pos":
        return {"id": POS_APP_ID, "name": "Point of Sale"}
    return {"id": ONLINE_STORE_APP_ID, "name": "Online Store"}


def touch(order: Order, *, now: datetime, fields: Iterable[str] = ()) -> None:
    """Save `fields` and move `updated_at` on, never back."""
    order.updated_at = max(now, order.updated_at)
    order.save(update_fields=[*fields, "updated_at"])


def settle(row: FulfillmentOrder, *, now: datetime) -> None:
    """Bring a fulfillment order's state in line with what remains on it; saves it."""
    lines = list(row.lines.all())
    if row.status not in ENDED and not any(line.remaining for line in lines):
        row.status = "CLOSED" if any(line.total for line in lines) else "CANCELLED"
    row.updated_at = now
    row.save(update_fields=["status", "updated_at"])
