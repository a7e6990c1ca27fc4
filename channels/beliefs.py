"""What channels believe, in the words of inventory's pages; registered with inventory.explain when the app is ready."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse

from channels import asking, availability, rules
from channels.models import ChannelCommand, ChannelStock, ChannelWriteLine, Collision, Connection, Listing
from channels.ports import OrderActionKind
from inventory import explain
from inventory.explain import Asked, Channel, ChannelView, Deed, OrderDeeds, Reason, Told
from inventory.models import Order, OrderHold
from storestudio.accounts import numbers

CLOSED, LIVE, RECONNECT = Connection.State.CLOSED, Connection.State.LIVE, Connection.State.RECONNECT
Outcome = ChannelWriteLine.Outcome
Command = ChannelCommand.State

_WORDS = {
    Outcome.APPLIED: "confirmed",
    Outcome.WAITING: "no answer yet",
    Outcome.STALE: "it had moved on meanwhile; read again",
    Outcome.REFUSED: "refused",
}


def channels(*, merchant_id: int) -> list[Channel]:
    """The shop's connections, closed ones left out, oldest first."""
    rows = Connection.objects.filter(merchant=merchant_id).exclude(state=CLOSED).order_by("pk")
    return [
        Channel(connection_id=row.pk, label=row.label, is_live=row.state == LIVE) for row in rows.only("label", "state")
    ]


def labels(*, merchant_id: int) -> dict[int, str]:
    """Names of all connections there ever were."""
    return dict(Connection.objects.filter(merchant=merchant_id).values_list("pk", "label"))


def views(*, merchant_id: int, variant_ids: Collection[int], with_told: bool = False) -> list[ChannelView]:
    """The cells of these variants where they are listed now. One query, two with `with_told`."""
    cells = list(
        ChannelStock.objects.filter(
            merchant=merchant_id,
            listing__variant__in=variant_ids,
            listing__deleted_at=None,
            channel_location__is_active=True,
        )
        .exclude(connection__state=CLOSED)
        .select_related("connection", "listing", "channel_location__location", "merchant")
        .order_by("connection_id", "channel_location__name", "pk")
    )
    told = _told(cells) if with_told else {}
    found = availability.of_cells(cell_ids=[cell.pk for cell in cells]) if with_told else []
    reasons = _reasons(cells, found)
    promised = {one.cell_id: promise_words(one.promise) for one in found if one.promise}
    return [_view(cell, told.get(cell.pk), reasons.get(cell.pk, ()), promised.get(cell.pk, "")) for cell in cells]


def promise_words(promise: availability.Promise) -> str:
    """“Sells 6 more than there is: 4 promised Sat 12 Dec, 2 Mon 4 Jan.”"""
    if not promise.left:
        return f"All {numbers.plain(promise.units)} on the way are sold, promised {_day(promise.promised_date)}."
    more = f"Sells {numbers.plain(promise.left)} more than there is"
    if len(promise.dates) == 1:
        return f"{more}, promised {_day(promise.promised_date)}."
    return f"{more}: " + ", ".join(f"{numbers.plain(one.units)} by {_day(one.day)}" for one in promise.dates) + "."


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


_STEP_WORDS = {
    "available": "available",
    "own": "in its own open orders, which its number still shows",
    "safety_stock": "safety stock",
    "channel_buffer": "buffer",
    "hidden": "hidden for its delay",
    "share_percent": "outside its share of {} %",
    "oversell": "on the way",
    "oversell_none": "on the way that may be promised: what comes is late, or has no day",
    "cap": "above its limit of {}",
    "set_aside": "set aside for other channels",
    "is_paused": "paused",
    "sells_from": "not released yet",
    "whole": "sold in whole units",
    "above_zero": "never told a number below 0",
    "below_zero": "below 0 by its own sales, and left so",
}


def _reasons(cells: Collection[ChannelStock], found: Sequence[availability.Publishable]) -> dict[int, list[Reason]]:
    """How each number comes about, and which rule decided it."""
    named = rules.named(rule_ids={step.rule_id for one in found for step in one.steps if step.rule_id})
    slug = cells and next(iter(cells)).merchant.slug
    return {
        one.cell_id or 0: [
            Reason(
                amount=step.amount,
                words=_STEP_WORDS[step.kind].format(step.detail),
                rule_words=rules.scope_words(named[step.rule_id]) if step.rule_id in named else "",
                url=f"{reverse('rules', args=[slug])}#rule-{step.rule_id}" if step.rule_id else "",
            )
            for step in one.steps
        ]
        for one in found
    }


def _view(cell: ChannelStock, told: Told | None, reasons: Sequence[Reason], promised: str) -> ChannelView:
    state, words = _state(cell)
    place = cell.channel_location
    return ChannelView(
        variant_id=cell.listing.variant_id or 0,
        connection_id=cell.connection_id,
        channel_label=cell.connection.label,
        location_id=place.location_id,
        location_name=place.location.name if place.location else place.name,
        desired=cell.desired,
        expected=cell.expected,
        observed=cell.observed,
        observed_at=_seen_at(cell),
        told_at=cell.told_at,
        state=state,
        words=words,
        doubt=cell.doubt,
        told=told,
        reasons=reasons,
        promised=promised,
    )


def _seen_at(cell: ChannelStock) -> datetime | None:
    """How old its number is: of what agreed, only the whole reading keeps the time."""
    whole = cell.connection.read_whole_at
    if cell.observed_at is None or cell.missing_at is not None or whole is None:
        return cell.observed_at
    return max(cell.observed_at, whole)


def _state(cell: ChannelStock) -> tuple[str, str]:
    """The cell's state and the words for it, the worst that holds."""
    connection = cell.connection
    is_due = cell.desired is not None and cell.desired != cell.expected
    is_known = cell.desired is not None and cell.expected is not None
    if connection.state == RECONNECT:
        return explain.LOST, "out of contact"
    if cell.drift_at is not None:
        return explain.DRIFT, f"shows {_units(cell.observed)}, we expected {_units(cell.expected)}"
    if cell.blocked_reason:
        return explain.BLOCKED, cell.blocked_reason
    if not cell.listing.is_tracked:
        return explain.UNKNOWN, "not counted there"
    if cell.desired is None and cell.expected is not None:
        return explain.UNKNOWN, "a rule says not to count it there"
    if not is_known:
        return explain.UNKNOWN, "not read yet"
    if connection.state != LIVE and is_due:
        return explain.PAUSED, "paused: not told"
    if cell.write_id is not None or cell.dirty_at is not None or is_due:
        return explain.PENDING, f"being told {_units(cell.desired)}"
    return explain.AGREES, f"shows {_units(cell.expected)}"


def _units(quantity: Decimal | None) -> str:
    return "nothing known" if quantity is None else numbers.plain(quantity)


def _told(cells: Collection[ChannelStock]) -> dict[int, Told]:
    """The newest line sent to each cell."""
    lines = (
        ChannelWriteLine.objects.filter(cell__in=[cell.pk for cell in cells])
        .order_by("cell_id", "-pk")
        .distinct("cell_id")
    )
    return {
        line.cell_id: Told(
            quantity=line.to_quantity,
            sent_at=line.sent_at,
            answered_at=line.answered_at,
            is_confirmed=line.outcome == Outcome.APPLIED,
            words=line.message or _WORDS[Outcome(line.outcome)],
        )
        for line in lines
    }


def variants_in(*, merchant_id: int, state: str, location_id: int | None) -> Q:
    """A condition on variants. UNLINKED: a connection in use lists none of ours for it. Raises KeyError."""
    if state == explain.UNLINKED:
        return _unlinked(merchant_id)
    cells = ChannelStock.objects.filter(merchant=merchant_id).exclude(connection__state=CLOSED)
    if location_id:
        cells = cells.filter(channel_location__location=location_id)
    wanted = {
        explain.DRIFT: Q(drift_at__isnull=False),
        explain.PENDING: Q(dirty_at__isnull=False) | Q(write__isnull=False),
    }[state]
    return Q(pk__in=cells.filter(wanted).values("listing__variant"))


def _unlinked(merchant_id: int) -> Q:
    missing = Q(pk__in=[])
    for channel in channels(merchant_id=merchant_id):
        listed = Listing.objects.filter(variant=OuterRef("pk"), connection=channel.connection_id, deleted_at=None)
        missing |= ~Q(Exists(listed))
    return missing


def event_url(*, shop: str, event_id: int) -> str:
    """Where the payload behind a movement is shown."""
    return reverse("event", args=[shop, event_id])


_STATES = {
    Command.WAITING: ("being asked", "busy"),
    Command.DONE: ("done", "ok"),
    Command.FAILED: ("not done", "bad"),
    Command.CALLED_BACK: ("called back", "idle"),
}


def order_deeds(*, shop: str, order: Order) -> OrderDeeds:
    """What may be asked of the order's channel, and what was, newest first. Four queries."""
    choices = asking.choices(order)
    waits = OrderHold.objects.filter(line__order=order, committed__gt=0).exists()
    rows = ChannelCommand.objects.filter(order=order).select_related("asked_by").order_by("-pk")
    asked = [_asked(shop, row, is_newest=not index) for index, row in enumerate(rows)]
    collisions = [
        Deed(
            f"{one.variant.full_title} is promised twice at {one.location.name}.",
            reverse("collision", args=[shop, one.pk]),
        )
        for one in (_collisions(order) if waits else ())
    ]
    is_under_way = any(one.kind == "busy" for one in asked)
    labels = {
        OrderActionKind.EDIT: "Change items",
        OrderActionKind.MOVE: "Ship from another place",
        OrderActionKind.REFUND: "Give money back",
        OrderActionKind.CANCEL: "Cancel the order",
    }
    if not waits:
        labels = {kind: words for kind, words in labels.items() if kind == OrderActionKind.REFUND}
    pages = {
        OrderActionKind.EDIT: "order_items",
        OrderActionKind.MOVE: "move_order",
        OrderActionKind.REFUND: "refund_order",
        OrderActionKind.CANCEL: "cancel_order",
    }
    return OrderDeeds(
        channel=choices.label,
        deeds=[
            Deed(words, reverse(pages[kind], args=[shop, order.pk]))
            for kind, words in labels.items()
            if kind in choices.can and not is_under_way
        ],
        collisions=collisions,
        by_hand=[f"{labels[kind]}: {words}" for kind, words in choices.by_hand.items() if kind in labels],
        page=choices.page,
        asked=asked,
    )


def _collisions(order: Order) -> QuerySet[Collision]:
    """Open collisions over what this order waits for."""
    mine = OrderHold.objects.filter(line__order=order, committed__gt=0, location=OuterRef("location"))
    itself = Exists(mine.filter(line__variant=OuterRef("variant")))
    part = Exists(mine.filter(line__bundle__components__variant=OuterRef("variant")))
    rows: QuerySet[Collision] = Collision.objects.filter(itself | part, merchant=order.merchant_id, closed_at=None)
    return rows.select_related("variant__product", "location").order_by("pk")


def _asked(shop: str, row: ChannelCommand, *, is_newest: bool) -> Asked:
    words, kind = _STATES[Command(row.state)]
    is_unasked = row.state == Command.WAITING and not row.attempts
    if row.state == Command.WAITING and row.attempts > 1:
        words = f"being asked, try {row.attempts}"
    address = [shop, row.order_id, row.pk]
    return Asked(
        words=row.words,
        state=words,
        kind=kind,
        error=row.error,
        asked_at=row.asked_at,
        ended_at=row.ended_at,
        by=row.asked_by.get_full_name() if row.asked_by else "",
        call_back_url=reverse("call_back_command", args=address) if is_unasked else "",
        retry_url=reverse("retry_command", args=address) if row.state == Command.FAILED and is_newest else "",
    )
