"""The operations of the API: each makes one call into a rule and shows what came of it; the checks are done before."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from uuid import UUID

from channels.own import documents, holds, orders, site
from channels.own.api import shapes
from channels.own.api.calls import Call, Json, Operation, Parameter, Reply
from channels.own.api.problems import Problem
from channels.own.models import Scope
from channels.own.orders import Back, Left, LineWish, OrderHead, OrderWish
from inventory import reservations

PAGE_DEFAULT, PAGE_MAX, SKUS_MAX = 100, 500, 100


# --- values in addresses, queries and headers ----------------------------------------------------------------


def _text(pattern: str, words: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(words)
        return value

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch("[0-9]{1,16}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(value)

    return read


def _uuid(value: str) -> UUID:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError("an id as the API gave it")
    return UUID(value)


HOLD_ID = Parameter("hold_id", "path", {"type": "string", "format": "uuid"}, _uuid, "The hold's id.", is_required=True)
ORDER_ID = Parameter(
    "order_id", "path",
    {"type": "string", "minLength": 1, "maxLength": 100, "pattern": shapes.OWN_ID},
    _text(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,99}", "the site's own id"),
    "The site's own id of the order.", is_required=True,
)  # fmt: skip
KEY = Parameter(
    "Idempotency-Key", "header",
    {"type": "string", "minLength": 1, "maxLength": 120, "pattern": "^[!-~]+$", "example": "cart-81-try-1"},
    _text("[!-~]{1,120}", "1 to 120 visible ASCII characters"),
    "Names this request: sent again it is answered again, and nothing is held twice. A refused request may be sent "
    "again under its key.", is_required=True,
)  # fmt: skip
SKUS = Parameter(
    "sku", "query",
    {
        "type": "array", "maxItems": SKUS_MAX,
        "items": {"type": "string", "minLength": 1, "maxLength": 120, "pattern": r"^[^\x00]*[^\x00\s][^\x00]*$"},
    },
    _text(r"(?s)(?=.*\S)[^\x00]{1,120}", "1 to 120 characters"),
    "Only these SKUs; repeat it for more than one.", is_list=True,
)  # fmt: skip
LOCATION = Parameter(
    "location_id", "query", {"type": "integer", "minimum": 1, "maximum": shapes.ID_MAX}, _whole(1, shapes.ID_MAX),
    "Only what is at this location.",
)  # fmt: skip
CURSOR = Parameter(
    "cursor", "query", {"type": "string", "pattern": "^[0-9]{1,15}$"},
    _text("[0-9]{1,15}", "a cursor as the API gave it"),
    "Where the page before ended.",
)  # fmt: skip
LIMIT = Parameter(
    "limit", "query", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    _whole(1, PAGE_MAX), "Variants a page.",
)  # fmt: skip


# --- availability --------------------------------------------------------------------------------------------


def _availability(call: Call) -> Reply:
    caller, values = call.caller, call.values
    # What is over is over before anyone looks, whether it was swept or not.
    reservations.expire_due(now=call.now, merchant_id=caller.merchant_id)
    location_id: int | None = values.get("location_id")
    if location_id is not None and location_id not in {one.pk for one in site.places(site_id=caller.connection_id)}:
        raise Problem("unknown-location", f"This site does not sell from location {location_id}.")
    found, unknown, next_cursor = _offers(call)
    promises = site.promises(site_id=caller.connection_id, variant_ids=[one.variant_id for one in found])
    document = {
        "as_of": documents.moment(call.now),
        "items": [documents.offer(one, location_id=location_id, promises=promises) for one in found],
        "unknown": unknown,
        "next_cursor": next_cursor,
    }
    return Reply(document)


def _offers(call: Call) -> tuple[list[site.Offer], list[str], str | None]:
    """The offers asked for: by SKU, or a page of all."""
    caller, values = call.caller, call.values
    site_id, merchant_id = caller.connection_id, caller.merchant_id
    if skus := list(dict.fromkeys(values.get("sku") or ())):
        asked = [site.Asked(Decimal(1), sku=sku) for sku in skus]
        try:
            found, _ = site.find(site_id=site_id, merchant_id=merchant_id, asked=asked)
            unknown: list[str] = []
        except site.UnknownGoods as error:
            unknown = error.names
            known = [one for one in asked if one.sku not in unknown]
            found, _ = site.find(site_id=site_id, merchant_id=merchant_id, asked=known)
        return list({one.variant_id: one for one in found}.values()), unknown, None
    size = values.get("limit") or PAGE_DEFAULT
    ids = site.page_of_variants(site_id=site_id, after=int(values.get("cursor") or 0), size=size + 1)
    shown = site.offers(site_id=site_id, merchant_id=merchant_id, variant_ids=ids[:size])
    return list(shown.values()), [], str(ids[size - 1]) if len(ids) > size else None


def _locations(call: Call) -> Reply:
    return Reply({"items": [documents.place(one) for one in site.places(site_id=call.caller.connection_id)]})


# --- holds ---------------------------------------------------------------------------------------------------


def _hold(call: Call) -> Reply:
    body: shapes.HoldIn = call.body
    if call.caller.is_paused:
        raise Problem("site-paused", "The shop has paused this site: it promises nothing until it is resumed.")
    wish = holds.HoldWish(
        key=call.values["Idempotency-Key"],
        lines=[line.asked() for line in body.lines],
        ttl=shapes.ttl(body.ttl_s),
        location_id=body.location_id,
        address=body.address.value() if body.address else None,
        reference=body.reference,
    )
    granted = holds.grant(
        site_id=call.caller.connection_id, merchant_id=call.caller.merchant_id, wish=wish, now=call.now
    )
    hold, headers = granted.reservation, {"Location": f"/api/v1/holds/{granted.reservation.public_id}"}
    document = documents.hold(hold, now=call.now, lines=granted.lines)
    if granted.is_new:
        return Reply(document, 201, headers)
    return Reply(document, 200, headers | {"Idempotent-Replayed": "true"})


def _get_hold(call: Call) -> Reply:
    hold = holds.find(site_id=call.caller.connection_id, hold_id=call.values["hold_id"])
    return Reply(documents.hold(hold, now=call.now))


def _extend(call: Call) -> Reply:
    hold = holds.extend(
        site_id=call.caller.connection_id, hold_id=call.values["hold_id"], ttl=shapes.ttl(call.body.ttl_s), now=call.now
    )
    return Reply(documents.hold(hold, now=call.now))


def _release(call: Call) -> Reply:
    hold = holds.release(site_id=call.caller.connection_id, hold_id=call.values["hold_id"], now=call.now)
    return Reply(documents.hold(hold, now=call.now))


def _convert(call: Call) -> Reply:
    body: shapes.ConvertIn = call.body
    order = holds.convert(
        site_id=call.caller.connection_id, hold_id=call.values["hold_id"], order=_head(body, body.order_id),
        now=call.now,
    )  # fmt: skip
    return Reply(documents.order(order), headers={"Location": f"/api/v1/orders/{order.external_id}"})


# --- orders --------------------------------------------------------------------------------------------------


def _head(body: shapes.OrderHeadIn, order_id: str) -> OrderHead:
    return OrderHead(
        order_id=order_id,
        number=body.number,
        placed_at=body.placed_at,
        updated_at=body.updated_at,
        total=Decimal(body.total) if body.total is not None else None,
        currency=body.currency or "",
    )


def _wish(body: shapes.OrderStateIn, order_id: str) -> OrderWish:
    return OrderWish(
        head=_head(body, order_id),
        lines=[
            LineWish(line.line_id, line.asked(), line.fulfilled, line.location_id, line.title) for line in body.lines
        ],
        is_cancelled=body.state == "cancelled",
        address=body.address.value() if body.address else None,
    )


def _create_order(call: Call) -> Reply:
    order, is_new = orders.create(
        site_id=call.caller.connection_id, merchant_id=call.caller.merchant_id,
        wish=_wish(call.body, call.body.order_id), now=call.now,
    )  # fmt: skip
    headers = {"Location": f"/api/v1/orders/{order.external_id}"}
    return Reply(documents.order(order), 201 if is_new else 200, headers)


def _put_order(call: Call) -> Reply:
    order, is_new = orders.put(
        site_id=call.caller.connection_id, merchant_id=call.caller.merchant_id,
        wish=_wish(call.body, call.values["order_id"]), now=call.now,
    )  # fmt: skip
    return Reply(documents.order(order), 201 if is_new else 200)


def _get_order(call: Call) -> Reply:
    return Reply(documents.order(orders.find(site_id=call.caller.connection_id, order_id=call.values["order_id"])))


def _cancel(call: Call) -> Reply:
    order = orders.cancel(site_id=call.caller.connection_id, order_id=call.values["order_id"], now=call.now)
    return Reply(documents.order(order))


def _fulfil(call: Call) -> Reply:
    left = [Left(line.line_id, line.fulfilled) for line in call.body.lines]
    order = orders.fulfil(site_id=call.caller.connection_id, order_id=call.values["order_id"], left=left, now=call.now)
    return Reply(documents.order(order))


def _return(call: Call) -> Reply:
    body: shapes.ReturnIn = call.body
    order = orders.give_back(
        site_id=call.caller.connection_id, order_id=call.values["order_id"], return_id=body.return_id,
        backs=[Back(line.line_id, line.quantity, line.is_restocked, line.location_id) for line in body.lines],
        now=call.now,
    )  # fmt: skip
    return Reply(documents.order(order))


# --- all of them ---------------------------------------------------------------------------------------------

_HOLD_EXAMPLE: Json = {
    "id": "6f9f1f1c-5d0e-4c0b-9d6a-0f5d2a6c8a11", "state": "held", "reference": "cart 81",
    "created_at": "2026-11-28T10:00:00Z", "expires_at": "2026-11-28T10:15:00Z", "ended_at": None, "order_id": None,
    "lines": [{"variant_id": 4711, "sku": "LNO-M-SAND", "location_id": 3, "quantity": 2,
               "promise": {"quantity": 1, "promised_date": "2026-12-05"}}],
}  # fmt: skip
_ORDER_EXAMPLE: Json = {
    "order_id": "1042", "number": "#1042", "state": "open", "placed_at": "2026-11-28T10:12:00Z",
    "updated_at": "2026-11-28T10:12:00Z", "total": "98.00", "currency": "GBP",
    "lines": [{
        "line_id": "1", "variant_id": 4711, "sku": "LNO-M-SAND", "quantity": 2, "fulfilled": 0, "restocked": 0,
        "written_off": 0, "places": [{
            "location_id": 3, "waiting": 2, "fulfilled": 0,
            "promise": {"quantity": 1, "promised_date": "2026-12-05"},
        }],
    }],
}  # fmt: skip
_OFFER_EXAMPLE: Json = {
    "as_of": "2026-11-28T10:00:00Z", "unknown": [], "next_cursor": None,
    "items": [{"variant_id": 4711, "sku": "LNO-M-SAND", "available": 7, "in_stock": 1,
               "locations": [{"location_id": 3, "available": 6, "in_stock": 0, "promise": {
                                  "kind": "backorder", "quantity": 6, "promised_date": "2026-12-12",
                                  "message": "Back before Christmas",
                                  "dates": [{"date": "2026-12-05", "quantity": 4},
                                            {"date": "2026-12-12", "quantity": 2}]}},
                             {"location_id": 4, "available": 1, "in_stock": 1, "promise": None}]}],
}  # fmt: skip
_PLACES_EXAMPLE: Json = {"items": [{"location_id": 3, "name": "High Street", "timezone": "Europe/London"}]}

OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET", "/availability", "getAvailability", "Availability", Scope.AVAILABILITY,
        "What this site may sell now",
        "By SKU, or page by page for all. The number is what the shop's rules leave to this site: safety stock, "
        "buffers and shares are taken off already. Holds past their time do not count. Where a rule lets the site sell "
        "on backorder or pre-order, `available` counts what is on its way too; `promise` says how many of it, and by "
        "which day. Late deliveries and those without a day are not promised.",
        _availability, {200: (shapes.Offers, "What may be sold, judged now.")}, (SKUS, LOCATION, CURSOR, LIMIT),
        problems=("unknown-location",), example=_OFFER_EXAMPLE,
    ),
    Operation(
        "GET", "/locations", "getLocations", "Availability", Scope.AVAILABILITY, "Where this site sells from",
        "In the order in which a place is chosen where a hold names none.",
        _locations, {200: (shapes.Locations, "The locations.")}, example=_PLACES_EXAMPLE,
    ),
    Operation(
        "POST", "/holds", "createHold", "Holds", Scope.HOLDS_WRITE, "Hold units for a while",
        "All lines are held at one place, or nothing is. Two lines for the same thing are judged together. The units "
        "are gone from every other channel at once, and come back when the time is over. Of units that are sold before "
        "they are there, `promise` says how many and by which day; the order that the hold becomes carries it on.",
        _hold, {201: (shapes.Hold, "Held."), 200: (shapes.Hold, "Held before, under the same key.")}, (KEY,),
        shapes.HoldIn,
        ("insufficient-stock", "whole-units-only", "key-reused", "unknown-goods", "unknown-location", "site-paused"),
        _HOLD_EXAMPLE,
    ),
    Operation(
        "GET", "/holds/{hold_id}", "getHold", "Holds", Scope.HOLDS_READ, "Look at a hold",
        "Its state is judged now: a hold past its time is `expired`, whether it was swept or not.",
        _get_hold, {200: (shapes.Hold, "The hold.")}, (HOLD_ID,), problems=("not-found",), example=_HOLD_EXAMPLE,
    ),
    Operation(
        "POST", "/holds/{hold_id}/extend", "extendHold", "Holds", Scope.HOLDS_WRITE, "Hold on",
        "It ends so many seconds from now. A hold that has ended cannot be had back: its units may be somebody else's.",
        _extend, {200: (shapes.Hold, "Held on.")}, (HOLD_ID,), shapes.ExtendIn, ("hold-ended", "not-found"),
        _HOLD_EXAMPLE,
    ),
    Operation(
        "POST", "/holds/{hold_id}/release", "releaseHold", "Holds", Scope.HOLDS_WRITE, "Let go of a hold",
        "Its units are free at once. One that has ended stays as it ended.",
        _release, {200: (shapes.Hold, "As it is now.")}, (HOLD_ID,), problems=("not-found",),
        example=_HOLD_EXAMPLE | {"state": "released", "ended_at": "2026-11-28T10:03:00Z"},
    ),
    Operation(
        "POST", "/holds/{hold_id}/convert", "convertHold", "Holds", Scope.ORDERS_WRITE, "Make the order of a hold",
        "Its units are the order's in the same instant. Sent again with the same order id it is answered again.",
        _convert, {200: (shapes.Order, "The order.")}, (HOLD_ID,), shapes.ConvertIn,
        ("hold-ended", "order-exists", "not-found"), _ORDER_EXAMPLE,
    ),
    Operation(
        "POST", "/orders", "createOrder", "Orders", Scope.ORDERS_WRITE, "Send a new order",
        "A sale is a fact: it is recorded even where there is not enough, and somebody at the shop is told. Known by "
        "the site's own id: the same order again changes nothing. Of units that are sold before they are there, "
        "`promise` says how many and by which day, as a hold does; units beyond what may be promised have no day.",
        _create_order,
        {201: (shapes.Order, "Recorded."), 200: (shapes.Order, "Recorded before.")}, (), shapes.OrderIn,
        ("order-exists", "order-impossible", "unknown-goods", "unknown-location"), _ORDER_EXAMPLE,
    ),
    Operation(
        "GET", "/orders/{order_id}", "getOrder", "Orders", Scope.ORDERS_READ, "Look at an order", "As we have it.",
        _get_order, {200: (shapes.Order, "The order.")}, (ORDER_ID,), problems=("not-found",), example=_ORDER_EXAMPLE,
    ),
    Operation(
        "PUT", "/orders/{order_id}", "putOrder", "Orders", Scope.ORDERS_WRITE, "Send an order as it stands now",
        "The whole of it: lines that are not named are gone from the order, and their units are free. Only the "
        "difference is posted, so that sending it twice changes nothing. A line that grows gets more where it waits, "
        "as far as there are more; the rest leaves from where a new line's would, with its days.",
        _put_order, {200: (shapes.Order, "As we have it now."), 201: (shapes.Order, "It was new.")}, (ORDER_ID,),
        shapes.OrderStateIn, ("order-stale", "order-impossible", "unknown-goods", "unknown-location"), _ORDER_EXAMPLE,
    ),
    Operation(
        "POST", "/orders/{order_id}/cancel", "cancelOrder", "Orders", Scope.ORDERS_WRITE, "Cancel an order",
        "What has not left is free again. What has left comes back by a return.",
        _cancel, {200: (shapes.Order, "As we have it now.")}, (ORDER_ID,), problems=("not-found", "order-impossible"),
        example=_ORDER_EXAMPLE | {"state": "cancelled"},
    ),
    Operation(
        "POST", "/orders/{order_id}/fulfil", "fulfilOrder", "Orders", Scope.ORDERS_WRITE, "Say what has left",
        "Totals so far, not steps: sending it twice changes nothing. Without lines, everything has left.",
        _fulfil, {200: (shapes.Order, "As we have it now.")}, (ORDER_ID,), shapes.FulfilIn,
        ("not-found", "order-impossible"), _ORDER_EXAMPLE | {"state": "fulfilled"},
    ),
    Operation(
        "POST", "/orders/{order_id}/returns", "returnOrder", "Orders", Scope.ORDERS_WRITE, "Say what came back",
        "What this one return gives back, in all; known by its own id. Restocked and written off together are never "
        "more than what left.",
        _return, {200: (shapes.Order, "As we have it now.")}, (ORDER_ID,), shapes.ReturnIn,
        ("not-found", "order-impossible", "unknown-location"), _ORDER_EXAMPLE,
    ),
)  # fmt: skip
