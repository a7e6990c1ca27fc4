"""GraphQL over a product's options: new ones, and other names for those there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from channels.sandbox.shopify import accounts, catalog_mutations, catalog_resolvers, catalog_rules
from channels.sandbox.shopify.models import Product
from channels.sandbox.shopify.resolving import resolver, user_error

Json = dict[str, Any]


@resolver("Mutation", "productOptionsCreate")
def options_create(source: Any, info: Any, productId: str, options: Sequence[Json], **_: Any) -> Json:  # noqa: N803
    """LEAVE_AS_IS: every variant takes the first value of each new option."""
    shop = info.context.shop
    row = catalog_mutations.find_product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "user_errors": [error]}
    errors = catalog_rules.option_errors(row, options)
    if errors:
        return {"product": None, "user_errors": errors}
    kept = [] if catalog_rules.is_default(row) else list(row.options)
    for option in options:
        place = len(kept) + 1
        named = [{"id": n + 1, "name": value["name"]} for n, value in enumerate(option["values"])]
        kept.append({"id": place, "name": option["name"], "position": place, "values": named})
    row.options = kept
    for variant in row.variants.all():
        chosen = {entry["name"]: entry["value"] for entry in variant.selected_options}
        values = [str(chosen.get(option["name"]) or option["values"][0]["name"]) for option in kept]
        variant.selected_options = accounts.selected([option["name"] for option in kept], values)
        variant.title, variant.updated_at = accounts.variant_title(values), timezone.now()
        variant.save()
    return {"product": catalog_mutations.touched(shop, row), "user_errors": []}


@resolver("Mutation", "productOptionUpdate")
def option_update(
    source: Any,
    info: Any,
    productId: str,  # noqa: N803
    option: Json,
    optionValuesToUpdate: Sequence[Json] = (),  # noqa: N803
    **_: Any,
) -> Json:
    """Another name for an option or for values of it, at every variant of the product. Adding, deleting and moving
    are not served.

    https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/productOptionUpdate
    """
    shop = info.context.shop
    row = catalog_mutations.find_product(shop, productId)
    if row is None:
        error = user_error("PRODUCT_DOES_NOT_EXIST", ["productId"], "Product does not exist")
        return {"product": None, "user_errors": [error]}
    place = next((n for n, one in enumerate(catalog_resolvers.options(row, None)) if one["id"] == option["id"]), None)
    if place is None:
        error = user_error("OPTION_DOES_NOT_EXIST", ["option"], "Option does not exist")
        return {"product": None, "user_errors": [error]}
    errors = catalog_rules.rename_errors(row, place, option, optionValuesToUpdate)
    if errors:
        return {"product": None, "user_errors": errors}
    _rename(row, place, option, optionValuesToUpdate)
    return {"product": catalog_mutations.touched(shop, row), "user_errors": []}


def _rename(product: Product, place: int, option: Json, values: Sequence[Json]) -> None:
    kept, ids = product.options[place], catalog_resolvers.options(product, None)[place]["option_values"]
    names = {one["id"]: one["name"] for one in values}
    renamed = {given["name"]: names.get(given["id"]) or given["name"] for given in ids}
    kept["name"] = option.get("name") or kept["name"]
    for value in kept["values"]:
        value["name"] = renamed[value["name"]]
    for variant in product.variants.all():
        chosen = variant.selected_options[place]
        chosen["name"], chosen["value"] = kept["name"], renamed.get(chosen["value"], chosen["value"])
        variant.title = accounts.variant_title([one["value"] for one in variant.selected_options])
        variant.updated_at = timezone.now()
        variant.save()
