"""Pages about stock: the table, a variant's page, orders, changes by hand."""

from inventory.views.changing import adjust, receive, undo
from inventory.views.orders import order, orders
from inventory.views.routing import routing, shipping_place, use_routing
from inventory.views.stock import stock, stock_export
from inventory.views.variant import variant

__all__ = [
    "adjust",
    "order",
    "orders",
    "receive",
    "routing",
    "shipping_place",
    "stock",
    "stock_export",
    "undo",
    "use_routing",
    "variant",
]
