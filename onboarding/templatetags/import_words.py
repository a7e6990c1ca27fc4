"""Words of the import pages."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

from onboarding.importing import showing
from onboarding.models import Change, ImportBatch
from storestudio.accounts.templatetags.studio import quantity

register = template.Library()

TABLES = {
    "product": ("product", "products"),
    "variant": ("variant", "variants"),
    "alias": ("other name", "other names"),
    "link": ("listing linked", "listings linked"),
    "stock": ("count", "counts"),
}


@register.filter
def import_source(batch: ImportBatch) -> str:
    """Where its rows come from."""
    label = showing.format_label(batch)
    if batch.connection is not None:
        return f"Catalog of {batch.connection.label}"
    return f"{batch.file_name} ({label})" if label else batch.file_name


@register.filter
def import_kind(batch: ImportBatch) -> str:
    """The kind of status its state is."""
    return showing.KINDS[batch.state]


@register.filter
def import_promise(counts: Mapping[str, int]) -> str:
    """What a yes would do, in a sentence."""
    parts = [
        f"{quantity(counts[name])} {words[0] if counts[name] == 1 else words[1]}"
        for name, words in (("new", ("variant is made", "variants are made")), ("changed", ("changes", "change")))
        if counts[name]
    ]
    rest = f"; {quantity(counts['error'])} in error {'is' if counts['error'] == 1 else 'are'} left out"
    return f"{' and '.join(parts)}{rest if counts['error'] else ''}."


@register.filter
def table_words(table: str, count: int) -> str:
    """What the rows of a table are called."""
    one, many = TABLES.get(table, (table, f"{table}s"))
    return one if count == 1 else many


@register.filter
def loose_end(change: Change) -> str:
    """A change that stayed, and why."""
    title = (change.after or {}).get("title") or f"{table_words(change.table, 1)} {change.row_id}"
    return f"{title}: {change.undo_reason}"
