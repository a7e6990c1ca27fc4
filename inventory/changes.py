"""One hook: "stock of these cells changed", announced inside the posting transaction; others subscribe to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class CellChange:
    """The net change of one cell in one posting. `absorbed` units had no effect here (a later count knew them).

    `own_on_hand` and `own_available`: by how much the reporting channel's own number moved by itself with it.
    `occurred_at` is the oldest cause's time, `event_id` the newest inbox event behind it (opaque here).
    """

    variant_id: int
    location_id: int
    on_hand: Decimal
    committed: Decimal
    reserved: Decimal
    unavailable: Decimal
    absorbed: Decimal
    own_on_hand: Decimal
    own_available: Decimal
    available_after: Decimal
    occurred_at: datetime
    event_id: int | None

    def __add__(self, later: CellChange) -> CellChange:
        """This change followed by a later one of the same cell."""
        return CellChange(
            variant_id=self.variant_id,
            location_id=self.location_id,
            on_hand=self.on_hand + later.on_hand,
            committed=self.committed + later.committed,
            reserved=self.reserved + later.reserved,
            unavailable=self.unavailable + later.unavailable,
            absorbed=self.absorbed + later.absorbed,
            own_on_hand=self.own_on_hand + later.own_on_hand,
            own_available=self.own_available + later.own_available,
            available_after=later.available_after,
            occurred_at=min(self.occurred_at, later.occurred_at),
            event_id=later.event_id or self.event_id,
        )


@dataclass(frozen=True)
class Posting:
    """What one call of the ledger changed. `channel_id`: the channel whose own number moved by itself with it."""

    merchant_id: int
    cells: Sequence[CellChange]
    channel_id: int | None


Subscriber = Callable[[Posting], None]
_subscribers: list[Subscriber] = []


def subscribe(subscriber: Subscriber) -> None:
    """Call `subscriber` inside every posting's transaction, after the levels have changed. Twice is once."""
    if subscriber not in _subscribers:
        _subscribers.append(subscriber)


def announce(posting: Posting) -> None:
    """Tell all subscribers; what one of them raises undoes the posting."""
    for subscriber in _subscribers:
        subscriber(posting)
