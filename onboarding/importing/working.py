"""Who works on a batch, and when: a lease that expires, a slice of time, then another's turn; cancelling in between.

Reading, comparing and rehearsing lead to a preview; a person's yes leads to applying; a person's word to undoing. Each
step commits chunk by chunk, so a worker that dies loses at most one chunk, and the next one takes up the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Q
from django.utils.timezone import now as utc_now

from onboarding.importing import applying, settling, staging, undoing, uploads
from onboarding.models import ImportBatch, ImportChunk, StagedRow
from onboarding.reading.rows import UnreadableFile
from storestudio.accounts import audit

LEASE = timedelta(seconds=60)
SLICE_S = 15.0  # then the worker lets other work have its turn
State, Phase = ImportBatch.State, ImportBatch.Phase
AT_WORK = (State.READING, State.APPLYING, State.UNDOING)
TRIES_MAX = 10
FILES_KEPT = timedelta(days=30)


def due() -> list[int]:
    """Batches that wait for a worker, the longest-waiting first."""
    free = Q(lease_until=None) | Q(lease_until__lt=utc_now())
    rows = ImportBatch.objects.filter(free, state__in=AT_WORK).order_by("changed_at", "pk")
    return list(rows.values_list("pk", flat=True))


def work(*, batch_id: int, slice_s: float = SLICE_S) -> bool:
    """Take the batch up for one slice; whether there is more to do. False also where another worker has it.

    After an exception the batch is tried again from its last commit, and given up after TRIES_MAX in a row.
    """
    now = utc_now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    if not ImportBatch.objects.filter(free, pk=batch_id, state__in=AT_WORK).update(lease_until=now + LEASE):
        return False
    batch = ImportBatch.objects.select_related("merchant", "connection", "changeset").get(pk=batch_id)
    step = {State.READING: _prepare, State.APPLYING: _apply, State.UNDOING: _undo}[State(batch.state)]
    until = time.monotonic() + slice_s
    try:
        step(batch, lambda: _renew(batch) and time.monotonic() < until)
    except UnreadableFile as error:
        _end(batch, State.FAILED, error=str(error))
    except staging.NeedsMapping:
        _end(batch, State.MAPPING)
    except Exception as error:
        _note_failure(batch_id, error)
        raise
    ImportBatch.objects.filter(pk=batch_id).update(lease_until=None, tries=0)
    return ImportBatch.objects.filter(pk=batch_id, state__in=AT_WORK).exists()


def _note_failure(batch_id: int, error: Exception) -> None:
    """Say what went wrong and when it is tried again; what cannot be done after many tries waits for a person."""
    batch = ImportBatch.objects.get(pk=batch_id)
    words = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]
    if batch.tries + 1 < TRIES_MAX or batch.state == State.UNDOING:
        again = utc_now() + min(LEASE, timedelta(seconds=2 ** (batch.tries + 1)))
        ImportBatch.objects.filter(pk=batch_id).update(error=words, tries=F("tries") + 1, lease_until=again)
        return
    _end(batch, State.FAILED if batch.changeset_id is None else State.CANCELLED, error=words)
    ImportBatch.objects.filter(pk=batch_id).update(lease_until=None, tries=0)


def _renew(batch: ImportBatch) -> bool:
    """Keep the lease; False where a person asked to stop."""
    ImportBatch.objects.filter(pk=batch.pk).update(lease_until=utc_now() + LEASE)
    return not _is_cancelled(batch)


def _is_cancelled(batch: ImportBatch) -> bool:
    return ImportBatch.objects.filter(pk=batch.pk, cancel_asked_at__isnull=False).exists()


def _enter(batch: ImportBatch, phase: str, *, total: int | None) -> None:
    batch.error = ""
    batch.phase, batch.phase_at, batch.rows_done, batch.work_total = phase, utc_now(), 0, total
    batch.save(update_fields=["phase", "phase_at", "rows_done", "work_total", "error"])


def _end(batch: ImportBatch, state: str, *, error: str = "") -> None:
    batch.state, batch.error, batch.phase, batch.changed_at = state, error[:500], Phase.NONE, utc_now()
    batch.cancel_asked_at = None
    batch.save(update_fields=["state", "error", "phase", "changed_at", "cancel_asked_at"])


def _prepare(batch: ImportBatch, go_on: Callable[[], bool]) -> None:
    """Read, compare, settle, rehearse: up to the preview."""
    if batch.phase == Phase.NONE:
        _enter(batch, Phase.READ, total=None)
    if batch.phase in (Phase.READ, Phase.COMPARE):
        step = staging.read if batch.phase == Phase.READ else staging.compare_again
        if not step(batch, go_on=go_on):
            _stop_if_asked(batch)
            return
        settling.settle(batch)
        batch.rows_total = StagedRow.objects.filter(batch=batch).count()
        batch.rows_read = batch.rows_total
        if not batch.rows_total:
            raise UnreadableFile("no_rows", "There are column headings and no rows under them.")
        batch.rehearsal = {"after": 0, "tally": {}}
        batch.save(update_fields=["rows_total", "rows_read", "rehearsal"])
        _enter(batch, Phase.REHEARSE, total=applying.pending(batch).count())
    if _rehearse(batch, go_on):
        _end(batch, State.STAGED)
    else:
        _stop_if_asked(batch)


def _stop_if_asked(batch: ImportBatch) -> None:
    if _is_cancelled(batch):
        _end(batch, State.CANCELLED)


def _rehearse(batch: ImportBatch, go_on: Callable[[], bool]) -> bool:
    while True:
        done = applying.rehearse(batch, after=batch.rehearsal["after"], actor=batch.created_by)
        if done is None:
            return True
        tally = batch.rehearsal["tally"]
        for name, amount in done.tally.items():
            tally[name] = str(Decimal(tally.get(name, 0)) + amount)
        with transaction.atomic():
            _refuse(batch, done.refused)
            batch.rehearsal["after"] = done.last
            batch.rows_done += done.rows
            batch.changed_at = utc_now()
            batch.save(update_fields=["rehearsal", "rows_done", "changed_at"])
        if not go_on():
            return False


def _refuse(batch: ImportBatch, refused: dict[int, str]) -> None:
    for row in StagedRow.objects.filter(batch=batch, number__in=refused).order_by("number"):
        words = f"The database refused it: {refused[row.number]}"
        row.problems = [*row.problems, {"field": "", "words": words, "is_error": True, "by_comparing": True}]
        row.action, row.diff = StagedRow.Action.ERROR, {}
        row.save(update_fields=["problems", "action", "diff"])


def _apply(batch: ImportBatch, go_on: Callable[[], bool]) -> None:
    if _is_cancelled(batch):
        _end(batch, State.CANCELLED)
        return
    while applying.apply_next(batch):
        if not go_on():
            _stop_if_asked(batch)
            return
    if applying.pending(batch).exists():
        return
    with transaction.atomic():
        batch.refresh_from_db(fields=["rows_done"])
        batch.applied_at = utc_now()
        batch.save(update_fields=["applied_at"])
        _end(batch, State.APPLIED)
        audit.record(
            actor=batch.changeset.actor if batch.changeset else None, merchant=batch.merchant,
            action="import.applied", target=batch, summary=f"{batch.name}: {batch.rows_done} rows applied",
        )  # fmt: skip
    uploads.discard_pieces(batch)


def _undo(batch: ImportBatch, go_on: Callable[[], bool]) -> None:
    def progressed(changes: int) -> None:
        batch.rows_done += changes
        ImportBatch.objects.filter(pk=batch.pk).update(rows_done=batch.rows_done, changed_at=utc_now())
        if not go_on():
            raise undoing.Stopped

    try:
        undoing.undo(batch, on_progress=progressed)
    except undoing.Stopped:
        return
    _end(batch, State.UNDONE)


def purge() -> int:
    """Let go of files that nobody decided about for a month; their rows stay. Returns how many pieces went."""
    old = ImportBatch.objects.filter(changed_at__lt=utc_now() - FILES_KEPT).exclude(state__in=AT_WORK)
    return ImportChunk.objects.filter(batch__in=old).delete()[0]
