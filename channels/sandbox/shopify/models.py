"""State of the Shopify stand-in. Numbers are the vendor's REST ids; `gid()` gives the GraphQL id."""

from __future__ import annotations

import secrets
from decimal import Decimal

from django.db import models
from django.utils.timezone import now as utc_now

# The vendor's ids are long; starting high also catches code that confuses two kinds of ids.
ID_START = 7_000_000_000_001


def new_token(prefix: str = "shpat_") -> str:
    """A token of the vendor's look."""
    return prefix + secrets.token_hex(16)


class Numbered(models.Model):
    """A thing with a GraphQL id."""

    TYPE = ""

    class Meta:
        abstract = True

    @property
    def gid(self) -> str:
        """The GraphQL id."""
        return f"gid://shopify/{self.TYPE or type(self).__name__}/{self.pk}"


class Shop(Numbered):
    """One store: its domain, and its bucket of query cost points."""

    domain = models.CharField(max_length=120, unique=True)
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="GBP")
    timezone = models.CharField(max_length=64, default="Europe/London")
    created_at = models.DateTimeField(default=utc_now)
    uninstalled_at = models.DateTimeField(null=True)
    bucket_available = models.FloatField(default=2000.0)
    bucket_at = models.DateTimeField(default=utc_now)
    last_order_number = models.PositiveIntegerField(default=1000)

    def __str__(self) -> str:
        return self.domain


class App(models.Model):
    """The app installed in a shop: client id, secrets, granted scopes."""

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, related_name="app")
    client_id = models.CharField(max_length=64, unique=True)
    client_secret = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    pending_code = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"app of {self.shop}"


class Token(models.Model):
    """An access or refresh token."""

    class Kind(models.TextChoices):
        ACCESS = "access"
        REFRESH = "refresh"

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.ACCESS)
    value = models.CharField(max_length=80, unique=True, default=new_token)
    expires_at = models.DateTimeField(null=True, help_text="Empty for an offline token that does not end.")
    revoked_at = models.DateTimeField(null=True)
    refresh = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, related_name="+", help_text="The refresh token given with it."
    )
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.kind} token #{self.pk} of {self.shop}"


class Location(Numbered):
    """A place of a shop; `rank` is the order in which orders are routed to it."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="locations")
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    fulfills_online_orders = models.BooleanField(default=True)
    rank = models.PositiveIntegerField(default=0)
    local_pickup = models.JSONField(null=True)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)
    deactivated_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class Product(Numbered):
    """A product; options are [{"id": n, "name": str, "position": n, "values": [{"id": n, "name": str}]}]."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="products")
    title = models.CharField(max_length=300)
    handle = models.CharField(max_length=300)
    status = models.CharField(max_length=10, default="ACTIVE")  # ACTIVE ARCHIVED DRAFT
    vendor = models.CharField(max_length=120, blank=True)
    product_type = models.CharField(max_length=120, blank=True)
    tags = models.JSONField(default=list)
    options = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shop", "handle"], name="sandbox_product_handle")]
        indexes = [models.Index(fields=["shop", "updated_at", "id"], name="sandbox_product_updated")]

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"


class InventoryItem(Numbered):
    """What a variant's stock is kept under."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="inventory_items")
    sku = models.CharField(max_length=255, blank=True)
    tracked = models.BooleanField(default=True)
    requires_shipping = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        indexes = [models.Index(fields=["shop", "sku"], name="sandbox_item_sku")]

    def __str__(self) -> str:
        return f"{self.sku} #{self.pk}"


class ProductVariant(Numbered):
    """A variant; `selected_options` is [{"name": str, "value": str, "value_id": n}]. Its SKU lies on the item."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="variants")
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="variants")
    item = models.OneToOneField(InventoryItem, on_delete=models.CASCADE, related_name="variant")
    title = models.CharField(max_length=300, default="Default Title")
    position = models.PositiveIntegerField(default=1)
    barcode = models.CharField(max_length=255, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    inventory_policy = models.CharField(max_length=8, default="DENY")  # DENY CONTINUE
    selected_options = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        indexes = [models.Index(fields=["shop", "updated_at", "id"], name="sandbox_variant_updated")]

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"


class InventoryLevel(Numbered):
    """An item at a location. on_hand = available + committed + reserved + damaged + safety_stock + quality_control."""

    item = models.ForeignKey(InventoryItem, on_delete=models.CASCADE, related_name="levels")
    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="levels")
    is_active = models.BooleanField(default=True)
    available = models.IntegerField(default=0)
    committed = models.IntegerField(default=0)
    reserved = models.IntegerField(default=0)
    damaged = models.IntegerField(default=0)
    safety_stock = models.IntegerField(default=0)
    quality_control = models.IntegerField(default=0)
    incoming = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "location"], name="sandbox_level_once")]
        indexes = [models.Index(fields=["location", "updated_at"], name="sandbox_level_updated")]

    def __str__(self) -> str:
        return f"item {self.item_id} at location {self.location_id}"

    @property
    def on_hand(self) -> int:
        """All units there, sellable or not."""
        kept = self.reserved + self.damaged + self.safety_stock + self.quality_control
        return self.available + self.committed + kept


class AdjustmentGroup(Numbered):
    """One change of stock by an app; `changes` is [{"name", "delta", "after", "item", "location", "ledger"}]."""

    TYPE = "InventoryAdjustmentGroup"
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="adjustments")
    reason = models.CharField(max_length=60)
    reference = models.CharField(max_length=300, blank=True)
    changes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.reason} #{self.pk}"


class IdempotentCall(models.Model):
    """The first answer to a mutation with a key, and the digest of its variables."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="+")
    mutation = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    result = models.JSONField(null=True)
    failed = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shop", "mutation", "key"], name="sandbox_idempotent_once")]

    def __str__(self) -> str:
        return f"{self.mutation} {self.key}"


class WebhookSubscription(Numbered):
    """Where a topic is sent; `topic` is the GraphQL name, ORDERS_CREATE."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="subscriptions")
    topic = models.CharField(max_length=80)
    uri = models.CharField(max_length=500)
    name = models.CharField(max_length=100, blank=True)
    filter = models.CharField(max_length=300, blank=True)
    include_fields = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.topic} to {self.uri}"


class Order(Numbered):
    """A placed order."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="orders")
    number = models.PositiveIntegerField()
    source_name = models.CharField(max_length=60, default="web")
    source_identifier = models.CharField(max_length=120, blank=True)
    retail_location = models.ForeignKey(Location, on_delete=models.SET_NULL, null=True, related_name="+")
    currency = models.CharField(max_length=3, default="GBP")
    financial_status = models.CharField(max_length=20, default="PAID")  # OrderDisplayFinancialStatus
    claims_stock = models.BooleanField(default=True, help_text="False for inventoryBehaviour BYPASS.")
    test = models.BooleanField(default=False)
    edited = models.BooleanField(default=False)
    cancel_reason = models.CharField(max_length=20, blank=True)
    cancelled_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=utc_now)
    processed_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    class Meta:
        indexes = [models.Index(fields=["shop", "updated_at", "id"], name="sandbox_order_updated")]

    def __str__(self) -> str:
        return f"#{self.number}"


class LineItem(Numbered):
    """A line of an order. `current_quantity` is after edits and refunds; `quantity` as ordered."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(ProductVariant, on_delete=models.SET_NULL, null=True, related_name="+")
    item = models.ForeignKey(InventoryItem, on_delete=models.SET_NULL, null=True, related_name="+")
    sku = models.CharField(max_length=255, blank=True)
    title = models.CharField(max_length=300)
    variant_title = models.CharField(max_length=300, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    quantity = models.IntegerField()
    current_quantity = models.IntegerField()
    requires_shipping = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku or self.title}"


class FulfillmentOrder(Numbered):
    """What one location is to fulfil of an order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="fulfillment_orders")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(
        max_length=12, default="OPEN"
    )  # OPEN IN_PROGRESS ON_HOLD SCHEDULED INCOMPLETE CLOSED CANCELLED
    request_status = models.CharField(max_length=24, default="UNSUBMITTED")
    method_type = models.CharField(max_length=12, default="SHIPPING")
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.status} #{self.pk}"


class FulfillmentOrderLineItem(Numbered):
    """Units of a line that one location is to fulfil; `remaining` are not fulfilled yet."""

    fulfillment_order = models.ForeignKey(FulfillmentOrder, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(LineItem, on_delete=models.CASCADE, related_name="fulfillment_order_lines")
    total = models.IntegerField()
    remaining = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.remaining} of {self.total} #{self.pk}"


class Fulfillment(Numbered):
    """Units that left; `lines` is [{"line": line id, "quantity": n, "fulfillment_order_line": id}]."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="fulfillments")
    fulfillment_order = models.ForeignKey(FulfillmentOrder, on_delete=models.CASCADE, related_name="fulfillments")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, default="SUCCESS")
    lines = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.status} #{self.pk}"


class Refund(Numbered):
    """What was given back of an order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="refunds")
    note = models.CharField(max_length=300, blank=True)
    amount = models.DecimalField(
        max_digits=12, decimal_places=2, null=True,
        help_text="Its transactions' sum; none: given by a person at the shop, who pays what the lines cost.",
    )  # fmt: skip
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"refund #{self.pk}"

    @property
    def total(self) -> Decimal:
        """The money given back."""
        if self.amount is not None:
            return self.amount
        return sum((row.line.price * row.quantity for row in self.lines.all()), Decimal(0))


class RefundLineItem(Numbered):
    """Units of a line given back."""

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(LineItem, on_delete=models.CASCADE, related_name="refund_lines")
    quantity = models.IntegerField()
    restock_type = models.CharField(max_length=16, default="NO_RESTOCK")  # CANCEL RETURN NO_RESTOCK LEGACY_RESTOCK
    restocked = models.BooleanField(default=False)
    location = models.ForeignKey(Location, on_delete=models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return f"{self.quantity} {self.restock_type} #{self.pk}"


class DraftOrder(Numbered):
    """An order in the making; `lines` is [{"variant": id, "quantity": n, "title": str, "price": str}]."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="draft_orders")
    status = models.CharField(max_length=14, default="OPEN")  # OPEN INVOICE_SENT COMPLETED
    lines = models.JSONField(default=list)
    order = models.ForeignKey(Order, on_delete=models.SET_NULL, null=True, related_name="+")
    reserve_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=utc_now)
    updated_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"draft #{self.pk}"


class CalculatedOrder(Numbered):
    """An edit in progress; `changes` is what orderEditCommit will do."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="edits")
    changes = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=utc_now)
    committed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"edit #{self.pk} of {self.order}"


class BulkOperation(Numbered):
    """An export; run at once, its lines kept here."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="bulk_operations")
    status = models.CharField(max_length=12, default="COMPLETED")
    error_code = models.CharField(max_length=24, blank=True)
    query = models.TextField(blank=True)
    lines = models.TextField(blank=True)
    url = models.CharField(max_length=300, blank=True)
    object_count = models.PositiveIntegerField(default=0)
    root_object_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=utc_now)
    completed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"bulk operation #{self.pk}"


class ProductSetOperation(Numbered):
    """A productSet that the caller did not wait for; done at once all the same. `user_errors` as it answers them."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="product_operations")
    product = models.ForeignKey(Product, on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=10, default="COMPLETE")  # CREATED ACTIVE COMPLETE
    user_errors = models.JSONField(default=list)
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"productSet #{self.pk}"
