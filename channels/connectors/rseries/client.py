"""HTTP to Lightspeed R-Series: one session, explicit time-outs, no retries, every failure turned into a ConnectorError.

https://developers.lightspeedhq.com/retail/introduction/introduction/, API V3. A leaky bucket rations calls: 90 drips
and one a second for an account of one register, a call costs one or more. Each answer says how full it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from channels.connectors.rseries.values import Json, rows, unreadable
from channels.ports import ConnectorError, Headroom, Meter

VERSION = "V3"
LIMIT = 100  # the most rows of a page, and the most values of one IN
TIMEOUT_S = (5.0, 20.0)  # connect, read; shorter together than the lease of the work that calls
RETRY_AFTER_S_MAX = 600.0
REST_DRIPS = 20  # so much room is waited for once the bucket is full
PAGES_MAX = 10_000  # a list that never ends must not keep a worker for ever
TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105  an error code, not a secret
API_HOST, TOKEN_HOST = "api.lightspeedapp.com", "cloud.lightspeedapp.com"

Params = Mapping[str, str | int]


@dataclass(frozen=True)
class Page:
    """Rows, the query of the next page ("" on the last), and the vendor's clock, to the second."""

    rows: Sequence[Json]
    following: str
    served_at: datetime


class Client:
    """The API of one account. A path prefix in `base_url` is kept."""

    def __init__(self, *, base_url: str, account_id: str, access_token: str) -> None:
        self.base_url, self.account_id = base_url.rstrip("/"), account_id
        self.bucket = Bucket()
        self.meter = Meter()
        self._session = requests.Session()
        self._session.headers.update({"Authorization": f"Bearer {access_token}", "Accept": "application/json"})
        self._session.trust_env = False  # a ~/.netrc entry of the host would replace the token

    def session(self) -> Json:
        """https://developers.lightspeedhq.com/retail/endpoints/Session/: whose name this token bears."""
        return self._read("GET", f"{self.base_url}/API/Session.json", what="Session")[0]

    def account(self) -> Json:
        """https://developers.lightspeedhq.com/retail/endpoints/Account/"""
        url = f"{self.base_url}/API/{VERSION}/Account/{quote(self.account_id, safe='')}.json"
        return self._read("GET", url, what="Account")[0]

    def page(
        self, name: str, params: Params | None = None, *, relations: Sequence[str] = (), following: str = ""
    ) -> Page:
        """A page of a list, such as `Item`; `following` is what the page before said.

        https://developers.lightspeedhq.com/retail/introduction/pagination/: the next page's address is given whole. Its
        query is taken as it is, and sent to where we speak anyhow: a token goes nowhere else.
        """
        query = dict(parse_qsl(following)) if following else {"limit": LIMIT, **(params or {})}
        if relations and not following:
            query["load_relations"] = json.dumps(list(relations))
        body, served_at = self._read("GET", self._url(name), what=name, params=query)
        head = body.get("@attributes")
        if not isinstance(head, Mapping):
            raise unreadable(f"{name} without @attributes")
        return Page(rows(body, name), urlsplit(str(head.get("next") or "")).query, served_at)

    def everything(self, name: str, params: Params, *, relations: Sequence[str] = ()) -> Iterator[Json]:
        """All rows of a list, page by page."""
        following = ""
        for _ in range(PAGES_MAX):
            found = self.page(name, params, relations=relations, following=following)
            yield from found.rows
            following = found.following
            if not following:
                return
        raise ConnectorError(f"Lightspeed's list of {name} does not end", code="CURSOR_LOOP")

    def update_item(self, item_id: str, body: Json) -> Json:
        """https://developers.lightspeedhq.com/retail/endpoints/Item/#put-update-an-item: only the fields given."""
        path = f"Item/{quote(item_id, safe='')}"
        return self._read("PUT", self._url(path), what=path, body=body)[0]

    def token(self, form: Mapping[str, str]) -> Json:
        """https://developers.lightspeedhq.com/retail/authentication/refresh-token/; on a host of its own."""
        url = f"{token_base(self.base_url)}/auth/oauth/token"
        try:
            answer = self._session.post(
                url, data=form, timeout=TIMEOUT_S, allow_redirects=False, headers={"Authorization": ""}
            )
        except requests.RequestException as error:
            raise _unanswered(error, what="token", is_write=False) from error
        self.meter.answered(answer.headers)
        if answer.status_code in (400, 401, 403):
            raise ConnectorError(
                f"Lightspeed refused new tokens ({answer.status_code})", permanent=True, needs_reconnect=True
            )
        return _body(answer, what="token", is_write=False)

    def _url(self, path: str) -> str:
        return f"{self.base_url}/API/{VERSION}/Account/{quote(self.account_id, safe='')}/{path}.json"

    def _read(
        self, method: str, url: str, *, what: str, params: Params | None = None, body: Json | None = None
    ) -> tuple[Json, datetime]:
        """One request, redirects not followed. A write whose answer is lost leaves the outcome unknown."""
        is_write = method != "GET"
        try:
            answer = self._session.request(
                method, url, params=params, json=body, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise _unanswered(error, what=what, is_write=is_write) from error
        self.bucket = Bucket.read(answer.headers)
        self.meter.answered(answer.headers, self.bucket.headroom)
        return _body(answer, what=what, is_write=is_write), _served_at(answer)


def full(bucket: Bucket) -> ConnectorError:
    """No room for what is to be done; nothing was sent."""
    return ConnectorError("Lightspeed's bucket of calls is full", retry_after_s=bucket.rest_s, code="RATE_LIMITED")


def token_base(base_url: str) -> str:
    """Where tokens are given: at the vendor on another host than the API, at a stand-in on the same."""
    return base_url.replace(API_HOST, TOKEN_HOST) if urlsplit(base_url).hostname == API_HOST else base_url


def _unanswered(error: requests.RequestException, *, what: str, is_write: bool) -> ConnectorError:
    cause = error.args[0] if error.args else None
    was_sent = not isinstance(error, requests.ConnectTimeout) and not isinstance(
        getattr(cause, "reason", cause), NewConnectionError
    )
    return ConnectorError(
        f"Lightspeed did not answer {what}: {type(error).__name__}",
        is_outcome_unknown=is_write and was_sent, code=type(error).__name__,
    )  # fmt: skip


def _body(answer: requests.Response, *, what: str, is_write: bool) -> dict[str, Any]:
    if answer.status_code >= 300:
        raise _error(answer, what=what, is_write=is_write)
    try:
        body = answer.json()
    except ValueError as error:
        raise ConnectorError(
            f"Lightspeed answered {what} with something that is not JSON", is_outcome_unknown=is_write, code="NOT_JSON"
        ) from error
    if not isinstance(body, dict):
        raise unreadable(f"{what} is no object")
    return body


def _error(answer: requests.Response, *, what: str, is_write: bool) -> ConnectorError:
    status = answer.status_code
    message = f"Lightspeed refused {what} ({status}): {_said(answer)}"
    if status == 401:
        return ConnectorError(message, code=TOKEN_EXPIRED)
    if status == 403:
        return ConnectorError(message, permanent=True, needs_reconnect=True, code="FORBIDDEN")
    if status == 429:
        return ConnectorError(message, retry_after_s=_retry_after_s(answer), code="RATE_LIMITED")
    if status >= 500 or status == 408:
        return ConnectorError(message, is_outcome_unknown=is_write, code=f"HTTP_{status}")
    return ConnectorError(message, permanent=True, code=f"HTTP_{status}")


def _said(answer: requests.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.reason
    return str(body.get("message") or body)[:300] if isinstance(body, dict) else str(body)[:300]


@dataclass(frozen=True)
class Bucket:
    """How full the bucket was after the last call, in drips, and how many drip out a second. 0 of 0: not told."""

    level: float = 0.0
    size: float = 0.0
    rate: float = 1.0

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Bucket:
        """https://developers.lightspeedhq.com/retail/introduction/ratelimits/#response-headers"""
        level, _, size = headers.get("X-LS-Api-Bucket-Level", "").partition("/")
        try:
            return cls(float(level), float(size), float(headers.get("X-LS-Api-Drip-Rate", "1")) or 1.0)
        except ValueError:
            return cls()

    def has_room(self, drips: float) -> bool:
        """Whether calls of so many drips fit in."""
        return not self.size or self.level + drips <= self.size

    @property
    def headroom(self) -> Headroom | None:
        """What is left in it, where the answer told."""
        left = max(self.size - self.level, 0.0)
        return Headroom(left=left, most=self.size, unit="drips of a leaky bucket") if self.size else None

    @property
    def rest_s(self) -> float:
        """Until a reading and some writes fit in: coming back for a single call would fail at the next."""
        return REST_DRIPS / self.rate


def _retry_after_s(answer: requests.Response) -> float:
    """Seconds, at least as long as the vendor says."""
    try:
        told_s = float(answer.headers.get("Retry-After", "0"))
    except ValueError:
        told_s = 0.0
    return min(max(told_s, Bucket.read(answer.headers).rest_s), RETRY_AFTER_S_MAX)


def _served_at(answer: requests.Response) -> datetime:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
