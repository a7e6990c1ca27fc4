"""The things that may happen in a shop's day, one function each: customers, staff, vendors, machines, networks.

A step takes its chances from a number of its own, so that leaving out its neighbours does not change it. Where there
is nothing for it to do it does nothing and says so.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from channels import connections, dispatcher, tasks
from channels.models import Connection
from channels.sandbox import deliveries
from channels.tasks import sweep_incidents
from inventory import adjustments, ledger, reservations
from inventory.models import Location, Reservation, StockLevel, StockMovement, Variant
from inventory.tasks import expire_reservations
from storestudio.accounts.models import Merchant, User
from tests.contract.adapters import SKUS
from tests.simulation.databases import Killed
from tests.simulation.hands import HANDS
from tests.simulation.mishaps import CALLS, Mishap
from tests.simulation.shop import Counter
from tests.simulation.world import Hold, Sale

if TYPE_CHECKING:
    from tests.simulation.playing import Play

Step = Callable[["Play", random.Random], str]
STEPS: dict[str, tuple[int, Step]] = {}
HOT = 2  # so many of the variants are traded, at so many places: things meet
MEANWHILE = (
    "sell",
    "sell",
    "order_ahead",
    "cancel",
    "give_back",
    "edit_there",
    "receive",
    "adjust",
    "count",
    "hold",
    "deliver",
    "second",
    "second",
)
WEATHER = 0.4  # of the tasks that nothing else befalls
SCHEDULED = {"expire-reservations": expire_reservations, "sweep-incidents": sweep_incidents}


def step(weight: int) -> Callable[[Step], Step]:
    """Name a step, and say how often it happens beside the others."""

    def add(function: Step) -> Step:
        STEPS[function.__name__] = weight, function
        return function

    return add


def _cell(chance: random.Random) -> tuple[int, int]:
    return chance.randrange(min(HOT, len(SKUS))), int(chance.random() < 0.3)


def _cell_at(counter: Counter, chance: random.Random) -> tuple[int, int]:
    """A cell that this channel knows."""
    variant, place = _cell(chance)
    return variant, min(place, len(counter.shop.location_ids) - 1)


def _trade(play: Play, chance: random.Random, *, ahead: bool) -> str:
    counter = chance.choice(play.shop.counters)
    variant, place = _cell_at(counter, chance)
    units = chance.choice((1, 1, 1, 2, 3, 6))
    if (counter.channel, place) in play.world.closed:
        return "that place is closed"
    act = counter.adapter.order_ahead if ahead else counter.adapter.sell
    wanted = {"variant": counter.shop.variants[variant], "location_id": counter.shop.location_ids[place]}
    with play.parties.working("customer"):
        if not HANDS[counter.channel].serves(shop=counter.shop, units=units, **wanted):
            return f"{counter.channel} has no {units} of {variant} at {place}"
        try:
            order_id = act(
                shop=counter.shop,
                quantity=Decimal(units),
                **wanted,
            )
        except AssertionError as refusal:
            return f"{counter.channel} refused: {str(refusal)[:60]}"
    play.world.sales.append(Sale(counter, order_id, (variant, place), units, is_waiting=ahead))
    if not ahead:
        play.world.shelf[variant, place] -= units
    return f"{counter.channel} {units} of {variant} at {place}"


@step(7)
def sell(play: Play, chance: random.Random) -> str:
    """A customer takes the goods."""
    return _trade(play, chance, ahead=False)


@step(4)
def order_ahead(play: Play, chance: random.Random) -> str:
    """A customer pays and fetches later."""
    return _trade(play, chance, ahead=True)


@step(2)
def cancel(play: Play, chance: random.Random) -> str:
    """The merchant cancels an order that waits."""
    waiting = [sale for sale in play.world.sales if sale.is_waiting and not sale.is_cancelled]
    if not waiting:
        return "nothing waits"
    sale = chance.choice(waiting)
    if (sale.counter.channel, sale.cell[1]) in play.world.closed:
        return "that place is closed"
    with play.parties.working("customer"):
        sale.counter.adapter.cancel(shop=sale.counter.shop, order_id=sale.order_id)
    if HANDS[sale.counter.channel].cancelling_frees:
        sale.is_cancelled = True
    else:
        sale.is_waiting = False
        play.world.shelf[sale.cell] -= sale.units
    return f"{sale.counter.channel} {sale.units} of {sale.cell}"


@step(3)
def give_back(play: Play, chance: random.Random) -> str:
    """A customer brings units back; they go on the shelf."""
    sold = [sale for sale in play.world.sales if not sale.is_waiting and sale.returned < sale.units]
    if not sold:
        return "nothing was sold"
    sale = chance.choice(sold)
    if (sale.counter.channel, sale.cell[1]) in play.world.closed:
        return "that place is closed"
    units = chance.randint(1, sale.units - sale.returned)
    with play.parties.working("customer"):
        sale.counter.adapter.give_back(
            shop=sale.counter.shop,
            order_id=sale.order_id,
            variant=sale.counter.shop.variants[sale.cell[0]],
            location_id=sale.counter.shop.location_ids[sale.cell[1]],
            quantity=Decimal(units),
        )
    sale.returned += units
    play.world.shelf[sale.cell] += units
    return f"{sale.counter.channel} {units} of {sale.cell}"


@step(1)
def edit_there(play: Play, chance: random.Random) -> str:
    """Somebody puts goods on the shelf, or takes broken ones off, and says so in a vendor's own pages."""
    counter = chance.choice(play.shop.counters)
    cell = _cell_at(counter, chance)
    delta = chance.choice((-2, -1, 1, 3))
    if (counter.channel, cell[1]) in play.world.closed:
        return "that place is closed"
    with play.parties.working("customer"):
        counter.adapter.edit_stock(
            shop=counter.shop,
            variant=counter.shop.variants[cell[0]],
            location_id=counter.shop.location_ids[cell[1]],
            delta=Decimal(delta),
        )
    play.world.shelf[cell] += delta
    play.world.edited.add((counter.channel, cell))
    return f"{counter.channel} {delta:+} of {cell}"


def _staff(play: Play) -> tuple[Merchant, User]:
    return Merchant.objects.get(pk=play.shop.merchant_id), User.objects.get(pk=play.shop.owner_id)


@step(1)
def receive(play: Play, chance: random.Random) -> str:
    """Goods arrive; the form is sent twice now and then."""
    cell, units = _cell(chance), chance.randint(1, 5)
    variant_id, location_id = play.world.ids(cell)
    with play.parties.working("staff"):
        merchant, owner = _staff(play)
        wanted = adjustments.Receipt(
            location=Location.objects.get(pk=location_id),
            reason="delivery",
            key=uuid.uuid4(),
            lines=[(Variant.objects.get(pk=variant_id), Decimal(units))],
        )
        for _ in range(chance.choice((1, 1, 2))):
            adjustments.receive(merchant=merchant, actor=owner, wanted=wanted)
    play.world.shelf[cell] += units
    return f"{units} of {cell}"


@step(1)
def adjust(play: Play, chance: random.Random) -> str:
    """Something broke."""
    cell = _cell(chance)
    variant_id, location_id = play.world.ids(cell)
    with play.parties.working("staff"):
        merchant, owner = _staff(play)
        wanted = adjustments.Adjustment(
            variant=Variant.objects.get(pk=variant_id),
            location=Location.objects.get(pk=location_id),
            reason="broken",
            key=uuid.uuid4(),
            delta=Decimal(-1),
        )
        adjustments.adjust(merchant=merchant, actor=owner, wanted=wanted)
    play.world.shelf[cell] -= 1
    return f"-1 of {cell}"


@step(1)
def undo(play: Play, chance: random.Random) -> str:
    """Staff take back what they booked last: it had not happened."""
    with play.parties.working("staff"):
        merchant, owner = _staff(play)
        last = StockMovement.objects.filter(source="user", kind__in=("adjust", "receive")).order_by("pk").last()
        if last is None:
            return "nothing was booked by hand"
        done = adjustments.undo(merchant=merchant, actor=owner, movement=last)
    if done.is_replay:
        return "taken back before"
    cells = {play.world.ids(cell): cell for cell in play.world.shelf}
    play.world.shelf[cells[last.variant_id, last.location_id]] -= int(last.on_hand)
    return f"{-last.on_hand:f}"


@step(2)
def count(play: Play, chance: random.Random) -> str:
    """Staff count a shelf as it is; what happened before is in it, told or not."""
    cell = _cell(chance)
    variant_id, location_id = play.world.ids(cell)
    if play.clock.off_s.get("vendor"):
        return "no count while a vendor's clock is wrong: it could not be said what it saw"
    play.clock.sleep(2)
    with play.parties.working("staff"):
        merchant, owner = _staff(play)
        level = StockLevel.objects.get(variant=variant_id, location=location_id)
        wanted = adjustments.Adjustment(
            variant=Variant.objects.get(pk=variant_id),
            location=Location.objects.get(pk=location_id),
            reason="stock take",
            key=uuid.uuid4(),
            counted=Decimal(play.world.shelf[cell]),
            seen=level.on_hand,
            counted_at=timezone.now(),
        )
        if wanted.counted is not None and wanted.counted < 0:
            return "more was sold than there was"
        adjustments.adjust(merchant=merchant, actor=owner, wanted=wanted)
    play.world.is_counted = True
    play.clock.sleep(2)
    return f"{play.world.shelf[cell]} of {cell}"


@step(3)
def hold(play: Play, chance: random.Random) -> str:
    """Somebody reserves units for a while: granted, or refused where they are not there; now and then two at once."""
    cell = _cell(chance)
    if chance.random() < 0.5:
        return _hold(play, cell, chance)
    rival = random.Random(chance.random())
    crowd = Mishap("crowded", chance.randint(1, 4))
    with play.mishaps.planned(
        crowd, lambda: play.note(f"    meanwhile hold: {_hold(play, cell, rival, party='second')}"), party="staff"
    ):
        return _hold(play, cell, chance)


def _hold(play: Play, cell: tuple[int, int], chance: random.Random, *, party: str = "staff") -> str:
    variant_id, location_id = play.world.ids(cell)
    units = chance.choice((1, 2, 5, 8))
    with play.parties.working(party):
        now = timezone.now()
        try:
            granted = reservations.reserve(
                merchant_id=play.shop.merchant_id,
                key=uuid.uuid4().hex,
                wants=[reservations.Want(variant_id, location_id, Decimal(units))],
                now=now,
                expires_at=now + timedelta(seconds=chance.choice((20, 90, 600))),
            )
        except ledger.InsufficientStock:
            return f"refused {units} of {cell}"
    play.world.holds.append(Hold(granted.pk, cell, units))
    return f"{units} of {cell}"


@step(1)
def release(play: Play, chance: random.Random) -> str:
    """A hold is let go."""
    held = [one for one in play.world.holds if not one.is_over]
    if not held:
        return "nothing is held"
    one = chance.choice(held)
    with play.parties.working("staff"):
        reservations.release(reservation_id=one.reservation_id, now=timezone.now())
        assert Reservation.objects.get(pk=one.reservation_id).state != "held"
    one.is_over = True
    return f"{one.units} of {one.cell}"


class _Inline:
    """A pool of no threads."""

    def map(self, function, rows):
        return [function(row) for row in rows]


@step(4)
def deliver(play: Play, chance: random.Random) -> str:
    """The vendors send webhooks that are due, some or all."""
    limit = chance.choice((1, 3, 100, 100))
    mishap = Mishap("killed", chance.randint(1, 12)) if chance.random() < 0.1 else None
    with play.mishaps.planned(mishap, lambda: None), play.parties.working("vendor"):
        sent = deliveries.send_due(limit=limit, pool=_Inline())
    return f"{sent} sent{', one while the web process died' if mishap and mishap.has_struck else ''}"


@step(5)
def wait(play: Play, chance: random.Random) -> str:
    """Time passes; an hour now and then, after which webhooks are looked after."""
    seconds = chance.choice((0.2, 1, 5, 5, 12, 31, 45, 120, 3700))
    play.clock.sleep(seconds)
    return f"{seconds} s"


def every_s(name: str) -> float:
    """How often the scheduler starts this."""
    return float(settings.CELERY_BEAT_SCHEDULE[name]["schedule"])


def _tick(play: Play) -> int:
    """What dispatcher and scheduler do."""
    with play.parties.working("studio"):
        due = _take_due()
        play.messages += due
    sweep(play)
    return len(due)


def _take_due() -> list[dispatcher.Work]:
    """In an order of its own: PostgreSQL gives them in any."""
    return sorted(dispatcher.take_due(), key=lambda work: (work.connection_id, work.kind))


def sweep(play: Play) -> None:
    """What the scheduler does, as often as it does."""
    with play.parties.working("studio"):
        for name, task in SCHEDULED.items():
            if play.clock.elapsed_s - play.swept_s.get(name, -every_s(name)) >= every_s(name):
                play.swept_s[name] = play.clock.elapsed_s
                task()


@step(14)
def work(play: Play, chance: random.Random) -> str:
    """The dispatcher looks, and a worker takes one of the messages, or all; something may befall it."""
    with play.parties.working("vendor"):
        sent = deliveries.send_due(pool=_Inline()) if chance.random() < 0.7 else 0
    found = _tick(play)
    if not play.messages:
        return "nothing is due"
    chance.shuffle(play.messages)
    taken = play.messages if chance.random() < 0.5 else play.messages[:1]
    play.messages = play.messages[len(taken) :]
    said = [_run(play, message, _mishap(chance), chance) for message in taken]
    return f"{sent} webhooks, {found} due; {', '.join(said)}"


def _mishap(chance: random.Random) -> Mishap | None:
    kind = chance.choice(("", "", "", "killed", "killed", "severed", "commit_lost", "crowded", "crowded"))
    return Mishap(kind, int(chance.expovariate(1 / 12)) + 1) if kind else None


def _run(play: Play, message: dispatcher.Work, mishap: Mishap | None, chance: random.Random) -> str:
    """One task of a worker, with what befalls it."""
    words = ""
    if mishap is None and chance.random() < WEATHER:
        play.mishaps.calls = [""] * chance.randrange(2) + [chance.choice(CALLS)] * chance.choice((1, 2, 9))
        words = f" in {play.mishaps.calls[-1]}"
    crowd = random.Random(chance.random())

    def during() -> None:
        name = crowd.choice(MEANWHILE)
        done = _second(play, crowd) if name == "second" else STEPS[name][1](play, crowd)
        play.note(f"    meanwhile {name}: {done}")

    said = run(play, message, mishap, during) + words
    if words:
        play.mishaps.calls = []
    return said


def run(play: Play, message: dispatcher.Work, mishap: Mishap | None, during: Callable[[], None] = lambda: None) -> str:
    """One task of a worker, as Celery would run it."""
    words = f"{message.kind} {play.label(message.connection_id)}"
    with play.mishaps.planned(mishap, during), play.parties.working("studio"):
        try:
            tasks.BY_KIND[message.kind](connection_id=message.connection_id, lease=str(message.lease))
        except Killed:
            return f"{words} killed"
        except Exception as error:
            if mishap is None or not mishap.has_struck:
                raise
            return f"{words} failed: {type(error).__name__}"
    return f"{words} {mishap.kind}" if mishap and mishap.has_struck else words


def _second(play: Play, chance: random.Random) -> str:
    """Another worker takes other work at the same time."""
    with play.parties.working("second"):
        due = _take_due()
        for message in due:
            tasks.BY_KIND[message.kind](connection_id=message.connection_id, lease=str(message.lease))
    return ", ".join(f"{one.kind} {play.label(one.connection_id)}" for one in due) or "nothing"


@step(1)
def lose_messages(play: Play, chance: random.Random) -> str:
    """The broker is emptied: nobody is woken for what was leased."""
    _tick(play)
    lost, play.messages = len(play.messages), []
    return f"{lost} lost"


@step(1)
def restart_database(play: Play, chance: random.Random) -> str:
    """The database restarts while nothing is under way: every connection of ours is gone."""
    play.parties.sever()
    return "severed"


@step(2)
def weather(play: Play, chance: random.Random) -> str:
    """Some of the next calls to vendors go wrong."""
    kind = chance.choice(CALLS)
    pattern = [kind if chance.random() < 0.7 else "" for _ in range(chance.choice((1, 1, 2, 4, 12)))]
    play.mishaps.calls = [""] * chance.randrange(3) + pattern
    return f"{kind}: {sum(map(bool, pattern))} of the next {len(play.mishaps.calls)} calls"


@step(3)
def storm(play: Play, chance: random.Random) -> str:
    """From now on webhooks are dropped, sent twice, late, out of order; or arrive again as they should."""
    kinds = [kind for kind in ("drop", "duplicate", "delay", "reorder") if chance.random() < 0.4]
    play.mishaps.storm = {kind: chance.choice((0.3, 1.0)) for kind in kinds}
    return ", ".join(f"{kind} {share:.0%}" for kind, share in play.mishaps.storm.items()) or "fair"


@step(1)
def web_away(play: Play, chance: random.Random) -> str:
    """Our web processes are gone, and vendors' webhooks find nobody; or they are back."""
    play.mishaps.web_is_away = not play.mishaps.web_is_away
    return "gone" if play.mishaps.web_is_away else "back"


@step(1)
def skew(play: Play, chance: random.Random) -> str:
    """The vendors' clock is not ours."""
    if play.clock.off_s or play.world.is_counted or any(row.startswith("count") for row in play.names):
        return "no"
    play.clock.off_s = {"vendor": chance.choice((-80.0, -5.0, 5.0, 80.0))}
    return f"{play.clock.off_s['vendor']} s"


@step(1)
def revoke(play: Play, chance: random.Random) -> str:
    """The merchant takes our access away at one channel."""
    counter = chance.choice(play.shop.counters)
    if counter.channel in play.world.locked_out:
        return "locked out already"
    with play.parties.working("customer"):
        HANDS[counter.channel].revoke(shop=counter.shop)
    play.world.locked_out.add(counter.channel)
    return counter.channel


@step(1)
def reconnect(play: Play, chance: random.Random) -> str:
    """The merchant connects us again."""
    if not play.world.locked_out:
        return "nowhere locked out"
    return let_in(play, chance.choice(sorted(play.world.locked_out)))


def let_in(play: Play, channel: str) -> str:
    """New secrets, by the page that owners use."""
    (counter,) = [one for one in play.shop.counters if one.channel == channel]
    with play.parties.working("customer"):
        secrets = HANDS[channel].let_in(shop=counter.shop)
    with play.parties.working("staff"):
        _, owner = _staff(play)
        connection = Connection.objects.get(pk=counter.connection_id)
        connections.reconnect(connection=connection, secrets=secrets, actor=owner)
    play.world.locked_out.discard(channel)
    return channel


@step(1)
def close_place(play: Play, chance: random.Random) -> str:
    """The merchant closes a place at one vendor, or opens it again."""
    counter, place = chance.choice(play.shop.counters), int(chance.random() < 0.5)
    if not HANDS[counter.channel].closes_places:
        return f"{counter.channel} knows no closed places"
    return set_active(play, counter.channel, place, is_active=(counter.channel, place) in play.world.closed)


def set_active(play: Play, channel: str, place: int, *, is_active: bool) -> str:
    """Close or open a place at one vendor."""
    (counter,) = [one for one in play.shop.counters if one.channel == channel]
    with play.parties.working("customer"):
        HANDS[channel].set_active(shop=counter.shop, location_id=counter.shop.location_ids[place], is_active=is_active)
    (play.world.closed.discard if is_active else play.world.closed.add)((channel, place))
    return f"{channel} {place} {'open' if is_active else 'closed'}"


@step(1)
def pause(play: Play, chance: random.Random) -> str:
    """The owner pauses a channel, or lets it go on."""
    counter = chance.choice(play.shop.counters)
    with play.parties.working("staff"):
        _, owner = _staff(play)
        connection = Connection.objects.get(pk=counter.connection_id)
        if connection.state == Connection.State.LIVE:
            connections.pause(connection=connection, actor=owner, reason="stock take")
        elif connection.state == Connection.State.PAUSED:
            connections.resume(connection=connection, actor=owner)
        else:
            return "locked out"
        connection.refresh_from_db()
    return f"{counter.channel} is {connection.state}"
