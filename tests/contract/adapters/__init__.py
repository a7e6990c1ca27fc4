"""What the contract suite needs from a channel's stand-in: a shop to trade in, and hands to trade with.

One module a channel beside this one, named as in `channels.registry`, offering `ADAPTER`. An adapter plays
the merchant and the customers: it acts through the vendor's own API or the sandbox's own rules, never through
the connector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from channels.ports import Account

STOCK_AT_START = Decimal(10)  # of each variant at each location
SKUS = ("CONTRACT-1", "CONTRACT-2", "CONTRACT-3")


@dataclass(frozen=True)
class ShopVariant:
    """A variant as the vendor names it: `listing_id` on orders, `inventory_id` for counts."""

    listing_id: str
    inventory_id: str
    product_id: str
    sku: str


@dataclass(frozen=True)
class Shop:
    """A fresh account at the stand-in: exactly two active locations (one where the vendor knows only one) and three
    tracked variants with SKUS, in order, STOCK_AT_START of each at each location. `account` is what the connector is
    given."""

    account: Account
    location_ids: tuple[str, ...]
    variants: Sequence[ShopVariant]


class Adapter(Protocol):
    """Plays merchant and customers at one vendor's stand-in. Every call commits before it returns."""

    count_write_operation: str  # of the stand-in, as planned faults name it: what `write_counts` calls to write
    listing_write_operation: str  # of the stand-in, as planned faults name it: what `write_listings` calls to write

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        """A fresh shop, a stranger to all others, at the sandbox served below `server_url`.

        `account.credentials` hold all that `refresh_auth`, `verify` and `subscribe` need.
        Nothing is subscribed yet.
        """

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        """A customer paid and took the goods from that location. Returns the order's id."""

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        """A customer paid and fetches later: nothing has left that location yet. Returns the order's id."""

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        """The merchant cancels an order made with `order_ahead`."""

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        """The customer brings units of a sold order back; the merchant refunds and restocks them there.

        Returns the id of the order that tells of it: the same one, or a return document of its own.
        """

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        """The merchant changes the count by hand, in the vendor's own pages, by `delta`."""

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        """What the vendor shows now, read past the connector."""

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        """The merchant gives the variant another SKU."""

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        """All the vendor keeps of the variant but when it changed, read past the connector."""

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        """The merchant deletes the variant (or its product, where the vendor knows no less)."""

    def revoke(self, *, shop: Shop) -> None:
        """The merchant takes the app's access away: every token of it is dead."""
