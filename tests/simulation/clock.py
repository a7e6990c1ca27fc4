"""Time and chance of a schedule: both come from its seed, and nothing of them from this machine.

`datetime.now`, `time.time`, `time.monotonic` and `time.sleep` read and move a virtual clock; `os.urandom` (and so
`uuid4`, `secrets` and every id a stand-in makes) and `random` draw from the seed. A party may have a clock of its own
that is wrong by so much: the vendors' against ours. The database's clock follows: see `databases`.
"""

from __future__ import annotations

import datetime as datetimes
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, timedelta
from unittest import mock

BEGINS_AT = datetimes.datetime(2030, 1, 7, 9, tzinfo=UTC)
OURS = ("channels", "inventory", "onboarding", "storestudio", "tests.contract.adapters", "django.utils.timezone")
real_datetime = datetimes.datetime
real_monotonic = time.monotonic


class Clock:
    """The time of the world, and how far each party's own clock is off."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.off_s: dict[str, float] = {}
        self.party = "studio"

    def now(self):
        """What the clock of the party at work shows."""
        return BEGINS_AT + timedelta(seconds=self.elapsed_s + self.off_s.get(self.party, 0.0))

    def time(self) -> float:
        """As `time.time`."""
        return self.now().timestamp()

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.elapsed_s += max(0.0, seconds)


def _datetime_of(clock: Clock) -> type:
    """A `datetime` whose `now` is the clock's; what it makes and recognises are real ones."""

    class AnyDatetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real_datetime)

    class VirtualDatetime(real_datetime, metaclass=AnyDatetime):
        def __new__(cls, *args, **kwargs):
            return real_datetime(*args, **kwargs)

        @classmethod
        def now(cls, tz=None):
            now = clock.now()
            return now.astimezone(tz) if tz else now.replace(tzinfo=None)

    return VirtualDatetime


@contextmanager
def in_place(clock: Clock) -> Iterator[None]:
    """Everything of ours reads this clock while the block runs."""
    virtual = _datetime_of(clock)
    with ExitStack() as stack:
        for name, module in sorted(sys.modules.items()):
            if name.startswith(OURS) and getattr(module, "datetime", None) is real_datetime:
                stack.enter_context(mock.patch.object(module, "datetime", virtual))
        stack.enter_context(mock.patch.object(time, "time", clock.time))
        stack.enter_context(mock.patch.object(time, "monotonic", clock.monotonic))
        stack.enter_context(mock.patch.object(time, "sleep", clock.sleep))
        yield


class Chance:
    """What this machine would draw by chance, drawn from a seed instead."""

    def __init__(self) -> None:
        self.bytes = random.Random()

    def sow(self, seed: str) -> None:
        """From here on draw what this seed draws; `random` likewise."""
        self.bytes.seed(seed)
        random.seed(seed)


@contextmanager
def chance_in_place(chance: Chance) -> Iterator[None]:
    """Keys, tokens and ids come from the seed while the block runs."""
    with (
        mock.patch.object(os, "urandom", chance.bytes.randbytes),
        mock.patch.object(random, "_urandom", chance.bytes.randbytes),
    ):
        state = random.getstate()
        yield
        random.setstate(state)
