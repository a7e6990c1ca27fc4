"""Shopify behind the connector protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from channels.connectors.shopify import acting, documents, listings, mapping, refunding, webhooks
from channels.connectors.shopify.client import VERSION, VERSION_ENDS_ON, Client
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
    OrderRef,
    OrdersPage,
    RefundQuote,
    RemoteLocation,
    StockChangesPage,
    Subscription,
    WriteMode,
)

Json = Mapping[str, Any]
PAGES_MAX = 1_000  # a cursor that never ends must not keep a worker for ever
ITEMS_MAX, WIDE_ITEMS_MAX = 40, 6  # of levels in one call; the cost decides, not the vendor's limit of 250 ids
LIST_CHUNK = 5


class ShopifyConnector:
    """One shop's Admin API."""

    capabilities = Capabilities(
        write_mode=WriteMode.COMPARE_AND_SET,
        write_batch_max=50,
        read_batch_max=200,
        number="available",
        can_be_set_negative=False,
        takes_fractions=False,
        has_change_feed=False,
        tells_deletions=False,
        listing_fields=listings.WRITABLE,
        listing_batch_max=25,  # up to as many products, a call or two each: well within a worker's lease
        listing_reads_max=listings.READS_MAX,
        topics=frozenset(webhooks.TOPICS),
        count_topics=webhooks.COUNT_TOPICS,
        api_version=VERSION,
        api_ends_on=VERSION_ENDS_ON,
        order_actions=acting.ACTIONS,
        order_options=acting.OPTIONS,
    )

    def __init__(self, *, account: Account) -> None:
        self._account = account
        self._client = Client(base_url=account.base_url, access_token=self._secret("access_token"))
        self.meter = self._client.meter

    # --- webhooks and tokens --------------------------------------------------------------------------------

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        return webhooks.is_signed(
            headers=headers,
            body=body,
            secrets=[self._secret("client_secret"), self._secret("previous_client_secret")],
            shop_domain=self._account.account_id,
        )

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        return webhooks.identify(headers=headers, body=body)

    def parse(self, *, topic: str, body: bytes) -> Hint:
        return webhooks.parse(topic=topic, body=body)

    def refresh_auth(self) -> FreshCredentials:
        """A new token by the grant the app has. A refresh token is replaced with each use."""
        fields = {"client_id": self._secret("client_id"), "client_secret": self._secret("client_secret")}
        grant = self._secret("grant")
        if grant == "client_credentials":
            reply = self._client.token({"grant_type": "client_credentials", **fields})
        elif self._secret("refresh_token"):
            refresh = {"grant_type": "refresh_token", "refresh_token": self._secret("refresh_token")}
            reply = self._client.token({**refresh, **fields})
        else:
            # A token that does not end was refused: the app was removed, or its secret is gone.
            raise ConnectorError("Shopify does not accept our access any more", permanent=True, needs_reconnect=True)
        expires_at = datetime.now(UTC) + timedelta(seconds=int(reply["expires_in"]))
        fresh = {**self._account.credentials, "access_token": reply["access_token"]}
        if reply.get("refresh_token"):
            fresh["refresh_token"] = reply["refresh_token"]
        return FreshCredentials(credentials=fresh, expires_at=expires_at)

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """One subscription a topic at our address: missing ones are made, then doubles and stale addresses removed."""
        ours: dict[str, Json] = {}
        surplus = []
        for node in self._subscriptions():
            is_right = node["uri"] == self._account.webhook_url and node["topic"] in webhooks.TOPICS
            if is_right and node["topic"] not in ours:
                ours[node["topic"]] = node
            else:
                surplus.append(node)
        if not existing_only:
            for topic in webhooks.TOPICS:
                if topic not in ours:
                    ours[topic] = self._subscribe(topic)
            for node in surplus:
                self._unsubscribe(node["id"])
        return [
            Subscription(external_id=node["id"], topics=[topic], url=node["uri"], api_version=self._client.served)
            for topic, node in sorted(ours.items())
        ]

    def unsubscribe(self) -> None:
        """Remove every subscription of our address, also under an earlier host, and nobody else's."""
        for node in self._subscriptions():
            self._unsubscribe(node["id"])

    # --- places, catalog, counts ----------------------------------------------------------------------------

    def list_locations(self) -> Sequence[RemoteLocation]:
        pages = self._pages(documents.SHOP_LOCATIONS, {}, "StudioLocations", path=("locations",))
        return [mapping.location(node) for node in pages]

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """A hundred variants a page. Deleted ones are not found by search: a whole reading shows them by absence.

        `read_until` is our own clock before the first page, carried in the cursor; the caller overlaps, since the
        vendor's search index lags.
        """
        started, _, after = cursor.partition("|")
        started = started or datetime.now(UTC).isoformat()
        query = f"updated_at:>='{_stamp(since)}'" if since else None
        data = self._client.run(
            documents.CATALOG_PAGE, {"after": after or None, "query": query}, operation="StudioCatalog"
        )
        page = data["productVariants"]
        more = page["pageInfo"]["hasNextPage"]
        return CatalogPage(
            listings=[mapping.listing(node) for node in page["nodes"]],
            next_cursor=f"{started}|{page['pageInfo']['endCursor']}" if more else "",
            read_until=None if more else datetime.fromisoformat(started),
        )

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """`available` now. Untracked items, inactive levels and unknown ids are left out: unknown, not zero.

        An inactive level would take a write without a word and sell nothing: no number is known, none is told there.
        """
        few: list[Json] = []
        wide: list[Json] = []
        for chunk in _chunks(list(inventory_ids), ITEMS_MAX):
            data = self._client.run(documents.LEVELS, {"ids": chunk}, operation="StudioLevels")
            for item in data["nodes"]:
                if item and item.get("tracked"):
                    (wide if item["inventoryLevels"]["pageInfo"]["hasNextPage"] else few).append(item)
        for chunk in _chunks([item["id"] for item in wide], WIDE_ITEMS_MAX):
            data = self._client.run(documents.WIDE_LEVELS, {"ids": chunk}, operation="StudioWideLevels")
            few += [item for item in data["nodes"] if item and item.get("tracked")]
        return [
            count for item in few for count in mapping.counts(item["id"], self._levels(item), location_ids=location_ids)
        ]

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Set `available` where it still is what we believe. `now` is not part of the call.

        Raises ConnectorError with code IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED where this key is spent: use another.
        """
        variables = {"input": mapping.set_input(writes, key=idempotency_key), "key": idempotency_key}
        data = self._client.run(documents.SET_QUANTITIES, variables, operation="StudioSet", is_write=True)
        payload = data["inventorySetQuantities"]
        for error in payload["userErrors"]:
            if error["code"] in mapping.CALL_CODES:
                raise ConnectorError(
                    f"Shopify: {error['message']}",
                    code=error["code"],
                    permanent=error["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
                    is_outcome_unknown=error["code"] == "IDEMPOTENCY_CONCURRENT_REQUEST",
                )
        return mapping.set_results(payload, writes)

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        """Variants with what can be written of them."""
        return listings.read(self._client, external_ids=external_ids)

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """Product by product, after a fresh read. Shopify has neither key nor version for this: what an earlier
        attempt wrote is recognised by its values, and `idempotency_key` is not sent."""
        return listings.write(self._client, writes=writes)

    # --- orders ---------------------------------------------------------------------------------------------

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """By `updated_at`, oldest change first, all locations; `read_until` is the newest change seen."""
        variables = {"after": cursor or None, "query": f"updated_at:>='{_stamp(since)}'"}
        data = self._client.run(documents.ORDERS_SINCE, variables, operation="StudioOrdersSince")
        page = data["orders"]
        refs = [OrderRef(node["id"], updated_at=mapping.moment(node["updatedAt"])) for node in page["nodes"]]
        return OrdersPage(
            orders=refs,
            next_cursor=page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else "",
            read_until=max((ref.updated_at for ref in refs if ref.updated_at), default=None),
        )

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Whole orders, one call each and more where an order is long.

        Ids may be those of fulfillment orders, for that is all some webhooks name; `asked_as` says which.
        """
        found = []
        for order_id, parts in self._resolved(order_ids).items():
            data = self._client.run(documents.ORDER, {"id": order_id}, operation="StudioOrder")
            if data.get("order"):
                found.append(replace(mapping.order(self._whole(data["order"])), asked_as=tuple(parts)))
        return found

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """Shopify's stable API tells no causes of stock changes."""
        raise ConnectorError("Shopify has no feed of stock changes", permanent=True)

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """Shopify's own calculation (`suggestedRefund`), with taxes and discounts; in the customer's currency."""
        return refunding.quote(self._client, order_id=order_id, lines=lines)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """A refund goes under `idempotency_key`; the others know no key, and look at what the order shows."""
        if isinstance(action, GiveBack):
            return refunding.give_back(self._client, action=action, key=idempotency_key)
        return acting.act(self._client, action=action, is_first=is_first)

    # --- inside ---------------------------------------------------------------------------------------------

    def _secret(self, name: str) -> str:
        return str(self._account.credentials.get(name) or "")

    def _pages(self, document: str, variables: Json, operation: str, *, path: Sequence[str]) -> Iterator[Json]:
        """All nodes of the connection at `path`, to its end."""
        after: str | None = None
        for _ in range(PAGES_MAX):
            found: Any = self._client.run(document, {**variables, "after": after}, operation=operation)
            for name in path:
                found = (found or {}).get(name)
            if not found:
                # Deleted while it was read: what was found so far must not pass for the whole.
                raise ConnectorError(f"{operation}: it vanished while it was read")
            yield from found["nodes"]
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]
        raise ConnectorError(f"{operation}: the cursor never ends", permanent=True)

    def _rest(self, page: Json, document: str, variables: Json, operation: str, *, path: Sequence[str]) -> list[Json]:
        """The nodes of a first page and of all that follow it."""
        nodes = list(page["nodes"])
        if page["pageInfo"]["hasNextPage"]:
            # Read again from the start: simpler than a cursor of another page size, and rare.
            nodes = list(self._pages(document, variables, operation, path=path))
        return nodes

    def _levels(self, item: Json) -> list[Json]:
        return self._rest(
            item["inventoryLevels"], documents.MORE_LEVELS, {"id": item["id"]}, "StudioMoreLevels",
            path=("inventoryItem", "inventoryLevels"),
        )  # fmt: skip

    def _resolved(self, order_ids: Sequence[str]) -> dict[str, list[str]]:
        """Order ids, each once, with those of its fulfillment orders that were asked for."""
        owned = [name for name in order_ids if "/FulfillmentOrder/" in name]
        asked: dict[str, list[str]] = {name: [] for name in order_ids if name not in owned}
        for chunk in _chunks(owned, ITEMS_MAX):
            data = self._client.run(documents.FULFILLMENT_ORDER_OWNERS, {"ids": chunk}, operation="StudioOwners")
            for node in data["nodes"]:
                if node and node.get("orderId"):
                    asked.setdefault(node["orderId"], []).append(node["id"])
        return asked

    def _whole(self, head: Json) -> mapping.OrderParts:
        """Read every connection of an order to its end: a part of an order must never pass for the whole."""
        own = {"id": head["id"]}
        lines = self._rest(head["lineItems"], documents.MORE_LINES, own, "StudioMoreLines", path=("order", "lineItems"))
        fulfillment_orders = self._rest(
            head["fulfillmentOrders"], documents.MORE_FULFILLMENT_ORDERS, own, "StudioMoreFulfillmentOrders",
            path=("order", "fulfillmentOrders"),
        )  # fmt: skip
        fulfillments, refunds = head["fulfillments"], head["refunds"]
        if documents.LIST_MAX in (len(fulfillments), len(refunds)):
            fulfillments, refunds = self._long_lists(head["id"])
        return mapping.OrderParts(
            head=head,
            lines=lines,
            fulfillment_orders=[self._filled(node, "lineItems") for node in fulfillment_orders],
            fulfillments=[self._filled(node, "fulfillmentLineItems") for node in fulfillments],
            refund_lines=[
                line for node in refunds for line in self._filled(node, "refundLineItems")["refundLineItems"]["nodes"]
            ],
        )

    def _filled(self, node: Json, name: str) -> Json:
        nodes = self._rest(
            node[name], documents.MORE_OF_NODE, {"id": node["id"]}, "StudioMoreOfNode", path=("node", name)
        )
        return {**node, name: {"nodes": nodes}}

    def _long_lists(self, order_id: str) -> tuple[list[Json], list[Json]]:
        data = self._client.run(documents.LISTS, {"id": order_id}, operation="StudioLists")["order"]
        if not data:
            raise ConnectorError(f"{order_id} vanished while it was read")
        ids = [node["id"] for name in ("fulfillments", "refunds") for node in data[name]]
        nodes: list[Json] = []
        for chunk in _chunks(ids, LIST_CHUNK):
            nodes += self._client.run(documents.LIST_NODES, {"ids": chunk}, operation="StudioListNodes")["nodes"]
        if None in nodes:
            raise ConnectorError(f"{order_id}: a part of it vanished while it was read")
        return (
            [node for node in nodes if node["__typename"] == "Fulfillment"],
            [node for node in nodes if node["__typename"] == "Refund"],
        )

    def _subscriptions(self) -> list[Json]:
        """Ours: the path holds a token that nobody else has, whatever host we were reached at when it was made."""
        pages = self._pages(documents.SUBSCRIPTIONS, {}, "StudioSubscriptions", path=("webhookSubscriptions",))
        ours = urlsplit(self._account.webhook_url).path
        return [node for node in pages if urlsplit(node["uri"]).path == ours]

    def _subscribe(self, topic: str) -> Json:
        variables = {"topic": topic, "subscription": {"uri": self._account.webhook_url, "format": "JSON"}}
        data = self._client.run(documents.SUBSCRIBE, variables, operation="StudioSubscribe", is_write=True)
        payload: Json = data["webhookSubscriptionCreate"]
        if payload["userErrors"]:
            raise ConnectorError(f"Shopify: {payload['userErrors'][0]['message']}", permanent=True)
        node: Json = payload["webhookSubscription"]
        return node

    def _unsubscribe(self, subscription_id: str) -> None:
        self._client.run(documents.UNSUBSCRIBE, {"id": subscription_id}, operation="StudioUnsubscribe", is_write=True)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
