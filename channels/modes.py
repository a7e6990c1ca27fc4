"""The arithmetic of the three modes, plain and pure: production, its tests and the simulation use the same functions.

- shared: every channel sees the whole pool.
- buffered: hide the smallest b such that P(others sell at least b + 1 within L) · P(this channel sells within L) ≤ ε,
  where L is how long the channel may take to learn of a sale elsewhere.
- escrow: what the channels show sums to at most the pool, always (the demarcation protocol): one rises only by
  units that no other channel shows, or may still show.

`channels_escrow` (channels/sql/rules.sql) is `escrow_desired` in the posting's transaction; a test holds them equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

RISK_MAX = 0.01  # ε: the risk a buffer may leave
BUFFER_MAX = 1000  # beyond this a channel is no channel but a list that is out of date


@dataclass(frozen=True)
class Velocity:
    """How a thing sells: orders a second, and units an order (at least 1)."""

    orders_per_s: float
    units_per_order: float = 1.0


def velocity(*, orders: int, units: float, span_s: float) -> Velocity:
    """From what was sold within a span. Half an order is added: what did not sell in it may sell tomorrow."""
    return Velocity(
        orders_per_s=(orders + 0.5) / span_s,
        units_per_order=max(1.0, units / orders) if orders else 1.0,
    )


def sells_within(*, here: Velocity, latency_s: float) -> float:
    """Probability of at least one order within the latency; orders come as a Poisson process."""
    return -math.expm1(-here.orders_per_s * latency_s)


def tail(*, others: Velocity, latency_s: float, units: int) -> float:
    """Probability that the others sell at least `units` within the latency.

    Orders come as a Poisson process, units an order are geometric with the measured mean (Pólya–Aeppli); with one
    unit an order that is Poisson's own tail.
    """
    return max(0.0, 1.0 - math.fsum(_chances(others.orders_per_s * latency_s, others.units_per_order, units)))


def _chances(rate: float, mean: float, count: int) -> list[float]:
    """P(0 units), P(1), … P(count − 1), by Panjer's recursion for geometric order sizes."""
    stay = 1.0 - 1.0 / mean  # the chance of one more unit in the same order
    chances: list[float] = []
    for n in range(count):
        if n == 0:
            chances.append(math.exp(-rate))
        elif n == 1:
            chances.append(rate * (1 - stay) * chances[0])
        else:
            ahead = (rate * (1 - stay) + 2 * (n - 1) * stay) * chances[n - 1]
            chances.append((ahead - (n - 2) * stay * stay * chances[n - 2]) / n)
    return chances


def risk(*, here: Velocity, others: Velocity, latency_s: float, hidden: int) -> float:
    """Probability that, within one latency, the others sell past the buffer and this channel sells besides."""
    return tail(others=others, latency_s=latency_s, units=hidden + 1) * sells_within(here=here, latency_s=latency_s)


@lru_cache(maxsize=100_000)
def buffer(*, here: Velocity, others: Velocity, latency_s: float, risk_max: float = RISK_MAX) -> int:
    """Units to hide: the fewest that leave at most `risk_max`; BUFFER_MAX at most."""
    sells = sells_within(here=here, latency_s=latency_s)
    allowed = risk_max / sells if sells > 0 else math.inf
    if allowed >= 1:
        return 0
    low, high = 0, 1
    while high < BUFFER_MAX and tail(others=others, latency_s=latency_s, units=high + 1) > allowed:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if tail(others=others, latency_s=latency_s, units=middle + 1) > allowed:
            low = middle + 1
        else:
            high = middle
    return min(low, BUFFER_MAX)


def published(*, available: int, hidden: int) -> int:
    """What a buffered channel shows."""
    return max(0, available - hidden)


def escrow_shares(*, pool: int, weights: Sequence[int]) -> list[int]:
    """The pool in whole units, by weight; the largest remainders get what is left over, the first of equals first."""
    total = sum(weights)
    if total <= 0 or pool <= 0:
        return [0] * len(weights)
    shares = [pool * weight // total for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda place: (-(pool * weights[place] % total), place))
    for place in by_rest[: pool - sum(shares)]:
        shares[place] += 1
    return shares


def escrow_desired(*, pool: int, weights: Sequence[int], exposed: Sequence[int]) -> list[int]:
    """What each channel should show, where `exposed` is the most it may show now.

    Falls are wanted at once. A rise is only for units that nobody shows or may still show; the widest gap comes first,
    the first of equals. So the sum of what is wanted or exposed is at most the pool, unless what is exposed is more.
    """
    targets = escrow_shares(pool=pool, weights=weights)
    gaps = [max(0, target - shown) for target, shown in zip(targets, exposed, strict=True)]
    free = max(0, max(pool, 0) - sum(exposed))
    desired = [target if gap == 0 else shown for target, gap, shown in zip(targets, gaps, exposed, strict=True)]
    for place in sorted(range(len(gaps)), key=lambda place: (-gaps[place], place)):
        step = min(gaps[place], free)
        desired[place] += step
        free -= step
    return desired
