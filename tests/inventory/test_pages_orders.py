"""Orders: the list with its filters, and what one order holds and moved."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory import order_queries, paging
from tests.inventory.pages_shop import Shop, ago
from tests.inventory.test_pages_variant import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client):
    made = Shop()
    client.force_login(made.user)
    return made


def numbers(answer):
    """The orders on the page, in order."""
    return re.findall(r'<a href="/[\w-]+/orders/\d+/">([^<]+)</a>', answer.content.decode())


@pytest.fixture
def three(shop):
    """One to send, one done, one with a line that is linked to nothing; newest first."""
    mug = shop.stock("Mug", units=50, sku="MUG-1")
    shop.order(mug, number="#1", committed=2, placed_at=ago(hours=3))
    shop.order(mug, number="#2", fulfilled=1, connection=shop.till, placed_at=ago(hours=2), returned=1)
    shop.order(None, number="#3", committed=1, placed_at=ago(hours=1))
    return mug


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["#3", "#2", "#1"]),
        ({"state": "fulfilled"}, ["#2"]),
        ({"state": "open"}, ["#3", "#1"]),
        ({"state": "unlinked"}, ["#3"]),
        ({"state": "cancelled"}, []),
        ({"q": "2"}, ["#2"]),
        ({"q": "X-#1"}, ["#1"]),
        ({"q": "mug-1"}, ["#2", "#1"]),
        ({"q": "zeppelin"}, []),
    ],
)
def test_the_list_filters(client, shop, three, query, expected):
    assert numbers(client.get(shop.url("orders"), query)) == expected


def test_the_list_filters_by_channel(client, shop, three):
    assert numbers(client.get(shop.url("orders"), {"channel": shop.till.pk})) == ["#2"]


def test_a_row_says_what_is_still_to_send_and_what_came_back(client, shop, three):
    page = text(client.get(shop.url("orders")))
    assert "#1 Web shop 3 h ago 2 × Mug · M / Sand 2 49.00 GBP To send" in page
    assert "Done 1 returned" in page
    assert "Not linked" in page


def test_empty_lists_say_so(client, shop):
    assert "No orders yet" in text(client.get(shop.url("orders")))
    assert "No order is like this" in text(client.get(shop.url("orders"), {"q": "x"}))


def test_the_list_pages_both_ways(shop):
    mug = shop.stock("Mug", units=50)
    placed_at = ago(hours=1)  # all at the same instant: the key alone tells them apart
    made = [shop.order(mug, number=f"#{number}", fulfilled=1, placed_at=placed_at).pk for number in range(7)]

    def fetch(**cursor):
        return order_queries.order_page(
            merchant=shop.merchant,
            narrowed=order_queries.OrderFilter(),
            cursor=paging.Cursor(**cursor),
            size=3,
        )

    first = fetch()
    second = fetch(after=first.after)
    third = fetch(after=second.after)
    keys = [row.order.pk for page in (first, second, third) for row in page.rows]
    assert keys == made[::-1]
    assert third.after is None
    assert [row.order.pk for row in fetch(before=third.before).rows] == keys[3:6]


def test_an_order_shows_what_each_line_holds_where_and_what_it_moved(client, shop, three):
    order = shop.order(three, number="#9", committed=2, fulfilled=3, returned=1)
    page = text(client.get(shop.url("order", order.pk)))
    assert "Mug · M / Sand MUG-1 5 High Street 2 3 1 0" in page
    assert "Mug · M / Sand: Sold on Web shop" in page
    assert "Returned on Web shop" in page
    assert "Its id there X-#9" in page


def test_a_line_that_is_linked_to_nothing_says_that_it_holds_nothing(client, shop):
    order = shop.order(None, number="#3", committed=1)
    page = text(client.get(shop.url("order", order.pk)))
    assert "Gift wrapping Not linked" in page
    assert "holds nothing until it is linked" in page
    assert "It moved nothing" in page


def test_lists_and_orders_cost_the_same_however_long(client, shop):
    mug = shop.stock("Mug", units=500)

    def cost(url):
        client.get(url)
        with CaptureQueriesContext(connection) as seen:
            client.get(url)
        return len(seen)

    small = shop.order(mug, number="#0", fulfilled=1, returned=1)
    one = cost(shop.url("orders"))
    for number in range(1, 30):
        shop.order(mug, None, number=f"#{number}", fulfilled=1)
    assert cost(shop.url("orders")) == one
    large = shop.order(
        *[shop.stock(f"Item {number}", units=9) for number in range(12)], number="#L", fulfilled=1, returned=1
    )
    assert cost(shop.url("order", large.pk)) == cost(shop.url("order", small.pk))


def test_the_list_answers_204_until_an_order_changes(client, shop, three):
    html = client.get(shop.url("orders")).content.decode()
    (news,) = re.findall(r'id="order-rows" hx-get="([^"]+)"', html)
    news = news.replace("&amp;", "&")
    assert client.get(news, headers={"HX-Request": "true"}).status_code == 204
    shop.order(three, number="#4", fulfilled=1)
    assert "#4" in client.get(news, headers={"HX-Request": "true"}).content.decode()


def test_another_shops_order_is_not_found(client, shop):
    other = Shop(slug="other")
    theirs = other.order(other.stock("Theirs", units=5), number="#7", fulfilled=1)
    assert client.get(shop.url("order", theirs.pk)).status_code == 404
    assert numbers(client.get(shop.url("orders"))) == []
