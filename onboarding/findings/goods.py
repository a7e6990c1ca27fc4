"""Findings about what things are: the same thing twice, variants listed as products, options written many ways."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from inventory.models import Variant
from onboarding.findings.catalog import Catalog, canonical_name, is_flat, record
from onboarding.findings.found import Found, Kind
from onboarding.matching import duplicates, grouping, standardise
from onboarding.matching.grouping import Group
from onboarding.matching.vocabulary import LETTER_SIZES

SHOWN_MAX = 40  # members of one finding a person can look through


def twice(catalog: Catalog) -> Iterable[Found]:
    """Variants that are one thing, in clusters: the one with most behind it survives."""
    records = [record(variant) for variant in catalog.variants.values()]
    joined: dict[int, int] = {}

    def home(one: int) -> int:
        while joined.setdefault(one, one) != one:
            one = joined[one]
        return one

    pairs = [(int(pair.id_a), int(pair.id_b), pair) for pair in duplicates.find(records)]
    for left, right, _ in pairs:
        joined[home(left)] = home(right)
    clusters: dict[int, set[int]] = defaultdict(set)
    for left, right, _ in pairs:
        clusters[home(left)] |= {left, right}
    for ids in clusters.values():
        members = sorted((catalog.variants[pk] for pk in ids), key=lambda one: _standing(catalog, one), reverse=True)
        inside = [pair for left, _, pair in pairs if left in ids]
        survivor = members[0]
        yield Found(
            kind=Kind.DUPLICATE,
            key=f"variants:{'-'.join(map(str, sorted(ids)))}"[:200],
            title=f"{survivor.full_title} is there {len(members)} times",
            members=[catalog.variant_member(one) for one in members[:SHOWN_MAX]],
            proposal={
                "op": "merge",
                "survivor_id": survivor.pk,
                "variant_ids": [one.pk for one in members[:SHOWN_MAX]],
            },
            confidence=min(pair.score for pair in inside),
            evidence=[(words, 2.0) for words in dict.fromkeys(word for pair in inside for word in pair.evidence)],
            variant_ids=sorted(ids),
        )


def _standing(catalog: Catalog, variant: Variant) -> tuple[int, bool, float, int]:
    """What speaks for keeping this one: listings, a SKU, stock, age."""
    return (
        len(catalog.listings_of.get(variant.pk, ())),
        bool(variant.sku_key),
        float(catalog.units_of(variant.pk)),
        -variant.pk,
    )


def families(catalog: Catalog) -> Iterable[Found]:
    """Products that are really variants of one: size, colour or scent in the title."""
    flat = [one for one in catalog.variants.values() if is_flat(catalog, one.product)]
    for group in grouping.group([record(one) for one in flat]):
        values = {member.options for member in group.members}
        if len(group.members) < 2 or not group.option_names or len(values) < 2:
            continue
        members = [catalog.variants[int(member.record_id)] for member in group.members]
        yield Found(
            kind=Kind.FAMILY,
            key=f"products:{min(one.product_id for one in members)}",
            title=f"{len(members)} products are one: {group.title}",
            members=[catalog.variant_member(one) for one in members[:SHOWN_MAX]],
            proposal=_family(catalog, group),
            confidence=group.confidence,
            evidence=[(words, 2.0) for words in group.evidence],
            variant_ids=[one.pk for one in members],
        )


def _family(catalog: Catalog, group: Group) -> dict[str, object]:
    members = {int(member.record_id): member for member in group.members[:SHOWN_MAX]}
    into = min(members, key=lambda pk: (catalog.variants[pk].product.created_at, pk))
    return {
        "op": "family",
        "product_id": catalog.variants[into].product_id,
        "title": group.title,
        "rows": [
            {"variant_id": pk, "options": {_name(catalog, name): _value(value) for name, value in member.options}}
            for pk, member in sorted(members.items())
        ],
        "editable": [{"name": "title", "label": "Product", "value": group.title}],
    }


def _name(catalog: Catalog, name: str) -> str:
    return catalog.option_names.get(name, name.capitalize())


def _value(value: str) -> str:
    return value if value in LETTER_SIZES or not value[:1].isalpha() else value[:1].upper() + value[1:]


def spellings(catalog: Catalog) -> Iterable[Found]:
    """Option names and values that are written several ways and mean the same."""
    uses: Counter[tuple[str, str]] = Counter()
    users: dict[tuple[str, str], list[int]] = defaultdict(list)
    for variant in catalog.variants.values():
        for name, value in variant.options.items():
            uses[name, str(value)] += 1
            users[canonical_name(name), str(value)].append(variant.pk)
    yield from _names(catalog, uses)
    for cluster in standardise.values((name, value, count) for (name, value), count in uses.items()):
        members = [value for value, _ in cluster.members]
        to = cluster.canonical
        if set(members) == {to}:
            continue
        yield Found(
            kind=Kind.OPTION,
            key=f"value:{cluster.option}:{to.casefold()}"[:200],
            title=f"{cluster.option.capitalize()}: {_listed(members)} → {to}",
            members=[
                {"type": "value", "id": None, "label": value, "units": str(count)} for value, count in cluster.members
            ],
            proposal={
                "op": "write_value",
                "option": cluster.option,
                "values": members,
                "to": to,
                "editable": [{"name": "to", "label": "Write it", "value": to}],
            },
            confidence=cluster.confidence,
            evidence=[(words, 2.0) for words in cluster.evidence],
            variant_ids=sorted({pk for value in members for pk in users[cluster.option, value]}),
        )


def _names(catalog: Catalog, uses: Mapping[tuple[str, str], int]) -> Iterable[Found]:
    counts: Counter[str] = Counter()
    for (name, _), count in uses.items():
        counts[name] += count
    for cluster in standardise.names(counts.items()):
        members = [name for name, _ in cluster.members]
        yield Found(
            kind=Kind.OPTION,
            key=f"name:{canonical_name(cluster.canonical)}"[:200],
            title=f"Options {_listed(members)} are one: {cluster.canonical}",
            members=[
                {"type": "value", "id": None, "label": name, "units": str(count)} for name, count in cluster.members
            ],
            proposal={
                "op": "write_name",
                "values": members,
                "to": cluster.canonical,
                "editable": [{"name": "to", "label": "Write it", "value": cluster.canonical}],
            },
            confidence=cluster.confidence,
            evidence=[(words, 2.0) for words in cluster.evidence],
            variant_ids=[one.pk for one in catalog.variants.values() if set(members) & set(one.options)],
        )


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(f"“{value}”" for value in values[:4])
    return shown + (f" and {len(values) - 4} more" if len(values) > 4 else "")
