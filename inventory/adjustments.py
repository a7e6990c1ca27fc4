"""What people do to stock by hand: adjust, set to what was counted, receive, undo. Each posts once.

The preview is the deed itself, rolled back: it shows what the ledger and the channels' rules really make of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils.timezone import now as utc_now

from inventory import explain, ledger
from inventory.models import Location, StockLevel, StockMovement, StockMovementKey, Variant
from inventory.queries import Cell, cells_of
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import Merchant, User

SOURCE = "user"
ZERO = Decimal(0)


class NotManual(Exception):
    """Only what a person posted by hand can be undone by hand; the rest follows its order or channel."""


@dataclass(frozen=True)
class Result:
    """What became of it. `is_replay`: it had been posted before, and nothing changed now."""

    posted: Sequence[ledger.Posted]
    is_replay: bool


@dataclass(frozen=True)
class Adjustment:
    """A change by hand of one cell, in units: by `delta`, or to `counted` where on hand had been `seen`."""

    variant: Variant
    location: Location
    reason: str
    key: uuid.UUID
    delta: Decimal | None = None
    counted: Decimal | None = None
    seen: Decimal = ZERO
    counted_at: datetime | None = None


@dataclass(frozen=True)
class Receipt:
    """Goods that arrived at one place: units a variant."""

    location: Location
    reason: str
    key: uuid.UUID
    lines: Sequence[tuple[Variant, Decimal]]


@dataclass(frozen=True)
class ChannelEffect:
    """What a channel shows for a cell before, and what it should show after; None is unknown."""

    label: str
    before: Decimal | None
    after: Decimal | None
    state: str

    @property
    def is_silent(self) -> bool:
        """Whether the channel will not be told for now."""
        return self.state in (explain.LOST, explain.BLOCKED, explain.PAUSED, explain.UNKNOWN)


@dataclass(frozen=True)
class Effect:
    """One cell before and after, and what it means for the channels."""

    variant: Variant
    location: Location
    before: Cell
    after: Cell
    channels: Sequence[ChannelEffect]


def adjust(*, merchant: Merchant, actor: User, wanted: Adjustment) -> Result:
    """Post an adjustment and its audit entry, in one transaction.

    A count is posted as what was counted plus what moved since it was `seen`, so that a sale between looking and
    confirming is neither lost nor counted twice. Locks the level. Raises ledger.IdempotencyConflict.
    """
    with transaction.atomic():
        levels = StockLevel.objects.of(merchant).filter(variant=wanted.variant, location=wanted.location)
        level = next(iter(levels.select_for_update(of=("self",))), None)
        on_hand: Decimal = level.on_hand if level else ZERO
        key = f"adjust:{wanted.key}"
        if _was_posted(merchant, key) and wanted.counted is not None:
            return Result([], is_replay=True)
        now = utc_now()
        entry = ledger.Entry(
            variant_id=wanted.variant.pk,
            location_id=wanted.location.pk,
            kind=ledger.Kind.ADJUST if wanted.counted is None else ledger.Kind.COUNT,
            key=key,
            occurred_at=now if wanted.counted is None else wanted.counted_at or now,
            on_hand=wanted.delta or ZERO,
            counted=None if wanted.counted is None else wanted.counted + on_hand - wanted.seen,
            actor_id=actor.pk,
            reason=wanted.reason,
        )
        return _post(merchant, actor, [entry], wanted.variant, "stock.adjust", _summary(wanted), before=str(on_hand))


def receive(*, merchant: Merchant, actor: User, wanted: Receipt) -> Result:
    """Post all lines of a receipt at once, and its audit entry. Raises ledger.IdempotencyConflict."""
    now = utc_now()
    entries = [
        ledger.Entry(
            variant_id=variant.pk,
            location_id=wanted.location.pk,
            kind=ledger.Kind.RECEIVE,
            key=f"receive:{wanted.key}:{variant.pk}",
            occurred_at=now,
            on_hand=quantity,
            actor_id=actor.pk,
            reason=wanted.reason,
        )
        for variant, quantity in wanted.lines
    ]
    total = sum((quantity for _, quantity in wanted.lines), ZERO)
    summary = f"Received {numbers.plain(total)} units of {len(entries)} items at {wanted.location.name}"
    with transaction.atomic():
        return _post(merchant, actor, entries, wanted.location, "stock.receive", summary, reason=wanted.reason)


def undo(*, merchant: Merchant, actor: User, movement: StockMovement) -> Result:
    """Post the reverse of a movement made by hand; again is a replay. Raises NotManual."""
    if movement.source != SOURCE or not movement.on_hand:
        raise NotManual(str(movement))
    entry = ledger.Entry(
        variant_id=movement.variant_id,
        location_id=movement.location_id,
        kind=ledger.Kind.ADJUST,
        key=f"undo:{movement.pk}",
        occurred_at=utc_now(),
        on_hand=-movement.on_hand,
        actor_id=actor.pk,
        reason=f"Undo: {movement.get_kind_display().lower()}, {movement.reason}".rstrip(", "),
    )
    summary = f"Took back {numbers.plain(movement.on_hand)} of {movement.variant.sku or movement.variant.full_title}"
    with transaction.atomic():
        return _post(merchant, actor, [entry], movement.variant, "stock.undo", summary, movement=movement.pk)


def preview_adjust(*, merchant: Merchant, actor: User, wanted: Adjustment) -> list[Effect]:
    """What `adjust` would do, cell by cell and channel by channel; nothing stays."""
    return preview(
        merchant=merchant,
        variants=[wanted.variant],
        locations=[wanted.location],
        deed=lambda: adjust(merchant=merchant, actor=actor, wanted=wanted),
    )


def preview_receive(*, merchant: Merchant, actor: User, wanted: Receipt) -> list[Effect]:
    """What `receive` would do; nothing stays."""
    return preview(
        merchant=merchant,
        variants=[variant for variant, _ in wanted.lines],
        locations=[wanted.location],
        deed=lambda: receive(merchant=merchant, actor=actor, wanted=wanted),
    )


def preview(
    *, merchant: Merchant, variants: Sequence[Variant], locations: Sequence[Location], deed: Callable[[], object]
) -> list[Effect]:
    """What a deed would do to these cells and at every channel: done, looked at, and rolled back.

    What the deed raises is raised. Locks what the deed locks, until this returns.
    """
    ids = [variant.pk for variant in variants]
    with transaction.atomic():
        before, told = cells_of(variant_ids=ids), _views(merchant, ids)
        deed()
        after, to_tell = cells_of(variant_ids=ids), _views(merchant, ids)
        transaction.set_rollback(True)
    return [
        Effect(
            variant=variant,
            location=location,
            before=before.get((variant.pk, location.pk), Cell()),
            after=after.get((variant.pk, location.pk), Cell()),
            channels=[
                ChannelEffect(view.channel_label, view.expected, to_tell[cell].desired, to_tell[cell].state)
                for cell, view in told.items()
                if (view.variant_id, view.location_id) == (variant.pk, location.pk) and cell in to_tell
            ],
        )
        for location in locations
        for variant in variants
    ]


def _views(merchant: Merchant, variant_ids: Sequence[int]) -> dict[tuple[int, int, int], explain.ChannelView]:
    """What channels show of these variants by (connection, variant, location)."""
    found = explain.channels().views(merchant_id=merchant.pk, variant_ids=variant_ids)
    return {
        (view.connection_id, view.variant_id, view.location_id): view for view in found if view.location_id is not None
    }


def _was_posted(merchant: Merchant, key: str) -> bool:
    return StockMovementKey.objects.filter(merchant_id=merchant.pk, source=SOURCE, idempotency_key=key).exists()


def _post(
    merchant: Merchant,
    actor: User,
    entries: Sequence[ledger.Entry],
    target: Variant | Location,
    action: str,
    summary: str,
    **detail: object,
) -> Result:
    posted = ledger.post(merchant_id=merchant.pk, source=SOURCE, entries=entries)
    is_replay = all(row.is_replay for row in posted)
    if not is_replay:
        after = [
            {
                "variant": row.variant_id,
                "location": row.location_id,
                "by": str(row.on_hand),
                "to": str(row.on_hand_after),
            }
            for row in posted
        ]
        audit.record(
            actor=actor,
            merchant=merchant,
            action=action,
            target=target,
            summary=summary,
            after=after,
            **detail,
        )
    return Result(posted, is_replay)


def _summary(wanted: Adjustment) -> str:
    name = wanted.variant.sku or wanted.variant.full_title
    if wanted.counted is None:
        change = f"by {(wanted.delta or ZERO).normalize():+f}"
    else:
        change = f"to a count of {numbers.plain(wanted.counted)}"
    return f"Adjusted {name} at {wanted.location.name} {change}: {wanted.reason}"
