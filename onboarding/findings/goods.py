"""Findings about what things are: the same thing twice, variants listed as products, options written many ways."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from channels.models import Listing
from inventory.models import Variant
from onboarding.findings.catalog import Catalog, canonical_name, is_flat, listing_record, record
from onboarding.findings.found import SHOWN_MAX, Found, Json, Kind
from onboarding.matching import duplicates, standardise
from onboarding.matching.grouping import Group, Member
from onboarding.matching.options import canonical
from onboarding.matching.vocabulary import LETTER_SIZES


def twice(catalog: Catalog) -> Iterable[Found]:
    """Variants that are one thing, in clusters: the one with most behind it survives."""
    records = [record(variant) for variant in catalog.variants.values()]
    joined: dict[int, int] = {}

    def home(one: int) -> int:
        while joined.setdefault(one, one) != one:
            one = joined[one]
        return one

    apart = catalog.apart.get(Kind.DUPLICATE, frozenset())
    pairs = [
        (left, right, pair)
        for pair in duplicates.find(records, groups=catalog.groups)
        for left, right in [sorted((int(pair.id_a), int(pair.id_b)))]
        if (left, right) not in apart and not _say_otherwise(catalog.variants[left], catalog.variants[right])
    ]
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
            evidence=min(inside, key=lambda pair: pair.score).evidence,
            variant_ids=sorted(ids),
        )


def _say_otherwise(left: Variant, right: Variant) -> bool:
    """Whether an option that both have says something else of each: then alike titles mean little."""
    mine = {canonical_name(name): str(value).casefold().split() for name, value in left.options.items()}
    theirs = {canonical_name(name): str(value).casefold().split() for name, value in right.options.items()}
    return any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys())


def _standing(catalog: Catalog, variant: Variant) -> tuple[int, bool, float, int]:
    """What speaks for keeping this one: listings, a SKU, stock, age."""
    return (
        len(catalog.listings_of.get(variant.pk, ())),
        bool(variant.sku_key),
        float(catalog.units_of(variant.pk)),
        -variant.pk,
    )


def listed_twice(catalog: Catalog) -> Iterable[Found]:
    """One channel lists the same thing twice: it shows two numbers for one shelf."""
    by_channel: dict[int, dict[int, Listing]] = defaultdict(dict)
    for listing in catalog.listings.values():
        if listing.link != Listing.Link.EXCLUDED:
            by_channel[listing.connection_id][listing.pk] = listing
    for listings in by_channel.values():
        if all(one.variant_id is not None for one in listings.values()):
            continue  # each has a variant of its own
        for pair in duplicates.find([listing_record(one) for one in listings.values()]):
            both = [listings[int(pair.id_a)], listings[int(pair.id_b)]]
            kept, other = sorted(both, key=lambda one: (one.variant_id is None, not one.sku_key, one.pk))
            if kept.variant_id is not None and other.variant_id is not None:
                continue  # their two variants are the question
            yield Found(
                kind=Kind.DUPLICATE,
                key=f"listings:{min(one.pk for one in both)}-{max(one.pk for one in both)}",
                title=f"{kept.connection.label} lists {kept.product_title or kept.sku} twice",
                members=[catalog.listing_member(kept), catalog.listing_member(other)],
                proposal={"op": "exclude", "kept_id": kept.pk, "listing_ids": [other.pk]},
                confidence=pair.score,
                evidence=pair.evidence,
                variant_ids=[kept.variant_id] if kept.variant_id is not None else [],
            )


def families(catalog: Catalog) -> Iterable[Found]:
    """Products that are really variants of one: size, colour or scent in the title."""
    apart = catalog.apart.get(Kind.FAMILY, frozenset())
    for group in catalog.groups:
        members = [one for one in group.members if is_flat(catalog, catalog.variants[int(one.record_id)].product)]
        found = [catalog.variants[int(one.record_id)] for one in members]
        home = _home(catalog, group)
        cells = {one.options for one in members}
        if not group.option_names or not members or len(members) + (home is not None) < 2:
            continue
        if (len(cells) < 2 and home is None) or _were_kept_apart(found, home, apart):
            continue
        into = home or min(found, key=lambda one: (one.product.created_at, one.pk))
        proposal = _family(catalog, group, members[:SHOWN_MAX], into)
        if len(proposal["rows"]) + (home is not None) < 2:
            continue
        yield Found(
            kind=Kind.FAMILY,
            key=f"products:{into.product_id}",
            title=f"{len(found)} products are variants of {into.product.title}"
            if home
            else f"{len(found)} products are one: {group.title}",
            members=[catalog.variant_member(one) for one in found[:SHOWN_MAX]]
            + ([catalog.variant_member(home)] if home else []),
            proposal=proposal,
            confidence=group.confidence,
            evidence=[(words, 2.0) for words in group.evidence],
            variant_ids=[one.pk for one in found],
        )


def _home(catalog: Catalog, group: Group) -> Variant | None:
    """A variant of the product with options that the group's flat products belong to, where there is just one such."""
    with_options = [catalog.variants[int(one.record_id)] for one in group.members]
    with_options = [one for one in with_options if one.options]
    names = {frozenset(one.options) for one in with_options}
    return with_options[0] if len({one.product_id for one in with_options}) == 1 == len(names) else None


def _were_kept_apart(found: Sequence[Variant], home: Variant | None, apart: frozenset[tuple[int, int]]) -> bool:
    """Whether a person said no to most of this before; a family that is mostly new is a new question."""
    ids = sorted(one.pk for one in (*found, *([home] if home else [])))
    said_no = {pk for pair in itertools.combinations(ids, 2) if pair in apart for pk in pair}
    return len(said_no) * 2 >= len(ids)


def _family(catalog: Catalog, group: Group, members: Sequence[Member], into: Variant) -> Json:
    """Options named and ordered as the product that is there has them, else as the shop writes them."""
    own = _in_order(into)
    canonical_names = [canonical_name(name) for name in own] or list(group.option_names)
    names = own or [_name(catalog, name) for name in canonical_names]
    rows: list[Json] = []
    for one in sorted(members, key=lambda member: int(member.record_id)):
        said = {canonical_name(name): _value(value) for name, value in one.options}
        if said.keys() >= set(canonical_names):
            options = {name: said[plain] for name, plain in zip(names, canonical_names, strict=True)}
            rows.append({"variant_id": int(one.record_id), "options": options})
    title = into.product.title if into.options else group.title
    return {
        "op": "family",
        "product_id": into.product_id,
        "title": title,
        "names": names,
        "rows": rows,
        "editable": [
            {"name": "title", "label": "Product", "value": title},
            *(
                {
                    "name": f"row:{row['variant_id']}",
                    "label": _row_label(catalog.variants[row["variant_id"]], names),
                    "value": " / ".join(row["options"].values()),
                }
                for row in rows
            ),
        ],
    }


def _in_order(variant: Variant) -> list[str]:
    """Its options' names in the order of its title; the database keeps none."""
    parts = variant.title.split(" / ")
    return sorted(
        variant.options, key=lambda name: parts.index(value) if (value := str(variant.options[name])) in parts else 0
    )


def _row_label(variant: Variant, names: Sequence[str]) -> str:
    return f"{variant.full_title}: {' / '.join(names)}"


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
        if set(members) == {to} or _are_told_apart(catalog, cluster.option, members):
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


def _are_told_apart(catalog: Catalog, option: str, values: Sequence[str]) -> bool:
    """Values that the shop uses side by side in one product, or that say more than one thing, are not slips."""
    if len({value.count(" / ") for value in values}) > 1:
        return True
    plain = {value: " ".join(value.casefold().split()) for value in values}
    for variants in catalog.by_product.values():
        beside = {
            plain[str(value)]
            for variant in variants
            for name, value in variant.options.items()
            if str(value) in plain and canonical_name(name) == option
        }
        if len(beside) > 1 and not _is_known_spelling(option, beside):
            return True
    return False


def _is_known_spelling(option: str, values: Collection[str]) -> bool:
    """Whether the words themselves say that they are one: "XL" and "X-Large"; "sand" and "sandy" do not."""
    return len({canonical(option, value)[1] for value in values}) == 1


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
