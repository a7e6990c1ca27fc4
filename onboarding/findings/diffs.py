"""What a change set changes, in words for the person who is asked to say yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from channels.models import Listing
from inventory.models import Product, Variant, VariantMerge
from onboarding import journal
from onboarding.models import Change, ChangeSet, ListingWish
from storestudio.accounts.numbers import plain

_WORDS = {
    "sku": "SKU", "gtin": "Barcode", "price": "Price", "title": "Title", "options": "Options",
    "archived_at": "Archived", "product_id": "Product", "is_tracked": "Stock tracked",
    "sells_past_zero": "Sells on at zero",
}  # fmt: skip
_SHOWN = {
    "product": ("title", "archived_at"),
    "variant": ("sku", "gtin", "price", "title", "options", "archived_at", "product_id"),
}
NOTHING = "–"


@dataclass(frozen=True)
class DiffLine:
    """One thing that accepting would change."""

    what: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class _Named:
    """What the rows behind changes are called."""

    products: Mapping[int, str]
    variants: Mapping[int, str]
    listings: Mapping[int, str]


def lines(changeset: ChangeSet) -> list[DiffLine]:
    """In the order in which they were made; call it while the rows are as the change set left them."""
    changes = list(changeset.changes.order_by("pk"))
    named = _named(changes)
    return [line for change in changes for line in _of(change, named)]


def _named(changes: Iterable[Change]) -> _Named:
    products, variants, listings = set(), set(), set()
    for change in changes:
        for row in (change.before or {}, change.after or {}):
            products.add(row.get("product_id"))
            variants.add(row.get("variant_id"))
            listings.add(row.get("listing_id"))
        {"product": products, "variant": variants, journal.LINK: listings}.get(change.table, set()).add(change.row_id)
    wishes = [change.row_id for change in changes if change.table == "wish"]
    listings |= set(ListingWish.objects.filter(pk__in=wishes).values_list("listing", flat=True))
    of_variants = Variant.objects.filter(pk__in=[pk for pk in variants if pk]).select_related("product")
    of_listings = Listing.objects.filter(pk__in=[pk for pk in listings if pk]).select_related("connection")
    return _Named(
        products=dict(Product.objects.filter(pk__in=[pk for pk in products if pk]).values_list("pk", "title")),
        variants={row.pk: f"{row.full_title} ({row.sku or 'no SKU'})" for row in of_variants},
        listings={row.pk: f"{row.connection.label}: {row.sku or row.product_title}" for row in of_listings},
    )


def _of(change: Change, named: _Named) -> list[DiffLine]:
    if change.table == journal.MERGE:
        return _of_merge(change)
    if change.table == journal.LINK:
        return [_of_link(change, named)]
    if change.table == "wish":
        return [_of_wish(change, named)]
    if change.table == "alias":
        after = change.after or {}
        return [DiffLine(named.variants.get(after["variant_id"], ""), "Still found by", "", str(after["value"]))]
    names = {"product": named.products, "variant": named.variants}.get(change.table, {})
    before, after = change.before or {}, change.after or {}
    return [
        DiffLine(
            names.get(change.row_id, ""), _WORDS[name], _said(name, before.get(name), named),
            _said(name, after[name], named),
        )
        for name in _SHOWN.get(change.table, ())
        if name in after
    ]  # fmt: skip


def _of_merge(change: Change) -> list[DiffLine]:
    merged = VariantMerge.objects.select_related("survivor__product", "duplicate__product").get(pk=change.row_id)
    what = f"{merged.duplicate.full_title} ({merged.duplicate.sku or 'no SKU'})"
    into = f"{merged.survivor.full_title} ({merged.survivor.sku or 'no SKU'})"
    found = [DiffLine(what, "Becomes part of", "a thing of its own", into)]
    units = sum((Decimal(row.get("on_hand", 0)) for row in merged.moved), Decimal(0))
    if units:
        found.append(DiffLine(what, "Units on hand", plain(units), f"0: they go to {into}"))
    for field, ids in (("Order lines", merged.order_line_ids), ("Running holds", merged.reservation_line_ids)):
        if ids:
            found.append(DiffLine(what, field, str(len(ids)), f"go to {into}"))
    return found


def _of_link(change: Change, named: _Named) -> DiffLine:
    before, after = change.before or {}, change.after or {}
    return DiffLine(named.listings.get(change.row_id, ""), "Linked to", _linked(before, named), _linked(after, named))


def _linked(row: Mapping[str, Any], named: _Named) -> str:
    if row["variant_id"] is not None:
        return named.variants.get(row["variant_id"], str(row["variant_id"]))
    return str(Listing.Link(row["link"]).label)


def _of_wish(change: Change, named: _Named) -> DiffLine:
    wish = ListingWish.objects.select_related("listing").get(pk=change.row_id)
    return DiffLine(
        named.listings.get(wish.listing_id, ""),
        f"{_WORDS[wish.field]}, wanted there",
        _said(wish.field, getattr(wish.listing, wish.field), named),
        _said(wish.field, wish.value, named),
    )


def _said(name: str, value: Any, named: _Named) -> str:
    if name == "archived_at":
        return "yes" if value else "no"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "product_id" and value is not None:
        return named.products.get(value, str(value))
    if isinstance(value, dict):
        return " · ".join(f"{key}: {one}" for key, one in value.items()) or NOTHING
    return str(value) if value not in (None, "") else NOTHING
