"""Square behind the connector protocol: what is asked of it, in terms of its client and its mapping."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from channels.connectors.square import acting, listings, paging, webhooks
from channels.connectors.square.client import TOKEN_EXPIRED, VERSION, Client, Reply
from channels.connectors.square.mapping import catalog, orders, stock, values
from channels.connectors.square.mapping.listings import WRITABLE
from channels.connectors.square.mapping.values import Json
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
    Hint,
    ListingNow,
    ListingResult,
    ListingWrite,
    OrderAction,
    OrderRef,
    OrdersPage,
    RefundQuote,
    RemoteListing,
    RemoteLocation,
    StockChange,
    StockChangesPage,
    Subscription,
    WriteMode,
    WriteOutcome,
)

PAGE_ROWS = 1_000  # the most that counts, changes, orders and catalog search take
ORDER_PLACES_MAX = 10  # location_ids of one orders/search
ORDER_IDS_MAX = 100  # order_ids of one orders/batch-retrieve
OBJECT_IDS_MAX = 1_000  # object_ids of one catalog/batch-retrieve
CHANGE_AGE_MAX = timedelta(hours=25)  # changes may be dated 24 hours back: how far a probe must look


class SquareConnector:
    """One Square account. Nothing is retried here.

    Negative IN_STOCK counts occur (the till sells on past zero); whether adjustments below zero are refused
    is not established, so they are sent.
    """

    capabilities = Capabilities(
        write_mode=WriteMode.RELATIVE,
        write_batch_max=100,
        read_batch_max=500,
        number="available",
        can_be_set_negative=False,
        takes_fractions=True,
        has_change_feed=True,
        tells_deletions=True,
        is_till=True,
        listing_fields=WRITABLE,
        listing_batch_max=100,
        listing_reads_max=500,
        joins_options=True,
        barcode_digits_min=12,  # `upc` takes 12 to 14 digits
        topics=frozenset(webhooks.TOPICS),
        count_topics=frozenset({"inventory.count.updated"}),
        api_version=VERSION,
        order_actions=acting.ACTIONS,
        by_hand=acting.BY_HAND,
        order_page=acting.ORDER_PAGE,
    )

    def __init__(self, *, account: Account) -> None:
        self._account = account
        self._client = Client(
            base_url=account.base_url,
            access_token=self._secret("access_token"),
            application_token=self._secret("application_token"),
        )
        self.meter = self._client.meter

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """The URL as registered counts, not the one seen behind a proxy."""
        return webhooks.is_signed(
            headers=headers, body=body, url=self._account.webhook_url, key=self._secret("signature_key")
        )

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        """Named by `event_id`, which repeats with a repeated delivery."""
        return webhooks.identify(body=body)

    def parse(self, *, topic: str, body: bytes) -> Hint:
        """Ids only; Square's webhooks carry counts, but may come out of order."""
        merchant_id = self._secret("merchant_id") or self._account.account_id
        return webhooks.parse(topic=topic, body=body, merchant_id=merchant_id)

    def refresh_auth(self) -> FreshCredentials:
        """A new access token for 30 days. With PKCE the refresh token is single-use and a new one comes
        along, so the answer must be stored. Raises `needs_reconnect` when Square refuses."""
        body = {
            "grant_type": "refresh_token",
            "client_id": self._secret("client_id"),
            "refresh_token": self._secret("refresh_token"),
        }
        if secret := self._secret("client_secret"):
            body["client_secret"] = secret
        try:
            fresh = self._client.obtain_token(body=body).body
        except ConnectorError as error:
            if error.permanent or error.code == TOKEN_EXPIRED:
                raise ConnectorError(str(error), permanent=True, needs_reconnect=True, code=error.code) from error
            raise
        if not fresh.get("access_token"):
            raise values.unreadable("a token reply without a token")
        kept = ("access_token", "refresh_token", "expires_at", "merchant_id")
        told = {name: fresh[name] for name in kept if fresh.get(name)}
        return FreshCredentials(
            credentials={**self._account.credentials, **told},
            expires_at=values.moment(fresh.get("expires_at")),
        )

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """One subscription of `account.webhook_url` to all we listen to; `existing_only` changes nothing.

        Found again by its URL. Its `signature_key` comes back in `secrets`. The caller holds the connection's
        lock: two at once would make two.
        """
        mine = self._subscriptions()
        if existing_only:
            return [self._subscription(entry) for entry in mine if entry.get("enabled")]
        wanted = {
            "enabled": True,
            "event_types": list(webhooks.TOPICS),
            "notification_url": self._account.webhook_url,
            "api_version": VERSION,
        }
        if not mine:
            # A fresh key, not one made of the URL: after an unsubscribe Square would hand out the deleted one
            # again.
            body = {"idempotency_key": str(uuid.uuid4()), "subscription": {"name": "StoreStudio", **wanted}}
            made = self._client.create_subscription(body=body).body.get("subscription") or {}
            return [self._subscription(made)]
        current = mine[0]
        if any(_sorted(current.get(name)) != _sorted(value) for name, value in wanted.items()):
            self._client.update_subscription(subscription_id=str(current["id"]), body={"subscription": wanted})
            current = {**current, **wanted}
        for extra in mine[1:]:
            self._client.delete_subscription(subscription_id=str(extra["id"]))
        return [self._subscription(current)]

    def unsubscribe(self) -> None:
        """Remove every subscription of our URL, and nobody else's."""
        for entry in self._subscriptions():
            self._client.delete_subscription(subscription_id=str(entry["id"]))

    def list_locations(self) -> Sequence[RemoteLocation]:
        """All, inactive ones too; Square does not page them."""
        return [catalog.location(place) for place in paging.rows(self._client.list_locations(), "locations")]

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """All variations (since None) or those changed and deleted since.

        `read_until`, on the last page only, is the catalog's own time as it was when the first page was read:
        what changes meanwhile is read again next time.
        """
        page = paging.Cursor.parse(cursor)
        if since is None:
            read_until = page.read_until or self._catalog_time()
            reply = self._client.list_catalog(types=("ITEM",), cursor=page.vendor)
        else:
            body = {
                "object_types": ["ITEM", "ITEM_VARIATION"],
                "begin_time": values.timestamp(since),
                "include_deleted_objects": True,
                "include_related_objects": True,
                "limit": PAGE_ROWS,
            }
            reply = self._client.search_catalog(body=body | ({"cursor": page.vendor} if page.vendor else {}))
            read_until = page.read_until or str(reply.body.get("latest_time") or "")
        following = page.following(reply, read_until=read_until)
        return CatalogPage(
            listings=self._listings(reply),
            next_cursor=following,
            read_until=None if following else values.moment(read_until),
        )

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """IN_STOCK counts. A pair that was never counted or sold has no row at Square: it is missing here
        too."""
        if not inventory_ids or not location_ids:
            return []  # to Square, no filter means everything
        body = {
            "catalog_object_ids": list(inventory_ids),
            "location_ids": list(location_ids),
            "states": ["IN_STOCK"],
            "limit": PAGE_ROWS,
        }
        return catalog.counts(paging.all_rows(self._client.retrieve_counts, body=body, name="counts"))

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Tell the differences as adjustments, all or none of them.

        A refused batch raises, `lines` naming the writes to blame where Square says. `idempotency_key` (at
        most 100 characters) must belong to these writes for ever. A repeat should pass the first attempt's
        `now`: with another one the body differs, Square answers IDEMPOTENCY_KEY_REUSED, and what the key did
        is looked up in the history.
        """
        moves = [index for index, write in enumerate(writes) if write.to_quantity != write.from_quantity]
        if not moves:
            return [CountResult(outcome=WriteOutcome.APPLIED, quantity_after=write.to_quantity) for write in writes]
        references = {index: stock.reference(idempotency_key=idempotency_key, index=index) for index in moves}
        body = {
            "idempotency_key": idempotency_key,
            "ignore_unchanged_counts": True,
            "changes": [
                stock.adjustment(write=writes[index], reference_id=references[index], now=now) for index in moves
            ],
        }
        after: dict[tuple[str, str], Decimal] = {}
        try:
            reply = self._client.change_inventory(body=body)
            after = {(c.inventory_id, c.location_id): c.quantity for c in catalog.counts(paging.rows(reply, "counts"))}
        except ConnectorError as error:
            if error.code == "IDEMPOTENCY_KEY_REUSED" and self._was_applied(
                writes=[writes[index] for index in moves], references=set(references.values()), now=now
            ):
                return [CountResult(outcome=WriteOutcome.APPLIED) for _ in writes]
            error.lines = tuple(moves[line] for line in error.lines if line < len(moves))
            raise
        return [
            CountResult(
                outcome=WriteOutcome.APPLIED,
                quantity_after=after.get((write.inventory_id, write.location_id)),
            )
            for write in writes
        ]

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        """Whole variations with their versions, in one call."""
        return listings.read(self._client, external_ids=external_ids)

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """Variations back under the version they were read with. Square takes one catalog write at a time of a
        seller, and answers 429 to a second one meanwhile. `now` is not part of the call."""
        return listings.write(self._client, writes=writes, idempotency_key=idempotency_key)

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """Ids by `updated_at`, inclusive: an offline till's order comes days late under its old `created_at`.

        More than ten locations are asked ten by ten, so "oldest first" holds within each ten. `read_until`,
        on the last page only, is Square's clock at the first page; None where Square did not tell it. The
        caller overlaps.
        """
        page = paging.Cursor.parse(cursor)
        places = sorted(location_ids)
        first = page.group * ORDER_PLACES_MAX
        if first >= len(places):
            return OrdersPage(orders=[], next_cursor="", read_until=None)
        body = {
            "location_ids": places[first : first + ORDER_PLACES_MAX],
            "query": {
                "filter": {"date_time_filter": {"updated_at": {"start_at": values.timestamp(since)}}},
                "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
            },
            "limit": PAGE_ROWS,
            "return_entries": True,
        }
        reply = self._client.search_orders(body=body | ({"cursor": page.vendor} if page.vendor else {}))
        read_until = page.read_until or (values.timestamp(reply.served_at) if reply.served_at else "")
        following = page.following(reply, read_until=read_until, has_next_group=first + ORDER_PLACES_MAX < len(places))
        return OrdersPage(
            orders=[
                OrderRef(external_id=str(entry["order_id"]), version=int(entry.get("version") or 0))
                for entry in paging.rows(reply, "order_entries")
            ],
            next_cursor=following,
            read_until=None if following else values.moment(read_until),
        )

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Whole orders. One Square order may come back as several (`orders.orders`): a return that takes
        from two sales, an exchange."""
        ids = list(dict.fromkeys(order_ids))
        found: list[ChannelOrder] = []
        for chunk in paging.chunks(ids, ORDER_IDS_MAX):
            reply = self._client.retrieve_orders(body={"order_ids": chunk})
            for document in paging.rows(reply, "orders"):
                found.extend(orders.orders(document))
        return found

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """Adjustments by others: received, damaged, moved, restocked after a return, edited.

        A recount is told by the adjustment it led to (linked since 2026-07-15), under that adjustment's id.
        One that names no adjustment says a number, not a difference, and is left out: the comparison of
        counts finds it. So is stock another app adjusted as SOLD, which the history does not tell from a
        sale.
        """
        if not location_ids:
            return StockChangesPage(changes=[], next_cursor="", read_until=None)
        page = paging.Cursor.parse(cursor)
        body = {
            "location_ids": list(location_ids),
            "types": ["ADJUSTMENT", "PHYSICAL_COUNT"],
            "updated_after": values.timestamp(since),
            "limit": PAGE_ROWS,
        }
        reply = self._client.retrieve_changes(body=body | ({"cursor": page.vendor} if page.vendor else {}))
        read_until = page.read_until or (values.timestamp(reply.served_at) if reply.served_at else "")
        following = page.following(reply, read_until=read_until)
        changes: list[StockChange] = []
        for adjusted in self._adjustments(reply):
            changes.extend(
                stock.changes_told(adjusted, application_id=self._secret("application_id"), location_ids=location_ids)
            )
        return StockChangesPage(
            changes=changes,
            next_cursor=following,
            read_until=None if following else values.moment(read_until),
        )

    # --- inside ---------------------------------------------------------------------------------------------

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """Not with our scopes: a person gives money back at the till or in the dashboard."""
        raise ConnectorError("Square is asked for no refund", permanent=True)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """Under the version just read: `idempotency_key` and `now` go unused."""
        return acting.act(self._client, action=action, is_first=is_first)

    def _secret(self, name: str) -> str:
        return str(self._account.credentials.get(name) or "")

    def _subscriptions(self) -> list[Json]:
        """Our URL's subscriptions, oldest first, so that two readers keep the same one."""
        found: list[Json] = []
        for reply in paging.pages(lambda cursor: self._client.list_subscriptions(cursor=cursor)):
            found.extend(
                entry
                for entry in paging.rows(reply, "subscriptions")
                if entry.get("notification_url") == self._account.webhook_url
            )
        return sorted(found, key=lambda entry: (str(entry.get("created_at") or ""), str(entry.get("id") or "")))

    def _subscription(self, entry: Json) -> Subscription:
        """Lists may leave the key out; the subscription itself has it."""
        if not entry.get("id"):
            raise values.unreadable("a webhook subscription without id")
        key = entry.get("signature_key")
        if not key:
            whole = self._client.get_subscription(subscription_id=str(entry["id"])).body
            key = (whole.get("subscription") or {}).get("signature_key")
        return Subscription(
            external_id=str(entry["id"]),
            topics=[str(topic) for topic in entry.get("event_types") or []],
            url=str(entry.get("notification_url") or ""),
            secrets={"signature_key": str(key)} if key else {},
            api_version=str(entry.get("api_version") or ""),
        )

    def _catalog_time(self) -> str:
        """When the catalog last changed, by its own clock; the list does not tell."""
        reply = self._client.search_catalog(body={"object_types": ["ITEM"], "limit": 1})
        return str(reply.body.get("latest_time") or "")

    def _listings(self, reply: Reply) -> list[RemoteListing]:
        """One listing a variation, whether it came inside its item or by itself.

        A variation by itself names its item only by id, and an item its category and picture: what the reply
        does not hold is fetched in one further call.
        """
        objects = paging.rows(reply, "objects")
        known = {str(entry["id"]): entry for entry in [*paging.rows(reply, "related_objects"), *objects]}
        items = [entry for entry in objects if entry.get("type") == "ITEM"]
        found = {str(entry["id"]): entry for item in items for entry in catalog.variations(item)}
        alone = [entry for entry in objects if entry.get("type") == "ITEM_VARIATION"]
        # By itself after nested: only there is a deleted variation to be seen.
        found |= {str(entry["id"]): entry for entry in alone}
        parents = {catalog.item_id(entry) for entry in alone if not entry.get("is_deleted")}
        known |= self._objects(parents - set(known) - {""})
        parts = set()
        for entry in found.values():
            item = known.get(catalog.item_id(entry)) or {}
            parts |= {catalog.category_id(item), catalog.image_id(variation=entry, item=item)}
        known |= self._objects(parts - set(known) - {""})
        return [
            catalog.listing(variation=entry, item=known.get(catalog.item_id(entry)) or {}, related=known)
            for entry in found.values()
        ]

    def _objects(self, ids: set[str]) -> dict[str, Json]:
        """Catalog objects by id; unknown ones are missing."""
        found: dict[str, Json] = {}
        for chunk in paging.chunks(sorted(ids), OBJECT_IDS_MAX):
            reply = self._client.retrieve_catalog(body={"object_ids": chunk})
            found |= {str(entry["id"]): entry for entry in paging.rows(reply, "objects")}
        return found

    def _adjustments(self, reply: Reply) -> list[Json]:
        """The adjustments of a page, each once, with those that recounts of the page point at."""
        changes = paging.rows(reply, "changes")
        found = {
            str(change["adjustment"].get("id")): change["adjustment"] for change in changes if change.get("adjustment")
        }
        for change in changes:
            recount = change.get("physical_count") or {}
            linked = str(recount.get("adjustment_id") or "")
            if linked and linked not in found:
                found[linked] = self._client.get_adjustment(adjustment_id=linked).body.get("adjustment") or {}
        return [adjusted for adjusted in found.values() if adjusted]

    def _was_applied(self, *, writes: Sequence[CountWrite], references: set[str], now: datetime) -> bool:
        """Whether the history shows every one of these references: the batch went through before."""
        body = {
            "catalog_object_ids": sorted({write.inventory_id for write in writes}),
            "location_ids": sorted({write.location_id for write in writes}),
            "types": ["ADJUSTMENT"],
            "updated_after": values.timestamp(now - CHANGE_AGE_MAX),
            "limit": PAGE_ROWS,
        }
        changes = paging.all_rows(self._client.retrieve_changes, body=body, name="changes")
        return references <= {str((change.get("adjustment") or {}).get("reference_id")) for change in changes}


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
