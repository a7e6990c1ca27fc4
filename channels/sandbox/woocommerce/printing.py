"""Resources as the API shows them."""

from decimal import Decimal

from channels.sandbox.woocommerce.models import Order, OrderLine, Product, Refund, Webhook
from channels.sandbox.woocommerce.values import Json, money, stamps

ZERO = Decimal(0)


def product(row: Product) -> Json:
    """A product; a variation too, shaped as a product, as `/products/<id>` and webhooks show it."""
    is_variation = row.type == Product.Type.VARIATION
    variations = [] if is_variation else list(row.variations.order_by("menu_order", "pk").values_list("pk", flat=True))
    return {
        "id": row.pk,
        "name": variation_name(row) if is_variation else row.name,
        "slug": row.slug,
        "permalink": f"https://{row.site_id}/product/{row.slug}/",
        **stamps("created", row.created_at),
        **stamps("modified", row.modified_at),
        "type": row.type,
        "status": row.status,
        "description": row.description,
        "short_description": "",
        "sku": row.sku,
        "global_unique_id": row.global_unique_id,
        "price": money(row.regular_price) if row.regular_price is not None else _lowest_price(row),
        "regular_price": money(row.regular_price),
        "sale_price": "",
        "on_sale": False,
        "purchasable": row.status == "publish",
        "virtual": False,
        **_stock(row),
        "parent_id": row.parent_id or 0,
        "categories": row.categories,
        "images": [],
        "attributes": row.attributes,
        "default_attributes": [],
        "variations": variations,
        "grouped_products": [],
        "menu_order": row.menu_order,
        "meta_data": row.meta_data,
    }


def variation(row: Product) -> Json:
    """A variation as `/products/<id>/variations` shows it. Its description of stock may read "parent"."""
    return {
        "id": row.pk,
        "type": "variation",
        **stamps("created", row.created_at),
        **stamps("modified", row.modified_at),
        "description": row.description,
        "permalink": f"https://{row.site_id}/product/{row.parent.slug if row.parent else ''}/",
        "sku": row.sku,
        "global_unique_id": row.global_unique_id,
        "price": money(row.regular_price),
        "regular_price": money(row.regular_price),
        "sale_price": "",
        "on_sale": False,
        "status": row.status,
        "purchasable": row.status == "publish",
        "virtual": False,
        **_stock(row),
        "image": None,
        "attributes": row.attributes,
        "menu_order": row.menu_order,
        "meta_data": row.meta_data,
        "name": ", ".join(one["option"] for one in row.attributes),
        "parent_id": row.parent_id,
    }


def variation_name(row: Product) -> str:
    """“Mug - Large”."""
    options = ", ".join(one["option"] for one in row.attributes)
    name = row.parent.name if row.parent else row.name
    return f"{name} - {options}" if options else name


def _lowest_price(row: Product) -> str:
    prices = [price for price in row.variations.values_list("regular_price", flat=True) if price is not None]
    return money(min(prices)) if prices else ""


def _stock(row: Product) -> Json:
    keeper = row.keeper
    source = keeper or row
    return {
        "manage_stock": "parent" if keeper is not None and keeper != row else row.manage_stock,
        "stock_quantity": None if keeper is None else keeper.stock_quantity,
        "stock_status": source.stock_status,
        "backorders": source.backorders,
        "backorders_allowed": source.backorders != Product.Backorders.NO,
        "backordered": source.stock_status == Product.StockStatus.ON_BACKORDER,
        "low_stock_amount": None,
    }


def order(row: Order) -> Json:
    """An order with its lines and the heads of its refunds."""
    lines = list(row.lines.order_by("pk"))
    return {
        "id": row.pk,
        "parent_id": 0,
        "number": str(row.pk),
        "order_key": row.order_key,
        "created_via": "rest-api",
        "version": "9.8.1",
        "status": row.status,
        "currency": row.currency,
        **stamps("created", row.created_at),
        **stamps("modified", row.modified_at),
        "discount_total": "0.00",
        "shipping_total": "0.00",
        "total": money(total_of(lines)),
        "total_tax": "0.00",
        "customer_id": 0,
        "customer_note": row.customer_note,
        "payment_method": row.payment_method,
        "payment_method_title": row.payment_method,
        **stamps("paid", row.paid_at),
        **stamps("completed", row.completed_at),
        "meta_data": row.meta_data,
        "line_items": [_line(line) for line in lines],
        "tax_lines": [],
        "shipping_lines": [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [
            {"id": refund.pk, "reason": refund.reason, "total": f"-{money(refund.amount)}"}
            for refund in row.refunds.order_by("-pk")
        ],
    }


def total_of(lines: list[OrderLine]) -> Decimal:
    return sum((line.price * line.quantity for line in lines), ZERO)


def _line(line: OrderLine) -> Json:
    total = money(line.price * line.quantity)
    return {
        "id": line.pk,
        "name": line.name,
        "product_id": line.product_number,
        "variation_id": line.variation_number,
        "quantity": line.quantity,
        "tax_class": "",
        "subtotal": total,
        "subtotal_tax": "0.00",
        "total": total,
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": _hidden_meta(line),
        "sku": line.sku,
        "price": float(line.price),
    }


def _hidden_meta(line: OrderLine) -> list[Json]:
    """Names with an underscore are hidden in the shop's pages, and shown by the API all the same."""
    kept = {"_reduced_stock": line.reduced_stock, "_restock_refunded_items": line.restocked}
    return [
        {"id": line.pk * 10 + n, "key": name, "value": str(value), "display_key": name, "display_value": str(value)}
        for n, (name, value) in enumerate(kept.items())
        if value is not None
    ]


def refund(row: Refund) -> Json:
    """A refund; its lines count downwards and say which line they are of in their hidden meta."""
    return {
        "id": row.pk,
        "parent_id": row.order_id,
        **stamps("created", row.created_at),
        "amount": money(row.amount),
        "reason": row.reason,
        "refunded_by": 1,
        "refunded_payment": row.refunded_payment,
        "meta_data": row.meta_data,
        "line_items": [
            {
                "id": back.pk,
                "name": back.line.name,
                "product_id": back.line.product_number,
                "variation_id": back.line.variation_number,
                "quantity": -back.quantity,
                "subtotal": f"-{money(back.total)}",
                "total": f"-{money(back.total)}",
                "taxes": [],
                "meta_data": [{"id": back.pk, "key": "_refunded_item_id", "value": str(back.line_id)}],
                "sku": back.line.sku,
                "price": -float(back.line.price),
            }
            for back in row.lines.select_related("line").order_by("pk")
        ],
    }


def webhook(row: Webhook) -> Json:
    """Its secret is never shown."""
    resource, _, event = row.topic.partition(".")
    return {
        "id": row.pk,
        "name": row.name,
        "status": row.status,
        "topic": row.topic,
        "resource": resource,
        "event": event,
        "hooks": [],
        "delivery_url": row.delivery_url,
        **stamps("created", row.created_at),
        **stamps("modified", row.modified_at),
    }
