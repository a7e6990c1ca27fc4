"""A shop's tables, as far as its REST API shows them. Times are whole seconds, as WordPress keeps them."""

from datetime import datetime

from django.db import models
from django.utils import timezone


def now_s() -> datetime:
    """Now, to the second."""
    return timezone.now().replace(microsecond=0)


class Site(models.Model):
    """One WordPress site with WooCommerce on it; everything else hangs on it."""

    domain = models.CharField(max_length=120, primary_key=True)
    name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3, default="GBP")
    created_at = models.DateTimeField(default=now_s)

    def __str__(self) -> str:
        return self.domain


class ApiKey(models.Model):
    """A consumer key and its secret, made in the shop's settings."""

    class Permissions(models.TextChoices):
        READ = "read"
        WRITE = "write"
        READ_WRITE = "read_write"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="keys")
    description = models.CharField(max_length=200, blank=True)
    permissions = models.CharField(max_length=12, choices=Permissions, default=Permissions.READ_WRITE)
    consumer_key = models.CharField(max_length=64, unique=True)
    consumer_secret = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.description or 'key'} #{self.pk} of {self.site_id}"


class Product(models.Model):
    """A product or a variation: both are posts with ids of one series."""

    class Type(models.TextChoices):
        SIMPLE = "simple"
        VARIABLE = "variable"
        GROUPED = "grouped"
        EXTERNAL = "external"
        VARIATION = "variation"

    class Backorders(models.TextChoices):
        NO = "no"
        NOTIFY = "notify"
        YES = "yes"

    class StockStatus(models.TextChoices):
        IN_STOCK = "instock"
        OUT_OF_STOCK = "outofstock"
        ON_BACKORDER = "onbackorder"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="products")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="variations")
    type = models.CharField(max_length=12, choices=Type, default=Type.SIMPLE)
    status = models.CharField(max_length=12, default="publish")
    name = models.CharField(max_length=300, blank=True)
    slug = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    sku = models.CharField(max_length=100, blank=True, db_index=True)
    global_unique_id = models.CharField(max_length=100, blank=True)
    regular_price = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    attributes = models.JSONField(default=list)
    categories = models.JSONField(default=list)
    manage_stock = models.BooleanField(default=False)
    stock_quantity = models.IntegerField(null=True)
    stock_status = models.CharField(max_length=12, choices=StockStatus, default=StockStatus.IN_STOCK)
    backorders = models.CharField(max_length=8, choices=Backorders, default=Backorders.NO)
    menu_order = models.IntegerField(default=0)
    meta_data = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now_s)
    modified_at = models.DateTimeField(default=now_s)

    class Meta:
        indexes = [
            models.Index(fields=["site", "modified_at"], name="woo_product_modified"),
            models.Index(fields=["parent", "id"], name="woo_product_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.sku or self.type} #{self.pk}"

    @property
    def keeper(self) -> "Product | None":
        """Whose stock counts for it: its own, its parent's, or nobody's."""
        if self.manage_stock:
            return self
        return self.parent if self.parent is not None and self.parent.manage_stock else None


class Order(models.Model):
    """An order; `stock_reduced` is the flag that keeps its stock from being taken twice."""

    class Status(models.TextChoices):
        PENDING = "pending"
        PROCESSING = "processing"
        ON_HOLD = "on-hold"
        COMPLETED = "completed"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"
        FAILED = "failed"
        TRASH = "trash"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="orders")
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    order_key = models.CharField(max_length=40)
    currency = models.CharField(max_length=3)
    customer_note = models.CharField(max_length=500, blank=True)
    payment_method = models.CharField(max_length=60, blank=True)
    stock_reduced = models.BooleanField(default=False)
    meta_data = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now_s)
    modified_at = models.DateTimeField(default=now_s)
    paid_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["site", "modified_at"], name="woo_order_modified")]

    def __str__(self) -> str:
        return f"order {self.pk}"


class OrderLine(models.Model):
    """A line; `reduced_stock` and `restocked` are its hidden meta `_reduced_stock` and `_restock_refunded_items`."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.SET_NULL, null=True)
    product_number = models.BigIntegerField()
    variation_number = models.BigIntegerField(default=0)
    name = models.CharField(max_length=300)
    sku = models.CharField(max_length=100, blank=True)
    quantity = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=14, decimal_places=4)
    reduced_stock = models.IntegerField(null=True)
    restocked = models.IntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.quantity} {self.name} of order {self.order_id} #{self.pk}"


class Refund(models.Model):
    """Money given back, with the lines it was for."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="refunds")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    reason = models.CharField(max_length=300, blank=True)
    refunded_payment = models.BooleanField(default=False, help_text="The gateway gave the money back.")
    meta_data = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now_s)

    def __str__(self) -> str:
        return f"refund {self.pk} of order {self.order_id}"


class RefundLine(models.Model):
    """Units of an order's line that a refund was for."""

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="refunded")
    quantity = models.PositiveIntegerField()
    total = models.DecimalField(max_digits=14, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.quantity} of line {self.line_id} in refund {self.refund_id} #{self.pk}"


class Webhook(models.Model):
    """A webhook of one topic; `failure_count` in a row, and it ends `disabled`."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        DISABLED = "disabled"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    topic = models.CharField(max_length=80)
    delivery_url = models.CharField(max_length=500)
    secret = models.CharField(max_length=200)
    failure_count = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=now_s)
    modified_at = models.DateTimeField(default=now_s)

    def __str__(self) -> str:
        return f"{self.topic} #{self.pk} to {self.delivery_url}"
