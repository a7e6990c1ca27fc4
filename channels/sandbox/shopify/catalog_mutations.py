"""GraphQL over products and variants: writing, with the webhooks a change owes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.text import slugify

from channels.sandbox.shopify import (
    accounts,
    catalog_payloads,
    catalog_resolvers,
    catalog_rules,
    stock,
    stock_resolvers,
    webhooks,
)
from channels.sandbox.shopify.models import (
    InventoryItem,
    InventoryLevel,
    Product,
    ProductSetOperation,
    ProductVariant,
    Shop,
)
from channels.sandbox.shopify.resolving import parse_gid, resolver, user_error

Json = dict[str, Any]
TEXTS = (
    ("title", "title"),
    ("handle", "handle"),
    ("status", "status"),
    ("vendor", "vendor"),
    ("productType", "product_type"),
)


def find_product(shop: Shop, gid: str | None) -> Product | None:
    return catalog_resolvers.products(shop).filter(pk=parse_gid(gid, "Product")).first() if gid else None


def touched(shop: Shop, product: Product, *, is_new: bool = False) -> Product:
    """Mark as changed, owe the webhook, read again in full."""
    product.updated_at = timezone.now()
    product.save()
    topic = "PRODUCTS_CREATE" if is_new else "PRODUCTS_UPDATE"
    catalog_payloads.emit_product(shop=shop, product=product, topic=topic)
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
    product.options = _options(options) if options else accounts.option_rows([], [])
    for option in product.options:
        option["values"] = option["values"] or [{"id": 1, "name": "Default"}]
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
    return {"product": touched(shop, row, is_new=True), "user_errors": []}


@resolver("Mutation", "productUpdate")
def product_update(source: Any, info: Any, product: Json) -> Json:
    shop = info.context.shop
    row = find_product(shop, product.get("id"))
    if row is None:
        return {"product": None, "user_errors": [user_error(None, ["id"], "Product does not exist")]}
    handle = product.get("handle")
    if handle and Product.objects.filter(shop=shop, handle=handle).exclude(pk=row.pk).exists():
        error = user_error(None, ["handle"], f"Handle '{handle}' already in use. Please provide a new handle.")
        return {"product": None, "user_errors": [error]}
    _apply_texts(row, product)
    return {"product": touched(shop, row), "user_errors": []}


@resolver("Mutation", "productDelete")
def product_delete(source: Any, info: Any, input: Json, synchronous: bool = True) -> Json:  # noqa: A002
    shop = info.context.shop
    row = find_product(shop, input["id"])
    if row is None:
        return {"deleted_product_id": None, "user_errors": [user_error(None, ["id"], "Product does not exist")]}
    gid, number = row.gid, row.pk
    _delete_items(shop, InventoryItem.objects.filter(variant__product=row))
    row.delete()
    webhooks.emit(shop=shop, topic="PRODUCTS_DELETE", payload={"id": number})
    return {"deleted_product_id": gid, "user_errors": []}


@resolver("Mutation", "productVariantsBulkCreate")
def variants_create(
    source: Any, info: Any, productId: str, variants: Sequence[Json], strategy: str = "DEFAULT"  # noqa: N803
) -> Json:  # fmt: skip
    """All or none. A product that had no options loses the variant that stood for none, unless told to keep it."""
    shop = info.context.shop
    row = find_product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "product_variants": None, "user_errors": [error]}
    there = list(row.variants.all())
    ids = _names_by_id(row)
    chosen = [catalog_rules.chosen_values(row, given.get("optionValues") or [], ids) for given in variants]
    errors = catalog_rules.variant_errors(shop, variants, ["variants"], amount="availableQuantity")
    errors += catalog_rules.create_errors(row, chosen, there)
    if errors:
        return {"product": None, "product_variants": None, "user_errors": errors}
    replaced = [
        one for one in there if strategy == "REMOVE_STANDALONE_VARIANT" or (strategy == "DEFAULT" and _is_unused(one))
    ]
    if len(there) == 1 and replaced and variants:
        _delete_items(shop, InventoryItem.objects.filter(variant__in=replaced))
        there = []
    made = []
    for index, (given, values) in enumerate(zip(variants, chosen, strict=True)):
        variant = _new_variant(shop, row, given, _values(row, values), position=len(there) + index + 1)
        _set_levels(shop, variant.item, given, "availableQuantity")
        made.append(variant)
    return _changed(shop, row, made)


def _is_unused(variant: ProductVariant) -> bool:
    """The variant that a product without options has: no code, no price."""
    return variant.title == "Default Title" and not variant.item.sku and not variant.barcode and not variant.price


@resolver("Mutation", "productVariantsBulkUpdate")
def variants_update(
    source: Any, info: Any, productId: str, variants: Sequence[Json], allowPartialUpdates: bool = False  # noqa: N803
) -> Json:  # fmt: skip
    """All or none, unless partial updates are allowed: then those without an error are changed."""
    shop = info.context.shop
    row = find_product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "product_variants": None, "user_errors": [error]}
    known = {variant.gid: variant for variant in row.variants.select_related("item").order_by("position", "pk")}
    errors = catalog_rules.update_errors(row, variants, known, _names_by_id(row))
    errors += catalog_rules.variant_errors(
        shop, [given | {"inventoryQuantities": []} for given in variants], ["variants"], amount="availableQuantity"
    )
    for n, given in enumerate(variants):
        path = ["variants", str(n)]
        if not given.get("id"):
            errors.append(user_error("PRODUCT_VARIANT_ID_MISSING", path, "Product variant is missing ID attribute"))
        elif given["id"] not in known:
            message = "Product variant does not exist"
            errors.append(user_error("PRODUCT_VARIANT_DOES_NOT_EXIST", [*path, "id"], message))
        if given.get("inventoryQuantities"):
            code = "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
            message = "Inventory quantities can only be provided during create."
            errors.append(user_error(code, [*path, "inventoryQuantities"], message))
    if errors and not allowPartialUpdates:
        return {"product": None, "product_variants": None, "user_errors": errors}
    wrong = {error["field"][1] for error in errors}
    right = [given for n, given in enumerate(variants) if str(n) not in wrong]
    return _changed(shop, row, [_change_variant(shop, row, known[given["id"]], given) for given in right], errors)


def _changed(shop: Shop, product: Product, rows: Sequence[ProductVariant], errors: Sequence[Json] = ()) -> Json:
    """The payload of a change of variants: the product and they, read again in full."""
    read = touched(shop, product)
    fresh = catalog_resolvers.variants(shop).in_bulk([row.pk for row in rows])
    return {"product": read, "product_variants": [fresh[row.pk] for row in rows], "user_errors": list(errors)}


@resolver("Mutation", "productVariantsBulkDelete")
def variants_delete(source: Any, info: Any, productId: str, variantsIds: Sequence[str]) -> Json:  # noqa: N803
    shop = info.context.shop
    row = find_product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "user_errors": [error]}
    numbers = [parse_gid(gid, "ProductVariant") for gid in variantsIds]
    there = set(row.variants.filter(pk__in=numbers).values_list("pk", flat=True))
    errors = [
        user_error("PRODUCT_VARIANT_DOES_NOT_EXIST", ["variantsIds", str(n)], "Product variant does not exist")
        for n, number in enumerate(numbers)
        if number not in there
    ]
    if errors:
        return {"product": None, "user_errors": errors}
    _delete_items(shop, InventoryItem.objects.filter(variant__pk__in=there))
    return {"product": touched(shop, row), "user_errors": []}


@resolver("Mutation", "productSet")
def product_set(
    source: Any, info: Any, input: Json, identifier: Json | None = None, synchronous: bool = True  # noqa: A002
) -> Json:  # fmt: skip
    """List fields are replaced: a variant that is not listed is deleted. Not synchronous: an operation to poll."""
    shop = info.context.shop
    gid = (identifier or {}).get("id") or input.get("id")
    row = _identified(shop, identifier or {}, input)
    errors = catalog_rules.set_errors(shop, row, input)
    if gid and row is None:
        errors = [user_error("PRODUCT_DOES_NOT_EXIST", ["input", "id"], "Product does not exist")]
    product = None if errors else _set_product(shop, row, input)
    if synchronous:
        return {"product": product, "product_set_operation": None, "user_errors": errors}
    operation = ProductSetOperation.objects.create(shop=shop, product=product, user_errors=errors)
    told: Json = {"id": operation.gid, "status": "CREATED", "product": None, "product_id": None, "user_errors": []}
    return {"product": None, "product_set_operation": told, "user_errors": []}


def _set_product(shop: Shop, row: Product | None, given: Json) -> Product:
    is_new = row is None
    options = given.get("productOptions") or []
    if row is None:
        row = _new_product(shop, given, options)
    else:
        _apply_texts(row, given)
        if options:
            row.options = _options(options)
        row.save()
    if given.get("variants") is not None:
        _replace_variants(shop, row, given["variants"])
    elif is_new:
        _new_variant(shop, row, {}, [option["values"][0]["name"] for option in row.options], position=1)
    return touched(shop, row, is_new=is_new)


def _options(given: Sequence[Json]) -> list[Json]:
    """Options as kept, in the order given."""
    return [
        {
            "id": place + 1,
            "name": option["name"],
            "position": place + 1,
            "values": [{"id": n + 1, "name": value["name"]} for n, value in enumerate(option.get("values") or [])],
        }
        for place, option in enumerate(given)
    ]


def _identified(shop: Shop, identifier: Json, given: Json) -> Product | None:
    gid = identifier.get("id") or given.get("id")
    if gid:
        return find_product(shop, gid)
    handle = identifier.get("handle")
    return Product.objects.filter(shop=shop, handle=handle).first() if handle else None


def _replace_variants(shop: Shop, product: Product, listed: Sequence[Json]) -> None:
    known = {variant.gid: variant for variant in product.variants.select_related("item")}
    by_values = {tuple(entry["value"] for entry in row.selected_options): row for row in known.values()}
    named = {row.pk for row in known.values() if any(given.get("id") == row.gid for given in listed)}
    ids, kept = _names_by_id(product), set()
    for position, given in enumerate(listed, start=1):
        values = _values(product, catalog_rules.chosen_values(product, given["optionValues"], ids))
        same = by_values.get(tuple(values))
        variant = known.get(given.get("id") or "") or (same if same and same.pk not in named else None)
        if variant is None:
            variant = _new_variant(shop, product, given, values, position=position)
        else:
            variant.position = position
            _change_variant(shop, product, variant, given)
            if given.get("sku") is not None and given["sku"] != variant.item.sku:
                stock_resolvers.change_item(shop, variant.item, {"sku": given["sku"]})
        kept.add(variant.pk)
        _set_levels(shop, variant.item, given, "quantity")
    _delete_items(shop, InventoryItem.objects.filter(variant__product=product).exclude(variant__pk__in=kept))


def _delete_items(shop: Shop, items: QuerySet[InventoryItem]) -> None:
    """Items with their variants and levels; owes inventory_items/delete of each."""
    for item in list(items.order_by("pk")):
        stock_resolvers.emit_item(shop=shop, item=item, topic="INVENTORY_ITEMS_DELETE")
        item.delete()


def _names_by_id(product: Product) -> dict[str, str]:
    """Global id of an option or of a value → its name."""
    names = {}
    for option in catalog_resolvers.options(product, None):
        names[option["id"]] = option["name"]
        names |= {value["id"]: value["name"] for value in option["option_values"]}
    return names


def _values(product: Product, chosen: Mapping[str, str]) -> list[str]:
    """The value of each option, in order; new values are added to the product's options."""
    values = []
    for option in product.options:
        value = chosen.get(option["name"]) or option["values"][0]["name"]
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
    stock_resolvers.emit_item(shop=shop, item=item, topic="INVENTORY_ITEMS_CREATE")
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
        kept = {entry["name"]: entry["value"] for entry in variant.selected_options}
        chosen = catalog_rules.chosen_values(product, given["optionValues"], _names_by_id(product))
        values = _values(product, kept | chosen)
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


def _set_levels(shop: Shop, item: InventoryItem, given: Json, amount: str) -> None:
    """Write the amounts of a variant's input, at places that thereby stock it."""
    for entry in given.get("inventoryQuantities") or []:
        pair = item.pk, parse_gid(entry["locationId"], "Location")
        name = entry.get("name") or "available"
        level = stock.lock_levels([pair])[pair]
        if not level.is_active:
            InventoryLevel.objects.filter(pk=level.pk).update(is_active=True)
        delta = entry[amount] - getattr(level, name)
        stock.move(shop=shop, changes=[stock.Move(*pair, "available", delta)], reason="correction")
