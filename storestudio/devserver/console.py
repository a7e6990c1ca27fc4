"""What a person sees while `./dev` works: one line a step, with its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

_open_steps: list[str] = []


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
    _open_steps.append(label)
    try:
        yield tick
    except BaseException as error:
        ending = "stopped" if isinstance(error, Interrupted) else "failed"
        raise
    else:
        ending = f"{time.monotonic() - started:6.1f} s"
    finally:
        untouched = label in _open_steps and not shown[0]
        print(ending if untouched else f"\r  {label:<44}{ending}", flush=True)
        _open_steps.clear()


def say(text: str) -> None:
    """Tell what happened, with the local time of day."""
    if _open_steps:  # a step has begun its line and will write it anew at its end
        print(flush=True)
        _open_steps.clear()
    print(f"  {datetime.now().astimezone():%H:%M:%S}  {text}", flush=True)


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, indented, to print beside a failure."""
    try:
        text = path.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
