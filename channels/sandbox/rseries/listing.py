"""Lists: filters with operators, sorting, cursors in the address of the next page.

https://developers.lightspeedhq.com/retail/introduction/parameters/ and …/pagination/
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from channels.sandbox.rseries.errors import RSeriesError
from channels.sandbox.rseries.http import Call, Json, whole

LIMIT_MAX = 100
IN_MAX = 100
OPERATORS = {">=": "__gte", "<=": "__lte", "!=": "!", "><": "><", "IN": "__in", ">": "__gt", "<": "__lt"}
NOT_FIELDS = ("load_relations", "limit", "sort", "after", "archived")


@dataclass(frozen=True)
class Resource:
    """A kind of row as lists know it: name, key, fields to filter by, those to sort by."""

    name: str
    fields: Mapping[str, str]  # the vendor's name → our lookup
    sortable: tuple[str, ...]  # the first is what a list is sorted by unless asked otherwise
    printed: Callable[[Any, list[str]], Json]
    has_archived: bool = False


def stamp(moment: datetime | None) -> str:
    """ISO to the second, with the zone."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def page(call: Call, resource: Resource, rows: QuerySet[Any]) -> Json:
    """One page. A single row comes as an object and not as a list of one; of none there is no key at all."""
    rows = filtered(call, resource, rows.filter(account=call.account))
    sort = call.query.get("sort", resource.sortable[0])
    field = sort.removeprefix("-")
    if field not in resource.sortable:
        raise RSeriesError(400, f"sort={sort} is not one of {', '.join(resource.sortable)}.")
    lookup, is_down = resource.fields[field], sort.startswith("-")
    limit = min(max(whole(call.query.get("limit", LIMIT_MAX), field="limit"), 1), LIMIT_MAX)
    order = [F(name).desc() if is_down else F(name).asc() for name in dict.fromkeys((lookup, "pk"))]
    found = list(_after(call, rows, lookup, is_down=is_down).order_by(*order)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    printed = [resource.printed(row, call.relations) for row in found]
    answer: Json = {"@attributes": {"next": _next(call, found[-1], lookup) if more else "", "previous": ""}}
    if printed:
        answer[resource.name] = printed if len(printed) > 1 else printed[0]
    return answer


def one(resource: Resource, row: Any, relations: list[str]) -> Json:
    """A single row."""
    return {"@attributes": {"count": "1"}, resource.name: resource.printed(row, relations)}


def filtered(call: Call, resource: Resource, rows: QuerySet[Any]) -> QuerySet[Any]:
    """By the fields of the query. Raises RSeriesError (400) for a field or an operator there is not."""
    for name in call.query:
        if name in NOT_FIELDS:
            continue
        if name not in resource.fields:
            raise RSeriesError(400, f"{resource.name} has no field {name}.")
        rows = rows.filter(_condition(resource.fields[name], str(call.query[name])))
    archived = call.query.get("archived", "false")
    if resource.has_archived and archived != "true":
        rows = rows.filter(archived=archived == "only")
    return rows


def _condition(lookup: str, asked: str) -> Q:
    sign, _, value = asked.partition(",")
    operator = OPERATORS.get(sign)
    if operator is None:
        return _equals(lookup, asked)
    if operator == "__in":
        values = json.loads(value) if value.startswith("[") else value.split(",")
        if len(values) > IN_MAX:
            raise RSeriesError(400, f"IN takes at most {IN_MAX} values.")
        some = [_read(lookup, str(each)) for each in values]
        return Q(**{f"{lookup}__in": [each for each in some if each]}) | _if_zero(lookup, some)
    if operator == "><":
        low, _, high = value.partition(",")
        return Q(**{f"{lookup}__gte": _read(lookup, low), f"{lookup}__lte": _read(lookup, high)})
    if operator == "!":
        return ~_equals(lookup, value)
    return Q(**{f"{lookup}{operator}": _read(lookup, value)})


def _equals(lookup: str, value: str) -> Q:
    read = _read(lookup, value)
    return Q(**{lookup: read}) if read != 0 else _if_zero(lookup, [read])


def _if_zero(lookup: str, values: list[Any]) -> Q:
    """What points nowhere is 0 there."""
    return Q(**{f"{lookup}__isnull": True}) if 0 in values and lookup.endswith("_id") else Q(pk__in=[])


def _read(lookup: str, value: str) -> Any:
    if lookup.endswith(("_time", "time_stamp")):
        try:
            read = datetime.fromisoformat(value)
        except ValueError as error:
            raise RSeriesError(400, f"{value} is no time.") from error
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    if lookup in ("pk", "id") or lookup.endswith("_id"):
        return whole(value, field=lookup)
    return value == "true" if value in ("true", "false") else value


def _after(call: Call, rows: QuerySet[Any], lookup: str, *, is_down: bool) -> QuerySet[Any]:
    cursor = call.query.get("after")
    if not cursor:
        return rows
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        raise RSeriesError(400, "after is not a cursor.") from error
    beyond = "lt" if is_down else "gt"
    read = _read(lookup, str(value))
    if lookup == "pk":
        return rows.filter(**{f"pk__{beyond}": read})
    return rows.filter(Q(**{f"{lookup}__{beyond}": read}) | Q(**{lookup: read, f"pk__{beyond}": pk}))


def _next(call: Call, row: Any, lookup: str) -> str:
    value = getattr(row, lookup)
    value = value.isoformat() if isinstance(value, datetime) else value
    query = call.query.copy()
    query["after"] = base64.urlsafe_b64encode(json.dumps([value, row.pk]).encode()).decode()
    return f"{call.url}?{query.urlencode()}"
