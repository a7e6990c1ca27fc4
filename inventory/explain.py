"""What channels believe, told to inventory's pages through one hook: inventory itself knows no channel.

`channels` registers a provider in its AppConfig; without one, the pages show stock alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from django.db.models import Q

from inventory.models import Order

# What a channel's cell is like, worst first; a variant's mark is the worst of its cells.
LOST, DRIFT, BLOCKED, PENDING, PAUSED, UNKNOWN, AGREES, UNLINKED = (
    "lost", "drift", "blocked", "pending", "paused", "unknown", "agrees", "unlinked"
)  # fmt: skip
WORST_FIRST = (LOST, DRIFT, BLOCKED, PENDING, PAUSED, UNKNOWN, AGREES, UNLINKED)


@dataclass(frozen=True)
class Channel:
    """A connection of the shop, as its pages name it."""

    connection_id: int
    label: str
    is_live: bool


@dataclass(frozen=True)
class Told:
    """The newest number we sent to a cell, in units, and what the channel said to it."""

    quantity: Decimal
    sent_at: datetime | None
    answered_at: datetime | None
    is_confirmed: bool
    words: str

    @property
    def took(self) -> timedelta | None:
        """From sending to the answer."""
        return self.answered_at - self.sent_at if self.answered_at and self.sent_at else None


@dataclass(frozen=True)
class Reason:
    """One step from what is available to what a channel should show, in units; `url` leads to the rule behind it."""

    amount: Decimal
    words: str
    rule_words: str = ""
    url: str = ""


@dataclass(frozen=True)
class ChannelView:
    """One cell of a channel: what it should show, what we believe it shows, what it last told us; None is unknown.

    `location_id` is ours. `doubt`: units missing there without a cause. Where asked for: `told`, and `promised`, what
    it sells beyond what is there, by which day, in words.
    """

    variant_id: int
    connection_id: int
    channel_label: str
    location_id: int | None
    location_name: str
    desired: Decimal | None
    expected: Decimal | None
    observed: Decimal | None
    observed_at: datetime | None
    told_at: datetime | None
    state: str
    words: str
    doubt: Decimal
    told: Told | None = None
    reasons: Sequence[Reason] = ()
    promised: str = ""


@dataclass(frozen=True)
class Deed:
    """Something a person may do with an order, and where."""

    words: str
    url: str


@dataclass(frozen=True)
class Asked:
    """What a person asked an order's channel, and how far that is; `kind` is a status of the pages.

    `call_back_url`, `retry_url`: where that can be done now, else "".
    """

    words: str
    state: str
    kind: str
    error: str
    asked_at: datetime
    ended_at: datetime | None
    by: str
    call_back_url: str = ""
    retry_url: str = ""


@dataclass(frozen=True)
class OrderDeeds:
    """What may be asked of an order's channel, what a person does there by hand instead (at `page`), what was asked."""

    channel: str = ""
    deeds: Sequence[Deed] = ()
    by_hand: Sequence[str] = ()
    page: str = ""
    asked: Sequence[Asked] = ()
    collisions: Sequence[Deed] = ()


class ChannelProvider(Protocol):
    """What `channels` offers; every method costs a number of queries that does not depend on the number of rows."""

    def channels(self, *, merchant_id: int) -> Sequence[Channel]:
        """The shop's connections, closed ones left out, in a fixed order."""

    def labels(self, *, merchant_id: int) -> dict[int, str]:
        """Names of all connections there ever were, for history."""

    def views(
        self, *, merchant_id: int, variant_ids: Collection[int], with_told: bool = False
    ) -> Sequence[ChannelView]:
        """The cells of these variants."""

    def variants_in(self, *, merchant_id: int, state: str, location_id: int | None) -> Q:
        """A condition on variants: DRIFT, PENDING or UNLINKED somewhere."""

    def event_url(self, *, shop: str, event_id: int) -> str:
        """Where the payload behind a movement is shown."""

    def order_deeds(self, *, shop: str, order: Order) -> OrderDeeds:
        """What may be asked of the order's channel, and what was."""


class _NoChannels:
    """Stands in until a provider is registered."""

    def channels(self, *, merchant_id: int) -> Sequence[Channel]:
        return []

    def labels(self, *, merchant_id: int) -> dict[int, str]:
        return {}

    def views(
        self, *, merchant_id: int, variant_ids: Collection[int], with_told: bool = False
    ) -> Sequence[ChannelView]:
        return []

    def variants_in(self, *, merchant_id: int, state: str, location_id: int | None) -> Q:
        return Q(pk__in=[])

    def event_url(self, *, shop: str, event_id: int) -> str:
        return ""

    def order_deeds(self, *, shop: str, order: Order) -> OrderDeeds:
        return OrderDeeds()


_provider: ChannelProvider = _NoChannels()


def provide_channels(provider: ChannelProvider) -> None:
    """Register who speaks for the channels; the last one wins."""
    global _provider
    _provider = provider


def channels() -> ChannelProvider:
    """Who speaks for the channels."""
    return _provider
