"""The stand-in's stock: named quantities of items at locations, moved under row locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from channels.sandbox.shopify import webhooks
from channels.sandbox.shopify.models import AdjustmentGroup, InventoryItem, InventoryLevel, Shop

NAMES = ("available", "committed", "reserved", "damaged", "safety_stock", "quality_control", "incoming")


@dataclass(frozen=True)
class Move:
    """A change of one named quantity, in units. `ledger`: the document that a name other than available needs."""

    item_id: int
    location_id: int
    name: str
    delta: int
    ledger: str = ""


def lock_levels(pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], InventoryLevel]:
    """The levels of (item, location) pairs, made where missing, locked in primary-key order.

    A level made by a write is not active: since 2026-04 amounts can be written anywhere, but sell only once activated.
    """
    wanted = sorted(set(pairs))
    items = {item for item, _ in wanted}
    known = set(InventoryLevel.objects.filter(item__in=items).values_list("item_id", "location_id"))
    InventoryLevel.objects.bulk_create(
        [
            InventoryLevel(item_id=item, location_id=place, is_active=False)
            for item, place in wanted
            if (item, place) not in known
        ],
        ignore_conflicts=True,
    )
    levels = InventoryLevel.objects.filter(item__in=items).order_by("pk").select_for_update(of=("self",))
    found = {(level.item_id, level.location_id): level for level in levels}
    return {pair: found[pair] for pair in wanted}


def available(item_ids: Iterable[int]) -> dict[int, int]:
    """Units available of each item over active levels at active locations that fulfil online orders."""
    rows = (
        InventoryLevel.objects.filter(
            item__in=list(item_ids), is_active=True, location__is_active=True, location__fulfills_online_orders=True
        )
        .values("item")
        .annotate(units=Sum("available"))
    )
    return {row["item"]: row["units"] for row in rows}


@transaction.atomic
def move(
    *, shop: Shop, changes: Sequence[Move], reason: str, reference: str = "", app_change: bool = True
) -> AdjustmentGroup | None:
    """Apply moves of tracked items; others have no meaningful quantities. Owes inventory_levels/update webhooks.

    `app_change`: a change by an app, which leaves an adjustment group; sales leave none. Locks the levels.
    """
    tracked = set(
        InventoryItem.objects.filter(pk__in={change.item_id for change in changes}, tracked=True).values_list(
            "pk", flat=True
        )
    )
    real = [change for change in changes if change.item_id in tracked and change.delta]
    if not real:
        return None
    now = timezone.now()
    levels = lock_levels((change.item_id, change.location_id) for change in real)
    told = []
    for change in real:
        level = levels[change.item_id, change.location_id]
        on_hand = level.on_hand
        setattr(level, change.name, getattr(level, change.name) + change.delta)
        level.updated_at = now
        told.append(_told(change, getattr(level, change.name), change.delta, change.name))
        if level.on_hand != on_hand:
            told.append(_told(change, level.on_hand, level.on_hand - on_hand, "on_hand"))
    touched = list({level.pk: level for level in levels.values()}.values())
    InventoryLevel.objects.bulk_update(touched, [*NAMES, "updated_at"])
    for level in touched:
        emit_level(shop=shop, level=level)
    if not app_change:
        return None
    return AdjustmentGroup.objects.create(shop=shop, reason=reason, reference=reference, changes=told)


def _told(change: Move, after: int, delta: int, name: str) -> dict[str, object]:
    return {
        "name": name, "delta": delta, "after": after, "item": change.item_id, "location": change.location_id,
        "ledger": change.ledger,
    }  # fmt: skip


def emit_level(*, shop: Shop, level: InventoryLevel, topic: str = "INVENTORY_LEVELS_UPDATE") -> None:
    """Owe the webhook of one level; its body is made now and says nothing of the cause."""
    payload: dict[str, object] = {"inventory_item_id": level.item_id, "location_id": level.location_id}
    if topic != "INVENTORY_LEVELS_DISCONNECT":
        gid = f"gid://shopify/InventoryLevel/{level.location_id}?inventory_item_id={level.item_id}"
        payload |= {
            "available": level.available,
            "updated_at": level.updated_at.isoformat(),
            "admin_graphql_api_id": gid,
        }
    webhooks.emit(shop=shop, topic=topic, payload=payload)
