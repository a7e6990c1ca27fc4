"""A connected channel's catalog as a source of rows; after applying, each listing is linked to what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import QuerySet

from channels import linking
from channels.models import Connection, Listing
from inventory.models import Variant
from onboarding import journal
from onboarding.importing import fields
from onboarding.models import ImportBatch, StagedRow
from onboarding.reading.rows import CatalogRow

FORMAT = "channel"


def rows(batch: ImportBatch, *, after: int = 0) -> Iterator[StagedRow]:
    """The living listings of the batch's connection, as rows: grouped as the channel groups them.

    Numbered by the listing's own id, so that the same listing is the same row however often it is read.
    """
    for listing in _listings(batch.connection_id).filter(pk__gt=after).iterator(chunk_size=1000):
        yield fields.staged(_row(listing), batch=batch, listing_id=listing.pk)


def _row(listing: Listing) -> CatalogRow:
    return CatalogRow(
        number=listing.pk,
        raw={
            "Product": listing.product_title, "Variant": listing.title, "SKU": listing.sku, "Barcode": listing.gtin,
            "Price": "" if listing.price is None else str(listing.price), "Vendor": listing.vendor,
            "Category": listing.category, "Id there": listing.external_id,
        },
        product_key=listing.product_external_id or listing.external_id,
        external_id=listing.external_id,
        product_title=listing.product_title or listing.title or listing.sku or None,
        variant_title=listing.title or None,
        vendor=listing.vendor or None,
        category=listing.category or None,
        options=tuple(listing.options.items()) or None,
        sku=listing.sku or None,
        gtin=listing.gtin or None,
        price=listing.price,
        image_url=listing.image_url or None,
    )  # fmt: skip


def link(*, batch: ImportBatch, recorder: journal.Recorder, rows: Sequence[StagedRow]) -> dict[int, str]:
    """Link the listings of applied rows to their variants, each written down in the change set.

    Returns row number → why it could not be.
    """
    wanted = {row.fields["listing"]: row for row in rows if "listing" in row.fields and row.variant_id}
    refusals: dict[int, str] = {}
    if not wanted:
        return refusals
    waiting = Listing.objects.filter(
        pk__in=wanted, merchant=batch.merchant_id, link=Listing.Link.UNLINKED, deleted_at=None
    ).select_related("connection", "merchant")
    variants = Variant.objects.select_related("product").in_bulk([row.variant_id for row in wanted.values()])
    for listing in waiting.order_by("pk"):
        row = wanted[listing.pk]
        try:
            recorder.link(listing=listing, variant=variants[row.variant_id or 0], actor=recorder.changeset.actor)
        except linking.CannotLink as refused:
            refusals[row.number] = f"Not linked: {refused}"
    return refusals


def has_rows(connection: Connection) -> bool:
    """Whether the channel lists anything that is not excluded."""
    return _listings(connection.pk).exists()


def _listings(connection_id: int | None) -> QuerySet[Listing]:
    living = Listing.objects.filter(connection=connection_id, deleted_at=None)
    return living.exclude(link=Listing.Link.EXCLUDED).order_by("pk")
