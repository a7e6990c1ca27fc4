"""Differences that lasted: feared at once, then put down to a cause by evidence; healed only where that is certain.

Fear first: units missing there without cause are held back at every other channel before anybody thinks. Then the
evidence, the most telling first. What it does not settle is one question to a person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from channels import credentials, guards, intake, publisher, registry
from channels.models import ChannelStock, Connection, Listing, RemoteChange, StockGap
from channels.ports import Connector, ConnectorError, HintKind, ListingNow, MadeBy, WriteMode
from channels.reconcile import gaps, units
from channels.reconcile.changes import texts_of
from inventory import bundles, identifiers
from inventory.names import variants_by_sku

OVERWRITTEN_MIN = 2  # times that our number was sent over theirs and came back changed: somebody else keeps writing
OVERWRITTEN_WITHIN = timedelta(days=7)
CLOCKS_APART_S = 2  # the channel tells whole seconds
LOOKED_UP_MAX = 200  # listings read for their evidence at one go
ZERO = Decimal(0)
Cause, Deed, State = StockGap.Cause, StockGap.Deed, StockGap.State
Key = tuple[str, str]

_FEAR = """
UPDATE channels_channelstock c
SET drift_at = CASE WHEN c.observed <> c.expected THEN coalesce(c.drift_at, %(at)s) END,
    doubt = CASE WHEN c.observed <> c.expected THEN greatest(0, c.expected - c.observed) ELSE 0 END
FROM (SELECT id FROM channels_channelstock WHERE id = ANY(%(cells)s) ORDER BY id FOR NO KEY UPDATE) locked
WHERE c.id = locked.id AND c.expected IS NOT NULL AND c.write_id IS NULL
  AND NOT EXISTS (SELECT FROM channels_guardstop g WHERE g.id = c.held_by_id AND g.kind <> 'publish')
RETURNING c.id
"""


@dataclass(frozen=True)
class _Case:
    """A gap with its cell; `missing`: the channel did not mention it."""

    gap: StockGap
    cell: ChannelStock
    missing: bool

    @property
    def key(self) -> Key:
        return self.cell.listing.inventory_id, self.cell.channel_location.external_id


def judge(connection: Connection, *, differing: Sequence[int], missing: Sequence[int], read_at: datetime) -> int:
    """Judge cells whose difference has lasted; returns how many are drift from now on.

    Call outside a transaction: listings may be read again. Raises ConnectorError; then the cells are feared already
    and are judged at their next reading.
    """
    cells = _cells([*differing, *missing])
    differing = _guarded(connection, [cells[pk] for pk in differing if pk in cells])
    _fear(differing, at=read_at)
    cases = _cases(cells, differing=differing, missing=[pk for pk in missing if pk in cells])
    _find_causes(connection, cases)
    return len(differing)


def _cells(cell_ids: Iterable[int]) -> dict[int, ChannelStock]:
    rows = ChannelStock.objects.filter(pk__in=list(cell_ids)).select_related(
        "listing__variant__product", "channel_location", "connection"
    )
    return {row.pk: row for row in rows}


def _guarded(connection: Connection, cells: Sequence[ChannelStock]) -> list[int]:
    """The cells that may be judged: a mass of drops at once is held and shown to a person first."""
    now = timezone.now()
    cuts = [
        guards.Cut(cell.pk, cell.expected or ZERO, cell.observed or ZERO)
        for cell in cells
        if cell.held_by_id is None and (cell.guard_passed_at is None or cell.guard_passed_at < now - guards.PASSED_FOR)
    ]
    guards.judge(connection, kind=guards.Kind.READING, cuts=cuts)
    held = ChannelStock.objects.filter(pk__in=[cell.pk for cell in cells], held_by__isnull=False)
    kept = set(held.exclude(held_by__kind=guards.Kind.PUBLISH).values_list("pk", flat=True))
    return [cell.pk for cell in cells if cell.pk not in kept]


def _fear(cell_ids: Sequence[int], *, at: datetime) -> None:
    if not cell_ids:
        return
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(_FEAR, {"cells": list(cell_ids), "at": at})
            feared = [row[0] for row in cursor.fetchall()]
        # Up or down: units missing there are held back elsewhere; what it may show beyond its own, others must not.
        refresh_neighbours(feared)


def refresh_neighbours(cell_ids: Sequence[int]) -> None:
    """Doubt about one cell changes what the same variant, and what shares stock with it, may show everywhere."""
    if not cell_ids:
        return
    variants = Listing.objects.filter(cells__in=cell_ids, variant__isnull=False).values_list("variant", flat=True)
    neighbours = ChannelStock.objects.filter(listing__variant__in=bundles.kin(list(variants)))
    publisher.refresh_desired(cell_ids=list(neighbours.values_list("pk", flat=True)))


def _cases(cells: Mapping[int, ChannelStock], *, differing: Sequence[int], missing: Sequence[int]) -> list[_Case]:
    gone = set(missing)
    rows = StockGap.objects.filter(gaps.WAITING, cell__in=[*differing, *missing]).select_related("listing")
    return [
        _Case(row, cells[row.cell_id], row.cell_id in gone)
        for row in rows.order_by("pk")
        if row.cell_id is not None and (row.state == State.OPEN and row.cause != Cause.LINK_BROKEN)
    ]


def _find_causes(connection: Connection, cases: Sequence[_Case]) -> None:
    """Each case its cause; the first that fits, the most telling evidence first."""
    left = list(cases)
    for find in (_clamped, _sold_under_our_write, _withheld, _gone_or_exchanged, _other_unit, _overwritten_again):
        found = find(connection, left) if left else {}
        for case in left:
            if case.gap.pk in found:
                case.gap.cause, evidence = found[case.gap.pk]
                case.gap.evidence = case.gap.evidence | evidence
        left = [case for case in left if case.gap.pk not in found]
    _act(connection, cases)


Found = dict[int, tuple[str, dict[str, Any]]]


def _clamped(connection: Connection, cases: Sequence[_Case]) -> Found:
    """It shows 0 where its own sales took it below: it does not count further down."""
    return {
        case.gap.pk: (Cause.CLAMPED, {"below": gaps.plain(case.cell.expected)})
        for case in cases
        if not case.missing and (case.cell.expected or ZERO) < 0 and case.cell.observed == 0
    }


# What a channel's own orders moved after a number for one of its cells was bound and before that was confirmed: had it
# moved before we looked, the write would have been found stale.
_UNDER_OUR_WRITE = """
SELECT c.id, told.write_id, sum(m.on_hand - m.committed), array_agg(DISTINCT o.number ORDER BY o.number)
FROM channels_channelstock c
JOIN channels_listing l ON l.id = c.listing_id
JOIN channels_channellocation cl ON cl.id = c.channel_location_id
JOIN LATERAL (
    SELECT w.id AS write_id, w.created_at, line.answered_at
    FROM channels_channelwriteline line JOIN channels_channelwrite w ON w.id = line.write_id
    WHERE line.cell_id = c.id AND line.outcome = 'applied' ORDER BY line.id DESC LIMIT 1
) told ON true
JOIN inventory_stockmovement m ON m.variant_id = l.variant_id AND m.location_id = cl.location_id
    AND m.channel_id = c.connection_id AND m.recorded_at > told.created_at
    AND m.occurred_at <= told.answered_at + make_interval(secs => %(clocks_s)s)
JOIN inventory_order o ON o.id = m.order_id
WHERE c.id = ANY(%(cells)s)
GROUP BY c.id, told.write_id
"""


def _sold_under_our_write(connection: Connection, cases: Sequence[_Case]) -> Found:
    """A channel that takes numbers only absolutely: its own orders, between our reading and our writing, moved exactly
    what is missing or too many now. Our number went over theirs."""
    if registry.capabilities(connection.channel).write_mode is not WriteMode.ABSOLUTE:
        return {}
    gaps_of = {case.cell.pk: case for case in cases if not case.missing}
    with database.cursor() as cursor:
        cursor.execute(_UNDER_OUR_WRITE, {"cells": list(gaps_of), "clocks_s": CLOCKS_APART_S})
        rows = cursor.fetchall()
    return {
        gaps_of[cell_id].gap.pk: (Cause.LATE, {"under_write": write_id, "orders": numbers})
        for cell_id, write_id, moved, numbers in rows
        if moved == -_difference(gaps_of[cell_id])
    }


def _withheld(connection: Connection, cases: Sequence[_Case]) -> Found:
    """Changes its feed told of, that were not booked, and that add up to the difference."""
    rows = RemoteChange.objects.filter(
        connection=connection,
        state=RemoteChange.State.WITHHELD,
        stop=None,
        inventory_id__in={case.cell.listing.inventory_id for case in cases},
    )
    told: dict[Key, list[RemoteChange]] = defaultdict(list)
    for row in rows.order_by("occurred_at", "pk"):
        told[row.inventory_id, row.location_external_id].append(row)
    found: Found = {}
    for case in cases:
        changes = told.get(case.key, [])
        if case.missing or not changes or sum(row.delta for row in changes) != _difference(case):
            continue
        evidence = _told(changes[-1]) | {"changes": [row.pk for row in changes]}
        factor = _factor(case)
        if factor is not None:
            found[case.gap.pk] = (Cause.UNIT_MISMATCH, evidence | {"factor": factor})
        elif any(row.made_by == MadeBy.APP for row in changes):
            found[case.gap.pk] = (Cause.OTHER_APP, evidence)
    return found


def _told(row: RemoteChange) -> dict[str, Any]:
    is_app = row.made_by == MadeBy.APP
    return {
        "change": row.cause, "by": row.by, "happened_at": row.occurred_at.isoformat(),
        "app": row.app if is_app else "", "app_id": row.app_id if is_app else "",
    }  # fmt: skip


def _difference(case: _Case) -> Decimal:
    return (case.cell.observed or ZERO) - (case.cell.expected or ZERO)


def _factor(case: _Case) -> int | None:
    named = units.factors_named(texts_of(case.cell.listing))
    return units.factor_between(case.cell.expected or ZERO, case.cell.observed or ZERO, factors=named)


def _gone_or_exchanged(connection: Connection, cases: Sequence[_Case]) -> Found:
    """Read the listings again: one that is gone, or that carries the SKU of another item of ours."""
    cases = list(cases)[:LOOKED_UP_MAX]
    now = _read_again(connection, sorted({case.cell.listing.external_id for case in cases}))
    if now is None:
        return {}
    others = variants_by_sku(
        merchant_id=connection.merchant_id, skus={one.fields.sku for one in now.values() if one.fields.sku}
    )
    found: Found = {}
    for case in cases:
        listing, one = case.cell.listing, now.get(case.cell.listing.external_id)
        if one is None:
            found[case.gap.pk] = (Cause.LINK_BROKEN, {"gone": True, "external_id": listing.external_id})
        elif (sku := one.fields.sku) and identifiers.sku_key(sku) != listing.sku_key:
            other = others.get(sku)
            if other is not None and other != listing.variant_id:
                found[case.gap.pk] = (Cause.LINK_BROKEN, {"sku_was": listing.sku, "sku_is": sku, "variant": other})
    return found


def _read_again(connection: Connection, external_ids: Sequence[str]) -> dict[str, ListingNow] | None:
    """These listings as they are now, None where the channel cannot say. Raises ConnectorError that may pass."""
    size = registry.capabilities(connection.channel).listing_reads_max
    found: dict[str, ListingNow] = {}
    for start in range(0, len(external_ids), size):
        chunk = external_ids[start : start + size]

        def read(connector: Connector, chunk: Sequence[str] = chunk) -> Sequence[ListingNow]:
            return connector.read_listings(external_ids=chunk)

        try:
            found |= {one.external_id: one for one in credentials.with_fresh_token(connection.pk, read)}
        except ConnectorError as error:
            if error.permanent and not error.needs_reconnect:
                return None
            raise
    return found


def _other_unit(connection: Connection, cases: Sequence[_Case]) -> Found:
    """One number is the other in packs: of a size the titles name, or of a usual one at several places alike."""
    found: Found = {}
    alike: dict[tuple[int, int], list[_Case]] = defaultdict(list)
    for case in cases:
        if case.missing:
            continue
        factor = _factor(case)
        if factor is not None:
            found[case.gap.pk] = (Cause.UNIT_MISMATCH, {"factor": factor, "named": True})
            continue
        expected, observed = case.cell.expected or ZERO, case.cell.observed or ZERO
        factor = units.factor_between(expected, observed, factors=units.USUAL)
        if factor is not None and expected * observed > 1:
            alike[case.cell.listing_id, factor].append(case)
    for (_, factor), several in alike.items():
        if len(several) > 1:
            found |= {case.gap.pk: (Cause.UNIT_MISMATCH, {"factor": factor}) for case in several}
    return found


def _overwritten_again(connection: Connection, cases: Sequence[_Case]) -> Found:
    """A cell where our number was sent before, more than once, and was written over each time."""
    since = timezone.now() - OVERWRITTEN_WITHIN
    before = StockGap.objects.filter(
        Q(deed=Deed.OURS), cell__in=[case.cell.pk for case in cases], closed_at__gte=since
    ).values_list("cell_id", flat=True)
    times = Counter(before)
    return {
        case.gap.pk: (Cause.OTHER_APP, {"overwritten": times[case.cell.pk]})
        for case in cases
        if times[case.cell.pk] >= OVERWRITTEN_MIN and not case.missing
    }


def _act(connection: Connection, cases: Sequence[_Case]) -> None:
    """Heal what is certain, look further for what is gone, ask about the rest."""
    now = timezone.now()
    for case in cases:
        case.gap.judged_at = now
    # What it shows is what it shows: what it should show is then told again, if it differs.
    believed = [case for case in cases if case.gap.cause == Cause.CLAMPED or "under_write" in case.gap.evidence]
    gone = [case for case in cases if case.gap.cause == Cause.LINK_BROKEN and case.gap.evidence.get("gone")]
    _believe(believed)
    if gone:
        StockGap.objects.bulk_update([case.gap for case in gone], ["cause", "evidence", "judged_at"])
        # The whole catalog read again marks what is gone and links what was listed anew under the same SKU.
        key = f"gone:{now:%Y%m%dT%H%M%S}"
        intake.hint(connection=connection, kind=HintKind.CATALOG, ids=["gone"], key=key)
    rest = [case.gap for case in cases if case not in believed and case not in gone]
    if rest:
        gaps.ask(connection, rest)


_BELIEVE = """
UPDATE channels_channelstock c SET expected = c.observed, drift_at = NULL, doubt = 0, recheck_at = NULL
FROM (SELECT id FROM channels_channelstock WHERE id = ANY(%(cells)s) ORDER BY id FOR NO KEY UPDATE) locked
JOIN unnest(%(cells)s::bigint[], %(differences)s::numeric[]) AS judged(id, difference) ON judged.id = locked.id
WHERE c.id = locked.id AND c.write_id IS NULL AND c.observed - c.expected = judged.difference
RETURNING c.id
"""


def _believe(cases: Sequence[_Case]) -> None:
    """Take what the channel shows for what it shows: no stock of ours moves."""
    if not cases:
        return
    with transaction.atomic():
        with database.cursor() as cursor:
            values: dict[str, Any] = {
                "cells": [case.cell.pk for case in cases],
                "differences": [_difference(case) for case in cases],
            }
            cursor.execute(_BELIEVE, values)
            believed = {row[0] for row in cursor.fetchall()}
        publisher.refresh_desired(cell_ids=sorted(believed))
        for case in cases:
            if case.cell.pk in believed:
                case.gap.state, case.gap.deed = State.HEALED, Deed.BELIEVED
                case.gap.moved, case.gap.closed_at = _difference(case), timezone.now()
        StockGap.objects.bulk_update(
            [case.gap for case in cases], ["cause", "evidence", "state", "deed", "moved", "judged_at", "closed_at"]
        )
