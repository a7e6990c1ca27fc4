"""Products and variations, one by one and in batches."""

from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

from channels.sandbox.woocommerce import batching, errors, events, listing, printing, product_rules
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.http import Answer, Call, endpoint
from channels.sandbox.woocommerce.models import Product
from channels.sandbox.woocommerce.values import Json

Type = Product.Type


def _products(call: Call) -> "QuerySet[Product]":
    return Product.objects.filter(site=call.site).exclude(type=Type.VARIATION)


def _variations(call: Call, product_id: int) -> "QuerySet[Product]":
    return Product.objects.filter(site=call.site, parent=product_id, type=Type.VARIATION).select_related("parent")


def _any(call: Call, product_id: int) -> Product:
    """A product, or a variation by its own number: reading one so is possible, changing it is not."""
    row = Product.objects.filter(site=call.site, pk=product_id).select_related("parent").first()
    if row is None:
        raise errors.unknown("product")
    return row


def _to_change(call: Call, number: Any) -> Product:
    row = Product.objects.filter(site=call.site, pk=errors.number_of(number)).select_for_update().first()
    if row is None:
        raise errors.unknown("product", status=400)
    if row.type == Type.VARIATION:
        words = "To manipulate product variations you should use the /products/<product_id>/variations/<id> endpoint."
        raise WooError("woocommerce_rest_invalid_product_id", words, status=404)
    return row


def _variation_to_change(call: Call, product_id: int, number: Any) -> Product:
    rows = _variations(call, product_id).filter(pk=errors.number_of(number))
    row = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise errors.unknown("product_variation", status=400)
    return row


@endpoint("products.list")
def list_products(*, call: Call) -> Answer:
    query = call.query
    rows = listing.filtered(_products(call), query)
    status = query.get("status", "any")
    rows = rows.exclude(status="trash") if status == "any" else rows.filter(status=status)
    if query.get("type"):
        rows = rows.filter(type=query["type"])
    if sku := query.get("sku"):
        # With a SKU asked for, variations are found too.
        rows = listing.filtered(Product.objects.filter(site=call.site, sku__in=sku.split(",")), query)
    if query.get("search"):
        rows = rows.filter(name__icontains=query["search"])
    if query.get("stock_status"):
        rows = rows.filter(stock_status=query["stock_status"])
    return listing.page(call, listing.ordered(rows.select_related("parent"), query), printing.product)


@endpoint("products.retrieve")
def retrieve(*, call: Call, product_id: int) -> Json:
    return printing.product(_any(call, product_id))


def _create(call: Call, given: Json) -> Json:
    type_ = given.get("type", Type.SIMPLE)
    if type_ not in (Type.SIMPLE, Type.VARIABLE, Type.GROUPED, Type.EXTERNAL):
        raise errors.invalid_param("type", "type is not one of simple, grouped, external, and variable.")
    row = Product(site=call.site, type=type_, slug=slugify(str(given.get("name", "product")))[:200])
    product_rules.fill(row, given)
    product_rules.save(row, is_new=True)
    return printing.product(row)


def _update(call: Call, given: Json) -> Json:
    row = _to_change(call, given.get("id"))
    product_rules.fill(row, given)
    product_rules.save(row)
    return printing.product(row)


def _delete(call: Call, given: Json, *, is_forced: bool) -> Json:
    row = _to_change(call, given.get("id"))
    shown = printing.product(row)
    events.note("product.deleted", row.pk)
    if is_forced:
        row.delete()
    else:
        Product.objects.filter(pk=row.pk).update(status="trash")
        row.variations.update(status="trash")
    return shown


@endpoint("products.create")
def create(*, call: Call) -> Answer:
    return Answer(_create(call, call.body), status=201)


@endpoint("products.update")
def update(*, call: Call, product_id: int) -> Json:
    return _update(call, {**call.body, "id": product_id})


@endpoint("products.delete")
def delete(*, call: Call, product_id: int) -> Json:
    return _delete(call, {"id": product_id}, is_forced=call.query.get("force") == "true")


@endpoint("products.batch")
def batch(*, call: Call) -> Any:
    return batching.run(
        call.body,
        operation="products.batch",
        create=lambda given: _create(call, given),
        update=lambda given: _update(call, given),
        delete=lambda given: _delete(call, given, is_forced=True),
    )


@endpoint("variations.list")
def list_variations(*, call: Call, product_id: int) -> Answer:
    _any(call, product_id)
    rows = listing.filtered(_variations(call, product_id).exclude(status="trash"), call.query)
    if sku := call.query.get("sku"):
        rows = rows.filter(sku__in=sku.split(","))
    return listing.page(call, listing.ordered(rows, call.query), printing.variation)


@endpoint("variations.retrieve")
def retrieve_variation(*, call: Call, product_id: int, variation_id: int) -> Json:
    row = _variations(call, product_id).filter(pk=variation_id).first()
    if row is None:
        raise errors.unknown("product_variation")
    return printing.variation(row)


def _create_variation(call: Call, product_id: int, given: Json) -> Json:
    parent = _to_change(call, product_id)
    row = Product(site=call.site, parent=parent, type=Type.VARIATION, slug=f"{parent.slug}-variation"[:200])
    product_rules.fill(row, given)
    product_rules.save(row, is_new=True)
    return printing.variation(row)


def _update_variation(call: Call, product_id: int, given: Json) -> Json:
    row = _variation_to_change(call, product_id, given.get("id"))
    product_rules.fill(row, given)
    product_rules.save(row)
    return printing.variation(row)


def _delete_variation(call: Call, product_id: int, given: Json) -> Json:
    row = _variation_to_change(call, product_id, given.get("id"))
    shown = printing.variation(row)
    events.note("product.deleted", row.pk)
    product_rules.touch_parent(product_id)
    row.delete()
    return shown


@endpoint("variations.create")
def create_variation(*, call: Call, product_id: int) -> Answer:
    return Answer(_create_variation(call, product_id, call.body), status=201)


@endpoint("variations.update")
def update_variation(*, call: Call, product_id: int, variation_id: int) -> Json:
    return _update_variation(call, product_id, {**call.body, "id": variation_id})


@endpoint("variations.delete")
def delete_variation(*, call: Call, product_id: int, variation_id: int) -> Json:
    return _delete_variation(call, product_id, {"id": variation_id})


@endpoint("variations.batch")
def batch_variations(*, call: Call, product_id: int) -> Any:
    return batching.run(
        call.body,
        operation="variations.batch",
        create=lambda given: _create_variation(call, product_id, given),
        update=lambda given: _update_variation(call, product_id, given),
        delete=lambda given: _delete_variation(call, product_id, given),
    )
