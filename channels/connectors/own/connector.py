"""The shop's own site as a channel: our numbers go out as `availability.changed`; all else it tells us by itself.

It has no API of its own that we could read: its orders and holds come in through ours, and what it shows is what it was
last told. So every reading answers "nothing known", never zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from channels.connectors.own import client
from channels.connectors.own.client import Answer, Endpoint, Message
from channels.ports import (
    Account,
    ActionResult,
    BackLine,
    Capabilities,
    CatalogPage,
    ChannelOrder,
    ConnectorError,
    Count,
    CountResult,
    CountWrite,
    Envelope,
    FreshCredentials,
    Hint,
    HintKind,
    ListingNow,
    ListingResult,
    ListingWrite,
    Meter,
    OrderAction,
    OrderActionKind,
    OrderOption,
    OrdersPage,
    RefundQuote,
    RemoteLocation,
    StockChangesPage,
    Subscription,
    WriteMode,
    WriteOutcome,
)

TOPIC = "availability.changed"
LINES_MAX = 200


class Log(Protocol):
    """Keeps what was sent and what came of it; given by the app that keeps the shop's endpoints."""

    def attempted(self, *, account_id: str, message: Message, endpoint_id: int, answer: Answer) -> None:
        """One try at one endpoint."""

    def handed_over(self, *, message_id: str, endpoint_ids: Sequence[int]) -> None:
        """These endpoints missed a message that another took: the log's own worker goes on trying them."""


_log: list[Log] = []


def keep_log(log: Log) -> None:
    """From now on tries are told to `log`."""
    _log[:] = [log]


class OwnConnector:
    """One site or app of the shop's own. `credentials["endpoints"]`: id, url, topics, keys, may_be_private of each."""

    capabilities = Capabilities(
        write_mode=WriteMode.ABSOLUTE,  # numbers are ours: nobody else writes them there
        write_batch_max=LINES_MAX,
        read_batch_max=1000,
        number="available",
        can_be_set_negative=False,
        takes_fractions=True,
        has_change_feed=False,
        tells_deletions=False,
        tells_counts=False,
        order_actions=frozenset(OrderActionKind),
        order_options=frozenset({OrderOption.ADD}),
    )

    def __init__(self, *, account: Account) -> None:
        self.meter = Meter()
        self._account = account

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Tell every endpoint that wants to know; told once one of them took it, or where there is none.

        Endpoints that missed it are tried again by the log's worker. Where none took it the same message comes again,
        under the same id. Raises ConnectorError.
        """
        message = Message(f"msg_{idempotency_key.replace('-', '')}", TOPIC, _body(writes, now=now))
        taken, missed, failure = 0, [], ""
        for endpoint in self._endpoints():
            answer = client.deliver(endpoint=endpoint, message=message, sent_at=datetime.now(UTC))
            for log in _log:
                log.attempted(
                    account_id=self._account.account_id, message=message, endpoint_id=endpoint.endpoint_id,
                    answer=answer,
                )  # fmt: skip
            if answer.is_taken:
                taken += 1
            elif answer.status != client.GONE:
                missed.append(endpoint.endpoint_id)
                failure = f"{endpoint.url} {answer.error}"
        if missed and not taken:
            raise ConnectorError(failure, is_outcome_unknown=True, code="not_taken")
        for log in _log:
            if missed:
                log.handed_over(message_id=message.message_id, endpoint_ids=missed)
        return [CountResult(WriteOutcome.APPLIED) for _ in writes]

    def _endpoints(self) -> list[Endpoint]:
        described: Sequence[Mapping[str, Any]] = self._account.credentials.get("endpoints", ())
        return [
            Endpoint(one["id"], one["url"], one["keys"], one.get("may_be_private", False))
            for one in described
            if TOPIC in one["topics"]
        ]

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """Nothing is sent to our webhook address by the shop's own site: it has our API."""
        return False

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        """Never asked: nothing is verified."""
        return Envelope("", "", None)

    def parse(self, *, topic: str, body: bytes) -> Hint:
        """Nothing to read again."""
        return Hint(HintKind.NOTHING)

    def refresh_auth(self) -> FreshCredentials:
        """Its secrets do not end."""
        return FreshCredentials(self._account.credentials, None)

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """It tells us through our API."""
        return ()

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""

    def list_locations(self) -> Sequence[RemoteLocation]:
        """Its places are ours."""
        return ()

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """Its catalog is ours."""
        return CatalogPage((), "", None)

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """Nobody tells us what it shows: unknown, not zero."""
        return ()

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        """Its listings are ours."""
        return ()

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """Nothing to change there."""
        return [ListingResult(WriteOutcome.REFUSED, "the shop's own site takes its goods from here") for _ in writes]

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """Its orders come in through our API."""
        return OrdersPage((), "", None)

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Its orders come in through our API."""
        return ()

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """Never asked: its orders are ours, and their lines have no prices."""
        raise ConnectorError("The own site is asked for no refund", permanent=True)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """Never asked: its orders are ours, and the site is told what became of them (channels/own/acting.py)."""
        return ActionResult(WriteOutcome.REFUSED, "the shop's own site has its orders from here")

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """Nobody else changes its numbers."""
        return StockChangesPage((), "", None)


def _body(writes: Sequence[CountWrite], *, now: datetime) -> bytes:
    """The numbers as they should be shown from `now` on; absolute, so that an older message can be told and left."""
    lines = [
        {
            "variant_id": int(write.inventory_id),
            "location_id": int(write.location_id),
            "available": as_number(write.to_quantity),
        }
        for write in writes
    ]
    document = {"type": TOPIC, "timestamp": now.astimezone(UTC).isoformat(), "data": {"availability": lines}}
    return json.dumps(document, separators=(",", ":")).encode()


def as_number(quantity: Decimal) -> int | str:
    """A quantity as our API writes it: a whole number, or text where it has a fraction."""
    whole = quantity.to_integral_value()
    return int(whole) if whole == quantity else format(quantity.normalize(), "f")
