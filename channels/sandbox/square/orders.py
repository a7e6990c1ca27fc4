"""The Orders API."""

import copy
import re
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from channels.sandbox.square import events, payment_rules, pricing
from channels.sandbox.square import order_rules as rules
from channels.sandbox.square.errors import SquareError, invalid, missing
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.idempotency import claim, once
from channels.sandbox.square.models import Order
from channels.sandbox.square.paging import make_cursor, read_cursor, read_limit, without_cursor
from channels.sandbox.square.values import Json, read_time

READ, WRITE = ("ORDERS_READ",), ("ORDERS_WRITE",)
KEY_CHARS = 192
LOCATIONS_MAX = 10
BATCH_MAX = 100
SORT_COLUMNS = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "CLOSED_AT": "closed_at"}
FULFILLMENT_MOVES = {
    "PROPOSED": {"RESERVED", "PREPARED", "COMPLETED", "CANCELED", "FAILED"},
    "RESERVED": {"PREPARED", "COMPLETED", "CANCELED", "FAILED"},
    "PREPARED": {"COMPLETED", "CANCELED", "FAILED"},
}
UPDATE_TAKES = {"order": "object", "fields_to_clear": "texts", "order.state": "text"}
SEARCH_TAKES = {
    "location_ids": "texts",
    "query": "object",
    "query.sort": "object",
    "query.sort.sort_field": "text",
    "query.filter": "object",
    "query.filter.date_time_filter": "object",
    "query.filter.date_time_filter.created_at": "object",
    "query.filter.date_time_filter.updated_at": "object",
    "query.filter.date_time_filter.closed_at": "object",
    "query.filter.state_filter": "object",
    "query.filter.state_filter.states": "texts",
    "query.filter.source_filter": "object",
    "query.filter.source_filter.source_names": "texts",
    "query.filter.customer_filter": "object",
    "query.filter.customer_filter.customer_ids": "texts",
    "query.filter.fulfillment_filter": "object",
    "query.filter.fulfillment_filter.fulfillment_types": "texts",
    "query.filter.fulfillment_filter.fulfillment_states": "texts",
}
CLEARABLE = re.compile(r"(\w+)(?:\[([^\]]+)\])?(?:\.(\w+))?")


@endpoint(operation="orders.create", scopes=WRITE, takes={"order": "object"})
def create(*, call: Call) -> Json:
    def work() -> Json:
        given = call.body.get("order")
        location_id, body = rules.draft(account=call.account, given=given)
        state = (given or {}).get("state", "OPEN")
        if state not in ("OPEN", "DRAFT"):
            raise invalid("order.state", "An order is created OPEN or DRAFT.")
        order = rules.create(account=call.account, location_id=location_id, body=body, state=state, now=call.now)
        if body.get("returns") and state == "OPEN":
            payment_rules.refund_returns(order=order, now=call.now)
        return {"order": rules.print_order(order)}

    return once(call=call, operation="orders.create", chars_max=KEY_CHARS, work=work, required=False)


@endpoint(operation="orders.get", scopes=READ)
def retrieve(*, call: Call, order_id: str) -> Json:
    return {"order": rules.print_order(rules.find(account=call.account, order_id=order_id))}


@endpoint(operation="orders.batch_get", scopes=READ, takes={"order_ids": "texts"})
def batch_retrieve(*, call: Call) -> Json:
    """Orders by id; ids that name nothing are passed over."""
    ids = call.body.get("order_ids")
    if not isinstance(ids, list) or not ids:
        raise missing("order_ids")
    if len(ids) > BATCH_MAX:
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {BATCH_MAX}.", field="order_ids")
    rows = Order.objects.filter(account=call.account, pk__in=ids)
    if call.body.get("location_id"):
        rows = rows.filter(location_id=call.body["location_id"])
    return {"orders": [rules.print_order(row) for row in rows.order_by("created_at", "pk")]}


@endpoint(operation="orders.update", scopes=WRITE, takes=UPDATE_TAKES)
def update(*, call: Call, order_id: str) -> Json:
    """A sparse change of an OPEN or DRAFT order.

    Unlike elsewhere, a used key gives the stored order and drops the change, whatever it asks.
    """
    order = rules.find(account=call.account, order_id=order_id, is_for_change=True)
    key = call.body.get("idempotency_key")
    if key:
        used, is_new = claim(call=call, operation="orders.update", chars_max=KEY_CHARS, key=key)
        if not is_new:
            return {"order": rules.print_order(order)}
        used.reply = {}
        used.save(update_fields=["reply"])
    given = call.body.get("order") or {}
    rules.check_kinds(given, account=call.account, field="order")
    rules.check_version(order, given=given.get("version"), field="order.version")
    if order.state not in ("OPEN", "DRAFT"):
        raise SquareError(code="BAD_REQUEST", detail=f"The order is {order.state}.", field="order.state")
    before = {entry["uid"]: entry["state"] for entry in order.data.get("fulfillments") or []}
    clear(order.data, paths=call.body.get("fields_to_clear") or [])
    merge(order.data, given=given)
    rules.complete(order.data, account=call.account, location_id=order.location_id)
    moves = fulfillment_moves(order, before=before)
    change_state(order, wanted=given.get("state", order.state), now=call.now)
    if moves:
        events.fulfillment_changed(order=order, changes=moves)
    return {"order": rules.print_order(order)}


def clear(body: Json, *, paths: list[str]) -> None:
    """Remove `name`, `list[uid]` or `list[uid].name`."""
    for path in paths:
        parts = CLEARABLE.fullmatch(path)
        if parts is None or parts[1] not in rules.WRITABLE:
            raise invalid("fields_to_clear", f"`{path}` cannot be cleared.")
        name, of, inner = parts.groups()
        if of is None:
            body.pop(name, None)
        elif inner is None:
            body[name] = [entry for entry in body.get(name) or [] if entry.get("uid") != of]
        else:
            for entry in body.get(name) or []:
                if entry.get("uid") == of:
                    entry.pop(inner, None)


def merge(body: Json, *, given: Json) -> None:
    """Lay a sparse order over a stored one: lists merge by uid, other fields are replaced."""
    for name in rules.WRITABLE:
        if name not in given or name == "returns":
            continue
        if not isinstance(given[name], list):
            body[name] = given[name]
            continue
        entries = body.setdefault(name, [])
        by_uid = {entry.get("uid"): entry for entry in entries}
        for entry in given[name]:
            known = by_uid.get(entry.get("uid")) if entry.get("uid") else None
            if known is None:
                entries.append(entry)
            else:
                known.update(entry)


def fulfillment_moves(order: Order, *, before: dict[str, str]) -> list[Json]:
    """The fulfillment states this update changed. Raises SquareError for a step that cannot be taken."""
    moves = []
    for entry in order.data.get("fulfillments") or []:
        old, new = before.get(entry["uid"]), entry["state"]
        if old is None or old == new:
            continue
        if new not in FULFILLMENT_MOVES.get(old, set()):
            raise invalid("order.fulfillments.state", f"Cannot go from {old} to {new}.")
        moves.append({"fulfillment_uid": entry["uid"], "old_state": old, "new_state": new})
    return moves


def change_state(order: Order, *, wanted: str, now: datetime) -> None:
    """OPEN, CANCELED while nothing is paid, COMPLETED once nothing is due; saves the order."""
    is_paid = bool(order.data.get("tenders")) or order.has_moved_stock
    if wanted == "CANCELED":
        if is_paid:
            raise SquareError(code="BAD_REQUEST", detail="A paid order cannot be canceled.", field="order.state")
        order.state = wanted
        for entry in order.data.get("fulfillments") or []:
            entry["state"] = entry["state"] if entry["state"] in rules.FULFILLMENT_ENDS else "CANCELED"
    elif wanted == "COMPLETED":
        if not order.has_moved_stock or pricing.cents(order.data["net_amount_due_money"]):
            raise SquareError(code="BAD_REQUEST", detail="The order is not paid.", field="order.state")
        order.state = wanted
    elif wanted in ("OPEN", "DRAFT") and not (wanted == "DRAFT" and order.state == "OPEN"):
        order.state = wanted
        if order.has_moved_stock:
            rules.settle(order=order, now=now)
            return
    else:
        raise SquareError(code="INVALID_ENUM_VALUE", detail="Not a state to go to.", field="order.state")
    rules.save(order=order, now=now)


@endpoint(operation="orders.pay", scopes=("PAYMENTS_WRITE", "ORDERS_WRITE"), takes={"payment_ids": "texts"})
def pay(*, call: Call, order_id: str) -> Json:
    """Collect approved payments that make up the whole total; none at all for a total of 0."""

    def work() -> Json:
        order = rules.find(account=call.account, order_id=order_id, is_for_change=True)
        if call.body.get("order_version") is not None:
            rules.check_version(order, given=call.body["order_version"], field="order_version")
        payment_rules.pay_order(order=order, payment_ids=call.body.get("payment_ids") or [], now=call.now)
        return {"order": rules.print_order(order)}

    return once(call=call, operation="orders.pay", chars_max=KEY_CHARS, work=work)


@endpoint(operation="orders.calculate", scopes=READ)
def calculate(*, call: Call) -> Json:
    """The sums of an order that is not written."""
    location_id, body = rules.draft(account=call.account, given=copy.deepcopy(call.body.get("order")))
    return {"order": {"location_id": location_id, "state": "OPEN", "version": 1} | body}


@endpoint(operation="orders.clone", scopes=WRITE)
def clone(*, call: Call) -> Json:
    """A DRAFT with the lines of another order, at no payment and no fulfillment."""

    def work() -> Json:
        source = rules.find(account=call.account, order_id=call.body.get("order_id"))
        if call.body.get("version") is not None:
            rules.check_version(source, given=call.body["version"], field="version")
        kept = {name: source.data[name] for name in rules.WRITABLE if name in source.data}
        body = {name: kept[name] for name in kept if name not in ("returns", "fulfillments")}
        body["location_id"] = source.location_id
        location_id, body = rules.draft(account=call.account, given=body)
        order = rules.create(account=call.account, location_id=location_id, body=body, state="DRAFT", now=call.now)
        return {"order": rules.print_order(order)}

    return once(call=call, operation="orders.clone", chars_max=KEY_CHARS, work=work, required=False)


@endpoint(operation="orders.search", scopes=READ, takes=SEARCH_TAKES)
def search(*, call: Call) -> Json:
    """Newest first by creation unless sorted otherwise; a time filter must be sorted by its own time."""
    body = call.body
    places = body.get("location_ids")
    if not isinstance(places, list) or not places:
        raise missing("location_ids")
    if len(places) > LOCATIONS_MAX:
        detail = f"At most {LOCATIONS_MAX} locations."
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=detail, field="location_ids")
    query = body.get("query") or {}
    sort = query.get("sort") or {}
    field = sort.get("sort_field", "CREATED_AT")
    if field not in SORT_COLUMNS:
        raise SquareError(code="INVALID_SORT_ORDER", detail="Not a sort field.", field="query.sort.sort_field")
    rows = Order.objects.filter(account=call.account, location_id__in=places)
    rows = filter_orders(rows, wanted=query.get("filter") or {}, sort_field=field)
    limit = read_limit(body.get("limit"), default=500, top=1000)
    is_ascending = sort.get("sort_order", "DESC") == "ASC"
    page, cursor = take_page(call=call, rows=rows, column=SORT_COLUMNS[field], is_ascending=is_ascending, limit=limit)
    if body.get("return_entries"):
        entries = [{"order_id": row.order_id, "version": row.version, "location_id": row.location_id} for row in page]
        return {"order_entries": entries} | cursor
    return {"orders": [rules.print_order(row) for row in page]} | cursor


def filter_orders(rows: QuerySet[Order], *, wanted: Json, sort_field: str) -> QuerySet[Order]:
    times = wanted.get("date_time_filter") or {}
    if len(times) > 1:
        detail = "Only one of created_at, updated_at and closed_at may be filtered by."
        raise SquareError(code="CONFLICTING_PARAMETERS", detail=detail, field="query.filter.date_time_filter")
    for name, span in ((name, span) for name, span in times.items() if span):
        if name.upper() != sort_field:
            detail = f"Filtering by {name} needs sort_field {name.upper()}."
            raise SquareError(code="CONFLICTING_PARAMETERS", detail=detail, field="query.sort.sort_field")
        for end, lookup in (("start_at", "gte"), ("end_at", "lte")):
            if span.get(end):
                at = read_time(span[end], field=f"query.filter.date_time_filter.{name}.{end}")
                rows = rows.filter(**{f"{name}__{lookup}": at})
    states = (wanted.get("state_filter") or {}).get("states")
    if states:
        rows = rows.filter(state__in=states)
    names = (wanted.get("source_filter") or {}).get("source_names")
    if names:
        rows = rows.filter(data__source__name__in=names)
    customers = (wanted.get("customer_filter") or {}).get("customer_ids")
    if customers:
        rows = rows.filter(data__customer_id__in=customers)
    return filter_fulfillments(rows, wanted=wanted.get("fulfillment_filter") or {})


def filter_fulfillments(rows: QuerySet[Order], *, wanted: Json) -> QuerySet[Order]:
    for plural, name in (("fulfillment_types", "type"), ("fulfillment_states", "state")):
        some = Q()
        for value in wanted.get(plural) or []:
            some |= Q(data__fulfillments__contains=[{name: value}])
        rows = rows.filter(some)
    return rows


def take_page(
    *, call: Call, rows: QuerySet[Order], column: str, is_ascending: bool, limit: int
) -> tuple[list[Order], Json]:
    query = without_cursor(call.body)
    place: list[Any] | None = read_cursor(call.body.get("cursor"), query=query, now=call.now)
    way = "gt" if is_ascending else "lt"
    rows = rows.filter(**{f"{column}__isnull": False})
    if place is not None:
        at = datetime.fromisoformat(place[0])
        rows = rows.filter(Q(**{f"{column}__{way}": at}) | Q(**{column: at, f"pk__{way}": place[1]}))
    order = (F(column).asc(), F("pk").asc()) if is_ascending else (F(column).desc(), F("pk").desc())
    page = list(rows.order_by(*order)[: limit + 1])
    if len(page) <= limit:
        return page, {}
    last = page[limit - 1]
    cursor = make_cursor(place=[getattr(last, column).isoformat(), last.pk], query=query, now=call.now)
    return page[:limit], {"cursor": cursor}
