"""Reading in pages: Square's cursors, wrapped so that one text of ours says where a reading stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from channels.connectors.square.client import PAGES_MAX, Reply
from channels.connectors.square.mapping.values import Json, unreadable
from channels.ports import ConnectorError


class Cursor:
    """Where a reading in pages stands: Square's cursor, which group of locations, and the watermark of its
    start."""

    def __init__(self, *, vendor: str = "", group: int = 0, read_until: str = "") -> None:
        self.vendor = vendor
        self.group = group
        self.read_until = read_until

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ConnectorError (INVALID_CURSOR, permanent: begin anew) for one that is not ours."""
        if not text:
            return cls()
        try:
            vendor, group, read_until = json.loads(text)
            return cls(vendor=str(vendor), group=int(group), read_until=str(read_until))
        except (ValueError, TypeError) as error:
            raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR") from error

    def following(self, reply: Reply, *, read_until: str, has_next_group: bool = False) -> str:
        """The next page's cursor, "" after the last. A page that points at itself would be read for ever:
        raises."""
        vendor = str(reply.body.get("cursor") or "")
        if vendor and vendor == self.vendor:
            raise ConnectorError("Square's paging does not advance", code="CURSOR_LOOP")
        if vendor:
            return json.dumps([vendor, self.group, read_until])
        return json.dumps(["", self.group + 1, read_until]) if has_next_group else ""


def pages(fetch: Callable[[str], Reply]) -> Iterator[Reply]:
    """All pages. Raises ConnectorError where the cursor comes round again or never ends."""
    cursor, seen = "", set()
    for _ in range(PAGES_MAX):
        reply = fetch(cursor)
        yield reply
        cursor = str(reply.body.get("cursor") or "")
        if not cursor:
            return
        if cursor in seen:
            break
        seen.add(cursor)
    raise ConnectorError("Square's paging does not end", code="CURSOR_LOOP")


def all_rows(call: Callable[..., Reply], *, body: Json, name: str) -> list[Json]:
    """The rows of all pages of a search; every page repeats the same query."""
    found: list[Json] = []
    for reply in pages(lambda cursor: call(body={**body, **({"cursor": cursor} if cursor else {})})):
        found.extend(rows(reply, name))
    return found


def rows(reply: Reply, name: str) -> list[Json]:
    """A list of objects of a reply; Square leaves empty lists out."""
    listed = reply.body.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise unreadable(f"{name} is no list of objects")
    return listed


def chunks(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]
