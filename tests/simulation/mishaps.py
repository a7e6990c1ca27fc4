"""What goes wrong, and when: at which statement a worker dies, which call gets no answer, what webhooks suffer.

The stand-ins ask `strikes` whether a planned fault hits them, as they ask their own table in the demo; the databases
say each statement, the network each call.
"""

from __future__ import annotations

import json
import random
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import requests
from django.db.utils import OperationalError

from channels.sandbox import faults
from channels.sandbox.models import Fault
from tests.simulation import transport
from tests.simulation.databases import STUDIO, Killed, Link, Parties
from tests.simulation.transport import Call, Network

# What a call to a vendor may suffer. The first four are the stand-ins' own doing; not each does half a batch.
CALLS = (
    "rate_limited", "server_error", "timeout_after", "half_batch", "refused", "cut_before", "cut_after", "thinned",
)  # fmt: skip

OURS = ("refused", "cut_before", "cut_after", "thinned")  # on the way, not at the stand-in

# Where the stand-ins keep what they show.
STOCK_TABLES = ("_inventorylevel", "_inventorycount", "_lightspeed_level", "_woocommerce_product")


@dataclass
class Mishap:
    """At the `at`-th statement, commit or call of the work under way: `kind`."""

    kind: str  # killed, severed, commit_lost, crowded
    at: int
    has_struck: bool = False


@dataclass
class Mishaps:
    """All that is planned at the moment."""

    parties: Parties
    network: Network
    mishap: Mishap | None = None
    during: Callable[[], None] = lambda: None  # what others do while a crowded worker works
    seen: int = 0
    watched: tuple[str, ...] = ()
    is_crowded: bool = False
    calls: list[str] = field(default_factory=list)  # of the next calls to a vendor, one each; "" for none
    storm: dict[str, float] = field(default_factory=dict)  # what webhooks suffer, with which probability
    total: int = 0  # statements of ours
    struck: Tally[str] = field(default_factory=Tally)  # faults that befell somebody, by kind
    on_stock_moved: Callable[[], None] = lambda: None  # a vendor may show other numbers from now on
    web_is_away: bool = False  # no webhook finds our web process
    under_way: str = ""  # the fault of the call now at the vendor's
    switches: dict[str, Any] = field(default_factory=dict)  # how vendors behave where that is not established

    def wire(self) -> None:
        """Listen to the databases and the network."""
        self.parties.on_statement = self._on_statement
        self.network.on_call, self.network.on_answer = self._on_call, self._on_answer

    @contextmanager
    def planned(self, mishap: Mishap | None, during: Callable[[], None], *, party: str = "studio") -> Iterator[None]:
        """This may befall the work of this party, and of the web process it has called, in the block."""
        self.mishap, self.during, self.seen, self.watched = mishap, during, 0, (party, "web")
        try:
            yield
        finally:
            self.mishap = None

    def _on_statement(self, link: Link, sql: str) -> None:
        self.total += 1
        self._watch_stock(link, sql)
        if self.mishap is None or self.is_crowded or link.party not in self.watched:
            return
        self.seen += 1
        if self.mishap.has_struck or self.seen < self.mishap.at:
            return
        if sql == "COMMITTED":
            if self.mishap.kind == "commit_lost":
                self._strike(link)
        elif self.mishap.kind == "crowded":
            if not link.in_atomic_block and sql != "COMMIT":
                self._strike(link)
        elif self.mishap.kind != "commit_lost" and sql != "COMMIT":
            self._strike(link)

    def _watch_stock(self, link: Link, sql: str) -> None:
        if link.party not in STUDIO and sql.startswith(("UPDATE", "INSERT")) and any(t in sql for t in STOCK_TABLES):
            link.moved_stock = True
        elif sql == "COMMITTED" and link.moved_stock:
            link.moved_stock = False
            self.on_stock_moved()

    def _strike(self, link: Link) -> None:
        mishap = self.mishap
        assert mishap is not None
        mishap.has_struck = True
        self.struck[mishap.kind] += 1
        if mishap.kind == "killed":
            self.parties.kill(link)
            raise Killed
        if mishap.kind == "severed":
            self.parties.sever(link)
        if mishap.kind == "commit_lost":
            link.connection.close()
            link.errors_occurred = True
            raise OperationalError("server closed the connection unexpectedly")
        if mishap.kind == "crowded":
            self.is_crowded = True
            try:
                self.during()
            finally:
                self.is_crowded = False

    def _on_call(self, call: Call) -> None:
        if self.web_is_away and call.url.startswith(transport.STUDIO):
            self.struck["webhook refused"] += 1
            raise requests.ConnectionError("connection refused")
        if call.party not in STUDIO:
            return
        link = self.parties.link(call.party)
        if link.in_atomic_block and not call.is_token:
            raise AssertionError(f"{call.method} {call.url} was called inside a transaction")
        self._on_statement(link, "CALL")
        self.under_way = self.calls.pop(0) if self.calls else ""
        if self.under_way in OURS:
            self.struck[self.under_way] += 1
        if self.under_way == "refused":
            raise requests.ConnectTimeout("no connection was made")
        if self.under_way == "cut_before":
            raise requests.ConnectionError("connection reset before the request arrived")

    def _on_answer(self, call: Call, answer: requests.Response) -> None:
        if call.party not in STUDIO:
            return
        fault, self.under_way = self.under_way, ""
        self._on_statement(self.parties.link(call.party), "CALL")
        if fault == "cut_after":
            raise requests.ReadTimeout("the answer did not come")
        if fault == "thinned":
            body = answer.json()
            # A list by itself is WooCommerce's: of what was asked for by id, not its catalog, where absence tells that
            # a product is gone.
            is_asked_for = isinstance(body, list) and "include=" in call.url
            _thin({"": body} if is_asked_for else body, is_write=call.method != "GET")
            answer._content = json.dumps(body).encode()

    def strikes(self, *, vendor: str, operation: str, kind: str) -> Fault | None:
        """In the place of `faults.strikes`: the same question, answered from the schedule."""
        if operation.startswith("webhook"):
            if random.random() >= self.storm.get(kind, 0.0):
                return None
            self.struck[f"webhook {kind}"] += 1
            return Fault(vendor=vendor, kind=kind, params={"delay_s_max": 90.0})
        if self.under_way != kind:
            return None
        self.under_way = ""
        self.struck[kind] += 1
        return Fault(vendor=vendor, kind=kind)

    def switch(self, name: str, default: Any) -> Any:
        """In the place of `faults.switch`."""
        return self.switches.get(name, default)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The stand-ins ask here while the block runs."""
        with mock.patch.object(faults, "strikes", self.strikes), mock.patch.object(faults, "switch", self.switch):
            yield

    def cease(self) -> None:
        """No more faults."""
        self.calls.clear()
        self.storm.clear()
        self.web_is_away = False


def _thin(value: object, *, is_write: bool) -> None:
    """Some counts of an answer are missing from it: a page that was cut, an index that lags."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, list):
            inner[:] = [one for one in inner if not (_is_count(one, is_write=is_write) and random.random() < 0.5)]
        _thin(inner, is_write=is_write)


def _is_count(one: object, *, is_write: bool) -> bool:
    """A count in Square's answer, Shopify's, Lightspeed's, WooCommerce's; or what Lightspeed tells of our own write.

    Its history, which is numbered and read by number, has no holes.
    """
    return isinstance(one, dict) and (
        one.keys() >= {"location_id", "quantity", "state"}
        or "quantities" in one
        or one.keys() >= {"product_id", "current_inventory_level"}
        or one.keys() >= {"manage_stock", "stock_quantity"}
        or (is_write and one.keys() >= {"product_id", "outlet_id", "quantity", "reason"})
    )
