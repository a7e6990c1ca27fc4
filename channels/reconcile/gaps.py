"""The record of disagreements: a row from the first sight of one, with its cause and evidence once it is understood.

A difference that news explains within a grace is no disagreement: its row goes. What lasted longer, or was explained
only because we looked, stays as history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db.models import Q
from django.utils import timezone

from channels import incidents
from channels.models import ChannelStock, ChannelWriteLine, Connection, Listing, RemoteChange, StockGap
from channels.ports import MadeBy
from storestudio.accounts.models import User

GRACE = timedelta(seconds=4)  # an order's own event may come after the stock event it caused
LATE_FROM = timedelta(seconds=10)  # between what happened and our hearing of it
AT_ONCE = timedelta(seconds=10)  # a till adds a unit within the sale that needs it
POLLED = "storestudio/poll:"  # the dedupe key of an order that only the feed told of begins so
ZERO = Decimal(0)
Cause, State, Deed = StockGap.Cause, StockGap.State, StockGap.Deed
WAITING = Q(state__in=[State.OPEN, State.ASKED])

_OPEN = """
INSERT INTO channels_stockgap (merchant_id, connection_id, cell_id, listing_id, channel_location_id, variant_id,
                               expected, observed, cause, evidence, state, deed, moved, question, seen_at)
SELECT c.merchant_id, c.connection_id, c.id, c.listing_id, c.channel_location_id, l.variant_id,
       c.expected, s.quantity, 'unknown', '{}', 'open', '', 0, '', %(read_at)s
FROM unnest(%(cells)s::bigint[], %(quantities)s::numeric[]) AS s(cell_id, quantity)
JOIN channels_channelstock c ON c.id = s.cell_id
JOIN channels_listing l ON l.id = c.listing_id
WHERE c.expected IS NOT NULL
ORDER BY c.id
ON CONFLICT (cell_id) WHERE state IN ('open', 'asked') DO UPDATE SET observed = excluded.observed
"""


def open_many(*, shown: Mapping[int, Decimal | None], read_at: datetime) -> None:
    """Open a gap for each cell (cell → what it shows, None: not mentioned), or note the new number of an open one."""
    if not shown:
        return
    with database.cursor() as cursor:
        cursor.execute(_OPEN, {"cells": list(shown), "quantities": list(shown.values()), "read_at": read_at})


# What the ledger booked of each gap's cell, as told by its own channel, since the difference was first seen.
_NEWS = """
SELECT g.id, m.idempotency_key, m.order_id, o.number, o.external_id, m.event_id, m.on_hand, m.absorbed,
       m.committed + m.reserved + m.unavailable, m.occurred_at, m.recorded_at, m.on_hand_after,
       e.dedupe_key, e.received_at
FROM channels_stockgap g
JOIN channels_channellocation cl ON cl.id = g.channel_location_id
JOIN inventory_stockmovement m ON m.variant_id = g.variant_id AND m.location_id = cl.location_id
LEFT JOIN inventory_order o ON o.id = m.order_id
LEFT JOIN channels_inboundevent e ON e.id = m.event_id
WHERE g.id = ANY(%s) AND m.channel_id = g.connection_id AND m.recorded_at >= g.seen_at
  AND m.bundle_id IS NULL  -- what was sold as a bundle moved the bundle's number there, not this one
ORDER BY m.id
"""


@dataclass(frozen=True)
class News:
    """One movement that the channel's own facts led to since a gap was seen."""

    key: str
    order_id: int | None
    order_number: str | None
    order_external_id: str | None
    event_id: int | None
    on_hand: Decimal
    absorbed: Decimal
    held: Decimal
    occurred_at: datetime
    recorded_at: datetime
    on_hand_after: Decimal
    dedupe_key: str | None
    received_at: datetime | None

    def moved(self, *, number: str) -> Decimal:
        """By how much the channel's own number moved with it."""
        return self.on_hand + self.absorbed - (self.held if number == Connection.Number.AVAILABLE else ZERO)


@dataclass
class Finding:
    """What a gap is put down to."""

    cause: str
    deed: str = Deed.NOTHING
    moved: Decimal = ZERO
    evidence: dict[str, Any] = field(default_factory=dict)


def settle_agreeing(connection: Connection, *, cell_ids: Sequence[int]) -> int:
    """Close the gaps of cells that show what we expect again, each with what explained it; returns how many stay."""
    waiting = list(StockGap.objects.filter(WAITING, cell__in=cell_ids).select_related("cell").order_by("pk"))
    if not waiting:
        return 0
    news = _news(waiting)
    changes = _changes(connection, [one.key for told in news.values() for one in told])
    passing, kept = [], []
    for gap in waiting:
        finding = _explain(connection, gap, news.get(gap.pk, []), changes)
        if finding is None and gap.judged_at is None:
            passing.append(gap.pk)
        else:
            _close(gap, finding or Finding(gap.cause, Deed.AGREES, evidence=gap.evidence))
            kept.append(gap)
    StockGap.objects.filter(pk__in=passing).delete()
    StockGap.objects.bulk_update(kept, ["cause", "evidence", "state", "deed", "moved", "closed_at"])
    close_questions(connection, {gap.question for gap in kept}, how="it shows what we expect again")
    return len(kept)


def _news(waiting: Iterable[StockGap]) -> Mapping[int, list[News]]:
    found: dict[int, list[News]] = defaultdict(list)
    with database.cursor() as cursor:
        cursor.execute(_NEWS, [[gap.pk for gap in waiting]])
        for gap_id, *rest in cursor.fetchall():
            found[gap_id].append(News(*rest))
    return found


def _changes(connection: Connection, keys: Iterable[str]) -> Mapping[str, RemoteChange]:
    names = {key.removeprefix("change:") for key in keys if key.startswith("change:")}
    if not names:
        return {}
    rows = RemoteChange.objects.filter(connection=connection, external_id__in=names)
    return {f"change:{row.external_id}": row for row in rows}


def _explain(
    connection: Connection, gap: StockGap, news: Sequence[News], changes: Mapping[str, RemoteChange]
) -> Finding | None:
    """The finding, or None where it was only news under way: an ordinary moment."""
    told = [one for one in news if one.key in changes]
    if told:
        return _by_changes(connection, told, [changes[one.key] for one in told], gap)
    sold = [one for one in news if one.order_id is not None]
    if sold:
        return _by_orders(connection, gap, sold)
    return _by_write(gap)


def _by_changes(
    connection: Connection, told: Sequence[News], rows: Sequence[RemoteChange], gap: StockGap
) -> Finding | None:
    if all("return" in row.cause for row in rows) and gap.judged_at is None:
        return None  # goods that came back are told this way as a rule
    return _of_changes(gap, rows, sum((one.moved(number=connection.number) for one in told), ZERO))


def _of_changes(gap: StockGap, rows: Sequence[RemoteChange], moved: Decimal) -> Finding:
    first = rows[0]
    evidence = {
        "change": first.cause, "by": first.by, "app": first.app if first.made_by == MadeBy.APP else "",
        "happened_at": first.occurred_at.isoformat(), "changes": [row.pk for row in rows],
    }  # fmt: skip
    cause = Cause.MANUAL_EDIT
    if first.made_by == MadeBy.APP:
        cause = Cause.OTHER_APP
    elif sale := _sale_it_served(gap, first):
        cause = Cause.AUTO_ADD
        evidence |= sale
    return Finding(cause, Deed.BOOKED, moved, evidence)


_SALE = """
SELECT o.number, o.external_id, -sum(m.on_hand), min(m.on_hand_after)
FROM channels_channellocation cl
JOIN inventory_stockmovement m ON m.variant_id = %(variant)s AND m.location_id = cl.location_id
JOIN inventory_order o ON o.id = m.order_id
WHERE cl.id = %(place)s AND m.channel_id = %(connection)s AND m.occurred_at BETWEEN %(from)s AND %(to)s
GROUP BY o.id, o.number, o.external_id ORDER BY o.id
"""


def note_booked(connection: Connection, *, names: Sequence[str], cells: Mapping[tuple[str, str], ChannelStock]) -> None:
    """List changes that were booked before anybody compared: healed at first sight. `cells`: as before the booking.

    A cell whose difference had been seen has its gap already; it is closed when its number agrees.
    """
    rows: dict[tuple[str, str], list[RemoteChange]] = defaultdict(list)
    for row in RemoteChange.objects.filter(connection=connection, external_id__in=names).order_by("occurred_at", "pk"):
        rows[row.inventory_id, row.location_external_id].append(row)
    seen = set(
        StockGap.objects.filter(WAITING, cell__in=[cell.pk for cell in cells.values()]).values_list(
            "cell_id", flat=True
        )
    )
    made = []
    for key, changes in rows.items():
        cell = cells.get(key)
        if cell is None or cell.expected is None or cell.pk in seen:
            continue
        moved = sum((row.delta for row in changes), ZERO)
        gap = StockGap(
            merchant_id=connection.merchant_id, connection=connection, cell=cell, listing_id=cell.listing_id,
            channel_location_id=cell.channel_location_id, variant_id=cell.listing.variant_id, expected=cell.expected,
            observed=cell.expected + moved,
        )  # fmt: skip
        _close(gap, _of_changes(gap, changes, moved))
        made.append(gap)
    StockGap.objects.bulk_create(made)


def _sale_it_served(gap: StockGap, change: RemoteChange) -> dict[str, Any] | None:
    """The sale below zero, of as many units and at the same moment, for which a till added them by itself."""
    if change.made_by != MadeBy.TILL or change.delta <= 0:
        return None
    values = {
        "variant": gap.variant_id, "place": gap.channel_location_id, "connection": gap.connection_id,
        "from": change.occurred_at - AT_ONCE, "to": change.occurred_at + AT_ONCE,
    }  # fmt: skip
    with database.cursor() as cursor:
        cursor.execute(_SALE, values)
        for number, external_id, units, lowest in cursor.fetchall():
            if units == change.delta and lowest <= 0:
                return {"order": number or external_id, "units": str(units.normalize())}
    return None


def _by_orders(connection: Connection, gap: StockGap, sold: Sequence[News]) -> Finding | None:
    first = sold[0]
    lag = first.recorded_at - first.occurred_at
    evidence = {
        "order": first.order_number or first.order_external_id, "order_id": first.order_id,
        "order_external_id": first.order_external_id, "event": first.event_id,
        "happened_at": first.occurred_at.isoformat(), "lag_s": round(lag.total_seconds(), 1),
    }  # fmt: skip
    moved = sum((one.moved(number=connection.number) for one in sold), ZERO)
    if (first.dedupe_key or "").startswith(POLLED):
        return Finding(Cause.MISSED_WEBHOOK, Deed.APPLIED, moved, evidence)
    if first.recorded_at - gap.seen_at >= GRACE or lag >= LATE_FROM:
        return Finding(Cause.LATE, Deed.APPLIED, moved, evidence)
    return None


def _by_write(gap: StockGap) -> Finding | None:
    """A write of ours whose answer was lost had arrived: its number was ours."""
    line = (
        ChannelWriteLine.objects.filter(cell=gap.cell_id, outcome=ChannelWriteLine.Outcome.APPLIED)
        .filter(answered_at__gte=gap.seen_at, write__attempts__gt=1)
        .order_by("-pk")
        .first()
    )
    if line is None or gap.observed != line.to_quantity:
        return None
    return Finding(Cause.ECHO, Deed.REPEATED, evidence={"write": line.write_id, "told": str(line.to_quantity)})


def _close(gap: StockGap, finding: Finding) -> None:
    gap.cause, gap.deed, gap.moved = finding.cause, finding.deed, finding.moved
    gap.evidence = gap.evidence | finding.evidence
    gap.state, gap.closed_at = State.HEALED, timezone.now()


def news_came(*, connection_id: int, order_ids: Iterable[str]) -> int:
    """Messages of orders that the feed had told of already came after all: late, not missed. Returns how many."""
    return StockGap.objects.filter(
        connection=connection_id,
        cause=Cause.MISSED_WEBHOOK,
        closed_at__gte=timezone.now() - timedelta(days=1),
        evidence__order_external_id__in=list(order_ids),
    ).update(cause=Cause.LATE)


def settle_links(*, connection_id: int) -> None:
    """Listings that were gone: healed where the catalog, read again, linked a new one to the variant; else asked."""
    gaps = list(
        StockGap.objects.filter(connection=connection_id, state=State.OPEN, cause=Cause.LINK_BROKEN).select_related(
            "listing"
        )
    )
    if not gaps:
        return
    connection = Connection.objects.get(pk=connection_id)
    alive = {
        listing.variant_id: listing
        for listing in Listing.objects.filter(
            connection=connection, deleted_at=None, variant__in={gap.variant_id for gap in gaps}
        )
    }
    for gap in gaps:
        new = alive.get(gap.variant_id)
        if new is not None and new.pk != gap.listing_id:
            found = {"new_listing": new.pk, "new_external_id": new.external_id, "link": new.link_reason}
            _close(gap, Finding(Cause.LINK_BROKEN, Deed.RELINKED, evidence=found))
            gap.save(update_fields=["cause", "evidence", "state", "deed", "moved", "closed_at"])
        elif new is None or gap.listing.deleted_at is not None:
            ask(connection, [gap])


@dataclass(frozen=True)
class _Words:
    one: str
    many: str


_ASKED = {
    Cause.OTHER_APP: _Words(
        "{app} changed {sku} at {label}: count it, or send ours?",
        "{app} changes the stock at {label}: {count} numbers. Count them, or send ours?",
    ),
    Cause.UNIT_MISMATCH: _Words(
        "{label} counts {sku} in packs of {factor}, it seems: it shows {observed}, we expected {expected}.",
        "{label} counts {count} numbers in packs of {factor}, it seems. Whose unit is right?",
    ),
    Cause.LINK_BROKEN: _Words(
        "{sku} is not at {label} any more, or is another item there. Say which listing it is now.",
        "{count} listings are not at {label} any more, or are other items there. Say which they are now.",
    ),
    Cause.UNKNOWN: _Words(
        "{label} shows {observed} of {sku} at {place}, we expected {expected}, and nothing tells why.",
        "{label} shows other numbers than we expected in {count} places, all at once, and nothing tells why.",
    ),
}
ALONE_MAX = 5  # more unknown ones at a time have one cause, whatever it is: one question


def ask(connection: Connection, gaps: Sequence[StockGap], *, together: str = "") -> None:
    """Put gaps to a person, one question for each cause; their `cause` and `evidence` are set.

    `together` names what they have in common with others that are put one by one: those of unknown cause share one
    question, which grows.
    """
    unknown = [gap for gap in gaps if gap.cause == Cause.UNKNOWN]
    stamp = timezone.now().strftime("%Y%m%dT%H%M")
    for gap in gaps:
        if gap.cause == Cause.UNKNOWN and together:
            question = f"{connection.pk}:unknown:{together}"
        elif gap.cause == Cause.UNKNOWN and len(unknown) <= ALONE_MAX:
            question = f"cell:{gap.cell_id}"
        elif gap.cause == Cause.UNKNOWN:
            question = f"{connection.pk}:unknown:{stamp}"
        else:
            detail = gap.evidence.get("app_id") or gap.evidence.get("factor") or ""
            question = f"{connection.pk}:{gap.cause}:{detail}"[:120]
        gap.question, gap.state, gap.judged_at = question, State.ASKED, gap.judged_at or timezone.now()
    StockGap.objects.bulk_update(gaps, ["question", "state", "judged_at", "cause", "evidence"])
    for question in dict.fromkeys(gap.question for gap in gaps):
        _raise_question(connection, question, is_growing=bool(together))


def _raise_question(connection: Connection, question: str, *, is_growing: bool) -> None:
    """Open the question's incident, or tell how many it asks about by now; one that is growing is asked once."""
    asked = StockGap.objects.filter(connection=connection, question=question, state=State.ASKED)
    gap = asked.select_related("listing", "channel_location").order_by("-pk").first()
    if gap is None:
        return
    count = asked.count()
    words = _ASKED.get(Cause(gap.cause), _ASKED[Cause.UNKNOWN])
    title = (words.one if count == 1 else words.many).format(
        label=connection.label, count=count, sku=gap.listing.sku or gap.listing.product_title,
        place=gap.channel_location.name, app=gap.evidence.get("app") or "Another app",
        factor=gap.evidence.get("factor", ""), observed=plain(gap.observed), expected=plain(gap.expected),
    )  # fmt: skip
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.DRIFT,
        key=question,
        variant_id=gap.variant_id if count == 1 and not is_growing else None,
        cell_id=gap.cell_id if count == 1 and not is_growing else None,
        is_a_look=is_growing and count > 1,
        title=title,
        observed=plain(gap.observed),
        expected=plain(gap.expected),
        cause=gap.cause,
        gaps=count,
    )


def plain(quantity: Decimal | None) -> str:
    """A number for a sentence."""
    return "nothing" if quantity is None else f"{quantity.normalize():f}"


def close_questions(connection: Connection, questions: Iterable[str], *, how: str, actor: User | None = None) -> None:
    """Close the incidents of questions that no gap asks any more."""
    for question in sorted(set(questions) - {""}):
        if not StockGap.objects.filter(connection=connection, question=question, state=State.ASKED).exists():
            incidents.resolve(
                merchant_id=connection.merchant_id, kind=incidents.Kind.DRIFT, key=question, how=how, actor=actor
            )
