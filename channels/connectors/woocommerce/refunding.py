"""Giving money back: what it comes to by the order's own lines, and the refund, which bears a mark.

REST v3 reckons nothing and knows no idempotency key. What units cost is their share of what their line cost with its
taxes, to the shop's own decimals. The refund names the request in hidden meta, as numbers do (stock.MARK): where an
answer was lost, the order's refunds are looked at first. https://woocommerce.github.io/woocommerce-rest-api-docs/#refunds
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from channels.connectors.woocommerce.catalog import meta
from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.stock import MARK
from channels.connectors.woocommerce.values import Json, decimal
from channels.ports import ActionResult, BackLine, ConnectorError, GiveBack, RefundQuote, WriteOutcome

ZERO = Decimal(0)
GONE = "WooCommerce does not know this order any more."
UNPAID = "Nobody has paid it: there is no money to give back."
# Its gateway, or itself, said no: nothing was given back, though the status is that of a failure.
REFUSED = ("woocommerce_rest_cannot_create_order_refund", "woocommerce_rest_invalid_order_refund")
BY_HAND = " If you pay it back yourself, say so on the form: WooCommerce then only notes it."


def quote(order: Json, *, lines: Sequence[BackLine]) -> RefundQuote:
    """What these units cost, and what is left of the order's money. Raises ConnectorError for a line that is gone."""
    step = _step(order)
    costs = [(line, _entry(order, line)) for line in lines]
    amount = sum((_share(entry, line.quantity, step=step)["total"] for line, entry in costs), ZERO)
    given = sum((abs(decimal(one.get("total")) or ZERO) for one in order.get("refunds") or []), ZERO)
    is_paid = bool(order.get("date_paid_gmt"))
    most = max((decimal(order.get("total")) or ZERO) - given, ZERO) if is_paid else ZERO
    return RefundQuote(min(amount, most), most, str(order.get("currency") or ""), words="" if is_paid else UNPAID)


def give_back(client: Client, *, action: GiveBack, order: Json | None, made: Sequence[Json], key: str) -> ActionResult:
    """One refund, unless one of `made` bears our mark. Raises ConnectorError."""
    if order is None:
        return ActionResult(WriteOutcome.REFUSED, GONE)
    if any(meta(one).get(MARK) == key for one in made):
        return ActionResult(WriteOutcome.APPLIED)
    try:
        client.create_refund(action.order_id, _body(action, order, key=key))
    except ConnectorError as error:
        if error.code in REFUSED:
            return ActionResult(WriteOutcome.REFUSED, f"{error}{BY_HAND}")
        raise
    return ActionResult(WriteOutcome.APPLIED)


def _body(action: GiveBack, order: Json, *, key: str) -> dict[str, Any]:
    """`amount` rules. Where it is what the lines cost, they say so one by one; else they tell units alone.

    One flag says for all lines whether they go back to the shelf: an order has left as a whole, or waits as a whole.
    """
    step = _step(order)
    shares = [_share(_entry(order, line), line.quantity, step=step) for line in action.lines]
    is_as_reckoned = sum((share["total"] for share in shares), ZERO) == action.amount
    return {
        "amount": str(action.amount.quantize(step)),
        "reason": action.note,
        "api_refund": action.amount > 0 and not action.is_noted_only,
        "api_restock": action.restocks or not any(line.has_left for line in action.lines),
        "meta_data": [{"key": MARK, "value": key}],
        "line_items": [
            {"id": int(line.line_external_id), "quantity": int(line.quantity)}
            | (
                {"refund_total": float(share["net"]), "refund_tax": share["taxes"]}
                if is_as_reckoned
                else {"refund_total": 0}
            )
            for line, share in zip(action.lines, shares, strict=True)
        ],
    }


def _step(order: Json) -> Decimal:
    """The smallest amount of the shop's prices, as the order prints them."""
    exponent = (decimal(order.get("total")) or Decimal("0.00")).as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else -2)


def _entry(order: Json, line: BackLine) -> Json:
    for entry in order.get("line_items") or []:
        if str(entry.get("id")) == line.line_external_id:
            return dict(entry)
    raise ConnectorError("WooCommerce's order does not have this line any more", permanent=True)


def _share(entry: Json, units: Decimal, *, step: Decimal) -> dict[str, Any]:
    """What so many units of a line cost: without tax, each tax, and in all."""
    ordered = decimal(entry.get("quantity")) or ZERO

    def part(of: Any) -> Decimal:
        whole = decimal(of) or ZERO
        return (whole * units / ordered).quantize(step, ROUND_HALF_UP) if ordered else ZERO

    net = part(entry.get("total"))
    taxes = [{"id": tax.get("id"), "refund_total": float(part(tax.get("total")))} for tax in entry.get("taxes") or []]
    return {"net": net, "taxes": taxes, "total": net + part(entry.get("total_tax"))}
