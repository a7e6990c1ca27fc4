"""Customers at both channels at once, webhooks doubled and out of order, calls that fail: at the end all numbers agree.

The seed is printed; STORESTUDIO_SEED plays the same customers again.
"""

from __future__ import annotations

import csv
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from channels import inbox, polling, publisher
from channels.models import ChannelStock, InboundEvent
from channels.sandbox import bringup, deliveries
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.management.commands.sandbox import describe
from channels.sandbox.management.commands.trade import first_lines, open_channels
from channels.sandbox.models import Delivery, Fault
from channels.sandbox.shopify.models import InventoryLevel
from channels.sandbox.trading import made_up, settling, trace
from channels.sandbox.trading.player import BASKET_MAX, TILL, WEB, Planner, TakeBack, Tally, play
from inventory import identifiers
from storestudio.accounts.models import Merchant, User

SKUS = [f"{20000 + n}{suffix}" for n in range(4) for suffix in ("", "a")]
PLACES = ("High Street", "Stock room")
UNITS = 12
SLICE = timedelta(seconds=2)
REST_S = 45
COLUMNS = ("invoice", "sku", "description", "quantity", "invoiced_at", "unit_price", "customer", "country")


@pytest.fixture
def seed():
    chosen = int(os.environ.get("STORESTUDIO_SEED") or random.randrange(10**6))
    sys.stdout.write(f"STORESTUDIO_SEED={chosen}\n")
    return chosen


def write_trace(path, entries):
    """A trace of (invoice, sku, quantity, customer), a minute apart."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n, (invoice, sku, quantity, customer) in enumerate(entries):
            at = f"2010-12-01T{8 + n // 60:02}:{n % 60:02}"
            writer.writerow([invoice, sku, "A THING", quantity, at, "2.50", customer, "United Kingdom"])
    return path


def busy_days(seed, *, invoices):
    """Baskets of few goods, more than there are of some, every eighth invoice a return, and the usual dirt."""
    chance = random.Random(seed)
    entries = []
    for n in range(invoices):
        customer = str(chance.randrange(12))
        if n % 8 == 7:
            entries.append((f"C{n}", chance.choice(SKUS), str(-chance.randint(1, 4)), customer))
            continue
        wanted = chance.sample(SKUS, chance.randint(1, 4))
        typed = [chance.choice((sku, sku.upper(), f" {sku}")) for sku in wanted]  # as people type
        entries += [(str(n), sku, str(chance.randint(1, 6)), customer) for sku in typed]
    entries.append((str(invoices), "POST", "1", "1"))
    entries.append((str(invoices + 1), SKUS[0], "500", "1"))
    entries.append((str(invoices + 2), "99999X", "1", "1"))
    return entries


@pytest.fixture
def pair(live_server, settings):
    """A shop with its till and web shop live, on a server that answers for both sides."""
    settings.ROOT_URLCONF = "tests.simulation.urls"
    settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
    merchant = Merchant.objects.create(name="Corner", slug="corner")
    goods = [
        Goods(
            handle=f"thing-{sku}",
            title=f"Thing {sku}",
            variants=[GoodsVariant(sku, Decimal("2.50"), counts=dict.fromkeys(PLACES, UNITS))],
        )
        for sku in SKUS
    ]
    return bringup.bring_up(
        merchant=merchant,
        actor=User.objects.create_user("owner@corner.example"),
        goods=goods,
        places=PLACES,
        domain="corner.myshopify.com",
        say=lambda words: None,
    )


def misbehave():
    for vendor in ("square", "shopify"):
        late = {"delay_s_max": 1.0}
        Fault.objects.create(vendor=vendor, kind="duplicate", operation="webhook", probability=0.3, params=late)
        Fault.objects.create(vendor=vendor, kind="reorder", operation="webhook", probability=0.5, params=late)
        Fault.objects.create(vendor=vendor, kind="rate_limited", probability=0.02)
    for vendor, operation in (("square", "orders.create"), ("square", "payments"), ("shopify", "orderCreate")):
        Fault.objects.create(vendor=vendor, kind="timeout_after", operation=operation, probability=0.1)
    for vendor, operation in (("square", "inventory.batch_create"), ("shopify", "inventorySetQuantities")):
        Fault.objects.create(vendor=vendor, kind="timeout_after", operation=operation, probability=0.1)


def work(pair, pool):
    """One round of what deliverer, dispatcher and workers do."""
    deliveries.send_due(pool=pool)
    for connection in (pair.till, pair.web):
        until = timezone.now() + SLICE
        inbox.process(connection_id=connection.pk, until=until)
        publisher.publish(connection_id=connection.pk, until=until)
        if connection.cells.filter(recheck_at__lte=timezone.now()).exists():
            polling.poll(connection_id=connection.pk)


def trade(pair, customers, *, seed):
    """Play customers from threads of their own while the work is done here, until all is at rest; what happened."""
    tally = Tally()
    channels = open_channels(describe(pair.merchant), seed=seed, tally=tally, run=f"test-{seed}")
    planner = Planner(seed=seed, tally=tally)
    playing = threading.Thread(
        target=play,
        kwargs={
            "invoices": customers,
            "channels": channels,
            "planner": planner,
            "speed": 0,
            "is_stopped": lambda: False,
        },
    )
    playing.start()
    until = None
    with ThreadPoolExecutor(4) as pool:
        while playing.is_alive() or not settling.waiting(pair.merchant).nothing:
            if not playing.is_alive():
                until = until or time.monotonic() + REST_S
                assert time.monotonic() < until, f"not at rest: {settling.waiting(pair.merchant)}"
            work(pair, pool)
            time.sleep(0.02)
    return tally.read()


@pytest.mark.django_db(transaction=True)
def test_both_channels_and_the_ledger_agree_after_trading_through_faults(pair, seed, tmp_path):
    path = write_trace(tmp_path / "trace.csv", busy_days(seed, invoices=40))
    left_out = Counter()
    known = frozenset(identifiers.sku_key(sku) for sku in SKUS)
    misbehave()
    counts = trade(pair, trace.invoices(trace.rows(path), known=known, left_out=left_out), seed=seed)
    sys.stdout.write("\n".join([str(dict(counts)), *settling.figures(pair.merchant)]))
    assert settling.breaches(pair.merchant) == []
    assert not [what for what in counts if "steps" in what]
    assert counts["till orders"] > 5
    assert counts["web orders"] > 5
    assert counts["returns"] > 0
    assert left_out == {"not goods (postage, fees, samples)": 1, "goods that are not on both channels": 1}
    duplicated = Delivery.objects.filter(state="delivered").count()
    stored = InboundEvent.objects.exclude(topic__startswith="storestudio/").count()
    assert duplicated > stored, "no webhook came twice: the test did not show what it is for"
    assert not InboundEvent.objects.filter(state="quarantined").exists()


@pytest.mark.django_db(transaction=True)
def test_a_number_changed_behind_our_back_is_named_as_a_breach(pair, seed):
    skus = [identifiers.sku_key(sku) for sku in SKUS]
    counts = trade(pair, first_lines(made_up.customers(skus=skus, seed=seed), lines_max=12), seed=seed)
    assert counts["till orders"] + counts["web orders"] > 0
    assert settling.breaches(pair.merchant) == []
    level = InventoryLevel.objects.order_by("pk").first()
    InventoryLevel.objects.filter(pk=level.pk).update(available=level.available + 1)
    cell = ChannelStock.objects.filter(connection=pair.till).order_by("pk").first()
    ChannelStock.objects.filter(pk=cell.pk).update(expected=cell.expected - 1)
    found = settling.breaches(pair.merchant)
    assert len(found) == 2
    assert found[0].startswith("Square till")
    assert found[1].startswith("Web shop")


def test_a_dirty_trace_is_read_as_far_as_it_makes_sense_and_the_rest_is_counted_by_reason(tmp_path):
    path = write_trace(
        tmp_path / "trace.csv",
        [
            ("1", "20000", "2", "7"),
            ("1", " 20000", "3", "7"),
            ("1", "POST", "1", "7"),
            ("2", "20000A", "-40", ""),
            ("3", "20000a", "many", "8"),
            ("3", "20000a", "0", "8"),
            ("4", "77777", "1", "8"),
            ("C5", "20000", "-4", "7"),
            ("C5", "20000", "1", "7"),
        ],
    )
    left_out = Counter()
    known = frozenset({"20000", identifiers.sku_key("20000a")})
    found = list(trace.invoices(trace.rows(path), known=known, left_out=left_out))
    assert [(invoice.number, dict(invoice.units), invoice.is_return) for invoice in found] == [
        ("1", {"20000": 5}, False),
        ("C5", {"20000": 4}, True),
    ]
    assert left_out == {
        "not goods (postage, fees, samples)": 1,
        "written off, not sold": 1,
        "no readable quantity": 1,
        "quantity 0": 1,
        "goods that are not on both channels": 1,
        "units sold on a return": 1,
    }


def test_what_comes_back_goes_to_the_customers_own_purchase_first_and_no_unit_comes_back_twice():
    tally = Tally()
    planner = Planner(seed=1, tally=tally)
    at = made_up.OPENS
    for number, customer, units in (("1", "anna", 2), ("2", "ben", 3)):
        planner.steps(trace.Invoice(number, at, customer, {"A": units}))
    back = planner.steps(trace.Invoice("C3", at, "anna", {"A": 4}, is_return=True))
    assert [step for _, step in back] == [TakeBack("C3", "1", {"A": 2}), TakeBack("C3", "2", {"A": 2})]
    assert [channel for channel, _ in back] == [planner.channel("1"), planner.channel("2")]
    planner.steps(trace.Invoice("C4", at, "", {"A": 2}, is_return=True))
    assert tally.read()["units brought back without a sale"] == 1


def test_an_invoice_too_long_for_one_order_becomes_several_and_loses_no_line():
    units = {f"SKU{n}": n + 1 for n in range(BASKET_MAX * 2 + 3)}
    steps = Planner(seed=1, tally=Tally()).steps(trace.Invoice("9", made_up.OPENS, "anna", units))
    assert [step.number for _, step in steps] == ["9", "9-2", "9-3"]
    assert {sku: count for _, step in steps for sku, count in step.units.items()} == units


def test_made_up_customers_are_the_same_for_the_same_seed_and_use_both_channels():
    def some(seed):
        return list(first_lines(made_up.customers(skus=["A", "B", "C"], seed=seed), lines_max=200))

    assert some(3) == some(3)
    assert some(3) != some(4)
    planner = Planner(seed=3, tally=Tally())
    assert {name for invoice in some(3) for name, _ in planner.steps(invoice)} == {TILL, WEB}
