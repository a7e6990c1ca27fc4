"""What can be done for an order that cannot have its units, and doing it: one decision, one thing asked of its channel.

Offered: ship from another place that has them, send something else, wait for a dated delivery, cancel. What its channel
takes goes through the outbox (channels.commands); what it does not take is said with what a person does there by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from django.db import transaction
from django.utils import timezone

from channels import asking, collisions, commands, order_items, refunding
from channels.collisions import Claim
from channels.commands import CannotAsk
from channels.models import ChannelCommand, Collision, CollisionDecision, Listing
from channels.ports import GiveBack, OrderActionKind, OrderOption
from inventory import bundles, incoming
from inventory.models import Location, OrderHold, OrderLine, StockLevel, Variant
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import User

ZERO = Decimal(0)
Kind = CollisionDecision.Kind
SUBSTITUTES_MAX = 5
CHANGED = "This is not on offer any more: look again at who has what."


@dataclass(frozen=True)
class Offer:
    """One thing that can be done; `name` is what the form sends. `by_hand`: what a person does if we cannot ask."""

    kind: str
    name: str
    words: str
    detail: str = ""
    by_hand: str = ""
    until: date | None = None

    @property
    def is_harm(self) -> bool:
        """Whether it cannot be taken back and so wants a second look."""
        return self.kind == Kind.CANCEL


def units_of(claim: Claim) -> Decimal:
    """How many pieces of the line go without: whole ones, for half a bundle is none."""
    return (claim.short / claim.per).to_integral_value(ROUND_CEILING) if claim.per != 1 else claim.short


def offers(*, collision: Collision, claim: Claim) -> list[Offer]:
    """What can be done for this order, the kindest first. Some ten queries."""
    if claim.order is None or claim.line is None or claim.line.variant_id is None or claim.short <= 0:
        return []
    choices = asking.choices(claim.order)
    units = units_of(claim)
    found = _elsewhere(collision, claim.line, units, choices)
    found += _instead(collision, claim.line, units, choices)
    if claim.waits_until is None:
        found += _later(collision, claim)
    return [*found, _cancelled(claim, units, choices)]


def _elsewhere(collision: Collision, line: OrderLine, units: Decimal, choices: asking.Choices) -> list[Offer]:
    hold = OrderHold.objects.filter(line=line, location=collision.location_id).select_related("line").first()
    if hold is None:
        return []
    there = [
        (one, one.has[0])
        for one in asking.destinations(order=line.order, holds=[hold])
        if one.has and one.has[0] >= units
    ]
    by_hand = "" if OrderActionKind.MOVE in choices.can else choices.by_hand.get(OrderActionKind.MOVE, "")
    if not by_hand and OrderActionKind.MOVE not in choices.can:
        by_hand = f"Send it from there, and say so to {choices.label}."
    return [
        Offer(
            Kind.REROUTE, f"reroute:{one.location.pk}", f"Ship {numbers.plain(units)} from {one.location.name}",
            f"{one.location.name} has {numbers.plain(has)} free.", by_hand,
        )
        for one, has in there
    ]  # fmt: skip


def _instead(collision: Collision, line: OrderLine, units: Decimal, choices: asking.Choices) -> list[Offer]:
    """Other variants of the product, listed on that channel, with enough at that place; of a pack, its parts."""
    variant = Variant.objects.select_related("product").get(pk=line.variant_id)
    siblings = Variant.objects.filter(product=variant.product_id, archived_at=None).exclude(pk=variant.pk)
    listed = set(
        Listing.objects.filter(
            connection=line.order.channel_id, link=Listing.Link.LINKED, deleted_at=None, variant__isnull=False,
            merchant=collision.merchant_id,
        ).filter(variant__in=siblings).values_list("variant", flat=True)
    )  # fmt: skip
    there = bundles.available(merchant_id=collision.merchant_id, variant_ids=listed)
    by_hand = ""
    if OrderActionKind.EDIT not in choices.can or OrderOption.ADD not in choices.options:
        by_hand = choices.by_hand.get(OrderActionKind.EDIT, f"Change the order in {choices.label}.")
    found = []
    for other in siblings.order_by("pk"):
        has = there.get((other.pk, collision.location_id), ZERO)
        if other.pk in listed and has >= units:
            price = f", {other.price} instead of {variant.price}" if other.price != variant.price else ""
            words = f"Send {numbers.plain(units)} × {other.title or other.full_title} instead"
            detail = f"{numbers.plain(has)} free here{price}. Ask the customer first."
            found.append(Offer(Kind.SUBSTITUTE, f"substitute:{other.pk}", words, detail, by_hand))
    return found[:SUBSTITUTES_MAX] + _as_parts(collision, variant, units, line, by_hand)


def _as_parts(collision: Collision, variant: Variant, units: Decimal, line: OrderLine, by_hand: str) -> list[Offer]:
    """A pack of which none is left, sent as the units it is made of."""
    made_of = bundles.current(variant=variant)
    if made_of is None or not made_of.is_stocked:
        return []
    parts = [part.variant_id for part in made_of.parts]
    there = bundles.available(merchant_id=collision.merchant_id, variant_ids=parts)
    listed = Listing.objects.filter(connection=line.order.channel_id, variant__in=parts, deleted_at=None)
    enough = all(
        there.get((part.variant_id, collision.location_id), ZERO) >= part.quantity * units for part in made_of.parts
    )
    if not enough or listed.count() < len(parts):
        return []
    return [Offer(Kind.SUBSTITUTE, "substitute:parts", "Send the units it is made of", "They are free here.", by_hand)]


def _later(collision: Collision, claim: Claim) -> list[Offer]:
    """The first day by which enough has come here for all that wait, this order among them."""
    level = StockLevel.objects.get(variant=collision.variant_id, location=collision.location_id)
    wanted = max(claim.short, -level.available)
    came, today = ZERO, timezone.localdate()
    for one in incoming.schedule(variant_ids=[collision.variant_id]):
        if one.location_id != collision.location_id or one.expected_date is None or one.expected_date < today:
            continue
        came += one.units
        if came >= wanted:
            words = f"Let the customer wait until {one.expected_date.day} {one.expected_date:%B}"
            detail = f"{numbers.plain(came)} are on their way here by then. Tell the customer."
            return [Offer(Kind.BACKORDER, "backorder", words, detail, until=one.expected_date)]
    return []


def _cancelled(claim: Claim, units: Decimal, choices: asking.Choices) -> Offer:
    is_all = _is_all(claim, units)
    name = "Cancel the order" if is_all else f"Take {numbers.plain(units)} off the order"
    kind = OrderActionKind.CANCEL if is_all else OrderActionKind.EDIT
    pays = _pays_with_it(choices, is_all=is_all)
    by_hand = "" if kind in choices.can or pays else choices.by_hand.get(kind, f"Do it in {choices.label}.")
    money = f"Pay the customer back in {choices.label}, if it was paid."
    if OrderActionKind.REFUND in choices.can:
        money = "If it was paid, give the money back from the order's page."
    if pays:
        money = "The customer is paid back, if it was paid."
    return Offer(Kind.CANCEL, "cancel", name, f"{money} It cannot be taken back.", by_hand)


def _pays_with_it(choices: asking.Choices, *, is_all: bool) -> bool:
    """Whether the money goes back by the same thing asked: cancelling does it, or the channel reckons a refund."""
    if is_all and OrderOption.PAY_BACK in choices.options and OrderActionKind.CANCEL in choices.can:
        return True
    return OrderOption.RECKONS in choices.options and OrderActionKind.REFUND in choices.can


def _is_all(claim: Claim, units: Decimal) -> bool:
    """Whether these units are all there is to the order."""
    line = claim.line
    if line is None or line.fulfilled or units < line.quantity:
        return False
    return not OrderLine.objects.filter(order=line.order_id, quantity__gt=0).exclude(pk=line.pk).exists()


@dataclass(frozen=True)
class Wish:
    """What a person chose for one line: an offer's name, and what goes with it. `extra_cost`: such as a parcel more."""

    line_id: int
    offer: str
    key: uuid.UUID
    note: str = ""
    extra_cost: Decimal | None = None


def decide(*, collision: Collision, wish: Wish, actor: User) -> CollisionDecision:
    """Carry out an offer: ask the order's channel, or let the order wait; the same key again decides once.

    Not inside a transaction: what a refund comes to is asked of the channel before. Raises CannotAsk where it is not on
    offer any more, or its channel cannot be asked. Nothing was stored then.
    """
    known: CollisionDecision | None = CollisionDecision.objects.filter(key=wish.key, collision=collision).first()
    if known is not None:
        return known
    refund = _refund(collision, wish)
    with transaction.atomic():
        claim, line, offer = _wished(collision, wish)
        if refund is not None and refund.wish != _given_up(collision, claim, line, wish):
            raise CannotAsk(CHANGED)
        command = _carry_out(collision, claim, offer, wish, refund, actor)
        decision = CollisionDecision.objects.create(
            merchant_id=collision.merchant_id, collision=collision, order=line.order, line=line,
            key=wish.key, kind=offer.kind, units=units_of(claim), words=offer.words[:300], why=claim.why[:300],
            note=wish.note[:255], until_date=offer.until, command=command, cost=_cost(claim, offer, wish),
            currency=line.order.currency or collision.merchant.currency, decided_by=actor,
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=collision.merchant, action=f"collision.{offer.kind}", target=decision,
            summary=f"{claim.name}: {offer.words}",
        )  # fmt: skip
    collisions.sweep(merchant_id=collision.merchant_id)
    return decision


def _wished(collision: Collision, wish: Wish) -> tuple[Claim, OrderLine, Offer]:
    """What was chosen, as it is offered now. Raises CannotAsk where it is not."""
    level = StockLevel.objects.select_related("location", "variant__product").get(
        variant=collision.variant_id, location=collision.location_id
    )
    found = (one for one in collisions.claims(level) if one.line is not None and one.line.pk == wish.line_id)
    claim = next(found, None)
    if claim is None or claim.line is None or collision.closed_at is not None:
        raise CannotAsk(CHANGED)
    offer = next((one for one in offers(collision=collision, claim=claim) if one.name == wish.offer), None)
    if offer is None:
        raise CannotAsk(CHANGED)
    if offer.by_hand:
        raise CannotAsk(offer.by_hand)
    return claim, claim.line, offer


@dataclass(frozen=True)
class _Refund:
    """Units given up with their money, as the channel reckoned it."""

    wish: refunding.Wish
    action: GiveBack


def _refund(collision: Collision, wish: Wish) -> _Refund | None:
    """The refund by which units are taken off an order; None where that is not how, or nobody has paid for all of it.

    Calls the channel. Raises CannotAsk.
    """
    claim, line, offer = _wished(collision, wish)
    choices = asking.choices(line.order)
    if offer.kind != Kind.CANCEL or OrderOption.RECKONS not in choices.options:
        return None
    is_all = _is_all(claim, units_of(claim))
    if is_all and OrderOption.PAY_BACK in choices.options:
        return None
    given_up = _given_up(collision, claim, line, wish)
    action = refunding.plan(order=line.order, wish=given_up, amount=None)
    return None if is_all and not action.amount else _Refund(given_up, action)


def _given_up(collision: Collision, claim: Claim, line: OrderLine, wish: Wish) -> refunding.Wish:
    holds = OrderHold.objects.filter(line=line, location=collision.location_id)
    units = {f"waits_{hold.pk}": units_of(claim) for hold in holds}
    return refunding.Wish(units, note=wish.note or "sold out")


def _carry_out(
    collision: Collision, claim: Claim, offer: Offer, wish: Wish, refund: _Refund | None, actor: User
) -> ChannelCommand | None:
    line = claim.line
    if line is None or offer.kind == Kind.BACKORDER:
        return None
    if refund is not None:
        words = refunding.words_of(line.order, refund.wish, refund.action)
        return commands.ask(order=line.order, action=refund.action, words=words, key=wish.key, actor=actor)
    units, key = units_of(claim), wish.key
    if offer.kind == Kind.REROUTE:
        hold = OrderHold.objects.get(line=line, location=collision.location_id)
        to = Location.objects.get(pk=int(offer.name.partition(":")[2]), merchant=collision.merchant_id)
        return asking.move(
            order=line.order, units={hold.pk: units}, origin=collision.location, destination=to, key=key, actor=actor
        )
    if offer.kind == Kind.CANCEL and _is_all(claim, units):
        return asking.cancel(
            order=line.order, restocks=True, pays_back=True, note=wish.note or "sold out", key=key, actor=actor
        )
    return order_items.exchange(
        line=line, units=units, place=collision.location, instead=_substitutes(offer, line, units),
        note=wish.note or "sold out", key=key, actor=actor,
    )  # fmt: skip


def _substitutes(offer: Offer, line: OrderLine, units: Decimal) -> Sequence[tuple[int, Decimal]]:
    if offer.kind != Kind.SUBSTITUTE:
        return []
    if offer.name == "substitute:parts":
        variant = Variant.objects.get(pk=line.variant_id or 0)
        made_of = bundles.current(variant=variant)
        return [(part.variant_id, part.quantity * units) for part in made_of.parts] if made_of else []
    return [(int(offer.name.partition(":")[2]), units)]


def _cost(claim: Claim, offer: Offer, wish: Wish) -> Decimal | None:
    """What it costs the shop where prices are known: the sale that is lost, what a substitute is cheaper, extras."""
    line, extra = claim.line, wish.extra_cost
    lost: Decimal | None = ZERO
    price = line.variant.price if line is not None and line.variant is not None else None
    if offer.kind == Kind.CANCEL:
        lost = None if price is None else price * units_of(claim)
    elif offer.kind == Kind.SUBSTITUTE and offer.name != "substitute:parts":
        other = Variant.objects.values_list("price", flat=True).get(pk=int(offer.name.partition(":")[2]))
        lost = None if price is None or other is None else max(price - other, ZERO) * units_of(claim)
    elif offer.kind == Kind.REROUTE:
        lost = None  # a parcel from elsewhere costs what the person says it does
    if lost is None and extra is None:
        return None
    return ((lost or ZERO) + (extra or ZERO)).quantize(Decimal("0.01"))


def undo(*, decision: CollisionDecision, actor: User) -> None:
    """Take a decision back: a wait ends; what its channel was not asked yet is called back. Raises NotWaiting."""
    with transaction.atomic():
        if decision.undone_at is not None or (decision.command is None and decision.kind != Kind.BACKORDER):
            raise commands.NotWaiting
        if decision.command is not None:
            commands.call_back(command=decision.command, actor=actor)
        CollisionDecision.objects.filter(pk=decision.pk).update(undone_at=timezone.now(), undone_by=actor)
        audit.record(
            actor=actor, merchant=decision.merchant, action="collision.undone", target=decision,
            summary=f"Taken back: {decision.words}",
        )  # fmt: skip
    collisions.sweep(merchant_id=decision.merchant_id)
