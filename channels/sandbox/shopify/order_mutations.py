"""GraphQL over orders: the mutations. Each reads its input, makes one call into a rule, and answers the payload."""

# Arguments bear the names of the vendor's schema.
# ruff: noqa: A002, N803

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from channels.sandbox.shopify import (
    drafts,
    editing,
    fulfilling,
    moving,
    order_inputs,
    order_state,
    orders,
    refunds,
)
from channels.sandbox.shopify.models import FulfillmentOrder
from channels.sandbox.shopify.order_state import Rejected
from channels.sandbox.shopify.resolving import parse_gid, resolver, user_error

Json = dict[str, Any]
Mutation = Callable[..., Json]


def mutation(name: str, *, errors: str = "user_errors") -> Callable[[Mutation], Mutation]:
    """Attach a mutation; Rejected becomes its user error, beside nothing else."""

    def decorate(work: Mutation) -> Mutation:
        @resolver("Mutation", name)
        @functools.wraps(work)
        def wrapped(source: Any, info: Any, **args: Any) -> Json:
            try:
                return {errors: [], "user_errors": []} | work(info.context, **args)
            except Rejected as error:
                row = user_error(code=error.code, field=error.field or None, message=error.message)
                return {"user_errors": [], errors: [row]}

        return wrapped

    return decorate


def units_of(given: list[Json] | None) -> dict[int, int] | None:
    """FulfillmentOrderLineItemInput: line id -> units; None where the whole is meant."""
    if not given:
        return None
    return {parse_gid(entry["id"], "FulfillmentOrderLineItem"): entry["quantity"] for entry in given}


def shown(row_id: int) -> FulfillmentOrder:
    """A fulfillment order as it is now, with what is printed of it."""
    order_id = FulfillmentOrder.objects.values_list("order_id", flat=True).get(pk=row_id)
    rows = order_state.read(order_id=order_id).fulfillment_orders.all()
    return next(row for row in rows if row.pk == row_id)


@mutation("orderCreate")
def order_create(context: Any, order: Json, options: Json | None = None) -> Json:
    drafts.release_expired(shop=context.shop, now=context.now)
    behaviour = (options or {}).get("inventoryBehaviour")
    new = order_inputs.new_order(shop=context.shop, given=order, behaviour=behaviour, now=context.now)
    return {"order": orders.place(shop=context.shop, new=new, now=context.now)}


@mutation("orderCancel", errors="order_cancel_user_errors")
def order_cancel(
    context: Any,
    orderId: str,
    reason: str,
    restock: bool,
    refund: bool | None = None,
    refundMethod: Json | None = None,
    notifyCustomer: bool | None = False,
    staffNote: str | None = None,
) -> Json:
    """Cancelled at once; the vendor's job is therefore done when it is answered."""
    order = refunds.cancel(
        shop=context.shop,
        order_id=parse_gid(orderId, "Order"),
        reason=reason,
        restocks=restock,
        pays_back=bool(refund) or any((refundMethod or {}).values()),
        note=staffNote or "",
        now=context.now,
    )
    return {"job": {"id": f"gid://shopify/Job/{order.pk}", "done": True}}


@mutation("refundCreate")
def refund_create(context: Any, input: Json) -> Json:
    order_id = parse_gid(input["orderId"], "Order")
    backs = [
        refunds.Back(
            line_id=parse_gid(entry["lineItemId"], "LineItem"),
            quantity=entry["quantity"],
            restock_type=entry.get("restockType") or "NO_RESTOCK",
            at=order_inputs.location(
                shop=context.shop, gid=entry["locationId"], field=["refundLineItems", str(index), "locationId"]
            )
            if entry.get("locationId")
            else None,
        )
        for index, entry in enumerate(input.get("refundLineItems") or [])
    ]
    made = refunds.refund(
        shop=context.shop, order_id=order_id, backs=backs, note=input.get("note") or "", now=context.now,
        money=_money(input),
    )  # fmt: skip
    order = order_state.read(order_id=order_id)
    return {"refund": next(row for row in order.refunds.all() if row.pk == made.pk), "order": order}


def _money(given: Json) -> refunds.Money | None:
    transactions = given.get("transactions")
    if transactions is None:
        return None
    amounts = [Decimal(one["amount"]) for one in transactions if one["kind"] == "REFUND"]
    payments = tuple(one["parentId"] for one in transactions if one.get("parentId"))
    return refunds.Money(sum(amounts, Decimal(0)), payments, bool(given.get("allowOverRefunding")))


@mutation("fulfillmentCreate")
def fulfillment_create(context: Any, fulfillment: Json, message: str | None = None) -> Json:
    asked = [
        fulfilling.Asked(
            parse_gid(entry["fulfillmentOrderId"], "FulfillmentOrder"), units_of(entry.get("fulfillmentOrderLineItems"))
        )
        for entry in fulfillment["lineItemsByFulfillmentOrder"]
    ]
    return {"fulfillment": fulfilling.fulfil(shop=context.shop, asked=asked, now=context.now)}


@mutation("fulfillmentCancel")
def fulfillment_cancel(context: Any, id: str) -> Json:
    row_id = parse_gid(id, "Fulfillment")
    return {"fulfillment": fulfilling.cancel(shop=context.shop, fulfillment_id=row_id, now=context.now)}


@mutation("fulfillmentOrderMove")
def fulfillment_order_move(
    context: Any, id: str, newLocationId: str, fulfillmentOrderLineItems: list[Json] | None = None
) -> Json:
    result = moving.move(
        shop=context.shop,
        row_id=parse_gid(id, "FulfillmentOrder"),
        to=order_inputs.location(shop=context.shop, gid=newLocationId, field=["newLocationId"]),
        units=units_of(fulfillmentOrderLineItems),
        now=context.now,
    )
    moved, original = shown(result.moved.pk), shown(result.original.pk)
    rest = original if original.pk != moved.pk and original.status not in order_state.ENDED else None
    return {
        "moved_fulfillment_order": moved,
        "original_fulfillment_order": original,
        "remaining_fulfillment_order": rest,
    }


@mutation("fulfillmentOrdersReroute")
def fulfillment_orders_reroute(
    context: Any,
    fulfillmentOrderIds: list[str],
    excludedLocationIds: list[str] | None = None,
    includedLocationIds: list[str] | None = None,
) -> Json:
    rows = moving.reroute(
        shop=context.shop,
        row_ids=[parse_gid(gid, "FulfillmentOrder") for gid in fulfillmentOrderIds],
        excluded={parse_gid(gid, "Location") for gid in excludedLocationIds or []},
        included={parse_gid(gid, "Location") for gid in includedLocationIds or []},
        now=context.now,
    )
    return {"moved_fulfillment_orders": [shown(row.pk) for row in rows]}


@mutation("fulfillmentOrderLineItemsPreparedForPickup")
def prepared_for_pickup(context: Any, input: Json) -> Json:
    row_ids = [
        parse_gid(entry["fulfillmentOrderId"], "FulfillmentOrder") for entry in input["lineItemsByFulfillmentOrder"]
    ]
    fulfilling.prepare_for_pickup(shop=context.shop, row_ids=row_ids, now=context.now)
    return {}


@mutation("orderEditBegin")
def order_edit_begin(context: Any, id: str) -> Json:
    edit = editing.begin(shop=context.shop, order_id=parse_gid(id, "Order"), now=context.now)
    return {"calculated_order": edit}


def edit_id_of(gid: str) -> int:
    return parse_gid(gid, "CalculatedOrder")


@mutation("orderEditSetQuantity")
def order_edit_set_quantity(
    context: Any, id: str, lineItemId: str, quantity: int, restock: bool | None = None, locationId: str | None = None
) -> Json:
    kind = "LineItem" if "/LineItem/" in lineItemId else "CalculatedLineItem"
    edit, line = editing.set_quantity(
        shop=context.shop,
        edit_id=edit_id_of(id),
        line_id=parse_gid(lineItemId, kind),
        quantity=quantity,
        restocks=bool(restock),
        location_id=parse_gid(locationId, "Location") if locationId else None,
    )
    return {"calculated_order": edit, "calculated_line_item": line}


@mutation("orderEditAddVariant")
def order_edit_add_variant(
    context: Any,
    id: str,
    variantId: str,
    quantity: int,
    allowDuplicates: bool | None = False,
    locationId: str | None = None,
) -> Json:
    edit, line = editing.add_variant(
        shop=context.shop,
        edit_id=edit_id_of(id),
        variant_id=parse_gid(variantId, "ProductVariant"),
        quantity=quantity,
        allows_duplicates=bool(allowDuplicates),
        location_id=parse_gid(locationId, "Location") if locationId else None,
    )
    return {"calculated_order": edit, "calculated_line_item": line}


@mutation("orderEditCommit")
def order_edit_commit(context: Any, id: str, notifyCustomer: bool | None = None, staffNote: str | None = None) -> Json:
    order = editing.commit(shop=context.shop, edit_id=edit_id_of(id), now=context.now)
    return {"order": order, "success_messages": ["Order updated"]}


@mutation("draftOrderCreate")
def draft_order_create(context: Any, input: Json) -> Json:
    lines = order_inputs.lines(
        shop=context.shop, given=input.get("lineItems") or [], field=["lineItems"], price_of=order_inputs.draft_price
    )
    until = order_inputs.moment(input.get("reserveInventoryUntil"))
    return {"draft_order": drafts.create(shop=context.shop, lines=lines, reserve_until=until, now=context.now)}


@mutation("draftOrderComplete")
def draft_order_complete(
    context: Any,
    id: str,
    paymentPending: bool | None = False,
    sourceName: str | None = None,
    paymentGatewayId: str | None = None,
) -> Json:
    draft = drafts.complete(
        shop=context.shop,
        draft_id=parse_gid(id, "DraftOrder"),
        is_pending=bool(paymentPending),
        source_name=sourceName or "",
        now=context.now,
    )
    return {"draft_order": draft}
