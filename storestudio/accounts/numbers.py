"""Quantities as text."""

from __future__ import annotations

from decimal import Decimal


def plain(quantity: Decimal) -> str:
    """For files, messages and the record: no trailing zeros, no exponent. Pages use the filter `quantity`."""
    return f"{quantity.normalize():f}"
