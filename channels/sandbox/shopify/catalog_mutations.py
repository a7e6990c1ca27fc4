"""GraphQL over products and variants: writing, with the webhooks a change owes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.text import slugify

from channels.sandbox.shopify import accounts, catalog_resolvers, stock, stock_resolvers, webhooks
from channels.sandbox.shopify.models import InventoryItem, InventoryLevel, Product, ProductVariant, Shop
from channels.sandbox.shopify.resolving import parse_gid, resolver, user_error

Json = dict[str, Any]
TEXTS = (("title", "title"), ("handle", "handle"), ("status", "status"), ("vendor", "vendor"), ("productType", "product_type"))


def _emit(shop: Shop, product: Product, topic: str) -> None:
    """REST-shaped, with the variants' gids beside them."""
    rows = product.variants.select_related("item").order_by("position", "pk")
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
            }
            for row in rows
        ],
        "variant_gids": [{"admin_graphql_api_id": row.gid, "updated_at": row.updated_at.isoformat()} for row in rows],
    }  # fmt: skip
    webhooks.emit(shop=shop, topic=topic, payload=payload)


def _product(shop: Shop, gid: str | None) -> Product | None:
    return catalog_resolvers.products(shop).filter(pk=parse_gid(gid, "Product")).first() if gid else None


def _touched(shop: Shop, product: Product, *, is_new: bool = False) -> Product:
    """Mark as changed, owe the webhook, read again in full."""
    product.updated_at = timezone.now()
    product.save()
    _emit(shop, product, "PRODUCTS_CREATE" if is_new else "PRODUCTS_UPDATE")
    return catalog_resolvers.products(shop).get(pk=product.pk)


def _apply_texts(product: Product, given: Json) -> None:
    for key, name in TEXTS:
        if given.get(key) is not None:
            setattr(product, name, given[key])
    if given.get("tags") is not None:
        product.tags = list(given["tags"])


def _free_handle(shop: Shop, wanted: str) -> str:
    base, number = slugify(wanted) or "product", 0
    while Product.objects.filter(shop=shop, handle=f"{base}-{number}" if number else base).exists():
        number += 1
    return f"{base}-{number}" if number else base


def _new_product(shop: Shop, given: Json, options: Sequence[Json]) -> Product:
    product = Product(shop=shop, handle=_free_handle(shop, given.get("handle") or given.get("title") or ""))
    _apply_texts(product, given)
    names = [option["name"] for option in options]
    values = [[value["name"] for value in option.get("values") or []] or ["Default"] for option in options]
    product.options = accounts.option_rows(names, [[column[0] for column in values]] if names else [])
    for option, column in zip(product.options, values, strict=False):
        option["values"] = [{"id": n + 1, "name": value} for n, value in enumerate(column)]
    product.save()
    return product


@resolver("Mutation", "productCreate")
def product_create(source: Any, info: Any, product: Json) -> Json:
    shop = info.context.shop
    if not (product.get("title") or "").strip():
        return {"product": None, "user_errors": [user_error(None, ["title"], "Title can't be blank")]}
    row = _new_product(shop, product, product.get("productOptions") or [])
    values = [option["values"][0]["name"] for option in row.options]
    _new_variant(shop, row, {}, values, position=1)
    return {"product": _touched(shop, row, is_new=True), "user_errors": []}


@resolver("Mutation", "productUpdate")
def product_update(source: Any, info: Any, product: Json) -> Json:
    shop = info.context.shop
    row = _product(shop, product.get("id"))
    if row is None:
        return {"product": None, "user_errors": [user_error(None, ["id"], "Product does not exist")]}
    _apply_texts(row, product)
    return {"product": _touched(shop, row), "user_errors": []}


@resolver("Mutation", "productDelete")
def product_delete(source: Any, info: Any, input: Json, synchronous: bool = True) -> Json:  # noqa: A002
    shop = info.context.shop
    row = _product(shop, input["id"])
    if row is None:
        return {"deleted_product_id": None, "user_errors": [user_error(None, ["id"], "Product does not exist")]}
    gid, number = row.gid, row.pk
    InventoryItem.objects.filter(variant__product=row).delete()
    row.delete()
    webhooks.emit(shop=shop, topic="PRODUCTS_DELETE", payload={"id": number})
    return {"deleted_product_id": gid, "user_errors": []}


@resolver("Mutation", "productOptionsCreate")
def options_create(source: Any, info: Any, productId: str, options: Sequence[Json], **_: Any) -> Json:  # noqa: N803
    """LEAVE_AS_IS: every variant takes the first value of each new option."""
    shop = info.context.shop
    row = _product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "user_errors": [error]}
    is_default = [option["name"] for option in row.options] == ["Title"]
    kept = [] if is_default else list(row.options)
    for option in options:
        place = len(kept) + 1
        values = [{"id": n + 1, "name": value["name"]} for n, value in enumerate(option.get("values") or [])]
        kept.append({"id": place, "name": option["name"], "position": place, "values": values})
    row.options = kept
    for variant in row.variants.all():
        chosen = {entry["name"]: entry["value"] for entry in variant.selected_options}
        values = [chosen.get(option["name"]) or option["values"][0]["name"] for option in kept]
        variant.selected_options = accounts.selected([option["name"] for option in kept], values)
        variant.title, variant.updated_at = accounts.variant_title(values), timezone.now()
        variant.save()
    return {"product": _touched(shop, row), "user_errors": []}


@resolver("Mutation", "productVariantsBulkCreate")
def variants_create(source: Any, info: Any, productId: str, variants: Sequence[Json], **_: Any) -> Json:  # noqa: N803
    shop = info.context.shop
    row = _product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "product_variants": None, "user_errors": [error]}
    start = row.variants.count()
    made = []
    for index, given in enumerate(variants):
        values = _option_values(row, given.get("optionValues") or [])
        variant = _new_variant(shop, row, given, values, position=start + index + 1)
        for entry in given.get("inventoryQuantities") or []:
            _set_level(shop, variant.item, entry["locationId"], entry["availableQuantity"])
        made.append(variant)
    product = _touched(shop, row)
    return {"product": product, "product_variants": made, "user_errors": []}


@resolver("Mutation", "productVariantsBulkUpdate")
def variants_update(
    source: Any, info: Any, productId: str, variants: Sequence[Json], allowPartialUpdates: bool = False  # noqa: N803
) -> Json:
    shop = info.context.shop
    row = _product(shop, productId)
    known = {variant.gid: variant for variant in row.variants.all()} if row else {}
    errors = [
        user_error("PRODUCT_VARIANT_DOES_NOT_EXIST", ["variants", str(n), "id"], "Product variant does not exist")
        for n, given in enumerate(variants)
        if given.get("id") not in known
    ]
    for n, given in enumerate(variants):
        if given.get("inventoryQuantities"):
            path = ["variants", str(n), "inventoryQuantities"]
            code = "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
            errors.append(user_error(code, path, "Inventory quantities can only be provided during create."))
    if row is None or errors:
        return {"product": None, "product_variants": None, "user_errors": errors}
    changed = [_change_variant(shop, row, known[given["id"]], given) for given in variants]
    return {"product": _touched(shop, row), "product_variants": changed, "user_errors": []}


@resolver("Mutation", "productVariantsBulkDelete")
def variants_delete(source: Any, info: Any, productId: str, variantsIds: Sequence[str]) -> Json:  # noqa: N803
    shop = info.context.shop
    row = _product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "user_errors": [error]}
    numbers = [parse_gid(gid, "ProductVariant") for gid in variantsIds]
    InventoryItem.objects.filter(variant__product=row, variant__pk__in=numbers).delete()
    return {"product": _touched(shop, row), "user_errors": []}


@resolver("Mutation", "productSet")
def product_set(
    source: Any, info: Any, input: Json, identifier: Json | None = None, synchronous: bool = True  # noqa: A002
) -> Json:
    """List fields are replaced: a variant that is not listed is deleted."""
    shop = info.context.shop
    row = _identified(shop, identifier or {}, input)
    is_new = row is None
    options = input.get("productOptions") or []
    if row is None:
        row = _new_product(shop, input, options)
    else:
        _apply_texts(row, input)
        if options:
            names = [option["name"] for option in options]
            columns = [[value["name"] for value in option.get("values") or []] for option in options]
            row.options = [
                {"id": n + 1, "name": name, "position": n + 1,
                 "values": [{"id": k + 1, "name": value} for k, value in enumerate(columns[n])]}
                for n, name in enumerate(names)
            ]  # fmt: skip
        row.save()
    if input.get("variants") is not None:
        _replace_variants(shop, row, input["variants"])
    elif is_new:
        _new_variant(shop, row, {}, [option["values"][0]["name"] for option in row.options], position=1)
    return {"product": _touched(shop, row, is_new=is_new), "product_set_operation": None, "user_errors": []}


def _identified(shop: Shop, identifier: Json, given: Json) -> Product | None:
    gid = identifier.get("id") or given.get("id")
    if gid:
        return _product(shop, gid)
    handle = identifier.get("handle")
    return Product.objects.filter(shop=shop, handle=handle).first() if handle else None


def _replace_variants(shop: Shop, product: Product, listed: Sequence[Json]) -> None:
    known = {variant.gid: variant for variant in product.variants.select_related("item")}
    by_values = {tuple(entry["value"] for entry in row.selected_options): row for row in known.values()}
    kept = set()
    for position, given in enumerate(listed, start=1):
        values = _option_values(product, given["optionValues"])
        variant = known.get(given.get("id") or "") or by_values.get(tuple(values))
        if variant is None:
            variant = _new_variant(shop, product, given, values, position=position)
        else:
            _change_variant(shop, product, variant, given)
        kept.add(variant.pk)
        if given.get("sku") is not None and given["sku"] != variant.item.sku:
            stock_resolvers.change_item(shop, variant.item, {"sku": given["sku"]})
        for entry in given.get("inventoryQuantities") or []:
            _set_level(shop, variant.item, entry["locationId"], entry["quantity"])
    InventoryItem.objects.filter(variant__product=product).exclude(variant__pk__in=kept).delete()


def _option_values(product: Product, given: Sequence[Json]) -> list[str]:
    """The value of each option, new values added to the product's options."""
    chosen = {entry.get("optionName"): entry.get("name") for entry in given}
    values = []
    for place, option in enumerate(product.options):
        value = chosen.get(option["name"]) or (given[place].get("name") if place < len(given) else None)
        value = value or option["values"][0]["name"]
        if value not in [row["name"] for row in option["values"]]:
            option["values"].append({"id": len(option["values"]) + 1, "name": value})
        values.append(value)
    product.save(update_fields=["options"])
    return values


def _new_variant(shop: Shop, product: Product, given: Json, values: Sequence[str], *, position: int) -> ProductVariant:
    about = given.get("inventoryItem") or {}
    item = InventoryItem.objects.create(
        shop=shop, sku=about.get("sku") or given.get("sku") or "", tracked=about.get("tracked") is not False,
        requires_shipping=about.get("requiresShipping") is not False,
    )  # fmt: skip
    InventoryLevel.objects.bulk_create(
        InventoryLevel(item=item, location=place) for place in shop.locations.filter(is_active=True)
    )
    names = [option["name"] for option in product.options]
    return ProductVariant.objects.create(
        product=product, shop=shop, item=item, position=position, title=accounts.variant_title(values),
        barcode=given.get("barcode") or "", price=Decimal(str(given.get("price") or 0)),
        inventory_policy=given.get("inventoryPolicy") or "DENY", selected_options=accounts.selected(names, values),
    )  # fmt: skip


def _change_variant(shop: Shop, product: Product, variant: ProductVariant, given: Json) -> ProductVariant:
    if given.get("optionValues"):
        values = _option_values(product, given["optionValues"])
        names = [option["name"] for option in product.options]
        variant.selected_options, variant.title = accounts.selected(names, values), accounts.variant_title(values)
    if "barcode" in given:
        variant.barcode = given["barcode"] or ""
    if given.get("price") is not None:
        variant.price = Decimal(str(given["price"]))
    if given.get("inventoryPolicy"):
        variant.inventory_policy = given["inventoryPolicy"]
    if given.get("inventoryItem"):
        stock_resolvers.change_item(shop, variant.item, given["inventoryItem"])
    variant.updated_at = timezone.now()
    variant.save()
    return variant


def _set_level(shop: Shop, item: InventoryItem, location_gid: str, quantity: int) -> None:
    pair = item.pk, parse_gid(location_gid, "Location")
    now = stock.lock_levels([pair])[pair].available
    stock.move(shop=shop, changes=[stock.Move(*pair, "available", quantity - now)], reason="correction")
