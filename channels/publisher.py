"""Keeps every channel cell's desired number true, and sends what is due: decreases first, each write once.

`desired` follows the stock inside the posting's own transaction (channels/sql/refresh.sql). A cell is due while
`desired` differs from `expected`. Sending is: claim due cells into a ChannelWrite with its own key and commit; call
the channel outside any transaction; settle what it answered. A worker that dies anywhere in between leaves a write
that is repeated with the same key and the same numbers, so that it takes effect once. Only the newest number of a
cell is ever claimed; one write a cell is in flight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from channels import contact, credentials, guards, incidents, registry
from channels.models import ChannelStock, ChannelWrite, ChannelWriteLine, Connection, IncidentSubject, Listing
from channels.ports import Connector, ConnectorError, CountResult, CountWrite, WriteOutcome
from storestudio.accounts import numbers
from storestudio.accounts.models import User

LEASE = timedelta(seconds=30)  # longer than a call's time-out: a write is taken up again only if its worker died
ISOLATED_AFTER = 1  # a cell that was in a refused batch goes alone next time, so that one bad cell stops no other
Outcome = ChannelWriteLine.Outcome
ZERO = Decimal(0)


def refresh_desired(*, connection_id: int | None = None, cell_ids: Sequence[int] = ()) -> int:
    """Recompute `desired` of all cells of a connection, or of the given cells; returns how many. Locks them."""
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute("SELECT channels_refresh(%s, %s::bigint[])", [connection_id, list(cell_ids)])
        return int(cursor.fetchone()[0])


def publish(*, connection_id: int, until: datetime) -> int:
    """Send what is due until nothing is, or the time is up; returns how many cells were told.

    Raises nothing for a channel's failure: contact.failed decides what it means and when to try again.
    """
    told = 0
    while timezone.now() < until:
        connection = Connection.objects.get(pk=connection_id)
        if not may_write(connection, now=timezone.now()):
            break
        write = _take_open_write(connection) or _claim(connection)
        if write is None:
            break
        told += _send(connection, write)
    return told


def may_write(connection: Connection, *, now: datetime) -> bool:
    """Whether numbers may be told there now: approved, live, and not resting (contact.may_call)."""
    return connection.state == Connection.State.LIVE and contact.may_call(connection, now=now)


def _take_open_write(connection: Connection) -> ChannelWrite | None:
    """A write whose worker died or whose answer never came, leased to us: one row changed, mine."""
    now = timezone.now()
    due = ChannelWrite.objects.filter(connection=connection, state=ChannelWrite.State.SENDING, next_attempt_at__lte=now)
    write: ChannelWrite | None = due.order_by("pk").first()
    if write is None or not due.filter(pk=write.pk).update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1):
        return None
    write.attempts += 1  # it is not the first attempt any more, whatever became of that one
    return write


def _claim(connection: Connection) -> ChannelWrite | None:
    """Bind due cells to a new write, decreases first, oldest first; None when nothing is due.

    Locks the cells, skipping those another transaction holds: they come next time.
    """
    guards.hold_due_cuts(connection)
    limit = registry.capabilities(connection.channel).write_batch_max
    with transaction.atomic():
        cells = list(
            due_cells(connection, now=timezone.now()).select_for_update(of=("self",), skip_locked=True)[:limit]
        )
        if not cells:
            return None
        if cells[0].attempts >= ISOLATED_AFTER:
            cells = cells[:1]
        else:
            cells = [cell for cell in cells if cell.attempts < ISOLATED_AFTER]
        return _bind(connection, cells, {cell.pk: cell.desired or ZERO for cell in cells})


def _bind(connection: Connection, cells: Sequence[ChannelStock], numbers: Mapping[int, Decimal]) -> ChannelWrite:
    """Store one write with its key before anything is sent; from now on these cells are in flight."""
    now = timezone.now()
    write = ChannelWrite.objects.create(
        merchant_id=connection.merchant_id,
        connection=connection,
        created_at=now,
        attempts=1,
        next_attempt_at=now + LEASE,
        mark=connection.write_mark,
    )
    ChannelWriteLine.objects.bulk_create(
        ChannelWriteLine(
            write=write,
            cell=cell,
            from_quantity=cell.expected,
            to_quantity=numbers[cell.pk],
            cause_event_id=cell.cause_event_id,
            cause_occurred_at=cell.cause_occurred_at,
            dirty_at=cell.dirty_at or now,
        )
        for cell in cells
    )
    ChannelStock.objects.filter(pk__in=[cell.pk for cell in cells]).update(write=write)
    return write


def restore(*, connection_id: int, numbers: Mapping[int, Decimal]) -> int:
    """Tell these cells these numbers now, whatever the rules say; returns how many were told. For “put it back”.

    Takes the publisher's own path (key stored first, compare-and-set or relative). Cells in flight are left out.
    """
    connection = Connection.objects.get(pk=connection_id)
    size = registry.capabilities(connection.channel).write_batch_max
    ids, told = sorted(numbers), 0
    for start in range(0, len(ids), size):
        with transaction.atomic():
            chosen = ChannelStock.objects.filter(
                pk__in=ids[start : start + size], connection=connection, write=None, expected__isnull=False
            )
            locked = list(chosen.order_by("pk").select_for_update())
            cells = [cell for cell in locked if cell.expected != numbers[cell.pk]]
            write = _bind(connection, cells, numbers) if cells else None
        if write is not None:
            told += _send(connection, write)
    return told


def due_cells(connection: Connection, *, now: datetime) -> QuerySet[ChannelStock]:
    """Cells to tell, in the order to tell them. Unlinked, untracked, missing, blocked, held and doubtful
    cells are never told."""
    due: QuerySet[ChannelStock] = (
        ChannelStock.objects.filter(
            Q(next_attempt_at=None) | Q(next_attempt_at__lte=now),
            connection=connection,
            dirty_at__isnull=False,
            write=None,
            blocked_reason="",
            drift_at=None,
            missing_at=None,
            held_by=None,
            listing__link=Listing.Link.LINKED,
            listing__is_tracked=True,
            listing__deleted_at=None,
            channel_location__is_active=True,
        )
        .exclude(desired=F("expected"))
        .annotate(is_rise=Q(desired__gt=F("expected")))
        .order_by("is_rise", "dirty_at", "pk")
    )
    return due


def _send(connection: Connection, write: ChannelWrite) -> int:
    """Tell one write's numbers and settle the answer; returns how many cells were told."""
    lines = list(write.lines.select_related("cell__listing", "cell__channel_location").order_by("pk"))
    writes = [
        CountWrite(
            inventory_id=line.cell.listing.inventory_id,
            location_id=line.cell.channel_location.external_id,
            from_quantity=line.from_quantity,
            to_quantity=line.to_quantity,
            is_first=write.attempts == 1,
            mark=write.mark,
        )
        for line in lines
    ]

    def tell(connector: Connector) -> Sequence[CountResult]:
        # `created_at`, not now: a repeated call must be the same to the letter, or its key is refused.
        return connector.write_counts(writes=writes, idempotency_key=str(write.idempotency_key), now=write.created_at)

    sent_at = timezone.now()
    try:
        results = credentials.with_fresh_token(connection.pk, tell)
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
        _settle_failure(connection, write, lines, error)
        return 0
    contact.heard(connection_id=connection.pk)
    _settle(connection, write, lines, results, sent_at=sent_at)
    return sum(result.outcome == WriteOutcome.APPLIED for result in results)


_SETTLE_CELLS = """
WITH said AS (
    SELECT * FROM unnest(%(cells)s::bigint[], %(outcomes)s::text[], %(moves)s::numeric[], %(after)s::numeric[])
        AS s(cell_id, outcome, move, after)
), locked AS (
    SELECT c.id, c.expected + CASE WHEN said.outcome = 'applied' THEN said.move ELSE 0 END AS expected
    FROM channels_channelstock c JOIN said ON said.cell_id = c.id ORDER BY c.id FOR NO KEY UPDATE OF c
)
UPDATE channels_channelstock c
SET write_id = NULL,
    -- Relative, because the channel's own orders may have moved `expected` while the write was under way.
    expected = locked.expected,
    -- What is wanted may have changed there and back meanwhile: a cell that was clean can be due now.
    dirty_at = CASE WHEN c.desired <> locked.expected THEN coalesce(c.dirty_at, %(now)s) END,
    cause_occurred_at = CASE WHEN c.desired <> locked.expected THEN c.cause_occurred_at END,
    told_at = CASE WHEN said.outcome = 'applied' THEN %(now)s ELSE c.told_at END,
    observed = CASE WHEN said.outcome = 'applied' THEN coalesce(said.after, c.observed) ELSE c.observed END,
    observed_at = CASE WHEN said.outcome = 'applied' AND said.after IS NOT NULL THEN %(now)s ELSE c.observed_at END,
    attempts = CASE WHEN said.outcome IN ('applied', 'skipped') THEN 0 ELSE c.attempts + 1 END,
    recheck_at = CASE WHEN said.outcome = 'stale' THEN %(now)s ELSE c.recheck_at END,
    next_attempt_at = CASE WHEN said.outcome = 'stale'
        THEN %(now)s::timestamptz + make_interval(secs => least(60, 2 ^ (c.attempts + 1))) END
FROM said, locked
WHERE c.id = said.cell_id AND locked.id = c.id
"""

_SETTLE_LINES = """
UPDATE channels_channelwriteline l
SET outcome = CASE s.outcome WHEN 'skipped' THEN 'stale' ELSE s.outcome END, message = s.message,
    sent_at = %(sent_at)s, answered_at = %(now)s
FROM unnest(%(lines)s::bigint[], %(outcomes)s::text[], %(messages)s::text[]) AS s(id, outcome, message)
WHERE l.id = s.id
"""


def _settle(
    connection: Connection,
    write: ChannelWrite,
    lines: Sequence[ChannelWriteLine],
    results: Sequence[CountResult],
    *,
    sent_at: datetime,
) -> None:
    now = timezone.now()
    values: dict[str, Any] = {
        "cells": [line.cell_id for line in lines],
        "lines": [line.pk for line in lines],
        "outcomes": [str(result.outcome) for result in results],
        "messages": [result.message[:300] for result in results],
        "moves": [line.to_quantity - line.from_quantity for line in lines],
        "after": [result.quantity_after for result in results],
        "now": now,
        "sent_at": sent_at,
    }
    with transaction.atomic():
        done = ChannelWrite.objects.filter(pk=write.pk, state=ChannelWrite.State.SENDING).update(
            state=ChannelWrite.State.DONE, sent_at=sent_at, answered_at=now
        )
        if not done:
            return  # another worker settled the repeated call
        peers = _lock_peers(values["cells"])
        with database.cursor() as cursor:
            cursor.execute(_SETTLE_CELLS, values)
            cursor.execute(_SETTLE_LINES, values)
        mark = max((result.mark for result in results), default=0)
        Connection.objects.filter(pk=connection.pk, write_mark__lt=mark).update(write_mark=mark)
        for line, result in zip(lines, results, strict=True):
            if result.outcome == WriteOutcome.REFUSED:
                _block(connection, line, result.message)
        _recompute(peers)


def _lock_peers(cell_ids: Sequence[int]) -> list[int] | None:
    """Lock these cells and those that share a pool in escrow with them: an answer here is what a rise there waits for.

    None, and nothing locked, where the shop sets nothing aside.
    """
    with database.cursor() as cursor:
        cursor.execute("SELECT channels_lock_peers(%s::bigint[])", [list(cell_ids)])
        peers: list[int] | None = cursor.fetchone()[0]
        return peers


def _recompute(peers: Sequence[int] | None) -> None:
    if peers:
        with database.cursor() as cursor:
            cursor.execute("SELECT channels_recompute(%s::bigint[])", [list(peers)])


def _block(connection: Connection, line: ChannelWriteLine, message: str) -> None:
    """A number the channel will not take: the cell waits for a person."""
    listing = line.cell.listing
    name, number = listing.sku or listing.product_title, numbers.plain(line.to_quantity)
    ChannelStock.objects.filter(pk=line.cell_id).update(blocked_reason=(message or "refused")[:300])
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.REFUSED,
        key=f"connection:{connection.pk}:{_alike(message)}",
        subject=f"cell:{line.cell_id}",
        many=f"{_braceless(connection.label)} refused {{count}} numbers for the same reason.",
        variant_id=listing.variant_id,
        cell_id=line.cell_id,
        title=f"{connection.label} refused {number} for {name}.",
        message=message,
    )


def _alike(message: str) -> str:
    """Names a refusal whatever numbers and codes stand in it: cells refused for one reason are one incident."""
    words = " ".join(word for word in message.split() if word.isalpha())
    return hashlib.blake2s(words.encode(), digest_size=6).hexdigest()


def _braceless(label: str) -> str:
    return label.replace("{", "(").replace("}", ")")


def _settle_failure(
    connection: Connection, write: ChannelWrite, lines: Sequence[ChannelWriteLine], error: ConnectorError
) -> None:
    """Keep the write to be repeated as it is, or give its cells back when repeating it cannot help."""
    now = timezone.now()
    gives_up = error.permanent or error.needs_reconnect or error.code == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    if not gives_up:
        wait_s = error.retry_after_s or contact.backoff_s(write.attempts - 1)
        ChannelWrite.objects.filter(pk=write.pk, state=ChannelWrite.State.SENDING).update(
            next_attempt_at=now + timedelta(seconds=wait_s), error=str(error)[:500]
        )
        return
    guilty = {lines[index].pk for index in error.lines} if error.lines else set()
    if error.permanent and not error.needs_reconnect and len(lines) == 1:
        guilty = {lines[0].pk}
    with transaction.atomic():
        ChannelWrite.objects.filter(pk=write.pk).update(
            state=ChannelWrite.State.FAILED, answered_at=now, error=str(error)[:500]
        )
        ChannelWriteLine.objects.filter(write=write).update(outcome=Outcome.REFUSED, answered_at=now)
        peers = _lock_peers([line.cell_id for line in lines])
        # Without a culprit named, each cell goes alone next time and the bad one shows itself.
        step = 0 if guilty or error.needs_reconnect else 1
        ChannelStock.objects.filter(write=write).order_by("pk").update(
            write=None, attempts=F("attempts") + step, next_attempt_at=None
        )
        for line in lines:
            if line.pk in guilty:
                _block(connection, line, str(error))
        _recompute(peers)


def unblock(*, cell_id: int, actor: User | None = None) -> None:
    """A person says: try this cell again. What is refused once more opens its incident anew."""
    ChannelStock.objects.filter(pk=cell_id).update(blocked_reason="", attempts=0, next_attempt_at=None)
    refused = IncidentSubject.objects.filter(
        cell=cell_id, until=None, incident__kind=incidents.Kind.REFUSED, incident__resolved_at=None
    )
    for merchant_id, key, subject in refused.values_list("incident__merchant", "incident__key", "key"):
        incidents.resolve(
            merchant_id=merchant_id, kind=incidents.Kind.REFUSED, key=key, subject=subject, how="sent again",
            actor=actor,
        )  # fmt: skip
