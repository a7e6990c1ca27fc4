"""Reading a channel's numbers and comparing them with what we expect, set by set in the database.

A difference is judged only where nothing under way could explain it: no write in flight, no answer of ours newer than
the reading, no waiting order event. First sight marks the cell and opens a gap; what is still there a grace later is
judged. A number that agrees costs nothing: of a whole reading only the sweep's own row says how old it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from channels import contact, credentials, intake, registry
from channels.models import ChannelLocation, ChannelStock, Connection, InboundEvent, Listing, StockSweep
from channels.ports import Connector, Count, HintKind
from channels.reconcile import gaps, judging
from channels.reconcile.changes import read_stock_changes
from channels.reconcile.gaps import GRACE

DRIFT_AGAIN = timedelta(seconds=15)  # a drift whose cause came late explains itself: look again this often
COPIED_FROM = 500  # so many numbers go to the database by COPY
COPIED_AT_ONCE = 5000
SWEEP_POLLS = 1440  # a whole reading takes at most this many polls: half a day at one in 30 s
SWEEP_LISTINGS_MIN = 40
HOT = 20
HOT_WITHIN = timedelta(hours=6)
_WORK_MEM = "SET LOCAL work_mem = '256MB'"  # a million rows compared in memory

Places = Mapping[str, int]  # the channel's id of a place → ours
Listings = Mapping[str, Sequence[int]]  # an inventory id, which several listings may share → their keys

_UNNESTED = """
SELECT l.id, s.place, s.number
FROM unnest(%(items)s::text[], %(places)s::bigint[], %(numbers)s::numeric[]) AS s(item, place, number)
JOIN channels_listing l ON l.connection_id = %(connection)s AND l.inventory_id = s.item
"""
_COPIED = "SELECT listing, place, number FROM channels_reading_keyed"
_READING = "CREATE TEMPORARY TABLE IF NOT EXISTS channels_reading_keyed (listing bigint, place bigint, number numeric)"

# The ordinary case first: most numbers agree, and nothing about their cells needs to be written. Only the others are
# named. `{join}` is LEFT where the answer should have named every cell of `{which}`: then what it left out is told.
_COMPARE = """
SELECT count(number),
       array_agg(id) FILTER (WHERE is_news),
       array_agg(number) FILTER (WHERE is_news),
       array_agg(id) FILTER (WHERE number IS NULL AND is_believed)
FROM (
    SELECT c.id, s.number, c.expected IS NOT NULL AS is_believed,
           s.number IS NOT NULL AND (
               %(moves_age)s OR c.observed IS DISTINCT FROM s.number OR c.expected <> s.number OR c.doubt <> 0
               OR c.recheck_at IS NOT NULL OR c.drift_at IS NOT NULL OR c.missing_at IS NOT NULL) AS is_news
    FROM channels_channelstock c
    {join} JOIN ({said}) s(listing, place, number) ON s.listing = c.listing_id AND s.place = c.channel_location_id
    WHERE c.connection_id = %(connection)s AND {which}
) compared
"""
_OF_SLICE = "c.listing_id > %(after)s AND c.listing_id <= %(until)s"
_OF_ASKED = """
c.listing_id = ANY(ARRAY(
    SELECT id FROM channels_listing WHERE connection_id = %(connection)s AND inventory_id = ANY(%(asked)s)))
"""

# `recheck_at` is set on the first sight of a difference; one that is still there a grace later is ripe to be judged.
_OBSERVE = """
WITH said AS (
    SELECT * FROM unnest(%(cells)s::bigint[], %(quantities)s::numeric[]) AS s(cell_id, quantity)
), locked AS (
    SELECT c.id, c.doubt AS doubt_before, c.drift_at AS drift_before, c.recheck_at AS recheck_before,
           c.expected IS NOT NULL AND s.quantity <> c.expected AS differs,
           c.write_id IS NOT NULL OR coalesce(c.told_at >= %(read_at)s, false) OR %(has_waiting)s AS is_under_way
    FROM channels_channelstock c JOIN said s ON s.cell_id = c.id ORDER BY c.id FOR NO KEY UPDATE OF c
)
UPDATE channels_channelstock c
SET observed = said.quantity, observed_at = %(read_at)s, missing_at = NULL,
    recheck_at = CASE WHEN NOT locked.differs THEN NULL
                      WHEN c.drift_at IS NOT NULL THEN %(again)s
                      WHEN locked.is_under_way OR c.recheck_at IS NULL THEN %(later)s
                      WHEN %(is_recheck)s THEN %(again)s ELSE c.recheck_at END,
    drift_at = CASE WHEN locked.differs THEN c.drift_at END,
    doubt = CASE WHEN NOT locked.differs THEN 0
                 WHEN c.drift_at IS NOT NULL AND NOT locked.is_under_way
                 THEN greatest(0, c.expected - said.quantity) ELSE c.doubt END,
    -- What was stale and is understood now may be told at once.
    next_attempt_at = CASE WHEN locked.differs THEN c.next_attempt_at END
FROM said, locked
WHERE c.id = said.cell_id AND locked.id = c.id
RETURNING c.id, locked.differs,
          locked.differs AND NOT locked.is_under_way AND locked.recheck_before IS NOT NULL AND %(is_recheck)s
              AND (locked.drift_before IS NULL OR EXISTS (
                  -- Feared, but not judged: the channel did not answer when its listing was to be read again.
                  SELECT FROM channels_stockgap g
                  WHERE g.cell_id = c.id AND g.state = 'open' AND g.judged_at IS NULL)),
          c.doubt <> locked.doubt_before
"""

_MISSING = """
WITH locked AS (
    SELECT c.id, c.missing_at IS NOT NULL AND %(is_recheck)s AND NOT %(has_waiting)s AS is_ripe
    FROM channels_channelstock c
    JOIN channels_listing l ON l.id = c.listing_id AND l.is_tracked AND l.deleted_at IS NULL
    WHERE c.id = ANY(%(missing)s) AND c.channel_location_id = ANY(%(kept)s) ORDER BY c.id FOR NO KEY UPDATE OF c
)
UPDATE channels_channelstock c
SET missing_at = coalesce(c.missing_at, %(read_at)s),
    recheck_at = CASE WHEN c.missing_at IS NULL THEN %(later)s WHEN %(is_recheck)s THEN %(again)s ELSE c.recheck_at END
FROM locked WHERE c.id = locked.id
RETURNING c.id, locked.is_ripe
"""


@dataclass(frozen=True)
class Seen:
    """What a reading showed. `new_drift`: judged now, and to be explained."""

    cells: int
    differing: int
    new_drift: int
    missing: int = 0

    @property
    def words(self) -> str:
        """For the inbox: an echo of our own write is one that shows what we expected."""
        if not self.cells:
            return "nothing we keep"
        if not self.differing:
            return "as expected: this was us, or known already"
        return f"{self.differing} of {self.cells} numbers differ from what we expected: reading again"

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.cells + other.cells,
            self.differing + other.differing,
            self.new_drift + other.new_drift,
            self.missing + other.missing,
        )


NOTHING = Seen(0, 0, 0)


@dataclass(frozen=True)
class Slice:
    """Listings of a whole reading in the order of their keys: those that are counted next above the key `after`."""

    after: int
    inventory_ids: Sequence[str]
    keys: Sequence[int]

    def by_inventory_id(self) -> Listings:
        """The keys of each. As a rule an id is one listing's, and then half a million are put together in no time."""
        alone = dict(zip(self.inventory_ids, zip(self.keys, strict=True), strict=True))
        return alone if len(alone) == len(self.keys) else _grouped(zip(self.inventory_ids, self.keys, strict=True))


def _grouped(pairs: Iterable[tuple[str, int]]) -> Listings:
    grouped: dict[str, list[int]] = defaultdict(list)
    for inventory_id, key in pairs:
        grouped[inventory_id].append(key)
    return grouped


def check(*, connection_id: int, inventory_ids: Sequence[str], is_recheck: bool = False) -> str:
    """Read these counts now and compare; what happened, in words. Raises ConnectorError.

    Where a difference shows and the channel tells causes, its change feed is read and posted first.
    """
    connection = Connection.objects.get(pk=connection_id)
    has_feed = registry.capabilities(connection.channel).has_change_feed
    posted = read_stock_changes(connection_id=connection_id) if is_recheck and has_feed else 0
    seen = _read_and_observe(connection, inventory_ids, is_recheck=is_recheck)
    if seen.differing and has_feed and not is_recheck:
        posted = read_stock_changes(connection_id=connection_id)
        if posted:
            seen = _read_and_observe(connection, inventory_ids, is_recheck=False)
    return f"{posted} changes made at {connection.label} posted; {seen.words}" if posted else seen.words


def _read_and_observe(connection: Connection, inventory_ids: Sequence[str], *, is_recheck: bool) -> Seen:
    if not _tells_counts(connection):
        return NOTHING
    read_at, counts = timezone.now(), _read(connection, inventory_ids)
    return observe(
        connection=connection, counts=counts, read_at=read_at, is_recheck=is_recheck,
        asked=inventory_ids,
    )  # fmt: skip


def _tells_counts(connection: Connection) -> bool:
    """Of a channel that tells none, nothing is missing that it did not mention."""
    return registry.capabilities(connection.channel).tells_counts


def _read(connection: Connection, inventory_ids: Sequence[str]) -> list[Count]:
    """The numbers of these listings at every mapped place, in as many calls as the channel wants."""
    places = list(
        ChannelLocation.objects.filter(connection=connection, location__isnull=False, is_active=True)
        .order_by("pk")
        .values_list("external_id", flat=True)
    )
    size = registry.capabilities(connection.channel).read_batch_max
    counts: list[Count] = []
    for start in range(0, len(inventory_ids) if places else 0, size):
        chunk = list(inventory_ids[start : start + size])

        def read(connector: Connector, chunk: Sequence[str] = chunk) -> Sequence[Count]:
            return connector.read_counts(inventory_ids=chunk, location_ids=places)

        counts += credentials.with_fresh_token(connection.pk, read)
    if places and inventory_ids:
        contact.heard(connection_id=connection.pk)
    return counts


def observe(
    *,
    connection: Connection,
    counts: Sequence[Count],
    read_at: datetime,
    is_recheck: bool = False,
    asked: Slice | Sequence[str] | None = None,
    moves_age: bool = True,
) -> Seen:
    """Record what the channel said and judge the differences that lasted.

    A pair it did not mention stays as it was: unknown. Of the listings `asked` for, by inventory id or as a slice of
    all, such pairs are marked missing.
    `moves_age` False: the age of what agrees is the sweep's, and its cell is not touched. Locks the cells that change.
    Call outside a transaction where rechecking: what is judged may be read again at the channel.
    """
    waiting = InboundEvent.objects.filter(connection=connection, state=InboundEvent.State.PENDING)
    values: dict[str, Any] = {
        "connection": connection.pk,
        "read_at": read_at,
        "later": read_at + GRACE,
        "again": read_at + DRIFT_AGAIN,
        "is_recheck": is_recheck,
        "moves_age": moves_age,
        # While orders wait to be applied nothing can be judged: any of them may be the cause.
        "has_waiting": waiting.exclude(topic__in=_count_topics(connection)).exists(),
    }
    places = list(
        ChannelLocation.objects.filter(connection=connection).values_list(
            "external_id", "pk", "is_active", "location_id"
        )
    )
    values["kept"] = [pk for _, pk, is_active, location_id in places if is_active and location_id]
    ids = {external_id: pk for external_id, pk, *_ in places}
    with transaction.atomic():
        told, news, gone = _compare(counts, ids, values, asked)
        rows, ripe_gone = _record(news, gone, values)
    differing = [pk for pk, differs, *_ in rows if differs]
    agreeing = [pk for pk, differs, *_ in rows if not differs]
    if agreeing:
        gaps.settle_agreeing(connection, cell_ids=agreeing)
    drifting = 0
    ripe = [pk for pk, _, is_ripe, _ in rows if is_ripe]
    if ripe or ripe_gone:
        drifting = judging.judge(connection, differing=ripe, missing=ripe_gone, read_at=read_at)
    return Seen(cells=told, differing=len(differing), new_drift=drifting, missing=len(gone))


def _count_topics(connection: Connection) -> set[str]:
    """Of messages that tell numbers and no order, ours and the channel's: none of them can be a difference's cause."""
    return {f"{intake.OWN_TOPIC}{HintKind.STOCK}", *registry.capabilities(connection.channel).count_topics}


def _compare(
    counts: Sequence[Count], places: Places, values: dict[str, Any], asked: Slice | Sequence[str] | None
) -> tuple[int, dict[int, Decimal], list[int]]:
    """How many numbers are of cells we keep; cell → number where something is to be written; cells left out."""
    which, join = "TRUE", "INNER"
    extra: dict[str, Any] = {}
    if isinstance(asked, Slice):
        join, which = "LEFT", _OF_SLICE
        extra = {"after": asked.after, "until": asked.keys[-1]}
    elif asked is not None:
        join, which = "LEFT", _OF_ASKED
        extra = {"asked": list(asked)}
    with database.cursor() as cursor:
        if len(counts) < COPIED_FROM:
            said, arrays = _UNNESTED, _arrays(counts, places)
        else:
            said, arrays = _COPIED, {}
            listings = asked.by_inventory_id() if isinstance(asked, Slice) else _listings(counts, values["connection"])
            _copy(cursor, counts, places, listings)
        cursor.execute(_COMPARE.format(said=said, join=join, which=which), values | extra | arrays)
        told, ids, shown, gone = cursor.fetchone()
    return told, dict(zip(ids or (), shown or (), strict=True)), gone or []


def _arrays(counts: Sequence[Count], places: Places) -> dict[str, Any]:
    # The last word on a cell counts, should an answer name it twice.
    last = {(one.inventory_id, places[one.location_id]): one for one in counts if one.location_id in places}
    numbers = [one.quantity for one in last.values()]
    return {"items": [item for item, _ in last], "places": [pk for _, pk in last], "numbers": numbers}


def _listings(counts: Sequence[Count], connection_id: int) -> Listings:
    named = Listing.objects.filter(connection=connection_id, inventory_id__in={one.inventory_id for one in counts})
    return _grouped(named.values_list("inventory_id", "pk"))


def _copy(cursor: Any, counts: Sequence[Count], places: Places, listings: Listings) -> None:
    """The numbers of what we know, copied into a table of this session under our own keys: compared twice as fast."""
    cursor.execute(f"{_READING} ON COMMIT DELETE ROWS")
    with cursor.copy("COPY channels_reading_keyed (listing, place, number) FROM STDIN") as copy:
        for start in range(0, len(counts), COPIED_AT_ONCE):
            lines = [
                f"{key}\t{places[one.location_id]}\t{one.quantity}\n"
                for one in counts[start : start + COPIED_AT_ONCE]
                if one.location_id in places
                for key in listings.get(one.inventory_id, ())
            ]
            copy.write("".join(lines))
    cursor.execute(_WORK_MEM)


def _record(
    news: Mapping[int, Decimal], gone: Sequence[int], values: dict[str, Any]
) -> tuple[list[tuple[int, bool, bool, bool]], list[int]]:
    """Write what changed; the rows of _OBSERVE, and the cells that are missing for longer than a grace."""
    rows: list[tuple[int, bool, bool, bool]] = []
    ripe_gone: list[int] = []
    with database.cursor() as cursor:
        if news:
            cursor.execute(_OBSERVE, values | {"cells": list(news), "quantities": list(news.values())})
            rows = cursor.fetchall()
        if gone:
            cursor.execute(_MISSING, values | {"missing": list(gone)})
            ripe_gone = [pk for pk, is_ripe in cursor.fetchall() if is_ripe]
    shown: dict[int, Decimal | None] = {pk: news[pk] for pk, differs, *_ in rows if differs}
    gaps.open_many(shown=shown | dict.fromkeys(gone), read_at=values["read_at"])
    if any(has_moved for *_, has_moved in rows):  # up or down: units held back elsewhere are let go again
        judging.refresh_neighbours([pk for pk, *_ in rows])
    return rows, ripe_gone


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


def recheck_due(*, connection_id: int) -> int:
    """Read cells again whose difference has lasted a grace; returns how many listings. Raises ConnectorError."""
    due = (
        ChannelStock.objects.filter(connection=connection_id, recheck_at__lte=timezone.now())
        .order_by("recheck_at", "pk")
        .values_list("listing__inventory_id", flat=True)[:200]
    )
    inventory_ids = list(dict.fromkeys(due))
    if inventory_ids:
        check(connection_id=connection_id, inventory_ids=inventory_ids, is_recheck=True)
        _rest(connection_id=connection_id, inventory_ids=inventory_ids)
    gaps.settle_links(connection_id=connection_id)
    return len(inventory_ids)


def _rest(*, connection_id: int, inventory_ids: Sequence[str]) -> None:
    """What the answer said nothing of is not asked for at once again; what is not counted there, not at all."""
    now = timezone.now()
    left = ChannelStock.objects.filter(
        connection=connection_id, listing__inventory_id__in=inventory_ids, recheck_at__lte=now
    )
    is_gone = Q(listing__deleted_at__isnull=False) | Q(listing__is_tracked=False) | Q(channel_location__is_active=False)
    ChannelStock.objects.filter(pk__in=left.filter(is_gone).values("pk")).update(recheck_at=None)
    ChannelStock.objects.filter(pk__in=left.values("pk")).update(recheck_at=now + DRIFT_AGAIN)


_HOT = """
SELECT l.inventory_id FROM channels_listing l
JOIN (
    SELECT wl.variant_id, count(*) AS times
    FROM channels_channelwrite w
    JOIN channels_channelwriteline x ON x.write_id = w.id
    JOIN channels_channelstock xc ON xc.id = x.cell_id
    JOIN channels_listing wl ON wl.id = xc.listing_id
    WHERE w.connection_id IN (SELECT id FROM channels_connection WHERE merchant_id = %(merchant)s)
      AND w.answered_at >= %(since)s
    GROUP BY wl.variant_id
) moved ON moved.variant_id = l.variant_id
WHERE l.connection_id = %(connection)s AND l.is_tracked AND l.deleted_at IS NULL
ORDER BY moved.times DESC, l.id LIMIT %(limit)s
"""


def read_next(*, connection_id: int) -> None:
    """What each poll reads: the next slice of the whole reading, and of what moved most lately all that was not in it.

    Raises ConnectorError.
    """
    _, inventory_ids = _sweep(connection_id=connection_id, limit=None)
    check_hot(connection_id=connection_id, but=inventory_ids)


def check_hot(*, connection_id: int, limit: int = HOT, but: Collection[str] = ()) -> Seen:
    """Read the listings whose numbers moved most lately, `but` those that were read just now. Raises ConnectorError."""
    connection = Connection.objects.get(pk=connection_id)
    since = timezone.now() - HOT_WITHIN
    values: dict[str, Any] = {
        "merchant": connection.merchant_id, "connection": connection_id, "since": since, "limit": limit,
    }  # fmt: skip
    with database.cursor() as cursor:
        cursor.execute(_HOT, values)
        inventory_ids = [row[0] for row in cursor.fetchall() if row[0] not in but]
    return _read_and_observe(connection, inventory_ids, is_recheck=False) if inventory_ids else NOTHING


def sweep(*, connection_id: int, limit: int | None = None) -> Seen:
    """Read the next slice of the connection's whole reading, or begin the next one. Raises ConnectorError.

    `limit`: listings of the slice; by default so many that a whole reading takes half a day at the most.
    """
    seen, _ = _sweep(connection_id=connection_id, limit=limit)
    return seen


def _sweep(*, connection_id: int, limit: int | None) -> tuple[Seen, Collection[str]]:
    """What the slice showed, and the inventory ids it held."""
    connection = Connection.objects.get(pk=connection_id)
    if not _tells_counts(connection):
        return NOTHING, ()
    running = _running(connection)
    size = limit or max(SWEEP_LISTINGS_MIN, running.listings // SWEEP_POLLS)
    found = slice_of(connection, after=running.last_listing_id, size=size)
    seen = NOTHING
    if found.keys:
        read_at = timezone.now()
        counts = _read(connection, list(dict.fromkeys(found.inventory_ids)))
        seen = observe(connection=connection, counts=counts, read_at=read_at, asked=found, moves_age=False)
    _advance(running, seen, found, is_last=len(found.keys) < size)
    return seen, set(found.inventory_ids)


_SLICE = """
SELECT array_agg(inventory_id ORDER BY id), array_agg(id ORDER BY id) FROM (
    SELECT id, inventory_id FROM channels_listing
    WHERE connection_id = %s AND link = 'linked' AND is_tracked AND deleted_at IS NULL AND id > %s ORDER BY id LIMIT %s
) slice
"""


def slice_of(connection: Connection, *, after: int, size: int) -> Slice:
    """The next listings that are counted."""
    with database.cursor() as cursor:
        cursor.execute(_SLICE, [connection.pk, after, size])
        inventory_ids, keys = cursor.fetchone()
    return Slice(after, inventory_ids or [], keys or [])


def _running(connection: Connection) -> StockSweep:
    found: StockSweep | None = StockSweep.objects.filter(connection=connection, finished_at=None).first()
    if found is not None:
        return found
    listings = Listing.objects.filter(
        connection=connection, link=Listing.Link.LINKED, is_tracked=True, deleted_at=None
    ).count()
    made: StockSweep
    made, _ = StockSweep.objects.get_or_create(
        connection=connection, finished_at=None, defaults={"merchant_id": connection.merchant_id, "listings": listings}
    )
    return made


def _advance(running: StockSweep, seen: Seen, done: Slice, *, is_last: bool) -> None:
    now = timezone.now()
    StockSweep.objects.filter(pk=running.pk).update(
        last_listing_id=done.keys[-1] if done.keys else running.last_listing_id,
        cells=F("cells") + seen.cells,
        differing=F("differing") + seen.differing,
        missing=F("missing") + seen.missing,
        finished_at=now if is_last else None,
    )
    if is_last:
        # What was read first is the oldest: the whole is as old as its beginning.
        Connection.objects.filter(pk=running.connection_id).update(read_whole_at=running.started_at)


def sweep_whole(*, connection_id: int, size: int = 2000) -> Seen:
    """Read all of a connection's numbers now, to the end of the running sweep. Raises ConnectorError."""
    seen, connection = NOTHING, Connection.objects.get(pk=connection_id)
    if not _tells_counts(connection):
        return seen
    while True:
        running = _running(connection)
        seen += sweep(connection_id=connection_id, limit=size)
        running.refresh_from_db()
        if running.finished_at is not None:
            return seen
