"""When several shops cannot reach one vendor, that is one thing to staff: the vendor's outage."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Count

from channels.models import Incident, Outage

SHOPS_MIN = 2


def sweep_outages(*, now: datetime) -> None:
    """Open an outage for each channel that several shops cannot reach, close those that ended.

    It ends with the last of its incidents, which have a hysteresis of their own.
    """
    unreachable = Incident.objects.unresolved().filter(kind=Incident.Kind.UNREACHABLE)
    shops = unreachable.order_by().values_list("connection__channel").annotate(Count("merchant", distinct=True))
    with transaction.atomic():
        for channel, count in shops:
            mine = unreachable.filter(connection__channel=channel)
            if count >= SHOPS_MIN:
                outage, _ = Outage.objects.get_or_create(
                    channel=channel, resolved_at=None, defaults={"opened_at": now, "seen_at": now}
                )
                Outage.objects.filter(pk=outage.pk).update(seen_at=now)
                mine.filter(outage=None).update(outage=outage)
        for outage in Outage.objects.filter(resolved_at=None).order_by("pk"):
            if not unreachable.filter(outage=outage).exists():
                Outage.objects.filter(pk=outage.pk).update(resolved_at=now)
