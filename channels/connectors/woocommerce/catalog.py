"""Products and variations as listings and counts: pure translation.

Stock is counted at a variation, at its product for all variations together (`manage_stock` reads "parent"), or nowhere.
A number that several variations share is no variation's own: they are not tracked, until each counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from channels.connectors.woocommerce.values import PLACE, Json, decimal, id_of, listing_id, moment
from channels.ports import Count, RemoteListing, ToldListing

UNSTOCKED = {"grouped", "external"}  # made of others, or sold by others
GTIN = "global_unique_id"  # since WooCommerce 9.2


def is_tracked(document: Json) -> bool:
    """Only what counts for itself."""
    return document.get("manage_stock") is True


def sells_past_zero(document: Json) -> bool:
    """By its backorders; what is not counted sells as long as it is not marked as out of stock."""
    if is_tracked(document):
        return document.get("backorders") in ("notify", "yes")
    return document.get("stock_status") != "outofstock"


def options(document: Json) -> dict[str, str]:
    """A variation's options by the names of its product's attributes."""
    return {
        str(one["name"]): str(one.get("option") or "") for one in document.get("attributes") or [] if "option" in one
    }


def quantity(document: Json) -> Decimal | None:
    """What it counts; None where it counts nothing."""
    return decimal(document.get("stock_quantity")) if is_tracked(document) else None


def listing(document: Json, *, product: Json) -> RemoteListing:
    """A simple product (then `product` is the document itself) or a variation."""
    chosen = options(document) if document is not product else {}
    images = product.get("images") or []
    image = document.get("image") or (images[0] if images else None) or {}
    categories = product.get("categories") or []
    name = id_of(document)
    return RemoteListing(
        external_id=name,
        inventory_id=name,
        product_external_id=str(product["id"]),
        product_title=str(product.get("name") or ""),
        title=" / ".join(chosen.values()),
        sku=str(document.get("sku") or ""),
        barcode=str(document.get(GTIN) or ""),
        options=chosen,
        price=price(document),
        is_tracked=is_tracked(document),
        sells_past_zero=sells_past_zero(document),
        updated_at=moment(document.get("date_modified_gmt")),
        category=str(categories[0].get("name") or "") if categories else "",
        image_url=str(image.get("src") or ""),
    )


def price(document: Json) -> Decimal | None:
    """What it costs when it is not on sale."""
    return decimal(document.get("regular_price") or document.get("price"))


def told(document: Json) -> ToldListing:
    """What a webhook's body says of a listing. A variation's body does not say its product's title alone."""
    is_variation = "/" in id_of(document)
    return ToldListing(
        external_id=id_of(document),
        sku=str(document.get("sku") or ""),
        barcode=str(document.get(GTIN) or ""),
        is_tracked=is_tracked(document),
        sells_past_zero=sells_past_zero(document),
        product_title=None if is_variation else str(document.get("name") or ""),
        price=price(document),
        options=options(document) if is_variation else None,
    )


def told_of_product(document: Json) -> list[ToldListing]:
    """What the body of a product with variations says of each of them."""
    title = str(document.get("name") or "")
    return [
        ToldListing(listing_id(product_id=document["id"], variation_id=number), product_title=title)
        for number in document.get("variations") or []
    ]


def counts(documents: Iterable[Json]) -> list[Count]:
    """What is counted; all else is unknown, and missing."""
    found = []
    for document in documents:
        shown = quantity(document)
        if shown is not None:
            found.append(Count(id_of(document), PLACE, shown, moment(document.get("date_modified_gmt"))))
    return found


def meta(document: Json) -> Mapping[str, Any]:
    """Its meta data by key; the last entry of a key counts."""
    return {str(entry.get("key")): entry.get("value") for entry in document.get("meta_data") or []}
