"""A hold or order that names no place leaves from where the shop's rules say, and its page says why."""

from __future__ import annotations

from decimal import Decimal

import pytest

from channels import collisions
from channels.models import Collision
from inventory import verify
from inventory.models import Location, Order, OrderHold, RoutingDecision
from inventory.routing import deciding
from inventory.routing.deciding import Policy
from tests.own.shops import a_site

pytestmark = pytest.mark.django_db
LEEDS = {"country": "GB", "latitude": 53.8, "longitude": -1.55}
PARIS = {"country": "FR", "latitude": 48.86, "longitude": 2.35}


@pytest.fixture
def shop():
    """Five of each at both places: the first in Leeds, the second in Paris."""
    made = a_site()
    for place, (latitude, longitude) in zip(made.places, (("53.80", "-1.55"), ("48.86", "2.35")), strict=True):
        Location.objects.filter(pk=place.pk).update(latitude=Decimal(latitude), longitude=Decimal(longitude))
    for sku in ("MUG", "BOWL"):
        made.put_on_shelf(sku, 5, place=1)
    return made


def places_of(document):
    return [(line["sku"], line["quantity"], line["location_id"]) for line in document["lines"]]


def test_the_closest_place_holds_it_and_the_order_says_why(shop, client):
    leeds, paris = (place.pk for place in shop.places)
    near_paris = shop.api.hold("cart-1", ("MUG", 1), address=PARIS).json()
    near_leeds = shop.api.hold("cart-2", ("MUG", 1), address=LEEDS).json()
    assert places_of(near_paris) == [("MUG", 1, paris)]
    assert places_of(near_leeds) == [("MUG", 1, leeds)]
    assert RoutingDecision.objects.count() == 2
    made = shop.api.call("POST", f"/holds/{near_paris['id']}/convert", {"order_id": "1001"})
    assert made.status_code == 200, made.content
    order = Order.objects.get(external_id="1001")
    assert RoutingDecision.objects.get(order=order).takes[0]["place"] == paris
    client.force_login(shop.owner)
    page = client.get(f"/{shop.site.merchant.slug}/orders/{order.pk}/").content.decode()
    assert "Closest to the customer" in page


def test_nothing_is_asked_where_only_one_place_has_any_of_it():
    shop = a_site()
    assert shop.api.hold("cart-1", ("MUG", 1), address=PARIS).status_code == 201
    assert not RoutingDecision.objects.exists()


def test_what_no_place_has_alone_is_split_only_where_the_shop_allows_it(shop):
    leeds, paris = (place.pk for place in shop.places)
    refused = shop.api.hold("cart-1", ("MUG", 8))
    assert refused.status_code == 409
    deciding.set_policy(
        merchant=shop.site.merchant, actor=shop.owner, policy=Policy(("fewest_splits", "closest"), places_max=2)
    )
    granted = shop.api.hold("cart-2", ("MUG", 8), address=LEEDS).json()
    assert places_of(granted) == [("MUG", 5, leeds), ("MUG", 3, paris)]
    assert (shop.level("MUG").available, shop.level("MUG", place=1).available) == (0, 2)
    made = shop.api.call("POST", f"/holds/{granted['id']}/convert", {"order_id": "1002"})
    assert made.status_code == 200, made.content
    held = OrderHold.objects.filter(line__order__external_id="1002").order_by("location_id")
    assert list(held.values_list("location_id", "committed")) == [(leeds, 5), (paris, 3)]


def test_an_order_with_the_same_goods_on_two_lines_is_routed_by_their_sum(shop):
    leeds, paris = (place.pk for place in shop.places)
    shop.api.hold("cart-0", ("MUG", 3), address=LEEDS)  # two are left in Leeds
    lines = [{"line_id": str(n), "sku": "MUG", "quantity": 2} for n in (1, 2)]
    made = shop.api.call("POST", "/orders", {"order_id": "1003", "lines": lines, "address": LEEDS})
    assert made.status_code == 201, made.content
    held = OrderHold.objects.filter(line__order__external_id="1003").order_by("line__external_id")
    assert list(held.values_list("location_id", "committed")) == [(paris, 2), (paris, 2)]
    assert leeds != paris


def held_of(order_id):
    rows = OrderHold.objects.filter(line__order__external_id=order_id).order_by("line__external_id", "location_id")
    return [
        (row.line.external_id, row.location_id, row.committed, row.fulfilled) for row in rows.select_related("line")
    ]


def put(shop, order_id, *lines):
    lines = [{"sku": "MUG", "line_id": str(n)} | line for n, line in enumerate(lines, start=1)]
    made = shop.api.post("/orders", {"order_id": order_id, "lines": lines, "address": LEEDS})
    assert made.status_code == 201, made.content


def test_an_order_larger_than_any_place_is_split_where_the_shop_allows_it_and_else_is_a_collision(shop):
    leeds, paris = (place.pk for place in shop.places)
    put(shop, "whole", {"quantity": 7})
    assert held_of("whole") == [("1", leeds, 7, 0)]
    assert Collision.objects.get(closed_at=None).missing == 2
    assert shop.api.post("/orders/whole/cancel").status_code == 200
    collisions.sweep(merchant_id=shop.site.merchant_id)
    policy = Policy(("fewest_splits", "closest"), places_max=2)
    deciding.set_policy(merchant=shop.site.merchant, actor=shop.owner, policy=policy)
    put(shop, "split", {"quantity": 4, "fulfilled": 4}, {"quantity": 3, "fulfilled": 2})
    assert held_of("split") == [("1", leeds, 0, 4), ("2", leeds, 0, 1), ("2", paris, 1, 1)]
    assert [shop.level("MUG", place).available for place in (0, 1)] == [0, 3]
    assert not Collision.objects.filter(closed_at=None).exists()
    takes = RoutingDecision.objects.get(order__external_id="split").takes
    assert [(take["place"], Decimal(take["quantity"])) for take in takes] == [(leeds, 5), (paris, 2)]
    assert verify.verify().breaches == []


def test_what_no_number_of_places_has_is_taken_from_where_it_is_and_the_rest_is_a_collision(shop):
    leeds, paris = (place.pk for place in shop.places)
    policy = Policy(("fewest_splits", "closest"), places_max=2)
    deciding.set_policy(merchant=shop.site.merchant, actor=shop.owner, policy=policy)
    shop.api.hold("cart-1", ("MUG", 2), address=PARIS)
    put(shop, "more", {"quantity": 11}, {"quantity": 1, "sku": "BOWL"})
    assert held_of("more") == [("1", leeds, 8, 0), ("1", paris, 3, 0), ("2", leeds, 1, 0)]
    assert Collision.objects.get(closed_at=None).missing == 3
    shop.api.call("PUT", "/orders/more", {"lines": [{"line_id": "1", "sku": "MUG", "quantity": 8}]})
    assert sum(committed for _, _, committed, _ in held_of("more")) == 8
    assert verify.verify().breaches == []


def bring(shop, order_id, *lines):
    lines = [{"sku": "MUG", "line_id": str(n)} | line for n, line in enumerate(lines, start=1)]
    answer = shop.api.call("PUT", f"/orders/{order_id}", {"lines": lines, "address": LEEDS})
    assert answer.status_code == 200, answer.content
    return held_of(order_id)


def splits(shop, places_max):
    policy = Policy(("fewest_splits", "closest"), places_max=places_max)
    deciding.set_policy(merchant=shop.site.merchant, actor=shop.owner, policy=policy)


def test_a_line_that_grows_gets_what_there_is_where_it_waits_and_the_rest_as_a_new_line_would(shop):
    leeds, paris = (place.pk for place in shop.places)
    splits(shop, 2)
    put(shop, "grows", {"quantity": 4})
    assert held_of("grows") == [("1", leeds, 4, 0)]
    for _ in range(2):
        assert bring(shop, "grows", {"quantity": 8}) == [("1", leeds, 5, 0), ("1", paris, 3, 0)]
    assert not Collision.objects.filter(closed_at=None).exists()
    # What left at once of what is new left from the first of its places; the rest waits.
    assert bring(shop, "grows", {"quantity": 9, "fulfilled": 6}) == [("1", leeds, 0, 5), ("1", paris, 3, 1)]
    assert bring(shop, "grows", {"quantity": 12, "fulfilled": 6}) == [("1", leeds, 0, 5), ("1", paris, 6, 1)]
    assert Collision.objects.get(closed_at=None).missing == 2
    assert verify.verify().breaches == []


def test_where_more_than_one_place_has_the_rest_the_rules_choose_and_the_page_says_why(client):
    shop = a_site(units=3, places=3)
    deciding.set_policy(merchant=shop.site.merchant, actor=shop.owner, policy=Policy(("ranking",), places_max=2))
    home, worse, better = (place.pk for place in shop.places)
    Location.objects.filter(pk=worse).update(rank=2)
    Location.objects.filter(pk=better).update(rank=1)
    for place in (1, 2):
        shop.put_on_shelf("MUG", 5, place=place)
    put(shop, "grows", {"quantity": 3, "location_id": home})
    assert bring(shop, "grows", {"quantity": 5}) == [("1", home, 3, 0), ("1", better, 2, 0)]
    decision = RoutingDecision.objects.get(order__external_id="grows")
    assert (decision.question["used"], decision.takes[0]["place"]) == ([home], better)
    client.force_login(shop.owner)
    page = client.get(f"/{shop.site.merchant.slug}/orders/{decision.order_id}/").content.decode()
    assert "Your ranking of places" in page
    # Two places share it already: a third may not, however much it has.
    assert bring(shop, "grows", {"quantity": 9}) == [("1", home, 4, 0), ("1", better, 5, 0)]
    assert Collision.objects.get(closed_at=None).missing == 1
    again = deciding.replay(
        merchant=shop.site.merchant, policy=Policy(("ranking",), places_max=2), since=decision.decided_at
    )
    assert again.changed == []


def test_a_shop_that_never_splits_has_what_grows_where_it_waits_as_a_new_order_would(shop):
    leeds, _ = (place.pk for place in shop.places)
    put(shop, "whole", {"quantity": 4})
    assert bring(shop, "whole", {"quantity": 7}) == [("1", leeds, 7, 0)]
    assert Collision.objects.get(closed_at=None).missing == 2
    assert shop.level("MUG", place=1).committed == 0


def test_two_lines_that_grow_are_not_given_the_same_units_twice(shop):
    leeds, paris = (place.pk for place in shop.places)
    splits(shop, 2)
    put(shop, "two", {"quantity": 2}, {"quantity": 2})
    grown = bring(shop, "two", {"quantity": 3}, {"quantity": 4})
    assert grown == [("1", leeds, 3, 0), ("2", leeds, 2, 0), ("2", paris, 2, 0)]
    assert bring(shop, "two", {"quantity": 3, "location_id": leeds}, {"quantity": 5, "location_id": leeds}) == [
        ("1", leeds, 3, 0), ("2", leeds, 3, 0), ("2", paris, 2, 0),
    ]  # fmt: skip
    assert verify.verify().breaches == []


def page_of(shop, client, order_id):
    client.force_login(shop.owner)
    order = Order.objects.get(external_id=order_id)
    return client.get(f"/{shop.site.merchant.slug}/orders/{order.pk}/").content.decode()


def ranked(shop, *ranks):
    for place, rank in zip(shop.places, ranks, strict=True):
        Location.objects.filter(pk=place.pk).update(rank=rank)


def test_a_new_line_of_a_shop_that_never_splits_waits_where_the_order_does(client):
    shop = a_site(units=5, places=3)
    home = shop.places[0].pk
    ranked(shop, 3, 1, 2)
    put(shop, "added", {"quantity": 5, "location_id": home})
    shop.put_on_shelf("MUG", 5, place=1)
    shop.put_on_shelf("MUG", 9, place=2)
    assert bring(shop, "added", {"quantity": 5}, {"quantity": 2}) == [("1", home, 5, 0), ("2", home, 2, 0)]
    assert Collision.objects.get(closed_at=None).missing == 2
    decision = RoutingDecision.objects.get(order__external_id="added")
    assert (decision.takes, decision.question["used"]) == ([], [home])
    page = page_of(shop, client, "added")
    assert (
        "The places that may share this order, counting those where it waits already, did not have all of it." in page
    )
    assert "Why is there no way to send all of it?" in page
    assert "No place had all of it" not in page
    # Goods that the order's own place has come from there, whatever the ranking says.
    shop.put_on_shelf("BOWL", 9, place=1)
    lines = ({"quantity": 5}, {"quantity": 2}, {"quantity": 1, "sku": "BOWL"})
    assert bring(shop, "added", *lines)[2:] == [("3", home, 1, 0)]


def test_a_new_line_goes_to_no_more_places_than_may_share_the_order():
    shop = a_site(units=3, places=3)
    first, second, third = (place.pk for place in shop.places)
    splits(shop, 2)
    shop.put_on_shelf("MUG", 2, place=1)
    put(shop, "added", {"quantity": 5})
    assert held_of("added") == [("1", first, 3, 0), ("1", second, 2, 0)]
    shop.put_on_shelf("MUG", 9, place=2)
    grown = bring(shop, "added", {"quantity": 5}, {"quantity": 4})
    assert grown == [("1", first, 3, 0), ("1", second, 2, 0), ("2", first, 4, 0)]
    assert Collision.objects.get(closed_at=None).missing == 4
    assert shop.level("MUG", place=2).committed == 0
    splits(shop, 3)
    assert bring(shop, "added", {"quantity": 5}, {"quantity": 4}, {"quantity": 2})[3:] == [("3", third, 2, 0)]
    assert verify.verify().breaches == []


def test_the_page_of_a_split_line_that_was_cancelled_says_that_nothing_waits(shop, client):
    splits(shop, 2)
    put(shop, "split", {"quantity": 7})
    says = "nothing of it waits any more"
    assert says not in page_of(shop, client, "split")
    assert shop.api.post("/orders/split/cancel").status_code == 200
    assert says in page_of(shop, client, "split")


def test_a_new_order_of_a_shop_that_never_splits_is_at_one_place_of_those_alike_at_the_one_ranked_best(shop):
    leeds, paris = (place.pk for place in shop.places)
    ranked(shop, 2, 1)
    put(shop, "alike", {"quantity": 7})
    assert held_of("alike") == [("1", paris, 7, 0)]
    put(shop, "both", {"quantity": 3}, {"quantity": 7, "sku": "BOWL"})
    assert held_of("both") == [("1", leeds, 3, 0), ("2", leeds, 7, 0)]


def test_a_line_without_a_place_shares_the_order_with_one_that_names_its_place(shop):
    leeds, paris = (place.pk for place in shop.places)
    put(shop, "here", {"quantity": 1, "location_id": paris}, {"quantity": 1, "sku": "BOWL"})
    assert held_of("here") == [("1", paris, 1, 0), ("2", paris, 1, 0)]
    put(shop, "gone", {"quantity": 1, "fulfilled": 1, "location_id": paris}, {"quantity": 1, "sku": "BOWL"})
    assert held_of("gone") == [("1", paris, 0, 1), ("2", leeds, 1, 0)]


def test_what_a_line_takes_where_it_names_its_place_is_not_given_to_another_besides(shop):
    leeds, paris = (place.pk for place in shop.places)
    splits(shop, 2)
    put(shop, "two", {"quantity": 1}, {"quantity": 1, "sku": "BOWL"}, {"quantity": 1})
    grown = bring(shop, "two", {"quantity": 4, "location_id": leeds}, {"quantity": 1, "sku": "BOWL"}, {"quantity": 4})
    assert grown == [("1", leeds, 4, 0), ("2", leeds, 1, 0), ("3", leeds, 1, 0), ("3", paris, 3, 0)]
    assert not Collision.objects.filter(closed_at=None).exists()


def test_units_that_pass_from_one_line_to_another_stay_where_the_order_waits(shop):
    leeds, _ = (place.pk for place in shop.places)
    splits(shop, 2)
    put(shop, "whole", {"quantity": 5})
    assert bring(shop, "whole", {"quantity": 3}, {"quantity": 2}) == [("1", leeds, 3, 0), ("2", leeds, 2, 0)]
    assert bring(shop, "whole", {"quantity": 1}, {"quantity": 4}) == [("1", leeds, 1, 0), ("2", leeds, 4, 0)]
    assert bring(shop, "whole", {"quantity": 5, "line_id": "3"}) == [
        ("1", leeds, 0, 0),
        ("2", leeds, 0, 0),
        ("3", leeds, 5, 0),
    ]
    assert not Collision.objects.filter(closed_at=None).exists()
    assert not RoutingDecision.objects.filter(takes=[]).exists()
    assert verify.verify().breaches == []
