"""A WooCommerce shop's REST API v3 over real HTTP, with its stock, orders, refunds and webhooks."""
