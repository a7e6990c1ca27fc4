"""Which place ships: every plan, narrowed by rules in order; the reasons kept; other rules tried on the past."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.models import Order, RoutingDecision, RoutingPolicy
from inventory.routing import deciding, engine
from inventory.routing.deciding import Policy
from inventory.routing.engine import Place, Plan, Point, Question, Rule
from storestudio.accounts.models import AuditEntry
from tests.inventory.pages_shop import Shop
from tests.inventory.test_pages_variant import text

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LONDON, LEEDS, PARIS = Point(51.5072, -0.1276), Point(53.8008, -1.5491), Point(48.8566, 2.3522)


def asked(wanted, offered, *, to=None, at=NOON):
    """Units by variant, and by place and variant."""
    return Question(
        wanted={variant: Decimal(units) for variant, units in wanted.items()},
        offered={
            place: {variant: Decimal(units) for variant, units in goods.items()} for place, goods in offered.items()
        },
        destination=to,
        asked_at=at,
    )


def ships(question, places, *rules, places_max=1):
    """The ids of the places chosen."""
    plan = engine.decide(question=question, places=places, rules=rules, places_max=places_max).plan
    return plan.place_ids if plan else ()


ALIKE = {1: {7: 5}, 2: {7: 5}}


@pytest.mark.parametrize(
    ("rule", "places", "expected"),
    [
        (Rule.CLOSEST, [Place(1, "Leeds", point=LEEDS), Place(2, "Paris", point=PARIS)], 2),
        (Rule.WAREHOUSE, [Place(1, "Shop"), Place(2, "Barn", is_warehouse=True)], 2),
        (Rule.RANKING, [Place(1, "First", rank=2), Place(2, "Second", rank=1)], 2),
        (Rule.CAPACITY, [Place(1, "Full", orders_left=0), Place(2, "Free", orders_left=1)], 2),
        (Rule.CUT_OFF, [Place(1, "Late", ships_until=time(11)), Place(2, "In time", ships_until=time(13))], 2),
    ],
)
def test_each_rule_prefers_what_it_says(rule, places, expected):
    question = asked({7: 1}, ALIKE, to=Point(49.0, 2.0))
    assert ships(question, places, rule) == (expected,)
    assert ships(question, [Place(1, "a"), Place(2, "b")], rule) == (1,), "control: nothing to tell them apart"


def test_distance_is_along_a_great_circle():
    assert engine.distance_km(LONDON, PARIS) == pytest.approx(343.5, abs=1)
    assert engine.distance_km(LEEDS, LEEDS) == 0


def test_the_cut_off_is_in_the_places_own_time():
    late = Place(1, "Tokyo", ships_until=time(18), timezone="Asia/Tokyo")  # 21:00 there
    early = Place(2, "New York", ships_until=time(18), timezone="America/New_York")  # 7:00 there
    assert ships(asked({7: 1}, ALIKE), [late, early], Rule.CUT_OFF) == (2,)


def test_the_first_rule_that_does_not_tie_decides_and_later_ones_are_not_asked():
    places = [Place(1, "Near", point=LONDON, rank=9), Place(2, "Far", point=PARIS, rank=1)]
    question = asked({7: 1}, ALIKE, to=LONDON)
    decision = engine.decide(
        question=question, places=places, rules=[Rule.COMPLETE, Rule.CLOSEST, Rule.RANKING], places_max=1
    )
    assert decision.plan is not None
    assert decision.plan.place_ids == (1,)
    assert [(step.rule, step.considered, step.kept) for step in decision.steps] == [
        ("complete", 2, 2),
        ("closest", 2, 1),
    ]
    assert [step.words for step in decision.steps] == ["all alike: all from one place", "Near: 0.0 km; Far: 344 km"]
    assert ships(question, places, Rule.RANKING, Rule.CLOSEST) == (2,)


def test_a_rule_that_knows_nothing_abstains():
    places = [Place(1, "A", rank=2), Place(2, "B", rank=1)]
    decision = engine.decide(
        question=asked({7: 1}, ALIKE), places=places, rules=[Rule.CLOSEST, Rule.CAPACITY, Rule.RANKING], places_max=1
    )
    assert [step.words for step in decision.steps[:2]] == ["abstains: it knows nothing about this order"] * 2
    assert decision.plan is not None
    assert decision.plan.place_ids == (2,)


def test_an_order_is_split_only_where_the_shop_allows_it_and_as_little_as_can_be():
    places = [Place(1, "A"), Place(2, "B"), Place(3, "C")]
    question = asked({7: 3, 8: 1}, {1: {7: 3}, 2: {8: 1}, 3: {7: 1, 8: 1}})
    assert ships(question, places, Rule.FEWEST) == ()
    assert ships(question, places, Rule.FEWEST, places_max=2) in {(1, 2), (1, 3)}
    assert ships(asked({7: 4}, {1: {7: 3}, 2: {7: 1}}), places, places_max=2) == (1, 2)
    assert ships(asked({7: 5}, {1: {7: 3}, 2: {7: 1}}), places, places_max=3) == (), "there is not enough anywhere"
    assert ships(asked({7: 5}, {1: {7: 3}, 2: {7: 1}, 3: {7: 1}}), places, places_max=3) == (1, 2, 3)


def test_a_whole_line_leaves_from_one_place_where_one_has_it():
    places = [Place(1, "A"), Place(2, "B")]
    question = asked({7: 4, 8: 1}, {1: {7: 3, 8: 1}, 2: {7: 4}})
    decision = engine.decide(question=question, places=places, rules=[], places_max=2)
    assert decision.plan is not None
    assert [(take.place_id, take.variant_id, take.quantity) for take in decision.plan.takes] == [(1, 8, 1), (2, 7, 4)]


shelf = st.dictionaries(st.integers(1, 5), st.dictionaries(st.integers(1, 4), st.integers(0, 6)), max_size=5)


@given(
    wanted=st.dictionaries(st.integers(1, 4), st.integers(1, 6), min_size=1),
    offered=shelf,
    places_max=st.integers(1, 3),
    rules=st.permutations(list(Rule)).flatmap(lambda rules: st.integers(0, len(rules)).map(lambda n: rules[:n])),
    points=st.lists(st.none() | st.builds(Point, st.floats(-90, 90), st.floats(-180, 180)), min_size=6, max_size=6),
)
def test_what_is_chosen_gives_all_that_is_wanted_and_takes_no_more_than_there_is(
    wanted, offered, places_max, rules, points
):
    places = [Place(id=n, name=f"P{n}", point=points[n], orders_left=n - 2, rank=n % 3) for n in range(1, 6)]
    question = asked(wanted, offered, to=points[0])
    plan = engine.decide(question=question, places=places, rules=rules, places_max=places_max).plan
    alone = [place for place in offered if all(offered[place].get(v, 0) >= units for v, units in wanted.items())]
    if plan is None:
        assert not alone
        return
    assert len(plan.place_ids) <= places_max
    for variant, units in wanted.items():
        assert sum(take.quantity for take in plan.takes if take.variant_id == variant) == units
    for take in plan.takes:
        assert 0 < take.quantity <= offered[take.place_id][take.variant_id]
    again = engine.decide(question=question, places=places[::-1], rules=rules, places_max=places_max).plan
    assert again == plan, "the order in which places are told makes no difference"


@pytest.fixture
def shop(client, db):
    made = Shop()
    client.force_login(made.user)
    return made


def choose(shop, variant, *, reference="hold:1", to=None, now=NOON, units=1):
    offered = {place.pk: {variant.pk: Decimal(5)} for place in shop.places}
    return deciding.choose(
        merchant_id=shop.merchant.pk, reference=reference, wanted={variant.pk: Decimal(units)}, offered=offered,
        destination=to, now=now,
    )  # fmt: skip


def move(place, **fields):
    for name, value in fields.items():
        setattr(place, name, value)
    place.save()


@pytest.mark.django_db
def test_a_decision_is_kept_with_its_reasons_and_shown_on_the_orders_page(client, shop):
    mug = shop.stock("Mug", units=9)
    move(shop.places[0], latitude=Decimal("51.50720"), longitude=Decimal("-0.12760"))
    move(shop.places[1], latitude=Decimal("48.85660"), longitude=Decimal("2.35220"))
    decision = choose(shop, mug, to=PARIS)
    assert decision.plan == Plan((engine.Take(shop.places[1].pk, mug.pk, Decimal(1)),))
    order = shop.order(mug, number="#9", committed=1)
    order_id = Order.objects.get(number="#9").pk if not isinstance(order, Order) else order.pk
    deciding.belongs_to_order(merchant_id=shop.merchant.pk, reference="hold:1", order_id=order_id)
    page = text(client.get(shop.url("order", order_id)))
    assert "Why Store?" in page
    assert "Closest to the customer Store: 0.0 km; High Street: 344 km" in page


@pytest.mark.django_db
def test_asking_again_under_the_same_reference_replaces_the_decision(shop):
    mug = shop.stock("Mug", units=9)
    choose(shop, mug)
    choose(shop, mug, units=2)
    kept = RoutingDecision.objects.get()
    assert kept.question["wanted"] == {str(mug.pk): "2"}


@pytest.mark.django_db
def test_a_place_that_has_its_orders_for_today_steps_back(shop):
    mug = shop.stock("Mug", units=9)
    move(shop.places[0], orders_a_day_max=1)
    now = datetime.now(tz=UTC)
    assert choose(shop, mug, now=now).plan.place_ids == (shop.places[0].pk,)
    shop.order(mug, number="#1", committed=1, placed_at=now)
    assert choose(shop, mug, now=now).plan.place_ids == (shop.places[1].pk,)
    tomorrow = now + timedelta(days=1)
    assert choose(shop, mug, now=tomorrow).plan.place_ids == (shop.places[0].pk,)


@pytest.mark.django_db
def test_other_rules_are_tried_on_past_orders_with_what_was_known_then(shop):
    mug = shop.stock("Mug", units=9)
    for number in range(3):
        choose(shop, mug, reference=f"hold:{number}")
    same = deciding.replay(
        merchant=shop.merchant, policy=deciding.policy_of(merchant_id=shop.merchant.pk), since=NOON - timedelta(days=1)
    )
    assert (same.decided, len(same.changed)) == (3, 0), "control: the rules in use change nothing"
    move(shop.places[1], is_warehouse=True)
    choose(shop, mug, reference="hold:later")
    other = deciding.replay(merchant=shop.merchant, policy=Policy((Rule.WAREHOUSE,), 1), since=NOON - timedelta(days=1))
    assert [change.decision.reference for change in other.changed] == ["hold:later"]
    assert (other.changed[0].before, other.changed[0].after) == ("High Street", "Store")
    assert other.by_place == {"High Street": (4, 3), "Store": (0, 1)}
    assert RoutingDecision.objects.filter(takes__0__place=shop.places[0].pk).count() == 4, "nothing was changed"


@pytest.mark.django_db
def test_rules_are_drafted_tried_and_used(client, shop):
    mug = shop.stock("Mug", units=9)
    move(shop.places[1], rank=1)
    RoutingPolicy.objects.create(merchant=shop.merchant, rules=["complete"], places_max=1)
    choose(shop, mug, now=datetime.now(tz=UTC))
    draft = {"rules": "ranking,complete", "places": "2"}
    page = text(client.get(shop.url("routing"), draft))
    assert "A draft: not in use yet." in page
    assert "0 of 1 order would have left from elsewhere" in page, "the better rank broke the tie already"
    assert deciding.policy_of(merchant_id=shop.merchant.pk).rules == ("complete",)
    assert client.post(shop.url("use_routing"), draft).status_code == 302
    assert deciding.policy_of(merchant_id=shop.merchant.pk) == Policy(("ranking", "complete"), 2)
    entry = AuditEntry.objects.get(action="routing.rules")
    assert entry.detail["before"]["rules"] == ["complete"]
    strange = client.get(shop.url("routing"), {"rules": "ranking,zeppelin,ranking", "places": "77"})
    assert strange.status_code == 200
    assert "zeppelin" not in text(strange)


@pytest.mark.django_db
def test_an_associate_may_look_at_the_rules_and_not_change_them(client):
    shop = Shop(role="associate")
    client.force_login(shop.user)
    assert client.get(shop.url("routing"), {"rules": "ranking"}).status_code == 200
    assert client.post(shop.url("use_routing"), {"rules": "ranking"}).status_code == 403
    assert client.get(shop.url("shipping_place", shop.places[0].pk)).status_code == 403


@pytest.mark.django_db
def test_how_a_place_ships_is_changed_and_half_a_point_is_refused(client, shop):
    place = shop.places[0]
    url = shop.url("shipping_place", place.pk)
    answer = client.post(url, {"rank": "1", "latitude": "53.48095", "longitude": ""})
    assert answer.status_code == 422
    assert "there is a latitude" in text(answer)
    given = {"rank": "1", "latitude": "53.48095", "longitude": "-2.23743", "ships_until": "16:30", "is_warehouse": "on"}
    assert client.post(url, given).status_code == 302
    place.refresh_from_db()
    assert (place.rank, place.is_warehouse, place.ships_until) == (1, True, time(16, 30))
    assert (place.latitude, place.longitude) == (Decimal("53.48095"), Decimal("-2.23743"))
    assert AuditEntry.objects.filter(action="routing.place").count() == 1
