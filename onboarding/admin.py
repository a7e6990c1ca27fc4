"""Admin: what was found in catalogs, how it was decided, and what listings should be like. Only to be looked at."""

from __future__ import annotations

from django.contrib import admin

from onboarding.models import CleanupRule, Finding, FindingRun, ListingWish
from storestudio.accounts.backoffice import BigRows, ReadOnlyRows, linked


@admin.register(Finding)
class FindingAdmin(BigRows):
    """Findings; they are decided on the desk."""

    list_display = ["title", "kind", "state", "risk", "confidence", "found_at", "decided_at", linked("decided_by")]
    list_filter = ["kind", "state", "merchant"]
    search_fields = ["title", "key"]
    list_select_related = ["decided_by", "merchant"]


@admin.register(CleanupRule)
class CleanupRuleAdmin(BigRows):
    """Decisions kept as rules."""

    list_display = ["key", "kind", "decision", "times_used", "made_at", linked("made_by")]
    list_filter = ["kind", "decision", "merchant"]
    search_fields = ["key"]
    list_select_related = ["made_by", "merchant"]


@admin.register(FindingRun)
class FindingRunAdmin(ReadOnlyRows):
    """When each shop's catalog was looked through."""

    list_display = ["__str__", linked("merchant"), "asked_at", "lease_until", "stage", "looked_at", "error"]
    list_select_related = ["merchant"]
    ordering = ["-pk"]


@admin.register(ListingWish)
class ListingWishAdmin(BigRows):
    """What listings should be like on their channel, until a write-back has sent it."""

    list_display = ["__str__", linked("listing"), "field", "value", "made_at"]
    list_filter = ["field", "merchant"]
    list_select_related = ["listing"]
