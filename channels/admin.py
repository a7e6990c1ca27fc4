"""Admin: connections and their cells, what came in, what was told, what needs a person. Secrets are never shown."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from channels import connections, inbox
from channels.models import (
    Approval,
    ApprovalLine,
    AvailabilityRule,
    CellPolicy,
    ChannelCommand,
    ChannelLocation,
    ChannelStock,
    ChannelWrite,
    ChannelWriteLine,
    Collision,
    CollisionDecision,
    Connection,
    ConnectionRate,
    ConnectionWork,
    GuardLine,
    GuardStop,
    InboundEvent,
    Incident,
    IncidentEvent,
    IncidentSubject,
    Listing,
    Outage,
    RemoteChange,
    RuleChange,
    RuleWork,
    StockGap,
    StockSweep,
    SubscriptionRepair,
)
from inventory import identifiers
from storestudio.accounts.backoffice import (
    BigRows,
    ReadOnlyLines,
    ReadOnlyRows,
    link,
    link_to,
    linked,
    rows_of,
    units,
)

BODY_SHOWN_MAX = 200_000  # characters of a message's body


class WorkLines(ReadOnlyLines):
    """Who is at work for a connection."""

    model = ConnectionWork
    fields = ["kind", "leased_until", "lease"]


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyRows):
    """Accounts at channels. Connecting, approving and reconnecting have pages of their own, which ask first."""

    list_display = [
        "__str__", "channel", linked("merchant"), "state", "state_reason", "last_heard_at", "failures", "resting_until",
        "listings", "messages", "writes",
    ]  # fmt: skip
    list_filter = ["state", "channel", "merchant"]
    list_select_related = ["merchant"]
    search_fields = ["label", "account_id", "merchant__name", "merchant__slug"]
    # The webhook address opens the door to the inbox: as secret as the credentials.
    exclude = ["credentials", "credentials_kid", "webhook_token"]
    inlines = [WorkLines]
    actions = ["pause_connections"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without the secrets."""
        return super().get_queryset(request).defer("credentials", "webhook_token")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Pause: write nothing there", permissions=["operate"])
    def pause_connections(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Pause each that is live, and say which were not."""
        paused, refused = 0, []
        for connection in queryset.order_by("pk"):
            try:
                connections.pause(
                    connection=connection,
                    actor=request.user,  # type: ignore[arg-type]
                    reason="Paused by StoreStudio",
                )
                paused += 1
            except connections.NotAllowed as error:
                refused.append(f"{connection.label}: {error}")
        _say(self, request, done=f"{paused} paused" if paused else "", refused=refused)

    @admin.display(description="")
    def listings(self, connection: Connection) -> SafeString:
        """What it lists."""
        return rows_of("channels.listing", f"connection__id__exact={connection.pk}", "listings")

    @admin.display(description="")
    def messages(self, connection: Connection) -> SafeString:
        """What it sent."""
        return rows_of("channels.inboundevent", f"connection__id__exact={connection.pk}", "messages")

    @admin.display(description="")
    def writes(self, connection: Connection) -> SafeString:
        """What it was told."""
        return rows_of("channels.channelwrite", f"connection__id__exact={connection.pk}", "writes")


@admin.register(ConnectionWork)
class ConnectionWorkAdmin(ReadOnlyRows):
    """Leases on work."""

    list_display = ["pk", linked("connection"), "kind", "leased_until", "lease"]
    list_filter = ["kind"]
    list_select_related = ["connection"]


@admin.register(ChannelLocation)
class ChannelLocationAdmin(ReadOnlyRows):
    """Channels' places, and which of ours they are."""

    list_display = ["name", linked("connection"), linked("location"), "is_active", "external_id"]
    list_filter = ["is_active", ("location", admin.EmptyFieldListFilter), "connection"]
    list_select_related = ["connection", "location"]
    search_fields = ["name", "=external_id"]


@admin.register(Listing)
class ListingAdmin(BigRows):
    """Variants as channels list them."""

    list_display = [
        "sku", "product_title", "title", linked("connection"), linked("variant"), "link", "link_reason", "is_tracked",
        "deleted_at", "cells",
    ]  # fmt: skip
    list_filter = ["link", "is_tracked", ("deleted_at", admin.EmptyFieldListFilter), "connection"]
    list_select_related = ["connection", "variant"]
    search_fields = ["sku"]
    search_help_text = "A whole SKU or GTIN, or an id of the channel's."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By what is indexed within each connection."""
        if not search_term:
            return queryset, False
        found = queryset.filter(connection__in=_connections())
        key, gtin = identifiers.sku_key(search_term), identifiers.gtin(search_term)
        matches = found.filter(external_id=search_term) | found.filter(inventory_id=search_term)
        if key:
            matches |= found.filter(sku_key=key)
        if gtin:
            matches |= found.filter(gtin=gtin)
        return matches, False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup == "variant__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="")
    def cells(self, listing: Listing) -> SafeString:
        """Its numbers."""
        return rows_of("channels.channelstock", f"listing__id__exact={listing.pk}", "numbers")


@admin.register(ChannelStock)
class ChannelStockAdmin(BigRows):
    """Three numbers a cell: what it should show, what we believe it shows, what it told us."""

    list_display = [
        "pk", linked("listing"), linked("channel_location", "place"), linked("connection"), units("desired"),
        units("expected"), units("observed"), "observed_at", units("doubt"), "dirty_at", "drift_at", "blocked_reason",
        "told",
    ]  # fmt: skip
    list_filter = [
        "connection", ("dirty_at", admin.EmptyFieldListFilter), ("drift_at", admin.EmptyFieldListFilter),
        ("blocked_reason", admin.EmptyFieldListFilter),
    ]  # fmt: skip
    list_select_related = ["listing", "channel_location", "connection"]
    search_fields = ["listing__sku"]
    search_help_text = "A whole SKU."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By the listing's SKU."""
        if not search_term:
            return queryset, False
        key = identifiers.sku_key(search_term)
        if not key:
            return queryset.none(), False
        return queryset.filter(listing__connection__in=_connections(), listing__sku_key=key), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup == "listing__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="")
    def told(self, cell: ChannelStock) -> SafeString:
        """What was written there."""
        return rows_of("channels.channelwriteline", f"cell__id__exact={cell.pk}", "told")


@admin.register(InboundEvent)
class InboundEventAdmin(BigRows):
    """The inbox: messages as they arrived, and what became of them."""

    list_display = [
        "pk", "received_at", "topic", linked("connection"), "state", "outcome", "attempts", "applied_at",
    ]  # fmt: skip
    list_filter = ["state", "connection", "merchant"]
    list_select_related = ["connection"]
    search_fields = ["dedupe_key"]
    search_help_text = "A message's number, or its whole id at the channel."
    fields = [
        "merchant", "connection", "topic", "dedupe_key", "state", "outcome", "error", "attempts", "occurred_at",
        "received_at", "applied_at", "next_attempt_at", "headers", "pretty_body",
    ]  # fmt: skip
    readonly_fields = ["pretty_body"]
    actions = ["replay_events"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Bodies may be megabytes: only the message's own page reads one."""
        return super().get_queryset(request).defer("body", "headers", "error")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By key: the table is the longest there is."""
        if not search_term:
            return queryset, False
        if search_term.isascii() and search_term.isdigit() and len(search_term) < 19:
            return queryset.filter(pk=int(search_term)), False
        return queryset.filter(connection__in=_connections(), dedupe_key=search_term), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Replay from quarantine", permissions=["operate"])
    def replay_events(self, request: HttpRequest, queryset: QuerySet[InboundEvent]) -> None:
        """Put each quarantined one back into the queue, and say which were not in quarantine."""
        replayed, refused = 0, []
        for event_id in queryset.order_by("pk").values_list("pk", flat=True):
            try:
                inbox.replay(event_id=event_id, actor=request.user)  # type: ignore[arg-type]
                replayed += 1
            except inbox.NotInQuarantine as error:
                refused.append(f"#{event_id} is not in quarantine: {error}")
        _say(self, request, done=f"{replayed} back in the queue" if replayed else "", refused=refused)

    @admin.display(description="body")
    def pretty_body(self, event: InboundEvent) -> SafeString:
        """The body, indented where it is JSON, else as text with what is no text escaped."""
        raw = bytes(event.body)
        try:
            text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
        except ValueError:
            text = raw.decode(errors="backslashreplace")
        more = f"\n… {len(text) - BODY_SHOWN_MAX} more characters" if len(text) > BODY_SHOWN_MAX else ""
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text[:BODY_SHOWN_MAX] + more
        )


class WriteLines(ReadOnlyLines):
    """The numbers of a write."""

    model = ChannelWriteLine
    fields = ["cell_link", "from_quantity", "to_quantity", "outcome", "message", "cause", "dirty_at", "answered_at"]
    readonly_fields = ["cell_link", "cause"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the listings."""
        return super().get_queryset(request).select_related("cell__listing")

    @admin.display(description="cell")
    def cell_link(self, line: ChannelWriteLine) -> SafeString | str:
        """The cell, by the listing's name."""
        return link(line.cell, str(line.cell.listing))

    @admin.display(description="because of")
    def cause(self, line: ChannelWriteLine) -> SafeString | str:
        """The message that moved it."""
        return link_to("channels.inboundevent", line.cause_event_id, f"#{line.cause_event_id}")


@admin.register(ChannelWrite)
class ChannelWriteAdmin(BigRows):
    """Calls that told a channel numbers."""

    list_display = ["idempotency_key", linked("connection"), "state", "created_at", "attempts", "answered_at", "error"]
    list_filter = ["state", "connection"]
    list_select_related = ["connection"]
    search_fields = ["=idempotency_key"]
    inlines = [WriteLines]


@admin.register(ChannelCommand)
class ChannelCommandAdmin(BigRows):
    """What people asked channels to do with orders, and what came of it."""

    list_display = [
        "pk", linked("connection"), linked("order"), "kind", "words", "state", "attempts", "asked_by", "asked_at",
        "ended_at", "error",
    ]  # fmt: skip
    list_filter = ["state", "kind", "connection"]
    list_select_related = ["connection", "order", "asked_by"]
    search_fields = ["=idempotency_key", "order__number", "=order__external_id"]


class CollisionDecisions(ReadOnlyLines):
    """What was done for those who went without."""

    model = CollisionDecision
    fields = ["order", "kind", "units", "words", "why", "cost", "currency", "command", "decided_by", "decided_at"]
    raw_id_fields = ["order", "command", "decided_by"]


@admin.register(Collision)
class CollisionAdmin(ReadOnlyRows):
    """Units promised twice: why it came, who had what, how it ended."""

    list_display = [
        "pk", linked("variant"), linked("location"), units("missing"), "cause", "cause_words", "latency_s", "opened_at",
        "closed_at", "closing",
    ]  # fmt: skip
    list_filter = ["cause"]
    list_select_related = ["variant", "location"]
    search_fields = ["variant__sku"]
    inlines = [CollisionDecisions]


@admin.register(CollisionDecision)
class CollisionDecisionAdmin(ReadOnlyRows):
    """Decisions for orders that went without, one a row."""

    list_display = [
        "pk", linked("collision"), linked("order"), "kind", units("units"), "words", "cost", "currency",
        linked("command"), "decided_by", "decided_at", "undone_at",
    ]  # fmt: skip
    list_filter = ["kind"]
    list_select_related = ["collision", "order", "command", "decided_by"]


@admin.register(ChannelWriteLine)
class ChannelWriteLineAdmin(BigRows):
    """Numbers told, one a row."""

    list_display = [
        "pk", linked("write"), linked("cell"), units("from_quantity"), units("to_quantity"), "outcome", "message",
        "dirty_at", "answered_at",
    ]  # fmt: skip
    list_filter = ["outcome"]
    list_select_related = ["write", "cell"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup == "cell__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyRows):
    """Yeses to first numbers."""

    list_display = ["pk", linked("connection"), linked("approved_by"), "approved_at", "lines"]
    list_filter = ["connection"]
    list_select_related = ["connection", "approved_by"]

    @admin.display(description="")
    def lines(self, approval: Approval) -> SafeString:
        """What was approved; thousands of rows, so a list and not a part of this page."""
        return rows_of("channels.approvalline", f"approval__id__exact={approval.pk}", "numbers")


@admin.register(ApprovalLine)
class ApprovalLineAdmin(BigRows):
    """What was there before an approval."""

    list_display = ["pk", linked("approval"), linked("cell"), units("before"), units("after")]
    list_select_related = ["approval", "cell"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup == "approval__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(Incident)
class IncidentAdmin(BigRows):
    """What needs a person, or did. It is decided on the shop's own pages, where its numbers stand beside it."""

    list_display = [
        "opened_at", "kind", "severity", "title", linked("merchant"), linked("connection"), "times", "confirmed_at",
        "quiet_at", linked("acknowledged_by"), "snoozed_until", "resolved_at", "resolution", "timeline", "subjects",
    ]  # fmt: skip
    list_filter = [
        "kind", "severity", ("resolved_at", admin.EmptyFieldListFilter), "merchant", "connection",
        ("acknowledged_at", admin.EmptyFieldListFilter), ("confirmed_at", admin.EmptyFieldListFilter),
    ]  # fmt: skip
    list_select_related = ["merchant", "connection", "acknowledged_by"]
    search_fields = ["title", "=key"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The way in from an outage."""
        return lookup == "outage__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="")
    def timeline(self, incident: Incident) -> SafeString:
        """Everything that happened to it."""
        return rows_of("channels.incidentevent", f"incident__id__exact={incident.pk}", "timeline")

    @admin.display(description="")
    def subjects(self, incident: Incident) -> SafeString:
        """What it is about, where that is several."""
        return rows_of("channels.incidentsubject", f"incident__id__exact={incident.pk}", "subjects")


class OfIncident(BigRows):
    """Rows of incidents, reached from one."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The way in from an incident."""
        return lookup == "incident__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(IncidentEvent)
class IncidentEventAdmin(OfIncident):
    """Timelines of incidents; `alerted_at` is when it was decided who is told."""

    list_display = ["at", linked("incident"), "kind", "words", linked("actor"), "alerted_at"]
    list_filter = ["kind", ("alerted_at", admin.EmptyFieldListFilter)]
    list_select_related = ["incident", "actor"]


@admin.register(IncidentSubject)
class IncidentSubjectAdmin(OfIncident):
    """What incidents are about, where one cause met several things."""

    list_display = [
        "pk", linked("incident"), "title", linked("connection"), linked("variant"), linked("cell"), "since", "until",
    ]  # fmt: skip
    list_filter = [("until", admin.EmptyFieldListFilter)]
    list_select_related = ["incident", "connection", "variant", "cell"]


@admin.register(Outage)
class OutageAdmin(BigRows):
    """Vendors that several shops could not reach at once."""

    list_display = ["pk", "channel", "opened_at", "seen_at", "resolved_at", "incidents"]
    list_filter = ["channel", ("resolved_at", admin.EmptyFieldListFilter)]

    @admin.display(description="")
    def incidents(self, outage: Outage) -> SafeString:
        """The shops' own."""
        return rows_of("channels.incident", f"outage__id__exact={outage.pk}", "incidents")


@admin.register(ConnectionRate)
class ConnectionRateAdmin(BigRows):
    """What each channel's rate limit leaves us."""

    list_display = [
        linked("connection"), "left", "most", "unit", "told_at", "calls_before", "calls", "minute_at", "throttled",
        "throttled_at",
    ]  # fmt: skip
    list_filter = [("throttled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["connection"]


@admin.register(SubscriptionRepair)
class SubscriptionRepairAdmin(BigRows):
    """Webhooks that had stopped, and when they came again."""

    list_display = ["pk", linked("connection"), "found_at", "repaired_at", "topics", "error"]
    list_filter = [("repaired_at", admin.EmptyFieldListFilter), "connection"]
    list_select_related = ["connection"]


@admin.register(StockSweep)
class StockSweepAdmin(BigRows):
    """Whole readings of a connection's numbers: how far, how many differed."""

    list_display = [
        "pk", linked("connection"), "started_at", "finished_at", "listings", "cells", "differing", "missing",
    ]  # fmt: skip
    list_filter = [("finished_at", admin.EmptyFieldListFilter), "connection"]
    list_select_related = ["connection"]


@admin.register(StockGap)
class StockGapAdmin(BigRows):
    """Disagreements, with cause and evidence. They are decided and undone on the shop's own pages."""

    list_display = [
        "pk", "seen_at", linked("connection"), linked("listing"), units("expected"), units("observed"), "cause",
        "state", "deed", units("moved"), "closed_at", linked("closed_by", "by"),
    ]  # fmt: skip
    list_filter = ["state", "cause", "deed", "connection", "merchant"]
    list_select_related = ["connection", "listing", "closed_by"]
    search_fields = ["=question"]


@admin.register(RemoteChange)
class RemoteChangeAdmin(BigRows):
    """What others changed at channels, as their feeds told it."""

    list_display = [
        "pk", "occurred_at", linked("connection"), "inventory_id", units("delta"), "cause", "made_by", "by", "app",
        "state",
    ]  # fmt: skip
    list_filter = ["state", "made_by", "connection"]
    list_select_related = ["connection"]
    search_fields = ["=external_id", "=inventory_id", "=app_id"]


class GuardLines(ReadOnlyLines):
    """The numbers of a stopped batch."""

    model = GuardLine
    fields = ["cell", "before", "after"]


@admin.register(GuardStop)
class GuardStopAdmin(BigRows):
    """Batches that a guard stopped. They are answered on the shop's own pages."""

    list_display = ["pk", "opened_at", linked("connection"), "kind", "state", "decided_at", linked("decided_by", "by")]
    list_filter = ["state", "kind", "connection"]
    list_select_related = ["connection", "decided_by"]
    inlines = [GuardLines]


@admin.register(GuardLine)
class GuardLineAdmin(BigRows):
    """Numbers of stopped batches: what they were, what they would have become."""

    list_display = ["pk", linked("stop"), linked("cell"), units("before"), units("after")]
    list_select_related = ["stop", "cell"]


def _connections() -> list[int]:
    """All connections: named, so that indexes that begin with the connection serve."""
    return list(Connection.objects.values_list("pk", flat=True))


def _say(page: Any, request: HttpRequest, *, done: str, refused: list[str]) -> None:
    if done:
        page.message_user(request, done, messages.SUCCESS)
    for words in refused[:10]:
        page.message_user(request, words, messages.WARNING)
    if len(refused) > 10:
        page.message_user(request, f"and {len(refused) - 10} more", messages.WARNING)


@admin.register(AvailabilityRule)
class AvailabilityRuleAdmin(ReadOnlyRows):
    """What may be sold where. Rules are changed on the shop's own page, which shows first what moves."""

    list_display = [
        "__str__", linked("merchant"), linked("variant"), "category", linked("location"), linked("connection"),
        "mode", "is_paused", "note", "deleted_at",
    ]  # fmt: skip
    list_filter = ["mode", ("deleted_at", admin.EmptyFieldListFilter), "merchant"]
    list_select_related = ["merchant", "variant", "location", "connection"]
    search_fields = ["category", "note", "=variant__sku"]


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnlyRows):
    """Who changed which rule, from what to what."""

    list_display = ["at", linked("rule"), linked("actor", "who"), linked("merchant"), "undone_at"]
    list_filter = [("undone_at", admin.EmptyFieldListFilter), "merchant"]
    list_select_related = ["rule", "actor", "merchant"]


@admin.register(RuleWork)
class RuleWorkAdmin(ReadOnlyRows):
    """Products whose rules wait to be worked out; empty most of the time."""

    list_display = ["product_id", "created_at"]


@admin.register(CellPolicy)
class CellPolicyAdmin(BigRows):
    """What all rules come to for each cell, and what its mode rests on."""

    list_display = [
        "cell_id", linked("cell"), "mode", units("safety_stock"), units("channel_buffer"), units("hidden"), "cap",
        "is_paused", "turns_at", "measured_at",
    ]  # fmt: skip
    list_filter = ["mode", "is_paused", "oversell"]
    list_select_related = ["cell"]
