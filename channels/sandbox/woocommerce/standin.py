"""Our hands on WooCommerce's stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from channels import connections
from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.woocommerce import accounts
from channels.sandbox.woocommerce.accounts import ProductRow, VariantRow
from channels.sandbox.woocommerce.customers import Customers
from channels.sandbox.woocommerce.models import Product, Site
from inventory import identifiers
from storestudio.accounts.models import Merchant, User

PLACE = "shop"


class WooCommerceStandIn:
    """See channels.sandbox.standins."""

    label = "WooCommerce shop"

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[Goods]) -> Site:
        """A site of its own. WooCommerce knows one stock: here it is that of the first place."""
        domain = f"{merchant.slug}-{Site.objects.count() + 1}.example"
        site = accounts.create_site(domain=domain, name=merchant.name, currency=merchant.currency)
        accounts.load_products(site, [_row(product, place=places[0]) for product in goods if _on_web(product)])
        return site

    def connect(self, merchant: Merchant, account: Site, actor: User) -> Connection:
        """With the key its owner made for us."""
        key = account.keys.get()
        return connections.open_connection(
            merchant=merchant, channel="woocommerce", label=self.label, account_id=account.domain,
            base_url=f"{settings.SANDBOX_URL}/woocommerce/{account.domain}",
            secrets={"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}, actor=actor,
        )  # fmt: skip

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """Its REST clients take these."""
        key = Site.objects.get(pk=connection.account_id).keys.get()
        return {
            "base_url": connection.base_url,
            "consumer_key": key.consumer_key,
            "consumer_secret": key.consumer_secret,
        }

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """The only one."""
        return {"woocommerce_id": place.external_id}

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """A product's number, and its variation's or "0", as an order's line takes them."""
        product_id, _, variation_id = listing.external_id.partition("/")
        return {"woocommerce_product_id": product_id, "woocommerce_variation_id": variation_id or "0"}

    def storefront(self, *, where: Mapping[str, Any], run: str) -> Customers:
        """By the shop's own key."""
        own = where["woocommerce"]
        return Customers(
            base_url=own["base_url"], key=own["consumer_key"], secret=own["consumer_secret"],
            goods={
                identifiers.sku_key(row["sku"]): (row["woocommerce_product_id"], row["woocommerce_variation_id"])
                for row in where["variants"]
            },
        )  # fmt: skip

    def shown(self, connection: Connection) -> Mapping[tuple[str, str], Decimal]:
        """What is counted, by product or variation."""
        counted = Product.objects.filter(site=connection.account_id, manage_stock=True, stock_quantity__isnull=False)
        return {
            (f"{parent}/{number}" if parent else str(number), PLACE): Decimal(quantity or 0)
            for number, parent, quantity in counted.values_list("pk", "parent_id", "stock_quantity")
        }


def _on_web(product: Goods) -> bool:
    return any(variant.is_on_web for variant in product.variants)


def _row(product: Goods, *, place: str) -> ProductRow:
    return ProductRow(
        title=product.title,
        category=product.category,
        variants=[_variant(product, variant, place=place) for variant in product.variants if variant.is_on_web],
    )


def _variant(product: Goods, variant: GoodsVariant, *, place: str) -> VariantRow:
    return VariantRow(
        sku=variant.sku if variant.web_sku is None else variant.web_sku,
        price=variant.price,
        quantity=variant.counts.get(place, 0),
        options=dict(zip(product.options, variant.values, strict=False)),
        gtin=variant.barcode,
        # What was never counted at that place is not counted there either: no number is no zero.
        is_tracked=variant.is_tracked_on_web and place in variant.counts,
        backorders="yes" if variant.sells_past_zero_on_web else "no",
    )


STAND_IN = WooCommerceStandIn()
