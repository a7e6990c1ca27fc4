"""Our hands on Lightspeed's stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from channels import connections
from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.lightspeed import accounts
from channels.sandbox.lightspeed.customers import Customers
from channels.sandbox.lightspeed.models import Level, Outlet, Retailer, Token
from channels.sandbox.lightspeed.till import LightspeedTill
from inventory import identifiers
from storestudio.accounts.models import Merchant, User


class LightspeedStandIn:
    """See channels.sandbox.standins."""

    label = "Lightspeed till"

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[Goods]) -> Retailer:
        """A retailer under a domain prefix of its own."""
        taken = Retailer.objects.filter(pk__startswith=f"{merchant.slug[:60]}-{merchant.pk}").count()
        retailer = accounts.create_retailer(
            domain_prefix=f"{merchant.slug[:60]}-{merchant.pk}{f'-{taken}' if taken else ''}", name=merchant.name,
            outlets=list(places), currency=merchant.currency, time_zone=merchant.timezone,
        )  # fmt: skip
        outlets = {outlet.name: outlet for outlet in Outlet.objects.filter(retailer=retailer)}
        accounts.load(retailer, [_family(product, outlets) for product in goods])
        return retailer

    def connect(self, merchant: Merchant, account: Retailer, actor: User) -> Connection:
        """With the app's token pair."""
        return connections.open_connection(
            merchant=merchant, channel="lightspeed", label=self.label, account_id=account.domain_prefix,
            base_url=f"{settings.SANDBOX_URL}/lightspeed/{account.domain_prefix}",
            secrets={
                "access_token": accounts.value_of(account, Token.Kind.ACCESS),
                "refresh_token": accounts.value_of(account, Token.Kind.REFRESH),
                "client_id": account.client_id, "client_secret": account.client_secret,
            },
            actor=actor,
        )  # fmt: skip

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """With the owner's personal token, which no refresh ends."""
        retailer = Retailer.objects.get(pk=connection.account_id)
        return {
            "base_url": f"{connection.base_url}/api/2026-07",
            "access_token": accounts.value_of(retailer, Token.Kind.PERSONAL),
        }

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """An outlet."""
        return {"lightspeed_id": place.external_id}

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """A product."""
        return {"lightspeed_id": listing.external_id}

    def storefront(self, *, where: Mapping[str, Any], run: str) -> Customers:
        """At the first outlet, by the owner's own token."""
        own = where["lightspeed"]
        return Customers(
            till=LightspeedTill(base_url=own["base_url"], token=own["access_token"]),
            outlet_id=where["locations"][0]["lightspeed_id"],
            goods={identifiers.sku_key(row["sku"]): row["lightspeed_id"] for row in where["variants"]},
        )

    def shown(self, connection: Connection) -> Mapping[tuple[str, str], Decimal]:
        """Levels."""
        levels = Level.objects.filter(retailer=connection.account_id)
        return {
            (str(product), str(outlet)): quantity
            for product, outlet, quantity in levels.values_list("product_id", "outlet_id", "quantity")
        }


def _family(product: Goods, outlets: Mapping[str, Outlet]) -> accounts.FamilyRow:
    return accounts.FamilyRow(
        handle=product.handle, name=product.title, options=product.options, category=product.category,
        variants=[_variant(variant, outlets) for variant in product.variants],
    )  # fmt: skip


def _variant(variant: GoodsVariant, outlets: Mapping[str, Outlet]) -> accounts.VariantRow:
    kind = {12: "UPC", 14: "ITF"}.get(len(variant.barcode), "EAN")
    return accounts.VariantRow(
        sku=variant.sku if variant.till_sku is None else variant.till_sku,
        price=variant.price,
        option_values=variant.values,
        codes=[(kind, variant.barcode)] if variant.barcode else [],
        quantities={outlets[place].pk: Decimal(units) for place, units in variant.counts.items() if place in outlets},
    )


STAND_IN = LightspeedStandIn()
