"""HTTP to Shopify: one session, explicit time-outs, cost-aware pacing, every failure turned into a ConnectorError.

Admin GraphQL 2026-10. https://shopify.dev/docs/api/admin-graphql
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from channels.ports import ConnectorError, Headroom, Meter

VERSION = "2026-10"
# https://shopify.dev/docs/api/release-notes/2026-10: stable on 2026-10-01, reachable until that day, 15:00 UTC.
VERSION_ENDS_ON = date(2027, 10, 16)
TIMEOUT_S = (5.0, 20.0)  # connect, read; shorter together than the lease of the work that calls
PACE_S_MAX = 5.0  # how long a call may wait for cost points before it gives the turn back
RETRY_AFTER_S, RETRY_AFTER_S_MAX = 2.0, 3600.0
TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105  an error code, not a secret

# Statuses no repetition changes: 402 frozen shop, 403 forbidden, 404 no such shop, 423 locked.
# https://shopify.dev/docs/api/usage/response-codes
LOST_STATUSES = {402, 403, 404, 423}

Json = Mapping[str, Any]


class Client:
    """Shopify's API for one shop. A path prefix in `base_url` is kept."""

    def __init__(self, *, base_url: str, access_token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.served = ""  # the API version of the last answer
        self.meter = Meter()
        self._session = requests.Session()
        self._session.headers.update({"X-Shopify-Access-Token": access_token, "Accept": "application/json"})

    def run(self, document: str, variables: Json, *, operation: str, is_write: bool = False) -> Json:
        """The `data` of one operation. Waits for cost points, at most PACE_S_MAX in all.

        https://shopify.dev/docs/api/usage/limits: the whole requested cost must be there; what was not used comes back.
        """
        waited_s = 0.0
        while True:
            reply = self._post(document, variables, operation=operation, is_write=is_write)
            self.meter.headroom = _headroom(reply) or self.meter.headroom
            errors = reply.get("errors")
            if not errors:
                return _data(reply, is_write=is_write)
            wait_s = _throttled_s(reply)
            if wait_s is None:
                raise _top_level_error(reply, is_write=is_write)
            if waited_s + wait_s > PACE_S_MAX:
                raise ConnectorError("Shopify's cost points are used up", retry_after_s=wait_s, code="THROTTLED")
            time.sleep(wait_s)
            waited_s += wait_s

    def token(self, fields: Mapping[str, str]) -> Json:
        """https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens (form-encoded)"""
        try:
            answer = self._session.post(
                f"{self.base_url}/admin/oauth/access_token", data=fields, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise ConnectorError(f"Shopify could not be reached: {error}") from error
        if answer.status_code in (400, 401, 403, 404):
            raise ConnectorError(
                f"Shopify refused new tokens ({answer.status_code})", permanent=True, needs_reconnect=True
            )
        _raise_for_status(answer, is_write=False)
        reply = _json(answer, is_write=False)
        if not reply.get("access_token") or not isinstance(reply.get("expires_in"), int):
            raise ConnectorError("Shopify's answer holds no token that ends")
        return reply

    def _post(self, document: str, variables: Json, *, operation: str, is_write: bool) -> Json:
        body = {"query": document, "variables": variables, "operationName": operation}
        url = f"{self.base_url}/admin/api/{VERSION}/graphql.json"
        try:
            # A redirect would carry the token, and the call as a GET, to another host.
            answer = self._session.post(url, json=body, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            never_sent = isinstance(error, requests.ConnectTimeout) or _refused(error)
            raise ConnectorError(
                f"Shopify did not answer: {error}", is_outcome_unknown=is_write and not never_sent
            ) from error
        self.meter.answered(answer.headers)
        _raise_for_status(answer, is_write=is_write)
        self.served = served = answer.headers.get("X-Shopify-API-Version", VERSION)
        if served != VERSION:
            # A version that has ended falls forward silently, and with it what our documents mean.
            raise ConnectorError(
                f"Shopify served API version {served}, not {VERSION}",
                permanent=not is_write, is_outcome_unknown=is_write, code="VERSION",
            )  # fmt: skip
        return _json(answer, is_write=is_write)


def _refused(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _raise_for_status(answer: requests.Response, *, is_write: bool) -> None:
    status = answer.status_code
    if status < 300:
        return
    if status == 401:
        raise ConnectorError("Shopify does not accept the token", code=TOKEN_EXPIRED)
    if status in LOST_STATUSES:
        raise ConnectorError(f"Shopify closed the shop to us ({status})", permanent=True, needs_reconnect=True)
    if status == 429:
        raise ConnectorError("Shopify asks for a rest", retry_after_s=_retry_after(answer), code="RATE_LIMITED")
    if status >= 500:
        raise ConnectorError(f"Shopify failed ({status})", is_outcome_unknown=is_write)
    raise ConnectorError(f"Shopify refused the request ({status}): {answer.text[:200]}", permanent=True)


def _retry_after(answer: requests.Response) -> float:
    try:
        wait_s = float(answer.headers.get("Retry-After", RETRY_AFTER_S))
    except ValueError:  # a date is allowed there, too
        return RETRY_AFTER_S
    return wait_s if 0 <= wait_s <= RETRY_AFTER_S_MAX else RETRY_AFTER_S  # no NaN either


def _json(answer: requests.Response, *, is_write: bool) -> Json:
    try:
        body = answer.json()
    except ValueError as error:
        raise ConnectorError("Shopify's answer cannot be read", is_outcome_unknown=is_write) from error
    if not isinstance(body, dict):
        raise ConnectorError("Shopify's answer cannot be read", is_outcome_unknown=is_write)
    return body


def _data(reply: Json, *, is_write: bool) -> Json:
    data = reply.get("data")
    if not isinstance(data, dict):
        raise ConnectorError("Shopify's answer holds no data", is_outcome_unknown=is_write)
    return data


def _headroom(reply: Json) -> Headroom | None:
    """https://shopify.dev/docs/api/usage/limits: `extensions.cost.throttleStatus`, in points of cost."""
    cost = (reply.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    left, most = status.get("currentlyAvailable"), status.get("maximumAvailable")
    if not isinstance(left, int | float) or not isinstance(most, int | float) or most <= 0:
        return None
    return Headroom(left=float(left), most=float(most), unit="points")


def _throttled_s(reply: Json) -> float | None:
    """Seconds until the points are there, with jitter; None where the errors are of another kind."""
    errors = reply["errors"] if isinstance(reply.get("errors"), list) else []
    codes = [(error.get("extensions") or {}).get("code") for error in errors if isinstance(error, dict)]
    if "THROTTLED" not in codes:
        return None
    cost = (reply.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    missing = float(cost.get("requestedQueryCost") or 0) - float(status.get("currentlyAvailable") or 0)
    rate = float(status.get("restoreRate") or 50)
    return max(0.1, missing / rate) * random.uniform(1.0, 1.2)


def _top_level_error(reply: Json, *, is_write: bool) -> ConnectorError:
    errors, data = reply["errors"], reply.get("data")
    if not isinstance(errors, list) or not isinstance(errors[0], dict):
        return ConnectorError(f"Shopify: {errors}"[:300], permanent=True)
    first = errors[0]
    code = str((first.get("extensions") or {}).get("code") or "")
    message = f"Shopify: {first.get('message', 'unknown error')}"
    if code == "ACCESS_DENIED":
        return ConnectorError(message, permanent=True, needs_reconnect=True, code=code)
    # A mutation that failed is null in `data`; one that is there was carried out, and only its answer is broken.
    was_done = isinstance(data, dict) and any(value is not None for value in data.values())
    if code in ("INTERNAL_SERVER_ERROR", "TIMEOUT") or (is_write and was_done):
        return ConnectorError(message, is_outcome_unknown=is_write, code=code)
    return ConnectorError(message, permanent=True, code=code)
