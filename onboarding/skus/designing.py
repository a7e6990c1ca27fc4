"""New SKUs for a shop by a pattern: the preview on its own products, and what its SKUs follow already."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from channels import registry
from channels.models import Connection, Listing
from inventory import identifiers
from inventory.models import Variant, VariantAlias, VariantMerge
from onboarding.skus import checks, inferring, patterns
from onboarding.skus.checks import ChannelRule, Kind, Known, Listed, Row
from onboarding.skus.patterns import Thing
from storestudio.accounts.models import Merchant

VENDOR_SHARE_MIN = 0.5  # of the variants have a vendor; else a proposed pattern does without
OPTION_SHARE_MIN = 0.25  # of the variants have the option
OPTIONS_IN_DEFAULT = 2
OPTIONS_OFFERED = 8

# What the connectors' capabilities do not tell. Google: 1 to 50 characters, ASCII letters, digits, dashes and
# underscores (support.google.com/merchants/answer/6324405). WooCommerce: its lookup table holds 100 characters.
RULES = {
    "google": ChannelRule("Google", 50, r"[^A-Za-z0-9_-]", "support.google.com/merchants/answer/6324405"),
    "woocommerce": ChannelRule("WooCommerce", 100, "", "wc_product_meta_lookup.sku varchar(100)"),
}


@dataclass(frozen=True)
class Preview:
    """What a pattern would make of the shop's SKUs; one row a living variant, the oldest first."""

    pattern: str
    rows: list[Row]
    problems: Mapping[Kind, int]

    def to_do(self, *, left_out: frozenset[int] = frozenset()) -> dict[int, str]:
        """Variant → new SKU, for those that change, are not blocked and were not left out."""
        return {
            row.variant_id: row.new
            for row in self.rows
            if row.is_changed and not row.is_blocked and row.variant_id not in left_out
        }


@dataclass(frozen=True)
class Goods:
    """The shop's living variants as a pattern sees them, and the names of its options, the most frequent first."""

    things: list[Thing]
    titles: dict[int, str]
    options: list[str]


def goods(merchant: Merchant) -> Goods:
    """Read the living variants, the oldest first: an older one keeps its code when a newer one comes."""
    rows = (
        Variant.objects.filter(merchant=merchant, archived_at=None, product__archived_at=None)
        .order_by("pk")
        .values_list(
            "pk", "product_id", "sku", "title", "options", "product__title", "product__vendor", "product__category"
        )
    )
    things, titles, counts = [], {}, Counter[str]()
    for pk, product_id, sku, title, options, product_title, vendor, category in rows:
        values = {patterns.name_of(name): str(value) for name, value in options.items() if value}
        counts.update(values.keys())
        values |= {"vendor": vendor, "category": category, "title": product_title}
        things.append(Thing(id=pk, product=product_id, values=values, sku=sku))
        titles[pk] = f"{product_title} · {title}" if title else product_title
    names = [name for name, _ in counts.most_common() if name and name not in patterns.FIXED]
    return Goods(things=things, titles=titles, options=names)


def preview(merchant: Merchant, pattern: str, *, numbers: bool = True, of: Goods | None = None) -> Preview:
    """Old and new SKU of every living variant, with what is wrong. Raises patterns.BadPattern.

    `numbers`: what clashes is numbered; else it is left out.
    """
    ours = of or goods(merchant)
    parsed = patterns.parse(pattern, names=ours.options)
    rows = checks.check(
        patterns.fill(parsed, ours.things),
        old={thing.id: thing.sku for thing in ours.things},
        known=_known(merchant, ours.titles),
        numbers=numbers,
    )
    return Preview(pattern=pattern, rows=rows, problems=checks.counted(rows))


def infer(merchant: Merchant, *, of: Goods | None = None) -> inferring.Inferred | None:
    """The pattern that the shop's SKUs seem to follow already, with the share of them that do; None: no pattern."""
    ours = of or goods(merchant)
    return inferring.infer(ours.things, names=ours.options[:OPTIONS_OFFERED])


def proposal(of: Goods) -> str:
    """A pattern to begin with: vendor where most have one, style, and the options that many products have."""
    options = [name for name in of.options[:OPTIONS_IN_DEFAULT] if _share(of, name) >= OPTION_SHARE_MIN]
    vendor = ["{vendor:3}"] if _share(of, "vendor") > VENDOR_SHARE_MIN else []
    written = [f"{{{name}:3}}" if name == "color" else f"{{{name}}}" for name in options]
    return "-".join([*vendor, "{style:4}", *written])


def _share(of: Goods, name: str) -> float:
    """How many of the variants have a value there, 0 to 1."""
    return sum(bool(thing.values.get(name)) for thing in of.things) / max(len(of.things), 1)


def _known(merchant: Merchant, titles: dict[int, str]) -> Known:
    """What every SKU means today: living, archived and former ones of ours, and those on channels."""
    into = dict(
        VariantMerge.objects.filter(merchant=merchant, parted_at=None)
        .order_by("pk")
        .values_list("duplicate", "survivor")
    )
    owners: dict[str, set[int]] = defaultdict(set)
    keys = VariantAlias.objects.filter(merchant=merchant, kind=VariantAlias.Kind.SKU).values_list("variant", "key")
    for variant_id, key in keys.order_by("pk"):
        owners[key].add(_survivor(variant_id, into))
    ours = Variant.objects.filter(merchant=merchant).exclude(sku_key="").order_by("pk")
    for variant_id, key in ours.values_list("pk", "sku_key"):
        owners[key].add(_survivor(variant_id, into))
    return Known(
        owners={key: frozenset(ids) for key, ids in owners.items()},
        listings=_listings(merchant),
        titles=titles,
        rules=rules_of(merchant),
    )


def _survivor(variant_id: int, into: Mapping[int, int]) -> int:
    seen = {variant_id}
    while variant_id in into and into[variant_id] not in seen:
        variant_id = into[variant_id]
        seen.add(variant_id)
    return variant_id


def _listings(merchant: Merchant) -> dict[str, list[Listed]]:
    rows = (
        Listing.objects.filter(merchant=merchant, deleted_at=None)
        .exclude(sku_key="")
        .exclude(link=Listing.Link.EXCLUDED)
        .order_by("pk")
        .values_list("sku_key", "connection__label", "variant_id", "product_title", "title", "sku")
    )
    found: dict[str, list[Listed]] = defaultdict(list)
    for key, channel, variant_id, product_title, title, sku in rows:
        name = " · ".join(part for part in (product_title, title) if part) or sku
        found[identifiers.sku_key(key)].append(Listed(channel=channel, variant_id=variant_id, title=name))
    return found


def rules_of(merchant: Merchant) -> list[ChannelRule]:
    """What the shop's connected channels take."""
    connected = Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED)
    found = []
    for channel in sorted(set(connected.values_list("channel", flat=True))):
        if channel in RULES:
            found.append(RULES[channel])
        elif channel in registry.CHANNELS:
            length = registry.capabilities(channel).sku_length_max
            found.append(ChannelRule(registry.CHANNELS[channel].label, length, "", "the connector's capabilities"))
    return found
