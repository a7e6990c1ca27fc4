"""A site of the shop's own: opened once, listing every variant at every place from then on; what it may sell now."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from channels import availability, connections, credentials, publisher, registry
from channels.models import CellPolicy, ChannelLocation, ChannelStock, Connection, ConnectionWork, Listing
from channels.promises import Dated
from inventory import identifiers
from inventory.models import Location
from inventory.names import variants_by_sku
from inventory.routing import deciding, engine
from inventory.routing.engine import Place, Plan, Point, Question
from storestudio.accounts.models import Merchant, User

ZERO = Decimal(0)


def open_site(*, merchant: Merchant, label: str, actor: User) -> Connection:
    """Make a site of the shop's own, live: nothing is there yet that a first number could overwrite.

    It lists every variant; what it is told goes to the endpoints that are added later.
    """
    now = timezone.now()
    can = registry.capabilities(registry.OWN)
    site = Connection(
        merchant=merchant, channel=registry.OWN, label=label, account_id=uuid.uuid4().hex,
        base_url=settings.PUBLIC_URL, number=can.number, can_be_set_negative=can.can_be_set_negative,
        takes_fractions=can.takes_fractions, state=Connection.State.LIVE, opened_at=now, approved_at=now,
        approved_by=actor, orders_read_until=now, changes_read_until=now, catalog_read_until=now,
    )  # fmt: skip
    credentials.store(site, {"endpoints": []})
    with transaction.atomic():
        site.save()
        ConnectionWork.objects.bulk_create(
            ConnectionWork(connection=site, kind=kind) for kind in ConnectionWork.Kind.values
        )
        connections.note(site, actor, "connection.opened", f"{label} opened: our own site or app")
    follow_catalog(site)
    return site


def follow_catalog(site: Connection) -> int:
    """List what is new, rename what was renamed, drop what was archived; returns how many cells are new."""
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT * FROM own_follow_catalog(%s, %s)", [site.pk, site.merchant_id])
            cells = [row[0] for row in cursor.fetchall()]
        if cells:
            publisher.refresh_desired(cell_ids=cells)
    return len(cells)


def follow_catalogs() -> int:
    """The same for every site there is."""
    sites = Connection.objects.filter(channel=registry.OWN).exclude(state=Connection.State.CLOSED)
    return sum(follow_catalog(site) for site in sites.order_by("pk"))


@dataclass(frozen=True)
class Offer:
    """What the site may sell of one variant, by location, in units; places of the site without a number are 0."""

    variant_id: int
    sku: str
    is_whole_unit: bool
    by_location: dict[int, Decimal] = field(default_factory=dict)
    promising: set[int] = field(default_factory=set)  # places where it may be sold before it is there

    @property
    def total(self) -> Decimal:
        """Over all places."""
        return sum(self.by_location.values(), ZERO)


# A number below zero is a debt of the shelf, nothing to offer.
_OFFERS = """
SELECT v.id, v.sku, v.is_whole_unit, cl.location_id, greatest(c.desired, 0),
       coalesce(y.oversell IN ('backorder', 'preorder'), false)
FROM inventory_variant v
JOIN channels_listing l
  ON l.connection_id = %(site)s AND l.variant_id = v.id AND l.link = 'linked' AND l.deleted_at IS NULL
LEFT JOIN channels_channelstock c ON c.listing_id = l.id
LEFT JOIN channels_channellocation cl ON cl.id = c.channel_location_id AND cl.is_active
LEFT JOIN channels_cellpolicy y ON y.cell_id = c.id
WHERE v.merchant_id = %(merchant)s AND v.archived_at IS NULL
  AND (v.id = ANY(%(variants)s) OR v.sku_key = ANY(%(sku_keys)s))
ORDER BY v.id, cl.location_id
"""


def promises(*, site_id: int, variant_ids: Collection[int]) -> dict[tuple[int, int], availability.Promise]:
    """What of the site's numbers is promised beyond the shelf, by (variant, location). One query without such rules."""
    cells = CellPolicy.objects.filter(
        cell__connection=site_id, cell__listing__variant__in=variant_ids, oversell__in=availability.PROMISING
    )
    found = availability.of_cells(cell_ids=list(cells.values_list("cell", flat=True)))
    return {(one.variant_id, one.location_id): one.promise for one in found if one.promise is not None}


def later(*, site_id: int, units: Mapping[tuple[int, int], Decimal]) -> dict[tuple[int, int], Dated]:
    """Of units that were promised a moment ago, by (variant, location): what is not there yet, and when it is."""
    rows = ChannelStock.objects.filter(
        connection=site_id, listing__variant__in={variant for variant, _ in units},
        channel_location__location__in={place for _, place in units}, policy__oversell__in=availability.PROMISING,
    ).values_list("pk", "listing__variant", "channel_location__location")  # fmt: skip
    cells = {
        cell: (variant_id, place)
        for cell, variant_id, place in rows
        if variant_id is not None and place is not None and (variant_id, place) in units
    }
    found = availability.of_the_last(units={cell: units[name] for cell, name in cells.items()})
    return {cells[cell]: dated for cell, dated in found.items()}


def offers(
    *, site_id: int, merchant_id: int, variant_ids: Collection[int] = (), sku_keys: Collection[str] = ()
) -> dict[int, Offer]:
    """What the site may sell now, by variant; a variant it does not list is missing. One query.

    Call reservations.expire_due of the merchant before, where a hold past its time must not count.
    """
    values: dict[str, Any] = {
        "site": site_id,
        "merchant": merchant_id,
        "variants": list(variant_ids),
        "sku_keys": list(sku_keys),
    }
    found: dict[int, Offer] = {}
    with database.cursor() as cursor:
        cursor.execute(_OFFERS, values)
        for variant_id, sku, is_whole_unit, location_id, number, is_promising in cursor.fetchall():
            offer = found.setdefault(variant_id, Offer(variant_id, sku, is_whole_unit))
            if location_id is not None:
                offer.by_location[location_id] = number or ZERO
                if is_promising:
                    offer.promising.add(location_id)
    return found


@dataclass(frozen=True)
class Asked:
    """A line as a caller names it: by `sku`, or by `variant_id` where `sku` is ""."""

    quantity: Decimal
    sku: str = ""
    variant_id: int | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return self.sku or f"variant {self.variant_id}"


class UnknownGoods(Exception):
    """What was named is nothing the site lists, or a SKU that two variants have; `names` in the order asked."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"Not listed: {', '.join(names)}")
        self.names = list(names)


def find(*, site_id: int, merchant_id: int, asked: Sequence[Asked]) -> tuple[list[Offer], dict[int, Offer]]:
    """The offer of each line, in the order asked, and all of them by variant. Raises UnknownGoods.

    One query; more only where something is called by a former SKU or is so new that it was not listed yet.
    """
    found = _find(site_id, merchant_id, asked)
    if None in found:
        # A variant made a moment ago is listed by the next sweep, or here.
        follow_catalog(Connection.objects.get(pk=site_id))
        found = _find(site_id, merchant_id, asked)
    missing = [one.name for one, offer in zip(asked, found, strict=True) if offer is None]
    if missing:
        raise UnknownGoods(missing)
    offered = [offer for offer in found if offer is not None]
    return offered, {offer.variant_id: offer for offer in offered}


def _find(site_id: int, merchant_id: int, asked: Sequence[Asked]) -> list[Offer | None]:
    keys = {one.sku: identifiers.sku_key(one.sku) for one in asked if one.sku}
    ids = {one.variant_id for one in asked if one.variant_id is not None}
    by_variant = offers(
        site_id=site_id, merchant_id=merchant_id, variant_ids=ids, sku_keys=[key for key in keys.values() if key]
    )
    by_key: dict[str, list[Offer]] = {}
    for offer in by_variant.values():
        by_key.setdefault(identifiers.sku_key(offer.sku), []).append(offer)
    loose = [sku for sku, key in keys.items() if key and key not in by_key]
    former = _by_former_names(site_id, merchant_id, loose) if loose else {}
    found: list[Offer | None] = []
    for one in asked:
        if one.variant_id is not None:
            found.append(by_variant.get(one.variant_id))
        else:
            owners = by_key.get(keys[one.sku], []) if keys[one.sku] else []
            found.append(owners[0] if len(owners) == 1 else former.get(one.sku))
    return found


def _by_former_names(site_id: int, merchant_id: int, skus: Sequence[str]) -> dict[str, Offer]:
    named = variants_by_sku(merchant_id=merchant_id, skus=skus)
    offered = offers(site_id=site_id, merchant_id=merchant_id, variant_ids=named.values())
    return {sku: offered[variant_id] for sku, variant_id in named.items() if variant_id in offered}


def page_of_variants(*, site_id: int, after: int, size: int) -> list[int]:
    """Keys of listed variants above `after`, ascending: a page costs the same wherever it lies."""
    rows = Listing.objects.filter(
        connection=site_id, link=Listing.Link.LINKED, deleted_at=None, variant__gt=after
    ).order_by("variant")
    return list(rows.values_list("variant", flat=True)[:size])


def places(*, site_id: int) -> list[Location]:
    """Where the site sells from, in the order they were made."""
    mapped = ChannelLocation.objects.filter(connection=site_id, is_active=True, location__isnull=False)
    rows = Location.objects.filter(pk__in=mapped.values("location"))
    return list(rows.order_by("pk"))


@dataclass(frozen=True)
class Address:
    """Where the goods are to go; what a way of choosing places may look at. Not kept."""

    country: str = ""
    postcode: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None


def ways(
    *,
    merchant_id: int,
    reference: str,
    wanted: Mapping[int, Decimal],
    offered: Mapping[int, Offer],
    address: Address | None,
    now: datetime,
    used: frozenset[int] = frozenset(),
) -> list[Plan]:
    """The ways to ship all that is wanted (units by variant), first the one that the shop's rules chose; may be empty.

    The rules are asked, and what they said is kept under `reference`, only where more than one place has any of it.
    `used`: places that ship another part of the order already.
    """
    by_place = _by_place(wanted, offered)
    point = None
    if address is not None and address.latitude is not None and address.longitude is not None:
        point = Point(address.latitude, address.longitude)
    question = Question(wanted=wanted, offered=by_place, destination=point, asked_at=now, used=used)
    places_max = deciding.policy_of(merchant_id=merchant_id).places_max if used else 1
    alone = engine.plans(question=question, places=[Place(place, "") for place in by_place], places_max=places_max)
    if not is_routed(wanted=wanted, offered=offered):
        return alone
    chosen = deciding.choose(
        merchant_id=merchant_id,
        reference=reference,
        wanted=wanted,
        offered=by_place,
        destination=point,
        now=now,
        used=used,
    ).plan
    # The others may have to do where the chosen one's units go to somebody else this very moment.
    return [] if chosen is None else [chosen, *(plan for plan in alone if plan != chosen)]


def is_routed(*, wanted: Collection[int], offered: Mapping[int, Offer]) -> bool:
    """Whether there is a choice to make, so that the shop's rules are asked and a decision is kept."""
    return len(_by_place(wanted, offered)) > 1


def _by_place(wanted: Collection[int], offered: Mapping[int, Offer]) -> dict[int, dict[int, Decimal]]:
    """Units by place and variant, where there are any."""
    by_place: dict[int, dict[int, Decimal]] = {}
    for variant_id in wanted:
        for place, units in offered[variant_id].by_location.items() if variant_id in offered else ():
            if units > 0:
                by_place.setdefault(place, {})[variant_id] = units
    return by_place
