"""The Payments and Refunds APIs: CASH, EXTERNAL, and the sandbox's own card nonce."""

from datetime import datetime
from typing import TypeVar

from django.db.models import Q, QuerySet

from channels.sandbox.square import events, locations, order_rules, pricing
from channels.sandbox.square import payment_rules as rules
from channels.sandbox.square.errors import SquareError, invalid, missing, not_found
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.idempotency import once
from channels.sandbox.square.models import Order, Payment, Refund
from channels.sandbox.square.paging import make_cursor, read_cursor, read_limit
from channels.sandbox.square.values import Json, mixed_id, money, read_money, read_time

READ, WRITE = ("PAYMENTS_READ",), ("PAYMENTS_WRITE",)
KEY_CHARS = 45
PAYMENT_TAKES = {"source_id": "text", "cash_details": "object", "external_details": "object"}
TEST_CARD = "cnon:card-nonce-ok"
Row = TypeVar("Row", Payment, Refund)


@endpoint(operation="payments.create", scopes=WRITE, takes=PAYMENT_TAKES)
def create(*, call: Call) -> Json:
    """Take money for an order, or for an amount that becomes an order of its own."""

    def work() -> Json:
        amount = read_money(call.body.get("amount_money"), field="amount_money", currency=call.account.currency)
        source = read_source(call=call, amount=amount)
        order = order_to_pay(call=call, amount=amount)
        row = Payment.objects.create(
            payment_id=mixed_id(),
            account=call.account,
            location_id=order.location_id,
            order_id=order.order_id,
            status="APPROVED",
            amount=amount,
            created_at=call.now,
            updated_at=call.now,
            data=source,
        )
        events.money_moved(account=call.account, type_="payment.created", body=rules.print_payment(row))
        if call.body.get("autocomplete") is not False:
            rules.capture(row=row, order=order, now=call.now)
            order_rules.settle(order=order, now=call.now)
        return {"payment": rules.print_payment(row)}

    return once(call=call, operation="payments.create", chars_max=KEY_CHARS, work=work)


def read_source(*, call: Call, amount: int) -> Json:
    """The payment's source and details. Raises SquareError for one the sandbox does not take."""
    source, body, currency = call.body.get("source_id"), call.body, call.account.currency
    kept = {name: body[name] for name in ("reference_id", "customer_id", "note", "team_member_id") if body.get(name)}
    if not source:
        raise missing("source_id")
    if source == "CASH":
        details = body.get("cash_details") or {}
        given = read_money(
            details.get("buyer_supplied_money"), field="cash_details.buyer_supplied_money", currency=currency
        )
        if given < amount:
            raise invalid("cash_details.buyer_supplied_money", "Less than the amount of the payment.")
        change = {"change_back_money": money(given - amount, currency)}
        return kept | {"source_type": "CASH", "cash_details": details | change}
    if source == "EXTERNAL":
        details = body.get("external_details") or {}
        for name in ("type", "source"):
            if not details.get(name):
                raise missing(f"external_details.{name}")
        return kept | {"source_type": "EXTERNAL", "external_details": details}
    if source == TEST_CARD:
        card = {"card_brand": "VISA", "last_4": "5858", "exp_month": 11, "exp_year": 2030}
        return kept | {"source_type": "CARD", "card_details": {"status": "CAPTURED", "card": card}}
    raise not_found(f"Card nonce or source `{source}` not found.", "source_id")


def order_to_pay(*, call: Call, amount: int) -> Order:
    """The order named, locked, if that much is due on it; else a new one over just this amount."""
    if call.body.get("order_id"):
        order = order_rules.find(account=call.account, order_id=call.body["order_id"], is_for_change=True)
        if order.state != "OPEN" or order.has_moved_stock:
            raise SquareError(code="BAD_REQUEST", detail="The order is not open or paid.", field="order_id")
        if amount > pricing.cents(order.data["net_amount_due_money"]):
            detail = "The amount is more than is due on the order."
            raise SquareError(code="PAYMENT_AMOUNT_MISMATCH", detail=detail, field="amount_money")
        return order
    place = locations.find(account=call.account, location_id=call.body.get("location_id") or "main")
    line = {
        "name": "Custom Amount",
        "quantity": "1",
        "item_type": "CUSTOM_AMOUNT",
        "base_price_money": money(amount, call.account.currency),
    }
    location_id, body = order_rules.draft(
        account=call.account, given={"location_id": place.location_id, "line_items": [line]}
    )
    return order_rules.create(account=call.account, location_id=location_id, body=body, state="OPEN", now=call.now)


@endpoint(operation="payments.get", scopes=READ)
def retrieve(*, call: Call, payment_id: str) -> Json:
    return {"payment": rules.print_payment(rules.find(account=call.account, payment_id=payment_id))}


@endpoint(operation="payments.complete", scopes=WRITE)
def complete(*, call: Call, payment_id: str) -> Json:
    order, row = lock_both(call=call, payment_id=payment_id)
    check_approved(row)
    rules.capture(row=row, order=order, now=call.now)
    order_rules.settle(order=order, now=call.now)
    return {"payment": rules.print_payment(row)}


@endpoint(operation="payments.cancel", scopes=WRITE)
def cancel(*, call: Call, payment_id: str) -> Json:
    _order, row = lock_both(call=call, payment_id=payment_id)
    check_approved(row)
    rules.change_status(row=row, status="CANCELED", now=call.now)
    return {"payment": rules.print_payment(row)}


def lock_both(*, call: Call, payment_id: object) -> tuple[Order, Payment]:
    """A payment's order and the payment, locked in this order. Raises SquareError (404)."""
    named = rules.find(account=call.account, payment_id=payment_id)
    order = order_rules.find(account=call.account, order_id=named.order_id, is_for_change=True)
    return order, rules.find(account=call.account, payment_id=payment_id, is_for_change=True)


def check_approved(row: Payment) -> None:
    if row.status != "APPROVED":
        raise SquareError(code="BAD_REQUEST", detail=f"The payment is {row.status}.", field="payment_id")


@endpoint(operation="payments.list", scopes=READ)
def list_payments(*, call: Call) -> Json:
    page, cursor = take_page(call=call, rows=Payment.objects.select_related("account"))
    return {"payments": [rules.print_payment(row) for row in page]} | cursor


@endpoint(operation="refunds.refund_payment", scopes=WRITE)
def create_refund(*, call: Call) -> Json:
    """Money back on a payment, noted in the order it paid. Goods come back by an order with returns."""

    def work() -> Json:
        amount = read_money(call.body.get("amount_money"), field="amount_money", currency=call.account.currency)
        if call.body.get("unlinked"):
            detail = "The sandbox does not serve unlinked refunds."
            raise SquareError(code="NOT_IMPLEMENTED", detail=detail, field="unlinked", status=501)
        order, payment = lock_both(call=call, payment_id=call.body.get("payment_id"))
        reason = str(call.body.get("reason") or "")
        row = rules.refund(payment=payment, amount=amount, reason=reason, order=None, now=call.now)
        rules.note_refund(order=order, row=row)
        order_rules.save(order=order, now=call.now)
        return {"refund": rules.print_refund(row)}

    return once(call=call, operation="refunds.refund_payment", chars_max=KEY_CHARS, work=work)


@endpoint(operation="refunds.get", scopes=READ)
def get_refund(*, call: Call, refund_id: str) -> Json:
    row = Refund.objects.select_related("account").filter(account=call.account, pk=refund_id).first()
    if row is None:
        raise not_found(f"Could not find refund with id: {refund_id}")
    return {"refund": rules.print_refund(row)}


@endpoint(operation="refunds.list", scopes=READ)
def list_refunds(*, call: Call) -> Json:
    page, cursor = take_page(call=call, rows=Refund.objects.select_related("account"))
    return {"refunds": [rules.print_refund(row) for row in page]} | cursor


def take_page(*, call: Call, rows: QuerySet[Row]) -> tuple[list[Row], Json]:
    """Newest first unless `sort_order=ASC`; filtered by location and time of creation."""
    query: Json = {name: call.query[name] for name in call.query if name != "cursor"}
    rows = rows.filter(account=call.account)
    if query.get("location_id"):
        rows = rows.filter(location_id=query["location_id"])
    for name, lookup in (("begin_time", "created_at__gte"), ("end_time", "created_at__lte")):
        if query.get(name):
            rows = rows.filter(**{lookup: read_time(query[name], field=name)})
    is_ascending = query.get("sort_order") == "ASC"
    place = read_cursor(call.query.get("cursor"), query=query, now=call.now)
    if place is not None:
        way, at = "gt" if is_ascending else "lt", datetime.fromisoformat(place[0])
        rows = rows.filter(Q(**{f"created_at__{way}": at}) | Q(created_at=at, **{f"pk__{way}": place[1]}))
    limit = read_limit(query.get("limit"), default=100, top=100)
    order = ("created_at", "pk") if is_ascending else ("-created_at", "-pk")
    page = list(rows.order_by(*order)[: limit + 1])
    if len(page) <= limit:
        return page, {}
    last = page[limit - 1]
    return page[:limit], {
        "cursor": make_cursor(place=[last.created_at.isoformat(), last.pk], query=query, now=call.now)
    }
