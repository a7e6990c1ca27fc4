"""Pages about stock: the table, a variant's page, orders, changes by hand, goods on their way."""

from inventory.views.arrivals import arrival, arrival_edit, arrival_new, arrivals_export, arrivals_list
from inventory.views.bundling import bundle, bundle_end, pack
from inventory.views.changing import adjust, receive, undo
from inventory.views.orders import order, orders
from inventory.views.routing import routing, shipping_place, use_routing
from inventory.views.stock import stock, stock_export
from inventory.views.travelling import (
    arrival_cancel,
    arrival_receive,
    arrival_reschedule,
    arrival_send,
    arrival_undo,
)
from inventory.views.variant import variant

__all__ = [
    "adjust",
    "arrival",
    "arrival_cancel",
    "arrival_edit",
    "arrival_new",
    "arrival_receive",
    "arrival_reschedule",
    "arrival_send",
    "arrival_undo",
    "arrivals_export",
    "arrivals_list",
    "bundle",
    "bundle_end",
    "order",
    "orders",
    "pack",
    "receive",
    "routing",
    "shipping_place",
    "stock",
    "stock_export",
    "undo",
    "use_routing",
    "variant",
]
