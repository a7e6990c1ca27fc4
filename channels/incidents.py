"""What needs a person: one open incident a cause, counted up while it lasts, closed with a word on how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db.models import Q
from django.utils import timezone
from psycopg.types.json import Jsonb

from channels.models import AvailabilityRule, CellPolicy, Incident
from inventory.models import StockLevel
from storestudio.accounts import numbers
from storestudio.accounts.models import User

Kind = Incident.Kind

_RAISE = """
INSERT INTO channels_incident (merchant_id, connection_id, kind, key, title, detail, variant_id, cell_id,
                               opened_at, seen_at, times, resolution)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, '')
ON CONFLICT (merchant_id, kind, key) WHERE resolved_at IS NULL
DO UPDATE SET seen_at = excluded.seen_at, times = channels_incident.times + 1,
              title = excluded.title, detail = excluded.detail
RETURNING id
"""


def open_or_count(
    *,
    merchant_id: int,
    kind: str,
    key: str,
    title: str,
    connection_id: int | None = None,
    variant_id: int | None = None,
    cell_id: int | None = None,
    **detail: Any,
) -> int:
    """Open the incident of this cause, or count the open one up; returns its id."""
    now = timezone.now()
    values: list[Any] = [
        merchant_id, connection_id, str(kind), key[:120], title[:300], Jsonb(detail), variant_id, cell_id, now, now
    ]  # fmt: skip
    with database.cursor() as cursor:
        cursor.execute(_RAISE, values)
        return int(cursor.fetchone()[0])


def resolve(
    *, merchant_id: int, kind: str, key: str = "", key_prefix: str = "", how: str, actor: User | None = None
) -> int:
    """Close the open incidents of this cause (or of all causes that begin so); returns how many there were."""
    now: datetime = timezone.now()
    which = Q(key=key) if key else Q(key__startswith=key_prefix)
    return Incident.objects.filter(which, merchant_id=merchant_id, kind=kind, resolved_at=None).update(
        resolved_at=now, resolution=how[:300], resolved_by=actor
    )


def sweep_oversold(*, merchant_id: int | None = None) -> int:
    """Open an incident for each cell that promises more than it has, close those that are covered again.

    Returns how many cells are short now. Of one merchant, or of all.
    """
    short = StockLevel.objects.filter(available__lt=0).select_related("variant__product", "location")
    open_ones = Incident.objects.filter(kind=Kind.OVERSOLD, resolved_at=None)
    if merchant_id is not None:
        short, open_ones = short.filter(merchant=merchant_id), open_ones.filter(merchant=merchant_id)
    known = {incident.key: incident for incident in open_ones}
    levels = list(short.order_by("pk"))
    agreed = _agreed(levels)
    cells = {
        f"cell:{level.variant_id}:{level.location_id}": level
        for level in levels
        if -level.available > agreed.get((level.variant_id, level.location_id), 0)
    }
    for key, level in cells.items():
        missing = numbers.plain(-level.available)
        if key in known and known[key].detail.get("missing") == missing:
            continue
        open_or_count(
            merchant_id=level.merchant_id,
            kind=Kind.OVERSOLD,
            key=key,
            variant_id=level.variant_id,
            title=f"{level.variant.full_title}: {missing} more promised than there is at {level.location.name}.",
            missing=missing,
            location_id=level.location_id,
        )
    covered = [incident.pk for key, incident in known.items() if key not in cells]
    open_ones.filter(pk__in=covered).update(resolved_at=timezone.now(), resolution="covered again")
    return len(cells)


def _agreed(levels: Sequence[StockLevel]) -> dict[tuple[int, int], Decimal]:
    """Units that a rule lets channels sell beyond what is there, by a promised day: nobody need be told of those."""
    rows = CellPolicy.objects.filter(
        cell__listing__variant__in={level.variant_id for level in levels},
        oversell__in=[AvailabilityRule.Oversell.BACKORDER, AvailabilityRule.Oversell.PREORDER],
        oversell_until__gt=timezone.now(),
    ).values_list("cell__listing__variant", "cell__channel_location__location", "oversell_max")
    incoming = {(level.variant_id, level.location_id): level.incoming for level in levels}
    agreed: dict[tuple[int, int], Decimal] = {}
    for variant_id, location_id, most in rows:
        cell = (variant_id, location_id)
        units = incoming.get(cell, Decimal(0)) if most is None else most
        agreed[cell] = max(agreed.get(cell, Decimal(0)), units)
    return agreed
