"""The sandbox's addresses: one prefix a vendor, below it the vendor's own paths."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def healthz(request: HttpRequest) -> HttpResponse:
    """Alive."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("healthz", healthz),
    path("square/", include("channels.sandbox.square.urls")),
    path("shopify/", include("channels.sandbox.shopify.urls")),
]
