"""More promised than there is: found from the stock alone, one incident a variant, whatever the number of places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import F
from django.utils import timezone

from channels import availability
from channels.incidents.life import Kind, open_or_count, resolve
from channels.models import CollisionDecision, IncidentSubject
from inventory.models import BundleComponent, StockLevel
from storestudio.accounts import numbers


def sweep_oversold(*, merchant_id: int | None = None, now: datetime | None = None) -> int:
    """Open an incident for each variant that promises more than it has, end those that are covered again.

    Returns how many cells are short now. Of one merchant, or of all.
    """
    moment = now or timezone.now()
    short = StockLevel.objects.filter(available__lt=0).select_related("variant__product", "location")
    known = IncidentSubject.objects.filter(
        incident__kind=Kind.OVERSOLD, incident__resolved_at=None, until=None
    ).select_related("incident")
    if merchant_id is not None:
        short, known = short.filter(merchant=merchant_id), known.filter(incident__merchant=merchant_id)
    levels = list(short.order_by("pk"))
    agreed = _agreed(levels)
    cells = {
        (level.merchant_id, f"variant:{level.variant_id}", f"location:{level.location_id}"): level
        for level in levels
        if -level.available > agreed.get((level.variant_id, level.location_id), 0)
    }
    standing = [one for one in known if one.incident.quiet_at is None]
    titles = {(one.incident.merchant_id, one.incident.key, one.key): one.title for one in standing}
    for cell, level in cells.items():
        title = _title(level)
        if titles.get(cell) != title:
            _open(cell, level, title, now=moment)
    gone: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for one in known.order_by("incident", "pk"):
        if (one.incident.merchant_id, one.incident.key, one.key) not in cells:
            gone[one.incident.merchant_id, one.incident.key].append(one.key)
    for (merchant, key), places in gone.items():
        for place in places:
            resolve(merchant_id=merchant, kind=Kind.OVERSOLD, key=key, subject=place, how="covered again", now=moment)
    return len(cells)


def _title(level: StockLevel) -> str:
    missing = numbers.plain(-level.available)
    return f"{level.variant.full_title}: {missing} more promised than there is at {level.location.name}."


def _open(cell: tuple[int, str, str], level: StockLevel, title: str, *, now: datetime) -> None:
    merchant, key, place = cell
    goods = level.variant.full_title.replace("{", "(").replace("}", ")")
    open_or_count(
        merchant_id=merchant,
        kind=Kind.OVERSOLD,
        key=key,
        subject=place,
        variant_id=level.variant_id,
        title=title,
        many=f"{goods}: more promised than there is at {{count}} places.",
        now=now,
        missing=numbers.plain(-level.available),
        location_id=level.location_id,
        on_hand=numbers.plain(level.on_hand),
        committed=numbers.plain(level.committed),
        reserved=numbers.plain(level.reserved),
    )


def _agreed(levels: Sequence[StockLevel]) -> dict[tuple[int, int], Decimal]:
    """Units that a rule lets channels sell beyond what is there, by a promised day: nobody need be told of those."""
    agreed = availability.beyond(variant_ids={level.variant_id for level in levels}) if levels else {}
    for cell, units in _waiting_for_a_delivery(levels).items():
        agreed[cell] = agreed.get(cell, Decimal(0)) + units
    return agreed


def _waiting_for_a_delivery(levels: Sequence[StockLevel]) -> dict[tuple[int, int], Decimal]:
    """Units that orders wait for by a person's decision until its day; never more than they still wait for."""
    rows = CollisionDecision.objects.filter(
        kind=CollisionDecision.Kind.BACKORDER,
        collision__variant__in={level.variant_id for level in levels},
        undone_at=None,
        until_date__gte=timezone.localdate(),
        line__holds__location=F("collision__location"),
        line__holds__committed__gt=0,
    ).values_list("collision__variant", "collision__location", "line__bundle", "units", "line__holds__committed")
    factors = {
        (bundle_id, variant_id): quantity
        for bundle_id, variant_id, quantity in BundleComponent.objects.filter(
            bundle__in={row[2] for row in rows if row[2]}
        ).values_list("bundle", "variant", "quantity")
    }
    waiting: dict[tuple[int, int], Decimal] = {}
    for variant_id, location_id, bundle_id, units, held in rows:
        cell = (variant_id, location_id)
        waits = min(units, held) * factors.get((bundle_id, variant_id), Decimal(1))
        waiting[cell] = waiting.get(cell, Decimal(0)) + waits
    return waiting
