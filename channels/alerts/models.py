from __future__ import annotations

from datetime import time

from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from channels.models import Incident, IncidentEvent
from storestudio.accounts.models import Membership
from storestudio.accounts.scoping import MerchantOwned


class AlertRoute(MerchantOwned):
    """Where alerts of a shop go: a member's e-mail, or a webhook of the shop's; what, and at which hours."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    class Pace(models.TextChoices):
        AT_ONCE = "at_once", "At once"
        DAILY = "daily", "Once a day, at eight"
        WEEKLY = "weekly", "On Mondays, at eight"

    channel = models.CharField(max_length=8, choices=Channel)
    membership = models.OneToOneField(
        Membership, on_delete=models.CASCADE, null=True, blank=True, related_name="alert_route"
    )
    label = models.CharField(max_length=120, blank=True, help_text="What people call a webhook.")
    host = models.CharField(max_length=255, blank=True, help_text="Where a webhook leads; the rest of it is a secret.")
    address = models.BinaryField(null=True, editable=False, help_text="Of a webhook, encrypted; channels.credentials.")
    address_kid = models.CharField(max_length=20, blank=True, editable=False)
    is_on = models.BooleanField(default=True)
    thresholds = models.JSONField(
        default=dict, blank=True, help_text="By kind of incident: the least severity that is told; NEVER for none."
    )
    pace = models.CharField(max_length=8, choices=Pace, default=Pace.AT_ONCE)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    breaks_through = models.BooleanField(default=True, help_text="What is urgent is told in quiet hours and at once.")
    tells_closing = models.BooleanField(default=True)
    digested_on = models.DateField(null=True, blank=True, help_text="Day of the last digest, where the shop is.")
    last_sent_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    removed_at = models.DateTimeField(null=True, blank=True)

    NEVER = 9
    DIGEST_AT = time(8)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(channel="email", membership__isnull=False, address=None)
                | Q(channel="webhook", membership=None, address__isnull=False),
                name="alertroute_is_a_members_mail_or_a_webhook",
            ),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="alertroute_quiet_hours_begin_and_end",
            ),
        ]
        indexes = [models.Index(fields=["merchant"], name="alertroute_of_merchant")]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} route #{self.pk}"

    def least_of(self, kind: str) -> int:
        """The least severity of this kind that is told."""
        return int(self.thresholds.get(kind, Incident.Severity.WARNING))

    def wants(self, *, kind: str, severity: int) -> bool:
        """Whether an incident of this kind and severity is told here."""
        return severity >= self.least_of(kind)


class AlertDelivery(MerchantOwned):
    """One thing to tell on one route: tried until it is sent, given up or no longer worth telling; then the log."""

    class State(models.TextChoices):
        PENDING = "pending", "Waits"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"
        DROPPED = "dropped", "Not needed"

    class About(models.TextChoices):
        EVENT = "event", "An incident"
        DIGEST = "digest", "A digest"
        TEST = "test", "A test"

    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="deliveries")
    about = models.CharField(max_length=8, choices=About, default=About.EVENT)
    event = models.ForeignKey(IncidentEvent, on_delete=models.CASCADE, null=True, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, null=True, related_name="alerts")
    dedupe_key = models.CharField(max_length=120, unique=True, help_text="What is told once, however often it is due.")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=utc_now)
    ended_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, help_text="What came of the last try, or why it is not told.")

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", ended_at=None, next_attempt_at__isnull=False)
                | (~Q(state="pending") & Q(ended_at__isnull=False, next_attempt_at=None)),
                name="alertdelivery_ended_when_not_pending",
            )
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], name="alertdelivery_due", condition=Q(state="pending")),
            models.Index(fields=["route", "-id"], name="alertdelivery_of_route"),
            models.Index(fields=["merchant", "-id"], name="alertdelivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"alert #{self.pk} on route {self.route_id}"
