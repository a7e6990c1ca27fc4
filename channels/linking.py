"""Which listing is which variant: by SKU or GTIN where unique on both sides, by a person for the rest.

An empty SKU never matches anything. What matches nothing, or more than one, waits and is never written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from channels import incidents, intake, publisher
from channels.models import ChannelStock, Connection, Listing
from channels.ports import HintKind
from inventory.models import OrderLine, Product, Variant
from storestudio.accounts import audit
from storestudio.accounts.models import User

# Unique among the connection's listings that are alive and among the merchant's living variants, and not contradicted
# by the other identifier: a different valid GTIN on both sides is a veto, and so is a GTIN that points elsewhere than
# the SKU does. A pair that shares a variant with another pair of the same statement waits: two old names, two listings.
_LINK = """
WITH waiting AS (
    SELECT id, key, sku_key, gtin FROM (
        SELECT id, {key} AS key, sku_key, gtin, link, count(*) OVER (PARTITION BY {key}) AS twins
        FROM channels_listing WHERE connection_id = %(connection)s AND deleted_at IS NULL AND {key} <> ''
    ) alive WHERE twins = 1 AND link = 'unlinked'
), ours AS (
    SELECT id, key, sku_key, gtin FROM ({ours}) living WHERE twins = 1
), pairs AS (
    SELECT w.id AS listing_id, o.id AS variant_id, count(*) OVER (PARTITION BY o.id) AS rivals
    FROM waiting w JOIN ours o ON o.key = w.key
    WHERE (w.gtin = '' OR o.gtin = '' OR w.gtin = o.gtin
           OR EXISTS (SELECT FROM inventory_variantalias a
                      WHERE a.merchant_id = %(merchant)s AND a.kind = 'gtin' AND a.key = w.gtin
                        AND a.variant_id = o.id))
      AND (w.gtin = '' OR w.gtin = o.gtin
           OR NOT EXISTS (SELECT FROM inventory_variant x
                          WHERE x.merchant_id = %(merchant)s AND x.archived_at IS NULL AND x.id <> o.id
                            AND x.gtin = w.gtin))
      AND NOT EXISTS (SELECT FROM channels_listing l
                      WHERE l.connection_id = %(connection)s AND l.variant_id = o.id)
      AND NOT EXISTS (SELECT FROM inventory_variant x
                      WHERE x.merchant_id = %(merchant)s AND x.archived_at IS NULL AND x.id <> o.id
                        AND w.sku_key <> '' AND x.sku_key = w.sku_key)
      AND NOT EXISTS (SELECT FROM channels_listing l
                      WHERE l.connection_id = %(connection)s AND l.deleted_at IS NULL AND l.id <> w.id
                        AND o.sku_key <> '' AND l.sku_key = o.sku_key)
)
UPDATE channels_listing l
SET variant_id = p.variant_id, link = 'linked', link_reason = %(reason)s, linked_at = %(now)s
FROM pairs p WHERE l.id = p.listing_id AND p.rivals = 1
RETURNING l.id
"""

_NOW = """
    SELECT id, {key} AS key, sku_key, gtin, count(*) OVER (PARTITION BY {key}) AS twins
    FROM inventory_variant WHERE merchant_id = %(merchant)s AND archived_at IS NULL AND {key} <> ''
"""

# What a variant was called before, where no living variant is called so now.
_BEFORE = """
    SELECT v.id, a.key, v.sku_key, v.gtin, count(*) OVER (PARTITION BY a.key) AS twins
    FROM inventory_variantalias a JOIN inventory_variant v ON v.id = a.variant_id
    WHERE a.merchant_id = %(merchant)s AND a.kind = '{kind}' AND v.archived_at IS NULL
      AND NOT EXISTS (SELECT FROM inventory_variant x
                      WHERE x.merchant_id = %(merchant)s AND x.archived_at IS NULL AND x.{key} = a.key)
"""

# Current names win over former ones, SKUs over barcodes. All are literals.
_PASSES = (
    (_LINK.format(key="sku_key", ours=_NOW.format(key="sku_key")), "same SKU, unique on both sides"),
    (_LINK.format(key="gtin", ours=_NOW.format(key="gtin")), "same GTIN, unique on both sides"),
    (_LINK.format(key="sku_key", ours=_BEFORE.format(key="sku_key", kind="sku")), "an old SKU of one variant only"),
    (_LINK.format(key="gtin", ours=_BEFORE.format(key="gtin", kind="gtin")), "an old GTIN of one variant only"),
)

# A product that was deleted and listed anew has a new id: the dead listing lets go of the variant.
_LET_GO = """
UPDATE channels_listing dead
SET variant_id = NULL, link = 'unlinked', link_reason = 'deleted there, and listed anew', linked_at = NULL
WHERE dead.connection_id = %(connection)s AND dead.link = 'linked' AND dead.deleted_at IS NOT NULL
  AND EXISTS (SELECT FROM channels_listing l
              WHERE l.connection_id = %(connection)s AND l.link = 'unlinked' AND l.deleted_at IS NULL
                AND ((l.sku_key <> '' AND l.sku_key = dead.sku_key) OR (l.gtin <> '' AND l.gtin = dead.gtin)))
RETURNING dead.id
"""

_ENSURE_CELLS = """
INSERT INTO channels_channelstock (merchant_id, connection_id, listing_id, channel_location_id, doubt, attempts,
                                   blocked_reason)
SELECT l.merchant_id, l.connection_id, l.id, cl.id, 0, 0, ''
FROM channels_listing l
JOIN channels_channellocation cl ON cl.connection_id = l.connection_id AND cl.location_id IS NOT NULL AND cl.is_active
WHERE l.connection_id = %s AND l.link = 'linked' AND l.is_tracked AND l.deleted_at IS NULL
ORDER BY l.id, cl.id
ON CONFLICT DO NOTHING
RETURNING listing_id
"""


ADOPTED_AT_ONCE = 1000
ANALYZED_FROM = 1000
HINTED_AT_ONCE = 200
_ANALYZE = "ANALYZE (SKIP_LOCKED) channels_channelstock, channels_listing, inventory_variant, inventory_stocklevel"


class CannotLink(Exception):
    """Why this listing cannot be linked to this variant, in words for the person who tried."""


def link_by_identifier(connection: Connection) -> int:
    """Link what is certain: by SKU, by GTIN, then by what variants were called before; returns how many.

    A few statements, whatever the catalog's size.
    """
    linked: list[int] = []
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(_LET_GO, {"connection": connection.pk})
            dead = [row[0] for row in cursor.fetchall()]
        ChannelStock.objects.filter(listing__in=dead).delete()
        for statement, reason in _PASSES:
            with database.cursor() as cursor:
                cursor.execute(
                    statement,
                    {"connection": connection.pk, "merchant": connection.merchant_id, "reason": reason,
                     "now": timezone.now()},
                )  # fmt: skip
                linked += [row[0] for row in cursor.fetchall()]
        ensure_cells(connection)
        _read_waiting_orders(connection, linked)
    return len(linked)


def link(*, listing: Listing, variant: Variant, actor: User | None) -> None:
    """A person says: this listing is that variant. Raises CannotLink. Locks the listing.

    A listing that was another variant's starts anew: what was believed of its cells goes.
    """
    if listing.merchant_id != variant.merchant_id:
        raise CannotLink("That variant belongs to another shop.")
    if variant.archived_at is not None:
        raise CannotLink(f"{variant.full_title} is archived.")
    with transaction.atomic():
        locked = Listing.objects.select_for_update().get(pk=listing.pk)
        if locked.deleted_at is not None:
            raise CannotLink(f"{listing.sku or listing.product_title} is not there any more.")
        if locked.variant_id == variant.pk:
            return
        _make_room(listing, variant)
        if locked.variant_id is not None:
            ChannelStock.objects.filter(listing=listing).delete()
        Listing.objects.filter(pk=listing.pk).update(
            variant=variant,
            link=Listing.Link.LINKED,
            link_reason=f"by {actor or 'StoreStudio'}"[:200],
            linked_at=timezone.now(),
        )
        ensure_cells(listing.connection)
        _read_waiting_orders(listing.connection, [listing.pk])
        incidents.resolve(
            merchant_id=listing.merchant_id, kind=incidents.Kind.UNLINKED_SALE,
            key=f"{listing.connection_id}:listing:{listing.external_id}", how="linked", actor=actor,
        )  # fmt: skip
        _note(listing, actor, "listing.linked", f"{listing.sku or listing.product_title} is {variant.full_title}")


_LINK_MANY = """
WITH wanted AS (
    SELECT * FROM unnest(%(listings)s::bigint[], %(variants)s::bigint[]) AS w(listing_id, variant_id)
)
UPDATE channels_listing l
SET variant_id = w.variant_id, link = 'linked', link_reason = %(reason)s, linked_at = %(now)s
FROM wanted w
WHERE l.id = w.listing_id AND l.connection_id = %(connection)s AND l.link = 'unlinked' AND l.deleted_at IS NULL
RETURNING l.id
"""


def link_many(*, connection: Connection, pairs: Mapping[int, int], actor: User | None, reason: str) -> list[int]:
    """Link waiting listings (listing → variant, by key), a few statements for all; returns the listings linked.

    What is not waiting any more, or whose variant another listing of the channel has by now, is left out.
    Locks the variants, in primary-key order.
    """
    with transaction.atomic():
        living = Variant.objects.filter(pk__in=pairs.values(), merchant=connection.merchant_id, archived_at=None)
        # As `link` locks them, so that no two listings of a channel get one variant.
        free = set(living.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        free -= set(Listing.objects.filter(connection=connection, variant__in=free).values_list("variant", flat=True))
        once: dict[int, int] = {}
        for listing_id, variant_id in sorted(pairs.items()):
            if variant_id in free:
                once.setdefault(variant_id, listing_id)
        with database.cursor() as cursor:
            values: dict[str, Any] = {
                "listings": list(once.values()), "variants": list(once),
                "connection": connection.pk, "reason": reason[:200], "now": timezone.now(),
            }  # fmt: skip
            cursor.execute(_LINK_MANY, values)
            linked = [row[0] for row in cursor.fetchall()]
        ensure_cells(connection)
        _read_waiting_orders(connection, linked)
    return linked


def _make_room(listing: Listing, variant: Variant) -> None:
    """At most one listing of a channel is this variant; one that was deleted there lets go. Raises CannotLink."""
    # The variant's row, so that two people who give it to two listings come one after the other.
    Variant.objects.select_for_update(no_key=True).get(pk=variant.pk)
    other = Listing.objects.filter(connection=listing.connection_id, variant=variant).exclude(pk=listing.pk).first()
    if other is None:
        return
    if other.deleted_at is None:
        raise CannotLink(f"{other.sku or other.product_title} is linked to that variant on this channel already.")
    _part(other, link=Listing.Link.UNLINKED, reason="deleted there, and listed anew")


def unlink(*, listing: Listing, actor: User | None) -> None:
    """Part a listing from its variant: its cells go, and it is written to no more."""
    _part(listing, link=Listing.Link.UNLINKED, reason=f"parted by {actor or 'StoreStudio'}")
    _note(listing, actor, "listing.unlinked", f"{listing.sku or listing.product_title} waits to be linked")


def exclude(*, listing: Listing, actor: User | None, reason: str) -> None:
    """Leave a listing alone on purpose."""
    _part(listing, link=Listing.Link.EXCLUDED, reason=reason or f"excluded by {actor}")
    _note(listing, actor, "listing.excluded", f"{listing.sku or listing.product_title}: {reason}")


def put_back(*, listing: Listing, variant_id: int | None, state: str, actor: User | None) -> None:
    """Undo a link, a parting or an exclusion: the listing is what it was before. Raises CannotLink."""
    if variant_id is not None:
        link(listing=listing, variant=Variant.objects.get(pk=variant_id), actor=actor)
        return
    _part(listing, link=state, reason=f"put back by {actor or 'StoreStudio'}")
    _note(listing, actor, "listing.put_back", f"{listing.sku or listing.product_title} is as it was")


def ensure_cells(connection: Connection) -> int:
    """Make the missing cells (linked, tracked listings × mapped locations) with their desired numbers.

    On a channel that was approved before, their numbers there are read soon: they wait for a yes of their own.
    """
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(_ENSURE_CELLS, [connection.pk])
            listing_ids = [row[0] for row in cursor.fetchall()]
            made = len(listing_ids)
            if made >= ANALYZED_FROM:
                # The planner still takes the tables for empty, and would join them row by row: minutes, not seconds.
                cursor.execute(_ANALYZE)
        if made:
            publisher.refresh_desired(connection_id=connection.pk)
        if made and connection.approved_at:
            _read_new_counts(connection, listing_ids)
    return made


def _read_new_counts(connection: Connection, listing_ids: list[int]) -> None:
    ids = Listing.objects.filter(pk__in=listing_ids).order_by("pk").values_list("inventory_id", flat=True)
    names = list(dict.fromkeys(ids))
    for start in range(0, len(names), HINTED_AT_ONCE):
        key = f"new cells:{timezone.now().isoformat()}:{start}"
        intake.hint(connection=connection, kind=HintKind.STOCK, ids=names[start : start + HINTED_AT_ONCE], key=key)


def adopt_catalog(connection: Connection, *, actor: User | None) -> int:
    """Make products and variants of the listings that match nothing, grouped as the channel groups them.

    A SKU that another waiting listing shares stays out: two listings of one SKU are a question for a person. So is one
    that a variant of ours had before.
    Returns how many variants were made. A few statements a thousand listings.
    """
    link_by_identifier(connection)
    made, waiting = 0, _adoptable(connection)
    for start in range(0, len(waiting), ADOPTED_AT_ONCE):
        with transaction.atomic():
            made += _adopt(connection, waiting[start : start + ADOPTED_AT_ONCE])
    linked = Listing.objects.filter(connection=connection, link_reason="made from this listing")
    ensure_cells(connection)
    _read_waiting_orders(connection, list(linked.values_list("pk", flat=True)) if made else [])
    if made:
        audit.record(
            actor=actor, merchant=connection.merchant, action="catalog.adopted", target=connection,
            summary=f"{made} variants made from {connection.label}",
        )  # fmt: skip
    return made


_ADOPTABLE = """
SELECT l.id FROM channels_listing l
WHERE l.connection_id = %s AND l.link = 'unlinked' AND l.deleted_at IS NULL AND l.sku_key <> ''
  AND NOT EXISTS (SELECT FROM channels_listing o WHERE o.connection_id = l.connection_id AND o.id <> l.id
                  AND o.deleted_at IS NULL AND o.sku_key = l.sku_key)
  AND NOT EXISTS (SELECT FROM inventory_variant v WHERE v.merchant_id = l.merchant_id AND v.sku_key = l.sku_key)
  AND NOT EXISTS (SELECT FROM inventory_variant v
                  WHERE v.merchant_id = l.merchant_id AND v.gtin <> '' AND v.gtin = l.gtin)
  AND NOT EXISTS (SELECT FROM inventory_variantalias a
                  WHERE a.merchant_id = l.merchant_id AND ((a.kind = 'sku' AND a.key = l.sku_key)
                                                           OR (a.kind = 'gtin' AND l.gtin <> '' AND a.key = l.gtin)))
ORDER BY l.product_external_id, l.id
"""


_LINK_MADE = """
UPDATE channels_listing l SET variant_id = m.variant_id, link = 'linked', link_reason = 'made from this listing',
                              linked_at = %s
FROM unnest(%s::bigint[], %s::bigint[]) AS m(listing_id, variant_id) WHERE l.id = m.listing_id
"""


def _adoptable(connection: Connection) -> list[int]:
    with database.cursor() as cursor:
        cursor.execute(_ADOPTABLE, [connection.pk])
        return [row[0] for row in cursor.fetchall()]


def _adopt(connection: Connection, listing_ids: list[int]) -> int:
    # Locked, and looked at again: a person may have linked or excluded one meanwhile.
    waiting = Listing.objects.filter(pk__in=listing_ids, link=Listing.Link.UNLINKED).order_by("pk").select_for_update()
    listings = sorted(waiting, key=lambda listing: (listing.product_external_id, listing.pk))
    products = _products(connection, listings)
    variants = Variant.objects.bulk_create(
        Variant(
            merchant_id=connection.merchant_id,
            product=products[listing.product_external_id or listing.external_id],
            title=listing.title,
            sku=listing.sku[:120],
            sku_key=listing.sku_key[:120],
            gtin=listing.gtin,
            options=listing.options,
            price=listing.price,
        )
        for listing in listings
    )
    with database.cursor() as cursor:
        values: list[Any] = [timezone.now(), [listing.pk for listing in listings], [variant.pk for variant in variants]]
        cursor.execute(_LINK_MADE, values)
    return len(variants)


def _products(connection: Connection, listings: list[Listing]) -> dict[str, Product]:
    """A product each, or the one that a sibling listing of the same product was adopted into before."""
    names = {listing.product_external_id or listing.external_id: listing for listing in listings}
    siblings = (
        Listing.objects.filter(connection=connection, product_external_id__in=names, variant__isnull=False)
        .order_by("pk")
        .select_related("variant__product")
    )
    products = {sibling.product_external_id: sibling.variant.product for sibling in siblings if sibling.variant}
    missing = {name: listing for name, listing in names.items() if name not in products}
    made = Product.objects.bulk_create(
        Product(
            merchant_id=connection.merchant_id,
            title=listing.product_title or listing.title or listing.sku,
            vendor=listing.vendor,
            category=listing.category,
            image_url=listing.image_url,
        )
        for listing in missing.values()
    )
    return products | dict(zip(missing, made, strict=True))


def _part(listing: Listing, *, link: str, reason: str) -> None:
    with transaction.atomic():
        Listing.objects.filter(pk=listing.pk).update(variant=None, link=link, link_reason=reason[:200], linked_at=None)
        ChannelStock.objects.filter(listing=listing).delete()


def _read_waiting_orders(connection: Connection, listing_ids: list[int]) -> None:
    """Orders that sold these listings before they were linked are read again, and their sales counted."""
    if not listing_ids:
        return
    names = Listing.objects.filter(pk__in=listing_ids).values_list("external_id", flat=True)
    waiting = (
        OrderLine.objects.filter(
            order__merchant=connection.merchant_id, order__channel_id=connection.pk, variant=None,
            listing_external_id__in=list(names),
        )
        .order_by("order_id")
        .values_list("order__external_id", flat=True)
        .distinct()
    )  # fmt: skip
    for order_id in waiting:
        key = f"linked:{order_id}:{timezone.now().isoformat()}"
        intake.hint(connection=connection, kind=HintKind.ORDERS, ids=[order_id], key=key)


def _note(listing: Listing, actor: User | None, action: str, summary: str) -> None:
    audit.record(actor=actor, merchant=listing.merchant, action=action, target=listing, summary=summary)
