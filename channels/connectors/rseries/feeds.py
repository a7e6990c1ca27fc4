"""Reading what is new: tickets and set-aside goods by time, the log by number, each with a little overlap.

Times there count seconds, and a ticket's own time may stand still while its lines change: so tickets are read by
`updatetime` and lines by theirs. Goods set aside belong to no ticket and vanish when they are let go; only the row of
the quantity moves then, so these are read by theirs, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from channels.connectors.rseries.client import Client
from channels.connectors.rseries.mapping import SET_ASIDE, changed_at
from channels.connectors.rseries.values import Json, moment, quantity, ref, since
from channels.ports import ConnectorError, OrderRef, OrdersPage

LOG_OVERLAP = 100  # entries of the log read again each time: two tills may commit theirs out of order
# The lists that tell of orders, in the order they are read: tickets first, so that what was fetched is off the shelf
# before it is no longer set aside.
LISTS = (("Sale", "updatetime"), ("SaleLine", "timeStamp"), ("ItemShop", "timeStamp"))
FIRST = (*LISTS, ("SaleLine", "saleID"))  # once also all that is set aside, however long it has been
KEPT = ("onLayaway", "onSpecialOrder", "onWorkorder", "onWorkOrder")  # of a quantity's row: what is kept for customers
SEEN = "seen"  # the resume of one who has read all that is set aside


@dataclass(frozen=True)
class Cursor:
    """Where a reading of several lists stands: which of them, the next page's query, and when it began."""

    position: int = 0
    following: str = ""
    began_at: str = ""
    is_first: bool = False

    @classmethod
    def parse(cls, cursor: str) -> Cursor:
        """Raises ConnectorError (INVALID_CURSOR) for one that is not ours."""
        if cursor in ("", SEEN):
            return cls(is_first=not cursor)
        try:
            return cls(*json.loads(cursor))
        except (ValueError, TypeError) as error:
            raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR") from error

    @property
    def lists(self) -> Sequence[tuple[str, str]]:
        """What this reading reads."""
        return FIRST if self.is_first else LISTS

    def __str__(self) -> str:
        return json.dumps([self.position, self.following, self.began_at, self.is_first])


def orders_page(client: Client, *, start: datetime, cursor: str) -> OrdersPage:
    """The next page of what changed; `read_until` is the vendor's clock when the reading began."""
    at = Cursor.parse(cursor)
    name, field = at.lists[at.position]
    params = {"saleID": "0"} if field == "saleID" else {field: since(start), "sort": field}
    params |= {"archived": "true"} if name == "Sale" else {}
    page = client.page(name, params, following=at.following)
    began_at = at.began_at or page.served_at.isoformat()
    position = at.position if page.following else at.position + 1
    is_last = position == len(at.lists)
    following = Cursor(position, page.following, began_at, at.is_first)
    return OrdersPage(
        orders=refs(name, page.rows),
        next_cursor="" if is_last else str(following),
        read_until=datetime.fromisoformat(began_at) if is_last else None,
        resume=SEEN if is_last else "",
    )


def refs(name: str, found: Iterable[Json]) -> list[OrderRef]:
    """Orders that rows of a list speak of, and how new that is; of several rows of one order, the last word."""
    named: dict[str, OrderRef] = {}
    for row in found:
        one = _ref(name, row)
        if one is not None:
            before = named.get(one.external_id)
            named[one.external_id] = replace(one, is_over=one.is_over and (before is None or before.is_over))
    return list(named.values())


def _ref(name: str, row: Json) -> OrderRef | None:
    if name == "Sale":
        return OrderRef(str(row["saleID"]), updated_at=changed_at(row))
    changed, sale, item = moment(row.get("timeStamp")), ref(row.get("saleID")), ref(row.get("itemID"))
    if name == "SaleLine" and sale:
        return OrderRef(sale, updated_at=changed)
    if not item or (name == "ItemShop" and not ref(row.get("shopID"))):
        return None
    is_over = name == "ItemShop" and not any(quantity(row.get(field) or 0) for field in KEPT)
    return OrderRef(f"{SET_ASIDE}{item}", updated_at=changed, is_over=is_over)


def log_since(client: Client, *, start: datetime, cursor: str) -> tuple[list[Json], int]:
    """Entries of the log that are new or nearly so, and the number of the last. Raises ConnectorError."""
    if cursor and not cursor.isdecimal():
        raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR")
    reached = int(cursor or 0)
    newer = {"inventoryLogID": f">,{max(0, reached - LOG_OVERLAP)}"} if cursor else {"createTime": since(start)}
    found = list(client.everything("InventoryLog", {**newer, "sort": "inventoryLogID"}))
    return found, max([reached, *(int(str(entry["inventoryLogID"])) for entry in found)])
