"""What every connector must do alike, whatever its vendor. A new channel brings an adapter."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from channels import registry
from channels.ports import (
    Account,
    BackLine,
    CancelOrder,
    ChannelOrder,
    Connector,
    ConnectorError,
    CountWrite,
    EditOrder,
    GiveBack,
    HintKind,
    LineChange,
    LineMove,
    MoveUnits,
    OrderActionKind,
    RemoteListing,
    StockChange,
    WriteMode,
    WriteOutcome,
)
from channels.sandbox.models import Delivery, Fault
from tests.contract.adapters import SKUS, STOCK_AT_START, Adapter, Shop

pytestmark = pytest.mark.django_db(transaction=True)

PAGES_MAX = 50
# The others answer with no word on their rate limit: we count our calls.
TELL_THEIR_LIMIT = {"lightspeed", "rseries", "shopify"}
ONE, TWO, THREE = Decimal(1), Decimal(2), Decimal(3)


def catalog(connector: Connector, *, since: datetime | None = None) -> tuple[list[RemoteListing], datetime | None]:
    """All listings and the watermark of the last page."""
    listings: list[RemoteListing] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        page = connector.page_catalog(cursor=cursor, since=since)
        listings.extend(page.listings)
        cursor = page.next_cursor
        if not cursor:
            return listings, page.read_until
    raise AssertionError("the catalog never ends")


def changed_orders(connector: Connector, shop: Shop, *, since: datetime) -> tuple[list[str], datetime | None]:
    ids: list[str] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        page = connector.fetch_orders_since(since=since, cursor=cursor, location_ids=shop.location_ids)
        ids.extend(ref.external_id for ref in page.orders)
        cursor = page.next_cursor
        if not cursor:
            return ids, page.read_until
    raise AssertionError("the orders never end")


def stock_changes(connector: Connector, shop: Shop, *, since: datetime) -> list[StockChange]:
    changes: list[StockChange] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        page = connector.fetch_stock_changes_since(since=since, cursor=cursor, location_ids=shop.location_ids)
        changes.extend(page.changes)
        cursor = page.next_cursor
        if not cursor:
            return changes
    raise AssertionError("the changes never end")


def the_order(connector: Connector, order_id: str) -> ChannelOrder:
    (order,) = connector.fetch_orders(order_ids=[order_id])
    return order


def held(order: ChannelOrder, shop: Shop, location_id: str) -> tuple[Decimal, Decimal]:
    """Committed and fulfilled at a location; an order's unrouted holds count for every location."""
    holds = [hold for line in order.lines for hold in line.holds if hold.location_id in (location_id, "")]
    return (
        sum((hold.committed for hold in holds), Decimal(0)),
        sum((hold.fulfilled for hold in holds), Decimal(0)),
    )


def write(shop: Shop, index: int, *, place: int = 0, before: Decimal, after: Decimal, mark: int = 0) -> CountWrite:
    return CountWrite(
        inventory_id=shop.variants[index].inventory_id,
        location_id=shop.location_ids[place],
        from_quantity=before,
        to_quantity=after,
        mark=mark,
    )


def a_while_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=5)


# --- places and catalog ---------------------------------------------------------------------------


def test_the_locations_are_named_and_active(connector: Connector, shop: Shop) -> None:
    locations = connector.list_locations()

    assert {place.external_id for place in locations if place.is_active} == set(shop.location_ids)
    assert all(place.name for place in locations)


def test_the_whole_catalog_is_read_with_what_links_and_counts_it(connector: Connector, shop: Shop) -> None:
    listings, read_until = catalog(connector)

    by_sku = {listing.sku: listing for listing in listings}
    assert sorted(by_sku) == sorted(SKUS)
    assert len(listings) == len(SKUS)
    for variant in shop.variants:
        listing = by_sku[variant.sku]
        assert (listing.external_id, listing.inventory_id) == (variant.listing_id, variant.inventory_id)
        assert listing.product_external_id == variant.product_id
        assert listing.product_title
        assert listing.is_tracked
        assert not listing.is_deleted
        assert listing.price is not None
        assert listing.price > 0
    assert read_until is not None
    assert read_until.tzinfo is not None


def test_what_changed_in_the_catalog_since_the_watermark_is_read_and_no_change_is_lost(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    _, read_until = catalog(connector)
    assert read_until is not None
    adapter.rename(shop=shop, variant=shop.variants[1], sku="CONTRACT-2-NEW")

    listings, _ = catalog(connector, since=read_until)

    assert "CONTRACT-2-NEW" in {listing.sku for listing in listings}


def test_a_deleted_variant_is_told_as_deleted(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    _, read_until = catalog(connector)
    assert read_until is not None
    adapter.remove(shop=shop, variant=shop.variants[2])

    changed, _ = catalog(connector, since=read_until)
    everything, _ = catalog(connector)

    if connector.capabilities.tells_deletions:
        gone = {listing.external_id for listing in changed if listing.is_deleted}
        assert shop.variants[2].listing_id in gone
    assert shop.variants[2].listing_id not in {listing.external_id for listing in everything}


# --- counts ---------------------------------------------------------------------------------------


def test_counts_are_read_for_every_pair_asked_for(connector: Connector, shop: Shop) -> None:
    ids = [variant.inventory_id for variant in shop.variants]

    counts = connector.read_counts(inventory_ids=ids, location_ids=shop.location_ids)

    assert {(count.inventory_id, count.location_id): count.quantity for count in counts} == {
        (inventory_id, place): STOCK_AT_START for inventory_id in ids for place in shop.location_ids
    }


def test_a_count_nobody_knows_is_missing_and_not_zero(connector: Connector, shop: Shop) -> None:
    real = shop.variants[0].inventory_id
    strange = real[:-4] + ("9999" if not real.endswith("9999") else "8888")

    counts = connector.read_counts(inventory_ids=[strange], location_ids=shop.location_ids)

    assert list(counts) == []


def test_nothing_asked_for_is_nothing_read(connector: Connector, shop: Shop) -> None:
    """Control for a filter left out: a vendor would answer with everything."""
    assert list(connector.read_counts(inventory_ids=[], location_ids=shop.location_ids)) == []


def test_rises_and_falls_are_written_in_one_batch(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    writes = [
        write(shop, 0, before=STOCK_AT_START, after=Decimal(7)),
        write(shop, 1, place=-1, before=STOCK_AT_START, after=Decimal(12)),
    ]

    results = connector.write_counts(writes=writes, idempotency_key="batch-1", now=datetime.now(UTC))

    assert [result.outcome for result in results] == [WriteOutcome.APPLIED, WriteOutcome.APPLIED]
    first, second = shop.variants[0], shop.variants[1]
    assert adapter.shown(shop=shop, variant=first, location_id=shop.location_ids[0]) == 7
    for elsewhere in shop.location_ids[1:]:
        assert adapter.shown(shop=shop, variant=first, location_id=elsewhere) == STOCK_AT_START
    assert adapter.shown(shop=shop, variant=second, location_id=shop.location_ids[-1]) == 12


def test_the_same_write_again_has_no_further_effect(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    writes = [write(shop, 0, before=STOCK_AT_START, after=Decimal(7))]
    now = datetime.now(UTC)
    connector.write_counts(writes=writes, idempotency_key="again-1", now=now)

    connector.write_counts(writes=writes, idempotency_key="again-1", now=now)
    connector.write_counts(writes=writes, idempotency_key="again-1", now=now + timedelta(seconds=1))

    assert adapter.shown(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0]) == 7


def test_another_key_is_another_write(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    """Control: the key keeps the repeat from counting, or where there is none the mark of the write before."""
    now, mark = datetime.now(UTC), 0
    for key, before, after in (("one", STOCK_AT_START, Decimal(9)), ("two", Decimal(9), Decimal(8))):
        writes = [write(shop, 0, before=before, after=after, mark=mark)]
        (result,) = connector.write_counts(writes=writes, idempotency_key=key, now=now)
        assert result.outcome is WriteOutcome.APPLIED
        mark = result.mark

    assert adapter.shown(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0]) == 8


def test_a_sale_between_reading_and_writing_is_not_overwritten(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    place = shop.location_ids[0]
    adapter.sell(shop=shop, variant=shop.variants[0], location_id=place, quantity=ONE)

    (result,) = connector.write_counts(
        writes=[write(shop, 0, before=STOCK_AT_START, after=Decimal(7))],
        idempotency_key="race-1",
        now=datetime.now(UTC),
    )

    shown = adapter.shown(shop=shop, variant=shop.variants[0], location_id=place)
    if connector.capabilities.write_mode is WriteMode.RELATIVE:
        assert result.outcome is WriteOutcome.APPLIED
        assert shown == STOCK_AT_START - ONE - THREE
    else:
        assert result.outcome is WriteOutcome.STALE
        assert shown == STOCK_AT_START - ONE


def test_a_write_whose_answer_is_lost_can_be_repeated(
    channel: str, connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    operation = adapter.count_write_operation
    Fault.objects.create(vendor=channel, kind=Fault.Kind.TIMEOUT_AFTER, operation=operation, remaining=1)
    writes = [write(shop, 0, before=STOCK_AT_START, after=Decimal(7))]
    now = datetime.now(UTC)

    with pytest.raises(ConnectorError) as lost:
        connector.write_counts(writes=writes, idempotency_key="lost-1", now=now)
    connector.write_counts(writes=writes, idempotency_key="lost-1", now=now)

    assert lost.value.is_outcome_unknown
    assert not lost.value.permanent
    assert adapter.shown(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0]) == 7


def test_a_line_that_can_never_be_written_is_named(connector: Connector, shop: Shop) -> None:
    good = write(shop, 0, before=STOCK_AT_START, after=Decimal(9))
    strange = dataclasses.replace(good, inventory_id=good.inventory_id[:-4] + "9999")

    def refused() -> set[int]:
        """Told line by line, or by an error about the whole batch."""
        try:
            results = connector.write_counts(writes=[good, strange], idempotency_key="bad-1", now=datetime.now(UTC))
        except ConnectorError as error:
            return set(error.lines) if error.permanent else set()
        return {n for n, result in enumerate(results) if result.outcome is WriteOutcome.REFUSED}

    assert refused() == {1}


# --- orders ---------------------------------------------------------------------------------------


def test_a_sale_is_found_in_the_feed_and_has_left_its_location(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    place = shop.location_ids[-1]
    order_id = adapter.sell(shop=shop, variant=shop.variants[0], location_id=place, quantity=TWO)

    ids, read_until = changed_orders(connector, shop, since=a_while_ago())
    order = the_order(connector, order_id)

    assert order_id in ids
    assert read_until is None or read_until > a_while_ago()
    assert order.external_id == order_id
    assert not order.is_cancelled
    (line,) = order.lines
    assert line.listing_external_id == shop.variants[0].listing_id
    assert line.quantity == 2
    assert held(order, shop, place) == (0, 2)
    for elsewhere in shop.location_ids[:-1]:
        assert held(order, shop, elsewhere) == (0, 0)
    assert order.placed_at.tzinfo is not None
    assert order.total
    assert order.currency


def test_an_order_from_before_the_watermark_is_not_in_the_feed(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    """Control: the feed really filters."""
    adapter.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=ONE)

    ids, _ = changed_orders(connector, shop, since=datetime.now(UTC) + timedelta(minutes=1))

    assert ids == []


def test_an_order_placed_ahead_is_promised_and_not_gone(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    place = shop.location_ids[0]
    order_id = adapter.order_ahead(shop=shop, variant=shop.variants[1], location_id=place, quantity=TWO)

    order = the_order(connector, order_id)

    assert held(order, shop, place) == (2, 0)


def test_a_cancelled_order_holds_nothing(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    place = shop.location_ids[0]
    order_id = adapter.order_ahead(shop=shop, variant=shop.variants[1], location_id=place, quantity=TWO)
    before = the_order(connector, order_id)
    adapter.cancel(shop=shop, order_id=order_id)

    after = the_order(connector, order_id)

    assert sum(hold.committed for line in after.lines for hold in line.holds) == 0
    assert (after.version, after.updated_at) > (before.version, before.updated_at)


def test_what_is_asked_of_an_order_is_done_once_or_refused_in_words(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    """Asked anew with another key and first, then as the repeat of a lost answer: what an order holds changes once."""
    place, other = shop.location_ids[0], shop.location_ids[-1]
    can = connector.capabilities
    assert set(can.by_hand) | set(can.order_actions) >= set(OrderActionKind)
    name = adapter.order_ahead(shop=shop, variant=shop.variants[0], location_id=place, quantity=Decimal(3))
    (line,) = the_order(connector, name).lines
    change = LineChange(line.external_id, Decimal(3), Decimal(2), place)
    move = MoveUnits(name, place, other, [LineMove(line.external_id, Decimal(1))])
    back = [BackLine(line.external_id, ONE, has_left=False, location_id=place)]
    actions = [EditOrder(name, [change]), move, GiveBack(name, back, Decimal(0)), CancelOrder(name)]
    for action in actions:
        if action.kind not in can.order_actions:
            continue
        before = the_order(connector, name)
        if isinstance(action, GiveBack):
            quote = connector.quote_refund(order_id=name, lines=back)
            assert (quote.most or 0) >= (quote.amount or 0) >= 0
        first = connector.act_on_order(action=action, idempotency_key="first", is_first=True, now=datetime.now(UTC))
        after = the_order(connector, name)
        again = connector.act_on_order(action=action, idempotency_key="first", is_first=False, now=datetime.now(UTC))
        assert the_order(connector, name).lines == after.lines
        if first.outcome == WriteOutcome.REFUSED:
            assert first.message
            assert after.lines == before.lines
        else:
            assert (first.outcome, again.outcome) == (WriteOutcome.APPLIED, WriteOutcome.APPLIED)
            assert (after.lines, after.is_cancelled) != (before.lines, before.is_cancelled)


def test_what_came_back_is_told_once_with_the_line_it_belongs_to(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    """Whether the order says "restocked" or the history does, the shelf gets the units exactly once."""
    place, variant = shop.location_ids[0], shop.variants[0]
    order_id = adapter.sell(shop=shop, variant=variant, location_id=place, quantity=THREE)
    document_id = adapter.give_back(shop=shop, order_id=order_id, variant=variant, location_id=place, quantity=TWO)

    sold = the_order(connector, order_id)
    documents = list(connector.fetch_orders(order_ids=list(dict.fromkeys([order_id, document_id]))))
    ids, _ = changed_orders(connector, shop, since=a_while_ago())

    assert document_id in ids
    returns = [line for document in documents for line in document.returns]
    assert sum(line.quantity for line in returns) == 2
    assert {line.line_external_id for line in returns} == {sold.lines[0].external_id}
    if document_id != order_id:
        (document,) = [document for document in documents if document.external_id == document_id]
        assert document.return_of == order_id
        assert list(document.lines) == []
    restocked = sum((line.quantity for line in returns if line.restocked), Decimal(0))
    if connector.capabilities.has_change_feed:
        restocked += sum(
            change.delta for change in stock_changes(connector, shop, since=a_while_ago()) if "return" in change.cause
        )
    assert restocked == 2
    assert adapter.shown(shop=shop, variant=variant, location_id=place) == STOCK_AT_START - ONE


def test_an_order_nobody_knows_is_missing_from_the_answer(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    known = adapter.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=ONE)
    unknown = known[:-4] + ("9999" if not known.endswith("9999") else "8888")

    orders = connector.fetch_orders(order_ids=[unknown, known])

    assert [order.external_id for order in orders] == [known]


# --- changes of stock -----------------------------------------------------------------------------


def test_the_change_feed_tells_the_merchants_edits_and_neither_ours_nor_sales(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    if not connector.capabilities.has_change_feed:
        pytest.skip("this channel tells no causes of stock changes")
    since = datetime.now(UTC)
    place, variant = shop.location_ids[0], shop.variants[0]
    adapter.sell(shop=shop, variant=variant, location_id=place, quantity=ONE)
    connector.write_counts(
        writes=[write(shop, 1, before=STOCK_AT_START, after=Decimal(4))],
        idempotency_key="ours-1",
        now=datetime.now(UTC),
    )
    adapter.edit_stock(shop=shop, variant=variant, location_id=place, delta=Decimal(5))
    adapter.edit_stock(shop=shop, variant=variant, location_id=place, delta=Decimal(-2))

    changes = stock_changes(connector, shop, since=since)
    again = stock_changes(connector, shop, since=since)

    assert sorted(change.delta for change in changes) == [-2, 5]
    assert {(change.inventory_id, change.location_id) for change in changes} == {(variant.inventory_id, place)}
    assert all(change.cause for change in changes)
    assert len({change.external_id for change in changes}) == 2
    assert [change.external_id for change in again] == [change.external_id for change in changes]


# --- webhooks -------------------------------------------------------------------------------------


@pytest.fixture
def sends_webhooks(connector: Connector) -> None:
    """A channel that declares no topics sends none, and is read instead."""
    if not connector.capabilities.topics:
        pytest.skip("this channel sends no webhooks")


def test_a_channel_without_webhooks_subscribes_to_none_and_takes_none_for_its_own(
    connector: Connector, shop: Shop
) -> None:
    if connector.capabilities.topics:
        pytest.skip("this channel sends webhooks")

    assert list(connector.subscribe()) == []
    connector.unsubscribe()
    assert not connector.verify(headers={"x-signature": "signature=,algorithm=HMAC-SHA256"}, body=b"payload={}")
    assert connector.capabilities.has_change_feed
    assert connector.capabilities.poll_every_s <= 30


def subscribed(channel: str, connector: Connector, shop: Shop) -> tuple[Connector, Shop]:
    """The connector as it is once the subscription's secrets are stored."""
    secrets = {}
    for subscription in connector.subscribe():
        assert subscription.url == shop.account.webhook_url
        secrets.update(subscription.secrets)
    account = dataclasses.replace(shop.account, credentials={**shop.account.credentials, **secrets})
    return registry.connect(channel, account=account), dataclasses.replace(shop, account=account)


def deliveries() -> list[tuple[dict[str, str], bytes]]:
    return [
        ({name.lower(): value for name, value in row.headers.items()}, bytes(row.body))
        for row in Delivery.objects.order_by("pk")
    ]


@pytest.mark.usefixtures("sends_webhooks")
def test_subscribing_twice_makes_nothing_twice(connector: Connector, shop: Shop) -> None:
    first = connector.subscribe()
    second = connector.subscribe()

    assert first
    assert {entry.external_id for entry in second} == {entry.external_id for entry in first}
    assert {entry.external_id for entry in connector.subscribe(existing_only=True)} == {
        entry.external_id for entry in first
    }


@pytest.mark.usefixtures("sends_webhooks")
def test_unsubscribing_removes_ours_and_looking_makes_none(connector: Connector, shop: Shop) -> None:
    connector.subscribe()
    connector.unsubscribe()

    assert list(connector.subscribe(existing_only=True)) == []
    connector.unsubscribe()  # nothing left: no error


@pytest.mark.usefixtures("sends_webhooks")
def test_a_sale_sends_signed_webhooks_that_name_the_order(
    channel: str, connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    connector, shop = subscribed(channel, connector, shop)
    order_id = adapter.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=ONE)

    told, keys = set(), []
    for headers, body in deliveries():
        assert connector.verify(headers=headers, body=body)
        envelope = connector.identify(headers=headers, body=body)
        assert envelope.dedupe_key
        keys.append(envelope.dedupe_key)
        hint = connector.parse(topic=envelope.topic, body=body)
        assert hint.kind is not HintKind.UNKNOWN, envelope.topic
        if hint.kind is HintKind.ORDERS:
            told |= set(hint.ids)

    assert told == {order_id}
    assert len(set(keys)) == len(keys)


@pytest.mark.usefixtures("sends_webhooks")
def test_an_edit_of_stock_sends_a_webhook_that_names_what_to_count(
    channel: str, connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    connector, shop = subscribed(channel, connector, shop)
    adapter.edit_stock(shop=shop, variant=shop.variants[2], location_id=shop.location_ids[0], delta=Decimal(3))

    hints = [
        connector.parse(topic=connector.identify(headers=headers, body=body).topic, body=body)
        for headers, body in deliveries()
    ]

    stock_ids = {one for hint in hints if hint.kind is HintKind.STOCK for one in hint.ids}
    assert stock_ids == {shop.variants[2].inventory_id}


@pytest.mark.usefixtures("sends_webhooks")
def test_a_delivery_that_was_touched_on_its_way_is_refused(
    channel: str, connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    connector, shop = subscribed(channel, connector, shop)
    adapter.sell(shop=shop, variant=shop.variants[0], location_id=shop.location_ids[0], quantity=ONE)
    headers, body = deliveries()[0]

    assert connector.verify(headers=headers, body=body)  # control: untouched it is right
    assert not connector.verify(headers=headers, body=body + b" ")
    assert not connector.verify(headers=headers, body=b"")
    assert not connector.verify(headers={}, body=body)
    assert not connector.verify(headers=dict.fromkeys(headers, "é"), body=body)


# --- tokens and failures --------------------------------------------------------------------------


def test_fresh_tokens_work(channel: str, connector: Connector, shop: Shop) -> None:
    fresh = connector.refresh_auth()

    renewed = registry.connect(channel, account=dataclasses.replace(shop.account, credentials=fresh.credentials))
    assert set(shop.account.credentials) <= set(fresh.credentials)
    assert fresh.expires_at is None or fresh.expires_at > datetime.now(UTC)
    assert renewed.list_locations()


def test_a_wrong_token_asks_for_a_refresh_or_a_person_and_not_for_patience(
    channel: str, connector: Connector, shop: Shop
) -> None:
    broken = {**shop.account.credentials, connector.capabilities.secrets[0].name: "not-a-key"}
    stranger = registry.connect(channel, account=dataclasses.replace(shop.account, credentials=broken))

    with pytest.raises(ConnectorError) as refused:
        stranger.list_locations()

    assert refused.value.needs_reconnect or refused.value.code == "ACCESS_TOKEN_EXPIRED"
    assert refused.value.retry_after_s is None


def test_access_taken_away_needs_a_person(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    adapter.revoke(shop=shop)
    errors = []

    for call in (connector.list_locations, connector.refresh_auth):
        with pytest.raises(ConnectorError) as refused:
            call()
        errors.append(refused.value)

    assert errors[-1].needs_reconnect


def test_a_full_bucket_says_when_to_come_back(channel: str, connector: Connector, shop: Shop) -> None:
    Fault.objects.create(vendor=channel, kind=Fault.Kind.RATE_LIMITED, remaining=1)

    with pytest.raises(ConnectorError) as refused:
        connector.list_locations()

    assert not refused.value.permanent
    assert not refused.value.is_outcome_unknown
    assert refused.value.retry_after_s is not None
    assert connector.list_locations()  # control: the next call is served


def test_answers_are_counted_and_what_they_tell_of_the_limit_is_kept(channel: str, connector: Connector) -> None:
    connector.list_locations()
    assert connector.meter.calls >= 1
    room = connector.meter.headroom
    assert (room is not None) == (channel in TELL_THEIR_LIMIT)
    if room is not None:
        assert 0 < room.left <= room.most
        assert room.unit


def test_a_broken_server_is_tried_again_later(channel: str, connector: Connector, shop: Shop) -> None:
    Fault.objects.create(vendor=channel, kind=Fault.Kind.SERVER_ERROR, remaining=1)

    with pytest.raises(ConnectorError) as refused:
        connector.list_locations()

    assert not refused.value.permanent
    assert not refused.value.needs_reconnect


def test_a_server_that_is_not_there_is_a_passing_failure(channel: str, shop: Shop) -> None:
    nowhere: Account = dataclasses.replace(shop.account, base_url="http://127.0.0.1:9/nowhere")
    connector = registry.connect(channel, account=nowhere)
    writes = [write(shop, 0, before=STOCK_AT_START, after=Decimal(9))]

    with pytest.raises(ConnectorError) as failed:
        connector.write_counts(writes=writes, idempotency_key="nowhere", now=datetime.now(UTC))

    assert not failed.value.permanent
    assert not failed.value.is_outcome_unknown  # nothing was sent
