"""Customers of a WooCommerce shop: its REST API, as a storefront and the people who pack use it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from channels.sandbox.trading.calls import Caller, Json, Refused
from channels.sandbox.trading.web import Checkout


@dataclass(frozen=True)
class Sale:
    """A paid order with its units and its lines' numbers by SKU key."""

    order_id: int
    units: Mapping[str, int]
    lines: Mapping[str, int]


class Customers:
    """Buy at one shop. `goods`: product and variation ("0": none) by SKU key."""

    def __init__(self, *, base_url: str, key: str, secret: str, goods: Mapping[str, tuple[str, str]]) -> None:
        self.url, self.goods = f"{base_url}/wp-json/wc/v3", goods
        token = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self.caller = Caller(headers={"Authorization": f"Basic {token}"})

    def buy(self, *, invoice: str, units: Mapping[str, int]) -> Checkout:
        """Pay for what there is enough of. The storefront looks first: nothing behind it would say no."""
        refused = {sku: count for sku, count in units.items() if not self._has(sku, count)}
        basket = {sku: count for sku, count in units.items() if sku not in refused}
        if not basket:
            return Checkout(None, refused)
        lines = [
            {"product_id": int(product), "variation_id": int(variation), "quantity": basket[sku]}
            for sku in basket
            for product, variation in [self.goods[sku]]
        ]
        order = self._ask("POST", "/orders", {"set_paid": True, "customer_note": invoice, "line_items": lines})
        numbers = {(line["product_id"], line["variation_id"]): line["id"] for line in order["line_items"]}
        bought = {sku: numbers[int(self.goods[sku][0]), int(self.goods[sku][1])] for sku in basket}
        return Checkout(Sale(order["id"], basket, bought), refused)

    def _has(self, sku: str, count: int) -> bool:
        product, variation = self.goods[sku]
        path = f"/products/{product}" if variation == "0" else f"/products/{product}/variations/{variation}"
        shown = self._ask("GET", path)
        if shown["manage_stock"] is False or shown["backorders_allowed"]:
            return bool(shown["stock_status"] != "outofstock")
        return int(shown["stock_quantity"] or 0) >= count

    def fulfil(self, *, sale: Sale) -> None:
        """Packed and sent."""
        self._ask("PUT", f"/orders/{sale.order_id}", {"status": "completed"})

    def cancel(self, *, sale: Sale) -> None:
        """Its units are for sale again."""
        self._ask("PUT", f"/orders/{sale.order_id}", {"status": "cancelled"})

    def take_back(self, *, sale: Sale, units: Mapping[str, int], by: str, is_fulfilled: bool, location_id: str) -> None:
        """Refund units and put them back; sent or not is the same to the shop, and it has only one place."""
        back = [{"id": sale.lines[sku], "quantity": count, "refund_total": 0.01} for sku, count in units.items()]
        body = {"api_refund": False, "reason": by, "line_items": back}
        self._ask("POST", f"/orders/{sale.order_id}/refunds", body)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.caller.ask(method=method, url=self.url + path, body=body)
        told = answer.json()
        if answer.status_code not in (200, 201):
            raise Refused(f"{path}: {told.get('message')}", code=str(told.get("code") or ""))
        return dict(told)
