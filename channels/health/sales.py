"""What was sold today, by channel. Quantities in units, from the ledger alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Sum
from django.db.models.functions import ExtractHour

from channels.models import Connection
from inventory.models import Order, StockMovement
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
Kind = StockMovement.Kind
SOLD_KINDS = (Kind.SALE, Kind.COMMIT, Kind.FULFILL, Kind.RELEASE)
# Units sold: a till's sale leaves the shelf, an order is promised, its fulfilment turns one into the other, a
# cancelled order gives back. Units that a later count had already seen were sold all the same.
SOLD = Sum(F("committed") - F("on_hand") - F("absorbed"))


@dataclass(frozen=True)
class ChannelSales:
    """One channel's day."""

    name: str
    connection_id: int | None
    units: Decimal
    orders: int
    taken: Decimal
    hours: Sequence[Decimal]  # units of each hour so far


@dataclass(frozen=True)
class Sales:
    """The day so far, in the shop's zone."""

    channels: Sequence[ChannelSales]
    units: Decimal
    orders: int
    taken: Decimal
    returned: Decimal
    hours: Sequence[Decimal]
    busiest: Decimal


def sales_today(*, merchant: Merchant, now: datetime) -> Sales:
    """Units and orders by channel since midnight at the shop."""
    zone = ZoneInfo(merchant.timezone)
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    movements = (
        StockMovement.objects.of(merchant)
        .filter(recorded_at__gte=midnight, occurred_at__gte=midnight, channel_id__isnull=False)
        .order_by()
    )
    by_hour: dict[int, list[Decimal]] = {}
    sold = movements.filter(kind__in=SOLD_KINDS).annotate(hour=ExtractHour("occurred_at", tzinfo=zone))
    for row in sold.values("channel_id", "hour").annotate(units=SOLD):
        hours = by_hour.setdefault(row["channel_id"], [ZERO] * 24)
        hours[row["hour"]] += row["units"]
    returned = movements.filter(kind=Kind.RETURN).aggregate(units=Sum(F("on_hand") + F("absorbed")))["units"]
    orders = {
        row["channel_id"]: row
        for row in Order.objects.of(merchant)
        .filter(placed_at__gte=midnight)
        .exclude(state=Order.State.CANCELLED)
        .order_by()
        .values("channel_id")
        .annotate(count=Count("pk"), taken=Sum("total"))
    }
    connections = {one.pk: one for one in Connection.objects.of(merchant).order_by("pk")}
    shown = [one for one in connections.values() if one.state != Connection.State.CLOSED or one.pk in by_hour]
    rows = [
        _of_channel(connection=one, hours=by_hour.get(one.pk), orders=orders.get(one.pk), until=local.hour)
        for one in shown
    ]
    rows.sort(key=lambda row: -row.units)
    hours = [sum((row.hours[hour] for row in rows), ZERO) for hour in range(local.hour + 1)]
    return Sales(
        channels=rows,
        units=sum((row.units for row in rows), ZERO),
        orders=sum(row.orders for row in rows),
        taken=sum((row.taken for row in rows), ZERO),
        returned=returned or ZERO,
        hours=hours,
        busiest=max((max(row.hours) for row in rows), default=ZERO),
    )


def _of_channel(
    *, connection: Connection, hours: list[Decimal] | None, orders: Mapping[str, Any] | None, until: int
) -> ChannelSales:
    so_far = (hours or [ZERO] * 24)[: until + 1]
    return ChannelSales(
        name=connection.label,
        connection_id=connection.pk,
        units=sum(so_far, ZERO),
        orders=orders["count"] if orders else 0,
        taken=(orders["taken"] if orders else None) or ZERO,
        hours=so_far,
    )
