"""HTTP to Lightspeed: one session, explicit time-outs, no retries, every failure turned into a ConnectorError.

https://x-series-api.lightspeedhq.com/reference, version 2026-07. A version that has ended is served silently by the
oldest that is left, so the one we speak is checked against the vendor's calendar, not against its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import NewConnectionError

from channels.connectors.lightspeed.values import Json
from channels.ports import ConnectorError, Headroom, Meter

VERSION = "2026-07"
# https://x-series-api.lightspeedhq.com/docs/versioning: each lives a year at least; then the oldest left is served.
VERSION_ENDS_ON = date(2027, 7, 1)
USER_AGENT = "StoreStudio/1.0"  # the vendor refuses requests without one
TIMEOUT_S = (5.0, 20.0)  # connect, read; shorter together than the lease of the work that calls
RETRY_AFTER_S, RETRY_AFTER_S_MAX = 2.0, 600.0
TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105  an error code, not a secret


class Client:
    """The API of one retailer. A path prefix in `base_url` is kept."""

    def __init__(self, *, base_url: str, access_token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.meter = Meter()
        self._session = requests.Session()
        self._session.headers.update(
            {"Authorization": f"Bearer {access_token}", "Accept": "application/json", "User-Agent": USER_AGENT}
        )
        self._session.trust_env = False  # a ~/.netrc entry of the host would replace the token

    def outlets(self, *, after: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listoutlets"""
        return self._get("outlets", after=after, deleted="true")

    def products(self, *, after: int, size: int, with_deleted: bool) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listproducts"""
        return self._get("products", after=after, page_size=size, deleted="true" if with_deleted else "false")

    def product(self, *, product_id: str) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/getproductbyid"""
        return self._get(f"products/{quote(product_id, safe='')}")

    def update_product(self, *, product_id: str, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/products_variants_update: lists are replaced whole."""
        return self._call("PUT", f"products/{quote(product_id, safe='')}", body=body, is_write=True)

    def levels(self, *, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listinventorylevels (a POST that reads)"""
        return self._call("POST", "inventory_levels", body=body)

    def adjustments(self, *, after: int, size: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/liststockadjustments"""
        return self._get("stock_adjustments", after=after, page_size=size)

    def adjust(self, *, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/createstockadjustments: no key; see `writing`."""
        return self._call("POST", "stock_adjustments", body=body, is_write=True)

    def reasons(self, *, after: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listcustominventoryadjustmentreasons"""
        return self._get("custom_inventory_adjustment_reasons", after=after)

    def create_reason(self, *, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/createcustominventoryadjustmentreason"""
        return self._call("POST", "custom_inventory_adjustment_reasons", body=body, is_write=True)

    def consignments(self, *, after: int, size: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listconsignments"""
        return self._get("consignments", after=after, page_size=size)

    def consignment_products(self, *, consignment_id: str, after: int, size: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listconsignmentproducts"""
        return self._get(f"consignments/{quote(consignment_id, safe='')}/products", after=after, page_size=size)

    def sales(self, *, after: int, size: int) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/listsales"""
        return self._get("sales", after=after, page_size=size)

    def sale(self, *, sale_id: str) -> Json:
        """https://x-series-api.lightspeedhq.com/reference/getsalebyid"""
        return self._get(f"sales/{quote(sale_id, safe='')}")

    def webhooks(self) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/webhooks"""
        return self._get("webhooks")

    def create_webhook(self, *, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/webhooks: 409 where type and url are there already."""
        return self._call("POST", "webhooks", body=body, is_write=True)

    def update_webhook(self, *, webhook_id: str, body: Json) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/webhooks"""
        return self._call("PUT", f"webhooks/{quote(webhook_id, safe='')}", body=body, is_write=True)

    def delete_webhook(self, *, webhook_id: str) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/webhooks"""
        return self._call("DELETE", f"webhooks/{quote(webhook_id, safe='')}", is_write=True)

    def token(self, *, form: Mapping[str, str]) -> Json:
        """https://x-series-api.lightspeedhq.com/docs/authorization (form-encoded; version 1.0 for ever)"""
        try:
            answer = self._session.post(
                f"{self.base_url}/api/1.0/token", data=form, timeout=TIMEOUT_S, allow_redirects=False,
                headers={"Authorization": ""},
            )  # fmt: skip
        except requests.RequestException as error:
            raise _unanswered(error, path="token", is_write=False) from error
        if answer.status_code in (400, 401, 403, 404):
            raise ConnectorError(
                f"Lightspeed refused new tokens ({answer.status_code})", permanent=True, needs_reconnect=True
            )
        return _read(answer, path="token", is_write=False)

    def _get(self, path: str, **params: str | int) -> Json:
        return self._call("GET", path, params=params)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        is_write: bool = False,
    ) -> Json:
        """One request. `is_write`: a lost answer leaves the outcome unknown. Redirects would carry the token away."""
        try:
            answer = self._session.request(
                method, f"{self.base_url}/api/{VERSION}/{path}", params=params, json=body, timeout=TIMEOUT_S,
                allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            raise _unanswered(error, path=path, is_write=is_write) from error
        self.meter.answered(answer.headers, _headroom(answer))
        return _read(answer, path=path, is_write=is_write)


def _headroom(answer: requests.Response) -> Headroom | None:
    """https://x-series-api.lightspeedhq.com/docs/rate_limiting: calls of five minutes."""
    told = [answer.headers.get(f"X-RateLimit-{name}", "") for name in ("Remaining", "Limit")]
    if not all(text.isdigit() for text in told) or int(told[1]) == 0:
        return None
    return Headroom(left=float(told[0]), most=float(told[1]), unit="calls in five minutes")


def _unanswered(error: requests.RequestException, *, path: str, is_write: bool) -> ConnectorError:
    cause = error.args[0] if error.args else None
    was_sent = not isinstance(error, requests.ConnectTimeout) and not isinstance(
        getattr(cause, "reason", cause), NewConnectionError
    )
    return ConnectorError(
        f"Lightspeed did not answer {path}: {type(error).__name__}",
        is_outcome_unknown=is_write and was_sent, code=type(error).__name__,
    )  # fmt: skip


def _read(answer: requests.Response, *, path: str, is_write: bool) -> Json:
    """The body; lists that come bare are put under `data`."""
    if answer.status_code >= 300:
        raise _error(answer, path=path, is_write=is_write)
    try:
        body = answer.json() if answer.content else {}
    except ValueError as error:
        raise ConnectorError(
            f"Lightspeed answered {path} with something that is not JSON", is_outcome_unknown=is_write, code="NOT_JSON"
        ) from error
    return {"data": body} if isinstance(body, list) else dict(body)


def _error(answer: requests.Response, *, path: str, is_write: bool) -> ConnectorError:
    """`{"error": "short", "message": "detail"}`, or less, or a proxy's page."""
    status = answer.status_code
    message = f"Lightspeed refused {path} ({status}): {_detail(answer)}"
    if status == 401:
        return ConnectorError(message, code=TOKEN_EXPIRED)
    if status == 403:
        return ConnectorError(message, permanent=True, needs_reconnect=True, code="FORBIDDEN")
    if status == 429:
        return ConnectorError(message, retry_after_s=_retry_after_s(answer), code="RATE_LIMITED")
    if status >= 500 or status == 408:
        return ConnectorError(message, is_outcome_unknown=is_write, code=f"HTTP_{status}")
    return ConnectorError(message, permanent=True, code=f"HTTP_{status}")


def _detail(answer: requests.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.reason
    said = [body.get("error"), body.get("message")] if isinstance(body, dict) else [body]
    return "; ".join(str(one) for one in said if one)[:300]


def _retry_after_s(answer: requests.Response) -> float:
    """`Retry-After` is a date here, by the vendor's clock; `Date` says what that clock shows."""
    until, now = _moment(answer, "Retry-After"), _moment(answer, "Date") or datetime.now(UTC)
    wait_s = (until - now).total_seconds() if until else RETRY_AFTER_S
    return min(max(wait_s, 1.0), RETRY_AFTER_S_MAX)


def _moment(answer: requests.Response, header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(answer.headers[header])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def rows(reply: Json) -> Sequence[Json]:
    """The rows of a list. Raises ConnectorError where there is none: nothing may be concluded from that."""
    listed = reply.get("data")
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise ConnectorError("Lightspeed's answer holds no list", permanent=True, code="UNREADABLE")
    return listed


def row(reply: Json) -> dict[str, Any]:
    """The one object of an answer. Raises ConnectorError."""
    found = reply.get("data")
    if not isinstance(found, dict):
        raise ConnectorError("Lightspeed's answer holds no object", permanent=True, code="UNREADABLE")
    return found
