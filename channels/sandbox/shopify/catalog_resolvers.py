"""GraphQL over products, variants, inventory items, levels and locations: reading, with prefetched rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from graphql import GraphQLError

from channels.sandbox.shopify import order_state
from channels.sandbox.shopify.models import (
    Fulfillment,
    FulfillmentOrder,
    InventoryItem,
    InventoryLevel,
    LineItem,
    Location,
    Order,
    Product,
    ProductSetOperation,
    ProductVariant,
    Refund,
)
from channels.sandbox.shopify.resolving import Field, by_id, by_time, connection, parse_gid, resolver, search

Json = dict[str, Any]
LEVELS = Prefetch("levels", InventoryLevel.objects.select_related("location").order_by("pk"))
ITEM_LEVELS = Prefetch("item__levels", InventoryLevel.objects.select_related("location").order_by("pk"))
COUNTED = ("available", "on_hand", "committed", "reserved", "incoming", "safety_stock", "damaged", "quality_control")


def _of_variants(path: str, value: str) -> Q:
    """Products by one of their variants: by subquery, for a join would show a product twice."""
    how, text = ("istartswith", value[:-1]) if value.endswith("*") else ("iexact", value)
    return Q(pk__in=ProductVariant.objects.filter(**{f"{path}__{how}": text}).values("product"))


PRODUCT_FIELDS: dict[str, Field] = {
    "id": by_id(), "updated_at": by_time("updated_at"), "created_at": by_time("created_at"), "status": "status",
    "handle": "handle", "vendor": "vendor", "product_type": "product_type", "title": "title", "default": "title",
    "sku": lambda _, value: _of_variants("item__sku", value), "barcode": lambda _, value: _of_variants("barcode",
    value),
}  # fmt: skip
VARIANT_FIELDS: dict[str, Field] = {
    "id": by_id(), "updated_at": by_time("updated_at"), "sku": "item__sku", "barcode": "barcode",
    "product_id": by_id("product"), "title": "title", "default": "item__sku",
}  # fmt: skip
ITEM_FIELDS: dict[str, Field] = {
    "id": by_id(), "sku": "sku", "updated_at": by_time("updated_at"), "created_at": by_time("created_at"),
    "default": "sku",
}  # fmt: skip
LEVEL_ID = re.compile(r"gid://shopify/InventoryLevel/(\d+)\?inventory_item_id=(\d+)")
SORTS = {
    "UPDATED_AT": "updated_at",
    "CREATED_AT": "created_at",
    "TITLE": "title",
    "ID": "pk",
    "NAME": "name",
    "SKU": "item__sku",
}


def products(shop: Any) -> QuerySet[Product]:
    """A shop's products, their variants with items and levels at hand."""
    variants = ProductVariant.objects.select_related("item", "product").prefetch_related(ITEM_LEVELS)
    return Product.objects.filter(shop=shop).prefetch_related(Prefetch("variants", variants.order_by("position", "pk")))


def variants(shop: Any) -> QuerySet[ProductVariant]:
    """A shop's variants with product, item and levels at hand."""
    return ProductVariant.objects.filter(shop=shop).select_related("product", "item").prefetch_related(ITEM_LEVELS)


def items(shop: Any) -> QuerySet[InventoryItem]:
    """A shop's inventory items with variant and levels at hand."""
    return InventoryItem.objects.filter(shop=shop).select_related("variant__product").prefetch_related(LEVELS)


def in_order(rows: QuerySet[Any], key: str | None) -> QuerySet[Any]:
    name = SORTS.get(key or "ID", "pk")
    return rows.order_by(name) if name == "pk" else rows.order_by(name, "pk")


@resolver("QueryRoot", "products")
def resolve_products(source: Any, info: Any, query: str | None = None, sortKey: str | None = None, **page: Any) -> Json:  # noqa: N803
    page.pop("savedSearchId", None)
    return connection(in_order(search(products(info.context.shop), query, fields=PRODUCT_FIELDS), sortKey), **page)


@resolver("QueryRoot", "productVariants")
def resolve_variants(source: Any, info: Any, query: str | None = None, sortKey: str | None = None, **page: Any) -> Json:  # noqa: N803
    page.pop("savedSearchId", None)
    return connection(in_order(search(variants(info.context.shop), query, fields=VARIANT_FIELDS), sortKey), **page)


@resolver("QueryRoot", "inventoryItems")
def resolve_items(source: Any, info: Any, query: str | None = None, **page: Any) -> Json:
    return connection(search(items(info.context.shop), query, fields=ITEM_FIELDS).order_by("pk"), **page)


@resolver("QueryRoot", "productsCount")
def products_count(source: Any, info: Any, query: str | None = None, **_: Any) -> Json:
    return {"count": search(products(info.context.shop), query, fields=PRODUCT_FIELDS).count(), "precision": "EXACT"}


@resolver("QueryRoot", "product")
def product(source: Any, info: Any, id: str) -> Product | None:  # noqa: A002
    return products(info.context.shop).filter(pk=parse_gid(id, "Product")).first()


@resolver("QueryRoot", "productVariant")
def variant(source: Any, info: Any, id: str) -> ProductVariant | None:  # noqa: A002
    return variants(info.context.shop).filter(pk=parse_gid(id, "ProductVariant")).first()


@resolver("QueryRoot", "inventoryItem")
def item(source: Any, info: Any, id: str) -> InventoryItem | None:  # noqa: A002
    return items(info.context.shop).filter(pk=parse_gid(id, "InventoryItem")).first()


@resolver("QueryRoot", "inventoryLevel")
def level(source: Any, info: Any, id: str) -> InventoryLevel | None:  # noqa: A002
    """A level's id is its place's number with the item's in the query string."""
    match = LEVEL_ID.fullmatch(id)
    if match is None:
        raise GraphQLError(f"Invalid global id '{id}'", extensions={"code": "INVALID_GLOBAL_ID"})
    return _levels(info.context.shop).filter(location=int(match[1]), item=int(match[2])).first()


@resolver("QueryRoot", "productOperation")
def product_operation(source: Any, info: Any, id: str) -> ProductSetOperation | None:  # noqa: A002
    return ProductSetOperation.objects.filter(shop=info.context.shop, pk=parse_gid(id, "ProductSetOperation")).first()


@resolver("ProductSetOperation", "product")
def operation_product(source: Any, info: Any) -> Product | None:
    return products(info.context.shop).filter(pk=source.product_id).first() if source.product_id else None


def _levels(shop: Any) -> QuerySet[InventoryLevel]:
    return InventoryLevel.objects.filter(item__shop=shop).select_related("location", "item__variant__product")


_BY_TYPE: dict[str, Callable[[Any], QuerySet[Any]]] = {
    "Product": lambda shop: products(shop),
    "ProductVariant": lambda shop: variants(shop),
    "InventoryItem": lambda shop: items(shop),
    "Location": lambda shop: Location.objects.filter(shop=shop),
    "Order": lambda shop: order_state.in_full(Order.objects.filter(shop=shop)),
    "FulfillmentOrder": lambda shop: FulfillmentOrder.objects.filter(order__shop=shop).select_related(
        "order", "location"
    ),
    "LineItem": lambda shop: LineItem.objects.filter(order__shop=shop),
    "Fulfillment": lambda shop: Fulfillment.objects.filter(order__shop=shop).select_related("location", "order"),
    "Refund": lambda shop: Refund.objects.filter(order__shop=shop).select_related("order"),
}


@resolver("QueryRoot", "nodes")
def nodes(source: Any, info: Any, ids: Sequence[str]) -> list[Any]:
    """Rows by global id, in the order asked, null where there is none; one query a type."""
    found: dict[str, Any] = {}
    for kind in {_type_name(gid) for gid in ids} & _BY_TYPE.keys():
        numbers = [parse_gid(gid, kind) for gid in ids if _type_name(gid) == kind]
        found |= {row.gid: row for row in _BY_TYPE[kind](info.context.shop).filter(pk__in=numbers)}
    return [found.get(gid) for gid in ids]


@resolver("QueryRoot", "node")
def node(source: Any, info: Any, id: str) -> Any:  # noqa: A002
    return nodes(source, info, [id])[0]


def _type_name(gid: str) -> str:
    parts = gid.split("/")
    if not gid.startswith("gid://shopify/") or len(parts) < 5:
        raise GraphQLError(f"Invalid global id '{gid}'", extensions={"code": "INVALID_GLOBAL_ID"})
    return parts[3]


for _kind in ("Product", "ProductVariant", "InventoryItem", "Location"):

    @resolver(_kind, "legacyResourceId")
    def legacy_id(source: Any, info: Any) -> str:
        return str(source.pk)


# Product


@resolver("Product", "variants")
def product_variants(source: Product, info: Any, sortKey: str | None = None, **page: Any) -> Json:  # noqa: N803
    return connection(list(source.variants.all()), **page)


@resolver("Product", "variantsCount")
def variants_count(source: Product, info: Any) -> Json:
    return {"count": len(source.variants.all()), "precision": "EXACT"}


@resolver("Product", "hasOnlyDefaultVariant")
def only_default(source: Product, info: Any) -> bool:
    return [row.title for row in source.variants.all()] == ["Default Title"]


@resolver("Product", "hasVariantsThatRequiresComponents")
@resolver("Product", "isGiftCard")
@resolver("ProductVariant", "requiresComponents")
def never(source: Any, info: Any) -> bool:
    return False


@resolver("Product", "descriptionHtml")
def description(source: Product, info: Any) -> str:
    return ""


@resolver("Product", "options")
def options(source: Product, info: Any, first: int | None = None) -> list[Json]:
    return [
        {
            "id": f"gid://shopify/ProductOption/{source.pk}{option['id']:02}",
            "name": option["name"],
            "position": option["position"],
            "option_values": [_value(source, option, value) for value in option["values"]],
        }
        for option in source.options[:first]
    ]


def _value(product: Product, option: Json, value: Json) -> Json:
    number = f"{product.pk}{option['id']:02}{value['id']:04}"
    return {"id": f"gid://shopify/ProductOptionValue/{number}", "name": value["name"]}


# ProductVariant


@resolver("ProductVariant", "sku")
def variant_sku(source: ProductVariant, info: Any) -> str | None:
    return source.item.sku or None


@resolver("ProductVariant", "barcode")
def barcode(source: ProductVariant, info: Any) -> str | None:
    return source.barcode or None


@resolver("ProductVariant", "price")
def price(source: ProductVariant, info: Any) -> str:
    return f"{source.price:.2f}"


@resolver("ProductVariant", "inventoryItem")
def inventory_item(source: ProductVariant, info: Any) -> InventoryItem:
    return source.item


@resolver("ProductVariant", "displayName")
def display_name(source: ProductVariant, info: Any) -> str:
    return f"{source.product.title} - {source.title}"


@resolver("ProductVariant", "inventoryQuantity")
@resolver("ProductVariant", "sellableOnlineQuantity")
def quantity(source: ProductVariant, info: Any) -> int:
    levels = [level for level in source.item.levels.all() if level.is_active and level.location.is_active]
    if info.field_name == "sellableOnlineQuantity":
        levels = [level for level in levels if level.location.fulfills_online_orders]
    return sum(level.available for level in levels)


@resolver("ProductVariant", "availableForSale")
def available_for_sale(source: ProductVariant, info: Any) -> bool:
    unlimited = not source.item.tracked or source.inventory_policy == "CONTINUE"
    return unlimited or sum(level.available for level in source.item.levels.all() if level.is_active) > 0


@resolver("ProductVariant", "selectedOptions")
def selected_options(source: ProductVariant, info: Any) -> list[Json]:
    found = []
    for chosen in source.selected_options:
        option = next((row for row in source.product.options if row["name"] == chosen["name"]), None)
        value = next((row for row in (option or {}).get("values", []) if row["name"] == chosen["value"]), None)
        told = (
            _value(source.product, option, value) if option and value else {"id": "gid://shopify/ProductOptionValue/0"}
        )
        found.append(
            {"name": chosen["name"], "value": chosen["value"], "option_value": {"name": chosen["value"], **told}}
        )
    return found


# InventoryItem


@resolver("InventoryItem", "sku")
def item_sku(source: InventoryItem, info: Any) -> str | None:
    return source.sku or None


@resolver("InventoryItem", "variants")
def item_variants(source: InventoryItem, info: Any, **page: Any) -> Json:
    return connection([source.variant], **page)


@resolver("InventoryItem", "trackedEditable")
def tracked_editable(source: InventoryItem, info: Any) -> Json:
    return {"locked": False, "reason": None}


@resolver("InventoryItem", "duplicateSkuCount")
def duplicates(source: InventoryItem, info: Any) -> int:
    """Counted once a request for all SKUs that occur in it."""
    if not source.sku:
        return 0
    counted = getattr(info.context, "sku_counts", None)
    if counted is None:
        rows = (
            InventoryItem.objects.filter(shop=info.context.shop)
            .exclude(sku="")
            .values("sku")
            .annotate(rows=Count("pk"))
        )
        counted = info.context.sku_counts = dict(rows.filter(rows__gt=1).values_list("sku", "rows"))
    return int(counted.get(source.sku, 1)) - 1


def _shown(levels: Iterable[InventoryLevel], include_inactive: bool) -> list[InventoryLevel]:
    return [level for level in levels if level.is_active or include_inactive]


@resolver("InventoryItem", "inventoryLevels")
def item_levels(
    source: InventoryItem,
    info: Any,
    includeInactive: bool = False,  # noqa: N803
    query: str | None = None,
    **page: Any,
) -> Json:
    return connection(_shown(source.levels.all(), includeInactive), **page)


@resolver("InventoryItem", "inventoryLevel")
def item_level(
    source: InventoryItem,
    info: Any,
    locationId: str,  # noqa: N803
    includeInactive: bool = False,  # noqa: N803
) -> InventoryLevel | None:
    place = parse_gid(locationId, "Location")
    return next((row for row in _shown(source.levels.all(), includeInactive) if row.location_id == place), None)


# InventoryLevel


@resolver("InventoryLevel", "id")
def level_id(source: InventoryLevel, info: Any) -> str:
    return f"gid://shopify/InventoryLevel/{source.location_id}?inventory_item_id={source.item_id}"


@resolver("InventoryLevel", "canDeactivate")
def can_deactivate(source: InventoryLevel, info: Any) -> bool:
    return source.committed == 0


@resolver("InventoryLevel", "quantities")
def quantities(source: InventoryLevel, info: Any, names: Sequence[str]) -> list[Json]:
    return [
        {
            "id": f"gid://shopify/InventoryQuantity/{source.pk}?name={name}",
            "name": name,
            "quantity": getattr(source, name),
            "updated_at": source.updated_at.isoformat(),
        }
        for name in names
        if name in COUNTED
    ]
