"""WooCommerce behind the connector protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from channels.connectors.woocommerce import (
    acting,
    catalog,
    listings,
    orders,
    reading,
    refunding,
    stock,
    subscribing,
    webhooks,
)
from channels.connectors.woocommerce.client import PAGE_ROWS, Client
from channels.connectors.woocommerce.reading import Cursor
from channels.connectors.woocommerce.values import PLACE, Json, chunks
from channels.ports import (
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
    GiveBack,
    Hint,
    ListingNow,
    ListingResult,
    ListingWrite,
    OrderAction,
    OrdersPage,
    RefundQuote,
    RemoteListing,
    RemoteLocation,
    Secret,
    StockChangesPage,
    Subscription,
    WriteMode,
)

PRODUCTS_A_PAGE = 20  # each may need a further call for its variations: a page must not outlast a worker's lease
UNKNOWN_ORDER = "woocommerce_rest_shop_order_invalid_id"


class WooCommerceConnector:
    """One shop's REST API. It has one stock, so there is one place; nothing is retried here."""

    capabilities = Capabilities(
        write_mode=WriteMode.ABSOLUTE,
        write_batch_max=20,  # up to as many products, two calls each, or a few more: within a worker's lease
        read_batch_max=100,
        number="available",
        can_be_set_negative=False,
        takes_fractions=False,
        has_change_feed=False,
        tells_deletions=False,
        listing_fields=listings.WRITABLE,
        listing_batch_max=20,
        listing_reads_max=50,
        sku_length_max=100,  # what its lookup table keeps
        poll_every_s=15.0,  # a failed webhook is never sent again, and all of them wait for the shop's own queue
        secrets=(Secret("consumer_key", "consumer key"), Secret("consumer_secret", "consumer secret")),
        topics=frozenset(webhooks.TOPICS),
        count_topics=frozenset({"product.updated"}),
        api_version="v3",
        order_actions=acting.ACTIONS,
        order_options=acting.OPTIONS,
        by_hand=acting.BY_HAND,
        order_page="{base}/wp-admin/post.php?post={order}&action=edit",
    )

    def __init__(self, *, account: Account) -> None:
        self._account = account
        self._client = Client(
            base_url=account.base_url,
            consumer_key=self._secret("consumer_key"),
            consumer_secret=self._secret("consumer_secret"),
        )
        self.meter = self._client.meter

    # --- webhooks and keys ----------------------------------------------------------------------------------

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        return webhooks.is_signed(headers=headers, body=body, secret=self._secret("webhook_secret"))

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        return webhooks.identify(headers=headers, body=body)

    def parse(self, *, topic: str, body: bytes) -> Hint:
        return webhooks.parse(topic=topic, body=body)

    def refresh_auth(self) -> FreshCredentials:
        """Keys do not end and cannot be renewed: ours is tried. Raises `needs_reconnect` where it is dead."""
        self._client.list_products({"per_page": 1})
        return FreshCredentials(credentials=dict(self._account.credentials), expires_at=None)

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """One webhook a topic. WooCommerce disables one after failed deliveries: with `existing_only` it is missing,
        without it is woken. The caller holds the connection's lock: two at once would make two of each."""
        url = self._account.webhook_url
        if existing_only:
            return subscribing.existing(self._client, url=url)
        return subscribing.ensure(self._client, url=url, secret=self._secret("webhook_secret"))

    def unsubscribe(self) -> None:
        """Remove every webhook of our address, also under an earlier host, and nobody else's."""
        for row in subscribing.ours(self._client, url=self._account.webhook_url):
            self._client.delete_webhook(str(row["id"]))

    # --- place, catalog, counts -----------------------------------------------------------------------------

    def list_locations(self) -> Sequence[RemoteLocation]:
        """The shop itself, once it lets us in."""
        self._client.list_products({"per_page": 1})
        return [RemoteLocation(external_id=PLACE, name=self._shop_name(), is_active=True)]

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """Twenty products a page with all their variations. Deleted ones are not told: a whole reading shows them by
        absence. `read_until` is the shop's clock at the first page."""
        at = Cursor.parse(cursor)
        params = {**reading.changed_since(since), "per_page": PRODUCTS_A_PAGE, "page": at.page}
        reply = self._client.list_products(params)
        started_at = at.started_at(reply)
        following = at.following(reply, size=PRODUCTS_A_PAGE, started_at=started_at)
        return CatalogPage(
            listings=[listing for product in reply.rows for listing in self._listings(product)],
            next_cursor=following,
            read_until=reading.read_until(started_at, is_last=not following),
        )

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """What is counted now. What is counted with its product or not at all is missing: unknown, not zero."""
        if PLACE not in location_ids:
            return []
        return catalog.counts(reading.documents(self._client, inventory_ids).values())

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Read, compare, set, and leave a mark that says which write it was. `now` is not part of the calls."""
        return stock.write(self._client, writes=writes, key=idempotency_key)

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        return listings.read(self._client, external_ids=external_ids)

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """What an earlier attempt wrote is recognised by its values; `idempotency_key` is not sent."""
        return listings.write(self._client, writes=writes)

    # --- orders ---------------------------------------------------------------------------------------------

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """By when they were modified; in the order of their numbers, which changing does not change."""
        at = Cursor.parse(cursor)
        params = {**reading.changed_since(since), "per_page": PAGE_ROWS, "page": at.page}
        reply = self._client.list_orders(params)
        started_at = at.started_at(reply)
        following = at.following(reply, size=PAGE_ROWS, started_at=started_at)
        refs = sorted((orders.ref(row) for row in reply.rows), key=lambda ref: (str(ref.updated_at), ref.external_id))
        return OrdersPage(
            orders=refs,
            next_cursor=following,
            read_until=reading.read_until(started_at, is_last=not following),
        )

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Whole orders in one call, one more for each that has refunds, or lies in the bin."""
        numbers = sorted({name for name in order_ids if name.isdigit()}, key=int)
        found: dict[str, Json] = {}
        for chunk in chunks(numbers, PAGE_ROWS):
            params = {"include": ",".join(chunk), "orderby": "id", "order": "asc"}
            found |= {str(row["id"]): row for row in reading.all_rows(self._client.list_orders, params)}
        for name in numbers:
            if name not in found and (document := self._order_by_itself(name)):
                found[name] = document
        return [orders.order(document, refunds=self._refunds(document)) for document in found.values()]

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """WooCommerce tells no causes of stock changes."""
        raise ConnectorError("WooCommerce has no feed of stock changes", permanent=True)

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """By what the order's lines cost with their taxes, and what was given back of it before."""
        order = self._order_by_itself(order_id)
        if order is None:
            raise ConnectorError(refunding.GONE, permanent=True)
        return refunding.quote(order, lines=lines)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """By the order as it is now; a refund bears `idempotency_key` as its mark. `now` goes unused."""
        order = self._order_by_itself(action.order_id)
        if isinstance(action, GiveBack):
            made = [] if is_first or order is None else self._refunds(order)
            return refunding.give_back(self._client, action=action, order=order, made=made, key=idempotency_key)
        return acting.act(self._client, action=action, order=order, is_first=is_first)

    # --- inside ---------------------------------------------------------------------------------------------

    def _secret(self, name: str) -> str:
        return str(self._account.credentials.get(name) or "")

    def _shop_name(self) -> str:
        return self._account.account_id or urlsplit(self._account.base_url).netloc

    def _listings(self, product: Json) -> list[RemoteListing]:
        if product.get("type") in catalog.UNSTOCKED:
            return []
        if product.get("type") != "variable":
            return [catalog.listing(product, product=product)]
        rows = reading.variations_of(self._client, str(product["id"]))
        return [catalog.listing(row, product=product) for row in rows]

    def _order_by_itself(self, name: str) -> Json | None:
        """The list leaves out what is in the bin; None for what is gone."""
        try:
            return self._client.get_order(name).row
        except ConnectorError as error:
            if error.code == UNKNOWN_ORDER:
                return None
            raise

    def _refunds(self, document: Json) -> Sequence[Json]:
        if not document.get("refunds"):
            return []
        return list(
            reading.all_rows(lambda page: self._client.list_refunds(str(document["id"]), page), {"orderby": "id"})
        )
