from __future__ import annotations

import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from channels.models import Connection, Listing
from inventory.models import Product, Variant
from storestudio.accounts.models import User
from storestudio.accounts.scoping import MerchantOwned


class ChangeSet(MerchantOwned):
    """Changes of the catalog that were made together, under one name, and can be undone together."""

    class Kind(models.TextChoices):
        IMPORT = "import", "Import"
        FINDING = "finding", "Finding accepted"
        RENAME = "rename", "SKUs renamed"
        MAPPING = "mapping", "Listings mapped"
        EDIT = "edit", "Edited by hand"

    kind = models.CharField(max_length=10, choices=Kind)
    title = models.CharField(max_length=300)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["merchant", "-created_at", "-id"], name="changeset_by_time")]

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"


class Change(models.Model):
    """One row that a change set made or changed: the touched fields before and after, and what undoing it came to.

    `before` None: the row was made. `after` None: it was removed.
    """

    class Undo(models.TextChoices):
        NOT_YET = "", "Not undone"
        REVERSED = "reversed", "Reversed"
        KEPT = "kept", "Kept: edited since"
        COULD_NOT = "could_not", "Could not be reversed"

    changeset = models.ForeignKey(ChangeSet, on_delete=models.CASCADE, related_name="changes")
    table = models.CharField(max_length=20, help_text="Which kind of row: product, variant, alias, listing …")
    row_id = models.BigIntegerField()
    line = models.PositiveIntegerField(null=True, help_text="The row of the file that asked for it.")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    undo = models.CharField(max_length=10, choices=Undo, default=Undo.NOT_YET, blank=True)
    undo_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["changeset", "id"], name="change_in_order"),
            models.Index(fields=["table", "row_id"], name="change_of_row"),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.row_id} in change set {self.changeset_id}"


class ImportBatch(MerchantOwned):
    """One file or channel catalog on its way into the shop's catalog: read, staged, looked at, applied, undone."""

    class State(models.TextChoices):
        READING = "reading", "Being read"
        MAPPING = "mapping", "Waiting for its columns to be named"
        STAGED = "staged", "Waiting for a yes"
        APPLYING = "applying", "Being applied"
        APPLIED = "applied", "Applied"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Could not be read"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"

    class Phase(models.TextChoices):
        NONE = "", "Nothing under way"
        READ = "read", "Reading the rows"
        COMPARE = "compare", "Comparing with what is there"
        REHEARSE = "rehearse", "Rehearsing"
        APPLY = "apply", "Applying"
        UNDO = "undo", "Undoing"

    name = models.CharField(max_length=200)
    format = models.CharField(max_length=40, blank=True, help_text="Which export it is; “channel” for a catalog.")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    file_name = models.CharField(max_length=255, blank=True)
    file_size = models.BigIntegerField(default=0, help_text="Bytes.")
    file_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256.")
    columns = models.JSONField(default=dict, blank=True, help_text="Column → our field, where a person said so.")
    settings = models.JSONField(default=dict, blank=True, help_text="Sheet, locations, whether counts are set …")
    notes = models.JSONField(default=list, blank=True, help_text="What was assumed while reading.")
    state = models.CharField(max_length=10, choices=State, default=State.READING)
    error = models.CharField(max_length=500, blank=True)
    rows_total = models.PositiveIntegerField(null=True, help_text="Known once all are read.")
    rows_read = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="A worker has it until then.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Failures in a row.")
    phase = models.CharField(max_length=10, choices=Phase, blank=True)
    phase_at = models.DateTimeField(null=True, blank=True, help_text="When its present work began: for rate and rest.")
    bytes_read = models.BigIntegerField(default=0)
    work_total = models.PositiveIntegerField(null=True, help_text="Rows the present work has to go through.")
    rehearsal = models.JSONField(default=dict, blank=True, help_text="What the dry run came to.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    changed_at = models.DateTimeField(default=utc_now, help_text="When its state or progress last moved.")
    applied_at = models.DateTimeField(null=True, blank=True)
    changeset = models.OneToOneField(ChangeSet, on_delete=models.PROTECT, null=True, related_name="batch")

    class Meta:
        verbose_name_plural = "import batches"
        indexes = [
            models.Index(fields=["merchant", "-created_at", "-id"], name="importbatch_by_time"),
            models.Index(
                fields=["lease_until"],
                name="importbatch_due",
                condition=Q(state__in=["reading", "applying", "undoing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class ImportChunk(models.Model):
    """A piece of an uploaded file, kept until its rows are staged: any worker on any machine can read it."""

    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="chunks")
    place = models.PositiveIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "place"], name="importchunk_once")]

    def __str__(self) -> str:
        return f"piece {self.place} of batch {self.batch_id}"


class StagedRow(models.Model):
    """One row of an import: what the file says, what that would change, and what became of it."""

    class Action(models.TextChoices):
        NEW = "new", "New"
        CHANGED = "changed", "Changed"
        UNCHANGED = "unchanged", "Unchanged"
        ERROR = "error", "In error"

    class MatchedBy(models.TextChoices):
        NOTHING = "", "Not there yet"
        SKU = "sku", "SKU"
        ALIAS = "alias", "An old SKU"
        GTIN = "gtin", "Barcode"
        TITLE = "title", "Title and options"
        LISTING = "listing", "The listing is linked to it"

    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(help_text="As people count in the file: the header is row 1.")
    raw = models.JSONField(default=dict)
    fields = models.JSONField(default=dict, help_text="Normalised; what the file does not say is left out.")
    problems = models.JSONField(default=list)
    action = models.CharField(max_length=10, choices=Action)
    diff = models.JSONField(default=dict, help_text="Field → [before, after].")
    key = models.CharField(
        max_length=130, blank=True, default="", help_text="What the row is known by: its SKU, else barcode, else title."
    )
    product_key = models.CharField(
        max_length=200, blank=True, default="", help_text="Rows with the same one are variants of one product."
    )
    product = models.ForeignKey(Product, on_delete=models.SET_NULL, null=True, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.SET_NULL, null=True, related_name="+")
    matched_by = models.CharField(max_length=10, choices=MatchedBy, blank=True)
    is_applied = models.BooleanField(default=False)
    outcome = models.CharField(max_length=300, blank=True)
    undo = models.CharField(max_length=10, choices=Change.Undo, default=Change.Undo.NOT_YET, blank=True)
    undo_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="stagedrow_once")]
        indexes = [
            models.Index(fields=["batch", "action", "number"], name="stagedrow_by_action"),
            models.Index(
                fields=["batch", "number"],
                name="stagedrow_to_apply",
                condition=Q(is_applied=False, action__in=["new", "changed"]),
            ),
            models.Index(fields=["batch", "key"], name="stagedrow_by_key"),
            models.Index(fields=["batch", "product_key"], name="stagedrow_by_product"),
        ]

    def __str__(self) -> str:
        return f"row {self.number} of batch {self.batch_id}"


class ColumnMapping(MerchantOwned):
    """How a shop's file with these column headings was read last time."""

    signature = models.CharField(max_length=64)
    columns = models.JSONField(default=dict)
    used_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "signature"], name="columnmapping_once")]

    def __str__(self) -> str:
        return f"columns {self.signature[:8]}"


class Finding(MerchantOwned):
    """Something that looks wrong in the catalog, with its evidence and what would mend it; decided by a person."""

    class Kind(models.TextChoices):
        DUPLICATE = "duplicate", "The same thing twice"
        FAMILY = "family", "Variants of one product"
        OPTION = "option", "Option values to standardise"
        SKU_MISSING = "sku_missing", "SKU missing"
        SKU_REPEATED = "sku_repeated", "SKU on more than one thing"
        SKU_COLLIDES = "sku_collides", "SKU means different things"
        SKU_PATTERN = "sku_pattern", "SKU off the pattern"
        SKU_DAMAGED = "sku_damaged", "SKU damaged by a spreadsheet"
        GTIN = "gtin", "Barcode wrong"
        UNTRACKED = "untracked", "Stock not tracked"
        OVERSELLING = "overselling", "Sells on at zero"
        PRICE = "price", "Price out of line"
        ARCHIVED = "archived", "Archived but stocked"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        GONE = "gone", "No longer so"

    kind = models.CharField(max_length=12, choices=Kind)
    key = models.CharField(max_length=200, help_text="The same finding again has the same key.")
    title = models.CharField(max_length=300)
    evidence = models.JSONField(default=list, help_text="[words, weight] each.")
    members = models.JSONField(default=list, help_text="What it is about: variants, listings, values.")
    proposal = models.JSONField(default=dict, help_text="What accepting it does.")
    confidence = models.FloatField(default=0.5, help_text="0 to 1: how sure the proposal is right.")
    risk = models.FloatField(default=0, help_text="Oversell risk × units × value: what the queue is ranked by.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    skipped_at = models.DateTimeField(null=True, blank=True, help_text="Put to the end of the queue.")
    found_at = models.DateTimeField(default=utc_now)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    changeset = models.ForeignKey(ChangeSet, on_delete=models.PROTECT, null=True, blank=True, related_name="findings")
    overtaken_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="overtook", help_text="Why it is gone."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "kind", "key"], name="finding_once")]
        indexes = [
            GinIndex(
                fields=["members"],
                name="finding_by_member",
                opclasses=["jsonb_path_ops"],
                condition=Q(state="open"),
            ),
            models.Index(fields=["merchant", "-risk", "id"], name="finding_queue", condition=Q(state="open")),
            models.Index(fields=["merchant", "-decided_at"], name="finding_decided"),
        ]

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"


class FindingRun(MerchantOwned):
    """The last time a shop's catalog was looked through for findings, and whether it is to be done again."""

    asked_at = models.DateTimeField(null=True, blank=True, help_text="Somebody wants it done; None: nothing to do.")
    lease_until = models.DateTimeField(null=True, blank=True, help_text="A worker has it until then.")
    stage = models.CharField(max_length=60, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    looked_at = models.DateTimeField(null=True, blank=True, help_text="When the last look that has ended began.")
    counts = models.JSONField(default=dict, blank=True, help_text="New, still so, gone, answered by rule.")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant"], name="findingrun_one_per_shop")]
        indexes = [
            models.Index(fields=["asked_at"], name="findingrun_due", condition=Q(asked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"look at the catalog of merchant {self.merchant_id}"


class BulkAcceptance(MerchantOwned):
    """Findings that a person accepted all at once, and how many of them have been carried out."""

    confidence = models.FloatField(help_text="Accepted are those at least this sure.")
    kind = models.CharField(max_length=20, choices=Finding.Kind, blank=True, help_text="Only these; blank: all kinds.")
    findings = models.JSONField(help_text="Their ids, in the order they are carried out: what the person said yes to.")
    done = models.PositiveIntegerField(default=0, help_text="How many of them were tried.")
    accepted = models.PositiveIntegerField(default=0, help_text="The others ask a question first, or cannot be done.")
    changeset = models.ForeignKey(ChangeSet, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(default=utc_now)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="A worker has it until then.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant"], condition=Q(ended_at=None), name="bulkacceptance_one_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["merchant", "-asked_at"], name="bulkacceptance_newest")]

    def __str__(self) -> str:
        return f"{len(self.findings)} findings at least {self.confidence:.0%} sure"


class ListingWish(MerchantOwned):
    """A field that one listing should have on its channel; written there only with a batch that a person approves."""

    class Field(models.TextChoices):
        SKU = "sku", "SKU"
        GTIN = "gtin", "Barcode"
        IS_TRACKED = "is_tracked", "Stock tracked"
        SELLS_PAST_ZERO = "sells_past_zero", "Sells on at zero"

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="wishes")
    field = models.CharField(max_length=20, choices=Field)
    value = models.JSONField()
    made_at = models.DateTimeField(default=utc_now)

    class Meta:
        verbose_name_plural = "listing wishes"
        constraints = [models.UniqueConstraint(fields=["listing", "field"], name="listingwish_once")]

    def __str__(self) -> str:
        return f"{self.field} of listing {self.listing_id}"


class CleanupRule(MerchantOwned):
    """A decision kept: the next import that raises the same question is answered the same way."""

    kind = models.CharField(max_length=12, choices=Finding.Kind)
    key = models.CharField(max_length=200)
    decision = models.CharField(max_length=10, choices=Finding.State)
    proposal = models.JSONField(default=dict, help_text="As accepted, edits included.")
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(default=utc_now)
    times_used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "kind", "key"], name="cleanuprule_once")]

    def __str__(self) -> str:
        return f"{self.decision} {self.kind} {self.key}"


class Suggestion(MerchantOwned):
    """A listing and the variant it may be, with what speaks for and against it."""

    class Verdict(models.TextChoices):
        AUTO = "auto", "Certain"
        REVIEW = "review", "To be looked at"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        GONE = "gone", "Overtaken"

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="suggestions")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="suggestions")
    score = models.FloatField(help_text="Probability, 0 to 1.")
    verdict = models.CharField(max_length=6, choices=Verdict)
    is_best = models.BooleanField(default=False, help_text="The one-to-one assignment chose it.")
    evidence = models.JSONField(default=list, help_text="[words, weight] each.")
    information = models.FloatField(default=0, help_text="How much the answer teaches: the queue asks the most first.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    skipped_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(default=utc_now)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    changeset = models.ForeignKey(
        ChangeSet,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="suggestions",
        help_text="What decided it.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "variant"], name="suggestion_once")]
        indexes = [
            models.Index(
                fields=["merchant", "-information", "id"],
                name="suggestion_queue",
                condition=Q(state="open", is_best=True),
            ),
        ]

    def __str__(self) -> str:
        return f"listing {self.listing_id} as variant {self.variant_id}"


class MappingRun(MerchantOwned):
    """The last time a connection's waiting listings were compared with the catalog, and how sure that was."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="mapping_run")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="Somebody wants it done; None: nothing to do.")
    lease_until = models.DateTimeField(null=True, blank=True, help_text="A worker has it until then.")
    stage = models.CharField(max_length=60, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    built_at = models.DateTimeField(null=True, blank=True)
    seen_to = models.BigIntegerField(default=0, help_text="The newest listing there was when it was last done.")
    auto_from = models.FloatField(default=1.1, help_text="Probability from which on a suggestion is certain.")
    auto_error = models.FloatField(default=0, help_text="Share of wrong ones to expect among the certain.")
    review_from = models.FloatField(default=0.5, help_text="Less probable ones are not shown.")
    review_error = models.FloatField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["asked_at"], name="mappingrun_due", condition=Q(asked_at__isnull=False))]

    def __str__(self) -> str:
        return f"mapping of connection {self.connection_id}"


class SkuPattern(MerchantOwned):
    """How a shop writes its SKUs."""

    pattern = models.CharField(max_length=120)
    changed_at = models.DateTimeField(default=utc_now)
    changed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant"], name="skupattern_one_per_shop")]

    def __str__(self) -> str:
        return self.pattern


class CatalogWrite(MerchantOwned):
    """Cleaned fields on their way back to one channel: previewed, approved, sent once, and undoable."""

    class State(models.TextChoices):
        DRAFT = "draft", "Waiting for a yes"
        SENDING = "sending", "Being sent"
        DONE = "done", "Sent"
        CANCELLED = "cancelled", "Cancelled"

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    undoes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="A worker has it until then.")
    next_attempt_at = models.DateTimeField(default=utc_now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Calls failed in a row.")
    error = models.CharField(max_length=300, blank=True, help_text="Why the last call failed.")
    notes = models.JSONField(default=list, blank=True, help_text="What differs and cannot be written, in words.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(state="sending"), name="catalogwrite_one_sending_per_connection"
            )
        ]
        indexes = [
            models.Index(fields=["merchant", "-created_at", "-id"], name="catalogwrite_by_time"),
            models.Index(fields=["next_attempt_at"], name="catalogwrite_due", condition=Q(state="sending")),
        ]

    def __str__(self) -> str:
        return f"catalog write to connection {self.connection_id} #{self.pk}"


class CatalogWriteLine(models.Model):
    """One listing's fields to be written: what was there (the snapshot), what shall be, and what the channel said.

    `own` is the channel's own document right before the write, kept so that undoing restores it to the byte;
    `put_back` is such a document of an earlier write.
    """

    class Outcome(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPLIED = "applied", "Applied"
        STALE = "stale", "It had changed there"
        REFUSED = "refused", "Refused"

    write = models.ForeignKey(CatalogWrite, on_delete=models.CASCADE, related_name="lines")
    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.UUIDField(default=uuid.uuid4, help_text="Of the call; lines that go together share it.")
    before = models.JSONField(help_text="The fields it is about, as they were.")
    after = models.JSONField()
    flags = models.JSONField(default=list, blank=True)
    is_excluded = models.BooleanField(default=False, help_text="Left out by a person.")
    own = models.JSONField(null=True, blank=True)
    put_back = models.JSONField(null=True, blank=True)
    goes_alone = models.BooleanField(default=False, help_text="A call that held it with others was refused.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="Its call may be under way, or be repeated.")
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.WAITING)
    message = models.CharField(max_length=300, blank=True)
    there = models.JSONField(null=True, blank=True, help_text="What was there instead, where it had changed.")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["write", "listing"], name="catalogwriteline_once")]
        indexes = [
            models.Index(fields=["write", "id"], name="catalogwriteline_waiting", condition=Q(outcome="waiting"))
        ]

    def __str__(self) -> str:
        return f"listing {self.listing_id} in catalog write {self.write_id}"
