"""What a detector hands back, and how the queue is ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from channels.models import Connection
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

    - Oversell risk: by kind (OVERSELL_RISK), half as much again for every live channel beyond the first that lists
      the thing, for each may sell it.
    - Units: available at all places, at least 1: an empty shelf is oversold, too.
    - Value: the price, or the proposed one where that is higher; 1 where none is known.
    """
    at_stake = 0.0
    proposed = Decimal(str(found.proposal.get("price") or 0))
    for variant_id in found.variant_ids:
        variant = catalog.variants.get(variant_id) or catalog.archived.get(variant_id)
        units = max(abs(catalog.units_of(variant_id)), Decimal(1))
        price = max(variant.price or Decimal(0), proposed) if variant is not None else proposed
        channels = sum(one.connection.state == Connection.State.LIVE for one in catalog.listings_of.get(variant_id, ()))
        at_stake += float(units * (price or Decimal(1))) * (1 + 0.5 * max(0, channels - 1))
    return round(OVERSELL_RISK[found.kind] * max(at_stake, 1.0), 2)
