"""Square: the till, its catalog and its counts. Square-Version 2026-09-16.

Credentials: `access_token`, `refresh_token`, `client_id`, `client_secret` (absent with PKCE),
`application_id`, `signature_key` (of the webhook subscription), `application_token` (the application's own
token, which webhook subscriptions take; `access_token` where absent), `expires_at` (RFC 3339), `merchant_id`.
Webhooks that name another merchant than `merchant_id` (or `account_id`, where that is absent) are of no
concern.

A token that ended raises ConnectorError with code ACCESS_TOKEN_EXPIRED, not permanent: refresh, then repeat.
One that was revoked, and a refresh that is refused, raise `needs_reconnect`.
"""

from channels.connectors.square.connector import SquareConnector

__all__ = ["SquareConnector"]
