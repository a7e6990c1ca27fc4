"""Units promised twice: found as soon as the stock says so, with who keeps them and why, and what took them.

A collision is open for a cell (variant at a place) while an incident says that more is promised there than there is. It
closes by itself when that is over, whatever made it good. Who keeps a unit follows from the orders as they are now and
is never stored as a decision: an order part of which has left comes first, then the earlier order, then holds; an order
that a person lets wait for a delivery comes last. What was sold over the counter is in a customer's hand and gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection as database
from django.db.models import Q
from django.utils import timezone

from channels import incidents
from channels.models import (
    ChannelWriteLine,
    Collision,
    CollisionDecision,
    Connection,
    InboundEvent,
    IncidentSubject,
    Listing,
)
from inventory.models import (
    BundleComponent,
    Order,
    OrderHold,
    OrderLine,
    Reservation,
    ReservationLine,
    StockLevel,
    StockMovement,
)
from storestudio.accounts import numbers

ZERO = Decimal(0)
Cause = Collision.Cause
Kind = StockMovement.Kind
Cell = tuple[int, int]  # variant, location
LOOKED_BACK = 500  # movements of a cell, to find the one that took it below what was promised


@dataclass(frozen=True)
class Claim:
    """One order line (or hold) that wants units of a cell. `units`, `gets`: of the cell's variant; `per`: in one piece.

    `why`: why it keeps them, or goes without, in words.
    """

    units: Decimal
    gets: Decimal
    per: Decimal
    why: str
    order: Order | None = None
    line: OrderLine | None = None
    hold: Reservation | None = None
    waits_until: Any = None

    @property
    def short(self) -> Decimal:
        """Units it cannot have."""
        return self.units - self.gets

    @property
    def name(self) -> str:
        """What people call it."""
        if self.order is not None:
            return f"Order {self.order.number or self.order.external_id}"
        return f"Hold {self.hold.reference or self.hold.public_id}" if self.hold else "?"


def sweep(*, merchant_id: int | None = None, now: datetime | None = None) -> int:
    """Bring incidents and collisions in line with the stock; returns how many cells are short.

    Of one merchant, or of all. One query while nothing collides.
    """
    if not _is_anything_short(merchant_id):
        return 0
    moment = now or timezone.now()
    short = incidents.sweep_oversold(merchant_id=merchant_id, now=moment)
    open_ones = Collision.objects.filter(closed_at=None)
    if merchant_id is not None:
        open_ones = open_ones.filter(merchant=merchant_id)
    known = {(one.variant_id, one.location_id): one for one in open_ones.order_by("pk")}
    standing = _standing(merchant_id) if short or known else {}
    levels = _levels(standing)
    new = [cell for cell in standing if cell not in known and cell in levels]
    Collision.objects.bulk_create(
        [_made(levels[cell], merchant_id=standing[cell], now=moment) for cell in new], ignore_conflicts=True
    )
    for cell, one in known.items():
        if cell not in standing:
            _close(one, now=moment)
        elif cell in levels and one.missing != -levels[cell].available:
            _look_again(one, levels[cell])
    return short


# Asked after each order: whether anything promises too much, or did and was not found well again.
_ANYTHING_SHORT = """
SELECT EXISTS (SELECT FROM inventory_stocklevel WHERE available < 0 AND {mine})
    OR EXISTS (SELECT FROM channels_collision WHERE closed_at IS NULL AND {mine})
    OR EXISTS (SELECT FROM channels_incident WHERE kind = 'oversold' AND resolved_at IS NULL AND {mine})
"""


def _is_anything_short(merchant_id: int | None) -> bool:
    mine = "merchant_id = %(merchant)s" if merchant_id is not None else "true"
    with database.cursor() as cursor:
        cursor.execute(_ANYTHING_SHORT.format(mine=mine), {"merchant": merchant_id})
        return bool(cursor.fetchone()[0])


def _standing(merchant_id: int | None) -> dict[Cell, int]:
    """Cells that an open incident calls oversold right now, with their merchant."""
    rows = IncidentSubject.objects.filter(
        incident__kind=incidents.Kind.OVERSOLD, incident__resolved_at=None, until=None, key__startswith="location:"
    )
    if merchant_id is not None:
        rows = rows.filter(incident__merchant=merchant_id)
    found = rows.values_list("incident__variant", "key", "incident__merchant")
    return {(variant, int(key.partition(":")[2])): merchant for variant, key, merchant in found if variant}


def _levels(cells: Collection[Cell]) -> dict[Cell, StockLevel]:
    rows = StockLevel.objects.filter(
        variant__in={cell[0] for cell in cells}, location__in={cell[1] for cell in cells}
    ).select_related("variant__product", "location")
    return {
        (level.variant_id, level.location_id): level for level in rows if (level.variant_id, level.location_id) in cells
    }


def _made(level: StockLevel, *, merchant_id: int, now: datetime) -> Collision:
    cause = cause_of(level)
    return Collision(
        merchant_id=merchant_id, variant=level.variant, location=level.location, missing=-level.available,
        cause=cause.kind, cause_words=cause.words[:500], evidence=cause.evidence, connection_id=cause.connection_id,
        latency_s=cause.latency_s, claims=_snapshot(claims(level)), opened_at=now,
    )  # fmt: skip


def _look_again(one: Collision, level: StockLevel) -> None:
    Collision.objects.filter(pk=one.pk, closed_at=None).update(
        missing=-level.available, claims=_snapshot(claims(level))
    )


def _close(one: Collision, *, now: datetime) -> None:
    """Say what made it good: the newest movement that made more available, or the decision to wait."""
    last = (
        StockMovement.objects.filter(variant=one.variant_id, location=one.location_id, recorded_at__gte=one.opened_at)
        .select_related("actor", "order")
        .order_by("-seq")
        .first()
    )
    waits = CollisionDecision.objects.filter(
        collision=one, kind=CollisionDecision.Kind.BACKORDER, undone_at=None
    ).exists()
    if waits and (last is None or last.available_after < 0):
        words = "Somebody waits for a delivery; everybody else is served."
    elif last is not None:
        by = f" by {last.actor.get_full_name()}" if last.actor else ""
        order = f", order {last.order.number or last.order.external_id}" if last.order else ""
        words = f"{last.get_kind_display()}{order}{by}: {numbers.plain(last.available_after)} available again."
    else:
        words = "Covered again."
    Collision.objects.filter(pk=one.pk, closed_at=None).update(closed_at=now, closing=words[:300])


# --- who keeps the units ------------------------------------------------------------------------------------


def claims(level: StockLevel) -> list[Claim]:
    """All that is promised of a cell, in the order in which it is served, with what each gets and why. Five queries."""
    holds = list(
        OrderHold.objects.filter(location=level.location_id, committed__gt=0)
        .filter(
            Q(line__variant=level.variant_id, line__bundle=None) | Q(line__bundle__components__variant=level.variant_id)
        )
        .select_related("line__order", "line__variant__product")
        .distinct()
    )
    per = _units_per_piece(holds, level.variant_id)
    has_left = set(
        OrderLine.objects.filter(order__in={hold.line.order_id for hold in holds}, fulfilled__gt=0).values_list(
            "order", flat=True
        )
    )
    waits = _lets_wait({hold.line_id for hold in holds})
    orders = sorted(
        holds,
        key=lambda hold: (
            hold.line_id in waits, hold.line.order_id not in has_left, hold.line.order.placed_at, hold.line_id
        ),
    )  # fmt: skip
    there = max(level.on_hand - level.unavailable, ZERO)
    found: list[Claim] = []
    for hold in orders:
        piece = per.get(hold.line.bundle_id, Decimal(1))
        units = hold.committed * piece
        gets = min(units, there)
        there -= gets
        why = _why(
            hold.line.order, gets=gets, units=units, has_left=hold.line.order_id in has_left, before=found,
            zone=level.location.timezone,
        )  # fmt: skip
        until = waits.get(hold.line_id)
        if until is not None and gets < units:
            why = f"waits for the delivery of {until.day} {until:%B}"
        found.append(Claim(units, gets, piece, why, order=hold.line.order, line=hold.line, waits_until=until))
    return found + _held(level, there)


def _units_per_piece(holds: Sequence[OrderHold], variant_id: int) -> dict[int | None, Decimal]:
    wanted = {hold.line.bundle_id for hold in holds if hold.line.bundle_id}
    rows = BundleComponent.objects.filter(bundle__in=wanted, variant=variant_id)
    return dict(rows.values_list("bundle", "quantity"))


def _lets_wait(line_ids: Collection[int]) -> dict[int, Any]:
    rows = CollisionDecision.objects.filter(
        line__in=line_ids, kind=CollisionDecision.Kind.BACKORDER, undone_at=None, until_date__gte=timezone.localdate()
    )
    return dict(rows.order_by("pk").values_list("line", "until_date"))


def _clock(moment: datetime, zone: str, style: str = "%H:%M:%S") -> str:
    """A time as the clock on that place's wall says it."""
    return moment.astimezone(ZoneInfo(zone)).strftime(style)


def _why(order: Order, *, gets: Decimal, units: Decimal, has_left: bool, before: Sequence[Claim], zone: str) -> str:
    placed = _clock(order.placed_at, zone, "%d %b, %H:%M")
    if gets == units:
        return f"part of this order has left already (ordered {placed})" if has_left else f"ordered {placed}"
    earlier = next((one.order for one in reversed(before) if one.order is not None and one.gets), None)
    rest = f"only {numbers.plain(gets)} left" if gets else "nothing is left"
    if earlier is None:
        return f"{rest}: the shelf has none to give (ordered {placed})"
    return f"{rest}: ordered {placed}, order {earlier.number or earlier.external_id} comes before it"


def _held(level: StockLevel, there: Decimal) -> list[Claim]:
    rows = ReservationLine.objects.filter(
        variant=level.variant_id, location=level.location_id, reservation__state=Reservation.State.HELD,
        reservation__expires_at__gt=timezone.now(),
    ).select_related("reservation").order_by("reservation__created_at", "pk")  # fmt: skip
    found = []
    for row in rows:
        gets = min(row.quantity, there)
        there -= gets
        why = "all orders are served" if gets == row.quantity else "only held, not ordered: orders come first"
        found.append(Claim(row.quantity, gets, Decimal(1), why, hold=row.reservation))
    return found


def _snapshot(found: Sequence[Claim]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name, "order": one.order.pk if one.order else None, "units": numbers.plain(one.units),
            "gets": numbers.plain(one.gets), "why": one.why,
        }
        for one in found
    ]  # fmt: skip


# --- what took them -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Why:
    """The cause of a collision, from evidence."""

    kind: str
    words: str
    evidence: Mapping[str, Any]
    connection_id: int | None = None
    latency_s: float | None = None


def cause_of(level: StockLevel) -> Why:
    """What took a cell below what was promised: the movement after which it never was covered again."""
    newest = list(
        StockMovement.objects.filter(level=level).select_related("actor", "order").order_by("-seq")[:LOOKED_BACK]
    )
    crossing = next((n for n, one in enumerate(newest) if one.available_after >= 0), len(newest))
    if not crossing:
        return Why(Cause.UNKNOWN, "No movement says why.", {})
    took, before = newest[crossing - 1], newest[crossing:]
    evidence: dict[str, Any] = {
        "movement": took.seq, "kind": took.kind, "event": took.event_id, "order": took.order_id,
        "occurred_at": took.occurred_at.isoformat(), "recorded_at": took.recorded_at.isoformat(),
    }  # fmt: skip
    units = numbers.plain(abs(took.on_hand - took.committed - took.reserved - took.unavailable))
    who = f" by {took.actor.get_full_name()}" if took.actor else ""
    if took.channel_id is None:
        return _by_hand(took, units, who, evidence)
    return _by_a_channel(level, took, before, units, evidence)


def _by_hand(took: StockMovement, units: str, who: str, evidence: dict[str, Any]) -> Why:
    reason = f" ({took.reason})" if took.reason else ""
    if took.kind == Kind.COUNT:
        return Why(Cause.COUNTED, f"A count{who} found {units} fewer than were promised{reason}.", evidence)
    if took.kind in (Kind.ADJUST, Kind.QUARANTINE):
        return Why(Cause.ADJUSTED, f"{took.get_kind_display()}{who}: {units} fewer{reason}.", evidence)
    if took.source.startswith("channel:"):
        return Why(Cause.OTHER_APP, f"A channel told of {units} fewer{reason}.", evidence)
    return Why(Cause.MOVED, f"{took.get_kind_display()}{who}: {units} units{reason}.", evidence)


def _by_a_channel(
    level: StockLevel, took: StockMovement, before: Sequence[StockMovement], units: str, evidence: dict[str, Any]
) -> Why:
    """A channel's fact: how late we heard of it, and how late its channel had heard of what was gone before."""
    connection = Connection.objects.filter(pk=took.channel_id or 0).first()
    label = connection.label if connection else "A channel"
    heard_s = (took.recorded_at - took.occurred_at).total_seconds()
    evidence["heard_after_s"] = round(heard_s, 3)
    event = InboundEvent.objects.filter(pk=took.event_id).first() if took.event_id else None
    if event is not None:
        evidence["received_at"] = event.received_at.isoformat()
    zone = level.location.timezone
    at = _clock(took.occurred_at, zone)
    what = f"{label} sold {units} at {at}"
    if took.order is None:
        return Why(
            Cause.OTHER_APP,
            f"{label} told of {units} fewer ({took.reason or 'no reason given'}).",
            evidence,
            took.channel_id,
        )
    if took.on_hand < 0 and not took.committed:
        words = f"{what}, over the counter: the customer has it in hand. We heard {_after(heard_s)}."
        return Why(Cause.TILL, words, evidence, took.channel_id, heard_s)
    if _sells_past_zero(took.channel_id, level.variant_id):
        words = f"{what}; it sells on when nothing is left."
        return Why(Cause.PAST_ZERO, words, evidence, took.channel_id, heard_s)
    other = next((one for one in before if one.channel_id not in (None, took.channel_id) and one.order_id), None)
    if other is None:
        words = f"{what}, more than there was. We heard {_after(heard_s)}."
        return Why(Cause.LATE, words, evidence, took.channel_id, heard_s)
    told_at = _told_at(took.channel_id, level, other)
    lag_s = max(((told_at or took.recorded_at) - other.occurred_at).total_seconds(), 0.0)
    evidence |= {
        "taken_before_by": other.seq,
        "told_at": told_at.isoformat() if told_at else None,
        "lag_s": round(lag_s, 3),
    }
    first = (
        Connection.objects.filter(pk=other.channel_id or 0).values_list("label", flat=True).first() or "another channel"
    )
    words = (
        f"{first} sold before, at {_clock(other.occurred_at, zone)}; {label} was told {_seconds(lag_s)} after that"
        if told_at
        else f"{first} sold before, at {_clock(other.occurred_at, zone)}; {label} had not been told yet"
    )
    return Why(Cause.LATE, f"{words}, and sold {units} at {at}.", evidence, took.channel_id, lag_s)


def _after(length_s: float) -> str:
    return "at once" if length_s < 1 else f"{_seconds(length_s)} later"


def _seconds(length_s: float) -> str:
    if length_s < 120:
        return f"{length_s:.1f} s"
    return f"{length_s / 60:.0f} min" if length_s < 7200 else f"{length_s / 3600:.0f} h"


def _sells_past_zero(connection_id: int | None, variant_id: int) -> bool:
    listings = Listing.objects.filter(connection=connection_id, variant=variant_id, deleted_at=None)
    return listings.filter(sells_past_zero=True).exists()


def _told_at(connection_id: int | None, level: StockLevel, since: StockMovement) -> datetime | None:
    """When the channel confirmed its first number after `since`."""
    lines = ChannelWriteLine.objects.filter(
        cell__connection=connection_id, cell__listing__variant=level.variant_id,
        cell__channel_location__location=level.location_id, outcome=ChannelWriteLine.Outcome.APPLIED,
        answered_at__gte=since.recorded_at,
    )  # fmt: skip
    return lines.order_by("answered_at").values_list("answered_at", flat=True).first()


@dataclass(frozen=True)
class Sums:
    """What collisions came to over a while: how many, by what cause, and what they cost by currency."""

    count: int
    by_cause: Sequence[tuple[str, int]]
    costs: Sequence[tuple[Decimal, str]]


def sums(*, merchant_id: int, since: datetime) -> Sums:
    """Of one shop; two queries."""
    causes: defaultdict[str, int] = defaultdict(int)
    for cause in Collision.objects.filter(merchant=merchant_id, opened_at__gte=since).values_list("cause", flat=True):
        causes[Cause(cause).label] += 1
    costs: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    decided = CollisionDecision.objects.filter(
        merchant=merchant_id, decided_at__gte=since, undone_at=None, cost__isnull=False
    )
    for cost, currency in decided.values_list("cost", "currency"):
        costs[currency] += cost or ZERO
    return Sums(
        count=sum(causes.values()),
        by_cause=sorted(causes.items(), key=lambda one: (-one[1], one[0])),
        costs=[(amount, currency) for currency, amount in sorted(costs.items())],
    )
