"""Backorder and pre-order over the API: how many of what is offered come later, by when; holds take them, no more."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now as utc_now

from channels import rules
from channels.models import AvailabilityRule
from channels.own import deliveries, endpoints
from channels.own.models import WebhookDelivery, WebhookMessage
from inventory import arrivals, bundles, incoming, verify
from inventory.models import Arrival
from tests.own.shops import Shop, a_site

pytestmark = pytest.mark.django_db


def backorder(shop: Shop, **says: Any) -> None:
    says = {"oversell": "backorder", "message": "Back before Christmas"} | says
    rules.save(rule=AvailabilityRule(merchant=shop.site.merchant, **says), actor=shop.owner)


def expect(shop: Shop, sku: str, units: int, *, days: int = 7) -> Arrival:
    merchant, day = shop.site.merchant, incoming.today(shop.site.merchant) + timedelta(days=days)
    plan = arrivals.Plan(None, "Acme", shop.places[0], day, "", [(shop.variants[sku], Decimal(units))])
    made = arrivals.draft(merchant=merchant, actor=shop.owner, key=uuid.uuid4(), plan=plan)
    arrivals.send(merchant=merchant, actor=shop.owner, arrival_id=made.pk, key=uuid.uuid4(), now=utc_now())
    return made


def offer(shop: Shop, sku: str = "MUG") -> Any:
    (item,) = shop.api.get(f"/availability?sku={sku}").json()["items"]
    return item


def iso(shop: Shop, days: int) -> str:
    return (incoming.today(shop.site.merchant) + timedelta(days=days)).isoformat()


def test_what_comes_later_is_offered_with_its_days_and_the_shops_words() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 2, days=9)
    expect(shop, "MUG", 4, days=3)
    item = offer(shop)
    assert (item["available"], item["in_stock"]) == (7, 1)
    here, there = item["locations"]
    assert here["promise"] == {
        "kind": "backorder", "quantity": 6, "promised_date": iso(shop, 9), "message": "Back before Christmas",
        "dates": [{"date": iso(shop, 3), "quantity": 4}, {"date": iso(shop, 9), "quantity": 2}],
    }  # fmt: skip
    assert (here["in_stock"], there["promise"], there["available"]) == (1, None, 0)
    assert offer(shop, "BOWL")["locations"][0]["promise"] is None


def test_a_hold_takes_what_is_promised_and_no_more_and_becomes_an_order() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4)
    refused = shop.api.hold("cart-1", ("MUG", 6))
    assert (refused.status_code, refused.json()["shortages"][0]["available"]) == (409, 5)
    held = shop.api.hold("cart-2", ("MUG", 3))
    assert (held.status_code, shop.level("MUG").available) == (201, -2)
    assert offer(shop)["locations"][0]["promise"]["quantity"] == 2
    assert shop.api.hold("cart-3", ("MUG", 3)).status_code == 409
    made = shop.api.post(f"/holds/{held.json()['id']}/convert", {"order_id": "1042"})
    assert (made.status_code, shop.level("MUG").committed) == (200, 3)
    assert verify.verify().breaches == []


def test_a_hold_says_how_many_come_by_which_day_and_its_order_carries_it_on() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    expect(shop, "MUG", 2, days=9)
    first = shop.api.hold("cart-1", ("MUG", 3), ("BOWL", 1)).json()
    said = [{"quantity": 2, "promised_date": iso(shop, 7)}, None]
    assert [line["promise"] for line in first["lines"]] == said
    second = shop.api.hold("cart-2", ("MUG", 3)).json()  # two of the first delivery and one of the second
    assert second["lines"][0]["promise"] == {"quantity": 3, "promised_date": iso(shop, 9)}
    for answer in (shop.api.hold("cart-1", ("MUG", 3), ("BOWL", 1)), shop.api.get(f"/holds/{first['id']}")):
        assert answer.json()["lines"] == first["lines"]
    made = shop.api.post(f"/holds/{first['id']}/convert", {"order_id": "1042"})
    assert [line["places"][0]["promise"] for line in made.json()["lines"]] == said
    assert shop.api.get("/orders/1042").json() == made.json()
    left = shop.api.post("/orders/1042/fulfil", {}).json()
    assert [line["places"][0]["promise"] for line in left["lines"]] == [None, None]


def told(shop: Shop) -> list[Any]:
    """What the site is told of days that were moved, since the last time."""
    deliveries.make_up()
    rows = list(WebhookMessage.objects.exclude(body="").order_by("pk"))
    assert WebhookDelivery.objects.count() == len(rows)
    WebhookMessage.objects.all().delete()
    return [json.loads(row.body)["data"]["availability"] for row in rows]


def test_a_day_that_was_moved_is_told_where_buyers_see_or_were_told_another() -> None:
    shop = a_site(units=1)
    backorder(shop, variant=shop.variants["MUG"])
    endpoints.add(site=shop.site, url="http://127.0.0.1:9/hooks", topics=["availability.changed"], actor=shop.owner)
    mugs, bowls = expect(shop, "MUG", 4, days=7), expect(shop, "BOWL", 4, days=7)

    def move(arrival: Arrival, days: int | None) -> list[Any]:
        day = None if days is None else incoming.today(shop.site.merchant) + timedelta(days=days)
        arrivals.reschedule(merchant=shop.site.merchant, actor=shop.owner, arrival_id=arrival.pk, expected_date=day)
        return told(shop)

    (lines,) = move(mugs, 12)
    (line,) = lines
    cell = {"variant_id": shop.variants["MUG"].pk, "location_id": shop.places[0].pk}
    assert line == cell | {"available": 5, "promise": offer(shop)["locations"][0]["promise"]}
    assert (line["promise"]["promised_date"], line["promise"]["quantity"]) == (iso(shop, 12), 4)
    assert move(mugs, 12) == []
    assert move(bowls, 12) == []  # nobody sells it ahead
    assert shop.api.hold("cart-1", ("MUG", 5)).status_code == 201
    ((line,),) = move(mugs, 14)  # nothing of it can be sold any more, but it was
    assert (line["available"], line["promise"]["quantity"], line["promise"]["promised_date"]) == (0, 0, iso(shop, 14))
    ((line,),) = move(mugs, None)
    assert (line["available"], line["promise"]) == (0, None)
    ((line,),) = move(mugs, 9)
    assert line["promise"]["promised_date"] == iso(shop, 9)
    day = incoming.today(shop.site.merchant) + timedelta(days=30)
    says = {"oversell": "preorder", "oversell_max": Decimal(9), "promised_date": day}
    AvailabilityRule.objects.all().delete()
    backorder(shop, variant=shop.variants["MUG"], **says)
    assert move(mugs, 16) == []  # the shop's own word stands


def test_control_without_a_rule_a_hold_takes_only_what_is_there() -> None:
    shop = a_site(units=1)
    expect(shop, "MUG", 4)
    assert (offer(shop)["available"], offer(shop)["in_stock"]) == (1, 1)
    assert shop.api.hold("cart-1", ("MUG", 2)).status_code == 409


def test_a_late_delivery_is_neither_offered_nor_held() -> None:
    shop = a_site(units=1)
    backorder(shop)
    arrival = expect(shop, "MUG", 4)
    Arrival.objects.filter(pk=arrival.pk).update(expected_date=incoming.today(shop.site.merchant) - timedelta(days=1))
    arrivals.lapse(now=utc_now())
    assert (offer(shop)["available"], offer(shop)["locations"][0]["promise"]) == (1, None)
    assert shop.api.hold("cart-1", ("MUG", 2)).status_code == 409


def test_what_was_never_there_is_sold_on_pre_order_by_the_shops_own_word() -> None:
    shop = a_site(units=1)
    day = incoming.today(shop.site.merchant) + timedelta(days=30)
    backorder(shop, oversell="preorder", oversell_max=Decimal(3), promised_date=day, location=shop.places[1])
    place = shop.places[1].pk
    assert offer(shop)["locations"][1]["promise"] == {
        "kind": "preorder", "quantity": 3, "promised_date": day.isoformat(), "message": "Back before Christmas",
        "dates": [{"date": day.isoformat(), "quantity": 3}],
    }  # fmt: skip
    assert shop.api.hold("cart-1", ("MUG", 2), location_id=place).status_code == 201
    assert shop.api.hold("cart-2", ("MUG", 2), location_id=place).status_code == 409
    assert shop.api.hold("cart-3", ("MUG", 1), location_id=place).status_code == 201
    assert shop.level("MUG", 1).available == -3


def test_units_on_the_shelf_are_not_promised_twice_by_a_part_on_backorder_and_its_bundle() -> None:
    shop = a_site(units=2, skus=("MUG", "SET"), places=1)
    shop.put_on_shelf("SET", -2)
    parts = [bundles.Part(shop.variants["MUG"].pk, Decimal(1))]
    bundles.define(variant=shop.variants["SET"], parts=parts, is_stocked=False, actor=None)
    backorder(shop, variant=shop.variants["MUG"])
    expect(shop, "MUG", 4)
    assert (offer(shop)["available"], offer(shop, "SET")["available"]) == (6, 2)
    assert shop.api.hold("cart-1", ("MUG", 6), ("SET", 1)).status_code == 409
    assert shop.api.hold("cart-2", ("MUG", 4), ("SET", 2)).status_code == 201
    assert shop.level("MUG").available == -4


def test_the_document_describes_promises() -> None:
    shop = a_site()
    shapes = shop.api.get("/openapi.json").json()["components"]["schemas"]
    assert shapes["PromiseOut"]["properties"]["promised_date"]["format"] == "date"
    assert "promise" in shapes["OfferedAt"]["required"]
