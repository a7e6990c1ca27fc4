"""Orders are applied by state: work out what the whole order should now hold, post only the difference.

Whatever order its events arrive in, and however often, the same description of an order leads to the same holds:
committed (promised, still here), fulfilled (left), restocked (came back to the shelf), per line and location; and
written off, per line. The difference to what the order held before becomes movements, posted in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Prefetch

from inventory import ledger
from inventory.models import Order, OrderHold, OrderLine

ZERO = Decimal(0)
Kind = ledger.Kind


@dataclass(frozen=True)
class Hold:
    """What a line holds at one location, in units. `fulfilled` is all that ever left, returned since or not."""

    location_id: int
    committed: Decimal = ZERO
    fulfilled: Decimal = ZERO
    restocked: Decimal = ZERO


@dataclass(frozen=True)
class LineState:
    """A line as it stands now. `variant_id` None: linked to nothing yet, so it holds no stock."""

    external_id: str
    listing_external_id: str
    variant_id: int | None
    sku: str
    title: str
    quantity: Decimal
    holds: Sequence[Hold]
    written_off: Decimal = ZERO


@dataclass(frozen=True)
class OrderState:
    """A whole order as its channel describes it now."""

    external_id: str
    number: str
    placed_at: datetime
    updated_at: datetime
    version: int
    is_cancelled: bool
    lines: Sequence[LineState]
    total: Decimal | None = None
    currency: str = ""
    is_before_opening: bool = False
    event_id: int | None = None


@dataclass(frozen=True)
class Applied:
    """What applying one order did."""

    order_id: int
    is_stale: bool  # an older description than the one we have: ignored
    movements: int
    unlinked_lines: int


class ImpossibleOrder(Exception):
    """A description that cannot be true: more came back than was sold. Nothing of it was applied."""


def apply(*, merchant_id: int, channel_id: int, states: Sequence[OrderState]) -> list[Applied]:
    """Bring orders to the state described, in one transaction with one posting; results in the order given.

    Locks the orders (by external id), then the levels (by the ledger). Raises ImpossibleOrder naming the order;
    the caller then applies the others one at a time.
    """
    with transaction.atomic():
        known = _locked_orders(merchant_id=merchant_id, channel_id=channel_id, states=states)
        results, entries, writes = [], [], _Writes()
        for state in states:
            order = known[state.external_id]
            if _is_stale(order, state):
                results.append(Applied(order_id=order.pk, is_stale=True, movements=0, unlinked_lines=0))
                continue
            difference = _difference(order, state, writes)
            entries.extend(difference)
            unlinked = sum(1 for line in state.lines if line.variant_id is None)
            results.append(
                Applied(order_id=order.pk, is_stale=False, movements=len(difference), unlinked_lines=unlinked)
            )
        writes.save()
        ledger.post(
            merchant_id=merchant_id,
            source=f"channel:{channel_id}",
            entries=entries,
            channel_id=channel_id,
            event_id=states[0].event_id if len({s.event_id for s in states}) == 1 else None,
        )
        return results
