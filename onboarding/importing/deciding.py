"""What people decide about a batch: which column is what, which place is ours, yes, stop, take it back.

Each decision is one transaction with its line in the audit trail, and wakes a worker where there is work to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from channels.models import Connection
from inventory.models import Location
from onboarding import journal, reading
from onboarding.importing import applying, catalogs, uploads, waking
from onboarding.importing.fields import STOCK
from onboarding.importing.working import AT_WORK
from onboarding.models import ChangeSet, ColumnMapping, ImportBatch, StagedRow
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

State, Phase = ImportBatch.State, ImportBatch.Phase
WORD = "cut stock"
# More than this share of the stock at the places a file counts, or more cells than this down to zero, wants the word.
CUT_SHARE_MAX = Decimal("0.2")
ZEROED_MAX = 5


class NotAllowed(Exception):
    """Why this cannot be done with the batch now, in words for the person who tried."""


@contextmanager
def _deciding(batch_id: int, *, states: Sequence[str], otherwise: str) -> Iterator[ImportBatch]:
    with transaction.atomic():
        rows = ImportBatch.objects.select_for_update(of=("self",)).select_related("merchant", "changeset")
        batch: ImportBatch = rows.get(pk=batch_id)
        if batch.state not in states:
            raise NotAllowed(otherwise)
        yield batch
        batch.changed_at = utc_now()
        batch.save()


@dataclass(frozen=True)
class StockGuard:
    """What the counts of a batch would do to the stock at the places they are for, in cells and units."""

    cells: int
    zeroed: int
    cut: Decimal
    added: Decimal
    held: Decimal

    @property
    def needs_word(self) -> bool:
        """Whether so much would go that a click is not enough."""
        return self.zeroed > ZEROED_MAX or (self.cut > 0 and self.cut > self.held * CUT_SHARE_MAX)


_GUARD = """
WITH cells AS (
    SELECT coalesce((d.value ->> 0)::numeric, 0) AS before, (d.value ->> 1)::numeric AS after,
           split_part(d.key, ':', 2)::bigint AS location_id
    FROM onboarding_stagedrow s CROSS JOIN LATERAL jsonb_each(s.diff) d
    WHERE s.batch_id = %(batch)s AND s.action IN ('new', 'changed') AND NOT s.is_applied AND d.key LIKE %(stock)s
)
SELECT count(*), count(*) FILTER (WHERE before > 0 AND after <= 0), coalesce(sum(greatest(before - after, 0)), 0),
       coalesce(sum(greatest(after - before, 0)), 0),
       coalesce((SELECT sum(greatest(l.on_hand, 0)) FROM inventory_stocklevel l
                 WHERE l.merchant_id = %(merchant)s AND l.location_id IN (SELECT location_id FROM cells)), 0)
FROM cells
"""


def stock_guard(batch: ImportBatch) -> StockGuard:
    """What is still to be applied of the batch would do this to the stock. Reads only."""
    with database.cursor() as cursor:
        cursor.execute(_GUARD, {"batch": batch.pk, "merchant": batch.merchant_id, "stock": f"{STOCK}%"})
        return StockGuard(*cursor.fetchone())


def approve(*, batch_id: int, actor: User | None, word: str = "") -> ImportBatch:
    """Yes to the preview: applying begins, or goes on where it was stopped. Raises NotAllowed."""
    with _deciding(batch_id, states=(State.STAGED, State.CANCELLED), otherwise="It is not waiting for a yes.") as batch:
        if batch.state == State.CANCELLED and batch.changeset is None:
            raise NotAllowed("It was stopped before all of it was read. Read it again first.")
        if stock_guard(batch).needs_word and word.strip().lower() != WORD:
            raise NotAllowed(f"So much stock would go that a click is not enough: type “{WORD}” if that is right.")
        if batch.changeset is None:
            title = f"Import of {batch.name}"
            batch.changeset = journal.start(
                merchant=batch.merchant, kind=ChangeSet.Kind.IMPORT, title=title, actor=actor
            )
            audit.record(
                actor=actor, merchant=batch.merchant, action="catalog.import", target=batch.changeset, summary=title
            )
        batch.state, batch.cancel_asked_at, batch.error = State.APPLYING, None, ""
        batch.phase, batch.phase_at = Phase.APPLY, utc_now()
        batch.work_total, batch.rows_done = applying.pending(batch).count(), 0
        waking.wake(batch.pk)
    return batch


def cancel(*, batch_id: int, actor: User | None) -> None:
    """Stop after the chunk under way; before any yes, put the batch away. Raises NotAllowed."""
    states = (State.READING, State.APPLYING, State.MAPPING, State.STAGED)
    with _deciding(batch_id, states=states, otherwise="It is not under way.") as batch:
        if batch.state in AT_WORK:
            batch.cancel_asked_at = utc_now()
            waking.wake(batch.pk)
        else:
            batch.state = State.CANCELLED
        audit.record(
            actor=actor, merchant=batch.merchant, action="import.cancelled", target=batch,
            summary=f"{batch.name} cancelled",
        )  # fmt: skip


def undo(*, batch_id: int, actor: User | None) -> None:
    """Take back what was applied; what was edited since is kept. Raises NotAllowed."""
    states = (State.APPLIED, State.CANCELLED)
    with _deciding(batch_id, states=states, otherwise="Only what was applied can be undone.") as batch:
        if batch.changeset is None:
            raise NotAllowed("Nothing of it was applied.")
        batch.settings["undo_by"] = actor.pk if actor else None
        batch.state, batch.phase, batch.phase_at = State.UNDOING, Phase.UNDO, utc_now()
        batch.work_total, batch.rows_done = batch.changeset.changes.filter(undo="").count(), 0
        waking.wake(batch.pk)


def look_again(*, batch_id: int) -> None:
    """Compare the staged rows with the shop as it is now. Raises NotAllowed."""
    with _deciding(batch_id, states=(State.STAGED,), otherwise="It is not waiting for a yes.") as batch:
        _compare_anew(batch)


def set_counts(*, batch_id: int, locations: Mapping[str, int], sets_counts: bool, actor: User | None) -> None:
    """Say whether the file's stock numbers are to be set, and which of our locations each of its places is.

    Raises NotAllowed, also where two places would stand for one location, or a location is not this shop's.
    """
    with _deciding(batch_id, states=(State.STAGED,), otherwise="It is not waiting for a yes.") as batch:
        chosen = [location for location in locations.values() if location]
        if len(set(chosen)) != len(chosen):
            raise NotAllowed("Two places of the file cannot be one of yours.")
        ours = set(Location.objects.of(batch.merchant).values_list("pk", flat=True))
        if not set(chosen) <= ours:
            raise NotAllowed("That is no location of this shop.")
        batch.settings |= {"locations": dict(locations), "sets_counts": sets_counts and bool(chosen)}
        _compare_anew(batch)
        audit.record(
            actor=actor, merchant=batch.merchant, action="import.places", target=batch,
            summary=f"{batch.name}: stock is {'set' if batch.settings['sets_counts'] else 'left alone'}",
            locations=dict(locations),
        )  # fmt: skip


def _compare_anew(batch: ImportBatch) -> None:
    batch.settings["compared_to"] = 0
    batch.state, batch.phase, batch.phase_at = State.READING, Phase.COMPARE, utc_now()
    batch.rows_done, batch.work_total = 0, batch.rows_total
    waking.wake(batch.pk)


def name_columns(*, batch_id: int, columns: Mapping[str, str], actor: User | None) -> None:
    """Say what each column is; the file is read with that, and next time's guess is this. Raises NotAllowed."""
    states = (State.MAPPING, State.STAGED, State.FAILED)
    with _deciding(batch_id, states=states, otherwise="Its columns are settled.") as batch:
        if not any(columns.values()):
            raise NotAllowed("Say of at least one column what it is.")
        if not batch.chunks.exists():
            raise NotAllowed("The file is not kept any more: upload it again.")
        StagedRow.objects.filter(batch=batch).delete()
        batch.columns = dict(columns)
        batch.state, batch.phase, batch.error = State.READING, Phase.NONE, ""
        batch.rows_read = batch.rows_done = batch.bytes_read = 0
        batch.rows_total, batch.rehearsal = None, {}
        headers = batch.settings.get("headers") or list(columns)
        ColumnMapping.objects.update_or_create(
            merchant=batch.merchant, signature=reading.signature(headers),
            defaults={"columns": dict(columns), "used_at": utc_now()},
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=batch.merchant, action="import.columns", target=batch,
            summary=f"{batch.name}: columns named", columns=dict(columns),
        )  # fmt: skip
        waking.wake(batch.pk)


def read_again(*, batch_id: int) -> None:
    """Read a batch anew that was stopped before its preview, or could not be read. Raises NotAllowed."""
    with _deciding(batch_id, states=(State.CANCELLED, State.FAILED), otherwise="It is not stopped.") as batch:
        if batch.changeset is not None:
            raise NotAllowed("It was applied in part: carry on, or undo it.")
        if batch.connection_id is None and not batch.chunks.exists():
            raise NotAllowed("The file is not kept any more: upload it again.")
        batch.state, batch.error, batch.cancel_asked_at = State.READING, "", None
        StagedRow.objects.filter(batch=batch).delete()
        batch.rows_read = batch.rows_done = batch.bytes_read = 0
        batch.rows_total, batch.rehearsal, batch.phase = None, {}, Phase.NONE
        waking.wake(batch.pk)


def remembered(batch: ImportBatch) -> dict[str, str]:
    """How a file with these headings was read in this shop last time; empty where there was none."""
    headers = batch.settings.get("headers") or []
    found = ColumnMapping.objects.filter(merchant=batch.merchant_id, signature=reading.signature(headers)).first()
    return dict(found.columns) if found else {}


def from_channel(*, merchant: Merchant, connection: Connection, actor: User | None) -> ImportBatch:
    """A new batch from a connected channel's catalog. Raises uploads.CannotTake where it lists nothing."""
    if connection.merchant_id != merchant.pk:
        raise NotAllowed("That channel belongs to another shop.")
    if not catalogs.has_rows(connection):
        raise uploads.CannotTake(f"{connection.label} lists nothing yet, or its catalog is not read yet.")
    with transaction.atomic():
        batch = ImportBatch.objects.create(
            merchant=merchant, name=f"{connection.label} catalog", connection=connection, format=catalogs.FORMAT,
            created_by=actor,
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=merchant, action="import.channel", target=batch,
            summary=f"Catalog of {connection.label} to be looked at",
        )  # fmt: skip
        waking.wake(batch.pk)
    return batch
