"""Giving money back: for which units, where they go, what it comes to; from our rows to the order's channel.

No amount is ever guessed: the channel reckons it where it can, else a person says it. What may be given back at most is
the channel's to say too; what it refuses is shown in its own words.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db.models import QuerySet

from channels import asking, commands, credentials
from channels.commands import CannotAsk
from channels.models import ChannelCommand
from channels.ports import BackLine, ConnectorError, GiveBack, MoneyPart, OrderActionKind, OrderOption, RefundQuote
from inventory.models import Location, Order, OrderHold, OrderLine
from storestudio.accounts import numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)
Kind, State = ChannelCommand.Kind, ChannelCommand.State


@dataclass(frozen=True)
class Returnable:
    """Units of a line that can be given back: such that wait at `place`, or such that left from there.

    `name` tells it from the others of the order, in forms too.
    """

    name: str
    line: OrderLine
    most: Decimal
    has_left: bool
    place: Location | None


def returnable(order: Order) -> list[Returnable]:
    """What of the order can be given back, line by line. One query."""
    rows = OrderHold.objects.filter(line__order=order).select_related("line__variant__product", "location")
    holds: dict[int, list[OrderHold]] = {}
    for hold in rows.order_by("line_id", "location__name", "pk"):
        holds.setdefault(hold.line_id, []).append(hold)
    found = []
    for of_line in holds.values():
        line = of_line[0].line
        found += [
            Returnable(f"waits_{hold.pk}", line, hold.committed, False, hold.location)
            for hold in of_line
            if hold.committed > 0
        ]
        kept = line.fulfilled - line.restocked - line.written_off
        if kept > 0:
            home = max(of_line, key=lambda hold: hold.fulfilled - hold.restocked).location
            found.append(Returnable(f"left_{line.pk}", line, kept, True, home))
    return found


@dataclass(frozen=True)
class Wish:
    """What a person wants given back: units by name (`returnable`); `place`: where what left comes back to.

    `restocks` False: what left is written off. `is_noted_only`: the person gave the money back, the channel notes it.
    """

    units: Mapping[str, Decimal]
    restocks: bool = True
    place: Location | None = None
    is_noted_only: bool = False
    note: str = ""


def quote(*, order: Order, wish: Wish) -> RefundQuote:
    """What it comes to, and the most there is, asked of the channel; what nobody knows is None.

    Not inside a transaction: the channel is called. Raises CannotAsk.
    """
    return _quote(order, _chosen(order, wish), wish)


def _quote(order: Order, chosen: Sequence[tuple[Returnable, Decimal]], wish: Wish) -> RefundQuote:
    choices = asking.choices(order)
    if choices.connection is None or OrderActionKind.REFUND not in choices.can:
        words = choices.by_hand.get(OrderActionKind.REFUND, f"{choices.label} takes no such thing from outside.")
        raise CannotAsk(words)
    if OrderOption.RECKONS not in choices.options:
        most = None if order.total is None else max(order.total - given_back(order), ZERO)
        return RefundQuote(None, most, order.currency or order.merchant.currency)
    lines = _lines(order, chosen, wish)
    try:
        return credentials.with_fresh_token(
            choices.connection.pk,
            lambda connector: connector.quote_refund(order_id=order.external_id, lines=lines),
        )
    except ConnectorError as error:
        raise CannotAsk(
            f"{choices.label} did not say what it comes to, so nothing was given back. Try again. ({error})"
        ) from error


def given_back(order: Order) -> Decimal:
    """Money that was given back from here, or is about to be."""
    rows: QuerySet[ChannelCommand] = ChannelCommand.objects.filter(order=order, kind=Kind.REFUND)
    stands = rows.filter(state__in=[State.WAITING, State.DONE]).values_list("payload", flat=True)
    return sum((Decimal(payload["amount"]) for payload in stands), ZERO)


def give_back(*, order: Order, wish: Wish, amount: Decimal | None, key: uuid.UUID, actor: User) -> ChannelCommand:
    """Ask the channel for a refund of `amount` (None: what the channel reckons); the same key again asks once.

    Not inside a transaction: the channel is called for its reckoning. Raises CannotAsk.
    """
    known: ChannelCommand | None = ChannelCommand.objects.filter(idempotency_key=key, order=order).first()
    if known is not None:
        return known
    action = plan(order=order, wish=wish, amount=amount)
    return commands.ask(order=order, action=action, words=words_of(order, wish, action), key=key, actor=actor)


def plan(*, order: Order, wish: Wish, amount: Decimal | None) -> GiveBack:
    """What the channel will be asked for, whole, so that every try asks the same. Calls it; raises CannotAsk."""
    chosen = _chosen(order, wish)
    found = _quote(order, chosen, wish)
    money = found.amount if amount is None else amount
    if money is None:
        raise CannotAsk("Say how much is given back: its channel does not reckon it.")
    if not chosen and money <= 0:
        raise CannotAsk("Nothing was chosen: neither units nor an amount.")
    if found.most is not None and money > found.most:
        raise CannotAsk(f"At most {found.most:.2f} {found.currency} of it can be given back. {found.words}".strip())
    return GiveBack(
        order.external_id,
        _lines(order, chosen, wish),
        money,
        currency=found.currency,
        parts=_parts(found.parts, money),
        restocks=wish.restocks or not any(one.has_left for one, _ in chosen),
        is_noted_only=wish.is_noted_only and OrderOption.PAID_BY_HAND in asking.choices(order).options,
        note=wish.note,
    )


def _parts(offered: Sequence[MoneyPart], amount: Decimal) -> list[MoneyPart]:
    """The amount over the payments it was paid by, the first first. Raises CannotAsk where they do not carry it."""
    parts, rest = [], amount
    for one in offered:
        share = min(one.amount, rest)
        if share > 0:
            parts.append(replace(one, amount=share))
            rest -= share
    if offered and rest > 0:
        raise CannotAsk(f"Its payments carry {rest:.2f} less than that.")
    return parts


def words_of(order: Order, wish: Wish, action: GiveBack) -> str:
    """What is asked, for people."""
    chosen = _chosen(order, wish)
    by_name: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for one, units in chosen:
        by_name[asking.name_of(one.line)] += units
    items = ", ".join(f"{numbers.plain(units)} × {name}" for name, units in by_name.items())
    money = f"give {action.amount:.2f} {action.currency} back" if action.amount else "take back without money"
    if action.is_noted_only and action.amount:
        money = f"note that {action.amount:.2f} {action.currency} were given back"
    lost = any(one.has_left for one, _ in chosen) and not action.restocks
    return money + (f" for {items}" if items else "") + (", its units written off" if lost else "")


def _chosen(order: Order, wish: Wish) -> list[tuple[Returnable, Decimal]]:
    """What was chosen of what can be given back. Raises CannotAsk for more than that."""
    there = {one.name: one for one in returnable(order)}
    found = []
    for name, units in wish.units.items():
        if units <= 0:
            continue
        one = there.get(name)
        if one is None or units > one.most:
            left = numbers.plain(one.most) if one else "none"
            item = asking.name_of(one.line) if one else "an item"
            raise CannotAsk(f"The order has changed meanwhile: of {item} {left} can be given back.")
        found.append((one, units))
    return found


def _lines(order: Order, chosen: Sequence[tuple[Returnable, Decimal]], wish: Wish) -> list[BackLine]:
    lines = []
    for one, units in chosen:
        place = (wish.place or one.place) if one.has_left else one.place
        is_on_shelf = place is not None and (wish.restocks or not one.has_left)
        where = asking.place_of(order, place) if is_on_shelf and place is not None else ""
        lines.append(BackLine(one.line.external_id, units, one.has_left, where))
    return lines
