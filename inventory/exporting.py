"""Stock, and goods on their way, as CSV: a chunk at a time, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from inventory import arrival_queries, bundles, queries
from inventory.models import Arrival, ArrivalLine, StockLevel
from storestudio.accounts import numbers
from storestudio.accounts.models import Merchant

CHUNK = 2000
AMOUNTS = ("on_hand", "committed", "reserved", "unavailable", "incoming", "available")
COLUMNS = (
    "SKU",
    "GTIN",
    "Product",
    "Variant",
    "Location",
    "On hand",
    "Committed",
    "Reserved",
    "Unavailable",
    "Incoming",
    "Available",
    "Updated at (UTC)",
)


ARRIVAL_COLUMNS = (
    "Number", "Kind", "From", "To", "State", "Expected on", "Reference", "SKU", "GTIN", "Product", "Variant",
    "Sent", "Received", "Damaged", "Missing", "Back", "To come", "Sent at (UTC)", "Closed at (UTC)",
)  # fmt: skip


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP, CSV injection): a quote before a leading = + - @ tab, CR."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def stock_csv(*, merchant: Merchant, narrowed: queries.StockFilter) -> Iterator[str]:
    """Lines of CSV: every variant the filter lets through, at every place where it ever was.

    Read in chunks by key rather than through one long cursor, so that no transaction stays open for a slow reader.
    """
    writer: Any = csv.writer(_Echo())
    yield "\ufeff"  # spreadsheets take UTF-8 for what it is only with the mark
    yield writer.writerow(COLUMNS)
    places = {place.pk: place.name for place in queries.locations(merchant=merchant)}
    if narrowed.location_id:
        places = {key: name for key, name in places.items() if key == narrowed.location_id}
    rows = queries.variants(merchant=merchant, narrowed=narrowed).order_by("pk")
    last = 0
    while chunk := list(rows.filter(pk__gt=last).values_list("pk", "sku", "gtin", "product__title", "title")[:CHUNK]):
        last = chunk[-1][0]
        levels = _levels(merchant=merchant, variant_ids=[row[0] for row in chunk], places=places)
        for pk, *texts in chunk:
            text = [guarded(one) for one in texts]
            for level in levels.get(pk, [()]):
                yield writer.writerow(text + _amounts(level, places))


def _levels(
    *, merchant: Merchant, variant_ids: Sequence[int], places: Mapping[int, str]
) -> Mapping[int, list[tuple[Any, ...]]]:
    rows = StockLevel.objects.of(merchant).filter(variant__in=variant_ids, location__in=places)
    found: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    made = bundles.made_when_sold_of(merchant_id=merchant.pk) & set(variant_ids)
    if made:  # nothing of it lies anywhere: its parts make it up
        there = bundles.available(merchant_id=merchant.pk, variant_ids=made)
        for (variant_id, place), units in there.items():
            if place in places:
                found[variant_id].append((place, *[None] * (len(AMOUNTS) - 1), max(units, Decimal(0)), None))
        rows = rows.exclude(variant__in=made)
    for row in rows.order_by("variant_id", "location_id").values_list(
        "variant_id", "location_id", *AMOUNTS, "updated_at"
    ):
        found[row[0]].append(row[1:])
    return found


def _amounts(level: tuple[Any, ...], places: Mapping[int, str]) -> list[str]:
    """Place, amounts and time of a level; all empty where the variant never was anywhere."""
    if not level:
        return [""] * (len(AMOUNTS) + 2)
    place, *amounts, updated_at = level
    shown = ["" if amount is None else numbers.plain(amount) for amount in amounts]
    return [guarded(places[place]), *shown, f"{updated_at:%Y-%m-%d %H:%M:%S}" if updated_at else ""]


def arrivals_csv(*, merchant: Merchant, narrowed: arrival_queries.ArrivalFilter) -> Iterator[str]:
    """Lines of CSV: every item of every transfer and delivery that the filter lets through; in chunks by key."""
    writer: Any = csv.writer(_Echo())
    yield "\ufeff"
    yield writer.writerow(ARRIVAL_COLUMNS)
    rows = arrival_queries.arrivals_of(merchant=merchant, narrowed=narrowed).order_by("pk")
    last = 0
    while chunk := list(rows.filter(pk__gt=last).select_related("origin", "destination")[:CHUNK]):
        last = chunk[-1].pk
        known = {one.pk: one for one in chunk}
        lines = ArrivalLine.objects.filter(arrival__in=known).select_related("variant__product")
        for line in lines.order_by("arrival_id", "pk"):
            yield writer.writerow(_arrival_line(known[line.arrival_id], line))


def _arrival_line(arrival: Arrival, line: ArrivalLine) -> list[str]:
    variant = line.variant
    units = (line.quantity, line.received, line.damaged, line.missing, line.returned, line.remaining)
    texts = (arrival.note, variant.sku, variant.gtin, variant.product.title, variant.title)
    return [
        str(arrival.pk),
        "transfer" if arrival.is_transfer else "delivery",
        guarded(arrival.sender),
        guarded(arrival.destination.name),
        arrival.state,
        arrival.expected_date.isoformat() if arrival.expected_date else "",
        *map(guarded, texts),
        *map(numbers.plain, units),
        *(f"{at:%Y-%m-%d %H:%M:%S}" if at else "" for at in (arrival.sent_at, arrival.closed_at)),
    ]
