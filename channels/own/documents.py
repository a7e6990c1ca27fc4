"""Holds and orders as they are told to the shop's own site: by the API and by webhooks alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from channels.availability import Promise
from channels.connectors.own.connector import as_number
from channels.own import orders
from channels.own.holds import HeldLine
from channels.own.site import Offer
from channels.promises import Dated
from inventory import reservations
from inventory.models import Location, Order, OrderHold, Reservation, ReservationLine

Json = dict[str, Any]


def moment(when: datetime | None) -> str | None:
    """As RFC 3339 in UTC."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None


def hold(one: Reservation, *, now: datetime, lines: Sequence[HeldLine] | None = None) -> Json:
    """A hold as it is at `now`; one query for its lines where they are not given."""
    if lines is None:
        rows = reservations.lines_of(one)
        lines = [HeldLine(row.variant_id, row.variant.sku, row.location_id, row.quantity, _later(row)) for row in rows]
    return {
        "id": str(one.public_id),
        "state": reservations.state_at(one, now=now),
        "reference": one.reference,
        "created_at": moment(one.created_at),
        "expires_at": moment(one.expires_at),
        "ended_at": moment(one.ended_at),
        "order_id": one.order.external_id if one.order else None,
        "lines": [
            {
                "variant_id": line.variant_id,
                "sku": line.sku,
                "location_id": line.location_id,
                "quantity": as_number(line.quantity),
                "promise": dated(line.later),
            }
            for line in lines
        ],
    }


def _later(row: ReservationLine) -> Dated | None:
    return Dated(row.later, row.promised_date) if row.later and row.promised_date else None


def _still_later(hold: OrderHold) -> Dated | None:
    return Dated(hold.still_later, hold.promised_date) if hold.still_later and hold.promised_date else None


def dated(one: Dated | None) -> Json | None:
    """Units that were promised for a day."""
    return None if one is None else {"quantity": as_number(one.units), "promised_date": one.day.isoformat()}


def order(one: Order) -> Json:
    """An order as we have it; two queries."""
    return {
        "order_id": one.external_id,
        "number": one.number,
        "state": str(one.state),
        "placed_at": moment(one.placed_at),
        "updated_at": moment(one.external_updated_at),
        "total": None if one.total is None else str(one.total),
        "currency": one.currency,
        "lines": [_line(now) for now in orders.lines_of(one)],
    }


def _line(now: orders.LineNow) -> Json:
    line = now.line
    return {
        "line_id": line.external_id,
        "variant_id": line.variant_id,
        "sku": line.sku,
        "quantity": as_number(line.quantity),
        "fulfilled": as_number(line.fulfilled),
        "restocked": as_number(line.restocked),
        "written_off": as_number(line.written_off),
        "places": [
            {
                "location_id": hold.location_id,
                "waiting": as_number(hold.committed),
                "fulfilled": as_number(hold.fulfilled),
                "promise": dated(_still_later(hold)),
            }
            for hold in now.holds
            if hold.committed or hold.fulfilled
        ],
    }


def offer(
    one: Offer, *, location_id: int | None = None, promises: Mapping[tuple[int, int], Promise] | None = None
) -> Json:
    """What may be sold of a variant, in all and by place, and what of it is promised for another day."""
    places = {place: number for place, number in sorted(one.by_location.items()) if location_id in (None, place)}
    promised = {
        place: found
        for place in places
        if (found := (promises or {}).get((one.variant_id, place))) is not None and found.left
    }
    later = {place: min(found.left, places[place]) for place, found in promised.items()}
    return {
        "variant_id": one.variant_id,
        "sku": one.sku,
        "available": as_number(sum(places.values(), Decimal(0))),
        "in_stock": as_number(sum(places.values(), Decimal(0)) - sum(later.values(), Decimal(0))),
        "locations": [
            {
                "location_id": place,
                "available": as_number(number),
                "in_stock": as_number(number - later.get(place, Decimal(0))),
                "promise": promise(promised[place]) if place in promised else None,
            }
            for place, number in places.items()
        ],
    }


def moved(one: Offer, *, location_id: int, promise_now: Promise | None) -> Json:
    """The number at one place with the days of what of it is not there yet."""
    return {
        "variant_id": one.variant_id,
        "location_id": location_id,
        "available": as_number(one.by_location.get(location_id, Decimal(0))),
        "promise": None if promise_now is None else promise(promise_now),
    }


def promise(one: Promise) -> Json:
    """Units that can be sold now and are there later."""
    return {
        "kind": one.kind,
        "quantity": as_number(one.left),
        "promised_date": one.promised_date.isoformat(),
        "message": one.message,
        "dates": [{"date": dated.day.isoformat(), "quantity": as_number(dated.units)} for dated in one.dates],
    }


def place(one: Location) -> Json:
    """A location."""
    return {"location_id": one.pk, "name": one.name, "timezone": one.timezone}
