"""Do the channel's webhooks still come? Looked at hourly and repaired, for a channel does not tell that it stopped.

WooCommerce disables a webhook after five failed deliveries, anybody with an admin's rights may delete one, and an app
that is installed anew has none. Polling still finds what is sold meanwhile, only later; places and goods, which are not
polled, are read again with each look, for a message that was lost is as good as a webhook that is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from channels import connections, contact, credentials, inbox, incidents, intake, registry
from channels.models import Connection, SubscriptionRepair
from channels.ports import Connector, ConnectorError, Subscription

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
EVERY_UNTOLD = timedelta(minutes=10)  # of a channel that sends no webhooks
AGAIN_AFTER = timedelta(minutes=5)  # where it could not be looked at, or not be repaired


def check(*, connection_id: int) -> Sequence[str]:
    """Look at the webhook subscriptions of a connection, repair what is missing; returns the topics that were missing.
    Places and goods are put down to be read again.

    A channel's failure ends it: it is looked at again soon, and where something is known to be missing an incident
    says so until it is repaired. Call outside any transaction.
    """
    connection = Connection.objects.get(pk=connection_id)
    wanted = registry.capabilities(connection.channel).topics
    if connection.channel == registry.OWN:
        return _put_off(connection, EVERY)
    if not inbox.may_read(connection, now=timezone.now()):
        return _put_off(connection, AGAIN_AFTER)
    if not wanted:
        intake.ask_anew(connection)
        return _put_off(connection, EVERY_UNTOLD)
    missing: Sequence[str] = ()
    try:
        missing = _missing(connection, wanted=wanted)
        if missing:
            _note(connection, missing=missing)
            connections.subscribe(connection)
            left = _missing(connection, wanted=wanted)
            if left:
                raise ConnectorError(f"still missing after subscribing anew: {', '.join(left)}")
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
        _put_off(connection, AGAIN_AFTER)
        if missing:  # else nothing is known to be wrong with the webhooks: contact says what is
            _report(connection, missing=missing, error=error)
        return missing
    intake.ask_anew(connection)
    _went_well(connection)
    return missing


def _missing(connection: Connection, *, wanted: frozenset[str]) -> list[str]:
    """Topics that no working subscription at our address names, now, at the channel."""
    found = credentials.with_fresh_token(connection.pk, _existing)
    contact.heard(connection_id=connection.pk)
    reported = next((one.api_version for one in found if one.api_version), "")
    Connection.objects.filter(pk=connection.pk).update(api_version=reported)
    ours = [one for one in found if one.url == credentials.webhook_url(connection)]
    return sorted(wanted - {topic for one in ours for topic in one.topics})


def _existing(connector: Connector) -> Sequence[Subscription]:
    return connector.subscribe(existing_only=True)


def _note(connection: Connection, *, missing: Sequence[str]) -> None:
    """One open row from when it was found until it is repaired."""
    log.warning("connection %s: webhooks are missing: %s", connection.pk, ", ".join(missing))
    SubscriptionRepair.objects.update_or_create(
        connection=connection,
        repaired_at=None,
        defaults={"topics": list(missing), "error": ""},
        create_defaults={"merchant_id": connection.merchant_id, "topics": list(missing)},
    )


def _went_well(connection: Connection) -> None:
    now = timezone.now()
    repaired = SubscriptionRepair.objects.filter(connection=connection, repaired_at=None).update(repaired_at=now)
    fields: dict[str, datetime | None] = {"subscriptions_checked_at": now, "subscriptions_due_at": now + EVERY}
    if repaired:  # what happened while nobody told us is read at once
        fields["polled_at"] = None
    Connection.objects.filter(pk=connection.pk).update(**fields)
    incidents.resolve(
        merchant_id=connection.merchant_id, kind=incidents.Kind.WEBHOOKS, key=f"connection:{connection.pk}",
        how="its webhooks are subscribed again",
    )  # fmt: skip


def _report(connection: Connection, *, missing: Sequence[str], error: ConnectorError) -> None:
    SubscriptionRepair.objects.filter(connection=connection, repaired_at=None).update(error=str(error)[:500])
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.WEBHOOKS,
        key=f"connection:{connection.pk}",
        title=f"{connection.label} stopped telling us what happens there. We ask it instead, which takes longer.",
        topics=list(missing),
        error=str(error),
    )


def _put_off(connection: Connection, span: timedelta) -> Sequence[str]:
    Connection.objects.filter(pk=connection.pk).update(subscriptions_due_at=timezone.now() + span)
    return ()
