"""Ids, times and numbers, either way: pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]
PLACE = "shop"  # WooCommerce knows one stock and no places


def listing_id(*, product_id: Any, variation_id: Any = 0) -> str:
    """`22` for a product, `22/23` for its variation: a variation is only reached through its product."""
    return f"{product_id}/{variation_id}" if variation_id else str(product_id)


def id_of(document: Json) -> str:
    """The listing a product or variation is. A variation may come shaped as a product; both name their parent."""
    parent = document.get("parent_id") or 0
    is_variation = document.get("type") == "variation" and parent
    return listing_id(product_id=parent, variation_id=document["id"]) if is_variation else str(document["id"])


def by_product(ids: Iterable[str]) -> dict[str, list[str]]:
    """Variations' own numbers by product; products by themselves under "". Numbers ascend: rows lock in one order."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in ids:
        product_id, _, variation_id = name.partition("/")
        if product_id.isdigit() and (variation_id.isdigit() or not variation_id):
            found[product_id if variation_id else ""].add(variation_id or product_id)
    return {product: sorted(numbers, key=int) for product, numbers in sorted(found.items())}


def chunks(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def moment(text: Any) -> datetime | None:
    """A `…_gmt` time, which says no zone and means UTC."""
    try:
        given = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """As `modified_after` takes it together with `dates_are_gmt`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def decimal(value: Any) -> Decimal | None:
    """A number that may come as text, as a float or not at all."""
    try:
        return Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None


def number(quantity: Decimal) -> int | float:
    """A quantity for a JSON body: whole where it is whole."""
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)
