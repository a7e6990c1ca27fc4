"""The exports we know, each as a declaration: how its header is recognised, which column is which of our fields.

Sources: Shopify, "Using CSV files to import and export products" and "Inventory CSV" (both product header sets);
Square, "Item library" import file; Lightspeed X-Series product CSV; WooCommerce core's product exporter.
Fields that begin with "_" are steps on the way, used up by the format's folding (folding.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onboarding.reading.fields import QUANTITY_AT
from onboarding.reading.headers import folded


@dataclass(frozen=True, slots=True)
class PlacePattern:
    """Headers that name a place: `pattern` is matched on the header as typed, its group is the place."""

    pattern: re.Pattern[str]
    field: str  # "quantity", or an inner field that folding turns into it
    has_underscores: bool = False  # "Main_Outlet" for Main Outlet

    def place(self, header: str) -> str | None:
        match = self.pattern.fullmatch(header.strip())
        if match is None:
            return None
        return match[1].replace("_", " ").strip() if self.has_underscores else match[1].strip()


@dataclass(frozen=True, slots=True)
class Format:
    """`certain`: folded headers that hardly any other export has; `certain_min` of them and all of `required`
    make the format. `is_stock`: rows are counts of variants at places, not the catalog."""

    key: str
    label: str
    columns: Mapping[str, tuple[str, ...]]  # our field -> folded headers, the better one first
    required: tuple[str, ...] = ()
    certain: tuple[str, ...] = ()
    certain_min: int = 1
    places: tuple[PlacePattern, ...] = ()
    folding: str = "plain"
    is_stock: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)  # what the format implies, such as the unit of weight


_OPTIONS: dict[str, tuple[str, ...]] = {
    f"option{slot}_{part}": (f"option{slot} {part}",) for slot in (1, 2, 3) for part in ("name", "value")
}

SHOPIFY_PRODUCTS = Format(
    key="shopify_products",
    label="Shopify products",
    required=("handle",),
    certain=(
        "variant sku",
        "variant price",
        "variant barcode",
        "variant barcodes",
        "variant grams",
        "variant inventory policy",
        "variant inventory tracker",
        "variant inventory qty",
        "body html",
        "image src",
    ),
    certain_min=2,
    folding="shopify",
    fixed={"weight_unit": "g"},
    columns={
        **_OPTIONS,
        "product_key": ("handle",),
        "product_title": ("title",),
        "vendor": ("vendor",),
        "category": ("type", "product type", "standard product type"),
        "_category": ("product category",),
        "tags": ("tags",),
        "sku": ("variant sku",),
        "gtin": ("variant barcode", "variant barcodes"),
        "price": ("variant price",),
        "compare_at_price": ("variant compare at price",),
        "cost": ("cost per item",),
        "_tracker": ("variant inventory tracker",),
        "quantity": ("variant inventory qty",),
        "_policy": ("variant inventory policy",),
        "weight": ("variant grams",),
        "status": ("status",),
        "image_url": ("image src",),
        "_variant_image": ("variant image",),
    },
)
SHOPIFY_PRODUCTS_NEW = Format(
    key="shopify_products_new",
    label="Shopify products (new template)",
    required=("url handle",),
    certain=(
        "continue selling when out of stock",
        "inventory tracker",
        "inventory quantity",
        "option1 linked to",
        "weight value grams",
        "product image url",
        "variant image url",
        "published on online store",
        "compare at price",
        "option1 value",
    ),
    folding="shopify",
    fixed={"weight_unit": "g"},
    columns={
        **_OPTIONS,
        "product_key": ("url handle",),
        "product_title": ("title",),
        "vendor": ("vendor",),
        "category": ("type",),
        "_category": ("product category",),
        "tags": ("tags",),
        "sku": ("sku",),
        "gtin": ("barcode",),
        "price": ("price",),
        "compare_at_price": ("compare at price",),
        "cost": ("cost per item",),
        "_tracker": ("inventory tracker",),
        "quantity": ("inventory quantity",),
        "_policy": ("continue selling when out of stock",),
        "weight": ("weight value grams",),
        "status": ("status",),
        "image_url": ("product image url",),
        "_variant_image": ("variant image url",),
    },
)
SHOPIFY_INVENTORY = Format(
    key="shopify_inventory",
    label="Shopify inventory",
    required=("handle", "sku"),
    certain=("hs code", "coo", "bin name", "on hand new", "on hand current", "on hand", "available not editable"),
    certain_min=2,
    folding="shopify_stock",
    is_stock=True,
    columns={
        **_OPTIONS,
        "product_key": ("handle",),
        "product_title": ("title",),
        "sku": ("sku",),
        "location": ("location",),
        "quantity": ("on hand new", "on hand"),
        "_current": ("on hand current",),
    },
)
SQUARE_ITEMS = Format(
    key="square_items",
    label="Square item library",
    required=("item name",),
    certain=(
        "variation name",
        "token",
        "reference handle",
        "option name 1",
        "stockable",
        "sellable",
        "default unit cost",
        "default vendor code",
        "reporting category",
        "customer facing name",
        "square online item visibility",
    ),
    certain_min=2,
    folding="square",
    places=(
        PlacePattern(re.compile(r"New Quantity (.+)", re.IGNORECASE), "_new"),
        PlacePattern(re.compile(r"Current Quantity (.+)", re.IGNORECASE), "quantity"),
    ),
    columns={
        **{f"option{slot}_{part}": (f"option {part} {slot}",) for slot in (1, 2, 3) for part in ("name", "value")},
        "_handle": ("reference handle",),
        "external_id": ("token",),
        "product_title": ("item name",),
        "variant_title": ("variation name",),
        "sku": ("sku",),
        "gtin": ("gtin",),
        "category": ("reporting category", "category", "categories"),
        "_categories": ("categories",),
        "vendor": ("default vendor name",),
        "price": ("price",),
        "cost": ("default unit cost",),
        "_archived": ("archived",),
        "_stockable": ("stockable",),
    },
)
LIGHTSPEED_PRODUCTS = Format(
    key="lightspeed_products",
    label="Lightspeed X-Series products",
    required=("handle", "sku"),
    certain=(
        "variant option one name",
        "variant option one value",
        "retail price",
        "supply price",
        "composite name",
        "composite sku",
        "track inventory",
        "active online",
        "account code purchase",
        "supplier code",
    ),
    certain_min=2,
    folding="lightspeed",
    places=(PlacePattern(re.compile(r"inventory_(.+)", re.IGNORECASE), "quantity", has_underscores=True),),
    columns={
        **{
            f"option{slot}_{part}": (f"variant option {word} {part}",)
            for slot, word in ((1, "one"), (2, "two"), (3, "three"))
            for part in ("name", "value")
        },
        "external_id": ("id",),
        "product_key": ("handle",),
        "sku": ("sku",),
        "product_title": ("name",),
        "category": ("product category", "type"),
        "tags": ("tags",),
        "vendor": ("brand name",),
        "price": ("retail price",),
        "cost": ("supply price",),
        "_active": ("active",),
        "is_tracked": ("track inventory",),
        "weight": ("weight",),
        "weight_unit": ("weight unit",),
        "gtin": ("barcode", "gtin", "upc", "ean"),
        "image_url": ("image url", "image"),
        "_composite": ("composite sku", "composite name"),
    },
)
WOOCOMMERCE_PRODUCTS = Format(
    key="woocommerce_products",
    label="WooCommerce products",
    required=("type", "name"),
    certain=(
        "regular price",
        "in stock",
        "backorders allowed",
        "visibility in catalog",
        "sold individually",
        "is featured",
        "attribute 1 name",
        "attribute 1 value s",
        "low stock amount",
        "cross sells",
    ),
    certain_min=2,
    folding="woocommerce",
    columns={
        "external_id": ("id",),
        "_type": ("type",),
        "sku": ("sku",),
        "gtin": ("gtin upc ean or isbn", "gtin", "global unique id", "ean", "barcode", "meta global unique id"),
        "product_title": ("name",),
        "_published": ("published",),
        "_parent": ("parent",),
        "_regular": ("regular price",),
        "_sale": ("sale price",),
        "_sale_from": ("date sale price starts",),
        "_sale_to": ("date sale price ends",),
        "quantity": ("stock",),
        "_manage": ("manage stock",),
        "sells_past_zero": ("backorders allowed",),
        "_in_stock": ("in stock",),
        "category": ("categories",),
        "tags": ("tags",),
        "vendor": ("brands", "brand"),
        "image_url": ("images",),
        "weight": ("weight kg", "weight lbs", "weight g", "weight oz", "weight"),
        "cost": ("cost of goods", "cogs value", "cost"),
        **{
            f"_attribute{slot}_{part}": (f"attribute {slot} {header}",)
            for slot in range(1, 13)
            for part, header in (("name", "name"), ("value", "value s"))
        },
    },
)
OTHER = Format(key="other", label="Another table", columns={})
KNOWN = (
    SHOPIFY_INVENTORY,
    SHOPIFY_PRODUCTS,
    SHOPIFY_PRODUCTS_NEW,
    SQUARE_ITEMS,
    LIGHTSPEED_PRODUCTS,
    WOOCOMMERCE_PRODUCTS,
)
_WEIGHT_UNIT = re.compile(r"weight \(?(kg|g|lbs?|oz)\)?", re.IGNORECASE)
KNOWN_HEADERS = frozenset(
    header for known in KNOWN for names in (*known.columns.values(), known.certain) for header in names
)


def recognise(headers: Sequence[str]) -> Format:
    """The format whose own headers are most present, or OTHER."""
    present = {folded(header) for header in headers}
    best, most = OTHER, 0
    for known in KNOWN:
        hits = sum(1 for header in known.certain if header in present)
        hits += sum(1 for pattern in known.places if any(pattern.place(header) for header in headers))
        if hits >= known.certain_min and all(header in present for header in known.required) and hits > most:
            best, most = known, hits
    return best


def columns_of(known: Format, headers: Sequence[str]) -> dict[str, str]:
    """Header as in the file -> our field, for the columns the format knows; a second column for a field is left."""
    where: dict[str, str] = {}
    for header in headers:
        where.setdefault(folded(header), header)
    mapping: dict[str, str] = {}
    for name, candidates in known.columns.items():
        first = next((where[candidate] for candidate in candidates if candidate in where), "")
        if first and first not in mapping:
            mapping[first] = name
    for header in headers:
        for pattern in known.places:
            if header not in mapping and (place := pattern.place(header)) is not None:
                mapping[header] = f"{pattern.field}:{place}"
    return mapping


def implied(known: Format, headers: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> text for what the format or a header such as "Weight (kg)" says once for all rows."""
    texts = dict(known.fixed)
    for header in headers:
        match = _WEIGHT_UNIT.fullmatch(header.strip())
        if match and (mapping.get(header) == "weight" or known is SQUARE_ITEMS):
            texts["weight_unit"] = match[1].lower()
    return texts


def stock_places(headers: Sequence[str], mapping: Mapping[str, str], sample: Sequence[Sequence[str]]) -> dict[str, str]:
    """Older Shopify inventory files have one column per place and none called Location: what is left holds counts."""
    if "location" in mapping.values():
        return {}
    places = {}
    for index, header in enumerate(headers):
        name = folded(header)
        if header in mapping or name in KNOWN_HEADERS or name.startswith(("variant packed", "incoming", "unavailable")):
            continue
        cells = [row[index].strip() for row in sample if index < len(row) and row[index].strip()]
        if cells and all(cell == "not stocked" or re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in cells):
            places[header] = f"{QUANTITY_AT}{header}"
    return places
