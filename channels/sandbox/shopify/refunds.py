"""Giving units back: refunds with or without restocking, and cancelling an order."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from channels.sandbox.shopify import order_changes, order_payloads, order_state, stock
from channels.sandbox.shopify.models import LineItem, Location, Order, Refund, RefundLineItem, Shop
from channels.sandbox.shopify.order_state import ENDED, Rejected

UNPAID = ("PENDING", "AUTHORIZED", "EXPIRED")


@dataclass(frozen=True)
class Back:
    """Units of a line to give back; `at` is where they are put, where they are."""

    line_id: int
    quantity: int
    restock_type: str = "NO_RESTOCK"
    at: Location | None = None


@dataclass(frozen=True)
class Money:
    """What a refund's transactions give back; `payments`: the transactions they name."""

    amount: Decimal
    payments: tuple[str, ...] = ()
    may_exceed: bool = False


def check_money(*, order: Order, money: Money) -> None:
    """Raise Rejected for a payment that is not the order's, or for more than is left of what was paid."""
    if any(payment != order_state.payment_gid(order) for payment in money.payments):
        raise Rejected("Transaction does not belong to the order", field=["transactions", "0", "parentId"])
    if money.amount > order_state.refundable(order) and not money.may_exceed:
        raise Rejected("Refund amount cannot be greater than the amount refundable", field=["transactions"])


def withdraw(*, line: LineItem, quantity: int, restocks: bool, at: Location | None = None) -> list[stock.Move]:
    """Take unfulfilled units off a line's fulfillment orders and give the stock moves that follow.

    Units at `at` go first. committed falls where they lay; available rises at `at`, or else there. The line's
    `current_quantity` is left to the caller. `quantity` must not exceed what is unfulfilled.
    """
    rows = order_state.open_remaining(line)
    if at is not None:
        rows.sort(key=lambda row: row.fulfillment_order.location_id != at.pk)
    moves, rest = [], quantity
    for row in rows:
        units = min(rest, row.remaining)
        if not units:
            break
        rest -= units
        row.total -= units
        row.remaining -= units
        row.save(update_fields=["total", "remaining"])
        place_id = row.fulfillment_order.location_id
        if line.item_id is None or not line.order.claims_stock:
            continue
        moves.append(stock.Move(line.item_id, place_id, "committed", -units))
        if restocks:
            moves.append(stock.Move(line.item_id, at.pk if at else place_id, "available", units))
    if rest:
        raise ValueError(f"{rest} units more than are unfulfilled on line {line.pk}")
    return moves


def close_emptied(*, order_id: int, now: datetime) -> None:
    """Bring the fulfillment orders in line after units were withdrawn; announce those this ends."""
    order = order_state.read(order_id=order_id)
    for row in order.fulfillment_orders.all():
        if row.status in ENDED or any(line.remaining for line in row.lines.all()):
            continue
        order_state.settle(row, now=now)
        if row.status == "CANCELLED":
            order_changes.emit_fulfillment_order(row=row, order=order, topic="FULFILLMENT_ORDERS_CANCELLED")


def refund(
    *, shop: Shop, order_id: int, backs: list[Back], note: str, now: datetime, money: Money | None = None
) -> Refund:
    """Refund lines. Raises Rejected when more is given back than there is; then nothing changes.

    `money` None: the person who does it pays what the lines cost.

    CANCEL takes units that have not left, RETURN units that have. NO_RESTOCK takes units that have left first;
    of those that have not, the commitment ends and the units are gone.
    """
    with transaction.atomic():
        order = order_state.lock(shop=shop, order_id=order_id, field=["orderId"])
        order_changes.lock_stock_of(order)
        lines = {line.pk: line for line in order.lines.all()}
        check(backs=backs, lines=lines)
        if money is not None:
            check_money(order=order, money=money)
        amount = money.amount if money is not None else None
        made = Refund.objects.create(order=order, note=note, amount=amount, created_at=now)
        moves = [entry for back in backs for entry in give_back(made=made, back=back, line=lines[back.line_id])]
        order_changes.shift(shop=shop, order=order, moves=moves, reason="order_refunded")
        close_emptied(order_id=order.pk, now=now)
        fresh = order_state.read(order_id=order.pk)
        order.financial_status = order_state.financial_status_after_refund(fresh)
        order_state.touch(order, now=now, fields=["financial_status"])
        announce_refund(order_id=order.pk, refund_id=made.pk)
    return Refund.objects.get(pk=made.pk)


def check(*, backs: list[Back], lines: dict[int, LineItem]) -> None:
    """Raise Rejected for a line of another order, or for more units than can be given back that way."""
    asked: Counter[tuple[int, str]] = Counter()
    total: Counter[int] = Counter()
    for index, back in enumerate(backs):
        field = ["refundLineItems", str(index), "quantity"]
        if back.line_id not in lines:
            raise Rejected("Line item does not belong to the order", field=[*field[:2], "lineItemId"])
        if back.restock_type == "LEGACY_RESTOCK":
            raise Rejected("Restock type is not accepted", field=[*field[:2], "restockType"])
        if back.quantity < 1:
            raise Rejected("Quantity must be greater than 0", field=field)
        asked[(back.line_id, back.restock_type)] += back.quantity
        total[back.line_id] += back.quantity
        line = lines[back.line_id]
        limits = {"CANCEL": order_state.unfulfilled(line), "RETURN": order_state.kept(line)}
        limit = limits.get(back.restock_type, line.current_quantity)
        if asked[(back.line_id, back.restock_type)] > limit or total[back.line_id] > line.current_quantity:
            raise Rejected("Refund quantity cannot be greater than the quantity refundable", field=field)


def give_back(*, made: Refund, back: Back, line: LineItem) -> list[stock.Move]:
    """Write one refund line, take the units off the order's line, and give the stock moves."""
    moves: list[stock.Move] = []
    place = back.at
    if back.restock_type == "CANCEL":
        place = place or first_place(line)
        moves = withdraw(line=line, quantity=back.quantity, restocks=True, at=back.at)
    elif back.restock_type == "RETURN":
        place = place or left_from(line)
        if line.item_id is not None and place is not None:
            moves = [stock.Move(line.item_id, place.pk, "available", back.quantity)]
    else:
        place = None
        unfulfilled = max(0, back.quantity - order_state.kept(line))
        moves = withdraw(line=line, quantity=unfulfilled, restocks=False)
    line.current_quantity -= back.quantity
    line.save(update_fields=["current_quantity"])
    RefundLineItem.objects.create(
        refund=made,
        line=line,
        quantity=back.quantity,
        restock_type=back.restock_type,
        restocked=place is not None,
        location=place,
    )
    return moves


def first_place(line: LineItem) -> Location | None:
    """Where a line's unfulfilled units lie."""
    rows = order_state.open_remaining(line)
    return Location.objects.get(pk=rows[0].fulfillment_order.location_id) if rows else None


def left_from(line: LineItem) -> Location | None:
    """Where a line's units left last: the vendor puts a return there when told no place."""
    for row in reversed(list(line.order.fulfillments.all())):
        if any(entry["line"] == line.pk for entry in row.lines):
            return row.location
    return None


def announce_refund(*, order_id: int, refund_id: int) -> None:
    full = order_changes.emit_updated(order_id=order_id)
    made = next(row for row in full.refunds.all() if row.pk == refund_id)
    body = order_payloads.refund_body(made, order=full)
    order_changes.emit(order=full, topic="REFUNDS_CREATE", payload=body)


def cancel(
    *, shop: Shop, order_id: int, reason: str, restocks: bool, pays_back: bool, note: str, now: datetime
) -> Order:
    """Cancel an order none of whose units are with the customer. Raises Rejected.

    Unfulfilled units lose their commitment; they become available again only with `restocks`.
    """
    field = ["orderId"]
    with transaction.atomic():
        order = order_state.lock(shop=shop, order_id=order_id, field=field, code="NOT_FOUND")
        if order.cancelled_at is not None:
            raise Rejected("Order has already been cancelled", code="INVALID", field=field)
        if any(order_state.kept(line) for line in order.lines.all()):
            raise Rejected("Cannot cancel an order with fulfilled items", code="INVALID", field=field)
        order_changes.lock_stock_of(order)
        restocks = restocks and may_restock(order)
        made = Refund.objects.create(order=order, note=note, created_at=now)
        moves = []
        for line in order.lines.all():
            if line.current_quantity:
                kind = "CANCEL" if restocks else "NO_RESTOCK"
                moves += give_back(made=made, back=Back(line.pk, line.current_quantity, kind), line=line)
        if not pays_back or order.financial_status in UNPAID:
            made.amount = Decimal(0)
            made.save(update_fields=["amount"])
        order_changes.shift(shop=shop, order=order, moves=moves, reason="order_cancelled")
        close_emptied(order_id=order.pk, now=now)
        mark_cancelled(order=order, reason=reason, pays_back=pays_back, now=now)
        announce_refund(order_id=order.pk, refund_id=made.pk)
        full = order_state.read(order_id=order.pk)
        order_changes.emit(order=full, topic="ORDERS_CANCELLED", payload=order_payloads.order_body(full))
    return full


def may_restock(order: Order) -> bool:
    """False for an unpaid order at a deactivated location. Raises Rejected for a paid one, as the vendor does."""
    rows = order.fulfillment_orders.all()
    if all(row.location.is_active for row in rows if row.status not in ENDED):
        return True
    if order.financial_status in UNPAID:
        return False
    raise Rejected("The order's location is deactivated", code="INVALID", field=["orderId"])


def mark_cancelled(*, order: Order, reason: str, pays_back: bool, now: datetime) -> None:
    if order.financial_status in UNPAID:
        order.financial_status = "VOIDED"
    elif pays_back:
        order.financial_status = "REFUNDED"
    order.cancel_reason, order.cancelled_at, order.closed_at = reason, now, now
    order_state.touch(order, now=now, fields=["financial_status", "cancel_reason", "cancelled_at", "closed_at"])
