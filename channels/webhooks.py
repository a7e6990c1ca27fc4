"""Where channels knock: verify the signature over the raw body, store once, answer at once."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from channels import credentials, intake
from channels.models import Connection
from channels.ports import Connector

log = logging.getLogger(__name__)

BODY_MAX = 5 * 1024 * 1024
DOOR_S = 5.0  # how long a process remembers a connection's secrets: a rotated one is known this soon


@dataclass(frozen=True)
class _Door:
    """What one webhook address needs to verify a delivery."""

    connection_id: int
    merchant_id: int
    connector: Connector
    known_until: float


_doors: dict[str, _Door] = {}


@csrf_exempt
@require_POST
def receive(request: HttpRequest, channel: str, token: str) -> HttpResponse:
    """Take one delivery. 404 for an address that is nobody's, 413 over 5 MB, 401 for a wrong signature.

    The body is read only up to the limit. Nothing of an unverified delivery is stored; one line in the log says so.
    """
    door = _door(channel, token)
    if door is None:
        return HttpResponse(status=404)
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_MAX:
        return HttpResponse(status=413)
    body = request.read(BODY_MAX + 1)
    if len(body) > BODY_MAX:
        return HttpResponse(status=413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not door.connector.verify(headers=headers, body=body):
        log.warning("connection %s: a webhook with a wrong signature was refused", door.connection_id)
        return HttpResponse(status=401)
    intake.store(
        intake.deliver(
            connector=door.connector,
            connection_id=door.connection_id,
            merchant_id=door.merchant_id,
            headers=headers,
            body=body,
        )
    )
    return HttpResponse(status=200)


def _door(channel: str, token: str) -> _Door | None:
    known = _doors.get(token)
    if known is not None and known.known_until > time.monotonic():
        return known
    connection = (
        Connection.objects.filter(webhook_token=token, channel=channel).exclude(state=Connection.State.CLOSED).first()
    )
    if connection is None:
        _doors.pop(token, None)
        return None
    door = _Door(
        connection_id=connection.pk,
        merchant_id=connection.merchant_id,
        connector=credentials.connector(connection),
        known_until=time.monotonic() + DOOR_S,
    )
    _doors[token] = door
    return door
