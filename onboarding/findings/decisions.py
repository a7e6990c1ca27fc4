"""What people decide about findings: each decision is one change set, kept as a rule, and can be undone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.timezone import now as utc_now

from inventory.models import Product, Variant, VariantMerge
from onboarding import journal
from onboarding.findings import proposals
from onboarding.findings.questions import AlreadyDecided, BadProposal, Question
from onboarding.models import Change, ChangeSet, CleanupRule, Finding
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

__all__ = ["AlreadyDecided", "BadProposal", "Question"]

Kind, State = Finding.Kind, Finding.State
SKU_KINDS = (Kind.SKU_MISSING, Kind.SKU_REPEATED, Kind.SKU_PATTERN, Kind.SKU_DAMAGED, Kind.SKU_COLLIDES)
# What a deed settles for the same variants, so that nobody is asked again what was just answered.
SETTLES: Mapping[str, tuple[str, ...]] = {"set_sku": SKU_KINDS, "set_gtin": (Kind.GTIN,), "set_price": (Kind.PRICE,)}
_SHOWN = {"product": Product, "variant": Variant}
_WORDS = {
    "sku": "SKU", "gtin": "Barcode", "price": "Price", "title": "Title", "options": "Options", "product_id": "Product",
    "archived_at": "Archived", "value": "Wanted at the channel", "variant_id": "Linked to", "link": "Link",
}  # fmt: skip
_SILENT = {"sku_key", "created_at", "made_at", "merchant_id", "vendor", "category", "image_url", "key", "kind"}


@dataclass(frozen=True)
class DiffLine:
    """One thing that accepting would change."""

    what: str
    field: str
    before: str
    after: str


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
    with transaction.atomic():
        changeset = _carry_out(finding, proposal, excluded, choice, None)
        lines = _lines(changeset)
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
    is changed. Locks the finding.
    """
    with transaction.atomic():
        finding = _lock(finding_id)
        proposed = _edited(finding, proposal)
        finding.changeset = _carry_out(finding, proposal, excluded, choice, actor)
        finding.proposal = proposed
        _decide(finding, State.ACCEPTED, actor)
        _keep_rule(finding, excluded)
        _overtake(finding)
        return finding


def reject(*, finding_id: int, actor: User | None) -> Finding:
    """It is right as it is: never ask again. Raises AlreadyDecided."""
    with transaction.atomic():
        finding = _lock(finding_id)
        _decide(finding, State.REJECTED, actor)
        _keep_rule(finding, ())
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
        return finding


def undo_last(*, merchant: Merchant, actor: User | None) -> Finding | None:
    """Take back the newest decision of this shop that has not been taken back; None when there is none.

    What was edited since stays (journal.undo); the finding and those it had overtaken are open again.
    """
    with transaction.atomic():
        decided = Finding.objects.of(merchant).filter(
            state__in=(State.ACCEPTED, State.REJECTED), decided_at__isnull=False
        )
        finding = decided.order_by("-decided_at", "-pk").select_for_update(of=("self",)).first()
        if finding is None:
            return None
        if finding.changeset_id is not None:
            journal.undo(changeset_id=finding.changeset_id, actor=actor)
        CleanupRule.objects.of(merchant).filter(kind=finding.kind, key=finding.key).delete()
        Finding.objects.of(merchant).filter(overtaken_by=finding).update(state=State.OPEN, overtaken_by=None)
        finding.state, finding.decided_at, finding.decided_by, finding.changeset = State.OPEN, None, None, None
        finding.save(update_fields=["state", "decided_at", "decided_by", "changeset"])
        audit.record(actor=actor, merchant=merchant, action="finding.reopened", target=finding, summary=finding.title)
        return finding


def accept_above(*, merchant: Merchant, actor: User | None, confidence: float, kind: str = "") -> int:
    """Accept all open findings at least this sure, each on its own; what asks a question stays open. How many."""
    accepted = 0
    sure = queue(merchant, kind).filter(confidence__gte=confidence).values_list("pk", flat=True)
    for finding_id in list(sure):
        try:
            accept(finding_id=finding_id, actor=actor)
        except (AlreadyDecided, Question, BadProposal):
            continue
        accepted += 1
    return accepted


def _lock(finding_id: int) -> Finding:
    finding: Finding = Finding.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=finding_id)
    if finding.state != State.OPEN:
        by = f" by {finding.decided_by}" if finding.decided_by else ""
        raise AlreadyDecided(f"{finding.get_state_display()}{by}: {finding.title}")
    return finding


def _edited(finding: Finding, proposal: Mapping[str, Any] | None) -> dict[str, Any]:
    """The proposal with its editable fields as typed; nothing else of it can be changed from outside."""
    editable = {field["name"] for field in finding.proposal.get("editable", ())}
    edited: dict[str, Any] = dict(finding.proposal)
    edited.update((name, value) for name, value in (proposal or {}).items() if name in editable)
    return edited


def _carry_out(
    finding: Finding,
    proposal: Mapping[str, Any] | None,
    excluded: Collection[str],
    choice: str,
    actor: User | None,
) -> ChangeSet:
    deed = proposals.Deed(
        merchant_id=finding.merchant_id,
        proposal=_edited(finding, proposal),
        excluded=frozenset(excluded),
        choice=choice,
        actor=actor,
    )
    with journal.recording(
        merchant=finding.merchant, kind=ChangeSet.Kind.FINDING, title=finding.title, actor=actor
    ) as recorder:
        proposals.carry_out(deed, recorder)
    return recorder.changeset


def _decide(finding: Finding, state: str, actor: User | None) -> None:
    finding.state, finding.decided_at, finding.decided_by, finding.skipped_at = state, utc_now(), actor, None
    finding.save(update_fields=["state", "decided_at", "decided_by", "skipped_at", "changeset", "proposal"])


def _keep_rule(finding: Finding, excluded: Collection[str]) -> None:
    CleanupRule.objects.update_or_create(
        merchant=finding.merchant,
        kind=finding.kind,
        key=finding.key,
        defaults={
            "decision": finding.state,
            "proposal": finding.proposal | {"excluded": sorted(excluded)},
            "made_by": finding.decided_by,
            "made_at": finding.decided_at,
        },
    )


def _overtake(finding: Finding) -> None:
    """Open findings that this decision has answered, or whose variants are gone, are not asked any more."""
    touched = [member["id"] for member in finding.members if member["type"] == "variant"]
    if not touched:
        return
    gone = set(VariantMerge.objects.filter(duplicate__in=touched, parted_at=None).values_list("duplicate", flat=True))
    settled = SETTLES.get(finding.proposal["op"], ())
    subject = finding.proposal.get("variant_id")
    about_gone, about_subject = Q(pk__in=[]), Q(pk__in=[])
    for pk in gone:
        about_gone |= Q(members__contains=[{"type": "variant", "id": pk}])
    if subject and settled:
        about_subject = Q(kind__in=settled, members__contains=[{"type": "variant", "id": subject}])
    Finding.objects.filter(about_gone | about_subject, merchant=finding.merchant_id, state=State.OPEN).update(
        state=State.GONE, overtaken_by=finding
    )


def _lines(changeset: ChangeSet) -> list[DiffLine]:
    changes = list(changeset.changes.order_by("pk"))
    names = _names(changes)
    return [line for change in changes for line in _change_lines(change, names)]


def _names(changes: list[Change]) -> dict[tuple[str, int], str]:
    named: dict[tuple[str, int], str] = {}
    for table, model in _SHOWN.items():
        ids = [change.row_id for change in changes if change.table == table]
        ids += [
            row["product_id"]
            for change in changes
            for row in (change.before, change.after)
            if row and "product_id" in row
        ]
        rows = model.objects.filter(pk__in=ids)
        if model is Variant:
            rows = rows.select_related("product")
        for row in rows:
            named[table, row.pk] = (row.sku or row.full_title) if isinstance(row, Variant) else row.title
    return named


def _change_lines(change: Change, names: Mapping[tuple[str, int], str]) -> list[DiffLine]:
    what = names.get((change.table, change.row_id), "")
    if change.table == journal.MERGE:
        merged = VariantMerge.objects.select_related("survivor__product", "duplicate__product").get(pk=change.row_id)
        return [
            DiffLine(merged.duplicate.full_title, "Becomes part of", merged.duplicate.sku, merged.survivor.full_title)
        ]
    if change.before is None:
        shown = (change.after or {}).get("value", "")
        return [DiffLine(what, "Old name kept" if change.table == "alias" else "New", "", str(shown))]
    return [
        DiffLine(what, _WORDS.get(name, name), _said(name, change.before[name], names), _said(name, value, names))
        for name, value in (change.after or {}).items()
        if name not in _SILENT and name in change.before
    ]


def _said(name: str, value: Any, names: Mapping[tuple[str, int], str]) -> str:
    if value is None:
        return "–" if name != "archived_at" else "no"
    if name == "archived_at":
        return "yes"
    if name == "product_id":
        return names.get(("product", value), str(value))
    if isinstance(value, dict):
        return " · ".join(f"{key}: {one}" for key, one in value.items()) or "none"
    return str(value)
