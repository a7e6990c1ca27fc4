"""Webhook bodies of products, REST-shaped."""

from __future__ import annotations

from typing import Any

from channels.sandbox.shopify import webhooks
from channels.sandbox.shopify.catalog_rules import OPTIONS_MAX
from channels.sandbox.shopify.models import Product, ProductVariant, Shop

Json = dict[str, Any]


def emit_product(*, shop: Shop, product: Product, topic: str) -> None:
    """Owe the webhook of a product: REST-shaped, with the variants' gids beside them."""
    rows = product.variants.select_related("item").prefetch_related("item__levels").order_by("position", "pk")
    payload = {
        "id": product.pk, "title": product.title, "handle": product.handle, "vendor": product.vendor,
        "product_type": product.product_type, "status": product.status.lower(), "tags": ", ".join(product.tags),
        "created_at": product.created_at.isoformat(), "updated_at": product.updated_at.isoformat(),
        "admin_graphql_api_id": product.gid,
        "variants": [
            {
                "id": row.pk, "product_id": product.pk, "title": row.title, "sku": row.item.sku, "barcode": row.barcode,
                "price": f"{row.price:.2f}", "position": row.position, "inventory_item_id": row.item_id,
                "inventory_policy": row.inventory_policy.lower(), "admin_graphql_api_id": row.gid,
                "compare_at_price": None, "taxable": True, "image_id": None, "created_at": row.created_at.isoformat(),
                "updated_at": row.updated_at.isoformat(), **_quantities(row),
                **{f"option{n + 1}": _option(row, n) for n in range(OPTIONS_MAX)},
            }
            for row in rows
        ],
        "options": [
            {
                "id": int(f"{product.pk}{option['id']:02}"), "product_id": product.pk, "name": option["name"],
                "position": option["position"], "values": [value["name"] for value in option["values"]],
            }
            for option in product.options
        ],
        "body_html": "", "template_suffix": None, "published_scope": "global", "images": [], "image": None, "media": [],
        "published_at": product.created_at.isoformat(), "has_variants_that_requires_components": False,
        "category": None,
        "variant_gids": [{"admin_graphql_api_id": row.gid, "updated_at": row.updated_at.isoformat()} for row in rows],
    }  # fmt: skip
    webhooks.emit(shop=shop, topic=topic, payload=payload)


def _option(variant: ProductVariant, place: int) -> str | None:
    chosen = variant.selected_options
    return chosen[place]["value"] if place < len(chosen) else None


def _quantities(variant: ProductVariant) -> Json:
    units = sum(level.available for level in variant.item.levels.all() if level.is_active)
    return {"inventory_quantity": units, "old_inventory_quantity": units}
