"""What is really so, whatever anybody's numbers say: goods on the shelves, orders customers hold, things staff did.

Steps change it as they happen; at the end the ledger must tell the same.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass, field

from tests.contract.adapters import STOCK_AT_START
from tests.simulation.shop import Counter, Shop

Cell = tuple[int, int]  # place of the variant in SKUS, place of the location in PLACES


@dataclass
class Sale:
    """One order of one line at one counter."""

    counter: Counter
    order_id: str
    cell: Cell
    units: int
    is_waiting: bool  # ordered ahead: the goods are still here
    is_cancelled: bool = False
    returned: int = 0


@dataclass
class Hold:
    """A reservation that was granted."""

    reservation_id: int
    cell: Cell
    units: int
    is_over: bool = False


@dataclass
class World:
    """The truth of one schedule."""

    shop: Shop
    shelf: Tally[Cell] = field(default_factory=Tally)
    sales: list[Sale] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    closed: set[tuple[str, int]] = field(default_factory=set)  # (channel, place) that the vendor calls inactive
    locked_out: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    is_counted: bool = False  # staff counted a shelf
    decided: set[int] = field(default_factory=set)  # our cells about whose drift a person was asked
    edited: set[tuple[str, Cell]] = field(default_factory=set)  # what was changed in whose own pages

    def __post_init__(self) -> None:
        for variant in range(len(self.shop.variant_ids)):
            for place in range(len(self.shop.location_ids)):
                self.shelf[variant, place] = int(STOCK_AT_START)

    def committed(self) -> Tally[Cell]:
        """Units that waiting orders hold."""
        found: Tally[Cell] = Tally()
        for sale in self.sales:
            if sale.is_waiting and not sale.is_cancelled:
                found[sale.cell] += sale.units
        return found

    def ids(self, cell: Cell) -> tuple[int, int]:
        """Our ids of a cell: variant, location."""
        return self.shop.variant_ids[cell[0]], self.shop.location_ids[cell[1]]
