"""WooCommerce: a shop's own web site. REST API v3.

Credentials: `consumer_key` and `consumer_secret`, made in the shop's settings (WooCommerce, Advanced, REST API) with
permission to read and write, and `webhook_secret`, which we make and the shop signs its webhooks with. Keys do not end:
one that is refused needs a person.
"""

from channels.connectors.woocommerce.connector import WooCommerceConnector

__all__ = ["WooCommerceConnector"]
