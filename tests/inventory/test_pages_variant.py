"""A variant's page: every unit explained, in plain words, now and then; what each channel believes; the payload."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as utc_now

from channels.models import Connection
from inventory import history, paging
from inventory.models import StockLevel, StockMovement
from storestudio.accounts.models import Membership
from tests import factories
from tests.inventory.pages_shop import Shop, ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client):
    made = Shop()
    client.force_login(made.user)
    return made


def text(answer):
    """What a person reads, on one line."""
    html = re.sub(r"<(script|style|head).*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r" ([,.:])", r"\1", re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def look(client, shop, variant, **query):
    answer = client.get(shop.url("variant", variant.pk), query)
    assert answer.status_code == 200
    return text(answer)


def test_forty_seven_is_fifty_less_three_sold(client, shop):
    mug = shop.stock("Mug", units=50)
    shop.order(mug, fulfilled=3)
    page = look(client, shop, mug)
    assert "Why is this 47?" in page
    assert "47 = 50 opening − 3 sold: every unit explained by 2 movements." in page


def test_the_sentence_names_every_kind_of_cause(client, shop):
    mug = shop.stock("Mug", units=50)
    shop.post(mug, kind="receive", units=24)
    shop.post(mug, units=-2)
    shop.post(mug, kind="count", units=-1)
    shop.order(mug, number="#1", fulfilled=4, returned=1)
    shop.order(mug, number="#2", committed=2)
    assert (
        "66 = 50 opening + 24 received − 1 missing in counts − 2 adjusted − 4 sold + 1 returned − 2 committed:"
        in look(client, shop, mug)
    )


def test_below_zero_is_said_plainly(client, shop):
    mug = shop.stock("Mug", units=1)
    shop.order(mug, fulfilled=3)
    page = look(client, shop, mug)
    assert "−2 = 1 opening − 3 sold" in page
    assert "More is sold or promised than there is." in page


def test_the_bars_lead_from_the_opening_count_to_the_number(shop):
    mug = shop.stock("Mug", units=50)
    shop.order(mug, number="#1", fulfilled=3)
    shop.order(mug, number="#2", committed=2)
    why = history.explanation(merchant=shop.merchant, variant=mug)
    ends = [(step.name, step.start, step.end) for step in why.steps]
    assert ends == [
        ("opening", 0, 50), ("sale", 50, 47), ("on_hand", 0, 47), ("committed", 47, 45), ("available", 0, 45)
    ]  # fmt: skip
    assert why.is_explained


def falsify(variant, **totals):
    """Change a level behind the ledger's back, which the database forbids everyone; a control."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        StockLevel.objects.filter(variant=variant).update(**totals)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_units_that_no_movement_explains_are_never_hidden(client, shop):
    mug = shop.stock("Mug", units=50)
    falsify(mug, on_hand=52)
    page = look(client, shop, mug)
    assert "2 units are not explained" in page
    assert "every unit explained" not in page


def test_an_excess_does_not_hide_behind_a_lack(shop):
    mug = shop.stock("Mug", units=50)
    falsify(mug, on_hand=52, committed=2)
    assert history.explanation(merchant=shop.merchant, variant=mug).unexplained == 4


def test_each_movement_tells_its_cause_its_order_its_person_and_its_balance(client, shop):
    mug = shop.stock("Mug", units=50)
    order = shop.order(mug, number="#1043", committed=1)
    shop.post(mug, units=-2, reason="Damaged: wet", actor_id=shop.user.pk)
    page = look(client, shop, mug)
    assert "Ordered on Web shop, order #1043" in page
    assert "Adjusted by hand Damaged: wet" in page
    assert "Ada Marsh" in page
    assert "−2 48 on hand" in page
    assert "47 available" in page
    assert shop.url("order", order.pk) in client.get(shop.url("variant", mug.pk)).content.decode()


def test_a_late_fact_says_how_late_and_an_absorbed_one_that_it_had_no_effect(client, shop):
    mug = shop.stock("Mug", units=50)
    shop.order(mug, fulfilled=1, placed_at=ago(minutes=10))
    assert "learnt 10" in look(client, shop, mug)
    shop.post(mug, kind="adjust", units=-1, occurred_at=ago(days=400))
    assert "learnt 400" not in look(client, shop, mug)  # only sales are expected at once


def test_filters_by_place_and_by_channel(client, shop):
    mug = shop.stock("Mug", units=50)
    shop.post(mug, kind="receive", units=7, place=1)
    shop.order(mug, number="#77", fulfilled=1)
    shop.order(mug, number="#88", connection=shop.till, fulfilled=1)
    assert "Why is this 7?" in look(client, shop, mug, location=shop.places[1].pk)
    web = look(client, shop, mug, channel=shop.web.pk)
    assert "#77" in web
    assert "#88" not in web


def test_a_past_instant_is_explained_as_the_ledger_had_it(client, shop):
    mug = shop.stock("Mug", units=50)
    then = StockMovement.objects.get().recorded_at + timedelta(microseconds=1)
    shop.order(mug, fulfilled=3, placed_at=then - timedelta(seconds=2))
    why = history.explanation(merchant=shop.merchant, variant=mug, at=then)
    assert (why.cell.available, why.movements, why.learnt_later) == (50, 1, -3)
    page = look(client, shop, mug, at=then.isoformat())
    assert "Why is this 50?" in page
    assert "−3 on hand had happened by then and was learnt of afterwards." in page
    assert "Sold on" not in page


def test_before_anything_moved_there_was_nothing(client, shop):
    mug = shop.stock("Mug", units=50)
    assert "Nothing had moved by then" in look(client, shop, mug, at="2020-01-01T00:00")


@pytest.mark.parametrize("at", ["yesterday", "2026-13-45T00:00", "2199-01-01T00:00"])
def test_a_time_that_is_none_is_answered_422_with_the_cursor_in_the_field(client, shop, at):
    mug = shop.stock("Mug", units=50)
    answer = client.get(shop.url("variant", mug.pk), {"at": at})
    assert answer.status_code == 422
    assert 'aria-describedby="at-error" autofocus' in answer.content.decode()


def test_a_typed_time_is_in_the_shops_zone(shop, client):
    shop.merchant.timezone = "Asia/Tokyo"
    shop.merchant.save()
    mug = shop.stock("Mug", units=50)
    answer = client.get(shop.url("variant", mug.pk), {"at": "2026-01-01T09:00"})
    assert "2026-01-01T00:00:00.000+00:00" in answer.content.decode()


def test_each_channel_shows_what_it_should_what_we_believe_and_what_it_said(client, shop):
    mug = shop.stock("Mug", units=50)
    cell = shop.cell(mug, desired=50, expected=49, observed=47, drift_at=ago(minutes=1), doubt=2)
    write = factories.ChannelWriteFactory(connection=shop.web, sent_at=ago(minutes=5))
    factories.ChannelWriteLineFactory(cell=cell, write=write, from_quantity=51, to_quantity=50)
    page = look(client, shop, mug)
    assert "Should show 50 We believe 49 It last said 47" in page
    assert "Shows 47, we expected 49." in page
    assert "We told it 50, 5 min ago, confirmed in 250" in page
    assert "2 missing here without a cause." in page
    assert "is not linked to anything there" in page  # the till


def test_a_write_without_an_answer_is_not_called_confirmed(client, shop):
    mug = shop.stock("Mug", units=50)
    cell = shop.cell(mug, desired=50, expected=49, dirty_at=ago(seconds=3))
    factories.ChannelWriteLineFactory(cell=cell, outcome="waiting", answered_at=None, to_quantity=50)
    page = look(client, shop, mug)
    assert "no answer yet" in page
    assert "confirmed" not in page


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ({}, "agrees"),
        ({"desired": None}, "not read yet"),
        ({"expected": None}, "not read yet"),
        ({"blocked_reason": "A person must say yes"}, "waits for you"),
        ({"desired": 4}, "being told"),
    ],
)
def test_a_cells_state_has_one_word(client, shop, numbers, state):
    mug = shop.stock("Mug", units=5)
    shop.cell(mug, **numbers)
    assert state in look(client, shop, mug)


def test_a_paused_channel_is_not_said_to_be_told(client, shop):
    mug = shop.stock("Mug", units=5)
    shop.cell(mug, desired=4)
    Connection.objects.filter(pk=shop.web.pk).update(state=Connection.State.PAUSED)
    assert "Paused: not told." in look(client, shop, mug)


def test_the_timeline_pages_both_ways_over_every_movement(shop):
    mug = shop.stock("Mug", units=50)
    for _ in range(9):
        shop.post(mug, units=-1)

    def fetch(cursor):
        return history.timeline(merchant=shop.merchant, variant=mug, narrowed=history.Filter(), cursor=cursor, size=4)

    first = fetch(paging.Cursor())
    second = fetch(paging.Cursor(after=first.after))
    third = fetch(paging.Cursor(after=second.after))
    balances = [line.movement.on_hand_after for page in (first, second, third) for line in page.rows]
    assert balances == [Decimal(number) for number in range(41, 51)]
    assert (third.after, first.before) == (None, None)
    assert fetch(paging.Cursor(before=third.before)).rows == second.rows


def test_the_page_costs_the_same_for_one_movement_and_for_thirty(client, shop):
    mug = shop.stock("Mug", units=50)
    shop.cell(mug)

    def cost():
        with CaptureQueriesContext(connection) as seen:
            client.get(shop.url("variant", mug.pk))
        return len(seen)

    shop.order(mug, number="#0", fulfilled=1)
    shop.post(mug, units=1, actor_id=shop.user.pk)
    cost()
    one = cost()
    for number in range(1, 29):
        shop.order(mug, number=f"#{number}", fulfilled=1)
        shop.post(mug, units=1, actor_id=shop.user.pk)
    assert cost() == one


def test_the_page_answers_204_until_something_moves(client, shop):
    mug = shop.stock("Mug", units=5)
    html = client.get(shop.url("variant", mug.pk)).content.decode()
    (news,) = re.findall(r'id="why" hx-get="([^"]+)"', html)
    news = news.replace("&amp;", "&")
    assert client.get(news, headers={"HX-Request": "true"}).status_code == 204
    shop.post(mug, units=-1)
    answer = client.get(news, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert 'data-moves="available">4<' in answer.content.decode()


def test_a_past_page_does_not_look_for_news(client, shop):
    mug = shop.stock("Mug", units=5)
    assert (
        'id="why" hx-get'
        not in client.get(
            shop.url("variant", mug.pk), {"at": (utc_now() - timedelta(hours=1)).isoformat()}
        ).content.decode()
    )


def test_who_may_not_manage_sees_no_button_to_change_anything(client, shop):
    mug = shop.stock("Mug", units=5)
    shop.post(mug, units=-1)
    Membership.objects.filter(user=shop.user).update(role="associate")
    html = client.get(shop.url("variant", mug.pk)).content.decode()
    assert "/undo/" not in html
    assert shop.url("adjust", mug.pk) not in html


def test_another_shops_item_is_not_found(client, shop):
    theirs = Shop(slug="other").stock("Theirs", units=5)
    assert client.get(shop.url("variant", theirs.pk)).status_code == 404


def test_the_payload_behind_a_movement_is_one_click_away(client, shop):
    mug = shop.stock("Mug", units=50)
    event = factories.InboundEventFactory(
        connection=shop.web,
        topic="orders/create",
        body=b'{"id":1043,"note":"<b>caf\xc3\xa9</b>"}',
        headers={"X-Shopify-Hmac-Sha256": "c2VjcmV0", "X-Shopify-Topic": "orders/create"},
        received_at=utc_now(),
        applied_at=utc_now(),
        state="done",
    )
    shop.order(mug, fulfilled=1, event_id=event.pk)
    url = shop.url("event", event.pk)
    assert url in client.get(shop.url("variant", mug.pk)).content.decode()
    html = client.get(url).content.decode()
    assert "&quot;note&quot;: &quot;&lt;b&gt;café&lt;/b&gt;&quot;" in html
    assert "c2VjcmV0" not in html
    assert shop.url("variant", mug.pk) in html


@pytest.mark.parametrize("body", [b"", b"\x89PNG\xff\x00{", b"not json", b"[" * 10_000])
def test_a_payload_that_cannot_be_read_is_shown_as_it_came(client, shop, body):
    event = factories.InboundEventFactory(connection=shop.web, topic="", body=body, is_quarantined=True)
    answer = client.get(shop.url("event", event.pk))
    assert answer.status_code == 200
    assert "Unreadable message" in answer.content.decode()


def test_another_shops_payload_is_not_found(client, shop):
    theirs = factories.InboundEventFactory()
    assert client.get(shop.url("event", theirs.pk)).status_code == 404
