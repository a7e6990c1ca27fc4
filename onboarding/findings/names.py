"""Findings about SKUs and barcodes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from channels.models import Listing
from inventory import identifiers
from inventory.models import Variant
from onboarding.findings.catalog import Catalog
from onboarding.findings.found import SHOWN_MAX, Found, Json, Kind
from onboarding.matching import gtin
from storestudio.accounts.models import Merchant

PATTERN_SHARE_MIN = 0.7  # of a shop's SKUs; fewer is no pattern
PATTERN_USES_MIN = 10
HABIT_SHARE_MIN = 0.01  # a separator in more of the SKUs than this is how the shop writes some of them
IN_STORE_CLUSTER_MIN = 5  # so many numbers for use inside one store are a habit: one question, not many
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E\+\d{1,3}", re.IGNORECASE)
# As spreadsheets write them: "3-Dec", "Mar-20". A shop's own MAR-20 is in capitals.
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = re.compile(
    rf"\d{{1,2}}[-/]{_MONTH}(?:[-/]\d{{2,4}})?|{_MONTH}[-/]\d{{2,4}}"
    r"|\d{4}-\d{2}-\d{2}[ T]00:00(?::00)?|\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}"
)
_ERROR = re.compile(r"#(?:REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)")


@dataclass(frozen=True)
class OwnPattern:
    """The pattern that a shop has chosen for its SKUs: who follows it, and the SKU it makes of those who do not."""

    text: str
    followers: frozenset[int]
    designed: Mapping[int, str]


# The designer of SKUs knows patterns and puts its reader here (onboarding/apps.py); findings know no designer.
_readers: list[Callable[[Merchant], OwnPattern | None]] = []


def read_patterns_with(reader: Callable[[Merchant], OwnPattern | None]) -> None:
    """Let this tell which pattern a shop has chosen."""
    _readers[:] = [reader]


def own_pattern(merchant: Merchant) -> OwnPattern | None:
    """The shop's chosen pattern; None where there is none."""
    return _readers[0](merchant) if _readers else None


def missing(catalog: Catalog) -> Iterable[Found]:
    """Variants without a SKU: its listing's, one of the shop's pattern, or one made of the title."""
    taken = {variant.sku_key for variant in catalog.variants.values()}
    own = own_pattern(catalog.merchant) if "" in taken else None
    designed = own.designed if own else {}
    for variant in catalog.variants.values():
        if variant.sku_key:
            continue
        proposed = _free(designed.get(variant.pk) or _sku_from_title(variant), taken)
        taken.add(identifiers.sku_key(proposed))
        listed = {one.sku_key: one.sku for one in catalog.listings_of.get(variant.pk, ()) if one.sku_key not in taken}
        listed.pop("", None)
        sku = next(iter(listed.values())) if len(listed) == 1 else proposed
        yield Found(
            kind=Kind.SKU_MISSING,
            key=f"variant:{variant.pk}",
            title=f"{variant.full_title} has no SKU",
            members=[catalog.variant_member(variant)],
            proposal=set_sku(variant, sku),
            confidence=0.9 if len(listed) == 1 else 0.6,
            evidence=[
                ("its listing has this SKU", 4.0) if sku != proposed else ("made from its title and options", 1.0)
            ],
            variant_ids=[variant.pk],
        )


def repeated(catalog: Catalog) -> Iterable[Found]:
    """One SKU on several variants that are not one thing: orders by SKU cannot tell them apart."""
    by_key: dict[str, list[Variant]] = defaultdict(list)
    for variant in catalog.variants.values():
        if variant.sku_key:
            by_key[variant.sku_key].append(variant)
    taken = set(by_key)
    for key, members in sorted(by_key.items()):
        if len(members) < 2 or _same_name(members):
            continue  # the same thing twice is a finding of its own
        first, *others = sorted(members, key=lambda one: (-len(catalog.listings_of.get(one.pk, ())), one.pk))
        for other in others:
            sku = _free(f"{other.sku}-2", taken)
            taken.add(identifiers.sku_key(sku))
            yield Found(
                kind=Kind.SKU_REPEATED,
                key=f"variant:{other.pk}",
                title=f"{key} is both {first.full_title} and {other.full_title}",
                members=[catalog.variant_member(other), catalog.variant_member(first)],
                proposal=set_sku(other, sku),
                confidence=0.7,
                evidence=[("SKU equal", 6.0), ("titles differ", -3.0)],
                variant_ids=[first.pk, other.pk],
            )


def collides(catalog: Catalog) -> Iterable[Found]:
    """A listing whose SKU is the SKU of another variant than the one it is linked to."""
    owners: dict[str, list[Variant]] = defaultdict(list)
    for variant in catalog.variants.values():
        if variant.sku_key:
            owners[variant.sku_key].append(variant)
    for listing in catalog.listings.values():
        mine = catalog.variants.get(listing.variant_id or 0)
        others = owners.get(listing.sku_key, []) if listing.sku_key else []
        if mine is None or not others or mine in others or not mine.sku_key:
            continue
        other = others[0]
        yield Found(
            kind=Kind.SKU_COLLIDES,
            key=f"listing:{listing.pk}",
            title=f"{listing.sku} at {listing.connection.label} is {mine.full_title}, "
            f"and {other.full_title} in your catalog",
            members=[catalog.listing_member(listing), catalog.variant_member(mine), catalog.variant_member(other)],
            proposal={
                "op": "wish",
                "listing_ids": [listing.pk],
                "field": "sku",
                "value": mine.sku,
                "editable": [{"name": "value", "label": f"SKU at {listing.connection.label}", "value": mine.sku}],
            },
            confidence=0.75,
            evidence=[("SKU equal to another variant's", 6.0), ("linked to this variant by hand or barcode", -4.0)],
            variant_ids=[mine.pk, other.pk],
        )


def damaged(catalog: Catalog) -> Iterable[Found]:
    """SKUs that a spreadsheet changed: 1.2E+11, 3-Dec, #REF!, a zero lost in front."""
    widths = Counter(len(one.sku) for one in catalog.variants.values() if one.sku.isdigit())
    padded = Counter(len(one.sku) for one in catalog.variants.values() if one.sku.isdigit() and one.sku[0] == "0")
    width = padded.most_common(1)[0][0] if padded and padded.total() >= PATTERN_USES_MIN else 0
    known = width if widths[width] >= PATTERN_USES_MIN else 0
    taken = {variant.sku_key for variant in catalog.variants.values()}
    for variant in catalog.variants.values():
        why, sku = _damage(variant.sku, width=known)
        if not why:
            continue
        whole = [
            one.sku
            for one in catalog.listings_of.get(variant.pk, ())
            if one.sku_key and one.sku_key not in taken and not _damage(one.sku, width=known)[0]
        ]
        if sku and identifiers.sku_key(sku) in taken:
            sku = ""
        proposed = next(iter(whole), sku) or _free(_sku_from_title(variant), taken)
        taken.add(identifiers.sku_key(proposed))
        yield Found(
            kind=Kind.SKU_DAMAGED,
            key=f"variant:{variant.pk}",
            title=f"{variant.sku}: {why}",
            members=[catalog.variant_member(variant)],
            proposal=set_sku(variant, proposed),
            confidence=0.9 if whole else 0.75 if sku else 0.5,
            evidence=[(why, 5.0), *([("its listing has the whole SKU", 4.0)] if whole else [])],
            variant_ids=[variant.pk],
        )


def off_pattern(catalog: Catalog) -> Iterable[Found]:
    """SKUs off the pattern that the shop has chosen and mostly follows; else off the way that most are written in."""
    return _off_own_pattern(catalog) or _off_habit(catalog)


def _off_own_pattern(catalog: Catalog) -> Sequence[Found]:
    """None where no pattern was chosen, or few SKUs follow it: then they are renamed together."""
    own = own_pattern(catalog.merchant)
    if own is None:
        return []
    named = [variant for variant in catalog.variants.values() if variant.sku_key]
    off = [variant for variant in named if variant.pk not in own.followers]
    if len(named) < PATTERN_USES_MIN or len(off) > (1 - PATTERN_SHARE_MIN) * len(named):
        return []
    return [
        Found(
            kind=Kind.SKU_PATTERN,
            key=f"variant:{variant.pk}",
            title=f"{variant.sku} is off your pattern {own.text}",
            members=[catalog.variant_member(variant)],
            proposal=set_sku(variant, own.designed[variant.pk]),
            confidence=0.85,
            evidence=[(f"{len(named) - len(off)} of {len(named)} SKUs follow {own.text}", 3.0)],
            variant_ids=[variant.pk],
        )
        for variant in off
        if variant.pk in own.designed and not _damage(variant.sku, width=0)[0]
    ]


def _off_habit(catalog: Catalog) -> Iterable[Found]:
    """SKUs written otherwise than most of the shop's: lower case, blanks, a separator that nothing else has."""
    living = [variant for variant in catalog.variants.values() if variant.sku_key]
    separators = Counter(mark for variant in living for mark in set(re.sub(r"[A-Za-z\d]", "", variant.sku)))
    usual = separators.most_common(1)[0][0] if separators else "-"
    upper = sum(variant.sku == variant.sku.upper() for variant in living)
    if usual.isspace() or len(living) < PATTERN_USES_MIN or upper < PATTERN_SHARE_MIN * len(living):
        return
    least = max(2.0, HABIT_SHARE_MIN * len(living))
    habits = "".join(mark for mark, uses in separators.items() if uses > least and not mark.isspace()) + usual
    taken = {variant.sku_key for variant in living}
    for variant in living:
        tidy = re.sub(rf"[^A-Z\d{re.escape(habits)}]+", usual, variant.sku.strip().upper()).strip(usual)
        key = identifiers.sku_key(tidy)
        if tidy == variant.sku or not key or _damage(variant.sku, width=0)[0]:
            continue
        if key != variant.sku_key and key in taken:
            continue
        taken.add(key)
        yield Found(
            kind=Kind.SKU_PATTERN,
            key=f"variant:{variant.pk}",
            title=f"{variant.sku} is written otherwise than your SKUs",
            members=[catalog.variant_member(variant)],
            proposal=set_sku(variant, tidy),
            confidence=0.95,
            evidence=[(f"{upper} of {len(living)} SKUs are in capitals, parted by {usual}", 3.0)],
            variant_ids=[variant.pk],
        )


def listed_with_one_sku(catalog: Catalog) -> Iterable[Found]:
    """Two listings of one channel with one SKU: orders by SKU, and linking by SKU, cannot tell them apart."""
    by_key: dict[tuple[int, str], list[Listing]] = defaultdict(list)
    for listing in catalog.listings.values():
        if listing.sku_key and listing.link != Listing.Link.EXCLUDED:
            by_key[listing.connection_id, listing.sku_key].append(listing)
    taken = {sku_key for _, sku_key in by_key} | {variant.sku_key for variant in catalog.variants.values()}
    for listings in by_key.values():
        first, *others = sorted(listings, key=lambda one: (one.variant_id is None, one.pk))
        for other in others:
            mine = catalog.variants.get(other.variant_id or 0)
            owned = mine.sku if mine is not None and mine.sku_key not in ("", other.sku_key) else ""
            sku = owned or _free(f"{other.sku.strip()}-{_short(other)}", taken)
            taken.add(identifiers.sku_key(sku))
            label = other.connection.label
            yield Found(
                kind=Kind.SKU_REPEATED,
                key=f"listing:{other.pk}",
                title=f"{other.sku} is two listings at {label}",
                members=[catalog.listing_member(other), catalog.listing_member(first)],
                proposal={
                    "op": "wish",
                    "listing_ids": [other.pk],
                    "field": "sku",
                    "value": sku,
                    "editable": [{"name": "value", "label": f"SKU at {label}", "value": sku}],
                },
                confidence=0.7,
                evidence=[("SKU equal", 6.0), (f"both are at {label}", 3.0)],
                variant_ids=[pk for pk in (other.variant_id, first.variant_id) if pk is not None],
            )


def _short(listing: Listing) -> str:
    """The last option value, or word, as part of a SKU."""
    words = re.findall(r"[A-Za-z\d]+", f"{listing.product_title} {listing.title}".upper())
    return words[-1][:6] if words else "2"


def barcodes(catalog: Catalog) -> Iterable[Found]:
    """Barcodes that cannot be: wrong length or check digit, numbers for inside one store, a SKU in the field."""
    in_store: list[Variant] = []
    for variant in catalog.variants.values():
        verdict = gtin.check(variant.gtin) if variant.gtin else None
        if verdict is None or (verdict.valid and not verdict.suggestion):
            continue
        if verdict.problem == "in_store":
            in_store.append(variant)
            continue
        yield _barcode(catalog, variant, verdict)
    if len(in_store) >= IN_STORE_CLUSTER_MIN:
        yield _in_store(catalog, in_store)
    else:
        yield from (_barcode(catalog, variant, gtin.check(variant.gtin)) for variant in in_store)


def _barcode(catalog: Catalog, variant: Variant, verdict: gtin.GtinVerdict) -> Found:
    return Found(
        kind=Kind.GTIN,
        key=f"variant:{variant.pk}",
        title=f"{variant.gtin}: {verdict.words}",
        members=[catalog.variant_member(variant)],
        proposal=_set_gtin(variant, verdict.suggestion),
        confidence=0.9 if verdict.suggestion else 0.6,
        evidence=[(verdict.words, 5.0)],
        variant_ids=[variant.pk],
    )


def _set_gtin(variant: Variant, code: str) -> Json:
    return {
        "op": "set_gtin",
        "variant_id": variant.pk,
        "gtin": code,
        "editable": [{"name": "gtin", "label": "Barcode (empty: none)", "value": code}],
    }


def _in_store(catalog: Catalog, variants: Sequence[Variant]) -> Found:
    """A shop that prints labels of its own: the numbers scan in the shop, but no channel takes them for GTINs."""
    ids = [one.pk for one in variants]
    return Found(
        kind=Kind.GTIN,
        key="in store",
        title=f"{len(variants)} barcodes are numbers for use inside one store",
        members=[catalog.variant_member(one) for one in variants[:SHOWN_MAX]],
        proposal={"op": "clear_gtins", "variant_ids": ids},
        confidence=0.6,
        evidence=[(gtin.PROBLEMS["in_store"], 5.0), ("scanned, they still find their variants", 1.0)],
        variant_ids=ids,
    )


def shared_barcodes(catalog: Catalog) -> Iterable[Found]:
    """One barcode on two things: a scan cannot tell them apart, and linking by barcode joins what is not one."""
    by_code: dict[str, list[Variant]] = defaultdict(list)
    for variant in catalog.variants.values():
        code = identifiers.gtin(variant.gtin)
        if code and gtin.check(variant.gtin).valid:
            by_code[code].append(variant)
    for members in by_code.values():
        if len(members) < 2 or _same_name(members):
            continue  # the same thing twice is a finding of its own
        first, *others = sorted(members, key=lambda one: (-len(catalog.listings_of.get(one.pk, ())), one.pk))
        for other in others:
            yield Found(
                kind=Kind.GTIN,
                key=f"variant:{other.pk}:repeated",
                title=f"{other.gtin} is the barcode of {first.full_title} and {other.full_title}",
                members=[catalog.variant_member(other), catalog.variant_member(first)],
                proposal=_set_gtin(other, ""),
                confidence=0.6,
                evidence=[("barcode equal", 6.0), ("titles differ", -3.0)],
                variant_ids=[other.pk, first.pk],
            )


def set_sku(variant: Variant, sku: str) -> Json:
    """The proposal to give a variant another SKU; the old one stays as an alias."""
    return {
        "op": "set_sku",
        "variant_id": variant.pk,
        "sku": sku,
        "editable": [{"name": "sku", "label": "SKU", "value": sku}],
    }


def _same_name(members: Sequence[Variant]) -> bool:
    return len({one.full_title.casefold() for one in members}) == 1


def _sku_from_title(variant: Variant) -> str:
    words = re.findall(r"[A-Za-z\d]+", variant.product.title.upper())
    values = re.findall(r"[A-Za-z\d]+", " ".join(map(str, variant.options.values())).upper())
    return "-".join([*(word[:4] for word in words[:3]), *(value[:4] for value in values)]) or f"ITEM-{variant.pk}"


def _free(sku: str, taken: set[str]) -> str:
    base, n = sku, 2
    while identifiers.sku_key(sku) in taken:
        sku, n = f"{base}-{n}", n + 1
    return sku


def _damage(sku: str, *, width: int) -> tuple[str, str]:
    """What happened to it, in words, and what it was where that can be known."""
    text = sku.strip()
    if _SCIENTIFIC.fullmatch(text):
        return "a spreadsheet wrote it in scientific notation; digits are lost", ""
    if _DATE.fullmatch(text):
        return "a spreadsheet took it for a date", ""
    if _ERROR.fullmatch(text):
        return "a spreadsheet's error in place of a SKU", ""
    if width and text.isdigit() and 2 < len(text) < width:
        return "zeros in front are lost", text.zfill(width)
    return "", ""
