"""HTTP to Square: one session, explicit time-outs, no retries, every failure turned into a ConnectorError.

Square-Version 2026-09-16. Bodies and replies are the vendor's own; `mapping` gives them meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from channels.ports import ConnectorError, Meter

VERSION = "2026-09-16"
TIMEOUT_S = (5.0, 20.0)  # connect, read; shorter together than the lease of the work that calls
RETRY_AFTER_S = 1.0  # Square sends no figure with most 429s
PAGES_MAX = 1_000  # more than any account has; a cursor that never ends must not keep a worker for ever

# What the caller has to refresh tokens for, and what no refresh can help.
# https://developer.squareup.com/docs/build-basics/general-considerations/handling-errors
TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105  an error code, not a secret
EXPIRED_CODES = {TOKEN_EXPIRED, "UNAUTHORIZED"}
DEAD_CODES = {"ACCESS_TOKEN_REVOKED", "INSUFFICIENT_SCOPES", "CLIENT_DISABLED", "APPLICATION_DISABLED"}
PASSING_CODES = {"CONFLICT", "TEMPORARY_ERROR", "REQUEST_TIMEOUT"}
OCCURRED_AT = re.compile(r'"occurred_at": ?"([^"]+)"')
FIELD_OF_CHANGE = re.compile(r"changes\[(\d+)\]")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """A good answer. `served_at` is the vendor's clock, to the second, rounded down; None where it did not
    say."""

    body: Json
    served_at: datetime | None


class _Bearer(AuthBase):
    """As auth, not as a header: requests lets a ~/.netrc entry of the host replace a plain Authorization
    header."""

    def __init__(self, *, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Client:
    """Square's API for one account. A path prefix in `base_url` is kept."""

    def __init__(self, *, base_url: str, access_token: str, application_token: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self.meter = Meter()
        self._auth = _Bearer(token=access_token)
        # Webhook subscriptions belong to the application and take its own token where we have it.
        self._application_auth = _Bearer(token=application_token or access_token)
        self._session = requests.Session()
        self._session.headers.update({"Square-Version": VERSION, "Accept": "application/json"})

    def list_locations(self) -> Reply:
        """https://developer.squareup.com/reference/square/locations-api/list-locations"""
        return self._call("GET", "/v2/locations")

    def list_catalog(self, *, types: Sequence[str], cursor: str) -> Reply:
        """https://developer.squareup.com/reference/square/catalog-api/list-catalog"""
        params = {"types": ",".join(types)} | ({"cursor": cursor} if cursor else {})
        return self._call("GET", "/v2/catalog/list", params=params)

    def search_catalog(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/catalog-api/search-catalog-objects"""
        return self._call("POST", "/v2/catalog/search", body=body)

    def retrieve_catalog(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/catalog-api/batch-retrieve-catalog-objects"""
        return self._call("POST", "/v2/catalog/batch-retrieve", body=body)

    def upsert_catalog(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/catalog-api/batch-upsert-catalog-objects

        A good answer may hold `errors` of some batches beside the `objects` of the others.
        """
        return self._call("POST", "/v2/catalog/batch-upsert", body=body, is_write=True, may_be_partial=True)

    def retrieve_counts(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/inventory-api/batch-retrieve-inventory-counts"""
        return self._call("POST", "/v2/inventory/counts/batch-retrieve", body=body)

    def change_inventory(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/inventory-api/batch-change-inventory"""
        return self._call("POST", "/v2/inventory/changes/batch-create", body=body, is_write=True)

    def retrieve_changes(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/inventory-api/batch-retrieve-inventory-changes"""
        return self._call("POST", "/v2/inventory/changes/batch-retrieve", body=body)

    def get_adjustment(self, *, adjustment_id: str) -> Reply:
        """https://developer.squareup.com/reference/square/inventory-api/retrieve-inventory-adjustment"""
        return self._call("GET", f"/v2/inventory/adjustments/{quote(adjustment_id, safe='')}")

    def search_orders(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/orders-api/search-orders"""
        return self._call("POST", "/v2/orders/search", body=body)

    def retrieve_orders(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/orders-api/batch-retrieve-orders"""
        return self._call("POST", "/v2/orders/batch-retrieve", body=body)

    def update_order(self, *, order_id: str, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/orders-api/update-order"""
        return self._call("PUT", f"/v2/orders/{quote(order_id, safe='')}", body=body, is_write=True)

    def list_subscriptions(self, *, cursor: str) -> Reply:
        """https://developer.squareup.com/reference/square/webhook-subscriptions-api/list-webhook-subscriptions"""
        params = {"include_disabled": "true"} | ({"cursor": cursor} if cursor else {})
        return self._call("GET", "/v2/webhooks/subscriptions", params=params, auth=self._application_auth)

    def get_subscription(self, *, subscription_id: str) -> Reply:
        """https://developer.squareup.com/reference/square/webhook-subscriptions-api/retrieve-webhook-subscription"""
        return self._call("GET", self._subscription(subscription_id), auth=self._application_auth)

    def create_subscription(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/webhook-subscriptions-api/create-webhook-subscription"""
        return self._call("POST", "/v2/webhooks/subscriptions", body=body, is_write=True, auth=self._application_auth)

    def update_subscription(self, *, subscription_id: str, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/webhook-subscriptions-api/update-webhook-subscription"""
        path = self._subscription(subscription_id)
        return self._call("PUT", path, body=body, is_write=True, auth=self._application_auth)

    def delete_subscription(self, *, subscription_id: str) -> Reply:
        """https://developer.squareup.com/reference/square/webhook-subscriptions-api/delete-webhook-subscription"""
        path = self._subscription(subscription_id)
        return self._call("DELETE", path, is_write=True, auth=self._application_auth)

    def obtain_token(self, *, body: Json) -> Reply:
        """https://developer.squareup.com/reference/square/oauth-api/obtain-token (no bearer token)"""
        return self._call("POST", "/oauth2/token", body=body, is_write=True, auth=_Bearer(token=""))

    def _subscription(self, subscription_id: str) -> str:
        return f"/v2/webhooks/subscriptions/{quote(subscription_id, safe='')}"

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        is_write: bool = False,
        auth: AuthBase | None = None,
        may_be_partial: bool = False,
    ) -> Reply:
        """One request. `is_write`: a lost answer leaves the outcome unknown. `may_be_partial`: errors in a good
        answer are the caller's to read. Redirects are not followed: they would carry the token to another
        host."""
        try:
            answer = self._session.request(
                method, self.base_url + path, params=params, json=body, auth=auth or self._auth,
                timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            was_sent = not _never_left(error)
            raise ConnectorError(
                f"Square did not answer {path}: {type(error).__name__}",
                is_outcome_unknown=is_write and was_sent,
                code=type(error).__name__,
            ) from error
        self.meter.answered(answer.headers)  # it tells no limit
        return _read(answer, path=path, is_write=is_write, may_be_partial=may_be_partial)


def _never_left(error: requests.RequestException) -> bool:
    """Whether the request surely never reached Square: no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def _read(answer: requests.Response, *, path: str, is_write: bool, may_be_partial: bool) -> Reply:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.status_code != 200:
        raise _error(answer, body=body, path=path, is_write=is_write)
    if not isinstance(body, dict):
        raise ConnectorError(
            f"Square answered {path} with something that is not JSON",
            is_outcome_unknown=is_write,
            code="NOT_JSON",
        )
    if is_write and body.get("errors") and not may_be_partial:
        raise _error(answer, body=body, path=path, is_write=is_write)
    return Reply(body=body, served_at=_served_at(answer))


def _served_at(answer: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def _error(answer: requests.Response, *, body: Any, path: str, is_write: bool) -> ConnectorError:
    """Square's errors are `{"errors": [{category, code, detail, field}]}`; proxies before it answer
    anything."""
    status = answer.status_code
    listed = body.get("errors") if isinstance(body, dict) else None
    errors = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    first = errors[0] if errors else {}
    code = str(first.get("code") or f"HTTP_{status}")
    detail = "; ".join(str(entry.get("detail") or entry.get("code")) for entry in errors)[:300]
    message = f"Square refused {path} ({status} {code}): {detail or answer.reason}"
    if status == 429 or code == "RATE_LIMITED":
        return ConnectorError(message, retry_after_s=_retry_after_s(answer), code=code)
    if status >= 500 or status == 408:
        return ConnectorError(message, is_outcome_unknown=is_write, code=code)
    if code in DEAD_CODES:
        return ConnectorError(message, permanent=True, needs_reconnect=True, code=code)
    if status == 401 or code in EXPIRED_CODES:
        # Square says UNAUTHORIZED for some expired tokens too. One code, so that the caller refreshes first;
        # where the token is truly dead, the refresh is refused and that error asks for a person.
        return ConnectorError(message, code=TOKEN_EXPIRED)
    ahead_s = _ahead_s(answer) if code == "INVALID_TIME" else 0.0
    if ahead_s > 0:  # one of the two clocks is wrong; what is the future there will be the past
        return ConnectorError(message, retry_after_s=ahead_s + 1.0, code=code)
    if status == 409 or code in PASSING_CODES:
        return ConnectorError(message, code=code)
    return ConnectorError(message, permanent=True, code=code, lines=_lines(errors))


def _ahead_s(answer: requests.Response) -> float:
    """How far the latest `occurred_at` that was sent lies ahead of Square's own clock, in seconds."""
    sent, served_at = answer.request.body or "", _served_at(answer)
    text = sent.decode() if isinstance(sent, bytes) else str(sent)
    moments = [datetime.fromisoformat(found) for found in OCCURRED_AT.findall(text)]
    if served_at is None or not moments:
        return 0.0
    return (max(moments) - served_at).total_seconds()


def _lines(errors: Sequence[Json]) -> tuple[int, ...]:
    """Which entries of `changes` the errors point at."""
    found = (FIELD_OF_CHANGE.search(str(error.get("field") or "")) for error in errors)
    return tuple(sorted({int(match[1]) for match in found if match}))


def _retry_after_s(answer: requests.Response) -> float:
    try:
        return max(0.0, float(answer.headers["Retry-After"]))
    except (KeyError, ValueError):
        return RETRY_AFTER_S
