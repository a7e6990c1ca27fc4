"""`manage.py connect`: a shop's channel comes in from the command line; its secrets are tried before they are kept."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from channels import approvals, connections, credentials
from channels.models import Connection
from channels.sandbox import bringup
from inventory.models import Location, StockLevel, Variant
from tests import factories
from tests.channels import shops

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


@pytest.fixture
def owner(sandbox):
    return factories.MembershipFactory()


@pytest.fixture
def account(owner):
    """A Square account with goods that nobody connected here yet, and its secrets."""
    stranger = shops.till()
    return shops.square_account(stranger), credentials.load(stranger)


@pytest.fixture
def typed(monkeypatch):
    return lambda secrets: monkeypatch.setattr("sys.stdin", io.StringIO(secrets))


def connect(*words):
    out = io.StringIO()
    call_command("connect", *words, stdout=out)
    return out.getvalue()


def opening(owner, account):
    return (
        "open", "--shop", owner.merchant.slug, "--channel", "square", "--account-id", account.merchant_id,
        "--base-url", bringup.till_url(), "--as", owner.user.email,
    )  # fmt: skip


def test_a_channel_is_opened_read_mapped_and_taken_over(owner, account, typed):
    square, secrets = account
    typed(json.dumps(secrets))
    said = connect(*opening(owner, square))
    assert "2 places, 3 listings, 0 linked" in said
    connection = Connection.objects.of(owner.merchant).get()
    assert connection.state == Connection.State.PAUSED
    assert credentials.load(connection)["signature_key"], "webhooks are subscribed"
    with pytest.raises(CommandError, match="belong nowhere"):
        connect("read", str(connection.pk), "--adopt-counts", "--as", owner.user.email)
    for place in connection.locations.order_by("pk"):
        location = Location.objects.create(merchant=owner.merchant, name=place.name)
        connections.map_location(channel_location=place, location=location, actor=owner.user)
    said = connect("read", str(connection.pk), "--adopt-catalog", "--adopt-counts", "--as", owner.user.email)
    assert "3 variants made" in said
    assert "6 cells opened" in said
    assert "6 numbers read" in said
    assert Variant.objects.of(owner.merchant).count() == 3
    assert set(StockLevel.objects.of(owner.merchant).values_list("on_hand", flat=True)) == {10}
    assert approvals.preview(connection=connection) == [], "it shows what we have"


def test_secrets_that_let_nobody_in_are_not_kept(owner, account, typed):
    typed('{"access_token": "made up"}')
    with pytest.raises(CommandError, match="said no"):
        connect(*opening(owner, account[0]))
    assert not Connection.objects.of(owner.merchant).exists()


@pytest.mark.parametrize("secrets", ["", "access_token=x", "[]", "{}"])
def test_what_is_no_json_object_is_said_so(owner, account, typed, secrets):
    typed(secrets)
    with pytest.raises(CommandError, match="JSON"):
        connect(*opening(owner, account[0]))


def test_an_account_is_connected_once(owner, account, typed):
    square, secrets = account
    typed(json.dumps(secrets))
    connect(*opening(owner, square))
    with pytest.raises(CommandError, match="connected already"):
        connect(*opening(owner, square))
