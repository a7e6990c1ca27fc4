"""A shop with four channels that list the same goods, for rules; numbers are looked at, nobody is told."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from channels import publisher, rules
from channels.models import AvailabilityRule, ChannelStock, Listing
from inventory import ledger
from tests import factories

CHANNELS = ("Till", "Web", "Market", "Delivery")


@dataclass
class Shop:
    """One place by default; `names` of channels are also their order."""

    merchant: object
    owner: object
    places: list
    channels: dict
    variants: list = field(default_factory=list)

    def variant(self, *, units=12, category="", sku=None, at=None):
        """A variant that every channel lists, with so many units at the first place (or those named)."""
        more = {"sku": sku} if sku else {}
        variant = factories.VariantFactory(
            merchant=self.merchant, product__merchant=self.merchant, product__category=category, **more
        )
        self.variants.append(variant)
        for connection in self.channels.values():
            listing = factories.ListingFactory(connection=connection, variant=variant)
            for place in connection.locations.order_by("pk"):
                factories.ChannelStockFactory(
                    connection=connection, listing=listing, channel_location=place, desired=None, expected=0, observed=0
                )
        self.post(variant, units, at=at)
        publisher.refresh_desired(cell_ids=self.cell_ids(variant))
        return variant

    def post(self, variant, units, *, at=None, channel=None, kind="adjust", now=None):
        """Units more or fewer; with a channel, its own number moved by itself."""
        amount = {"on_hand": Decimal(units)} if kind != "commit" else {"committed": -Decimal(units)}
        entry = ledger.Entry(
            variant.pk, (at or self.places[0]).pk, kind, f"{variant.pk}:{next(_keys)}", now or utc_now(), **amount
        )
        with transaction.atomic():
            ledger.post(
                merchant_id=self.merchant.pk,
                source="test",
                entries=[entry],
                channel_id=self.channels[channel].pk if channel else None,
            )

    def cell(self, variant, channel, *, at=None):
        return ChannelStock.objects.get(
            connection=self.channels[channel],
            listing__variant=variant,
            channel_location__location=at or self.places[0],
        )

    def cell_ids(self, variant):
        return list(ChannelStock.objects.filter(listing__variant=variant).values_list("pk", flat=True))

    def shown(self, variant, *, at=None):
        """What each channel should show of it, in the order of the channels."""
        cells = [self.cell(variant, name, at=at) for name in self.channels]
        return [None if cell.desired is None else int(cell.desired) for cell in cells]

    def rule(self, **says):
        """A rule, saved by its owner."""
        rule = AvailabilityRule(merchant=self.merchant, **says)
        rules.save(rule=rule, actor=self.owner)
        return rule

    def believe(self):
        """Every channel shows what it should: all is told and confirmed."""
        for _ in range(4):
            ids = list(Listing.objects.filter(merchant=self.merchant).values_list("cells", flat=True))
            with database.cursor() as cursor:
                cursor.execute("UPDATE channels_channelstock SET expected = desired WHERE id = ANY(%s)", [ids])
            publisher.refresh_desired(cell_ids=ids)


_keys = iter(range(10**9))


def a_shop(*, channels=CHANNELS, places=("High Street",)):
    member = factories.MembershipFactory()
    merchant = member.merchant
    locations = [factories.LocationFactory(merchant=merchant, name=name) for name in places]
    connections = {
        name: factories.ConnectionFactory(merchant=merchant, label=name, channel="shopify", is_live=True)
        for name in channels
    }
    for connection in connections.values():
        for location in locations:
            factories.ChannelLocationFactory(connection=connection, location=location, name=location.name)
    return Shop(merchant=merchant, owner=member.user, places=locations, channels=connections)
