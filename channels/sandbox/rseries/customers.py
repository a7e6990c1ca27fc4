"""Customers of a Lightspeed R-Series shop: they have goods set aside, fetch them, let them go or bring them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from channels.sandbox.rseries.till import RSeriesTill
from channels.sandbox.trading.calls import Caller
from channels.sandbox.trading.web import Checkout


@dataclass
class SetAside:
    """Units by SKU key, the lines that keep them, and the ticket once they are fetched."""

    units: dict[str, int]
    line_ids: dict[str, str] = field(default_factory=dict)
    sale_id: str = ""


class Customers:
    """Buy at one shop. `goods`: item ids by SKU key."""

    def __init__(self, *, till: RSeriesTill, shop_id: str, goods: Mapping[str, str]) -> None:
        self.till, self.shop_id, self.goods = till, shop_id, goods

    @property
    def caller(self) -> Caller:
        """The till's."""
        return self.till.caller

    def buy(self, *, invoice: str, units: Mapping[str, int]) -> Checkout:
        """Set aside, to be fetched. The vendor sets aside what there is; what is short is sold below zero later."""
        sale = SetAside(dict(units))
        for sku, count in units.items():
            (sale.line_ids[sku],) = self.till.set_aside(shop_id=self.shop_id, units={self.goods[sku]: count})
        return Checkout(sale, {})

    def fulfil(self, *, sale: SetAside) -> None:
        """Fetched."""
        if sale.line_ids:
            sale.sale_id = self.till.hand_over(shop_id=self.shop_id, line_ids=list(sale.line_ids.values()))

    def cancel(self, *, sale: SetAside) -> None:
        """Let go before it was fetched."""
        self.till.let_go(line_ids=list(sale.line_ids.values()))
        sale.line_ids.clear()

    def take_back(
        self, *, sale: SetAside, units: Mapping[str, int], by: str, is_fulfilled: bool, location_id: str
    ) -> None:
        """What was fetched comes back to the shelf; of what was not, so many units are let go."""
        if is_fulfilled and sale.sale_id:
            back = {self.goods[sku]: count for sku, count in units.items()}
            self.till.take_back(shop_id=self.shop_id, sale_id=sale.sale_id, units=back)
            return
        for sku, count in units.items():
            line_id = sale.line_ids.pop(sku, "")
            if line_id:
                self.till.let_go(line_ids=[line_id])
                sale.units[sku] -= count
                if sale.units[sku] > 0:
                    kept = {self.goods[sku]: sale.units[sku]}
                    (sale.line_ids[sku],) = self.till.set_aside(shop_id=self.shop_id, units=kept)
