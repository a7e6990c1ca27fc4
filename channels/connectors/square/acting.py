"""What Square is asked to do with an order: cancel one that nobody has paid.

A paid order can only be refunded, for which we have no scope, and refunding moves no stock: that is a person's work at
the till or in the dashboard. https://developer.squareup.com/docs/orders-api/manage-orders
"""

from __future__ import annotations

from channels.connectors.square.client import Client
from channels.connectors.square.mapping.orders import is_paid
from channels.ports import ActionResult, CancelOrder, ConnectorError, OrderAction, OrderActionKind, WriteOutcome

ACTIONS = frozenset({OrderActionKind.CANCEL})
PAID = "It is paid. Give the money back at the till or in Square's dashboard, and choose there to restock or not."
BY_HAND = {
    OrderActionKind.EDIT: "Refund the item at the till or in Square's dashboard; sell another one there.",
    OrderActionKind.MOVE: "A Square order belongs to its place: sell it anew at the other one, and refund this one.",
    OrderActionKind.REFUND: "Square gave us no leave to pay back (PAYMENTS_WRITE). Do it at the till or in Square's "
    "dashboard; the order and the stock follow here by themselves.",
}
ORDER_PAGE = "https://app.squareup.com/dashboard/sales/transactions"
MOVED_ON = ("VERSION_MISMATCH", "CONFLICT")


def act(client: Client, *, action: OrderAction, is_first: bool) -> ActionResult:
    """Cancel, under the version just read: no idempotency key, for a used one would drop the change without a word."""
    if not isinstance(action, CancelOrder):
        return ActionResult(WriteOutcome.REFUSED, BY_HAND[action.kind])
    found = client.retrieve_orders(body={"order_ids": [action.order_id]}).body.get("orders") or []
    if not found:
        return ActionResult(WriteOutcome.REFUSED, "Square does not know this order any more.")
    order = found[0]
    if order.get("state") == "CANCELED":
        return ActionResult(WriteOutcome.STALE if is_first else WriteOutcome.APPLIED, "It is cancelled there.")
    if order.get("state") != "OPEN" or is_paid(order):
        return ActionResult(WriteOutcome.REFUSED, PAID)
    body = {
        "order": {"location_id": order["location_id"], "version": order.get("version"), "state": "CANCELED"},
    }
    try:
        client.update_order(order_id=action.order_id, body=body)
    except ConnectorError as error:
        if error.code in MOVED_ON:
            raise ConnectorError(str(error), retry_after_s=1.0, code=error.code) from error
        raise
    return ActionResult(WriteOutcome.APPLIED)
