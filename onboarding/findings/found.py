"""What a detector hands back, and how the queue is ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from onboarding.findings.catalog import Catalog
from onboarding.models import Finding

Kind = Finding.Kind
Json = dict[str, Any]
Evidence = tuple[str, float]
SHOWN_MAX = 40  # members of one finding a person can look through

# How likely leaving it alone sells something that is not there, or hides something that is.
OVERSELL_RISK: dict[str, float] = {
    Kind.OVERSELLING: 1.0,
    Kind.DUPLICATE: 0.9,
    Kind.SKU_COLLIDES: 0.9,
    Kind.SKU_REPEATED: 0.8,
    Kind.UNTRACKED: 0.8,
    Kind.ARCHIVED: 0.5,
    Kind.SKU_DAMAGED: 0.4,
    Kind.SKU_MISSING: 0.4,
    Kind.GTIN: 0.3,
    Kind.FAMILY: 0.2,
    Kind.PRICE: 0.2,
    Kind.SKU_PATTERN: 0.1,
    Kind.OPTION: 0.1,
}


@dataclass(frozen=True)
class Found:
    """One finding before it is stored. `key` stays the same when the same thing is found again."""

    kind: str
    key: str
    title: str
    members: Sequence[Json]
    proposal: Json
    confidence: float
    evidence: Sequence[Evidence] = ()
    variant_ids: Sequence[int] = field(default_factory=tuple)


Detector = Callable[[Catalog], Iterable[Found]]


def risk(found: Found, catalog: Catalog) -> float:
    """Oversell risk × units × value: what could be sold wrongly, in money, before anybody looks.

    Units are what is available, at least one (an empty shelf oversells too); value is the price, 1 where unknown;
    every channel that lists the thing beyond the first adds to the risk, for each may sell it.
    """
    at_stake = 0.0
    for variant_id in found.variant_ids or ():
        variant = catalog.variants.get(variant_id) or catalog.archived.get(variant_id)
        units = max(abs(catalog.units_of(variant_id)), Decimal(1))
        price = variant.price if variant is not None and variant.price else Decimal(1)
        channels = max(1, len(catalog.listings_of.get(variant_id, ())))
        at_stake += float(units * price) * (1 + 0.5 * (channels - 1))
    return round(OVERSELL_RISK[found.kind] * max(at_stake, 1.0), 2)
