"""What the stand-in for Square remembers. It is the vendor, and knows nothing of the product's tables."""

from django.db import models
from django.utils.timezone import now


class Account(models.Model):
    """A seller's Square account, with the one application that seller uses (id, secret, personal token)."""

    merchant_id = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=120)
    country = models.CharField(max_length=2, default="US")
    currency = models.CharField(max_length=3, default="USD")
    language = models.CharField(max_length=12, default="en-US")
    application_id = models.CharField(max_length=80, unique=True)
    client_secret = models.CharField(max_length=120)
    signature_key = models.CharField(max_length=60, help_text="Given to new webhook subscriptions.")
    redirect_url = models.CharField(max_length=500, blank=True)
    catalog_version = models.BigIntegerField(default=0, help_text="Last catalog write, milliseconds since 1970.")
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.name} ({self.merchant_id})"

    @property
    def access_token(self) -> str:
        """The newest OAuth token that works; "" without one."""
        working = self.tokens.filter(kind=AccessToken.Kind.OAUTH, revoked_at=None, expires_at__gt=now())
        row = working.last()
        return row.token if row else ""

    @property
    def refresh_token(self) -> str:
        row = self.refresh_tokens.filter(revoked_at=None, used_at=None).last()
        return row.token if row else ""

    @property
    def personal_token(self) -> str:
        """The application's own token, which never expires."""
        row = self.tokens.filter(
            kind=AccessToken.Kind.PERSONAL, product="EXTERNAL_API", application_id="", revoked_at=None
        ).last()
        return row.token if row else ""


class AccessToken(models.Model):
    """A bearer token. Kept readable: this is a sandbox, and `manage.py sandbox info` prints it."""

    class Kind(models.TextChoices):
        OAUTH = "oauth"
        PERSONAL = "personal"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="tokens")
    token = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    scopes = models.JSONField(default=list)
    product = models.CharField(max_length=30, default="EXTERNAL_API", help_text="Whose hand its writes are shown as.")
    application_id = models.CharField(max_length=120, blank=True, help_text="Another application than the account's.")
    application_name = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} token #{self.pk}"


class RefreshToken(models.Model):
    """Code flow: used any number of times. PKCE: once, within 90 days."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="refresh_tokens")
    token = models.CharField(max_length=120, unique=True)
    scopes = models.JSONField(default=list)
    is_single_use = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"refresh token #{self.pk}"


class AuthorizationCode(models.Model):
    """What a seller's consent hands to the application, for five minutes."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    code = models.CharField(max_length=120, unique=True)
    scopes = models.JSONField(default=list)
    redirect_uri = models.CharField(max_length=500, blank=True)
    code_challenge = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization code #{self.pk}"


class Location(models.Model):
    """A place of business."""

    location_id = models.CharField(max_length=40, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="locations")
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=10, default="ACTIVE")
    timezone = models.CharField(max_length=60, default="America/New_York")
    is_main = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.name} ({self.location_id})"


class CatalogObject(models.Model):
    """One catalog object; an ITEM's variations are rows of their own, nested again when printed."""

    object_id = models.CharField(max_length=192, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    type = models.CharField(max_length=40)
    item_id = models.CharField(max_length=192, blank=True)
    name = models.CharField(max_length=512, blank=True)
    sku = models.CharField(max_length=255, blank=True)
    upc = models.CharField(max_length=14, blank=True)
    version = models.BigIntegerField()
    updated_at = models.DateTimeField()
    is_deleted = models.BooleanField(default=False)
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["account", "type", "id"], name="sqbox_catalog_type"),
            models.Index(fields=["account", "updated_at"], name="sqbox_catalog_updated"),
            models.Index(fields=["item_id"], name="sqbox_catalog_item"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"


class InventoryChange(models.Model):
    """One entry of the inventory history: an adjustment or a physical count."""

    class Type(models.TextChoices):
        ADJUSTMENT = "ADJUSTMENT"
        PHYSICAL_COUNT = "PHYSICAL_COUNT"

    change_id = models.CharField(max_length=40, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    type = models.CharField(max_length=20, choices=Type)
    catalog_object_id = models.CharField(max_length=192)
    from_state = models.CharField(max_length=30, blank=True)
    to_state = models.CharField(max_length=30, help_text="Of a physical count: the state counted.")
    from_location_id = models.CharField(max_length=40, blank=True)
    to_location_id = models.CharField(max_length=40, help_text="Of a physical count: the place counted.")
    quantity = models.DecimalField(max_digits=20, decimal_places=5)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    reference_id = models.CharField(max_length=255, blank=True)
    source = models.JSONField(default=dict)
    extra = models.JSONField(default=dict, help_text="Further fields, printed as they are.")

    class Meta:
        indexes = [
            models.Index(fields=["account", "catalog_object_id", "occurred_at"], name="sqbox_change_object"),
            models.Index(fields=["account", "created_at"], name="sqbox_change_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.change_id}"


class InventoryCount(models.Model):
    """The running count of a variation in a state at a location; absent until something touched it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    catalog_object_id = models.CharField(max_length=192)
    location_id = models.CharField(max_length=40)
    state = models.CharField(max_length=30)
    quantity = models.DecimalField(max_digits=20, decimal_places=5, default=0)
    calculated_at = models.DateTimeField()
    last_occurred_at = models.DateTimeField(null=True, help_text="Latest change in it; an earlier one is a recount.")
    counted_quantity = models.DecimalField(max_digits=20, decimal_places=5, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "catalog_object_id", "location_id", "state"], name="sqbox_one_count_a_cell"
            )
        ]
        indexes = [models.Index(fields=["account", "-calculated_at", "id"], name="sqbox_count_calculated")]

    def __str__(self) -> str:
        return f"{self.catalog_object_id} {self.state} at {self.location_id}"


class Order(models.Model):
    """An order; `data` is its body as printed, the columns are what is filtered and sorted by."""

    order_id = models.CharField(max_length=60, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    location_id = models.CharField(max_length=40)
    state = models.CharField(max_length=12)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    has_moved_stock = models.BooleanField(default=False)
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["account", "location_id", "updated_at"], name="sqbox_order_updated"),
            models.Index(fields=["account", "location_id", "created_at"], name="sqbox_order_created"),
        ]

    def __str__(self) -> str:
        return f"order {self.order_id}"


class Payment(models.Model):
    """A payment; amounts in minor units."""

    payment_id = models.CharField(max_length=60, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    location_id = models.CharField(max_length=40)
    order_id = models.CharField(max_length=60)
    status = models.CharField(max_length=12)
    amount = models.BigIntegerField()
    refunded = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["account", "order_id"], name="sqbox_payment_order")]

    def __str__(self) -> str:
        return f"payment {self.payment_id}"


class Refund(models.Model):
    """Money handed back; the amount in minor units."""

    refund_id = models.CharField(max_length=120, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    payment = models.ForeignKey(Payment, on_delete=models.CASCADE)
    location_id = models.CharField(max_length=40)
    order_id = models.CharField(max_length=60)
    status = models.CharField(max_length=12)
    amount = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    data = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"refund {self.refund_id}"


class Subscription(models.Model):
    """Where an application wants which events."""

    subscription_id = models.CharField(max_length=60, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    name = models.CharField(max_length=64)
    enabled = models.BooleanField(default=True)
    event_types = models.JSONField(default=list)
    notification_url = models.CharField(max_length=500)
    api_version = models.CharField(max_length=10)
    signature_key = models.CharField(max_length=60)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"webhooks to {self.notification_url} ({self.subscription_id})"


class IdempotentReply(models.Model):
    """The answer given to an idempotency key, for the same key again."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    operation = models.CharField(max_length=60)
    key = models.CharField(max_length=192)
    body_hash = models.CharField(max_length=64)
    reply = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "operation", "key"], name="sqbox_one_reply_a_key")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
