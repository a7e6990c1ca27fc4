"""Lightspeed Retail (X-Series): the till, its products and its levels. API version 2026-07.

Credentials: `access_token`, `refresh_token`, `client_id`, `client_secret` (all but the first absent with a retailer's
personal token), `reason_rise` and `reason_fall` (ids of our own adjustment reasons) and `currency` (both
told by `subscribe`), `expires_at` (RFC 3339). `account_id` is the domain prefix, `base_url` https://{domain_prefix}.retail.lightspeed.app.

A token that ended raises ConnectorError with code ACCESS_TOKEN_EXPIRED, not permanent: refresh, then repeat. A refresh
gives a new refresh token and ends the old pair, so it must be stored before it is used. What was sold is never read
with the customer's name or address.
"""

from channels.connectors.lightspeed.connector import LightspeedConnector

__all__ = ["LightspeedConnector"]
