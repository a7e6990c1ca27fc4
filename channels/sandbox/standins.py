"""The stand-ins there are, and our hands on each: open an account with goods, connect to it, sell there, look inside.

A stand-in is a folder here that holds an app. Its own code knows nothing of us; its module `standin` does, and is all
that the demo, the commands and the simulation need of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

from django.apps import apps

from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox.goods import Goods
from channels.sandbox.trading.web import Storefront
from storestudio.accounts.models import Merchant, User

PREFIX = "channels.sandbox."
Key = tuple[str, str]  # the vendor's ids of item and place, as our listings and places hold them


class StandIn(Protocol):
    """Our hands on one vendor's stand-in."""

    label: str  # of the connections made here

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[Goods]) -> Any:
        """A fresh account that holds these goods at these places."""

    def connect(self, merchant: Merchant, account: Any, actor: User) -> Connection:
        """A paused connection to such an account."""

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """What the vendor's own client needs to trade there: address and token."""

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """The vendor's ids of a place, by names that say whose they are."""

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """The vendor's ids of a variant, by names that say whose they are."""

    def shown(self, connection: Connection) -> Mapping[Key, Decimal]:
        """What the vendor itself shows now, read where the stand-in keeps it."""


@runtime_checkable
class Sells(Protocol):
    """A stand-in at which made-up customers can buy besides Square's till and Shopify's shop."""

    def storefront(self, *, where: Mapping[str, Any], run: str) -> Storefront:
        """Where they buy, by what `sandbox info` says; `run` sets one run's orders apart."""


def names() -> list[str]:
    """Channels that have a stand-in, by name."""
    return sorted(
        config.name.removeprefix(PREFIX) for config in apps.get_app_configs() if config.name.startswith(PREFIX)
    )


def of(channel: str) -> StandIn:
    """Our hands on a channel's stand-in. Raises ModuleNotFoundError where there is none."""
    return cast("StandIn", import_module(f"{PREFIX}{channel}.standin").STAND_IN)


def ids_of(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The ids of several vendors as one row."""
    return {name: value for row in rows for name, value in row.items()}
