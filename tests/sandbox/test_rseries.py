"""The stand-in for Lightspeed R-Series, as a client of the vendor's own would meet it."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.utils import timezone

from channels.sandbox.models import Switch
from channels.sandbox.rseries import accounts
from channels.sandbox.rseries.models import Account, InventoryLog, ItemShop, SaleLine, Shop, Token
from channels.sandbox.rseries.till import RSeriesTill
from channels.sandbox.trading.calls import Refused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def till(live_server, settings):
    """The owner's client at an account with one shop and ten of one mug."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    account = accounts.create_account(name="Mugs", shops=["Front"])
    row = accounts.ItemRow("MUG", Decimal(9), quantities={Shop.objects.get().pk: 10})
    accounts.load(account, [accounts.Family("Mug", [row])])
    base_url = f"{live_server.url}/rseries/API/V3/Account/{account.pk}"
    return RSeriesTill(base_url=base_url, token=accounts.value_of(account, "owner"))


@pytest.fixture
def mug(till):
    return str(ItemShop.objects.exclude(shop=None).get().item_id)


@pytest.fixture
def shop(till):
    return str(Shop.objects.get().pk)


def units():
    """At the shop, and the sum."""
    return tuple(ItemShop.objects.order_by("shop").values_list("qoh", flat=True))


def ask(till, path, token=None, **params):
    value = token or accounts.value_of(Account.objects.get(), "access")
    headers = {"Authorization": f"Bearer {value}"}
    return requests.get(f"{till.base_url}/{path}.json", params=params, headers=headers, timeout=10)


def test_who_has_no_living_token_is_turned_away_and_so_is_another_accounts(till):
    strangers = accounts.create_account(name="Others", shops=["Back"])
    token = accounts.value_of(strangers, "access")
    own = Token.objects.filter(account__name="Mugs", kind="access")

    assert ask(till, "Shop", token="nobody").status_code == 401
    assert ask(till, "Shop", token=token).status_code == 403
    assert ask(till, "Shop", token=own.get().value).status_code == 200
    own.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ask(till, "Shop", token=own.get().value).status_code == 401


def test_consent_code_and_tokens(till, live_server):
    account, base = Account.objects.get(), f"{live_server.url}/rseries/auth/oauth"
    asked = {"response_type": "code", "client_id": account.client_id, "scope": "employee:all", "state": "s"}
    back = requests.get(f"{base}/authorize", params=asked, allow_redirects=False, timeout=10).headers["Location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    form = {"client_id": account.client_id, "client_secret": account.client_secret}
    grant = form | {"grant_type": "authorization_code", "code": code}

    first = requests.post(f"{base}/token", json=grant, timeout=10)
    again = requests.post(f"{base}/token", json=grant, timeout=10)
    stranger = requests.post(f"{base}/token", data=grant | {"client_secret": "wrong"}, timeout=10)

    assert first.json().keys() == {"token_type", "expires_in", "access_token", "refresh_token"}
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    assert stranger.status_code == 401


def test_each_answer_says_how_full_the_bucket_is_and_a_full_one_drips_empty(till):
    Switch.objects.create(name="rseries.bucket", value=[2, 0, 1000, 0])
    first = ask(till, "Item", load_relations='["ItemShops", "Category"]')
    Switch.objects.update(value=[3, 0, 0.001, 0])
    full = [ask(till, "Shop").status_code for _ in range(3)]
    refused = ask(till, "Shop")
    Switch.objects.update(value=[3, 0, 1000, 0])

    assert first.headers["X-LS-Api-Request-Cost"] == "1.6"  # many: 0.4, one: 0.2
    assert first.headers["X-LS-Api-Bucket-Level"].endswith("/2")
    assert full == [200, 200, 429]  # the first over the edge is let in
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert ask(till, "Shop").status_code == 200


def test_one_row_is_an_object_two_are_a_list_and_none_is_no_key(till, mug):
    one, none, two = (ask(till, "ItemShop", **query).json() for query in ({"shopID": "0"}, {"shopID": "99"}, {}))

    assert one["ItemShop"]["qoh"] == "10"
    assert "ItemShop" not in none
    assert [row["shopID"] for row in two["ItemShop"]].count("0") == 1


def test_filters_sorting_and_the_address_of_the_next_page(till, mug):
    rows = [accounts.ItemRow(f"SOCK-{n}", Decimal(5)) for n in range(5)]
    accounts.load(Account.objects.get(), [accounts.Family("Sock", rows)])
    page = ask(till, "Item", limit="2", sort="-itemID").json()
    following = dict(parse_qs(urlsplit(page["@attributes"]["next"]).query))
    second = ask(till, "Item", **{name: value[0] for name, value in following.items()}).json()

    ids = [int(row["itemID"]) for row in (*page["Item"], *second["Item"])]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4
    assert ask(till, "Item", itemID=f"IN,[{mug},{ids[0]}]").json()["Item"][0]["itemID"] == mug
    assert ask(till, "Item", itemID=f"><,{ids[1]},{ids[0]}").json()["@attributes"]["next"] == ""
    future = (timezone.now() + timedelta(days=1)).isoformat()
    assert "Item" not in ask(till, "Item", timeStamp=f">=,{future}").json()
    for wrong in ({"sort": "price"}, {"colour": "red"}, {"timeStamp": ">,soon"}, {"after": "x"}, {"limit": "many"}):
        assert ask(till, "Item", **wrong).status_code == 400


def test_a_number_typed_over_is_the_number_and_the_log_says_by_how_much(till, mug, shop):
    body = {"ItemShops": {"ItemShop": {"shopID": shop, "qoh": "3"}}}

    till.send("PUT", f"Item/{mug}", body)

    assert units() == (3, 3)
    entry = InventoryLog.objects.get()
    assert (entry.qoh_change, entry.reason) == (-7, "ManualQuantityAdjustment")
    with pytest.raises(Refused):
        till.send("PUT", f"Item/{mug}", {"ItemShops": {"ItemShop": {"shopID": "0", "qoh": "3"}}})


def test_a_till_sells_below_zero_and_a_voided_ticket_puts_everything_back(till, mug, shop):
    sale = till.sell(shop_id=shop, units={mug: 12})
    assert units() == (-2, -2)
    till.void(sale_id=sale)
    till.void(sale_id=sale)

    assert units() == (10, 10)


def test_no_more_comes_back_than_was_sold(till, mug, shop):
    sale = till.sell(shop_id=shop, units={mug: 2})
    till.take_back(shop_id=shop, sale_id=sale, units={mug: 2})

    with pytest.raises(Refused):
        till.take_back(shop_id=shop, sale_id=sale, units={mug: 1})

    assert units() == (10, 10)


def test_a_layaway_takes_what_there_is_and_the_ticket_takes_the_rest(till, mug, shop):
    lines = till.set_aside(shop_id=shop, units={mug: 12})
    assert (units(), SaleLine.objects.get().reserved) == ((0, 0), 10)

    till.hand_over(shop_id=shop, line_ids=lines)

    assert units() == (-2, -2)
    assert ItemShop.objects.filter(on_layaway=0).count() == 2


def test_a_layaway_let_go_leaves_no_line(till, mug, shop):
    till.let_go(line_ids=till.set_aside(shop_id=shop, units={mug: 4}))

    assert units() == (10, 10)
    assert not SaleLine.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "Item/77777777", None),
        ("GET", "Sale/77777777", None),
        ("POST", "Sale", {"shopID": "77777777"}),
        ("POST", "SaleLine", {"shopID": "x"}),
        ("PUT", "Item/{mug}", {"customSku": "X" * 256}),
        ("PUT", "Item/{mug}", {"upc": "123"}),
        ("PUT", "Item/{mug}", {"ItemAttributes": {"attribute1": "Blue"}}),
        ("PUT", "Item/{mug}", {"ItemShops": {"ItemShop": {"itemShopID": "9999999", "qoh": "1"}}}),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(till, mug, method, path, body):
    before = json.dumps(till.send("GET", f"Item/{mug}"))

    with pytest.raises(Refused):
        till.send(method, path.format(mug=mug), body)

    assert json.dumps(till.send("GET", f"Item/{mug}")) == before
    assert units() == (10, 10)
