from django.urls import URLPattern, path

from inventory import views

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/stock/", views.stock, name="stock"),
    path("<slug:shop>/stock/export.csv", views.stock_export, name="stock_export"),
    path("<slug:shop>/stock/receive/", views.receive, name="receive"),
    path("<slug:shop>/stock/<int:variant_id>/", views.variant, name="variant"),
    path("<slug:shop>/stock/<int:variant_id>/adjust/", views.adjust, name="adjust"),
    path("<slug:shop>/stock/<int:variant_id>/movements/<int:movement_id>/undo/", views.undo, name="undo"),
    path("<slug:shop>/stock/<int:variant_id>/parts/", views.bundle, name="bundle"),
    path("<slug:shop>/stock/<int:variant_id>/parts/end/", views.bundle_end, name="bundle_end"),
    path("<slug:shop>/stock/<int:variant_id>/pack/", views.pack, name="pack"),
    path("<slug:shop>/arrivals/", views.arrivals_list, name="arrivals"),
    path("<slug:shop>/arrivals/export.csv", views.arrivals_export, name="arrivals_export"),
    path("<slug:shop>/arrivals/transfer/", views.arrival_new, {"kind": "transfer"}, name="transfer_new"),
    path("<slug:shop>/arrivals/delivery/", views.arrival_new, {"kind": "delivery"}, name="delivery_new"),
    path("<slug:shop>/arrivals/<int:arrival_id>/", views.arrival, name="arrival"),
    path("<slug:shop>/arrivals/<int:arrival_id>/edit/", views.arrival_edit, name="arrival_edit"),
    path("<slug:shop>/arrivals/<int:arrival_id>/send/", views.arrival_send, name="arrival_send"),
    path("<slug:shop>/arrivals/<int:arrival_id>/receive/", views.arrival_receive, name="arrival_receive"),
    path("<slug:shop>/arrivals/<int:arrival_id>/cancel/", views.arrival_cancel, name="arrival_cancel"),
    path("<slug:shop>/arrivals/<int:arrival_id>/day/", views.arrival_reschedule, name="arrival_reschedule"),
    path("<slug:shop>/arrivals/<int:arrival_id>/steps/<int:step_id>/undo/", views.arrival_undo, name="arrival_undo"),
    path("<slug:shop>/orders/", views.orders, name="orders"),
    path("<slug:shop>/orders/<int:order_id>/", views.order, name="order"),
    path("<slug:shop>/routing/", views.routing, name="routing"),
    path("<slug:shop>/routing/use/", views.use_routing, name="use_routing"),
    path("<slug:shop>/routing/places/<int:location_id>/", views.shipping_place, name="shipping_place"),
]
