"""The stand-in's counts against a plain model, under races, and at the size of a real catalog."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from square.core.api_error import ApiError
from square_shop import SquareShop, item_body, moment

from channels.sandbox.models import Delivery
from channels.sandbox.square import accounts, stock
from channels.sandbox.square.models import Account, InventoryChange, InventoryCount
from channels.sandbox.square.values import upper_id

VARIATION = "VARIATION"


@pytest.fixture
def shop(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return SquareShop(server_url=live_server.url)


def change(account, *, kind, quantity, occurred_at, move=("NONE", "IN_STOCK"), place="L1", to="L1"):
    is_count = kind == "PHYSICAL_COUNT"
    return InventoryChange(
        change_id=upper_id(),
        account=account,
        type=kind,
        catalog_object_id=VARIATION,
        from_state="" if is_count else move[0],
        to_state="IN_STOCK" if is_count else move[1],
        from_location_id="" if is_count else place,
        to_location_id=to,
        quantity=Decimal(quantity),
        occurred_at=occurred_at,
        created_at=timezone.now(),
        source={},
    )


def expected(history, *, place):
    """A cell's number by the rule alone: last count and later adjustments, by time, then by arrival."""
    number = Decimal(0)
    for row in sorted(history, key=lambda entry: entry.occurred_at):
        if row.type == "PHYSICAL_COUNT":
            number = row.quantity if row.to_location_id == place else number
            continue
        if (row.to_location_id, row.to_state) == (place, "IN_STOCK"):
            number += row.quantity
        if (row.from_location_id, row.from_state) == (place, "IN_STOCK"):
            number -= row.quantity
    return number


@pytest.mark.parametrize("seed", range(8))
def test_counts_equal_the_rule_in_whatever_order_changes_arrive(db, seed):
    dice = random.Random(seed)
    account = accounts.create_account(name="Shop", locations=["A"])
    start, history = timezone.now() - timedelta(hours=5), []
    for _ in range(25):
        batch = []
        for _ in range(dice.randint(1, 4)):
            at = start + timedelta(minutes=dice.randint(0, 40))
            quantity = dice.randint(1, 20)
            if dice.random() < 0.25:
                row = change(account, kind="PHYSICAL_COUNT", quantity=quantity, occurred_at=at)
            else:
                move = dice.choice(
                    [
                        ("NONE", "IN_STOCK"),
                        ("IN_STOCK", "SOLD"),
                        ("IN_STOCK", "WASTE"),
                        ("IN_STOCK", "IN_STOCK"),
                    ]
                )
                to = "L2" if move == ("IN_STOCK", "IN_STOCK") else "L1"
                row = change(account, kind="ADJUSTMENT", quantity=quantity, occurred_at=at, move=move, to=to)
            batch.append(row)
        with transaction.atomic():
            stock.post(account=account, changes=batch, now=timezone.now())
        history += batch
        for place in ("L1", "L2"):
            row = InventoryCount.objects.filter(account=account, location_id=place, state="IN_STOCK").first()
            assert (row.quantity if row else 0) == expected(history, place=place), (seed, place)


def test_a_change_in_stock_is_told_only_when_the_number_moves(db):
    account = accounts.create_account(name="Shop", locations=["A"])
    noon = timezone.now() - timedelta(hours=1)
    counted = change(account, kind="PHYSICAL_COUNT", quantity=5, occurred_at=noon)
    late = change(
        account,
        kind="ADJUSTMENT",
        quantity=1,
        occurred_at=noon - timedelta(minutes=5),
        move=("IN_STOCK", "SOLD"),
    )
    with transaction.atomic():
        stock.post(account=account, changes=[counted], now=timezone.now())
        before = InventoryCount.objects.get(account=account, state="IN_STOCK").calculated_at
        stock.post(account=account, changes=[late], now=timezone.now())
    row = InventoryCount.objects.get(account=account, state="IN_STOCK")
    assert (row.quantity, row.calculated_at) == (5, before)


def sell_from_many_threads(account, *, threads=6):
    """Everyone takes one unit at the same moment."""
    barrier = threading.Barrier(threads)

    def sell(_n):
        try:
            barrier.wait(timeout=10)
            row = change(
                account,
                kind="ADJUSTMENT",
                quantity=1,
                occurred_at=timezone.now(),
                move=("IN_STOCK", "SOLD"),
            )
            with transaction.atomic():
                stock.post(account=account, changes=[row], now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sell, range(threads)))
    return InventoryCount.objects.get(account=account, state="IN_STOCK").quantity


@pytest.fixture
def slow_counting(monkeypatch):
    """Hold every posting for a moment between reading a count and writing it."""
    plain = stock.apply

    def slow(*args, **kwargs):
        time.sleep(0.05)
        return plain(*args, **kwargs)

    monkeypatch.setattr(stock, "apply", slow)


def stocked_account():
    account = accounts.create_account(name="Shop", locations=["A"])
    first = change(account, kind="PHYSICAL_COUNT", quantity=100, occurred_at=timezone.now())
    with transaction.atomic():
        stock.post(account=account, changes=[first], now=timezone.now())
    return account


@pytest.mark.race
def test_sales_at_the_same_moment_are_all_counted(transactional_db, slow_counting):
    assert sell_from_many_threads(stocked_account()) == 94


@pytest.mark.race
def test_without_the_lock_sales_would_be_lost(transactional_db, slow_counting, monkeypatch):
    account = stocked_account()
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_options: self)
    assert sell_from_many_threads(account) > 94


@pytest.mark.race
def test_one_key_used_by_many_at_once_is_done_once(shop):
    (mug,) = shop.item("MUG")
    body = shop.adjustment(mug, "1")
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _n: shop.change(body, key="same"), range(6)))
    assert shop.stock(mug) == "1"
    assert len({reply.changes[0].adjustment.id for reply in replies}) == 1


@pytest.mark.race
def test_two_returns_at_once_cannot_take_back_the_same_unit(shop):
    (mug,) = shop.item("MUG")
    order = shop.sell((mug, "1"))
    line = {"source_line_item_uid": order.line_items[0].uid, "quantity": "1"}
    body = {
        "location_id": shop.street,
        "returns": [{"source_order_id": order.id, "return_line_items": [line]}],
    }

    def take_back(key):
        return shop.call("POST", "/v2/orders", {"idempotency_key": key, "order": body})[0]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take_back, "abcd")) == [200, 400, 400, 400]


def test_a_second_catalog_write_at_the_same_time_gets_429(shop):
    def write():
        shop.sdk.catalog.object.upsert(
            idempotency_key="k", object=item_body("Pot", ["POT"]), request_options={"max_retries": 0}
        )

    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=shop.account.pk)
        with pytest.raises(ApiError) as error:
            write()
    assert (error.value.status_code, error.value.errors[0].code) == (429, "RATE_LIMITED")
    write()  # control: once the other write is over it goes through


def test_a_catalog_of_5000_variations_and_its_counts_load_in_seconds(shop):
    started = time.perf_counter()
    variations = []
    for batch in range(5):
        objects = [item_body(f"Thing {n}", [f"T{n}"]) for n in range(batch * 1000, batch * 1000 + 1000)]
        status, reply = shop.call(
            "POST",
            "/v2/catalog/batch-upsert",
            {"idempotency_key": f"load-{batch}", "batches": [{"objects": objects}]},
        )
        assert status == 200
        variations += [entry["item_data"]["variations"][0]["id"] for entry in reply["objects"]]
    catalog_s = time.perf_counter() - started
    now = moment()
    started = time.perf_counter()
    for first in range(0, 5000, 100):
        changes = [
            {
                "type": "PHYSICAL_COUNT",
                "physical_count": {
                    "catalog_object_id": variation,
                    "location_id": shop.street,
                    "state": "IN_STOCK",
                    "quantity": "7",
                    "occurred_at": now,
                },
            }
            for variation in variations[first : first + 100]
        ]
        body = {"idempotency_key": f"count-{first}", "changes": changes}
        assert shop.call("POST", "/v2/inventory/changes/batch-create", body)[0] == 200
    counts_s = time.perf_counter() - started
    assert InventoryCount.objects.filter(quantity=7).count() == 5000
    assert not Delivery.objects.exists()
    print(f"5,000 variations: catalog {catalog_s:.1f} s, counts {counts_s:.1f} s")  # noqa: T201
    assert catalog_s < 60
    assert counts_s < 60
