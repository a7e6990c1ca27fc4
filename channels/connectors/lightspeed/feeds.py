"""Feeds by version: every change of anything has a number that grows, and a list gives what is newer than one.

https://x-series-api.lightspeedhq.com/docs/pagination: `after` is exclusive, rows ascend, an empty page is the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from channels.connectors.lightspeed.client import rows
from channels.connectors.lightspeed.values import Json, moment, unreadable
from channels.ports import ConnectorError

SIZE = 200  # rows a page; more is allowed for some lists, none allows less
PAGES_MAX = 10_000  # a feed that never ends must not keep a worker for ever

Fetch = Callable[[int], Json]  # after which version → a reply


def version_of(row: Json) -> int:
    """Of a row; sales keep theirs in `_metadata`."""
    found = row.get("version", (row.get("_metadata") or {}).get("version"))
    if not isinstance(found, int):
        raise unreadable("a row without a version")
    return found


def page(fetch: Fetch, *, after: int) -> tuple[Sequence[Json], int]:
    """Rows after a version, and the version they reach. Raises ConnectorError where a page leads nowhere."""
    found = rows(fetch(after))
    reached = max((version_of(row) for row in found), default=after)
    if found and reached <= after:
        raise ConnectorError("Lightspeed's feed does not advance", code="CURSOR_LOOP")
    return found, reached


def pages(fetch: Fetch, *, after: int) -> Iterator[tuple[Sequence[Json], int]]:
    """All pages after a version; the last one is empty."""
    for _ in range(PAGES_MAX):
        found, after = page(fetch, after=after)
        yield found, after
        if not found:
            return
    raise ConnectorError("Lightspeed's feed does not end", code="CURSOR_LOOP")


def everything(fetch: Fetch, *, after: int) -> tuple[list[Json], int]:
    """All rows after a version, and the version they reach."""
    listed: list[Json] = []
    for found, reached in pages(fetch, after=after):
        listed += found
        after = reached
    return listed, after


def is_since(row: Json, since: datetime) -> bool:
    """Whether a row changed at `since` or later; times are told to the second."""
    changed_at = moment(row.get("updated_at"))
    return changed_at is None or changed_at >= since.replace(microsecond=0)


def start(fetch: Fetch, *, since: datetime) -> int:
    """A version that all rows since a time come after, and little else.

    Lists know no times, but versions and times grow together: so it leaps ahead until it is past the time, and halves
    what is between. Only the first reading needs it; from then on the version reached is kept.
    """
    low, high, leap, probe = 0, None, SIZE, 0
    while True:
        found, reached = page(fetch, after=probe)
        if found and not is_since(found[0], since):
            if is_since(found[-1], since):
                return probe
            low, leap = reached, leap * 8
            probe = low + leap if high is None else (low + high) // 2
        elif probe <= low:
            return low
        else:
            high, probe = probe, low


class Cursor:
    """Where a reading stands: a version, and whether it was started by time, so that older rows are left out."""

    def __init__(self, *, after: int, is_timed: bool) -> None:
        self.after, self.is_timed = after, is_timed

    @classmethod
    def parse(cls, text: str, *, begin: Callable[[], int]) -> Cursor:
        """Raises ConnectorError (INVALID_CURSOR) for one that is not ours."""
        if not text:
            return cls(after=begin(), is_timed=True)
        number, _, flag = text.partition("~")
        if not number.isdecimal():
            raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR")
        return cls(after=int(number), is_timed=flag == "t")

    def following(self, reached: int) -> str:
        """The cursor of the next page."""
        return f"{reached}~t" if self.is_timed else str(reached)
