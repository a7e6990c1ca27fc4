"""What the stand-in for Lightspeed Retail (X-Series) remembers. It is the vendor, and knows nothing of ours."""

import uuid

from django.db import models
from django.utils.timezone import now


class Retailer(models.Model):
    """One retailer with the one app it has let in. `version` counts every change of anything of it."""

    domain_prefix = models.CharField(max_length=80, primary_key=True)
    id = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="GBP")
    client_id = models.CharField(max_length=80, unique=True)
    client_secret = models.CharField(max_length=120)
    user_id = models.UUIDField(default=uuid.uuid4)
    tax_id = models.UUIDField(default=uuid.uuid4)
    payment_type_id = models.UUIDField(default=uuid.uuid4)
    version = models.BigIntegerField(default=5_105_100_000)
    invoices = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.name} ({self.domain_prefix})"


class Token(models.Model):
    """A token of the app, or a person's own. Kept readable: this is a sandbox, and `sandbox info` prints it."""

    class Kind(models.TextChoices):
        ACCESS = "access"
        REFRESH = "refresh"
        PERSONAL = "personal"

    retailer = models.ForeignKey(Retailer, on_delete=models.CASCADE, related_name="tokens")
    value = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=Kind)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, help_text="Revoked, or used up.")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} token #{self.pk}"


class AuthorizationCode(models.Model):
    """What a retailer's consent hands to the app, for ten minutes."""

    retailer = models.ForeignKey(Retailer, on_delete=models.CASCADE)
    code = models.CharField(max_length=120, unique=True)
    scopes = models.JSONField(default=list)
    redirect_uri = models.CharField(max_length=500)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization code #{self.pk}"


class CallWindow(models.Model):
    """Requests of one app in its current window of five minutes."""

    retailer = models.ForeignKey(Retailer, on_delete=models.CASCADE)
    app = models.CharField(max_length=10)
    started_at = models.DateTimeField()
    used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["retailer", "app"], name="lsbox_one_window_an_app")]

    def __str__(self) -> str:
        return f"{self.used} requests of {self.app} since {self.started_at:%H:%M:%S}"


class Versioned(models.Model):
    """A row of the feeds: numbered anew with each change of it."""

    id = models.UUIDField(default=uuid.uuid4, primary_key=True)
    retailer = models.ForeignKey(Retailer, on_delete=models.CASCADE)
    version = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Outlet(Versioned):
    """A shop or store room."""

    name = models.CharField(max_length=255)
    time_zone = models.CharField(max_length=60, default="Europe/London")

    class Meta:
        indexes = [models.Index(fields=["retailer", "version"], name="lsbox_outlet_version")]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Register(Versioned):
    """A till at an outlet."""

    outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE, related_name="registers")
    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class VariantAttribute(Versioned):
    """The name of an option, such as Size; shared by all products of the retailer."""

    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Product(Versioned):
    """One sellable thing; variants of a family share `handle`, `name` and `family_id`."""

    family_id = models.UUIDField()
    variant_parent_id = models.UUIDField(null=True)
    handle = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    sku = models.CharField(max_length=255, blank=True)
    product_codes = models.JSONField(default=list)
    variant_options = models.JSONField(default=list)
    is_active = models.BooleanField(default=True)
    has_inventory = models.BooleanField(default=True)
    composite_bom = models.JSONField(default=dict, help_text="Product id → quantity; not empty: composite.")
    price = models.DecimalField(max_digits=16, decimal_places=5, default=0)
    supply_price = models.DecimalField(max_digits=16, decimal_places=5, default=0)
    category = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    tag_ids = models.JSONField(default=list)
    source = models.CharField(max_length=40, default="USER")
    source_id = models.CharField(max_length=80, blank=True)
    source_variant_id = models.CharField(max_length=80, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["retailer", "version"], name="lsbox_product_version"),
            models.Index(fields=["family_id"], name="lsbox_product_family"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.sku} ({self.pk})"


class Level(Versioned):
    """How many of a product an outlet has."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="levels")
    outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE)
    quantity = models.DecimalField(max_digits=20, decimal_places=5, default=0)
    reorder_point = models.DecimalField(max_digits=20, decimal_places=5, null=True)
    reorder_amount = models.DecimalField(max_digits=20, decimal_places=5, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "outlet"], name="lsbox_one_level_a_cell")]
        indexes = [models.Index(fields=["retailer", "version"], name="lsbox_level_version")]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product_id} at {self.outlet_id}"


class AdjustmentReason(Versioned):
    """A reason for adjustments that somebody added to the vendor's own."""

    name = models.CharField(max_length=30)
    type = models.CharField(max_length=8)
    is_enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["retailer", "name"], name="lsbox_reason_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.type})"


class Adjustment(Versioned):
    """A change of stock that somebody made and gave a reason for."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE)
    quantity = models.DecimalField(max_digits=20, decimal_places=5)
    reason = models.CharField(max_length=20)
    custom_reason = models.ForeignKey(AdjustmentReason, on_delete=models.CASCADE, null=True)
    user_id = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["retailer", "version"], name="lsbox_adjustment_version")]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product_id}: {self.reason}"


class Consignment(Versioned):
    """Goods on their way (SUPPLIER, OUTLET, RETURN), or a stocktake."""

    outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE)
    source_outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.CharField(max_length=255)
    reference = models.CharField(max_length=255, blank=True)
    type = models.CharField(max_length=10)
    status = models.CharField(max_length=40, default="OPEN")
    received_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["retailer", "version"], name="lsbox_consignment_version")]

    def __str__(self) -> str:
        return f"{self.type} {self.name} ({self.status})"


class ConsignmentProduct(Versioned):
    """A line of a consignment: how many were said to come, how many were counted."""

    consignment = models.ForeignKey(Consignment, on_delete=models.CASCADE, related_name="products")
    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    count = models.DecimalField(max_digits=20, decimal_places=5, null=True)
    received = models.DecimalField(max_digits=20, decimal_places=5, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consignment", "product"], name="lsbox_line_once")]

    def __str__(self) -> str:
        return f"{self.count} of {self.product_id} ({self.consignment_id})"


class Sale(Versioned):
    """A sale as the till keeps it. `taken`: what it holds out of the levels now, "product outlet" → units."""

    register = models.ForeignKey(Register, on_delete=models.CASCADE)
    state = models.CharField(max_length=8)
    attributes = models.JSONField(default=list)
    date = models.DateTimeField()
    invoice_number = models.CharField(max_length=40)
    note = models.TextField(blank=True)
    source_id = models.CharField(max_length=120, blank=True)
    fulfillment_outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE, null=True)
    line_items = models.JSONField(default=list)
    payments = models.JSONField(default=list)
    original_sale = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="return_sales")
    taken = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["retailer", "version"], name="lsbox_sale_version")]

    def __str__(self) -> str:
        return f"sale {self.invoice_number} ({self.state})"


class Webhook(models.Model):
    """Where an app wants which events; `is_signed` for those of the app, not for those a person added."""

    id = models.UUIDField(default=uuid.uuid4, primary_key=True)
    retailer = models.ForeignKey(Retailer, on_delete=models.CASCADE, related_name="webhooks")
    type = models.CharField(max_length=40)
    url = models.CharField(max_length=500)
    is_active = models.BooleanField(default=True)
    is_signed = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["retailer", "type", "url"], name="lsbox_webhook_once")]

    def __str__(self) -> str:
        return f"{self.type} to {self.url}"
