"""Holds over the API: granted whole or not at all, once a key, judged by the clock, never past what may be sold."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils.timezone import now as utc_now

from channels.own import holds
from channels.own import site as sites
from inventory.models import Reservation, StockLevel, StockMovement
from tests import factories
from tests.own.shops import a_site, api_of

pytestmark = pytest.mark.django_db


def past(hold_id: str) -> None:
    """The hold's time is over, and nobody swept it."""
    Reservation.objects.filter(public_id=hold_id).update(expires_at=utc_now() - timedelta(seconds=1))


def test_a_hold_takes_the_units_and_says_where() -> None:
    shop = a_site()
    answer = shop.api.hold("cart-1", ("mug ", 2), ("BOWL", 1), ttl_s=60, reference="cart 1")
    document = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1/holds/{document['id']}")
    assert document["state"] == "held"
    assert [(line["sku"], line["quantity"], line["location_id"]) for line in document["lines"]] == [
        ("MUG", 2, shop.places[0].pk),
        ("BOWL", 1, shop.places[0].pk),
    ]
    assert shop.level("MUG").available == 3
    assert StockMovement.objects.filter(kind="reserve", reason="hold cart 1", channel_id=shop.site.pk).count() == 2
    assert shop.api.get(f"/holds/{document['id']}").json() == document


def test_all_or_nothing_and_lines_for_the_same_thing_are_judged_together() -> None:
    shop = a_site(units=3)
    answer = shop.api.hold("cart-1", ("MUG", 2), ("BOWL", 1), ("mug", 2))
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "/api/docs#insufficient-stock"
    (shortage,) = problem["shortages"]
    assert (shortage["sku"], shortage["requested"], shortage["available"]) == ("MUG", 4, 3)
    assert not Reservation.objects.exists()
    # A refusal is not kept: the same key may be tried again once there is enough.
    shop.put_on_shelf("MUG", 1)
    assert shop.api.hold("cart-1", ("MUG", 2), ("BOWL", 1), ("mug", 2)).status_code == 201


def test_the_same_key_is_the_same_hold_even_when_all_is_gone_and_another_request_is_a_conflict() -> None:
    shop = a_site(units=3)
    first = shop.api.hold("cart-1", ("MUG", 3))
    again = shop.api.hold("cart-1", ("MUG", 3))
    assert (again.status_code, again["Idempotent-Replayed"], again.json()) == (200, "true", first.json())
    other = shop.api.hold("cart-1", ("BOWL", 3))
    assert (other.status_code, other.json()["type"]) == (409, "/api/docs#key-reused")
    assert StockLevel.objects.filter(reserved__gt=0).count() == 1
    # Keys are the site's own: another site's are another's.
    app = api_of(sites.open_site(merchant=shop.site.merchant, label="App", actor=shop.owner))
    assert app.hold("cart-1", ("BOWL", 3)).status_code == 201


def test_everything_is_held_at_one_place_the_first_that_has_all() -> None:
    shop = a_site(units=1)
    for sku in ("MUG", "BOWL"):
        shop.put_on_shelf(sku, 4, place=1)
    both = shop.api.hold("a", ("MUG", 2), ("BOWL", 1)).json()
    assert {line["location_id"] for line in both["lines"]} == {shop.places[1].pk}
    refused = shop.api.hold("b", ("MUG", 2), location_id=shop.places[0].pk).json()
    assert refused["shortages"][0]["available"] == 1
    assert shop.api.hold("c", ("MUG", 3)).json()["shortages"][0]["available"] == 2
    elsewhere = shop.api.hold("d", ("MUG", 1), location_id=999_999)
    assert (elsewhere.status_code, elsewhere.json()["type"]) == (409, "/api/docs#unknown-location")


def test_a_hold_past_its_time_has_expired_though_nobody_swept_it() -> None:
    shop = a_site(units=2)
    held = shop.api.hold("a", ("MUG", 2)).json()
    past(held["id"])
    assert shop.api.get(f"/holds/{held['id']}").json()["state"] == "expired"
    (offer,) = shop.api.get("/availability?sku=MUG").json()["items"]
    assert offer["available"] == 2
    ended = shop.api.post(f"/holds/{held['id']}/extend", {"ttl_s": 60})
    assert (ended.status_code, ended.json()["state"]) == (409, "expired")
    assert shop.api.hold("b", ("MUG", 2)).status_code == 201


def test_an_overdue_hold_stands_in_nobodys_way() -> None:
    shop = a_site(units=2)
    past(shop.api.hold("a", ("MUG", 2)).json()["id"])
    assert shop.api.hold("b", ("MUG", 2)).status_code == 201


def test_extend_and_release() -> None:
    shop = a_site()
    held = shop.api.hold("a", ("MUG", 2), ttl_s=10).json()
    longer = shop.api.post(f"/holds/{held['id']}/extend", {"ttl_s": 600}).json()
    assert longer["expires_at"] > held["expires_at"]
    for _ in range(2):
        released = shop.api.post(f"/holds/{held['id']}/release")
        assert (released.status_code, released.json()["state"]) == (200, "released")
    assert shop.level("MUG").available == 5


def test_a_hold_becomes_an_order_in_one_instant_and_once() -> None:
    shop = a_site()
    held = shop.api.hold("a", ("MUG", 2)).json()
    for _ in range(2):
        answer = shop.api.post(f"/holds/{held['id']}/convert", {"order_id": "1042", "number": "#1042"})
        assert answer.status_code == 200
        (line,) = answer.json()["lines"]
        assert (line["quantity"], line["places"]) == (
            2, [{"location_id": shop.places[0].pk, "waiting": 2, "fulfilled": 0, "promise": None}],
        )  # fmt: skip
    level = shop.level("MUG")
    assert (level.reserved, level.committed, level.available) == (0, 2, 3)
    document = shop.api.get(f"/holds/{held['id']}").json()
    assert (document["state"], document["order_id"]) == ("committed", "1042")
    other = shop.api.hold("b", ("MUG", 1)).json()
    taken = shop.api.post(f"/holds/{other['id']}/convert", {"order_id": "1042"})
    assert taken.json()["type"] == "/api/docs#order-exists"
    assert shop.level("MUG").reserved == 1
    past(other["id"])
    late = shop.api.post(f"/holds/{other['id']}/convert", {"order_id": "1043"})
    assert (late.status_code, late.json()["state"]) == (409, "expired")
    assert shop.level("MUG").committed == 2


def test_what_the_rules_hide_from_the_site_cannot_be_held() -> None:
    shop = a_site()
    # Two units are missing at another channel without cause: they are held back everywhere else.
    other = factories.ChannelStockFactory(
        connection__merchant=shop.site.merchant, listing__variant=shop.variants["MUG"],
        channel_location__location=shop.places[0], doubt=2,
    )  # fmt: skip
    shop.put_on_shelf("MUG", 1)
    assert other.doubt == 2
    (offer,) = shop.api.get("/availability?sku=MUG").json()["items"]
    assert offer["available"] == 4
    assert shop.api.hold("a", ("MUG", 5), location_id=shop.places[0].pk).status_code == 409
    assert shop.api.hold("b", ("MUG", 4)).status_code == 201


def test_fractions_only_of_what_is_sold_by_measure() -> None:
    shop = a_site()
    broken = shop.api.hold("a", ("MUG", "0.5"))
    assert (broken.status_code, broken.json()["names"]) == (409, ["MUG"])
    flour = factories.VariantFactory(merchant=shop.site.merchant, sku="FLOUR", is_whole_unit=False)
    shop.variants["FLOUR"] = flour
    sites.follow_catalog(shop.site)
    shop.put_on_shelf("FLOUR", "1.25")
    assert shop.api.hold("b", ("FLOUR", "0.75")).json()["lines"][0]["quantity"] == "0.75"
    (offer,) = shop.api.get("/availability?sku=FLOUR").json()["items"]
    assert offer["available"] == "0.5"


def test_goods_are_known_by_key_by_former_sku_and_as_soon_as_they_exist() -> None:
    shop = a_site()
    factories.VariantAliasFactory(variant=shop.variants["MUG"], value="OLD-MUG", key="OLDMUG")
    alias = shop.variants["MUG"].aliases.get()
    answer = shop.api.hold("a", (alias.value, 1))
    assert answer.status_code in (201, 409)
    by_key = {"lines": [{"variant_id": shop.variants["MUG"].pk, "quantity": 1}]}
    assert shop.api.post("/holds", by_key, **{"Idempotency-Key": "b"}).status_code == 201
    shop.variants["NEW"] = factories.VariantFactory(merchant=shop.site.merchant, sku="NEW")
    shop.put_on_shelf("NEW", 3)
    assert shop.api.hold("c", ("NEW", 2)).status_code == 201
    unknown = shop.api.hold("d", ("MUG", 1), ("NOTHING", 1))
    assert (unknown.status_code, unknown.json()["names"]) == (409, ["NOTHING"])


def test_a_paused_site_promises_nothing_and_its_orders_still_count() -> None:
    shop = a_site()
    type(shop.site).objects.filter(pk=shop.site.pk).update(state="paused")
    api = api_of(shop.site)
    assert api.hold("a", ("MUG", 1)).json()["type"] == "/api/docs#site-paused"
    order = {"order_id": "1", "lines": [{"line_id": "1", "sku": "MUG", "quantity": 1}]}
    assert api.post("/orders", order).status_code == 201


def test_another_sites_holds_and_orders_are_unknown() -> None:
    mine, theirs = a_site(), a_site()
    held = theirs.api.hold("a", ("MUG", 1)).json()
    app = api_of(sites.open_site(merchant=theirs.site.merchant, label="App", actor=theirs.owner))
    for stranger in (mine.api, app):
        for method, path, body in (
            ("GET", f"/holds/{held['id']}", None),
            ("POST", f"/holds/{held['id']}/extend", {"ttl_s": 60}),
            ("POST", f"/holds/{held['id']}/release", None),
            ("POST", f"/holds/{held['id']}/convert", {"order_id": "1"}),
        ):
            assert stranger.call(method, path, body).status_code == 404
    assert mine.api.get(f"/holds/{uuid4()}").status_code == 404
    assert theirs.api.get(f"/holds/{held['id']}").json()["state"] == "held"


def test_a_hold_by_sku_costs_two_statements(django_assert_num_queries) -> None:
    shop = a_site()
    asked = [sites.Asked(Decimal(1), sku="MUG"), sites.Asked(Decimal(1), sku="BOWL")]
    wish = holds.HoldWish(key="a", lines=asked, ttl=timedelta(minutes=1))
    with django_assert_num_queries(2):
        assert holds.grant(
            site_id=shop.site.pk, merchant_id=shop.site.merchant_id, wish=wish, now=utc_now()
        ).is_new  # fmt: skip
