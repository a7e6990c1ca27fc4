"""Nothing is written to a channel before a person approved the table of what would change there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from channels import connections, publisher
from channels.models import Approval, ApprovalLine, ChannelStock, Connection, Listing
from inventory.models import StockLevel
from storestudio.accounts.models import User

State = Connection.State
BIG_RISE = Decimal(10)


class PreviewChanged(Exception):
    """The numbers moved since the table was shown: look again before saying yes."""


@dataclass(frozen=True)
class PreviewLine:
    """What approving would change in one cell. `before` None: the channel never told a number."""

    cell_id: int
    listing: Listing
    location_name: str
    before: Decimal | None
    after: Decimal
    flags: tuple[str, ...]


def preview(*, connection: Connection) -> list[PreviewLine]:
    """The table a person says yes to: every cell whose number would change, the riskiest first.

    A cell the channel told no number for, or whose stock was never counted here, is listed with its flag and will not
    be written. Where a yes was given before and cells came since (a listing linked later, a place mapped later), the
    table is these new cells, whether their numbers would change or not: none of them is written without a yes either.
    """
    new = awaiting_yes(connection)
    is_of_new = connection.approved_at is not None and new.exists()
    cells = new if is_of_new else _kept(connection)
    counted = set(
        StockLevel.objects.filter(merchant=connection.merchant_id, last_seq__gt=0).values_list(
            "variant_id", "location_id"
        )
    )
    lines = [
        _preview_line(cell, counted) for cell in cells.select_related("listing", "channel_location").order_by("pk")
    ]
    return sorted(
        (line for line in lines if is_of_new or line.before != line.after or line.flags),
        key=lambda line: (not line.flags, line.listing.sku, line.cell_id),
    )


def _kept(connection: Connection) -> QuerySet[ChannelStock]:
    cells: QuerySet[ChannelStock] = ChannelStock.objects.filter(
        connection=connection, listing__link=Listing.Link.LINKED, listing__deleted_at=None
    )
    return cells


def awaiting_yes(connection: Connection) -> QuerySet[ChannelStock]:
    """Cells that a yes would let us write: the channel told their number, they were counted here, nobody approved."""
    cells: QuerySet[ChannelStock] = ChannelStock.objects.filter(is_awaiting_yes(), connection=connection)
    return cells


def is_awaiting_yes() -> Q:
    """The same as a condition on cells of any connection."""
    counted = StockLevel.objects.filter(
        variant=OuterRef("listing__variant"), location=OuterRef("channel_location__location"), last_seq__gt=0
    )
    return Q(
        Exists(counted),
        expected=None,
        observed__isnull=False,
        listing__link=Listing.Link.LINKED,
        listing__is_tracked=True,
        listing__deleted_at=None,
    )


def _preview_line(cell: ChannelStock, counted: set[tuple[int, int]]) -> PreviewLine:
    before, after = cell.observed, cell.desired
    flags = []
    if after is None:  # a rule says that it is not counted
        flags.append("not_told")
        after = before or Decimal(0)
    elif (cell.listing.variant_id, cell.channel_location.location_id) not in counted:
        flags.append("not_counted")
    elif before is None:
        flags.append("unknown_there")
    elif before > 0 >= after:
        flags.append("drop_to_zero")
    elif before <= 0 < after:
        flags.append("newly_sellable")
    elif after - before >= max(BIG_RISE, before):
        flags.append("big_rise")
    return PreviewLine(
        cell_id=cell.pk,
        listing=cell.listing,
        location_name=cell.channel_location.name,
        before=before,
        after=after,
        flags=tuple(flags),
    )


def preview_digest(lines: Sequence[PreviewLine]) -> str:
    """Names one state of the table, so that a yes is a yes to what was shown."""
    text = "\n".join(f"{line.cell_id} {line.before} {line.after}" for line in sorted(lines, key=lambda x: x.cell_id))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def approve(*, connection: Connection, actor: User, digest: str) -> Approval:
    """A person's yes: keep what is there now, believe it, and go live.

    Cells the channel told no number for, and cells never counted here, are left unwritten (`expected` stays unknown).
    Raises PreviewChanged, NotAllowed. Locks the cells. A number that was read before the channel's own latest sale says
    nothing of now: those cells are read again soon, and the table is shown anew.
    """
    stale = _approve(connection, actor, digest)
    if stale:
        ChannelStock.objects.filter(pk__in=stale).update(recheck_at=timezone.now())
        raise PreviewChanged
    connection.refresh_from_db()
    approval: Approval = Approval.objects.filter(connection=connection).latest("pk")
    return approval


def _approve(connection: Connection, actor: User, digest: str) -> list[int]:
    """Go live, or return the cells that keep us from it."""
    with transaction.atomic():
        locked = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        has_new = locked.state == State.LIVE and awaiting_yes(locked).exists()
        if locked.state != State.PAUSED and not has_new:
            raise connections.NotAllowed(f"{locked.label} is {locked.get_state_display().lower()}.")
        # A posting locks its cells too, so from here on no sale comes in between.
        list(ChannelStock.objects.filter(connection=locked).order_by("pk").select_for_update().values_list("pk"))
        lines = preview(connection=locked)
        if preview_digest(lines) != digest:
            raise PreviewChanged
        if stale := _sold_since_read(locked):
            return stale
        approval = Approval.objects.create(merchant_id=locked.merchant_id, connection=locked, approved_by=actor)
        ApprovalLine.objects.bulk_create(
            ApprovalLine(approval=approval, cell_id=line.cell_id, before=line.before, after=line.after)
            for line in lines
        )
        _believe_observed(locked)
        Connection.objects.filter(pk=locked.pk).update(
            state=State.LIVE, state_reason="", approved_at=timezone.now(), approved_by=actor
        )
        what = "keeps more numbers" if has_new else "went live"
        connections.note(locked, actor, "connection.approved", f"{locked.label} {what}, {len(lines)} in the table")
    return []


_SOLD_SINCE_READ = """
SELECT c.id FROM channels_channelstock c
JOIN channels_listing l ON l.id = c.listing_id
JOIN channels_channellocation cl ON cl.id = c.channel_location_id
WHERE c.connection_id = %(connection)s AND c.expected IS NULL AND c.observed IS NOT NULL
  AND EXISTS (SELECT FROM inventory_stockmovement m
              WHERE m.variant_id = l.variant_id AND m.location_id = cl.location_id AND m.channel_id = c.connection_id
                AND m.recorded_at >= c.observed_at)
"""


def _sold_since_read(connection: Connection) -> list[int]:
    with database.cursor() as cursor:
        cursor.execute(_SOLD_SINCE_READ, {"connection": connection.pk})
        return [row[0] for row in cursor.fetchall()]


def _believe_observed(connection: Connection) -> None:
    believed = list(awaiting_yes(connection).values_list("pk", flat=True))
    ChannelStock.objects.filter(pk__in=believed).update(expected=F("observed"), guard_passed_at=timezone.now())
    publisher.refresh_desired(connection_id=connection.pk)


def put_back(*, connection: Connection, actor: User) -> int:
    """Tell the channel the numbers it showed before they were approved, and pause; returns how many were told.

    Each number is written from what the channel shows now, through the publisher's own path. Raises ConnectorError,
    NotAllowed where nothing was ever approved.
    """
    lines = ApprovalLine.objects.filter(approval__connection=connection)
    if not Approval.objects.filter(connection=connection).exists():
        raise connections.NotAllowed("Nothing was ever written there: there is nothing to put back.")
    if connection.state == State.LIVE:
        connections.pause(connection=connection, actor=actor, reason="Put back to what it was before")
    # The last word on each cell: cells that came later were approved later.
    before = dict(
        lines.filter(before__isnull=False)
        .exclude(Q(cell__expected=None))
        .order_by("pk")
        .values_list("cell_id", "before")
    )
    told = publisher.restore(connection_id=connection.pk, numbers=before)
    connections.note(connection, actor, "connection.put_back", f"{told} numbers put back at {connection.label}")
    return told
