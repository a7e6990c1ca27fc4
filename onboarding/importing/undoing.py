"""The way back of a batch: the journal undoes, and each row of the file lands in exactly one bucket."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connection as database
from django.db import transaction

from onboarding import journal
from onboarding.models import Change, ImportBatch, StagedRow
from storestudio.accounts.models import User

# A row is what the worst of its changes came to; a row that had changed nothing has nothing left to take back.
_UNTOUCHED = "it had changed nothing"
_ALL = """
UPDATE onboarding_stagedrow SET undo = 'reversed', undo_reason = %(untouched)s WHERE batch_id = %(batch)s
"""
_BUCKETS = """
WITH lines AS MATERIALIZED (
    SELECT line, bool_or(undo = 'could_not') AS could_not, bool_or(undo = 'kept') AS kept,
           string_agg(DISTINCT nullif(undo_reason, ''), '; ') FILTER (WHERE undo = 'could_not') AS why_not,
           string_agg(DISTINCT nullif(undo_reason, ''), '; ') FILTER (WHERE undo = 'kept') AS why_kept,
           string_agg(DISTINCT nullif(undo_reason, ''), '; ') AS why
    FROM onboarding_change WHERE changeset_id = %(changeset)s AND line IS NOT NULL GROUP BY line
)
UPDATE onboarding_stagedrow s
SET undo = CASE WHEN l.could_not THEN 'could_not' WHEN l.kept THEN 'kept' ELSE 'reversed' END,
    undo_reason = left(coalesce(CASE WHEN l.could_not THEN l.why_not WHEN l.kept THEN l.why_kept ELSE l.why END, ''),
                       300)
FROM lines l WHERE s.batch_id = %(batch)s AND s.number = l.line
"""


class Stopped(Exception):
    """The undoing was asked to pause; what is undone is committed, and it goes on from there."""


def undo(batch: ImportBatch, *, on_progress: Callable[[int], None]) -> None:
    """Undo the batch's change set and sort its rows; safe to call again after a crash or a Stopped."""
    if batch.changeset is None:
        raise RuntimeError("Nothing of this batch was applied.")
    actor = User.objects.filter(pk=batch.settings.get("undo_by")).first()
    # It is undone already where a worker ended before it had sorted the rows.
    with suppress(journal.AlreadyUndone):
        journal.undo(changeset_id=batch.changeset.pk, actor=actor, on_progress=on_progress)
    with transaction.atomic(), database.cursor() as cursor:
        values: dict[str, Any] = {"batch": batch.pk, "changeset": batch.changeset.pk, "untouched": _UNTOUCHED}
        # Fresh figures: a planner that takes the batch for a few rows would join them row by row, for minutes.
        cursor.execute("ANALYZE (SKIP_LOCKED) onboarding_change, onboarding_stagedrow")
        cursor.execute(_ALL, values)
        cursor.execute(_BUCKETS, values)


def buckets(batch: ImportBatch) -> dict[str, int]:
    """How many rows each bucket holds; the rows that had changed nothing are counted as “untouched”."""
    rows = StagedRow.objects.filter(batch=batch)
    found = {bucket: rows.filter(undo=bucket).count() for bucket in Change.Undo.values if bucket}
    found["untouched"] = rows.filter(undo=Change.Undo.REVERSED, undo_reason=_UNTOUCHED).count()
    return found


def loose_ends(batch: ImportBatch) -> list[Change]:
    """Changes that belong to no single row, such as the product that several rows share, and could not go."""
    changes = Change.objects.filter(changeset=batch.changeset, line=None)
    return list(changes.filter(undo__in=[Change.Undo.KEPT, Change.Undo.COULD_NOT]).order_by("pk")[:50])
