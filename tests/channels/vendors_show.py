"""What the vendors of a shop show, after all channels were told."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from channels import publisher
from channels.models import ChannelStock, Connection
from channels.sandbox import standins


def publish_all() -> None:
    """Tell every channel what waits for it."""
    for connection in Connection.objects.order_by("pk"):
        publisher.publish(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=20))


def shown(sku: str) -> dict[str, int]:
    """What each vendor shows of a SKU, by channel."""
    found = {}
    cells = ChannelStock.objects.filter(listing__sku=sku)
    for cell in cells.select_related("connection", "listing", "channel_location"):
        key = cell.listing.inventory_id, cell.channel_location.external_id
        found[cell.connection.channel] = int(standins.of(cell.connection.channel).shown(cell.connection)[key])
    return found
