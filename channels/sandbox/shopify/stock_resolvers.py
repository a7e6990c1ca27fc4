"""GraphQL over stock: compare-and-set, adjust, move, activate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from channels.sandbox import faults
from channels.sandbox.shopify import stock, webhooks
from channels.sandbox.shopify.models import AdjustmentGroup, InventoryItem, InventoryLevel, Location, Shop
from channels.sandbox.shopify.resolving import parse_gid, resolver, user_error

Json = dict[str, Any]
SET_NAMES = ("available", "on_hand")
ADJUST_NAMES = ("available", "reserved", "damaged", "safety_stock", "quality_control")
REASONS = {
    "correction", "cycle_count_available", "damaged", "received", "restock", "shrinkage", "promotion",
    "quality_control",
    "safety_stock", "reservation_created", "reservation_updated", "reservation_deleted", "movement_created",
    "movement_updated", "movement_received", "movement_canceled", "other",
}  # fmt: skip
QUANTITY_MAX, DELTA_MAX = 1_000_000_000, 2_000_000_000
STALE = "The changeFromQuantity value does not match persisted value."


def _answer(group: AdjustmentGroup | None, errors: Sequence[Json]) -> Json:
    return {"inventory_adjustment_group": None if errors else group, "user_errors": list(errors)}


def _path(list_name: str, index: int, *rest: str) -> list[str]:
    return ["input", list_name, str(index), *rest]


def _common_errors(given: Json, names: Sequence[str], name_code: str) -> list[Json]:
    errors = []
    if given.get("name") is not None and given["name"] not in names:
        errors.append(user_error(name_code, ["input", "name"], "The quantity name is invalid."))
    if given["reason"] not in REASONS:
        errors.append(user_error("INVALID_REASON", ["input", "reason"], "The reason is invalid."))
    uri = given.get("referenceDocumentUri")
    if uri is not None and not uri.startswith("gid://"):
        errors.append(user_error("INVALID_REFERENCE_DOCUMENT", ["input", "referenceDocumentUri"], "Invalid reference."))
    return errors


def _pairs(shop: Shop, entries: Sequence[Json], list_name: str) -> tuple[list[tuple[int, int]], list[Json]]:
    """Items and places named, and what is wrong with them."""
    pairs = [
        (parse_gid(entry["inventoryItemId"], "InventoryItem"), parse_gid(entry["locationId"], "Location"))
        for entry in entries
    ]
    items = set(
        InventoryItem.objects.filter(shop=shop, pk__in=[item for item, _ in pairs]).values_list("pk", flat=True)
    )
    places = set(Location.objects.filter(shop=shop, pk__in=[place for _, place in pairs]).values_list("pk", flat=True))
    repeated = {pair for pair, times in Counter(pairs).items() if times > 1}
    errors = []
    for index, (item, place) in enumerate(pairs):
        if item not in items:
            path = _path(list_name, index, "inventoryItemId")
            errors.append(
                user_error("INVALID_INVENTORY_ITEM", path, "The specified inventory item could not be found.")
            )
        if place not in places:
            path = _path(list_name, index, "locationId")
            errors.append(user_error("INVALID_LOCATION", path, "The specified location could not be found."))
        if (item, place) in repeated:
            code, message = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "Item and location pairs must be unique."
            errors.append(user_error(code, _path(list_name, index), message))
    return pairs, errors


@resolver("Mutation", "inventorySetQuantities")
def set_quantities(source: Any, info: Any, input: Json) -> Json:  # noqa: A002
    """Compare and set, under row locks: of a sale and a set at once, one sees the other."""
    shop, entries, name = info.context.shop, input["quantities"], input["name"]
    errors = _common_errors(input, SET_NAMES, "INVALID_NAME")
    pairs, wrong = _pairs(shop, entries, "quantities")
    errors += wrong + [error for index, entry in enumerate(entries) for error in _bounds(index, entry["quantity"])]
    if errors:
        return _answer(None, errors)
    levels = stock.lock_levels(pairs)
    moves, stale = [], []
    for index, (pair, entry) in enumerate(zip(pairs, entries, strict=True)):
        now = getattr(levels[pair], name)
        if entry.get("changeFromQuantity") is not None and entry["changeFromQuantity"] != now:
            path = _path("quantities", index, "changeFromQuantity")
            stale.append(user_error("CHANGE_FROM_QUANTITY_STALE", path, STALE))
        else:
            moves.append(stock.Move(*pair, "available", entry["quantity"] - now))
    if stale and (faults.switch("shopify.set_is_atomic", True) or not moves):
        return _answer(None, stale)
    group = stock.move(
        shop=shop, changes=moves, reason=input["reason"], reference=input.get("referenceDocumentUri") or ""
    )
    return {"inventory_adjustment_group": group, "user_errors": stale}


def _bounds(index: int, quantity: int) -> list[Json]:
    path = _path("quantities", index, "quantity")
    if quantity > QUANTITY_MAX:
        return [user_error("INVALID_QUANTITY_TOO_HIGH", path, "The quantity is too high.")]
    if quantity < -QUANTITY_MAX:
        return [user_error("INVALID_QUANTITY_TOO_LOW", path, "The quantity is too low.")]
    if quantity < 0 and faults.switch("shopify.refuse_negative_set", True):
        return [user_error("INVALID_QUANTITY_NEGATIVE", path, "The quantity can't be negative.")]
    return []


@resolver("Mutation", "inventoryAdjustQuantities")
def adjust_quantities(source: Any, info: Any, input: Json) -> Json:  # noqa: A002
    shop, entries, name = info.context.shop, input["changes"], input["name"]
    errors = _common_errors(input, ADJUST_NAMES, "INVALID_QUANTITY_NAME")
    pairs, wrong = _pairs(shop, entries, "changes")
    errors += wrong
    for index, entry in enumerate(entries):
        errors += _ledger_errors(name, entry.get("ledgerDocumentUri"), _path("changes", index, "ledgerDocumentUri"))
        if abs(entry["delta"]) > DELTA_MAX:
            code = "INVALID_QUANTITY_TOO_HIGH" if entry["delta"] > 0 else "INVALID_QUANTITY_TOO_LOW"
            errors.append(user_error(code, _path("changes", index, "delta"), "The quantity is out of bounds."))
    if errors:
        return _answer(None, errors)
    levels = stock.lock_levels(pairs)
    for index, (pair, entry) in enumerate(zip(pairs, entries, strict=True)):
        expected = entry.get("changeFromQuantity")
        if expected is not None and expected != getattr(levels[pair], name):
            path = _path("changes", index, "changeFromQuantity")
            errors.append(user_error("CHANGE_FROM_QUANTITY_STALE", path, STALE))
    if errors:
        return _answer(None, errors)
    moves = [
        stock.Move(*pair, name, entry["delta"], entry.get("ledgerDocumentUri") or "")
        for pair, entry in zip(pairs, entries, strict=True)
    ]
    group = stock.move(
        shop=shop, changes=moves, reason=input["reason"], reference=input.get("referenceDocumentUri") or ""
    )
    return _answer(group, [])


def _ledger_errors(name: str, uri: str | None, path: list[str]) -> list[Json]:
    """`available` must not name a ledger document; every other name must, and not one of the vendor's own."""
    if name == "available":
        return [user_error("INVALID_AVAILABLE_DOCUMENT", path, "available takes no ledger document.")] if uri else []
    if not uri:
        return [user_error("INVALID_QUANTITY_DOCUMENT", path, "A ledger document URI is required.")]
    if uri.startswith("gid://shopify/"):
        return [user_error("INTERNAL_LEDGER_DOCUMENT", path, "Internal documents are not allowed.")]
    return []


@resolver("Mutation", "inventoryMoveQuantities")
def move_quantities(source: Any, info: Any, input: Json) -> Json:  # noqa: A002
    shop, errors, moves = info.context.shop, _common_errors(input, (), ""), []
    ends = [
        (index, side, entry, {"inventoryItemId": entry["inventoryItemId"], "locationId": entry[side]["locationId"]})
        for index, entry in enumerate(input["changes"])
        for side in ("from", "to")
    ]
    for index, entry in enumerate(input["changes"]):
        errors += _move_errors(index, entry)
    pairs, wrong = _pairs(shop, [end for *_, end in ends], "changes")
    errors += [error for error in wrong if error["code"] != "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"]
    levels = stock.lock_levels(pairs) if not errors else {}
    for (index, side, entry, _), pair in zip(ends, pairs, strict=True):
        terminal = entry[side]
        path = ["input", "changes", str(index), side]
        if terminal["name"] not in ADJUST_NAMES:
            errors.append(user_error("INVALID_QUANTITY_NAME", [*path, "name"], "The quantity name is invalid."))
            continue
        errors += _ledger_errors(terminal["name"], terminal.get("ledgerDocumentUri"), path)
        expected = terminal.get("changeFromQuantity")
        if levels and expected is not None and expected != getattr(levels[pair], terminal["name"]):
            errors.append(user_error("CHANGE_FROM_QUANTITY_STALE", path, STALE))
        sign = -1 if side == "from" else 1
        document = terminal.get("ledgerDocumentUri") or ""
        moves.append(stock.Move(*pair, terminal["name"], sign * entry["quantity"], document))
    if errors:
        return _answer(None, errors)
    group = stock.move(
        shop=shop, changes=moves, reason=input["reason"], reference=input.get("referenceDocumentUri") or ""
    )
    return _answer(group, [])


def _move_errors(index: int, entry: Json) -> list[Json]:
    errors, path = [], _path("changes", index)
    if entry["from"]["locationId"] != entry["to"]["locationId"]:
        errors.append(user_error("DIFFERENT_LOCATIONS", path, "The quantities can't be moved between locations."))
    elif entry["from"]["name"] == entry["to"]["name"]:
        errors.append(user_error("SAME_QUANTITY_NAME", path, "The quantity names must differ."))
    if entry["quantity"] < 0:
        path = [*path, "quantity"]
        errors.append(user_error("INVALID_QUANTITY_NEGATIVE", path, "The quantity can't be negative."))
    elif entry["quantity"] > QUANTITY_MAX:
        path = [*path, "quantity"]
        errors.append(user_error("INVALID_QUANTITY_TOO_HIGH", path, "The quantity is too high."))
    return errors


@resolver("Mutation", "inventoryActivate")
def activate(
    source: Any, info: Any, inventoryItemId: str, locationId: str,  # noqa: N803
    available: int | None = None, onHand: int | None = None, **_: Any,  # noqa: N803
) -> Json:  # fmt: skip
    """Without amounts the level keeps those it had."""
    shop = info.context.shop
    pairs, errors = _pairs(shop, [{"inventoryItemId": inventoryItemId, "locationId": locationId}], "input")
    if errors:
        return {"inventory_level": None, "user_errors": errors}
    if (given := available if onHand is None else onHand) is not None and not 0 <= given <= QUANTITY_MAX:
        name = "available" if onHand is None else "onHand"
        return {"inventory_level": None, "user_errors": [user_error(None, [name], "The quantity is out of bounds.")]}
    level = _activate(shop, pairs[0])
    if onHand is not None:
        available = level.available + onHand - level.on_hand
    if available is not None and available != level.available:
        stock.move(
            shop=shop, changes=[stock.Move(*pairs[0], "available", available - level.available)], reason="correction"
        )
    return {"inventory_level": _level(pairs[0]), "user_errors": []}


def _activate(shop: Shop, pair: tuple[int, int]) -> InventoryLevel:
    """Since 2026-04 an activated level keeps the amounts it had."""
    level = stock.lock_levels([pair])[pair]
    if not level.is_active:
        level.is_active, level.updated_at = True, timezone.now()
        level.save()
        stock.emit_level(shop=shop, level=level, topic="INVENTORY_LEVELS_CONNECT")
    return level


def _level(pair: tuple[int, int]) -> InventoryLevel:
    return InventoryLevel.objects.select_related("location", "item").get(item=pair[0], location=pair[1])


@resolver("Mutation", "inventoryBulkToggleActivation")
def toggle(source: Any, info: Any, inventoryItemId: str, inventoryItemUpdates: Sequence[Json]) -> Json:  # noqa: N803
    shop, levels = info.context.shop, []
    entries = [{"inventoryItemId": inventoryItemId, "locationId": row["locationId"]} for row in inventoryItemUpdates]
    pairs, errors = _pairs(shop, entries, "inventoryItemUpdates")
    renamed = {"INVALID_INVENTORY_ITEM": "INVENTORY_ITEM_NOT_FOUND", "INVALID_LOCATION": "LOCATION_NOT_FOUND"}
    errors = [error | {"code": renamed.get(error["code"], "GENERIC_ERROR")} for error in errors]
    item = InventoryItem.objects.filter(shop=shop, pk=parse_gid(inventoryItemId, "InventoryItem")).first()
    if not errors:
        errors = _toggle_errors(item, pairs, inventoryItemUpdates)
    if errors:
        return {"inventory_item": None, "inventory_levels": None, "user_errors": errors}
    for pair, row in zip(pairs, inventoryItemUpdates, strict=True):
        if row["activate"]:
            _activate(shop, pair)
        else:
            _deactivate(shop, pair)
        levels.append(_level(pair))
    return {"inventory_item": item, "inventory_levels": levels, "user_errors": []}


def _toggle_errors(item: InventoryItem | None, pairs: Sequence[tuple[int, int]], updates: Sequence[Json]) -> list[Json]:
    """Committed and incoming units keep a level active, and one level must stay. Locks the item's levels."""
    if item is None:
        return [user_error("INVENTORY_ITEM_NOT_FOUND", ["inventoryItemId"], "The inventory item was not found.")]
    levels = stock.lock_levels(pairs)
    errors = []
    ended = {pair for pair, row in zip(pairs, updates, strict=True) if not row["activate"]}
    started = set(pairs) - ended
    for index, pair in enumerate(pairs):
        path = ["inventoryItemUpdates", str(index), "locationId"]
        if pair not in ended:
            continue
        if levels[pair].committed:
            errors.append(user_error("COMMITTED_INVENTORY_AT_LOCATION", path, "Committed inventory is there."))
        elif levels[pair].incoming:
            errors.append(user_error("INCOMING_INVENTORY_AT_LOCATION", path, "Incoming inventory is on its way there."))
    kept = item.levels.filter(is_active=True).exclude(location__in=[place for _, place in ended]).exists()
    if ended and not kept and not started and not errors:
        message = "The inventory item must stay stocked at one location."
        errors.append(user_error("CANNOT_DEACTIVATE_FROM_ONLY_LOCATION", ["inventoryItemUpdates"], message))
    return errors


def _deactivate(shop: Shop, pair: tuple[int, int]) -> None:
    """Since 2026-04 the amounts stay."""
    level = stock.lock_levels([pair])[pair]
    if level.is_active:
        level.is_active, level.updated_at = False, timezone.now()
        level.save()
        stock.emit_level(shop=shop, level=level, topic="INVENTORY_LEVELS_DISCONNECT")


@resolver("Mutation", "inventoryItemUpdate")
def item_update(source: Any, info: Any, id: str, input: Json) -> Json:  # noqa: A002
    item = InventoryItem.objects.filter(shop=info.context.shop, pk=parse_gid(id, "InventoryItem")).first()
    if item is None:
        return {"inventory_item": None, "user_errors": [user_error(None, ["id"], "The inventory item was not found.")]}
    change_item(info.context.shop, item, input)
    return {"inventory_item": item, "user_errors": []}


def change_item(shop: Shop, item: InventoryItem, given: Json) -> None:
    """SKU, tracking and shipping of an item; owes inventory_items/update."""
    for name, key in (("sku", "sku"), ("tracked", "tracked"), ("requires_shipping", "requiresShipping")):
        if given.get(key) is not None:
            setattr(item, name, given[key])
    item.updated_at = timezone.now()
    item.save()
    emit_item(shop=shop, item=item, topic="INVENTORY_ITEMS_UPDATE")


def emit_item(*, shop: Shop, item: InventoryItem, topic: str) -> None:
    """Owe the webhook of an item; of a deleted one only the id is told."""
    payload: Json = {"id": item.pk}
    if topic != "INVENTORY_ITEMS_DELETE":
        payload |= {
            "sku": item.sku or None, "created_at": item.created_at.isoformat(),
            "updated_at": item.updated_at.isoformat(),
            "requires_shipping": item.requires_shipping, "cost": None, "country_code_of_origin": None,
            "province_code_of_origin": None, "harmonized_system_code": None, "tracked": item.tracked,
            "country_harmonized_system_codes": [], "admin_graphql_api_id": item.gid,
        }  # fmt: skip
    webhooks.emit(shop=shop, topic=topic, payload=payload)


# InventoryAdjustmentGroup


@resolver("InventoryAdjustmentGroup", "app")
def group_app(source: AdjustmentGroup, info: Any) -> Json:
    return {"id": f"gid://shopify/App/{info.context.app.pk}"}


@resolver("InventoryAdjustmentGroup", "referenceDocumentUri")
def group_reference(source: AdjustmentGroup, info: Any) -> str | None:
    return source.reference or None


@resolver("InventoryAdjustmentGroup", "changes")
def group_changes(
    source: AdjustmentGroup, info: Any, quantityNames: Sequence[str] | None = None,  # noqa: N803
    inventoryItemIds: Sequence[str] | None = None, locationIds: Sequence[str] | None = None,  # noqa: N803
) -> list[Json]:  # fmt: skip
    """What changed, narrowed by name, item and place as asked; a deleted item is null."""
    items = InventoryItem.objects.select_related("variant").in_bulk({row["item"] for row in source.changes})
    places = Location.objects.in_bulk({row["location"] for row in source.changes})
    return [
        {
            "name": row["name"], "delta": row["delta"], "quantity_after_change": row["after"],
            "ledger_document_uri": row["ledger"] or None, "item": items.get(row["item"]),
            "location": places.get(row["location"]),
        }
        for row in source.changes
        if (not quantityNames or row["name"] in quantityNames)
        and (not inventoryItemIds or f"gid://shopify/InventoryItem/{row['item']}" in inventoryItemIds)
        and (not locationIds or f"gid://shopify/Location/{row['location']}" in locationIds)
    ]  # fmt: skip
