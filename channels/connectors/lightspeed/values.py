"""The small values of Lightspeed's objects: numbers come as numbers and as texts, times with and without their zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.ports import ConnectorError

Json = Mapping[str, Any]
ZERO = Decimal(0)
PLACES = Decimal("0.00001")


def unreadable(what: str) -> ConnectorError:
    """An answer that does not say what it must; nothing may be concluded from it."""
    return ConnectorError(f"Lightspeed's answer cannot be read: {what}", permanent=True, code="UNREADABLE")


def moment(value: Any) -> datetime | None:
    """Aware UTC; a time without a zone is UTC (API 1.0). None where there is none."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def quantity(value: Any) -> Decimal:
    """A number or a text, to five decimals: a binary fraction is not an exact one. Raises ConnectorError."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise unreadable(f"quantity {value!r}") from None
    if isinstance(value, bool) or not parsed.is_finite():
        raise unreadable(f"quantity {value!r}")
    return parsed.quantize(PLACES)


def decimal_text(value: Decimal) -> str:
    """Plain digits without needless zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def text(value: Any) -> str:
    """Text; the empty one for null."""
    return "" if value is None else str(value)
