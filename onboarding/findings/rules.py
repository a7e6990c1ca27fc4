"""Decisions kept: the same question is answered the same way, and what was rejected is not asked again.

A rule remembers what the person saw (`asked`): the spellings of a value, the SKU as it was, the variants side by side.
The same again is answered by the rule; something new beside it is a new question.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now as utc_now

from inventory.models import Variant
from onboarding import journal
from onboarding.findings import proposals
from onboarding.findings.questions import BadProposal, Question
from onboarding.models import ChangeSet, CleanupRule, Finding
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant

Kind, State = Finding.Kind, Finding.State
Json = Mapping[str, Any]
Pair = tuple[int, int]
# Which field of the variant an answer was about: with the very same content it is answered so again.
FIELD_OF = {"set_sku": "sku", "set_gtin": "gtin", "set_price": "price"}
SPELLINGS = ("write_value", "write_name")


def asked(kind: str, members: Sequence[Json], proposal: Json) -> list[str]:
    """What a finding asks about, to tell the same question from one that has grown."""
    if kind == Kind.OPTION:
        return sorted(proposal["values"])
    if kind in (Kind.DUPLICATE, Kind.FAMILY):
        return sorted(f"{one['type']}:{one['id']}" for one in members)
    if field := FIELD_OF.get(proposal["op"]):
        return [str(members[0].get(field) or "")]
    if kind == Kind.SKU_COLLIDES:
        return sorted(str(one.get("sku") or "") for one in members)
    return []


def keep(finding: Finding, excluded: Collection[str]) -> None:
    """Remember this decision; what an earlier one said about the same key is kept within, for undoing."""
    earlier = CleanupRule.objects.filter(merchant=finding.merchant_id, kind=finding.kind, key=finding.key).first()
    before = [] if earlier is None else earlier.proposal["asked"]
    proposal = finding.proposal | {
        "asked": sorted({*before, *asked(finding.kind, finding.members, finding.proposal)}),
        "excluded": sorted(excluded),
    }
    if earlier is not None:
        proposal["earlier"] = {"decision": earlier.decision, "proposal": earlier.proposal}
        if finding.proposal["op"] in SPELLINGS and earlier.decision == State.ACCEPTED == finding.state:
            proposal["values"] = sorted({*proposal["values"], *earlier.proposal["values"]})
    CleanupRule.objects.update_or_create(
        merchant=finding.merchant,
        kind=finding.kind,
        key=finding.key,
        defaults={
            "decision": finding.state,
            "proposal": proposal,
            "made_by": finding.decided_by,
            "made_at": finding.decided_at or utc_now(),
        },
    )


def forget(finding: Finding) -> None:
    """Undo `keep`: the rule goes, or is what it was before."""
    rule = CleanupRule.objects.filter(merchant=finding.merchant_id, kind=finding.kind, key=finding.key).first()
    if rule is None:
        return
    earlier = rule.proposal.get("earlier")
    if earlier is None:
        rule.delete()
        return
    rule.decision, rule.proposal = earlier["decision"], earlier["proposal"]
    rule.save(update_fields=["decision", "proposal"])


def covers(rule: CleanupRule | None, *, kind: str, members: Sequence[Json], proposal: Json) -> bool:
    """Whether what is found now was all looked at when the rule was made."""
    return rule is not None and set(asked(kind, members, proposal)) <= set(rule.proposal["asked"])


def apart(merchant: Merchant) -> Mapping[str, frozenset[Pair]]:
    """By kind, pairs of variants of which a person said that they are two things."""
    found: dict[str, set[Pair]] = {Kind.DUPLICATE: set(), Kind.FAMILY: set()}
    for rule in CleanupRule.objects.of(merchant).filter(kind__in=found):
        proposal = rule.proposal
        members = proposal.get("variant_ids") or [row["variant_id"] for row in proposal.get("rows", ())]
        out = {int(name.split(":")[1]) for name in proposal["excluded"] if name.startswith("variant:")}
        for left, right in itertools.combinations(sorted(members), 2):
            if rule.decision == State.REJECTED or left in out or right in out:
                found[rule.kind].add((left, right))
    return {kind: frozenset(pairs) for kind, pairs in found.items()}


def replay(merchant: Merchant) -> int:
    """Answer again what was answered before, in one change set that says so; how many rules had something to do.

    Spellings are written as decided wherever they turn up; a SKU, barcode or price is set again where the very same
    wrong one is back. A rule whose decision was undone elsewhere is forgotten.
    """
    _forget_undone(merchant)
    rules = list(CleanupRule.objects.of(merchant).filter(decision=State.ACCEPTED).order_by("pk"))
    due = [rule for rule in rules if rule.proposal["op"] in SPELLINGS] + _back_again(merchant, rules)
    if not due:
        return 0
    used: list[int] = []
    with transaction.atomic():
        changeset = journal.start(merchant=merchant, kind=ChangeSet.Kind.FINDING, title="", actor=None)
        recorder = journal.Recorder(changeset)
        used += [rule.pk for rule in due if _applied(rule, recorder)]
        if not used:
            transaction.set_rollback(True)
            return 0
        changeset.title = f"Answered by rule, as decided before: {len(used)} " + ("time" if len(used) == 1 else "times")
        changeset.save(update_fields=["title"])
        CleanupRule.objects.filter(pk__in=used).update(times_used=F("times_used") + 1)
        audit.record(actor=None, merchant=merchant, action="catalog.finding", target=changeset, summary=changeset.title)
    return len(used)


def _forget_undone(merchant: Merchant) -> None:
    undone = Finding.objects.of(merchant).filter(state=State.ACCEPTED, changeset__undone_at__isnull=False)
    for finding in undone.order_by("pk"):
        forget(finding)
    undone.update(state=State.GONE)


def _back_again(merchant: Merchant, rules: Iterable[CleanupRule]) -> list[CleanupRule]:
    """Rules about a field of one variant whose wrong content has come back."""
    about = {rule.pk: rule for rule in rules if rule.proposal["op"] in FIELD_OF}
    ids = {rule.proposal["variant_id"] for rule in about.values()}
    rows = Variant.objects.of(merchant).filter(archived_at=None).in_bulk(list(ids)) if ids else {}
    due = []
    for rule in about.values():
        variant = rows.get(rule.proposal["variant_id"])
        if variant is None:
            continue
        now = getattr(variant, FIELD_OF[rule.proposal["op"]])
        if str(now if now is not None else "") in rule.proposal["asked"]:
            due.append(rule)
    return due


def _applied(rule: CleanupRule, recorder: journal.Recorder) -> bool:
    deed = proposals.Deed(
        merchant_id=rule.merchant_id,
        proposal=rule.proposal,
        excluded=frozenset(rule.proposal["excluded"]),
        choice=proposals.LEAVE_CLASHES,
        actor=None,
    )
    before = recorder.written
    try:
        with transaction.atomic():
            proposals.carry_out(deed, recorder)
    except (BadProposal, Question):
        recorder.written = before
        return False
    return recorder.written > before
