"""Rows for tests, made by factory_boy: `from tests import factories`.

Each factory makes the rows around it too, all of one merchant: `ChannelStockFactory(connection__merchant=shop)`.
Levels start at zero; let the ledger post what should be on the shelf.
"""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import factory
from django.utils.timezone import now as utc_now

from channels import incidents
from channels import models as channels
from channels.alerts import models as alerts
from inventory import models as inventory
from onboarding import models as onboarding
from storestudio.accounts import models as accounts

PASSWORD = "correct horse battery"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = accounts.User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Faker("name")
    password = factory.django.Password(PASSWORD)


class MerchantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = accounts.Merchant

    name = factory.Sequence(lambda n: f"Shop {n}")
    slug = factory.Sequence(lambda n: f"shop-{n}")


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = accounts.Membership

    user = factory.SubFactory(UserFactory)
    merchant = factory.SubFactory(MerchantFactory)
    role = accounts.Membership.Role.OWNER


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = inventory.Product

    merchant = factory.SubFactory(MerchantFactory)
    title = factory.Sequence(lambda n: f"Linen Overshirt {n}")


class VariantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = inventory.Variant

    merchant = factory.SubFactory(MerchantFactory)
    product = factory.SubFactory(ProductFactory, merchant=factory.SelfAttribute("..merchant"))
    title = "M / Sand"
    sku = factory.Sequence(lambda n: f"LNO-{n:05d}")
    price = Decimal("49.00")


class VariantAliasFactory(factory.django.DjangoModelFactory):
    """What a variant was called before."""

    class Meta:
        model = inventory.VariantAlias

    variant = factory.SubFactory(VariantFactory)
    merchant = factory.SelfAttribute("variant.merchant")
    kind = inventory.VariantAlias.Kind.SKU
    value = factory.Sequence(lambda n: f"OLD-{n:05d}")
    key = factory.SelfAttribute("value")


class LocationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = inventory.Location

    merchant = factory.SubFactory(MerchantFactory)
    name = factory.Sequence(lambda n: f"High Street {n}")


class StockLevelFactory(factory.django.DjangoModelFactory):
    """An empty cell: only the ledger writes quantities."""

    class Meta:
        model = inventory.StockLevel

    merchant = factory.SubFactory(MerchantFactory)
    variant = factory.SubFactory(VariantFactory, merchant=factory.SelfAttribute("..merchant"))
    location = factory.SubFactory(LocationFactory, merchant=factory.SelfAttribute("..merchant"))


class ConnectionFactory(factory.django.DjangoModelFactory):
    """A paused connection with credentials that open nothing; `is_live=True` for an approved, live one."""

    class Meta:
        model = channels.Connection

    class Params:
        is_live = factory.Trait(
            state=channels.Connection.State.LIVE,
            approved_at=factory.LazyFunction(utc_now),
            opened_at=factory.LazyFunction(utc_now),
            last_heard_at=factory.LazyFunction(utc_now),
            polled_at=factory.LazyFunction(utc_now),
        )

    merchant = factory.SubFactory(MerchantFactory)
    channel = "square"
    label = factory.LazyAttribute(lambda row: row.channel.title())
    account_id = factory.Sequence(lambda n: f"ACCOUNT{n}")
    base_url = "http://127.0.0.1:9"
    number = channels.Connection.Number.AVAILABLE
    credentials = b""
    credentials_kid = "k1"


class ChannelLocationFactory(factory.django.DjangoModelFactory):
    """A place of the channel, mapped to a location of ours; `location=None` for one that nobody mapped."""

    class Meta:
        model = channels.ChannelLocation

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    external_id = factory.Sequence(lambda n: f"PLACE{n}")
    name = factory.Sequence(lambda n: f"Place {n}")
    location = factory.SubFactory(LocationFactory, merchant=factory.SelfAttribute("..merchant"))


class ListingFactory(factory.django.DjangoModelFactory):
    """A listing linked to a variant of ours; `is_unlinked=True` for one that waits."""

    class Meta:
        model = channels.Listing

    class Params:
        is_unlinked = factory.Trait(variant=None, link=channels.Listing.Link.UNLINKED)

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    external_id = factory.Sequence(lambda n: f"ITEM{n}")
    inventory_id = factory.SelfAttribute("external_id")
    variant = factory.SubFactory(VariantFactory, merchant=factory.SelfAttribute("..merchant"))
    link = channels.Listing.Link.LINKED
    product_title = factory.LazyAttribute(lambda row: row.variant.product.title if row.variant else "Wool Beanie")
    title = factory.LazyAttribute(lambda row: row.variant.title if row.variant else "Grey")
    sku = factory.LazyAttribute(lambda row: row.variant.sku if row.variant else "BNE-GRY")


class ChannelStockFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = channels.ChannelStock

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    listing = factory.SubFactory(ListingFactory, connection=factory.SelfAttribute("..connection"))
    channel_location = factory.SubFactory(ChannelLocationFactory, connection=factory.SelfAttribute("..connection"))
    desired = Decimal(5)
    expected = Decimal(5)
    observed = Decimal(5)
    observed_at = factory.LazyFunction(utc_now)


class AvailabilityRuleFactory(factory.django.DjangoModelFactory):
    """Keep two of everything back. Only the row: numbers follow when rules.save or rules.refresh is called."""

    class Meta:
        model = channels.AvailabilityRule

    merchant = factory.SubFactory(MerchantFactory)
    safety_stock = Decimal(2)


class CollisionFactory(factory.django.DjangoModelFactory):
    """Two units promised twice, long made good: an order came back."""

    class Meta:
        model = channels.Collision

    variant = factory.SubFactory(VariantFactory)
    merchant = factory.SelfAttribute("variant.merchant")
    location = factory.SubFactory(LocationFactory, merchant=factory.SelfAttribute("..merchant"))
    missing = Decimal(2)
    cause = channels.Collision.Cause.LATE
    cause_words = "Web shop sold 2 at 10:27:52, more than there was."
    claims = factory.LazyFunction(lambda: [{"name": "Order #1", "units": "2", "gets": "0", "why": "ordered later"}])
    closed_at = factory.LazyFunction(utc_now)
    closing = "Received: 2 available again."


class StockGapFactory(factory.django.DjangoModelFactory):
    """A disagreement that waits for a person; `state="healed"` and a deed for one that is over."""

    class Meta:
        model = channels.StockGap

    cell = factory.SubFactory(ChannelStockFactory)
    connection = factory.SelfAttribute("cell.connection")
    merchant = factory.SelfAttribute("cell.connection.merchant")
    listing = factory.SelfAttribute("cell.listing")
    channel_location = factory.SelfAttribute("cell.channel_location")
    variant = factory.SelfAttribute("cell.listing.variant")
    expected = Decimal(5)
    observed = Decimal(3)
    state = channels.StockGap.State.ASKED
    question = factory.LazyAttribute(lambda row: f"cell:{row.cell.pk}")
    judged_at = factory.LazyFunction(utc_now)


class RemoteChangeFactory(factory.django.DjangoModelFactory):
    """A change made in the dashboard, booked."""

    class Meta:
        model = channels.RemoteChange

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    external_id = factory.Sequence(lambda n: f"CHANGE-{n}")
    inventory_id = "ITEM"
    location_external_id = "PLACE"
    delta = Decimal(-2)
    occurred_at = factory.LazyFunction(utc_now)
    cause = "edited in the dashboard"
    made_by = "person"
    state = channels.RemoteChange.State.BOOKED


class InboundEventFactory(factory.django.DjangoModelFactory):
    """A delivery that waits; `is_done=True` for one applied 400 ms after it was received."""

    class Meta:
        model = channels.InboundEvent

    class Params:
        is_done = factory.Trait(
            state=channels.InboundEvent.State.DONE,
            applied_at=factory.LazyAttribute(lambda row: row.received_at + timedelta(milliseconds=400)),
        )
        is_quarantined = factory.Trait(
            state=channels.InboundEvent.State.QUARANTINED,
            error="KeyError: 'order_id'",
            attempts=6,
        )

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    topic = "order.updated"
    dedupe_key = factory.Sequence(lambda n: f"delivery-{n}")
    headers = factory.LazyFunction(dict)
    body = factory.LazyFunction(lambda: json.dumps({"type": "order.updated", "data": {"id": "ORDER1"}}).encode())
    received_at = factory.LazyFunction(utc_now)
    occurred_at = factory.LazyAttribute(lambda row: row.received_at - timedelta(milliseconds=300))


class ChannelWriteFactory(factory.django.DjangoModelFactory):
    """A call that was answered 250 ms after it was sent."""

    class Meta:
        model = channels.ChannelWrite

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    state = channels.ChannelWrite.State.DONE
    sent_at = factory.LazyFunction(utc_now)
    answered_at = factory.LazyAttribute(lambda row: row.sent_at and row.sent_at + timedelta(milliseconds=250))


class ChannelWriteLineFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = channels.ChannelWriteLine

    cell = factory.SubFactory(ChannelStockFactory)
    write = factory.SubFactory(ChannelWriteFactory, connection=factory.SelfAttribute("..cell.connection"))
    from_quantity = Decimal(5)
    to_quantity = Decimal(4)
    outcome = channels.ChannelWriteLine.Outcome.APPLIED
    sent_at = factory.SelfAttribute("write.sent_at")
    answered_at = factory.SelfAttribute("write.answered_at")
    dirty_at = factory.LazyAttribute(lambda row: (row.sent_at or utc_now()) - timedelta(milliseconds=100))
    cause_occurred_at = factory.LazyAttribute(lambda row: row.dirty_at - timedelta(milliseconds=900))


class IncidentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = channels.Incident

    connection = factory.SubFactory(ConnectionFactory)
    merchant = factory.SelfAttribute("connection.merchant")
    kind = channels.Incident.Kind.DRIFT
    key = factory.Sequence(lambda n: f"cause:{n}")
    severity = factory.LazyAttribute(lambda row: incidents.policy_of(row.kind).severity)
    title = "Square shows 7, it should show 5"


class AlertRouteFactory(factory.django.DjangoModelFactory):
    """A webhook of the shop's, whose address nobody can read."""

    class Meta:
        model = alerts.AlertRoute

    merchant = factory.SubFactory(MerchantFactory)
    channel = alerts.AlertRoute.Channel.WEBHOOK
    label = "#shop-floor"
    host = "hooks.example.com"
    address = b"sealed"
    address_kid = "k0"


class OrderFactory(factory.django.DjangoModelFactory):
    """An order as its channel describes it; post it through inventory.orders to move stock."""

    class Meta:
        model = inventory.Order

    merchant = factory.SubFactory(MerchantFactory)
    channel_id = 1
    external_id = factory.Sequence(lambda n: f"ORDER{n}")
    number = factory.Sequence(lambda n: f"#{1000 + n}")
    placed_at = factory.LazyFunction(utc_now)
    external_updated_at = factory.SelfAttribute("placed_at")


class OrderLineFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = inventory.OrderLine

    order = factory.SubFactory(OrderFactory)
    external_id = factory.Sequence(lambda n: f"LINE{n}")
    variant = factory.SubFactory(VariantFactory, merchant=factory.SelfAttribute("..order.merchant"))
    sku = factory.SelfAttribute("variant.sku")
    title = factory.LazyAttribute(lambda row: row.variant.full_title)
    quantity = Decimal(1)


class ImportBatchFactory(factory.django.DjangoModelFactory):
    """An import whose rows wait for a yes."""

    class Meta:
        model = onboarding.ImportBatch

    merchant = factory.SubFactory(MerchantFactory)
    name = factory.Sequence(lambda n: f"goods-{n}.csv")
    state = onboarding.ImportBatch.State.STAGED


class CatalogWriteFactory(factory.django.DjangoModelFactory):
    """A draft of cleaned fields for one channel; it has no lines yet."""

    class Meta:
        model = onboarding.CatalogWrite

    merchant = factory.SelfAttribute("connection.merchant")
    connection = factory.SubFactory(ConnectionFactory)


class FindingFactory(factory.django.DjangoModelFactory):
    """A variant whose SKU is written otherwise than the shop's others; accepting tidies it."""

    class Meta:
        model = onboarding.Finding

    class Params:
        variant = factory.SubFactory(
            VariantFactory,
            merchant=factory.SelfAttribute("..merchant"),
            sku=factory.Sequence(lambda n: f"lno {n:05d}"),
        )
        to = factory.LazyAttribute(lambda row: row.variant.sku.upper().replace(" ", "-"))

    merchant = factory.SubFactory(MerchantFactory)
    kind = onboarding.Finding.Kind.SKU_PATTERN
    key = factory.LazyAttribute(lambda row: f"variant:{row.variant.pk}")
    title = factory.LazyAttribute(lambda row: f"{row.variant.sku} is written otherwise than your SKUs")
    members = factory.LazyAttribute(
        lambda row: [
            {
                "type": "variant",
                "id": row.variant.pk,
                "label": row.variant.full_title,
                "sku": row.variant.sku,
                "gtin": row.variant.gtin,
                "price": str(row.variant.price),
                "options": row.variant.options,
                "units": "4",
                "channels": ["Web shop"],
            }
        ]
    )
    proposal = factory.LazyAttribute(
        lambda row: {
            "op": "set_sku",
            "variant_id": row.variant.pk,
            "sku": row.to,
            "editable": [{"name": "sku", "label": "SKU", "value": row.to}],
        }
    )
    evidence = factory.LazyFunction(lambda: [["38 of 41 SKUs are in capitals with “-”", 3.0]])
    confidence = 0.95
    risk = factory.Sequence(lambda n: 1000.0 - n)


class SuggestionFactory(factory.django.DjangoModelFactory):
    """A listing that waits, and the variant it most likely is."""

    class Meta:
        model = onboarding.Suggestion

    listing = factory.SubFactory(ListingFactory, is_unlinked=True)
    merchant = factory.SelfAttribute("listing.merchant")
    variant = factory.SubFactory(VariantFactory, merchant=factory.SelfAttribute("..listing.merchant"))
    score = 0.97
    verdict = onboarding.Suggestion.Verdict.REVIEW
    is_best = True
    evidence = factory.LazyFunction(lambda: [["SKU equal without dashes", 6.0], ["title 0.93", 3.1]])
    information = factory.Sequence(lambda n: 100.0 - n)


class SkuPatternFactory(factory.django.DjangoModelFactory):
    """How a shop writes its SKUs."""

    class Meta:
        model = onboarding.SkuPattern

    merchant = factory.SubFactory(MerchantFactory)
    pattern = "{vendor:3}-{style:4}-{color:3}-{size}"


class CleanupRuleFactory(factory.django.DjangoModelFactory):
    """An answer kept: write XL for X-Large."""

    class Meta:
        model = onboarding.CleanupRule

    merchant = factory.SubFactory(MerchantFactory)
    kind = onboarding.Finding.Kind.OPTION
    key = factory.Sequence(lambda n: f"value:size:{n}")
    decision = onboarding.Finding.State.ACCEPTED
    proposal = factory.LazyFunction(
        lambda: {
            "op": "write_value",
            "option": "size",
            "values": ["X-Large", "XL"],
            "to": "XL",
            "asked": ["X-Large", "XL"],
            "excluded": [],
        }
    )
