"""Answers of a vendor that leave something out on their way: a page that was cut, a plugin, an index that lags."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import requests


def leave_out(session: requests.Session, *, call: str, ids: Collection[Any], times: int = 1) -> list[str]:
    """The next `times` answers to `call` ("GET /products", by the end of its path) lack what is about these ids.

    Returns the list of calls made from now on, as they come.
    """
    method, _, path = call.partition(" ")
    made: list[str] = []
    left = times

    def thin(answer: requests.Response, **_: Any) -> None:
        nonlocal left
        asked = answer.request.path_url.partition("?")[0]
        made.append(f"{answer.request.method} {asked}")
        if left and answer.request.method == method and asked.endswith(path):
            left -= 1
            answer._content = json.dumps(_without(answer.json(), ids)).encode()

    session.hooks["response"].append(thin)
    return made


def _without(value: Any, ids: Collection[Any]) -> Any:
    if isinstance(value, list):
        return [_without(one, ids) for one in value if not (isinstance(one, dict) and _id_of(one) in ids)]
    return {name: _without(inner, ids) for name, inner in value.items()} if isinstance(value, dict) else value


def _id_of(one: dict[str, Any]) -> Any:
    return one.get("product_id") or one.get("id")
