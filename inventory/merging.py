"""Two variants that are one thing: the duplicate's units, orders and holds go to the survivor, and can go back.

Movements are never edited: what the duplicate held is posted out of it and into the survivor, location by location, so
that the sum of movements stays the level of both. The duplicate's own history stays readable under the duplicate. A
fact that still names the duplicate (an order applied at the same moment, a late event) is posted to the survivor by
the ledger itself (inventory/sql/post.sql).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.utils import DatabaseError
from django.utils.timezone import now as utc_now

from inventory import bundles, identifiers, ledger
from inventory.models import (
    ArrivalLine,
    Bundle,
    BundleComponent,
    Order,
    OrderHold,
    OrderLine,
    Reservation,
    ReservationLine,
    StockLevel,
    Variant,
    VariantAlias,
    VariantMerge,
)
from storestudio.accounts.models import User

SOURCE = "merge"
ZERO = Decimal(0)
AMOUNTS = ("on_hand", "committed", "reserved", "unavailable", "incoming")
Amounts = Mapping[str, Decimal]


class CannotMerge(Exception):
    """Why these two cannot become one, or one two again, in words for the person who tried."""


def merge(*, survivor: Variant, duplicate: Variant, actor: User | None) -> VariantMerge:
    """Make the duplicate part of the survivor and archive it; its SKU and barcode become the survivor's aliases.

    Raises CannotMerge. Its listings must have been parted or linked elsewhere before: channels are not known here.
    Locks both variants, then open holds, then the levels of both (by the ledger), all in primary-key order.
    """
    if survivor.merchant_id != duplicate.merchant_id:
        raise CannotMerge("These variants belong to two shops.")
    with transaction.atomic():
        living = {
            row.pk: row
            for row in Variant.objects.filter(pk__in=[survivor.pk, duplicate.pk]).order_by("pk").select_for_update()
        }
        if survivor.pk == duplicate.pk or any(row.archived_at is not None for row in living.values()):
            raise CannotMerge("Two variants that are both in use are needed.")
        _check_bundles(survivor, duplicate)
        lines = _lock_lines(OrderLine.objects.filter(variant=duplicate))
        holds = _holds_to_move(survivor, duplicate)
        _take_part(survivor, duplicate)
        merged = VariantMerge.objects.create(
            merchant_id=survivor.merchant_id,
            survivor=survivor,
            duplicate=duplicate,
            order_line_ids=lines,
            reservation_line_ids=holds,
        )
        now = utc_now()
        moved = {
            level.location_id: {name: getattr(level, name) for name in AMOUNTS}
            for level in StockLevel.objects.filter(variant=duplicate).order_by("pk").select_for_update(of=("self",))
        }
        _move(merged, moved, source_id=duplicate.pk, target_id=survivor.pk, key="in", now=now, actor=actor)
        _reassign(lines, holds, target=survivor)
        merged.moved = _stored(moved, _net_left(lines))
        merged.save(update_fields=["moved"])
        _take_names(survivor, living[duplicate.pk])
        Variant.objects.filter(pk=duplicate.pk).update(archived_at=now)
        return merged


def part(*, merge_id: int, actor: User | None) -> VariantMerge:
    """Make two variants of one again: what the duplicate brought goes back, less what its own orders took since.

    What happened to the survivor since (sales, counts, receipts) stays with it. Raises CannotMerge.
    Locks as `merge` does.
    """
    with transaction.atomic():
        merged: VariantMerge = VariantMerge.objects.select_for_update().get(pk=merge_id)
        survivor_id, duplicate_id = merged.survivor_id, merged.duplicate_id
        rows = {
            row.pk: row
            for row in Variant.objects.filter(pk__in=[survivor_id, duplicate_id]).order_by("pk").select_for_update()
        }
        if merged.parted_at is not None:
            raise CannotMerge("They were parted again before.")
        if VariantMerge.objects.filter(duplicate=survivor_id, parted_at=None).exists():
            raise CannotMerge("The survivor itself became part of another variant since: undo that first.")
        # Lines that still name the duplicate came while the two were one: the ledger gave their units to the survivor.
        brought = Q(pk__in=merged.order_line_ids, variant=survivor_id) | Q(variant=duplicate_id)
        lines = _lock_lines(OrderLine.objects.filter(brought))
        brought = Q(pk__in=merged.reservation_line_ids, variant=survivor_id) | Q(variant=duplicate_id)
        holds = _lock_holds(ReservationLine.objects.filter(brought, reservation__state=Reservation.State.HELD))
        now = utc_now()
        # While these wait, no arrival changes what it expects of either.
        levels = StockLevel.objects.filter(variant__in=[survivor_id, duplicate_id])
        list(levels.order_by("pk").select_for_update(of=("self",)))
        back = _owed_back(merged, lines, holds)
        _move(merged, back, source_id=survivor_id, target_id=duplicate_id, key="out", now=now, actor=actor)
        _reassign(lines, holds, target=rows[duplicate_id])
        Variant.objects.filter(pk=duplicate_id).update(archived_at=None)
        _give_names_back(rows[survivor_id], rows[duplicate_id], since=merged.merged_at)
        merged.parted_at = now
        merged.save(update_fields=["parted_at"])
        return merged


def _check_bundles(survivor: Variant, duplicate: Variant) -> None:
    """Two that are one are not made of each other, and one composition at most is left. Raises CannotMerge."""
    if Bundle.objects.filter(variant=duplicate, ended_at=None).exists():
        raise CannotMerge("The duplicate is a bundle or pack: keep that one, or unlink its parts first.")
    own = bundles.current(variant=survivor)
    if own is None:
        return
    if any(part.variant_id == duplicate.pk for part in own.parts):
        raise CannotMerge("One is a part of the other.")
    has_units = StockLevel.objects.filter(variant=duplicate).exclude(**dict.fromkeys(AMOUNTS, ZERO)).exists()
    if not own.is_stocked and has_units:
        raise CannotMerge("The duplicate has stock, and the other is a bundle, which has none: book it out first.")


def _take_part(survivor: Variant, duplicate: Variant) -> None:
    """What was made of the duplicate is made of the survivor: now, before, and for good.

    It stays so when the two part again, for open orders hold the survivor's units by then.
    """
    parts = BundleComponent.objects.filter(variant=duplicate)
    # Orders and holds of such bundles wait: what they hold and what they are made of change together.
    _lock_lines(OrderLine.objects.filter(bundle__in=parts.values("bundle")))
    _lock_holds(ReservationLine.objects.filter(bundle__in=parts.values("bundle")))
    try:
        with transaction.atomic():
            twice = BundleComponent.objects.filter(variant=survivor, bundle__in=parts.values("bundle"))
            for row in twice.order_by("pk"):
                other = parts.get(bundle=row.bundle_id)
                row.quantity += other.quantity
                other.delete()
                row.save(update_fields=["quantity"])
            parts.update(variant=survivor)
    except DatabaseError as error:
        raise CannotMerge(str(bundles.translated(error))) from error


def _holds_to_move(survivor: Variant, duplicate: Variant) -> list[int]:
    """Lines of running holds. A hold on both would need one line of two: it ends soon, and then it can be done."""
    running = ReservationLine.objects.filter(reservation__state=Reservation.State.HELD)
    mine = running.filter(variant=duplicate)
    both = running.filter(
        variant=survivor, reservation__in=mine.values("reservation"), location__in=mine.values("location")
    )
    if both.exists():
        raise CannotMerge("A hold is running on both of them: try again when it has ended.")
    return _lock_holds(mine)


def _lock_lines(lines: QuerySet[OrderLine]) -> list[int]:
    """Their orders, so that none is applied while its lines change hands; the lines as they are then."""
    list(Order.objects.filter(pk__in=lines.values("order")).order_by("pk").select_for_update().values_list("pk"))
    return list(lines.order_by("pk").values_list("pk", flat=True))


def _lock_holds(lines: QuerySet[ReservationLine]) -> list[int]:
    whole = Reservation.objects.filter(pk__in=lines.values("reservation"))
    list(whole.order_by("pk").select_for_update().values_list("pk"))
    return list(lines.order_by("pk").values_list("pk", flat=True))


def _reassign(lines: list[int], holds: list[int], *, target: Variant) -> None:
    OrderLine.objects.filter(pk__in=lines).update(variant=target)
    ReservationLine.objects.filter(pk__in=holds).update(variant=target)


def _move(
    merged: VariantMerge,
    amounts: Mapping[int, Amounts],
    *,
    source_id: int,
    target_id: int,
    key: str,
    now: datetime,
    actor: User | None,
) -> None:
    """Post the amounts out of one variant and into the other, all in one batch."""
    entries = [
        ledger.Entry(
            variant_id=variant_id,
            location_id=location_id,
            kind=ledger.Kind.MERGE,
            key=f"{merged.pk}:{key}:{variant_id}:{location_id}",
            occurred_at=now,
            actor_id=actor.pk if actor else None,
            reason=f"variant {merged.duplicate_id} and variant {merged.survivor_id} "
            + ("are one" if key == "in" else "are two again"),
            on_hand=sign * moved["on_hand"],
            committed=sign * moved["committed"],
            reserved=sign * moved["reserved"],
            unavailable=sign * moved["unavailable"],
            incoming=sign * moved["incoming"],
        )
        for location_id, moved in sorted(amounts.items())
        if any(moved.values())
        for variant_id, sign in ((source_id, -1), (target_id, 1))
    ]
    ledger.post(merchant_id=merged.merchant_id, source=SOURCE, entries=entries)


def _net_left(lines: Iterable[int]) -> dict[int, Decimal]:
    """Units that left for good through these order lines, by location: fulfilled less restocked."""
    left: dict[int, Decimal] = defaultdict(Decimal)
    for hold in OrderHold.objects.filter(line__in=list(lines)):
        left[hold.location_id] += hold.fulfilled - hold.restocked
    return left


def _stored(moved: Mapping[int, Amounts], left: Mapping[int, Decimal]) -> list[dict[str, Any]]:
    places = sorted(set(moved) | set(left))
    return [
        {"location_id": place, "left": str(left.get(place, ZERO))}
        | {name: str(amount) for name, amount in moved.get(place, {}).items()}
        for place in places
    ]


def _owed_back(merged: VariantMerge, lines: list[int], holds: list[int]) -> dict[int, Amounts]:
    """What goes back: the units brought, less what the duplicate's own orders took since; what they hold now."""
    left_now = _net_left(lines)
    committed: dict[int, Decimal] = defaultdict(Decimal)
    reserved: dict[int, Decimal] = defaultdict(Decimal)
    for hold in OrderHold.objects.filter(line__in=lines):
        committed[hold.location_id] += hold.committed
    for line in ReservationLine.objects.filter(pk__in=holds):
        reserved[line.location_id] += line.quantity
    expected = _expected(merged)
    brought = {row["location_id"]: row for row in merged.moved}
    there = {level.location_id: level for level in StockLevel.objects.filter(variant=merged.survivor_id)}
    back: dict[int, Amounts] = {}
    for place in sorted(set(brought) | set(left_now) | set(committed) | set(reserved) | set(expected)):
        row, level = brought.get(place, {}), there.get(place)
        back[place] = {
            "on_hand": Decimal(row.get("on_hand", 0)) - (left_now.get(place, ZERO) - Decimal(row.get("left", 0))),
            "committed": committed.get(place, ZERO),
            "reserved": reserved.get(place, ZERO),
            # These follow no order: as many as are still there.
            "unavailable": min(Decimal(row.get("unavailable", 0)), level.unavailable if level else ZERO),
            "incoming": expected.get(place, ZERO),
        }
    return back


def _expected(merged: VariantMerge) -> dict[int, Decimal]:
    """What arrivals written under the duplicate still bring, by location: as though it were not merged."""
    rows = ArrivalLine.objects.filter(arrival__sent_at__isnull=False, remaining__gt=0, variant__in=_names(merged))
    expected: dict[int, Decimal] = defaultdict(Decimal)
    for place, units in rows.values_list("arrival__destination", "remaining"):
        expected[place] += units
    return expected


def _names(merged: VariantMerge) -> set[int]:
    """The duplicate, and what had become part of it before."""
    names = new = {merged.duplicate_id}
    while new:
        rows = VariantMerge.objects.filter(survivor__in=new, parted_at=None)
        new = set(rows.values_list("duplicate_id", flat=True)) - names
        names = names | new
    return names


def _take_names(survivor: Variant, duplicate: Variant) -> None:
    """What the duplicate was known by finds the survivor from now on."""
    names: list[tuple[str, str, str]] = [
        (VariantAlias.Kind.SKU, duplicate.sku, duplicate.sku_key),
        (VariantAlias.Kind.GTIN, duplicate.gtin, identifiers.gtin(duplicate.gtin)),
    ]
    names += duplicate.aliases.order_by("pk").values_list("kind", "value", "key")
    VariantAlias.objects.bulk_create(
        [
            VariantAlias(merchant_id=survivor.merchant_id, variant=survivor, kind=kind, value=value, key=key)
            for kind, value, key in names
            if key and key not in (survivor.sku_key, survivor.gtin)
        ],
        ignore_conflicts=True,
    )


def _give_names_back(survivor: Variant, duplicate: Variant, *, since: datetime) -> None:
    names = [duplicate.sku_key, duplicate.gtin, *duplicate.aliases.values_list("key", flat=True)]
    survivor.aliases.filter(key__in=[name for name in names if name], created_at__gte=since).delete()
