"""The demo shop's own trading: no end of customers, the same for the same seed."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from channels.sandbox.trading.trace import Invoice

OPENS = datetime(2026, 1, 5, 9, tzinfo=UTC)  # a Monday morning: the rhythm's own clock, not the wall's
GAP_S_AT_NOON = 20.0
RETURNS_SHARE = 0.06
REMEMBERED = 200  # purchases that may still come back


def customers(*, skus: Sequence[str], seed: int) -> Iterator[Invoice]:
    """Purchases and, of some, returns, for ever. Few goods sell often, most seldom; noon is busy, night is quiet."""
    chance = random.Random(seed)
    ranked = sorted(skus)
    chance.shuffle(ranked)
    weights = [1 / (rank + 3) for rank in range(len(ranked))]
    sold: deque[Invoice] = deque(maxlen=REMEMBERED)
    at, number = OPENS, 0
    while True:
        at += timedelta(seconds=chance.expovariate(busyness(at) / GAP_S_AT_NOON))
        number += 1
        if sold and chance.random() < RETURNS_SHARE:
            of = chance.choice(sold)
            sold.remove(of)
            sku = chance.choice(list(of.units))
            yield Invoice(f"C{seed}-{number}", at, of.customer, {sku: 1}, is_return=True, lines=1)
            continue
        wanted = set(chance.choices(ranked, weights, k=chance.choice((1, 1, 1, 2, 2, 3))))
        units = {sku: chance.choice((1, 1, 1, 1, 2, 3)) for sku in sorted(wanted)}
        bought = Invoice(f"{seed}-{number}", at, f"customer {chance.randrange(5000)}", units, lines=len(units))
        sold.append(bought)
        yield bought


def busyness(at: datetime) -> float:
    """1 at half past twelve, 0.05 in the small hours."""
    hour = at.hour + at.minute / 60
    return max(0.05, math.exp(-(((hour - 12.5) / 4.5) ** 2)))
