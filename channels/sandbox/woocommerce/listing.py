"""Collections: filters, order and pages, with WordPress's headers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, When
from django.http import QueryDict

from channels.sandbox.woocommerce import errors
from channels.sandbox.woocommerce.http import Answer, Call
from channels.sandbox.woocommerce.values import Json, site_offset

PER_PAGE, PER_PAGE_MAX = 10, 100
BOUNDS = {
    "after": "created_at__gt", "before": "created_at__lt",
    "modified_after": "modified_at__gt", "modified_before": "modified_at__lt",
}  # fmt: skip


def number(query: QueryDict, name: str, *, default: int, most: int | None = None) -> int:
    """A whole number from 1. Raises WooError."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise errors.invalid_param(name, f"{name} is not of type integer.")
    if int(text) < 1 or (most is not None and int(text) > most):
        raise errors.invalid_param(name, f"{name} must be between 1 (inclusive) and {most} (inclusive)")
    return int(text)


def numbers(query: QueryDict, name: str) -> list[int] | None:
    """Ids as `include=1,2` or `include[]=1&include[]=2`; None where nothing is given. Raises WooError."""
    texts = query.getlist(f"{name}[]") or [part for text in query.getlist(name) for part in text.split(",")]
    if not texts:
        return None
    if not all(text.strip().isdigit() for text in texts):
        raise errors.invalid_param(name, f"{name}[0] is not of type integer.")
    return [int(text) for text in texts]


def moment(query: QueryDict, name: str) -> datetime:
    """A time in the shop's own zone, or in UTC with `dates_are_gmt`. Raises WooError."""
    try:
        given = datetime.fromisoformat(query.get(name, ""))
    except ValueError as error:
        raise errors.invalid_param(name, "Invalid date.") from error
    if given.tzinfo is not None:
        return given
    is_utc = query.get("dates_are_gmt") in ("true", "1")
    return given.replace(tzinfo=UTC) - (0 * site_offset() if is_utc else site_offset())


def filtered(rows: "QuerySet[Any]", query: QueryDict) -> "QuerySet[Any]":
    """By id and by time; bounds are exclusive and to the second."""
    include, exclude = numbers(query, "include"), numbers(query, "exclude")
    if include is not None:
        rows = rows.filter(pk__in=include)
    if exclude is not None:
        rows = rows.exclude(pk__in=exclude)
    return rows.filter(**{field: moment(query, name) for name, field in BOUNDS.items() if query.get(name)})


def ordered(rows: "QuerySet[Any]", query: QueryDict) -> "QuerySet[Any]":
    """Newest first unless told otherwise."""
    by, sign = query.get("orderby", "date"), "" if query.get("order") == "asc" else "-"
    if by == "include":
        wanted = numbers(query, "include") or []
        places = [When(pk=pk, then=place) for place, pk in enumerate(wanted)]
        rank = Case(*places, default=len(wanted), output_field=IntegerField())
        return rows.annotate(place=rank).order_by("place") if places else rows.order_by("pk")
    fields = {"date": "created_at", "id": "pk", "title": "pk", "slug": "pk"}
    if by not in fields:
        raise errors.invalid_param("orderby", f"orderby is not one of {', '.join(fields)}, and include.")
    return rows.order_by(*dict.fromkeys((f"{sign}{fields[by]}", f"{sign}pk")))


def page(call: Call, rows: "QuerySet[Any]", show: Callable[[Any], Json]) -> Answer:
    """One page, with `X-WP-Total`, `X-WP-TotalPages` and `Link`. A page past the end is empty."""
    size = number(call.query, "per_page", default=PER_PAGE, most=PER_PAGE_MAX)
    at = number(call.query, "page", default=1)
    start = number(call.query, "offset", default=0) if call.query.get("offset", "0") != "0" else (at - 1) * size
    total = rows.count()
    pages = -(-total // size)
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}
    links = {"prev": at - 1, "next": at + 1 if at < pages else 0}
    texts = [f'<{_address(call, to)}>; rel="{name}"' for name, to in links.items() if to]
    if texts:
        headers["Link"] = ", ".join(texts)
    return Answer([show(row) for row in rows[start : start + size]], headers=headers)


def _address(call: Call, at: int) -> str:
    query = call.query.copy()
    query["page"] = str(at)
    return f"{call.url}?{query.urlencode()}"
