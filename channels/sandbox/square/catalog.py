"""The Catalog API."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from channels.sandbox import faults
from channels.sandbox.models import Fault
from channels.sandbox.square import catalog_store as store
from channels.sandbox.square import errors, events
from channels.sandbox.square.errors import SquareError, invalid, missing, not_found
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.idempotency import once
from channels.sandbox.square.models import CatalogObject
from channels.sandbox.square.paging import make_cursor, read_cursor, read_limit, without_cursor
from channels.sandbox.square.values import Json, read_time, stamp

BATCH_MAX, TOTAL_MAX, RETRIEVE_MAX, SEARCH_MAX, DELETE_MAX, LIST_PAGE = 1000, 10_000, 1000, 1000, 200, 100
READ, WRITE = ("ITEMS_READ",), ("ITEMS_WRITE",)
LIMITS = {
    "batch_upsert_max_objects_per_batch": BATCH_MAX,
    "batch_upsert_max_total_objects": TOTAL_MAX,
    "batch_retrieve_max_object_ids": RETRIEVE_MAX,
    "search_max_page_limit": SEARCH_MAX,
    "batch_delete_max_object_ids": DELETE_MAX,
    "update_item_taxes_max_item_ids": 1000,
    "update_item_taxes_max_taxes_to_enable": 1000,
    "update_item_taxes_max_taxes_to_disable": 1000,
    "update_item_modifier_lists_max_item_ids": 1000,
    "update_item_modifier_lists_max_modifier_lists_to_enable": 1000,
    "update_item_modifier_lists_max_modifier_lists_to_disable": 1000,
}
SEARCH_TAKES = {
    "object_types": "texts",
    "query": "object",
    "query.exact_query": "object",
    "query.set_query": "object",
    "query.set_query.attribute_values": "texts",
    "query.prefix_query": "object",
    "query.sorted_attribute_query": "object",
    "query.text_query": "object",
    "query.text_query.keywords": "texts",
}
ITEMS_TAKES = {"text_filter": "text", "category_ids": "texts", "product_types": "texts"}
# Attributes a query may name, as columns of the object's row.
ATTRIBUTES = {"name": "name", "sku": "sku", "upc": "upc", "item_id": "item_id"}
TEXT_ATTRIBUTES = ("name", "sku", "upc")


@endpoint(operation="catalog.info", scopes=READ)
def info(*, call: Call) -> Json:
    return {"limits": LIMITS}


@endpoint(operation="catalog.list", scopes=READ)
def list_objects(*, call: Call) -> Json:
    """What is not deleted, 100 a page."""
    types = [name.strip().upper() for name in call.query.get("types", "").split(",") if name.strip()]
    check_types(types, field="types")
    rows = CatalogObject.objects.filter(account=call.account, is_deleted=False)
    rows = rows.filter(type__in=types) if types else rows
    query: Json = {"types": types}
    page, cursor = take_page(call=call, rows=rows, query=query, cursor=call.query.get("cursor"), limit=LIST_PAGE)
    reply: Json = {"objects": store.print_objects(account=call.account, rows=page)} if page else {}
    return reply | cursor


def check_types(types: Iterable[str], *, field: str) -> None:
    for name in types:
        if name not in store.TYPES:
            detail = f"`{name}` is not a catalog object type."
            raise SquareError(code="INVALID_ENUM_VALUE", detail=detail, field=field)


def take_page(
    *, call: Call, rows: QuerySet[CatalogObject], query: Json, cursor: object, limit: int
) -> tuple[list[CatalogObject], Json]:
    """The next page in order of making, and `{"cursor": …}` unless it is the last."""
    place = read_cursor(cursor, query=query, now=call.now)
    if place is not None:
        rows = rows.filter(pk__gt=place[0])
    page = list(rows.order_by("pk")[: limit + 1])
    if len(page) <= limit:
        return page, {}
    return page[:limit], {"cursor": make_cursor(place=[page[limit - 1].pk], query=query, now=call.now)}


@endpoint(operation="catalog.search", scopes=READ, takes=SEARCH_TAKES)
def search(*, call: Call) -> Json:
    """By type, time and one query; deleted objects only on request. `latest_time`: the last change."""
    body = call.body
    types = list(body.get("object_types") or [])
    check_types(types, field="object_types")
    rows = CatalogObject.objects.filter(account=call.account)
    rows = rows.filter(type__in=types) if types else rows
    if not body.get("include_deleted_objects"):
        rows = rows.filter(is_deleted=False)
    if body.get("begin_time"):
        rows = rows.filter(updated_at__gt=read_time(body["begin_time"], field="begin_time"))
    if body.get("query"):
        rows = rows.filter(read_query(body["query"]))
    limit = read_limit(body.get("limit"), default=LIST_PAGE, top=SEARCH_MAX)
    page, cursor = take_page(call=call, rows=rows, query=without_cursor(body), cursor=body.get("cursor"), limit=limit)
    reply: Json = {"latest_time": stamp(store.version_time(call.account.catalog_version))} | cursor
    if page:
        reply["objects"] = store.print_objects(account=call.account, rows=page)
        if body.get("include_related_objects"):
            reply["related_objects"] = related(call=call, objects=reply["objects"])
    return reply


def read_query(query: Json) -> Q:
    """Exact, set, prefix (case does not matter), text, sorted attribute. Raises SquareError for others."""
    query = {name: terms for name, terms in query.items() if terms}
    if len(query) != 1:
        raise invalid("query", "Expected exactly one kind of query.")
    kind, terms = next(iter(query.items()))
    if kind == "text_query":
        return keywords_match(terms.get("keywords") or [], field="query.text_query.keywords")
    if kind not in ("exact_query", "set_query", "prefix_query", "sorted_attribute_query"):
        detail = f"The sandbox does not serve {kind}."
        raise SquareError(code="NOT_IMPLEMENTED", detail=detail, field="query", status=501)
    column = ATTRIBUTES.get(str(terms.get("attribute_name")))
    if column is None:
        raise invalid(f"query.{kind}.attribute_name", "The attribute is not searchable.")
    if kind == "exact_query":
        return Q(**{f"{column}__iexact": str(terms.get("attribute_value") or "")})
    if kind == "prefix_query":
        return Q(**{f"{column}__istartswith": str(terms.get("attribute_prefix") or "")})
    if kind == "set_query":
        any_of = Q(pk__in=[])
        for value in terms.get("attribute_values") or []:
            any_of |= Q(**{f"{column}__iexact": str(value)})
        return any_of
    return Q()


def keywords_match(keywords: list[str], *, field: str) -> Q:
    """Every keyword begins a word of some searchable attribute."""
    if not 1 <= len(keywords) <= 3:
        raise invalid(field, "Expected one to three keywords.")
    every = Q()
    for keyword in keywords:
        some = Q(pk__in=[])
        for column in TEXT_ATTRIBUTES:
            some |= Q(**{f"{column}__istartswith": keyword}) | Q(**{f"{column}__icontains": f" {keyword}"})
        every &= some
    return every


def related(*, call: Call, objects: list[Json]) -> list[Json]:
    """What these objects point at and is not among them: items, categories, taxes, images, units."""
    here = {entry["id"] for entry in objects}
    wanted: set[str] = set()
    for entry in objects:
        data = entry.get(store.data_key(entry["type"])) or {}
        for name in ("item_id", "category_id", "measurement_unit_id"):
            wanted.add(data.get(name) or "")
        for name in ("tax_ids", "image_ids"):
            wanted.update(data.get(name) or [])
        wanted.update(category.get("id") or "" for category in data.get("categories") or [])
    rows = CatalogObject.objects.filter(account=call.account, object_id__in=wanted - here, is_deleted=False)
    return store.print_objects(account=call.account, rows=list(rows.order_by("pk")))


@endpoint(operation="catalog.search_items", scopes=READ, takes=ITEMS_TAKES)
def search_items(*, call: Call) -> Json:
    """ITEMs by text (name, or a variation's name, SKU, UPC), category and product type; 100 a page."""
    body = call.body
    items = CatalogObject.objects.filter(account=call.account, type="ITEM", is_deleted=False)
    matched: list[str] = []
    text = str(body.get("text_filter") or "")
    if text:
        match = keywords_match(text.split()[:3], field="text_filter")
        variations = CatalogObject.objects.filter(match, account=call.account, type="ITEM_VARIATION", is_deleted=False)
        matched = list(variations.order_by("pk").values_list("object_id", flat=True))
        items = items.filter(match | Q(object_id__in=variations.values("item_id")))
    if body.get("category_ids"):
        of_category = Q(data__item_data__category_id__in=body["category_ids"])
        for category in body["category_ids"]:
            of_category |= Q(data__item_data__categories__contains=[{"id": category}])
        items = items.filter(of_category)
    if body.get("product_types"):
        items = items.filter(data__item_data__product_type__in=body["product_types"])
    limit = read_limit(body.get("limit"), default=100, top=100)
    page, cursor = take_page(call=call, rows=items, query=without_cursor(body), cursor=body.get("cursor"), limit=limit)
    reply: Json = {"items": store.print_objects(account=call.account, rows=page)} if page else {}
    return reply | ({"matched_variation_ids": matched} if matched else {}) | cursor


@endpoint(operation="catalog.batch_get", scopes=READ, takes={"object_ids": "texts"})
def batch_retrieve(*, call: Call) -> Json:
    """Objects by id; ids that name nothing are passed over."""
    ids = call.body.get("object_ids")
    if not isinstance(ids, list) or not ids:
        raise missing("object_ids")
    if len(ids) > RETRIEVE_MAX:
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {RETRIEVE_MAX} ids.", field="object_ids")
    rows = CatalogObject.objects.filter(account=call.account, object_id__in=ids)
    if not call.body.get("include_deleted_objects"):
        rows = rows.filter(is_deleted=False)
    objects = store.print_objects(account=call.account, rows=list(rows.order_by("pk")))
    reply: Json = {"objects": objects} if objects else {}
    if call.body.get("include_related_objects"):
        reply["related_objects"] = related(call=call, objects=objects)
    return reply


@endpoint(operation="catalog.object.get", scopes=READ)
def get_object(*, call: Call, object_id: str) -> Json:
    row = CatalogObject.objects.filter(account=call.account, object_id=object_id, is_deleted=False).first()
    if row is None:
        raise not_found(f"Catalog object with ID `{object_id}` not found.")
    reply: Json = {"object": store.print_objects(account=call.account, rows=[row])[0]}
    if call.query.get("include_related_objects") == "true":
        reply["related_objects"] = related(call=call, objects=[reply["object"]])
    return reply


@endpoint(operation="catalog.object.upsert", scopes=WRITE)
def upsert_object(*, call: Call) -> Json:
    def work() -> Json:
        account = store.lock_catalog(call.account)
        ids, made, updated_at = store.upsert(account=account, objects=[call.body.get("object")], now=call.now)
        events.catalog_updated(account=account, updated_at=updated_at)
        reply: Json = {"catalog_object": print_by_id(call=call, ids=ids)[0]}
        return reply | print_mappings(made)

    return once(call=call, operation="catalog.object.upsert", chars_max=128, work=work)


def print_by_id(*, call: Call, ids: list[str]) -> list[Json]:
    rows = {row.object_id: row for row in CatalogObject.objects.filter(object_id__in=ids)}
    return store.print_objects(account=call.account, rows=[rows[object_id] for object_id in ids])


def print_mappings(made: dict[str, str]) -> Json:
    pairs = [{"client_object_id": mine, "object_id": given} for mine, given in made.items()]
    return {"id_mappings": pairs} if pairs else {}


@endpoint(operation="catalog.batch_upsert", scopes=WRITE)
def batch_upsert(*, call: Call) -> Json:
    """Each batch is all or nothing; an error in one leaves the others. An error status if every one fails."""
    return once(call=call, operation="catalog.batch_upsert", chars_max=128, work=lambda: write_batches(call))


def write_batches(call: Call) -> Json:
    batches = read_batches(call.body.get("batches"))
    account = store.lock_catalog(call.account)
    halved = faults.strikes(vendor="square", operation="catalog.batch_upsert", kind=Fault.Kind.HALF_BATCH)
    ids: list[str] = []
    made: dict[str, str] = {}
    failures: list[SquareError] = []
    latest: datetime | None = None
    for n, objects in enumerate(batches):
        try:
            if halved and n >= len(batches) / 2:
                raise errors.server_error()
            with transaction.atomic():
                written, mapped, latest = store.upsert(account=account, objects=objects, now=call.now)
        except SquareError as error:
            if "field" in error.error:
                error.error["field"] = f"batches[{n}].{error.error['field']}"
            failures.append(error)
            account.refresh_from_db(fields=["catalog_version"])
            continue
        ids += written
        made |= mapped
    if latest is None:
        raise failures[0]
    events.catalog_updated(account=account, updated_at=latest)
    reply: Json = {"objects": print_by_id(call=call, ids=ids), "updated_at": stamp(latest)}
    if failures:
        reply["errors"] = [failure.error for failure in failures]
    return reply | print_mappings(made)


def read_batches(batches: object) -> list[list[Any]]:
    if not isinstance(batches, list) or not batches:
        raise missing("batches")
    objects = [batch.get("objects") if isinstance(batch, dict) else None for batch in batches]
    for n, batch in enumerate(objects):
        if not isinstance(batch, list) or not batch:
            raise missing(f"batches[{n}].objects")
        if len(batch) > BATCH_MAX:
            raise SquareError(
                code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {BATCH_MAX}.", field=f"batches[{n}].objects"
            )
    if sum(len(batch) for batch in objects if batch) > TOTAL_MAX:
        raise SquareError(
            code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {TOTAL_MAX} objects in total.", field="batches"
        )
    return [batch for batch in objects if batch]


@endpoint(operation="catalog.object.delete", scopes=WRITE)
def delete_object(*, call: Call, object_id: str) -> Json:
    account = store.lock_catalog(call.account)
    ids, deleted_at = store.delete(account=account, object_ids=[object_id], now=call.now)
    if not ids:
        raise not_found(f"Catalog object with ID `{object_id}` not found.")
    events.catalog_updated(account=account, updated_at=deleted_at)
    return {"deleted_object_ids": ids, "deleted_at": stamp(deleted_at)}


@endpoint(operation="catalog.batch_delete", scopes=WRITE, takes={"object_ids": "texts"})
def batch_delete(*, call: Call) -> Json:
    ids = call.body.get("object_ids")
    if not isinstance(ids, list) or not ids:
        raise missing("object_ids")
    if len(ids) > DELETE_MAX:
        raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=f"At most {DELETE_MAX}.", field="object_ids")
    account = store.lock_catalog(call.account)
    gone, deleted_at = store.delete(account=account, object_ids=ids, now=call.now)
    if gone:
        events.catalog_updated(account=account, updated_at=deleted_at)
    return {"deleted_object_ids": gone, "deleted_at": stamp(deleted_at)}
