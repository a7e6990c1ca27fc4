"""Keyset paging: a page costs the same however far down it lies, and rows that arrive meanwhile shift nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from inventory import paging
from storestudio.accounts.templatetags.studio import quantity

Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, newest first; addresses of the first and the next page, "" where there is none."""

    rows: Sequence[Row]
    back_url: str
    next_url: str


def newest_first(rows: QuerySet[Row], *, request: HttpRequest, by: str = "", size: int = 50) -> Page[Row]:
    """The page that `?before=<id>` asks for, ordered by column `by` (or none) and the id, descending."""
    order = [f"-{by}", "-pk"] if by else ["-pk"]
    before = paging.number(request.GET.get("before"))
    shown = rows.order_by(*order)
    if before is not None:
        last = rows.model._default_manager.filter(pk=before).values_list(by or "pk", flat=True).first()
        if last is not None:
            older = Q(pk__lt=before)
            shown = shown.filter((Q(**{by: last}) & older) | Q(**{f"{by}__lt": last}) if by else older)
    found = list(shown[: size + 1])
    return Page(
        rows=found[:size],
        back_url=_address(request, before="") if before is not None else "",
        next_url=_address(request, before=str(found[size - 1].pk)) if len(found) > size else "",
    )


@dataclass(frozen=True)
class Part(Generic[Item]):
    """Some of a list that is known whole; `words` say which, "" where all are shown."""

    rows: Sequence[Item]
    words: str
    back_url: str
    next_url: str


def part_of(items: Sequence[Item], *, request: HttpRequest, size: int, path: str = "") -> Part[Item]:
    """The part that `?start=<number>` asks for; nonsense and what lies beyond the end is the first. `path`: where its
    neighbours are, if not at the request's own."""
    start = paging.number(request.GET.get("start")) or 0
    start = start if start < len(items) else 0
    end = min(start + size, len(items))
    is_whole = start == 0 and end == len(items)
    return Part(
        rows=items[start:end],
        words="" if is_whole else f"{quantity(start + 1)} to {quantity(end)} of {quantity(len(items))}",
        back_url=_address(request, path, start=str(max(start - size, 0) or "")) if start else "",
        next_url=_address(request, path, start=str(end)) if end < len(items) else "",
    )


def _address(request: HttpRequest, path: str = "", **places: str) -> str:
    """This page's address with another place in it; "" is the beginning."""
    path = path or request.path
    query = request.GET.copy()
    for name, value in places.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"{path}?{query.urlencode()}" if query else path
