"""Money: payments that settle orders, refunds that give it back. Amounts in minor units."""

from datetime import datetime

from channels.sandbox.square import events, order_rules, pricing
from channels.sandbox.square.errors import REFUND, SquareError, not_found
from channels.sandbox.square.models import Account, Order, Payment, Refund
from channels.sandbox.square.values import Json, later_than, mixed_id, money, stamp

TENDER_TYPES = {"CASH": "CASH", "EXTERNAL": "OTHER", "CARD": "CARD"}


def find(*, account: Account, payment_id: object, is_for_change: bool = False) -> Payment:
    """Raises SquareError (404). For a change the row is locked, always after its order's."""
    rows = Payment.objects.select_related("account").filter(account=account, pk=str(payment_id or ""))
    row = (rows.select_for_update(of=("self",)) if is_for_change else rows).first()
    if row is None:
        raise not_found(f"Could not find payment with id: {payment_id}", "payment_id")
    return row


def print_payment(row: Payment) -> Json:
    currency = row.account.currency
    body: Json = {
        "id": row.payment_id,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "amount_money": money(row.amount, currency),
        "total_money": money(row.amount, currency),
        "approved_money": money(row.amount, currency),
        "status": row.status,
        "location_id": row.location_id,
        "order_id": row.order_id,
        "receipt_number": row.payment_id[:4],
        "version_token": f"{row.payment_id}{int(row.updated_at.timestamp() * 1000)}",
    } | row.data
    if row.refunded:
        ids = Refund.objects.filter(payment=row).order_by("created_at", "pk").values_list("pk", flat=True)
        body |= {"refunded_money": money(row.refunded, currency), "refund_ids": list(ids)}
    return body


def change_status(*, row: Payment, status: str, now: datetime) -> None:
    row.status = status
    row.updated_at = later_than(row.updated_at, now=now)
    row.save()
    events.money_moved(account=row.account, type_="payment.updated", body=print_payment(row))


def capture(*, row: Payment, order: Order, now: datetime) -> None:
    """An approved payment becomes a tender of its order. The caller settles the order."""
    order.data.setdefault("tenders", []).append(
        {
            "id": row.payment_id,
            "payment_id": row.payment_id,
            "location_id": row.location_id,
            "transaction_id": order.order_id,
            "created_at": stamp(row.created_at),
            "amount_money": money(row.amount, row.account.currency),
            "type": TENDER_TYPES[row.data["source_type"]],
        }
    )
    change_status(row=row, status="COMPLETED", now=now)


def pay_order(*, order: Order, payment_ids: list[str], now: datetime) -> None:
    """Collect these approved payments, cancel the order's others, settle. Raises SquareError."""
    if order.state != "OPEN" or order.has_moved_stock:
        raise SquareError(code="BAD_REQUEST", detail="The order is not open or already paid.", field="order_id")
    payments = [
        find(account=order.account, payment_id=payment_id, is_for_change=True)
        for payment_id in sorted(set(payment_ids))
    ]
    for row in payments:
        if row.order_id != order.order_id or row.status != "APPROVED":
            detail = f"Payment {row.payment_id} is not an approved payment of this order."
            raise SquareError(code="BAD_REQUEST", detail=detail, field="payment_ids")
    if sum(row.amount for row in payments) != pricing.cents(order.data["net_amount_due_money"]):
        detail = "The payment total does not match the order total."
        raise SquareError(code="PAYMENT_AMOUNT_MISMATCH", detail=detail, field="payment_ids")
    for row in payments:
        capture(row=row, order=order, now=now)
    others = Payment.objects.select_related("account").filter(order_id=order.order_id, status="APPROVED")
    for row in others.order_by("pk"):
        change_status(row=row, status="CANCELED", now=now)
    order_rules.settle(order=order, now=now)


def refund(*, payment: Payment, amount: int, reason: str, order: Order | None, now: datetime) -> Refund:
    """Give part or all of a payment back. The money is back at once: PENDING, then COMPLETED."""
    if payment.status != "COMPLETED":
        detail = f"The payment is {payment.status}."
        raise SquareError(code="PAYMENT_NOT_REFUNDABLE", detail=detail, category=REFUND)
    if not 0 < amount <= payment.amount - payment.refunded:
        detail = "The requested refund amount exceeds the amount available to refund."
        raise SquareError(code="REFUND_AMOUNT_INVALID", detail=detail, field="amount_money.amount", category=REFUND)
    row = Refund.objects.create(
        refund_id=f"{payment.payment_id}_{mixed_id(length=40, tail='')}",
        account=payment.account,
        payment=payment,
        location_id=payment.location_id,
        order_id=order.order_id if order else payment.order_id,
        status="PENDING",
        amount=amount,
        created_at=now,
        updated_at=now,
        data={"reason": reason} if reason else {},
    )
    events.money_moved(account=row.account, type_="refund.created", body=print_refund(row))
    payment.refunded += amount
    change_status(row=payment, status=payment.status, now=now)
    row.status, row.updated_at = "COMPLETED", later_than(row.updated_at, now=now)
    row.save(update_fields=["status", "updated_at"])
    events.money_moved(account=row.account, type_="refund.updated", body=print_refund(row))
    return row


def note_refund(*, order: Order, row: Refund) -> None:
    """Write a refund into an order's `refunds`."""
    order.data.setdefault("refunds", []).append(
        {
            "id": row.refund_id,
            "location_id": row.location_id,
            "transaction_id": order.order_id,
            "tender_id": row.payment_id,
            "created_at": stamp(row.created_at),
            "reason": row.data.get("reason", "Returned goods"),
            "amount_money": money(row.amount, row.account.currency),
            "status": "APPROVED",
        }
    )


def refund_returns(*, order: Order, now: datetime) -> None:
    """Close an order that takes back at least what it sells, refunding the source orders' payments."""
    net = pricing.cents(order.data["net_amounts"]["total_money"])
    if net > 0:
        return
    owed = -net
    sources = [entry["source_order_id"] for entry in order.data["returns"]]
    payments = Payment.objects.select_related("account").filter(
        account=order.account, order_id__in=sources, status="COMPLETED"
    )
    for payment in payments.order_by("created_at", "pk").select_for_update(of=("self",)):
        amount = min(owed, payment.amount - payment.refunded)
        if amount > 0:
            row = refund(payment=payment, amount=amount, reason="Returned goods", order=order, now=now)
            note_refund(order=order, row=row)
            owed -= amount
    order_rules.settle(order=order, now=now)


def print_refund(row: Refund) -> Json:
    body: Json = {
        "id": row.refund_id,
        "status": row.status,
        "amount_money": money(row.amount, row.account.currency),
        "payment_id": row.payment_id,
        "order_id": row.order_id,
        "location_id": row.location_id,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
    }
    return {**body, **row.data}
