from django.db import models
from django.utils import timezone


class Delivery(models.Model):
    """One webhook the sandbox owes to one subscriber; body and signature are fixed when it is written."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        DROPPED = "dropped"
        GAVE_UP = "gave_up"

    vendor = models.CharField(max_length=20)
    account = models.CharField(max_length=120)
    topic = models.CharField(max_length=80)
    url = models.URLField(max_length=500)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_max = models.PositiveSmallIntegerField(default=9, help_text="1: this vendor never repeats a delivery.")
    last_status = models.CharField(max_length=200, blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], name="sandbox_delivery_due", condition=models.Q(state="pending"))
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.topic} #{self.pk} to {self.url}"


class Fault(models.Model):
    """A planned misbehaviour: `operation` (a prefix; "webhook" for deliveries) goes wrong with `probability`."""

    class Kind(models.TextChoices):
        DROP = "drop", "webhook never sent"
        DUPLICATE = "duplicate", "webhook sent twice"
        DELAY = "delay", "webhook sent late (params.delay_s_max)"
        REORDER = "reorder", "webhook overtakes earlier ones (params.delay_s_max)"
        RATE_LIMITED = "rate_limited", "429 before anything happens"
        SERVER_ERROR = "server_error", "500 before anything happens"
        TIMEOUT_AFTER = "timeout_after", "done, but the answer is lost"
        HALF_BATCH = "half_batch", "only part of the batch is done"

    vendor = models.CharField(max_length=20)
    operation = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=20, choices=Kind)
    probability = models.FloatField(default=1.0)
    remaining = models.PositiveIntegerField(null=True, help_text="How many more times; empty for ever.")
    params = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.vendor} {self.operation or 'anything'}: {self.kind} #{self.pk}"


class Switch(models.Model):
    """A behaviour of a vendor that is not established; the sandbox's choice by name (docs/vendor-checks.md)."""

    name = models.CharField(max_length=80, primary_key=True)
    value = models.JSONField()

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"
