"""A shop's addresses, below its domain: `/woocommerce/<domain>/wp-json/wc/v3/…`."""

from django.urls import include, path, re_path

from channels.sandbox.woocommerce import orders, products, webhooks
from channels.sandbox.woocommerce.http import methods, no_route

V3 = [
    path("products", methods(GET=products.list_products, POST=products.create)),
    path("products/batch", methods(POST=products.batch, PUT=products.batch)),
    path(
        "products/<int:product_id>",
        methods(GET=products.retrieve, PUT=products.update, POST=products.update, DELETE=products.delete),
    ),
    path("products/<int:product_id>/variations", methods(GET=products.list_variations, POST=products.create_variation)),
    path(
        "products/<int:product_id>/variations/batch",
        methods(POST=products.batch_variations, PUT=products.batch_variations),
    ),
    path(
        "products/<int:product_id>/variations/<int:variation_id>",
        methods(
            GET=products.retrieve_variation,
            PUT=products.update_variation,
            POST=products.update_variation,
            DELETE=products.delete_variation,
        ),
    ),
    path("orders", methods(GET=orders.list_orders, POST=orders.create)),
    path("orders/batch", methods(POST=orders.batch, PUT=orders.batch)),
    path(
        "orders/<int:order_id>",
        methods(GET=orders.retrieve, PUT=orders.update, POST=orders.update, DELETE=orders.delete),
    ),
    path("orders/<int:order_id>/refunds", methods(GET=orders.list_refunds, POST=orders.create_refund)),
    path("orders/<int:order_id>/refunds/<int:refund_id>", methods(GET=orders.retrieve_refund)),
    path("webhooks", methods(GET=webhooks.list_webhooks, POST=webhooks.create)),
    path("webhooks/batch", methods(POST=webhooks.batch, PUT=webhooks.batch)),
    path(
        "webhooks/<int:webhook_id>",
        methods(GET=webhooks.retrieve, PUT=webhooks.update, POST=webhooks.update, DELETE=webhooks.delete),
    ),
    re_path(r"^.*$", no_route),
]

urlpatterns = [path("<str:domain>/wp-json/wc/v3/", include(V3)), re_path(r"^.*$", no_route)]
