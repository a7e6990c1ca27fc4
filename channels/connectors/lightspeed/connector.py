"""Lightspeed behind the connector protocol: what is asked of it, in terms of its client, feeds and mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial

from channels.connectors.lightspeed import feeds, listings, mapping, webhooks, writing
from channels.connectors.lightspeed.client import VERSION, VERSION_ENDS_ON, Client, row, rows
from channels.connectors.lightspeed.feeds import Cursor
from channels.connectors.lightspeed.values import Json
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
    OrderAction,
    OrderActionKind,
    OrderRef,
    OrdersPage,
    RefundQuote,
    RemoteLocation,
    StockChange,
    StockChangesPage,
    Subscription,
    WriteMode,
    WriteOutcome,
)

CATALOG_SIZE = 500
# A sale is closed by a person at a register; a return of it is one more sale that somebody there has to finish.
BY_HAND = {
    OrderActionKind.CANCEL: "Void the sale, or return it, at a register or in Lightspeed's sales history.",
    OrderActionKind.EDIT: "Return the item at a register or in Lightspeed's sales history; sell another one there.",
    OrderActionKind.MOVE: "Choose another outlet for the fulfillment on the sale's page in Lightspeed.",
    OrderActionKind.REFUND: "Return the sale, or items of it, at a register or in Lightspeed's sales history.",
}


class LightspeedConnector:
    """One retailer. Nothing is retried here.

    Its number is what stands on the shelf: goods to be picked up or delivered leave it when they are handed over.
    Webhooks are no promise (the vendor says so), so the sales feed is read every few seconds, at one call each time.
    """

    capabilities = Capabilities(
        write_mode=WriteMode.RELATIVE,
        write_batch_max=100,
        read_batch_max=200,
        number="in_stock",
        can_be_set_negative=False,
        takes_fractions=True,
        has_change_feed=True,
        tells_deletions=True,
        is_till=True,
        listing_fields=listings.WRITABLE,
        listing_batch_max=10,  # three calls each
        listing_reads_max=20,
        poll_every_s=5.0,
        secrets=(ACCESS_TOKEN, REFRESH_TOKEN),
        topics=frozenset(webhooks.TYPES),
        count_topics=frozenset({"inventory.update"}),
        api_version=VERSION,
        api_ends_on=VERSION_ENDS_ON,
        by_hand=BY_HAND,
    )

    def __init__(self, *, account: Account) -> None:
        self._account = account
        self._client = Client(base_url=account.base_url, access_token=self._secret("access_token"))
        self.meter = self._client.meter

    # --- webhooks and tokens --------------------------------------------------------------------------------

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        return webhooks.is_signed(headers=headers, body=body, secret=self._secret("client_secret"))

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        return webhooks.identify(body=body)

    def parse(self, *, topic: str, body: bytes) -> Hint:
        return webhooks.parse(topic=topic, body=body)

    def refresh_auth(self) -> FreshCredentials:
        """A new pair; the old one is dead from then on. A personal token cannot be refreshed."""
        if not self._secret("refresh_token"):
            raise ConnectorError("Lightspeed does not accept the token any more", permanent=True, needs_reconnect=True)
        form = {
            "grant_type": "refresh_token", "refresh_token": self._secret("refresh_token"),
            "client_id": self._secret("client_id"), "client_secret": self._secret("client_secret"),
        }  # fmt: skip
        reply = self._client.token(form=form)
        if not reply.get("access_token") or not reply.get("refresh_token"):
            raise ConnectorError("Lightspeed's answer holds no tokens")
        told = {name: reply[name] for name in ("access_token", "refresh_token")}
        lives_s = reply.get("expires_in")
        expires_at = datetime.now(UTC) + timedelta(seconds=int(lives_s)) if isinstance(lives_s, int) else None
        return FreshCredentials(credentials={**self._account.credentials, **told}, expires_at=expires_at)

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """One webhook a type at our address, active; and our reasons for adjustments, whose ids are told."""
        ours: dict[str, Json] = {}
        for hook in self._hooks():
            ours.setdefault(str(hook.get("type")), hook)
        if not existing_only:
            for kind in webhooks.TYPES:
                body = {"active": True, "type": kind, "url": self._account.webhook_url}
                if kind not in ours:
                    ours[kind] = row(self._client.create_webhook(body=body))
                elif not ours[kind].get("active"):
                    ours[kind] = row(self._client.update_webhook(webhook_id=str(ours[kind]["id"]), body=body))
        else:
            ours = {kind: hook for kind, hook in ours.items() if hook.get("active")}
        secrets = {} if existing_only else {**writing.reasons(self._client, makes=True), "currency": self._currency}
        return [
            Subscription(external_id=str(hook["id"]), topics=[kind], url=str(hook["url"]), secrets=secrets)
            for kind, hook in sorted(ours.items())
        ]

    def unsubscribe(self) -> None:
        """Remove every webhook of our address, and nobody else's. Our reasons stay: the history names them."""
        for hook in self._hooks():
            self._client.delete_webhook(webhook_id=str(hook["id"]))

    # --- places, catalog, counts ----------------------------------------------------------------------------

    def list_locations(self) -> Sequence[RemoteLocation]:
        listed, _ = feeds.everything(lambda after: self._client.outlets(after=after), after=0)
        return [mapping.location(outlet) for outlet in listed]

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """Products by version; a whole reading leaves out deleted ones, a later one names them."""
        fetch = partial(self._products, with_deleted=since is not None)
        at = Cursor.parse(cursor, begin=lambda: feeds.start(fetch, since=since) if since else 0)
        found, reached = feeds.page(fetch, after=at.after)
        kept = [one for one in found if not (since and at.is_timed) or feeds.is_since(one, since)]
        return CatalogPage(
            listings=[mapping.listing(one) for one in kept],
            next_cursor=at.following(reached) if found else "",
            read_until=None if found else datetime.now(UTC),
            resume="" if found else str(reached),
        )

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        if not inventory_ids or not location_ids:
            return []  # no filter means everything
        return writing.levels(self._client, product_ids=inventory_ids, outlet_ids=location_ids)

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Differences as adjustments under our own reasons; the vendor takes no key, so a repeat looks first."""
        return writing.write(self._client, writes=writes, ours=self._reasons(makes=True), now=now)

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        return listings.read(self._client, external_ids=external_ids)

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """What an earlier attempt wrote is recognised by its values; the vendor knows no key for this either."""
        return listings.write(self._client, writes=writes)

    # --- sales ----------------------------------------------------------------------------------------------

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage:
        """Sales by version, all outlets: an offline till's sales come late, and still under a new version."""
        at = Cursor.parse(cursor, begin=lambda: feeds.start(self._sales, since=since))
        found, reached = feeds.page(self._sales, after=at.after)
        kept = [sale for sale in found if not at.is_timed or feeds.is_since(sale, since)]
        return OrdersPage(
            orders=[OrderRef(str(sale["id"]), version=feeds.version_of(sale)) for sale in kept],
            next_cursor=at.following(reached) if found else "",
            read_until=None,
            resume="" if found else str(reached),
        )

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """Whole sales, a call each; one that gives back and sells comes as two orders."""
        found: list[ChannelOrder] = []
        for sale_id in dict.fromkeys(order_ids):
            try:
                sale = row(self._client.sale(sale_id=sale_id))
            except ConnectorError as error:
                if error.code != "HTTP_404":
                    raise
            else:
                found += mapping.orders(sale, currency=self._currency)
        return found

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """Adjustments by others, what came back without a receipt, and consignments; each a feed of its own.

        All in one page: `resume` holds how far each was read. A product's level typed over in the back office is in no
        feed: comparing the counts finds it.
        """
        ends: dict[str, int] = _ends(cursor)
        ours = set(self._reasons(makes=False).values())
        adjustments, after_adjustments = self._since("adjustments", self._adjustments, ends, since)
        sales, after_sales = self._since("sales", self._sales, ends, since)
        consignments, after_consignments = self._since("consignments", self._consignments, ends, since)
        changes: list[StockChange] = [
            mapping.adjusted(one) for one in adjustments if one.get("custom_inventory_adjustment_reason_id") not in ours
        ]
        changes += [change for sale in sales for change in mapping.unreferenced(sale)]
        for one in consignments:
            changes += mapping.consigned(one, self._lines_of(one)) if _has_moved(one) else []
        resume = {"adjustments": after_adjustments, "sales": after_sales, "consignments": after_consignments}
        return StockChangesPage(
            changes=[change for change in changes if change.location_id in location_ids],
            next_cursor="",
            read_until=None,
            resume=json.dumps(resume),
        )

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """A person gives money back at a register."""
        raise ConnectorError("Lightspeed is asked for no refund", permanent=True)

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """Nothing: a person does it at a register."""
        return ActionResult(WriteOutcome.REFUSED, BY_HAND[action.kind])

    # --- inside ---------------------------------------------------------------------------------------------

    def _secret(self, name: str) -> str:
        return str(self._account.credentials.get(name) or "")

    def _reasons(self, *, makes: bool) -> dict[str, str]:
        known = {name: self._secret(name) for name in writing.REASONS}
        return known if all(known.values()) else writing.reasons(self._client, makes=makes)

    @cached_property
    def _currency(self) -> str:
        """Sales do not name it, outlets do; kept with the credentials, for it does not change."""
        known = self._secret("currency")
        outlets = [] if known else rows(self._client.outlets(after=0))
        return known or next((str(one["currency"]) for one in outlets if one.get("currency")), "")

    def _hooks(self) -> list[Json]:
        """Our address's webhooks, in an order that two readers share."""
        mine = [hook for hook in rows(self._client.webhooks()) if hook.get("url") == self._account.webhook_url]
        return sorted(mine, key=lambda hook: str(hook.get("id")))

    def _since(self, name: str, fetch: feeds.Fetch, ends: Mapping[str, int], since: datetime) -> tuple[list[Json], int]:
        if name in ends:
            return feeds.everything(fetch, after=ends[name])
        found, reached = feeds.everything(fetch, after=feeds.start(fetch, since=since))
        return [one for one in found if feeds.is_since(one, since)], reached

    def _lines_of(self, consignment: Json) -> list[Json]:
        fetch = partial(self._consignment_products, str(consignment["id"]))
        return feeds.everything(fetch, after=0)[0]

    def _products(self, after: int, *, with_deleted: bool) -> Json:
        return self._client.products(after=after, size=CATALOG_SIZE, with_deleted=with_deleted)

    def _sales(self, after: int) -> Json:
        return self._client.sales(after=after, size=feeds.SIZE)

    def _adjustments(self, after: int) -> Json:
        return self._client.adjustments(after=after, size=feeds.SIZE)

    def _consignments(self, after: int) -> Json:
        return self._client.consignments(after=after, size=feeds.SIZE)

    def _consignment_products(self, consignment_id: str, after: int) -> Json:
        return self._client.consignment_products(consignment_id=consignment_id, after=after, size=feeds.SIZE)


def _has_moved(consignment: Json) -> bool:
    return consignment.get("status") not in ("OPEN", "CANCELLED", "STOCKTAKE_SCHEDULED", "STOCKTAKE_IN_PROGRESS")


def _ends(cursor: str) -> dict[str, int]:
    """How far each feed was read. Raises ConnectorError (INVALID_CURSOR) for what is not ours."""
    try:
        return {name: int(version) for name, version in json.loads(cursor or "{}").items()}
    except (ValueError, AttributeError) as error:
        raise ConnectorError("not a cursor of ours", permanent=True, code="INVALID_CURSOR") from error
