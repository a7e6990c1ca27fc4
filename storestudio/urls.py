"""The product's addresses; everything of one shop lies under /<shop>/ and is resolved by membership."""

from django.contrib import admin
from django.urls import include, path

from storestudio import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("account/", include("allauth.urls")),
    path("", include("storestudio.accounts.urls")),
    path("api/", include("channels.own.api.urls")),
    path("", include("channels.own.urls")),
    path("", include("channels.alerts.urls")),
    path("", include("channels.urls")),
    path("", include("inventory.urls")),
    path("", include("onboarding.urls")),
]
