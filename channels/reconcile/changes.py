"""What somebody else changed at a channel, as its feed tells it: kept, booked where that is certain, else withheld.

Withheld are the changes of another app (it may only repeat a number of ours, or undo it), changes that look like a
count in another unit, and a mass of cuts that the guard stops. They are the evidence when the cell is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from channels import credentials, guards
from channels.models import ChannelLocation, ChannelStock, Connection, GuardStop, Listing, RemoteChange
from channels.ports import Connector, MadeBy, StockChange, StockChangesPage
from channels.reconcile import gaps, units
from inventory import bundles, ledger
from inventory.models import StockMovementKey

OVERLAP = timedelta(minutes=2)  # vendors' indexes lag: read a little twice rather than miss
State = RemoteChange.State
Key = tuple[str, str]


def read_stock_changes(*, connection_id: int) -> int:
    """Post what was changed at the channel by someone else than us and by no order; returns how many were new.

    Raises ConnectorError. The watermark moves only after the page is posted.
    """
    connection = Connection.objects.get(pk=connection_id)
    since = connection.changes_read_until or connection.opened_at
    if since is None:
        return 0
    places = dict(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False).values_list(
            "external_id", "location_id"
        )
    )
    cursor, posted = connection.changes_cursor, 0
    while True:

        def read(connector: Connector, cursor: str = cursor) -> StockChangesPage:
            return connector.fetch_stock_changes_since(since=since - OVERLAP, cursor=cursor, location_ids=list(places))

        page = credentials.with_fresh_token(connection_id, read)
        posted += _take(connection, page.changes, places)
        if page.read_until:
            Connection.objects.filter(pk=connection_id).update(changes_read_until=page.read_until)
        if page.resume:
            Connection.objects.filter(pk=connection_id).update(changes_cursor=page.resume)
        cursor = page.next_cursor
        if not cursor:
            return posted


def _take(connection: Connection, changes: Sequence[StockChange], places: Mapping[str, int]) -> int:
    """Book what is new and certain of a page, keep the rest; returns how many were booked."""
    fresh = _fresh(connection, changes, places)
    if not fresh:
        return 0
    cells = _cells(connection, fresh)
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    for change in fresh:
        sums[change.inventory_id, change.location_id] += change.delta
    withheld = [change for change in fresh if _is_doubtful(connection, change, cells, sums)]
    certain = [change for change in fresh if change not in withheld]
    stop = _guarded(connection, certain, cells)
    if stop is not None:
        _keep(connection, [*withheld, *certain], state=State.WITHHELD, stop=stop)
        return 0
    posted = _book(connection, certain, places)
    # Kept only once booked: a worker that dies in between books again under the same keys, and nothing is lost.
    _keep(connection, certain, state=State.BOOKED)
    _keep(connection, withheld, state=State.WITHHELD)
    gaps.note_booked(connection, names=[one.external_id for one in certain if not one.is_return], cells=cells)
    return posted


def _fresh(connection: Connection, changes: Sequence[StockChange], places: Mapping[str, int]) -> list[StockChange]:
    """Changes of ours to count that are not known yet: a page is read twice on purpose (OVERLAP)."""
    names = {change.external_id for change in changes}
    known = set(
        RemoteChange.objects.filter(connection=connection, external_id__in=names).values_list("external_id", flat=True)
    )
    booked = StockMovementKey.objects.filter(
        merchant_id=connection.merchant_id,
        source=f"channel:{connection.pk}",
        idempotency_key__in={f"change:{name}" for name in names - known},
    )
    # Booked, and perhaps linked to another variant in between: what is booked is booked.
    known |= {key.removeprefix("change:") for key in booked.values_list("idempotency_key", flat=True)}
    linked = set(
        Listing.objects.filter(
            connection=connection,
            link=Listing.Link.LINKED,
            inventory_id__in={change.inventory_id for change in changes},
        ).values_list("inventory_id", flat=True)
    )
    since = connection.opened_at
    return [
        change
        for change in {one.external_id: one for one in changes}.values()
        if change.external_id not in known
        and change.inventory_id in linked
        and change.location_id in places
        and (since is None or change.occurred_at > since)
    ]


def _cells(connection: Connection, changes: Iterable[StockChange]) -> dict[Key, ChannelStock]:
    rows = ChannelStock.objects.filter(
        connection=connection, listing__inventory_id__in={change.inventory_id for change in changes}
    ).select_related("listing__variant__product", "channel_location")
    return {(row.listing.inventory_id, row.channel_location.external_id): row for row in rows}


def _is_doubtful(
    connection: Connection, change: StockChange, cells: Mapping[Key, ChannelStock], sums: Mapping[Key, Decimal]
) -> bool:
    """Another app's change, unless it is trusted or gave goods back; a change that looks like another unit."""
    if change.made_by == MadeBy.APP and not change.is_return and change.app_id not in connection.trusted_apps:
        return True
    key = (change.inventory_id, change.location_id)
    cell = cells.get(key)
    if cell is None or cell.expected is None or change.made_by == MadeBy.TILL:
        return False
    named = units.factors_named(texts_of(cell.listing))
    return units.factor_between(cell.expected, cell.expected + sums[key], factors=named) is not None


def texts_of(listing: Listing) -> list[str]:
    """All that names a listing and its variant, there and here."""
    variant = listing.variant
    ours = [variant.title, variant.product.title] if variant else []
    return [listing.product_title, listing.title, *map(str, dict(listing.options).values()), *ours]


def _guarded(
    connection: Connection, changes: Iterable[StockChange], cells: Mapping[Key, ChannelStock]
) -> GuardStop | None:
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    for change in changes:
        sums[change.inventory_id, change.location_id] += change.delta
    now = timezone.now()
    cuts = [
        guards.Cut(cells[key].pk, cells[key].expected or Decimal(0), (cells[key].expected or Decimal(0)) + moved)
        for key, moved in sums.items()
        if key in cells and not _is_passed(cells[key], now=now)
    ]
    return guards.judge(connection, kind=guards.Kind.CHANGES, cuts=cuts)


def _is_passed(cell: ChannelStock, *, now: datetime) -> bool:
    return cell.guard_passed_at is not None and cell.guard_passed_at > now - guards.PASSED_FOR


def _book(connection: Connection, changes: Sequence[StockChange], places: Mapping[str, int]) -> int:
    known = dict(
        Listing.objects.filter(
            connection=connection,
            link=Listing.Link.LINKED,
            inventory_id__in={change.inventory_id for change in changes},
        ).values_list("inventory_id", "variant_id")
    )
    entries = [
        ledger.Entry(
            variant_id=known[change.inventory_id],
            location_id=places[change.location_id],
            kind=ledger.Kind.RETURN if "return" in change.cause else ledger.Kind.ADJUST,
            key=f"change:{change.external_id}",
            occurred_at=change.occurred_at,
            on_hand=change.delta,
            reason=change.cause,
        )
        for change in changes
        if change.inventory_id in known
    ]
    moved = bundles.expand_all(entries)
    posted = ledger.record(
        merchant_id=connection.merchant_id, source=f"channel:{connection.pk}", entries=moved, channel_id=connection.pk
    )
    told = {entry.key for entry in entries}  # of a bundle, the first part has the change's own key
    return sum(entry.key in told and not row.is_replay for entry, row in zip(moved, posted, strict=True))


def _keep(connection: Connection, changes: Iterable[StockChange], *, state: str, stop: GuardStop | None = None) -> None:
    RemoteChange.objects.bulk_create(
        [
            RemoteChange(
                merchant_id=connection.merchant_id,
                connection=connection,
                external_id=change.external_id[:160],
                inventory_id=change.inventory_id,
                location_external_id=change.location_id,
                delta=change.delta,
                occurred_at=change.occurred_at,
                cause=change.cause[:200],
                made_by=change.made_by,
                by=change.by[:120],
                app=change.app[:120],
                app_id=change.app_id[:120],
                state=state,
                stop=stop,
            )
            for change in changes
        ],
        ignore_conflicts=True,
    )


def book_withheld(*, connection: Connection, rows: Sequence[RemoteChange]) -> int:
    """Book changes that a person let pass, each under its own key; returns how many. Call outside a transaction."""
    places = dict(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False).values_list(
            "external_id", "location_id"
        )
    )
    changes = [
        StockChange(
            external_id=row.external_id,
            inventory_id=row.inventory_id,
            location_id=row.location_external_id,
            delta=row.delta,
            occurred_at=row.occurred_at,
            cause=row.cause,
        )
        for row in rows
        if row.location_external_id in places
    ]
    booked = _book(connection, changes, places)
    RemoteChange.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.BOOKED)
    return booked
