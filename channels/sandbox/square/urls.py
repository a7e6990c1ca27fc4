"""Square's addresses, as in its reference; anything else is answered with Square's 404."""

from django.urls import path, re_path

from channels.sandbox.square import catalog, inventory, locations, oauth, orders, payments, webhooks
from channels.sandbox.square.http import methods, unknown_path

urlpatterns = [
    path("oauth2/authorize", methods(GET=oauth.authorize)),
    path("oauth2/token", methods(POST=oauth.obtain_token)),
    path("oauth2/token/status", methods(POST=oauth.token_status)),
    path("oauth2/revoke", methods(POST=oauth.revoke_token)),
    path("v2/merchants", methods(GET=locations.list_merchants)),
    path("v2/merchants/<str:merchant_id>", methods(GET=locations.get_merchant)),
    path("v2/locations", methods(GET=locations.list_locations)),
    path("v2/locations/<str:location_id>", methods(GET=locations.get_location, PUT=locations.update_location)),
    path("v2/catalog/info", methods(GET=catalog.info)),
    path("v2/catalog/list", methods(GET=catalog.list_objects)),
    path("v2/catalog/search", methods(POST=catalog.search)),
    path("v2/catalog/search-catalog-items", methods(POST=catalog.search_items)),
    path("v2/catalog/batch-retrieve", methods(POST=catalog.batch_retrieve)),
    path("v2/catalog/batch-upsert", methods(POST=catalog.batch_upsert)),
    path("v2/catalog/batch-delete", methods(POST=catalog.batch_delete)),
    path("v2/catalog/object", methods(POST=catalog.upsert_object)),
    path("v2/catalog/object/<str:object_id>", methods(GET=catalog.get_object, DELETE=catalog.delete_object)),
    path("v2/inventory/changes/batch-create", methods(POST=inventory.batch_create_changes)),
    path("v2/inventory/changes/batch-retrieve", methods(POST=inventory.batch_get_changes)),
    path("v2/inventory/counts/batch-retrieve", methods(POST=inventory.batch_get_counts)),
    path("v2/inventory/adjustments/<str:adjustment_id>", methods(GET=inventory.get_adjustment)),
    path("v2/inventory/physical-counts/<str:physical_count_id>", methods(GET=inventory.get_physical_count)),
    # The addresses before 2021, deprecated and still served.
    path("v2/inventory/batch-change", methods(POST=inventory.batch_create_changes)),
    path("v2/inventory/batch-retrieve-changes", methods(POST=inventory.batch_get_changes)),
    path("v2/inventory/batch-retrieve-counts", methods(POST=inventory.batch_get_counts)),
    path("v2/inventory/adjustment/<str:adjustment_id>", methods(GET=inventory.get_adjustment)),
    path("v2/inventory/physical-count/<str:physical_count_id>", methods(GET=inventory.get_physical_count)),
    path("v2/inventory/<str:catalog_object_id>", methods(GET=inventory.get_counts)),
    path("v2/inventory/<str:catalog_object_id>/changes", methods(GET=inventory.get_changes)),
    path("v2/orders", methods(POST=orders.create)),
    path("v2/orders/search", methods(POST=orders.search)),
    path("v2/orders/batch-retrieve", methods(POST=orders.batch_retrieve)),
    path("v2/orders/calculate", methods(POST=orders.calculate)),
    path("v2/orders/clone", methods(POST=orders.clone)),
    path("v2/orders/<str:order_id>", methods(GET=orders.retrieve, PUT=orders.update)),
    path("v2/orders/<str:order_id>/pay", methods(POST=orders.pay)),
    path("v2/payments", methods(GET=payments.list_payments, POST=payments.create)),
    path("v2/payments/<str:payment_id>", methods(GET=payments.retrieve)),
    path("v2/payments/<str:payment_id>/complete", methods(POST=payments.complete)),
    path("v2/payments/<str:payment_id>/cancel", methods(POST=payments.cancel)),
    path("v2/refunds", methods(GET=payments.list_refunds, POST=payments.create_refund)),
    path("v2/refunds/<str:refund_id>", methods(GET=payments.get_refund)),
    path("v2/webhooks/event-types", methods(GET=webhooks.list_event_types)),
    path("v2/webhooks/subscriptions", methods(GET=webhooks.list_subscriptions, POST=webhooks.create)),
    path(
        "v2/webhooks/subscriptions/<str:subscription_id>",
        methods(GET=webhooks.retrieve, PUT=webhooks.update, DELETE=webhooks.delete),
    ),
    path(
        "v2/webhooks/subscriptions/<str:subscription_id>/signature-key",
        methods(POST=webhooks.renew_signature_key),
    ),
    path("v2/webhooks/subscriptions/<str:subscription_id>/test", methods(POST=webhooks.test)),
    re_path(r"^.*$", unknown_path),
]
