"""A shop to look at: goods at two places, two channels, and short words for what happens there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now as utc_now

from inventory import ledger, orders
from inventory.models import Order, StockLevel, Variant
from tests import factories


@dataclass
class Shop:
    """Variants are made by `stock`; the first place is the one that things happen at."""

    slug: str = "shop"
    role: str = "owner"
    variants: list[Variant] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.merchant = factories.MerchantFactory(slug=self.slug, name=self.slug.title())
        self.user = factories.UserFactory(name="Ada Marsh")
        factories.MembershipFactory(user=self.user, merchant=self.merchant, role=self.role)
        self.places = [
            factories.LocationFactory(merchant=self.merchant, name=name) for name in ("High Street", "Store")
        ]
        self.till = factories.ConnectionFactory(merchant=self.merchant, label="Square till", is_live=True)
        self.web = factories.ConnectionFactory(
            merchant=self.merchant, channel="shopify", label="Web shop", is_live=True
        )

    def stock(self, name: str, /, *, units: int | str = 0, place: int = 0, **fields: Any) -> Variant:
        """A new variant with an opening count."""
        product = factories.ProductFactory(merchant=self.merchant, title=name)
        variant = factories.VariantFactory(merchant=self.merchant, product=product, **fields)
        self.variants.append(variant)
        self.post(variant, kind="opening", units=units, place=place, source="opening")
        return variant

    def post(
        self,
        variant: Variant,
        *,
        kind: str = "adjust",
        units: int | str,
        place: int = 0,
        source: str = "user",
        **more: Any,
    ) -> ledger.Posted:
        """One movement on hand."""
        entry = ledger.Entry(
            variant_id=variant.pk,
            location_id=self.places[place].pk,
            kind=kind,
            key=uuid.uuid4().hex,
            occurred_at=more.pop("occurred_at", utc_now()),
            on_hand=Decimal(units),
            **more,
        )
        with transaction.atomic():
            (posted,) = ledger.post(merchant_id=self.merchant.pk, source=source, entries=[entry])
        return posted

    def order(
        self,
        *variants: Variant | None,
        number: str = "#1043",
        connection: Any = None,
        committed: int = 0,
        fulfilled: int = 0,
        placed_at: datetime | None = None,
        returned: int = 0,
        event_id: int | None = None,
    ) -> Order:
        """An order with a line a variant, applied by state; None is a line that is linked to nothing."""
        connection = connection or self.web
        state = orders.OrderState(
            external_id=f"X-{number}",
            number=number,
            placed_at=placed_at or utc_now(),
            updated_at=utc_now(),
            version=1,
            is_cancelled=False,
            lines=[
                orders.LineState(
                    str(place),
                    f"L{place}",
                    variant.pk if variant else None,
                    variant.sku if variant else "GIFT",
                    variant.full_title if variant else "Gift wrapping",
                    Decimal(committed + fulfilled),
                    [orders.Hold(self.places[0].pk, Decimal(committed), Decimal(fulfilled))],
                )
                for place, variant in enumerate(variants)
            ],
            returns=[orders.ReturnState("0", Decimal(returned), self.places[0].pk)] if returned else [],
            total=Decimal("49.00"),
            currency="GBP",
            event_id=event_id,
        )
        (applied,) = orders.apply(merchant_id=self.merchant.pk, channel_id=connection.pk, states=[state])
        return Order.objects.get(pk=applied.order_id)

    def cell(self, variant: Variant, *, connection: Any = None, place: int = 0, **numbers: Any) -> Any:
        """The variant listed at a channel, and its cell there."""
        connection = connection or self.web
        there = {"connection": connection, "location": self.places[place]}
        known = connection.locations.filter(location=self.places[place]).first()
        listing = connection.listings.filter(variant=variant).first()
        return factories.ChannelStockFactory(
            connection=connection,
            listing=listing or factories.ListingFactory(connection=connection, variant=variant),
            channel_location=known or factories.ChannelLocationFactory(**there),
            **numbers,
        )

    def level(self, variant: Variant, *, place: int = 0) -> StockLevel:
        return StockLevel.objects.get(variant=variant, location=self.places[place])

    def url(self, name: str, *arguments: Any) -> str:
        return reverse(name, args=[self.merchant.slug, *arguments])


def ago(**span: float) -> datetime:
    """An instant in the past."""
    return utc_now() - timedelta(**span)
