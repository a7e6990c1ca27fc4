"""What the stand-in for Lightspeed Retail (R-Series) remembers. Primary keys are the vendor's own numbers.

It is the vendor, and knows nothing of ours.
"""

from django.db import models
from django.utils.timezone import now


class Account(models.Model):
    """One retailer with the one app it has let in."""

    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="GBP")
    client_id = models.CharField(max_length=80, unique=True)
    client_secret = models.CharField(max_length=120)
    registers = models.PositiveSmallIntegerField(default=1)
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Bucket(models.Model):
    """The leaky bucket of one client at one account: how full it was, and when."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    client = models.CharField(max_length=10)
    level = models.FloatField(default=0)
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "client"], name="rsbox_one_bucket_a_client")]

    def __str__(self) -> str:
        return f"{self.level:.1f} drips of {self.client} at {self.measured_at:%H:%M:%S}"


class Employee(models.Model):
    """Somebody who works there; whoever lets an app in lends it their name in the log."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="employees")
    name = models.CharField(max_length=120)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class Token(models.Model):
    """A token of the app, or one of the owner's own client. Kept readable: `sandbox info` prints it."""

    class Kind(models.TextChoices):
        ACCESS = "access"
        REFRESH = "refresh"
        OWNER = "owner"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="tokens")
    employee = models.ForeignKey(Employee, on_delete=models.CASCADE)
    value = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=Kind)
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, help_text="Revoked, or replaced by one that was used.")
    replaces = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, help_text="The refresh token spent on it."
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} token #{self.pk}"


class AuthorizationCode(models.Model):
    """What an employee's consent hands to the app, for a minute."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    code = models.CharField(max_length=120, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization code #{self.pk}"


class Stamped(models.Model):
    """A row that says when it last changed, to the second."""

    create_time = models.DateTimeField()
    time_stamp = models.DateTimeField()

    class Meta:
        abstract = True


class Shop(Stamped):
    """A store, with its one register."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    name = models.CharField(max_length=255)
    time_zone = models.CharField(max_length=60, default="Europe/London")
    archived = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"


class ItemMatrix(Stamped):
    """What variants have in common: a name, and the names of up to three attributes."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    description = models.CharField(max_length=255)
    attribute_names = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.description} ({self.pk})"


class Item(Stamped):
    """One sellable thing."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    matrix = models.ForeignKey(ItemMatrix, null=True, on_delete=models.CASCADE, related_name="items")
    description = models.CharField(max_length=255)
    custom_sku = models.CharField(max_length=255, blank=True)
    upc = models.CharField(max_length=14, blank=True)
    ean = models.CharField(max_length=14, blank=True)
    item_type = models.CharField(max_length=20, default="default")
    attributes = models.JSONField(default=list, help_text="Values, in the order of the matrix's attributes.")
    category = models.CharField(max_length=255, blank=True)
    price = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    archived = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["account", "time_stamp"], name="rsbox_item_stamp")]

    def __str__(self) -> str:
        return f"{self.description} ({self.pk})"


class ItemShop(models.Model):
    """How many of an item a shop has for sale; without a shop, all of them together."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="item_shops")
    shop = models.ForeignKey(Shop, null=True, on_delete=models.CASCADE)
    qoh = models.IntegerField(default=0)
    on_layaway = models.IntegerField(default=0)
    time_stamp = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "shop"], name="rsbox_one_level_a_cell", nulls_distinct=False)
        ]
        indexes = [models.Index(fields=["account", "time_stamp"], name="rsbox_itemshop_stamp")]

    def __str__(self) -> str:
        return f"{self.qoh} of {self.item_id} at {self.shop_id or 'all shops'}"


class InventoryLog(models.Model):
    """A change of a shop's quantity, and why."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    item = models.ForeignKey(Item, on_delete=models.CASCADE)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE)
    employee = models.ForeignKey(Employee, on_delete=models.CASCADE)
    qoh_change = models.IntegerField()
    reason = models.CharField(max_length=60)
    sale = models.ForeignKey("Sale", null=True, on_delete=models.SET_NULL)
    order_number = models.IntegerField(default=0, help_text="Of a purchase order.")
    create_time = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="rsbox_log_by_account")]

    def __str__(self) -> str:
        return f"{self.qoh_change:+d} of {self.item_id} at {self.shop_id}: {self.reason} #{self.pk}"


class Sale(Stamped):
    """A ticket of a register; a refund is one with negative lines."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE)
    employee = models.ForeignKey(Employee, on_delete=models.CASCADE)
    completed = models.BooleanField(default=False)
    voided = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    complete_time = models.DateTimeField(null=True)
    update_time = models.DateTimeField()
    reference_number = models.CharField(max_length=120, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "update_time"], name="rsbox_sale_update")]

    def __str__(self) -> str:
        return f"sale {self.pk}"


class SaleLine(Stamped):
    """A line of a sale; without one, units set aside for a customer, `reserved` of them out of the quantity on hand."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    sale = models.ForeignKey(Sale, null=True, on_delete=models.CASCADE, related_name="lines")
    item = models.ForeignKey(Item, on_delete=models.CASCADE)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE)
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="refunds")
    unit_quantity = models.IntegerField()
    unit_price = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    is_layaway = models.BooleanField(default=False)
    reserved = models.IntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["account", "time_stamp"], name="rsbox_saleline_stamp")]

    def __str__(self) -> str:
        return f"{self.unit_quantity} of {self.item_id}, line {self.pk}"
