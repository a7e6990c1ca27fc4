"""Draft orders: lines kept, units held back as reserved until a time, turned into an order when completed."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from channels.sandbox.shopify import order_payloads, order_state, orders, routing, stock, webhooks
from channels.sandbox.shopify.models import DraftOrder, Order, ProductVariant, Shop
from channels.sandbox.shopify.order_state import Rejected


@dataclass(frozen=True)
class DraftLine:
    """A line of a draft, as printed."""

    pk: str
    variant: ProductVariant | None
    quantity: int
    title: str
    sku: str
    price: Decimal

    @property
    def gid(self) -> str:
        return f"gid://shopify/DraftOrderLineItem/{self.pk}"


def create(*, shop: Shop, lines: list[orders.NewLine], reserve_until: datetime | None, now: datetime) -> DraftOrder:
    """Keep a draft; with `reserve_until` its units go from available to reserved. Raises Rejected."""
    if not lines:
        raise Rejected("Add at least 1 product", field=["lineItems"])
    if any(line.quantity < 1 for line in lines):
        raise Rejected("Quantity must be greater than or equal to 1", field=["lineItems", "quantity"])
    if reserve_until is not None and reserve_until <= now:
        raise Rejected("Reserve until must be in the future", field=["reserveInventoryUntil"])
    with transaction.atomic():
        release_expired(shop=shop, now=now)
        draft = DraftOrder.objects.create(
            shop=shop,
            lines=[
                {
                    "variant": line.variant.pk if line.variant else None,
                    "quantity": line.quantity,
                    "title": line.title,
                    "price": str(line.price),
                    "sku": line.sku,
                    "held": [],
                }
                for line in lines
            ],
            reserve_until=reserve_until,
            created_at=now,
            updated_at=now,
        )
        if reserve_until is not None:
            hold(draft=draft, lines=lines)
        emit(draft=draft, topic="DRAFT_ORDERS_CREATE")
    return draft


def hold(*, draft: DraftOrder, lines: list[orders.NewLine]) -> None:
    """available down, reserved up, where an order of these lines would be routed."""
    demands = [
        routing.Demand(key=index, item=line.variant.item if line.variant else None, quantity=line.quantity)
        for index, line in enumerate(lines)
    ]
    orders.lock_stock(demands)
    places = orders.candidates(shop=draft.shop, new=orders.NewOrder(lines=lines))
    moves = []
    for share in routing.route(locations=places, demands=demands):
        item_id = demands[share.key].counted_id
        if item_id is not None:
            draft.lines[share.key]["held"].append([item_id, share.location.pk, share.quantity])
            moves += held_moves(item_id, share.location.pk, share.quantity)
    draft.save(update_fields=["lines"])
    shift(draft=draft, moves=moves, reason="reservation_created")


def held_moves(item_id: int, location_id: int, units: int) -> list[stock.Move]:
    """Into the reserve; negative `units` out of it."""
    return [
        stock.Move(item_id, location_id, "available", -units),
        stock.Move(item_id, location_id, "reserved", units),
    ]


def shift(*, draft: DraftOrder, moves: list[stock.Move], reason: str) -> None:
    if moves:
        stock.move(shop=draft.shop, changes=moves, reason=reason, reference=draft.gid, app_change=False)


def release(*, draft: DraftOrder) -> None:
    """Give what a locked draft holds back to available."""
    moves = []
    for line in draft.lines:
        for item_id, location_id, units in line["held"]:
            moves += held_moves(item_id, location_id, -units)
        line["held"] = []
    draft.reserve_until = None
    draft.save(update_fields=["lines", "reserve_until"])
    shift(draft=draft, moves=moves, reason="reservation_deleted")


def release_expired(*, shop: Shop, now: datetime) -> int:
    """Release the drafts of a shop whose time is over; returns how many.

    Called by whatever places or drafts, which stands in for the vendor's own clock.
    """
    with transaction.atomic():
        due = list(
            DraftOrder.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(shop=shop, status="OPEN", reserve_until__lte=now)
            .order_by("pk")
        )
        items = {item for draft in due for line in draft.lines for item, _, _ in line["held"]}
        order_state.lock_levels(item_ids=items)
        for draft in due:
            release(draft=draft)
    return len(due)


def complete(*, shop: Shop, draft_id: int, is_pending: bool, source_name: str, now: datetime) -> DraftOrder:
    """Turn a draft into an order, whatever is in stock: staff sell it. Raises Rejected."""
    with transaction.atomic():
        draft = DraftOrder.objects.select_for_update(of=("self",)).filter(shop=shop, pk=draft_id).first()
        if draft is None:
            raise Rejected("Draft order not found", field=["id"])
        if draft.status == "COMPLETED":
            raise Rejected("This order has been paid", field=["id"])
        lines = order_lines(draft)
        order_state.lock_levels(item_ids=[line.variant.item_id for line in lines if line.variant is not None])
        release(draft=draft)
        draft.order = place(shop=shop, lines=lines, is_pending=is_pending, source_name=source_name, now=now)
        draft.status, draft.updated_at = "COMPLETED", now
        draft.save(update_fields=["order", "status", "updated_at"])
        emit(draft=draft, topic="DRAFT_ORDERS_UPDATE")
    return draft


def place(*, shop: Shop, lines: list[orders.NewLine], is_pending: bool, source_name: str, now: datetime) -> Order:
    new = orders.NewOrder(
        lines=lines,
        behaviour=orders.IGNORING,
        source_name=source_name or "shopify_draft_order",
        financial_status="PENDING" if is_pending else "PAID",
    )
    return orders.place(shop=shop, new=new, now=now)


def order_lines(draft: DraftOrder) -> list[orders.NewLine]:
    """The order lines a draft becomes. A variant deleted since leaves a line without stock."""
    variants = variants_of(draft)
    made = []
    for line in draft.lines:
        variant, price = variants.get(line["variant"]), Decimal(line["price"])
        if variant is not None:
            made.append(orders.variant_line(variant=variant, quantity=line["quantity"], price=price))
        else:
            made.append(orders.NewLine(None, line["quantity"], line["title"], price, sku=line["sku"]))
    return made


def variants_of(draft: DraftOrder) -> dict[int, ProductVariant]:
    rows = ProductVariant.objects.select_related("item", "product")
    return rows.in_bulk([line["variant"] for line in draft.lines if line["variant"]])


def lines_of(draft: DraftOrder) -> list[DraftLine]:
    """A draft's lines as printed."""
    variants = variants_of(draft)
    return [
        DraftLine(
            pk=f"{draft.pk}{index:03}",
            variant=variants.get(line["variant"]),
            quantity=line["quantity"],
            title=line["title"],
            sku=line["sku"],
            price=Decimal(line["price"]),
        )
        for index, line in enumerate(draft.lines)
    ]


def emit(*, draft: DraftOrder, topic: str) -> None:
    """Announce a draft with the vendor's REST fields that concern goods."""
    body: dict[str, Any] = {
        "id": draft.pk,
        "admin_graphql_api_id": draft.gid,
        "name": f"#D{draft.pk}",
        "status": draft.status.lower(),
        "order_id": draft.order_id,
        "currency": draft.shop.currency,
        "created_at": draft.created_at.isoformat(timespec="seconds"),
        "updated_at": draft.updated_at.isoformat(timespec="seconds"),
        "customer": None,
        "line_items": [
            {
                "variant_id": line["variant"],
                "title": line["title"],
                "sku": line["sku"],
                "quantity": line["quantity"],
                "price": order_payloads.money(Decimal(line["price"])),
            }
            for line in draft.lines
        ],
    }
    webhooks.emit(shop=draft.shop, topic=topic, payload=body)
