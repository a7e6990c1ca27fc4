"""Our hands on Shopify's stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, load_web
from channels.sandbox.shopify import accounts
from channels.sandbox.shopify.models import InventoryLevel, Shop
from storestudio.accounts.models import Merchant, User


class ShopifyStandIn:
    """See channels.sandbox.standins."""

    label = "Web shop"

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[Goods]) -> Shop:
        """A shop under a domain of its own."""
        taken = Shop.objects.filter(domain__startswith=f"{merchant.slug}-{merchant.pk}").count()
        domain = f"{merchant.slug}-{merchant.pk}{f'-{taken}' if taken else ''}.myshopify.com"
        shop = accounts.create_shop(domain=domain, name=merchant.name, locations=list(places))
        load_web(shop, goods=goods)
        return shop

    def connect(self, merchant: Merchant, account: Shop, actor: User) -> Connection:
        """With a token of the shop's own app."""
        return bringup.connect_web(merchant, account, actor)

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """Of the tokens that work, the one that lives longest."""
        shop = Shop.objects.get(domain=connection.account_id)
        token = shop.tokens.filter(kind="access", revoked_at=None).order_by("-expires_at", "-pk").first()
        return {
            "graphql_url": f"{connection.base_url}/admin/api/2026-10/graphql.json",
            "access_token": token.value if token else "",
        }

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """A location."""
        return {"shopify_id": place.external_id}

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """A variant, and the item its levels are kept under."""
        return {"shopify_variant_id": listing.external_id, "shopify_inventory_item_id": listing.inventory_id}

    def shown(self, connection: Connection) -> Mapping[tuple[str, str], Decimal]:
        """`available` of active levels."""
        levels = InventoryLevel.objects.filter(item__shop__domain=connection.account_id, is_active=True)
        return {
            (f"gid://shopify/InventoryItem/{item}", f"gid://shopify/Location/{place}"): Decimal(quantity)
            for item, place, quantity in levels.values_list("item_id", "location_id", "available")
        }


STAND_IN = ShopifyStandIn()
