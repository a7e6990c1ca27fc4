from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now
from django.utils.timezone import now as utc_now

from inventory.models import ZERO, Location, Order, OrderLine, Variant, quantity_field
from storestudio.accounts.models import User
from storestudio.accounts.scoping import MerchantOwned, MerchantQuerySet


def in_an_hour() -> datetime:
    """When the webhooks of a connection that was just made are looked at first: connecting subscribes them."""
    return utc_now() + timedelta(hours=1)


def new_webhook_token() -> str:
    """The unguessable part of a connection's webhook address."""
    return secrets.token_urlsafe(24)


class Connection(MerchantOwned):
    """One account at one channel: how to reach it, how far we have read, whether we may write."""

    class State(models.TextChoices):
        PAUSED = "paused", "Paused"
        LIVE = "live", "Live"
        RECONNECT = "reconnect", "Reconnect needed"
        CLOSED = "closed", "Disconnected"

    class Number(models.TextChoices):
        """Which of our numbers the channel's own number stands for."""

        AVAILABLE = "available", "Available: its own open orders are already taken off"
        IN_STOCK = "in_stock", "In stock: it takes its own orders off when they complete"

    channel = models.CharField(max_length=30, help_text="Name in the registry.")
    label = models.CharField(max_length=120)
    state = models.CharField(max_length=12, choices=State, default=State.PAUSED)
    state_reason = models.CharField(max_length=300, blank=True)
    account_id = models.CharField(max_length=200, help_text="The account's own id or domain at the channel.")
    base_url = models.URLField(max_length=300, help_text="Where its API is served.")
    number = models.CharField(max_length=10, choices=Number)
    can_be_set_negative = models.BooleanField(default=False)
    takes_fractions = models.BooleanField(default=False)
    credentials = models.BinaryField(editable=False, help_text="Encrypted; see channels.credentials.")
    credentials_kid = models.CharField(max_length=20, editable=False)
    token_expires_at = models.DateTimeField(null=True)
    webhook_token = models.CharField(max_length=64, unique=True, default=new_webhook_token)
    created_at = models.DateTimeField(default=utc_now)
    opened_at = models.DateTimeField(null=True, help_text="Orders placed earlier are history: stock already knew.")
    approved_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    orders_read_until = models.DateTimeField(null=True, help_text="Watermark of the order feed, the channel's clock.")
    changes_read_until = models.DateTimeField(null=True, help_text="Watermark of the stock-change feed.")
    catalog_read_until = models.DateTimeField(null=True)
    # Where the channel numbers its changes, the feeds go on from here (channels.ports, `resume`).
    orders_cursor = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)
    changes_cursor = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)
    catalog_cursor = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)
    write_mark = models.BigIntegerField(
        default=0, db_default=0, editable=False, help_text="Of the newest write it acknowledged, where it has marks."
    )
    polled_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True, help_text="When some of its numbers were read again for no reason.")
    updates_every_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="It takes our numbers, or gives its news, only this often; empty: at once."
    )
    last_heard_at = models.DateTimeField(null=True)
    resting_until = models.DateTimeField(null=True, help_text="No calls before: rate limit or open breaker.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls failed in a row.")
    last_error = models.CharField(max_length=500, blank=True)
    read_whole_at = models.DateTimeField(null=True, help_text="When the last whole reading of its numbers began.")
    guard_cells = models.PositiveIntegerField(default=200, help_text="No more numbers than this are cut at once.")
    guard_share = models.DecimalField(
        max_digits=4, decimal_places=3, default=Decimal("0.2"), help_text="Nor more than this share of its numbers."
    )
    subscriptions_due_at = models.DateTimeField(
        null=True, default=in_an_hour, help_text="When its webhook subscriptions are looked at next; empty: now."
    )
    subscriptions_checked_at = models.DateTimeField(null=True, help_text="When they were last seen as they should be.")
    api_version = models.CharField(
        max_length=30, blank=True, default="", db_default="", help_text="As the channel reported it last, if it does."
    )
    trusted_apps = models.JSONField(
        default=list, blank=True, help_text="Ids of other apps there whose changes of stock are booked unasked."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(guard_share__gt=0) & Q(guard_share__lte=1), name="connection_guard_share_is_a_share"
            ),
            models.UniqueConstraint(
                fields=["merchant", "channel", "account_id"],
                condition=~Q(state="closed"),
                name="connection_once_per_account",
            ),
            models.CheckConstraint(
                condition=~Q(state="live") | Q(approved_at__isnull=False), name="connection_live_only_if_approved"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} #{self.pk}"


class ConnectionWork(models.Model):
    """The lease on one kind of work for one connection; a worker that dies lets it run out."""

    class Kind(models.TextChoices):
        INBOX = "inbox", "Apply what came in"
        PUBLISH = "publish", "Send what is due"
        POLL = "poll", "Read what webhooks may have missed"
        WEBHOOKS = "webhooks", "See that its webhooks still come"
        COMMANDS = "commands", "Carry out what people asked for"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="work")
    kind = models.CharField(max_length=8, choices=Kind)
    leased_until = models.DateTimeField(default=utc_now)
    lease = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "kind"], name="work_one_lease_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of connection {self.connection_id}"


class ConnectionRate(models.Model):
    """What a channel's rate limit leaves us: as its answers tell, or, where they do not, the calls we count."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, primary_key=True, related_name="rate")
    left = models.FloatField(null=True)
    most = models.FloatField(null=True)
    unit = models.CharField(max_length=40, blank=True, help_text="What the vendor counts.")
    told_at = models.DateTimeField(null=True, help_text="When it last told.")
    minute_at = models.DateTimeField(help_text="The minute that `calls` counts.")
    calls = models.PositiveIntegerField(default=0)
    calls_before = models.PositiveIntegerField(default=0, help_text="Calls of the minute before.")
    throttled_at = models.DateTimeField(null=True, help_text="When it last asked us to slow down.")
    throttled = models.PositiveIntegerField(default=0, help_text="How often it did, each within an hour of the last.")

    def __str__(self) -> str:
        return f"rate of connection {self.connection_id}"


class ChannelLocation(MerchantOwned):
    """A place as the channel knows it; a person says which of our locations it is."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="locations")
    external_id = models.CharField(max_length=120)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, related_name="channel_locations")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="channellocation_once"),
            models.UniqueConstraint(
                fields=["connection", "location"],
                condition=Q(location__isnull=False),
                name="channellocation_one_per_location",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of connection {self.connection_id}"


class Listing(MerchantOwned):
    """A variant as one channel lists it; linked to one variant of ours, or waiting, or excluded on purpose."""

    class Link(models.TextChoices):
        UNLINKED = "unlinked", "Waiting to be linked"
        LINKED = "linked", "Linked"
        EXCLUDED = "excluded", "Excluded on purpose"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="listings")
    external_id = models.CharField(max_length=120, help_text="What orders name.")
    inventory_id = models.CharField(max_length=120, help_text="What counts are kept under.")
    product_external_id = models.CharField(max_length=120, blank=True)
    product_title = models.CharField(max_length=300, blank=True)
    title = models.CharField(max_length=300, blank=True)
    sku = models.CharField("SKU", max_length=200, blank=True)
    sku_key = models.CharField(max_length=200, blank=True)
    gtin = models.CharField("GTIN", max_length=14, blank=True)
    barcode = models.CharField(max_length=255, blank=True, default="", help_text="As the channel keeps it.")
    options = models.JSONField(default=dict, blank=True)
    vendor = models.CharField(max_length=120, blank=True)
    category = models.CharField(max_length=120, blank=True)
    image_url = models.URLField(max_length=500, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    is_tracked = models.BooleanField(default=True, help_text="The channel counts it; an untracked one is not zero.")
    sells_past_zero = models.BooleanField(default=False)
    external_updated_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, null=True, related_name="listings")
    link = models.CharField(max_length=10, choices=Link, default=Link.UNLINKED)
    link_reason = models.CharField(max_length=200, blank=True)
    linked_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="listing_once_per_connection"),
            models.UniqueConstraint(
                fields=["connection", "variant"],
                condition=Q(variant__isnull=False),
                name="listing_one_per_variant_and_connection",
            ),
            models.CheckConstraint(
                condition=Q(link="linked", variant__isnull=False) | (~Q(link="linked") & Q(variant__isnull=True)),
                name="listing_linked_means_variant",
            ),
        ]
        indexes = [
            models.Index(fields=["variant"], name="listing_of_variant"),
            models.Index(fields=["connection", "inventory_id"], name="listing_by_inventory_id"),
            models.Index(fields=["connection", "sku_key"], name="listing_by_sku"),
        ]

    def __str__(self) -> str:
        return f"{self.sku or self.title} on connection {self.connection_id}"


class ChannelStock(MerchantOwned):
    """One cell of a channel (listing at location): what it should show, what we believe it shows, what it told us."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="cells")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="cells")
    channel_location = models.ForeignKey(ChannelLocation, on_delete=models.CASCADE, related_name="cells")
    desired = quantity_field(null=True, default=None, help_text="What the rules say it should show.")
    expected = quantity_field(
        null=True, default=None, help_text="Last acknowledged write plus the channel's own orders since."
    )
    observed = quantity_field(null=True, default=None, help_text="What it last told us.")
    observed_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When it last acknowledged a write of ours.")
    doubt = quantity_field(help_text="Units missing there without cause; all other channels hold them back.")
    drift_at = models.DateTimeField(null=True, help_text="Since when observed differs from expected, unexplained.")
    recheck_at = models.DateTimeField(null=True, help_text="When to read it again.")
    dirty_at = models.DateTimeField(null=True, help_text="Since when desired differs from expected.")
    cause_event_id = models.BigIntegerField(null=True, help_text="The inbox event that moved it last.")
    cause_occurred_at = models.DateTimeField(null=True, help_text="When the oldest unpublished cause happened.")
    write = models.ForeignKey("channels.ChannelWrite", on_delete=models.SET_NULL, null=True, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    blocked_reason = models.CharField(max_length=300, blank=True, help_text="Not written until a person says so.")
    missing_at = models.DateTimeField(null=True, help_text="Since when it is not mentioned there any more: not zero.")
    held_by = models.ForeignKey(
        "channels.GuardStop", on_delete=models.SET_NULL, null=True, blank=True, related_name="held_cells"
    )
    guard_passed_at = models.DateTimeField(null=True, help_text="When a person said that it may drop.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listing", "channel_location"], name="channelstock_one_per_cell"),
            models.CheckConstraint(condition=Q(doubt__gte=0), name="channelstock_doubt_not_negative"),
        ]
        indexes = [
            models.Index(
                fields=["connection", "dirty_at"],
                name="channelstock_due",
                condition=Q(dirty_at__isnull=False, write__isnull=True, blocked_reason=""),
            ),
            models.Index(
                fields=["connection", "recheck_at"], name="channelstock_recheck", condition=Q(recheck_at__isnull=False)
            ),
            models.Index(fields=["channel_location"], name="channelstock_of_location"),
            models.Index(fields=["merchant"], name="channelstock_drift", condition=Q(drift_at__isnull=False)),
            models.Index(fields=["merchant"], name="channelstock_blocked", condition=~Q(blocked_reason="")),
            models.Index(fields=["merchant"], name="channelstock_dirty", condition=Q(dirty_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"listing {self.listing_id} at channel location {self.channel_location_id}"


class AvailabilityRule(MerchantOwned):
    """What may be sold of some goods, at some places, on some channels; what it leaves empty, others decide.

    Where it holds: `variant` or `category`, `location`, `connection`; an empty one means all. Each setting is decided
    apart, by the most specific rule that says something of it (docs/availability.md). Deleted ones stay for history.
    """

    class Mode(models.TextChoices):
        SHARED = "shared", "Shared"
        BUFFERED = "buffered", "Buffered"
        ESCROW = "escrow", "Set aside"

    class Oversell(models.TextChoices):
        """Whether more may be sold than there is: up to units that are on their way, by a date."""

        NEVER = "never", "Never"
        BACKORDER = "backorder", "Backorder"
        PREORDER = "preorder", "Pre-order"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    category = models.CharField(max_length=120, blank=True)
    location = models.ForeignKey(Location, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="rules")
    safety_stock = quantity_field(null=True, blank=True, default=None, help_text="Never sold, at each place.")
    channel_buffer = quantity_field(
        null=True, blank=True, default=None, help_text="Kept from the channel besides, at each place."
    )
    share_percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, help_text="Of what is left then, in percent."
    )
    cap = quantity_field(
        null=True, blank=True, default=None, help_text="At most so many: on a channel, or at the place."
    )
    is_paused = models.BooleanField(null=True, blank=True, help_text="Sells nothing.")
    is_tracked = models.BooleanField(null=True, blank=True, help_text="No: its number is never told.")
    mode = models.CharField(max_length=8, choices=Mode, blank=True)
    oversell = models.CharField(max_length=9, choices=Oversell, blank=True)
    oversell_max = quantity_field(
        null=True,
        blank=True,
        default=None,
        help_text="Units beyond the shelf; empty: what is on its way and has a day.",
    )
    promised_date = models.DateField(
        null=True, blank=True, help_text="Promised by; empty: the day of what is on its way."
    )
    message = models.CharField(max_length=200, blank=True, help_text="What customers are told.")
    sells_from = models.DateTimeField(null=True, blank=True)
    first_connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Sells it first."
    )
    first_until = models.DateTimeField(null=True, blank=True, help_text="From then on the others sell it too.")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(variant=None) | Q(category=""), name="availabilityrule_variant_or_category"
            ),
            models.CheckConstraint(
                condition=Q(safety_stock__isnull=False)
                | Q(channel_buffer__isnull=False)
                | Q(share_percent__isnull=False)
                | Q(cap__isnull=False)
                | Q(is_paused__isnull=False)
                | Q(is_tracked__isnull=False)
                | ~Q(mode="")
                | ~Q(oversell="")
                | Q(sells_from__isnull=False)
                | Q(first_until__isnull=False),
                name="availabilityrule_says_something",
            ),
            models.CheckConstraint(
                condition=(Q(safety_stock=None) | Q(safety_stock__gte=0))
                & (Q(channel_buffer=None) | Q(channel_buffer__gte=0))
                & (Q(cap=None) | Q(cap__gte=0))
                & (Q(oversell_max=None) | Q(oversell_max__gte=0))
                & (Q(share_percent=None) | Q(share_percent__gte=0, share_percent__lte=100)),
                name="availabilityrule_sane_numbers",
            ),
            models.CheckConstraint(
                condition=Q(first_connection=None, first_until=None)
                | Q(first_connection__isnull=False, first_until__isnull=False),
                name="availabilityrule_stage_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="availabilityrule_ends_after_start",
            ),
        ]
        indexes = [
            models.Index(
                fields=["merchant"], name="availabilityrule_broad", condition=Q(variant=None, deleted_at=None)
            ),
            models.Index(
                fields=["variant"], name="availabilityrule_variant", condition=Q(variant__isnull=False, deleted_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"rule #{self.pk}"


class RuleChange(MerchantOwned):
    """One change of a rule by a person: what it said before and after (nothing: it was not there), to be undone."""

    rule = models.ForeignKey(AvailabilityRule, on_delete=models.CASCADE, related_name="changes")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=utc_now)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["merchant", "-at", "-id"], name="rulechange_by_time")]

    def __str__(self) -> str:
        return f"change #{self.pk} of rule {self.rule_id}"


class RuleWork(models.Model):
    """A product whose category changed: which rules hold for it must be worked out again."""

    product_id = models.BigIntegerField()
    created_at = models.DateTimeField(default=utc_now, db_default=Now())

    def __str__(self) -> str:
        return f"product {self.product_id}"


class CellPolicy(models.Model):
    """What all rules come to for one cell, and what was measured for its mode; a cell without one has no rule.

    Worked out by `channels_resolve` (channels/sql/rules.sql) when rules, goods or times change, so that a posting
    reads one row a cell. `decided` says which rule decided each setting.
    """

    cell = models.OneToOneField(ChannelStock, on_delete=models.CASCADE, primary_key=True, related_name="policy")
    mode = models.CharField(max_length=8, choices=AvailabilityRule.Mode, default="shared", db_default="shared")
    safety_stock = quantity_field(db_default=ZERO)
    channel_buffer = quantity_field(db_default=ZERO)
    share_percent = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    cap = quantity_field(null=True, default=None)
    is_paused = models.BooleanField(default=False, db_default=False)
    is_tracked = models.BooleanField(default=True, db_default=True)
    sells_from = models.DateTimeField(null=True)
    oversell = models.CharField(max_length=9, choices=AvailabilityRule.Oversell, default="never", db_default="never")
    oversell_max = quantity_field(null=True, default=None)
    oversell_until = models.DateTimeField(
        null=True, help_text="The end of the rule's day, at the shop; empty without one."
    )
    promised_date = models.DateField(null=True)
    message = models.CharField(max_length=200, blank=True, default="", db_default="")
    decided = models.JSONField(default=dict, db_default=Value({}, output_field=models.JSONField()))
    turns_at = models.DateTimeField(null=True, help_text="When it must be worked out again.")
    hidden = quantity_field(db_default=ZERO, help_text="What the mode “buffered” keeps back.")
    weight = models.BigIntegerField(
        default=1, db_default=1, help_text="Its part in the mode “set aside”: units sold lately, and one."
    )
    measured = models.JSONField(
        default=dict, db_default=Value({}, output_field=models.JSONField()), help_text="Sales and latency behind these."
    )
    measured_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "cell policies"
        indexes = [
            models.Index(fields=["turns_at"], name="cellpolicy_turns", condition=Q(turns_at__isnull=False)),
            models.Index(fields=["mode"], name="cellpolicy_measured", condition=~Q(mode="shared")),
        ]

    def __str__(self) -> str:
        return f"policy of cell {self.cell_id}"


class InboundEvent(MerchantOwned):
    """The inbox: one webhook as it arrived, bytes and all, and what became of it."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        DONE = "done", "Applied"
        IGNORED = "ignored", "Ignored"
        QUARANTINED = "quarantined", "In quarantine"
        DISCARDED = "discarded", "Discarded"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="events")
    topic = models.CharField(max_length=100, blank=True)
    dedupe_key = models.CharField(max_length=200)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    occurred_at = models.DateTimeField(null=True, help_text="The channel's clock.")
    received_at = models.DateTimeField(default=utc_now)
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    outcome = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=utc_now)
    applied_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "dedupe_key"], name="inbox_each_delivery_once")]
        indexes = [
            models.Index(fields=["connection", "next_attempt_at"], name="inbox_due", condition=Q(state="pending")),
            models.Index(
                fields=["merchant", "-received_at"], name="inbox_quarantine", condition=Q(state="quarantined")
            ),
            models.Index(fields=["connection", "-received_at"], name="inbox_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.topic or 'unreadable'} #{self.pk}"


class ChannelWrite(MerchantOwned):
    """One call that tells a channel numbers: stored with its key before it is sent, so that a retry repeats it."""

    class State(models.TextChoices):
        SENDING = "sending", "Sending"
        DONE = "done", "Answered"
        FAILED = "failed", "Refused"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="writes")
    idempotency_key = models.UUIDField(default=uuid.uuid4, unique=True)
    state = models.CharField(max_length=8, choices=State, default=State.SENDING)
    created_at = models.DateTimeField(default=utc_now)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=utc_now)
    mark = models.BigIntegerField(default=0, db_default=0, help_text="The connection's write_mark when it was made.")
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["connection", "next_attempt_at"], name="write_open", condition=Q(state="sending")),
            models.Index(fields=["connection", "-answered_at"], name="write_by_time"),
        ]

    def __str__(self) -> str:
        return f"write {self.idempotency_key} ({self.state})"


class ChannelWriteLine(models.Model):
    """One cell's number within a write: from what, to what, why, and what the channel said."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPLIED = "applied", "Confirmed"
        STALE = "stale", "It had moved on"
        REFUSED = "refused", "Refused"

    write = models.ForeignKey(ChannelWrite, on_delete=models.CASCADE, related_name="lines")
    cell = models.ForeignKey(ChannelStock, on_delete=models.CASCADE, related_name="write_lines")
    from_quantity = quantity_field()
    to_quantity = quantity_field()
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.WAITING)
    message = models.CharField(max_length=300, blank=True)
    cause_event_id = models.BigIntegerField(null=True)
    cause_occurred_at = models.DateTimeField(null=True)
    dirty_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["write", "cell"], name="writeline_one_per_cell"),
            models.CheckConstraint(condition=~Q(from_quantity=F("to_quantity")), name="writeline_changes_something"),
        ]
        indexes = [models.Index(fields=["cell", "-id"], name="writeline_of_cell")]

    def __str__(self) -> str:
        return f"cell {self.cell_id}: {self.from_quantity} → {self.to_quantity}"


class ChannelCommand(MerchantOwned):
    """One thing a person asks a channel to do with one of its orders: stored before it is asked there, done once."""

    class Kind(models.TextChoices):
        CANCEL = "cancel", "Cancel"
        EDIT = "edit", "Change its items"
        MOVE = "move", "Ship from another place"
        REFUND = "refund", "Give money back"

    class State(models.TextChoices):
        WAITING = "waiting", "Being asked"
        DONE = "done", "Done"
        FAILED = "failed", "Not done"
        CALLED_BACK = "called_back", "Called back"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="commands")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    payload = models.JSONField(help_text="What is asked, in the channel's own ids; the same for every try.")
    words = models.CharField(max_length=300, help_text="What is asked, for people.")
    idempotency_key = models.UUIDField(unique=True, help_text="The form it came from: sent twice, it is asked once.")
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=utc_now)
    error = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField(default=utc_now)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=Q(state="waiting"), name="command_one_under_way_per_order"
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", ended_at=None) | (~Q(state="waiting") & Q(ended_at__isnull=False)),
                name="command_ended_when_not_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "next_attempt_at"], name="command_due", condition=Q(state="waiting")),
            models.Index(fields=["order", "-id"], name="command_of_order"),
            models.Index(fields=["merchant", "-asked_at"], name="command_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of order {self.order_id} ({self.state}) #{self.pk}"


class Collision(MerchantOwned):
    """More promised of a variant at a place than is there: why it came, who had what, how it ended; one open a cell."""

    class Cause(models.TextChoices):
        LATE = "late", "A channel sold what it did not know was gone"
        TILL = "till", "Sold over the counter"
        PAST_ZERO = "past_zero", "A channel sells on when nothing is left"
        ADJUSTED = "adjusted", "The stock was changed by hand"
        COUNTED = "counted", "A count found fewer"
        OTHER_APP = "other_app", "Another app changed the stock"
        MOVED = "moved", "Units were promised, packed or moved here"
        UNKNOWN = "unknown", "Not known"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="+")
    missing = quantity_field(help_text="Units promised beyond what is there, as last seen.")
    cause = models.CharField(max_length=10, choices=Cause, default=Cause.UNKNOWN)
    cause_words = models.CharField(max_length=500, blank=True)
    evidence = models.JSONField(default=dict, blank=True, help_text="The movement that took it, its event, the delays.")
    connection = models.ForeignKey(
        Connection, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="Whose fact took it."
    )
    latency_s = models.FloatField(null=True, blank=True, help_text="From what happened to where it was not known yet.")
    claims = models.JSONField(default=list, blank=True, help_text="Who had what, as last seen.")
    opened_at = models.DateTimeField(default=utc_now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closing = models.CharField(max_length=300, blank=True, help_text="What made it good.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["variant", "location"], condition=Q(closed_at=None), name="collision_one_open_per_cell"
            )
        ]
        indexes = [
            models.Index(fields=["merchant", "-opened_at"], name="collision_by_time"),
            models.Index(fields=["merchant"], name="collision_open", condition=Q(closed_at=None)),
        ]

    def __str__(self) -> str:
        return f"variant {self.variant_id} at location {self.location_id}, collision #{self.pk}"


class CollisionDecision(MerchantOwned):
    """What a person decided for one order that cannot have its units: what is done instead, and what it costs."""

    class Kind(models.TextChoices):
        REROUTE = "reroute", "Ships from another place"
        SUBSTITUTE = "substitute", "Gets something else"
        BACKORDER = "backorder", "Waits for the next delivery"
        CANCEL = "cancel", "Cancelled"

    collision = models.ForeignKey(Collision, on_delete=models.CASCADE, related_name="decisions")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="+")
    key = models.UUIDField(unique=True, help_text="The form it came from: sent twice, it is decided once.")
    kind = models.CharField(max_length=10, choices=Kind)
    units = quantity_field(help_text="Of the line.")
    words = models.CharField(max_length=300)
    why = models.CharField(max_length=300, blank=True, help_text="Why it was this order that went without.")
    note = models.CharField(max_length=255, blank=True)
    until_date = models.DateField(null=True, blank=True, help_text="When a backorder should be there.")
    command = models.ForeignKey(ChannelCommand, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    cost = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True, help_text="Empty: not known.")
    currency = models.CharField(max_length=3, blank=True)
    decided_at = models.DateTimeField(default=utc_now)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(units__gt=0), name="collisiondecision_units_positive"),
            models.CheckConstraint(
                condition=Q(kind="backorder", until_date__isnull=False, command=None)
                | (~Q(kind="backorder") & Q(until_date=None)),
                name="collisiondecision_backorder_has_date",
            ),
        ]
        indexes = [models.Index(fields=["line"], name="collisiondecision_of_line")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} for order {self.order_id} #{self.pk}"


class Approval(MerchantOwned):
    """A person's yes to a table of what would change at a channel; keeps what was there before."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="approvals")
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"approval of connection {self.connection_id} at {self.approved_at:%Y-%m-%d %H:%M}"


class ApprovalLine(models.Model):
    """One cell of an approval: what the channel showed, what it was going to show."""

    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="lines")
    cell = models.ForeignKey(ChannelStock, on_delete=models.CASCADE, related_name="+")
    before = quantity_field(null=True, default=None)
    after = quantity_field()

    def __str__(self) -> str:
        return f"cell {self.cell_id}: {self.before} → {self.after}"


class Outage(models.Model):
    """A channel that several shops cannot reach at once: one row for StoreStudio's staff over the shops' incidents."""

    channel = models.CharField(max_length=30)
    opened_at = models.DateTimeField(default=utc_now)
    seen_at = models.DateTimeField(default=utc_now)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel"], condition=Q(resolved_at=None), name="outage_one_open_a_channel")
        ]

    def __str__(self) -> str:
        return f"{self.channel} outage #{self.pk}"


class IncidentQuerySet(MerchantQuerySet):
    """Incidents by where they are in their life (channels.incidents)."""

    def unresolved(self) -> Self:
        """Open, quiet for the moment or not: a person may still look at them."""
        return self.filter(resolved_at=None, confirmed_at__isnull=False)

    def standing(self) -> Self:
        """Open, and their cause is there right now."""
        return self.unresolved().filter(quiet_at=None)

    def pressing(self) -> Self:
        """Standing, and nobody has put them off until later."""
        return self.standing().filter(snoozed_until=None)


class Incident(MerchantOwned):
    """Something that needs a person, or did; one open row a cause.

    Its life: watched (`confirmed_at` empty) until the cause has held long enough, open, quiet (`quiet_at`) while the
    cause is gone but may come back, resolved. How long each takes: `channels.incidents.policies`.
    """

    class Kind(models.TextChoices):
        OVERSOLD = "oversold", "More promised than there is"
        DRIFT = "drift", "A channel shows another number"
        QUARANTINE = "quarantine", "A message could not be applied"
        RECONNECT = "reconnect", "Contact lost"
        UNREACHABLE = "unreachable", "A channel does not answer"
        BEHIND = "behind", "News takes too long"
        REFUSED = "refused", "A channel refused a number"
        UNLINKED_SALE = "unlinked_sale", "Something unlinked was sold"
        GUARD = "guard", "So much would go that we stopped"
        WEBHOOKS = "webhooks", "A channel stopped telling us"
        VERSION = "version", "A channel's API version"
        COMMAND = "command", "A channel did not do what was asked"

    class Severity(models.IntegerChoices):
        INFO = 1, "For your information"
        WARNING = 2, "Needs you"
        CRITICAL = 3, "Urgent"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="incidents")
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.CharField(max_length=120, help_text="The cause; at most one open incident has it.")
    title = models.CharField(max_length=300)
    detail = models.JSONField(default=dict, help_text="The evidence, for staff.")
    severity = models.PositiveSmallIntegerField(
        choices=Severity, default=Severity.WARNING, db_default=Value(Severity.WARNING.value)
    )
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, related_name="+")
    cell = models.ForeignKey(ChannelStock, on_delete=models.CASCADE, null=True, related_name="+")
    opened_at = models.DateTimeField(default=utc_now, help_text="When its cause was first seen.")
    confirmed_at = models.DateTimeField(
        null=True, default=utc_now, db_default=Now(), help_text="When that had held long enough; empty: only watched."
    )
    seen_at = models.DateTimeField(default=utc_now)
    times = models.PositiveIntegerField(default=1)
    quiet_at = models.DateTimeField(null=True, help_text="Since when its cause is gone; it closes once that lasts.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    snoozed_until = models.DateTimeField(null=True)
    outage = models.ForeignKey(Outage, on_delete=models.SET_NULL, null=True, related_name="incidents")
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=300, blank=True)
    resolved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    objects: ClassVar = IncidentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "kind", "key"], condition=Q(resolved_at=None), name="incident_one_open_per_cause"
            )
        ]
        indexes = [
            models.Index(fields=["merchant", "-opened_at"], name="incident_by_time"),
            models.Index(fields=["kind"], name="incident_unresolved", condition=Q(resolved_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"


class IncidentSubject(models.Model):
    """One thing that an incident is about, where its cause met several: a number, a place, a connection."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="subjects")
    key = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, related_name="+")
    cell = models.ForeignKey(ChannelStock, on_delete=models.CASCADE, null=True, related_name="+")
    since = models.DateTimeField(default=utc_now)
    until = models.DateTimeField(null=True, help_text="When it was well again.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "key"], name="incidentsubject_once")]

    def __str__(self) -> str:
        return f"{self.key} of incident {self.incident_id}"


class IncidentEvent(models.Model):
    """One line of an incident's timeline; alerts follow from it (channels.alerts), so it is their queue as well."""

    class Kind(models.TextChoices):
        WATCHED = "watched", "First seen"
        OPENED = "opened", "Opened"
        JOINED = "joined", "More of the same"
        DID = "did", "What we did"
        WORSE = "worse", "Became urgent"
        QUIET = "quiet", "Well again for now"
        RETURNED = "returned", "Came back"
        ACKNOWLEDGED = "acknowledged", "Someone is on it"
        SNOOZED = "snoozed", "Put off"
        WOKEN = "woken", "Its time is up"
        NOTED = "noted", "Note"
        CLOSED = "closed", "Closed"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField(default=utc_now)
    words = models.CharField(max_length=500, blank=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    alerted_at = models.DateTimeField(null=True, help_text="When it was decided who is told of it.")

    class Meta:
        indexes = [
            models.Index(fields=["incident", "at"], name="incidentevent_of_incident"),
            models.Index(fields=["id"], name="incidentevent_to_tell", condition=Q(alerted_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of incident {self.incident_id} at {self.at:%Y-%m-%d %H:%M:%S}"


class SubscriptionRepair(MerchantOwned):
    """Webhook subscriptions found missing or switched off at a channel, until they were made anew."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="subscription_repairs")
    found_at = models.DateTimeField(default=utc_now)
    topics = models.JSONField(help_text="What was missing, in the vendor's words.")
    repaired_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(repaired_at=None), name="repair_one_open_per_connection"
            )
        ]
        indexes = [models.Index(fields=["connection", "-found_at"], name="repair_by_time")]

    def __str__(self) -> str:
        return f"{'repair' if self.repaired_at else 'open repair'} #{self.pk} of connection {self.connection_id}"


class StockSweep(MerchantOwned):
    """One whole reading of a connection's numbers, slice by slice; the age of every number that agrees is its own."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sweeps")
    started_at = models.DateTimeField(default=utc_now)
    finished_at = models.DateTimeField(null=True)
    listings = models.PositiveIntegerField(default=0, help_text="To read, when it began.")
    last_listing_id = models.BigIntegerField(default=0, help_text="Read up to here.")
    cells = models.PositiveIntegerField(default=0)
    differing = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(finished_at=None), name="sweep_one_running_per_connection"
            )
        ]
        indexes = [models.Index(fields=["connection", "-started_at"], name="sweep_by_time")]

    def __str__(self) -> str:
        return f"sweep #{self.pk} of connection {self.connection_id}"


class StockGap(MerchantOwned):
    """A number at a channel that was not what we expected (or was gone): why, on what evidence, what was done."""

    class Cause(models.TextChoices):
        MISSED_WEBHOOK = "missed_webhook", "Missed message"
        LATE = "late", "Late message"
        ECHO = "echo", "Our own number"
        MANUAL_EDIT = "manual_edit", "Changed there by hand"
        OTHER_APP = "other_app", "Another app writes it"
        AUTO_ADD = "auto_add", "Added by the till itself"
        UNIT_MISMATCH = "unit_mismatch", "Another unit"
        LINK_BROKEN = "link_broken", "Listing gone or exchanged"
        CLAMPED = "clamped", "Stops at zero"
        UNKNOWN = "unknown", "Not known"

    class State(models.TextChoices):
        OPEN = "open", "Being looked into"
        ASKED = "asked", "Waits for you"
        HEALED = "healed", "Healed"
        DECIDED = "decided", "Decided"
        UNDONE = "undone", "Undone"

    class Deed(models.TextChoices):
        NOTHING = "", "Nothing yet"
        APPLIED = "applied", "The order was applied"
        BOOKED = "booked", "Their change was booked"
        BELIEVED = "believed", "Our belief was set right, no stock moved"
        REPEATED = "repeated", "Our number was confirmed"
        RELINKED = "relinked", "The new listing was linked"
        AGREES = "agrees", "It agrees again by itself"
        OURS = "ours", "Our number was sent"
        THEIRS = "theirs", "Their number was booked"
        TRUSTED = "trusted", "Their number was booked, as that app's are from now on"

    THEIR_NUMBERS = (Deed.THEIRS, Deed.TRUSTED)

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="gaps")
    cell = models.ForeignKey(ChannelStock, on_delete=models.SET_NULL, null=True, related_name="gaps")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="+")
    channel_location = models.ForeignKey(ChannelLocation, on_delete=models.CASCADE, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, related_name="+")
    expected = quantity_field(help_text="What we expected when we first saw it.")
    observed = quantity_field(null=True, default=None, help_text="What it showed; empty: it was not mentioned.")
    cause = models.CharField(max_length=16, choices=Cause, default=Cause.UNKNOWN)
    evidence = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    deed = models.CharField(max_length=8, choices=Deed, blank=True, default=Deed.NOTHING)
    moved = quantity_field(help_text="Units by which what was done changed our numbers of it; what undoing takes back.")
    question = models.CharField(max_length=120, blank=True, help_text="Gaps of one question are decided together.")
    decision = models.UUIDField(null=True, editable=False, help_text="The answer that decided it with others at once.")
    seen_at = models.DateTimeField(default=utc_now)
    judged_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cell"], condition=Q(state__in=["open", "asked"]), name="gap_one_per_cell")
        ]
        indexes = [
            models.Index(fields=["connection", "-seen_at"], name="gap_by_time"),
            models.Index(fields=["connection", "question"], name="gap_asked", condition=Q(state="asked")),
            models.Index(fields=["cell", "-seen_at"], name="gap_of_cell"),
            models.Index(
                fields=["connection", "decision"],
                name="gap_decided",
                condition=Q(decision__isnull=False, state="decided"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_cause_display()} #{self.pk}"

    @property
    def is_undoable(self) -> bool:
        """Whether something was done that can be taken back."""
        takes_back = (self.Deed.APPLIED, self.Deed.BOOKED, self.Deed.BELIEVED, *self.THEIR_NUMBERS, self.Deed.RELINKED)
        return self.state in (self.State.HEALED, self.State.DECIDED) and self.deed in takes_back


class RemoteChange(MerchantOwned):
    """A change of stock that somebody else made at a channel, as its feed told it, and what we did with it."""

    class State(models.TextChoices):
        BOOKED = "booked", "Booked"
        WITHHELD = "withheld", "Waits for a person"
        DECIDED = "decided", "Decided by a person"
        IGNORED = "ignored", "Of no concern"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="remote_changes")
    external_id = models.CharField(max_length=160)
    inventory_id = models.CharField(max_length=120)
    location_external_id = models.CharField(max_length=120)
    delta = quantity_field()
    occurred_at = models.DateTimeField()
    told_at = models.DateTimeField(default=utc_now)
    cause = models.CharField(max_length=200, help_text="In the channel's words.")
    made_by = models.CharField(max_length=10, blank=True)
    by = models.CharField(max_length=120, blank=True, help_text="The person, where the channel names one.")
    app = models.CharField(max_length=120, blank=True)
    app_id = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=8, choices=State)
    stop = models.ForeignKey("channels.GuardStop", on_delete=models.SET_NULL, null=True, related_name="changes")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="remotechange_once")]
        indexes = [
            models.Index(fields=["connection", "inventory_id", "-occurred_at"], name="remotechange_of_item"),
            models.Index(fields=["connection", "-told_at"], name="remotechange_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.cause} #{self.pk}"


class GuardStop(MerchantOwned):
    """A batch that would have cut more numbers than its guard allows: stopped, until a person has looked at it."""

    class Kind(models.TextChoices):
        PUBLISH = "publish", "Numbers to send"
        READING = "reading", "Numbers it showed"
        CHANGES = "changes", "Changes it told of"

    class State(models.TextChoices):
        OPEN = "open", "Waits for you"
        APPROVED = "approved", "Approved"
        DISCARDED = "discarded", "Discarded"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="stops")
    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(default=utc_now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "kind"], condition=Q(state="open"), name="guardstop_one_open")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of connection {self.connection_id} stopped #{self.pk}"


class GuardLine(models.Model):
    """One number of a stopped batch: what it is, what it would become."""

    stop = models.ForeignKey(GuardStop, on_delete=models.CASCADE, related_name="lines")
    cell = models.ForeignKey(ChannelStock, on_delete=models.CASCADE, related_name="+")
    before = quantity_field()
    after = quantity_field()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stop", "cell"], name="guardline_one_per_cell")]

    def __str__(self) -> str:
        return f"cell {self.cell_id}: {self.before} → {self.after}"
