"""The mass-drop guard: a batch that would cut more numbers than its connection allows stops and asks a person.

A number is cut where it goes to zero or below, or loses more than half of itself and at least five units. A few cuts
are trade; more than the connection's `guard_cells`, or than its `guard_share` of all numbers above zero, is more often
a fault than a sale: an empty page read as zeros, another app, an import of half the goods. What is stopped is held
cell by cell (`ChannelStock.held_by`); everything else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from channels import incidents
from channels.models import ChannelStock, Connection, GuardLine, GuardStop
from storestudio.accounts import audit
from storestudio.accounts.models import User

UNITS_MIN = Decimal(5)
CELLS_MIN = 10  # so few are never a mass, however small the shop
PASSED_FOR = timedelta(days=1)  # a person's yes to a cell holds so long
Kind, State = GuardStop.Kind, GuardStop.State

_TITLES = {
    Kind.PUBLISH: "{count} numbers at {label} would drop at once. They are not sent until you have looked.",
    Kind.READING: "{label} suddenly shows much less of {count} items. Nothing is believed until you have looked.",
    Kind.CHANGES: "{label} tells of changes that cut {count} numbers. They are not booked until you have looked.",
}


@dataclass(frozen=True)
class Cut:
    """One cell's number before and after."""

    cell_id: int
    before: Decimal
    after: Decimal


class AlreadyDecided(Exception):
    """Somebody has answered for this batch."""


def is_cut(*, before: Decimal, after: Decimal) -> bool:
    """Whether this change is one of those that a guard counts."""
    return before > 0 and (after <= 0 or (before - after >= UNITS_MIN and after * 2 < before))


def allows(connection: Connection, *, cut: int) -> bool:
    """Whether so many cells may be cut at once without asking."""
    if cut <= CELLS_MIN:
        return True
    if cut > connection.guard_cells:
        return False
    cells = ChannelStock.objects.filter(connection=connection, expected__gt=0).count()
    return cut <= max(Decimal(CELLS_MIN), connection.guard_share * cells)


def stopped(connection: Connection, *, kind: str) -> GuardStop | None:
    """The stop of this kind that waits for a person."""
    found: GuardStop | None = GuardStop.objects.filter(connection=connection, kind=kind, state=State.OPEN).first()
    return found


def judge(connection: Connection, *, kind: str, cuts: Iterable[Cut]) -> GuardStop | None:
    """Stop these cuts where they are too many, or where a stop of this kind waits already; None: go on.

    Holds their cells (locks them, in primary-key order).
    """
    counted = [cut for cut in cuts if is_cut(before=cut.before, after=cut.after)]
    if not counted:
        return None
    stop = stopped(connection, kind=kind)
    if stop is None and allows(connection, cut=len(counted)):
        return None
    with transaction.atomic():
        # Locked, so that two workers add to one stop.
        Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        stop = stopped(connection, kind=kind) or GuardStop.objects.create(
            merchant_id=connection.merchant_id, connection=connection, kind=kind
        )
        GuardLine.objects.bulk_create(
            [GuardLine(stop=stop, cell_id=cut.cell_id, before=cut.before, after=cut.after) for cut in counted],
            update_conflicts=True, unique_fields=["stop", "cell"], update_fields=["before", "after"],
        )  # fmt: skip
        held = ChannelStock.objects.filter(pk__in=[cut.cell_id for cut in counted])
        list(held.order_by("pk").select_for_update(no_key=True).values_list("pk"))
        held.update(held_by=stop)
        _report(connection, stop)
    return stop


def _report(connection: Connection, stop: GuardStop) -> None:
    count = stop.lines.count()
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.GUARD,
        key=f"stop:{connection.pk}:{stop.kind}",
        title=_TITLES[Kind(stop.kind)].format(count=count, label=connection.label),
        stop=stop.pk,
        cells=count,
    )


# Cuts that are due now, that nobody let pass lately: the condition is `is_cut`.
_DUE_CUTS = """
SELECT c.id, c.expected, c.desired FROM channels_channelstock c
WHERE c.connection_id = %(connection)s AND c.dirty_at IS NOT NULL AND c.write_id IS NULL AND c.blocked_reason = ''
  AND c.held_by_id IS NULL AND c.drift_at IS NULL AND c.expected > 0 AND c.desired < c.expected
  AND (c.desired <= 0 OR (c.expected - c.desired >= %(units)s AND c.desired * 2 < c.expected))
  AND (c.guard_passed_at IS NULL OR c.guard_passed_at < %(passed)s)
"""


def hold_due_cuts(connection: Connection) -> GuardStop | None:
    """Before anything is sent: stop a mass of cuts among the numbers that are due."""
    with database.cursor() as cursor:
        passed = timezone.now() - PASSED_FOR
        cursor.execute(_DUE_CUTS, {"connection": connection.pk, "units": UNITS_MIN, "passed": passed})
        rows = cursor.fetchall()
    return judge(connection, kind=Kind.PUBLISH, cuts=[Cut(*row) for row in rows])


def decide(*, stop_id: int, is_approved: bool, actor: User) -> GuardStop:
    """A person's answer: let these cells drop, or throw the batch away and look again. Raises AlreadyDecided.

    Cells that were read are read again either way. Locks the stop, then its cells in primary-key order.
    """
    now = timezone.now()
    with transaction.atomic():
        stop: GuardStop = GuardStop.objects.select_for_update().select_related("connection__merchant").get(pk=stop_id)
        if stop.state != State.OPEN:
            raise AlreadyDecided(stop.get_state_display())
        stop.state = State.APPROVED if is_approved else State.DISCARDED
        stop.decided_at, stop.decided_by = now, actor
        stop.save(update_fields=["state", "decided_at", "decided_by"])
        held = ChannelStock.objects.filter(held_by=stop)
        list(held.order_by("pk").select_for_update(no_key=True).values_list("pk"))
        fields: dict[str, object] = {"held_by": None}
        if is_approved:
            fields["guard_passed_at"] = now
        if stop.kind != Kind.PUBLISH:
            fields["recheck_at"] = now
        held.update(**fields)
        incidents.resolve(
            merchant_id=stop.merchant_id, kind=incidents.Kind.GUARD, key=f"stop:{stop.connection_id}:{stop.kind}",
            how="approved" if is_approved else "discarded", actor=actor,
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=stop.connection.merchant, action=f"guard.{stop.state}", target=stop.connection,
            summary=f"{stop.get_kind_display()}: {stop.lines.count()} numbers, {stop.state}",
        )  # fmt: skip
    return stop
