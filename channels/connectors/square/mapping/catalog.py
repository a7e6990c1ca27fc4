"""Places, listings and counts.

https://developer.squareup.com/reference/square/objects/CatalogItemVariation and …/InventoryCount
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from channels.connectors.square.mapping.values import Json, moment, money, quantity
from channels.ports import Count, RemoteListing, RemoteLocation

DEFAULT_VARIATION = "regular"  # the name Square gives the variation of an item that has only one


def location(place: Json) -> RemoteLocation:
    """A location, inactive ones too."""
    return RemoteLocation(
        external_id=str(place["id"]),
        name=str(place.get("name") or ""),
        is_active=place.get("status") == "ACTIVE",
        timezone=str(place.get("timezone") or ""),
    )


def variations(item: Json) -> list[Json]:
    """The variations nested in an ITEM; those of a deleted item are deleted."""
    nested = (item.get("item_data") or {}).get("variations") or []
    return [{**entry, "is_deleted": True} for entry in nested] if item.get("is_deleted") else list(nested)


def item_id(variation: Json) -> str:
    """The item a variation belongs to."""
    return str((variation.get("item_variation_data") or {}).get("item_id") or "")


def category_id(item: Json) -> str:
    """The category the merchant reports by, else the first one; `category_id` is how older items say it."""
    data = item.get("item_data") or {}
    named = [data.get("reporting_category") or {}, *(data.get("categories") or [])]
    return next((str(entry["id"]) for entry in named if entry.get("id")), str(data.get("category_id") or ""))


def image_id(*, variation: Json, item: Json) -> str:
    """The variation's own picture, else the item's first."""
    own = (variation.get("item_variation_data") or {}).get("image_ids") or []
    return str(next(iter([*own, *((item.get("item_data") or {}).get("image_ids") or [])]), ""))


def listing(*, variation: Json, item: Json, related: Mapping[str, Json]) -> RemoteListing:
    """A variation as a listing. `related`: categories and pictures by id, as far as they are known.

    `is_tracked` needs a `true`, at the variation or for a location: absent means that Square does not count
    it, and a number of such a variation says nothing. Square has no setting to sell past zero: it marks a
    variation sold out by itself and the till may go on, which shows as a negative count.
    """
    data = variation.get("item_variation_data") or {}
    item_data = item.get("item_data") or {}
    name = str(data.get("name") or "")
    category = related.get(category_id(item)) or {}
    image = related.get(image_id(variation=variation, item=item)) or {}
    pictures = item_data.get("ecom_image_uris") or []
    overrides = data.get("location_overrides") or []
    options = {} if name.strip().casefold() in ("", DEFAULT_VARIATION) else {"Variation": name}
    return RemoteListing(
        external_id=str(variation["id"]),
        inventory_id=str(variation["id"]),
        product_external_id=item_id(variation) or str(item.get("id") or ""),
        product_title=str(item_data.get("name") or ""),
        title=name if options else "",
        sku=str(data.get("sku") or ""),
        barcode=str(data.get("upc") or ""),
        options=options,
        price=money(data.get("price_money")),
        is_tracked=bool(data.get("track_inventory")) or any(o.get("track_inventory") for o in overrides),
        sells_past_zero=False,
        updated_at=moment(variation.get("updated_at")),
        is_deleted=bool(variation.get("is_deleted")),
        category=str((category.get("category_data") or {}).get("name") or ""),
        image_url=str((image.get("image_data") or {}).get("url") or next(iter(pictures), "")),
    )


def counts(rows: Iterable[Json]) -> list[Count]:
    """IN_STOCK counts of variations, the newest per pair.

    Left out, so unknown: other states, counts of whole items (Square for Restaurants) and estimates of
    composed items, which nobody has counted.
    """
    newest: dict[tuple[str, str], Count] = {}
    for row in rows:
        is_variation = row.get("catalog_object_type", "ITEM_VARIATION") == "ITEM_VARIATION"
        if row.get("state") != "IN_STOCK" or not is_variation or row.get("is_estimated"):
            continue
        if row.get("quantity") is None or not row.get("catalog_object_id") or not row.get("location_id"):
            continue
        count = Count(
            inventory_id=str(row["catalog_object_id"]),
            location_id=str(row["location_id"]),
            quantity=quantity(row["quantity"]),
            as_of=moment(row.get("calculated_at")),
        )
        known = newest.get((count.inventory_id, count.location_id))
        if known is None or (count.as_of and (known.as_of is None or count.as_of > known.as_of)):
            newest[count.inventory_id, count.location_id] = count
    return list(newest.values())
