"""The Shopify connector beside the stand-in's own numbers: what we read of orders explains the shelf."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from channels.connectors.shopify import ShopifyConnector, webhooks
from channels.ports import Account, ChannelOrder, CountWrite, WriteOutcome
from channels.sandbox.models import Switch
from channels.sandbox.shopify.models import InventoryLevel, ProductVariant, WebhookSubscription
from tests.sandbox.shopify_sales import ShopifySales, line_of

pytestmark = pytest.mark.django_db(transaction=True)
HOOK = "https://studio.example.com/webhooks/shopify/a-token"
NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
START = 60


@pytest.fixture
def sales(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ShopifySales(server_url=live_server.url)


@pytest.fixture
def shopify(sales):
    return ShopifyConnector(
        account=Account(
            account_id=sales.shop.domain,
            base_url=sales.url.partition("/admin/")[0],
            credentials={"access_token": sales.token, "client_secret": sales.shop.app.client_secret},
            webhook_url=HOOK,
        )
    )


# --- orders by state ----------------------------------------------------------------------------------------


def explained(orders: dict[str, ChannelOrder]) -> tuple[Counter, Counter, Counter]:
    """Units by variant and place that the orders as read took off what is available, hold, and took off the shelf."""
    available, committed, on_hand = Counter(), Counter(), Counter()
    for order in orders.values():
        variants = {line.external_id: line.listing_external_id for line in order.lines}
        for line in order.lines:
            for hold in line.holds:
                cell = line.listing_external_id, hold.location_id
                available[cell] += int(hold.committed + hold.fulfilled)
                committed[cell] += int(hold.committed)
                on_hand[cell] += int(hold.fulfilled)
        for back in order.returns:
            if back.restocked:
                cell = variants[back.line_external_id], back.location_id
                available[cell] -= int(back.quantity)
                on_hand[cell] -= int(back.quantity)
    return available, committed, on_hand


def taken() -> tuple[Counter, Counter, Counter]:
    """The same, by the stand-in's own levels."""
    available, committed, on_hand = Counter(), Counter(), Counter()
    for level in InventoryLevel.objects.select_related("item__variant", "location"):
        cell = level.item.variant.gid, level.location.gid
        available[cell] = START - level.available
        committed[cell] = level.committed
        on_hand[cell] = START - level.on_hand
    return available, committed, on_hand


def something_happens(sales: ShopifySales, dice: random.Random, placed: list[dict]) -> str:
    """One step of a merchant's day; the id of the order it happened to. The vendor may refuse it."""
    steps = ["place", "till", "fulfil", "fulfil", "unfulfil", "cancel", "refund", "refund", "move", "edit"]
    step = dice.choice(steps) if placed else "place"
    if step in ("place", "till"):
        variants = list(ProductVariant.objects.select_related("item").order_by("pk"))
        lines = [(variant, dice.randint(1, 3)) for variant in dice.sample(variants, k=dice.randint(1, 2))]
        place = dice.choice([sales.street, sales.market])
        more = {"sourceName": "pos", "fulfillment": {"locationId": place.gid}} if step == "till" else {}
        placed.append(sales.place(*lines, **more))
        return placed[-1]["id"]
    order = sales.order(dice.choice(placed))
    if step == "fulfil":
        sales.fulfil(order, units=1, index=dice.randrange(len(order["fulfillmentOrders"]["nodes"])))
    elif step == "unfulfil" and order["fulfillments"]:
        one = dice.choice(order["fulfillments"])["id"]
        sales.do("fulfillmentCancel", "$id: ID!", "fulfillment { status } userErrors { message }", id=one)
    elif step == "cancel":
        sales.cancel(order, restock=dice.random() < 0.5)
    elif step == "refund":
        kind = dice.choice(["CANCEL", "RETURN", "NO_RESTOCK"])
        place = dice.choice([sales.street, sales.market]) if kind == "RETURN" else None
        sales.refund(order, dice.randint(1, 2), kind, place=place)
    elif step == "move" and not has_lost(order):
        sales.move(order, dice.choice([sales.street, sales.market]))
    elif step == "edit" and not order["cancelledAt"]:
        edit, line = sales.edit(order), line_of(order)
        sales.edit_quantity(edit, line, max(0, line["currentQuantity"] + dice.choice([-1, 1])), restock=True)
        sales.commit(edit)
    return order["id"]


def has_lost(order: dict) -> bool:
    kinds = {node["restockType"] for one in order["refunds"] for node in one["refundLineItems"]["nodes"]}
    return "NO_RESTOCK" in kinds


@pytest.mark.parametrize("seed", [5, 8])
def test_whatever_happens_to_orders_what_we_read_explains_the_shelf(sales, shopify, seed):
    for sku in ("MUG", "CUP"):
        sales.stock(street=START, market=START, sku=sku)
    dice, placed, read = random.Random(seed), [], {}
    for step in range(40):
        order_id = something_happens(sales, dice, placed)
        (read[order_id],) = shopify.fetch_orders(order_ids=[order_id])
        for ours, theirs in zip(explained(read), taken(), strict=True):
            assert +ours == +theirs, f"seed {seed}, step {step}"
    for order in read.values():
        for line in order.lines:
            left = sum(hold.fulfilled for hold in line.holds)
            assert sum(back.quantity for back in order.returns if back.line_external_id == line.external_id) <= left


def test_units_lost_before_the_rest_moves_are_told_where_the_rest_is(sales, shopify):
    """A limit of what orders tell: nothing says where they lay. The shop's total is right, its places are not."""
    mug = sales.stock(street=START, market=START)
    order = sales.place((mug, 3))
    sales.refund(order, 2, "NO_RESTOCK")
    before = explained({order["id"]: shopify.fetch_orders(order_ids=[order["id"]])[0]})
    assert [+ours for ours in before] == [+theirs for theirs in taken()]
    sales.move(sales.order(order), sales.market)

    after = explained({order["id"]: shopify.fetch_orders(order_ids=[order["id"]])[0]})

    assert [ours.total() for ours in after] == [theirs.total() for theirs in taken()]
    assert after[2] == {(mug.gid, sales.market.gid): 2}


def test_control_orders_read_before_the_last_step_do_not_explain_the_shelf(sales, shopify):
    mug = sales.stock(street=START, market=START)
    order = sales.place((mug, 2))
    read = {one.external_id: one for one in shopify.fetch_orders(order_ids=[order["id"]])}
    sales.fulfil(order)

    assert explained(read)[2] != taken()[2]


def test_units_an_edit_took_off_without_restocking_show_in_the_count_only(sales, shopify):
    """The limit of what orders tell: the edit leaves no trace of where its units went."""
    mug = sales.stock(street=START)
    order = sales.place((mug, 3))
    edit = sales.edit(order)
    sales.edit_quantity(edit, line_of(order), 1, restock=False)
    sales.commit(edit)

    (read,) = shopify.fetch_orders(order_ids=[order["id"]])
    (count,) = shopify.read_counts(inventory_ids=[mug.item.gid], location_ids=[sales.street.gid])

    assert [(hold.committed, hold.fulfilled) for hold in read.lines[0].holds] == [(1, 0)]
    assert count.quantity == START - 3


def test_an_order_is_told_once_however_many_of_its_parts_are_asked_for(sales, shopify):
    mug = sales.stock(street=START, market=START)
    order = sales.place((mug, 3))
    sales.move(order, sales.market, units=1)
    parts = [node["id"] for node in sales.order(order)["fulfillmentOrders"]["nodes"]]

    (read,) = shopify.fetch_orders(order_ids=[*parts, order["id"], "gid://shopify/FulfillmentOrder/1"])

    assert len(parts) == 2
    assert (read.external_id, sorted(read.asked_as)) == (order["id"], sorted(parts))
    assert shopify.fetch_orders(order_ids=[order["id"]])[0].asked_as == ()


# --- counts -------------------------------------------------------------------------------------------------


def test_items_that_lie_in_many_places_are_read_whole(sales, shopify):
    mug, cup = sales.stock(street=1, market=2), sales.stock(street=3, sku="CUP")
    for n in range(8):
        place = sales.shop.locations.create(name=f"Kiosk {n}", rank=10 + n)
        InventoryLevel.objects.create(item=mug.item, location=place, available=n, is_active=n != 3)
    places = [place.gid for place in sales.shop.locations.order_by("rank")]

    counts = shopify.read_counts(inventory_ids=[cup.item.gid, mug.item.gid], location_ids=places)

    of_mug = {count.location_id: count.quantity for count in counts if count.inventory_id == mug.item.gid}
    assert len(of_mug) == 9  # the level that is not active is left out, not zero
    assert places[5] not in of_mug
    assert [of_mug[place] for place in places[6:]] == [4, 5, 6, 7]
    assert {count.quantity for count in counts if count.inventory_id == cup.item.gid} == {0, 3}


@pytest.mark.parametrize("is_atomic", [True, False])
def test_a_neighbour_of_a_stale_line_is_told_as_it_was_written_or_not(sales, shopify, is_atomic):
    """Whether the vendor takes a batch whole is not established: we say what is so, either way."""
    Switch.objects.create(name="shopify.set_is_atomic", value=is_atomic)
    mug = sales.stock(street=5, market=5)
    writes = [
        CountWrite(mug.item.gid, sales.street.gid, Decimal(4), Decimal(1)),
        CountWrite(mug.item.gid, sales.market.gid, Decimal(5), Decimal(2)),
    ]

    stale, other = shopify.write_counts(writes=writes, idempotency_key="K1", now=NOW)

    assert stale.outcome is WriteOutcome.STALE
    assert other.outcome is (WriteOutcome.SKIPPED if is_atomic else WriteOutcome.APPLIED)
    assert other.quantity_after == (None if is_atomic else 2)
    assert sales.units(mug, sales.market)[0] == (5 if is_atomic else 2)


# --- subscriptions ------------------------------------------------------------------------------------------


def addresses(sales) -> Counter:
    return Counter(WebhookSubscription.objects.filter(shop=sales.shop).values_list("uri", flat=True))


def test_subscriptions_under_an_earlier_host_are_replaced_and_a_strangers_left_alone(sales, shopify):
    old, stranger = HOOK.replace("studio", "tunnel"), HOOK.replace("a-token", "another-token")
    for uri in (old, stranger):
        WebhookSubscription.objects.create(shop=sales.shop, topic="ORDERS_CREATE", uri=uri)

    assert list(shopify.subscribe(existing_only=True)) == []
    assert addresses(sales) == {old: 1, stranger: 1}  # looking changes nothing

    made = shopify.subscribe()
    assert {one.url for one in made} == {HOOK}
    assert addresses(sales) == {HOOK: len(webhooks.TOPICS), stranger: 1}

    shopify.unsubscribe()
    assert addresses(sales) == {stranger: 1}


def test_a_topic_we_no_longer_want_is_given_up_and_a_lost_one_made_anew(sales, shopify):
    shopify.subscribe()
    WebhookSubscription.objects.filter(shop=sales.shop, topic="ORDERS_UPDATED").delete()
    WebhookSubscription.objects.create(shop=sales.shop, topic="CARTS_CREATE", uri=HOOK)

    shopify.subscribe()

    topics = WebhookSubscription.objects.filter(shop=sales.shop).values_list("topic", flat=True)
    assert sorted(topics) == sorted(webhooks.TOPICS)
