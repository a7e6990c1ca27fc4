"""Variants made of others: what a bundle can sell follows from its parts, and what moves is the parts.

A bundle that is made up when sold has no stock of its own; the ledger refuses it. Orders, holds and a channel's reports
of it are turned into movements of its parts, which say which bundle they were (`bundle_id`). A stocked one (a pack, a
kit on the shelf) is counted like any variant; `pack` and `unpack` turn parts into packs and back, in one posting.

A composition is never edited: a new one ends the old one, and what was held by the old one is released by the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from django.db import connection, transaction
from django.db.models import Q
from django.db.utils import DatabaseError
from django.utils.timezone import now as utc_now

from inventory import ledger
from inventory.models import Bundle, BundleComponent, Location, StockLevel, Variant
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)
Kind = ledger.Kind


@dataclass(frozen=True)
class Part:
    """Units of one variant in one piece of a bundle."""

    variant_id: int
    quantity: Decimal


@dataclass(frozen=True)
class Composition:
    """What one piece of a bundle is made of; parts by variant."""

    bundle_id: int
    variant_id: int
    is_stocked: bool
    parts: Sequence[Part]


class CannotBundle(Exception):
    """Why this cannot be made of those, in words for the person who tried."""


def compositions(*, variant_ids: Iterable[int] = (), bundle_ids: Iterable[int] = ()) -> dict[int, Composition]:
    """By bundle: what these variants are made of now where they are made up when sold, and these bundles. One query."""
    made_now = Q(bundle__variant__in=set(variant_ids), bundle__ended_at=None, bundle__is_stocked=False)
    return _read(made_now | Q(bundle__in=set(bundle_ids)))


def made_when_sold(compositions: Mapping[int, Composition], *, variant_id: int | None) -> int | None:
    """The key, among these, of the bundle that this variant is; None where it has stock of its own."""
    found = [one.bundle_id for one in compositions.values() if one.variant_id == variant_id and not one.is_stocked]
    return max(found, default=None)


def current(*, variant: Variant) -> Composition | None:
    """What the variant is made of now, made up when sold or kept on the shelf."""
    return next(iter(_read(Q(bundle__variant=variant, bundle__ended_at=None)).values()), None)


def containing(*, variant: Variant) -> list[Composition]:
    """The bundles that it is a part of now, oldest first."""
    of = BundleComponent.objects.filter(variant=variant, bundle__ended_at=None)
    return list(_read(Q(bundle__in=of.values("bundle"))).values())


def _read(wanted: Q) -> dict[int, Composition]:
    rows = BundleComponent.objects.filter(wanted).select_related("bundle").order_by("bundle_id", "variant_id")
    parts: dict[int, list[Part]] = defaultdict(list)
    bundles: dict[int, Bundle] = {}
    for row in rows:
        bundles[row.bundle_id] = row.bundle
        parts[row.bundle_id].append(Part(row.variant_id, row.quantity))
    return {
        pk: Composition(bundle_id=pk, variant_id=bundle.variant_id, is_stocked=bundle.is_stocked, parts=parts[pk])
        for pk, bundle in bundles.items()
    }


def expand(entry: ledger.Entry, composition: Composition | None) -> list[ledger.Entry]:
    """The entry of a bundle as entries of its parts, the first under its own key; without a composition, as it is."""
    if composition is None:
        return [entry]
    if entry.counted is not None:
        raise AssertionError(f"bundle {composition.bundle_id} was counted: its parts are what is there")
    return [
        replace(
            entry,
            variant_id=part.variant_id,
            key=f"{entry.key}:{part.variant_id}" if place else entry.key,
            on_hand=entry.on_hand * part.quantity,
            committed=entry.committed * part.quantity,
            reserved=entry.reserved * part.quantity,
            unavailable=entry.unavailable * part.quantity,
            incoming=entry.incoming * part.quantity,
            bundle_id=composition.bundle_id,
        )
        for place, part in enumerate(composition.parts)
    ]


def expand_all(entries: Sequence[ledger.Entry]) -> list[ledger.Entry]:
    """The entries, those of bundles as entries of what these are made of now. One query."""
    made_of = compositions(variant_ids=[entry.variant_id for entry in entries])
    return [
        one
        for entry in entries
        for one in expand(entry, made_of.get(made_when_sold(made_of, variant_id=entry.variant_id) or 0))
    ]


_KIN = """
WITH part AS (
    SELECT v.id FROM unnest(%(variants)s::bigint[]) AS v(id)
    UNION
    SELECT k.variant_id FROM inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id
    WHERE b.variant_id = ANY(%(variants)s) AND b.ended_at IS NULL AND NOT b.is_stocked
)
SELECT id FROM part
UNION
SELECT b.variant_id FROM part
JOIN inventory_bundlecomponent k ON k.variant_id = part.id
JOIN inventory_bundle b ON b.id = k.bundle_id AND b.ended_at IS NULL AND NOT b.is_stocked
"""


def kin(variant_ids: Collection[int]) -> set[int]:
    """These variants, and all that share stock with them: a bundle's parts, and whatever is made of the same parts."""
    with connection.cursor() as cursor:
        cursor.execute(_KIN, {"variants": list(variant_ids)})
        return {row[0] for row in cursor.fetchall()}


_AVAILABLE = """
SELECT v.id, o.id, min(CASE WHEN k.id IS NULL THEN s.available ELSE floor(coalesce(s.available, 0) / k.quantity) END)
FROM inventory_variant v
JOIN inventory_location o ON o.merchant_id = v.merchant_id
LEFT JOIN (inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id)
    ON b.variant_id = v.id AND b.ended_at IS NULL AND NOT b.is_stocked
LEFT JOIN inventory_stocklevel s ON s.variant_id = coalesce(k.variant_id, v.id) AND s.location_id = o.id
WHERE v.id = ANY(%s) AND v.merchant_id = %s
GROUP BY v.id, o.id
HAVING count(s.id) > 0
ORDER BY v.id, o.id
"""


def available(*, merchant_id: int, variant_ids: Collection[int]) -> dict[tuple[int, int], Decimal]:
    """What is available by (variant, location), in units of the variant; of bundles, what their parts make up.

    A place where nothing of it ever was is not mentioned. One query; locks nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AVAILABLE, [list(variant_ids), merchant_id])
        return {(variant, place): units for variant, place, units in cursor.fetchall()}


@dataclass(frozen=True)
class Made:
    """How many pieces one location has the parts for, and of which parts there is not enough for one more."""

    units: Decimal
    limited_by: tuple[int, ...]


def makes_up(parts: Sequence[Part], *, merchant_id: int) -> dict[int, Made]:
    """What such parts make up, by location: of a composition, or of one that is not stored yet.

    A place where none of the parts ever was is not mentioned; below zero where a part is. One query.
    """
    there = available(merchant_id=merchant_id, variant_ids=[part.variant_id for part in parts])
    found = {}
    for place in sorted({place for _, place in there}):
        each = {
            part.variant_id: (there.get((part.variant_id, place), ZERO) / part.quantity).to_integral_value(ROUND_FLOOR)
            for part in parts
        }
        units = min(each.values())
        found[place] = Made(units, tuple(variant_id for variant_id, pieces in each.items() if pieces == units))
    return found


def made_when_sold_of(*, merchant_id: int) -> set[int]:
    """The shop's variants that are made up of others when they are sold. One query."""
    rows = Bundle.objects.filter(merchant=merchant_id, ended_at=None, is_stocked=False)
    return set(rows.values_list("variant", flat=True))


def made_totals(*, merchant_id: int, location_id: int | None = None) -> dict[int, Decimal]:
    """What each of the shop's bundles can sell, by variant, over all places or at one; at least 0. Two queries."""
    totals = dict.fromkeys(made_when_sold_of(merchant_id=merchant_id), ZERO)
    if totals:
        for (variant_id, place), units in available(merchant_id=merchant_id, variant_ids=totals).items():
            if location_id in (None, place):
                totals[variant_id] += max(units, ZERO)
    return totals


def define(*, variant: Variant, parts: Sequence[Part], is_stocked: bool, actor: User | None) -> Bundle:
    """From now on the variant is made of these parts. What was sold before keeps what it was made of then.

    Raises CannotBundle. Locks the variant, then its levels; bundles of one shop are defined one after another.
    """
    with transaction.atomic():
        locked = Variant.objects.select_for_update().select_related(None).get(pk=variant.pk)
        _check(locked, parts)
        if not is_stocked:
            _check_empty(locked)
        now = utc_now()
        Bundle.objects.filter(variant=locked, ended_at=None).update(ended_at=now)
        try:
            with transaction.atomic():
                bundle = Bundle.objects.create(
                    merchant_id=locked.merchant_id, variant=locked, is_stocked=is_stocked, created_at=now
                )
                BundleComponent.objects.bulk_create(
                    BundleComponent(bundle=bundle, variant_id=part.variant_id, quantity=part.quantity) for part in parts
                )
        except DatabaseError as error:
            raise translated(error) from error
        announce(merchant_id=locked.merchant_id, variant_id=locked.pk)
        words = ", ".join(f"{numbers.plain(part.quantity)} of variant {part.variant_id}" for part in parts)
        _note(locked, actor, "bundle.defined", f"{'pack' if is_stocked else 'bundle'} of {words}")
        return bundle


def end(*, variant: Variant, actor: User | None) -> bool:
    """The variant is made of nothing but itself again; whether it was. What was sold as a bundle stays so."""
    with transaction.atomic():
        locked = Variant.objects.select_for_update().select_related(None).get(pk=variant.pk)
        if not Bundle.objects.filter(variant=locked, ended_at=None).update(ended_at=utc_now()):
            return False
        announce(merchant_id=locked.merchant_id, variant_id=locked.pk)
        _note(locked, actor, "bundle.ended", f"{locked.sku or locked.title} is made of nothing but itself")
        return True


def _check(variant: Variant, parts: Sequence[Part]) -> None:
    if variant.archived_at is not None:
        raise CannotBundle("This variant is archived.")
    if not parts:
        raise CannotBundle("Add at least one part.")
    if len({part.variant_id for part in parts}) < len(parts):
        raise CannotBundle("The same part is there twice: give it one line with the whole quantity.")
    rows = Variant.objects.in_bulk([part.variant_id for part in parts])
    for part in parts:
        row = rows.get(part.variant_id)
        if row is None or row.merchant_id != variant.merchant_id:
            raise CannotBundle("One of the parts is not in this shop.")
        name = row.sku or row.title
        if row.pk == variant.pk:
            raise CannotBundle(f"{name} cannot be a part of itself.")
        if row.archived_at is not None:
            raise CannotBundle(f"{name} is archived.")
        if part.quantity <= 0:
            raise CannotBundle(f"{name}: the quantity must be above zero.")
        if row.is_whole_unit and part.quantity != part.quantity.to_integral_value():
            raise CannotBundle(f"{name} is sold in whole units.")


def _check_empty(variant: Variant) -> None:
    """A bundle's own number would be forgotten: it must be zero first. Its levels stay locked against a posting."""
    for level in StockLevel.objects.filter(variant=variant).order_by("pk").select_for_update(of=("self",)):
        if any((level.on_hand, level.committed, level.reserved, level.unavailable, level.incoming)):
            raise CannotBundle(
                "It has stock, open orders or holds of its own. Book its units out first (a bundle is made up of its "
                "parts when it is sold), or keep it as a pack with stock of its own."
            )


def translated(error: DatabaseError) -> Exception:
    """The database's refusal of a composition as CannotBundle; any other error as it is."""
    if getattr(error.__cause__, "sqlstate", None) == "SS006":
        said = str(error.__cause__).splitlines()[0]
        if "itself" in said and "made of" in said:
            return CannotBundle("One of the parts contains this variant: it would be made of itself.")
        return CannotBundle("A bundle cannot contain a bundle, nor be a part of one: use its parts instead.")
    return error


_ANNOUNCE = """
SELECT inventory_stock_changed(NULL, jsonb_agg(jsonb_build_object(
    'variant_id', %s::bigint, 'location_id', o.id, 'own_on_hand', 0, 'own_available', 0)))
FROM inventory_location o WHERE o.merchant_id = %s
"""


def announce(*, merchant_id: int, variant_id: int) -> None:
    """Tell whoever follows the stock that this variant may sell another number, though nothing moved."""
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCE, [variant_id, merchant_id])


def pack(
    *, variant: Variant, location: Location, quantity: Decimal, key: str, actor: User | None, now: datetime
) -> list[ledger.Posted]:
    """Make up `quantity` pieces of a stocked bundle from its parts; below zero: take them apart. One posting.

    The same key again changes nothing. Raises CannotBundle where it is not kept made up, ledger.IdempotencyConflict.
    """
    composition = current(variant=variant)
    if composition is None or not composition.is_stocked:
        raise CannotBundle("This is not a pack.")
    if quantity == 0:
        raise CannotBundle("Say how many.")
    piece = ledger.Entry(
        variant_id=variant.pk,
        location_id=location.pk,
        kind=Kind.PACK if quantity > 0 else Kind.UNPACK,
        key=f"pack:{key}",
        occurred_at=now,
        on_hand=quantity,
        actor_id=actor.pk if actor else None,
        bundle_id=composition.bundle_id,
    )
    parts = expand(replace(piece, key=f"pack:{key}:parts", on_hand=-quantity), composition)
    with transaction.atomic():
        return ledger.post(merchant_id=variant.merchant_id, source="user", entries=[piece, *parts])


def _note(variant: Variant, actor: User | None, action: str, summary: str) -> None:
    audit.record(actor=actor, merchant=variant.merchant, action=action, target=variant, summary=summary)
