"""The stand-in for Lightspeed, as a client of the vendor's own would meet it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.utils import timezone

from channels.sandbox.lightspeed import accounts
from channels.sandbox.lightspeed.models import Level, Retailer, Token
from channels.sandbox.lightspeed.till import LightspeedTill
from channels.sandbox.models import Switch
from channels.sandbox.trading.calls import Refused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def till(live_server, settings):
    """The owner's client at a shop with one outlet and ten of one mug."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    retailer = accounts.create_retailer(domain_prefix="mugs", name="Mugs", outlets=["Front"])
    outlet = retailer.outlet_set.get()
    mug = accounts.FamilyRow("mug", "Mug", [accounts.VariantRow("MUG", 9, quantities={outlet.pk: 10})])
    accounts.load(retailer, [mug])
    return LightspeedTill(
        base_url=f"{live_server.url}/lightspeed/mugs/api/2026-07", token=accounts.value_of(retailer, "personal")
    )


@pytest.fixture
def mug(till):
    return str(Level.objects.get().product_id)


@pytest.fixture
def outlet(till):
    return str(Level.objects.get().outlet_id)


def units():
    return Level.objects.get().quantity


def refused(call, *arguments):
    with pytest.raises(Refused) as error:
        call(*arguments)
    return error.value.code


def ask(till, path="outlets", **headers):
    return requests.get(f"{till.base_url}/{path}", headers=headers, timeout=10)


def test_who_has_no_token_no_name_or_the_wrong_one_is_turned_away(till):
    access = Token.objects.get(kind="access")
    bearer = {"Authorization": f"Bearer {access.value}"}

    assert ask(till).status_code == 401
    assert ask(till, Authorization="Bearer wrong").json() == {
        "error": "Unauthorized", "message": "The access token is not valid.",
    }  # fmt: skip
    assert ask(till, **bearer, **{"User-Agent": ""}).status_code == 400
    assert ask(till, **bearer).status_code == 200
    Token.objects.filter(pk=access.pk).update(expires_at=timezone.now())
    assert ask(till, **bearer).status_code == 401
    assert ask(till, "no/such/thing", **bearer).status_code == 404


def test_any_date_version_is_served_by_the_one_there_is(till):
    till.base_url = till.base_url.replace("2026-07", "2019-01")
    assert [outlet["name"] for outlet in till.send("GET", "outlets")["data"]] == ["Front"]


def test_consent_code_and_tokens(till, live_server):
    retailer = Retailer.objects.get()
    asked = {
        "response_type": "code", "client_id": retailer.client_id, "redirect_uri": "https://studio.example.com/back",
        "scope": "sales:read outlets:read", "state": "s",
    }  # fmt: skip
    consent = f"{live_server.url}/lightspeed/connect"
    back = requests.get(consent, params=asked, allow_redirects=False, timeout=10).headers["Location"]
    got = parse_qs(urlsplit(back).query)
    form = {
        "grant_type": "authorization_code", "code": got["code"][0], "client_id": retailer.client_id,
        "client_secret": retailer.client_secret, "redirect_uri": asked["redirect_uri"],
    }  # fmt: skip
    url = f"{live_server.url}/lightspeed/mugs/api/1.0/token"

    reply = requests.post(url, data=form, timeout=10).json()

    assert (got["domain_prefix"], got["state"], reply["scope"]) == (["mugs"], ["s"], "sales:read outlets:read")
    assert ask(till, Authorization=f"Bearer {reply['access_token']}").status_code == 200
    assert ask(till, "products", Authorization=f"Bearer {reply['access_token']}").status_code == 403
    assert requests.post(url, data=form, timeout=10).status_code == 400, "a code is good once"
    assert requests.post(url, data=form | {"client_secret": "x"}, timeout=10).status_code == 401
    del asked["scope"]
    assert requests.get(consent, params=asked, allow_redirects=False, timeout=10).status_code == 400


def test_a_full_window_answers_with_the_date_of_its_end_and_each_app_has_its_own(till):
    Switch.objects.create(name="lightspeed.limit", value=[2, 0])
    bearer = {"Authorization": f"Bearer {accounts.value_of(Retailer.objects.get(), 'access')}"}
    assert [ask(till, **bearer).headers["X-RateLimit-Remaining"] for _ in range(2)] == ["1", "0"]

    full = ask(till, **bearer)

    assert full.status_code == 429
    until = parsedate_to_datetime(full.headers["Retry-After"])
    assert timedelta(minutes=4) < until - timezone.now() <= timedelta(minutes=5, seconds=1)
    assert till.send("GET", "outlets")["data"]


def test_a_feed_gives_what_is_newer_in_order_and_ends_empty(till, mug, outlet):
    first = till.sell(outlet_id=outlet, units={mug: 1})
    second = till.sell(outlet_id=outlet, units={mug: 1})
    page = till.send("GET", "sales?page_size=1")

    assert [sale["id"] for sale in page["data"]] == [first]
    rest = till.send("GET", f"sales?after={page['version']['max']}")
    assert [sale["id"] for sale in rest["data"]] == [second]
    empty = till.send("GET", f"sales?after={rest['version']['max']}")
    assert empty == {"data": [], "version": {"min": None, "max": None}}
    till.finish(sale_id=first, state="voided")
    again = till.send("GET", f"sales?after={rest['version']['max']}")["data"]
    assert [(sale["id"], sale["state"]) for sale in again] == [(first, "voided")]
    assert units() == 9


@pytest.mark.parametrize(("restocks", "left"), [(True, 10), (False, 8)])
def test_whether_a_voided_sale_gives_its_units_back_is_a_switch(till, mug, outlet, restocks, left):
    Switch.objects.create(name="lightspeed.void_restocks", value=restocks)
    till.finish(sale_id=till.sell(outlet_id=outlet, units={mug: 2}), state="voided")
    assert units() == left


def test_the_same_sale_sent_twice_is_one_sale_and_a_till_sells_below_zero(till, mug, outlet):
    sale = till.sell(outlet_id=outlet, units={mug: 12})
    body = {
        "id": sale, "state": "closed", "source": {"author_id": str(uuid.uuid4())},
        "line_items": [{"product": {"id": mug}, "quantity": 12, "pricing": {"price": 9},
                        "tax": {"id": str(uuid.uuid4()), "amount": 0}}],
    }  # fmt: skip
    till.send("POST", "sales", body)
    assert units() == -2
    assert len(till.send("GET", "sales")["data"]) == 1


def test_no_more_comes_back_than_was_sold(till, mug, outlet):
    sale = till.sell(outlet_id=outlet, units={mug: 3})
    till.take_back(sale_id=sale, units={mug: 2})
    left = till.send("POST", f"sales/{sale}/actions/return")["data"]

    assert [line["quantity"] for line in left["line_items"]] == [-1]
    assert till.send("GET", f"sales/{sale}")["data"]["return"]["return_sale_ids"][0] != sale
    assert units() == 9
    assert refused(lambda: till.send("POST", f"sales/{left['id']}/actions/return")) == "422"


def test_adjustments_are_all_or_none_and_their_sign_fits_their_reason(till, mug, outlet):
    def adjust(*entries):
        whole = [{"product_id": mug, "outlet_id": outlet, **entry} for entry in entries]
        return till.send("POST", "stock_adjustments", {"stock_adjustments": whole})["data"]

    good = {"quantity": "-3", "reason": "DAMAGE"}
    for bad in (
        {"quantity": "3", "reason": "DAMAGE"}, {"quantity": "-1", "reason": "STOCK_FOUND"},
        {"quantity": "0", "reason": "DAMAGE"}, {"quantity": -1, "reason": "DAMAGE"},
        {"quantity": "-1", "reason": "BORED"}, {"quantity": "-1", "reason": "CUSTOM"},
        {"quantity": "x", "reason": "DAMAGE"}, {"product_id": str(uuid.uuid4()), **good},
    ):  # fmt: skip
        assert refused(adjust, good, bad) == "422"
    assert units() == 10
    (made,) = adjust(good)
    assert (made["quantity"], units()) == ("-3.00000", 7)
    assert refused(till.send, "POST", "stock_adjustments", {"stock_adjustments": []}) == "422"


def test_a_reason_has_a_name_of_its_own(till):
    reason = {"name": "Found in the cellar", "type": "POSITIVE"}
    assert till.send("POST", "custom_inventory_adjustment_reasons", reason)["data"]["type"] == "POSITIVE"
    assert refused(till.send, "POST", "custom_inventory_adjustment_reasons", reason) == "409"
    assert refused(till.send, "POST", "custom_inventory_adjustment_reasons", reason | {"name": "x" * 31}) == "422"


def test_the_number_typed_over_in_the_back_office_is_the_number(till, mug, outlet):
    body = {"details": {"inventory": [{"outlet_id": outlet, "current_amount": 4}]}}
    till.send("PUT", f"products/{mug}", body)
    assert units() == 4
    assert till.send("GET", "stock_adjustments")["data"] == []


def test_levels_are_listed_newest_first_unless_asked_otherwise(till, mug, outlet):
    till.send(
        "POST", "products", {"name": "Bowl", "sku": "B", "inventory": [{"outlet_id": outlet, "current_amount": 1}]}
    )

    def versions(**body):
        return [level["version"] for level in till.send("POST", "inventory", body)["data"]]

    assert versions() == sorted(versions(), reverse=True)
    assert versions(sort_direction="asc") == sorted(versions())
    assert versions(after=max(versions())) == []


def test_webhooks_are_one_a_type_and_address(till):
    hook = {"active": True, "type": "sale.update", "url": "https://studio.example.com/x"}
    made = till.send("POST", "webhooks", hook)["data"]

    assert refused(till.send, "POST", "webhooks", hook) == "409"
    assert refused(till.send, "POST", "webhooks", hook | {"type": "moon.update"}) == "422"
    assert refused(till.send, "POST", "webhooks", {"type": "sale.update"}) == "422"
    assert till.send("PUT", f"webhooks/{made['id']}", hook | {"active": False})["data"]["active"] is False
    till.send("DELETE", f"webhooks/{made['id']}")
    assert till.send("GET", "webhooks")["data"] == []
    assert refused(till.send, "GET", f"webhooks/{made['id']}") == "404"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "sales", {"state": "closed"}), ("POST", "sales", {"state": "sold", "source": {"author_id": "x"}}),
        ("POST", "products", {"sku": "x"}), ("POST", "products", []), ("POST", "consignments", {"type": "SUPPLIER"}),
        ("POST", "inventory_levels", {"product_ids": ["not-an-id"]}), ("POST", "variant_attributes", {}),
        ("POST", "sales", {"id": "x", "state": "closed", "source": {"author_id": "x"}}),
        ("POST", "sales", {"state": "pending", "source": {"author_id": "x"}, "attributes": ["layby", "onaccount"]}),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(till, method, path, body):
    assert refused(till.send, method, path, body) == "422"
    assert till.send("GET", "sales")["data"] == []


def test_an_id_that_is_none_is_not_found(till):
    for path in ("sales/x", f"sales/{uuid.uuid4()}", "products/x", "outlets/x"):
        assert refused(till.send, "GET", path) == "404"
