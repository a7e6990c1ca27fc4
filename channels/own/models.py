from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.utils.timezone import now as utc_now

from channels.models import Connection
from inventory.models import Order, Reservation
from storestudio.accounts.models import User
from storestudio.accounts.scoping import MerchantOwned


class Scope(models.TextChoices):
    """What a token may do."""

    AVAILABILITY = "availability:read", "See what may be sold"
    HOLDS_READ = "holds:read", "See holds"
    HOLDS_WRITE = "holds:write", "Hold, extend, release, convert to an order"
    ORDERS_READ = "orders:read", "See its own orders"
    ORDERS_WRITE = "orders:write", "Send orders and what becomes of them"


class Topic(models.TextChoices):
    """What a webhook tells of."""

    AVAILABILITY = "availability.changed", "What may be sold has changed"
    HOLD_EXPIRED = "hold.expired", "A hold ended because its time was over"
    HOLD_RELEASED = "hold.released", "A hold was released, by the site or by a person here"
    HOLD_CONVERTED = "hold.converted", "A hold became an order"
    ORDER_CHANGED = "order.changed", "The shop changed an order here: cancelled, edited, or moved to another place"
    PING = "ping", "A test"


class ApiToken(MerchantOwned):
    """A key to the API for one site or app of a shop; only its digest is kept."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, help_text="The beginning, to tell tokens apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=30, choices=Scope))
    requests_per_minute = models.PositiveIntegerField(default=600)
    created_at = models.DateTimeField(default=utc_now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(scopes=[]), name="apitoken_has_scopes"),
            models.CheckConstraint(condition=Q(requests_per_minute__gte=1), name="apitoken_may_call"),
        ]
        indexes = [models.Index(fields=["merchant", "-id"], name="apitoken_of_merchant")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…) #{self.pk}"

    @property
    def scope_words(self) -> list[tuple[str, str]]:
        """What it may, as the API names it and in words."""
        return [(scope, dict(Scope.choices).get(scope, scope)) for scope in self.scopes]


class RateWindow(models.Model):
    """How many calls of the running minute a token has been given; web processes take them by the handful."""

    token = models.OneToOneField(ApiToken, on_delete=models.CASCADE, primary_key=True, related_name="window")
    started_at = models.DateTimeField()
    used = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.used} calls of token {self.token_id} since {self.started_at:%H:%M}"


class WebhookEndpoint(MerchantOwned):
    """An address of the shop's own that is told what changes. Its secrets lie with the connection's, encrypted."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="endpoints")
    url = models.URLField("Address", max_length=500)
    description = models.CharField(max_length=120, blank=True)
    topics = ArrayField(models.CharField(max_length=30, choices=Topic))
    is_on = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=200, blank=True)
    secret_made_at = models.DateTimeField(default=utc_now)
    old_secret_until = models.DateTimeField(null=True, blank=True, help_text="Until then signed with both secrets.")
    failing_since = models.DateTimeField(null=True, blank=True)
    last_taken_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(topics=[]), name="webhookendpoint_has_topics")]

    def __str__(self) -> str:
        return f"{self.url} #{self.pk}"

    @property
    def topic_words(self) -> list[str]:
        """What it is told of, in words."""
        return [dict(Topic.choices).get(topic, topic) for topic in self.topics]


class WebhookMessage(MerchantOwned):
    """Something that happened and is to be told; its bytes are made once, for every try at every endpoint."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="webhook_messages")
    message_id = models.CharField(max_length=60, unique=True)
    topic = models.CharField(max_length=30, choices=Topic)
    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, null=True, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, related_name="+")
    change = models.JSONField(
        default=dict, db_default=Value({}, output_field=models.JSONField()), blank=True,
        help_text="What was done with the order, and why.",
    )  # fmt: skip
    body = models.TextField(blank=True, help_text="“” until it is made up for sending.")
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        indexes = [models.Index(fields=["id"], name="webhookmessage_to_make", condition=Q(body=""))]

    def __str__(self) -> str:
        return f"{self.topic} {self.message_id}"


class WebhookDelivery(MerchantOwned):
    """One message for one endpoint: tried until it is taken or given up, then kept as the log."""

    class State(models.TextChoices):
        PENDING = "pending", "Being tried"
        TAKEN = "taken", "Taken"
        FAILED = "failed", "Given up"

    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="When our worker tries it; empty while the publisher does."
    )
    created_at = models.DateTimeField(default=utc_now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["message", "endpoint"], name="webhookdelivery_once"),
            models.CheckConstraint(
                condition=Q(state="pending", ended_at=None) | (~Q(state="pending") & Q(ended_at__isnull=False)),
                name="webhookdelivery_ended_when_not_pending",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="webhookdelivery_due",
                condition=Q(state="pending", next_attempt_at__isnull=False),
            ),
            models.Index(fields=["merchant", "-id"], name="webhookdelivery_by_time"),
            models.Index(fields=["endpoint", "-id"], name="webhookdelivery_of_endpoint"),
        ]

    def __str__(self) -> str:
        return f"message {self.message_id} to endpoint {self.endpoint_id}"

    @property
    def last_try(self) -> WebhookAttempt | None:
        """What came of it last; lists fetch `tries` before."""
        return max(self.tries.all(), key=lambda one: one.pk, default=None)


class WebhookAttempt(models.Model):
    """One try of a delivery: when, how long, what was answered."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    sent_at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(help_text="0: nobody answered.")
    answer = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["delivery", "id"], name="webhookattempt_of_delivery")]

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} for delivery {self.delivery_id} at {self.sent_at:%H:%M:%S}"

    @property
    def is_taken(self) -> bool:
        """Whether it was taken: any 2xx, nothing else."""
        return 200 <= self.status < 300
