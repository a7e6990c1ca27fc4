"""Holds for the shop's own site: goods named by SKU, a place chosen, all of it held or nothing; then an order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from channels.own import orders, site
from channels.own.site import Address, Asked, Offer
from channels.promises import Dated
from inventory import ledger, reservations
from inventory.models import Order, Reservation, ReservationLine
from inventory.reservations import Want
from inventory.routing import deciding
from inventory.routing.engine import Plan, Take

PLANS_TRIED = 3  # a place that was sold out a moment ago; then the customer is told
ZERO = Decimal(0)
Totals = dict[int, Decimal]


@dataclass(frozen=True)
class Held:
    """A hold, whether it is new, and its lines where they are known without asking."""

    reservation: Reservation
    is_new: bool
    lines: list[HeldLine] | None = None


@dataclass(frozen=True)
class HeldLine:
    """Units of one variant held at one place; `later`: what of them was not there yet, and when it is to be."""

    variant_id: int
    sku: str
    location_id: int
    quantity: Decimal
    later: Dated | None = None


@dataclass(frozen=True)
class Shortage:
    """What is missing of one variant. `available`: at the place asked for, or at the best single place."""

    variant_id: int
    sku: str
    requested: Decimal
    available: Decimal


class NotEnough(Exception):
    """The stock, or what the shop lets this site sell, does not cover it: nothing was held."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        super().__init__("Not enough: nothing was held.")
        self.shortages = list(shortages)


class WholeUnitsOnly(Exception):
    """Fractions of something sold by the piece; `names` in the order asked."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"Sold in whole units: {', '.join(names)}")
        self.names = list(names)


class UnknownPlace(Exception):
    """The site sells from no such location."""


class NoSuchHold(Exception):
    """No hold of this site has that id."""


@dataclass(frozen=True)
class HoldWish:
    """What is to be held. `location_id` None: wherever all of it is. `key` makes it happen once."""

    key: str
    lines: Sequence[Asked]
    ttl: timedelta
    location_id: int | None = None
    address: Address | None = None
    reference: str = ""


def grant(*, site_id: int, merchant_id: int, wish: HoldWish, now: datetime) -> Held:
    """Hold all of it where the shop's rules say, or nothing; two statements where there is but one place to ask for.

    The same key and wish again return the first hold, whatever became of it. Raises NotEnough, WholeUnitsOnly,
    UnknownPlace, site.UnknownGoods, ledger.IdempotencyConflict.
    """
    offered, by_variant = site.find(site_id=site_id, merchant_id=merchant_id, asked=wish.lines)
    wanted = _totals(wish.lines, offered)
    key, content = f"{site_id}:{wish.key}", _digest(wish, wanted)
    plans = _plans(wish, wanted, by_variant, merchant_id=merchant_id, key=key, now=now)
    if not plans:
        known = _known(merchant_id, key, content)
        if known is not None:
            return Held(known, False)
        # A hold past its time that nobody swept yet may be what stands in the way.
        if reservations.expire_due(now=now, merchant_id=merchant_id):
            _, by_variant = site.find(site_id=site_id, merchant_id=merchant_id, asked=wish.lines)
            plans = _plans(wish, wanted, by_variant, merchant_id=merchant_id, key=key, now=now)
    for plan in plans[:PLANS_TRIED]:
        is_ahead = any(take.place_id in by_variant[take.variant_id].promising for take in plan.takes)
        later: dict[tuple[int, int], Dated] = {}
        try:
            # What is sold before it is there gets its day under the levels' locks: nobody is promised it meanwhile.
            with transaction.atomic() if is_ahead else nullcontext():
                granted = reservations.grant(
                    merchant_id=merchant_id,
                    key=key,
                    content=content,
                    wants=[Want(take.variant_id, take.place_id, take.quantity) for take in plan.takes],
                    now=now,
                    expires_at=now + wish.ttl,
                    channel_id=site_id,
                    reference=wish.reference,
                )
                if is_ahead and granted.is_new:
                    later = _keep_days(site_id, granted.reservation, plan)
        except ledger.InsufficientStock:
            continue
        if plan != plans[0]:
            deciding.took(merchant_id=merchant_id, reference=_routed_as(key), plan=plan)
        lines = [
            HeldLine(
                take.variant_id, by_variant[take.variant_id].sku, take.place_id, take.quantity,
                later.get((take.variant_id, take.place_id)),
            )
            for take in plan.takes
        ]  # fmt: skip
        return Held(granted.reservation, granted.is_new, lines if granted.is_new else None)
    if plans:  # sold out between looking and taking
        by_variant = site.offers(site_id=site_id, merchant_id=merchant_id, variant_ids=wanted)
    raise _refusal(site_id, wish, wanted, by_variant)


def _keep_days(site_id: int, hold: Reservation, plan: Plan) -> dict[tuple[int, int], Dated]:
    """When what was held before it is there will be: told to the site, and kept with the hold and its order."""
    later = site.later(site_id=site_id, units={(take.variant_id, take.place_id): take.quantity for take in plan.takes})
    for (variant_id, location_id), dated in later.items():
        ReservationLine.objects.filter(reservation=hold, variant=variant_id, location=location_id).update(
            later=dated.units, promised_date=dated.day
        )
    return later


def _totals(lines: Sequence[Asked], offered: Sequence[Offer]) -> Totals:
    """Units by variant: lines for the same thing are judged together. Raises WholeUnitsOnly."""
    broken = [
        line.name
        for line, offer in zip(lines, offered, strict=True)
        if offer.is_whole_unit and line.quantity != line.quantity.to_integral_value()
    ]
    if broken:
        raise WholeUnitsOnly(broken)
    totals: Totals = defaultdict(lambda: ZERO)
    for line, offer in zip(lines, offered, strict=True):
        totals[offer.variant_id] += line.quantity
    return dict(sorted(totals.items()))


def _digest(wish: HoldWish, wanted: Totals) -> str:
    lines = "|".join(f"{variant_id}:{quantity.normalize():f}" for variant_id, quantity in wanted.items())
    text = f"{lines}|{wish.location_id}|{wish.ttl.total_seconds()}|{wish.reference}"
    return hashlib.blake2s(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _plans(
    wish: HoldWish, wanted: Totals, offered: Mapping[int, Offer], *, merchant_id: int, key: str, now: datetime
) -> Sequence[Plan]:
    if wish.location_id is None:
        return site.ways(
            merchant_id=merchant_id, reference=_routed_as(key), wanted=wanted, offered=offered, address=wish.address,
            now=now,
        )  # fmt: skip
    place = wish.location_id
    if any(offered[variant_id].by_location.get(place, ZERO) < quantity for variant_id, quantity in wanted.items()):
        return []
    return [Plan(tuple(Take(place, variant_id, quantity) for variant_id, quantity in wanted.items()))]


def _routed_as(key: str) -> str:
    return f"hold:{key}"


def _known(merchant_id: int, key: str, content: str) -> Reservation | None:
    """The hold of this key. Raises ledger.IdempotencyConflict where the key was used for something else."""
    rows = Reservation.objects.filter(merchant=merchant_id, idempotency_key=key).select_related("order")
    first: Reservation | None = rows.first()
    if first is not None and first.content != content:
        raise ledger.IdempotencyConflict(key)
    return first


def _refusal(site_id: int, wish: HoldWish, wanted: Totals, offered: Mapping[int, Offer]) -> Exception:
    if wish.location_id is not None and wish.location_id not in {one.pk for one in site.places(site_id=site_id)}:
        return UnknownPlace(wish.location_id)
    shortages = []
    for variant_id, quantity in wanted.items():
        by_location = offered[variant_id].by_location
        best = by_location.get(wish.location_id, ZERO) if wish.location_id else max(by_location.values(), default=ZERO)
        shortages.append(Shortage(variant_id, offered[variant_id].sku, quantity, best))
    missing = [one for one in shortages if one.available < one.requested]
    return NotEnough(missing or shortages)  # enough of each, but not where the rules let it leave from


def find(*, site_id: int, hold_id: UUID) -> Reservation:
    """One of the site's own holds. Raises NoSuchHold."""
    hold: Reservation | None = (
        Reservation.objects.filter(channel_id=site_id, public_id=hold_id).select_related("order").first()
    )
    if hold is None:
        raise NoSuchHold(hold_id)
    return hold


def extend(*, site_id: int, hold_id: UUID, ttl: timedelta, now: datetime) -> Reservation:
    """Let it end `ttl` from now. Raises NoSuchHold, reservations.ReservationEnded."""
    hold = find(site_id=site_id, hold_id=hold_id)
    reservations.extend(reservation_id=hold.pk, expires_at=now + ttl, now=now)
    hold.expires_at = now + ttl
    return hold


def release(*, site_id: int, hold_id: UUID, now: datetime) -> Reservation:
    """Give the units back; one that has ended stays as it ended. Raises NoSuchHold."""
    hold = find(site_id=site_id, hold_id=hold_id)
    reservations.release(reservation_id=hold.pk, now=now, reason="released by the site")
    return find(site_id=site_id, hold_id=hold_id)


def convert(*, site_id: int, hold_id: UUID, order: orders.OrderHead, now: datetime) -> Order:
    """The hold becomes the order: its units are the order's in the same instant, at the same places.

    Again with the same order id it returns that order. Raises NoSuchHold, reservations.ReservationEnded,
    orders.OrderExists for an order id that is another order's. Locks the order's id, the hold, then the levels.
    """
    with transaction.atomic():
        orders.lock(site_id=site_id, order_id=order.order_id)
        hold = find(site_id=site_id, hold_id=hold_id)
        if hold.order is not None and hold.order.external_id == order.order_id:
            return hold.order
        state = reservations.state_at(hold, now=now)
        if state != Reservation.State.HELD:
            raise reservations.ReservationEnded(state)
        orders.refuse_known(site_id=site_id, order_id=order.order_id)
        reservations.commit(reservation_id=hold.pk, now=now)
        made = orders.from_hold(site_id=site_id, hold=hold, order=order, now=now)
        Reservation.objects.filter(pk=hold.pk).update(order=made)
        deciding.belongs_to_order(
            merchant_id=made.merchant_id, reference=_routed_as(hold.idempotency_key), order_id=made.pk
        )
        return made
