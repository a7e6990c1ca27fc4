"""What must hold after every step, and what must hold once all is at rest. Each returns what is wrong, in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection as database

from channels import applying, credentials, registry
from channels.models import ChannelStock, Connection, InboundEvent, Incident, IncidentSubject
from channels.ports import HintKind
from channels.sandbox.trading import settling
from inventory import verify
from inventory.models import Order, OrderLine, StockLevel
from storestudio.accounts.models import Merchant
from tests.simulation.world import World

_PROMISED_TWICE = """
SELECT format('hold %s was granted and left %s available', m.idempotency_key, trim_scale(m.available_after))
FROM inventory_stockmovement m WHERE m.kind = 'reserve' AND m.available_after < 0
"""
_RESERVED = """
SELECT format('level %s reserves %s, holds say %s', l.id, trim_scale(l.reserved), trim_scale(coalesce(h.units, 0)))
FROM inventory_stocklevel l LEFT JOIN (
    SELECT rl.variant_id, rl.location_id, sum(rl.quantity) AS units
    FROM inventory_reservationline rl JOIN inventory_reservation r ON r.id = rl.reservation_id
    WHERE r.state = 'held' GROUP BY 1, 2) h ON h.variant_id = l.variant_id AND h.location_id = l.location_id
WHERE l.reserved <> coalesce(h.units, 0)
"""
_RETURNED = """
SELECT format('line %s sold %s, got back %s', id, trim_scale(fulfilled), trim_scale(restocked + written_off))
FROM inventory_orderline WHERE restocked + written_off > fulfilled AND variant_id IS NOT NULL
"""
# Webhooks that we answered with 2xx, by vendor and topic and bytes: each must lie in the inbox.
_LOST = """
SELECT format('%s %s was acknowledged and is not in the inbox', d.vendor, d.topic)
FROM sandbox_delivery d
WHERE d.state = 'delivered' AND NOT EXISTS (
    SELECT FROM channels_inboundevent e WHERE e.body = d.body)
"""
# One write of a cell is under way at a time, and both sides know of it.
_IN_FLIGHT = """
SELECT format('cell %s is in write %s, which is %s', c.id, w.id, w.state)
FROM channels_channelstock c JOIN channels_channelwrite w ON w.id = c.write_id WHERE w.state <> 'sending'
"""
_ALWAYS = (_PROMISED_TWICE, _RESERVED, _RETURNED, _LOST, _IN_FLIGHT)
_LEDGER = """
SELECT format('ledger, level %s: %s', level_id, wrong)
FROM ({statement}) breach (level_id, variant_id, location_id, wrong) WHERE wrong <> ''
"""
# All of it is asked after every step: as one function, whose plans are made once a connection.
FUNCTION = """
CREATE OR REPLACE FUNCTION simulation.wrong() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
{queries}
END $$;
""".format(
    queries="\n".join(
        f"RETURN QUERY {query};"
        for query in (*(_LEDGER.format(statement=statement) for statement in verify.statements()), *_ALWAYS)
    )
)


# All that is asked after a step, in one statement: what is wrong, the cells that are said to show 0, and the events
# about orders that are called applied.
_STEP = """
SELECT (SELECT array_agg(wrong) FROM simulation.wrong() wrong),
       (SELECT array_agg(ARRAY[c.connection_id::text, l.inventory_id, p.external_id])
        FROM channels_channelstock c JOIN channels_listing l ON l.id = c.listing_id
        JOIN channels_channellocation p ON p.id = c.channel_location_id WHERE c.observed = 0),
       (SELECT array_agg(id) FROM channels_inboundevent
        WHERE state = 'done' AND topic NOT LIKE 'storestudio/%' AND topic ILIKE '%order%')
"""


def step(judged: set[int], zeros: set[tuple[int, str, str]], *, set_back: timedelta) -> list[str]:
    """After every step. `judged`: events whose effect was seen before. `zeros`: cells the vendors showed a 0 for.

    `set_back`: how far the vendors' clock was set back; by so much the newer of two changes may bear the older time.
    """
    with database.cursor() as cursor:
        cursor.execute(_STEP)
        wrong, shown, done = cursor.fetchone()
    made_up = {(int(connection), item, place) for connection, item, place in shown or ()} - zeros
    found = [f"{item} at {place} is said to have been read as 0" for _, item, place in sorted(made_up)]
    return (wrong or []) + found + acknowledged_but_lost(set(done or ()) - judged, judged, set_back)


def acknowledged_but_lost(new: set[int], judged: set[int], set_back: timedelta) -> list[str]:
    """Events called applied whose order we do not have as the event told of it; those looked at join `judged`."""
    if not new:
        return []
    done = list(InboundEvent.objects.filter(pk__in=new).order_by("pk"))
    wrong: list[str] = []
    for connection in Connection.objects.filter(pk__in={event.connection_id for event in done}).order_by("pk"):
        connector = registry.connect(connection.channel, account=credentials.account(connection))
        ours = {order.external_id: order for order in Order.objects.filter(channel_id=connection.pk)}
        for event in done:
            if event.connection_id != connection.pk:
                continue
            judged.add(event.pk)
            hint = connector.parse(topic=event.topic, body=bytes(event.body))
            if hint.kind != HintKind.ORDERS or len(hint.orders) != 1 or "document" in event.outcome:
                continue
            (ref,) = hint.orders
            order = ours.get(ref.external_id)
            if order is None and not _is_return(connection, ref.external_id):
                wrong.append(
                    f"{connection.label}: {event.topic} is called applied ({event.outcome}), its order is not there"
                )
            elif order is not None and not _has(order, ref, set_back, heard_at=event.received_at):
                wrong.append(
                    f"{connection.label}: {event.topic} is called applied ({event.outcome}), the order is older"
                )
    return wrong


def _has(order: Order, ref, set_back: timedelta, *, heard_at: datetime) -> bool:
    if ref.version:
        return order.external_version >= ref.version
    if ref.updated_at is None or applying.is_known(ref, order, heard_at=heard_at):
        return True
    return ref.updated_at - set_back <= order.external_updated_at


def _is_return(connection: Connection, external_id: str) -> bool:
    """Return documents are kept with the order they belong to."""
    return OrderLine.objects.filter(order__channel_id=connection.pk, returns__document=external_id).exists()


def at_rest(world: World) -> list[str]:
    """Once faults have ceased and nothing is under way: the world, the ledger and every channel tell the same."""
    merchant = Merchant.objects.get(pk=world.shop.merchant_id)
    # Somebody changed a number in a vendor's pages: until that is explained all channels are told less of those goods;
    # or a count takes it in before we see it, or a person has our number sent over theirs. Reasons enough to tell who
    # sold another number of those goods at that place.
    wrong = settling.breaches(merchant, edited=sharing(world.decided | edited_cells(world)))
    return wrong + against_the_world(world) + orders(world) + questions(world)


def edited_cells(world: World) -> set[int]:
    """Our cells that show what somebody changed in a vendor's own pages."""
    edited = {(channel, *world.ids(cell)) for channel, cell in world.edited}
    rows = ChannelStock.objects.values_list(
        "pk", "connection__channel", "listing__variant_id", "channel_location__location_id"
    )
    return {pk for pk, *cell in rows if tuple(cell) in edited}


def sharing(cell_ids: set[int]) -> set[int]:
    """These cells, and the other channels' of the same goods at the same place."""
    rows = list(ChannelStock.objects.values_list("pk", "listing__variant_id", "channel_location__location_id"))
    stock = {(variant, place) for pk, variant, place in rows if pk in cell_ids}
    return {pk for pk, variant, place in rows if (variant, place) in stock}


def against_the_world(world: World) -> list[str]:
    """The shelves as they are, against the ledger."""
    levels = {(row.variant_id, row.location_id): row for row in StockLevel.objects.order_by("pk")}
    committed, wrong = world.committed(), []
    for cell, units in sorted(world.shelf.items()):
        level = levels[world.ids(cell)]
        if level.on_hand != units:
            wrong.append(f"shelf {cell} holds {units}, the ledger says {level.on_hand.normalize():f} on hand")
        if level.committed != committed[cell]:
            wrong.append(
                f"shelf {cell} has {committed[cell]} promised, the ledger says {level.committed.normalize():f}"
            )
    return wrong


def orders(world: World) -> list[str]:
    """Every sale, against what we have of it."""
    lines = {
        (line.order.channel_id, line.order.external_id): line
        for line in OrderLine.objects.select_related("order").order_by("pk")
    }
    wrong = []
    for sale in world.sales:
        line = lines.get((sale.counter.connection_id, sale.order_id))
        name = f"{sale.counter.channel} order {sale.order_id}"
        if line is None:
            wrong.append(f"{name} is not known")
            continue
        left = Decimal(0 if sale.is_waiting else sale.units)
        if line.fulfilled != left:
            wrong.append(f"{name}: {left} left, we say {line.fulfilled.normalize():f}")
        if line.restocked + line.written_off != sale.returned:
            wrong.append(f"{name}: {sale.returned} came back, we say {line.restocked + line.written_off}")
    return wrong


def questions(world: World) -> list[str]:
    """Incidents left open must be ones that stock itself keeps open, or the calendar: schedules play years ahead."""
    kept = (Incident.Kind.OVERSOLD, Incident.Kind.VERSION)
    left = Incident.objects.standing().exclude(kind__in=kept).order_by("pk")
    wrong = [f"still open: {incident.title}" for incident in left]
    short = set(StockLevel.objects.filter(available__lt=0).values_list("variant_id", "location_id"))
    told = IncidentSubject.objects.filter(
        until=None, incident__in=Incident.objects.standing().filter(kind=Incident.Kind.OVERSOLD)
    ).count()
    return wrong if told == len(short) else [*wrong, f"{len(short)} cells promise too much, incidents name {told}"]
