"""What people decide about listings: each decision settles its rivals, and is one change set that can be undone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from contextlib import AbstractContextManager

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now as utc_now

from channels import linking
from channels.models import Connection, Listing
from inventory.models import Product, Variant
from onboarding import journal
from onboarding.findings.questions import AlreadyDecided, BadProposal
from onboarding.mapping import assigning, looking
from onboarding.models import ChangeSet, Suggestion
from storestudio.accounts.models import Merchant, User

State, Verdict = Suggestion.State, Suggestion.Verdict


def accept(*, suggestion_id: int, actor: User | None) -> Suggestion:
    """The listing is this variant. Raises AlreadyDecided, BadProposal."""
    with transaction.atomic():
        suggestion = _lock(suggestion_id)
        _link(suggestion.listing, suggestion.variant, actor, suggestion)
        return suggestion


def choose(*, listing_id: int, variant_id: int, actor: User | None) -> None:
    """The listing is another variant than any suggested. Raises AlreadyDecided, BadProposal."""
    with transaction.atomic():
        listing = _lock_listing(listing_id)
        variant = Variant.objects.select_related("product").get(pk=variant_id, merchant=listing.merchant_id)
        known = Suggestion.objects.filter(listing=listing, variant=variant).first()
        _link(listing, variant, actor, known)


def adopt(*, listing_id: int, actor: User | None) -> Variant:
    """The listing is something new: a variant made of it. Raises AlreadyDecided, BadProposal."""
    with transaction.atomic():
        listing = _lock_listing(listing_id)
        twins = Listing.objects.filter(
            connection=listing.connection_id, product_external_id=listing.product_external_id, variant__isnull=False
        ).exclude(product_external_id="")
        twin = twins.select_related("variant__product").first()
        with _recording(listing, f"New: {looking.named(listing)}", actor) as recorder:
            product = twin.variant.product if twin is not None and twin.variant is not None else None
            if product is None:
                product = Product(
                    merchant=listing.merchant, title=listing.product_title or listing.title or listing.sku,
                    vendor=listing.vendor, category=listing.category, image_url=listing.image_url,
                )  # fmt: skip
                recorder.make([product])
            variant = Variant(
                merchant=listing.merchant, product=product, title=listing.title, sku=listing.sku[:120],
                gtin=listing.gtin, options=listing.options, price=listing.price,
            )  # fmt: skip
            recorder.make([variant])
            _link_recorded(recorder, listing, variant, actor)
        _settle(listing, variant, recorder.changeset, None, actor)
        return variant


def reject(*, suggestion_id: int, actor: User | None) -> Suggestion:
    """They are two things: never suggest it again, show the listing's next best. Raises AlreadyDecided."""
    with transaction.atomic():
        suggestion = _lock(suggestion_id)
        title = f"Not the same: {looking.named(suggestion.listing)} and {suggestion.variant.full_title}"
        with _recording(suggestion.listing, title, actor) as recorder:
            _decide(suggestion, State.REJECTED, recorder.changeset, actor)
        assigning.reassign(connection_id=suggestion.listing.connection_id, listing_ids=[suggestion.listing_id])
        return suggestion


def skip(*, suggestion_id: int, actor: User | None) -> Suggestion:
    """Not now: to the end of the queue. Raises AlreadyDecided."""
    with transaction.atomic():
        suggestion = _lock(suggestion_id)
        suggestion.skipped_at = utc_now()
        suggestion.save(update_fields=["skipped_at"])
        return suggestion


def unskip(*, listing_id: int, actor: User | None) -> None:
    """Back to its place in the queue. Raises AlreadyDecided."""
    with transaction.atomic():
        listing = _lock_listing(listing_id)
        Suggestion.objects.filter(listing=listing, state=State.OPEN).update(skipped_at=None)


def exclude(*, listing_id: int, actor: User | None, reason: str) -> None:
    """Leave a listing alone on purpose (a gift card, a fee, an old duplicate). Raises AlreadyDecided, BadProposal."""
    if not reason.strip():
        raise BadProposal("reason", "Say why, for whoever wonders later.")
    with transaction.atomic():
        listing = _lock_listing(listing_id)
        with _recording(listing, f"Left out: {looking.named(listing)}", actor) as recorder:
            recorder.link(listing=listing, variant=None, actor=actor, reason=reason.strip())
        _settle(listing, None, recorder.changeset, None, actor)


def accept_auto(*, connection_id: int, actor: User | None) -> int:
    """Link all that is certain, as one change set that can be undone; returns how many listings."""
    with transaction.atomic():
        connection = Connection.objects.select_related("merchant").get(pk=connection_id)
        assigning.one_at_a_time(connection.merchant_id)
        certain = looking.queue(connection.merchant, connection_id).filter(verdict=Verdict.AUTO)
        rows = {row.listing_id: row for row in certain.select_for_update(of=("self",))}
        if not rows:
            return 0
        title = f"{len(rows)} certain listings of {connection.label} mapped"
        with journal.recording(
            merchant=connection.merchant, kind=ChangeSet.Kind.MAPPING, title=title, actor=actor
        ) as recorder:
            linked = recorder.link_many(
                connection=connection, pairs={pk: row.variant_id for pk, row in rows.items()}, actor=actor,
                reason="certain by its evidence",
            )  # fmt: skip
        now = utc_now()
        accepted = Suggestion.objects.filter(pk__in=[rows[pk].pk for pk in linked])
        accepted.update(
            state=State.ACCEPTED, is_best=False, decided_at=now, decided_by=actor, changeset=recorder.changeset
        )
        _clear_rivals(
            connection_id, listing_ids=linked, variant_ids=[rows[pk].variant_id for pk in linked],
            changeset=recorder.changeset,
        )  # fmt: skip
        return len(linked)


def undo_last(*, merchant: Merchant, actor: User | None) -> ChangeSet | None:
    """Take back the newest mapping decision that has not been taken back; what it settled is open again."""
    with transaction.atomic():
        assigning.one_at_a_time(merchant.pk)
        made = ChangeSet.objects.of(merchant).filter(kind=ChangeSet.Kind.MAPPING, undone_at=None)
        changeset: ChangeSet | None = made.order_by("-created_at", "-pk").select_for_update(of=("self",)).first()
        if changeset is None:
            return None
        journal.undo(changeset_id=changeset.pk, actor=actor)
        settled = Suggestion.objects.filter(changeset=changeset)
        touched: dict[int, set[int]] = defaultdict(set)
        for connection_id, listing_id in settled.values_list("listing__connection", "listing"):
            touched[connection_id].add(listing_id)
        settled.update(state=State.OPEN, decided_at=None, decided_by=None, changeset=None, is_best=False)
        for connection_id, listing_ids in touched.items():
            assigning.reassign(connection_id=connection_id, listing_ids=listing_ids)
        changeset.refresh_from_db()
        return changeset


def _lock(suggestion_id: int) -> Suggestion:
    assigning.one_at_a_time(Suggestion.objects.values_list("merchant", flat=True).get(pk=suggestion_id))
    suggestion: Suggestion = (
        Suggestion.objects.select_for_update(of=("self", "listing"))
        .select_related("listing__connection", "listing__merchant", "variant__product")
        .get(pk=suggestion_id)
    )
    if suggestion.state != State.OPEN or suggestion.listing.link != Listing.Link.UNLINKED:
        by = f" by {suggestion.decided_by}" if suggestion.decided_by else ""
        raise AlreadyDecided(f"{suggestion.get_state_display()}{by}: {looking.named(suggestion.listing)}")
    return suggestion


def _lock_listing(listing_id: int) -> Listing:
    assigning.one_at_a_time(Listing.objects.values_list("merchant", flat=True).get(pk=listing_id))
    rows = Listing.objects.select_for_update(of=("self",)).select_related("connection", "merchant")
    listing: Listing = rows.get(pk=listing_id)
    if listing.link != Listing.Link.UNLINKED:
        raise AlreadyDecided(f"{listing.get_link_display()}: {looking.named(listing)}")
    return listing


def _link(listing: Listing, variant: Variant, actor: User | None, suggestion: Suggestion | None) -> None:
    with _recording(listing, f"{looking.named(listing)} is {variant.full_title}", actor) as recorder:
        _link_recorded(recorder, listing, variant, actor)
    _settle(listing, variant, recorder.changeset, suggestion, actor)


def _link_recorded(recorder: journal.Recorder, listing: Listing, variant: Variant, actor: User | None) -> None:
    try:
        recorder.link(listing=listing, variant=variant, actor=actor)
    except linking.CannotLink as error:
        raise BadProposal("", str(error)) from error


def _recording(listing: Listing, title: str, actor: User | None) -> AbstractContextManager[journal.Recorder]:
    return journal.recording(merchant=listing.merchant, kind=ChangeSet.Kind.MAPPING, title=title, actor=actor)


def _settle(
    listing: Listing,
    variant: Variant | None,
    changeset: ChangeSet,
    suggestion: Suggestion | None,
    actor: User | None,
) -> None:
    """The decision is made: rivals are not asked about any more."""
    if suggestion is not None:
        _decide(suggestion, State.ACCEPTED, changeset, actor)
    _clear_rivals(
        listing.connection_id,
        listing_ids=[listing.pk],
        variant_ids=[variant.pk] if variant else [],
        changeset=changeset,
    )


def _decide(suggestion: Suggestion, state: str, changeset: ChangeSet, actor: User | None) -> None:
    suggestion.state, suggestion.is_best, suggestion.changeset = state, False, changeset
    suggestion.decided_at, suggestion.decided_by = utc_now(), actor
    suggestion.save(update_fields=["state", "is_best", "changeset", "decided_at", "decided_by"])


def _clear_rivals(
    connection_id: int, *, listing_ids: Collection[int], variant_ids: Collection[int], changeset: ChangeSet
) -> None:
    """Suggestions of settled listings and variants are overtaken; listings that lost their best get the next."""
    rivals = Suggestion.objects.filter(
        Q(listing__in=listing_ids) | Q(variant__in=variant_ids), listing__connection=connection_id, state=State.OPEN
    )
    bereft = set(rivals.filter(is_best=True).exclude(listing__in=listing_ids).values_list("listing", flat=True))
    rivals.update(state=State.GONE, is_best=False, changeset=changeset)
    assigning.reassign(connection_id=connection_id, listing_ids=bereft)
