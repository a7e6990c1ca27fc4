"""What the engine reads: listings as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One listing of one catalog. Empty text and None mean: not known; absence is evidence of nothing."""

    id: str
    title: str
    brand: str = ""
    model: str = ""
    description: str = ""
    price: float | None = None
    sku: str = ""
    gtin: str = ""  # as typed: perhaps damaged
    options: tuple[tuple[str, str], ...] = ()  # (name, value), in the source's order
