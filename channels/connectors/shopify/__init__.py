"""Shopify: the web shop, its catalog and its levels. Admin GraphQL API 2026-10.

Credentials: `access_token`, `client_id`, `client_secret`, `grant` ("client_credentials" or "authorization_code"),
`refresh_token` (authorization code only), `previous_client_secret` (while a secret is being rotated), `expires_at`
(RFC 3339, absent for tokens that do not end). `account_id` is the shop's domain.

A token that ended raises ConnectorError with code ACCESS_TOKEN_EXPIRED, not permanent: refresh, then repeat. A shop
that does not know us any more raises `needs_reconnect`. Customers' names, addresses and mails are never read.
"""

from channels.connectors.shopify.connector import ShopifyConnector

__all__ = ["ShopifyConnector"]
