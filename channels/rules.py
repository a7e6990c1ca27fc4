"""Rules on what may be sold: made, changed and deleted by people, each looked at before and undone after.

A change of a rule works out the cells it concerns anew in the same transaction (channels/sql/rules.sql). What turns by
the clock (stages, promised days, a rule's own span) and products that changed their category are found by `sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection as database
from django.db import transaction
from django.db.models import Field, QuerySet
from django.utils import timezone

from channels import measuring, publisher, registry
from channels.models import AvailabilityRule, CellPolicy, ChannelStock, Connection, RuleChange, RuleWork
from inventory.models import ZERO, Product, Variant
from storestudio.accounts import audit, numbers
from storestudio.accounts.models import Merchant, User

Mode, Oversell = AvailabilityRule.Mode, AvailabilityRule.Oversell
SCOPE = ("variant", "category", "location", "connection")
SETTINGS = (
    "safety_stock", "channel_buffer", "share_percent", "cap", "is_paused", "is_tracked", "mode", "oversell",
    "oversell_max", "promised_date", "message", "sells_from", "first_connection", "first_until",
)  # fmt: skip
KEPT = (*SCOPE, *SETTINGS, "starts_at", "ends_at", "note")
TURNED_AT_ONCE = 2000
PREVIEWED_MAX = 200


class CannotUndo(Exception):
    """Why a change cannot be taken back, in words for the person who tried."""


@dataclass(frozen=True)
class Effect:
    """One number that a change would move: what the channel should show now, and then. None: it is not counted."""

    cell_id: int
    variant: Variant
    location_name: str
    connection_id: int
    before: Decimal | None
    after: Decimal | None

    @property
    def delta(self) -> Decimal:
        """Units more (or fewer); what is not counted is nothing."""
        return (self.after or ZERO) - (self.before or ZERO)


@dataclass(frozen=True)
class Tally:
    """What a change does at one channel: numbers that change, of how many; those that end at 0; units together."""

    connection: Connection
    cells: int
    changed: int = 0
    falls: int = 0
    rises: int = 0
    to_zero: int = 0
    from_zero: int = 0
    units: Decimal = ZERO


@dataclass(frozen=True)
class Preview:
    """What a change would do, nothing of it done. `effects` are the largest first, PREVIEWED_MAX at most."""

    tallies: Sequence[Tally]
    effects: Sequence[Effect]

    @property
    def changed(self) -> int:
        """Numbers that change."""
        return sum(tally.changed for tally in self.tallies)

    @property
    def to_zero(self) -> int:
        """Numbers that fall to 0."""
        return sum(tally.to_zero for tally in self.tallies)


def cells_of(rule: AvailabilityRule) -> QuerySet[ChannelStock]:
    """The cells a rule concerns by its scope, whatever stronger rules say of them."""
    cells: QuerySet[ChannelStock] = ChannelStock.objects.filter(merchant=rule.merchant_id)
    if rule.variant_id:
        cells = cells.filter(listing__variant=rule.variant_id)
    if rule.category:
        cells = cells.filter(listing__variant__product__category__iexact=rule.category)
    if rule.location_id:
        cells = cells.filter(channel_location__location=rule.location_id)
    if rule.connection_id:
        cells = cells.filter(connection=rule.connection_id)
    return cells


def save(*, rule: AvailabilityRule, actor: User | None) -> RuleChange:
    """Make the rule, or change it, and tell every number it concerns anew. Locks the rule, then the cells.

    Raises IntegrityError where the rule contradicts itself; forms check before.
    """
    return _change(rule, actor, lambda: rule.save())


def delete(*, rule: AvailabilityRule, actor: User | None) -> RuleChange:
    """Let the rule hold no more; its row stays, for what it decided."""

    def go() -> None:
        rule.deleted_at = timezone.now()
        rule.save(update_fields=["deleted_at"])

    return _change(rule, actor, go)


def undo(*, change: RuleChange, actor: User) -> RuleChange:
    """Put the rule back to what it said before the change. Raises CannotUndo where it was changed since."""
    with transaction.atomic():
        locked = RuleChange.objects.select_for_update().get(pk=change.pk)
        if locked.undone_at is not None:
            raise CannotUndo("That was undone already.")
        rule = AvailabilityRule.objects.select_for_update(of=("self",)).get(pk=locked.rule_id)
        if _said(rule) != locked.after:
            raise CannotUndo("The rule was changed since. Undo the newer change first.")
        undoing = _change(rule, actor, lambda: _restore(rule, locked.before))
        RuleChange.objects.filter(pk__in=[locked.pk]).update(undone_at=timezone.now(), undone_by=actor)
    return undoing


def preview_save(*, rule: AvailabilityRule) -> Preview:
    """What saving would do: done, looked at, and rolled back. Locks no cell."""
    return _preview(rule, lambda: rule.save())


def preview_delete(*, rule: AvailabilityRule) -> Preview:
    """What deleting would do."""
    now = timezone.now()
    return _preview(rule, lambda: AvailabilityRule.objects.filter(pk=rule.pk).update(deleted_at=now))


def preview_mode(*, rule: AvailabilityRule, updates_every_s: int | None) -> Preview:
    """What a channel's mode would change, were it to update so often."""
    with transaction.atomic():
        Connection.objects.filter(pk=rule.connection_id or 0).update(updates_every_s=updates_every_s)
        found = preview_save(rule=rule)
        transaction.set_rollback(True)
    return found


def save_mode(*, rule: AvailabilityRule, updates_every_s: int | None, actor: User | None) -> RuleChange:
    """How a channel takes part in one stock: its mode, a rule like any other, and how often it updates."""
    with transaction.atomic():
        Connection.objects.filter(pk=rule.connection_id or 0).update(updates_every_s=updates_every_s)
        return save(rule=rule, actor=actor)


def capped_tills(*, rule: AvailabilityRule, preview: Preview) -> list[Tally]:
    """What a cap for every channel does at each till of the shop; empty for a rule that caps one channel, or none."""
    if rule.cap is None or rule.connection_id is not None:
        return []
    return [tally for tally in preview.tallies if is_till(tally.connection)]


def tills(*, merchant: Merchant) -> list[Connection]:
    """The shop's tills: what people ring up goods with over the counter."""
    rows = Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED).order_by("label", "pk")
    return [one for one in rows if is_till(one)]


def is_till(connection: Connection) -> bool:
    """Whether goods are rung up with it over the counter, by the numbers that it shows."""
    return connection.channel in registry.EVERY and registry.capabilities(connection.channel).is_till


def _change(rule: AvailabilityRule, actor: User | None, do: Callable[[], Any]) -> RuleChange:
    with transaction.atomic():
        old = _stored(rule)
        before = _said(old) if old else None
        cells = _ids(cells_of(old)) if old else set()
        do()
        rule.refresh_from_db()  # as the database has it: decimals, not what was typed
        after = _said(rule)
        cells |= _ids(cells_of(rule))
        change = RuleChange.objects.create(
            merchant_id=rule.merchant_id, rule=rule, before=before, after=after, actor=actor
        )
        refresh(cell_ids=sorted(cells))
        what = "made" if before is None else "deleted" if after is None else "changed"
        audit.record(
            actor=actor, merchant=rule.merchant, action=f"rule.{what}", target=rule,
            summary=f"{scope_words(rule)}: {', '.join(says(rule)) or 'nothing'}", before=before, after=after,
        )  # fmt: skip
    return change


def _stored(rule: AvailabilityRule) -> AvailabilityRule | None:
    """The rule as the database has it, locked; None where it is new."""
    return AvailabilityRule.objects.select_for_update(of=("self",)).filter(pk=rule.pk).first() if rule.pk else None


def _ids(cells: QuerySet[ChannelStock]) -> set[int]:
    return set(cells.order_by().values_list("pk", flat=True))


def refresh(*, cell_ids: Sequence[int]) -> None:
    """Work out rules, measures and numbers of these cells anew. Locks them, with their peers, until the end."""
    if cell_ids:
        publisher.refresh_desired(cell_ids=cell_ids)
        if measuring.measure(cell_ids=cell_ids):
            publisher.refresh_desired(cell_ids=cell_ids)


_LOOK = """
SELECT c.id, c.connection_id, c.desired, p.desired
FROM channels_publishable(%(cells)s) p JOIN channels_channelstock c ON c.id = p.cell_id
"""


def _preview(rule: AvailabilityRule, do: Callable[[], Any]) -> Preview:
    is_new = rule.pk is None
    with transaction.atomic():
        old = _stored(rule)
        cells = _ids(cells_of(old)) if old else set()
        do()
        cells |= _ids(cells_of(rule))
        with database.cursor() as cursor:
            cursor.execute("SELECT channels_with_peers(%s)", [sorted(cells)])
            affected = cursor.fetchone()[0] or []
            cursor.execute("SELECT channels_resolve(%s::bigint[])", [affected])
            measuring.measure(cell_ids=affected)
            cursor.execute(_LOOK, {"cells": affected})
            rows = cursor.fetchall()
        transaction.set_rollback(True)
    if is_new:
        rule.pk, rule._state.adding = None, True
    return _summed(rule.merchant, rows)


def _summed(merchant: Merchant, rows: Sequence[tuple[int, int, Decimal | None, Decimal | None]]) -> Preview:
    connections = Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED).order_by("pk")
    by_connection: dict[int, list[tuple[Decimal | None, Decimal | None]]] = {one.pk: [] for one in connections}
    for _, connection_id, before, after in rows:
        by_connection.setdefault(connection_id, []).append((before, after))
    tallies = [_tally(one, by_connection[one.pk]) for one in connections if by_connection[one.pk]]
    moved = sorted(
        ((pk, before, after) for pk, _, before, after in rows if before != after),
        key=lambda row: (-abs((row[2] or ZERO) - (row[1] or ZERO)), row[0]),
    )[:PREVIEWED_MAX]
    cells = ChannelStock.objects.select_related("listing__variant__product", "channel_location__location").in_bulk(
        [pk for pk, *_ in moved]
    )
    return Preview(tallies, [_effect(cells[pk], before, after) for pk, before, after in moved])


def _tally(connection: Connection, told: Sequence[tuple[Decimal | None, Decimal | None]]) -> Tally:
    pairs = [(before or ZERO, after or ZERO) for before, after in told]
    return Tally(
        connection=connection,
        cells=len(told),
        changed=sum(before != after for before, after in told),
        falls=sum(after < before for before, after in pairs),
        rises=sum(after > before for before, after in pairs),
        # What is not counted any more is not told a 0.
        to_zero=sum(after is not None and (before or ZERO) > 0 >= after for before, after in told),
        from_zero=sum(before <= 0 < after for before, after in pairs),
        units=sum((after - before for before, after in pairs), ZERO),
    )


def _effect(cell: ChannelStock, before: Decimal | None, after: Decimal | None) -> Effect:
    place = cell.channel_location
    variant = cell.listing.variant
    if variant is None:
        raise RuntimeError(f"cell {cell.pk} is of no linked listing")
    return Effect(
        cell_id=cell.pk,
        variant=variant,
        location_name=place.location.name if place.location else place.name,
        connection_id=cell.connection_id,
        before=before,
        after=after,
    )


def _said(rule: AvailabilityRule) -> dict[str, Any] | None:
    """What a rule says, JSON-ready; None for one that does not hold."""
    if rule.deleted_at is not None or rule.pk is None:
        return None
    return {name: _plain(getattr(rule, field.attname)) for name, field in _fields().items()}


def _fields() -> dict[str, Field[Any, Any]]:
    """What a rule says, by the field's name."""
    return {field.name: field for field in AvailabilityRule._meta.fields if field.name in KEPT}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return numbers.plain(value)
    return value.isoformat() if isinstance(value, date) else value


def _restore(rule: AvailabilityRule, before: Mapping[str, Any] | None) -> None:
    """Bring a rule back to what it said; to nothing where it was not there."""
    rule.deleted_at = None if before is not None else timezone.now()
    for name, field in _fields().items():
        if before is not None:
            setattr(rule, field.attname, field.to_python(before.get(name)))
    rule.save()


def sweep(*, now: datetime) -> int:
    """Cells whose rules turn by the clock, and products with another category: work them out. Returns how many cells.

    In slices, each a transaction of its own; safe to run twice and at once.
    """
    done = 0
    turned = CellPolicy.objects.filter(turns_at__lte=now).order_by("turns_at", "pk").values_list("pk", flat=True)
    while cells := list(turned[:TURNED_AT_ONCE]):
        with transaction.atomic():
            refresh(cell_ids=cells)
            CellPolicy.objects.filter(pk__in=cells, turns_at__lte=now).update(turns_at=None)  # its cell is gone from us
        done += len(cells)
    return done + _sweep_products()


def _sweep_products() -> int:
    done = 0
    while True:
        with transaction.atomic():
            work = list(RuleWork.objects.select_for_update(skip_locked=True).order_by("pk")[:TURNED_AT_ONCE])
            products = {row.product_id for row in work}
            cells = _ids(ChannelStock.objects.filter(listing__variant__product__in=products)) if work else set()
            refresh(cell_ids=sorted(cells))
            RuleWork.objects.filter(pk__in=[row.pk for row in work]).delete()
        done += len(cells)
        if len(work) < TURNED_AT_ONCE:
            return done


def of(*, merchant: Merchant) -> QuerySet[AvailabilityRule]:
    """The shop's rules that hold or will, the broadest first."""
    rows: QuerySet[AvailabilityRule] = (
        AvailabilityRule.objects.of(merchant)
        .filter(deleted_at=None)
        .select_related("variant__product", "location", "connection", "first_connection")
    )
    return rows


def named(*, rule_ids: Collection[int]) -> dict[int, AvailabilityRule]:
    """These rules with all that their words need; deleted ones too."""
    rows = AvailabilityRule.objects.select_related("variant__product", "location", "connection", "first_connection")
    return dict(rows.in_bulk(list(rule_ids)))


def scope_words(rule: AvailabilityRule) -> str:
    """Where a rule holds: “Candles on Marketplace at High Street”."""
    what = rule.variant.full_title if rule.variant is not None else rule.category or "Everything"
    on = f" on {rule.connection.label}" if rule.connection else ""
    at = f" at {rule.location.name}" if rule.location else ""
    return f"{what}{on}{at}"


MODE_WORDS = {
    Mode.SHARED: "sees all of the stock",
    Mode.BUFFERED: "hides as many units as its delay makes risky",
    Mode.ESCROW: "sells from units set aside for it",
}


def says(rule: AvailabilityRule) -> list[str]:
    """What a rule says, a phrase each."""
    units = numbers.plain
    each, over_all = ("", "") if rule.location is not None else (" at each place", " over all places of a channel")
    phrases = [
        f"keep {units(rule.safety_stock)} back{each}" if rule.safety_stock is not None else "",
        f"hide {units(rule.channel_buffer)} more{each}" if rule.channel_buffer is not None else "",
        f"offer {units(rule.share_percent)} % of the rest" if rule.share_percent is not None else "",
        f"list at most {units(rule.cap)}{over_all}" if rule.cap is not None else "",
        {True: "paused", False: "not paused", None: ""}[rule.is_paused],
        {True: "counted", False: "not counted: no number is told", None: ""}[rule.is_tracked],
        MODE_WORDS[Mode(rule.mode)] if rule.mode else "",
        _oversell_words(rule),
        f"not sold before {_local(rule, rule.sells_from)}" if rule.sells_from else "",
        f"{rule.first_connection.label} first, others from {_local(rule, rule.first_until)}"
        if rule.first_connection and rule.first_until
        else "",
    ]
    return [phrase for phrase in phrases if phrase]


def _oversell_words(rule: AvailabilityRule) -> str:
    if rule.oversell in ("", Oversell.NEVER):
        return "never sell more than there is" if rule.oversell else ""
    each = "" if rule.location is not None else " at each place"
    most = f"{numbers.plain(rule.oversell_max)}{each}" if rule.oversell_max is not None else ""
    label = Oversell(rule.oversell).label.lower()
    if most and rule.promised_date:
        return f"{label} up to {most} by {rule.promised_date:%d %b %Y}"
    by = f"by {rule.promised_date:%d %b %Y}" if rule.promised_date else "on the day it comes"
    return f"{label} what is on its way{f', up to {most},' if most else ''} {by}"


def _local(rule: AvailabilityRule, moment: datetime | None) -> str:
    """A time in the shop's zone, as people write it."""
    return f"{moment.astimezone(ZoneInfo(rule.merchant.timezone)):%a %d %b %Y, %H:%M}" if moment else ""


def choices_of_category(*, merchant: Merchant) -> list[str]:
    """The shop's categories, as products name them."""
    found: Iterable[str] = (
        Product.objects.of(merchant)
        .filter(archived_at=None)
        .exclude(category="")
        .order_by("category")
        .values_list("category", flat=True)
        .distinct()
    )
    once: dict[str, str] = {}
    for name in found:
        once.setdefault(name.strip().lower(), name)
    return list(once.values())
