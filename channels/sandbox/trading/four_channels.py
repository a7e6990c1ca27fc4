"""One shelf sold by four channels that learn late: what each way of keeping them in step oversells, and what it loses.

Every line of the trace is a customer at one channel, who takes what is shown, up to what they want. Where the shelf
has less than they took, the order is oversold: they are told no afterwards. News of a sale takes the channel's latency
to reach the ledger, a number the ledger tells takes as long to reach the channel; in between the channel takes its own
sales off. One number a channel is on its way at a time, and it takes effect only where the channel still shows what we
believed (compare-and-set), as the publisher does it. Numbers come from `channels.modes`, as they do in production.
Goods are independent of one another, so each is played by itself. Times are seconds of the trace's clock.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from channels import modes
from channels.measuring import SPAN
from channels.sandbox.trading.trace import Invoice

DAY_S, WEEK_S = 86_400.0, 7 * 86_400.0
SPAN_S = SPAN.total_seconds()
WARM_UP = SPAN  # nothing is measured before, so nothing is judged before
LATENCIES_S = (1.0, 5.0, 60.0, 900.0)
PARTS = (4, 3, 2, 1)  # how many of ten customers come to each
BATCH_AT_S = 2 * 3600.0  # a nightly batch runs at two in the morning
POLL_EVERY_S = 900.0


@dataclass(frozen=True)
class Customer:
    """Somebody who wants units of one thing at one channel. `order` is the invoice: several things may be one order."""

    at: float
    channel: int
    units: int
    order: int


@dataclass(frozen=True)
class Way:
    """One way of keeping channels in step. `every_s`: all are read and set at once, so often; 0: by each event."""

    name: str
    mode: str
    every_s: float = 0.0
    risk_max: float = modes.RISK_MAX


WAYS = (
    Way("nightly batch", "shared", DAY_S),
    Way("15-minute polling", "shared", POLL_EVERY_S),
    Way("shared", "shared"),
    Way("buffered, ε = 1 %", "buffered"),
    Way("buffered, ε = 0.001 %", "buffered", risk_max=0.00001),
    Way("escrow", "escrow"),
)


@dataclass
class Score:
    """What came of it, by channel. Orders are counted once, however many of their lines failed."""

    orders: list[set[int]] = field(default_factory=lambda: [set() for _ in LATENCIES_S])
    oversold: list[set[int]] = field(default_factory=lambda: [set() for _ in LATENCIES_S])
    units_sold: int = 0
    units_lost: int = 0  # wanted, on the shelf, and not shown
    windows: list[float] = field(default_factory=lambda: [0.0 for _ in LATENCIES_S])
    lines: list[int] = field(default_factory=lambda: [0 for _ in LATENCIES_S])
    shortages: list[int] = field(default_factory=lambda: [0 for _ in LATENCIES_S])  # of these lines

    @property
    def oversells_per_10_000(self) -> float:
        """Orders that were taken and could not be kept, of 10,000 taken."""
        taken = len(set().union(*self.orders))
        return 10_000 * len(set().union(*self.oversold)) / taken if taken else 0.0

    @property
    def lost_percent(self) -> float:
        """Units that were wanted and there and not sold, of all that were wanted and there."""
        there = self.units_sold + self.units_lost
        return 100 * self.units_lost / there if there else 0.0

    @property
    def risk_percent(self) -> float:
        """Realised risk: of the latencies in which the worst channel showed something, those with an oversold line."""
        return _worst_percent(self.shortages, self.windows)

    @property
    def worst_lines_percent(self) -> float:
        """Of the lines that the worst channel took, how many found less than was shown."""
        return _worst_percent(self.shortages, self.lines)

    @property
    def worst_orders_percent(self) -> float:
        """Of the orders that the worst channel took, how many had such a line."""
        return _worst_percent(map(len, self.oversold), map(len, self.orders))


def _worst_percent(parts: Iterable[int], wholes: Iterable[float]) -> float:
    """The greatest of the channels' shares; a channel without any counts for nothing."""
    return max((100 * part / whole for part, whole in zip(parts, wholes, strict=True) if whole), default=0.0)


def customers(invoices: Iterable[Invoice], *, seed: int) -> dict[str, list[Customer]]:
    """Each thing's customers in time; every invoice is one customer at one channel, at a second of its minute."""
    chance = random.Random(seed)
    found: dict[str, list[Customer]] = {}
    start: float | None = None
    for number, invoice in enumerate(invoices):
        channel = chance.choices(range(len(PARTS)), PARTS)[0]
        second = chance.random() * 60
        if invoice.is_return:
            continue
        midnight = invoice.at.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        start = midnight if start is None else start
        at = invoice.at.timestamp() + second - start
        for key, units in invoice.units.items():
            found.setdefault(key, []).append(Customer(at, channel, units, number))
    return {key: sorted(wanted, key=lambda one: one.at) for key, wanted in sorted(found.items())}


def play(goods: Mapping[str, Sequence[Customer]], *, way: Way, weeks_of_cover: float) -> Score:
    """Sell everything in this way. Each Monday-like week the shelf is filled up to so many weeks of wanted units."""
    score = Score()
    for wanted in goods.values():
        Thing(wanted, way=way, weeks_of_cover=weeks_of_cover, score=score).play()
    return score


# Kinds of event, in the order in which they happen at one moment.
DELIVERY, TICK, NEWS, ARRIVAL, CUSTOMER = range(5)


class Thing:
    """One thing's shelf, its ledger, and what four channels show and are believed to show of it."""

    def __init__(self, wanted: Sequence[Customer], *, way: Way, weeks_of_cover: float, score: Score) -> None:
        self.wanted, self.way, self.cover, self.score = wanted, way, weeks_of_cover, score
        count = len(LATENCIES_S)
        self.shelf = self.pool = 0
        self.shown = [0] * count
        self.expected = [0] * count
        self.sent: list[int | None] = [None] * count
        self.based_on = [0] * count
        self.known: list[deque[tuple[float, int]]] = [deque() for _ in range(count)]
        self.late_s = [whole_way(channel) for channel in range(count)]
        self.hidden = [0] * count
        self.measured_at = -math.inf
        self.events: list[tuple[float, int, int, int, int]] = []
        self.number = 0

    def play(self) -> None:
        """All of its events, in time."""
        for place, customer in enumerate(self.wanted):
            self._push(customer.at, CUSTOMER, place, 0)
        end = self.wanted[-1].at
        for week in range(int(end // WEEK_S) + 1):
            self._push(week * WEEK_S, DELIVERY, 0, 0)
        if self.way.every_s:
            self._push(0.0, TICK, 0, 0)
        now = 0.0
        while self.events:
            at, kind, _, first, second = heapq.heappop(self.events)
            if at > end:
                break
            self._pass(now, at)
            now = at
            self._happen(now, kind, first, second, end)

    def _push(self, at: float, kind: int, first: int, second: int) -> None:
        self.number += 1
        heapq.heappush(self.events, (at, kind, self.number, first, second))

    def _pass(self, since: float, now: float) -> None:
        """Time in which a channel showed something: what realised risk is counted against."""
        counted = now - max(since, WARM_UP.total_seconds())
        if counted > 0:
            for channel, late_s in enumerate(self.late_s):
                if self.shown[channel] > 0:
                    self.score.windows[channel] += counted / late_s

    def _happen(self, now: float, kind: int, first: int, second: int, end: float) -> None:
        if kind == CUSTOMER:
            self._customer(self.wanted[first])
        elif kind == DELIVERY:
            self._deliver(now)
        elif kind == NEWS:
            self.pool -= second
            self.expected[first] -= second
            self.known[first].append((now, second))
            self._tell(now)
        elif kind == ARRIVAL:
            self._arrive(now, first)
        else:
            self.shown = [max(0, self.shelf)] * len(self.shown)
            if now < end:  # the first batch comes in the night, every further one a span later
                self._push(
                    now + (BATCH_AT_S if not now and self.way.every_s == DAY_S else self.way.every_s), TICK, 0, 0
                )

    def _customer(self, customer: Customer) -> None:
        channel, units = customer.channel, customer.units
        is_judged = customer.at >= WARM_UP.total_seconds()
        taken = min(units, self.shown[channel])
        got = min(taken, self.shelf)
        if is_judged:
            self.score.units_lost += max(0, min(units, self.shelf) - taken)
            self.score.units_sold += got
            if taken:
                self.score.orders[channel].add(customer.order)
                self.score.lines[channel] += 1
            if got < taken:
                self.score.oversold[channel].add(customer.order)
                self.score.shortages[channel] += 1
        # What was taken and is not there is cancelled at once, and the channel counts it again.
        self.shown[channel] -= got
        self.shelf -= got
        if got and not self.way.every_s:
            self._push(customer.at + LATENCIES_S[channel], NEWS, channel, got)

    def _deliver(self, now: float) -> None:
        """Fill the shelf up to so many weeks of what was wanted lately; before anything was, of what will be."""
        span = (now - SPAN_S, now) if now >= SPAN_S else (0.0, SPAN_S)
        lately = sum(one.units for one in self.wanted if span[0] <= one.at < span[1])
        level = math.ceil(lately / (SPAN_S / WEEK_S) * self.cover)
        more = max(0, level - self.shelf)
        self.shelf += more
        self.pool += more
        if not self.way.every_s:
            self._tell(now)

    def _tell(self, now: float) -> None:
        """Work out what each channel should show, and send what is due: one number on its way a channel."""
        desired = self._desired(now)
        for channel, number in enumerate(desired):
            if self.sent[channel] is None and number != self.expected[channel]:
                self.based_on[channel] = self.expected[channel]
                self.sent[channel] = number - self.expected[channel]
                self._push(now + LATENCIES_S[channel], ARRIVAL, channel, 0)

    def _arrive(self, now: float, channel: int) -> None:
        """A number takes effect and is acknowledged; one based on a number that has moved on is refused.

        What moved it is a sale whose news is on its way: then the number is told anew.
        """
        step = self.sent[channel] or 0
        self.sent[channel] = None
        if self.shown[channel] == self.based_on[channel]:
            self.shown[channel] += step
            self.expected[channel] += step
        self._tell(now)

    def _desired(self, now: float) -> list[int]:
        if self.way.mode == "shared":
            return [max(0, self.pool)] * len(self.shown)
        if self.way.mode == "buffered":
            self._measure(now)
            return [modes.published(available=self.pool, hidden=hidden) for hidden in self.hidden]
        self._forget(now)
        exposed = [
            max(0, believed, believed + (step or 0)) for believed, step in zip(self.expected, self.sent, strict=True)
        ]
        weights = [sum(units for _, units in sales) + 1 for sales in self.known]
        return modes.escrow_desired(pool=self.pool, weights=weights, exposed=exposed)

    def _measure(self, now: float) -> None:
        """As often as a day: what sold in the span, and the buffers that follow."""
        if now - self.measured_at < DAY_S:
            return
        self.measured_at = now
        self._forget(now)
        orders = [len(sales) for sales in self.known]
        units = [sum(units for _, units in sales) for sales in self.known]
        for channel, late_s in enumerate(self.late_s):
            here = modes.velocity(orders=orders[channel], units=units[channel], span_s=SPAN_S)
            others = modes.velocity(
                orders=sum(orders) - orders[channel], units=sum(units) - units[channel], span_s=SPAN_S
            )
            self.hidden[channel] = modes.buffer(here=here, others=others, latency_s=late_s, risk_max=self.way.risk_max)

    def _forget(self, now: float) -> None:
        for sales in self.known:
            while sales and sales[0][0] < now - SPAN_S:
                sales.popleft()


def whole_way(channel: int) -> float:
    """How late a channel learns of a sale elsewhere, at the 99th of 100 sales: the seller's latency and its own."""
    ways = Counter({LATENCIES_S[other]: part for other, part in enumerate(PARTS) if other != channel})
    total, seen = sum(ways.values()), 0
    for latency_s in sorted(ways):
        seen += ways[latency_s]
        if seen >= 0.99 * total:
            break
    return latency_s + LATENCIES_S[channel]


def duration(seconds: float) -> str:
    """For the table's head."""
    return f"{seconds:g} s" if seconds < 60 else f"{timedelta(seconds=seconds).seconds // 60} min"
