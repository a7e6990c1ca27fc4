"""The sandbox's addresses: one prefix a vendor, below it the vendor's own paths."""

from django.urls import include, path

urlpatterns = [
    path("square/", include("channels.sandbox.square.urls")),
    path("shopify/", include("channels.sandbox.shopify.urls")),
]
