from django.urls import URLPattern, path

from inventory import views

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/stock/", views.stock, name="stock"),
    path("<slug:shop>/stock/export.csv", views.stock_export, name="stock_export"),
    path("<slug:shop>/stock/receive/", views.receive, name="receive"),
    path("<slug:shop>/stock/<int:variant_id>/", views.variant, name="variant"),
    path("<slug:shop>/stock/<int:variant_id>/adjust/", views.adjust, name="adjust"),
    path("<slug:shop>/stock/<int:variant_id>/movements/<int:movement_id>/undo/", views.undo, name="undo"),
    path("<slug:shop>/orders/", views.orders, name="orders"),
    path("<slug:shop>/orders/<int:order_id>/", views.order, name="order"),
    path("<slug:shop>/routing/", views.routing, name="routing"),
    path("<slug:shop>/routing/use/", views.use_routing, name="use_routing"),
    path("<slug:shop>/routing/places/<int:location_id>/", views.shipping_place, name="shipping_place"),
]
