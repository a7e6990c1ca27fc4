"""Opaque cursors: they hold the place reached, and continue only their own query, for five minutes."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from channels.sandbox import faults
from channels.sandbox.square.errors import SquareError
from channels.sandbox.square.idempotency import fingerprint
from channels.sandbox.square.values import Json

CURSOR_TTL_S = 300  # told by users, not by Square: hence a switch


def make_cursor(*, place: list[Any], query: Json, now: datetime) -> str:
    packed = json.dumps([place, fingerprint(query), int(now.timestamp())])
    return base64.urlsafe_b64encode(packed.encode()).decode()


def read_cursor(cursor: object, *, query: Json, now: datetime) -> list[Any] | None:
    """The place a cursor stands for; None without a cursor. Raises SquareError (INVALID_CURSOR)."""
    if cursor in (None, ""):
        return None
    try:
        place, of_query, issued = json.loads(base64.urlsafe_b64decode(str(cursor).encode()))
    except (ValueError, TypeError, binascii.Error) as error:
        raise SquareError(code="INVALID_CURSOR", detail="The cursor is not valid.", field="cursor") from error
    if of_query != fingerprint(query):
        raise SquareError(code="INVALID_CURSOR", detail="The cursor belongs to another query.", field="cursor")
    if now.timestamp() - issued > faults.switch("square.cursor_ttl_s", CURSOR_TTL_S):
        raise SquareError(code="INVALID_CURSOR", detail="The cursor has expired.", field="cursor")
    return list(place)


def without_cursor(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "cursor"}


def read_limit(value: object, *, default: int, top: int) -> int:
    """A page size. Raises SquareError where it is no whole number from 1 to `top`."""
    if value is None:
        return default
    try:
        limit = int(str(value))
    except ValueError as error:
        raise SquareError(code="EXPECTED_INTEGER", detail="Expected an integer.", field="limit") from error
    if limit < 1:
        raise SquareError(code="VALUE_TOO_LOW", detail="Must be at least 1.", field="limit")
    if limit > top:
        raise SquareError(code="VALUE_TOO_HIGH", detail=f"Must be at most {top}.", field="limit")
    return limit
