"""A person's part: whose number is right, undoing what was healed, answering a guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from channels import guards, linking
from channels.models import ChannelStock, Connection, GuardStop, Listing, RemoteChange, StockGap
from channels.reconcile import changes, gaps
from channels.reconcile.judging import refresh_neighbours
from inventory import bundles, ledger
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)
CHOICES = ("ours", "theirs")
Cause, Deed, State = StockGap.Cause, StockGap.Deed, StockGap.State


class NoDrift(Exception):
    """The cell shows what we expect by now: nothing to decide."""


def resolve_drift(*, cell_id: int, choice: str, actor: User) -> None:
    """A person decides: "ours" writes our number over the channel's, "theirs" books the difference in the ledger.

    Locks the cell. Raises NoDrift when there is nothing to decide, ValueError for another choice.
    """
    if choice not in CHOICES:
        raise ValueError(choice)
    _resolve(cell_id, Deed(choice), actor)


def _resolve(cell_id: int, deed: StockGap.Deed, actor: User, *, decision: UUID | None = None) -> None:
    with transaction.atomic():
        # Levels before cells, as in every other path: the ledger locks the level, then all its cells.
        cell = ChannelStock.objects.select_related("listing", "channel_location", "merchant", "connection").get(
            pk=cell_id
        )
        if cell.drift_at is None or cell.observed is None or cell.expected is None:
            raise NoDrift
        difference = cell.observed - cell.expected
        changed: dict[str, object] = {"drift_at": None, "doubt": 0, "recheck_at": None}
        if deed != Deed.OURS and cell.listing.variant_id and cell.channel_location.location_id:
            _book(cell, difference, actor)
        else:
            changed["expected"] = cell.observed
        ChannelStock.objects.filter(pk=cell_id, drift_at=cell.drift_at).update(**changed)
        refresh_neighbours([cell_id])
        choice = "ours" if deed == Deed.OURS else "theirs"
        audit.record(
            actor=actor, merchant=cell.merchant, action=f"drift.{choice}", target=cell,
            summary=f"{cell.listing.sku}: chose {choice} ({numbers.plain(difference)})",
        )  # fmt: skip
        _close(cell, deed, difference, actor, decision=decision)


def _book(cell: ChannelStock, difference: Decimal, actor: User) -> None:
    entry = ledger.Entry(
        variant_id=cell.listing.variant_id or 0,
        location_id=cell.channel_location.location_id or 0,
        kind=ledger.Kind.ADJUST,
        key=f"drift:{cell.pk}:{cell.drift_at.isoformat() if cell.drift_at else ''}",
        occurred_at=timezone.now(),
        on_hand=difference,
        actor_id=actor.pk,
        reason="the channel's number was right",
    )
    entries = bundles.expand_all([entry])
    ledger.post(merchant_id=cell.merchant_id, source="user", channel_id=cell.connection_id, entries=entries)


def _close(cell: ChannelStock, deed: StockGap.Deed, difference: Decimal, actor: User, *, decision: UUID | None) -> None:
    waiting = StockGap.objects.filter(gaps.WAITING, cell=cell)
    questions = set(waiting.values_list("question", flat=True)) | {f"cell:{cell.pk}"}
    waiting.update(
        state=State.DECIDED, deed=deed, moved=ZERO if deed == Deed.OURS else difference,
        closed_at=timezone.now(), closed_by=actor, decision=decision,
    )  # fmt: skip
    RemoteChange.objects.filter(
        connection=cell.connection_id, inventory_id=cell.listing.inventory_id, state=RemoteChange.State.WITHHELD,
        location_external_id=cell.channel_location.external_id,
    ).update(state=RemoteChange.State.DECIDED)  # fmt: skip
    how = "our number was sent" if deed == Deed.OURS else "their number was booked"
    gaps.close_questions(cell.connection, questions, how=how, actor=actor)


ANSWERS = {"ours": Deed.OURS, "theirs": Deed.THEIRS, "trust": Deed.TRUSTED}


def decide(*, connection: Connection, gap_ids: Iterable[int], choice: str, actor: User) -> int:
    """Decide many at once: "ours", "theirs", or "trust" (theirs, and that app's changes are booked from now on).

    Returns how many were decided; what agrees by now, or is not to be decided by a number, is left as it is. Each cell
    in a transaction of its own, an app's trust with its first; `undo_decision` takes all of them back. Raises
    ValueError for another choice.
    """
    if choice not in ANSWERS:
        raise ValueError(choice)
    asked = StockGap.objects.filter(pk__in=list(gap_ids), connection=connection, state=State.ASKED).order_by("cell_id")
    done, decision = 0, uuid4()
    for gap in asked:
        deed = ANSWERS[choice]
        if deed == Deed.TRUSTED and not _app(gap):
            deed = Deed.THEIRS  # there is nobody to trust
        try:
            with transaction.atomic():
                if deed == Deed.TRUSTED:
                    _trust(_locked(connection.pk), _app(gap), actor)
                _resolve(gap.cell_id or 0, deed, actor, decision=decision)
        except (NoDrift, ChannelStock.DoesNotExist):
            continue
        done += 1
    return done


def _app(gap: StockGap) -> str:
    return str(gap.evidence.get("app_id") or "")


def _locked(connection_id: int) -> Connection:
    """The connection, locked before levels and cells as everywhere: whom it trusts changes with what was booked."""
    rows = Connection.objects.select_for_update(no_key=True, of=("self",)).select_related("merchant")
    locked: Connection = rows.get(pk=connection_id)
    return locked


def _trust(locked: Connection, app: str, actor: User) -> None:
    """Book the app's changes from now on."""
    if app not in locked.trusted_apps:
        _set_trusted(locked, {*locked.trusted_apps, app}, actor, action="trusted", words=f"{app} are booked")


def _distrust(locked: Connection, app: str, actor: User) -> None:
    """Ask about the app's changes again, where nothing is left of any answer that trusts it."""
    left = StockGap.objects.filter(
        connection=locked, decision__isnull=False, state=State.DECIDED, deed=Deed.TRUSTED, evidence__app_id=app
    )
    if app in locked.trusted_apps and not left.exists():
        rest = {*locked.trusted_apps} - {app}
        _set_trusted(locked, rest, actor, action="distrusted", words=f"{app} are asked about")


def _set_trusted(locked: Connection, apps: Set[str], actor: User, *, action: str, words: str) -> None:
    locked.trusted_apps = sorted(apps)
    locked.save(update_fields=["trusted_apps"])
    audit.record(
        actor=actor, merchant=locked.merchant, action=f"connection.app_{action}", target=locked,
        summary=f"{locked.label}: changes by {words} from now on",
    )  # fmt: skip


class CannotUndo(Exception):
    """Why this cannot be taken back, in words for the person who tried."""


def undo(*, gap_id: int, actor: User) -> None:
    """Take back what healed, or decided, a gap; the question is then open again. Raises CannotUndo.

    Units that were booked are booked back, a belief is what it was, a listing waits to be linked; an app of whose
    trusting answers nothing is left is trusted no more. Locks the connection, the gap, the level, the cell.
    """
    _undo(gap_id, actor)


@dataclass(frozen=True)
class Undone:
    """What came of taking back a decision: how many gaps, and why the others could not be, each reason once."""

    done: int
    refused: int
    reasons: Sequence[str]


def undo_decision(*, connection: Connection, decision: UUID, actor: User) -> Undone:
    """Take back all that one answer booked; what was not known is then one question again.

    Each gap in a transaction of its own, its question and its app's trust with it: cut short it has done so many, and
    does the rest when it is asked again. What was taken back before, or cannot be, stops no other.
    """
    booked = StockGap.objects.filter(
        connection=connection, decision=decision, state=State.DECIDED, deed__in=StockGap.THEIR_NUMBERS
    )
    done = 0
    refused: list[str] = []
    for gap_id in list(booked.order_by("cell_id").values_list("pk", flat=True)):
        try:
            _undo(gap_id, actor, together=decision.hex)
        except CannotUndo as why:
            refused.append(str(why))
        else:
            done += 1
    return Undone(done, len(refused), list(dict.fromkeys(refused)))


def _undo(gap_id: int, actor: User, *, together: str = "") -> None:
    with transaction.atomic():
        locked = _locked(StockGap.objects.values_list("connection", flat=True).get(pk=gap_id))
        gap: StockGap = (
            StockGap.objects.select_for_update(of=("self",))
            .select_related("cell__channel_location", "connection", "listing")
            .get(pk=gap_id)
        )
        if not gap.is_undoable:
            raise CannotUndo("No number of yours was changed here: there is nothing to take back.")
        if gap.deed == Deed.RELINKED:
            _part(gap, actor)
        else:
            _take_back(gap, actor, together=together)
        StockGap.objects.filter(pk=gap.pk).update(state=State.UNDONE, closed_at=timezone.now(), closed_by=actor)
        audit.record(
            actor=actor, merchant=locked.merchant, action="drift.undone", target=gap,
            summary=f"{gap.listing.sku}: {gap.get_deed_display()} ({numbers.plain(gap.moved)}) taken back",
        )  # fmt: skip
        if gap.deed == Deed.TRUSTED:
            _distrust(locked, _app(gap), actor)


def _part(gap: StockGap, actor: User) -> None:
    new = Listing.objects.filter(pk=gap.evidence.get("new_listing"), variant=gap.variant_id).first()
    if new is None:
        raise CannotUndo("That listing is linked to something else by now.")
    linking.unlink(listing=new, actor=actor)


def _take_back(gap: StockGap, actor: User, *, together: str) -> None:
    cell = gap.cell
    if cell is None or gap.variant_id is None or cell.channel_location.location_id is None:
        raise CannotUndo("Its listing was parted since: correct the stock by hand.")
    if StockGap.objects.filter(gaps.WAITING, cell=cell).exists():
        raise CannotUndo("The same number is in question again: decide that first.")
    now = timezone.now()
    if gap.deed == Deed.BELIEVED:
        ChannelStock.objects.filter(pk=cell.pk).update(expected=F("expected") - gap.moved)
    else:
        entry = ledger.Entry(
            variant_id=gap.variant_id, location_id=cell.channel_location.location_id, kind=ledger.Kind.ADJUST,
            key=f"undo-gap:{gap.pk}", occurred_at=now, on_hand=-gap.moved, actor_id=actor.pk,
            reason=f"taken back: {gap.get_cause_display().lower()}",
        )  # fmt: skip
        entries = bundles.expand_all([entry])
        ledger.post(merchant_id=gap.merchant_id, source="user", channel_id=cell.connection_id, entries=entries)
    cell.refresh_from_db()
    doubt = max(ZERO, (cell.expected or ZERO) - (cell.observed or ZERO))
    ChannelStock.objects.filter(pk=cell.pk).update(drift_at=now, doubt=doubt, recheck_at=now)
    refresh_neighbours([cell.pk])
    again = StockGap.objects.create(
        merchant_id=gap.merchant_id, connection=gap.connection, cell=cell, listing=gap.listing,
        channel_location=cell.channel_location, variant_id=gap.variant_id, expected=cell.expected or ZERO,
        observed=cell.observed, cause=gap.cause, evidence=gap.evidence | {"undone": gap.pk}, seen_at=now, judged_at=now,
    )  # fmt: skip
    gaps.ask(gap.connection, [again], together=together)


def decide_stop(*, stop_id: int, is_approved: bool, actor: User) -> GuardStop:
    """Answer a guard: let the batch pass, or throw it away. Changes let pass are booked now.

    Call outside a transaction. Raises guards.AlreadyDecided.
    """
    stop = guards.decide(stop_id=stop_id, is_approved=is_approved, actor=actor)
    if stop.kind == GuardStop.Kind.CHANGES:
        rows = list(RemoteChange.objects.filter(stop=stop, state=RemoteChange.State.WITHHELD).order_by("pk"))
        if is_approved:
            changes.book_withheld(connection=stop.connection, rows=rows)
        else:
            RemoteChange.objects.filter(stop=stop).update(state=RemoteChange.State.DECIDED)
    return stop
