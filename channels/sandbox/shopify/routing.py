"""Which location an order's units go to: one that has them all if there is one, else split by what is there.

The vendor's default order of rules is fewest splits, then the ranked locations; ties go to the older one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from channels.sandbox.shopify import stock
from channels.sandbox.shopify.models import InventoryItem, InventoryLevel, Location, Shop


@dataclass(frozen=True)
class Demand:
    """Units of an item a line asks for; `key` is the caller's name of the line. No item: a custom line."""

    key: int
    item: InventoryItem | None
    quantity: int

    @property
    def counted_id(self) -> int | None:
        """The item's id where its stock is counted, else None."""
        return self.item.pk if self.item is not None and self.item.tracked else None


@dataclass(frozen=True)
class Share:
    """Units of a line that one location is to fulfil."""

    location: Location
    key: int
    quantity: int


def online_locations(*, shop: Shop) -> list[Location]:
    """Active locations that fulfil online orders, in the order they are asked."""
    rows = shop.locations.filter(is_active=True, fulfills_online_orders=True)
    return list(rows.order_by("rank", "pk"))


def stock_at(*, item_ids: Iterable[int], locations: Iterable[Location]) -> dict[tuple[int, int], int]:
    """(item, location) -> available, where the level is active."""
    rows = InventoryLevel.objects.filter(
        item_id__in=set(item_ids), location_id__in=[row.pk for row in locations], is_active=True
    )
    return {
        (item, location): units for item, location, units in rows.values_list("item_id", "location_id", "available")
    }


def totals(demands: Iterable[Demand]) -> Counter[int]:
    """Counted item -> units asked for over all lines."""
    sums: Counter[int] = Counter()
    for demand in demands:
        if demand.counted_id is not None:
            sums[demand.counted_id] += demand.quantity
    return sums


def short_items(*, demands: list[Demand]) -> set[int]:
    """Items of which less is available, over all online locations, than is asked for."""
    wanted = totals(demands)
    there = stock.available(wanted)
    return {item for item, units in wanted.items() if there.get(item, 0) < units}


def route(*, locations: list[Location], demands: list[Demand]) -> list[Share]:
    """Where each unit goes. Call it with the items' levels locked; `locations` must not be empty."""
    wanted = totals(demands)
    there = stock_at(item_ids=wanted, locations=locations)
    for location in locations:
        if all(there.get((item, location.pk), 0) >= units for item, units in wanted.items()):
            return [Share(location, row.key, row.quantity) for row in demands]
    return split(locations=locations, demands=demands, there=there)


def split(*, locations: list[Location], demands: list[Demand], there: dict[tuple[int, int], int]) -> list[Share]:
    """Take what each location has, in order; units nobody has stay with the first."""
    left = dict(there)
    taken: dict[tuple[int, int], int] = defaultdict(int)
    for demand in demands:
        rest = demand.quantity
        item = demand.counted_id
        for location in locations if item is not None else []:
            units = min(rest, max(0, left.get((item, location.pk), 0))) if item is not None else 0
            if units and item is not None:
                left[(item, location.pk)] -= units
                taken[(location.pk, demand.key)] += units
                rest -= units
        if rest:
            taken[(locations[0].pk, demand.key)] += rest
    return [
        Share(location, demand.key, taken[(location.pk, demand.key)])
        for location in locations
        for demand in demands
        if taken.get((location.pk, demand.key))
    ]
