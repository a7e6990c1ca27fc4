"""Reading in pages, and products by their ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.connectors.woocommerce.client import PAGE_ROWS, Client, Params, Reply
from channels.connectors.woocommerce.values import Json, by_product, chunks, id_of, moment, stamp
from channels.ports import ConnectorError

PAGES_MAX = 1_000  # a list that never ends must not keep a worker for ever
GONE_CODES = {
    "woocommerce_rest_product_invalid_id", "woocommerce_rest_product_variation_invalid_id", "rest_post_invalid_id",
}  # fmt: skip
OVERLAP = timedelta(seconds=2)  # bounds are exclusive, times are whole seconds


@dataclass(frozen=True)
class Cursor:
    """Where a reading stands: the page, how many rows there were, and the shop's clock at its start."""

    page: int = 1
    total: int = 0
    read_until: str = ""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ConnectorError (INVALID_CURSOR, permanent: begin anew) for one that is not ours."""
        if not text:
            return cls()
        try:
            page, total, read_until = json.loads(text)
            return cls(int(page), int(total), str(read_until))
        except (ValueError, TypeError) as error:
            raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR") from error

    def following(self, reply: Reply, *, size: int, started_at: str) -> str:
        """The next page's cursor, "" after the last.

        Rows that fewer are than before have moved up, over a page's edge perhaps: then it is read from the start.
        """
        if self.total and reply.total < self.total:
            return json.dumps([1, 0, started_at])
        is_last = self.page * size >= reply.total or not reply.rows
        return "" if is_last else json.dumps([self.page + 1, reply.total, started_at])

    def started_at(self, reply: Reply) -> str:
        """The shop's clock when the first page was read."""
        return self.read_until or (stamp(reply.served_at) if reply.served_at else "")


def changed_since(since: datetime | None) -> Params:
    """Filters for what changed, in an order that changing does not change."""
    params: dict[str, str | int] = {"orderby": "id", "order": "asc"}
    if since is not None:
        params |= {"modified_after": stamp(since - OVERLAP), "dates_are_gmt": "true"}
    return params


def read_until(text: str, *, is_last: bool) -> datetime | None:
    """The watermark a last page gives."""
    return moment(text) if is_last else None


def all_rows(fetch: Callable[[Params], Reply], params: Params) -> Iterator[Json]:
    """The rows of all pages. Raises ConnectorError where they never end."""
    for page in range(1, PAGES_MAX + 1):
        reply = fetch({**params, "per_page": PAGE_ROWS, "page": page})
        yield from reply.rows
        if page * PAGE_ROWS >= reply.total or not reply.rows:
            return
    raise ConnectorError("WooCommerce's pages do not end", code="CURSOR_LOOP")


def variations_of(client: Client, product_id: str, ids: Sequence[str] = ()) -> list[Json]:
    """A product's variations, all or the given ones. Each names its product, which older versions leave out."""
    params: dict[str, str | int] = {"orderby": "id", "order": "asc"}
    if ids:
        params["include"] = ",".join(ids)
    rows = all_rows(lambda page: client.list_variations(product_id, page), params)
    return [{**row, "type": "variation", "parent_id": int(product_id)} for row in rows]


def products(client: Client, ids: Sequence[str]) -> list[Json]:
    """Products by their own numbers; what is gone is missing."""
    found: list[Json] = []
    for chunk in chunks(ids, PAGE_ROWS):
        params: Params = {"include": ",".join(chunk), "orderby": "id", "order": "asc"}
        found += all_rows(client.list_products, params)
    return found


def documents(client: Client, ids: Sequence[str]) -> dict[str, Json]:
    """Products and variations by listing id; what is gone is missing, and what an answer leaves out. One call for all
    products, one for each product whose variations are asked for."""
    return _documents(client, ids)[0]


def surely(client: Client, ids: Sequence[str]) -> dict[str, Json]:
    """Products and variations by listing id; missing is only what WooCommerce says that it does not have: what a list
    leaves out is asked for by itself."""
    found, gone = _documents(client, ids)
    left_out = [name for name in ids if name not in found and name.partition("/")[0] not in gone]
    return found | {name: document for name in left_out if (document := _by_itself(client, name))}


def _documents(client: Client, ids: Sequence[str]) -> tuple[dict[str, Json], set[str]]:
    """By listing id; and the products that WooCommerce says are gone, with all their variations."""
    found: list[Json] = []
    gone: set[str] = set()
    for product_id, numbers in by_product(ids).items():
        try:
            if not product_id:
                found += products(client, numbers)
                continue
            for chunk in chunks(numbers, PAGE_ROWS):
                found += variations_of(client, product_id, chunk)
        except ConnectorError as error:
            if not product_id or error.code not in GONE_CODES:
                raise
            gone.add(product_id)
    return {id_of(document): document for document in found}, gone


def _by_itself(client: Client, name: str) -> Json | None:
    """None where it is gone, or in the bin."""
    product_id, _, variation_id = name.partition("/")
    try:
        if variation_id:
            row = client.get_variation(product_id, variation_id).row
            document: Json = {**row, "type": "variation", "parent_id": int(product_id)}
        else:
            document = client.get_product(product_id).row
    except ConnectorError as error:
        if error.code in GONE_CODES:
            return None
        raise
    # A variation can be had by its own number alone, too: that is another listing.
    return document if document.get("status") != "trash" and id_of(document) == name else None
