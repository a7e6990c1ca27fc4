"""Calls to a vendor that may be busy: the same request, key and all, again after a while."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests

TIMEOUT_S = 30
ATTEMPTS_MAX = 9
WAIT_S_MAX = 8.0
Json = dict[str, Any]


class Unanswered(Exception):
    """The vendor stayed away through all attempts; whether the request took effect is not known."""


class Refused(Exception):
    """The vendor said no. `words` are its own; `fields` the parts of the request it names."""

    def __init__(self, words: str, *, code: str = "", fields: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(words)
        self.words, self.code, self.fields = words, code, fields


class Caller:
    """One customer-facing client of a vendor: keeps its connection, counts its repeats."""

    def __init__(self, *, headers: Mapping[str, str]) -> None:
        self.session = requests.Session()
        self.session.headers.update(headers)
        self.repeats = 0

    def ask(self, *, method: str, url: str, body: Json | None = None) -> requests.Response:
        """The first answer that is neither 429 nor 5xx. The body is sent unchanged each time, so that its idempotency
        key protects it: a lost answer may mean that it was done. Raises Unanswered."""
        said = ""
        for attempt in range(ATTEMPTS_MAX):
            try:
                answer = self.session.request(method, url, json=body, timeout=TIMEOUT_S)
            except requests.RequestException as error:
                said, wait_s = type(error).__name__, backoff_s(attempt)
            else:
                if answer.status_code != 429 and answer.status_code < 500:
                    return answer
                said, wait_s = str(answer.status_code), _asked_wait_s(answer) or backoff_s(attempt)
            self.rest(wait_s)
        raise Unanswered(f"{method} {url}: {said} after {ATTEMPTS_MAX} attempts")

    def rest(self, wait_s: float) -> None:
        """Wait before a repeat."""
        self.repeats += 1
        time.sleep(min(wait_s, WAIT_S_MAX))


def backoff_s(attempt: int) -> float:
    """Seconds before the next attempt."""
    return float(min(WAIT_S_MAX, 0.1 * 2**attempt))


def _asked_wait_s(answer: requests.Response) -> float:
    try:
        return float(answer.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
