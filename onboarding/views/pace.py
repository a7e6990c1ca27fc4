"""How fast decisions are made, and when the rest will be done: measured, never guessed."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

LOOKED_AT = 60  # the newest decisions tell how fast it goes now
PAUSE_MIN = timedelta(minutes=5)  # a longer gap is a break, not thinking
TOGETHER_MAX = timedelta(milliseconds=200)  # closer than this: accepted in bulk, one act
GAPS_MIN = 4
HOURS_A_DAY = 4.0  # at the desk; the rest of a day goes to calls and other shops


@dataclass(frozen=True)
class Pace:
    """Decisions today, the seconds each takes (None: too few to say), and what that means for what is left."""

    left: int
    today: int
    seconds_each: float | None
    done_at: datetime | None
    workdays: int
    other: int = 0  # what waits at the other desk
    ready_at: datetime | None = None  # when both are done: the shop can be rehearsed and go live

    @property
    def hours_a_day(self) -> float:
        """What a working day is reckoned at."""
        return HOURS_A_DAY

    @property
    def a_minute(self) -> float | None:
        """Decisions a minute."""
        return None if self.seconds_each is None else 60 / self.seconds_each

    @property
    def seconds_left(self) -> float | None:
        """Time at the desk until the queue is empty."""
        return None if self.seconds_each is None else self.seconds_each * self.left

    @property
    def share(self) -> float:
        """0 to 1: how much of today's pile is done."""
        return self.today / (self.today + self.left) if self.today + self.left else 1.0


def pace(*, decided: Sequence[datetime], today: int, left: int, now: datetime, zone: ZoneInfo, other: int = 0) -> Pace:
    """`decided`: when the newest decisions were made, newest first; `zone`: the shop's, which says what a day is.

    `other`: how many decisions wait at the other desk; they are taken to need as long each.
    """
    each = _seconds_each(decided[:LOOKED_AT])
    if each is None:
        return Pace(left=left, today=today, seconds_each=None, done_at=None, workdays=0, other=other)
    done_at, workdays = _done(each * left, now=now, zone=zone)
    ready_at, _ = _done(each * (left + other), now=now, zone=zone)
    return Pace(left, today, each, done_at, workdays, other, ready_at)


def _done(seconds: float, *, now: datetime, zone: ZoneInfo) -> tuple[datetime, int]:
    """When so much time at the desk will have passed, and on how many working days."""
    workdays = math.ceil(seconds / 3600 / HOURS_A_DAY)
    if workdays <= 1:
        return now + timedelta(seconds=seconds), workdays
    day = _workday(now.astimezone(zone).date(), workdays - 1)
    return datetime(day.year, day.month, day.day, 12, tzinfo=zone), workdays


def _seconds_each(decided: Sequence[datetime]) -> float | None:
    gaps = [
        (later - earlier).total_seconds()
        for later, earlier in itertools.pairwise(decided)
        if TOGETHER_MAX < later - earlier < PAUSE_MIN
    ]
    return statistics.mean(gaps) if len(gaps) >= GAPS_MIN else None


def _workday(start: date, days: int) -> date:
    """So many working days (Monday to Friday) after the start."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def start_of_day(*, now: datetime, zone: ZoneInfo) -> datetime:
    """When today began where the shop is."""
    local = now.astimezone(zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)
