"""Look through a shop's catalog for what is wrong; what was decided before is not asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from onboarding.findings import catalog as catalogs
from onboarding.findings import decisions, goods, names, selling
from onboarding.findings.found import Detector, Found, Kind, risk
from onboarding.models import CleanupRule, Finding
from storestudio.accounts.models import Merchant

State = Finding.State
DETECTORS: Mapping[str, Detector] = {
    "SKUs that are missing": names.missing,
    "SKUs used twice": names.repeated,
    "SKUs that mean two things": names.collides,
    "SKUs a spreadsheet damaged": names.damaged,
    "SKUs off the pattern": names.off_pattern,
    "barcodes": names.barcodes,
    "stock tracking": selling.untracked,
    "selling at zero": selling.overselling,
    "prices": selling.prices,
    "archived goods": selling.archived,
    "options": goods.spellings,
    "things listed twice": goods.twice,
    "variants listed as products": goods.families,
}
# Decisions that mean the same whatever file brings the question back; the others are about rows that changed since.
REPLAYED = (
    Kind.OPTION, Kind.SKU_MISSING, Kind.SKU_DAMAGED, Kind.SKU_PATTERN, Kind.GTIN, Kind.UNTRACKED, Kind.OVERSELLING,
)  # fmt: skip
LOCK = 0x53534644
STORED = ("title", "members", "proposal", "confidence", "evidence", "risk")
DECIDED = ("state", "decided_at", "decided_by", "changeset", "overtaken_by")
Progress = Callable[[str, int, int], None]


def detect(*, merchant: Merchant, on_progress: Progress | None = None) -> dict[str, int]:
    """Find what is wrong now; returns how many findings were new, still so, gone, and answered by a rule.

    Findings that are no longer so are marked GONE. One run a shop at a time (advisory lock); a run that finds another
    under way waits for it.
    """
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, merchant.pk])
        catalog = catalogs.read(merchant)
        found: dict[tuple[str, str], Found] = {}
        for n, (name, detector) in enumerate(DETECTORS.items()):
            if on_progress is not None:
                on_progress(name, n, len(DETECTORS))
            found.update(((one.kind, one.key), one) for one in detector(catalog))
        _without_echoes(found)
        counts = _store(merchant, catalog, found)
    counts["by rule"] = _replay(merchant)
    return dict(counts)


def _without_echoes(found: dict[tuple[str, str], Found]) -> None:
    """One fault, one finding: the same thing twice is not a repeated SKU too, nor a damaged SKU off the pattern."""
    twins = {pk for (kind, _), one in found.items() if kind == Kind.DUPLICATE for pk in one.variant_ids}
    damaged = {one.key for (kind, _), one in found.items() if kind in (Kind.SKU_DAMAGED, Kind.SKU_REPEATED)}
    for where, one in list(found.items()):
        kind, key = where
        is_echo = (kind == Kind.SKU_REPEATED and set(one.variant_ids) <= twins) or (
            kind == Kind.SKU_PATTERN and key in damaged
        )
        if is_echo:
            del found[where]


def _store(merchant: Merchant, catalog: catalogs.Catalog, found: Mapping[tuple[str, str], Found]) -> Counter[str]:
    counts: Counter[str] = Counter()
    rows = {(row.kind, row.key): row for row in Finding.objects.of(merchant).select_for_update(of=("self",))}
    settled = set(CleanupRule.objects.of(merchant).filter(decision=State.REJECTED).values_list("kind", "key"))
    new, kept = [], []
    for where, one in found.items():
        row = rows.get(where)
        if where in settled:
            continue
        if row is None:
            new.append(Finding(merchant=merchant, kind=one.kind, key=one.key, **_values(one, catalog)))
            continue
        counts["still so"] += row.state == State.OPEN
        counts["new"] += row.state != State.OPEN
        for name, value in _values(one, catalog).items():
            setattr(row, name, value)
        row.state, row.decided_at, row.decided_by, row.changeset, row.overtaken_by = State.OPEN, None, None, None, None
        kept.append(row)
    Finding.objects.bulk_create(new, batch_size=1000)
    Finding.objects.bulk_update(
        kept,
        [
            "title",
            "members",
            "proposal",
            "confidence",
            "evidence",
            "risk",
            "state",
            "decided_at",
            "decided_by",
            "changeset",
            "overtaken_by",
        ],
        batch_size=200,
    )
    gone = [row.pk for where, row in rows.items() if row.state == State.OPEN and where not in found]
    counts["gone"] = Finding.objects.filter(pk__in=gone).update(state=State.GONE, decided_at=utc_now())
    counts["new"] += len(new)
    return counts


def _values(one: Found, catalog: catalogs.Catalog) -> dict[str, Any]:
    return {
        "title": one.title[:300],
        "members": list(one.members),
        "proposal": dict(one.proposal),
        "confidence": one.confidence,
        "evidence": [list(part) for part in one.evidence],
        "risk": risk(one, catalog),
    }


def _replay(merchant: Merchant) -> int:
    """Answer what was answered before in the same way; a question that has grown since is asked anew."""
    rules = {
        (rule.kind, rule.key): rule
        for rule in CleanupRule.objects.of(merchant).filter(decision=State.ACCEPTED, kind__in=REPLAYED)
    }
    answered = 0
    for finding in Finding.objects.of(merchant).filter(state=State.OPEN, kind__in=REPLAYED).order_by("pk"):
        rule = rules.get((finding.kind, finding.key))
        if rule is None or not _is_covered(finding, rule):
            continue
        try:
            decisions.accept(
                finding_id=finding.pk, actor=None, proposal=rule.proposal, excluded=rule.proposal.get("excluded", ())
            )
        except (decisions.Question, decisions.BadProposal, decisions.AlreadyDecided):
            continue
        rule.times_used += 1
        rule.save(update_fields=["times_used"])
        answered += 1
    return answered


def _is_covered(finding: Finding, rule: CleanupRule) -> bool:
    return set(finding.proposal.get("values", ())) <= set(rule.proposal.get("values", ()))
