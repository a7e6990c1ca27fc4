"""From a channel's orders to the ledger: translate ids, apply by state, keep one bad order from stopping the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from channels import collisions, credentials, incidents
from channels.models import ChannelLocation, Connection, Listing
from channels.ports import ChannelOrder, ChannelOrderLine, Connector, OrderRef, ReturnLine
from inventory import bundles, ledger, orders
from inventory.models import Order, OrderLine
from inventory.names import variants_by_sku
from inventory.orders import Reading

BURST = timedelta(seconds=20)  # within which all messages of one change come

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one order, in words; `error` set where it must be tried again."""

    words: str = ""
    error: str = ""


@dataclass(frozen=True)
class Found:
    """Orders as a channel told them, and how far its clock, which their times are of, is behind ours."""

    orders: Sequence[ChannelOrder]
    clock_behind: timedelta = timedelta(0)
    reading: Reading | None = None


@dataclass(frozen=True)
class _Names:
    """What the channel's ids mean to us: variants by listing id, locations by the channel's location id.

    `lines`: (order, line) → variant, for lines whose listing the channel does not name or has deleted: by their SKU.
    """

    variants: Mapping[str, int]
    locations: Mapping[str, int]
    lines: Mapping[tuple[str, str], int]

    def variant_of(self, order: ChannelOrder, line: ChannelOrderLine) -> int | None:
        """What was sold; None where nobody knows."""
        found = self.variants.get(line.listing_external_id)
        return found if found is not None else self.lines.get((order.external_id, line.external_id))


def fetch(*, connection: Connection, order_ids: Sequence[str]) -> Found:
    """Read orders at the channel. Raises ConnectorError."""

    def read(connector: Connector) -> Found:
        asked_at = timezone.now()
        told, meter = connector.fetch_orders(order_ids=order_ids), connector.meter
        return Found(told, meter.clock_behind, Reading(asked_at, timezone.now(), meter.behind))

    return credentials.with_fresh_token(connection.pk, read)


def apply_orders(
    *, connection: Connection, found: Found, event_ids: Mapping[str, int | None] | None = None
) -> dict[str, Outcome]:
    """Apply orders as they stand now, in one posting where all are well; outcomes by external id.

    Raises ConnectorError when an order that a return document belongs to has to be read first and cannot.
    """
    events = event_ids or {}
    documents = [order for order in found.orders if order.return_of]
    whole = [order for order in found.orders if not order.return_of]
    whole += _missing_sources(connection, documents, whole)
    names = _names(connection, whole)
    states = [_state(connection, order, names, event_id=events.get(order.external_id), found=found) for order in whole]
    outcomes = _apply_states(connection, states)
    for document in documents:
        outcomes[document.external_id] = _apply_document(
            connection, document, names, event_id=events.get(document.external_id), clock_behind=found.clock_behind
        )
    _report_unlinked(connection, whole, names)
    collisions.sweep(merchant_id=connection.merchant_id)
    return outcomes


def is_known(ref: OrderRef, order: Order, *, heard_at: datetime) -> bool:
    """Whether what we applied is at least as new as the change told of.

    Times to the second may hide a second change within it: equal ones of that kind are read once more. So are older
    ones that were heard of some while after we read the order: the channel's clock may have been set back.
    """
    if ref.version:
        return ref.version <= order.external_version
    if ref.updated_at is None:
        return False
    if ref.updated_at == order.external_updated_at:
        return ref.updated_at.microsecond != 0
    is_late = order.read_at is not None and heard_at > order.read_at + BURST
    return ref.updated_at < order.external_updated_at and not is_late


def _missing_sources(
    connection: Connection, documents: Sequence[ChannelOrder], whole: Sequence[ChannelOrder]
) -> Sequence[ChannelOrder]:
    """Orders that return documents belong to and that we have never seen."""
    wanted = {document.return_of for document in documents} - {order.external_id for order in whole}
    known = Order.objects.filter(merchant=connection.merchant_id, channel_id=connection.pk, external_id__in=wanted)
    missing = sorted(wanted - set(known.values_list("external_id", flat=True)))
    if not missing:
        return []
    return [order for order in fetch(connection=connection, order_ids=missing).orders if not order.return_of]


def _names(connection: Connection, whole: Sequence[ChannelOrder]) -> _Names:
    listed = {line.listing_external_id for order in whole for line in order.lines}
    linked = Listing.objects.filter(connection=connection, external_id__in=listed, link=Listing.Link.LINKED)
    mapped = ChannelLocation.objects.filter(connection=connection, location__isnull=False).order_by("pk")
    return _Names(
        variants=dict(linked.values_list("external_id", "variant_id")),
        locations=dict(mapped.values_list("external_id", "location_id")),
        lines=_lines_by_sku(connection, whole),
    )


def _lines_by_sku(connection: Connection, whole: Sequence[ChannelOrder]) -> dict[tuple[str, str], int]:
    """Lines without a living listing, by a SKU that is, or was, one variant's.

    A listing that is there and waits, or was left out on purpose, is a person's question: its SKU answers nothing.
    What a line was found to be before, it stays: its units lie there.
    """
    listed = {line.listing_external_id for order in whole for line in order.lines} - {""}
    gone = Listing.objects.filter(
        connection=connection, external_id__in=listed, link=Listing.Link.UNLINKED, deleted_at__isnull=False
    )
    loose = {"", *gone.values_list("external_id", flat=True)} if whole else set[str]()
    lines = {
        (order.external_id, line.external_id): line.sku
        for order in whole
        for line in order.lines
        if line.listing_external_id in loose and line.sku.strip()
    }
    if not lines:
        return {}
    by_sku = variants_by_sku(merchant_id=connection.merchant_id, skus=lines.values())
    known = OrderLine.objects.filter(
        order__merchant=connection.merchant_id,
        order__channel_id=connection.pk,
        order__external_id__in={order_id for order_id, _ in lines},
        variant__isnull=False,
    ).order_by("pk")
    before = {
        (order_id, line_id): variant_id
        for order_id, line_id, variant_id in known.values_list("order__external_id", "external_id", "variant_id")
    }
    found = {name: before.get(name) or by_sku.get(sku) for name, sku in lines.items()}
    return {name: variant_id for name, variant_id in found.items() if variant_id is not None}


def _state(
    connection: Connection, order: ChannelOrder, names: _Names, *, event_id: int | None, found: Found
) -> orders.OrderState:
    return orders.OrderState(
        external_id=order.external_id,
        number=order.number,
        placed_at=order.placed_at,
        updated_at=order.updated_at,
        left_at=order.left_at,
        version=order.version,
        is_cancelled=order.is_cancelled,
        lines=[_line(connection.merchant_id, order, line, names) for line in order.lines],
        returns=_returns(order.returns, names),
        total=order.total,
        currency=order.currency,
        clock_behind=found.clock_behind,
        reading=found.reading,
        is_before_opening=_is_before_opening(order, connection, found.clock_behind),
        event_id=event_id,
    )


def _line(merchant_id: int, order: ChannelOrder, line: ChannelOrderLine, names: _Names) -> orders.LineState:
    variant_id = names.variant_of(order, line)
    holds: dict[int, orders.Hold] = {}
    for hold in line.holds:
        location_id = names.locations.get(hold.location_id)
        if location_id is None and not hold.location_id and variant_id is not None:
            location_id = _likely_location(merchant_id, variant_id, names)
        if location_id is not None:
            before = holds.get(location_id, orders.Hold(location_id))
            holds[location_id] = orders.Hold(
                location_id, before.committed + hold.committed, before.fulfilled + hold.fulfilled
            )
    return orders.LineState(
        external_id=line.external_id,
        listing_external_id=line.listing_external_id,
        variant_id=variant_id,
        sku=line.sku,
        title=line.title,
        quantity=line.quantity,
        holds=list(holds.values()),
    )


def _likely_location(merchant_id: int, variant_id: int, names: _Names) -> int | None:
    """Where units of an order are held that the channel has not routed yet; put right when it has."""
    there = bundles.available(merchant_id=merchant_id, variant_ids=[variant_id])
    known = {place: units for (_, place), units in there.items() if place in set(names.locations.values())}
    best = min(known, key=lambda place: (-known[place], place), default=None)
    return best or next(iter(names.locations.values()), None)


def _is_before_opening(order: ChannelOrder, connection: Connection, clock_behind: timedelta) -> bool:
    """Whether the opening count saw it: history. A time in whole seconds is of any moment of its second."""
    if connection.opened_at is None:
        return True
    within = timedelta(0) if order.placed_at.microsecond else timedelta(seconds=1)
    return order.placed_at + clock_behind + within <= connection.opened_at


def _returns(returns: Iterable[ReturnLine], names: _Names) -> list[orders.ReturnState]:
    """Restocked at a place we know, or written off: goods on a shelf that is not ours to count are gone for us."""
    return [
        orders.ReturnState(
            back.line_external_id, back.quantity, names.locations.get(back.location_id) if back.restocked else None
        )
        for back in returns
    ]


def _apply_states(connection: Connection, states: Sequence[orders.OrderState]) -> dict[str, Outcome]:
    try:
        applied = orders.apply(merchant_id=connection.merchant_id, channel_id=connection.pk, states=states)
    except (orders.ImpossibleOrder, ledger.IdempotencyConflict, ledger.UnknownCell, ledger.NoStockOfItsOwn) as error:
        if len(states) == 1:
            return {states[0].external_id: Outcome(error=f"{type(error).__name__}: {error}")}
        log.warning("connection %s: a batch of %s orders goes one by one: %s", connection.pk, len(states), error)
        alone = [_apply_states(connection, [state]) for state in states]
        return {name: outcome for outcomes in alone for name, outcome in outcomes.items()}
    return {result.external_id: Outcome(_words(result)) for result in applied}


def _apply_document(
    connection: Connection, document: ChannelOrder, names: _Names, *, event_id: int | None, clock_behind: timedelta
) -> Outcome:
    try:
        applied = orders.apply_return(
            merchant_id=connection.merchant_id,
            channel_id=connection.pk,
            order_external_id=document.return_of,
            document=document.external_id,
            returned_at=document.updated_at + clock_behind,
            returns=_returns(document.returns, names),
            event_id=event_id,
        )
    except (orders.ImpossibleOrder, orders.UnknownOrder) as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    return Outcome(_words(applied))


def _words(applied: orders.Applied) -> str:
    if applied.is_stale:
        return "older than what we have"
    words = "nothing new" if not applied.movements else f"{applied.movements} movements posted"
    if applied.movements == 1:
        words = "1 movement posted"
    return f"{words}, {applied.unlinked_lines} lines not linked" if applied.unlinked_lines else words


def _report_unlinked(connection: Connection, whole: Sequence[ChannelOrder], names: _Names) -> None:
    """A sale of something we know nothing of is a fact that moved no stock: somebody must link it."""
    for order in whole:
        for line in order.lines:
            places = {hold.location_id for hold in line.holds if hold.committed or hold.fulfilled}
            if places and names.variant_of(order, line) is None:
                _open_unlinked(connection, key=f"listing:{line.listing_external_id}", what=line.sku or line.title)
            for place in places - names.locations.keys() - {""}:
                _open_unlinked(connection, key=f"location:{place}", what=f"something at location {place}")


def _open_unlinked(connection: Connection, *, key: str, what: str) -> None:
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.UNLINKED_SALE,
        key=f"{connection.pk}:{key}",
        title=f"{connection.label} sold {what}, which is linked to nothing here. Link it and the sale is counted.",
    )
