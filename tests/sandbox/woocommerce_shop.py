"""A WooCommerce shop at the stand-in and a caller with its key."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests

from channels.sandbox.models import Delivery
from channels.sandbox.woocommerce import accounts
from channels.sandbox.woocommerce.accounts import ProductRow, VariantRow
from channels.sandbox.woocommerce.models import Product, Site, Webhook


@dataclass
class WooShop:
    """A simple mug, and a shirt in S and M; ten of each."""

    site: Site
    url: str

    def ask(
        self, method: str, path: str, body: Any = None, *, secret: str | None = None, **params: Any
    ) -> requests.Response:
        key = self.site.keys.order_by("pk").first()
        return requests.request(
            method, f"{self.url}/wp-json/wc/v3{path}", json=body, params=params, timeout=20,
            auth=(key.consumer_key, key.consumer_secret if secret is None else secret),
        )  # fmt: skip

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = self.ask(method, path, body, **params)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    @property
    def mug(self) -> Product:
        return Product.objects.get(site=self.site, sku="MUG")

    def shirt(self, size: str) -> Product:
        return Product.objects.get(site=self.site, sku=f"SHIRT-{size}")

    def stock(self, sku: str) -> int | None:
        return Product.objects.get(site=self.site, sku=sku).stock_quantity

    def order(self, *, status: str = "processing", **units: int) -> dict[str, Any]:
        """By SKU with underscores for dashes."""
        return dict(self.call("POST", "/orders", {"status": status, "line_items": self.lines(**units)}))

    def lines(self, **units: int) -> list[dict[str, int]]:
        """An order's lines."""
        lines = []
        for name, quantity in units.items():
            row = Product.objects.get(site=self.site, sku=name.replace("_", "-"))
            line = {"product_id": row.parent_id or row.pk, "quantity": quantity}
            lines.append(line | ({"variation_id": row.pk} if row.parent_id else {}))
        return lines

    def listen(self, topic: str, **fields: Any) -> Webhook:
        body = {"topic": topic, "delivery_url": "http://127.0.0.1:9/hooks/x", "secret": "s3cret"} | fields
        return Webhook.objects.get(pk=self.call("POST", "/webhooks", body)["id"])

    def told(self, topic: str) -> list[Delivery]:
        return list(Delivery.objects.filter(account=self.site.pk, topic=topic).order_by("pk"))


def open_shop(server_url: str) -> WooShop:
    domain = f"shop-{uuid.uuid4().hex[:8]}.example"
    site = accounts.create_site(domain=domain, name="A shop")
    sizes = [VariantRow(f"SHIRT-{size}", Decimal("28.00"), 10, options={"Size": size}) for size in ("S", "M")]
    accounts.load_products(
        site, [ProductRow("Mug", [VariantRow("MUG", Decimal("9.50"), 10)]), ProductRow("Shirt", sizes)]
    )
    return WooShop(site, f"{server_url}/woocommerce/{domain}")
