"""Look through a shop's catalog for what is wrong; what was decided before is not asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now as utc_now

from onboarding.findings import catalog as catalogs
from onboarding.findings import decisions, goods, names, overtaking, rules, selling
from onboarding.findings.found import Detector, Found, Kind, risk
from onboarding.models import Change, ChangeSet, CleanupRule, Finding
from storestudio.accounts.models import Merchant

State = Finding.State
DETECTORS: Mapping[str, Detector] = {
    "SKUs that are missing": names.missing,
    "SKUs used twice": names.repeated,
    "SKUs that mean two things": names.collides,
    "SKUs of two listings": names.listed_with_one_sku,
    "SKUs a spreadsheet damaged": names.damaged,
    "SKUs off the pattern": names.off_pattern,
    "barcodes": names.barcodes,
    "barcodes used twice": names.shared_barcodes,
    "stock tracking": selling.untracked,
    "selling at zero": selling.overselling,
    "prices": selling.prices,
    "archived goods": selling.archived,
    "options": goods.spellings,
    "the same thing twice": goods.twice,
    "things listed twice": goods.listed_twice,
    "variants listed as products": goods.families,
}
VALUES = ["title", "members", "proposal", "confidence", "evidence", "risk"]
WRITTEN = [*VALUES, "state", "found_at", "decided_at", "decided_by", "changeset", "overtaken_by"]
Progress = Callable[[str, int, int], None]
Where = tuple[str, str]


def detect(*, merchant: Merchant, on_progress: Progress | None = None) -> dict[str, int]:
    """Find what is wrong now; returns how many findings are new, still so, gone, and were answered by rule.

    What was decided before is answered by rule first, then all detectors look, without holding any lock; then the
    findings are stored, one run or decision of a shop at a time. What people decided meanwhile stands.
    """
    started = utc_now()
    by_rule = rules.replay(merchant)
    catalog = catalogs.read(merchant, apart=rules.apart(merchant))
    found: dict[Where, Found] = {}
    for n, (name, detector) in enumerate(DETECTORS.items()):
        if on_progress is not None:
            on_progress(name, n, len(DETECTORS))
        found.update(((one.kind, one.key), one) for one in detector(catalog))
    _without_echoes(found)
    with transaction.atomic():
        decisions.one_at_a_time(merchant.pk)
        counts = _store(merchant, catalog, found, _touched_since(merchant, started))
    if on_progress is not None:
        on_progress("done", len(DETECTORS), len(DETECTORS))
    return {"new": counts["new"], "still so": counts["still so"], "gone": counts["gone"], "by rule": by_rule}


def _without_echoes(found: dict[Where, Found]) -> None:
    """One fault, one finding: the same thing twice is no repeated SKU or barcode, a damaged SKU is not off pattern."""
    twins = [set(one.variant_ids) for (kind, _), one in found.items() if kind == Kind.DUPLICATE]
    named = {key for kind, key in found if kind in (Kind.SKU_DAMAGED, Kind.SKU_REPEATED)}
    for where, one in list(found.items()):
        kind, key = where
        is_echo = (
            (kind == Kind.SKU_REPEATED or key.endswith(":repeated"))
            and len(one.variant_ids) > 1
            and any(set(one.variant_ids) <= ids for ids in twins)
        ) or (kind == Kind.SKU_PATTERN and key in named)
        if is_echo:
            del found[where]


def _touched_since(merchant: Merchant, started: datetime) -> overtaking.Touched:
    """What change sets made or undone since then were about: it was read before, and may be otherwise now."""
    sets = ChangeSet.objects.of(merchant).filter(Q(created_at__gte=started) | Q(undone_at__gte=started))
    since = sets.exclude(actor=None, kind=ChangeSet.Kind.FINDING, undone_at=None)  # our own, before we read
    changes = Change.objects.filter(changeset__in=since).only("table", "row_id", "after")
    return overtaking.touched_by(changes.iterator(chunk_size=2000))


def _store(
    merchant: Merchant, catalog: catalogs.Catalog, found: Mapping[Where, Found], touched: overtaking.Touched
) -> Counter[str]:
    counts: Counter[str] = Counter()
    rows = {(row.kind, row.key): row for row in Finding.objects.of(merchant).select_for_update(of=("self",))}
    known = {(rule.kind, rule.key): rule for rule in CleanupRule.objects.of(merchant)}
    now = utc_now()
    new, kept = [], []
    for where, one in found.items():
        fresh = Finding(merchant=merchant, kind=one.kind, key=one.key, **_values(one, catalog))
        row = rows.get(where)
        if touched.meets(fresh) or _is_settled(row, fresh, known.get(where)):
            continue
        if row is None:
            new.append(fresh)
            continue
        counts["still so" if row.state == State.OPEN else "new"] += 1
        if row.state != State.OPEN:
            row.state, row.found_at, row.decided_at, row.decided_by = State.OPEN, now, None, None
            row.changeset, row.overtaken_by = None, None
        for name in VALUES:
            setattr(row, name, getattr(fresh, name))
        kept.append(row)
    Finding.objects.bulk_create(new, batch_size=1000)
    Finding.objects.bulk_update(kept, WRITTEN, batch_size=200)
    gone = [
        row.pk
        for where, row in rows.items()
        if row.state == State.OPEN and where not in found and not touched.meets(row)
    ]
    counts["gone"] = Finding.objects.filter(pk__in=gone).update(state=State.GONE)
    counts["new"] += len(new)
    return counts


def _is_settled(row: Finding | None, fresh: Finding, rule: CleanupRule | None) -> bool:
    """Whether this was decided before, looking at the same, and there is nothing more to do about it.

    Rejected: for ever. Accepted: spellings kept on purpose, and wishes that wait to be sent to their channel; what
    else was accepted and is found again has come back by itself, and is a new question.
    """
    if not rules.covers(rule, kind=fresh.kind, members=fresh.members, proposal=fresh.proposal):
        return False
    if rule is not None and rule.decision == State.REJECTED:
        return True
    answered = row is not None and row.state == State.ACCEPTED
    return answered and fresh.proposal["op"] in (*rules.SPELLINGS, "wish")


def _values(one: Found, catalog: catalogs.Catalog) -> dict[str, Any]:
    return {
        "title": one.title[:300],
        "members": list(one.members),
        "proposal": dict(one.proposal),
        "confidence": one.confidence,
        "evidence": [list(part) for part in one.evidence],
        "risk": risk(one, catalog),
    }
