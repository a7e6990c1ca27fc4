"""Admin of alerts: who is told where, and what came of it. Addresses of webhooks are never shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from channels.alerts.models import AlertDelivery, AlertRoute
from storestudio.accounts.backoffice import BigRows, ReadOnlyRows, linked, rows_of


@admin.register(AlertRoute)
class AlertRouteAdmin(ReadOnlyRows):
    """Where alerts go. They are changed on the shop's own page, by whom they are for."""

    list_display = [
        "__str__", linked("merchant"), "channel", linked("membership"), "label", "host", "is_on", "pace", "quiet_from",
        "quiet_until", "last_sent_at", "failing_since", "removed_at", "deliveries",
    ]  # fmt: skip
    list_filter = ["channel", "is_on", "pace", ("failing_since", admin.EmptyFieldListFilter), "merchant"]
    list_select_related = ["merchant", "membership__user", "membership__merchant"]
    search_fields = ["label", "host", "membership__user__email"]
    exclude = ["address", "address_kid"]

    @admin.display(description="")
    def deliveries(self, route: AlertRoute) -> SafeString:
        """What was told there."""
        return rows_of("alerts.alertdelivery", f"route__id__exact={route.pk}", "deliveries")


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(BigRows):
    """What is told, was told, and could not be told; what was given up can be tried again."""

    list_display = [
        "created_at", linked("merchant"), linked("route"), "about", linked("incident"), "state", "attempts",
        "next_attempt_at", "ended_at", "error",
    ]  # fmt: skip
    list_filter = ["state", "about", "route__channel", "merchant"]
    list_select_related = ["merchant", "route", "incident"]
    search_fields = ["=dedupe_key"]
    actions = ["try_again"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The way in from a route."""
        return lookup == "route__id__exact" or super().lookup_allowed(lookup, value, request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Try again what was given up", permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Each that was given up goes back into the queue."""
        now = timezone.now()
        again = queryset.filter(state=AlertDelivery.State.FAILED).update(
            state=AlertDelivery.State.PENDING, ended_at=None, attempts=0, next_attempt_at=now
        )
        self.message_user(request, f"{again} back in the queue", messages.SUCCESS)
