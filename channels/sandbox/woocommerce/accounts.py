"""Open, fill, edit and lock a sandbox shop: what the demo and the tests start from."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction
from django.utils.text import slugify

from channels.sandbox.woocommerce import events, product_rules
from channels.sandbox.woocommerce.models import ApiKey, Product, Site

Type = Product.Type


@dataclass(frozen=True)
class VariantRow:
    """One stocked thing. `options` by attribute; empty for a simple product."""

    sku: str
    price: Decimal
    quantity: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    gtin: str = ""
    is_tracked: bool = True
    backorders: str = "no"


@dataclass(frozen=True)
class ProductRow:
    """A product: simple where its only variant has no options, else variable."""

    title: str
    variants: Sequence[VariantRow]
    category: str = ""


@transaction.atomic
def create_site(*, domain: str, name: str, currency: str = "GBP") -> Site:
    """A shop with one key that may read and write."""
    site = Site.objects.create(domain=domain, name=name, currency=currency)
    add_key(site)
    return site


def add_key(site: Site) -> ApiKey:
    """The owner makes a key that may read and write."""
    return ApiKey.objects.create(
        site=site, description="StoreStudio", consumer_key=f"ck_{secrets.token_hex(20)}",
        consumer_secret=f"cs_{secrets.token_hex(20)}",
    )  # fmt: skip


@transaction.atomic
def load_products(site: Site, rows: Sequence[ProductRow]) -> None:
    """Goods as the shop's own importer would make them: no webhook tells of it. A few statements a thousand."""
    with_heads = [(_head(site, row), row) for row in rows]
    Product.objects.bulk_create([head for head, _ in with_heads], batch_size=1000)
    variations = [
        _variation(site, head, variant, place)
        for head, row in with_heads
        if head.type == Type.VARIABLE
        for place, variant in enumerate(row.variants)
    ]
    Product.objects.bulk_create(variations, batch_size=1000)


def _head(site: Site, row: ProductRow) -> Product:
    (first, *rest) = row.variants
    slug = slugify(row.title)[:200]
    categories = [{"id": 0, "name": row.category, "slug": slugify(row.category)}] if row.category else []
    if not rest and not first.options:
        return _with_stock(Product(site=site, name=row.title[:300], slug=slug, categories=categories), first)
    names = list(dict.fromkeys(name for variant in row.variants for name in variant.options)) or ["Variation"]
    attributes = [
        {
            "id": 0, "name": name, "position": place, "visible": True, "variation": True,
            "options": list(dict.fromkeys(_option(variant, name) for variant in row.variants)),
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    return Product(
        site=site, type=Type.VARIABLE, name=row.title[:300], slug=slug, categories=categories, attributes=attributes
    )


def _option(variant: VariantRow, name: str) -> str:
    return variant.options.get(name) or variant.sku


def _variation(site: Site, parent: Product, variant: VariantRow, place: int) -> Product:
    attributes = [{"id": 0, "name": one["name"], "option": _option(variant, one["name"])} for one in parent.attributes]
    row = Product(
        site=site, parent=parent, type=Type.VARIATION, slug=parent.slug, attributes=attributes, menu_order=place
    )
    return _with_stock(row, variant)


def _with_stock(row: Product, variant: VariantRow) -> Product:
    row.sku, row.global_unique_id, row.regular_price = variant.sku[:100], variant.gtin, variant.price
    row.manage_stock, row.backorders = variant.is_tracked, variant.backorders
    row.stock_quantity = variant.quantity if variant.is_tracked else None
    product_rules.align(row)
    return row


def edit_stock(product: Product, *, by: int) -> None:
    """Somebody types another number in the shop's pages."""
    with transaction.atomic(), events.gathered(product.site):
        product_rules.move_stock(product, by)


def revoke(site: Site) -> None:
    """The owner deletes our key."""
    site.keys.all().delete()
