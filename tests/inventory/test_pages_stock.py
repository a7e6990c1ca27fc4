"""The stock table: what it shows, what it finds, how it pages, what it costs, its export, its news."""

import csv
import io
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as utc_now

from channels.models import Connection
from inventory import bundles, exporting, paging, queries
from tests import factories
from tests.inventory.pages_shop import Shop, ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client):
    made = Shop()
    client.force_login(made.user)
    return made


def titles(answer):
    """The items on the page, in order."""
    return re.findall(r'<a href="/[\w-]+/stock/\d+/">([^<]+)</a>', answer.content.decode())


def show(client, shop, **query):
    return client.get(shop.url("stock"), query)


def row_of(answer, title):
    """The text of one table line."""
    html = answer.content.decode()
    (found,) = [row for row in re.findall(r"<tr.*?</tr>", html, re.S) if f">{title}</a>" in row]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found))


def test_a_row_shows_totals_and_each_place(client, shop):
    mug = shop.stock("Mug", units=50, sku="MUG-1")
    shop.post(mug, units=7, place=1)
    shop.order(mug, committed=3)
    row = row_of(show(client, shop), "Mug")
    assert "MUG-1" in row
    assert "54 available 57 on hand, 3 committed" in row
    assert "47 50 on hand, 3 committed" in row
    assert "7 7 on hand" in row


def test_each_channel_has_one_mark_the_worst_of_its_cells(client, shop):
    agreeing, drifting = shop.stock("Agreeing", units=5), shop.stock("Drifting", units=5)
    pending, unlinked = shop.stock("Pending", units=5), shop.stock("Unlinked", units=5)
    shop.cell(agreeing, desired=5, expected=5, observed=5)
    shop.cell(drifting, desired=5, expected=5, observed=7, drift_at=ago(minutes=4))
    shop.cell(drifting, place=1, desired=0, expected=0, observed=0)
    shop.cell(pending, desired=5, expected=6, observed=6, dirty_at=ago(seconds=1))
    page = show(client, shop)
    assert "5 agrees" in row_of(page, "Agreeing")
    assert "7 drift +2" in row_of(page, "Drifting")
    assert "6 being told → 5" in row_of(page, "Pending")
    assert row_of(page, "Unlinked").count("not linked") == 2
    assert unlinked.sku in row_of(page, "Unlinked")


def test_a_channel_out_of_contact_says_so_rather_than_agreeing(client, shop):
    mug = shop.stock("Mug", units=5)
    shop.cell(mug, desired=5, expected=5, observed=5)
    Connection.objects.filter(pk=shop.web.pk).update(state=Connection.State.RECONNECT)
    assert "out of contact" in row_of(show(client, shop), "Mug")


@pytest.mark.parametrize(
    ("chip", "expected"),
    [
        ("", ["Drifting", "Negative", "Out", "Pending", "Plenty"]),
        ("negative", ["Negative"]),
        ("out", ["Negative", "Out"]),
        ("pending", ["Pending"]),
        ("drift", ["Drifting"]),
        ("unlinked", ["Negative", "Out", "Plenty"]),
        ("nonsense", ["Drifting", "Negative", "Out", "Pending", "Plenty"]),
    ],
)
def test_chips_filter(client, shop, chip, expected):
    shop.stock("Plenty", units=50)
    shop.stock("Out")
    shop.stock("Negative", units=-2)
    for connection_ in (shop.web, shop.till):
        drifting = next((one for one in shop.variants if one.product.title == "Drifting"), None) or shop.stock(
            "Drifting", units=5
        )
        pending = next((one for one in shop.variants if one.product.title == "Pending"), None) or shop.stock(
            "Pending", units=5
        )
        shop.cell(drifting, connection=connection_, observed=7, drift_at=ago(minutes=1))
        shop.cell(pending, connection=connection_, desired=4, dirty_at=ago(seconds=1))
    assert titles(show(client, shop, show=chip)) == expected


def test_chips_say_how_many_they_would_show_and_stop_counting_somewhere(client, shop, monkeypatch):
    for number in range(4):
        shop.stock(f"Mug {number}", units=-1)
    shop.stock("Bowl", units=-1)

    def chips(**query):
        html = client.get(shop.url("stock"), {"part": "chips", **query}).content.decode()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))

    assert "All Oversold 5 Out of stock 5 Running low Being told Drift Not linked 5" in chips()
    assert "Oversold 4 " in chips(q="mug")
    monkeypatch.setattr(queries, "COUNTED_MAX", 3)
    assert "Oversold 2+ " in chips()


def test_low_is_what_runs_out_within_a_week_at_its_pace(client, shop):
    fast, slow, gone = (shop.stock(name, units=units) for name, units in (("Fast", 12), ("Slow", 40), ("Gone", 2)))
    shop.stock("Still", units=1)
    shop.order(fast, number="#1", fulfilled=10)
    shop.order(slow, number="#2", fulfilled=1)
    shop.order(gone, number="#3", fulfilled=2)
    low = queries.low_stock(merchant=shop.merchant, now=utc_now())
    assert [(row.variant, row.available, row.cover_words) for row in low] == [(gone, 0, "today"), (fast, 2, "1 day")]
    assert low[0].cover_days is None
    assert set(titles(show(client, shop, show="low"))) == {"Fast", "Gone"}
    assert "Running low" in row_of(show(client, shop), "Fast")


def test_what_sells_in_bundles_runs_low_by_what_they_were_made_of(client, shop):
    cup, pot = shop.stock("Cup", units=30), shop.stock("Pot", units=30)
    tea = shop.stock("Tea set")
    parts = [bundles.Part(cup.pk, Decimal(4)), bundles.Part(pot.pk, Decimal(1))]
    bundles.define(variant=tea, parts=parts, is_stocked=False, actor=None)
    shop.order(tea, number="#1", fulfilled=6)
    shop.order(cup, number="#2", fulfilled=1)
    low = queries.low_stock(merchant=shop.merchant, now=utc_now())
    assert [(row.variant, row.available) for row in low] == [(cup, 5)]
    (one,) = queries._low(merchant=shop.merchant, now=utc_now(), variant_ids=[cup.pk, pot.pk, tea.pk])
    assert one.sold == 25
    # What they are made of from now on is another thing.
    bundles.define(variant=tea, parts=[bundles.Part(pot.pk, Decimal(1))], is_stocked=False, actor=None)
    assert [row.variant for row in queries.low_stock(merchant=shop.merchant, now=utc_now())] == [cup]
    assert "Running low" in row_of(show(client, shop), "Cup")


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("linen", ["Linen Shirt"]),
        ("SHIRT", ["Linen Shirt", "Wool Shirt"]),
        ("shirt sand", ["Linen Shirt"]),
        ("lno-0", ["Linen Shirt"]),
        ("lno 2", []),
        ("5012345678900", ["Wool Shirt"]),
        ("100%", ["100% Cotton_Tote"]),
        ("_", ["100% Cotton_Tote"]),
        ("café", ["Café Mug"]),
        ("'; drop", []),
    ],
)
def test_search_finds_words_in_titles_options_skus_and_barcodes(client, shop, q, expected):
    shop.stock("Linen Shirt", title="M / Sand", sku="LNO-01")
    shop.stock("Wool Shirt", title="M / Navy", sku="WOO-01", gtin="05012345678900")
    shop.stock("100% Cotton_Tote", title="Ecru", sku="TOT-01")
    shop.stock("Café Mug", title="White", sku="MUG-01")
    assert titles(show(client, shop, q=q)) == expected


def test_search_finds_the_same_whether_a_word_is_rare_or_common(client, shop, monkeypatch):
    for number in range(6):
        shop.stock(f"Linen Shirt {number}", title="Sand", sku=f"A-{number}")
    shop.stock("Wool Shirt", title="Linen trim", sku="B-1")
    shop.stock("Oak Bowl", title="Natural", sku="C-1")
    wanted = {q: titles(show(client, shop, q=q)) for q in ("linen", "shirt", "linen sand", "a- shirt", "trim linen")}
    assert [len(found) for found in wanted.values()] == [7, 7, 6, 6, 1]
    monkeypatch.setattr(queries, "NARROW", 1)
    assert {q: titles(show(client, shop, q=q)) for q in wanted} == wanted


def test_a_search_without_hits_says_what_to_do(client, shop):
    shop.stock("Mug")
    page = show(client, shop, q="zeppelin").content.decode()
    assert "Nothing matches" in page
    assert "Show all stock" in page


def test_a_new_shop_is_told_the_next_step(client, shop):
    page = show(client, shop).content.decode()
    assert "No items yet" in page
    assert shop.url("channels") in page


def test_one_place_alone(client, shop):
    mug = shop.stock("Mug", units=5)
    shop.post(mug, units=9, place=1)
    assert "9 available 9 on hand" in row_of(show(client, shop, location=shop.places[1].pk), "Mug")


def test_a_place_of_another_shop_filters_nothing(client, shop):
    shop.stock("Mug", units=5)
    other = factories.LocationFactory()
    assert "5 available" in row_of(show(client, shop, location=other.pk), "Mug")


@pytest.mark.parametrize("sort", list(queries.SORTS))
def test_pages_forwards_and_backwards_meet_every_row_once(shop, sort):
    for number in range(11):
        # Equal titles, empty SKUs and equal numbers must not lose or repeat a row.
        shop.stock(f"Mug {number % 3}", units=number % 4, sku="" if number % 2 else f"M-{number:02d}")
    narrowed = queries.StockFilter(sort=sort)

    def fetch(cursor):
        found = queries.stock_page(merchant=shop.merchant, narrowed=narrowed, cursor=cursor, size=3)
        return [row.variant.pk for row in found.rows], found.page

    seen, cursor, pages = [], paging.Cursor(), []
    while True:
        keys, page = fetch(cursor)
        seen += keys
        pages.append(keys)
        if page.after is None:
            break
        cursor = paging.Cursor(after=page.after)
    assert sorted(seen) == sorted(variant.pk for variant in shop.variants)
    assert len(seen) == len(set(seen))
    back = []
    while page.before is not None:
        keys, page = fetch(paging.Cursor(before=page.before))
        back.append(keys)
    assert back == pages[-2::-1]


def test_a_cursor_of_another_shop_or_of_nothing_is_the_first_page(client, shop):
    shop.stock("Mug")
    theirs = factories.VariantFactory(product__title="Zebra")
    assert titles(show(client, shop, after=theirs.pk)) == ["Mug"]
    assert titles(show(client, shop, after="rubbish")) == ["Mug"]
    assert titles(show(client, shop, after=10**30)) == ["Mug"]


def test_archived_items_are_left_out(client, shop):
    shop.stock("Mug", archived_at=ago(days=1))
    assert "No items yet" in show(client, shop).content.decode()


def test_another_shops_items_are_not_there(client, shop):
    shop.stock("Mug", units=5)
    Shop(slug="other").stock("Theirs", units=5)
    assert titles(show(client, shop)) == ["Mug"]
    assert titles(show(client, shop, q="theirs")) == []


@pytest.mark.parametrize("query", ["", "?show=negative", "?show=drift", "?sort=available", "?q=mug"])
def test_a_page_costs_the_same_number_of_queries_for_one_row_and_for_forty(client, shop, query):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert client.get(shop.url("stock") + query).status_code == 200
        return len(seen)

    def add(number):
        variant = shop.stock(f"Mug {number}", units=-1)
        shop.cell(variant, drift_at=ago(minutes=1))
        shop.order(variant, number=f"#{number}", fulfilled=1)

    add(0)
    cost()
    one = cost()
    for number in range(1, 41):
        add(number)
    assert cost() == one
    assert one <= 23


def test_the_rows_answer_204_while_nothing_changed_and_themselves_once_it_did(client, shop):
    mug = shop.stock("Mug", units=5)
    (look,) = re.findall(r'id="stock-rows" hx-get="([^"]+)"', show(client, shop, show="").content.decode())
    look = look.replace("&amp;", "&")
    assert client.get(look, headers={"HX-Request": "true"}).status_code == 204
    shop.post(mug, units=-1)
    answer = client.get(look, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith("<tbody")
    assert f'data-moves="v{mug.pk}">4<' in answer.content.decode()


def test_a_filter_change_answers_the_part_and_a_restored_history_the_page(client, shop):
    shop.stock("Mug")
    part = client.get(shop.url("stock"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    whole = client.get(
        shop.url("stock"), headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}
    ).content.decode()
    assert "<html" in whole


def exported(client, shop, **query):
    answer = client.get(shop.url("stock_export"), query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return answer, list(csv.DictReader(io.StringIO(text)))


def test_the_export_has_a_line_for_each_item_and_place(client, shop):
    mug = shop.stock("Mug", units=50, sku="MUG-1", gtin="05012345678900")
    shop.post(mug, units=7, place=1)
    shop.order(mug, committed=3)
    shop.stock("Never", units=0)
    answer, rows = exported(client, shop)
    assert "attachment" in answer["Content-Disposition"]
    first, second, _ = rows
    assert (first["SKU"], first["GTIN"], first["Location"]) == ("MUG-1", "05012345678900", "High Street")
    assert (first["On hand"], first["Committed"], first["Available"]) == ("50", "3", "47")
    assert (second["Location"], second["Available"]) == ("Store", "7")


def test_the_export_follows_the_filter_and_keeps_other_shops_out(client, shop):
    shop.stock("Mug", units=5, sku="MUG")
    shop.stock("Bowl", units=-5, sku="BOWL")
    Shop(slug="other").stock("Theirs", units=-5)
    assert [row["SKU"] for row in exported(client, shop, show="negative")[1]] == ["BOWL"]
    assert [row["SKU"] for row in exported(client, shop, q="mug")[1]] == ["MUG"]


def test_the_export_loses_and_repeats_nothing_over_its_chunks(client, shop, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 3)
    for number in range(10):
        shop.stock(f"Mug {number}", units=number, sku=f"M{number}")
    assert sorted(row["SKU"] for row in exported(client, shop)[1]) == [f"M{number}" for number in range(10)]


@pytest.mark.parametrize("evil", ['=HYPERLINK("http://evil")', "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_of_the_export_is_a_formula(client, shop, evil):
    shop.stock(evil, units=-3, sku=evil, title=evil)
    (row,) = exported(client, shop)[1]
    assert row["SKU"][0] == row["Product"][0] == row["Variant"][0] == "'"
    assert row["On hand"] == "-3"  # a number stays a number


def test_control_text_without_a_formula_is_not_touched():
    assert exporting.guarded("Mug = fine") == "Mug = fine"
