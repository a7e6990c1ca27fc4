"""The Inventory API as of 2026-07-15: adjustments name both locations, and transfers are adjustments."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db.models import F, Q, QuerySet

from channels.sandbox.square import shapes, stock
from channels.sandbox.square.errors import SquareError, invalid, missing, not_found
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.idempotency import once
from channels.sandbox.square.models import CatalogObject, InventoryChange, InventoryCount, Location
from channels.sandbox.square.paging import make_cursor, read_cursor, read_limit, without_cursor
from channels.sandbox.square.values import Json, read_quantity, read_time, to_ms, upper_id

CHANGES_MAX = 100
IDS_MAX = 1000
AGE_MAX = timedelta(hours=24)
CLOCK_SKEW = timedelta(seconds=5)  # how far ahead a caller's clock may be before its time is "in the future"
ALLOWED_MOVES = {
    ("NONE", "IN_STOCK"),
    ("IN_STOCK", "SOLD"),
    ("IN_STOCK", "WASTE"),
    ("UNLINKED_RETURN", "IN_STOCK"),
    ("UNLINKED_RETURN", "WASTE"),
}
TRANSFER = ("IN_STOCK", "IN_STOCK")
FILTERS = {
    "catalog_object_ids": "texts",
    "location_ids": "texts",
    "states": "texts",
    "types": "texts",
    "sort": "object",
}
TEXTS = dict.fromkeys(
    ("catalog_object_id", "location_id", "state", "from_state", "to_state", "from_location_id",
     "to_location_id", "reference_id"), "text",
)  # fmt: skip
CHANGE_TYPES = ("ADJUSTMENT", "PHYSICAL_COUNT")


@endpoint(operation="inventory.batch_create_changes", scopes=("INVENTORY_WRITE",))
def batch_create_changes(*, call: Call) -> Json:
    """All changes or none."""

    def work() -> Json:
        rows = read_changes(call=call)
        posted = stock.post(
            account=call.account,
            changes=rows,
            now=call.now,
            drops_unchanged=call.body.get("ignore_unchanged_counts") is not False,
        )
        return {
            "counts": [stock.print_count(row) for row in posted.counts],
            "changes": [stock.print_change(row) for row in posted.changes],
        }

    return once(call=call, operation="inventory.batch_create_changes", chars_max=128, work=work)


def read_changes(*, call: Call) -> list[InventoryChange]:
    """The rows a batch asks for, checked, not yet written. Raises SquareError naming the entry."""
    given = call.body.get("changes")
    if not isinstance(given, list) or not given:
        raise missing("changes")
    if len(given) > CHANGES_MAX:
        detail = f"A request takes at most {CHANGES_MAX} changes."
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=detail, field="changes")
    bodies = [read_change_kind(entry, field=f"changes[{n}]") for n, entry in enumerate(given)]
    known = variations_of(call=call, ids=[str(body.get("catalog_object_id")) for _, body, _ in bodies])
    places = set(Location.objects.filter(account=call.account).values_list("pk", flat=True))
    rows = []
    for kind, body, field in bodies:
        variation = known.get(str(body.get("catalog_object_id") or ""))
        if variation is None:
            detail = f"Item variation `{body.get('catalog_object_id')}` not found."
            raise not_found(detail, f"{field}.catalog_object_id")
        if kind == "ADJUSTMENT":
            check_adjustment(body, places=places, field=field)
        else:
            check_count(body, places=places, field=field)
        rows.append(make_row(call=call, kind=kind, body=body, variation=variation, field=field))
    return rows


def read_change_kind(entry: object, *, field: str) -> tuple[str, Json, str]:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "TRANSFER":
        raise invalid(f"{field}.type", "TRANSFER is retired; use an ADJUSTMENT between two locations.")
    if not isinstance(entry, dict) or kind not in CHANGE_TYPES:
        detail = "Expected ADJUSTMENT or PHYSICAL_COUNT."
        raise SquareError(code="INVALID_ENUM_VALUE", detail=detail, field=f"{field}.type")
    name = str(kind).lower()
    body = entry.get(name)
    if not isinstance(body, dict):
        raise missing(f"{field}.{name}")
    shapes.check(body, TEXTS, field=f"{field}.{name}")
    return str(kind), body, f"{field}.{name}"


def variations_of(*, call: Call, ids: list[str]) -> dict[str, CatalogObject]:
    rows = CatalogObject.objects.filter(
        account=call.account, object_id__in=set(ids), type="ITEM_VARIATION", is_deleted=False
    )
    return {row.object_id: row for row in rows}


def check_adjustment(body: Json, *, places: set[str], field: str) -> None:
    """States and places of a move. The code of an illegal move is not established."""
    if "location_id" in body:
        detail = "`location_id` is retired; use `from_location_id` and `to_location_id`."
        raise SquareError(code="UNKNOWN_BODY_PARAMETER", detail=detail, field=f"{field}.location_id")
    for end in ("from_state", "to_state", "from_location_id", "to_location_id"):
        if not body.get(end):
            raise missing(f"{field}.{end}")
    for end in ("from_location_id", "to_location_id"):
        if body[end] not in places:
            raise not_found(f"Location `{body[end]}` not found.", f"{field}.{end}")
    move = (body["from_state"], body["to_state"])
    is_elsewhere = body["from_location_id"] != body["to_location_id"]
    if not (move == TRANSFER if is_elsewhere else move in ALLOWED_MOVES):
        detail = f"Cannot move from {move[0]} to {move[1]}{' at another location' if is_elsewhere else ''}."
        raise invalid(field, detail)


def check_count(body: Json, *, places: set[str], field: str) -> None:
    if not body.get("location_id"):
        raise missing(f"{field}.location_id")
    if body["location_id"] not in places:
        raise not_found(f"Location `{body['location_id']}` not found.", f"{field}.location_id")
    if not body.get("state"):
        raise missing(f"{field}.state")
    if body["state"] not in stock.COUNTED:
        raise invalid(f"{field}.state", f"Cannot count the state {body['state']}.")


def make_row(*, call: Call, kind: str, body: Json, variation: CatalogObject, field: str) -> InventoryChange:
    takes_fractions = bool(variation.data.get("item_variation_data", {}).get("measurement_unit_id"))
    quantity = read_quantity(body.get("quantity"), field=f"{field}.quantity", takes_fractions=takes_fractions)
    if quantity < 0 or (quantity == 0 and kind == "ADJUSTMENT"):
        raise SquareError(code="VALUE_TOO_LOW", detail="Must be positive.", field=f"{field}.quantity")
    is_count = kind == "PHYSICAL_COUNT"
    reference = body.get("reference_id") or ""
    if len(reference) > 255:
        raise SquareError(code="VALUE_TOO_LONG", detail="At most 255 characters.", field=f"{field}.reference_id")
    return InventoryChange(
        change_id=upper_id(),
        account=call.account,
        type=kind,
        catalog_object_id=variation.object_id,
        from_state="" if is_count else body["from_state"],
        to_state=body["state"] if is_count else body["to_state"],
        from_location_id="" if is_count else body["from_location_id"],
        to_location_id=body["location_id"] if is_count else body["to_location_id"],
        quantity=quantity,
        occurred_at=read_occurred_at(body.get("occurred_at"), now=call.now, field=f"{field}.occurred_at"),
        created_at=call.now,
        reference_id=reference,
        source={
            "product": call.token.product,
            "application_id": call.token.application_id or call.account.application_id,
            "name": call.token.application_name or call.account.name,
        },
        extra={name: body[name] for name in ("team_member_id", "employee_id", "reason_id") if body.get(name)},
    )


def read_occurred_at(value: object, *, now: datetime, field: str) -> datetime:
    """Required, not in the future, not older than a day."""
    if value is None:
        raise missing(field)
    moment = read_time(value, field=field)
    if moment > now + CLOCK_SKEW:
        raise SquareError(code="INVALID_TIME", detail="Must not be in the future.", field=field)
    if moment < now - AGE_MAX:
        raise SquareError(code="INVALID_TIME", detail="Must not be older than 24 hours.", field=field)
    return to_ms(moment)


@endpoint(operation="inventory.batch_get_counts", scopes=("INVENTORY_READ",), takes=FILTERS)
def batch_get_counts(*, call: Call) -> Json:
    """Newest calculation first. A cell nothing ever touched has no row, and none is made up."""
    rows = filter_counts(call=call)
    if call.body.get("updated_after"):
        after = read_time(call.body["updated_after"], field="updated_after")
        rows = rows.filter(calculated_at__gt=after)
    if call.body.get("states"):
        rows = rows.filter(state__in=call.body["states"])
    return page_counts(call=call, rows=rows, query=without_cursor(call.body), cursor=call.body.get("cursor"))


def filter_counts(*, call: Call) -> QuerySet[InventoryCount]:
    rows = InventoryCount.objects.filter(account=call.account)
    for name in ("catalog_object_ids", "location_ids"):
        wanted = read_ids(call.body.get(name), field=name)
        if wanted:
            rows = rows.filter(**{name.removesuffix("s") + "__in": wanted})
    return rows


def read_ids(value: object, *, field: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise SquareError(code="EXPECTED_ARRAY", detail="Expected an array of ids.", field=field)
    if len(value) > IDS_MAX:
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {IDS_MAX} ids.", field=field)
    return value


def page_counts(*, call: Call, rows: QuerySet[InventoryCount], query: Json, cursor: object) -> Json:
    limit = read_limit(query.get("limit"), default=100, top=1000)
    place = read_cursor(cursor, query=query, now=call.now)
    if place is not None:
        at = datetime.fromisoformat(place[0])
        rows = rows.filter(Q(calculated_at__lt=at) | Q(calculated_at=at, pk__gt=place[1]))
    page = list(rows.order_by(F("calculated_at").desc(), "pk")[: limit + 1])
    reply: Json = {"counts": [stock.print_count(row) for row in page[:limit]]}
    if len(page) > limit:
        last = page[limit - 1]
        place = [last.calculated_at.isoformat(), last.pk]
        reply["cursor"] = make_cursor(place=place, query=query, now=call.now)
    return reply


@endpoint(operation="inventory.get", scopes=("INVENTORY_READ",))
def get_counts(*, call: Call, catalog_object_id: str) -> Json:
    check_exists(call=call, ids=[catalog_object_id])
    rows = InventoryCount.objects.filter(account=call.account, catalog_object_id=catalog_object_id)
    places = [place for place in call.query.get("location_ids", "").split(",") if place]
    if places:
        rows = rows.filter(location_id__in=places)
    query: Json = {"id": catalog_object_id, "places": places}
    return page_counts(call=call, rows=rows, query=query, cursor=call.query.get("cursor"))


def check_exists(*, call: Call, ids: Iterable[str]) -> None:
    for object_id in ids:
        if not CatalogObject.objects.filter(account=call.account, object_id=object_id).exists():
            raise not_found(f"Catalog object `{object_id}` not found.")


@endpoint(operation="inventory.batch_get_changes", scopes=("INVENTORY_READ",), takes=FILTERS)
def batch_get_changes(*, call: Call) -> Json:
    """The history, oldest first by `occurred_at` unless `sort` says otherwise."""
    body = call.body
    rows = InventoryChange.objects.filter(account=call.account)
    objects = read_ids(body.get("catalog_object_ids"), field="catalog_object_ids")
    places = read_ids(body.get("location_ids"), field="location_ids")
    if objects:
        rows = rows.filter(catalog_object_id__in=objects)
    if places:
        rows = rows.filter(Q(to_location_id__in=places) | Q(from_location_id__in=places))
    if body.get("types"):
        rows = rows.filter(type__in=body["types"])
    if body.get("states"):
        rows = rows.filter(Q(to_state__in=body["states"]) | Q(from_state__in=body["states"]))
    for name, lookup in (("updated_after", "created_at__gt"), ("updated_before", "created_at__lt")):
        if body.get(name):
            rows = rows.filter(**{lookup: read_time(body[name], field=name)})
    return page_changes(call=call, rows=rows, query=without_cursor(body), cursor=body.get("cursor"))


def page_changes(*, call: Call, rows: QuerySet[InventoryChange], query: Json, cursor: object) -> Json:
    limit = read_limit(query.get("limit"), default=100, top=1000)
    is_descending = (query.get("sort") or {}).get("order") == "DESC"
    place = read_cursor(cursor, query=query, now=call.now)
    if place is not None:
        at, way = datetime.fromisoformat(place[0]), "lt" if is_descending else "gt"
        further = Q(**{f"occurred_at__{way}": at})
        rows = rows.filter(further | Q(occurred_at=at, **{f"pk__{way}": place[1]}))
    order = ("-occurred_at", "-pk") if is_descending else ("occurred_at", "pk")
    page = list(rows.order_by(*order)[: limit + 1])
    reply: Json = {"changes": [stock.print_change(row) for row in page[:limit]]}
    if len(page) > limit:
        last = page[limit - 1]
        place = [last.occurred_at.astimezone(UTC).isoformat(), last.pk]
        reply["cursor"] = make_cursor(place=place, query=query, now=call.now)
    return reply


@endpoint(operation="inventory.changes", scopes=("INVENTORY_READ",))
def get_changes(*, call: Call, catalog_object_id: str) -> Json:
    check_exists(call=call, ids=[catalog_object_id])
    rows = InventoryChange.objects.filter(account=call.account, catalog_object_id=catalog_object_id)
    query: Json = {"id": catalog_object_id}
    return page_changes(call=call, rows=rows, query=query, cursor=call.query.get("cursor"))


def find_change(*, call: Call, kind: str, change_id: str) -> InventoryChange:
    row = InventoryChange.objects.filter(account=call.account, type=kind, change_id=change_id).first()
    if row is None:
        raise not_found(f"No inventory change has the id `{change_id}`.")
    return row


@endpoint(operation="inventory.get_adjustment", scopes=("INVENTORY_READ",))
def get_adjustment(*, call: Call, adjustment_id: str) -> Json:
    row = find_change(call=call, kind="ADJUSTMENT", change_id=adjustment_id)
    return {"adjustment": stock.print_change(row)["adjustment"]}


@endpoint(operation="inventory.get_physical_count", scopes=("INVENTORY_READ",))
def get_physical_count(*, call: Call, physical_count_id: str) -> Json:
    row = find_change(call=call, kind="PHYSICAL_COUNT", change_id=physical_count_id)
    return {"count": stock.print_change(row)["physical_count"]}
