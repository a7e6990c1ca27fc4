"""The sandbox's addresses: one prefix a vendor, below it the vendor's own paths."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from channels.sandbox import standins


def healthz(request: HttpRequest) -> HttpResponse:
    """Alive."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("healthz", healthz),
    *(path(f"{name}/", include(f"channels.sandbox.{name}.urls")) for name in standins.names()),
]
