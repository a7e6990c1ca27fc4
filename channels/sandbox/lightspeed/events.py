"""Webhooks: a form with one field that matters, signed with the app's secret, owed with the change that causes them.

Payloads have the shape of API 1.0, whatever version the app speaks.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from urllib.parse import urlencode

from channels.sandbox import deliveries, faults
from channels.sandbox.lightspeed.models import ConsignmentProduct, Level, Product, Retailer, Sale, Webhook
from channels.sandbox.lightspeed.values import Json, old_stamp, stamp

TYPES = (
    "sale.update", "product.update", "customer.update", "inventory.update", "register_closure.create",
    "consignment.send", "consignment.receive",
)  # fmt: skip
# State and attribute of a sale → the status that API 1.0 had for it.
STATUSES = {
    ("parked", ""): "SAVED",
    ("voided", ""): "VOIDED",
    ("pending", ""): "OPEN",
    ("pending", "onaccount"): "ONACCOUNT",
    ("pending", "layby"): "LAYBY",
    ("pending", "delivery"): "AWAITING_DISPATCH",
    ("pending", "pickup"): "AWAITING_PICKUP",
    ("closed", ""): "CLOSED",
    ("closed", "onaccount"): "ONACCOUNT_CLOSED",
    ("closed", "layby"): "LAYBY_CLOSED",
    ("closed", "delivery"): "DISPATCHED_CLOSED",
    ("closed", "pickup"): "PICKED_UP_CLOSED",
}


def sign(*, secret: str, body: bytes) -> str:
    """`X-Signature`: HMAC-SHA256 of the raw form. Whether it is written in hex or base64 is a switch."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    is_hex = faults.switch("lightspeed.signature_encoding", "hex") == "hex"
    text = digest.hexdigest() if is_hex else base64.b64encode(digest.digest()).decode()
    return f"signature={text},algorithm=HMAC-SHA256"


def emit(*, retailer: Retailer, type_: str, payload: Json) -> None:
    """Owe this event to every active webhook of its type."""
    for hook in Webhook.objects.filter(retailer=retailer, type=type_, is_active=True).order_by("pk"):
        form = {
            "payload": json.dumps(payload), "domain_prefix": retailer.domain_prefix, "environment": "prod",
        }  # fmt: skip
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Lightspeed Retail webhooks"}
        if hook.is_signed:
            headers["X-Signature"] = sign(secret=retailer.client_secret, body=body)
        deliveries.enqueue(
            vendor="lightspeed", account=retailer.domain_prefix, topic=type_, url=hook.url, headers=headers, body=body
        )


def levels_changed(*, retailer: Retailer, levels: Iterable[Level]) -> None:
    """One event a level; products that are not counted tell nothing."""
    for level in levels:
        if level.product.has_inventory:
            emit(retailer=retailer, type_="inventory.update", payload=_level(level))


def _level(level: Level) -> Json:
    product, outlet = level.product, level.outlet
    return {
        "id": str(level.pk),
        "outlet_id": str(outlet.pk),
        "product_id": str(product.pk),
        "count": int(level.quantity) if level.quantity == int(level.quantity) else float(level.quantity),
        "attributed_cost": f"{product.supply_price:.2f}",
        "reorder_point": str(int(level.reorder_point or 0)),
        "restock_level": str(int(level.reorder_amount or 0)),
        "version": level.version,
        "product": {
            "id": str(product.pk), "active": product.is_active, "base_name": product.name, "handle": product.handle,
            "name": product.name, "sku": product.sku, "source": product.source, "source_id": product.source_id,
            "source_variant_id": product.source_variant_id, "supply_price": f"{product.supply_price:.2f}",
            "variant_options": product.variant_options, "deleted_at": stamp(product.deleted_at),
            "variant_parent_id": str(product.variant_parent_id) if product.variant_parent_id else None,
        },
        "outlet": {"id": str(outlet.pk), "name": outlet.name, "time_zone": outlet.time_zone, "tax_id": None},
    }  # fmt: skip


def product_changed(*, retailer: Retailer, product: Product) -> None:
    """Its counts may be those of a moment before: the vendor says so itself."""
    payload = {
        "id": str(product.pk),
        "active": product.is_active,
        "handle": product.handle,
        "sku": product.sku,
        "name": product.name,
        "base_name": product.name,
        "inventory": [
            {"id": str(level.pk), "outlet_id": str(level.outlet_id), "product_id": str(product.pk),
             "count": float(level.quantity), "reorder_point": "0", "restock_level": "0"}
            for level in product.levels.order_by("pk")
        ],
        "price_book_entries": [{"type": "BASE", "price": f"{product.price:.5f}"}],
        "source": product.source,
        "source_id": product.source_id,
        "source_variant_id": product.source_variant_id,
        "retailer_id": str(retailer.id),
        "variant_parent_id": str(product.variant_parent_id) if product.variant_parent_id else None,
        "deleted_at": stamp(product.deleted_at),
        "version": product.version,
    }  # fmt: skip
    emit(retailer=retailer, type_="product.update", payload=payload)


def status_of(sale: Sale) -> str:
    """What API 1.0 calls the state of a sale; how the goods leave counts before how they are paid."""
    if sale.state in ("parked", "voided"):
        return STATUSES[sale.state, ""]
    named = (name for name in ("pickup", "delivery", "layby", "onaccount") if name in sale.attributes)
    return STATUSES[sale.state, next(named, "")]


def sale_changed(*, retailer: Retailer, sale: Sale) -> None:
    """The whole sale."""
    payload = {
        "id": str(sale.pk),
        "status": status_of(sale),
        "invoice_number": sale.invoice_number,
        "register_id": str(sale.register_id),
        "source": "USER",
        "source_id": sale.source_id or None,
        "return_for": str(sale.original_sale_id) if sale.original_sale_id else None,
        "sale_date": stamp(sale.date),
        "created_at": old_stamp(sale.created_at),
        "updated_at": stamp(sale.updated_at),
        "register_sale_products": [
            {"id": line["id"], "product_id": line["product"]["id"], "quantity": line["quantity"],
             "price": f"{line['pricing']['price']:.5f}", "tax": "0.00000", "discount": "0.00000"}
            for line in sale.line_items
        ],
        "register_sale_payments": [
            {"id": one["id"], "amount": one["amount"], "retailer_payment_type_id": one["type"]["config_id"]}
            for one in sale.payments
        ],
        "version": sale.version,
    }  # fmt: skip
    emit(retailer=retailer, type_="sale.update", payload=payload)


def consignment_moved(*, retailer: Retailer, type_: str, line: ConsignmentProduct, number: int) -> None:
    """One event a line, when a consignment is sent and when it is received."""
    payload = {
        "id": str(line.pk),
        "consignment_id": str(line.consignment_id),
        "product_id": str(line.product_id),
        "count": f"{line.count or 0:.5f}",
        "received": None if line.received is None else f"{line.received:.5f}",
        "cost": float(line.product.supply_price),
        "sequence_number": number,
    }
    emit(retailer=retailer, type_=type_, payload=payload)
