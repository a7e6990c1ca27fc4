"""Admin: what was found in catalogs, imported, changed and written back. Only to be looked at."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from onboarding.models import (
    BulkAcceptance,
    CatalogWrite,
    CatalogWriteLine,
    Change,
    ChangeSet,
    CleanupRule,
    ColumnMapping,
    Finding,
    FindingRun,
    ImportBatch,
    ImportChunk,
    ListingWish,
    MappingRun,
    SkuPattern,
    StagedRow,
    Suggestion,
)
from storestudio.accounts.backoffice import BigRows, ReadOnlyRows, linked, rows_of


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


@admin.register(BulkAcceptance)
class BulkAcceptanceAdmin(ReadOnlyRows):
    """Findings accepted all at once, and how far that is; undone from the desk."""

    list_display = [
        "__str__", linked("merchant"), linked("actor"), "asked_at", "done", "accepted", "lease_until", "ended_at",
        linked("changeset", "changes"),
    ]  # fmt: skip
    list_filter = ["merchant"]
    list_select_related = ["merchant", "actor", "changeset"]
    ordering = ["-pk"]


@admin.register(ListingWish)
class ListingWishAdmin(BigRows):
    """What listings should be like on their channel, until a write-back has sent it."""

    list_display = ["__str__", linked("listing"), "field", "value", "made_at"]
    list_filter = ["field", "merchant"]
    list_select_related = ["listing"]


@admin.register(ImportBatch)
class ImportBatchAdmin(BigRows):
    """Imports; they are approved, stopped and undone on their pages."""

    list_display = [
        "name", linked("merchant"), "state", "phase", "format", "rows_total", "rows_done", "lease_until", "created_at",
        linked("created_by"), "rows", linked("changeset", "changes"), "error",
    ]  # fmt: skip
    list_filter = ["state", "format", "merchant"]
    search_fields = ["name", "file_name", "file_digest"]
    list_select_related = ["merchant", "created_by", "changeset"]

    @admin.display(description="rows")
    def rows(self, batch: ImportBatch) -> SafeString:
        """Its staged rows."""
        return rows_of("onboarding.stagedrow", f"batch__id__exact={batch.pk}", "rows")


@admin.register(ImportChunk)
class ImportChunkAdmin(BigRows):
    """Pieces of files that are still being read; what is in them is not shown."""

    list_display = ["pk", linked("batch"), "place"]
    exclude = ["body"]
    list_select_related = ["batch"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportChunk]:
        """Without the bytes: a page of them would be many megabytes."""
        pieces: QuerySet[ImportChunk] = super().get_queryset(request)
        return pieces.defer("body")


@admin.register(StagedRow)
class StagedRowAdmin(BigRows):
    """Rows of imports: what each said, would change, and came to."""

    list_display = [
        "number", linked("batch"), "key", "action", "matched_by", linked("variant"), "is_applied", "outcome", "undo",
        "undo_reason",
    ]  # fmt: skip
    list_filter = ["action", "undo"]
    search_fields = ["key"]
    list_select_related = ["batch", "variant"]


@admin.register(ChangeSet)
class ChangeSetAdmin(BigRows):
    """Changes of the catalog that belong together, with their way back."""

    list_display = [
        "title", linked("merchant"), "kind", "created_at", linked("actor", "who"), "undone_at", linked("undone_by"),
        "changed",
    ]  # fmt: skip
    list_filter = ["kind", ("undone_at", admin.EmptyFieldListFilter), "merchant"]
    search_fields = ["title"]
    list_select_related = ["merchant", "actor", "undone_by"]

    @admin.display(description="changes")
    def changed(self, changeset: ChangeSet) -> SafeString:
        """Its rows before and after."""
        return rows_of("onboarding.change", f"changeset__id__exact={changeset.pk}", "changes")


@admin.register(Change)
class ChangeAdmin(BigRows):
    """One row before and after, and what undoing it came to."""

    list_display = ["pk", linked("changeset"), "table", "row_id", "line", "before", "after", "undo", "undo_reason"]
    list_filter = ["table", "undo"]
    search_fields = ["=row_id"]
    list_select_related = ["changeset"]


@admin.register(ColumnMapping)
class ColumnMappingAdmin(BigRows):
    """How each shop named the columns of its files."""

    list_display = ["__str__", linked("merchant"), "columns", "used_at"]
    list_filter = ["merchant"]
    list_select_related = ["merchant"]


@admin.register(MappingRun)
class MappingRunAdmin(ReadOnlyRows):
    """When each connection's listings were compared with the catalog, and how sure that was."""

    list_display = [
        "__str__", linked("merchant"), linked("connection"), "asked_at", "lease_until", "stage", "built_at",
        "auto_from", "auto_error", "review_from", "review_error", "error",
    ]  # fmt: skip
    list_select_related = ["merchant", "connection"]
    ordering = ["-pk"]


@admin.register(SkuPattern)
class SkuPatternAdmin(ReadOnlyRows):
    """How shops write their SKUs; set by renaming in the SKU designer."""

    list_display = ["pattern", linked("merchant"), "changed_at", linked("changed_by")]
    list_select_related = ["merchant", "changed_by"]
    search_fields = ["pattern"]


@admin.register(Suggestion)
class SuggestionAdmin(BigRows):
    """Which listing may be which variant; decided on the mapping desk."""

    list_display = [
        "__str__", linked("listing"), linked("variant"), "score", "verdict", "is_best", "state", "made_at",
        "decided_at", linked("decided_by"),
    ]  # fmt: skip
    list_filter = ["state", "verdict", "is_best", "merchant"]
    list_select_related = ["listing", "variant", "decided_by"]


@admin.register(CatalogWrite)
class CatalogWriteAdmin(BigRows):
    """Cleaned fields on their way back to a channel; approved, stopped and undone on their pages."""

    list_display = [
        "__str__", linked("merchant"), linked("connection"), "state", "created_at", linked("approved_by"),
        "finished_at", "lease_until", "attempts", linked("undoes"), "lines", "error",
    ]  # fmt: skip
    list_filter = ["state", "merchant", "connection"]
    list_select_related = ["merchant", "connection", "approved_by", "undoes"]

    @admin.display(description="listings")
    def lines(self, write: CatalogWrite) -> SafeString:
        """Its listings before and after."""
        return rows_of("onboarding.catalogwriteline", f"write__id__exact={write.pk}", "listings")


@admin.register(CatalogWriteLine)
class CatalogWriteLineAdmin(BigRows):
    """Listings of write-backs: what was there, what was sent, what the channel said."""

    list_display = [
        "pk", linked("write"), linked("listing"), "before", "after", "is_excluded", "sent_at", "outcome", "message",
    ]  # fmt: skip
    list_filter = ["outcome", "is_excluded"]
    search_fields = ["=idempotency_key", "=listing__sku"]
    list_select_related = ["write", "listing"]
