"""What the order pages read; each function costs a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import QueryDict

from inventory import explain, identifiers, paging
from inventory.models import Order, OrderHold, OrderLine
from storestudio.accounts.models import Merchant

ZERO = Decimal(0)
PAGE = 50


@dataclass(frozen=True)
class OrderFilter:
    """What the address of an order list asks for."""

    q: str = ""
    state: str = ""
    channel_id: int | None = None

    @classmethod
    def of(cls, query: QueryDict) -> OrderFilter:
        """Read an address; what it does not know is left out."""
        state = query.get("state", "")
        return cls(
            q=query.get("q", "").strip().replace("\x00", "")[:120],
            state=state if state in Order.State.values or state == "unlinked" else "",
            channel_id=paging.number(query.get("channel")),
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.q or self.state or self.channel_id)


@dataclass(frozen=True)
class OrderRow:
    """One line of the list. Units: `committed` still to send, `restocked` came back to the shelf."""

    order: Order
    channel: str
    lines: Sequence[OrderLine]
    units: Decimal
    committed: Decimal
    restocked: Decimal
    unlinked: int


def orders(*, merchant: Merchant, narrowed: OrderFilter) -> QuerySet[Order]:
    """The orders the filter lets through, not yet ordered."""
    rows = Order.objects.of(merchant)
    lines = OrderLine.objects.filter(order=OuterRef("pk"))
    if narrowed.state == "unlinked":
        rows = rows.filter(Exists(lines.filter(variant=None)))
    elif narrowed.state:
        rows = rows.filter(state=narrowed.state)
    if narrowed.channel_id:
        rows = rows.filter(channel_id=narrowed.channel_id)
    if narrowed.q:
        key = identifiers.sku_key(narrowed.q)
        by_sku = Q(Exists(lines.filter(variant__sku_key=key))) if key else Q()
        rows = rows.filter(Q(number__icontains=narrowed.q) | Q(external_id=narrowed.q) | by_sku)
    return rows


def order_page(
    *, merchant: Merchant, narrowed: OrderFilter, cursor: paging.Cursor, size: int = PAGE
) -> paging.Page[OrderRow]:
    """One page of orders, newest first. Five queries at most."""
    page = paging.page(
        rows=orders(merchant=merchant, narrowed=narrowed).prefetch_related(_lines()),
        scope=Order.objects.of(merchant),
        field="placed_at",
        descending=True,
        size=size,
        cursor=cursor,
    )
    labels = explain.channels().labels(merchant_id=merchant.pk)
    rows = [_row(order, labels.get(order.channel_id, "")) for order in page.rows]
    return paging.Page(rows=rows, before=page.before, after=page.after)


def _lines() -> Prefetch[str]:
    holds = Prefetch("holds", OrderHold.objects.select_related("location").order_by("location__name", "pk"))
    rows = OrderLine.objects.select_related("variant__product").prefetch_related(holds).order_by("pk")
    return Prefetch("lines", rows)


def _row(order: Order, channel: str) -> OrderRow:
    lines = list(order.lines.all())
    return OrderRow(
        order=order,
        channel=channel,
        lines=lines,
        units=sum((line.quantity for line in lines), ZERO),
        committed=sum((hold.committed for line in lines for hold in line.holds.all()), ZERO),
        restocked=sum((line.restocked for line in lines), ZERO),
        unlinked=sum(line.variant_id is None for line in lines),
    )


def lines(*, order: Order) -> list[OrderLine]:
    """The order's lines with their variants and holds. Three queries."""
    return list(Order.objects.filter(pk=order.pk).prefetch_related(_lines()).get().lines.all())
