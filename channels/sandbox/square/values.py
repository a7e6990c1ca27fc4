"""How Square writes times, ids, quantities and money."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone

from channels.sandbox.square.errors import SquareError, invalid, missing

Json = dict[str, Any]

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
MIXED = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"
QUANTITY = re.compile(r"-?\d{1,20}(\.\d{1,5})?")
QUANTITY_CHARS_MAX = 26


def now_ms() -> datetime:
    """Now, to the millisecond: Square prints no more, and filters must agree with what it prints."""
    return to_ms(timezone.now())


def to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def later_than(previous: datetime, *, now: datetime) -> datetime:
    """Now, or one millisecond after `previous`: a row's stamps always rise."""
    return max(to_ms(now), previous + timedelta(milliseconds=1))


def upper_id(*, length: int = 24) -> str:
    """As of catalog objects, locations and inventory changes."""
    return "".join(secrets.choice(UPPER) for _ in range(length))


def mixed_id(*, length: int = 27, tail: str = "ZY") -> str:
    """As of orders and payments."""
    return "".join(secrets.choice(MIXED) for _ in range(length)) + tail


def uid() -> str:
    """As of line items and fulfillments inside an order."""
    return mixed_id(length=22, tail="")


def stamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(value: object, *, field: str) -> datetime:
    """An aware UTC time from RFC 3339 text. Raises SquareError (INVALID_TIME)."""
    try:
        moment = datetime.fromisoformat(str(value).replace("z", "Z"))
    except ValueError:
        moment = None
    if not isinstance(value, str) or moment is None or moment.tzinfo is None:
        raise SquareError(code="INVALID_TIME", detail=f"`{value}` is not an RFC 3339 timestamp.", field=field)
    return moment.astimezone(UTC)


def read_quantity(value: object, *, field: str, takes_fractions: bool = True) -> Decimal:
    """A decimal string, at most 5 decimals and 26 characters. Raises SquareError."""
    if value is None:
        raise missing(field)
    if not isinstance(value, str):
        raise SquareError(code="EXPECTED_STRING", detail="Expected a string value.", field=field)
    if len(value) > QUANTITY_CHARS_MAX or not QUANTITY.fullmatch(value):
        raise invalid(field, f"`{value}` is not a quantity with at most 5 decimals.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:  # pragma: no cover - the pattern lets no such text through
        raise invalid(field, f"`{value}` is not a quantity.") from error
    if not takes_fractions and number != number.to_integral_value():
        raise invalid(field, "Fractional quantities need a measurement unit on the item variation.")
    return number


def print_quantity(number: Decimal) -> str:
    """The shortest decimal string: no exponent, no trailing zeros."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def money(amount: int, currency: str) -> Json:
    return {"amount": amount, "currency": currency}


def read_money(value: object, *, field: str, currency: str) -> int:
    """The amount in minor units. Raises SquareError if it is no money, negative, or in another currency."""
    if not isinstance(value, dict):
        raise missing(field)
    amount = value.get("amount")
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise SquareError(code="EXPECTED_INTEGER", detail="Expected an integer value.", field=f"{field}.amount")
    if amount < 0:
        raise SquareError(code="VALUE_TOO_LOW", detail="Must not be negative.", field=f"{field}.amount")
    if value.get("currency", currency) != currency:
        raise SquareError(code="CURRENCY_MISMATCH", detail=f"The location uses {currency}.", field=f"{field}.currency")
    return amount
