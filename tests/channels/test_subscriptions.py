"""Webhooks that a channel has dropped are found within the hour and subscribed anew; for every channel there is."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.db.models import F
from django.utils import timezone

from channels import connections, dispatcher, inbox, polling, registry, subscriptions
from channels.models import ChannelLocation, Connection, ConnectionWork, Incident, Listing, SubscriptionRepair
from channels.sandbox.lightspeed import models as lightspeed
from channels.sandbox.models import Fault
from channels.sandbox.shopify import models as shopify
from channels.sandbox.square import models as square
from channels.sandbox.woocommerce import models as woocommerce
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

# What each channel keeps of our webhooks, and the ways in which they stop there.
KEPT = {
    "lightspeed": lightspeed.Webhook,
    "shopify": shopify.WebhookSubscription,
    "square": square.Subscription,
    "woocommerce": woocommerce.Webhook,
}
SWITCHED_OFF = {
    "lightspeed": {"is_active": False},
    "square": {"enabled": False},
    "woocommerce": {"status": "disabled"},
}
MOVED = {"lightspeed": "url", "shopify": "uri", "square": "notification_url", "woocommerce": "delivery_url"}
# What the stand-in's faults call the request that makes a webhook or wakes it.
REPAIRING = {
    "lightspeed": "webhooks.create",
    "shopify": "webhookSubscriptionCreate",
    "square": "webhooks.subscriptions.create",
    "woocommerce": "webhooks.create",
}


@pytest.fixture(params=sorted(name for name in registry.CHANNELS if registry.capabilities(name).topics))
def connection(request, live_server, settings):
    """A live connection to a fresh shop at the stand-in, its webhooks subscribed."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    adapter = import_module(f"tests.contract.adapters.{request.param}").ADAPTER
    account = adapter.open_shop(server_url=live_server.url, webhook_url="").account
    made = connections.open_connection(
        merchant=factories.MerchantFactory(), channel=request.param, label="Channel", account_id=account.account_id,
        base_url=account.base_url, secrets=account.credentials, actor=None,
    )  # fmt: skip
    Connection.objects.filter(pk=made.pk).update(state="live", approved_at=timezone.now(), polled_at=timezone.now())
    connections.subscribe(made)
    made.refresh_from_db()
    return made


def kept(connection):
    return KEPT[connection.channel].objects.all()


def check(connection):
    return subscriptions.check(connection_id=connection.pk)


def test_every_channel_of_a_vendor_is_played_here():
    assert set(KEPT) == {name for name in registry.CHANNELS if registry.capabilities(name).topics}


def test_what_is_as_it_should_be_is_seen_and_left_alone(connection):
    before = list(kept(connection).order_by("pk").values())
    assert check(connection) == []
    assert list(kept(connection).order_by("pk").values()) == before
    connection.refresh_from_db()
    assert timezone.now() - connection.subscriptions_checked_at < timedelta(minutes=1)
    assert connection.subscriptions_due_at - connection.subscriptions_checked_at == subscriptions.EVERY
    assert connection.api_version in ("", registry.capabilities(connection.channel).api_version)
    assert connection.polled_at is not None
    assert not SubscriptionRepair.objects.exists()


def test_deleted_ones_are_made_anew_and_what_was_missed_is_read_at_once(connection):
    kept(connection).delete()
    missing = check(connection)
    assert set(missing) == registry.capabilities(connection.channel).topics
    (repair,) = SubscriptionRepair.objects.all()
    assert (repair.topics, repair.error, repair.repaired_at is None) == (list(missing), "", False)
    assert check(connection) == []
    connection.refresh_from_db()
    assert connection.polled_at is None
    assert not Incident.objects.exists()


@pytest.mark.parametrize("connection", sorted(SWITCHED_OFF), indirect=True)
def test_one_that_was_switched_off_there_is_switched_on_again(connection):
    one = kept(connection).order_by("pk").first()
    type(one).objects.filter(pk=one.pk).update(**SWITCHED_OFF[connection.channel])
    missing = check(connection)
    assert missing
    assert not kept(connection).filter(**SWITCHED_OFF[connection.channel]).exists()
    assert check(connection) == []
    assert SubscriptionRepair.objects.get().topics == list(missing)


def test_one_that_points_elsewhere_does_not_count(connection):
    one = kept(connection).order_by("pk").first()
    type(one).objects.filter(pk=one.pk).update(**{MOVED[connection.channel]: "https://elsewhere.example/hooks"})
    assert check(connection)
    assert check(connection) == []


@pytest.fixture(params=sorted(registry.CHANNELS))
def untold(request, live_server, settings):
    """A live connection of any channel, its catalog read, where no message comes; its adapter, and the shop there."""
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    adapter = import_module(f"tests.contract.adapters.{request.param}").ADAPTER
    there = adapter.open_shop(server_url=live_server.url, webhook_url="")
    made = connections.open_connection(
        merchant=factories.MerchantFactory(), channel=request.param, label="Channel",
        account_id=there.account.account_id, base_url=there.account.base_url, secrets=there.account.credentials,
        actor=None,
    )  # fmt: skip
    now = timezone.now()
    Connection.objects.filter(pk=made.pk).update(state="live", approved_at=now, opened_at=now)
    made.refresh_from_db()
    if registry.capabilities(made.channel).topics:
        connections.subscribe(made)
    connections.refresh_locations(made)
    connections.import_catalog(made)
    return made, adapter, there


def forget_the_places(connection):
    """As if they had been opened while nobody told us."""
    ChannelLocation.objects.filter(connection=connection).update(is_active=False)


def test_places_and_goods_that_changed_while_no_message_came_are_read_with_each_look(untold):
    connection, adapter, there = untold
    adapter.rename(shop=there, variant=there.variants[0], sku="NEW-SKU")
    forget_the_places(connection)
    assert not check(connection)
    inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=30))
    assert Listing.objects.filter(connection=connection, sku="NEW-SKU").count() == 1
    assert not ChannelLocation.objects.filter(connection=connection, is_active=False).exists()
    connection.refresh_from_db()
    due_in = connection.subscriptions_due_at - timezone.now()
    has_topics = bool(registry.capabilities(connection.channel).topics)
    assert due_in <= (subscriptions.EVERY if has_topics else subscriptions.EVERY_UNTOLD)


def test_control_polling_reads_neither_places_nor_goods(untold):
    connection, adapter, there = untold
    adapter.rename(shop=there, variant=there.variants[0], sku="NEW-SKU")
    forget_the_places(connection)
    polling.poll(connection_id=connection.pk)
    inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=30))
    assert not Listing.objects.filter(connection=connection, sku="NEW-SKU").exists()
    assert not ChannelLocation.objects.filter(connection=connection, is_active=True).exists()


def test_who_lets_us_in_again_is_asked_what_changed_meanwhile(untold):
    connection, adapter, there = untold
    adapter.rename(shop=there, variant=there.variants[0], sku="NEW-SKU")
    forget_the_places(connection)
    connections.reconnect(connection=connection, secrets=there.account.credentials, actor=None)
    inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=30))
    assert Listing.objects.filter(connection=connection, sku="NEW-SKU").count() == 1
    assert not ChannelLocation.objects.filter(connection=connection, is_active=False).exists()


def test_control_without_the_check_nothing_comes_back(connection):
    """Polling goes well and does not notice: what the channel dropped stays dropped."""
    kept(connection).delete()
    polling.poll(connection_id=connection.pk)
    connection.refresh_from_db()
    assert connection.failures == 0
    assert not kept(connection).exists()
    assert not SubscriptionRepair.objects.exists()


def test_where_repair_fails_an_incident_says_so_until_it_succeeds(connection):
    kept(connection).delete()
    Fault.objects.create(
        vendor=connection.channel, operation=REPAIRING[connection.channel], kind="server_error", remaining=2
    )
    assert check(connection)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.resolved_at, incident.times) == ("webhooks", None, 1)
    assert "stopped telling us" in incident.title
    check(connection)
    assert Incident.objects.get().times == 2
    (repair,) = SubscriptionRepair.objects.all()
    assert repair.error
    assert repair.repaired_at is None
    connection.refresh_from_db()
    assert connection.subscriptions_due_at - timezone.now() < subscriptions.AGAIN_AFTER
    assert connection.state == "live"
    check(connection)
    assert Incident.objects.get().quiet_at is not None, "it may be disabled again: closed once that lasts"
    assert SubscriptionRepair.objects.get().repaired_at is not None
    assert check(connection) == []


@pytest.mark.parametrize("connection", ["square"], indirect=True)
def test_the_dispatcher_finds_it_due_once_an_hour_where_numbers_are_told(connection):
    def is_due():
        ConnectionWork.objects.update(leased_until=timezone.now())
        return "webhooks" in {work.kind for work in dispatcher.take_due() if work.connection_id == connection.pk}

    assert not is_due()  # connecting has just subscribed them
    Connection.objects.update(subscriptions_due_at=timezone.now())
    assert is_due()
    check(connection)
    assert not is_due()
    Connection.objects.update(subscriptions_due_at=F("subscriptions_due_at") - subscriptions.EVERY)
    assert is_due()
    Connection.objects.update(state="reconnect")
    assert not is_due()
    Connection.objects.update(state="paused", approved_at=None)
    assert not is_due()


def test_the_own_site_has_no_webhooks_to_look_at():
    site = factories.ConnectionFactory(channel="own", is_live=True)
    assert check(site) == ()
    site.refresh_from_db()
    assert site.subscriptions_checked_at is None
    assert site.subscriptions_due_at > timezone.now()
