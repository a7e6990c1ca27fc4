"""Public disasters with orders (docs/faults.md): each is shown on the naive path first, then here."""

from datetime import timedelta
from decimal import Decimal

import pytest

from channels import applying, incidents
from channels.models import Incident
from channels.ports import ChannelOrder, ChannelOrderLine, LineHold
from inventory import ledger, reservations, verify
from inventory.models import StockLevel, StockMovement
from tests import factories
from tests.inventory.test_orders import NOON, Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return Shop()


def test_1_two_lines_of_one_order_are_judged_against_one_shelf(shop):
    """medusajs/medusa#16502, vendurehq/vendure#2702."""
    wanted = [Decimal(6), Decimal(6)]
    on_shelf = StockLevel.objects.get(location=shop.here).available
    assert all(units <= on_shelf for units in wanted), "control: each line alone is covered"
    wants = [reservations.Want(shop.variant.pk, shop.here.pk, units) for units in wanted]
    with pytest.raises(ledger.InsufficientStock):
        reservations.reserve(
            merchant_id=shop.merchant.pk, key="cart", wants=wants, now=NOON, expires_at=NOON + timedelta(minutes=5)
        )
    assert StockLevel.objects.get(location=shop.here).reserved == 0


def naive_restock(events):
    """Every event that speaks of units coming back puts them back."""
    return 10 - 2 + sum(units for _, units in events)


def test_13_cancel_and_refund_of_one_order_put_its_units_back_once(shop):
    """PrestaShop/PrestaShop#35460, woocommerce/woocommerce#22489: 100 became 101."""
    assert naive_restock([("cancel", 2), ("refund", 2)]) == 12, "control: each event restocks"
    shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    cancelled = shop.state(shop.line(quantity=2), version=2, is_cancelled=True)
    refunded = shop.state(shop.line(quantity=0), version=3, is_cancelled=True)
    for state in (cancelled, refunded, cancelled, refunded):
        shop.apply(state)
    assert shop.level(shop.here) == (10, 0)
    sold = shop.state(shop.line(shop.hold(shop.there, fulfilled=2)), name="O2")
    part = shop.state(
        shop.line(shop.hold(shop.there, fulfilled=2)), name="O2", version=2, returns=[shop.back(1, where=shop.there)]
    )
    whole = shop.state(
        shop.line(shop.hold(shop.there, fulfilled=2)), name="O2", version=3, returns=[shop.back(2, where=shop.there)]
    )
    for state in (sold, part, whole, part, whole):
        shop.apply(state)
    assert shop.level(shop.there) == (10, 0)
    assert not verify.verify().breaches


def test_14_a_promise_that_moved_comes_back_where_it_was_last(shop):
    """fahadmahmood8/stock-locations-for-woocommerce#162: restored to both places."""
    shop.apply(shop.state(shop.line(shop.hold(shop.here, committed=2))))
    shop.apply(shop.state(shop.line(shop.hold(shop.there, committed=2)), version=2))
    touched = {shop.here.pk, shop.there.pk}
    assert 20 - 2 + 2 * len(touched) == 22, "control: restoring at every place the order touched makes two units"
    shop.apply(shop.state(shop.line(quantity=2), version=3, is_cancelled=True))
    assert (shop.level(shop.here), shop.level(shop.there)) == ((10, 0), (10, 0))


def test_15_an_order_not_routed_yet_is_held_where_the_goods_are():
    """medusajs/medusa#10658: always the first location."""
    cell = factories.ChannelStockFactory(connection__is_live=True)
    connection, variant, first = cell.connection, cell.listing.variant, cell.channel_location
    second = factories.ChannelLocationFactory(connection=connection)
    ledger_entry = ledger.Entry(
        variant.pk, second.location_id, ledger.Kind.RECEIVE, "in", NOON, on_hand=Decimal(4)
    )  # fmt: skip
    ledger.post(merchant_id=connection.merchant_id, source="test", entries=[ledger_entry])
    line = ChannelOrderLine("1", cell.listing.external_id, "", "", Decimal(3), [LineHold("", committed=Decimal(3))])
    order = ChannelOrder("O", "O", NOON, NOON, 1, False, [line])
    applying.apply_orders(connection=connection, found=applying.Found([order]))
    held = dict(StockLevel.objects.filter(variant=variant).values_list("location_id", "committed"))
    assert held == {second.location_id: 3}
    assert first.location_id != second.location_id, "control: the first place has none and would be 3 short"


def test_21_a_fact_older_than_the_count_does_not_rewrite_it(shop):
    """frappe/erpnext#54640: reposting history took stock from 1 to 43."""

    def entry(key, *, at, **changes):
        return ledger.Entry(shop.variant.pk, shop.here.pk, changes.pop("kind"), key, at, **changes)

    count = entry("count", kind="count", at=NOON, counted=Decimal(1))
    late = entry("late", kind="receive", at=NOON - timedelta(hours=2), on_hand=Decimal(42))
    assert count.counted + late.on_hand == 43, "control: added in order of arrival"
    for one in (count, late):
        ledger.post(merchant_id=shop.merchant.pk, source="test", entries=[one])
    assert shop.level(shop.here)[0] == 1
    row = StockMovement.objects.get(idempotency_key="late")
    assert (row.on_hand, row.absorbed, row.on_hand_after) == (0, 42, 1)


@pytest.mark.parametrize(("sales", "left"), [(1, -1), (30, -30)])
def test_22_24_what_a_till_sells_at_zero_is_a_row_a_question_and_never_silence(shop, sales, left):
    """Linnworks help 7000034390 (no history row at zero); tills never block: one sale at zero, or 30 at once."""
    ledger.post(
        merchant_id=shop.merchant.pk, source="test",
        entries=[ledger.Entry(shop.variant.pk, shop.here.pk, "count", "zero", NOON, counted=Decimal(0))],
    )  # fmt: skip
    assert max(0, 0 - sales) == 0, "control: clamped, the sales leave no trace"
    for n in range(sales):
        hold = shop.hold(shop.here, fulfilled=1)
        shop.apply(shop.state(shop.line(hold, quantity=1), name=f"S{n}", version=n + 10))
    assert shop.level(shop.here)[0] == left
    assert StockMovement.objects.filter(location_id=shop.here.pk, order__isnull=False).count() >= sales
    incidents.sweep_oversold()
    assert Incident.objects.standing().filter(kind=Incident.Kind.OVERSOLD).count() == 1
