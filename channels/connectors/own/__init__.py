"""The shop's own site and apps: told our numbers by signed webhooks; what they do they tell through our API."""

from channels.connectors.own.connector import OwnConnector

__all__ = ["OwnConnector"]
