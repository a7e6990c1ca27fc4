"""Where units of an order wait: those that wait already stay, what is more goes where the shop's rules send it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from channels.own import site
from channels.own.site import Address, Offer
from inventory.orders import Hold, LineState
from inventory.routing import deciding

ZERO = Decimal(0)
Shares = dict[int, Decimal]  # units by place
Cell = tuple[int, int]  # a variant at a place


@dataclass(frozen=True)
class More:
    """Units of a line that wait nowhere yet. `place_id`: where it waits otherwise; None: it is new."""

    line_id: str
    variant_id: int
    quantity: Decimal
    place_id: int | None = None


@dataclass(frozen=True)
class Placed:
    """Units by place, for each line; `was_routed`: the shop's rules were asked, and what they said is kept."""

    by_line: Mapping[str, Shares]
    was_routed: bool


def place(
    *,
    merchant_id: int,
    reference: str,
    more: Sequence[More],
    offered: Mapping[int, Offer],
    places: Sequence[int],
    used: Collection[int],
    taken: Mapping[Cell, Decimal],
    address: Address | None,
    now: datetime,
) -> Placed:
    """Where what is more leaves from: of a line that waits already first where it does, as far as there are more.

    The rest is routed, lines of one variant by their sum. `places`: liked best first. `used`: where units of the order
    wait, which count among the places that may share it. `taken`: what other lines of it take, or give back.
    """
    at_home, left = _at_home(more, offered, taken)
    used = {*used, *(one.place_id for one in more if one.place_id is not None and at_home[one.line_id])} & {*places}
    loose: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
    for one in more:
        if one.line_id not in at_home or at_home[one.line_id] < one.quantity:
            loose[one.variant_id] += one.quantity - at_home.get(one.line_id, ZERO)
    chosen, may_share = _chosen(merchant_id, reference, loose, left, places, frozenset(used), address, now=now)
    by_line: dict[str, Shares] = {}
    for one in more:
        goods = chosen.get(one.variant_id, {})
        rest_at = one.place_id or next(iter(goods), _that_have_most({one.variant_id: one.quantity}, left, may_share)[0])
        by_line[one.line_id] = _share(goods, one.quantity, at_home.get(one.line_id, ZERO), rest_at=rest_at)
    return Placed(by_line, site.is_routed(wanted=loose, offered=left))


def _at_home(
    more: Sequence[More], offered: Mapping[int, Offer], taken: Mapping[Cell, Decimal]
) -> tuple[dict[str, Decimal], dict[int, Offer]]:
    """What each line that waits already gets where it waits, and what is on offer besides."""
    left = {variant: replace(offer, by_location=dict(offer.by_location)) for variant, offer in offered.items()}
    for (variant_id, place), units in taken.items():
        if variant_id in left and place in left[variant_id].by_location:
            here = left[variant_id].by_location
            here[place] = max(here[place] - units, ZERO)
    at_home: dict[str, Decimal] = {}
    for one in more:
        if one.place_id is not None:
            here = left[one.variant_id].by_location
            at_home[one.line_id] = min(one.quantity, here.get(one.place_id, ZERO))
            here[one.place_id] = here.get(one.place_id, ZERO) - at_home[one.line_id]
    return at_home, left


def _chosen(
    merchant_id: int,
    reference: str,
    wanted: Mapping[int, Decimal],
    offered: Mapping[int, Offer],
    places: Sequence[int],
    used: frozenset[int],
    address: Address | None,
    *,
    now: datetime,
) -> tuple[dict[int, Shares], Sequence[int]]:
    """How many of each variant leave from where by the shop's rules, the most first; and where a rest may wait.

    Where no way gives all of it, what there is: where the order waits already first, and from no more places than may
    share it. What is missing waits at one of those, and a collision says so.
    """
    if not wanted:
        return {}, places
    plans = site.ways(
        merchant_id=merchant_id,
        reference=reference,
        wanted=wanted,
        offered=offered,
        address=address,
        now=now,
        used=used,
    )
    shares: defaultdict[int, Shares] = defaultdict(dict)
    if plans:
        for take in sorted(plans[0].takes, key=lambda take: (-take.quantity, take.place_id)):
            shares[take.variant_id][take.place_id] = take.quantity
        return shares, places
    places_max = deciding.policy_of(merchant_id=merchant_id).places_max
    own = [place for place in places if place in used]
    may_share = dict.fromkeys(own)
    for place in own + [place for place in _that_have_most(wanted, offered, places) if place not in used]:
        if place not in may_share and len(may_share) >= places_max:
            continue
        for variant_id, units in wanted.items():
            missing = units - sum(shares[variant_id].values(), ZERO)
            given = min(missing, offered[variant_id].by_location.get(place, ZERO))
            if given > 0:
                shares[variant_id][place] = given
                may_share.setdefault(place)
    return shares, list(may_share) or places


def _that_have_most(wanted: Mapping[int, Decimal], offered: Mapping[int, Offer], places: Sequence[int]) -> list[int]:
    """Places by how much of what is wanted they have, the most first; of those alike, the one liked best."""

    def has(place: int) -> Decimal:
        return sum((min(units, offered[one].by_location.get(place, ZERO)) for one, units in wanted.items()), ZERO)

    return sorted(places, key=has, reverse=True)


def _share(goods: Shares, quantity: Decimal, home: Decimal, *, rest_at: int) -> Shares:
    """A line's part: `home` of it at `rest_at`, then its part of `goods`, taken off there; the rest as `home`."""
    shares: Shares = {rest_at: home} if home else {}
    quantity -= home
    for place in list(goods):
        units = min(goods[place], quantity)
        if units > 0:
            shares[place] = shares.get(place, ZERO) + units
            goods[place] -= units
            quantity -= units
    if quantity > 0 or not shares:
        shares[rest_at] = shares.get(rest_at, ZERO) + quantity
    return shares


def first_holds(shares: Shares, *, fulfilled: Decimal, is_cancelled: bool) -> list[Hold]:
    """What a line that is new holds where: what has left did so from the first places."""
    holds, left = [], fulfilled
    for number, (place, units) in enumerate(shares.items(), start=1):
        gone = left if number == len(shares) else min(left, units)
        left -= gone
        waits = ZERO if is_cancelled else units - gone
        holds.append(Hold(place, committed=waits, fulfilled=gone))
    return sorted(holds, key=lambda hold: hold.location_id)


def grown(was: LineState, shares: Shares, *, home: int, fulfilled: Decimal) -> list[Hold]:
    """What a line holds where once it has grown: what it held, and `shares` besides; what left was held the longest."""
    held = units_of(was)
    before = holds_at(
        was, home=home, is_named=False, quantity=held, fulfilled=min(fulfilled, held), is_cancelled=False
    )  # fmt: skip
    holds = {hold.location_id: hold for hold in before}
    for more in first_holds(shares, fulfilled=max(fulfilled - held, ZERO), is_cancelled=False):
        there = holds.get(more.location_id, Hold(more.location_id))
        holds[more.location_id] = replace(
            there, committed=there.committed + more.committed, fulfilled=there.fulfilled + more.fulfilled
        )
    return [holds[place] for place in sorted(holds)]


def units_of(line: LineState) -> Decimal:
    """What a line holds in all, gone or not."""
    return sum((hold.committed + hold.fulfilled for hold in line.holds), ZERO)


def place_of(line: LineState) -> int | None:
    """Where a line's units wait, or else where they left from last."""
    waiting = [hold.location_id for hold in line.holds if hold.committed]
    return next(iter(waiting), None) or next((hold.location_id for hold in line.holds), None)


def holds_at(
    was: LineState | None, *, home: int, is_named: bool, quantity: Decimal, fulfilled: Decimal, is_cancelled: bool
) -> list[Hold]:
    """What a line of `quantity` holds where, with what is not elsewhere already at `home`.

    What left since did so from there where the site named it, and else from where it waited.
    """
    gone = {hold.location_id: hold.fulfilled for hold in was.holds if hold.fulfilled} if was else {}
    waited = {hold.location_id: hold.committed for hold in was.holds if hold.location_id != home} if was else {}
    left = fulfilled - sum(gone.values(), ZERO)
    at_home = sum((hold.committed for hold in was.holds if hold.location_id == home), ZERO) if was else ZERO
    beyond = ZERO if is_named else max(left - at_home, ZERO)
    waits = ZERO if is_cancelled else quantity - fulfilled
    waiting: dict[int, Decimal] = {}
    for location, units in waited.items():
        from_here = min(units, beyond)
        beyond, left = beyond - from_here, left - from_here
        gone[location] = gone.get(location, ZERO) + from_here
        # Units that the shop sent to another place stay there; the site need not know of it.
        waiting[location] = min(units - from_here, waits)
        waits -= waiting[location]
    gone[home] = gone.get(home, ZERO) + left
    waiting[home] = waits
    return [
        Hold(location, committed=waiting.get(location, ZERO), fulfilled=gone.get(location, ZERO))
        for location in sorted(gone.keys() | waiting.keys())
    ]
