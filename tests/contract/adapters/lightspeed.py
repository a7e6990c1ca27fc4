"""Trading at Lightspeed's stand-in: the till and the back office of a small shop."""

from __future__ import annotations

import uuid
from decimal import Decimal
from functools import lru_cache
from typing import Any

from channels import ports
from channels.sandbox.lightspeed import accounts, models
from channels.sandbox.lightspeed.till import LightspeedTill
from tests.contract.adapters import SKUS, STOCK_AT_START, Shop, ShopVariant


class LightspeedAdapter:
    """Acts through the X-Series API with the owner's personal token, which no refresh of the app's ends."""

    count_write_operation = "stock_adjustments.create"
    listing_write_operation = "products.update"

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        prefix = f"contract-{uuid.uuid4().hex[:8]}"
        retailer = accounts.create_retailer(domain_prefix=prefix, name="Contract shop", outlets=["Front", "Back"])
        account = ports.Account(
            account_id=prefix,
            base_url=f"{server_url}/lightspeed/{prefix}",
            credentials={
                "access_token": accounts.value_of(retailer, "access"),
                "refresh_token": accounts.value_of(retailer, "refresh"),
                "client_id": retailer.client_id,
                "client_secret": retailer.client_secret,
            },
            webhook_url=webhook_url,
        )
        front, back = models.Outlet.objects.filter(retailer=retailer).order_by("version").values_list("pk", flat=True)
        shop = Shop(account=account, location_ids=(str(front), str(back)), variants=[])
        till = _till(shop)
        size = till.send("POST", "variant_attributes", {"name": "Size"})["data"]["id"]
        variants = [self._add(till, shop, size, sku) for sku in SKUS]
        return Shop(account=account, location_ids=shop.location_ids, variants=variants)

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        return _till(shop).sell(outlet_id=location_id, units={variant.listing_id: int(quantity)})

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        units = {variant.listing_id: int(quantity)}
        return _till(shop).sell(outlet_id=location_id, units=units, attributes=("pickup",))

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        _till(shop).finish(sale_id=order_id, state="voided")

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        return _till(shop).take_back(sale_id=order_id, units={variant.listing_id: int(quantity)})

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        entry = {
            "product_id": variant.inventory_id, "outlet_id": location_id, "quantity": str(delta),
            "reason": "STOCK_FOUND" if delta > 0 else "DAMAGE",
        }  # fmt: skip
        _till(shop).send("POST", "stock_adjustments", {"stock_adjustments": [entry]})

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        levels = _till(shop).send("GET", f"inventory/{variant.inventory_id}")["data"]
        (level,) = [level for level in levels if level["outlet_id"] == location_id]
        return Decimal(str(level["current_inventory_level"]))

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        body = {"details": {"product_codes": [{"type": "CUSTOM", "code": sku}]}}
        _till(shop).send("PUT", f"products/{variant.listing_id}", body)

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        """Ids of codes are the vendor's own, and new where a code is."""
        product = _till(shop).send("GET", f"products/{variant.listing_id}")["data"]
        codes = [(code["type"], code["code"]) for code in product["product_codes"]]
        return {name: value for name, value in product.items() if name not in ("updated_at", "version")} | {
            "product_codes": codes
        }

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        _till(shop).send("DELETE", f"products/{variant.listing_id}")

    def revoke(self, *, shop: Shop) -> None:
        accounts.revoke(retailer=_retailer(shop))

    def till(self, shop: Shop) -> LightspeedTill:
        """The owner's own client, for what only this vendor has."""
        return _till(shop)

    def _add(self, till: LightspeedTill, shop: Shop, size: str, sku: str) -> ShopVariant:
        stock = [{"outlet_id": place, "current_amount": int(STOCK_AT_START)} for place in shop.location_ids]
        variant = {
            "sku": sku, "price_including_tax": 12.5, "inventory": stock,
            "variant_definitions": [{"attribute_id": size, "value": "Large"}],
        }  # fmt: skip
        body = {"name": f"Mug {sku}", "handle": sku.lower(), "variants": [variant]}
        (product_id,) = till.send("POST", "products", body)["data"]
        family = models.Product.objects.get(pk=product_id).family_id
        return ShopVariant(listing_id=product_id, inventory_id=product_id, product_id=str(family), sku=sku)


def _retailer(shop: Shop) -> models.Retailer:
    return models.Retailer.objects.get(pk=shop.account.account_id)


def _till(shop: Shop) -> LightspeedTill:
    return _counter(shop.account.base_url, accounts.value_of(_retailer(shop), "personal"))


@lru_cache(maxsize=8)
def _counter(base_url: str, token: str) -> LightspeedTill:
    """It stays open between customers, and knows registers and prices by then."""
    return LightspeedTill(base_url=f"{base_url}/api/2026-07", token=token)


ADAPTER = LightspeedAdapter()
