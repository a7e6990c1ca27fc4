"""Backorder and pre-order over the API: how many of what is offered come later, by when; holds take them, no more."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now as utc_now

from channels import rules
from channels.models import AvailabilityRule, Incident
from channels.own import deliveries, endpoints, orders
from channels.own.models import WebhookDelivery, WebhookMessage
from inventory import arrivals, bundles, incoming, verify
from inventory.models import Arrival, Order, OrderHold
from inventory.templatetags import stock
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


def line(quantity: int, sku: str = "MUG", line_id: str = "1", **more: Any) -> dict[str, Any]:
    return {"line_id": line_id, "sku": sku, "quantity": quantity} | more


def promised(answer: Any) -> list[Any]:
    """Of each line, what each of its places promises."""
    assert answer.status_code in (200, 201), answer.content
    return [[place["promise"] for place in line["places"]] for line in answer.json()["lines"]]


def by(shop: Shop, quantity: int, days: int) -> dict[str, Any]:
    return {"quantity": quantity, "promised_date": iso(shop, days)}


def test_an_order_without_a_hold_says_the_days_that_a_hold_would() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    expect(shop, "MUG", 2, days=9)
    first = {"order_id": "1042", "lines": [line(3), line(1, "BOWL", "2")]}
    made = shop.api.post("/orders", first)
    assert promised(made) == [[by(shop, 2, 7)], [None]]
    for answer in (shop.api.post("/orders", first), shop.api.get("/orders/1042")):
        assert answer.json() == made.json()
    second = shop.api.post("/orders", {"order_id": "1043", "lines": [line(1), line(2, line_id="2")]})
    assert promised(second) == [[by(shop, 1, 9)], [by(shop, 2, 9)]]  # two of the first delivery, one of the second
    held = shop.api.hold("cart-1", ("MUG", 1))  # the last one, as the orders left it
    assert held.json()["lines"][0]["promise"] == by(shop, 1, 9)
    assert promised(shop.api.get("/orders/1042")) == promised(made)


def test_the_first_lines_of_an_order_get_what_is_there() -> None:
    shop = a_site(units=3)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    lines = [line(2), line(2, line_id="2"), line(1, line_id="3")]
    assert promised(shop.api.post("/orders", {"order_id": "1042", "lines": lines})) == [
        [None], [by(shop, 1, 7)], [by(shop, 1, 7)],
    ]  # fmt: skip


def test_what_an_order_takes_beyond_all_that_comes_has_no_day_and_is_a_collision() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    assert promised(shop.api.post("/orders", {"order_id": "1042", "lines": [line(9)]})) == [[by(shop, 4, 7)]]
    assert promised(shop.api.post("/orders", {"order_id": "1043", "lines": [line(1)]})) == [[None]]
    assert Incident.objects.standing().filter(kind="oversold").exists()
    assert verify.verify().breaches == []


def test_a_promised_day_follows_an_order_that_grows_shrinks_leaves_and_moves() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    expect(shop, "MUG", 2, days=9)

    def put(quantity: int, **more: Any) -> list[Any]:
        return promised(shop.api.call("PUT", "/orders/1042", {"lines": [line(quantity, **more)]}))

    assert put(3) == [[by(shop, 2, 7)]]
    assert put(6) == put(6) == [[by(shop, 5, 9)]]
    assert put(2) == [[by(shop, 2, 9)]]  # the one that is there may be anybody's now
    assert put(2, fulfilled=1) == [[by(shop, 1, 9)]]
    assert promised(shop.api.post("/orders/1042/fulfil", {})) == [[None]]
    shop.put_on_shelf("MUG", 5, place=1)
    shop.api.post("/orders", {"order_id": "1043", "lines": [line(1, location_id=shop.places[0].pk)]})
    orders.move(
        site_id=shop.site.pk, order_id="1043", from_location_id=shop.places[0].pk, to_location_id=shop.places[1].pk,
        units={"1": Decimal(1)}, now=utc_now(),
    )  # fmt: skip
    assert promised(shop.api.get("/orders/1043")) == [[None]]  # it is there


def test_the_orders_page_says_which_units_are_promised_for_which_day(client: Client) -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    shop.api.post("/orders", {"order_id": "1042", "lines": [line(3), line(1, "BOWL", "2")]})
    client.force_login(shop.owner)
    address = f"/{shop.site.merchant.slug}/orders/{Order.objects.get().pk}/"
    says = f"2 of them promised for {stock.day(incoming.today(shop.site.merchant) + timedelta(days=7))}"
    assert client.get(address).content.decode().count("promised for") == 1
    assert says in client.get(address).content.decode()
    shop.api.post("/orders/1042/fulfil", {})
    assert "promised for" not in client.get(address).content.decode()


def test_control_without_a_rule_an_order_of_what_is_not_there_is_promised_no_day() -> None:
    shop = a_site(units=1)
    expect(shop, "MUG", 4)
    assert promised(shop.api.post("/orders", {"order_id": "1042", "lines": [line(3)]})) == [[None]]


def migration(number: str) -> Any:
    return import_module(f"inventory.migrations.{number}")


EARLIER, MISSED = "0004_promised_days_of_earlier_orders", "0005_holds_carry_promised_days"


def test_the_days_of_orders_that_were_holds_before_are_kept_with_where_they_wait() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    hold = shop.api.hold("cart-1", ("MUG", 3)).json()
    made = shop.api.post(f"/holds/{hold['id']}/convert", {"order_id": "1042"})
    for said in (migration(EARLIER).CARRY, migration(MISSED).MISSED):
        OrderHold.objects.update(later=None, promised_date=None)  # as the release before left it
        assert promised(shop.api.get("/orders/1042")) == [[None]]
        with connection.cursor() as cursor:
            cursor.execute(said)
        assert shop.api.get("/orders/1042").json() == made.json()
    OrderHold.objects.update(later=1)  # changed since
    with connection.cursor() as cursor:
        cursor.execute(migration(MISSED).MISSED)
    assert promised(shop.api.get("/orders/1042")) == [[by(shop, 1, 7)]]


def test_control_it_is_the_database_that_carries_a_holds_days_whatever_code_makes_it_an_order() -> None:
    shop = a_site(units=1)
    backorder(shop)
    expect(shop, "MUG", 4, days=7)
    with connection.cursor() as cursor:
        cursor.execute(migration(MISSED).UNDO)
    hold = shop.api.hold("cart-1", ("MUG", 3)).json()
    made = shop.api.post(f"/holds/{hold['id']}/convert", {"order_id": "1042"})
    assert (hold["lines"][0]["promise"], promised(made)) == (by(shop, 2, 7), [[None]])


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
