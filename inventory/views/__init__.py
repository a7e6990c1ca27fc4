"""Pages about stock: the table, a variant's page, orders, changes by hand."""

from inventory.views.changing import adjust, receive, undo
from inventory.views.orders import order, orders
from inventory.views.stock import stock, stock_export
from inventory.views.variant import variant

__all__ = ["adjust", "order", "orders", "receive", "stock", "stock_export", "undo", "variant"]
