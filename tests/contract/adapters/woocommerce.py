"""Trading at WooCommerce's stand-in: customers at the web shop, the merchant in its pages."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

import requests
from django.utils import timezone

from channels import ports
from channels.sandbox.woocommerce import accounts, models
from tests.contract.adapters import SKUS, STOCK_AT_START, Shop, ShopVariant

PLACE = "shop"


class WooCommerceAdapter:
    """Acts through the REST API with the shop's key; a stock edit in the shop's pages is the stand-in's own move."""

    listing_write_operation = "variations.batch"
    count_write_operation = "variations.batch"

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        domain = f"contract-{uuid.uuid4().hex[:8]}.example"
        site = accounts.create_site(domain=domain, name="Contract shop")
        price, units = Decimal("12.50"), int(STOCK_AT_START)
        accounts.load_products(
            site,
            [
                accounts.ProductRow(f"Mug {sku}", [accounts.VariantRow(sku, price, units, options={"Size": "Large"})])
                for sku in SKUS
            ],
        )
        key = site.keys.get()
        account = ports.Account(
            account_id=domain,
            base_url=f"{server_url}/woocommerce/{domain}",
            credentials={"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret},
            webhook_url=webhook_url,
        )
        rows = models.Product.objects.filter(site=site, type="variation").order_by("pk")
        variants = [
            ShopVariant(f"{row.parent_id}/{row.pk}", f"{row.parent_id}/{row.pk}", str(row.parent_id), row.sku)
            for row in rows
        ]
        return Shop(account=account, location_ids=(PLACE,), variants=variants)

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        return self._order(shop, variant, quantity, status="completed")

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        return self._order(shop, variant, quantity, status="processing")

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        """Not within the second of the order: WooCommerce's times are whole seconds, and a person is slower."""
        order = models.Order.objects.get(pk=order_id)
        while timezone.now().replace(microsecond=0) <= order.modified_at:
            time.sleep(0.05)
        self._call(shop, "PUT", f"/orders/{order_id}", {"status": "cancelled"})

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        lines = self._call(shop, "GET", f"/orders/{order_id}")["line_items"]
        line = next(one for one in lines if one["variation_id"] == _number(variant))
        back = {"id": line["id"], "quantity": int(quantity), "refund_total": line["price"] * int(quantity)}
        self._call(shop, "POST", f"/orders/{order_id}/refunds", {"api_refund": False, "line_items": [back]})
        return order_id

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        row = models.Product.objects.select_related("site", "parent").get(pk=_number(variant))
        accounts.edit_stock(row, by=int(delta))

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        return Decimal(self._call(shop, "GET", _path(variant))["stock_quantity"])

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        self._call(shop, "PUT", _path(variant), {"sku": sku})

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        """The variation and the product it belongs to."""
        row, product = (self._call(shop, "GET", path) for path in (_path(variant), f"/products/{variant.product_id}"))
        for one in (row, product):
            del one["date_modified"], one["date_modified_gmt"]
        return {"variation": row, "product": product}

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        self._call(shop, "DELETE", f"/products/{variant.product_id}?force=true")

    def revoke(self, *, shop: Shop) -> None:
        accounts.revoke(models.Site.objects.get(pk=shop.account.account_id))

    def _order(self, shop: Shop, variant: ShopVariant, quantity: Decimal, *, status: str) -> str:
        line = {
            "product_id": int(variant.product_id), "variation_id": _number(variant), "quantity": int(quantity),
        }  # fmt: skip
        order = self._call(shop, "POST", "/orders", {"status": status, "line_items": [line]})
        return str(order["id"])

    def _call(self, shop: Shop, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Past the connector."""
        secrets = shop.account.credentials
        answer = requests.request(
            method,
            f"{shop.account.base_url}/wp-json/wc/v3{path}",
            json=body,
            auth=(secrets["consumer_key"], secrets["consumer_secret"]),
            timeout=20,
        )
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())


def _number(variant: ShopVariant) -> int:
    return int(variant.listing_id.rpartition("/")[2])


def _path(variant: ShopVariant) -> str:
    return f"/products/{variant.product_id}/variations/{_number(variant)}"


ADAPTER = WooCommerceAdapter()
