"""Accepting many findings at once: what the person said yes to, a transaction each, in slices that survive a crash.

All of it is one change set. Taking that back also stops what has not been carried out yet.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now as utc_now
from kombu.exceptions import KombuError

from onboarding.findings import decisions
from onboarding.findings.questions import AlreadyDecided, BadProposal, Question
from onboarding.models import BulkAcceptance
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

TASK = "onboarding.tasks.accept_in_bulk"
LEASE = timedelta(seconds=60)
SLICE_S = 15.0  # then the worker lets other work have its turn
log = logging.getLogger(__name__)


class Busy(Exception):
    """The last bulk acceptance of this shop has not ended."""


def start(*, merchant: Merchant, actor: User | None, confidence: float, kind: str = "") -> BulkAcceptance:
    """Write down which open findings are at least this sure, to be accepted by `work`. Raises Busy."""
    sure = decisions.queue(merchant, kind).filter(confidence__gte=confidence)
    try:
        with transaction.atomic():
            return BulkAcceptance.objects.create(
                merchant=merchant, actor=actor, confidence=confidence, kind=kind,
                findings=list(sure.values_list("pk", flat=True)),
            )  # fmt: skip
    except IntegrityError:
        raise Busy("The last ones accepted together are still being carried out.") from None


def accept_above(*, merchant: Merchant, actor: User | None, confidence: float, kind: str = "") -> int:
    """Accept all open findings at least this sure, now; returns how many. Raises Busy.

    What asks a question or cannot be done stays open.
    """
    bulk = start(merchant=merchant, actor=actor, confidence=confidence, kind=kind)
    while work(bulk_id=bulk.pk):
        pass
    bulk.refresh_from_db()
    return bulk.accepted


def work(*, bulk_id: int, slice_s: float = SLICE_S) -> bool:
    """Carry out for one slice; whether there is more to do. False also where another worker has it."""
    now = utc_now()
    free = BulkAcceptance.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), pk=bulk_id, ended_at=None)
    if not free.update(lease_until=now + LEASE):
        return False
    bulk = BulkAcceptance.objects.select_related("merchant", "actor", "changeset").get(pk=bulk_id)
    until = time.monotonic() + slice_s
    while bulk.done < len(bulk.findings) and not _was_undone(bulk):
        _next(bulk)
        if time.monotonic() >= until:
            break
    else:
        _end(bulk)
    BulkAcceptance.objects.filter(pk=bulk_id).update(lease_until=None)
    return bulk.ended_at is None


def due() -> list[int]:
    """Those that wait for a worker, the longest-waiting first."""
    free = BulkAcceptance.objects.filter(Q(lease_until=None) | Q(lease_until__lt=utc_now()), ended_at=None)
    return list(free.order_by("asked_at", "pk").values_list("pk", flat=True))


def wake(bulk_id: int) -> None:
    """Tell a worker; a lost message costs seconds, until the sweep."""
    try:
        current_app.send_task(TASK, kwargs={"bulk_id": bulk_id}, retry=False)
    except (KombuError, OSError) as error:
        log.warning("no worker was woken for bulk acceptance %s: %s", bulk_id, error)


def _next(bulk: BulkAcceptance) -> None:
    """Accept one finding, and keep that in the same transaction: a crash repeats nothing and leaves nothing out."""
    with transaction.atomic():
        decisions.one_at_a_time(bulk.merchant_id)
        if _was_undone(bulk):
            return
        try:
            with transaction.atomic():
                bulk.changeset = decisions.accept_together(
                    finding_id=bulk.findings[bulk.done], actor=bulk.actor, changeset=bulk.changeset,
                    title=f"Findings at least {bulk.confidence:.0%} sure",
                )  # fmt: skip
            bulk.accepted += 1
        except (AlreadyDecided, Question, BadProposal):
            pass  # it stays as it is, and in the queue if it is open
        bulk.done += 1
        bulk.lease_until = utc_now() + LEASE
        bulk.save(update_fields=["changeset", "accepted", "done", "lease_until"])


def _was_undone(bulk: BulkAcceptance) -> bool:
    if bulk.changeset is None:
        return False
    bulk.changeset.refresh_from_db(fields=["undone_at"])
    return bulk.changeset.undone_at is not None


def _end(bulk: BulkAcceptance) -> None:
    with transaction.atomic():
        bulk.ended_at = utc_now()
        bulk.save(update_fields=["ended_at"])
        if bulk.changeset is not None:
            audit.record(
                actor=bulk.actor, merchant=bulk.merchant, action="catalog.finding", target=bulk.changeset,
                summary=f"{bulk.changeset.title}: {bulk.accepted}",
            )  # fmt: skip
