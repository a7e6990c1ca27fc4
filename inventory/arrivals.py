"""Goods on their way: transfers between our places, and deliveries from suppliers. One model serves both.

Sent: the units leave the place they come from, if it is ours, and are incoming where they go. Received, in parts: they
are incoming no more and on hand there. What does not come, or comes damaged, is written off the incoming with its
reason, or is back where it left; what comes beyond what was sent is received all the same. For every line, at every
moment,

    left the origin = still on the way + received + damaged + missing - surplus

(tests/inventory/test_arrivals.py plays it), and what is incoming in the ledger is what open arrivals still expect
(`manage.py verify_ledger`). Locks: the arrival, then stock levels.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils.timezone import now as utc_now

from inventory import incoming, ledger
from inventory.models import Arrival, ArrivalLine, ArrivalStep, Bundle, Location, Variant
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import Merchant, User

SOURCE = "arrival"
ZERO = Decimal(0)
State = Arrival.State
Kind = ArrivalStep.Kind
_BUNDLE = "{} is a bundle and has no stock of its own: take its parts instead."
WAIT, MISSING, RETURNED = "wait", "missing", "returned"
OUTCOMES = ("received", "damaged", MISSING, RETURNED)


class Refused(Exception):
    """Why it cannot be done, in words for the person who tried. Nothing was posted."""


class ReasonWanted(Refused):
    """What came differs from what was sent, and nobody said why."""


@dataclass(frozen=True)
class Plan:
    """What is to travel: from a place of ours or from a supplier, to where, when, units a variant."""

    origin: Location | None
    supplier: str
    destination: Location
    expected_date: date | None
    note: str
    lines: Sequence[tuple[Variant, Decimal]]


@dataclass(frozen=True)
class Standing:
    """What one line comes to in the ledger, in units: `gone` from the origin, `arrived` and `underway` at the end."""

    gone: Decimal = ZERO
    arrived: Decimal = ZERO
    underway: Decimal = ZERO


def draft(*, merchant: Merchant, actor: User, key: uuid.UUID, plan: Plan, arrival_id: int | None = None) -> Arrival:
    """Write a plan down, or a draft anew; no stock moves. The same key again is the same arrival.

    Raises Refused. Locks the arrival.
    """
    _check(plan)
    fields: dict[str, Any] = {
        "origin": plan.origin, "supplier": plan.supplier, "destination": plan.destination,
        "expected_date": plan.expected_date, "note": plan.note,
    }  # fmt: skip
    with transaction.atomic():
        if arrival_id is None:
            found, is_new = Arrival.objects.get_or_create(
                merchant=merchant, key=key, defaults=fields | {"created_by": actor}
            )
            if not is_new:
                return found
        else:
            found = _locked(merchant, arrival_id)
            if found.state != State.DRAFT:
                raise Refused("It is on its way already: take that back first, or write another one.")
            Arrival.objects.filter(pk=found.pk).update(**fields)
            found.lines.all().delete()
            found = Arrival.objects.get(pk=found.pk)
        ArrivalLine.objects.bulk_create(
            ArrivalLine(arrival=found, variant=variant, quantity=quantity) for variant, quantity in plan.lines
        )
        _note(found, actor, "drafted", f"{len(plan.lines)} items from {found.sender} to {found.destination.name}")
        return found


def _check(plan: Plan) -> None:
    if not plan.lines:
        raise Refused("Nothing in it yet: scan or type a SKU or barcode.")
    if (plan.origin is None) == (not plan.supplier):
        raise Refused("Say where it comes from: one of your places, or a supplier.")
    if plan.origin == plan.destination:
        raise Refused("It goes to the place it comes from: choose another one.")
    made_up = Bundle.objects.filter(
        variant__in=[variant.pk for variant, _ in plan.lines], ended_at=None, is_stocked=False
    ).select_related("variant__product")
    names = sorted(bundle.variant.full_title for bundle in made_up)
    if names:
        raise Refused(_BUNDLE.format(", ".join(names)))


def send(
    *, merchant: Merchant, actor: User, arrival_id: int, key: uuid.UUID, now: datetime, is_fact: bool = False
) -> ArrivalStep:
    """It is on its way now. A transfer takes its units from where they are: all or nothing, from what is available
    there, unless it has left already (`is_fact`): then it is recorded, below zero too.

    Raises Refused, ledger.InsufficientStock (nothing was posted). Locks the arrival, then levels.
    """
    with transaction.atomic():
        arrival = _locked(merchant, arrival_id)
        if done := _done(arrival, key):
            return done
        if arrival.state != State.DRAFT:
            raise Refused("It was sent already.")
        lines = _lines(arrival)
        before = _standings(arrival, lines)
        arrival.state, arrival.sent_at = State.OPEN, now
        step = _step(arrival, Kind.SEND, key, actor, now, was=State.DRAFT)
        posted = _post(arrival, lines, before, key=str(step.pk), actor=actor, reason=arrival.note)
        # The units must be there where they leave; where they go, they help whatever is short.
        short = [
            {"variant_id": row.variant_id, "location_id": row.location_id, "available_after": str(row.available_after)}
            for row in posted
            if row.location_id == arrival.origin_id and row.available_after < 0
        ]
        if short and not is_fact:
            raise ledger.InsufficientStock(short)
        units = numbers.plain(sum((line.quantity for line in lines), ZERO))
        _note(arrival, actor, "sent", f"{units} units from {arrival.sender} to {arrival.destination.name}")
        return step


def receive(
    *,
    merchant: Merchant,
    actor: User,
    arrival_id: int,
    key: uuid.UUID,
    arrived: Mapping[int, Decimal],
    rest: str,
    reason: str,
    now: datetime,
    damaged: Mapping[int, Decimal] | None = None,
) -> ArrivalStep:
    """Units by line that came now, fit to be sold or `damaged`; more than was sent is a surplus, received all the same.
    What has not come waits, is missing, or is back at the origin (`rest`); with nothing left to come it is closed.

    Raises Refused. Locks the arrival, then levels.
    """
    with transaction.atomic():
        arrival = _locked(merchant, arrival_id)
        if done := _done(arrival, key):
            return done
        if arrival.state != State.OPEN:
            raise Refused("It is not on its way: there is nothing to receive.")
        if rest == RETURNED and not arrival.is_transfer:
            raise Refused("Only what left one of your places can be back there.")
        lines = _lines(arrival)
        before = _standings(arrival, lines)
        broken = damaged or {}
        changes = [_receive_line(line, arrived.get(line.pk, ZERO), broken.get(line.pk, ZERO), rest) for line in lines]
        changes = [change for change in changes if len(change) > 1]
        if not changes:
            raise Refused("Nothing changes: type how many came, or say that the rest will not come.")
        if not reason and any(set(change) & {"damaged", MISSING, RETURNED, "surplus"} for change in changes):
            raise ReasonWanted("It is not what was sent: say in a few words why.")
        if not any(_remaining(line) for line in lines):
            arrival.state, arrival.closed_at = State.RECEIVED, now
        step = _step(arrival, Kind.RECEIVE, key, actor, now, was=State.OPEN, reason=reason, changes=changes)
        named = {change["line"]: difference_words(change) for change in changes}
        _post(arrival, lines, before, key=str(step.pk), actor=actor, reason=reason or arrival.note, named=named)
        units = numbers.plain(sum((Decimal(change.get("received", 0)) for change in changes), ZERO))
        _note(arrival, actor, "received", f"{units} units at {arrival.destination.name}", reason=reason)
        return step


def _receive_line(line: ArrivalLine, came: Decimal, damaged: Decimal, rest: str) -> dict[str, Any]:
    change: dict[str, Any] = {"line": line.pk}
    surplus = line.surplus
    for name, units in (("received", came), ("damaged", damaged)):
        if units:
            setattr(line, name, getattr(line, name) + units)
            change[name] = str(units)
    if line.surplus > surplus:
        change["surplus"] = str(line.surplus - surplus)
    left = _remaining(line)
    if left and rest != WAIT:
        setattr(line, rest, getattr(line, rest) + left)
        change[rest] = str(left)
    return change


def cancel(
    *, merchant: Merchant, actor: User, arrival_id: int, key: uuid.UUID, reason: str, now: datetime
) -> ArrivalStep:
    """Nothing more comes of it: what is on its way from a place of ours is back there, a supplier's is not expected.

    Raises Refused. Locks the arrival, then levels.
    """
    with transaction.atomic():
        arrival = _locked(merchant, arrival_id)
        if done := _done(arrival, key):
            return done
        if arrival.state not in (State.DRAFT, State.OPEN):
            raise Refused("It is closed already.")
        lines = _lines(arrival)
        before, was = _standings(arrival, lines), arrival.state
        rest = RETURNED if arrival.is_transfer else MISSING
        changes = [_receive_line(line, ZERO, ZERO, rest) for line in lines] if arrival.sent_at else []
        changes = [change for change in changes if len(change) > 1]
        has_come = any(line.received or line.damaged for line in lines)
        arrival.state, arrival.closed_at = State.RECEIVED if has_come else State.CANCELLED, now
        step = _step(arrival, Kind.CANCEL, key, actor, now, was=was, reason=reason, changes=changes)
        _post(arrival, lines, before, key=str(step.pk), actor=actor, reason=reason or "Cancelled")
        _note(arrival, actor, "cancelled", f"from {arrival.sender} to {arrival.destination.name}", reason=reason)
        return step


def undo(*, merchant: Merchant, actor: User, arrival_id: int, step_id: int, now: datetime) -> ArrivalStep:
    """Take the newest step back; again changes nothing. Raises Refused. Locks the arrival, then levels."""
    with transaction.atomic():
        arrival = _locked(merchant, arrival_id)
        steps = list(arrival.steps.order_by("-pk"))
        step = next((one for one in steps if one.pk == step_id), None)
        if step is None:
            raise Refused("There is no such step.")
        if step.undone_at is not None:
            return step
        if step != next(one for one in steps if one.undone_at is None):
            raise Refused("Something was done since: take that back first.")
        lines = _lines(arrival)
        before = _standings(arrival, lines)
        known = {line.pk: line for line in lines}
        for change in step.changes:
            for name in OUTCOMES:
                line = known[change["line"]]
                setattr(line, name, getattr(line, name) - Decimal(change.get(name, 0)))
        arrival.state, arrival.closed_at = step.was, None
        if step.was == State.DRAFT:
            arrival.sent_at = None
        step.undone_at, step.undone_by = now, actor
        step.save(update_fields=["undone_at", "undone_by"])
        label = step.get_kind_display().lower()
        _post(arrival, lines, before, key=f"undo:{step.pk}", actor=actor, reason=f"Undo: {label}")
        _note(arrival, actor, "undone", label)
        return step


def reschedule(*, merchant: Merchant, actor: User, arrival_id: int, expected_date: date | None) -> Arrival:
    """Another day, or none; what may be promised on it changes with it. Raises Refused. Locks the arrival."""
    with transaction.atomic():
        arrival = _locked(merchant, arrival_id)
        if arrival.state not in (State.DRAFT, State.OPEN):
            raise Refused("It is closed already.")
        before, arrival.expected_date = arrival.expected_date, expected_date
        arrival.lapsed_at = None
        arrival.save(update_fields=["expected_date", "lapsed_at"])
        if arrival.state == State.OPEN:
            variants = list(arrival.lines.order_by("pk").values_list("variant_id", flat=True))
            incoming.announce(location_id=arrival.destination_id, variant_ids=variants)
        _note(arrival, actor, "rescheduled", f"from {before or 'no day'} to {expected_date or 'no day'}")
        return arrival


_LAPSED = """
SELECT a.id FROM inventory_arrival a JOIN accounts_merchant m ON m.id = a.merchant_id
WHERE a.state = 'open' AND a.lapsed_at IS NULL AND a.expected_date < (%s AT TIME ZONE m.timezone)::date
ORDER BY a.id LIMIT 200
"""


def lapse(*, now: datetime) -> int:
    """Notice what should be there since yesterday and is not: nothing more is promised on it. Returns how many.

    Each in a transaction of its own; safe to run twice and at once. Locks the arrival, then whoever follows the stock.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAPSED, [now])
        due = [row[0] for row in cursor.fetchall()]
    done = 0
    for arrival_id in due:
        with transaction.atomic():
            still = Arrival.objects.select_for_update(of=("self",), skip_locked=True)
            arrival = still.filter(pk=arrival_id, state=State.OPEN, lapsed_at=None).first()
            if arrival is None:
                continue
            arrival.lapsed_at = now
            arrival.save(update_fields=["lapsed_at"])
            variants = list(arrival.lines.order_by("pk").values_list("variant_id", flat=True))
            incoming.announce(location_id=arrival.destination_id, variant_ids=variants)
            done += 1
    return done


def _locked(merchant: Merchant, arrival_id: int) -> Arrival:
    rows = Arrival.objects.of(merchant).select_related("origin", "destination", "merchant")
    found: Arrival = rows.select_for_update(of=("self",)).get(pk=arrival_id)
    return found


def _lines(arrival: Arrival) -> list[ArrivalLine]:
    return list(arrival.lines.select_related("variant__product").order_by("pk"))


def _done(arrival: Arrival, key: uuid.UUID) -> ArrivalStep | None:
    return arrival.steps.filter(key=key).first()


def _remaining(line: ArrivalLine) -> Decimal:
    """As the database will generate it: the row in hand has changed and is not stored yet."""
    remaining: Decimal = max(line.quantity - line.received - line.damaged - line.missing - line.returned, ZERO)
    return remaining


def _standings(arrival: Arrival, lines: Sequence[ArrivalLine]) -> dict[int, Standing]:
    if arrival.sent_at is None:
        return {line.pk: Standing() for line in lines}
    return {line.pk: Standing(line.quantity - line.returned, line.received, _remaining(line)) for line in lines}


def difference_words(change: Mapping[str, Any]) -> str:
    """What a line's change names beside what came: “2 damaged, 1 missing”; “1 too many”."""
    words = (("damaged", "damaged"), (MISSING, "missing"), (RETURNED, "back where they left"), ("surplus", "too many"))
    return ", ".join(f"{numbers.plain(Decimal(change[name]))} {said}" for name, said in words if name in change)


def _step(
    arrival: Arrival,
    kind: str,
    key: uuid.UUID,
    actor: User,
    now: datetime,
    *,
    was: str,
    reason: str = "",
    changes: Sequence[Mapping[str, Any]] = (),
) -> ArrivalStep:
    return ArrivalStep.objects.create(
        arrival=arrival, kind=kind, key=key, done_by=actor, done_at=now, was=was, reason=reason, changes=list(changes)
    )


def _post(
    arrival: Arrival,
    lines: Sequence[ArrivalLine],
    before: Mapping[int, Standing],
    *,
    key: str,
    actor: User,
    reason: str,
    named: Mapping[int, str] | None = None,
) -> list[ledger.Posted]:
    """Store the rows, and post to the ledger by how much each line stands differently now, all in one batch.

    `named`: by line what is different about it, said before the reason.
    """
    arrival.save(update_fields=["state", "sent_at", "closed_at"])
    ArrivalLine.objects.bulk_update(lines, list(OUTCOMES))
    after, now = _standings(arrival, lines), utc_now()
    entries = []
    for line in lines:
        old, new = before[line.pk], after[line.pk]
        gone, came, underway = new.gone - old.gone, new.arrived - old.arrived, new.underway - old.underway
        kind = ledger.Kind.TRANSFER if arrival.is_transfer else ledger.Kind.RECEIVE if came else ledger.Kind.EXPECT
        words = ": ".join(filter(None, [(named or {}).get(line.pk, ""), reason]))
        common: dict[str, Any] = {"kind": kind, "occurred_at": now, "actor_id": actor.pk, "reason": words}
        if gone and arrival.origin_id is not None:
            entries.append(
                ledger.Entry(line.variant_id, arrival.origin_id, key=f"{key}:{line.pk}:from", on_hand=-gone, **common)
            )
        if came or underway:
            entries.append(
                ledger.Entry(
                    line.variant_id, arrival.destination_id, key=f"{key}:{line.pk}:to", on_hand=came,
                    incoming=underway, **common,
                )
            )  # fmt: skip
    try:
        return ledger.post(merchant_id=arrival.merchant_id, source=SOURCE, entries=entries)
    except ledger.NoStockOfItsOwn as problem:
        names = [line.variant.full_title for line in lines if line.variant_id in problem.variant_ids]
        raise Refused(_BUNDLE.format(", ".join(names) or "One of the items")) from problem


def _note(arrival: Arrival, actor: User, deed: str, summary: str, **detail: object) -> None:
    kind = "Transfer" if arrival.is_transfer else "Delivery"
    words = f"{kind} #{arrival.pk} {deed}: {summary}"
    audit.record(
        actor=actor, merchant=arrival.merchant, action=f"arrival.{deed}", target=arrival, summary=words, **detail
    )
