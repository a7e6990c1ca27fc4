"""What every admin page shares: read-only rows, links between rows, and big tables that are never counted whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.db import connection as database
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from storestudio.accounts import numbers

COUNT_MAX = 10_000  # beyond this many rows the number of pages is a guess, and nobody pages that far
LIST_PER_PAGE = 50
# The admin's own look of a link; without it one in a list is not told from text.
LINK = '<a class="whitespace-nowrap text-primary-600 dark:text-primary-500" href="{}">{}</a>'


class Rows(ModelAdmin):  # type: ignore[misc]
    """Rows that an admin may change; the whole table is not counted beside what was searched."""

    show_full_result_count = False
    list_per_page = LIST_PER_PAGE
    save_on_top = False


class ReadOnlyRows(Rows):
    """Rows that only the rules write: to be looked at, searched and followed, never changed here."""

    actions_selection_counter = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class ReadOnlyLines(TabularInline):  # type: ignore[misc]
    """The lines of a row, to be looked at."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class GuessingPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most COUNT_MAX rows; a whole table beyond that is as long as the database's statistics say."""

    @cached_property
    def count(self) -> int:
        """Number of rows, exact up to COUNT_MAX."""
        rows: Any = self.object_list
        found = int(rows.order_by()[: COUNT_MAX + 1].count())
        if found <= COUNT_MAX or rows.query.where:
            return min(found, COUNT_MAX)
        return max(COUNT_MAX, _estimate(rows.model._meta.db_table))


def _estimate(table: str) -> int:
    """Rows of a table and all its partitions, as of its last ANALYZE."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(reltuples, 0)), 0) FROM pg_class"
            " WHERE relkind <> 'p' AND (oid = %s::regclass OR oid IN"
            " (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass))",
            [table, table],
        )
        return int(cursor.fetchone()[0])


class BigRows(ReadOnlyRows):
    """A table of millions of rows, newest first by key."""

    paginator = GuessingPaginator
    ordering = ["-pk"]


def link(row: Model | None, words: str = "") -> SafeString | str:
    """A link to a row's own page in the admin, or a dash."""
    if row is None:
        return "–"
    return link_to(row._meta.label_lower, row.pk, words or str(row))


def link_to(label: str, pk: object, words: str) -> SafeString | str:
    """A link by model label ("inventory.variant") and key, for rows that are named by number only."""
    if pk is None:
        return "–"
    return format_html(LINK, reverse(f"admin:{label.replace('.', '_')}_change", args=[pk]), words)


def rows_of(label: str, query: str, words: str) -> SafeString:
    """A link to a filtered list: the rows that hang on this one."""
    address = reverse(f"admin:{label.replace('.', '_')}_changelist")
    return format_html(LINK, f"{address}?{query}", words)


def linked(path: str, description: str = "") -> Callable[[Any], SafeString | str]:
    """A column that links to a related row: `linked("listing__variant")`. Select the relation in the list's query."""
    names = path.split("__")

    def column(row: Any) -> SafeString | str:
        for name in names:
            row = getattr(row, name) if row is not None else None
        return link(row)

    column.short_description = description or names[-1].replace("_", " ")  # type: ignore[attr-defined]
    column.admin_order_field = f"{path}_id"  # type: ignore[attr-defined]
    column.__name__ = f"linked_{path}"
    return column


def units(name: str, description: str = "") -> Callable[[Any], str]:
    """A column of a quantity without its trailing zeros."""

    def column(row: Any) -> str:
        value = getattr(row, name)
        return "unknown" if value is None else numbers.plain(value)

    column.short_description = description or name.replace("_", " ")  # type: ignore[attr-defined]
    column.admin_order_field = name  # type: ignore[attr-defined]
    column.__name__ = f"units_{name}"
    return column
