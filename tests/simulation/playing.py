"""Plays schedules: makes one of a seed, runs it step by step, checks after each, lets all come to rest, shrinks it.

Everything that is played is real: inbox, ledger, publisher, polling, reconciling, the stand-ins' own views. Only
transport, clock, chance and scheduling are the simulation's.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import random
import signal
import traceback
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import psycopg
from django.db import connection as database
from django.test import override_settings
from django.utils import timezone

from channels import dispatcher, inbox, publisher, reconcile, webhooks
from channels.models import ChannelStock, Connection, InboundEvent
from channels.sandbox import deliveries, standins
from channels.sandbox.trading import settling
from inventory.models import StockLevel
from storestudio.accounts.models import Merchant
from tests.contract.adapters import lightspeed
from tests.simulation import checks, clock, databases, shop, steps, transport, urls  # noqa: F401 - the clock finds all
from tests.simulation.mishaps import Mishaps
from tests.simulation.world import World

# A seed plays one of these shops, all by turns.
CASTS = (
    ("shopify", "square"),
    ("lightspeed", "woocommerce"),
    ("lightspeed", "shopify"),
    ("square", "woocommerce"),
)
STEPS_MIN, STEPS_MAX = 6, 16
REST_S_MAX = 900.0  # all must be at rest so long after the last fault, in the schedule's own time
ROUNDS_MAX = 200
ASKED_MAX = 5  # times a person tries a refused number again
POLLS_S = 31.0  # every feed is read so often
VACUUM_EVERY = 100  # schedules
PLAY_S_MAX = 120.0  # of this machine's time: a schedule that takes longer hangs
LEFT_LOCKED_S_MAX = 20  # for a backend to let go of what its schedule left


@dataclass(frozen=True)
class Planned:
    """One step of a schedule: what, and the number its chances come from."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}:{self.number:08x}"


@dataclass(frozen=True)
class Outcome:
    """What became of one schedule."""

    seed: int
    schedule: tuple[Planned, ...]
    wrong: tuple[str, ...]
    lines: tuple[str, ...]
    digest: str
    rest_s: float
    statements: int
    calls: int
    struck: Tally[str]


def plan(seed: int) -> tuple[Planned, ...]:
    """The schedule of a seed."""
    chance = random.Random(f"schedule {seed}")
    names, weights = list(steps.STEPS), [weight for weight, _ in steps.STEPS.values()]
    chosen = chance.choices(names, weights, k=chance.randint(STEPS_MIN, STEPS_MAX))
    return tuple(Planned(name, chance.getrandbits(32)) for name in chosen)


class Breach(Exception):
    """Something that must hold does not."""

    def __init__(self, wrong: Sequence[str]) -> None:
        super().__init__("; ".join(wrong))
        self.wrong = tuple(wrong)


class Hung(BaseException):
    """A schedule took too long by this machine's own clock; no handler may hold it."""


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise Hung in the block, wherever it is, once PLAY_S_MAX have passed."""

    def ring(*_: object) -> None:
        raise Hung

    was = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PLAY_S_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, was)


@dataclass
class Play:
    """One schedule being played."""

    shop: shop.Shop
    world: World
    parties: databases.Parties
    clock: clock.Clock
    mishaps: Mishaps
    names: list[str]
    messages: list[dispatcher.Work] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    judged: set[int] = field(default_factory=set)  # events whose effect was looked for
    unblocked: int = 0
    zeros: set[tuple[int, str, str]] = field(default_factory=set)  # zeros that vendors really showed
    replayed: set[int] = field(default_factory=set)  # events replayed from quarantine
    swept_s: dict[str, float] = field(default_factory=dict)  # when the scheduler last started what

    @cached_property
    def connections(self) -> list[Connection]:
        """As they were opened: for what does not change of them."""
        return list(Connection.objects.order_by("pk"))

    def note(self, words: str) -> None:
        """One line of the trace."""
        self.lines.append(f"{self.clock.elapsed_s:9.2f} s  {words}")

    def look(self) -> None:
        """Keep in mind which zeros the vendors show now: any other is made up."""
        with self.parties.working("judge"):
            for connection in self.connections:
                for (item, place), units in standins.of(connection.channel).shown(connection).items():
                    if units == 0:
                        self.zeros.add((connection.pk, item, place))

    def label(self, connection_id: int) -> str:
        """The channel of a connection."""
        return next(one.channel for one in self.shop.counters if one.connection_id == connection_id)


class Theatre:
    """A database with a shop, in which schedules are played one after another."""

    def __init__(self, database: str) -> None:
        self.clock, self.chance = clock.Clock(), clock.Chance()
        self.parties = databases.Parties(database, self.clock)
        self.network = transport.Network(parties=self.parties, clock=self.clock)
        self.mishaps = Mishaps(parties=self.parties, network=self.network)
        self.stages: dict[int, tuple[shop.Shop, float]] = {}  # by place in CASTS; as it was after so many seconds
        self.stagehand: psycopg.Connection | None = None  # puts the shop back; its plans are worth keeping
        self.played = 0

    @contextmanager
    def open(self) -> Iterator[Theatre]:
        """Clock, chance, network and faults in place."""
        logging.disable(logging.CRITICAL)  # what workers log about the faults we make
        with ExitStack() as stack:
            stack.enter_context(
                override_settings(
                    ROOT_URLCONF="tests.simulation.urls", SANDBOX_URL=transport.VENDORS, PUBLIC_URL=transport.STUDIO,
                    ALLOWED_HOSTS=["*"],
                )
            )  # fmt: skip
            stack.enter_context(clock.chance_in_place(self.chance))
            stack.enter_context(clock.in_place(self.clock))
            stack.enter_context(transport.in_place(self.network))
            stack.enter_context(self.mishaps.in_place())
            try:
                shop.prepare(self.parties)
                shop.remember(self.parties, "nothing")
                self.mishaps.wire()
                gc.freeze()  # Django, schemas and models are for ever: collections need not walk them
                yield self
            finally:
                gc.unfreeze()
                if self.stagehand is not None:
                    self.stagehand.close()
                self.parties.close()
                logging.disable(logging.NOTSET)

    def _bring_up(self, number: int) -> tuple[shop.Shop, float]:
        """A shop with the channels of this cast, opened as a real one is; kept for all schedules that play it."""
        self._begin("nothing", "the shop", at_s=0.0)
        opened = shop.bring_up(self.parties, CASTS[number])
        world = World(opened)
        play = Play(opened, world, self.parties, self.clock, self.mishaps, [])
        _come_to_rest(play)
        with self.parties.working("judge"):
            wrong = checks.at_rest(world)
        if wrong:
            raise Breach(wrong)
        shop.remember(self.parties, f"cast_{number}")
        return opened, self.clock.elapsed_s

    def play(self, seed: int, schedule: Sequence[Planned] | None = None) -> Outcome:
        """Play the schedule of a seed, or these steps of it, from the shop as it was brought up."""
        schedule = plan(seed) if schedule is None else tuple(schedule)
        number = seed % len(CASTS)
        if number not in self.stages:
            self.stages[number] = self._bring_up(number)
        opened, opened_s = self.stages[number]
        self._begin(f"cast_{number}", f"seed {seed}", at_s=opened_s)
        play = Play(opened, World(opened), self.parties, self.clock, self.mishaps, [one.name for one in schedule])
        self.mishaps.on_stock_moved = play.look
        wrong: tuple[str, ...] = ()
        rest_s = 0.0
        try:
            with _bounded():
                for one in schedule:
                    self._step(play, one)
                rest_s = self._end(play)
        except Breach as breach:
            wrong = breach.wrong
        except Hung:
            wrong = (f"hangs: not played in {PLAY_S_MAX:.0f} s", *traceback.format_exc().splitlines()[-24:])
            self.parties.close()  # whatever they wait for
        except Exception as error:
            wrong = (f"{type(error).__name__}: {error}", *traceback.format_exc().splitlines()[-12:])
        if wrong:
            play.note(f"WRONG: {wrong[0]}")
        return Outcome(
            seed=seed, schedule=tuple(schedule), wrong=wrong, lines=tuple(play.lines),
            digest=self.network.digest.hexdigest()[:16], rest_s=rest_s, statements=self.mishaps.total,
            calls=self.network.calls, struck=Tally(self.mishaps.struck),
        )  # fmt: skip

    def _begin(self, state: str, seed: str, *, at_s: float) -> None:
        """The database, clock and chances as a schedule finds them."""
        name = self.parties.settings["NAME"]
        if self.stagehand is None or self.stagehand.closed:
            self.stagehand = psycopg.connect(**databases.parameters(self.parties.settings, name), autocommit=True)
            self.stagehand.execute(f"SET lock_timeout = '{LEFT_LOCKED_S_MAX}s'")
        self.stagehand.execute(f"SELECT simulation.put_back_{state}()")
        if self.played % VACUUM_EVERY == VACUUM_EVERY - 1:
            self.stagehand.execute("VACUUM")
        self.played += 1
        self.clock.elapsed_s, self.clock.off_s, self.clock.party = at_s, {}, "studio"
        self.mishaps.cease()
        self.mishaps.on_stock_moved = lambda: None
        self.mishaps.total, self.mishaps.switches = 0, dict(shop.SWITCHES)
        self.mishaps.struck.clear()
        self.network.digest, self.network.calls = hashlib.sha256(), 0
        webhooks._doors.clear()
        lightspeed._counter.cache_clear()
        self.chance.sow(seed)

    def _step(self, play: Play, one: Planned) -> None:
        self.chance.sow(str(one))
        number = len(play.lines)
        words = steps.STEPS[one.name][1](play, random.Random(one.number))
        play.lines.insert(number, f"{self.clock.elapsed_s:9.2f} s  {one.name}: {words}")
        self.network.digest.update(f"{one.name}: {words}\n".encode())
        self._check(play)

    def _check(self, play: Play) -> None:
        with self.parties.working("judge"):
            set_back = timedelta(seconds=max(0.0, -play.clock.off_s.get("vendor", 0.0)))
            wrong = checks.step(play.judged, play.zeros, set_back=set_back)
        if wrong:
            raise Breach(wrong)

    def _end(self, play: Play) -> float:
        """Faults cease; people answer what only people can; then all must agree within the bound."""
        self.chance.sow("the end")
        began_s = self.clock.elapsed_s
        self.mishaps.cease()
        play.messages.clear()
        for channel, place in sorted(play.world.closed):
            play.note(f"end: {steps.set_active(play, channel, place, is_active=True)}")
        for channel in sorted(play.world.locked_out):
            play.note(f"end: let in at {steps.let_in(play, channel)}")
        _come_to_rest(play)
        self._check(play)
        with self.parties.working("judge"):
            wrong = checks.at_rest(play.world)
        if wrong:
            raise Breach(wrong)
        play.note("all agree")
        self.network.digest.update("\n".join(play.lines).encode())
        return self.clock.elapsed_s - began_s


def _come_to_rest(play: Play) -> None:
    """Deliver, dispatch and work until nothing is under way and all was read since. Raises Breach past the bound."""
    began = timezone.now()
    began_s = play.clock.elapsed_s
    play.clock.sleep(POLLS_S)  # so that each feed is read once more
    with play.parties.working("judge"):
        merchant = Merchant.objects.get(pk=play.shop.merchant_id)
    left: object = "work without end"
    for _ in range(ROUNDS_MAX):
        if play.clock.elapsed_s - began_s > REST_S_MAX:
            break
        with play.parties.working("vendor"):
            moved = deliveries.send_due(pool=steps._Inline())
        moved += steps._tick(play)
        while play.messages:
            steps.run(play, play.messages.pop(0), None)
        if moved:
            continue
        with play.parties.working("judge"):
            waiting, unread = settling.waiting(merchant), _unread(began)
            left = f"{waiting}; {unread} unread"
            if waiting.nothing and not unread and _stays_at_rest(play, merchant):
                return
        wait_s, is_asked = _next_due_s(play)
        if not (is_asked and _ask(play, waiting, unread)):
            play.clock.sleep(wait_s)
    raise Breach([f"not at rest {play.clock.elapsed_s - began_s:.0f} s after the last fault: {left}"])


def _unread(since: datetime) -> int:
    """Connections whose numbers were not read again since then."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM channels_connection WHERE state <> 'closed' AND (swept_at > %s) IS NOT TRUE", [since]
        )
        return int(cursor.fetchone()[0])


def _stays_at_rest(play: Play, merchant: Merchant) -> bool:
    """Whether nothing is to be done once all that the scheduler starts has run again."""
    play.clock.sleep(max(steps.every_s(name) for name in steps.SCHEDULED))
    steps.sweep(play)
    with play.parties.working("judge"):
        return settling.waiting(merchant).nothing


# When the next thing is due that waits for its time: deliveries, leases, retries, rests, readings. And whether anything
# waits for a person.
_NEXT_DUE = """
SELECT extract(epoch FROM min(at) - clock_timestamp()),
       EXISTS (SELECT FROM channels_connection WHERE state IN ('reconnect', 'paused'))
       OR EXISTS (SELECT FROM channels_inboundevent WHERE state = 'quarantined')
       OR EXISTS (SELECT FROM channels_channelstock WHERE blocked_reason <> '' OR drift_at IS NOT NULL)
FROM (
    SELECT due_at FROM sandbox_delivery WHERE state = 'pending'
    UNION ALL SELECT next_attempt_at FROM channels_inboundevent WHERE state = 'pending'
    UNION ALL SELECT leased_until FROM channels_connectionwork
    UNION ALL SELECT resting_until FROM channels_connection
    UNION ALL SELECT recheck_at FROM channels_channelstock
    UNION ALL SELECT next_attempt_at FROM channels_channelstock WHERE dirty_at IS NOT NULL
    UNION ALL SELECT next_attempt_at FROM channels_channelwrite WHERE state = 'sending'
    UNION ALL SELECT expires_at FROM inventory_reservation WHERE state = 'held'
) waits (at) WHERE at > clock_timestamp()
"""


def _next_due_s(play: Play) -> tuple[float, bool]:
    """How long nothing is due, and whether a person may be asked for something meanwhile."""
    with play.parties.working("judge"), database.cursor() as cursor:
        cursor.execute(_NEXT_DUE)
        seconds, is_asked = cursor.fetchone()
    return min(POLLS_S, float(seconds if seconds is not None else POLLS_S)) + 0.01, is_asked


def _ask(play: Play, waiting: settling.Waiting, unread: int) -> bool:
    """A person looks at what waits for one: paused channels, refused numbers, quarantine, drift once it is alone."""
    with play.parties.working("staff"):
        _, owner = steps._staff(play)
        for connection in Connection.objects.filter(state="reconnect").order_by("pk"):
            raise Breach([f"{connection.channel} is called lost, though it lets us in: {connection.state_reason}"])
        for connection in Connection.objects.filter(state="paused", approved_at__isnull=False).order_by("pk"):
            steps.connections.resume(connection=connection, actor=owner)
            play.note(f"end: {connection.channel} goes on")
            return True
        for event in InboundEvent.objects.filter(state="quarantined").order_by("pk"):
            if event.pk in play.replayed:
                raise Breach([f"quarantined again: {event.topic}: {event.error}"])
            play.replayed.add(event.pk)
            play.note(f"end: replayed {event.topic}: {event.error}")
            inbox.replay(event_id=event.pk, actor=owner)
            return True
        for cell in ChannelStock.objects.exclude(blocked_reason="").order_by("pk"):
            play.note(f"end: unblocked a cell: {cell.blocked_reason}")
            play.unblocked += 1
            if play.unblocked > ASKED_MAX:
                raise Breach([f"refused again and again: {cell.blocked_reason}"])
            publisher.unblock(cell_id=cell.pk)
            return True
        alone = not (waiting.deliveries or waiting.inbox or waiting.in_flight or unread)
        settled = timezone.now() - timedelta(seconds=20)
        edited = checks.edited_cells(play.world)
        for cell in ChannelStock.objects.filter(drift_at__lte=settled).order_by("pk") if alone else ():
            # Somebody goes and looks at the shelf.
            cells = {play.world.ids(one): one for one in play.world.shelf}
            pair = cell.listing.variant_id, cell.channel_location.location_id
            level = StockLevel.objects.get(variant=pair[0], location=pair[1])
            if cell.pk not in edited:
                raise Breach([f"a person is asked about cell {cell.pk}, which nobody changed: {_words(cell)}"])
            choice = "ours" if level.on_hand == play.world.shelf[cells[pair]] else "theirs"
            play.note(f"end: {choice} is right: cell {cell.pk} {_words(cell)}")
            play.world.decided.add(cell.pk)
            reconcile.resolve_drift(cell_id=cell.pk, choice=choice, actor=owner)
            return True
    return False


def _words(cell: ChannelStock) -> str:
    return f"shows {cell.observed}, we believed {cell.expected}"


def shrink(theatre: Theatre, outcome: Outcome, *, tries_max: int = 150) -> Outcome:
    """The same failure with as few steps as can be found: steps are left out as long as something is still wrong."""
    best, size, tries = outcome, max(1, len(outcome.schedule) // 2), 0
    while size >= 1 and tries < tries_max:
        start, found = 0, False
        while start < len(best.schedule) and tries < tries_max:
            shorter = best.schedule[:start] + best.schedule[start + size :]
            tries += 1
            tried = theatre.play(outcome.seed, shorter)
            if tried.wrong:
                best, found = tried, True
            else:
                start += size
        if not found:
            size //= 2
    return best
