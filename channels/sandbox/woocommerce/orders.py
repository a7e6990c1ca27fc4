"""Orders and their refunds."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import QuerySet, Sum

from channels.sandbox.woocommerce import (
    batching,
    errors,
    events,
    listing,
    order_rules,
    printing,
    product_rules,
)
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.http import Answer, Call, endpoint
from channels.sandbox.woocommerce.models import Order, OrderLine, Refund, RefundLine
from channels.sandbox.woocommerce.values import Json

ZERO = Decimal(0)
REFUNDING = ("stripe", "woocommerce_payments")  # payment methods whose gateway gives money back when asked


def _orders(call: Call) -> "QuerySet[Order]":
    return Order.objects.filter(site=call.site)


def _to_change(call: Call, number: Any) -> Order:
    row = _orders(call).filter(pk=errors.number_of(number)).select_for_update().first()
    if row is None:
        raise errors.unknown("shop_order", status=400)
    return row


@endpoint("orders.list")
def list_orders(*, call: Call) -> Answer:
    rows = listing.filtered(_orders(call), call.query)
    statuses = [part for text in call.query.getlist("status") for part in text.split(",")] or ["any"]
    rows = rows.exclude(status=Order.Status.TRASH) if "any" in statuses else rows.filter(status__in=statuses)
    return listing.page(call, listing.ordered(rows, call.query), printing.order)


@endpoint("orders.retrieve")
def retrieve(*, call: Call, order_id: int) -> Json:
    row = _orders(call).filter(pk=order_id).first()
    if row is None:
        raise errors.unknown("shop_order")
    return printing.order(row)


def _create(call: Call, given: Json) -> Json:
    return printing.order(order_rules.create(call.site, given))


def _update(call: Call, given: Json) -> Json:
    order = _to_change(call, given.get("id"))
    for entry in given.get("line_items") or []:
        _edit_line(order, entry)
    if "customer_note" in given:
        order.customer_note = str(given["customer_note"])[:500]
    wanted = given.get("status", order.status)
    is_paid_now = given.get("set_paid") is True and order.paid_at is None
    order_rules.set_status(order, Order.Status.PROCESSING if is_paid_now else wanted)
    return printing.order(order)


def _edit_line(order: Order, given: Json) -> None:
    if "id" not in given:
        order_rules.add_line(order, given)
        return
    line = order.lines.select_related("product__parent").filter(pk=errors.number_of(given["id"])).first()
    if line is None:
        raise WooError("woocommerce_rest_invalid_item_id", "Order item ID provided is not associated with order.")
    quantity = given.get("quantity", line.quantity)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        raise errors.invalid_param("line_items", "line_items[0][quantity] is not of type integer.")
    if quantity != line.quantity:
        order_rules.edit_quantity(line, quantity)


def _delete(call: Call, given: Json, *, is_forced: bool) -> Json:
    """To the bin, or for good. Its stock stays as it is."""
    order = _to_change(call, given.get("id"))
    shown = printing.order(order)
    events.note("order.deleted", order.pk)
    if is_forced:
        order.delete()
    else:
        order.status = Order.Status.TRASH
        order.save(update_fields=["status"])
    return shown


@endpoint("orders.create")
def create(*, call: Call) -> Answer:
    return Answer(_create(call, call.body), status=201)


@endpoint("orders.update")
def update(*, call: Call, order_id: int) -> Json:
    return _update(call, {**call.body, "id": order_id})


@endpoint("orders.delete")
def delete(*, call: Call, order_id: int) -> Json:
    return _delete(call, {"id": order_id}, is_forced=call.query.get("force") == "true")


@endpoint("orders.batch")
def batch(*, call: Call) -> Any:
    return batching.run(
        call.body,
        operation="orders.batch",
        create=lambda given: _create(call, given),
        update=lambda given: _update(call, given),
        delete=lambda given: _delete(call, given, is_forced=True),
    )


def _parent(call: Call, order_id: int) -> Order:
    order = _orders(call).filter(pk=order_id).select_for_update().first()
    if order is None:
        raise WooError("woocommerce_rest_invalid_order_id", "Invalid order ID.", status=404)
    return order


@endpoint("refunds.list")
def list_refunds(*, call: Call, order_id: int) -> Answer:
    rows = Refund.objects.filter(order=_parent(call, order_id))
    return listing.page(call, listing.ordered(rows, call.query), printing.refund)


@endpoint("refunds.retrieve")
def retrieve_refund(*, call: Call, order_id: int, refund_id: int) -> Json:
    row = Refund.objects.filter(order=_parent(call, order_id), pk=refund_id).first()
    if row is None:
        raise errors.unknown("shop_order_refund")
    return printing.refund(row)


@endpoint("refunds.create")
def create_refund(*, call: Call, order_id: int) -> Answer:
    """Money back, and by default the units to the shelf. An order refunded in full becomes `refunded`."""
    order = _parent(call, order_id)
    by_gateway = call.body.get("api_refund", True) is not False
    if by_gateway and order.payment_method not in REFUNDING:
        raise _cannot("The payment gateway for this order does not exist.")
    wanted = [_wanted(order, entry) for entry in call.body.get("line_items") or []]
    amount = _amount(call.body.get("amount"), wanted)
    left = printing.total_of(list(order.lines.all())) - _refunded(order)
    if amount < 0 or amount > left:
        raise _cannot("Invalid refund amount.")
    refund = Refund.objects.create(
        order=order, amount=amount, reason=str(call.body.get("reason", ""))[:300], refunded_payment=by_gateway,
        meta_data=call.body.get("meta_data") or [],
    )  # fmt: skip
    RefundLine.objects.bulk_create(
        RefundLine(refund=refund, line=line, quantity=units, total=total) for line, units, total in wanted
    )
    if call.body.get("api_restock", True) is not False:
        for line, units, _ in wanted:
            restock(line, units)
    if amount == left:
        order.status = Order.Status.REFUNDED
    order_rules.touch(order)
    return Answer(printing.refund(refund), status=201)


def restock(line: OrderLine, units: int) -> None:
    """Back to the shelf what the line took; nothing where it took nothing or nobody counts."""
    if not line.reduced_stock or not units or line.product is None or line.product.keeper is None:
        return
    product_rules.move_stock(line.product, units)
    line.reduced_stock -= units
    line.restocked = (line.restocked or 0) + units
    line.save(update_fields=["reduced_stock", "restocked"])


def _wanted(order: Order, given: Json) -> tuple[OrderLine, int, Decimal]:
    line = order.lines.select_related("product__parent").filter(pk=errors.number_of(given.get("id"))).first()
    if line is None:
        raise _cannot("Invalid order item.")
    units = given.get("quantity", 0)
    done = line.refunded.aggregate(units=Sum("quantity"))["units"] or 0
    if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= line.quantity - done:
        raise _cannot("Invalid refund quantity.")
    return line, units, _decimal(given.get("refund_total", line.price * units))


def _amount(given: Any, wanted: list[tuple[OrderLine, int, Decimal]]) -> Decimal:
    return _decimal(given) if given is not None else sum((total for _, _, total in wanted), ZERO)


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation as error:
        raise _cannot("Invalid refund amount.") from error


def _refunded(order: Order) -> Decimal:
    return order.refunds.aggregate(sum=Sum("amount"))["sum"] or ZERO


def _cannot(words: str) -> WooError:
    return WooError("woocommerce_rest_cannot_create_order_refund", words, status=500)
