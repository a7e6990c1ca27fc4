"""What a person sees while `./dev` works: one line a step, with its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class Failure(Exception):
    """Something a person must see to; its text says what and how."""


class Interrupted(Exception):
    """A person or the machine asked us to stop while we were still starting."""


@contextmanager
def step(label: str) -> Iterator[Callable[[], None]]:
    """Print the label, then the seconds it took. Yields a tick for long steps: it counts on a terminal."""
    started, shown = time.monotonic(), [0]

    def tick() -> None:
        seconds = int(time.monotonic() - started)
        if sys.stdout.isatty() and seconds > shown[0]:
            shown[0] = seconds
            print(f"\r  {label:<44}{seconds:4d}   s", end="", flush=True)

    print(f"  {label:<44}", end="", flush=True)
    try:
        yield tick
    except BaseException as error:
        print("stopped" if isinstance(error, Interrupted) else "failed", flush=True)
        raise
    mark = f"\r  {label:<44}" if shown[0] else ""
    print(f"{mark}{time.monotonic() - started:6.1f} s", flush=True)


def say(text: str) -> None:
    """Tell what happened, with the local time of day."""
    print(f"  {datetime.now().astimezone():%H:%M:%S}  {text}", flush=True)


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, indented, to print beside a failure."""
    try:
        text = path.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
