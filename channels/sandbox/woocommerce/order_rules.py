"""What an order's status does to the stock.

Stock is taken once, when an order is paid or reaches processing, on-hold or completed; it is given back once, when it
is cancelled or becomes pending again. A flag of the order guards both; each line remembers what it took.
"""

import secrets
from typing import Any

from channels.sandbox import faults
from channels.sandbox.woocommerce import errors, events, product_rules
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.models import Order, OrderLine, Product, Site, now_s
from channels.sandbox.woocommerce.values import Json

Status = Order.Status
TAKING = (Status.PROCESSING, Status.ON_HOLD, Status.COMPLETED)
GIVING = (Status.CANCELLED, Status.PENDING)
PAID = (Status.PROCESSING, Status.COMPLETED)


def create(site: Site, given: Json) -> Order:
    """A new order. REST asks nobody whether there is enough: stock may go below zero. Raises WooError."""
    order = Order.objects.create(
        site=site, currency=site.currency, order_key=f"wc_order_{secrets.token_urlsafe(9)}",
        payment_method=str(given.get("payment_method", ""))[:60],
        customer_note=str(given.get("customer_note", ""))[:500],
        meta_data=given.get("meta_data") or [],
    )  # fmt: skip
    for entry in given.get("line_items") or []:
        add_line(order, entry)
    events.note("order.created", order.pk)
    wanted = Status.PROCESSING if given.get("set_paid") is True else given.get("status", Status.PENDING)
    set_status(order, wanted)
    return order


def add_line(order: Order, given: Json) -> OrderLine:
    """Raises WooError for a product that is not there."""
    number = errors.number_of(given.get("variation_id") or given.get("product_id"))
    product = Product.objects.filter(site=order.site_id, pk=number).select_related("parent").first()
    if product is None or product.type == Product.Type.VARIABLE:
        raise WooError("woocommerce_rest_invalid_product_id", "Product ID provided is not valid.")
    quantity = given.get("quantity", 1)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        raise errors.invalid_param("line_items", "line_items[0][quantity] is not of type integer.")
    is_variation = product.parent_id is not None
    return OrderLine.objects.create(
        order=order, product=product, product_number=product.parent_id or product.pk,
        variation_number=product.pk if is_variation else 0, name=_name(product), sku=product.sku, quantity=quantity,
        price=product.regular_price or 0,
    )  # fmt: skip


def _name(product: Product) -> str:
    from channels.sandbox.woocommerce import printing

    return printing.variation_name(product) if product.parent_id else product.name


def set_status(order: Order, status: Any) -> None:
    """Move an order to a status, its stock with it. Raises WooError for one there is not."""
    name = str(status).removeprefix("wc-")
    if name not in Status.values:
        raise errors.invalid_param("status", f"status is not one of {', '.join(Status.values)}.")
    order.status = name
    if name in PAID and order.paid_at is None:
        order.paid_at = now_s()
    if name == Status.COMPLETED and order.completed_at is None:
        order.completed_at = now_s()
    if name in TAKING and not order.stock_reduced:
        take_stock(order)
    elif name in GIVING and order.stock_reduced:
        give_stock_back(order)
    touch(order)


def touch(order: Order) -> None:
    """Store it as changed now."""
    order.modified_at = now_s()
    order.save()
    events.note("order.updated", order.pk)


def lines_of(order: Order) -> list[OrderLine]:
    """In the order their products' rows are locked in everywhere."""
    return list(order.lines.select_related("product__parent").order_by("product_id", "pk"))


def take_stock(order: Order) -> None:
    """Each line takes its units where stock is counted, once."""
    for line in lines_of(order):
        if line.product is not None and line.product.keeper is not None and not line.reduced_stock:
            product_rules.move_stock(line.product, -line.quantity)
            line.reduced_stock = line.quantity
            line.save(update_fields=["reduced_stock"])
    order.stock_reduced = True


def give_stock_back(order: Order) -> None:
    """Each line gives back what it still holds, and forgets it."""
    for line in lines_of(order):
        if line.product is not None and line.reduced_stock:
            product_rules.move_stock(line.product, line.reduced_stock)
        line.reduced_stock = None
        line.save(update_fields=["reduced_stock"])
    order.stock_reduced = False


def edit_quantity(line: OrderLine, quantity: int) -> None:
    """Change a line's quantity. Whether REST moves the stock with it, as the shop's pages do, is not established."""
    if line.reduced_stock is not None and faults.switch("woocommerce.edited_lines_move_stock", True):
        by = line.quantity - quantity
        if line.product is not None:
            product_rules.move_stock(line.product, by)
        line.reduced_stock -= by
    line.quantity = quantity
    line.save(update_fields=["quantity", "reduced_stock"])
