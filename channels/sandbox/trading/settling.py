"""Has everything that was sold been taken in, and does every number agree? Reads our tables and the stand-ins' own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import floor

from django.db import connection as database
from django.db.models import Count, F, Q, Sum

from channels.models import ChannelStock, ChannelWrite, ChannelWriteLine, Connection, InboundEvent, Incident
from channels.sandbox import standins
from channels.sandbox.models import Delivery
from inventory import bundles, verify
from inventory.models import OrderHold, StockLevel, StockMovement
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
SHOWN_MAX = 10  # breaches named one by one
# A movement is stamped when its transaction works, and seen when it commits: this much later at most.
COMMIT_LAG_S = 2


@dataclass(frozen=True)
class Waiting:
    """What is still under way."""

    deliveries: int
    inbox: int
    due: int
    in_flight: int
    rechecks: int
    drifting: int

    @property
    def nothing(self) -> bool:
        """Whether all is at rest."""
        return not any((self.deliveries, self.inbox, self.due, self.in_flight, self.rechecks, self.drifting))

    def __str__(self) -> str:
        return (
            f"{self.deliveries} webhooks to deliver, {self.inbox} in the inbox, {self.due} cells due, "
            f"{self.in_flight} in flight, {self.rechecks} to read again, {self.drifting} drifting"
        )


def connections_of(merchant: Merchant) -> list[Connection]:
    """The shop's connections in use."""
    return list(Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED).order_by("pk"))


# What is due is told by the numbers themselves, not by the mark that says so: a cell that lost its mark is not at rest.
_WAITING = """
WITH ours AS (SELECT id, account_id FROM channels_connection WHERE merchant_id = %s AND state <> 'closed')
SELECT (SELECT count(*) FROM sandbox_delivery d JOIN ours ON ours.account_id = d.account WHERE d.state = 'pending'),
       (SELECT count(*) FROM channels_inboundevent e JOIN ours ON ours.id = e.connection_id WHERE e.state = 'pending'),
       c.due,
       (SELECT count(*) FROM channels_channelwrite w JOIN ours ON ours.id = w.connection_id WHERE w.state = 'sending'),
       c.rechecks, c.drifting
FROM (SELECT count(*) FILTER (WHERE c.desired IS DISTINCT FROM c.expected AND c.expected IS NOT NULL
                              AND c.write_id IS NULL AND c.blocked_reason = '') AS due,
             count(*) FILTER (WHERE c.recheck_at IS NOT NULL) AS rechecks,
             count(*) FILTER (WHERE c.drift_at IS NOT NULL) AS drifting
      FROM channels_channelstock c JOIN ours ON ours.id = c.connection_id) c
"""


def waiting(merchant: Merchant) -> Waiting:
    """What is still under way for a shop."""
    with database.cursor() as cursor:
        cursor.execute(_WAITING, [merchant.pk])
        return Waiting(*cursor.fetchone())


def breaches(merchant: Merchant, *, edited: Collection[int] = ()) -> list[str]:
    """Everything that does not agree, in words; empty where till, web shop and ledger tell the same.

    `edited`: cells of goods whose number people changed at a channel: reason enough to tell another after an own sale.
    """
    ours = connections_of(merchant)
    wrong = [words for connection in ours for words in cell_breaches(connection)]
    wrong += [f"ledger, level {breach.level_id}: {breach.wrong}" for breach in verify.verify().breaches]
    wrong += unexplained(merchant)
    wrong += told_back(ours, edited=edited)
    return wrong


def cell_breaches(connection: Connection) -> list[str]:
    """Cells where the vendor's number, what we believe, what we want and what the rules say are not one number."""
    shown = standins.of(connection.channel).shown(connection)
    linked = ChannelStock.objects.filter(connection=connection, listing__link="linked", listing__deleted_at=None)
    cells = list(linked.select_related("listing__variant", "channel_location").order_by("pk"))
    variants = {cell.listing.variant_id for cell in cells if cell.listing.variant_id is not None}
    available = bundles.available(merchant_id=connection.merchant_id, variant_ids=variants)
    own = own_open_units(connection)
    wrong = []
    for cell in cells:
        listing, place = cell.listing, cell.channel_location
        if listing.variant is None or place.location_id is None:
            continue
        pool = available.get((listing.variant.pk, place.location_id), ZERO)
        pool += own.get((listing.variant.pk, place.location_id), ZERO)
        rule = publishable(connection, pool=pool, is_whole=listing.variant.is_whole_unit, expected=cell.expected)
        vendor = shown.get((listing.inventory_id, place.external_id))
        if vendor is None and cell.expected is None and (listing.variant.pk, place.location_id) not in available:
            continue  # nobody ever counted it there, on either side: nothing is told, nothing can differ
        if not vendor == cell.expected == cell.desired == rule:
            wrong.append(
                f"{connection.label}, {listing.sku} at {place.name}: it shows {vendor}, we believe {cell.expected}, "
                f"want {cell.desired}, the rules say {rule}"
                + (f"; {cell.blocked_reason}" if cell.blocked_reason else "")
            )
    return wrong


def own_open_units(connection: Connection) -> Mapping[tuple[int, int], Decimal]:
    """Units in the channel's own open orders, where it still shows them."""
    if connection.number != Connection.Number.IN_STOCK:
        return {}
    holds = OrderHold.objects.filter(line__order__channel_id=connection.pk, committed__gt=0)
    rows = holds.values_list("line__variant_id", "location_id").annotate(units=Sum("committed"))
    return {(variant, place): units for variant, place, units in rows}


def publishable(connection: Connection, *, pool: Decimal, is_whole: bool, expected: Decimal | None) -> Decimal:
    """The rule, worked out apart from the database's: the whole pool, and below zero only where it went by itself."""
    units = pool if connection.takes_fractions and not is_whole else Decimal(floor(pool))
    if units >= 0 or connection.can_be_set_negative:
        return units
    return min(ZERO, expected or ZERO)


def unexplained(merchant: Merchant) -> list[str]:
    """Variants whose movements do not add up to the number shown on the pages."""
    change = F("on_hand") - F("committed") - F("reserved") - F("unavailable")
    explained = dict(
        StockMovement.objects.of(merchant).values_list("variant_id").annotate(units=Sum(change)).order_by("variant_id")
    )
    shown = StockLevel.objects.of(merchant).values_list("variant_id").annotate(units=Sum("available"))
    return [
        f"variant {variant}: {units} shown, {explained.get(variant, ZERO)} explained"
        for variant, units in shown.order_by("variant_id")
        if units != explained.get(variant, ZERO)
    ]


# A cell may be told a number right after its own channel's sale for four reasons only, looked for since it last
# confirmed a number: somebody else moved the same units too, or the channel sold them in a bundle, whose number moved
# there and not theirs; or what the channel gave back (or let go) was owed to another channel's customers already, the
# pool being below zero; or a count had seen the goods gone before we heard of their sale, and the channel was told so:
# until then they were off its number twice; or a number of ours had gone over the sale, where it takes them absolutely.
_TOLD_BACK = """
WITH own AS (
    SELECT l.id, l.cell_id, n.id AS connection_id, n.label, li.sku, li.variant_id, cl.location_id, l.from_quantity,
           l.to_quantity, w.created_at, EXISTS (
               SELECT FROM channels_stockgap g
               WHERE g.cell_id = l.cell_id AND g.cause = 'late' AND g.evidence ? 'under_write' AND g.state = 'healed'
                 AND g.closed_at BETWEEN w.created_at - make_interval(mins => 1) AND w.created_at) AS was_overwritten,
           coalesce((
               SELECT max(w2.created_at) FROM channels_channelwriteline l2
               JOIN channels_channelwrite w2 ON w2.id = l2.write_id
               WHERE l2.cell_id = l.cell_id AND l2.id < l.id AND l2.outcome = 'applied'), n.approved_at) AS since
    FROM channels_channelwriteline l
    JOIN channels_channelwrite w ON w.id = l.write_id
    JOIN channels_inboundevent e ON e.id = l.cause_event_id AND e.connection_id = w.connection_id
    JOIN channels_channelstock c ON c.id = l.cell_id
    JOIN channels_listing li ON li.id = c.listing_id
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id
    JOIN channels_connection n ON n.id = w.connection_id
    WHERE n.id = ANY(%(connections)s)
)
SELECT own.cell_id, own.label, own.sku, own.from_quantity, own.to_quantity,
       bool_or(m.channel_id IS DISTINCT FROM own.connection_id OR m.bundle_id IS NOT NULL) AS is_others,
       bool_or(m.available_after < 0
               OR m.available_after - (m.on_hand - m.committed - m.reserved - m.unavailable) < 0) AS was_owed,
       bool_or(m.absorbed <> 0) AS was_counted, own.was_overwritten
FROM own LEFT JOIN inventory_stockmovement m
    ON m.variant_id = own.variant_id AND m.location_id = own.location_id
    AND m.recorded_at BETWEEN own.since - make_interval(secs => %(lag_s)s)
                          AND own.created_at + make_interval(secs => %(lag_s)s)
GROUP BY own.id, own.cell_id, own.label, own.sku, own.from_quantity, own.to_quantity, own.was_overwritten
ORDER BY own.id
"""


@dataclass(frozen=True)
class ToldBack:
    """A number told to the very channel that sold, with no other reason."""

    cell_id: int
    words: str


@dataclass(frozen=True)
class ToldAfterOwn:
    """Numbers told to a cell whose latest cause was its own channel: why each was right, or that it was not."""

    others_too: int
    owed: int
    counted: int
    overwritten: int
    without_reason: list[ToldBack]


def told_after_own(connections: list[Connection]) -> ToldAfterOwn:
    """Judge every number told to the channel that caused the last movement of its cell."""
    others_too, owed, counted, overwritten = 0, 0, 0, 0
    without: list[ToldBack] = []
    with database.cursor() as cursor:
        cursor.execute(_TOLD_BACK, {"connections": [row.pk for row in connections], "lag_s": COMMIT_LAG_S})
        for cell_id, label, sku, before, after, is_others, was_owed, was_counted, was_overwritten in cursor.fetchall():
            if is_others:
                others_too += 1
            elif was_owed:
                owed += 1
            elif was_counted:
                counted += 1
            elif was_overwritten:
                overwritten += 1
            else:
                words = f"{label} was told {before} → {after} for {sku}, which it had sold itself"
                without.append(ToldBack(cell_id, words))
    return ToldAfterOwn(others_too, owed, counted, overwritten, without)


def told_back(connections: list[Connection], *, edited: Collection[int] = ()) -> list[str]:
    """Numbers sent to the very channel that sold, with no other reason, in words; cells that were edited left out."""
    return [one.words for one in told_after_own(connections).without_reason if one.cell_id not in edited]


def figures(merchant: Merchant) -> list[str]:
    """Counts for the report, one a line."""
    ours = connections_of(merchant)
    lines = [f"{StockMovement.objects.of(merchant).count()} movements"]
    for connection in ours:
        events = InboundEvent.objects.filter(connection=connection)
        stored = events.exclude(topic__startswith="storestudio/").count()
        sent = Delivery.objects.filter(account=connection.account_id).aggregate(
            done=Count("pk", filter=Q(state=Delivery.State.DELIVERED)),
            lost=Count("pk", filter=Q(state__in=[Delivery.State.DROPPED, Delivery.State.GAVE_UP])),
        )
        writes = ChannelWrite.objects.filter(connection=connection)
        told = ChannelWriteLine.objects.filter(write__connection=connection).aggregate(
            all=Count("pk"),
            stale=Count("pk", filter=Q(outcome="stale")),
            refused=Count("pk", filter=Q(outcome="refused")),
        )
        drift = Incident.objects.filter(connection=connection, kind=Incident.Kind.DRIFT)
        lines += [
            f"{connection.label}: {sent['done']} webhooks delivered, {stored} stored, "
            f"{sent['done'] - stored} duplicates, {sent['lost']} lost on the way, "
            f"{events.filter(state='quarantined').count()} in quarantine",
            f"{connection.label}: {writes.count()} writes with {told['all']} numbers, "
            f"{writes.filter(attempts__gt=1).count()} repeated under their key, "
            f"{writes.filter(state='failed').count()} failed, "
            f"{told['stale']} numbers found stale, {told['refused']} refused",
            f"{connection.label}: {drift.count()} times drift, {drift.standing().count()} open",
        ]
    judged = told_after_own(ours)
    lines.append(
        f"told to the channel that moved it last: {judged.others_too} because others had moved it too, {judged.owed} "
        f"because the units were owed elsewhere, {judged.counted} because a count had seen them gone, "
        f"{judged.overwritten} because our number had gone over the sale, "
        f"{len(judged.without_reason)} without a reason"
    )
    return lines
