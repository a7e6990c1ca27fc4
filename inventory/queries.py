"""What the stock pages read: a page of variants with their cells and channels, search, what runs low.

Every function costs a fixed number of queries, however many rows there are. 100,000 variants were measured: see
docs/adr/0020-stock-search.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, DecimalField, Exists, Expression, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.timezone import now as utc_now

from inventory import bundles, explain, identifiers, incoming, paging
from inventory.models import Bundle, Location, Product, StockLevel, Variant
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
PAGE = 50
SHOWS = ("", "negative", "out", "low", "pending", "drift", "unlinked")
SORTS = {
    "title": ("product__title", False),
    "-title": ("product__title", True),
    "sku": ("sku_key", False),
    "-sku": ("sku_key", True),
    "available": ("total", False),
    "-available": ("total", True),
}
# A search with more hits than this is dense enough to be met by walking the titles in order.
NARROW = 2000
WORDS_MAX = 8
COUNTED_MAX = 100
COVER_DAYS = 7
PACE_DAYS, PACE_DAYS_MIN = 28, 7


@dataclass(frozen=True)
class StockFilter:
    """What the address of a stock page asks for."""

    q: str = ""
    show: str = ""
    location_id: int | None = None
    sort: str = "title"

    @classmethod
    def of(cls, query: QueryDict) -> StockFilter:
        """Read an address; what it does not know is left out."""
        show, sort = query.get("show", ""), query.get("sort", "title")
        return cls(
            q=query.get("q", "").strip().replace("\x00", "")[:120],
            show=show if show in SHOWS else "",
            location_id=paging.number(query.get("location")),
            sort=sort if sort in SORTS else "title",
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.q or self.show or self.location_id)


@dataclass(frozen=True)
class Cell:
    """The totals of one variant at one place, or over all places."""

    on_hand: Decimal = ZERO
    committed: Decimal = ZERO
    reserved: Decimal = ZERO
    unavailable: Decimal = ZERO
    available: Decimal = ZERO
    location_id: int | None = None
    incoming: Decimal = ZERO
    is_made: bool = False  # nothing lies there: it is what the parts of a bundle make up

    @property
    def held(self) -> Decimal:
        """Held back by a timed hold or set aside, in units."""
        return self.reserved + self.unavailable

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.on_hand + other.on_hand,
            self.committed + other.committed,
            self.reserved + other.reserved,
            self.unavailable + other.unavailable,
            self.available + other.available,
            incoming=self.incoming + other.incoming,
            is_made=self.is_made or other.is_made,
        )


@dataclass(frozen=True)
class Mark:
    """What one channel is like for one variant: the worst of its cells, and what it shows over all of them."""

    channel: explain.Channel
    state: str
    shown: Decimal | None
    desired: Decimal | None
    words: str

    @property
    def difference(self) -> Decimal | None:
        """Shown less desired, in units; None where one of them is unknown."""
        return None if self.shown is None or self.desired is None else self.shown - self.desired


@dataclass(frozen=True)
class StockRow:
    """One line of the stock table. `cells` follow the page's locations; None where nothing was ever there."""

    variant: Variant
    cells: Sequence[Cell | None]
    total: Cell
    marks: Sequence[Mark]
    is_low: bool
    coming: Sequence[incoming.Coming | None] = ()

    @property
    def total_coming(self) -> incoming.Coming | None:
        """What is on its way to any of the places."""
        known = [one for one in self.coming if one]
        return sum(known[1:], known[0]) if known else None

    @property
    def is_negative(self) -> bool:
        """More promised or sold than there is, somewhere."""
        return any(cell is not None and cell.available < 0 for cell in self.cells)

    @property
    def is_made(self) -> bool:
        """A bundle that is made up of its parts when it is sold."""
        return self.total.is_made

    @property
    def is_out(self) -> bool:
        """Nothing left to sell."""
        return self.total.available <= 0

    @property
    def seen(self) -> tuple[Any, ...]:
        """All that the row shows, to tell whether it changed."""
        return (
            self.variant.pk,
            self.variant.full_title,
            self.variant.sku,
            self.cells,
            self.marks,
            self.is_low,
            self.coming,
        )


@dataclass(frozen=True)
class StockPage:
    """A page of the stock table."""

    filter: StockFilter
    all_locations: Sequence[Location]
    locations: Sequence[Location]
    channels: Sequence[explain.Channel]
    page: paging.Page[Variant]
    rows: Sequence[StockRow] = field(default_factory=list)


def locations(*, merchant: Merchant) -> list[Location]:
    """The shop's places in use, and closed ones where something still is, by name."""
    left = StockLevel.objects.filter(location=OuterRef("pk")).exclude(on_hand=0)
    rows = Location.objects.of(merchant).filter(Q(is_active=True) | Q(Exists(left)))
    return list(rows.order_by("name", "pk"))


def variants(*, merchant: Merchant, narrowed: StockFilter, now: datetime | None = None) -> QuerySet[Variant]:
    """The variants that the filter lets through, not yet ordered. At most three queries a word are made here, and two
    where what bundles can sell matters."""
    made = _made_of(merchant, narrowed)
    rows = _sortable(Variant.objects.of(merchant), sort=narrowed.sort, location_id=narrowed.location_id, made=made)
    # Named on both tables, so that the index by merchant and title can be walked.
    rows = rows.filter(product__merchant=merchant, archived_at=None, product__archived_at=None)
    rows = rows.filter(_shows(merchant=merchant, narrowed=narrowed, now=now or utc_now(), made=made))
    return _matching(rows, merchant=merchant, q=narrowed.q)


def _made_of(merchant: Merchant, narrowed: StockFilter) -> Mapping[int, Decimal]:
    """What bundles can sell, where the filter or the order asks for it."""
    if narrowed.show != "out" and not narrowed.sort.endswith("available"):
        return {}
    return bundles.made_totals(merchant_id=merchant.pk, location_id=narrowed.location_id)


def stock_page(*, merchant: Merchant, narrowed: StockFilter, cursor: paging.Cursor, size: int = PAGE) -> StockPage:
    """One page of the stock table with every number on it."""
    places = locations(merchant=merchant)
    if narrowed.location_id not in {place.pk for place in places}:
        narrowed = replace(narrowed, location_id=None)
    by, descending = SORTS[narrowed.sort]
    made = _made_of(merchant, narrowed)
    scope = _sortable(Variant.objects.of(merchant), sort=narrowed.sort, location_id=narrowed.location_id, made=made)
    page = paging.page(
        rows=variants(merchant=merchant, narrowed=narrowed),
        whole=Variant.objects.of(merchant).select_related("product"),
        scope=scope,
        field=by,
        descending=descending,
        size=size,
        cursor=cursor,
    )
    shown = [place for place in places if narrowed.location_id in (None, place.pk)]
    channels = explain.channels().channels(merchant_id=merchant.pk)
    rows = stock_rows(merchant=merchant, variants=page.rows, locations=shown, channels=channels)
    return StockPage(narrowed, places, shown, channels, page, rows)


def counts(*, merchant: Merchant, narrowed: StockFilter, shows: Collection[str] = SHOWS[1:]) -> dict[str, int]:
    """How many variants each chip would show with the same search and place; COUNTED_MAX stands for that many or more.

    One statement a chip, each ending as soon as the limit is reached.
    """
    now = utc_now()
    found = {}
    for show in shows:
        rows = variants(merchant=merchant, narrowed=replace(narrowed, show=show, sort="title"), now=now)
        found[show] = rows.order_by()[:COUNTED_MAX].count()
    return found


def stock_rows(
    *,
    merchant: Merchant,
    variants: Sequence[Variant],
    locations: Sequence[Location],
    channels: Sequence[explain.Channel],
) -> list[StockRow]:
    """The table lines of these variants, numbers summed over `locations`."""
    ids = [variant.pk for variant in variants]
    cells = cells_of(variant_ids=ids) | _made_cells(merchant=merchant, variant_ids=ids)
    places = {place.pk for place in locations}
    views = [
        view
        for view in explain.channels().views(merchant_id=merchant.pk, variant_ids=ids)
        if view.location_id is None or view.location_id in places
    ]
    by_channel: defaultdict[tuple[int, int], list[explain.ChannelView]] = defaultdict(list)
    for view in views:
        by_channel[view.variant_id, view.connection_id].append(view)
    low = {one.variant_id for one in _low(merchant=merchant, now=utc_now(), variant_ids=ids)}
    coming: dict[tuple[int, int], incoming.Coming] = {}
    if expected := [variant_id for (variant_id, _), cell in cells.items() if cell.incoming]:
        coming = incoming.summed(incoming.schedule(variant_ids=expected), day=incoming.today(merchant))
    rows = []
    for variant in variants:
        there = [cells.get((variant.pk, place.pk)) for place in locations]
        rows.append(
            StockRow(
                variant=variant,
                cells=there,
                total=sum((cell for cell in there if cell), Cell()),
                marks=[_mark(channel, by_channel.get((variant.pk, channel.connection_id), [])) for channel in channels],
                is_low=variant.pk in low,
                coming=[coming.get((variant.pk, place.pk)) for place in locations],
            )
        )
    return rows


def cells_of(*, variant_ids: Collection[int]) -> dict[tuple[int, int], Cell]:
    """The levels of these variants by (variant, location)."""
    levels = StockLevel.objects.filter(variant__in=variant_ids)
    return {(level.variant_id, level.location_id): cell_of(level) for level in levels}


def _made_cells(*, merchant: Merchant, variant_ids: Collection[int]) -> dict[tuple[int, int], Cell]:
    """Of the bundles among these, what their parts make up. One query, two where there are any."""
    made = Bundle.objects.filter(variant__in=variant_ids, ended_at=None, is_stocked=False)
    if not (bundle_ids := list(made.values_list("variant", flat=True))):
        return {}
    found = bundles.available(merchant_id=merchant.pk, variant_ids=bundle_ids)
    return {
        # A part that is oversold is flagged as such itself; of the bundle there is none.
        cell: Cell(available=max(units, ZERO), location_id=cell[1], is_made=True)
        for cell, units in found.items()
    }


def cell_of(level: StockLevel) -> Cell:
    """A level's totals."""
    return Cell(
        level.on_hand, level.committed, level.reserved, level.unavailable, level.available, level.location_id,
        level.incoming,
    )  # fmt: skip


def _mark(channel: explain.Channel, views: Sequence[explain.ChannelView]) -> Mark:
    if not views:
        return Mark(channel, explain.UNLINKED, None, None, "not linked")
    worst = min(views, key=lambda view: explain.WORST_FIRST.index(view.state))
    shown = [view.observed if view.state == explain.DRIFT else view.expected for view in views]
    desired = [view.desired for view in views]
    return Mark(channel, worst.state, _sum(shown), _sum(desired), worst.words)


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """The sum, or None if one of them is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, ZERO) if len(known) == len(amounts) else None


def _sortable(
    rows: QuerySet[Variant], *, sort: str, location_id: int | None, made: Mapping[int, Decimal]
) -> QuerySet[Variant]:
    if not sort.endswith("available"):
        return rows
    there = Q(levels__location=location_id) if location_id else None
    return rows.annotate(total=Coalesce(Sum("levels__available", filter=there), ZERO) + _made(made))


def _made(totals: Mapping[int, Decimal]) -> Expression:
    """What each bundle's parts make up, as an expression: bundles have no levels to sum."""
    by_units: defaultdict[Decimal, list[int]] = defaultdict(list)
    for variant_id, units in totals.items():
        if units:
            by_units[units].append(variant_id)
    whens = [When(pk__in=ids, then=Value(units)) for units, ids in by_units.items()]
    return Case(*whens, default=Value(ZERO), output_field=DecimalField(max_digits=16, decimal_places=5))


def _shows(*, merchant: Merchant, narrowed: StockFilter, now: datetime, made: Mapping[int, Decimal]) -> Q:
    levels = StockLevel.objects.filter(variant=OuterRef("pk"))
    if narrowed.location_id:
        levels = levels.filter(location=narrowed.location_id)
    match narrowed.show:
        case "":
            return Q()
        case "negative":
            return Q(Exists(levels.filter(available__lt=0)))
        case "out":
            makes_up = [variant_id for variant_id, units in made.items() if units]
            return ~Q(Exists(levels.filter(available__gt=0))) & ~Q(pk__in=makes_up)
        case "low":
            found = _low(merchant=merchant, now=now, location_id=narrowed.location_id)
            return Q(pk__in=[one.variant_id for one in found])
        case state:
            return explain.channels().variants_in(
                merchant_id=merchant.pk, state=state, location_id=narrowed.location_id
            )


def _matching(rows: QuerySet[Variant], *, merchant: Merchant, q: str) -> QuerySet[Variant]:
    """Every word must occur in the title, the option values, the SKU or the barcode.

    Words with few hits become lists of keys found through the trigram indexes. Words with many are left to the one
    big statement, but only over the table they occur in: a condition over both could use neither's index, and titles
    would be walked in order from A until L for “linen”.
    """
    narrow: set[int] | None = None
    for word in q.split()[:WORDS_MAX]:
        in_variants, in_products = _hits(merchant=merchant, word=word)
        if len(in_variants) > NARROW or len(in_products) > NARROW:
            in_title = Q(product__title__icontains=word) if in_products else Q()
            rows = rows.filter(in_title | _in_variant(word) if in_variants else in_title)
        else:
            of_products = Variant.objects.of(merchant).filter(product__in=in_products).order_by()
            hits = in_variants | set(of_products.values_list("pk", flat=True))
            narrow = hits if narrow is None else narrow & hits
    return rows if narrow is None else rows.filter(pk__in=narrow)


def _in_variant(word: str) -> Q:
    found = Q(title__icontains=word) | Q(gtin__contains=word)
    key = identifiers.sku_key(word)
    return found | Q(sku_key__contains=key) if key else found


def _hits(*, merchant: Merchant, word: str) -> tuple[set[int], set[int]]:
    """Variants and products in which the word occurs; more than NARROW keys mean “many”. Two statements, each one an
    index and a limit: as one, the planner reads whole tables instead.
    """
    own = Variant.objects.of(merchant).filter(_in_variant(word)).order_by()
    titles = Product.objects.of(merchant).filter(title__icontains=word).order_by()
    return (
        set(own.values_list("pk", flat=True)[: NARROW + 1]),
        set(titles.values_list("pk", flat=True)[: NARROW + 1]),
    )


def by_code(*, merchant: Merchant, code: str) -> list[Variant]:
    """The variants whose SKU or barcode is exactly this, as typed or scanned; more than one where codes are shared."""
    key, gtin = identifiers.sku_key(code), identifiers.gtin(code)
    wanted = Q(pk__in=[])
    if key:
        wanted |= Q(sku_key=key)
    if gtin:
        wanted |= Q(gtin=gtin)
    rows = Variant.objects.of(merchant).filter(wanted, archived_at=None, product__archived_at=None)
    return list(rows.select_related("product").order_by("product__title", "pk")[:10])


def resembling(*, merchant: Merchant, code: str, limit: int = 6) -> list[Variant]:
    """Variants a person may have meant by this code."""
    rows = variants(merchant=merchant, narrowed=StockFilter(q=code[:60]))
    return list(rows.select_related("product").order_by("product__title", "pk")[:limit])


@dataclass(frozen=True)
class _Low:
    variant_id: int
    available: Decimal
    sold: Decimal


# How fast each variant sells (units ordered and kept, of orders placed since then), beside what is left of it. Bundles
# count by what they were made of when they were sold.
_LOW = """
WITH kept AS (
    SELECT l.variant_id, l.quantity - l.restocked AS units
    FROM inventory_order o JOIN inventory_orderline l ON l.order_id = o.id AND l.bundle_id IS NULL
    WHERE o.merchant_id = %(merchant)s AND o.placed_at >= %(since)s AND o.state <> 'cancelled'
      AND l.variant_id IS NOT NULL AND (%(variants)s::bigint[] IS NULL OR l.variant_id = ANY(%(variants)s))
    UNION ALL
    SELECT k.variant_id, (l.quantity - l.restocked) * k.quantity
    FROM inventory_order o JOIN inventory_orderline l ON l.order_id = o.id
    JOIN inventory_bundlecomponent k ON k.bundle_id = l.bundle_id
    WHERE o.merchant_id = %(merchant)s AND o.placed_at >= %(since)s AND o.state <> 'cancelled'
      AND (%(variants)s::bigint[] IS NULL OR k.variant_id = ANY(%(variants)s))
), sold AS (
    SELECT variant_id, sum(units) AS units FROM kept GROUP BY variant_id HAVING sum(units) > 0
), stock AS (
    SELECT s.variant_id, sum(s.available) AS available
    FROM inventory_stocklevel s JOIN sold USING (variant_id)
    WHERE s.merchant_id = %(merchant)s AND (%(location)s::bigint IS NULL OR s.location_id = %(location)s)
    GROUP BY s.variant_id
)
SELECT variant_id, available, units FROM sold JOIN stock USING (variant_id)
WHERE available * %(pace_days)s <= units * %(cover_days)s
ORDER BY greatest(available, 0) / units, units DESC, variant_id
LIMIT %(limit)s
"""


def _low(
    *,
    merchant: Merchant,
    now: datetime,
    location_id: int | None = None,
    variant_ids: Collection[int] | None = None,
    limit: int = NARROW,
) -> list[_Low]:
    with connection.cursor() as cursor:
        cursor.execute(
            _LOW,
            {
                "merchant": merchant.pk,
                "since": now - timedelta(days=PACE_DAYS),
                "variants": None if variant_ids is None else list(variant_ids),
                "location": location_id,
                "pace_days": pace_days(merchant=merchant, now=now),
                "cover_days": COVER_DAYS,
                "limit": limit,
            },
        )
        return [_Low(*row) for row in cursor.fetchall()]


def pace_days(*, merchant: Merchant, now: datetime) -> int:
    """Over how many days sales are looked at: four weeks, less in a young shop, never under one."""
    return min(PACE_DAYS, max(PACE_DAYS_MIN, (now - merchant.created_at).days))


@dataclass(frozen=True)
class LowStock:
    """A variant that runs out within a week at its pace: `cover_days` is None for one that is out."""

    variant: Variant
    available: Decimal
    cover_days: Decimal | None

    @property
    def cover_words(self) -> str:
        """How long it lasts, as one would say it."""
        days = round(self.cover_days or ZERO)
        return "today" if days < 1 else "1 day" if days == 1 else f"{days} days"


def low_stock(*, merchant: Merchant, now: datetime, limit: int = 8) -> list[LowStock]:
    """What runs out soonest, what is out already before all. Two queries."""
    found = _low(merchant=merchant, now=now, limit=limit)
    days = pace_days(merchant=merchant, now=now)
    living = Variant.objects.of(merchant).filter(archived_at=None, product__archived_at=None)
    known = living.select_related("product").in_bulk([one.variant_id for one in found])
    return [
        LowStock(known[one.variant_id], one.available, one.available * days / one.sold if one.available > 0 else None)
        for one in found
        if one.variant_id in known
    ]
