"""Keyset paging both ways: a page begins after (or ends before) a row, so that page 2 000 costs what page 1 does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import F, Q, QuerySet
from django.http import QueryDict

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the keys that the neighbouring pages start from; None where there is none."""

    rows: Sequence[Row]
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: after or before the row of that key. Neither: the first page."""

    after: int | None = None
    before: int | None = None

    @classmethod
    def of(cls, query: QueryDict) -> Cursor:
        """Read ?after= or ?before=; nonsense is the first page."""
        return cls(after=number(query.get("after")), before=number(query.get("before")))


def number(text: str | None) -> int | None:
    """A row's key from an address, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def page(
    *,
    rows: QuerySet[Any],
    scope: QuerySet[Any],
    field: str,
    descending: bool,
    size: int,
    cursor: Cursor,
    whole: QuerySet[Any] | None = None,
) -> Page[Any]:
    """One page of `rows` ordered by (`field`, pk). The cursor's row is looked up in `scope` (all of the shop's rows):
    it need not match the filter any more, and one of another shop means the first page. Three queries at most: with
    `whole` keys are found first, and the rows are then read from it.
    """
    backwards = cursor.before is not None and cursor.after is None
    key = cursor.before if backwards else cursor.after
    start = scope.filter(pk=key).values_list(field, flat=True).first() if key is not None else None
    down = descending != backwards
    if start is not None:
        rows = rows.filter(_beyond(field, start, key, down))
    order = [F(field).desc() if down else F(field).asc(), "-pk" if down else "pk"]
    found = _found(rows.order_by(*order)[: size + 1], whole=whole)
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_before = more if backwards else start is not None
    has_after = start is not None if backwards else more
    return Page(
        rows=found,
        before=found[0].pk if found and has_before else None,
        after=found[-1].pk if found and has_after else None,
    )


def _found(rows: QuerySet[Any], *, whole: QuerySet[Any] | None) -> list[Any]:
    """The rows themselves, or their keys alone first: sorting or summing 100,000 keys is cheaper than whole rows."""
    if whole is None:
        return list(rows)
    keys = list(rows.values_list("pk", flat=True))
    known = whole.in_bulk(keys)
    return [known[key] for key in keys if key in known]


def _beyond(field: str, start: Any, key: int | None, down: bool) -> Q:
    """(field, pk) beyond the start, spelled so that an index on the field is used for the outer condition."""
    edge, past = ("lte", "lt") if down else ("gte", "gt")
    return Q(**{f"{field}__{edge}": start}) & (Q(**{f"{field}__{past}": start}) | Q(**{f"pk__{past}": key}))
