"""Trading at Lightspeed R-Series' stand-in: the till and the back office of a small shop."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

from django.utils import timezone

from channels import ports
from channels.sandbox.rseries import accounts, models
from channels.sandbox.rseries.till import RSeriesTill
from tests.contract.adapters import SKUS, STOCK_AT_START, Shop, ShopVariant

SET_ASIDE = "set-aside-"


class RSeriesAdapter:
    """Acts through the vendor's API with the owner's own client, in the owner's name."""

    count_write_operation = "items.update"
    listing_write_operation = "items.update"

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        account = accounts.create_account(name=f"Contract {uuid.uuid4().hex[:8]}", shops=["Front", "Back"])
        front, back = models.Shop.objects.filter(account=account).order_by("pk").values_list("pk", flat=True)
        units = {front: int(STOCK_AT_START), back: int(STOCK_AT_START)}
        items = accounts.load(
            account,
            [
                accounts.Family(
                    title=f"Mug {sku}", options=("Size",),
                    items=[accounts.ItemRow(sku=sku, price=Decimal("12.50"), values=("Large",), quantities=units)],
                )
                for sku in SKUS
            ],
        )  # fmt: skip
        return Shop(
            account=ports.Account(
                account_id=str(account.pk),
                base_url=f"{server_url}/rseries",
                credentials={
                    "access_token": accounts.value_of(account, "access"),
                    "refresh_token": accounts.value_of(account, "refresh"),
                    "client_id": account.client_id,
                    "client_secret": account.client_secret,
                },
                webhook_url=webhook_url,
            ),
            location_ids=(str(front), str(back)),
            variants=[
                ShopVariant(str(item.pk), str(item.pk), f"matrix-{item.matrix_id}", item.custom_sku) for item in items
            ],
        )

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        return self.till(shop).sell(shop_id=location_id, units={variant.listing_id: int(quantity)})

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        """A layaway: all that is set aside of an item is one order."""
        self.till(shop).set_aside(shop_id=location_id, units={variant.listing_id: int(quantity)})
        return f"{SET_ASIDE}{variant.listing_id}"

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        """Its clock counts seconds: a second later."""
        item, asked_at = order_id.removeprefix(SET_ASIDE), timezone.now().replace(microsecond=0)
        while timezone.now().replace(microsecond=0) <= asked_at:
            time.sleep(0.05)
        lines = models.SaleLine.objects.filter(item=item, sale=None).order_by("pk").values_list("pk", flat=True)
        self.till(shop).let_go(line_ids=[str(pk) for pk in lines])

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        units = {variant.listing_id: int(quantity)}
        return self.till(shop).take_back(shop_id=location_id, sale_id=order_id, units=units)

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        qoh = self.shown(shop=shop, variant=variant, location_id=location_id) + delta
        level = {"shopID": location_id, "qoh": str(qoh)}
        self.till(shop).send("PUT", f"Item/{variant.inventory_id}", {"ItemShops": {"ItemShop": [level]}})

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        query = f"itemID={variant.inventory_id}&shopID={location_id}"
        return Decimal(self.till(shop).send("GET", f"ItemShop?{query}")["ItemShop"]["qoh"])

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        self.till(shop).send("PUT", f"Item/{variant.listing_id}", {"customSku": sku})

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        path = (
            f'Item/{variant.listing_id}?load_relations=["ItemShops","ItemAttributes","ItemAttributes.ItemAttributeSet"]'
        )
        item = self.till(shop).send("GET", path)["Item"]
        return {name: value for name, value in item.items() if name != "timeStamp"}

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        self.till(shop).send("DELETE", f"Item/{variant.listing_id}")

    def revoke(self, *, shop: Shop) -> None:
        accounts.revoke(account=models.Account.objects.get(pk=shop.account.account_id))

    def till(self, shop: Shop) -> RSeriesTill:
        """The owner's own client."""
        account = models.Account.objects.get(pk=shop.account.account_id)
        base_url = f"{shop.account.base_url}/API/V3/Account/{account.pk}"
        return RSeriesTill(base_url=base_url, token=accounts.value_of(account, "owner"))


ADAPTER = RSeriesAdapter()
