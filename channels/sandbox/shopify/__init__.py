"""Stand-in for Shopify."""
