"""What would be written to a channel: one line a listing that differs, kept as a draft until a person says yes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from channels import registry
from channels.models import Connection, Listing
from inventory import identifiers
from onboarding.findings import proposals
from onboarding.journal import Recorder
from onboarding.models import CatalogWrite, CatalogWriteLine, ListingWish
from onboarding.writeback import fields
from onboarding.writeback.fields import Difference
from storestudio.accounts import audit
from storestudio.accounts.models import User

State = CatalogWrite.State
NOTES_MAX = 200
LINES_AT_ONCE = 2000


class NothingToWrite(Exception):
    """The channel shows the cleaned fields already; `notes` say what differs and cannot be written."""

    def __init__(self, notes: Sequence[str] = ()) -> None:
        super().__init__("It shows the cleaned fields already.")
        self.notes = list(notes)


def wish(*, listing_id: int, field: str, value: object, recorder: Recorder) -> None:
    """Note what a listing should have in a field; the next draft proposes it. An older wish for it is replaced."""
    proposals.wish(listing_ids=[listing_id], field=field, value=value, recorder=recorder)


def draft(*, connection_id: int, actor: User | None) -> CatalogWrite:
    """What differs between the channel's listings and the cleaned catalog, as a draft; it replaces an earlier draft.

    Nothing is sent. A few statements whatever the catalog's size. Raises NothingToWrite.
    """
    connection = Connection.objects.select_related("merchant").get(pk=connection_id)
    found = differences(connection)
    changed = [one for one in found if one.after]
    notes = [f"{_named(one.listing)}: {note}" for one in found for note in one.notes]
    if not changed:
        raise NothingToWrite(notes)
    with transaction.atomic():
        # Two people who draft at the same time: the later draft stays.
        Connection.objects.select_for_update(no_key=True).get(pk=connection_id)
        CatalogWrite.objects.filter(connection=connection, state=State.DRAFT, undoes=None).update(state=State.CANCELLED)
        write = CatalogWrite.objects.create(
            merchant_id=connection.merchant_id, connection=connection, created_by=actor, notes=notes[:NOTES_MAX]
        )
        CatalogWriteLine.objects.bulk_create(
            [
                CatalogWriteLine(
                    write=write, listing=one.listing, before=one.before, after=one.after, flags=one.flags
                )
                for one in sorted(changed, key=lambda one: (one.listing.product_external_id, one.listing.pk))
            ],
            batch_size=LINES_AT_ONCE,
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=connection.merchant, action="writeback.drafted", target=write,
            summary=f"{len(changed)} listings of {connection.label} would change",
        )  # fmt: skip
    return write


def differences(connection: Connection) -> list[Difference]:
    """Every listing of the channel that is linked, or has a wish of its own, against what it should be."""
    capabilities = registry.capabilities(connection.channel)
    wishes: dict[int, dict[str, Any]] = defaultdict(dict)
    for row in ListingWish.objects.filter(listing__connection=connection).order_by("pk"):
        wishes[row.listing_id][row.field] = row.value
    alive = Listing.objects.filter(connection=connection, deleted_at=None).exclude(link=Listing.Link.EXCLUDED)
    wanted = alive.filter(Q(link=Listing.Link.LINKED) | Q(pk__in=wishes)).select_related("variant__product")
    found = [
        fields.difference(listing, wishes=wishes.get(listing.pk, {}), capabilities=capabilities)
        for listing in wanted.order_by("pk")
    ]
    _settle_option_names(connection, found)
    _flag_shared_skus(connection, found)
    return found


def _settle_option_names(connection: Connection, found: Sequence[Difference]) -> None:
    """An option's name is the product's: it is changed where all variants of the product want the same, else not."""
    sizes = Counter(
        Listing.objects.filter(connection=connection, deleted_at=None).values_list("product_external_id", flat=True)
    )
    by_product: dict[str, list[Difference]] = defaultdict(list)
    for one in found:
        by_product[one.listing.product_external_id].append(one)
    for product, members in by_product.items():
        wanted = {tuple(sorted((one.after.get("option_names") or {}).items())) for one in members}
        if wanted == {()} or (len(wanted) == 1 and len(members) == sizes[product]):
            continue
        for one in members:
            _keep_names(one)


def _keep_names(one: Difference) -> None:
    names = one.after.pop("option_names", None)
    if not names:
        return
    old = {new: name for name, new in names.items()}
    one.after["options"] = {old.get(name, name): value for name, value in one.after["options"].items()}
    if one.after["options"] == one.before["options"]:
        del one.after["options"], one.before["options"]
    words = ", ".join(f"“{name}” would be “{new}”" for name, new in names.items())
    one.notes.append(f"{words}, and not all variants of the product agree on that.")


def _flag_shared_skus(connection: Connection, found: Sequence[Difference]) -> None:
    """Two listings of one channel that would end with the same SKU: late orders could not tell them apart."""
    alive = Listing.objects.filter(connection=connection, deleted_at=None)
    keys = dict(alive.values_list("pk", "sku_key"))
    keys |= {one.listing.pk: identifiers.sku_key(one.after["sku"]) for one in found if "sku" in one.after}
    times = Counter(key for key in keys.values() if key)
    for one in found:
        if "sku" in one.after and times[keys[one.listing.pk]] > 1:
            one.flags.append(fields.SHARED)


def _named(listing: Listing) -> str:
    return " · ".join(part for part in (listing.product_title, listing.title) if part) or listing.sku
