"""Lightspeed Retail (R-Series): the till, its items and their quantities. API V3; it sends no webhooks, so it is read.

Credentials: `access_token`, `refresh_token`, `client_id`, `client_secret`, `expires_at` (RFC 3339). `account_id` is the
account's number, `base_url` https://api.lightspeedapp.com.

A token that ended raises ConnectorError with code ACCESS_TOKEN_EXPIRED, not permanent: refresh, then repeat. A refresh
gives a new refresh token; the old one dies with the first use of the new pair, so that is stored before it is used.
What we write bears the name of the employee who let us in: one made for StoreStudio tells our numbers from edits by
hand. No customer is ever read.
"""

from channels.connectors.rseries.connector import RSeriesConnector

__all__ = ["RSeriesConnector"]
