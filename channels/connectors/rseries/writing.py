"""Telling numbers: read, compare, set; then the log says what our number went over.

A quantity is only set absolutely (https://developers.lightspeedhq.com/retail/tutorials/inventory/, Adjusting ItemShops
Directly), under no key. So a number that is not the one we believed is STALE and left alone, and a repeat looks first:
the log is numbered, and what of ours is newer there than the last write acknowledged before this one
(`CountWrite.mark`) is an earlier attempt of it. A sale between our reading and our writing is undone by the setting;
the log's entry of our write shows it, for it moved the quantity by another number than we meant. Then the number is set
right at once, in the same call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from channels.connectors.rseries import mapping
from channels.connectors.rseries.client import LIMIT, Client, full
from channels.connectors.rseries.values import ZERO, Json, any_of, chunks, moment, numbers, quantity, rows, since, text
from channels.ports import ConnectorError, CountResult, CountWrite, WriteOutcome

CLOCKS_APART = timedelta(minutes=15)  # the vendor's and ours, at most
WRITE_DRIPS = 4  # one item told, and the log looked at
CORRECTIONS_MAX = 2  # a sale may come between again; after that the next reading finds it
GONE = "Lightspeed does not have it any more."

Cell = tuple[str, str]  # item, shop


@dataclass(frozen=True)
class Level:
    """A quantity as it was read, and the number of the row that holds it."""

    row_id: str
    qoh: Decimal


def levels(client: Client, *, item_ids: Sequence[str], shop_ids: Sequence[str]) -> list[Json]:
    """Quantities of these items at these shops now, one call for a hundred rows."""
    shops = numbers(shop_ids)
    size = max(1, LIMIT // max(1, len(shops)))
    if not shops:
        return []
    return [
        row
        for chunk in chunks(numbers(item_ids), size)
        for row in client.everything("ItemShop", {"itemID": any_of(chunk), "shopID": any_of(shops)})
    ]


def write(client: Client, *, writes: Sequence[CountWrite], employee_id: str, now: datetime) -> list[CountResult]:
    """Tell numbers that no earlier attempt has told; `now` is when the write was made. Raises ConnectorError."""
    results = {
        index: CountResult(WriteOutcome.APPLIED, one.to_quantity)
        for index, one in enumerate(writes)
        if one.from_quantity == one.to_quantity
    }
    waiting = {index: one for index, one in enumerate(writes) if index not in results}
    shown = _shown(client, waiting.values())
    repeated = {index: one for index, one in waiting.items() if not one.is_first}
    if repeated:
        results |= _done_before(client, repeated, shown, employee_id=employee_id, now=now)
    started = newest(client) if waiting else 0  # before the comparison: what is newer came after it
    for index, one in waiting.items():
        if index not in results and (settled := _settled(one, shown.get(_cell(one)))) is not None:
            results[index] = settled
    told = {index: one for index, one in waiting.items() if index not in results}
    if told:
        results |= _tell(client, told, shown, after=started, employee_id=employee_id)
    return [results[index] for index in range(len(writes))]


def newest(client: Client) -> int:
    """The number of the log's last entry; 0 where there is none."""
    found = client.page("InventoryLog", {"sort": "-inventoryLogID", "limit": 1}).rows
    return int(str(found[0]["inventoryLogID"])) if found else 0


def _cell(one: CountWrite) -> Cell:
    return one.inventory_id, one.location_id


def _shown(client: Client, writes: Iterable[CountWrite]) -> dict[Cell, Level]:
    cells = {_cell(one) for one in writes}
    found = levels(client, item_ids=[item for item, _ in cells], shop_ids=[shop for _, shop in cells]) if cells else []
    return _by_cell(found)


def _by_cell(item_shops: Iterable[Json]) -> dict[Cell, Level]:
    return {
        (str(row["itemID"]), str(row["shopID"])): Level(str(row["itemShopID"]), quantity(row.get("qoh")))
        for row in item_shops
    }


def _settled(one: CountWrite, level: Level | None) -> CountResult | None:
    """What must not be written; None for what is to be."""
    if level is None:
        return CountResult(WriteOutcome.REFUSED, message=GONE)
    if level.qoh != one.from_quantity:
        return CountResult(WriteOutcome.STALE, level.qoh, message=f"It shows {level.qoh}, not {one.from_quantity}.")
    return None


@dataclass(frozen=True)
class _Entry:
    """One entry of the log, of ours."""

    number: int
    size: Decimal
    made_at: datetime | None


def _ours(client: Client, params: Mapping[str, str | int], *, employee_id: str) -> dict[Cell, list[_Entry]]:
    """Our own entries in the log, by cell."""
    found: defaultdict[Cell, list[_Entry]] = defaultdict(list)
    for entry in client.everything("InventoryLog", {**params, "sort": "inventoryLogID"}):
        if mapping.is_by(entry, employee_id):
            cell = text(entry.get("itemID")), text(entry.get("shopID"))
            number, size = int(str(entry["inventoryLogID"])), quantity(entry.get("qohChange") or 0)
            found[cell].append(_Entry(number, size, moment(entry.get("createTime"))))
    return found


def _done_before(
    client: Client,
    repeated: Mapping[int, CountWrite],
    shown: Mapping[Cell, Level],
    *,
    employee_id: str,
    now: datetime,
) -> dict[int, CountResult]:
    """Which of these an earlier attempt has carried out. Without a mark, entries older than the write, by the clock
    there, count as such only where the quantity is no longer what the write started from."""
    mark = min(one.mark for one in repeated.values())
    newer = {"inventoryLogID": f">,{mark}"} if mark else {"createTime": since(now - CLOCKS_APART)}
    history = _ours(client, newer, employee_id=employee_id)
    made_at = client.meter.shown_there(now)
    found = {}
    for index, one in repeated.items():
        mine = [entry for entry in history.get(_cell(one), []) if entry.number > one.mark]
        is_done = bool(mine) and sum(entry.size for entry in mine) == one.to_quantity - one.from_quantity
        is_sure = bool(one.mark) or all(entry.made_at is not None and entry.made_at >= made_at for entry in mine)
        level = shown.get(_cell(one))
        if is_done and (is_sure or level is None or level.qoh != one.from_quantity):
            found[index] = CountResult(WriteOutcome.APPLIED, mark=max(entry.number for entry in mine))
    return found


def _tell(
    client: Client, told: Mapping[int, CountWrite], shown: Mapping[Cell, Level], *, after: int, employee_id: str
) -> dict[int, CountResult]:
    """One call an item, all its shops together; then the log is looked at, and what went over a sale set right.

    It stops while there is room left to look: the rest is told again as a new write. Raises ConnectorError: what was
    written before it is found in the log by the repeat.
    """
    results: dict[int, CountResult] = {}
    meant = {_cell(one): one.to_quantity - one.from_quantity for one in told.values()}
    goals = {_cell(one): one.to_quantity for one in told.values()}
    written: set[Cell] = set()
    for item_id, indexes in _by_item(told).items():
        cells = {_cell(told[index]): goals[_cell(told[index])] for index in indexes}
        if not client.bucket.has_room(WRITE_DRIPS + len(cells)):
            if not written:
                raise full(client.bucket)
            break
        try:
            _set(client, item_id, cells, shown)
        except ConnectorError as error:
            if not error.permanent or error.needs_reconnect:
                raise
            results |= {index: CountResult(WriteOutcome.REFUSED, message=str(error)) for index in indexes}
        else:
            written |= cells.keys()
    mark = _correct(client, meant, written, shown, after=after, employee_id=employee_id) if written else 0
    for index, one in told.items():
        if _cell(one) in written:
            results[index] = CountResult(WriteOutcome.APPLIED, mark=mark)
        else:
            results.setdefault(index, CountResult(WriteOutcome.SKIPPED))
    return results


def _by_item(told: Mapping[int, CountWrite]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, one in told.items():
        found.setdefault(one.inventory_id, []).append(index)
    return found


def _set(client: Client, item_id: str, cells: Mapping[Cell, Decimal], shown: Mapping[Cell, Level]) -> dict[Cell, Level]:
    """The quantities there afterwards, as the answer shows them."""
    entries = [{"itemShopID": shown[cell].row_id, "qoh": str(int(qoh))} for cell, qoh in cells.items()]
    reply = client.update_item(item_id, {"ItemShops": {"ItemShop": entries}})
    return _by_cell(rows((reply.get("Item") or {}).get("ItemShops"), "ItemShop"))


def _correct(
    client: Client,
    meant: Mapping[Cell, Decimal],
    written: Iterable[Cell],
    shown: Mapping[Cell, Level],
    *,
    after: int,
    employee_id: str,
) -> int:
    """Set right what our numbers went over, and return where the log stands now: the mark of these writes."""
    cells, done = set(written), dict.fromkeys(written, ZERO)
    for _ in range(CORRECTIONS_MAX + 1):
        mine = _ours(client, {"inventoryLogID": f">,{after}"}, employee_id=employee_id)
        for cell in cells:
            done[cell] = sum((entry.size for entry in mine.get(cell, [])), ZERO)
        wrong = {cell for cell in cells if mine.get(cell) and done[cell] != meant[cell]}
        if not wrong:
            break
        fresh = _by_cell(levels(client, item_ids=[item for item, _ in wrong], shop_ids=[shop for _, shop in wrong]))
        for item_id, shop_id in sorted(wrong & fresh.keys()):
            cell = item_id, shop_id
            _set(client, item_id, {cell: fresh[cell].qoh + meant[cell] - done[cell]}, fresh)
    numbers_seen = [entry.number for entries in mine.values() for entry in entries]
    return max([after, *numbers_seen])
