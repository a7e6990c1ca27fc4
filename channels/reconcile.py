"""What a channel shows against what we believe it shows: echoes recognised, drift found, doubt held back.

A difference is judged only where nothing under way could explain it: no write in flight, no answer of ours newer than
the reading, no waiting order event. What is left is drift: an incident with an owner. While it lasts the cell is not
written, and units that are missing there without cause are held back at every other channel; an unexplained rise
changes nothing until its cause is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from channels import contact, credentials, incidents, publisher, registry
from channels.models import ChannelLocation, ChannelStock, Connection, InboundEvent, Listing
from channels.ports import Connector, Count, StockChange, StockChangesPage
from inventory import ledger
from inventory.models import StockMovementKey
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import User

GRACE = timedelta(seconds=4)  # an order's own event may come after the stock event it caused
DRIFT_AGAIN = timedelta(seconds=15)  # a drift whose cause came late explains itself: look again this often
OVERLAP = timedelta(minutes=2)  # vendors' indexes lag: read a little twice rather than miss

# `recheck_at` is set on the first sight of a difference, and becomes drift when it is still there a grace later.
_OBSERVE = """
WITH said AS (
    SELECT * FROM unnest(%(cells)s::bigint[], %(quantities)s::numeric[]) AS s(cell_id, quantity)
), locked AS (
    SELECT c.id, c.doubt AS doubt_before,
           c.expected IS NOT NULL AND s.quantity <> c.expected AS differs,
           c.write_id IS NOT NULL OR coalesce(c.told_at >= %(read_at)s, false) OR %(has_waiting)s AS is_under_way
    FROM channels_channelstock c JOIN said s ON s.cell_id = c.id ORDER BY c.id FOR NO KEY UPDATE OF c
)
UPDATE channels_channelstock c
SET observed = said.quantity, observed_at = %(read_at)s,
    recheck_at = CASE WHEN NOT locked.differs THEN NULL
                      WHEN c.drift_at IS NOT NULL THEN %(again)s
                      WHEN locked.is_under_way OR c.recheck_at IS NULL THEN %(later)s
                      WHEN %(is_recheck)s THEN %(again)s ELSE c.recheck_at END,
    drift_at = CASE WHEN NOT locked.differs THEN NULL
                    WHEN c.drift_at IS NOT NULL THEN c.drift_at
                    WHEN NOT locked.is_under_way AND c.recheck_at IS NOT NULL AND %(is_recheck)s THEN %(read_at)s END,
    doubt = CASE WHEN locked.differs AND NOT locked.is_under_way
                      AND (c.drift_at IS NOT NULL OR (c.recheck_at IS NOT NULL AND %(is_recheck)s))
                 THEN greatest(0, c.expected - said.quantity)
                 WHEN locked.differs THEN c.doubt ELSE 0 END,
    -- What was stale and is understood now may be told at once.
    next_attempt_at = CASE WHEN locked.differs THEN c.next_attempt_at END
FROM said, locked
WHERE c.id = said.cell_id AND locked.id = c.id
RETURNING c.id, locked.differs, c.drift_at = %(read_at)s, c.doubt <> locked.doubt_before
"""


@dataclass(frozen=True)
class Seen:
    """What a reading showed."""

    cells: int
    differing: int
    new_drift: int

    @property
    def words(self) -> str:
        """For the inbox: an echo of our own write is one that shows what we expected."""
        if not self.cells:
            return "nothing we keep"
        if not self.differing:
            return "as expected: this was us, or known already"
        return f"{self.differing} of {self.cells} numbers differ from what we expected: reading again"


def check(*, connection_id: int, inventory_ids: Sequence[str], is_recheck: bool = False) -> str:
    """Read these counts now and compare; what happened, in words. Raises ConnectorError.

    Where a difference shows and the channel tells causes, its change feed is read and posted first.
    """
    connection = Connection.objects.get(pk=connection_id)
    seen = _read_and_observe(connection, inventory_ids, is_recheck=is_recheck)
    if seen.differing and registry.capabilities(connection.channel).has_change_feed:
        posted = read_stock_changes(connection_id=connection_id)
        if posted:
            seen = _read_and_observe(connection, inventory_ids, is_recheck=is_recheck)
            return f"{posted} changes made at {connection.label} posted; {seen.words}"
    return seen.words


def _read_and_observe(connection: Connection, inventory_ids: Sequence[str], *, is_recheck: bool) -> Seen:
    locations = list(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False, is_active=True)
        .order_by("pk")
        .values_list("external_id", flat=True)
    )
    if not locations:
        return Seen(0, 0, 0)
    size = registry.capabilities(connection.channel).read_batch_max
    totals = [0, 0, 0]
    for start in range(0, len(inventory_ids), size):
        chunk = list(inventory_ids[start : start + size])
        read_at = timezone.now()

        def read(connector: Connector, chunk: Sequence[str] = chunk) -> Sequence[Count]:
            return connector.read_counts(inventory_ids=chunk, location_ids=locations)

        counts = credentials.with_fresh_token(connection.pk, read)
        seen = observe(connection=connection, counts=counts, read_at=read_at, is_recheck=is_recheck)
        totals = [a + b for a, b in zip(totals, (seen.cells, seen.differing, seen.new_drift), strict=True)]
    contact.heard(connection_id=connection.pk)
    return Seen(*totals)


def observe(*, connection: Connection, counts: Sequence[Count], read_at: datetime, is_recheck: bool = False) -> Seen:
    """Record what the channel said and judge the differences. A pair it did not mention stays as it was: unknown."""
    cells = {
        (inventory_id, place): pk
        for pk, inventory_id, place in ChannelStock.objects.filter(
            connection=connection, listing__inventory_id__in={count.inventory_id for count in counts}
        ).values_list("pk", "listing__inventory_id", "channel_location__external_id")
    }
    found = {
        cells[count.inventory_id, count.location_id]: count.quantity
        for count in counts
        if (count.inventory_id, count.location_id) in cells
    }
    waiting = InboundEvent.objects.filter(connection=connection, state=InboundEvent.State.PENDING)
    values: dict[str, Any] = {
        "cells": list(found),
        "quantities": list(found.values()),
        "read_at": read_at,
        "later": read_at + GRACE,
        "again": read_at + DRIFT_AGAIN,
        "is_recheck": is_recheck,
        # While orders wait to be applied nothing can be judged: any of them may be the cause.
        "has_waiting": waiting.exclude(topic__contains="inventory").exists(),
    }
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(_OBSERVE, values)
            rows = cursor.fetchall()
        drifted = [pk for pk, _, is_new, _ in rows if is_new]
        # Up or down: units held back elsewhere are let go again; what it may show beyond its own, others must not.
        if drifted or any(has_moved for *_, has_moved in rows):
            _refresh_neighbours([pk for pk, *_ in rows])
        for cell in ChannelStock.objects.filter(pk__in=drifted).select_related("listing", "channel_location"):
            _report(connection, cell)
        _close_explained(connection, [pk for pk, differs, *_ in rows if not differs])
    return Seen(cells=len(rows), differing=sum(differs for _, differs, *_ in rows), new_drift=len(drifted))


_EXPECTED = """
SELECT l.inventory_id, cl.external_id, c.expected, c.expected + w.to_quantity - w.from_quantity
FROM channels_channelstock c
JOIN channels_listing l ON l.id = c.listing_id
JOIN channels_channellocation cl ON cl.id = c.channel_location_id
LEFT JOIN channels_channelwriteline w ON w.write_id = c.write_id AND w.cell_id = c.id
WHERE c.connection_id = %s AND l.inventory_id = ANY(%s) AND c.expected IS NOT NULL AND c.drift_at IS NULL
"""


def expected_numbers(*, connection: Connection, inventory_ids: Sequence[str]) -> dict[tuple[str, str], set[Decimal]]:
    """What each (inventory id, place) may show without a question: what we expect, and what is on its way there."""
    with database.cursor() as cursor:
        cursor.execute(_EXPECTED, [connection.pk, list(inventory_ids)])
        return {(item, place): {now} | ({sent} - {None}) for item, place, now, sent in cursor.fetchall()}


def _refresh_neighbours(cell_ids: Sequence[int]) -> None:
    """Doubt about one cell changes what the same variant may show everywhere."""
    variants = Listing.objects.filter(cells__in=cell_ids, variant__isnull=False).values("variant")
    neighbours = ChannelStock.objects.filter(listing__variant__in=variants)
    publisher.refresh_desired(cell_ids=list(neighbours.values_list("pk", flat=True)))


def _report(connection: Connection, cell: ChannelStock) -> None:
    shown, believed = numbers.plain(cell.observed or Decimal(0)), numbers.plain(cell.expected or Decimal(0))
    listing, place = cell.listing, cell.channel_location
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.DRIFT,
        key=f"cell:{cell.pk}",
        variant_id=listing.variant_id,
        cell_id=cell.pk,
        title=f"{connection.label} shows {shown} of {listing.sku or listing.product_title} at {place.name}, "
        f"we expected {believed}, and nothing tells why.",
        observed=shown,
        expected=believed,
    )


def _close_explained(connection: Connection, cell_ids: Sequence[int]) -> None:
    keys = [f"cell:{pk}" for pk in cell_ids]
    resolved = connection.incidents.filter(kind=incidents.Kind.DRIFT, key__in=keys, resolved_at=None)
    resolved.update(resolved_at=timezone.now(), resolution="it shows what we expect again")


def recheck_due(*, connection_id: int) -> int:
    """Read cells again whose difference has lasted a grace; returns how many listings. Raises ConnectorError."""
    due = (
        ChannelStock.objects.filter(connection=connection_id, recheck_at__lte=timezone.now())
        .order_by("recheck_at")
        .values_list("listing__inventory_id", flat=True)[:200]
    )
    inventory_ids = list(dict.fromkeys(due))
    if inventory_ids:
        check(connection_id=connection_id, inventory_ids=inventory_ids, is_recheck=True)
    return len(inventory_ids)


def sweep(*, connection_id: int, limit: int) -> Seen:
    """Read the listings again that were read longest ago, so that every cell has its turn. Raises ConnectorError."""
    connection = Connection.objects.get(pk=connection_id)
    oldest = (
        ChannelStock.objects.filter(connection=connection, expected__isnull=False)
        .order_by(F("observed_at").asc(nulls_first=True), "pk")
        .values_list("listing__inventory_id", flat=True)[:limit]
    )
    return _read_and_observe(connection, list(dict.fromkeys(oldest)), is_recheck=False)


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
        posted += _post_changes(connection, page.changes, places)
        if page.read_until:
            Connection.objects.filter(pk=connection_id).update(changes_read_until=page.read_until)
        if page.resume:
            Connection.objects.filter(pk=connection_id).update(changes_cursor=page.resume)
        cursor = page.next_cursor
        if not cursor:
            return posted


def _post_changes(connection: Connection, changes: Sequence[StockChange], places: dict[str, int]) -> int:
    since = connection.opened_at
    known = dict(
        Listing.objects.filter(
            connection=connection,
            link=Listing.Link.LINKED,
            inventory_id__in={change.inventory_id for change in changes},
        ).values_list("inventory_id", "variant_id")
    )
    source = f"channel:{connection.pk}"
    keys = {f"change:{change.external_id}" for change in changes}
    # Read twice on purpose (OVERLAP), and perhaps linked to another variant in between: what is booked is booked.
    booked = StockMovementKey.objects.filter(
        merchant_id=connection.merchant_id, source=source, idempotency_key__in=keys
    )
    fresh = keys - set(booked.values_list("idempotency_key", flat=True))
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
        if f"change:{change.external_id}" in fresh
        and change.inventory_id in known
        and change.location_id in places
        and (since is None or change.occurred_at > since)
    ]
    posted = ledger.record(merchant_id=connection.merchant_id, source=source, entries=entries, channel_id=connection.pk)
    return sum(not row.is_replay for row in posted)


class NoDrift(Exception):
    """The cell shows what we expect by now: nothing to decide."""


def resolve_drift(*, cell_id: int, choice: str, actor: User) -> None:
    """A person decides: "ours" writes our number over the channel's, "theirs" books the difference in the ledger.

    Locks the cell. Raises NoDrift when there is nothing to decide, ValueError for another choice.
    """
    if choice not in ("ours", "theirs"):
        raise ValueError(choice)
    with transaction.atomic():
        # Levels before cells, as in every other path: the ledger locks the level, then all its cells.
        cell = ChannelStock.objects.select_related("listing", "channel_location", "merchant").get(pk=cell_id)
        if cell.drift_at is None or cell.observed is None or cell.expected is None:
            raise NoDrift
        difference = cell.observed - cell.expected
        if choice == "theirs" and cell.listing.variant_id and cell.channel_location.location_id:
            now = timezone.now()
            ledger.post(
                merchant_id=cell.merchant_id,
                source="user",
                channel_id=cell.connection_id,
                entries=[
                    ledger.Entry(
                        variant_id=cell.listing.variant_id,
                        location_id=cell.channel_location.location_id,
                        kind=ledger.Kind.ADJUST,
                        key=f"drift:{cell_id}:{cell.drift_at.isoformat()}",
                        occurred_at=now,
                        on_hand=difference,
                        actor_id=actor.pk,
                        reason="the channel's number was right",
                    )
                ],
            )
            changed = {"drift_at": None, "doubt": 0, "recheck_at": None}
        else:
            changed = {"expected": cell.observed, "drift_at": None, "doubt": 0, "recheck_at": None}
        ChannelStock.objects.filter(pk=cell_id, drift_at=cell.drift_at).update(**changed)
        _refresh_neighbours([cell_id])
        audit.record(
            actor=actor, merchant=cell.merchant, action=f"drift.{choice}", target=cell,
            summary=f"{cell.listing.sku}: chose {choice} ({numbers.plain(difference)})",
        )  # fmt: skip
        incidents.resolve(
            merchant_id=cell.merchant_id, kind=incidents.Kind.DRIFT, key=f"cell:{cell_id}",
            how="our number was sent" if choice == "ours" else "their number was booked", actor=actor,
        )  # fmt: skip
