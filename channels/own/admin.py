"""Admin of the shops' own sites: tokens, endpoints, and the log of what was told. Secrets are never shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from channels.own import deliveries, tokens
from channels.own.models import (
    ApiToken,
    RateWindow,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from storestudio.accounts.backoffice import BigRows, ReadOnlyLines, ReadOnlyRows, linked, rows_of


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyRows):
    """Tokens of the API. They are made on the shop's own page, where they are shown once."""

    list_display = [
        "name", "prefix", linked("merchant"), linked("connection"), "scopes", "requests_per_minute", "created_at",
        linked("created_by"), "last_used_at", "expires_at", "revoked_at",
    ]  # fmt: skip
    list_filter = [("revoked_at", admin.EmptyFieldListFilter), "merchant"]
    list_select_related = ["merchant", "connection", "created_by"]
    search_fields = ["name", "=prefix"]
    exclude = ["digest"]
    actions = ["revoke_tokens"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Revoke for ever", permissions=["operate"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Revoke each that is in use."""
        ended = sum(tokens.revoke(token=token, actor=request.user) for token in queryset.order_by("pk"))  # type: ignore[arg-type]
        self.message_user(request, f"{ended} revoked", messages.SUCCESS)


@admin.register(RateWindow)
class RateWindowAdmin(ReadOnlyRows):
    """How many calls of the running minute each token was given."""

    list_display = ["token", "started_at", "used"]
    list_select_related = ["token"]


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyRows):
    """Where shops want to be told. Secrets lie encrypted with the connection."""

    list_display = [
        "url", linked("merchant"), linked("connection"), "topics", "is_on", "off_reason", "failing_since",
        "last_taken_at", "removed_at", "log",
    ]  # fmt: skip
    list_filter = ["is_on", ("failing_since", admin.EmptyFieldListFilter), "merchant"]
    list_select_related = ["merchant", "connection"]
    search_fields = ["url"]

    @admin.display(description="")
    def log(self, endpoint: WebhookEndpoint) -> SafeString:
        """What was sent there."""
        return rows_of("own.webhookdelivery", f"endpoint__id__exact={endpoint.pk}", "deliveries")


@admin.register(WebhookMessage)
class WebhookMessageAdmin(BigRows):
    """What happened and is told."""

    list_display = [
        "message_id",
        "topic",
        linked("merchant"),
        linked("connection"),
        linked("reservation"),
        "created_at",
    ]
    list_filter = ["topic", "merchant"]
    list_select_related = ["merchant", "connection", "reservation"]
    search_fields = ["=message_id"]


class Attempts(ReadOnlyLines):
    """The tries of a delivery."""

    model = WebhookAttempt
    fields = ["sent_at", "took_ms", "status", "error", "answer"]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(BigRows):
    """One message for one endpoint, and what became of it."""

    list_display = [
        "pk", linked("message"), linked("endpoint"), "state", "attempts", "next_attempt_at", "created_at", "ended_at",
    ]  # fmt: skip
    list_filter = ["state", "endpoint"]
    list_select_related = ["message", "endpoint"]
    search_fields = ["=message__message_id"]
    inlines = [Attempts]
    actions = ["send_again"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return bool(request.user.is_active and request.user.is_superuser)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup == "endpoint__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.action(description="Send again", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: Any) -> None:
        """Send each that has ended again, and say how many are still being tried."""
        sent, still = 0, 0
        for delivery in queryset.select_related("message", "endpoint", "merchant").order_by("pk"):
            try:
                deliveries.replay(delivery=delivery, actor=request.user)  # type: ignore[arg-type]
                sent += 1
            except deliveries.StillTrying:
                still += 1
        self.message_user(request, f"{sent} sent again, {still} still being tried", messages.SUCCESS)


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(BigRows):
    """Single tries."""

    list_display = ["pk", linked("delivery"), "sent_at", "took_ms", "status", "error"]
    list_filter = ["status"]
    list_select_related = ["delivery"]
