"""Everything that befalls an order, at the web shop's and the till's stand-ins over real HTTP: the shop counts right.

After each step all is worked off, and then the ledger, what the vendors show, what we believe and what we want agree.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import approvals, inbox, linking, polling, publisher
from channels.models import InboundEvent, Incident
from channels.sandbox import bringup, deliveries
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Delivery
from channels.sandbox.shopify.models import ProductVariant, Shop
from channels.sandbox.square.models import Account
from channels.sandbox.trading import settling
from inventory import bundles
from inventory.bundles import Part
from inventory.models import Order, OrderLine, StockLevel, Variant
from storestudio.accounts.models import Merchant, User
from tests.sandbox.shopify_sales import ShopifySales
from tests.sandbox.square_shop import SquareShop, moment

pytestmark = pytest.mark.django_db(transaction=True)
PLACES = ("High Street", "Market")
SKUS = ("BOWL", "CUP", "JUG", "MUG", "PLATE", "SAUCER", "VASE")
ROUNDS_MAX = 30


class LivingShop:
    """Twenty of each thing at each of two places, and sets of a cup and two saucers, at a till and a web shop."""

    def __init__(self, *, server_url):
        goods = [
            Goods(sku.lower(), sku, [GoodsVariant(sku, Decimal(9), counts=dict.fromkeys(PLACES, units))])
            for sku, units in (*((sku, 20) for sku in SKUS), ("SET", 0))
        ]
        self.merchant = Merchant.objects.create(name="Corner", slug="corner")
        self.owner = User.objects.create_user("o@corner.example")
        self.pair = bringup.bring_up(
            merchant=self.merchant, actor=self.owner, goods=goods, places=PLACES,
            domain="corner.myshopify.com", say=lambda words: None,
        )  # fmt: skip
        self.web = ShopifySales(server_url=server_url, shop=Shop.objects.get())
        self.till = SquareShop(server_url=server_url, account=Account.objects.get())
        parts = [Part(self.ours("CUP").pk, Decimal(1)), Part(self.ours("SAUCER").pk, Decimal(2))]
        bundles.define(variant=self.ours("SET"), parts=parts, is_stocked=False, actor=None)
        self.check()

    def ours(self, sku):
        return Variant.objects.get(sku=sku)

    def on_web(self, sku):
        return ProductVariant.objects.get(item__sku=sku)

    def at_till(self, sku):
        return self.pair.till.listings.get(sku=sku).external_id

    def work(self):
        """One round of what deliverer, dispatcher and workers do."""
        until = timezone.now() + timedelta(seconds=5)
        with ThreadPoolExecutor(1) as pool:
            deliveries.send_due(pool=pool)
        for connection in (self.pair.till, self.pair.web):
            inbox.process(connection_id=connection.pk, until=until)
            publisher.publish(connection_id=connection.pk, until=until)
            if connection.cells.filter(recheck_at__lte=timezone.now()).exists():
                polling.poll(connection_id=connection.pk)

    def rest(self):
        """Work until all is at rest."""
        for _ in range(ROUNDS_MAX):
            self.work()
            if settling.waiting(self.merchant).nothing:
                break
        assert settling.waiting(self.merchant).nothing, str(settling.waiting(self.merchant))

    def check(self):
        """Once all is at rest every number agrees, and nothing came back that had not been sold."""
        self.rest()
        assert settling.breaches(self.merchant) == []
        assert not InboundEvent.objects.filter(state="quarantined").exists()
        assert not [
            line for line in OrderLine.objects.order_by("pk") if line.restocked + line.written_off > line.fulfilled
        ]

    def held(self, sku):
        """(on hand, committed) at each place, after a check."""
        self.check()
        return self.levels(sku)

    def levels(self, sku):
        levels = StockLevel.objects.filter(variant__sku=sku).order_by("location__name")
        return [(int(level.on_hand), int(level.committed)) for level in levels]

    def latest(self):
        """The state of the youngest order, and (sold, restocked, written off) of its lines."""
        order = Order.objects.latest("pk")
        lines = order.lines.order_by("pk").values_list("fulfilled", "restocked", "written_off")
        return order.state, [tuple(map(int, line)) for line in lines]


@pytest.fixture
def shop(live_server, settings):
    settings.ROOT_URLCONF = "tests.simulation.urls"
    settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
    return LivingShop(server_url=live_server.url)


def test_a_web_order_is_sent_in_parts_edited_cancelled_and_drafted(shop):
    web = shop.web
    order = web.place((shop.on_web("MUG"), 3), (shop.on_web("BOWL"), 1))
    assert shop.held("MUG") == [(20, 3), (20, 0)]
    web.fulfil(order, units=1)
    assert shop.held("MUG") == [(19, 2), (20, 0)]
    assert (shop.latest()[0], shop.held("BOWL")) == ("open", [(20, 1), (20, 0)])
    web.fulfil(order)
    assert shop.held("MUG") == [(17, 0), (20, 0)]
    assert shop.latest() == ("fulfilled", [(3, 0, 0), (1, 0, 0)])

    order = web.place((shop.on_web("CUP"), 3), (shop.on_web("JUG"), 2))
    cups, jugs = order["lineItems"]["nodes"]
    edit = web.edit(order)
    web.edit_quantity(edit, cups, 5, restock=False)
    web.edit_quantity(edit, jugs, 0, restock=True)
    web.edit_add(edit, shop.on_web("PLATE"), 4)
    web.commit(edit)
    assert [shop.held(sku)[0] for sku in ("CUP", "JUG", "PLATE")] == [(20, 5), (20, 0), (20, 4)]
    edit = web.edit(order)
    web.edit_quantity(edit, cups, 1, restock=True)
    web.commit(edit)
    assert shop.held("CUP") == [(20, 1), (20, 0)]

    kept = web.place((shop.on_web("VASE"), 4))
    assert shop.held("VASE") == [(20, 4), (20, 0)]
    web.cancel(kept, restock=True)
    assert (shop.held("VASE"), shop.latest()) == ([(20, 0), (20, 0)], ("cancelled", [(0, 0, 0)]))
    lost = web.place((shop.on_web("VASE"), 4))
    web.cancel(lost, restock=False)
    assert (shop.held("VASE"), shop.latest()) == ([(16, 0), (20, 0)], ("cancelled", [(4, 0, 4)]))
    for restock, left, lines in ((True, 16, [(0, 0, 0)]), (False, 13, [(3, 0, 3)])):
        sent = web.place((shop.on_web("VASE"), 3))
        made = web.fulfil(sent)["fulfillment"]
        assert shop.held("VASE")[0][1] == 0
        web.do("fulfillmentCancel", "$id: ID!", "fulfillment { status } userErrors { message }", id=made["id"])
        assert shop.held("VASE")[0] == (16, 3)
        web.cancel(sent, restock=restock)
        assert (shop.held("VASE"), shop.latest()) == ([(left, 0), (20, 0)], ("cancelled", lines))

    draft = web.draft(shop.on_web("SAUCER"), 2, until=(timezone.now() + timedelta(hours=1)).isoformat())
    web.complete(draft)
    assert shop.held("SAUCER") == [(20, 2), (20, 0)]
    assert not Incident.objects.standing().exists()


def test_a_web_order_is_refunded_in_part_returned_elsewhere_moved_and_exchanged(shop):
    web = shop.web
    order = web.place((shop.on_web("MUG"), 4))
    web.refund(order, 1, "CANCEL", place=web.street)
    assert shop.held("MUG") == [(20, 3), (20, 0)]
    web.refund(order, 1, "NO_RESTOCK")
    assert (shop.held("MUG"), shop.latest()) == ([(19, 2), (20, 0)], ("open", [(1, 0, 1)]))
    web.fulfil(order)
    assert shop.held("MUG") == [(17, 0), (20, 0)]
    web.refund(order, 1, "RETURN", place=web.market)
    assert (shop.held("MUG"), shop.latest()) == ([(17, 0), (21, 0)], ("fulfilled", [(3, 1, 1)]))
    web.refund(order, 1, "NO_RESTOCK")
    assert (shop.held("MUG"), shop.latest()) == ([(17, 0), (21, 0)], ("fulfilled", [(3, 1, 2)]))

    order = web.place((shop.on_web("BOWL"), 3))
    shop.check()
    web.move(order, web.market, units=2)
    assert shop.held("BOWL") == [(20, 1), (20, 2)]
    web.cancel(order, restock=True)
    assert shop.held("BOWL") == [(20, 0), (20, 0)]

    order = web.place((shop.on_web("JUG"), 1))
    web.fulfil(order)
    edit = web.edit(order)
    web.edit_add(edit, shop.on_web("PLATE"), 1)
    web.commit(edit)
    web.refund(order, 1, "RETURN", place=web.street)
    assert (shop.held("JUG"), shop.held("PLATE")) == ([(20, 0), (20, 0)], [(20, 1), (20, 0)])
    web.fulfil(web.order(order), index=1)
    assert (shop.held("PLATE"), shop.latest()) == ([(19, 0), (20, 0)], ("fulfilled", [(1, 1, 0), (1, 0, 0)]))
    assert not Incident.objects.standing().exists()


def test_a_till_sale_is_picked_up_in_parts_changed_cancelled_returned_and_exchanged(shop):
    till = shop.till
    mug, bowl, jug = (shop.at_till(sku) for sku in ("MUG", "BOWL", "JUG"))
    pickup = {"type": "PICKUP", "pickup_details": {"recipient": {"display_name": "Ann"}, "pickup_at": moment()}}
    order = till.sell((mug, "3"), fulfillments=[pickup])
    assert shop.held("MUG") == [(20, 3), (20, 0)]
    till.change_order(order, fulfillments=[{"uid": order.fulfillments[0].uid, "state": "COMPLETED"}])
    assert (shop.held("MUG"), shop.latest()) == ([(17, 0), (20, 0)], ("fulfilled", [(3, 0, 0)]))

    cart = till.order((bowl, "2"))
    assert shop.held("BOWL") == [(20, 0), (20, 0)]
    cart = till.change_order(
        cart,
        line_items=[
            {"uid": cart.line_items[0].uid, "quantity": "5"},
            {"uid": "more", "catalog_object_id": jug, "quantity": "1"},
        ],
    )
    assert shop.held("BOWL") == [(20, 0), (20, 0)]
    till.pay(cart)
    assert (shop.held("BOWL")[0], shop.held("JUG")[0]) == ((15, 0), (19, 0))
    unpaid = till.order((bowl, "2"), place=till.market)
    till.change_order(unpaid, state="CANCELED")
    assert (shop.held("BOWL"), shop.latest()[0]) == ([(15, 0), (20, 0)], "cancelled")

    sale = till.sdk.orders.get(order_id=cart.id).order
    status, body = till.take_back((0, "2"), of=sale, place=till.market)
    assert (status, body["order"]["state"]) == (200, "COMPLETED")
    till.change(till.adjustment(bowl, "1", move=("UNLINKED_RETURN", "IN_STOCK"), place=till.market))
    assert shop.held("BOWL") == [(15, 0), (21, 0)]
    given_back = OrderLine.objects.get(external_id=sale.line_items[0].uid)
    assert given_back.restocked + given_back.written_off == 2

    swap = [{"catalog_object_id": jug, "quantity": "1"}]
    status, body = till.take_back((0, "1"), of=sale, line_items=swap)
    assert status == 200, body
    exchanged = till.sdk.orders.get(order_id=body["order"]["id"]).order
    if exchanged.state == "OPEN":
        till.pay(exchanged)
    till.change(till.adjustment(bowl, "1", move=("UNLINKED_RETURN", "IN_STOCK")))
    assert (shop.held("BOWL")[0], shop.held("JUG")[0]) == ((16, 0), (18, 0))
    assert not Incident.objects.standing().exists()


def test_an_order_is_heard_of_late_of_a_listing_nobody_linked_or_that_is_gone(shop):
    web, links = shop.web, shop.pair.web.listings
    order = web.place((shop.on_web("MUG"), 3))
    late = Delivery.objects.filter(topic="orders/create", state="pending")
    assert late.update(state="dropped") == 1
    web.fulfil(order, units=1)
    assert shop.held("MUG") == [(19, 2), (20, 0)]
    Delivery.objects.filter(topic="orders/create", state="dropped").update(state="pending")
    assert shop.held("MUG") == [(19, 2), (20, 0)]

    gone = web.place((shop.on_web("JUG"), 2))
    selection = "deletedProductId userErrors { field message }"
    product = shop.on_web("JUG").product.gid
    web.do("productDelete", "$input: ProductDeleteInput!", selection, input={"id": product})
    assert shop.held("JUG") == [(20, 2), (20, 0)]
    web.fulfil(gone)
    assert shop.held("JUG") == [(18, 0), (20, 0)]
    assert shop.latest() == ("fulfilled", [(2, 0, 0)])
    assert not Incident.objects.standing().filter(kind=Incident.Kind.UNLINKED_SALE).exists()

    linking.unlink(listing=links.get(sku="BOWL"), actor=None)
    web.fulfil(web.place((shop.on_web("BOWL"), 2)))
    assert shop.held("BOWL") == [(20, 0), (20, 0)]
    incident = Incident.objects.standing().get(kind=Incident.Kind.UNLINKED_SALE)
    assert "BOWL" in incident.title
    linking.link(listing=links.get(sku="BOWL"), variant=shop.ours("BOWL"), actor=None)
    shop.rest()
    assert shop.levels("BOWL") == [(18, 0), (20, 0)]
    table = approvals.preview(connection=shop.pair.web)  # the listing's new numbers wait for a yes of their own
    approvals.approve(connection=shop.pair.web, actor=shop.owner, digest=approvals.preview_digest(table))
    assert {int(cell.expected) for cell in links.get(sku="BOWL").cells.all()} == {18, 20}
    assert shop.held("BOWL") == [(18, 0), (20, 0)]
    incident.refresh_from_db()
    assert incident.resolved_at is not None


def test_a_thing_on_two_lines_and_a_bundle_beside_its_part_are_counted_line_by_line(shop):
    web, till = shop.web, shop.till
    mug, cup, made = (shop.on_web(sku) for sku in ("MUG", "CUP", "SET"))
    twice = web.place((mug, 2), (mug, 3))
    assert shop.held("MUG") == [(20, 5), (20, 0)]
    web.refund(twice, 1, "CANCEL", place=web.street)
    web.fulfil(twice)
    web.refund(twice, 1, "RETURN", place=web.market)
    assert (shop.held("MUG"), shop.latest()) == ([(16, 0), (21, 0)], ("fulfilled", [(1, 1, 0), (3, 0, 0)]))
    till.sell((shop.at_till("MUG"), "1"), (shop.at_till("MUG"), "2"))
    assert shop.held("MUG") == [(13, 0), (21, 0)]

    both = web.place((made, 2), (cup, 3))
    assert (shop.held("CUP")[0], shop.held("SAUCER")[0]) == ((20, 5), (20, 4))
    web.fulfil(both)
    web.refund(both, 1, "RETURN", place=web.street)
    assert (shop.held("CUP")[0], shop.held("SAUCER")[0]) == ((16, 0), (18, 0))
    sale = till.sell((shop.at_till("SET"), "1"), (shop.at_till("CUP"), "1"))
    assert (shop.held("CUP")[0], shop.held("SAUCER")[0]) == ((14, 0), (16, 0))
    till.take_back((0, "1"), (1, "1"), of=sale)
    shop.check()
    assert shop.latest() == ("fulfilled", [(1, 0, 1), (1, 0, 1)])
    assert not Incident.objects.standing().exists()
