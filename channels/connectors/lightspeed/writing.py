"""Telling numbers: relative adjustments, which know no idempotency key.

So a repeat looks first. Every adjustment of ours carries one of our own two reasons, and the history is numbered: what
of ours is newer than the last write acknowledged before this one is an earlier attempt of it (`CountWrite.mark`).
Where no mark is known, one of the right size counts as such that was made since the write was, by the clock there. Is
it a little older, an earlier connection may have made it, or the clock is wrong: it counts only if the level, too, is
no longer what the write started from. The level alone does not tell: a sale may have brought it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from channels.connectors.lightspeed import feeds, mapping
from channels.connectors.lightspeed.client import Client, row, rows
from channels.connectors.lightspeed.values import Json, decimal_text, quantity
from channels.ports import ConnectorError, Count, CountResult, CountWrite, WriteOutcome

LINES_MAX = 1_000  # of one call
LEVELS_SIZE = 10_000  # rows of one list of levels
CLOCKS_APART = timedelta(minutes=15)  # the vendor's and ours, at most
# At most 30 characters, unique at the retailer.
REASONS = {"reason_rise": ("StoreStudio +", "POSITIVE"), "reason_fall": ("StoreStudio -", "NEGATIVE")}

Cell = tuple[str, str]


def reasons(client: Client, *, makes: bool) -> dict[str, str]:
    """The ids of our two reasons, made where they are missing and `makes`; never twice."""
    listed, _ = feeds.everything(lambda after: client.reasons(after=after), after=0)
    by_name = {str(one.get("name")): str(one.get("id")) for one in listed}
    found = {}
    for key, (name, kind) in REASONS.items():
        if name not in by_name and makes:
            by_name[name] = str(row(client.create_reason(body={"name": name, "type": kind}))["id"])
        if name in by_name:
            found[key] = by_name[name]
    return found


def levels(client: Client, *, product_ids: Sequence[str], outlet_ids: Sequence[str]) -> list[Count]:
    """The numbers of these products at these outlets now; inactive products are counted, too."""
    found: list[Json] = []
    while True:
        body = {
            "product_ids": list(product_ids), "location_ids": list(outlet_ids), "include_inactive": True,
            "offset": len(found), "size": LEVELS_SIZE, "sort_type": "created_at", "sort_direction": "asc",
        }  # fmt: skip
        page = rows(client.levels(body=body))
        found += page
        if len(page) < LEVELS_SIZE:
            return mapping.counts(found)


def adjustment(write: CountWrite, *, ours: Mapping[str, str]) -> dict[str, Any]:
    """One number's change under our reason for its sign."""
    delta = write.to_quantity - write.from_quantity
    return {
        "product_id": write.inventory_id,
        "outlet_id": write.location_id,
        "quantity": decimal_text(delta),
        "reason": "CUSTOM",
        "custom_inventory_adjustment_reason_id": ours["reason_rise" if delta > 0 else "reason_fall"],
    }


def write(client: Client, *, writes: Sequence[CountWrite], ours: Mapping[str, str], now: datetime) -> list[CountResult]:
    """Tell the differences that no earlier attempt has told; `now` is when the write was made."""
    results: dict[int, CountResult] = {
        index: CountResult(WriteOutcome.APPLIED, quantity_after=one.to_quantity)
        for index, one in enumerate(writes)
        if one.from_quantity == one.to_quantity
    }
    repeated = [index for index, one in enumerate(writes) if index not in results and not one.is_first]
    if repeated:
        results |= _done_before(client, {index: writes[index] for index in repeated}, ours=ours, now=now)
    waiting = [index for index in range(len(writes)) if index not in results]
    if waiting:
        results |= _tell(client, {index: writes[index] for index in waiting}, ours=ours)
    left_out = {index: writes[index] for index in waiting if index not in results}
    if left_out:
        # What the answer does not show may have been done all the same. What was not is told again as a new write.
        results |= dict.fromkeys(left_out, CountResult(WriteOutcome.SKIPPED))
        results |= _done_before(client, left_out, ours=ours, now=now)
    return [results[index] for index in range(len(writes))]


def _tell(client: Client, waiting: Mapping[int, CountWrite], *, ours: Mapping[str, str]) -> dict[int, CountResult]:
    """What the answer shows as done."""
    body = {"stock_adjustments": [adjustment(one, ours=ours) for one in waiting.values()]}
    try:
        made = _by_cell(rows(client.adjust(body=body)))
    except ConnectorError as error:
        if error.permanent and not error.needs_reconnect and len(waiting) > 1:
            error.lines = _to_blame(client, waiting)
        raise
    return {
        index: CountResult(WriteOutcome.APPLIED, mark=version)
        for index, one in waiting.items()
        if (version := made.get((one.inventory_id, one.location_id), {}).get(one.to_quantity - one.from_quantity))
    }


def _by_cell(adjustments: Sequence[Json]) -> dict[Cell, dict[Decimal, int]]:
    """Adjustments by cell and size: the newest version of each."""
    found: dict[Cell, dict[Decimal, int]] = {}
    for one in adjustments:
        sizes = found.setdefault((str(one.get("product_id")), str(one.get("outlet_id"))), {})
        size = quantity(one.get("quantity"))
        sizes[size] = max(sizes.get(size, 0), feeds.version_of(one))
    return found


def _done_before(
    client: Client, asked: Mapping[int, CountWrite], *, ours: Mapping[str, str], now: datetime
) -> dict[int, CountResult]:
    """Which of these an earlier attempt has carried out, or this one without saying so."""

    def fetch(after: int) -> Json:
        return client.adjustments(after=after, size=feeds.SIZE)

    mark = min(one.mark for one in asked.values())
    history, _ = feeds.everything(fetch, after=mark or feeds.start(fetch, since=now - CLOCKS_APART))
    mine = [one for one in history if one.get("custom_inventory_adjustment_reason_id") in set(ours.values())]
    found: dict[int, CountResult] = {}
    for index, one in asked.items():
        newer = _by_cell([entry for entry in mine if feeds.version_of(entry) > one.mark])
        version = newer.get((one.inventory_id, one.location_id), {}).get(one.to_quantity - one.from_quantity)
        if version:
            found[index] = CountResult(WriteOutcome.APPLIED, mark=version)
    made_at = client.meter.shown_there(now)
    since = {feeds.version_of(entry) for entry in mine if feeds.is_since(entry, made_at)}
    unsure = {index for index, result in found.items() if not asked[index].mark and result.mark not in since}
    for index in unsure & _unmoved(client, {index: asked[index] for index in unsure}):
        del found[index]
    return found


def _unmoved(client: Client, asked: Mapping[int, CountWrite]) -> set[int]:
    """Writes whose level still is what they start from."""
    if not asked:
        return set()
    shown = {
        (count.inventory_id, count.location_id): count.quantity
        for count in levels(
            client, product_ids=sorted({one.inventory_id for one in asked.values()}),
            outlet_ids=sorted({one.location_id for one in asked.values()}),
        )
    }  # fmt: skip
    return {
        index for index, one in asked.items() if shown.get((one.inventory_id, one.location_id)) == one.from_quantity
    }


def _to_blame(client: Client, waiting: Mapping[int, CountWrite]) -> tuple[int, ...]:
    """Lines whose product has no level there: the vendor's refusal does not say which line it is about."""
    cells = {
        (count.inventory_id, count.location_id)
        for count in levels(
            client, product_ids=sorted({one.inventory_id for one in waiting.values()}),
            outlet_ids=sorted({one.location_id for one in waiting.values()}),
        )
    }  # fmt: skip
    return tuple(index for index, one in waiting.items() if (one.inventory_id, one.location_id) not in cells)
