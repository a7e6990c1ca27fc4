"""Giving money back at Shopify: its own calculation, and the refund under an idempotency key.

Admin GraphQL 2026-10; scope write_orders. Units that wait are taken off with restock type CANCEL, units that left come
back with RETURN or are written off with NO_RESTOCK, which takes what left before what waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from channels.connectors.shopify import documents
from channels.connectors.shopify.client import Client
from channels.ports import ActionResult, BackLine, ConnectorError, GiveBack, MoneyPart, RefundQuote, WriteOutcome

Json = Mapping[str, Any]
GONE = "Shopify does not know this order any more"
NOTE_MAX = 255
NOTHING_PAID = "Nothing that was paid can be given back there."
# A key that failed once never works again: a person asks anew, from the page, with what is there then.
SPENT = "Shopify remembers that this very request failed. Ask for it anew from the order's page."


def quote(client: Client, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
    """What Shopify would give back for these units, and what it could at most, payment by payment."""
    variables = {"id": order_id, "lines": [_line(one, restocks=True) for one in lines]}
    order = client.run(documents.SUGGESTED_REFUND, variables, operation="StudioSuggestedRefund")["order"]
    if order is None:
        raise ConnectorError(GONE, permanent=True)
    suggested = order["suggestedRefund"]
    if suggested is None:
        return RefundQuote(Decimal(0), Decimal(0), "", words=NOTHING_PAID)
    money = suggested["amountSet"]["presentmentMoney"]
    most = Decimal(suggested["maximumRefundableSet"]["presentmentMoney"]["amount"])
    parts = [
        MoneyPart((one["parentTransaction"] or {}).get("id", ""), one["gateway"] or "", _most(one))
        for one in suggested["suggestedTransactions"]
    ]
    words = "" if most > 0 else NOTHING_PAID
    return RefundQuote(Decimal(money["amount"]), most, money["currencyCode"], parts, words)


def _most(transaction: Json) -> Decimal:
    told = transaction["maximumRefundableSet"]
    return Decimal(told["presentmentMoney"]["amount"]) if told else Decimal(0)


def give_back(client: Client, *, action: GiveBack, key: str) -> ActionResult:
    """One refund; the same key and action again are answered with the first. Raises ConnectorError."""
    variables = {"input": _input(action), "key": key}
    payload = client.run(documents.REFUND, variables, operation="StudioRefundCreate", is_write=True)["refundCreate"]
    errors = payload["userErrors"]
    if not errors:
        return ActionResult(WriteOutcome.APPLIED)
    said = "; ".join(str(error["message"]) for error in errors)
    if "being processed" in said:
        # UserError has no code here: an earlier try is still at work under the same key.
        raise ConnectorError(f"Shopify: {said}", retry_after_s=3.0, is_outcome_unknown=True, code="CONCURRENT")
    if "idempotency key failed" in said:
        return ActionResult(WriteOutcome.REFUSED, SPENT)
    return ActionResult(WriteOutcome.REFUSED, f"Shopify: {said}"[:300])


def _input(action: GiveBack) -> Json:
    transactions = [
        {
            "orderId": action.order_id, "kind": "REFUND", "gateway": part.gateway, "amount": str(part.amount),
            "parentId": part.payment or None,
        }
        for part in action.parts
    ]  # fmt: skip
    return {
        "orderId": action.order_id,
        "currency": action.currency or None,
        "note": action.note[:NOTE_MAX] or None,
        "notify": True,
        "refundLineItems": [_line(one, restocks=action.restocks) for one in action.lines],
        "transactions": transactions,
    }


def _line(one: BackLine, *, restocks: bool) -> Json:
    """Units that wait go back where they wait, or where they lie Shopify says."""
    kind = "CANCEL" if not one.has_left else "RETURN" if restocks else "NO_RESTOCK"
    place = one.location_id if kind != "NO_RESTOCK" else ""
    return {
        "lineItemId": one.line_external_id, "quantity": int(one.quantity), "restockType": kind,
        "locationId": place or None,
    }  # fmt: skip
