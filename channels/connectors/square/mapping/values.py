"""The small values all of Square's objects are made of.

Quantities are decimal strings of up to five places, money is in minor units, times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.ports import ConnectorError

Json = Mapping[str, Any]
ZERO = Decimal(0)

# https://www.iso.org/iso-4217-currency-codes.html; all others have two decimals.
MINOR_DIGITS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    0,
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)


def unreadable(what: str) -> ConnectorError:
    """An answer that does not say what it must; nothing may be concluded from it."""
    return ConnectorError(f"Square's answer cannot be read: {what}", permanent=True, code="UNREADABLE")


def moment(value: Any) -> datetime | None:
    """An RFC 3339 time as aware UTC; None where there is none."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else None


def timestamp(value: datetime) -> str:
    """RFC 3339 with milliseconds. Cut, not rounded: Square refuses times in its future."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quantity(value: Any) -> Decimal:
    """A decimal string. Raises ConnectorError for what is no number."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise unreadable(f"quantity {value!r}") from None
    if not parsed.is_finite():
        raise unreadable(f"quantity {value!r}")
    return parsed


def decimal_text(value: Decimal) -> str:
    """Plain digits without needless zeros: "2", "0.5"; an item sold in whole units takes no "2.00000"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Any) -> Decimal | None:
    """An amount in the currency's major unit."""
    if not isinstance(value, Mapping) or value.get("amount") is None:
        return None
    return Decimal(int(value["amount"])).scaleb(-MINOR_DIGITS.get(str(value.get("currency")), 2))
