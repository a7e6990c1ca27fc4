"""What webhooks may have missed: read the order feed since the watermark, and what is due to be read again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from channels import applying, contact, credentials, inbox, intake, reconcile, registry
from channels.models import ChannelLocation, Connection
from channels.ports import Connector, ConnectorError, HintKind, OrdersPage
from inventory.models import Order

OVERLAP = timedelta(minutes=2)
SWEEP_EVERY = timedelta(seconds=30)
HISTORY = timedelta(days=14)  # open orders older than the connection still hold stock


def poll(*, connection_id: int) -> None:
    """Put orders changed since the watermark into the inbox, read doubtful cells again, the hot ones, and a few
    of the rest: all of them within half a day.

    A channel's failure ends it: the watermark stays where it was, so that the next poll reads the same again.
    """
    connection = Connection.objects.get(pk=connection_id)
    started_at = timezone.now()
    if not inbox.may_read(connection, now=started_at):
        return
    try:
        _read_orders(connection, started_at=started_at)
        _read_changes(connection)
        reconcile.recheck_due(connection_id=connection_id)
        if _sweep_is_due(connection, now=started_at) and not inbox.is_behind(connection_id=connection_id):
            reconcile.read_next(connection_id=connection_id)
            Connection.objects.filter(pk=connection_id).update(swept_at=started_at)
    except ConnectorError as error:
        contact.failed(connection_id=connection_id, error=error)
    Connection.objects.filter(pk=connection_id).update(polled_at=started_at)


def _read_changes(connection: Connection) -> None:
    """A channel that sends no webhooks tells of edits only where its changes are read; others send word of each."""
    can = registry.capabilities(connection.channel)
    if can.has_change_feed and not can.topics:
        reconcile.read_stock_changes(connection_id=connection.pk)


def _sweep_is_due(connection: Connection, *, now: datetime) -> bool:
    """However often the order feed is read, numbers are read again at one pace; a poll a little early counts."""
    return connection.swept_at is None or now - connection.swept_at > SWEEP_EVERY * 0.9


def _read_orders(connection: Connection, *, started_at: datetime) -> None:
    if connection.opened_at is None:
        return
    places = list(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False).values_list(
            "external_id", flat=True
        )
    )
    since = (connection.orders_read_until or connection.opened_at - HISTORY) - OVERLAP
    cursor = resume = connection.orders_cursor
    read_until = connection.orders_read_until
    while True:

        def read(connector: Connector, cursor: str = cursor) -> OrdersPage:
            return connector.fetch_orders_since(since=since, cursor=cursor, location_ids=places)

        page = credentials.with_fresh_token(connection.pk, read)
        _hint(connection, page, asked_at=started_at)
        read_until, resume = page.read_until or read_until, page.resume or resume
        cursor = page.next_cursor
        if not cursor:
            break
    contact.heard(connection_id=connection.pk)
    # Only once every page is in the inbox: a page that failed is read again from the old watermark.
    Connection.objects.filter(pk=connection.pk).update(orders_read_until=read_until or started_at, orders_cursor=resume)


def _hint(connection: Connection, page: OrdersPage, *, asked_at: datetime) -> None:
    """One hint an order that changed since we applied it; the same change polled twice is one hint.

    A time to the second that we have applied may hide a later change within it: that is one hint more.
    """
    applied = {
        order.external_id: order
        for order in Order.objects.filter(
            merchant=connection.merchant_id,
            channel_id=connection.pk,
            external_id__in=[ref.external_id for ref in page.orders],
        )
    }
    for ref in page.orders:
        known = applied.get(ref.external_id)
        if known is None and ref.is_over:
            continue
        if known is None or not applying.is_known(ref, known, heard_at=asked_at):
            stamp = ref.version or (ref.updated_at and ref.updated_at.isoformat())
            again = ":again" if known is not None and ref.updated_at == known.external_updated_at else ""
            key = f"poll:{ref.external_id}:{stamp}{again}"
            intake.hint(connection=connection, kind=HintKind.ORDERS, ids=[ref.external_id], key=key)
