"""Contact with a channel: heard from, failing, resting, lost. One place decides what an error means for it."""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import F, Q
from django.utils import timezone

from channels import incidents, rates
from channels.models import Connection
from channels.ports import ConnectorError

log = logging.getLogger(__name__)

REST_S_MAX = 300.0
FAILURES_BEFORE_REST = 3  # single failures happen; the breaker opens on a row of them
PROBE = timedelta(seconds=15)  # so long the others wait for the one call that tries after a rest
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


def backoff_s(attempts: int) -> float:
    """Seconds to wait after the n-th failed attempt: doubling from 1 s to 5 min, with jitter of a quarter."""
    return min(REST_S_MAX, 2.0 ** min(attempts, 9)) * random.uniform(0.75, 1.25)


def breaker(connection: Connection, *, now: datetime) -> str:
    """CLOSED: called freely. OPEN: resting. HALF_OPEN: rested after a row of errors, one call may try."""
    if connection.resting_until is not None and connection.resting_until > now:
        return OPEN
    return HALF_OPEN if connection.failures >= FAILURES_BEFORE_REST else CLOSED


def may_call(connection: Connection, *, now: datetime) -> bool:
    """Whether the caller may call the channel now. After a row of errors only the first who asks may: the probe.

    The others rest until the probe comes back (`heard`, `failed`), or its time is up because it died.
    """
    state = breaker(connection, now=now)
    if state != HALF_OPEN:
        return state == CLOSED
    rested = Q(resting_until=None) | Q(resting_until__lte=now)
    probing = Connection.objects.filter(rested, pk=connection.pk, failures__gte=FAILURES_BEFORE_REST)
    return bool(probing.update(resting_until=now + PROBE))


_HEARD = """
UPDATE channels_connection SET last_heard_at = %s, failures = 0, resting_until = NULL, last_error = '' WHERE id = %s
"""


def heard(*, connection_id: int) -> None:
    """A call went well: the breaker closes."""
    with database.cursor() as cursor:
        cursor.execute(_HEARD, [timezone.now(), connection_id])


def failed(*, connection_id: int, error: ConnectorError) -> None:
    """A call went wrong: rest as the vendor asks or the breaker says, or turn to “reconnect needed”."""
    log.warning("connection %s: %s (%s)", connection_id, error, error.code or type(error).__name__)
    if error.needs_reconnect:
        lost(connection_id=connection_id, reason=str(error))
        return
    Connection.objects.filter(pk=connection_id).update(failures=F("failures") + 1, last_error=str(error)[:500])
    failures = Connection.objects.values_list("failures", flat=True).get(pk=connection_id)
    rest_s = error.retry_after_s
    if rest_s is not None:
        rates.throttled(connection_id=connection_id, now=timezone.now())
    if rest_s is None and failures >= FAILURES_BEFORE_REST and not error.permanent:
        rest_s = backoff_s(failures - FAILURES_BEFORE_REST)
    if rest_s:
        until = timezone.now() + timedelta(seconds=min(rest_s, REST_S_MAX))
        Connection.objects.filter(pk=connection_id).update(resting_until=until)


def lost(*, connection_id: int, reason: str) -> None:
    """The channel does not know us any more: stop calling it, keep everything, ask the owner to reconnect."""
    connection = Connection.objects.get(pk=connection_id)
    if connection.state == Connection.State.CLOSED:
        return
    Connection.objects.filter(pk=connection_id).update(
        state=Connection.State.RECONNECT, state_reason=reason[:300], last_error=reason[:500]
    )
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection_id,
        kind=incidents.Kind.RECONNECT,
        key=f"connection:{connection_id}",
        title=f"{connection.label} no longer lets us in. Reconnect it: nothing is lost meanwhile.",
        reason=reason,
    )
