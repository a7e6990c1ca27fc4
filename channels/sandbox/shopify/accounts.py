"""Shops of the stand-in: made, filled, uninstalled; what the demo and the tests start from."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from channels.sandbox.shopify import webhooks
from channels.sandbox.shopify.models import (
    App,
    InventoryItem,
    InventoryLevel,
    Location,
    Product,
    ProductVariant,
    Shop,
    Token,
)

SCOPES = (
    "read_products", "write_products", "read_inventory", "write_inventory", "read_locations", "write_locations",
    "read_orders", "write_orders", "write_order_edits", "read_draft_orders", "write_draft_orders", "read_fulfillments",
    "read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders",
)  # fmt: skip


@dataclass(frozen=True)
class VariantRow:
    """A variant to load; `quantities` are units available by location id."""

    sku: str
    price: Decimal
    option_values: Sequence[str] = ()
    barcode: str = ""
    is_tracked: bool = True
    policy: str = "DENY"
    quantities: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ProductRow:
    """A product to load, with the names of its options."""

    handle: str
    title: str
    variants: Sequence[VariantRow]
    options: Sequence[str] = ()
    vendor: str = ""
    product_type: str = ""


@transaction.atomic
def create_shop(*, domain: str, name: str, locations: Sequence[str], scopes: Sequence[str] = SCOPES) -> Shop:
    """A shop with its app (client id and secret), its locations in routing order, and an offline token."""
    shop = Shop.objects.create(domain=domain, name=name)
    App.objects.create(
        shop=shop, client_id=secrets.token_hex(16), client_secret=f"shpss_{secrets.token_hex(16)}", scopes=list(scopes)
    )
    Location.objects.bulk_create(Location(shop=shop, name=place, rank=rank) for rank, place in enumerate(locations))
    Token.objects.create(shop=shop)
    return shop


@transaction.atomic
def load_products(shop: Shop, rows: Sequence[ProductRow]) -> None:
    """Load products with variants and levels, a few statements a thousand rows; owes no webhooks."""
    products = Product.objects.bulk_create(
        (
            Product(
                shop=shop, title=row.title, handle=row.handle or slugify(row.title), vendor=row.vendor,
                product_type=row.product_type, options=option_rows(row.options,
                [v.option_values for v in row.variants]),
            )
            for row in rows
        ),
        batch_size=1000,
    )  # fmt: skip
    pairs = [
        (product, row, place, variant)
        for product, row in zip(products, rows, strict=True)
        for place, variant in enumerate(row.variants, start=1)
    ]
    items = InventoryItem.objects.bulk_create(
        (InventoryItem(shop=shop, sku=variant.sku, tracked=variant.is_tracked) for *_, variant in pairs),
        batch_size=1000,
    )
    ProductVariant.objects.bulk_create(
        (
            ProductVariant(
                product=product, shop=shop, item=item, title=variant_title(variant.option_values),
                position=place, barcode=variant.barcode, price=variant.price,
                inventory_policy=variant.policy, selected_options=selected(row.options, variant.option_values),
            )
            for (product, row, place, variant), item in zip(pairs, items, strict=True)
        ),
        batch_size=1000,
    )  # fmt: skip
    InventoryLevel.objects.bulk_create(
        (
            InventoryLevel(item=item, location_id=place, available=units)
            for (*_, variant), item in zip(pairs, items, strict=True)
            for place, units in variant.quantities.items()
        ),
        batch_size=2000,
    )


def option_rows(names: Sequence[str], values: Sequence[Sequence[str]]) -> list[dict[str, object]]:
    """A product's options as kept; a product of one variant has Title / Default Title."""
    if not names:
        names, values = ["Title"], [["Default Title"]]
    columns = [dict.fromkeys(row[place] for row in values) for place in range(len(names))]
    return [
        {
            "id": place + 1,
            "name": name,
            "position": place + 1,
            "values": [{"id": n + 1, "name": value} for n, value in enumerate(column)],
        }
        for place, (name, column) in enumerate(zip(names, columns, strict=True))
    ]


def selected(names: Sequence[str], values: Sequence[str]) -> list[dict[str, str]]:
    """A variant's options as kept."""
    if not names:
        return [{"name": "Title", "value": "Default Title"}]
    return [{"name": name, "value": value} for name, value in zip(names, values, strict=True)]


def variant_title(values: Sequence[str]) -> str:
    """The option values, or what the vendor calls a variant without."""
    return " / ".join(values) or "Default Title"


@transaction.atomic
def uninstall(shop: Shop) -> None:
    """The merchant removes the app: its webhook is owed once more, then every call is refused."""
    payload = {"id": shop.pk, "name": shop.name, "domain": shop.domain, "myshopify_domain": shop.domain}
    webhooks.emit(shop=shop, topic="APP_UNINSTALLED", payload=payload)
    now = timezone.now()
    shop.subscriptions.all().delete()
    shop.tokens.filter(revoked_at=None).update(revoked_at=now)
    Shop.objects.filter(pk=shop.pk).update(uninstalled_at=now)
