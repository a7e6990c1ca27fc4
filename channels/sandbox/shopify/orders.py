"""Placing orders: who may buy what, where it is routed, and what stock that claims."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from channels.sandbox.shopify import fulfilling, order_changes, order_state, routing, stock
from channels.sandbox.shopify.models import (
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    LineItem,
    Location,
    Order,
    ProductVariant,
    Shop,
)
from channels.sandbox.shopify.order_state import Rejected

BYPASS, IGNORING, OBEYING = "BYPASS", "DECREMENT_IGNORING_POLICY", "DECREMENT_OBEYING_POLICY"


@dataclass(frozen=True)
class NewLine:
    """A line to order: a variant, or a custom line with a title and no stock."""

    variant: ProductVariant | None
    quantity: int
    title: str
    price: Decimal
    sku: str = ""
    variant_title: str = ""
    requires_shipping: bool = True


def variant_line(*, variant: ProductVariant, quantity: int, price: Decimal | None = None) -> NewLine:
    """A line for a variant, at its own price unless another is given."""
    return NewLine(
        variant=variant,
        quantity=quantity,
        title=variant.product.title,
        price=variant.price if price is None else price,
        sku=variant.item.sku,
        variant_title="" if variant.title == "Default Title" else variant.title,
        requires_shipping=variant.item.requires_shipping,
    )


@dataclass(frozen=True)
class NewOrder:
    """An order to place. `sold_at`: everything leaves at once there, as at a till; `pickup_at`: routed there."""

    lines: list[NewLine]
    behaviour: str = BYPASS
    source_name: str = "web"
    source_identifier: str = ""
    financial_status: str = "PAID"
    sold_at: Location | None = None
    pickup_at: Location | None = None
    is_fulfilled: bool = False
    test: bool = False
    processed_at: datetime | None = None
    closed_at: datetime | None = None
    currency: str = ""


def place(*, shop: Shop, new: NewOrder, now: datetime) -> Order:
    """Place an order: rows, fulfillment orders, stock and webhooks, in one transaction.

    Locks the levels of the items before it looks at them: of two orders for the last unit under
    DECREMENT_OBEYING_POLICY one is refused. Raises Rejected.
    """
    with transaction.atomic():
        demands = [
            routing.Demand(key=index, item=line.variant.item if line.variant else None, quantity=line.quantity)
            for index, line in enumerate(new.lines)
        ]
        lock_stock(demands)
        # A till sells what is in the customer's hand: it warns, but does not refuse.
        if new.behaviour == OBEYING and new.source_name != "pos":
            refuse_short(new=new, demands=demands)
        shares = routing.route(locations=candidates(shop=shop, new=new), demands=demands)
        order = write_order(shop=shop, new=new, now=now)
        lines = write_lines(order=order, new=new)
        method = method_type(new)
        made = write_fulfillment_orders(order=order, lines=lines, shares=shares, method_type=method, now=now)
        if order.claims_stock:
            claim(shop=shop, order=order, lines=lines, shares=shares)
        order_changes.emit_created(order=order)
        if new.sold_at is not None or new.is_fulfilled:
            for row in made:
                fulfilling.fulfil_rest(shop=shop, row=row, now=now)
    return order_state.read(order_id=order.pk)


def lock_stock(demands: list[routing.Demand]) -> None:
    order_state.lock_levels(item_ids=[row.item.pk for row in demands if row.item is not None])


def refuse_short(*, new: NewOrder, demands: list[routing.Demand]) -> None:
    """Raise Rejected where a variant that may not be oversold is not there in that quantity."""
    short = routing.short_items(demands=demands)
    for index, line in enumerate(new.lines):
        if line.variant and line.variant.inventory_policy == "DENY" and line.variant.item_id in short:
            raise Rejected(
                "Unable to reserve inventory", code="INVENTORY_CLAIM_FAILED", field=["order", "lineItems", str(index)]
            )


def candidates(*, shop: Shop, new: NewOrder) -> list[Location]:
    """The locations an order may be routed to. Raises Rejected where there is none."""
    fixed = new.sold_at or new.pickup_at
    if fixed is not None:
        return [fixed]
    found = routing.online_locations(shop=shop) or list(shop.locations.filter(is_active=True).order_by("rank", "pk"))
    if not found:
        raise Rejected("The shop has no active location", code="INVALID", field=["order"])
    return found


def method_type(new: NewOrder) -> str:
    if new.source_name == "pos":
        return "RETAIL"
    if new.pickup_at is not None:
        return "PICK_UP"
    return "SHIPPING" if any(line.requires_shipping for line in new.lines) else "NONE"


def next_number(*, shop: Shop) -> int:
    """The shop's next order number. Locks the shop's row until the commit, after all levels."""
    Shop.objects.filter(pk=shop.pk).update(last_order_number=F("last_order_number") + 1)
    return Shop.objects.values_list("last_order_number", flat=True).get(pk=shop.pk)


def write_order(*, shop: Shop, new: NewOrder, now: datetime) -> Order:
    return Order.objects.create(
        shop=shop,
        number=next_number(shop=shop),
        source_name=new.source_name,
        source_identifier=new.source_identifier,
        retail_location=new.sold_at if new.source_name == "pos" else None,
        currency=new.currency or shop.currency,
        financial_status=new.financial_status,
        claims_stock=new.behaviour != BYPASS,
        test=new.test,
        closed_at=new.closed_at,
        created_at=now,
        processed_at=new.processed_at or now,
        updated_at=now,
    )


def write_lines(*, order: Order, new: NewOrder) -> list[LineItem]:
    return [write_line(order=order, line=line) for line in new.lines]


def write_line(*, order: Order, line: NewLine) -> LineItem:
    return LineItem.objects.create(
        order=order,
        variant=line.variant,
        item=line.variant.item if line.variant else None,
        sku=line.sku,
        title=line.title,
        variant_title=line.variant_title,
        price=line.price,
        quantity=line.quantity,
        current_quantity=line.quantity,
        requires_shipping=line.requires_shipping,
    )


def write_fulfillment_orders(
    *, order: Order, lines: list[LineItem], shares: list[routing.Share], method_type: str, now: datetime
) -> list[FulfillmentOrder]:
    """One fulfillment order a location; a share's key is its line's place in `lines`."""
    by_place: dict[int, list[routing.Share]] = defaultdict(list)
    for share in shares:
        by_place[share.location.pk].append(share)
    made = []
    for place_id, parts in by_place.items():
        row = FulfillmentOrder.objects.create(
            order=order, location_id=place_id, method_type=method_type, created_at=now, updated_at=now
        )
        FulfillmentOrderLineItem.objects.bulk_create(
            FulfillmentOrderLineItem(
                fulfillment_order=row, line=lines[part.key], total=part.quantity, remaining=part.quantity
            )
            for part in parts
        )
        made.append(row)
    return made


def claim(*, shop: Shop, order: Order, lines: list[LineItem], shares: list[routing.Share]) -> None:
    """available down, committed up, where the units were routed."""
    moves = []
    for share in shares:
        item_id = lines[share.key].item_id
        if item_id is not None:
            moves.append(stock.Move(item_id, share.location.pk, "available", -share.quantity))
            moves.append(stock.Move(item_id, share.location.pk, "committed", share.quantity))
    order_changes.shift(shop=shop, order=order, moves=moves, reason="order_created")
