"""What the vendor refuses of products and variants before anything is written. Codes as in Admin 2026-10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.sandbox.shopify.models import Location, Product, ProductVariant, Shop
from channels.sandbox.shopify.resolving import parse_gid, user_error

Json = dict[str, Any]
OPTIONS_MAX, VARIANTS_MAX, QUANTITIES_MAX, TEXT_MAX = 3, 2048, 50_000, 255


def is_default(product: Product) -> bool:
    """Whether it has no options of its own, only what stands for none."""
    return [option["name"] for option in product.options] == ["Title"]


def chosen_values(product: Product, given: Sequence[Json], ids: Mapping[str, str]) -> dict[str, str]:
    """Option name → value of a variant's input; options and values may be named or given by id."""
    chosen = {}
    for place, entry in enumerate(given):
        option = entry.get("optionName") or ids.get(entry.get("optionId") or "")
        if option is None and place < len(product.options):
            option = product.options[place]["name"]
        chosen[option or ""] = entry.get("name") or ids.get(entry.get("id") or "") or ""
    return chosen


def variant_errors(shop: Shop, given: Sequence[Json], path: Sequence[str], *, amount: str) -> list[Json]:
    """Prices, and amounts at places that are not of this shop. `amount`: the name of the input's quantity."""
    errors = []
    places = {place.gid for place in Location.objects.filter(shop=shop)}
    for index, entry in enumerate(given):
        here = [*path, str(index)]
        if entry.get("price") is not None and not _is_price(entry["price"]):
            errors.append(user_error("INVALID_INPUT", [*here, "price"], "Price must be a number of at least 0."))
        for number, row in enumerate(entry.get("inventoryQuantities") or []):
            inner = [*here, "inventoryQuantities", str(number)]
            if row["locationId"] not in places:
                parse_gid(row["locationId"], "Location")
                code = "TRACKED_VARIANT_LOCATION_NOT_FOUND" if amount == "availableQuantity" else "INVALID_INPUT"
                errors.append(user_error(code, [*inner, "locationId"], "The location could not be found."))
            if abs(row[amount]) > 1_000_000_000:
                errors.append(user_error("INVALID_INPUT", [*inner, amount], "The quantity is out of bounds."))
    total = sum(len(entry.get("inventoryQuantities") or []) for entry in given)
    if total > QUANTITIES_MAX:
        message = f"At most {QUANTITIES_MAX} inventory quantities at once."
        errors.append(user_error("INVENTORY_QUANTITIES_LIMIT_EXCEEDED", list(path), message))
    return errors


def _is_price(value: Any) -> bool:
    try:
        return Decimal(str(value)).is_finite() and 0 <= Decimal(str(value)) < 10**10
    except InvalidOperation:
        return False


def create_errors(product: Product, chosen: Sequence[Mapping[str, str]], taken: Sequence[ProductVariant]) -> list[Json]:
    """Every option has a value, none is unknown, and no two variants are the same."""
    errors = []
    names = [option["name"] for option in product.options]
    seen = {tuple(entry["value"] for entry in variant.selected_options) for variant in taken}
    if len(taken) + len(chosen) > VARIANTS_MAX:
        return [user_error("INVALID_INPUT", ["variants"], f"A product can have at most {VARIANTS_MAX} variants.")]
    for index, values in enumerate(chosen):
        path = ["variants", str(index)]
        unknown = [name for name in values if name not in names]
        if unknown and not is_default(product):
            message = f"Option does not exist: {unknown[0]}"
            errors.append(user_error("INVALID_INPUT", [*path, "optionValues"], message))
            continue
        if any(not values.get(name) for name in names) and not is_default(product):
            message = "You need to add option values for " + ", ".join(n for n in names if not values.get(n))
            errors.append(user_error("NEED_TO_ADD_OPTION_VALUES", path, message))
            continue
        key = tuple(values.get(name, "Default Title") for name in names)
        if key in seen:
            message = f"The variant '{' / '.join(key)}' already exists."
            errors.append(user_error("VARIANT_ALREADY_EXISTS", path, message))
        seen.add(key)
    return errors


def update_errors(
    product: Product, given: Sequence[Json], known: Mapping[str, ProductVariant], ids: Mapping[str, str]
) -> list[Json]:
    """Of changes to variants there are: texts too long, options the product has not, two variants made the same.

    Whether two are the same is judged as all will stand in the end, so that two may change places.
    """
    errors = []
    names = [option["name"] for option in product.options]
    will = {gid: {one["name"]: one["value"] for one in row.selected_options} for gid, row in known.items()}
    for index, entry in enumerate(given):
        path = ["variants", str(index)]
        for field, text in (("barcode", entry.get("barcode")), ("sku", (entry.get("inventoryItem") or {}).get("sku"))):
            if len(text or "") > TEXT_MAX:
                errors.append(user_error("TOO_LONG", [*path, field], f"{field} is too long (maximum is {TEXT_MAX})"))
        chosen = chosen_values(product, entry.get("optionValues") or [], ids)
        if unknown := [name for name in chosen if name not in names]:
            errors.append(user_error("OPTION_DOES_NOT_EXIST", [*path, "optionValues"], f"No option {unknown[0]}"))
        elif any(len(value) > TEXT_MAX for value in chosen.values()):
            errors.append(user_error("OPTION_VALUE_NAME_TOO_LONG", [*path, "optionValues"], "Option value is too long"))
        elif entry.get("id") in will:
            will[entry["id"]] |= chosen
    changed = {entry.get("id"): index for index, entry in enumerate(given) if entry.get("optionValues")}
    taken = {tuple(values.values()) for gid, values in will.items() if gid not in changed}
    for gid, index in changed.items():
        key = tuple(will[gid].values()) if gid in will else ()
        if key in taken:
            message = f"The variant '{' / '.join(key)}' already exists."
            errors.append(user_error("VARIANT_ALREADY_EXISTS", ["variants", str(index)], message))
        taken.add(key)
    return errors


def rename_errors(product: Product, place: int, option: Json, values: Sequence[Json]) -> list[Json]:
    """Of other names for an option or its values: empty, too long, another's."""
    errors = []
    name = option.get("name")
    others = [one["name"] for n, one in enumerate(product.options) if n != place]
    if name is not None and not name.strip():
        errors.append(user_error("INVALID_NAME", ["option", "name"], "The name of the option is missing."))
    elif len(name or "") > TEXT_MAX:
        errors.append(user_error("OPTION_NAME_TOO_LONG", ["option", "name"], "The name of the option is too long."))
    elif name in others:
        errors.append(user_error("OPTION_ALREADY_EXISTS", ["option", "name"], f"Option '{name}' already exists."))
    taken = {value["name"] for value in product.options[place]["values"]}
    for index, value in enumerate(values):
        if value.get("name") in taken:
            path = ["optionValuesToUpdate", str(index), "name"]
            errors.append(user_error("OPTION_VALUE_ALREADY_EXISTS", path, f"Value '{value['name']}' already exists."))
    return errors


def option_errors(product: Product, options: Sequence[Json]) -> list[Json]:
    """New options: named, new, with values, three at most."""
    errors = []
    kept = [] if is_default(product) else [option["name"] for option in product.options]
    if len(kept) + len(options) > OPTIONS_MAX:
        return [user_error("OPTIONS_OVER_LIMIT", ["options"], f"Can only specify a maximum of {OPTIONS_MAX} options")]
    for index, option in enumerate(options):
        path = ["options", str(index)]
        values = [value.get("name") for value in option.get("values") or []]
        if not option.get("name"):
            errors.append(user_error("OPTION_NAME_MISSING", [*path, "name"], "The name of the option is missing."))
        elif option["name"] in kept:
            errors.append(user_error("OPTION_ALREADY_EXISTS", path, f"Option '{option['name']}' already exists."))
        if not values:
            code = "NEW_OPTION_WITHOUT_VALUE_FOR_EXISTING_VARIANTS"
            errors.append(user_error(code, path, "A new option needs a value for the variants there are."))
        elif len(set(values)) < len(values):
            errors.append(user_error("DUPLICATED_OPTION_VALUE", path, "Duplicated option value."))
        kept.append(option.get("name") or "")
    return errors


def set_errors(shop: Shop, product: Product | None, given: Json) -> list[Json]:
    """Of a productSet: options and variants come together, every variant listed is the product's own."""
    errors = []
    options, variants = given.get("productOptions"), given.get("variants")
    if product is None and not (given.get("title") or "").strip():
        errors.append(user_error("INVALID_INPUT", ["input", "title"], "Title can't be blank"))
    if variants is not None and len(variants) > VARIANTS_MAX:
        message = f"A product can have at most {VARIANTS_MAX} variants."
        errors.append(user_error("VARIANTS_OVER_LIMIT", ["input", "variants"], message))
    if variants is not None and not options:
        message = "Product options must be given with variants."
        errors.append(user_error("PRODUCT_OPTIONS_INPUT_MISSING", ["input", "productOptions"], message))
    if options and variants is None and product is not None:
        message = "Variants must be given with product options."
        errors.append(user_error("VARIANTS_INPUT_MISSING", ["input", "variants"], message))
    if options and len(options) > OPTIONS_MAX:
        errors.append(user_error("OPTIONS_OVER_LIMIT", ["input", "productOptions"], "Too many options."))
    for index, option in enumerate(options or []):
        if not option.get("values"):
            path = ["input", "productOptions", str(index)]
            errors.append(user_error("OPTION_VALUES_MISSING", path, "Option values are missing."))
    known = set(product.variants.values_list("pk", flat=True)) if product else set()
    seen = set()
    for index, entry in enumerate(variants or []):
        path = ["input", "variants", str(index)]
        if entry.get("id") and parse_gid(entry["id"], "ProductVariant") not in known:
            message = "Product variant does not exist"
            errors.append(user_error("PRODUCT_VARIANT_DOES_NOT_EXIST", [*path, "id"], message))
        key = tuple(sorted((value.get("optionName") or "", value.get("name") or "") for value in entry["optionValues"]))
        if key in seen:
            errors.append(user_error("INVALID_VARIANT", path, "Two variants have the same option values."))
        seen.add(key)
    handle = given.get("handle")
    others = Product.objects.filter(shop=shop, handle=handle).exclude(pk=product.pk if product else 0)
    if handle and others.exists():
        errors.append(user_error("HANDLE_NOT_UNIQUE", ["input", "handle"], "Handle is already in use."))
    return errors + variant_errors(shop, variants or [], ["input", "variants"], amount="quantity")
