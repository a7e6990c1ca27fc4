"""Entry points of the workers: take up the lease, one call into a rule, hand the lease back. Twice changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from channels import commands, dispatcher, inbox, measuring, polling, publisher, rules, subscriptions, watching
from channels.models import ConnectionWork

SLICE = timedelta(seconds=5)  # then the worker lets other connections have their turn
Kind = ConnectionWork.Kind


def _leased(kind: str, connection_id: int, lease: str, rule: Callable[[], Any]) -> None:
    key = uuid.UUID(lease)
    if not dispatcher.begin(connection_id=connection_id, kind=kind, lease=key):
        return
    try:
        rule()
    finally:
        dispatcher.end(connection_id=connection_id, kind=kind, lease=key)


@shared_task
def process_inbox(*, connection_id: int, lease: str, **_: Any) -> None:
    """Apply what came in for one connection."""
    until = timezone.now() + SLICE
    _leased(Kind.INBOX, connection_id, lease, lambda: inbox.process(connection_id=connection_id, until=until))


@shared_task
def publish(*, connection_id: int, lease: str, **_: Any) -> None:
    """Send what is due to one connection."""
    until = timezone.now() + SLICE
    _leased(Kind.PUBLISH, connection_id, lease, lambda: publisher.publish(connection_id=connection_id, until=until))


@shared_task
def carry_out_commands(*, connection_id: int, lease: str, **_: Any) -> None:
    """Ask one connection what people want done with its orders."""
    until = timezone.now() + SLICE
    _leased(Kind.COMMANDS, connection_id, lease, lambda: commands.carry_out(connection_id=connection_id, until=until))


@shared_task
def poll(*, connection_id: int, lease: str, **_: Any) -> None:
    """Read what one connection's webhooks may have missed."""
    _leased(Kind.POLL, connection_id, lease, lambda: polling.poll(connection_id=connection_id))


@shared_task
def check_subscriptions(*, connection_id: int, lease: str, **_: Any) -> None:
    """See that one connection's webhooks still come, and repair them."""
    _leased(Kind.WEBHOOKS, connection_id, lease, lambda: subscriptions.check(connection_id=connection_id))


@shared_task
def sweep_incidents(**_: Any) -> None:
    """Open and close incidents that follow from the state of stock and channels, and from time alone."""
    watching.sweep(now=timezone.now())


@shared_task
def sweep_rules(**_: Any) -> None:
    """Let rules take effect whose time has come, and measure anew what buffers and shares rest on."""
    now = timezone.now()
    rules.sweep(now=now)
    measuring.measure_due(now=now)


BY_KIND = {
    Kind.INBOX.value: process_inbox,
    Kind.PUBLISH.value: publish,
    Kind.COMMANDS.value: carry_out_commands,
    Kind.POLL.value: poll,
    Kind.WEBHOOKS.value: check_subscriptions,
}


def wake(work: Iterable[dispatcher.Work]) -> None:
    """Send one message for each lease; a broker that is away costs time, never work: the lease runs out."""
    for one in work:
        BY_KIND[one.kind].delay(connection_id=one.connection_id, lease=str(one.lease))
