from __future__ import annotations

from decimal import Decimal

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest
from django.utils.timezone import now as utc_now

from inventory import identifiers
from storestudio.accounts.models import Merchant, User
from storestudio.accounts.scoping import MerchantOwned

ZERO = Decimal(0)


def quantity_field(**options: object) -> models.DecimalField:  # type: ignore[type-arg]
    """A quantity of goods: 5 decimal places, as tills send them; whole units where the variant says so."""
    return models.DecimalField(max_digits=16, decimal_places=5, **{"default": ZERO, **options})  # type: ignore[arg-type]


class Product(MerchantOwned):
    """What a customer calls one thing; its variants are what is stocked."""

    title = models.CharField(max_length=300)
    vendor = models.CharField(max_length=120, blank=True)
    category = models.CharField(max_length=120, blank=True)
    image_url = models.URLField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["merchant", "title", "id"], name="product_by_title")]

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"


class Variant(MerchantOwned):
    """One stocked thing: a product in one size, colour and so on."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="variants")
    title = models.CharField(max_length=300, blank=True, help_text="Option values, such as “M / Sand”.")
    sku = models.CharField("SKU", max_length=120, blank=True)
    sku_key = models.CharField(max_length=120, blank=True, editable=False)
    gtin = models.CharField("GTIN", max_length=14, blank=True)
    options = models.JSONField(default=dict, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    is_whole_unit = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "sku_key", "id"], name="variant_by_sku"),
            models.Index(fields=["merchant", "gtin"], name="variant_by_gtin", condition=~Q(gtin="")),
        ]

    def __str__(self) -> str:
        return f"{self.sku or 'no SKU'} #{self.pk}"

    def save(self, *args: object, **kwargs: object) -> None:
        """Keep the normalised SKU beside the SKU as typed."""
        self.sku_key = identifiers.sku_key(self.sku)
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def full_title(self) -> str:
        """The product's title and the option values."""
        return f"{self.product.title} · {self.title}" if self.title else self.product.title


class VariantAlias(MerchantOwned):
    """A SKU or barcode that a variant had before: late orders, old files and labels still find it by that, for ever."""

    class Kind(models.TextChoices):
        SKU = "sku", "SKU"
        GTIN = "gtin", "GTIN"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=4, choices=Kind)
    value = models.CharField(max_length=120, help_text="As it was typed.")
    key = models.CharField(max_length=120, help_text="Normalised, as identifiers.sku_key and identifiers.gtin do.")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        verbose_name_plural = "variant aliases"
        constraints = [
            # Two variants may have had the same SKU one after the other: such an alias finds neither by itself.
            models.UniqueConstraint(fields=["merchant", "kind", "key", "variant"], name="variantalias_once"),
            models.CheckConstraint(condition=~Q(key=""), name="variantalias_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.value} of variant {self.variant_id}"


class VariantMerge(MerchantOwned):
    """Two variants found to be one thing: what the duplicate held went to the survivor, and can go back."""

    survivor = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="merges")
    duplicate = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="merged_by")
    order_line_ids = models.JSONField(default=list, help_text="Lines that changed hands.")
    reservation_line_ids = models.JSONField(default=list)
    moved = models.JSONField(default=list, help_text="Units that changed hands, by location.")
    merged_at = models.DateTimeField(default=utc_now)
    parted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(survivor=F("duplicate")), name="variantmerge_two_variants"),
            models.UniqueConstraint(
                fields=["duplicate"], condition=Q(parted_at=None), name="variantmerge_into_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"variant {self.duplicate_id} into {self.survivor_id} #{self.pk}"


class Bundle(MerchantOwned):
    """What a variant is made of, from one moment to another; a new composition is a new row, and sales keep theirs.

    Made up when sold, it has no stock of its own: what it can sell follows from its parts. A stocked one (a pack, a
    kit on the shelf) is counted by itself, and parts become packs and packs parts by movements.
    """

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="bundles")
    is_stocked = models.BooleanField(default=False, help_text="Kept made up, with stock of its own.")
    created_at = models.DateTimeField(default=utc_now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["variant"], condition=Q(ended_at=None), name="bundle_one_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{'pack' if self.is_stocked else 'bundle'} of variant {self.variant_id} #{self.pk}"


class BundleComponent(models.Model):
    """Units of one variant in one piece of a bundle. It has stock of its own: bundles are not made of bundles."""

    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE, related_name="components")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="part_of")
    quantity = quantity_field()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="bundlecomponent_quantity_positive"),
            models.UniqueConstraint(fields=["bundle", "variant"], name="bundlecomponent_once"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of variant {self.variant_id} in bundle {self.bundle_id}"


class Location(MerchantOwned):
    """A place where goods are: a shop, a stock room, a warehouse."""

    name = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64, default="Europe/London")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now)
    is_warehouse = models.BooleanField(default=False, help_text="No customers walk in here.")
    latitude = models.DecimalField(max_digits=8, decimal_places=5, null=True, blank=True, help_text="Degrees north.")
    longitude = models.DecimalField(max_digits=8, decimal_places=5, null=True, blank=True, help_text="Degrees east.")
    rank = models.PositiveSmallIntegerField(default=100, help_text="Which place ships rather: 1 comes first.")
    orders_a_day_max = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many orders it can send a day; empty without a limit."
    )
    ships_until = models.TimeField(null=True, blank=True, help_text="The day's last parcel, local time.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "name"], name="location_name_unique_in_merchant"),
            models.CheckConstraint(
                condition=Q(latitude=None, longitude=None) | Q(latitude__range=(-90, 90), longitude__range=(-180, 180)),
                name="location_point_whole_and_on_earth",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class StockLevel(MerchantOwned):
    """The running totals of one cell (variant at location); written by the ledger alone, in the posting statement."""

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="levels")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="levels")
    on_hand = quantity_field(help_text="Physically there; below zero when reality was not as recorded.")
    committed = quantity_field(help_text="In placed, unfulfilled orders.")
    reserved = quantity_field(help_text="Held for a while.")
    unavailable = quantity_field(help_text="Damaged or quarantined.")
    incoming = quantity_field(help_text="On its way; informational.")
    available = models.GeneratedField(
        expression=F("on_hand") - F("committed") - F("reserved") - F("unavailable"),
        output_field=models.DecimalField(max_digits=16, decimal_places=5),
        db_persist=True,
    )
    last_seq = models.BigIntegerField(default=0, help_text="The cell's newest movement; numbered without gaps.")
    counted_at = models.DateTimeField(null=True, help_text="When the last physical count took place.")
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["variant", "location"], name="stocklevel_one_per_cell"),
            models.CheckConstraint(condition=Q(committed__gte=0), name="stocklevel_committed_not_negative"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="stocklevel_reserved_not_negative"),
            models.CheckConstraint(condition=Q(unavailable__gte=0), name="stocklevel_unavailable_not_negative"),
            models.CheckConstraint(condition=Q(incoming__gte=0), name="stocklevel_incoming_not_negative"),
        ]
        indexes = [
            models.Index(fields=["merchant"], name="stocklevel_oversold", condition=Q(available__lt=0)),
        ]

    def __str__(self) -> str:
        return f"variant {self.variant_id} at location {self.location_id}"


class StockMovement(MerchantOwned):
    """One append-only line of the ledger: what changed in one cell, why, and the balance after it.

    Partitioned by month of `recorded_at`; the database refuses UPDATE and DELETE. `(merchant, source,
    idempotency_key)` is unique, kept by `StockMovementKey` since a partitioned table cannot.
    """

    class Kind(models.TextChoices):
        OPENING = "opening", "Opening count"
        RECEIVE = "receive", "Received"
        ADJUST = "adjust", "Adjusted"
        COUNT = "count", "Counted"
        SALE = "sale", "Sold"
        COMMIT = "commit", "Ordered"
        RELEASE = "release", "Order released"
        FULFILL = "fulfill", "Fulfilled"
        RETURN = "return", "Returned"
        RESERVE = "reserve", "Held"
        UNRESERVE = "unreserve", "Hold ended"
        QUARANTINE = "quarantine", "Set aside"
        MERGE = "merge", "Merged"
        PACK = "pack", "Packed"
        UNPACK = "unpack", "Unpacked"
        TRANSFER = "transfer", "Transferred"
        EXPECT = "expect", "Expected"

    level = models.ForeignKey(StockLevel, on_delete=models.PROTECT, related_name="movements")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="movements")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="movements")
    seq = models.BigIntegerField(help_text="1, 2, 3 … within the cell, without gaps.")
    kind = models.CharField(max_length=12, choices=Kind)
    on_hand = quantity_field(help_text="Change of on hand.")
    committed = quantity_field()
    reserved = quantity_field()
    unavailable = quantity_field()
    incoming = quantity_field()
    absorbed = quantity_field(help_text="Units of a late fact that a later count had already seen: no effect.")
    on_hand_after = quantity_field()
    available_after = quantity_field()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    source = models.CharField(max_length=60, help_text="Who says so: “channel:7”, “user”, “opening” …")
    idempotency_key = models.CharField(max_length=200)
    channel_id = models.BigIntegerField(null=True, help_text="The connection it came through; opaque here.")
    event_id = models.BigIntegerField(null=True, help_text="The inbox event behind it; opaque here.")
    order = models.ForeignKey("inventory.Order", on_delete=models.PROTECT, null=True, related_name="movements")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    bundle = models.ForeignKey(
        Bundle, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+",
        help_text="What was made up, sold or taken apart, where these are its parts.",
    )  # fmt: skip

    class Meta:
        indexes = [
            models.Index(fields=["level", "-seq"], name="movement_of_cell"),
            models.Index(fields=["variant", "-recorded_at"], name="movement_of_variant"),
            models.Index(fields=["order"], name="movement_of_order", condition=Q(order__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"movement {self.seq} of cell {self.level_id}"


class StockMovementKey(models.Model):
    """Makes a movement's idempotency key unique over all months; points at the movement it stands for."""

    merchant_id = models.BigIntegerField()
    source = models.CharField(max_length=60)
    idempotency_key = models.CharField(max_length=200)
    movement_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    content = models.CharField(max_length=32, help_text="Digest of what was asked, to tell a retry from a clash.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant_id", "source", "idempotency_key"], name="movement_key_unique")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.idempotency_key}"


class Arrival(MerchantOwned):
    """Goods on their way to one of our places: a transfer from another of ours, or a delivery from a supplier."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        OPEN = "open", "On the way"
        RECEIVED = "received", "Received"
        CANCELLED = "cancelled", "Cancelled"

    key = models.UUIDField(help_text="The form it came from: sent twice, it is one.")
    origin = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    supplier = models.CharField(max_length=120, blank=True, help_text="Where it comes from no place of ours.")
    destination = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="arrivals")
    expected_date = models.DateField(null=True, blank=True, help_text="The day it should be there.")
    note = models.CharField(max_length=200, blank=True, help_text="Order number, parcel number, driver.")
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    created_at = models.DateTimeField(default=utc_now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="Since when it counts as incoming.")
    closed_at = models.DateTimeField(null=True, blank=True)
    lapsed_at = models.DateTimeField(null=True, blank=True, help_text="When its day was over and it was not there.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "key"], name="arrival_once_per_form"),
            models.CheckConstraint(
                condition=Q(origin__isnull=False, supplier="") | (Q(origin=None) & ~Q(supplier="")),
                name="arrival_from_a_place_or_a_supplier",
            ),
            models.CheckConstraint(
                condition=Q(origin=None) | ~Q(origin=F("destination")), name="arrival_between_two_places"
            ),
            models.CheckConstraint(
                condition=Q(state="draft", sent_at=None, closed_at=None)
                | Q(state="open", sent_at__isnull=False, closed_at=None)
                | Q(state="received", sent_at__isnull=False, closed_at__isnull=False)
                | Q(state="cancelled", closed_at__isnull=False),
                name="arrival_state_and_times_agree",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "-created_at", "-id"], name="arrival_by_time"),
            models.Index(fields=["merchant", "expected_date"], name="arrival_open", condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return f"{'transfer' if self.is_transfer else 'delivery'} #{self.pk}"

    @property
    def is_transfer(self) -> bool:
        """From another of our places, whose units it takes."""
        return self.origin_id is not None

    @property
    def sender(self) -> str:
        """Where it comes from, in words."""
        return self.origin.name if self.origin else self.supplier


class ArrivalLine(models.Model):
    """Units of one variant in an arrival, and what became of them. `remaining`: still on their way, once it is sent."""

    arrival = models.ForeignKey(Arrival, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="arrival_lines")
    quantity = quantity_field(help_text="Sent, or ordered.")
    received = quantity_field(help_text="Came; may be more than was sent.")
    damaged = quantity_field(db_default=ZERO, help_text="Came, but not fit to be sold: written off.")
    missing = quantity_field(help_text="Will not come.")
    returned = quantity_field(help_text="Back at the place it left.")
    remaining = models.GeneratedField(
        expression=Greatest(F("quantity") - F("received") - F("missing") - F("returned") - F("damaged"), Value(ZERO)),
        output_field=models.DecimalField(max_digits=16, decimal_places=5),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["arrival", "variant"], name="arrivalline_once_per_arrival"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="arrivalline_quantity_positive"),
            models.CheckConstraint(
                condition=Q(received__gte=0, damaged__gte=0, missing__gte=0, returned__gte=0),
                name="arrivalline_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(missing=0, returned=0)
                | Q(quantity__gte=F("received") + F("damaged") + F("missing") + F("returned")),
                name="arrivalline_missing_of_what_did_not_come",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of variant {self.variant_id} in arrival {self.arrival_id}"

    @property
    def surplus(self) -> Decimal:
        """Units that came beyond what was sent."""
        came = self.received + self.damaged + self.missing + self.returned
        surplus: Decimal = max(came - self.quantity, ZERO)
        return surplus

    @property
    def differs(self) -> bool:
        """Whether anything became of it but what was sent arriving fit to be sold."""
        return any((self.damaged, self.missing, self.returned, self.surplus))


class ArrivalStep(models.Model):
    """One thing done with an arrival: sent, received in part, given up, called back; the newest can be undone."""

    class Kind(models.TextChoices):
        SEND = "send", "Sent"
        RECEIVE = "receive", "Received"
        CANCEL = "cancel", "Cancelled"

    arrival = models.ForeignKey(Arrival, on_delete=models.CASCADE, related_name="steps")
    key = models.UUIDField(help_text="The form it came from: sent twice, it is done once.")
    kind = models.CharField(max_length=8, choices=Kind)
    reason = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=list, help_text="Units by line: received, damaged, missing, returned.")
    was = models.CharField(max_length=10, choices=Arrival.State, help_text="The arrival's state before.")
    done_at = models.DateTimeField(default=utc_now)
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["arrival", "key"], name="arrivalstep_once_per_form")]

    def __str__(self) -> str:
        return f"{self.kind} of arrival {self.arrival_id} #{self.pk}"


class Reservation(MerchantOwned):
    """A promise for a while: units held until `expires_at`, then committed, released or expired."""

    class State(models.TextChoices):
        HELD = "held", "Held"
        COMMITTED = "committed", "Became an order"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"

    public_id = models.UUIDField(
        db_default=RandomUUID(), unique=True, editable=False, help_text="What others know it by."
    )
    channel_id = models.BigIntegerField(null=True, help_text="The connection that asked for it; opaque here.")
    idempotency_key = models.CharField(max_length=200)
    content = models.CharField(max_length=32, blank=True, help_text="Digest of what was asked for under the key.")
    reference = models.CharField(max_length=120, blank=True, help_text="What the asker calls it, such as a cart.")
    state = models.CharField(max_length=10, choices=State, default=State.HELD)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=utc_now)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    order = models.ForeignKey(
        "inventory.Order", on_delete=models.PROTECT, null=True, blank=True, related_name="reservations"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="reservation_key_unique"),
            models.CheckConstraint(
                condition=Q(state="held", ended_at=None) | (~Q(state="held") & Q(ended_at__isnull=False)),
                name="reservation_ended_when_not_held",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="reservation_due", condition=Q(state="held")),
            models.Index(fields=["merchant", "expires_at"], name="reservation_held", condition=Q(state="held")),
            models.Index(fields=["merchant", "-id"], name="reservation_by_time"),
            models.Index(fields=["order"], name="reservation_of_order", condition=Q(order__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"hold {self.reference or self.public_id} ({self.state}) #{self.pk}"


class ReservationLine(models.Model):
    """Units of one variant at one location within a reservation."""

    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    bundle = models.ForeignKey(
        Bundle, on_delete=models.PROTECT, null=True, related_name="+", help_text="Its parts are what is held."
    )
    quantity = quantity_field()
    later = quantity_field(null=True, default=None, help_text="So many of them were not there yet when they were held.")
    promised_date = models.DateField(null=True, help_text="When the asker was told that all of those are there.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="reservationline_quantity_positive"),
            models.UniqueConstraint(fields=["reservation", "variant", "location"], name="reservationline_one_per_cell"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of variant {self.variant_id} at location {self.location_id}"


class Order(MerchantOwned):
    """A customer's order as its channel last described it; stock follows it by state, never by event."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        FULFILLED = "fulfilled", "Fulfilled"
        CANCELLED = "cancelled", "Cancelled"

    channel_id = models.BigIntegerField(help_text="The connection that sold it; opaque here.")
    external_id = models.CharField(max_length=120)
    number = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    placed_at = models.DateTimeField()
    external_updated_at = models.DateTimeField(help_text="The channel's clock; an older description is ignored.")
    external_version = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(null=True, help_text="When we had the description that was applied last.")
    clock_behind = models.DurationField(null=True, help_text="How far the channel's clock was behind ours then.")
    revision = models.PositiveIntegerField(default=0, help_text="How often a difference was posted.")
    is_before_opening = models.BooleanField(
        default=False, help_text="Placed before the opening count, which already knew of it: no effect on stock."
    )
    total = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "channel_id", "external_id"], name="order_once_per_channel")
        ]
        indexes = [models.Index(fields=["merchant", "-placed_at", "-id"], name="order_by_time")]

    def __str__(self) -> str:
        return f"{self.number or self.external_id} #{self.pk}"


class OrderLine(models.Model):
    """One line of an order; a line whose listing is linked to no variant waits for it and holds no stock."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    external_id = models.CharField(max_length=120)
    listing_external_id = models.CharField(max_length=120, blank=True)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, null=True, related_name="order_lines")
    bundle = models.ForeignKey(
        Bundle, on_delete=models.PROTECT, null=True, related_name="order_lines",
        help_text="What it was made of when it was first held: its parts are what is held, sold and given back.",
    )  # fmt: skip
    sku = models.CharField(max_length=120, blank=True)
    title = models.CharField(max_length=300, blank=True)
    quantity = quantity_field()
    fulfilled = quantity_field(help_text="Left the building, all locations.")
    restocked = quantity_field(help_text="Came back to the shelf.")
    written_off = quantity_field(help_text="Came back, or was refunded, but not to the shelf.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "external_id"], name="orderline_once_per_order"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="orderline_quantity_not_negative"),
            models.CheckConstraint(
                condition=Q(restocked__gte=0, written_off__gte=0) & Q(fulfilled__gte=F("restocked") + F("written_off")),
                name="orderline_returns_at_most_what_was_sold",
            ),
        ]
        indexes = [models.Index(fields=["variant"], name="orderline_of_variant")]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku or self.title} of order {self.order_id}"


class OrderHold(models.Model):
    """What one order line holds at one location now; the ledger holds exactly the sum of these."""

    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="holds")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    committed = quantity_field()
    fulfilled = quantity_field()
    restocked = quantity_field()
    later = quantity_field(
        null=True, default=None, help_text="So many of what was committed were not there yet, and promised for a day."
    )
    promised_date = models.DateField(null=True, help_text="When the buyer was told that all of those are there.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["line", "location"], name="orderhold_one_per_line_and_location"),
            models.CheckConstraint(
                condition=Q(later=None, promised_date=None) | Q(later__gt=0, promised_date__isnull=False),
                name="orderhold_later_has_a_day",
            ),
            models.CheckConstraint(
                condition=Q(committed__gte=0, fulfilled__gte=0, restocked__gte=0),
                name="orderhold_not_negative",
            ),
        ]
        indexes = [models.Index(fields=["line"], name="orderhold_open", condition=Q(committed__gt=0))]

    def __str__(self) -> str:
        return f"line {self.line_id} at location {self.location_id}"

    @property
    def still_later(self) -> Decimal:
        """How many of what waits were promised for `promised_date`; those that were there leave first."""
        units: Decimal = min(self.later or ZERO, self.committed)
        return units


class OrderReturn(models.Model):
    """Units of a line that one document gave back; `document` "" where the order itself tells of its returns."""

    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="returns")
    document = models.CharField(max_length=120, blank=True)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, related_name="+")
    restocked = quantity_field()
    written_off = quantity_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["line", "document", "location"],
                name="orderreturn_once_per_document",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(restocked__gte=0, written_off__gte=0), name="orderreturn_not_negative"),
            models.CheckConstraint(
                condition=Q(restocked=0) | Q(location__isnull=False), name="orderreturn_restocked_has_location"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.restocked} restocked, {self.written_off} written off of line {self.line_id}"


class RoutingPolicy(MerchantOwned):
    """How a shop chooses the place that ships: its rules, most important first, and how far an order may be split."""

    merchant = models.OneToOneField(Merchant, on_delete=models.CASCADE, related_name="+")
    rules = models.JSONField(default=list, help_text="Names of rules (inventory.routing.engine.Rule), in order.")
    places_max = models.PositiveSmallIntegerField(default=1, help_text="Places that may share an order; 1: no splits.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(places_max__range=(1, 3)), name="routingpolicy_one_to_three_places")
        ]

    def __str__(self) -> str:
        return f"routing of merchant {self.merchant_id}"


class RoutingDecision(MerchantOwned):
    """Which places were chosen for one order or hold, what was known then, and what each rule said."""

    reference = models.CharField(max_length=120, help_text="“order:…” or “hold:…”, in the words of who asked.")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, blank=True, related_name="routing")
    decided_at = models.DateTimeField(default=utc_now)
    question = models.JSONField(help_text="What was wanted, what each place had, where to: enough to decide again.")
    rules = models.JSONField(default=list)
    places_max = models.PositiveSmallIntegerField(default=1)
    takes = models.JSONField(default=list, help_text="What leaves from where; empty where nothing covered it.")
    steps = models.JSONField(default=list, help_text="What each rule said.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "reference"], name="routingdecision_once_per_reference")
        ]
        indexes = [models.Index(fields=["merchant", "-decided_at", "-id"], name="routingdecision_by_time")]

    def __str__(self) -> str:
        return f"routing of {self.reference} #{self.pk}"
