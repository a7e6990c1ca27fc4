"""Orders on the Shopify stand-in, over HTTP: what each step moves in stock, and what it announces."""

import base64
import hashlib
import hmac
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from shopify_sales import CONTRACT, ShopifySales, line_of, operation, places_of

from channels.sandbox.shopify import executor, order_state, orders
from channels.sandbox.shopify.models import FulfillmentOrderLineItem, InventoryLevel, LineItem, Order
from channels.sandbox.shopify.resolving import Context

needs_contract = pytest.mark.skipif(
    not (CONTRACT / "operations.graphql").exists(), reason="the contract pages are not beside this repository"
)


@pytest.fixture
def sales(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ShopifySales(server_url=live_server.url)


# Placing


def test_an_order_commits_its_units_where_all_of_them_lie(sales):
    mug = sales.stock(street=1, market=5)
    order = sales.place((mug, 3))
    assert places_of(order) == {sales.market.gid: 3}
    assert sales.units(mug, sales.market) == (2, 3, 5)
    assert sales.units(mug, sales.street) == (1, 0, 1)
    assert (order["displayFinancialStatus"], order["displayFulfillmentStatus"]) == ("PAID", "UNFULFILLED")


def test_an_order_no_place_can_fill_alone_is_split(sales):
    mug = sales.stock(street=2, market=5)
    order = sales.place((mug, 6))
    assert places_of(order) == {sales.street.gid: 2, sales.market.gid: 4}
    assert sales.units(mug, sales.street) == (0, 2, 2)
    assert sales.units(mug, sales.market) == (1, 4, 5)


def test_of_two_items_the_place_that_has_both_is_chosen(sales):
    mug, cup = sales.stock(street=5), sales.stock(street=0, market=5, sku="CUP")
    InventoryLevel.objects.filter(item=mug.item, location=sales.market).update(available=1)
    assert places_of(sales.place((mug, 1), (cup, 1))) == {sales.market.gid: 2}


def test_units_that_are_not_there_are_refused_and_nothing_moves(sales):
    mug = sales.stock(street=1, market=1)
    errors = sales.place((mug, 3), errors=True)
    assert errors[0]["code"] == "INVENTORY_CLAIM_FAILED"
    assert sales.units(mug, sales.street) == (1, 0, 1)
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("policy", "behaviour"), [("CONTINUE", "DECREMENT_OBEYING_POLICY"), ("DENY", "DECREMENT_IGNORING_POLICY")]
)
def test_a_variant_that_may_be_oversold_goes_below_zero_at_the_first_place(sales, policy, behaviour):
    mug = sales.stock(street=1, market=1, policy=policy)
    sales.place((mug, 5), behaviour=behaviour)
    assert sales.units(mug, sales.street) == (-3, 4, 1)
    assert sales.units(mug, sales.market) == (0, 1, 1)


def test_by_default_an_order_claims_no_stock(sales):
    mug = sales.stock(street=2)
    order = sales.place((mug, 2), behaviour=None)
    assert sales.units(mug, sales.street) == (2, 0, 2)
    sales.fulfil(order)
    assert sales.units(mug, sales.street) == (2, 0, 2)


def test_untracked_units_sell_without_limit_and_move_nothing(sales):
    mug = sales.stock(street=0, is_tracked=False)
    assert places_of(sales.place((mug, 9))) == {sales.street.gid: 9}
    assert sales.units(mug, sales.street) == (0, 0, 0)


def test_a_sale_at_the_till_leaves_at_once(sales):
    mug = sales.stock(street=5, market=5)
    order = sales.place((mug, 2), sourceName="pos", fulfillment={"locationId": sales.market.gid})
    assert sales.units(mug, sales.market) == (3, 0, 3)
    assert sales.units(mug, sales.street) == (5, 0, 5)
    assert order["retailLocation"]["id"] == sales.market.gid
    assert order["displayFulfillmentStatus"] == "FULFILLED"
    assert order["fulfillmentOrders"]["nodes"][0]["deliveryMethod"]["methodType"] == "RETAIL"


def test_a_till_sells_what_the_stock_says_is_not_there(sales):
    mug = sales.stock(street=1)
    sales.place((mug, 2), sourceName="pos", fulfillment={"locationId": sales.street.gid})
    assert sales.units(mug, sales.street) == (-1, 0, -1)


def test_an_order_is_picked_up_where_its_shipping_line_says(sales):
    mug = sales.stock(street=5, market=5)
    type(sales.market).objects.filter(pk=sales.market.pk).update(local_pickup={"pickupTime": "TWO_HOURS"})
    price = {"shopMoney": {"amount": "0.00", "currencyCode": "GBP"}}
    order = sales.place((mug, 1), shippingLines=[{"title": "Market", "priceSet": price}])
    row = order["fulfillmentOrders"]["nodes"][0]
    assert (row["deliveryMethod"]["methodType"], places_of(order)) == ("PICK_UP", {sales.market.gid: 1})
    given = {"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": row["id"]}]}
    signature = "$input: FulfillmentOrderLineItemsPreparedForPickupInput!"
    name = "fulfillmentOrderLineItemsPreparedForPickup"
    assert sales.do(name, signature, "userErrors { code }", input=given) == {"userErrors": []}
    assert sales.order(order)["displayFulfillmentStatus"] == "IN_PROGRESS"


@pytest.mark.parametrize(("units", "field"), [(0, "quantity"), (-1, "quantity")])
def test_a_line_without_units_is_refused(sales, units, field):
    errors = sales.place((sales.stock(street=2), units), errors=True)
    assert errors[0]["field"] == ["order", "lineItems", "0", field]


# Fulfilling


def test_units_that_leave_are_no_longer_on_hand(sales):
    mug = sales.stock(street=5)
    order = sales.place((mug, 3))
    assert sales.fulfil(order, units=1)["userErrors"] == []
    assert sales.units(mug, sales.street) == (2, 2, 4)
    assert sales.order(order)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert sales.fulfil(order)["userErrors"] == []
    assert sales.units(mug, sales.street) == (2, 0, 2)
    now = sales.order(order)
    assert now["fulfillmentOrders"]["nodes"][0]["status"] == "CLOSED"
    assert (line_of(now)["unfulfilledQuantity"], line_of(now)["currentQuantity"]) == (0, 3)


def test_more_than_remains_cannot_leave(sales):
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    assert sales.fulfil(order, units=3)["userErrors"]
    sales.fulfil(order)
    assert sales.fulfil(order)["userErrors"]
    assert sales.units(mug, sales.street) == (3, 0, 3)


def test_a_cancelled_fulfillment_is_committed_again(sales):
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    made = sales.fulfil(order)["fulfillment"]
    payload = sales.do("fulfillmentCancel", "$id: ID!", "fulfillment { status } userErrors { message }", id=made["id"])
    assert payload["fulfillment"]["status"] == "CANCELLED"
    assert sales.units(mug, sales.street) == (3, 2, 5)
    assert places_of(sales.order(order)) == {sales.street.gid: 2}


# Cancelling and refunding


@pytest.mark.parametrize(("restock", "left", "kind"), [(True, (5, 0, 5), "CANCEL"), (False, (3, 0, 3), "NO_RESTOCK")])
def test_cancelling_ends_the_commitment(sales, restock, left, kind):
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    payload = sales.cancel(order, restock=restock)
    assert payload["job"]["done"] is True
    assert sales.units(mug, sales.street) == left
    now = sales.order(order)
    assert (now["cancelReason"], bool(now["cancelledAt"]), bool(now["closedAt"])) == ("INVENTORY", True, True)
    assert (line_of(now)["quantity"], line_of(now)["currentQuantity"]) == (2, 0)
    assert [row["status"] for row in now["fulfillmentOrders"]["nodes"]] == ["CANCELLED"]
    assert places_of(now) == {sales.street.gid: 0}
    assert now["refunds"][0]["refundLineItems"]["nodes"][0]["restockType"] == kind


def test_an_order_is_cancelled_once_and_not_when_it_has_left(sales):
    mug = sales.stock(street=5)
    order, sent = sales.place((mug, 1)), sales.place((mug, 1))
    sales.cancel(order)
    sales.fulfil(sent)
    for one in (order, sent):
        assert sales.cancel(one)["orderCancelUserErrors"][0]["code"] == "INVALID"
    assert sales.units(mug, sales.street) == (4, 0, 4)


@pytest.mark.parametrize(
    ("is_fulfilled", "kind", "left"),
    [
        (False, "CANCEL", (4, 1, 5)),
        (False, "NO_RESTOCK", (3, 1, 4)),
        (True, "RETURN", (4, 0, 4)),
        (True, "NO_RESTOCK", (3, 0, 3)),
    ],
)
def test_a_refund_moves_stock_by_its_kind(sales, is_fulfilled, kind, left):
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    if is_fulfilled:
        sales.fulfil(order)
    place = None if kind == "NO_RESTOCK" else sales.street
    assert sales.refund(order, 1, kind, place=place)["userErrors"] == []
    assert sales.units(mug, sales.street) == left
    now = sales.order(order)
    line = line_of(now)
    assert (line["quantity"], line["currentQuantity"], line["refundableQuantity"]) == (2, 1, 1)
    assert line["nonFulfillableQuantity"] == (0 if is_fulfilled else 1)
    assert now["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    row = now["refunds"][0]["refundLineItems"]["nodes"][0]
    assert (row["restocked"], row["location"]) == (kind != "NO_RESTOCK", place and {"id": place.gid})


def test_a_return_is_put_where_it_is_handed_in(sales):
    mug = sales.stock(street=5, market=1)
    order = sales.place((mug, 2))
    sales.fulfil(order)
    sales.refund(order, 2, "RETURN", place=sales.market)
    assert sales.units(mug, sales.market) == (3, 0, 3)
    assert sales.units(mug, sales.street) == (3, 0, 3)
    assert sales.order(order)["displayFinancialStatus"] == "REFUNDED"


def test_no_more_is_refunded_than_there_is(sales):
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    sales.refund(order, 1, "CANCEL", place=sales.street)
    before = sales.units(mug, sales.street)
    for units, kind in ((2, "CANCEL"), (1, "RETURN"), (2, "NO_RESTOCK"), (0, "CANCEL")):
        assert sales.refund(order, units, kind)["userErrors"], (units, kind)
    assert sales.units(mug, sales.street) == before
    assert len(sales.order(order)["refunds"]) == 1


SUGGESTED = """
query($id: ID!, $lines: [RefundLineItemInput!]) {
  order(id: $id) {
    totalRefundedSet { shopMoney { amount } }
    suggestedRefund(refundLineItems: $lines) {
      amountSet { shopMoney { amount } }
      maximumRefundableSet { shopMoney { amount } }
      suggestedTransactions { gateway maximumRefundableSet { shopMoney { amount } } parentTransaction { id } }
    }
  }
}
"""


def money_of(sales, order, units):
    """What was given back, what `units` come to, the most there is, and the payments they would go to."""
    lines = [{"lineItemId": line_of(order)["id"], "quantity": units}]
    shown = sales.ask(SUGGESTED, id=order["id"], lines=lines)["order"]
    told = shown["suggestedRefund"]
    sums = [shown["totalRefundedSet"], told["amountSet"], told["maximumRefundableSet"]]
    return [one["shopMoney"]["amount"] for one in sums], told["suggestedTransactions"]


def test_no_more_money_is_given_back_than_was_paid_nor_by_another_payment(sales):
    order = sales.place((sales.stock(street=5), 3))  # at 5.00
    sums, (payment,) = money_of(sales, order, 2)
    assert sums == ["0.00", "10.00", "15.00"]

    def give(units, amount, parent=payment["parentTransaction"]["id"], **more):
        part = {"orderId": order["id"], "kind": "REFUND", "gateway": payment["gateway"], "amount": amount}
        parts = [part | {"parentId": parent}]
        return sales.refund(order, units, "CANCEL", place=sales.street, transactions=parts, **more)["userErrors"]

    assert give(1, "15.01")[0]["message"] == "Refund amount cannot be greater than the amount refundable"
    assert give(1, "1.00", parent="gid://shopify/OrderTransaction/1")
    assert sales.order(order)["refunds"] == []
    assert give(1, "12.00") == []
    assert sales.order(order)["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert money_of(sales, order, 1)[0] == ["12.00", "3.00", "3.00"]
    assert give(1, "4.00")
    assert give(1, "4.00", allowOverRefunding=True) == []
    assert money_of(sales, order, 1) == (["16.00", "0.00", "0.00"], [])
    assert sales.refund(order, 1, "CANCEL", place=sales.street, transactions=[])["userErrors"] == []
    assert money_of(sales, order, 1)[0][0] == "16.00"  # no transaction, no money
    unpaid = sales.place((sales.stock(street=5, sku="BOWL"), 1), financialStatus="PENDING")
    assert money_of(sales, unpaid, 1)[0] == ["0.00", "0.00", "0.00"]


# Moving, editing, drafts


def test_a_move_takes_commitment_and_availability_along(sales):
    mug = sales.stock(street=5, market=4)
    order = sales.place((mug, 3))
    payload = sales.move(order, sales.market)
    assert payload["movedFulfillmentOrder"]["id"] == payload["originalFulfillmentOrder"]["id"]
    assert sales.units(mug, sales.street) == (5, 0, 5)
    assert sales.units(mug, sales.market) == (1, 3, 4)
    assert places_of(sales.order(order)) == {sales.market.gid: 3}


def test_a_part_moves_into_a_fulfillment_order_of_its_own(sales):
    mug = sales.stock(street=5, market=4)
    order = sales.place((mug, 3))
    sales.move(order, sales.market, units=1)
    assert places_of(sales.order(order)) == {sales.street.gid: 2, sales.market.gid: 1}
    assert sales.units(mug, sales.street) == (3, 2, 5)
    assert sales.units(mug, sales.market) == (3, 1, 4)


def test_units_do_not_move_to_where_they_are_not_stocked_nor_once_they_have_left(sales):
    mug = sales.stock(street=5, market=5)
    order = sales.place((mug, 1))
    InventoryLevel.objects.filter(item=mug.item, location=sales.market).update(is_active=False)
    assert sales.move(order, sales.market)["userErrors"]
    InventoryLevel.objects.filter(item=mug.item, location=sales.market).update(is_active=True)
    sales.fulfil(order)
    assert sales.move(order, sales.market)["userErrors"]
    assert sales.units(mug, sales.market) == (5, 0, 5)


def test_rerouting_finds_the_other_place(sales):
    mug = sales.stock(street=5, market=4)
    order = sales.place((mug, 3))
    ids = [order["fulfillmentOrders"]["nodes"][0]["id"]]
    selection = "movedFulfillmentOrders { id } userErrors { code }"
    sales.do("fulfillmentOrdersReroute", "$fulfillmentOrderIds: [ID!]!", selection, fulfillmentOrderIds=ids)
    assert places_of(sales.order(order)) == {sales.market.gid: 3}


@pytest.mark.parametrize(("restock", "left"), [(True, (4, 1, 5)), (False, (2, 1, 3))])
def test_an_edit_takes_effect_when_committed(sales, restock, left):
    mug = sales.stock(street=5)
    order = sales.place((mug, 3))
    edit = sales.edit(order)
    assert sales.edit_quantity(edit, line_of(order), 1, restock=restock)["calculatedLineItem"]["quantity"] == 1
    assert sales.units(mug, sales.street) == (2, 3, 5)
    line = line_of(sales.commit(edit))
    assert (line["quantity"], line["currentQuantity"], line["unfulfilledQuantity"]) == (3, 1, 1)
    assert sales.units(mug, sales.street) == left


def test_an_edit_adds_a_variant(sales):
    mug, cup = sales.stock(street=5), sales.stock(street=5, sku="CUP")
    edit = sales.edit(sales.place((mug, 1)))
    assert sales.edit_add(edit, cup, 2)["calculatedLineItem"]["sku"] == "CUP"
    order = sales.commit(edit)
    assert [line["sku"] for line in order["lineItems"]["nodes"]] == ["MUG", "CUP"]
    assert places_of(order) == {sales.street.gid: 3}
    assert sales.units(cup, sales.street) == (3, 2, 5)


def test_a_draft_reserves_and_its_order_commits(sales):
    mug = sales.stock(street=5)
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    draft = sales.draft(mug, 2, until=until)
    assert sales.units(mug, sales.street) == (3, 0, 5)
    assert sales.complete(draft)["draftOrder"]["status"] == "COMPLETED"
    assert sales.units(mug, sales.street) == (3, 2, 5)
    assert sales.complete(draft)["userErrors"]


# Races


def race(sales, mug, *, buyers):
    """Place that many orders at one moment; how many were taken."""
    barrier, taken = threading.Barrier(buyers), []

    def buy():
        barrier.wait()
        taken.append(sales.place((mug, 1), errors=True) == [])

    threads = [threading.Thread(target=buy) for _ in range(buyers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(taken)


@pytest.mark.race
def test_of_orders_for_the_last_unit_one_wins(sales):
    mug = sales.stock(street=1)
    assert race(sales, mug, buyers=4) == 1
    assert sales.units(mug, sales.street) == (0, 1, 1)


@pytest.mark.race
def test_without_the_lock_the_last_unit_is_sold_twice(sales, monkeypatch):
    """The control: both look before either takes."""
    mug = sales.stock(street=1)
    looked = threading.Barrier(2, timeout=5)
    look = orders.refuse_short

    def look_and_wait(**given):
        look(**given)
        looked.wait()

    monkeypatch.setattr(orders, "lock_stock", lambda demands: None)
    monkeypatch.setattr(orders, "refuse_short", look_and_wait)
    assert race(sales, mug, buyers=2) == 2
    assert sales.units(mug, sales.street) == (-1, 2, 1)


def test_the_lock_is_held_until_the_commit(sales):
    mug = sales.stock(street=1)
    with transaction.atomic():
        order_state.lock_levels(item_ids=[mug.item_id])
        taken = []
        buyer = threading.Thread(target=lambda: taken.append(sales.place((mug, 1), errors=True)))
        buyer.start()
        buyer.join(timeout=0.5)
        assert taken == []
    buyer.join(timeout=10)
    assert taken == [[]]


def play(sales, variants, *, seed, steps):
    """One seller's random steps; each order is the seller's own, the stock is everybody's."""
    dice, mine = random.Random(seed), []
    for _ in range(steps):
        step = dice.choice(["place", "fulfil", "cancel", "refund", "move"]) if mine else "place"
        order = sales.order(dice.choice(mine)) if mine else {}
        if step == "place":
            lines = [(variant, dice.randint(1, 3)) for variant in dice.sample(variants, k=dice.randint(1, 2))]
            payload = sales.place(*lines, behaviour="DECREMENT_IGNORING_POLICY")
            mine.append(payload)
        elif step == "fulfil":
            sales.fulfil(order, units=1)
        elif step == "cancel":
            sales.cancel(order, restock=dice.random() < 0.5)
        elif step == "refund":
            kind = dice.choice(["CANCEL", "RETURN", "NO_RESTOCK"])
            sales.refund(order, 1, kind, place=None if kind == "NO_RESTOCK" else sales.street)
        else:
            sales.move(order, dice.choice([sales.street, sales.market]))


@pytest.mark.race
def test_after_many_steps_at_once_what_is_committed_is_what_remains(sales):
    variants = [sales.stock(street=9, market=9), sales.stock(street=9, market=9, sku="CUP")]
    with ThreadPoolExecutor(3) as pool:
        sellers = [pool.submit(play, sales, variants, seed=seed, steps=14) for seed in (1, 2, 3)]
        for seller in sellers:
            seller.result()
    for level in InventoryLevel.objects.order_by("pk"):
        rows = FulfillmentOrderLineItem.objects.filter(
            line__item=level.item, fulfillment_order__location=level.location, remaining__gt=0
        )
        assert level.committed == sum(row.remaining for row in rows), level
    for line in LineItem.objects.order_by("pk"):
        remains = sum(row.remaining for row in line.fulfillment_order_lines.all())
        assert 0 <= remains <= line.current_quantity <= line.quantity, line


# Webhooks


def test_an_order_is_announced_signed_and_without_the_customer(sales):
    sales.listen("ORDERS_CREATE", "FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE")
    mug = sales.stock(street=5)
    order = sales.place((mug, 2))
    (told,) = sales.told("orders/create")
    digest = hmac.new(sales.shop.app.client_secret.encode(), bytes(told.body), hashlib.sha256).digest()
    assert told.headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()
    body = json.loads(bytes(told.body))
    assert order["id"] == f"gid://shopify/Order/{body['id']}" == body["admin_graphql_api_id"]
    line = body["line_items"][0]
    assert (line["quantity"], line["fulfillable_quantity"], line["sku"], line["price"]) == (2, 2, "MUG", "5.00")
    assert (body["customer"], body["email"], body["shipping_address"]) == (None, None, None)
    assert len(sales.told("fulfillment_orders/order_routing_complete")) == 1


def test_every_change_is_announced_and_moves_updated_at(sales):
    topics = "ORDERS_UPDATED ORDERS_EDITED ORDERS_CANCELLED REFUNDS_CREATE FULFILLMENTS_CREATE FULFILLMENT_ORDERS_MOVED"
    sales.listen(*topics.split(), "FULFILLMENT_ORDERS_CANCELLED")
    mug = sales.stock(street=9, market=9)
    order = sales.place((mug, 4))
    seen = [order["updatedAt"]]

    def step(work, topic):
        before = len(sales.told(topic))
        work()
        seen.append(sales.order(order)["updatedAt"])
        assert len(sales.told(topic)) == before + 1, topic
        assert seen[-1] > seen[-2], topic

    step(lambda: sales.move(order, sales.market), "fulfillment_orders/moved")
    edit = sales.edit(order)
    sales.edit_quantity(edit, line_of(order), 3, restock=True)
    step(lambda: sales.commit(edit), "orders/edited")
    step(lambda: sales.refund(order, 1, "CANCEL", place=sales.market), "refunds/create")
    step(lambda: sales.cancel(order), "orders/cancelled")
    assert len(sales.told("orders/updated")) >= 4
    assert len(sales.told("fulfillment_orders/cancelled")) == 1
    edited = json.loads(bytes(sales.told("orders/edited")[0].body))["order_edit"]
    assert [row["delta"] for row in edited["line_items"]["removals"]] == [1]
    moved = json.loads(bytes(sales.told("fulfillment_orders/moved")[0].body))
    assert moved["source_location"]["id"] == sales.street.gid
    refund = json.loads(bytes(sales.told("refunds/create")[0].body))
    assert [row["restock_type"] for row in refund["refund_line_items"]] == ["cancel"]


@needs_contract
@pytest.mark.parametrize("name", ["orders_create", "orders_cancelled", "refunds_create", "orders_edited"])
def test_bodies_have_the_fields_of_the_samples_that_concern_goods(sales, name):
    """Our fields are the vendor's; of the sample's, those about people, checkouts and carriers may be missing."""
    topic = name.upper()
    sales.listen(topic)
    order = sales.place((sales.stock(street=5), 2))
    if name == "orders_edited":
        edit = sales.edit(order)
        sales.edit_quantity(edit, line_of(order), 1, restock=True)
        sales.commit(edit)
    elif name != "orders_create":
        sales.cancel(order)
    body = json.loads(bytes(sales.told(name.replace("_", "/"))[0].body))
    sample = json.loads((CONTRACT / "payloads" / f"{name}.json").read_text())
    assert set(body) <= set(sample)
    for key in ("line_items", "refund_line_items"):
        if key in sample:
            assert set(body[key][0]) <= set(sample[key][0])
            missing = set(sample[key][0]) - set(body[key][0])
            assert missing <= {"attributed_staffs", "sales_line_item_group_id"}


# Reading


@needs_contract
def test_the_contract_s_queries_read_orders(sales):
    mug = sales.stock(street=5, market=5)
    order = sales.place((mug, 2))
    sales.refund(order, 1, "CANCEL", place=sales.street)
    full = sales.ask(operation("OrderById"), id=order["id"])["order"]
    assert line_of(full)["variant"]["inventoryItem"]["id"] == mug.item.gid
    assert full["refunds"][0]["refundLineItems"]["nodes"][0]["location"]["id"] == sales.street.gid
    since = (timezone.now() - timedelta(minutes=5)).isoformat()
    page = sales.ask(operation("OrdersSince"), query=f"updated_at:>='{since}'")["orders"]
    assert [row["id"] for row in page["nodes"]] == [order["id"]]
    rows = sales.ask(
        operation("OpenFulfillmentOrders"), query=f"assigned_location_id:{sales.street.pk} AND status:open"
    )
    node = rows["fulfillmentOrders"]["nodes"][0]
    assert (node["orderId"], node["lineItems"]["nodes"][0]["inventoryItemId"]) == (order["id"], mug.item.gid)
    where = sales.ask(operation("WhereCanItMove"), id=node["id"])["fulfillmentOrder"]["locationsForMove"]["nodes"]
    assert [(row["location"]["id"], row["movable"]) for row in where] == [(sales.market.gid, True)]


def test_orders_are_found_and_sorted(sales):
    mug = sales.stock(street=9)
    first, second, third = (sales.place((mug, 1)) for _ in range(3))
    sales.fulfil(second)
    sales.cancel(third)

    def found(query, **more):
        text = (
            "query($q: String, $r: Boolean) { orders(first: 9, query: $q, sortKey: ID, reverse: $r) { nodes { id } } }"
        )
        return [row["id"] for row in sales.ask(text, q=query, **more)["orders"]["nodes"]]

    assert found("status:open") == [first["id"], second["id"]]
    assert found("status:cancelled") == [third["id"]]
    assert found("fulfillment_status:fulfilled") == [second["id"]]
    assert found("fulfillment_status:unfulfilled status:open") == [first["id"]]
    assert found(f"name:{first['name']}") == [first["id"]]
    assert found(f"id:>{first['id'].rsplit('/', 1)[1]}", r=True) == [third["id"], second["id"]]
    assert found("source_name:pos") == []
    assert found("financial_status:paid") == [first["id"], second["id"], third["id"]]


def queries(sales, name, **variables):
    """How many statements the contract's query takes here."""
    context = Context(shop=sales.shop, app=sales.shop.app, now=timezone.now())
    with CaptureQueriesContext(connection) as seen:
        answer = executor.run(context=context, query=operation(name), variables=variables, operation_name=name)
    assert "errors" not in answer
    return len(seen)


@needs_contract
@pytest.mark.parametrize("name", ["OrdersSince", "OpenFulfillmentOrders"])
def test_reading_more_orders_takes_no_more_queries(sales, name):
    mug = sales.stock(street=99)
    sales.place((mug, 1))
    few = queries(sales, name)
    for _ in range(4):
        sales.place((mug, 1))
    assert queries(sales, name) == few


@needs_contract
def test_reading_an_order_of_many_lines_takes_no_more_queries(sales):
    variants = [sales.stock(street=9, sku=sku) for sku in ("MUG", "CUP", "JUG", "PAN")]
    small, large = sales.place((variants[0], 2)), sales.place(*[(variant, 2) for variant in variants])
    for order in (small, large):
        for line in order["lineItems"]["nodes"]:
            only = {"lineItems": {"nodes": [line]}, "id": order["id"]}
            assert sales.refund(only, 1, "CANCEL", place=sales.street)["userErrors"] == []
    taken = [queries(sales, "OrderById", id=order["id"]) for order in (small, large)]
    assert taken[0] == taken[1]
