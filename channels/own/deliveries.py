"""What was told to the shop's own endpoints, is being told, and could not be told: queue and log in one.

A message is a row written in the transaction that made it necessary (own/sql/own.sql) or by the publisher's own call
(availability). It becomes one delivery an endpoint; each is tried by itself, with growing pauses over three days, so
that an endpoint that is down holds up no other. Every try is kept: when, how long, what was answered. A delivery that
was given up, or taken, can be sent again by a person: the same id, the same bytes.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from channels import incidents, registry
from channels.connectors.own import client
from channels.connectors.own.client import Answer, Message
from channels.models import Connection
from channels.own import days, documents, endpoints
from channels.own.models import Topic, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from inventory.models import Reservation
from storestudio.accounts import audit
from storestudio.accounts.models import User

State = WebhookDelivery.State
AT_ONCE = 50
LEASE = timedelta(seconds=30)  # longer than a try may take
# After each try that failed; then it is given up. About three days in all, as the specification advises.
PAUSES_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
OFF_AFTER = timedelta(days=3)


# --- the log of the connector (channels/connectors/own) -----------------------------------------------------


def attempted(*, account_id: str, message: Message, endpoint_id: int, answer: Answer) -> None:
    """Keep one try that the publisher made; a failed one is the publisher's to repeat until it hands it over."""
    site = Connection.objects.only("pk", "merchant_id").get(channel=registry.OWN, account_id=account_id)
    with transaction.atomic():
        row, _ = WebhookMessage.objects.get_or_create(
            message_id=message.message_id,
            defaults={
                "merchant_id": site.merchant_id, "connection": site, "topic": message.topic,
                "body": message.body.decode(),
            },
        )  # fmt: skip
        delivery, _ = WebhookDelivery.objects.get_or_create(
            message=row, endpoint_id=endpoint_id, defaults={"merchant_id": site.merchant_id}
        )
        _record(delivery, answer, next_attempt_at=None)


def handed_over(*, message_id: str, endpoint_ids: Sequence[int]) -> None:
    """From now on our own worker tries these endpoints."""
    WebhookDelivery.objects.filter(
        message__message_id=message_id, endpoint__in=endpoint_ids, state=State.PENDING
    ).update(next_attempt_at=timezone.now() + timedelta(seconds=PAUSES_S[0]))


# --- our own queue ------------------------------------------------------------------------------------------


def work_off(*, until: datetime) -> int:
    """Make up new messages and try what is due until nothing is, or the time is up; returns how many tries."""
    tries = 0
    failing: set[int] = set()
    while timezone.now() < until:
        make_up()
        claimed = _claim()
        if not claimed:
            break
        for delivery in claimed:
            if delivery.endpoint_id in failing:  # it failed a moment ago: the others' turn comes first
                _put_off(delivery)
                continue
            tries += 1
            if not send(delivery).is_taken:
                failing.add(delivery.endpoint_id)
    return tries


def make_up() -> int:
    """Give new messages their bytes and each subscribed endpoint its delivery; returns how many messages."""
    now = timezone.now()
    with transaction.atomic():
        new = list(WebhookMessage.objects.filter(body="").order_by("pk").select_for_update(skip_locked=True)[:AT_ONCE])
        said = [(message, _body(message)) for message in new]
        new = [message for message, body in said if body]
        WebhookMessage.objects.filter(pk__in=[message.pk for message, body in said if not body]).delete()
        for message, body in said:
            message.body = body
            if not body:
                continue
            listening = WebhookEndpoint.objects.filter(
                connection=message.connection_id, is_on=True, removed_at=None, topics__contains=[message.topic]
            )
            WebhookDelivery.objects.bulk_create(
                WebhookDelivery(
                    merchant_id=message.merchant_id, message=message, endpoint=endpoint, next_attempt_at=now
                )
                for endpoint in listening.order_by("pk")
            )
        WebhookMessage.objects.bulk_update(new, ["body"])
    return len(new)


def _body(message: WebhookMessage) -> str:
    """The message's bytes; "" where there is nothing to tell after all."""
    data: documents.Json = {}
    if message.topic == Topic.AVAILABILITY:
        data = {"availability": _moved(message)}
        if not data["availability"]:
            return ""
    if message.reservation_id:
        hold = Reservation.objects.select_related("order").get(pk=message.reservation_id)
        data = {"hold": documents.hold(hold, now=message.created_at)}
    if message.order is not None:
        data = {"order": documents.order(message.order), "change": message.change}
    document = {"type": message.topic, "timestamp": documents.moment(message.created_at), "data": data}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _moved(message: WebhookMessage) -> list[documents.Json]:
    before = message.change["before"]
    found = days.moved(
        site_id=message.connection_id, merchant_id=message.merchant_id, arrival_id=message.change["arrival"],
        before=date.fromisoformat(before) if before else None,
    )  # fmt: skip
    return [documents.moved(one.offer, location_id=one.location_id, promise_now=one.promise) for one in found]


def _claim() -> list[WebhookDelivery]:
    """Lease what is due, oldest first; a worker that dies lets the lease run out."""
    now = timezone.now()
    with transaction.atomic():
        due = WebhookDelivery.objects.filter(state=State.PENDING, next_attempt_at__lte=now)
        claimed = list(
            due.order_by("next_attempt_at", "pk").select_for_update(skip_locked=True, of=("self",))[:AT_ONCE]
        )
        WebhookDelivery.objects.filter(pk__in=[one.pk for one in claimed]).update(next_attempt_at=now + LEASE)
    found = WebhookDelivery.objects.filter(pk__in=[one.pk for one in claimed])
    return list(found.select_related("endpoint", "message").order_by("pk"))


def send(delivery: WebhookDelivery) -> Answer:
    """Try one delivery now and keep what came of it. Call outside any transaction."""
    endpoint, row = delivery.endpoint, delivery.message
    if endpoint.removed_at is not None or (not endpoint.is_on and row.topic != Topic.PING):
        answer = Answer(status=0, text="", error="the endpoint is switched off", took_ms=0, sent_at=timezone.now())
        _end(delivery, State.FAILED, answer.sent_at)
        return answer
    message = Message(row.message_id, row.topic, row.body.encode())
    answer = client.deliver(endpoint=endpoints.reach(endpoint), message=message, sent_at=timezone.now())
    with transaction.atomic():
        _record(delivery, answer, next_attempt_at=_next(delivery.attempts, now=timezone.now()))
    return answer


def _next(attempts: int, *, now: datetime) -> datetime | None:
    if attempts >= len(PAUSES_S):
        return None
    return now + timedelta(seconds=PAUSES_S[attempts] * random.uniform(0.9, 1.1))


def _put_off(delivery: WebhookDelivery) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        next_attempt_at=_next(min(delivery.attempts, len(PAUSES_S) - 1), now=timezone.now())
    )


def _record(delivery: WebhookDelivery, answer: Answer, *, next_attempt_at: datetime | None) -> None:
    """Keep the try; the delivery is taken, comes again, or is given up where its tries are used up."""
    WebhookAttempt.objects.create(
        delivery=delivery, sent_at=answer.sent_at, took_ms=answer.took_ms, status=answer.status,
        answer=answer.text, error=answer.error[:300],
    )  # fmt: skip
    delivery.attempts += 1
    WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=F("attempts") + 1, next_attempt_at=next_attempt_at)
    if answer.is_taken:
        _end(delivery, State.TAKEN, answer.sent_at)
    elif answer.status == client.GONE or delivery.attempts > len(PAUSES_S):
        _end(delivery, State.FAILED, answer.sent_at)
    _judge(delivery.endpoint_id, answer)


def _end(delivery: WebhookDelivery, state: str, at: datetime) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=state, ended_at=at, next_attempt_at=None)


def _judge(endpoint_id: int, answer: Answer) -> None:
    """An endpoint that is gone, or has failed for days, is switched off, and a person is told."""
    row = WebhookEndpoint.objects.filter(pk=endpoint_id)
    if answer.is_taken:
        row.update(last_taken_at=answer.sent_at, failing_since=None)
        return
    row.update(failing_since=Coalesce("failing_since", answer.sent_at))
    endpoint = row.select_related("merchant").get()
    reason = ""
    if answer.status == client.GONE:
        reason = "it answered 410: gone for good"
    elif endpoint.failing_since and answer.sent_at - endpoint.failing_since > OFF_AFTER:
        reason = f"it took nothing for {OFF_AFTER.days} days; last: {answer.error}"
    if reason and endpoint.is_on:
        endpoints.switch(endpoint=endpoint, is_on=False, reason=reason, actor=None)
        incidents.open_or_count(
            merchant_id=endpoint.merchant_id,
            connection_id=endpoint.connection_id,
            kind=incidents.Kind.REFUSED,
            key=f"endpoint:{endpoint.pk}",
            title=f"{endpoint.url} is told nothing any more: {reason}. Switch it on again once it answers.",
        )


def ping(*, endpoint: WebhookEndpoint, actor: User | None) -> tuple[WebhookDelivery, Answer]:
    """Send a test message now, and say what was answered. Call outside any transaction."""
    now = timezone.now()
    body = {"type": Topic.PING.value, "timestamp": documents.moment(now), "data": {"endpoint_id": endpoint.pk}}
    with transaction.atomic():
        message = WebhookMessage.objects.create(
            merchant_id=endpoint.merchant_id, connection_id=endpoint.connection_id, topic=Topic.PING,
            message_id=f"msg_{uuid.uuid4().hex}", body=json.dumps(body, separators=(",", ":")), created_at=now,
        )  # fmt: skip
        delivery = WebhookDelivery.objects.create(
            merchant_id=endpoint.merchant_id, message=message, endpoint=endpoint, attempts=len(PAUSES_S)
        )  # one try: a person waits for the answer
        audit.record(
            actor=actor, merchant=endpoint.merchant, action="webhook.pinged", target=endpoint,
            summary=f"test message to {endpoint.url}",
        )  # fmt: skip
    return delivery, send(delivery)


class StillTrying(Exception):
    """The delivery is being tried by itself: nothing to send again."""


def replay(*, delivery: WebhookDelivery, actor: User | None) -> None:
    """Send a delivery that has ended again: the same id and bytes, tried anew. Raises StillTrying."""
    with transaction.atomic():
        ended = WebhookDelivery.objects.filter(~Q(state=State.PENDING), pk=delivery.pk)
        if not ended.update(state=State.PENDING, ended_at=None, attempts=0, next_attempt_at=timezone.now()):
            raise StillTrying
        audit.record(
            actor=actor, merchant=delivery.merchant, action="webhook.replayed", target=delivery,
            summary=f"{delivery.message.topic} sent again to {delivery.endpoint.url}",
        )  # fmt: skip
