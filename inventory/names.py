"""Which variant a SKU means: what is called so now wins over what was called so before; two of a kind mean nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from inventory import identifiers
from inventory.models import Variant, VariantAlias


def variants_by_sku(*, merchant_id: int, skus: Iterable[str]) -> dict[str, int]:
    """SKU as given → the one living variant that has it, or else had it. An empty SKU never means anything.

    Two queries, whatever the number of SKUs.
    """
    keys = {sku: key for sku in skus if (key := identifiers.sku_key(sku))}
    if not keys:
        return {}
    wanted = set(keys.values())
    now, before = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    living = Variant.objects.filter(merchant=merchant_id, archived_at=None, sku_key__in=wanted)
    for key, pk in living.order_by("pk").values_list("sku_key", "pk"):
        now[key].add(pk)
    aliases = VariantAlias.objects.filter(
        merchant=merchant_id, kind=VariantAlias.Kind.SKU, key__in=wanted, variant__archived_at=None
    )
    for key, pk in aliases.order_by("pk").values_list("key", "variant"):
        before[key].add(pk)
    found = {sku: now.get(key) or before.get(key) or set() for sku, key in keys.items()}
    return {sku: next(iter(owners)) for sku, owners in found.items() if len(owners) == 1}
