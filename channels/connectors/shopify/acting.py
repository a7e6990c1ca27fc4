"""What Shopify is asked to do with an order. None of its mutations here takes an idempotency key: each looks first.

Admin GraphQL 2026-10. Scopes beside the usual ones: write_orders, write_order_edits,
write_merchant_managed_fulfillment_orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from channels.connectors.shopify import documents
from channels.connectors.shopify.client import Client
from channels.connectors.shopify.mapping import OPEN_STATUSES
from channels.ports import (
    ActionResult,
    CancelOrder,
    ConnectorError,
    EditOrder,
    MoveUnits,
    OrderActionKind,
    OrderOption,
    WriteOutcome,
)

Json = Mapping[str, Any]
ACTIONS = frozenset(OrderActionKind)
OPTIONS = frozenset(OrderOption) - {OrderOption.PAID_BY_HAND}
NOTE_MAX = 255  # of a staff note
PARTS_MAX = 100  # pages of an order's fulfillment orders
ZERO = Decimal(0)
JOB_S = 3.0  # how soon a cancellation that is under way is looked at again
DONE = ActionResult(WriteOutcome.APPLIED)


def act(client: Client, *, action: CancelOrder | EditOrder | MoveUnits, is_first: bool) -> ActionResult:
    """Do one thing with one order, unless it is done. Raises ConnectorError."""
    if isinstance(action, CancelOrder):
        return _cancel(client, action, is_first=is_first)
    if isinstance(action, EditOrder):
        return _edit(client, action, is_first=is_first)
    return _move(client, action)


def _cancel(client: Client, action: CancelOrder, *, is_first: bool) -> ActionResult:
    order = client.run(documents.ORDER_CANCELLED, {"id": action.order_id}, operation="StudioOrderCancelled")["order"]
    if order is None:
        return ActionResult(WriteOutcome.REFUSED, "Shopify does not know this order any more.")
    if order["cancelledAt"]:
        return DONE if not is_first else ActionResult(WriteOutcome.STALE, "It was cancelled there meanwhile.")
    variables = {
        "id": action.order_id,
        "restock": action.restocks,
        "refund": {"originalPaymentMethodsRefund": True} if action.pays_back else None,
        "note": action.note[:NOTE_MAX] or None,
    }
    payload = client.run(documents.CANCEL, variables, operation="StudioCancel", is_write=True)["orderCancel"]
    if refusal := _refusal(payload["orderCancelUserErrors"]):
        return refusal
    if payload["job"] and not payload["job"]["done"]:
        # Its job may still fail: the order itself says when it is done.
        raise ConnectorError("Shopify is still cancelling", retry_after_s=JOB_S, is_outcome_unknown=True, code="JOB")
    return DONE


def _edit(client: Client, action: EditOrder, *, is_first: bool) -> ActionResult:
    """Stage and commit. An earlier try was committed whole or not at all, so that any part of it tells."""
    is_before, is_after = _lines_tell(client, action) if action.changes else _goods_tell(client, action)
    if not is_first and is_after:
        return DONE
    if not is_before:
        return ActionResult(WriteOutcome.STALE, "The order has changed there meanwhile.")
    begun = client.run(documents.EDIT_BEGIN, {"id": action.order_id}, operation="StudioEditBegin", is_write=True)
    if refusal := _refusal(begun["orderEditBegin"]["userErrors"]):
        return refusal
    edit = begun["orderEditBegin"]["calculatedOrder"]["id"]
    for document, variables, operation, name in _steps(action, edit):
        payload = client.run(document, variables, operation=operation, is_write=True)[name]
        if refusal := _refusal(payload["userErrors"]):
            return refusal
    return DONE


def _lines_tell(client: Client, action: EditOrder) -> tuple[bool, bool]:
    """Whether the lines stand as before the edit, or as after it."""
    ids = [change.line_external_id for change in action.changes]
    nodes = client.run(documents.LINES_NOW, {"ids": ids}, operation="StudioLinesNow")["nodes"]
    now = {node["id"]: Decimal(node["currentQuantity"]) for node in nodes if node}
    return (
        all(now.get(one.line_external_id) == one.from_quantity for one in action.changes),
        all(now.get(one.line_external_id) == one.to_quantity for one in action.changes),
    )


def _goods_tell(client: Client, action: EditOrder) -> tuple[bool, bool]:
    """The same of an edit that only adds: by the units of each listing on the order."""
    now: dict[str, Decimal] = {}
    after: str | None = None
    for _ in range(PARTS_MAX):
        variables = {"id": action.order_id, "after": after}
        order = client.run(documents.GOODS_NOW, variables, operation="StudioGoodsNow")["order"]
        if order is None:
            raise ConnectorError("Shopify does not know this order any more", permanent=True)
        for node in order["lineItems"]["nodes"]:
            name = (node["variant"] or {}).get("id", "")
            now[name] = now.get(name, ZERO) + Decimal(node["currentQuantity"])
        if not order["lineItems"]["pageInfo"]["hasNextPage"]:
            break
        after = order["lineItems"]["pageInfo"]["endCursor"]
    there = [(now.get(one.listing_external_id, ZERO), one) for one in action.added]
    return (
        all(units == one.already_there for units, one in there),
        all(units >= one.already_there + one.quantity for units, one in there),
    )


def _steps(action: EditOrder, edit: str) -> Sequence[tuple[str, Json, str, str]]:
    sets = [
        (
            documents.EDIT_SET,
            # A line of an edit has the number of the order's own line. Where units are taken off is Shopify's choice.
            {
                "edit": edit, "line": one.line_external_id.replace("/LineItem/", "/CalculatedLineItem/"),
                "quantity": int(one.to_quantity), "restock": action.restocks,
            },
            "StudioEditSet", "orderEditSetQuantity",
        )
        for one in action.changes
    ]  # fmt: skip
    adds = [
        (
            documents.EDIT_ADD,
            {
                "edit": edit, "variant": one.listing_external_id, "quantity": int(one.quantity),
                "place": one.location_id or None,
            },
            "StudioEditAdd", "orderEditAddVariant",
        )
        for one in action.added
    ]  # fmt: skip
    commit = (
        documents.EDIT_COMMIT, {"edit": edit, "note": action.note[:NOTE_MAX] or None},
        "StudioEditCommit", "orderEditCommit",
    )  # fmt: skip
    return [*sets, *adds, commit]


def _move(client: Client, action: MoveUnits) -> ActionResult:
    """Move what is not there yet, one fulfillment order after the other: a repeat goes on where the last one died."""
    parts = _waiting(client, action.order_id)
    there = _units(parts, at=action.to_location_id)
    wanted = {}
    for one in action.lines:
        arrived = max(there.get(one.line_external_id, ZERO) - one.already_there, ZERO)
        wanted[one.line_external_id] = max(one.quantity - arrived, ZERO)
    here = _units(parts, at=action.from_location_id)
    if any(units > here.get(line, ZERO) for line, units in wanted.items()):
        return ActionResult(WriteOutcome.STALE, "What was to move waits there no more: it has left, or was moved.")
    for part in parts:
        lines = _share(part, wanted) if _place(part) == action.from_location_id else []
        if not lines:
            continue
        variables = {"id": part["id"], "place": action.to_location_id, "lines": lines}
        payload = client.run(documents.MOVE, variables, operation="StudioMove", is_write=True)["fulfillmentOrderMove"]
        if refusal := _refusal(payload["userErrors"]):
            return refusal
    return DONE


def _waiting(client: Client, order_id: str) -> list[Json]:
    """The order's open fulfillment orders, to the end. Raises ConnectorError for one with more lines than a page."""
    found: list[Json] = []
    after: str | None = None
    for _ in range(PARTS_MAX):
        data = client.run(documents.WAITING, {"id": order_id, "after": after}, operation="StudioWaiting")
        if data["order"] is None:
            raise ConnectorError("Shopify does not know this order any more", permanent=True)
        page = data["order"]["fulfillmentOrders"]
        found += [node for node in page["nodes"] if node["status"] in OPEN_STATUSES]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    if any(node["lineItems"]["pageInfo"]["hasNextPage"] for node in found):
        raise ConnectorError("An order with so many lines can only be moved in Shopify itself", permanent=True)
    return found


def _place(part: Json) -> str:
    return str((part["assignedLocation"]["location"] or {}).get("id", ""))


def _units(parts: Sequence[Json], *, at: str) -> dict[str, Decimal]:
    units: dict[str, Decimal] = {}
    for part in parts:
        for entry in part["lineItems"]["nodes"] if _place(part) == at else ():
            name = entry["lineItem"]["id"]
            units[name] = units.get(name, ZERO) + Decimal(entry["remainingQuantity"])
    return units


def _share(part: Json, wanted: dict[str, Decimal]) -> list[Json]:
    """What of the wanted units this fulfillment order holds; takes them off `wanted`."""
    lines: list[Json] = []
    for entry in part["lineItems"]["nodes"]:
        name = entry["lineItem"]["id"]
        units = min(wanted.get(name, ZERO), Decimal(entry["remainingQuantity"]))
        if units > 0:
            wanted[name] -= units
            lines.append({"id": entry["id"], "quantity": int(units)})
    return lines


def _refusal(errors: Sequence[Json]) -> ActionResult | None:
    if not errors:
        return None
    return ActionResult(WriteOutcome.REFUSED, "; ".join(f"Shopify: {error['message']}" for error in errors)[:300])
