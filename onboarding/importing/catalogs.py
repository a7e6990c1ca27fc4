"""A connected channel's catalog as a source of rows; after applying, each listing is linked to what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import QuerySet

from channels.models import Connection, Listing
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
    """Link the listings of applied rows to their variants, a few statements for all, written down in the change set.

    Returns row number → why its listing was not linked.
    """
    wanted = {row.fields["listing"]: row for row in rows if "listing" in row.fields and row.variant_id}
    if not wanted or batch.connection is None:
        return {}
    waiting = Listing.objects.filter(pk__in=wanted, connection=batch.connection, link=Listing.Link.UNLINKED)
    pairs = {pk: wanted[pk].variant_id or 0 for pk in waiting.order_by("pk").values_list("pk", flat=True)}
    linked = recorder.link_many(
        connection=batch.connection, pairs=pairs, actor=recorder.changeset.actor, reason=f"import of {batch.name}"
    )
    refused = set(pairs) - set(linked)
    return {wanted[pk].number: "Not linked: another listing of this channel is that item." for pk in refused}


def has_rows(connection: Connection) -> bool:
    """Whether the channel lists anything that is not excluded."""
    return _listings(connection.pk).exists()


def _listings(connection_id: int | None) -> QuerySet[Listing]:
    living = Listing.objects.filter(connection=connection_id, deleted_at=None)
    return living.exclude(link=Listing.Link.EXCLUDED).order_by("pk")
