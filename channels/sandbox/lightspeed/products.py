"""Products: one record a variant, fields of the family in `common`, of the one in `details`."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from channels.sandbox import faults
from channels.sandbox.lightspeed import events, stock
from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, fields, find, items, page
from channels.sandbox.lightspeed.models import Outlet, Product, Retailer, VariantAttribute
from channels.sandbox.lightspeed.values import Json, locked, next_version, read_number, read_uuid, stamp

CODE_TYPES = ("CUSTOM", "EAN", "ISBN", "ITF", "JAN", "UPC")
CODE_LENGTH_MAX = 255
PAGE_MAX = 10_000


def print_product(product: Product) -> Json:
    """A product as the feed tells it; types of codes are written small, as in the vendor's examples."""
    values = [option["value"] for option in product.variant_options]
    return {
        "id": str(product.pk),
        "family_id": str(product.family_id),
        "handle": product.handle,
        "sku": product.sku,
        "name": product.name,
        "variant_name": " / ".join([product.name, *values]),
        "active": product.is_active,
        "is_active": product.is_active,
        "has_inventory": product.has_inventory,
        "has_variants": bool(product.variant_options) and product.variant_parent_id is None,
        "is_composite": bool(product.composite_bom),
        "composite_bom": product.composite_bom,
        "variant_parent_id": str(product.variant_parent_id) if product.variant_parent_id else None,
        "variant_count": None,
        "variant_options": product.variant_options,
        "product_codes": [{**code, "type": code["type"].lower()} for code in product.product_codes],
        "price_including_tax": float(product.price),
        "price_excluding_tax": float(product.price),
        "supply_price": float(product.supply_price),
        "brand_id": None,
        "product_type_id": None,
        "product_category": {"name": product.category} if product.category else None,
        "tag_ids": product.tag_ids,
        "categories": [],
        "images": [],
        "skuImages": [],
        "attributes": [],
        "product_suppliers": [],
        "packaging": {},
        "customizations": [],
        "source": product.source,
        "source_id": product.source_id or None,
        "source_variant_id": product.source_variant_id or None,
        "description": product.description,
        "created_at": stamp(product.created_at),
        "updated_at": stamp(product.updated_at),
        "deleted_at": stamp(product.deleted_at),
        "version": product.version,
    }


@endpoint(operation="products.list", scope="products:read")
def list_products(*, call: Call) -> Json:
    """A feed; `sku` and `name` ignore everything else that was asked."""
    for field in ("sku", "name"):
        if field in call.query:
            rows = Product.objects.filter(retailer=call.retailer, deleted_at=None, **{field: call.query[field]})
            found = [print_product(row) for row in rows.order_by("version")]
            return {"data": found, "version": {"min": None, "max": None}}
    return page(call, Product.objects.all(), print_product, size_max=PAGE_MAX)


@endpoint(operation="products.get", scope="products:read")
def get(*, call: Call, product_id: str) -> Json:
    """One, also a deleted one."""
    return {"data": print_product(find(call, Product, product_id))}


@endpoint(operation="products.create", scope="products:write")
def create(*, call: Call) -> Json:
    """A product, or a family where `variants` are given; ids back."""
    body = fields(call.body, what="the body")
    if not body.get("name"):
        raise LightspeedError(422, "name is needed.")
    retailer = locked(call.retailer)
    entries = items(body.get("variants") or [body], what="variants")
    if "variants" in body and not all(entry.get("variant_definitions") for entry in entries):
        raise LightspeedError(422, "Each variant needs variant_definitions.")
    made: list[Product] = []
    for entry in entries:
        made.append(_create(retailer, body, entry, family=made[0] if made else None, now=call.now))
    return {"data": [str(product.pk) for product in made]}


def _create(retailer: Retailer, body: Json, entry: Json, *, family: Product | None, now: datetime) -> Product:
    pk = uuid.uuid4()
    product = Product(
        id=pk, retailer=retailer, family_id=family.family_id if family else uuid.uuid4(),
        variant_parent_id=family.pk if family else None, handle=str(body.get("handle") or pk), name=str(body["name"]),
        description=str(body.get("description") or ""), tag_ids=body.get("tag_ids") or [],
        is_active=body.get("is_active", True), source=str(body.get("source") or "USER"),
        source_id=str(body.get("source_id") or ""), source_variant_id=str(body.get("source_variant_id") or ""),
        created_at=now, updated_at=now, version=0,
    )  # fmt: skip
    codes = items(entry.get("product_codes") or [], what="product_codes")
    if entry.get("sku") and not any(_type(code) == "CUSTOM" for code in codes):
        codes = [{"type": "CUSTOM", "code": entry["sku"]}, *codes]
    _set_codes(product, codes, sku_too=True)
    _set_price(product, {**body, **entry})
    product.variant_options = [_option(retailer, one) for one in entry.get("variant_definitions") or []]
    _save(retailer, product, now=now)
    for level in items(entry.get("inventory") or [], what="inventory"):
        _set_level(retailer, product, level, now=now)
    return product


def _option(retailer: Retailer, definition: Json) -> Json:
    asked = read_uuid(definition.get("attribute_id"), field="attribute_id")
    attribute = VariantAttribute.objects.filter(retailer=retailer, pk=asked).first()
    if attribute is None or not definition.get("value"):
        raise LightspeedError(422, "A variant definition needs an attribute_id and a value.")
    return {"id": str(attribute.pk), "name": attribute.name, "value": str(definition["value"])}


@endpoint(operation="products.update", scope="products:write")
def update(*, call: Call, product_id: str) -> Json:
    """`common` for every member of the family, `details` for this one. Lists are replaced whole."""
    retailer = locked(call.retailer)
    product: Product = find(call, Product, product_id)
    if product.deleted_at is not None:
        raise LightspeedError(404, f"There is no product {product_id}.")
    body = fields(call.body, what="the body")
    details = fields(body.get("details") or {}, what="details")
    _set_details(product, details)
    _save(retailer, product, now=call.now)
    for level in items(details.get("inventory") or [], what="details.inventory"):
        _set_level(retailer, product, level, now=call.now)
    if body.get("common"):
        _set_common(retailer, product, fields(body["common"], what="common"), now=call.now)
    product.refresh_from_db()
    return {"data": print_product(product)}


def _set_details(product: Product, details: Json) -> None:
    if "is_active" in details:
        product.is_active = bool(details["is_active"])
    if "product_codes" in details:
        codes = items(details["product_codes"], what="product_codes")
        _set_codes(product, codes, sku_too=bool(faults.switch("lightspeed.sku_is_custom_code", True)))
    _set_price(product, details)
    if "composite_components" in details:
        parts = items(details["composite_components"], what="composite_components")
        product.composite_bom = {str(part.get("product_id")): part.get("quantity") for part in parts}
    for wanted in items(details.get("variant_attribute_values") or [], what="variant_attribute_values"):
        known = {option["id"]: option for option in product.variant_options}
        if wanted.get("attribute_id") not in known or not str(wanted.get("attribute_value") or "").strip():
            raise LightspeedError(422, "variant_attribute_values names an attribute the product does not have.")
        known[wanted["attribute_id"]]["value"] = str(wanted["attribute_value"])


def _set_common(retailer: Retailer, product: Product, common: Json, *, now: datetime) -> None:
    for member in Product.objects.filter(retailer=retailer, family_id=product.family_id, deleted_at=None):
        member.name = str(common.get("name", member.name))
        member.description = str(common.get("description", member.description))
        member.has_inventory = bool(common.get("track_inventory", member.has_inventory))
        member.tag_ids = common.get("tag_ids", member.tag_ids)
        _save(retailer, member, now=now)


def _type(code: Json) -> str:
    return str(code.get("type") or "CUSTOM").upper()


def _set_codes(product: Product, codes: list[Json], *, sku_too: bool) -> None:
    """Replace all codes; one that stays keeps its id. The first CUSTOM one is the SKU."""
    for code in codes:
        text = str(code.get("code") or "").strip()
        if not text or len(text) > CODE_LENGTH_MAX or _type(code) not in CODE_TYPES:
            raise LightspeedError(422, f"{text[:40]!r} is not a product code.")
    product.product_codes = [
        {
            "id": str(uuid.uuid5(product.pk, f"{_type(code)}/{code['code']}")), "type": _type(code),
            "code": str(code["code"]).strip(),
        }
        for code in codes
    ]  # fmt: skip
    if sku_too:
        custom = [code["code"] for code in product.product_codes if code["type"] == "CUSTOM"]
        product.sku = custom[0] if custom else ""


def _set_price(product: Product, given: Json) -> None:
    for name in ("price_including_tax", "price_excluding_tax"):
        if given.get(name) is not None:
            product.price = read_number(given[name], field=name)
            return


def _set_level(retailer: Retailer, product: Product, given: Json, *, now: datetime) -> None:
    asked = read_uuid(given.get("outlet_id"), field="outlet_id")
    outlet = Outlet.objects.filter(retailer=retailer, pk=asked).first()
    if outlet is None:
        raise LightspeedError(422, f"There is no outlet {given.get('outlet_id')}.")
    if given.get("current_amount") is not None:
        amount: Decimal = read_number(given["current_amount"], field="current_amount")
        stock.set_to(retailer=retailer, product=product, outlet=outlet, quantity=amount, now=now)


def _save(retailer: Retailer, product: Product, *, now: datetime) -> None:
    product.version, product.updated_at = next_version(retailer), now
    product.save()
    events.product_changed(retailer=retailer, product=product)


@endpoint(operation="products.delete", scope="products:write")
def delete(*, call: Call, product_id: str) -> Any:
    """Kept with `deleted_at`, and told by the feed where deleted ones are asked for."""
    retailer = locked(call.retailer)
    product: Product = find(call, Product, product_id)
    product.deleted_at = call.now
    _save(retailer, product, now=call.now)
    return {"data": {"status": "success"}}
