"""Customers of a Lightspeed shop: they order ahead at the counter and fetch, call off or bring back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from channels.sandbox.lightspeed.till import LightspeedTill
from channels.sandbox.trading.calls import Caller
from channels.sandbox.trading.web import Checkout


@dataclass(frozen=True)
class Sale:
    """A paid sale with its units by SKU key."""

    sale_id: str
    units: Mapping[str, int]


class Customers:
    """Buy at one outlet. `goods`: product ids by SKU key."""

    def __init__(self, *, till: LightspeedTill, outlet_id: str, goods: Mapping[str, str]) -> None:
        self.till, self.outlet_id, self.goods = till, outlet_id, goods

    @property
    def caller(self) -> Caller:
        """The till's."""
        return self.till.caller

    def buy(self, *, invoice: str, units: Mapping[str, int]) -> Checkout:
        """Paid, to be fetched. A till refuses nobody: it sells below zero."""
        lines = {self.goods[sku]: count for sku, count in units.items()}
        sale_id = self.till.sell(outlet_id=self.outlet_id, units=lines, attributes=("pickup",), note=invoice)
        return Checkout(Sale(sale_id, dict(units)), {})

    def fulfil(self, *, sale: Sale) -> None:
        """Fetched."""
        self.till.finish(sale_id=sale.sale_id, state="closed")

    def cancel(self, *, sale: Sale) -> None:
        """Called off before it was fetched."""
        self.till.finish(sale_id=sale.sale_id, state="voided")

    def take_back(self, *, sale: Sale, units: Mapping[str, int], by: str, is_fulfilled: bool, location_id: str) -> None:
        """What was fetched comes back to the shelf; what was not is taken off the sale, or the sale called off."""
        if is_fulfilled:
            self.till.take_back(sale_id=sale.sale_id, units={self.goods[sku]: count for sku, count in units.items()})
            return
        kept = {sku: count - units.get(sku, 0) for sku, count in sale.units.items()}
        lines = {self.goods[sku]: count for sku, count in kept.items() if count > 0}
        self.till.finish(sale_id=sale.sale_id, state="pending" if lines else "voided", units=lines or None)
