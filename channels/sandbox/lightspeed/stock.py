"""Levels, and every way they move. The retailer's row is locked by the caller."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from channels.sandbox.lightspeed import events
from channels.sandbox.lightspeed.models import Level, Outlet, Product, Retailer
from channels.sandbox.lightspeed.values import next_version

Cell = tuple[uuid.UUID, uuid.UUID]  # product, outlet


def move(*, retailer: Retailer, by: Mapping[Cell, Decimal], now: datetime) -> dict[Cell, Level]:
    """Move levels by so many units each; they may go below zero, as the vendor's do. Composites move their parts."""
    changed: dict[Cell, Level] = {}
    for (product_id, outlet_id), units in _parts(by).items():
        if not units:
            continue
        level = _level(retailer, product_id, outlet_id, now=now)
        if not level.product.has_inventory:
            continue
        level.quantity += units
        _save(retailer, level, now=now)
        changed[product_id, outlet_id] = level
    events.levels_changed(retailer=retailer, levels=changed.values())
    return changed


def set_to(*, retailer: Retailer, product: Product, outlet: Outlet, quantity: Decimal, now: datetime) -> Level:
    """Write a number over the one that is there."""
    level = _level(retailer, product.pk, outlet.pk, now=now)
    level.quantity = quantity
    _save(retailer, level, now=now)
    events.levels_changed(retailer=retailer, levels=[level])
    return level


def _parts(by: Mapping[Cell, Decimal]) -> dict[Cell, Decimal]:
    products = Product.objects.in_bulk([product_id for product_id, _ in by])
    moves: dict[Cell, Decimal] = {}
    for (product_id, outlet_id), units in by.items():
        bom = products[product_id].composite_bom or {str(product_id): 1}
        for part, each in bom.items():
            cell = uuid.UUID(part), outlet_id
            moves[cell] = moves.get(cell, Decimal(0)) + units * Decimal(str(each))
    return moves


def _level(retailer: Retailer, product_id: uuid.UUID, outlet_id: uuid.UUID, *, now: datetime) -> Level:
    found = Level.objects.filter(product=product_id, outlet=outlet_id).select_related("product", "outlet").first()
    if found is not None:
        return found
    product, outlet = Product.objects.get(pk=product_id), Outlet.objects.get(pk=outlet_id)
    return Level(retailer=retailer, product=product, outlet=outlet, version=0, created_at=now, updated_at=now)


def _save(retailer: Retailer, level: Level, *, now: datetime) -> None:
    level.version, level.updated_at = next_version(retailer), now
    level.save()
