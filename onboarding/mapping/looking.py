"""What a mapping desk shows: the queue, its alternatives, how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet

from channels.models import Connection, Listing
from onboarding.models import Suggestion
from storestudio.accounts.models import Merchant

State, Verdict = Suggestion.State, Suggestion.Verdict
ALTERNATIVES = 5


@dataclass(frozen=True)
class MappingProgress:
    """How far a shop's mapping is, in listings that are there now."""

    linked: int
    excluded: int
    waiting: int
    suggested: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.linked + self.excluded + self.waiting


def progress(merchant: Merchant, connection_id: int | None = None) -> MappingProgress:
    """Counts of living listings of connections in use. One query."""
    listings = living(merchant)
    if connection_id:
        listings = listings.filter(connection=connection_id)
    is_suggested = Q(suggestions__state=State.OPEN, suggestions__is_best=True)
    counts = listings.aggregate(
        linked=Count("pk", filter=Q(link="linked"), distinct=True),
        excluded=Count("pk", filter=Q(link="excluded"), distinct=True),
        waiting=Count("pk", filter=Q(link="unlinked"), distinct=True),
        suggested=Count("pk", filter=Q(link="unlinked") & is_suggested, distinct=True),
    )
    return MappingProgress(**counts)


def living(merchant: Merchant) -> QuerySet[Listing]:
    rows: QuerySet[Listing] = Listing.objects.of(merchant).filter(deleted_at=None)
    return rows.exclude(connection__state=Connection.State.CLOSED)


def queue(merchant: Merchant, connection_id: int | None = None) -> QuerySet[Suggestion]:
    """The best open suggestion of each waiting listing: the one whose answer teaches most first, skipped ones last."""
    rows: QuerySet[Suggestion] = Suggestion.objects.of(merchant).filter(
        state=State.OPEN, is_best=True, listing__link=Listing.Link.UNLINKED, listing__deleted_at=None
    )
    if connection_id:
        rows = rows.filter(listing__connection=connection_id)
    return rows.order_by(F("skipped_at").asc(nulls_first=True), "-information", "pk")


def unmatched(merchant: Merchant, connection_id: int | None = None) -> QuerySet[Listing]:
    """Waiting listings that resemble nothing here: new variants, or to be left out."""
    rows = living(merchant).filter(link=Listing.Link.UNLINKED)
    if connection_id:
        rows = rows.filter(connection=connection_id)
    open_ones = Suggestion.objects.of(merchant).filter(state=State.OPEN, is_best=True)
    return rows.exclude(pk__in=open_ones.values("listing")).order_by("connection_id", "product_title", "pk")


def alternatives(suggestion: Suggestion) -> list[Suggestion]:
    """The listing's other open candidates, the likeliest first."""
    rows = Suggestion.objects.filter(listing=suggestion.listing_id, state=State.OPEN).exclude(pk=suggestion.pk)
    return list(rows.select_related("variant__product").order_by("-score", "pk")[: ALTERNATIVES - 1])


def named(listing: Listing) -> str:
    """A listing's whole title."""
    return " · ".join(part for part in (listing.product_title, listing.title) if part) or listing.sku or "a listing"
