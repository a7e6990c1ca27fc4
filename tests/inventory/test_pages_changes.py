"""Changes by hand: looked at before they are posted, posted once, audited, undone; and who may make them."""

import re
import uuid
from decimal import Decimal

import pytest
from django.db import connection, transaction

from inventory import adjustments
from inventory.models import StockMovement, Variant
from storestudio.accounts.models import AuditEntry, Membership
from tests import factories
from tests.inventory.pages_shop import Shop
from tests.inventory.test_pages_variant import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client):
    made = Shop()
    client.force_login(made.user)
    return made


def form(shop, **typed):
    """An adjustment as a browser sends it."""
    return {
        "key": str(uuid.uuid4()),
        "location": shop.places[0].pk,
        "how": "take",
        "quantity": "2",
        "reason": "damaged",
        "note": "",
        "step": "preview",
        **typed,
    }


def hidden_fields(answer):
    """What a confirmation page would send on."""
    return dict(re.findall(r'<input type="hidden" name="(\w[\w-]*)" value="([^"]*)">', answer.content.decode()))


def movements():
    return StockMovement.objects.exclude(kind="opening")


def test_the_preview_shows_before_and_after_and_posts_nothing(client, shop):
    mug = shop.stock("Mug", units=50)
    cell = shop.cell(mug, desired=50, expected=50, observed=50)
    answer = client.post(shop.url("adjust", mug.pk), form(shop))
    assert answer.status_code == 200
    page = text(answer)
    assert "50 → becomes 48 50 → becomes 48" in page
    assert "Web shop: 50 → becomes 48" in page
    assert not movements().exists()
    assert not AuditEntry.objects.exists()
    cell.refresh_from_db()
    assert (cell.desired, cell.dirty_at) == (50, None)


def test_the_yes_posts_what_the_preview_showed(client, shop):
    mug = shop.stock("Mug", units=50)
    cell = shop.cell(mug, desired=50, expected=50, observed=50)
    again = hidden_fields(client.post(shop.url("adjust", mug.pk), form(shop, note="wet box")))
    answer = client.post(shop.url("adjust", mug.pk), again | {"step": "post"}, follow=True)
    assert answer.redirect_chain == [(shop.url("variant", mug.pk), 302)]
    assert "Done. High Street now has 48 on hand, 48 available." in text(answer)
    (movement,) = movements()
    assert (movement.kind, movement.on_hand, movement.reason) == ("adjust", -2, "Damaged: wet box")
    assert (movement.actor, movement.source) == (shop.user, "user")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.merchant) == (shop.user, "stock.adjust", shop.merchant)
    assert entry.detail["before"] == "50.00000"
    cell.refresh_from_db()
    assert cell.desired == 48


def test_a_double_submit_posts_once(client, shop):
    mug = shop.stock("Mug", units=50)
    sent = form(shop, step="post")
    client.post(shop.url("adjust", mug.pk), sent)
    second = client.post(shop.url("adjust", mug.pk), sent, follow=True)
    assert "posted already" in text(second)
    assert (shop.level(mug).on_hand, movements().count(), AuditEntry.objects.count()) == (48, 1, 1)


def test_control_two_forms_post_twice(client, shop):
    mug = shop.stock("Mug", units=50)
    for _ in range(2):
        client.post(shop.url("adjust", mug.pk), form(shop, step="post"))
    assert shop.level(mug).on_hand == 46


def test_the_same_form_for_something_else_is_refused(client, shop):
    mug = shop.stock("Mug", units=50)
    sent = form(shop, step="post")
    client.post(shop.url("adjust", mug.pk), sent)
    answer = client.post(shop.url("adjust", mug.pk), sent | {"quantity": "9"})
    assert answer.status_code == 422
    assert "used before for something else" in text(answer)
    assert shop.level(mug).on_hand == 48


def test_a_count_sets_what_lies_there(client, shop):
    mug = shop.stock("Mug", units=50)
    again = hidden_fields(
        client.post(shop.url("adjust", mug.pk), form(shop, how="to", quantity="47", reason="recount"))
    )
    client.post(shop.url("adjust", mug.pk), again | {"step": "post"})
    (movement,) = movements()
    assert (movement.kind, movement.on_hand, movement.on_hand_after) == ("count", -3, 47)
    assert shop.level(mug).counted_at is not None


def test_a_sale_between_counting_and_confirming_is_neither_lost_nor_counted_twice(client, shop):
    mug = shop.stock("Mug", units=50)
    again = hidden_fields(
        client.post(shop.url("adjust", mug.pk), form(shop, how="to", quantity="47", reason="recount"))
    )
    shop.order(mug, fulfilled=5)
    for _ in range(2):  # and the second click changes nothing
        client.post(shop.url("adjust", mug.pk), again | {"step": "post"})
    assert shop.level(mug).on_hand == 42


def test_a_count_that_finds_all_in_order_is_a_movement_too(client, shop):
    mug = shop.stock("Mug", units=50)
    again = hidden_fields(
        client.post(shop.url("adjust", mug.pk), form(shop, how="to", quantity="50", reason="recount"))
    )
    client.post(shop.url("adjust", mug.pk), again | {"step": "post"})
    assert movements().get().on_hand == 0


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"quantity": ""}, "quantity", "Type how many units"),
        ({"quantity": "0"}, "quantity", "Nothing to change"),
        ({"quantity": "−2"}, "quantity", "without a minus"),
        ({"quantity": "1.5"}, "quantity", "whole units"),
        ({"quantity": "-1", "how": "to"}, "quantity", "cannot be below zero"),
        ({"quantity": "2000000"}, "quantity", "million"),
        ({"quantity": "NaN"}, "quantity", "Type a number"),
        ({"quantity": "lots"}, "quantity", "Type a number"),
        ({"reason": ""}, "reason", "Choose a reason"),
        ({"reason": "because"}, "reason", "Select a valid choice"),
        ({"reason": "other"}, "note", "Say in a few words"),
        ({"location": "999999"}, "location", "Select a valid choice"),
    ],
)
def test_a_wrong_form_is_answered_422_with_the_cursor_in_the_first_wrong_field(client, shop, typed, field, words):
    mug = shop.stock("Mug", units=50)
    answer = client.post(shop.url("adjust", mug.pk), form(shop, **typed))
    assert answer.status_code == 422
    html = answer.content.decode()
    assert words in html
    (focused,) = re.findall(r"<(?:input|select)[^>]*autofocus[^>]*>", html)
    assert f'name="{field}"' in focused
    assert 'aria-invalid="true"' in focused
    assert not movements().exists()


def test_a_place_of_another_shop_is_no_choice(client, shop):
    mug = shop.stock("Mug", units=50)
    theirs = factories.LocationFactory()
    assert client.post(shop.url("adjust", mug.pk), form(shop, location=theirs.pk, step="post")).status_code == 422


def test_a_form_without_its_key_has_expired(client, shop):
    mug = shop.stock("Mug", units=50)
    answer = client.post(shop.url("adjust", mug.pk), form(shop, key="", step="post"))
    assert answer.status_code == 422
    assert "This form has expired" in text(answer)


@pytest.mark.parametrize(("how", "left"), [("take", -1150), ("add", 1250)])
@pytest.mark.parametrize("typed", ["1200", " 1 200 ", "1\u202f200"])
def test_units_are_understood_as_people_and_our_pages_write_them(client, shop, typed, how, left):
    mug = shop.stock("Mug", units=50)
    client.post(shop.url("adjust", mug.pk), form(shop, how=how, quantity=typed, step="post"))
    assert shop.level(mug).on_hand == left


def test_what_is_sold_by_measure_takes_fractions(client, shop):
    cloth = shop.stock("Cloth", units="38.25", is_whole_unit=False)
    client.post(shop.url("adjust", cloth.pk), form(shop, quantity="0.75", step="post"))
    assert shop.level(cloth).on_hand == Decimal("37.5")


def test_change_something_keeps_what_was_typed(client, shop):
    mug = shop.stock("Mug", units=50)
    answer = client.post(shop.url("adjust", mug.pk), form(shop, quantity="7", note="wet", step="edit"))
    assert answer.status_code == 200
    assert 'value="7"' in answer.content.decode()
    assert 'value="wet"' in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "may"), [("owner", True), ("manager", True), ("onboarding", True), ("associate", False)]
)
def test_who_may_change_stock(client, shop, role, may):
    mug = shop.stock("Mug", units=50)
    posted = shop.post(mug, units=-1)
    Membership.objects.filter(user=shop.user).update(role=role)
    expected = 200 if may else 403
    assert client.get(shop.url("adjust", mug.pk)).status_code == expected
    assert client.get(shop.url("receive")).status_code == expected
    undone = client.post(shop.url("undo", mug.pk, posted.movement_id)).status_code
    assert undone == (302 if may else 403)
    assert shop.level(mug).on_hand == (50 if may else 49)


def test_another_shops_item_and_movement_are_not_found(client, shop):
    mug = shop.stock("Mug", units=50)
    other = Shop(slug="other")
    theirs = other.stock("Theirs", units=5)
    movement = other.post(theirs, units=-1)
    assert client.post(shop.url("adjust", theirs.pk), form(shop, step="post")).status_code == 404
    assert client.post(shop.url("undo", theirs.pk, movement.movement_id)).status_code == 404
    assert client.post(shop.url("undo", mug.pk, movement.movement_id)).status_code == 404
    assert other.level(theirs).on_hand == 4


def test_undo_posts_the_reverse_once_and_leaves_history_as_it_was(client, shop):
    mug = shop.stock("Mug", units=50)
    posted = shop.post(mug, units=-2, reason="Damaged")
    url = shop.url("undo", mug.pk, posted.movement_id)
    assert url in client.get(shop.url("variant", mug.pk)).content.decode()
    assert "Undone. High Street has 50 on hand again." in text(client.post(url, follow=True))
    assert "undone already" in text(client.post(url, follow=True))
    assert [one.on_hand for one in movements().order_by("pk")] == [-2, 2]
    assert AuditEntry.objects.get().action == "stock.undo"
    page = client.get(shop.url("variant", mug.pk))
    assert url not in page.content.decode()
    assert "Undo: adjusted, Damaged" in text(page)


def test_what_a_channel_did_cannot_be_undone_by_hand(client, shop):
    mug = shop.stock("Mug", units=50)
    order = shop.order(mug, fulfilled=1)
    sale = StockMovement.objects.get(order=order)
    url = shop.url("undo", mug.pk, sale.pk)
    assert url not in client.get(shop.url("variant", mug.pk)).content.decode()
    assert client.post(url).status_code == 404
    assert client.get(url).status_code == 405


def delivery(shop, *lines, **typed):
    """A delivery as a browser sends it: (variant, units) a line."""
    return {
        "key": str(uuid.uuid4()),
        "location": shop.places[1].pk,
        "note": "Fern & Co, 881",
        "variant": [variant.pk for variant, _ in lines],
        **{f"v{variant.pk}-quantity": str(units) for variant, units in lines},
        **typed,
    }


def test_a_delivery_of_several_items_is_looked_at_then_posted_at_once_and_once(client, shop):
    mug, bowl = shop.stock("Mug", units=5), shop.stock("Bowl", units=0)
    sent = delivery(shop, (mug, 24), (bowl, 6))
    preview = client.post(shop.url("receive"), sent | {"step": "preview"})
    assert "0 → becomes 24" in text(preview)
    assert not movements().exists()
    done = client.post(shop.url("receive"), sent | {"step": "post"}, follow=True)
    assert "Received 30 units of 2 items at Store." in text(done)
    again = client.post(shop.url("receive"), sent | {"step": "post"}, follow=True)
    assert "Nothing was received twice." in text(again)
    assert (shop.level(mug, place=1).on_hand, shop.level(bowl, place=1).on_hand) == (24, 6)
    assert {one.reason for one in movements()} == {"Fern & Co, 881"}
    assert AuditEntry.objects.get().action == "stock.receive"


def test_a_scan_adds_a_line_and_the_same_scan_one_more(client, shop):
    mug = shop.stock("Mug", sku="mug 1", gtin="05012345678900")
    once = client.post(shop.url("receive"), delivery(shop, code="MUG  1", step="add"))
    assert once.status_code == 200
    assert f'name="v{mug.pk}-quantity" value="1"' in once.content.decode()
    twice = client.post(shop.url("receive"), delivery(shop, (mug, 1), code="5012345678900", step="add"))
    assert f'name="v{mug.pk}-quantity" value="2"' in twice.content.decode()
    assert "Mug · M / Sand: 2" in text(twice)


def test_enter_in_the_scan_field_adds_and_nothing_else(client, shop):
    shop.stock("Mug", sku="MUG")
    html = client.get(shop.url("receive")).content.decode()
    form_html = html[html.index('name="code"') :]
    # A browser sends the first submit button of a form when Enter is pressed.
    assert re.search(r'<button[^>]*name="step" value="(\w+)"', form_html)[1] == "add"
    assert re.search(r'<input id="code"[^>]*autofocus', html)


def test_an_unknown_code_is_422_keeps_the_lines_and_offers_what_was_meant(client, shop):
    mug, bowl = shop.stock("Mug", sku="MUG-1"), shop.stock("Bowl", sku="BOWL-1")
    answer = client.post(shop.url("receive"), delivery(shop, (bowl, 3), code="MUG", step="add"))
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "No item has the SKU or barcode “MUG”. Did you mean one of these?" in html
    assert f'value="take:{mug.pk}"' in html
    assert f'name="v{bowl.pk}-quantity" value="3"' in html
    assert re.search(r'<input id="code"[^>]*value="MUG"[^>]*aria-invalid="true"', html)
    taken = client.post(shop.url("receive"), delivery(shop, (bowl, 3), step=f"take:{mug.pk}"))
    assert f'name="v{mug.pk}-quantity" value="1"' in taken.content.decode()


def test_a_code_that_two_items_share_asks_which(client, shop):
    shop.stock("Mug", sku="SAME")
    shop.stock("Bowl", sku="same")
    answer = client.post(shop.url("receive"), delivery(shop, code="SAME", step="add"))
    assert answer.status_code == 422
    assert "2 items share “SAME”" in answer.content.decode()


def test_a_line_can_be_taken_out(client, shop):
    mug, bowl = shop.stock("Mug"), shop.stock("Bowl")
    answer = client.post(shop.url("receive"), delivery(shop, (mug, 1), (bowl, 2), step=f"drop:{mug.pk}"))
    assert f'name="v{mug.pk}-quantity"' not in answer.content.decode()
    assert f'name="v{bowl.pk}-quantity" value="2"' in answer.content.decode()


@pytest.mark.parametrize("units", ["", "0", "-1", "1.5", "x"])
def test_a_line_without_a_right_number_is_422_with_the_cursor_there(client, shop, units):
    mug = shop.stock("Mug")
    answer = client.post(shop.url("receive"), delivery(shop, (mug, units), step="post"))
    assert answer.status_code == 422
    (focused,) = re.findall(r"<input[^>]*autofocus[^>]*>", answer.content.decode())
    assert f'name="v{mug.pk}-quantity"' in focused
    assert not movements().exists()


def test_a_delivery_of_nothing_and_one_from_nobody_are_422(client, shop):
    mug = shop.stock("Mug")
    nothing = client.post(shop.url("receive"), delivery(shop, step="post"))
    assert nothing.status_code == 422
    assert "Nothing to receive yet" in text(nothing)
    assert client.post(shop.url("receive"), delivery(shop, (mug, 1), note="", step="post")).status_code == 422


def test_another_shops_item_cannot_be_received(client, shop):
    theirs = Shop(slug="other").stock("Theirs", sku="THEIRS")
    answer = client.post(shop.url("receive"), delivery(shop, (theirs, 5), step="post"))
    assert answer.status_code == 422
    scanned = client.post(shop.url("receive"), delivery(shop, code="THEIRS", step="add"))
    assert scanned.status_code == 422
    assert "Theirs ·" not in text(scanned)


def test_a_preview_costs_one_lock_and_leaves_no_trace_even_of_its_keys(shop):
    mug = shop.stock("Mug", units=50)
    wanted = adjustments.Adjustment(
        variant=mug, location=shop.places[0], reason="Lost", key=uuid.uuid4(), delta=Decimal(-1)
    )
    (effect,) = adjustments.preview_adjust(merchant=shop.merchant, actor=shop.user, wanted=wanted)
    assert (effect.before.on_hand, effect.after.on_hand) == (50, 49)
    result = adjustments.adjust(merchant=shop.merchant, actor=shop.user, wanted=wanted)
    assert not result.is_replay
    assert shop.level(mug).on_hand == 49


@pytest.mark.django_db(transaction=True)
def test_someone_else_at_the_same_item_is_said_so_and_nothing_is_posted(client, shop):
    mug = shop.stock("Mug", units=50)
    other = connection.copy()
    other.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM inventory_stocklevel WHERE variant_id = %s FOR UPDATE", [mug.pk])
            answer = client.post(shop.url("adjust", mug.pk), form(shop, step="post"))
            cursor.execute("ROLLBACK")
    finally:
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
    assert answer.status_code == 422
    assert "Nothing was posted; try again." in text(answer)
    assert not movements().exists()


def test_a_preview_inside_a_rolled_back_transaction_does_not_undo_the_callers(shop):
    mug = shop.stock("Mug", units=50)
    wanted = adjustments.Receipt(location=shop.places[0], reason="x", key=uuid.uuid4(), lines=[(mug, Decimal(3))])
    with transaction.atomic():
        Variant.objects.filter(pk=mug.pk).update(title="kept")
        adjustments.preview_receive(merchant=shop.merchant, actor=shop.user, wanted=wanted)
    mug.refresh_from_db()
    assert mug.title == "kept"
