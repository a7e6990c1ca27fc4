"""Goods on their way, as people send and receive them: looked at first, done once, differences named."""

import csv
import io
import re
import uuid
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as utc_now

from inventory import arrival_queries, bundles, paging
from inventory.models import Arrival, StockMovement
from storestudio.accounts.models import Membership
from tests import factories
from tests.inventory.pages_shop import Shop
from tests.inventory.test_arrivals import drafted, numbers, receive, sent, state
from tests.inventory.test_pages_changes import hidden_fields
from tests.inventory.test_pages_variant import text

pytestmark = pytest.mark.django_db
FAR = date(2099, 12, 4)


@pytest.fixture
def shop(client):
    made = Shop()
    client.force_login(made.user)
    return made


def become(client, shop, role):
    """Somebody of another role looks at the shop."""
    client.force_login(factories.MembershipFactory(merchant=shop.merchant, role=role).user)


def form(shop, *lines, step="save", **typed):
    """A transfer as a browser sends it."""
    return {
        "key": str(uuid.uuid4()), "origin": shop.places[0].pk, "destination": shop.places[1].pk,
        "expected_date": "2099-12-04", "note": "", "step": step,
        "variant": [one.pk for one, _ in lines], **{f"v{one.pk}-quantity": units for one, units in lines}, **typed,
    }  # fmt: skip


def counted(arrival, *came, damaged=(), rest="wait", reason="", step="preview"):
    """What came, as a browser sends it."""
    lines = list(arrival.lines.order_by("pk"))
    typed = {f"l{line.pk}-came": units for line, units in zip(lines, came, strict=False)}
    typed |= {f"l{line.pk}-damaged": units for line, units in zip(lines, damaged, strict=False)}
    return {"key": str(uuid.uuid4()), "rest": rest, "reason": reason, "step": step, **typed}


def deed(step):
    return {"key": str(uuid.uuid4()), "reason": "", "step": step}


def posted():
    return StockMovement.objects.filter(source="arrival")


def test_a_transfer_is_scanned_saved_looked_at_and_sent_once(client, shop):
    mug = shop.stock("Mug", units=10, sku="MUG-1", title="")
    cell = shop.cell(mug, desired=10, expected=10, observed=10)
    scanned = client.post(shop.url("transfer_new"), form(shop, step="add", code="mug-1", variant=[]))
    assert "Mug: 1" in text(scanned)
    again = client.post(shop.url("transfer_new"), form(shop, (mug, "1"), step="add", code="MUG-1"))
    assert f'name="v{mug.pk}-quantity" value="2"' in again.content.decode()
    (focused,) = re.findall(r"<input[^>]*autofocus[^>]*>", again.content.decode())
    assert 'name="code"' in focused  # the next scan goes there
    wanted = form(shop, (mug, "4"), note="van 2")
    pages = [client.post(shop.url("transfer_new"), wanted, follow=True) for _ in range(2)]
    arrival = Arrival.objects.get()
    assert {page.redirect_chain[0][0] for page in pages} == {shop.url("arrival", arrival.pk)}
    assert "van 2" in text(pages[0])
    assert "Mug" in text(pages[0])
    look = client.post(shop.url("arrival_send", arrival.pk), deed("preview"))
    assert "10 → becomes 6" in text(look)
    assert "Web shop: 10 → becomes 6" in text(look)
    assert "0 → becomes 4 on the way" in text(look)
    assert (posted().count(), state(arrival)) == (0, "draft")
    yes = hidden_fields(look) | {"step": "post"}
    for _ in range(2):
        client.post(shop.url("arrival_send", arrival.pk), yes)
    assert (numbers(shop, mug, 0), numbers(shop, mug, 1), state(arrival)) == ((6, 0), (0, 4), "open")
    cell.refresh_from_db()
    assert cell.desired == 6


@pytest.mark.parametrize(("typed", "then"), [("1 000", "1001"), ("2.5", "3.5"), ("NaN", "1"), ("x", "1"), ("", "1")])
def test_a_scan_counts_on_from_what_was_typed_as_people_write_it(client, shop, typed, then):
    mug = shop.stock("Mug", units=10, sku="MUG-1", title="")
    answer = client.post(shop.url("transfer_new"), form(shop, (mug, typed), step="add", code="MUG-1"))
    assert f'name="v{mug.pk}-quantity" value="{then}"' in answer.content.decode()


def test_a_delivery_is_expected_with_its_day_and_supplier(client, shop):
    mug = shop.stock("Mug", units=1, title="")
    wanted = form(shop, (mug, "12"), supplier="Acme", note="PO 7")
    del wanted["origin"]
    page = client.post(shop.url("delivery_new"), wanted, follow=True)
    arrival = Arrival.objects.get()
    assert (arrival.supplier, arrival.expected_date, arrival.note) == ("Acme", FAR, "PO 7")
    assert "Fri 4 Dec 2099" in text(page)
    client.post(shop.url("arrival_send", arrival.pk), deed("post"))
    assert numbers(shop, mug, 1) == (0, 12)
    assert "12 on the way, Fri 4 Dec" in text(client.get(shop.url("stock")))
    assert "12 on the way from Acme, Fri 4 Dec" in text(client.get(shop.url("variant", mug.pk)))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"destination": "same"}, "choose another one"),
        ({"expected_date": "soon"}, "Enter a valid date"),
        ({"expected_date": "2020-02-29"}, "That day is over"),
        ({"quantity": "0"}, "Type how many"),
        ({"quantity": "1.5"}, "whole units"),
        ({"quantity": "−2.5"}, "Type how many"),
        ({"variant": []}, "Nothing in it yet"),
        ({"destination": 0}, "Select a valid choice"),
        ({"key": ""}, "This form has expired"),
    ],
)
def test_a_wrong_transfer_is_answered_with_words_and_keeps_what_was_typed(client, shop, typed, words):
    mug = shop.stock("Mug", units=10, title="")
    sent_form = form(shop, (mug, typed.pop("quantity", "3")), note="van 2") | typed
    if sent_form["destination"] == "same":
        sent_form["destination"] = sent_form["origin"]
    answer = client.post(shop.url("transfer_new"), sent_form)
    assert answer.status_code == 422
    assert words in text(answer)
    assert 'value="van 2"' in answer.content.decode()
    assert not Arrival.objects.exists()


def test_a_draft_is_edited_and_what_is_sent_is_not(client, shop):
    mug, cup = shop.stock("Mug", units=10, title=""), shop.stock("Cup", units=10, title="")
    arrival = drafted(shop, (mug, 3))
    page = client.get(shop.url("arrival_edit", arrival.pk))
    assert f'name="v{mug.pk}-quantity" value="3"' in page.content.decode()
    client.post(shop.url("arrival_edit", arrival.pk), form(shop, (cup, "2"), key=str(arrival.key)))
    assert [(line.variant, line.quantity) for line in arrival.lines.all()] == [(cup, 2)]
    client.post(shop.url("arrival_send", arrival.pk), deed("post"))
    late = client.post(shop.url("arrival_edit", arrival.pk), form(shop, (mug, "9")), follow=True)
    assert "on its way already" in text(late)
    assert arrival.lines.get().variant == cup


def test_what_is_not_there_is_named_and_only_recorded_as_a_fact(client, shop):
    mug = shop.stock("Mug", units=3, title="")
    shop.order(mug, committed=2)
    arrival = drafted(shop, (mug, 2))
    assert "does not have all of this" in text(client.get(shop.url("arrival", arrival.pk)))
    for step in ("preview", "post"):
        answer = client.post(shop.url("arrival_send", arrival.pk), deed(step))
        assert answer.status_code == 422
        assert "Not all of it is there" in text(answer)
        assert f"Mug {mug.sku} 2 1" in text(answer)
    assert (numbers(shop, mug, 0), state(arrival)) == ((3, 0), "draft")
    client.post(shop.url("arrival_send", arrival.pk), deed("fact"))
    assert (numbers(shop, mug, 0), state(arrival)) == ((1, 0), "open")


def test_units_are_scanned_in_and_posted_with_what_differs(client, shop):
    mug, cup = shop.stock("Mug", units=10, sku="MUG-1", title=""), shop.stock("Cup", units=10, sku="CUP-1", title="")
    arrival = sent(shop, (mug, 4), (cup, 2))
    there = shop.url("arrival_receive", arrival.pk)
    scanned = client.post(there, counted(arrival, "2", step="scan") | {"code": "mug-1"})
    assert "Mug: 3" in text(scanned)
    assert "Cup" in text(client.post(there, counted(arrival, step="all")))
    unknown = client.post(there, counted(arrival, step="scan") | {"code": "nothing"})
    assert (unknown.status_code, "Nothing in this transfer has" in text(unknown)) == (422, True)
    bare = client.post(there, counted(arrival, "2", "3", damaged=("1",), rest="missing"))
    assert (bare.status_code, "say in a few words why" in text(bare)) == (422, True)
    look = client.post(there, counted(arrival, "2", "3", damaged=("1",), rest="missing", reason="crushed box"))
    assert "Mug: 1 damaged, written off, 1 missing: will not come" in text(look)
    assert "Cup: 1 more than was sent" in text(look)
    assert "4 → becomes 0 on the way" in text(look)
    assert numbers(shop, mug, 1) == (0, 4)
    for _ in range(2):
        page = client.post(there, hidden_fields(look) | {"step": "post"}, follow=True)
    assert (numbers(shop, mug, 1), numbers(shop, cup, 1), state(arrival)) == ((2, 0), (3, 0), "received")
    said = text(page)
    assert "1 damaged 1 missing" in said
    assert "1 too many" in said
    assert "crushed box" in said
    assert f"#{arrival.pk}" in text(client.get(shop.url("variant", mug.pk)))  # the movement leads back here


def test_what_customers_have_bought_already_is_said_beside_what_is_to_come(client, shop):
    mug = shop.stock("Mug", units=0, title="")
    arrival = sent(shop, (mug, 6), supplier="Acme", to=0)
    assert "sold already" not in text(client.get(shop.url("arrival", arrival.pk)))
    shop.order(mug, committed=2)
    assert "6 2 sold already" in text(client.get(shop.url("arrival", arrival.pk)))


def test_an_item_that_is_not_in_it_is_said_to_be_a_stray(client, shop):
    mug, bowl = shop.stock("Mug", units=10, title=""), shop.stock("Bowl", units=1, sku="BOWL-1", title="")
    arrival = sent(shop, (mug, 4))
    answer = client.post(
        shop.url("arrival_receive", arrival.pk), counted(arrival, "1", step="scan") | {"code": "bowl-1"}
    )
    assert "Bowl is not in this transfer. Receive it by itself" in text(answer)
    assert f"?variant={bowl.pk}&" in answer.content.decode()


@pytest.mark.parametrize("typed", ["-1", "1.5", "lots", "2000000"])
def test_a_wrong_count_is_said_where_it_stands(client, shop, typed):
    arrival = sent(shop, (shop.stock("Mug", units=10, title=""), 4))
    answer = client.post(shop.url("arrival_receive", arrival.pk), counted(arrival, typed, step="post"))
    assert answer.status_code == 422
    (focused,) = re.findall(r"<input[^>]*autofocus[^>]*>", answer.content.decode())
    assert "-came" in focused
    assert state(arrival) == "open"


def test_calling_back_is_asked_first_and_can_be_taken_back(client, shop):
    mug = shop.stock("Mug", units=10, title="")
    arrival = sent(shop, (mug, 6))
    look = client.post(shop.url("arrival_cancel", arrival.pk), deed("preview"))
    assert "4 → becomes 10" in text(look)
    assert state(arrival) == "open"
    page = client.post(shop.url("arrival_cancel", arrival.pk), deed("post"), follow=True)
    assert (numbers(shop, mug, 0), state(arrival)) == ((10, 0), "cancelled")
    assert "Called back" in text(page)
    step = arrival.steps.order_by("-pk").first()
    back = client.post(shop.url("arrival_undo", arrival.pk, step.pk), follow=True)
    assert "Taken back: cancelled." in text(back)
    assert (numbers(shop, mug, 1), state(arrival)) == ((0, 6), "open")


def test_another_day_is_set_and_a_late_one_is_flagged(client, shop):
    mug = shop.stock("Mug", units=10, title="")
    past = utc_now().date() - timedelta(days=3)
    arrival = sent(shop, (mug, 6), on=past)
    assert "should have been there on" in text(client.get(shop.url("arrival", arrival.pk)))
    assert "Late" in text(client.get(shop.url("arrivals"), {"show": "late"}))
    assert "6 on the way, late" in text(client.get(shop.url("stock")))
    wrong = client.post(shop.url("arrival_reschedule", arrival.pk), {"expected_date": "soon"})
    assert (wrong.status_code, "Enter a valid date" in text(wrong)) == (422, True)
    over = client.post(shop.url("arrival_reschedule", arrival.pk), {"expected_date": "2020-02-29"})
    assert (over.status_code, "That day is over" in text(over)) == (422, True)
    page = client.post(shop.url("arrival_reschedule", arrival.pk), {"expected_date": "2099-12-04"}, follow=True)
    assert "Expected on Fri 04 Dec 2099." in text(page)
    assert "Nothing is late" in text(client.get(shop.url("arrivals"), {"show": "late"}))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["soon", "later", "dayless"]),
        ({"kind": "transfers"}, ["later"]),
        ({"kind": "deliveries"}, ["soon", "dayless"]),
        ({"q": "cup-1"}, ["soon"]),
        ({"q": "acme"}, ["soon", "dayless"]),
        ({"show": "done"}, ["done"]),
        ({"show": "drafts"}, ["draft"]),
        ({"show": "all"}, ["draft", "dayless", "soon", "later", "done"]),
        ({"q": "#0"}, []),
        ({"location": "store"}, ["soon", "later"]),
    ],
)
def test_the_list_filters_and_what_is_to_come_stands_by_its_day(client, shop, query, expected):
    mug, cup = shop.stock("Mug", units=50, title=""), shop.stock("Cup", units=50, sku="CUP-1", title="")
    made = {"done": sent(shop, (mug, 1), supplier="Baker", to=0)}
    receive(shop, made["done"], 1)
    made["later"] = sent(shop, (mug, 2), on=FAR)
    made["soon"] = sent(shop, (cup, 2), supplier="Acme", on=FAR - timedelta(days=9))
    made["dayless"] = sent(shop, (mug, 2), supplier="Acme", to=0, on=None)
    made["draft"] = drafted(shop, (mug, 2), supplier="Baker", to=0)
    query = {name: shop.places[1].pk if value == "store" else value for name, value in query.items()}
    shown = re.findall(r"(?:Transfer|Delivery) #(\d+)</a>", client.get(shop.url("arrivals"), query).content.decode())
    names = {str(arrival.pk): name for name, arrival in made.items()}
    assert [names[number] for number in shown] == expected


def test_pages_go_on_where_the_last_one_ended(shop):
    mug = shop.stock("Mug", units=50, title="")
    for day in (3, 1, None, 2, None):
        sent(shop, (mug, 1), on=FAR + timedelta(days=day) if day else None)
    seen, cursor = [], paging.Cursor()
    while True:
        page = arrival_queries.arrival_page(
            merchant=shop.merchant, narrowed=arrival_queries.ArrivalFilter(), cursor=cursor, size=2
        )
        seen += [row.arrival.expected_date for row in page.rows]
        if page.after is None:
            break
        cursor = paging.Cursor(after=page.after)
    assert seen == [FAR + timedelta(days=day) for day in (1, 2, 3)] + [None, None]


def test_the_list_costs_the_same_number_of_queries_for_one_row_and_for_thirty(client, shop):
    mug = shop.stock("Mug", units=50, title="")
    counts = []
    for how_many in (1, 29):
        for _ in range(how_many):
            sent(shop, (mug, 1))
        with CaptureQueriesContext(connection) as queries:
            client.get(shop.url("arrivals"))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_export_has_a_line_for_each_item(client, shop):
    mug, cup = shop.stock("Mug", units=50, sku="=MUG", title=""), shop.stock("Cup", units=50, title="")
    arrival = sent(shop, (mug, 4), (cup, 2))
    receive(shop, arrival, 1, 2)
    answer = client.get(shop.url("arrivals_export"))
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert [(row["Number"], row["SKU"], row["Sent"], row["Received"], row["To come"]) for row in rows] == [
        (str(arrival.pk), "'=MUG", "4", "1", "3"), (str(arrival.pk), cup.sku, "2", "2", "0")
    ]  # fmt: skip


def test_an_empty_list_offers_the_first_step_to_who_may_take_it(client, shop):
    assert "Expect a delivery" in text(client.get(shop.url("arrivals")))
    become(client, shop, Membership.Role.ASSOCIATE)
    page = text(client.get(shop.url("arrivals")))
    assert "Nothing is on the way" in page
    assert "Expect a delivery" not in page


@pytest.mark.parametrize(("role", "may"), [("manager", True), ("onboarding", True), ("associate", False)])
def test_who_may_send_and_call_back(client, shop, role, may):
    arrival = drafted(shop, (shop.stock("Mug", units=10, title=""), 4))
    become(client, shop, role)
    page = client.get(shop.url("arrival", arrival.pk)).content.decode()
    assert (shop.url("arrival_send", arrival.pk) in page) == may
    for name in ("arrival_cancel", "arrival_send"):
        answer = client.post(shop.url(name, arrival.pk), deed("preview"))
        assert (answer.status_code == 403) == (not may)
    assert (client.get(shop.url("transfer_new")).status_code == 403) == (not may)
    assert (client.post(shop.url("arrival_reschedule", arrival.pk), {}).status_code == 403) == (not may)


def test_an_associate_receives_and_takes_back_only_what_was_their_own(client, shop):
    mug = shop.stock("Mug", units=10, title="")
    arrival = sent(shop, (mug, 4))
    become(client, shop, Membership.Role.ASSOCIATE)
    client.post(shop.url("arrival_receive", arrival.pk), counted(arrival, "3", step="post"))
    assert numbers(shop, mug, 1) == (3, 1)
    mine, theirs = arrival.steps.order_by("-pk")
    assert client.post(shop.url("arrival_undo", arrival.pk, mine.pk)).status_code == 302
    assert numbers(shop, mug, 1) == (0, 4)
    assert client.post(shop.url("arrival_undo", arrival.pk, theirs.pk)).status_code == 403
    assert state(arrival) == "open"


def test_a_step_of_another_transfer_is_not_found(client, shop):
    mug = shop.stock("Mug", units=10, title="")
    one, other = sent(shop, (mug, 1)), sent(shop, (mug, 1))
    assert client.post(shop.url("arrival_undo", one.pk, other.steps.get().pk)).status_code == 404


def test_a_bundle_cannot_travel_and_the_form_says_so(client, shop):
    mug, box = shop.stock("Mug", units=10, title=""), factories.VariantFactory(merchant=shop.merchant)
    bundles.define(variant=box, parts=[bundles.Part(mug.pk, Decimal(2))], is_stocked=False, actor=None)
    answer = client.post(shop.url("transfer_new"), form(shop, (box, "1")))
    assert (answer.status_code, "is a bundle" in text(answer)) == (422, True)
