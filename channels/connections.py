"""Connecting a channel: open, read its locations, catalog and counts, pause, reconnect, close."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from channels import contact, credentials, incidents, intake, linking, publisher, reconcile, registry
from channels.models import (
    ChannelLocation,
    ChannelStock,
    Connection,
    ConnectionWork,
    Listing,
)
from channels.ports import CatalogPage, Connector, ConnectorError, Count, RemoteListing, ToldListing
from inventory import bundles, identifiers, ledger
from inventory.models import Location, StockLevel
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

State = Connection.State
PAGES_MAX = 100_000  # a cursor that never ends is a fault of the channel's, not work
TOKEN_TIMES = {"expires_at", "refreshed_at"}


class NotAllowed(Exception):
    """The step does not fit the connection's state; says why, for the person who tried."""


def open_connection(
    *,
    merchant: Merchant,
    channel: str,
    label: str,
    account_id: str,
    base_url: str,
    secrets: Mapping[str, Any],
    actor: User | None,
) -> Connection:
    """Make a connection, paused: it reads, and writes nothing until it is approved.

    Where the shop's stock is open already, what this channel sells from now on counts; else all is history until
    `adopt_counts`.
    """
    can = registry.capabilities(channel)
    connection = Connection(
        merchant=merchant,
        channel=channel,
        label=label,
        account_id=account_id,
        base_url=base_url.rstrip("/"),
        number=can.number,
        can_be_set_negative=can.can_be_set_negative,
        takes_fractions=can.takes_fractions,
        state_reason="Not approved yet",
    )
    if StockLevel.objects.filter(merchant=merchant, last_seq__gt=0).exists():
        connection.opened_at = connection.changes_read_until = timezone.now()
    credentials.store(connection, secrets)
    with transaction.atomic():
        connection.save()
        ConnectionWork.objects.bulk_create(
            ConnectionWork(connection=connection, kind=kind) for kind in ConnectionWork.Kind.values
        )
        note(connection, actor, "connection.opened", f"{label} connected, paused")
    return connection


def refresh_locations(connection: Connection) -> int:
    """Read the channel's places; returns how many. One that is gone is marked inactive, never dropped."""
    remote = credentials.with_fresh_token(connection.pk, lambda connector: connector.list_locations())
    ChannelLocation.objects.bulk_create(
        [
            ChannelLocation(
                merchant_id=connection.merchant_id,
                connection=connection,
                external_id=place.external_id,
                name=place.name[:200],
                is_active=place.is_active,
            )
            for place in remote
        ],
        update_conflicts=True,
        unique_fields=["connection", "external_id"],
        update_fields=["name", "is_active"],
    )
    seen = [place.external_id for place in remote]
    if seen:  # an empty answer is no proof that every place is gone
        ChannelLocation.objects.filter(connection=connection).exclude(external_id__in=seen).update(is_active=False)
    contact.heard(connection_id=connection.pk)
    return len(seen)


def map_location(*, channel_location: ChannelLocation, location: Location | None, actor: User | None) -> None:
    """A person says which of our places this is, or none. Raises NotAllowed where it would clash."""
    if location is not None and location.merchant_id != channel_location.merchant_id:
        raise NotAllowed("That location belongs to another shop.")
    taken = ChannelLocation.objects.filter(connection=channel_location.connection_id, location=location)
    if location is not None and taken.exclude(pk=channel_location.pk).exists():
        raise NotAllowed(f"{location.name} is mapped to another place of this channel already.")
    with transaction.atomic():
        changed = ChannelLocation.objects.filter(pk=channel_location.pk).exclude(location=location)
        if changed.update(location=location) or location is None:
            # What the old pairing believed says nothing about the new one.
            ChannelStock.objects.filter(channel_location=channel_location).delete()
        linking.ensure_cells(channel_location.connection)
        name = location.name if location else "nothing"
        note(channel_location.connection, actor, "location.mapped", f"{channel_location.name} is {name}")


def import_catalog(connection: Connection, *, since: datetime | None = None) -> int:
    """Read the catalog, all or what changed since, into listings; link what is certain. Returns how many were seen.

    Page by page, one statement each: memory does not grow with the catalog. Raises ConnectorError; pages read so far
    stay, and the watermark moves only at the end. A listing that a whole reading did not meet is marked deleted.
    """
    started_at, seen = timezone.now(), 0
    cursor = "" if since is None else connection.catalog_cursor
    read_until, resume = None, connection.catalog_cursor
    for _ in range(PAGES_MAX):

        def read(connector: Connector, cursor: str = cursor) -> CatalogPage:
            return connector.page_catalog(cursor=cursor, since=since)

        page = credentials.with_fresh_token(connection.pk, read)
        _store_listings(connection, page.listings, seen_at=started_at)
        seen += len(page.listings)
        read_until, resume = page.read_until or read_until, page.resume or resume
        cursor = page.next_cursor
        if not cursor:
            break
    else:
        raise ConnectorError("the catalog's cursor never ends", permanent=True)
    if since is None and seen:  # an empty answer is no proof that everything is gone
        gone = Listing.objects.filter(connection=connection, deleted_at=None, seen_at__lt=started_at)
        gone.update(deleted_at=timezone.now())
    linking.link_by_identifier(connection)
    Connection.objects.filter(pk=connection.pk).update(
        catalog_read_until=read_until or started_at, catalog_cursor=resume
    )
    contact.heard(connection_id=connection.pk)
    return seen


def _store_listings(connection: Connection, remote: Iterable[RemoteListing], *, seen_at: datetime) -> None:
    # The last word on a listing wins: a page may name it twice, and one statement cannot write a row twice.
    newest = {listing.external_id: listing for listing in remote}
    Listing.objects.bulk_create(
        [_listing(connection, listing, seen_at=seen_at) for listing in newest.values()],
        update_conflicts=True,
        unique_fields=["connection", "external_id"],
        update_fields=[
            "inventory_id", "product_external_id", "product_title", "title", "sku", "sku_key", "gtin", "barcode",
            "options", "vendor", "category", "image_url", "price", "is_tracked", "sells_past_zero",
            "external_updated_at", "deleted_at", "seen_at",
        ],
    )  # fmt: skip


def _listing(connection: Connection, remote: RemoteListing, *, seen_at: datetime) -> Listing:
    return Listing(
        merchant_id=connection.merchant_id,
        connection=connection,
        external_id=remote.external_id,
        inventory_id=remote.inventory_id,
        product_external_id=remote.product_external_id,
        product_title=remote.product_title[:300],
        title=remote.title[:300],
        sku=remote.sku[:200],
        sku_key=identifiers.sku_key(remote.sku)[:200],
        gtin=identifiers.gtin(remote.barcode),
        barcode=remote.barcode[:255],
        options=dict(remote.options),
        vendor=remote.vendor[:120],
        category=remote.category[:120],
        image_url=remote.image_url[:500],
        price=remote.price,
        is_tracked=remote.is_tracked,
        sells_past_zero=remote.sells_past_zero,
        external_updated_at=remote.updated_at,
        deleted_at=seen_at if remote.is_deleted else None,
        seen_at=seen_at,
    )


def is_as_told(known: Listing | None, told: ToldListing) -> bool:
    """Whether a listing is what a webhook says it is, as far as it says."""
    if known is None or known.deleted_at is not None:
        return False
    pairs = (
        (told.sku, known.sku),
        (told.barcode, known.barcode),
        (told.is_tracked, known.is_tracked),
        (told.sells_past_zero, known.sells_past_zero),
        (told.product_title and told.product_title[:300], known.product_title),
        (told.price, known.price),
        (None if told.options is None else dict(told.options), known.options),
    )
    return all(said in (None, ours) for said, ours in pairs)


def subscribe(connection: Connection) -> None:
    """Make sure the channel sends us its webhooks; keeps the signature key it gives. Raises ConnectorError."""
    for subscription in credentials.with_fresh_token(connection.pk, lambda connector: connector.subscribe()):
        credentials.merge(connection, subscription.secrets)


def read_all_counts(connection: Connection) -> int:
    """Read every linked listing's number at every mapped place into `observed`; returns how many were told."""
    told = 0
    for counts, read_at in _counts(connection):
        told += reconcile.observe(connection=connection, counts=counts, read_at=read_at).cells
    contact.heard(connection_id=connection.pk)
    return told


def _counts(connection: Connection) -> Iterable[tuple[Sequence[Count], datetime]]:
    places = list(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False, is_active=True)
        .order_by("pk")
        .values_list("external_id", flat=True)
    )
    ids = list(
        Listing.objects.filter(connection=connection, link=Listing.Link.LINKED, is_tracked=True, deleted_at=None)
        .order_by("pk")
        .values_list("inventory_id", flat=True)
    )
    size = registry.capabilities(connection.channel).read_batch_max
    for start in range(0, len(ids) if places else 0, size):
        chunk = ids[start : start + size]
        read_at = timezone.now()

        def read(connector: Connector, chunk: Sequence[str] = chunk) -> Sequence[Count]:
            return connector.read_counts(inventory_ids=chunk, location_ids=places)

        yield credentials.with_fresh_token(connection.pk, read), read_at


def adopt_counts(connection: Connection, *, actor: User | None) -> int:
    """Open the ledger with this channel's counts, for cells that have no movement yet; returns how many cells.

    A pair the channel does not mention was never counted there: it gets no opening, and no zero. From now on orders
    placed earlier are history. Raises ConnectorError; cells opened so far stay, and a second run opens the rest.
    """
    opened_at = timezone.now()
    places = dict(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False).values_list(
            "external_id", "location_id"
        )
    )
    variants = dict(
        Listing.objects.filter(connection=connection, link=Listing.Link.LINKED).values_list(
            "inventory_id", "variant_id"
        )
    )
    opened = 0
    for counts, read_at in _counts(connection):
        entries = [
            ledger.Entry(
                variant_id=variants[count.inventory_id],
                location_id=places[count.location_id],
                kind=ledger.Kind.OPENING,
                key=f"opening:{variants[count.inventory_id]}:{places[count.location_id]}",
                # As of the reading, not of the start: what the till sold between the two is in its count already.
                occurred_at=read_at,
                counted=count.quantity,
                actor_id=actor.pk if actor else None,
                reason=f"opening count from {connection.label}",
            )
            for count in counts
            if count.inventory_id in variants and count.location_id in places
        ]
        opened += len(_post_openings(connection, entries))
    with transaction.atomic():
        unopened = Connection.objects.filter(merchant=connection.merchant_id, opened_at=None)
        unopened.update(opened_at=opened_at, changes_read_until=opened_at)
        note(connection, actor, "stock.opened", f"{opened} cells opened with the counts of {connection.label}")
    connection.refresh_from_db()
    return opened


def _post_openings(connection: Connection, entries: list[ledger.Entry]) -> list[ledger.Posted]:
    started = set(
        StockLevel.objects.filter(
            merchant=connection.merchant_id, variant__in={entry.variant_id for entry in entries}, last_seq__gt=0
        ).values_list("variant_id", "location_id")
    )
    # A bundle's count there says nothing that its parts' counts do not.
    made_of = bundles.compositions(variant_ids=[entry.variant_id for entry in entries])
    made_up = {one.variant_id for one in made_of.values()}
    fresh = [
        entry
        for entry in entries
        if (entry.variant_id, entry.location_id) not in started and entry.variant_id not in made_up
    ]
    return ledger.record(merchant_id=connection.merchant_id, source="opening", entries=fresh)


@transaction.atomic
def pause(*, connection: Connection, actor: User | None, reason: str) -> None:
    """Write nothing there until resumed; what happens there is still read. Raises NotAllowed."""
    changed = Connection.objects.filter(pk=connection.pk, state=State.LIVE).update(
        state=State.PAUSED, state_reason=reason[:300] or "Paused by hand"
    )
    if not changed:
        raise NotAllowed("Only a live connection can be paused.")
    note(connection, actor, "connection.paused", f"{connection.label}: {reason}")


@transaction.atomic
def resume(*, connection: Connection, actor: User | None) -> None:
    """Go on telling numbers; only where they were approved before. Raises NotAllowed."""
    changed = Connection.objects.filter(pk=connection.pk, state=State.PAUSED, approved_at__isnull=False).update(
        state=State.LIVE, state_reason=""
    )
    if not changed:
        raise NotAllowed("Look at the table of what would change and approve it first.")
    publisher.refresh_desired(connection_id=connection.pk)
    note(connection, actor, "connection.resumed", f"{connection.label} goes on")


def reconnect(*, connection: Connection, secrets: Mapping[str, Any], actor: User | None) -> None:
    """New credentials for the same account: what waited meanwhile is applied, what is due is sent.

    Where it was approved, webhooks are subscribed anew, so call it outside any transaction. Raises NotAllowed for a
    connection that was closed.
    """
    with credentials.held(connection.pk) as locked:
        if locked.state == State.CLOSED:
            raise NotAllowed(f"{locked.label} was disconnected: connect it anew.")
        # What was known of the old token's end says nothing about the new one's.
        kept = {name: value for name, value in credentials.load(locked).items() if name not in TOKEN_TIMES}
        credentials.store(locked, kept | dict(secrets))
        locked.state = State.LIVE if locked.approved_at else State.PAUSED
        locked.state_reason, locked.failures, locked.resting_until, locked.last_error = "", 0, None, ""
        locked.polled_at = None  # read at once what webhooks missed
        contact_fields = ["state", "state_reason", "failures", "resting_until", "last_error", "polled_at"]
        locked.save(update_fields=[*credentials.SECRET_FIELDS, *contact_fields])
        incidents.resolve(
            merchant_id=locked.merchant_id, kind=incidents.Kind.RECONNECT, key=f"connection:{locked.pk}",
            how="reconnected", actor=actor,
        )  # fmt: skip
        note(locked, actor, "connection.reconnected", f"{locked.label} lets us in again")
    connection.refresh_from_db()
    if connection.approved_at:
        _subscribe_again(connection)
        intake.ask_anew(connection)


def _subscribe_again(connection: Connection) -> None:
    """Vendors drop our webhooks with our access. Where this fails, polling finds what happens there, only later."""
    try:
        subscribe(connection)
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
    connection.refresh_from_db()


def close(*, connection: Connection, actor: User | None) -> None:
    """Leave a channel: webhooks removed where it still lets us, its numbers stay as they are."""
    try:
        credentials.with_fresh_token(connection.pk, lambda connector: connector.unsubscribe())
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(state=State.CLOSED, state_reason="Disconnected by hand")
        publisher.refresh_desired(connection_id=connection.pk)  # what was set aside for it goes back to the others
        incidents.resolve(
            merchant_id=connection.merchant_id, kind=incidents.Kind.RECONNECT, key=f"connection:{connection.pk}",
            how="disconnected", actor=actor,
        )  # fmt: skip
        note(connection, actor, "connection.closed", f"{connection.label} disconnected")


def note(connection: Connection, actor: User | None, action: str, summary: str) -> None:
    """One line in the audit trail about a connection."""
    audit.record(actor=actor, merchant=connection.merchant, action=action, target=connection, summary=summary)
