"""One hook: "stock of these cells changed", announced inside the posting transaction; others subscribe to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class CellChange:
    """The net change of one cell in one posting. `absorbed` units had no effect here (a later count knew them)."""

    variant_id: int
    location_id: int
    on_hand: Decimal
    committed: Decimal
    reserved: Decimal
    unavailable: Decimal
    absorbed: Decimal


@dataclass(frozen=True)
class Posting:
    """What one call of the ledger changed. `channel_id`: the channel whose own number moved by itself with it."""

    merchant_id: int
    cells: Sequence[CellChange]
    channel_id: int | None
    event_id: int | None
    occurred_at: datetime


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
