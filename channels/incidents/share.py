"""Of what people were told of, how much did they act on? What nobody acts on should not have been told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q

from channels.incidents.policies import STAFF_KINDS
from channels.models import Incident

SPAN = timedelta(days=30)
WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Acted:
    """Incidents of the last 30 days that opened, and those that a person took on or resolved within a day."""

    told: int = 0
    acted: int = 0

    @property
    def share(self) -> float | None:
        """In percent; None where nothing was told."""
        return 100 * self.acted / self.told if self.told else None


def acted_on(*, merchants: Collection[int], now: datetime) -> dict[int, Acted]:
    """By merchant id; one query. What opened less than a day ago and waits still has its time: it is not counted."""
    within = Q(acknowledged_at__lte=F("confirmed_at") + WITHIN) | Q(
        resolved_by__isnull=False, resolved_at__lte=F("confirmed_at") + WITHIN
    )
    waits = Q(confirmed_at__gt=now - WITHIN, acknowledged_at=None, resolved_at=None)
    rows = (
        Incident.objects.filter(~waits, merchant__in=merchants, confirmed_at__gt=now - SPAN)
        .exclude(kind__in=STAFF_KINDS)
        .order_by()
        .values_list("merchant")
        .annotate(told=Count("pk"), acted=Count("pk", filter=within))
    )
    found = {merchant: Acted(told=told, acted=acted) for merchant, told, acted in rows}
    return {merchant: found.get(merchant, Acted()) for merchant in merchants}
