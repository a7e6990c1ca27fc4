from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now as utc_now


class UserManager(BaseUserManager["User"]):
    """Makes users by email address."""

    use_in_migrations = True

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a user whatever the case of the typed address."""
        return self.get(email__iexact=username or "")

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create an ordinary user. Raises ValueError without an address."""
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create an admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an email address; `is_staff` opens Django admin, `is_superuser` is an admin."""

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120, blank=True)
    is_staff = models.BooleanField("staff status", default=False, help_text="May open the admin.")
    is_active = models.BooleanField("active", default=True, help_text="Switch off rather than delete.")
    date_joined = models.DateTimeField(default=utc_now)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_whatever_case")]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """The name people see."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """The first word of the name."""
        return self.get_full_name().split(" ")[0]


# The first words of the product's own addresses: a shop of that name could not be reached under /<slug>/.
RESERVED_SLUGS = ("account", "admin", "api", "fleet", "healthz", "readyz", "static", "theme", "webhooks")


class Merchant(models.Model):
    """A shop: one stock ledger, and everything that hangs on it."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    currency = models.CharField(max_length=3, default="GBP")
    timezone = models.CharField(max_length=64, default="Europe/London")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(slug__in=RESERVED_SLUGS),
                name="merchant_slug_is_not_an_address_of_ours",
                violation_error_message="StoreStudio itself lives at this address. Choose another slug for the shop.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.slug})"


class Membership(models.Model):
    """What one user may do in one shop."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MANAGER = "manager", "Manager"
        ASSOCIATE = "associate", "Associate"
        ONBOARDING = "onboarding", "StoreStudio staff"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "merchant"], name="membership_one_per_user_and_merchant")
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} of {self.merchant}"


class AuditEntry(models.Model):
    """Who changed what, when: written once, never edited (the database refuses)."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=utc_now)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=60)
    summary = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "-at", "-id"], name="audit_of_merchant"),
            models.Index(fields=["object_type", "object_id"], name="audit_of_object"),
        ]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.object_type} {self.object_id}"


class Heartbeat(models.Model):
    """When a background process last said that it is alive; read by /readyz."""

    name = models.CharField(max_length=40, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.beat_at:%H:%M:%S}"
