"""What a shop's chosen pattern says about the SKUs it has: who follows it, and what it makes of the others."""

from __future__ import annotations

from inventory import identifiers
from onboarding.findings.names import OwnPattern
from onboarding.models import SkuPattern
from onboarding.skus import designing, inferring, patterns
from storestudio.accounts.models import Merchant


def own_pattern(merchant: Merchant) -> OwnPattern | None:
    """None where no pattern was chosen, or where it has a part that the shop's goods do not have any more."""
    chosen = SkuPattern.objects.of(merchant).first()
    if chosen is None:
        return None
    goods = designing.goods(merchant)
    try:
        parsed = patterns.parse(chosen.pattern, names=goods.options)
        designed = designing.preview(merchant, chosen.pattern, of=goods).to_do()
    except patterns.BadPattern:
        return None
    named = (thing for thing in goods.things if identifiers.sku_key(thing.sku))
    followers = frozenset(thing.id for thing in named if inferring.follows(parsed, thing))
    return OwnPattern(text=parsed.text, followers=followers, designed=designed)
