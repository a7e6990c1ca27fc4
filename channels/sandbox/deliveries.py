"""Webhooks of the sandbox: written with the change that causes them, sent by `manage.py sandbox deliver`."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import requests
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from channels.sandbox import faults
from channels.sandbox.models import Delivery, Fault

RETRY_S = (1, 2, 4, 8, 16, 32, 60, 120)  # the vendors' minutes, run as seconds
ANSWER_TIMEOUT_S = 10
ATTEMPTS_MAX = 1 + len(RETRY_S)

# A delivery got through, or was given up (`delivery`): a vendor that counts failures listens.
settled = Signal()


def enqueue(
    *,
    vendor: str,
    account: str,
    topic: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    attempts_max: int = ATTEMPTS_MAX,
) -> None:
    """Owe one webhook, in the caller's transaction; planned webhook faults (drop, duplicate, late) act here.

    `attempts_max`: how often it is tried in all; 1 for a vendor that never repeats.
    """

    def hit(kind: str) -> Fault | None:
        return faults.strikes(vendor=vendor, operation=f"webhook {topic}", kind=kind)

    row = Delivery(
        vendor=vendor, account=account, topic=topic, url=url, headers=headers, body=body, attempts_max=attempts_max
    )
    if hit(Fault.Kind.DROP):
        row.state = Delivery.State.DROPPED
    late = hit(Fault.Kind.DELAY) or hit(Fault.Kind.REORDER)
    if late:
        row.due_at += timedelta(seconds=random.uniform(0, late.params.get("delay_s_max", 2.0)))
    row.save()
    again = hit(Fault.Kind.DUPLICATE)
    if again:
        delay = timedelta(seconds=random.uniform(0, again.params.get("delay_s_max", 0.5)))
        Delivery.objects.create(
            vendor=vendor,
            account=account,
            topic=topic,
            url=url,
            headers=headers,
            body=body,
            attempts_max=attempts_max,
            due_at=row.due_at + delay,
        )


def send_due(*, limit: int = 100, pool: ThreadPoolExecutor) -> int:
    """Send what is due, oldest first, and return how many were tried. Not delivered: tried again by RETRY_S.

    Rows are leased by pushing `due_at` out before sending, so that a killed sender's rows are sent again.
    """
    now = timezone.now()
    with transaction.atomic():
        due = list(
            Delivery.objects.filter(state=Delivery.State.PENDING, due_at__lte=now)
            .order_by("due_at", "id")
            .select_for_update(skip_locked=True)[:limit]
        )
        Delivery.objects.filter(pk__in=[row.pk for row in due]).update(due_at=now + timedelta(seconds=30))
    for row, outcome in zip(due, pool.map(_post, due), strict=True):
        _settle(row, outcome)
    return len(due)


def _post(row: Delivery) -> str:
    try:
        answer = requests.post(
            row.url, data=bytes(row.body), headers=row.headers, timeout=ANSWER_TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        return type(error).__name__
    return str(answer.status_code)


def _settle(row: Delivery, outcome: str) -> None:
    now = timezone.now()
    row.attempts += 1
    row.last_status = outcome
    if outcome.startswith("2"):
        row.state, row.delivered_at = Delivery.State.DELIVERED, now
    elif row.attempts >= row.attempts_max:
        row.state = Delivery.State.GAVE_UP
    else:
        row.due_at = now + timedelta(seconds=RETRY_S[row.attempts - 1])
    row.save(update_fields=["attempts", "last_status", "state", "delivered_at", "due_at"])
    if row.state != Delivery.State.PENDING:
        settled.send(sender=Delivery, delivery=row)
