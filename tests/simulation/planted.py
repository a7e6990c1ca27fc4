"""Bugs that shops have really suffered from, to be planted: each must be found within so many schedules.

Each is a context in which the product has the bug; what is replaced is named where it is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from unittest import mock

from django.db import transaction

from channels import applying, contact, inbox, intake, ports, publisher
from channels.connectors.square import client as square
from channels.models import ChannelLocation, ChannelWrite
from channels.ports import Count
from channels.reconcile import reading
from inventory import ledger, orders, reservations
from inventory.models import Location, Reservation, ReservationLine, StockLevel, Variant

Plant = Callable[[], "contextmanager"]
PLANTED: dict[str, Plant] = {}


def planted(function):
    """Name a bug."""
    PLANTED[function.__name__] = contextmanager(function)
    return PLANTED[function.__name__]


@planted
def acknowledged_before_applying() -> Iterator[None]:
    """The inbox calls events applied first and applies them then: what fails or dies in between is gone."""
    apply_orders = inbox._apply_orders

    def hasty(connection, by_order):
        inbox._finish(inbox._distinct(by_order), outcome="applied")
        return apply_orders(connection, by_order)

    with mock.patch.object(inbox, "_apply_orders", hasty):
        yield


@planted
def key_remade_on_retry() -> Iterator[None]:
    """A write that is repeated gets a key of its own: what was done before the answer was lost is done again."""
    take = publisher._take_open_write

    def forgetful(connection):
        write = take(connection)
        if write is not None:
            write.idempotency_key = ChannelWrite().idempotency_key
            write.created_at = ChannelWrite().created_at
        return write

    with mock.patch.object(publisher, "_take_open_write", forgetful):
        yield


@planted
def absence_is_zero() -> Iterator[None]:
    """What a channel left out of its answer is taken for none."""
    read = reading._read

    def filling(connection, inventory_ids):
        counts = read(connection, inventory_ids)
        told = {(count.inventory_id, count.location_id) for count in counts}
        places = ChannelLocation.objects.filter(connection=connection, is_active=True, location__isnull=False)
        wanted = {(item, place.external_id) for item in inventory_ids for place in places}
        return [*counts, *(Count(item, place, Decimal(0), None) for item, place in sorted(wanted - told))]

    with mock.patch.object(reading, "_read", filling):
        yield


@planted
def lock_removed() -> Iterator[None]:
    """A hold looks whether there is enough, and books then, without holding the level in between."""

    def trusting(*, merchant_id, key, wants, now, expires_at):
        (want,) = wants
        level = StockLevel.objects.get(variant=want.variant_id, location=want.location_id)
        if level.available < want.quantity:
            raise ledger.InsufficientStock([])
        Variant.objects.get(pk=want.variant_id)
        Location.objects.get(pk=want.location_id)
        with transaction.atomic():
            made = Reservation.objects.create(
                merchant_id=merchant_id, idempotency_key=key, created_at=now, expires_at=expires_at
            )
            ReservationLine.objects.create(
                reservation=made, variant_id=want.variant_id, location_id=want.location_id, quantity=want.quantity
            )
            entry = ledger.Entry(
                variant_id=want.variant_id, location_id=want.location_id, kind=ledger.Kind.RESERVE, key=key,
                occurred_at=now, reserved=want.quantity,
            )  # fmt: skip
            ledger.post(merchant_id=merchant_id, source="reservation", entries=[entry])
        return made

    with mock.patch.object(reservations, "reserve", trusting):
        yield


@planted
def applied_by_event() -> Iterator[None]:
    """Each message about an order books the order: the second one books it again."""

    bring = orders._bring

    def forgetting(one, state):
        for hold in one.holds.values():
            hold.committed = hold.fulfilled = orders.ZERO
        return bring(one, state)

    with (
        mock.patch.object(orders, "_is_older", return_value=False),
        mock.patch.object(orders, "_bring", forgetting),
        mock.patch.object(applying, "is_known", return_value=False),
    ):
        yield


# What shows each, looked at first: a seed found by playing from 0 on, or steps.
SEEN: dict[str, int | str] = {
    "absence_is_zero": "sell:752973cb,weather:00000009,wait:00000000,work:00000457",
    "acknowledged_before_applying": "order_ahead:b3377c5d,sell:de01c622,work:bab94ae0,work:43c107a1",
    "applied_by_event": 1,
    "key_remade_on_retry": 64,
    "lock_removed": "hold:00000019",
}

# Bugs that simulation found in the product, planted again.
FOUND: dict[str, Plant] = {}


def found(function):
    """Name a bug that was."""
    FOUND[function.__name__] = contextmanager(function)
    return FOUND[function.__name__]


@found
def withdrawal_told_late() -> Iterator[None]:
    """A webhook that tells of withdrawn access is believed, though the owner has let us in again since."""

    def believing(connection):
        contact.lost(connection_id=connection.pk, reason="The channel withdrew our access.")
        return "access withdrawn"

    with mock.patch.object(inbox, "_look_whether_let_in", believing):
        yield


@found
def left_when_it_was_placed() -> Iterator[None]:
    """An order that we first see after its goods left is dated by its placing: a count in between "saw" it."""

    def dated(one, state, *, left):
        return state.placed_at if one.is_new else state.updated_at

    with mock.patch.object(orders, "_happened_at", dated):
        yield


@found
def clock_ahead_of_the_vendors() -> Iterator[None]:
    """A time that Square calls the future is refused for good, and the number waits for a person."""
    with mock.patch.object(square, "_ahead_s", return_value=0.0):
        yield


@found
def clock_behind_ours_believed() -> Iterator[None]:
    """A channel's clock is behind ours: what it sells just after the opening is taken for history, and lost."""
    with mock.patch.object(ports, "CLOCKS_APART", timedelta(days=1)):
        yield


@found
def clock_set_back_between_changes() -> Iterator[None]:
    """A channel's clock is set back between two changes of one order: the second is passed over as the older one."""
    with mock.patch.object(orders, "_set_back", return_value=timedelta(0)):
        yield


@found
def place_opened_while_locked_out() -> Iterator[None]:
    """A place is opened while the channel lets nobody in: no message tells, and its numbers wait for good."""
    with mock.patch.object(intake, "ask_anew"):
        yield
