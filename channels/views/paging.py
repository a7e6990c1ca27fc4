"""Keyset paging: a page costs the same however far down it lies, and rows that arrive meanwhile shift nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, newest first; addresses of the first and the next page, "" where there is none."""

    rows: Sequence[Row]
    back_url: str
    next_url: str


def newest_first(rows: QuerySet[Row], *, request: HttpRequest, by: str = "", size: int = 50) -> Page[Row]:
    """The page that `?before=<id>` asks for, ordered by column `by` (or none) and the id, descending."""
    order = [f"-{by}", "-pk"] if by else ["-pk"]
    before = request.GET.get("before", "")
    shown = rows.order_by(*order)
    if before.isdigit():
        last = rows.model._default_manager.filter(pk=int(before)).values_list(by or "pk", flat=True).first()
        if last is not None:
            older = Q(pk__lt=int(before))
            shown = shown.filter((Q(**{by: last}) & older) | Q(**{f"{by}__lt": last}) if by else older)
    found = list(shown[: size + 1])
    return Page(
        rows=found[:size],
        back_url=_address(request, before="") if before else "",
        next_url=_address(request, before=str(found[size - 1].pk)) if len(found) > size else "",
    )


def _address(request: HttpRequest, *, before: str) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    if before:
        query["before"] = before
    return f"{request.path}?{query.urlencode()}" if query else request.path
