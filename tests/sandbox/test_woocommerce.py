"""WooCommerce's stand-in, asked over real HTTP by a client of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from channels.sandbox import deliveries
from channels.sandbox.models import Delivery, Fault, Switch
from channels.sandbox.woocommerce import accounts, events
from channels.sandbox.woocommerce.models import Order, Product
from tests.sandbox import woocommerce_shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return woocommerce_shop.open_shop(live_server.url)


class Taker(BaseHTTPRequestHandler):
    """Takes one delivery."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        """Not on the terminal."""


def deliver():
    """Send what is due; nothing answers there."""
    with ThreadPoolExecutor(2) as pool:
        deliveries.send_due(pool=pool)


# --- who may ask, and how errors look ----------------------------------------------------------------------------


def test_errors_look_like_wordpress(shop):
    unknown = shop.ask("GET", "/products/999999")
    assert unknown.status_code == 404
    assert unknown.json() == {
        "code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 404},
    }  # fmt: skip
    assert shop.ask("GET", "/nothing").json()["code"] == "rest_no_route"
    assert shop.ask("PATCH", "/products").status_code == 404
    assert shop.ask("GET", "/products", per_page=101).json()["code"] == "rest_invalid_param"
    assert shop.ask("GET", "/products", page="x").status_code == 400


def test_a_wrong_secret_a_dead_key_and_a_reading_key_are_refused(shop):
    assert shop.ask("GET", "/products", secret="cs_wrong").status_code == 401
    shop.site.keys.update(permissions="read")
    assert shop.call("GET", "/products")
    refused = shop.ask("POST", "/products", {"name": "New"})
    assert (refused.status_code, refused.json()["code"]) == (401, "woocommerce_rest_authentication_error")
    stranger = woocommerce_shop.open_shop(shop.url.partition("/woocommerce/")[0])
    stranger.url = shop.url
    assert stranger.ask("GET", "/products").json()["message"] == "Consumer key is invalid."


# --- products ----------------------------------------------------------------------------------------------------


def test_pages_say_how_many_there_are_and_where_the_next_is(shop):
    first = shop.ask("GET", "/products", per_page=1, orderby="id", order="asc")
    assert (first.headers["X-WP-Total"], first.headers["X-WP-TotalPages"]) == ("2", "2")
    assert 'rel="next"' in first.headers["Link"]
    second = shop.ask("GET", "/products", per_page=1, page=2, orderby="id", order="asc")
    assert first.json()[0]["name"] == "Mug"
    assert second.json()[0]["type"] == "variable"
    assert 'rel="next"' not in second.headers["Link"]
    assert shop.call("GET", "/products", page=3) == []


def test_modified_after_is_exclusive_and_to_the_second(shop):
    at = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
    Product.objects.filter(sku="MUG").update(modified_at=at)
    Product.objects.filter(type="variable").update(modified_at=at - timedelta(days=1))

    def found(when, **more):
        return [row["name"] for row in shop.call("GET", "/products", modified_after=when, **more)]

    assert found("2026-01-05T11:59:59", dates_are_gmt="true") == ["Mug"]
    assert found("2026-01-05T12:00:00", dates_are_gmt="true") == []
    assert found("2026-01-05T12:59:59") == ["Mug"]  # without it the shop's own clock counts, an hour ahead


def test_stock_counted_at_the_product_reads_parent_at_its_variations(shop):
    shirt = shop.shirt("S")
    shop.call("PUT", f"/products/{shirt.parent_id}/variations/{shirt.pk}", {"manage_stock": False})
    path = f"/products/{shirt.parent_id}"
    shop.call("PUT", path, {"manage_stock": True, "stock_quantity": 7})
    rows = {row["sku"]: row for row in shop.call("GET", f"{path}/variations")}
    assert (rows["SHIRT-S"]["manage_stock"], rows["SHIRT-S"]["stock_quantity"]) == ("parent", 7)
    assert (rows["SHIRT-M"]["manage_stock"], rows["SHIRT-M"]["stock_quantity"]) == (True, 10)
    shop.order(SHIRT_S=2)
    assert Product.objects.get(pk=shirt.parent_id).stock_quantity == 5


def test_a_stock_status_follows_the_number_and_what_is_not_counted_has_none(shop):
    path = f"/products/{shop.mug.pk}"
    assert shop.call("PUT", path, {"stock_quantity": 0})["stock_status"] == "outofstock"
    assert shop.call("PUT", path, {"backorders": "notify"})["stock_status"] == "onbackorder"
    assert shop.call("PUT", path, {"stock_quantity": -3})["stock_quantity"] == -3
    shown = shop.call("PUT", path, {"manage_stock": False})
    assert (shown["stock_quantity"], shown["backorders"]) == (None, "no")
    assert shop.ask("PUT", path, {"stock_quantity": "many"}).status_code == 400
    shop.call("PUT", path, {"manage_stock": True, "stock_quantity": 4})
    assert shop.call("PUT", path, {"inventory_delta": -1})["stock_quantity"] == 3


def test_a_batch_answers_object_by_object(shop):
    entries = [{"id": shop.mug.pk, "stock_quantity": 3}, {"id": 999999, "stock_quantity": 1}]
    entries.append({"id": shop.shirt("S").pk, "stock_quantity": 1})
    rows = shop.call("POST", "/products/batch", {"update": entries})["update"]
    assert rows[0]["stock_quantity"] == 3
    assert rows[1] == {
        "id": 999999, "error": {
            "code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 400}},
    }  # fmt: skip
    assert "variations" in rows[2]["error"]["message"]
    too_many = shop.ask("POST", "/products/batch", {"delete": list(range(101))})
    assert (too_many.status_code, too_many.json()["code"]) == (413, "woocommerce_rest_request_entity_too_large")


def test_half_a_batch_is_done_and_the_rest_is_not(shop):
    Fault.objects.create(vendor="woocommerce", kind=Fault.Kind.HALF_BATCH, operation="variations", remaining=1)
    small, medium = shop.shirt("S"), shop.shirt("M")
    body = {"update": [{"id": row.pk, "stock_quantity": 1} for row in (small, medium)]}
    path = f"/products/{small.parent_id}/variations/batch"
    assert shop.ask("POST", path, body).status_code == 500
    assert (shop.stock("SHIRT-S"), shop.stock("SHIRT-M")) == (1, 10)
    assert len(shop.call("POST", path, body)["update"]) == 2  # control


def test_a_sku_is_one_products(shop):
    refused = shop.ask("PUT", f"/products/{shop.mug.pk}", {"sku": "SHIRT-S"})
    assert (refused.status_code, refused.json()["code"]) == (400, "product_invalid_sku")
    assert shop.call("PUT", f"/products/{shop.mug.pk}", {"sku": "MUG"})["sku"] == "MUG"


def test_meta_data_is_laid_over_what_is_there(shop):
    path = f"/products/{shop.mug.pk}"
    shop.call("PUT", path, {"meta_data": [{"key": "_a", "value": "1"}, {"key": "_b", "value": "2"}]})
    shown = shop.call("PUT", path, {"meta_data": [{"key": "_a", "value": "3"}]})["meta_data"]
    assert [(one["key"], one["value"]) for one in shown] == [("_a", "3"), ("_b", "2")]


# --- orders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["processing", "on-hold", "completed"])
def test_stock_is_taken_once_when_an_order_gets_there(shop, status):
    order = shop.order(status="pending", MUG=2, SHIRT_S=1)
    assert (shop.stock("MUG"), shop.stock("SHIRT-S")) == (10, 10)
    for _ in range(2):
        shop.call("PUT", f"/orders/{order['id']}", {"status": status})
    assert (shop.stock("MUG"), shop.stock("SHIRT-S")) == (8, 9)
    line = shop.call("GET", f"/orders/{order['id']}")["line_items"][0]
    assert [(one["key"], one["value"]) for one in line["meta_data"]] == [("_reduced_stock", "2")]


@pytest.mark.parametrize("status", ["cancelled", "pending"])
def test_stock_is_given_back_once_and_taken_again_if_the_order_comes_back(shop, status):
    order = shop.order(MUG=3)
    for _ in range(2):
        shop.call("PUT", f"/orders/{order['id']}", {"status": status})
    assert shop.stock("MUG") == 10
    shop.call("PUT", f"/orders/{order['id']}", {"status": "processing"})
    assert shop.stock("MUG") == 7


def test_paying_takes_the_stock_and_failing_keeps_it(shop):
    order = shop.order(status="pending", MUG=1)
    assert shop.call("PUT", f"/orders/{order['id']}", {"set_paid": True})["status"] == "processing"
    shop.call("PUT", f"/orders/{order['id']}", {"status": "failed"})
    assert shop.stock("MUG") == 9


def test_an_order_may_be_for_more_than_there_is(shop):
    shop.order(MUG=12)
    assert shop.stock("MUG") == -2


def test_a_refund_restocks_what_it_is_for_unless_told_otherwise(shop):
    order = shop.order(status="completed", MUG=5)
    (line,) = order["line_items"]
    path = f"/orders/{order['id']}/refunds"

    def refund(quantity, **more):
        back = {"id": line["id"], "quantity": quantity, "refund_total": 9.5 * quantity}
        return shop.ask("POST", path, {"api_refund": False, "line_items": [back], **more})

    assert refund(2).status_code == 201
    assert refund(1, api_restock=False).status_code == 201
    assert shop.stock("MUG") == 7
    assert refund(3).status_code == 500  # only two are left
    shown = shop.call("GET", f"/orders/{order['id']}")
    assert shown["status"] == "completed"
    meta = {one["key"]: one["value"] for one in shown["line_items"][0]["meta_data"]}
    assert meta == {"_reduced_stock": "3", "_restock_refunded_items": "2"}
    first = shop.call("GET", path, order="asc", orderby="id")[0]
    assert first["line_items"][0]["quantity"] == -2
    assert first["line_items"][0]["meta_data"][0]["value"] == str(line["id"])
    assert refund(2).status_code == 201
    assert shop.call("GET", f"/orders/{order['id']}")["status"] == "refunded"
    assert shop.ask("POST", path, {"amount": "1"}).status_code == 500  # no gateway to give it back by


def test_a_gateway_gives_money_back_and_the_refund_keeps_what_was_hung_on_it(shop):
    body = {"set_paid": True, "payment_method": "stripe", "line_items": shop.lines(MUG=2)}
    order = shop.call("POST", "/orders", body)
    path, mark = f"/orders/{order['id']}/refunds", [{"key": "_who", "value": "us"}]
    assert shop.ask("POST", path, {"amount": "19.01"}).status_code == 500  # two at 9.50
    made = shop.call("POST", path, {"amount": "4.00", "meta_data": mark})
    assert (made["refunded_payment"], made["meta_data"], made["amount"]) == (True, mark, "4.00")
    assert shop.call("GET", path)[0]["meta_data"] == mark
    assert shop.ask("POST", path, {"amount": "15.01"}).status_code == 500
    noted = shop.call("POST", path, {"amount": "15.00", "api_refund": False})
    assert (noted["refunded_payment"], shop.call("GET", f"/orders/{order['id']}")["status"]) == (False, "refunded")
    assert shop.stock("MUG") == 8  # money alone


def test_a_line_whose_quantity_is_changed_takes_or_gives_the_difference(shop):
    order = shop.order(MUG=2)
    change = {"line_items": [{"id": order["line_items"][0]["id"], "quantity": 5}]}
    shop.call("PUT", f"/orders/{order['id']}", change)
    assert shop.stock("MUG") == 5
    Switch.objects.create(name="woocommerce.edited_lines_move_stock", value=False)
    change["line_items"][0]["quantity"] = 1
    shop.call("PUT", f"/orders/{order['id']}", change)
    assert shop.stock("MUG") == 5


def test_an_order_in_the_bin_is_in_no_list_and_keeps_its_stock(shop):
    order = shop.order(MUG=1)
    shop.call("DELETE", f"/orders/{order['id']}")
    assert shop.call("GET", "/orders") == []
    assert shop.call("GET", f"/orders/{order['id']}")["status"] == "trash"
    assert shop.stock("MUG") == 9
    shop.call("DELETE", f"/orders/{order['id']}", force="true")
    assert shop.ask("GET", f"/orders/{order['id']}").status_code == 404


# --- webhooks ----------------------------------------------------------------------------------------------------


def test_a_webhook_begins_with_an_unsigned_ping_and_never_shows_its_secret(shop):
    hook = shop.listen("order.updated")
    (ping,) = shop.told("ping")
    assert bytes(ping.body) == f"webhook_id={hook.pk}".encode()
    assert not any("signature" in name.lower() for name in ping.headers)
    shown = shop.call("GET", f"/webhooks/{hook.pk}")
    assert (shown["resource"], shown["event"], shown["status"]) == ("order", "updated", "active")
    assert "secret" not in shown
    assert shop.ask("POST", "/webhooks", {"topic": "order.eaten", "delivery_url": "http://x"}).status_code == 400
    assert shop.ask("POST", "/webhooks", {"topic": "order.updated", "delivery_url": "ftp://x"}).status_code == 400
    assert shop.ask("DELETE", f"/webhooks/{hook.pk}").status_code == 501


def test_what_a_request_changed_is_told_once_each_and_signed(shop):
    for topic in ("order.created", "order.updated", "product.updated"):
        shop.listen(topic)
    shop.order(MUG=1, SHIRT_S=1)
    assert [len(shop.told(topic)) for topic in ("order.created", "order.updated")] == [1, 1]
    bodies = [json.loads(bytes(row.body)) for row in shop.told("product.updated")]
    assert {(one["type"], one["stock_quantity"]) for one in bodies} == {
        ("simple", 9), ("variation", 9), ("variable", None),
    }  # fmt: skip
    (row,) = shop.told("order.updated")
    digest = hmac.new(b"s3cret", bytes(row.body), hashlib.sha256).digest()
    assert row.headers["X-WC-Webhook-Signature"] == base64.b64encode(digest).decode()
    assert row.headers["X-WC-Webhook-Topic"] == "order.updated"


def test_a_secret_with_entities_signs_decoded():
    assert events.sign("a&amp;b", b"{}") == events.sign("a&b", b"{}")


def test_two_deliveries_of_one_second_have_the_same_id(shop):
    hook = shop.listen("order.updated")
    assert any(events.delivery_id(hook) == events.delivery_id(hook) for _ in range(3))


def test_a_delivery_is_tried_once_and_the_seventh_failure_in_a_row_disables_the_webhook(shop):
    hook = shop.listen("product.updated")
    for _ in range(6):
        accounts.edit_stock(shop.mug, by=1)
        deliver()
    hook.refresh_from_db()
    assert (hook.status, hook.failure_count) == ("active", 6)
    accounts.edit_stock(shop.mug, by=1)
    deliver()
    hook.refresh_from_db()
    assert hook.status == "disabled"
    assert set(Delivery.objects.filter(topic="product.updated").values_list("attempts", "state")) == {(1, "gave_up")}
    accounts.edit_stock(shop.mug, by=1)
    assert len(shop.told("product.updated")) == 7  # it tells no more
    assert [row["status"] for row in shop.call("GET", "/webhooks", status="disabled")] == ["disabled"]


def test_a_delivery_that_got_through_forgets_the_failures(shop):
    hook = shop.listen("product.updated")
    hook.failure_count = 5
    hook.save()
    accounts.edit_stock(shop.mug, by=1)
    with HTTPServer(("127.0.0.1", 0), Taker) as server:
        Delivery.objects.filter(topic="product.updated").update(url=f"http://127.0.0.1:{server.server_port}/")
        threading.Thread(target=server.handle_request, daemon=True).start()
        deliver()
    hook.refresh_from_db()
    assert hook.failure_count == 0


def test_orders_placed_at_once_take_each_unit_once(shop):
    body = {"status": "processing", "line_items": shop.lines(MUG=1, SHIRT_S=1)}
    key = shop.site.keys.get()
    auth = (key.consumer_key, key.consumer_secret)
    with ThreadPoolExecutor(4) as pool:
        url = f"{shop.url}/wp-json/wc/v3/orders"
        made = list(pool.map(lambda _: requests.post(url, json=body, auth=auth, timeout=20).status_code, range(8)))
    assert made == [201] * 8
    assert (shop.stock("MUG"), shop.stock("SHIRT-S")) == (2, 2)
    assert Order.objects.filter(site=shop.site).count() == 8
