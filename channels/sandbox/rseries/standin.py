"""Our hands on Lightspeed R-Series' stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from channels import connections
from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.rseries import accounts
from channels.sandbox.rseries.customers import Customers
from channels.sandbox.rseries.models import Account, ItemShop, Shop, Token
from channels.sandbox.rseries.till import RSeriesTill
from inventory import identifiers
from storestudio.accounts.models import Merchant, User


class RSeriesStandIn:
    """See channels.sandbox.standins."""

    label = "Lightspeed R-Series till"

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[Goods]) -> Account:
        """An account of its own."""
        account = accounts.create_account(
            name=merchant.name, shops=list(places), currency=merchant.currency, time_zone=merchant.timezone
        )
        shops = {shop.name: shop.pk for shop in Shop.objects.filter(account=account)}
        accounts.load(account, [_family(product, shops) for product in goods])
        return account

    def connect(self, merchant: Merchant, account: Account, actor: User) -> Connection:
        """With the app's token pair."""
        return connections.open_connection(
            merchant=merchant, channel="rseries", label=self.label, account_id=str(account.pk),
            base_url=f"{settings.SANDBOX_URL}/rseries",
            secrets={
                "access_token": accounts.value_of(account, Token.Kind.ACCESS),
                "refresh_token": accounts.value_of(account, Token.Kind.REFRESH),
                "client_id": account.client_id, "client_secret": account.client_secret,
            },
            actor=actor,
        )  # fmt: skip

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """With the token of the owner's own client, which no refresh ends."""
        account = Account.objects.get(pk=connection.account_id)
        return {
            "base_url": f"{connection.base_url}/API/V3/Account/{account.pk}",
            "access_token": accounts.value_of(account, Token.Kind.OWNER),
        }

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """A shop."""
        return {"rseries_id": place.external_id}

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """An item."""
        return {"rseries_id": listing.external_id}

    def storefront(self, *, where: Mapping[str, Any], run: str) -> Customers:
        """At the first shop, by the owner's own client."""
        own = where["rseries"]
        return Customers(
            till=RSeriesTill(base_url=own["base_url"], token=own["access_token"]),
            shop_id=where["locations"][0]["rseries_id"],
            goods={identifiers.sku_key(row["sku"]): row["rseries_id"] for row in where["variants"]},
        )

    def shown(self, connection: Connection) -> Mapping[tuple[str, str], Decimal]:
        """Quantities; the sums over all shops are no place's."""
        levels = ItemShop.objects.filter(account=int(connection.account_id)).exclude(shop=None)
        return {
            (str(item), str(shop)): Decimal(qoh) for item, shop, qoh in levels.values_list("item_id", "shop_id", "qoh")
        }


def _family(product: Goods, shops: Mapping[str, int]) -> accounts.Family:
    return accounts.Family(
        title=product.title, options=product.options[:3], category=product.category,
        items=[_item(variant, shops) for variant in product.variants],
    )  # fmt: skip


def _item(variant: GoodsVariant, shops: Mapping[str, int]) -> accounts.ItemRow:
    barcode = variant.barcode if len(variant.barcode) in (12, 13, 14) else ""
    return accounts.ItemRow(
        sku=variant.sku if variant.till_sku is None else variant.till_sku,
        price=variant.price,
        values=variant.values[:3],
        barcode=barcode,
        quantities={shops[place]: units for place, units in variant.counts.items() if place in shops},
    )


STAND_IN = RSeriesStandIn()
