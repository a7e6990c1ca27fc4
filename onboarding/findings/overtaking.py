"""Open findings that a decision has answered in passing: looked at again row by row, without a new search."""

from __future__ import annotations

import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q

from channels.models import Listing
from inventory.models import Product, Variant, VariantMerge
from onboarding import journal
from onboarding.findings import catalog
from onboarding.findings.catalog import canonical_name
from onboarding.models import Change, Finding, ListingWish

Kind, State = Finding.Kind, Finding.State
LOOKED_UP_MAX = 60  # more rows than this: reading all open findings is quicker than asking for each


@dataclass(frozen=True)
class Touched:
    """Which rows changes were about."""

    variants: frozenset[int]
    listings: frozenset[int]
    spellings: bool  # whether options, or which variants are in use, changed

    def meets(self, finding: Finding) -> bool:
        """Whether it is about one of these rows."""
        if finding.kind == Kind.OPTION:
            return self.spellings
        return any(
            (one["type"] == "variant" and one["id"] in self.variants)
            or (one["type"] == "listing" and one["id"] in self.listings)
            for one in finding.members
        )


@dataclass(frozen=True)
class Now:
    """The rows that findings are about, as they are now."""

    merchant_id: int
    variants: Mapping[int, Variant]
    listings: Mapping[int, Listing]
    wishes: frozenset[tuple[int, str]]
    skus: Mapping[str, frozenset[int]]  # normalised SKU → living variants, of the SKUs asked about
    barcodes: Mapping[str, int]  # barcode → how many living variants

    @cached_property
    def spellings(self) -> frozenset[tuple[str, str, str]]:
        """(canonical option, name as written, value) of all living variants."""
        return frozenset((canonical_name(name), name, value) for name, value in catalog.spellings(self.merchant_id))

    def living(self, ids: Iterable[int]) -> list[Variant]:
        """Those in use."""
        return [row for pk in ids if (row := self.variants.get(pk)) and row.archived_at is None]


def touched_by(changes: Iterable[Change]) -> Touched:
    """The variants and listings behind these changes, merges and products included."""
    rows: dict[str, set[int]] = defaultdict(set)
    spellings = False
    for change in changes:
        rows[change.table].add(change.row_id)
        after = change.after or {}
        spellings |= change.table == journal.MERGE or bool({"options", "archived_at"} & set(after))
        if change.table == "alias":
            rows["variant"].add(after["variant_id"])
        if change.table == "wish":
            rows["wished"].add(change.row_id)
    variants, listings = set(rows["variant"]), set(rows[journal.LINK])
    for pair in VariantMerge.objects.filter(pk__in=rows[journal.MERGE]).values_list("survivor", "duplicate"):
        variants |= set(pair)
    if rows["product"]:
        variants |= set(Variant.objects.filter(product__in=rows["product"]).values_list("pk", flat=True))
    if rows["wished"]:
        listings |= set(ListingWish.objects.filter(pk__in=rows["wished"]).values_list("listing", flat=True))
    return Touched(frozenset(variants), frozenset(listings), spellings)


def overtake(decided: Finding, changes: Iterable[Change]) -> int:
    """Mark open findings as gone that these changes have answered; undoing the decision opens them again."""
    touched = touched_by(changes)
    candidates = _candidates(decided.merchant_id, touched)
    if not candidates:
        return 0
    now = _read(decided.merchant_id, candidates)
    gone = [finding.pk for finding in candidates if not STILL_SO[finding.kind](finding, now)]
    return Finding.objects.filter(pk__in=gone, state=State.OPEN).update(state=State.GONE, overtaken_by=decided)


def _candidates(merchant_id: int, touched: Touched) -> list[Finding]:
    rows = Finding.objects.filter(merchant=merchant_id, state=State.OPEN)
    rows = rows.only("pk", "kind", "key", "members", "proposal", "merchant_id", "state")
    if len(touched.variants) + len(touched.listings) > LOOKED_UP_MAX:
        return [finding for finding in rows if touched.meets(finding)]
    about = [Q(members__contains=[{"type": "variant", "id": pk}]) for pk in touched.variants]
    about += [Q(members__contains=[{"type": "listing", "id": pk}]) for pk in touched.listings]
    if touched.spellings:
        about.append(Q(kind=Kind.OPTION))
    return list(rows.filter(functools.reduce(operator.or_, about))) if about else []


def _read(merchant_id: int, findings: Iterable[Finding]) -> Now:
    ids: dict[str, set[int]] = defaultdict(set)
    for finding in findings:
        for one in finding.members:
            if one["id"] is not None:
                ids[one["type"]].add(one["id"])
    variants = Variant.objects.filter(merchant=merchant_id).select_related("product").in_bulk(list(ids["variant"]))
    listings = Listing.objects.filter(merchant=merchant_id).in_bulk(list(ids["listing"]))
    living = Variant.objects.filter(merchant=merchant_id, archived_at=None, product__archived_at=None)
    keys = {row.sku_key for row in (*variants.values(), *listings.values()) if row.sku_key}
    codes = {row.gtin for row in variants.values() if row.gtin}
    owners: dict[str, set[int]] = defaultdict(set)
    for key, pk in living.filter(sku_key__in=keys).values_list("sku_key", "pk"):
        owners[key].add(pk)
    return Now(
        merchant_id=merchant_id,
        variants=variants,
        listings=listings,
        wishes=frozenset(
            ListingWish.objects.filter(merchant=merchant_id, listing__in=listings).values_list("listing", "field")
        ),
        skus={key: frozenset(pks) for key, pks in owners.items()},
        barcodes=Counter(living.filter(gtin__in=codes).values_list("gtin", flat=True)),
    )


def _subject(finding: Finding, now: Now) -> Variant | None:
    """The one variant it would change, where it is in use."""
    rows = now.living([finding.proposal["variant_id"]])
    return rows[0] if rows and rows[0].product.archived_at is None else None


def _same(field: str) -> Callable[[Finding, Now], bool]:
    """Still so while the field of the variant is what it was when it was found."""

    def check(finding: Finding, now: Now) -> bool:
        row = _subject(finding, now)
        if row is None:
            return False
        value = getattr(row, field)
        return ("" if value is None else str(value)) == str(finding.members[0].get(field) or "")

    return check


def _is_repeated(finding: Finding, now: Now) -> bool:
    if finding.proposal["op"] == "wish":
        return _is_wanted(finding, now)
    row = _subject(finding, now)
    return row is not None and bool(row.sku_key) and len(now.skus.get(row.sku_key, ())) > 1


def _is_wrong_barcode(finding: Finding, now: Now) -> bool:
    if finding.proposal["op"] == "clear_gtins":
        return any(row.gtin for row in now.living(finding.proposal["variant_ids"]))
    if finding.key.endswith(":repeated"):
        row = _subject(finding, now)
        return row is not None and bool(row.gtin) and now.barcodes.get(row.gtin, 0) > 1
    return _same("gtin")(finding, now)


def _is_wanted(finding: Finding, now: Now) -> bool:
    """Listings that are there, not left alone on purpose, and without this wish already."""
    rows = [now.listings[pk] for pk in finding.proposal["listing_ids"] if pk in now.listings]
    return any(
        row.deleted_at is None
        and row.link != Listing.Link.EXCLUDED
        and (row.pk, finding.proposal["field"]) not in now.wishes
        for row in rows
    )


def _collides(finding: Finding, now: Now) -> bool:
    row = now.listings.get(finding.members[0]["id"])
    if row is None or not _is_wanted(finding, now):
        return False
    owners = now.skus.get(row.sku_key, frozenset())
    return row.variant_id is not None and bool(owners) and row.variant_id not in owners


def _are_two(finding: Finding, now: Now) -> bool:
    if finding.proposal["op"] == "exclude":
        ids = [finding.proposal["kept_id"], *finding.proposal["listing_ids"]]
        rows = [now.listings[pk] for pk in ids if pk in now.listings]
        return sum(row.deleted_at is None and row.link != Listing.Link.EXCLUDED for row in rows) > 1
    return len(now.living(finding.proposal["variant_ids"])) > 1


def _are_apart(finding: Finding, now: Now) -> bool:
    """At least one of them is not a variant of the product that they should all be variants of."""
    rows = now.living(row["variant_id"] for row in finding.proposal["rows"])
    products = {row.product_id for row in rows} | {finding.proposal["product_id"]}
    return len(products) > 1 and Product.objects.filter(pk=finding.proposal["product_id"], archived_at=None).exists()


def _is_spelt(finding: Finding, now: Now) -> bool:
    """Still written in more than one of these ways."""
    proposal = finding.proposal
    if proposal["op"] == "write_name":
        written = {name for _, name, _ in now.spellings} & set(proposal["values"])
    else:
        written = {value for option, _, value in now.spellings if option == proposal["option"]} & {
            *proposal["values"], proposal["to"],
        }  # fmt: skip
    return bool(written - {proposal["to"]})


def _is_archived(finding: Finding, now: Now) -> bool:
    row = now.variants.get(finding.proposal["variant_id"])
    return row is not None and (row.archived_at is not None or row.product.archived_at is not None)


STILL_SO: Mapping[str, Callable[[Finding, Now], Any]] = {
    Kind.DUPLICATE: _are_two,
    Kind.FAMILY: _are_apart,
    Kind.OPTION: _is_spelt,
    Kind.SKU_MISSING: _same("sku"),
    Kind.SKU_REPEATED: _is_repeated,
    Kind.SKU_COLLIDES: _collides,
    Kind.SKU_PATTERN: _same("sku"),
    Kind.SKU_DAMAGED: _same("sku"),
    Kind.GTIN: _is_wrong_barcode,
    Kind.UNTRACKED: _is_wanted,
    Kind.OVERSELLING: _is_wanted,
    Kind.PRICE: _same("price"),
    Kind.ARCHIVED: _is_archived,
}
