"""What people decide about findings: each decision is one change set, kept as a rule, and can be undone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.timezone import now as utc_now

from onboarding import journal
from onboarding.findings import diffs, overtaking, proposals, rules
from onboarding.findings.diffs import DiffLine
from onboarding.findings.questions import AlreadyDecided, BadProposal, Question
from onboarding.models import ChangeSet, Finding
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

__all__ = ["AlreadyDecided", "BadProposal", "DiffLine", "Question"]

State = Finding.State


def queue(merchant: Merchant, kind: str = "") -> QuerySet[Finding]:
    """Open findings, the riskiest first, skipped ones after all others."""
    rows: QuerySet[Finding] = Finding.objects.of(merchant).filter(state=State.OPEN)
    if kind:
        rows = rows.filter(kind=kind)
    return rows.order_by(F("skipped_at").asc(nulls_first=True), "-risk", "pk")


def preview(
    finding: Finding, proposal: Mapping[str, Any] | None = None, excluded: Collection[str] = (), choice: str = ""
) -> list[DiffLine]:
    """What accepting would change: the deed itself, rolled back. Raises Question, BadProposal."""
    deed = _deed(finding, proposal=proposal, excluded=excluded, choice=choice)
    with transaction.atomic():
        one_at_a_time(finding.merchant_id)
        with _recording(finding, None) as recorder:
            proposals.carry_out(deed, recorder)
        lines = diffs.lines(recorder.changeset)
        transaction.set_rollback(True)
    return lines


def accept(
    *,
    finding_id: int,
    actor: User | None,
    proposal: Mapping[str, Any] | None = None,
    excluded: Collection[str] = (),
    choice: str = "",
) -> Finding:
    """Do what is proposed (with edits, without the excluded members) and keep the decision as a rule.

    `excluded` names members as "variant:7" or "value:XL". Raises AlreadyDecided, Question, BadProposal; then nothing
    is changed. One decision of a shop at a time; locks the finding, then the rows it is about.
    """
    with transaction.atomic():
        finding = _lock(finding_id)
        with _recording(finding, actor) as recorder:
            deed = _deed(finding, proposal=proposal, excluded=excluded, choice=choice, actor=actor)
            _accepted(finding, recorder, deed)
        return finding


def reject(*, finding_id: int, actor: User | None) -> Finding:
    """It is right as it is: never ask again. Raises AlreadyDecided."""
    with transaction.atomic():
        finding = _lock(finding_id)
        _decide(finding, State.REJECTED, actor)
        rules.keep(finding, ())
        audit.record(
            actor=actor, merchant=finding.merchant, action="finding.rejected", target=finding, summary=finding.title
        )
        return finding


def skip(*, finding_id: int, actor: User | None) -> Finding:
    """Not now: to the end of the queue. Raises AlreadyDecided."""
    with transaction.atomic():
        finding = _lock(finding_id)
        finding.skipped_at = utc_now()
        finding.save(update_fields=["skipped_at"])
        audit.record(
            actor=actor, merchant=finding.merchant, action="finding.skipped", target=finding, summary=finding.title
        )
        return finding


def unskip(*, finding_id: int, actor: User | None) -> Finding:
    """Back to its place in the queue. Raises AlreadyDecided."""
    with transaction.atomic():
        finding = _lock(finding_id)
        finding.skipped_at = None
        finding.save(update_fields=["skipped_at"])
        audit.record(
            actor=actor, merchant=finding.merchant, action="finding.unskipped", target=finding, summary=finding.title
        )
        return finding


def undo_last(*, merchant: Merchant, actor: User | None) -> Finding | None:
    """Take back the newest decision of this shop that has not been taken back; None when there is none.

    Findings accepted together are taken back together. What was edited since stays as it is (journal.undo); the
    findings and those they had overtaken are open again.
    """
    with transaction.atomic():
        one_at_a_time(merchant.pk)
        made = Finding.objects.of(merchant).filter(state__in=(State.ACCEPTED, State.REJECTED), decided_at__isnull=False)
        newest: Finding | None = made.order_by("-decided_at", "-pk").first()
        if newest is None:
            return None
        together = made.filter(changeset=newest.changeset_id) if newest.changeset_id else made.filter(pk=newest.pk)
        for finding in together.order_by("pk").select_for_update(of=("self",)):
            rules.forget(finding)
            _reopen(finding, actor)
        if newest.changeset is not None and newest.changeset.undone_at is None:
            journal.undo(changeset_id=newest.changeset.pk, actor=actor)
        newest.refresh_from_db()
        return newest


def accept_together(*, finding_id: int, actor: User | None, changeset: ChangeSet | None, title: str) -> ChangeSet:
    """Accept as proposed within this change set, or a new one of this title; returns it. Raises as `accept` does."""
    with transaction.atomic():
        finding = _lock(finding_id)
        together = changeset or journal.start(
            merchant=finding.merchant, kind=ChangeSet.Kind.FINDING, title=title, actor=actor
        )
        _accepted(finding, journal.Recorder(together), _deed(finding, actor=actor))
        return together


def one_at_a_time(merchant_id: int) -> None:
    """Decisions of one shop come one after the other, until the transaction ends: two may touch the same rows."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"findings of {merchant_id}"])


def _recording(finding: Finding, actor: User | None) -> AbstractContextManager[journal.Recorder]:
    return journal.recording(merchant=finding.merchant, kind=ChangeSet.Kind.FINDING, title=finding.title, actor=actor)


def _lock(finding_id: int) -> Finding:
    one_at_a_time(Finding.objects.values_list("merchant", flat=True).get(pk=finding_id))
    rows = Finding.objects.select_for_update(of=("self",)).select_related("merchant", "decided_by")
    finding: Finding = rows.get(pk=finding_id)
    if finding.state != State.OPEN:
        by = f" by {finding.decided_by}" if finding.decided_by else ""
        raise AlreadyDecided(f"{finding.get_state_display()}{by}: {finding.title}")
    return finding


def _reopen(finding: Finding, actor: User | None) -> None:
    Finding.objects.filter(overtaken_by=finding, state=State.GONE).update(state=State.OPEN, overtaken_by=None)
    finding.state, finding.decided_at, finding.decided_by, finding.changeset = State.OPEN, None, None, None
    finding.save(update_fields=["state", "decided_at", "decided_by", "changeset"])
    audit.record(
        actor=actor, merchant=finding.merchant, action="finding.reopened", target=finding, summary=finding.title
    )


def _deed(
    finding: Finding,
    *,
    proposal: Mapping[str, Any] | None = None,
    excluded: Collection[str] = (),
    choice: str = "",
    actor: User | None = None,
) -> proposals.Deed:
    return proposals.Deed(
        merchant_id=finding.merchant_id,
        proposal=proposals.edited(finding.proposal, proposal),
        excluded=frozenset(excluded),
        choice=choice,
        actor=actor,
    )


def _accepted(finding: Finding, recorder: journal.Recorder, deed: proposals.Deed) -> None:
    """Carry out, decide, keep the rule, and look again at what else this touched."""
    newest = recorder.changeset.changes.order_by("-pk").values_list("pk", flat=True).first() or 0
    before = recorder.written
    proposals.carry_out(deed, recorder)
    if recorder.written == before:
        raise BadProposal("", "That would change nothing.")
    finding.changeset, finding.proposal = recorder.changeset, dict(deed.proposal)
    _decide(finding, State.ACCEPTED, deed.actor)
    rules.keep(finding, deed.excluded)
    overtaking.overtake(finding, recorder.changeset.changes.filter(pk__gt=newest))


def _decide(finding: Finding, state: str, actor: User | None) -> None:
    finding.state, finding.decided_at, finding.decided_by, finding.skipped_at = state, utc_now(), actor, None
    finding.save(update_fields=["state", "decided_at", "decided_by", "skipped_at", "changeset", "proposal"])
