"""Making suggestions: the waiting listings of a connection compared with the variants it does not list yet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, Sum
from django.utils.timezone import now as utc_now

from channels.models import Connection, Listing
from inventory.models import StockLevel, Variant, VariantAlias
from onboarding.mapping import assigning, looking
from onboarding.matching import pairs
from onboarding.matching.records import Record
from onboarding.models import ImportBatch, MappingRun, Suggestion

State, Verdict = Suggestion.State, Suggestion.Verdict
LEASE = timedelta(minutes=30)  # longer than comparing 100,000 listings with as many variants
OLD_NAME_SCORE, OLD_NAME_WEIGHT = 0.97, 6.0  # an old SKU or barcode of exactly one variant
VERDICTS = {"accept": Verdict.AUTO, "review": Verdict.REVIEW}
Progress = Callable[[str, int, int], None]


class Busy(Exception):
    """The connection's listings are being compared by another worker."""


def request_build(*, connection_id: int) -> None:
    """Ask for suggestions to be made anew; a worker takes it up."""
    connection = Connection.objects.get(pk=connection_id)
    MappingRun.objects.update_or_create(
        connection=connection, defaults={"merchant_id": connection.merchant_id, "asked_at": utc_now()}
    )


def due() -> list[int]:
    """Connections somebody waits for, with listings never compared or an import since, and nobody is at it."""
    now = utc_now()
    waiting = Listing.objects.filter(link=Listing.Link.UNLINKED, deleted_at=None).order_by()
    since = Q(applied_at__gt=OuterRef("built_at")) | Q(changeset__undone_at__gt=OuterRef("built_at"))
    imported = ImportBatch.objects.filter(since, merchant=OuterRef("merchant")).order_by()
    here = waiting.filter(connection=OuterRef("connection")).exclude(connection__state=Connection.State.CLOSED)
    is_wanted = Q(asked_at__isnull=False) | Q(Exists(imported), Exists(here))
    # A later read of the channel's catalog brought listings that nobody has compared.
    is_wanted |= Q(Exists(here.filter(pk__gt=OuterRef("seen_to"))))
    free = MappingRun.objects.filter(is_wanted, Q(lease_until=None) | Q(lease_until__lt=now))
    asked = list(free.order_by("asked_at", "pk").values_list("connection", flat=True))
    read = Connection.objects.filter(mapping_run=None, pk__in=waiting.values("connection"))
    never = read.exclude(state=Connection.State.CLOSED).order_by("pk").values_list("pk", flat=True)
    return [*asked, *never]


def build(*, connection_id: int, on_progress: Progress | None = None) -> dict[str, int]:
    """Compare the waiting listings of a connection with the variants it does not list yet; returns counts.

    Open suggestions are replaced; pairs a person rejected stay rejected. Raises Busy.
    """
    connection = Connection.objects.select_related("merchant").get(pk=connection_id)
    run, started_at = _take(connection), utc_now()

    def report(stage: str, done: int, total: int) -> None:
        MappingRun.objects.filter(pk=run.pk).update(stage=stage[:60], done=done, total=total)
        if on_progress is not None:
            on_progress(stage, done, total)

    newest = Listing.objects.filter(connection=connection).aggregate(top=Max("pk"))["top"] or 0
    try:
        listings = {
            row.pk: row for row in looking.living(connection.merchant).filter(connection=connection, link="unlinked")
        }
        listed = Listing.objects.filter(connection=connection, deleted_at=None, variant__isnull=False)
        free = Variant.objects.of(connection.merchant).filter(archived_at=None, product__archived_at=None)
        variants = {row.pk: row for row in free.exclude(pk__in=listed.values("variant")).select_related("product")}
        found = _candidates(listings, variants, run, report)
        counts = _store(connection, listings, found)
    finally:
        MappingRun.objects.filter(pk=run.pk).update(lease_until=None, stage="", done=0, total=0)
    MappingRun.objects.filter(pk=run.pk, asked_at__lte=run.asked_at or utc_now()).update(asked_at=None)
    # What changed meanwhile is not in it.
    MappingRun.objects.filter(pk=run.pk).update(built_at=started_at, seen_to=newest)
    return counts


def _take(connection: Connection) -> MappingRun:
    now = utc_now()
    run, _ = MappingRun.objects.get_or_create(connection=connection, defaults={"merchant_id": connection.merchant_id})
    free = MappingRun.objects.filter(pk=run.pk).filter(Q(lease_until=None) | Q(lease_until__lt=now))
    if not free.update(lease_until=now + LEASE):
        raise Busy(f"{connection.label} is being compared already.")
    run.refresh_from_db()
    return run


def _candidates(
    listings: Mapping[int, Listing], variants: Mapping[int, Variant], run: MappingRun, report: Progress
) -> list[Suggestion]:
    """Suggestions for each listing, not stored yet, the likeliest first."""
    if not listings or not variants:
        return []
    model = pairs.fit(
        [_listing_record(row) for row in listings.values()],
        [_variant_record(row) for row in variants.values()],
        on_progress=report,
    )
    bands = model.bands
    MappingRun.objects.filter(pk=run.pk).update(
        auto_from=bands.accept.probability, auto_error=bands.accept.expected_error,
        review_from=bands.review.probability, review_error=bands.review.expected_error,
    )  # fmt: skip
    worth = _worth(variants)
    old = _by_old_name(listings, variants)
    found: list[Suggestion] = []
    for listing_id, listing in listings.items():
        best = {
            int(pair.right_id): pair
            for pair in model.candidates(str(listing_id), looking.ALTERNATIVES)
            if pair.verdict != "ignore"
        }
        for variant_id, pair in best.items():
            found.append(
                _suggest(listing, variants[variant_id], pair.score, VERDICTS[pair.verdict], pair.evidence, worth)
            )
        before = old.get(listing_id)
        if before is not None and before not in best:
            why = (("an old name of it", OLD_NAME_WEIGHT),)
            found.append(_suggest(listing, variants[before], OLD_NAME_SCORE, Verdict.REVIEW, why, worth))
    return found


def _suggest(
    listing: Listing,
    variant: Variant,
    score: float,
    verdict: str,
    evidence: Iterable[tuple[str, float]],
    worth: Mapping[int, float],
) -> Suggestion:
    return Suggestion(
        merchant_id=listing.merchant_id,
        listing=listing,
        variant=variant,
        score=score,
        verdict=verdict,
        evidence=[list(part) for part in evidence],
        information=_information(score) * worth[variant.pk],
    )


def _information(score: float) -> float:
    """How much an answer teaches, in bits: most where it is even, next to nothing where it is certain."""
    doubt = min(max(score, 1e-6), 1 - 1e-6)
    return -(doubt * math.log2(doubt) + (1 - doubt) * math.log2(1 - doubt))


def _worth(variants: Mapping[int, Variant]) -> dict[int, float]:
    """What is at stake with each variant: grows with the logarithm of its stock's value."""
    levels = StockLevel.objects.filter(variant__in=list(variants)).order_by()
    units = dict(levels.values_list("variant").annotate(units=Sum("available")).values_list("variant", "units"))
    return {
        pk: 1 + math.log1p(float(max(units.get(pk) or Decimal(0), Decimal(0)) * (row.price or Decimal(1))))
        for pk, row in variants.items()
    }


def _by_old_name(listings: Mapping[int, Listing], variants: Mapping[int, Variant]) -> dict[int, int]:
    """Listings whose SKU or barcode exactly one variant had before."""
    owners: dict[tuple[str, str], set[int]] = defaultdict(set)
    for kind, key, variant_id in VariantAlias.objects.filter(variant__in=list(variants)).values_list(
        "kind", "key", "variant"
    ):
        owners[kind, key].add(variant_id)
    found: dict[int, int] = {}
    for listing in listings.values():
        for name in (("gtin", listing.gtin), ("sku", listing.sku_key)):
            if name[1] and len(owners.get(name, ())) == 1:
                (found[listing.pk],) = owners[name]
    return found


def _listing_record(listing: Listing) -> Record:
    return Record(
        id=str(listing.pk),
        title=listing.product_title or listing.title,
        brand=listing.vendor,
        price=None if listing.price is None else float(listing.price),
        sku=listing.sku,
        gtin=listing.gtin,
        options=_options(listing.options, listing.title if listing.product_title else ""),
    )


def _variant_record(variant: Variant) -> Record:
    return Record(
        id=str(variant.pk),
        title=variant.product.title,
        brand=variant.product.vendor,
        price=None if variant.price is None else float(variant.price),
        sku=variant.sku,
        gtin=variant.gtin,
        options=_options(variant.options, variant.title),
    )


def _options(options: Mapping[str, object], title: str) -> tuple[tuple[str, str], ...]:
    """Named options; a title without them stands as one unnamed option, as tills have it."""
    if options:
        return tuple((name, str(value)) for name, value in options.items())
    return (("", title),) if title else ()


@transaction.atomic
def _store(connection: Connection, listings: Mapping[int, Listing], found: Sequence[Suggestion]) -> dict[str, int]:
    """Replace the open suggestions of the connection; what was linked meanwhile is left out."""
    assigning.one_at_a_time(connection.merchant_id)
    waiting = set(
        Listing.objects.filter(pk__in=list(listings), link="unlinked").order_by("pk").select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )  # fmt: skip
    mine = Suggestion.objects.filter(listing__connection=connection)
    settled = set(mine.exclude(state__in=(State.OPEN, State.GONE)).values_list("listing", "variant"))
    mine.filter(state__in=(State.OPEN, State.GONE)).delete()
    kept = [one for one in found if one.listing_id in waiting and (one.listing_id, one.variant_id) not in settled]
    assigning.assign(kept, taken=set())
    Suggestion.objects.bulk_create(kept, batch_size=2000)
    best = [one for one in kept if one.is_best]
    return {
        "listings": len(waiting),
        "suggested": len(best),
        "certain": sum(one.verdict == Verdict.AUTO for one in best),
    }
