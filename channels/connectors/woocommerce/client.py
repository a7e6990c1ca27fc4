"""HTTP to a WooCommerce shop: one session, explicit time-outs, no retries, every failure turned into a ConnectorError.

REST API v3, https://woocommerce.github.io/woocommerce-rest-api-docs/. Bodies and replies are the vendor's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import NewConnectionError

from channels.ports import ConnectorError, Meter

TIMEOUT_S = (5.0, 20.0)  # connect, read; shorter together than the lease of the work that calls
RETRY_AFTER_S = 2.0  # WooCommerce counts no calls; hosts before it do, and seldom say how long to wait
PAGE_ROWS = 100  # the most a page takes
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
NO_CONNECTION = "NO_CONNECTION"

Json = Mapping[str, Any]
Params = Mapping[str, str | int]


@dataclass(frozen=True)
class Reply:
    """A good answer. `total`: rows on all pages, where it is a list. `served_at`: the shop's clock, to the second."""

    body: Any
    total: int
    served_at: datetime | None

    @property
    def rows(self) -> Sequence[Json]:
        """The body as a list of objects. Raises ConnectorError."""
        if not isinstance(self.body, list) or not all(isinstance(row, dict) for row in self.body):
            raise unreadable("no list of objects")
        return self.body

    @property
    def row(self) -> Json:
        """The body as one object. Raises ConnectorError."""
        if not isinstance(self.body, dict):
            raise unreadable("no object")
        return self.body


def unreadable(what: str) -> ConnectorError:
    """An answer that is not what its address promises: a plugin's doing, or a page of the host's."""
    return ConnectorError(f"WooCommerce answered with {what}", code="UNREADABLE")


class Client:
    """One shop's REST API. Key and secret go by Basic authentication, so only over TLS (or to this machine)."""

    def __init__(self, *, base_url: str, consumer_key: str, consumer_secret: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.meter = Meter()
        self._auth = HTTPBasicAuth(consumer_key, consumer_secret)
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"

    def list_products(self, params: Params) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-products"""
        return self._call("GET", "/products", params=params)

    def list_variations(self, product_id: str, params: Params) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-product-variations"""
        return self._call("GET", f"/products/{product_id}/variations", params=params)

    def get_product(self, product_id: str) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#retrieve-a-product"""
        return self._call("GET", f"/products/{product_id}")

    def get_variation(self, product_id: str, variation_id: str) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#retrieve-a-product-variation"""
        return self._call("GET", f"/products/{product_id}/variations/{variation_id}")

    def update_product(self, product_id: str, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#update-a-product"""
        return self._call("PUT", f"/products/{product_id}", body=body)

    def update_products(self, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-products"""
        return self._call("POST", "/products/batch", body=body)

    def update_variations(self, product_id: str, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-product-variations"""
        return self._call("POST", f"/products/{product_id}/variations/batch", body=body)

    def list_orders(self, params: Params) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-orders"""
        return self._call("GET", "/orders", params=params)

    def get_order(self, order_id: str) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#retrieve-an-order"""
        return self._call("GET", f"/orders/{order_id}")

    def update_order(self, order_id: str, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#update-an-order"""
        return self._call("PUT", f"/orders/{order_id}", body=body)

    def list_refunds(self, order_id: str, params: Params) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-refunds"""
        return self._call("GET", f"/orders/{order_id}/refunds", params=params)

    def create_refund(self, order_id: str, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#create-a-refund"""
        return self._call("POST", f"/orders/{order_id}/refunds", body=body)

    def list_webhooks(self, params: Params) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-webhooks"""
        return self._call("GET", "/webhooks", params=params)

    def create_webhook(self, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#create-a-webhook"""
        return self._call("POST", "/webhooks", body=body)

    def update_webhook(self, webhook_id: str, body: Json) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#update-a-webhook"""
        return self._call("PUT", f"/webhooks/{webhook_id}", body=body)

    def delete_webhook(self, webhook_id: str) -> Reply:
        """https://woocommerce.github.io/woocommerce-rest-api-docs/#delete-a-webhook (they know no bin)"""
        return self._call("DELETE", f"/webhooks/{webhook_id}", params={"force": "true"})

    def _call(self, method: str, path: str, *, params: Params | None = None, body: Json | None = None) -> Reply:
        """One request. Redirects are not followed: they would carry the secret to another host."""
        self._refuse_plain_http()
        is_write = method != "GET"
        try:
            answer = self._session.request(
                method, f"{self.base_url}/wp-json/wc/v3{path}", params=params, json=body, auth=self._auth,
                timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            never_left = _never_left(error)
            raise ConnectorError(
                f"WooCommerce did not answer {path}: {type(error).__name__}",
                is_outcome_unknown=is_write and not never_left,
                code=NO_CONNECTION if never_left else type(error).__name__,
            ) from error
        self.meter.answered(answer.headers)  # it tells no limit
        return _read(answer, path=path, is_write=is_write)

    def _refuse_plain_http(self) -> None:
        where = urlsplit(self.base_url)
        if where.scheme != "https" and where.hostname not in LOCAL_HOSTS:
            raise ConnectorError(
                "WooCommerce must be reached by https: key and secret would be readable on their way",
                permanent=True,
                code="NOT_HTTPS",
            )


def _never_left(error: requests.RequestException) -> bool:
    """Whether the request surely never reached the shop: no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def _read(answer: requests.Response, *, path: str, is_write: bool) -> Reply:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.status_code not in (200, 201):
        raise _error(answer, body=body, path=path, is_write=is_write)
    if body is None:
        # A plugin's notice before the JSON, a login page, a cache's placeholder.
        raise ConnectorError(
            f"WooCommerce answered {path} with something that is not JSON",
            is_outcome_unknown=is_write,
            code="NOT_JSON",
        )
    return Reply(body, _total(answer), _served_at(answer))


def _total(answer: requests.Response) -> int:
    text = answer.headers.get("X-WP-Total", "")
    return int(text) if text.isdigit() else 0


def _served_at(answer: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def _error(answer: requests.Response, *, body: Any, path: str, is_write: bool) -> ConnectorError:
    """WordPress's errors are `{"code", "message", "data": {"status"}}`; hosts before it answer anything."""
    status = answer.status_code
    told = body if isinstance(body, dict) else {}
    code = str(told.get("code") or f"HTTP_{status}")
    message = f"WooCommerce refused {path} ({status} {code}): {told.get('message') or answer.reason}"[:400]
    if status == 429 or (status == 503 and "Retry-After" in answer.headers):
        return ConnectorError(message, retry_after_s=_retry_after_s(answer), code=code)
    if 300 <= status < 400:
        where = urlsplit(answer.headers.get("Location", "")).netloc
        return ConnectorError(
            f"WooCommerce moved to {where or 'another address'}: connect it under that", permanent=True, code=code
        )
    if status >= 500 or status == 408:
        return ConnectorError(message, is_outcome_unknown=is_write, code=code)
    if status == 401 or code.startswith("woocommerce_rest_cannot_"):
        return ConnectorError(message, permanent=True, needs_reconnect=True, code=code)
    if status == 403 and not told:
        return ConnectorError(message, code=code)  # a firewall before the shop, which may think better of it
    return ConnectorError(message, permanent=True, code=code)


def _retry_after_s(answer: requests.Response) -> float:
    try:
        return max(0.0, float(answer.headers["Retry-After"]))
    except (KeyError, ValueError):
        return RETRY_AFTER_S
