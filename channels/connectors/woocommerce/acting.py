"""What WooCommerce is asked to do with an order: cancel it, which puts its units back. A status is set absolutely.

REST v3 has no version to compare with: the moment between our look and our write is not guarded.
"""

from __future__ import annotations

from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.values import Json
from channels.ports import ActionResult, CancelOrder, OrderAction, OrderActionKind, OrderOption, WriteOutcome

ACTIONS = frozenset({OrderActionKind.CANCEL, OrderActionKind.REFUND})
OPTIONS = frozenset({OrderOption.WRITE_OFF, OrderOption.RECKONS, OrderOption.PAID_BY_HAND})
BY_HAND = {
    OrderActionKind.EDIT: "Open the order in WooCommerce: put it on hold, change its items there, and refund the rest.",
    OrderActionKind.MOVE: "WooCommerce knows one place only: nothing has to be moved there.",
}
LEFT = {"completed": "It has been completed there: it left.", "refunded": "It has been refunded there."}


def act(client: Client, *, action: OrderAction, order: Json | None, is_first: bool) -> ActionResult:
    """Cancel the order, which looks like `order` now (None: gone). Money is given back in WooCommerce itself."""
    if not isinstance(action, CancelOrder):
        return ActionResult(WriteOutcome.REFUSED, BY_HAND[action.kind])
    if order is None:
        return ActionResult(WriteOutcome.REFUSED, "WooCommerce does not know this order any more.")
    status = str(order.get("status"))
    if status == "cancelled":
        return ActionResult(WriteOutcome.STALE if is_first else WriteOutcome.APPLIED, "It is cancelled there.")
    if status in LEFT:
        return ActionResult(WriteOutcome.STALE, LEFT[status])
    client.update_order(action.order_id, {"status": "cancelled"})
    return ActionResult(WriteOutcome.APPLIED)
