"""The channels there are: name, label, where the connector lives. A new channel is one folder and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from channels.ports import Account, Capabilities, Connector


@dataclass(frozen=True)
class Channel:
    """A kind of channel."""

    label: str
    path: str  # dotted path of the connector class


CHANNELS = {
    "square": Channel(label="Square", path="channels.connectors.square.SquareConnector"),
    "lightspeed": Channel(label="Lightspeed", path="channels.connectors.lightspeed.LightspeedConnector"),
    "rseries": Channel(label="Lightspeed R-Series", path="channels.connectors.rseries.RSeriesConnector"),
    "shopify": Channel(label="Shopify", path="channels.connectors.shopify.ShopifyConnector"),
    "woocommerce": Channel(label="WooCommerce", path="channels.connectors.woocommerce.WooCommerceConnector"),
}
# The shop's own site speaks our API, not a vendor's: it has no stand-in and nothing to read (channels/own/).
OWN = "own"
EVERY = CHANNELS | {OWN: Channel(label="Own site", path="channels.connectors.own.OwnConnector")}


def connector_class(name: str) -> type[Connector]:
    """The connector class of a channel. Raises KeyError for one that does not exist."""
    module, _, attribute = EVERY[name].path.rpartition(".")
    return cast("type[Connector]", getattr(import_module(module), attribute))


def capabilities(name: str) -> Capabilities:
    """What a channel can do."""
    return connector_class(name).capabilities


def label(name: str) -> str:
    """What people call a channel; its name where it is none of ours any more."""
    return EVERY[name].label if name in EVERY else name


def connect(name: str, *, account: Account) -> Connector:
    """A connector that speaks for one account."""
    return connector_class(name)(account=account)
