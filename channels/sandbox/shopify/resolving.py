"""How fields are resolved: a registry of functions, global ids, connections with keyset cursors, search."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from graphql import GraphQLError

from channels.sandbox.shopify.models import App, Shop

Resolve = Callable[..., Any]
RESOLVERS: dict[tuple[str, str], Resolve] = {}
PAGE_DEFAULT = 50
# Objects a page; a bulk operation has no such limit.
PAGE_MAX: ContextVar[int] = ContextVar("PAGE_MAX", default=250)


@dataclass
class Context:
    """What a request knows."""

    shop: Shop
    app: App
    now: datetime
    idempotency_key: str | None = None
    refusal: dict[str, Any] | None = None
    base_url: str = ""
    places: dict[str, set[int]] = field(default_factory=dict)
    sku_counts: dict[str, int] | None = None


def resolver(type_name: str, field: str) -> Callable[[Resolve], Resolve]:
    """Register a function for a field; it gets (source, info, **arguments)."""

    def register(function: Resolve) -> Resolve:
        RESOLVERS[type_name, field] = function
        return function

    return register


def snake(name: str) -> str:
    """inventoryItemId → inventory_item_id."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def default(source: Any, info: Any, **arguments: Any) -> Any:
    """An attribute or a key in snake case; the id of a row is its global id."""
    name = info.field_name
    if isinstance(source, Mapping):
        return source.get(snake(name), source.get(name))
    if name == "id" and hasattr(source, "gid"):
        return source.gid
    value = getattr(source, snake(name), None)
    return value.isoformat() if isinstance(value, datetime) else value


def user_error(code: str | None, field: Sequence[str] | None, message: str) -> dict[str, Any]:
    """One entry of userErrors."""
    return {"code": code, "field": list(field) if field is not None else None, "message": message}


def parse_gid(gid: str, type_name: str) -> int:
    """The number in a global id. Raises GraphQLError as the vendor does for an id that is none, or of another type."""
    match = re.fullmatch(r"gid://shopify/(\w+)/(\d+)(?:\?.*)?", str(gid))
    if match is None or match[1] != type_name:
        raise GraphQLError(f"Invalid global id '{gid}'", extensions={"code": "INVALID_GLOBAL_ID"})
    return int(match[2])


def connection(
    source: QuerySet[Any] | Sequence[Any],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    reverse: bool = False,
) -> dict[str, Any]:
    """A page of an ordered queryset (by keyset, so that new rows shift nothing) or of a list (by place)."""
    size = first if first is not None else last if last is not None else PAGE_DEFAULT
    if not 0 <= size <= PAGE_MAX.get():
        raise GraphQLError(f"Page sizes go up to {PAGE_MAX.get()}", extensions={"code": "BAD_REQUEST"})
    backwards = first is None and last is not None
    if isinstance(source, QuerySet):
        rows, cursors, more = _keyset_page(source, size, after, before, reverse != backwards)
    else:
        rows, cursors, more = _list_page(list(reversed(source)) if reverse else source, size, after, before, backwards)
    if backwards and isinstance(source, QuerySet):
        rows, cursors = rows[::-1], cursors[::-1]
    return {
        "nodes": rows,
        "edges": [{"node": row, "cursor": cursor} for row, cursor in zip(rows, cursors, strict=True)],
        "page_info": {
            "has_next_page": more if not backwards else before is not None,
            "has_previous_page": more if backwards else after is not None,
            "start_cursor": cursors[0] if cursors else None,
            "end_cursor": cursors[-1] if cursors else None,
        },
    }


def _encode(value: Any) -> str:
    return base64.b64encode(json.dumps(value, default=str).encode()).decode()


def _decode(cursor: str) -> Any:
    try:
        return json.loads(base64.b64decode(cursor))
    except ValueError as error:
        raise GraphQLError("Invalid cursor", extensions={"code": "BAD_REQUEST"}) from error


def _keyset_page(
    rows: QuerySet[Any], size: int, after: str | None, before: str | None, descending: bool
) -> tuple[list[Any], list[str], bool]:
    names = [str(name) for name in rows.query.order_by] or ["pk"]
    if names[-1].lstrip("-") not in ("pk", "id"):
        names.append("pk")
    if descending:
        names = [name[1:] if name.startswith("-") else f"-{name}" for name in names]
    start = before if descending and before else after
    if start:
        rows = rows.filter(_beyond(names, _decode(start)))
    found = list(rows.order_by(*names)[: size + 1])
    plain = [name.lstrip("-") for name in names]
    cursors = [_encode([_value(row, name) for name in plain]) for row in found[:size]]
    return found[:size], cursors, len(found) > size


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def _beyond(names: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows that come after these values in this order."""
    condition, equal = Q(), Q()
    for name, value in zip(names, values, strict=True):
        key, way = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        condition |= equal & Q(**{f"{key}__{way}": value})
        equal &= Q(**{key: value})
    return condition


def _list_page(
    rows: Sequence[Any], size: int, after: str | None, before: str | None, backwards: bool
) -> tuple[list[Any], list[str], bool]:
    start = _decode(after) + 1 if after else 0
    end = _decode(before) if before else len(rows)
    if backwards:
        cut = max(start, end - size)
        places = range(cut, end)
        more = cut > start
    else:
        cut = min(end, start + size)
        places = range(start, cut)
        more = cut < end
    return [rows[place] for place in places], [_encode(place) for place in places], more


_TERM = re.compile(
    r"""(?P<not>-|NOT\s+)?(?:(?P<key>\w+):)?(?P<op>>=|<=|>|<)?(?P<value>"[^"]*"|'[^']*'|[^\s()]+)""", re.IGNORECASE
)
_LOOKUPS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt", "": "iexact"}
Field = str | Callable[[str, str], Q]


def search(rows: QuerySet[Any], query: str | None, *, fields: Mapping[str, Field]) -> QuerySet[Any]:
    """Filter by the vendor's search syntax: `key:value`, comparisons, quotes, AND between terms, OR, `-`.

    `fields` maps a key to a lookup path, or to a function of (operator, value); the key "default" takes bare words.
    A key that is unknown is ignored, as the vendor does.
    """
    condition, join_or = Q(), False
    for match in _TERM.finditer((query or "").replace("(", " ").replace(")", " ")):
        word = match["value"]
        if not match["key"] and word.upper() in ("AND", "OR"):
            join_or = word.upper() == "OR"
            continue
        term = _term(fields, match["key"] or "default", match["op"] or "", word.strip("\"'"))
        if match["not"]:
            term = ~term
        condition = condition | term if join_or else condition & term
        join_or = False
    return rows.filter(condition)


def _term(fields: Mapping[str, Field], key: str, operator: str, value: str) -> Q:
    field = fields.get(key)
    if field is None:
        return Q()
    if callable(field):
        return field(operator, value)
    if value.endswith("*"):
        return Q(**{f"{field}__istartswith": value[:-1]})
    return Q(**{f"{field}__{_LOOKUPS[operator]}": value})


def by_time(path: str) -> Field:
    """A search field that holds a time; a bare date is its midnight in UTC."""

    def term(operator: str, value: str) -> Q:
        try:
            moment = datetime.fromisoformat(value if "T" in value else f"{value}T00:00:00+00:00")
        except ValueError:
            return Q()  # the vendor ignores a filter that it can not read
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        lookup = _LOOKUPS[operator] if operator else "exact"
        return Q(**{f"{path}__{lookup}": moment})

    return term


def by_id(path: str = "pk") -> Field:
    """A search field that holds an id, as a number or a global id."""

    def term(operator: str, value: str) -> Q:
        number = value.rsplit("/", 1)[-1]
        lookup = _LOOKUPS[operator] if operator else "exact"
        return Q(**{f"{path}__{lookup}": int(number)}) if number.isdigit() else Q(pk__in=[])

    return term
