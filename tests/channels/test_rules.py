"""What rules come to: which one decides, what the number is then, and that it follows by itself."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now as utc_now

from channels import availability, beliefs, incidents, publisher, rules
from channels.models import CellPolicy, ChannelStock, Incident, RuleWork
from inventory.models import Product
from storestudio.accounts.models import AuditEntry
from tests.channels.rules_shop import a_shop

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def shop():
    return a_shop()


def later(span):
    """The clock of the database cannot be turned: what was to come came before."""
    CellPolicy.objects.update(turns_at=utc_now() - HOUR)
    rules.AvailabilityRule.objects.exclude(sells_from=None).update(sells_from=utc_now() - HOUR)
    rules.AvailabilityRule.objects.exclude(first_until=None).update(first_until=utc_now() - HOUR)


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ({"safety_stock": 2}, 10),
        ({"channel_buffer": 3}, 9),
        ({"safety_stock": 2, "channel_buffer": 3}, 7),
        ({"share_percent": 50}, 6),
        ({"safety_stock": 1, "share_percent": 50}, 5),  # 5.5, in whole units
        ({"cap": 3}, 3),
        ({"cap": 30}, 12),
        ({"safety_stock": 20}, 0),
        ({"is_paused": True}, 0),
        ({"is_tracked": False}, None),
        ({"oversell": "preorder", "oversell_max": 20, "promised_date": utc_now().date() + timedelta(days=9)}, 32),
    ],
)
def test_each_setting_says_what_is_left(shop, says, shown):
    variant = shop.variant(units=12)
    shop.rule(**says)
    assert shop.shown(variant) == [shown] * 4


def test_a_sale_is_counted_under_the_rules_at_once(shop):
    variant = shop.variant(units=12)
    shop.rule(safety_stock=2)
    shop.post(variant, -4)
    assert shop.shown(variant) == [6] * 4


def test_keeping_units_back_never_shows_a_shortage_that_is_none(shop):
    shop.channels["Web"].__class__.objects.update(can_be_set_negative=True)
    variant = shop.variant(units=1)
    shop.rule(safety_stock=5)
    assert shop.shown(variant) == [0] * 4
    shop.post(variant, -3)
    assert shop.shown(variant) == [-2] * 4


def test_the_most_specific_rule_decides_each_setting_apart(shop):
    candle, mug = shop.variant(category="Candles"), shop.variant(category="Mugs")
    shop.rule(safety_stock=1, cap=9)
    shop.rule(category="candles ", safety_stock=2)
    shop.rule(location=shop.places[0], safety_stock=3)
    assert shop.shown(mug) == [9] * 4
    assert shop.shown(candle) == [9] * 4
    shop.rule(connection=shop.channels["Market"], safety_stock=4, cap=5)
    shop.rule(variant=candle, safety_stock=10)
    assert shop.shown(mug) == [9, 9, 5, 9]
    assert shop.shown(candle) == [2] * 4


def test_of_equal_rules_the_newest_decides_and_the_answer_names_it(shop):
    variant = shop.variant()
    shop.rule(safety_stock=1)
    newer = shop.rule(safety_stock=3)
    found = availability.of_cells(cell_ids=[shop.cell(variant, "Web").pk])
    assert [(one.quantity, one.decided) for one in found] == [(9, {"safety_stock": newer.pk})]
    assert [(step.kind, step.amount, step.rule_id) for step in found[0].steps] == [
        ("available", 12, None),
        ("safety_stock", -3, newer.pk),
    ]


def test_steps_always_lead_to_the_number(shop):
    variant = shop.variant(units=17)
    shop.rule(safety_stock=2, channel_buffer=1, share_percent=70, cap=9)
    shop.rule(connection=shop.channels["Till"], is_paused=True)
    for name in shop.channels:
        (found,) = availability.of_cells(cell_ids=[shop.cell(variant, name).pk])
        assert sum(step.amount for step in found.steps) == found.quantity


def test_what_is_sold_in_whole_units_has_whole_steps(shop):
    variant = shop.variant(units=5)
    shop.rule(share_percent=50)
    (found,) = availability.of_cells(cell_ids=[shop.cell(variant, "Web").pk])
    assert [(step.kind, step.amount) for step in found.steps] == [("available", 5), ("share_percent", -3)]
    shop.rule(safety_stock=Decimal("2.5"), share_percent=100)
    (found,) = availability.of_cells(cell_ids=[shop.cell(variant, "Web").pk])
    assert [(step.kind, step.amount) for step in found.steps][1:2] == [("safety_stock", -3)]
    assert sum(step.amount for step in found.steps) == found.quantity == 2


def test_a_shortage_is_said_as_one_and_half_a_unit_as_half_a_unit(shop):
    variant = shop.variant(units=Decimal("-1.5"))
    ChannelStock.objects.filter(pk=shop.cell(variant, "Till").pk).update(expected=-3)
    publisher.refresh_desired(cell_ids=shop.cell_ids(variant))

    def said():
        views = beliefs.views(merchant_id=shop.merchant.pk, variant_ids=[variant.pk], with_told=True)
        return {view.channel_label: [(one.amount, one.words) for one in view.reasons] for view in views}

    shortage = (Decimal("-1.5"), "available")
    assert said()["Web"] == [shortage, (Decimal("1.5"), "never told a number below 0")]
    assert said()["Till"] == [shortage, (Decimal("-1.5"), "below 0 by its own sales, and left so")]
    shop.post(variant, 3)
    assert (said()["Web"], said()["Till"], shop.shown(variant)) == ([(1, "available")], [(1, "available")], [1] * 4)


def test_web_first_for_48_hours_then_everyone_by_itself(shop):
    variant = shop.variant()
    shop.rule(variant=variant, first_connection=shop.channels["Web"], first_until=utc_now() + timedelta(hours=48))
    assert shop.shown(variant) == [0, 12, 0, 0]
    later(HOUR)
    assert rules.sweep(now=utc_now()) == 4
    assert shop.shown(variant) == [12] * 4
    assert rules.sweep(now=utc_now()) == 0


def test_not_before_a_time_and_a_rules_own_span_turn_by_themselves(shop):
    variant = shop.variant()
    rule = shop.rule(sells_from=utc_now() + HOUR)
    assert shop.shown(variant) == [0] * 4
    later(HOUR)
    rules.sweep(now=utc_now())
    assert shop.shown(variant) == [12] * 4
    rules.delete(rule=rule, actor=shop.owner)
    campaign = shop.rule(safety_stock=5, starts_at=utc_now() + HOUR, ends_at=utc_now() + 2 * HOUR)
    assert shop.shown(variant) == [12] * 4
    campaign.starts_at = utc_now() - HOUR
    campaign.save()
    CellPolicy.objects.update(turns_at=utc_now() - HOUR)
    rules.sweep(now=utc_now())
    assert shop.shown(variant) == [7] * 4
    campaign.ends_at = utc_now() - timedelta(minutes=1)
    campaign.save()
    CellPolicy.objects.update(turns_at=utc_now() - HOUR)
    rules.sweep(now=utc_now())
    assert shop.shown(variant) == [12] * 4


def test_a_promise_ends_with_its_day_and_is_no_oversell_before(shop):
    variant = shop.variant(units=2)
    rule = shop.rule(
        oversell="backorder",
        oversell_max=5,
        promised_date=utc_now().date() + timedelta(days=3),
        message="In stock soon",
    )
    assert rules.says(rule) == [f"backorder up to 5 at each place by {rule.promised_date:%d %b %Y}"]
    shop.post(variant, -6)
    assert shop.shown(variant) == [1] * 4
    assert incidents.sweep_oversold(merchant_id=shop.merchant.pk) == 0
    (found,) = availability.of_cells(cell_ids=[shop.cell(variant, "Web").pk])
    assert (found.promise.kind, found.promise.units, found.promise.message) == ("backorder", 5, "In stock soon")
    assert found.promise.promised_date == rule.promised_date
    rule.promised_date = utc_now().date() - timedelta(days=2)
    rules.save(rule=rule, actor=shop.owner)
    assert shop.shown(variant) == [0] * 4
    assert incidents.sweep_oversold(merchant_id=shop.merchant.pk) == 1
    assert Incident.objects.get().kind == "oversold"


def test_another_category_is_followed_by_the_next_sweep(shop):
    variant = shop.variant(category="Mugs")
    shop.rule(category="Candles", safety_stock=2)
    Product.objects.filter(pk=variant.product_id).update(category="Candles")
    assert RuleWork.objects.count() == 1
    assert rules.sweep(now=utc_now()) == 4
    assert shop.shown(variant) == [10] * 4
    assert not RuleWork.objects.exists()


def test_a_preview_shows_what_moves_and_moves_nothing(shop):
    variant, other = shop.variant(units=12, category="Candles"), shop.variant(units=3, category="Mugs")
    rule = rules.AvailabilityRule(merchant=shop.merchant, connection=shop.channels["Market"], safety_stock=3)
    found = rules.preview_save(rule=rule)
    assert [(one.connection.label, one.cells, one.changed, one.to_zero, one.units) for one in found.tallies] == [
        ("Market", 2, 2, 1, -6)
    ]
    assert {(one.variant.pk, one.before, one.after) for one in found.effects} == {(variant.pk, 12, 9), (other.pk, 3, 0)}
    assert (found.changed, found.to_zero) == (2, 1)
    assert rule.pk is None
    assert not rules.AvailabilityRule.objects.exists()
    assert shop.shown(variant) == [12] * 4
    saved = shop.rule(connection=shop.channels["Market"], safety_stock=3)
    assert rules.preview_delete(rule=saved).changed == 2
    assert shop.shown(other) == [3, 3, 0, 3]


def test_changes_are_kept_and_undone_newest_first(shop):
    variant = shop.variant()
    rule = shop.rule(safety_stock=2, note="Christmas")
    made = rule.changes.get()
    rule.safety_stock = Decimal(5)
    changed = rules.save(rule=rule, actor=shop.owner)
    with pytest.raises(rules.CannotUndo, match="changed since"):
        rules.undo(change=made, actor=shop.owner)
    rules.undo(change=changed, actor=shop.owner)
    assert shop.shown(variant) == [10] * 4
    with pytest.raises(rules.CannotUndo, match="already"):
        rules.undo(change=changed, actor=shop.owner)
    rules.undo(change=made, actor=shop.owner)
    assert shop.shown(variant) == [12] * 4
    rule.refresh_from_db()
    assert rule.deleted_at is not None
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["rule.made", "rule.changed", "rule.changed", "rule.deleted"]


def test_a_deleted_rule_comes_back_as_it_was(shop):
    variant = shop.variant()
    ends_at = utc_now() + HOUR
    rule = shop.rule(safety_stock=Decimal("2.5"), ends_at=ends_at, connection=shop.channels["Web"])
    rules.undo(change=rules.delete(rule=rule, actor=shop.owner), actor=shop.owner)
    rule.refresh_from_db()
    assert (rule.safety_stock, rule.ends_at, rule.connection) == (Decimal("2.5"), ends_at, shop.channels["Web"])
    assert shop.shown(variant) == [12, 9, 12, 12]


@pytest.mark.parametrize(
    "says",
    [
        {},
        {"cap": -1},
        {"share_percent": 101},
        {"cap": 1, "first_until": utc_now()},
        {"cap": 1, "starts_at": utc_now(), "ends_at": utc_now() - HOUR},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_the_database(shop, says):
    with pytest.raises(IntegrityError), transaction.atomic():
        shop.rule(**says)


def test_what_is_not_counted_is_never_due_and_counted_again_it_is(shop):
    variant = shop.variant()
    rule = shop.rule(is_tracked=False)
    assert not ChannelStock.objects.filter(dirty_at__isnull=False).exists()
    rules.delete(rule=rule, actor=shop.owner)
    assert ChannelStock.objects.filter(dirty_at__isnull=False).count() == 4
    assert shop.shown(variant) == [12] * 4
