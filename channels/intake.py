"""What arrives: named, and stored once, in one durable INSERT. The only way into the inbox."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.utils import timezone

from channels import incidents
from channels.models import Connection, InboundEvent
from channels.ports import Connector, HintKind, MalformedPayload

State = InboundEvent.State
# Hints of our own making (polling, a link just made) take the same way as webhooks; no channel has this prefix.
OWN_TOPIC = "storestudio/"

_STORE = """
INSERT INTO channels_inboundevent (merchant_id, connection_id, topic, dedupe_key, headers, body, occurred_at,
                                   received_at, state, outcome, attempts, next_attempt_at, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s, %s)
ON CONFLICT (connection_id, dedupe_key) DO NOTHING RETURNING id
"""


@dataclass(frozen=True)
class Delivery:
    """A verified webhook, ready to store."""

    merchant_id: int
    connection_id: int
    topic: str
    dedupe_key: str
    headers: Mapping[str, str]
    body: bytes
    occurred_at: datetime | None
    error: str = ""  # set where the body cannot be read: stored in quarantine, bytes and all


def deliver(
    *, connector: Connector, connection_id: int, merchant_id: int, headers: Mapping[str, str], body: bytes
) -> Delivery:
    """Name a verified webhook; one whose body cannot be read gets the digest of its bytes for a name."""
    try:
        envelope = connector.identify(headers=headers, body=body)
    except MalformedPayload as error:
        digest = hashlib.sha256(body).hexdigest()
        return Delivery(merchant_id, connection_id, "", f"sha256:{digest}", headers, body, None, error=str(error))
    return Delivery(
        merchant_id, connection_id, envelope.topic, envelope.dedupe_key, headers, body, envelope.occurred_at
    )


def store(delivery: Delivery) -> bool:
    """Put a delivery into the inbox once; False when it was there already. One durable INSERT."""
    now = timezone.now()
    state = State.QUARANTINED if delivery.error else State.PENDING
    values: list[Any] = [
        delivery.merchant_id, delivery.connection_id, delivery.topic[:100], delivery.dedupe_key[:200],
        json.dumps(dict(delivery.headers)), delivery.body, delivery.occurred_at, now, str(state),
        "unreadable" if delivery.error else "", now, delivery.error,
    ]  # fmt: skip
    with database.cursor() as cursor:
        cursor.execute(_STORE, values)
        row = cursor.fetchone()
    if row and delivery.error:
        report_quarantine(merchant_id=delivery.merchant_id, connection_id=delivery.connection_id)
    return row is not None


def hint(*, connection: Connection, kind: HintKind, ids: Sequence[str], key: str) -> bool:
    """Put a hint of our own into the inbox, in the caller's transaction; `key` makes it happen once."""
    return store(
        Delivery(
            merchant_id=connection.merchant_id,
            connection_id=connection.pk,
            topic=f"{OWN_TOPIC}{kind}",
            dedupe_key=f"{OWN_TOPIC}{key}",
            headers={},
            body=json.dumps({"ids": list(ids)}).encode(),
            occurred_at=timezone.now(),
        )
    )


def ask_anew(connection: Connection) -> None:
    """Have places and goods read again: what changed there while no message told us. Numbers and orders are polled."""
    now = timezone.now().isoformat()
    for kind in (HintKind.LOCATIONS, HintKind.CATALOG):
        hint(connection=connection, kind=kind, ids=[], key=f"anew:{kind}:{now}")


def report_quarantine(*, merchant_id: int, connection_id: int) -> None:
    count = InboundEvent.objects.filter(connection_id=connection_id, state=State.QUARANTINED).count()
    label = Connection.objects.values_list("label", flat=True).get(pk=connection_id)
    messages = "1 message" if count == 1 else f"{count} messages"
    incidents.open_or_count(
        merchant_id=merchant_id,
        connection_id=connection_id,
        kind=incidents.Kind.QUARANTINE,
        key=f"connection:{connection_id}",
        title=f"{messages} from {label} could not be applied. Nothing is lost: look at them and replay.",
        count=count,
    )
