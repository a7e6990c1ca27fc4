"""Lightspeed R-Series behind the connector protocol: what is asked of it, in terms of its client, feeds and mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

from channels.connectors.rseries import feeds, listings, mapping, writing
from channels.connectors.rseries.client import LIMIT, VERSION, Client, Page
from channels.connectors.rseries.values import Json, any_of, chunks, is_true, numbers, ref, rows, since, text
from channels.ports import (
    ACCESS_TOKEN,
    REFRESH_TOKEN,
    Account,
    ActionResult,
    BackLine,
    Capabilities,
    CatalogPage,
    ChannelOrder,
    ConnectorError,
    Count,
    CountResult,
    CountWrite,
    Envelope,
    FreshCredentials,
    Hint,
    ListingNow,
    ListingResult,
    ListingWrite,
    MalformedPayload,
    OrderAction,
    OrderActionKind,
    OrdersPage,
    RefundQuote,
    RemoteLocation,
    StockChangesPage,
    Subscription,
    WriteMode,
    WriteOutcome,
)

# Tickets are of a person at a register, and so is the money in its drawer.
BY_HAND = {
    OrderActionKind.CANCEL: "Void the ticket in Lightspeed's sales history, or let what was set aside go there.",
    OrderActionKind.EDIT: "Refund the item at a register; sell another one, or change what is set aside, there.",
    OrderActionKind.MOVE: "Transfer the items to the other shop in Lightspeed, and set them aside there.",
    OrderActionKind.REFUND: "Refund the sale, or items of it, at a register in Lightspeed.",
}


class RSeriesConnector:
    """One account. Nothing is retried here.

    Its number is what is for sale: goods set aside for customers have left it. It sends no webhooks, so what is new is
    read every few seconds, at three calls of one drip each; the smallest bucket gives one drip a second.
    """

    capabilities = Capabilities(
        write_mode=WriteMode.ABSOLUTE,
        write_batch_max=20,  # a call an item: within a worker's lease, and a quarter of the smallest bucket
        read_batch_max=100,
        number="available",
        can_be_set_negative=False,
        takes_fractions=False,
        has_change_feed=True,
        tells_deletions=True,
        is_till=True,
        listing_fields=listings.WRITABLE,
        listing_batch_max=10,  # three calls each
        listing_reads_max=LIMIT,
        barcode_digits_min=11,
        poll_every_s=10.0,
        secrets=(ACCESS_TOKEN, REFRESH_TOKEN),
        api_version=VERSION,
        by_hand=BY_HAND,
    )

    def __init__(self, *, account: Account) -> None:
        self._account = account
        self._client = Client(
            base_url=account.base_url, account_id=account.account_id, access_token=self._secret("access_token")
        )
        self.meter = self._client.meter

    # --- webhooks, of which there are none, and tokens ------------------------------------------------------

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """It sends none: whatever comes is not from there."""
        return False

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        raise MalformedPayload("Lightspeed R-Series sends no webhooks")

    def parse(self, *, topic: str, body: bytes) -> Hint:
        raise MalformedPayload("Lightspeed R-Series sends no webhooks")

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        return []

    def unsubscribe(self) -> None:
        """There is nothing to remove."""

    def refresh_auth(self) -> FreshCredentials:
        """A new pair; the old one is dead once the new one is used, so it is not used here."""
        if not self._secret("refresh_token"):
            raise ConnectorError("Lightspeed does not accept the token any more", permanent=True, needs_reconnect=True)
        names = ("refresh_token", "client_id", "client_secret")
        reply = self._client.token({"grant_type": "refresh_token", **{name: self._secret(name) for name in names}})
        if not reply.get("access_token") or not reply.get("refresh_token"):
            raise ConnectorError("Lightspeed's answer holds no tokens")
        told = {name: reply[name] for name in ("access_token", "refresh_token")}
        lives_s = reply.get("expires_in")
        expires_at = datetime.now(UTC) + timedelta(seconds=int(lives_s)) if isinstance(lives_s, int) else None
        return FreshCredentials(credentials={**self._account.credentials, **told}, expires_at=expires_at)

    # --- places, catalog, counts ----------------------------------------------------------------------------

    def list_locations(self) -> Sequence[RemoteLocation]:
        return [mapping.location(shop) for shop in self._client.everything("Shop", {"archived": "true"})]

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """Items by number, archived ones left out; since a time by when they changed, archived ones told as deleted."""
        at = feeds.Cursor.parse(cursor)
        page = self._items(since, following=at.following)
        began_at = at.began_at or page.served_at.isoformat()
        names = self._matrix_names(page.rows)
        return CatalogPage(
            listings=[mapping.listing(item, matrices=names) for item in page.rows],
            next_cursor=str(feeds.Cursor(0, page.following, began_at)) if page.following else "",
            read_until=None if page.following else datetime.fromisoformat(began_at),
        )

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """A pair that Lightspeed has made no row for was never counted there: unknown, not zero."""
        if not inventory_ids or not location_ids:
            return []
        return mapping.counts(writing.levels(self._client, item_ids=inventory_ids, shop_ids=location_ids))

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Read, compare, set; the vendor takes no key, so a repeat looks into the log first."""
        return writing.write(self._client, writes=writes, employee_id=self._employee, now=now)

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        return listings.read(self._client, external_ids=external_ids)

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """What an earlier attempt wrote is recognised by its values; the vendor knows no key for this either."""
        return listings.write(self._client, writes=writes)

    # --- tickets and changes --------------------------------------------------------------------------------

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """Tickets, lines and set-aside goods that changed, all shops. An offline till's tickets bear a new time."""
        return feeds.orders_page(self._client, start=since, cursor=cursor)

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Whole tickets, a hundred a call, and one call more where they give something back; then what is set aside."""
        kept_of = [name.removeprefix(mapping.SET_ASIDE) for name in order_ids if name.startswith(mapping.SET_ASIDE)]
        params = {"archived": "true"}
        sales = self._by_ids("Sale", "saleID", order_ids, params, relations=("SaleLines",))
        sold_on = self._sold_on(sales)
        found = [order for sale in sales for order in self._orders(sale, sold_on)]
        return [*found, *self._set_aside(kept_of)]

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """A person gives money back at a register."""
        raise ConnectorError("Lightspeed R-Series is asked for no refund", permanent=True)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """Nothing: a person does it at a register."""
        return ActionResult(WriteOutcome.REFUSED, BY_HAND[action.kind])

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """The log, without our own entries and those that orders tell of; all in one page."""
        entries, reached = feeds.log_since(self._client, start=since, cursor=cursor)
        changes = [
            mapping.changed(entry)
            for entry in entries
            if mapping.is_change(entry) and not mapping.is_by(entry, self._employee)
        ]
        refunds = [entry for entry in entries if mapping.is_refund(entry)]
        lines = self._by_ids("SaleLine", "saleID", (text(entry["saleID"]) for entry in refunds), {})
        changes += mapping.without_receipt(refunds, lines)
        return StockChangesPage(
            changes=[change for change in changes if change.location_id in location_ids],
            next_cursor="",
            read_until=None,
            resume=str(reached),
        )

    # --- inside ---------------------------------------------------------------------------------------------

    def _secret(self, name: str) -> str:
        return str(self._account.credentials.get(name) or "")

    @cached_property
    def _employee(self) -> str:
        """In whose name we write: of whoever let us in last."""
        return mapping.employee(self._client.session())

    @cached_property
    def _currency(self) -> str:
        """Tickets do not name it, the account does."""
        return text((self._client.account().get("defaultCurrency") or {}).get("code"))

    def _items(self, changed_since: datetime | None, *, following: str) -> Page:
        params = {"sort": "itemID", "archived": "false"}
        if changed_since is not None:
            params = {"sort": "timeStamp", "archived": "true", "timeStamp": since(changed_since)}
        return self._client.page("Item", params, relations=mapping.RELATIONS, following=following)

    def _matrix_names(self, items: Iterable[Json]) -> dict[str, str]:
        ids = (ref(item.get("itemMatrixID")) for item in items)
        return mapping.matrix_names(self._by_ids("ItemMatrix", "itemMatrixID", ids, {"archived": "true"}))

    def _by_ids(
        self,
        name: str,
        field: str,
        ids: Iterable[str],
        params: Mapping[str, str],
        *,
        relations: Sequence[str] = (),
    ) -> list[Json]:
        """All rows of a list with one of these numbers."""
        return [
            row
            for chunk in chunks(numbers(ids), LIMIT)
            for row in self._client.everything(name, {field: any_of(chunk), **params}, relations=relations)
        ]

    def _sold_on(self, sales: Iterable[Json]) -> dict[str, str]:
        """The ticket of each line that something is given back of."""
        lines = [line for sale in sales for line in rows(sale.get("SaleLines"), "SaleLine")]
        parents = self._by_ids("SaleLine", "saleLineID", (ref(line.get("parentSaleLineID")) for line in lines), {})
        return {str(line["saleLineID"]): ref(line.get("saleID")) for line in parents}

    def _orders(self, sale: Json, sold_on: Mapping[str, str]) -> list[ChannelOrder]:
        currency = self._currency if is_true(sale.get("completed")) else ""
        return mapping.orders(sale, currency=currency, sold_on=sold_on)

    def _set_aside(self, item_ids: Iterable[str]) -> list[ChannelOrder]:
        """Read as of a moment before: what changes meanwhile is newer, and read again."""
        ids, at = numbers(item_ids), datetime.now(UTC).replace(microsecond=0)
        kept: dict[str, list[Json]] = {name: [] for name in ids}
        for line in self._by_ids("SaleLine", "itemID", ids, {"saleID": "0"}, relations=("InventorySales",)):
            kept[str(line["itemID"])].append(line)
        return [mapping.set_aside(name, lines, at=at) for name, lines in kept.items()]
