"""One server for both sides, for benches: the stand-ins, and the address where webhooks arrive."""

from django.urls import path

from channels import webhooks
from channels.sandbox import urls as sandbox_urls

urlpatterns = [
    *sandbox_urls.urlpatterns,
    path("webhooks/<slug:channel>/<str:token>", webhooks.receive, name="webhook"),
]
