"""Credentials: secret at rest, renewed once however many ask, under keys that change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connections as databases
from django.db import transaction
from django.utils.timezone import now as utc_now

from channels import connections, credentials, intake
from channels.models import Connection, InboundEvent, Incident
from channels.ports import ConnectorError
from channels.sandbox.models import Fault
from channels.sandbox.square import accounts
from channels.sandbox.square.models import AccessToken, RefreshToken
from tests import factories
from tests.channels import shops

SECRETS = {"access_token": "EAAA-very-secret", "signature_key": "sig"}


def key(kid):
    return f"{kid}:{Fernet.generate_key().decode()}"


@pytest.fixture
def sandbox(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


@pytest.fixture
def till(sandbox):
    return shops.till(stock=[])


def kept(**secrets):
    """A connection with these secrets, as read from the database."""
    connection = factories.ConnectionFactory.build(merchant=factories.MerchantFactory())
    credentials.store(connection, SECRETS | secrets)
    connection.save()
    return Connection.objects.get(pk=connection.pk)


# --- at rest --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_secrets_come_back_as_they_were_and_are_not_readable_in_the_row():
    connection = kept()
    assert credentials.load(connection) == SECRETS
    assert b"EAAA" not in bytes(connection.credentials)


@pytest.mark.django_db
def test_a_row_of_a_key_that_is_gone_is_named_not_guessed(settings):
    old, new = key("old"), key("new")
    settings.CREDENTIAL_KEYS = [old]
    connection = kept()
    settings.CREDENTIAL_KEYS = [new]
    with pytest.raises(credentials.UnknownKey, match="old"):
        credentials.load(connection)


@pytest.mark.django_db
def test_a_key_of_the_right_name_and_other_bytes_opens_nothing(settings):
    settings.CREDENTIAL_KEYS = [key("k1")]
    connection = kept()
    settings.CREDENTIAL_KEYS = [key("k1")]
    with pytest.raises(credentials.UnknownKey):
        credentials.load(connection)


@pytest.mark.django_db
def test_rotating_moves_every_row_to_the_newest_key_and_twice_changes_nothing(settings):
    old, new = key("2025"), key("2026")
    settings.CREDENTIAL_KEYS = [old]
    rows = [kept(access_token=f"token-{number}") for number in range(3)]
    settings.CREDENTIAL_KEYS = [new, old]
    out = StringIO()
    call_command("rotate_credentials", stdout=out)
    assert out.getvalue().startswith("3 connections encrypted anew")
    written = dict(Connection.objects.values_list("pk", "credentials"))
    call_command("rotate_credentials", stdout=(out := StringIO()))
    assert out.getvalue().startswith("0 connections")
    assert dict(Connection.objects.values_list("pk", "credentials")) == written
    settings.CREDENTIAL_KEYS = [new]  # the old key may go
    tokens = [credentials.load(Connection.objects.get(pk=row.pk))["access_token"] for row in rows]
    assert tokens == ["token-0", "token-1", "token-2"]


@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_meets_an_unknown_key_keeps_what_it_did_and_goes_on_when_run_again(settings):
    old, lost, new = key("old"), key("lost"), key("new")
    settings.CREDENTIAL_KEYS = [old]
    first = kept()
    settings.CREDENTIAL_KEYS = [lost]
    second = kept()
    settings.CREDENTIAL_KEYS = [new, old]
    with pytest.raises(CommandError, match="“lost”"):
        call_command("rotate_credentials", stdout=StringIO())
    first.refresh_from_db()
    assert first.credentials_kid == "new"
    settings.CREDENTIAL_KEYS = [new, old, lost]
    call_command("rotate_credentials", stdout=StringIO())
    second.refresh_from_db()
    assert second.credentials_kid == "new"


# --- renewed --------------------------------------------------------------------------------------------------


def at_once(*calls):
    """Run the calls in threads; what each returned or raised."""

    def run(call):
        try:
            return call()
        except Exception as error:
            return error
        finally:
            databases.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def refreshes(refresh):
    """How often the vendor saw this single-use token or one that followed it, and how many pairs it gave for it."""
    return RefreshToken.objects.filter(account=refresh.account, is_single_use=True).exclude(used_at=None).count()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_workers_that_find_the_token_ended_make_one_refresh(till):
    refresh = shops.with_single_use_token(till)
    barrier = threading.Barrier(2)

    def work():
        barrier.wait(10)
        return credentials.with_fresh_token(till.pk, lambda connector: len(connector.list_locations()))

    assert at_once(work, work) == [2, 2]
    assert refreshes(refresh) == 1
    till.refresh_from_db()
    assert till.state == Connection.State.PAUSED
    assert not Incident.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_the_second_refresh_spends_a_spent_token_and_loses_the_shop(till):
    refresh = shops.with_single_use_token(till)
    barrier = threading.Barrier(2)

    def naive():
        connection = Connection.objects.get(pk=till.pk)
        connector = credentials.connector(connection)
        barrier.wait(10)
        return connector.refresh_auth()

    results = at_once(naive, naive)
    refused = [result for result in results if isinstance(result, ConnectorError)]
    assert [error.needs_reconnect for error in refused] == [True]
    assert refreshes(refresh) == 1


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_stored_while_a_refresh_waits_for_the_vendor(till):
    """The refresh holds the secrets, not the row that every stored event refers to."""
    inside, done = threading.Event(), threading.Event()

    def hold():
        with credentials.held(till.pk):
            inside.set()
            assert done.wait(10)

    def store():
        assert inside.wait(10)
        try:
            with transaction.atomic(), databases["default"].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
                delivery = intake.Delivery(till.merchant_id, till.pk, "order.updated", "E1", {}, b"{}", None)
                return intake.store(delivery)
        finally:
            done.set()

    assert at_once(hold, store) == [None, True]
    assert InboundEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_control_a_row_lock_would_keep_that_webhook_waiting(till):
    inside, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Connection.objects.select_for_update().get(pk=till.pk)
            inside.set()
            assert done.wait(10)

    def store():
        assert inside.wait(10)
        try:
            with transaction.atomic(), databases["default"].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '300ms'")
                return intake.store(intake.Delivery(till.merchant_id, till.pk, "order.updated", "E1", {}, b"{}", None))
        finally:
            done.set()

    assert "lock timeout" in str(at_once(hold, store)[1])


def ends_in(connection, span, *, life=None):
    """Let the stored token end that far from now, having been got `life` before its end."""
    ends = utc_now() + span
    times = {"expires_at": ends.isoformat()}
    if life:
        times["refreshed_at"] = (ends - life).isoformat()
    credentials.store(connection, credentials.load(connection) | times)
    connection.save()


def places(connection):
    return credentials.with_fresh_token(connection.pk, lambda connector: len(connector.list_locations()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("span", "life", "is_renewed"),
    [
        (timedelta(minutes=9), None, True),
        (timedelta(hours=2), None, False),
        (timedelta(days=5), timedelta(days=30), True),
        (timedelta(days=7), timedelta(days=30), False),
    ],
)
def test_a_token_is_renewed_ahead_of_its_end(till, span, life, is_renewed):
    ends_in(till, span, life=life)
    before = credentials.load(till)["access_token"]
    assert places(till) == 2
    till.refresh_from_db()
    after = credentials.load(till)
    assert (after["access_token"] != before) == is_renewed
    if is_renewed:
        assert till.token_expires_at > utc_now() + timedelta(days=29)
        assert after["refresh_token"]


@pytest.mark.django_db(transaction=True)
def test_a_token_server_that_fails_does_not_stop_work_while_the_old_token_lives(till):
    ends_in(till, timedelta(minutes=5))
    Fault.objects.create(vendor="square", operation="o_auth.obtain_token", kind=Fault.Kind.SERVER_ERROR)
    assert places(till) == 2
    till.refresh_from_db()
    assert till.state == Connection.State.PAUSED
    AccessToken.objects.filter(account=till.account_id).update(expires_at=utc_now())
    ends_in(till, timedelta(seconds=-1))
    with pytest.raises(ConnectorError) as caught:  # control: once it has ended, there is nothing to work with
        places(till)
    assert not caught.value.needs_reconnect


@pytest.mark.django_db(transaction=True)
def test_withdrawn_access_turns_to_reconnect_needed_with_one_incident_and_nothing_lost(till):
    factories.InboundEventFactory(connection=till)
    accounts.revoke(account=shops.square_account(till))
    ends_in(till, timedelta(seconds=-1))
    for _ in range(2):
        with pytest.raises(ConnectorError) as caught:
            places(till)
        assert caught.value.needs_reconnect
    till.refresh_from_db()
    assert till.state == Connection.State.RECONNECT
    incident = Incident.objects.get()
    assert (incident.kind, incident.resolved_at) == (Incident.Kind.RECONNECT, None)
    assert till.events.filter(state=InboundEvent.State.PENDING).count() == 1
    assert credentials.load(till)["refresh_token"]


@pytest.mark.django_db(transaction=True)
def test_new_credentials_let_us_in_again_and_close_the_incident(till):
    owner = shops.owner_of(till.merchant)
    account = shops.square_account(till)
    accounts.revoke(account=account)
    ends_in(till, timedelta(seconds=-1))
    with pytest.raises(ConnectorError):
        places(till)
    access, refresh = accounts.issue_tokens(account=account, scopes=list(accounts.SCOPES), now=utc_now())
    secrets = {"access_token": access.token, "refresh_token": refresh.token}
    connections.reconnect(connection=till, secrets=secrets, actor=owner)
    assert places(till) == 2
    assert till.state == Connection.State.PAUSED  # it was never approved
    assert credentials.load(till)["access_token"] == access.token, "the old token's end is not the new one's"
    incident = Incident.objects.get()
    assert (incident.resolved_by, bool(incident.resolved_at)) == (owner, True)


@pytest.mark.django_db(transaction=True)
def test_secrets_are_added_to_those_as_they_are_now_not_as_they_were_read(till):
    stale = Connection.objects.get(pk=till.pk)
    credentials.merge(till, {"access_token": "newer"})
    credentials.merge(stale, {"signature_key": "sig"})
    found = credentials.load(Connection.objects.get(pk=till.pk))
    assert (found["access_token"], found["signature_key"]) == ("newer", "sig")
