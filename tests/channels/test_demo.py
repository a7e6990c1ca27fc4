"""The demo shop comes up the way a real one does, once; and an outside client can trade at its sandbox accounts."""

from __future__ import annotations

import json
from io import StringIO

import pytest
import requests
from django.core.management import CommandError, call_command
from square import Square

from channels.management.commands import demo
from channels.models import Approval, ChannelStock, ChannelWrite, Connection, Listing
from channels.sandbox import demo_goods
from channels.sandbox.models import Delivery, Fault, Switch
from inventory import identifiers
from inventory.models import StockLevel, StockMovement, Variant
from storestudio.accounts.models import Membership, Merchant, User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_the_demo_shop_is_live_on_both_channels_with_some_work_left_for_a_person(sandbox, client):
    run("demo")
    shop = Merchant.objects.get(slug="harbour-and-pine")
    states = dict(Connection.objects.of(shop).values_list("channel", "state"))
    assert states == {"square": "live", "shopify": "live"}
    assert Variant.objects.of(shop).count() > 115
    waiting = Listing.objects.of(shop).filter(link=Listing.Link.UNLINKED)
    assert sorted(waiting.values_list("connection__channel", "sku")) == [
        ("shopify", ""), ("shopify", "VCH-25"), ("shopify", "VCH-25"),
    ]  # fmt: skip
    assert Approval.objects.of(shop).count() == 2
    cells = ChannelStock.objects.of(shop)
    assert not cells.filter(expected=None).exists()
    assert not cells.exclude(dirty_at=None).exists(), "both showed the same numbers: nothing to change"
    assert not ChannelWrite.objects.exists()
    kinds = set(StockMovement.objects.values_list("kind", flat=True))
    assert kinds == {"opening"}
    assert StockLevel.objects.of(shop).count() == StockMovement.objects.count()
    for name in ("owner", "manager", "associate", "staff", "admin"):
        assert client.login(username=f"{name}@demo.storestudio.example", password="lockstep-demo"), name
    owner_elsewhere = User.objects.get(email="owner@lantern.demo.storestudio.example")
    assert list(owner_elsewhere.memberships.values_list("merchant__slug", flat=True)) == ["lantern-books"]

    assert "is there already" in run("demo")
    assert Merchant.objects.count() == 2
    assert Membership.objects.count() == 5

    assert_an_outsider_can_trade(json.loads(run("sandbox", "info", "--json")))


def assert_an_outsider_can_trade(info):
    """What `sandbox info --json` prints is enough for the vendors' own clients."""
    assert set(info) == {"square", "shopify", "locations", "variants"}
    assert set(info["square"]) == {"base_url", "access_token"}
    assert set(info["shopify"]) == {"graphql_url", "access_token"}
    assert {place["name"] for place in info["locations"]} == set(demo_goods.PLACES)
    assert len(info["variants"]) > 110
    assert not {"SNF", "MTC"} & {row["sku"] for row in info["variants"]}, "the web shop does not count these"
    place, variant = info["locations"][0], next(row for row in info["variants"] if row["sku"] == "MUG-SEA")
    assert set(place) == {"name", "square_id", "shopify_id"}
    assert set(variant) == {"sku", "title", "square_id", "shopify_variant_id", "shopify_inventory_item_id"}
    assert variant["title"] == "Ceramic mug · Sea"
    till = Square(token=info["square"]["access_token"], base_url=info["square"]["base_url"])
    order = till.orders.create(
        idempotency_key="demo-1",
        order={
            "location_id": place["square_id"],
            "line_items": [{"catalog_object_id": variant["square_id"], "quantity": "1"}],
        },
    ).order
    assert order.line_items[0].name == "Ceramic mug"
    query = """query Shown($item: ID!, $place: ID!) {
      inventoryItem(id: $item) {
        sku variant { id }
        inventoryLevel(locationId: $place) { quantities(names: ["available"]) { quantity } }
      }
    }"""
    ids = {"item": variant["shopify_inventory_item_id"], "place": place["shopify_id"]}
    reply = requests.post(
        info["shopify"]["graphql_url"], json={"query": query, "variables": ids}, timeout=20,
        headers={"X-Shopify-Access-Token": info["shopify"]["access_token"]},
    ).json()  # fmt: skip
    item = reply["data"]["inventoryItem"]
    assert item["sku"] == "MUG-SEA"
    assert item["variant"]["id"] == variant["shopify_variant_id"]
    assert item["inventoryLevel"]["quantities"][0]["quantity"] > 0


def test_a_demo_cut_short_is_begun_anew(sandbox):
    Fault.objects.create(
        vendor="square", operation="inventory.batch_get_counts", kind=Fault.Kind.SERVER_ERROR, remaining=1
    )
    with pytest.raises(Exception, match="5"):
        run("demo")
    assert not Merchant.objects.filter(slug="harbour-and-pine").exists()
    run("demo")
    shop = Merchant.objects.get(slug="harbour-and-pine")
    assert Connection.objects.of(shop).filter(state="live").count() == 2


def test_without_a_sandbox_the_demo_says_what_is_missing_and_makes_nothing(settings, monkeypatch):
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(demo, "WAIT_S", 0.3)
    with pytest.raises(CommandError, match=r"does not answer at http://127\.0\.0\.1:9"):
        run("demo")
    assert not Merchant.objects.exists()
    settings.SANDBOX = False
    with pytest.raises(CommandError, match="SANDBOX=true"):
        run("demo")


def test_the_demos_goods_are_a_real_shops():
    variants = [variant for product in demo_goods.goods() for variant in product.variants]
    barcodes = [variant.barcode for variant in variants if variant.barcode]
    assert len(barcodes) > 50
    assert all(identifiers.gtin(code) for code in barcodes)
    assert len(set(barcodes)) == len(barcodes)
    twice = {variant.sku for variant in variants if [other.sku for other in variants].count(variant.sku) > 1}
    assert twice == {"VCH-25"}
    assert all(variant.price > 0 for variant in variants)


def test_faults_are_planned_listed_and_cleared_by_number():
    run("sandbox", "fault", "add", "square", "drop", "--operation", "webhook", "--probability", "0.25")
    shown = run("sandbox", "fault", "add", "shopify", "timeout_after", "--times", "3")
    assert [line.split("  ")[1] for line in shown.splitlines()] == [
        f"square webhook: drop #{Fault.objects.get(vendor='square').pk}, in 25% of cases, for ever",
        f"shopify anything: timeout_after #{Fault.objects.get(vendor='shopify').pk}, in 100% of cases, 3 more times",
    ]
    assert run("sandbox", "fault", "list") == shown
    run("sandbox", "fault", "clear", str(Fault.objects.get(vendor="square").pk))
    assert Fault.objects.get().vendor == "shopify"
    assert "No misbehaviour" in run("sandbox", "fault", "clear")
    with pytest.raises(CommandError, match="at most 1"):
        run("sandbox", "fault", "add", "square", "drop", "--probability", "7")


def test_reset_lets_the_sandbox_behave_and_sends_what_was_lost():
    Fault.objects.create(vendor="square", kind=Fault.Kind.DROP)
    Switch.objects.create(name="anything", value=True)
    for state in (Delivery.State.DROPPED, Delivery.State.GAVE_UP, Delivery.State.DELIVERED):
        Delivery.objects.create(
            vendor="square", account="M", topic="order.updated", url="http://127.0.0.1:9/", body=b"{}", state=state
        )
    assert "2 webhooks that were lost are due" in run("sandbox", "reset")
    assert not Fault.objects.exists()
    assert not Switch.objects.exists()
    assert Delivery.objects.filter(state=Delivery.State.PENDING).count() == 2
