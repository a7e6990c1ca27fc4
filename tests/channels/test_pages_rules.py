"""The pages of rules: who may, what is asked before it is saved, what is refused, and how numbers are explained."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels.models import AvailabilityRule, Connection, RuleChange
from tests import factories
from tests.channels.rules_shop import a_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client):
    made = a_shop()
    client.force_login(made.owner)
    return made


def address(shop, name, *more):
    return reverse(name, args=[shop.merchant.slug, *more])


def says(**more):
    return {"what": "everything", "safety_stock": "2", **more}


def test_a_rule_is_looked_at_then_saved_and_undone(shop, client):
    variant = shop.variant(units=12)
    there = address(shop, "rule_new")

    page = client.post(there, says(step="preview"))
    assert page.status_code == 200
    assert "4 numbers would change" in page.content.decode()
    assert not AvailabilityRule.objects.exists()
    assert client.post(there, says(step="save", seen_zero="0")).status_code == 302
    assert shop.shown(variant) == [10] * 4

    listed = client.get(address(shop, "rules")).content.decode()
    assert "Keep 2 back" in listed
    change = RuleChange.objects.get()
    assert client.post(address(shop, "undo_rule", change.pk)).status_code == 302
    assert shop.shown(variant) == [12] * 4
    client.post(address(shop, "undo_rule", change.pk))
    assert shop.shown(variant) == [12] * 4


def test_what_is_typed_comes_back_when_a_rule_is_changed(shop, client):
    variant = shop.variant(sku="CND-1")
    shop.merchant.timezone = "Europe/Berlin"
    shop.merchant.save()
    typed = says(
        what="variant", sku="cnd-1", connection=shop.channels["Web"].pk, first_connection=shop.channels["Web"].pk,
        first_until="2027-01-02T10:30", oversell="preorder", oversell_max="20", promised_date="2027-02-03",
        message="Ships in February", step="save",
    )  # fmt: skip
    client.post(address(shop, "rule_new"), typed)
    rule = AvailabilityRule.objects.get()
    assert (rule.variant, rule.oversell_max, rule.first_until.isoformat()) == (variant, 20, "2027-01-02T09:30:00+00:00")
    form = client.get(address(shop, "rule", rule.pk)).content.decode()
    for shown in ("2027-01-02T10:30", "CND-1", "Ships in February", 'value="20"', "2027-02-03"):
        assert shown in form
    client.post(address(shop, "rule", rule.pk), typed | {"safety_stock": "3"})
    rule.refresh_from_db()
    assert (rule.safety_stock, rule.first_until.isoformat()) == (3, "2027-01-02T09:30:00+00:00")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"safety_stock": ""}, "says nothing yet"),
        ({"safety_stock": "-1"}, "Type 0 or more."),
        ({"safety_stock": "two"}, "Type a number, such as 3."),
        ({"share_percent": "150"}, "At most 100."),
        ({"share_percent": "1.234"}, "At most 2 places after the point."),
        ({"what": "variant", "sku": "NOT-THERE"}, "No item has this SKU"),
        ({"what": "category"}, "Choose which category"),
        ({"oversell": "preorder", "promised_date": "2020-02-29"}, "That day is over"),
        ({"ends_at": "2020-02-29T10:30"}, "never hold"),
        ({"sku": "CND-1"}, "and names “CND-1”"),
        ({"message": "Soon"}, "Choose backorder or pre-order"),
        ({"first_until": "2027-01-02T10:30"}, "Say both"),
        ({"starts_at": "2027-01-02T10:30", "ends_at": "2027-01-01T10:30"}, "end after it begins"),
    ],
)
def test_what_makes_no_sense_is_said_in_words_and_nothing_is_saved(shop, client, typed, words):
    page = client.post(address(shop, "rule_new"), says(**typed, step="save"))
    assert page.status_code == 422
    assert words in page.content.decode()
    assert not AvailabilityRule.objects.exists()


@pytest.mark.parametrize("sku", ["MUG-1", ""])
def test_a_rule_from_an_items_page_is_for_that_item_though_its_code_is_anothers_or_none(shop, client, sku):
    mug, other = shop.variant(sku="MUG-1"), shop.variant(sku="MUG-1")
    type(mug).objects.filter(pk=mug.pk).update(sku=sku, sku_key=sku)
    page = client.get(address(shop, "rule_new"), {"variant": mug.pk}).content.decode()
    assert mug.full_title in page
    typed = says(what="variant", sku=sku, step="save")
    client.post(address(shop, "rule_new"), typed | {"item": mug.pk})
    rule = AvailabilityRule.objects.get()
    assert rule.variant == mug
    client.post(address(shop, "rule", rule.pk), typed | {"item": mug.pk, "sku": "MUG-1", "safety_stock": "3"})
    rule.refresh_from_db()
    assert rule.variant == (mug if sku else other)


def test_a_code_that_two_items_share_says_where_to_start(shop, client):
    shop.variant(sku="MUG-1")
    shop.variant(sku="MUG-1")
    page = client.post(address(shop, "rule_new"), says(what="variant", sku="MUG-1", step="save"))
    assert (page.status_code, "choose “New rule for this item” there" in page.content.decode()) == (422, True)


def test_half_of_what_is_sold_in_whole_units_is_refused_for_one_item(shop, client):
    variant = shop.variant(sku="MUG-1")
    typed = says(what="variant", sku="MUG-1", safety_stock="2.5", step="save")
    page = client.post(address(shop, "rule_new"), typed)
    assert (page.status_code, "sold in whole units" in page.content.decode()) == (422, True)
    variant.is_whole_unit = False
    variant.save()
    client.post(address(shop, "rule_new"), typed)
    assert AvailabilityRule.objects.get().safety_stock == Decimal("2.5")


def test_many_numbers_to_zero_want_a_typed_word(shop, client):
    for _ in range(2):
        shop.variant(units=2)
    there, typed = address(shop, "rule_new"), says(step="save", seen_zero="8")
    refused = client.post(there, typed)
    assert refused.status_code == 422
    assert "8 numbers would show 0" in refused.content.decode()
    assert client.post(there, typed | {"confirm": "Apply"}).status_code == 302


def test_more_zeros_than_were_shown_are_asked_about_again(shop, client):
    variant = shop.variant(units=3)
    shown = client.post(address(shop, "rule_new"), says(step="preview")).content.decode()
    assert 'name="seen_zero" value="0"' in shown
    shop.post(variant, -1)
    page = client.post(address(shop, "rule_new"), says(step="save", seen_zero="0"))
    assert page.status_code == 422
    assert "Look again" in page.content.decode()
    assert not AvailabilityRule.objects.exists()


def test_a_cap_for_every_channel_says_that_it_caps_the_tills_too_and_by_how_much(shop, client):
    Connection.objects.filter(pk=shop.channels["Till"].pk).update(channel="square", label="Counter")
    shop.variant(units=12)
    shop.variant(units=2)
    there = address(shop, "rule_new")
    assert "“Every channel” means your tills too: Counter." in client.get(there).content.decode()
    typed = {"what": "everything", "cap": "3", "step": "preview"}
    page = client.post(there, typed).content.decode()
    assert "This caps your tills too" in page
    assert "Counter would show less of 1 of its 2 numbers" in page
    assert not AvailabilityRule.objects.exists()
    for other in ({"connection": shop.channels["Web"].pk}, {"cap": "", "safety_stock": "2"}):
        assert "caps your tills" not in client.post(there, typed | other).content.decode()
    assert client.post(there, typed | {"step": "save", "seen_zero": "0"}).status_code == 302
    rule = AvailabilityRule.objects.get()
    assert (
        "Counter shows no more than that now"
        in client.post(address(shop, "rule", rule.pk), typed | {"note": "Small shelf"}).content.decode()
    )
    assert "caps your tills" not in client.get(address(shop, "delete_rule", rule.pk)).content.decode()


def test_a_shop_without_a_till_is_told_nothing_of_tills(shop, client):
    shop.variant(units=12)
    there = address(shop, "rule_new")
    assert "tills" not in client.get(there).content.decode()
    typed = {"what": "everything", "cap": "3", "step": "preview"}
    assert "caps your tills" not in client.post(there, typed).content.decode()


def test_deleting_shows_what_comes_back(shop, client):
    variant = shop.variant(units=12)
    rule = shop.rule(safety_stock=Decimal(2))
    there = address(shop, "delete_rule", rule.pk)
    assert "4 numbers would change" in client.get(there).content.decode()
    assert shop.shown(variant) == [10] * 4
    client.post(there, {"step": "save", "seen_zero": "0"})
    assert shop.shown(variant) == [12] * 4
    assert client.get(there).status_code == 404


def test_an_associate_reads_and_changes_nothing(shop, client):
    rule = shop.rule(safety_stock=Decimal(2))
    client.force_login(factories.MembershipFactory(merchant=shop.merchant, role="associate").user)
    assert "Keep 2 back" in client.get(address(shop, "rules")).content.decode()
    connection = shop.channels["Web"]
    assert client.get(address(shop, "channel_selling", connection.pk)).status_code == 200
    for name, key in (("rule_new", None), ("rule", rule.pk), ("delete_rule", rule.pk)):
        assert client.post(address(shop, name, *([key] if key else []))).status_code == 403
    assert client.post(address(shop, "channel_selling", connection.pk), {"mode": "escrow"}).status_code == 403


def test_a_variants_page_says_how_each_number_comes_about(shop, client):
    variant = shop.variant(units=12, category="Candles")
    shop.rule(category="Candles", safety_stock=Decimal(2))
    shop.rule(connection=shop.channels["Market"], channel_buffer=Decimal(1))
    html = client.get(address(shop, "variant", variant.pk)).content.decode()
    page = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "12 available −2 safety stock Rule: Candles −1 buffer" in page
    assert "9 should show" in page
    assert 'class="sum small"' in html  # a sum is a list, a step a line


def test_a_channel_chooses_how_it_sells_and_sees_what_it_costs(shop, client):
    variant = shop.variant(units=12)
    connection = shop.channels["Market"]
    there = address(shop, "channel_selling", connection.pk)
    assert "Hides now" in client.get(there).content.decode()
    preview = client.post(there, {"mode": "escrow", "updates_every_s": "900", "step": "preview"})
    assert "would change" in preview.content.decode()
    connection.refresh_from_db()
    assert connection.updates_every_s is None
    client.post(there, {"mode": "escrow", "updates_every_s": "900", "step": "save", "seen_zero": "0"})
    connection.refresh_from_db()
    assert connection.updates_every_s == 900
    assert AvailabilityRule.objects.get().mode == "escrow"
    assert sum(shop.shown(variant)[2:3]) < 12
    client.post(there, {"mode": "shared", "step": "save", "seen_zero": "0"})
    assert AvailabilityRule.objects.get().mode == "shared"


def test_the_lists_cost_does_not_grow_with_its_rules(shop, client, django_assert_max_num_queries):
    for number in range(12):
        variant = shop.variant(units=1) if number < 3 else None
        rule = shop.rule(variant=variant, cap=Decimal(number), connection=shop.channels["Web"])
    assert rule.pk
    with django_assert_max_num_queries(22):
        client.get(address(shop, "rules"))


def test_a_rule_that_is_over_or_to_come_says_so(shop, client):
    shop.rule(cap=Decimal(1), starts_at=utc_now() + timedelta(days=1))
    shop.rule(cap=Decimal(2), ends_at=utc_now() - timedelta(days=1))
    page = client.get(address(shop, "rules")).content.decode()
    assert "Over since" in page
    assert ">From<" in page.replace("</span> ", "<").replace(" ", "") or "From" in page
