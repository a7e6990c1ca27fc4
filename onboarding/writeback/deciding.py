"""What people decide about a write to a channel's catalog: which lines, yes, stop, put it back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.timezone import now as utc_now

from channels.models import Connection
from onboarding.models import CatalogWrite, CatalogWriteLine
from onboarding.writeback import fields, waking
from storestudio.accounts import audit
from storestudio.accounts.models import User

State, Outcome = CatalogWrite.State, CatalogWriteLine.Outcome
WORD = "approve"


class NotAllowed(Exception):
    """Why this cannot be done with the write now, in words for the person who tried."""


class PreviewChanged(NotAllowed):
    """The lines are not those that were shown: look again before saying yes."""


@contextmanager
def _deciding(write_id: int, *, states: Sequence[str], otherwise: str) -> Iterator[CatalogWrite]:
    with transaction.atomic():
        rows = CatalogWrite.objects.select_for_update(of=("self",)).select_related("merchant", "connection")
        write: CatalogWrite = rows.get(pk=write_id)
        if write.state not in states:
            raise NotAllowed(otherwise)
        yield write


def blocked_reason(connection: Connection) -> str:
    """Why nothing may be sent to this channel now; "" where it may. One that was never live may be cleaned first."""
    if connection.state == Connection.State.LIVE:
        return ""
    if connection.state == Connection.State.PAUSED:
        return f"{connection.label} is paused: resume it first." if connection.approved_at else ""
    if connection.state == Connection.State.RECONNECT:
        return f"{connection.label} does not let us in: reconnect it first."
    return f"{connection.label} is disconnected."


def included(write: CatalogWrite) -> QuerySet[CatalogWriteLine]:
    """The lines a yes is a yes to, in order."""
    lines: QuerySet[CatalogWriteLine] = write.lines.filter(is_excluded=False).order_by("pk")
    return lines


def digest(write: CatalogWrite) -> str:
    """Names the lines as they are shown."""
    rows = list(included(write).values_list("pk", "before", "after"))
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:32]


def exclude(*, write_id: int, line_ids: Sequence[int], is_excluded: bool) -> int:
    """Leave lines of a draft out, or take them in again; returns how many changed. Raises NotAllowed."""
    with _deciding(write_id, states=(State.DRAFT,), otherwise="It is decided already.") as write:
        lines = write.lines.filter(pk__in=line_ids).exclude(is_excluded=is_excluded)
        return int(lines.update(is_excluded=is_excluded))


def approve(*, write_id: int, actor: User, word: str, shown: str) -> CatalogWrite:
    """A person's yes to the lines as shown (`shown` is their digest), with the word typed; sending begins.

    Raises PreviewChanged, NotAllowed. Locks the write.
    """
    with _deciding(write_id, states=(State.DRAFT,), otherwise="It is decided already.") as write:
        if word.strip().lower() != WORD:
            raise NotAllowed(f"Type “{WORD}” to say yes. Nothing was sent.")
        if digest(write) != shown:
            raise PreviewChanged("The lines have changed since. Look at them again, then say yes.")
        count = included(write).count()
        if not count:
            raise NotAllowed("Every line is left out: there is nothing to send.")
        if reason := blocked_reason(write.connection):
            raise NotAllowed(reason)
        write.state, write.approved_by, write.approved_at = State.SENDING, actor, utc_now()
        write.next_attempt_at = utc_now()
        try:
            with transaction.atomic():
                write.save()
        except IntegrityError as error:  # catalogwrite_one_sending_per_connection
            raise NotAllowed(f"Another write to {write.connection.label} is being sent. Wait for its end.") from error
        audit.record(
            actor=actor, merchant=write.merchant, action="writeback.approved", target=write,
            summary=f"{count} listings of {write.connection.label} to be written",
        )  # fmt: skip
        waking.wake(write.pk)
    return write


def cancel(*, write_id: int, actor: User | None) -> None:
    """Put a draft away, or stop sending: calls under way end, what is written stays until undone. Raises NotAllowed."""
    with _deciding(write_id, states=(State.DRAFT, State.SENDING), otherwise="It has ended.") as write:
        if write.state == State.DRAFT:
            CatalogWrite.objects.filter(pk=write.pk).update(state=State.CANCELLED)
        else:
            waiting = included(write).filter(outcome=Outcome.WAITING, sent_at=None)
            waiting.update(is_excluded=True, message="Stopped before it was sent.")
            waking.wake(write.pk)
        audit.record(
            actor=actor, merchant=write.merchant, action="writeback.cancelled", target=write,
            summary=f"Write to {write.connection.label} stopped",
        )  # fmt: skip


def undoable(write: CatalogWrite) -> QuerySet[CatalogWriteLine]:
    """Lines that we wrote: what was so already was not ours to take back."""
    lines: QuerySet[CatalogWriteLine] = write.lines.filter(outcome=Outcome.APPLIED, own__isnull=False).order_by("pk")
    return lines


def undo(*, write_id: int, actor: User | None) -> CatalogWrite:
    """A new draft that puts back what the channel had before this write; it wants a yes of its own.

    What somebody changed there since is found stale when it is sent, and kept. Raises NotAllowed.
    """
    with _deciding(write_id, states=(State.DONE,), otherwise="Only what was sent can be put back.") as write:
        earlier: CatalogWrite | None = CatalogWrite.objects.filter(undoes=write).exclude(state=State.CANCELLED).first()
        if earlier is not None:
            if earlier.state == State.DRAFT:
                return earlier
            raise NotAllowed("It was put back already.")
        lines = list(undoable(write))
        if not lines:
            raise NotAllowed("Nothing of it was written.")
        back = CatalogWrite.objects.create(
            merchant_id=write.merchant_id, connection=write.connection, undoes=write, created_by=actor
        )
        made = []
        for line in lines:
            before, after = fields.swapped(line.before, line.after)
            made.append(
                CatalogWriteLine(
                    write=back, listing_id=line.listing_id, before=before, after=after, put_back=line.own
                )
            )  # fmt: skip
        CatalogWriteLine.objects.bulk_create(made, batch_size=2000)
        audit.record(
            actor=actor, merchant=write.merchant, action="writeback.undo_drafted", target=back,
            summary=f"{len(made)} listings of {write.connection.label} would be put back",
        )  # fmt: skip
    return back
