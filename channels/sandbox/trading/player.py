"""Plays invoices: one thread a channel, so that both sell the same goods at once, each channel in its own order.

Which channel an invoice goes to, and what becomes of it there, follows from its number and the seed alone. What comes
back goes to the channel that sold it, behind that sale in the same queue.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from channels.sandbox.trading.calls import Refused, Unanswered
from channels.sandbox.trading.till import Till, TillSale
from channels.sandbox.trading.trace import Invoice
from channels.sandbox.trading.web import Storefront

QUEUED_MAX = 8  # how far one channel may run ahead of the other
GAP_S_MAX = 3.0  # nights and Sundays are not waited for
TILL, WEB = "till", "web"
NOW, LATER, CANCELLED, OPEN = "now", "later", "cancelled", "open"
WEB_ENDS = ((0.60, NOW), (0.85, LATER), (0.93, CANCELLED), (1.0, OPEN))
PICKUP_SHARE = 0.12
COLLECTED_SHARE = 0.8
BASKET_MAX = 250  # lines of one order: the web shop takes no more; who wants more buys twice
LATER_STEPS = (2, 15)  # after how many more customers of the channel a later step comes


@dataclass(frozen=True)
class TakeBack:
    """Units of one earlier invoice that a return gives back."""

    number: str
    sold_on: str
    units: Mapping[str, int]


Step = Invoice | TakeBack


@dataclass
class Tally:
    """What happened so far; counted from both threads."""

    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, count: int = 1) -> None:
        """Count something."""
        with self.lock:
            self.counts[what] += count

    def read(self) -> Counter[str]:
        """The counts as they stand."""
        with self.lock:
            return Counter(self.counts)


def chance(*parts: object) -> float:
    """A number in [0, 1) that follows from its parts alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def baskets(invoice: Invoice) -> list[Invoice]:
    """An invoice as orders of at most BASKET_MAX lines, the second and later ones numbered on."""
    skus = list(invoice.units)
    return [
        replace(
            invoice,
            number=f"{invoice.number}-{start // BASKET_MAX + 1}" if start else invoice.number,
            units={sku: invoice.units[sku] for sku in skus[start : start + BASKET_MAX]},
        )
        for start in range(0, len(skus), BASKET_MAX)
    ]


class Planner:
    """Says which channel plays an invoice, and to which earlier sales a return belongs."""

    def __init__(self, *, seed: int, tally: Tally, names: Sequence[str] = (TILL, WEB)) -> None:
        self.seed, self.tally, self.names = seed, tally, names
        # SKU -> [invoice, customer, units that may still come back], oldest first
        self._sold: dict[str, list[tuple[str, str, list[int]]]] = defaultdict(list)

    def channel(self, number: str) -> str:
        """The same for the same invoice and seed."""
        return self.names[int(chance(self.seed, "channel", number) * len(self.names))]

    def steps(self, invoice: Invoice) -> list[tuple[str, Step]]:
        """What to play where, for one invoice."""
        if not invoice.is_return:
            return [(self.channel(part.number), self._sell(part)) for part in baskets(invoice)]
        by_sale: dict[str, dict[str, int]] = defaultdict(dict)
        for sku, units in invoice.units.items():
            for sold_on, given in self._sales_of(sku, invoice.customer, units):
                by_sale[sold_on][sku] = by_sale[sold_on].get(sku, 0) + given
        return [(self.channel(sold_on), TakeBack(invoice.number, sold_on, units)) for sold_on, units in by_sale.items()]

    def _sell(self, invoice: Invoice) -> Invoice:
        for sku, units in invoice.units.items():
            self._sold[sku].append((invoice.number, invoice.customer, [units]))
        return invoice

    def _sales_of(self, sku: str, customer: str, units: int) -> Iterable[tuple[str, int]]:
        """The customer's own purchases first, then anyone's, newest first; what is left had no sale."""
        sales = self._sold[sku]
        own = [sale for sale in reversed(sales) if customer and sale[1] == customer]
        others = [sale for sale in reversed(sales) if not (customer and sale[1] == customer)]
        for number, _, rest in [*own, *others]:
            given = min(units, rest[0])
            if given:
                rest[0] -= given
                units -= given
                yield number, given
            if not units:
                return
        self.tally.add("units brought back without a sale", units)


class Channel(threading.Thread):
    """One channel's customers, one after another; what is to happen later waits for its turn."""

    def __init__(self, *, name: str, seed: int, tally: Tally) -> None:
        super().__init__(name=name, daemon=True)
        self.seed, self.tally = seed, tally
        self.queue: queue.Queue[Step | None] = queue.Queue(QUEUED_MAX)
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.step = 0

    def run(self) -> None:
        """Play until told that there is no more. One that fails is counted and named; the shop stays open."""
        while (step := self.queue.get()) is not None:
            self.step += 1
            self._attempt(step.number, lambda step=step: self.play(step))  # type: ignore[misc]
            due = [act for at, act in self.later if at <= self.step]
            self.later = [entry for entry in self.later if entry[0] > self.step]
            for act in due:
                self._attempt(step.number, act)

    def _attempt(self, number: str, act: Callable[[], None]) -> None:
        try:
            act()
        except (Refused, Unanswered) as error:
            kind = "refused by the vendor" if isinstance(error, Refused) else "never answered"
            self.tally.add(f"{self.name}: steps {kind}: {str(error)[:90]}")
        except Exception as error:
            self.tally.add(f"{self.name}: steps failed: {type(error).__name__}: {str(error)[:90]} ({number})")

    def play(self, step: Step) -> None:
        """Play one step."""
        raise NotImplementedError

    def defer(self, number: str, act: Callable[[], None]) -> None:
        """Do it after a few more customers; what has not come when the shop closes stays open."""
        low, high = LATER_STEPS
        self.later.append((self.step + low + int(chance(self.seed, "when", number) * (high - low)), act))


class TillChannel(Channel):
    """Customers at the till: most take their goods with them, some order ahead and collect."""

    def __init__(self, *, till: Till, location_ids: tuple[str, ...], seed: int, tally: Tally) -> None:
        super().__init__(name=TILL, seed=seed, tally=tally)
        self.till, self.location_ids = till, location_ids
        self.sales: dict[str, TillSale] = {}
        self.uncollected: set[str] = set()

    def play(self, step: Step) -> None:
        """Sell, or take back."""
        if isinstance(step, TakeBack):
            self._take_back(step)
            return
        is_pickup = chance(self.seed, "pickup", step.number) < PICKUP_SHARE
        # Four of five at the first place, the rest spread.
        spread = chance(self.seed, "place", step.number)
        place = self.location_ids[0 if spread < 0.8 else int(spread * 1000) % len(self.location_ids)]
        sale = self.till.sell(invoice=step.number, location_id=place, units=step.units, is_pickup=is_pickup)
        self.sales[step.number] = sale
        self.tally.add("till orders")
        self.tally.add("lines sold", len(sale.units))
        self.tally.add("units sold", sum(sale.units.values()))
        if is_pickup:
            self.tally.add("pickups ordered")
            self.uncollected.add(step.number)
            if chance(self.seed, "collected", step.number) < COLLECTED_SHARE:
                self.defer(step.number, lambda: self._collect(step.number))

    def _collect(self, number: str) -> None:
        if number in self.uncollected:
            self.till.collect(sale=self.sales[number])
            self.uncollected.discard(number)
            self.tally.add("pickups collected")

    def _take_back(self, step: TakeBack) -> None:
        sale = self.sales.get(step.sold_on)
        units = {} if sale is None else {sku: units for sku, units in step.units.items() if sku in sale.units}
        self.tally.add("units brought back without a sale", sum(step.units.values()) - sum(units.values()))
        if sale is None or not units:
            return
        self._collect(step.sold_on)  # what comes back was fetched before
        self.till.take_back(sale=sale, units=units, by=step.number)
        self.tally.add("returns")
        self.tally.add("units given back", sum(units.values()))


class WebChannel(Channel):
    """Customers at the web shop: most orders ship at once, some later, some are cancelled, some wait."""

    def __init__(
        self, *, web: Storefront, location_ids: tuple[str, ...], seed: int, tally: Tally, name: str = WEB
    ) -> None:
        super().__init__(name=name, seed=seed, tally=tally)
        self.web, self.location_ids = web, location_ids
        self.sales: dict[str, Any] = {}
        self.fulfilled: set[str] = set()
        self.returned: set[str] = set()

    def play(self, step: Step) -> None:
        """Buy, or bring back."""
        if isinstance(step, TakeBack):
            self._take_back(step)
            return
        checkout = self.web.buy(invoice=step.number, units=step.units)
        self.tally.add("lines refused: not enough there", len(checkout.refused))
        if checkout.sale is None:
            self.tally.add("web orders with nothing left to buy")
            return
        number, sale = step.number, checkout.sale
        self.sales[number] = sale
        self.tally.add("web orders")
        self.tally.add("lines sold", len(sale.units))
        self.tally.add("units sold", sum(sale.units.values()))
        draw = chance(self.seed, "end", number)
        end = next(name for limit, name in WEB_ENDS if draw < limit)
        if end == NOW:
            self._fulfil(number)
        elif end == LATER:
            self.defer(number, lambda: self._fulfil(number))
        elif end == CANCELLED:
            self.defer(number, lambda: self._cancel(number))

    def _fulfil(self, number: str) -> None:
        if number in self.sales and number not in self.fulfilled and number not in self.returned:
            self.web.fulfil(sale=self.sales[number])
            self.fulfilled.add(number)
            self.tally.add("web orders shipped")

    def _cancel(self, number: str) -> None:
        if number not in self.returned:
            sale = self.sales.pop(number)
            self.web.cancel(sale=sale)
            self.tally.add("web orders cancelled")
            self.tally.add("units given back", sum(sale.units.values()))

    def _take_back(self, step: TakeBack) -> None:
        sale = self.sales.get(step.sold_on)
        units = {} if sale is None else {sku: units for sku, units in step.units.items() if sku in sale.units}
        self.tally.add("units brought back without a sale", sum(step.units.values()) - sum(units.values()))
        if sale is None or not units:
            return
        self.web.take_back(
            sale=sale, units=units, by=step.number, is_fulfilled=step.sold_on in self.fulfilled,
            location_id=self.location_ids[0],
        )  # fmt: skip
        self.returned.add(step.sold_on)  # an order partly let go stays as it is: it is neither shipped nor cancelled
        self.tally.add("returns")
        self.tally.add("units given back", sum(units.values()))


def play(
    *,
    invoices: Iterable[Invoice],
    channels: Mapping[str, Channel],
    planner: Planner,
    speed: float,
    is_stopped: Callable[[], bool],
) -> None:
    """Send customers to both channels at `speed` times their own pace, 0 for as fast as the vendors answer.

    Returns when all is played, or soon after `is_stopped` says so.
    """
    for channel in channels.values():
        channel.start()
    before: datetime | None = None
    for invoice in invoices:
        if is_stopped():
            break
        if speed and before is not None:
            _wait(min(GAP_S_MAX, (invoice.at - before).total_seconds() / speed), is_stopped)
        before = invoice.at
        for name, step in planner.steps(invoice):
            _put(channels[name], step, is_stopped)
    for channel in channels.values():
        _put(channel, None, lambda: False)
    for channel in channels.values():
        channel.join()


def _put(channel: Channel, step: Step | None, is_stopped: Callable[[], bool]) -> None:
    """Queue a step; a full queue is waited for, unless the shop closes."""
    while channel.is_alive() and not is_stopped():
        try:
            channel.queue.put(step, timeout=0.5)
        except queue.Full:
            continue
        return


def _wait(seconds: float, is_stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not is_stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
